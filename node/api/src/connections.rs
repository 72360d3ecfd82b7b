//! How many connections are open, in all and per caller.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use parking_lot::Mutex;

use crate::rate_limit::caller_of;

#[derive(Default)]
struct Open {
    total: usize,
    by_caller: HashMap<IpAddr, usize>,
}

/// Counts open connections against their bounds.
#[derive(Clone)]
pub(crate) struct Connections {
    max: usize,
    per_address_max: usize,
    /// These speak for many.
    proxies: BTreeSet<IpAddr>,
    open: Arc<Mutex<Open>>,
}

/// One open connection.
pub(crate) struct Connection {
    caller: IpAddr,
    open: Arc<Mutex<Open>>,
}

impl Connections {
    pub(crate) fn new(max: usize, per_address_max: usize, proxies: BTreeSet<IpAddr>) -> Self {
        Self { max, per_address_max, proxies, open: Arc::default() }
    }

    /// A place for one more, if there is one.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Connection> {
        let caller = caller_of(address);
        let mut open = self.open.lock();
        let here = open.by_caller.get(&caller).copied().unwrap_or(0);
        let is_bounded = !self.proxies.contains(&address.to_canonical());
        if open.total >= self.max || (is_bounded && here >= self.per_address_max) {
            return None;
        }
        open.total += 1;
        open.by_caller.insert(caller, here + 1);
        Some(Connection { caller, open: Arc::clone(&self.open) })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        open.total = open.total.saturating_sub(1);
        match open.by_caller.get_mut(&self.caller) {
            Some(here) if *here > 1 => *here -= 1,
            _ => {
                open.by_caller.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_in_all_and_per_caller_and_places_come_back() {
        let connections = Connections::new(3, 2, BTreeSet::new());
        let (a, b): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = connections.enter(a).expect("first");
        let _second = connections.enter(a).expect("second");
        assert!(connections.enter(a).is_none(), "per caller");
        let _third = connections.enter(b).expect("third");
        assert!(connections.enter(b).is_none(), "in all");
        drop(first);
        drop(connections.enter(b).expect("a place came back"));
        assert_eq!(connections.open.lock().by_caller.len(), 2);
    }

    #[test]
    fn a_named_proxy_has_all_there_are() {
        let (proxy, other): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let connections = Connections::new(4, 1, BTreeSet::from([proxy]));
        let held: Vec<Connection> = (0..3).map(|_| connections.enter(proxy).expect("a proxy")).collect();
        let _other = connections.enter(other).expect("one of its own");
        assert!(connections.enter(other).is_none(), "per caller");
        assert!(connections.enter(proxy).is_none(), "in all");
        drop(held);
    }
}
