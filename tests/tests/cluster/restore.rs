//! A holder of private documents loses its database and half a file: a backup brings back what it held, with the sealed files and
//! from its own chain alone; what was erased since stays erased.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use vouch_tests::cluster::{Cluster, Options, same_root, until};

use super::{
    documents::{ENTERPRISE, REGULATOR, client, done, file, refused, vouch},
    recover::copy_folder,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Slot of the field with the file.
const SCAN: u16 = 1;
/// Contents of the two files.
const KEPT_BYTES: usize = (3 << 20) + 77;
const ERASED_BYTES: usize = (1 << 20) + 5;

/// An enterprise's own papers, with no term that keeps them.
fn schema() -> Value {
    let field = |name: &str, kind: &str, required: bool| {
        json!({ "name": name, "title_en": name, "title_zh": "字段", "kind": kind, "grade": 2, "public": false,
            "required": required, "readers": 15, "about": null })
    };
    let purpose = |code: &str, readers: u8| json!({ "code": code, "title_en": code, "title_zh": "用途", "readers": readers, "grade": 4 });
    json!({
        "name": "own-paper", "title_en": "Own paper", "title_zh": "自有文件", "category": "Identity",
        "fields": [field("title", "Text", true), field("scan", "Attachment", false)],
        "parties": [{ "role": "enterprise", "title_en": "Enterprise", "title_zh": "企业", "subject": false, "members": 5,
            "min": 1, "max": 1, "owner": true, "recipient": false, "signs": false }],
        "references": [], "purposes": [purpose("supervision", 8), purpose("own", 1)], "retention_days": 0,
    })
}

fn content(seed: &[u8], bytes: usize) -> Vec<u8> {
    let mut made = vec![0; bytes];
    blake3::Hasher::new().update(seed).finalize_xof().fill(&mut made);
    made
}

/// Length of a file's ciphertext: a head, and a tag for each segment of 64 KiB.
fn sealed_bytes(bytes: usize) -> u64 {
    let bytes = bytes as u64;
    32 + bytes + 16 * bytes.div_ceil(64 << 10)
}

/// The sealed file of that content in a folder of files.
fn sealed(folder: &Path, bytes: usize) -> Option<PathBuf> {
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut found = files.filter(|path| {
        path.extension().is_some_and(|end| end == "data") && fs::metadata(path).unwrap().len() == sealed_bytes(bytes)
    });
    found.next()
}

/// The enterprise puts a paper with a file on the chain; the regulator comes to hold it.
async fn submitted(cluster: &Cluster, name: &str, bytes: usize) -> String {
    let pdf = format!("{name}.pdf");
    fs::write(cluster.scratch(&pdf), content(name.as_bytes(), bytes)).unwrap();
    let record = json!({ "schema": "own-paper", "parties": { "enterprise": "enterprise" },
        "values": { "title": name, "scan": { "file": pdf } } });
    let path = file(cluster, &format!("{name}.json"), &record);
    let id = done(cluster, ENTERPRISE, &["doc", "submit", &path]).await["id"].as_str().unwrap().to_owned();
    holds(cluster, &id).await;
    id
}

async fn holds(cluster: &Cluster, id: &str) {
    let (client, id) = (client(cluster, REGULATOR), id.parse().unwrap());
    until("the regulator holds it with its file", PATIENCE, async || {
        let holding = client.document_holding(id, 1).await.ok();
        Ok(holding.filter(|holding| holding.fields.contains(SCAN)))
    })
    .await
    .unwrap();
}

async fn is_read_whole(cluster: &Cluster, id: &str, name: &str, bytes: usize) {
    let out = cluster.scratch(&format!("read-{name}.pdf"));
    let path = out.display().to_string();
    done(cluster, REGULATOR, &["doc", "file", id, "scan", "--purpose", "supervision", "--out", &path]).await;
    assert!(fs::read(&out).unwrap() == content(name.as_bytes(), bytes), "byte for byte");
}

/// A lost and a changed file of a backup are named, whoever checks it.
async fn faults_are_named(cluster: &Cluster, backup: &Path) {
    let copy = cluster.scratch("spoiled");
    copy_folder(backup, &copy);
    let (kept, erased) = (
        sealed(&copy.join("vault-files"), KEPT_BYTES).unwrap(),
        sealed(&copy.join("vault-files"), ERASED_BYTES).unwrap(),
    );
    fs::remove_file(&erased).unwrap();
    let mut bytes = fs::read(&kept).unwrap();
    bytes[KEPT_BYTES / 2] ^= 1;
    fs::write(&kept, bytes).unwrap();
    let checked = cluster.vouch(REGULATOR, &["backup", "verify", &copy.display().to_string()]).await.unwrap();
    assert_eq!(checked.code, 3, "{checked:?}");
    for (path, what) in [(kept, "was changed"), (erased, "is missing")] {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(checked.stderr.contains(&format!("{name} {what}")), "{checked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_brings_back_what_was_held_and_nothing_that_was_erased() {
    let options = Options { plain_http: true, accounts: 4, idle_interval_ms: 1_000, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    let (dir, contracts) = (cluster.dir().display().to_string(), cluster.program.contracts.display().to_string());
    let made = ["--json", "dev", "schemas", "--dir", &dir, "--contracts", &contracts];
    cluster.vouch(0, &made).await.unwrap().success().unwrap();
    let (path, admins) = (file(&cluster, "schema.json", &schema()), cluster.admin_paths(4));
    let voted = cluster.vouch(0, &["--json", "schema", "register", &path, "--key", &admins]).await.unwrap();
    voted.success().unwrap();
    done(&cluster, REGULATOR, &["relation", "begin", "regulates", "regulator", "everyone"]).await;
    let kept = submitted(&cluster, "kept", KEPT_BYTES).await;
    let erased = submitted(&cluster, "erased", ERASED_BYTES).await;

    let backup = cluster.scratch("backup");
    let path = backup.display().to_string();
    let made = cluster.vouch(REGULATOR, &["--json", "backup", "create", &path]).await.unwrap().success().unwrap();
    let made = made.json().unwrap();
    assert_eq!((&made["files"], &made["lacking"]), (&json!(4), &json!([])), "{made}");
    cluster.vouch(REGULATOR, &["backup", "verify", &path]).await.unwrap().success().unwrap();
    faults_are_named(&cluster, &backup).await;

    // Then one of the two is erased everywhere.
    done(&cluster, ENTERPRISE, &["doc", "erase", &erased]).await;
    until("all holders attest", PATIENCE, async || {
        let shown = cluster.vouch(0, &["--json", "doc", "show", &erased]).await?.success()?.json()?;
        Ok((shown["document"]["erasure"] == "Erased").then_some(()))
    })
    .await
    .unwrap();
    let files = cluster.home(REGULATOR).join("vault/files");
    assert_eq!(sealed(&files, ERASED_BYTES), None);

    // The database is lost, and of the other one's file all but the beginning.
    cluster.stop(REGULATOR).await.unwrap();
    cluster.wipe(REGULATOR).unwrap();
    let own = sealed(&files, KEPT_BYTES).unwrap();
    let whole = fs::read(&own).unwrap();
    fs::write(&own, &whole[..100_000]).unwrap();
    let restored = cluster.vouch(REGULATOR, &["--json", "backup", "restore", &path]).await.unwrap().success().unwrap();
    let restored = restored.json().unwrap();
    assert_eq!((&restored["files"], &restored["lacking"]), (&json!(4), &json!([])), "{restored}");
    assert!(fs::read(&own).unwrap() == whole, "from the backup: no node runs here");
    assert!(sealed(&files, ERASED_BYTES).is_some(), "ciphertext without its key");

    cluster.start_node(REGULATOR).unwrap();
    cluster.ready(&cluster.all()).await.unwrap();
    holds(&cluster, &kept).await;
    is_read_whole(&cluster, &kept, "kept", KEPT_BYTES).await;
    let read = ["doc", "read", &erased, "--purpose", "supervision"];
    assert_eq!(refused(&cluster, REGULATOR, &read).await, "vault.erased");
    let out = cluster.scratch("none.pdf").display().to_string();
    let read = ["doc", "file", &erased, "scan", "--purpose", "supervision", "--out", &out];
    assert_eq!(refused(&cluster, REGULATOR, &read).await, "vault.erased");
    let gone = async || Ok(sealed(&files, ERASED_BYTES).is_none().then_some(()));
    until("what came back of the erased one goes again", PATIENCE, gone).await.unwrap();
    let check = vouch(&cluster, REGULATOR, &["doc", "check"]).await.success().unwrap().json().unwrap();
    assert_eq!(check["damages"], json!([]));
    let head = cluster.status(0).await.unwrap().head;
    cluster.reach(REGULATOR, head, PATIENCE).await.unwrap();
    same_root(&cluster, &cluster.all(), head).await.unwrap();
}
