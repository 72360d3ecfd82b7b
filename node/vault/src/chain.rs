//! What the vault asks the chain. It has no access rule of its own: who holds what, and who may read what, are answers of
//! contracts over the state of this node's head.

use std::{collections::BTreeMap, sync::Arc};

use vouch_ledger::{Registry, registry::MemberRecord};
use vouch_privacy::SchemaFields;
use vouch_types::{
    AccountId, Event, Height, TimestampMs,
    codec::Format,
    decode,
    document::{Action, Audience, CONTRACT, Decision, ErasureState, Party, PublicField, RECORD_BYTES_MAX, event},
    relation::{self, RelationKind, RelationState},
};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    acts::ErasureStep,
    words::{DocumentId, FieldSet, PeerId, VersionKey},
};

/// The chain cannot be read; the node must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the chain cannot be read: {0}")]
pub struct ChainError(pub String);

/// What the chain says of one version of a document.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The member that issued it.
    pub issuer: String,
    /// Its schema.
    pub schema: Arc<SchemaFields>,
    /// The root of its commitment.
    pub root: [u8; 32],
    /// The root over its files; `None` when it has none.
    pub blob_root: Option<[u8; 32]>,
    /// Its fields that stand on the chain in clear.
    pub public: Vec<PublicField>,
    /// How far its erasure is.
    pub erasure: ErasureState,
}

impl Facts {
    /// Whether no copy may exist any more.
    #[must_use]
    pub const fn is_to_be_shredded(&self) -> bool {
        matches!(self.erasure, ErasureState::Ordered | ErasureState::Erased)
    }
}

/// What a member is to hold by an audience; nothing for one that is not in it.
#[must_use]
pub fn fields_of(audience: &Audience, member: &str) -> FieldSet {
    audience.members.iter().find(|e| e.member == member).map(|e| e.fields.clone()).unwrap_or_default()
}

/// A wish to do something with a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Who.
    pub actor: AccountId,
    /// What.
    pub action: Action,
    /// Which version.
    pub key: VersionKey,
    /// Why: a code the contract knows.
    pub purpose: String,
}

/// Whose documents are looked through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Those that name a party, by [`party_name`].
    Party(String),
}

/// A document in a list that has no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its number in the list, from 1.
    pub number: u64,
    /// The document.
    pub id: DocumentId,
    /// Its newest version.
    pub latest: u32,
}

/// Reads of the chain at the head of this node. An answer depends on the head alone.
pub trait Chain: Send {
    /// The height that answers.
    fn head(&self) -> Height;

    /// The time of its block. A node that has to catch up is behind with it.
    fn time(&self) -> TimestampMs;

    /// Whether the contracts answer at all. While they are frozen, say for an upgrade, every answer is that there is nothing
    /// and that nobody may: nothing may follow from that.
    ///
    /// # Errors
    /// [`ChainError`].
    fn is_answering(&self) -> Result<bool, ChainError>;

    /// What the chain says of a version; `None` when it does not know it.
    ///
    /// # Errors
    /// [`ChainError`].
    fn document(&self, key: &VersionKey) -> Result<Option<Facts>, ChainError>;

    /// Who is to hold a version; nobody for one the chain does not know.
    ///
    /// # Errors
    /// [`ChainError`].
    fn audience(&self, key: &VersionKey) -> Result<Audience, ChainError>;

    /// Whether and how far an account may do something.
    ///
    /// # Errors
    /// [`ChainError`].
    fn may(&self, question: &Question) -> Result<Decision, ChainError>;

    /// A registered schema.
    ///
    /// # Errors
    /// [`ChainError`].
    fn schema(&self, name: &str, version: u32) -> Result<Option<Arc<SchemaFields>>, ChainError>;

    /// Up to `limit` documents with numbers above `after`, ascending.
    ///
    /// # Errors
    /// [`ChainError`].
    fn documents(&self, scope: &Scope, after: u64, limit: u32) -> Result<Vec<Listed>, ChainError>;

