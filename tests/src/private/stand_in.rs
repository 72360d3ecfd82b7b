//! A process of the test in the place of a member's node: it has that node's network key, so that the others talk to it as to
//! the node itself, and it hears in plain what they send it.
//!
//! That is how the wire is heard without a tap in the product: a hook that shows what a node receives would be one more way for
//! what it receives to get out, whatever it hung on. This here needs the node's secret key, as the node does.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::task::AbortHandle;
use vouch_net::{Channel, Event, Events, NetConfig, NetHandle, NetLimits, PeerEntry};
use vouch_sdk::{Client, keystore};
use vouch_types::{
    ChainId, ContractName, PublicKey, SecretKey,
    document::{self, DocumentId, FieldSet, Possession},
    encode,
};
use vouch_vault::{
    Delivery, Message, Receipt, VersionKey,
    message::{FileKey, PARTS, PartDigest, Refusal},
};

use crate::cluster::{Cluster, until};

/// How long connections may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a liar looks whether the chain knows a document, and the pause between.
const LOOKS_MAX: usize = 50;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Listens and answers nothing.
    Listens,
    /// Signs for what it throws away, hands on what does not open, and says nothing when compared.
    Lies,
}

/// What came.
#[derive(Debug, Default)]
pub struct Heard {
    /// Every message and request, with the channel it came on.
    pub messages: Vec<(&'static str, Vec<u8>)>,
    /// Deliveries that a liar signed for: the fields, and the bytes.
    pub signed_for: BTreeMap<VersionKey, (FieldSet, Vec<u8>)>,
    /// Refusals that came as answers, by their code.
    pub refusals: BTreeMap<&'static str, u64>,
}

/// It runs until it is dropped or stopped.
#[derive(Debug)]
pub struct StandIn {
    net: NetHandle,
    task: AbortHandle,
    peers: Vec<PublicKey>,
    heard: Arc<Mutex<Heard>>,
    service: SecretKey,
}

/// What a liar knows.
struct Liar {
    manner: Manner,
    chain: ChainId,
    network: SecretKey,
    client: Client,
}

fn key(home: &Path, name: &str) -> Result<SecretKey> {
    keystore::load(&home.join("keys").join(name), None).with_context(|| format!("{} {name}", home.display()))
}

impl StandIn {
    /// Takes the place of a node that does not run; `witness` is one that does.
    ///
    /// # Errors
    /// When a key cannot be read or the place is taken.
    pub async fn start(cluster: &Cluster, node: usize, witness: usize, manner: Manner) -> Result<Self> {
        let home = cluster.home(node);
        let (chain, listen) = (cluster.plan.chain, cluster.plan.nodes[node].network.to_string());
        let config = NetConfig { secret: key(&home, "network.key")?, listen, chain, limits: NetLimits::default() };
        let (net, events) = vouch_net::start(config).await.context("the stand-in's network")?;
        let mut entries = Vec::new();
        for other in cluster.all().into_iter().filter(|other| *other != node) {
            let (key, address) =
                (key(&cluster.home(other), "network.key")?.public(), cluster.plan.nodes[other].network);
            entries.push(PeerEntry { key, address: address.to_string() });
        }
        let peers: Vec<PublicKey> = entries.iter().map(|entry| entry.key).collect();
        net.set_peers(entries);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let liar = Liar { manner, chain, network: key(&home, "network.key")?, client: cluster.client(witness)? };
        let task = tokio::spawn(serve(net.clone(), events, Arc::clone(&heard), Arc::new(liar))).abort_handle();
        let service = key(&home, "service.key")?;
        let stand_in = Self { net, task, peers, heard, service };
        until("the stand-in is connected to all", CONNECT_TIMEOUT, async || {
            let connected = stand_in.net.peers().iter().filter(|peer| peer.connected_since.is_some()).count();
            Ok((connected == stand_in.peers.len()).then_some(()))
        })
        .await?;
        Ok(stand_in)
    }

    /// Asks every peer for everything of these versions, as a curious node would.
    pub fn ask_for(&self, versions: &[(DocumentId, u32)], slots: u16) {
        let keys: Vec<VersionKey> =
            versions.iter().map(|(id, version)| VersionKey { id: *id, version: *version }).collect();
        let parts = (0..PARTS).filter_map(|part| u8::try_from(part).ok());
        let parts = parts.map(|part| PartDigest { part, count: 1, sum: [part; 32] }).collect();
        let mut messages = vec![Message::Compare { parts }, Message::AskReceipts { keys: keys.clone() }];
        for key in keys {
            messages.push(Message::Fetch { key, fields: FieldSet::first(slots) });
            for slot in 0..slots {
                messages.push(Message::FetchPiece { key, file: FileKey { slot, index: 0 }, offset: 0 });
            }
        }
        for peer in &self.peers {
            for message in &messages {
                // A full queue takes no more: what was asked before it is asked.
                let _ = self.net.send(peer, Channel::Vault, message.to_bytes().into());
            }
        }
    }

