//! What is known about each admitted peer, shared between the handle, the driver and the sessions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use libp2p::PeerId;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use vouch_types::PublicKey;

use crate::budget::{Bucket, Budget};
use crate::channel::{CHANNELS, Channel};
use crate::config::NetLimits;
use crate::error::{DisconnectReason, SendError};
use crate::session::Session;
use crate::stats::Counters;

/// A peer at one moment, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer's network key.
    pub key: PublicKey,
    /// Where it is dialled, from the admission list.
    pub address: String,
    /// Since when all channels are open; `None` while they are not.
    pub connected_since: Option<SystemTime>,
    /// Last measured round trip on the current or last connection.
    pub rtt: Option<Duration>,
    /// Payload bytes received on the channels since the peer was admitted.
    pub bytes_in: u64,
    /// Payload bytes written on the channels since the peer was admitted.
    pub bytes_out: u64,
    /// Messages waiting to be written, in the order of [`Channel::ALL`].
    pub queue_messages: [usize; CHANNELS],
    /// Bytes waiting to be written, in the same order.
    pub queue_bytes: [usize; CHANNELS],
    /// Protocol violations since the peer was admitted.
    pub violations: u64,
    /// Why the last dial or connection failed. Kept after a new connection, with [`Self::connected_since`] to tell.
    pub last_error: Option<String>,
}

/// One admitted peer. Outlives its connections, so that a budget is not refilled by reconnecting.
pub(crate) struct Peer {
    pub(crate) key: PublicKey,
    pub(crate) id: PeerId,
    pub(crate) violations: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    /// Places for our requests.
    pub(crate) requests_out: Arc<Semaphore>,
    /// What it may send, per channel.
    pub(crate) budgets: [Mutex<Budget>; CHANNELS],
    /// How often it may ask. Held across the wait, so that requests pass in order.
    pub(crate) request_budget: tokio::sync::Mutex<Bucket>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    address: String,
    session: Option<Arc<Session>>,
    rtt: Option<Duration>,
    last_error: Option<String>,
}

impl Peer {
    pub(crate) fn new(key: PublicKey, id: PeerId, address: String, limits: &NetLimits) -> Self {
        let now = Instant::now();
        Self {
            key,
            id,
            violations: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            requests_out: Arc::new(Semaphore::new(limits.requests_out_max)),
            budgets: Channel::ALL.map(|c| Mutex::new(Budget::new(&limits.channel(c).inbound, now))),
            request_budget: tokio::sync::Mutex::new(Bucket::new(
                limits.requests_per_second,
                limits.requests_per_second,
                now,
            )),
            state: Mutex::new(State { address, ..State::default() }),
        }
    }

    pub(crate) fn address(&self) -> String {
        self.state.lock().address.clone()
    }

    /// Returns whether it changed.
    pub(crate) fn set_address(&self, address: &str) -> bool {
        let mut state = self.state.lock();
        let changed = state.address != address;
        if changed {
            address.clone_into(&mut state.address);
        }
        changed
    }

    pub(crate) fn set_rtt(&self, rtt: Duration) {
        self.state.lock().rtt = Some(rtt);
    }

    pub(crate) fn set_error(&self, error: String) {
        self.state.lock().last_error = Some(error);
    }

    /// Keeps why a connection ended, for the operator.
    pub(crate) fn ended(&self, reason: &DisconnectReason) {
        if matches!(reason, DisconnectReason::Violation(_)) {
            self.violations.fetch_add(1, Ordering::Relaxed);
        }
        self.set_error(reason.to_string());
    }

    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.state.lock().session.clone()
    }

    pub(crate) fn set_session(&self, session: Arc<Session>) {
        self.state.lock().session = Some(session);
    }

    /// Forgets `session` unless a newer one has taken its place.
    pub(crate) fn clear_session(&self, session: &Arc<Session>) {
        let mut state = self.state.lock();
        if state.session.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            state.session = None;
        }
    }

    pub(crate) fn status(&self) -> PeerStatus {
        let state = self.state.lock();
        let session = state.session.as_ref().filter(|s| s.is_live());
        let queues = Channel::ALL.map(|c| session.map_or((0, 0), |s| s.queued(c)));
        PeerStatus {
            key: self.key,
            address: state.address.clone(),
            connected_since: session.map(|s| s.since),
            rtt: state.rtt,
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            queue_messages: queues.map(|(messages, _)| messages),
            queue_bytes: queues.map(|(_, bytes)| bytes),
            violations: self.violations.load(Ordering::Relaxed),
            last_error: state.last_error.clone(),
        }
    }
}

/// What the handle and the tasks share.
pub(crate) struct Shared {
    pub(crate) own: PublicKey,
    pub(crate) limits: NetLimits,
    pub(crate) counters: Counters,
    pub(crate) peers: RwLock<BTreeMap<PublicKey, Arc<Peer>>>,
}

impl Shared {
    pub(crate) fn peer(&self, key: &PublicKey) -> Option<Arc<Peer>> {
        self.peers.read().get(key).cloned()
    }

    pub(crate) fn live_session(&self, key: &PublicKey) -> Result<Arc<Session>, SendError> {
        let peer = self.peer(key).ok_or(SendError::UnknownPeer)?;
        peer.session().filter(|s| s.is_live()).ok_or(SendError::NotConnected)
    }

    pub(crate) fn live_sessions(&self) -> Vec<Arc<Session>> {
        self.peers.read().values().filter_map(|p| p.session()).filter(|s| s.is_live()).collect()
    }
}
