//! The simulator: `sim --seeds 200`, `sim --seed 7`.

use std::sync::Arc;

use vouch_tests::sim::{Outcome, Stage, plan::Plan};

fn main() {
    let stage = Stage::new();
    let seeds: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1);
    let from: u64 = std::env::args().nth(2).and_then(|a| a.parse().ok()).unwrap_or(0);
    let work = move || {
        for seed in from..from + seeds {
            let plan = Plan::draw(seed);
            let outcome = Outcome::of(&plan, &Arc::clone(&stage), seeds == 1);
            if let Some(v) = &outcome.violation {
                println!("seed {seed}: {} | {}", v.rule, v.what);
            }
            for line in &outcome.recent {
                println!("{line}");
            }
            if seeds == 1 {
                println!("{plan:?}");
                println!("{outcome:?}");
            }
        }
    };
    std::thread::Builder::new().stack_size(64 << 20).spawn(work).unwrap().join().unwrap();
}
