//! What must hold of everything that leaves a vault, and of everything it signs, at the moment it does.

use aho_corasick::AhoCorasick;
use vouch_ledger::{Table, View};
use vouch_types::document::FieldSet;
use vouch_vault::{Act, Delivery, DocumentId, Message, VersionKey};

use super::{
    super::{
        disk::Disk,
        genesis::member_name,
        oracle::{Checked, Violation, broken},
        world::World,
    },
    papers::{self, MARK},
};

/// Finds the beginning of every private value, as text in either width, and in hexadecimal.
pub(super) fn marks() -> AhoCorasick {
    let hex: String = MARK.bytes().map(|byte| format!("{byte:02x}")).collect();
    let wide = |to: fn(u16) -> [u8; 2]| MARK.encode_utf16().flat_map(to).collect::<Vec<u8>>();
    let forms = [
        MARK.as_bytes().to_vec(),
        hex.clone().into_bytes(),
        hex.to_uppercase().into_bytes(),
        wide(u16::to_le_bytes),
        wide(u16::to_be_bytes),
    ];
    AhoCorasick::new(forms).unwrap()
}

impl World {
    /// Looks at bytes that anyone may come by.
    pub fn look_for_plain(&mut self, place: &str, bytes: &[u8]) {
        let Some(vaults) = &mut self.vaults else { return };
        if vaults.marks.is_match(bytes) && vaults.found.is_none() {
            let what = format!("{place} holds a private value in plain");
            vaults.found = Some(Violation { rule: "nothing in plain", what });
        }
    }

    /// What was found where nobody could be told of it.
    pub fn check_found(&mut self) -> Checked {
        self.vaults.as_mut().and_then(|vaults| vaults.found.take()).map_or(Ok(()), Err)
    }

    /// The height of a node's ledger.
    pub(super) fn head_of(&self, index: usize) -> u64 {
        let head = self.nodes[index].replica.as_ref().map_or(0, |replica| replica.ledger().head().height.0);
        head.min(self.oracle.height())
    }

    /// What a member was ever to hold of a version, up to a height.
    pub(super) fn ever_entitled(&self, key: &VersionKey, member: &str, height: u64) -> FieldSet {
        let at = |height| self.oracle.model_at(height).papers.entitled(key, member);
        (1..=height).map(at).fold(FieldSet::new(), |all, fields| all.union(&fields))
    }

    /// A faithful node's message.
    pub(super) fn judge_sent_by_vault(&mut self, from: usize, to: usize, message: &Message) -> Checked {
        match message {
            Message::Deliver(bytes) => self.judge_delivery(from, to, bytes),
            Message::Receipt(receipt) if receipt.holder == self.nodes[from].peer => {
                self.judge_word(from, &receipt.key, &receipt.fields, "a receipt")
            }
            Message::Piece { key, piece: Ok(_), .. } => {
                broken("private stays inside", format!("vault {from} sends a piece of a file of {key}, which has none"))
            }
            _ => Ok(()),
        }
    }

    /// A delivery is for the receiver and nobody else, by the chain of the sender's head: what comes out are values of fields
    /// it may have, and no other member's key opens it.
    fn judge_delivery(&mut self, from: usize, to: usize, bytes: &[u8]) -> Checked {
        self.oracle.count("private stays inside");
        let wrong = |what: String| broken("private stays inside", format!("vault {from} to {to}: {what}"));
        let Ok(delivery) = Delivery::from_bytes(bytes) else { return wrong("no delivery".into()) };
        let (key, head, chain) = (delivery.key, self.head_of(from), self.oracle.chain_id);
        let receiver = self.vaults().cases[to].member;
        let allowed = self.oracle.model_at(head).papers.entitled(&key, &member_name(receiver));
        let given = delivery.fields();
        if !given.is_subset(&allowed) {
            return wrong(format!("{given:?} of {key}, which may have {allowed:?} at height {head}"));
        }
        let vaults = self.vaults();
        let Some(paper) = vaults.papers.get(&key) else { return wrong(format!("{key}, which nobody made")) };
        match paper.opened_by(&delivery, &papers::member_secret(receiver), chain) {
            Some(opened) if opened.is_subset(&allowed) => {}
            other => return wrong(format!("{key} opens to {other:?} of {allowed:?}")),
        }
        let members = vaults.cases.iter().map(|case| case.member).max().map_or(0, |last| last + 1);
        for other in (0..members).filter(|other| *other != receiver) {
            if paper.opened_by(&delivery, &papers::member_secret(other), chain).is_some() {
                return wrong(format!("{key} opens to member {other}"));
            }
        }
        Ok(())
    }

