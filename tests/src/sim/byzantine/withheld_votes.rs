//! Votes towards some only, or not at all.

use vouch_replica::Message;

use super::{Adversary, Out, Scene};

pub struct WithheldVotes;

impl Adversary for WithheldVotes {
    fn outgoing(&mut self, scene: &mut Scene<'_>, to: usize, message: Message) -> Vec<Out> {
        match scene.own_vote(&message) {
            Some(vote) if vote.height.0.is_multiple_of(3) || (to + vote.height.0 as usize).is_multiple_of(2) => {
                Vec::new()
            }
            _ => vec![message.into()],
        }
    }
}
