//! Four nodes' vaults with their real threads, network and admission, over one ledger: what a document's way is, who gets it,
//! and what happens to whoever was away or lost its disk. Only consensus is left out: whatever is admitted becomes a block.

use std::{collections::BTreeMap, path::Path, time::Duration};

use parking_lot::Mutex;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::{broadcast, mpsc, watch};
use vouch_net::{Event as NetEvent, NetConfig, NetHandle, NetLimits, PeerEntry};
use vouch_privacy::{Commitment, Document, DocumentHeader, DocumentKeys, RecipientKey, SeededRng};
use vouch_sdk::keystore;
use vouch_types::{
    DocumentRoot, Party,
    document::{NewVersion, PartyEntry, PublicField, method},
};
use vouch_vault::{Access, Delivery, ReadRefusal, ReadRequest, Vault, VaultError, seal_for};

use super::*;
use crate::{
    admission,
    config::VaultSection,
    home::VaultKeys,
    metrics::Metrics,
    runner::{self, Clock},
    submit::Submitter,
    vault::{ConnectionsSender, Ended, MemberKeys, Surroundings, VaultHandle, master_key, start},
};

const PATIENCE: Duration = Duration::from_secs(30);
/// Slots of the sample schema.
const NAME: u16 = 0;
const SCENE: u16 = 4;
const ID_NUMBER: u16 = 6;

/// The chain that all nodes share.
struct Shared {
    network: Mutex<Network>,
    feeds: Mutex<BTreeMap<usize, Feed>>,
}

/// How a running node hears of blocks.
struct Feed {
    head: watch::Sender<Height>,
    blocks: broadcast::Sender<Arc<CommittedBlock>>,
}

impl Shared {
    fn commit(&self, pooled: &PooledTransaction) {
        let block = self.network.lock().commit(pooled);
        for feed in self.feeds.lock().values() {
            feed.head.send_replace(block.header.height);
            drop(feed.blocks.send(Arc::clone(&block)));
        }
    }

    fn says(&self, member: &str, event: &str) -> bool {
        let network = self.network.lock();
        let events = network.blocks.iter().flat_map(|block| &block.records).flat_map(|record| &record.events);
        events.filter(|said| said.name == event).any(|said| {
            let said: document::event::PossessionAttested = vouch_types::decode("event", &said.data, 1 << 10).unwrap();
            said.member == member
        })
    }
}

/// What outlives a node's process.
struct Disk {
    home: TempDir,
    storage: Arc<MemoryStorage>,
}

impl Disk {
    fn new(index: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(format!("{}.key", encryption_key(index)));
        keystore::save(&file, &secret(6, index), None).unwrap();
        Self { home, storage: Arc::new(MemoryStorage::new()) }
    }

    /// The database is gone; shelf and files lie beside it.
    fn wipe(&mut self) {
        self.storage = Arc::new(MemoryStorage::new());
    }
}

struct Running {
    vault: VaultHandle,
    submitter: Submitter,
    ended: Ended,
    net: NetHandle,
}

fn keys(home: &Path, index: usize) -> VaultKeys {
    let member = MemberKeys::open(home, None).unwrap();
    VaultKeys { service: secret(5, index), master: master_key(&secret(7, index)), member }
}

async fn run(shared: &Arc<Shared>, index: usize, disk: &Disk) -> Running {
    let reader = shared.network.lock().ledger.reader().clone();
    let (secret_key, chain) = (secret(4, index), reader.chain());
    let config = NetConfig { secret: secret_key, listen: "127.0.0.1:0".into(), chain, limits: NetLimits::default() };
    let (net, mut events) = vouch_net::start(config).await.unwrap();
    let messages = events.take_vault().unwrap();
    let (connections, connected) = ConnectionsSender::new();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                NetEvent::PeerConnected(key) => connections.connected(key),
                NetEvent::PeerDisconnected { key, .. } => connections.disconnected(&key),
                _ => {}
            }
        }
    });
    let (head_sender, head) = watch::channel(reader.published().head.height);
    let (blocks_sender, blocks) = broadcast::channel(256);
    shared.feeds.lock().insert(index, Feed { head: head_sender, blocks: blocks_sender });
    let (requests, mut request_receiver) = mpsc::channel(16);
    let (jobs, job_receiver) = mpsc::channel(16);
    std::thread::spawn(move || admission::run(chain, job_receiver, &Metrics::default().admission, drop));
    let chain_of_all = Arc::clone(shared);
    tokio::spawn(async move {
        while let Some(request) = request_receiver.recv().await {
            if let runner::Request::Admit { transactions, reply } = request {
                transactions.iter().for_each(|pooled| chain_of_all.commit(pooled));
                drop(reply.send(vec![Ok(()); transactions.len()]));
            }
        }
    });
    let section = VaultSection { path: disk.home.path().join("vault"), ..VaultSection::default() };
    let (vault, submitter, ended) = start(Surroundings {
        settings: section.check(disk.home.path()).unwrap(),
        keys: keys(disk.home.path(), index),
        network: secret(4, index),
        node: secret(3, index).public().node(),
        reader,
        abis: Arc::default(),
        storage: disk.storage.clone(),
        net: net.clone(),
        messages,
        connections: connected,
        blocks,
        head,
        requests,
        admission: jobs,
        clock: Clock::start(),
    })
    .unwrap();
    Running { vault, submitter, ended, net }
}

