//! A small chain made from fixed seeds, with documents in its state, and packages about them.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
};

use serde_json::{Value, json};
use vouch_privacy::{
    Commitment, Document as PlainDocument, DocumentHeader, DocumentSecret, FieldSpec, SchemaFields,
    attachment::{AttachmentValue, CHUNK_LOG, GroupHashes, HashKey, TreeHasher},
    evidence::{
        AttachmentEntry, AttachmentPart, AuditExtract, AuditLine, Disclosures, DocumentEvidence, DocumentName,
        FilePart, History, Made, Package, ProvenRecord, Records, ShownField, Submission,
    },
};
use vouch_types::{
    AccountId, Block, Call, ChainId, CommitCertificate, CommitSignature, ContractName, DocumentRoot, Event, EventsRoot,
    Fuel, GenesisHeader, Hash32, Header, Height, Outcome, Power, Receipt, ReceiptsRoot, Round, SecretKey, StateProof,
    StateRoot, TimestampMs, Transaction, TransactionBody, Validator, ValidatorSet,
    block::BLOCK_VERSION,
    document::{
        AuditAnchor, Category, Document, DocumentId, ErasureState, FieldRule, FieldSet, Moment, NewVersion, Party,
        PartyEntry, ReferenceEntry, Schema, SchemaDefinition, Version, VersionKey, VersionState,
        audit::{Access, AuditRecord},
        event::Submitted,
        key,
    },
    encode,
    hash::domain_hash,
    light::{EventProof, FinalityProof, ReceiptProof, SetChange, TransactionProof},
    merkle,
    receipt::{events_root, output_hash},
    state,
    transaction::TRANSACTION_VERSION,
};

use crate::support::{schema, values};

pub const GENESIS_MS: u64 = 1_800_000_000_000;
/// Length of the file: three groups of 16 KiB, the last one short.
pub const FILE_BYTES: usize = 40_000;
pub const FILE_SLOT: u16 = 10;

pub fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn set(numbers: &[u8]) -> ValidatorSet {
    let one = |n: &u8| Validator { key: secret(*n).public(), power: Power(1) };
    ValidatorSet::new(numbers.iter().map(one).collect()).unwrap()
}

/// The account that issued the documents.
pub fn issuer() -> SecretKey {
    secret(100)
}

/// The account that makes packages.
pub fn maker() -> SecretKey {
    secret(101)
}

pub fn content() -> Vec<u8> {
    (0..FILE_BYTES).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
}

fn file() -> (AttachmentValue, GroupHashes) {
    let key = [0x77; 32];
    let mut hasher = TreeHasher::new(HashKey::Keyed(key));
    hasher.update(&content()).unwrap();
    let (b3, groups) = hasher.finish();
    let (name, media) = ("回单.pdf".into(), "application/pdf".into());
    let size = FILE_BYTES as u64;
    (AttachmentValue { b3, b3_key: Hash32(key), chunk_log: CHUNK_LOG, media, name, size }, groups)
}

/// The schema of the tests as it is registered on a chain.
fn registered(fields: &SchemaFields) -> Schema {
    let rule = |field: &FieldSpec| FieldRule {
        name: field.name.clone(),
        title_en: field.name.clone(),
        title_zh: "字段".into(),
        kind: field.kind,
        grade: field.grade.number(),
        public: field.public,
        required: field.required,
        readers: 31,
        about: None,
    };
    let definition = SchemaDefinition {
        name: fields.id().into(),
        title_en: "Settlement".into(),
        title_zh: "结算单 <b>".into(),
        category: fields.category(),
        fields: fields.fields().iter().map(rule).collect(),
        parties: Vec::new(),
        references: Vec::new(),
        purposes: Vec::new(),
        retention_days: 0,
    };
    Schema { version: fields.version(), definition, registered: at(1), retired: None }
}

fn at(height: u64) -> Moment {
    Moment { height: Height(height), time_ms: TimestampMs(GENESIS_MS + height * 1_000) }
}

/// A document of the world: its commitment and the chain's records.
pub struct Made1 {
    pub commitment: Commitment,
    pub document: Document,
    pub version: Version,
}

