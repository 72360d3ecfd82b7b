//! The shelf and the place of files on a local disk. Nothing here is asynchronous; the vault's thread waits.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    ops::Range,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use parking_lot::Mutex;
use rand_core::Rng as _;
use vouch_files::sync_folder;
use vouch_privacy::SeededRng;
use zeroize::Zeroizing;

use crate::{
    blobs::{BlobError, BlobId, Blobs, Part},
    shelf::{DocumentKey, Shelf, ShelfError, Shelved},
    words::DocumentId,
};

/// First bytes of a shelf file.
const MAGIC: &[u8; 16] = b"vouch shelf 1\0\0\0";
/// Bytes of a place on the shelf. A power of two below a sector, so that a place is overwritten as a whole.
const PLACE_BYTES: usize = 128;
const NONCE: Range<usize> = 17..41;
const SEALED: Range<usize> = 41..89;
const KEPT: u8 = 1;
const DESTROYED: u8 = 2;
/// What the first place seals in the part where others have a key: it opens under the right master key alone.
const CHECK: [u8; 32] = *b"this is the shelf's master key\0\0";

/// Document keys in one file, each under the member's master key, in a place of its own that is overwritten when the key is
/// destroyed. The ids lie in memory, about 60 bytes each.
///
/// The first place tells whether the master key is the right one. So a key that does not open was altered on the disk: it
/// is as good as none, its document is fetched anew, and a new key takes its place. Nothing of that stops a node.
///
/// Overwriting reaches the medium on a plain disk and file system. One that copies on write, or a drive that moves sectors,
/// may keep the old bytes for a while: there the master key is what protects them.
pub struct LocalShelf {
    path: PathBuf,
    master: XChaCha20Poly1305,
    state: Mutex<Places>,
}

struct Places {
    file: File,
    places: BTreeMap<DocumentId, (u64, Mark)>,
    next: u64,
    rng: SeededRng,
}

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A key lies there.
    Kept,
    /// One did.
    Destroyed,
    /// What lies there was altered and opens nothing.
    Damaged,
}

impl core::fmt::Debug for LocalShelf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LocalShelf").field("path", &self.path).finish_non_exhaustive()
    }
}

impl LocalShelf {
    /// Opens a shelf, made if it is not there. `entropy` seeds the nonces; no two starts may share it.
    ///
    /// # Errors
    /// [`ShelfError`], also for a file that is no shelf, or one under another master key.
    pub fn open(path: &Path, master: &Zeroizing<[u8; 32]>, entropy: &[u8; 32]) -> Result<Self, ShelfError> {
        let failed = |error: std::io::Error| shelf_error("open")(error);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.as_mut().map_err(|error| ShelfError { operation: "open", message: error.to_string() })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let master = XChaCha20Poly1305::new((&**master).into());
        let mut rng = SeededRng::from_seed(entropy);
        // New, or its making was cut short, perhaps after the file had grown: nothing was ever kept in it.
        let is_new = bytes.len() < PLACE_BYTES || bytes.iter().all(|byte| *byte == 0);
        if !is_new && bytes[..MAGIC.len()] != *MAGIC {
            return Err(ShelfError { operation: "open", message: "the file is not a shelf of document keys".into() });
        }
        let (first, rest) = bytes.split_at_checked(PLACE_BYTES).unwrap_or_default();
        if is_new || !is_checked(&master, first) {
            // Altered, or of a shelf from before there was a check: a key that opens tells as much.
            let mut kept = rest.chunks_exact(PLACE_BYTES).filter(|place| place[0] == KEPT).peekable();
            if kept.peek().is_some() && !kept.any(|place| open_place(&master, place, &place[1..17]).is_some()) {
                let message = "no key opens: they are sealed under another master key".into();
                return Err(ShelfError { operation: "open", message });
            }
            let mut first = sealed_place(&master, &CHECK, MAGIC, &mut rng);
            first[..MAGIC.len()].copy_from_slice(MAGIC);
            file.write_all_at(&first, 0).and_then(|()| file.sync_all()).map_err(failed)?;
            sync_folder(path).map_err(failed)?;
        }
        let mut places = BTreeMap::new();
        let mut next = PLACE_BYTES as u64;
        for place in rest.chunks_exact(PLACE_BYTES) {
            // A torn place at the end was never synced, so nothing relies on it.
            if let (KEPT | DESTROYED, Ok(id)) = (place[0], <[u8; 16]>::try_from(&place[1..17])) {
                let mark = if place[0] == KEPT { Mark::Kept } else { Mark::Destroyed };
                places.insert(DocumentId::new(id), (next, mark));
            }
            next += PLACE_BYTES as u64;
        }
        let file = file.try_clone().map_err(failed)?;
        let state = Mutex::new(Places { file, places, next, rng });
        Ok(Self { path: path.to_path_buf(), master, state })
    }
}

