//! What a node does about private documents that its operator and its clients see: contracts and schemas by one command, no
//! submission without its document, keys that change while it runs, a backup without keys of documents.

use std::time::Duration;

use serde_json::json;
use vouch_sdk::{Client, Error};
use vouch_tests::cluster::{Cluster, Options, contract, metric, until};
use vouch_types::api::ConditionState;

const PATIENCE: Duration = Duration::from_secs(30);

/// The contracts and the sample schemas come by one command, and only once.
async fn prepare(cluster: &Cluster) {
    let (dir, contracts) = (cluster.dir().display().to_string(), cluster.program.contracts.display().to_string());
    let arguments = ["--json", "dev", "schemas", "--dir", &dir, "--contracts", &contracts];
    let made = cluster.vouch(0, &arguments).await.unwrap().success().unwrap().json().unwrap();
    assert_eq!(made["contracts"], json!(["relations", "documents"]));
    assert_eq!(made["schemas"].as_array().unwrap().len(), 6);
    let again = cluster.vouch(0, &arguments).await.unwrap().success().unwrap().json().unwrap();
    assert_eq!(again, json!({ "contracts": [], "schemas": [] }));
}

/// A submission whose document no vault has checked does not pass, at any node.
async fn nothing_passes_unchecked(cluster: &Cluster, client: &Client) {
    let abi = client.abi(&contract("documents")).await.unwrap();
    let content = json!({
        "schema_version": 1, "root": "07".repeat(32), "blob_root": null, "references": [], "recipients": [],
        "public": [], "parties": [{ "role": "enterprise", "party": { "member": "enterprise", "subject": null } }],
    });
    let arguments = json!({ "id": "05".repeat(16), "schema": "enterprise-identity", "content": content });
    let builder = client.transaction_builder().await.unwrap();
    let builder = builder.call_json(&abi, contract("documents"), "submit", &arguments).unwrap();
    let transaction = builder.sign(&[&cluster.account(0).unwrap()]).unwrap();
    for node in cluster.all() {
        match cluster.client(node).unwrap().submit(&transaction).await {
            Err(Error::Refused { problem, .. }) => {
                assert_eq!(problem.code, "stage.not_staged");
                assert_eq!(problem.location.as_deref(), Some("calls[0]"));
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn condition_becomes(cluster: &Cluster, node: usize, code: &str) {
    let what = format!("condition {code}");
    let status = until(&what, PATIENCE, async || {
        Ok(cluster.status(node).await.ok().filter(|status| status.condition.code == code))
    });
    assert_eq!(status.await.unwrap().condition.state, ConditionState::Ok, "documents stop no chain");
}

/// A member's encryption key is replaced while its node runs; one that is not there is noticed.
async fn the_encryption_key_changes(cluster: &Cluster, node: usize) {
    let (member, admin) = (cluster.plan.nodes[node].member.clone(), cluster.plan.admins[node].clone());
    let admin = cluster.dir().join(admin).display().to_string();
    let made = cluster.vouch(node, &["--json", "key", "encryption"]).await.unwrap().success().unwrap();
    let made = made.json().unwrap();
    let ours = made["encryption_key"].as_str().unwrap().to_owned();
    // A point of the curve whose secret nobody here has.
    for (key, code) in [("09".to_owned() + &"00".repeat(31), "documents.key_missing"), (ours, "ok")] {
        let arguments = ["member", "rotate-encryption-key", &member, "--encryption-key", &key, "--key", &admin];
        cluster.vouch(node, &arguments).await.unwrap().success().unwrap();
        condition_becomes(cluster, node, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_keeps_private_documents_in_order() {
    let options = Options { plain_http: true, accounts: 4, idle_interval_ms: 1_000, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    prepare(&cluster).await;
    let client = cluster.client(0).unwrap();
    nothing_passes_unchecked(&cluster, &client).await;
    the_encryption_key_changes(&cluster, 1).await;

    // The vault is at the head, also after a restart.
    for is_restarted in [false, true] {
        if is_restarted {
            cluster.stop(2).await.unwrap();
            cluster.start_node(2).unwrap();
            cluster.ready(&cluster.all()).await.unwrap();
        }
        let head = cluster.status(0).await.unwrap().head.0;
        let follows = until("the vault follows", PATIENCE, async || {
            let height = metric(&cluster, 2, "vouch_vault_height_blocks").await.ok();
            Ok(height.filter(|height| *height >= head as f64))
        });
        follows.await.unwrap();
    }

    let backup = cluster.scratch("backup");
    let path = backup.display().to_string();
    cluster.vouch(2, &["backup", "create", &path]).await.unwrap().success().unwrap();
    assert!(backup.join("vault-files").is_dir() && cluster.home(2).join("vault/shelf").is_file());
    let names = std::fs::read_dir(&backup).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|name| name.contains("shelf") || name.contains("key")), "{names:?}");
}
