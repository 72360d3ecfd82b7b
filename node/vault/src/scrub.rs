//! Checking what lies at rest: copies against the root on the chain, files against the root their version names. What is
//! altered is named to the field or the byte range, dropped, and fetched anew.

use vouch_ledger::{Batch, Table};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    copy,
    disk::{above, version_at_end},
    limits::VaultLimits,
    message::FileKey,
    shelf::Shelved,
    vault::{Effect, Vault, VaultError},
    words::VersionKey,
};

/// Where a version is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Place {
    /// The header or the leaves: everything.
    Leaves,
    /// The keys, or the key they lie under.
    Keys,
    /// A field's sealed value or rows.
    Field(u16),
    /// A file: bytes `from` to `to`, without the last.
    File {
        /// Which.
        file: FileKey,
        /// First byte.
        from: u64,
        /// The byte after the last one.
        to: u64,
    },
}

/// Something at rest was found altered or lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// The version.
    pub key: VersionKey,
    /// Where.
    pub place: Place,
}

/// How far the check is.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    cursor: Option<[u8; VersionKey::BYTES]>,
    /// The file under the cursor, and how far it was read.
    inside: Option<(FileKey, u64)>,
    next_at: Option<u64>,
}

impl Scrub {
    pub(crate) fn schedule(&mut self, now: u64, limits: &VaultLimits) {
        self.next_at = Some(now + limits.scrub_pause_ms);
    }

    pub(crate) fn due(&self) -> Option<u64> {
        self.next_at
    }
}

impl Vault {
    /// One slice of the check, when one is due.
    pub(crate) fn run_scrub(&mut self) -> Result<(), VaultError> {
        let now = self.now.steady_ms;
        if self.scrub.next_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        self.scrub.next_at = Some(now + self.limits.scrub_pause_ms);
        if let (Some(at), Some((file, offset))) = (self.scrub.cursor, self.scrub.inside) {
            let Some(key) = VersionKey::from_bytes(&at) else { return Ok(()) };
            self.scrub.inside = self.check_files(&key, Some((file, offset)))?;
            return Ok(());
        }
        let from = self.scrub.cursor.map(|at| above(&at));
        let found = self.disk.scan(Table::VaultCopies, &[], from.as_deref(), self.limits.scrub_slice)?;
        if found.is_empty() {
            self.scrub.cursor = None;
            self.scrub.next_at = Some(now + self.limits.scrub_every_ms);
            self.counters.scrubs_ended += 1;
            return Ok(());
        }
        for (at, _) in found {
            let key = version_at_end(&at)?;
            self.scrub.cursor = Some(key.to_bytes());
            self.check_at_rest(&key)?;
            self.scrub.inside = self.check_files(&key, None)?;
            if self.scrub.inside.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Checks everything at rest at once, for an operator who asks for it. Returns what was damaged.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn check_everything(&mut self, now: crate::words::Now) -> Result<Vec<Damage>, VaultError> {
        self.now = now;
        let mut from: Option<Vec<u8>> = None;
        let before = self.out.len();
        loop {
            let found = self.disk.scan(Table::VaultCopies, &[], from.as_deref(), self.limits.scrub_slice)?;
            let Some((last, _)) = found.last() else { break };
            from = Some(above(last));
            for (at, _) in &found {
                let key = version_at_end(at)?;
                self.check_at_rest(&key)?;
                let mut inside = self.check_files(&key, None)?;
                while inside.is_some() {
                    inside = self.check_files(&key, inside)?;
                }
            }
        }
        self.sync()?;
        let found = self.out[before..].iter().filter_map(|effect| match effect {
            Effect::Damaged(damage) => Some(*damage),
            _ => None,
        });
        Ok(found.collect())
    }

    /// Checks one copy and its keys.
    fn check_at_rest(&mut self, key: &VersionKey) -> Result<(), VaultError> {
        self.counters.copies_checked += 1;
        match self.shelf.get(&key.id)? {
            // A backup from before the erasure was restored: it goes again.
            Shelved::Destroyed => return self.shred(&key.id),
            Shelved::Absent => return self.damaged(key, Place::Keys),
            Shelved::Key(_) => {}
        }
        if self.staged(key)?.is_some() {
            return Ok(());
        }
        let Some(facts) = self.chain.document(key)? else { return Ok(()) };
        if facts.is_to_be_shredded() {
            return self.shred(&key.id);
        }
        if self.copy(key)?.is_none() {
            return self.damaged(key, Place::Leaves);
        }
        let Some(opened) = self.open_copy(key)? else { return self.damaged(key, Place::Keys) };
        match copy::check_copy(&opened.copy, &opened.keys, &facts) {
            Ok(()) => Ok(()),
            Err(place) => self.damaged(key, place),
        }
    }

    /// Drops what is damaged and looks for it anew.
    pub(crate) fn damaged(&mut self, key: &VersionKey, place: Place) -> Result<(), VaultError> {
        self.counters.damages += 1;
        self.out.push(Effect::Damaged(Damage { key: *key, place }));
        tracing::error!(%key, ?place, "what lies at rest is not what it was; it is fetched anew");
        match place {
            Place::Field(slot) => self.drop_field(key, slot)?,
            Place::Leaves | Place::Keys => self.forget_copy(key)?,
            Place::File { file, from, to } => return self.file_damaged(key, &file, from, to),
        }
        self.want(key, 0)
    }

    fn drop_field(&mut self, key: &VersionKey, slot: u16) -> Result<(), VaultError> {
        let Some(opened) = self.open_copy(key)? else { return self.forget_copy(key) };
        let mut held = opened.held;
        held.fields = held.fields.difference(&[slot].into_iter().collect());
        let mut batch = Batch::new();
        self.write_copy(key, &opened.copy.without(slot), &opened.keys, &mut batch)?;
        self.write_held(key, &held, &mut batch)?;
        self.disk.apply(batch)
    }
}
