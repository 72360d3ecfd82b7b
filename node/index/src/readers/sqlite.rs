use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{
    IndexError,
    database::{Database, sqlite},
};

/// Connections kept open while nobody reads.
const IDLE_MAX: usize = 8;
/// Memory of each, in KiB.
const CACHE_KIB: i64 = 8 << 10;
/// Longest time a read may take. Pages end by themselves long before.
const READ_MAX: Duration = Duration::from_secs(3);
/// Steps of the database between two looks at the clock.
const STEPS: i32 = 20_000;

/// Connections that only read one index's file.
pub(crate) struct Files {
    path: PathBuf,
    idle: Mutex<Vec<Reader>>,
    began: Instant,
}

struct Reader {
    database: Database,
    /// When the read that runs on it has to end, in milliseconds after the pool began.
    deadline: Arc<AtomicU64>,
}

impl Files {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default(), began: Instant::now() }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn open(&self) -> Result<Reader, IndexError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        sqlite::set_up(&connection, CACHE_KIB)?;
        connection.execute_batch("PRAGMA query_only = ON;")?;
        connection.set_prepared_statement_cache_capacity(64);
        let deadline = Arc::new(AtomicU64::new(u64::MAX));
        let (until, began) = (Arc::clone(&deadline), self.began);
        connection.progress_handler(
            STEPS,
            Some(move || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) > until.load(Relaxed)),
        )?;
        Ok(Reader { database: Database::Sqlite(connection), deadline })
    }

    /// Runs reads that see one moment of the file.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Database) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let idle = self.idle.lock().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.open()?,
        };
        let most = u64::try_from(READ_MAX.as_millis()).unwrap_or(u64::MAX);
        reader.deadline.store(self.elapsed_ms().saturating_add(most), Relaxed);
        reader.database.begin_reading()?;
        let end = work(&reader.database);
        reader.deadline.store(u64::MAX, Relaxed);
        // A connection that cannot end its read is not used again.
        if reader.database.commit().is_ok() {
            let mut idle = self.idle.lock();
            if idle.len() < IDLE_MAX {
                idle.push(reader);
            }
        }
        end.map_err(|error| match error {
            IndexError::Storage(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == ErrorCode::OperationInterrupted =>
            {
                IndexError::TooSlow
            }
            other => other,
        })
    }
}
