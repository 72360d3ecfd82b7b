//! Everything a run is made of, drawn from its seed and written down, so that it can be kept, changed and shrunk.

use serde::{Deserialize, Serialize};

use super::{byzantine, rng::Rng, vaults::VaultPlan};

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Drives everything that is drawn while it runs.
    pub seed: u64,
    /// A planted bug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// Virtual time at which faults end.
    pub heal_at_ms: u64,
    /// Heights that must follow after that.
    pub heights_after: u64,
    /// Time between submissions.
    pub submit_every_ms: u64,
    /// Whether validators change.
    pub set_changes: bool,
    /// Pace.
    pub block_interval_ms: u32,
    /// Pace without load.
    pub idle_interval_ms: u32,
    /// Wait for a proposal.
    pub timeout_propose_ms: u32,
    /// Wait for votes.
    pub timeout_vote_ms: u32,
    /// Most transactions in a block.
    pub block_transactions_max: u32,
    /// Most waiting transactions at a node.
    pub mempool_max: usize,
    /// How long transactions may wait, in heights.
    pub expiry_window: u64,
    /// The links.
    pub links: Links,
    /// Crashes between two effects, per million effects.
    pub crash_rate: u64,
    /// Storage calls that fail, per million steps.
    pub disk_error_rate: u64,
    /// The nodes; those with power 0 at the end may be brought in later.
    pub nodes: Vec<NodePlan>,
    /// Faults at their times.
    pub faults: Vec<Scheduled>,
    /// Private documents, in the runs that have some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vaults: Option<VaultPlan>,
}

/// One node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodePlan {
    /// Voting power at the start.
    pub power: u64,
    /// False for one that is registered during the run, if at all.
    pub founding: bool,
    /// `honest`, or one of the byzantine kinds.
    pub kind: String,
    /// How far its clock is off.
    pub skew_ms: i64,
    /// How fast that grows, in parts per million.
    pub drift_ppm: i64,
}

impl NodePlan {
    /// Whether it does what it should.
    pub fn is_honest(&self) -> bool {
        self.kind == "honest"
    }
}

/// How messages travel. Chances per thousand.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Least delay.
    pub delay_min_ms: u64,
    /// Greatest delay: more than the least reorders.
    pub delay_max_ms: u64,
    /// Messages lost.
    pub loss: u64,
    /// Messages that come twice.
    pub duplication: u64,
    /// Messages with a byte changed.
    pub corruption: u64,
}

/// A fault and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// Virtual time.
    pub at_ms: u64,
    /// What.
    pub fault: Fault,
}

/// What goes wrong.
#[expect(missing_docs, reason = "the names and the text of each kind say what its fields are")]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Power cut; `keep` of 100 unsynced writes survive.
    Crash { node: usize, down_ms: u64, keep: u64 },
    /// Power cut everywhere.
    CrashAll { down_ms: u64, keep: u64 },
    /// A write fails, a few writes from now.
    DiskError { node: usize, after: u64, full: bool, takes_effect: bool },
    /// A read fails, a few reads from now.
    ReadError { node: usize, after: u64 },
    /// Power cut and an empty disk; `record`: the record of votes that is kept apart is lost as well.
    Wipe {
        node: usize,
        down_ms: u64,
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        record: bool,
    },
    /// Somebody copies the disk.
    Copy { node: usize },
    /// Power cut, and the last copy in the place of the disk; `marked`: by the program, which then distrusts its record.
    PutBack { node: usize, down_ms: u64, marked: bool },
    /// Messages from the first of a pair to the second are lost.
    Cut { shape: String, pairs: Vec<(usize, usize)>, for_ms: u64 },
    /// A connection breaks and comes back.
    Reset { a: usize, b: usize },
    /// A node stands still and then goes on.
    Pause { node: usize, for_ms: u64 },
    /// A node's messages take longer.
    Slow { node: usize, extra_ms: u64, for_ms: u64 },
    /// A node's vault stands still, its replica does not.
    Doze { node: usize, for_ms: u64 },
    /// A node's time of day jumps.
    ClockJump { node: usize, delta_ms: i64 },
}

