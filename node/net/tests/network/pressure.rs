//! Slow readers, full queues, budgets.

use std::time::Duration;

use bytes::Bytes;
use vouch_net::{Channel, DisconnectReason, Event, NetLimits, SendError};

use crate::support::{Node, connect_all, mesh, number, payloads, seeds, within};

/// Queues so small that a peer whose replica takes nothing is full at once.
fn narrow() -> NetLimits {
    let mut limits = NetLimits::default();
    limits.consensus.inbox_messages_max = 4;
    limits.consensus.outbox_messages_max = 64;
    limits.transactions.inbox_messages_max = 4;
    limits.transactions.outbox_messages_max = 8;
    limits.blocks.message_bytes_max = 1 << 20;
    limits.blocks.inbox_bytes_max = 2 << 20;
    limits.blocks.outbox_bytes_max = 4 << 20;
    limits
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slow_reader_holds_nobody_else_up() {
    let mut nodes = mesh(3, &narrow()).await;
    let slow = nodes[1].key();
    // The slow node takes no events from now on. The other one gets every block all the same.
    let mut full = 0;
    for block in payloads(100, 1 << 20) {
        let outcome = nodes[0].net.broadcast(Channel::Blocks, &block);
        assert!(outcome.skipped.iter().all(|s| *s == (slow, SendError::QueueFull)), "{outcome:?}");
        full += outcome.skipped.len();
        assert!(nodes[2].received(Channel::Blocks).await.1 == block);
    }
    assert!(full >= 80, "the slow reader was only full {full} times");
    assert_eq!(nodes[0].net.stats().channel(Channel::Blocks).queue_full, full as u64);
    // A full block queue does not cost the connection, and votes still reach the slow node.
    let vote = Bytes::from_static(b"vote");
    assert_eq!(nodes[0].net.broadcast(Channel::Consensus, &vote).queued, 2);
    assert_eq!(nodes[1].received(Channel::Consensus).await.1, vote);
    let status = nodes[0].net.peers().into_iter().find(|p| p.key == slow).unwrap();
    assert!(status.queue_bytes[Channel::Blocks as usize - 1] <= 4 << 20);
    assert_eq!(nodes[0].net.stats().connections_closed, 0);
    // What was queued is delivered, in order, and no more.
    let mut last = None;
    for _ in full..100 {
        let got = number(&nodes[1].received(Channel::Blocks).await.1);
        assert!(last < Some(got));
        last = Some(got);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overflowing_consensus_queue_starts_the_peer_over() {
    let mut nodes = mesh(2, &narrow()).await;
    let slow = nodes[1].key();
    let mut votes = payloads(u32::MAX, 60_000);
    let mut sent = 0;
    let outcome = loop {
        match nodes[0].net.send(&slow, Channel::Consensus, votes.next().unwrap()) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(outcome, SendError::QueueFull);
    assert!(sent >= 64);
    // At once, not when the driver gets around to it.
    assert_eq!(nodes[0].net.send(&slow, Channel::Consensus, Bytes::from_static(b"x")), Err(SendError::NotConnected));
    assert_eq!(nodes[0].disconnected(slow).await, DisconnectReason::ConsensusOverflow);
    assert_eq!(nodes[0].net.stats().consensus_overflows, 1);
    nodes[0].connected(slow).await;
    // Nothing stale comes over the new connection: first what was delivered of the old one, without a gap.
    let fresh = Bytes::from_static(b"where we stand");
    nodes[0].net.send(&slow, Channel::Consensus, fresh.clone()).unwrap();
    let mut expected = 0;
    loop {
        let (_, bytes) = nodes[1].received(Channel::Consensus).await;
        if bytes == fresh {
            break;
        }
        assert_eq!(number(&bytes), expected);
        expected += 1;
    }
    assert!(expected <= sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_dropped_and_counted_under_pressure() {
    let mut nodes = mesh(2, &narrow()).await;
    let slow = nodes[1].key();
    let mut dropped = 0;
    for batch in payloads(200, 100_000) {
        match nodes[0].net.send(&slow, Channel::Transactions, batch) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, SendError::QueueFull);
                dropped += 1;
            }
        }
    }
    assert!(dropped > 0);
    assert_eq!(nodes[0].net.stats().channel(Channel::Transactions).queue_full, dropped);
    let mut last = None;
    for _ in dropped..200 {
        let got = number(&nodes[1].received(Channel::Transactions).await.1);
        assert!(last < Some(got));
        last = Some(got);
    }
    assert_eq!(nodes[0].net.stats().connections_closed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_checked_before_anything_is_queued() {
    let limits = NetLimits::default();
    let mut nodes = mesh(2, &limits).await;
    let to = nodes[1].key();
    for channel in Channel::ALL {
        let most = limits.channel(channel).message_bytes_max as usize;
        let send = |size| nodes[0].net.send(&to, channel, Bytes::from(vec![1; size]));
        assert_eq!(send(0), Err(SendError::Size));
        assert_eq!(send(most + 1), Err(SendError::Size));
        assert_eq!(send(most), Ok(()));
        assert_eq!(nodes[1].received(channel).await.1.len(), most);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_slow_a_peer_down_and_lose_nothing() {
    let mut limits = NetLimits::default();
    limits.consensus.inbound.frames_per_second = 100;
    limits.consensus.inbound.frames_burst = 50;
    limits.transactions.inbound.bytes_per_second = 1 << 20;
    limits.transactions.inbound.bytes_burst = 1 << 19;
    let mut nodes = mesh(2, &limits).await;
    let to = nodes[1].key();
    let begun = tokio::time::Instant::now();
    for vote in payloads(150, 50) {
        nodes[0].net.send(&to, Channel::Consensus, vote).unwrap();
    }
    for batch in payloads(15, 100 << 10) {
        nodes[0].net.send(&to, Channel::Transactions, batch).unwrap();
    }
    for expected in payloads(150, 50) {
        assert_eq!(nodes[1].received(Channel::Consensus).await.1, expected);
    }
    // 50 at once, 100 at 100 per second. Less time would mean that the budget does not hold; more means nothing.
    assert!(begun.elapsed() >= Duration::from_millis(950), "{:?}", begun.elapsed());
    for expected in payloads(15, 100 << 10) {
        assert!(nodes[1].received(Channel::Transactions).await.1 == expected);
    }
    // 512 KiB at once, 988 KiB at 1 MiB per second.
    assert!(begun.elapsed() >= Duration::from_millis(850), "{:?}", begun.elapsed());
    let stats = nodes[1].net.stats();
    assert!(stats.channel(Channel::Consensus).throttled >= 50);
    assert!(stats.channel(Channel::Transactions).throttled >= 5);
    assert_eq!(stats.channel(Channel::Blocks).throttled, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnecting_does_not_refill_a_budget() {
    let mut limits = NetLimits::default();
    limits.consensus.inbound.frames_per_second = 20;
    limits.consensus.inbound.frames_burst = 20;
    let [a, b] = [seeds(2)[0], seeds(2)[1]];
    let mut kept = Node::start(b, &limits).await;
    let begun = tokio::time::Instant::now();
    for _ in 0..3 {
        let mut nodes = vec![kept, Node::start(a, &limits).await];
        connect_all(&mut nodes).await;
        let (mut node, other) = (nodes.remove(0), nodes.remove(0));
        for vote in payloads(20, 10) {
            other.net.send(&node.key(), Channel::Consensus, vote).unwrap();
        }
        for _ in 0..20 {
            node.received(Channel::Consensus).await;
        }
        within("shutdown", other.net.shutdown()).await;
        node.disconnected(other.key()).await;
        kept = node;
    }
    assert!(begun.elapsed() >= Duration::from_millis(1900), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_most_urgent_first() {
    let mut nodes = mesh(2, &NetLimits::default()).await;
    let to = nodes[1].key();
    let one = |n| Bytes::from(vec![n; 100]);
    nodes[0].net.send(&to, Channel::Vault, one(4)).unwrap();
    nodes[0].net.send(&to, Channel::Transactions, one(3)).unwrap();
    nodes[0].net.send(&to, Channel::Blocks, one(2)).unwrap();
    nodes[0].net.send(&to, Channel::Consensus, one(1)).unwrap();
    nodes[1].until("all have arrived", |net| net.stats().channels.iter().all(|c| c.messages_in == 1)).await;
    for expected in Channel::ALL {
        match nodes[1].next().await {
            Event::Received { channel, .. } => assert_eq!(channel, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_taken_elsewhere_hold_nothing_else_up() {
    let mut nodes = mesh(2, &narrow()).await;
    let (from, to) = (nodes[0].key(), nodes[1].key());
    let mut documents = nodes[1].take_vault().unwrap();
    assert!(nodes[1].take_vault().is_none(), "there is one receiver");
    // Nobody takes documents until the queue is full; votes and blocks pass all the same.
    let mut sent = 0;
    for document in payloads(1_000, 1 << 20) {
        match nodes[0].net.send(&to, Channel::Vault, document) {
            Ok(()) => sent += 1,
            Err(error) => {
                assert_eq!(error, SendError::QueueFull);
                break;
            }
        }
    }
    assert!((16..1_000).contains(&sent), "{sent}");
    for (channel, bytes) in [(Channel::Consensus, &b"vote"[..]), (Channel::Blocks, b"block")] {
        nodes[0].net.send(&to, channel, Bytes::from_static(bytes)).unwrap();
        assert_eq!(nodes[1].received(channel).await.1, bytes);
    }
    for expected in 0..sent {
        let (sender, bytes) = within("a document", documents.recv()).await.unwrap();
        assert_eq!((sender, number(&bytes)), (from, expected));
    }
    assert!(documents.try_recv().is_none());
    assert_eq!(nodes[0].net.stats().connections_closed, 0);
}
