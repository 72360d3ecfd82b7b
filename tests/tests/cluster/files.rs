//! A contract with its signed text: uploaded with a break and a restart in the midst, held by all who are to have it, read back
//! byte for byte, refused to others, and repaired where a byte of it changed on a disk.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::Notify;
use vouch_sdk::{Client, DocumentDraft, DraftFile, FileProgress, FileRequest, Identity, Resumption, SubmitOptions};
use vouch_tests::cluster::{Cluster, Options, Output, metric, until};
use vouch_types::document::{DocumentId, Party, PartyEntry, ReferenceEntry};

const PATIENCE: Duration = Duration::from_secs(60);

const PLATFORM: usize = 0;
const INSTITUTION: usize = 1;
const ENTERPRISE: usize = 2;
const REGULATOR: usize = 3;

/// Several pieces of 4 MiB, and no whole number of them.
const FILE_BYTES: usize = (18 << 20) + 12_345;
/// Bytes that were acknowledged before the break, at least.
const BROKEN_OFF_AT: u64 = 8 << 20;
/// Slot of the field `text` of the sample schema.
const TEXT: u16 = 12;

async fn vouch(cluster: &Cluster, member: usize, arguments: &[&str]) -> Output {
    let key = cluster.account_path(member);
    cluster.vouch(member, &[&["--json"], arguments, &["--key", &key]].concat()).await.unwrap()
}

async fn done(cluster: &Cluster, member: usize, arguments: &[&str]) -> Value {
    let value = vouch(cluster, member, arguments).await.success().unwrap().json().unwrap();
    assert_ne!(value["receipt"]["outcome"], "failed", "{value}");
    value
}

fn write(cluster: &Cluster, name: &str, value: &Value) -> String {
    let path = cluster.scratch(name);
    std::fs::write(&path, value.to_string()).unwrap();
    path.display().to_string()
}

fn client(cluster: &Cluster, member: usize) -> Client {
    let mut config = cluster.client_config(&[member]).unwrap();
    config.identity = Some(Identity::new(cluster.account(member).unwrap()));
    config.build().unwrap()
}

/// Length of the ciphertext: a head, and a tag for each segment of 64 KiB.
fn vault_bytes() -> u64 {
    let bytes = FILE_BYTES as u64;
    32 + bytes + 16 * bytes.div_ceil(64 << 10)
}

/// Bytes without any pattern, always the same.
fn content() -> Vec<u8> {
    let mut bytes = vec![0; FILE_BYTES];
    blake3::Hasher::new().update(b"signed text").finalize_xof().fill(&mut bytes);
    bytes
}

/// Schemas, the person, who serves and watches over whom, and the identities that a contract builds on.
async fn prepare(cluster: &Cluster) -> (String, [DocumentId; 2]) {
    let (dir, contracts) = (cluster.dir().display().to_string(), cluster.program.contracts.display().to_string());
    let made = cluster.vouch(0, &["--json", "dev", "schemas", "--dir", &dir, "--contracts", &contracts]).await.unwrap();
    made.success().unwrap();
    let alias = "5b".repeat(32);
    done(cluster, INSTITUTION, &["subject", "register", "--alias", &alias]).await;
    let person = format!("subject:{alias}");
    let begin = ["relation", "begin", "receives", "enterprise", &person, "--via", "institution"];
    let offered = done(cluster, INSTITUTION, &begin).await;
    done(cluster, ENTERPRISE, &["relation", "accept", &offered["output_value"].to_string()]).await;
    done(cluster, REGULATOR, &["relation", "begin", "regulates", "regulator", "everyone"]).await;
    let worker = json!({
        "schema": "worker-identity", "parties": { "worker": person },
        "values": { "name": "Lin Ceshi", "id_type": "resident", "id_number": "11010519491231002X", "mobile": "13800138000",
            "bank_name": "Bank of Samples", "bank_account": "6222020200112233445", "method": "face", "result": "passed",
            "verified_at": "2026-11-26T09:00:00+08:00" },
    });
    let enterprise = json!({
        "schema": "enterprise-identity", "parties": { "enterprise": "enterprise" },
        "values": { "name": "Riverside Foods", "credit_code": "91120116MA05X1A2B3", "legal_representative": "Wang Ceshi",
            "representative_id_number": "11010519491231002X", "contact_mobile": "13800138000",
            "bank_account": "6222020200112233445", "result": "passed", "verified_at": "2026-11-26T09:00:00+08:00" },
    });
    let mut ids = [DocumentId::new([0; 16]); 2];
    for (id, member, name, record) in
        [(0, INSTITUTION, "worker.json", worker), (1, ENTERPRISE, "enterprise.json", enterprise)]
    {
        let path = write(cluster, name, &record);
        let submitted = done(cluster, member, &["doc", "submit", &path]).await;
        ids[id] = submitted["id"].as_str().unwrap().parse().unwrap();
    }
    (person, ids)
}

