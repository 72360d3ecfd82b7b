//! The same load with longer wires between the nodes.

use std::time::Duration;

use anyhow::Result;

use super::{
    Figure, Scale,
    load::{BESIDE, half, index_behind, set_report},
};
use crate::cluster::{Cluster, Load, Options, Pressure};

/// Delays from node to node, one way.
const DELAYS_MS: [u64; 3] = [1, 10, 50];
/// From block to block: about as short as it is meant to get, since what a transaction waits for its block comes on top of the lines.
const BLOCK_INTERVAL_MS: u32 = 255;
/// A load that leaves the processors idle most of the time, a second: what is measured then is the lines and the protocol.
const LIGHT: u32 = 300;

/// What a transaction waits on average before any processor did anything: half an interval for its block, a line to the proposer for
/// three of four, and proposal, prevotes and precommits.
fn lines_and_pace_ms(delay_ms: f64) -> f64 {
    f64::from(BLOCK_INTERVAL_MS) / 2.0 + (0.75 + 3.0) * delay_ms
}

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let beside = format!("{BESIDE}; relays on it hold back what passes between the nodes");
    let mut figure = Figure::new("performance-delay", "delay", &beside);
    figure.set("block_interval_set_ms", f64::from(BLOCK_INTERVAL_MS));
    for delay_ms in DELAYS_MS {
        let options = Options {
            delay: Some(Duration::from_millis(delay_ms)),
            block_interval_ms: BLOCK_INTERVAL_MS,
            ..Options::default()
        };
        let cluster = Cluster::start(options).await?;
        Load::start(&cluster, scale.of(5, 1), Pressure::Rate(500))?.finish().await?;
        // What is under way for longer must be more to fill the line.
        let pressure = Pressure::InFlight(6_000 + 200 * delay_ms);
        let (full, _) = Load::start(&cluster, scale.of(40, 4), pressure)?.finish().await?;
        // What the full load left for the indexes to do is not part of the lighter ones.
        index_behind(&cluster).await?;
        let (light, _) = Load::start(&cluster, scale.of(20, 4), Pressure::Rate(LIGHT))?.finish().await?;
        let (calm, _) = Load::start(&cluster, scale.of(40, 4), Pressure::Rate(half(&full)))?.finish().await?;
        let [at_full, at_half, at_light] =
            ["saturation", "half_load", "light_load"].map(|load| format!("one_way_{delay_ms}_ms_{load}_"));
        figure.set(format!("one_way_{delay_ms}_ms_lines_and_pace_ms"), lines_and_pace_ms(delay_ms as f64));
        set_report(&mut figure, &at_light, &light);
        set_report(&mut figure, &at_full, &full);
        set_report(&mut figure, &at_half, &calm);
        figure.at_least(&format!("{at_full}committed_per_second"), full.committed_per_second, 3_000.0);
        for (load, report) in [(&at_half, &calm), (&at_light, &light)] {
            for (key, value, most) in [
                ("latency_p50_ms", report.latency_p50_ms, 400.0),
                ("latency_p95_ms", report.latency_p95_ms, 700.0),
                ("latency_p99_ms", report.latency_p99_ms, 1_000.0),
            ] {
                figure.at_most(&format!("{load}{key}"), value, most);
            }
        }
        figure.between(&format!("{at_half}block_interval_p50_ms"), calm.block_interval_p50_ms, 250.0, 500.0);
        for (key, report) in [(&at_full, &full), (&at_half, &calm), (&at_light, &light)] {
            figure.at_most(&format!("{key}lost_count"), report.lost as f64, 0.0);
        }
    }
    Ok(vec![figure])
}
