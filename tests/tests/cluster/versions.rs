//! Rows that come again with another content: told by name before anything leaves, sent as new versions where that is wanted, each
//! once and in order whatever is killed or lost, and never over what somebody else holds, has erased or takes back.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use vouch_sdk::{Client, Identity};
use vouch_tests::{
    cluster::{Cluster, Options, until},
    month,
};
use vouch_types::document::{Document, DocumentId, Version, VersionState};
use vouch_uplink::journal;

const PATIENCE: Duration = Duration::from_secs(60);
/// The position of the member that uplinks.
const INSTITUTION: usize = 1;
const REGULATOR: usize = 3;
/// What an entry adds to the journal's log at least: a page and its head.
const ENTRY_BYTES: u64 = 4_096 + 24;

const MAPPING: &str = r#"
format = "vouch-uplink/1"
[[map]]
schema = "task-bill"
sources = ["bills*.csv"]
number = ["no"]
[map.fields]
number = "no"
[map.parties]
lead = { person_from = "lead" }
[map.references]
task = { schema = "task", from = "task" }

[[map]]
schema = "task"
sources = ["tasks*.csv"]
number = ["no"]
[map.fields]
number = "no"
note = "note"
pay = { from = "pay" }
[map.parties]
lead = { person_from = "lead", register = true }
"#;

/// Where an institution keeps what it uplinks.
struct Desk<'a> {
    cluster: &'a Cluster,
    folder: PathBuf,
    client: Client,
}

impl<'a> Desk<'a> {
    async fn new(cluster: &'a Cluster) -> Self {
        let folder = cluster.scratch("desk");
        std::fs::create_dir(&folder).unwrap();
        let field = |name: &str, kind: &str, grade: u8, required: bool| {
            json!({ "name": name, "title_en": name, "title_zh": name, "kind": kind, "grade": grade, "public": false,
                "required": required, "readers": 15, "about": null })
        };
        let lead = json!({ "role": "lead", "title_en": "Lead", "title_zh": "组长", "subject": true, "members": 0, "min": 1, "max": 1,
            "owner": true, "recipient": false, "signs": false });
        let purpose = json!({ "code": "own", "title_en": "Own", "title_zh": "本人", "readers": 3, "grade": 4 });
        let task = json!({ "name": "task", "title_en": "Task", "title_zh": "任务", "category": "Transaction",
            "fields": [field("number", "Text", 2, true), field("note", "Text", 2, false), field("pay", "Decimal", 3, true)],
            "parties": [lead], "references": [], "retention_days": 0, "purposes": [purpose] });
        let refers = json!({ "name": "task", "title_en": "Task", "title_zh": "任务", "category": "Transaction", "schema": "task",
            "min": 1, "max": 1, "same_owner": true, "disputed": false });
        let bill = json!({ "name": "task-bill", "title_en": "Bill", "title_zh": "账单", "category": "Invoice",
            "fields": [field("number", "Text", 2, true)], "parties": [lead], "references": [refers], "retention_days": 0,
            "purposes": [purpose] });
        let admins = cluster.admin_paths(4);
        for (name, schema) in [("task", task), ("bill", bill)] {
            let path = folder.join(format!("{name}.json"));
            std::fs::write(&path, schema.to_string()).unwrap();
            let path = path.display().to_string();
            month::said(cluster, 0, &["schema", "register", &path, "--key", &admins]).await.unwrap();
        }
        std::fs::write(folder.join("mapping.toml"), MAPPING).unwrap();
        let mut config = cluster.client_config(&[INSTITUTION]).unwrap();
        config.identity = Some(Identity::new(cluster.account(INSTITUTION).unwrap()));
        Self { cluster, folder, client: config.build().unwrap() }
    }

    fn write(&self, name: &str, head: &str, rows: impl IntoIterator<Item = String>) -> PathBuf {
        let path = self.folder.join(name);
        let rows: Vec<String> = rows.into_iter().collect();
        std::fs::write(&path, format!("{head}\n{}\n", rows.join("\n"))).unwrap();
        path
    }

    /// Tasks by number, each with its pay and its note.
    fn tasks(&self, rows: impl IntoIterator<Item = (u32, String, String)>) -> PathBuf {
        let row = |(number, pay, note)| format!("T{number},P{},{pay},{note}", number % 3);
        self.write("tasks.csv", "no,lead,pay,note", rows.into_iter().map(row))
    }

    fn state(&self) -> PathBuf {
        self.cluster.scratch("desk-state")
    }

