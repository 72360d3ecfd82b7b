//! Everything at once, many times: a seed draws documents, grants, erasures, weather, crashes, wipes and liars. After it
//! clears up every entitled node has everything, nobody has anything else, and nothing is left to do.

use vouch_types::document::ErasureState;
use vouch_vault::{ChainChange, VersionKey};

use crate::{
    support::Rng,
    world::{Behaviour, Counted, Weather, World, name, rules, some, test_limits},
};

/// Seeds in the tests; more with `VOUCH_VAULT_SEEDS`.
const SEEDS: u64 = 60;

/// Which seeds run: `VOUCH_VAULT_SEEDS` of them, from `VOUCH_VAULT_FROM` on.
#[expect(clippy::disallowed_methods, reason = "which seeds to run is asked of whoever runs them")]
fn seeds() -> core::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    let from = number("VOUCH_VAULT_FROM").unwrap_or(0);
    from..from + number("VOUCH_VAULT_SEEDS").unwrap_or(SEEDS)
}

fn draw_limits(rng: &mut Rng) -> vouch_vault::VaultLimits {
    let mut limits = test_limits();
    if rng.chance(50) {
        limits.flights_max = 1 + rng.below(4) as usize;
        limits.fetch_window = 2 + rng.below(8) as usize;
        limits.fetches_max = 1 + rng.below(4) as usize;
        limits.fetches_per_peer_max = 1 + rng.below(2) as usize;
        limits.early_max = 4;
        limits.sweeps_max = 2;
        limits.sweep_slice = 1 + rng.below(5) as u32;
        limits.possessions_max = 3;
        limits.transfers_max = 1;
        limits.pieces_max = 1 + rng.below(3) as usize;
        limits.scrub_slice = 2;
    }
    limits
}

/// Runs one seed; returns what was counted and the hash of everything that happened.
fn run(seed: u64) -> (Counted, blake3::Hash) {
    let mut rng = Rng::new(seed.wrapping_mul(0x1234_5677));
    let members: Vec<usize> = (0..3 + rng.below(3)).map(|_| 1 + usize::from(rng.chance(20))).collect();
    let mut world = World::new(seed, &members, draw_limits(&mut rng));
    world.weather = Weather { loss_percent: [0, 2, 10, 30][rng.below(4) as usize], delay_ms: 5 + rng.below(120) };
    world.block_delay_ms = 10 + rng.below(600);
    let late = world.nodes.len() - 1;
    let is_late = rng.chance(40);
    for node in 0..world.nodes.len() - usize::from(is_late) {
        world.start(node);
    }
    if rng.chance(50) {
        let kinds = [Behaviour::Corrupts, Behaviour::Denies, Behaviour::Mute, Behaviour::SignsFalsely];
        // It is no issuer: whom a lone issuer keeps something from cannot have it.
        let liar = world.nodes.len() - 2;
        world.nodes[liar].behaviour = kinds[rng.below(4) as usize];
    }
    if rng.chance(30) {
        let slow = rng.below(world.nodes.len() as u64) as usize;
        world.nodes[slow].slow_ms = rng.below(900);
    }
    let mut keys: Vec<VersionKey> = Vec::new();
    for _ in 0..30 + rng.below(40) {
        act(&mut world, &mut rng, &mut keys, members.len());
        let pause = rng.below(300);
        world.run(pause);
    }
    clear_up(&mut world, late, is_late);
    world.run_until_settled(400_000);
    world.run(60_000);
    assert_eq!(world.unsettled(), None);
    world.judge_quiet();
    world.judge_rest();
    (world.counted, world.log.finalize())
}

/// The weather clears, everyone runs, is connected and honest.
fn clear_up(world: &mut World, late: usize, is_late: bool) {
    world.weather.loss_percent = 0;
    for node in 0..world.nodes.len() {
        world.nodes[node].storage.set_write_fault(None);
        if world.nodes[node].behaviour != Behaviour::Honest {
            world.nodes[node].behaviour = Behaviour::Honest;
        }
        world.nodes[node].slow_ms = 0;
    }
    for (a, b) in world.cut.clone() {
        world.join_again(a, b);
    }
    if is_late && world.nodes[late].vault.is_none() {
        world.start(late);
    }
    for node in 0..world.nodes.len() {
        if world.nodes[node].vault.is_none() {
            world.start(node);
        }
    }
    world.spread_blocks();
}

