//! Comparing, peer by peer: what a holder's receipts say it has of this member's documents, against what it has.
//!
//! A set is summed up in 256 parts, by the first byte of the document ids: the count and the sum of the hashes of its
//! entries. The sums follow every change, so a comparison costs nothing but a message. A part that differs is listed. What
//! the holder lost is delivered anew; what this node lost the receipt of is signed anew.
//!
//! ```text
//! issuer -- Compare: sums of the holder's receipts --> holder
//!        <-- Holds: entries of a part that differs --
//!        -- AskReceipts / deliveries of what is lost -->
//! ```

use std::collections::{BTreeMap, BTreeSet};

use vouch_ledger::{Batch, Table};
use vouch_types::hash::domain_hash;

use crate::{
    disk::{Disk, Kind, above, peer_bytes, read, row, version_at_end},
    message::{ENTRIES_MAX, Entry, Message, PARTS, PartDigest, Receipt},
    vault::{PerPeer, Vault, VaultError},
    words::{FieldSet, PeerId, VersionKey},
};

/// Parts listed in answer to one comparison; the next comparison, soon after, shows the others.
const PARTS_PER_ANSWER: usize = 64;
/// After a comparison that found something the next one follows so soon, in milliseconds.
const COMPARE_AGAIN_MS: u64 = 400;
/// Messages of one part, beyond which it waits for the next comparison.
const PAGES_MAX: usize = 64;
/// Messages in answer to one comparison, beyond which no further part is listed.
const PAGES_PER_ANSWER: usize = 64;
/// What a holder lost, that is looked at after one comparison; the next one shows the rest.
const LOST_MAX: usize = 1_024;

/// The issuer in a key.
pub(crate) fn issuer_bytes(issuer: &str) -> [u8; 16] {
    let hash = domain_hash("vouch/vault-issuer/1", &[issuer.as_bytes()]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.0[..16]);
    bytes
}

/// Sums of one set, by the first byte of the document ids.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sums(BTreeMap<u8, (u64, [u8; 32])>);

impl Sums {
    fn change(&mut self, key: &VersionKey, before: &FieldSet, after: &FieldSet) {
        let part = self.0.entry(key.id.as_bytes()[0]).or_default();
        if !before.is_empty() {
            part.0 = part.0.saturating_sub(1);
            part.1 = wrapping(&part.1, &entry_hash(key, before), false);
        }
        if !after.is_empty() {
            part.0 += 1;
            part.1 = wrapping(&part.1, &entry_hash(key, after), true);
        }
    }

    fn digests(&self) -> Vec<PartDigest> {
        let full = self.0.iter().filter(|(_, (count, _))| *count > 0);
        full.map(|(part, (count, sum))| PartDigest { part: *part, count: *count, sum: *sum }).collect()
    }
}

fn entry_hash(key: &VersionKey, fields: &FieldSet) -> [u8; 32] {
    domain_hash("vouch/vault-entry/1", &[&key.to_bytes(), fields.as_bytes()]).0
}

/// Addition or subtraction of two 256-bit numbers, little-endian, modulo 2^256.
fn wrapping(a: &[u8; 32], b: &[u8; 32], adds: bool) -> [u8; 32] {
    let mut out = [0; 32];
    let mut carry = 0i16;
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        let sum = i16::from(*a) + if adds { i16::from(*b) } else { -i16::from(*b) } + carry;
        *out = sum.rem_euclid(256).to_le_bytes()[0];
        carry = sum.div_euclid(256);
    }
    out
}

/// Both sides of all comparisons.
#[derive(Debug, Default)]
pub(crate) struct Reconciliation {
    /// What the receipts of each holder say it has of this member's documents.
    receipts: PerPeer<Sums>,
    /// What is held here of each issuer's documents.
    held: BTreeMap<[u8; 16], Sums>,
    next: PerPeer<Comparison>,
}

