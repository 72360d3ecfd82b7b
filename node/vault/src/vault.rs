//! The machine: what it is given, what it says to do, and in which order things become durable.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use vouch_ledger::{Batch, Storage, StorageError, Table};
use vouch_privacy::attachment::Blob;
use vouch_types::{ChainId, Height, SecretKey};

use crate::{
    acts::{Act, ActResult, Acts},
    audit::Audit,
    awaited::Awaited,
    blobs::{BlobError, Blobs},
    chain::{Chain, ChainChange, ChainError, Roster, Scope},
    copy::MemberSecrets,
    delivery::Outbox,
    disk::{self, Disk, Kind, row},
    fetch::Fetches,
    files::Transfers,
    limits::VaultLimits,
    message::{Message, Refusal},
    opening::Openings,
    reconcile::Reconciliation,
    scrub::{Damage, Scrub},
    serve::{Early, Serving},
    shelf::{Shelf, ShelfError},
    staging::Scanner,
    status::Counters,
    sweep::Sweeps,
    upkeep::Upkeep,
    words::{DocumentId, Now, PeerId, VersionKey},
};

/// What a vault is given at its start.
#[derive(Debug)]
pub struct VaultConfig {
    /// The chain; part of every receipt.
    pub chain: ChainId,
    /// The member this node belongs to.
    pub member: String,
    /// The node's network key: signs receipts.
    pub network: SecretKey,
    /// The bounds.
    pub limits: VaultLimits,
    /// Nobody else may foresee it, and no two starts may share it; the simulator seeds it.
    pub entropy: [u8; 32],
}

/// What a vault works with.
pub struct VaultParts {
    /// The node's storage: tables `Vault…`.
    pub storage: Arc<dyn Storage>,
    /// Document keys, kept apart from it.
    pub shelf: Arc<dyn Shelf>,
    /// Ciphertext of files.
    pub blobs: Arc<dyn Blobs>,
    /// The chain at this node's head.
    pub chain: Box<dyn Chain>,
    /// Opens what is sealed to the member.
    pub secrets: Box<dyn MemberSecrets>,
    /// Finds sensitive plain text.
    pub scanner: Box<dyn Scanner>,
}

impl core::fmt::Debug for VaultParts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("VaultParts")
    }
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// The node runs; once, first. The roster is that of the head.
    Started(Arc<Roster>),
    /// Members, nodes or encryption keys changed.
    RosterChanged(Arc<Roster>),
    /// A peer's connection is open.
    PeerConnected(PeerId),
    /// It is closed.
    PeerDisconnected(PeerId),
    /// A peer sent something.
    MessageReceived {
        /// Who.
        from: PeerId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A block is final. Blocks may be told again after a restart; heights up to [`Vault::height`] are skipped.
    BlockCommitted {
        /// Its height.
        height: Height,
        /// What it changed here.
        changes: Vec<ChainChange>,
    },
    /// An act reached the chain, or was refused by it.
    ActSettled {
        /// The number it was given out with.
        number: u64,
        /// How it ended.
        result: ActResult,
    },
    /// The timer ran out.
    TimerFired,
}

/// Something to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send to one peer, in the vault's lane.
    Send {
        /// Whom.
        to: PeerId,
        /// Encoded [`Message`].
        bytes: Vec<u8>,
    },
    /// Give [`Input::TimerFired`] after a while; replaces the one set before.
    SetTimer {
        /// After how long.
        after_ms: u64,
    },
    /// Sign and submit a call by the node's service account, then come back with [`Input::ActSettled`]. The same act is
    /// given out again after a restart or without an answer, so what it does twice must be the same as once.
    Submit {
        /// Names it.
        number: u64,
        /// What to do.
        act: Act,
    },
    /// Everything of a version that this member is to hold lies here now.
    Possessed(VersionKey),
    /// A copy or file at rest is not what it was; it is being fetched anew.
    Damaged(Damage),
    /// A file at rest cannot be read now; nothing of it was dropped.
    Unreadable(Damage),
    /// A file that is to be fetched may be here already: hash it with [`crate::upkeep::look_at_file`], beside the vault's thread,
    /// and say so by [`Vault::file_looked_at`].
    LookAtFile(Blob),
    /// A document was shredded here.
    Shredded(DocumentId),
    /// A peer broke the protocol; `code` says how.
    PeerFault {
        /// Who.
        peer: PeerId,
        /// Stable code.
        code: &'static str,
    },
}

