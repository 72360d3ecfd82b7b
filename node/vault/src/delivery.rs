//! The durable outbox: what the issuer owes to whom, until the holder signed that it has it.
//!
//! The rows lie on disk, so an absent peer costs no memory. New ones are sent at once; those that stay behind are met
//! again when a cursor walks over them. A bounded number of deliveries is on its way to a peer at a time. When nothing was
//! taken, the pause before the next walk doubles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vouch_ledger::{Batch, Table};

use crate::{
    chain::fields_of,
    copy,
    disk::{Kind, above, mark, peer_bytes, put, row, version_at_end},
    message::{FRAME_BYTES, MESSAGE_BYTES_MAX, Message, Receipt, Refusal},
    vault::{PerPeer, Vault, VaultError},
    words::{DocumentId, FieldSet, PeerId, VersionKey},
};

/// Rows looked at per peer and step, so that a step stays short.
const ROWS_PER_STEP: usize = 64;

/// Rows that were just added and are sent ahead of the walk, per peer.
const FRESH_MAX: usize = 256;

/// What is under way, peer by peer.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    peers: PerPeer<Line>,
    /// Lines that may have something to send.
    ready: BTreeSet<PeerId>,
}

/// The deliveries to one connected peer.
#[derive(Debug, Default)]
struct Line {
    /// Just added: sent first, without waiting for a walk over all rows.
    fresh: VecDeque<VersionKey>,
    /// Whether a walk is under way, and the last row it met.
    walks: bool,
    cursor: Option<Vec<u8>>,
    /// Rows may stay behind this walk: another one is needed.
    left_some: bool,
    /// When that one begins.
    walk_at: Option<u64>,
    pause_ms: u64,
    /// The peer took something since the last walk ended.
    heard: bool,
    flights: BTreeMap<VersionKey, Flight>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Flight {
    until: u64,
    bytes: usize,
    /// What was sent: all that was owed then. `None` once more may be owed.
    sent: Option<Sent>,
}

/// A version's root and the fields of it that are in a delivery.
#[derive(Debug, Clone)]
struct Sent {
    root: [u8; 32],
    fields: FieldSet,
}

/// A delivery that may leave.
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    sent: Sent,
}

impl Outbox {
    pub(crate) fn connected(&mut self, peer: PeerId) {
        self.peers.insert(peer, Line { walks: true, ..Line::default() });
        self.ready.insert(peer);
    }

    pub(crate) fn disconnected(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
        self.ready.remove(peer);
    }

    /// Deliveries under way: to all peers, to the one with the most, and the most bytes to one.
    pub(crate) fn load(&self) -> (usize, usize, usize) {
        let flights = || self.peers.values().map(|line| line.flights.len());
        let bytes = self.peers.values().map(|line| line.bytes).max().unwrap_or_default();
        (flights().sum(), flights().max().unwrap_or_default(), bytes)
    }

    /// A row was added.
    fn added(&mut self, peer: PeerId, key: VersionKey) {
        if let Some(line) = self.peers.get_mut(&peer) {
            if line.fresh.len() < FRESH_MAX {
                line.fresh.push_back(key);
            } else {
                line.left_some = true;
            }
            self.ready.insert(peer);
        }
    }

    /// Whether a receipt is for all that was owed when a delivery went off, and nothing has changed what is owed since.
    fn is_settled_by(&self, peer: &PeerId, receipt: &Receipt) -> bool {
        let flight = self.peers.get(peer).and_then(|line| line.flights.get(&receipt.key));
        flight
            .and_then(|flight| flight.sent.as_ref())
            .is_some_and(|sent| sent.root == receipt.root && sent.fields.is_subset(&receipt.fields))
    }

    /// What is owed of a version may be more than what is on its way.
    fn owed_anew(&mut self, key: &VersionKey) {
        for flight in self.peers.values_mut().filter_map(|line| line.flights.get_mut(key)) {
            flight.sent = None;
        }
    }

    /// Nothing is owed of a document any more, whatever is on its way.
    pub(crate) fn forget(&mut self, id: &DocumentId) {
        for (key, flight) in self.peers.values_mut().flat_map(|line| &mut line.flights) {
            if key.id == *id {
                flight.sent = None;
            }
        }
    }

    /// The peer answered: the delivery is over.
    fn landed(&mut self, peer: &PeerId, key: &VersionKey, took_it: bool) {
        let Some(line) = self.peers.get_mut(peer) else { return };
        line.heard |= took_it;
        if let Some(flight) = line.flights.remove(key) {
            line.bytes -= flight.bytes;
            self.ready.insert(*peer);
        }
    }

    pub(crate) fn due(&self) -> Option<u64> {
        let flights = self.peers.values().flat_map(|line| line.flights.values().map(|flight| flight.until));
        flights.chain(self.peers.values().filter_map(|line| line.walk_at)).min()
    }
}

