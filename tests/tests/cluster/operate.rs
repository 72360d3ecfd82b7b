//! Starting and stopping as an operator does, with the mistakes an operator makes.

use std::time::Duration;

use futures::StreamExt as _;
use vouch_sdk::EventsRequest;
use vouch_tests::cluster::{Cluster, NodeProcess, Options, Traffic, blocks, contract, until};
use vouch_types::{
    Height, TxId,
    api::{Cursor, FeedItem},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A second program on a home ends by itself and says why; the first does not notice.
async fn a_second_node_is_refused(cluster: &mut Cluster) {
    let mut second = NodeProcess::start(&cluster.program, &cluster.home(0)).unwrap();
    let status = second.ended(PATIENCE).await.unwrap();
    assert!(!status.success());
    let log = cluster.log(0);
    let lines: Vec<&str> = log.lines().rev().take(5).collect();
    let text = lines.join("\n");
    assert!(text.contains("in use") || text.contains("another process"), "{text}");
    assert!(cluster.process(0).unwrap().is_running().unwrap());
}

/// A database of one chain and the genesis document of another do not go together.
async fn another_genesis_is_refused(cluster: &mut Cluster) {
    let path = cluster.home(2).join("genesis.json");
    let good = std::fs::read_to_string(&path).unwrap();
    let other = good.replace("Vouch development network", "Another network");
    assert_ne!(good, other);
    cluster.stop(2).await.unwrap();
    std::fs::write(&path, other).unwrap();
    cluster.start_node(2).unwrap();
    let status = cluster.process(2).unwrap().ended(PATIENCE).await.unwrap();
    assert!(!status.success());
    cluster.kill(&[2]).unwrap();
    let log = cluster.log(2);
    let lines: Vec<&str> = log.lines().rev().take(5).collect();
    let text = lines.join("\n");
    assert!(text.contains("chain") && text.contains(&cluster.plan.chain.to_string()), "{text}");
    std::fs::write(&path, good).unwrap();
    cluster.start_node(2).unwrap();
    cluster.ready(&cluster.all()).await.unwrap();
}

/// Follows one node alone while it stops and starts again: every transaction once, in the chain's order.
async fn a_stream_survives_a_restart(cluster: &mut Cluster) {
    let mut config = cluster.client_config(&[0]).unwrap();
    config.attempts_max = 100;
    let request =
        EventsRequest { after: Some(Cursor::default()), contract: Some(contract("meter")), ..EventsRequest::default() };
    let mut stream = config.build().unwrap().events(request);
    let traffic = Traffic::start(cluster, 4).unwrap();
    let mut seen: Vec<TxId> = Vec::new();
    let mut is_restarted = false;
    while seen.len() < 400 {
        let item = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap();
        if let FeedItem::Transaction(transaction) = item.1 {
            seen.push(transaction.id);
        }
        if seen.len() > 100 && !is_restarted {
            is_restarted = true;
            let took = cluster.stop(0).await.unwrap();
            assert!(took < Duration::from_secs(5), "it took {took:?} to stop with a stream open and under load");
            cluster.start_node(0).unwrap();
        }
    }
    traffic.finish().await.unwrap();
    let client = cluster.client(1).unwrap();
    let head = client.status().await.unwrap().head;
    let chain = blocks(&client, Height(1), head).await.unwrap();
    let expected: Vec<TxId> = chain.into_iter().flat_map(|block| block.transactions).take(seen.len()).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_stops_and_mistakes() {
    let options = Options { accounts: 8, plain_http: true, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    a_stream_survives_a_restart(&mut cluster).await;
    cluster.ready(&cluster.all()).await.unwrap();
    a_second_node_is_refused(&mut cluster).await;
    another_genesis_is_refused(&mut cluster).await;
    for node in cluster.all() {
        let took = cluster.stop(node).await.unwrap();
        assert!(took < Duration::from_secs(5), "{} took {took:?} to stop", cluster.name(node));
        let log = cluster.log(node);
        assert!(log.lines().last().unwrap().contains("node stopped"), "{log}");
        let gone = until("its port is free", PATIENCE, async || {
            Ok(tokio::net::TcpListener::bind(cluster.plan.nodes[node].network).await.ok())
        });
        gone.await.unwrap();
    }
}
