//! Every fuzz target over the golden vectors and what becomes of them by mutation: a short, repeatable run of the fuzzing.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Mutations of each seed input and target.
const MUTATIONS: usize = 150;

/// Every byte string in a vector file: hexadecimal texts decoded, and the file itself.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut seeds = vec![Vec::new(), vec![0; 64], vec![0xff; 64]];
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        collect(&value, &mut seeds);
        seeds.push(text.into_bytes());
    }
    seeds.sort();
    seeds.dedup();
    // Long runs of one kind say little more than their first.
    seeds.retain(|seed| seed.len() <= 64 << 10);
    seeds
}

fn collect(value: &serde_json::Value, seeds: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) if text.len() >= 80 && text.len() % 2 == 0 => {
            let byte = |i: usize| u8::from_str_radix(text.get(i..i + 2)?, 16).ok();
            if let Some(bytes) = (0..text.len()).step_by(2).map(byte).collect() {
                seeds.push(bytes);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, seeds)),
        serde_json::Value::Object(fields) => fields.values().for_each(|item| collect(item, seeds)),
        _ => {}
    }
}

fn mutate(random: &mut ChaCha8Rng, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.random_range(0..5)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.random()),
            4 if at + 8 <= bytes.len() => {
                bytes[at..at + 8].copy_from_slice(&random.random_range(0..1u64 << 40).to_le_bytes());
            }
            _ => {}
        }
    }
    bytes
}

#[test]
fn no_reader_of_foreign_bytes_panics_or_takes_two_forms_of_one_value() {
    let seeds = seeds();
    assert!(seeds.len() > 40, "only {} inputs were found in the vectors", seeds.len());
    let mut random = ChaCha8Rng::seed_from_u64(20_261_121);
    let mut runs = 0u32;
    for seed in &seeds {
        for (_, target) in targets::TARGETS {
            target(seed);
        }
        for _ in 0..MUTATIONS {
            let input = mutate(&mut random, seed);
            let (_, target) = targets::TARGETS[random.random_range(0..targets::TARGETS.len())];
            target(&input);
            runs += 1;
        }
    }
    assert!(runs > 5_000);
}

#[test]
fn each_target_has_its_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    for (name, _) in targets::TARGETS {
        assert!(folder.join(format!("{name}.rs")).is_file(), "no fuzz program for {name}");
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), targets::TARGETS.len());
}
