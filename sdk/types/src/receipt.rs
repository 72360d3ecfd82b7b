//! What became of a transaction.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    codec::encode,
    hash::{EventsRoot, Hash32, OutputHash, TxId, domain_hash},
    merkle,
    numbers::{Fuel, Height},
    transaction::ContractName,
};

/// Longest text in a [`Failure`], in bytes.
pub const FAILURE_TEXT_BYTES_MAX: usize = 512;

/// Something a contract said happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Event {
    /// The contract that said it.
    pub contract: ContractName,
    /// Its kind, as named in the contract's ABI.
    pub name: String,
    /// Its fields, encoded as the ABI says.
    #[serde(with = "crate::hex_serde")]
    pub data: Vec<u8>,
}

/// Why a transaction changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Failure {
    /// Which call failed, from 0.
    pub call: u16,
    /// Stable code, for example `contract.out_of_fuel`.
    pub code: String,
    /// What was wrong, for people; the same on every node.
    pub message: String,
}

/// The end of a transaction: all its calls took effect, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub enum Outcome {
    /// Every call succeeded.
    Success,
    /// One failed; all were undone.
    Failed(Failure),
}

/// The result of one transaction, as committed to by the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Receipt {
    /// The transaction.
    pub tx: TxId,
    /// Where it was executed.
    pub height: Height,
    /// Its position in the block, from 0.
    pub index: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Work done, also when it failed.
    pub fuel_used: Fuel,
    /// Over what the last call returned; over nothing when it failed.
    pub output_hash: OutputHash,
    /// Over its events; over none when it failed.
    pub events_root: EventsRoot,
}

impl Receipt {
    /// Leaf of the receipts tree.
    #[must_use]
    pub fn leaf(&self) -> Hash32 {
        merkle::leaf_hash(&encode(self))
    }
}

/// Hash of a transaction's output.
#[must_use]
pub fn output_hash(output: &[u8]) -> OutputHash {
    OutputHash(domain_hash("vouch/output/1", &[output]).0)
}

/// Root over a transaction's events.
#[must_use]
pub fn events_root(events: &[Event]) -> EventsRoot {
    let leaves: Vec<Hash32> = events.iter().map(|e| merkle::leaf_hash(&encode(e))).collect();
    EventsRoot(merkle::root(&leaves).0)
}
