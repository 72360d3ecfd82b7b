//! The scheduler: virtual time, the queue of what happens next, and the steps of the nodes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use vouch_consensus::SignatureCheck;
use vouch_genesis::GenesisDocument;
use vouch_ledger::{MempoolLimits, PooledTransaction, Runtime, Storage};
use vouch_replica::{
    Effect, Input, Lane, Replica, ReplicaConfig, ReplicaError, Timer, VolatileMemory, VotingRecord, VotingState,
};

use super::{
    byzantine,
    disk::Disk,
    genesis::{self, DRIFT_MAX_MS, EPOCH_MS},
    mutants::Mutant,
    node::Node,
    oracle::{Checked, Oracle, broken},
    plan::Plan,
    rng::Rng,
    run::Stage,
    signatures::Signatures,
    vaults::{Heard, Vaults},
    workload::Workload,
};

/// Events of the past that are kept to be shown.
const RECENT: usize = 60;
/// Virtual time given to the network to go on after all faults have ended.
const RECOVERY_MS: u64 = 120_000;
/// Time between two looks at bounds and reads.
const PROBE_EVERY_MS: u64 = 97;

/// Something that will happen.
#[derive(Debug, Clone)]
pub enum Event {
    Deliver { to: usize, from: usize, link: u64, lane: Lane, bytes: Arc<[u8]> },
    Timer { node: usize, life: u64, timer: Timer, number: u64 },
    Verify { node: usize, life: u64, raw: Vec<Vec<u8>>, here: bool },
    Submit,
    Fault(usize),
    Restart(usize),
    Connect(usize, usize),
    Tick(usize),
    Probe,
    Heal,
    VaultDeliver { to: usize, from: usize, link: u64, bytes: Arc<[u8]> },
    VaultTurn { node: usize },
    VaultTick { node: usize },
    Paper,
}

/// All of it.
pub struct World {
    pub plan: Plan,
    pub mutant: Option<Mutant>,
    pub now_ms: u64,
    pub rng: Rng,
    pub nodes: Vec<Node>,
    pub oracle: Oracle,
    pub stage: Arc<Stage>,
    pub signatures: Arc<Signatures>,
    pub genesis: GenesisDocument,
    pub healed: bool,
    /// Cuts and when they end.
    pub cuts: Vec<(u64, BTreeSet<(usize, usize)>)>,
    pub next_link: u64,
    pub log: blake3::Hasher,
    pub recent: VecDeque<String>,
    pub keeps_events: bool,
    /// Private documents, in the runs that have some.
    pub vaults: Option<Vaults>,
    /// What nodes log in these.
    pub heard: Heard,
    target: Option<u64>,
    workload: Option<Workload>,
    queue: BTreeMap<(u64, u64), Event>,
    number: u64,
}

impl World {
    /// Founds the chain and schedules what the plan says.
    pub fn new(plan: &Plan, stage: &Arc<Stage>, keeps_events: bool) -> Self {
        let mutant = plan.mutant.as_deref().and_then(Mutant::named);
        let plan = altered(plan.clone(), mutant);
        let who = genesis::identities(&plan);
        let contracts = if plan.vaults.is_some() { stage.papers() } else { &[] };
        let (document, model) = genesis::found(&plan, &stage.code, contracts);
        let twins = (0..plan.nodes.len()).filter(|index| plan.nodes[*index].kind == "twin");
        let endpoints: Vec<usize> = (0..plan.nodes.len()).chain(twins).collect();
        let heard = Heard::default();
        let chain = document.chain_id().expect("a drawn document is valid");
        let oracle = Oracle::new(who, chain, model, document.time.0, plan.expiry_window);
        let mut world = Self {
            mutant,
            now_ms: 0,
            rng: Rng::new(plan.seed, 2),
            nodes: Vec::new(),
            oracle,
            stage: Arc::clone(stage),
            signatures: Arc::default(),
            genesis: document,
            healed: false,
            cuts: Vec::new(),
            next_link: 0,
            log: blake3::Hasher::new(),
            recent: VecDeque::new(),
            keeps_events,
            vaults: Vaults::new(&plan, &endpoints, mutant, heard.clone()),
            heard,
            target: None,
            workload: Some(Workload::new(&plan, chain)),
            queue: BTreeMap::new(),
            number: 0,
            plan,
        };
        world.populate(endpoints);
        world
    }

