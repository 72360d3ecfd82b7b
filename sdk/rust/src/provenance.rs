//! From a document to what it stands on, and to what stands on it: every document, every step and every person named in them
//! as the chain's state proves it, from the pinned chain id alone.
//!
//! Deliberately not here: the node's index. It answers the same question in one request, and nothing here rests on its word.
//!
//! ```text
//! up    proven version --names--> proven version, and so on
//! down  proven count --1 to n--> proven backlink --names--> proven version, which has to name this one
//! both  proven version --names or is signed by--> person, proven with all their keys (`persons.rs`)
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;
use vouch_types::{
    ChainId, DocumentRoot, Height, SubjectId,
    api::{Direction, PROVENANCE_NODES_MAX},
    codec::decode,
    document::{
        self, Backlink, Category, Document, DocumentId, ErasureState, Moment, PartyEntry, RECORD_BYTES_MAX, Schema,
        Version, VersionKey, VersionState,
    },
};

use crate::{
    Client, Error,
    persons::{ProvenPerson, ProvenSignature},
};

/// Most steps away from the document asked about.
pub const PROVENANCE_STEPS_MAX: u32 = 32;
/// Most backlinks of one document that are followed; the rest is counted.
const BACKLINKS_MAX: u64 = 200;

/// A version of a document as the chain's state proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProvenDocument {
    /// The document.
    pub id: DocumentId,
    /// The version.
    pub version: u32,
    /// Steps from the one asked about: negative towards what it stands on.
    pub distance: i32,
    /// Its kind.
    pub category: Category,
    /// Its schema.
    pub schema: String,
    /// The member that issued it.
    pub issuer: String,
    /// How this version stands.
    pub state: VersionState,
    /// Open disputes.
    pub disputes: u32,
    /// How far its erasure is.
    pub erasure: ErasureState,
    /// Root of its commitment.
    pub root: DocumentRoot,
    /// Everyone it concerns.
    pub parties: Vec<PartyEntry>,
    /// Who signed it, and by what: a person's signature leads to one of their keys in [`Provenance::persons`], or to the member
    /// that served them.
    pub signatures: Vec<ProvenSignature>,
    /// Fields that stand in clear, by name, as JSON texts.
    pub public: BTreeMap<String, String>,
    /// When it was submitted.
    pub submitted: Moment,
    /// How many references to the document there are, all versions together, as the chain counts them. `None` when it was not
    /// asked for, or the node shows no counter: that there is none cannot be proven.
    pub referenced_by: Option<u64>,
    /// The lowest height of the states that prove all this.
    pub proven_at: Height,
}

/// That one document names another, as the record of the one that names proves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ProvenStep {
    /// The document that names the other.
    pub from: DocumentId,
    /// Its version.
    pub from_version: u32,
    /// What the other is to it.
    pub name: String,
    /// The document that is named.
    pub to: DocumentId,
    /// Its version.
    pub to_version: u32,
}

/// A chain of evidence of which nothing has to be believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The chain whose id it was verified from.
    pub chain: ChainId,
    /// The documents, the one asked about first, then by distance.
    pub documents: Vec<ProvenDocument>,
    /// Who names whom.
    pub steps: Vec<ProvenStep>,
    /// Every person whom one of the documents names, by alias.
    pub persons: Vec<ProvenPerson>,
    /// Whether the way was followed to its ends within the bounds asked for.
    pub complete: bool,
}

/// What was proven so far.
struct Walk<'a> {
    client: &'a Client,
    records: BTreeMap<VersionKey, (ProvenDocument, Version)>,
    schemas: BTreeMap<(String, u32), Schema>,
    persons: BTreeMap<SubjectId, ProvenPerson>,
    steps: BTreeSet<ProvenStep>,
    is_complete: bool,
}