/// Document `n`; each from the second on names the one before.
fn document(n: u8) -> Made1 {
    let schema = schema();
    let id = DocumentId::new([n; 16]);
    let header = DocumentHeader::new(&schema, "accu", id, 1, None);
    let mut values = values();
    values.insert("files".into(), json!([file().0]));
    values.insert("remark".into(), json!(format!("第 {n} 号")));
    let secret = DocumentSecret::from_bytes([n; 32]);
    let commitment = Commitment::build(&PlainDocument { header, values }, &schema, &secret).unwrap();
    let before = n.checked_sub(1).filter(|before| *before > 0).map(|before| ReferenceEntry {
        name: "contract".into(),
        id: DocumentId::new([before; 16]),
        version: 1,
    });
    let content = NewVersion {
        schema_version: 1,
        root: commitment.root(),
        blob_root: None,
        parties: vec![PartyEntry { role: "payer".into(), party: Party::member("shop") }],
        references: before.into_iter().collect(),
        public: Vec::new(),
        recipients: Vec::new(),
    };
    let version = Version {
        version: 1,
        content,
        previous_root: None,
        submitted: at(2),
        submitter: issuer().public().account(),
        state: VersionState::Effective,
        effective: Some(at(2)),
        ending: None,
        signatures: Vec::new(),
        accepted: 1,
        rejected: 0,
    };
    let document = Document {
        id,
        sequence: u64::from(n),
        category_sequence: u64::from(n),
        issuer_sequence: u64::from(n),
        category: Category::Transaction,
        schema: schema.id().into(),
        issuer: "accu".into(),
        created: at(2),
        latest: 1,
        effective: Some(1),
        disputes: 0,
        holds: 0,
        correction: false,
        erasure: ErasureState::None,
    };
    Made1 { commitment, document, version }
}

/// Three blocks; documents are submitted in the second, the validator set changes after it.
pub struct World {
    pub genesis: GenesisHeader,
    pub sets: Vec<ValidatorSet>,
    pub documents: Vec<Made1>,
    pub records: Vec<AuditRecord>,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    transactions: Vec<Vec<u8>>,
    events: Vec<Vec<Event>>,
    receipts: Vec<Receipt>,
    pub finality: Vec<FinalityProof>,
}

impl World {
    pub fn new() -> Self {
        let (first, second) = (set(&[1, 2, 3, 4]), set(&[1, 2, 3, 5]));
        let genesis = GenesisHeader {
            version: BLOCK_VERSION,
            time: TimestampMs(GENESIS_MS),
            document: domain_hash("vouch/test-document/1", &[]),
            validators_hash: first.hash(),
        };
        let sets = vec![first.clone(), first, second.clone(), second];
        let documents: Vec<Made1> = (1..=4).map(document).collect();
        let mut world = Self {
            genesis,
            sets,
            documents,
            records: Vec::new(),
            entries: Vec::new(),
            transactions: Vec::new(),
            events: Vec::new(),
            receipts: Vec::new(),
            finality: Vec::new(),
        };
        world.fill();
        (1..=3).for_each(|height| world.push(height));
        world
    }

    pub fn chain(&self) -> ChainId {
        self.genesis.chain()
    }

    fn fill(&mut self) {
        let mut previous = Hash32::ZERO;
        for number in 1..=5 {
            let record = AuditRecord {
                number,
                time: TimestampMs(GENESIS_MS + number),
                actor: AccountId([8; 32]),
                access: if number % 2 == 0 { Access::Read } else { Access::Export },
                key: VersionKey { id: DocumentId::new([u8::try_from(number % 3).unwrap(); 16]), version: 1 },
                fields: FieldSet::first(3),
                purpose: "audit".into(),
                result: "ok".into(),
                previous,
            };
            previous = record.hash();
            self.records.push(record);
        }
        let state_key = |key: Vec<u8>| key::in_state(&key);
        for made in &self.documents {
            self.entries.push((state_key(key::document(&made.document.id)), encode(&made.document)));
            self.entries.push((state_key(key::version(&made.document.id, 1)), encode(&made.version)));
        }
        let schema = registered(&schema());
        self.entries.push((state_key(key::schema(&schema.definition.name, 1)), encode(&schema)));
        let anchor = AuditAnchor { number: 2, entries: 5, head: previous, at: at(3) };
        self.entries.push((state_key(key::audit_anchor("accu", "node-1", 2)), encode(&anchor)));
        let contents: Vec<(DocumentId, NewVersion)> =
            self.documents.iter().map(|made| (made.document.id, made.version.content.clone())).collect();
        for (index, (id, content)) in (0u32..).zip(contents) {
            let root = content.root;
            let call = Call {
                contract: ContractName::new("documents").unwrap(),
                method: "submit".into(),
                arguments: encode(&(id, "settlement".to_owned(), content)),
            };
            let salt = [u8::try_from(index).unwrap(); 16];
            let (version, chain, expiry) = (TRANSACTION_VERSION, self.genesis.chain(), Height(100));
            let signed = TransactionBody { version, chain, expiry, salt, calls: vec![call] }.sign(&[&issuer()]);
            self.add_transaction(index, &signed, id, root);
        }
    }

