//! Bounds on what callers can make the node do, over the router and over real connections.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{body::Body, http::StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;
use vouch_api::{ApiConfig, Backend, Limits, RateLimit, Server};

use crate::double::{Plain, api_with, config, get, post, request, send, unlimited};

#[tokio::test]
async fn the_allowance_is_told_and_probes_are_free() {
    let rate = Some(RateLimit { per_second: 1, burst: 2, exempt_loopback: true });
    let api = api_with(&Plain::new(), Limits { rate, ..Limits::default() }, CancellationToken::new());
    for _ in 0..2 {
        assert_eq!(get(&api, "/api/v1/status").await.status, StatusCode::OK);
    }
    let refused = get(&api, "/api/v1/status").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "request.rate_limited"));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(get(&api, "/nothing").await.code(), "request.rate_limited", "unknown routes count as well");
    assert_eq!(get(&api, "/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let api = api_with(&Plain::new(), Limits { request_timeout_ms: 100, ..unlimited() }, CancellationToken::new());
    let hang = post(&api, "/api/v1/contracts/notes/query/hang", "application/json", "").await;
    assert_eq!((hang.status.as_u16(), hang.code().as_str()), (408, "request.timeout"));
    let endless = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let slow = post(&api, "/api/v1/transactions", "application/octet-stream", endless).await;
    assert_eq!(slow.code(), "request.timeout");
}

#[tokio::test]
async fn too_many_at_once_are_told_so() {
    let limits = Limits { requests_in_flight_max: 1, ..unlimited() };
    let api = api_with(&Plain::new(), limits, CancellationToken::new());
    let hang = api.clone();
    let first =
        tokio::spawn(async move { post(&hang, "/api/v1/contracts/notes/query/hang", "application/json", "").await });
    tokio::task::yield_now().await;
    let refused = get(&api, "/api/v1/status").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "request.overloaded"));
    first.abort();
    let _ = first.await;
    assert_eq!(get(&api, "/api/v1/status").await.status, StatusCode::OK, "the place was given back");
}

#[tokio::test]
async fn a_body_without_announced_length_is_cut_off() {
    let api = api_with(&Plain::new(), unlimited(), CancellationToken::new());
    let pieces = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 64 << 10]));
    let request = request("POST", "/api/v1/transactions").header("content-type", "application/octet-stream");
    let answer = send(&api, request.body(Body::from_stream(pieces)).expect("request")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "request.too_large"));
    let broken = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("cut"))]);
    let answer = post(&api, "/api/v1/transactions", "application/octet-stream", Body::from_stream(broken)).await;
    assert_eq!(answer.code(), "request.malformed");
}

#[tokio::test]
async fn bodies_of_who_does_not_sign_have_a_bound_together_and_for_each_address() {
    let (large, limits) = (1 << 18, Limits { open_bytes_max: 1 << 20, ..unlimited() });
    let api = api_with(&Plain::new(), limits, CancellationToken::new());
    let batch = |body: Body| {
        let request = request("POST", "/api/v1/transactions/batch").header("content-type", "application/octet-stream");
        request.header("content-length", large).body(body).expect("request")
    };
    let endless = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let (slow, waiting) = (api.clone(), batch(endless));
    let waiting = tokio::spawn(async move { send(&slow, waiting).await });
    tokio::task::yield_now().await;
    let refused = send(&api, batch(Body::from(vec![0; large]))).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "request.overloaded"));
    let small = post(&api, "/api/v1/contracts/notes/query/echo", "application/json", "{}");
    assert_eq!(small.await.code(), "request.overloaded", "without an announced length it counts as the largest");
    let small = request("POST", "/api/v1/contracts/notes/query/echo").header("content-type", "application/json");
    let small = small.header("content-length", 2).body(Body::from("{}")).expect("request");
    assert_eq!(send(&api, small).await.status, StatusCode::OK);
    waiting.abort();
    let _ = waiting.await;
    assert_eq!(
        send(&api, batch(Body::from(vec![0; large]))).await.code(),
        "request.too_many_items",
        "it was given back"
    );
}

