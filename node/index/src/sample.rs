//! A chain made up by number, for measuring the index and for its tests: any number of documents without storing one.
//!
//! Names, numbers and texts come from a generator; nobody's data is in them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use vouch_types::{
    AccountId, BlockHash, ContractName, DocumentRoot, Event, Fuel, Height, NodeId, SubjectId, TimestampMs, TxId,
    document::{
        self, Category, Document, DocumentId, ErasureState, FieldKind, FieldRule, Moment, NewVersion, Party,
        PartyEntry, PublicField, ReferenceEntry, Schema, SchemaDefinition, Version, VersionState, event, key,
    },
    encode,
    hash::domain_hash,
};

use crate::{IndexBlock, IndexTransaction, Source, SourceError};

/// Members that issue documents.
pub const ISSUERS: u64 = 60;
/// Accounts that submit.
pub const ACCOUNTS: u64 = 240;
/// Persons, each named by some documents.
pub const PERSONS: u64 = 500_000;
/// When the chain begins: 2026-01-01 in UTC.
const BEGIN_MS: u64 = 1_767_225_600_000;
const CATEGORIES: [Category; 5] =
    [Category::Identity, Category::Contract, Category::Transaction, Category::Invoice, Category::Risk];

/// The chain. Block `h` submits documents `(h - 1) * per_block + 1` to `h * per_block`.
#[derive(Debug)]
pub struct SampleChain {
    per_block: u64,
    interval_ms: u64,
    head: AtomicU64,
}

fn mix(n: u64) -> u64 {
    let hash = domain_hash("vouch/sample/1", &[&n.to_le_bytes()]);
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn hash32(what: u8, n: u64) -> [u8; 32] {
    domain_hash("vouch/sample/2", &[&[what], &n.to_le_bytes()]).0
}

impl SampleChain {
    /// With so many documents in each block, one every `interval_ms`.
    #[must_use]
    pub const fn new(per_block: u64, interval_ms: u64) -> Self {
        Self { per_block, interval_ms, head: AtomicU64::new(0) }
    }

    /// Moves the head.
    pub fn set_head(&self, height: Height) {
        self.head.store(height.0, Relaxed);
    }

    /// Documents up to the head.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.head.load(Relaxed).saturating_mul(self.per_block)
    }

    /// The id of a document by its number: as random to a B-tree as a real one.
    #[must_use]
    pub fn id(n: u64) -> DocumentId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&mix(n).to_be_bytes());
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        DocumentId::new(bytes)
    }

    fn number(&self, id: &[u8]) -> Option<u64> {
        let n = u64::from_be_bytes(id.get(8..16)?.try_into().ok()?);
        (n >= 1 && n <= self.documents()).then_some(n)
    }

    /// The name of an issuer.
    #[must_use]
    pub fn issuer(n: u64) -> String {
        // Some issue a hundred times as many as others.
        format!("member-{:02}", (mix(n) % ISSUERS) * (mix(n ^ 77) % ISSUERS) / ISSUERS)
    }

    /// A person.
    #[must_use]
    pub fn person(n: u64) -> SubjectId {
        SubjectId(hash32(1, mix(n) % PERSONS))
    }

    /// An account that submits.
    #[must_use]
    pub fn account(n: u64) -> AccountId {
        AccountId(hash32(2, n % ACCOUNTS))
    }

    /// The public text by which a document is found.
    #[must_use]
    pub fn text(n: u64) -> String {
        format!("HT-2026-{n:09}")
    }

    fn category(n: u64) -> Category {
        CATEGORIES[usize::try_from(n % 5).unwrap_or(0)]
    }

    fn state_of(n: u64) -> VersionState {
        match mix(n ^ 5) % 1_000 {
            0..=4 => VersionState::Revoked,
            5..=24 => VersionState::Pending,
            _ => VersionState::Effective,
        }
    }

    fn moment(&self, n: u64) -> Moment {
        let height = (n - 1) / self.per_block + 1;
        Moment { height: Height(height), time_ms: self.time(height) }
    }

    const fn time(&self, height: u64) -> TimestampMs {
        TimestampMs(BEGIN_MS + height * self.interval_ms)
    }

    fn document(&self, n: u64) -> Document {
        let state = Self::state_of(n);
        Document {
            id: Self::id(n),
            sequence: n,
            category_sequence: (n - 1) / 5 + 1,
            issuer_sequence: n / ISSUERS + 1,
            category: Self::category(n),
            schema: format!("sample-{}", n % 5),
            issuer: Self::issuer(n),
            created: self.moment(n),
            latest: 1,
            effective: (state == VersionState::Effective).then_some(1),
            disputes: u32::from(mix(n ^ 9).is_multiple_of(2_000)),
            holds: 0,
            correction: false,
            erasure: ErasureState::None,
        }
    }

    fn version(&self, n: u64) -> Version {
        let person = PartyEntry { role: "worker".into(), party: Party::subject(Self::person(n)) };
        let platform = PartyEntry { role: "platform".into(), party: Party::member(Self::issuer(n + 1)) };
        let before = n.checked_sub(1).filter(|before| n % 5 != 1 && *before > 0);
        let reference = |before| ReferenceEntry { name: "basis".into(), id: Self::id(before), version: 1 };
        let content = NewVersion {
            schema_version: 1,
            root: DocumentRoot(hash32(3, n)),
            blob_root: None,
            parties: vec![person, platform],
            references: before.map(reference).into_iter().collect(),
            public: vec![PublicField { slot: 0, value: format!("{:?}", Self::text(n)) }],
            recipients: Vec::new(),
        };
        Version {
            version: 1,
            content,
            previous_root: None,
            submitted: self.moment(n),
            submitter: Self::account(n),
            state: Self::state_of(n),
            effective: None,
            ending: None,
            signatures: Vec::new(),
            accepted: 0,
            rejected: 0,
        }
    }

    fn schema(category: Category) -> Schema {
        let field = FieldRule {
            name: "number".into(),
            title_en: "Number".into(),
            title_zh: "编号".into(),
            kind: FieldKind::Text,
            grade: 1,
            public: true,
            required: true,
            readers: 0,
            about: None,
        };
        let definition = SchemaDefinition {
            name: "sample".into(),
            title_en: "Sample".into(),
            title_zh: "样例".into(),
            category,
            fields: vec![field],
            parties: Vec::new(),
            references: Vec::new(),
            purposes: Vec::new(),
            retention_days: 0,
        };
        let registered = Moment { height: Height(1), time_ms: TimestampMs(BEGIN_MS) };
        Schema { version: 1, definition, registered, retired: None }
    }

    fn transaction(&self, n: u64) -> IndexTransaction {
        let id = Self::id(n);
        let contract = contract(document::CONTRACT);
        let said = |name: &str, data| Event { contract: contract.clone(), name: name.into(), data };
        let submitted = event::Submitted {
            id,
            version: 1,
            category: Self::category(n),
            issuer: Self::issuer(n),
            root: DocumentRoot(hash32(3, n)),
        };
        IndexTransaction {
            id: TxId(hash32(4, n)),
            signer: Self::account(n),
            calls: vec![(contract.clone(), "submit".into())],
            code: None,
            fuel: Fuel(560_000),
            events: vec![said("Submitted", encode(&submitted))],
        }
    }
}

