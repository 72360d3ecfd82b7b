//! Vaults in the simulator: each node has the one of production over its own disk, which asks the real contracts through the
//! node's own ledger, speaks over the simulated wires, and says what it has to say in transactions.
//!
//! ```text
//! workload --stage--> vault --> turn: blocks, connections, messages, timer --> effects --> wires, transactions
//!                                     |                                                       |
//!    judge: a model of the contract says who may have what; everything that leaves or lies anywhere is held against it
//! ```

mod acts;
mod believing;
mod ending;
mod judge;
pub mod liars;
mod log;
pub mod model;
mod papers;
pub mod plan;
mod shelf;
mod turn;
mod wires;
mod workload;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::Arc,
};

use aho_corasick::AhoCorasick;
use vouch_genesis::GenesisContract;
use vouch_ledger::CommittedBlock;
use vouch_privacy::SchemaFields;
use vouch_types::{ContractName, TxId, document::FieldSet};
use vouch_vault::{ActResult, Blocks, DocumentId, MemoryBlobs, Roster, Vault, VaultLimits, VersionKey};

use self::{liars::Lie, papers::Paper, shelf::SimShelf};
use super::{genesis, mutants::Mutant, oracle::Violation, plan::Plan, rng::Rng};

pub use self::{
    log::{Heard, hearing},
    model::{PaperOp, Papers},
    papers::{definition, member_secret},
    plan::VaultPlan,
};

/// What one node's vault is and has, and what the judge knows of it.
pub struct Case {
    /// The place of its member.
    pub member: usize,
    /// How it lies, if it does.
    pub lie: Option<Lie>,
    shelf: Arc<SimShelf>,
    blobs: Arc<MemoryBlobs>,
    vault: Option<Vault>,
    blocks: Option<Blocks>,
    roster: Roster,
    /// Connections it was told of, with their numbers.
    connections: BTreeMap<usize, u64>,
    /// Messages that wait for it: from whom, over which connection.
    inbox: VecDeque<(usize, u64, Arc<[u8]>)>,
    /// Blocks of the replica's feed that wait for it.
    fresh: Vec<Arc<CommittedBlock>>,
    /// When its timer runs out.
    timer_at: Option<u64>,
    /// When it has its next turn.
    turn_at: Option<u64>,
    /// It stands still until then.
    dozes_until_ms: u64,
    /// Acts under way: the transaction, and its last height.
    open: BTreeMap<u64, (TxId, u64)>,
    /// Acts that ended otherwise than in a block.
    ended: Vec<(u64, ActResult)>,
    /// The name under which its audit is anchored changes with each lost disk.
    audits: u64,
    /// Fields that came here, or were staged here, and open to what was planted.
    had: BTreeMap<VersionKey, FieldSet>,
    /// Fields it signed for since its disk was lost last.
    promised: BTreeMap<VersionKey, FieldSet>,
    /// All that it ever signed for.
    signed: BTreeMap<VersionKey, FieldSet>,
    /// Versions staged here since its disk was lost last.
    staged: BTreeSet<VersionKey>,
    /// Documents it attested to have destroyed.
    destroyed: BTreeSet<DocumentId>,
}

/// All of them.
pub struct Vaults {
    pub plan: VaultPlan,
    cases: Vec<Case>,
    rng: Rng,
    schema: Arc<SchemaFields>,
    papers: BTreeMap<VersionKey, Paper>,
    /// Transactions that decide on the schema: the last one, and its last height.
    deciding: Option<(TxId, u64)>,
    acts_done: u64,
    /// Finds what must not be anywhere in plain.
    marks: AhoCorasick,
    /// Every message of a vault, once.
    sent: BTreeSet<Arc<[u8]>>,
    heard: Heard,
    /// What was found where nobody could be told of it at once.
    found: Option<Violation>,
    /// Consensus has gone on after the faults.
    pub gone_on: bool,
    /// Everything is where it belongs.
    pub settled: bool,
}

