//! Every format as vectors: the values, their bytes and their hashes.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};
use vouch_types::{
    Abi, Block, BlockHash, ChainId, Event, Failure, Fuel, Hash32, Header, Height, Outcome, ProofBundle,
    ProposalStatement, PublicKey, Receipt, Round, StateProof, TimestampMs, Transaction, UnverifiedTransaction,
    VoteKind, VoteStatement,
    api::caller::{Authority, SignedRequest},
    decode, encode,
    hash::domain_hash,
    merkle,
    receipt::{events_root, output_hash},
};

use crate::{
    golden,
    support::{Chain, event, secret, set, state_proof, transaction},
};

/// Bytes of a value, after checking that they decode to it.
macro_rules! bytes_of {
    ($type:ty, $value:expr) => {{
        let bytes = encode($value);
        assert_eq!(&decode::<$type>("vector", &bytes, bytes.len()).unwrap(), $value);
        hex::encode(bytes)
    }};
}

#[test]
fn domain_hashes() {
    let cases: [(&str, &[&[u8]]); 5] = [
        ("vouch/test/1", &[]),
        ("vouch/test/1", &[b""]),
        ("vouch/test/1", &[b"abc"]),
        ("vouch/test/1", &[b"a", b"bc"]),
        ("vouch/test/2", &[b"abc"]),
    ];
    let cases: Vec<Value> = cases
        .iter()
        .map(|(tag, parts)| {
            let hexes: Vec<String> = parts.iter().map(hex::encode).collect();
            json!({"tag": tag, "parts": hexes, "hash": domain_hash(tag, parts)})
        })
        .collect();
    golden::check("domain_hash.json", &json!({"about": "BLAKE3(tag, zero byte, parts).", "cases": cases}));
}

#[test]
fn ids() {
    let cases: Vec<Value> = (0..4)
        .map(|n| {
            let key = secret(n).public();
            assert_eq!(key.to_string().parse::<PublicKey>().unwrap(), key);
            json!({
                "seed": hex::encode(secret(n).seed()), "key": key, "bytes": bytes_of!(PublicKey, &key),
                "account": key.account(), "node": key.node(), "signature_of_abc": secret(n).sign(b"abc"),
            })
        })
        .collect();
    golden::check("ids.json", &json!({"about": "Names that follow from a key.", "cases": cases}));
}

#[test]
fn merkle_trees() {
    let cases: Vec<Value> = (0..=9usize)
        .map(|count| {
            let leaves: Vec<Hash32> = (0..count).map(|n| merkle::leaf_hash(&vec![n as u8; n])).collect();
            let paths: Vec<_> = (0..count).map(|n| merkle::path(&leaves, n).unwrap()).collect();
            json!({"leaves": leaves, "root": merkle::root(&leaves), "paths": paths})
        })
        .collect();
    let about = "Leaf n of each tree is the hash of n bytes n.";
    golden::check("merkle.json", &json!({"about": about, "cases": cases}));
}

fn transaction_json(tx: &Transaction, chain: ChainId) -> Value {
    let raw = encode(tx);
    let unverified = UnverifiedTransaction::decode(raw.clone(), chain).unwrap();
    assert_eq!(unverified.id(), tx.body.id());
    assert_eq!(unverified.verify().unwrap().raw(), raw);
    let calls: Vec<Value> = tx
        .body
        .calls
        .iter()
        .map(|c| json!({"contract": c.contract, "method": c.method, "arguments": hex::encode(&c.arguments)}))
        .collect();
    let signatures: Vec<Value> =
        tx.signatures.iter().map(|s| json!({"key": s.key, "signature": s.signature})).collect();
    json!({
        "version": tx.body.version, "chain": tx.body.chain, "expiry": tx.body.expiry, "salt": hex::encode(tx.body.salt),
        "calls": calls, "signatures": signatures, "bytes": bytes_of!(Transaction, tx), "id": tx.body.id(),
        "digest": tx.body.digest(),
    })
}

#[test]
fn transactions() {
    let chain = Chain::new().id();
    let mut two_calls = transaction(chain, 2).body;
    two_calls.calls.push(two_calls.calls[0].clone());
    two_calls.calls[1].arguments.clear();
    two_calls.expiry = Height(u64::MAX);
    let cases =
        [transaction_json(&transaction(chain, 1), chain), transaction_json(&two_calls.sign(&[&secret(9)]), chain)];
    let about = "Signed over the digest; seeds of the keys are 32 bytes 100, 101 and 9.";
    golden::check("transaction.json", &json!({"about": about, "cases": cases}));
}

#[test]
fn headers_and_blocks() {
    let chain = Chain::new();
    let blocks: Vec<Value> = chain.blocks[..2]
        .iter()
        .map(|block| {
            let header = &block.header;
            json!({
                "header": header, "header_bytes": bytes_of!(Header, header), "hash": header.hash(),
                "block_bytes": bytes_of!(Block, block),
            })
        })
        .collect();
    let genesis = json!({
        "header": chain.genesis, "bytes": bytes_of!(vouch_types::GenesisHeader, &chain.genesis), "chain": chain.id(),
    });
    golden::check("block.json", &json!({"genesis": genesis, "blocks": blocks}));
}

