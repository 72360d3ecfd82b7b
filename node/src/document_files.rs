//! The API's view of files of private documents: what is slow - writing, hashing, cutting - is done beside the vault's thread,
//! between two short calls on it.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vouch_api::{ApiError, FilePlace};
use vouch_types::{
    AccountId, Hash32, TimestampMs,
    api::{
        BeginUploadRequest, FILE_GROUP_BYTES, FILE_PIECE_BYTES_MAX, FileOpening, HexBytes, OpenFileRequest, UploadView,
    },
    encode,
};
use vouch_vault::{
    BlobError, Blobs, FileKey, OpenRequest, UploadError, UploadState, VersionKey, blobs::Part, files::cut_piece,
    uploads::index_upload,
};

use crate::documents::{NodeDocuments, reading, refused};

/// Files hashed at the same time: more would take the processors and the threads that everything else needs.
const HASHED_MAX: usize = 2;

/// Files that are being written or hashed: one request at a time for each.
#[derive(Debug, Clone)]
pub struct FileWork {
    places: Arc<Mutex<BTreeSet<FilePlace>>>,
    hashing: Arc<Semaphore>,
}

impl Default for FileWork {
    fn default() -> Self {
        Self { places: Arc::default(), hashing: Arc::new(Semaphore::new(HASHED_MAX)) }
    }
}

/// While it lives, no other request works on this file's upload.
struct Turn {
    work: FileWork,
    place: FilePlace,
}

impl FileWork {
    fn take(&self, place: FilePlace) -> Result<Turn, ApiError> {
        if self.places.lock().insert(place) {
            return Ok(Turn { work: self.clone(), place });
        }
        Err(ApiError::new("upload.busy", "another request works on this upload").retry_after(1))
    }

    /// A place among those that are hashed.
    fn hash(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.hashing).try_acquire_owned().map_err(|_| {
            ApiError::new("upload.busy", format!("{HASHED_MAX} other files are being hashed")).retry_after(1)
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.work.places.lock().remove(&self.place);
    }
}

const fn names(place: FilePlace) -> (VersionKey, FileKey) {
    let FilePlace { document, version, slot, index } = place;
    (VersionKey { id: document, version }, FileKey { slot, index })
}

fn upload_error(refusal: UploadError) -> ApiError {
    let error = ApiError::new(refusal.code(), refusal.to_string());
    if matches!(refusal, UploadError::Full(_)) { error.retry_after(5) } else { error }
}

/// The place of files failed. Where something was written, the vault finds out when it writes next, and stops the node; where
/// something was read, it is read again. The caller hears of it now.
fn failed(error: &BlobError) -> ApiError {
    ApiError::new("node.storage", error.to_string())
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::new("internal", "work on a file did not end"))
}

fn view(state: UploadState) -> UploadView {
    UploadView {
        document: state.key.id,
        version: state.key.version,
        slot: state.file.slot,
        index: state.file.index,
        bytes: state.bytes,
        offset: state.offset,
        piece_bytes: u64::try_from(FILE_PIECE_BYTES_MAX).unwrap_or(u64::MAX),
        tag: state.tag,
        root: state.root,
        until: TimestampMs(state.until_ms),
    }
}

fn write(blobs: &dyn Blobs, id: &[u8; 32], offset: u64, piece: &[u8]) -> Result<(), BlobError> {
    blobs.write(id, Part::Data, offset, piece)?;
    blobs.sync(id)
}

impl NodeDocuments {
    pub(crate) async fn begin_file(
        &self,
        actor: AccountId,
        place: FilePlace,
        request: BeginUploadRequest,
    ) -> Result<UploadView, ApiError> {
        let BeginUploadRequest { bytes, tag } = request;
        let _turn = self.files.take(place)?;
        let asked = self.vault.ask(move |vault, now| vault.begin_upload(now, actor, names(place), bytes, tag));
        asked.await?.map(view).map_err(upload_error)
    }

    pub(crate) async fn file_upload(&self, actor: AccountId, place: FilePlace) -> Result<UploadView, ApiError> {
        let asked = self.vault.ask(move |vault, _| vault.upload(actor, names(place)));
        asked.await?.map(view).map_err(upload_error)
    }

    /// The work goes on when the caller is gone, so that a piece is never half of one.
    pub(crate) async fn write_piece(
        &self,
        actor: AccountId,
        place: FilePlace,
        offset: u64,
        piece: Bytes,
    ) -> Result<UploadView, ApiError> {
        let turn = self.files.take(place)?;
        let vault = self.vault.clone();
        let work = async move {
            let _turn = turn;
            let length = piece.len();
            let begun = vault.ask(move |vault, _| {
                let id = vault.piece_begins(actor, names(place), offset, length)?;
                Ok(id.map(|id| (id, vault.blobs())))
            });
            let (id, blobs) = begun.await?.map_err(upload_error)?;
            let place_of_files = Arc::clone(&blobs);
            let written = aside(move || write(place_of_files.as_ref(), &id, offset, &piece)).await?;
            written.map_err(|error| failed(&error))?;
            let asked = vault.ask(move |vault, now| vault.piece_written(now, actor, names(place), offset, length));
            let state = asked.await?;
            if state == Err(UploadError::Unknown) {
                // It ended while the piece was written: nothing of it stays.
                aside(move || blobs.remove(&id)).await?.map_err(|error| failed(&error))?;
            }
            state.map(view).map_err(upload_error)
        };
        tokio::spawn(work).await.map_err(|_| ApiError::new("internal", "work on a file did not end"))?
    }

