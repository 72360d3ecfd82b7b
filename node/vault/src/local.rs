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

/// Document keys in one file, each under the member's master key, in a place of its own that is overwritten when the key is
/// destroyed. The ids lie in memory, about 60 bytes each.
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
    places: BTreeMap<DocumentId, (u64, bool)>,
    next: u64,
    rng: SeededRng,
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
    /// [`ShelfError`], also for a file that is no shelf.
    pub fn open(path: &Path, master: &Zeroizing<[u8; 32]>, entropy: &[u8; 32]) -> Result<Self, ShelfError> {
        let failed = |error: std::io::Error| shelf_error("open")(error);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.as_mut().map_err(|error| ShelfError { operation: "open", message: error.to_string() })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() < PLACE_BYTES {
            // New, or its making was cut short: nothing was ever kept in it.
            let mut first = [0; PLACE_BYTES];
            first[..MAGIC.len()].copy_from_slice(MAGIC);
            file.write_all_at(&first, 0).and_then(|()| file.sync_all()).map_err(failed)?;
            sync_folder(path).map_err(failed)?;
        } else if bytes[..MAGIC.len()] != *MAGIC {
            return Err(ShelfError { operation: "open", message: "the file is not a shelf of document keys".into() });
        }
        let mut places = BTreeMap::new();
        let mut next = PLACE_BYTES as u64;
        for place in bytes.get(PLACE_BYTES..).unwrap_or_default().chunks_exact(PLACE_BYTES) {
            // A torn place at the end was never synced, so nothing relies on it.
            if let (KEPT | DESTROYED, Ok(id)) = (place[0], <[u8; 16]>::try_from(&place[1..17])) {
                places.insert(DocumentId::new(id), (next, place[0] == KEPT));
            }
            next += PLACE_BYTES as u64;
        }
        let file = file.try_clone().map_err(failed)?;
        let rng = SeededRng::from_seed(entropy);
        let state = Mutex::new(Places { file, places, next, rng });
        Ok(Self { path: path.to_path_buf(), master: XChaCha20Poly1305::new((&**master).into()), state })
    }
}

fn shelf_error(operation: &'static str) -> impl Fn(std::io::Error) -> ShelfError {
    move |error| ShelfError { operation, message: error.to_string() }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

impl Shelf for LocalShelf {
    fn get(&self, id: &DocumentId) -> Result<Shelved, ShelfError> {
        let state = self.state.lock();
        let Some((at, kept)) = state.places.get(id).copied() else { return Ok(Shelved::Absent) };
        if !kept {
            return Ok(Shelved::Destroyed);
        }
        let mut place = Zeroizing::new([0; PLACE_BYTES]);
        state.file.read_exact_at(&mut *place, at).map_err(shelf_error("read a key"))?;
        let nonce: [u8; 24] = place[NONCE].try_into().expect("the range has 24 bytes");
        let payload = Payload { msg: &place[SEALED], aad: id.as_bytes() };
        let opened = self.master.decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new);
        let key = opened.ok().and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        let key = key.ok_or_else(|| ShelfError {
            operation: "read a key",
            message: "it does not open: altered, or sealed under another master key".into(),
        })?;
        Ok(Shelved::Key(Zeroizing::new(key)))
    }

    fn put(&self, id: &DocumentId, key: &DocumentKey) -> Result<(), ShelfError> {
        let mut state = self.state.lock();
        if state.places.contains_key(id) {
            return Err(ShelfError { operation: "keep a key", message: "there is one already".into() });
        }
        let mut nonce = [0; 24];
        state.rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: &key[..], aad: id.as_bytes() };
        let sealed = self.master.encrypt(&XNonce::from(nonce), payload).expect("32 bytes are below the cipher's limit");
        let mut place = [0; PLACE_BYTES];
        place[0] = KEPT;
        place[1..17].copy_from_slice(id.as_bytes());
        place[NONCE].copy_from_slice(&nonce);
        place[SEALED].copy_from_slice(&sealed);
        let at = state.next;
        state.file.write_all_at(&place, at).map_err(shelf_error("keep a key"))?;
        state.next += PLACE_BYTES as u64;
        state.places.insert(*id, (at, true));
        Ok(())
    }

    fn destroy(&self, id: &DocumentId) -> Result<(), ShelfError> {
        let mut state = self.state.lock();
        let at = match state.places.get(id).copied() {
            Some((_, false)) => return Ok(()),
            Some((at, true)) => at,
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
        state.places.insert(*id, (at, false));
        Ok(())
    }

    fn sync(&self) -> Result<(), ShelfError> {
        self.state.lock().file.sync_data().map_err(shelf_error("sync"))
    }
}

/// Files of ciphertext in a folder, in 256 folders by the first byte of their hash.
#[derive(Debug)]
pub struct LocalBlobs {
    folder: PathBuf,
}

impl LocalBlobs {
    /// A folder, made if it is not there.
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        fs::create_dir_all(folder).map_err(blob_error("open"))?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    fn path(&self, id: &BlobId, part: Part) -> PathBuf {
        let name: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let ending = match part {
            Part::Data => "data",
            Part::Tree => "tree",
        };
        self.folder.join(format!("{:02x}", id[0])).join(format!("{name}.{ending}"))
    }

    fn existing(&self, id: &BlobId, part: Part, writes: bool) -> Result<Option<File>, BlobError> {
        match OpenOptions::new().read(true).write(writes).open(self.path(id, part)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(blob_error("open a file")(error)),
        }
    }
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
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(&failed)?;
            }
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
}
