//! How long a node takes to join by snapshot, all in one process and one thread, in memory: `join_time KEYS`.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a measurement stops where something cannot be"
)]
#![expect(clippy::print_stdout, dead_code, reason = "it prints what it measured, and shares the tests' network")]

#[path = "../tests/snapshot/network.rs"]
mod network;

use std::time::Instant;

use network::{FOLLOWER, Network};

/// Keys written by one transaction.
const KEYS_PER_CALL: u32 = 2_000;
/// Bytes of a value.
const VALUE_BYTES: u32 = 64;

fn main() {
    let keys: u32 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().unwrap());
    let mut network = Network::new(100);
    (0..3).for_each(|index| network.start(index));
    let begun = Instant::now();
    for first in (0..keys).step_by(KEYS_PER_CALL as usize) {
        network.call(0, "spool", "fill", Network::run(first, KEYS_PER_CALL, VALUE_BYTES));
    }
    network.run_blocks(0, 3);
    println!("chain: {keys} keys, {} blocks, {} ms", network.height(0), begun.elapsed().as_millis());
    let begun = Instant::now();
    network.start(FOLLOWER);
    network.run_until(600_000, |n| n.replica(FOLLOWER).ledger().join().is_some());
    println!("offers: {} ms", begun.elapsed().as_millis());
    network.run_until(600_000, |n| n.height(FOLLOWER) > 0 && !n.replica(FOLLOWER).is_joining());
    let ledger = network.replica(FOLLOWER).ledger();
    println!(
        "joined: {} slots at height {}, {} ms",
        ledger.tree().slots(),
        ledger.head().height,
        begun.elapsed().as_millis()
    );
}
