use std::time::{Duration, Instant};

use vouch_types::{BlockHash, Height};

use crate::{
    IndexBlock, IndexConfig, IndexError, IndexTransaction, Owner, Source,
    codes::{int, uint},
    database::{Database, values},
    home::Home,
    numbers::Numbers,
    prefetch,
    project::{Projector, Schemas},
    schema::{hourly, tally},
    source::Records,
    tally::Tally,
    words::Words,
};

/// Documents and other records taken from the state in one transaction, before the first block.
const SEED_BATCH: u64 = 2_000;

/// Mark of an index that is built beside another one and has not come to the head.
const UNFINISHED: &str = "unfinished";
/// Mark of an index into which not all records were taken from the state yet.
const SEEDING: &str = "seeding";

/// How far a call of [`Writer::apply`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It wrote so many blocks, and there are more.
    Some(usize),
    /// It wrote so many, and is at the head.
    AtHead(usize),
    /// The ledger cannot be read yet, or is behind the index.
    Waiting,
}

/// Where the index stands, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    height: Height,
    hash: BlockHash,
    next_tx: i64,
}

/// The one writer of an index.
#[derive(Debug)]
pub struct Writer {
    database: Database,
    number: u64,
    name: String,
    words: Words,
    numbers: Numbers,
    tally: Tally,
    schemas: Schemas,
    place: Place,
    first: Height,
    /// Records stand in it as of this height or later, taken from the state and not from events; 0 when from events alone.
    base: Height,
    /// What is remembered of it may not be what is in it: something failed, or a session was lost.
    is_stale: bool,
}

