//! Blocks: a header that commits to order and results, and the transactions as received.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    codec::encode,
    hash::{
        BlockHash, ChainId, Hash32, NodeId, ReceiptsRoot, StateRoot, TransactionsRoot, ValidatorsHash, domain_hash,
    },
    merkle,
    numbers::{Height, TimestampMs},
};

/// Version byte of headers and blocks.
pub const BLOCK_VERSION: u8 = 1;
/// Most bytes of an encoded block, header included.
pub const BLOCK_BYTES_MAX: usize = 8 << 20;

/// Commits to a block's place, its content and the results of executing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Header {
    /// [`BLOCK_VERSION`].
    pub version: u8,
    /// The chain.
    pub chain: ChainId,
    /// Position in the chain, from 1.
    pub height: Height,
    /// When, as proposed: above the parent's time and not far ahead of the validators' clocks.
    pub time: TimestampMs,
    /// The block before; for height 1 the chain id's bytes.
    pub parent: BlockHash,
    /// Who built the block first.
    pub proposer: NodeId,
    /// Over the transactions' bytes in order.
    pub transactions_root: TransactionsRoot,
    /// Over the receipts in the same order.
    pub receipts_root: ReceiptsRoot,
    /// State after the block.
    pub state_root: StateRoot,
    /// The set whose precommits make this block final.
    pub validators_hash: ValidatorsHash,
    /// The set of the next height.
    pub next_validators_hash: ValidatorsHash,
}

impl Header {
    /// The block's name.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        BlockHash(domain_hash("vouch/block/1", &[&encode(self)]).0)
    }
}

/// A header and its transactions.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// Encoded [`crate::Transaction`]s, signatures included, exactly as received.
    pub transactions: Vec<Vec<u8>>,
}

impl Block {
    /// Root over transaction bytes.
    #[must_use]
    pub fn transactions_root(transactions: &[Vec<u8>]) -> TransactionsRoot {
        let leaves: Vec<Hash32> = transactions.iter().map(|tx| merkle::leaf_hash(tx)).collect();
        TransactionsRoot(merkle::root(&leaves).0)
    }
}

/// What the chain id is the hash of: all that a light client must know of the genesis document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct GenesisHeader {
    /// [`BLOCK_VERSION`].
    pub version: u8,
    /// When the chain begins.
    pub time: TimestampMs,
    /// Hash of the whole genesis document's canonical bytes.
    pub document: Hash32,
    /// The set of height 1.
    pub validators_hash: ValidatorsHash,
}

impl GenesisHeader {
    /// The chain's name.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        ChainId(domain_hash("vouch/genesis/1", &[&encode(self)]).0)
    }
}
