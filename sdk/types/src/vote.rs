//! What validators sign. Every statement binds the chain, so a vote of one chain is noise on another.

use wincode::{SchemaRead, SchemaWrite};

use crate::{
    codec::encode,
    hash::{BlockHash, ChainId, Hash32, domain_hash},
    numbers::{Height, Round},
};

/// The two voting steps of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub enum VoteKind {
    /// "I would accept this block."
    Prevote,
    /// "More than two thirds would: I commit to it."
    Precommit,
}

/// What a prevote or precommit says.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct VoteStatement {
    /// The chain.
    pub chain: ChainId,
    /// The step.
    pub kind: VoteKind,
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The block, or nothing ("nil").
    pub block: Option<BlockHash>,
}

impl VoteStatement {
    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        domain_hash("vouch/vote/1", &[&encode(self)])
    }
}

/// What a proposer says about its block.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ProposalStatement {
    /// The chain.
    pub chain: ChainId,
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The block proposed.
    pub block: BlockHash,
    /// The earlier round in which more than two thirds prevoted it, if it is proposed again.
    pub valid_round: Option<Round>,
}

impl ProposalStatement {
    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        domain_hash("vouch/proposal/1", &[&encode(self)])
    }
}
