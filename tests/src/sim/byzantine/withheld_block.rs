//! Names its block but shows it to nobody, or to one only.

use vouch_replica::Message;

use super::{Adversary, Out, Scene};

pub struct WithheldBlock;

impl Adversary for WithheldBlock {
    fn outgoing(&mut self, scene: &mut Scene<'_>, to: usize, message: Message) -> Vec<Out> {
        let is_own = scene.own_proposal(&message).is_some();
        match message {
            Message::Block { proposal, block } if is_own => {
                if Some(&to) == scene.peers.first() && scene.replica.ledger().next_height().0.is_multiple_of(2) {
                    vec![Message::Block { proposal, block }.into()]
                } else {
                    vec![Message::Consensus(proposal).into()]
                }
            }
            Message::RequestedBlock { .. } => Vec::new(),
            other => vec![other.into()],
        }
    }
}
