//! What one receiver is sent of a document version.

use serde_json::Value;
use vouch_types::{DocumentRoot, Hash32, document::FieldSet};
use wincode::{SchemaRead, SchemaWrite};

use super::{FieldKeySet, Opened, RecipientSecret, SealError, Wrap, WrapContext, document::open_values, open_wrap};
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
    /// [`SealError`], the first fault found; [`crate::CommitmentError::Root`] when all opens but to another document.
    pub fn open(&self, root: &DocumentRoot, keys: &FieldKeySet) -> Result<OpenedDelivery, SealError> {
        let header = DocumentHeader::from_json(&self.header)?;
        let header_hash = header.hash();
        self.check_shape(&header)?;
        let opened = self.slots.iter().map(|sent| open_values(&header_hash, sent.slot, &sent.value, &sent.rows, keys));
        let fields = opened.collect::<Result<Vec<_>, _>>()?;
        let mut others = self.others.iter();
        let mut known = fields.iter().peekable();
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