fn values() -> Value {
    json!({
        "number": "C-2026-0001", "title": "Sorting of parcels", "worker_name": "Lin Ceshi",
        "worker_id_number": "11010519491231002X", "service_fee_rate": "0.06", "task": "Sorting parcels, hall 3",
        "from": "2026-12-01", "price": "180.00", "settlement_period": "day",
    })
}

fn record(person: &str, [worker, enterprise]: [DocumentId; 2], text: &Value) -> Value {
    let mut values = values();
    values["text"] = text.clone();
    json!({
        "schema": "service-contract", "values": values,
        "parties": { "worker": person, "client": "enterprise", "institution": "institution" },
        "references": [{ "name": "worker_identity", "id": worker, "version": 1 },
            { "name": "client_identity", "id": enterprise, "version": 1 }],
    })
}

/// The same as a program has it.
fn draft(record: &Value, file: &Path) -> DocumentDraft {
    let Value::Object(values) = values() else { panic!("an object") };
    let party = |role: &str, party| PartyEntry { role: role.into(), party };
    let alias = record["parties"]["worker"].as_str().unwrap().trim_start_matches("subject:").parse().unwrap();
    let references: Vec<ReferenceEntry> = serde_json::from_value(record["references"].clone()).unwrap();
    DocumentDraft {
        schema: "service-contract".into(),
        values,
        parties: vec![
            party("worker", Party::subject(alias)),
            party("client", Party::member("enterprise")),
            party("institution", Party::member("institution")),
        ],
        references,
        files: vec![DraftFile::from_path("text", file, "application/pdf").unwrap()],
        ..DocumentDraft::default()
    }
}

/// A program sends two pieces and is gone.
async fn a_program_breaks_off(cluster: &Cluster, draft: &DocumentDraft, resumption: &Resumption) {
    let (enough, client) = (Arc::new(Notify::new()), client(cluster, INSTITUTION));
    let seen = Arc::clone(&enough);
    let options = SubmitOptions {
        resumption: Some(resumption.clone()),
        progress: Some(Arc::new(move |progress: &FileProgress| {
            if progress.done >= BROKEN_OFF_AT {
                seen.notify_one();
            }
        })),
        ..SubmitOptions::default()
    };
    let key = cluster.account(INSTITUTION).unwrap();
    tokio::select! {
        result = client.submit_document_with(draft, &key, &options) => panic!("it was to break off: {result:?}"),
        () = enough.notified() => {}
    }
    let vault = client.vault().await.unwrap();
    assert_eq!(vault.uploads, 1, "{vault:?}");
    assert!(vault.upload_bytes > FILE_BYTES as u64, "{vault:?}");
}

async fn what_is_wrong_is_said_before_anything_is_sent(cluster: &Cluster, record: &Value) {
    for (name, text, code) in [
        ("gone", json!({ "file": "nowhere.pdf" }), "document.file_io"),
        ("form", json!({ "file": "contract.pdf", "x": 1 }), "document.construction"),
        ("folder", json!({ "file": "net" }), "document.file_io"),
    ] {
        let mut wrong = record.clone();
        wrong["values"]["text"] = text;
        let path = write(cluster, &format!("{name}.json"), &wrong);
        let output = vouch(cluster, INSTITUTION, &["doc", "submit", &path]).await;
        assert_eq!((output.code, output.problem_code().unwrap().as_str()), (3, code), "{name}: {output:?}");
    }
    let mut wrong = record.clone();
    wrong["values"]["task"] = json!({ "file": "contract.pdf" });
    let path = write(cluster, "elsewhere.json", &wrong);
    let output = vouch(cluster, INSTITUTION, &["doc", "submit", &path]).await;
    assert_eq!(output.problem_code().unwrap(), "document.construction", "a text takes no file: {output:?}");
    let vault = client(cluster, INSTITUTION).vault().await.unwrap();
    assert_eq!((vault.uploads, vault.upload_bytes), (0, 0));
}

/// A small file whose name gives something away is refused when it is staged.
async fn a_telling_name_is_refused(cluster: &Cluster, record: &Value) {
    std::fs::write(cluster.scratch("11010519491231002X.pdf"), b"%PDF-1.7 small").unwrap();
    let mut telling = record.clone();
    telling["values"]["text"] = json!({ "file": "11010519491231002X.pdf" });
    let path = write(cluster, "telling.json", &telling);
    let output = vouch(cluster, INSTITUTION, &["doc", "submit", &path]).await;
    assert_eq!(output.problem_code().unwrap(), "stage.sensitive", "{output:?}");
    // The same command with another name goes on, and needs no second upload.
    telling["values"]["text"]["name"] = json!("contract.pdf");
    write(cluster, "telling.json", &telling);
    done(cluster, INSTITUTION, &["doc", "submit", &path]).await;
    assert!(!cluster.scratch("telling.json.upload").exists(), "a submission that is over leaves no note");
}

