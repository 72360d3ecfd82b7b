//! Documents as a business system makes them: values of which each is found again wherever it gets to, committed to and
//! sealed for the issuer's own node.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::json;
use vouch_privacy::{
    Commitment, Document, DocumentHeader, DocumentKeys, RecipientSecret, SchemaFields, SeededRng, WrapContext,
    sealing::open_wrap,
};
use vouch_types::{
    ChainId, Height, TimestampMs,
    document::{
        Category, FieldKind, FieldRule, FieldSet, Moment, NewVersion, Party, PartyEntry, PartyRule, Schema,
        SchemaDefinition, class, member_role,
    },
    hash::DocumentRoot,
};
use vouch_vault::{Delivery, DocumentId, VersionKey, seal_for};

use super::{
    super::{genesis, rng::Rng},
    model::{SHARED, SLOTS},
};

/// The schema's name.
pub const SCHEMA: &str = "sealed";
/// With this begins every private value.
pub const MARK: &str = "planted-marker-";
/// Names of the fields by slot.
const NAMES: [&str; SLOTS as usize] = ["title", "name", "note", "secret"];

/// A version as its issuer has it.
#[derive(Debug, Clone)]
pub struct Paper {
    pub key: VersionKey,
    /// The place of the member that issues it.
    pub issuer: usize,
    pub root: [u8; 32],
    pub previous: Option<[u8; 32]>,
    pub partners: BTreeSet<String>,
    /// The values by slot.
    pub values: [String; SLOTS as usize],
    pub delivery: Delivery,
    /// Fields that nobody has any more, since disks were lost.
    pub lost: FieldSet,
}

/// The schema: the issuer's own data, of which it shows partners all but the last field.
pub fn definition() -> SchemaDefinition {
    let fields = (0u16..).zip(NAMES).map(|(slot, name)| FieldRule {
        name: name.into(),
        title_en: name.into(),
        title_zh: name.into(),
        kind: FieldKind::Text,
        grade: 3,
        public: false,
        required: true,
        readers: if slot < SHARED { class::OWNER | class::PARTY } else { class::OWNER },
        about: None,
    });
    let all = member_role::PLATFORM | member_role::INSTITUTION | member_role::ENTERPRISE | member_role::REGULATOR;
    let party = |role: &str, owner: bool, (min, max)| PartyRule {
        role: role.into(),
        title_en: role.into(),
        title_zh: role.into(),
        subject: false,
        members: all,
        min,
        max,
        owner,
        recipient: false,
        signs: false,
    };
    SchemaDefinition {
        name: SCHEMA.into(),
        title_en: "Sealed".into(),
        title_zh: "Sealed".into(),
        category: Category::Transaction,
        fields: fields.collect(),
        parties: vec![party("owner", true, (1, 1)), party("partner", false, (0, 8))],
        references: Vec::new(),
        purposes: Vec::new(),
        retention_days: 0,
    }
}

/// The schema as commitments need it.
pub fn schema() -> Arc<SchemaFields> {
    let registered = Moment { height: Height(1), time_ms: TimestampMs(1) };
    let schema = Schema { version: 1, definition: definition(), registered, retired: None };
    Arc::new(SchemaFields::from_chain(&schema).unwrap())
}

/// The secret half of a member's encryption key.
pub fn member_secret(member: usize) -> RecipientSecret {
    RecipientSecret::from_bytes(genesis::seed_of("encryption", member))
}

/// Makes a version. `before` is the one it follows.
pub fn make(
    (chain, schema): (ChainId, &SchemaFields),
    issuer: usize,
    before: Option<&Paper>,
    partners: BTreeSet<String>,
    rng: &mut Rng,
) -> Paper {
    let mut entropy = SeededRng::from_seed(&rng.bytes32());
    let values = NAMES.map(|name| format!("{MARK}{:016x}-{name}", rng.next()));
    let member = genesis::member_name(issuer);
    let key = match before {
        Some(paper) => VersionKey { version: paper.key.version + 1, ..paper.key },
        None => {
            let chosen = rng.bytes32()[..10].try_into().unwrap();
            VersionKey { id: DocumentId::issued(&member, chosen), version: 1 }
        }
    };
    let previous = before.map(|paper| paper.root);
    let header = DocumentHeader::new(schema, &member, key.id, key.version, previous.map(DocumentRoot));
    let named = NAMES.iter().zip(&values).map(|(name, value)| ((*name).to_owned(), json!(value)));
    let keys = DocumentKeys::generate(&mut entropy);
    let document = Document { header, values: named.collect::<BTreeMap<_, _>>() };
    let commitment = Commitment::build(&document, schema, &keys.secret).unwrap();
    let delivery =
        seal_for(&chain, &commitment, &keys, Vec::new(), &member_secret(issuer).public(), &mut entropy).unwrap();
    let root = *commitment.root().as_bytes();
    Paper { key, issuer, root, previous, partners, values, delivery, lost: FieldSet::new() }
}

impl Paper {
    /// What the transaction says of it.
    pub fn content(&self) -> NewVersion {
        let owner = PartyEntry { role: "owner".into(), party: Party::member(genesis::member_name(self.issuer)) };
        let partner = |name: &String| PartyEntry { role: "partner".into(), party: Party::member(name.clone()) };
        NewVersion {
            schema_version: 1,
            root: DocumentRoot(self.root),
            blob_root: None,
            parties: core::iter::once(owner).chain(self.partners.iter().map(partner)).collect(),
            references: Vec::new(),
            public: Vec::new(),
            recipients: Vec::new(),
        }
    }

    /// What a receiver's secret makes of a delivery: the slots that open to the values that were planted; `None` when one
    /// opens to anything else, or nothing opens.
    pub fn opened_by(&self, delivery: &Delivery, secret: &RecipientSecret, chain: ChainId) -> Option<FieldSet> {
        let context = WrapContext { chain, document: self.key.id, version: self.key.version };
        let keys = open_wrap(&delivery.content.wrap, secret, context).ok()?;
        let opened = delivery.content.open(&DocumentRoot(self.root), &keys).ok()?.opened;
        let mut fields = FieldSet::new();
        for field in &opened.fields {
            if self.values.get(usize::from(field.slot)).is_none_or(|value| field.said.value != json!(value)) {
                return None;
            }
            fields.insert(field.slot);
        }
        Some(fields)
    }
}
