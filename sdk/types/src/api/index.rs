//! Lists, search and statistics over the node's index: what is asked, and what is answered.
//!
//! The index follows the chain; an answer says up to which height it has come. It holds what stands on the chain and
//! nothing else, so every member may see all of it.

use serde::{Deserialize, Serialize};

use crate::{
    document::{Category, DisputeState, DocumentId, ErasureState, Moment, Party, VersionState},
    hash::{AccountId, BlockHash, TxId},
    numbers::{Fuel, Height, TimestampMs},
    relation::{RelationKind, RelationState},
    transaction::ContractName,
};

/// Most items of a page of the index.
pub const INDEX_ITEMS_MAX: u32 = 200;
/// Most steps away from a document that a chain of evidence is followed in one answer.
pub const PROVENANCE_DEPTH_MAX: u32 = 6;
/// Most documents of one chain of evidence in one answer.
pub const PROVENANCE_NODES_MAX: usize = 200;
/// Most days of one answer of the statistics.
pub const STATISTICS_DAYS_MAX: u32 = 400;
/// Longest text that is searched for, in bytes.
pub const SEARCH_BYTES_MAX: usize = 128;

/// One page out of the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IndexPage<T> {
    /// Height of the last block this node knows.
    pub head: Height,
    /// Height up to which the index has come.
    pub indexed: Height,
    /// The items, newest first; fewer than asked for, even none, where the search took its time: it goes on at `next`.
    pub items: Vec<T>,
    /// Give this back as `after` for the next page; absent when there is nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many there are in all; absent where nobody counts them for this filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// How the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IndexState {
    /// It is at the head, or a few blocks behind.
    Following,
    /// It is behind and reads blocks as fast as it can.
    CatchingUp,
    /// It waits: the node takes its state over from others, or is behind what the index has seen.
    Waiting,
    /// It cannot go on; the code says why.
    Stopped,
}

/// A rebuild in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RebuildView {
    /// How far the new index has come.
    pub indexed: Height,
    /// How far it has to come.
    pub head: Height,
}

/// A count of the index beside the chain's own: equal numbers show that nothing is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountView {
    /// In the index.
    pub indexed: u64,
    /// By the contract's counter, at the head; absent when the contract is not there or the node cannot say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_chain: Option<u64>,
}

/// How the index is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IndexStatusView {
    /// Height of the last block this node knows.
    pub head: Height,
    /// Height up to which the index has come.
    pub indexed: Height,
    /// Blocks between the two.
    pub lag: u64,
    /// How it is.
    pub state: IndexState,
    /// Why it does not go on: a stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Blocks and transactions are in it from this height on; documents and what concerns them always are all.
    pub first_block: Height,
    /// A rebuild under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildView>,
    /// Documents.
    pub documents: CountView,
    /// Relationships.
    pub relationships: CountView,
    /// Disputes.
    pub disputes: CountView,
    /// Grants.
    pub grants: CountView,
    /// Transactions.
    pub transactions: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// Version of its layout.
    pub layout: u32,
}

/// Which documents are asked for; what is left out does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentFilter {
    /// Of this category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// Whose newest standing version, else whose newest version, is in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<VersionState>,
    /// Issued by this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Of this schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Naming this party in any version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// With a public text that begins so, letters' case aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Created at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<TimestampMs>,
    /// Created before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<TimestampMs>,
    /// Under dispute now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disputed: Option<bool>,
}

/// A document in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentItem {
    /// Its number among all, from 1, without gaps.
    pub number: u64,
    /// The document.
    pub id: DocumentId,
    /// Its kind.
    pub category: Category,
    /// Its number within the category.
    pub category_number: u64,
    /// The member that issued it.
    pub issuer: String,
    /// Its number within the issuer.
    pub issuer_number: u64,
    /// Its schema.
    pub schema: String,
    /// How its standing version stands, else its newest.
    pub state: VersionState,
    /// Its newest version.
    pub version: u32,
    /// The version that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<u32>,
    /// When its first version was submitted.
    pub created: Moment,
    /// Height of the last block that changed it.
    pub changed: Height,
    /// Open disputes.
    pub disputes: u32,
    /// Legal holds.
    pub holds: u32,
    /// Whether a ruling asks for a corrected version.
    pub correction: bool,
    /// How far its erasure is.
    pub erasure: ErasureState,
    /// How many documents it names.
    pub references: u64,
    /// How many name it.
    pub referenced_by: u64,
}

/// A public text of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicText {
    /// The field's name in the schema.
    pub field: String,
    /// Its value, at most its first 64 characters.
    pub value: String,
}

/// A document with what the index knows of it beyond its list. Versions and their proofs are in the contract's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentDetail {
    /// Height of the last block this node knows.
    pub head: Height,
    /// Height up to which the index has come.
    pub indexed: Height,
    /// The document.
    pub document: DocumentItem,
    /// Its public texts.
    pub public: Vec<PublicText>,
    /// Keys of the contract's state under which the records stand, in hexadecimal: the document, then each version from 1.
    pub state_keys: Vec<super::HexBytes>,
}

