//! Crashes between any two effects: nobody signs twice, nothing that was sent is forgotten, the network goes on.

use vouch_consensus::{Driver, DriverConfig, Effect, Input, RecoveredLog, SafetyFault, Timeouts};
use vouch_types::{ChainId, Height, Round};

use crate::network::{CHAIN, Kind, Network, secret, validator_set};

const HEIGHTS: u64 = 3;

fn effects_of(node: usize, build: &dyn Fn() -> Network) -> u64 {
    let mut network = build();
    network.run_to(HEIGHTS, 60_000);
    network.nodes[node].effects_done
}

/// Crashes each validator after each of its effects in turn, with and without losing what was not synced.
fn crash_everywhere(build: &dyn Fn() -> Network) -> u64 {
    let mut runs = 0;
    for node in 0..4 {
        for after in 1..=effects_of(node, build) {
            for power_loss in [true, false] {
                let mut network = build();
                network.crash_after = Some((node, after));
                network.faults.power_loss = power_loss;
                network.run_to(HEIGHTS, 60_000);
                assert_eq!(network.crashes, 1, "node {node} did not come to effect {after}");
                runs += 1;
            }
        }
    }
    runs
}

#[test]
fn a_crash_after_any_effect_in_a_quiet_network() {
    assert!(crash_everywhere(&|| Network::new(20, 4, 0)) > 200);
}

#[test]
fn a_crash_after_any_effect_when_rounds_fail() {
    let runs = crash_everywhere(&|| {
        let mut network = Network::new(21, 4, 0);
        network.faults.lost_proposals_of = vec![0, 1, 2];
        network.faults.delay_ms = (1, 60);
        network
    });
    assert!(runs > 200);
}

#[test]
fn all_nodes_crash_at_once_again_and_again() {
    for seed in 0..10 {
        let mut network = Network::new(30 + seed, 4, 0);
        network.faults.delay_ms = (1, 40);
        for time in 1..12 {
            while network.now_ms < time * 97 && network.step() {}
            for node in 0..4 {
                network.crash(node);
            }
        }
        network.run_to(8, 120_000);
    }
}

#[test]
fn random_crashes_with_losses() {
    let mut crashes = 0;
    for seed in 0..40 {
        let mut network = Network::new(100 + seed, 4, 0);
        network.faults.crash = 12;
        network.faults.loss = 40;
        network.faults.duplication = 40;
        network.faults.delay_ms = (1, 150);
        network.faults.power_loss = seed % 2 == 0;
        network.faults.heal_at_ms = 40_000;
        network.run_to(20, 240_000);
        crashes += network.crashes;
    }
    assert!(crashes > 400, "only {crashes} crashes");
}

#[test]
fn seven_nodes_with_two_dead_and_crashes() {
    for seed in 0..6 {
        let mut network = Network::new(200 + seed, 7, 0);
        network.nodes[0].kind = Kind::Dead;
        network.nodes[5].kind = Kind::Dead;
        network.faults.crash = 4;
        network.faults.delay_ms = (1, 80);
        network.faults.heal_at_ms = 30_000;
        network.run_to(15, 240_000);
    }
}

#[test]
fn a_node_that_forgot_its_votes_follows_until_it_may_vote_again() {
    for seed in 0..20 {
        let mut network = Network::new(300 + seed, 4, 0);
        network.faults.delay_ms = (1, 60);
        network.faults.loss = 20;
        network.faults.heal_at_ms = 20_000;
        // Slow enough that a node that is behind catches up.
        network.pace_ms = 600;
        network.run_to(3, 60_000);
        // In the midst of a height, at another moment each time.
        for _ in 0..seed * 7 {
            network.step();
        }
        let index = seed as usize % 4;
        let signs_from = network.last_signed(index).next().unwrap();
        network.roll_back(index, seed as usize % 3, signs_from);
        network.run_to(signs_from.0 + 6, 240_000);
        while network.last_signed(index) <= signs_from {
            assert!(network.step() && network.now_ms < 240_000, "node {index} does not vote again");
        }
    }
}