impl Writer {
    /// Makes a new index, the first of its place.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn create(config: &IndexConfig, owner: Owner) -> Result<Self, IndexError> {
        Self::make(config.home(owner)?.as_ref(), 1)
    }

    /// Makes a new one with a number.
    pub(crate) fn make(home: &dyn Home, number: u64) -> Result<Self, IndexError> {
        Self::over(home.create(number)?, home, number)
    }

    /// Opens one; `None` when it is of another layout, or was left while it was being filled.
    pub(crate) fn open(home: &dyn Home, number: u64) -> Result<Option<Self>, IndexError> {
        let Some(database) = home.open(number)? else { return Ok(None) };
        let writer = Self::over(database, home, number)?;
        Ok((!writer.flag(UNFINISHED)? && !writer.flag(SEEDING)?).then_some(writer))
    }

    fn over(database: Database, home: &dyn Home, number: u64) -> Result<Self, IndexError> {
        let mut writer = Self {
            words: Words::load(&database)?,
            numbers: Numbers::load(&database)?,
            database,
            number,
            name: home.name(number),
            tally: Tally::default(),
            schemas: Schemas::default(),
            place: Place { height: Height::ZERO, hash: BlockHash::ZERO, next_tx: 1 },
            first: Height(1),
            base: Height::ZERO,
            is_stale: false,
        };
        writer.reload()?;
        Ok(writer)
    }

    /// Its number in its place.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self, home: &dyn Home) -> Result<u64, IndexError> {
        home.bytes(self.number, &self.database)
    }

    /// The last block in it.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.place.height
    }

    /// The first block in it.
    #[must_use]
    pub const fn first(&self) -> Height {
        self.first
    }

    fn reload(&mut self) -> Result<(), IndexError> {
        let height = meta_number(&self.database, "height")?.map_or(Height::ZERO, Height);
        let hash = self.hash_at(height)?;
        let last = self.database.number("SELECT max(n) FROM tx", &[])?;
        self.place =
            Place { height, hash: hash.unwrap_or(BlockHash::ZERO), next_tx: last.unwrap_or(0).saturating_add(1) };
        self.first = meta_number(&self.database, "first")?.map_or(Height(1), Height);
        self.base = meta_number(&self.database, "base")?.map_or(Height::ZERO, Height);
        self.words = Words::load(&self.database)?;
        self.numbers = Numbers::load(&self.database)?;
        Ok(())
    }

    /// Connects again where the session was lost, and reads anew what is remembered of the index where that may be wrong: a
    /// server that went away while it was told to commit may have done so, or not.
    fn refresh(&mut self) -> Result<(), IndexError> {
        if self.is_stale || self.database.is_lost() {
            self.is_stale = true;
            self.database.revive()?;
            self.reload()?;
            self.is_stale = false;
        }
        Ok(())
    }

    fn flag(&self, name: &str) -> Result<bool, IndexError> {
        Ok(meta_number(&self.database, name)?.is_some_and(|value| value != 0))
    }

    /// Marks it as one that a restart throws away, until it is finished.
    pub(crate) fn begin(&self) -> Result<(), IndexError> {
        set_meta(&self.database, UNFINISHED, 1)
    }

    /// From here on a restart goes on with it: all that was written survives a power cut when this returns.
    pub(crate) fn finish(&self) -> Result<(), IndexError> {
        set_meta(&self.database, UNFINISHED, 0)?;
        self.database.make_durable()
    }

    /// Writes blocks until the head, or `blocks_max` of them, or as many as fit into `time`, as one transaction.
    ///
    /// # Errors
    /// [`IndexError`]; nothing of this call is written then.
    pub fn apply(&mut self, source: &dyn Source, blocks_max: usize, time: Duration) -> Result<Applied, IndexError> {
        let Some(head) = source.head() else { return Ok(Applied::Waiting) };
        self.refresh()?;
        self.check(source, head).inspect_err(|_| self.is_stale = true)?;
        if self.place.height > head {
            return Ok(Applied::Waiting);
        }
        if self.place.height == head {
            return Ok(Applied::AtHead(0));
        }
        let end = Instant::now() + time;
        self.transaction(|writer| {
            let mut written = 0;
            while writer.place.height < head && written < blocks_max && (written == 0 || Instant::now() < end) {
                writer.next_block(source)?;
                written += 1;
            }
            let at_head = writer.place.height == head;
            Ok(if at_head { Applied::AtHead(written) } else { Applied::Some(written) })
        })
    }

    /// Whether the highest block that both have is the same one: the ledger may have been put back, or be another chain's.
    fn check(&self, source: &dyn Source, head: Height) -> Result<(), IndexError> {
        let at = self.place.height.min(head);
        if at < self.first {
            return Ok(());
        }
        let own = if at == self.place.height { Some(self.place.hash) } else { self.hash_at(at)? };
        match (own, source.hash(at)?) {
            (Some(own), Some(theirs)) if own != theirs => Err(IndexError::Diverged { at }),
            _ => Ok(()),
        }
    }

    fn hash_at(&self, at: Height) -> Result<Option<BlockHash>, IndexError> {
        let sql = "SELECT hash FROM block WHERE height = ?1";
        self.database.one(sql, values![int(at.0)], |row| Ok(BlockHash(row.array(0)?)))
    }

    /// Runs work as one transaction with the height; when it fails all of it is undone.
    fn transaction<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let end = self.database.begin().and_then(|()| work(self)).and_then(|value| {
            self.tally.write(&self.database)?;
            put_meta(&self.database, "height", self.place.height.0)?;
            put_meta(&self.database, "first", self.first.0)?;
            self.database.commit()?;
            Ok(value)
        });
        if end.is_err() {
            self.database.rollback();
            self.tally.forget();
            self.is_stale = true;
            // What failed says why; where this fails too it is done before the next transaction.
            drop(self.refresh());
        }
        end
    }

    fn next_block(&mut self, source: &dyn Source) -> Result<(), IndexError> {
        let at = self.place.height;
        let gap = |lowest| IndexError::Gap { at, lowest };
        let lowest = source.lowest()?;
        let height = if at == Height::ZERO { lowest.max(Height(1)) } else { Height(at.0.saturating_add(1)) };
        let Some(block) = source.block(height)? else { return Err(gap(source.lowest()?.max(lowest))) };
        if at > Height::ZERO && block.parent != self.place.hash {
            return Err(IndexError::Diverged { at });
        }
        if at == Height::ZERO {
            self.first = height;
        }
        let with_events = height > self.base;
        if self.database.is_remote() {
            prefetch::learn(&self.database, &mut self.words, &mut self.numbers, Records(source), &block, with_events)?;
        }
        self.write_block(&block)?;
        if with_events {
            self.projector(source, height).events(&block)?;
        }
        Ok(())
    }

    /// The block and its transactions.
    fn write_block(&mut self, block: &IndexBlock) -> Result<(), IndexError> {
        let time = int(block.time.0);
        let sql =
            "INSERT INTO block(height, hash, time, proposer, transactions, first) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.database.write(
            sql,
            values![
                int(block.height.0),
                &block.hash.0,
                time,
                &block.proposer.0,
                i64::try_from(block.transactions.len()).unwrap_or(i64::MAX),
                self.place.next_tx,
            ],
        )?;
        self.tally.add(tally::BLOCK, 0, 0, 1);
        self.tally.add_at(hourly::BLOCK, 0, time);
        for (place, transaction) in (0..).zip(&block.transactions) {
            self.write_transaction(int(block.height.0), place, time, transaction)?;
        }
        self.place.height = block.height;
        self.place.hash = block.hash;
        Ok(())
    }

    fn write_transaction(
        &mut self,
        height: i64,
        place: i64,
        time: i64,
        transaction: &IndexTransaction,
    ) -> Result<(), IndexError> {
        let n = self.place.next_tx;
        self.place.next_tx = n.saturating_add(1);
        let database = &self.database;
        let signer = self.words.account(database, &transaction.signer)?;
        let mut calls = Vec::with_capacity(transaction.calls.len());
        for (contract, method) in &transaction.calls {
            calls.push((self.words.text(database, contract.as_str())?, self.words.text(database, method)?));
        }
        let (contract, method) = calls.first().copied().unwrap_or((0, 0));
        let code = match &transaction.code {
            Some(code) => Some(self.words.text(database, code)?),
            None => None,
        };
        let count = i64::try_from(calls.len()).unwrap_or(i64::MAX);
        let sql = "INSERT INTO tx(n, id, height, place, signer, contract, method, calls, code, fuel)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let fuel = int(transaction.fuel.0);
        let id = &transaction.id.0;
        database.write(sql, values![n, id, height, place, signer, contract, method, count, code, fuel])?;
        let failed = i64::from(code.is_some());
        self.tally.add(tally::TRANSACTION, failed, 0, 1);
        self.tally.add_at(hourly::TRANSACTION, failed, time);
        self.tally.add(tally::SIGNER, signer, 0, 1);
        let contracts = calls.iter().map(|(contract, _)| (*contract, 0));
        let mut named: Vec<(i64, i64)> = contracts.chain(calls.iter().copied()).collect();
        named.sort_unstable();
        named.dedup();
        let sql = "INSERT INTO tx_call(contract, method, n) VALUES (?1, ?2, ?3)";
        for (contract, method) in named {
            database.write(sql, values![contract, method, n])?;
            self.tally.add(tally::CALL, contract, method, 1);
            if method == 0 {
                self.tally.add_at(hourly::CONTRACT, contract, time);
            }
        }
        Ok(())
    }

    /// Whether the ledger has forgotten blocks, so that records have to be taken from the state before the first block.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn needs_seed(&mut self, source: &dyn Source) -> Result<bool, IndexError> {
        self.refresh()?;
        Ok(self.place.height == Height::ZERO && self.base == Height::ZERO && source.lowest()? > Height(1))
    }

    /// Takes all records from the state, as they are from the head on. Blocks above that head bring what changes meanwhile.
    ///
    /// # Errors
    /// [`IndexError`]; called again it takes what is lacking. An index that was left in between is thrown away when it is opened
    /// again.
    pub fn seed(&mut self, source: &dyn Source, go_on: &dyn Fn() -> bool) -> Result<(), IndexError> {
        let Some(head) = source.head() else { return Ok(()) };
        self.refresh()?;
        set_meta(&self.database, SEEDING, 1)?;
        for kind in crate::project::SEEDS {
            let count = kind.count(Records(source))?;
            let mut from = 1;
            while from <= count && go_on() {
                let to = count.min(from.saturating_add(SEED_BATCH - 1));
                self.transaction(|writer| writer.projector(source, head).seed(*kind, from, to))?;
                from = to + 1;
            }
        }
        if !go_on() {
            return Ok(());
        }
        self.transaction(|writer| {
            writer.projector(source, head).join_waiting_edges()?;
            writer.base = head;
            put_meta(&writer.database, SEEDING, 0)?;
            put_meta(&writer.database, "base", head.0)
        })
    }

    fn projector<'a>(&'a mut self, source: &'a dyn Source, height: Height) -> Projector<'a> {
        Projector {
            database: &self.database,
            words: &mut self.words,
            numbers: &mut self.numbers,
            tally: &mut self.tally,
            schemas: &mut self.schemas,
            records: Records(source),
            height,
        }
    }

    /// Folds what a database keeps beside its tables into them, where that is the writer's work.
    ///
    /// # Errors
    /// [`IndexError::Storage`].
    pub fn checkpoint(&self) -> Result<(), IndexError> {
        self.database.checkpoint()
    }
}