    fn add_transaction(&mut self, index: u32, transaction: &Transaction, id: DocumentId, root: DocumentRoot) {
        let submitted = Submitted { id, version: 1, category: Category::Transaction, issuer: "accu".into(), root };
        let contract = ContractName::new("documents").unwrap();
        let other = Event { contract: contract.clone(), name: "AudienceChanged".into(), data: encode(&(id, 1u32)) };
        let events = vec![Event { contract, name: "Submitted".into(), data: encode(&submitted) }, other];
        self.receipts.push(Receipt {
            tx: transaction.body.id(),
            height: Height(2),
            index,
            outcome: Outcome::Success,
            fuel_used: Fuel(1_000),
            output_hash: output_hash(b"done"),
            events_root: EventsRoot(events_root(&events).0),
        });
        self.events.push(events);
        self.transactions.push(encode(transaction));
    }

    fn push(&mut self, height: u64) {
        let index = usize::try_from(height).unwrap() - 1;
        let (transactions, receipts) =
            if height == 2 { (&self.transactions[..], &self.receipts[..]) } else { (&[][..], &[][..]) };
        let receipts: Vec<Hash32> = receipts.iter().map(Receipt::leaf).collect();
        let header = Header {
            version: BLOCK_VERSION,
            chain: self.chain(),
            height: Height(height),
            time: at(height).time_ms,
            parent: self.finality.last().map_or(vouch_types::BlockHash(self.chain().0), |proof| proof.header.hash()),
            proposer: self.sets[index].members()[0].key.node(),
            transactions_root: Block::transactions_root(transactions),
            receipts_root: ReceiptsRoot(merkle::root(&receipts).0),
            state_root: self.state_proof(0).1,
            validators_hash: self.sets[index].hash(),
            next_validators_hash: self.sets[index + 1].hash(),
        };
        self.finality.push(certified(header, &self.sets[index], 3));
    }

    fn state_proof(&self, slot: usize) -> (StateProof, StateRoot) {
        let slots = self.entries.len() as u64;
        let mut level: Vec<Hash32> =
            (0..).zip(&self.entries).map(|(n, (key, value))| state::slot_hash(n, key, Some(value))).collect();
        level.resize(1 << state::depth(slots), Hash32::ZERO);
        let (mut at, mut siblings) = (slot, Vec::new());
        while level.len() > 1 {
            siblings.push(level[at ^ 1]);
            level = level.chunks(2).map(|pair| state::node_hash(&pair[0], &pair[1])).collect();
            at /= 2;
        }
        let (key, value) = self.entries[slot].clone();
        let proof = StateProof { key, value: Some(value), slot: slot as u64, slots, siblings };
        (proof, state::root_hash(slots, &level[0]))
    }

    pub fn record(&self, key: &[u8]) -> ProvenRecord {
        let wanted = key::in_state(key);
        let slot = self.entries.iter().position(|(key, _)| *key == wanted).unwrap();
        ProvenRecord { finality: self.finality[2].clone(), state: self.state_proof(slot).0 }
    }

    fn submission(&self, index: usize) -> Submission {
        let raw: Vec<Hash32> = self.transactions.iter().map(|raw| merkle::leaf_hash(raw)).collect();
        let receipts: Vec<Hash32> = self.receipts.iter().map(Receipt::leaf).collect();
        let events = &self.events[index];
        let leaves: Vec<Hash32> = events.iter().map(|event| merkle::leaf_hash(&encode(event))).collect();
        let receipt =
            ReceiptProof { receipt: self.receipts[index].clone(), path: merkle::path(&receipts, index).unwrap() };
        Submission {
            finality: self.finality[1].clone(),
            transaction: TransactionProof {
                raw: self.transactions[index].clone(),
                path: merkle::path(&raw, index).unwrap(),
            },
            event: EventProof { event: events[0].clone(), path: merkle::path(&leaves, 0).unwrap(), receipt },
        }
    }

    pub fn history(&self) -> History {
        let change = SetChange { finality: self.finality[1].clone(), next_set: self.sets[2].clone() };
        History { genesis: self.genesis.clone(), first_set: self.sets[0].clone(), set_changes: vec![change] }
    }

