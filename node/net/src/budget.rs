//! Token buckets: how fast a peer may make us read.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Rate;

const MICROS: i64 = 1_000_000;

/// A bucket that may go into debt by one purchase: whoever asks waits until the debt is paid.
///
/// Debt makes every size affordable, so no frame can wait for ever on a small burst.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: i64,
    /// Both in millionths of a token, so that slow rates lose nothing to rounding.
    burst: i64,
    balance: i64,
    refilled: Instant,
}

impl Bucket {
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let burst = i64::from(burst.max(1)) * MICROS;
        Self { per_second: i64::from(per_second.max(1)), burst, balance: burst, refilled: now }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled).as_micros();
        let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
        self.refilled = now;
        self.balance = self.balance.saturating_add(elapsed.saturating_mul(self.per_second)).min(self.burst);
    }

    /// Takes `tokens` and returns how long to wait before going on; zero while there is no debt.
    pub(crate) fn take(&mut self, tokens: u32, now: Instant) -> Duration {
        self.refill(now);
        self.balance = self.balance.saturating_sub(i64::from(tokens) * MICROS);
        if self.balance >= 0 {
            return Duration::ZERO;
        }
        let debt = self.balance.unsigned_abs();
        Duration::from_micros(debt.div_ceil(self.per_second.unsigned_abs()))
    }

    /// Takes one token if there is one; no debt.
    pub(crate) fn try_take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let enough = self.balance >= MICROS;
        if enough {
            self.balance -= MICROS;
        }
        enough
    }
}

/// What one peer may send on one channel.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: Bucket,
    frames: Bucket,
}

impl Budget {
    pub(crate) fn new(rate: &Rate, now: Instant) -> Self {
        Self {
            bytes: Bucket::new(rate.bytes_per_second, rate.bytes_burst, now),
            frames: Bucket::new(rate.frames_per_second, rate.frames_burst, now),
        }
    }

    /// Accounts for a frame and returns how long not to read on.
    pub(crate) fn frame(&mut self, bytes: u32, now: Instant) -> Duration {
        self.bytes.take(bytes, now).max(self.frames.take(1, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_is_free_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 5, start);
        for _ in 0..5 {
            assert_eq!(bucket.take(1, start), Duration::ZERO);
        }
        assert_eq!(bucket.take(1, start), Duration::from_millis(100));
        assert_eq!(bucket.take(1, start), Duration::from_millis(200));
        // After half a second two tokens of debt are paid and three are saved.
        let later = start + Duration::from_millis(500);
        assert_eq!(bucket.take(3, later), Duration::ZERO);
        assert_eq!(bucket.take(1, later), Duration::from_millis(100));
    }

    #[test]
    fn larger_than_the_burst_is_paid_off_not_refused() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1000, 10, start);
        assert_eq!(bucket.take(1010, start), Duration::from_secs(1));
    }

    #[test]
    fn saved_tokens_never_exceed_the_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(u32::MAX, 2, start);
        let later = start + Duration::from_secs(1 << 40);
        assert!(bucket.try_take(later) && bucket.try_take(later));
        assert!(!bucket.try_take(later));
    }

    #[test]
    fn the_tighter_of_bytes_and_frames_counts() {
        let start = Instant::now();
        let rate = Rate { bytes_per_second: 1000, bytes_burst: 1, frames_per_second: 1, frames_burst: 100 };
        assert_eq!(Budget::new(&rate, start).frame(1001, start), Duration::from_secs(1));
        let rate = Rate { bytes_per_second: 1000, bytes_burst: 5000, frames_per_second: 2, frames_burst: 1 };
        let mut budget = Budget::new(&rate, start);
        assert_eq!(budget.frame(1, start), Duration::ZERO);
        assert_eq!(budget.frame(1, start), Duration::from_millis(500));
    }
}
