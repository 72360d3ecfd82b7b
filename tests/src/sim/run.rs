//! One seed from beginning to end, and what came of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use vouch_genesis::GenesisContract;
use vouch_ledger::{Batch, Ledger, Runtime, Storage, Table, View, chain::read_certificate, memory::MemoryStorage};
use vouch_types::Height;
use vouch_vm::VmLimits;

use super::{
    contract,
    oracle::{Checked, Violation, Waits, broken},
    plan::Plan,
    vaults,
    world::World,
};

/// What all runs share: the machine that runs contracts, and the contract.
#[derive(Debug)]
pub struct Stage {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) code: Vec<u8>,
    /// The contracts of private documents, once a run needs them.
    papers: OnceLock<Vec<GenesisContract>>,
}

impl Stage {
    /// Sets it up.
    ///
    /// # Panics
    /// When the machine cannot run contracts.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            runtime: Runtime::new(VmLimits::default()).unwrap(),
            code: contract::module(),
            papers: OnceLock::new(),
        })
    }

    /// The contracts of private documents.
    pub(crate) fn papers(&self) -> &[GenesisContract] {
        self.papers.get_or_init(vaults::contracts)
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// Heights reached.
    pub heights: u64,
    /// Transactions in blocks.
    pub transactions: u64,
    /// Virtual time.
    pub virtual_ms: u64,
    /// How often each rule was looked at.
    pub counts: BTreeMap<&'static str, u64>,
    /// What happened, how often.
    pub marks: BTreeMap<&'static str, u64>,
    /// Hash over all events.
    pub log: String,
    /// The last events, when asked for.
    pub recent: Vec<String>,
}

impl Outcome {
    /// Runs a plan.
    #[must_use]
    pub fn of(plan: &Plan, stage: &Arc<Stage>, keeps_events: bool) -> Self {
        let mut world = World::new(plan, stage, keeps_events);
        let heard = world.heard.clone();
        let result = if plan.vaults.is_some() { vaults::hearing(&heard, || world.run()) } else { world.run() };
        let violation = result.err();
        world.log.update(&world.oracle.height().to_le_bytes());
        Self {
            violation,
            heights: world.oracle.height(),
            transactions: world.oracle.positions.len() as u64,
            virtual_ms: world.now_ms,
            log: world.log.finalize().to_hex().to_string(),
            recent: world.recent.into(),
            counts: world.oracle.counts,
            marks: world.oracle.marks,
        }
    }
}

impl World {
    /// What can only be judged at the end.
    pub(super) fn finish(&mut self) -> Checked {
        for index in self.expected() {
            self.check_reads(index)?;
        }
        self.finish_vaults()?;
        let nodes = &self.nodes;
        let waits = |node: usize, life: u64, tx: &vouch_types::TxId| {
            let node = &nodes[node];
            let replica = node.replica.as_ref().filter(|_| node.intact_since <= life)?;
            Some(Waits { here: replica.mempool().contains(tx), restarted: node.life != life })
        };
        self.oracle.check_acknowledged(&waits)?;
        self.replay()
    }

    /// Executes the chain of the one that is furthest on an empty disk: every root and row of state must come out the same.
    fn replay(&mut self) -> Checked {
        let best = self.expected().into_iter().max_by_key(|i| self.nodes[*i].reported);
        let Some(best) = best else { return Ok(()) };
        let source = Arc::clone(&self.nodes[best].disk);
        let fresh: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let wrong = |what: String| broken("replay", what);
        let opened = Ledger::open(Arc::clone(&fresh), &self.genesis, Arc::clone(&self.stage.runtime));
        let mut ledger = match opened {
            Ok(ledger) => ledger,
            Err(error) => return wrong(error.to_string()),
        };
        for height in 1..=self.nodes[best].reported {
            self.oracle.count("replay");
            let agreed = &self.oracle.chain[height as usize - 1];
            let block = vouch_types::Block { header: agreed.header.clone(), transactions: agreed.transactions.clone() };
            match ledger.validate(&block, None, &[7; 32], &|leaf| self.signatures.by_leaf(leaf)) {
                Ok(Ok(hash)) if hash == agreed.hash => {}
                other => return wrong(format!("block {height} replayed gives {other:?}")),
            }
            let certificate = read_certificate(source.as_ref(), Height(height)).ok().flatten();
            let Some(certificate) = certificate else { return wrong(format!("block {height} has no certificate")) };
            if let Err(error) = ledger.commit(agreed.hash, certificate, Batch::new()) {
                return wrong(error.to_string());
            }
        }
        for table in [Table::State, Table::Slots, Table::Tree, Table::Transactions, Table::Receipts, Table::Bodies] {
            let rows = |storage: &dyn View| storage.scan(table, &[], None, usize::MAX).unwrap_or_default();
            if rows(source.as_ref()) != rows(fresh.as_ref()) {
                return wrong(format!("{table:?} of node {best} differs from that of a replay"));
            }
        }
        Ok(())
    }
}
