//! The store: opening, reading, writing, copying.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rocksdb::{
    ColumnFamily, DB, Options, ReadOptions, Snapshot, WriteBatch, WriteOptions, checkpoint::Checkpoint, properties,
};
use vouch_ledger::storage::{Batch, Change, Durability, Entry, Storage, StorageError, Table, View};

use crate::{
    StoreError, StoreOptions,
    options::{column_family, database, tables, validate},
    stats::{StoreStats, TableStats},
};

/// Key of the format's number in [`Table::Meta`], `u32` little-endian.
pub const FORMAT_KEY: &[u8] = b"store_format";

/// The format this version reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// Scans longer than this do not push other blocks out of the cache, in entries.
const SCAN_CACHED_MAX: usize = 1024;

/// Memory for reading a pinned view, in bytes.
const PIN_CACHE_BYTES: usize = 8 << 20;

/// An open store. While it lives, nobody else can open its directory.
pub struct RocksStore {
    db: DB,
    path: PathBuf,
    /// Set for good by the first failed write: what the disk holds is unknown from then on.
    failed: AtomicBool,
    /// Numbers the pinned views.
    pins: AtomicU64,
}

impl std::fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl RocksStore {
    /// Opens a directory, made if it is not there. Replays the write-ahead log: everything acknowledged is there after.
    ///
    /// # Errors
    /// [`StoreError`]; the directory is then as it was.
    pub fn open(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        validate(&options, path)?;
        let failed = |error: rocksdb::Error| StoreError::from_rocksdb("open", path, &error);
        if path.join("CURRENT").exists() {
            check_tables(path)?;
        } else {
            check_empty(path)?;
        }
        let (database, tables) = (database(&options).map_err(failed)?, tables(&options).map_err(failed)?);
        let db = DB::open_cf_descriptors(&database, path, tables).map_err(failed)?;
        let store = Self { db, path: path.to_path_buf(), failed: AtomicBool::new(false), pins: AtomicU64::new(0) };
        store.check_format()?;
        store.remove_old_pins()?;
        Ok(store)
    }

    /// Where pinned views lie: beside the store, on the same file system, so that files can be linked.
    fn pins_path(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_os_string();
        name.push(".pinned");
        self.path.with_file_name(name)
    }