async fn all_entitled_hold_it(cluster: &Cluster, id: DocumentId) {
    for member in [INSTITUTION, ENTERPRISE, REGULATOR] {
        let client = client(cluster, member);
        let what = format!("{} holds the file", cluster.name(member));
        until(&what, PATIENCE, async || {
            let holding = client.document_holding(id, 1).await.ok();
            Ok(holding.filter(|holding| holding.fields.contains(TEXT)))
        })
        .await
        .unwrap();
    }
    let without = client(cluster, PLATFORM).document_holding(id, 1).await.unwrap();
    assert!(without.fields.is_empty(), "{without:?}");
}

fn part_of(out: &Path, b3: &str) -> PathBuf {
    PathBuf::from(format!("{}.{}.part", out.display(), &b3[..16]))
}

async fn it_is_read_byte_for_byte(cluster: &Cluster, id: &str, expected: &[u8]) {
    let shown = cluster
        .vouch(
            ENTERPRISE,
            &[
                "doc",
                "read",
                id,
                "--purpose",
                "performance",
                "--field",
                "text",
                "--key",
                &cluster.account_path(ENTERPRISE),
            ],
        )
        .await
        .unwrap()
        .success()
        .unwrap();
    assert!(shown.stdout.contains("text: contract.pdf (application/pdf, 18.0 MiB, "), "{shown:?}");
    let out = cluster.scratch("read.pdf");
    let arguments = ["doc", "file", id, "text", "--purpose", "performance", "--out", &out.display().to_string()];
    let read = done(cluster, ENTERPRISE, &arguments).await;
    assert_eq!((&read["name"], &read["size"]), (&json!("contract.pdf"), &json!(FILE_BYTES)));
    assert!(std::fs::read(&out).unwrap() == expected, "byte for byte");
    let again = vouch(cluster, ENTERPRISE, &arguments).await;
    assert_eq!(again.problem_code().unwrap(), "document.file_exists", "nothing is overwritten");

    // A part that is there is gone on with; one that was altered does not end under the final name.
    for (name, alter) in [("whole", false), ("altered", true)] {
        let out = cluster.scratch(&format!("{name}.pdf"));
        let mut part = expected[..(5 << 20) + 77].to_vec();
        part[1 << 20] ^= u8::from(alter);
        std::fs::write(part_of(&out, read["b3"].as_str().unwrap()), &part).unwrap();
        let arguments = ["doc", "file", id, "text", "--purpose", "performance", "--out", &out.display().to_string()];
        let output = vouch(cluster, ENTERPRISE, &arguments).await.success().unwrap();
        assert!(output.stderr.contains("goes on at 5.0 MiB"), "{output:?}");
        assert_eq!(output.json().unwrap()["resumed"], json!(if alter { 0 } else { 5 << 20 }), "{name}");
        assert!(std::fs::read(&out).unwrap() == expected, "{name}");
        assert!(!part_of(&out, read["b3"].as_str().unwrap()).exists());
    }

    let audit = done(cluster, ENTERPRISE, &["doc", "audit", id]).await;
    let kinds: Vec<&str> = audit["items"].as_array().unwrap().iter().map(|r| r["access"].as_str().unwrap()).collect();
    // Each opening once, however many pieces it had: the first, the two with parts, and the second try after the altered one.
    assert_eq!(kinds, ["read", "file", "file", "file", "file"], "{audit}");
}

async fn others_are_refused(cluster: &Cluster, id: &str) {
    let out = cluster.scratch("none.pdf").display().to_string();
    for (member, field, purpose, code) in [
        (PLATFORM, "text", "performance", "vault.not_allowed"),
        (ENTERPRISE, "text", "supervision", "vault.not_allowed"),
        (REGULATOR, "nothing", "supervision", "document.construction"),
        (REGULATOR, "title", "supervision", "vault.no_file"),
    ] {
        let output = vouch(cluster, member, &["doc", "file", id, field, "--purpose", purpose, "--out", &out]).await;
        assert_eq!((output.code, output.problem_code().unwrap().as_str()), (3, code), "{member} {field}: {output:?}");
    }
    assert!(!Path::new(&out).exists());
}

/// The ciphertext of the large file at a node.
fn blob(home: &Path) -> PathBuf {
    let folders = std::fs::read_dir(home).unwrap().map(|folder| folder.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()));
    let large = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "data") && std::fs::metadata(path).unwrap().len() > FILE_BYTES as u64
    };
    files.into_iter().find(large).expect("the file")
}

