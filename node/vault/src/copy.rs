//! A version as it is kept and as it travels: sealed fields, leaves of all the others, keys wrapped for one receiver.
//!
//! The one room of the vault that handles keys and plain values, and it keeps neither.

use vouch_privacy::{
    Commitment, CommitmentError, Disclosure, DocumentHeader, FieldKeySet, RecipientKey, RecipientSecret, SchemaFields,
    SealError, SealedDocument, SeededRng, SubjectKey, Wrap, WrapContext,
    attachment::{AttachmentValue, Blob, FILE_BYTES_MAX, blob_root},
    commitment::Rows,
    sealing::{BlobNotice, Opened, SealedSlot, WrapScope, open_wrap, wrap},
};
use vouch_types::{ChainId, CodecError, Hash32, decode, document::FieldKind, encode, hash::DocumentRoot};
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
        shown_files(&self.files).filter(|blob| fields.contains(blob.slot))
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

/// What two copies of a version give together, each field with the key that it came with: a holder may have sealed it
/// anew, under keys of its own. `new` has just been opened; where it has all that `old` has, it stays as it is.
pub(crate) fn united(old: (&Copy, &FieldKeySet), new: (Copy, &FieldKeySet)) -> (Copy, FieldKeySet) {
    let ((old, old_keys), (new, new_keys)) = (old, new);
    let kept = old.fields();
    if kept.is_subset(&new.fields()) {
        return (new, new_keys.clone());
    }
    let merged = old.merged(&new);
    // A field that was lost and comes back is mostly under the same keys as before.
    let all = merged.fields();
    let had = old_keys.restrict(&all);
    let slots = u16::try_from(merged.sealed.slots.len()).unwrap_or(u16::MAX);
    if all == had.scope(slots) && merged.sealed.open(&had).is_ok() {
        return (merged, old_keys.clone());
    }
    let added = new_keys.restrict(&new.fields().difference(&kept));
    let keys = match (old_keys.restrict(&kept), added) {
        (FieldKeySet::Fields(kept), FieldKeySet::Fields(added)) => {
            FieldKeySet::Fields(kept.into_iter().chain(added).collect())
        }
        (kept, _) => kept,
    };
    (merged, keys)
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
    Good(Box<Sound>),
    /// It is what the chain commits to, and that is nothing: the issuer's fault, to be said on the chain.
    Unreadable(&'static str),
    /// It is something else: the sender's fault.
    Broken(&'static str),
}

/// A delivery that is what the chain commits to, opened once for everything that is checked of it.
pub(crate) struct Sound {
    pub(crate) copy: Copy,
    pub(crate) keys: FieldKeySet,
    pub(crate) opened: Opened,
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
            match completeness(&opened.opened, &content.attachments, &facts.schema) {
                Err(Incomplete { by_issuer: true, .. }) => return Verified::Unreadable("vault.files"),
                Err(Incomplete { .. }) => return Verified::Broken("vault.withheld"),
                Ok(()) => {}
            }
            let opened = opened.opened;
            let copy = Copy { sealed: resealed(content, &opened), files: content.attachments.clone() };
            Verified::Good(Box::new(Sound { copy, keys, opened }))
        }
        Err(error) if is_issuers_fault(&error) => Verified::Unreadable(error.code()),
        Err(error) => Verified::Broken(error.code()),
    }
}

/// Whether what the root commits to is no document: the sender gave what the issuer made.
const fn is_issuers_fault(error: &SealError) -> bool {
    matches!(error, SealError::Commitment(CommitmentError::Disclosure(_) | CommitmentError::SaltLength(_)))
}

/// A field without the rows or files that its value names.
struct Incomplete {
    slot: u16,
    /// Nobody could give more of it: what the chain commits to is so.
    by_issuer: bool,
}

