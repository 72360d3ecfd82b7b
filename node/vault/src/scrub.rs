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
    /// A file that cannot be read now, from about there on: it is kept as it is, and read again in a while.
    Unreadable {
        /// Which.
        file: FileKey,
        /// First byte of what was to be read.
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

/// How far a check of everything has come: behind this version, or within a file of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckPoint {
    /// The version that was looked at last.
    pub key: VersionKey,
    /// Its file that is not read to its end yet, and how far it was.
    pub inside: Option<(FileKey, u64)>,
}

/// How far the check is that the vault makes by itself.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    at: Option<CheckPoint>,
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
        if self.upkeep.looks_for_orphans() {
            self.remove_orphans()?;
        } else {
            self.scrub.at = self.check_slice(self.scrub.at)?;
            if self.scrub.at.is_none() {
                self.counters.scrubs_ended += 1;
                self.upkeep.look_for_orphans();
            }
        }
        if self.scrub.at.is_none() && !self.upkeep.looks_for_orphans() {
            self.scrub.next_at = Some(now + self.limits.scrub_every_ms);
        }
        Ok(())
    }

    /// A few versions, or a part of a file; `None` when nothing was left to check.
    fn check_slice(&mut self, from: Option<CheckPoint>) -> Result<Option<CheckPoint>, VaultError> {
        if let Some(CheckPoint { key, inside: Some(inside) }) = from {
            return Ok(Some(CheckPoint { key, inside: self.check_files(&key, Some(inside))? }));
        }
        let behind = from.map(|point| above(&point.key.to_bytes()));
        let found = self.disk.scan(Table::VaultCopies, &[], behind.as_deref(), self.limits.scrub_slice)?;
        let mut last = None;
        for (at, _) in found {
            let key = version_at_end(&at)?;
            self.check_at_rest(&key)?;
            let inside = self.check_files(&key, None)?;
            last = Some(CheckPoint { key, inside });
            if inside.is_some() {
                break;
            }
        }
        Ok(last)
    }

    /// Checks some of what lies at rest, for an operator who asks for all of it, slice by slice so that the vault's other
    /// work goes on between: what was damaged or cannot be read, and from where to go on; `None` when all was checked.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn check_some(
        &mut self,
        now: crate::words::Now,
        from: Option<CheckPoint>,
    ) -> Result<(Vec<Damage>, Option<CheckPoint>), VaultError> {
        self.now = now;
        let before = self.out.len();
        let next = self.check_slice(from)?;
        self.sync()?;
        let found = self.out[before..].iter().filter_map(|effect| match effect {
            Effect::Damaged(damage) | Effect::Unreadable(damage) => Some(*damage),
            _ => None,
        });
        Ok((found.collect(), next))
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
            Place::Unreadable { .. } => return Ok(()),
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
