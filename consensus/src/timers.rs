//! How long to wait, and which wait is meant.

use vouch_types::{Height, Round};
use wincode::{SchemaRead, SchemaWrite};

/// What a wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub enum TimerKind {
    /// For the proposal, before prevoting nil.
    Propose,
    /// For prevotes to agree, before precommitting nil.
    Prevote,
    /// For precommits to agree, before the next round.
    Precommit,
    /// Before sending the own votes of this round again.
    Rebroadcast,
}

/// Names one wait. Setting a timer that is set already replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// What for.
    pub kind: TimerKind,
}

/// Waits of one chain, from its parameters. A dead proposer costs `propose_ms + vote_ms` and a few message delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a proposal in round 0: 400 to 800 in production.
    pub propose_ms: u32,
    /// For votes to agree in round 0: 150 to 300 in production.
    pub vote_ms: u32,
    /// Added per round, so that a slow network is met in the end.
    pub growth_ms: u32,
    /// Bound on every wait.
    pub max_ms: u32,
}

impl Timeouts {
    /// What the sample consortium uses.
    pub const DEFAULT: Self = Self { propose_ms: 600, vote_ms: 250, growth_ms: 200, max_ms: 3_000 };

    /// The wait of a kind in a round, at most `max_ms`.
    #[must_use]
    pub fn wait_ms(&self, kind: TimerKind, round: Round) -> u32 {
        let base = match kind {
            TimerKind::Propose => self.propose_ms,
            TimerKind::Prevote | TimerKind::Precommit => self.vote_ms,
            TimerKind::Rebroadcast => self.propose_ms.saturating_add(self.vote_ms),
        };
        base.saturating_add(self.growth_ms.saturating_mul(round.0)).min(self.max_ms)
    }
}
