//! Who is let in: nodes of the registry, from the height that says so to the height that says otherwise.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use vouch_net::{Event, NetConfig, NetLimits, PeerEntry};
use vouch_sdk::keystore;
use vouch_tests::cluster::{Cluster, Options, record_call, until};
use vouch_types::{Height, NodeId, Power, SecretKey};

const PATIENCE: Duration = Duration::from_secs(30);

/// A node with a key nobody registered, on the same chain, by the same code: it hears nothing.
async fn a_stranger_hears_nothing(cluster: &Cluster) {
    let secret = SecretKey::from_seed(rand::random());
    let own = secret.public();
    let config =
        NetConfig { secret, listen: "127.0.0.1:0".into(), chain: cluster.plan.chain, limits: NetLimits::default() };
    let (net, mut events) = vouch_net::start(config).await.unwrap();
    let entries = cluster.all().into_iter().map(|node| PeerEntry {
        key: keystore::public_key(&cluster.home(node).join("keys/network.key")).unwrap(),
        address: cluster.plan.nodes[node].network.to_string(),
    });
    net.set_peers(entries.collect());
    let heard = tokio::spawn(async move {
        let mut heard = Vec::new();
        while let Some(event) = events.recv().await {
            if matches!(event, Event::PeerConnected(_) | Event::Received { .. } | Event::RequestReceived { .. }) {
                heard.push(format!("{event:?}"));
            }
        }
        heard
    });
    until("every node has refused the stranger", PATIENCE, async || {
        let is_refused = |node| cluster.log(node).contains(&own.to_string());
        Ok(cluster.all().into_iter().all(is_refused).then_some(()))
    })
    .await
    .unwrap();
    // Blocks and votes pass between the others meanwhile; the stranger goes on knocking.
    some_blocks(cluster, 0, 3).await;
    let stats = net.stats();
    net.shutdown().await;
    assert_eq!(heard.await.unwrap(), Vec::<String>::new());
    assert!(stats.dials >= 4, "{stats:?}");
    assert_eq!((stats.connections_opened, stats.peers_connected), (0, 0), "{stats:?}");
    for channel in &stats.channels {
        assert_eq!((channel.messages_in, channel.bytes_in), (0, 0), "{stats:?}");
    }
}

/// Something that speaks another language gets the greeting of the negotiation and no more.
async fn noise_is_closed(cluster: &Cluster) {
    let mut stream = TcpStream::connect(cluster.plan.nodes[0].network).await.unwrap();
    stream.write_all(&[0x99; 4096]).await.unwrap();
    let mut got = Vec::new();
    // A reset is an end as well.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut got)).await.unwrap();
    assert!(got.len() <= 64, "{} bytes", got.len());
}

async fn some_blocks(cluster: &Cluster, node: usize, count: u64) {
    let (client, key) = (cluster.client(node).unwrap(), cluster.account(0).unwrap());
    for _ in 0..count {
        let transaction = record_call(client.transaction_builder().await.unwrap()).sign(&[&key]).unwrap();
        cluster.submit(node, &transaction).await.unwrap();
    }
}

/// A change of nodes, proposed by one administrator and approved by two others, each in a transaction of its own; the
/// height at which it took effect.
async fn decide(cluster: &Cluster, command: &[&str]) -> u64 {
    let keys = cluster.admin_paths(3);
    let keys: Vec<&str> = keys.split(',').collect();
    let made = cluster.vouch(0, &[&["--json", "peer"], command, &["--key", keys[0]]].concat()).await.unwrap();
    let made = made.success().unwrap().json().unwrap();
    assert_eq!(made["proposal"]["state"], "open", "{made}");
    let id = made["proposal"]["id"].to_string();
    let mut last = json!(null);
    for key in &keys[1..] {
        let vote = ["--json", "gov", "vote", &id, "--approve", "--key", key];
        last = cluster.vouch(1, &vote).await.unwrap().success().unwrap().json().unwrap();
    }
    assert_eq!(last["proposal"]["state"], "executed", "{last}");
    last["height"].as_u64().unwrap()
}

async fn power(cluster: &Cluster, height: u64, node: NodeId) -> Option<Power> {
    let view = cluster.client(0).unwrap().validators(Some(Height(height))).await.unwrap();
    view.validators.iter().find(|validator| validator.node == node).map(|validator| validator.power)
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_stay_out_and_changes_of_nodes_act_at_their_height() {
    let options = Options { accounts: 4, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    some_blocks(&cluster, 0, 1).await;
    a_stranger_hears_nothing(&cluster).await;
    noise_is_closed(&cluster).await;

    let heavy = cluster.status(1).await.unwrap().node;
    let name = cluster.plan.nodes[1].name.clone();
    let at = decide(&cluster, &["set", &name, "--power", "2"]).await;
    some_blocks(&cluster, 0, 1).await;
    assert_eq!(power(&cluster, at, heavy).await, Some(Power(1)));
    assert_eq!(power(&cluster, at + 1, heavy).await, Some(Power(2)));

    let leaving = cluster.status(3).await.unwrap().node;
    let at = decide(&cluster, &["leave", &leaving.to_string()]).await;
    some_blocks(&cluster, 0, 5).await;
    assert_eq!(power(&cluster, at, leaving).await, Some(Power(1)));
    assert_eq!(power(&cluster, at + 1, leaving).await, None);
    until("all others have cut it off", PATIENCE, async || {
        Ok((cluster.status(3).await?.peers_connected == 0).then_some(()))
    })
    .await
    .unwrap();
    for node in [0, 1, 2] {
        let status = cluster.status(node).await.unwrap();
        assert!(status.peers.iter().all(|peer| peer.node != leaving), "{status:?}");
        assert_eq!((status.peers_connected, status.peers_expected), (2, 2), "{status:?}");
    }
    let last = cluster.status(3).await.unwrap().head.0;
    assert!(last <= at, "the removed node has block {last}, it was removed at {at}");

    // A new start does not bring it back in.
    cluster.stop(3).await.unwrap();
    cluster.start_node(3).unwrap();
    cluster.reach(3, Height(0), PATIENCE).await.unwrap();
    some_blocks(&cluster, 0, 3).await;
    let status = cluster.status(3).await.unwrap();
    assert_eq!((status.head.0, status.peers_connected), (last, 0), "{status:?}");
}
