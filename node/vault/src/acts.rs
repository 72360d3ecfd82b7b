//! What the node says on the chain by itself, through its service account: kept until it is settled there.

use std::collections::{BTreeMap, VecDeque};

use vouch_ledger::{Batch, Table};
use vouch_types::{Hash32, document::Possession};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    disk::{Disk, Kind, put, read, row, version_at_end},
    vault::{Effect, Vault, VaultError},
    words::{DocumentId, FieldSet, VersionKey},
};

/// One call of the contract `documents`. Each of them does the same when it is done twice.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Act {
    /// This member holds these.
    AttestPossession(Vec<Possession>),
    /// The private content was found to keep or break the rules.
    Judge {
        /// The version.
        key: VersionKey,
        /// Whether it keeps them.
        accepted: bool,
        /// Stable code of what it breaks.
        code: String,
    },
    /// Keys and ciphertext are gone here.
    AttestErasure {
        /// The document.
        id: DocumentId,
        /// Hash of the signed statement kept here.
        receipt: Hash32,
    },
    /// The read audit has come to this head.
    AnchorAudit {
        /// The head that was anchored before; all zero for the first.
        previous: Hash32,
        /// How many entries there are.
        entries: u64,
        /// Hash of the last one.
        head: Hash32,
    },
    /// An erasure can go on, and nobody's word is missing for that but the time that has passed.
    MoveErasure {
        /// The document.
        id: DocumentId,
        /// Where to.
        step: ErasureStep,
    },
}

/// How an erasure goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum ErasureStep {
    /// What was held back is ordered: neither law nor hold nor dispute keep the document any more.
    Order,
    /// The deadline has passed: it is closed, and those who have not attested are named.
    Close,
}

/// How an act ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActResult {
    /// It is in the chain.
    Done,
    /// The contract refused it, and will again: there is no point in repeating it.
    Refused(String),
    /// It did not get there; it is given out again later.
    Failed(String),
}

/// Acts that are not settled.
#[derive(Debug, Default)]
pub(crate) struct Acts {
    next: u64,
    open: BTreeMap<u64, Given>,
    /// Those that are to be given out, in turn: the node carries out a bounded number at a time.
    waiting: VecDeque<u64>,
    /// How many are given out.
    under_way: usize,
    /// When the possessions that lie in their rows become an act; `None` while there are none.
    gather_until: Option<u64>,
}

#[derive(Debug)]
struct Given {
    act: Act,
    /// Until when it is given out; `None` while it waits for its turn.
    until: Option<u64>,
}

impl Acts {
    pub(crate) fn read(disk: &Disk) -> Result<Self, VaultError> {
        let mut acts = Self::default();
        for (key, value) in disk.scan(Table::Vault, &[Kind::Act as u8], None, usize::MAX)? {
            let number = key[1..].try_into().map_err(|_| VaultError::Damaged { what: "an act's number" })?;
            let number = u64::from_be_bytes(number);
            acts.open.insert(number, Given { act: read(&value)?, until: None });
            acts.waiting.push_back(number);
            acts.next = number + 1;
        }
        Ok(acts)
    }

    pub(crate) fn due(&self) -> Option<u64> {
        let again = self.open.values().filter_map(|given| given.until);
        again.chain(self.gather_until).min()
    }

    /// Acts open, and those of them that are given out.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.open.len(), self.under_way)
    }

    /// Whether an act is on its way.
    pub(crate) fn has(&self, act: &Act) -> bool {
        self.open.values().any(|given| given.act == *act)
    }

    /// Whether the audit's anchor is on its way.
    pub(crate) fn is_anchoring(&self) -> bool {
        self.open.values().any(|given| matches!(given.act, Act::AnchorAudit { .. }))
    }
}

impl Vault {
    /// Gives an act out, durably.
    pub(crate) fn act(&mut self, act: Act) -> Result<(), VaultError> {
        self.act_with(Batch::new(), [act])
    }

    /// Gives acts out in one write with what they follow from: a power cut leaves all of it or nothing.
    pub(crate) fn act_with(&mut self, mut batch: Batch, acts: impl IntoIterator<Item = Act>) -> Result<(), VaultError> {
        for act in acts {
            let number = self.acts.next;
            self.acts.next += 1;
            put(&mut batch, row(Kind::Act, &[&number.to_be_bytes()]), &act);
            self.acts.open.insert(number, Given { act, until: None });
            self.acts.waiting.push_back(number);
        }
        self.disk.apply(batch)?;
        self.give_out()
    }

    /// Gives out as many acts as may be under way.
    fn give_out(&mut self) -> Result<(), VaultError> {
        while self.acts.under_way < self.limits.acts_max
            && let Some(number) = self.acts.waiting.pop_front()
        {
            self.leave_out_what_is_not_held(number)?;
            if let Some(given) = self.acts.open.get_mut(&number) {
                given.until = Some(self.now.steady_ms + self.limits.act_ms);
                self.acts.under_way += 1;
                self.out.push(Effect::Submit { number, act: given.act.clone() });
            }
        }
        Ok(())
    }