#[tokio::test]
async fn behind_a_named_proxy_its_clients_are_counted_each() {
    let rate = Some(RateLimit { per_second: 1, burst: 1, exempt_loopback: true });
    let limits = Limits { rate, connections_per_address_max: 1, ..Limits::default() };
    let status = async |address: std::net::SocketAddr, header: &str| {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let text = format!("GET /api/v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n");
        stream.write_all(text.as_bytes()).await.expect("writes");
        read_all(&mut stream).await.split(' ').nth(1).unwrap_or("closed").to_owned()
    };
    let by = |client: &str| format!("x-forwarded-for: {client}\r\n");
    let backend: Arc<dyn Backend> = Plain::new();
    let proxies = BTreeSet::from([[127, 0, 0, 1].into()]);
    let server = Server::bind(&ApiConfig { proxies, ..config(limits) }, backend, None).await.expect("binds");
    let (address, stop) = (server.local_address(), CancellationToken::new());
    let _running = tokio::spawn(server.run(stop.clone()));
    let _kept = TcpStream::connect(address).await.expect("a proxy keeps several connections");
    // An allowance of one that comes back within a second: of many at once some are refused.
    let is_bounded = async |address: std::net::SocketAddr, client: &dyn Fn(u8) -> String| {
        for n in 0..100 {
            if status(address, &by(&client(n))).await == "429" {
                return true;
            }
        }
        false
    };
    assert!(is_bounded(address, &|_| "203.0.113.5".to_owned()).await);
    assert_eq!(status(address, &by("203.0.113.6")).await, "200", "another client's is another");
    assert!(is_bounded(address, &|n| format!("198.51.100.{n}, 203.0.113.5")).await, "what the client wrote itself");
    assert!(!is_bounded(address, &|n| format!("198.51.100.{n}")).await, "each of them");

    // One that is not named speaks for one address, which is not let through without a bound.
    let (address, _stop, _server) = serve(Limits { rate, ..Limits::default() }).await;
    for _ in 0..20 {
        assert_eq!(status(address, "").await, "200", "a program on this machine");
    }
    assert!(is_bounded(address, &|n| format!("198.51.100.{n}")).await);
}

#[tokio::test]
async fn small_bodies_that_never_end_take_only_a_part_of_all_requests() {
    let limits = Limits { requests_in_flight_max: 8, ..unlimited() };
    let backend: Arc<dyn Backend> = Plain::new();
    let proxies = BTreeSet::from([[127, 0, 0, 1].into()]);
    let server = Server::bind(&ApiConfig { proxies, ..config(limits) }, backend, None).await.expect("binds");
    let (address, stop) = (server.local_address(), CancellationToken::new());
    let _running = tokio::spawn(server.run(stop.clone()));
    let ask = async |client: &str, rest: &str| {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let text = format!(
            "POST /api/v1/contracts/notes/query/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\nx-forwarded-for: {client}\r\ncontent-length: 2\r\n\r\n{rest}"
        );
        stream.write_all(text.as_bytes()).await.expect("writes");
        stream
    };
    let answer = async |client: &str| {
        let mut stream = ask(client, "{}").await;
        let text = read_all(&mut stream).await;
        text.split(' ').nth(1).unwrap_or("closed").to_owned()
    };
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(ask("203.0.113.5", "{").await);
    }
    // The node has them when it refuses a third.
    let mut refused = String::new();
    for _ in 0..200 {
        refused = answer("203.0.113.5").await;
        if refused == "503" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(refused, "503");
    assert_eq!(answer("203.0.113.6").await, "200", "others go on");
    drop(held);
    for _ in 0..200 {
        if answer("203.0.113.5").await == "200" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("their places were not given back");
}

async fn serve(limits: Limits) -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let backend: Arc<dyn Backend> = Plain::new();
    let server = Server::bind(&config(limits), backend, None).await.expect("binds");
    let (address, stop) = (server.local_address(), CancellationToken::new());
    (address, stop.clone(), tokio::spawn(server.run(stop)))
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut out)).await.expect("ends");
    String::from_utf8_lossy(&out).into_owned()
}

#[tokio::test]
async fn headers_that_trickle_in_end_the_connection() {
    let (address, _stop, _server) = serve(Limits { header_timeout_ms: 100, ..unlimited() }).await;
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n").await.expect("writes");
    let answer = read_all(&mut stream).await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn connections_above_the_bound_are_closed_at_once() {
    let (address, _stop, _server) = serve(Limits { connections_per_address_max: 1, ..unlimited() }).await;
    let mut first = TcpStream::connect(address).await.expect("connects");
    first.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("writes");
    let mut start = [0; 15];
    first.read_exact(&mut start).await.expect("answers");
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    let mut second = TcpStream::connect(address).await.expect("connects");
    assert_eq!(read_all(&mut second).await, "");
    first.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("writes");
    assert!(read_all(&mut first).await.contains("200 OK"), "the first goes on");
}

#[tokio::test]
async fn going_down_ends_streams_and_connections() {
    let (address, stop, server) = serve(unlimited()).await;
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("writes");
    let mut start = [0; 15];
    stream.read_exact(&mut start).await.expect("answers");
    stop.cancel();
    assert!(read_all(&mut stream).await.contains("events.shutting_down"));
    tokio::time::timeout(Duration::from_secs(20), server).await.expect("ends").expect("without panic");
    assert!(TcpStream::connect(address).await.is_err(), "it no longer listens");
}
