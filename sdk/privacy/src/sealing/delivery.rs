//! What one receiver is sent of a document version.

use serde_json::Value;
use vouch_types::{DocumentRoot, Hash32, document::FieldSet};
use wincode::{SchemaRead, SchemaWrite};

use super::{
    FieldKeySet, Opened, RecipientSecret, SealError, Wrap, WrapContext,
    document::{Unread, open_values},
    open_wrap,
};
use crate::{
    attachment::blob_root,
    commitment::{DocumentHeader, FieldProof, SLOTS_MAX, Salt, proof_of, root_of},
};

/// Largest delivery, in bytes of its encoding, attachments' contents not counted.
pub const DELIVERY_BYTES_MAX: usize = 16 << 20;

/// A slot as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct DeliveredSlot {
    /// The slot.
    pub slot: u16,
    /// Its sealed disclosure.
    pub value: Vec<u8>,
    /// The sealed disclosures of its rows; empty when it has none.
    pub rows: Vec<u8>,
}

/// One attachment's ciphertext, or of one that the receiver is not entitled to only what the root over all needs.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum BlobNotice {
    /// To be fetched.
    Shown(crate::attachment::Blob),
    /// The leaf of one that is not for this receiver.
    Hidden(Hash32),
}

/// What one receiver is sent: sealed slots that it may read, leaves of all others, and the keys wrapped for it.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Delivery {
    /// Canonical text of the header.
    pub header: String,
    /// The slots, ascending.
    pub slots: Vec<DeliveredSlot>,
    /// Leaves of the slots that were not sent, ascending by slot.
    pub others: Vec<Hash32>,
    /// The keys.
    pub wrap: Wrap,
    /// All attachments of the version, in order.
    pub attachments: Vec<BlobNotice>,
}

/// A delivery that opened and leads to the root on the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenedDelivery {
    /// Header and fields.
    pub opened: Opened,
    leaves: Vec<[u8; 32]>,
}

impl Delivery {
    /// How many slots the document has, as the header says; `None` when there is no header.
    #[must_use]
    pub fn slot_count(&self) -> Option<u16> {
        DocumentHeader::from_json(&self.header).ok().map(|header| header.slots)
    }

    /// Which slots were sent.
    #[must_use]
    pub fn fields(&self) -> FieldSet {
        self.slots.iter().map(|slot| slot.slot).collect()
    }

    /// The root over all attachments, to be compared with the one on the chain.
    #[must_use]
    pub fn blob_root(&self) -> Option<Hash32> {
        let leaf = |notice: &BlobNotice| match notice {
            BlobNotice::Shown(blob) => blob.leaf(),
            BlobNotice::Hidden(leaf) => *leaf,
        };
        blob_root(&self.attachments.iter().map(leaf).collect::<Vec<_>>())
    }

    /// Opens everything with the receiver's secret, recomputes the root and compares it with the one on the chain.
    /// Returns slot, name, value and salt of each field.
    ///
    /// # Errors
    /// [`SealError`], the first fault found.
    pub fn verify(
        &self,
        root: &DocumentRoot,
        secret: &RecipientSecret,
        context: WrapContext,
    ) -> Result<Vec<(u16, String, Value, Salt)>, SealError> {
        let keys = open_wrap(&self.wrap, secret, context)?;
        let delivered = self.open(root, &keys)?;
        let fields = delivered.opened.fields.iter();
        Ok(fields
            .map(|field| (field.slot, field.said.name.clone(), field.said.value.clone(), field.said.salt))
            .collect())
    }