    /// Whether the erasure of a document waits for a member's word that nothing is left there.
    ///
    /// # Errors
    /// [`ChainError`].
    fn awaits_erasure(&self, id: &DocumentId, member: &str) -> Result<bool, ChainError>;

    /// How the erasure of a document can go on by itself now, and since when its time has come, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`ChainError`].
    fn due_step(&self, id: &DocumentId) -> Result<Option<(ErasureStep, u64)>, ChainError>;

    /// Whose word the erasure of a document, once it was ordered, waits for or waited for in vain; `None` when it waits for
    /// nobody, or `member` was not ordered to carry it out.
    ///
    /// # Errors
    /// [`ChainError`].
    fn unattested(&self, id: &DocumentId, member: &str) -> Result<Option<Unattested>, ChainError>;

    /// Which fields of a version a member has said on the chain that it holds.
    ///
    /// # Errors
    /// [`ChainError`].
    fn said_possession(&self, key: &VersionKey, member: &str) -> Result<FieldSet, ChainError>;

    /// The newest version of a document; `None` when the chain does not know it.
    ///
    /// # Errors
    /// [`ChainError`].
    fn latest(&self, id: &DocumentId) -> Result<Option<u32>, ChainError>;
}

/// Members that were ordered to destroy a document and have not attested it.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Unattested {
    /// Until when they must have, in milliseconds since 1970.
    pub deadline_ms: u64,
    /// They, ascending.
    pub members: Vec<String>,
    /// Whether the erasure waits for them still; else it was closed without them.
    pub is_open: bool,
}

/// A member as the vault needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RosterMember {
    /// Its present X25519 encryption key and that key's number; `None` until it registered one.
    pub encryption_key: Option<(u32, [u8; 32])>,
    /// Network keys of its active nodes.
    pub nodes: Vec<PeerId>,
}

/// The active members and their nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    members: BTreeMap<String, RosterMember>,
    by_node: BTreeMap<PeerId, String>,
}

impl Roster {
    /// From the active members. A node belongs to one member.
    #[must_use]
    pub fn new(members: BTreeMap<String, RosterMember>) -> Self {
        let by_node = members.iter().flat_map(|(name, m)| m.nodes.iter().map(move |n| (*n, name.clone()))).collect();
        Self { members, by_node }
    }

    /// Of a registry: active members with their present encryption keys and active nodes.
    #[must_use]
    pub fn of(registry: &Registry) -> Self {
        let member = |record: &MemberRecord| {
            let encryption_key = record.encryption_key().map(|key| (key.id, key.key));
            (record.name.clone(), RosterMember { encryption_key, nodes: Vec::new() })
        };
        let mut members: BTreeMap<String, RosterMember> = registry.active_members().map(member).collect();
        for node in registry.active_nodes() {
            if let Some(member) = members.get_mut(&node.member) {
                member.nodes.push(node.network_key);
            }
        }
        Self::new(members)
    }

    /// An active member.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&RosterMember> {
        self.members.get(name)
    }

    /// Whose node a peer is.
    #[must_use]
    pub fn member_of(&self, peer: &PeerId) -> Option<&str> {
        self.by_node.get(peer).map(String::as_str)
    }

    /// Nodes of a member.
    #[must_use]
    pub fn nodes_of(&self, name: &str) -> &[PeerId] {
        self.members.get(name).map_or(&[], |member| member.nodes.as_slice())
    }
}

/// What a block changed that concerns the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainChange {
    /// A version was submitted, or its audience or state changed.
    Version(VersionKey),
    /// Relations changed: any of these documents may have another audience.
    Relations(Scope),
    /// A document's erasure moved on.
    Erasure(DocumentId),
    /// A holder attested that its copy is gone.
    Attested(DocumentId),
}

