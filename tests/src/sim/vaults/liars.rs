//! Vaults that lie: the code of production, and what leaves it changed, added to or kept back.

use std::sync::Arc;

use vouch_types::{
    Signature,
    document::{FieldSet, Possession},
};
use vouch_vault::{
    Act, Delivery, Message, VersionKey,
    message::{FileKey, PartDigest},
};

use super::{
    super::{
        oracle::Checked,
        world::{Event, World},
    },
    model::SLOTS,
};

/// All kinds.
pub const KINDS: &[&str] = &["alters", "asks", "claims", "forges", "mute", "over-delivers"];

/// Time between two lies of those that tell some by themselves.
const EVERY_MS: u64 = 130;

/// A way to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Changes sealed bytes that it hands on.
    Alters,
    /// Asks for everything, whoever may have it.
    Asks,
    /// Throws deliveries away, signs for them and attests on the chain to hold them, and others.
    Claims,
    /// Sends receipts that nobody signed, or signed for something else.
    Forges,
    /// Delivers and answers nothing.
    Mute,
    /// Takes everybody for entitled to everything.
    OverDelivers,
}

impl Lie {
    /// By name.
    pub fn named(kind: &str) -> Option<Self> {
        Some(match kind {
            "alters" => Self::Alters,
            "asks" => Self::Asks,
            "claims" => Self::Claims,
            "forges" => Self::Forges,
            "mute" => Self::Mute,
            "over-delivers" => Self::OverDelivers,
            _ => return None,
        })
    }
}

impl World {
    /// What a liar makes of its own vault's message.
    pub(super) fn bend(&mut self, from: usize, message: Message, bytes: Arc<[u8]>) -> Option<Arc<[u8]>> {
        match (self.vaults().cases[from].lie, message) {
            (Some(Lie::Mute), _) => None,
            (Some(Lie::Alters), Message::Deliver(mut delivery)) => {
                self.oracle.mark("sealed bytes altered");
                let at = delivery.len() - 1 - self.rng.index(delivery.len() / 2);
                delivery[at] ^= 1 << self.rng.below(8);
                Some(Arc::from(Message::Deliver(delivery).to_bytes()))
            }
            _ => Some(bytes),
        }
    }

    /// A holder that signs for a delivery and keeps nothing.
    pub(super) fn throws_away(&mut self, to: usize, from: usize, delivery: &[u8]) -> bool {
        let Ok(delivery) = Delivery::from_bytes(delivery) else { return false };
        let Some(root) = self.vaults().papers.get(&delivery.key).map(|paper| paper.root) else { return false };
        let receipt = self.signed_receipt(to, delivery.key, root, delivery.fields());
        self.oracle.mark("false receipt");
        self.transmit_of_vault(to, from, Arc::from(Message::Receipt(Box::new(receipt)).to_bytes()));
        true
    }

    /// A liar's turn.
    pub fn vault_tick(&mut self, index: usize) -> Checked {
        let Some(lie) = self.vaults().cases[index].lie else { return Ok(()) };
        if self.nodes[index].replica.is_none() {
            return Ok(());
        }
        self.at(self.now_ms + EVERY_MS, Event::VaultTick { node: index });
        let known: Vec<VersionKey> = self.oracle.latest().papers.versions().collect();
        let links: Vec<usize> = self.nodes[index].links.keys().copied().collect();
        if known.is_empty() || links.is_empty() {
            return Ok(());
        }
        let (key, to) = (*self.rng.pick(&known), *self.rng.pick(&links));
        let messages = match lie {
            Lie::Asks => self.questions(key),
            Lie::Forges => vec![self.forged_receipt(index, key)],
            Lie::Claims if self.rng.chance(300) => return self.claim(index, key),
            _ => return Ok(()),
        };
        for message in messages {
            self.transmit_of_vault(index, to, Arc::from(message.to_bytes()));
        }
        Ok(())
    }

    /// Everything that can be asked about a version.
    fn questions(&mut self, key: VersionKey) -> Vec<Message> {
        self.oracle.mark("documents asked for by a liar");
        let part = key.id.as_bytes()[0];
        let sum = self.rng.bytes32();
        vec![
            Message::Fetch { key, fields: FieldSet::first(SLOTS) },
            Message::FetchPiece { key, file: FileKey { slot: 3, index: 0 }, offset: 0 },
            Message::AskReceipts { keys: vec![key] },
            Message::Compare { parts: vec![PartDigest { part, count: 1, sum }] },
        ]
    }

    /// A receipt in another's name, or of another root, or for what it does not hold.
    fn forged_receipt(&mut self, index: usize, key: VersionKey) -> Message {
        self.oracle.mark("forged receipt");
        let root = self.vaults().papers[&key].root;
        let mut receipt = self.signed_receipt(index, key, root, FieldSet::first(SLOTS));
        match self.rng.below(4) {
            0 => receipt.holder = self.nodes[self.rng.index(self.nodes.len())].peer,
            1 => receipt.signature = Signature([7; 64]),
            2 => receipt.root[0] ^= 1,
            _ => {}
        }
        Message::Receipt(Box::new(receipt))
    }

    /// Its word on the chain for what it may never have had.
    fn claim(&mut self, index: usize, key: VersionKey) -> Checked {
        self.oracle.mark("false attestation");
        let held = Possession { id: key.id, version: key.version, fields: FieldSet::first(SLOTS) };
        // A number that its own vault never gives out.
        self.say(index, u64::MAX - self.now_ms, &Act::AttestPossession(vec![held]))
    }
}
