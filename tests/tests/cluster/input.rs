//! Bad input is refused with its own stable code, by API and command line, and leaves no trace in the state.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use vouch_sdk::{SignedTransaction, TransactionBuilder};
use vouch_tests::cluster::{Cluster, Options, contract, record_call};
use vouch_types::{
    ChainId, Height, SecretKey,
    api::{ChainParams, OutcomeView, SubmitItem, SubmitStatus},
    encode,
};

/// One request in plain HTTP, which an SDK would never send; status and the problem's code.
async fn raw_request(address: &str, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("{head} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    let request = format!("{request}Content-Type: application/json\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let from = body.find('{').unwrap_or_default();
    let to = body.rfind('}').map_or(from, |at| at + 1);
    let problem: Value = serde_json::from_str(&body[from..to]).unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

/// Transactions that must be refused, each with the code it must be refused with.
fn bad_transactions(params: &ChainParams, key: &SecretKey) -> Vec<(&'static str, SignedTransaction)> {
    let builder = || record_call(TransactionBuilder::new(params));
    let good = builder().sign(&[key]).unwrap();
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bad = good.clone();
        change(&mut bad.raw);
        bad
    };
    let other_chain = ChainParams { chain: ChainId([7; 32]), ..params.clone() };
    let nobody = SecretKey::from_seed([9; 32]);
    let too_far = Height(params.head.0 + params.expiry_window + 1000);
    vec![
        ("tx.malformed", with(|raw| raw.truncate(40))),
        ("tx.malformed", with(|raw| raw.push(0))),
        ("tx.unknown_version", with(|raw| raw[0] = 9)),
        ("tx.too_large", with(|raw| raw.resize((1 << 20) + 1, 0))),
        ("tx.bad_signature", with(|raw| *raw.last_mut().unwrap() ^= 1)),
        ("tx.expired", builder().expiry(params.head).sign(&[key]).unwrap()),
        ("tx.expiry_too_far", builder().expiry(too_far).sign(&[key]).unwrap()),
        ("tx.unknown_account", builder().sign(&[&nobody]).unwrap()),
        ("tx.wrong_chain", record_call(TransactionBuilder::new(&other_chain)).sign(&[key]).unwrap()),
        (
            "contract.unknown",
            TransactionBuilder::new(params).call(contract("nothing"), "record", vec![]).sign(&[key]).unwrap(),
        ),
    ]
}

async fn refused_over_http(cluster: &Cluster) {
    let address = cluster.plan.nodes[0].api.trim_start_matches("http://");
    let many = format!("{{\"transactions\":[{}\"00\"]}}", "\"00\",".repeat(2000));
    for (head, body, status, code) in [
        ("GET /api/v1/nothing", "", 404, "route.unknown"),
        ("GET /", "", 404, "route.unknown"),
        ("DELETE /api/v1/transactions", "", 405, "route.method_not_allowed"),
        ("POST /api/v1/transactions", "{\"transaction\":", 400, "request.malformed"),
        ("POST /api/v1/transactions", "{\"transaction\":\"zz\"}", 400, "request.malformed"),
        ("POST /api/v1/transactions", "{\"transaction\":\"00\",\"more\":1}", 400, "request.malformed"),
        ("POST /api/v1/transactions/batch", "{\"transactions\":[]}", 400, "request.empty"),
        ("POST /api/v1/transactions/batch", many.as_str(), 400, "request.too_many_items"),
        ("GET /api/v1/transactions/xyz", "", 400, "request.bad_parameter"),
        ("GET /api/v1/blocks/999999", "", 404, "block.unknown"),
        ("GET /api/v1/contracts/nothing", "", 404, "contract.unknown"),
        ("POST /api/v1/contracts/meter/query/nothing", "{\"arguments\":{}}", 404, "query.unknown_method"),
        ("POST /api/v1/contracts/meter/query/recorded", "{\"arguments\":{}}", 422, "query.bad_arguments"),
        ("POST /api/v1/admin/backup", "{\"path\":\"/nowhere\"}", 401, "auth.required"),
    ] {
        assert_eq!(raw_request(address, head, body).await, (status, code.to_owned()), "{head} {body:.60}");
    }
}

async fn refused_by_the_command_line(cluster: &Cluster) {
    let key = cluster.account_path(0);
    let send = ["--json", "tx", "send"];
    let unknown = "ab".repeat(32);
    let nobody = cluster.scratch("nobody.key");
    vouch_sdk::keystore::save(&nobody, &SecretKey::from_seed([9; 32]), None).unwrap();
    let nobody = nobody.display().to_string();
    // A card number as it stands in the standard GB 11643.
    let reference = "身份证号 11010519491231002X";
    let clear = json!({ "commitment": unknown, "category": "contract", "reference": reference }).to_string();
    let cases: Vec<(&str, Vec<&str>)> = vec![
        ("contract.unknown", vec!["nothing", "record", "--raw", "00", "--key", &key]),
        ("tx.unknown_account", vec!["meter", "record", "--args", "{\"payload\":\"00\"}", "--key", &nobody]),
        ("tx.expiry_too_far", vec!["meter", "record", "--raw", "00", "--key", &key, "--expires-in", "100000"]),
        ("tx.expired", vec!["meter", "record", "--raw", "00", "--key", &key, "--expires-in", "0"]),
        ("stage.sensitive", vec!["notary", "register", "--args", &clear, "--key", &key]),
        ("keystore.io", vec!["meter", "record", "--raw", "00", "--key", "/nowhere"]),
    ];
    for (code, rest) in cases {
        let output = cluster.vouch(0, &[&send, &rest[..]].concat()).await.unwrap();
        assert_eq!((output.code, output.problem_code().unwrap().as_str()), (3, code), "{rest:?} {output:?}");
        assert!(!output.stderr.contains(reference), "{output:?}");
    }
    let other_chain = ["--chain", &unknown, "tx", "send", "meter", "record", "--raw", "00", "--key", &key];
    for (code, command) in [
        ("tx.unknown", &["tx", "proof", &unknown][..]),
        ("client.wrong_chain", &other_chain),
        ("query.unknown_method", &["query", "meter", "nothing"]),
    ] {
        let output = cluster.vouch(0, &[&["--json"], command].concat()).await.unwrap();
        assert_eq!((output.code, output.problem_code().unwrap().as_str()), (3, code), "{command:?} {output:?}");
    }
}

/// What only execution finds is final, failed, says why, and leaves nothing but its receipt.
async fn failed_in_a_block(cluster: &Cluster, key: &SecretKey) {
    let client = cluster.client(0).unwrap();
    for (code, method, arguments) in [
        ("contract.unknown_method", "nothing", vec![]),
        ("contract.bad_arguments", "record", vec![1, 2, 3]),
        ("contract.bad_arguments", "record", encode(&vec![0u8; 15])),
    ] {
        let builder = client.transaction_builder().await.unwrap().call(contract("meter"), method, arguments);
        let before = client.status().await.unwrap().state_root;
        let view = cluster.submit(0, &builder.sign(&[key]).unwrap()).await.unwrap();
        let OutcomeView::Failed { code: found, .. } = &view.receipt.outcome else { panic!("{view:?}") };
        assert_eq!(found, code, "{view:?}");
        assert!(view.events.is_empty() && view.output.0.is_empty(), "{view:?}");
        assert_eq!(client.block(Some(view.height)).await.unwrap().summary.state_root, before, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_has_its_own_code_and_changes_nothing() {
    let options = Options { plain_http: true, accounts: 4, ..Options::default() };
    let cluster = Cluster::start(options).await.unwrap();
    let client = cluster.client(0).unwrap();
    let key = cluster.account(0).unwrap();
    let first = record_call(client.transaction_builder().await.unwrap()).sign(&[&key]).unwrap();
    cluster.submit(0, &first).await.unwrap();
    let root = client.status().await.unwrap().state_root;

    let params = client.params().await.unwrap();
    for (code, bad) in bad_transactions(&params, &key) {
        // Alone, a transaction beyond every bound is refused before it has been read.
        let alone = if code == "tx.too_large" { "request.too_large" } else { code };
        let error = client.submit(&bad).await.unwrap_err();
        assert_eq!(error.code(), alone, "{error}");
        let items = client.submit_batch(&[bad]).await.unwrap();
        assert!(matches!(&items[..], [SubmitItem::Refused { problem }] if problem.code == code), "{code} {items:?}");
    }
    for node in cluster.all() {
        let again = cluster.client(node).unwrap().submit(&first).await.unwrap();
        assert_eq!((again.id, again.status), (first.id, SubmitStatus::Known));
    }
    refused_over_http(&cluster).await;
    refused_by_the_command_line(&cluster).await;
    failed_in_a_block(&cluster, &key).await;
    for node in cluster.all() {
        let status = cluster.status(node).await.unwrap();
        assert_eq!((status.state_root, status.mempool_transactions), (root, 0), "{}", status.node_name);
    }
}
