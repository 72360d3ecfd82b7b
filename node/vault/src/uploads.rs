//! Files on their way in: a client writes the ciphertext of a file piece by piece, then says its hash. Only a file that is
//! what its hash says can be named by a document that is staged.
//!
//! ```text
//! begin(place, length) --> row, durable --> piece at the offset --written, synced--> row: offset moves on
//!                                               ^---------- after a break: asked how far it is ----'
//! finish(hash) --> indexed and compared beside the vault's thread --> named by its hash --> a document is staged with it
//! nothing more comes for a day, or the document is erased --> gone
//! ```
//!
//! A place is document, version, slot and position: an upload needs no other name, and what is uploaded for one document
//! serves no other. Writing and hashing large files is done outside of the vault, between two calls on it.

use std::collections::BTreeSet;

use vouch_ledger::{Batch, Table};
use vouch_privacy::attachment::{Blob, FILE_BYTES_MAX};
use vouch_types::{AccountId, Hash32, api::FILE_PIECE_BYTES_MAX, hash::domain_hash};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    blobs::{BlobError, BlobId, Blobs, Part},
    copy::Copy,
    disk::{Kind, mark, put, read, row},
    files::{file_of_row, file_row, index_file, place_of, place_row},
    message::FileKey,
    vault::{Vault, VaultError},
    words::{DocumentId, Now, VersionKey},
};

/// How far an upload is, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
struct Upload {
    account: AccountId,
    tag: Hash32,
    bytes: u64,
    done: u64,
    touched_ms: u64,
    /// The hash it is said to have; from then on nothing more is written.
    named: Option<Hash32>,
    /// Whether it has it.
    is_whole: bool,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadState {
    /// The version.
    pub key: VersionKey,
    /// Which of its files.
    pub file: FileKey,
    /// Length of the ciphertext.
    pub bytes: u64,
    /// Everything below is here, durably.
    pub offset: u64,
    /// As the client chose it.
    pub tag: Hash32,
    /// Its hash, once it was checked.
    pub root: Option<Hash32>,
    /// When it is forgotten if nothing more comes, by this node's clock.
    pub until_ms: u64,
}

/// A file that is said to be whole, for [`index_upload`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naming {
    /// Under which name it lies until it was checked.
    id: BlobId,
    /// What it is said to be.
    blob: Blob,
    /// It was checked before: nothing is to be done.
    is_whole: bool,
}

/// Why an upload does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// None was begun in this place by this account.
    #[error("no upload was begun here by this account")]
    Unknown,
    /// Another account uploads in this place, the version is staged or on the chain, or a file of this hash is here.
    #[error("this place is taken: {0}")]
    Taken(&'static str),
    /// An upload with another length or tag was begun here.
    #[error("an upload with another length or tag was begun here")]
    Differs,
    /// The piece does not begin where the upload ends.
    #[error("the next piece begins at byte {0}")]
    Offset(u64),
    /// The file or the piece is empty, or above the most.
    #[error(
        "a sealed file has 1 to {FILE_BYTES_MAX} bytes, a piece 1 to {FILE_PIECE_BYTES_MAX} and no more than are left"
    )]
    TooLarge,
    /// A piece that is not the last one is below the least.
    #[error("a piece has at least {0} bytes, unless it is the last one")]
    TooSmall(usize),
    /// A bound on what is uploaded at a time.
    #[error("{0}")]
    Full(&'static str),
    /// The disk has no room.
    #[error("{0} bytes are free, and some of them must stay so")]
    Disk(u64),
    /// It is not here whole.
    #[error("only {0} bytes are here")]
    Incomplete(u64),
    /// It is not what its hash says; it was dropped.
    #[error("the bytes that came have another hash")]
    Root,
    /// The document was erased.
    #[error("the document was erased")]
    Erased,
}

impl UploadError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "upload.unknown",
            Self::Taken(_) => "upload.taken",
            Self::Differs => "upload.differs",
            Self::Offset(_) => "upload.offset",
            Self::TooLarge => "upload.too_large",
            Self::TooSmall(_) => "upload.too_small",
            Self::Full(_) => "upload.full",
            Self::Disk(_) => "upload.disk",
            Self::Incomplete(_) => "upload.incomplete",
            Self::Root => "upload.root",
            Self::Erased => "vault.erased",
        }
    }
}

/// Where an upload belongs: a version, and which of its files.
pub type UploadPlace = (VersionKey, FileKey);

