//! Anything a peer can send: no panic, no fault, no effect of strangers.

use vouch_consensus::{
    ConsensusMessage, Driver, DriverConfig, Effect, Evidence, Input, MESSAGE_BYTES_MAX, PolkaCertificate,
    PolkaSignature, RecoveredLog, RoundCertificate, RoundCertificateKind, RoundSignature, SignedProposal, SignedVote,
    Timeouts,
};
use vouch_types::{BlockHash, Height, NodeId, Round, Signature, VoteKind};

use crate::network::{CHAIN, Network, Rng, secret, validator_set};

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.next() as usize % from.len()]
}

fn any_block(rng: &mut Rng) -> BlockHash {
    BlockHash([rng.between(0, 2) as u8; 32])
}

/// A message of any shape by any of nodes 0 to 6, properly signed in most cases; 4 to 6 are no validators.
fn any_message(rng: &mut Rng) -> ConsensusMessage {
    let height = Height(pick(rng, &[0, 1, 2, 2, 2, 2, 3, 4, 9, 10, 11, u64::MAX]));
    let round = Round(pick(rng, &[0, 0, 0, 1, 1, 2, 3, 10, 11, 12, 999_999, 1_000_000, 1_000_001, u32::MAX]));
    let index = rng.between(1, 6) as usize;
    match rng.between(0, 5) {
        0 | 1 => ConsensusMessage::Vote(any_vote(rng, index, height, round)),
        2 => {
            let valid_round = pick(rng, &[None, None, Some(Round(0)), Some(round), Some(Round(u32::MAX))]);
            let (block, proposer) = (any_block(rng), secret(index).public().node());
            let mut proposal =
                SignedProposal { height, round, block, valid_round, proposer, signature: Signature([3; 64]) };
            if !rng.chance(100) {
                proposal.signature = secret(index).sign(proposal.statement(CHAIN).digest().as_bytes());
            }
            ConsensusMessage::Proposal(proposal)
        }
        3 => {
            let block = any_block(rng);
            let signatures = any_signers(rng).into_iter().map(|i| {
                let vote = signed(i, VoteKind::Prevote, height, round, Some(block));
                PolkaSignature { validator: vote.validator, signature: vote.signature }
            });
            ConsensusMessage::Polka(PolkaCertificate { height, round, block, signatures: signatures.collect() })
        }
        _ => {
            let kind = pick(rng, &[RoundCertificateKind::Skip, RoundCertificateKind::Precommit]);
            let mut signatures = Vec::new();
            for i in any_signers(rng) {
                let vote = any_vote(rng, i, height, round);
                let SignedVote { validator, kind, block, signature, .. } = vote;
                signatures.push(RoundSignature { validator, kind, block, signature });
            }
            ConsensusMessage::Round(RoundCertificate { height, round, kind, signatures })
        }
    }
}

fn any_signers(rng: &mut Rng) -> Vec<usize> {
    let mut signers: Vec<usize> = (0..rng.between(0, 5)).map(|_| rng.between(1, 6) as usize).collect();
    if !rng.chance(100) {
        signers.sort_by_key(|i| secret(*i).public().node());
        signers.dedup();
    }
    signers
}

fn signed(index: usize, kind: VoteKind, height: Height, round: Round, block: Option<BlockHash>) -> SignedVote {
    let key = secret(index);
    let validator = key.public().node();
    let mut vote = SignedVote { kind, height, round, block, validator, signature: Signature([0; 64]) };
    vote.signature = key.sign(vote.statement(CHAIN).digest().as_bytes());
    vote
}

fn any_vote(rng: &mut Rng, index: usize, height: Height, round: Round) -> SignedVote {
    let kind = pick(rng, &[VoteKind::Prevote, VoteKind::Precommit]);
    let block = if rng.chance(300) { None } else { Some(any_block(rng)) };
    let mut vote = signed(index, kind, height, round, block);
    if rng.chance(50) {
        vote.signature = Signature(rng.bytes());
    }
    vote
}

fn started(height: u64) -> Input {
    Input::HeightStarted {
        height: Height(height),
        validators: validator_set(0..4),
        timeouts: Timeouts::DEFAULT,
        log: RecoveredLog::default(),
        signs: true,
    }
}

fn driver() -> Driver {
    let config = DriverConfig { chain: CHAIN, secret: Some(secret(0)) };
    let mut driver = Driver::new(config);
    driver.step(started(2)).unwrap();
    driver
}

