use std::path::{Path, PathBuf};

use super::Home;
use crate::{
    IndexError,
    database::{Database, sqlite},
    readers::{Files, Readers},
};

/// `index-N.db` in a folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) cache_mib: usize,
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("index-")?.strip_suffix(".db")?.parse().ok()
}

impl Folder {
    fn file(&self, number: u64) -> PathBuf {
        self.path.join(format!("index-{number}.db"))
    }
}

impl Home for Folder {
    fn name(&self, number: u64) -> String {
        self.file(number).display().to_string()
    }

    fn numbers(&self) -> Result<Vec<u64>, IndexError> {
        std::fs::create_dir_all(&self.path)?;
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            numbers.extend(number_of(&entry?.path()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn open(&self, number: u64) -> Result<Option<Database>, IndexError> {
        Ok(sqlite::open(&self.file(number), self.cache_mib)?.map(Database::Sqlite))
    }

    fn create(&self, number: u64) -> Result<Database, IndexError> {
        std::fs::create_dir_all(&self.path)?;
        self.remove(number);
        Ok(Database::Sqlite(sqlite::create(&self.file(number), self.cache_mib)?))
    }

    fn remove(&self, number: u64) {
        let path = self.file(number);
        for path in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), "cannot be removed: {error}");
                }
                _ => {}
            }
        }
    }

    fn readers(&self, number: u64) -> Readers {
        Readers::Sqlite(Files::new(&self.file(number)))
    }

    fn bytes(&self, number: u64, _: &Database) -> Result<u64, IndexError> {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
        let path = self.file(number);
        Ok(size(&path).saturating_add(size(&beside(&path, "-wal"))))
    }
}
