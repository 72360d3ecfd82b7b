//! A large file from a member's record to another member's disk, and what one flipped byte comes to, in the file and in the sealed
//! value of a field: how it is named, and after how long.

use std::{
    io::Write as _,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rand::{RngCore as _, SeedableRng as _};
use serde_json::{Value, json};
use vouch_ledger::{Batch, Durability, Storage as _, Table, View as _};
use vouch_sdk::{Client, Identity};
use vouch_store::{RocksStore, StoreOptions};
use vouch_types::{api::FILE_GROUP_BYTES as GROUP_BYTES, document::DocumentId};

use super::{Figure, Scale};
use crate::cluster::{Cluster, Options, until};

const ENTERPRISE: usize = 2;
const REGULATOR: usize = 3;

/// Longest that any one step may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// A check of everything that a node holds names what is damaged within this time.
const NAMED_S_MAX: f64 = 10.0;
/// Between two looks at a program's memory.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What one member's nodes may fetch from another: enough that the machine is the bound.
const SERVE_MIB_PER_SECOND: u64 = 512;

/// What a command did and used.
struct Ran {
    code: i32,
    stdout: String,
    seconds: f64,
    resident_mib: f64,
}

/// The most memory a process had so far; 0 once it is gone.
fn peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

async fn vouch(cluster: &Cluster, member: usize, arguments: &[&str]) -> Result<Ran> {
    let (home, key) = (cluster.home(member).display().to_string(), cluster.account_path(member));
    let all = ["--home", &home, "--json"].into_iter().chain(arguments.iter().copied()).chain(["--key", &key]);
    let begun = Instant::now();
    let mut command = cluster.program.command(all);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("vouch")?;
    let pid = child.id().context("a program without a number")?;
    let ended = child.wait_with_output();
    tokio::pin!(ended);
    let mut resident_mib: f64 = 0.0;
    let output = loop {
        tokio::select! {
            output = &mut ended => break output?,
            () = tokio::time::sleep(LOOK_EVERY) => resident_mib = resident_mib.max(peak_mib(pid)),
        }
        ensure!(begun.elapsed() < PATIENCE, "{arguments:?} does not end");
    };
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        seconds: begun.elapsed().as_secs_f64(),
        resident_mib,
    };
    // A check that found damage ends with 6.
    if !matches!(ran.code, 0 | 6) {
        bail!("{arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(ran)
}

async fn value_of(cluster: &Cluster, member: usize, arguments: &[&str]) -> Result<Value> {
    serde_json::from_str(&vouch(cluster, member, arguments).await?.stdout).context("no JSON")
}

/// Random bytes; the same for the same length.
fn make_file(path: &Path, bytes: u64) -> Result<()> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(bytes);
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut block = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        rng.fill_bytes(&mut block);
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        file.write_all(&block[..now])?;
        left -= now as u64;
    }
    Ok(file.flush()?)
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    let hash = |path: &Path| -> Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
        Ok(hasher.finalize())
    };
    Ok(hash(one)? == hash(other)?)
}

/// The ciphertext of the file at a node.
fn blob(home: &Path, at_least: u64) -> Result<PathBuf> {
    for folder in std::fs::read_dir(home.join("vault/files"))? {
        let folder = folder?.path();
        for file in folder.is_dir().then(|| std::fs::read_dir(&folder)).transpose()?.into_iter().flatten() {
            let path = file?.path();
            if path.extension().is_some_and(|end| end == "data") && std::fs::metadata(&path)?.len() >= at_least {
                return Ok(path);
            }
        }
    }
    bail!("there is no such file in {}", home.display())
}

fn byte_at(path: &Path, at: u64) -> Result<u8> {
    let mut byte = [0];
    std::fs::File::open(path)?.read_exact_at(&mut byte, at)?;
    Ok(byte[0])
}

/// Changes a byte; gives back what it was.
fn flip(path: &Path, at: u64) -> Result<u8> {
    let intact = byte_at(path, at)?;
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&[intact ^ 1], at)?;
    file.sync_all()?;
    Ok(intact)
}

/// The regulator's account at its node.
fn regulator(cluster: &Cluster) -> Result<Client> {
    let mut config = cluster.client_config(&[REGULATOR])?;
    config.identity = Some(Identity::new(cluster.account(REGULATOR)?));
    Ok(config.build()?)
}

async fn slot_of(client: &Client, field: &str) -> Result<u16> {
    let fields = client.schema("enterprise-identity", None).await?.context("the schema")?.definition.fields;
    let slot = fields.iter().position(|known| known.name == field).context("the field")?;
    Ok(u16::try_from(slot)?)
}