    /// What an earlier process left when it was killed.
    fn remove_old_pins(&self) -> Result<(), StoreError> {
        let path = self.pins_path();
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::Io { operation: "remove", path, message: error.to_string() })
            }
            _ => Ok(()),
        }
    }

    fn open_pin(&self) -> Result<RocksPin, StoreError> {
        let parent = self.pins_path();
        std::fs::create_dir_all(&parent).map_err(|error| StoreError::Io {
            operation: "create",
            path: parent.clone(),
            message: error.to_string(),
        })?;
        let path = parent.join(self.pins.fetch_add(1, Ordering::Relaxed).to_string());
        self.checkpoint(&path)?;
        // From here on what was made is removed again when it cannot be opened.
        let mut pin = RocksPin { store: None, path };
        let options = StoreOptions { cache_bytes: PIN_CACHE_BYTES, ..StoreOptions::default() };
        pin.store = Some(Self::for_reading(&pin.path, &options)?);
        Ok(pin)
    }

    fn for_reading(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let failed = |error: rocksdb::Error| StoreError::from_rocksdb("open", path, &error);
        let mut database = database(options).map_err(failed)?;
        database.create_if_missing(false);
        database.create_missing_column_families(false);
        let tables = tables(options).map_err(failed)?;
        let db = DB::open_cf_descriptors_read_only(&database, path, tables, false).map_err(failed)?;
        Ok(Self { db, path: path.to_path_buf(), failed: AtomicBool::new(false), pins: AtomicU64::new(0) })
    }

    /// Opens a directory that holds a store, for reading: nothing in it or beside it changes, and every write fails. What the
    /// write-ahead log holds is read into memory.
    ///
    /// # Errors
    /// [`StoreError`], also when there is no store, or one of a version without some of the tables.
    pub fn open_read_only(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        validate(&options, path)?;
        if !path.join("CURRENT").exists() {
            let message = "there is no database".to_owned();
            return Err(StoreError::Io { operation: "open", path: path.to_path_buf(), message });
        }
        check_tables(path)?;
        let store = Self::for_reading(path, &options)?;
        store.check_format()?;
        Ok(store)
    }

    /// Copies everything written so far into a new directory on the same file system, which can be opened as a store. Files
    /// are linked, so that the copy costs little while both stay.
    ///
    /// # Errors
    /// [`StoreError::Io`], for example when `to` exists.
    pub fn checkpoint(&self, to: impl AsRef<Path>) -> Result<(), StoreError> {
        let to = to.as_ref();
        let failed = |error: rocksdb::Error| StoreError::from_rocksdb("write a checkpoint to", to, &error);
        Checkpoint::new(&self.db).map_err(failed)?.create_checkpoint(to).map_err(failed)
    }

    /// Reads every file and compares the checksums of all blocks.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn verify_files(&self) -> Result<(), StoreError> {
        for table in Table::ALL {
            let mut options = ReadOptions::default();
            options.fill_cache(false);
            options.set_verify_checksums(true);
            let mut iterator = self.db.raw_iterator_cf_opt(self.handle(table), options);
            iterator.seek_to_first();
            while iterator.valid() {
                iterator.next();
            }
            iterator.status().map_err(|error| StoreError::from_rocksdb("read", &self.path, &error))?;
        }
        Ok(())
    }

    /// Writes all that is in memory to files. A node needs it never; measurements and tests do.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn flush(&self) -> Result<(), StorageError> {
        for table in Table::ALL {
            self.db.flush_cf(self.handle(table)).map_err(|error| storage_error("flush", &error))?;
        }
        Ok(())
    }

    /// Sizes and health.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn stats(&self) -> Result<StoreStats, StorageError> {
        let number = |handle: &ColumnFamily, name: &properties::PropName| {
            let value = self.db.property_int_value_cf(handle, name);
            value.map(Option::unwrap_or_default).map_err(|error| storage_error("report on itself", &error))
        };
        let mut all = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            let handle = self.handle(table);
            all.push(TableStats {
                table,
                keys_estimate: number(handle, properties::ESTIMATE_NUM_KEYS)?,
                files_bytes: number(handle, properties::LIVE_SST_FILES_SIZE)?,
                memtable_bytes: number(handle, properties::CUR_SIZE_ALL_MEM_TABLES)?,
                compaction_pending_bytes: number(handle, properties::ESTIMATE_PENDING_COMPACTION_BYTES)?,
            });
        }
        let any = self.handle(Table::Meta);
        Ok(StoreStats {
            tables: all,
            cache_used_bytes: number(any, properties::BLOCK_CACHE_USAGE)?,
            compactions_running: number(any, properties::NUM_RUNNING_COMPACTIONS)?,
            flushes_running: number(any, properties::NUM_RUNNING_FLUSHES)?,
            background_errors: number(any, properties::BACKGROUND_ERRORS)?,
            writes_stopped: number(any, properties::IS_WRITE_STOPPED)? != 0,
        })
    }

    /// Where the store lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let unknown = |found: String| StoreError::Format { path: self.path.clone(), found, supported: FORMAT_VERSION };
        let failed = |error: StorageError| StoreError::from_storage(&self.path, error);
        match self.get(Table::Meta, FORMAT_KEY).map_err(failed)? {
            Some(bytes) if bytes == FORMAT_VERSION.to_le_bytes() => Ok(()),
            Some(bytes) => Err(unknown(match <[u8; 4]>::try_from(bytes.as_slice()) {
                Ok(number) => u32::from_le_bytes(number).to_string(),
                Err(_) => "of an unknown kind".into(),
            })),
            // A store that was being made when the power went has no number yet, and nothing else either.
            None if self.is_empty().map_err(failed)? => {
                let mut batch = Batch::new();
                batch.put(Table::Meta, FORMAT_KEY, FORMAT_VERSION.to_le_bytes());
                Ok(self.write(batch, Durability::Synced)?)
            }
            None => Err(unknown("without a number".into())),
        }
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        for table in Table::ALL {
            if self.last(table, None)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn handle(&self, table: Table) -> &ColumnFamily {
        self.db.cf_handle(column_family(table)).expect("open_cf_descriptors opened every table")
    }

    fn check_failed(&self, operation: &'static str) -> Result<(), StorageError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(StorageError { operation, message: "an earlier write failed".into() });
        }
        Ok(())
    }

    fn get_with(&self, table: Table, key: &[u8], options: &ReadOptions) -> Result<Option<Vec<u8>>, StorageError> {
        self.check_failed("read")?;
        let value = self.db.get_pinned_cf_opt(self.handle(table), key, options);
        value.map(|value| value.map(|bytes| bytes.to_vec())).map_err(|error| storage_error("read", &error))
    }

    fn get_many_with(
        &self,
        table: Table,
        keys: &[&[u8]],
        options: &ReadOptions,
    ) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.check_failed("read")?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let values =
            self.db.batched_multi_get_cf_opt(self.handle(table), keys.iter().copied(), keys.is_sorted(), options);
        let values = values.into_iter().map(|value| value.map(|value| value.map(|bytes| bytes.to_vec())));
        values.collect::<Result<_, _>>().map_err(|error| storage_error("read", &error))
    }

    fn scan_with(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
        mut options: ReadOptions,
    ) -> Result<Vec<Entry>, StorageError> {
        self.check_failed("scan")?;
        let mut entries = Vec::new();
        if limit == 0 || to.is_some_and(|to| to <= from) {
            return Ok(entries);
        }
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        options.fill_cache(limit <= SCAN_CACHED_MAX);
        let mut iterator = self.db.raw_iterator_cf_opt(self.handle(table), options);
        iterator.seek(from);
        while let Some((key, value)) = iterator.item() {
            entries.push((key.to_vec(), value.to_vec()));
            if entries.len() == limit {
                break;
            }
            iterator.next();
        }
        iterator.status().map_err(|error| storage_error("scan", &error))?;
        Ok(entries)
    }

    fn last_with(
        &self,
        table: Table,
        before: Option<&[u8]>,
        mut options: ReadOptions,
    ) -> Result<Option<Entry>, StorageError> {
        self.check_failed("scan")?;
        if let Some(before) = before {
            options.set_iterate_upper_bound(before);
        }
        let mut iterator = self.db.raw_iterator_cf_opt(self.handle(table), options);
        iterator.seek_to_last();
        let entry = iterator.item().map(|(key, value)| (key.to_vec(), value.to_vec()));
        iterator.status().map_err(|error| storage_error("scan", &error))?;
        Ok(entry)
    }
}