/// A place that holds 32 bytes, sealed together with what names them.
fn sealed_place(master: &XChaCha20Poly1305, bytes: &[u8; 32], name: &[u8], rng: &mut SeededRng) -> [u8; PLACE_BYTES] {
    let mut nonce = [0; 24];
    rng.fill_bytes(&mut nonce);
    let payload = Payload { msg: bytes, aad: name };
    let sealed = master.encrypt(&XNonce::from(nonce), payload).expect("32 bytes are below the cipher's limit");
    let mut place = [0; PLACE_BYTES];
    place[NONCE].copy_from_slice(&nonce);
    place[SEALED].copy_from_slice(&sealed);
    place
}

/// The inverse; `None` when the place was altered, or sealed under another master key or name.
fn open_place(master: &XChaCha20Poly1305, place: &[u8], name: &[u8]) -> Option<DocumentKey> {
    let nonce: [u8; 24] = place.get(NONCE)?.try_into().ok()?;
    let payload = Payload { msg: place.get(SEALED)?, aad: name };
    let opened = Zeroizing::new(master.decrypt(&XNonce::from(nonce), payload).ok()?);
    <[u8; 32]>::try_from(opened.as_slice()).ok().map(Zeroizing::new)
}

fn is_checked(master: &XChaCha20Poly1305, first: &[u8]) -> bool {
    open_place(master, first, MAGIC).is_some_and(|check| *check == CHECK)
}

fn shelf_error(operation: &'static str) -> impl Fn(std::io::Error) -> ShelfError {
    move |error| ShelfError { operation, message: error.to_string() }
}

impl Shelf for LocalShelf {
    fn get(&self, id: &DocumentId) -> Result<Shelved, ShelfError> {
        let mut state = self.state.lock();
        let at = match state.places.get(id).copied() {
            None | Some((_, Mark::Damaged)) => return Ok(Shelved::Absent),
            Some((_, Mark::Destroyed)) => return Ok(Shelved::Destroyed),
            Some((at, Mark::Kept)) => at,
        };
        let mut place = Zeroizing::new([0; PLACE_BYTES]);
        state.file.read_exact_at(&mut *place, at).map_err(shelf_error("read a key"))?;
        if let Some(key) = open_place(&self.master, &*place, id.as_bytes()) {
            return Ok(Shelved::Key(key));
        }
        tracing::error!(document = %id, "the key of a document was altered on the shelf; it is fetched anew");
        state.places.insert(*id, (at, Mark::Damaged));
        Ok(Shelved::Absent)
    }

    fn put(&self, id: &DocumentId, key: &DocumentKey) -> Result<(), ShelfError> {
        let mut state = self.state.lock();
        let at = match state.places.get(id).copied() {
            None => state.next,
            Some((at, Mark::Damaged)) => at,
            Some(_) => return Err(ShelfError { operation: "keep a key", message: "there is one already".into() }),
        };
        let mut place = sealed_place(&self.master, key, id.as_bytes(), &mut state.rng);
        place[0] = KEPT;
        place[1..17].copy_from_slice(id.as_bytes());
        state.file.write_all_at(&place, at).map_err(shelf_error("keep a key"))?;
        state.next = state.next.max(at + PLACE_BYTES as u64);
        state.places.insert(*id, (at, Mark::Kept));
        Ok(())
    }

