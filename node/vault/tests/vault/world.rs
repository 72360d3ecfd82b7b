//! The scheduler: virtual time, links that lose and delay, nodes that crash, lie, are slow or wiped, and an oracle that
//! looks at every byte that leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use vouch_ledger::{
    Batch, Durability, Storage, Table, View,
    memory::{Fault, FaultKind, MemoryStorage},
};
use vouch_privacy::sealing::BlobNotice;
use vouch_types::{TimestampMs, document::ErasureState};
use vouch_vault::{
    Act, ActResult, Blobs, ChainChange, Damage, Delivery, Effect, FieldSet, HeldSecrets, Input, MemoryBlobs,
    MemoryShelf, Message, Now, PeerId, Roster, RosterMember, Scanner, Staged, Vault, VaultConfig, VaultLimits,
    VaultParts, VersionKey,
    message::{FileKey, Refusal},
};

use crate::{
    chain::{NodeChain, Rules, Shared},
    support::{CHAIN, FILES, Made, Rng, SLOTS, Wish, make, member_secret, network_key},
};

/// What a node does to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Honest,
    /// Changes a byte of what it delivers, or of a piece.
    Corrupts,
    /// Says it has nothing.
    Denies,
    /// Believes that everybody may have everything.
    Overdelivers,
    /// Signs for what it throws away.
    SignsFalsely,
    /// Answers nothing.
    Mute,
}

/// What the links do.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub loss_percent: u64,
    pub delay_ms: u64,
}

pub struct Node {
    pub member: usize,
    pub storage: Arc<MemoryStorage>,
    pub shelf: Arc<MemoryShelf>,
    pub blobs: Arc<MemoryBlobs>,
    pub vault: Option<Vault>,
    pub head: Arc<AtomicU64>,
    pub peer: PeerId,
    pub behaviour: Behaviour,
    /// It sent something wrong at some time.
    pub lied: bool,
    pub life: u64,
    pub slow_ms: u64,
    timer: u64,
    pub possessed: BTreeSet<VersionKey>,
    pub damages: Vec<Damage>,
}

#[derive(Debug, Clone)]
enum Event {
    Deliver { to: usize, from: usize, lives: (u64, u64), bytes: Vec<u8> },
    Timer { node: usize, life: u64, number: u64 },
    Block { node: usize },
    Settle { node: usize, life: u64, number: u64, act: Act },
}

/// What the oracle counted: each must be above zero for a run to mean anything.
#[derive(Debug, Default)]
pub struct Counted {
    pub deliveries_judged: u64,
    pub pieces_judged: u64,
    pub bounds_judged: u64,
    pub crashes: u64,
    pub lost: u64,
    pub possessions_judged: u64,
}

pub struct World {
    pub now_ms: u64,
    pub rng: Rng,
    pub shared: Shared,
    pub nodes: Vec<Node>,
    pub limits: VaultLimits,
    pub weather: Weather,
    pub counted: Counted,
    /// Pairs that cannot talk.
    pub cut: BTreeSet<(usize, usize)>,
    pub made: BTreeMap<VersionKey, [u8; 32]>,
    queue: BTreeMap<(u64, u64), Event>,
    number: u64,
    pub block_delay_ms: u64,
    pub roster: Arc<Roster>,
    pub log: blake3::Hasher,
}

/// Finds texts with the word in them.
pub struct WordScanner;

impl Scanner for WordScanner {
    fn level(&self, text: &str, _: Option<&str>) -> (u8, String) {
        if text.contains("sensitive") { (4, "word".into()) } else { (1, String::new()) }
    }
}

pub fn name(member: usize) -> String {
    format!("m{member}")
}

pub fn test_limits() -> VaultLimits {
    VaultLimits {
        answer_ms: 1_000,
        retry_min_ms: 200,
        retry_max_ms: 5_000,
        push_patience_ms: 800,
        compare_first_ms: 1_500,
        compare_every_ms: 6_000,
        scrub_pause_ms: 400,
        scrub_every_ms: 20_000,
        anchor_every_ms: 10_000,
        act_ms: 3_000,
        ..VaultLimits::default()
    }
}

