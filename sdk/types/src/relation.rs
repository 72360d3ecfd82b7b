//! Records of the contract `relations` as others read them: who serves whom, who received whose service, who watches over
//! whom. The same bytes that `contracts/guest/relations` writes and the same JSON that its ABI gives.
//!
//! Deliberately not here: who may begin or end a relationship, which the contract decides.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    document::{Moment, Party},
    hash::{AccountId, SubjectId, domain_hash},
    keys::{PublicKey, Signature},
};

/// The name under which the contract is deployed.
pub const CONTRACT: &str = "relations";

/// Domain of the signature by which a person's own key agrees to an alias at the member that registers it: over both.
pub const KEY_PROOF_TAG: &str = "vouch/subject-key/2";

/// Keys of the contract's state, for whoever reads its records without running it: the index, and clients that ask for proofs.
pub mod key {
    use crate::{document::Party, hash::SubjectId};

    /// How many relationships were ever recorded: a `u64`.
    pub const RELATIONSHIPS: &[u8] = b"N";

    /// A [`super::Subject`].
    #[must_use]
    pub fn subject(alias: &SubjectId) -> Vec<u8> {
        [b"u".as_slice(), alias.as_bytes()].concat()
    }

    /// How many keys a person had: a `u64`; absent for who never had one.
    #[must_use]
    pub fn person_keys(alias: &SubjectId) -> Vec<u8> {
        [b"Y".as_slice(), alias.as_bytes()].concat()
    }

    /// A [`super::PersonKey`] by its number among the person's, from 1.
    #[must_use]
    pub fn person_key(alias: &SubjectId, number: u64) -> Vec<u8> {
        [b"y".as_slice(), alias.as_bytes(), &number.to_be_bytes()].concat()
    }

    /// In how many relationships a party stands or stood: a `u64`.
    #[must_use]
    pub fn party_relationships(party: &Party) -> Vec<u8> {
        [b"P".as_slice(), &party_part(party)].concat()
    }

    /// The number among all of the relationship that has a number among the party's, from 1: a `u64`.
    #[must_use]
    pub fn party_relationship(party: &Party, number: u64) -> Vec<u8> {
        [b"p".as_slice(), &party_part(party), &number.to_be_bytes()].concat()
    }

    /// No party's is the beginning of another's.
    fn party_part(party: &Party) -> Vec<u8> {
        match (&party.member, &party.subject) {
            (Some(name), _) => {
                [b"m".as_slice(), &[u8::try_from(name.len()).unwrap_or(u8::MAX)], name.as_bytes()].concat()
            }
            (None, Some(alias)) => [b"s".as_slice(), alias.as_bytes()].concat(),
            (None, None) => b"a".to_vec(),
        }
    }

    /// A [`super::Relationship`].
    #[must_use]
    pub fn relationship(number: u64) -> Vec<u8> {
        [b"r".as_slice(), &number.to_be_bytes()].concat()
    }
}

/// What a relationship is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RelationKind {
    /// The member manages and serves the party: a member or a subject.
    Serves,
    /// The member, an enterprise, received the service of the party, a subject.
    Receives,
    /// The member, a regulator, watches over the party: a member, or everyone when the party names nobody.
    Regulates,
}

/// How a relationship stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RelationState {
    /// The other side has not answered.
    Offered,
    /// Agreed by both sides.
    Agreed,
    /// The other side said no.
    Declined,
    /// Taken back before an answer.
    Withdrawn,
    /// Ended by one side.
    Ended,
}

/// A relationship. It is in force while it is `Agreed` and the time is within `from_ms` and `until_ms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Relationship {
    /// Its number among all, from 1, without gaps.
    pub id: u64,
    /// What it is.
    pub kind: RelationKind,
    /// The member that serves, received or watches.
    pub member: String,
    /// Whom it concerns.
    pub party: Party,
    /// For `Receives`: the member that serves the subject and placed the service.
    pub via: Option<String>,
    /// How it stands.
    pub state: RelationState,
    /// Which side offered it: a member, or the subject.
    pub offered_by: Party,
    /// When it was offered.
    pub offered: Moment,
    /// When it was agreed.
    pub agreed: Option<Moment>,
    /// When it was declined, withdrawn or ended.
    pub ended: Option<Moment>,
    /// From when it counts, in milliseconds since 1970, if later than its agreement.
    pub from_ms: Option<u64>,
    /// Until when it counts, in milliseconds since 1970.
    pub until_ms: Option<u64>,
}

/// A person as one institution knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Subject {
    /// The alias: 32 random bytes.
    pub alias: SubjectId,
    /// Its number among all, from 1.
    pub sequence: u64,
    /// Its number within the member, from 1.
    pub member_sequence: u64,
    /// The member that registered it.
    pub member: String,
    /// The person's own key.
    pub key: Option<PublicKey>,
    /// When it was registered.
    pub registered: Moment,
    /// Since when it takes no new relationships and documents.
    pub closed: Option<Moment>,
}

/// A key that a person has or had, and who brought it to the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct PersonKey {
    /// Its number among the person's, from 1, without gaps.
    pub number: u64,
    /// The key.
    pub key: PublicKey,
    /// The signature by which its owner agreed to the alias at the member that registered it.
    #[serde(with = "crate::hex_serde")]
    pub proof: Vec<u8>,
    /// Who set it: the account of a member, or the one that the person's key before is.
    pub by: AccountId,
    /// The member of that account; none when the person set it with the key before.
    pub member: Option<String>,
    /// Since when it was the person's.
    pub set: Moment,
    /// When another took its place.
    pub ended: Option<Moment>,
}

impl PersonKey {
    /// Whether the key's owner agreed to be this person at this member.
    #[must_use]
    pub fn is_agreed(&self, alias: &SubjectId, member: &str) -> bool {
        let digest = domain_hash(KEY_PROOF_TAG, &[alias.as_bytes(), member.as_bytes()]);
        let signature = <[u8; 64]>::try_from(self.proof.as_slice()).map(Signature);
        signature.is_ok_and(|signature| self.key.verify(digest.as_bytes(), &signature).is_ok())
    }

    /// Whether it can be the person's at a height: in the block in which one takes another's place, either can have acted.
    #[must_use]
    pub fn holds_at(&self, at: &Moment) -> bool {
        self.set.height <= at.height && self.ended.is_none_or(|ended| at.height <= ended.height)
    }
}

/// An entry of a party's relationships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct RelationshipEntry {
    /// Its number among the party's, from 1, without gaps.
    pub number: u64,
    /// The relationship.
    pub relationship: Relationship,
}

/// A subject was registered, and its member serves it from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct SubjectRegistered {
    /// The alias.
    pub subject: SubjectId,
    /// The member that registered it.
    pub member: String,
    /// Its number among all.
    pub sequence: u64,
}

/// A relationship was offered, agreed, declined, withdrawn or ended: who is entitled to the party's documents changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct RelationshipChanged {
    /// Its number.
    pub id: u64,
    /// What it is.
    pub kind: RelationKind,
    /// The member that serves, received or watches.
    pub member: String,
    /// Whom it concerns; nobody named means everyone.
    pub party: Party,
    /// How it stands now.
    pub state: RelationState,
}
