//! Who is heard: what stands in the head of a request is judged before its body, for one node, by a key's own person or account.

use std::{collections::BTreeSet, sync::Arc};

use axum::{body::Body, http::Request};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;
use vouch_api::{ApiConfig, Backend, Documents, Server};
use vouch_types::{
    DocumentRoot,
    api::{
        STAGE_BYTES_MAX,
        caller::{Authority, WINDOW_MS},
    },
};

use crate::{
    documents::{
        ALIAS, MEMBER, PERSON, Shelf, Signed, account, code, now_ms, perform, read_path, shelf, shelf_of, signed,
        signed_at, signed_for,
    },
    double::{CHAIN, Plain, config, send, unlimited},
};

#[tokio::test]
async fn another_body_than_the_one_signed_is_refused() {
    let (shelf, api) = shelf();
    let stage = format!("/api/v1/documents/stage?root={}", DocumentRoot([7; 32]));
    let good = signed(1, "POST", &stage, &[3; 100_000]);
    let same_length = Signed { body: vec![4; 100_000], ..good.clone() };
    let none = Signed { body: Vec::new(), ..signed(1, "POST", &stage, &[3; 100_000]) };
    for other in [same_length, none] {
        let answer = perform(&api, other).await;
        assert_eq!((code(&answer).as_str(), answer.json()["where"].clone()), ("caller.signature", json!("vouch-body")));
    }
    // The attempt was one: what was signed for it is not heard again.
    assert_eq!(code(&perform(&api, good).await), "caller.replayed");
    assert_eq!(shelf.asked(), Vec::<String>::new());
}

/// A body that nobody may look at.
fn untouchable() -> Body {
    Body::from_stream(futures::stream::poll_fn(|_| -> std::task::Poll<Option<Result<Vec<u8>, std::io::Error>>> {
        panic!("the body was read")
    }))
}

#[tokio::test]
async fn a_body_is_not_read_before_its_head_is_judged() {
    let (shelf, api) = shelf();
    let stage = format!("/api/v1/documents/stage?root={}", DocumentRoot([7; 32]));
    let mut forged = signed(1, "POST", &stage, b"x");
    *forged.header("vouch-signature") = "07".repeat(64);
    let late = signed_at(1, "POST", &stage, b"x", CHAIN, now_ms() - WINDOW_MS - 5_000);
    let elsewhere = signed_for("node2.example:7480", 1, "POST", &stage, b"x", CHAIN, now_ms());
    let unknown = signed(6, "POST", &stage, b"x");
    let reader = signed(2, "POST", &stage, b"x");
    for (request, expected) in [
        (forged, "caller.signature"),
        (late, "caller.time"),
        (elsewhere, "caller.other_node"),
        (unknown, "caller.unknown"),
        (reader, "caller.forbidden"),
    ] {
        assert_eq!(code(&send(&api, request.with(untouchable())).await), expected);
    }
    let again = signed(1, "POST", &stage, b"x");
    assert_eq!(code(&perform(&api, again.clone()).await), "ok");
    assert_eq!(code(&send(&api, again.with(untouchable())).await), "caller.replayed");
    let announced = signed(1, "POST", &stage, b"x").with(untouchable());
    let (mut parts, body) = announced.into_parts();
    parts.headers.insert("content-length", (STAGE_BYTES_MAX + 1).into());
    assert_eq!(code(&send(&api, Request::from_parts(parts, body)).await), "request.too_large");
    assert_eq!(shelf.asked().len(), 1);
}

