//! A node's disk: storage in memory, behind a place where planted bugs can sit.

use std::sync::Mutex;

use vouch_ledger::{
    Batch, Durability, Storage, StorageError, Table, View,
    memory::{Fault, MemoryStorage},
    storage::{Change, Entry},
};
use vouch_types::{CommitCertificate, certificate::CERTIFICATE_BYTES_MAX, decode, encode};

use super::mutants::Mutant;

/// The disk.
#[derive(Debug)]
pub struct Disk {
    memory: MemoryStorage,
    mutant: Option<Mutant>,
    faults_seen: Mutex<u64>,
    read_fault: Mutex<Option<Fault>>,
}

impl Disk {
    /// An empty one.
    pub fn new(mutant: Option<Mutant>) -> Self {
        Self { memory: MemoryStorage::new(), mutant, faults_seen: Mutex::new(0), read_fault: Mutex::new(None) }
    }

    /// What it holds now, on another disk.
    pub fn copy(&self, mutant: Option<Mutant>) -> Self {
        let copy = Self::new(mutant);
        let mut batch = Batch::new();
        self.look(|disk| {
            for table in Table::ALL {
                for (key, value) in disk.memory.scan(table, &[], None, usize::MAX).expect("looked at from outside") {
                    batch.put(table, key, value);
                }
            }
        });
        copy.memory.write(batch, Durability::Synced).expect("a new disk has no faults");
        copy
    }

    /// Fails a write that is `after` writes away, counted from 1.
    pub fn fail_write(&self, after: u64, kind: vouch_ledger::memory::FaultKind, takes_effect: bool) {
        let first = self.memory.counters().writes + after;
        self.memory.set_write_fault(Some(Fault { kind, first, last: u64::MAX, takes_effect }));
    }

    /// Fails a read that is `after` reads away, and all after it.
    pub fn fail_read(&self, after: u64) {
        let first = self.memory.counters().reads + after;
        let kind = vouch_ledger::memory::FaultKind::InputOutput;
        let fault = Some(Fault { kind, first, last: u64::MAX, takes_effect: false });
        *self.read_fault.lock().unwrap() = fault;
        self.memory.set_read_fault(fault);
    }

    /// Looks at the disk from outside, where its faults do not reach.
    pub fn look<T>(&self, look: impl FnOnce(&Self) -> T) -> T {
        self.memory.set_read_fault(None);
        let result = look(self);
        self.memory.set_read_fault(*self.read_fault.lock().unwrap());
        result
    }

    /// No planned fault from now on.
    pub fn repair(&self) {
        self.memory.set_write_fault(None);
        *self.read_fault.lock().unwrap() = None;
        self.memory.set_read_fault(None);
    }

    /// Whether a planned fault struck since this was asked last.
    pub fn fault_struck(&self) -> bool {
        let faults = self.memory.counters().faults;
        let mut seen = self.faults_seen.lock().unwrap();
        core::mem::replace(&mut *seen, faults) != faults
    }

    /// Reads for somebody beside replica and vault, who may go on when it fails: faults reach this read, but
    /// [`Self::fault_struck`] does not tell of them.
    pub fn read_beside<T>(&self, read: impl FnOnce() -> T) -> T {
        let before = self.memory.counters().faults;
        let result = read();
        *self.faults_seen.lock().unwrap() += self.memory.counters().faults - before;
        result
    }

    /// Power cut: `keep_percent` of the unsynced writes, the oldest, survive.
    pub fn crash(&self, keep_percent: u64) {
        let unsynced = self.memory.unsynced_writes();
        self.memory.crash(unsynced * keep_percent as usize / 100);
    }

    fn alter(&self, batch: Batch) -> Batch {
        let Some(mutant) = self.mutant else { return batch };
        let keeps = |change: &Change| {
            !matches!(
                (mutant, change),
                (Mutant::SkipLog, Change::Put(Table::ConsensusLog, ..))
                    | (Mutant::LoseEvidence, Change::Put(Table::Evidence, ..))
                    | (Mutant::ForgetUndecided, Change::Put(Table::Undecided, ..))
            )
        };
        let changes = batch.changes.into_iter().filter(keeps).map(|change| match change {
            Change::Put(Table::Certificates, key, value) if mutant == Mutant::ThinCertificate => {
                Change::Put(Table::Certificates, key, thinner(&value))
            }
            other => other,
        });
        Batch { changes: changes.collect() }
    }
}

/// A certificate without as many signatures as it needs.
fn thinner(value: &[u8]) -> Vec<u8> {
    let mut certificate: CommitCertificate = decode("certificate", value, CERTIFICATE_BYTES_MAX).unwrap();
    let half = certificate.signatures.len() / 2;
    certificate.signatures.truncate(half);
    encode(&certificate)
}

fn is_commit(batch: &Batch) -> bool {
    batch.changes.iter().any(|change| matches!(change, Change::Put(Table::Headers, ..)))
}

impl View for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        if table == Table::Transactions && self.mutant == Some(Mutant::ForgetIds) {
            return Ok(None);
        }
        self.memory.get(table, key)
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.memory.get_many(table, keys)
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StorageError> {
        let mut rows = self.memory.scan(table, from, to, limit)?;
        if table == Table::State
            && self.mutant == Some(Mutant::MapOrder)
            && from.starts_with(b"tally")
            && rows.len() > 1
        {
            rows.pop();
        }
        Ok(rows)
    }

    fn last(&self, table: Table, before: Option<&[u8]>) -> Result<Option<Entry>, StorageError> {
        self.memory.last(table, before)
    }
}

impl Storage for Disk {
    fn view(&self) -> Box<dyn View + '_> {
        self.memory.view()
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), StorageError> {
        let is_commit = is_commit(&batch);
        let batch = self.alter(batch);
        match self.mutant {
            Some(Mutant::IgnoreSync) => self.memory.write(batch, Durability::Buffered),
            Some(Mutant::UnsyncedCommit) if is_commit => self.memory.write(batch, Durability::Buffered),
            Some(Mutant::TornCommit) if is_commit => {
                let mut first = batch;
                let second = Batch { changes: first.changes.split_off(first.changes.len() / 2) };
                self.memory.write(first, Durability::Buffered)?;
                self.memory.write(second, durability)
            }
            Some(Mutant::SwallowErrors) => {
                drop(self.memory.write(batch, durability));
                Ok(())
            }
            _ => self.memory.write(batch, durability),
        }
    }
}