#[test]
fn a_node_that_must_not_sign_asks_for_nothing_and_its_own_old_votes_are_no_fault() {
    use vouch_consensus::{ConsensusMessage, SignedVote};
    let index = proposer_index();
    let mut driver = driver(index);
    let follow = |height| Input::HeightStarted {
        height: Height(height),
        validators: validator_set(0..4),
        timeouts: Timeouts::DEFAULT,
        log: RecoveredLog::default(),
        signs: false,
    };
    let effects = driver.step(follow(1)).unwrap();
    assert!(!effects.iter().any(|e| matches!(e, Effect::RequestProposal { .. } | Effect::ResetLog(_))), "{effects:?}");
    assert!(!driver.status().unwrap().voting);
    for height in [1, 2] {
        let key = secret(index);
        let mut vote = SignedVote {
            kind: vouch_types::VoteKind::Prevote,
            height: Height(height),
            round: Round(0),
            block: None,
            validator: key.public().node(),
            signature: vouch_types::Signature([0; 64]),
        };
        vote.signature = key.sign(vote.statement(CHAIN).digest().as_bytes());
        driver.step(Input::MessageReceived(ConsensusMessage::Vote(vote))).expect("it may have said so before");
    }
}

fn driver(index: usize) -> Driver {
    Driver::new(DriverConfig { chain: CHAIN, secret: Some(secret(index)) })
}

fn start(height: u64, log: RecoveredLog) -> Input {
    Input::HeightStarted {
        height: Height(height),
        validators: validator_set(0..4),
        timeouts: Timeouts::DEFAULT,
        log,
        signs: true,
    }
}

fn log_of(effects: &[Effect]) -> Vec<u8> {
    let mut log = Vec::new();
    for effect in effects {
        match effect {
            Effect::ResetLog(bytes) => log.clone_from(bytes),
            Effect::AppendLog(bytes) => log.extend_from_slice(bytes),
            _ => {}
        }
    }
    log
}

/// The validator that proposes at height 1, round 0.
fn proposer_index() -> usize {
    let key = validator_set(0..4).proposer(Height(1), Round(0)).key;
    (0..4).find(|i| secret(*i).public() == key).unwrap()
}

#[test]
fn a_block_in_the_log_is_proposed_again_and_no_other_is_asked_for() {
    let index = proposer_index();
    let mut first = driver(index);
    let mut effects = first.step(start(1, RecoveredLog::default())).unwrap();
    assert!(effects.iter().any(|e| matches!(e, Effect::RequestProposal { .. })));
    let block = vouch_types::BlockHash([5; 32]);
    effects.extend(first.step(Input::BlockProposed { height: Height(1), round: Round(0), block }).unwrap());
    let log = log_of(&effects);
    let entries = RecoveredLog::read(&log).unwrap().entries.len();
    assert!(entries >= 4, "started, block, proposal, prevote");
    // Cut the log at every byte: whatever is left, the same block comes out or, with nothing left, a request.
    for cut in 0..=log.len() {
        let read = RecoveredLog::read(&log[..cut]).unwrap();
        let holds_block = read.entries.len() >= 2;
        let effects = driver(index).step(start(1, read)).unwrap();
        let requested = effects.iter().any(|e| matches!(e, Effect::RequestProposal { .. }));
        let sent = effects.iter().find_map(|e| match e {
            Effect::Broadcast(vouch_consensus::ConsensusMessage::Proposal(p)) => Some(p.block),
            _ => None,
        });
        assert_eq!(requested, !holds_block, "cut at {cut}");
        assert_eq!(sent, holds_block.then_some(block), "cut at {cut}");
    }
}

