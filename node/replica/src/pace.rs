//! When the next height begins: at the block interval under load, at the idle interval without, at once when others began.

/// Where this node stands between two heights. All times are steady milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    running: bool,
    started_ms: u64,
    ended_ms: u64,
    work_seen: bool,
}

impl Pace {
    /// Nothing runs yet.
    #[must_use]
    pub const fn new(now_ms: u64) -> Self {
        Self { running: false, started_ms: now_ms, ended_ms: now_ms, work_seen: false }
    }

    /// Whether consensus runs for the next height.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running
    }

    /// When the height that runs began, or the last one did.
    #[must_use]
    pub const fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// Consensus runs from now on.
    pub const fn height_started(&mut self, now_ms: u64) {
        self.running = true;
        self.started_ms = now_ms;
        self.work_seen = false;
    }

    /// Consensus is done with its height.
    pub const fn height_ended(&mut self, now_ms: u64) {
        self.running = false;
        self.ended_ms = now_ms;
    }

    /// Another validator already works on the next height.
    pub const fn work_seen(&mut self) {
        self.work_seen = true;
    }

    /// In how many milliseconds the next height begins; `None` while one runs.
    #[must_use]
    pub const fn due(&self, now_ms: u64, busy_ms: u64, idle_ms: u64, transactions_wait: bool) -> Option<u64> {
        if self.running {
            return None;
        }
        if self.work_seen {
            return Some(0);
        }
        let at = if transactions_wait {
            self.started_ms.saturating_add(busy_ms)
        } else {
            self.ended_ms.saturating_add(idle_ms)
        };
        Some(at.saturating_sub(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_height_waits_for_work_or_time() {
        let mut pace = Pace::new(1_000);
        assert_eq!(pace.due(1_000, 300, 10_000, false), Some(10_000));
        assert_eq!(pace.due(1_100, 300, 10_000, true), Some(200));
        assert_eq!(pace.due(5_000, 300, 10_000, true), Some(0));
        pace.height_started(5_000);
        assert_eq!(pace.due(5_000, 300, 10_000, true), None);
        pace.height_ended(5_050);
        assert_eq!(pace.due(5_060, 300, 10_000, true), Some(240), "counted from start to start");
        assert_eq!(pace.due(5_060, 300, 10_000, false), Some(9_990), "counted from the end");
        pace.work_seen();
        assert_eq!(pace.due(5_060, 300, 10_000, false), Some(0));
    }
}
