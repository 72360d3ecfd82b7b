//! What an operator sees of a vault: counters since its start and how full its bounded parts are.

use crate::{
    disk::Kind,
    vault::{Vault, VaultError},
};
use vouch_ledger::Table;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $metric:literal),* $(,)?) => {
        /// Counters since the vault was made. The one place where the names of this crate's metrics stand.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        impl Counters {
            /// Metric name and value; for the metrics page.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$(($metric, self.$name)),*]
            }
        }
    };
}

counters! {
    /// Documents staged.
    stages = "vouch_vault_staged_total",
    /// Documents refused when they were to be staged.
    stages_refused = "vouch_vault_stage_refused_total",
    /// Deliveries sent from the outbox.
    deliveries_sent = "vouch_vault_deliveries_sent_total",
    /// Deliveries checked and kept.
    deliveries_taken = "vouch_vault_deliveries_taken_total",
    /// Deliveries of what was here already.
    deliveries_again = "vouch_vault_deliveries_again_total",
    /// Deliveries of what this member is not to hold, in part or at all; nothing of them was kept.
    unentitled_deliveries = "vouch_vault_unentitled_deliveries_total",
    /// Deliveries that peers did not take.
    refused_by_peers = "vouch_vault_refused_by_peers_total",
    /// Receipts of holders kept.
    receipts_kept = "vouch_vault_receipts_total",
    /// Versions that came to be here whole.
    possessed = "vouch_vault_possessed_total",
    /// Fetches sent.
    fetches_sent = "vouch_vault_fetches_sent_total",
    /// Fetches that nobody answered in time.
    fetches_unanswered = "vouch_vault_fetches_unanswered_total",
    /// Fetches answered with a delivery.
    fetches_served = "vouch_vault_fetches_served_total",
    /// Requests put off because a member fetched too much in a while.
    over_budget = "vouch_vault_over_budget_total",
    /// Pieces of files sent.
    pieces_sent = "vouch_vault_pieces_sent_total",
    /// Pieces of files checked and kept.
    pieces_taken = "vouch_vault_pieces_taken_total",
    /// Files that came to be here whole.
    files_completed = "vouch_vault_files_total",
    /// Files that were to be fetched and turned out to be here.
    files_found = "vouch_vault_files_found_total",
    /// Reads of files at rest that failed.
    file_faults = "vouch_vault_file_faults_total",
    /// Files removed that belonged to nothing.
    orphans = "vouch_vault_orphans_total",
    /// Comparisons with peers begun.
    comparisons = "vouch_vault_comparisons_total",
    /// Versions that holders turned out to have lost.
    lost_by_holders = "vouch_vault_lost_by_holders_total",
    /// Lists of holders that were not asked for, or longer than what was.
    unasked_lists = "vouch_vault_unasked_lists_total",
    /// Receipts asked for again.
    receipts_asked = "vouch_vault_receipts_asked_total",
    /// Copies at rest checked.
    copies_checked = "vouch_vault_copies_checked_total",
    /// Bytes of files at rest checked.
    file_bytes_checked = "vouch_vault_file_bytes_checked_total",
    /// Damages found at rest.
    damages = "vouch_vault_damages_total",
    /// Checks of everything at rest that came to their end.
    scrubs_ended = "vouch_vault_scrubs_total",
    /// Looks through all or a party's documents that came to their end.
    sweeps_ended = "vouch_vault_sweeps_total",
    /// Documents shredded.
    shredded = "vouch_vault_shredded_total",
    /// Uploads of files begun.
    uploads_begun = "vouch_vault_uploads_total",
    /// Bytes of files uploaded.
    upload_bytes = "vouch_vault_upload_bytes_total",
    /// Uploads that were refused, or not what their hash says.
    uploads_refused = "vouch_vault_upload_refused_total",
    /// Uploads forgotten because nothing more came.
    uploads_expired = "vouch_vault_uploads_expired_total",
    /// Bytes of files shown.
    file_bytes_read = "vouch_vault_file_bytes_read_total",
    /// Reads asked for.
    reads = "vouch_vault_reads_total",
    /// Reads refused.
    reads_refused = "vouch_vault_reads_refused_total",
    /// Acts that the chain refused.
    acts_refused = "vouch_vault_acts_refused_total",
    /// Messages that break the protocol.
    faults = "vouch_vault_peer_faults_total",
    /// Messages of peers that are no node of an active member.
    strangers = "vouch_vault_strangers_total",
}

