//! Files of a document on their way to the own node: sealed as they are read, sent in pieces, taken up where a break ended them.
//!
//! ```text
//! file --read--> Sealer --ciphertext--> piece at the node's offset --> … --> finish(hash) --> value of the field, blob
//!                  '-- what the node has already is sealed again and not sent
//! ```
//!
//! A few MiB are in memory, however large the file is. The keys of a version come from the account's key and a salt, so that a
//! program that is started again makes the same ciphertext, and a note of what it was doing holds nothing secret. What a file
//! holds has a part in its nonces, so that no two contents are ever sealed under the same: a file on the disk is read twice.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::Mutex,
};
use vouch_privacy::{
    DocumentKeys, SeededRng,
    attachment::{AttachmentError, SealedAttachment, Sealer, sealed_bytes},
};
use vouch_types::{
    Hash32, TimestampMs,
    api::{BeginUploadRequest, FILE_PIECE_BYTES_MIN, FinishUploadRequest, UploadView},
    document::DocumentId,
    hash::domain_hash,
};
use zeroize::Zeroizing;

use crate::{
    Client, Error,
    random::random,
    transport::{Body, Call},
};

/// Bytes read from a file at a time.
const READ_BYTES: usize = 256 << 10;
/// Smallest piece that is tried when larger ones do not arrive in time: the smallest that a node takes.
const PIECE_BYTES_MIN: u64 = FILE_PIECE_BYTES_MIN as u64;
/// Beyond the time for any request: what a piece may take over a slow line, and the hashing of a large file.
const PIECE_WAIT: Duration = Duration::from_secs(30);
/// Beginnings of one upload, before it is given up.
const BEGINNINGS_MAX: u32 = 3;
/// Between two looks whether the node is back.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A file that is attached to a document.
#[derive(Clone)]
pub struct DraftFile {
    /// The field that names it.
    pub field: String,
    /// Its name, at most 255 bytes; refused when it holds anything sensitive.
    pub name: String,
    /// Its media type.
    pub media: String,
    source: Source,
    /// BLAKE3 of what is in it, where it is known.
    content: Option<Hash32>,
}

#[derive(Clone)]
enum Source {
    Path(PathBuf),
    Stream(Arc<Stream>),
}

/// A stream is read once.
struct Stream {
    size: u64,
    taken: AtomicBool,
    /// Stands for what it holds, which is not known before it is read.
    chance: OnceLock<[u8; 32]>,
    reader: Mutex<Option<Box<dyn AsyncRead + Send + Unpin>>>,
}

impl core::fmt::Debug for DraftFile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "DraftFile(field {}, {})", self.field, self.media)
    }
}