struct World {
    shared: Arc<Shared>,
    disks: Vec<Disk>,
    nodes: BTreeMap<usize, Running>,
}

impl World {
    async fn new() -> Self {
        let shared = Arc::new(Shared { network: Mutex::new(Network::new()), feeds: Mutex::default() });
        let disks = (0..MEMBERS.len()).map(Disk::new).collect();
        let mut world = Self { shared, disks, nodes: BTreeMap::new() };
        for (name, _) in MEMBERS {
            world.start(name).await;
        }
        world
    }

    async fn start(&mut self, member: &str) {
        let index = place(member);
        let running = run(&self.shared, index, &self.disks[index]).await;
        self.nodes.insert(index, running);
        let entry = |(index, running): (&usize, &Running)| PeerEntry {
            key: secret(4, *index).public(),
            address: running.net.local_address().to_string(),
        };
        let peers: Vec<PeerEntry> = self.nodes.iter().map(entry).collect();
        self.nodes.values().for_each(|running| running.net.set_peers(peers.clone()));
    }

    async fn stop(&mut self, member: &str) {
        let running = self.nodes.remove(&place(member)).unwrap();
        self.shared.feeds.lock().remove(&place(member));
        running.vault.stop().await;
        assert_eq!(running.ended.await, Ok(Ok(())));
        running.net.shutdown().await;
    }

    fn node(&self, member: &str) -> &Running {
        &self.nodes[&place(member)]
    }

