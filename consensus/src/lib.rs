//! Byzantine agreement on one block per height: inputs in, effects out.
//!
//! Wraps the sans-IO core of Malachite (Tendermint) in our types, our write-ahead log and our rules, so that the same code
//! runs in the node under tokio and in the simulator under a seed.
//!
//! Deliberately not here: clocks, randomness, files, sockets, tasks; block payloads, which travel beside consensus and are
//! known to it by their hash; the pace of blocks, which is the host's by when it starts a height; fetching blocks that were
//! missed, which ends here with a certificate.
//!
//! ```text
//!   network ──message──► ┌────────┐ ──AppendLog, SyncLog──► log file
//!   ledger ───verdict──► │ Driver │ ──Broadcast───────────► network
//!   clock ─────timer───► │        │ ──RequestProposal─────► ledger ──BlockProposed──┐
//!   sync ─certificate──► └────────┘ ──Decide, Finalize────► ledger ──HeightStarted──┤
//!                            ▲                                                      │
//!                            └──────────────────────────────────────────────────────┘
//! ```
//!
//! Three rules keep a validator from contradicting itself. What it signs is in the log, and the log is synced, before it is
//! sent. After a crash the log is fed to the core again and must lead to the same signatures. And whatever the core wants,
//! the one place that signs refuses a second statement for the same height, round and kind. When a rule cannot be kept the
//! driver stops with a [`SafetyFault`].
#![forbid(unsafe_code)]

mod context;
mod convert;
mod driver;
mod evidence;
mod fault;
mod io;
mod log;
mod members;
mod message;
mod relay;
mod shell;
mod status;
mod timers;
mod verdicts;
mod verify;
mod waiting;

pub use driver::{Driver, DriverConfig};
pub use evidence::{EVIDENCE_BYTES_MAX, EVIDENCE_VERSION, Evidence, EvidenceError};
pub use fault::{SafetyFault, SignedKind};
pub use io::{Effect, Input};
pub use log::{LOG_PAYLOAD_BYTES_MAX, LOG_VERSION, LogEntry, LogError, LogReader, RecoveredLog};
pub use message::{
    ConsensusMessage, MESSAGE_BYTES_MAX, MESSAGE_VERSION, MessageError, PolkaCertificate, PolkaSignature, ROUND_MAX,
    RoundCertificate, RoundCertificateKind, RoundSignature, SignedProposal, SignedVote,
};
pub use relay::RelayFilter;
pub use status::{ConsensusStatus, Step, ValidatorStatus};
pub use timers::{Timeouts, TimerId, TimerKind};
pub use verify::{DirectCheck, SignatureCheck};