/// The next comparison with a peer, and how far the answer to the last one has come.
#[derive(Debug, Clone)]
struct Comparison {
    at: u64,
    /// The parts listed since it was asked, each with where it goes on; `None` for one that is listed to its end.
    listed: BTreeMap<u8, Option<VersionKey>>,
    /// Whether it was asked at all.
    is_asked: bool,
    /// How much of what it lost may still be looked at.
    lost_left: usize,
    /// When the next comparison of the peer's is answered.
    answers_at: u64,
    /// How soon the one after a difference follows: doubled while a holder goes on losing what it signs for.
    pause_ms: u64,
    lost_some: bool,
}

impl Reconciliation {
    /// The sums over what lies in the storage.
    pub(crate) fn read(disk: &Disk) -> Result<Self, VaultError> {
        let mut sums = Self::default();
        let none = FieldSet::new();
        each(disk, Kind::ByIssuer, |key, value| {
            let issuer = key[1..17].try_into().map_err(|_| VaultError::Damaged { what: "an issuer's row" })?;
            sums.held.entry(issuer).or_default().change(&version_at_end(key)?, &none, &read(value)?);
            Ok(())
        })?;
        each(disk, Kind::Receipt, |_, value| {
            let receipt: Receipt = read(value)?;
            sums.receipts.entry(receipt.holder).or_default().change(&receipt.key, &none, &receipt.fields);
            Ok(())
        })?;
        Ok(sums)
    }

    pub(crate) fn acknowledged(&mut self, holder: &PeerId, key: &VersionKey, before: &FieldSet, after: &FieldSet) {
        self.receipts.entry(*holder).or_default().change(key, before, after);
    }

    pub(crate) fn possession_changed(&mut self, issuer: &str, key: &VersionKey, before: &FieldSet, after: &FieldSet) {
        self.held.entry(issuer_bytes(issuer)).or_default().change(key, before, after);
    }

    pub(crate) fn connected(&mut self, peer: PeerId, at: u64) {
        let comparison = Comparison {
            at,
            listed: BTreeMap::new(),
            is_asked: false,
            lost_left: 0,
            answers_at: 0,
            pause_ms: COMPARE_AGAIN_MS,
            lost_some: false,
        };
        self.next.insert(peer, comparison);
    }

    pub(crate) fn disconnected(&mut self, peer: &PeerId) {
        self.next.remove(peer);
    }

    pub(crate) fn due(&self) -> Option<u64> {
        self.next.values().map(|comparison| comparison.at).min()
    }

    /// Whether the sums are those that the storage gives: for tests.
    pub(crate) fn is_what_lies_in(&self, disk: &Disk) -> Result<bool, VaultError> {
        let fresh = Self::read(disk)?;
        let digests = |sums: &Sums| sums.digests();
        let receipts = |one: &Self| -> Vec<_> {
            one.receipts.iter().map(|(peer, sums)| (*peer, digests(sums))).filter(|(_, d)| !d.is_empty()).collect()
        };
        let held = |one: &Self| -> Vec<_> {
            one.held.iter().map(|(issuer, sums)| (*issuer, digests(sums))).filter(|(_, d)| !d.is_empty()).collect()
        };
        Ok(receipts(self) == receipts(&fresh) && held(self) == held(&fresh))
    }
}

/// Calls for every row of a kind, a page at a time.
fn each(
    disk: &Disk,
    kind: Kind,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    let mut from: Option<Vec<u8>> = None;
    loop {
        let page = disk.scan(Table::Vault, &[kind as u8], from.as_deref(), ENTRIES_MAX)?;
        page.iter().try_for_each(|(key, value)| take(key, value))?;
        match page.last() {
            Some((last, _)) if page.len() == ENTRIES_MAX => from = Some(above(last)),
            _ => return Ok(()),
        }
    }
}

impl Vault {
    /// Compares with every peer it is time for.
    pub(crate) fn run_comparisons(&mut self) -> Result<(), VaultError> {
        let now = self.now.steady_ms;
        let mut due = Vec::new();
        for (peer, comparison) in &mut self.reconciliation.next {
            if comparison.at <= now {
                comparison.at = now + self.limits.compare_every_ms;
                (comparison.is_asked, comparison.lost_left) = (true, LOST_MAX);
                comparison.listed.clear();
                if !core::mem::take(&mut comparison.lost_some) {
                    comparison.pause_ms = COMPARE_AGAIN_MS;
                }
                due.push(*peer);
            }
        }
        for peer in due {
            let parts = self.reconciliation.receipts.get(&peer).map(Sums::digests).unwrap_or_default();
            self.counters.comparisons += 1;
            self.send(peer, &Message::Compare { parts });
        }
        Ok(())
    }

