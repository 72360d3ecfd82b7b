//! Requests and responses.

use bytes::Bytes;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use vouch_net::{DisconnectReason, Event, NetLimits, ReplyError, ReplyHandle, RequestError};
use vouch_types::PublicKey;

use crate::support::{CHAIN, Node, Raw, RawPeer, connect_all, key_of, mesh, within};

async fn requested(node: &mut Node) -> (PublicKey, Bytes, ReplyHandle) {
    node.wait("RequestReceived", |e| match e {
        Event::RequestReceived { from, bytes, reply } => Ok((from, bytes, reply)),
        other => Err(other),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_come_back_whatever_their_size() {
    let mut nodes = mesh(2, &NetLimits::default()).await;
    let (asker, server) = nodes.split_at_mut(1);
    let (asker, server) = (&asker[0], &mut server[0]);
    let to = server.key();
    for (question, answer) in [(0, 0), (1, 1), (64 << 10, 16 << 20)] {
        let question = Bytes::from(vec![3; question]);
        let answer = Bytes::from(vec![4; answer]);
        let serve = async {
            let (from, bytes, reply) = requested(server).await;
            assert_eq!((from, bytes), (asker.key(), question.clone()));
            reply.send(answer.clone()).unwrap();
        };
        let (got, ()) = tokio::join!(asker.net.request(&to, question.clone()), serve);
        assert!(got.unwrap() == answer);
    }
    assert_eq!(asker.net.stats().requests_sent, 3);
    assert_eq!(server.net.stats().requests_received, 3);
    assert_eq!(asker.net.stats().requests_failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_get_no_response_has_its_error() {
    let limits = NetLimits {
        request_timeout_ms: 500,
        requests_out_max: 2,
        request_bytes_max: 1000,
        response_bytes_max: 2000,
        ..NetLimits::default()
    };
    // The server is the more patient one, or its refusal could come before the asker gives up.
    let patient = NetLimits { request_timeout_ms: 3000, ..limits.clone() };
    let mut nodes = vec![Node::start([1; 32], &limits).await, Node::start([2; 32], &patient).await];
    connect_all(&mut nodes).await;
    let (asker, server) = nodes.split_at_mut(1);
    let (asker, server) = (&asker[0], &mut server[0]);
    let to = server.key();
    let ask = |size| asker.net.request(&to, Bytes::from(vec![1; size]));

    assert_eq!(ask(1001).await, Err(RequestError::Size));
    assert_eq!(asker.net.request(&key_of(&[77; 32]), Bytes::new()).await, Err(RequestError::UnknownPeer));

    // Never answered, twice, and no place for a third.
    let (first, second, third) = tokio::join!(ask(1), ask(2), ask(3));
    assert_eq!(
        (first, second, third),
        (Err(RequestError::Timeout), Err(RequestError::Timeout), Err(RequestError::Busy))
    );
    let (late, other) = (requested(server).await.2, requested(server).await.2);
    drop(other);
    server.until("the request has ended here too", |_| late.is_gone()).await;
    assert_eq!(late.send(Bytes::new()), Err(ReplyError::Gone));

    let (outcome, ()) = tokio::join!(ask(4), async { drop(requested(server).await) });
    assert_eq!(outcome, Err(RequestError::Refused));

    let (outcome, ()) = tokio::join!(ask(5), async {
        let reply = requested(server).await.2;
        assert_eq!(reply.send(Bytes::from(vec![0; 2001])), Err(ReplyError::Size));
    });
    assert_eq!(outcome, Err(RequestError::Refused));

    asker.net.set_peers(vec![vouch_net::PeerEntry { key: to, address: "127.0.0.1:1".into() }]);
    within("shutdown", server.net.shutdown()).await;
    asker.until("the server is gone", |net| net.peers()[0].connected_since.is_none()).await;
    assert_eq!(ask(6).await, Err(RequestError::NotConnected));
    within("shutdown", asker.net.shutdown()).await;
    assert!(ask(7).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn oversize_and_malformed_ones_are_refused_and_counted() {
    let limits = NetLimits { request_bytes_max: 1000, response_bytes_max: 2000, ..NetLimits::default() };
    let mut node = Node::start([1; 32], &limits).await;
    let raw_key = key_of(&[50; 32]);
    node.net.set_peers(vec![vouch_net::PeerEntry { key: raw_key, address: "127.0.0.1:1".into() }]);
    let mut raw = RawPeer::dial([50; 32], &node, CHAIN);
    let _channels = raw.open_channels(&node).await;
    node.connected(raw_key).await;

    // Version 1, kind "request", one byte more than allowed, and only then nothing.
    let mut stream = raw.open(&node, CHAIN, "sync").await;
    stream.write_all(&[1, 16, 0, 0, 0xe9, 3, 0, 0]).await.unwrap();
    stream.flush().await.unwrap();
    let violation = |text: &str| DisconnectReason::Violation(text.into());
    assert_eq!(node.disconnected(raw_key).await, violation("request: frame too large"));
    assert_eq!(within("reset", stream.read(&mut [0; 10])).await.unwrap_or(0), 0);
    raw.closed().await;
    assert_eq!(node.net.peers()[0].violations, 1);

    // A response that announces 4 GiB.
    let mut raw = RawPeer::dial([50; 32], &node, CHAIN);
    let _channels = raw.open_channels(&node).await;
    node.connected(raw_key).await;
    let answer = async {
        loop {
            if let Raw::Inbound(name, mut stream) = raw.reports.recv().await.unwrap()
                && name.as_ref().contains("/sync/")
            {
                stream.write_all(&[1, 17, 0, 0, 255, 255, 255, 255]).await.unwrap();
                stream.flush().await.unwrap();
                return stream;
            }
        }
    };
    let (outcome, _stream) = tokio::join!(node.net.request(&raw_key, Bytes::from_static(b"?")), answer);
    assert!(matches!(outcome, Err(RequestError::Malformed(_))), "{outcome:?}");
    assert_eq!(node.disconnected(raw_key).await, violation("response: frame too large"));
    assert_eq!(node.net.peers()[0].violations, 2);
    assert_eq!(node.net.stats().violations, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_questions_wait_their_turn() {
    let limits = NetLimits { requests_per_second: 10, ..NetLimits::default() };
    let mut nodes = mesh(2, &limits).await;
    let (asker, server) = nodes.split_at_mut(1);
    let (asker, server) = (&asker[0], &mut server[0]);
    let to = server.key();
    let begun = tokio::time::Instant::now();
    let serve = async {
        for _ in 0..20 {
            requested(server).await.2.send(Bytes::new()).unwrap();
        }
    };
    let ask = async {
        for _ in 0..20 {
            asker.net.request(&to, Bytes::new()).await.unwrap();
        }
    };
    tokio::join!(ask, serve);
    // Ten at once, ten at ten per second.
    assert!(begun.elapsed().as_millis() >= 900);
    assert!(server.net.stats().requests_throttled >= 9);
}
