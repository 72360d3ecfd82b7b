//! A transaction's and a contract's life through the command line, over TLS.

use serde_json::{Value, json};
use vouch_tests::cluster::{Cluster, Options, contract};
use vouch_types::{ProofBundle, TxId, api::StateView, light::Fact};

const COMMITMENT: &str = "11223344556677889900aabbccddeeff11223344556677889900aabbccddeeff";

/// Runs a command that must succeed and gives its JSON.
async fn said(cluster: &Cluster, node: usize, arguments: &[&str]) -> Value {
    let output = cluster.vouch(node, &[&["--json"], arguments].concat()).await.unwrap();
    output.success().unwrap().json().unwrap()
}

async fn registered(cluster: &Cluster) -> TxId {
    let arguments = json!({ "commitment": COMMITMENT, "category": "invoice", "reference": "2026-0001" }).to_string();
    let key = cluster.account_path(0);
    let send = ["contract", "call", "notary", "register", "--args", &arguments, "--key", &key];
    let sent = said(cluster, 0, &[&send[..], &["--no-wait"]].concat()).await;
    assert_eq!(sent["status"], "accepted");
    let id = sent["id"].as_str().unwrap();
    let waited = said(cluster, 1, &["tx", "wait", id]).await;
    assert_eq!((&waited["receipt"]["outcome"], &waited["output_value"]), (&json!("success"), &json!(1)));
    assert_eq!(waited["events"][0]["fields"]["commitment"], COMMITMENT);
    for node in cluster.all() {
        said(cluster, node, &["tx", "wait", id]).await;
        let shown = said(cluster, node, &["tx", "show", id]).await;
        assert_eq!((&shown["status"], &shown["transaction"]), (&json!("final"), &waited), "node {node}");
    }
    let asked = json!({ "commitment": COMMITMENT }).to_string();
    let record = said(cluster, 2, &["query", "notary", "get", "--args", &asked]).await;
    assert_eq!(record["value"]["category"], "invoice");
    // The same again is a transaction of its own, and the contract refuses it.
    let again = cluster.vouch(0, &[&["--json"], &send[..]].concat()).await.unwrap();
    assert_eq!(again.code, 5, "{again:?}");
    assert_eq!(again.json().unwrap()["receipt"]["code"], "contract.error.already_registered");
    id.parse().unwrap()
}

/// Every byte of a proof counts: whichever is changed, it shows nothing any more.
async fn proofs(cluster: &Cluster, id: TxId) {
    let (chain, text) = (cluster.plan.chain, id.to_string());
    for claim in ["transaction", "receipt", "event"] {
        let file = cluster.scratch(&format!("{claim}.proof")).display().to_string();
        let index: &[&str] = if claim == "event" { &["--index", "0"] } else { &[] };
        said(cluster, 3, &[&["tx", "proof", &text, "--claim", claim, "--out", &file], index].concat()).await;
        // No home, no node: the chain's id alone.
        let verify = async |file: &str, chain: &str| {
            cluster.program.run(["--json", "tx", "verify", file, "--chain", chain]).await.unwrap()
        };
        let verified = verify(&file, &chain.to_string()).await.success().unwrap().json().unwrap();
        assert_eq!((&verified["fact"]["claim"], &verified["chain"]), (&json!(claim), &json!(chain)));
        let elsewhere = verify(&file, &"ab".repeat(32)).await;
        assert_eq!((elsewhere.code, elsewhere.problem_code().unwrap().as_str()), (4, "proof.invalid"));

        let bytes = ProofBundle::from_json(&std::fs::read_to_string(&file).unwrap()).unwrap().to_bytes();
        for position in 0..bytes.len() {
            let mut spoiled = bytes.clone();
            spoiled[position] ^= 1;
            let holds = ProofBundle::from_bytes(&spoiled).and_then(|bundle| bundle.verify(chain));
            assert!(holds.is_err(), "{claim}: byte {position} of {} does not count", bytes.len());
        }
        let file = cluster.scratch("spoiled.proof").display().to_string();
        for position in (0..bytes.len()).step_by(bytes.len() / 12) {
            let mut spoiled = bytes.clone();
            spoiled[position] ^= 0x80;
            std::fs::write(&file, &spoiled).unwrap();
            let output = verify(&file, &chain.to_string()).await;
            assert_eq!((output.code, output.problem_code().unwrap().as_str()), (4, "proof.invalid"), "{position}");
        }
    }
}

async fn proof_of_state(cluster: &Cluster) {
    let commitment: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&COMMITMENT[2 * n..2 * n + 2], 16).unwrap()).collect();
    let key = [b"r".as_slice(), &commitment].concat();
    let client = cluster.client(1).unwrap();
    let view: StateView = client.state(&contract("notary"), &key, true).await.unwrap();
    let bundle = ProofBundle::from_bytes(&view.proof.unwrap().0).unwrap();
    let verified = bundle.verify(cluster.plan.chain).unwrap();
    let Fact::State { key: proven_key, value } = verified.fact else { panic!("{verified:?}") };
    assert!(proven_key.ends_with(&key), "{proven_key:?}");
    assert_eq!((value, verified.height), (view.value.map(|value| value.0), view.height));
}

/// A contract is deployed by administrators together and can be called at once; one alone only proposes it.
async fn deployment(cluster: &Cluster) {
    let code = cluster.program.contracts.join("meter.wasm").display().to_string();
    let (one, all, key) = (cluster.admin_paths(1), cluster.admin_paths(4), cluster.account_path(1));
    let deploy = ["--json", "contract", "deploy", "gauge", "--code", &code, "--key"];
    let payload = json!({ "payload": "ab".repeat(40) }).to_string();
    let call = ["--json", "contract", "call", "gauge", "record", "--args", &payload, "--key", &key];
    let early = cluster.vouch(0, &call).await.unwrap();
    assert_eq!((early.code, early.problem_code().unwrap().as_str()), (3, "contract.unknown"));
    let alone = cluster.vouch(0, &[&deploy[..], &[&one]].concat()).await.unwrap().success().unwrap().json().unwrap();
    assert_eq!(alone["proposal"]["state"], "open", "{alone}");
    let early = cluster.vouch(0, &call).await.unwrap();
    assert_eq!(early.problem_code().unwrap(), "contract.unknown", "a proposal has no effect yet");
    let user = [&deploy[..], &[&key]].concat();
    let user = cluster.vouch(0, &user).await.unwrap();
    assert_eq!(user.code, 5, "{user:?}");
    assert_eq!(user.json().unwrap()["receipt"]["code"], "system.not_authorised");
    let done = cluster.vouch(0, &[&deploy[..], &[&all]].concat()).await.unwrap().success().unwrap().json().unwrap();
    assert_eq!(done["proposal"]["state"], "executed", "{done}");
    let called = cluster.vouch(0, &call).await.unwrap().success().unwrap().json().unwrap();
    assert_eq!(called["output_value"], json!(1), "{called}");
    let listed = said(cluster, 0, &["contract", "list"]).await;
    let names: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|item| item["name"].as_str()).collect();
    assert!(["gauge", "meter", "notary"].iter().all(|name| names.contains(name)), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_proofs_and_contracts_through_the_command_line() {
    let cluster = Cluster::start(Options { accounts: 4, ..Options::default() }).await.unwrap();
    let id = registered(&cluster).await;
    proofs(&cluster, id).await;
    proof_of_state(&cluster).await;
    deployment(&cluster).await;
}
