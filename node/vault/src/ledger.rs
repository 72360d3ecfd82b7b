//! The chain as the vault asks it: read-only calls of the contract `documents` at this node's head.
//!
//! Deliberately not here: a rule. What a contract refuses to answer is unknown, and nobody may have it. Only a ledger that
//! cannot be read is an error: then the node stops.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use vouch_ledger::{LedgerError, Reader};
use vouch_privacy::SchemaFields;
use vouch_types::{
    Call, ContractName, Height, TimestampMs,
    codec::Format,
    decode,
    document::{
        Audience, CONTRACT, Decision, Document, DocumentEntry, DocumentId, Erasure, ErasureState, FieldSet, Moment,
        Party, Schema, Version, method,
    },
    encode, relation,
};
use wincode::SchemaRead;

use crate::{
    acts::ErasureStep,
    chain::{Chain, ChainError, Facts, Listed, Question, Scope, Unattested},
    words::VersionKey,
};

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Most answers kept until the next block.
const ANSWERS_MAX: usize = 2_048;
/// Queries that a contract can always answer: of documents, and of relations.
const COUNTS: &str = "counts";
const COUNT: &str = "count";
/// The contract's query for who holds what, and a record of its answer: member, version, fields, since when.
const HOLDERS: &str = "holders";
type Holder = (String, u32, FieldSet, Moment);
/// The contract's query for an erasure.
const ERASURE: &str = "erasure";
/// What the contract says of an id or version that it does not know; and the ledger of a contract that is not there.
const UNKNOWN: [&str; 3] = ["contract.error.unknown_document", "contract.error.unknown_version", "contract.unknown"];

/// Answers of the contract, asked beside the commits.
pub struct LedgerChain {
    reader: Reader,
    contract: ContractName,
    /// Set when the state was being taken over from a snapshot: then there is nothing to ask, and nothing is broken.
    joining: Arc<AtomicBool>,
    answers: Mutex<Answers>,
    schemas: Mutex<BTreeMap<(String, u32), Arc<SchemaFields>>>,
    /// At which height it was looked whether the contracts answer, and whether they do.
    answering: Mutex<Option<(Height, bool)>>,
}

impl core::fmt::Debug for LedgerChain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("LedgerChain")
    }
}

/// What was answered at one height.
#[derive(Default)]
struct Answers {
    height: Height,
    known: BTreeMap<(&'static str, Vec<u8>), Option<Vec<u8>>>,
}

impl LedgerChain {
    /// Asks through a reader; `joining` is set when it cannot answer because the node joins by a snapshot.
    ///
    /// # Panics
    /// Never: the contract's name has the form of one.
    #[must_use]
    pub fn new(reader: Reader, joining: Arc<AtomicBool>) -> Self {
        let contract = ContractName::new(CONTRACT).expect("the contract's name has the form of one");
        Self {
            reader,
            contract,
            joining,
            answers: Mutex::default(),
            schemas: Mutex::default(),
            answering: Mutex::default(),
        }
    }

    fn unreadable(&self, error: &LedgerError) -> ChainError {
        self.joining.fetch_or(matches!(error, LedgerError::Joining), Relaxed);
        ChainError(format!("{}: {error}", error.code()))
    }

    /// The encoded answer; `None` when the contract refuses to give one.
    fn answer(&self, method: &'static str, arguments: Vec<u8>) -> Result<Option<Vec<u8>>, ChainError> {
        let head = self.head();
        let asked = (method, arguments);
        {
            let mut answers = self.answers.lock();
            if answers.height != head || answers.known.len() >= ANSWERS_MAX {
                *answers = Answers { height: head, known: BTreeMap::new() };
            }
            if let Some(answer) = answers.known.get(&asked) {
                return Ok(answer.clone());
            }
        }
        let call = Call { contract: self.contract.clone(), method: method.into(), arguments: asked.1.clone() };
        let outcome = self.reader.query(&call).map_err(|e| self.unreadable(&e))?;
        let answer = match outcome.result {
            Ok(output) => Some(output),
            Err(failure) => {
                if !UNKNOWN.contains(&failure.code.as_str()) {
                    tracing::warn!(method, code = failure.code, "the contract of documents gives no answer");
                }
                None
            }
        };
        let mut answers = self.answers.lock();
        if answers.height == outcome.height {
            answers.known.insert(asked, answer.clone());
        }
        Ok(answer)
    }

