//! The scheduler: virtual time, links that lose and delay, nodes that crash, lie, are slow or wiped, and an oracle that
//! looks at every byte that leaves.

mod disks;
mod documents;
mod liars;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use vouch_ledger::memory::MemoryStorage;
use vouch_privacy::{attachment::Blob, sealing::BlobNotice};
use vouch_types::{TimestampMs, document::ErasureState};
use vouch_vault::{
    Act, ActResult, ChainChange, Damage, Delivery, Effect, ErasureStep, FieldSet, HeldSecrets, Input, MemoryBlobs,
    MemoryShelf, Now, PeerId, Roster, RosterMember, Scanner, Vault, VaultConfig, VaultError, VaultLimits, VaultParts,
    VersionKey, look_at_file, message::FileKey,
};

pub use liars::Behaviour;

use crate::{
    chain::{NodeChain, Rules, Shared},
    support::{CHAIN, FILES, Rng, SLOTS, member_secret, network_key},
};

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
    pub unreadable: Vec<Damage>,
}

#[derive(Debug, Clone)]
enum Event {
    Deliver { to: usize, from: usize, lives: (u64, u64), bytes: Vec<u8> },
    Timer { node: usize, life: u64, number: u64 },
    Block { node: usize },
    Settle { node: usize, life: u64, number: u64, act: Act },
    Look { node: usize, life: u64, blob: Blob },
}

/// What the oracle counted: each must be above zero for a run to mean anything.
#[derive(Debug, Default)]
pub struct Counted {
    pub deliveries_judged: u64,
    /// Private values looked for in what a delivery opens to.
    pub values_judged: u64,
    pub pieces_judged: u64,
    pub bounds_judged: u64,
    pub crashes: u64,
    pub lost: u64,
    pub possessions_judged: u64,
    pub said_judged: u64,
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
    /// Private values of each: name, phone, note.
    pub planted: BTreeMap<VersionKey, [String; 3]>,
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
        orphan_folders: 64,
        orphan_keep_ms: 15_000,
        look_every_ms: 3_000,
        anchor_every_ms: 10_000,
        act_ms: 3_000,
        piece_bytes_min: 1,
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
            planted: BTreeMap::new(),
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
                    unreadable: Vec::new(),
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
                    self.judge_said(index, &act);
                    let life = self.nodes[index].life;
                    let after = 30 + self.rng.below(200);
                    self.at(self.now_ms + after, Event::Settle { node: index, life, number, act });
                }
                Effect::Possessed(key) => drop(self.nodes[index].possessed.insert(key)),
                Effect::Damaged(damage) => self.nodes[index].damages.push(damage),
                Effect::Unreadable(damage) => self.nodes[index].unreadable.push(damage),
                Effect::LookAtFile(blob) => {
                    let life = self.nodes[index].life;
                    let after = 1 + self.rng.below(300);
                    self.at(self.now_ms + after, Event::Look { node: index, life, blob });
                }
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
            Event::Settle { node, life, number, act } => self.settle(node, life, number, &act),
            Event::Look { node, life, blob } => self.look(node, life, &blob),
        }
    }

    fn take_block(&mut self, index: usize) {
        let head = self.nodes[index].head.load(Ordering::Relaxed);
        if head >= self.shared.0.lock().height() {
            return;
        }
        // The node tells its vault no block while the contracts do not answer.
        if self.shared.0.lock().is_frozen {
            self.at(self.now_ms + 100, Event::Block { node: index });
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

    fn settle(&mut self, index: usize, life: u64, number: u64, act: &Act) {
        let failed = self.rng.chance(self.weather.loss_percent);
        if !failed {
            let member = name(self.nodes[index].member);
            self.shared.0.lock().acts.push((member, act.clone()));
            if let Act::MoveErasure { id, step } = *act {
                let to = if step == ErasureStep::Order { ErasureState::Ordered } else { ErasureState::Erased };
                self.shared.0.lock().erase(&id, to);
                self.spread_blocks();
            }
            if let Act::AttestErasure { id, .. } = *act {
                self.shared.0.lock().push(vec![ChainChange::Attested(id)]);
                self.spread_blocks();
            }
        }
        if self.nodes[index].life == life {
            let result = if failed { ActResult::Failed("not sent".into()) } else { ActResult::Done };
            self.step(index, vec![Input::ActSettled { number, result }]);
        }
    }

    /// What the node does beside its vault's thread.
    fn look(&mut self, index: usize, life: u64, blob: &Blob) {
        let now = self.now();
        let node = &mut self.nodes[index];
        let Some(vault) = node.vault.as_mut().filter(|_| node.life == life) else { return };
        let is_it = look_at_file(node.blobs.as_ref(), blob).unwrap_or(false);
        match vault.file_looked_at(now, blob, is_it) {
            Ok(()) => self.step(index, Vec::new()),
            Err(error) => {
                assert_eq!(error.code(), "vault.storage", "{error}");
                self.crash(index);
                let life = self.nodes[index].life;
                self.at(self.now_ms + 300, Event::Timer { node: index, life, number: u64::MAX });
            }
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
            self.shared.0.lock().now_ms = self.now().wall.0;
            self.happen(event);
            if self.number.is_multiple_of(16) {
                self.judge_bounds();
            }
        }
        self.now_ms = end;
        self.shared.0.lock().now_ms = self.now().wall.0;
    }

    /// A block of other matters.
    pub fn pass_block(&mut self) {
        self.shared.0.lock().push(Vec::new());
        self.spread_blocks();
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

    pub fn vault(&mut self, node: usize) -> &mut Vault {
        self.nodes[node].vault.as_mut().unwrap()
    }
}

/// Checks everything at rest, slice by slice.
pub fn check_everything(vault: &mut Vault, now: Now) -> Result<Vec<Damage>, VaultError> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let (damages, next) = vault.check_some(now, from)?;
        found.extend(damages);
        if next.is_none() {
            return Ok(found);
        }
        from = next;
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
