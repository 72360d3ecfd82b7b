//! Upkeep of the files on the own disk: what cannot be read for a while is no damage and is looked at again, what lies here
//! after all is found before others are asked for it, what belongs to nothing goes.
//!
//! ```text
//! read fails -----> the row stays, the fault is said --every minute--> read again --works--> all is well
//! to be fetched, and as long as it is to be: Effect::LookAtFile --hashed beside the vault--> file_looked_at: here again
//! rows that name a file go --synced--> its bytes go
//! ```

use std::collections::{BTreeMap, BTreeSet};

use vouch_ledger::{Batch, StorageError, Table, View};
use vouch_privacy::attachment::Blob;
use vouch_types::Hash32;

use crate::{
    blobs::{BlobError, BlobId, Blobs, Part},
    disk::{Kind, above, end_of, mark, put, row},
    files::{cut_piece, file_key, file_row, index_file},
    message::FileKey,
    scrub::{Damage, Place},
    vault::{Effect, Vault, VaultError},
    words::{Now, VersionKey},
};

/// Files that cannot be read and are remembered; more are found again by the next check.
const FAULTS_MAX: usize = 64;
/// Files that were looked at and are remembered.
const LOOKED_MAX: usize = 1_024;
/// Hashing the largest file takes no longer, in milliseconds: after that no answer is waited for.
const LOOK_MS: u64 = 3_600_000;

/// A file that lies here and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The version that names it.
    pub key: VersionKey,
    /// Which of its files.
    pub file: FileKey,
    /// The hash it is named by on the disk.
    pub root: Hash32,
    /// What the system says.
    pub message: String,
    /// For how long, in milliseconds.
    pub for_ms: u64,
}

#[derive(Debug)]
struct Fault {
    key: VersionKey,
    blob: Blob,
    range: (u64, u64),
    message: String,
    since_ms: u64,
}

/// What the upkeep remembers; all of it is found again after a restart.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// Files whose rows went: their bytes go when that is durable.
    to_remove: BTreeSet<BlobId>,
    faults: BTreeMap<Hash32, Fault>,
    retry_at: Option<u64>,
    /// The file that is being hashed, and until when its answer is waited for.
    looking: Option<(Blob, u64)>,
    /// When files were looked at and were not what they are named.
    looked: BTreeMap<Hash32, u64>,
    /// The folder from which to look for files that belong to nothing.
    orphans_from: Option<u8>,
}

impl Upkeep {
    pub(crate) fn due(&self) -> Option<u64> {
        self.retry_at
    }

    /// The check of everything came to its end: folders are looked through next.
    pub(crate) const fn look_for_orphans(&mut self) {
        self.orphans_from = Some(0);
    }

    pub(crate) const fn looks_for_orphans(&self) -> bool {
        self.orphans_from.is_some()
    }

    /// It is looked at again also if it was a short while ago.
    pub(crate) fn forget_look(&mut self, root: &Hash32) {
        self.looked.remove(root);
    }

    /// The rows that name a file go with `batch`; so do its bytes when that is durable, unless others name it then. A row says
    /// so until they have, so that a crash in between leaves nothing behind.
    pub(crate) fn remove_later(&mut self, batch: &mut Batch, id: BlobId) {
        mark(batch, row(Kind::Gone, &[&id]));
        self.to_remove.insert(id);
    }
}

/// Whether any file is said to be here whole.
///
/// # Errors
/// [`StorageError`].
pub fn holds_files(view: &dyn View) -> Result<bool, StorageError> {
    let prefix = [Kind::File as u8];
    Ok(!view.scan(Table::Vault, &prefix, end_of(&prefix).as_deref(), 1)?.is_empty())
}

/// Hash and length of files that are said to be here whole, behind `after`, ascending, at most `limit`: what a backup has to
/// have beside the database.
///
/// # Errors
/// [`VaultError`].
pub fn files_at_rest(view: &dyn View, after: Option<&Hash32>, limit: usize) -> Result<Vec<(Hash32, u64)>, VaultError> {
    let prefix = [Kind::File as u8];
    let from = after.map_or_else(|| prefix.to_vec(), |after| above(&file_row(after)));
    let rows = view.scan(Table::Vault, &from, end_of(&prefix).as_deref(), limit)?;
    let read = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let root = key.get(1..).and_then(|root| root.try_into().ok()).map(Hash32);
        Ok((root.ok_or(VaultError::Damaged { what: "a file's row" })?, crate::disk::read::<u64>(value)?))
    };
    rows.iter().map(read).collect()
}