impl Plan {
    /// Draws a run.
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 1);
        let count = *rng.pick(&[1, 4, 4, 4, 4, 5, 7]);
        let unequal = rng.chance(400);
        let mut nodes: Vec<NodePlan> = (0..count).map(|_| NodePlan::draw(&mut rng, unequal, true)).collect();
        let set_changes = count > 1 && rng.chance(350);
        if set_changes {
            nodes.extend((0..rng.range(1, 2)).map(|_| NodePlan::draw(&mut rng, false, false)));
        }
        if rng.chance(650) {
            Self::corrupt(&mut rng, &mut nodes);
        }
        let block_interval_ms = *rng.pick(&[40, 80, 150]);
        let idle_interval_ms = block_interval_ms * rng.range(1, 8) as u32;
        let delay_max_ms = *rng.pick(&[3, 10, 25, 60]);
        let heal_at_ms = rng.range(8, 20) * u64::from(block_interval_ms).max(delay_max_ms * 3);
        let mut plan = Self {
            seed,
            mutant: None,
            heal_at_ms,
            heights_after: 5,
            submit_every_ms: *rng.pick(&[5, 15, 40, 200]),
            set_changes,
            block_interval_ms,
            idle_interval_ms,
            timeout_propose_ms: (delay_max_ms as u32 * 3).max(60),
            timeout_vote_ms: (delay_max_ms as u32 * 2).max(40),
            block_transactions_max: *rng.pick(&[2, 8, 50]),
            mempool_max: *rng.pick(&[6, 40, 1000]),
            expiry_window: *rng.pick(&[4, 30, 1000]),
            links: Links { delay_min_ms: 1, delay_max_ms, loss: 0, duplication: 0, corruption: 0 },
            crash_rate: 0,
            disk_error_rate: 0,
            nodes,
            faults: Vec::new(),
            vaults: None,
        };
        plan.draw_faults(&mut rng);
        VaultPlan::draw(&mut plan);
        plan
    }

    /// Makes some nodes byzantine, with less than a third of the power.
    fn corrupt(rng: &mut Rng, nodes: &mut [NodePlan]) {
        let total: u64 = nodes.iter().filter(|n| n.founding).map(|n| n.power).sum();
        let mut bad = 0;
        for _ in 0..nodes.len() {
            let index = rng.index(nodes.len());
            let node = &mut nodes[index];
            if node.founding && node.is_honest() && (bad + node.power) * 3 < total {
                bad += node.power;
                node.kind = (*rng.pick(byzantine::KINDS)).to_owned();
            }
        }
    }

    fn draw_faults(&mut self, rng: &mut Rng) {
        let nodes = self.nodes.len();
        if rng.chance(500) {
            self.links.loss = *rng.pick(&[5, 30, 100]);
            self.links.duplication = *rng.pick(&[0, 20, 200]);
            self.links.corruption = *rng.pick(&[0, 5, 20]);
        }
        if rng.chance(400) {
            self.crash_rate = *rng.pick(&[300, 2_000]);
        }
        if rng.chance(300) {
            self.disk_error_rate = *rng.pick(&[1_000, 8_000]);
        }
        if rng.chance(250) {
            return;
        }
        for _ in 0..rng.range(1, 6) {
            let at_ms = rng.below(self.heal_at_ms);
            let fault = self.draw_fault(rng, nodes);
            self.faults.push(Scheduled { at_ms, fault });
        }
        if rng.chance(200) {
            let (node, at_ms) = (rng.index(nodes), rng.below(self.heal_at_ms));
            self.faults.push(Scheduled { at_ms, fault: Fault::Copy { node } });
            let at_ms = rng.range(at_ms, self.heal_at_ms);
            let fault = Fault::PutBack { node, down_ms: rng.range(5, 600), marked: rng.chance(300) };
            self.faults.push(Scheduled { at_ms, fault });
        }
    }

    fn draw_fault(&self, rng: &mut Rng, nodes: usize) -> Fault {
        let node = rng.index(nodes);
        let down_ms = rng.range(5, 600);
        let for_ms = rng.range(50, 1500);
        match rng.below(16) {
            0..=2 => Fault::Crash { node, down_ms, keep: *rng.pick(&[0, 0, 50, 100]) },
            3 => Fault::CrashAll { down_ms, keep: *rng.pick(&[0, 50, 100]) },
            4 => {
                Fault::DiskError { node, after: rng.range(1, 8), full: rng.chance(500), takes_effect: rng.chance(500) }
            }
            5 => Fault::ReadError { node, after: rng.range(1, 60) },
            6 | 14 => Fault::Wipe { node, down_ms, record: rng.chance(500) },
            7..=9 => {
                let (shape, pairs) = draw_cut(rng, nodes);
                Fault::Cut { shape: shape.to_owned(), pairs, for_ms }
            }
            10 => Fault::Reset { a: node, b: rng.index(nodes) },
            11 => Fault::Pause { node, for_ms },
            12 => Fault::Slow { node, extra_ms: rng.range(20, 300), for_ms },
            _ => Fault::ClockJump { node, delta_ms: rng.range(0, 600) as i64 - 300 },
        }
    }
}

impl NodePlan {
    fn draw(rng: &mut Rng, unequal: bool, founding: bool) -> Self {
        let power = if unequal { rng.range(1, 9) } else { 1 };
        let (skew_ms, drift_ppm) =
            if rng.chance(400) { (rng.range(0, 200) as i64 - 100, rng.range(0, 4000) as i64 - 2000) } else { (0, 0) };
        Self { power, founding, kind: "honest".to_owned(), skew_ms, drift_ppm }
    }
}

fn draw_cut(rng: &mut Rng, nodes: usize) -> (&'static str, Vec<(usize, usize)>) {
    let all = |keep: &dyn Fn(usize, usize) -> bool| {
        (0..nodes).flat_map(|a| (0..nodes).map(move |b| (a, b))).filter(|(a, b)| a != b && !keep(*a, *b)).collect()
    };
    let mask = rng.next();
    let alone = rng.index(nodes);
    let side = move |n: usize| mask >> n & 1;
    match rng.below(4) {
        0 => ("half", all(&|a, b| side(a) == side(b))),
        1 => ("ring", all(&|a, b| (a + 1) % nodes == b || (b + 1) % nodes == a)),
        2 => ("isolate", all(&|a, b| a != alone && b != alone)),
        _ => ("one-way", all(&|a, b| !(side(a) == 0 && side(b) == 1))),
    }
}
