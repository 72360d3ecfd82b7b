//! Files of documents on their way from the own node: each group of 16 KiB is checked against the root over the files that the
//! chain's state proves, then opened with the key of the field, and at the end the whole against the hash that the field names.
//!
//! ```text
//! open --field under the root, leaf of the file under the root over files--> key
//! piece --verified groups--> segments --opened--> writer … --keyed hash of all of it--> done
//! ```

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, AsyncWrite, AsyncWriteExt as _};
use vouch_privacy::{
    RecipientSecret, SeededRng,
    attachment::{
        AttachmentError, AttachmentValue, Blob, GROUP_BYTES, HEAD_BYTES, HashKey, Opener, SEGMENT_BYTES, TreeHasher,
        verify_piece,
    },
    reading::{CheckedFile, Expected, check_opening},
    sealing::FieldKey,
};
use vouch_types::{
    DocumentRoot, Hash32, Height,
    api::{FILE_PIECE_BYTES_MAX, FileOpening, OpenFileRequest},
    document::{DocumentId, VersionKey},
};
use zeroize::Zeroizing;

use crate::{
    Client, Error, FileProgress, OnProgress,
    random::random,
    reading::Named,
    transport::{Body, Call},
};

/// Times that a file is opened anew within one reading, because openings end.
const OPENINGS_MAX: u32 = 64;

/// Which file, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRequest {
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// The field that names it.
    pub field: String,
    /// Position in that field, from 0.
    pub index: u16,
    /// A code that the schema lists; it stands in the read audit.
    pub purpose: String,
}

/// What a file is, as the field says that names it; checked to stand under the root that the chain's state proves.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FileFacts {
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// The field.
    pub field: String,
    /// Position in that field.
    pub index: u16,
    /// Name.
    pub name: String,
    /// Media type.
    pub media: String,
    /// Length in bytes.
    pub size: u64,
    /// Keyed BLAKE3 of the content.
    pub b3: Hash32,
    /// The document's root.
    pub root: DocumentRoot,
    /// The height of the block whose state proves it.
    pub proven_at: Height,
    /// Bytes of it that were there already when it was read.
    pub resumed: u64,
}

/// A file that was opened for reading.
pub struct OpenFile<'a> {
    client: &'a Client,
    request: FileRequest,
    facts: FileFacts,
    blob: Blob,
    key: FieldKey,
    b3_key: Hash32,
    opening: String,
    piece_bytes: u64,
    openings: u32,
    /// The next segment to be opened; all before it were.
    segment: u32,
    hasher: TreeHasher,
}

impl core::fmt::Debug for OpenFile<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OpenFile({} version {}, field {})", self.facts.document, self.facts.version, self.facts.field)
    }
}

/// What an opening came to after all checks.
struct Checked {
    facts: FileFacts,
    value: AttachmentValue,
    blob: Blob,
    key: FieldKey,
    opening: String,
    piece_bytes: u64,
}