    fn populate(&mut self, endpoints: Vec<usize>) {
        for (index, identity) in endpoints.into_iter().enumerate() {
            let node = self.make_node(index, identity);
            let started = node.started;
            self.nodes.push(node);
            if started {
                self.at(self.now_ms, Event::Restart(index));
            }
        }
        self.at(20, Event::Submit);
        self.at(PROBE_EVERY_MS, Event::Probe);
        self.at(self.plan.heal_at_ms, Event::Heal);
        if self.vaults.is_some() {
            self.at(40, Event::Paper);
            for node in 0..self.nodes.len() {
                self.at(200, Event::VaultTick { node });
            }
        }
        for (index, scheduled) in self.plan.faults.clone().iter().enumerate() {
            self.at(scheduled.at_ms, Event::Fault(index));
        }
    }

    fn make_node(&mut self, index: usize, identity: usize) -> Node {
        let plan = self.plan.nodes[identity].clone();
        let two_faced = self.mutant == Some(Mutant::TwoFaced) && index == 0;
        Node {
            index,
            identity,
            seed: genesis::seed_of("consensus", identity),
            peer: genesis::secret("network", identity).public(),
            adversary: byzantine::named(if two_faced { "equivocating-votes" } else { &plan.kind }),
            disk: Arc::new(Disk::new(self.mutant_at(identity))),
            memory: VolatileMemory::new(Some(VotingRecord::of_new_key(self.oracle.who[identity].consensus.node()))),
            copy: None,
            started: plan.founding,
            plan,
            replica: None,
            life: 0,
            timers: BTreeMap::new(),
            allowed: BTreeSet::new(),
            links: BTreeMap::new(),
            paused_until_ms: 0,
            slow_until_ms: 0,
            slow_by_ms: 0,
            clock_jump_ms: 0,
            reported: 0,
            wiped: false,
            intact_since: 0,
        }
    }

    /// The bug a node has.
    pub fn mutant_at(&self, identity: usize) -> Option<Mutant> {
        self.mutant.filter(|mutant| *mutant != Mutant::MapOrder || identity == 0)
    }

    pub fn at(&mut self, at_ms: u64, event: Event) {
        self.number += 1;
        self.queue.insert((at_ms.max(self.now_ms), self.number), event);
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if self.keeps_events {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(format!("{:>6} ms  {}", self.now_ms, text()));
        }
    }

    /// Runs until everyone honest has gone on after the faults.
    pub fn run(&mut self) -> Checked {
        let end = self.plan.heal_at_ms + RECOVERY_MS;
        while !self.is_done() {
            let Some(((at, _), event)) = self.queue.pop_first() else {
                return broken("liveness", "nothing is left to happen");
            };
            self.now_ms = at;
            if at > end {
                let unsettled = self.unsettled().filter(|_| self.vaults.as_ref().is_some_and(|vaults| vaults.gone_on));
                return match unsettled {
                    Some(what) => broken("documents arrive", what),
                    None => broken("liveness", self.describe()),
                };
            }
            self.happen(event)?;
        }
        self.finish()
    }

    fn describe(&self) -> String {
        let nodes = self.nodes.iter().map(|node| {
            let status = node.replica.as_ref().map(Replica::status);
            let text = status.map_or("down".to_owned(), |s| {
                let consensus =
                    s.consensus.map(|c| format!("{}/{} {:?} proposal {:?}", c.height, c.round, c.step, c.proposal));
                format!(
                    "head {} running {} waiting {} links {:?} {consensus:?}",
                    s.height,
                    s.running,
                    s.mempool_count,
                    node.links.keys()
                )
            });
            format!("\n  node {} {} {text}", node.index, node.plan.kind)
        });
        format!("target {:?} not reached:{}", self.target, nodes.collect::<String>())
    }

