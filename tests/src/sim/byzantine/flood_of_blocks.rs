//! Proposes not one block but dozens for the same round, each valid and signed.

use vouch_replica::Message;
use vouch_types::TimestampMs;

use super::{Adversary, Out, Scene};

/// Blocks per proposal.
const BLOCKS: u64 = 60;

pub struct FloodOfBlocks;

impl Adversary for FloodOfBlocks {
    fn outgoing(&mut self, scene: &mut Scene<'_>, _to: usize, message: Message) -> Vec<Out> {
        let Some(proposal) = scene.own_proposal(&message) else { return vec![message.into()] };
        let Message::Block { block, .. } = &message else { return vec![message.into()] };
        let block: vouch_types::Block = vouch_types::decode("block", block, 1 << 20).unwrap();
        let mut out: Vec<Out> = vec![message.into()];
        for ahead in 1..=BLOCKS {
            let mut other = block.clone();
            other.header.time = TimestampMs(other.header.time.0 + ahead);
            out.push(scene.propose(proposal, &other).into());
        }
        out
    }
}