impl DraftFile {
    /// A file on the disk, under its own name. It must not change while it is sent.
    ///
    /// # Errors
    /// [`Error::File`] for a path without a name in Unicode.
    pub fn from_path(field: impl Into<String>, path: &Path, media: impl Into<String>) -> Result<Self, Error> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::file_io(path, "the path ends with no name that is text"))?.to_owned();
        Ok(Self {
            field: field.into(),
            name,
            media: media.into(),
            source: Source::Path(path.to_owned()),
            content: None,
        })
    }

    /// Whatever can be read, of a length that is known. It is read once: after a break within one call it goes on. A second
    /// call needs a second stream, of which the node cannot have anything yet: it is sent from its beginning, and no document
    /// that was staged with the first one can be taken up with it.
    pub fn from_reader(
        field: impl Into<String>,
        name: impl Into<String>,
        media: impl Into<String>,
        size: u64,
        reader: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        let reader: Box<dyn AsyncRead + Send + Unpin> = Box::new(reader);
        let (taken, chance) = (AtomicBool::new(false), OnceLock::new());
        let stream = Stream { size, taken, chance, reader: Mutex::new(Some(reader)) };
        let source = Source::Stream(Arc::new(stream));
        Self { field: field.into(), name: name.into(), media: media.into(), source, content: None }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same, of which the BLAKE3 hash is known: a file with another content is refused at its end.
    #[must_use]
    pub const fn of_content(mut self, hash: Hash32) -> Self {
        self.content = Some(hash);
        self
    }

    /// BLAKE3 of what is in it, where it was named.
    pub(crate) const fn known_content(&self) -> Option<Hash32> {
        self.content
    }

    /// Its length.
    pub(crate) async fn size(&self) -> Result<u64, Error> {
        match &self.source {
            Source::Stream(stream) => Ok(stream.size),
            Source::Path(path) => {
                let found = tokio::fs::metadata(path).await.map_err(|error| Error::file_io(path, error))?;
                if !found.is_file() {
                    return Err(Error::file_io(path, "not a file"));
                }
                Ok(found.len())
            }
        }
    }

    /// Another one for another content: the hash under a key of what a file holds, chance for a stream.
    async fn content(&self, key: &[u8; 32]) -> Result<[u8; 32], Error> {
        let path = match &self.source {
            Source::Path(path) => path,
            Source::Stream(stream) => {
                let chance = random()?;
                return Ok(*stream.chance.get_or_init(|| chance));
            }
        };
        let mut reader = self.open().await?;
        let mut hasher = blake3::Hasher::new_keyed(key);
        let mut plain = Zeroizing::new(vec![0; READ_BYTES]);
        loop {
            let count = reader.read(&mut plain).await.map_err(|error| Error::file_io(path, error))?;
            if count == 0 {
                return Ok(*hasher.finalize().as_bytes());
            }
            hasher.update(&plain[..count]);
        }
    }

    /// What the nonces of its ciphertext come from.
    async fn seal_seed(&self, version: &[u8; 32], slot: u16, index: u16, size: u64) -> Result<SealSeed, Error> {
        let place = [slot.to_be_bytes(), index.to_be_bytes()].concat();
        let key = Zeroizing::new(domain_hash("vouch/file-content/1", &[version, &place]).0);
        let content = self.content(&key).await?;
        let seed =
            Zeroizing::new(domain_hash("vouch/file-seal/2", &[version, &place, &size.to_be_bytes(), &content]).0);
        let hasher = matches!(self.source, Source::Path(_)).then(|| blake3::Hasher::new_keyed(&key));
        Ok(SealSeed { seed, content, hasher })
    }

    async fn open(&self) -> Result<Box<dyn AsyncRead + Send + Unpin>, Error> {
        match &self.source {
            Source::Path(path) => {
                let file = tokio::fs::File::open(path).await.map_err(|error| Error::file_io(path, error))?;
                Ok(Box::new(file))
            }
            Source::Stream(stream) => {
                stream.taken.store(true, Ordering::Relaxed);
                let taken = stream.reader.lock().await.take();
                taken.ok_or_else(|| Error::Construction(format!("the stream {} was read before", self.name)))
            }
        }
    }

    /// Whether it can be read from its beginning.
    fn is_fresh(&self) -> bool {
        match &self.source {
            Source::Path(_) => true,
            Source::Stream(stream) => !stream.taken.load(Ordering::Relaxed),
        }
    }

    /// Where it is on the disk; nothing for a stream.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::Path(path) => Some(path),
            Source::Stream(_) => None,
        }
    }

    fn place(&self) -> PathBuf {
        match &self.source {
            Source::Path(path) => path.clone(),
            Source::Stream(_) => PathBuf::from(&self.name),
        }
    }
}

/// What a program needs to take up a submission that broke off: kept as JSON until the document is on the chain. Together
/// with the account's key, and only with it, it leads to the keys of the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resumption {
    /// The id that the document will have, or has.
    pub document: DocumentId,
    /// Makes the version's keys, together with the account's.
    pub salt: Hash32,
}

impl Resumption {
    /// For a new document of an issuer, the member that the account belongs to.
    ///
    /// # Errors
    /// [`Error::Configuration`] without randomness.
    pub fn new(issuer: &str) -> Result<Self, Error> {
        Ok(Self::of(DocumentId::issued(issuer, random()?), Hash32(random()?)))
    }

    /// For a new version of a document.
    ///
    /// # Errors
    /// [`Error::Configuration`] without randomness.
    pub fn of_document(document: DocumentId) -> Result<Self, Error> {
        Ok(Self::of(document, Hash32(random()?)))
    }

    pub(crate) const fn of(document: DocumentId, salt: Hash32) -> Self {
        Self { document, salt }
    }
}

/// How far a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProgress {
    /// Its name.
    pub name: String,
    /// Bytes that are where they are to go.
    pub done: u64,
    /// Of so many.
    pub bytes: u64,
    /// Bytes that were there when this call began.
    pub resumed: u64,
}

/// Told after each piece.
pub type OnProgress = Arc<dyn Fn(&FileProgress) + Send + Sync>;

/// How a document with files is submitted.
#[derive(Clone)]
pub struct SubmitOptions {
    /// To take a submission up that broke off: the same as at the first try.
    pub resumption: Option<Resumption>,
    /// For a new version: the number of the newest one there may be. With another on the chain nothing is sent
    /// ([`Error::Construction`]), so that one that a broken-off run still had under way is not made twice.
    pub follows: Option<u32>,
    /// Told how far each file is.
    pub progress: Option<OnProgress>,
    /// How long nothing may move on before a file is given up, while the node cannot be reached.
    pub patience: Duration,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        Self { resumption: None, follows: None, progress: None, patience: Duration::from_secs(120) }
    }
}

