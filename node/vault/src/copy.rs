//! A version as it is kept and as it travels: sealed fields, leaves of all the others, keys wrapped for one receiver.
//!
//! The one room of the vault that handles keys and plain values, and it keeps neither.

use vouch_privacy::{
    Commitment, CommitmentError, Disclosure, DocumentHeader, FieldKeySet, RecipientKey, RecipientSecret, SealError,
    SealedDocument, SeededRng, SubjectKey, Wrap, WrapContext,
    attachment::{Blob, blob_root},
    commitment::Rows,
    sealing::{BlobNotice, Opened, SealedSlot, WrapScope, open_wrap, wrap},
};
use vouch_types::{ChainId, CodecError, Hash32, decode, encode, hash::DocumentRoot};
use wincode::{SchemaRead, SchemaWrite};
use zeroize::Zeroizing;

use crate::{
    chain::Facts,
    message::MESSAGE_BYTES_MAX,
    scrub::Place,
    shelf::DocumentKey,
    words::{FieldSet, VersionKey},
};

/// Opens what is wrapped to the member. The secrets stay where they are.
pub trait MemberSecrets: Send {
    /// The keys in a wrap.
    ///
    /// # Errors
    /// [`SealError`]: for another receiver, altered, or of another version.
    fn open(&self, wrap: &Wrap, context: WrapContext) -> Result<FieldKeySet, SealError>;
}

/// Secrets held in memory: the present one and those before it.
#[derive(Debug)]
pub struct HeldSecrets(pub Vec<RecipientSecret>);

impl MemberSecrets for HeldSecrets {
    fn open(&self, wrap: &Wrap, context: WrapContext) -> Result<FieldKeySet, SealError> {
        let secret = self.0.iter().find(|secret| secret.public().id() == wrap.recipient);
        open_wrap(wrap, secret.ok_or(SealError::Recipient)?, context)
    }
}

/// A version on its way to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Delivery {
    /// The version.
    pub key: VersionKey,
    /// Sealed fields, leaves of the others, wrapped keys, files.
    pub content: vouch_privacy::Delivery,
}

impl Delivery {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes one.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode("delivery", bytes, MESSAGE_BYTES_MAX)
    }

    /// Every field of which it holds anything that is not for everyone: values, keys or files.
    #[must_use]
    pub fn fields(&self) -> FieldSet {
        let mut fields = self.content.fields();
        match &self.content.wrap.scope {
            WrapScope::Document => {
                fields = fields.union(&FieldSet::first(self.content.slot_count().unwrap_or(u16::MAX)));
            }
            WrapScope::Fields(wrapped) => fields = fields.union(wrapped),
        }
        for notice in &self.content.attachments {
            if let BlobNotice::Shown(blob) = notice {
                fields.insert(blob.slot);
            }
        }
        fields
    }
}

/// A version at rest: the slots that are not held have a leaf and no value.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct Copy {
    pub(crate) sealed: SealedDocument,
    pub(crate) files: Vec<BlobNotice>,
}

impl Copy {
    /// The fields held.
    pub(crate) fn fields(&self) -> FieldSet {
        (0u16..).zip(&self.sealed.slots).filter(|(_, slot)| !slot.value.is_empty()).map(|(slot, _)| slot).collect()
    }

    /// The root of the version before, as the header names it.
    pub(crate) fn previous(&self) -> Option<[u8; 32]> {
        self.sealed.header().ok().and_then(|header| header.previous).map(|root| root.0)
    }

    /// The files of some fields.
    pub(crate) fn files_of<'a>(&'a self, fields: &'a FieldSet) -> impl Iterator<Item = &'a Blob> {
        let shown = self.files.iter().filter_map(|notice| match notice {
            BlobNotice::Shown(blob) => Some(blob),
            BlobNotice::Hidden(_) => None,
        });
        shown.filter(|blob| fields.contains(blob.slot))
    }

    /// What both together hold. They are of one version: headers and leaves are the same.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        let mut merged = self.clone();
        for (slot, more) in merged.sealed.slots.iter_mut().zip(&other.sealed.slots) {
            if slot.value.is_empty() {
                slot.clone_from(more);
            }
        }
        for (notice, more) in merged.files.iter_mut().zip(&other.files) {
            if matches!(notice, BlobNotice::Hidden(_)) {
                notice.clone_from(more);
            }
        }
        merged
    }

    /// Without a field's value.
    pub(crate) fn without(&self, slot: u16) -> Self {
        let mut less = self.clone();
        if let Some(sealed) = less.sealed.slots.get_mut(usize::from(slot)) {
            sealed.value.clear();
            sealed.rows.clear();
        }
        less
    }
}

