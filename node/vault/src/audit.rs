//! The read audit: who read which fields of what, when, why, with what result. Values are never in it.
//!
//! Each record holds the hash of the one before, and the head is anchored on the chain, so that none can be changed, taken
//! out or put in later without showing. It is durable before anything is shown.

use vouch_ledger::{Batch, Table};
use vouch_types::{AccountId, Hash32, TimestampMs, encode, hash::domain_hash};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    acts::Act,
    disk::{Disk, Kind, mark, put, read, row},
    limits::VaultLimits,
    vault::{Vault, VaultError},
    words::{DocumentId, FieldSet, VersionKey},
};

/// Longest purpose kept, in bytes; longer ones are cut off.
pub const PURPOSE_BYTES_MAX: usize = 64;

/// How somebody came by private content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Access {
    /// Fields were asked for to be shown.
    Read,
    /// A sealed copy was asked for by a receiver outside the consortium, named by its key.
    Release,
    /// An export or evidence package was asked for.
    Export,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct AuditRecord {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When, by this node's clock.
    pub time: TimestampMs,
    /// Who; all zero for a receiver by key.
    pub actor: AccountId,
    /// How.
    pub access: Access,
    /// What.
    pub key: VersionKey,
    /// Which fields were shown; none for a refusal.
    pub fields: FieldSet,
    /// Why: the code that was stated.
    pub purpose: String,
    /// `ok`, or the code of the refusal.
    pub result: String,
    /// Hash of the record before; all zero for the first.
    pub previous: Hash32,
}

impl AuditRecord {
    /// Its hash, which the next record names.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        domain_hash("vouch/read-audit/1", &[&encode(self)])
    }
}

/// Where an audit breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// A record is missing, or stands elsewhere.
    #[error("record {0} is not where it belongs")]
    Number(u64),
    /// A record does not name the one before, or that one was changed.
    #[error("record {0} does not follow from the one before")]
    Chain(u64),
    /// The last record is not the one that was anchored.
    #[error("the last record is not the one anchored on the chain")]
    Head,
}

impl AuditFault {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Number(_) => "audit.number",
            Self::Chain(_) => "audit.chain",
            Self::Head => "audit.head",
        }
    }
}

/// Checks records that follow `previous`, the hash of record `after`, and end in `head`.
///
/// # Errors
/// [`AuditFault`], the first one found.
pub fn verify(after: u64, previous: Hash32, records: &[AuditRecord], head: Hash32) -> Result<(), AuditFault> {
    let mut expected = previous;
    for (number, record) in (after + 1..).zip(records) {
        if record.number != number {
            return Err(AuditFault::Number(number));
        }
        if record.previous != expected {
            return Err(AuditFault::Chain(number));
        }
        expected = record.hash();
    }
    if expected == head { Ok(()) } else { Err(AuditFault::Head) }
}

/// The audit's end.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    entries: u64,
    head: Hash32,
    anchored: Anchored,
    anchor_at: Option<u64>,
}

/// The last head that is on the chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
struct Anchored {
    entries: u64,
    head: Hash32,
}

impl Audit {
    pub(crate) fn read(disk: &Disk) -> Result<Self, VaultError> {
        let last = disk.last(Table::VaultAudit, &[])?.map(|(_, value)| read::<AuditRecord>(&value)).transpose()?;
        let anchored = disk.get::<Anchored>(Table::Vault, &row(Kind::Meta, &[b"anchored"]))?.unwrap_or_default();
        let (entries, head) = last.map_or((0, Hash32::ZERO), |record| (record.number, record.hash()));
        Ok(Self { entries, head, anchored, anchor_at: None })
    }

    pub(crate) fn schedule(&mut self, now: u64, limits: &VaultLimits) {
        self.anchor_at = Some(now + limits.anchor_every_ms);
    }

    pub(crate) fn due(&self) -> Option<u64> {
        self.anchor_at
    }

    /// Records, and those among them that the chain vouches for.
    pub(crate) fn load(&self) -> (u64, u64) {
        (self.entries, self.anchored.entries)
    }
}

