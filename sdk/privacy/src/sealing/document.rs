//! A document version at rest: every value and every list of rows under the key of its field.

use std::collections::BTreeMap;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use rand_core::CryptoRng;
use vouch_types::{DocumentRoot, Hash32, codec, document::FieldSet};
use wincode::{SchemaRead, SchemaWrite};
use zeroize::Zeroizing;

use super::{BlobNotice, DeliveredSlot, Delivery, DocumentKeys, FieldKeySet, SealError, Wrap};
use crate::commitment::{
    Commitment, Disclosed, Disclosure, Document, DocumentHeader, ROWS_MAX, Rows, SchemaFields, root_of,
};

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Plain texts are filled up to a multiple of this, so that a ciphertext does not tell a short value from an absent one.
const PADDING_BYTES: usize = 64;
/// Largest plain text of one field's rows, in bytes.
const ROWS_BYTES_MAX: usize = 4 << 20;

/// One slot under its field's key.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct SealedSlot {
    /// What the root commits to.
    pub leaf: Hash32,
    /// The disclosure: nonce, ciphertext and tag.
    pub value: Vec<u8>,
    /// The disclosures of its rows; empty when it has none.
    pub rows: Vec<u8>,
}

/// A document version with everything in it sealed. It says what its root is and nothing about values.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct SealedDocument {
    /// Canonical text of the header.
    pub header: String,
    /// All slots in order.
    pub slots: Vec<SealedSlot>,
}

/// A field that was opened and is what its leaf commits to.
#[derive(Clone, PartialEq)]
pub struct OpenedField {
    /// The slot.
    pub slot: u16,
    /// As it was written, for proofs and credentials.
    pub disclosure: Disclosure,
    /// What it says.
    pub said: Disclosed,
    /// Its rows, if its value is one of rows.
    pub rows: Option<Rows>,
}

impl core::fmt::Debug for OpenedField {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "OpenedField({}: <redacted>)", self.slot)
    }
}

/// What a set of keys opened of a document version.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The header.
    pub header: DocumentHeader,
    /// The fields, by slot.
    pub fields: Vec<OpenedField>,
}

impl Opened {
    /// Judges what was opened by the schema: names, order, salts, spelling, types, what is required.
    ///
    /// # Errors
    /// [`crate::ConstructionError`], the first fault found.
    pub fn check(&self, schema: &SchemaFields) -> Result<(), crate::ConstructionError> {
        let slots: Vec<_> = self.fields.iter().map(|field| (field.slot, &field.disclosure)).collect();
        let rows: BTreeMap<_, _> =
            self.fields.iter().filter_map(|field| field.rows.clone().map(|rows| (field.slot, rows))).collect();
        crate::construction::check_slots(&self.header, &slots, &rows, schema, None)
    }
}

/// Seals a document under new keys.
///
/// # Errors
/// [`SealError::Construction`] when the document is not by the schema.
pub fn seal(
    document: &Document,
    schema: &SchemaFields,
    rng: &mut impl CryptoRng,
) -> Result<(SealedDocument, DocumentKeys), SealError> {
    let keys = DocumentKeys::generate(rng);
    let commitment = Commitment::build(document, schema, &keys.secret)?;
    Ok((seal_with(&commitment, &keys, rng)?, keys))
}

/// Seals a commitment under the keys of its version: for documents whose attachments were sealed before.
///
/// # Errors
/// [`SealError::Shape`] when the rows of one field are above 4 MiB.
pub fn seal_with(
    commitment: &Commitment,
    keys: &DocumentKeys,
    rng: &mut impl CryptoRng,
) -> Result<SealedDocument, SealError> {
    let header_hash = commitment.header().hash();
    let disclosures = (0u16..).zip(commitment.disclosures()).zip(commitment.leaves());
    let slots = disclosures.map(|((slot, disclosure), leaf)| {
        let key = keys.data.field(slot);
        let value = encrypt(key.as_bytes(), disclosure.as_str().as_bytes(), &aad(&header_hash, slot), rng);
        let rows = match commitment.rows().get(&slot) {
            None => Vec::new(),
            Some(rows) => encrypt(&key.rows(), &rows_plain(rows)?, &aad(&header_hash, slot), rng),
        };
        Ok(SealedSlot { leaf: Hash32(*leaf), value, rows })
    });
    Ok(SealedDocument { header: commitment.header().to_json(), slots: slots.collect::<Result<_, SealError>>()? })
}

