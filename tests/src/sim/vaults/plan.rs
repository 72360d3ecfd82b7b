//! What a run with private documents is made of, beside the rest of its plan.

use serde::{Deserialize, Serialize};

use super::{
    super::{
        plan::{Fault, Plan, Scheduled},
        rng::Rng,
    },
    liars,
};

/// Runs with private documents among those that may have some, of a thousand: about one in eight of all.
const SHARE: u64 = 220;
/// Members that a run with private documents has at least.
const MEMBERS_MIN: usize = 4;

/// Private documents of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultPlan {
    /// Time between two acts with documents.
    pub act_every_ms: u64,
    /// Most of these acts.
    pub acts_max: u64,
    /// After the faults all vaults stand still until consensus has gone on without them.
    pub asleep: bool,
    /// Nodes whose vaults lie. They may be honest in everything else.
    #[serde(default)]
    pub liars: Vec<Liar>,
}

/// A node whose vault lies.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Liar {
    /// Which.
    pub node: usize,
    /// How.
    pub kind: String,
}

impl VaultPlan {
    /// Gives a drawn plan private documents, or not. Drawn apart from the rest, so that the others stay as they are.
    pub fn draw(plan: &mut Plan) {
        let mut rng = Rng::new(plan.seed, 5);
        let members = plan.nodes.iter().filter(|node| node.founding).count();
        if members < MEMBERS_MIN || plan.set_changes || !rng.chance(SHARE) {
            return;
        }
        // Acts of nodes need room beside the load, and time to be repeated.
        plan.block_transactions_max = plan.block_transactions_max.max(8);
        plan.mempool_max = plan.mempool_max.max(200);
        plan.expiry_window = plan.expiry_window.max(30);
        plan.submit_every_ms = plan.submit_every_ms.max(40);
        plan.heal_at_ms = plan.heal_at_ms.max(1_200);
        let mut vaults = Self {
            act_every_ms: *rng.pick(&[25, 60, 120]),
            acts_max: rng.range(10, 24),
            asleep: rng.chance(300),
            liars: Vec::new(),
        };
        if rng.chance(650) {
            let node = rng.index(members);
            vaults.liars.push(Liar { node, kind: (*rng.pick(liars::KINDS)).to_owned() });
        }
        for _ in 0..rng.below(4) {
            let (node, down_ms) = (rng.index(members), rng.range(5, 400));
            let fault = match rng.below(6) {
                0..=2 => Fault::Crash { node, down_ms, keep: *rng.pick(&[0, 50, 100]) },
                3 => Fault::Wipe { node, down_ms, record: false },
                _ => Fault::Doze { node, for_ms: rng.range(50, 900) },
            };
            let at_ms = rng.range(plan.heal_at_ms / 4, plan.heal_at_ms - 1);
            plan.faults.push(Scheduled { at_ms, fault });
        }
        plan.vaults = Some(vaults);
    }
}
