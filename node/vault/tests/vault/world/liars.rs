//! Nodes that do not do what they should.

use std::sync::atomic::Ordering;

use vouch_privacy::sealing::BlobNotice;
use vouch_vault::{Delivery, Message, message::Refusal};

use super::{Event, World};
use crate::support::{CHAIN, network_key};

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
    /// Says that it is busy, always.
    Stalls,
    /// Answers nothing.
    Mute,
    /// Hands documents on without the files that they name.
    Withholds,
}

impl World {
    /// What a dishonest node makes of its own vault's message.
    pub(super) fn bend(&mut self, from: usize, bytes: Vec<u8>) -> Option<Vec<u8>> {
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
            (Behaviour::Withholds, Message::Deliver(delivery)) => {
                let mut delivery = Delivery::from_bytes(&delivery).unwrap();
                for notice in &mut delivery.content.attachments {
                    if let BlobNotice::Shown(blob) = notice {
                        *notice = BlobNotice::Hidden(blob.leaf());
                        self.nodes[from].lied = true;
                    }
                }
                Some(Message::Deliver(delivery.to_bytes()).to_bytes())
            }
            (Behaviour::Stalls, Message::Deliver(delivery)) => {
                let key = Delivery::from_bytes(&delivery).unwrap().key;
                Some(Message::Missing { key, refusal: Refusal::Busy }.to_bytes())
            }
            (Behaviour::Stalls, Message::Piece { key, file, offset, .. }) => {
                Some(Message::Piece { key, file, offset, piece: Err(Refusal::Busy) }.to_bytes())
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

    /// A holder that signs for a delivery and keeps nothing.
    pub(super) fn throws_away(&mut self, to: usize, from: usize, bytes: &[u8]) -> bool {
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
}
