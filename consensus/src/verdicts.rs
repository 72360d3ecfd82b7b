//! The host's verdicts on blocks, in bounded room, so that a repeated one is neither logged nor told to the core again.
//!
//! A round has one proposer, so verdicts are counted by round: whoever names blocks without end uses up the room of its own
//! rounds and of no others.

use std::collections::{BTreeMap, BTreeSet};

use malachitebft_core_consensus::MAX_FUTURE_ROUND_LOOKAHEAD;
use vouch_types::{BlockHash, NodeId, Round};

use crate::log::LogEntry;

/// Verdicts of one round that are passed on. The core takes two blocks of a round, and each may come with and without an
/// earlier round.
const PER_ROUND_MAX: usize = 8;

/// Whether a proposal or verdict is for a round that nobody honest can be in yet. The core drops such proposals, so what
/// were remembered of them would only take up room.
pub(crate) const fn is_too_far(current: Round, round: Round) -> bool {
    round.0 > current.0.saturating_add(MAX_FUTURE_ROUND_LOOKAHEAD)
}

type Verdict = (Option<Round>, NodeId, BlockHash, bool);

#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    rounds: BTreeMap<Round, BTreeSet<Verdict>>,
}

impl Verdicts {
    pub(crate) fn clear(&mut self) {
        self.rounds.clear();
    }

    /// True for a verdict that is new, near enough to `current` and within the room of its round; it is then remembered.
    pub(crate) fn admit(&mut self, current: Round, entry: &LogEntry) -> bool {
        let Some((round, verdict)) = verdict_of(entry).filter(|(round, _)| !is_too_far(current, *round)) else {
            return false;
        };
        let of_round = self.rounds.entry(round).or_default();
        of_round.len() < PER_ROUND_MAX && of_round.insert(verdict)
    }

    /// Remembers one that the log holds.
    pub(crate) fn recall(&mut self, entry: &LogEntry) {
        if let Some((round, verdict)) = verdict_of(entry) {
            self.rounds.entry(round).or_default().insert(verdict);
        }
    }
}

fn verdict_of(entry: &LogEntry) -> Option<(Round, Verdict)> {
    match entry {
        LogEntry::Block { round, valid_round, proposer, block, valid, .. } => {
            Some((*round, (*valid_round, *proposer, *block, *valid)))
        }
        _ => None,
    }
}
