//! Answering others: documents and pieces of files to those who are to have them, within a budget per member; and
//! deliveries that came before their block.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    limits::VaultLimits,
    message::{Message, Refusal},
    vault::{Vault, VaultError},
    words::{FieldSet, PeerId, VersionKey},
};

/// How much each member may still fetch.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    budgets: BTreeMap<String, Budget>,
}

/// What is left, below zero after an answer that overdrew it.
#[derive(Debug, Clone, Copy)]
struct Budget {
    bytes: i64,
    at_ms: u64,
}

impl Serving {
    /// Whether a member may have something now. What it gets is taken off afterwards, so that one answer may overdraw.
    fn admits(&mut self, member: &str, limits: &VaultLimits, now_ms: u64) -> bool {
        let most = i64::try_from(limits.serve_bytes_burst).unwrap_or(i64::MAX);
        let budget = self.budgets.entry(member.to_owned()).or_insert(Budget { bytes: most, at_ms: now_ms });
        let earned = (now_ms.saturating_sub(budget.at_ms)).saturating_mul(limits.serve_bytes_per_second) / 1_000;
        if earned > 0 {
            budget.bytes = budget.bytes.saturating_add(i64::try_from(earned).unwrap_or(i64::MAX)).min(most);
            budget.at_ms = now_ms;
        }
        budget.bytes > 0
    }

    fn took(&mut self, member: &str, bytes: usize) {
        if let Some(budget) = self.budgets.get_mut(member) {
            budget.bytes = budget.bytes.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }
}

/// Blocks that a delivery waits for the one with its document.
const EARLY_BLOCKS: u8 = 3;

/// Deliveries of documents that the chain here does not know yet.
#[derive(Debug, Default)]
pub(crate) struct Early {
    kept: VecDeque<Waiting>,
    bytes: usize,
    /// How many blocks what is looked at has waited for.
    age: u8,
}

#[derive(Debug)]
struct Waiting {
    from: PeerId,
    key: VersionKey,
    bytes: Vec<u8>,
    age: u8,
}

impl Early {
    /// False when there is no room, for this peer or at all, or when it has waited long enough.
    pub(crate) fn keep(&mut self, limits: &VaultLimits, from: PeerId, key: &VersionKey, bytes: Vec<u8>) -> bool {
        if let Some(at) = self.kept.iter().position(|waiting| waiting.from == from && waiting.key == *key) {
            // Sent again: the later one counts.
            self.bytes -= self.kept.remove(at).map_or(0, |waiting| waiting.bytes.len());
        }
        let of_peer = self.kept.iter().filter(|waiting| waiting.from == from).count();
        let fits = self.age < EARLY_BLOCKS
            && of_peer < limits.early_max.div_ceil(4)
            && self.kept.len() < limits.early_max
            && self.bytes + bytes.len() <= limits.early_bytes_max;
        if fits {
            self.bytes += bytes.len();
            self.kept.push_back(Waiting { from, key: *key, bytes, age: self.age });
        }
        fits
    }

    /// How many, and their bytes.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.kept.len(), self.bytes)
    }
}

impl Vault {
    /// A block came: deliveries that waited for it are looked at again. Those it did not help are told off, so that nothing
    /// made up stays here.
    pub(crate) fn take_early(&mut self) -> Result<(), VaultError> {
        for waiting in core::mem::take(&mut self.early).kept {
            self.early.age = waiting.age + 1;
            self.receive_delivery(waiting.from, waiting.bytes)?;
        }
        self.early.age = 0;
        Ok(())
    }

    pub(crate) fn answer_fetch(&mut self, from: PeerId, key: &VersionKey, wanted: &FieldSet) -> Result<(), VaultError> {
        match self.find_for(&from, key, wanted)? {
            Ok(delivery) => {
                self.counters.fetches_served += 1;
                self.send(from, &Message::Deliver(delivery));
            }
            Err(refusal) => self.send(from, &Message::Missing { key: *key, refusal }),
        }
        Ok(())
    }

