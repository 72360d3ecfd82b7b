//! A chain whose state is a map, changed block by block as the contracts would change it.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use vouch_index::{IndexBlock, IndexTransaction, Source, SourceError};
use vouch_types::{
    AccountId, BlockHash, ContractName, DocumentRoot, Event, Fuel, Height, NodeId, TimestampMs, TxId,
    codec::Format,
    document::{
        self, Category, Document, DocumentId, ErasureState, FieldKind, FieldRule, FieldSet, Grant, Moment, NewVersion,
        Party, PartyEntry, PublicField, ReferenceEntry, Schema, SchemaDefinition, Version, VersionState, event, key,
    },
    encode,
    hash::domain_hash,
    relation::{self, RelationKind, RelationState, Relationship, RelationshipChanged},
};
use wincode::SchemaWrite;

pub const MINUTE_MS: u64 = 60_000;

#[derive(Default)]
struct Inner {
    blocks: BTreeMap<u64, IndexBlock>,
    state: BTreeMap<(String, Vec<u8>), Vec<u8>>,
    events: Vec<Event>,
    lowest: u64,
    salt: u8,
    is_joining: bool,
    unreadable: Option<String>,
    reads: u64,
}

/// The ledger; clones are the same one.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<Inner>>);

pub fn id(n: u8) -> DocumentId {
    DocumentId::new([n; 16])
}

pub fn contract(name: &str) -> ContractName {
    ContractName::new(name).unwrap()
}

impl World {
    pub fn new() -> Self {
        let world = Self::default();
        world.0.lock().lowest = 1;
        world
    }

    /// Another chain with the same heights.
    pub fn fork(&self) -> Self {
        let inner = self.0.lock();
        let mut other = Inner { lowest: 1, salt: inner.salt + 1, state: inner.state.clone(), ..Inner::default() };
        other.blocks = inner.blocks.clone();
        for block in other.blocks.values_mut() {
            block.hash.0[0] ^= 0xff;
            block.parent.0[0] ^= 0xff;
        }
        Self(Arc::new(Mutex::new(other)))
    }

    pub fn put<T: SchemaWrite<Format, Src = T>>(&self, contract: &str, key: Vec<u8>, value: &T) {
        self.0.lock().state.insert((contract.into(), key), encode(value));
    }

    pub fn get(&self, contract: &str, key: &[u8]) -> Option<Vec<u8>> {
        self.0.lock().state.get(&(contract.to_owned(), key.to_vec())).cloned()
    }

    /// How many documents there are.
    pub fn documents(&self) -> u8 {
        let count = self.get(document::CONTRACT, key::DOCUMENTS);
        count.map_or(0, |bytes| u8::try_from(u64::from_le_bytes(bytes.try_into().unwrap())).unwrap())
    }

    fn bump(&self, contract: &str, key: &[u8]) -> u64 {
        let before = self.get(contract, key).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        self.put(contract, key.to_vec(), &(before + 1));
        before + 1
    }

    pub fn say<T: SchemaWrite<Format, Src = T>>(&self, of: &str, name: &str, event: &T) {
        let event = Event { contract: contract(of), name: name.into(), data: encode(event) };
        self.0.lock().events.push(event);
    }

    pub fn height(&self) -> u64 {
        self.0.lock().blocks.keys().next_back().copied().unwrap_or(0)
    }

    /// The moment of the block that is being made.
    pub fn now(&self) -> Moment {
        let height = self.height() + 1;
        Moment { height: Height(height), time_ms: TimestampMs(height * MINUTE_MS) }
    }

    /// A block with one transaction that says what was said, and `extra` others.
    pub fn close(&self, extra: u64) -> u64 {
        let at = self.now();
        let mut inner = self.0.lock();
        let events = std::mem::take(&mut inner.events);
        let height = at.height.0;
        let salt = inner.salt;
        let hash = |n: u64| BlockHash(domain_hash("test/block", &[&[salt], &n.to_le_bytes()]).0);
        let transaction = |place: u64, events, code| IndexTransaction {
            id: TxId(domain_hash("test/tx", &[&height.to_le_bytes(), &place.to_le_bytes()]).0),
            signer: AccountId([u8::try_from(place % 3).unwrap(); 32]),
            calls: vec![
                (contract("documents"), if place.is_multiple_of(2) { "submit" } else { "sign" }.into()),
                (contract("notary"), "register".into()),
            ],
            code,
            fuel: Fuel(7),
            events,
        };
        let mut transactions = vec![transaction(0, events, None)];
        for place in 1..=extra {
            let code = place.is_multiple_of(3).then(|| "contract.error.test".to_owned());
            transactions.push(transaction(place, Vec::new(), code));
        }
        let parent = inner.blocks.get(&(height - 1)).map_or(hash(0), |block| block.hash);
        let block = IndexBlock {
            height: at.height,
            hash: hash(height),
            parent,
            time: at.time_ms,
            proposer: NodeId([1; 32]),
            transactions,
        };
        inner.blocks.insert(height, block);
        height
    }