/// What a call on an upload comes to.
pub type Outcome<T> = Result<Result<T, UploadError>, VaultError>;

fn upload_row(key: &VersionKey, file: &FileKey) -> Vec<u8> {
    place_row(Kind::Upload, key, file)
}

/// The name under which the bytes of an upload lie until its hash was checked.
fn unnamed(key: &VersionKey, file: &FileKey) -> BlobId {
    domain_hash("vouch/upload/1", &[&key.to_bytes(), &file.slot.to_be_bytes(), &file.index.to_be_bytes()]).0
}

/// Hashes a file that is said to be whole and gives it the name of its hash; false when it has another. It reads the whole
/// file, about a second for a GiB: to be called beside the vault's thread, between [`Vault::name_upload`] and
/// [`Vault::upload_indexed`]. A second call after a crash in the midst of one is harmless.
///
/// # Errors
/// [`BlobError`].
pub fn index_upload(blobs: &dyn Blobs, naming: &Naming) -> Result<bool, BlobError> {
    let Naming { id, blob, is_whole } = naming;
    if *is_whole {
        return Ok(true);
    }
    // With none under this name it was renamed, and then the node went down.
    let id = if blobs.size(id, Part::Data)?.is_none() { &blob.root.0 } else { id };
    let is_it = index_file(blobs, id, blob)?;
    if is_it {
        blobs.sync(id)?;
        if *id != blob.root.0 {
            blobs.rename(id, &blob.root.0)?;
        }
    }
    Ok(is_it)
}

impl Upload {
    fn state(&self, (key, file): UploadPlace, keep_ms: u64) -> UploadState {
        UploadState {
            key,
            file,
            bytes: self.bytes,
            offset: self.done,
            tag: self.tag,
            root: self.named.filter(|_| self.is_whole),
            until_ms: self.touched_ms.saturating_add(keep_ms),
        }
    }
}

impl Vault {
    /// The place of files, for whoever writes pieces and hashes files beside the vault's thread.
    #[must_use]
    pub fn blobs(&self) -> std::sync::Arc<dyn Blobs> {
        std::sync::Arc::clone(&self.blobs)
    }

