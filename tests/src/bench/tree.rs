//! The state tree with many keys: runs the store's own measurement and writes it down as a figure.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use super::{Figure, Scale};
use crate::cluster::Program;

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let mut figure = Figure::new("performance-state-tree", "tree", "nothing");
    let path = Program::find()?.folder()?.join("examples/tree_bench");
    if !path.is_file() {
        bail!("{} is not built: cargo build --workspace --example tree_bench", path.display());
    }
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let out = folder.path().join("tree.json");
    let keys = scale.of(10_000_000, 100_000).to_string();
    let mut command = Command::new(&path);
    command.args(["--keys", &keys, "--out"]).arg(&out).arg("--dir").arg(folder.path().join("data"));
    if scale.is_quick {
        command.args(["--blocks", "5"]);
    }
    let running = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).status();
    let status = tokio::time::timeout(Duration::from_secs(30 * 60), running).await.context("it does not end")??;
    if !status.success() {
        bail!("{} ended with {status}", path.display());
    }
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&out)?)?;
    let numbers = report["figures"].as_object().context("figures")?;
    for (key, value) in numbers.iter().filter_map(|(key, value)| Some((key, value.as_f64()?))) {
        figure.set(key, value);
    }
    for (key, bar) in report["bars"].as_object().context("bars")? {
        if figure.get(key).is_some() {
            figure.bar(key, bar.clone());
        }
    }
    Ok(vec![figure])
}
