//! Why a node must stop rather than go on.

use vouch_types::{Height, Round, ValidatorSetError};

/// What a validator signs at most once per height and round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignedKind {
    /// A proposal.
    Proposal,
    /// A prevote.
    Prevote,
    /// A precommit.
    Precommit,
}

impl core::fmt::Display for SignedKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Proposal => "proposal",
            Self::Prevote => "prevote",
            Self::Precommit => "precommit",
        })
    }
}

/// Going on could break the promise that a validator never contradicts itself. The driver answers every later input with
/// the same fault; the node stops and shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SafetyFault {
    /// A second, different statement was about to be signed.
    #[error("refused to sign a second, different {kind} at height {height}, round {round}")]
    WouldSignTwice {
        /// What.
        kind: SignedKind,
        /// The height.
        height: Height,
        /// The round.
        round: Round,
    },
    /// Replaying the log led to another statement than the one it records.
    #[error("replay of the consensus log gives another {kind} at height {height}, round {round} than the one recorded")]
    ReplayDiverged {
        /// What.
        kind: SignedKind,
        /// The height.
        height: Height,
        /// The round.
        round: Round,
    },
    /// The log holds two different statements of ours for one place.
    #[error("the consensus log holds two different {kind}s of this node at height {height}, round {round}")]
    LogContradicts {
        /// What.
        kind: SignedKind,
        /// The height.
        height: Height,
        /// The round.
        round: Round,
    },
    /// The log was written for another chain or by another key.
    #[error("the consensus log belongs to another chain or another validator key")]
    LogForeign,
    /// The log is of a later height than the store: the store was rolled back, and this node may have voted since.
    #[error("the consensus log is at height {log}, the store only asks for height {store}: the store was rolled back")]
    LogAhead {
        /// Height of the log.
        log: Height,
        /// Height to be started.
        store: Height,
    },
    /// Someone else signs with this node's key, or this node's log was lost after it had voted. In the second case the host
    /// can start it again without letting it sign until that height is over.
    #[error("a {kind} of this node at height {height}, round {round} arrived that it has no record of signing")]
    KeyInUseElsewhere {
        /// What.
        kind: SignedKind,
        /// The height.
        height: Height,
        /// The round.
        round: Round,
    },
    /// The host asked for a height that is not after the current one.
    #[error("height {asked} was started after height {current}")]
    HeightOrder {
        /// The height before.
        current: Height,
        /// The height asked for.
        asked: Height,
    },
    /// The host gave a set that is none.
    #[error("height {height} has no usable validator set: {error}")]
    Validators {
        /// The height.
        height: Height,
        /// What is wrong with it.
        error: ValidatorSetError,
    },
    /// The core asked for something that cannot be.
    #[error("the consensus core broke its contract: {0}")]
    Core(&'static str),
}

impl SafetyFault {
    /// Stable code for telemetry and the status command.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WouldSignTwice { .. } => "consensus.fault.would_sign_twice",
            Self::ReplayDiverged { .. } => "consensus.fault.replay_diverged",
            Self::LogContradicts { .. } => "consensus.fault.log_contradicts",
            Self::LogForeign => "consensus.fault.log_foreign",
            Self::LogAhead { .. } => "consensus.fault.log_ahead",
            Self::KeyInUseElsewhere { .. } => "consensus.fault.key_in_use_elsewhere",
            Self::HeightOrder { .. } => "consensus.fault.height_order",
            Self::Validators { .. } => "consensus.fault.validators",
            Self::Core(_) => "consensus.fault.core",
        }
    }
}
