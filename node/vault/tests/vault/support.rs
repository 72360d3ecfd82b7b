//! Chance, names and documents.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use vouch_privacy::{
    Commitment, Document, DocumentHeader, DocumentKeys, FieldSpec, Grade, RecipientKey, RecipientSecret, SchemaFields,
    SealedDocument, SeededRng,
    attachment::{AttachmentValue, Blob, CHUNK_LOG},
};
use vouch_types::{
    ChainId, Hash32, SecretKey,
    document::{Category, FieldKind},
    hash::DocumentRoot,
};
use vouch_vault::{Delivery, DocumentId, FieldSet, seal_for};

pub const CHAIN: ChainId = ChainId([7; 32]);

/// `SplitMix64`: the same numbers for the same seed.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }
}

pub fn network_key(node: usize, life: u64) -> SecretKey {
    let mut seed = [0x11; 32];
    seed[..8].copy_from_slice(&(node as u64).to_le_bytes());
    seed[8..16].copy_from_slice(&life.to_le_bytes());
    SecretKey::from_seed(seed)
}

pub fn member_secret(member: usize) -> RecipientSecret {
    RecipientSecret::from_bytes([0x40 + member as u8; 32])
}

pub fn field(name: &str, kind: FieldKind, grade: Grade, public: bool) -> FieldSpec {
    FieldSpec { name: name.into(), kind, grade, public, required: name == "title" }
}

/// Slots: 0 title (may be public), 1 amount, 2 name, 3 phone, 4 files, 5 note.
pub fn schema() -> Arc<SchemaFields> {
    let fields = vec![
        field("title", FieldKind::Text, Grade::GENERAL, true),
        field("amount", FieldKind::Decimal, Grade::SENSITIVE, false),
        field("name", FieldKind::Text, Grade::SENSITIVE, false),
        field("phone", FieldKind::Text, Grade::SENSITIVE, false),
        field("files", FieldKind::Attachment, Grade::SENSITIVE, false),
        field("note", FieldKind::Text, Grade::GENERAL, false),
    ];
    Arc::new(SchemaFields::new("order", 1, Category::Transaction, fields).unwrap())
}

/// With this begins every private value, so that one search finds any of them.
pub const PLANTED: &[u8] = b"planted-";

pub const SLOTS: u16 = 6;
pub const FILES: u16 = 4;

/// A document as a client has it: what goes to the chain, and what goes to its own node.
pub struct Made {
    pub id: DocumentId,
    pub version: u32,
    pub root: [u8; 32],
    pub blob_root: Option<[u8; 32]>,
    pub delivery: Delivery,
    /// Private values: name, phone, note.
    pub planted: [String; 3],
    pub blobs: Vec<(Blob, Vec<u8>)>,
}

pub struct Wish<'a> {
    pub id: [u8; 16],
    pub version: u32,
    pub previous: Option<[u8; 32]>,
    pub issuer: &'a str,
    pub recipient: &'a RecipientKey,
    pub file_bytes: Vec<usize>,
    pub title: &'a str,
    pub file_name: &'a str,
}

pub fn make(wish: &Wish<'_>, rng: &mut Rng) -> Made {
    let schema = schema();
    let mut entropy = SeededRng::from_seed(&rng.bytes());
    let planted = ["name", "phone", "note"].map(|what| format!("planted-{:016x}-{what}", rng.next()));
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    values.insert("title".into(), json!(wish.title));
    values.insert("amount".into(), json!(format!("{}.{:02}", rng.below(100_000), rng.below(100))));
    values.insert("name".into(), json!(planted[0]));
    values.insert("phone".into(), json!(planted[1]));
    values.insert("note".into(), json!(planted[2]));
    let mut blobs = Vec::new();
    let mut named = Vec::new();
    for (index, size) in wish.file_bytes.iter().enumerate() {
        // The vault sees ciphertext only, and any bytes will do for it.
        let bytes: Vec<u8> = std::iter::repeat_with(|| rng.next().to_le_bytes()).flatten().take(*size).collect();
        let root = Hash32(*blake3::hash(&bytes).as_bytes());
        let blob = Blob { slot: FILES, index: index as u16, bytes: bytes.len() as u64, root };
        let (b3, b3_key) = (Hash32(rng.bytes()), Hash32(rng.bytes()));
        let (media, name) = ("application/pdf".into(), format!("{}{index}.pdf", wish.file_name));
        named.push(AttachmentValue { b3, b3_key, chunk_log: CHUNK_LOG, media, name, size: blob.bytes });
        blobs.push((blob, bytes));
    }
    if !named.is_empty() {
        values.insert("files".into(), serde_json::to_value(&named).unwrap());
    }
    let previous = wish.previous.map(DocumentRoot);
    let header = DocumentHeader::new(&schema, wish.issuer, DocumentId::new(wish.id), wish.version, previous);
    let keys = DocumentKeys::generate(&mut entropy);
    let commitment = Commitment::build(&Document { header, values }, &schema, &keys.secret).unwrap();
    let files: Vec<Blob> = blobs.iter().map(|(blob, _)| *blob).collect();
    let delivery = seal_for(&CHAIN, &commitment, &keys, files, wish.recipient, &mut entropy).unwrap();
    let blob_root = delivery.content.blob_root();
    Made {
        id: DocumentId::new(wish.id),
        version: wish.version,
        root: *commitment.root().as_bytes(),
        blob_root: blob_root.map(|root| root.0),
        delivery,
        planted,
        blobs,
    }
}

/// The fields of which a copy, as it lies in the storage, holds anything.
pub fn fields_of_copy(bytes: &[u8]) -> FieldSet {
    let (sealed, _): (SealedDocument, _) = vouch_types::codec::decode_prefix("copy", bytes).unwrap();
    (0u16..).zip(&sealed.slots).filter(|(_, slot)| !slot.value.is_empty()).map(|(slot, _)| slot).collect()
}
