//! The index with as many documents as a consortium has after years: how fast blocks go in, how long lists, filters, search
//! and statistics take then. Straight into the index's writer, from a chain made up by number. SQLite, or a PostgreSQL server on
//! the same machine, through its socket.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use vouch_index::{
    Applied, Index, IndexBlock, IndexConfig, IndexError, Owner, Query, Source, SourceError, Writer, sample::SampleChain,
};
use vouch_test_postgres::PostgresServer;
use vouch_types::{
    BlockHash, ChainId, ContractName, Height, NodeId, TimestampMs,
    api::{Direction, DocumentFilter, IndexState, Measure, StatisticsQuery, TransactionFilter},
    document::{Category, Party, VersionState},
};

use super::{Figure, Scale, percentile};

/// Transactions of a block under full load.
const PER_BLOCK: u64 = 3_000;
/// Between blocks, in milliseconds: a month or two in all.
const INTERVAL_MS: u64 = 1_500_000;
/// What a chain of four validators on one small machine is aimed at; with a machine of its own an index must write as much.
const FULL_RATE: f64 = 5_000.0;
/// How often each question is asked.
const ASKED: u64 = 200;
/// Sets another number of documents.
const DOCUMENTS: &str = "VOUCH_INDEX_DOCUMENTS";
/// How long the thread may take to open the index and see that it is at the head.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    tokio::task::spawn_blocking(move || run(scale)).await.context("the measurement broke off")?
}

fn documents(scale: Scale) -> Result<u64> {
    match std::env::var(DOCUMENTS) {
        Ok(text) => text.parse().with_context(|| format!("{DOCUMENTS} = {text:?} is no number")),
        Err(_) if scale.is_postgres => Ok(scale.of(1_000_000, 60_000)),
        Err(_) => Ok(scale.of(10_000_000, 60_000)),
    }
}

struct Shared(Arc<SampleChain>);