    /// Begins an upload, or says how far one is that was begun alike. It is durable when this returns.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn begin_upload(
        &mut self,
        now: Now,
        account: AccountId,
        place: UploadPlace,
        bytes: u64,
        tag: Hash32,
    ) -> Outcome<UploadState> {
        self.now = now;
        let begun = match self.own_upload(account, &place)? {
            Ok(upload) if upload.bytes == bytes && upload.tag == tag => Ok(upload),
            Ok(_) => Err(UploadError::Differs),
            Err(UploadError::Unknown) => match self.refusal_to_begin(account, &place, bytes)? {
                Some(refusal) => Err(refusal),
                None => Ok(self.new_upload(account, &place, bytes, tag)?),
            },
            Err(refusal) => Err(refusal),
        };
        self.counters.uploads_refused += u64::from(begun.is_err());
        Ok(begun.map(|upload| upload.state(place, self.limits.upload_keep_ms)))
    }

    fn new_upload(
        &mut self,
        account: AccountId,
        place: &UploadPlace,
        bytes: u64,
        tag: Hash32,
    ) -> Result<Upload, VaultError> {
        let touched_ms = self.now.wall.0;
        let upload = Upload { account, tag, bytes, done: 0, touched_ms, named: None, is_whole: false };
        // Whatever an upload before it left under this name does not count.
        self.blobs.remove(&unnamed(&place.0, &place.1))?;
        self.keep_upload(place, &upload)?;
        self.uploads_count += 1;
        self.counters.uploads_begun += 1;
        Ok(upload)
    }

    fn refusal_to_begin(
        &self,
        account: AccountId,
        (key, _): &UploadPlace,
        bytes: u64,
    ) -> Result<Option<UploadError>, VaultError> {
        if bytes == 0 || bytes > FILE_BYTES_MAX {
            return Ok(Some(UploadError::TooLarge));
        }
        if self.is_erased(&key.id)? {
            return Ok(Some(UploadError::Erased));
        }
        if self.staged(key)?.is_some() {
            return Ok(Some(UploadError::Taken("the version is staged")));
        }
        if self.chain.document(key)?.is_some() {
            return Ok(Some(UploadError::Taken("the version is on the chain")));
        }
        let limits = &self.limits;
        let (mut count, mut own_count, mut all, mut own, mut to_come) = (0, 0, bytes, bytes, bytes);
        for (_, upload) in self.all_uploads()? {
            if upload.account == account {
                own_count += 1;
                own = own.saturating_add(upload.bytes);
            }
            count += 1;
            all = all.saturating_add(upload.bytes);
            to_come = to_come.saturating_add(upload.bytes - upload.done.min(upload.bytes));
        }
        let full = if count >= limits.uploads_max || all > limits.upload_bytes_max {
            Some("as much is being uploaded at this node as it takes at a time")
        } else if own_count >= limits.uploads_per_account_max || own > limits.upload_bytes_per_account_max {
            Some("as much is being uploaded by this account as the node takes at a time")
        } else {
            None
        };
        if let Some(full) = full {
            return Ok(Some(UploadError::Full(full)));
        }
        // What is to come has to fit beside the reserve, with the trees over it, half a percent.
        let free = self.blobs.free_bytes()?;
        let needed = to_come.saturating_add(to_come / 200).saturating_add(limits.disk_reserve_bytes);
        Ok(free.filter(|free| *free < needed).map(UploadError::Disk))
    }

    /// How far an upload is.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn upload(&self, account: AccountId, place: UploadPlace) -> Outcome<UploadState> {
        let upload = self.own_upload(account, &place)?;
        Ok(upload.map(|upload| upload.state(place, self.limits.upload_keep_ms)))
    }

    /// Whether a piece may be written, and under which name: the caller writes it there, makes it durable, and says so by
    /// [`Vault::piece_written`]. One piece of an upload at a time.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn piece_begins(
        &mut self,
        account: AccountId,
        place: UploadPlace,
        offset: u64,
        bytes: usize,
    ) -> Outcome<BlobId> {
        let upload = match self.own_upload(account, &place)? {
            Ok(upload) => upload,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let length = u64::try_from(bytes).unwrap_or(u64::MAX);
        if upload.named.is_some() || offset != upload.done {
            return Ok(Err(UploadError::Offset(upload.done)));
        }
        if bytes == 0 || bytes > FILE_PIECE_BYTES_MAX || length > upload.bytes - upload.done {
            return Ok(Err(UploadError::TooLarge));
        }
        if bytes < self.limits.piece_bytes_min && length < upload.bytes - upload.done {
            return Ok(Err(UploadError::TooSmall(self.limits.piece_bytes_min)));
        }
        Ok(Ok(unnamed(&place.0, &place.1)))
    }

    /// A piece was written and is durable: the upload is so much farther, durably, when this returns.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn piece_written(
        &mut self,
        now: Now,
        account: AccountId,
        place: UploadPlace,
        offset: u64,
        bytes: usize,
    ) -> Outcome<UploadState> {
        self.now = now;
        if let Err(refusal) = self.piece_begins(account, place, offset, bytes)? {
            return Ok(Err(refusal));
        }
        let mut upload = match self.own_upload(account, &place)? {
            Ok(upload) => upload,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let length = u64::try_from(bytes).unwrap_or(u64::MAX);
        upload.done = offset.saturating_add(length);
        upload.touched_ms = now.wall.0;
        self.counters.upload_bytes += length;
        self.keep_upload(&place, &upload)?;
        Ok(Ok(upload.state(place, self.limits.upload_keep_ms)))
    }

    /// The client says that a file is whole and has this hash. What is to be compared is given back, for [`index_upload`].
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn name_upload(&mut self, now: Now, account: AccountId, place: UploadPlace, root: Hash32) -> Outcome<Naming> {
        self.now = now;
        let mut upload = match self.own_upload(account, &place)? {
            Ok(upload) => upload,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let blob = Blob { slot: place.1.slot, index: place.1.index, bytes: upload.bytes, root };
        let is_whole = upload.is_whole && upload.named == Some(root);
        if !is_whole {
            if upload.is_whole {
                return Ok(Err(UploadError::Differs));
            }
            // What lies under the hash it was given before would belong to nothing.
            if upload.named.is_some_and(|named| named != root) {
                return Ok(Err(UploadError::Differs));
            }
            if upload.done < upload.bytes {
                return Ok(Err(UploadError::Incomplete(upload.done)));
            }
            if self.has_file(&blob)? {
                return Ok(Err(UploadError::Taken("a file of this hash is here")));
            }
            // Written down first: whatever happens in the midst of renaming, it is known what to remove.
            upload.named = Some(root);
            upload.touched_ms = now.wall.0;
            self.keep_upload(&place, &upload)?;
        }
        Ok(Ok(Naming { id: unnamed(&place.0, &place.1), blob, is_whole }))
    }

    /// A file was indexed: if it is what its hash says, it is here from now on, durably; else it is dropped.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn upload_indexed(
        &mut self,
        now: Now,
        account: AccountId,
        place: UploadPlace,
        naming: &Naming,
        is_it: bool,
    ) -> Outcome<UploadState> {
        self.now = now;
        let found = self.own_upload(account, &place)?;
        let Ok(mut upload) =
            found.and_then(
                |found| {
                    if found.named == Some(naming.blob.root) { Ok(found) } else { Err(UploadError::Unknown) }
                },
            )
        else {
            // It ended while it was hashed: nothing of it stays, but for what another version names too.
            let mut batch = Batch::new();
            self.upkeep.remove_later(&mut batch, naming.id);
            self.upkeep.remove_later(&mut batch, naming.blob.root.0);
            self.disk.apply(batch)?;
            self.sync()?;
            return Ok(Err(UploadError::Unknown));
        };
        if !is_it {
            self.counters.uploads_refused += 1;
            self.drop_upload(&place, &upload)?;
            self.sync()?;
            return Ok(Err(UploadError::Root));
        }
        upload.is_whole = true;
        upload.touched_ms = now.wall.0;
        let mut batch = Batch::new();
        // Together: a file that is here while its upload is not whole would be taken for another's.
        put(&mut batch, file_row(&naming.blob.root), &naming.blob.bytes);
        put(&mut batch, upload_row(&place.0, &place.1), &upload);
        self.disk.apply(batch)?;
        self.sync()?;
        Ok(Ok(upload.state(place, self.limits.upload_keep_ms)))
    }

    /// Ends an upload: what came of it is removed.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn end_upload(&mut self, account: AccountId, place: UploadPlace) -> Outcome<()> {
        let upload = match self.own_upload(account, &place)? {
            Ok(upload) => upload,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.drop_upload(&place, &upload)?;
        self.sync()?;
        Ok(Ok(()))
    }

    /// Takes a whole file at once, as its upload would; for files that lie under the name of their hash already. False when it
    /// is not what its hash says.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn take_file(&mut self, now: Now, key: &VersionKey, blob: &Blob) -> Result<bool, VaultError> {
        self.now = now;
        if !index_file(self.blobs.as_ref(), &blob.root.0, blob)? {
            return Ok(false);
        }
        self.blobs.sync(&blob.root.0)?;
        let upload = Upload {
            account: AccountId::ZERO,
            tag: Hash32::ZERO,
            bytes: blob.bytes,
            done: blob.bytes,
            touched_ms: now.wall.0,
            named: Some(blob.root),
            is_whole: true,
        };
        let mut batch = Batch::new();
        put(&mut batch, file_row(&blob.root), &blob.bytes);
        put(&mut batch, upload_row(key, &crate::files::file_key(blob)), &upload);
        self.disk.apply(batch)?;
        self.sync()?;
        Ok(true)
    }

    /// Whether a file was uploaded whole for this place.
    pub(crate) fn is_uploaded(&self, key: &VersionKey, blob: &Blob) -> Result<bool, VaultError> {
        let found = self.disk.get::<Upload>(Table::Vault, &upload_row(key, &crate::files::file_key(blob)))?;
        Ok(found.is_some_and(|upload| upload.is_whole && upload.named == Some(blob.root) && upload.bytes == blob.bytes))
    }

    /// A version was staged: its files are its own from now on, and what else was uploaded for it goes.
    pub(crate) fn uploads_staged(
        &mut self,
        key: &VersionKey,
        copy: &Copy,
        batch: &mut Batch,
    ) -> Result<(), VaultError> {
        for blob in copy.files_of(&copy.fields()) {
            mark(batch, file_of_row(blob, key));
        }
        for (place, upload) in self.uploads_under(&key.to_bytes())? {
            let is_named = copy.files_of(&copy.fields()).any(|blob| Some(blob.root) == upload.named);
            if !is_named {
                self.remove_bytes(&place, &upload, batch)?;
            }
            batch.delete(Table::Vault, upload_row(&place.0, &place.1));
            self.uploads_count = self.uploads_count.saturating_sub(1);
        }
        Ok(())
    }

    /// A document is gone, and so is what was being uploaded for it.
    pub(crate) fn drop_uploads_of(&mut self, id: &DocumentId) -> Result<(), VaultError> {
        for (place, upload) in self.uploads_under(id.as_bytes())? {
            self.drop_upload(&place, &upload)?;
        }
        Ok(())
    }

    /// Uploads to which nothing came for long are forgotten.
    pub(crate) fn drop_stale_uploads(&mut self) -> Result<(), VaultError> {
        let uploads = self.all_uploads()?;
        self.uploads_count = uploads.len();
        for (place, upload) in uploads {
            if upload.touched_ms.saturating_add(self.limits.upload_keep_ms) < self.now.wall.0 {
                self.counters.uploads_expired += 1;
                self.drop_upload(&place, &upload)?;
            }
        }
        Ok(())
    }

    /// How many there are, and the bytes set aside for them.
    pub(crate) fn uploads_load(&self) -> Result<(usize, u64), VaultError> {
        let uploads = self.all_uploads()?;
        Ok((uploads.len(), uploads.iter().fold(0, |sum, (_, upload)| sum.saturating_add(upload.bytes))))
    }

    fn own_upload(&self, account: AccountId, (key, file): &UploadPlace) -> Outcome<Upload> {
        let found = self.disk.get::<Upload>(Table::Vault, &upload_row(key, file))?;
        Ok(match found {
            Some(upload) if upload.account == account => Ok(upload),
            Some(_) => Err(UploadError::Taken("another account uploads here")),
            None => Err(UploadError::Unknown),
        })
    }

    fn all_uploads(&self) -> Result<Vec<(UploadPlace, Upload)>, VaultError> {
        self.uploads_under(&[])
    }

    fn uploads_under(&self, prefix: &[u8]) -> Result<Vec<(UploadPlace, Upload)>, VaultError> {
        let rows = self.disk.scan(Table::Vault, &row(Kind::Upload, &[prefix]), None, usize::MAX)?;
        rows.iter().map(|(at, value)| Ok((place_of(at)?, read::<Upload>(value)?))).collect()
    }

    fn keep_upload(&mut self, (key, file): &UploadPlace, upload: &Upload) -> Result<(), VaultError> {
        let mut batch = Batch::new();
        put(&mut batch, upload_row(key, file), upload);
        self.disk.apply(batch)?;
        self.sync()
    }

    fn drop_upload(&mut self, place: &UploadPlace, upload: &Upload) -> Result<(), VaultError> {
        let mut batch = Batch::new();
        self.remove_bytes(place, upload, &mut batch)?;
        batch.delete(Table::Vault, upload_row(&place.0, &place.1));
        self.uploads_count = self.uploads_count.saturating_sub(1);
        self.disk.apply(batch)
    }

    /// The bytes of an upload that is no document's go, under whichever name they lie, when its row has gone.
    fn remove_bytes(
        &mut self,
        (key, file): &UploadPlace,
        upload: &Upload,
        batch: &mut Batch,
    ) -> Result<(), VaultError> {
        self.upkeep.remove_later(batch, unnamed(key, file));
        if let Some(root) = upload.named {
            let blob = Blob { slot: file.slot, index: file.index, bytes: upload.bytes, root };
            // Until it was checked, a file of that hash that is here is another's; and two may have been checked together.
            let is_shared = self
                .all_uploads()?
                .iter()
                .any(|((other, at), found)| (other, at) != (key, file) && found.is_whole && found.named == Some(root));
            if !is_shared && (upload.is_whole || !self.has_file(&blob)?) {
                self.remove_file(key, &blob, batch)?;
            }
        }
        Ok(())
    }

    /// The names under which bytes of uploads lie, or will.
    pub(crate) fn names_of_uploads(&self) -> Result<BTreeSet<BlobId>, VaultError> {
        let mut names = BTreeSet::new();
        for ((key, file), upload) in self.all_uploads()? {
            names.insert(unnamed(&key, &file));
            names.extend(upload.named.map(|root| root.0));
        }
        Ok(names)
    }

    /// Counts them, at the start.
    pub(crate) fn count_uploads(&mut self) -> Result<(), VaultError> {
        self.uploads_count = self.all_uploads()?.len();
        Ok(())
    }
}