    fn find_for(
        &mut self,
        from: &PeerId,
        key: &VersionKey,
        wanted: &FieldSet,
    ) -> Result<Result<Vec<u8>, Refusal>, VaultError> {
        if self.is_erased(&key.id)? {
            return Ok(Err(Refusal::Erased));
        }
        let Some(facts) = self.chain.document(key)? else { return Ok(Err(Refusal::Unknown)) };
        if facts.is_to_be_shredded() {
            return Ok(Err(Refusal::Erased));
        }
        if !self.may_take(from) {
            return Ok(Err(Refusal::Busy));
        }
        if !self.is_entitled(from, key, wanted)? {
            return Ok(Err(Refusal::NotEntitled));
        }
        let found = self.delivery_for(from, key, Some(wanted))?.map(|outgoing| outgoing.bytes);
        if let Some(delivery) = &found {
            self.took(from, delivery.len());
        }
        Ok(found.ok_or(Refusal::NotHeld))
    }

    /// Whether a peer is to have any of some fields of a version.
    pub(crate) fn is_entitled(&self, peer: &PeerId, key: &VersionKey, fields: &FieldSet) -> Result<bool, VaultError> {
        let Some(member) = self.roster.member_of(peer) else { return Ok(false) };
        let entitled = crate::chain::fields_of(&self.chain.audience(key)?, member);
        Ok(!entitled.intersection(fields).is_empty())
    }

    /// Whether a peer's member has budget left.
    pub(crate) fn may_take(&mut self, peer: &PeerId) -> bool {
        let Some(member) = self.roster.member_of(peer).map(str::to_owned) else { return false };
        let admits = self.serving.admits(&member, &self.limits, self.now.steady_ms);
        self.counters.over_budget += u64::from(!admits);
        admits
    }

    /// Takes what a peer got off its member's budget.
    pub(crate) fn took(&mut self, peer: &PeerId, bytes: usize) {
        if let Some(member) = self.roster.member_of(peer).map(str::to_owned) {
            self.serving.took(&member, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_served_within_its_budget() {
        let limits = VaultLimits { serve_bytes_per_second: 1_000, serve_bytes_burst: 5_000, ..VaultLimits::default() };
        let mut serving = Serving::default();
        let mut given = 0;
        for ms in 0..10_000 {
            if serving.admits("a", &limits, ms) {
                serving.took("a", 100);
                given += 100;
            }
            assert!(serving.admits("b", &limits, ms), "one member's use is nothing to another");
        }
        assert!((14_900..=15_100).contains(&given), "{given}");
    }

    #[test]
    fn early_deliveries_are_bounded() {
        let limits = VaultLimits { early_max: 8, early_bytes_max: 100, ..VaultLimits::default() };
        let mut early = Early::default();
        let [one, two, three] = [1, 2, 3].map(|seed| vouch_types::SecretKey::from_seed([seed; 32]).public());
        let key = |version| VersionKey { id: crate::words::DocumentId::new([0; 16]), version };
        assert!(early.keep(&limits, one, &key(1), vec![0; 60]));
        assert!(!early.keep(&limits, one, &key(2), vec![0; 60]), "too many bytes");
        assert!(early.keep(&limits, one, &key(2), vec![0; 20]));
        assert!(!early.keep(&limits, one, &key(3), vec![0; 1]), "one peer does not fill it");
        assert!(early.keep(&limits, one, &key(1), vec![0; 70]), "sent again");
        assert!(early.keep(&limits, two, &key(1), vec![0; 10]));
        assert!(!early.keep(&limits, three, &key(1), vec![0; 1]));
        assert_eq!(early.load(), (3, 100));
        let mut old = Early { age: EARLY_BLOCKS, ..Early::default() };
        assert!(!old.keep(&limits, one, &key(1), vec![]), "it has waited long enough");
    }
}