    fn ask<T>(&self, method: &'static str, arguments: Vec<u8>) -> Result<Option<T>, ChainError>
    where
        T: for<'a> SchemaRead<'a, Format, Dst = T>,
    {
        let Some(output) = self.answer(method, arguments)? else { return Ok(None) };
        let read = decode("answer of a contract", &output, ANSWER_BYTES_MAX);
        // A contract of another layout is a matter of the chain; it stops no node.
        Ok(read.map_err(|error| tracing::error!(method, "the contract's answer cannot be read: {error}")).ok())
    }

    /// Whether a contract answers a question that it always can; one that is not there has said all it can.
    fn answers(&self, contract: &str, method: &str) -> Result<bool, ChainError> {
        let contract = ContractName::new(contract).expect("the contract's name has the form of one");
        let call = Call { contract, method: method.into(), arguments: Vec::new() };
        let outcome = self.reader.query(&call).map_err(|e| self.unreadable(&e))?;
        Ok(outcome.result.map_or_else(|failure| UNKNOWN.contains(&failure.code.as_str()), |_| true))
    }

    /// What the chain says of a document.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn record(&self, id: &DocumentId) -> Result<Option<Document>, ChainError> {
        Ok(self.ask::<Option<Document>>(method::DOCUMENT, encode(id))?.flatten())
    }
}

impl Chain for LedgerChain {
    fn head(&self) -> Height {
        self.reader.published().head.height
    }

    fn time(&self) -> TimestampMs {
        self.reader.published().head.time
    }

    fn is_answering(&self) -> Result<bool, ChainError> {
        let head = self.head();
        let known = *self.answering.lock();
        if let Some((_, answers)) = known.filter(|(height, _)| *height == head) {
            return Ok(answers);
        }
        let answers = self.answers(CONTRACT, COUNTS)? && self.answers(relation::CONTRACT, COUNT)?;
        let before = self.answering.lock().replace((head, answers));
        if before.is_none_or(|(_, before)| before != answers) && !answers {
            tracing::warn!(height = %head, "the contracts of documents and relations do not answer, the vault waits");
        }
        Ok(answers)
    }

    fn document(&self, key: &VersionKey) -> Result<Option<Facts>, ChainError> {
        let Some(document) = self.record(&key.id)? else { return Ok(None) };
        let version: Option<Option<Version>> = self.ask(method::VERSION, encode(&(key.id, key.version)))?;
        let Some(version) = version.flatten() else { return Ok(None) };
        let Some(schema) = self.schema(&document.schema, version.content.schema_version)? else { return Ok(None) };
        Ok(Some(Facts {
            issuer: document.issuer,
            schema,
            root: version.content.root.0,
            blob_root: version.content.blob_root.map(|root| root.0),
            public: version.content.public,
            erasure: document.erasure,
        }))
    }

    fn audience(&self, key: &VersionKey) -> Result<Audience, ChainError> {
        Ok(self.ask(method::AUDIENCE, encode(&(key.id, key.version)))?.unwrap_or_default())
    }

    fn may(&self, question: &Question) -> Result<Decision, ChainError> {
        let Question { actor, action, key, purpose } = question;
        let arguments = encode(&(*actor, *action, key.id, key.version, purpose.clone()));
        let nobody =
            || Decision { allowed: false, fields: FieldSet::new(), basis: 0, reason: "no_answer".into(), actor: None };
        Ok(self.ask(method::MAY, arguments)?.unwrap_or_else(nobody))
    }

    fn schema(&self, name: &str, version: u32) -> Result<Option<Arc<SchemaFields>>, ChainError> {
        // A registered schema never changes.
        if let Some(schema) = self.schemas.lock().get(&(name.to_owned(), version)) {
            return Ok(Some(Arc::clone(schema)));
        }
        let found: Option<Option<Schema>> = self.ask(method::SCHEMA, encode(&(name.to_owned(), version)))?;
        let Some(schema) = found.flatten() else { return Ok(None) };
        let Ok(fields) = SchemaFields::from_chain(&schema) else {
            tracing::error!(name, version, "a registered schema cannot be used for commitments");
            return Ok(None);
        };
        let fields = Arc::new(fields);
        self.schemas.lock().insert((name.to_owned(), version), Arc::clone(&fields));
        Ok(Some(fields))
    }