/// The name of a party in a [`Scope`]: `member:NAME` or `subject:HEX`.
#[must_use]
pub fn party_name(party: &Party) -> String {
    match (&party.member, &party.subject) {
        (Some(member), _) => format!("member:{member}"),
        (None, Some(subject)) => format!("subject:{subject}"),
        (None, None) => String::new(),
    }
}

/// What an event of a contract means for the vault; `None` for most.
#[must_use]
pub fn change_of(said: &Event) -> Option<ChainChange> {
    if said.contract.as_str() == relation::CONTRACT {
        return relation_change(said);
    }
    if said.contract.as_str() != CONTRACT {
        return None;
    }
    let version = |id, version| Some(ChainChange::Version(VersionKey { id, version }));
    match said.name.as_str() {
        "Submitted" => read::<event::Submitted>(said).and_then(|e| version(e.id, e.version)),
        "StateChanged" => read::<event::StateChanged>(said).and_then(|e| version(e.id, e.version)),
        "AudienceChanged" => read::<event::AudienceChanged>(said).and_then(|e| version(e.id, e.version)),
        "ErasureRequested" => read::<event::ErasureRequested>(said).map(|e| ChainChange::Erasure(e.id)),
        "Tombstoned" => read::<event::Tombstoned>(said).map(|e| ChainChange::Erasure(e.id)),
        "ErasureAttested" => read::<event::ErasureAttested>(said).map(|e| ChainChange::Attested(e.id)),
        // What held an erasure back may have ended.
        "HoldChanged" => read::<event::HoldChanged>(said).filter(|e| !e.held).map(|e| ChainChange::Erasure(e.id)),
        "DisputeChanged" => read::<event::DisputeChanged>(said).map(|e| ChainChange::Erasure(e.id)),
        "Ruled" => read::<event::Ruled>(said).map(|e| ChainChange::Erasure(e.id)),
        _ => None,
    }
}

/// A relationship that was agreed opens documents. One that ended opens none, and what is owed is asked anew each time.
fn relation_change(said: &Event) -> Option<ChainChange> {
    let changed =
        (said.name == "RelationshipChanged").then(|| read::<relation::RelationshipChanged>(said)).flatten()?;
    if changed.state != RelationState::Agreed {
        return None;
    }
    // Who watches over a member sees what it issued, too, and what concerns the persons it registered: that is no list of
    // documents with that member as a party.
    let is_everyone = changed.party == Party::default() || changed.kind == RelationKind::Regulates;
    Some(ChainChange::Relations(if is_everyone { Scope::All } else { Scope::Party(party_name(&changed.party)) }))
}

fn read<T>(said: &Event) -> Option<T>
where
    T: for<'a> SchemaRead<'a, Format, Dst = T>,
{
    decode("event", &said.data, RECORD_BYTES_MAX).ok()
}

#[cfg(test)]
mod tests {
    use vouch_types::{ContractName, encode};

    use super::*;

    #[test]
    fn who_watches_over_a_member_has_everything_looked_through() {
        let scope = |kind, party: Party, state| {
            let data = encode(&relation::RelationshipChanged { id: 1, kind, member: "tax".into(), party, state });
            let contract = ContractName::new(relation::CONTRACT).unwrap();
            let said = Event { contract, name: "RelationshipChanged".into(), data };
            change_of(&said)
        };
        let (works, everyone) = (Party::member("works"), Party::default());
        let all = Some(ChainChange::Relations(Scope::All));
        assert_eq!(scope(RelationKind::Regulates, works.clone(), RelationState::Agreed), all);
        assert_eq!(scope(RelationKind::Regulates, everyone, RelationState::Agreed), all);
        let party = Some(ChainChange::Relations(Scope::Party("member:works".into())));
        assert_eq!(scope(RelationKind::Serves, works.clone(), RelationState::Agreed), party);
        assert_eq!(scope(RelationKind::Regulates, works, RelationState::Ended), None);
    }
}
