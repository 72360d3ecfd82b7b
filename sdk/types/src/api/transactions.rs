//! Submitting transactions and asking what became of them.

use serde::{Deserialize, Serialize};

use super::{HexBytes, Problem};
use crate::{
    hash::{AccountId, BlockHash, EventsRoot, OutputHash, TxId},
    numbers::{Fuel, Height, TimestampMs},
    receipt::{Event, Outcome, Receipt},
    transaction::ContractName,
};

/// One signed transaction in JSON; the body `application/octet-stream` carries the same bytes bare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// The encoded transaction in hexadecimal or standard base64.
    pub transaction: String,
}

/// Many signed transactions in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitBatchRequest {
    /// Each in hexadecimal or standard base64; at most [`super::BATCH_ITEMS_MAX`].
    pub transactions: Vec<String>,
}

/// Whether a submitted transaction was new to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SubmitStatus {
    /// New, well-formed, signed: it waits for a block.
    Accepted,
    /// The node had it already, waiting or in a block: submitting again changed nothing.
    Known,
}

/// A transaction the node has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Submitted {
    /// Its id, the same each time it is submitted.
    pub id: TxId,
    /// Whether it was new.
    pub status: SubmitStatus,
}

/// The answer to one item of a batch, in the order of the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum SubmitItem {
    /// New and taken.
    Accepted {
        /// Its id.
        id: TxId,
    },
    /// Taken before.
    Known {
        /// Its id.
        id: TxId,
    },
    /// Not taken.
    Refused {
        /// Why.
        problem: Problem,
    },
}

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubmitBatchAnswer {
    /// One result per item, in the order of the request.
    pub results: Vec<SubmitItem>,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TransactionStatus {
    /// This node has never seen it, or has dropped it because it expired.
    Unknown {
        /// Height of the last block this node knows.
        head: Height,
    },
    /// It waits for a block.
    Pending {
        /// Height of the last block this node knows.
        head: Height,
    },
    /// It stands in a final block and will not change again.
    Final {
        /// Height of the last block this node knows.
        head: Height,
        /// The transaction and its result.
        transaction: Box<TransactionView>,
    },
}

/// A transaction in a final block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransactionView {
    /// Its id.
    pub id: TxId,
    /// Its block's height.
    pub height: Height,
    /// Its position in the block, from 0.
    pub index: u32,
    /// Its block's hash.
    pub block: BlockHash,
    /// Its block's time.
    pub time: TimestampMs,
    /// Last height at which it could have stood in a block.
    pub expiry: Height,
    /// Who signed; the first is the caller.
    pub signers: Vec<AccountId>,
    /// What was called.
    pub calls: Vec<CallView>,
    /// Bytes of the transaction, signatures included.
    pub bytes: u32,
    /// How it ended.
    pub receipt: ReceiptView,
    /// What the last call returned; empty when it failed.
    pub output: HexBytes,
    /// The output by the contract's ABI, when it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_value: Option<serde_json::Value>,
    /// What the contracts said happened; none when it failed.
    pub events: Vec<EventView>,
}

impl TransactionView {
    /// The same with an empty list of events, as the feed shows it.
    #[must_use]
    pub fn without_events(&self) -> Self {
        Self {
            id: self.id,
            height: self.height,
            index: self.index,
            block: self.block,
            time: self.time,
            expiry: self.expiry,
            signers: self.signers.clone(),
            calls: self.calls.clone(),
            bytes: self.bytes,
            receipt: self.receipt.clone(),
            output: self.output.clone(),
            output_value: self.output_value.clone(),
            events: Vec::new(),
        }
    }
}

/// One contract call of a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallView {
    /// Which contract.
    pub contract: ContractName,
    /// Which method.
    pub method: String,
    /// The encoded arguments.
    pub arguments: HexBytes,
    /// The arguments by the contract's ABI, when they can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments_value: Option<serde_json::Value>,
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceiptView {
    /// Success, or which call failed and why.
    #[serde(flatten)]
    pub outcome: OutcomeView,
    /// Metered work, also when it failed.
    pub fuel_used: Fuel,
    /// Commitment to the output.
    pub output_hash: OutputHash,
    /// Commitment to the events.
    pub events_root: EventsRoot,
}

/// Whether the calls took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum OutcomeView {
    /// All of them.
    Success,
    /// None of them.
    Failed {
        /// Which call failed, from 0.
        call: u16,
        /// Stable code.
        code: String,
        /// What was wrong.
        message: String,
    },
}

impl From<&Receipt> for ReceiptView {
    fn from(receipt: &Receipt) -> Self {
        let outcome = match &receipt.outcome {
            Outcome::Success => OutcomeView::Success,
            Outcome::Failed(failure) => {
                OutcomeView::Failed { call: failure.call, code: failure.code.clone(), message: failure.message.clone() }
            }
        };
        Self {
            outcome,
            fuel_used: receipt.fuel_used,
            output_hash: receipt.output_hash,
            events_root: receipt.events_root,
        }
    }
}

/// An event in a final block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventView {
    /// The contract that said it.
    pub contract: ContractName,
    /// Its kind.
    pub name: String,
    /// Position among the transaction's events, from 0.
    pub index: u32,
    /// Its encoded fields.
    pub data: HexBytes,
    /// Its fields by the contract's ABI, when they can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<serde_json::Value>,
}

impl EventView {
    /// The event at a position, with its fields not read.
    #[must_use]
    pub fn new(index: u32, event: &Event) -> Self {
        Self {
            contract: event.contract.clone(),
            name: event.name.clone(),
            index,
            data: HexBytes(event.data.clone()),
            fields: None,
        }
    }
}

/// What a proof is asked to show about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "claim", rename_all = "snake_case")]
pub enum Claim {
    /// Its bytes stand in the block.
    Transaction,
    /// How it ended.
    Receipt,
    /// It emitted this event.
    Event {
        /// Position among the transaction's events.
        index: u32,
    },
}

/// A proof as bytes; [`crate::codec::decode`] gives the bundle that a light verifier checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProofView {
    /// The transaction.
    pub id: TxId,
    /// What is shown.
    #[serde(flatten)]
    pub claim: Claim,
    /// The encoded bundle.
    pub proof: HexBytes,
}
