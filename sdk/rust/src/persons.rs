//! A person as the chain's state proves them, from the pinned chain id alone: who registered the alias, every key that was
//! theirs with the signature by which its owner agreed to it, who served them and when; and with which of these keys, or by
//! whose word, they signed a document.
//!
//! Deliberately not here: who the person is. On the chain they are an alias; the member that registered it knows.
//!
//! ```text
//! proven subject --its key is the last of--> proven count --1 to n--> proven key: agreed to by its owner, set by the one before
//!        |----------> proven count --1 to n--> proven relationship: who served them, and when
//! proven version --signed by--> one of these keys then, or a member that served them while they had none
//! ```

use std::time::Duration;

use serde::Serialize;
use vouch_types::{
    AccountId, Height, PublicKey, SubjectId,
    codec::{CodecError, decode},
    document::{self, DocumentId, Moment, Party, PersonSignature, RECORD_BYTES_MAX, SignatureEntry, Version},
    relation::{self, PersonKey, RelationKind, Relationship, Subject, key},
};

use crate::{Client, Error};

/// Most keys of one person that are followed.
const KEYS_MAX: u64 = 200;
/// Most relationships of one person that are followed.
const RELATIONSHIPS_MAX: u64 = 400;
/// Records are read one after the other, and a block may come in between, or a node be behind another: they are read again
/// before what does not fit together is held against the node.
const READINGS: u32 = 3;
/// Between two readings.
const READ_AGAIN: Duration = Duration::from_millis(700);

/// A person as the chain's state proves them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProvenPerson {
    /// The alias.
    pub alias: SubjectId,
    /// The member that registered it.
    pub registered_by: String,
    /// When.
    pub registered: Moment,
    /// Since when nothing new is taken for them.
    pub closed: Option<Moment>,
    /// Every key that was theirs, the first one first: each agreed to by its owner, and set by the one before. None for a
    /// person without a key, for whom the members speak that serve them.
    pub keys: Vec<PersonKey>,
    /// Every relationship that was agreed by which a member serves or served them.
    pub served: Vec<Relationship>,
    /// The lowest height of the states that prove all this.
    pub proven_at: Height,
}

impl ProvenPerson {
    /// The person's key now.
    #[must_use]
    pub fn key(&self) -> Option<&PersonKey> {
        self.keys.last()
    }

    /// Whether a member served them at a time.
    #[must_use]
    pub fn is_served_by(&self, member: &str, at: &Moment) -> bool {
        let time = at.time_ms;
        let counted = |service: &Relationship| {
            service.member == member
                && service.agreed.is_some_and(|agreed| agreed.time_ms <= time)
                && service.ended.is_none_or(|ended| time <= ended.time_ms)
                && service.from_ms.is_none_or(|from| from <= time.0)
                && service.until_ms.is_none_or(|until| time.0 < until)
        };
        self.served.iter().any(counted)
    }

    /// Whether they surely had a key at a time: the blocks in which one was set or replaced do not count.
    fn had_key_at(&self, at: &Moment) -> bool {
        self.keys.first().is_some_and(|first| first.set.height < at.height)
    }
}

/// By what a party signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "basis", rename_all = "snake_case")]
pub enum SignedBy {
    /// An account of the member that is the party, as the chain's state says.
    Member,
    /// The person's own key: it sent the transaction, or its signature was checked here.
    OwnKey {
        /// The key's number among the person's.
        number: u64,
        /// The key.
        key: PublicKey,
    },
    /// A member that served the person, who had no key.
    Served {
        /// The member.
        member: String,
    },
}

/// A party's signature, with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProvenSignature {
    /// Who signed.
    pub party: Party,
    /// The account that brought it to the chain.
    pub account: AccountId,
    /// When.
    pub at: Moment,
    /// By what.
    #[serde(flatten)]
    pub by: SignedBy,
}

/// Why what was read does not fit together: a contradiction within one state, or perhaps two states.
struct Misfit(String);

/// What a reading came to.
type Read<T> = Result<Result<T, Misfit>, Error>;

impl Client {
    /// A person, proven.
    ///
    /// # Errors
    /// [`Error::Proof`] and [`Error::OtherClaim`] when a node shows something that does not hold; [`Error::NotAsCommitted`] when
    /// it keeps back what the chain counts, or what it shows does not fit together; `contract.error.unknown_subject` when it
    /// knows no such person.
    pub async fn proven_person(&self, alias: SubjectId) -> Result<ProvenPerson, Error> {
        self.proven_person_since(alias, Height::ZERO).await
    }

