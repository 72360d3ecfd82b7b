//! What bounds a block beside its bytes.

use vouch_genesis::{ChainParams, GenesisContract};
use vouch_ledger::{
    BlockError,
    executor::{RESULT_BYTES_MAX, Unfit},
    storage::Batch,
};
use vouch_types::{Block, Call, CommitCertificate, ContractName, Round, TimestampMs, encode};

use crate::network::{Network, key, secret};

/// Answers with 64 KiB.
const TALKATIVE: &str = r#"(module
    (import "vouch" "output" (func $output (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "vouch_call") (param $len i32) (call $output (i32.const 0) (i32.const 65536)))
    (@custom "vouch-abi" "{\"abi\":1,\"name\":\"talk\",\"version\":\"1\",\"methods\":[{\"name\":\"say\",\"kind\":\"call\",\"result\":\"bytes\"}]}"))"#;

#[test]
fn a_blocks_results_are_bounded_and_can_be_read_back() {
    let name = ContractName::new("talk").unwrap();
    let contract = GenesisContract { name: name.clone(), code: wat::parse_str(TALKATIVE).unwrap() };
    let mut network = Network::with(ChainParams::default(), vec![contract]);
    let call = Call { contract: name, method: "say".into(), arguments: Vec::new() };
    let waiting: Vec<_> = (0..300).map(|_| network.pooled(&[secret(2, 0)], vec![call.clone()])).collect();
    let time = TimestampMs(network.time + 1);
    let (hash, block) = network.ledger.propose(waiting.iter(), time, key(3, 0).node()).unwrap();
    let count = block.transactions.len();
    assert!(count > 200 && count < 256, "{count} answers of 64 KiB");

    // One more, and no validator votes for it.
    let mut larger = block.clone();
    larger.transactions.push(waiting[count].tx.raw().to_vec());
    larger.header.transactions_root = Block::transactions_root(&larger.transactions);
    let refused = network.ledger.validate(&larger, None, &[0; 32], &|_| None).unwrap().unwrap_err();
    assert!(
        matches!(refused, BlockError::Transaction { index, reason: Unfit::BlockFull } if index == count),
        "{refused}"
    );

    let height = block.header.height;
    let certificate = CommitCertificate { height, round: Round(0), block: hash, signatures: Vec::new() };
    network.ledger.commit(hash, certificate, Batch::new()).unwrap();
    let records = network.ledger.reader().block(height).unwrap().unwrap().records;
    assert!(encode(&records).len() <= RESULT_BYTES_MAX + 8);
    assert_eq!(records.len(), count);
    assert!(records.iter().all(|record| record.output.len() == 65_536));
}

#[test]
fn a_block_built_in_lots_is_the_one_built_at_once() {
    let name = ContractName::new("talk").unwrap();
    let contract = GenesisContract { name: name.clone(), code: wat::parse_str(TALKATIVE).unwrap() };
    let params = ChainParams { block_transactions_max: 16, ..ChainParams::default() };
    let mut network = Network::with(params, vec![contract]);
    let call = Call { contract: name, method: "say".into(), arguments: Vec::new() };
    let waiting: Vec<_> = (0..20).map(|_| network.pooled(&[secret(2, 0)], vec![call.clone()])).collect();
    let (time, later) = (TimestampMs(network.time + 1), TimestampMs(network.time + 9));
    let proposer = key(3, 0).node();
    let (at_once, block) = network.ledger.propose(waiting.iter(), time, proposer).unwrap();
    assert_eq!(block.transactions.len(), 16);
    assert_eq!(network.ledger.built(), None);

    let head = network.ledger.head().hash;
    network.ledger.build(&head, waiting[..7].iter(), time).unwrap();
    network.ledger.build(&head, waiting[..9].iter(), later).unwrap();
    let built = network.ledger.built_next().unwrap();
    assert_eq!((built.count, built.time), (9, time), "each once, at the time at which it began");
    let (in_lots, _) = network.ledger.propose(waiting[9..].iter(), later, proposer).unwrap();
    assert_eq!(in_lots, at_once);

    // Whoever judges it goes on from what it has run of it, and runs anew what begins otherwise or has another time.
    for (run, at, is_used) in [(0..9, time, true), (0..16, time, true), (1..9, time, false), (0..9, later, false)] {
        network.ledger.forget_prepared();
        network.ledger.build(&head, waiting[run].iter(), at).unwrap();
        assert_eq!(network.ledger.validate(&block, None, &[0; 32], &|_| None).unwrap(), Ok(at_once));
        assert_eq!(network.ledger.built().is_none(), is_used);
    }

    // What was built on another head, or is given up, is in no block.
    network.ledger.forget_built();
    network.ledger.build(&head, waiting[16..].iter(), later).unwrap();
    let height = block.header.height;
    let certificate = CommitCertificate { height, round: Round(0), block: at_once, signatures: Vec::new() };
    network.ledger.commit(at_once, certificate, Batch::new()).unwrap();
    assert_eq!(network.ledger.built(), None);
    network.ledger.build(&at_once, waiting[16..18].iter(), later).unwrap();
    network.ledger.forget_built();
    let (_, next) = network.ledger.propose(waiting[..17].iter(), later, proposer).unwrap();
    assert_eq!(next.transactions, [waiting[16].tx.raw()]);
}

#[test]
fn a_block_is_begun_on_one_that_is_not_final() {
    let name = ContractName::new("talk").unwrap();
    let contract = GenesisContract { name: name.clone(), code: wat::parse_str(TALKATIVE).unwrap() };
    let call = Call { contract: name, method: "say".into(), arguments: Vec::new() };
    let proposer = key(3, 0).node();
    for is_decided in [true, false] {
        let mut network = Network::with(ChainParams::default(), vec![contract.clone()]);
        let waiting: Vec<_> = (0..9).map(|_| network.pooled(&[secret(2, 0)], vec![call.clone()])).collect();
        let times = [1, 2, 3].map(|later| TimestampMs(network.time + later));
        let (first, block) = network.ledger.propose(waiting[..4].iter(), times[0], proposer).unwrap();
        let (other, _) = network.ledger.propose(waiting[..5].iter(), times[1], proposer).unwrap();

        // What the block holds does not stand in the one after it, which is not the one that is proposed next.
        network.ledger.build(&first, waiting[2..6].iter(), times[0]).unwrap();
        let built = network.ledger.built().unwrap();
        assert_eq!((built.parent, built.count, built.time), (first, 2, times[1]), "later than the one before");
        assert_eq!(Some(built.height), block.header.height.next());
        assert_eq!(network.ledger.built_next(), None);
        let (again, _) = network.ledger.propose(waiting[..4].iter(), times[0], proposer).unwrap();
        assert_eq!((again, network.ledger.built()), (first, Some(built)));

        let decided = if is_decided { first } else { other };
        let height = block.header.height;
        let certificate = CommitCertificate { height, round: Round(0), block: decided, signatures: Vec::new() };
        network.ledger.commit(decided, certificate, Batch::new()).unwrap();
        assert_eq!(network.ledger.built_next(), is_decided.then_some(built));
        let (hash, next) = network.ledger.propose(waiting[5..].iter(), times[1], proposer).unwrap();
        network.ledger.forget_prepared();
        assert_eq!(network.ledger.validate(&next, None, &[0; 32], &|_| None).unwrap(), Ok(hash));
        assert_eq!(next.transactions.len(), if is_decided { 5 } else { 4 });
        network.ledger.build(&vouch_types::BlockHash([9; 32]), waiting[5..].iter(), times[2]).unwrap();
        assert_eq!(network.ledger.built(), None, "on top of nothing that is known");
    }
}
