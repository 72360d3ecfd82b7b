//! SQLite: how a connection is set up, and how its tables are made.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::{
    IndexError,
    schema::{LAYOUT, TABLES},
};

/// Statements that stay prepared for the writer.
const STATEMENTS: usize = 128;

/// How a connection of either kind is set up.
pub(crate) fn set_up(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA busy_timeout = 5000; PRAGMA cache_size = -{cache_kib}; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
    ))
}

/// What only the writer needs: durable from time to time, which loses blocks that are read again, and nothing else.
/// Overwritten with zeros what is deleted: an erased document's public values.
fn set_up_writer(connection: &Connection, cache_mib: usize) -> rusqlite::Result<()> {
    set_up(connection, i64::try_from(cache_mib).unwrap_or(64).saturating_mul(1024))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch(
        "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 16000; PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = ON;",
    )
}

/// Makes a new file for the writer. Ids are random, so each touches a page of its own: small pages make short logs.
pub(crate) fn create(path: &Path, cache_mib: usize) -> Result<Connection, IndexError> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;")?;
    connection.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {LAYOUT}; COMMIT;"))?;
    set_up_writer(&connection, cache_mib)?;
    Ok(connection)
}

/// Opens a file for the writer; `None` when it is of another layout.
pub(crate) fn open(path: &Path, cache_mib: usize) -> Result<Option<Connection>, IndexError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let layout: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if layout != LAYOUT {
        return Ok(None);
    }
    set_up_writer(&connection, cache_mib)?;
    Ok(Some(connection))
}

/// Folds the write-ahead log into the file, as far as readers let it.
pub(crate) fn checkpoint(connection: &Connection) -> Result<(), IndexError> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

/// Folds the whole log into the file and syncs it. While somebody reads what was before, that cannot be.
pub(crate) fn checkpoint_whole(connection: &Connection) -> Result<(), IndexError> {
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0))?;
    if is_busy { Err(IndexError::Locked) } else { Ok(()) }
}