fn flip(path: &Path, at: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
}

/// A byte changes on one holder's disk: named to its group of 16 KiB, and repaired from another holder.
async fn a_flipped_byte_is_named_and_repaired(cluster: &Cluster, id: &str, expected: &[u8]) {
    let path = blob(&cluster.home(REGULATOR).join("vault/files"));
    let intact = std::fs::read(&path).unwrap();
    let at = 700 * 16_384 + 5;
    flip(&path, at);
    let check = vouch(cluster, REGULATOR, &["doc", "check"]).await;
    assert_eq!(check.code, 6, "{check:?}");
    let damages = check.json().unwrap()["damages"].clone();
    let expected_damage = json!([{ "document": id, "version": 1, "place": "file", "slot": TEXT, "field": "text", "file": 0,
        "bytes": [700 * 16_384, 701 * 16_384] }]);
    assert_eq!(damages, expected_damage);
    until("it is repaired", PATIENCE, async || Ok((std::fs::read(&path)? == intact).then_some(()))).await.unwrap();

    // Found by a reader: nothing false is shown, and the file is there a moment later.
    flip(&path, 9);
    let client = client(cluster, REGULATOR);
    let request = FileRequest {
        document: id.parse().unwrap(),
        version: 1,
        field: "text".into(),
        index: 0,
        purpose: "supervision".into(),
    };
    let read = until("it is read", PATIENCE, async || {
        let mut out = Vec::new();
        match client.read_document_file(&request, &mut out).await {
            Ok(_) => Ok(Some(out)),
            Err(error) => {
                assert!(matches!(error.code(), "vault.file_damaged" | "vault.not_here"), "{error}");
                Ok(None)
            }
        }
    });
    assert!(read.await.unwrap() == expected);
    assert!(std::fs::read(&path).unwrap() == intact);
    let found = metric(cluster, REGULATOR, "vouch_vault_damages_total").await.unwrap();
    assert_eq!(found, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_reaches_all_who_are_to_have_it_whatever_breaks() {
    let options = Options { plain_http: true, accounts: 4, idle_interval_ms: 1_000, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    let (person, identities) = prepare(&cluster).await;
    let expected = content();
    let file = cluster.scratch("contract.pdf");
    std::fs::write(&file, &expected).unwrap();
    let record = record(&person, identities, &json!({ "file": "contract.pdf" }));
    what_is_wrong_is_said_before_anything_is_sent(&cluster, &record).await;

    // A program breaks off, its node goes down; another program goes on with what that one noted.
    let resumption = Resumption::new("institution").unwrap();
    a_program_breaks_off(&cluster, &draft(&record, &file), &resumption).await;
    cluster.stop(INSTITUTION).await.unwrap();
    cluster.start_node(INSTITUTION).unwrap();
    cluster.ready(&cluster.all()).await.unwrap();
    let path = write(&cluster, "record.json", &record);
    write(&cluster, "record.json.upload", &json!({ "version": 1, "resumption": resumption }));
    let output = vouch(&cluster, INSTITUTION, &["doc", "submit", &path]).await.success().unwrap();
    assert!(output.stderr.contains("contract.pdf: goes on at "), "{output:?}");
    let submitted = output.json().unwrap();
    let id: DocumentId = submitted["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id, resumption.document);
    let rest = metric(&cluster, INSTITUTION, "vouch_vault_upload_bytes_total").await.unwrap() as u64;
    assert!((1..=vault_bytes() - BROKEN_OFF_AT).contains(&rest), "{rest} were sent after the break");
    let vault = client(&cluster, INSTITUTION).vault().await.unwrap();
    assert_eq!((vault.uploads, vault.upload_bytes), (0, 0), "it is the document's now");
    a_telling_name_is_refused(&cluster, &record).await;

    all_entitled_hold_it(&cluster, id).await;
    let id = id.to_string();
    it_is_read_byte_for_byte(&cluster, &id, &expected).await;
    others_are_refused(&cluster, &id).await;
    a_flipped_byte_is_named_and_repaired(&cluster, &id, &expected).await;

    // A backup has the sealed file, as it lies at the node.
    let backup = cluster.scratch("backup");
    cluster.vouch(ENTERPRISE, &["backup", "create", &backup.display().to_string()]).await.unwrap().success().unwrap();
    let (kept, own) = (blob(&backup.join("vault-files")), blob(&cluster.home(ENTERPRISE).join("vault/files")));
    assert_eq!(kept.file_name(), own.file_name());
    assert!(std::fs::read(kept).unwrap() == std::fs::read(own).unwrap());
}
