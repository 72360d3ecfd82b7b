//! Votes for nothing, always.

use vouch_replica::Message;

use super::{Adversary, Out, Scene};

pub struct NilVoter;

impl Adversary for NilVoter {
    fn outgoing(&mut self, scene: &mut Scene<'_>, _to: usize, message: Message) -> Vec<Out> {
        match scene.own_vote(&message) {
            Some(vote) => vec![scene.vote_for(vote, None).into()],
            None => vec![message.into()],
        }
    }
}