/// Whether fields came with all rows and files that their values name. Neither is needed to compute the root, so that
/// whoever hands a version on could leave them out and all would still lead to it.
fn completeness(opened: &Opened, files: &[BlobNotice], schema: &SchemaFields) -> Result<(), Incomplete> {
    let hides_some = files.iter().any(|notice| matches!(notice, BlobNotice::Hidden(_)));
    for field in &opened.fields {
        let (slot, value) = (field.slot, &field.said.value);
        let kind = schema.field(slot).map(|spec| spec.kind);
        if kind == Some(FieldKind::Rows) && value.is_object() && field.rows.is_none() {
            return Err(Incomplete { slot, by_issuer: false });
        }
        let is_attachment = kind == Some(FieldKind::Attachment);
        let list = is_attachment.then(|| AttachmentValue::list_from(value)).flatten();
        let named = list.map_or(0, |list| list.len());
        let shown: Vec<&Blob> = shown_files(files).filter(|blob| blob.slot == slot).collect();
        let mut indexes: Vec<usize> = shown.iter().map(|blob| usize::from(blob.index)).collect();
        indexes.sort_unstable();
        indexes.dedup();
        let is_sound = indexes.len() == shown.len()
            && indexes.last().is_none_or(|last| *last < named)
            && shown.iter().all(|blob| (1..=FILE_BYTES_MAX).contains(&blob.bytes));
        if !is_sound || shown.len() < named {
            return Err(Incomplete { slot, by_issuer: !is_sound || !hides_some });
        }
    }
    Ok(())
}

