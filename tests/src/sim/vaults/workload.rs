//! Documents of business systems: made, staged and submitted, revised, granted, closed again, erased, read.

use std::collections::BTreeSet;

use vouch_types::document::{ErasureState, FieldSet};
use vouch_vault::VersionKey;

use super::{
    super::{
        genesis::member_name,
        mutants::Mutant,
        oracle::{Checked, broken},
        world::{Event, World},
    },
    model::{PaperOp, SLOTS},
    papers::{self, Paper},
    turn::now,
};

impl World {
    /// The next act with documents.
    pub fn paper_act(&mut self) -> Checked {
        let plan = self.vaults().plan.clone();
        if self.vaults().acts_done >= plan.acts_max {
            return Ok(());
        }
        let wait = self.vaults().rng.range(1, plan.act_every_ms * 2);
        self.at(self.now_ms + wait, Event::Paper);
        let nodes = self.plan.nodes.len();
        let index = self.vaults().rng.index(nodes);
        if !self.keeps_faith(index) || self.vaults().cases[index].vault.is_none() {
            return Ok(());
        }
        if self.oracle.latest().papers.schemas == 0 {
            self.decide_on_schema(index);
            return Ok(());
        }
        self.vaults().acts_done += 1;
        let choice = self.vaults().rng.below(100);
        match choice {
            0..=44 => self.publish(index, None),
            45..=54 => self.revise(index),
            55..=69 => self.grant(index),
            70..=77 => self.end_grant(index),
            78..=86 => self.erase(index),
            _ => self.read(index),
        }
    }

    /// Versions that a member issued and nobody asked to erase.
    fn own(&self, member: usize) -> Vec<VersionKey> {
        let papers = &self.oracle.latest().papers;
        let name = member_name(member);
        let is_own = |key: &VersionKey| {
            papers.documents.get(&key.id).is_some_and(|r| r.issuer == name && r.erasure == ErasureState::None)
        };
        papers.versions().filter(is_own).collect()
    }

    fn pick_own(&mut self, index: usize) -> Option<VersionKey> {
        let member = self.vaults().cases[index].member;
        let own = self.own(member);
        (!own.is_empty()).then(|| *self.vaults().rng.pick(&own))
    }

    fn publish(&mut self, index: usize, before: Option<&Paper>) -> Checked {
        let chain = self.oracle.chain_id;
        let members = self.oracle.latest().members.len();
        let vaults = self.vaults();
        let issuer = vaults.cases[index].member;
        let mut partners = BTreeSet::new();
        for other in (0..members).filter(|other| *other != issuer) {
            if vaults.rng.chance(500) {
                partners.insert(member_name(other));
            }
        }
        let schema = std::sync::Arc::clone(&vaults.schema);
        let paper = papers::make((chain, &schema), issuer, before, partners, &mut vaults.rng);
        if vaults.papers.contains_key(&paper.key) {
            return Ok(());
        }
        vaults.papers.insert(paper.key, paper.clone());
        self.stage(index, &paper)
    }

    /// Hands a document to its node, and submits it, most of the time.
    fn stage(&mut self, index: usize, paper: &Paper) -> Checked {
        let now = now(&self.nodes[index], self.now_ms);
        let Some(vault) = &mut self.vaults().cases[index].vault else { return Ok(()) };
        match vault.stage(now, &paper.delivery, paper.root) {
            Err(error) => return self.vault_stopped(index, &error),
            Ok(Err(refusal)) => {
                self.note(|| format!("vault {index} does not stage {}: {refusal}", paper.key));
                self.oracle.mark("document not staged");
                return Ok(());
            }
            Ok(Ok(_)) => self.oracle.mark("document staged"),
        }
        self.vaults().cases[index].had.insert(paper.key, FieldSet::first(SLOTS));
        self.vaults().cases[index].staged.insert(paper.key);
        self.vaults().cases[index].shelf.keep();
        if self.mutant == Some(Mutant::LogValues) {
            tracing::info!(value = paper.values[1], "staged");
        }
        self.note(|| format!("vault {index} stages {} for {:?}", paper.key, paper.partners));
        let life = self.nodes[index].life;
        self.step_vault(index, Vec::new())?;
        if self.nodes[index].life != life || self.vaults().rng.chance(80) {
            return Ok(());
        }
        let (id, root, partners) = (paper.key.id, paper.root, paper.partners.clone());
        let op = match paper.previous {
            None => PaperOp::Submit { id, root, partners },
            Some(previous) => PaperOp::Revise { id, previous, root, partners },
        };
        let call = self.call_of(&op);
        let Some(vault) = &self.vaults().cases[index].vault else { return Ok(()) };
        match vault.admits(core::slice::from_ref(&call)) {
            Err(error) => self.vault_stopped(index, &error),
            Ok(Err(refusal)) => broken("staged passes", format!("vault {index} refuses {}: {refusal}", paper.key)),
            Ok(Ok(())) => {
                self.submit_paper(index, paper.issuer, op, call);
                Ok(())
            }
        }
    }

    fn revise(&mut self, index: usize) -> Checked {
        let Some(key) = self.pick_own(index) else { return self.publish(index, None) };
        let latest = self.oracle.latest().papers.documents[&key.id].latest();
        let Some(before) = self.vaults().papers.get(&VersionKey { version: latest, ..key }).cloned() else {
            return Ok(());
        };
        self.publish(index, Some(&before))
    }

    fn grant(&mut self, index: usize) -> Checked {
        let Some(key) = self.pick_own(index) else { return self.publish(index, None) };
        let members = self.oracle.latest().members.len();
        let vaults = self.vaults();
        let issuer = vaults.cases[index].member;
        let to = vaults.rng.index(members);
        let fields: FieldSet = (0..SLOTS).filter(|_| vaults.rng.chance(600)).collect();
        if to == issuer || fields.is_empty() {
            return Ok(());
        }
        self.oracle.mark("fields granted");
        let op = PaperOp::Grant { key, member: member_name(to), fields };
        let call = self.call_of(&op);
        self.submit_paper(index, issuer, op, call);
        Ok(())
    }

    fn end_grant(&mut self, index: usize) -> Checked {
        let member = self.vaults().cases[index].member;
        let own = self.own(member);
        let grants = &self.oracle.latest().papers.grants;
        let open: Vec<u64> = grants.iter().filter(|(_, key)| own.contains(key)).map(|(number, _)| *number).collect();
        if open.is_empty() {
            return self.grant(index);
        }
        self.oracle.mark("grant ended");
        let op = PaperOp::EndGrant { number: *self.vaults().rng.pick(&open) };
        let call = self.call_of(&op);
        self.submit_paper(index, member, op, call);
        Ok(())
    }

    fn erase(&mut self, index: usize) -> Checked {
        let Some(key) = self.pick_own(index) else { return self.publish(index, None) };
        self.oracle.mark("erasure asked for");
        let member = self.vaults().cases[index].member;
        let op = PaperOp::RequestErasure { id: key.id };
        let call = self.call_of(&op);
        self.submit_paper(index, member, op, call);
        Ok(())
    }

    fn read(&mut self, index: usize) -> Checked {
        let keys: Vec<VersionKey> = self.oracle.latest().papers.versions().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let key = *self.vaults().rng.pick(&keys);
        self.check_reading(index, &key)
    }
}
