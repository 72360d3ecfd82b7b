//! What happens to a node's disk: power is lost, it is lost itself, a write fails, a backup is taken.

use std::sync::Arc;

use vouch_ledger::{
    Batch, Durability, Storage as _, Table, View as _,
    memory::{Fault, FaultKind, MemoryStorage},
};
use vouch_vault::Input;

use super::World;

impl World {
    /// Power is lost: what was not synced is gone, to a point that chance chooses.
    pub fn crash(&mut self, index: usize) {
        if self.nodes[index].vault.take().is_none() {
            return;
        }
        self.counted.crashes += 1;
        let node = &self.nodes[index];
        let keep = self.rng.below(node.storage.unsynced_writes() as u64 + 1) as usize;
        node.storage.set_write_fault(None);
        node.storage.crash(keep);
        node.shelf.crash();
        node.blobs.crash();
        let peer = node.peer;
        for other in 0..self.nodes.len() {
            if other != index {
                self.step(other, vec![Input::PeerDisconnected(peer)]);
            }
        }
    }

    /// The disk is lost; the chain is there again from the others.
    pub fn wipe(&mut self, index: usize) {
        self.crash(index);
        let node = &mut self.nodes[index];
        node.storage = Arc::new(MemoryStorage::new());
        node.shelf.wipe();
        node.blobs.wipe();
    }

    /// The disk is lost but for the row that says which blocks were taken in.
    pub fn wipe_but_height(&mut self, index: usize) {
        self.crash(index);
        let row = self.nodes[index].storage.get(Table::Vault, b"mheight").unwrap().unwrap();
        self.wipe(index);
        let mut batch = Batch::new();
        batch.put(Table::Vault, b"mheight", row);
        self.nodes[index].storage.write(batch, Durability::Synced).unwrap();
    }

    /// The next write that this node makes after `writes` others fails, in the middle of a step.
    pub fn fail_write(&mut self, index: usize, writes: u64) {
        let storage = &self.nodes[index].storage;
        let first = storage.counters().writes + 1 + writes;
        storage.set_write_fault(Some(Fault {
            kind: FaultKind::InputOutput,
            first,
            last: u64::MAX,
            takes_effect: self.rng.chance(50),
        }));
    }

    /// A copy of a node's storage, without keys and files: what a backup holds.
    pub fn backup(&self, index: usize) -> Arc<MemoryStorage> {
        let copy = MemoryStorage::new();
        let view = self.nodes[index].storage.pin().unwrap().unwrap();
        let mut batch = Batch::new();
        for table in Table::ALL {
            for (key, value) in view.scan(table, &[], None, usize::MAX).unwrap() {
                batch.put(table, key, value);
            }
        }
        copy.write(batch, Durability::Synced).unwrap();
        Arc::new(copy)
    }
}
