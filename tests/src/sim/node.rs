//! One simulated machine: a replica, its disk, clock and timers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use vouch_replica::{Now, PeerId, Replica, Timer, VolatileMemory};
use vouch_types::{SecretKey, TimestampMs};

use super::{byzantine::Adversary, disk::Disk, plan::NodePlan};

/// The machine.
pub struct Node {
    pub index: usize,
    /// Whose keys it has: its own index, except for a twin.
    pub identity: usize,
    pub seed: [u8; 32],
    pub peer: PeerId,
    pub plan: NodePlan,
    pub disk: Arc<Disk>,
    /// What it keeps of its votes apart from the disk.
    pub memory: VolatileMemory,
    /// The last copy of the disk, and what was reported by then.
    pub copy: Option<(Arc<Disk>, u64)>,
    pub replica: Option<Replica>,
    /// Counts restarts.
    pub life: u64,
    /// Timers and the number of the setting that counts.
    pub timers: BTreeMap<Timer, u64>,
    pub allowed: BTreeSet<PeerId>,
    /// Open connections and their number.
    pub links: BTreeMap<usize, u64>,
    pub paused_until_ms: u64,
    pub slow_until_ms: u64,
    pub slow_by_ms: u64,
    pub clock_jump_ms: i64,
    pub adversary: Option<Box<dyn Adversary>>,
    /// The last height it said is final.
    pub reported: u64,
    /// Lost its disk or got an older one, and has not voted since.
    pub wiped: bool,
    /// The first life of which nothing synced was lost since.
    pub intact_since: u64,
    /// In use: founding, or registered.
    pub started: bool,
}

impl Node {
    pub fn secret(&self) -> SecretKey {
        SecretKey::from_seed(self.seed)
    }

    /// Whether it does not vote, or will not when it is back.
    pub fn abstains(&self) -> bool {
        self.replica.as_ref().map_or(self.wiped, Replica::abstains)
    }

    /// What its clocks show.
    pub fn clock(&self, epoch_ms: u64, now_ms: u64) -> Now {
        let drift = now_ms as i64 * self.plan.drift_ppm / 1_000_000;
        let wall = (epoch_ms + now_ms) as i64 + self.plan.skew_ms + drift + self.clock_jump_ms;
        Now {
            wall: TimestampMs(wall as u64),
            steady_ms: 10_000 + self.index as u64 * 777 + (now_ms as i64 + drift) as u64,
        }
    }
}