impl core::fmt::Debug for SubmitOptions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SubmitOptions")
            .field("resumption", &self.resumption)
            .field("follows", &self.follows)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// What is done with files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// They are sent.
    Send,
    /// They are sealed and let go: what they would be is wanted.
    Compute,
}

/// One version's files on their way.
pub(crate) struct Uploader<'a> {
    pub(crate) client: &'a Client,
    pub(crate) document: DocumentId,
    pub(crate) version: u32,
    pub(crate) keys: &'a DocumentKeys,
    /// From which the version's keys were made.
    pub(crate) seed: &'a Zeroizing<[u8; 32]>,
    pub(crate) options: &'a SubmitOptions,
}

/// What a file's ciphertext is made from, beside the version's keys.
struct SealSeed {
    seed: Zeroizing<[u8; 32]>,
    content: [u8; 32],
    /// Hashes what is sealed, when that is known beforehand.
    hasher: Option<blake3::Hasher>,
}

impl SealSeed {
    /// The same for the same ciphertext.
    fn tag(&self) -> Hash32 {
        domain_hash("vouch/upload-tag/1", &[&self.seed[..]])
    }

    fn read(&mut self, plain: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(plain);
        }
    }

    /// Whether what was sealed is what the seed was made for.
    fn is_it(&self) -> bool {
        self.hasher.as_ref().is_none_or(|hasher| *hasher.finalize().as_bytes() == self.content)
    }
}

/// An upload that is under way.
struct Sending<'a> {
    file: &'a DraftFile,
    path: String,
    view: UploadView,
    /// Ciphertext that was not sent, and where it begins.
    waiting: Vec<u8>,
    from: u64,
    piece_bytes: u64,
    resumed: u64,
}

