//! A version as its issuer makes it: committed, sealed to the own member, and what the chain is told of it.
//!
//! Deliberately not here: files, which are sealed before, and sending anything.

use std::collections::BTreeMap;

use rand_core::CryptoRng;
use serde_json::Value;
use vouch_types::{
    ChainId, DocumentRoot,
    document::{FieldSet, KeyRecipient, NewVersion, PartyEntry, PublicField, ReferenceEntry, VersionKey},
    encode,
};

use crate::{
    Commitment, ConstructionError, Document, DocumentHeader, DocumentKeys, RecipientKey, SchemaFields, SealError,
    WrapContext,
    attachment::{Blob, blob_root},
    sealing::{BlobNotice, seal_with, wrap},
};

/// Who issues, and under which schema.
#[derive(Debug, Clone, Copy)]
pub struct Issuer<'a> {
    /// The chain.
    pub chain: ChainId,
    /// The member.
    pub member: &'a str,
    /// Its encryption key, as the registry has it.
    pub recipient: &'a RecipientKey,
    /// The schema's version on the chain.
    pub schema_version: u32,
    /// Its fields.
    pub fields: &'a SchemaFields,
}

/// What a version holds and whom it concerns.
#[derive(Clone)]
pub struct Content {
    /// Document and version.
    pub key: VersionKey,
    /// The version before.
    pub previous: Option<DocumentRoot>,
    /// Values by field, those that name files included.
    pub values: BTreeMap<String, Value>,
    /// Its files, ascending by slot and place.
    pub blobs: Vec<Blob>,
    /// Everyone it concerns.
    pub parties: Vec<PartyEntry>,
    /// Documents it builds on.
    pub references: Vec<ReferenceEntry>,
    /// Names of fields that stand on the chain in clear.
    pub public: Vec<String>,
    /// Recipients beyond the rules, by key.
    pub recipients: Vec<KeyRecipient>,
}

impl core::fmt::Debug for Content {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Content").field("key", &self.key).field("values", &"<redacted>").finish_non_exhaustive()
    }
}

/// A version ready to be staged and submitted.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Document, version and delivery, in the chain's layout: what is staged at the own node.
    pub delivery: Vec<u8>,
    /// What the chain is told.
    pub content: NewVersion,
}

