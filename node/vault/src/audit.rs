//! The read audit: who read which fields of what, when, why, with what result. Values are never in it.
//!
//! Each record holds the hash of the one before, and the head is anchored on the chain, so that none can be changed, taken
//! out or put in later without showing. It is durable before anything is shown.

use std::collections::BTreeMap;

use vouch_ledger::{Batch, Table};
use vouch_types::{Hash32, TimestampMs, encode};
use wincode::{SchemaRead, SchemaWrite};

pub use vouch_types::document::audit::{Access, AuditFault, AuditRecord, verify};

use crate::{
    acts::Act,
    disk::{Disk, Kind, above, mark, put, read, row},
    limits::VaultLimits,
    vault::{Vault, VaultError},
    words::DocumentId,
};

/// Rows looked at in one go when an earlier vault's records are counted.
const COUNTED_ROWS: usize = 10_000;
/// Longest purpose kept, in bytes; longer ones are cut off.
pub const PURPOSE_BYTES_MAX: usize = 64;

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

    /// Counts the records about each document, once: a vault of an earlier version kept the records alone. Counts from the
    /// beginning when it broke off.
    pub(crate) fn count(disk: &mut Disk) -> Result<(), VaultError> {
        let is_counted = row(Kind::Meta, &[b"reads_counted"]);
        if disk.has(&is_counted)? {
            return Ok(());
        }
        let prefix = row(Kind::AuditOf, &[]);
        let (mut from, mut counting) = (prefix.clone(), None::<(DocumentId, u64)>);
        loop {
            let rows = disk.scan(Table::Vault, &prefix, Some(&from), COUNTED_ROWS)?;
            let mut batch = Batch::new();
            for (key, _) in &rows {
                let id = key.get(prefix.len()..).and_then(<[u8]>::first_chunk);
                let id = DocumentId::new(*id.ok_or(VaultError::Damaged { what: "a key without a document" })?);
                match &mut counting {
                    Some((counted, count)) if *counted == id => *count += 1,
                    other => {
                        if let Some((counted, count)) = other.replace((id, 1)) {
                            put(&mut batch, reads_row(&counted), &count);
                        }
                    }
                }
            }
            let last = rows.last().map(|(key, _)| key).filter(|_| rows.len() == COUNTED_ROWS);
            if let Some(last) = last {
                from = above(last);
                disk.apply(batch)?;
                continue;
            }
            if let Some((counted, count)) = counting {
                put(&mut batch, reads_row(&counted), &count);
            }
            mark(&mut batch, is_counted);
            return disk.apply(batch);
        }
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

fn reads_row(id: &DocumentId) -> Vec<u8> {
    row(Kind::ReadsOf, &[id.as_bytes()])
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
        put(&mut batch, reads_row(&record.key.id), &self.reads_of(&record.key.id)?.saturating_add(1));
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

    /// How many records there are about a document.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn reads_of(&self, id: &DocumentId) -> Result<u64, VaultError> {
        Ok(self.disk.get(Table::Vault, &reads_row(id))?.unwrap_or(0))
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
        let (mut count, mut gone) = (0, BTreeMap::<DocumentId, u64>::new());
        for (key, value) in rows {
            let record: AuditRecord = read(&value)?;
            if record.time >= before || record.number >= self.audit.anchored.entries {
                break;
            }
            batch.delete(Table::Vault, row(Kind::AuditOf, &[record.key.id.as_bytes(), &key]));
            batch.delete(Table::VaultAudit, key);
            *gone.entry(record.key.id).or_default() += 1;
            count += 1;
        }
        for (id, gone) in gone {
            match self.reads_of(&id)?.saturating_sub(gone) {
                0 => batch.delete(Table::Vault, reads_row(&id)),
                left => put(&mut batch, reads_row(&id), &left),
            }
        }
        self.disk.apply(batch)?;
        self.sync()?;
        Ok(count)
    }
}
