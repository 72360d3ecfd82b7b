//! Measurements of the whole, written as figures for the documents.
//!
//! Deliberately not here: pass or fail. A bar that is missed is written down as missed; whoever reads the document judges.
//!
//! ```text
//! bench NAME --> network of real nodes (or copies of the bare path) --> Figure --> $VOUCH_FIGURES/NAME.json
//! ```

mod cost;
mod crash;
mod delay;
mod figure;
mod flip;
pub mod holders;
mod idle;
mod index;
mod kills;
mod load;
mod path;
mod private;
mod sync;
mod tree;
mod uplink;

use std::time::Duration;

use anyhow::{Context as _, Result};

pub use figure::Figure;
pub use path::{CopyArgs, copy};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Measurement {
    /// As many transactions as the chain takes, then half as many
    Load,
    /// The bare path of a block in as many copies as there are nodes, without network and consensus
    Path,
    /// What a transaction costs a node, part by part
    Cost,
    /// Load with longer wires between the nodes
    Delay,
    /// What nodes use with nothing to do
    Idle,
    /// Kills under load: what is lost, how long the chain stands
    Crash,
    /// How fast a node without data catches up from blocks
    Sync,
    /// How fast a node without data takes the state over
    Snapshot,
    /// The state tree with ten million keys
    Tree,
    /// A large file from a record to another member's disk, and one flipped byte in it
    Flip,
    /// Private documents: from a business system's record to every entitled member's node
    Private,
    /// Holders that are away, wiped, lying or slow: how long until everyone has everything again
    Holders,
    /// The index with ten million documents; `--postgres`: with a million in a server
    Index,
    /// Bulk uplink of a month in files, also killed on the way, and memory while a table of 2 GiB and a file of 1 GiB pass
    Uplink,
}

/// How thoroughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Only to see that it works.
    pub is_quick: bool,
    /// The index in a PostgreSQL server instead of a file.
    pub is_postgres: bool,
}

impl Scale {
    /// One of two numbers.
    #[must_use]
    pub const fn of(self, full: u64, quick: u64) -> u64 {
        if self.is_quick { quick } else { full }
    }
}

/// Longest any one measurement may take: ten million documents go into the index for half an hour.
const LIMIT: Duration = Duration::from_secs(90 * 60);

impl Measurement {
    /// Measures.
    ///
    /// # Errors
    /// When it cannot be measured, or takes too long.
    pub async fn run(self, scale: Scale) -> Result<Vec<Figure>> {
        let work = async {
            match self {
                Self::Load => load::measure(scale).await,
                Self::Path => path::measure(scale).await,
                Self::Cost => cost::measure(scale).await,
                Self::Delay => delay::measure(scale).await,
                Self::Idle => idle::measure(scale).await,
                Self::Crash => crash::measure(scale).await,
                Self::Sync => sync::measure(scale).await,
                Self::Snapshot => sync::measure_snapshot(scale).await,
                Self::Tree => tree::measure(scale).await,
                Self::Flip => flip::measure(scale).await,
                Self::Private => private::measure(scale).await,
                Self::Holders => holders::measure(scale).await,
                Self::Index => index::measure(scale).await,
                Self::Uplink => uplink::measure(scale).await,
            }
        };
        figure::watch_others().await;
        tokio::time::timeout(LIMIT, work).await.with_context(|| format!("{self:?} takes too long"))?
    }
}

/// The value below which a share of the values lies; 0 without values.
#[must_use]
fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}
