//! One measurement's numbers, and the file they are written to.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Numbers by key, with bars for some of them. A key ends with its unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Name of the file; begins with the document it appears in.
    pub name: &'static str,
    command: String,
    beside: String,
    figures: BTreeMap<String, f64>,
    bars: BTreeMap<String, Value>,
}

/// The load of the machine, as the system gives it.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// How long the machine is watched before a measurement.
const WATCHED: Duration = Duration::from_secs(2);
/// Stands for a share that was not measured.
const UNKNOWN: u64 = u64::MAX;
/// Per mille of the machine that others used before the measurement that runs.
static OTHERS: AtomicU64 = AtomicU64::new(UNKNOWN);

/// Ticks of all processors so far: those that did something, and all.
fn ticks() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    let all: u64 = fields.iter().sum();
    // Idle, and waiting for a disk.
    let idle = fields.get(3)? + fields.get(4)?;
    Some((all - idle, all))
}

/// Watches the machine while nothing of a measurement runs yet: what is busy now will be beside it.
pub(super) async fn watch_others() {
    let before = ticks();
    tokio::time::sleep(WATCHED).await;
    let share = before.zip(ticks()).and_then(|((busy, all), (busy_now, all_now))| {
        (busy_now.saturating_sub(busy) * 1000).checked_div(all_now.saturating_sub(all))
    });
    OTHERS.store(share.unwrap_or(UNKNOWN), Relaxed);
}

/// What ran on the machine besides: what the measurement says of itself, what others used, what may differ from the commit.
fn beside(own: &str) -> String {
    let mut text = format!("{own}; load average at the start {}", load_average());
    let others = OTHERS.load(Relaxed);
    if others != UNKNOWN {
        text += &format!("; before it others used {}.{} % of the machine", others / 10, others % 10);
    }
    if std::env::var("VOUCH_UNCOMMITTED").is_ok_and(|said| said == "yes") {
        text += "; the tree had changes on top of this commit";
    }
    text
}

impl Figure {
    /// Without numbers yet; made before the measurement, so that the load it states is that at the start. `own` says what the
    /// measurement itself runs on the machine besides what it measures.
    #[must_use]
    pub fn new(name: &'static str, measurement: &str, own: &str) -> Self {
        Self {
            name,
            command: format!("./run bench {measurement}"),
            beside: beside(own),
            figures: BTreeMap::new(),
            bars: BTreeMap::new(),
        }
    }

    /// Adds a number.
    pub fn set(&mut self, key: impl Into<String>, value: f64) {
        // Three digits behind the point: more is noise.
        self.figures.insert(key.into(), (value * 1000.0).round() / 1000.0);
    }

    /// Adds a number that must not be less.
    pub fn at_least(&mut self, key: &str, value: f64, min: f64) {
        self.set(key, value);
        self.bars.insert(key.into(), json!({ "min": min }));
    }

    /// Adds a number that must not be more.
    pub fn at_most(&mut self, key: &str, value: f64, max: f64) {
        self.set(key, value);
        self.bars.insert(key.into(), json!({ "max": max }));
    }

    /// Adds a number that must be within bounds.
    pub fn between(&mut self, key: &str, value: f64, min: f64, max: f64) {
        self.set(key, value);
        self.bars.insert(key.into(), json!({ "min": min, "max": max }));
    }

    /// Adds a bar as it is written.
    pub fn bar(&mut self, key: &str, bar: Value) {
        self.bars.insert(key.into(), bar);
    }

    /// A number.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<f64> {
        self.figures.get(key).copied()
    }

    /// Keys of bars that are missed.
    #[must_use]
    pub fn missed(&self) -> Vec<&str> {
        let is_missed = |(key, bar): &(&String, &Value)| {
            let value = self.figures.get(*key).copied().unwrap_or(f64::NAN);
            let is_above = bar["min"].as_f64().is_none_or(|min| value >= min);
            let is_below = bar["max"].as_f64().is_none_or(|max| value <= max);
            !(is_above && is_below)
        };
        self.bars.iter().filter(is_missed).map(|(key, _)| key.as_str()).collect()
    }

    /// As it is written. What is not measured comes from the environment.
    #[must_use]
    pub fn to_json(&self) -> String {
        let named = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.into());
        let value = json!({
            "name": self.name,
            "command": self.command,
            "commit": named("VOUCH_COMMIT", "0000000"),
            "date": named("VOUCH_DATE", "1970-01-01"),
            "machine": named("VOUCH_MACHINE", "not stated"),
            "beside": self.beside,
            "figures": self.figures,
            "bars": self.bars,
        });
        format!("{value:#}\n")
    }

    /// Writes it to its file in a folder.
    ///
    /// # Errors
    /// When that fails.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(format!("{}.json", self.name));
        std::fs::write(&path, self.to_json()).with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_bars_are_named() {
        let mut figure = Figure::new("performance-x", "x", "nothing");
        figure.at_least("rate_per_second", 3000.0, 3000.0);
        figure.at_most("wait_ms", 2.5, 2.0);
        figure.between("pace_ms", 1.0, 2.0, 3.0);
        assert_eq!(figure.missed(), ["pace_ms", "wait_ms"]);
        let written: Value = serde_json::from_str(&figure.to_json()).unwrap();
        assert_eq!(written["bars"]["pace_ms"], json!({ "min": 2.0, "max": 3.0 }));
    }
}
