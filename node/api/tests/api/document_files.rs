//! Routes for files of documents: who may, what arrives, and how much is in memory at a time.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use vouch_api::{Backend, Limits, Server};
use vouch_types::{DocumentRoot, Hash32, api::FILE_PIECE_BYTES_MAX};

use crate::{
    documents::{ID, Shelf, Signed, code, perform, secret, shelf, shelf_with, signed},
    double::{Plain, config, send, unlimited},
};

fn uploads() -> String {
    format!("/api/v1/documents/{ID}/versions/2/uploads/4/1")
}

fn files() -> String {
    format!("/api/v1/documents/{ID}/versions/2/files/4/1")
}

#[tokio::test]
async fn a_file_arrives_in_pieces_as_it_was_sent() {
    let (shelf, api) = shelf();
    let actor = secret(1).public().account();
    let (tag, root) = (Hash32([3; 32]), Hash32([5; 32]));
    let begin = json!({ "bytes": 99, "tag": tag }).to_string();
    let begun = perform(&api, signed(1, "POST", &uploads(), begin.as_bytes())).await;
    assert_eq!((code(&begun).as_str(), &begun.json()["slot"], &begun.json()["index"]), ("ok", &json!(4), &json!(1)));
    let at = format!("{}?offset=7", uploads());
    let piece = perform(&api, signed(1, "PATCH", &at, b"0123")).await;
    assert_eq!((code(&piece).as_str(), piece.json()["offset"].clone()), ("ok", json!(11)));
    let look = perform(&api, signed(1, "GET", &uploads(), b"")).await;
    assert_eq!(look.json()["offset"], 7);
    let finish = format!("{}/finish", uploads());
    let finished = perform(&api, signed(1, "POST", &finish, json!({ "root": root }).to_string().as_bytes())).await;
    assert_eq!(finished.json()["root"], json!(root));
    let ended = perform(&api, signed(1, "DELETE", &uploads(), b"")).await;
    assert_eq!((ended.status.as_u16(), ended.body.len()), (204, 0));
    let expected =
        [format!("begin {actor} 4 1 99 {tag}"), "piece 7 4".into(), format!("finish {root}"), "end 4 1".into()];
    assert_eq!(shelf.asked(), expected);

    // What is not of its form reaches nobody.
    for bad in [r#"{"bytes":1}"#, r#"{"bytes":-1,"tag":"00"}"#, "no"] {
        assert_eq!(code(&perform(&api, signed(1, "POST", &uploads(), bad.as_bytes())).await), "request.malformed");
    }
    assert_eq!(code(&perform(&api, signed(1, "PATCH", &uploads(), b"x")).await), "request.bad_parameter");
    assert_eq!(code(&perform(&api, signed(1, "PATCH", &at, b"")).await), "request.empty");
    let large = vec![0; FILE_PIECE_BYTES_MAX + 1];
    assert_eq!(code(&perform(&api, signed(1, "PATCH", &at, &large)).await), "request.too_large");
    let as_json = Signed { media_type: "application/json", ..signed(1, "PATCH", &at, b"x") };
    assert_eq!(code(&perform(&api, as_json).await), "request.unsupported_media_type");
    let changed = Signed { body: b"0124".to_vec(), ..signed(1, "PATCH", &at, b"0123") };
    assert_eq!(code(&perform(&api, changed).await), "caller.signature", "each piece is under the signature");
    let moved = Signed { target: at.replace('7', "8"), ..signed(1, "PATCH", &at, b"0123") };
    assert_eq!(code(&perform(&api, moved).await), "caller.signature", "and so is its place");
    let far = uploads().replace("/4/1", "/70000/1");
    assert_eq!(code(&perform(&api, signed(1, "GET", &far, b"")).await), "request.bad_parameter");
    // A reader brings nothing.
    for (method, path) in
        [("POST", uploads()), ("GET", uploads()), ("PATCH", at), ("POST", finish), ("DELETE", uploads())]
    {
        assert_eq!(code(&perform(&api, signed(2, method, &path, b"x")).await), "caller.forbidden", "{method}");
    }
    assert_eq!(shelf.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_is_opened_and_read_by_ranges_of_groups() {
    let (shelf, api) = shelf();
    let open = format!("{}/open", files());
    let wish = json!({ "purpose": "tax", "recipient": Hash32([8; 32]) }).to_string();
    let opened = perform(&api, signed(2, "POST", &open, wish.as_bytes())).await;
    assert_eq!((code(&opened).as_str(), opened.json()["opening"].clone()), ("ok", json!("06".repeat(16))));
    let at = |opening: &str, from: u64, to: u64| format!("{}?opening={opening}&from={from}&to={to}", files());
    let opening = "06".repeat(16);
    let piece = perform(&api, signed(2, "GET", &at(&opening, 16_384, 32_768), b"")).await;
    assert_eq!((code(&piece).as_str(), piece.body.as_slice()), ("ok", &[4; 16_384][..]));
    let actor = secret(2).public().account();
    assert_eq!(shelf.asked(), [format!("open {actor} tax {}", Hash32([8; 32])), "cut 6 16384..32768".into()]);
    let most = FILE_PIECE_BYTES_MAX as u64;
    for (opening, from, to) in [
        ("06", 0, 1),
        (&opening, 1, 16_384),
        (&opening, 16_384, 16_384),
        (&opening, 32_768, 16_384),
        (&opening, 0, most + 16_384),
    ] {
        let answer = perform(&api, signed(2, "GET", &at(opening, from, to), b"")).await;
        assert_eq!(code(&answer), "request.bad_parameter", "{from} {to}");
    }
    for bad in [r#"{"purpose":"tax"}"#, r#"{"purpose":"tax","recipient":"xx"}"#] {
        assert_eq!(code(&perform(&api, signed(2, "POST", &open, bad.as_bytes())).await), "request.malformed");
    }
    assert_eq!(code(&perform(&api, signed(3, "POST", &open, wish.as_bytes())).await), "caller.forbidden");
    assert_eq!(shelf.asked(), Vec::<String>::new());
}

/// A piece of a file on its way in.
fn bring(n: u8, bytes: &[u8]) -> Signed {
    signed(n, "PATCH", &format!("{}?offset=0", uploads()), bytes)
}

/// A range of a file on its way out.
fn take(n: u8, bytes: u64) -> Signed {
    signed(n, "GET", &format!("{}?opening={}&from=0&to={bytes}", files(), "06".repeat(16)), b"")
}

/// Its length is announced, as over a connection.
fn announced(signed: Signed) -> Request<Body> {
    let length = signed.body.len();
    let body = Body::from(signed.body.clone());
    let mut request = signed.with(body);
    request.headers_mut().insert("content-length", length.into());
    request
}

/// Room for so many pieces of 64 KiB; a quarter of it for one account.
fn shelf_for(pieces: usize) -> (Arc<Shelf>, Router) {
    shelf_with(Limits { signed_bytes_max: pieces << 16, ..unlimited() })
}

#[tokio::test]
async fn an_account_takes_a_part_of_the_room_and_not_all_of_it() {
    let (shelf, api) = shelf_for(8);
    let piece = vec![7; 1 << 16];
    let closed = shelf.gate.write().await;
    let held: Vec<_> = (0..2)
        .map(|_| {
            let (api, piece) = (api.clone(), announced(bring(1, &piece)));
            tokio::spawn(async move { code(&send(&api, piece).await) })
        })
        .collect();
    while shelf.has_asked() < 2 {
        tokio::task::yield_now().await;
    }
    let refused = send(&api, announced(bring(1, &piece))).await;
    assert_eq!((code(&refused).as_str(), refused.status.as_u16()), ("request.overloaded", 503));
    assert_eq!(refused.headers["retry-after"], "1");
    // The same for what is read and staged; what is small needs no room.
    assert_eq!(code(&perform(&api, take(1, 1 << 16)).await), "request.overloaded");
    let stage = format!("/api/v1/documents/stage?root={}", DocumentRoot([7; 32]));
    let document = signed(1, "POST", &stage, &piece);
    assert_eq!(code(&send(&api, announced(document)).await), "request.overloaded");
    assert_eq!(code(&send(&api, announced(signed(1, "POST", &stage, b"small"))).await), "ok");
    // Another has a part of its own.
    assert_eq!(code(&perform(&api, take(2, 1 << 16)).await), "ok");
    drop(closed);
    for held in held {
        assert_eq!(held.await.expect("runs"), "ok");
    }
    assert_eq!(code(&send(&api, announced(bring(1, &piece))).await), "ok", "it was given back");
}

#[tokio::test]
async fn who_cannot_sign_takes_no_room() {
    let (_, api) = shelf_for(4);
    let endless = || Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut forged = bring(1, b"x");
            *forged.header("vouch-signature") = "07".repeat(64);
            let (api, forged) = (api.clone(), forged.with(endless()));
            tokio::spawn(async move { code(&send(&api, forged).await) })
        })
        .collect();
    for answer in waiting {
        assert_eq!(answer.await.expect("runs"), "caller.signature", "at once, whatever becomes of the body");
    }
    assert_eq!(code(&send(&api, announced(bring(1, &vec![7; 1 << 16]))).await), "ok");
}

