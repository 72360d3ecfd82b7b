//! What must hold of vaults at any time, and in the end: everything is where it belongs, can be read there, and is nowhere else.

use std::sync::Arc;

use vouch_ledger::{Table, View};
use vouch_types::document::FieldSet;
use vouch_vault::{Access, DocumentId, ReadRefusal, ReadRequest, VersionKey};

use super::{
    super::{
        disk::Disk,
        genesis::{self, member_name},
        oracle::{Checked, broken},
        world::World,
    },
    acts::PURPOSE,
    model::SLOTS,
    turn::now,
};
use crate::private::{Finder, Planted};

/// Tables of the vault.
const TABLES: [Table; 4] = [Table::Vault, Table::VaultCopies, Table::VaultKeys, Table::VaultAudit];

impl World {
    /// A disk is lost: what nobody else has is gone for good.
    pub fn lose_vault(&mut self, index: usize, everything: bool) {
        let Some(vaults) = &self.vaults else { return };
        if everything {
            // A copy made before would bring rows back whose keys are gone with the shelf.
            self.nodes[index].copy = None;
        }
        let all = FieldSet::first(SLOTS);
        let mut lost: Vec<(VersionKey, FieldSet)> = Vec::new();
        for key in vaults.papers.keys() {
            let others = (0..self.nodes.len()).filter(|other| *other != index && self.keeps_faith(*other));
            let left = others.filter(|other| self.lies_at(*other, key)).fold(FieldSet::new(), |left, other| {
                left.union(&vaults.cases[other].had.get(key).cloned().unwrap_or_default())
            });
            lost.push((*key, all.difference(&left)));
        }
        let vaults = self.vaults();
        for (key, fields) in lost {
            let paper = vaults.papers.get_mut(&key).expect("it was made");
            paper.lost = paper.lost.union(&fields);
        }
        vaults.cases[index].lose(everything);
    }

    /// Now and then.
    pub fn look_at_vaults(&mut self) -> Checked {
        if self.vaults.is_none() {
            return Ok(());
        }
        self.check_found()?;
        for index in (0..self.nodes.len()).filter(|index| self.keeps_faith(*index)).collect::<Vec<_>>() {
            let destroyed: Vec<DocumentId> = self.vaults().cases[index].destroyed.iter().copied().collect();
            for id in destroyed {
                self.check_destroyed(index, &id)?;
            }
        }
        let is_due = self.vaults().gone_on && self.vaults().acts_done * 2 >= self.vaults().plan.acts_max;
        if is_due && !self.vaults().settled {
            let unsettled = self.unsettled();
            self.vaults().settled = unsettled.is_none();
        }
        Ok(())
    }

    /// Consensus has gone on after the faults, with or without the vaults, which all run now.
    pub fn vaults_go_on(&mut self) {
        if self.vaults().plan.asleep {
            self.oracle.count("goes on without vaults");
        }
        self.vaults().gone_on = true;
        for index in 0..self.nodes.len() {
            self.vaults().cases[index].dozes_until_ms = 0;
            self.wake_vault(index, self.now_ms + 1);
        }
    }

    /// Faults have ended.
    pub fn heal_vaults(&mut self, until_ms: u64) {
        let Some(vaults) = &mut self.vaults else { return };
        let is_asleep = vaults.plan.asleep;
        for case in &mut vaults.cases {
            case.dozes_until_ms = if is_asleep { until_ms } else { 0 };
        }
        if is_asleep {
            self.oracle.mark("all vaults stand still");
            return;
        }
        for index in 0..self.nodes.len() {
            self.wake_vault(index, self.now_ms + 1);
        }
    }

    /// Faithful nodes that must have everything in the end.
    fn holders(&self) -> Vec<usize> {
        self.expected().into_iter().filter(|index| self.keeps_faith(*index)).collect()
    }

