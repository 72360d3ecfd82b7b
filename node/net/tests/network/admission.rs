//! Who gets in, who does not, and what those outside can see: nothing.

use std::time::Duration;

use bytes::Bytes;
use futures::AsyncWriteExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use vouch_net::{Channel, DisconnectReason, NetLimits, PeerEntry, RefusalReason, SendError};

use crate::support::{ALL_NAMES, CHAIN, Node, OTHER_CHAIN, Raw, RawPeer, drain, key_of, mesh, protocol, seeds, within};

fn nowhere(key: vouch_types::PublicKey) -> PeerEntry {
    PeerEntry { key, address: "127.0.0.1:1".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_receives_nothing_and_is_closed() {
    let mut nodes = mesh(3, &NetLimits::default()).await;
    // Plenty to overhear, all the time.
    let chatter: Vec<_> = nodes.iter().map(|n| n.net.clone()).collect();
    let chatter = tokio::spawn(async move {
        loop {
            for net in &chatter {
                net.broadcast(Channel::Consensus, &Bytes::from_static(b"vote"));
                net.broadcast(Channel::Blocks, &Bytes::from(vec![1; 100_000]));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    for attempt in 0..5u8 {
        let mut stranger = RawPeer::dial([200 + attempt; 32], &nodes[0], CHAIN);
        let mut received = 0;
        let mut control = stranger.control.clone();
        let target = crate::support::peer_id(&nodes[0]);
        let overheard = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let ears = std::sync::Arc::clone(&overheard);
        let open_all = tokio::spawn(async move {
            for name in ALL_NAMES {
                if let Ok(stream) = control.open_stream(target, protocol(CHAIN, name)).await {
                    ears.fetch_add(1 + drain(stream).await, std::sync::atomic::Ordering::SeqCst);
                }
            }
        });
        within("the stranger is closed", async {
            loop {
                match stranger.reports.recv().await.unwrap() {
                    Raw::Connected => {}
                    Raw::Inbound(_, stream) => received += 1 + drain(stream).await,
                    Raw::Closed => break,
                }
            }
        })
        .await;
        let (key, reason) = nodes[0].refused().await;
        assert_eq!((key, reason), (Some(stranger.key), RefusalReason::NotAdmitted));
        drop(stranger);
        // Nothing can come any more; the attempts get a moment to say what they have, for most of them never end.
        let _ = tokio::time::timeout(Duration::from_millis(200), open_all).await;
        received += overheard.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(received, 0, "a stranger received bytes or streams");
    }
    chatter.abort();
    let stats = nodes[0].net.stats();
    assert_eq!(stats.refused_not_admitted, 5);
    assert_eq!((stats.peers_connected, stats.connections_closed), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_garbage_are_closed() {
    let limits = NetLimits { handshake_timeout_ms: 400, ..NetLimits::default() };
    let mut node = Node::start([1; 32], &limits).await;
    let mut silent = tokio::net::TcpStream::connect(node.address()).await.unwrap();
    let mut garbage = tokio::net::TcpStream::connect(node.address()).await.unwrap();
    let _ = garbage.write_all(&[0x99; 4096]).await;
    for (stream, allowed) in [(&mut silent, 64), (&mut garbage, 64)] {
        let mut got = Vec::new();
        let _ = within("closed", stream.read_to_end(&mut got)).await;
        // At most the greeting of the protocol negotiation, which everyone sends first.
        assert!(got.len() <= allowed, "{got:?}");
        assert!(matches!(node.refused().await, (None, RefusalReason::Handshake(_))));
    }
    node.until("both counted", |net| net.stats().refused_handshake == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_fill_the_waiting_room() {
    let limits = NetLimits { pending_inbound_per_ip_max: 3, handshake_timeout_ms: 2000, ..NetLimits::default() };
    let mut node = Node::start([1; 32], &limits).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(tokio::net::TcpStream::connect(node.address()).await.unwrap());
    }
    assert_eq!(node.refused().await, (None, RefusalReason::TooMany));
    // When the silent ones have been thrown out, there is room again.
    node.until("timed out", |net| net.stats().refused_handshake == 3).await;
    let mut raw = RawPeer::dial([60; 32], &node, CHAIN);
    raw.closed().await;
    node.until("judged by key", |net| net.stats().refused_not_admitted == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_reported_at_a_bounded_rate_and_all_counted() {
    let limits = NetLimits { refusals_per_second: 1, pending_inbound_per_ip_max: 64, ..NetLimits::default() };
    let mut node = Node::start([1; 32], &limits).await;
    let knocks = (0..40).map(|_| async {
        let mut stream = tokio::net::TcpStream::connect(node.address()).await.unwrap();
        let _ = stream.write_all(&[0x99; 64]).await;
        let _ = within("closed", stream.read_to_end(&mut Vec::new())).await;
    });
    futures::future::join_all(knocks).await;
    node.until("all counted", |net| net.stats().refused_handshake == 40).await;
    within("shutdown", node.net.shutdown()).await;
    let mut reported = 0;
    while node.end().await.is_some() {
        reported += 1;
    }
    assert!((1..40).contains(&reported), "{reported}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_another_chain_do_not_talk() {
    let limits = NetLimits::default();
    let mut here = Node::start(seeds(2)[0], &limits).await;
    let mut there = Node::start_at(seeds(2)[1], &limits, "127.0.0.1:0", OTHER_CHAIN).await;
    here.net.set_peers(vec![there.entry()]);
    there.net.set_peers(vec![here.entry()]);
    assert_eq!(here.refused().await, (Some(there.key()), RefusalReason::WrongChain));
    assert_eq!(there.refused().await, (Some(here.key()), RefusalReason::WrongChain));
    for node in [&here, &there] {
        assert_eq!(node.net.stats().connections_opened, 0);
        node.until("the reason is shown", |net| net.peers()[0].last_error.is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_at_the_right_address_is_refused() {
    let limits = NetLimits::default();
    let seeds = seeds(3);
    let mut node = Node::start(seeds[0], &limits).await;
    let impostor = Node::start(seeds[1], &limits).await;
    let expected = key_of(&seeds[2]);
    impostor.net.set_peers(vec![node.entry()]);
    node.net.set_peers(vec![PeerEntry { key: expected, address: impostor.address() }]);
    let refused = node.refused().await;
    assert_eq!(refused, (Some(impostor.key()), RefusalReason::WrongKey { expected }));
    let stats = node.net.stats();
    assert_eq!((stats.peers_connected, stats.connections_opened), (0, 0));
    node.until("the reason is shown", |net| {
        net.peers()[0].last_error.as_ref().is_some_and(|e| e.contains("wrong key"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_come_and_go_at_run_time() {
    let limits = NetLimits { fallback_dial_delay_ms: 100, ..NetLimits::default() };
    let mut nodes = mesh(3, &limits).await;
    let entries: Vec<_> = nodes.iter().map(Node::entry).collect();
    let gone = entries[2].key;

    // Out: both others drop it. It still wants to talk and is refused.
    for node in &nodes[..2] {
        node.net.set_peers(entries[..2].to_vec());
    }
    for node in &mut nodes[..2] {
        assert_eq!(node.disconnected(gone).await, DisconnectReason::Removed);
        assert_eq!(node.net.send(&gone, Channel::Consensus, Bytes::from_static(b"x")), Err(SendError::UnknownPeer));
        assert_eq!(node.refused().await, (Some(gone), RefusalReason::NotAdmitted));
    }
    // The two that stayed never noticed.
    for node in &nodes[..2] {
        assert_eq!(node.net.stats().connections_closed, 1);
        assert_eq!(node.net.broadcast(Channel::Consensus, &Bytes::from_static(b"still here")).queued, 1);
    }

    // In again.
    for node in &nodes[..2] {
        node.net.set_peers(entries.clone());
    }
    for node in &mut nodes[..2] {
        node.connected(gone).await;
    }
    for other in [entries[0].key, entries[1].key] {
        nodes[2].disconnected(other).await;
        nodes[2].connected(other).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_peer_is_cut_off_within_a_second_even_if_it_does_not_read() {
    let mut node = Node::start([1; 32], &NetLimits::default()).await;
    let key = key_of(&[50; 32]);
    node.net.set_peers(vec![nowhere(key)]);
    let mut raw = RawPeer::dial([50; 32], &node, CHAIN);
    let _streams = raw.open_channels(&node).await;
    node.connected(key).await;
    // The raw peer accepts the streams and never reads them.
    while node.net.send(&key, Channel::Blocks, Bytes::from(vec![5; 4 << 20])).is_ok() {}
    let removed = tokio::time::Instant::now();
    node.net.set_peers(Vec::new());
    assert_eq!(node.disconnected(key).await, DisconnectReason::Removed);
    raw.closed().await;
    // Time is what is promised here; a tenth of it is needed.
    assert!(removed.elapsed() < Duration::from_secs(1), "{:?}", removed.elapsed());
    assert!(node.net.peers().is_empty());
}

/// What a broken or malicious member might send on the consensus channel.
async fn violates(bytes: &[u8], what: &str) {
    let mut node = Node::start([1; 32], &NetLimits::default()).await;
    let key = key_of(&[50; 32]);
    node.net.set_peers(vec![nowhere(key)]);
    let mut raw = RawPeer::dial([50; 32], &node, CHAIN);
    let [mut stream, _blocks, _transactions, _documents] = raw.open_channels(&node).await;
    node.connected(key).await;
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
    let reason = node.disconnected(key).await;
    assert_eq!(reason, DisconnectReason::Violation(format!("consensus: {what}")));
    raw.closed().await;
    let peer = &node.net.peers()[0];
    assert_eq!((peer.violations, peer.bytes_in), (1, 0));
    assert_eq!(node.net.stats().violations, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn violations_close_the_connection_and_count() {
    violates(&[9, 1, 0, 0, 1, 0, 0, 0, 7], "unknown frame version").await;
    violates(&[1, 2, 0, 0, 1, 0, 0, 0, 7], "frame of another channel").await;
    violates(&[1, 1, 0, 0, 0, 0, 0, 0], "empty frame").await;
    violates(&[1, 1, 0, 0, 1, 0, 1, 0], "frame too large").await;
    violates(&[1, 1, 0, 0, 255, 255, 255, 255], "frame too large").await;
    violates(&[1, 1, 4, 0, 1, 0, 0, 0], "unknown frame flags").await;
    violates(b"GET / HTTP/1.1\r\n\r\n", "unknown frame version").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_of_a_channel_is_a_violation() {
    let mut node = Node::start([1; 32], &NetLimits::default()).await;
    let key = key_of(&[50; 32]);
    node.net.set_peers(vec![nowhere(key)]);
    let mut raw = RawPeer::dial([50; 32], &node, CHAIN);
    let _streams = raw.open_channels(&node).await;
    node.connected(key).await;
    // The node may be faster with its verdict than with its agreement to the stream.
    let _again = raw.control.open_stream(crate::support::peer_id(&node), protocol(CHAIN, "blocks")).await;
    assert!(matches!(node.disconnected(key).await, DisconnectReason::Violation(_)));
    raw.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_opens_no_channels_is_not_connected() {
    let limits = NetLimits { handshake_timeout_ms: 500, ..NetLimits::default() };
    let mut node = Node::start([1; 32], &limits).await;
    let key = key_of(&[50; 32]);
    node.net.set_peers(vec![nowhere(key)]);
    let mut raw = RawPeer::dial([50; 32], &node, CHAIN);
    let _one = raw.open(&node, CHAIN, "consensus").await;
    raw.closed().await;
    let stats = node.net.stats();
    assert_eq!((stats.connections_opened, stats.peers_connected), (0, 0));
    within("shutdown", node.net.shutdown()).await;
    assert!(node.end().await.is_none(), "the replica never heard of it");
}