    /// The same by states of this height or above.
    pub(crate) async fn proven_person_since(&self, alias: SubjectId, since: Height) -> Result<ProvenPerson, Error> {
        let mut misfit = Misfit(String::new());
        for reading in 0..READINGS {
            if reading > 0 {
                tokio::time::sleep(READ_AGAIN).await;
            }
            match self.read_person(alias).await? {
                Ok(person) if person.proven_at >= since => return Ok(person),
                Ok(person) => {
                    let at = person.proven_at;
                    misfit = Misfit(format!("it shows the person {alias} as of height {at}, before {since}"));
                }
                Err(found) => misfit = found,
            }
        }
        Err(self.not_as_committed(misfit.0))
    }

    async fn read_person(&self, alias: SubjectId) -> Read<ProvenPerson> {
        let Some((subject, mut proven_at)) = self.subject_record(alias).await? else {
            let detail = format!("the chain knows no person {alias}");
            let problem = Box::new(vouch_types::api::Problem::new("contract.error.unknown_subject", detail));
            return Err(Error::Refused { problem, node: String::new(), retry_after_s: None });
        };
        if subject.alias != alias {
            return Err(Error::OtherClaim(format!("asked was about the person {alias}")));
        }
        let keys = match &subject.key {
            // Who has none never had one: the contract sets a key in another's place, and takes none away.
            None => Vec::new(),
            Some(own) => match self.read_keys(&subject, own, &mut proven_at).await? {
                Ok(keys) => keys,
                Err(misfit) => return Ok(Err(misfit)),
            },
        };
        let served = match self.read_served(alias, &mut proven_at).await? {
            Ok(served) => served,
            Err(misfit) => return Ok(Err(misfit)),
        };
        let Subject { member: registered_by, registered, closed, .. } = subject;
        Ok(Ok(ProvenPerson { alias, registered_by, registered, closed, keys, served, proven_at }))
    }

    /// Every key of a person: none can be left out, and each follows from the one before.
    async fn read_keys(&self, subject: &Subject, own: &PublicKey, proven_at: &mut Height) -> Read<Vec<PersonKey>> {
        let Subject { alias, member, .. } = subject;
        let Some(count) = self.relation_count(&key::person_keys(alias), proven_at).await? else {
            return misfit(format!("the person {alias} has a key, and how many they had is kept back"));
        };
        if count == 0 || count > KEYS_MAX {
            return misfit(format!("the person {alias} had {count} keys; 1 to {KEYS_MAX} can be followed"));
        }
        let mut keys: Vec<PersonKey> = Vec::new();
        for number in 1..=count {
            let found = self.key_record(alias, number).await?;
            let Some((record, height)) = found else {
                return misfit(format!("the person {alias} had {count} keys, and number {number} is kept back"));
            };
            *proven_at = (*proven_at).min(height);
            if record.number != number {
                return Err(Error::OtherClaim(format!("asked was about key {number} of the person {alias}")));
            }
            if !record.is_agreed(alias, member) {
                return misfit(format!("the owner of key {number} never agreed to be the person {alias} at {member}"));
            }
            if let Some(reason) = not_in_line(keys.last(), &record) {
                return misfit(format!("key {number} of the person {alias} {reason}"));
            }
            keys.push(record);
        }
        match keys.last() {
            Some(last) if last.key == *own && last.ended.is_none() => Ok(Ok(keys)),
            _ => misfit(format!("the last key in the history of the person {alias} is not the one they have")),
        }
    }

    async fn read_served(&self, alias: SubjectId, proven_at: &mut Height) -> Read<Vec<Relationship>> {
        let party = Party::subject(alias);
        let Some(count) = self.relation_count(&key::party_relationships(&party), proven_at).await? else {
            return misfit(format!("the person {alias} was registered, and by whom they are served is kept back"));
        };
        if count > RELATIONSHIPS_MAX {
            return misfit(format!(
                "the person {alias} stands in {count} relationships; {RELATIONSHIPS_MAX} can be followed"
            ));
        }
        let mut served = Vec::new();
        for number in 1..=count {
            let kept_back =
                || format!("the person {alias} stands in {count} relationships, and number {number} is kept back");
            let Some(id) = self.relation_count(&key::party_relationship(&party, number), proven_at).await? else {
                return misfit(kept_back());
            };
            let found = self.relationship_record(id).await?;
            let Some((record, height)) = found else { return misfit(kept_back()) };
            *proven_at = (*proven_at).min(height);
            if record.id != id || record.party != party {
                return Err(Error::OtherClaim(format!("asked was about relationship {id} of the person {alias}")));
            }
            if record.kind == RelationKind::Serves && record.agreed.is_some() {
                served.push(record);
            }
        }
        Ok(Ok(served))
    }

