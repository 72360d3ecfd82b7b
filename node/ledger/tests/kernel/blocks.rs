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