/// The vault cannot go on; the node must stop and say why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The shelf of document keys failed.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The place of files failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// What this node wrote cannot be read back.
    #[error("the vault's storage is damaged: {what}")]
    Damaged {
        /// What was found.
        what: &'static str,
    },
}

impl VaultError {
    /// Stable code for logs and status.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Storage(_) => "vault.storage",
            Self::Shelf(_) => "vault.shelf",
            Self::Blobs(_) => "vault.blobs",
            Self::Chain(_) => "vault.chain",
            Self::Damaged { .. } => "vault.damaged",
        }
    }
}

/// While the contracts do not answer, it is looked so often whether they do again, in milliseconds.
const UNANSWERED_MS: u64 = 500;

/// The private documents of one node.
///
/// Calls beside [`Vault::step`] - staging, reading, releasing - are durable when they return. What they leave to be done is
/// among the effects of the next step: whoever drives a vault gives it one without inputs after them.
pub struct Vault {
    pub(crate) chain_id: ChainId,
    pub(crate) member: String,
    pub(crate) network: SecretKey,
    pub(crate) own: PeerId,
    pub(crate) limits: VaultLimits,
    pub(crate) disk: Disk,
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) chain: Box<dyn Chain>,
    pub(crate) secrets: Box<dyn MemberSecrets>,
    pub(crate) scanner: Box<dyn Scanner>,
    pub(crate) rng: vouch_privacy::SeededRng,
    pub(crate) now: Now,
    pub(crate) out: Vec<Effect>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) peers: BTreeSet<PeerId>,
    pub(crate) height: Height,
    pub(crate) shelf_unsynced: bool,
    pub(crate) outbox: Outbox,
    pub(crate) fetches: Fetches,
    pub(crate) transfers: Transfers,
    pub(crate) serving: Serving,
    pub(crate) early: Early,
    pub(crate) sweeps: Sweeps,
    pub(crate) reconciliation: Reconciliation,
    pub(crate) scrub: Scrub,
    pub(crate) upkeep: Upkeep,
    pub(crate) acts: Acts,
    pub(crate) audit: Audit,
    pub(crate) awaited: Awaited,
    pub(crate) counters: Counters,
    pub(crate) openings: Openings,
    pub(crate) staged_count: usize,
    pub(crate) uploads_count: usize,
    pub(crate) stage_check_at: u64,
    started: bool,
    /// Whether the contracts answered in this step.
    answering: bool,
    timer_at: Option<u64>,
}

impl core::fmt::Debug for Vault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Vault").field("member", &self.member).field("height", &self.height).finish_non_exhaustive()
    }
}