    async fn ask<T: Send + 'static>(
        &self,
        member: &str,
        work: impl FnOnce(&mut Vault, Now) -> Result<T, VaultError> + Send + 'static,
    ) -> T {
        self.node(member).vault.ask(work).await.unwrap()
    }

    async fn holds(&self, member: &str, key: VersionKey) -> FieldSet {
        self.ask(member, move |vault, _| vault.possession(&key)).await
    }

    /// Waits until a member holds exactly what the contract says, and that is something.
    async fn has_its_part(&self, member: &str, key: VersionKey) {
        let audience = self.shared.network.lock().chain().audience(&key).unwrap();
        let due = vouch_vault::chain::fields_of(&audience, member);
        assert!(!due.is_empty(), "{member} is entitled");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.holds(member, key).await != due {
            assert!(tokio::time::Instant::now() < deadline, "{member} does not get {key}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Seals an identity of the enterprise and stages it at the institution's node.
    async fn stage(&self, made: &Made) {
        let (delivery, root) = (made.delivery.clone(), made.root);
        let staged = self.ask("union", move |vault, now| vault.stage(now, &delivery, root)).await;
        assert_eq!(staged.map(|staged| staged.root), Ok(root));
    }

    async fn submit(&self, made: &Made, public: Vec<PublicField>) -> Result<(), String> {
        let content = NewVersion {
            schema_version: 1,
            root: DocumentRoot(made.root),
            blob_root: None,
            parties: vec![PartyEntry { role: "enterprise".into(), party: Party::member("works") }],
            references: Vec::new(),
            public,
            recipients: Vec::new(),
        };
        let arguments = encode(&(made.delivery.key.id, "enterprise-identity".to_owned(), content));
        let contract = ContractName::new("documents").unwrap();
        let call = Call { contract, method: method::SUBMIT.into(), arguments };
        let raw = self.shared.network.lock().transaction(&[&user("union")], call);
        let result = self.node("union").submitter.submit(vec![raw]).await.remove(0);
        result.map(drop).map_err(|error| error.code().to_owned())
    }
}

struct Made {
    delivery: Delivery,
    root: [u8; 32],
}

const REPRESENTATIVE: &str = "planted representative";

fn make(world: &World, number: u8, scene: &str) -> Made {
    let (schema, chain) = {
        let network = world.shared.network.lock();
        (network.chain().schema("enterprise-identity", 1).unwrap().unwrap(), network.ledger.chain())
    };
    let values = json!({
        "name": "Works", "credit_code": "91120000MA00000000", "service_scene": scene, "result": "passed",
        "legal_representative": REPRESENTATIVE, "representative_id_number": "planted number",
        "contact_mobile": "planted mobile", "bank_account": "planted account", "verified_at": "2026-11-26T10:00:00Z",
    });
    let values = values.as_object().unwrap().clone().into_iter().collect();
    let mut entropy = SeededRng::from_seed(&[number; 32]);
    let header = DocumentHeader::new(&schema, "union", key(number).id, 1, None);
    let keys = DocumentKeys::generate(&mut entropy);
    let commitment = Commitment::build(&Document { header, values }, &schema, &keys.secret).unwrap();
    let recipient = RecipientKey(encryption_key(place("union")));
    let delivery = seal_for(&chain, &commitment, &keys, Vec::new(), &recipient, &mut entropy).unwrap();
    Made { delivery, root: *commitment.root().as_bytes() }
}

fn public(slot: u16, value: &str) -> Vec<PublicField> {
    vec![PublicField { slot, value: serde_json::to_string(value).unwrap() }]
}

async fn read(world: &World, node: &str, who: &str, key: VersionKey) -> Result<Vec<String>, ReadRefusal> {
    let request = ReadRequest {
        actor: user(who).public().account(),
        key,
        fields: None,
        purpose: "own".into(),
        access: Access::Read,
    };
    let shown = world.ask(node, move |vault, now| vault.read(now, &request)).await;
    let values = |answer: vouch_vault::ReadAnswer| -> Vec<String> {
        answer.disclosures.iter().map(|(_, disclosure)| disclosure.parse().unwrap().value.to_string()).collect()
    };
    shown.map(values)
}

/// What a node lets pass, and what not.
async fn submissions_are_checked(world: &World) {
    let made = make(world, 9, "身份证号 11010519491231002X");
    assert_eq!(world.submit(&made, Vec::new()).await, Err("stage.not_staged".into()));
    world.stage(&made).await;
    assert_eq!(world.submit(&made, public(NAME, "Another")).await, Err("stage.differs".into()));
    assert_eq!(world.submit(&made, public(ID_NUMBER, "planted number")).await, Err("stage.differs".into()));
    assert_eq!(world.submit(&made, public(SCENE, "身份证号 11010519491231002X")).await, Err("stage.sensitive".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_reaches_those_entitled_whatever_happens_to_them() {
    let mut world = World::new().await;
    submissions_are_checked(&world).await;

    let first = make(&world, 1, "courier");
    world.stage(&first).await;
    assert_eq!(world.submit(&first, public(NAME, "Works")).await, Ok(()));
    for member in ["union", "works", "watch"] {
        world.has_its_part(member, key(1)).await;
    }
    assert!(world.holds("shop", key(1)).await.is_empty());

    // The owner reads it at its own node, the platform nowhere, and the audit knows of both.
    let values = read(&world, "works", "works", key(1)).await.unwrap();
    assert!(values.iter().any(|value| value.contains(REPRESENTATIVE)), "{values:?}");
    for node in ["works", "shop"] {
        assert!(matches!(read(&world, node, "shop", key(1)).await, Err(ReadRefusal::NotAllowed(_))));
    }
    assert_eq!(world.ask("works", |vault, _| Ok(vault.audit_head().0)).await, 2);

    // Whoever holds it says so on the chain through its service account.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for member in ["union", "works", "watch"] {
        while !world.shared.says(member, "PossessionAttested") {
            assert!(tokio::time::Instant::now() < deadline, "{member} does not attest");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let holders = world.ask("union", |vault, _| vault.receipts(&key(1))).await;
    assert_eq!(holders.len(), 2, "the issuer has the receipts of both others");

    // One that was away takes the blocks in that it missed.
    world.stop("works").await;
    let second = make(&world, 2, "courier");
    world.stage(&second).await;
    assert_eq!(world.submit(&second, Vec::new()).await, Ok(()));
    world.has_its_part("watch", key(2)).await;
    world.start("works").await;
    world.has_its_part("works", key(2)).await;
    world.has_its_part("works", key(1)).await;

    // One that lost its database gets everything back from whoever is there, the issuer or not.
    world.stop("works").await;
    world.stop("union").await;
    world.disks[place("works")].wipe();
    world.start("works").await;
    for number in [1, 2] {
        world.has_its_part("works", key(number)).await;
    }
    world.start("union").await;
    world.has_its_part("union", key(2)).await;
    let report = world.node("works").vault.report().await.unwrap();
    assert_eq!((report.missing, report.key_missing, report.service_missing), (0, false, false));
    for (name, _) in MEMBERS {
        world.stop(name).await;
    }
}