    /// Hashing a large file takes longer than a request may on a slow disk: then the work goes on, and asking again finds it
    /// done or under way.
    pub(crate) async fn finish_file(
        &self,
        actor: AccountId,
        place: FilePlace,
        root: Hash32,
    ) -> Result<UploadView, ApiError> {
        let turn = (self.files.take(place)?, self.files.hash()?);
        let vault = self.vault.clone();
        let work = async move {
            let _turn = turn;
            let named = vault.ask(move |vault, now| {
                let naming = vault.name_upload(now, actor, names(place), root)?;
                Ok(naming.map(|naming| (naming, vault.blobs())))
            });
            let (naming, blobs) = named.await?.map_err(upload_error)?;
            let is_it = aside(move || index_upload(blobs.as_ref(), &naming)).await?.map_err(|e| failed(&e))?;
            let asked = vault.ask(move |vault, now| vault.upload_indexed(now, actor, names(place), &naming, is_it));
            asked.await?.map(view).map_err(upload_error)
        };
        tokio::spawn(work).await.map_err(|_| ApiError::new("internal", "work on a file did not end"))?
    }

    pub(crate) async fn end_file(&self, actor: AccountId, place: FilePlace) -> Result<(), ApiError> {
        let _turn = self.files.take(place)?;
        let asked = self.vault.ask(move |vault, _| vault.end_upload(actor, names(place)));
        asked.await?.map_err(upload_error)
    }

    pub(crate) async fn open(
        &self,
        actor: AccountId,
        place: FilePlace,
        request: OpenFileRequest,
    ) -> Result<FileOpening, ApiError> {
        let (key, file) = names(place);
        let OpenFileRequest { purpose, recipient } = request;
        let request = OpenRequest { actor, key, file, purpose, recipient: recipient.0 };
        let opened = self.vault.ask(move |vault, now| vault.open_file(now, &request)).await?;
        let opened = opened.map_err(|refusal| refused(&refusal))?;
        let mut shown = reading(opened.shown);
        let field = shown.fields.pop().ok_or_else(|| ApiError::new("internal", "a field without its disclosure"))?;
        Ok(FileOpening {
            opening: HexBytes(opened.opening.to_vec()),
            document: place.document,
            version: place.version,
            header: shown.header,
            leaves: shown.leaves,
            field,
            files: opened.files,
            bytes: opened.blob.bytes,
            root: opened.blob.root,
            key: HexBytes(encode(&opened.wrap)),
            piece_bytes: u64::try_from(FILE_PIECE_BYTES_MAX).unwrap_or(u64::MAX),
            until: TimestampMs(opened.until_ms),
            reason: shown.reason,
        })
    }

    pub(crate) async fn cut(
        &self,
        actor: AccountId,
        place: FilePlace,
        opening: [u8; 16],
        range: Range<u64>,
    ) -> Result<Vec<u8>, ApiError> {
        let (key, file) = names(place);
        let asked = self.vault.ask(move |vault, now| {
            let blob = vault.opened_file(now, actor, &key, file, &opening)?;
            Ok(blob.map(|blob| (blob, vault.blobs())))
        });
        let (blob, blobs) = asked.await?.map_err(|refusal| refused(&refusal))?;
        let Range { start, end } = range;
        if end > blob.bytes || !(end.is_multiple_of(FILE_GROUP_BYTES) || end == blob.bytes) {
            let detail = format!("to: expected a multiple of {FILE_GROUP_BYTES}, or the end, {}", blob.bytes);
            return Err(ApiError::new("request.bad_parameter", detail).at("to"));
        }
        let cut = aside(move || cut_piece(blobs.as_ref(), &blob, start, end)).await?;
        if let Ok(Some(piece)) = cut {
            let shown = end - start;
            let noted = self.vault.ask(move |vault, _| {
                vault.file_shown(shown);
                Ok(())
            });
            noted.await?;
            return Ok(piece);
        }
        // The vault looks too: damage is fetched anew, and of what cannot be read the operator hears.
        let found = self.vault.ask(move |vault, now| vault.find_damage(now, &key, &blob, start, end)).await?;
        if let (Err(error), None) = (cut, &found) {
            return Err(failed(&error).retry_after(60));
        }
        let detail = found.map_or_else(
            || format!("{key}: file {} of slot {} is being fetched anew", file.index, file.slot),
            |(field, from, to)| {
                format!(
                    "{key}: field {field}, file {}: bytes {from} to {to} of the sealed file are damaged at this node; they are fetched anew",
                    file.index
                )
            },
        );
        Err(ApiError::new("vault.file_damaged", detail).retry_after(2))
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::document::DocumentId;

    use super::*;

    #[test]
    fn one_request_works_on_an_upload_at_a_time() {
        let work = FileWork::default();
        let place = FilePlace { document: DocumentId::new([1; 16]), version: 1, slot: 2, index: 0 };
        let turn = work.take(place).unwrap_or_else(|_| panic!("free"));
        assert_eq!(work.take(place).err().map(|error| error.code().to_owned()).as_deref(), Some("upload.busy"));
        assert!(work.take(FilePlace { index: 1, ..place }).is_ok(), "another file is another matter");
        drop(turn);
        assert!(work.take(place).is_ok());
    }

    #[test]
    fn few_files_are_hashed_at_a_time() {
        let work = FileWork::default();
        let busy = || work.clone().hash().err().map(|error| (error.code().to_owned(), error.retry_after_s));
        let held: Vec<_> = (0..HASHED_MAX).map(|_| work.hash().unwrap_or_else(|_| panic!("free"))).collect();
        assert_eq!(busy(), Some(("upload.busy".into(), Some(1))), "whose clone it is makes no difference");
        drop(held);
        assert_eq!(busy(), None);
    }
}
