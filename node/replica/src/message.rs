//! What nodes say to each other. Every message is bounded and decoded before anything looks at it.

use vouch_consensus::ConsensusMessage;
use vouch_ledger::{HistoryBlock, SnapshotOffer};
use vouch_types::{
    BlockHash, CodecError, CommitCertificate, Hash32, Height, RangeProof, TimestampMs, block::BLOCK_BYTES_MAX,
    codec::decode_prefix, decode, encode,
};
use wincode::{SchemaRead, SchemaWrite};

/// First byte of every message.
pub const MESSAGE_VERSION: u8 = 1;
/// Most bytes of a message about votes, status or requests.
pub const SMALL_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a message that carries blocks.
pub const BULK_BYTES_MAX: usize = 16 << 20;
/// Most bytes of blocks in one answer to a [`Message::SyncRequest`]; one block is always sent.
pub const SYNC_BYTES_MAX: usize = 4 << 20;
/// Most blocks in one answer.
pub const SYNC_BLOCKS_MAX: usize = 64;
/// Most bytes of one batch of transactions.
pub const TRANSACTIONS_BYTES_MAX: usize = 2 << 20;

/// Which queue a message travels in: each has its own budget, so bulk cannot hold up votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Votes, proposals, status, requests: small, never silently dropped.
    Consensus,
    /// Blocks.
    Blocks,
    /// Transactions: may be dropped under pressure.
    Transactions,
}

/// A decided block on its way to a node that missed it.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct SyncedBlock {
    /// Encoded block.
    pub block: Vec<u8>,
    /// Its certificate.
    pub certificate: CommitCertificate,
}

/// What the next proposer has executed of its block, in lots.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Announcement {
    /// The height.
    pub height: Height,
    /// The block before it, which may not be final.
    pub parent: BlockHash,
    /// The block's time.
    pub time: TimestampMs,
    /// How many transactions come before these.
    pub first: u32,
    /// Leaf hashes of transactions, in the block's order.
    pub leaves: Vec<Hash32>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Message {
    /// A vote, proposal or certificate of the current height.
    Consensus(ConsensusMessage),
    /// The block a signed proposal names.
    Block {
        /// The proposal that vouches for it.
        proposal: ConsensusMessage,
        /// Encoded block.
        block: Vec<u8>,
    },
    /// "I have seen a proposal of this block but not the block."
    BlockRequest {
        /// The height it was proposed at.
        height: Height,
        /// Its hash.
        block: BlockHash,
    },
    /// Answer to [`Message::BlockRequest`].
    RequestedBlock {
        /// Encoded block.
        block: Vec<u8>,
    },
    /// Transactions from whoever accepted them first.
    Transactions(Vec<Vec<u8>>),
    /// How far the sender is.
    Status {
        /// Its last committed height.
        height: Height,
        /// The lowest height whose block it still has; 1 unless it pruned.
        lowest: Height,
        /// It does not sign for the time being, because it may have forgotten votes.
        abstains: bool,
    },
    /// Asks for decided blocks from a height on.
    SyncRequest {
        /// The first one wanted.
        from: Height,
    },
    /// Answer: blocks of consecutive heights, as many as fit; none when the sender has none.
    SyncResponse {
        /// The height of the first.
        from: Height,
        /// The blocks.
        blocks: Vec<SyncedBlock>,
    },
    /// "Which state could you hand over?"
    SnapshotRequest,
    /// Answer: the state held still for others; `None` when there is none.
    Snapshot {
        /// The state and the proof that it is the chain's.
        offer: Option<Box<SnapshotOffer>>,
    },
    /// Asks for a piece of an offered state.
    PieceRequest {
        /// The state's height.
        height: Height,
        /// First slot of the piece.
        slot: u64,
    },
    /// Answer: the piece; `None` when that state is not held any more.
    Piece {
        /// The state's height.
        height: Height,
        /// First slot asked for.
        slot: u64,
        /// The piece.
        piece: Option<Box<RangeProof>>,
    },
    /// Asks for the last blocks up to an offered state.
    HistoryRequest {
        /// The state's height.
        height: Height,
        /// Blocks below this height, in descending order.
        before: Height,
        /// Down to this one.
        from: Height,
    },
    /// Answer: as many as fit; none when that state is not held any more.
    History {
        /// The state's height.
        height: Height,
        /// The bound asked for.
        before: Height,
        /// The blocks.
        blocks: Vec<HistoryBlock>,
    },
    /// What the sender's next block begins with, so that others execute it while they wait. It binds nobody.
    Announced(Announcement),
}

impl Message {
    /// The queue it belongs to.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Consensus(_)
            | Self::BlockRequest { .. }
            | Self::Status { .. }
            | Self::SyncRequest { .. }
            | Self::SnapshotRequest
            | Self::PieceRequest { .. }
            | Self::HistoryRequest { .. } => Lane::Consensus,
            Self::Block { .. }
            | Self::RequestedBlock { .. }
            | Self::SyncResponse { .. }
            | Self::Snapshot { .. }
            | Self::Piece { .. }
            | Self::History { .. } => Lane::Blocks,
            Self::Transactions(_) | Self::Announced(_) => Lane::Transactions,
        }
    }

    /// Whether it asks for something that has to be read out.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(
            self,
            Self::BlockRequest { .. }
                | Self::SyncRequest { .. }
                | Self::SnapshotRequest
                | Self::PieceRequest { .. }
                | Self::HistoryRequest { .. }
        )
    }

    /// Version byte and encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![MESSAGE_VERSION];
        bytes.append(&mut encode(self));
        bytes
    }

    /// Decodes a message that came in `lane`.
    ///
    /// # Errors
    /// [`CodecError`] for bytes that are no message of this version, or one that does not belong into the lane.
    pub fn from_bytes(bytes: &[u8], lane: Lane) -> Result<Self, CodecError> {
        let (version, rest): (u8, &[u8]) = decode_prefix("message", bytes)?;
        if version != MESSAGE_VERSION {
            return Err(CodecError::Malformed { what: "message version" });
        }
        let max = match lane {
            Lane::Consensus => SMALL_BYTES_MAX,
            Lane::Blocks => BULK_BYTES_MAX,
            Lane::Transactions => TRANSACTIONS_BYTES_MAX,
        };
        let message: Self = decode("message", rest, max)?;
        if message.lane() == lane { Ok(message) } else { Err(CodecError::Malformed { what: "message lane" }) }
    }
}

/// Decodes a block that came over the network.
///
/// # Errors
/// [`CodecError`].
pub fn decode_block(bytes: &[u8]) -> Result<vouch_types::Block, CodecError> {
    decode("block", bytes, BLOCK_BYTES_MAX)
}

/// Whether a block's transactions are those its header commits to. A block's name covers the header alone, so whoever passes
/// it on could change the rest; that is the fault of the one who sent it, not of the block.
#[must_use]
pub fn holds_its_transactions(block: &vouch_types::Block) -> bool {
    vouch_types::Block::transactions_root(&block.transactions) == block.header.transactions_root
}