impl Vault {
    /// Puts what the issuer owes by an audience into the outbox: to every node of every entitled member what is held here
    /// and not known to be held there.
    pub(crate) fn owe(
        &mut self,
        key: &VersionKey,
        audience: &vouch_types::document::Audience,
        held: &FieldSet,
    ) -> Result<(), VaultError> {
        let mut batch = Batch::new();
        let mut added = Vec::new();
        self.outbox.owed_anew(key);
        for entitled in &audience.members {
            let owed = entitled.fields.intersection(held);
            for node in self.roster.nodes_of(&entitled.member) {
                if *node != self.own && !owed.is_empty() && !owed.is_subset(&self.acknowledged(node, key)?) {
                    mark(&mut batch, row(Kind::Outbox, &[&peer_bytes(node), &key.to_bytes()]));
                    added.push(*node);
                }
            }
        }
        self.disk.apply(batch)?;
        added.iter().for_each(|node| self.outbox.added(*node, *key));
        Ok(())
    }

    /// The fields for which a peer's receipt lies here.
    pub(crate) fn acknowledged(&self, peer: &PeerId, key: &VersionKey) -> Result<FieldSet, VaultError> {
        let receipt = row(Kind::Receipt, &[&peer_bytes(peer), &key.to_bytes()]);
        Ok(self.disk.get::<Receipt>(Table::Vault, &receipt)?.map(|receipt| receipt.fields).unwrap_or_default())
    }

    /// Sends to every peer what may be on its way to it now.
    pub(crate) fn pump_outbox(&mut self) -> Result<(), VaultError> {
        for peer in core::mem::take(&mut self.outbox.ready) {
            self.pump_line(peer)?;
        }
        Ok(())
    }

    fn pump_line(&mut self, peer: PeerId) -> Result<(), VaultError> {
        let prefix = row(Kind::Outbox, &[&peer_bytes(&peer)]);
        for _ in 0..ROWS_PER_STEP {
            let Some(line) = self.outbox.peers.get_mut(&peer) else { return Ok(()) };
            if line.flights.len() >= self.limits.flights_max || line.bytes >= self.limits.flight_bytes_max {
                return Ok(());
            }
            let found = if let Some(key) = line.fresh.pop_front() {
                let found = row(Kind::Outbox, &[&peer_bytes(&peer), &key.to_bytes()]);
                if !self.disk.has(&found)? {
                    continue;
                }
                found
            } else if line.walks {
                let from = line.cursor.as_deref().map(above);
                let Some((found, _)) = self.disk.scan(Table::Vault, &prefix, from.as_deref(), 1)?.pop() else {
                    self.end_walk(peer);
                    return Ok(());
                };
                line.cursor = Some(found.clone());
                found
            } else {
                self.plan_walk(peer);
                return Ok(());
            };
            let key = version_at_end(&found)?;
            if !self.outbox.peers.get(&peer).is_some_and(|line| line.flights.contains_key(&key)) {
                self.take_off(peer, key, &found)?;
            }
        }
        self.outbox.ready.insert(peer);
        Ok(())
    }

    /// The cursor came to the end of a peer's rows.
    fn end_walk(&mut self, peer: PeerId) {
        let Some(line) = self.outbox.peers.get_mut(&peer) else { return };
        line.walks = false;
        line.cursor = None;
        let doubled = if core::mem::take(&mut line.heard) { 0 } else { line.pause_ms * 2 };
        line.pause_ms = doubled.clamp(self.limits.retry_min_ms, self.limits.retry_max_ms);
        self.plan_walk(peer);
    }

    /// Sets when the rows that stayed behind are met again.
    fn plan_walk(&mut self, peer: PeerId) {
        if let Some(line) = self.outbox.peers.get_mut(&peer)
            && line.walk_at.is_none()
            && core::mem::take(&mut line.left_some)
        {
            let pause_ms = line.pause_ms.max(self.limits.retry_min_ms).max(self.limits.answer_ms);
            line.walk_at = Some(self.now.steady_ms + pause_ms);
        }
    }

    /// Sends one delivery if it is owed by the chain of this moment; else the row goes.
    fn take_off(&mut self, peer: PeerId, key: VersionKey, found: &[u8]) -> Result<(), VaultError> {
        let Some(Outgoing { bytes, sent }) = self.delivery_for(&peer, &key, None)? else {
            let mut batch = Batch::new();
            batch.delete(Table::Vault, found);
            return self.disk.apply(batch);
        };
        let bytes = Message::Deliver(bytes).to_bytes();
        let Some(line) = self.outbox.peers.get_mut(&peer) else { return Ok(()) };
        let until = self.now.steady_ms + self.limits.answer_ms;
        line.flights.insert(key, Flight { until, bytes: bytes.len(), sent: Some(sent) });
        line.bytes += bytes.len();
        line.left_some = true;
        self.counters.deliveries_sent += 1;
        self.out.push(crate::vault::Effect::Send { to: peer, bytes });
        Ok(())
    }

