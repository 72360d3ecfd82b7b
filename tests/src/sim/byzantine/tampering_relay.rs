//! Passes on what others say, but changed; keeps part of it to itself.

use vouch_consensus::ConsensusMessage;
use vouch_replica::Message;
use vouch_types::BlockHash;

use super::{Adversary, Out, Scene};

pub struct TamperingRelay;

impl Adversary for TamperingRelay {
    fn outgoing(&mut self, scene: &mut Scene<'_>, _to: usize, message: Message) -> Vec<Out> {
        if scene.own_vote(&message).is_some() || scene.own_proposal(&message).is_some() || scene.rng.chance(300) {
            return vec![message.into()];
        }
        match message {
            Message::Consensus(ConsensusMessage::Vote(mut vote)) => {
                vote.block = Some(BlockHash([8; 32]));
                vec![Message::Consensus(ConsensusMessage::Vote(vote)).into()]
            }
            Message::Transactions(mut raw) => {
                for byte in raw.iter_mut().filter_map(|r| r.last_mut()) {
                    *byte ^= 1;
                }
                vec![Message::Transactions(raw).into()]
            }
            _ => Vec::new(),
        }
    }
}