    /// What a faithful node still lacks; `None` when each has what it is to have, has said so, and nothing erased is left.
    pub fn unsettled(&self) -> Option<String> {
        let vaults = self.vaults.as_ref()?;
        let papers = &self.oracle.latest().papers;
        for index in self.holders() {
            let case = &vaults.cases[index];
            let name = member_name(case.member);
            let Some(vault) = &case.vault else { return Some(format!("vault {index} does not run")) };
            for key in papers.versions() {
                let record = &papers.documents[&key.id];
                let has = vault.possession(&key).unwrap_or_default();
                if record.is_erased() {
                    if !has.is_empty() || self.copies_at(index, &key.id) > 0 {
                        return Some(format!("node {index} still has {has:?} of {key}, which is erased"));
                    }
                    if record.holders.contains(&name) && !record.attested.contains(&name) {
                        return Some(format!("node {index} does not attest that {key} is destroyed"));
                    }
                    continue;
                }
                let lost = vaults.papers.get(&key).map_or_else(FieldSet::new, |paper| paper.lost.clone());
                let due = papers.entitled(&key, &name).difference(&lost);
                if !due.is_subset(&has) {
                    return Some(format!("node {index} has {has:?} of {due:?} of {key}: {:?}", vault.status()));
                }
                let said = record.possessions.get(&(name.clone(), key.version)).cloned().unwrap_or_default();
                if lost.is_empty() && !due.is_subset(&said) {
                    return Some(format!("node {index} has said {said:?} of {due:?} of {key}: {:?}", vault.status()));
                }
            }
        }
        None
    }

    /// In the end.
    pub fn finish_vaults(&mut self) -> Checked {
        if self.vaults.is_none() {
            return Ok(());
        }
        self.check_found()?;
        let keys: Vec<VersionKey> = self.oracle.latest().papers.versions().collect();
        for index in self.holders() {
            for key in &keys {
                self.check_reading(index, key)?;
            }
        }
        self.check_words()?;
        self.check_stores()?;
        self.check_leaks()
    }

    /// A node shows its own member's account what the model opens to it, as it was planted, and nothing else.
    pub(super) fn check_reading(&mut self, index: usize, key: &VersionKey) -> Checked {
        let (now, head) = (now(&self.nodes[index], self.now_ms), self.head_of(index));
        let member = self.vaults().cases[index].member;
        let allowed = self.oracle.model_at(head).papers.entitled(key, &member_name(member));
        let is_at_head = self.nodes[index].replica.as_ref().is_some_and(|r| r.ledger().head().height.0 == head);
        let actor = genesis::secret("account", member).public().account();
        let request = ReadRequest { actor, key: *key, fields: None, purpose: PURPOSE.into(), access: Access::Read };
        let vaults = self.vaults();
        let lost = vaults.papers.get(key).map_or_else(FieldSet::new, |paper| paper.lost.clone());
        let (is_over, case) = (vaults.settled, &mut vaults.cases[index]);
        let Some(vault) = case.vault.as_mut().filter(|_| is_at_head) else { return Ok(()) };
        let answer = match vault.read(now, &request) {
            Ok(answer) => answer,
            Err(error) => return self.vault_stopped(index, &error),
        };
        self.oracle.count("documents are read");
        let wrong =
            |what: String| broken("documents are read", format!("{key} at node {index}, height {head}: {what}"));
        match answer {
            Ok(answer) => {
                let mut shown = FieldSet::new();
                for (slot, disclosure) in &answer.disclosures {
                    let said = disclosure.parse().map(|said| said.value);
                    let planted = self.vaults().papers[key].values.get(usize::from(*slot)).cloned();
                    if planted.is_none() || said.ok() != planted.map(serde_json::Value::String) {
                        return wrong(format!("slot {slot} is not what was planted"));
                    }
                    shown.insert(*slot);
                }
                if !shown.is_subset(&allowed) || (is_over && shown != allowed) {
                    return wrong(format!("{shown:?} is shown of {allowed:?}"));
                }
            }
            Err(refusal) => {
                let is_lost = !lost.is_empty() && refusal == ReadRefusal::NotHere;
                if is_over && !allowed.is_empty() && !is_lost {
                    return wrong(format!("{allowed:?} is refused: {refusal}"));
                }
            }
        }
        self.step_vault(index, Vec::new())
    }