    /// Whether something of a version lies at a node with what opens it.
    pub(super) fn lies_at(&self, index: usize, key: &VersionKey) -> bool {
        let Some(vaults) = &self.vaults else { return false };
        let has = |table| {
            self.nodes[index].disk.look(|disk| disk.get(table, &key.to_bytes()).is_ok_and(|found| found.is_some()))
        };
        has(Table::VaultCopies) && has(Table::VaultKeys) && vaults.cases[index].shelf.has_bytes_of(&key.id)
    }

    /// How many versions of a document have ciphertext at a node.
    pub(super) fn copies_at(&self, index: usize, id: &DocumentId) -> usize {
        let rows = |disk: &Disk| disk.scan(Table::VaultCopies, id.as_bytes(), None, 1_000).unwrap_or_default();
        let found = self.nodes[index].disk.look(rows);
        found.iter().filter(|(key, _)| key.starts_with(id.as_bytes())).count()
    }

    /// A faithful node says that it holds fields: they came here, were for its member, and lie here.
    fn judge_word(&mut self, index: usize, key: &VersionKey, fields: &FieldSet, how: &str) -> Checked {
        self.oracle.count("receipts are true");
        let wrong =
            |what: String| broken("receipts are true", format!("vault {index}, {how} for {fields:?} of {key}: {what}"));
        let case = &self.vaults().cases[index];
        let (member, had) = (member_name(case.member), case.had.get(key).cloned().unwrap_or_default());
        if !fields.is_subset(&had) {
            return wrong(format!("only {had:?} ever came"));
        }
        if !self.lies_at(index, key) {
            return wrong("it does not lie here".into());
        }
        let ever = self.ever_entitled(key, &member, self.head_of(index));
        if !fields.is_subset(&ever) {
            return wrong(format!("it was to have {ever:?}"));
        }
        let case = &mut self.vaults().cases[index];
        for said in [&mut case.promised, &mut case.signed] {
            let all = said.entry(*key).or_default();
            *all = all.union(fields);
        }
        Ok(())
    }

    /// A node says something on the chain by itself.
    pub(super) fn judge_act(&mut self, index: usize, act: &Act) -> Checked {
        if !self.keeps_faith(index) {
            return Ok(());
        }
        match act {
            Act::AttestPossession(list) => {
                for held in list {
                    let key = VersionKey { id: held.id, version: held.version };
                    self.judge_possession(index, &key, &held.fields)?;
                }
                Ok(())
            }
            Act::AttestErasure { id, .. } => {
                self.vaults().cases[index].destroyed.insert(*id);
                self.check_destroyed(index, id)
            }
            _ => Ok(()),
        }
    }

    /// An attestation is made of rows that wait: by the time it is given out the document may have been destroyed again.
    fn judge_possession(&mut self, index: usize, key: &VersionKey, fields: &FieldSet) -> Checked {
        let case = &self.vaults().cases[index];
        if case.shelf.is_destroyed(&key.id) {
            return Ok(());
        }
        self.judge_word(index, key, fields, "an attestation")
    }

    /// Of what a node attested to have destroyed nothing can be read there any more, whatever ciphertext a crash or an older copy
    /// of the disk may have kept.
    pub(super) fn check_destroyed(&mut self, index: usize, id: &DocumentId) -> Checked {
        self.oracle.count("erased is gone");
        if self.vaults().cases[index].shelf.has_bytes_of(id) {
            return broken("erased is gone", format!("the key of {id} can still be read at node {index}"));
        }
        Ok(())
    }

    /// A vault that came back still has what it signed for, and what was staged at it.
    pub(super) fn check_promises(&mut self, index: usize) -> Checked {
        if !self.keeps_faith(index) {
            return Ok(());
        }
        let case = &self.vaults().cases[index];
        let (promised, staged) = (case.promised.clone(), case.staged.clone());
        for (key, fields) in promised {
            self.oracle.count("receipts are durable");
            let Some(case) = self.vaults.as_ref().map(|vaults| &vaults.cases[index]) else { continue };
            let possession = |_: &Disk| case.vault.as_ref().and_then(|vault| vault.possession(&key).ok());
            let has = self.nodes[index].disk.look(possession).unwrap_or_default();
            if !case.shelf.is_destroyed(&key.id) && !fields.is_subset(&has) {
                let what = format!("node {index} signed for {fields:?} of {key}, after its restart it has {has:?}");
                return broken("receipts are durable", what);
            }
        }
        for key in staged {
            self.oracle.count("staged is durable");
            let is_destroyed = self.vaults().cases[index].shelf.is_destroyed(&key.id);
            if !is_destroyed && !self.lies_at(index, &key) {
                let what = format!("{key} was staged at node {index}, after its restart it is gone");
                return broken("staged is durable", what);
            }
        }
        Ok(())
    }
}
