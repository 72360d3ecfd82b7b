//! What the contract of documents should hold, written a second time and more plainly, for the one schema of the
//! simulator: who may see what follows from who issued a version, who is its partner, and what was granted.

use std::collections::{BTreeMap, BTreeSet};

use vouch_types::{
    AccountId, Hash32,
    document::{ErasureState, FieldSet, Possession},
    encode,
};
use vouch_vault::{DocumentId, VersionKey};

/// Slots of the schema: all private, the last one for the issuer alone.
pub const SLOTS: u16 = 4;
/// Those of them that partners see.
pub const SHARED: u16 = 3;

/// A call of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaperOp {
    /// Decided by the members.
    RegisterSchema,
    Submit {
        id: DocumentId,
        root: [u8; 32],
        partners: BTreeSet<String>,
    },
    Revise {
        id: DocumentId,
        previous: [u8; 32],
        root: [u8; 32],
        partners: BTreeSet<String>,
    },
    Grant {
        key: VersionKey,
        member: String,
        fields: FieldSet,
    },
    EndGrant {
        number: u64,
    },
    RequestErasure {
        id: DocumentId,
    },
    AttestPossession(Vec<Possession>),
    AttestErasure {
        id: DocumentId,
    },
    AnchorAudit {
        log: String,
        previous: Hash32,
        entries: u64,
        head: Hash32,
    },
}

/// One version.
#[derive(Debug, Clone)]
pub struct Version {
    pub root: [u8; 32],
    pub partners: BTreeSet<String>,
    /// Fields beyond the rules, by grant and member.
    grants: BTreeMap<u64, (String, FieldSet)>,
}

/// One document.
#[derive(Debug, Clone)]
pub struct Record {
    pub issuer: String,
    pub versions: Vec<Version>,
    pub erasure: ErasureState,
    /// Who has to destroy it, once that is ordered.
    pub holders: BTreeSet<String>,
    pub attested: BTreeSet<String>,
    /// What members said they hold.
    pub possessions: BTreeMap<(String, u32), FieldSet>,
}

/// An audit as it was anchored last.
#[derive(Debug, Clone, Copy)]
pub struct Anchor {
    number: u64,
    pub entries: u64,
    pub head: Hash32,
}

/// The contract's state.
#[derive(Debug, Clone, Default)]
pub struct Papers {
    pub schemas: u32,
    pub documents: BTreeMap<DocumentId, Record>,
    /// Accounts that speak for nodes; all others are of people.
    pub services: BTreeSet<AccountId>,
    /// Grants that were not ended: which version they open.
    pub grants: BTreeMap<u64, VersionKey>,
    grants_made: u64,
    anchors: BTreeMap<(String, String), Anchor>,
}

impl Version {
    /// With partners that are all active.
    fn new(root: [u8; 32], partners: &BTreeSet<String>, members: &BTreeMap<String, bool>) -> Option<Self> {
        let fits = partners.iter().all(|partner| members.get(partner) == Some(&true));
        fits.then(|| Self { root, partners: partners.clone(), grants: BTreeMap::new() })
    }
}

impl Record {
    /// How many versions there are.
    pub fn latest(&self) -> u32 {
        self.versions.len() as u32
    }

    /// Whether no copy may exist any more.
    pub const fn is_erased(&self) -> bool {
        matches!(self.erasure, ErasureState::Ordered | ErasureState::Erased)
    }

    fn version_mut(&mut self, version: u32) -> Option<&mut Version> {
        self.versions.get_mut((version as usize).checked_sub(1)?)
    }

    /// What the rules and grants open to a member, whatever became of the document.
    fn opened(&self, version: u32, member: &str) -> FieldSet {
        let Some(of) = (version as usize).checked_sub(1).and_then(|at| self.versions.get(at)) else {
            return FieldSet::new();
        };
        let mut fields = FieldSet::new();
        if self.issuer == member {
            fields = FieldSet::first(SLOTS);
        } else if of.partners.contains(member) {
            fields = FieldSet::first(SHARED);
        }
        of.grants.values().filter(|(to, _)| to == member).fold(fields, |all, (_, granted)| all.union(granted))
    }
}

impl Papers {
    /// What a member is to hold of a version now.
    pub fn entitled(&self, key: &VersionKey, member: &str) -> FieldSet {
        let record = self.documents.get(&key.id).filter(|record| !record.is_erased());
        record.map_or_else(FieldSet::new, |record| record.opened(key.version, member))
    }