    /// What stands on the chain, and what issuers keep, of faithful holders, these have signed.
    fn check_words(&mut self) -> Checked {
        let papers = self.oracle.latest().papers.clone();
        for index in self.holders() {
            let name = member_name(self.vaults().cases[index].member);
            for (id, record) in &papers.documents {
                for ((member, version), fields) in &record.possessions {
                    let key = VersionKey { id: *id, version: *version };
                    let signed = self.vaults().cases[index].signed.get(&key).cloned().unwrap_or_default();
                    if *member == name && !fields.is_subset(&signed) {
                        return broken(
                            "receipts are true",
                            format!("{fields:?} of {key} stand on the chain for {name}"),
                        );
                    }
                    self.oracle.count("receipts are true");
                }
            }
            self.check_receipts(index)?;
        }
        Ok(())
    }

    fn check_receipts(&mut self, index: usize) -> Checked {
        let keys: Vec<VersionKey> = self.vaults().papers.keys().copied().collect();
        for key in keys {
            let receipts = self.vaults().cases[index].vault.as_ref().and_then(|vault| vault.receipts(&key).ok());
            for receipt in receipts.unwrap_or_default() {
                let holder = self.nodes.iter().position(|node| node.peer == receipt.holder);
                let Some(holder) = holder.filter(|holder| self.keeps_faith(*holder)) else { continue };
                let signed = self.vaults().cases[holder].signed.get(&key).cloned().unwrap_or_default();
                self.oracle.count("receipts are true");
                if !receipt.fields.is_subset(&signed) || !receipt.verifies(&self.oracle.chain_id) {
                    let what = format!("node {index} keeps a receipt of {holder} for {:?} of {key}", receipt.fields);
                    return broken("receipts are true", what);
                }
            }
        }
        Ok(())
    }

    /// Nothing lies at a faithful node that its member was never to have.
    fn check_stores(&mut self) -> Checked {
        for index in (0..self.nodes.len()).filter(|index| self.keeps_faith(*index)).collect::<Vec<_>>() {
            let member = self.vaults().cases[index].member;
            let rows = |disk: &Disk| disk.scan(Table::VaultCopies, &[], None, usize::MAX).unwrap_or_default();
            for (row, _) in self.nodes[index].disk.look(rows) {
                self.oracle.count("nothing lies outside");
                let key = VersionKey::from_bytes(&row);
                let ever = key.map(|key| self.ever_entitled(&key, &member_name(member), self.oracle.height()));
                let is_own =
                    key.and_then(|key| self.vaults().papers.get(&key)).is_some_and(|paper| paper.issuer == member);
                if !is_own && ever.is_none_or(|ever| ever.is_empty()) {
                    return broken("nothing lies outside", format!("node {index} keeps {key:?}"));
                }
            }
        }
        Ok(())
    }

    /// No planted value, and no hash of one without salt, is in anything that was sent, written or logged.
    fn check_leaks(&mut self) -> Checked {
        let vaults = self.vaults();
        let mut planted = Planted::default();
        for (number, paper) in vaults.papers.values().enumerate() {
            paper.values.iter().for_each(|value| planted.add(format!("document {number}"), value));
        }
        if planted.is_empty() {
            return Ok(());
        }
        let mut finder = Finder::new(&planted).unwrap();
        for message in &vaults.sent {
            finder.look("a message", message);
        }
        finder.look("a log", &vaults.heard.bytes());
        for (index, case) in vaults.cases.iter().enumerate() {
            for (_, _, bytes) in case.blobs.content() {
                finder.look(&format!("a file of node {index}"), &bytes);
            }
        }
        // Of the ledger one is enough: that all are the same was judged.
        let best = (0..self.nodes.len()).max_by_key(|index| self.nodes[*index].reported);
        for index in 0..self.nodes.len() {
            let disk: Arc<Disk> = Arc::clone(&self.nodes[index].disk);
            for table in Table::ALL.into_iter().filter(|table| Some(index) == best || TABLES.contains(table)) {
                let rows = disk.look(|disk| disk.scan(table, &[], None, usize::MAX).unwrap_or_default());
                for (key, value) in rows {
                    finder.look(&format!("{table:?} of node {index}"), &key);
                    finder.look(&format!("{table:?} of node {index}"), &value);
                }
            }
        }
        *self.oracle.counts.entry("nothing in plain").or_default() += finder.traces.pieces;
        match finder.traces.found.first() {
            Some(trace) => {
                broken("nothing in plain", format!("{} holds {} as {}", trace.place, trace.label, trace.form))
            }
            None => Ok(()),
        }
    }
}
