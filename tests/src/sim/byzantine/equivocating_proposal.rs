//! Names one block to some, and one that does not exist to others; sometimes both to the same.

use vouch_replica::Message;
use vouch_types::BlockHash;

use super::{Adversary, Out, Scene, is_other_half};

pub struct EquivocatingProposal;

impl Adversary for EquivocatingProposal {
    fn outgoing(&mut self, scene: &mut Scene<'_>, to: usize, message: Message) -> Vec<Out> {
        let Some(mut other) = scene.own_proposal(&message) else { return vec![message.into()] };
        other.block = BlockHash(super::super::model::bytes::tagged("other", &other.block.0).0);
        let other = Message::Consensus(scene.sign(other));
        match (is_other_half(to), scene.rng.chance(300)) {
            (false, false) => vec![message.into()],
            (true, false) => vec![other.into()],
            (_, true) => vec![message.into(), other.into()],
        }
    }
}
