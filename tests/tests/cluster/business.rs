//! The example of a business system against running nodes: a record is refused at once, corrected, submitted, rejected by the
//! enterprise it is about, corrected again, accepted, and proven to who has no node; killed in between.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use vouch_sdk::{Acts, Client, DocumentDraft, Fate, Identity, Outbox, OutboxOptions};
use vouch_tests::{
    cluster::{Cluster, Options, until},
    month::{self, all_documents},
};
use vouch_types::{
    api::OutcomeView,
    document::{Document, Party, PartyEntry},
};

const PATIENCE: Duration = Duration::from_secs(60);
const INSTITUTION: usize = 1;
const ENTERPRISE: usize = 2;
const RIGHT_ACCOUNT: &str = "6222020200112233445";

fn system(cluster: &Cluster, folder: &Path) -> Child {
    let path = cluster.program.folder().unwrap().join("examples/business_system");
    assert!(path.is_file(), "there is no {}: cargo build -p vouch-sdk --examples", path.display());
    let node = &cluster.plan.nodes[INSTITUTION];
    Command::new(path)
        .arg(folder)
        .env("VOUCH_NODE", &node.api)
        .env("VOUCH_CA", cluster.home(INSTITUTION).join("ca.pem"))
        .env("VOUCH_CHAIN", cluster.plan.chain.to_string())
        .env("VOUCH_KEY", cluster.account_path(INSTITUTION))
        .env("PURPOSE", "verification")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// What a clerk does: the record is there under its name, whole.
fn put(folder: &Path, record: &Value) {
    fs::write(folder.join(".record"), record.to_string()).unwrap();
    fs::rename(folder.join(".record"), folder.join("inbox/riverside.json")).unwrap();
}

fn record(account: &str) -> Value {
    json!({
        "schema": "enterprise-identity", "parties": { "enterprise": "enterprise" },
        "values": { "name": "Riverside Foods", "credit_code": "91120116MA05X1A2B3", "legal_representative": "Wang Ceshi",
            "representative_id_number": "11010519491231002X", "contact_mobile": "13800138000", "bank_account": account,
            "result": "passed", "verified_at": "2026-11-26T09:00:00+08:00" },
    })
}

/// Waits for what the clerk sees of a rejection, and takes it away.
async fn rejection(folder: &Path) -> Value {
    let path = folder.join("rejected/riverside.json");
    let said = until("the record is rejected", PATIENCE, async || {
        Ok(fs::read(&path).ok().map(|text| serde_json::from_slice(&text).unwrap()))
    });
    let said = said.await.unwrap();
    fs::remove_file(&path).unwrap();
    said
}

fn client(cluster: &Cluster, member: usize) -> Client {
    let mut config = cluster.client_config(&[member]).unwrap();
    config.identity = Some(Identity::new(cluster.account(member).unwrap()));
    config.build().unwrap()
}

/// The enterprise reads its account number in a version, and says whether it is its own.
async fn the_enterprise_judges(cluster: &Cluster, version: u32) -> (Document, bool) {
    let client = client(cluster, ENTERPRISE);
    let (document, read) = until("the enterprise can read the record", PATIENCE, async || {
        let Some(document) = all_documents(&client).await?.pop().filter(|document| document.latest == version) else {
            return Ok(None);
        };
        let read = client.read_document(document.id, version, None, "own").await.ok();
        Ok(read.map(|read| (document, read)))
    })
    .await
    .unwrap();
    let read = serde_json::to_value(&read).unwrap().to_string();
    let is_right = read.contains(RIGHT_ACCOUNT);
    let builder = client.transaction_builder().await.unwrap();
    let code = if is_right { "checked" } else { "wrong_account" };
    let builder = builder.judge_document(document.id, version, is_right, code);
    let transaction = builder.sign(&[&cluster.account(ENTERPRISE).unwrap()]).unwrap();
    let view = cluster.submit(ENTERPRISE, &transaction).await.unwrap();
    assert_eq!(view.receipt.outcome, OutcomeView::Success);
    (document, is_right)
}

/// Documents in the queue.
const QUEUED: usize = 40;

/// A queue is dropped in the midst of sending, and the node it sends to is away for a while: each name is one document.
async fn a_queue_sends_each_once(cluster: &mut Cluster) {
    let folder = cluster.scratch("outbox");
    let mut config = cluster.client_config(&[INSTITUTION]).unwrap();
    // The first node never answers.
    config.nodes.insert(0, "https://127.0.0.1:9".into());
    config.identity = Some(Identity::new(cluster.account(INSTITUTION).unwrap()));
    let (client, key) = (config.build().unwrap(), cluster.account(INSTITUTION).unwrap());
    let before = all_documents(&cluster.client(0).unwrap()).await.unwrap().len();
    let draft = |number: usize| {
        let record = record(&format!("6222{number:015}"));
        let Value::Object(values) = record["values"].clone() else { panic!("an object") };
        let parties = vec![PartyEntry { role: "enterprise".into(), party: Party::member("enterprise") }];
        DocumentDraft { schema: "enterprise-identity".into(), values, parties, ..DocumentDraft::default() }
    };
    let options = OutboxOptions { under_way: 4, ..OutboxOptions::default() };
    let put = |outbox: &Outbox| {
        for number in 0..QUEUED {
            outbox.put(&format!("record {number}"), &draft(number), &Acts::default()).unwrap();
        }
    };
    {
        let outbox = Outbox::open(&folder).unwrap();
        put(&outbox);
        let mut lacking = draft(0);
        lacking.values.remove("credit_code");
        outbox.put("lacking", &lacking, &Acts::default()).unwrap();
        let sending = outbox.send(&client, &key, &options);
        let some = until("some are sent", PATIENCE, async || Ok((outbox.len()? <= QUEUED - 10).then_some(())));
        tokio::select! {
            ended = sending => panic!("it was through: {ended:?}"),
            some = some => some.unwrap(),
        }
    }
    let outbox = Outbox::open(&folder).unwrap();
    put(&outbox);
    cluster.stop(INSTITUTION).await.unwrap();
    let sending = outbox.send(&client, &key, &options);
    let back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.start_node(INSTITUTION).unwrap();
    };
    let (report, ()) = tokio::join!(sending, back);
    let report = report.unwrap();
    assert_eq!((report.refused, report.early, outbox.len().unwrap()), (1, 0, 0), "{report:?}");
    assert!(report.sent <= QUEUED as u64 - 10, "{report:?}");
    for number in 0..QUEUED {
        let fate = outbox.fate(&format!("record {number}")).unwrap();
        assert!(matches!(fate, Some(Fate::Sent { .. })), "{number}: {fate:?}");
    }
    let refused = outbox.fate("lacking").unwrap();
    assert!(matches!(&refused, Some(Fate::Refused { code, .. }) if code == "document.construction"), "{refused:?}");
    let all = month::as_many(&cluster.client(0).unwrap(), (before + QUEUED) as u64).await.unwrap();
    assert_eq!(all.len(), before + QUEUED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_business_system_corrects_what_is_rejected_and_proves_what_is_accepted() {
    let mut cluster = Cluster::start(Options { accounts: 4, ..Options::default() }).await.unwrap();
    month::found(&cluster).await.unwrap();
    let folder: PathBuf = cluster.scratch("system");
    let mut running = system(&cluster, &folder);
    until("its folders are there", PATIENCE, async || Ok(folder.join("inbox").is_dir().then_some(()))).await.unwrap();

    let mut lacking = record("1");
    lacking["values"].as_object_mut().unwrap().remove("credit_code");
    put(&folder, &lacking);
    let said = rejection(&folder).await;
    assert_eq!((&said["by"], &said["code"]), (&json!("institution"), &json!("document.construction")), "{said}");
    assert!(said["reason"].as_str().unwrap().contains("credit_code"), "{said}");

    put(&folder, &record("1234500000000000000"));
    let (document, is_right) = the_enterprise_judges(&cluster, 1).await;
    assert!(!is_right);
    let said = rejection(&folder).await;
    assert_eq!((&said["by"], &said["code"]), (&json!("enterprise"), &json!("wrong_account")), "{said}");

    // Killed while what was corrected is on its way; started again it goes on, and hears what was said meanwhile.
    put(&folder, &record(RIGHT_ACCOUNT));
    until("the correction was begun", PATIENCE, async || {
        let text = fs::read_to_string(folder.join("sent/riverside.json"))?;
        Ok(text.contains("\"version\": 2").then_some(()))
    })
    .await
    .unwrap();
    // Before it is sent, while it is, or when it is final already.
    tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 400)).await;
    running.kill().await.unwrap();
    let mut running = system(&cluster, &folder);
    let (corrected, is_right) = the_enterprise_judges(&cluster, 2).await;
    assert!(is_right && corrected.id == document.id);
    let status = tokio::time::timeout(PATIENCE, running.wait()).await.expect("it ends once all is accepted").unwrap();
    assert!(status.success());
    let all = all_documents(&cluster.client(0).unwrap()).await.unwrap();
    assert_eq!((all.len(), all[0].latest), (1, 2), "{all:?}");

    let evidence = folder.join("evidence/riverside.vouch.zip").display().to_string();
    let chain = cluster.plan.chain.to_string();
    let verified = cluster.program.run(["--json", "verify", &evidence, "--chain-id", &chain]).await.unwrap();
    let report = verified.success().unwrap().json().unwrap();
    let shown = &report["documents"][0];
    assert_eq!((&shown["version"], &shown["issuer"]), (&json!(2), &json!("institution")), "{report}");
    assert!(shown["fields"].to_string().contains(RIGHT_ACCOUNT), "{shown}");
    a_queue_sends_each_once(&mut cluster).await;
}
