//! The numbers every node must share: sizes, work and pace.

use serde::{Deserialize, Serialize};
use vouch_types::{block::BLOCK_BYTES_MAX, transaction::TRANSACTION_BYTES_MAX};
use wincode::{SchemaRead, SchemaWrite};

use crate::{error::GenesisError, threshold::Thresholds};

/// Bytes a block's header and framing take at most, on top of its transactions.
const BLOCK_FRAME_BYTES: u64 = 1024;

/// Parameters of the chain. A field left out of the JSON text takes its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(default, deny_unknown_fields)]
pub struct ChainParams {
    /// Most bytes of an encoded block; 64 KiB to [`BLOCK_BYTES_MAX`].
    pub block_bytes_max: u32,
    /// Most transactions in a block; 1 to 65,536.
    pub block_transactions_max: u32,
    /// Most bytes of an encoded transaction; 1 KiB to [`TRANSACTION_BYTES_MAX`], and it must fit into a block.
    pub transaction_bytes_max: u32,
    /// Most fuel one transaction may use; about one unit per WASM instruction.
    pub fuel_per_transaction_max: u64,
    /// Most fuel the transactions of one block may use together; not below that of one transaction.
    pub fuel_per_block_max: u64,
    /// How many heights ahead a transaction's expiry may lie, and so how long ids are remembered; 1 to 100,000.
    pub expiry_window: u64,
    /// Pace under load: time from one block to the next; 20 ms to 60 s.
    pub block_interval_ms: u32,
    /// Pace without load: an empty block after this long; not below `block_interval_ms`, at most an hour.
    pub idle_interval_ms: u32,
    /// Wait for a proposal in round 0; 10 ms to 60 s, like the two below.
    pub timeout_propose_ms: u32,
    /// Wait for votes in round 0.
    pub timeout_vote_ms: u32,
    /// What each further round adds to both waits.
    pub timeout_growth_ms: u32,
    /// The waits grow no further than this; not below the two of round 0.
    pub timeout_max_ms: u32,
    /// How far a block's time may be ahead of a validator's clock; 10 ms to 10 min.
    pub clock_drift_max_ms: u32,
    /// How many members must agree to a decision, by its kind.
    pub thresholds: Thresholds,
    /// How long a proposal may be open, in hours; 1 to 8,784 (a year).
    pub proposal_hours_max: u16,
    /// How many proposals of one member may be open; 1 to 256.
    pub proposals_per_member_max: u16,
    /// How many packages that no contract has used one member may keep in the state; 1 to 64.
    pub packages_per_member_max: u16,
}

impl Default for ChainParams {
    fn default() -> Self {
        Self {
            block_bytes_max: 4 << 20,
            block_transactions_max: 10_000,
            transaction_bytes_max: 1 << 20,
            fuel_per_transaction_max: 50_000_000,
            fuel_per_block_max: 500_000_000,
            expiry_window: 2_000,
            block_interval_ms: 300,
            idle_interval_ms: 10_000,
            timeout_propose_ms: 600,
            timeout_vote_ms: 250,
            timeout_growth_ms: 200,
            timeout_max_ms: 3_000,
            clock_drift_max_ms: 2_000,
            thresholds: Thresholds::default(),
            proposal_hours_max: 720,
            proposals_per_member_max: 16,
            packages_per_member_max: 8,
        }
    }
}

impl ChainParams {
    /// Checks every bound.
    ///
    /// # Errors
    /// [`GenesisError::Param`], the first parameter out of bounds, or [`GenesisError::Fraction`].
    pub fn validate(&self) -> Result<(), GenesisError> {
        const MINUTE_MS: u64 = 60_000;
        const FUEL_MAX: u64 = 1 << 50;
        let block_bytes = u64::from(self.block_bytes_max);
        let block_interval = u64::from(self.block_interval_ms);
        let first_wait = u64::from(self.timeout_propose_ms.max(self.timeout_vote_ms));
        let transaction_max = (TRANSACTION_BYTES_MAX as u64).min(block_bytes.saturating_sub(BLOCK_FRAME_BYTES));
        let bounds = [
            ("block_bytes_max", block_bytes, 64 << 10, BLOCK_BYTES_MAX as u64),
            ("block_transactions_max", self.block_transactions_max.into(), 1, 1 << 16),
            ("transaction_bytes_max", self.transaction_bytes_max.into(), 1 << 10, transaction_max),
            ("fuel_per_transaction_max", self.fuel_per_transaction_max, 1_000, FUEL_MAX),
            ("fuel_per_block_max", self.fuel_per_block_max, self.fuel_per_transaction_max, FUEL_MAX),
            ("expiry_window", self.expiry_window, 1, 100_000),
            ("block_interval_ms", block_interval, 20, MINUTE_MS),
            ("idle_interval_ms", self.idle_interval_ms.into(), block_interval, 60 * MINUTE_MS),
            ("timeout_propose_ms", self.timeout_propose_ms.into(), 10, MINUTE_MS),
            ("timeout_vote_ms", self.timeout_vote_ms.into(), 10, MINUTE_MS),
            ("timeout_growth_ms", self.timeout_growth_ms.into(), 10, MINUTE_MS),
            ("timeout_max_ms", self.timeout_max_ms.into(), first_wait, MINUTE_MS),
            ("clock_drift_max_ms", self.clock_drift_max_ms.into(), 10, 10 * MINUTE_MS),
            ("proposal_hours_max", self.proposal_hours_max.into(), 1, 366 * 24),
            ("proposals_per_member_max", self.proposals_per_member_max.into(), 1, 256),
            ("packages_per_member_max", self.packages_per_member_max.into(), 1, 64),
        ];
        for (name, actual, min, max) in bounds {
            if actual < min || actual > max {
                return Err(GenesisError::Param { path: format!("params.{name}"), actual, min, max });
            }
        }
        self.thresholds.validate()
    }
}
