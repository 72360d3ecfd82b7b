//! Without a quorum the chain stands still and says why; it goes on by itself.

use std::time::Duration;

use vouch_tests::cluster::{Cluster, Options, record_call, until};
use vouch_types::api::{NodeStatus, SubmitStatus};

#[tokio::test(flavor = "multi_thread")]
async fn two_of_four_missing_is_explained_and_mends_itself() {
    let mut cluster = Cluster::start(Options { accounts: 4, ..Options::default() }).await.unwrap();
    let client = cluster.client(0).unwrap();
    let key = cluster.account(0).unwrap();
    for node in [2, 3] {
        cluster.stop(node).await.unwrap();
    }
    let waiting = record_call(client.transaction_builder().await.unwrap()).sign(&[&key]).unwrap();
    assert_eq!(client.submit(&waiting).await.unwrap().status, SubmitStatus::Accepted);

    let mut names = [cluster.name(2).to_owned(), cluster.name(3).to_owned()];
    names.sort();
    let cluster_now = &cluster;
    let status: NodeStatus = until("status says that the chain stands", Duration::from_secs(30), async || {
        let output = cluster_now.vouch(0, &["--json", "status"]).await?;
        let status: NodeStatus = serde_json::from_value(output.json()?)?;
        Ok((output.code == 6 && status.condition.code == "stall.no_quorum").then_some(status))
    })
    .await
    .unwrap();
    let mut missing = status.condition.missing.clone();
    missing.sort();
    assert_eq!(missing, names);
    for (language, word) in [("en", "Start the nodes"), ("zh", "请启动节点")] {
        let output = cluster.vouch(0, &["--lang", language, "status"]).await.unwrap();
        assert_eq!(output.code, 6);
        let has_all = [word, "stall.no_quorum", &names[0], &names[1]].iter().all(|text| output.stdout.contains(text));
        assert!(has_all, "{}", output.stdout);
    }

    cluster.start_all().unwrap();
    client.wait(waiting.id, Duration::from_secs(30)).await.unwrap();
    cluster.ready(&cluster.all()).await.unwrap();
    assert_eq!(cluster.vouch(0, &["status"]).await.unwrap().code, 0);
}
