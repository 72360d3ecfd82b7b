//! Validators that may have forgotten what they voted: each way to lose the record ends without a contradiction.

use std::{fs, path::Path, time::Duration};

use vouch_tests::cluster::{Cluster, Options, Traffic, no_evidence, same_root, until};
use vouch_types::{Height, api::ConditionState};

const PATIENCE: Duration = Duration::from_secs(60);

fn options() -> Options {
    Options { plain_http: true, accounts: 8, idle_interval_ms: 800, ..Options::default() }
}

async fn more_finals(traffic: &Traffic, count: u64) {
    let wanted = traffic.finals() + count;
    let is_there = async || Ok((traffic.finals() >= wanted).then_some(()));
    until("transactions become final", PATIENCE, is_there).await.unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Kills a node at any moment of a height.
async fn kill_somewhere(cluster: &mut Cluster, node: usize) {
    tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 400)).await;
    cluster.kill(&[node]).unwrap();
}

/// Waits until a node that was started says that it follows without voting, then until it votes again.
async fn rejoins(cluster: &mut Cluster, node: usize, reason: &str) {
    let abstains =
        format!("this node may have forgotten votes and abstains until it cannot contradict any code=\"{reason}\"");
    let before = cluster.log(node).matches(&abstains).count();
    cluster.start_node(node).unwrap();
    cluster.ready(&cluster.all()).await.unwrap();
    let log = cluster.log(node);
    assert_eq!(log.matches(&abstains).count(), before + 1, "{reason}: {log}");
    assert!(log.contains("this node votes again"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_and_replaced_databases_lead_to_no_contradiction() {
    let mut cluster = Cluster::start(options()).await.unwrap();
    let traffic = Traffic::start(&cluster, 8).unwrap();
    more_finals(&traffic, 100).await;
    for round in 0..3 {
        // From a backup of an earlier height, by the program.
        let backup = cluster.scratch(&format!("backup-{round}"));
        let path = backup.display().to_string();
        cluster.vouch(1, &["backup", "create", &path]).await.unwrap().success().unwrap();
        more_finals(&traffic, 60).await;
        kill_somewhere(&mut cluster, 1).await;
        cluster.wipe(1).unwrap();
        cluster.vouch(1, &["backup", "restore", &path]).await.unwrap().success().unwrap();
        rejoins(&mut cluster, 1, "voting.distrusted").await;

        // A copy of the folder, put back by hand.
        cluster.stop(2).await.unwrap();
        let (data, copy) = (cluster.home(2).join("data"), cluster.scratch(&format!("copy-{round}")));
        copy_folder(&data, &copy);
        cluster.start_node(2).unwrap();
        cluster.ready(&cluster.all()).await.unwrap();
        more_finals(&traffic, 60).await;
        kill_somewhere(&mut cluster, 2).await;
        cluster.wipe(2).unwrap();
        copy_folder(&copy, &data);
        rejoins(&mut cluster, 2, "voting.database_behind").await;

        // Nothing at all, with and without the record.
        kill_somewhere(&mut cluster, 3).await;
        cluster.wipe(3).unwrap();
        rejoins(&mut cluster, 3, "voting.database_behind").await;
        kill_somewhere(&mut cluster, 3).await;
        cluster.wipe(3).unwrap();
        fs::remove_file(cluster.home(3).join("votes")).unwrap();
        rejoins(&mut cluster, 3, "voting.no_record").await;
    }
    traffic.finish().await.unwrap();
    let head = cluster.status(0).await.unwrap().head;
    same_root(&cluster, &cluster.all(), head).await.unwrap();
    no_evidence(&cluster).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_too_many_forgot_the_status_says_what_the_members_must_decide() {
    let mut cluster = Cluster::start(options()).await.unwrap();
    let traffic = Traffic::start(&cluster, 8).unwrap();
    more_finals(&traffic, 50).await;
    traffic.finish().await.unwrap();
    cluster.kill(&[2, 3]).unwrap();
    for node in [2, 3] {
        cluster.wipe(node).unwrap();
        fs::remove_file(cluster.home(node).join("votes")).unwrap();
        cluster.start_node(node).unwrap();
    }
    let mut names = [cluster.name(2).to_owned(), cluster.name(3).to_owned()];
    names.sort();
    // A node names the second one as soon as it has heard of it, which may be a moment after the first.
    for node in cluster.all() {
        let what = format!("{} names both", cluster.name(node));
        let status = until(&what, PATIENCE, async || {
            let status = cluster.status(node).await.ok();
            Ok(status.filter(|s| {
                let mut missing = s.condition.missing.clone();
                missing.sort();
                s.condition.code == "stall.votes_forgotten" && missing == names
            }))
        })
        .await
        .unwrap();
        assert_eq!(status.condition.state, ConditionState::Stalled);
    }
    let head = cluster.status(0).await.unwrap().head.max(cluster.status(1).await.unwrap().head);
    for (language, word) in [("en", "the members decide together"), ("zh", "由各成员共同决定")] {
        let output = cluster.vouch(0, &["--lang", language, "status"]).await.unwrap();
        assert_eq!(output.code, 6);
        let has_all = [word, &names[0], &names[1], &format!("votes allow-from {}", head.0 + 1)]
            .iter()
            .all(|text| output.stdout.contains(text));
        assert!(has_all, "{}", output.stdout);
    }
    let running = cluster.vouch(2, &["votes", "show"]).await.unwrap();
    assert!(running.code != 0 && running.stderr.contains("in use"), "{running:?}");
    for node in [2, 3] {
        cluster.stop(node).await.unwrap();
        let from = (head.0 + 1).to_string();
        let output = cluster.vouch(node, &["--json", "votes", "allow-from", &from]).await.unwrap();
        let shown = output.success().unwrap().json().unwrap();
        assert_eq!((shown["state"].as_str(), shown["height"].as_u64()), (Some("declared"), Some(head.0)));
        cluster.start_node(node).unwrap();
    }
    cluster.ready(&cluster.all()).await.unwrap();
    cluster.reach(3, Height(head.0 + 3), PATIENCE).await.unwrap();
    cluster.stop(3).await.unwrap();
    let kept = cluster.vouch(3, &["--json", "votes", "show"]).await.unwrap().success().unwrap().json().unwrap();
    assert_eq!(kept["state"].as_str(), Some("kept"));
    assert!(kept["height"].as_u64() > Some(head.0));
}