    /// Honest nodes that take part after the last block.
    pub fn expected(&self) -> Vec<usize> {
        let model = self.oracle.latest();
        let active: BTreeSet<usize> = model.active_nodes(&self.oracle.who).map(|(i, _)| i).collect();
        (0..self.plan.nodes.len()).filter(|i| active.contains(i) && self.is_honest(*i)).collect()
    }

    pub fn is_honest(&self, node: usize) -> bool {
        self.nodes[node].plan.is_honest()
    }

    fn is_done(&mut self) -> bool {
        if let Some(vaults) = self.vaults.as_ref().filter(|vaults| vaults.gone_on) {
            return vaults.settled;
        }
        let Some(target) = self.target else { return false };
        let head = |i: &usize| self.nodes[*i].replica.as_ref().map_or(0, |r| r.ledger().head().height.0);
        let has_gone_on = self.expected().iter().all(|i| head(i) >= target && !self.nodes[*i].abstains());
        if has_gone_on && self.vaults.is_some() {
            self.vaults_go_on();
            return false;
        }
        has_gone_on
    }

    fn happen(&mut self, event: Event) -> Checked {
        self.log_event(&event);
        if let Some(until) = self.paused(&event) {
            self.at(until, event);
            return Ok(());
        }
        match event {
            Event::Deliver { to, from, link, lane, bytes } => self.deliver(to, from, link, lane, &bytes),
            Event::Timer { node, life, timer, number } => {
                if self.nodes[node].life == life && self.nodes[node].timers.get(&timer) == Some(&number) {
                    self.nodes[node].timers.remove(&timer);
                    self.note(|| format!("node {node} fires {timer:?}"));
                    self.step(node, Input::TimerFired(timer))?;
                }
                Ok(())
            }
            Event::Verify { node, life, raw, here } => self.verify(node, life, raw, here),
            Event::Submit => self.submit(),
            Event::Fault(index) => {
                if self.healed {
                    Ok(())
                } else {
                    self.strike(index)
                }
            }
            Event::Restart(node) => self.restart(node),
            Event::Connect(a, b) => self.connect(a, b),
            Event::Tick(node) => self.tick(node),
            Event::Probe => {
                self.at(self.now_ms + PROBE_EVERY_MS, Event::Probe);
                self.probe()
            }
            Event::Heal => self.heal(),
            Event::VaultDeliver { to, from, link, bytes } => self.deliver_to_vault(to, from, link, &bytes),
            Event::VaultTurn { node } => self.vault_turn(node),
            Event::VaultTick { node } => self.vault_tick(node),
            Event::Paper => self.paper_act(),
        }
    }

    fn log_event(&mut self, event: &Event) {
        self.log.update(&self.now_ms.to_le_bytes());
        match event {
            Event::Deliver { to, from, bytes, .. } => {
                self.log.update(&[1, *to as u8, *from as u8]);
                self.log.update(bytes);
            }
            Event::VaultDeliver { to, from, bytes, .. } => {
                self.log.update(&[4, *to as u8, *from as u8]);
                self.log.update(bytes);
            }
            Event::Timer { node, number, .. } => drop(self.log.update(&[2, *node as u8, *number as u8])),
            Event::Verify { node, raw, .. } => drop(self.log.update(&[3, *node as u8, raw.len() as u8])),
            other => drop(self.log.update(format!("{other:?}").as_bytes())),
        }
    }

