//! A model of the chain: blocks of changes, and every answer as of a height. Its access rule is a list of who may see what.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use vouch_privacy::SchemaFields;
use vouch_types::{
    AccountId, Hash32, Height, TimestampMs,
    document::{Audience, Decision, Entitled, ErasureState, KeyEntitled, PublicField},
};
use vouch_vault::{
    Act, Chain, ChainChange, ChainError, DocumentId, ErasureStep, Facts, FieldSet, Listed, Question, Scope, Unattested,
    VersionKey,
};

use crate::support::{SLOTS, schema};

/// Since which height a value holds.
type Since<T> = Vec<(u64, T)>;

#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub members: BTreeMap<String, FieldSet>,
    pub keys: Vec<([u8; 32], FieldSet)>,
}

#[derive(Debug, Clone)]
struct VersionRecord {
    height: u64,
    root: [u8; 32],
    blob_root: Option<[u8; 32]>,
    public: Vec<PublicField>,
    rules: Since<Rules>,
}

#[derive(Debug, Clone)]
struct DocumentRecord {
    number: u64,
    issuer: String,
    parties: Vec<String>,
    versions: Vec<VersionRecord>,
    erasure: Since<ErasureState>,
}

#[derive(Debug, Default)]
pub struct Ledger {
    documents: BTreeMap<DocumentId, DocumentRecord>,
    order: Vec<DocumentId>,
    blocks: Vec<(u64, Vec<ChainChange>)>,
    /// The contracts do not answer.
    pub is_frozen: bool,
    /// The time of the next block.
    pub now_ms: u64,
    /// Erasures that can go on by themselves, and since when.
    pub due: BTreeMap<DocumentId, (ErasureStep, u64)>,
    /// Until when holders have to attest; whose is not here has all time.
    pub deadlines: BTreeMap<DocumentId, u64>,
    /// What nodes said by themselves: member, act.
    pub acts: Vec<(String, Act)>,
}

/// The chain that all nodes share.
#[derive(Debug, Clone, Default)]
pub struct Shared(pub Arc<Mutex<Ledger>>);

impl Ledger {
    pub fn height(&self) -> u64 {
        self.blocks.len() as u64
    }

    pub fn block(&self, height: u64) -> Vec<ChainChange> {
        self.blocks[height as usize - 1].1.clone()
    }

    /// A block of the next height.
    pub fn push(&mut self, changes: Vec<ChainChange>) {
        self.blocks.push((self.now_ms, changes));
    }

    fn time_at(&self, height: u64) -> u64 {
        (height as usize).checked_sub(1).and_then(|at| self.blocks.get(at)).map_or(0, |(time, _)| *time)
    }

    #[expect(clippy::too_many_arguments, reason = "a transaction says all of this")]
    pub fn submit(
        &mut self,
        key: VersionKey,
        issuer: &str,
        parties: Vec<String>,
        root: [u8; 32],
        blob_root: Option<[u8; 32]>,
        public: Vec<PublicField>,
        rules: Rules,
    ) {
        let height = self.height() + 1;
        let number = self.order.len() as u64 + 1;
        let record = self.documents.entry(key.id).or_insert_with(|| {
            self.order.push(key.id);
            DocumentRecord { number, issuer: issuer.into(), parties, versions: Vec::new(), erasure: Vec::new() }
        });
        assert_eq!(record.versions.len() as u32 + 1, key.version);
        record.versions.push(VersionRecord { height, root, blob_root, public, rules: vec![(height, rules)] });
        self.push(vec![ChainChange::Version(key)]);
    }

    /// Changes who is to hold a version, and says so with `change`.
    pub fn change_rules(&mut self, key: &VersionKey, change: ChainChange, alter: impl FnOnce(&mut Rules)) {
        let height = self.height() + 1;
        let version = &mut self.documents.get_mut(&key.id).unwrap().versions[key.version as usize - 1];
        let mut rules = version.rules.last().unwrap().1.clone();
        alter(&mut rules);
        version.rules.push((height, rules));
        self.push(vec![change]);
    }

    pub fn erase(&mut self, id: &DocumentId, state: ErasureState) {
        let height = self.height() + 1;
        self.documents.get_mut(id).unwrap().erasure.push((height, state));
        self.push(vec![ChainChange::Erasure(*id)]);
    }

    pub fn versions(&self) -> Vec<VersionKey> {
        let each = self
            .documents
            .iter()
            .flat_map(|(id, record)| (1..=record.versions.len() as u32).map(|version| VersionKey { id: *id, version }));
        each.collect()
    }

