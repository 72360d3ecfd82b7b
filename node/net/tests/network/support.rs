//! Nodes on loopback, and a peer built from plain libp2p that can break every rule.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncReadExt as _, StreamExt as _};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, identity};
use vouch_net::{Channel, Event, Events, NetConfig, NetHandle, NetLimits, PeerEntry, start};
use vouch_types::{ChainId, PublicKey, SecretKey};

/// No single wait of a test takes longer, or the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const CHAIN: ChainId = ChainId([0xab; 32]);
pub const OTHER_CHAIN: ChainId = ChainId([0xcd; 32]);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long: {what}"))
}

pub struct Node {
    pub net: NetHandle,
    pub seed: [u8; 32],
    events: Events,
    seen: VecDeque<Event>,
}

/// Seeds whose network keys are in ascending order.
pub fn seeds(count: u8) -> Vec<[u8; 32]> {
    let mut seeds: Vec<_> = (1..=count).map(|n| [n; 32]).collect();
    seeds.sort_by_key(key_of);
    seeds
}

pub fn key_of(seed: &[u8; 32]) -> PublicKey {
    SecretKey::from_seed(*seed).public()
}

impl Node {
    pub async fn start(seed: [u8; 32], limits: &NetLimits) -> Self {
        Self::start_at(seed, limits, "127.0.0.1:0", CHAIN).await
    }

    pub async fn start_at(seed: [u8; 32], limits: &NetLimits, listen: &str, chain: ChainId) -> Self {
        let config =
            NetConfig { secret: SecretKey::from_seed(seed), listen: listen.into(), chain, limits: limits.clone() };
        let (net, events) = start(config).await.unwrap();
        Self { net, seed, events, seen: VecDeque::new() }
    }

    pub fn key(&self) -> PublicKey {
        self.net.key()
    }

    pub fn address(&self) -> String {
        self.net.local_address().to_string()
    }

    pub fn entry(&self) -> PeerEntry {
        PeerEntry { key: self.key(), address: self.address() }
    }

