//! Files that rows name: found beside their source, hashed, so that a document's content is what is in its files and not where they
//! lie.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use vouch_types::Hash32;

use crate::{Found, reason::FILE_HELD, value::Wrong};

/// So much of a file's ends is looked at for a password.
const TAIL_BYTES: u64 = 64 << 10;
/// Where a PDF begins at the latest.
const HEAD_BYTES: usize = 1_024;
/// Files whose hashes are kept between the check and the sending.
const KNOWN_MAX: usize = 200_000;

/// A file that goes with a row.
#[derive(Clone, PartialEq, Eq)]
pub struct Attached {
    /// The field that names it.
    pub field: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of what is in it.
    pub hash: Hash32,
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attached({}, {} bytes)", self.field, self.bytes)
    }
}

impl Attached {
    /// Its name without folders.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// What a file was when it was hashed.
type Seen = (u64, Option<SystemTime>);

/// Files that were looked at: a run reads its rows more than once, and large files shall not be.
#[derive(Default)]
pub(crate) struct Attachments(Mutex<BTreeMap<PathBuf, (Seen, Hash32)>>);

impl std::fmt::Debug for Attachments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachments").finish_non_exhaustive()
    }
}

impl Attachments {
    /// The file of a field, by its path below the source's folder.
    pub(crate) fn take(&self, field: &str, name: &str, found: &Found) -> Result<Attached, Wrong> {
        let wrong = |reason: &str| -> Wrong { ("uplink.file", reason.into()) };
        let failed = |error: io::Error| -> Wrong { ("uplink.file", error.to_string().into()) };
        if found.held.is_some() {
            return Err(("uplink.file", FILE_HELD.into()));
        }
        let relative = Path::new(name);
        if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(wrong("a file is named by its path below the source's folder"));
        }
        let base = found.path.parent().filter(|base| !base.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let path = base.join(relative);
        // A link on the way could lead anywhere on this machine.
        let whole = path.canonicalize().map_err(failed)?;
        if !whole.starts_with(base.canonicalize().map_err(failed)?) {
            return Err(wrong("a link leads out of the source's folder"));
        }
        let data = fs::symlink_metadata(&path).map_err(failed)?;
        if !data.is_file() {
            return Err(wrong("this is no file"));
        }
        if data.len() == 0 {
            return Err(wrong("the file is empty"));
        }
        let hash = self.hash(&path, &data)?;
        Ok(Attached { field: field.to_owned(), path, bytes: data.len(), hash })
    }

    fn hash(&self, path: &Path, data: &Metadata) -> Result<Hash32, Wrong> {
        let failed = |error: io::Error| -> Wrong { ("uplink.file", error.to_string().into()) };
        let seen = (data.len(), data.modified().ok());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied();
        if let Some((_, hash)) = known.filter(|(before, _)| *before == seen && seen.1.is_some()) {
            return Ok(hash);
        }
        if is_locked_pdf(path).map_err(failed)? {
            return Err(("uplink.encrypted", "the PDF is encrypted: who is entitled could not read it".into()));
        }
        let hash = hash_of(path, None).map_err(failed)?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KNOWN_MAX {
            all.clear();
        }
        all.insert(path.to_owned(), (seen, hash));
        Ok(hash)
    }
}

/// BLAKE3 of what is in a file, under a key where there is one.
#[cfg(feature = "native")]
pub(crate) fn hash_of(path: &Path, key: Option<&[u8; 32]>) -> io::Result<Hash32> {
    key.map_or_else(|| vouch_files::hash(path), |key| vouch_files::hash_keyed(path, key)).map(Hash32)
}

/// A browser has no files of rows.
#[cfg(not(feature = "native"))]
pub(crate) fn hash_of(_: &Path, _: Option<&[u8; 32]>) -> io::Result<Hash32> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a PDF's trailer names an encryption.
fn is_locked_pdf(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut window = |from: u64| -> io::Result<Vec<u8>> {
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        (&file).take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let head = window(0)?;
    // Readers take what stands before it for nothing.
    if !head.windows(5).take(HEAD_BYTES).any(|window| window == b"%PDF-") {
        return Ok(false);
    }
    let is_locked = |bytes: &[u8]| bytes.windows(8).any(|window| window == b"/Encrypt");
    let tail = window(fs::metadata(path)?.len().saturating_sub(TAIL_BYTES))?;
    // A linearised file has its trailer at the beginning; a table that is a stream says it before its content.
    Ok(is_locked(&head) || is_locked(&tail) || is_locked(&window(table_of(&tail).unwrap_or(0))?))
}

/// Where a PDF's end says that its last table is.
fn table_of(tail: &[u8]) -> Option<u64> {
    const WORD: &[u8] = b"startxref";
    let at = tail.windows(WORD.len()).rposition(|window| window == WORD)?;
    let rest = tail.get(at + WORD.len()..)?.trim_ascii_start();
    let digits = rest.get(..rest.iter().take_while(|byte| byte.is_ascii_digit()).count())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
