//! The node's metrics in Prometheus' text format; this file is their list.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use vouch_index::Index;
use vouch_ledger::{CommittedBlock, Published, Registry};
use vouch_net::NetHandle;
use vouch_replica::ReplicaStatus;
use vouch_store::RocksStore;
use vouch_types::{Height, Outcome};

use crate::{admission::AdmissionStats, server_certificate::ServerReport, vault::VaultReport};

/// Upper bounds of the buckets of block intervals, in milliseconds.
const INTERVAL_BUCKETS_MS: [u64; 8] = [100, 250, 500, 750, 1_000, 2_000, 5_000, 15_000];

/// Counters that grow as blocks come.
#[derive(Debug, Default)]
pub struct Metrics {
    blocks: AtomicU64,
    transactions: AtomicU64,
    transactions_failed: AtomicU64,
    rounds_extra: AtomicU64,
    block_bytes: AtomicU64,
    fuel: AtomicU64,
    intervals: [AtomicU64; INTERVAL_BUCKETS_MS.len() + 1],
    interval_ms_sum: AtomicU64,
    last_time_ms: AtomicU64,
    /// Signature checks.
    pub admission: Arc<AdmissionStats>,
}

impl Metrics {
    /// Blocks, transactions, and the sum of the times between blocks, in milliseconds, since the start.
    pub fn block_counts(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        (read(&self.blocks), read(&self.transactions), read(&self.interval_ms_sum))
    }

    /// Counts a final block.
    pub fn count(&self, block: &CommittedBlock) {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        self.blocks.fetch_add(1, Relaxed);
        self.transactions.fetch_add(number(block.records.len()), Relaxed);
        let failed = block.records.iter().filter(|r| r.receipt.outcome != Outcome::Success).count();
        self.transactions_failed.fetch_add(number(failed), Relaxed);
        self.rounds_extra.fetch_add(block.certificate.round.0.into(), Relaxed);
        self.block_bytes.fetch_add(number(block.bytes), Relaxed);
        self.fuel.fetch_add(block.records.iter().map(|r| r.receipt.fuel_used.0).sum(), Relaxed);
        let before = self.last_time_ms.swap(block.header.time.0, Relaxed);
        if before > 0 {
            let interval = block.header.time.0.saturating_sub(before);
            self.interval_ms_sum.fetch_add(interval, Relaxed);
            let bucket = INTERVAL_BUCKETS_MS.iter().position(|b| interval <= *b).unwrap_or(INTERVAL_BUCKETS_MS.len());
            if let Some(counter) = self.intervals.get(bucket) {
                counter.fetch_add(1, Relaxed);
            }
        }
    }

    /// Everything as text.
    #[must_use]
    pub fn render(
        &self,
        at: &Published,
        replica: Option<&ReplicaStatus>,
        vault: Option<&VaultReport>,
        net: &NetHandle,
        store: &RocksStore,
    ) -> String {
        let mut page = Page(String::new());
        page.gauge("vouch_ledger_height_blocks", "Height of the last final block.", at.head.height.0);
        self.blocks(&mut page);
        self.intervals(&mut page);
        if let Some(replica) = replica {
            waiting(&mut page, replica);
        }
        self.admission(&mut page);
        if let Some(vault) = vault {
            documents(&mut page, vault, &at.registry);
        }
        peers(&mut page, net);
        if let Ok(stats) = store.stats() {
            page.gauge("vouch_store_files_bytes", "Bytes of database files.", stats.files_bytes());
            let pending = stats.compaction_pending_bytes();
            page.gauge("vouch_store_compaction_pending_bytes", "Bytes that wait to be compacted.", pending);
            let stopped = u64::from(stats.writes_stopped);
            page.gauge("vouch_store_writes_stopped_bool", "1 while the database takes no writes.", stopped);
        }
        page.0
    }