#[test]
fn votes_and_proposals() {
    let chain = Chain::new();
    let block = chain.blocks[0].header.hash();
    let key = secret(1);
    let mut votes = Vec::new();
    for (name, kind) in [("prevote", VoteKind::Prevote), ("precommit", VoteKind::Precommit)] {
        for block in [None, Some(block)] {
            let vote = VoteStatement { chain: chain.id(), kind, height: Height(7), round: Round(2), block };
            votes.push(json!({
                "kind": name, "chain": chain.id(), "height": 7, "round": 2, "block": block,
                "bytes": bytes_of!(VoteStatement, &vote), "digest": vote.digest(),
                "signature": key.sign(vote.digest().as_bytes()),
            }));
        }
    }
    let proposals: Vec<Value> = [None, Some(Round(1))]
        .into_iter()
        .map(|valid_round| {
            let (height, round) = (Height(7), Round(2));
            let proposal = ProposalStatement { chain: chain.id(), height, round, block, valid_round };
            json!({
                "chain": chain.id(), "height": 7, "round": 2, "block": block, "valid_round": valid_round,
                "bytes": bytes_of!(ProposalStatement, &proposal), "digest": proposal.digest(),
                "signature": key.sign(proposal.digest().as_bytes()),
            })
        })
        .collect();
    let about = "Signed over the digest by the key whose seed is 32 bytes 1.";
    golden::check("vote.json", &json!({"about": about, "votes": votes, "proposals": proposals}));
}

#[test]
fn certificates() {
    let chain = Chain::new();
    let cases: Vec<Value> = [0, 4]
        .into_iter()
        .map(|n: usize| {
            let (certificate, set) = (&chain.finality[n].certificate, &chain.sets[n]);
            certificate.verify(chain.id(), set).unwrap();
            json!({
                "certificate": certificate, "bytes": bytes_of!(vouch_types::CommitCertificate, certificate),
                "signed_digest": certificate.statement(chain.id()).digest(), "set": set,
                "set_bytes": bytes_of!(vouch_types::ValidatorSet, set), "set_hash": set.hash(),
                "proposers": (0..6).map(|r| set.proposer(Height(7), Round(r)).key).collect::<Vec<_>>(),
            })
        })
        .collect();
    golden::check(
        "certificate.json",
        &json!({
            "about": "proposers: of height 7, rounds 0 to 5.", "chain": chain.id(), "cases": cases,
        }),
    );
}

#[test]
fn receipts_and_events() {
    let success = Chain::new().receipts[1][2].clone();
    let Receipt { tx, height, index, .. } = success;
    let failure = Failure { call: 3, code: "contract.out_of_fuel".into(), message: "燃料不足".into() };
    let failed = Receipt {
        tx,
        height,
        index,
        outcome: Outcome::Failed(failure),
        fuel_used: Fuel(u64::MAX),
        output_hash: output_hash(&[]),
        events_root: events_root(&[]),
    };
    let receipts = [success, failed].map(|r| json!({"receipt": r, "bytes": bytes_of!(Receipt, &r), "leaf": r.leaf()}));
    let events: Vec<Event> = (0..3).map(event).collect();
    let shown: Vec<Value> = events.iter().map(|e| json!({"event": e, "bytes": bytes_of!(Event, e)})).collect();
    let roots: Vec<_> = (0..=3).map(|n| events_root(&events[..n])).collect();
    golden::check(
        "receipt.json",
        &json!({
            "about": "events_roots: over the first 0 to 3 events.",
            "receipts": receipts, "events": shown, "events_roots": roots,
        }),
    );
}

#[test]
fn state_trees() {
    let cases: Vec<Value> = (0..3)
        .map(|slot| {
            let (proof, root) = state_proof(slot);
            proof.verify(&root).unwrap();
            json!({"proof": proof, "bytes": bytes_of!(StateProof, &proof), "root": root})
        })
        .collect();
    golden::check("state.json", &json!({"about": "Three slots, the second deleted.", "cases": cases}));
}

#[test]
fn proof_bundles() {
    let chain = Chain::new();
    let accepted: Vec<Value> = chain
        .claims(5)
        .into_iter()
        .map(|claim| {
            let bundle = chain.bundle(5, claim);
            bundle.verify(chain.id()).unwrap();
            json!({"bundle": bundle, "bytes": bytes_of!(ProofBundle, &bundle), "block": bundle.finality.certificate.block})
        })
        .collect();
    let faults: [fn(&mut ProofBundle); 6] = [
        |b| b.genesis.time.0 += 1,
        |b| b.first_set = set(&[1, 2, 3]),
        |b| b.set_changes.clear(),
        |b| b.finality.header.state_root.0[0] ^= 1,
        |b| b.finality.certificate.signatures.truncate(3),
        |b| b.finality.certificate.block = BlockHash([0; 32]),
    ];
    let refused: Vec<Value> = faults
        .iter()
        .map(|fault| {
            let mut bundle = chain.bundle(5, chain.transaction_claim(5, 0));
            fault(&mut bundle);
            json!({"code": bundle.verify(chain.id()).unwrap_err().code(), "bytes": hex::encode(bundle.to_bytes())})
        })
        .collect();
    golden::check("proof_bundle.json", &json!({"chain": chain.id(), "accepted": accepted, "refused": refused}));
}