impl View for RocksStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.get_with(table, key, &ReadOptions::default())
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.get_many_with(table, keys, &ReadOptions::default())
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StorageError> {
        self.scan_with(table, from, to, limit, ReadOptions::default())
    }

    fn last(&self, table: Table, before: Option<&[u8]>) -> Result<Option<Entry>, StorageError> {
        self.last_with(table, before, ReadOptions::default())
    }
}

impl Storage for RocksStore {
    fn view(&self) -> Box<dyn View + '_> {
        Box::new(RocksView { store: self, snapshot: self.db.snapshot() })
    }

    fn pin(&self) -> Result<Option<Arc<dyn View>>, StorageError> {
        self.check_failed("pin")?;
        let failed = |error: StoreError| StorageError { operation: "pin", message: error.to_string() };
        Ok(Some(Arc::new(self.open_pin().map_err(failed)?)))
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), StorageError> {
        self.check_failed("write")?;
        let handles = Table::ALL.map(|table| self.handle(table));
        let mut writes = WriteBatch::with_capacity_bytes(batch.changes.iter().map(change_bytes).sum());
        for change in &batch.changes {
            match change {
                Change::Put(table, key, value) => writes.put_cf(handles[*table as usize], key, value),
                Change::Delete(table, key) => writes.delete_cf(handles[*table as usize], key),
                Change::DeleteRange(table, from, to) if from < to => {
                    writes.delete_range_cf(handles[*table as usize], from, to);
                }
                Change::DeleteRange(..) => {}
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        self.db.write_opt(writes, &options).map_err(|error| {
            self.failed.store(true, Ordering::Release);
            storage_error("write", &error)
        })
    }
}

/// A snapshot of the store.
struct RocksView<'a> {
    store: &'a RocksStore,
    snapshot: Snapshot<'a>,
}