impl SealedDocument {
    /// The header.
    ///
    /// # Errors
    /// [`SealError::Commitment`].
    pub fn header(&self) -> Result<DocumentHeader, SealError> {
        Ok(DocumentHeader::from_json(&self.header)?)
    }

    /// The root over header and leaves. Without keys this says nothing about the ciphertexts.
    ///
    /// # Errors
    /// [`SealError::Commitment`].
    pub fn root(&self) -> Result<DocumentRoot, SealError> {
        let leaves: Vec<_> = self.slots.iter().map(|slot| slot.leaf.0).collect();
        Ok(root_of(&self.header()?, &leaves)?)
    }

    /// Opens what the keys open, and compares each value with its leaf.
    ///
    /// # Errors
    /// [`SealError`], the first fault found.
    pub fn open(&self, keys: &FieldKeySet) -> Result<Opened, SealError> {
        let header = self.header()?;
        let header_hash = header.hash();
        let scope = keys.scope(header.slots);
        let sealed = (0u16..).zip(&self.slots).filter(|(slot, _)| scope.contains(*slot));
        let fields = sealed.map(|(slot, sealed)| open_slot(&header_hash, slot, sealed, keys));
        Ok(Opened { fields: fields.collect::<Result<_, _>>()?, header })
    }

    /// What a receiver is sent: the slots it may read, of the others only what the root needs.
    #[must_use]
    pub fn deliver(&self, fields: &FieldSet, wrap: Wrap, attachments: Vec<BlobNotice>) -> Delivery {
        let (mut slots, mut others) = (Vec::new(), Vec::new());
        for (slot, sealed) in (0u16..).zip(&self.slots) {
            if fields.contains(slot) {
                slots.push(DeliveredSlot { slot, value: sealed.value.clone(), rows: sealed.rows.clone() });
            } else {
                others.push(sealed.leaf);
            }
        }
        Delivery { header: self.header.clone(), slots, others, wrap, attachments }
    }
}

fn open_slot(
    header_hash: &[u8; 32],
    slot: u16,
    sealed: &SealedSlot,
    keys: &FieldKeySet,
) -> Result<OpenedField, SealError> {
    let unread = open_values(header_hash, slot, &sealed.value, &sealed.rows, keys)?;
    if unread.disclosure.leaf(slot) == sealed.leaf.0 { unread.read() } else { Err(SealError::Leaf(slot)) }
}

/// A slot that opened and was not read yet. First it is compared with what the root commits to: if it is that and cannot
/// be read, then the issuer made it so, and nobody on the way.
pub(super) struct Unread {
    pub(super) slot: u16,
    pub(super) disclosure: Disclosure,
    rows: Option<Zeroizing<Vec<u8>>>,
}

/// Opens a slot's value and rows; the leaf is compared by the caller, who has it or computes the root.
pub(super) fn open_values(
    header_hash: &[u8; 32],
    slot: u16,
    value: &[u8],
    rows: &[u8],
    keys: &FieldKeySet,
) -> Result<Unread, SealError> {
    let key = keys.key(slot)?;
    let aad = aad(header_hash, slot);
    let plain = decrypt(key.as_bytes(), value, &aad).ok_or(SealError::Slot { slot })?;
    let text = core::str::from_utf8(&plain).map_err(|_| SealError::Slot { slot })?;
    let disclosure = Disclosure::from_text(text.to_owned()).map_err(|_| SealError::Slot { slot })?;
    let rows =
        if rows.is_empty() { None } else { Some(decrypt(&key.rows(), rows, &aad).ok_or(SealError::Slot { slot })?) };
    Ok(Unread { slot, disclosure, rows })
}

