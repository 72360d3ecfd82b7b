//! The same load with longer wires between the nodes.

use std::time::Duration;

use anyhow::Result;

use super::{
    Figure, Scale,
    load::{BESIDE, half, set_report},
};
use crate::cluster::{Cluster, Load, Options, Pressure};

/// Delays from node to node, one way.
const DELAYS_MS: [u64; 3] = [1, 10, 50];

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let beside = format!("{BESIDE}; relays on it hold back what passes between the nodes");
    let mut figure = Figure::new("performance-delay", "delay", &beside);
    for delay_ms in DELAYS_MS {
        let options = Options { delay: Some(Duration::from_millis(delay_ms)), ..Options::default() };
        let cluster = Cluster::start(options).await?;
        Load::start(&cluster, scale.of(5, 1), Pressure::Rate(500))?.finish().await?;
        // What is under way for longer must be more to fill the line.
        let pressure = Pressure::InFlight(6_000 + 200 * delay_ms);
        let (full, _) = Load::start(&cluster, scale.of(40, 4), pressure)?.finish().await?;
        let (calm, _) = Load::start(&cluster, scale.of(40, 4), Pressure::Rate(half(&full)))?.finish().await?;
        set_report(&mut figure, &format!("one_way_{delay_ms}_ms_saturation_"), &full);
        set_report(&mut figure, &format!("one_way_{delay_ms}_ms_half_load_"), &calm);
    }
    Ok(vec![figure])
}