impl Source for Shared {
    fn head(&self) -> Option<Height> {
        self.0.head()
    }
    fn lowest(&self) -> Result<Height, SourceError> {
        self.0.lowest()
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

/// Where the index lies; with the server, which lasts as long as this.
struct Place {
    config: IndexConfig,
    owner: Owner,
    server: Option<PostgresServer>,
    _folder: tempfile::TempDir,
}

/// A server as one that others use as well is set up: durable, with memory of its own.
const SERVER: &[&str] = &["shared_buffers=512MB", "max_wal_size=4GB", "max_connections=40"];

fn place(scale: Scale) -> Result<Place> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let owner = Owner { chain: ChainId([1; 32]), node: NodeId([1; 32]) };
    if !scale.is_postgres {
        let config = IndexConfig::Sqlite { folder: folder.path().to_owned(), cache_mib: 32 };
        return Ok(Place { config, owner, server: None, _folder: folder });
    }
    let server = PostgresServer::start_with(SERVER)?;
    server.sql("CREATE ROLE vouch LOGIN PASSWORD 'measured'; GRANT CREATE ON DATABASE erp TO vouch")?;
    let file = folder.path().join("index.postgres.toml");
    server.connection_file(&file, "vouch", "measured", false)?;
    let config = IndexConfig::Postgres { server: file, schema: None };
    Ok(Place { config, owner, server: Some(server), _folder: folder })
}

/// Bytes of the database, all that is beside its tables folded in.
fn bytes(place: &Place, index: &Index) -> Result<u64> {
    if let IndexConfig::Sqlite { folder, .. } = &place.config {
        return Ok(std::fs::metadata(folder.join("index-1.db"))?.len());
    }
    if let Some(server) = &place.server {
        server.sql("VACUUM ANALYZE")?;
    }
    Ok(index.bytes())
}

fn run(scale: Scale) -> Result<Vec<Figure>> {
    let wanted = documents(scale)?;
    let blocks = wanted.div_ceil(PER_BLOCK).max(2);
    let server = if scale.is_postgres { ", and the server, with 512 MiB of shared memory" } else { "" };
    let beside = match std::env::var(DOCUMENTS) {
        Ok(count) => format!("the generator of the blocks, in the same thread{server}; with {DOCUMENTS}={count}"),
        Err(_) => format!("the generator of the blocks, in the same thread{server}"),
    };
    let mut figure = if scale.is_postgres {
        Figure::new("performance-index-postgres", "index --postgres", &beside)
    } else {
        Figure::new("performance-index", "index", &beside)
    };
    let place = place(scale)?;
    let chain = Arc::new(SampleChain::new(PER_BLOCK, INTERVAL_MS));
    chain.set_head(Height(blocks));
    let mut last_ms = fill(&chain, &place, blocks, &mut figure)?;
    let documents = chain.documents();
    figure.set("documents_count", documents as f64);
    // At the end, where the tables are largest.
    figure.set("write_block_of_3000_p50_ms", percentile(&mut last_ms, 0.5));
    figure.set("write_block_of_3000_p95_ms", percentile(&mut last_ms, 0.95));
    let index = Index::start(&place.config, place.owner, Box::new(Shared(Arc::clone(&chain))))?;
    let end = Instant::now() + PATIENCE;
    while index.progress().state != IndexState::Following {
        if Instant::now() > end {
            bail!("the index does not come to the head: {:?}", index.progress());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let bytes = bytes(&place, &index)?;
    figure.set("file_per_document_with_transaction_bytes", bytes as f64 / documents as f64);
    ask(&index.query(Height(blocks)), documents, &mut figure)?;
    index.stop();
    Ok(vec![figure])
}

/// All blocks, each a transaction of its own; times of the last ones.
fn fill(chain: &SampleChain, place: &Place, blocks: u64, figure: &mut Figure) -> Result<Vec<f64>> {
    let mut writer = Writer::create(&place.config, place.owner)?;
    let began = Instant::now();
    let mut generator = Duration::ZERO;
    let mut last = Vec::new();
    for height in 1..=blocks {
        // The same block is made up once more within `apply`; what that takes is not the index's.
        let made = Instant::now();
        std::hint::black_box(chain.block(Height(height))?);
        let making = made.elapsed();
        generator += making;
        let written = Instant::now();
        match writer.apply(chain, 1, Duration::ZERO)? {
            Applied::Some(1) | Applied::AtHead(1) => {}
            other => bail!("block {height} was not written: {other:?}"),
        }
        if height + 200 > blocks {
            last.push(written.elapsed().saturating_sub(making).as_secs_f64() * 1e3);
        }
    }
    let spent = began.elapsed().saturating_sub(generator * 2).as_secs_f64();
    let transactions = (blocks * (PER_BLOCK + PER_BLOCK / 100)) as f64;
    figure.at_least("transactions_written_per_second", transactions / spent, FULL_RATE);
    Ok(last)
}

/// A question with the bar for its 95th percentile, in milliseconds.
struct Question<'a> {
    name: &'static str,
    bar: f64,
    ask: Box<dyn Fn(u64) -> Result<(), IndexError> + 'a>,
}

/// What is asked about, spread over all documents.
#[derive(Clone, Copy)]
struct Asked<'a> {
    query: &'a Query,
    documents: u64,
}

impl<'a> Asked<'a> {
    fn n(self, turn: u64) -> u64 {
        1 + turn.wrapping_mul(7_919 * 104_729) % self.documents
    }

    fn at(self, turn: u64) -> TimestampMs {
        TimestampMs(1_767_225_600_000 + self.n(turn) / PER_BLOCK * INTERVAL_MS)
    }

    fn list(self, filter: &DocumentFilter) -> Result<(), IndexError> {
        self.query.documents(filter, None, 50).map(drop)
    }

    fn transactions(self, filter: &TransactionFilter) -> Result<(), IndexError> {
        self.query.transactions(filter, None, 50).map(drop)
    }

    fn statistics(self, measure: Measure) -> Result<(), IndexError> {
        self.query
            .statistics(&StatisticsQuery { measure, from: Some(TimestampMs(0)), to: None, zone: Some(8) })
            .map(drop)
    }

    fn question(
        self,
        name: &'static str,
        bar: f64,
        ask: impl Fn(Self, u64) -> Result<(), IndexError> + 'a,
    ) -> Question<'a> {
        Question { name, bar, ask: Box::new(move |turn| ask(self, turn)) }
    }