    fn destroy(&self, id: &DocumentId) -> Result<(), ShelfError> {
        let mut state = self.state.lock();
        let at = match state.places.get(id).copied() {
            Some((_, Mark::Destroyed)) => return Ok(()),
            Some((at, _)) => at,
            None => {
                let at = state.next;
                state.next += PLACE_BYTES as u64;
                at
            }
        };
        let mut place = [0; PLACE_BYTES];
        place[0] = DESTROYED;
        place[1..17].copy_from_slice(id.as_bytes());
        state.file.write_all_at(&place, at).map_err(shelf_error("destroy a key"))?;
        state.file.sync_data().map_err(shelf_error("destroy a key"))?;
        state.places.insert(*id, (at, Mark::Destroyed));
        Ok(())
    }

    fn sync(&self) -> Result<(), ShelfError> {
        self.state.lock().file.sync_data().map_err(shelf_error("sync"))
    }
}

/// Files of ciphertext in a folder, in 256 folders by the first byte of their hash.
///
/// The folder has a mark. Without it the folder is another one than the files were put into, as when a volume is not mounted:
/// then nothing can be said of any file, not even that it is missing.
#[derive(Debug)]
pub struct LocalBlobs {
    folder: PathBuf,
}

/// The mark of a folder of files.
const FOLDER_MARK: &str = ".vouch";
/// What is wrong with a folder without it, and how to mend it.
const NO_MARK: &str = "the folder of files is not the one that they were put into: is its volume mounted? If it is lost for good, make \
    an empty file .vouch in it, and what others hold is fetched anew";

impl LocalBlobs {
    /// A folder, made if it is not there. `is_used` says whether files were put into it before.
    ///
    /// # Errors
    /// [`BlobError`]; also for an empty folder where files should be.
    pub fn open(folder: &Path, is_used: bool) -> Result<Self, BlobError> {
        let failed = blob_error("open");
        fs::create_dir_all(folder).and_then(|()| sync_folder(folder)).map_err(&failed)?;
        let blobs = Self { folder: folder.to_path_buf() };
        // One from before there was a mark has folders in it.
        if blobs.is_marked().map_err(&failed)? || !is_used || blobs.has_folders().map_err(&failed)? {
            Self::mark(folder)?;
            return Ok(blobs);
        }
        Err(BlobError { operation: "open", message: format!("{}: {NO_MARK}", folder.display()) })
    }

    /// Says that a folder is one of files, durably.
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn mark(folder: &Path) -> Result<(), BlobError> {
        let path = folder.join(FOLDER_MARK);
        let mark = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        mark.and_then(|_| sync_folder(&path)).map_err(blob_error("mark the folder"))
    }

    fn is_marked(&self) -> std::io::Result<bool> {
        self.folder.join(FOLDER_MARK).try_exists()
    }

    fn has_folders(&self) -> std::io::Result<bool> {
        let mut found = fs::read_dir(&self.folder)?;
        found.try_fold(false, |found, entry| Ok(found || first_byte(&entry?.file_name()).is_some()))
    }

    /// Makes the folder that a file lies in. It is durable in its own folder before the file is said to be here, else the
    /// first file of each could be gone after a power cut.
    fn make_folder_of(&self, path: &Path) -> std::io::Result<()> {
        match path.parent() {
            Some(folder) if !folder.exists() => {
                fs::create_dir_all(folder)?;
                File::open(&self.folder)?.sync_all()
            }
            _ => Ok(()),
        }
    }

    fn path(&self, id: &BlobId, part: Part) -> PathBuf {
        self.folder.join(blob_path(id, part))
    }

    fn existing(&self, id: &BlobId, part: Part, writes: bool) -> Result<Option<File>, BlobError> {
        match OpenOptions::new().read(true).write(writes).open(self.path(id, part)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let failed = blob_error("open a file");
                if self.is_marked().map_err(&failed)? { Ok(None) } else { Err(failed(std::io::Error::other(NO_MARK))) }
            }
            Err(error) => Err(blob_error("open a file")(error)),
        }
    }
}

