//! Token buckets per caller, in bounded memory.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Instant,
};

use parking_lot::Mutex;

use crate::{RateLimit, origin::Origin};

/// Most callers remembered; full buckets are forgotten first, since a new bucket is full as well.
const CALLERS_MAX: usize = 65_536;
const THOUSANDTHS: u64 = 1000;

/// Who a request is counted for: an IPv4 address or an IPv6 /64, which is what one customer is given.
pub(crate) fn caller_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

struct Bucket {
    /// Thousandths of a request that may still be made.
    level: u64,
    filled_at: Instant,
}

/// All callers' buckets.
pub(crate) struct RateLimiter {
    limit: RateLimit,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl RateLimiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, buckets: Mutex::new(HashMap::new()) }
    }

    fn capacity(&self) -> u64 {
        u64::from(self.limit.burst.max(1)) * THOUSANDTHS
    }

    /// Takes one request out of the caller's bucket, or says in how many seconds there will be one.
    pub(crate) fn take(&self, origin: &Origin, now: Instant) -> Result<(), u32> {
        if self.limit.exempt_loopback && origin.is_local {
            return Ok(());
        }
        let capacity = self.capacity();
        let rate = u64::from(self.limit.per_second.max(1));
        let mut buckets = self.buckets.lock();
        let caller = origin.caller();
        if buckets.len() >= CALLERS_MAX && !buckets.contains_key(&caller) {
            buckets.retain(|_, bucket| level_at(bucket, rate, capacity, now) < capacity);
            if buckets.len() >= CALLERS_MAX {
                return Err(1);
            }
        }
        let bucket = buckets.entry(caller).or_insert(Bucket { level: capacity, filled_at: now });
        bucket.level = level_at(bucket, rate, capacity, now);
        bucket.filled_at = now;
        if let Some(rest) = bucket.level.checked_sub(THOUSANDTHS) {
            bucket.level = rest;
            return Ok(());
        }
        let wait_ms = (THOUSANDTHS - bucket.level).div_ceil(rate);
        Err(u32::try_from(wait_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1))
    }
}

/// A rate of n per second is n thousandths per millisecond.
fn level_at(bucket: &Bucket, rate: u64, capacity: u64, now: Instant) -> u64 {
    let elapsed = now.saturating_duration_since(bucket.filled_at).as_micros();
    let gained = u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_mul(rate) / 1000;
    bucket.level.saturating_add(gained).min(capacity)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn from(text: &str) -> Origin {
        let address: IpAddr = text.parse().expect("address");
        Origin { address, is_local: address.is_loopback(), is_proxied: false }
    }

    #[test]
    fn a_burst_then_the_rate_then_a_wait_in_whole_seconds() {
        let limiter = RateLimiter::new(RateLimit { per_second: 2, burst: 3, exempt_loopback: true });
        let address = &from("192.0.2.7");
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.take(address, start), Ok(()));
        }
        assert_eq!(limiter.take(address, start), Err(1));
        assert_eq!(limiter.take(&from("192.0.2.8"), start), Ok(()), "another caller");
        assert_eq!(limiter.take(address, start + Duration::from_millis(500)), Ok(()));
        assert_eq!(limiter.take(address, start + Duration::from_millis(600)), Err(1));
        for _ in 0..9 {
            assert_eq!(limiter.take(&from("127.0.0.1"), start), Ok(()));
        }
        let relayed = Origin { is_local: false, ..from("127.0.0.1") };
        let taken: Vec<_> = (0..4).map(|_| limiter.take(&relayed, start)).collect();
        assert_eq!(taken, [Ok(()), Ok(()), Ok(()), Err(1)], "by a proxy on this machine");
    }

    #[test]
    fn one_ipv6_network_is_one_caller() {
        let one = caller_of("2001:db8:1:2::1".parse().expect("address"));
        assert_eq!(one, caller_of("2001:db8:1:2:ffff::9".parse().expect("address")));
        assert_ne!(one, caller_of("2001:db8:1:3::1".parse().expect("address")));
        assert_eq!(caller_of("::ffff:192.0.2.7".parse().expect("address")).to_string(), "192.0.2.7");
    }

    #[test]
    fn memory_is_bounded_and_full_buckets_give_way() {
        let limiter = RateLimiter::new(RateLimit { per_second: 1, burst: 1, exempt_loopback: false });
        let start = Instant::now();
        for n in 0..u32::try_from(CALLERS_MAX).expect("fits") {
            assert_eq!(limiter.take(&from(&IpAddr::from(n.to_be_bytes()).to_string()), start), Ok(()));
        }
        let late = &from("250.0.0.1");
        assert_eq!(limiter.take(late, start), Err(1), "every bucket is in use");
        assert_eq!(limiter.take(late, start + Duration::from_secs(2)), Ok(()));
        assert_eq!(limiter.buckets.lock().len(), 1);
    }
}