impl Client {
    /// Follows references from a version (the newest when none is named), at most `steps_max` steps and 200 documents. Each
    /// record is asked for with its proof and checked here, from the chain id in the configuration: a node can leave this
    /// unanswered, and cannot change it. So is every person whom a document names, with all keys they ever had. States of versions are as of the height that each document says.
    ///
    /// # Errors
    /// [`Error::Proof`] and [`Error::OtherClaim`] when a node shows something that does not hold; [`Error::NotAsCommitted`] when
    /// it keeps back what the chain counts; `vault.unknown_document` when it knows no such document.
    pub async fn provenance(
        &self,
        id: DocumentId,
        version: Option<u32>,
        direction: Direction,
        steps_max: u32,
    ) -> Result<Provenance, Error> {
        let chain = self.known_chain()?;
        let version = match version {
            Some(version) => version,
            None => self.proven_document(&id).await?.0.latest,
        };
        let first = VersionKey { id, version };
        let mut walk = Walk {
            client: self,
            records: BTreeMap::new(),
            schemas: BTreeMap::new(),
            persons: BTreeMap::new(),
            steps: BTreeSet::new(),
            is_complete: true,
        };
        walk.visit(first, 0).await?;
        let steps_max = steps_max.min(PROVENANCE_STEPS_MAX);
        if direction != Direction::Down {
            walk.follow(first, true, steps_max).await?;
        }
        if direction != Direction::Up {
            walk.follow(first, false, steps_max).await?;
        }
        let mut documents: Vec<ProvenDocument> = walk.records.into_values().map(|(proven, _)| proven).collect();
        documents.sort_by_key(|proven| (proven.distance.unsigned_abs(), proven.distance, proven.id, proven.version));
        let (steps, persons) = (walk.steps.into_iter().collect(), walk.persons.into_values().collect());
        Ok(Provenance { chain, documents, steps, persons, complete: walk.is_complete })
    }

    /// A document's record as the chain's state proves it, with the height of that state.
    ///
    /// # Errors
    /// [`Error::Proof`]; `vault.unknown_document` when there is none.
    pub async fn proven_document(&self, id: &DocumentId) -> Result<(Document, Height), Error> {
        let Some((value, height)) = self.proven_value(&document::key::document(id)).await? else {
            let problem = vouch_types::api::Problem::new("vault.unknown_document", format!("no document {id}"));
            return Err(Error::Refused { problem: Box::new(problem), node: String::new(), retry_after_s: None });
        };
        let record: Document = decode("document", &value, RECORD_BYTES_MAX).map_err(|_| other("document"))?;
        if record.id == *id { Ok((record, height)) } else { Err(other("document")) }
    }
}

fn other(what: &str) -> Error {
    Error::OtherClaim(format!("what stands there is no {what} that this program can read"))
}

