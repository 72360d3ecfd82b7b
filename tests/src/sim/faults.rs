//! What the plan does to nodes and disks, and the looks at bounds and reads in between.

use std::sync::Arc;

use vouch_ledger::{Batch, Durability, Storage, Table, View, memory::FaultKind};
use vouch_replica::{VotingRecord, VotingState};
use vouch_types::{Call, ContractName};

use super::{
    contract,
    disk::Disk,
    mutants::Mutant,
    oracle::{Checked, broken},
    plan::Fault,
    world::{Event, World},
};

/// Undecided blocks a node may keep: four of each of nine validators, again after each of a few restarts, and what it asked for.
const UNDECIDED_MAX: usize = 60;
/// Messages of later heights a node may keep.
const WAITING_MAX: usize = 8 * (24 * 9 + 48);

impl World {
    /// Power cut at one node.
    pub fn crash(&mut self, index: usize, keep_percent: u64) -> Checked {
        if self.nodes[index].replica.take().is_none() {
            return Ok(());
        }
        self.note(|| format!("node {index} crashes"));
        let node = &mut self.nodes[index];
        node.timers.clear();
        node.life += 1;
        node.disk.crash(keep_percent);
        self.crash_vault(index);
        let node = &mut self.nodes[index];
        let links: Vec<usize> = core::mem::take(&mut node.links).into_keys().collect();
        let peer = node.peer;
        for other in links {
            self.nodes[other].links.remove(&index);
            self.wake_vault(other, self.now_ms + 1);
            self.step(other, vouch_replica::Input::PeerDisconnected(peer))?;
        }
        Ok(())
    }

    /// Loses the consensus log.
    pub fn erase_log(&mut self, index: usize) {
        let mut batch = Batch::new();
        batch.delete_range(Table::ConsensusLog, vec![0; 8], vec![255; 8]);
        self.nodes[index].disk.repair();
        self.nodes[index].disk.write(batch, Durability::Synced).expect("repaired");
    }

    /// One of the next calls to the disk fails.
    pub fn plant_disk_error(&mut self, index: usize) {
        let disk = Arc::clone(&self.nodes[index].disk);
        if self.rng.chance(300) {
            disk.fail_read(self.rng.range(1, 20));
        } else {
            let kind = *self.rng.pick(&[FaultKind::InputOutput, FaultKind::DiskFull]);
            let (after, takes_effect) = (self.rng.range(1, 4), self.rng.chance(500));
            disk.fail_write(after, kind, takes_effect);
        }
    }

    /// A liar loses what it could know of its votes.
    pub fn forget_votes(&mut self, index: usize) {
        self.erase_log(index);
        let node = self.oracle.who[self.nodes[index].identity].consensus.node();
        self.nodes[index].memory.set(Some(VotingRecord::of_new_key(node)));
    }

    /// A fault of the plan.
    pub fn strike(&mut self, number: usize) -> Checked {
        let fault = self.plan.faults[number].fault.clone();
        self.note(|| format!("{fault:?}"));
        let now = self.now_ms;
        match fault {
            Fault::Crash { node, down_ms, keep } => {
                self.crash(node, keep)?;
                self.come_back(node, down_ms);
            }
            Fault::CrashAll { down_ms, keep } => {
                self.oracle.mark("power cut everywhere");
                for node in 0..self.nodes.len() {
                    self.crash(node, keep)?;
                    self.come_back(node, down_ms + node as u64 * 7);
                }
            }
            Fault::DiskError { node, after, full, takes_effect } => {
                let kind = if full { FaultKind::DiskFull } else { FaultKind::InputOutput };
                self.nodes[node].disk.fail_write(after, kind, takes_effect);
            }
            Fault::ReadError { node, after } => self.nodes[node].disk.fail_read(after),
            Fault::Wipe { node, down_ms, record } => self.wipe(node, down_ms, record)?,
            Fault::Copy { node } => {
                let copy = self.nodes[node].disk.copy(self.mutant_at(self.nodes[node].identity));
                self.nodes[node].copy = Some((Arc::new(copy), self.nodes[node].reported));
            }
            Fault::PutBack { node, down_ms, marked } => self.put_back(node, down_ms, marked)?,
            Fault::Cut { shape, pairs, for_ms } => {
                self.oracle.mark(match shape.as_str() {
                    "half" => "network cut in two",
                    "ring" => "network cut to a ring",
                    "isolate" => "node cut off",
                    _ => "network cut one way",
                });
                self.cuts.push((now + for_ms, pairs.into_iter().collect()));
            }
            Fault::Reset { a, b } => {
                self.disconnect(a, b)?;
                self.meet(a, b);
            }
            Fault::Pause { node, for_ms } => self.nodes[node].paused_until_ms = now + for_ms,
            Fault::Slow { node, extra_ms, for_ms } => {
                self.nodes[node].slow_by_ms = extra_ms;
                self.nodes[node].slow_until_ms = now + for_ms;
            }
            Fault::Doze { node, for_ms } => self.doze(node, now + for_ms),
            Fault::ClockJump { node, delta_ms } => self.nodes[node].clock_jump_ms = delta_ms,
        }
        Ok(())
    }

    fn come_back(&mut self, index: usize, after_ms: u64) {
        if self.nodes[index].started {
            self.at(self.now_ms + after_ms, Event::Restart(index));
        }
    }

