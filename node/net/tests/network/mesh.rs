//! Connecting, delivering, reconnecting, shutting down.

use std::time::Duration;

use bytes::Bytes;
use vouch_net::{Channel, DisconnectReason, Event, NetError, NetLimits, PeerEntry, SendError};

use crate::support::{CHAIN, Node, connect_all, key_of, mesh, number, payloads, seeds, within};

#[tokio::test(flavor = "multi_thread")]
async fn four_nodes_form_a_full_mesh_with_one_connection_per_pair() {
    let nodes = mesh(4, &NetLimits::default()).await;
    for node in &nodes {
        assert_eq!(node.net.stats().connections_opened, 3);
        assert_eq!(node.net.stats().peers_connected, 3);
        let peers = node.net.peers();
        assert_eq!(peers.len(), 3);
        assert!(peers.iter().all(|p| p.connected_since.is_some() && p.queue_messages == [0; 4]));
        node.until("round trips are measured", |net| net.peers().iter().all(|p| p.rtt.is_some())).await;
    }
    // Only the smaller key of each pair dialled.
    let dials: Vec<_> = nodes.iter().map(|n| n.net.stats().dials).collect();
    assert_eq!(dials, [3, 2, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_channel_keeps_its_order() {
    const COUNT: u32 = 50;
    let mut nodes = mesh(4, &NetLimits::default()).await;
    let small = payloads(COUNT, 10_000).zip(payloads(COUNT, 20_000));
    for ((consensus, blocks), (transactions, document)) in payloads(COUNT, 700).zip(payloads(COUNT, 300_000)).zip(small)
    {
        assert_eq!(nodes[0].net.broadcast(Channel::Consensus, &consensus).queued, 3);
        assert_eq!(nodes[0].net.broadcast(Channel::Blocks, &blocks).queued, 3);
        assert_eq!(nodes[0].net.broadcast(Channel::Transactions, &transactions).queued, 3);
        assert_eq!(nodes[0].net.broadcast(Channel::Vault, &document).queued, 3);
    }
    let sender = nodes[0].key();
    for node in &mut nodes[1..] {
        for (channel, size) in [
            (Channel::Consensus, 700),
            (Channel::Blocks, 300_000),
            (Channel::Transactions, 10_000),
            (Channel::Vault, 20_000),
        ] {
            for expected in payloads(COUNT, size) {
                let (from, bytes) = node.received(channel).await;
                assert_eq!((from, number(&bytes)), (sender, number(&expected)), "{channel:?}");
                assert!(bytes == expected);
            }
        }
        node.until("all are counted", |net| net.stats().channels.iter().all(|c| c.messages_in == u64::from(COUNT)))
            .await;
        let stats = node.net.stats();
        assert_eq!(stats.channel(Channel::Blocks).bytes_in, u64::from(COUNT) * 300_000);
    }
    let block = Bytes::from(vec![9; 8 << 20]);
    assert_eq!(nodes[0].net.broadcast(Channel::Blocks, &block).queued, 3);
    for node in &mut nodes[1..] {
        assert!(node.received(Channel::Blocks).await == (sender, block.clone()));
    }
    let written = |net: &vouch_net::NetHandle| {
        let out = *net.stats().channel(Channel::Consensus);
        (out.messages_out, out.bytes_out) == (u64::from(COUNT) * 3, u64::from(COUNT) * 3 * 700)
    };
    nodes[0].until("all are counted", written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_overtake_block_payloads() {
    let mut limits = NetLimits::default();
    // Slow enough that the block takes at least 28 seconds, however fast the machine is.
    limits.blocks.inbound.bytes_per_second = 1 << 18;
    limits.blocks.inbound.bytes_burst = 1 << 20;
    let mut nodes = mesh(4, &limits).await;
    let block = Bytes::from(vec![6; 8 << 20]);
    assert_eq!(nodes[0].net.broadcast(Channel::Blocks, &block).queued, 3);
    // Votes go both ways behind the block, one after the other's answer. Each takes well under a millisecond when the
    // machine has nothing else to do, so there is room for a machine that has.
    let (sender, receivers) = nodes.split_first_mut().unwrap();
    for vote in payloads(10, 200) {
        assert_eq!(sender.net.broadcast(Channel::Consensus, &vote).queued, 3);
        for receiver in receivers.iter_mut() {
            assert_eq!(receiver.received(Channel::Consensus).await.1, vote);
            receiver.net.send(&sender.key(), Channel::Consensus, vote.clone()).unwrap();
            assert_eq!(sender.received(Channel::Consensus).await.1, vote);
        }
    }
    for receiver in receivers {
        receiver.until("the block is on its way", |net| net.stats().channel(Channel::Blocks).bytes_in > 0).await;
        let complete = receiver.net.stats().channel(Channel::Blocks).messages_in;
        assert_eq!(complete, 0, "60 votes took longer than the block before them");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_peer_is_found_again_at_the_same_address() {
    let limits = NetLimits { fallback_dial_delay_ms: 200, ..NetLimits::default() };
    let mut nodes = mesh(3, &limits).await;
    // The largest key is dialled by all; the smallest one dials all.
    for restarted in [2, 0] {
        let old = nodes.remove(restarted);
        let (seed, address, key) = (old.seed, old.address(), old.key());
        within("shutdown", old.net.shutdown()).await;
        drop(old);
        for node in &mut nodes {
            assert!(matches!(node.disconnected(key).await, DisconnectReason::Lost(_)));
            assert_eq!(node.net.send(&key, Channel::Consensus, Bytes::from_static(b"x")), Err(SendError::NotConnected));
        }
        let new = Node::start_at(seed, &limits, &address, CHAIN).await;
        new.net.set_peers(nodes.iter().map(Node::entry).collect());
        nodes.insert(restarted, new);
        for i in 0..nodes.len() {
            if i == restarted {
                let others: Vec<_> = nodes.iter().map(Node::key).filter(|k| *k != key).collect();
                for other in others {
                    nodes[i].connected(other).await;
                }
            } else {
                nodes[i].connected(key).await;
            }
        }
        let hello = Bytes::from_static(b"hello again");
        assert_eq!(nodes[restarted].net.broadcast(Channel::Consensus, &hello).queued, 2);
        for (i, node) in nodes.iter_mut().enumerate() {
            if i != restarted {
                assert_eq!(node.received(Channel::Consensus).await, (key, hello.clone()));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_larger_key_dials_when_the_smaller_one_cannot() {
    let limits = NetLimits { fallback_dial_delay_ms: 100, ..NetLimits::default() };
    let [a, b] = [seeds(2)[0], seeds(2)[1]];
    let (mut small, mut large) = (Node::start(a, &limits).await, Node::start(b, &limits).await);
    // A port nobody listens on: taken and given back by the system.
    let nowhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    small.net.set_peers(vec![PeerEntry { key: large.key(), address: nowhere.to_string() }]);
    large.net.set_peers(vec![PeerEntry {
        key: small.key(),
        address: format!("localhost:{}", small.net.local_address().port()),
    }]);
    small.connected(large.key()).await;
    large.connected(small.key()).await;
    assert_eq!(large.net.stats().dials_failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dials_from_both_sides_end_in_one_connection() {
    let limits = NetLimits { fallback_dial_delay_ms: 0, ..NetLimits::default() };
    for round in 0..10 {
        let mut nodes = vec![Node::start(seeds(2)[0], &limits).await, Node::start(seeds(2)[1], &limits).await];
        connect_all(&mut nodes).await;
        // Until both sides live on the same connection; a second one may still be on its way out.
        let message = Bytes::from(format!("round {round}"));
        within("a message gets through both ways", async {
            let (left, right) = nodes.split_at_mut(1);
            deliver_eventually(&left[0], &mut right[0], &message).await;
            deliver_eventually(&right[0], &mut left[0], &message).await;
        })
        .await;
        for node in &nodes {
            node.until("one connection", |net| net.stats().peers_connected == 1).await;
        }
    }
}

async fn deliver_eventually(from: &Node, to: &mut Node, message: &Bytes) {
    let receive = to.received(Channel::Consensus);
    let repeat = async {
        loop {
            let _ = from.net.broadcast(Channel::Consensus, message);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        (_, bytes) = receive => assert_eq!(bytes, *message),
        () = repeat => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_falls_silent_is_given_up() {
    let limits = NetLimits { ping_interval_ms: 200, ping_timeout_ms: 500, ..NetLimits::default() };
    let mut small = Node::start(seeds(2)[0], &limits).await;
    let mut large = Node::start(seeds(2)[1], &limits).await;
    let (line, cut) = line_that_can_be_cut(large.address()).await;
    small.net.set_peers(vec![PeerEntry { key: large.key(), address: line }]);
    large.net.set_peers(vec![small.entry()]);
    small.connected(large.key()).await;
    large.connected(small.key()).await;
    cut.send(true).unwrap();
    let reasons = [small.disconnected(large.key()).await, large.disconnected(small.key()).await];
    // Large finds its own way, past the line; small may hear from it before it has noticed itself.
    assert!(reasons.contains(&DisconnectReason::PingTimeout), "{reasons:?}");
    let expected = |r| matches!(r, &DisconnectReason::PingTimeout | &DisconnectReason::Replaced);
    assert!(reasons.iter().all(expected), "{reasons:?}");
    small.connected(large.key()).await;
}

/// Forwards TCP to `target` until told to swallow everything, connections staying open.
async fn line_that_can_be_cut(target: String) -> (String, tokio::sync::watch::Sender<bool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (cut, is_cut) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let mut swallowed = Vec::new();
        while let Ok((near, _)) = listener.accept().await {
            if *is_cut.borrow() {
                swallowed.push(near);
                continue;
            }
            let far = tokio::net::TcpStream::connect(&target).await.unwrap();
            let mut is_cut = is_cut.clone();
            tokio::spawn(async move {
                let (mut near, mut far) = (near, far);
                let cut = async { is_cut.wait_for(|cut| *cut).await.is_ok() };
                let over = tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => true,
                    cut = cut => !cut,
                };
                if !over {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (address, cut)
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_leaves_no_task_and_ends_the_events() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let mut nodes = mesh(3, &NetLimits::default()).await;
    // Something under way everywhere, and a dial that goes nowhere.
    for node in &nodes {
        node.net.broadcast(Channel::Blocks, &Bytes::from(vec![7; 8 << 20]));
    }
    let stranger = PeerEntry { key: key_of(&[99; 32]), address: "192.0.2.1:9".into() };
    nodes[0].net.set_peers(nodes.iter().map(Node::entry).chain([stranger]).collect());
    for node in &nodes {
        within("shutdown", node.net.shutdown()).await;
    }
    // The runtime takes a finished task off its books a moment after the task's last action.
    nodes[0].until("no task is left", |_| metrics.num_alive_tasks() == before).await;
    for node in &mut nodes {
        while let Some(event) = node.end().await {
            if let Event::PeerConnected(key) = event {
                panic!("{key:?} connected during shutdown");
            }
        }
        let own = node.key();
        assert!(node.net.peers().iter().all(|p| p.connected_since.is_none() && p.key != own));
        assert!(node.net.broadcast(Channel::Consensus, &Bytes::from_static(b"x")).queued == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_handle_takes_the_network_with_it() {
    let mut nodes = mesh(2, &NetLimits::default()).await;
    let (mut kept, gone) = (nodes.remove(0), nodes.remove(0));
    let key = gone.key();
    drop(gone);
    assert!(matches!(kept.disconnected(key).await, DisconnectReason::Lost(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_configurations_are_named() {
    let start = |listen: &str, limits: NetLimits| {
        let secret = vouch_types::SecretKey::from_seed([1; 32]);
        vouch_net::start(vouch_net::NetConfig { secret, listen: listen.into(), chain: CHAIN, limits })
    };
    let node = Node::start([2; 32], &NetLimits::default()).await;
    assert!(matches!(start("localhost:1", NetLimits::default()).await, Err(NetError::ListenAddress(_))));
    assert!(matches!(start(&node.address(), NetLimits::default()).await, Err(NetError::Listen { .. })));
    let mut limits = NetLimits::default();
    limits.blocks.inbox_bytes_max = 5;
    assert!(matches!(start("127.0.0.1:0", limits).await, Err(NetError::Limits(_))));
}
