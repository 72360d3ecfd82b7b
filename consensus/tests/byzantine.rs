//! One validator lies.

use vouch_consensus::{ConsensusMessage, Driver, DriverConfig, Evidence, Input, SafetyFault, SignedVote, Timeouts};
use vouch_types::{BlockHash, Height, Round, Signature, VoteKind};

use crate::network::{CHAIN, Kind, Network, secret, validator_set};

#[test]
fn an_equivocator_is_proven_and_does_not_split_the_chain() {
    for (validators, seeds) in [(4, 8), (7, 4)] {
        for seed in 0..seeds {
            let mut network = Network::new(300 + seed, validators, 0);
            network.nodes[1].kind = Kind::Equivocator;
            network.faults.delay_ms = (1, 60);
            network.run_to(20, 120_000);
            let liar = network.nodes[1].id;
            let honest = network.nodes.iter().filter(|n| n.kind == Kind::Honest);
            let evidence: Vec<Evidence> = honest.flat_map(|n| n.disk.evidence.clone()).collect();
            assert!(evidence.iter().all(|e| e.validator() == liar), "only the liar is accused");
            assert!(evidence.iter().any(|e| matches!(e, Evidence::Votes(..))), "seed {seed}");
            assert!(evidence.iter().any(|e| matches!(e, Evidence::Proposals(..))), "seed {seed}");
        }
    }
}

#[test]
fn an_equivocator_among_crashes_and_losses() {
    for seed in 0..12 {
        let mut network = Network::new(400 + seed, 4, 1);
        network.nodes[2].kind = Kind::Equivocator;
        network.faults.crash = 4;
        network.faults.loss = 30;
        network.faults.delay_ms = (1, 120);
        network.faults.heal_at_ms = 40_000;
        network.run_to(12, 240_000);
    }
}

fn signed_vote(index: usize, kind: VoteKind, height: u64, round: u32, block: Option<BlockHash>) -> SignedVote {
    let key = secret(index);
    let mut vote = SignedVote {
        kind,
        height: Height(height),
        round: Round(round),
        block,
        validator: key.public().node(),
        signature: Signature([0; 64]),
    };
    vote.signature = key.sign(vote.statement(CHAIN).digest().as_bytes());
    vote
}

#[test]
fn evidence_that_proves_nothing_is_refused() {
    use vouch_consensus::EvidenceError;
    let set = validator_set(0..4);
    let block = Some(BlockHash([1; 32]));
    let vote = |index, kind, height, round, block| signed_vote(index, kind, height, round, block);
    let a = vote(0, VoteKind::Prevote, 5, 0, block);
    let cases = [
        (vote(0, VoteKind::Prevote, 5, 0, None), Ok(())),
        (a, Err(EvidenceError::NoContradiction)),
        (vote(1, VoteKind::Prevote, 5, 0, None), Err(EvidenceError::NotSamePlace)),
        (vote(0, VoteKind::Precommit, 5, 0, None), Err(EvidenceError::NotSamePlace)),
        (vote(0, VoteKind::Prevote, 6, 0, None), Err(EvidenceError::NotSamePlace)),
        (vote(0, VoteKind::Prevote, 5, 1, None), Err(EvidenceError::NotSamePlace)),
        (SignedVote { block: None, ..a }, Err(EvidenceError::Signature)),
    ];
    for (b, expected) in cases {
        assert_eq!(Evidence::Votes(a, b).verify(CHAIN, &set), expected, "{b:?}");
    }
    let stranger = Evidence::Votes(vote(9, VoteKind::Prevote, 5, 0, block), vote(9, VoteKind::Prevote, 5, 0, None));
    assert_eq!(stranger.verify(CHAIN, &set), Err(EvidenceError::UnknownValidator));
    let other_chain = vouch_types::ChainId([1; 32]);
    let good = Evidence::Votes(a, vote(0, VoteKind::Prevote, 5, 0, None));
    assert_eq!(good.verify(other_chain, &set), Err(EvidenceError::Signature));
}

#[test]
fn the_own_key_in_other_hands_stops_the_node() {
    let started = |height| Input::HeightStarted {
        height: Height(height),
        validators: validator_set(0..4),
        log: Default::default(),
        signs: true,
    };
    for height in [1, 2] {
        let config = DriverConfig { chain: CHAIN, secret: Some(secret(0)), timeouts: Timeouts::DEFAULT };
        let mut driver = Driver::new(config);
        driver.step(started(1)).unwrap();
        let mut forged = signed_vote(0, VoteKind::Prevote, height, 0, None);
        forged.signature = Signature([7; 64]);
        driver.step(Input::MessageReceived(ConsensusMessage::Vote(forged))).expect("anyone can forge");
        let stolen = signed_vote(0, VoteKind::Prevote, height, 0, None);
        let fault = driver.step(Input::MessageReceived(ConsensusMessage::Vote(stolen))).unwrap_err();
        assert!(matches!(fault, SafetyFault::KeyInUseElsewhere { .. }), "{fault}");
    }
    let mut driver = Driver::new(DriverConfig { chain: CHAIN, secret: Some(secret(0)), timeouts: Timeouts::DEFAULT });
    driver.step(started(1)).unwrap();
    let SignedVote { validator, kind, block, signature, .. } = signed_vote(0, VoteKind::Precommit, 1, 3, None);
    let certificate = vouch_consensus::RoundCertificate {
        height: Height(1),
        round: Round(3),
        kind: vouch_consensus::RoundCertificateKind::Skip,
        signatures: vec![vouch_consensus::RoundSignature { validator, kind, block, signature }],
    };
    let fault = driver.step(Input::MessageReceived(ConsensusMessage::Round(certificate))).unwrap_err();
    assert!(matches!(fault, SafetyFault::KeyInUseElsewhere { .. }), "{fault}");
}