    /// Lists what is held here of the asking node's member's documents, where it believes something else.
    pub(crate) fn answer_comparison(&mut self, from: PeerId, parts: &[PartDigest]) -> Result<(), VaultError> {
        let Some(issuer) = self.roster.member_of(&from).map(issuer_bytes) else { return Ok(()) };
        let now = self.now.steady_ms;
        let Some(comparison) = self.reconciliation.next.get_mut(&from).filter(|peer| peer.answers_at <= now) else {
            // An answer may be long; one peer gets it only so often.
            return Ok(());
        };
        comparison.answers_at = now + COMPARE_AGAIN_MS / 2;
        let own = self.reconciliation.held.get(&issuer).map(Sums::digests).unwrap_or_default();
        let of = |parts: &[PartDigest], part| parts.iter().find(|digest| digest.part == part).copied();
        let differing = (0..=u8::MAX).take(PARTS).filter(|part| of(parts, *part) != of(&own, *part));
        let mut pages = 0;
        for part in differing.take(PARTS_PER_ANSWER) {
            if pages >= PAGES_PER_ANSWER {
                break;
            }
            pages += self.list_part(from, &issuer, part)?;
        }
        Ok(())
    }

    /// Lists a part; how many messages that took.
    fn list_part(&mut self, to: PeerId, issuer: &[u8; 16], part: u8) -> Result<usize, VaultError> {
        let prefix = row(Kind::ByIssuer, &[issuer, &[part]]);
        let mut after: Option<VersionKey> = None;
        for pages in 1..=PAGES_MAX {
            let from = after.map(|key| above(&row(Kind::ByIssuer, &[issuer, &key.to_bytes()])));
            let page = self.disk.scan(Table::Vault, &prefix, from.as_deref(), ENTRIES_MAX)?;
            let entries = page
                .iter()
                .map(|(key, value)| Ok(Entry { key: version_at_end(key)?, fields: read(value)? }))
                .collect::<Result<Vec<_>, VaultError>>()?;
            let more = entries.len() == ENTRIES_MAX;
            let last = entries.last().map(|entry| entry.key);
            self.send(to, &Message::Holds { part, after, entries, more });
            if !more {
                return Ok(pages);
            }
            after = last;
        }
        Ok(PAGES_MAX)
    }

    /// Whether a list is the answer that is still open to a comparison that was asked: each part once, from its beginning
    /// on. How much of what is lost may be looked at is given back.
    fn is_awaited(
        &mut self,
        from: &PeerId,
        part: u8,
        after: Option<VersionKey>,
        next: Option<VersionKey>,
    ) -> Option<usize> {
        let comparison = self.reconciliation.next.get_mut(from).filter(|comparison| comparison.is_asked)?;
        let goes_on_at = comparison.listed.get(&part);
        let is_next = match goes_on_at {
            None => after.is_none() && comparison.listed.len() < PARTS_PER_ANSWER,
            Some(place) => place.is_some() && *place == after,
        };
        if !is_next {
            return None;
        }
        comparison.listed.insert(part, next);
        Some(comparison.lost_left)
    }

