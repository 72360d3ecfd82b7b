//! The thread that owns the vault: what waits for it becomes one step, what the step says is carried out.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, watch};
use vouch_ledger::{CommittedBlock, Reader, Registry, Storage};
use vouch_net::{Channel, NetHandle, VaultEvents};
use vouch_privacy::attachment::Blob;
use vouch_types::{NodeId, PublicKey, SecretKey, TimestampMs};
use vouch_vault::{
    Act, Blobs, Blocks, ChainError, Damage, Effect, Input, LedgerChain, Now, Roster, Shelf, Vault, VaultConfig,
    VaultError, VaultLimits, VaultParts, look_at_file,
};

use super::{Connections, Request, Work, roster::member_of, scanner::RuleScanner, secrets::MemberKeys};
use crate::runner::Clock;

/// Messages and asks taken into one step each, so that a step stays short and shares one sync.
const BATCH_MAX: usize = 64;
/// How often is looked whether the vault can begin.
const BEGIN_EVERY: Duration = Duration::from_millis(500);
/// Damages remembered for operators.
const DAMAGES_MAX: usize = 16;
/// How often old audit records are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// Time until the next go, when one did not come to the end of them.
const PRUNE_AGAIN: Duration = Duration::from_secs(1);
/// Audit records forgotten in one go.
const PRUNE_MAX: usize = 1_000;

/// What a vault is made of, also when it has to be made anew.
pub(super) struct Materials {
    pub(super) reader: Reader,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) keys: MemberKeys,
    pub(super) network: SecretKey,
    pub(super) node: NodeId,
    pub(super) limits: VaultLimits,
    /// How long audit records are kept.
    pub(super) audit_keep_ms: u64,
    pub(super) clock: Clock,
}

/// Where its inputs come from.
pub(super) struct Inlets {
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) messages: VaultEvents,
    pub(super) connections: watch::Receiver<Connections>,
    pub(super) blocks: broadcast::Receiver<Arc<CommittedBlock>>,
}

/// Where its effects go.
pub(super) struct Outlets {
    pub(super) net: NetHandle,
    pub(super) acts: mpsc::Sender<(u64, Act)>,
    pub(super) noticed: Arc<Noticed>,
    pub(super) blobs: Arc<dyn Blobs>,
    /// The thread's own inlet, for what work beside it comes to; it does not keep the thread alive.
    pub(super) requests: mpsc::WeakSender<Request>,
}