/// A number of the table `meta`.
pub(crate) fn meta_number(database: &Database, key: &str) -> Result<Option<u64>, IndexError> {
    Ok(database.number("SELECT value FROM meta WHERE key = ?1", values![key])?.map(uint))
}

const SET_META: &str =
    "INSERT INTO meta(key, value) VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value";

/// Sets a number within a transaction.
fn put_meta(database: &Database, key: &str, value: u64) -> Result<(), IndexError> {
    database.put(SET_META, values![key, int(value)])
}

/// Sets a number at once.
fn set_meta(database: &Database, key: &str, value: u64) -> Result<(), IndexError> {
    database.execute(SET_META, values![key, int(value)]).map(drop)
}

#[cfg(test)]
mod tests {
    use vouch_types::{ChainId, NodeId};

    use super::*;
    use crate::{SourceError, sample::SampleChain};

    /// A chain whose first blocks are forgotten.
    struct Pruned(SampleChain);

    impl Source for Pruned {
        fn head(&self) -> Option<Height> {
            self.0.head()
        }

        fn lowest(&self) -> Result<Height, SourceError> {
            Ok(Height(5))
        }

        fn block(&self, height: Height) -> Result<Option<IndexBlock>, SourceError> {
            self.0.block(height)
        }

        fn hash(&self, height: Height) -> Result<Option<BlockHash>, SourceError> {
            self.0.hash(height)
        }

        fn state(&self, contract: &str, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
            self.0.state(contract, key)
        }
    }

    /// A server that went away at the end of a seed may not have kept it: what is remembered of it counts for nothing then.
    #[test]
    fn whether_it_is_seeded_is_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = IndexConfig::Sqlite { folder: folder.path().to_owned(), cache_mib: 8 };
        let source = Pruned(SampleChain::new(2, 1_000));
        source.0.set_head(Height(6));
        let owner = Owner { chain: ChainId([1; 32]), node: NodeId([1; 32]) };
        let mut writer = Writer::create(&config, owner).unwrap();
        (writer.base, writer.is_stale) = (Height(6), true);
        assert!(writer.needs_seed(&source).unwrap());
        writer.seed(&source, &|| true).unwrap();
        writer.is_stale = true;
        assert!(!writer.needs_seed(&source).unwrap());
    }
}