/// Which transactions are asked for; what is left out does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionFilter {
    /// Signed first by this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// With a call of this contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractName>,
    /// With a call of this method of that contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// That ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<bool>,
    /// In blocks at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<TimestampMs>,
    /// In blocks before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<TimestampMs>,
}

/// A transaction in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransactionItem {
    /// Its id.
    pub id: TxId,
    /// Its block.
    pub height: Height,
    /// Its position in the block.
    pub index: u32,
    /// The block's time.
    pub time: TimestampMs,
    /// Its first signer.
    pub signer: AccountId,
    /// Number of its calls.
    pub calls: u32,
    /// Contract of the first call.
    pub contract: String,
    /// Method of the first call.
    pub method: String,
    /// Why it failed; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Work done.
    pub fuel: Fuel,
}

/// Which relationships are asked for; what is left out does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationshipFilter {
    /// Of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<RelationKind>,
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RelationState>,
    /// Of this member: that serves, received or watches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Concerning this party.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
}

/// Which disputes are asked for; what is left out does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisputeFilter {
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DisputeState>,
    /// Decided by this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arbiter: Option<String>,
    /// About this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentId>,
}

/// Which way a chain of evidence is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To what the document stands on.
    Up,
    /// To what stands on it.
    Down,
    /// Both.
    #[default]
    Both,
}

/// A document in a chain of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProvenanceNode {
    /// The document.
    pub document: DocumentItem,
    /// Steps from the document asked about: negative towards what it stands on.
    pub distance: i32,
    /// How many documents that it names are not in this answer.
    pub hidden_up: u64,
    /// How many that name it are not in this answer.
    pub hidden_down: u64,
}

/// That one document names another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProvenanceEdge {
    /// The document that names the other.
    pub from: DocumentId,
    /// Its version.
    pub from_version: u32,
    /// What the other is to it.
    pub name: String,
    /// The document that is named.
    pub to: DocumentId,
    /// Its version.
    pub to_version: u32,
}

/// What a document stands on and what stands on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProvenanceView {
    /// Height of the last block this node knows.
    pub head: Height,
    /// Height up to which the index has come.
    pub indexed: Height,
    /// The documents, the one asked about first, then by distance.
    pub nodes: Vec<ProvenanceNode>,
    /// Who names whom.
    pub edges: Vec<ProvenanceEdge>,
    /// Whether these are all; else ask about the documents at the edge.
    pub complete: bool,
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SearchHit {
    /// A document by its id, its number, or a public text.
    Document {
        /// The document.
        document: Box<DocumentItem>,
        /// The text that matched, if it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<PublicText>,
    },
    /// A transaction by its id.
    Transaction {
        /// The transaction.
        id: TxId,
        /// Its block.
        height: Height,
    },
    /// A block by its hash or height.
    Block {
        /// Its height.
        height: Height,
        /// Its hash.
        hash: BlockHash,
    },
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchView {
    /// Height of the last block this node knows.
    pub head: Height,
    /// Height up to which the index has come.
    pub indexed: Height,
    /// The hits, at most ten of each kind.
    pub hits: Vec<SearchHit>,
    /// Whether these are all.
    pub complete: bool,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Documents, by category.
    Documents,
    /// Documents, by the member that issued them.
    Issuers,
    /// Transactions, by outcome: `success`, `failed`.
    Transactions,
    /// Transactions, by contract; one with calls of two counts for both.
    Contracts,
    /// Blocks.
    Blocks,
    /// Disputes that were opened.
    Disputes,
    /// Erasures that were asked for.
    Erasures,
}

/// Which statistics are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatisticsQuery {
    /// What is counted.
    pub measure: Measure,
    /// From this time, whose day is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<TimestampMs>,
    /// Until this time, whose day is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<TimestampMs>,
    /// Hours that days begin before those of UTC, -12 to 14; 8 in China.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<i32>,
}

/// A number under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NamedCount {
    /// What it counts.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// One day of one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DayCount {
    /// The day, `YYYY-MM-DD` in the zone asked for.
    pub day: String,
    /// What was counted.
    pub name: String,
    /// How many; days without any are left out.
    pub count: u64,
}

/// Counts kept while blocks came, so that none is made when somebody asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatisticsView {
    /// Height of the last block this node knows.
    pub head: Height,
    /// Height up to which the index has come.
    pub indexed: Height,
    /// By day and name, ascending.
    pub days: Vec<DayCount>,
    /// Of all time, by name; the largest hundred.
    pub totals: Vec<NamedCount>,
    /// Of all documents now, by state. With `measure=documents` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<NamedCount>,
}