#[test]
fn abi_values() {
    let text = json!({
        "abi": 1, "name": "orders", "version": "1.0.0", "title": {"en": "Orders", "zh": "订单"},
        "methods": [{"name": "place", "kind": "call", "arguments": [
            {"name": "flag", "type": "bool"}, {"name": "small", "type": "u8"}, {"name": "medium", "type": "u16"},
            {"name": "count", "type": "u32"}, {"name": "amount", "type": "u64"}, {"name": "change", "type": "i64"},
            {"name": "note", "type": {"option": "string"}}, {"name": "blob", "type": "bytes"},
            {"name": "digest", "type": "hash"}, {"name": "buyer", "type": "account"}, {"name": "key", "type": "key"},
            {"name": "states", "type": {"list": {"named": "State"}}}]}],
        "types": {"State": {"enum": [{"name": "Open"}, {"name": "Closed", "fields": [
            {"name": "reason", "type": "string"}, {"name": "at", "type": "u64"}]}]}},
    });
    let abi = Abi::from_json(&text.to_string()).unwrap();
    let key = secret(1).public();
    let value = |amount: Value, change: Value, note: Value, states: Value| {
        json!({
            "flag": true, "small": 255, "medium": 65535, "count": 7, "amount": amount, "change": change, "note": note,
            "blob": "00ff", "digest": "ab".repeat(32), "buyer": key.account(), "key": key, "states": states,
        })
    };
    let cases: Vec<Value> = [
        value(json!(1), json!(-1), json!("米"), json!([])),
        value(json!(9_007_199_254_740_991u64), json!("-9223372036854775808"), Value::Null, json!(["Open"])),
        value(
            json!("18446744073709551615"),
            json!(0),
            json!(""),
            json!([{"Closed": {"reason": "x", "at": 3}}, "Open"]),
        ),
    ]
    .into_iter()
    .map(|value| {
        let bytes = abi.encode_arguments("place", &value).unwrap();
        assert_eq!(abi.decode_arguments("place", &bytes).unwrap(), value);
        json!({"arguments": value, "bytes": hex::encode(bytes)})
    })
    .collect();
    golden::check("abi.json", &json!({"abi": text, "method": "place", "cases": cases}));
}

#[test]
fn signed_requests() {
    let cases: [(&str, &str, &str, u64, &[u8]); 3] = [
        ("node1.example:7480", "GET", "/api/v1/account", 0, b""),
        (
            "127.0.0.1:7550",
            "PATCH",
            "/api/v1/documents/00/versions/1/uploads/4/0?offset=7",
            1_764_150_000_000,
            b"\0\xff",
        ),
        ("[2001:db8::7]:443", "POST", "/api/v1/documents/00/versions/1/read", u64::MAX, br#"{"purpose":"own"}"#),
    ];
    let chain = ChainId([3; 32]);
    let cases: Vec<Value> = cases
        .into_iter()
        .zip(1u8..)
        .map(|((node, method, target, time, body), n)| {
            let node: Authority = node.parse().unwrap();
            let (time, nonce) = (TimestampMs(time), [n; 16]);
            let hash = SignedRequest::body_hash(body);
            let signed = SignedRequest { chain, node: &node, method, target, time, nonce, body: hash };
            let headers: serde_json::Map<String, Value> =
                signed.headers(&secret(n)).into_iter().map(|(name, value)| (name.into(), value.into())).collect();
            json!({
                "chain": chain, "method": method, "target": target, "body": hex::encode(body),
                "digest": signed.digest(), "seed": hex::encode(secret(n).seed()), "headers": headers,
            })
        })
        .collect();
    golden::check(
        "request.json",
        &json!({"about": "What is signed of a request, and the headers that say so.", "cases": cases}),
    );
}

/// Text of every Rust source below a folder, generated files aside.
fn sources(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_vector_is_read_by_some_test() {
    let mut text = String::new();
    for room in ["sdk", "genesis", "consensus", "contracts", "node", "tests"] {
        sources(&golden::folder().join("../..").join(room), &mut text);
    }
    let files: BTreeSet<String> = std::fs::read_dir(golden::folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(files.len() >= 12, "the vectors are there: {files:?}");
    let unread: Vec<&String> = files.iter().filter(|name| !text.contains(&format!("{name}\""))).collect();
    assert!(unread.is_empty(), "no test reads {unread:?}");
}