impl Vault {
    /// Writes a record; durable with the step's sync.
    pub(crate) fn record(&mut self, mut record: AuditRecord) -> Result<(), VaultError> {
        record.number = self.audit.entries + 1;
        record.previous = self.audit.head;
        record.time = self.now.wall;
        let mut end = record.purpose.len().min(PURPOSE_BYTES_MAX);
        while !record.purpose.is_char_boundary(end) {
            end -= 1;
        }
        record.purpose.truncate(end);
        let mut batch = Batch::new();
        batch.put(Table::VaultAudit, record.number.to_be_bytes(), encode(&record));
        mark(&mut batch, row(Kind::AuditOf, &[record.key.id.as_bytes(), &record.number.to_be_bytes()]));
        self.disk.apply(batch)?;
        self.audit.entries = record.number;
        self.audit.head = record.hash();
        if self.audit.entries - self.audit.anchored.entries >= self.limits.anchor_records {
            self.audit.anchor_at = Some(self.now.steady_ms);
        }
        Ok(())
    }

    pub(crate) fn anchor_audit(&mut self) -> Result<(), VaultError> {
        if self.audit.anchor_at.is_none_or(|at| at > self.now.steady_ms) {
            return Ok(());
        }
        self.audit.anchor_at = Some(self.now.steady_ms + self.limits.anchor_every_ms);
        if self.audit.entries == self.audit.anchored.entries || self.acts.is_anchoring() {
            return Ok(());
        }
        let (previous, entries, head) = (self.audit.anchored.head, self.audit.entries, self.audit.head);
        self.act(Act::AnchorAudit { previous, entries, head })
    }

    pub(crate) fn audit_anchored(&mut self, entries: u64, head: Hash32, batch: &mut Batch) {
        self.audit.anchored = Anchored { entries, head };
        put(batch, row(Kind::Meta, &[b"anchored"]), &self.audit.anchored);
    }

    /// Records with numbers above `after`, ascending.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>, VaultError> {
        let from = after.saturating_add(1).to_be_bytes();
        let rows = self.disk.scan(Table::VaultAudit, &[], Some(&from), limit)?;
        rows.iter().map(|(_, value)| read(value)).collect()
    }

    /// Records about a document with numbers above `after`, ascending: who looked at it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn audit_of(&self, id: &DocumentId, after: u64, limit: usize) -> Result<Vec<AuditRecord>, VaultError> {
        let prefix = row(Kind::AuditOf, &[id.as_bytes()]);
        let from = row(Kind::AuditOf, &[id.as_bytes(), &after.saturating_add(1).to_be_bytes()]);
        let rows = self.disk.scan(Table::Vault, &prefix, Some(&from), limit)?;
        let records = rows.iter().map(|(key, _)| self.disk.get::<AuditRecord>(Table::VaultAudit, &key[prefix.len()..]));
        records.filter_map(Result::transpose).collect()
    }

    /// How many records there are, and the hash of the last one.
    #[must_use]
    pub const fn audit_head(&self) -> (u64, Hash32) {
        (self.audit.entries, self.audit.head)
    }

    /// Forgets records older than a time that the chain vouches for; what is left still leads to the anchored heads. Returns
    /// how many went, at most `limit`.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn prune_audit(&mut self, before: TimestampMs, limit: usize) -> Result<usize, VaultError> {
        let mut batch = Batch::new();
        let rows = self.disk.scan(Table::VaultAudit, &[], None, limit)?;
        let mut count = 0;
        for (key, value) in rows {
            let record: AuditRecord = read(&value)?;
            if record.time >= before || record.number >= self.audit.anchored.entries {
                break;
            }
            batch.delete(Table::Vault, row(Kind::AuditOf, &[record.key.id.as_bytes(), &key]));
            batch.delete(Table::VaultAudit, key);
            count += 1;
        }
        self.disk.apply(batch)?;
        self.sync()?;
        Ok(count)
    }
}