    /// A holder lists what it has of a part: what it lost is owed again, what it has without a receipt here is asked for.
    pub(crate) fn receive_holdings(
        &mut self,
        from: PeerId,
        part: u8,
        after: Option<VersionKey>,
        entries: &[Entry],
        more: bool,
    ) -> Result<(), VaultError> {
        let listed: BTreeMap<VersionKey, &FieldSet> = entries.iter().map(|entry| (entry.key, &entry.fields)).collect();
        let end = if more { entries.last().map(|entry| entry.key) } else { None };
        let Some(lost_left) = self.is_awaited(&from, part, after, end) else {
            self.counters.unasked_lists += 1;
            return Ok(());
        };
        let prefix = row(Kind::Receipt, &[&peer_bytes(&from), &[part]]);
        let begin = after.map(|key| above(&row(Kind::Receipt, &[&peer_bytes(&from), &key.to_bytes()])));
        // More than a page's worth of receipts here for a page there: the rest shows when the page is shorter.
        let known = self.disk.scan(Table::Vault, &prefix, begin.as_deref(), 2 * ENTRIES_MAX)?;
        let mut believed = BTreeSet::new();
        let mut lost = Vec::new();
        for (key, value) in &known {
            let receipt: Receipt = read(value)?;
            let key = version_at_end(key)?;
            if end.is_some_and(|end| key > end) {
                break;
            }
            match listed.get(&key) {
                Some(fields) if **fields == receipt.fields => drop(believed.insert(key)),
                None if lost.len() < lost_left => lost.push((key, receipt.fields)),
                Some(_) | None => {}
            }
        }
        for (key, fields) in &lost {
            self.forget_receipt(&from, key, fields)?;
        }
        let keys: Vec<VersionKey> = listed.keys().filter(|key| !believed.contains(key)).copied().collect();
        if let Some(comparison) = self.reconciliation.next.get_mut(&from) {
            // Other parts may differ too, and whether this one is repaired shows.
            if !lost.is_empty() && !core::mem::replace(&mut comparison.lost_some, true) {
                comparison.pause_ms = (comparison.pause_ms * 2).min(self.limits.compare_every_ms);
            }
            comparison.at = comparison.at.min(self.now.steady_ms + comparison.pause_ms);
            comparison.lost_left = lost_left - lost.len();
        }
        self.counters.lost_by_holders += lost.len() as u64;
        if !keys.is_empty() {
            self.counters.receipts_asked += keys.len() as u64;
            self.send(from, &Message::AskReceipts { keys });
        }
        for (key, _) in lost {
            // Looked at anew: it is owed if the chain still says so.
            self.consider(&key, true)?;
        }
        Ok(())
    }

    /// A receipt does not count any more.
    pub(crate) fn forget_receipt(
        &mut self,
        holder: &PeerId,
        key: &VersionKey,
        fields: &FieldSet,
    ) -> Result<(), VaultError> {
        let mut batch = Batch::new();
        batch.delete(Table::Vault, row(Kind::Receipt, &[&peer_bytes(holder), &key.to_bytes()]));
        batch.delete(Table::Vault, row(Kind::ReceiptOf, &[&key.to_bytes(), &peer_bytes(holder)]));
        self.reconciliation.acknowledged(holder, key, fields, &FieldSet::new());
        self.disk.apply(batch)
    }

    /// Signs again what is asked for and held.
    pub(crate) fn answer_receipts(&mut self, from: PeerId, keys: &[VersionKey]) -> Result<(), VaultError> {
        for key in keys {
            let Some(held) = self.held(key)? else { continue };
            if self.roster.member_of(&from) == Some(held.issuer.as_str()) {
                let receipt = self.receipt(key, &held);
                self.send(from, &Message::Receipt(Box::new(receipt)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::DocumentId;

    #[test]
    fn sums_do_not_depend_on_the_way_to_them() {
        let key = |n: u8| VersionKey { id: DocumentId::new([n; 16]), version: n.into() };
        let (none, some, other) = (FieldSet::new(), FieldSet::first(3), FieldSet::first(9));
        let (mut a, mut b) = (Sums::default(), Sums::default());
        for n in 0..40 {
            a.change(&key(n % 4), &none, &some);
            b.change(&key(39 - n), &none, &other);
        }
        for n in 0..40 {
            a.change(&key(n % 4), &some, &none);
            b.change(&key(n), &other, &none);
        }
        assert_eq!((a.digests(), b.digests()), (Vec::new(), Vec::new()));
        a.change(&key(7), &none, &some);
        b.change(&key(7), &none, &other);
        assert_ne!(a.digests(), b.digests());
        b.change(&key(7), &other, &some);
        assert_eq!(a.digests(), b.digests());
    }

    #[test]
    fn sums_wrap_at_256_bits() {
        let mut one = [0; 32];
        one[0] = 1;
        assert_eq!(wrapping(&[0xff; 32], &one, true), [0; 32]);
        assert_eq!(wrapping(&[0; 32], &one, false), [0xff; 32]);
    }
}
