//! A node that lost its database, and one that gets it from a backup: both vote again, and neither contradicts itself.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;
use vouch_tests::cluster::{Cluster, Options, Traffic, no_evidence, same_root, until};
use vouch_types::{Height, api::Claim};

const PATIENCE: Duration = Duration::from_secs(60);

async fn some_traffic(cluster: &Cluster, count: u64) {
    let traffic = Traffic::start(cluster, 8).unwrap();
    let is_enough = async || Ok((traffic.finals() >= count).then_some(()));
    until("transactions become final", PATIENCE, is_enough).await.unwrap();
    traffic.finish().await.unwrap();
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// One byte in the middle of each of a backup's tables is changed in turn: each time the check finds it.
async fn damage_is_found(cluster: &Cluster, backup: &Path) {
    let mut tables = 0;
    for entry in fs::read_dir(backup.join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "sst") {
            continue;
        }
        tables += 1;
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&path, bad).unwrap();
        let output = cluster.vouch(0, &["--json", "backup", "verify", &backup.display().to_string()]).await.unwrap();
        assert_ne!(output.code, 0, "{} byte {middle}: {output:?}", path.display());
        fs::write(&path, good).unwrap();
    }
    assert!(tables > 0, "the backup has no tables");
}

#[tokio::test(flavor = "multi_thread")]
async fn wiped_and_restored_nodes_have_the_same_chain() {
    let options = Options { accounts: 8, idle_interval_ms: 1_000, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    some_traffic(&cluster, 400).await;

    let backup = cluster.scratch("backup");
    let spoiled = cluster.scratch("spoiled");
    let path = backup.display().to_string();
    let made =
        cluster.vouch(1, &["--json", "backup", "create", &path]).await.unwrap().success().unwrap().json().unwrap();
    let manifest: Value =
        cluster.vouch(1, &["--json", "backup", "verify", &path]).await.unwrap().success().unwrap().json().unwrap();
    assert_eq!((&made["height"], &made["state_root"]), (&manifest["height"], &manifest["state_root"]));
    let again = cluster.vouch(1, &["--json", "backup", "create", &path]).await.unwrap();
    assert_eq!(again.problem_code().unwrap(), "backup.path_exists");
    copy_folder(&backup, &spoiled);
    damage_is_found(&cluster, &spoiled).await;
    some_traffic(&cluster, 100).await;

    // From blocks alone.
    cluster.stop(3).await.unwrap();
    cluster.wipe(3).unwrap();
    some_traffic(&cluster, 50).await;
    let head = cluster.status(0).await.unwrap().head;
    cluster.start_node(3).unwrap();
    cluster.reach(3, head, PATIENCE).await.unwrap();
    same_root(&cluster, &cluster.all(), head).await.unwrap();
    // Until it votes again the chain cannot do without another.
    cluster.ready(&cluster.all()).await.unwrap();

    // From the backup, which is older than the chain: the rest comes from blocks. A database in place is not replaced.
    cluster.stop(1).await.unwrap();
    let refused = cluster.vouch(1, &["backup", "restore", &path]).await.unwrap();
    assert!(refused.code != 0 && refused.stderr.contains("exists"), "{refused:?}");
    cluster.wipe(1).unwrap();
    cluster.vouch(1, &["backup", "restore", &path]).await.unwrap().success().unwrap();
    cluster.start_node(1).unwrap();
    cluster.ready(&cluster.all()).await.unwrap();
    some_traffic(&cluster, 50).await;
    let head = cluster.status(0).await.unwrap().head;
    same_root(&cluster, &cluster.all(), head).await.unwrap();
    no_evidence(&cluster).await.unwrap();
}

/// Two nodes without data take the state over, one from three others and one from two and the first: both are as good as
/// any other then, and prove what was in the last blocks before.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_data_take_the_state_over() {
    const JOIN_AFTER: u64 = 15;
    let options = Options { accounts: 8, block_interval_ms: 150, idle_interval_ms: 600, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    let traffic = Traffic::start(&cluster, 8).unwrap();
    cluster.reach(0, Height(30), PATIENCE).await.unwrap();
    for node in [3, 2] {
        cluster.stop(node).await.unwrap();
        cluster.wipe(node).unwrap();
        cluster.configure(node, "join_after_blocks", JOIN_AFTER).unwrap();
        cluster.start_node(node).unwrap();
        cluster.ready(&cluster.all()).await.unwrap();
        let log = cluster.log(node);
        assert!(log.contains("the state was taken over"), "{log}");
        assert!(log.contains("this node votes again"), "{log}");
    }
    let wanted = traffic.finals() + 100;
    let is_enough = async || Ok((traffic.finals() >= wanted).then_some(()));
    until("transactions become final", PATIENCE, is_enough).await.unwrap();
    traffic.finish().await.unwrap();
    let head = cluster.status(0).await.unwrap().head;
    same_root(&cluster, &cluster.all(), head).await.unwrap();
    no_evidence(&cluster).await.unwrap();

    // The last blocks came along with the state, so that nothing in them is accepted again.
    let early = cluster.client(0).unwrap().block(Some(Height(2))).await.unwrap().transactions[0];
    for node in [3, 2] {
        cluster.client(node).unwrap().proof(early, Claim::Transaction).await.unwrap();
    }
}