#[tokio::test]
async fn what_is_signed_for_one_node_is_not_heard_at_another() {
    let named = |name: &str| {
        let names = [name, "node.example:443"].map(|name| name.parse::<Authority>().expect("name"));
        shelf_of(&ApiConfig { names: names.into(), ..config(unlimited()) }, &[])
    };
    let ((first, of_first), (second, of_second)) = (named("node1.example:7480"), named("node2.example:7480"));
    let said =
        || signed_for("node1.example:7480", PERSON, "POST", &read_path(), br#"{"purpose":"own"}"#, CHAIN, now_ms());
    let captured = said();
    assert_eq!(code(&perform(&of_first, captured.clone()).await), "ok");
    assert_eq!(first.asked().len(), 1);
    let answer = perform(&of_second, captured.clone()).await;
    assert_eq!((code(&answer).as_str(), answer.status.as_u16()), ("caller.other_node", 421));
    assert_eq!(answer.json()["where"], "vouch-node");
    // Whatever its sender writes beside it.
    let mut renamed = captured.clone();
    *renamed.header("vouch-node") = "node2.example:7480".into();
    assert_eq!(code(&perform(&of_second, renamed).await), "caller.signature");
    let with_host =
        Signed { headers: [captured.headers, vec![("host", "node1.example:7480".into())]].concat(), ..said() };
    assert_eq!(code(&perform(&of_second, with_host).await), "caller.other_node");
    // Every machine has the loopback names: from elsewhere they mean no node, whichever port it has.
    for port in [0, 7480] {
        let node = format!("127.0.0.1:{port}");
        let local = signed_for(&node, PERSON, "POST", &read_path(), br#"{"purpose":"own"}"#, CHAIN, now_ms());
        assert_eq!(code(&perform(&of_second, local).await), "caller.other_node");
    }
    assert_eq!(second.asked(), Vec::<String>::new(), "nothing reached the vault");
    let by_other_name = signed_for("node.example:443", PERSON, "GET", "/api/v1/account", b"", CHAIN, now_ms());
    assert_eq!(code(&perform(&of_second, by_other_name).await), "ok");
}

#[tokio::test]
async fn on_its_own_machine_a_node_needs_no_name() {
    let (shelf, _) = shelf();
    let proxied = ApiConfig { proxies: BTreeSet::from([[127, 0, 0, 1].into()]), ..config(unlimited()) };
    for (config, header, expected) in [
        (config(unlimited()), None, "ok"),
        // By a proxy on this machine anybody comes from it.
        (config(unlimited()), Some("X-Forwarded-For: 203.0.113.5\r\n"), "caller.other_node"),
        (proxied, Some("X-Forwarded-For: 203.0.113.5\r\n"), "caller.other_node"),
    ] {
        let backend: Arc<dyn Backend> = Plain::new();
        let documents: Arc<dyn Documents> = Arc::<Shelf>::clone(&shelf);
        let server = Server::bind(&ApiConfig { names: BTreeSet::new(), ..config }, backend, Some(documents))
            .await
            .expect("binds");
        let (address, stop) = (server.local_address(), CancellationToken::new());
        let running = tokio::spawn(server.run(stop.clone()));
        let asks = async |node: &str| {
            let signed = signed_for(node, 1, "GET", "/api/v1/account", b"", CHAIN, now_ms());
            let headers: String = signed.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let text = format!(
                "GET /api/v1/account HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}{}\r\n",
                header.unwrap_or_default()
            );
            let mut stream = TcpStream::connect(address).await.expect("connects");
            stream.write_all(text.as_bytes()).await.expect("writes");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("answers");
            answer
        };
        let answer = asks(&address.to_string()).await;
        let fits = if expected == "ok" { answer.starts_with("HTTP/1.1 200") } else { answer.contains(expected) };
        assert!(fits, "{header:?}: {answer}");
        let other_port = asks(&format!("127.0.0.1:{}", address.port() ^ 1)).await;
        assert!(other_port.contains("caller.other_node"), "{other_port}");
        stop.cancel();
        running.await.expect("ends");
    }
}

#[tokio::test]
async fn a_person_stays_a_person_whoever_registers_their_key() {
    let held = format!("/api/v1/persons/{ALIAS}/held");
    for (member, standing, roles) in [
        ("works", "active", &["auditor", "reader", "submitter"][..]),
        ("works", "removed", &["reader"][..]),
        (MEMBER, "suspended", &["reader"][..]),
        (MEMBER, "active", &[][..]),
    ] {
        let (shelf, api) = shelf_of(&config(unlimited()), &[account(PERSON, member, standing, roles)]);
        let place = format!("{member} {standing} {roles:?}");
        let who = perform(&api, signed(PERSON, "GET", "/api/v1/account", b"")).await;
        assert_eq!((code(&who).as_str(), &who.json()["subject"]), ("ok", &json!(ALIAS)), "{place}");
        assert_eq!(code(&perform(&api, signed(PERSON, "GET", &held, b"")).await), "ok", "{place}");
        assert_eq!(code(&perform(&api, signed(PERSON, "POST", &read_path(), br#"{"purpose":"own"}"#)).await), "ok");
        // What is not for persons is refused for the account's reason.
        let vault = perform(&api, signed(PERSON, "GET", "/api/v1/vault", b"")).await;
        assert_eq!(code(&vault), "caller.forbidden", "{place}");
        assert_eq!(shelf.asked().len(), 2);
    }
}
