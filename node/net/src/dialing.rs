//! When to dial whom: the smaller key dials, the other one only after a while; failures back off with jitter.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::{NetLimits, ms};

/// The dialling state of one peer.
#[derive(Debug)]
pub(crate) struct Dialing {
    /// We have the smaller key.
    first: bool,
    failures: u32,
    due: Option<Instant>,
    busy: bool,
}

impl Dialing {
    /// For a newly admitted peer: at once, or after the other side had its chance.
    pub(crate) fn new(first: bool, limits: &NetLimits, now: Instant) -> Self {
        let wait = if first { Duration::ZERO } else { ms(limits.fallback_dial_delay_ms) };
        Self { first, failures: 0, due: Some(now + wait), busy: false }
    }

    /// When [`Dialing::begin`] should be called.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// True if a dial is due, which is then under way.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let start = !self.busy && self.due.is_some_and(|due| due <= now);
        if start {
            self.busy = true;
            self.due = None;
        }
        start
    }

    /// The dial came to an end, good or bad.
    pub(crate) fn ended(&mut self) {
        self.busy = false;
    }

    /// Nothing to do while connected.
    pub(crate) fn rest(&mut self) {
        self.due = None;
    }

    /// A connection lasted: the next trouble starts from the shortest delay.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// A new address: as for a newly admitted peer.
    pub(crate) fn address_changed(&mut self, limits: &NetLimits, now: Instant) {
        *self = Self { busy: self.busy, ..Self::new(self.first, limits, now) };
    }

    /// A dial failed or a connection ended: dial again after a delay. `random` is uniform in `0..=u32::MAX`.
    pub(crate) fn retry(&mut self, limits: &NetLimits, random: u32, now: Instant) {
        if self.busy {
            return;
        }
        let wait = delay(limits, self.failures, random);
        let wait = if self.first { wait } else { wait + ms(limits.fallback_dial_delay_ms) };
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + wait);
    }
}

/// Doubled at each failure up to the maximum, then between half of it and all of it.
fn delay(limits: &NetLimits, failures: u32, random: u32) -> Duration {
    let factor = 1u64.checked_shl(failures.min(32)).unwrap_or(u64::MAX);
    let full = limits.redial_min_ms.saturating_mul(factor).min(limits.redial_max_ms);
    let jitter = (u128::from(full / 2) * u128::from(random)) >> 32;
    let jitter = u64::try_from(jitter).unwrap_or(0);
    ms(full - full / 2 + jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_within_bounds_and_scatter() {
        let limits = NetLimits { redial_min_ms: 100, redial_max_ms: 5000, ..NetLimits::default() };
        let check = |failures, low, high| {
            assert_eq!(delay(&limits, failures, 0), ms(low));
            let top = delay(&limits, failures, u32::MAX);
            assert!(top <= ms(high) && top >= ms(high - 1), "{top:?}");
        };
        check(0, 50, 100);
        check(1, 100, 200);
        check(3, 400, 800);
        check(6, 2500, 5000);
        check(u32::MAX, 2500, 5000);
    }

    #[test]
    fn the_smaller_key_dials_first() {
        let limits = NetLimits { fallback_dial_delay_ms: 3000, ..NetLimits::default() };
        let now = Instant::now();
        assert!(Dialing::new(true, &limits, now).begin(now));
        let mut second = Dialing::new(false, &limits, now);
        assert!(!second.begin(now + ms(2999)));
        assert!(second.begin(now + ms(3000)));
        assert!(!second.begin(now + ms(9000)), "one dial at a time");
        second.ended();
        second.retry(&limits, 0, now);
        assert_eq!(second.due(), Some(now + ms(3050)));
        second.rest();
        assert!(!second.begin(now + ms(9000)));
    }
}
