//! Every route's answer and every refusal's code.

use axum::{body::Body, http::StatusCode};
use serde_json::json;
use vouch_types::{TransactionError, api::BATCH_ITEMS_MAX};

use crate::double::{ADMIN, Plain, api, get, post, request, send, stalled, transaction};

const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";

#[tokio::test]
async fn a_transaction_from_submission_to_proof() {
    let chain = Plain::new();
    let api = api(&chain);
    let (id, raw) = transaction(1, "add");
    let path = format!("/api/v1/transactions/{id}");
    assert_eq!(get(&api, &path).await.json(), json!({ "status": "unknown", "head": 0 }));

    let first = post(&api, "/api/v1/transactions", OCTETS, raw.clone()).await;
    assert_eq!((first.status, first.json()), (StatusCode::ACCEPTED, json!({ "id": id, "status": "accepted" })));
    let body = json!({ "transaction": hex::encode(&raw) }).to_string();
    let again = post(&api, "/api/v1/transactions", JSON, body).await;
    assert_eq!((again.status, again.json()), (StatusCode::OK, json!({ "id": id, "status": "known" })));
    assert_eq!(get(&api, &path).await.json()["status"], "pending");
    assert_eq!(get(&api, &format!("{path}/proof")).await.code(), "tx.not_final");

    chain.seal();
    let body = json!({ "transaction": base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &raw) }).to_string();
    assert_eq!(post(&api, "/api/v1/transactions", JSON, body).await.json()["status"], "known");
    let shown = get(&api, &path).await.json();
    assert_eq!((&shown["status"], &shown["transaction"]["height"]), (&json!("final"), &json!(1)));
    assert_eq!(shown["transaction"]["receipt"]["outcome"], "success");
    let proof = get(&api, &format!("{path}/proof?claim=event&index=0")).await.json();
    assert_eq!(proof, json!({ "id": id, "claim": "event", "index": 0, "proof": "abababab" }));
    let bare = request("GET", &format!("{path}/proof")).header("accept", OCTETS).body(Body::empty()).expect("request");
    assert_eq!(send(&api, bare).await.body, [0xab; 4]);
}

#[tokio::test]
async fn waiting_ends_with_the_block() {
    let chain = Plain::new();
    let api = api(&chain);
    let (id, raw) = transaction(1, "add");
    post(&api, "/api/v1/transactions", OCTETS, raw).await;
    let path = format!("/api/v1/transactions/{id}?wait_ms=30000");
    let (answer, ()) = tokio::join!(get(&api, &path), async {
        tokio::task::yield_now().await;
        chain.seal();
    });
    assert_eq!(answer.json()["status"], "final");
    let unknown = get(&api, &format!("/api/v1/transactions/{}?wait_ms=1", "ab".repeat(32))).await;
    assert_eq!(unknown.json()["status"], "unknown");
}