    /// A record of `relations`; `what` says what it is to be.
    async fn relation_record<T>(
        &self,
        what: &str,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, CodecError>,
    ) -> Result<Option<(T, Height)>, Error> {
        let Some((value, height)) = self.proven_state(relation::CONTRACT, key).await? else { return Ok(None) };
        let unreadable = |_| Error::OtherClaim(format!("what stands there is no {what} that this program can read"));
        Ok(Some((read(&value).map_err(unreadable)?, height)))
    }

    async fn subject_record(&self, alias: SubjectId) -> Result<Option<(Subject, Height)>, Error> {
        self.relation_record("person", &key::subject(&alias), |bytes| decode("person", bytes, RECORD_BYTES_MAX)).await
    }

    async fn key_record(&self, alias: &SubjectId, number: u64) -> Result<Option<(PersonKey, Height)>, Error> {
        self.relation_record("key", &key::person_key(alias, number), |bytes| decode("key", bytes, RECORD_BYTES_MAX))
            .await
    }

    async fn relationship_record(&self, id: u64) -> Result<Option<(Relationship, Height)>, Error> {
        let read = |bytes: &[u8]| decode("relationship", bytes, RECORD_BYTES_MAX);
        self.relation_record("relationship", &key::relationship(id), read).await
    }

    async fn relation_count(&self, key: &[u8], proven_at: &mut Height) -> Result<Option<u64>, Error> {
        let found = self.relation_record("number", key, |bytes| decode("number", bytes, 8)).await?;
        Ok(found.map(|(count, height)| {
            *proven_at = (*proven_at).min(height);
            count
        }))
    }

    /// On what a signature of a version rests. `person` is the one that signed, proven at the signature's height or above.
    pub(crate) async fn proven_signature(
        &self,
        id: &DocumentId,
        version: &Version,
        signature: &SignatureEntry,
        person: Option<&ProvenPerson>,
    ) -> Result<ProvenSignature, Error> {
        let by = match person {
            None => SignedBy::Member,
            Some(person) => self.signed_by(id, version, signature, person).await?,
        };
        let SignatureEntry { party, account, at, .. } = signature;
        Ok(ProvenSignature { party: party.clone(), account: *account, at: *at, by })
    }

    async fn signed_by(
        &self,
        id: &DocumentId,
        version: &Version,
        signature: &SignatureEntry,
        person: &ProvenPerson,
    ) -> Result<SignedBy, Error> {
        let (alias, number) = (person.alias, version.version);
        if let Some(member) = &signature.member {
            if person.had_key_at(&signature.at) {
                let reason = format!("{member} signed version {number} of {id} for the person {alias}, who had a key");
                return Err(self.not_as_committed(reason));
            }
            if !person.is_served_by(member, &signature.at) {
                let reason = format!("{member} signed version {number} of {id} for the person {alias} unserved by it");
                return Err(self.not_as_committed(reason));
            }
            return Ok(SignedBy::Served { member: member.clone() });
        }
        let held = |key: &&PersonKey| key.holds_at(&signature.at);
        let sent = person.keys.iter().filter(held).find(|key| key.key.account() == signature.account);
        if let Some(own) = sent {
            return Ok(SignedBy::OwnKey { number: own.number, key: own.key });
        }
        // Another account brought it.
        let place = document::key::person_signature(id, number, &alias);
        let Some((value, _)) = self.proven_value(&place).await? else {
            let reason = format!("the signature of the person {alias} under version {number} of {id} is kept back");
            return Err(self.not_as_committed(reason));
        };
        let unreadable = |_| Error::OtherClaim("what stands there is no signature that this program can read".into());
        let made: PersonSignature = decode("signature", &value, RECORD_BYTES_MAX).map_err(unreadable)?;
        match person.keys.iter().filter(held).find(|key| key.key == made.key) {
            Some(own) if made.is_of(id, number, &version.content.root) => {
                Ok(SignedBy::OwnKey { number: own.number, key: own.key })
            }
            _ => {
                let reason = format!("no key of the person {alias} signed version {number} of {id}");
                Err(self.not_as_committed(reason))
            }
        }
    }
}