impl RocksView<'_> {
    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options
    }
}

impl View for RocksView<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.get_with(table, key, &self.options())
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.store.get_many_with(table, keys, &self.options())
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StorageError> {
        self.store.scan_with(table, from, to, limit, self.options())
    }

    fn last(&self, table: Table, before: Option<&[u8]>) -> Result<Option<Entry>, StorageError> {
        self.store.last_with(table, before, self.options())
    }
}

/// A checkpoint, opened for reading, that is removed when nobody holds it any more.
struct RocksPin {
    /// There but while it is opened and dropped.
    store: Option<RocksStore>,
    path: PathBuf,
}

impl RocksPin {
    fn store(&self) -> Result<&RocksStore, StorageError> {
        self.store.as_ref().ok_or_else(|| StorageError { operation: "read", message: "the view is closed".into() })
    }
}

impl Drop for RocksPin {
    fn drop(&mut self) {
        drop(self.store.take());
        // What stays behind is removed at the next start.
        drop(std::fs::remove_dir_all(&self.path));
    }
}

impl View for RocksPin {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.store()?.get(table, key)
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.store()?.get_many(table, keys)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StorageError> {
        self.store()?.scan(table, from, to, limit)
    }

    fn last(&self, table: Table, before: Option<&[u8]>) -> Result<Option<Entry>, StorageError> {
        self.store()?.last(table, before)
    }
}

/// About what a change takes in a write batch.
fn change_bytes(change: &Change) -> usize {
    const FRAME_BYTES: usize = 12;
    FRAME_BYTES
        + match change {
            Change::Put(_, key, value) => key.len() + value.len(),
            Change::Delete(_, key) => key.len(),
            Change::DeleteRange(_, from, to) => from.len() + to.len(),
        }
}

fn storage_error(operation: &'static str, error: &rocksdb::Error) -> StorageError {
    StorageError { operation, message: error.as_ref().to_owned() }
}

/// A directory without a database must have nothing in it: it might be a wrong path, or a database that lost its start.
fn check_empty(path: &Path) -> Result<(), StoreError> {
    let io = |error: std::io::Error| StoreError::Io {
        operation: "open",
        path: path.to_path_buf(),
        message: error.to_string(),
    };
    if !path.exists() {
        return std::fs::create_dir_all(path).map_err(io);
    }
    for entry in std::fs::read_dir(path).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".sst") || name.ends_with(".log") {
            return Err(StoreError::Damaged {
                path: path.to_path_buf(),
                message: format!("CURRENT is missing, {name} is there"),
            });
        }
    }
    Ok(())
}

/// A database with tables this version does not know was written by another one.
fn check_tables(path: &Path) -> Result<(), StoreError> {
    let names =
        DB::list_cf(&Options::default(), path).map_err(|error| StoreError::from_rocksdb("open", path, &error))?;
    let known = |name: &String| name == "default" || Table::ALL.iter().any(|&table| column_family(table) == name);
    match names.iter().find(|name| !known(name)) {
        Some(name) => Err(StoreError::Format {
            path: path.to_path_buf(),
            found: format!("with a table {name}"),
            supported: FORMAT_VERSION,
        }),
        None => Ok(()),
    }
}