/// Keys of either of two sets.
pub(crate) fn united(one: &FieldKeySet, other: &FieldKeySet) -> FieldKeySet {
    match (one, other) {
        (FieldKeySet::Whole(_), _) => one.clone(),
        (_, FieldKeySet::Whole(_)) => other.clone(),
        (FieldKeySet::Fields(one), FieldKeySet::Fields(other)) => {
            FieldKeySet::Fields(other.iter().chain(one).map(|(slot, key)| (*slot, key.clone())).collect())
        }
    }
}

pub(crate) fn context(chain: &ChainId, key: &VersionKey) -> WrapContext {
    WrapContext { chain: *chain, document: key.id, version: key.version }
}

/// Makes a document's key.
pub(crate) fn random_key(rng: &mut SeededRng) -> DocumentKey {
    Zeroizing::new(*SubjectKey::generate(rng).bytes())
}

/// Seals field keys under the document's key.
pub(crate) fn seal_keys(
    chain: &ChainId,
    document: &DocumentKey,
    key: &VersionKey,
    keys: &FieldKeySet,
    rng: &mut SeededRng,
) -> Vec<u8> {
    SubjectKey::from_bytes(**document).keep_fields(keys, context(chain, key), rng)
}

/// The inverse; `None` when the document's key is another, or the bytes were altered.
pub(crate) fn unseal_keys(
    chain: &ChainId,
    document: &DocumentKey,
    key: &VersionKey,
    sealed: &[u8],
) -> Option<FieldKeySet> {
    SubjectKey::from_bytes(**document).open_fields(sealed, context(chain, key)).ok()
}

/// Makes a delivery of some fields for one receiver; `None` when its key is no key, or a field's key is missing.
pub(crate) fn deliver(
    chain: &ChainId,
    key: &VersionKey,
    copy: &Copy,
    keys: &FieldKeySet,
    fields: &FieldSet,
    recipient: &[u8; 32],
    rng: &mut SeededRng,
) -> Option<Delivery> {
    let whole = fields.iter().count() == copy.sealed.slots.len();
    let given = match keys {
        FieldKeySet::Whole(_) if whole => keys.clone(),
        _ => keys.restrict(fields),
    };
    let recipient = RecipientKey::from_bytes(*recipient);
    let wrap = wrap(&given, &recipient, context(chain, key), rng).ok()?;
    let files = copy.files.iter().map(|notice| match notice {
        BlobNotice::Shown(blob) if !fields.contains(blob.slot) => BlobNotice::Hidden(blob.leaf()),
        other => other.clone(),
    });
    Some(Delivery { key: *key, content: copy.sealed.deliver(fields, wrap, files.collect()) })
}

