//! How RocksDB is set up, table by table, and why.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, DataBlockIndexType, Env,
    LogLevel, LruCacheOptions, Options, WriteBufferManager,
};
use vouch_ledger::storage::Table;

use crate::StoreError;

/// Least bytes of a part of the cache. A part holds what falls to it by hash, and evicts by itself: the filter of a full file
/// has a megabyte, its index half of that. In parts as small as RocksDB would make them these push out each other and every
/// other block, or do not fit at all and are read again at each look-up.
const CACHE_PART_BYTES_MIN: usize = 16 << 20;

/// What an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Cache of uncompressed blocks, indexes and filters, shared by all tables, in bytes.
    pub cache_bytes: usize,
    /// Writes kept in memory before they become files, all tables together, in bytes. More means fewer and larger files.
    pub write_buffer_bytes: usize,
    /// Most files kept open.
    pub open_files_max: u16,
    /// Most flushes and compactions at a time.
    pub background_jobs: u8,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, write_buffer_bytes: 128 << 20, open_files_max: 512, background_jobs: 2 }
    }
}

/// Name of a table's column family. Part of the format on disk.
pub(crate) const fn column_family(table: Table) -> &'static str {
    match table {
        Table::Meta => "meta",
        Table::Headers => "headers",
        Table::Bodies => "bodies",
        Table::Certificates => "certificates",
        Table::Receipts => "receipts",
        Table::Transactions => "transactions",
        Table::State => "state",
        Table::Slots => "slots",
        Table::Tree => "tree",
        Table::Evidence => "evidence",
        Table::Validators => "validators",
        Table::Undecided => "undecided",
        Table::ConsensusLog => "consensus_log",
        Table::Pending => "pending",
        Table::Vault => "vault",
        Table::VaultCopies => "vault_copies",
        Table::VaultKeys => "vault_keys",
        Table::VaultAudit => "vault_audit",
    }
}

/// Options of the database as a whole.
pub(crate) fn database(options: &StoreOptions) -> Result<Options, rocksdb::Error> {
    // Each log names the end of the one before it, so that a hole between two logs is an error and not a silent loss. The
    // option has no setter of its own.
    let mut db = Options::default().get_options_from_string("track_and_verify_wals=true")?;
    db.create_if_missing(true);
    db.create_missing_column_families(true);
    db.set_paranoid_checks(true);
    // A record torn at the end of the log was never acknowledged and is dropped; damage anywhere before it is an error.
    // "Point in time" would drop everything after the damage without a word, acknowledged votes and blocks included.
    db.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    db.set_max_total_wal_size(256 << 20);
    db.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager(options.write_buffer_bytes, false));
    db.set_max_open_files(i32::from(options.open_files_max));
    db.set_max_background_jobs(i32::from(options.background_jobs));
    // Compaction comes in bursts, at about the same height on every node, since all write the same. It waits for whatever
    // else wants a processor, so that blocks do not come late everywhere at once. Flushes do not: writers wait for them.
    let mut env = Env::new()?;
    env.lower_thread_pool_cpu_priority();
    db.set_env(&env);
    db.set_bytes_per_sync(1 << 20);
    db.set_log_level(LogLevel::Warn);
    db.set_keep_log_file_num(4);
    db.set_max_log_file_size(4 << 20);
    db.set_stats_dump_period_sec(0);
    db.set_stats_persist_period_sec(0);
    Ok(db)
}

/// One descriptor per table, over one cache.
pub(crate) fn tables(options: &StoreOptions) -> Result<Vec<ColumnFamilyDescriptor>, rocksdb::Error> {
    let cache = cache(options.cache_bytes);
    let descriptor = |table: Table| {
        table_options(table, &cache, options).map(|cf| ColumnFamilyDescriptor::new(column_family(table), cf))
    };
    Table::ALL.into_iter().map(descriptor).collect()
}

fn cache(bytes: usize) -> Cache {
    let part_bits = (bytes / CACHE_PART_BYTES_MIN).checked_ilog2().unwrap_or(0).min(6);
    let mut lru = LruCacheOptions::default();
    lru.set_capacity(bytes);
    lru.set_num_shard_bits(i32::try_from(part_bits).unwrap_or(0));
    Cache::new_lru_cache_opts(&lru)
}

/// Options of a column family. A batch brings the rows of `State`, `Slots`, `Tree` and `Transactions` in ascending order: for
/// these the place of the last row in memory is where the search for the next one's begins, and not the top of all rows.
fn column_options(table: Table) -> Result<Options, rocksdb::Error> {
    match table {
        // The option has no setter of its own. Rows with the same first 0 bytes, which are all, share a place.
        Table::State | Table::Slots | Table::Tree | Table::Transactions => {
            Options::default().get_options_from_string("memtable_insert_with_hint_prefix_extractor=capped:0")
        }
        _ => Ok(Options::default()),
    }
}

fn table_options(table: Table, cache: &Cache, options: &StoreOptions) -> Result<Options, rocksdb::Error> {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    // Indexes and filters are in the cache and not beside it, so that memory stays bounded however large the ledger is. They
    // are whole, not split in two levels: a block looks up thousands of keys spread over all files, and asking one whole
    // filter per file costs half the time.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_format_version(6);
    let mut cf = column_options(table)?;
    cf.set_level_compaction_dynamic_level_bytes(true);
    cf.set_write_buffer_size(options.write_buffer_bytes / 8);
    match table {
        Table::State | Table::Tree | Table::Transactions => {
            blocks.set_bloom_filter(10.0, false);
            blocks.set_block_size(4 << 10);
            blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
            blocks.set_data_block_hash_ratio(0.75);
            cf.set_write_buffer_size(options.write_buffer_bytes / 2);
            cf.set_memtable_whole_key_filtering(true);
            cf.set_memtable_prefix_bloom_ratio(0.05);
        }
        Table::Pending
        | Table::Validators
        | Table::Undecided
        | Table::Vault
        | Table::VaultCopies
        | Table::VaultKeys => {
            blocks.set_bloom_filter(10.0, false);
        }
        _ => blocks.set_block_size(16 << 10),
    }
    match table {
        // Hashes and ciphertext do not compress, and read again at once pages should cost no decompression.
        Table::Tree | Table::VaultCopies | Table::VaultKeys => {
            cf.set_compression_type(DBCompressionType::None);
            cf.set_bottommost_compression_type(DBCompressionType::None);
        }
        // Read at random with every block: decompression must be cheap at the last level too.
        Table::State | Table::Slots | Table::Transactions => {
            cf.set_compression_type(DBCompressionType::Lz4);
            cf.set_bottommost_compression_type(DBCompressionType::Lz4);
        }
        _ => {
            cf.set_compression_type(DBCompressionType::Lz4);
            cf.set_bottommost_compression_type(DBCompressionType::Zstd);
        }
    }
    cf.set_block_based_table_factory(&blocks);
    Ok(cf)
}

/// Checks what cannot be meant.
pub(crate) fn validate(options: &StoreOptions, path: &Path) -> Result<(), StoreError> {
    let message = if options.cache_bytes < 1 << 20 {
        "the cache must have at least 1 MiB"
    } else if options.write_buffer_bytes < 8 << 20 {
        "the write buffers must have at least 8 MiB"
    } else if options.open_files_max < 64 {
        "at least 64 open files are needed"
    } else if options.background_jobs == 0 {
        "at least one background job is needed"
    } else {
        return Ok(());
    };
    Err(StoreError::Io { operation: "open", path: path.to_path_buf(), message: message.into() })
}