    /// Waits for the first event, among those not yet taken, that `pick` takes. Others stay for later.
    pub async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Result<T, Event>) -> T {
        let mut kept = VecDeque::new();
        while let Some(event) = self.seen.pop_front() {
            match pick(event) {
                Ok(taken) => {
                    kept.append(&mut self.seen);
                    self.seen = kept;
                    return taken;
                }
                Err(event) => kept.push_back(event),
            }
        }
        self.seen = kept;
        within(what, async {
            loop {
                match pick(self.events.recv().await.expect("the network runs")) {
                    Ok(taken) => return taken,
                    Err(event) => self.seen.push_back(event),
                }
            }
        })
        .await
    }

    pub fn take_vault(&mut self) -> Option<vouch_net::VaultEvents> {
        self.events.take_vault()
    }

    pub async fn connected(&mut self, key: PublicKey) {
        self.wait("PeerConnected", |e| match e {
            Event::PeerConnected(k) if k == key => Ok(()),
            other => Err(other),
        })
        .await;
    }

    pub async fn disconnected(&mut self, key: PublicKey) -> vouch_net::DisconnectReason {
        self.wait("PeerDisconnected", |e| match e {
            Event::PeerDisconnected { key: k, reason } if k == key => Ok(reason),
            other => Err(other),
        })
        .await
    }

    pub async fn received(&mut self, channel: Channel) -> (PublicKey, Bytes) {
        self.wait("Received", |e| match e {
            Event::Received { from, channel: c, bytes } if c == channel => Ok((from, bytes)),
            other => Err(other),
        })
        .await
    }

    pub async fn refused(&mut self) -> (Option<PublicKey>, vouch_net::RefusalReason) {
        self.wait("Refused", |e| match e {
            Event::Refused { key, reason, .. } => Ok((key, reason)),
            other => Err(other),
        })
        .await
    }

    /// The next event of any kind, in the order the network gives them.
    pub async fn next(&mut self) -> Event {
        self.wait("any event", Ok).await
    }

    /// `None` when the network has shut down and everything has been taken.
    pub async fn end(&mut self) -> Option<Event> {
        within("the end of events", self.events.recv()).await
    }

    /// Waits until `check` holds for the counters or peers; for what has no event.
    pub async fn until(&self, what: &str, check: impl Fn(&NetHandle) -> bool) {
        within(what, async {
            while !check(&self.net) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

/// Admits everyone to everyone and waits for all connections.
pub async fn connect_all(nodes: &mut [Node]) {
    let entries: Vec<_> = nodes.iter().map(Node::entry).collect();
    for node in nodes.iter() {
        node.net.set_peers(entries.clone());
    }
    for node in nodes.iter_mut() {
        let own = node.key();
        for entry in entries.iter().filter(|e| e.key != own) {
            node.connected(entry.key).await;
        }
    }
}

pub async fn mesh(count: u8, limits: &NetLimits) -> Vec<Node> {
    let mut nodes = Vec::new();
    for seed in seeds(count) {
        nodes.push(Node::start(seed, limits).await);
    }
    connect_all(&mut nodes).await;
    nodes
}

/// Protocol names as documented: `/vouch/<16 hex digits>/<name>/1`.
pub fn protocol(chain: ChainId, name: &str) -> StreamProtocol {
    let digits: String = chain.to_string().chars().take(16).collect();
    StreamProtocol::try_from_owned(format!("/vouch/{digits}/{name}/1")).unwrap()
}

pub const ALL_NAMES: [&str; 5] = ["consensus", "blocks", "transactions", "vault", "sync"];

/// A peer made of plain libp2p: accepts every protocol and reports what happens to it.
pub struct RawPeer {
    pub key: PublicKey,
    pub control: libp2p_stream::Control,
    pub reports: tokio::sync::mpsc::UnboundedReceiver<Raw>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
pub enum Raw {
    Connected,
    Closed,
    Inbound(StreamProtocol, Stream),
}

impl Drop for RawPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RawPeer {
    /// Dials `target` and keeps the connection as long as it is let.
    pub fn dial(seed: [u8; 32], target: &Node, chain: ChainId) -> Self {
        let mut bytes = seed;
        let keypair = identity::Keypair::ed25519_from_bytes(&mut bytes).unwrap();
        let mut swarm: Swarm<libp2p_stream::Behaviour> = libp2p::SwarmBuilder::with_existing_identity(keypair)
            .with_tokio()
            .with_tcp(
                libp2p::tcp::Config::new().nodelay(true),
                libp2p::noise::Config::new,
                libp2p::yamux::Config::default,
            )
            .unwrap()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(3600)))
            .build();
        let mut control = swarm.behaviour().new_control();
        let (sender, reports) = tokio::sync::mpsc::unbounded_channel();
        let names = ALL_NAMES.map(|n| protocol(chain, n));
        for name in names.into_iter().chain([StreamProtocol::new("/ipfs/ping/1.0.0")]) {
            let mut incoming = control.accept(name.clone()).unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                while let Some((_, stream)) = incoming.next().await {
                    let _ = sender.send(Raw::Inbound(name.clone(), stream));
                }
            });
        }
        let address = target.net.local_address();
        let address: Multiaddr = format!("/ip4/{}/tcp/{}", address.ip(), address.port()).parse().unwrap();
        let options = libp2p::swarm::dial_opts::DialOpts::peer_id(peer_id(target)).addresses(vec![address]).build();
        swarm.dial(options).unwrap();
        let task = tokio::spawn(async move {
            loop {
                let report = match swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { .. } => Raw::Connected,
                    SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } => Raw::Closed,
                    _ => continue,
                };
                let _ = sender.send(report);
            }
        });
        Self { key: key_of(&seed), control, reports, task }
    }

    pub async fn closed(&mut self) {
        within("the raw peer's connection is closed", async {
            while !matches!(self.reports.recv().await.unwrap(), Raw::Closed) {}
        })
        .await;
    }

    pub async fn open(&mut self, target: &Node, chain: ChainId, name: &str) -> Stream {
        let opened = self.control.open_stream(peer_id(target), protocol(chain, name));
        within("a raw stream opens", opened).await.unwrap()
    }

    /// Opens all channels, as an honest peer would.
    pub async fn open_channels(&mut self, target: &Node) -> [Stream; 4] {
        let names = Channel::ALL.map(Channel::name);
        let a = self.open(target, CHAIN, names[0]).await;
        let b = self.open(target, CHAIN, names[1]).await;
        let c = self.open(target, CHAIN, names[2]).await;
        [a, b, c, self.open(target, CHAIN, names[3]).await]
    }
}

/// Everything that still comes on a stream until it ends, in bytes.
pub async fn drain(mut stream: Stream) -> usize {
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return total,
            Ok(n) => total += n,
        }
    }
}

pub fn peer_id(node: &Node) -> PeerId {
    let key = identity::ed25519::PublicKey::try_from_bytes(&node.key().bytes).unwrap();
    identity::PublicKey::from(key).to_peer_id()
}

/// `count` distinct payloads of `size` bytes; the first four say which one it is.
pub fn payloads(count: u32, size: usize) -> impl Iterator<Item = Bytes> {
    (0..count).map(move |n| {
        let mut bytes = vec![(n % 251) as u8; size];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        Bytes::from(bytes)
    })
}

/// Which payload it is.
pub fn number(bytes: &Bytes) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().unwrap())
}