    pub fn prune_below(&self, height: u64) {
        let mut inner = self.0.lock();
        inner.lowest = height;
        inner.blocks.retain(|at, _| *at >= height);
    }

    /// Back to a height, as after a restore.
    pub fn cut_above(&self, height: u64) -> BTreeMap<u64, IndexBlock> {
        self.0.lock().blocks.split_off(&(height + 1))
    }

    /// What was cut off, come again from others.
    pub fn put_back(&self, blocks: BTreeMap<u64, IndexBlock>) {
        self.0.lock().blocks.extend(blocks);
    }

    /// How often the state was read by the index.
    pub fn reads(&self) -> u64 {
        self.0.lock().reads
    }

    /// A grant that ends in the block that makes it.
    pub fn grant(&self, document: DocumentId) {
        let number = self.bump(document::CONTRACT, key::GRANTS);
        let grant = Grant {
            id: number,
            document,
            version: 1,
            member: Some("bank".into()),
            key: None,
            fields: FieldSet::default(),
            purpose: "audit".into(),
            until_ms: None,
            by: Party::member("works"),
            at: self.now(),
            ended: Some(self.now()),
        };
        self.put(document::CONTRACT, key::grant(number), &grant);
        let said = event::AudienceChanged { id: document, version: 1 };
        self.say(document::CONTRACT, "AudienceChanged", &said);
    }

    /// From now on what a contract keeps cannot be read, or can again.
    pub fn set_unreadable(&self, contract: Option<&str>) {
        self.0.lock().unreadable = contract.map(str::to_owned);
    }

    pub fn set_joining(&self, joining: bool) {
        self.0.lock().is_joining = joining;
    }

    pub fn schema(&self) {
        let field = |name: &str, kind| FieldRule {
            name: name.into(),
            title_en: String::new(),
            title_zh: String::new(),
            kind,
            grade: 1,
            public: true,
            required: false,
            readers: 0,
            about: None,
        };
        let definition = SchemaDefinition {
            name: "bill".into(),
            title_en: String::new(),
            title_zh: String::new(),
            category: Category::Invoice,
            fields: vec![field("number", FieldKind::Text), field("amount", FieldKind::Decimal)],
            parties: vec![],
            references: vec![],
            purposes: vec![],
            retention_days: 0,
        };
        let schema = Schema { version: 1, definition, registered: self.now(), retired: None };
        self.put(document::CONTRACT, key::schema("bill", 1), &schema);
    }

    pub fn document(&self, id: &DocumentId) -> Document {
        let bytes = self.get(document::CONTRACT, &key::document(id)).unwrap();
        vouch_types::decode("document", &bytes, 1 << 16).unwrap()
    }

    pub fn version(&self, id: &DocumentId, number: u32) -> Version {
        let bytes = self.get(document::CONTRACT, &key::version(id, number)).unwrap();
        vouch_types::decode("version", &bytes, 1 << 16).unwrap()
    }

    pub fn save(&self, document: &Document, version: &Version) {
        self.put(document::CONTRACT, key::document(&document.id), document);
        self.put(document::CONTRACT, key::version(&document.id, version.version), version);
    }

    fn content(number: &str, parties: &[Party], references: &[DocumentId]) -> NewVersion {
        let parties = parties.iter().map(|party| PartyEntry { role: "buyer".into(), party: party.clone() });
        let references = references.iter().map(|id| ReferenceEntry { name: "basis".into(), id: *id, version: 1 });
        NewVersion {
            schema_version: 1,
            root: DocumentRoot([3; 32]),
            blob_root: None,
            parties: parties.collect(),
            references: references.collect(),
            public: vec![
                PublicField { slot: 0, value: serde_json_text(number) },
                PublicField { slot: 1, value: serde_json_text("12.50") },
            ],
            recipients: vec![],
        }
    }