    pub fn issuer(&self, id: &DocumentId) -> String {
        self.documents[id].issuer.clone()
    }

    pub fn root(&self, key: &VersionKey) -> [u8; 32] {
        self.documents[&key.id].versions[key.version as usize - 1].root
    }

    pub fn erasure_at(&self, id: &DocumentId, height: u64) -> ErasureState {
        self.documents.get(id).and_then(|record| at(&record.erasure, height).copied()).unwrap_or(ErasureState::None)
    }

    fn version_at(&self, key: &VersionKey, height: u64) -> Option<&VersionRecord> {
        self.version_of(key, height).filter(|_| !self.is_frozen)
    }

    fn version_of(&self, key: &VersionKey, height: u64) -> Option<&VersionRecord> {
        let version = self.documents.get(&key.id)?.versions.get((key.version as usize).checked_sub(1)?)?;
        (version.height <= height).then_some(version)
    }

    pub fn fields_at(&self, key: &VersionKey, member: &str, height: u64) -> FieldSet {
        let rules = self.version_of(key, height).and_then(|version| at(&version.rules, height));
        rules.and_then(|rules| rules.members.get(member).cloned()).unwrap_or_default()
    }

    /// Who has to destroy a document.
    fn holders(&self, id: &DocumentId, height: u64) -> BTreeSet<String> {
        let versions = self.documents.get(id).map_or(0, |record| record.versions.len() as u32);
        let rules = (1..=versions).filter_map(|version| {
            let version = self.version_of(&VersionKey { id: *id, version }, height)?;
            at(&version.rules, height)
        });
        rules
            .flat_map(|rules| rules.members.iter())
            .filter(|(_, fields)| !fields.is_empty())
            .map(|of| of.0.clone())
            .collect()
    }

    fn has_attested(&self, id: &DocumentId, member: &str) -> bool {
        let said = |act: &Act| matches!(act, Act::AttestErasure { id: of, .. } if of == id);
        self.acts.iter().any(|(who, act)| who == member && said(act))
    }

    /// Everything a member was ever to hold of a version.
    pub fn fields_ever(&self, key: &VersionKey, member: &str) -> FieldSet {
        let Some(version) = self.version_of(key, u64::MAX) else { return FieldSet::new() };
        let each = version.rules.iter().filter_map(|(_, rules)| rules.members.get(member));
        each.fold(FieldSet::new(), |all, fields| all.union(fields))
    }
}

fn at<T>(since: &Since<T>, height: u64) -> Option<&T> {
    since.iter().rev().find(|(from, _)| *from <= height).map(|(_, value)| value)
}

pub fn account(member: &str) -> AccountId {
    AccountId(*blake3::hash(member.as_bytes()).as_bytes())
}

/// One node's view of it.
pub struct NodeChain {
    pub shared: Shared,
    pub head: Arc<AtomicU64>,
    /// A liar's view: everybody may have everything.
    pub believes_all: bool,
}

impl NodeChain {
    fn at(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
    }
}

impl Chain for NodeChain {
    fn head(&self) -> Height {
        Height(self.at())
    }

    fn time(&self) -> TimestampMs {
        TimestampMs(self.shared.0.lock().time_at(self.at()))
    }

    fn is_answering(&self) -> Result<bool, ChainError> {
        Ok(!self.shared.0.lock().is_frozen)
    }

    fn document(&self, key: &VersionKey) -> Result<Option<Facts>, ChainError> {
        let ledger = self.shared.0.lock();
        Ok(ledger.version_at(key, self.at()).map(|version| Facts {
            issuer: ledger.issuer(&key.id),
            schema: schema(),
            root: version.root,
            blob_root: version.blob_root,
            public: version.public.clone(),
            erasure: ledger.erasure_at(&key.id, self.at()),
        }))
    }

    fn audience(&self, key: &VersionKey) -> Result<Audience, ChainError> {
        let ledger = self.shared.0.lock();
        let rules = ledger.version_at(key, self.at()).and_then(|version| at(&version.rules, self.at()));
        if self.believes_all && rules.is_some() {
            let all = |member| Entitled { member: format!("m{member}"), fields: FieldSet::first(SLOTS), basis: 1 };
            return Ok(Audience { members: (0..8).map(all).collect(), keys: Vec::new() });
        }
        Ok(rules.map_or_else(Audience::default, |rules| Audience {
            members: rules
                .members
                .iter()
                .map(|(member, fields)| Entitled { member: member.clone(), fields: fields.clone(), basis: 1 })
                .collect(),
            keys: rules
                .keys
                .iter()
                .map(|(key, fields)| KeyEntitled { key: Hash32(*key), fields: fields.clone() })
                .collect(),
        }))
    }

