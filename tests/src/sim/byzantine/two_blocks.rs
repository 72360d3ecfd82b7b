//! Proposes one good block to some and another good one to others, and votes for each where it was sent.

use vouch_replica::Message;
use vouch_types::{Block, BlockHash, TimestampMs};

use super::{Adversary, Out, Scene, is_other_half};

pub struct TwoBlocks;

/// A block that is as good: a millisecond later, or earlier.
fn twin_of(block: &Block) -> Block {
    let mut other = block.clone();
    other.header.time = TimestampMs(block.header.time.0 + 1);
    other
}

impl Adversary for TwoBlocks {
    fn outgoing(&mut self, scene: &mut Scene<'_>, to: usize, message: Message) -> Vec<Out> {
        if !is_other_half(to) {
            return vec![message.into()];
        }
        if let Some(proposal) = scene.own_proposal(&message) {
            let Some(block) = scene.replica.ledger().prepared_block(&proposal.block) else {
                return vec![message.into()];
            };
            return vec![scene.propose(proposal, &twin_of(block)).into()];
        }
        if let Some(vote) = scene.own_vote(&message)
            && let Some(block) = vote.block.and_then(|b| scene.replica.ledger().prepared_block(&b))
        {
            let hash: BlockHash = twin_of(block).header.hash();
            return vec![scene.vote_for(vote, Some(hash)).into()];
        }
        vec![message.into()]
    }
}