    /// The same with keys that were unwrapped before, for one who goes on with what was opened.
    ///
    /// # Errors
    /// [`SealError`], the first fault found; [`crate::CommitmentError::Root`] when all opens but to another document. A fault of
    /// a disclosure is found after that, so it is the issuer's: what the root commits to is no disclosure.
    pub fn open(&self, root: &DocumentRoot, keys: &FieldKeySet) -> Result<OpenedDelivery, SealError> {
        let header = DocumentHeader::from_json(&self.header)?;
        let header_hash = header.hash();
        self.check_shape(&header)?;
        let opened = self.slots.iter().map(|sent| open_values(&header_hash, sent.slot, &sent.value, &sent.rows, keys));
        let unread = opened.collect::<Result<Vec<_>, _>>()?;
        let mut others = self.others.iter();
        let mut known = unread.iter().peekable();
        let mut leaves = Vec::with_capacity(usize::from(header.slots));
        for slot in 0..header.slots {
            leaves.push(match known.next_if(|field| field.slot == slot) {
                Some(field) => field.disclosure.leaf(slot),
                None => others.next().ok_or(SealError::Shape("a leaf is missing"))?.0,
            });
        }
        if root_of(&header, &leaves)? != *root {
            return Err(crate::CommitmentError::Root.into());
        }
        let fields = unread.into_iter().map(Unread::read).collect::<Result<_, _>>()?;
        Ok(OpenedDelivery { opened: Opened { header, fields }, leaves })
    }

    fn check_shape(&self, header: &DocumentHeader) -> Result<(), SealError> {
        let is_ascending = self.slots.windows(2).all(|pair| pair[0].slot < pair[1].slot);
        if !is_ascending || self.slots.last().is_some_and(|last| last.slot >= header.slots) {
            return Err(SealError::Shape("slots are not ascending or not the document's"));
        }
        if self.slots.len() > SLOTS_MAX || self.slots.len() + self.others.len() != usize::from(header.slots) {
            return Err(SealError::Shape("slots and leaves are not as many as the document has"));
        }
        Ok(())
    }
}

impl OpenedDelivery {
    /// Proof of a field that was opened, for showing it to others.
    ///
    /// # Errors
    /// [`SealError::NoKey`] when the slot was not among those delivered.
    pub fn proof(&self, slot: u16) -> Result<FieldProof, SealError> {
        let field = self.opened.fields.iter().find(|field| field.slot == slot).ok_or(SealError::NoKey(slot))?;
        Ok(proof_of(&self.opened.header, &self.leaves, slot, field.disclosure.clone())?)
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::{ChainId, document::DocumentId};

    use super::*;
    use crate::{
        CommitmentError, Disclosure, SeededRng,
        commitment::head,
        sealing::{DocumentKeys, document::seal_texts, wrap},
    };

    #[test]
    fn a_disclosure_that_is_none_is_known_only_once_the_root_commits_to_it() {
        let rng = &mut SeededRng::from_seed(&[8; 32]);
        let (keys, secret) = (DocumentKeys::generate(rng), RecipientSecret::generate(rng));
        let context = WrapContext { chain: ChainId([1; 32]), document: DocumentId::new([2; 16]), version: 1 };
        let header = DocumentHeader {
            schema: "order".into(),
            schema_version: 1,
            category: vouch_types::document::Category::Transaction,
            slots: 2,
            issuer: "accu".into(),
            document: context.document,
            version: 1,
            previous: None,
        };
        let texts = ["no disclosure", "none either"];
        let sealed = seal_texts(&header, &texts, &keys, rng);
        let leaves: Vec<_> =
            (0u16..).zip(texts).map(|(slot, text)| Disclosure::from_text(text.into()).unwrap().leaf(slot)).collect();
        let root = header.root(&head(&leaves));
        let wrapped = wrap(&keys.all(), &secret.public(), context, rng).unwrap();
        let delivery = sealed.deliver(&FieldSet::first(2), wrapped, Vec::new());
        let opened = delivery.open(&root, &keys.all());
        assert!(matches!(opened, Err(SealError::Commitment(CommitmentError::Disclosure(_)))), "{opened:?}");
        // By another root, whoever sent it may have made it up.
        let other = DocumentRoot([9; 32]);
        assert_eq!(delivery.open(&other, &keys.all()).unwrap_err(), CommitmentError::Root.into());
    }
}