#[tokio::test]
async fn a_body_that_trickles_in_ends_and_gives_its_room_back() {
    let (_, api) = shelf_with(Limits { signed_bytes_max: 4 << 16, body_timeout_ms: 50, ..unlimited() });
    let endless = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let mut slow = bring(1, &vec![7; 1 << 16]).with(endless);
    slow.headers_mut().insert("content-length", (1 << 16).into());
    let answer = send(&api, slow).await;
    assert_eq!((code(&answer).as_str(), answer.json()["where"].clone()), ("request.timeout", json!("body")));
    assert_eq!(code(&send(&api, announced(bring(1, &vec![7; 1 << 16]))).await), "ok");
}

#[tokio::test]
async fn what_is_shown_keeps_its_room_until_it_is_taken() {
    let (_, api) = shelf_for(4);
    let first = api.clone().oneshot(take(2, 1 << 16).with(Body::empty())).await.expect("infallible");
    assert_eq!(code(&perform(&api, take(2, 1 << 16)).await), "request.overloaded");
    let taken = first.into_body().collect().await.expect("whole").to_bytes();
    assert_eq!((taken.len(), taken[65_535]), (1 << 16, 4));
    assert_eq!(code(&perform(&api, take(2, 1 << 16)).await), "ok");
    // Who goes away gives it back at once.
    drop(api.clone().oneshot(take(2, 1 << 16).with(Body::empty())).await.expect("infallible"));
    assert_eq!(code(&perform(&api, take(2, 1 << 16)).await), "ok");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_gives_its_room_back() {
    let (_, api) = shelf_with(Limits { signed_bytes_max: 4 << 15, answer_timeout_ms: 20, ..unlimited() });
    let ask = async || api.clone().oneshot(take(2, 1 << 15).with(Body::empty())).await.expect("infallible");
    let stalled = ask().await;
    // It is kept here, taken by nobody, and its room comes back all the same.
    while !ask().await.status().is_success() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(stalled.into_body().collect().await.is_err(), "half an answer is not taken for a whole one");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_loses_its_connection() {
    let (shelf, _) = shelf();
    let backend: Arc<dyn Backend> = Plain::new();
    let limits = Limits { answer_timeout_ms: 100, answer_bytes_per_second_min: usize::MAX, ..unlimited() };
    let server = Server::bind(&config(limits), backend, Some(shelf)).await.expect("binds");
    let (address, stop) = (server.local_address(), CancellationToken::new());
    let running = tokio::spawn(server.run(stop.clone()));
    let bytes = FILE_PIECE_BYTES_MAX;
    let asked = take(2, bytes as u64);
    let headers: String = asked.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("GET {} HTTP/1.1\r\nhost: x\r\n{headers}\r\n", asked.target);
    let socket = TcpSocket::new_v4().expect("socket");
    socket.set_recv_buffer_size(4096).expect("a small window");
    let mut stream = socket.connect(address).await.expect("connects");
    stream.write_all(text.as_bytes()).await.expect("writes");
    let mut start = [0; 15];
    stream.read_exact(&mut start).await.expect("answers");
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    // The node counts its connections: the one that asks is left.
    let open = async || {
        let mut other = TcpStream::connect(address).await.expect("connects");
        other.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("writes");
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.expect("answers");
        let line = answer.lines().find(|line| line.starts_with("vouch_api_connections ")).expect("counted").to_owned();
        line.rsplit(' ').next().expect("a number").parse::<f64>().expect("a number")
    };
    while open().await > 1.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < bytes, "it has not got all of it");
    stop.cancel();
    running.await.expect("ends");
}
