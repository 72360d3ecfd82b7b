//! Sends votes of far heights and rounds, proposals out of turn, votes of strangers and bytes without sense.

use vouch_consensus::{ConsensusMessage, SignedProposal, SignedVote};
use vouch_replica::{Lane, Message};
use vouch_types::{BlockHash, Height, Round, Signature, VoteKind};

use super::{Adversary, Out, Scene};

pub struct Spam;

impl Adversary for Spam {
    fn tick(&mut self, scene: &mut Scene<'_>) -> Vec<(usize, Out)> {
        if scene.peers.is_empty() {
            return Vec::new();
        }
        (0..6)
            .map(|_| {
                let to = *scene.rng.pick(scene.peers);
                (to, rubbish(scene))
            })
            .collect()
    }
}

fn rubbish(scene: &mut Scene<'_>) -> Out {
    let next = scene.replica.ledger().next_height().0;
    let height = Height(match scene.rng.below(4) {
        0 => next,
        1 => next + scene.rng.below(12),
        2 => u64::MAX,
        _ => next.saturating_sub(1),
    });
    let round = Round(*scene.rng.pick(&[0, 1, 7, 1000, 1_000_000, u32::MAX]));
    let block = BlockHash(scene.rng.bytes32());
    match scene.rng.below(6) {
        0 => {
            let lane = *scene.rng.pick(&[Lane::Consensus, Lane::Blocks, Lane::Transactions]);
            let len = scene.rng.index(200);
            let bytes = (0..len).map(|_| scene.rng.next() as u8).collect();
            Out { after_ms: 0, lane, bytes }
        }
        1 => {
            let proposal = SignedProposal {
                height,
                round,
                block,
                valid_round: scene.rng.chance(500).then_some(Round(0)),
                proposer: scene.me(),
                signature: Signature([0; 64]),
            };
            Message::Consensus(scene.sign(proposal)).into()
        }
        2 => Message::SyncRequest { from: height }.into(),
        3 => Message::Transactions(vec![scene.rng.bytes32().to_vec(); 20]).into(),
        4 => Message::BlockRequest { height, block }.into(),
        _ => {
            let kind = *scene.rng.pick(&[VoteKind::Prevote, VoteKind::Precommit]);
            let vote =
                SignedVote { kind, height, round, block: None, validator: scene.me(), signature: Signature([1; 64]) };
            if scene.rng.chance(300) {
                Message::Consensus(ConsensusMessage::Vote(vote)).into()
            } else {
                scene.vote_for(vote, Some(block)).into()
            }
        }
    }
}
