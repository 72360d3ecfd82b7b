//! The task that owns the libp2p swarm: admission, dialling, connections. It never waits for a peer or for the replica.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::upgrade::Version;
use libp2p::request_response::{self as rr, OutboundRequestId, ResponseChannel};
use libp2p::swarm::{ConnectionId, NetworkBehaviour, SwarmEvent};
use libp2p::{PeerId, Swarm, Transport as _, allow_block_list, connection_limits, noise, ping, tcp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vouch_types::PublicKey;

use crate::budget::Bucket;
use crate::channel::Protocols;
use crate::config::{NetConfig, PeerEntry, ms};
use crate::dialing::Dialing;
use crate::error::{DisconnectReason, NetError, RequestError};
use crate::events::EventSenders;
use crate::identity;
use crate::link::Link;
use crate::muxer::BoundedYamux;
use crate::peer::{Peer, Shared};
use crate::requests;
use crate::tasks::Tasks;
use crate::{doorkeeper, links};

/// Connections of one peer that may exist while a new one takes over from old ones being closed.
const CONNECTIONS_PER_PEER_MAX: u32 = 4;
/// Streams of one connection beyond requests: four channels each way, pings, and room for negotiation.
const STREAMS_BASE: usize = 24;
/// Inbound streams of one connection in negotiation.
const NEGOTIATING_MAX: usize = 16;

/// Everything one connection speaks. The order is the order of judgement: the list first, so that nothing else ever
/// sees a stranger.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) admission: allow_block_list::Behaviour<allow_block_list::AllowedPeers>,
    door: doorkeeper::Behaviour,
    limits: connection_limits::Behaviour,
    links: links::Behaviour,
    pub(crate) requests: requests::Behaviour,
    ping: ping::Behaviour,
}

/// What others ask of the driver.
pub(crate) enum Command {
    /// Ask a peer.
    Request { to: PublicKey, request: Bytes, sender: oneshot::Sender<Result<Bytes, RequestError>> },
    /// Answer a peer.
    Respond { channel: ResponseChannel<Bytes>, response: Bytes },
    /// A peer's address was looked up.
    Resolved { key: PublicKey, addresses: Result<Vec<SocketAddr>, String> },
    /// A session ended; its connection is of no more use.
    SessionEnded { key: PublicKey, connection: ConnectionId },
}

pub(crate) struct Driver {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tasks: Tasks,
    pub(crate) events: EventSenders,
    pub(crate) commands: mpsc::Sender<Command>,
    /// One entry per admitted peer.
    pub(crate) dialing: BTreeMap<PublicKey, Dialing>,
    pub(crate) keys: HashMap<PeerId, PublicKey>,
    /// Established connections, those being closed included.
    pub(crate) links: BTreeMap<ConnectionId, Link>,
    /// The latest session task of each peer.
    pub(crate) sessions: BTreeMap<PublicKey, JoinHandle<()>>,
    waiting: HashMap<OutboundRequestId, oneshot::Sender<Result<Bytes, RequestError>>>,
    pub(crate) refusals: Bucket,
}

fn behaviour(config: &NetConfig, protocols: &Protocols) -> Behaviour {
    let l = &config.limits;
    let peers_max = u32::try_from(l.peers_max).unwrap_or(u32::MAX);
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(l.pending_inbound_max))
        .with_max_pending_outgoing(Some(peers_max))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX))
        .with_max_established(Some(peers_max.saturating_mul(CONNECTIONS_PER_PEER_MAX)));
    let ping = ping::Config::new().with_interval(ms(l.ping_interval_ms)).with_timeout(ms(l.ping_timeout_ms));
    Behaviour {
        admission: allow_block_list::Behaviour::default(),
        door: doorkeeper::Behaviour::new(l.pending_inbound_per_ip_max),
        limits: connection_limits::Behaviour::new(limits),
        links: links::Behaviour::new(protocols.clone(), ms(l.handshake_timeout_ms)),
        requests: requests::behaviour(protocols, l),
        ping: ping::Behaviour::new(ping),
    }
}

