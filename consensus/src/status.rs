//! What a height waits for, for telling people who is missing.

use vouch_types::{BlockHash, Height, NodeId, Round};

use crate::timers::TimerId;

/// Where within a round a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Before the first round of the height.
    Waiting,
    /// Waits for the proposal.
    Propose,
    /// Waits for prevotes.
    Prevote,
    /// Waits for precommits.
    Precommit,
    /// Decided; waits for the host to start the next height.
    Decided,
}

/// One validator's part in the current round. Its position is its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidatorStatus {
    /// The validator.
    pub node: NodeId,
    /// Its weight.
    pub power: u64,
    /// Its prevote of this round has arrived.
    pub prevoted: bool,
    /// Its precommit of this round has arrived.
    pub precommitted: bool,
}

/// A snapshot of the current round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsensusStatus {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The step.
    pub step: Step,
    /// Who proposes in this round.
    pub proposer: NodeId,
    /// Whether the proposal of this round has arrived.
    pub proposal: Option<BlockHash>,
    /// Whether this node signs at this height.
    pub voting: bool,
    /// Every validator, in set order.
    pub validators: Vec<ValidatorStatus>,
    /// Power that is needed: more than two thirds of the total.
    pub power_needed: u64,
    /// Timers that run, with the wait they were set to in ms. The host knows when it set them.
    pub timers: Vec<(TimerId, u32)>,
    /// Messages that wait for later heights: others may be ahead.
    pub waiting_messages: usize,
}

impl ConsensusStatus {
    /// Who has not prevoted yet.
    pub fn missing_prevotes(&self) -> impl Iterator<Item = &ValidatorStatus> {
        self.validators.iter().filter(|v| !v.prevoted)
    }

    /// Who has not precommitted yet.
    pub fn missing_precommits(&self) -> impl Iterator<Item = &ValidatorStatus> {
        self.validators.iter().filter(|v| !v.precommitted)
    }
}