    fn may(&self, question: &Question) -> Result<Decision, ChainError> {
        let ledger = self.shared.0.lock();
        let rules = ledger.version_at(&question.key, self.at()).and_then(|version| at(&version.rules, self.at()));
        let found = rules.and_then(|rules| rules.members.iter().find(|(member, _)| account(member) == question.actor));
        let fields = found.filter(|_| question.purpose == "settlement").map(|(_, fields)| fields.clone());
        let reason = if fields.is_some() { "ok" } else { "not_entitled" };
        Ok(Decision {
            allowed: fields.is_some(),
            fields: fields.unwrap_or_default(),
            basis: 1,
            reason: reason.into(),
            actor: None,
        })
    }

    fn schema(&self, name: &str, version: u32) -> Result<Option<Arc<SchemaFields>>, ChainError> {
        Ok((name == "order" && version == 1 && !self.shared.0.lock().is_frozen).then(schema))
    }

    fn documents(&self, scope: &Scope, after: u64, limit: u32) -> Result<Vec<Listed>, ChainError> {
        let ledger = self.shared.0.lock();
        let each = ledger.order.iter().map(|id| (id, &ledger.documents[id])).filter_map(|(id, record)| {
            let latest = record.versions.iter().filter(|version| version.height <= self.at()).count() as u32;
            let named = match scope {
                Scope::All => true,
                Scope::Party(party) => record.parties.contains(party),
            };
            let number = record.number;
            (latest > 0 && named && number > after && !ledger.is_frozen).then_some(Listed { number, id: *id, latest })
        });
        Ok(each.take(limit as usize).collect())
    }

    fn awaits_erasure(&self, id: &DocumentId, member: &str) -> Result<bool, ChainError> {
        let ledger = self.shared.0.lock();
        let is_ordered = ledger.erasure_at(id, self.at()) == ErasureState::Ordered;
        Ok(is_ordered && !ledger.has_attested(id, member) && ledger.holders(id, self.at()).contains(member))
    }

    fn said_possession(&self, key: &VersionKey, member: &str) -> Result<FieldSet, ChainError> {
        let ledger = self.shared.0.lock();
        let of_member = ledger.acts.iter().filter(|(who, _)| who == member);
        let said =
            of_member.filter_map(|(_, act)| if let Act::AttestPossession(said) = act { Some(said) } else { None });
        let newest = said.flatten().rfind(|said| said.id == key.id && said.version == key.version);
        Ok(newest.map(|said| said.fields.clone()).unwrap_or_default())
    }

    fn unattested(&self, id: &DocumentId, member: &str) -> Result<Option<Unattested>, ChainError> {
        let ledger = self.shared.0.lock();
        let state = ledger.erasure_at(id, self.at());
        let holders = ledger.holders(id, self.at());
        if !matches!(state, ErasureState::Ordered | ErasureState::Erased) || !holders.contains(member) {
            return Ok(None);
        }
        let members: Vec<String> = holders.into_iter().filter(|holder| !ledger.has_attested(id, holder)).collect();
        let deadline_ms = ledger.deadlines.get(id).copied().unwrap_or(u64::MAX);
        let is_open = state == ErasureState::Ordered;
        Ok((!members.is_empty()).then_some(Unattested { deadline_ms, members, is_open }))
    }

    fn due_step(&self, id: &DocumentId) -> Result<Option<(ErasureStep, u64)>, ChainError> {
        let ledger = self.shared.0.lock();
        let state = ledger.erasure_at(id, self.at());
        let fits = |step| match step {
            ErasureStep::Order => state == ErasureState::Restricted,
            ErasureStep::Close => state == ErasureState::Ordered,
        };
        let due = ledger.due.get(id).copied();
        Ok(due.filter(|(step, since)| fits(*step) && *since <= ledger.time_at(self.at())))
    }

    fn latest(&self, id: &DocumentId) -> Result<Option<u32>, ChainError> {
        let ledger = self.shared.0.lock();
        let count = ledger
            .documents
            .get(id)
            .map(|record| record.versions.iter().filter(|version| version.height <= self.at()).count() as u32);
        Ok(count.filter(|count| *count > 0 && !ledger.is_frozen))
    }
}
