//! Message shapes, waits, relay.

use vouch_consensus::{
    ConsensusMessage, Driver, DriverConfig, Effect, Input, MessageError, PolkaCertificate, PolkaSignature,
    RecoveredLog, RelayFilter, RoundCertificate, RoundCertificateKind, RoundSignature, SignedProposal, SignedVote,
    Timeouts, TimerKind,
};
use vouch_types::{BlockHash, Height, NodeId, Round, Signature, VoteKind};

use crate::network::{CHAIN, validator_set};

fn vote(height: u64, round: u32) -> SignedVote {
    SignedVote {
        kind: VoteKind::Prevote,
        height: Height(height),
        round: Round(round),
        block: None,
        validator: NodeId([1; 32]),
        signature: Signature([2; 64]),
    }
}

#[test]
fn a_vote_has_these_bytes() {
    let message = ConsensusMessage::Vote(SignedVote { block: Some(BlockHash([9; 32])), ..vote(258, 3) });
    let mut expected = vec![1];
    expected.extend([0, 0, 0, 0, 0, 0, 0, 0]); // message: vote; kind: prevote
    expected.extend([2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0]); // height, round
    expected.push(1);
    expected.extend([9; 32]);
    expected.extend([1; 32]);
    expected.extend([2; 64]);
    assert_eq!(message.encode(), expected);
}

#[test]
fn shapes_are_checked() {
    let signer = |n: u8| PolkaSignature { validator: NodeId([n; 32]), signature: Signature([0; 64]) };
    let polka = |signatures| {
        ConsensusMessage::Polka(PolkaCertificate {
            height: Height(1),
            round: Round(0),
            block: BlockHash::ZERO,
            signatures,
        })
    };
    let proposal = |round, valid_round| {
        ConsensusMessage::Proposal(SignedProposal {
            height: Height(1),
            round: Round(round),
            block: BlockHash::ZERO,
            valid_round,
            proposer: NodeId::ZERO,
            signature: Signature([0; 64]),
        })
    };
    let precommits = ConsensusMessage::Round(RoundCertificate {
        height: Height(1),
        round: Round(0),
        kind: RoundCertificateKind::Precommit,
        signatures: vec![RoundSignature {
            validator: NodeId::ZERO,
            kind: VoteKind::Prevote,
            block: None,
            signature: Signature([0; 64]),
        }],
    });
    let cases = [
        (ConsensusMessage::Vote(vote(u64::MAX, 1_000_000)), Ok(())),
        (ConsensusMessage::Vote(vote(1, 1_000_001)), Err(MessageError::Round(Round(1_000_001)))),
        (polka(vec![signer(1), signer(2)]), Ok(())),
        (polka(vec![]), Err(MessageError::Signers)),
        (polka(vec![signer(1), signer(1)]), Err(MessageError::Signers)),
        (polka(vec![signer(2), signer(1)]), Err(MessageError::Signers)),
        (polka((0..129).map(|n| signer(n as u8)).collect()), Err(MessageError::Signers)),
        (polka((0..128).map(signer).collect()), Ok(())),
        (proposal(2, Some(Round(1))), Ok(())),
        (proposal(2, Some(Round(2))), Err(MessageError::ValidRound { round: Round(2), valid_round: Round(2) })),
        (precommits, Err(MessageError::VoteKind)),
    ];
    for (message, expected) in cases {
        assert_eq!(message.validate(), expected, "{message:?}");
        assert_eq!(ConsensusMessage::decode(&message.encode()).map(drop), expected);
    }
    assert_eq!(ConsensusMessage::decode(&[2, 0]), Err(MessageError::Version(2)));
    assert!(matches!(ConsensusMessage::decode(&[]), Err(MessageError::Codec(_))));
}

#[test]
fn waits_grow_and_are_capped() {
    let timeouts = Timeouts { propose_ms: 400, vote_ms: 150, growth_ms: 100, max_ms: 1_000 };
    let cases = [
        (TimerKind::Propose, 0, 400),
        (TimerKind::Propose, 3, 700),
        (TimerKind::Propose, 60, 1_000),
        (TimerKind::Prevote, 1, 250),
        (TimerKind::Precommit, 2, 350),
        (TimerKind::Rebroadcast, 0, 550),
        (TimerKind::Rebroadcast, u32::MAX, 1_000),
    ];
    for (kind, round, expected) in cases {
        assert_eq!(timeouts.wait_ms(kind, Round(round)), expected, "{kind:?} in round {round}");
    }
}

#[test]
fn a_message_is_relayed_once_per_two_turns_and_only_near_the_current_height() {
    let mut filter = RelayFilter::new(100);
    let message = |height| ConsensusMessage::Vote(vote(height, 0));
    for (height, expected) in [(8, false), (9, true), (10, true), (12, true), (13, false), (10, false)] {
        assert_eq!(filter.admit(Height(10), &message(height)), expected, "height {height}");
    }
    filter.turn();
    assert!(!filter.admit(Height(10), &message(10)));
    filter.turn();
    assert!(filter.admit(Height(10), &message(10)), "a repeated vote is passed on again");
    for round in 0..10_000 {
        assert!(filter.admit(Height(10), &ConsensusMessage::Vote(vote(10, round + 1))));
        assert!(filter.len() <= 200);
    }
}

#[test]
fn a_height_waits_as_long_as_it_was_told_at_its_start() {
    let mut driver = Driver::new(DriverConfig { chain: CHAIN, secret: None });
    for (height, propose_ms) in [(1, 400), (2, 5_000), (3, 700)] {
        let timeouts = Timeouts { propose_ms, vote_ms: 150, growth_ms: 100, max_ms: 9_000 };
        let (validators, log) = (validator_set(0..4), RecoveredLog::default());
        let started = Input::HeightStarted { height: Height(height), validators, timeouts, log, signs: true };
        let waits = driver.step(started).unwrap().into_iter().filter_map(|effect| match effect {
            Effect::SetTimer { timer, after_ms } if timer.kind == TimerKind::Propose => Some(after_ms),
            _ => None,
        });
        assert_eq!(waits.collect::<Vec<_>>(), [propose_ms], "height {height}");
    }
}