fn misfit<T>(reason: String) -> Read<T> {
    Ok(Err(Misfit(reason)))
}

/// Why a key does not follow the one before it; the first is set by a member, each other one by the key before.
fn not_in_line(before: Option<&PersonKey>, key: &PersonKey) -> Option<&'static str> {
    match (before, &key.member) {
        (None, None) => Some("is the first, and no member set it"),
        (Some(_), Some(_)) => Some("was set by a member, and not by the key before"),
        (Some(before), None) if before.key.account() != key.by => Some("was not set by the key before"),
        (Some(before), None) if before.ended != Some(key.set) => Some("does not begin when the one before ends"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::{SecretKey, TimestampMs, hash::domain_hash, relation::RelationState};

    use super::*;

    fn moment(height: u64) -> Moment {
        Moment { height: Height(height), time_ms: TimestampMs(height * 1_000) }
    }

    fn key(seed: u8, number: u64, set: u64, by: AccountId, member: Option<&str>) -> PersonKey {
        let secret = SecretKey::from_seed([seed; 32]);
        let digest = domain_hash(relation::KEY_PROOF_TAG, &[&[7; 32], b"union"]);
        PersonKey {
            number,
            key: secret.public(),
            proof: secret.sign(digest.as_bytes()).0.to_vec(),
            by,
            member: member.map(Into::into),
            set: moment(set),
            ended: None,
        }
    }

    #[test]
    fn each_key_follows_the_one_before() {
        let mut first = key(1, 1, 3, AccountId([9; 32]), Some("union"));
        let second = key(2, 2, 8, first.key.account(), None);
        first.ended = Some(moment(8));
        assert_eq!((not_in_line(None, &first), not_in_line(Some(&first), &second)), (None, None));
        assert!(first.is_agreed(&SubjectId([7; 32]), "union"));
        assert!(!first.is_agreed(&SubjectId([7; 32]), "agency") && !first.is_agreed(&SubjectId([8; 32]), "union"));
        let by_member = PersonKey { member: Some("union".into()), ..second.clone() };
        let by_other = PersonKey { by: AccountId([9; 32]), ..second.clone() };
        let later = PersonKey { set: moment(9), ..second.clone() };
        for wrong in [by_member, by_other, later] {
            assert!(not_in_line(Some(&first), &wrong).is_some(), "{wrong:?}");
        }
        assert!(not_in_line(None, &second).is_some(), "nobody set the first");
        // In the block of a change either key can have acted, later only the new one.
        let holding = |at: u64| [&first, &second].map(|key| key.holds_at(&moment(at)));
        assert_eq!([2, 3, 8, 9].map(holding), [[false, false], [true, false], [true, true], [false, true]]);
    }

    #[test]
    fn who_served_when_is_told() {
        let service = Relationship {
            id: 1,
            kind: RelationKind::Serves,
            member: "union".into(),
            party: Party::subject(SubjectId([7; 32])),
            via: None,
            state: RelationState::Ended,
            offered_by: Party::member("union"),
            offered: moment(2),
            agreed: Some(moment(3)),
            ended: Some(moment(6)),
            from_ms: None,
            until_ms: None,
        };
        let mut person = ProvenPerson {
            alias: SubjectId([7; 32]),
            registered_by: "union".into(),
            registered: moment(3),
            closed: None,
            keys: vec![key(1, 1, 5, AccountId([9; 32]), Some("union"))],
            served: vec![service],
            proven_at: Height(9),
        };
        let served =
            |person: &ProvenPerson, member: &str| [2, 3, 6, 7].map(|at| person.is_served_by(member, &moment(at)));
        assert_eq!(served(&person, "union"), [false, true, true, false]);
        assert_eq!(served(&person, "agency"), [false; 4]);
        assert_eq!([4, 5, 6].map(|at| person.had_key_at(&moment(at))), [false, false, true]);
        (person.served[0].ended, person.served[0].until_ms) = (None, Some(6_000));
        assert_eq!(served(&person, "union"), [false, true, false, false], "what ends by its time");
        person.served[0].from_ms = Some(4_000);
        assert!(!person.is_served_by("union", &moment(3)));
    }
}