#[test]
fn a_log_of_another_chain_key_or_later_height_stops_the_node() {
    let effects = driver(0).step(start(7, RecoveredLog::default())).unwrap();
    let log = RecoveredLog::read(&log_of(&effects)).unwrap();
    assert_eq!(driver(1).step(start(7, log.clone())), Err(SafetyFault::LogForeign));
    let config = DriverConfig { chain: ChainId([1; 32]), secret: Some(secret(0)) };
    assert_eq!(Driver::new(config).step(start(7, log.clone())), Err(SafetyFault::LogForeign));
    let ahead = SafetyFault::LogAhead { log: Height(7), store: Height(6) };
    assert_eq!(driver(0).step(start(6, log.clone())), Err(ahead));
    let effects = driver(0).step(start(8, log)).unwrap();
    assert!(matches!(effects.first(), Some(Effect::ResetLog(_))), "an older log is replaced");
}

#[test]
fn a_log_that_contradicts_itself_stops_the_node() {
    use vouch_consensus::{LogEntry, SignedKind, SignedVote};
    let vote = |block| {
        let key = secret(0);
        let mut vote = SignedVote {
            kind: vouch_types::VoteKind::Prevote,
            height: Height(1),
            round: Round(0),
            block,
            validator: key.public().node(),
            signature: vouch_types::Signature([0; 64]),
        };
        vote.signature = key.sign(vote.statement(CHAIN).digest().as_bytes());
        LogEntry::Vote(vote)
    };
    let started = LogEntry::Started { chain: CHAIN, node: secret(0).public().node(), height: Height(1) };
    let other = Some(vouch_types::BlockHash([1; 32]));
    let log = RecoveredLog { entries: vec![started, vote(None), vote(other)], len: 999, torn: 0 };
    let fault = SafetyFault::LogContradicts { kind: SignedKind::Prevote, height: Height(1), round: Round(0) };
    let mut driver = driver(0);
    assert_eq!(driver.step(start(1, log)), Err(fault.clone()));
    assert_eq!(driver.step(start(2, RecoveredLog::default())), Err(fault), "a stopped driver stays stopped");
}

#[test]
fn a_vote_in_the_log_that_replay_does_not_lead_to_is_never_contradicted() {
    use vouch_consensus::{LogEntry, SignedKind, SignedVote, TimerKind};
    // The log says: prevoted a block. The timer that would make it prevote nil comes after, without the block's proposal.
    let key = secret(0);
    let mut vote = SignedVote {
        kind: vouch_types::VoteKind::Prevote,
        height: Height(1),
        round: Round(0),
        block: Some(vouch_types::BlockHash([1; 32])),
        validator: key.public().node(),
        signature: vouch_types::Signature([0; 64]),
    };
    vote.signature = key.sign(vote.statement(CHAIN).digest().as_bytes());
    let started = LogEntry::Started { chain: CHAIN, node: key.public().node(), height: Height(1) };
    let timer = LogEntry::Timer { height: Height(1), round: Round(0), kind: TimerKind::Propose };
    let (kind, height, round) = (SignedKind::Prevote, Height(1), Round(0));
    let log = RecoveredLog { entries: vec![started.clone(), LogEntry::Vote(vote), timer], len: 999, torn: 0 };
    assert_eq!(driver(0).step(start(1, log)), Err(SafetyFault::ReplayDiverged { kind, height, round }));
    // The same after the replay, live.
    let log = RecoveredLog { entries: vec![started, LogEntry::Vote(vote)], len: 999, torn: 0 };
    let mut driver = driver(0);
    let effects = driver.step(start(1, log)).unwrap();
    let timer = effects.iter().find_map(|e| match e {
        Effect::SetTimer { timer, .. } if timer.kind == TimerKind::Propose => Some(*timer),
        _ => None,
    });
    let result = driver.step(Input::TimerFired(timer.unwrap()));
    assert_eq!(result, Err(SafetyFault::WouldSignTwice { kind, height, round }));
}