    fn run(&self, source: &Path, more: &[&str]) -> Vec<String> {
        let place = |path: &Path| path.display().to_string();
        let (mapping, state, home) = (self.folder.join("mapping.toml"), self.state(), self.cluster.home(INSTITUTION));
        let (key, numbers) = (self.cluster.account_path(INSTITUTION), source.with_extension("numbers"));
        let all = ["--json", "doc", "uplink", &place(source), "--mapping", &place(&mapping), "--state", &place(&state)];
        let own = ["--home", &place(&home), "--key", &key, "--new-key", "--yes", "--numbers-out", &place(&numbers)];
        all.iter().chain(&own).chain(more).map(|text| (*text).to_owned()).collect()
    }

    async fn said(&self, source: &Path, more: &[&str]) -> (i32, Value) {
        let output = self.cluster.program.run(&self.run(source, more)).await.unwrap();
        let value = output.json().unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.code, value)
    }

    /// Runs it: code; new, changed and unchanged before; sent, versions among them and rejected after.
    async fn told(&self, source: &Path, more: &[&str]) -> (i32, [u64; 3], [u64; 3]) {
        let (code, value) = self.said(source, more).await;
        (
            code,
            ["new", "changed", "unchanged"].map(|name| value["changes"][name].as_u64().unwrap()),
            ["sent", "versions", "rejected"].map(|name| value["sent"][name].as_u64().unwrap()),
        )
    }

    /// The journal is lost, its key is not.
    fn forget(&self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.state().join(format!("{}{end}", journal::FILE)));
        }
    }

    /// Kills a run once its journal has some more entries.
    async fn killed(&self, run: &[String], entries: u64) {
        let log = self.state().join(format!("{}-wal", journal::FILE));
        let bytes = || std::fs::metadata(&log).map_or(0, |data| data.len());
        let before = bytes();
        let run = [run, &["--concurrency".to_owned(), "1".to_owned()]].concat();
        let mut child = self.cluster.program.command(&run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while bytes() < before + entries * ENTRY_BYTES {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().await.unwrap();
    }

    /// The document of a number, of a source that is named without its end.
    fn id(&self, source: &str, number: &str) -> DocumentId {
        let text = std::fs::read_to_string(self.folder.join(format!("{source}.numbers"))).unwrap();
        let number = format!(",\"{number}\",");
        let id = text.lines().find_map(|line| line.split_once(&number)).map(|(_, id)| id.parse());
        id.unwrap_or_else(|| panic!("{number} {text}")).unwrap()
    }

    async fn task(&self, number: u32) -> Document {
        self.client.document(self.id("tasks", &format!("T{number}"))).await.unwrap().unwrap()
    }

    /// A version, as the chain's state proves it.
    async fn proven(&self, id: DocumentId, version: u32) -> Version {
        self.client.proven_version(id, version).await.unwrap().0
    }

    async fn act(&self, member: usize, arguments: &[&str]) {
        let key = self.cluster.account_path(member);
        month::said(self.cluster, member, &[arguments, &["--key", &key]].concat()).await.unwrap();
    }
}

fn plain(numbers: impl IntoIterator<Item = u32>) -> impl Iterator<Item = (u32, String, String)> {
    numbers.into_iter().map(|number| (number, format!("{number}.50"), "first".to_owned()))
}

/// Of the first `changed` tasks with another pay.
fn repaid(until: u32, changed: u32) -> impl Iterator<Item = (u32, String, String)> {
    plain(1..=until).map(move |(number, pay, note)| {
        let pay = if number <= changed { format!("{}.75", 7_000 + number) } else { pay };
        (number, pay, note)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_again_changed_become_versions_once_and_in_order() {
    let cluster = Cluster::start(Options { accounts: 4, ..Options::default() }).await.unwrap();
    month::found(&cluster).await.unwrap();
    let desk = Desk::new(&cluster).await;
    let tasks = desk.tasks(plain(1..=20));
    assert_eq!(desk.told(&tasks, &[]).await, (0, [20, 0, 0], [20, 0, 0]));
    assert_eq!(desk.told(&tasks, &[]).await, (0, [0, 0, 20], [0, 0, 0]));
    what_changed_is_told_and_nothing_leaves(&desk).await;
    killed_runs_make_each_version_once(&desk).await;
    a_lost_journal_is_made_up_for_by_the_chain(&desk).await;
    references_lead_to_the_version_in_force(&desk).await;
    what_somebody_revised_by_hand_is_compared_by_its_fields(&desk).await;
    documents_that_are_kept_or_gone_are_left_alone(&desk).await;
}

/// Ten rows have another pay, one is new.
async fn what_changed_is_told_and_nothing_leaves(desk: &Desk<'_>) {
    let tasks = desk.tasks(repaid(21, 10));
    let (code, value) = desk.said(&tasks, &["--preview"]).await;
    let rows = value["changes"]["rows"].as_array().unwrap();
    assert_eq!((code, rows.len(), &value["changes"]["new"]), (0, 10, &json!(1)), "{value}");
    assert_eq!(
        (&rows[0]["number"], &rows[0]["version"], &rows[0]["fields"]),
        (&json!("T1"), &json!(1), &json!(["pay"]))
    );
    assert!(!value.to_string().contains("7001.75"), "{value}");
    // Who does not want versions leaves them; the new one goes.
    let changes = desk.folder.join("changes.ndjson");
    let out = ["--changed", "skip", "--changes-out", &changes.display().to_string()];
    let (code, value) = desk.said(&tasks, &out).await;
    assert_eq!((code, &value["sent"]["sent"], &value["sent"]["skipped"]), (0, &json!(1), &json!(10)), "{value}");
    let text = std::fs::read_to_string(&changes).unwrap();
    assert!(text.lines().count() == 10 && !text.contains("7001.75"), "{text}");
    // Nobody said anything: they are rejected, with what to do about it.
    assert_eq!(desk.told(&tasks, &[]).await, (3, [0, 10, 11], [0, 0, 10]));
    let text = std::fs::read_to_string(desk.folder.join("tasks.csv.rejected.csv")).unwrap();
    assert!(text.lines().count() == 11 && text.contains("uplink.changed") && text.contains("version 1: pay"), "{text}");
    for number in 1..=21 {
        assert_eq!(desk.task(number).await.latest, 1, "{number}");
    }
}

/// What was rejected is sent as versions, by runs of which two are killed.
async fn killed_runs_make_each_version_once(desk: &Desk<'_>) {
    let rejected = desk.folder.join("tasks.csv.rejected.csv");
    let run = desk.run(&rejected, &["--changed", "version"]);
    for entries in [6, 5] {
        desk.killed(&run, entries).await;
    }
    let (code, [new, changed, unchanged], [sent, versions, rejected_now]) =
        desk.told(&rejected, &["--changed", "version"]).await;
    assert_eq!((code, new, changed + unchanged, rejected_now), (0, 0, 10, 0));
    assert!(unchanged >= 5 && sent == versions && sent <= changed, "{changed} {unchanged} {sent}");
    let tasks = desk.folder.join("tasks.csv");
    assert_eq!(desk.told(&tasks, &["--changed", "version"]).await, (0, [0, 0, 21], [0, 0, 0]));
    for number in 1..=21 {
        let document = desk.task(number).await;
        assert_eq!((document.latest, document.effective), if number <= 10 { (2, Some(2)) } else { (1, Some(1)) });
        if number <= 10 {
            let (first, second) = (desk.proven(document.id, 1).await, desk.proven(document.id, 2).await);
            assert_eq!(second.previous_root, Some(first.content.root));
            assert_eq!((first.state, second.state), (VersionState::Superseded, VersionState::Effective));
            for (version, pay) in [(1, format!("{number}.50")), (2, format!("{}.75", 7_000 + number))] {
                let read = desk.client.read_document(document.id, version, None, "own").await.unwrap();
                assert_eq!(read.fields["pay"], json!(pay), "{number} {version}");
            }
        }
    }
}

/// The content of the first version comes back: a third one, once, however much is lost.
async fn a_lost_journal_is_made_up_for_by_the_chain(desk: &Desk<'_>) {
    desk.forget();
    let tasks = desk.tasks(repaid(21, 10));
    assert_eq!(desk.told(&tasks, &["--changed", "version"]).await, (0, [0, 0, 21], [0, 0, 0]));
    desk.forget();
    let tasks = desk.tasks(repaid(21, 8));
    let (_, value) = desk.said(&tasks, &["--preview"]).await;
    let rows = value["changes"]["rows"].as_array().unwrap();
    for row in rows {
        assert_eq!(row["fields"], json!(["pay"]), "the node's own copy says what changed: {value}");
        assert_eq!(row["again"], 1, "it is what the first version said: {value}");
    }
    assert_eq!((rows.len(), &value["changes"]["again"]), (2, &json!(2)), "{value}");
    for _ in 0..2 {
        desk.forget();
        desk.told(&tasks, &["--changed", "version"]).await;
    }
    desk.forget();
    assert_eq!(desk.told(&tasks, &["--changed", "version"]).await, (0, [0, 0, 21], [0, 0, 0]));
    for number in [9, 10] {
        let document = desk.task(number).await;
        assert_eq!(document.latest, 3);
        let roots = [desk.proven(document.id, 1).await.content.root, desk.proven(document.id, 3).await.content.root];
        assert_ne!(roots[0], roots[1], "a content that comes back has other salts");
    }
}

/// A bill names the task as it stands, also where only the chain knows that there is a later version.
async fn references_lead_to_the_version_in_force(desk: &Desk<'_>) {
    let bill = |number: u32| format!("B{number},P{},T{number}", number % 3);
    let bills = desk.write("bills.csv", "no,lead,task", [1, 9, 20].map(bill));
    assert_eq!(desk.told(&bills, &[]).await, (0, [3, 0, 0], [3, 0, 0]));
    desk.forget();
    let more = desk.write("bills-more.csv", "no,lead,task", [2, 10].map(bill));
    assert_eq!(desk.told(&more, &[]).await, (0, [2, 0, 0], [2, 0, 0]));
    let named = async |source: &str, number: u32| {
        let id = desk.id(source, &format!("B{number}"));
        desk.proven(id, 1).await.content.references[0].version
    };
    assert_eq!((named("bills-more", 2).await, named("bills-more", 10).await), (2, 3));
    // A task that gets a version changes nothing in bills of before.
    let tasks = desk.tasks(repaid(21, 9));
    assert_eq!(desk.told(&tasks, &["--changed", "version"]).await, (0, [0, 1, 20], [1, 1, 0]));
    assert_eq!(desk.told(&bills, &["--changed", "version"]).await, (0, [0, 0, 3], [0, 0, 0]));
    assert_eq!((named("bills", 1).await, named("bills", 9).await, named("bills", 20).await), (2, 3, 1));
}

/// The journal does not know it, and no salt of it follows from the key.
async fn what_somebody_revised_by_hand_is_compared_by_its_fields(desk: &Desk<'_>) {
    let document = desk.task(12).await;
    let lead = desk.proven(document.id, 1).await.content.parties[0].party.subject.unwrap();
    let record = json!({ "schema": "task", "parties": { "lead": format!("subject:{lead}") },
        "values": { "number": "T12", "pay": "12.50", "note": "by hand" } });
    let path = desk.folder.join("by-hand.json");
    std::fs::write(&path, record.to_string()).unwrap();
    let id = document.id.to_string();
    desk.act(INSTITUTION, &["doc", "submit", &path.display().to_string(), "--revise", &id]).await;
    // As far as the source goes nothing changed.
    let tasks = desk.tasks(repaid(21, 9));
    assert_eq!(desk.told(&tasks, &["--changed", "version"]).await, (0, [0, 0, 21], [0, 0, 0]));
    desk.forget();
    let (_, value) = desk.said(&tasks, &["--preview"]).await;
    let row = &value["changes"]["rows"][0];
    assert_eq!(
        (&row["number"], &row["version"], &row["fields"]),
        (&json!("T12"), &json!(2), &json!(["note"])),
        "{value}"
    );
    // The source says the same as the hand did.
    let rows =
        repaid(21, 9).map(|(number, pay, note)| (number, pay, if number == 12 { "by hand".into() } else { note }));
    let tasks = desk.tasks(rows);
    assert_eq!(desk.told(&tasks, &["--changed", "version"]).await, (0, [0, 0, 21], [0, 0, 0]));
    assert_eq!(desk.task(12).await.latest, 2);
}

/// Revoked, under a hold, erased: each row is told why, and nothing is made of it.
async fn documents_that_are_kept_or_gone_are_left_alone(desk: &Desk<'_>) {
    let ids = [15, 16, 17].map(|number| desk.id("tasks", &format!("T{number}")).to_string());
    desk.act(INSTITUTION, &["doc", "revoke", &ids[0], "--code", "typo"]).await;
    desk.act(REGULATOR, &["doc", "hold", &ids[1], "--code", "court-case"]).await;
    desk.act(INSTITUTION, &["doc", "erase", &ids[2]]).await;
    until("the institution's node knows of the hold", PATIENCE, async || {
        Ok((desk.task(16).await.holds == 1).then_some(()))
    })
    .await
    .unwrap();
    let before = [desk.task(15).await.latest, desk.task(16).await.latest, desk.task(17).await.latest];
    let rows = repaid(21, 9).map(|(number, pay, note)| {
        let note = if number == 12 { "by hand".into() } else { note };
        (number, if (15..=18).contains(&number) { "1".into() } else { pay }, note)
    });
    let tasks = desk.tasks(rows);
    let (code, value) = desk.said(&tasks, &["--changed", "version"]).await;
    assert_eq!(
        (code, &value["changes"]["changed"], &value["changes"]["blocked"]),
        (3, &json!(1), &json!(3)),
        "{value}"
    );
    assert_eq!((&value["sent"]["versions"], &value["sent"]["rejected"]), (&json!(1), &json!(3)), "{value}");
    let path = value["sent"]["rejected_files"][0].as_str().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    for code in ["uplink.revoked", "uplink.held", "uplink.erased"] {
        assert!(text.contains(code), "{code}: {text}");
    }
    let after = [desk.task(15).await.latest, desk.task(16).await.latest, desk.task(17).await.latest];
    assert_eq!((before, desk.task(18).await.latest), (after, 2));
}