/// Why a version cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Its values are not by the schema.
    #[error("{0}")]
    Construction(#[from] ConstructionError),
    /// It cannot be sealed.
    #[error("{0}")]
    Seal(#[from] SealError),
    /// The schema keeps a field private.
    #[error("field {0} may not stand in clear")]
    Private(String),
    /// A field that stands in clear cannot be read back.
    #[error("slot {0} cannot be read")]
    Slot(u16),
}

impl Issuer<'_> {
    /// Commits to content; says what is not by the schema.
    ///
    /// # Errors
    /// [`ConstructionError`].
    pub fn commit(&self, content: &Content, keys: &DocumentKeys) -> Result<Commitment, ConstructionError> {
        let VersionKey { id, version } = content.key;
        let header = DocumentHeader::new(self.fields, self.member, id, version, content.previous);
        let plain = Document { header, values: content.values.clone() };
        Commitment::build(&plain, self.fields, &keys.secret)
    }

    /// Commits to content and seals it for the own member.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue(&self, content: Content, keys: &DocumentKeys, rng: &mut impl CryptoRng) -> Result<Issued, IssueError> {
        let commitment = self.commit(&content, keys)?;
        let VersionKey { id, version } = content.key;
        let sealed = seal_with(&commitment, keys, rng)?;
        let context = WrapContext { chain: self.chain, document: id, version };
        let wrapped = wrap(&keys.all(), self.recipient, context, rng)?;
        let notices = content.blobs.iter().copied().map(BlobNotice::Shown).collect();
        let delivery = sealed.deliver(&FieldSet::first(self.fields.slots()), wrapped, notices);
        let mut recipients = content.recipients;
        recipients.sort_by_key(|recipient| recipient.key);
        let told = NewVersion {
            schema_version: self.schema_version,
            root: commitment.root(),
            blob_root: blob_root(&content.blobs.iter().map(Blob::leaf).collect::<Vec<_>>()),
            parties: content.parties,
            references: content.references,
            public: self.public(&content.public, &commitment)?,
            recipients,
        };
        Ok(Issued { delivery: encode(&(id, version, delivery)), content: told })
    }

    /// Fields that stand in clear, by slot.
    fn public(&self, names: &[String], commitment: &Commitment) -> Result<Vec<PublicField>, IssueError> {
        let mut slots: Vec<u16> = Vec::with_capacity(names.len());
        for name in names {
            let is_open = |slot: &u16| self.fields.field(*slot).is_some_and(|field| field.public);
            let slot = self.fields.slot(name).filter(is_open);
            slots.push(slot.ok_or_else(|| IssueError::Private(name.clone()))?);
        }
        slots.sort_unstable();
        slots.dedup();
        let field = |slot: u16| {
            let disclosure = commitment.disclosures().get(usize::from(slot));
            let said = disclosure.and_then(|disclosure| disclosure.parse().ok()).ok_or(IssueError::Slot(slot))?;
            Ok(PublicField { slot, value: said.value.to_string() })
        };
        slots.into_iter().map(field).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vouch_types::document::{DocumentId, Schema};

    use super::*;
    use crate::{RecipientSecret, SeededRng};

    fn schema() -> Schema {
        let definition: Value =
            serde_json::from_str(include_str!("../../../genesis/sample/schemas/worker-identity.json")).unwrap();
        let moment = json!({ "height": 1, "time_ms": 1 });
        let whole = json!({ "version": 3, "definition": definition, "registered": moment, "retired": null });
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn the_same_content_is_the_same_document_and_what_is_private_stays_so() {
        let (schema, secret) = (schema(), RecipientSecret::from_bytes([5; 32]));
        let (fields, recipient) = (SchemaFields::from_chain(&schema).unwrap(), secret.public());
        let issuer = Issuer {
            chain: ChainId([3; 32]),
            member: "works",
            recipient: &recipient,
            schema_version: schema.version,
            fields: &fields,
        };
        let rules = || schema.definition.fields.iter();
        let name = |is_public: bool| rules().find(|rule| rule.public == is_public).unwrap().name.clone();
        let (open, closed) = (name(true), name(false));
        let content = |public: &str| Content {
            key: VersionKey { id: DocumentId::new([1; 16]), version: 1 },
            previous: None,
            values: rules().filter(|rule| rule.required).map(|rule| (rule.name.clone(), sample(rule.kind))).collect(),
            blobs: Vec::new(),
            parties: Vec::new(),
            references: Vec::new(),
            public: vec![public.to_owned(), public.to_owned()],
            recipients: Vec::new(),
        };
        let issue = |seed: u8, public: &str| {
            let mut rng = SeededRng::from_seed(&[seed; 32]);
            let keys = DocumentKeys::generate(&mut rng);
            issuer.issue(content(public), &keys, &mut rng)
        };
        let one = issue(7, &open).unwrap();
        let (again, other) = (issue(7, &open).unwrap(), issue(8, &open).unwrap());
        assert_eq!((&one.delivery, &one.content), (&again.delivery, &again.content));
        assert_ne!(one.content.root, other.content.root);
        assert_eq!((one.content.public.len(), one.content.schema_version), (1, 3));
        assert!(matches!(issue(7, &closed), Err(IssueError::Private(name)) if name == closed));
    }

    fn sample(kind: vouch_types::document::FieldKind) -> Value {
        use vouch_types::document::FieldKind;
        match kind {
            FieldKind::Text => json!("text"),
            FieldKind::Code => json!("code"),
            FieldKind::Decimal => json!("1.5"),
            FieldKind::Integer => json!(1),
            FieldKind::Boolean => json!(true),
            FieldKind::Date => json!("2026-10-02"),
            FieldKind::Time => json!("2026-10-02T09:08:00Z"),
            FieldKind::Rows | FieldKind::Attachment => json!([]),
        }
    }
}
