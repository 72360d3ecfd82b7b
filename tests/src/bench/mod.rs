//! Measurements of the whole, written as figures for the documents.
//!
//! Deliberately not here: pass or fail. A bar that is missed is written down as missed; whoever reads the document judges.
//!
//! ```text
//! bench NAME --> network of real nodes (or copies of the bare path) --> Figure --> $VOUCH_FIGURES/NAME.json
//! ```

mod crash;
mod delay;
mod figure;
mod idle;
mod load;
mod path;
mod sync;
mod tree;

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
}

/// How thoroughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Only to see that it works.
    pub is_quick: bool,
}

impl Scale {
    /// One of two numbers.
    #[must_use]
    pub const fn of(self, full: u64, quick: u64) -> u64 {
        if self.is_quick { quick } else { full }
    }
}

/// Longest any one measurement may take.
const LIMIT: Duration = Duration::from_secs(40 * 60);

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
                Self::Delay => delay::measure(scale).await,
                Self::Idle => idle::measure(scale).await,
                Self::Crash => crash::measure(scale).await,
                Self::Sync => sync::measure(scale).await,
                Self::Snapshot => sync::measure_snapshot(scale).await,
                Self::Tree => tree::measure(scale).await,
            }
        };
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
