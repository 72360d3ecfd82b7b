//! When the next height begins: at the block interval under load, at the idle interval without, at once when others began.

use vouch_consensus as bft;
use vouch_genesis::ChainParams;
use vouch_types::Height;

use crate::replica::{Effect, Replica, ReplicaError, Timer};

/// Where this node stands between two heights. All times are steady milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    running: bool,
    started_ms: u64,
    ended_ms: u64,
    work: Height,
}

/// What decides when a height is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The height that comes next.
    pub next: Height,
    /// Whether transactions wait for it.
    pub transactions_wait: bool,
    /// From start to start under load.
    pub busy_ms: u64,
    /// From end to start without.
    pub idle_ms: u64,
}

impl Pace {
    /// Nothing runs yet.
    #[must_use]
    pub const fn new(now_ms: u64) -> Self {
        Self { running: false, started_ms: now_ms, ended_ms: now_ms, work: Height::ZERO }
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
    }

    /// Consensus is done with its height.
    pub const fn height_ended(&mut self, now_ms: u64) {
        self.running = false;
        self.ended_ms = now_ms;
    }

    /// Another validator already works on a height.
    pub fn work_seen(&mut self, height: Height) {
        self.work = self.work.max(height);
    }

    /// In how many milliseconds the next height begins; `None` while one runs.
    #[must_use]
    pub fn due(&self, now_ms: u64, demand: Demand) -> Option<u64> {
        if self.running {
            return None;
        }
        if self.work >= demand.next {
            return Some(0);
        }
        let at = if demand.transactions_wait {
            self.started_ms.saturating_add(demand.busy_ms)
        } else {
            self.ended_ms.saturating_add(demand.idle_ms)
        };
        Some(at.saturating_sub(now_ms))
    }
}

impl Replica {
    /// Tells the driver to run the next height.
    pub(crate) fn begin_height(&mut self) -> Result<(), ReplicaError> {
        self.pace.height_started(self.now.steady_ms);
        self.out.push(Effect::CancelTimer(Timer::Pace));
        let signs = self.may_sign();
        self.consensus_inputs.push_back(bft::Input::HeightStarted {
            height: self.ledger.next_height(),
            validators: self.ledger.validators().clone(),
            timeouts: timeouts(&self.ledger.registry().params),
            log: core::mem::take(&mut self.recovered),
            signs,
        });
        self.run_consensus()
    }

    /// Begins the next height when it is due, or sets the timer for when it will be.
    pub(crate) fn keep_pace(&mut self) -> Result<(), ReplicaError> {
        match self.next_height_due() {
            Some(0) => self.begin_height(),
            due => {
                self.set_pace_timer(due);
                Ok(())
            }
        }
    }

    pub(crate) fn set_pace_timer(&mut self, due: Option<u64>) {
        if let Some(after_ms) = due {
            self.out.push(Effect::SetTimer { timer: Timer::Pace, after_ms });
        }
    }

    /// In how many milliseconds the next height begins; `None` while one runs or a state is taken over.
    pub(crate) fn next_height_due(&self) -> Option<u64> {
        if self.ledger.join().is_some() {
            return None;
        }
        let params = &self.ledger.registry().params;
        let demand = Demand {
            next: self.ledger.next_height(),
            transactions_wait: !self.mempool.is_empty(),
            busy_ms: params.block_interval_ms.into(),
            idle_ms: params.idle_interval_ms.into(),
        };
        self.pace.due(self.now.steady_ms, demand)
    }
}

const fn timeouts(params: &ChainParams) -> bft::Timeouts {
    bft::Timeouts {
        propose_ms: params.timeout_propose_ms,
        vote_ms: params.timeout_vote_ms,
        growth_ms: params.timeout_growth_ms,
        max_ms: params.timeout_max_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(pace: &Pace, now_ms: u64, next: u64, transactions_wait: bool) -> Option<u64> {
        pace.due(now_ms, Demand { next: Height(next), transactions_wait, busy_ms: 300, idle_ms: 10_000 })
    }

    #[test]
    fn the_next_height_waits_for_work_or_time() {
        let mut pace = Pace::new(1_000);
        assert_eq!(due(&pace, 1_000, 1, false), Some(10_000));
        assert_eq!(due(&pace, 1_100, 1, true), Some(200));
        assert_eq!(due(&pace, 5_000, 1, true), Some(0));
        pace.height_started(5_000);
        assert_eq!(due(&pace, 5_000, 1, true), None);
        pace.work_seen(Height(1));
        pace.height_ended(5_050);
        assert_eq!(due(&pace, 5_060, 2, true), Some(240), "counted from start to start; work on height 1 is past");
        assert_eq!(due(&pace, 5_060, 2, false), Some(9_990), "counted from the end");
        pace.work_seen(Height(2));
        assert_eq!(due(&pace, 5_060, 2, false), Some(0));
    }
}
