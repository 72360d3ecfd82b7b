//! The simulator itself: what once failed holds, a seed goes one way, and planted bugs are seen.

use std::sync::Arc;

use vouch_tests::sim::{Outcome, Stage, plan::Plan, regressions};

/// Contracts need more stack than a test's thread has.
fn on_a_large_stack(work: impl FnOnce(Arc<Stage>) + Send + 'static) {
    std::thread::Builder::new().stack_size(64 << 20).spawn(|| work(Stage::new())).unwrap().join().unwrap();
}

#[test]
fn what_once_failed_holds() {
    on_a_large_stack(|stage| {
        let kept = regressions::all().unwrap();
        assert!(!kept.is_empty(), "there are kept plans");
        for (file, plan) in kept {
            let outcome = Outcome::of(&plan, &stage, true);
            assert_eq!(outcome.violation, None, "{}\n{}", file.display(), outcome.recent.join("\n"));
        }
    });
}

#[test]
fn a_seed_goes_one_way() {
    on_a_large_stack(|stage| {
        for seed in [3, 74, 156] {
            let plan = Plan::draw(seed);
            let (first, second) = (Outcome::of(&plan, &stage, false), Outcome::of(&plan, &stage, false));
            assert_eq!(first.log, second.log, "seed {seed}");
            assert!(first.heights > 0, "seed {seed} decides nothing");
        }
        let (a, b) = (Outcome::of(&Plan::draw(1), &stage, false), Outcome::of(&Plan::draw(2), &stage, false));
        assert_ne!(a.log, b.log);
    });
}

#[test]
fn a_plan_survives_being_written_down() {
    for plan in [Plan::draw(156), with_documents(0)] {
        let again: Plan = toml::from_str(&toml::to_string(&plan).unwrap()).unwrap();
        assert_eq!(format!("{plan:?}"), format!("{again:?}"));
    }
}

/// The first plan from a seed on that has private documents.
fn with_documents(from: u64) -> Plan {
    (from..).map(Plan::draw).find(|plan| plan.vaults.is_some()).unwrap()
}

#[test]
fn about_one_run_of_eight_has_private_documents() {
    let count = (0..1_600).filter(|seed| Plan::draw(*seed).vaults.is_some()).count();
    assert!((150..=260).contains(&count), "{count} of 1600");
}

#[test]
fn a_seed_with_private_documents_goes_one_way() {
    on_a_large_stack(|stage| {
        let plan = with_documents(0);
        let (first, second) = (Outcome::of(&plan, &stage, true), Outcome::of(&plan, &stage, false));
        assert_eq!(first.violation, None, "{}", first.recent.join("\n"));
        assert_eq!(first.log, second.log);
        for rule in ["private stays inside", "receipts are true", "documents are read", "nothing in plain"] {
            assert!(first.counts.contains_key(rule), "{rule}: {:?}", first.counts);
        }
    });
}

#[test]
fn planted_bugs_of_vaults_are_seen() {
    on_a_large_stack(|stage| {
        let bugs = [
            ("one-too-many", "private stays inside"),
            ("receipt-first", "receipts are durable"),
            ("leave-key", "erased is gone"),
            ("log-values", "nothing in plain"),
        ];
        for (name, rule) in bugs {
            let broken = (0..120).find_map(|seed| {
                let mut plan = Some(Plan::draw(seed)).filter(|plan| plan.vaults.is_some())?;
                plan.mutant = Some(name.to_owned());
                Outcome::of(&plan, &stage, false).violation
            });
            assert_eq!(broken.map(|v| v.rule), Some(rule), "{name}");
        }
    });
}

#[test]
fn planted_bugs_are_seen() {
    on_a_large_stack(|stage| {
        for (name, rule) in [("canary", "canary"), ("thin-certificate", "certificate"), ("two-faced", "signs once")] {
            let broken = (0..10).find_map(|seed| {
                let mut plan = Plan::draw(seed);
                plan.mutant = Some(name.to_owned());
                Outcome::of(&plan, &stage, false).violation
            });
            assert_eq!(broken.map(|v| v.rule), Some(rule), "{name}");
        }
    });
}
