//! One validator lies.

use vouch_consensus::{
    ConsensusMessage, Driver, DriverConfig, Effect, Evidence, Input, SafetyFault, SignedProposal, SignedVote, Timeouts,
};
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
        timeouts: Timeouts::DEFAULT,
        log: Default::default(),
        signs: true,
    };
    for height in [1, 2] {
        let config = DriverConfig { chain: CHAIN, secret: Some(secret(0)) };
        let mut driver = Driver::new(config);
        driver.step(started(1)).unwrap();
        let mut forged = signed_vote(0, VoteKind::Prevote, height, 0, None);
        forged.signature = Signature([7; 64]);
        driver.step(Input::MessageReceived(ConsensusMessage::Vote(forged))).expect("anyone can forge");
        let stolen = signed_vote(0, VoteKind::Prevote, height, 0, None);
        let fault = driver.step(Input::MessageReceived(ConsensusMessage::Vote(stolen))).unwrap_err();
        assert!(matches!(fault, SafetyFault::KeyInUseElsewhere { .. }), "{fault}");
    }
    let mut driver = Driver::new(DriverConfig { chain: CHAIN, secret: Some(secret(0)) });
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

/// Who proposes among four.
fn proposer_of(round: u32) -> usize {
    let key = validator_set(0..4).proposer(Height(1), Round(round)).key;
    (0..4).find(|index| secret(*index).public() == key).unwrap()
}

/// Rounds in which a node proposes.
fn rounds_of(index: usize) -> impl Iterator<Item = u32> {
    (0..100_000).filter(move |round| proposer_of(*round) == index)
}

fn proposal(round: u32, block: u8) -> SignedProposal {
    let key = secret(proposer_of(round));
    let mut proposal = SignedProposal {
        height: Height(1),
        round: Round(round),
        block: BlockHash([block; 32]),
        valid_round: None,
        proposer: key.public().node(),
        signature: Signature([0; 64]),
    };
    proposal.signature = key.sign(proposal.statement(CHAIN).digest().as_bytes());
    proposal
}

/// A proposal comes in, then the verdict on its block.
fn judged(driver: &mut Driver, proposal: SignedProposal, valid: bool) -> Vec<Effect> {
    let SignedProposal { height, round, valid_round, proposer, block, .. } = proposal;
    let message = Input::MessageReceived(ConsensusMessage::Proposal(proposal));
    let mut effects = driver.step(message).unwrap();
    let verdict = Input::BlockValidated { height, round, valid_round, proposer, block, valid };
    effects.extend(driver.step(verdict).unwrap());
    effects
}

fn prevotes(effects: &[Effect], block: BlockHash) -> bool {
    effects.iter().any(|effect| {
        let Effect::Broadcast(ConsensusMessage::Vote(vote)) = effect else { return false };
        vote.kind == VoteKind::Prevote && vote.block == Some(block)
    })
}

fn bystander_index(rounds: [u32; 2]) -> usize {
    (0..4).find(|index| rounds.iter().all(|round| proposer_of(*round) != *index)).unwrap()
}

/// The driver of a node that proposes in none of these rounds, at its first height.
fn bystander(rounds: [u32; 2]) -> Driver {
    let secret = secret(bystander_index(rounds));
    let config = DriverConfig { chain: CHAIN, secret: Some(secret) };
    let mut driver = Driver::new(config);
    let validators = validator_set(0..4);
    let (timeouts, log) = (Timeouts::DEFAULT, Default::default());
    driver.step(Input::HeightStarted { height: Height(1), validators, timeouts, log, signs: true }).unwrap();
    driver
}

#[test]
fn verdicts_on_one_proposers_blocks_leave_room_for_those_of_others() {
    let mut driver = bystander([0, 1]);
    for round in rounds_of(proposer_of(1)).take(300) {
        judged(&mut driver, proposal(round, 0xee), false);
    }
    for block in 1..=255 {
        judged(&mut driver, proposal(1, block), false);
    }
    let good = proposal(0, 0xaa);
    assert!(prevotes(&judged(&mut driver, good, true), good.block), "the block of round 0 is voted for");
}

fn proves_two_proposals(effects: &[Effect]) -> bool {
    let is_proof = |evidence: &Evidence| matches!(evidence, Evidence::Proposals(..));
    effects.iter().any(|effect| matches!(effect, Effect::RecordEvidence(list) if list.iter().any(is_proof)))
}

#[test]
fn proposals_for_far_rounds_do_not_hide_a_contradiction() {
    let mut driver = bystander([0, 1]);
    for round in rounds_of(proposer_of(0)).skip(1).take(80) {
        judged(&mut driver, proposal(round, 0xee), true);
    }
    judged(&mut driver, proposal(0, 0xaa), true);
    assert!(proves_two_proposals(&judged(&mut driver, proposal(0, 0xbb), true)));
}

#[test]
fn contradictions_are_seen_in_late_rounds_too() {
    let mut driver = bystander([0, 1]);
    let others = [proposer_of(0), proposer_of(1)];
    for round in 0..100 {
        if round > 0 {
            // More than a third is there already, so the node follows.
            for index in &others {
                let vote = signed_vote(*index, VoteKind::Prevote, 1, round, None);
                driver.step(Input::MessageReceived(ConsensusMessage::Vote(vote))).unwrap();
            }
        }
        assert_eq!(driver.status().unwrap().round, Round(round));
        if others.contains(&proposer_of(round)) {
            judged(&mut driver, proposal(round, 0xaa), true);
            assert!(proves_two_proposals(&judged(&mut driver, proposal(round, 0xbb), true)), "round {round}");
        } else if proposer_of(round) != bystander_index([0, 1]) {
            judged(&mut driver, proposal(round, 0xaa), true);
        }
    }
}