fn swarm(config: &NetConfig, tasks: &Tasks) -> Swarm<Behaviour> {
    let l = &config.limits;
    let keypair = identity::keypair(&config.secret);
    let noise = noise::Config::new(&keypair).expect("an Ed25519 key pair signs the noise key");
    let streams_max = STREAMS_BASE + l.requests_in_max + l.requests_out_max;
    let transport = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(BoundedYamux::new(streams_max, ms(l.close_timeout_ms)))
        .timeout(ms(l.handshake_timeout_ms))
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed();
    let behaviour = behaviour(config, &Protocols::of(&config.chain));
    let swarm_config = libp2p::swarm::Config::with_executor(tasks.clone())
        .with_max_negotiating_inbound_streams(NEGOTIATING_MAX)
        .with_idle_connection_timeout(ms(l.handshake_timeout_ms));
    Swarm::new(transport, behaviour, keypair.public().to_peer_id(), swarm_config)
}

impl Driver {
    pub(crate) fn new(
        config: &NetConfig,
        shared: Arc<Shared>,
        tasks: Tasks,
        events: EventSenders,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        let rate = config.limits.refusals_per_second;
        Self {
            swarm: swarm(config, &tasks),
            shared,
            tasks,
            events,
            commands,
            dialing: BTreeMap::new(),
            keys: HashMap::new(),
            links: BTreeMap::new(),
            sessions: BTreeMap::new(),
            waiting: HashMap::new(),
            refusals: Bucket::new(rate, rate.saturating_mul(4), Instant::now()),
        }
    }

