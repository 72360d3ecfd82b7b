//! How the node's process and its machine do, for the operations page.

use serde::{Deserialize, Serialize};

use crate::numbers::{Height, TimestampMs};

/// Seconds between two samples.
pub const SAMPLE_SECONDS: u64 = 5;
/// Samples kept: an hour of them.
pub const SAMPLES_MAX: usize = 720;

/// One sample: means over the time since the one before, unless they are sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationsSample {
    /// When it was taken, by the machine's clock.
    pub time: TimestampMs,
    /// The node's share of one processor, in thousandths: 1,500 means one and a half.
    pub cpu: u32,
    /// The machine's share of all its processors, in thousandths.
    pub machine_cpu: u32,
    /// Memory of the node, in bytes.
    pub memory: u64,
    /// Memory of the machine that others may still have, in bytes.
    pub memory_available: u64,
    /// Free bytes of the disk the database is on.
    pub disk_free: u64,
    /// Bytes the node read from disks, per second.
    pub disk_read: u64,
    /// Bytes the node wrote to disks, per second.
    pub disk_written: u64,
    /// Connected peers.
    pub peers: u32,
    /// Mean time between blocks, in milliseconds; 0 when none came.
    pub block_interval: u32,
    /// Transactions in blocks, in thousandths per second.
    pub transactions: u32,
    /// Blocks that the index is behind.
    pub index_lag: u64,
}

/// How the node's process and its machine do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationsView {
    /// Height of the last block this node knows.
    pub head: Height,
    /// Processors.
    pub processors: u32,
    /// Memory of the machine, in bytes.
    pub memory_total: u64,
    /// Size of the disk the database is on, in bytes.
    pub disk_total: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Peers that the registry admits.
    pub peers_expected: u32,
    /// Samples, oldest first, a few seconds apart, of the last hour.
    pub samples: Vec<OperationsSample>,
}