fn contract(name: &str) -> ContractName {
    ContractName::new(name).expect("the names of this file have the form of one")
}

impl Source for SampleChain {
    fn head(&self) -> Option<Height> {
        Some(Height(self.head.load(Relaxed)))
    }

    fn lowest(&self) -> Result<Height, SourceError> {
        Ok(Height(1))
    }

    fn block(&self, height: Height) -> Result<Option<IndexBlock>, SourceError> {
        let h = height.0;
        if h == 0 || h > self.head.load(Relaxed) {
            return Ok(None);
        }
        let numbers = (h - 1) * self.per_block + 1..=h * self.per_block;
        let mut transactions: Vec<IndexTransaction> = numbers.map(|n| self.transaction(n)).collect();
        // One in a hundred fails.
        for transaction in transactions.iter().skip(50).step_by(100).cloned().collect::<Vec<_>>() {
            transactions.push(IndexTransaction {
                id: TxId(domain_hash("vouch/sample/3", &[transaction.id.as_bytes()]).0),
                code: Some("contract.error.document_exists".into()),
                events: Vec::new(),
                ..transaction
            });
        }
        Ok(Some(IndexBlock {
            height,
            hash: BlockHash(hash32(5, h)),
            parent: BlockHash(hash32(5, h - 1)),
            time: self.time(h),
            proposer: NodeId(hash32(6, h % 4)),
            transactions,
        }))
    }

    fn hash(&self, height: Height) -> Result<Option<BlockHash>, SourceError> {
        Ok((height.0 >= 1).then_some(BlockHash(hash32(5, height.0))))
    }

    fn state(&self, name: &str, wanted: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        if name != document::CONTRACT {
            return Ok(None);
        }
        if wanted == key::DOCUMENTS {
            return Ok(Some(encode(&self.documents())));
        }
        let id = wanted.get(1..17).unwrap_or_default();
        Ok(match wanted.first() {
            Some(b'd') => self.number(id).map(|n| encode(&self.document(n))),
            Some(b'v') => self.number(id).map(|n| encode(&self.version(n))),
            Some(b'h') => Some(encode(&Self::schema(Category::Contract))),
            Some(b'E') => {
                let n = wanted.get(3..11).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
                (n >= 1 && n <= self.documents()).then(|| Self::id(n).as_bytes().to_vec())
            }
            _ => None,
        })
    }
}