    /// Starts listening and returns the bound address.
    pub(crate) async fn listen(&mut self, address: SocketAddr) -> Result<SocketAddr, NetError> {
        let failed = |cause: String| NetError::Listen { address: address.to_string(), cause };
        // libp2p lets several sockets share one port; a second node on the same port must fail instead.
        drop(tokio::net::TcpListener::bind(address).await.map_err(|e| failed(e.to_string()))?);
        self.swarm.listen_on(identity::multiaddr(address)).map_err(|e| failed(e.to_string()))?;
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address: bound, .. } => {
                    let bound = identity::socket_address(&bound);
                    return Ok(SocketAddr::new(address.ip(), bound.map_or(address.port(), |b| b.port())));
                }
                SwarmEvent::ListenerClosed { reason: Err(error), .. } | SwarmEvent::ListenerError { error, .. } => {
                    return Err(failed(error.to_string()));
                }
                _ => {}
            }
        }
    }

    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut peers: watch::Receiver<Vec<PeerEntry>>,
        closing: CancellationToken,
    ) {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                () = closing.cancelled() => break,
                Ok(()) = peers.changed() => {
                    let list = peers.borrow_and_update().clone();
                    self.admit(list);
                }
                Some(command) = commands.recv() => self.on_command(command),
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                () = tokio::time::sleep_until(wake) => self.on_wake(),
            }
        }
        self.close().await;
    }

    /// Says goodbye to everyone, but not for long, and stops all tasks.
    async fn close(mut self) {
        for (id, link) in &mut self.links {
            link.end(DisconnectReason::ShutDown);
            self.swarm.close_connection(*id);
        }
        let farewell = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.next().await;
            }
            for session in std::mem::take(&mut self.sessions).into_values() {
                let _ = session.await;
            }
        };
        // Sessions wait for places among the events, which a replica that is shutting down may not take any more.
        let _ =
            tokio::time::timeout(ms(self.shared.limits.close_timeout_ms) + Duration::from_millis(100), farewell).await;
        self.tasks.stop();
    }

    fn next_wake(&self) -> Instant {
        let dials = self.dialing.values().filter_map(Dialing::due);
        let deadlines = self.links.values().filter_map(Link::deadline);
        let idle = Instant::now() + Duration::from_secs(60);
        dials.chain(deadlines).min().unwrap_or(idle)
    }

    fn on_wake(&mut self) {
        let now = Instant::now();
        let late: Vec<_> =
            self.links.iter().filter(|(_, l)| l.deadline().is_some_and(|d| d <= now)).map(|(id, _)| *id).collect();
        for id in late {
            self.drop_link(id, DisconnectReason::Lost("channels not opened in time".into()));
        }
        let due: Vec<_> = self.dialing.iter_mut().filter_map(|(key, d)| d.begin(now).then_some(*key)).collect();
        for key in due {
            self.look_up(key);
        }
    }

    /// Makes `list` the admission list.
    fn admit(&mut self, list: Vec<PeerEntry>) {
        self.sessions.retain(|_, task| !task.is_finished());
        let mut wanted = BTreeMap::new();
        for entry in list {
            if entry.key == self.shared.own {
                continue;
            }
            match identity::peer_id(&entry.key) {
                Some(id) => drop(wanted.insert(entry.key, (id, entry.address))),
                None => tracing::warn!(key = %entry.key, "a weak network key is not admitted"),
            }
        }
        while wanted.len() > self.shared.limits.peers_max {
            if let Some((key, _)) = wanted.pop_last() {
                tracing::warn!(%key, "more peers than limits.peers_max, not admitted");
            }
        }
        let removed: Vec<_> = self.dialing.keys().filter(|k| !wanted.contains_key(k)).copied().collect();
        for key in removed {
            self.remove_peer(&key);
        }
        for (key, (id, address)) in wanted {
            self.add_or_update_peer(key, id, address);
        }
    }

    fn remove_peer(&mut self, key: &PublicKey) {
        self.dialing.remove(key);
        let Some(peer) = self.shared.peers.write().remove(key) else { return };
        self.keys.remove(&peer.id);
        for link in self.links.values_mut().filter(|l| l.peer.key == *key) {
            link.end(DisconnectReason::Removed);
        }
        // Refuses from now on, and closes what is open.
        self.swarm.behaviour_mut().admission.disallow_peer(peer.id);
        tracing::info!(peer = %key, "peer removed from the admission list");
    }

    fn add_or_update_peer(&mut self, key: PublicKey, id: PeerId, address: String) {
        let now = Instant::now();
        if let Some(peer) = self.shared.peer(&key) {
            let idle = self.live_link(&key).is_none();
            if peer.set_address(&address)
                && idle
                && let Some(dialing) = self.dialing.get_mut(&key)
            {
                dialing.address_changed(&self.shared.limits, now);
            }
            return;
        }
        let peer = Arc::new(Peer::new(key, id, address, &self.shared.limits));
        self.shared.peers.write().insert(key, peer);
        self.keys.insert(id, key);
        self.dialing.insert(key, Dialing::new(self.shared.own < key, &self.shared.limits, now));
        self.swarm.behaviour_mut().admission.allow_peer(id);
        tracing::info!(peer = %key, "peer admitted");
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Request { to, request, sender } => {
                let link = self.live_link(&to).filter(|link| link.session.is_some());
                match link.map(|link| link.peer.id) {
                    Some(id) => {
                        let request =
                            self.swarm.behaviour_mut().requests.send_request(&id, requests::Request::Valid(request));
                        self.waiting.insert(request, sender);
                    }
                    None => drop(sender.send(Err(RequestError::NotConnected))),
                }
            }
            Command::Respond { channel, response } => {
                // Fails when the requester has gone, which is its own business.
                let _ = self.swarm.behaviour_mut().requests.send_response(channel, response);
            }
            Command::Resolved { key, addresses } => self.on_resolved(key, addresses),
            Command::SessionEnded { key, connection } => {
                tracing::debug!(peer = %key, "closing the connection of an ended session");
                self.drop_link(connection, DisconnectReason::ShutDown);
            }
        }
    }

    pub(crate) fn on_request_event(&mut self, event: rr::Event<requests::Request, Bytes>) {
        match event {
            rr::Event::Message { peer, message: rr::Message::Request { request, channel, .. }, .. } => {
                let request = match request {
                    requests::Request::Valid(bytes) => bytes,
                    requests::Request::Malformed(rule) => return self.violation(&peer, format!("request: {rule}")),
                };
                let Some(peer) = self.keys.get(&peer).and_then(|key| self.shared.peer(key)) else { return };
                let inbound = requests::Inbound { peer, request, channel };
                let serve = inbound.serve(Arc::clone(&self.shared), self.events.clone(), self.commands.clone());
                drop(self.tasks.spawn(serve));
            }
            rr::Event::Message { message: rr::Message::Response { request_id, response }, .. } => {
                if let Some(sender) = self.waiting.remove(&request_id) {
                    let _ = sender.send(Ok(response));
                }
            }
            rr::Event::OutboundFailure { peer, request_id, error, .. } => {
                let error = requests::request_error(error);
                if let RequestError::Malformed(rule) = &error {
                    self.violation(&peer, format!("response: {rule}"));
                }
                if let Some(sender) = self.waiting.remove(&request_id) {
                    let _ = sender.send(Err(error));
                }
            }
            rr::Event::InboundFailure { .. } | rr::Event::ResponseSent { .. } => {}
        }
    }

    /// Closes the connection of a peer that broke the rules of requests.
    fn violation(&mut self, peer: &PeerId, rule: String) {
        let link = self.links.iter().find(|(_, link)| link.is_live() && link.peer.id == *peer);
        if let Some(connection) = link.map(|(id, _)| *id) {
            self.drop_link(connection, DisconnectReason::Violation(rule));
        }
    }
}