impl Client {
    /// Opens a file for a purpose; the opening stands in the node's read audit.
    ///
    /// # Errors
    /// `vault.not_allowed` when the contract says no; `vault.no_file`; [`Error::NotAsCommitted`].
    pub async fn open_document_file(&self, request: &FileRequest) -> Result<OpenFile<'_>, Error> {
        let Checked { facts, value, blob, key, opening, piece_bytes } = self.checked_opening(request).await?;
        let b3_key = value.b3_key;
        Ok(OpenFile {
            client: self,
            request: request.clone(),
            facts,
            blob,
            key,
            b3_key,
            opening,
            piece_bytes,
            openings: 1,
            segment: 0,
            hasher: TreeHasher::new(HashKey::Keyed(b3_key.0)),
        })
    }

    /// Reads a whole file into a writer: each byte is checked before it is written, and the end of the file before this returns.
    /// A few MiB are in memory, however large it is. To go on with a file that is there in part, see [`OpenFile::resume`]; for a
    /// file on the disk, [`Client::save_document_file`].
    ///
    /// # Errors
    /// As [`Client::open_document_file`]; [`Error::FileDamaged`] with document, field and bytes.
    pub async fn read_document_file(
        &self,
        request: &FileRequest,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Result<FileFacts, Error> {
        self.open_document_file(request).await?.copy_to(writer, None).await
    }

    /// Reads a file to a path where nothing is yet. Until all of it is there and checked it lies beside it, under its name with
    /// the beginning of its hash and `.part`; a second call goes on from there.
    ///
    /// # Errors
    /// As [`Client::read_document_file`]; [`Error::File`].
    pub async fn save_document_file(
        &self,
        request: &FileRequest,
        path: &Path,
        progress: Option<OnProgress>,
    ) -> Result<FileFacts, Error> {
        if tokio::fs::try_exists(path).await.map_err(|error| Error::file_io(path, error))? {
            return Err(Error::file_exists(path));
        }
        let mut file = self.open_document_file(request).await?;
        let part = part_of(path, &file.facts.b3);
        let failed = |error: std::io::Error| Error::file_io(&part, error);
        let mut options = tokio::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        options.mode(0o600);
        let mut writer = options.open(&part).await.map_err(failed)?;
        let there = writer.metadata().await.map_err(failed)?.len();
        if there > 0 {
            let kept = file.resume(&mut writer).await?;
            writer.set_len(kept).await.map_err(failed)?;
            writer.seek(SeekFrom::Start(kept)).await.map_err(failed)?;
        }
        let facts = match file.copy_to(&mut writer, progress.clone()).await {
            Err(Error::NotAsCommitted { .. }) if there > 0 => {
                // Every byte that came now was checked: what lay here was something else.
                writer.set_len(0).await.map_err(failed)?;
                writer.seek(SeekFrom::Start(0)).await.map_err(failed)?;
                self.open_document_file(request).await?.copy_to(&mut writer, progress).await?
            }
            copied => copied?,
        };
        writer.sync_all().await.map_err(failed)?;
        drop(writer);
        put_in_place(&part, path).await?;
        Ok(facts)
    }

    async fn checked_opening(&self, request: &FileRequest) -> Result<Checked, Error> {
        let FileRequest { document, version, field, index, purpose } = request;
        let Named { proven, proven_at, issuer, schema } = self.named_version(*document, *version).await?;
        let missing = || Error::Construction(format!("the schema {} has no field {field}", schema.id()));
        let slot = schema.slot(field).ok_or_else(missing)?;
        let mut rng = SeededRng::from_seed(&random()?);
        let reader = RecipientSecret::generate(&mut rng);
        let body = json!(OpenFileRequest { purpose: purpose.clone(), recipient: reader.public().0 });
        let path = format!("/api/v1/documents/{document}/versions/{version}/files/{slot}/{index}/open");
        let opening: FileOpening = self.transport.json(&Self::signed(Call::post(path, Body::Json(body)))).await?;
        let false_said = |reason: String| self.not_as_committed(reason);
        let (root, blob_root) = (proven.content.root, proven.content.blob_root);
        let key = VersionKey { id: *document, version: *version };
        let expected = Expected { key, issuer: &issuer, root, blob_root, schema: &schema };
        let checked = check_opening(&opening, (slot, *index), &reader, self.known_chain()?, &expected);
        let CheckedFile { value, blob, key } = checked.map_err(false_said)?;
        let facts = FileFacts {
            document: *document,
            version: *version,
            field: field.clone(),
            index: *index,
            name: value.name.clone(),
            media: value.media.clone(),
            size: value.size,
            b3: value.b3,
            root,
            proven_at,
            resumed: 0,
        };
        let most = u64::try_from(FILE_PIECE_BYTES_MAX).unwrap_or(u64::MAX);
        let piece_bytes = (opening.piece_bytes.min(most) / GROUP_BYTES).max(1) * GROUP_BYTES;
        Ok(Checked { facts, value, blob, key, opening: opening.opening.to_string(), piece_bytes })
    }
}

/// Gives a file that is whole its name, not over what somebody else put there meanwhile where the file system can tell.
async fn put_in_place(part: &Path, path: &Path) -> Result<(), Error> {
    let (from, to) = (part.to_path_buf(), path.to_path_buf());
    let moved = tokio::task::spawn_blocking(move || vouch_files::move_new(&from, &to)).await;
    match moved.unwrap_or_else(|ended| Err(std::io::Error::other(ended))) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::file_exists(path)),
        Err(error) => Err(Error::file_io(path, error)),
    }
}

fn part_of(path: &Path, b3: &Hash32) -> PathBuf {
    let hash = b3.to_string();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", hash.get(..16).unwrap_or_default()));
    path.with_file_name(name)
}