impl World {
    /// `members[i]` nodes for member `i`.
    pub fn new(seed: u64, members: &[usize], limits: VaultLimits) -> Self {
        let mut world = Self {
            now_ms: 1,
            rng: Rng::new(seed),
            shared: Shared::default(),
            nodes: Vec::new(),
            limits,
            weather: Weather { loss_percent: 0, delay_ms: 20 },
            counted: Counted::default(),
            cut: BTreeSet::new(),
            made: BTreeMap::new(),
            queue: BTreeMap::new(),
            number: 0,
            block_delay_ms: 50,
            roster: Arc::default(),
            log: blake3::Hasher::new(),
        };
        for (member, count) in members.iter().enumerate() {
            for _ in 0..*count {
                let index = world.nodes.len();
                world.nodes.push(Node {
                    member,
                    storage: Arc::new(MemoryStorage::new()),
                    shelf: Arc::new(MemoryShelf::default()),
                    blobs: Arc::new(MemoryBlobs::default()),
                    vault: None,
                    head: Arc::default(),
                    peer: network_key(index, 0).public(),
                    behaviour: Behaviour::Honest,
                    lied: false,
                    life: 0,
                    slow_ms: 0,
                    timer: 0,
                    possessed: BTreeSet::new(),
                    damages: Vec::new(),
                });
            }
        }
        world.roster = Arc::new(world.make_roster(members.len()));
        world
    }

    fn make_roster(&self, members: usize) -> Roster {
        let each = (0..members).map(|member| {
            let nodes = self.nodes.iter().filter(|node| node.member == member).map(|node| node.peer).collect();
            let key = member_secret(member).public().0.0;
            (name(member), RosterMember { encryption_key: Some((1, key)), nodes })
        });
        Roster::new(each.collect())
    }

