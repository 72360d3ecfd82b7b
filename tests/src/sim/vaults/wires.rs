//! What vaults send each other: judged when it leaves, bent by liars, carried like everything else.

use std::sync::Arc;

use vouch_vault::{Delivery, Message, PeerId, Receipt, VersionKey};

use super::{
    super::{
        genesis,
        mutants::Mutant,
        oracle::Checked,
        world::{Event, World},
    },
    liars::Lie,
};

impl World {
    /// A vault's message to a peer.
    pub(super) fn send_of_vault(&mut self, from: usize, to: &PeerId, bytes: Vec<u8>) -> Checked {
        let target = self.nodes[from].links.keys().copied().find(|other| self.nodes[*other].peer == *to);
        let Some(to) = target else { return Ok(()) };
        let bytes: Arc<[u8]> = Arc::from(bytes);
        self.look_for_plain("a message", &bytes);
        let Ok(message) = Message::from_bytes(&bytes) else {
            return super::super::oracle::broken("speaks properly", format!("vault {from} sends what is no message"));
        };
        if self.keeps_faith(from) {
            self.judge_sent_by_vault(from, to, &message)?;
        }
        self.vaults().sent.insert(Arc::clone(&bytes));
        if self.mutant == Some(Mutant::LoseDeliveries) && matches!(message, Message::Deliver(_)) {
            return Ok(());
        }
        let Some(bytes) = self.bend(from, message, bytes) else { return Ok(()) };
        self.transmit_of_vault(from, to, bytes);
        Ok(())
    }

    pub(super) fn transmit_of_vault(&mut self, from: usize, to: usize, bytes: Arc<[u8]>) {
        self.carry(from, to, bytes, 0, |link, bytes| Event::VaultDeliver { to, from, link, bytes });
    }

    /// It arrives.
    pub fn deliver_to_vault(&mut self, to: usize, from: usize, link: u64, bytes: &Arc<[u8]>) -> Checked {
        if self.nodes[to].links.get(&from) != Some(&link) {
            return Ok(());
        }
        if let Ok(message) = Message::from_bytes(bytes) {
            if self.keeps_events {
                let text: String = format!("{message:?}").chars().take(160).collect();
                self.note(|| format!("vault {from} -> {to}: {text}"));
            }
            if let Message::Deliver(delivery) = &message {
                self.note_arrival(to, delivery);
                if self.vaults().cases[to].lie == Some(Lie::Claims) && self.throws_away(to, from, delivery) {
                    return Ok(());
                }
            }
        }
        self.queue_message(to, from, link, bytes);
        Ok(())
    }

    /// What a node could open now, whatever its vault makes of it.
    fn note_arrival(&mut self, to: usize, delivery: &[u8]) {
        let Ok(delivery) = Delivery::from_bytes(delivery) else { return };
        let chain = self.oracle.chain_id;
        let vaults = self.vaults();
        let secret = super::papers::member_secret(vaults.cases[to].member);
        let Some(paper) = vaults.papers.get(&delivery.key) else { return };
        if let Some(fields) = paper.opened_by(&delivery, &secret, chain) {
            let had = vaults.cases[to].had.entry(delivery.key).or_default();
            *had = had.union(&fields);
        }
    }

    /// A receipt that a node signs with its own key, for whatever it says.
    pub(super) fn signed_receipt(
        &self,
        index: usize,
        key: VersionKey,
        root: [u8; 32],
        fields: vouch_vault::FieldSet,
    ) -> Receipt {
        let secret = genesis::secret("network", self.nodes[index].identity);
        let height = vouch_types::Height(self.oracle.height());
        let signature = vouch_types::Signature([0; 64]);
        let mut receipt = Receipt { key, root, fields, height, holder: secret.public(), signature };
        receipt.signature = secret.sign(receipt.digest(&self.oracle.chain_id).as_bytes());
        receipt
    }
}
