//! Bugs that are planted on purpose, outside of the production code: in what lies between a replica and its disk, its
//! clock, its callers and its peers. A simulator that does not catch them would not catch real ones.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Says that a rule was broken when none was: the judge's voice is heard.
    Canary,
    /// The disk says it synced when it did not.
    IgnoreSync,
    /// The consensus log is never written.
    SkipLog,
    /// A block and its results are written in two steps.
    TornCommit,
    /// A block is reported final before it is durable.
    UnsyncedCommit,
    /// Transactions that stand in the chain are not remembered.
    ForgetIds,
    /// Blocks voted for are not kept over a restart.
    ForgetUndecided,
    /// Proofs of contradiction are thrown away.
    LoseEvidence,
    /// One node lists state in another way than the others.
    MapOrder,
    /// Certificates are stored with too few signatures.
    ThinCertificate,
    /// Refused transactions are reported as accepted.
    AcknowledgeAll,
    /// Accepted transactions never reach the replica.
    SwallowTransactions,
    /// Consensus timers never fire.
    DeafTimers,
    /// All clocks are an hour ahead.
    FastClock,
    /// Failed writes are reported as done.
    SwallowErrors,
    /// A node that is taken for honest votes twice.
    TwoFaced,
    /// A third of the power and more lies: agreement is lost.
    TooManyTwins,
    /// Connections to nodes that were removed stay.
    OpenDoor,
    /// A node that restarts has lost its consensus log.
    ForgetOnRestart,
    /// A node whose disk was lost or replaced by an older copy votes as if nothing had been signed before.
    TrustAnyDisk,
    /// Vaults take one member more for entitled than the contract names.
    OneTooMany,
    /// Vaults sign for documents that came to them before their keys are durable.
    ReceiptFirst,
    /// The key of an erased document stays where it was.
    LeaveKey,
    /// Deliveries never leave.
    LoseDeliveries,
    /// Vaults attest to hold every field, whatever they hold.
    AttestUnseen,
    /// What vaults log names a private value.
    LogValues,
    /// A replica waits for its node's vault.
    WaitForVaults,
}

impl Mutant {
    /// All, with their names, what the bug is, and within how many seeds it must be caught.
    pub const ALL: &[(Self, &str, u64)] = &[
        (Self::Canary, "canary", 3),
        (Self::IgnoreSync, "ignore-sync", 60),
        (Self::SkipLog, "skip-log", 40),
        (Self::TornCommit, "torn-commit", 80),
        (Self::UnsyncedCommit, "unsynced-commit", 60),
        (Self::ForgetIds, "forget-ids", 20),
        (Self::ForgetUndecided, "forget-undecided", 40),
        (Self::LoseEvidence, "lose-evidence", 60),
        (Self::MapOrder, "map-order", 20),
        (Self::ThinCertificate, "thin-certificate", 3),
        (Self::AcknowledgeAll, "acknowledge-all", 20),
        (Self::SwallowTransactions, "swallow-transactions", 10),
        (Self::DeafTimers, "deaf-timers", 30),
        (Self::FastClock, "fast-clock", 3),
        (Self::SwallowErrors, "swallow-errors", 40),
        (Self::TwoFaced, "two-faced", 10),
        (Self::TooManyTwins, "too-many-twins", 20),
        (Self::OpenDoor, "open-door", 20),
        (Self::ForgetOnRestart, "forget-on-restart", 40),
        (Self::TrustAnyDisk, "trust-any-disk", 200),
        (Self::OneTooMany, "one-too-many", 60),
        (Self::ReceiptFirst, "receipt-first", 120),
        (Self::LeaveKey, "leave-key", 60),
        (Self::LoseDeliveries, "lose-deliveries", 60),
        (Self::AttestUnseen, "attest-unseen", 60),
        (Self::LogValues, "log-values", 60),
        (Self::WaitForVaults, "wait-for-vaults", 120),
    ];

    /// By name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n, _)| *n == name).map(|(m, ..)| *m)
    }
}