#[test]
fn random_bytes_never_decode_into_another_encoding() {
    let mut rng = Rng::new(1);
    let mut decoded = 0;
    for _ in 0..40_000 {
        let mut bytes = if rng.chance(500) { rng.blob(400) } else { any_message(&mut rng).encode() };
        for _ in 0..rng.between(0, 3) {
            let len = bytes.len() as u64;
            if len > 0 {
                bytes[rng.between(0, len - 1) as usize] ^= 1 << rng.between(0, 7);
            }
        }
        if let Ok(message) = ConsensusMessage::decode(&bytes) {
            assert_eq!(message.encode(), bytes);
            decoded += 1;
        }
        let _ = Evidence::decode(&bytes);
        let _ = RecoveredLog::read(&bytes);
    }
    assert!(decoded > 1_000, "{decoded}");
    assert!(ConsensusMessage::decode(&vec![1; MESSAGE_BYTES_MAX + 2]).is_err());
}

#[test]
fn a_driver_survives_whatever_three_colluding_validators_send() {
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let mut driver = driver();
        let mut timers = Vec::new();
        let mut next = None;
        for _ in 0..250 {
            let input = match (rng.between(0, 9), next.take()) {
                (0, Some(height)) => started(height),
                (1, _) if !timers.is_empty() => Input::TimerFired(timers.swap_remove(0)),
                (2, _) => Input::BlockValidated {
                    height: Height(rng.between(1, 4)),
                    round: Round(rng.between(0, 3) as u32),
                    valid_round: None,
                    proposer: secret(rng.between(0, 6) as usize).public().node(),
                    block: any_block(&mut rng),
                    valid: !rng.chance(300),
                },
                (3, _) => Input::BlockProposed {
                    height: Height(rng.between(1, 4)),
                    round: Round(rng.between(0, 2) as u32),
                    block: any_block(&mut rng),
                },
                (_, height) => {
                    next = height;
                    let message = any_message(&mut rng);
                    driver.authenticates(&message);
                    Input::MessageReceived(message)
                }
            };
            for effect in driver.step(input).unwrap() {
                match effect {
                    Effect::SetTimer { timer, .. } => timers.push(timer),
                    Effect::Finalize { height } => next = height.next().map(|h| h.0),
                    _ => {}
                }
            }
            assert!(driver.status().is_some());
        }
    }
}

#[test]
fn strangers_and_far_places_have_no_effect() {
    let mut rng = Rng::new(9);
    let mut driver = driver();
    let before = driver.status();
    for _ in 0..3_000 {
        let index = rng.between(4, 6) as usize;
        let (height, round) = (Height(rng.between(2, 3)), Round(rng.between(0, 2) as u32));
        let far_height = Height(pick(&mut rng, &[0, 1, 11, u64::MAX]));
        let far_round = Round(pick(&mut rng, &[11, 12, 1_000_000, 1_000_001, u32::MAX]));
        let message = match rng.between(0, 2) {
            0 => any_vote(&mut rng, 1, far_height, round),
            1 => any_vote(&mut rng, 1, Height(2), far_round),
            _ => any_vote(&mut rng, index, height, round),
        };
        assert_eq!(driver.step(Input::MessageReceived(ConsensusMessage::Vote(message))), Ok(vec![]));
    }
    let mut after = driver.status().unwrap();
    assert!(after.waiting_messages <= 48, "{}", after.waiting_messages);
    after.waiting_messages = 0;
    assert_eq!(Some(after), before);
}

#[test]
fn what_waits_for_later_heights_is_bounded_per_signer() {
    let mut rng = Rng::new(10);
    let mut driver = driver();
    for _ in 0..6_000 {
        let (height, round) = (Height(rng.between(3, 40)), Round(rng.between(0, 400) as u32));
        let vote = any_vote(&mut rng, 1, height, round);
        driver.step(Input::MessageReceived(ConsensusMessage::Vote(vote))).unwrap();
    }
    let flooded = driver.status().unwrap().waiting_messages;
    assert!(flooded <= 8 * 24, "{flooded}");
    let honest = signed(2, VoteKind::Prevote, Height(3), Round(0), None);
    driver.step(Input::MessageReceived(ConsensusMessage::Vote(honest))).unwrap();
    assert_eq!(driver.status().unwrap().waiting_messages, flooded + 1, "another signer still has room");
    driver.step(started(3)).unwrap();
    let status = driver.status().unwrap();
    let voter = status.validators.iter().find(|v| v.node == secret(2).public().node()).unwrap();
    assert!(voter.prevoted, "what waited is taken in when its height starts");
}

#[test]
fn noise_between_honest_nodes_does_not_stop_them() {
    let mut rng = Rng::new(11);
    let mut network = Network::new(60, 4, 0);
    network.nodes[3].kind = crate::network::Kind::Dead;
    while network.nodes[0].disk.chain.len() < 10 {
        assert!(network.step() && network.now_ms < 60_000);
        if rng.chance(300) {
            let to = rng.between(0, 2) as usize;
            let mut message = any_vote(&mut rng, 3, Height(network.nodes[to].disk.chain.len() as u64 + 1), Round(0));
            if rng.chance(300) {
                message.validator = NodeId(rng.bytes());
            }
            network.input(to, Input::MessageReceived(ConsensusMessage::Vote(message)));
        }
    }
}