    fn blocks(&self, page: &mut Page) {
        let counters = [
            ("vouch_ledger_committed_blocks_total", "Blocks made final since the start.", &self.blocks),
            ("vouch_ledger_committed_transactions_total", "Transactions in them.", &self.transactions),
            (
                "vouch_ledger_failed_transactions_total",
                "Transactions in them that changed nothing.",
                &self.transactions_failed,
            ),
            ("vouch_ledger_committed_bytes_total", "Bytes of transactions in them.", &self.block_bytes),
            ("vouch_vm_fuel_units_total", "Metered work of their transactions.", &self.fuel),
            ("vouch_consensus_extra_rounds_total", "Rounds beyond the first that blocks needed.", &self.rounds_extra),
        ];
        for (name, help, counter) in counters {
            page.counter(name, help, counter.load(Relaxed));
        }
    }

    fn admission(&self, page: &mut Page) {
        let counters = [
            (
                "vouch_admission_verified_transactions_total",
                "Transactions whose signatures were checked.",
                &self.admission.verified,
            ),
            ("vouch_admission_refused_transactions_total", "Relayed ones that were refused.", &self.admission.refused),
            (
                "vouch_admission_repeated_transactions_total",
                "Relayed ones that had been seen.",
                &self.admission.repeated,
            ),
        ];
        for (name, help, counter) in counters {
            page.counter(name, help, counter.load(Relaxed));
        }
    }

    fn intervals(&self, page: &mut Page) {
        let name = "vouch_consensus_block_interval_ms";
        page.head(name, "Time between blocks, as their headers say.", "histogram");
        let mut total = 0;
        for (bound, counter) in INTERVAL_BUCKETS_MS.iter().zip(&self.intervals) {
            total += counter.load(Relaxed);
            page.line(&format!("{name}_bucket{{le=\"{bound}\"}}"), total);
        }
        total += self.intervals.last().map_or(0, |c| c.load(Relaxed));
        page.line(&format!("{name}_bucket{{le=\"+Inf\"}}"), total);
        page.line(&format!("{name}_sum"), self.interval_ms_sum.load(Relaxed));
        page.line(&format!("{name}_count"), total);
    }
}

fn waiting(page: &mut Page, replica: &ReplicaStatus) {
    let gauges = [
        ("vouch_mempool_waiting_transactions", "Transactions that wait for a block.", replica.mempool_count as u64),
        ("vouch_mempool_waiting_bytes", "Their bytes.", replica.mempool_bytes as u64),
        (
            "vouch_consensus_validator_bool",
            "1 when this node votes at the next height.",
            u64::from(replica.validator && replica.abstention.is_none()),
        ),
        (
            "vouch_consensus_abstaining_bool",
            "1 while this node does not vote because it may have forgotten votes.",
            u64::from(replica.abstention.is_some()),
        ),
        (
            "vouch_sync_best_peer_height_blocks",
            "Greatest height that peers with more than a third of the power claim.",
            replica.best_peer_height.0,
        ),
    ];
    for (name, help, value) in gauges {
        page.gauge(name, help, value);
    }
}