impl Walk<'_> {
    /// Follows one direction, nearest first.
    async fn follow(&mut self, first: VersionKey, up: bool, steps_max: u32) -> Result<(), Error> {
        let mut waiting = VecDeque::from([(first, 0u32)]);
        let mut walked = BTreeSet::from([first]);
        while let Some((key, distance)) = waiting.pop_front() {
            let steps = if up { self.up(key) } else { self.down(key).await? };
            if distance >= steps_max {
                self.is_complete &= steps.is_empty();
                continue;
            }
            for step in steps {
                let other = if up {
                    VersionKey { id: step.to, version: step.to_version }
                } else {
                    VersionKey { id: step.from, version: step.from_version }
                };
                let away = i32::try_from(distance.saturating_add(1)).unwrap_or(i32::MAX);
                if !self.visit(other, if up { -away } else { away }).await? {
                    self.is_complete = false;
                    continue;
                }
                // Backwards, only the word of the one that names counts; forwards the step comes from it.
                let names = self.up(other);
                if !up && !names.contains(&step) {
                    let reason = format!("document {} does not name {} as {}", step.from, step.to, step.name);
                    return Err(self.client.not_as_committed(reason));
                }
                self.steps.insert(step);
                if walked.insert(other) {
                    waiting.push_back((other, distance.saturating_add(1)));
                }
            }
        }
        Ok(())
    }

    /// Proves a version, once. False when there are too many already.
    async fn visit(&mut self, key: VersionKey, distance: i32) -> Result<bool, Error> {
        if self.records.contains_key(&key) {
            return Ok(true);
        }
        if self.records.len() >= PROVENANCE_NODES_MAX {
            return Ok(false);
        }
        let (version, version_at) = self.client.proven_version(key.id, key.version).await?;
        let (record, document_at) = self.client.proven_document(&key.id).await?;
        let proven = ProvenDocument {
            id: key.id,
            version: key.version,
            distance,
            category: record.category,
            issuer: record.issuer,
            state: version.state,
            disputes: record.disputes,
            erasure: record.erasure,
            root: version.content.root,
            parties: version.content.parties.clone(),
            signatures: self.signatures(&key.id, &version).await?,
            public: self.public(&record.schema, &version).await?,
            schema: record.schema,
            submitted: version.submitted,
            referenced_by: None,
            proven_at: version_at.min(document_at),
        };
        self.records.insert(key, (proven, version));
        Ok(true)
    }

    /// The persons that a version names, proven, and on what each signature rests.
    async fn signatures(&mut self, id: &DocumentId, version: &Version) -> Result<Vec<ProvenSignature>, Error> {
        for alias in version.content.parties.iter().filter_map(|entry| entry.party.subject) {
            self.person(alias, version.submitted.height).await?;
        }
        let mut signatures = Vec::new();
        for signature in &version.signatures {
            let person = match signature.party.subject {
                Some(alias) => Some(self.person(alias, signature.at.height).await?),
                None => None,
            };
            signatures.push(self.client.proven_signature(id, version, signature, person.as_ref()).await?);
        }
        Ok(signatures)
    }

    /// A person as of a height or later, proven once if that is late enough.
    async fn person(&mut self, alias: SubjectId, since: Height) -> Result<ProvenPerson, Error> {
        match self.persons.get(&alias) {
            Some(known) if known.proven_at >= since => Ok(known.clone()),
            _ => {
                let person = self.client.proven_person_since(alias, since).await?;
                self.persons.insert(alias, person.clone());
                Ok(person)
            }
        }
    }

    /// Public fields by the names that the proven schema gives their slots.
    async fn public(&mut self, schema: &str, version: &Version) -> Result<BTreeMap<String, String>, Error> {
        if version.content.public.is_empty() {
            return Ok(BTreeMap::new());
        }
        let place = (schema.to_owned(), version.content.schema_version);
        let schema = match self.schemas.get(&place) {
            Some(known) => known.clone(),
            None => {
                let record = self.schema(schema, version.content.schema_version).await?;
                self.schemas.insert(place, record.clone());
                record
            }
        };
        let named = version.content.public.iter().filter_map(|public| {
            let field = schema.definition.fields.get(usize::from(public.slot))?;
            Some((field.name.clone(), public.value.clone()))
        });
        Ok(named.collect())
    }

    async fn schema(&self, name: &str, version: u32) -> Result<Schema, Error> {
        let found = self.client.proven_value(&document::key::schema(name, version)).await?;
        let kept_back = || format!("the node does not show the schema {name} version {version}");
        let (value, _) = found.ok_or_else(|| self.client.not_as_committed(kept_back()))?;
        decode("schema", &value, RECORD_BYTES_MAX).map_err(|_| other("schema"))
    }

    /// What a version that was proven names.
    fn up(&self, key: VersionKey) -> Vec<ProvenStep> {
        let references = self.records.get(&key).map(|(_, version)| &version.content.references);
        let step = |entry: &document::ReferenceEntry| ProvenStep {
            from: key.id,
            from_version: key.version,
            name: entry.name.clone(),
            to: entry.id,
            to_version: entry.version,
        };
        references.into_iter().flatten().map(step).collect()
    }

    /// What the chain has noted as naming a version: none of it is left out, as far as the node shows a counter at all.
    async fn down(&mut self, key: VersionKey) -> Result<Vec<ProvenStep>, Error> {
        let Some((value, height)) = self.client.proven_value(&document::key::backlinks(&key.id)).await? else {
            return Ok(Vec::new());
        };
        let count: u64 = decode("counter", &value, 8).map_err(|_| other("counter"))?;
        if let Some((proven, _)) = self.records.get_mut(&key) {
            proven.referenced_by = Some(count);
            proven.proven_at = proven.proven_at.min(height);
        }
        self.is_complete &= count <= BACKLINKS_MAX;
        let mut steps = Vec::new();
        for number in 1..=count.min(BACKLINKS_MAX) {
            let found = self.client.proven_value(&document::key::backlink(&key.id, number)).await?;
            let (value, _) = found.ok_or_else(|| {
                let reason =
                    format!("the chain counts {count} references to {}, and number {number} is kept back", key.id);
                self.client.not_as_committed(reason)
            })?;
            let record: Backlink = decode("backlink", &value, RECORD_BYTES_MAX).map_err(|_| other("backlink"))?;
            // Other versions of the document are documents of their own in a chain of evidence.
            if record.version == key.version {
                let Backlink { version: to_version, name, from, from_version, .. } = record;
                steps.push(ProvenStep { from, from_version, name, to: key.id, to_version });
            }
        }
        Ok(steps)
    }
}
