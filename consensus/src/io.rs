//! What the driver is told and what it asks for.

use vouch_types::{BlockHash, CertificateError, CommitCertificate, Height, NodeId, Round, ValidatorSet};

use crate::{
    evidence::Evidence,
    log::RecoveredLog,
    message::ConsensusMessage,
    timers::{Timeouts, TimerId},
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The block before `height` is durable, and the host is ready for this one. The first input of every driver, and the
    /// answer to [`Effect::Finalize`], as late as the host likes: pace and idle waiting are the host's.
    HeightStarted {
        /// The height, above the one before.
        height: Height,
        /// Who votes at this height, from committed state.
        validators: ValidatorSet,
        /// How long to wait at this height, from committed state as well.
        timeouts: Timeouts,
        /// What was read back from the log file after a restart; the default value otherwise.
        log: RecoveredLog,
        /// False when this node may have signed at this height and does not remember what: it follows the height as one
        /// that does not vote, and its log is not read.
        signs: bool,
    },
    /// A decoded message came from the network. Anything goes: what does not hold is dropped.
    MessageReceived(ConsensusMessage),
    /// The host has the whole block durable and has judged it: executed it on the state of the block before and compared
    /// every root.
    BlockValidated {
        /// The height.
        height: Height,
        /// The round it was proposed in.
        round: Round,
        /// As its proposer said.
        valid_round: Option<Round>,
        /// Who sent it.
        proposer: NodeId,
        /// The block.
        block: BlockHash,
        /// The verdict.
        valid: bool,
    },
    /// Answer to [`Effect::RequestProposal`]: the own block is built and durable. For one height and round always the same.
    BlockProposed {
        /// The height.
        height: Height,
        /// The round.
        round: Round,
        /// The block.
        block: BlockHash,
    },
    /// A timer ran out.
    TimerFired(TimerId),
    /// Block synchronisation brought a certificate of the current height, and its block is durable and judged valid. A host
    /// that finds such a block invalid has diverged from the chain and must stop.
    CertificateReceived(CommitCertificate),
}

/// Something the host must do. Effects are done strictly in order, each before the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Replace the log's content by these bytes. What it held is about heights that are durable in the store.
    ResetLog(Vec<u8>),
    /// Append to the log. Need not be durable yet.
    AppendLog(Vec<u8>),
    /// Make everything reset or appended so far durable. On failure the node must stop, with nothing after it done.
    SyncLog,
    /// Send to every validator and follower.
    Broadcast(ConsensusMessage),
    /// Build a block on the block before and answer with [`Input::BlockProposed`] within the time, or others will.
    RequestProposal {
        /// The height.
        height: Height,
        /// The round.
        round: Round,
        /// When the others stop waiting.
        timeout_ms: u32,
    },
    /// Send the parts of a block that the host holds to everyone again, under this round.
    RestreamBlock {
        /// The height.
        height: Height,
        /// The round it is proposed in now.
        round: Round,
        /// The earlier round it had prevotes in.
        valid_round: Option<Round>,
        /// The block.
        block: BlockHash,
    },
    /// Report [`Input::TimerFired`] after that time, forgetting an earlier timer of the same name.
    SetTimer {
        /// Which.
        timer: TimerId,
        /// How long.
        after_ms: u32,
    },
    /// Forget a timer.
    CancelTimer(TimerId),
    /// Forget every timer.
    CancelAllTimers,
    /// The block is final: make it, this certificate and the state durable.
    Decide(CommitCertificate),
    /// Keep these proofs and show them.
    RecordEvidence(Vec<Evidence>),
    /// The height is over. Once the decided block is durable, the next [`Input::HeightStarted`] may come.
    Finalize {
        /// The height.
        height: Height,
    },
    /// A commit certificate of the current height proves nothing: whoever sent it lied.
    RejectCertificate {
        /// The height.
        height: Height,
        /// Why.
        error: CertificateError,
    },
    /// A round began; for telemetry.
    RoundStarted {
        /// The height.
        height: Height,
        /// The round.
        round: Round,
        /// Who proposes.
        proposer: NodeId,
    },
}