    /// Says on the chain, as the node's account, that what was signed for is held.
    ///
    /// # Errors
    /// When the chain refuses it.
    pub async fn attest(&self, client: &Client) -> Result<usize> {
        let said = self.with(|heard| {
            let held = heard.signed_for.iter();
            held.map(|(key, (fields, _))| Possession { id: key.id, version: key.version, fields: fields.clone() })
                .collect::<Vec<_>>()
        });
        let contract = ContractName::new(document::CONTRACT)?;
        for some in said.chunks(100) {
            let builder = client.transaction_builder().await?;
            let builder = builder.call(contract.clone(), document::method::ATTEST_POSSESSION, encode(&some.to_vec()));
            let transaction = builder.sign(&[&self.service])?;
            client.submit(&transaction).await?;
            client.wait(transaction.id, CONNECT_TIMEOUT).await?;
        }
        Ok(said.len())
    }

    /// Looks at what came so far.
    ///
    /// # Panics
    /// When the listener has panicked.
    pub fn with<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.lock().unwrap())
    }

    /// Leaves the place; the node may take it again.
    pub async fn stop(self) {
        self.net.shutdown().await;
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(net: NetHandle, mut events: Events, heard: Arc<Mutex<Heard>>, liar: Arc<Liar>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Received { from, channel, bytes } => {
                heard.lock().unwrap().messages.push((channel.name(), bytes.to_vec()));
                if channel != Channel::Vault {
                    continue;
                }
                let Ok(message) = Message::from_bytes(&bytes) else { continue };
                if let Message::Missing { refusal, .. }
                | Message::Refused { refusal, .. }
                | Message::Piece { piece: Err(refusal), .. } = &message
                {
                    *heard.lock().unwrap().refusals.entry(refusal.code()).or_default() += 1;
                }
                if liar.manner == Manner::Lies {
                    let (net, heard, liar) = (net.clone(), Arc::clone(&heard), Arc::clone(&liar));
                    tokio::spawn(async move {
                        if let Some(lie) = liar.answer(message, &heard).await {
                            let _ = net.send(&from, Channel::Vault, lie.to_bytes().into());
                        }
                    });
                }
            }
            Event::RequestReceived { bytes, .. } => heard.lock().unwrap().messages.push(("request", bytes.to_vec())),
            _ => {}
        }
    }
}

impl Liar {
    async fn answer(&self, message: Message, heard: &Mutex<Heard>) -> Option<Message> {
        match message {
            Message::Deliver(bytes) => self.sign_for(bytes, heard).await,
            Message::Fetch { key, .. } => {
                let signed_for = heard.lock().unwrap().signed_for.get(&key).map(|(_, bytes)| bytes.clone());
                let Some(mut bytes) = signed_for else {
                    return Some(Message::Missing { key, refusal: Refusal::NotHeld });
                };
                // Sealed to somebody else, and broken besides.
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                Some(Message::Deliver(bytes))
            }
            Message::FetchPiece { key, file, offset } => {
                Some(Message::Piece { key, file, offset, piece: Err(Refusal::NotHeld) })
            }
            _ => None,
        }
    }

    /// A receipt for what is kept nowhere.
    async fn sign_for(&self, bytes: Vec<u8>, heard: &Mutex<Heard>) -> Option<Message> {
        let delivery = Delivery::from_bytes(&bytes).ok()?;
        let (key, fields) = (delivery.key, delivery.fields());
        let mut version = None;
        for _ in 0..LOOKS_MAX {
            version = self.client.document_version(key.id, key.version).await.ok().flatten();
            if version.is_some() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let root = *version?.content.root.as_bytes();
        let height = self.client.status().await.ok()?.head;
        let (holder, signature) = (self.network.public(), self.network.sign(&[]));
        let mut receipt = Receipt { key, root, fields: fields.clone(), height, holder, signature };
        receipt.signature = self.network.sign(receipt.digest(&self.chain).as_bytes());
        heard.lock().unwrap().signed_for.insert(key, (fields, bytes));
        Some(Message::Receipt(Box::new(receipt)))
    }
}