    /// When a node that stands still will do this.
    fn paused(&self, event: &Event) -> Option<u64> {
        let node = match event {
            Event::Deliver { to: node, .. } | Event::Timer { node, .. } | Event::Verify { node, .. } => {
                if self.mutant == Some(Mutant::WaitForVaults)
                    && let Some(until) = self.vault_dozes(*node)
                {
                    return Some(until);
                }
                *node
            }
            Event::VaultDeliver { to: node, .. } => *node,
            _ => return None,
        };
        let until = self.nodes[node].paused_until_ms;
        (until > self.now_ms).then_some(until)
    }

    /// Gives a node an input and does what it asks, with power cuts between any two of its effects.
    pub fn step(&mut self, index: usize, input: Input) -> Checked {
        let honest = self.is_honest(index);
        if !self.healed && self.rng.rarely(self.plan.disk_error_rate) {
            self.plant_disk_error(index);
        }
        let node = &mut self.nodes[index];
        let mut now = node.clock(EPOCH_MS, self.now_ms);
        if self.mutant == Some(Mutant::FastClock) {
            now.wall.0 += 3_600_000;
        }
        let Some(replica) = &mut node.replica else { return Ok(()) };
        let result = replica.step(now, input);
        let struck = self.nodes[index].disk.fault_struck();
        match result {
            Ok(_) if struck && honest => {
                broken("stops on a failing disk", format!("node {index} went on after its disk had failed"))
            }
            Ok(effects) => self.carry_out_all(index, effects),
            Err(error) => self.stopped(index, struck, &error),
        }
    }

    fn stopped(&mut self, index: usize, struck: bool, error: &ReplicaError) -> Checked {
        self.note(|| format!("node {index} stops: {error}"));
        if self.is_honest(index) && !struck {
            return broken("runs on", format!("node {index} stopped: {} {error}", error.code()));
        }
        if struck {
            self.oracle.mark("stopped by a failing disk");
        } else {
            // A liar that contradicts itself begins anew without its log.
            self.oracle.mark("stopped by its own contradiction");
            self.crash(index, 100)?;
            self.forget_votes(index);
        }
        let keep = *self.rng.pick(&[0, 50, 100]);
        self.crash(index, keep)?;
        let down = self.rng.range(5, 300);
        self.at(self.now_ms + down, Event::Restart(index));
        Ok(())
    }

