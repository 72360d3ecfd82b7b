//! Sends its proposals when the others are about to give up, or have.

use vouch_replica::Message;

use super::{Adversary, Out, Scene};

pub struct LateProposer;

impl Adversary for LateProposer {
    fn outgoing(&mut self, scene: &mut Scene<'_>, _to: usize, message: Message) -> Vec<Out> {
        if scene.own_proposal(&message).is_none() {
            return vec![message.into()];
        }
        let wait = u64::from(scene.replica.ledger().registry().params.timeout_propose_ms);
        let after = scene.rng.range(wait / 2, wait * 2);
        vec![Out::from(message).late(after)]
    }
}