/// Bounds with which a few seconds are enough for everything that has to be repeated.
fn limits() -> VaultLimits {
    VaultLimits {
        answer_ms: 300,
        retry_min_ms: 60,
        retry_max_ms: 600,
        push_patience_ms: 200,
        compare_first_ms: 250,
        compare_every_ms: 900,
        scrub_pause_ms: 300,
        scrub_every_ms: 4_000,
        orphan_folders: 64,
        anchor_every_ms: 1_500,
        act_ms: 900,
        possession_gather_ms: 80,
        sweep_every_ms: 8_000,
        piece_bytes_min: 1,
        ..VaultLimits::default()
    }
}

/// The folder of built contracts: as the environment names it, else where this build would put it.
fn contracts_folder() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    // target/debug/sim, or target/debug/deps/simulator-0123.
    let folder = here.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).unwrap();
    let beside = || folder.parent().unwrap_or(folder).join("contracts");
    std::env::var_os("VOUCH_CONTRACTS").map_or_else(beside, PathBuf::from)
}

/// The contracts of documents and relations as they are built. Read once.
///
/// # Panics
/// When they are not there; the text says how to build them.
pub fn contracts() -> Vec<GenesisContract> {
    let folder = contracts_folder();
    let contract = |name: &str| GenesisContract {
        name: ContractName::new(name).unwrap(),
        code: std::fs::read(folder.join(format!("{name}.wasm")))
            .unwrap_or_else(|error| panic!("{name}.wasm in {}: {error}; ./run contracts builds it", folder.display())),
    };
    ["documents", "relations"].map(contract).into()
}

impl Vaults {
    /// For the nodes of a plan, `endpoints` of them with their identities; `None` when it has no private documents.
    pub fn new(plan: &Plan, endpoints: &[usize], mutant: Option<Mutant>, heard: Heard) -> Option<Self> {
        let own = plan.vaults.clone()?;
        let founding = plan.nodes.iter().filter(|node| node.founding).count();
        let case = |identity: &usize| Case {
            member: identity % founding,
            lie: own.liars.iter().find(|liar| liar.node == *identity).and_then(|liar| Lie::named(&liar.kind)),
            shelf: Arc::new(SimShelf::new(mutant)),
            blobs: Arc::default(),
            vault: None,
            blocks: None,
            roster: Roster::default(),
            connections: BTreeMap::new(),
            inbox: VecDeque::new(),
            fresh: Vec::new(),
            timer_at: None,
            turn_at: None,
            dozes_until_ms: 0,
            open: BTreeMap::new(),
            ended: Vec::new(),
            audits: 0,
            had: BTreeMap::new(),
            promised: BTreeMap::new(),
            signed: BTreeMap::new(),
            staged: BTreeSet::new(),
            destroyed: BTreeSet::new(),
        };
        Some(Self {
            cases: endpoints.iter().map(case).collect(),
            rng: Rng::new(plan.seed, 6),
            schema: papers::schema(),
            papers: BTreeMap::new(),
            deciding: None,
            acts_done: 0,
            marks: judge::marks(),
            sent: BTreeSet::new(),
            heard,
            found: None,
            gone_on: false,
            settled: false,
            plan: own,
        })
    }

    /// Whose voice a node's own acts have.
    fn service(member: usize) -> vouch_types::SecretKey {
        genesis::secret("service", member)
    }
}

impl Case {
    /// Its process ends.
    fn crash(&mut self) {
        self.vault = None;
        self.blocks = None;
        self.connections.clear();
        self.inbox.clear();
        self.fresh.clear();
        self.open.clear();
        self.ended.clear();
        (self.timer_at, self.turn_at) = (None, None);
        self.shelf.crash();
        self.blobs.crash();
    }

    /// Its disk is another one now: empty, with shelf and files, or an older copy beside these.
    fn lose(&mut self, everything: bool) {
        if everything {
            self.shelf.wipe();
            self.blobs.wipe();
            self.destroyed.clear();
            self.had.clear();
        }
        self.promised.clear();
        self.staged.clear();
        self.audits += 1;
    }
}