    /// A power cut in the middle of a step may leave the rows of a version, and what was to be said of it, without its key; and a
    /// copy may have been dropped since. That is said again once it is here whole.
    fn leave_out_what_is_not_held(&mut self, number: u64) -> Result<(), VaultError> {
        let Some(Given { act: Act::AttestPossession(list), .. }) = self.acts.open.get(&number) else { return Ok(()) };
        let mut held = Vec::with_capacity(list.len());
        for said in list {
            let key = VersionKey { id: said.id, version: said.version };
            if said.fields.is_subset(&self.openable(&key)?) {
                held.push(said.clone());
            }
        }
        if held.len() == list.len() {
            return Ok(());
        }
        let (mut batch, at) = (Batch::new(), row(Kind::Act, &[&number.to_be_bytes()]));
        if held.is_empty() {
            batch.delete(Table::Vault, at);
            self.acts.open.remove(&number);
        } else {
            let act = Act::AttestPossession(held);
            put(&mut batch, at, &act);
            self.acts.open.insert(number, Given { act, until: None });
        }
        self.disk.apply(batch)
    }

    /// Says on the chain that a version is held, together with others, once `batch` is written.
    pub(crate) fn attest_possession(&mut self, key: &VersionKey, fields: &FieldSet, batch: &mut Batch) {
        put(batch, row(Kind::Possession, &[&key.to_bytes()]), fields);
        self.acts.gather_until.get_or_insert(self.now.steady_ms + self.limits.possession_gather_ms);
    }

    /// Whether it is about to be said on the chain that a version is held.
    pub(crate) fn is_being_said(&self, key: &VersionKey) -> Result<bool, VaultError> {
        let is_it = |said: &Possession| said.id == key.id && said.version == key.version;
        let is_given = |given: &Given| matches!(&given.act, Act::AttestPossession(list) if list.iter().any(is_it));
        Ok(self.disk.has(&row(Kind::Possession, &[&key.to_bytes()]))? || self.acts.open.values().any(is_given))
    }

    pub(crate) fn resubmit_acts(&mut self) -> Result<(), VaultError> {
        self.acts.gather_until = Some(self.now.steady_ms);
        self.run_acts()
    }

    pub(crate) fn run_acts(&mut self) -> Result<(), VaultError> {
        let now = self.now.steady_ms;
        for (number, given) in &mut self.acts.open {
            if given.until.take_if(|until| *until <= now).is_some() {
                self.acts.under_way -= 1;
                self.acts.waiting.push_back(*number);
            }
        }
        self.give_out()?;
        while self.acts.gather_until.is_some_and(|until| until <= now) {
            self.acts.gather_until = Some(now + self.limits.possession_gather_ms);
            if self.acts.open.len() >= self.limits.acts_max {
                break;
            }
            let count = self.limits.possessions_max;
            let rows = self.disk.scan(Table::Vault, &[Kind::Possession as u8], None, count)?;
            if rows.len() < count {
                self.acts.gather_until = None;
            } else {
                self.acts.gather_until = Some(now);
            }
            if !rows.is_empty() {
                self.gather(rows)?;
            }
        }
        Ok(())
    }

    fn gather(&mut self, rows: Vec<vouch_ledger::storage::Entry>) -> Result<(), VaultError> {
        let mut batch = Batch::new();
        let mut possessions = Vec::with_capacity(rows.len());
        for (key, fields) in rows {
            let version = version_at_end(&key)?;
            possessions.push(Possession { id: version.id, version: version.version, fields: read(&fields)? });
            batch.delete(Table::Vault, key);
        }
        self.act_with(batch, [Act::AttestPossession(possessions)])
    }

    pub(crate) fn act_settled(&mut self, number: u64, result: ActResult) -> Result<(), VaultError> {
        let is_refused = matches!(result, ActResult::Refused(_));
        let settled = match result {
            ActResult::Done => true,
            ActResult::Refused(code) => {
                self.counters.acts_refused += 1;
                tracing::warn!(number, code, "the chain refused what this node says by itself");
                true
            }
            ActResult::Failed(why) => {
                tracing::debug!(number, why, "an act did not reach the chain");
                false
            }
        };
        if !settled {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.delete(Table::Vault, row(Kind::Act, &[&number.to_be_bytes()]));
        let given = self.acts.open.remove(&number);
        self.acts.under_way -= usize::from(given.as_ref().is_some_and(|given| given.until.is_some()));
        let given = given.map(|given| given.act);
        if let (Some(Act::AnchorAudit { entries, head, .. }), false) = (&given, is_refused) {
            self.audit_anchored(*entries, *head, &mut batch);
        }
        match given {
            // One of them is refused, perhaps since it is being erased: the others are said without it.
            Some(Act::AttestPossession(list)) if is_refused && list.len() > 1 => {
                let (first, second) = list.split_at(list.len() / 2);
                self.act_with(batch, [first, second].map(|part| Act::AttestPossession(part.to_vec())))
            }
            _ => self.act_with(batch, []),
        }
    }
}
