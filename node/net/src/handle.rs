//! The network as the rest of the node holds it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use vouch_types::PublicKey;

use crate::channel::Channel;
use crate::config::{NetConfig, PeerEntry, ms, parse_listen};
use crate::driver::{Command, Driver};
use crate::error::{NetError, RequestError, SendError};
use crate::events::{self, Events};
use crate::peer::{PeerStatus, Shared};
use crate::stats::{Counters, NetStats, add};
use crate::tasks::Tasks;

/// Commands waiting for the driver.
const COMMANDS_MAX: usize = 1024;

/// Hands the network its work. Clones share one network; when the last one is dropped, the network shuts down.
#[derive(Clone)]
pub struct NetHandle {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    peers: Arc<watch::Sender<Vec<PeerEntry>>>,
    tasks: Tasks,
    closing: CancellationToken,
    local_address: SocketAddr,
    _close_when_dropped: Arc<DropGuard>,
}

/// What became of a broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Broadcast {
    /// Connected peers to which the message is on its way.
    pub queued: usize,
    /// Connected peers to which it is not, and why.
    pub skipped: Vec<(PublicKey, SendError)>,
}

/// Starts the network on the current tokio runtime. No peer is admitted until [`NetHandle::set_peers`].
///
/// # Errors
/// [`NetError`] when the configuration is wrong or the address cannot be listened on.
pub async fn start(config: NetConfig) -> Result<(NetHandle, Events), NetError> {
    config.limits.validate()?;
    let listen = parse_listen(&config.listen)?;
    let shared = Arc::new(Shared {
        own: config.secret.public(),
        limits: config.limits.clone(),
        counters: Counters::default(),
        peers: parking_lot::RwLock::default(),
    });
    let (events, receiver) = events::queues(&config.limits);
    let (commands, commands_receiver) = mpsc::channel(COMMANDS_MAX);
    let (peers, peers_receiver) = watch::channel(Vec::new());
    let tasks = Tasks::default();
    let closing = CancellationToken::new();
    let mut driver = Driver::new(&config, Arc::clone(&shared), tasks.clone(), events, commands.clone());
    let local_address = driver.listen(listen).await?;
    tracing::info!(address = %local_address, key = %shared.own, "network listens");
    tasks.spawn_unstoppable(driver.run(commands_receiver, peers_receiver, closing.clone()));
    let handle = NetHandle {
        shared,
        commands,
        peers: Arc::new(peers),
        tasks,
        _close_when_dropped: Arc::new(closing.clone().drop_guard()),
        closing,
        local_address,
    };
    Ok((handle, receiver))
}

impl NetHandle {
    /// This node's network key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.shared.own
    }

    /// Where the network really listens; tells the port when the configuration said 0.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Replaces the admission list. New peers are dialled; peers no longer on it are disconnected at once and refused
    /// from then on; everyone else is left alone. Entries for this node itself and for weak keys are passed over.
    pub fn set_peers(&self, peers: Vec<PeerEntry>) {
        self.peers.send_replace(peers);
    }

    /// Queues a message to one peer; never waits. `Ok` means queued, not delivered: a connection that ends takes its
    /// queue with it.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&self, to: &PublicKey, channel: Channel, message: Bytes) -> Result<(), SendError> {
        self.shared.live_session(to)?.send(&self.shared, channel, message)
    }

    /// Queues a message to every connected peer; never waits. The bytes are shared, not copied.
    pub fn broadcast(&self, channel: Channel, message: &Bytes) -> Broadcast {
        let mut outcome = Broadcast::default();
        for session in self.shared.live_sessions() {
            match session.send(&self.shared, channel, message.clone()) {
                Ok(()) => outcome.queued += 1,
                Err(error) => outcome.skipped.push((session.peer.key, error)),
            }
        }
        outcome
    }

    /// Asks one peer and waits for its response, at most `request_timeout_ms`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request(&self, to: &PublicKey, request: Bytes) -> Result<Bytes, RequestError> {
        let limits = &self.shared.limits;
        if request.len() > limits.request_bytes_max as usize {
            return Err(RequestError::Size);
        }
        let peer = self.shared.peer(to).ok_or(RequestError::UnknownPeer)?;
        let _place = Arc::clone(&peer.requests_out).try_acquire_owned().map_err(|_| RequestError::Busy)?;
        add(&self.shared.counters.requests_sent, 1);
        let (sender, receiver) = oneshot::channel();
        let ask = async {
            let command = Command::Request { to: *to, request, sender };
            self.commands.send(command).await.map_err(|_| RequestError::ShutDown)?;
            receiver.await.map_err(|_| RequestError::ShutDown)?
        };
        let outcome = tokio::time::timeout(ms(limits.request_timeout_ms), ask).await;
        let outcome = outcome.unwrap_or(Err(RequestError::Timeout));
        if outcome.is_err() {
            add(&self.shared.counters.requests_failed, 1);
        }
        outcome
    }

    /// All admitted peers, in the order of their keys.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared.peers.read().values().map(|p| p.status()).collect()
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> NetStats {
        self.shared.counters.snapshot()
    }

    /// Closes all connections and returns when no task of the network is left. May be called more than once.
    pub async fn shutdown(&self) {
        self.closing.cancel();
        self.tasks.gone().await;
    }
}

impl std::fmt::Debug for NetHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetHandle").field("key", &self.shared.own).field("address", &self.local_address).finish()
    }
}
