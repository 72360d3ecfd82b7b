//! Makes a failing plan smaller for as long as it breaks the same rule.

use std::sync::Arc;

use super::{
    plan::Plan,
    run::{Outcome, Stage},
};

/// Most runs spent on one plan.
const RUNS_MAX: usize = 400;

/// The smallest plan found that breaks `rule`.
#[must_use]
pub fn shrink(plan: &Plan, rule: &str, stage: &Arc<Stage>) -> Plan {
    let mut best = plan.clone();
    let mut runs = 0;
    loop {
        let mut improved = false;
        for candidate in candidates(&best) {
            runs += 1;
            if runs > RUNS_MAX {
                return best;
            }
            let outcome = Outcome::of(&candidate, stage, false);
            if outcome.violation.is_some_and(|v| v.rule == rule) {
                best = candidate;
                improved = true;
                break;
            }
        }
        if !improved {
            return best;
        }
    }
}

fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut list = Vec::new();
    let mut add = |change: &dyn Fn(&mut Plan)| {
        let mut smaller = plan.clone();
        change(&mut smaller);
        list.push(smaller);
    };
    if plan.faults.len() > 1 {
        add(&|p| p.faults.truncate(p.faults.len() / 2));
        add(&|p| drop(p.faults.drain(..p.faults.len() / 2)));
    }
    for at in 0..plan.faults.len() {
        add(&|p| drop(p.faults.remove(at)));
    }
    if plan.crash_rate > 0 {
        add(&|p| p.crash_rate = 0);
    }
    if plan.disk_error_rate > 0 {
        add(&|p| p.disk_error_rate = 0);
    }
    if plan.links.loss + plan.links.duplication + plan.links.corruption > 0 {
        add(&|p| (p.links.loss, p.links.duplication, p.links.corruption) = (0, 0, 0));
    }
    if plan.set_changes {
        add(&|p| p.set_changes = false);
    }
    for at in 0..plan.nodes.len() {
        if !plan.nodes[at].is_honest() {
            add(&|p| p.nodes[at].kind = "honest".to_owned());
        }
        if plan.nodes[at].skew_ms != 0 || plan.nodes[at].drift_ppm != 0 {
            add(&|p| (p.nodes[at].skew_ms, p.nodes[at].drift_ppm) = (0, 0));
        }
    }
    if let Some(vaults) = &plan.vaults {
        add(&|p| p.vaults = None);
        for at in 0..vaults.liars.len() {
            add(&|p| p.vaults.iter_mut().for_each(|v| drop(v.liars.remove(at))));
        }
        if vaults.asleep {
            add(&|p| p.vaults.iter_mut().for_each(|v| v.asleep = false));
        }
        if vaults.acts_max > 1 {
            add(&|p| p.vaults.iter_mut().for_each(|v| v.acts_max /= 2));
        }
    }
    if plan.heights_after > 1 {
        add(&|p| p.heights_after = 1);
    }
    if plan.heal_at_ms > 100 {
        add(&|p| p.heal_at_ms = p.heal_at_ms * 3 / 4);
    }
    if plan.submit_every_ms < 5_000 {
        add(&|p| p.submit_every_ms = 10_000);
        add(&|p| p.submit_every_ms *= 2);
    }
    if plan.links.delay_max_ms > 3 {
        add(&|p| p.links.delay_max_ms = 3);
    }
    list
}
