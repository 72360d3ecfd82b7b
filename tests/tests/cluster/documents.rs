//! A private document from one member's record to what each of the others may see of it, and to its end: as people do it, with
//! the command line, against four real nodes.

use std::time::Duration;

use serde_json::{Value, json};
use vouch_sdk::{Client, Identity};
use vouch_tests::cluster::{Cluster, Options, Output, until};
use vouch_types::{
    SecretKey,
    api::{DocumentItem, IndexPage, IndexStatusView},
    document::{DocumentId, FieldSet},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Members in the order of the plan, each with one node and one account.
const PLATFORM: usize = 0;
pub(super) const INSTITUTION: usize = 1;
pub(super) const ENTERPRISE: usize = 2;
pub(super) const REGULATOR: usize = 3;

pub(super) const NAME: &str = "Lin Ceshi";
pub(super) const TASK: &str = "Sorting parcels, hall 3";

/// Fields by slot: name, `id_number`, task, remark, shifts.
fn schema() -> Value {
    let field = |name: &str, kind: &str, grade: u8, public: bool, required: bool, readers: u8| {
        json!({ "name": name, "title_en": name, "title_zh": "字段", "kind": kind, "grade": grade, "public": public,
            "required": required, "readers": readers, "about": null })
    };
    let purpose = |code: &str, readers: u8, grade: u8| json!({ "code": code, "title_en": code, "title_zh": "用途", "readers": readers, "grade": grade });
    json!({
        "name": "assignment", "title_en": "Assignment", "title_zh": "派工", "category": "Identity",
        "fields": [
            field("name", "Text", 3, false, true, 15), field("id_number", "Text", 4, false, true, 11),
            field("task", "Text", 2, false, true, 15), field("remark", "Text", 1, true, false, 15),
            field("shifts", "Rows", 2, false, false, 14),
        ],
        "parties": [{ "role": "worker", "title_en": "Worker", "title_zh": "从业人员", "subject": true, "members": 0,
            "min": 1, "max": 1, "owner": true, "recipient": false, "signs": false }],
        "references": [],
        "purposes": [purpose("service", 6, 3), purpose("supervision", 8, 4), purpose("verification", 2, 4), purpose("own", 1, 4)],
        "retention_days": 0,
    })
}

/// Runs a command at a member's node with its account.
pub(super) async fn vouch(cluster: &Cluster, member: usize, arguments: &[&str]) -> Output {
    let key = cluster.account_path(member);
    cluster.vouch(member, &[&["--json"], arguments, &["--key", &key]].concat()).await.unwrap()
}

pub(super) async fn done(cluster: &Cluster, member: usize, arguments: &[&str]) -> Value {
    let value = vouch(cluster, member, arguments).await.success().unwrap().json().unwrap();
    assert_ne!(value["receipt"]["outcome"], "failed", "{value}");
    value
}

pub(super) async fn refused(cluster: &Cluster, member: usize, arguments: &[&str]) -> String {
    let output = vouch(cluster, member, arguments).await;
    assert_eq!(output.code, 3, "{output:?}");
    output.problem_code().unwrap()
}

pub(super) fn file(cluster: &Cluster, name: &str, value: &Value) -> String {
    let path = cluster.scratch(name);
    std::fs::write(&path, value.to_string()).unwrap();
    path.display().to_string()
}

/// Contracts, a schema that the members vote for, and the person the document is about.
async fn prepare(cluster: &Cluster) -> String {
    let (dir, contracts) = (cluster.dir().display().to_string(), cluster.program.contracts.display().to_string());
    let made = cluster.vouch(0, &["--json", "dev", "schemas", "--dir", &dir, "--contracts", &contracts]).await.unwrap();
    made.success().unwrap();
    let admins = cluster.admin_paths(4);
    let path = file(cluster, "schema.json", &schema());
    let voted = cluster.vouch(0, &["--json", "schema", "register", &path, "--key", &admins]).await.unwrap();
    let voted = voted.success().unwrap().json().unwrap();
    assert_eq!(voted["proposal"]["state"], "executed", "{voted}");
    let shown = cluster.vouch(2, &["schema", "show", "assignment"]).await.unwrap().success().unwrap();
    assert!(shown.stdout.contains("id_number") && shown.stdout.contains("supervision"), "{shown:?}");

    let alias = "5a".repeat(32);
    done(cluster, INSTITUTION, &["subject", "register", "--alias", &alias]).await;
    format!("subject:{alias}")
}

/// The enterprise received the person's service; the regulator watches over everyone.
async fn relate(cluster: &Cluster, person: &str) {
    let begin = ["relation", "begin", "receives", "enterprise", person, "--via", "institution"];
    let offered = done(cluster, INSTITUTION, &begin).await;
    let number = offered["output_value"].to_string();
    done(cluster, ENTERPRISE, &["relation", "accept", &number]).await;
    done(cluster, REGULATOR, &["relation", "begin", "regulates", "regulator", "everyone"]).await;
}

fn record(person: &str, remark: &str) -> Value {
    json!({
        "schema": "assignment", "parties": { "worker": person }, "public": ["remark"],
        "values": {
            "name": NAME, "id_number": "11010519491231002X", "task": TASK, "remark": remark,
            "shifts": [{ "day": "2026-11-02", "hours": "8" }, { "day": "2026-11-03", "hours": "7.5" }],
        },
    })
}

/// A client of a member's node that signs as its account.
pub(super) fn client(cluster: &Cluster, member: usize) -> Client {
    let mut config = cluster.client_config(&[member]).unwrap();
    config.identity = Some(Identity::new(cluster.account(member).unwrap()));
    config.build().unwrap()
}

/// Nothing sensitive in clear, nothing that is not by the schema.
async fn what_breaks_the_rules_is_refused(cluster: &Cluster, person: &str) {
    let open = file(cluster, "open.json", &record(person, "card 11010519491231002X"));
    assert_eq!(refused(cluster, INSTITUTION, &["doc", "submit", &open]).await, "stage.sensitive");
    let mut lacking = record(person, "day shift");
    lacking["values"]["id_number"] = json!(null);
    let lacking = file(cluster, "lacking.json", &lacking);
    assert_eq!(refused(cluster, INSTITUTION, &["doc", "submit", &lacking]).await, "document.construction");
    let mut private = record(person, "day shift");
    private["public"] = json!(["name"]);
    let private = file(cluster, "private.json", &private);
    assert_eq!(refused(cluster, INSTITUTION, &["doc", "submit", &private]).await, "document.construction");
}

/// Everyone the contract names has it, and only they.
async fn all_entitled_hold_it(cluster: &Cluster, id: DocumentId) {
    let (all, some) = (FieldSet::first(5), [0, 2, 3, 4].into_iter().collect::<FieldSet>());
    for (member, fields) in [(INSTITUTION, &all), (ENTERPRISE, &some), (REGULATOR, &all)] {
        let client = client(cluster, member);
        let what = format!("{} holds it", cluster.name(member));
        until(&what, PATIENCE, async || {
            let holding = client.document_holding(id, 1).await.ok();
            Ok(holding.filter(|holding| holding.fields == *fields))
        })
        .await
        .unwrap();
    }
    let without = client(cluster, PLATFORM).document_holding(id, 1).await.unwrap();
    assert!(without.fields.is_empty() && without.receipts.is_empty(), "{without:?}");
    // The issuer has the others' receipts, and the chain their word.
    let text = id.to_string();
    until("receipts and attestations", PATIENCE, async || {
        let holding = client(cluster, INSTITUTION).document_holding(id, 1).await?;
        let holders = vouch_holders(cluster, &text).await;
        Ok((holding.receipts.len() == 2 && holders == ["enterprise", "institution", "regulator"]).then_some(()))
    })
    .await
    .unwrap();
}

async fn vouch_holders(cluster: &Cluster, id: &str) -> Vec<String> {
    let shown = cluster.vouch(PLATFORM, &["--json", "doc", "holders", id]).await.unwrap().success().unwrap();
    let shown = shown.json().unwrap();
    let entitled = shown["entitled"]["members"].as_array().unwrap();
    assert_eq!(entitled.len(), 3, "{shown}");
    let names = shown["holders"].as_array().unwrap().iter().map(|holder| holder["member"].as_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

async fn each_reads_what_the_rules_open(cluster: &Cluster, id: &str) {
    let read = |purpose| ["doc", "read", id, "--purpose", purpose];
    let own = done(cluster, INSTITUTION, &read("verification")).await;
    assert_eq!(own["fields"]["name"], NAME);
    assert_eq!(own["fields"]["id_number"], "11010519491231002X");
    assert_eq!(own["fields"]["shifts"][1]["hours"], "7.5");
    let watched = done(cluster, REGULATOR, &read("supervision")).await;
    assert_eq!(watched["fields"], own["fields"]);
    let received = done(cluster, ENTERPRISE, &read("service")).await;
    assert_eq!((&received["fields"]["name"], &received["fields"]["task"]), (&json!(NAME), &json!(TASK)));
    assert_eq!(received["fields"].get("id_number"), None, "{received}");

    let field = [&read("service")[..], &["--field", "id_number"]].concat();
    assert_eq!(refused(cluster, ENTERPRISE, &field).await, "vault.not_allowed");
    // One field that may be seen does not carry along one that may not.
    let both = [&read("service")[..], &["--field", "name", "--field", "id_number"]].concat();
    assert_eq!(refused(cluster, ENTERPRISE, &both).await, "vault.not_allowed");
    assert_eq!(refused(cluster, ENTERPRISE, &read("supervision")).await, "vault.not_allowed");
    assert_eq!(refused(cluster, PLATFORM, &read("service")).await, "vault.not_allowed");
    // An account of another member is nobody at this node.
    let key = cluster.account_path(ENTERPRISE);
    let foreign = [&["--json"], &read("service")[..], &["--key", &key]].concat();
    let foreign = cluster.vouch(INSTITUTION, &foreign).await.unwrap();
    assert_eq!(foreign.problem_code().unwrap(), "caller.forbidden");

    let audit = done(cluster, ENTERPRISE, &["doc", "audit"]).await;
    let results: Vec<&str> = audit["items"].as_array().unwrap().iter().map(|r| r["result"].as_str().unwrap()).collect();
    assert_eq!(results[0], "ok");
    assert_eq!(results.len(), 4, "{audit}");
    assert!(!audit.to_string().contains(NAME));
    let check = done(cluster, REGULATOR, &["doc", "check"]).await;
    assert_eq!(check, json!({ "damages": [] }));
}

/// A new version, a verdict on it, and a grant to one who had nothing.
async fn it_changes(cluster: &Cluster, id: &str, person: &str) {
    let mut next = record(person, "night shift");
    next["values"]["task"] = json!("Loading, gate 5");
    let next = file(cluster, "next.json", &next);
    let revised = done(cluster, INSTITUTION, &["doc", "submit", &next, "--revise", id]).await;
    assert_eq!(revised["version"], 2, "{revised}");
    let read = ["doc", "read", id, "--purpose", "service", "--field", "task"];
    let seen = until("the new version is there", PATIENCE, async || {
        Ok(vouch(cluster, ENTERPRISE, &read).await.success().ok().map(|output| output.json().unwrap()))
    });
    assert_eq!(seen.await.unwrap()["fields"]["task"], "Loading, gate 5");
    done(cluster, ENTERPRISE, &["doc", "accept", id]).await;
    let grant = ["doc", "grant", id, "--to", "platform", "--field", "task", "--purpose", "service"];
    let granted = done(cluster, INSTITUTION, &grant).await;
    let seen = until("what was granted is there", PATIENCE, async || {
        Ok(vouch(cluster, PLATFORM, &read).await.success().ok().map(|output| output.json().unwrap()))
    });
    assert_eq!(seen.await.unwrap()["fields"], json!({ "task": "Loading, gate 5" }));
    done(cluster, INSTITUTION, &["doc", "end-grant", &granted["output_value"].to_string()]).await;
    assert_eq!(refused(cluster, PLATFORM, &read).await, "vault.not_allowed");
    let shown = cluster.vouch(PLATFORM, &["--json", "doc", "show", id]).await.unwrap().success().unwrap();
    let shown = shown.json().unwrap();
    assert_eq!(
        (&shown["versions"][0]["state"], &shown["versions"][1]["state"]),
        (&json!("Superseded"), &json!("Effective"))
    );
    assert_eq!(shown["versions"][1]["accepted"], 1, "{shown}");
}

/// The person, with a key of their own: what is held about them and where, what it says, who has looked at it.
async fn the_person_asks(cluster: &Cluster, id: &str, person: &str) -> String {
    let alias = person.strip_prefix("subject:").unwrap();
    let path = cluster.scratch("person.key");
    vouch_sdk::keystore::save(&path, &SecretKey::from_seed(rand::random()), None).unwrap();
    let own = path.display().to_string();
    let asks = async |node: usize, arguments: &[&str]| {
        let output = cluster.vouch(node, &[&["--json"], arguments, &["--key", &own]].concat()).await.unwrap();
        match output.code {
            0 => Ok(output.json().unwrap()),
            _ => Err(output.problem_code().unwrap()),
        }
    };
    let held = ["subject", "held", alias];
    assert_eq!(asks(INSTITUTION, &held).await, Err("caller.unknown".into()));
    done(cluster, INSTITUTION, &["subject", "set-key", alias, "--own-key", &own]).await;
    assert_eq!(asks(INSTITUTION, &["key", "check"]).await.unwrap()["subject"], alias);

    let versions = |page: &Value| {
        let item = &page["items"][0];
        assert_eq!((&item["document"], page["items"].as_array().unwrap().len()), (&json!(id), 1), "{page}");
        item["versions"].as_array().unwrap().iter().map(|held| held["fields"].clone()).collect::<Vec<_>>()
    };
    let (all, some) = (json!(FieldSet::first(5)), json!([0, 2, 3, 4].into_iter().collect::<FieldSet>()));
    assert_eq!(versions(&asks(INSTITUTION, &held).await.unwrap()), [all.clone(), all]);
    assert_eq!(versions(&asks(ENTERPRISE, &held).await.unwrap()), [some.clone(), some]);
    assert_eq!(asks(INSTITUTION, &["subject", "held", &"6b".repeat(32)]).await, Err("caller.forbidden".into()));
    // The institution answers for a person without a key; the regulator, which serves nobody, does not.
    assert_eq!(versions(&done(cluster, INSTITUTION, &held).await).len(), 2);
    assert_eq!(refused(cluster, REGULATOR, &held).await, "caller.forbidden");

    let read = asks(INSTITUTION, &["doc", "read", id, "--purpose", "own"]).await.unwrap();
    assert_eq!((&read["fields"]["name"], &read["fields"]["id_number"]), (&json!(NAME), &json!("11010519491231002X")));
    assert_eq!(asks(INSTITUTION, &["doc", "read", id, "--purpose", "service"]).await, Err("vault.not_allowed".into()));
    let audit = asks(ENTERPRISE, &["doc", "audit", id]).await.unwrap();
    assert!(audit["items"].as_array().unwrap().iter().any(|r| r["purpose"] == "service" && r["result"] == "ok"));
    // What is not about them stays shut.
    for shut in [&["doc", "audit"][..], &["doc", "vault"], &["doc", "check"]] {
        assert_eq!(asks(INSTITUTION, shut).await, Err("caller.forbidden".into()), "{shut:?}");
    }
    assert_eq!(asks(INSTITUTION, &["doc", "erase", id]).await, Err("tx.unknown_account".into()), "nobody carries it");
    own
}

/// Every holder destroys it and says so on the chain; nobody reads it again. The person asks, the institution carries it.
async fn it_is_erased(cluster: &Cluster, id: DocumentId, own: &str) {
    let text = id.to_string();
    done(cluster, INSTITUTION, &["doc", "erase", &text, "--key", own]).await;
    let erased = until("all holders attest", PATIENCE, async || {
        let shown = cluster.vouch(PLATFORM, &["--json", "doc", "show", &text]).await?.success()?.json()?;
        Ok((shown["document"]["erasure"] == "Erased").then(|| shown["erasure"].clone()))
    });
    let erased = erased.await.unwrap();
    assert_eq!(erased["missing"], json!([]), "{erased}");
    for member in [INSTITUTION, ENTERPRISE, REGULATOR] {
        let name = &cluster.plan.nodes[member].member;
        let statement = client(cluster, member).erasure_statement(id).await.unwrap();
        let attested = erased["attestations"].as_array().unwrap().iter().find(|said| said["member"] == **name);
        assert_eq!(attested.unwrap()["receipt"], json!(statement.digest), "{name}: {erased}");
        let read = ["doc", "read", &text, "--version", "2", "--purpose", "supervision"];
        assert_eq!(refused(cluster, member, &read).await, "vault.erased", "{name}");
    }
}

/// A node's index once it is at the head and holds what the chain counts.
async fn complete_index(cluster: &Cluster, member: usize) -> IndexStatusView {
    let client = client(cluster, member);
    let complete = until("the index holds what the chain counts", PATIENCE, async || {
        let status = client.index_status().await?;
        let counts = [status.documents, status.relationships, status.disputes, status.grants];
        let is_complete = status.lag == 0 && status.rebuild.is_none();
        Ok((is_complete && counts.iter().all(|count| count.on_chain == Some(count.indexed))).then_some(status))
    });
    complete.await.unwrap()
}

/// Every node's index holds all of it, erased values not; made anew from the ledger it is the same.
async fn it_is_indexed(cluster: &Cluster, id: DocumentId) {
    for member in [PLATFORM, INSTITUTION, ENTERPRISE, REGULATOR] {
        let status = complete_index(cluster, member).await;
        assert_eq!((status.documents.indexed, status.grants.indexed, status.first_block.0), (1, 1, 1));
    }
    let client = client(cluster, REGULATOR);
    let shown = async |what: &str| {
        let erased: IndexPage<DocumentItem> =
            client.index_page("/api/v1/documents?state=Erased&issuer=institution", None).await.unwrap();
        assert_eq!(erased.items.len(), 1, "{what}");
        assert_eq!((erased.items[0].id, erased.items[0].version), (id, 2), "{what}");
        let by_text: IndexPage<DocumentItem> = client.index_page("/api/v1/documents?number=day", None).await.unwrap();
        assert_eq!(by_text.items, [], "{what}: an erased public text is found");
        erased.items[0].clone()
    };
    let before = shown("followed").await;
    let rebuild = cluster.vouch(REGULATOR, &["--json", "index", "rebuild"]).await.unwrap().success().unwrap();
    assert_eq!(rebuild.json().unwrap()["layout"], 1);
    until("the rebuild is done", PATIENCE, async || {
        let metrics = client.metrics().await?;
        Ok(metrics.contains("vouch_index_rebuilding_bool 0").then_some(()))
    })
    .await
    .unwrap();
    complete_index(cluster, REGULATOR).await;
    let after = shown("made anew").await;
    // When it was made from old blocks, the document was seen as it is now from the first on.
    assert_eq!(DocumentItem { changed: before.changed, ..after }, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_shared_by_the_rules_and_destroyed_by_all() {
    let options = Options { plain_http: true, accounts: 4, idle_interval_ms: 1_000, ..Options::default() };
    let cluster = Cluster::start(options).await.unwrap();
    let person = prepare(&cluster).await;
    relate(&cluster, &person).await;
    let known = done(&cluster, INSTITUTION, &["key", "check"]).await;
    assert_eq!(known["account"]["member"], "institution");
    what_breaks_the_rules_is_refused(&cluster, &person).await;

    let path = file(&cluster, "record.json", &record(&person, "day shift"));
    let submitted = done(&cluster, INSTITUTION, &["doc", "submit", &path]).await;
    let id: DocumentId = submitted["id"].as_str().unwrap().parse().unwrap();
    all_entitled_hold_it(&cluster, id).await;
    each_reads_what_the_rules_open(&cluster, &id.to_string()).await;
    super::evidence::it_is_proven_to_outsiders(&cluster, &id.to_string()).await;
    it_changes(&cluster, &id.to_string(), &person).await;
    let own = the_person_asks(&cluster, &id.to_string(), &person).await;
    it_is_erased(&cluster, id, &own).await;
    it_is_indexed(&cluster, id).await;
}