    /// What a peer is to have of a version by the chain of this moment, of what is held here and, if given, asked for;
    /// `None` when that is nothing. **The one place where private bytes are made ready to leave.**
    pub(crate) fn delivery_for(
        &mut self,
        peer: &PeerId,
        key: &VersionKey,
        wanted: Option<&FieldSet>,
    ) -> Result<Option<Outgoing>, VaultError> {
        let Some(member) = self.roster.member_of(peer).map(str::to_owned) else { return Ok(None) };
        let Some((_, recipient)) = self.roster.member(&member).and_then(|member| member.encryption_key) else {
            return Ok(None);
        };
        let Some(facts) = self.chain.document(key)? else { return Ok(None) };
        if facts.is_to_be_shredded() {
            return Ok(None);
        }
        let mut fields = fields_of(&self.chain.audience(key)?, &member);
        if let Some(wanted) = wanted {
            fields = fields.intersection(wanted);
        }
        let Some(opened) = self.open_copy(key)?.filter(|opened| opened.is_of(&facts)) else { return Ok(None) };
        let fields = fields.intersection(&opened.held.fields);
        if fields.is_empty() {
            return Ok(None);
        }
        let (chain, rng) = (&self.chain_id, &mut self.rng);
        let delivery = copy::deliver(chain, key, &opened.copy, &opened.keys, &fields, &recipient, rng);
        let Some(bytes) = delivery.map(|delivery| delivery.to_bytes()) else { return Ok(None) };
        if bytes.len() + FRAME_BYTES > MESSAGE_BYTES_MAX {
            // Nobody would take it, however often it is sent. What was staged by the rules is never so large.
            tracing::error!(%key, member, bytes = bytes.len(), "a delivery is too large, it is not made");
            return Ok(None);
        }
        Ok(Some(Outgoing { bytes, sent: Sent { root: facts.root, fields } }))
    }

    pub(crate) fn receive_receipt(&mut self, from: PeerId, receipt: &Receipt) -> Result<(), VaultError> {
        if receipt.holder != from || !receipt.verifies(&self.chain_id) {
            self.fault(from, "vault.receipt_signature");
            return Ok(());
        }
        let key = receipt.key;
        let is_settled = if self.outbox.is_settled_by(&from, receipt) {
            self.outbox.landed(&from, &key, true);
            true
        } else {
            let Some(facts) = self.chain.document(&key)? else { return Ok(()) };
            if facts.root != receipt.root {
                self.fault(from, "vault.receipt_root");
                return Ok(());
            }
            self.outbox.landed(&from, &key, true);
            if facts.issuer != self.member || facts.is_to_be_shredded() {
                return Ok(());
            }
            let member = self.roster.member_of(&from).map(str::to_owned).unwrap_or_default();
            let entitled = fields_of(&self.chain.audience(&key)?, &member);
            let held = self.held(&key)?.map(|held| held.fields).unwrap_or_default();
            entitled.intersection(&held).is_subset(&receipt.fields)
        };
        let mut batch = Batch::new();
        let before = self.acknowledged(&from, &key)?;
        if before != receipt.fields {
            self.counters.receipts_kept += 1;
            put(&mut batch, row(Kind::Receipt, &[&peer_bytes(&from), &key.to_bytes()]), receipt);
            mark(&mut batch, row(Kind::ReceiptOf, &[&key.to_bytes(), &peer_bytes(&from)]));
            self.reconciliation.acknowledged(&from, &key, &before, &receipt.fields);
        }
        if is_settled {
            batch.delete(Table::Vault, row(Kind::Outbox, &[&peer_bytes(&from), &key.to_bytes()]));
        }
        self.disk.apply(batch)
    }

    pub(crate) fn receive_refusal(
        &mut self,
        from: PeerId,
        key: &VersionKey,
        refusal: Refusal,
    ) -> Result<(), VaultError> {
        // The row stays: the chain here says what is owed, and when it no longer does the next attempt finds that out.
        self.outbox.landed(&from, key, false);
        self.counters.refused_by_peers += 1;
        tracing::debug!(peer = %from, %key, code = refusal.code(), "a delivery was not taken");
        Ok(())
    }

    /// Deliveries without an answer are not on their way any more.
    pub(crate) fn expire_flights(&mut self) {
        let now = self.now.steady_ms;
        for (peer, line) in &mut self.outbox.peers {
            line.flights.retain(|_, flight| {
                let stays = flight.until > now;
                if !stays {
                    line.bytes -= flight.bytes;
                }
                stays
            });
            if line.walk_at.is_some_and(|at| at <= now) {
                line.walk_at = None;
                line.walks = true;
            }
            self.outbox.ready.insert(*peer);
        }
    }

    /// Receipts of a version that lie here: each holder with the fields it says it holds.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn receipts(&self, key: &VersionKey) -> Result<Vec<Receipt>, VaultError> {
        let prefix = row(Kind::ReceiptOf, &[&key.to_bytes()]);
        let holders = self.disk.scan(Table::Vault, &prefix, None, crate::message::ENTRIES_MAX)?;
        let receipts = holders.iter().map(|(found, _)| {
            let peer = &found[prefix.len()..];
            self.disk.get::<Receipt>(Table::Vault, &row(Kind::Receipt, &[peer, &key.to_bytes()]))
        });
        receipts.filter_map(Result::transpose).collect()
    }
}