    fn documents(&self, scope: &Scope, after: u64, limit: u32) -> Result<Vec<Listed>, ChainError> {
        let found: Option<Vec<DocumentEntry>> = match scope {
            Scope::All => self.ask(method::LIST, encode(&(after, limit)))?,
            Scope::Party(name) => match party_of(name) {
                Some(party) => self.ask(method::LIST_PARTY, encode(&(party, after, limit)))?,
                None => None,
            },
        };
        let listed = |entry: DocumentEntry| Listed {
            number: entry.number,
            id: entry.document.id,
            latest: entry.document.latest,
        };
        Ok(found.unwrap_or_default().into_iter().map(listed).collect())
    }

    fn awaits_erasure(&self, id: &DocumentId, member: &str) -> Result<bool, ChainError> {
        let erasure: Option<Option<Erasure>> = self.ask(ERASURE, encode(id))?;
        Ok(erasure.flatten().is_some_and(|erasure| {
            erasure.state == ErasureState::Ordered
                && erasure.holders.iter().any(|holder| holder == member)
                && !erasure.attestations.iter().any(|attestation| attestation.member == member)
        }))
    }

    fn due_step(&self, id: &DocumentId) -> Result<Option<(ErasureStep, u64)>, ChainError> {
        let Some(document) = self.record(id)? else { return Ok(None) };
        let erasure: Option<Option<Erasure>> = self.ask(ERASURE, encode(id))?;
        let Some(erasure) = erasure.flatten() else { return Ok(None) };
        let now = self.time().0;
        Ok(match erasure.state {
            ErasureState::Restricted if document.holds == 0 && document.disputes == 0 && erasure.earliest_ms <= now => {
                Some((ErasureStep::Order, erasure.earliest_ms))
            }
            ErasureState::Ordered if erasure.deadline_ms <= now => Some((ErasureStep::Close, erasure.deadline_ms)),
            _ => None,
        })
    }

    fn unattested(&self, id: &DocumentId, member: &str) -> Result<Option<Unattested>, ChainError> {
        let erasure: Option<Option<Erasure>> = self.ask(ERASURE, encode(id))?;
        let ordered = erasure.flatten().filter(|erasure| erasure.holders.iter().any(|holder| holder == member));
        Ok(ordered.and_then(|erasure| {
            let has_said = |holder: &String| erasure.attestations.iter().any(|said| said.member == *holder);
            let members: Vec<String> = erasure.holders.iter().filter(|holder| !has_said(holder)).cloned().collect();
            let (deadline_ms, is_open) = (erasure.deadline_ms, erasure.state == ErasureState::Ordered);
            (!members.is_empty()).then_some(Unattested { deadline_ms, members, is_open })
        }))
    }

    fn said_possession(&self, key: &VersionKey, member: &str) -> Result<FieldSet, ChainError> {
        // The list is by member and version: what stands first behind the version before.
        let before = key.version.saturating_sub(1);
        let found: Option<Vec<Holder>> = self.ask(HOLDERS, encode(&(key.id, member.to_owned(), before, 1u32)))?;
        let own = found.into_iter().flatten().find(|(holder, version, ..)| holder == member && *version == key.version);
        Ok(own.map(|(_, _, fields, _)| fields).unwrap_or_default())
    }

    fn latest(&self, id: &DocumentId) -> Result<Option<u32>, ChainError> {
        Ok(self.record(id)?.map(|document| document.latest))
    }
}

/// The inverse of [`crate::chain::party_name`].
fn party_of(name: &str) -> Option<Party> {
    match name.split_once(':')? {
        ("member", member) => Some(Party::member(member)),
        ("subject", alias) => alias.parse().ok().map(Party::subject),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::SubjectId;

    use super::*;
    use crate::chain::party_name;

    #[test]
    fn names_of_parties_lead_back_to_them() {
        for party in [Party::member("works"), Party::subject(SubjectId([7; 32]))] {
            assert_eq!(party_of(&party_name(&party)), Some(party));
        }
        assert_eq!((party_of("works"), party_of("subject:7"), party_of("")), (None, None, None));
    }
}
