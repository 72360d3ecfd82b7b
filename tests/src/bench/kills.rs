//! Bulk uplink that is killed on the way, at random points: whether every row is on the chain exactly once.

use std::{process::Stdio, time::Duration};

use anyhow::{Result, ensure};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use vouch_sdk::Client;

use super::{Figure, Scale};
use crate::{
    cluster::{Cluster, Options, peak_of, until},
    month::{self, CLIENTS, Month},
};

/// The month is always the same, the kills are not.
const SEED: u64 = 11;
/// How often the command is killed, over all steps.
const KILLS: u64 = 10;
/// Longest wait for a document to be on the chain.
const PATIENCE: Duration = Duration::from_secs(600);
/// Whose node is asked.
const REGULATOR: usize = 3;

/// Starts the command and kills it a while after so many documents are on the chain; whether it was killed before its end.
async fn killed(cluster: &Cluster, arguments: &[String], client: &Client, at: u64, after: Duration) -> Result<bool> {
    let mut child = cluster.program.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let due = async {
        until(&format!("{at} documents are on the chain"), PATIENCE, async || {
            Ok((at == 0 || !client.documents(at - 1, 1).await?.is_empty()).then_some(()))
        })
        .await?;
        tokio::time::sleep(after).await;
        anyhow::Ok(())
    };
    tokio::select! {
        status = child.wait() => { status?; Ok(false) }
        result = due => { result?; child.kill().await?; Ok(true) }
    }
}

pub(super) async fn measure(scale: Scale) -> Result<Figure> {
    let mut figure = Figure::new("reliability-uplink", "uplink", "four nodes and the command that uplinks");
    let cluster = Cluster::start(Options { accounts: 4, ..Options::default() }).await?;
    month::found(&cluster).await?;
    let month = Month::write(&cluster, scale.of(20_000, 300), SEED).await?;
    let client = cluster.client(REGULATOR)?;
    let seed: u64 = rand::random();
    println!("the kills are those of seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut kills, mut at, mut end, mut left) = (0, 0, 0, 0);
    for step in 0..month.steps.len() {
        let (documents, run) = (month.steps[step].documents, month.arguments(&cluster, step, &month.path(step)));
        end += documents;
        // Each step is killed its part; the last one, what is left.
        let planned =
            KILLS * (step as u64 + 1) / month.steps.len() as u64 - KILLS * step as u64 / month.steps.len() as u64;
        for kill in 0..planned {
            // At least one more part than kills is still to come, so that no run is through before.
            let part = (end - at) / (planned - kill + 1);
            // The first of each step at any time from the start on, reading and checking included.
            at += if kill == 0 { 0 } else { random.random_range(1..=part.max(1)) };
            let after = Duration::from_millis(random.random_range(0..scale.of(1_500, 150)));
            kills += u64::from(killed(&cluster, &run, &client, at, after).await?);
        }
        let (output, _) = peak_of(cluster.program.command(&run)).await?;
        let said = output.success()?.json()?["sent"].clone();
        let number = |name: &str| said[name].as_u64().unwrap_or_default();
        ensure!(number("sent") + number("already") == documents, "not all of step {step} was sent: {said}");
        left += number("sent");
        at = end;
        if step == 0 {
            for client in CLIENTS {
                month::sign(&cluster, client, documents).await?;
            }
        }
    }
    let known = month::as_many(&client, end).await?;
    figure.set("documents_count", end as f64);
    figure.at_least("kills_count", kills as f64, KILLS as f64);
    figure.set("left_for_the_last_runs_count", left as f64);
    figure.at_most("missing_count", end.saturating_sub(known.len() as u64) as f64, 0.0);
    figure.at_most("more_than_once_count", (known.len() as u64).saturating_sub(end) as f64, 0.0);
    let revised = known.iter().filter(|document| document.latest != 1).count();
    figure.at_most("sent_again_as_a_version_count", revised as f64, 0.0);
    Ok(figure)
}