    /// Evidence of document `n` with some of its fields.
    pub fn evidence(&self, n: usize, slots: &[u16], parts: &[AttachmentPart]) -> (DocumentName, DocumentEvidence) {
        let made = &self.documents[n - 1];
        let id = made.document.id;
        let field = |slot: &u16| {
            let proof = made.commitment.proof(*slot).unwrap();
            let rows = made.commitment.rows().get(slot).map(|rows| rows.disclosures().to_vec());
            ShownField { slot: *slot, disclosure: proof.disclosure, path: proof.path, rows }
        };
        let records = Records {
            document: self.record(&key::document(&id)),
            version: self.record(&key::version(&id, 1)),
            schema: self.record(&key::schema("settlement", 1)),
        };
        let disclosures =
            Disclosures { header: made.commitment.header().to_json(), fields: slots.iter().map(field).collect() };
        let entry = AttachmentEntry { slot: FILE_SLOT, index: 0, groups: file().1.hashes, parts: parts.to_vec() };
        let evidence = DocumentEvidence {
            records,
            disclosures,
            submission: Some(self.submission(n - 1)),
            attachments: if parts.is_empty() { Vec::new() } else { vec![entry] },
        };
        (DocumentName { id, version: 1 }, evidence)
    }

    pub fn audit(&self, after: usize) -> AuditExtract {
        AuditExtract {
            member: "accu".into(),
            node: "node-1".into(),
            anchor_number: 2,
            anchor: self.record(&key::audit_anchor("accu", "node-1", 2)),
            after: after as u64,
            previous: after.checked_sub(1).map_or(Hash32::ZERO, |before| self.records[before].hash()),
            records: self.records[after..].iter().map(AuditLine::from).collect(),
        }
    }

    /// A package about document `n` and the one that it names, with a file whole and in pieces, and a log.
    pub fn package(&self, n: usize) -> Package {
        let whole = [AttachmentPart { offset: 0, bytes: FILE_BYTES as u64 }];
        let pieces = [AttachmentPart { offset: 16_384, bytes: 16_384 }];
        Package {
            chain: self.chain(),
            made: Made {
                at: TimestampMs(GENESIS_MS + 60_000),
                key: maker().public(),
                member: "accu".into(),
                purpose: "audit".into(),
                statement: "提交仲裁 <script>".into(),
            },
            history: self.history(),
            documents: vec![self.evidence(n, &[0, 1, 3, 9, 10, 12], &whole), self.evidence(n - 1, &[3, 10], &pieces)],
            audit: Some(self.audit(1)),
        }
    }
}

/// A header with a certificate by the first `signers` of its set.
pub fn certified(header: Header, set: &ValidatorSet, signers: usize) -> FinalityProof {
    let mut certificate =
        CommitCertificate { height: header.height, round: Round(0), block: header.hash(), signatures: Vec::new() };
    let digest = certificate.statement(header.chain).digest();
    let secret_of = |key| (0..=255).map(secret).find(|secret| secret.public() == key).unwrap();
    let sign = |(validator, found): (u16, &Validator)| CommitSignature {
        validator,
        signature: secret_of(found.key).sign(digest.as_bytes()),
    };
    certificate.signatures = (0u16..).zip(set.members()).take(signers).map(sign).collect();
    FinalityProof { header, certificate }
}

/// A time-stamping authority that signs nothing: its token has the imprint where a real one has it.
pub fn stamp(manifest: &[u8]) -> std::io::Result<Vec<u8>> {
    use sha2::Digest as _;
    Ok([&[0x30, 0x24, 0x04, 0x20][..], &sha2::Sha256::digest(manifest), b"tail"].concat())
}

#[expect(clippy::unnecessary_wraps, reason = "the form that a package asks for")]
pub fn open(part: FilePart) -> std::io::Result<Box<dyn Read>> {
    let from = usize::try_from(part.offset).unwrap();
    Ok(Box::new(Cursor::new(content()[from..].to_vec())))
}

pub fn written(package: &Package) -> Vec<u8> {
    package.write(Cursor::new(Vec::new()), &maker(), &mut open, Some(&mut stamp)).unwrap().into_inner()
}

/// Fields of a report by name.
pub fn shown(fields: &[vouch_privacy::evidence::FieldFinding]) -> BTreeMap<String, Value> {
    fields.iter().map(|field| (field.name.clone(), field.value.clone())).collect()
}