fn shown_files(files: &[BlobNotice]) -> impl Iterator<Item = &Blob> {
    files.iter().filter_map(|notice| match notice {
        BlobNotice::Shown(blob) => Some(blob),
        BlobNotice::Hidden(_) => None,
    })
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

/// Judges what was opened by the schema and by what stands on the chain in clear.
pub(crate) fn check_rules(opened: &Opened, facts: &Facts) -> Result<(), &'static str> {
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

/// Opens some fields that lead, with all the rest, to the root on the chain.
fn open_proven(copy: &Copy, keys: &FieldKeySet, fields: &FieldSet, facts: &Facts) -> Result<Opened, Place> {
    let whole = copy.sealed.root().map_err(|_| Place::Leaves)?;
    if *whole.as_bytes() != facts.root || files_root(&copy.files) != facts.blob_root.map(Hash32) {
        return Err(Place::Leaves);
    }
    copy.sealed.open(&keys.restrict(fields)).map_err(|error| place_of(copy, keys, &error))
}

/// Opens some fields and checks once more that the whole leads to the root on the chain.
pub(crate) fn disclose(copy: &Copy, keys: &FieldKeySet, fields: &FieldSet, facts: &Facts) -> Result<Shown, Place> {
    let opened = open_proven(copy, keys, fields, facts)?;
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

/// Checks a copy at rest: that all of it opens, leads to the root on the chain, and is there with its rows and files.
pub(crate) fn check_copy(copy: &Copy, keys: &FieldKeySet, facts: &Facts) -> Result<(), Place> {
    let opened = open_proven(copy, keys, &copy.fields(), facts)?;
    completeness(&opened, &copy.files, &facts.schema).map_err(|incomplete| Place::Field(incomplete.slot))
}

/// Which field an error is about; found by opening them one by one.
fn place_of(copy: &Copy, keys: &FieldKeySet, error: &SealError) -> Place {
    if let SealError::Slot { slot } | SealError::Leaf(slot) = error {
        return Place::Field(*slot);
    }
    let one = |slot: u16| copy.sealed.open(&keys.restrict(&[slot].into_iter().collect())).is_err();
    copy.fields().iter().find(|slot| one(*slot)).map_or(Place::Leaves, Place::Field)
}

/// Opens all that is held: for the look at a submission of what is staged.
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::json;
    use vouch_privacy::{Document, DocumentKeys, FieldSpec, Grade, attachment::CHUNK_LOG};
    use vouch_types::document::{Category, DocumentId, ErasureState};

    use super::*;
    use crate::message::fits_messages;

    const CHAIN: ChainId = ChainId([7; 32]);

    fn schema() -> Arc<SchemaFields> {
        let field = |name: &str, kind| FieldSpec {
            name: name.into(),
            kind,
            grade: Grade::SENSITIVE,
            public: false,
            required: false,
        };
        let fields = vec![field("items", FieldKind::Rows), field("files", FieldKind::Attachment)];
        Arc::new(SchemaFields::new("order", 1, Category::Transaction, fields).unwrap())
    }

    /// A document with two rows and two files, for the member with this secret.
    fn made(secret: &RecipientSecret, bytes: [u64; 2]) -> (Delivery, Facts) {
        sealed(secret, bytes, 1)
    }

    /// The same, sealed under keys made from `seed`; its root is the same for each of them.
    fn sealed(secret: &RecipientSecret, bytes: [u64; 2], seed: u8) -> (Delivery, Facts) {
        let schema = schema();
        let mut rng = SeededRng::from_seed(&[1; 32]);
        let named = |name: &str| AttachmentValue {
            b3: Hash32([1; 32]),
            b3_key: Hash32([2; 32]),
            chunk_log: CHUNK_LOG,
            media: "application/pdf".into(),
            name: name.into(),
            size: 5,
        };
        let values = BTreeMap::from([
            ("items".to_owned(), json!([{"n": 1}, {"n": 2}])),
            ("files".to_owned(), serde_json::to_value([named("a"), named("b")]).unwrap()),
        ]);
        let header = DocumentHeader::new(&schema, "works", DocumentId::new([5; 16]), 1, None);
        let keys = DocumentKeys::generate(&mut rng);
        let commitment = Commitment::build(&Document { header, values }, &schema, &keys.secret).unwrap();
        let keys = DocumentKeys::generate(&mut SeededRng::from_seed(&[seed; 32]));
        let blob = |index: u16, bytes| Blob { slot: 1, index, bytes, root: Hash32([index.to_le_bytes()[0]; 32]) };
        let files = vec![blob(0, bytes[0]), blob(1, bytes[1])];
        let delivery = seal_for(&CHAIN, &commitment, &keys, files, &secret.public(), &mut rng).unwrap();
        let facts = Facts {
            issuer: "works".into(),
            schema,
            root: *commitment.root().as_bytes(),
            blob_root: delivery.content.blob_root().map(|root| root.0),
            public: Vec::new(),
            erasure: ErasureState::None,
        };
        (delivery, facts)
    }

    fn code(delivery: &Delivery, facts: &Facts, secret: RecipientSecret) -> String {
        match verify(&CHAIN, delivery, facts, &HeldSecrets(vec![secret])) {
            Verified::Good(sound) => {
                let Sound { copy, keys, .. } = *sound;
                assert_eq!(check_copy(&copy, &keys, facts), Ok(()));
                "good".into()
            }
            Verified::Unreadable(code) => format!("issuer: {code}"),
            Verified::Broken(code) => format!("sender: {code}"),
        }
    }

    fn secret() -> RecipientSecret {
        RecipientSecret::from_bytes([3; 32])
    }

    #[test]
    fn what_comes_without_its_rows_or_files_is_not_taken() {
        let (whole, facts) = made(&secret(), [40, 41]);
        assert_eq!(code(&whole, &facts, secret()), "good");
        let mut less = whole.clone();
        less.content.slots[0].rows.clear();
        assert_eq!(code(&less, &facts, secret()), "sender: vault.withheld");
        for hidden in 0..2 {
            let mut less = whole.clone();
            let BlobNotice::Shown(blob) = less.content.attachments[hidden] else { panic!("a file") };
            less.content.attachments[hidden] = BlobNotice::Hidden(blob.leaf());
            assert_eq!(code(&less, &facts, secret()), "sender: vault.withheld");
        }
    }

    #[test]
    fn a_copy_without_its_rows_or_files_is_damaged() {
        let (whole, facts) = made(&secret(), [40, 41]);
        let Verified::Good(sound) = verify(&CHAIN, &whole, &facts, &HeldSecrets(vec![secret()])) else {
            panic!("it is good");
        };
        let Sound { copy, keys, .. } = *sound;
        let mut less = copy.clone();
        less.sealed.slots[0].rows.clear();
        assert_eq!(check_copy(&less, &keys, &facts), Err(Place::Field(0)));
        let mut less = copy;
        let BlobNotice::Shown(blob) = less.files[1] else { panic!("a file") };
        less.files[1] = BlobNotice::Hidden(blob.leaf());
        assert_eq!(check_copy(&less, &keys, &facts), Err(Place::Field(1)));
    }

    #[test]
    fn what_is_staged_reaches_who_may_read_a_part_of_it() {
        let field = |slot: u16| FieldSpec {
            name: format!("f{slot}"),
            kind: FieldKind::Text,
            grade: Grade::SENSITIVE,
            public: false,
            required: false,
        };
        for slots in [1u16, 2, 40, 1_024] {
            let schema = SchemaFields::new("wide", 1, Category::Transaction, (0..slots).map(field).collect()).unwrap();
            let mut rng = SeededRng::from_seed(&[4; 32]);
            let header = DocumentHeader::new(&schema, "works", DocumentId::new([5; 16]), 1, None);
            let keys = DocumentKeys::generate(&mut rng);
            let values = BTreeMap::new();
            let commitment = Commitment::build(&Document { header, values }, &schema, &keys.secret).unwrap();
            let sealed = vouch_privacy::sealing::seal_with(&commitment, &keys, &mut rng).unwrap();
            let copy = Copy { sealed, files: Vec::new() };
            let key = VersionKey { id: DocumentId::new([5; 16]), version: 1 };
            let mut length = |fields: u16, keys: &FieldKeySet| {
                let (fields, to) = (FieldSet::first(fields), secret().public().0.0);
                deliver(&CHAIN, &key, &copy, keys, &fields, &to, &mut rng).unwrap().to_bytes().len()
            };
            let whole = length(slots, &keys.all());
            // The longest whole that may be staged, and what each part of it would be.
            let room = (0..=MESSAGE_BYTES_MAX - whole).rev().find(|room| fits_messages(whole + room, slots)).unwrap();
            let parts: Vec<u16> = if slots > 40 { vec![slots - 1, slots] } else { (1..=slots).collect() };
            let lengths = parts.iter().map(|fields| length(*fields, &keys.all().restrict(&FieldSet::first(*fields))));
            let longest = lengths.max().unwrap();
            assert!(slots < 40 || longest > whole + 1_000, "{slots}: {longest} of {whole}");
            assert!(longest + room + crate::message::FRAME_BYTES <= MESSAGE_BYTES_MAX, "{slots}: {longest} of {whole}");
        }
    }

    /// A part of a version as it is kept, sealed under keys made from `seed`.
    fn kept(seed: u8, fields: &[u16]) -> (Copy, FieldKeySet, Facts) {
        let (whole, facts) = sealed(&secret(), [40, 41], seed);
        let open = |delivery: &Delivery| match verify(&CHAIN, delivery, &facts, &HeldSecrets(vec![secret()])) {
            Verified::Good(sound) => (sound.copy, sound.keys),
            Verified::Unreadable(code) | Verified::Broken(code) => panic!("{code}"),
        };
        let (copy, keys) = open(&whole);
        let fields = fields.iter().copied().collect();
        let to = secret().public().0.0;
        let mut rng = SeededRng::from_seed(&[seed; 32]);
        let part = deliver(&CHAIN, &whole.key, &copy, &keys, &fields, &to, &mut rng).unwrap();
        let (copy, keys) = open(&part);
        (copy, keys, facts)
    }

    #[test]
    fn parts_sealed_under_different_keys_all_open_together() {
        let all: &[u16] = &[0, 1];
        for (had, came) in [(&all[..1], &all[1..]), (&all[..1], all), (all, &all[..1]), (all, all)] {
            let ((old, old_keys, facts), (new, new_keys, _)) = (kept(2, had), kept(3, came));
            let (copy, keys) = united((&old, &old_keys), (new, &new_keys));
            assert_eq!(copy.fields(), FieldSet::first(2));
            assert_eq!(check_copy(&copy, &keys, &facts), Ok(()), "{had:?} and then {came:?}");
            let again = united((&copy, &keys), (copy.clone(), &keys));
            assert_eq!(check_copy(&again.0, &again.1, &facts), Ok(()));
        }
        // A field of the whole was lost, and comes back from somebody who sealed it anew.
        let ((old, old_keys, facts), (new, new_keys, _)) = (kept(2, all), kept(3, &all[1..]));
        let (copy, keys) = united((&old.without(1), &old_keys), (new, &new_keys));
        assert_eq!(check_copy(&copy, &keys, &facts), Ok(()));
    }

    #[test]
    fn files_of_no_possible_length_are_their_issuers_fault() {
        for bytes in [0, FILE_BYTES_MAX + 1, u64::MAX] {
            let (whole, facts) = made(&secret(), [40, bytes]);
            assert_eq!(code(&whole, &facts, secret()), "issuer: vault.files", "{bytes}");
        }
    }
}