fn act(world: &mut World, rng: &mut Rng, keys: &mut Vec<VersionKey>, members: usize) {
    let node = rng.below(world.nodes.len() as u64) as usize;
    let running = world.nodes[node].vault.is_some();
    let honest = world.nodes[node].behaviour == Behaviour::Honest;
    match rng.below(20) {
        0..=8 if running && honest => {
            world.nodes[node].storage.set_write_fault(None);
            let files = if rng.chance(15) { vec![1 + rng.below(900_000) as usize] } else { Vec::new() };
            let key = publish(world, rng, node, members, files);
            keys.push(key);
        }
        9..=10 if !keys.is_empty() => {
            let key = keys[rng.below(keys.len() as u64) as usize];
            let member = rng.below(members as u64) as usize;
            let fields = some(&[rng.below(6) as u16, rng.below(6) as u16]);
            // The issuer always may see its own.
            if world.shared.0.lock().issuer(&key.id) != name(member) {
                let ends = rng.chance(40);
                world.change(&key, ChainChange::Version(key), |rules| {
                    if ends {
                        rules.members.remove(&name(member));
                    } else {
                        rules.members.insert(name(member), fields);
                    }
                });
            }
        }
        11 if !keys.is_empty() && rng.chance(60) => {
            let key = keys[rng.below(keys.len() as u64) as usize];
            world.erase(&key, ErasureState::Ordered);
        }
        12..=13 if running => {
            world.crash(node);
        }
        14 if running => {
            let writes = rng.below(12);
            world.fail_write(node, writes);
        }
        // A document that only its issuer has is gone with the issuer's disk: only after all have everything.
        15 if running && world.unsettled().is_none() => {
            let issues = keys.iter().any(|key| {
                let ledger = world.shared.0.lock();
                let height = ledger.height();
                let alone = (0..members)
                    .filter(|other| name(*other) != name(world.nodes[node].member))
                    .fold(vouch_vault::FieldSet::new(), |all, other| {
                        all.union(&ledger.fields_at(key, &name(other), height))
                    });
                !ledger.fields_at(key, &name(world.nodes[node].member), height).is_subset(&alone)
            });
            if !issues && world.nodes.iter().all(|n| n.vault.is_some() && n.behaviour == Behaviour::Honest) {
                world.wipe(node);
                world.start(node);
                world.run_until_settled(120_000);
            }
        }
        16 => {
            let other = rng.below(world.nodes.len() as u64) as usize;
            if other != node {
                world.cut_off(node, other);
            }
        }
        17 => {
            for (a, b) in world.cut.clone() {
                world.join_again(a, b);
            }
        }
        _ if !running && world.nodes[node].life > 0 => world.start(node),
        _ => {}
    }
}

fn publish(world: &mut World, rng: &mut Rng, node: usize, members: usize, files: Vec<usize>) -> VersionKey {
    let issuer = world.nodes[node].member;
    let mut to = Vec::new();
    for member in (0..members).filter(|member| *member != issuer) {
        match rng.below(4) {
            0 => to.push((member, World::all())),
            1 | 2 => to.push((member, some(&[rng.below(6) as u16, rng.below(6) as u16]))),
            _ => {}
        }
    }
    let made = world.stage(node, files);
    world.submit(&made, issuer, rules(issuer, &to))
}

#[test]
fn every_seed_ends_with_everything_where_it_belongs() {
    let mut all = Counted::default();
    for seed in seeds() {
        let run = std::panic::catch_unwind(|| run(seed));
        let (counted, _) = run.unwrap_or_else(|_| panic!("seed {seed}"));
        all.deliveries_judged += counted.deliveries_judged;
        all.values_judged += counted.values_judged;
        all.pieces_judged += counted.pieces_judged;
        all.bounds_judged += counted.bounds_judged;
        all.crashes += counted.crashes;
        all.lost += counted.lost;
        all.possessions_judged += counted.possessions_judged;
        all.said_judged += counted.said_judged;
    }
    // A run of fewer seeds is a look at those.
    if seeds().count() as u64 >= SEEDS {
        assert_eq!(all.values_judged, 3 * all.deliveries_judged);
        assert!(all.deliveries_judged > 1_000 && all.pieces_judged > 50 && all.bounds_judged > 5_000, "{all:?}");
        assert!(all.said_judged > 1_000, "{all:?}");
        assert!(all.crashes > 50 && all.lost > 200 && all.possessions_judged > 5_000, "{all:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 8] {
        assert_eq!(run(seed).1, run(seed).1, "seed {seed}");
    }
}