impl Uploader<'_> {
    /// Seals a file and sends it, or what the node lacks of it.
    pub(crate) async fn upload(&self, file: &DraftFile, slot: u16, index: u16) -> Result<SealedAttachment, Error> {
        let mut beginnings = 0;
        loop {
            beginnings += 1;
            let error = match self.try_upload(file, slot, index).await {
                Ok(sealed) => return Ok(sealed),
                Err(error) => error,
            };
            let begins_anew = matches!(error.code(), "upload.differs" | "upload.root" | "upload.unknown");
            if !begins_anew || !file.is_fresh() || beginnings >= BEGINNINGS_MAX {
                return Err(error);
            }
            // Another content lies there, or nothing any more.
            if error.code() == "upload.differs" {
                let call = Call { method: Method::DELETE, ..Call::get(self.path(slot, index)) };
                self.client.transport.send(&Client::signed(call)).await?;
            }
        }
    }

    fn path(&self, slot: u16, index: u16) -> String {
        format!("/api/v1/documents/{}/versions/{}/uploads/{slot}/{index}", self.document, self.version)
    }

    /// Seals a file and sends nothing.
    pub(crate) async fn seal(&self, file: &DraftFile, slot: u16, index: u16) -> Result<SealedAttachment, Error> {
        let fault = |error: AttachmentError| Error::Construction(format!("{}: {error}", file.name));
        let seed = file.seal_seed(self.seed, slot, index, file.size().await?).await?;
        let (mut rng, mut sealed) = (SeededRng::from_seed(&seed.seed), Vec::new());
        let mut sealer = Sealer::new(self.keys, slot, index, &mut rng, &mut sealed).map_err(fault)?;
        let (mut reader, mut plain) = (file.open().await?, Zeroizing::new(vec![0; READ_BYTES]));
        loop {
            let count = reader.read(&mut plain).await.map_err(|error| Error::file_io(&file.place(), error))?;
            if count == 0 {
                return sealer.finish(file.name.clone(), file.media.clone(), &mut sealed).map_err(fault);
            }
            sealer.update(&plain[..count], &mut sealed).map_err(fault)?;
            sealed.clear();
        }
    }

    async fn try_upload(&self, file: &DraftFile, slot: u16, index: u16) -> Result<SealedAttachment, Error> {
        let fault = |error: AttachmentError| Error::Construction(format!("{}: {error}", file.name));
        let size = file.size().await?;
        let bytes = sealed_bytes(size).ok_or_else(|| fault(AttachmentError::TooLarge))?;
        let mut seed = file.seal_seed(self.seed, slot, index, size).await?;
        let tag = seed.tag();
        let path = self.path(slot, index);
        let begin = Client::signed(Call::post(path.clone(), Body::Json(json!(BeginUploadRequest { bytes, tag }))));
        let (view, is_staged) = match self.client.transport.json::<UploadView>(&begin).await {
            // The break came after the document was staged: its files are here, and it is made once more to be the same.
            Err(error) if error.code() == "upload.taken" && self.options.resumption.is_some() => {
                (self.all_here(slot, index, bytes, tag), true)
            }
            begun => (begun?, false),
        };
        let (piece_bytes, resumed) = (view.piece_bytes.max(PIECE_BYTES_MIN), view.offset);
        let mut sending = Sending { file, path, view, waiting: Vec::new(), from: 0, piece_bytes, resumed };
        let mut rng = SeededRng::from_seed(&seed.seed);
        let mut sealer = Sealer::new(self.keys, slot, index, &mut rng, &mut sending.waiting).map_err(fault)?;
        let mut reader = file.open().await?;
        let mut plain = Zeroizing::new(vec![0; READ_BYTES]);
        let (mut read, mut hasher) = (0u64, file.content.map(|_| blake3::Hasher::new()));
        loop {
            let count = reader.read(&mut plain).await.map_err(|error| Error::file_io(&file.place(), error))?;
            if count == 0 {
                break;
            }
            read += u64::try_from(count).unwrap_or(u64::MAX);
            if read > size {
                break;
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&plain[..count]);
            }
            seed.read(&plain[..count]);
            sealer.update(&plain[..count], &mut sending.waiting).map_err(fault)?;
            self.send_pieces(&mut sending, false).await?;
        }
        if read != size {
            return Err(Error::file_io(&file.place(), format!("it has other than {size} bytes now: it changed")));
        }
        let is_named = hasher.map(|hasher| Hash32(*hasher.finalize().as_bytes())) == file.content;
        if !is_named || !seed.is_it() {
            return Err(Error::file_io(&file.place(), "its content changed while it was sent"));
        }
        let (name, media) = (file.name.clone(), file.media.clone());
        let sealed = sealer.finish(name, media, &mut sending.waiting).map_err(fault)?;
        self.send_pieces(&mut sending, true).await?;
        if !is_staged {
            self.finish(&sending, sealed.blob.root).await?;
        }
        Ok(sealed)
    }

    const fn all_here(&self, slot: u16, index: u16, bytes: u64, tag: Hash32) -> UploadView {
        let (document, version) = (self.document, self.version);
        let (offset, piece_bytes, until) = (bytes, PIECE_BYTES_MIN, TimestampMs(0));
        UploadView { document, version, slot, index, bytes, offset, piece_bytes, tag, root: None, until }
    }

    /// Sends what is a whole piece, or at the end all that is left. What the node has already is let go.
    async fn send_pieces(&self, sending: &mut Sending<'_>, is_last: bool) -> Result<(), Error> {
        loop {
            let known = sending.view.offset.saturating_sub(sending.from);
            let known = usize::try_from(known).unwrap_or(usize::MAX).min(sending.waiting.len());
            sending.waiting.drain(..known);
            sending.from += u64::try_from(known).unwrap_or(0);
            let piece = usize::try_from(sending.piece_bytes).unwrap_or(usize::MAX);
            if sending.waiting.is_empty() || (sending.waiting.len() < piece && !is_last) {
                return Ok(());
            }
            let piece = bytes::Bytes::copy_from_slice(&sending.waiting[..piece.min(sending.waiting.len())]);
            self.send_piece(sending, piece).await?;
            self.tell(sending);
        }
    }

    fn tell(&self, sending: &Sending<'_>) {
        if let Some(progress) = &self.options.progress {
            progress(&FileProgress {
                name: sending.file.name.clone(),
                done: sending.view.offset,
                bytes: sending.view.bytes,
                resumed: sending.resumed,
            });
        }
    }

    /// Sends the next piece, through breaks of the connection and restarts of the node.
    async fn send_piece(&self, sending: &mut Sending<'_>, piece: bytes::Bytes) -> Result<(), Error> {
        let (begun, offset) = (Instant::now(), sending.view.offset);
        loop {
            let path = format!("{}?offset={offset}", sending.path);
            let call =
                Call { method: Method::PATCH, wait: PIECE_WAIT, ..Call::post(path, Body::Octets(piece.clone())) };
            let error = match self.client.transport.json::<UploadView>(&Client::signed(call)).await {
                Ok(view) => {
                    sending.view = view;
                    return Ok(());
                }
                Err(error) => error,
            };
            let is_heard_before = error.code() == "upload.offset";
            if !(is_heard_before || error.is_passing()) || begun.elapsed() >= self.options.patience {
                return Err(error);
            }
            if matches!(error, Error::Timeout(_)) || error.code() == "request.timeout" {
                // A slow line: smaller pieces arrive.
                sending.piece_bytes = (sending.piece_bytes / 2).max(PIECE_BYTES_MIN);
            }
            // Whether the piece arrived, only the node knows.
            let look = Client::signed(Call::get(sending.path.clone()));
            match self.client.transport.json::<UploadView>(&look).await {
                Ok(view) if view.offset > offset || sending.piece_bytes < length_of(&piece) => {
                    sending.view = view;
                    return Ok(());
                }
                Ok(view) if view.offset < offset => {
                    return Err(Error::BadAnswer {
                        node: self.client.transport.config.nodes.join(", "),
                        reason: format!("it had {offset} bytes of {} and has {} now", sending.file.name, view.offset),
                    });
                }
                // It is there and took nothing: it needs a moment, or another node was asked.
                Ok(_) => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) if error.is_passing() => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// The node hashes the whole file. While it does, it says that the upload is busy.
    async fn finish(&self, sending: &Sending<'_>, root: Hash32) -> Result<(), Error> {
        let begun = Instant::now();
        let body = Body::Json(json!(FinishUploadRequest { root }));
        let call = Call { wait: PIECE_WAIT, ..Call::post(format!("{}/finish", sending.path), body) };
        let call = Client::signed(call);
        loop {
            match self.client.transport.json::<UploadView>(&call).await {
                Ok(view) if view.root == Some(root) => return Ok(()),
                Ok(_) => {
                    let node = self.client.transport.config.nodes.join(", ");
                    return Err(Error::BadAnswer { node, reason: "the upload ended with another hash".into() });
                }
                Err(error) if error.is_passing() && begun.elapsed() < self.options.patience => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: [u8; 32] = [7; 32];

    async fn seed(file: &DraftFile) -> SealSeed {
        file.seal_seed(&VERSION, 4, 1, file.size().await.unwrap()).await.unwrap()
    }

    /// The first bytes of a file's ciphertext, as [`Uploader::upload`] makes it.
    fn head(seed: &SealSeed, plain: &[u8]) -> Vec<u8> {
        let keys = DocumentKeys::generate(&mut SeededRng::from_seed(&VERSION));
        let (mut out, mut rng) = (Vec::new(), SeededRng::from_seed(&seed.seed));
        let mut sealer = Sealer::new(&keys, 4, 1, &mut rng, &mut out).unwrap();
        sealer.update(plain, &mut out).unwrap();
        sealer.finish("n", "text/plain", &mut out).unwrap();
        out
    }

    #[tokio::test]
    async fn two_contents_are_never_sealed_under_the_same_nonces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.pdf");
        let write = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            // A copy that keeps the time, or a coarse clock.
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
        };
        let file = DraftFile::from_path("scan", &path, "application/pdf").unwrap();
        write(b"one content");
        let one = seed(&file).await;
        assert_eq!(seed(&file).await.tag(), one.tag(), "a program that starts again goes on");
        let elsewhere = file.seal_seed(&VERSION, 4, 2, 11).await.unwrap();
        write(b"two content");
        let two = seed(&file).await;
        assert_ne!(one.tag(), two.tag());
        assert_ne!(one.tag(), elsewhere.tag());
        let zeros = vec![0; 11];
        let streams = [one, two, elsewhere].map(|seed| head(&seed, &zeros));
        assert!(streams[0] != streams[1] && streams[0] != streams[2], "another stream of the cipher for each");

        let stream = |content: &'static [u8]| DraftFile::from_reader("scan", "s", "text/plain", 11, content);
        let (first, second) = (stream(b"one content"), stream(b"two content"));
        let of_first = seed(&first).await;
        assert_eq!(of_first.tag(), seed(&first.clone()).await.tag(), "within one call it goes on");
        assert_ne!(of_first.tag(), seed(&second).await.tag());
        assert_ne!(head(&of_first, &zeros), head(&seed(&second).await, &zeros));
    }

    #[tokio::test]
    async fn a_file_that_changes_while_it_is_sent_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.pdf");
        std::fs::write(&path, b"one content").unwrap();
        let file = DraftFile::from_path("scan", &path, "application/pdf").unwrap();
        for (read, is_it) in [(b"one content", true), (b"two content", false)] {
            let mut seed = seed(&file).await;
            seed.read(&read[..4]);
            seed.read(&read[4..]);
            assert_eq!(seed.is_it(), is_it);
        }
    }
}