impl Outlets {
    /// Hashes a file on a thread of its own: the vault has one looked at at a time, and nobody waits for it at the end.
    fn look(&self, blob: Blob) {
        let (blobs, requests) = (Arc::clone(&self.blobs), self.requests.clone());
        let work = move || {
            let is_it = look_at_file(blobs.as_ref(), &blob).unwrap_or_else(|error| {
                tracing::error!(root = %blob.root, %error, "a file cannot be looked at");
                false
            });
            let answer: Work = Box::new(move |vault, now| vault.file_looked_at(now, &blob, is_it).map(|()| None));
            if let Some(requests) = requests.upgrade() {
                // Without the vault's thread nobody waits for it.
                drop(requests.blocking_send(Request::Ask(answer)));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("vault-look".into()).spawn(work) {
            tracing::error!(%error, "no thread to look at a file");
        }
    }
}

/// What the thread counts beside the vault's own counters.
#[derive(Debug, Default)]
pub struct Noticed {
    /// Messages that a full queue or a closed connection did not take; the vault repeats them.
    pub unsent: AtomicU64,
    /// The newest damages found at rest, and when.
    pub damages: parking_lot::Mutex<VecDeque<(Instant, Damage)>>,
    /// The member's present encryption key has no secret half here.
    pub key_missing: AtomicBool,
    /// The node's account may not attest anything.
    pub service_missing: AtomicBool,
}

/// A vault that runs, and what it was told.
struct Running {
    vault: Vault,
    member: String,
    registry: Arc<Registry>,
    roster: Roster,
    blocks: Blocks,
    /// While the contracts do not answer, blocks wait.
    is_answering: bool,
    connections: BTreeMap<PublicKey, u64>,
    timer: Option<Instant>,
    prune_at: Instant,
}

/// What was taken out of the inlets for one step.
#[derive(Default)]
struct Batch {
    inputs: Vec<Input>,
    asks: Vec<Work>,
    blocks: Vec<Arc<CommittedBlock>>,
    is_stop: bool,
}

/// The thread's own state.
pub(super) struct VaultThread {
    materials: Materials,
    inlets: Inlets,
    outlets: Outlets,
    joining: Arc<AtomicBool>,
    running: Option<Running>,
}

impl VaultThread {
    pub(super) fn new(materials: Materials, inlets: Inlets, outlets: Outlets) -> Self {
        Self { materials, inlets, outlets, joining: Arc::default(), running: None }
    }

    /// Runs until it is told to stop, or until the vault cannot go on.
    pub(super) async fn run(mut self) -> Result<(), VaultError> {
        loop {
            let batch = self.gather().await;
            if batch.is_stop {
                return Ok(());
            }
            match self.turn(batch) {
                Err(VaultError::Chain(_)) if self.joining.swap(false, Relaxed) => {
                    tracing::info!("the vault waits until the node has taken over the state");
                    self.running = None;
                }
                result => result?,
            }
        }
    }

    /// Waits until there is something to do, and takes all that is there.
    async fn gather(&mut self) -> Batch {
        let mut batch = Batch::default();
        let timer = match &self.running {
            Some(running) => {
                let due = running.blocks.due().filter(|_| running.is_answering);
                let steady_ms = now(self.materials.clock).steady_ms;
                let blocks = due.map(|at| Instant::now() + Duration::from_millis(at.saturating_sub(steady_ms)));
                running.timer.into_iter().chain(blocks).min()
            }
            None => Some(Instant::now() + BEGIN_EVERY),
        };
        let Inlets { requests, messages, connections, blocks } = &mut self.inlets;
        tokio::select! {
            biased;
            request = requests.recv() => batch.request(request.unwrap_or(Request::Stop)),
            changed = connections.changed() => batch.is_stop |= changed.is_err(),
            block = blocks.recv() => match block {
                Ok(block) => batch.blocks.push(block),
                // What was dropped is read from the ledger.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => batch.is_stop = true,
            },
            message = messages.recv() => match message {
                Some((from, bytes)) => batch.message(from, &bytes),
                None => batch.is_stop = true,
            },
            () = sleep_until(timer) => {}
        }
        while let Ok(block) = blocks.try_recv() {
            batch.blocks.push(block);
        }
        while batch.inputs.len() < BATCH_MAX
            && let Some((from, bytes)) = messages.try_recv()
        {
            batch.message(from, &bytes);
        }
        while batch.asks.len() < BATCH_MAX
            && let Ok(request) = requests.try_recv()
        {
            batch.request(request);
        }
        batch
    }

    fn turn(&mut self, mut batch: Batch) -> Result<(), VaultError> {
        if self.running.is_none() {
            self.begin()?;
        }
        let connections = self.inlets.connections.borrow_and_update().open.clone();
        let Some(running) = &mut self.running else { return Ok(()) };
        // What is open comes before what arrived over it.
        let mut inputs = running.connections_changed(connections);
        for block in &batch.blocks {
            running.blocks.came(block);
        }
        running.is_answering = running.vault.is_answering()?;
        let now = now(self.materials.clock);
        let committed = if running.is_answering { running.blocks.take(now) } else { Ok(Vec::new()) };
        let committed = committed.map_err(|e| ledger_failed(&e, &self.joining))?;
        if let Some(changed) = running.registry_changed(self.materials.reader.published().registry) {
            inputs.push(changed);
            self.note_key();
        } else if self.outlets.noticed.key_missing.load(Relaxed) {
            // Its file may have come since: the folder is not looked at each time the key is asked for.
            self.note_key();
        }
        let Some(running) = &mut self.running else { return Ok(()) };
        inputs.extend(committed);
        inputs.append(&mut batch.inputs);
        if running.timer.is_some_and(|at| at <= Instant::now()) {
            running.timer = None;
            inputs.push(Input::TimerFired);
        }
        let mut replies = Vec::new();
        for ask in batch.asks {
            replies.extend(ask(&mut running.vault, now)?);
        }
        if running.prune_at <= Instant::now() {
            let before = TimestampMs(now.wall.0.saturating_sub(self.materials.audit_keep_ms));
            let pruned = running.vault.prune_audit(before, PRUNE_MAX)?;
            // With more than that an hour the audit would never come to its term.
            running.prune_at = Instant::now() + if pruned < PRUNE_MAX { PRUNE_EVERY } else { PRUNE_AGAIN };
        }
        let effects = running.vault.step(now, inputs)?;
        replies.into_iter().for_each(|reply| reply());
        effects.into_iter().for_each(|effect| running.carry_out(effect, &self.outlets));
        let is_anothers =
            member_of(&running.registry, &self.materials.node).is_none_or(|member| member != running.member);
        if is_anothers {
            tracing::info!(member = running.member, "this node is not of this member any more, its vault rests");
            self.running = None;
        }
        Ok(())
    }

    /// Begins, once the node is of a member and its state can be read.
    fn begin(&mut self) -> Result<(), VaultError> {
        let published = self.materials.reader.published();
        let Some(member) = member_of(&published.registry, &self.materials.node).filter(|_| !published.joining) else {
            return Ok(());
        };
        let materials = &self.materials;
        let config = VaultConfig {
            chain: materials.reader.chain(),
            member: member.clone(),
            network: SecretKey::from_seed(*materials.network.seed()),
            limits: materials.limits.clone(),
            entropy: rand::random(),
        };
        let parts = VaultParts {
            storage: Arc::clone(&materials.storage),
            shelf: Arc::clone(&materials.shelf),
            blobs: Arc::clone(&materials.blobs),
            chain: Box::new(LedgerChain::new(materials.reader.clone(), Arc::clone(&self.joining))),
            secrets: Box::new(materials.keys.clone()),
            scanner: Box::new(RuleScanner),
        };
        let mut vault = Vault::new(config, parts)?;
        let blocks = Blocks::begin(materials.reader.clone(), vault.height());
        let roster = Roster::of(&published.registry);
        let effects = vault.step(now(materials.clock), [Input::Started(Arc::new(roster.clone()))])?;
        tracing::info!(member, from = %vault.height(), to = %published.head.height, "vault runs");
        let registry = published.registry;
        let (connections, timer, prune_at) = (BTreeMap::new(), None, Instant::now());
        let is_answering = true;
        let mut running =
            Running { vault, member, registry, roster, blocks, is_answering, connections, timer, prune_at };
        effects.into_iter().for_each(|effect| running.carry_out(effect, &self.outlets));
        self.running = Some(running);
        self.note_key();
        Ok(())
    }

    /// Notes whether the member's present encryption key can be used here.
    fn note_key(&self) {
        let Some(running) = &self.running else { return };
        let key = running.roster.member(&running.member).and_then(|member| member.encryption_key);
        let is_missing = key.is_some_and(|(_, key)| !self.materials.keys.has(&key));
        if is_missing && !self.outlets.noticed.key_missing.swap(is_missing, Relaxed) {
            tracing::warn!(
                member = running.member,
                "the secret half of the member's encryption key is not at this node"
            );
        }
        self.outlets.noticed.key_missing.store(is_missing, Relaxed);
    }
}

impl Batch {
    fn message(&mut self, from: PublicKey, bytes: &Bytes) {
        self.inputs.push(Input::MessageReceived { from, bytes: bytes.to_vec() });
    }

    fn request(&mut self, request: Request) {
        match request {
            Request::Ask(work) => self.asks.push(work),
            Request::Settled { number, result } => self.inputs.push(Input::ActSettled { number, result }),
            Request::Stop => self.is_stop = true,
        }
    }
}

impl Running {
    fn connections_changed(&mut self, now: BTreeMap<PublicKey, u64>) -> Vec<Input> {
        let gone = self.connections.iter().filter(|(peer, number)| now.get(*peer) != Some(*number));
        let came = now.iter().filter(|(peer, number)| self.connections.get(*peer) != Some(*number));
        let inputs = gone
            .map(|(peer, _)| Input::PeerDisconnected(*peer))
            .chain(came.map(|(peer, _)| Input::PeerConnected(*peer)));
        let inputs = inputs.collect();
        self.connections = now;
        inputs
    }

    fn registry_changed(&mut self, registry: Arc<Registry>) -> Option<Input> {
        if Arc::ptr_eq(&registry, &self.registry) {
            return None;
        }
        let roster = Roster::of(&registry);
        self.registry = registry;
        if roster == self.roster {
            return None;
        }
        self.roster = roster.clone();
        Some(Input::RosterChanged(Arc::new(roster)))
    }

    fn carry_out(&mut self, effect: Effect, outlets: &Outlets) {
        match effect {
            Effect::Send { to, bytes } => {
                if let Err(reason) = outlets.net.send(&to, Channel::Vault, Bytes::from(bytes)) {
                    outlets.noticed.unsent.fetch_add(1, Relaxed);
                    tracing::debug!(peer = %to, %reason, "a message of the vault was not sent");
                }
            }
            Effect::SetTimer { after_ms } => self.timer = Some(Instant::now() + Duration::from_millis(after_ms)),
            Effect::Submit { number, act } => {
                if outlets.acts.try_send((number, act)).is_err() {
                    tracing::debug!(number, "an act waits: many others are on their way");
                }
            }
            Effect::Possessed(key) => tracing::debug!(%key, "held whole"),
            Effect::Damaged(damage) => {
                tracing::warn!(document = %damage.key, place = ?damage.place, "a private document at rest is damaged, it is fetched anew");
                let mut damages = outlets.noticed.damages.lock();
                damages.truncate(DAMAGES_MAX - 1);
                damages.push_front((Instant::now(), damage));
            }
            // The vault says so in the log, and to whoever asks how it is.
            Effect::Unreadable(_) => {}
            Effect::LookAtFile(blob) => outlets.look(blob),
            Effect::Shredded(document) => tracing::info!(%document, "a private document was erased here"),
            Effect::PeerFault { peer, code } => tracing::warn!(%peer, code, "a peer broke the protocol of the vault"),
        }
    }
}

fn ledger_failed(error: &vouch_ledger::LedgerError, joining: &AtomicBool) -> VaultError {
    joining.fetch_or(matches!(error, vouch_ledger::LedgerError::Joining), Relaxed);
    VaultError::Chain(ChainError(format!("{}: {error}", error.code())))
}

fn now(clock: Clock) -> Now {
    let now = clock.now();
    Now { wall: now.wall, steady_ms: now.steady_ms }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