impl Vault {
    /// A vault over what an earlier one left in its storage.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn new(config: VaultConfig, parts: VaultParts) -> Result<Self, VaultError> {
        let mut disk = Disk::new(parts.storage);
        Audit::count(&mut disk)?;
        let height = disk.get::<u64>(Table::Vault, &row(Kind::Meta, &[b"height"]))?.map_or(Height::ZERO, Height);
        Ok(Self {
            chain_id: config.chain,
            member: config.member,
            own: config.network.public(),
            network: config.network,
            limits: config.limits,
            rng: vouch_privacy::SeededRng::from_seed(&config.entropy),
            now: Now::default(),
            out: Vec::new(),
            roster: Arc::default(),
            peers: BTreeSet::new(),
            height,
            shelf_unsynced: false,
            outbox: Outbox::default(),
            fetches: Fetches::default(),
            transfers: Transfers::default(),
            serving: Serving::default(),
            early: Early::default(),
            sweeps: Sweeps::default(),
            reconciliation: Reconciliation::read(&disk)?,
            scrub: Scrub::default(),
            upkeep: Upkeep::default(),
            acts: Acts::read(&disk)?,
            audit: Audit::read(&disk)?,
            awaited: Awaited::restore(&disk)?,
            counters: Counters::default(),
            openings: Openings::default(),
            staged_count: 0,
            uploads_count: 0,
            stage_check_at: 0,
            started: false,
            answering: true,
            timer_at: None,
            disk,
            shelf: parts.shelf,
            blobs: parts.blobs,
            chain: parts.chain,
            secrets: parts.secrets,
            scanner: parts.scanner,
        })
    }

    /// The last height whose changes were taken in, durably. The node tells the blocks above it again after a restart; one that
    /// took in none yet is told the newest block first, since it looks at everything anyway.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.height
    }

    /// Whether the contracts answer. While they do not, no block is to be told: what it changed could not be seen.
    ///
    /// # Errors
    /// [`VaultError`]: the node must stop.
    pub fn is_answering(&self) -> Result<bool, VaultError> {
        Ok(self.chain.is_answering()?)
    }

    /// Digests inputs. All of them share one sync of the storage, so the more there are the cheaper each one is. What must
    /// be durable before an effect was synced when this returns.
    ///
    /// # Errors
    /// [`VaultError`]: the node must stop.
    pub fn step(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>) -> Result<Vec<Effect>, VaultError> {
        self.now = now;
        let was_answering = core::mem::replace(&mut self.answering, self.chain.is_answering()?);
        if self.answering && !was_answering {
            // Whatever could not be looked at meanwhile.
            self.sweep(Scope::All)?;
        }
        for input in inputs {
            self.digest(input)?;
        }
        self.finish_step()?;
        Ok(core::mem::take(&mut self.out))
    }

    fn digest(&mut self, input: Input) -> Result<(), VaultError> {
        match input {
            Input::Started(roster) => self.start(roster),
            Input::RosterChanged(roster) => {
                self.roster = roster;
                // A new node of an entitled member is owed what its member is.
                self.sweep(Scope::All)
            }
            Input::PeerConnected(peer) => {
                self.peers.insert(peer);
                self.outbox.connected(peer);
                self.fetches.encouraged();
                self.transfers.encouraged();
                self.reconciliation.connected(peer, self.now.steady_ms + self.limits.compare_first_ms);
                Ok(())
            }
            Input::PeerDisconnected(peer) => {
                self.peers.remove(&peer);
                self.outbox.disconnected(&peer);
                self.fetches.disconnected(&peer);
                self.transfers.disconnected(&peer);
                self.reconciliation.disconnected(&peer);
                Ok(())
            }
            Input::MessageReceived { from, bytes } => self.receive(from, &bytes),
            Input::BlockCommitted { height, changes } => self.take_block(height, changes),
            Input::ActSettled { number, result } => self.act_settled(number, result),
            Input::TimerFired => {
                self.timer_at = None;
                self.run_tasks()
            }
        }
    }

    fn start(&mut self, roster: Arc<Roster>) -> Result<(), VaultError> {
        self.roster = roster;
        self.started = true;
        self.sweeps.restore(&self.disk)?;
        self.fetches.encouraged();
        self.transfers.encouraged();
        self.count_stage()?;
        self.recall_gone()?;
        if self.height == Height::ZERO {
            // New here, or wiped: whatever this member is to hold has to be found.
            self.sweep(Scope::All)?;
        }
        let now = self.now.steady_ms;
        self.sweeps.schedule(now, &self.limits);
        self.scrub.schedule(now, &self.limits);
        self.audit.schedule(now, &self.limits);
        self.resubmit_acts()
    }

    fn take_block(&mut self, height: Height, changes: Vec<ChainChange>) -> Result<(), VaultError> {
        if height <= self.height {
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        for change in changes {
            match change {
                // Its submission and what it changed at once say the same twice.
                ChainChange::Version(key) if !seen.insert(key) => {}
                ChainChange::Version(key) => self.consider(&key, false)?,
                ChainChange::Relations(scope) => self.sweep(scope)?,
                ChainChange::Erasure(id) => self.erasure_moved(&id)?,
                ChainChange::Attested(id) => self.await_erasure(&id)?,
            }
        }
        self.close_overdue()?;
        self.height = height;
        let mut batch = Batch::new();
        disk::put(&mut batch, row(Kind::Meta, &[b"height"]), &height.0);
        self.disk.apply(batch)?;
        self.take_early()
    }

    fn run_tasks(&mut self) -> Result<(), VaultError> {
        self.expire_flights();
        self.expire_fetches();
        self.expire_pieces();
        if !self.answering {
            return self.run_acts();
        }
        self.run_sweep()?;
        self.run_scrub()?;
        self.read_again()?;
        self.run_comparisons()?;
        self.run_acts()?;
        self.drop_stale_stage()?;
        self.anchor_audit()
    }

    fn receive(&mut self, from: PeerId, bytes: &[u8]) -> Result<(), VaultError> {
        if self.roster.member_of(&from).is_none() {
            // Its node was removed while the message was under way, or is not in the registry yet.
            self.counters.strangers += 1;
            return Ok(());
        }
        let Ok(message) = Message::from_bytes(bytes) else {
            self.fault(from, "vault.malformed_message");
            return Ok(());
        };
        if !self.answering {
            self.turn_away(from, &message);
            return Ok(());
        }
        match message {
            Message::Deliver(delivery) => self.receive_delivery(from, delivery),
            Message::Receipt(receipt) => self.receive_receipt(from, &receipt),
            Message::Refused { key, refusal } => self.receive_refusal(from, &key, refusal),
            Message::Fetch { key, fields } => self.answer_fetch(from, &key, &fields),
            Message::Missing { key, refusal } => {
                self.fetch_failed(from, &key, refusal);
                Ok(())
            }
            Message::FetchPiece { key, file, offset } => self.answer_piece(from, &key, file, offset),
            Message::Piece { key, file, offset, piece } => self.receive_piece(from, &key, file, offset, piece),
            Message::Compare { parts } => self.answer_comparison(from, &parts),
            Message::Holds { part, after, entries, more } => self.receive_holdings(from, part, after, &entries, more),
            Message::AskReceipts { keys } => self.answer_receipts(from, &keys),
        }
    }

    /// Nothing can be said of any document now: whoever asks is to ask again. The rest is repeated anyway.
    fn turn_away(&mut self, from: PeerId, message: &Message) {
        match *message {
            Message::Fetch { key, .. } => self.send(from, &Message::Missing { key, refusal: Refusal::Busy }),
            Message::FetchPiece { key, file, offset } => {
                self.send(from, &Message::Piece { key, file, offset, piece: Err(Refusal::Busy) });
            }
            _ => {}
        }
    }

    /// Sends what may be sent now, then makes durable what was written, then says when to wake up.
    fn finish_step(&mut self) -> Result<(), VaultError> {
        if self.started && self.answering {
            self.pump_outbox()?;
            self.pump_fetches()?;
            self.pump_transfers()?;
        }
        self.sync()?;
        let due = [
            self.outbox.due(),
            self.fetches.due(self.now.steady_ms, self.limits.fetch_window),
            self.transfers.due(self.now.steady_ms, self.limits.transfers_max),
            self.sweeps.due(),
            self.scrub.due(),
            self.upkeep.due(),
            self.reconciliation.due(),
            self.acts.due(),
            self.audit.due(),
            (self.staged_count + self.uploads_count > 0).then_some(self.stage_check_at),
        ];
        let mut next = due.into_iter().flatten().min();
        if !self.answering {
            next = Some(self.timer_at.unwrap_or(self.now.steady_ms + UNANSWERED_MS));
        }
        if let Some(at) = next.filter(|_| self.started && next != self.timer_at) {
            self.out.push(Effect::SetTimer { after_ms: at.saturating_sub(self.now.steady_ms).max(1) });
            self.timer_at = Some(at.max(self.now.steady_ms + 1));
        }
        Ok(())
    }

    /// Keys before the copies they open, then the rows. Files were synced before the rows that name them, and go after these.
    pub(crate) fn sync(&mut self) -> Result<(), VaultError> {
        if core::mem::take(&mut self.shelf_unsynced) {
            self.shelf.sync()?;
        }
        self.disk.sync()?;
        self.remove_bytes_of_gone()
    }

    pub(crate) fn send(&mut self, to: PeerId, message: &Message) {
        self.out.push(Effect::Send { to, bytes: message.to_bytes() });
    }

    pub(crate) fn fault(&mut self, peer: PeerId, code: &'static str) {
        self.counters.faults += 1;
        self.out.push(Effect::PeerFault { peer, code });
    }
}

/// The peers and what is known of each, for parts that keep something per peer.
pub(crate) type PerPeer<T> = BTreeMap<PeerId, T>;