    fn carry_out_all(&mut self, index: usize, effects: Vec<Effect>) -> Checked {
        let life = self.nodes[index].life;
        for effect in effects {
            if !self.healed && self.rng.rarely(self.plan.crash_rate) {
                self.oracle.mark("power cut between two effects");
                let keep = *self.rng.pick(&[0, 0, 50, 100]);
                let down = self.rng.range(5, 400);
                self.crash(index, keep)?;
                self.at(self.now_ms + down, Event::Restart(index));
                return Ok(());
            }
            self.carry_out(index, effect)?;
            if self.nodes[index].life != life || self.nodes[index].replica.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, index: usize, effect: Effect) -> Checked {
        match effect {
            Effect::Send { to, lane, bytes } => {
                let target = self.nodes[index].links.keys().copied().find(|i| self.nodes[*i].peer == to);
                match target {
                    Some(target) => self.send(index, &[target], lane, bytes),
                    None => Ok(()),
                }
            }
            Effect::Broadcast { lane, bytes, except } => {
                let links = self.nodes[index].links.keys().copied();
                let targets: Vec<usize> = links.filter(|i| Some(self.nodes[*i].peer) != except).collect();
                self.send(index, &targets, lane, bytes)
            }
            Effect::SetTimer { timer, after_ms } => {
                if self.mutant == Some(Mutant::DeafTimers) && matches!(timer, Timer::Consensus(_)) {
                    return Ok(());
                }
                self.note(|| format!("node {index} sets {timer:?} {after_ms}"));
                let number = self.number + 1;
                self.nodes[index].timers.insert(timer, number);
                let life = self.nodes[index].life;
                self.at(self.now_ms + after_ms, Event::Timer { node: index, life, timer, number });
                Ok(())
            }
            Effect::CancelTimer(timer) => {
                self.nodes[index].timers.remove(&timer);
                Ok(())
            }
            Effect::CancelConsensusTimers => {
                self.nodes[index].timers.retain(|timer, _| !matches!(timer, Timer::Consensus(_)));
                Ok(())
            }
            Effect::VerifyTransactions { raw, .. } => {
                let (life, after) = (self.nodes[index].life, self.rng.range(0, 3));
                self.at(self.now_ms + after, Event::Verify { node: index, life, raw, here: false });
                Ok(())
            }
            Effect::Admitted { tx, result } => {
                self.admitted(index, tx, &result);
                Ok(())
            }
            Effect::Committed(block) => {
                self.committed(index, block.header.height.0)?;
                self.tell_vault(index, &block);
                Ok(())
            }
            Effect::AdmitPeers(registry) => {
                if self.mutant == Some(Mutant::OpenDoor) && !self.nodes[index].allowed.is_empty() {
                    return Ok(());
                }
                self.nodes[index].allowed = registry.active_nodes().map(|n| n.network_key).collect();
                self.reconcile_links(index)
            }
            Effect::Expired(_) => {
                self.oracle.mark("waiting transaction expired");
                Ok(())
            }
            Effect::PeerFault { peer, code } => self.blamed(index, &peer, code),
        }
    }

    fn blamed(&mut self, index: usize, peer: &vouch_replica::PeerId, code: &'static str) -> Checked {
        let Some(guilty) = self.nodes.iter().position(|n| n.peer == *peer) else { return Ok(()) };
        self.oracle.mark("peer blamed");
        self.note(|| format!("node {index} blames {guilty}: {code}"));
        let corrupts = self.plan.links.corruption > 0;
        if self.is_honest(guilty) && self.is_honest(index) && !corrupts && self.nodes[guilty].adversary.is_none() {
            self.oracle.count("honest is not blamed");
            return broken("honest is not blamed", format!("node {index} blames honest node {guilty}: {code}"));
        }
        Ok(())
    }

    fn admitted(&mut self, index: usize, tx: vouch_types::TxId, result: &Result<(), vouch_replica::Refusal>) {
        if result.is_err() {
            self.act_refused(index, tx);
        }
        if matches!(result, Err(vouch_replica::Refusal::Mempool(vouch_ledger::MempoolError::Full))) {
            self.oracle.mark("mempool full");
        }
        let accepted = result.is_ok() || self.mutant == Some(Mutant::AcknowledgeAll);
        if !self.is_honest(index) || !accepted {
            return;
        }
        let life = self.nodes[index].life;
        if let Some(known) = self.oracle.known.values().find(|k| k.id == tx) {
            let expiry = known.expiry;
            self.oracle.acknowledged(tx, expiry, index, life);
        }
    }

    /// The latest time any honest clock may accept in a block now.
    fn latest_ms(&self) -> u64 {
        let fastest = self.nodes.iter().map(|n| n.clock(EPOCH_MS, self.now_ms).wall.0).max().unwrap_or_default();
        fastest + u64::from(DRIFT_MAX_MS) + 1_000
    }

    fn committed(&mut self, index: usize, height: u64) -> Checked {
        self.note(|| format!("node {index} has block {height}"));
        if !self.is_honest(index) {
            return Ok(());
        }
        let node = &self.nodes[index];
        if height != node.reported + 1 {
            return broken("order", format!("node {index} reports block {height} after block {}", node.reported));
        }
        let (disk, life, latest) = (Arc::clone(&node.disk), node.life, self.latest_ms());
        // Once it has voted again it is as good as any other. Until its record says so it doubts itself again after a crash.
        let is_doubted = node.memory.record().is_some_and(|record| record.state == VotingState::Distrusted);
        let votes = !node.abstains() && !is_doubted;
        self.nodes[index].reported = height;
        self.nodes[index].wiped &= !votes;
        disk.look(|disk| self.oracle.committed(index, disk, height, latest))?;
        if self.mutant == Some(Mutant::Canary) && height == 2 {
            return broken("canary", "it sings");
        }
        disk.look(|disk| self.oracle.check_evidence(index, life, height.saturating_sub(1), disk))?;
        let newcomers: Vec<usize> = self.expected().into_iter().filter(|i| !self.nodes[*i].started).collect();
        for newcomer in newcomers {
            self.nodes[newcomer].started = true;
            self.oracle.mark("node joined");
            self.at(self.now_ms + 30, Event::Restart(newcomer));
        }
        Ok(())
    }

    /// Opens what is on the disk.
    fn restart(&mut self, index: usize) -> Checked {
        if self.nodes[index].replica.is_some() {
            return Ok(());
        }
        self.nodes[index].disk.repair();
        self.nodes[index].disk.fault_struck();
        if self.mutant == Some(Mutant::ForgetOnRestart) && self.nodes[index].life > 0 {
            self.erase_log(index);
        }
        let node = &self.nodes[index];
        let config = ReplicaConfig {
            secret: Some(node.secret()),
            memory: Box::new(node.memory.clone()),
            mempool: MempoolLimits {
                count_max: self.plan.mempool_max,
                bytes_max: 1 << 20,
                per_account_max: self.plan.mempool_max,
            },
            entropy: self.rng.bytes32(),
        };
        let now = self.nodes[index].clock(EPOCH_MS, self.now_ms);
        let storage: Arc<dyn Storage> = Arc::clone(&self.nodes[index].disk) as Arc<dyn Storage>;
        let runtime: Arc<Runtime> = Arc::clone(&self.stage.runtime);
        self.note(|| format!("node {index} starts"));
        let opened = Replica::open(storage, &self.genesis, runtime, config, now);
        if self.is_honest(index) {
            self.oracle.count("recovery");
        }
        let mut replica = match opened {
            Ok(replica) => replica,
            Err(error) => return broken("recovery", format!("node {index} cannot open its disk: {error}")),
        };
        replica.check_signatures_by(Arc::clone(&self.signatures) as Arc<dyn SignatureCheck>);
        let head = replica.ledger().head();
        self.nodes[index].replica = Some(replica);
        self.nodes[index].life += 1;
        self.recovered(index, head.height.0)?;
        self.step(index, Input::Started)?;
        self.check_memory(index)?;
        self.wake_vault(index, self.now_ms + 1);
        for other in 0..self.nodes.len() {
            self.meet(index, other);
        }
        if self.nodes[index].adversary.is_some() {
            self.at(self.now_ms + 20, Event::Tick(index));
        }
        Ok(())
    }

    /// A node whose disk was never lost has no reason to doubt its record of votes; one that does not vote is one that the
    /// chain may be waiting for.
    fn check_memory(&mut self, index: usize) -> Checked {
        if !self.is_honest(index) {
            return Ok(());
        }
        let abstains = self.nodes[index].replica.as_ref().is_some_and(Replica::abstains);
        self.oracle.count("trusts an intact disk");
        if abstains && !self.nodes[index].wiped {
            let status = self.nodes[index].replica.as_ref().map(Replica::status);
            let (doubt, head) = status.map_or((None, 0), |s| (s.abstention.map(|a| a.doubt), s.height.0));
            let record = self.nodes[index].memory.record();
            let text = format!("node {index} abstains though it never lost anything: {doubt:?} at {head}, {record:?}");
            return broken("trusts an intact disk", text);
        }
        if abstains {
            self.oracle.mark("votes not remembered");
        }
        Ok(())
    }

    /// A node came back: it must hold all it reported, and nothing else than the others.
    fn recovered(&mut self, index: usize, head: u64) -> Checked {
        if !self.is_honest(index) {
            return Ok(());
        }
        if head < self.nodes[index].reported {
            let reported = self.nodes[index].reported;
            return broken(
                "durable",
                format!("node {index} had reported block {reported}, after its restart it has {head}"),
            );
        }
        let (disk, latest) = (Arc::clone(&self.nodes[index].disk), self.latest_ms());
        for height in self.nodes[index].reported + 1..=head {
            self.oracle.mark("block durable but not reported before a crash");
            disk.look(|disk| self.oracle.committed(index, disk, height, latest))?;
        }
        self.nodes[index].reported = head;
        Ok(())
    }

    fn verify(&mut self, index: usize, life: u64, raw: Vec<Vec<u8>>, here: bool) -> Checked {
        if self.nodes[index].life != life || self.nodes[index].replica.is_none() {
            return Ok(());
        }
        let chain = self.oracle.chain_id;
        let good = |raw: Vec<u8>| self.signatures.transaction(&raw, chain);
        let transactions: Vec<PooledTransaction> = raw.into_iter().filter_map(good).collect();
        if transactions.is_empty() {
            return Ok(());
        }
        if here && self.mutant == Some(Mutant::SwallowTransactions) {
            for tx in transactions {
                self.admitted(index, tx.tx.id(), &Ok(()));
            }
            return Ok(());
        }
        self.step(index, Input::TransactionsVerified { transactions, submitted_here: here })
    }

    fn submit(&mut self) -> Checked {
        if self.vaults.as_ref().is_some_and(|vaults| vaults.gone_on) {
            // Nothing but documents is waited for.
            return Ok(());
        }
        let every = self.plan.submit_every_ms;
        let wait = self.rng.range(1, every * 2);
        self.at(self.now_ms + wait, Event::Submit);
        let Some(mut workload) = self.workload.take() else { return Ok(()) };
        let bad: Vec<bool> = self.nodes.iter().map(|n| !n.plan.is_honest() || n.wiped).collect();
        let submission = workload.next(&mut self.oracle, &self.plan, &|i| bad[i]);
        self.workload = Some(workload);
        for _ in 0..submission.copies {
            let node = self.rng.index(self.nodes.len());
            let (life, after) = (self.nodes[node].life, self.rng.range(0, 5));
            self.at(self.now_ms + after, Event::Verify { node, life, raw: vec![submission.raw.clone()], here: true });
        }
        Ok(())
    }

    fn heal(&mut self) -> Checked {
        self.note(|| "faults end".into());
        self.healed = true;
        self.cuts.clear();
        self.plan.links.loss = 0;
        self.plan.links.duplication = 0;
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            node.disk.repair();
            node.paused_until_ms = 0;
            node.slow_by_ms = 0;
            if node.started {
                self.at(self.now_ms, Event::Restart(index));
            }
            for other in 0..index {
                self.meet(index, other);
            }
        }
        self.target = Some(self.oracle.height() + self.plan.heights_after);
        self.heal_vaults(self.plan.heal_at_ms + RECOVERY_MS);
        Ok(())
    }
}

/// What a planted bug changes of the plan itself.
fn altered(mut plan: Plan, mutant: Option<Mutant>) -> Plan {
    if mutant == Some(Mutant::TornCommit) {
        plan.disk_error_rate = 20_000;
    }
    if mutant == Some(Mutant::TooManyTwins) {
        let founding = plan.nodes.iter().filter(|n| n.founding).count();
        for node in plan.nodes.iter_mut().take(founding.div_ceil(2)) {
            node.kind = "twin".into();
        }
        // The honest halves do not hear each other; the liars hear and tell both.
        let honest: Vec<usize> = (0..plan.nodes.len()).filter(|i| plan.nodes[*i].is_honest()).collect();
        let pairs = honest.iter().flat_map(|a| honest.iter().map(move |b| (*a, *b))).filter(|(a, b)| a % 2 != b % 2);
        let fault = super::plan::Fault::Cut { shape: "half".into(), pairs: pairs.collect(), for_ms: plan.heal_at_ms };
        plan.faults.insert(0, super::plan::Scheduled { at_ms: 0, fault });
    }
    plan
}