/// The length of a file that is said to be here whole.
///
/// # Errors
/// [`VaultError`].
pub fn file_length(view: &dyn View, root: &Hash32) -> Result<Option<u64>, VaultError> {
    view.get(Table::Vault, &file_row(root))?.map(|bytes| crate::disk::read(&bytes)).transpose()
}

/// Whether what lies under a file's name is the file; then its tree is made anew, durably. It reads the file once or twice,
/// about a second for a GiB: to be called beside the vault's thread, for [`Effect::LookAtFile`].
///
/// # Errors
/// [`BlobError`].
pub fn look_at_file(blobs: &dyn Blobs, blob: &Blob) -> Result<bool, BlobError> {
    const STEP: u64 = 1 << 20;
    let id = &blob.root.0;
    if blobs.size(id, Part::Data)? != Some(blob.bytes) {
        return Ok(false);
    }
    // Hashed before anything is written: a tree over other bytes would spoil what may be right of it.
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < blob.bytes {
        let to = blob.bytes.min(at.saturating_add(STEP));
        hasher.update(&blobs.read(id, Part::Data, at..to)?);
        at = to;
    }
    if hasher.finalize() != blake3::Hash::from_bytes(*id) || !index_file(blobs, id, blob)? {
        return Ok(false);
    }
    blobs.sync(id)?;
    Ok(true)
}

impl Vault {
    /// A range of a file cannot be read. Nothing is known of it, so nothing is dropped: it is read again in a while.
    pub(crate) fn cannot_read(&mut self, key: &VersionKey, blob: &Blob, range: (u64, u64), error: &BlobError) {
        let now = self.now.steady_ms;
        self.counters.file_faults += 1;
        if !self.upkeep.faults.contains_key(&blob.root) {
            tracing::error!(%key, root = %blob.root, %error, "a file cannot be read; it is read again in a while");
        }
        let (file, (from, to)) = (file_key(blob), range);
        self.out.push(Effect::Unreadable(Damage { key: *key, place: Place::Unreadable { file, from, to } }));
        let faults = &mut self.upkeep.faults;
        if faults.len() < FAULTS_MAX || faults.contains_key(&blob.root) {
            let since_ms = faults.get(&blob.root).map_or(now, |fault| fault.since_ms);
            let fault = Fault { key: *key, blob: *blob, range, message: error.to_string(), since_ms };
            faults.insert(blob.root, fault);
        }
        self.upkeep.retry_at.get_or_insert(now + self.limits.retry_max_ms);
    }

    /// Reads again what could not be read.
    pub(crate) fn read_again(&mut self) -> Result<(), VaultError> {
        let now = self.now.steady_ms;
        if self.upkeep.retry_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        for (root, fault) in core::mem::take(&mut self.upkeep.faults) {
            // One that is fetched anew, or gone, is no matter of this any more.
            if !self.has_file(&fault.blob)? {
                continue;
            }
            match cut_piece(self.blobs.as_ref(), &fault.blob, fault.range.0, fault.range.1) {
                Err(error) => {
                    let message = error.to_string();
                    self.upkeep.faults.insert(root, Fault { message, ..fault });
                }
                Ok(_) => {
                    self.check_range(&fault.key, &fault.blob, fault.range.0, fault.range.1)?;
                }
            }
        }
        self.upkeep.retry_at = (!self.upkeep.faults.is_empty()).then_some(now + self.limits.retry_max_ms);
        Ok(())
    }

    /// Files that lie here and could not be read when it was tried last.
    #[must_use]
    pub fn unreadable(&self) -> Vec<Unreadable> {
        let now = self.now.steady_ms;
        let faults = self.upkeep.faults.iter();
        let said = faults.map(|(root, fault)| Unreadable {
            key: fault.key,
            file: file_key(&fault.blob),
            root: *root,
            message: fault.message.clone(),
            for_ms: now.saturating_sub(fault.since_ms),
        });
        said.collect()
    }

    /// Has the own disk looked at before others are asked for a file, or when nobody else has it: true while that is waited for.
    /// Only a file of the right length is worth it, and the same one only now and then.
    pub(crate) fn looks_here(&mut self, blob: &Blob) -> bool {
        let now = self.now.steady_ms;
        if let Some((looking, until)) = self.upkeep.looking
            && until > now
        {
            return looking.root == blob.root;
        }
        let is_known = self.upkeep.looked.get(&blob.root).is_some_and(|at| *at + self.limits.look_every_ms > now);
        let has_length = || self.blobs.size(&blob.root.0, Part::Data).is_ok_and(|size| size == Some(blob.bytes));
        if is_known || !has_length() {
            return false;
        }
        if self.upkeep.looked.len() >= LOOKED_MAX {
            self.upkeep.looked.clear();
        }
        self.upkeep.looked.insert(blob.root, now);
        self.upkeep.looking = Some((*blob, now + LOOK_MS));
        self.out.push(Effect::LookAtFile(*blob));
        true
    }

