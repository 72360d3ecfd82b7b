//! What must hold of everything that leaves a node and everything that lies at one.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use vouch_ledger::{Storage, Table};
use vouch_privacy::{WrapContext, sealing::open_wrap};
use vouch_types::{document::ErasureState, hash::DocumentRoot};
use vouch_vault::{Act, Delivery, FieldSet, Message, PeerId, VersionKey};

use crate::{
    support::{CHAIN, PLANTED, SLOTS, fields_of_copy, member_secret},
    world::{Behaviour, World, contains, name},
};

impl World {
    pub fn judge_fault(&self, index: usize, peer: &PeerId, code: &str) {
        let who = self.nodes.iter().find(|node| node.peer == *peer).unwrap();
        assert!(who.lied, "node {index} blames an honest node: {code}");
    }

    /// No plain value ever stands in a message.
    pub fn judge_bytes(&self, bytes: &[u8]) {
        assert!(!contains(bytes, PLANTED), "a private value in plain on the wire");
    }

    /// Opens a delivery as the receiver could: what comes out are values of fields it may have, and of no other; and nobody else
    /// opens it.
    fn judge_opened(&mut self, to: usize, delivery: &Delivery, allowed: &FieldSet) {
        let key = delivery.key;
        let context = WrapContext { chain: CHAIN, document: key.id, version: key.version };
        let receiver = self.nodes[to].member;
        let keys = open_wrap(&delivery.content.wrap, &member_secret(receiver), context).unwrap();
        assert!(keys.scope(SLOTS).is_subset(allowed), "{key}: keys of {:?} for {allowed:?}", keys.scope(SLOTS));
        let opened = delivery.content.open(&DocumentRoot(self.made[&key]), &keys).unwrap().opened;
        let values: String = opened.fields.iter().map(|field| field.said.value.to_string()).collect();
        for (slot, value) in [2, 3, 5].into_iter().zip(&self.planted[&key]) {
            let is_there = contains(values.as_bytes(), value.as_bytes());
            assert_eq!(is_there, opened.fields.iter().any(|field| field.slot == slot), "{key}: slot {slot}");
            assert!(!is_there || allowed.contains(slot), "{key}: the value of slot {slot} for {allowed:?}");
            self.counted.values_judged += 1;
        }
        let others = self.nodes.iter().map(|node| node.member).filter(|member| *member != receiver);
        for other in others.collect::<BTreeSet<usize>>() {
            assert!(
                open_wrap(&delivery.content.wrap, &member_secret(other), context).is_err(),
                "{key} opens to {other}"
            );
        }
    }

    /// What an honest node sends is for the receiver, by the chain of the sender's head.
    pub fn judge_sent(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let member = name(self.nodes[to].member);
        let head = self.nodes[from].head.load(Ordering::Relaxed);
        let ledger = self.shared.0.lock();
        match Message::from_bytes(bytes).unwrap() {
            Message::Deliver(bytes) => {
                let delivery = Delivery::from_bytes(&bytes).unwrap();
                let allowed = ledger.fields_at(&delivery.key, &member, head);
                let given = delivery.fields();
                assert!(given.is_subset(&allowed), "{} gets {given:?} of {allowed:?}", delivery.key);
                assert_eq!(ledger.erasure_at(&delivery.key.id, head), ErasureState::None, "erased, and sent");
                let id = member_secret(self.nodes[to].member).public().id();
                assert_eq!(delivery.content.wrap.recipient, id, "keys for somebody else");
                self.counted.deliveries_judged += 1;
                drop(ledger);
                self.judge_opened(to, &delivery, &allowed);
            }
            Message::Piece { key, file, piece: Ok(_), .. } => {
                assert!(ledger.fields_at(&key, &member, head).contains(file.slot), "a file for who may not have it");
                self.counted.pieces_judged += 1;
            }
            _ => {}
        }
    }

    /// What a node says on the chain to hold lies there.
    pub fn judge_said(&mut self, index: usize, act: &Act) {
        let Act::AttestPossession(list) = act else { return };
        for said in list {
            let key = VersionKey { id: said.id, version: said.version };
            let has = self.vault(index).possession(&key).unwrap();
            assert!(said.fields.is_subset(&has), "node {index} says {:?} of {key} and has {has:?}", said.fields);
            self.counted.said_judged += 1;
        }
    }