/// The names of the counters stand in `vouch_vault::Counters`.
fn documents(page: &mut Page, vault: &VaultReport, registry: &Registry) {
    for (name, value) in vault.counters.entries() {
        page.head(name, "See the operator guide.", "counter");
        page.line(name, value);
    }
    page.counter(
        "vouch_vault_unsent_messages_total",
        "Messages the network did not take; they are repeated.",
        vault.unsent,
    );
    let status = &vault.status;
    let gauges = [
        ("vouch_vault_height_blocks", "Height of the last block whose changes were taken in.", status.height),
        (
            "vouch_vault_missing_versions",
            "Versions to be held that are not here, counted to 1,000.",
            vault.missing as u64,
        ),
        ("vouch_vault_owes_bool", "1 while deliveries to others wait for their receipts.", u64::from(status.owes_some)),
        ("vouch_vault_waiting_documents", "Documents staged whose transactions are not final.", status.staged as u64),
        ("vouch_vault_open_acts", "Attestations and anchors that are not on the chain yet.", status.acts as u64),
        (
            "vouch_vault_uploads",
            "Files being uploaded, or uploaded and waiting for their document.",
            status.uploads as u64,
        ),
        ("vouch_vault_upload_reserved_bytes", "Bytes set aside for them.", status.upload_bytes),
        ("vouch_vault_open_files", "Files opened for reading.", status.openings as u64),
        ("vouch_vault_fetched_files", "Files being fetched.", status.transfers as u64),
        ("vouch_vault_sweeps", "Looks through documents under way.", status.sweeps as u64),
        (
            "vouch_vault_awaited_erasures",
            "Erasures that this member carries out, too, and that lack somebody's word.",
            vault.erasures.waiting as u64,
        ),
        ("vouch_vault_audit_records", "Records of the read audit.", status.audit_records),
        ("vouch_vault_anchored_audit_records", "Those of them that the chain vouches for.", status.audit_anchored),
    ];
    for (name, help, value) in gauges {
        page.gauge(name, help, value);
    }
    let name = "vouch_vault_overdue_erasures";
    page.head(
        name,
        "Erasures past their deadline that lack a member's word; no line for a member that owes none.",
        "gauge",
    );
    for (member, count) in vault.overdue_by_member(registry) {
        page.line(&format!("{name}{{member=\"{member}\"}}"), count);
    }
}

fn peers(page: &mut Page, net: &NetHandle) {
    let peers = net.peers();
    let connected = peers.iter().filter(|p| p.connected_since.is_some()).count();
    page.gauge("vouch_net_connected_peers", "Connected peers.", connected as u64);
    page.gauge("vouch_net_admitted_peers", "Peers the registry admits.", peers.len() as u64);
    for (name, channel, value) in net.stats().entries() {
        let label = channel.map(|c| format!("{{channel=\"{c}\"}}")).unwrap_or_default();
        page.line(&format!("{name}{label}"), value);
    }
}

/// The index beside the ledger.
pub fn index(index: &Index, head: Height) -> String {
    let mut page = Page(String::new());
    let progress = index.progress();
    page.gauge("vouch_index_height_blocks", "Height of the last block in the index.", progress.indexed.0);
    let lag = head.0.saturating_sub(progress.indexed.0);
    page.gauge("vouch_index_lag_blocks", "Blocks that the index is behind.", lag);
    let stopped = u64::from(progress.problem.is_some());
    page.gauge("vouch_index_stopped_bool", "1 while the index cannot go on.", stopped);
    let rebuilding = u64::from(progress.rebuild.is_some());
    page.gauge("vouch_index_rebuilding_bool", "1 while another index is made beside it.", rebuilding);
    page.gauge("vouch_index_files_bytes", "Bytes that it takes: file and log, or tables and indexes.", index.bytes());
    page.counter(
        "vouch_index_written_blocks_total",
        "Blocks written to indexes since the start.",
        index.blocks_written(),
    );
    page.counter("vouch_index_failures_total", "Failures of the index since the start.", index.failures());
    page.0
}

/// The API's own certificate.
pub fn certificate(report: &ServerReport) -> String {
    let mut page = Page(String::new());
    if let Some((_, until)) = report.life {
        let name = "vouch_api_certificate_not_after_seconds";
        page.gauge(name, "When the API's certificate ends, in seconds since 1970.", until.0 / 1_000);
    }
    page.counter(
        "vouch_api_certificate_renewals_total",
        "Renewals of the API's certificate since the start.",
        report.renewals,
    );
    page.counter("vouch_api_certificate_failures_total", "Renewals that failed since the start.", report.failures);
    page.0
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, value: u64) {
        self.0.push_str(&format!("{name} {value}\n"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.line(name, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.line(name, value);
    }
}