    pub fn start_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
    }

    /// Starts a node over what its disk holds, and connects it.
    pub fn start(&mut self, index: usize) {
        let entropy = self.rng.bytes();
        let node = &mut self.nodes[index];
        node.life += 1;
        let config = VaultConfig {
            chain: CHAIN,
            member: name(node.member),
            network: network_key(index, 0),
            limits: self.limits.clone(),
            entropy,
        };
        let parts = VaultParts {
            storage: node.storage.clone(),
            shelf: node.shelf.clone(),
            blobs: node.blobs.clone(),
            chain: Box::new(NodeChain {
                shared: self.shared.clone(),
                head: node.head.clone(),
                believes_all: node.behaviour == Behaviour::Overdelivers,
            }),
            secrets: Box::new(HeldSecrets(vec![member_secret(node.member)])),
            scanner: Box::new(WordScanner),
        };
        let vault = Vault::new(config, parts).unwrap();
        // The node tells the blocks again that its vault has not taken in; one that is new begins with the newest.
        let newest = node.head.load(Ordering::Relaxed).saturating_sub(1);
        let from = if vault.height().0 == 0 { newest } else { vault.height().0 };
        node.vault = Some(vault);
        let roster = self.roster.clone();
        self.step(index, vec![Input::Started(roster)]);
        let head = self.nodes[index].head.load(Ordering::Relaxed);
        for height in from + 1..=head {
            let changes = self.shared.0.lock().block(height);
            self.step(index, vec![Input::BlockCommitted { height: vouch_types::Height(height), changes }]);
        }
        for other in 0..self.nodes.len() {
            if other != index && self.nodes[other].vault.is_some() && !self.is_cut(index, other) {
                self.connect(index, other);
            }
        }
        self.at(self.now_ms + 1, Event::Block { node: index });
    }

    fn connect(&mut self, a: usize, b: usize) {
        let (peer_a, peer_b) = (self.nodes[a].peer, self.nodes[b].peer);
        self.step(a, vec![Input::PeerConnected(peer_b)]);
        self.step(b, vec![Input::PeerConnected(peer_a)]);
    }

    pub fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    pub fn cut_off(&mut self, a: usize, b: usize) {
        self.cut.insert((a.min(b), a.max(b)));
        let (peer_a, peer_b) = (self.nodes[a].peer, self.nodes[b].peer);
        self.step(a, vec![Input::PeerDisconnected(peer_b)]);
        self.step(b, vec![Input::PeerDisconnected(peer_a)]);
    }

    pub fn join_again(&mut self, a: usize, b: usize) {
        if self.cut.remove(&(a.min(b), a.max(b))) && self.nodes[a].vault.is_some() && self.nodes[b].vault.is_some() {
            self.connect(a, b);
        }
    }

    /// Power is lost: what was not synced is gone, to a point that chance chooses.
    pub fn crash(&mut self, index: usize) {
        if self.nodes[index].vault.take().is_none() {
            return;
        }
        self.counted.crashes += 1;
        let node = &self.nodes[index];
        let keep = self.rng.below(node.storage.unsynced_writes() as u64 + 1) as usize;
        node.storage.set_write_fault(None);
        node.storage.crash(keep);
        node.shelf.crash();
        node.blobs.crash();
        let peer = node.peer;
        for other in 0..self.nodes.len() {
            if other != index {
                self.step(other, vec![Input::PeerDisconnected(peer)]);
            }
        }
    }

    /// The disk is lost; the chain is there again from the others.
    pub fn wipe(&mut self, index: usize) {
        self.crash(index);
        let node = &mut self.nodes[index];
        node.storage = Arc::new(MemoryStorage::new());
        node.shelf.wipe();
        node.blobs.wipe();
    }

    /// The disk is lost but for the row that says which blocks were taken in.
    pub fn wipe_but_height(&mut self, index: usize) {
        self.crash(index);
        let row = self.nodes[index].storage.get(Table::Vault, b"mheight").unwrap().unwrap();
        self.wipe(index);
        let mut batch = Batch::new();
        batch.put(Table::Vault, b"mheight", row);
        self.nodes[index].storage.write(batch, Durability::Synced).unwrap();
    }

    /// The next write that this node makes after `writes` others fails, in the middle of a step.
    pub fn fail_write(&mut self, index: usize, writes: u64) {
        let storage = &self.nodes[index].storage;
        let first = storage.counters().writes + 1 + writes;
        storage.set_write_fault(Some(Fault {
            kind: FaultKind::InputOutput,
            first,
            last: u64::MAX,
            takes_effect: self.rng.chance(50),
        }));
    }

    /// A copy of a node's storage, without keys and files: what a backup holds.
    pub fn backup(&self, index: usize) -> Arc<MemoryStorage> {
        let copy = MemoryStorage::new();
        let view = self.nodes[index].storage.pin().unwrap().unwrap();
        let mut batch = Batch::new();
        for table in Table::ALL {
            for (key, value) in view.scan(table, &[], None, usize::MAX).unwrap() {
                batch.put(table, key, value);
            }
        }
        copy.write(batch, Durability::Synced).unwrap();
        Arc::new(copy)
    }

    fn at(&mut self, at_ms: u64, event: Event) {
        self.number += 1;
        self.queue.insert((at_ms.max(self.now_ms), self.number), event);
    }

    pub fn now(&self) -> Now {
        Now { wall: TimestampMs(1_700_000_000_000 + self.now_ms), steady_ms: self.now_ms }
    }

    pub fn step(&mut self, index: usize, inputs: Vec<Input>) {
        let now = self.now();
        let Some(vault) = &mut self.nodes[index].vault else { return };
        match vault.step(now, inputs) {
            Ok(effects) => self.carry_out(index, effects),
            // The storage failed in the middle: the process dies, and comes back a while later.
            Err(error) => {
                assert_eq!(error.code(), "vault.storage", "{error}");
                self.crash(index);
                let life = self.nodes[index].life;
                self.at(self.now_ms + 300, Event::Timer { node: index, life, number: u64::MAX });
            }
        }
    }

    fn carry_out(&mut self, index: usize, effects: Vec<Effect>) {
        // A crash between any two effects: the rest of them never happens.
        let life = self.nodes[index].life;
        for effect in effects {
            if self.nodes[index].life != life || self.nodes[index].vault.is_none() {
                return;
            }
            self.log.update(format!("{} {index} {effect:?}", self.now_ms).as_bytes());
            match effect {
                Effect::Send { to, bytes } => self.send(index, &to, bytes),
                Effect::SetTimer { after_ms } => {
                    let node = &mut self.nodes[index];
                    node.timer += 1;
                    let (life, number) = (node.life, node.timer);
                    self.at(self.now_ms + after_ms, Event::Timer { node: index, life, number });
                }
                Effect::Submit { number, act } => {
                    let life = self.nodes[index].life;
                    let after = 30 + self.rng.below(200);
                    self.at(self.now_ms + after, Event::Settle { node: index, life, number, act });
                }
                Effect::Possessed(key) => drop(self.nodes[index].possessed.insert(key)),
                Effect::Damaged(damage) => self.nodes[index].damages.push(damage),
                Effect::Shredded(_) => {}
                Effect::PeerFault { peer, code } => self.judge_fault(index, &peer, code),
            }
        }
    }

    fn send(&mut self, from: usize, to: &PeerId, bytes: Vec<u8>) {
        let to = self.nodes.iter().position(|node| node.peer == *to).unwrap();
        self.judge_bytes(&bytes);
        if self.nodes[from].behaviour == Behaviour::Honest {
            self.judge_sent(from, to, &bytes);
        }
        let Some(bytes) = self.bend(from, bytes) else { return };
        if self.is_cut(from, to) || self.nodes[to].vault.is_none() {
            return;
        }
        if self.rng.chance(self.weather.loss_percent) {
            self.counted.lost += 1;
            return;
        }
        let delay = 1 + self.rng.below(self.weather.delay_ms) + self.nodes[from].slow_ms;
        let lives = (self.nodes[from].life, self.nodes[to].life);
        self.at(self.now_ms + delay, Event::Deliver { to, from, lives, bytes });
    }

    /// What a dishonest node makes of its own vault's message.
    fn bend(&mut self, from: usize, bytes: Vec<u8>) -> Option<Vec<u8>> {
        match (self.nodes[from].behaviour, Message::from_bytes(&bytes).unwrap()) {
            (Behaviour::Mute, _) => None,
            (Behaviour::Corrupts, Message::Deliver(mut delivery)) => {
                let at = delivery.len() - 1 - self.rng.below(delivery.len() as u64 / 2) as usize;
                delivery[at] ^= 1 << self.rng.below(8);
                self.nodes[from].lied = true;
                Some(Message::Deliver(delivery).to_bytes())
            }
            (Behaviour::Corrupts, Message::Piece { key, file, offset, piece: Ok(mut piece) }) => {
                let at = self.rng.below(piece.len() as u64) as usize;
                piece[at] ^= 1;
                self.nodes[from].lied = true;
                Some(Message::Piece { key, file, offset, piece: Ok(piece) }.to_bytes())
            }
            (Behaviour::Denies, Message::Deliver(delivery)) => {
                let key = Delivery::from_bytes(&delivery).unwrap().key;
                Some(Message::Missing { key, refusal: Refusal::NotHeld }.to_bytes())
            }
            (Behaviour::Denies, Message::Piece { key, file, offset, .. }) => {
                Some(Message::Piece { key, file, offset, piece: Err(Refusal::NotHeld) }.to_bytes())
            }
            _ => Some(bytes),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { to, from, lives, bytes } => {
                let alive = (self.nodes[from].life, self.nodes[to].life) == lives;
                if alive && self.nodes[to].vault.is_some() && !self.is_cut(from, to) {
                    if self.nodes[to].behaviour == Behaviour::SignsFalsely && self.throws_away(to, from, &bytes) {
                        return;
                    }
                    let from = self.nodes[from].peer;
                    self.step(to, vec![Input::MessageReceived { from, bytes }]);
                }
            }
            Event::Timer { node, life, number: u64::MAX } => {
                if self.nodes[node].life == life && self.nodes[node].vault.is_none() {
                    self.start(node);
                }
            }
            Event::Timer { node, life, number } => {
                if self.nodes[node].life == life && self.nodes[node].timer == number {
                    self.step(node, vec![Input::TimerFired]);
                }
            }
            Event::Block { node } => self.take_block(node),
            Event::Settle { node, life, number, act } => self.settle(node, life, number, act),
        }
    }

    /// A holder that signs for a delivery and keeps nothing.
    fn throws_away(&mut self, to: usize, from: usize, bytes: &[u8]) -> bool {
        let Ok(Message::Deliver(delivery)) = Message::from_bytes(bytes) else { return false };
        let delivery = Delivery::from_bytes(&delivery).unwrap();
        let (root, head) = (self.shared.0.lock().root(&delivery.key), self.nodes[to].head.load(Ordering::Relaxed));
        let key = network_key(to, 0);
        let mut receipt = vouch_vault::Receipt {
            key: delivery.key,
            root,
            fields: delivery.fields(),
            height: vouch_types::Height(head),
            holder: key.public(),
            signature: vouch_types::Signature([0; 64]),
        };
        receipt.signature = key.sign(receipt.digest(&CHAIN).as_bytes());
        let lives = (self.nodes[to].life, self.nodes[from].life);
        let bytes = Message::Receipt(Box::new(receipt)).to_bytes();
        self.at(self.now_ms + 5, Event::Deliver { to: from, from: to, lives, bytes });
        true
    }

    fn take_block(&mut self, index: usize) {
        let head = self.nodes[index].head.load(Ordering::Relaxed);
        if head >= self.shared.0.lock().height() {
            return;
        }
        // The chain is final at this node before its vault hears of it.
        self.nodes[index].head.store(head + 1, Ordering::Relaxed);
        let changes = self.shared.0.lock().block(head + 1);
        self.step(index, vec![Input::BlockCommitted { height: vouch_types::Height(head + 1), changes }]);
        self.at(self.now_ms + 1, Event::Block { node: index });
    }

    /// New blocks reach every node after a while of its own.
    pub fn spread_blocks(&mut self) {
        for node in 0..self.nodes.len() {
            let after = 1 + self.rng.below(self.block_delay_ms);
            self.at(self.now_ms + after, Event::Block { node });
        }
    }

    fn settle(&mut self, index: usize, life: u64, number: u64, act: Act) {
        let failed = self.rng.chance(self.weather.loss_percent);
        if !failed {
            let member = name(self.nodes[index].member);
            self.shared.0.lock().acts.push((member, act));
        }
        if self.nodes[index].life == life {
            let result = if failed { ActResult::Failed("not sent".into()) } else { ActResult::Done };
            self.step(index, vec![Input::ActSettled { number, result }]);
        }
    }

    /// Runs for a while.
    pub fn run(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while let Some(((at, _), _)) = self.queue.first_key_value()
            && *at <= end
        {
            let ((at, _), event) = self.queue.pop_first().unwrap();
            self.now_ms = at;
            self.happen(event);
            if self.number.is_multiple_of(16) {
                self.judge_bounds();
            }
        }
        self.now_ms = end;
    }

    /// Runs until everything is where it is to be.
    pub fn run_until_settled(&mut self, most_ms: u64) -> u64 {
        let begun = self.now_ms;
        loop {
            self.run(250);
            match self.unsettled() {
                None => return self.now_ms - begun,
                Some(what) => assert!(self.now_ms - begun < most_ms, "not settled: {what}"),
            }
        }
    }

    pub fn all() -> FieldSet {
        FieldSet::first(SLOTS)
    }

    /// Makes a document, hands its files to its node and stages it there.
    pub fn stage(&mut self, node: usize, file_bytes: Vec<usize>) -> Made {
        let id = self.rng.bytes();
        self.stage_version(node, id, 1, file_bytes)
    }

    pub fn stage_version(&mut self, node: usize, id: [u8; 16], version: u32, file_bytes: Vec<usize>) -> Made {
        let member = self.nodes[node].member;
        let recipient = member_secret(member).public();
        let before = VersionKey { id: vouch_vault::DocumentId::new(id), version: version - 1 };
        let issuer = name(member);
        let wish = Wish {
            id,
            version,
            previous: (version > 1).then(|| self.made[&before]),
            issuer: &issuer,
            recipient: &recipient,
            file_bytes,
            title: "order",
            file_name: "file",
        };
        let made = make(&wish, &mut self.rng);
        self.made.insert(VersionKey { id: made.id, version }, made.root);
        let staged = self.hand_over(node, &made).unwrap();
        assert_eq!(staged.root, made.root);
        made
    }

    /// Files first, then the document.
    pub fn hand_over(&mut self, node: usize, made: &Made) -> Result<Staged, vouch_vault::StageError> {
        let now = self.now();
        let node = &mut self.nodes[node];
        let vault = node.vault.as_mut().unwrap();
        for (blob, bytes) in &made.blobs {
            node.blobs.write(&blob.root.0, vouch_vault::blobs::Part::Data, 0, bytes).unwrap();
            assert!(vault.take_file(now, blob).unwrap());
        }
        vault.stage(now, &made.delivery, made.root).unwrap()
    }

    /// The transaction is final.
    pub fn submit(&mut self, made: &Made, issuer: usize, rules: Rules) -> VersionKey {
        let key = VersionKey { id: made.id, version: made.version };
        let parties = rules.members.keys().map(|member| format!("member:{member}")).collect();
        self.shared.0.lock().submit(key, &name(issuer), parties, made.root, made.blob_root, Vec::new(), rules);
        self.spread_blocks();
        key
    }

    /// A document from a node of its issuer to the members given, with what each is to have.
    pub fn publish(&mut self, node: usize, to: &[(usize, FieldSet)], file_bytes: Vec<usize>) -> VersionKey {
        let made = self.stage(node, file_bytes);
        let issuer = self.nodes[node].member;
        let rules = rules(issuer, to);
        self.submit(&made, issuer, rules)
    }

    pub fn change(&mut self, key: &VersionKey, change: ChainChange, alter: impl FnOnce(&mut Rules)) {
        self.shared.0.lock().change_rules(key, change, alter);
        self.spread_blocks();
    }

    pub fn erase(&mut self, key: &VersionKey, state: ErasureState) {
        self.shared.0.lock().erase(&key.id, state);
        self.spread_blocks();
    }

    pub fn vault(&mut self, node: usize) -> &mut Vault {
        self.nodes[node].vault.as_mut().unwrap()
    }
}

pub fn rules(issuer: usize, to: &[(usize, FieldSet)]) -> Rules {
    let mut rules = Rules::default();
    rules.members.insert(name(issuer), World::all());
    for (member, fields) in to.iter().filter(|(member, _)| *member != issuer) {
        rules.members.insert(name(*member), fields.clone());
    }
    rules
}

pub fn some(slots: &[u16]) -> FieldSet {
    slots.iter().copied().collect()
}

pub fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

pub fn file(index: u16) -> FileKey {
    FileKey { slot: FILES, index }
}

/// The files that a delivery shows.
pub fn shown(delivery: &Delivery) -> usize {
    delivery.content.attachments.iter().filter(|notice| matches!(notice, BlobNotice::Shown(_))).count()
}
