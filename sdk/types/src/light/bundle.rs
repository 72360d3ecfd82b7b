//! One file that proves one fact to anyone who knows the chain id.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::{FinalityProof, LightClient, ProofError};
use crate::{
    block::{GenesisHeader, Header},
    codec::{decode, encode},
    hash::{BlockHash, ChainId},
    merkle::{MerklePath, leaf_hash},
    numbers::{Height, TimestampMs},
    receipt::{Event, Receipt},
    state::StateProof,
    transaction::{UnverifiedTransaction, VerifiedTransaction},
    validators::ValidatorSet,
};

/// Version byte of proof bundles.
pub const PROOF_VERSION: u8 = 1;
/// Most bytes of an encoded bundle; as JSON it may have four times as many.
pub const PROOF_BYTES_MAX: usize = 8 << 20;
/// Most changes of the validator set that one bundle leads through.
pub const SET_CHANGES_MAX: usize = 1024;

/// A header at which the validator set changes, and the set of the next height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct SetChange {
    /// The last header signed by the old set.
    pub finality: FinalityProof,
    /// The new set.
    pub next_set: ValidatorSet,
}

/// A transaction under a header's transactions root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct TransactionProof {
    /// The transaction's bytes as they stand in the block.
    #[serde(with = "crate::hex_serde")]
    pub raw: Vec<u8>,
    /// From these bytes to the root.
    pub path: MerklePath,
}

/// A receipt under a header's receipts root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct ReceiptProof {
    /// The receipt.
    pub receipt: Receipt,
    /// From its encoding to the root.
    pub path: MerklePath,
}

/// An event under a receipt's events root, and the receipt under the header's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct EventProof {
    /// The event.
    pub event: Event,
    /// From its encoding to the receipt's events root.
    pub path: MerklePath,
    /// The receipt of the transaction that emitted it.
    pub receipt: ReceiptProof,
}

/// What a bundle proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// This transaction is in the chain.
    Transaction(TransactionProof),
    /// This is how a transaction ended.
    Receipt(ReceiptProof),
    /// A contract emitted this event.
    Event(EventProof),
    /// The state held this value after the block.
    State(StateProof),
}

/// A claim and all that is needed to check it from the chain id alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(deny_unknown_fields)]
pub struct ProofBundle {
    /// [`PROOF_VERSION`].
    pub version: u8,
    /// What the chain id is the hash of.
    pub genesis: GenesisHeader,
    /// The set of height 1.
    pub first_set: ValidatorSet,
    /// Every change of the set before the claim's block, ascending by height.
    pub set_changes: Vec<SetChange>,
    /// The block that the claim is about.
    pub finality: FinalityProof,
    /// The claim.
    pub claim: Claim,
}

/// What holds after a bundle was checked, and since when.
#[derive(Debug, Clone)]
pub struct VerifiedClaim {
    /// The chain.
    pub chain: ChainId,
    /// Height of the block.
    pub height: Height,
    /// The block.
    pub block: BlockHash,
    /// The block's time.
    pub time: TimestampMs,
    /// What is true there.
    pub fact: Fact,
}

/// Something that is true at a block.
#[derive(Debug, Clone)]
pub enum Fact {
    /// The block holds this transaction. It may have failed: that is what its receipt says.
    Transaction {
        /// The transaction; its signatures were checked as well.
        transaction: Box<VerifiedTransaction>,
        /// Its position in the block, from 0.
        index: u32,
    },
    /// A transaction ended like this.
    Receipt(Receipt),
    /// A contract emitted this event.
    Event {
        /// The event.
        event: Event,
        /// Its position among the transaction's events, from 0.
        index: u32,
        /// The transaction's receipt.
        receipt: Receipt,
    },
    /// The state after the block holds this.
    State {
        /// The key.
        key: Vec<u8>,
        /// Its value; `None` when it was deleted.
        value: Option<Vec<u8>>,
    },
}

impl ProofBundle {
    /// Checks the whole bundle for the chain that the caller means.
    ///
    /// # Errors
    /// [`ProofError`], the first fault found.
    pub fn verify(&self, expected_chain: ChainId) -> Result<VerifiedClaim, ProofError> {
        self.verify_finality(expected_chain)?;
        self.verify_claim()
    }

    /// Checks that the block is final, from the chain id alone; says nothing yet about the claim.
    ///
    /// # Errors
    /// [`ProofError`], the first fault found.
    pub fn verify_finality(&self, expected_chain: ChainId) -> Result<(), ProofError> {
        self.check_version()?;
        if self.set_changes.len() > SET_CHANGES_MAX {
            return Err(ProofError::SetChanges { actual: self.set_changes.len(), max: SET_CHANGES_MAX });
        }
        let mut client = LightClient::from_genesis(expected_chain, &self.genesis, self.first_set.clone())?;
        for change in &self.set_changes {
            client.advance(&change.finality, Some(change.next_set.clone()))?;
        }
        client.verify_at(&self.finality)
    }