    /// Queues and windows keep their bounds.
    pub fn judge_bounds(&mut self) {
        for node in self.nodes.iter().filter(|node| node.vault.is_some()) {
            let status = node.vault.as_ref().unwrap().status().unwrap();
            let limits = &self.limits;
            assert!(status.flights_one_peer <= limits.flights_max);
            assert!(status.flight_bytes_one_peer <= limits.flight_bytes_max + vouch_vault::message::MESSAGE_BYTES_MAX);
            assert!(status.searches <= limits.fetch_window && status.fetches <= limits.fetches_max);
            assert!(status.transfers <= limits.transfers_max);
            assert!(status.early <= limits.early_max && status.early_bytes <= limits.early_bytes_max);
            assert!(status.sweeps <= limits.sweeps_max);
            assert!(status.acts_under_way <= limits.acts_max);
            self.counted.bounds_judged += 1;
        }
    }

    /// What an honest, running node still lacks; `None` when every one has what it is to have and nothing is owed.
    pub fn unsettled(&mut self) -> Option<String> {
        let ledger = self.shared.0.lock();
        let height = ledger.height();
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(vault) = &node.vault else { continue };
            if node.behaviour == Behaviour::SignsFalsely {
                continue;
            }
            if vault.height().0 < height {
                return Some(format!("node {index} is at {} of {height}", vault.height()));
            }
            for key in ledger.versions() {
                if ledger.erasure_at(&key.id, height) != ErasureState::None {
                    if !vault.possession(&key).unwrap().is_empty() {
                        return Some(format!("node {index} still has {key}, which is erased"));
                    }
                    continue;
                }
                let entitled = ledger.fields_at(&key, &name(node.member), height);
                let has = vault.possession(&key).unwrap();
                self.counted.possessions_judged += 1;
                if !entitled.is_subset(&has) {
                    let others = self.nodes.iter().enumerate().map(|(at, other)| {
                        let has = other.vault.as_ref().map(|vault| vault.possession(&key).unwrap());
                        format!("\n  node {at} of {}: {has:?}, damages {:?}", other.member, other.damages)
                    });
                    let others: String = others.collect();
                    return Some(format!(
                        "node {index} has {has:?} of {entitled:?} of {key}: {:?}{others}",
                        vault.status()
                    ));
                }
            }
        }
        None
    }

    /// Outboxes, wishes and acts are empty, and issuers have a receipt of every holder.
    pub fn judge_quiet(&self) {
        let ledger = self.shared.0.lock();
        let height = ledger.height();
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(vault) = &node.vault else { continue };
            let status = vault.status().unwrap();
            assert!(!status.owes_some && !status.wants_some && status.acts == 0, "node {index}: {status:?}");
            assert!(vault.sums_are_sound().unwrap(), "node {index}: sums");
            for key in ledger.versions() {
                if ledger.issuer(&key.id) != name(node.member)
                    || ledger.erasure_at(&key.id, height) != ErasureState::None
                {
                    continue;
                }
                let receipts = vault.receipts(&key).unwrap();
                for other in self.nodes.iter().filter(|other| other.peer != node.peer && other.vault.is_some()) {
                    let entitled = ledger.fields_at(&key, &name(other.member), height);
                    let signed = receipts.iter().find(|receipt| receipt.holder == other.peer);
                    let fields = signed.map(|receipt| receipt.fields.clone()).unwrap_or_default();
                    assert!(entitled.is_subset(&fields), "{key}: no receipt of {} at node {index}", other.member);
                    assert!(signed.is_none_or(|receipt| receipt.verifies(&CHAIN)));
                }
            }
        }
    }

    /// Nothing lies anywhere that its owner was never to have, and nothing anywhere in plain.
    pub fn judge_rest(&self) {
        let ledger = self.shared.0.lock();
        for (index, node) in self.nodes.iter().enumerate() {
            for table in [Table::Vault, Table::VaultCopies, Table::VaultKeys, Table::VaultAudit] {
                for (key, value) in node.storage.pin().unwrap().unwrap().scan(table, &[], None, usize::MAX).unwrap() {
                    assert!(!contains(&value, PLANTED), "node {index} keeps a value in plain");
                    if table == Table::VaultCopies {
                        let version = VersionKey::from_bytes(&key).unwrap();
                        let mut ever = ledger.fields_ever(&version, &name(node.member));
                        if !ledger.versions().contains(&version) {
                            ever = FieldSet::first(SLOTS);
                        }
                        let kept = fields_of_copy(&value);
                        assert!(kept.is_subset(&ever), "node {index} keeps {kept:?} of {ever:?} of {version}");
                    }
                }
            }
        }
    }
}