/// What a delivery came to.
pub(crate) enum Verified {
    /// It is what the chain commits to.
    Good(Box<Copy>, FieldKeySet),
    /// It is what the chain commits to, and that is nothing: the issuer's fault, to be said on the chain.
    Unreadable(&'static str),
    /// It is something else: the sender's fault.
    Broken(&'static str),
}

/// Opens a delivery and checks it against the chain.
pub(crate) fn verify(chain: &ChainId, delivery: &Delivery, facts: &Facts, secrets: &dyn MemberSecrets) -> Verified {
    let content = &delivery.content;
    let Ok(header) = DocumentHeader::from_json(&content.header) else { return Verified::Broken("vault.header") };
    let is_its = header.document == delivery.key.id && header.version == delivery.key.version;
    if !is_its || header.issuer != facts.issuer {
        return Verified::Broken("vault.header");
    }
    if content.blob_root() != facts.blob_root.map(Hash32) {
        return Verified::Broken("vault.files");
    }
    let keys = match secrets.open(&content.wrap, context(chain, &delivery.key)) {
        Ok(keys) => keys,
        Err(error) => return Verified::Broken(error.code()),
    };
    if content.fields() != keys.scope(header.slots) {
        return Verified::Broken("vault.keys");
    }
    match content.open(&DocumentRoot(facts.root), &keys) {
        Ok(opened) => {
            let sealed = resealed(content, &opened.opened);
            Verified::Good(Box::new(Copy { sealed, files: content.attachments.clone() }), keys)
        }
        Err(error) if is_issuers_fault(&error) => Verified::Unreadable(error.code()),
        Err(error) => Verified::Broken(error.code()),
    }
}

/// Whether what the root commits to is no document: the sender gave what the issuer made.
const fn is_issuers_fault(error: &SealError) -> bool {
    matches!(error, SealError::Commitment(CommitmentError::Disclosure(_) | CommitmentError::SaltLength(_)))
}

/// A delivery as it is kept.
fn resealed(content: &vouch_privacy::Delivery, opened: &Opened) -> SealedDocument {
    let mut others = content.others.iter();
    let mut sent = content.slots.iter().zip(&opened.fields).peekable();
    let slots = (0..opened.header.slots).map(|slot| match sent.next_if(|(sent, _)| sent.slot == slot) {
        Some((sent, field)) => {
            SealedSlot { leaf: Hash32(field.disclosure.leaf(slot)), value: sent.value.clone(), rows: sent.rows.clone() }
        }
        None => {
            SealedSlot { leaf: others.next().copied().unwrap_or(Hash32::ZERO), value: Vec::new(), rows: Vec::new() }
        }
    });
    SealedDocument { header: content.header.clone(), slots: slots.collect() }
}

/// Judges what is held by the schema and by what stands on the chain in clear.
pub(crate) fn check_rules(copy: &Copy, keys: &FieldKeySet, facts: &Facts) -> Result<(), &'static str> {
    let held = keys.restrict(&copy.fields());
    let opened = copy.sealed.open(&held).map_err(|error| error.code())?;
    opened.check(&facts.schema).map_err(|error| error.code())?;
    for public in &facts.public {
        let field = opened.fields.iter().find(|field| field.slot == public.slot);
        let differs = field.is_some_and(|field| {
            serde_json::from_str::<serde_json::Value>(&public.value).map_or(true, |value| value != field.said.value)
        });
        if differs {
            return Err("construction.public_differs");
        }
    }
    Ok(())
}

/// Fields as they are shown.
pub(crate) struct Shown {
    pub(crate) header: DocumentHeader,
    pub(crate) leaves: Vec<[u8; 32]>,
    pub(crate) disclosures: Vec<(u16, Disclosure)>,
    pub(crate) rows: Vec<(u16, Rows)>,
}

/// Opens some fields and checks once more that the whole leads to the root on the chain.
pub(crate) fn disclose(copy: &Copy, keys: &FieldKeySet, fields: &FieldSet, facts: &Facts) -> Result<Shown, Place> {
    let whole = copy.sealed.root().map_err(|_| Place::Leaves)?;
    if *whole.as_bytes() != facts.root || files_root(&copy.files) != facts.blob_root.map(Hash32) {
        return Err(Place::Leaves);
    }
    let opened = copy.sealed.open(&keys.restrict(fields)).map_err(|error| place_of(copy, keys, &error))?;
    let leaves = copy.sealed.slots.iter().map(|slot| slot.leaf.0).collect();
    let rows = opened.fields.iter().filter_map(|field| field.rows.clone().map(|rows| (field.slot, rows))).collect();
    let disclosures = opened.fields.iter().map(|field| (field.slot, field.disclosure.clone())).collect();
    Ok(Shown { header: opened.header, leaves, disclosures, rows })
}

/// The root over the files, as it stands on the chain.
fn files_root(files: &[BlobNotice]) -> Option<Hash32> {
    let leaves = files.iter().map(|notice| match notice {
        BlobNotice::Shown(blob) => blob.leaf(),
        BlobNotice::Hidden(leaf) => *leaf,
    });
    blob_root(&leaves.collect::<Vec<_>>())
}

/// Checks a copy at rest: that all of it opens and leads to the root on the chain.
pub(crate) fn check_copy(copy: &Copy, keys: &FieldKeySet, facts: &Facts) -> Result<(), Place> {
    disclose(copy, keys, &copy.fields(), facts).map(drop)
}

/// Which field an error is about; found by opening them one by one.
fn place_of(copy: &Copy, keys: &FieldKeySet, error: &SealError) -> Place {
    if let SealError::Slot { slot } | SealError::Leaf(slot) = error {
        return Place::Field(*slot);
    }
    let one = |slot: u16| copy.sealed.open(&keys.restrict(&[slot].into_iter().collect())).is_err();
    copy.fields().iter().find(|slot| one(*slot)).map_or(Place::Leaves, Place::Field)
}

/// Opens all that is held: for the check of what is staged.
pub(crate) fn open_all(copy: &Copy, keys: &FieldKeySet) -> Result<Opened, SealError> {
    copy.sealed.open(keys)
}

/// Seals a commitment for one receiver: what a client does before it hands a document to its own node.
///
/// # Errors
/// [`SealError`].
pub fn seal_for(
    chain: &ChainId,
    commitment: &Commitment,
    keys: &vouch_privacy::DocumentKeys,
    files: Vec<Blob>,
    recipient: &RecipientKey,
    rng: &mut SeededRng,
) -> Result<Delivery, SealError> {
    let header = commitment.header();
    let key = VersionKey { id: header.document, version: header.version };
    let sealed = vouch_privacy::sealing::seal_with(commitment, keys, rng)?;
    let wrap = wrap(&keys.all(), recipient, context(chain, &key), rng)?;
    let all = FieldSet::first(header.slots);
    let files = files.into_iter().map(BlobNotice::Shown).collect();
    Ok(Delivery { key, content: sealed.deliver(&all, wrap, files) })
}
