//! Files that are whole and durable, or not there: what is written stands under another name until all of it is on the disk. And
//! the hash of what is in one.
//!
//! Deliberately not here: what is in them, databases, and files that are written in place.
//!
//! ```text
//! Draft::beside(TARGET) --> .TARGET.PID.N.draft, 0600, locked --write--> keep(): fsync, rename, fsync of the folder
//!        dropped, or left by a killed process ----------------------------> gone
//! ```
#![forbid(unsafe_code)]

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Ending of a draft's name.
const ENDING: &str = ".draft";
/// A draft that nobody writes is removed when it is older than this: a younger one may not be locked yet.
const LEFT_BEHIND: Duration = Duration::from_secs(60);
/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;
/// Numbers the drafts of this process.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// A file that gets its name when it is whole. Only its owner can read it. Dropped before, it goes with everything in it.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
    is_kept: bool,
}

impl Draft {
    /// A new one in the folder of `target`. What killed processes left there for the same target is removed.
    ///
    /// # Errors
    /// What the system says; also when `target` is no name of a file.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let name =
            target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no name of a file"))?;
        let name = name.to_string_lossy();
        remove_left_behind(folder_of(target), &format!(".{name}."));
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = target.with_file_name(format!(".{name}.{}.{number}{ENDING}", std::process::id()));
            match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    // Tells others that it is being written; without locks its age does for a minute.
                    drop(file.try_lock());
                    return Ok(Self { file, path, target: target.to_path_buf(), is_kept: false });
                }
                // Of a process that had the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The same under one name for each target, in the place of what was left there: for who is alone in the folder, by a
    /// lock of its own, and writes many.
    ///
    /// # Errors
    /// As [`Draft::beside`].
    pub fn alone(target: &Path) -> io::Result<Self> {
        let name =
            target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no name of a file"))?;
        let path = target.with_file_name(format!(".{}{ENDING}", name.to_string_lossy()));
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path);
        Ok(Self { file: opened?, path, target: target.to_path_buf(), is_kept: false })
    }

    /// The file, to write to and to read what was written.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name, in the place of what had it. It is durable when this returns.
    ///
    /// # Errors
    /// What the system says; nothing has changed then, unless only the folder could not be synced.
    pub fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        self.is_kept = true;
        sync_folder(&self.target)
    }

    /// The same, but never in the place of something.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the name is taken, else what the system says.
    pub fn keep_new(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        move_new(&self.path, &self.target)?;
        self.is_kept = true;
        Ok(())
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed now is when the next one is made.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Writes a whole file in the place of what was there; only its owner can read it.
///
/// # Errors
/// What the system says; what was there is there still then.
pub fn write(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = Draft::beside(target)?;
    draft.write_all(bytes)?;
    draft.keep()
}

/// Writes a whole file that was not there; only its owner can read it.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`], else what the system says.
pub fn write_new(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = Draft::beside(target)?;
    draft.write_all(bytes)?;
    draft.keep_new()
}

/// Gives a file another name in its folder or a sibling one, never that of something that is there. The name is durable when
/// this returns; the content is what the caller synced.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when the name is taken, else what the system says.
pub fn move_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // A file system without hard links.
        Err(_) => {
            if to.try_exists()? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)?;
        }
    }
    sync_folder(to)
}

/// Waits until the name of a file is on the disk: the folder that lists it.
///
/// # Errors
/// What the system says.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Waits until a file, or what a folder lists, is on the disk.
///
/// # Errors
/// What the system says.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// BLAKE3 of what is in a file.
///
/// # Errors
/// What the system says.
pub fn hash(path: &Path) -> io::Result<[u8; 32]> {
    read_through(path, |_| Ok(())).map(|(hash, _)| hash)
}

/// BLAKE3 of what is in a file, under a key.
///
/// # Errors
/// What the system says.
pub fn hash_keyed(path: &Path, key: &[u8; 32]) -> io::Result<[u8; 32]> {
    read_with(blake3::Hasher::new_keyed(key), path, |_| Ok(())).map(|(hash, _)| hash)
}

/// Reads a file from its beginning to its end and gives each piece to `take`; BLAKE3 of all of it, and its length.
///
/// # Errors
/// What the system says, and what `take` does.
pub fn read_through(path: &Path, take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<([u8; 32], u64)> {
    read_with(blake3::Hasher::new(), path, take)
}

fn read_with(
    mut hasher: blake3::Hasher,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<([u8; 32], u64)> {
    let mut file = File::open(path)?;
    let (mut piece, mut bytes) = (vec![0; READ_BYTES], 0);
    loop {
        let count = match file.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let read = piece.get(..count).unwrap_or_default();
        if read.is_empty() {
            return Ok((*hasher.finalize().as_bytes(), bytes));
        }
        hasher.update(read);
        take(read)?;
        bytes += count as u64;
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Removes drafts that nobody writes any more. What cannot be looked at stays.
fn remove_left_behind(folder: &Path, beginning: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(beginning) || !name.ends_with(ENDING) {
            continue;
        }
        let is_old = entry.metadata().and_then(|data| data.modified());
        let is_old = is_old.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT_BEHIND));
        if is_old && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, time::SystemTime};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_whole_and_its_owners_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("report");
        let mut draft = Draft::beside(&target).unwrap();
        draft.write_all(b"half").unwrap();
        assert!(!target.exists() && names(folder.path()).len() == 1);
        drop(draft);
        assert!(names(folder.path()).is_empty(), "nothing of it stays");
        write_new(&target, b"whole").unwrap();
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write_new(&target, b"other").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        write(&target, b"newer").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"newer");
        assert_eq!(names(folder.path()), ["report"]);
        assert_eq!(Draft::beside(Path::new("/")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_a_killed_process_left_goes_and_what_another_writes_stays() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("report");
        let old = |file: &File| file.set_modified(SystemTime::now() - 2 * LEFT_BEHIND).unwrap();
        let written = Draft::beside(&target).unwrap();
        old(written.file());
        for left in [".report.1.7.draft", ".report.9.0.draft", ".other.1.7.draft"] {
            old(&File::create(folder.path().join(left)).unwrap());
        }
        File::create(folder.path().join(".report.2.2.draft")).unwrap();
        write(&target, b"whole").unwrap();
        let own = written.path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut expected =
            vec![".other.1.7.draft".to_owned(), ".report.2.2.draft".to_owned(), own, "report".to_owned()];
        expected.sort();
        assert_eq!(names(folder.path()), expected, "another's, a young one, and the one being written");
    }

    #[test]
    fn a_file_is_hashed_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        for content in [vec![], b"small".to_vec(), vec![7; 2 * READ_BYTES + 3]] {
            fs::write(&path, &content).unwrap();
            let (expected, mut read) = (*blake3::hash(&content).as_bytes(), Vec::new());
            let seen = read_through(&path, |piece| read.write_all(piece)).unwrap();
            assert_eq!((seen, hash(&path).unwrap()), ((expected, content.len() as u64), expected));
            assert_eq!(read, content);
        }
        assert_eq!(hash(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let refused = read_through(&path, |_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_name_in_the_current_folder_has_a_folder() {
        assert_eq!(folder_of(Path::new("report")), Path::new("."));
        assert_eq!(folder_of(Path::new("out/report")), Path::new("out"));
    }
}