impl Unread {
    /// Reads a slot that is what its leaf commits to. Its rows are compared with the value; what they hold beside that is
    /// the fault of whoever sealed or sent them.
    pub(super) fn read(self) -> Result<OpenedField, SealError> {
        let Self { slot, disclosure, rows } = self;
        let said = disclosure.parse()?;
        let rows = rows.map(|plain| rows_from_plain(slot, &plain).map_err(|_| SealError::Leaf(slot))).transpose()?;
        if rows.as_ref().is_some_and(|rows| rows.value() != said.value) {
            return Err(SealError::Leaf(slot));
        }
        Ok(OpenedField { slot, disclosure, said, rows })
    }
}

fn aad(header_hash: &[u8; 32], slot: u16) -> [u8; 34] {
    let mut bytes = [0; 34];
    bytes[..32].copy_from_slice(header_hash);
    bytes[32..].copy_from_slice(&slot.to_be_bytes());
    bytes
}

/// `nonce ‖ XChaCha20-Poly1305(plain ‖ 0x80 ‖ 0x00 …)`.
fn encrypt(key: &[u8; 32], plain: &[u8], aad: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let mut padded = Zeroizing::new(Vec::with_capacity(plain.len() + PADDING_BYTES));
    padded.extend_from_slice(plain);
    padded.push(0x80);
    let length = padded.len().next_multiple_of(PADDING_BYTES);
    padded.resize(length, 0);
    let sealed = XChaCha20Poly1305::new(&(*key).into())
        .encrypt(&XNonce::from(nonce), Payload { msg: &padded, aad })
        .expect("the plain text is far below the cipher's limit");
    [&nonce[..], &sealed].concat()
}

fn decrypt(key: &[u8; 32], sealed: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if sealed.len() > NONCE_BYTES + ROWS_BYTES_MAX + PADDING_BYTES + TAG_BYTES {
        return None;
    }
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let cipher = XChaCha20Poly1305::new(&(*key).into());
    let mut plain = Zeroizing::new(cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad }).ok()?);
    let end = plain.iter().rposition(|byte| *byte != 0)?;
    (plain[end] == 0x80).then(|| plain.truncate(end))?;
    Some(plain)
}

fn rows_plain(rows: &Rows) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let texts: Vec<String> = rows.disclosures().iter().map(|disclosure| disclosure.as_str().to_owned()).collect();
    let texts = Zeroizing::new(texts);
    let plain = Zeroizing::new(codec::encode::<Vec<String>>(&texts));
    if plain.len() > ROWS_BYTES_MAX { Err(SealError::Shape("the rows of a field are above 4 MiB")) } else { Ok(plain) }
}

fn rows_from_plain(slot: u16, plain: &[u8]) -> Result<Rows, SealError> {
    let texts: Vec<String> =
        codec::decode("rows", plain, ROWS_BYTES_MAX).map_err(|_| SealError::Shape("rows are not in their layout"))?;
    if texts.len() > ROWS_MAX {
        return Err(SealError::Shape("too many rows"));
    }
    let disclosures = texts.into_iter().map(Disclosure::from_text).collect::<Result<_, _>>()?;
    Ok(Rows::from_disclosures(slot, disclosures)?)
}

/// Seals texts as they are, disclosures or not: what an issuer could do that keeps no rule.
#[cfg(test)]
pub(super) fn seal_texts(
    header: &DocumentHeader,
    texts: &[&str],
    keys: &DocumentKeys,
    rng: &mut impl CryptoRng,
) -> SealedDocument {
    let header_hash = header.hash();
    let slots = (0u16..).zip(texts).map(|(slot, text)| SealedSlot {
        leaf: Hash32::ZERO,
        value: encrypt(keys.data.field(slot).as_bytes(), text.as_bytes(), &aad(&header_hash, slot), rng),
        rows: Vec::new(),
    });
    SealedDocument { header: header.to_json(), slots: slots.collect() }
}