impl OpenFile<'_> {
    /// What it is.
    #[must_use]
    pub const fn facts(&self) -> &FileFacts {
        &self.facts
    }

    /// Takes the beginning of the content that is there already: as many bytes as are whole segments count, and are given back.
    /// Whether they are the file's is known when all of it was read.
    ///
    /// # Errors
    /// Those of the reader, [`Error::File`].
    pub async fn resume(&mut self, there: &mut (impl AsyncRead + Unpin)) -> Result<u64, Error> {
        let segment_bytes = u64::try_from(SEGMENT_BYTES).unwrap_or(u64::MAX);
        let last = self.facts.size.div_ceil(segment_bytes).max(1) - 1;
        let mut segment = Zeroizing::new(vec![0; SEGMENT_BYTES]);
        while u64::from(self.segment) < last {
            let mut filled = 0;
            while filled < SEGMENT_BYTES {
                let read = there.read(&mut segment[filled..]).await;
                let count = read.map_err(|error| Error::file_io(Path::new(&self.facts.name), error))?;
                if count == 0 {
                    break;
                }
                filled += count;
            }
            if filled < SEGMENT_BYTES {
                break;
            }
            self.hasher.update(&segment).map_err(|error| Error::Construction(error.to_string()))?;
            self.segment += 1;
        }
        self.facts.resumed = u64::from(self.segment) * segment_bytes;
        Ok(self.facts.resumed)
    }

    /// Reads the rest into a writer. Each byte is checked before it is written.
    ///
    /// # Errors
    /// [`Error::FileDamaged`] with document, field and bytes when the node shows something else than the chain commits to;
    /// [`Error::NotAsCommitted`] when the whole is not what the field says: then nothing of what was written counts.
    pub async fn copy_to(
        mut self,
        writer: &mut (impl AsyncWrite + Unpin),
        progress: Option<OnProgress>,
    ) -> Result<FileFacts, Error> {
        let head_end = GROUP_BYTES.min(self.blob.bytes);
        let first = self.piece(0, head_end).await?;
        let head: &[u8; HEAD_BYTES] =
            first.first_chunk().ok_or_else(|| self.damaged(0, head_end, "there is no beginning"))?;
        let opener = Opener::new(&self.key, self.facts.index, head, self.facts.size);
        let opener = opener.map_err(|error| self.damaged(0, head_end, error))?;
        let (start, _) = opener.place(self.segment);
        // Whole groups are asked for; the first one may be here.
        let mut from = start / GROUP_BYTES * GROUP_BYTES;
        let mut buffer = if from == 0 { first } else { Vec::new() };
        while self.segment < opener.segments() {
            let (at, length) = opener.place(self.segment);
            let end = at + u64::try_from(length).unwrap_or(u64::MAX);
            while from + length_of(&buffer) < end {
                let next = from + length_of(&buffer);
                if next >= self.blob.bytes {
                    return Err(self.damaged(at, self.blob.bytes, "the ciphertext is shorter than the file"));
                }
                let piece = self.piece(next, self.blob.bytes.min(next + self.piece_bytes)).await?;
                buffer.extend_from_slice(&piece);
                self.tell(progress.as_ref(), from + length_of(&buffer));
            }
            let skip = usize::try_from(at - from).unwrap_or(usize::MAX);
            let plain = opener.open(self.segment, &buffer[skip..skip + length]);
            let plain = plain.map_err(|error| self.damaged(at, end, error))?;
            writer.write_all(&plain).await.map_err(|error| Error::file_io(Path::new(&self.facts.name), error))?;
            self.hasher.update(&plain).map_err(|error| self.damaged(at, end, error))?;
            self.segment += 1;
            if from + length_of(&buffer) < end + u64::try_from(length).unwrap_or(u64::MAX) {
                buffer.drain(..skip + length);
                from = end;
            }
        }
        writer.flush().await.map_err(|error| Error::file_io(Path::new(&self.facts.name), error))?;
        let (b3, groups) = self.hasher.finish();
        if b3 != self.facts.b3 || groups.bytes != self.facts.size {
            let FileFacts { document, version, field, index, .. } = &self.facts;
            let reason = format!("document {document} version {version}, field {field}, file {index}: another content");
            return Err(self.client.not_as_committed(reason));
        }
        Ok(self.facts)
    }

    fn tell(&self, progress: Option<&OnProgress>, done: u64) {
        if let Some(progress) = progress {
            let FileFacts { name, resumed, .. } = &self.facts;
            progress(&FileProgress { name: name.clone(), done, bytes: self.blob.bytes, resumed: *resumed });
        }
    }

    /// A checked range of the ciphertext. An opening that is over is renewed.
    async fn piece(&mut self, from: u64, to: u64) -> Result<Vec<u8>, Error> {
        let FileFacts { document, version, index, .. } = &self.facts;
        let base = format!("/api/v1/documents/{document}/versions/{version}/files/{}/{index}", self.blob.slot);
        loop {
            let path = format!("{base}?opening={}&from={from}&to={to}", self.opening);
            let call = Call { accept: "application/octet-stream", ..Call::get(path) };
            let encoded = match self.client.transport.bytes(&Client::signed(call)).await {
                Err(error) if error.code() == "vault.opening_unknown" && self.openings < OPENINGS_MAX => {
                    let again = self.client.checked_opening(&self.request).await?;
                    if again.blob != self.blob || again.value.b3_key != self.b3_key {
                        return Err(self.client.not_as_committed("it shows another file than before"));
                    }
                    self.opening = again.opening;
                    self.openings += 1;
                    continue;
                }
                answered => answered?,
            };
            return verify_piece(&self.blob, from, to, &encoded).map_err(|error| match error {
                AttachmentError::Piece(at) => self.damaged(at, to.min(at + GROUP_BYTES), "not under the file's root"),
                other => self.damaged(from, to, other),
            });
        }
    }

    fn damaged(&self, from: u64, to: u64, reason: impl core::fmt::Display) -> Error {
        let FileFacts { document, version, field, index, .. } = &self.facts;
        let place = format!("document {document} version {version}, field {field}, file {index}, bytes {from} to {to}");
        Error::FileDamaged { place, from, to, reason: reason.to_string() }
    }
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
