//! Proposes blocks that break a rule each.

use vouch_replica::Message;
use vouch_types::{Block, BlockHash, ReceiptsRoot, StateRoot, TimestampMs, ValidatorsHash};

use super::{Adversary, Out, Scene};

pub struct InvalidBlock;

impl Adversary for InvalidBlock {
    fn outgoing(&mut self, scene: &mut Scene<'_>, _to: usize, message: Message) -> Vec<Out> {
        let Some(proposal) = scene.own_proposal(&message) else { return vec![message.into()] };
        let Message::Block { block, .. } = &message else { return Vec::new() };
        let mut block: Block = vouch_types::decode("block", block, 1 << 20).unwrap();
        let what = (proposal.height.0 + u64::from(proposal.round.0)) % 11;
        break_rule(&mut block, what);
        vec![scene.propose(proposal, &block).into()]
    }
}

fn break_rule(block: &mut Block, what: u64) {
    let header = &mut block.header;
    match what {
        0 => header.state_root = StateRoot([1; 32]),
        1 => header.receipts_root = ReceiptsRoot([2; 32]),
        2 => header.parent = BlockHash([3; 32]),
        3 => header.time = TimestampMs(1),
        4 => header.time = TimestampMs(header.time.0 + 3_600_000),
        5 => header.next_validators_hash = ValidatorsHash([4; 32]),
        6 => header.height.0 += 1,
        7 => header.version = 2,
        8 => block.transactions.push(vec![5; 70 << 10]),
        9 => block.transactions.push(vec![6; 100]),
        _ => {
            if let Some(first) = block.transactions.first().cloned() {
                block.transactions.push(first);
            } else {
                header.state_root = StateRoot([7; 32]);
            }
        }
    }
    block.header.transactions_root = Block::transactions_root(&block.transactions);
}
