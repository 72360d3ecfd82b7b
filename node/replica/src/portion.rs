//! How many transactions a proposer puts into a block: as many as the last rounds carried in good time.
//!
//! A block that takes longer to spread and execute than validators wait for it costs a round. Meanwhile more transactions
//! wait, so the next block is larger still, and a network that was slow for a moment stays slow for as long as the load
//! lasts. The bound here is a proposer's own and no rule of the chain: validators take what the parameters allow.

use vouch_types::Round;

/// Blocks up to this size are never what makes a round slow.
const TRANSACTIONS_MIN: usize = 64;

/// The bound, and what it is learnt from. All times are steady milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// `usize::MAX` until a round was slow.
    limit: usize,
    round_started_ms: u64,
}

impl Default for Portion {
    /// Nothing was slow yet.
    fn default() -> Self {
        Self { limit: usize::MAX, round_started_ms: 0 }
    }
}

impl Portion {
    /// A round of the running height begins.
    pub const fn round_started(&mut self, now_ms: u64) {
        self.round_started_ms = now_ms;
    }

    /// A block was decided in the round that began last. `good_ms` is how long a round may take.
    ///
    /// Another proposer can make its own blocks as slow as it likes, so one of them takes no more than a tenth of the bound
    /// away, less than one quick block gives back.
    pub fn decided(&mut self, now_ms: u64, transactions: usize, good_ms: u64, is_own: bool) {
        let took_ms = now_ms.saturating_sub(self.round_started_ms);
        if took_ms > good_ms {
            if transactions > TRANSACTIONS_MIN {
                let carried = (transactions as u128).saturating_mul(good_ms.into()) / u128::from(took_ms);
                let carried = usize::try_from(carried).unwrap_or(usize::MAX);
                let least = if is_own { TRANSACTIONS_MIN } else { self.limit - self.limit / 10 };
                self.limit = self.limit.min(carried.max(least).max(TRANSACTIONS_MIN));
            }
        } else if transactions >= self.limit / 2 {
            // A block far below the bound says nothing of what could be carried.
            self.limit = self.limit.saturating_add(self.limit / 4);
        }
    }

    /// Most transactions for a block made in this round: fewer from the third on, since two have failed.
    #[must_use]
    pub fn for_round(&self, round: Round) -> usize {
        let halvings = round.0.saturating_sub(1).min(16);
        if halvings == 0 {
            return self.limit;
        }
        // Without a bound there is nothing to halve; a block of so many is large for every network.
        let from = self.limit.min(LARGE);
        (from >> halvings).max(TRANSACTIONS_MIN)
    }
}

/// What failing rounds halve when nothing is known.
const LARGE: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD_MS: u64 = 600;

    fn decided(portion: &mut Portion, took_ms: u64, transactions: usize) -> usize {
        portion.round_started(1_000);
        portion.decided(1_000 + took_ms, transactions, GOOD_MS, true);
        portion.for_round(Round(0))
    }

    #[test]
    fn a_slow_round_bounds_the_next_block_and_quick_ones_free_it() {
        let mut portion = Portion::default();
        assert_eq!(decided(&mut portion, 600, 10_000), usize::MAX);
        assert_eq!(decided(&mut portion, 6_000, 10_000), 1_000);
        assert_eq!(decided(&mut portion, 1_200, 900), 450);
        assert_eq!(decided(&mut portion, 300, 100), 450, "too small to tell");
        assert_eq!(decided(&mut portion, 300, 450), 562);
        let (mut heights, mut limit) = (0, 562);
        while limit < 10_000 {
            limit = decided(&mut portion, 500, limit);
            heights += 1;
        }
        assert!(heights < 20, "{heights}");
        for _ in 0..1_000 {
            decided(&mut portion, 0, usize::MAX);
        }
        assert!(portion.for_round(Round(0)) > usize::MAX / 2);
    }

    #[test]
    fn what_is_small_is_not_what_is_slow() {
        let mut portion = Portion::default();
        assert_eq!(decided(&mut portion, 60_000, 64), usize::MAX);
        assert_eq!(decided(&mut portion, 60_000, 65), 64);
        assert_eq!(decided(&mut portion, u64::MAX - 1_000, 64), 64);
    }

    #[test]
    fn slow_blocks_of_another_proposer_cannot_hold_the_bound_down() {
        let mut portion = Portion::default();
        let others = |portion: &mut Portion, took_ms: u64, transactions: usize| {
            portion.round_started(1_000);
            portion.decided(1_000 + took_ms, transactions, GOOD_MS, false);
            portion.for_round(Round(0))
        };
        assert!(others(&mut portion, 700, 65) > usize::MAX / 2, "without a bound nothing is a tenth of it");
        assert_eq!(decided(&mut portion, 1_200, 2_000), 1_000);
        assert_eq!(others(&mut portion, 700, 65), 900);
        assert_eq!(others(&mut portion, 630, 945), 900, "as much as was carried");
        // One of four is slow on purpose, the others bring what the bound lets them.
        for _ in 0..100 {
            others(&mut portion, 700, 65);
            for _ in 0..3 {
                let full = portion.for_round(Round(0));
                others(&mut portion, 300, full);
            }
        }
        assert!(portion.for_round(Round(0)) > 100_000);
    }

    #[test]
    fn rounds_that_fail_make_the_next_block_smaller() {
        let mut portion = Portion::default();
        let limits = |portion: &Portion| [0, 1, 2, 3, 9, u32::MAX].map(|round| portion.for_round(Round(round)));
        assert_eq!(limits(&portion), [usize::MAX, usize::MAX, 4_096, 2_048, 64, 64]);
        decided(&mut portion, 1_200, 2_000);
        assert_eq!(limits(&portion), [1_000, 1_000, 500, 250, 64, 64]);
    }
}