/// How full the bounded parts are, and how far the unbounded ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VaultStatus {
    /// Last height whose changes were taken in.
    pub height: u64,
    /// Documents staged and waiting for their transactions.
    pub staged: usize,
    /// Files being uploaded, or uploaded and waiting for their document.
    pub uploads: usize,
    /// Bytes set aside for them.
    pub upload_bytes: u64,
    /// Files opened for reading.
    pub openings: usize,
    /// Whether anything is to be had and is not here yet.
    pub wants_some: bool,
    /// Whether anything is owed to peers.
    pub owes_some: bool,
    /// Deliveries on their way, to all peers.
    pub flights: usize,
    /// Most of them to one peer.
    pub flights_one_peer: usize,
    /// Most bytes of them to one peer.
    pub flight_bytes_one_peer: usize,
    /// Versions looked for, in memory.
    pub searches: usize,
    /// Fetches under way.
    pub fetches: usize,
    /// Files being fetched.
    pub transfers: usize,
    /// Deliveries that wait for their block.
    pub early: usize,
    /// Bytes of them.
    pub early_bytes: usize,
    /// Looks through documents under way.
    pub sweeps: usize,
    /// Acts that the chain has not taken yet.
    pub acts: usize,
    /// Those of them that are given out.
    pub acts_under_way: usize,
    /// Records of the read audit.
    pub audit_records: u64,
    /// Those of them that the chain vouches for.
    pub audit_anchored: u64,
}

impl Vault {
    /// How things stand.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn status(&self) -> Result<VaultStatus, VaultError> {
        let any = |kind: Kind| Ok::<_, VaultError>(!self.disk.scan(Table::Vault, &[kind as u8], None, 1)?.is_empty());
        let (flights, flights_one_peer, flight_bytes_one_peer) = self.outbox.load();
        let (searches, fetches) = self.fetches.load();
        let (early, early_bytes) = self.early.load();
        let (audit_records, audit_anchored) = self.audit.load();
        let (uploads, upload_bytes) = self.uploads_load()?;
        let (acts, acts_under_way) = self.acts.load();
        Ok(VaultStatus {
            height: self.height.0,
            staged: self.staged_count,
            uploads,
            upload_bytes,
            openings: self.openings.load(),
            wants_some: any(Kind::Wanted)? || any(Kind::Transfer)?,
            owes_some: any(Kind::Outbox)?,
            flights,
            flights_one_peer,
            flight_bytes_one_peer,
            searches,
            fetches,
            transfers: self.transfers.load(),
            early,
            early_bytes,
            sweeps: self.sweeps.load(),
            acts,
            acts_under_way,
            audit_records,
            audit_anchored,
        })
    }

    /// Counters since the vault was made.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Versions this member is to hold and does not yet, ascending, at most `limit`.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn missing(&self, limit: usize) -> Result<Vec<crate::words::VersionKey>, VaultError> {
        let rows = self.disk.scan(Table::Vault, &[Kind::Wanted as u8], None, limit)?;
        rows.iter().map(|(key, _)| crate::disk::version_at_end(key)).collect()
    }

    /// The fields of a version that are here with all their files; none for one that is not held.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn possession(&self, key: &crate::words::VersionKey) -> Result<crate::words::FieldSet, VaultError> {
        Ok(self.held(key)?.map(|held| held.possessed()).unwrap_or_default())
    }

    /// Whether the sums that comparisons use are those of the storage: a check for tests and operators.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn sums_are_sound(&self) -> Result<bool, VaultError> {
        self.reconciliation.is_what_lies_in(&self.disk)
    }
}