    /// All versions.
    pub fn versions(&self) -> impl Iterator<Item = VersionKey> + '_ {
        let of = |(id, record): (&DocumentId, &Record)| {
            let id = *id;
            (1..=record.latest()).map(move |version| VersionKey { id, version })
        };
        self.documents.iter().flat_map(of)
    }

    /// How a member's audit of a name was anchored last.
    pub fn anchored(&self, member: &str, log: &str) -> Option<Anchor> {
        self.anchors.get(&(member.to_owned(), log.to_owned())).copied()
    }

    /// What a call does and returns; `None` when it fails. `members`: all, and whether each is active.
    pub fn apply(
        &mut self,
        op: &PaperOp,
        caller: &AccountId,
        member: &str,
        members: &BTreeMap<String, bool>,
    ) -> Option<Vec<u8>> {
        let is_of_node =
            matches!(op, PaperOp::AttestPossession(_) | PaperOp::AttestErasure { .. } | PaperOp::AnchorAudit { .. });
        if is_of_node != self.services.contains(caller) {
            return None;
        }
        match op {
            PaperOp::RegisterSchema => None,
            PaperOp::AttestPossession(list) => self.attest_possession(list, member),
            PaperOp::AttestErasure { id } => self.attest_erasure(id, member),
            PaperOp::AnchorAudit { log, previous, entries, head } => {
                self.anchor((member.to_owned(), log.clone()), *previous, *entries, *head)
            }
            PaperOp::Submit { id, root, partners } => {
                let version = Version::new(*root, partners, members)?;
                self.submit(*id, member, version)
            }
            PaperOp::Revise { id, previous, root, partners } => {
                let version = Version::new(*root, partners, members)?;
                let record = self.own(id, member)?;
                if record.versions.last().is_none_or(|latest| latest.root != *previous) {
                    return None;
                }
                record.versions.push(version);
                Some(encode(&record.latest()))
            }
            PaperOp::Grant { key, member: to, fields } => {
                let is_member = members.get(to) == Some(&true);
                let fits = is_member && !fields.is_empty() && fields.is_subset(&FieldSet::first(SLOTS));
                let number = self.grants_made + 1;
                let version = self.own(&key.id, member)?.version_mut(key.version).filter(|_| fits)?;
                version.grants.insert(number, (to.clone(), fields.clone()));
                self.grants_made = number;
                self.grants.insert(number, *key);
                Some(encode(&number))
            }
            PaperOp::EndGrant { number } => self.end_grant(*number, member),
            PaperOp::RequestErasure { id } => self.request_erasure(id, member, members),
        }
    }

    fn submit(&mut self, id: DocumentId, member: &str, version: Version) -> Option<Vec<u8>> {
        if self.schemas == 0 || self.documents.contains_key(&id) {
            return None;
        }
        let record = Record {
            issuer: member.to_owned(),
            versions: vec![version],
            erasure: ErasureState::None,
            holders: BTreeSet::new(),
            attested: BTreeSet::new(),
            possessions: BTreeMap::new(),
        };
        self.documents.insert(id, record);
        Some(encode(&(self.documents.len() as u64)))
    }

    fn end_grant(&mut self, number: u64, member: &str) -> Option<Vec<u8>> {
        let key = *self.grants.get(&number)?;
        let record = self.documents.get_mut(&key.id)?;
        let is_issuer = record.issuer == member;
        let version = record.version_mut(key.version)?;
        if !is_issuer && version.grants.get(&number)?.0 != member {
            return None;
        }
        version.grants.remove(&number);
        self.grants.remove(&number);
        Some(Vec::new())
    }

    /// Whoever is entitled to the newest version, and whoever ever said it holds one, has to destroy it.
    fn request_erasure(&mut self, id: &DocumentId, member: &str, members: &BTreeMap<String, bool>) -> Option<Vec<u8>> {
        let record = self.own(id, member)?;
        let latest = record.latest();
        let is_entitled = |name: &String| members[name] && !record.opened(latest, name).is_empty();
        let entitled: Vec<String> = members.keys().filter(|name| is_entitled(name)).cloned().collect();
        let said: Vec<String> = record.possessions.keys().map(|(holder, _)| holder.clone()).collect();
        record.holders = said.into_iter().chain(entitled).chain([record.issuer.clone()]).collect();
        record.erasure = ErasureState::Ordered;
        Some(encode(&ErasureState::Ordered))
    }

    fn anchor(&mut self, place: (String, String), previous: Hash32, entries: u64, head: Hash32) -> Option<Vec<u8>> {
        let before = self.anchors.get(&place).copied();
        let (number, last, least) = before.map_or((0, Hash32::ZERO, 0), |a| (a.number, a.head, a.entries));
        if previous != last || entries <= least {
            return None;
        }
        self.anchors.insert(place, Anchor { number: number + 1, entries, head });
        Some(encode(&(number + 1)))
    }

    /// A member's own document that nobody has asked to erase.
    fn own(&mut self, id: &DocumentId, member: &str) -> Option<&mut Record> {
        let record = self.documents.get_mut(id)?;
        (record.issuer == member && record.erasure == ErasureState::None).then_some(record)
    }

    fn attest_possession(&mut self, list: &[Possession], member: &str) -> Option<Vec<u8>> {
        if list.is_empty() || list.len() > 100 {
            return None;
        }
        for held in list {
            let record = self.documents.get_mut(&held.id).filter(|record| !record.is_erased())?;
            if !(1..=record.latest()).contains(&held.version) {
                return None;
            }
            record.possessions.insert((member.to_owned(), held.version), held.fields.clone());
        }
        Some(Vec::new())
    }

    fn attest_erasure(&mut self, id: &DocumentId, member: &str) -> Option<Vec<u8>> {
        let record = self.documents.get_mut(id).filter(|record| record.is_erased())?;
        if !record.holders.contains(member) || !record.attested.insert(member.to_owned()) {
            return None;
        }
        if record.attested.len() == record.holders.len() {
            record.erasure = ErasureState::Erased;
        }
        Some(Vec::new())
    }
}