    /// A list by a filter.
    fn filter(self, name: &'static str, of: impl Fn(Self, u64) -> DocumentFilter + 'a) -> Question<'a> {
        self.question(name, 200.0, move |asked, turn| asked.list(&of(asked, turn)))
    }

    fn lists(self) -> Vec<Question<'a>> {
        let none = DocumentFilter::default;
        vec![
            self.filter("newest documents", move |_, _| none()),
            self.filter("documents of a category", move |_, turn| DocumentFilter {
                category: Some(category(turn)),
                ..none()
            }),
            self.filter("documents of an issuer", move |_, turn| DocumentFilter {
                issuer: Some(SampleChain::issuer(turn)),
                ..none()
            }),
            self.filter("documents of a person", move |asked, turn| DocumentFilter {
                party: Some(Party::subject(SampleChain::person(asked.n(turn)))),
                ..none()
            }),
            self.filter("rare state of a category before a time", move |asked, turn| DocumentFilter {
                state: Some(VersionState::Revoked),
                category: Some(category(turn)),
                to: Some(asked.at(turn)),
                ..none()
            }),
            self.filter("issuer and schema and state", move |_, turn| DocumentFilter {
                issuer: Some(SampleChain::issuer(turn)),
                state: Some(VersionState::Pending),
                schema: Some(format!("sample-{}", turn % 5)),
                ..none()
            }),
            self.filter("filter that nothing fits", move |_, turn| DocumentFilter {
                category: Some(category(turn + 1)),
                schema: Some(format!("sample-{}", turn % 5)),
                ..none()
            }),
            self.filter("beginning of a public text", move |asked, turn| DocumentFilter {
                number: Some(SampleChain::text(asked.n(turn))),
                ..none()
            }),
        ]
    }

    fn others(self) -> Vec<Question<'a>> {
        let none = TransactionFilter::default;
        vec![
            self.question("pages in the middle", 200.0, |asked, turn| middle(asked.query, asked.at(turn))),
            self.question("document", 200.0, |asked, turn| {
                asked.query.document(&SampleChain::id(asked.n(turn))).map(drop)
            }),
            self.question("chain of evidence of depth 3", 300.0, |asked, turn| {
                asked.query.provenance(&SampleChain::id(asked.n(turn)), Direction::Both, 3).map(drop)
            }),
            self.question("transactions of an account", 200.0, move |asked, turn| {
                asked.transactions(&TransactionFilter { account: Some(SampleChain::account(turn)), ..none() })
            }),
            self.question("failed transactions of a method", 200.0, move |asked, _| {
                let (contract, method) = (ContractName::new("documents").ok(), Some("submit".to_owned()));
                asked.transactions(&TransactionFilter { contract, method, failed: Some(true), ..none() })
            }),
            self.question("search by the beginning of an id", 200.0, |asked, turn| {
                let id = SampleChain::id(asked.n(turn)).to_string();
                asked.query.search(id.get(..10).unwrap_or_default()).map(drop)
            }),
            self.question("statistics of a year by category", 500.0, |asked, _| asked.statistics(Measure::Documents)),
            self.question("statistics of a year by issuer", 500.0, |asked, _| asked.statistics(Measure::Issuers)),
        ]
    }
}

fn ask(query: &Query, documents: u64, figure: &mut Figure) -> Result<()> {
    let asked = Asked { query, documents };
    let mut all = Vec::new();
    for Question { name, bar, ask } in asked.lists().into_iter().chain(asked.others()) {
        let mut times = Vec::new();
        for turn in 0..ASKED {
            let began = Instant::now();
            ask(turn).with_context(|| format!("{name}, turn {turn}"))?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let key = name.replace(' ', "_");
        figure.set(format!("{key}_p50_ms"), percentile(&mut times, 0.5));
        figure.at_most(&format!("{key}_p95_ms"), percentile(&mut times, 0.95), bar);
        if bar < 500.0 {
            all.extend(times);
        }
    }
    figure.at_most("lists_and_filters_p95_ms", percentile(&mut all, 0.95), 200.0);
    Ok(())
}

fn category(turn: u64) -> Category {
    const ALL: [Category; 5] =
        [Category::Identity, Category::Contract, Category::Transaction, Category::Invoice, Category::Risk];
    ALL[usize::try_from(turn % 5).unwrap_or(0)]
}

/// A page far from either end, and the one after it.
fn middle(query: &Query, to: TimestampMs) -> Result<(), IndexError> {
    let filter = DocumentFilter { to: Some(to), ..DocumentFilter::default() };
    let page = query.documents(&filter, None, 50)?;
    query.documents(&filter, page.next.as_deref(), 50).map(drop)
}
