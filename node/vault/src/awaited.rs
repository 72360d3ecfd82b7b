//! Whose word erasures wait for: followed from the chain, so that whoever is past a deadline is named, and an erasure is closed
//! in the block in which its deadline has passed.
//!
//! Deliberately not here: what is destroyed and attested at this node (`erasure.rs`), and whose fault it is.

use std::collections::{BTreeMap, BTreeSet};

use vouch_ledger::{Batch, Table};
use vouch_types::document::ErasureState;

use crate::{
    chain::Unattested,
    disk::{Disk, Kind, put, read, row},
    vault::{Vault, VaultError},
    words::{DocumentId, VersionKey},
};

/// Erasures that were ordered and wait for somebody's word, or were closed without it.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    all: BTreeMap<DocumentId, Unattested>,
    /// Deadlines of those that are open.
    deadlines: BTreeSet<(u64, DocumentId)>,
}

impl Awaited {
    pub(crate) fn restore(disk: &Disk) -> Result<Self, VaultError> {
        let mut awaited = Self::default();
        for (key, value) in disk.scan(Table::Vault, &[Kind::Awaited as u8], None, usize::MAX)? {
            let id = key.get(1..).and_then(|id| <[u8; 16]>::try_from(id).ok());
            let id = id.ok_or(VaultError::Damaged { what: "the document that an erasure is of" })?;
            awaited.note(DocumentId::new(id), Some(read(&value)?));
        }
        Ok(awaited)
    }

    /// Says whether anything changed.
    fn note(&mut self, id: DocumentId, now: Option<Unattested>) -> bool {
        let before = self.all.get(&id);
        if before == now.as_ref() {
            return false;
        }
        if let Some(before) = before {
            self.deadlines.remove(&(before.deadline_ms, id));
        }
        match now {
            Some(now) => {
                if now.is_open {
                    self.deadlines.insert((now.deadline_ms, id));
                }
                self.all.insert(id, now);
            }
            None => {
                self.all.remove(&id);
            }
        }
        true
    }

    /// The next open one whose deadline has passed; each once.
    fn pop_due(&mut self, now_ms: u64) -> Option<DocumentId> {
        let (deadline, _) = self.deadlines.first()?;
        if *deadline > now_ms { None } else { self.deadlines.pop_first().map(|(_, id)| id) }
    }
}

/// An erasure whose deadline has passed without the word of every holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueErasure {
    /// The document.
    pub id: DocumentId,
    /// When it should have been done, in milliseconds since 1970.
    pub deadline_ms: u64,
    /// Members that have not attested, ascending.
    pub members: Vec<String>,
}

/// Whose word those erasures wait for that this vault's member was ordered to carry out, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwaitedErasures {
    /// How many wait for somebody, their deadlines passed or not.
    pub waiting: usize,
    /// Those past their deadlines, by document.
    pub overdue: Vec<OverdueErasure>,
    /// The time of the chain by which that was judged, in milliseconds since 1970.
    pub now_ms: u64,
}

impl Vault {
    /// Looks up whose word the erasure of a document waits for.
    pub(crate) fn await_erasure(&mut self, id: &DocumentId) -> Result<(), VaultError> {
        let facts = self.chain.document(&VersionKey { id: *id, version: 1 })?;
        let was_ordered = facts.is_some_and(|facts| facts.erasure != ErasureState::None);
        let now = if was_ordered { self.chain.unattested(id, &self.member)? } else { None };
        let place = row(Kind::Awaited, &[id.as_bytes()]);
        let mut batch = Batch::new();
        match &now {
            Some(now) => put(&mut batch, place, now),
            None => batch.delete(Table::Vault, place),
        }
        if self.awaited.note(*id, now) { self.disk.apply(batch) } else { Ok(()) }
    }

    /// Has erasures closed whose deadlines have passed. What does not get there is found by the next look through all documents.
    pub(crate) fn close_overdue(&mut self) -> Result<(), VaultError> {
        let now_ms = self.chain.time().0;
        while let Some(id) = self.awaited.pop_due(now_ms) {
            self.move_erasure_on(&id, false)?;
        }
        Ok(())
    }

    /// Whose word erasures wait for that this member was ordered to carry out, too.
    #[must_use]
    pub fn awaited_erasures(&self) -> AwaitedErasures {
        let now_ms = self.chain.time().0;
        let all = &self.awaited.all;
        let overdue = all.iter().filter(|(_, awaited)| awaited.deadline_ms <= now_ms || !awaited.is_open);
        let named = |(id, awaited): (&DocumentId, &Unattested)| OverdueErasure {
            id: *id,
            deadline_ms: awaited.deadline_ms,
            members: awaited.members.clone(),
        };
        AwaitedErasures { waiting: all.len(), overdue: overdue.map(named).collect(), now_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deadline_comes_once_and_only_while_it_is_open() {
        let id = |n: u8| DocumentId::new([n; 16]);
        let of =
            |deadline_ms: u64, is_open: bool| Some(Unattested { deadline_ms, members: vec!["shop".into()], is_open });
        let mut awaited = Awaited::default();
        assert!(awaited.note(id(1), of(50, true)) && !awaited.note(id(1), of(50, true)), "nothing changed");
        assert!(awaited.note(id(2), of(30, true)) && awaited.note(id(3), of(10, false)));
        assert_eq!(awaited.pop_due(29), None);
        assert_eq!((awaited.pop_due(50), awaited.pop_due(50), awaited.pop_due(50)), (Some(id(2)), Some(id(1)), None));
        // The order came anew with another deadline; then everyone had attested.
        assert!(awaited.note(id(1), of(70, true)) && awaited.note(id(1), of(90, true)));
        assert_eq!(awaited.pop_due(80), None);
        assert!(awaited.note(id(1), None) && !awaited.note(id(1), None));
        assert_eq!((awaited.pop_due(100), awaited.all.len()), (None, 2));
    }
}
