//! Which received messages are passed on to other peers, so that one cut link does not slow the chain.

use std::collections::{BTreeSet, VecDeque};

use vouch_types::{Hash32, Height};

use crate::message::ConsensusMessage;

/// Heights ahead of the current one whose messages are still passed on.
const HEIGHTS_AHEAD: u64 = 2;

/// Remembers what was passed on, in two generations. A host turns the generation at the pace of the rebroadcast timer, so a
/// vote that its sender repeats because it seems lost is passed on again, and still no message circles.
#[derive(Debug)]
pub struct RelayFilter {
    generations: VecDeque<BTreeSet<Hash32>>,
    generation_max: usize,
}

impl RelayFilter {
    /// Remembers up to `2 * generation_max` messages of 32 bytes each; at least one.
    #[must_use]
    pub fn new(generation_max: usize) -> Self {
        Self { generations: VecDeque::from([BTreeSet::new(), BTreeSet::new()]), generation_max: generation_max.max(1) }
    }

    /// True when the message was not seen before and its height is of use to a peer: the one before `current`, `current`, or
    /// up to two after it. Call it for messages that [`crate::Driver::authenticates`].
    pub fn admit(&mut self, current: Height, message: &ConsensusMessage) -> bool {
        let height = message.height().0;
        if height < current.0.saturating_sub(1) || height > current.0.saturating_add(HEIGHTS_AHEAD) {
            return false;
        }
        let digest = message.digest();
        if self.generations.iter().any(|generation| generation.contains(&digest)) {
            return false;
        }
        if self.generations.front().is_some_and(|young| young.len() >= self.generation_max) {
            self.turn();
        }
        self.generations.front_mut().is_some_and(|young| young.insert(digest))
    }

    /// Begins a new generation and forgets the one before the last.
    pub fn turn(&mut self) {
        self.generations.pop_back();
        self.generations.push_front(BTreeSet::new());
    }

    /// How many messages are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.generations.iter().map(BTreeSet::len).sum()
    }

    /// True when none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