/// The first byte of the names in a folder, by its own name.
fn first_byte(name: &std::ffi::OsStr) -> Option<u8> {
    let name = name.to_str().filter(|name| name.len() == 2)?;
    u8::from_str_radix(name, 16).ok().filter(|byte| format!("{byte:02x}") == name)
}

/// Where a part of a file lies within a folder of files.
#[must_use]
pub fn blob_path(id: &BlobId, part: Part) -> PathBuf {
    let name: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let ending = match part {
        Part::Data => "data",
        Part::Tree => "tree",
    };
    Path::new(&format!("{:02x}", id[0])).join(format!("{name}.{ending}"))
}

/// Which part of which file has a name: the last part of [`blob_path`].
#[must_use]
pub fn blob_of(name: &str) -> Option<(BlobId, Part)> {
    let data = name.strip_suffix(".data").map(|name| (name, Part::Data));
    let (name, part) = data.or_else(|| name.strip_suffix(".tree").map(|name| (name, Part::Tree)))?;
    if name.len() != 64 || !name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut id = BlobId::default();
    for (byte, digits) in id.iter_mut().zip(name.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some((id, part))
}

fn blob_error(operation: &'static str) -> impl Fn(std::io::Error) -> BlobError {
    move |error| BlobError { operation, message: error.to_string() }
}

impl Blobs for LocalBlobs {
    fn size(&self, id: &BlobId, part: Part) -> Result<Option<u64>, BlobError> {
        let file = self.existing(id, part, false)?;
        file.map(|file| file.metadata().map(|data| data.len()).map_err(blob_error("size a file"))).transpose()
    }

    fn read(&self, id: &BlobId, part: Part, range: Range<u64>) -> Result<Vec<u8>, BlobError> {
        let Some(file) = self.existing(id, part, false)? else { return Ok(Vec::new()) };
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match file.read_at(&mut bytes[filled..], range.start + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(blob_error("read a file")(error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn write(&self, id: &BlobId, part: Part, offset: u64, bytes: &[u8]) -> Result<(), BlobError> {
        let path = self.path(id, part);
        let failed = blob_error("write a file");
        let file = if let Some(file) = self.existing(id, part, true)? {
            file
        } else {
            self.make_folder_of(&path).map_err(&failed)?;
            let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
            let file = open.map_err(&failed)?;
            sync_folder(&path).map_err(&failed)?;
            file
        };
        file.write_all_at(bytes, offset).map_err(&failed)
    }

    fn sync(&self, id: &BlobId) -> Result<(), BlobError> {
        for part in [Part::Data, Part::Tree] {
            if let Some(mut file) = self.existing(id, part, true)? {
                file.flush().and_then(|()| file.sync_data()).map_err(blob_error("sync a file"))?;
            }
        }
        Ok(())
    }

    fn remove(&self, id: &BlobId) -> Result<(), BlobError> {
        for part in [Part::Data, Part::Tree] {
            match fs::remove_file(self.path(id, part)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(blob_error("remove a file")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn list(&self, first: u8) -> Result<Vec<BlobId>, BlobError> {
        let failed = blob_error("list files");
        let entries = match fs::read_dir(self.folder.join(format!("{first:02x}"))) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(&failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let blob = entry.map_err(&failed)?.file_name().to_str().and_then(blob_of);
            found.extend(blob.map(|(id, _)| id).filter(|id| id[0] == first));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn rename(&self, id: &BlobId, to: &BlobId) -> Result<(), BlobError> {
        let failed = blob_error("rename a file");
        for part in [Part::Tree, Part::Data] {
            let (from, to) = (self.path(id, part), self.path(to, part));
            self.make_folder_of(&to).map_err(&failed)?;
            match fs::rename(&from, &to) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                renamed => {
                    renamed.and_then(|()| sync_folder(&to)).and_then(|()| sync_folder(&from)).map_err(&failed)?;
                }
            }
        }
        Ok(())
    }

    fn free_bytes(&self) -> Result<Option<u64>, BlobError> {
        let failed = |error: rustix::io::Errno| blob_error("see how much is free")(error.into());
        let found = rustix::fs::statvfs(&self.folder).map_err(failed)?;
        Ok(Some(found.f_bavail.saturating_mul(found.f_frsize)))
    }
}
