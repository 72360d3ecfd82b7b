//! Blocks, contracts, state, validators, members and evidence as the API shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CanaryView, EncryptionKeyView, HexBytes, TransactionView};
use crate::{
    block::Header,
    certificate::CommitCertificate,
    hash::{BlockHash, ChainId, CodeHash, NodeId, StateRoot, TxId, ValidatorsHash},
    keys::PublicKey,
    numbers::{Height, Power, Round, TimestampMs},
    transaction::ContractName,
};

/// One page of a list, with the height it was read at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// Height of the last block this node knows.
    pub head: Height,
    /// The items.
    pub items: Vec<T>,
    /// Give this back as the route's paging parameter for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A block in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlockSummary {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// Its time.
    pub time: TimestampMs,
    /// Who built it.
    pub proposer: NodeId,
    /// That node's name, when the registry has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposer_name: Option<String>,
    /// The round in which it was decided.
    pub round: Round,
    /// Number of transactions.
    pub transactions: u32,
    /// Bytes of the encoded block.
    pub bytes: u32,
    /// State after it.
    pub state_root: StateRoot,
}

/// A block with what makes it final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlockDetail {
    /// Height of the last block this node knows.
    pub head: Height,
    /// In a line.
    pub summary: BlockSummary,
    /// The header.
    pub header: Header,
    /// One certificate that makes it final; another node may hold another.
    pub certificate: CommitCertificate,
    /// Its transactions' ids in order.
    pub transactions: Vec<TxId>,
}

/// A block with everything in it. Between a backend and the API; the routes show parts of it.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalBlock {
    /// In a line.
    pub summary: BlockSummary,
    /// The header.
    pub header: Header,
    /// One certificate that makes it final.
    pub certificate: CommitCertificate,
    /// Its transactions in order, with results.
    pub transactions: Vec<TransactionView>,
}

/// Body of a query in JSON.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QueryBody {
    /// Arguments as the contract's ABI names them; leave out for a method without any.
    #[serde(default)]
    pub arguments: serde_json::Value,
    /// Arguments already encoded; then `arguments` must be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded: Option<HexBytes>,
    /// The height whose state is asked; the head when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Height>,
}

/// A query, complete.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryRequest {
    /// Which contract.
    pub contract: ContractName,
    /// Which method.
    pub method: String,
    /// Arguments and height.
    pub body: QueryBody,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueryView {
    /// Height of the state that answered.
    pub height: Height,
    /// What the method returned, encoded.
    pub output: HexBytes,
    /// The same by the contract's ABI, when it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
}

/// One value of a contract's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StateView {
    /// Height of the state.
    pub height: Height,
    /// The contract.
    pub contract: ContractName,
    /// The key within the contract's space.
    pub key: HexBytes,
    /// The value; absent when the key has none. Absence is this node's word: the tree proves presence only.
    pub value: Option<HexBytes>,
    /// The encoded proof bundle, when it was asked for and there is a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<HexBytes>,
}

/// A contract in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContractSummary {
    /// Its name.
    pub name: ContractName,
    /// Hash of its code.
    pub code_hash: CodeHash,
    /// The height at which this code took effect.
    pub deployed_at: Height,
    /// Counts activations under this name, from 1; 0 for the kernel.
    pub version: u32,
    /// `active`, `frozen` or `retired`.
    pub standing: String,
    /// Code of the version before, to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<CodeHash>,
    /// A version on trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryView>,
}

/// A contract with its description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContractView {
    /// In a line.
    #[serde(flatten)]
    pub summary: ContractSummary,
    /// Bytes of the code.
    pub code_bytes: u32,
    /// Methods, types, events and names in both languages.
    pub abi: serde_json::Value,
}

/// One validator of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValidatorView {
    /// The node.
    pub node: NodeId,
    /// Its consensus key.
    pub key: PublicKey,
    /// Its weight.
    pub power: Power,
    /// Its name in the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The member it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// The validators of a height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValidatorsView {
    /// Height of the last block this node knows.
    pub head: Height,
    /// The height they vote at.
    pub height: Height,
    /// Hash of the set.
    pub hash: ValidatorsHash,
    /// Sum of powers.
    pub total_power: Power,
    /// In ascending order of key.
    pub validators: Vec<ValidatorView>,
}

/// A node in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberNodeView {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its consensus key.
    pub key: PublicKey,
    /// Its network key.
    pub network_key: PublicKey,
    /// Where it listens.
    pub address: String,
    /// Its voting power; 0 when it only follows.
    pub power: Power,
}

/// A member of the consortium.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberView {
    /// Its name: unique, stable.
    pub name: String,
    /// Platform, institution, enterprise, regulator.
    pub role: String,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether it may act now.
    pub active: bool,
    /// `active`, `suspended` or `removed`.
    pub standing: String,
    /// How many of its administrators act for it.
    pub admin_threshold: u16,
    /// Their keys, ascending.
    pub admin_keys: Vec<PublicKey>,
    /// Its encryption keys, ascending by id; at most the last is in use.
    pub encryption_keys: Vec<EncryptionKeyView>,
    /// The root of its own certificates, X.509 in DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<HexBytes>,
    /// Its nodes.
    pub nodes: Vec<MemberNodeView>,
    /// Number of its registered accounts.
    pub accounts: u32,
}

/// A validator was seen to break the rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EvidenceView {
    /// Height of the misbehaviour.
    pub height: Height,
    /// Position within that height.
    pub sequence: u32,
    /// Who.
    pub node: NodeId,
    /// That node's name, when the registry has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What: `double_prevote`, `double_precommit`, `double_proposal`.
    pub kind: String,
    /// The two contradicting signed statements, encoded.
    pub bytes: HexBytes,
}

/// Numbers a client needs to make a valid transaction, and other limits of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChainParams {
    /// The chain.
    pub chain: ChainId,
    /// Its name.
    pub chain_name: String,
    /// Height of the last block this node knows.
    pub head: Height,
    /// A transaction may expire at most this many heights after the next one.
    pub expiry_window: u64,
    /// Most bytes of one transaction.
    pub transaction_bytes_max: u32,
    /// Most bytes of one block.
    pub block_bytes_max: u32,
    /// Most fuel one transaction may use.
    pub transaction_fuel_max: u64,
    /// Every parameter by name, as the members may change it: numbers, and thresholds as `> 2/3`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}