    /// Checks the claim against the block's header. It is a proof only where the block is known to be final: by
    /// [`ProofBundle::verify_finality`] of this bundle, or of another one whose header has the same hash.
    ///
    /// # Errors
    /// [`ProofError`], one of those about paths, receipts, transactions and state.
    pub fn verify_claim(&self) -> Result<VerifiedClaim, ProofError> {
        self.check_version()?;
        let header = &self.finality.header;
        Ok(VerifiedClaim {
            chain: header.chain,
            height: header.height,
            block: header.hash(),
            time: header.time,
            fact: self.claim.verify(header)?,
        })
    }

    fn check_version(&self) -> Result<(), ProofError> {
        if self.version == PROOF_VERSION { Ok(()) } else { Err(ProofError::Version(self.version)) }
    }

    /// The bundle's one encoding in bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes; says nothing yet about what the bundle proves.
    ///
    /// # Errors
    /// [`ProofError::Codec`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        Ok(decode("proof", bytes, PROOF_BYTES_MAX)?)
    }

    /// The bundle as JSON text: hashes, keys and byte strings in hexadecimal.
    ///
    /// # Panics
    /// Never: every key of the JSON objects is a text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a bundle has only text keys and no float")
    }

    /// Reads the JSON text; says nothing yet about what the bundle proves.
    ///
    /// # Errors
    /// [`ProofError::Json`], or [`ProofError::Codec`] when it is too long.
    pub fn from_json(text: &str) -> Result<Self, ProofError> {
        let max = 4 * PROOF_BYTES_MAX;
        if text.len() > max {
            return Err(crate::codec::CodecError::TooLarge { what: "proof", actual: text.len(), max }.into());
        }
        serde_json::from_str(text).map_err(|error| ProofError::Json(error.to_string()))
    }
}

impl Claim {
    /// Checks the claim against a header that is known to be final.
    ///
    /// # Errors
    /// [`ProofError`], one of those about paths, receipts, transactions and state.
    pub fn verify(&self, header: &Header) -> Result<Fact, ProofError> {
        match self {
            Self::Transaction(proof) => proof.verify(header),
            Self::Receipt(proof) => Ok(Fact::Receipt(proof.verify(header)?.clone())),
            Self::Event(proof) => proof.verify(header),
            Self::State(proof) => {
                proof.verify(&header.state_root)?;
                Ok(Fact::State { key: proof.key.clone(), value: proof.value.clone() })
            }
        }
    }
}

impl TransactionProof {
    /// Checks path, form and signatures against a header that is known to be final.
    ///
    /// # Errors
    /// [`ProofError::TransactionPath`] or [`ProofError::Transaction`].
    pub fn verify(&self, header: &Header) -> Result<Fact, ProofError> {
        if self.path.root_from(&leaf_hash(&self.raw)).map(|root| root.0) != Some(header.transactions_root.0) {
            return Err(ProofError::TransactionPath);
        }
        let transaction = UnverifiedTransaction::decode(self.raw.clone(), header.chain)?.verify()?;
        Ok(Fact::Transaction { transaction: Box::new(transaction), index: self.path.index })
    }
}

impl ReceiptProof {
    /// Checks path and place against a header that is known to be final.
    ///
    /// # Errors
    /// [`ProofError::ReceiptPath`] or [`ProofError::ReceiptPlace`].
    pub fn verify(&self, header: &Header) -> Result<&Receipt, ProofError> {
        if self.path.root_from(&self.receipt.leaf()).map(|root| root.0) != Some(header.receipts_root.0) {
            return Err(ProofError::ReceiptPath);
        }
        if self.receipt.height != header.height || self.receipt.index != self.path.index {
            return Err(ProofError::ReceiptPlace);
        }
        Ok(&self.receipt)
    }
}

impl EventProof {
    /// Checks both paths against a header that is known to be final.
    ///
    /// # Errors
    /// [`ProofError::EventPath`], or as [`ReceiptProof::verify`].
    pub fn verify(&self, header: &Header) -> Result<Fact, ProofError> {
        let receipt = self.receipt.verify(header)?;
        let leaf = leaf_hash(&encode(&self.event));
        if self.path.root_from(&leaf).map(|root| root.0) != Some(receipt.events_root.0) {
            return Err(ProofError::EventPath);
        }
        Ok(Fact::Event { event: self.event.clone(), index: self.path.index, receipt: receipt.clone() })
    }
}
