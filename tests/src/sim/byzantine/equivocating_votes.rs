//! Votes for the block to some and for nothing or something else to others; sometimes both to the same.

use vouch_replica::Message;
use vouch_types::BlockHash;

use super::{Adversary, Out, Scene, is_other_half};

pub struct EquivocatingVotes;

impl Adversary for EquivocatingVotes {
    fn outgoing(&mut self, scene: &mut Scene<'_>, to: usize, message: Message) -> Vec<Out> {
        let Some(vote) = scene.own_vote(&message) else { return vec![message.into()] };
        let other = if vote.block.is_none() || scene.rng.chance(200) {
            Some(BlockHash([vote.round.0 as u8; 32]))
        } else {
            None
        };
        let other = scene.vote_for(vote, other);
        match (is_other_half(to), scene.rng.chance(300)) {
            (false, false) => vec![message.into()],
            (true, false) => vec![other.into()],
            (_, true) => vec![message.into(), other.into()],
        }
    }
}