    /// Whether a node may lose its disk now. It does not vote for a while then, so this counts among the faulty: not where
    /// they would be too many, and not while the powers change.
    fn may_lose(&self, index: usize) -> bool {
        let model = self.oracle.latest();
        let nodes: Vec<(usize, u64)> = model.active_nodes(&self.oracle.who).collect();
        let total: u64 = nodes.iter().map(|(_, p)| p).sum();
        let is_bad = |i: usize| i == index || self.nodes[i].abstains() || !self.nodes[i].plan.is_honest();
        let bad: u64 = nodes.iter().filter(|(i, _)| is_bad(*i)).map(|(_, p)| p).sum();
        !self.plan.set_changes && bad * 3 < total && self.is_honest(index)
    }

    fn wipe(&mut self, index: usize, down_ms: u64, record: bool) -> Checked {
        if !self.may_lose(index) {
            return Ok(());
        }
        self.oracle.mark("disk lost");
        self.crash(index, 0)?;
        self.lose_vault(index, true);
        let mutant = self.mutant_at(self.nodes[index].identity);
        let node = &mut self.nodes[index];
        node.disk = Arc::new(Disk::new(mutant));
        (node.wiped, node.intact_since) = (true, node.life);
        node.reported = 0;
        if record {
            node.memory.set(None);
        }
        self.lose_record(index);
        self.come_back(index, down_ms);
        Ok(())
    }

    /// Puts an older copy in the place of the disk.
    fn put_back(&mut self, index: usize, down_ms: u64, marked: bool) -> Checked {
        let Some((disk, reported)) = self.nodes[index].copy.clone().filter(|_| self.may_lose(index)) else {
            return Ok(());
        };
        self.oracle.mark("disk replaced by an older copy");
        self.crash(index, 0)?;
        self.lose_vault(index, false);
        let mutant = self.mutant_at(self.nodes[index].identity);
        let node = &mut self.nodes[index];
        node.disk = Arc::new(disk.copy(mutant));
        (node.wiped, node.intact_since) = (true, node.life);
        node.reported = reported;
        if let Some(record) = node.memory.record().filter(|_| marked) {
            node.memory.set(Some(VotingRecord { state: VotingState::Distrusted, ..record }));
        }
        self.lose_record(index);
        self.come_back(index, down_ms);
        Ok(())
    }

    /// A planted bug: whoever lost its disk takes its key for a new one.
    fn lose_record(&mut self, index: usize) {
        if self.mutant == Some(Mutant::TrustAnyDisk) {
            let node = self.oracle.who[self.nodes[index].identity].consensus.node();
            self.nodes[index].memory.set(Some(VotingRecord::of_new_key(node)));
        }
    }

    /// Looks at what must hold at any time.
    pub fn probe(&mut self) -> Checked {
        for index in 0..self.nodes.len() {
            if self.is_honest(index) && self.nodes[index].replica.is_some() {
                self.check_bounds(index)?;
            }
        }
        let index = self.rng.index(self.nodes.len());
        self.check_reads(index)?;
        self.look_at_vaults()
    }

    fn check_bounds(&mut self, index: usize) -> Checked {
        self.oracle.count("bounds");
        let node = &self.nodes[index];
        let Some(replica) = &node.replica else { return Ok(()) };
        let status = replica.status();
        let waiting = status.consensus.map_or(0, |c| c.waiting_messages);
        if status.mempool_count > self.plan.mempool_max || waiting > WAITING_MAX {
            return broken(
                "bounds",
                format!("node {index}: {} transactions, {waiting} messages wait", status.mempool_count),
            );
        }
        let undecided = node.disk.look(|d| d.scan(Table::Undecided, &[], None, 1000).map_or(0, |rows| rows.len()));
        if undecided > UNDECIDED_MAX {
            return broken("bounds", format!("node {index} keeps {undecided} undecided blocks"));
        }
        let strangers = node.links.keys().filter(|other| {
            !replica.ledger().registry().active_nodes().any(|n| n.network_key == self.nodes[**other].peer)
        });
        let strangers = strangers.count();
        self.oracle.count("connects to members only");
        if strangers > 0 {
            return broken(
                "connects to members only",
                format!("node {index} is connected to {strangers} that are none"),
            );
        }
        Ok(())
    }

    /// What a node answers to queries is what the blocks make of it.
    pub fn check_reads(&mut self, index: usize) -> Checked {
        let Some(replica) = &self.nodes[index].replica else { return Ok(()) };
        if !self.is_honest(index) {
            return Ok(());
        }
        let call =
            Call { contract: ContractName::new(contract::NAME).unwrap(), method: "list".into(), arguments: Vec::new() };
        let answer = self.nodes[index].disk.look(|_| replica.ledger().reader().query(&call));
        let Ok(outcome) = answer else { return broken("reads", format!("node {index} cannot answer a query")) };
        let expected = self.oracle.model_at(outcome.height.0).listing();
        self.oracle.count("reads");
        if outcome.result.as_ref() == Ok(&expected) {
            Ok(())
        } else {
            broken("reads", format!("node {index} at {}: {:?}, expected {expected:?}", outcome.height, outcome.result))
        }
    }
}
