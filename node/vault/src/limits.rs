//! Every bound of the vault. All times in milliseconds.

use vouch_types::api::FILE_PIECE_BYTES_MIN;

/// The bounds; the default suits a node of two cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultLimits {
    /// Deliveries to one peer without a receipt yet.
    pub flights_max: usize,
    /// Bytes of them.
    pub flight_bytes_max: usize,
    /// How long a peer may take to answer.
    pub answer_ms: u64,
    /// First pause after a peer answered nothing; doubled each time.
    pub retry_min_ms: u64,
    /// Longest pause.
    pub retry_max_ms: u64,
    /// How long what should be held is left to its issuer to deliver before it is asked for.
    pub push_patience_ms: u64,
    /// Versions in memory that are looked for; further ones wait on disk.
    pub fetch_window: usize,
    /// Fetches under way, to all peers.
    pub fetches_max: usize,
    /// Fetches under way to one peer.
    pub fetches_per_peer_max: usize,
    /// Deliveries kept until the chain here knows their documents.
    pub early_max: usize,
    /// Bytes of them.
    pub early_bytes_max: usize,
    /// What one member's nodes may fetch per second, in bytes.
    pub serve_bytes_per_second: u64,
    /// What they may fetch at once after a quiet time, in bytes.
    pub serve_bytes_burst: u64,
    /// Documents staged here that wait for their transactions.
    pub staged_max: usize,
    /// How long a staged document waits.
    pub staged_keep_ms: u64,
    /// Files being uploaded, or uploaded and not named by a staged document yet.
    pub uploads_max: usize,
    /// Those of one account.
    pub uploads_per_account_max: usize,
    /// Bytes set aside for them.
    pub upload_bytes_max: u64,
    /// Those of one account.
    pub upload_bytes_per_account_max: u64,
    /// Least bytes of a piece, unless it is the last one.
    pub piece_bytes_min: usize,
    /// How long one waits for its next piece or its document.
    pub upload_keep_ms: u64,
    /// Bytes of the disk that uploads leave free.
    pub disk_reserve_bytes: u64,
    /// Files opened for reading at the same time.
    pub openings_max: usize,
    /// Those of one account.
    pub openings_per_account_max: usize,
    /// How long an opening is good.
    pub opening_keep_ms: u64,
    /// Files fetched at the same time.
    pub transfers_max: usize,
    /// Pieces of one file asked for and not there yet.
    pub pieces_max: usize,
    /// Pieces after which what came of a file is made durable: what a crash can take of it.
    pub sync_pieces: u64,
    /// Documents looked through in one go.
    pub sweep_slice: u32,
    /// Pause between two goes.
    pub sweep_pause_ms: u64,
    /// Time between two looks at everything.
    pub sweep_every_ms: u64,
    /// Parties waiting to be looked through; one more, and everything is.
    pub sweeps_max: usize,
    /// From connecting to the first comparison with a peer.
    pub compare_first_ms: u64,
    /// Time between two comparisons with a peer.
    pub compare_every_ms: u64,
    /// Copies at rest checked in one go.
    pub scrub_slice: usize,
    /// Bytes of files checked in one go.
    pub scrub_bytes: u64,
    /// Pause between two goes.
    pub scrub_pause_ms: u64,
    /// Folders of 256 looked through for files that belong to nothing, in one go.
    pub orphan_folders: u8,
    /// How long a file belongs to nothing before it is removed.
    pub orphan_keep_ms: u64,
    /// Time between two looks at a file on the own disk that was not what its name says.
    pub look_every_ms: u64,
    /// Time between the ends of two checks of everything at rest.
    pub scrub_every_ms: u64,
    /// Longest time a read waits for its anchor on the chain.
    pub anchor_every_ms: u64,
    /// Reads after which they are anchored sooner.
    pub anchor_records: u64,
    /// How long an act given out may take to settle before it is given out again.
    pub act_ms: u64,
    /// How long after its time the issuer's nodes are left to have an erasure go on; then any holder's does.
    pub erasure_patience_ms: u64,
    /// Acts not settled; possessions gather beyond it.
    pub acts_max: usize,
    /// How long possessions gather before they are attested together.
    pub possession_gather_ms: u64,
    /// Possessions attested in one act; the contract takes 100.
    pub possessions_max: usize,
}

impl Default for VaultLimits {
    fn default() -> Self {
        Self {
            flights_max: 64,
            flight_bytes_max: 8 << 20,
            answer_ms: 5_000,
            retry_min_ms: 500,
            retry_max_ms: 60_000,
            push_patience_ms: 1_500,
            fetch_window: 1_024,
            fetches_max: 64,
            fetches_per_peer_max: 16,
            early_max: 256,
            early_bytes_max: 16 << 20,
            serve_bytes_per_second: 8 << 20,
            serve_bytes_burst: 16 << 20,
            staged_max: 10_000,
            staged_keep_ms: 24 * 3_600_000,
            uploads_max: 1_024,
            uploads_per_account_max: 256,
            upload_bytes_max: 64 << 30,
            upload_bytes_per_account_max: 16 << 30,
            piece_bytes_min: FILE_PIECE_BYTES_MIN,
            upload_keep_ms: 24 * 3_600_000,
            disk_reserve_bytes: 2 << 30,
            openings_max: 1_024,
            openings_per_account_max: 64,
            opening_keep_ms: 3_600_000,
            transfers_max: 4,
            pieces_max: 4,
            sync_pieces: 4,
            sweep_slice: 64,
            sweep_pause_ms: 5,
            sweep_every_ms: 24 * 3_600_000,
            sweeps_max: 1_024,
            compare_first_ms: 2_000,
            compare_every_ms: 60_000,
            scrub_slice: 16,
            scrub_bytes: 8 << 20,
            scrub_pause_ms: 200,
            orphan_folders: 1,
            orphan_keep_ms: 7 * 24 * 3_600_000,
            look_every_ms: 3_600_000,
            scrub_every_ms: 24 * 3_600_000,
            anchor_every_ms: 3_600_000,
            anchor_records: 10_000,
            act_ms: 30_000,
            erasure_patience_ms: 24 * 3_600_000,
            acts_max: 64,
            possession_gather_ms: 1_000,
            possessions_max: 100,
        }
    }
}