#[tokio::test]
async fn batches_answer_each_item_by_itself() {
    let api = api(&Plain::new());
    let ((one, raw_one), (two, raw_two)) = (transaction(1, "add"), transaction(2, "add"));
    let mut body = Vec::new();
    for raw in [raw_one.as_slice(), &[1, 2, 3], &raw_two, &raw_one] {
        body.extend_from_slice(&u32::try_from(raw.len()).expect("small").to_le_bytes());
        body.extend_from_slice(raw);
    }
    let results = post(&api, "/api/v1/transactions/batch", OCTETS, body).await.json()["results"].clone();
    assert_eq!(results[0], json!({ "status": "accepted", "id": one }));
    assert_eq!(results[1]["status"], "refused");
    assert_eq!(results[1]["problem"]["code"], "tx.malformed");
    assert_eq!(results[2], json!({ "status": "accepted", "id": two }));
    assert_eq!(results[3], json!({ "status": "known", "id": one }));

    let body = json!({ "transactions": [hex::encode(&raw_one)] }).to_string();
    let answer = post(&api, "/api/v1/transactions/batch", JSON, body).await.json();
    assert_eq!(answer["results"], json!([{ "status": "known", "id": one }]));
    let problem = post(&api, "/api/v1/transactions/batch", JSON, r#"{"transactions":["00","zz!"]}"#).await;
    assert_eq!((problem.code().as_str(), &problem.json()["where"]), ("request.malformed", &json!("transactions[1]")));
    let many = json!({ "transactions": vec!["00"; BATCH_ITEMS_MAX + 1] }).to_string();
    assert_eq!(post(&api, "/api/v1/transactions/batch", JSON, many).await.code(), "request.too_many_items");
}

#[tokio::test]
async fn lists_page_by_key_and_tell_the_head() {
    let chain = Plain::new();
    let api = api(&chain);
    for n in 0..3 {
        post(&api, "/api/v1/transactions", OCTETS, transaction(n, "add").1).await;
    }
    chain.seal();
    chain.seal();
    let cases = [
        ("/api/v1/blocks", "before", 2, "height"),
        ("/api/v1/blocks/1/transactions", "after", 3, "id"),
        ("/api/v1/contracts", "after", 3, "name"),
        ("/api/v1/evidence", "after", 3, "sequence"),
        ("/api/v1/proposals", "before", 3, "id"),
        ("/api/v1/accounts", "after", 5, "account"),
        ("/api/v1/certificates", "after", 3, "fingerprint"),
    ];
    for (path, parameter, count, field) in cases {
        let whole = get(&api, path).await.json();
        assert_eq!(whole["items"].as_array().map(Vec::len), Some(count), "{path}");
        assert_eq!((&whole["head"], whole.get("next")), (&json!(2), None), "{path}");
        let mut seen = Vec::new();
        let mut next = String::new();
        loop {
            let page = get(&api, &format!("{path}?limit=1{next}")).await.json();
            assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{path}{next}");
            seen.push(page["items"][0][field].clone());
            match page.get("next").and_then(|next| next.as_str()) {
                Some(cursor) => next = format!("&{parameter}={cursor}"),
                None => break,
            }
        }
        let all: Vec<_> = whole["items"].as_array().expect("list").iter().map(|item| item[field].clone()).collect();
        assert_eq!(seen, all, "{path}");
    }
}

#[tokio::test]
async fn the_other_routes_answer() {
    let chain = Plain::new();
    let api = api(&chain);
    chain.seal();
    let cases = [
        ("/api/v1/blocks/latest", "/summary/height", json!(1)),
        ("/api/v1/blocks/1", "/header/height", json!(1)),
        ("/api/v1/contracts/notes", "/name", json!("notes")),
        ("/api/v1/contracts/notes/state/01?proof=true", "/proof", json!("02")),
        ("/api/v1/contracts/notes/state/01", "/value", json!("02")),
        ("/api/v1/contracts/notes/state/", "/code", json!("route.unknown")),
        ("/api/v1/contracts/notes/state/03", "/value", json!(null)),
        ("/api/v1/validators", "/height", json!(2)),
        ("/api/v1/validators?height=1", "/height", json!(1)),
        ("/api/v1/members", "/items", json!([])),
        ("/api/v1/packages", "/items", json!([])),
        ("/api/v1/proposals/3", "/tally/needed", json!(3)),
        ("/api/v1/accounts?member=b", "/items/0/name", json!("user-3")),
        ("/api/v1/accounts?member=b", "/next", json!(null)),
        ("/api/v1/params", "/parameters/expiry_window", json!("100")),
        ("/api/v1/status", "/condition/state", json!("ok")),
        ("/api/v1/params", "/expiry_window", json!(100)),
        ("/health", "/status", json!("live")),
        ("/ready", "/status", json!("ready")),
        ("/api/v1/openapi.json", "/openapi", json!("3.1.0")),
    ];
    for (path, pointer, expected) in cases {
        assert_eq!(get(&api, path).await.json().pointer(pointer).cloned().unwrap_or_default(), expected, "{path}");
    }
    let echo = "/api/v1/contracts/notes/query/echo";
    let answer = post(&api, echo, JSON, r#"{"arguments":{"a":[1]}}"#).await.json();
    assert_eq!(answer, json!({ "height": 1, "output": "", "value": { "a": [1] } }));
    assert_eq!(post(&api, echo, OCTETS, vec![1, 2]).await.json()["output"], "0102");
    let bare = send(&api, request("POST", echo).body(Body::empty()).expect("request")).await;
    assert_eq!(bare.status, StatusCode::OK);
    let run = send(&api, request("POST", "/api/v1/proposals/1/dry-run").body(Body::empty()).expect("request")).await;
    assert_eq!(run.json(), json!({ "height": 1, "ok": true, "actions": [] }));
    let run = send(&api, request("POST", "/api/v1/proposals/9/dry-run").body(Body::empty()).expect("request")).await;
    assert_eq!((run.status, run.code().as_str()), (StatusCode::NOT_FOUND, "proposal.unknown"));
    let metrics = String::from_utf8(get(&api, "/metrics").await.body).expect("text");
    assert!(metrics.starts_with("vouch_ledger_head 1\n"), "{metrics}");
    assert!(
        metrics.contains("vouch_api_requests_total{route=\"/api/v1/blocks/{height}\",method=\"GET\",status=\"200\"} 2")
    );

    chain.set_condition(stalled());
    let ready = get(&api, "/ready").await;
    assert_eq!((ready.status, ready.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "node.stalled"));
    assert_eq!(ready.json()["detail"], "two validators are missing");
    assert_eq!(get(&api, "/health").await.status, StatusCode::OK);
}

#[tokio::test]
async fn refusals_of_reads_have_their_codes() {
    let chain = Plain::new();
    let api = api(&chain);
    chain.seal();
    chain.seal();
    chain.prune_below(2);
    let id = "ab".repeat(32);
    let long = "a".repeat(3000);
    let cases = [
        ("/nothing".into(), 404, "route.unknown"),
        ("/api/v1".into(), 404, "route.unknown"),
        ("/api/v1/blocks/".into(), 404, "route.unknown"),
        ("/api/v1/blocks/abc".into(), 400, "request.bad_parameter"),
        ("/api/v1/blocks/-1".into(), 400, "request.bad_parameter"),
        ("/api/v1/blocks/99999999999999999999".into(), 400, "request.bad_parameter"),
        ("/api/v1/blocks/0".into(), 404, "block.unknown"),
        ("/api/v1/blocks/3".into(), 404, "block.unknown"),
        ("/api/v1/blocks/1".into(), 410, "block.pruned"),
        ("/api/v1/blocks?limit=0".into(), 400, "request.bad_parameter"),
        ("/api/v1/blocks?limit=1001".into(), 400, "request.bad_parameter"),
        ("/api/v1/blocks?limit=x".into(), 400, "request.bad_parameter"),
        ("/api/v1/blocks?after=1".into(), 400, "request.bad_parameter"),
        ("/api/v1/blocks?unknown=1".into(), 400, "request.bad_parameter"),
        ("/api/v1/proposals/0".into(), 404, "proposal.unknown"),
        ("/api/v1/proposals/x".into(), 400, "request.bad_parameter"),
        ("/api/v1/proposals?after=1".into(), 400, "request.bad_parameter"),
        ("/api/v1/proposals?before=x".into(), 400, "request.bad_parameter"),
        ("/api/v1/accounts?after=x".into(), 400, "request.bad_parameter"),
        ("/api/v1/accounts?limit=0".into(), 400, "request.bad_parameter"),
        ("/api/v1/accounts?member=".into(), 400, "request.bad_parameter"),
        ("/api/v1/certificates?before=1".into(), 400, "request.bad_parameter"),
        ("/api/v1/transactions/xyz".into(), 400, "request.bad_parameter"),
        ("/api/v1/transactions/%FF".into(), 400, "request.bad_parameter"),
        (format!("/api/v1/transactions/{id}?wait_ms=30001"), 400, "request.bad_parameter"),
        (format!("/api/v1/transactions/{id}/proof"), 404, "tx.unknown"),
        (format!("/api/v1/transactions/{id}/proof?claim=x"), 400, "request.bad_parameter"),
        (format!("/api/v1/transactions/{id}/proof?claim=event"), 400, "request.bad_parameter"),
        (format!("/api/v1/transactions/{id}/proof?claim=receipt&index=1"), 400, "request.bad_parameter"),
        ("/api/v1/contracts/Bad".into(), 400, "request.bad_parameter"),
        ("/api/v1/contracts/none".into(), 404, "contract.unknown"),
        ("/api/v1/contracts/notes/state/0".into(), 400, "request.bad_parameter"),
        (format!("/api/v1/contracts/notes/state/{long}"), 400, "request.bad_parameter"),
        ("/api/v1/validators?height=9".into(), 404, "block.unknown"),
        ("/api/v1/evidence?after=3".into(), 400, "request.bad_parameter"),
        ("/api/v1/events?after=x".into(), 400, "events.bad_cursor"),
        ("/api/v1/events?contract=X".into(), 400, "request.bad_parameter"),
        ("/api/v1/events?name=".into(), 400, "request.bad_parameter"),
        ("/api/v1/transactions/batch".into(), 405, "route.method_not_allowed"),
    ];
    for (path, status, code) in cases {
        let answer = get(&api, &path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{path}");
    }
}

#[tokio::test]
async fn refusals_of_writes_have_their_codes() {
    let chain = Plain::new();
    let api = api(&chain);
    let mut forged = transaction(1, "add").1;
    *forged.last_mut().expect("bytes") ^= 1;
    let query = "/api/v1/contracts/notes/query";
    let large = "0".repeat((2 << 20) + 2000);
    let cases: Vec<(&str, &str, Vec<u8>, u16, &str)> = vec![
        ("/api/v1/transactions", "text/plain", vec![1], 415, "request.unsupported_media_type"),
        ("/api/v1/transactions", JSON, b"{".to_vec(), 400, "request.malformed"),
        ("/api/v1/transactions", JSON, b"{}".to_vec(), 400, "request.malformed"),
        ("/api/v1/transactions", JSON, br#"{"transaction":"00","x":1}"#.to_vec(), 400, "request.malformed"),
        ("/api/v1/transactions", JSON, br#"{"transaction":"?"}"#.to_vec(), 400, "request.malformed"),
        ("/api/v1/transactions", JSON, br#"{"transaction":""}"#.to_vec(), 400, "request.empty"),
        ("/api/v1/transactions", JSON, large.into_bytes(), 413, "request.too_large"),
        ("/api/v1/transactions", OCTETS, vec![0; (1 << 20) + 1], 413, "request.too_large"),
        ("/api/v1/transactions", OCTETS, vec![], 400, "request.empty"),
        ("/api/v1/transactions", OCTETS, vec![9; 50], 400, "tx.malformed"),
        ("/api/v1/transactions", OCTETS, forged, 422, "tx.bad_signature"),
        ("/api/v1/transactions/batch", OCTETS, vec![], 400, "request.empty"),
        ("/api/v1/transactions/batch", OCTETS, vec![9, 0, 0, 0, 1], 400, "request.malformed"),
        ("/api/v1/contracts/Bad/query/x", JSON, vec![], 400, "request.bad_parameter"),
        ("/api/v1/contracts/none/query/x", JSON, vec![], 404, "query.unknown_contract"),
        ("/api/v1/contracts/notes/query/x", JSON, vec![], 404, "query.unknown_method"),
        ("/api/v1/contracts/notes/query/refuse", JSON, vec![], 422, "notes.not_yours"),
        (
            "/api/v1/contracts/notes/query/echo",
            JSON,
            br#"{"arguments":1,"encoded":"00"}"#.to_vec(),
            400,
            "request.malformed",
        ),
        ("/api/v1/contracts/notes/query/panic", JSON, vec![], 500, "internal"),
        ("/api/v1/status", JSON, vec![], 405, "route.method_not_allowed"),
    ];
    for (path, media_type, body, status, code) in cases {
        let answer = post(&api, path, media_type, body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{path} {code}");
    }
    let none = request("POST", "/api/v1/transactions").body(Body::from("x")).expect("request");
    assert_eq!(send(&api, none).await.code(), "request.unsupported_media_type");
    let long = format!("{query}/{}", "m".repeat(65));
    assert_eq!(post(&api, &long, JSON, vec![]).await.code(), "request.bad_parameter");
    assert_eq!(TransactionError::CallCount.code(), "tx.call_count");
    assert_eq!(get(&api, "/api/v1/params").await.json()["head"], 0, "nothing left a trace");
}

#[tokio::test]
async fn backups_need_the_token() {
    let api = api(&Plain::new());
    let backup = |token: Option<&str>, path: &str| {
        let mut request = request("POST", "/api/v1/admin/backup").header("content-type", JSON);
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        request.body(Body::from(json!({ "path": path }).to_string())).expect("request")
    };
    let good = format!("Bearer {ADMIN}");
    assert_eq!(send(&api, backup(None, "/x")).await.code(), "auth.required");
    for bad in ["Bearer wrong wrong wrong wrong", "Basic x", "", ADMIN] {
        assert_eq!(send(&api, backup(Some(bad), "/x")).await.code(), "auth.refused", "{bad}");
    }
    assert_eq!(send(&api, backup(Some(&good), "relative")).await.code(), "backup.path_invalid");
    assert_eq!(send(&api, backup(Some(&good), "/")).await.code(), "backup.path_exists");
    assert_eq!(send(&api, backup(Some(&good), "/no-such-file")).await.json()["path"], "/no-such-file");
}

#[tokio::test]
async fn methods_headers_and_languages() {
    let chain = Plain::new();
    let api = api(&chain);
    let head = send(&api, request("HEAD", "/api/v1/status").body(Body::empty()).expect("request")).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    for (method, status) in [("OPTIONS", 204), ("DELETE", 405)] {
        let answer =
            send(&api, request(method, "/api/v1/transactions/batch").body(Body::empty()).expect("request")).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.headers["allow"], "POST", "{method}");
    }
    let answer = get(&api, "/api/v1/status").await;
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("cache-control", "no-store"), ("x-frame-options", "DENY")]
    {
        assert_eq!(answer.headers[name], value);
    }
    assert!(answer.headers.get("strict-transport-security").is_none(), "not without TLS");
    let request = request("GET", "/nothing").header("accept-language", "zh-CN,en;q=0.5").body(Body::empty());
    let problem = send(&api, request.expect("request")).await.json();
    assert_eq!(problem["title"], "没有该路由");
}
