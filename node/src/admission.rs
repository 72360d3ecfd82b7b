//! Checks signatures beside the replica: once per node and transaction, in batches.
//!
//! Whatever waits when the thread is free becomes one batch, so batches grow with the load. Bytes that were judged a short
//! while ago are not judged again; the memory is keyed by all bytes of a transaction, signatures included, so that a copy
//! with a spoiled signature cannot stand in the way of the good one.

use std::collections::HashSet;

use tokio::sync::{mpsc, oneshot};
use vouch_ledger::PooledTransaction;
use vouch_types::{ChainId, Hash32, TransactionError, UnverifiedTransaction, merkle};

/// Most transactions checked in one batch.
const BATCH_MAX: usize = 1024;
/// By how much this thread stands back behind others when processors are scarce: what it has not checked yet comes into the
/// next block, what consensus has to do keeps all of a block waiting. Batches grow meanwhile, and cost less.
const NICE: i32 = 3;
/// Most remembered transactions of each of two generations.
const MEMORY_MAX: usize = 100_000;

/// What became of a submitted transaction before the replica saw it.
pub type Checked = Result<PooledTransaction, TransactionError>;

/// Work for the thread.
#[derive(Debug)]
pub enum Job {
    /// Submitted here: the verdicts go back in order, whatever is known of them.
    Submitted {
        /// Encoded transactions.
        raw: Vec<Vec<u8>>,
        /// Where the verdicts go.
        reply: oneshot::Sender<Vec<Checked>>,
    },
    /// From a peer: those that are new and verify go on to the replica.
    Relayed {
        /// Encoded transactions.
        raw: Vec<Vec<u8>>,
    },
}

impl Job {
    fn len(&self) -> usize {
        match self {
            Self::Submitted { raw, .. } | Self::Relayed { raw } => raw.len(),
        }
    }
}

/// Counters for operators.
#[derive(Debug, Default)]
pub struct AdmissionStats {
    /// Transactions whose signatures were checked.
    pub verified: std::sync::atomic::AtomicU64,
    /// Those that were refused.
    pub refused: std::sync::atomic::AtomicU64,
    /// Relayed ones that had been seen before.
    pub repeated: std::sync::atomic::AtomicU64,
}

/// Runs until the sender of jobs is gone. `accept` takes verified transactions that peers relayed.
pub fn run(
    chain: ChainId,
    mut jobs: mpsc::Receiver<Job>,
    stats: &AdmissionStats,
    mut accept: impl FnMut(Vec<PooledTransaction>),
) {
    stand_back();
    let mut memory = Memory::default();
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        let mut count = batch.iter().map(Job::len).sum::<usize>();
        while count < BATCH_MAX {
            let Ok(job) = jobs.try_recv() else { break };
            count += job.len();
            batch.push(job);
        }
        check(chain, batch, &mut memory, stats, &mut accept);
    }
}

/// Lowers the priority of the calling thread.
fn stand_back() {
    if let Err(error) = rustix::process::nice(NICE) {
        // Signatures are checked as well without it.
        tracing::debug!(%error, "the thread that checks signatures keeps the priority it has");
    }
}

/// A transaction on its way through a batch.
enum Slot {
    Refused(TransactionError),
    /// Position among the unverified ones of the batch.
    Pending(usize, Hash32),
}

fn check(
    chain: ChainId,
    batch: Vec<Job>,
    memory: &mut Memory,
    stats: &AdmissionStats,
    accept: &mut impl FnMut(Vec<PooledTransaction>),
) {
    use std::sync::atomic::Ordering::Relaxed;
    let mut unverified = Vec::new();
    let mut outcomes = Vec::new();
    for job in batch {
        let (raw, reply) = match job {
            Job::Submitted { raw, reply } => (raw, Some(reply)),
            Job::Relayed { raw } => (raw, None),
        };
        let mut slots = Vec::with_capacity(raw.len());
        for bytes in raw {
            let leaf = merkle::leaf_hash(&bytes);
            if reply.is_none() && !memory.is_new(leaf) {
                stats.repeated.fetch_add(1, Relaxed);
                continue;
            }
            match UnverifiedTransaction::decode(bytes, chain) {
                Ok(tx) => {
                    slots.push(Slot::Pending(unverified.len(), leaf));
                    unverified.push(tx);
                }
                Err(reason) => slots.push(Slot::Refused(reason)),
            }
            if reply.is_some() {
                memory.is_new(leaf);
            }
        }
        outcomes.push((slots, reply));
    }
    stats.verified.fetch_add(u64::try_from(unverified.len()).unwrap_or(u64::MAX), Relaxed);
    let mut verdicts: Vec<_> =
        UnverifiedTransaction::verify_all(unverified, &rand::random()).into_iter().map(Some).collect();
    let mut relayed: Vec<PooledTransaction> = Vec::new();
    for (slots, reply) in outcomes {
        let checked = slots.into_iter().map(|slot| finish(slot, &mut verdicts));
        match reply {
            // A caller that went away needs no verdicts.
            Some(reply) => drop(reply.send(checked.collect())),
            None => relayed.extend(checked.filter_map(|c| {
                stats.refused.fetch_add(u64::from(c.is_err()), Relaxed);
                c.ok()
            })),
        }
    }
    if !relayed.is_empty() {
        accept(relayed);
    }
}

fn finish(slot: Slot, verdicts: &mut [Option<Result<vouch_types::VerifiedTransaction, TransactionError>>]) -> Checked {
    match slot {
        Slot::Refused(reason) => Err(reason),
        Slot::Pending(position, leaf) => {
            let verdict = verdicts.get_mut(position).and_then(Option::take);
            let verdict = verdict.expect("each position of the batch is taken once");
            verdict.map(|tx| PooledTransaction { tx: std::sync::Arc::new(tx), leaf })
        }
    }
}

/// Two generations of what was judged.
#[derive(Debug, Default)]
struct Memory {
    young: HashSet<Hash32>,
    old: HashSet<Hash32>,
}

impl Memory {
    fn is_new(&mut self, leaf: Hash32) -> bool {
        if self.young.len() >= MEMORY_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        !self.old.contains(&leaf) && self.young.insert(leaf)
    }
}