/// Waits until the regulator's node holds a field, with its file whole if it names one.
async fn arrives(client: &Client, id: DocumentId, slot: u16) -> Result<()> {
    until("the regulator has the field", PATIENCE, async || {
        let holding = client.document_holding(id, 1).await.ok();
        Ok(holding.filter(|holding| holding.fields.contains(slot)))
    })
    .await?;
    Ok(())
}

/// Where in a copy's row the sealed value of a slot is: a text, then the slots, each a leaf of 32 bytes, value and rows; texts,
/// values and the count of slots have their lengths before them.
fn sealed_value(row: &[u8], slot: u16) -> Option<Range<usize>> {
    let length = |at: usize| Some(u64::from_le_bytes(*row.get(at..)?.first_chunk()?) as usize);
    let mut at = 8 + length(0)? + 8;
    for _ in 0..slot {
        at += 32;
        at += 8 + length(at)?;
        at += 8 + length(at)?;
    }
    let begins = at + 32 + 8;
    let range = begins..begins + length(at + 32)?;
    row.get(range.clone()).map(|_| range)
}

/// One byte of a value's ciphertext is another one while the node is stopped, in the database and with its checksums in order:
/// seconds from the node's start until it names the field, and until it has it again.
async fn check_value(cluster: &mut Cluster, id: &str, field: &str) -> Result<(f64, f64)> {
    let slot = slot_of(&regulator(cluster)?, field).await?;
    let document: DocumentId = id.parse()?;
    cluster.stop(REGULATOR).await?;
    let store = RocksStore::open(cluster.home(REGULATOR).join("data"), StoreOptions::default())?;
    let rows = store.scan(Table::VaultCopies, document.as_bytes(), None, 1)?;
    let (key, mut row) =
        rows.into_iter().next().filter(|(key, _)| key.starts_with(document.as_bytes())).context("no copy")?;
    let value = sealed_value(&row, slot).filter(|range| !range.is_empty()).context("no value")?;
    row[value.start + value.len() / 2] ^= 1;
    let mut batch = Batch::new();
    batch.put(Table::VaultCopies, key, row);
    store.write(batch, Durability::Synced)?;
    drop(store);
    let logged = cluster.log(REGULATOR).len();
    let begun = Instant::now();
    cluster.start_node(REGULATOR)?;
    // A node looks through what it holds as soon as it is up.
    let place = format!("Field({slot})");
    let is_named = |log: &str| log.get(logged..).is_some_and(|new| new.lines().any(|line| line.contains(&place)));
    until("the log names the field", PATIENCE, async || Ok(is_named(&cluster.log(REGULATOR)).then_some(()))).await?;
    let named = begun.elapsed().as_secs_f64();
    arrives(&regulator(cluster)?, document, slot).await?;
    let repaired = begun.elapsed().as_secs_f64();
    let again = value_of(cluster, REGULATOR, &["doc", "check"]).await?;
    ensure!(again["damages"] == json!([]), "after the repair it is {again}");
    Ok((named, repaired))
}

/// Submits an identity of the enterprise with a scan of this length; gives back its id.
async fn submit(cluster: &Cluster, figure: &mut Figure, file: &Path, mib: f64) -> Result<String> {
    let record = json!({
        "schema": "enterprise-identity", "parties": { "enterprise": "enterprise" },
        "values": { "name": "Riverside Foods", "credit_code": "91120116MA05X1A2B3", "legal_representative": "Wang Ceshi",
            "representative_id_number": "11010519491231002X", "contact_mobile": "13800138000",
            "bank_account": "6222020200112233445", "result": "passed", "verified_at": "2026-11-26T09:00:00+08:00",
            "licence_scan": { "file": file, "media": "application/octet-stream" } },
    });
    let path = cluster.scratch("record.json");
    std::fs::write(&path, record.to_string())?;
    let ran = vouch(cluster, ENTERPRISE, &["doc", "submit", &path.display().to_string()]).await?;
    figure.set("submitted_s", ran.seconds);
    figure.set("submitted_per_second_mib", mib / ran.seconds);
    figure.at_most("client_memory_submitting_mib", ran.resident_mib, 128.0);
    let submitted: Value = serde_json::from_str(&ran.stdout)?;
    Ok(submitted["id"].as_str().context("an id")?.to_owned())
}

