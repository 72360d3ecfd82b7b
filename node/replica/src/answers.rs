//! How much each peer may have read out for it: requests are small, answers are not.
//!
//! The replica's one thread reads, copies and encodes every answer, whether or not the network then takes it. Each peer
//! has an allowance that refills with time; a request beyond it is dropped, and whoever asked asks again when no answer
//! came. So a peer that asks without end holds up its own answers and nobody's votes.

use std::collections::BTreeMap;

use crate::{
    message::Message,
    replica::{Effect, PeerId, Replica},
};

/// What a peer may have in a second, in bytes.
const BYTES_PER_SECOND: u64 = 32 << 20;
/// What it may have at once: a joining node asks for one thing at a time, the largest of 16 MiB.
const BURST_BYTES: u64 = 64 << 20;
/// What an answer counts for at least: so many bytes are encoded in the time that small reads take.
const ANSWER_BYTES_MIN: u64 = 256 << 10;

#[derive(Debug, Clone, Copy)]
struct Allowance {
    /// When it was refilled, in steady milliseconds.
    at_ms: u64,
    /// Bytes left then.
    left: u64,
}

impl Allowance {
    const fn refilled(self, now_ms: u64) -> Self {
        let earned = now_ms.saturating_sub(self.at_ms).saturating_mul(BYTES_PER_SECOND) / 1_000;
        let left = self.left.saturating_add(earned);
        Self { at_ms: now_ms, left: if left < BURST_BYTES { left } else { BURST_BYTES } }
    }
}

/// What peers have had lately; nothing is kept of those whose allowance is full.
#[derive(Debug, Default)]
pub(crate) struct Answers(BTreeMap<PeerId, Allowance>);

impl Answers {
    fn allowance(&self, peer: &PeerId, now_ms: u64) -> Allowance {
        let full = Allowance { at_ms: now_ms, left: BURST_BYTES };
        self.0.get(peer).map_or(full, |allowance| allowance.refilled(now_ms))
    }

    fn spend(&mut self, peer: PeerId, bytes: usize, now_ms: u64) {
        let Allowance { at_ms, left } = self.allowance(&peer, now_ms);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).max(ANSWER_BYTES_MIN);
        self.0.insert(peer, Allowance { at_ms, left: left.saturating_sub(bytes) });
    }

    /// Forgets those that had nothing for a while. One that connects again goes on with what it had left.
    pub(crate) fn tidy(&mut self, now_ms: u64) {
        self.0.retain(|_, allowance| allowance.refilled(now_ms).left < BURST_BYTES);
    }
}

impl Replica {
    /// Whether a peer may have something read out for it now.
    pub(crate) fn may_answer(&self, peer: &PeerId) -> bool {
        self.answers.allowance(peer, self.now.steady_ms).left > 0
    }

    /// Sends what a peer asked for.
    pub(crate) fn answer(&mut self, to: PeerId, message: &Message) {
        let bytes = message.to_bytes();
        self.answers.spend(to, bytes.len(), self.now.steady_ms);
        self.out.push(Effect::Send { to, lane: message.lane(), bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_refills() {
        let peer = vouch_types::SecretKey::from_seed([1; 32]).public();
        let mut answers = Answers::default();
        let left = |answers: &Answers, now_ms| answers.allowance(&peer, now_ms).left;
        assert_eq!(left(&answers, 5_000), BURST_BYTES);
        for small in 1..=256 {
            answers.spend(peer, 10, 5_000);
            assert_eq!(left(&answers, 5_000), BURST_BYTES - small * ANSWER_BYTES_MIN);
        }
        answers.spend(peer, 1, 5_000);
        assert_eq!(left(&answers, 5_000), 0);
        answers.tidy(5_000);
        assert_eq!(left(&answers, 5_500), BYTES_PER_SECOND / 2, "leaving and coming back fills nothing");
        answers.tidy(7_000);
        assert!(answers.0.is_empty());
        answers.spend(peer, usize::MAX, 7_000);
        assert_eq!(left(&answers, 7_000), 0);
        assert_eq!(left(&answers, u64::MAX), BURST_BYTES);
    }
}
