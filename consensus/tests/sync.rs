//! Nodes that come late catch up by certificate.

use vouch_consensus::{Driver, DriverConfig, Effect, Input, LogEntry, RecoveredLog, Timeouts, TimerKind};
use vouch_types::{BlockHash, CertificateError, CommitCertificate, CommitSignature, Height, Round};

use crate::network::{CHAIN, Kind, Network, secret, validator_set};

#[test]
fn a_late_validator_and_a_late_follower_catch_up() {
    let mut network = Network::new(50, 4, 1);
    network.faults.cut = (0..5).flat_map(|i| [(3, i), (4, i)]).filter(|(a, b)| a != b).collect();
    network.faults.heal_at_ms = 5_000;
    while network.now_ms < 5_000 && network.step() {}
    assert!(network.nodes[0].disk.chain.len() > 10);
    assert_eq!((network.nodes[3].disk.chain.len(), network.nodes[4].disk.chain.len()), (0, 0));
    network.faults.cut.clear();
    network.pace_ms = 300;
    network.run_to(30, 60_000);
    assert!(network.nodes[3].synced >= 10 && network.nodes[4].synced >= 10);
}

#[test]
fn a_certificate_of_a_later_round_is_replayed_after_a_crash() {
    // Node 3 hears nothing, then gets the certificate of a height that took three rounds, and crashes after every effect.
    let build = || {
        let mut network = Network::new(51, 4, 0);
        network.faults.lost_proposals_of = vec![0, 1, 2];
        network.faults.cut = (0..3).map(|i| (3, i)).collect();
        network.faults.heal_at_ms = 4_000;
        network
    };
    let mut plain = build();
    plain.run_to(6, 60_000);
    assert!(plain.nodes[3].synced > 0 && plain.max_round > Round(0));
    for after in 1..=plain.nodes[3].effects_done {
        let mut network = build();
        network.crash_after = Some((3, after));
        network.run_to(6, 60_000);
    }
}

#[test]
fn a_decision_by_certificate_comes_out_of_the_log_again() {
    let set = validator_set(0..4);
    let mut certificate =
        CommitCertificate { height: Height(1), round: Round(2), block: BlockHash([8; 32]), signatures: vec![] };
    let digest = certificate.statement(CHAIN).digest();
    for index in 1..4 {
        let validator = set.index_of(&secret(index).public().node()).unwrap();
        certificate.signatures.push(CommitSignature { validator, signature: secret(index).sign(&digest.0) });
    }
    certificate.signatures.sort_by_key(|entry| entry.validator);
    let driver = || Driver::new(DriverConfig { chain: CHAIN, secret: Some(secret(0)) });
    let start = |log| Input::HeightStarted {
        height: Height(1),
        validators: set.clone(),
        timeouts: Timeouts::DEFAULT,
        log,
        signs: true,
    };
    let mut first = driver();
    let mut effects = first.step(start(RecoveredLog::default())).unwrap();
    effects.extend(first.step(Input::CertificateReceived(certificate.clone())).unwrap());
    assert!(effects.contains(&Effect::Decide(certificate.clone())));
    let log: Vec<u8> = effects
        .iter()
        .flat_map(|effect| match effect {
            Effect::ResetLog(bytes) | Effect::AppendLog(bytes) => bytes.clone(),
            _ => vec![],
        })
        .collect();
    // Whatever a crash leaves of the log, the replay either knows nothing of the certificate or decides by it.
    let mut outcomes = [0, 0];
    for cut in 0..=log.len() {
        let read = RecoveredLog::read(&log[..cut]).unwrap();
        let knows = read.entries.iter().any(|entry| matches!(entry, LogEntry::Commit(_)));
        let decides = driver().step(start(read)).unwrap().contains(&Effect::Decide(certificate.clone()));
        assert_eq!(decides, knows, "cut at {cut}");
        outcomes[usize::from(decides)] += 1;
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 0);
}

#[test]
fn a_worthless_certificate_is_rejected_and_changes_nothing() {
    let mut network = Network::new(52, 4, 0);
    network.run_to(2, 10_000);
    network.nodes[3].kind = Kind::Honest;
    let good = network.nodes[0].disk.chain[1].clone();
    let mut fresh = Network::new(53, 4, 0);
    fresh.step();
    let driver = fresh.nodes[0].driver.as_mut().unwrap();
    let mut reject =
        |certificate: CommitCertificate| match driver.step(Input::CertificateReceived(certificate)).unwrap()[..] {
            [Effect::RejectCertificate { height: Height(1), error }] => Some(error),
            [] => None,
            ref other => panic!("{other:?}"),
        };
    assert_eq!(reject(good), None, "another height is ignored");
    let first = network.nodes[0].disk.chain[0].clone();
    let other_block = CommitCertificate { block: BlockHash([1; 32]), ..first.clone() };
    assert!(matches!(reject(other_block), Some(CertificateError::Signature(_))));
    let mut short = first.clone();
    short.signatures.truncate(2);
    assert!(matches!(reject(short), Some(CertificateError::NoQuorum { signed: 2, total: 4 })));
    let mut twice = first.clone();
    twice.signatures[1] = twice.signatures[0];
    assert!(matches!(reject(twice), Some(CertificateError::Order)));
    let mut stranger = first.clone();
    stranger.signatures.last_mut().unwrap().validator = 99;
    assert!(matches!(reject(stranger), Some(CertificateError::UnknownValidator(99))));
    let effects = driver.step(Input::CertificateReceived(first.clone())).unwrap();
    assert!(effects.contains(&Effect::Decide(first)));
    assert!(effects.contains(&Effect::Finalize { height: Height(1) }));
}

#[test]
fn timers_of_a_past_height_or_not_set_do_nothing() {
    let mut network = Network::new(54, 4, 0);
    network.run_to(3, 10_000);
    let driver = network.nodes[0].driver.as_mut().unwrap();
    for height in [0, 1, 3, 9] {
        for kind in [TimerKind::Prevote, TimerKind::Precommit] {
            let timer = vouch_consensus::TimerId { height: Height(height), round: Round(7), kind };
            assert_eq!(driver.step(Input::TimerFired(timer)), Ok(vec![]));
        }
    }
}
