//! The light client and proof bundles: good ones are accepted, each way to get one wrong is refused under its own code.

use std::collections::BTreeSet;

use vouch_types::{
    ChainId, CommitSignature, Hash32, Height, LightClient, ProofBundle, Round, Signature, ValidatorSet, encode,
    light::{Claim, Fact, SET_CHANGES_MAX},
};

use crate::support::{self, Chain, NO_SET, certify, set};

/// Changes to a bundle, each with the code that must come of it.
type Mutation = (&'static str, fn(&mut ProofBundle));

fn resign(bundle: &mut ProofBundle, set: &ValidatorSet) {
    bundle.finality.certificate = certify(&bundle.finality.header, Round(0), set, set.members().len());
}

fn last_set() -> ValidatorSet {
    set(&[2, 3, 5, 6, 7])
}

/// Faults of the envelope, whatever the claim; the bundle is about height 5 and has two changes of the set.
const ENVELOPE: &[Mutation] = &[
    ("proof.unknown_version", |b| b.version += 1),
    ("proof.wrong_chain", |b| b.genesis.time.0 += 1),
    ("proof.wrong_chain", |b| b.genesis.document.0[0] ^= 1),
    ("proof.wrong_chain", |b| b.genesis.validators_hash = NO_SET),
    ("proof.first_set", |b| b.first_set = set(&[1, 2, 3, 5])),
    ("proof.too_many_set_changes", |b| {
        b.set_changes = vec![b.set_changes[0].clone(); SET_CHANGES_MAX + 1];
    }),
    ("proof.unknown_validators", |b| _ = b.set_changes.remove(0)),
    ("proof.unknown_validators", |b| _ = b.set_changes.pop()),
    ("proof.unknown_validators", |b| b.set_changes.swap(0, 1)),
    ("proof.not_newer", |b| b.set_changes.push(b.set_changes[1].clone())),
    ("proof.next_set", |b| b.set_changes[0].next_set = set(&[1, 2, 3, 6])),
    ("proof.certificate_block", |b| b.set_changes[0].finality.header.next_validators_hash = NO_SET),
    ("proof.next_set_surplus", |b| {
        // A header at which the set stays, handed in as a change.
        let staying = Chain::new().finality[0].clone();
        b.set_changes[0].finality = staying;
    }),
    ("proof.certificate_signature", |b| b.set_changes[1].finality.certificate.signatures[0].signature.0[0] ^= 1),
    ("proof.header_version", |b| b.finality.header.version = 2),
    ("proof.header_chain", |b| b.finality.header.chain = ChainId([1; 32])),
    ("proof.header_height", |b| b.finality.header.height = Height(0)),
    ("proof.certificate_height", |b| b.finality.header.height = Height(6)),
    ("proof.certificate_height", |b| b.finality.certificate.height = Height(4)),
    ("proof.certificate_block", |b| b.finality.certificate.block.0[31] ^= 1),
    ("proof.certificate_block", |b| b.finality.header.time.0 += 1),
    ("proof.certificate_block", |b| b.finality.header.parent.0[0] ^= 1),
    ("proof.certificate_block", |b| b.finality.header.proposer.0[0] ^= 1),
    ("proof.certificate_block", |b| b.finality.header.transactions_root.0[0] ^= 1),
    ("proof.certificate_block", |b| b.finality.header.receipts_root.0[0] ^= 1),
    ("proof.certificate_block", |b| b.finality.header.state_root.0[0] ^= 1),
    ("proof.certificate_block", |b| b.finality.header.validators_hash = NO_SET),
    ("proof.certificate_block", |b| b.finality.header.next_validators_hash = NO_SET),
    ("proof.unknown_validators", |b| {
        // Signed by a set of the forger's own.
        let own = set(&[50, 51, 52]);
        b.finality.header.validators_hash = own.hash();
        resign(b, &own);
    }),
    ("proof.certificate_signature", |b| {
        // The known set's hash, but signed by others.
        resign(b, &set(&[50, 51, 52, 53, 54]));
    }),
    ("proof.certificate_signature", |b| b.finality.certificate.round = Round(1)),
    ("proof.certificate_signature", |b| b.finality.certificate.signatures[3].signature = Signature([0; 64])),
    ("proof.certificate_order", |b| b.finality.certificate.signatures.swap(0, 1)),
    ("proof.certificate_order", |b| {
        b.finality.certificate.signatures[0] = b.finality.certificate.signatures[1];
    }),
    ("proof.certificate_signer", |b| {
        let signature = b.finality.certificate.signatures[0].signature;
        b.finality.certificate.signatures.push(CommitSignature { validator: 5, signature });
    }),
    ("proof.no_quorum", |b| _ = b.finality.certificate.signatures.pop()),
    ("proof.no_quorum", |b| b.finality.certificate.signatures.clear()),
];

const TRANSACTION: &[Mutation] = &[
    ("proof.transaction_path", |b| transaction(b).raw[40] ^= 1),
    ("proof.transaction_path", |b| transaction(b).raw.push(0)),
    ("proof.transaction_path", |b| transaction(b).path.index = 0),
    ("proof.transaction_path", |b| transaction(b).path.index = 200),
    ("proof.transaction_path", |b| transaction(b).path.count += 1),
    ("proof.transaction_path", |b| transaction(b).path.siblings[1].0[5] ^= 1),
    ("proof.transaction_path", |b| _ = transaction(b).path.siblings.pop()),
    ("proof.transaction_path", |b| transaction(b).path.siblings.push(Hash32::ZERO)),
    ("proof.transaction", |b| {
        // A final block with bytes in it that are no transaction: only a faulty quorum could make one.
        let raw = b"junk".to_vec();
        transaction(b).raw = raw.clone();
        transaction(b).path = vouch_types::merkle::path(&[vouch_types::merkle::leaf_hash(&raw)], 0).unwrap();
        b.finality.header.transactions_root = vouch_types::Block::transactions_root(&[raw]);
        resign(b, &last_set());
    }),
];

const RECEIPT: &[Mutation] = &[
    ("proof.receipt_path", |b| receipt(b).receipt.fuel_used.0 += 1),
    ("proof.receipt_path", |b| receipt(b).receipt.tx.0[0] ^= 1),
    ("proof.receipt_path", |b| receipt(b).receipt.height.0 += 1),
    ("proof.receipt_path", |b| receipt(b).path.index = 1),
    ("proof.receipt_path", |b| receipt(b).path.siblings[0].0[5] ^= 1),
    ("proof.receipt_place", |b| {
        // A final block whose receipt speaks of another one.
        receipt(b).receipt.height.0 += 1;
        let leaf = receipt(b).receipt.leaf();
        receipt(b).receipt.index = 0;
        receipt(b).path = vouch_types::merkle::path(&[leaf], 0).unwrap();
        let leaf = receipt(b).receipt.leaf();
        b.finality.header.receipts_root.0 = vouch_types::merkle::root(&[leaf]).0;
        resign(b, &last_set());
    }),
];

const EVENT: &[Mutation] = &[
    ("proof.event_path", |b| event(b).event.data.push(1)),
    ("proof.event_path", |b| event(b).event.name.push('x')),
    ("proof.event_path", |b| event(b).path.index = 0),
    ("proof.event_path", |b| event(b).path.siblings[0].0[0] ^= 1),
    ("proof.receipt_path", |b| event(b).receipt.receipt.events_root.0[0] ^= 1),
    ("proof.receipt_path", |b| event(b).receipt.path.index = 1),
];

const STATE: &[Mutation] = &[
    ("proof.state_root", |b| state(b).key.push(0)),
    ("proof.state_root", |b| state(b).value = None),
    ("proof.state_root", |b| state(b).value = Some(b"x".to_vec())),
    ("proof.state_root", |b| state(b).slot = 1),
    ("proof.state_root", |b| state(b).slots += 1),
    ("proof.state_slot", |b| state(b).slot = 3),
    ("proof.state_siblings", |b| _ = state(b).siblings.pop()),
];

macro_rules! part {
    ($name:ident, $variant:ident, $type:ty) => {
        fn $name(bundle: &mut ProofBundle) -> &mut $type {
            match &mut bundle.claim {
                Claim::$variant(proof) => proof,
                other => panic!("another kind of claim: {other:?}"),
            }
        }
    };
}

part!(transaction, Transaction, vouch_types::light::TransactionProof);
part!(receipt, Receipt, vouch_types::light::ReceiptProof);
part!(event, Event, vouch_types::light::EventProof);
part!(state, State, vouch_types::StateProof);

#[test]
fn claims_of_every_kind_at_every_height_are_proved() {
    let chain = Chain::new();
    for height in 1..=5 {
        for claim in chain.claims(height) {
            let bundle = chain.bundle(height, claim);
            let verified = bundle.verify(chain.id()).unwrap();
            assert_eq!((verified.chain, verified.height), (chain.id(), Height(height)));
            assert_eq!(verified.block, chain.blocks[height as usize - 1].header.hash());
            match verified.fact {
                Fact::Transaction { transaction, index } => {
                    assert_eq!(transaction.raw(), chain.blocks[height as usize - 1].transactions[1]);
                    assert_eq!(index, 1);
                }
                Fact::Receipt(receipt) => assert_eq!(receipt, chain.receipts[height as usize - 1][2]),
                Fact::Event { event, index, receipt } => {
                    assert_eq!((event, index), (support::event(1), 1));
                    assert_eq!(receipt, chain.receipts[height as usize - 1][0]);
                }
                Fact::State { key, value } => assert_eq!((key, value), (b"c".to_vec(), Some(Vec::new()))),
            }
        }
    }
}

#[test]
fn every_fault_has_its_code() {
    let chain = Chain::new();
    let mut seen = BTreeSet::new();
    for (claim, mutations) in chain.claims(5).into_iter().zip([TRANSACTION, RECEIPT, EVENT, STATE]) {
        for (n, (code, change)) in ENVELOPE.iter().chain(mutations).enumerate() {
            let mut bundle = chain.bundle(5, claim.clone());
            change(&mut bundle);
            let error = bundle.verify(chain.id()).expect_err("a changed bundle must be refused");
            assert_eq!(error.code(), *code, "mutation {n}: {error}");
            seen.insert(*code);
        }
    }
    // The rest cannot be had by changing a decoded bundle; other tests below have them.
    seen.extend(["proof.malformed", "proof.too_large", "proof.json", "proof.invalid_set", "proof.next_set_missing"]);
    let written = include_str!("../../src/light/error.rs").matches("\"proof.").count();
    assert_eq!(seen.len(), written, "every code of ProofError is reached: {seen:?}");
}

#[test]
fn another_chain_is_refused() {
    let chain = Chain::new();
    let [claim, ..] = chain.claims(1);
    let error = chain.bundle(1, claim).verify(ChainId([7; 32])).unwrap_err();
    assert_eq!(error.code(), "proof.wrong_chain");
}

#[test]
fn bundles_survive_bytes_and_json() {
    let chain = Chain::new();
    for claim in chain.claims(5) {
        let bundle = chain.bundle(5, claim);
        assert_eq!(ProofBundle::from_bytes(&bundle.to_bytes()).unwrap(), bundle);
        assert_eq!(ProofBundle::from_json(&bundle.to_json()).unwrap(), bundle);
    }
}

#[test]
fn what_is_not_a_bundle_is_refused() {
    let chain = Chain::new();
    let [claim, ..] = chain.claims(5);
    let bundle = chain.bundle(5, claim);
    let bytes = bundle.to_bytes();
    for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(ProofBundle::from_bytes(&bytes[..cut]).unwrap_err().code(), "proof.malformed");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(ProofBundle::from_bytes(&longer).unwrap_err().code(), "proof.malformed");
    let long = vec![0; vouch_types::light::PROOF_BYTES_MAX + 1];
    assert_eq!(ProofBundle::from_bytes(&long).unwrap_err().code(), "proof.too_large");
    for text in ["", "{}", "[]", "{\"version\":1}"] {
        assert_eq!(ProofBundle::from_json(text).unwrap_err().code(), "proof.json");
    }
    let text = bundle.to_json().replacen("\"version\"", "\"extra\": 0, \"version\"", 1);
    assert_eq!(ProofBundle::from_json(&text).unwrap_err().code(), "proof.json");
}

#[test]
fn a_decoded_set_that_is_none_is_refused() {
    let chain = Chain::new();
    let [claim, ..] = chain.claims(5);
    let mut value: serde_json::Value = serde_json::from_str(&chain.bundle(5, claim).to_json()).unwrap();
    value["first_set"]["validators"].as_array_mut().unwrap().reverse();
    let bundle = ProofBundle::from_json(&value.to_string()).unwrap();
    assert_eq!(bundle.verify(chain.id()).unwrap_err().code(), "proof.invalid_set");
}

#[test]
fn a_client_follows_changes_and_judges_the_past() {
    let chain = Chain::new();
    let mut client = LightClient::from_genesis(chain.id(), &chain.genesis, chain.sets[0].clone()).unwrap();
    assert_eq!(client.advance(&chain.finality[1], None).unwrap_err().code(), "proof.next_set_missing");
    assert_eq!(client.advance(&chain.finality[3], None).unwrap_err().code(), "proof.unknown_validators");
    let wrong = set(&[1, 2, 3]);
    assert_eq!(client.advance(&chain.finality[1], Some(wrong)).unwrap_err().code(), "proof.next_set");
    assert!(client.head().is_none(), "a refused header changes nothing");
    // Height 1 is left out: the set stayed the same.
    client.advance(&chain.finality[1], Some(chain.sets[2].clone())).unwrap();
    assert_eq!(client.advance(&chain.finality[0], None).unwrap_err().code(), "proof.not_newer");
    client.advance(&chain.finality[2], Some(chain.sets[3].clone())).unwrap();
    let surplus = client.advance(&chain.finality[4], Some(chain.sets[4].clone()));
    assert_eq!(surplus.unwrap_err().code(), "proof.next_set_surplus");
    client.advance(&chain.finality[4], None).unwrap();
    assert_eq!(client.head().unwrap().height, Height(5));
    for (proof, set) in chain.finality.iter().zip(&chain.sets) {
        client.verify_at(proof).unwrap();
        assert_eq!(client.set_at(proof.header.height), Some(set));
    }
    assert_eq!(client.set_at(Height(0)), None);
}

#[test]
fn a_set_that_was_replaced_cannot_sign_later_headers() {
    let chain = Chain::new();
    let mut client = LightClient::from_genesis(chain.id(), &chain.genesis, chain.sets[0].clone()).unwrap();
    client.advance(&chain.finality[1], Some(chain.sets[2].clone())).unwrap();
    let mut forged = chain.finality[2].clone();
    forged.header.validators_hash = chain.sets[0].hash();
    forged.header.next_validators_hash = chain.sets[0].hash();
    forged.certificate = certify(&forged.header, Round(0), &chain.sets[0], 4);
    assert_eq!(client.advance(&forged, None).unwrap_err().code(), "proof.unknown_validators");
}

#[test]
fn every_changed_byte_of_an_encoding_is_refused() {
    let chain = Chain::new();
    for claim in chain.claims(3) {
        let bundle = chain.bundle(3, claim);
        let bytes = encode(&bundle);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x01;
            if let Ok(changed) = ProofBundle::from_bytes(&changed) {
                assert!(changed.verify(chain.id()).is_err(), "byte {at}");
            }
        }
    }
}
