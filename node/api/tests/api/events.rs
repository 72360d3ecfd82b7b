//! The event stream: order, resuming, filters, ends.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use futures::StreamExt as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use vouch_api::Limits;

use crate::double::{Plain, api, api_with, get, post, request, transaction, unlimited};

/// Messages of an open stream as `(event, id, data)`.
struct Reader {
    body: axum::body::BodyDataStream,
    text: String,
}

async fn open(api: &Router, path: &str, last_event_id: Option<&str>) -> Reader {
    let mut request = request("GET", path);
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let response = api.clone().oneshot(request.body(Body::empty()).expect("request")).await.expect("infallible");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Reader { body: response.into_body().into_data_stream(), text: String::new() }
}

impl Reader {
    /// The next message; `None` when the stream ended.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let value = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    value.unwrap_or("").to_owned()
                };
                let data = serde_json::from_str(&field("data")).unwrap_or_default();
                let (event, id) = (field("event"), field("id"));
                self.text = rest.to_owned();
                if event.is_empty() && id.is_empty() {
                    continue;
                }
                return Some((event, id, data));
            }
            let piece = self.body.next().await?.expect("body");
            self.text.push_str(std::str::from_utf8(&piece).expect("text"));
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<String> {
        let mut out = Vec::new();
        while out.len() < count {
            let (event, id, _) = self.next().await.expect("more");
            out.push(format!("{event} {id}"));
        }
        out
    }
}

async fn fill(api: &Router, chain: &Arc<Plain>) {
    for (n, method) in [(1, "add"), (2, "remove")] {
        post(api, "/api/v1/transactions", "application/octet-stream", transaction(n, method).1).await;
    }
    chain.seal();
    chain.seal();
}

#[tokio::test]
async fn a_stream_from_the_beginning_goes_on_with_new_blocks() {
    let chain = Plain::new();
    let api = api(&chain);
    fill(&api, &chain).await;
    let mut reader = open(&api, "/api/v1/events?after=0-0", None).await;
    let expected = ["block 1-0", "transaction 1-1", "event 1-2", "transaction 1-3", "event 1-4", "block 2-0"];
    assert_eq!(reader.ids(6).await, expected);
    chain.seal();
    assert_eq!(reader.ids(1).await, ["block 3-0"]);

    let mut now = open(&api, "/api/v1/events", None).await;
    chain.seal();
    assert_eq!(now.ids(1).await, ["block 4-0"], "without a cursor it begins after the head");
}

#[tokio::test]
async fn resuming_at_every_place_gives_exactly_the_rest() {
    let chain = Plain::new();
    let api = api(&chain);
    fill(&api, &chain).await;
    let all = open(&api, "/api/v1/events?after=0-0", None).await.ids(6).await;
    for (position, last) in all.iter().enumerate().take(5) {
        let id = last.split(' ').nth(1).expect("id");
        let by_header = open(&api, "/api/v1/events?after=0-0", Some(id)).await.ids(5 - position).await;
        let by_query = open(&api, &format!("/api/v1/events?after={id}"), None).await.ids(5 - position).await;
        assert_eq!(by_header, all[position + 1..], "after {id}");
        assert_eq!(by_query, all[position + 1..], "after {id}");
    }
}

#[tokio::test]
async fn filters_leave_cursors_as_they_are() {
    let chain = Plain::new();
    let api = api(&chain);
    fill(&api, &chain).await;
    let id = transaction(2, "remove").0;
    let at = if open(&api, "/api/v1/events?after=0-0&name=remove", None).await.ids(1).await == ["event 1-2"] {
        1
    } else {
        3
    };
    let cases = [
        (format!("tx={id}"), vec![format!("transaction 1-{at}"), format!("event 1-{}", at + 1)]),
        ("name=remove".into(), vec![format!("event 1-{}", at + 1)]),
        ("contract=notes".into(), vec!["transaction 1-1".into(), "event 1-2".into(), "transaction 1-3".into()]),
    ];
    for (filter, expected) in cases {
        let mut reader = open(&api, &format!("/api/v1/events?after=0-0&{filter}"), None).await;
        assert_eq!(reader.ids(expected.len()).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_filtered_reader_still_learns_its_place() {
    let chain = Plain::new();
    let api = api(&chain);
    for _ in 0..40 {
        chain.seal();
    }
    let mut reader = open(&api, "/api/v1/events?after=0-0&contract=other", None).await;
    let (event, id, data) = reader.next().await.expect("a place");
    assert_eq!((event.as_str(), data), ("", Value::Null));
    assert_eq!(id, format!("16-{}", u32::MAX));
}

#[tokio::test]
async fn the_server_says_why_it_ends_a_stream() {
    let chain = Plain::new();
    let shutdown = CancellationToken::new();
    let api = api_with(&chain, unlimited(), shutdown.clone());
    fill(&api, &chain).await;
    let mut reader = open(&api, "/api/v1/events?after=0-0", None).await;
    reader.ids(6).await;
    shutdown.cancel();
    let (event, _, data) = reader.next().await.expect("a last message");
    assert_eq!(
        (event.as_str(), &data["problem"]["code"], &data["cursor"]),
        ("end", &"events.shutting_down".into(), &"2-0".into())
    );
    assert!(reader.next().await.is_none());

    chain.prune_below(2);
    let api = crate::double::api(&chain);
    let (event, _, data) = open(&api, "/api/v1/events?after=0-0", None).await.next().await.expect("a last message");
    assert_eq!((event.as_str(), &data["problem"]["code"]), ("end", &"events.pruned".into()));
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_let_go_with_its_place() {
    let chain = Plain::new();
    let limits = Limits { event_queue_max: 2, event_stall_ms: 50, ..unlimited() };
    let api = api_with(&chain, limits, CancellationToken::new());
    for _ in 0..10 {
        chain.seal();
    }
    let mut reader = open(&api, "/api/v1/events?after=0-0", None).await;
    let dropped = async {
        while !metrics(&api).await.contains("vouch_api_event_streams_dropped_total 1\n") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), dropped).await.expect("the reader is let go");
    assert_eq!(reader.ids(2).await, ["block 1-0", "block 2-0"]);
    let (event, _, data) = reader.next().await.expect("a last message");
    assert_eq!(
        (event.as_str(), &data["problem"]["code"], &data["cursor"]),
        ("end", &"events.too_slow".into(), &"2-0".into())
    );
}

async fn metrics(api: &Router) -> String {
    String::from_utf8(get(api, "/metrics").await.body).expect("text")
}

#[tokio::test]
async fn streams_are_counted_and_given_back() {
    let chain = Plain::new();
    let api = api_with(&chain, Limits { event_streams_max: 1, ..unlimited() }, CancellationToken::new());
    let first = open(&api, "/api/v1/events", None).await;
    let refused = get(&api, "/api/v1/events").await;
    assert_eq!(
        (refused.code().as_str(), &refused.headers["retry-after"]),
        ("events.too_many", &"5".parse().expect("value"))
    );
    drop(first);
    let mut tries = 0;
    // The task gives its place back as soon as it is scheduled.
    while api
        .clone()
        .oneshot(request("GET", "/api/v1/events").body(Body::empty()).expect("request"))
        .await
        .expect("infallible")
        .status()
        != 200
    {
        tries += 1;
        assert!(tries < 1000, "the place is not given back");
        tokio::task::yield_now().await;
    }
}