/// Flips a byte, has the node check what lies there, and waits until it is what it was: seconds until it is named, and until
/// it is repaired.
async fn check(cluster: &Cluster, id: &str, path: &Path, at: u64) -> Result<(f64, f64)> {
    let intact = flip(path, at)?;
    let begun = Instant::now();
    let ran = vouch(cluster, REGULATOR, &["doc", "check"]).await?;
    let found: Value = serde_json::from_str(&ran.stdout)?;
    let from = at / GROUP_BYTES * GROUP_BYTES;
    let damage = &found["damages"][0];
    let named = json!([damage["document"], damage["version"], damage["field"], damage["bytes"]]);
    let expected = json!([id, 1, "licence_scan", [from, from + GROUP_BYTES]]);
    ensure!(found["damages"].as_array().map(Vec::len) == Some(1) && named == expected, "it was named {found}");
    until("it is repaired", PATIENCE, async || Ok((byte_at(path, at)? == intact).then_some(()))).await?;
    Ok((ran.seconds, begun.elapsed().as_secs_f64()))
}

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let mib = scale.of(1024, 48);
    let bytes = mib << 20;
    let beside = "four nodes and the client share the machine";
    let mut files = Figure::new("performance-files", "flip", beside);
    let mut flips = Figure::new("reliability-flip", "flip", beside);
    let options = Options { plain_http: true, accounts: 4, ..Options::default() };
    let mut cluster = Cluster::make(options).await?;
    for node in cluster.all() {
        cluster.configure(node, "serve_mib_per_second", SERVE_MIB_PER_SECOND)?;
    }
    cluster.start_all()?;
    cluster.ready(&cluster.all()).await?;
    let (dir, contracts) = (cluster.dir().display().to_string(), cluster.program.contracts.display().to_string());
    let schemas = ["--json", "dev", "schemas", "--dir", &dir, "--contracts", &contracts];
    cluster.vouch(0, &schemas).await?.success()?;
    value_of(&cluster, REGULATOR, &["relation", "begin", "regulates", "regulator", "everyone"]).await?;

    let file = cluster.scratch("scan.bin");
    make_file(&file, bytes)?;
    files.set("file_mib", mib as f64);
    let id = submit(&cluster, &mut files, &file, mib as f64).await?;
    let begun = Instant::now();
    let client = regulator(&cluster)?;
    arrives(&client, id.parse()?, slot_of(&client, "licence_scan").await?).await?;
    files.set("delivered_after_s", begun.elapsed().as_secs_f64());

    let out = cluster.scratch("read.bin");
    let read = ["doc", "file", &id, "licence_scan", "--purpose", "supervision", "--out"];
    let to = out.display().to_string();
    let ran = vouch(&cluster, REGULATOR, &[&read[..], &[&to]].concat()).await?;
    ensure!(same(&file, &out)?, "another content was read");
    std::fs::remove_file(&out)?;
    files.set("read_s", ran.seconds);
    files.set("read_per_second_mib", mib as f64 / ran.seconds);
    files.at_most("client_memory_reading_mib", ran.resident_mib, 128.0);
    for (name, node) in [("issuer", ENTERPRISE), ("holder", REGULATOR)] {
        let most = peak_mib(cluster.process(node)?.id());
        files.at_most(&format!("node_memory_{name}_mib"), most, 256.0);
    }

    let path = blob(&cluster.home(REGULATOR), bytes)?;
    flips.set("file_mib", mib as f64);
    flips.at_most("located_to_bytes", GROUP_BYTES as f64, GROUP_BYTES as f64);
    let (named_s, repaired_s) = check(&cluster, &id, &path, bytes / 3 * 2).await?;
    flips.at_most("check_names_it_s", named_s, NAMED_S_MAX);
    flips.set("repaired_after_s", repaired_s);

    // The same under a reader: the node shows nothing false and names it; the command goes on once it is repaired.
    flip(&path, bytes / 2)?;
    let ran = vouch(&cluster, REGULATOR, &[&read[..], &[&to]].concat()).await?;
    ensure!(same(&file, &out)?, "another content was read");
    flips.set("read_past_it_s", ran.seconds);
    let log = cluster.log(REGULATOR);
    let from = bytes / 2 / GROUP_BYTES * GROUP_BYTES;
    ensure!(log.contains(&format!("from: {from}, to: {}", from + GROUP_BYTES)), "the log does not name the place");

    let (named_s, repaired_s) = check_value(&mut cluster, &id, "legal_representative").await?;
    flips.at_most("value_named_after_start_s", named_s, NAMED_S_MAX);
    flips.set("value_repaired_after_start_s", repaired_s);
    Ok(vec![files, flips])
}