    fn draft(&self, number: u32, content: NewVersion) -> Version {
        Version {
            version: number,
            content,
            previous_root: None,
            submitted: self.now(),
            submitter: AccountId([1; 32]),
            state: VersionState::Effective,
            effective: Some(self.now()),
            ending: None,
            signatures: vec![],
            accepted: 0,
            rejected: 0,
        }
    }

    /// A document that stands at once.
    pub fn submit(
        &self,
        n: u8,
        issuer: &str,
        number: &str,
        parties: &[Party],
        references: &[DocumentId],
    ) -> DocumentId {
        let sequence = self.bump(document::CONTRACT, key::DOCUMENTS);
        let document = Document {
            id: id(n),
            sequence,
            category_sequence: sequence,
            issuer_sequence: sequence,
            category: Category::Invoice,
            schema: "bill".into(),
            issuer: issuer.into(),
            created: self.now(),
            latest: 1,
            effective: Some(1),
            disputes: 0,
            holds: 0,
            correction: false,
            erasure: ErasureState::None,
        };
        self.0.lock().state.insert((document::CONTRACT.into(), key::listed(sequence)), id(n).as_bytes().to_vec());
        self.save(&document, &self.draft(1, Self::content(number, parties, references)));
        self.submitted(&document, 1);
        id(n)
    }

    fn submitted(&self, document: &Document, version: u32) {
        let said = event::Submitted {
            id: document.id,
            version,
            category: document.category,
            issuer: document.issuer.clone(),
            root: DocumentRoot([3; 32]),
        };
        self.say(document::CONTRACT, "Submitted", &said);
    }

    /// A new version of it, which waits for signatures.
    pub fn revise(&self, id: DocumentId, number: &str, references: &[DocumentId]) {
        let mut document = self.document(&id);
        document.latest += 1;
        let mut version = self.draft(document.latest, Self::content(number, &[], references));
        version.state = VersionState::Pending;
        version.effective = None;
        self.save(&document, &version);
        self.submitted(&document, document.latest);
    }

    /// The end of the version that stands.
    pub fn revoke(&self, id: DocumentId) {
        let mut document = self.document(&id);
        let number = document.effective.take().unwrap();
        let mut version = self.version(&id, number);
        version.state = VersionState::Revoked;
        self.save(&document, &version);
        let said = event::StateChanged { id, version: number, state: VersionState::Revoked };
        self.say(document::CONTRACT, "StateChanged", &said);
    }

    pub fn relate(&self, kind: RelationKind, member: &str, party: Party) -> u64 {
        let number = self.bump(relation::CONTRACT, relation::key::RELATIONSHIPS);
        let relationship = Relationship {
            id: number,
            kind,
            member: member.into(),
            party: party.clone(),
            via: None,
            state: RelationState::Agreed,
            offered_by: Party::member(member),
            offered: self.now(),
            agreed: Some(self.now()),
            ended: None,
            from_ms: None,
            until_ms: None,
        };
        self.put(relation::CONTRACT, relation::key::relationship(number), &relationship);
        let state = relationship.state;
        let said = RelationshipChanged { id: number, kind, member: member.into(), party, state };
        self.say(relation::CONTRACT, "RelationshipChanged", &said);
        number
    }
}

fn serde_json_text(text: &str) -> String {
    format!("\"{text}\"")
}

impl Source for World {
    fn head(&self) -> Option<Height> {
        let is_joining = self.0.lock().is_joining;
        (!is_joining).then(|| Height(self.height()))
    }

    fn lowest(&self) -> Result<Height, SourceError> {
        Ok(Height(self.0.lock().lowest))
    }

    fn block(&self, height: Height) -> Result<Option<IndexBlock>, SourceError> {
        Ok(self.0.lock().blocks.get(&height.0).cloned())
    }

    fn hash(&self, height: Height) -> Result<Option<BlockHash>, SourceError> {
        Ok(self.0.lock().blocks.get(&height.0).map(|block| block.hash))
    }

    fn state(&self, contract: &str, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        let mut inner = self.0.lock();
        inner.reads += 1;
        if inner.unreadable.as_deref() == Some(contract) {
            return Err(SourceError("it is made to fail".into()));
        }
        drop(inner);
        Ok(self.get(contract, key))
    }
}