    /// A file was hashed where it lies, for [`Effect::LookAtFile`]: if it is what its name says, it is here whole, durably.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn file_looked_at(&mut self, now: Now, blob: &Blob, is_it: bool) -> Result<(), VaultError> {
        self.now = now;
        self.upkeep.looking = None;
        // Others may have waited for their turn.
        self.transfers.encouraged();
        // It may have been removed meanwhile.
        let is_here = || self.blobs.size(&blob.root.0, Part::Data).is_ok_and(|size| size == Some(blob.bytes));
        let waiting = if is_it && is_here() { self.transfers_of(blob)? } else { Vec::new() };
        if waiting.is_empty() {
            return Ok(());
        }
        self.counters.files_found += 1;
        self.upkeep.forget_look(&blob.root);
        let mut batch = Batch::new();
        put(&mut batch, file_row(&blob.root), &blob.bytes);
        self.disk.apply(batch)?;
        for (key, file) in waiting {
            self.transfers.remove(&key, &file);
            self.file_complete(&key, &file)?;
        }
        self.sync()
    }

    /// Takes up again what a crash kept from being removed.
    pub(crate) fn recall_gone(&mut self) -> Result<(), VaultError> {
        let prefix = row(Kind::Gone, &[]);
        for (key, _) in self.disk.scan(Table::Vault, &prefix, None, usize::MAX)? {
            let id = key.get(prefix.len()..).and_then(|id| BlobId::try_from(id).ok());
            self.upkeep.to_remove.extend(id);
        }
        Ok(())
    }

    /// Removes the bytes of files whose rows went, now that this is durable.
    pub(crate) fn remove_bytes_of_gone(&mut self) -> Result<(), VaultError> {
        if self.upkeep.to_remove.is_empty() {
            return Ok(());
        }
        let uploads = self.names_of_uploads()?;
        let mut batch = Batch::new();
        for id in core::mem::take(&mut self.upkeep.to_remove) {
            if !self.is_needed(&id, &uploads)? {
                self.blobs.remove(&id)?;
            }
            batch.delete(Table::Vault, row(Kind::Gone, &[&id]));
        }
        // Not synced: to remove once more what is gone does no harm.
        self.disk.apply(batch)
    }

    /// Whether any row speaks of a file.
    fn is_needed(&self, id: &BlobId, uploads: &BTreeSet<BlobId>) -> Result<bool, VaultError> {
        let is_named =
            || Ok::<_, VaultError>(!self.disk.scan(Table::Vault, &row(Kind::FileOf, &[id]), None, 1)?.is_empty());
        Ok(uploads.contains(id) || self.disk.has(&file_row(&Hash32(*id)))? || is_named()?)
    }

    /// Looks for files of which no row speaks, in a few folders: a power cut between rows and bytes leaves such. One goes when it
    /// has been so for long: whoever started the node over another database by mistake has time to put the right one back.
    pub(crate) fn remove_orphans(&mut self) -> Result<(), VaultError> {
        let Some(first) = self.upkeep.orphans_from else { return Ok(()) };
        let uploads = self.names_of_uploads()?;
        let last = first.saturating_add(self.limits.orphan_folders.saturating_sub(1));
        for folder in first..=last {
            let Ok(found) = self.blobs.list(folder) else { continue };
            for id in found {
                if self.is_needed(&id, &uploads)? {
                    continue;
                }
                let seen = row(Kind::Orphan, &[&id]);
                let mut batch = Batch::new();
                match self.disk.get::<u64>(Table::Vault, &seen)? {
                    None => put(&mut batch, seen, &self.now.wall.0),
                    Some(since) if since.saturating_add(self.limits.orphan_keep_ms) < self.now.wall.0 => {
                        tracing::warn!(name = %Hash32(id), "a file that belongs to no document is removed");
                        self.blobs.remove(&id)?;
                        self.counters.orphans += 1;
                        batch.delete(Table::Vault, seen);
                    }
                    Some(_) => {}
                }
                self.disk.apply(batch)?;
            }
        }
        self.upkeep.orphans_from = last.checked_add(1);
        Ok(())
    }
}
