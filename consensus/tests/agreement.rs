//! Networks that lose, delay and change, but where everyone is honest.

use vouch_consensus::{Driver, Step};
use vouch_types::{Height, Round};

use crate::network::{Kind, Network, validator_set};

fn assert_send<T: Send>() {}

#[test]
fn a_driver_can_move_between_threads() {
    assert_send::<Driver>();
}

#[test]
fn networks_of_one_four_and_seven_decide_every_height_in_round_zero() {
    for validators in [1, 4, 7] {
        let mut network = Network::new(1, validators, 0);
        network.run_to(30, 20_000);
        assert_eq!(network.max_round, Round(0), "{validators} validators");
        let longest = network.nodes.iter().map(|n| n.disk.chain.len()).max();
        assert!(longest <= Some(31) && network.decided.len() >= 30);
    }
}

#[test]
fn a_lossy_slow_duplicating_network_still_decides() {
    for seed in 0..12 {
        let mut network = Network::new(seed, 4, 1);
        network.faults.loss = 80;
        network.faults.duplication = 80;
        network.faults.delay_ms = (1, 200);
        network.run_to(25, 120_000);
        assert!(network.max_round > Round(0), "seed {seed} met no trouble");
    }
}

#[test]
fn lost_proposals_cost_one_round() {
    let mut network = Network::new(3, 4, 0);
    network.faults.lost_proposals_of = vec![0, 1];
    network.run_to(16, 20_000);
    assert_eq!(network.max_round, Round(1));
}

#[test]
fn a_dead_proposer_costs_less_than_a_second() {
    let mut network = Network::new(4, 4, 0);
    network.nodes[2].kind = Kind::Dead;
    network.run_to(40, 60_000);
    let times: Vec<u64> = network.decided.values().map(|(_, at)| *at).collect();
    let slowest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!((550..1_000).contains(&slowest), "the dead proposer's height took {slowest} ms");
    assert_eq!(network.max_round, Round(1));
}

#[test]
fn two_dead_of_seven_cost_less_than_two_seconds_even_in_a_row() {
    let mut network = Network::new(5, 7, 0);
    network.nodes[2].kind = Kind::Dead;
    network.nodes[3].kind = Kind::Dead;
    network.run_to(30, 60_000);
    let times: Vec<u64> = network.decided.values().map(|(_, at)| *at).collect();
    let slowest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(slowest < 2_000, "{slowest} ms");
}

#[test]
fn the_validator_set_changes_between_heights() {
    let mut network = Network::new(6, 5, 0);
    network.sets.insert(Height(1), validator_set([0, 1, 2, 3]));
    network.sets.insert(Height(10), validator_set([1, 2, 3, 4]));
    network.sets.insert(Height(20), validator_set([0, 1, 2, 3, 4]));
    network.sets.insert(Height(30), validator_set([4]));
    network.sets.insert(Height(40), validator_set([0, 1, 2]));
    network.run_to(50, 60_000);
    assert_eq!(network.max_round, Round(0));
}

#[test]
fn a_follower_decides_with_the_others_and_never_logs_or_sends() {
    let mut network = Network::new(7, 4, 1);
    network.run_to(20, 20_000);
    let follower = &network.nodes[4];
    assert_eq!(follower.disk.chain.len(), 20);
    assert!(follower.disk.log.is_empty());
    assert!(!follower.driver.as_ref().unwrap().status().unwrap().voting);
}

#[test]
fn a_cut_link_does_not_slow_the_chain_when_messages_are_relayed() {
    let mut network = Network::new(8, 4, 0);
    network.relay = true;
    network.faults.cut = vec![(0, 1)];
    network.run_to(40, 20_000);
    assert_eq!(network.max_round, Round(0));
    assert_eq!(network.nodes.iter().map(|n| n.synced).sum::<u64>(), 0, "nobody had to fetch a block");
}

#[test]
fn a_minority_decides_nothing_and_tells_who_is_missing() {
    let mut network = Network::new(9, 4, 0);
    network.nodes[1].kind = Kind::Dead;
    network.nodes[3].kind = Kind::Dead;
    while network.now_ms < 20_000 && network.step() {}
    assert!(network.decided.is_empty());
    for index in [0, 2] {
        let status = network.nodes[index].driver.as_ref().unwrap().status().unwrap();
        let missing: Vec<_> = status.missing_prevotes().map(|v| v.node).collect();
        let mut dead = vec![network.nodes[1].id, network.nodes[3].id];
        dead.sort_by_key(|node| network.set_at(Height(1)).index_of(node));
        assert_eq!(missing, dead);
        assert_eq!((status.height, status.round, status.step), (Height(1), Round(0), Step::Prevote));
        assert_eq!(status.power_needed, 3);
        assert!(!status.timers.is_empty(), "the own votes go on being sent");
    }
}

#[test]
fn a_stalled_network_goes_on_when_the_cut_heals() {
    let mut network = Network::new(10, 4, 0);
    network.faults.cut = vec![(0, 2), (0, 3), (1, 2), (1, 3)];
    network.faults.heal_at_ms = 30_000;
    while network.now_ms < 30_000 && network.step() {}
    assert!(network.decided.is_empty());
    network.run_to(10, 45_000);
}

#[test]
fn a_block_that_the_ledgers_refuse_is_never_decided() {
    let mut network = Network::new(11, 4, 0);
    while network.nodes.iter().all(|n| n.disk.proposed.is_empty()) {
        assert!(network.step());
    }
    let bad = network.nodes.iter().find_map(|n| n.disk.proposed.values().next().copied()).unwrap();
    for node in &mut network.nodes {
        node.refuses.insert(bad);
    }
    network.run_to(5, 20_000);
    assert_ne!(network.decided[&Height(1)].0, bad);
    assert_eq!(network.max_round, Round(1));
}

#[test]
fn one_seed_gives_one_run() {
    let run = |seed| {
        let mut network = Network::new(seed, 4, 1);
        network.faults.loss = 50;
        network.faults.delay_ms = (1, 100);
        network.faults.crash = 5;
        network.faults.heal_at_ms = 30_000;
        network.run_to(15, 200_000);
        (network.fingerprint, network.now_ms)
    };
    assert_eq!(run(42), run(42));
    assert_ne!(run(42).0, run(43).0);
}
