//! A month of business in files of every kind, uplinked over four real nodes, killed at ten random points: every row is on the
//! chain exactly once, bad rows are mended and sent.

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use vouch_sdk::{Client, FileRequest, Identity};
use vouch_tests::{
    cluster::{Cluster, Options, metric, until},
    month::{self, CLIENTS, MEMBERS, Month, all_documents, as_many},
};
use vouch_types::document::{Document, Party};
use vouch_uplink::{Journal, journal};

const DOCUMENTS: u64 = 500;
const KILLS: u64 = 10;
const PATIENCE: Duration = Duration::from_secs(60);
/// Replays the kills of a seed that a run printed.
const SEED: &str = "VOUCH_UPLINK_SEED";
/// Documents under way at most in a run that is killed; a power of two.
const UNDER_WAY_MAX: u64 = 32;
/// What an entry adds to the journal's log at least: a page and its head.
const ENTRY_BYTES: u64 = 4_096 + 24;

/// When a run is killed.
#[derive(Debug, Clone, Copy)]
struct Death {
    /// Entries that the run adds to its journal before.
    entries: u64,
    /// And then so much later.
    after: Duration,
    /// Documents that the run may have under way.
    under_way: u64,
}

impl Death {
    /// A point at which a run cannot be through, however fast the machine is: every entry is at most one more document begun, so
    /// that at least half of those that no run has begun are still to come, which are more than may be under way at a time.
    fn draw(random: &mut ChaCha8Rng, not_begun: u64, kills_left: u64, is_first: bool) -> Self {
        let share = not_begun / (kills_left + 1);
        let under_way = (1_u64 << random.random_range(0..=UNDER_WAY_MAX.ilog2())).min(share.max(1));
        // The first of each step at any time from the start on, reading and checking included.
        let (entries, after) =
            if is_first { (0, 0..250_000) } else { (random.random_range(1..=share.max(1)), 0..8_000) };
        Self { entries, after: Duration::from_micros(random.random_range(after)), under_way }
    }
}

/// The journal's log of a state folder: it grows by every entry, as long as nobody closes it.
fn log_bytes(state: &Path) -> u64 {
    std::fs::metadata(state.join(format!("{}-wal", journal::FILE))).map_or(0, |data| data.len())
}

/// Documents that runs have begun, by a copy of the journal: what the kill left must be found by the next run as it is.
fn begun(cluster: &Cluster, state: &Path) -> u64 {
    let copy = cluster.scratch("journal-copy");
    let _ = std::fs::remove_dir_all(&copy);
    std::fs::create_dir(&copy).unwrap();
    for name in [journal::FILE.to_owned(), format!("{}-wal", journal::FILE)] {
        if state.join(&name).exists() {
            std::fs::copy(state.join(&name), copy.join(&name)).unwrap();
        }
    }
    Journal::open(&copy).unwrap().known().unwrap()
}

/// Starts the uplink and kills it; whether it was killed before its end.
async fn killed(cluster: &Cluster, arguments: &[String], state: &Path, death: Death) -> bool {
    let before = log_bytes(state);
    let arguments = [arguments, &["--concurrency".to_owned(), death.under_way.to_string()]].concat();
    let mut child = cluster.program.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let due = async {
        while log_bytes(state) < before + death.entries * ENTRY_BYTES {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(death.after).await;
    };
    tokio::select! {
        status = child.wait() => { status.unwrap(); false }
        () = due => { child.kill().await.unwrap(); true }
    }
}

async fn uplink(cluster: &Cluster, arguments: &[String]) -> (i32, Value) {
    let output = cluster.program.run(arguments).await.unwrap();
    let value = output.json().unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.code, value["sent"].clone())
}

/// A mapping of nothing would look like an answer.
async fn nothing_is_guessed_from_what_cannot_be_read(cluster: &Cluster) {
    let (path, key) = (cluster.scratch("broken.csv"), cluster.account_path(1));
    std::fs::write(&path, "name,mobile\n\"a,1\n").unwrap();
    let path = path.display().to_string();
    let guess = ["--json", "doc", "uplink", &path, "--guess", "--schema", "worker-identity", "--key", &key];
    let output = cluster.vouch(1, &guess).await.unwrap();
    let code = output.problem_code().unwrap();
    assert!(output.code == 3 && code.starts_with("uplink."), "{output:?}");
    assert_eq!(output.stdout, "", "{output:?}");
}

/// Rows that are no documents: one with a wrong date, one that a spreadsheet would run.
fn spoil(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let line: Vec<&str> = text.lines().nth(1).unwrap().split(';').collect();
    let row = |number: &str, column: usize, value: &str| {
        let mut cells = line.clone();
        (cells[0], cells[column]) = (number, value);
        cells.join(";")
    };
    let bad = [row("FK-BAD-1", 5, "someday"), row("FK-BAD-2", 6, "=HYPERLINK(A1)")];
    std::fs::write(path, format!("{text}{}\r\n", bad.join("\r\n"))).unwrap();
}

/// What a person does with the file of rejected rows.
async fn mend(cluster: &Cluster, month: &Month, step: usize) {
    let rejected = month.path(step).join("风控.csv.rejected.csv");
    let text = std::fs::read_to_string(&rejected).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("uplink.date") && text.contains("uplink.formula") && text.contains("'=HYPERLINK"), "{text}");
    let mended = text.replace("someday", "2026-10-30 10:00:00").replace("'=HYPERLINK(A1)", "人工补录");
    std::fs::write(&rejected, mended).unwrap();
    let text = std::fs::read(&rejected).unwrap();
    let (code, sent) = uplink(cluster, &month.arguments(cluster, step, &rejected)).await;
    assert_eq!((code, &sent["sent"], &sent["rejected"]), (0, &json!(2), &json!(0)), "{sent}");
    assert!(std::fs::read(&rejected).unwrap() == text, "what a person mended stays as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_uplinked_exactly_once_whatever_is_killed() {
    let cluster = Cluster::start(Options { accounts: 4, ..Options::default() }).await.unwrap();
    month::found(&cluster).await.unwrap();
    let month = Month::write(&cluster, DOCUMENTS, 11).await.unwrap();
    spoil(&month.folder.join("3-institution/风控.csv"));
    nothing_is_guessed_from_what_cannot_be_read(&cluster).await;
    let seed = std::env::var(SEED).map_or_else(|_| rand::random(), |text| text.parse::<u64>().unwrap());
    println!("{SEED}={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut kills, mut sent_at_last) = (0, 0);
    for step in 0..month.steps.len() {
        let month::Step { folder, member, documents } = &month.steps[step];
        let run = month.arguments(&cluster, step, &month.path(step));
        let state = month::state(&cluster, *member);
        let before = begun(&cluster, &state);
        // Each step is killed its part; the last one, what is left.
        let wanted = KILLS * (step as u64 + 1) / month.steps.len() as u64;
        let first = kills;
        while kills < wanted {
            let not_begun = *documents + before - begun(&cluster, &state);
            let death = Death::draw(&mut random, not_begun, wanted - kills, kills == first);
            let is_hit = killed(&cluster, &run, &state, death).await;
            assert!(is_hit, "{folder}: {death:?} with {not_begun} documents to come, and the run was through");
            kills += 1;
        }
        let (code, sent) = uplink(&cluster, &run).await;
        let bad = if step + 1 == month.steps.len() { 2 } else { 0 };
        assert_eq!(code, if bad > 0 { 3 } else { 0 }, "{folder}: {sent}");
        assert_eq!(sent["rejected"], bad, "{folder}: {sent}");
        assert_eq!(sent["sent"].as_u64().unwrap() + sent["already"].as_u64().unwrap(), *documents, "{folder}: {sent}");
        sent_at_last += sent["sent"].as_u64().unwrap();
        if step == 0 {
            for client in CLIENTS {
                assert!(month::sign(&cluster, client, *documents).await.unwrap() > 0);
            }
        }
    }
    assert_eq!(kills, KILLS);
    println!("{kills} kills; {sent_at_last} of {DOCUMENTS} documents were left for the runs that ended");
    let last = month.steps.len() - 1;
    mend(&cluster, &month, last).await;

    let client = cluster.client(3).unwrap();
    let documents = as_many(&client, DOCUMENTS + 2).await.unwrap();
    assert_eq!(documents.len() as u64, DOCUMENTS + 2);
    let mut schemas: BTreeMap<&str, u64> = BTreeMap::new();
    for document in &documents {
        *schemas.entry(&document.schema).or_default() += 1;
        assert_eq!((document.latest, document.effective), (1, Some(1)), "{document:?}");
    }
    assert_eq!(schemas.len(), 6, "{schemas:?}");
    contracts_came_with_their_texts(&cluster, &month, &documents).await;
    // Once more, everything is there and nothing is sent.
    let run = month.arguments(&cluster, last, &month.path(last));
    let (_, sent) = uplink(&cluster, &run).await;
    assert_eq!((&sent["sent"], &sent["already"]), (&json!(0), &json!(month.steps[last].documents)), "{sent}");
    broken_sources_leave_nothing(&cluster, &month).await;
    assert_eq!(all_documents(&client).await.unwrap().len() as u64, DOCUMENTS + 2);
    a_large_file_goes_on(&cluster, &month).await;
    content_is_compared_with_the_chain(&cluster, &month).await;
    without_its_key_a_run_sends_nothing(&cluster, &month).await;
    known_persons_are_left_out(&cluster).await;
    rows_of_one_number_are_one_document(&cluster).await;
}

fn client(cluster: &Cluster, member: usize) -> Client {
    let mut config = cluster.client_config(&[member]).unwrap();
    config.identity = Some(Identity::new(cluster.account(member).unwrap()));
    config.build().unwrap()
}

/// At the clients' own nodes, byte for byte what lay beside the table.
async fn contracts_came_with_their_texts(cluster: &Cluster, month: &Month, documents: &[Document]) {
    let folder = month.path(0).join("合约");
    let mut names = std::collections::BTreeSet::new();
    for document in documents.iter().filter(|document| document.schema == "service-contract") {
        let version = client(cluster, 1).document_version(document.id, 1).await.unwrap().unwrap();
        let is_of = |member: &&usize| {
            let own = Party::member(MEMBERS[**member]);
            version.content.parties.iter().any(|entry| entry.role == "client" && entry.party == own)
        };
        let reader = client(cluster, *CLIENTS.iter().find(is_of).unwrap());
        let request = FileRequest {
            document: document.id,
            version: 1,
            field: "text".into(),
            index: 0,
            purpose: "performance".into(),
        };
        let (facts, bytes) = until("the text of a contract is at its client's node", PATIENCE, async || {
            let mut bytes = Vec::new();
            Ok(reader.read_document_file(&request, &mut bytes).await.ok().map(|facts| (facts, bytes)))
        })
        .await
        .unwrap();
        assert_eq!(facts.media, "application/pdf");
        assert!(std::fs::read(folder.join(&facts.name)).unwrap() == bytes, "{}", facts.name);
        names.insert(facts.name);
    }
    assert_eq!(names.len(), std::fs::read_dir(&folder).unwrap().count(), "each contract has a text of its own");
}

/// Bytes that a large file has, and that its ciphertext has.
const LARGE_BYTES: usize = 64 << 20;
const LARGE_SEALED: f64 = (32 + LARGE_BYTES + 16 * (LARGE_BYTES >> 16)) as f64;

/// A row with a large file, in an archive, which is taken apart anew by every run: killed in the midst of the file, the next run
/// sends what is left of it.
async fn a_large_file_goes_on(cluster: &Cluster, month: &Month) {
    const RECEIVED: &str = "vouch_vault_upload_bytes_total";
    let path = cluster.scratch("large.zip");
    let head = PERSONS_HEAD;
    let row = "样本,居民身份证,000000000000000001,15400000000,示例省,示例银行,9999990000000000,人脸比对,通过,2026/10/2 9:08,扫描/1.png\n";
    let mut bytes = vec![0; LARGE_BYTES];
    blake3::Hasher::new().update(b"scan").finalize_xof().fill(&mut bytes);
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("人员实名认证.csv", [head, row].concat().as_bytes()), ("扫描/1.png", &bytes)] {
        archive.start_file(name, stored).unwrap();
        std::io::Write::write_all(&mut archive, bytes).unwrap();
    }
    archive.finish().unwrap();
    let run = month.arguments(cluster, 0, &path);
    let before = metric(cluster, 1, RECEIVED).await.unwrap();
    let mut child = cluster.program.command(&run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while metric(cluster, 1, RECEIVED).await.unwrap() - before < LARGE_SEALED / 4.0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    child.kill().await.unwrap();
    let at_kill = metric(cluster, 1, RECEIVED).await.unwrap() - before;
    assert!(at_kill < LARGE_SEALED, "the file was there as a whole");
    let (code, sent) = uplink(cluster, &run).await;
    assert_eq!((code, &sent["sent"]), (0, &json!(1)), "{sent}");
    let received = metric(cluster, 1, RECEIVED).await.unwrap() - before;
    // The piece that was under way when it was killed may have been counted and be sent again.
    assert!((LARGE_SEALED..=LARGE_SEALED + f64::from(4 << 20)).contains(&received), "{received} of {LARGE_SEALED}");
    let (code, sent) = uplink(cluster, &run).await;
    assert_eq!((code, &sent["sent"], &sent["already"]), (0, &json!(0), &json!(1)), "{sent}");
}

const PERSONS_HEAD: &str =
    "姓名,证件类型,证件号码,手机号码,居住地址,开户行,银行卡号,核验方式,核验结果,核验时间,证件影像\n";

fn person(number: u32, mobile: &str) -> String {
    format!("样本,居民身份证,{number:018},{mobile},示例省,示例银行,9999990000000000,人脸比对,通过,2026/10/2 9:08,\n")
}

/// What the chain has of a row is what it was sent with, whatever the journal says or does not say.
async fn content_is_compared_with_the_chain(cluster: &Cluster, month: &Month) {
    let (path, state) = (cluster.scratch("one/人员实名认证.csv"), month::state(cluster, 1));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let run = month.arguments(cluster, 0, &path);
    let write = |mobile: &str| std::fs::write(&path, [PERSONS_HEAD, &person(2, mobile)].concat()).unwrap();
    let told = async || {
        let (code, sent) = uplink(cluster, &run).await;
        (code, ["sent", "already", "rejected"].map(|name| sent[name].as_u64().unwrap()))
    };
    let forget = || {
        for end in ["", "-wal"] {
            let _ = std::fs::remove_file(state.join(format!("{}{end}", journal::FILE)));
        }
    };
    write("15400000000");
    assert_eq!(told().await, (0, [1, 0, 0]));
    let numbers = std::fs::read_to_string(cluster.scratch("1-institution.numbers.csv")).unwrap();
    let id = numbers.lines().find_map(|line| line.strip_prefix("worker-identity,")?.rsplit(',').next()).unwrap();
    let id = id.parse().unwrap();
    // The journal was lost; then it was lost and a run was killed since, with another content.
    for is_begun in [false, true] {
        for (mobile, expected) in [("15400000001", (3, [0, 0, 1])), ("15400000000", (0, [0, 1, 0]))] {
            forget();
            if is_begun {
                Journal::open(&state).unwrap().begin(id, &[9; 32]).unwrap();
            }
            write(mobile);
            assert_eq!(told().await, expected, "{mobile}, begun: {is_begun}");
        }
    }
    let rejected = std::fs::read_to_string(path.with_file_name("人员实名认证.csv.rejected.csv")).unwrap();
    assert!(rejected.contains("uplink.changed"), "{rejected}");
}

/// Ids come from the key: under another one the chain could not tell that it has the rows.
async fn without_its_key_a_run_sends_nothing(cluster: &Cluster, month: &Month) {
    let before = all_documents(&cluster.client(1).unwrap()).await.unwrap().len();
    let source = month.path(0).join("人员实名认证.csv");
    let other = cluster.scratch("elsewhere").display().to_string();
    let mut run = month.arguments(cluster, 0, &source);
    run.retain(|argument| argument != "--new-key");
    let at = run.iter().position(|argument| argument == "--state").unwrap();
    run[at + 1].clone_from(&other);
    let output = cluster.program.run(&run).await.unwrap();
    assert_eq!((output.code, output.problem_code().unwrap().as_str()), (3, "uplink.key"), "{output:?}");
    assert_eq!(all_documents(&cluster.client(1).unwrap()).await.unwrap().len(), before);
    // Looking needs no key, leaves none, and takes away what a killed run left in plain.
    std::fs::create_dir_all(Path::new(&other).join("unpacked-old/below")).unwrap();
    let output = cluster.program.run(&[run, vec!["--preview".into()]].concat()).await.unwrap();
    assert_eq!(output.code, 0, "{output:?}");
    let left: Vec<_> = std::fs::read_dir(&other).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [journal::FILE], "{left:?}");
}

/// A row that registers persons of whom some are known becomes a document, with one person in two places too.
async fn known_persons_are_left_out(cluster: &Cluster) {
    let folder = cluster.scratch("crew");
    std::fs::create_dir(&folder).unwrap();
    let schema = json!({
        "name": "crew", "title_en": "Crew", "title_zh": "班组", "category": "Transaction",
        "fields": [{ "name": "name", "title_en": "Name", "title_zh": "名称", "kind": "Text", "grade": 2, "public": false,
            "required": true, "readers": 15, "about": null }],
        "parties": [
            { "role": "lead", "title_en": "Lead", "title_zh": "组长", "subject": true, "members": 0, "min": 1, "max": 1,
                "owner": true, "recipient": false, "signs": false },
            { "role": "mate", "title_en": "Mate", "title_zh": "组员", "subject": true, "members": 0, "min": 0, "max": 8,
                "owner": false, "recipient": false, "signs": false },
        ],
        "references": [], "retention_days": 0,
        "purposes": [{ "code": "own", "title_en": "Own", "title_zh": "本人", "readers": 3, "grade": 4 }],
    });
    let path = folder.join("schema.json");
    std::fs::write(&path, schema.to_string()).unwrap();
    let (path, admins) = (path.display().to_string(), cluster.admin_paths(4));
    month::said(cluster, 0, &["schema", "register", &path, "--key", &admins]).await.unwrap();
    let mapping = "format = \"vouch-uplink/1\"\n[[map]]\nschema = \"crew\"\nnumber = [\"no\"]\n[map.fields]\nname = \"no\"\n\
        [map.parties]\nlead = { person_from = \"lead\", register = true }\nmate = { person_from = \"mates\", split = \";\", register = true }\n";
    std::fs::write(folder.join("mapping.toml"), mapping).unwrap();
    let source = folder.join("crew.csv");
    std::fs::write(&source, "no,lead,mates\n1,P,\n2,P,Q\n3,R,Q;R;S\n4,S,P;Q\n").unwrap();
    let place = |path: &Path| path.display().to_string();
    let (mapping, state) = (place(&folder.join("mapping.toml")), place(&month::state(cluster, 1)));
    let run =
        ["doc", "uplink", &place(&source), "--mapping", &mapping, "--state", &state, "--yes", "--concurrency", "1"];
    let said = month::said(cluster, 1, &[&run[..], &["--key", &cluster.account_path(1)]].concat()).await.unwrap();
    assert_eq!((&said["sent"]["sent"], &said["sent"]["rejected"]), (&json!(4), &json!(0)), "{said}");
}

/// Rows of one number become one document wherever they stand; a bad one keeps its document back until it is mended.
async fn rows_of_one_number_are_one_document(cluster: &Cluster) {
    let folder = cluster.scratch("together");
    std::fs::create_dir(&folder).unwrap();
    let field = |name: &str, kind: &str| {
        json!({ "name": name, "title_en": name, "title_zh": name, "kind": kind, "grade": 2, "public": false, "required": true,
            "readers": 15, "about": null })
    };
    let role = |name: &str, max: u8| {
        json!({ "role": name, "title_en": name, "title_zh": name, "subject": true, "members": 0, "min": 1, "max": max,
            "owner": max == 1, "recipient": false, "signs": false })
    };
    let schema = json!({
        "name": "shift", "title_en": "Shift", "title_zh": "班次", "category": "Transaction",
        "fields": [field("number", "Text"), field("lines", "Rows")], "parties": [role("lead", 1), role("mate", 8)],
        "references": [], "retention_days": 0,
        "purposes": [{ "code": "own", "title_en": "Own", "title_zh": "本人", "readers": 3, "grade": 4 }],
    });
    let path = folder.join("schema.json");
    std::fs::write(&path, schema.to_string()).unwrap();
    let (path, admins) = (path.display().to_string(), cluster.admin_paths(4));
    month::said(cluster, 0, &["schema", "register", &path, "--key", &admins]).await.unwrap();
    let mapping = "format = \"vouch-uplink/1\"\n[[map]]\nschema = \"shift\"\nnumber = [\"no\"]\n[map.group]\nfield = \"lines\"\n\
        [map.group.line]\ntask = \"task\"\npay = { from = \"pay\", kind = \"Decimal\" }\n[map.fields]\nnumber = \"no\"\n\
        [map.parties]\nlead = { person_from = \"lead\", register = true }\n\
        mate = { person_from = \"mate\", register = true, each = true }\n";
    std::fs::write(folder.join("mapping.toml"), mapping).unwrap();
    let source = folder.join("shifts.csv");
    let lines = "no,lead,mate,task,pay\nS1,P,Q,甲,1.50\nS2,P,Q,乙,2\nS1,P,T,丙,none\nS2,P,Q,丁,3\n";
    std::fs::write(&source, lines).unwrap();
    let place = |path: &Path| path.display().to_string();
    let (mapping, state) = (place(&folder.join("mapping.toml")), place(&month::state(cluster, 1)));
    let told_with = async |source: &Path, more: &[&str]| {
        let (source, home, key) = (place(source), place(&cluster.home(1)), cluster.account_path(1));
        let run = ["--json", "doc", "uplink", &source, "--mapping", &mapping, "--state", &state, "--home", &home];
        let run = [&run[..], &["--key", &key, "--yes"], more].concat();
        let run: Vec<String> = run.into_iter().map(str::to_owned).collect();
        let (code, sent) = uplink(cluster, &run).await;
        (code, ["sent", "already", "rejected"].map(|name| sent[name].as_u64().unwrap()))
    };
    let told = async |source: &Path| told_with(source, &[]).await;
    assert_eq!(told(&source).await, (3, [1, 0, 2]));
    let rejected = folder.join("shifts.csv.rejected.csv");
    let text = std::fs::read_to_string(&rejected).unwrap();
    assert!(text.lines().count() == 3 && text.contains("line 4, column 5 (pay)") && !text.contains("S2"), "{text}");
    std::fs::write(&rejected, text.replace("none", "4")).unwrap();
    assert_eq!(told(&rejected).await, (0, [1, 0, 0]));
    std::fs::write(&source, lines.replace("none", "4")).unwrap();
    assert_eq!(told(&source).await, (0, [0, 2, 0]));
    // A line more is another content: told with its field, and a new version of the whole document where that is wanted.
    std::fs::write(&source, format!("{}S1,P,Q,戊,5\n", lines.replace("none", "4"))).unwrap();
    assert_eq!(told(&source).await, (3, [0, 1, 3]));
    let text = std::fs::read_to_string(folder.join("shifts.csv.rejected.2.csv")).unwrap();
    assert!(text.contains("version 1: lines") && !text.contains("S2"), "{text}");
    assert_eq!(told_with(&source, &["--changed", "version"]).await, (0, [1, 1, 0]));
    assert_eq!(told(&source).await, (0, [0, 2, 0]));
    let documents = all_documents(&cluster.client(1).unwrap()).await.unwrap();
    let shifts: Vec<&Document> = documents.iter().filter(|document| document.schema == "shift").collect();
    let mut parties = Vec::new();
    for shift in &shifts {
        let version = client(cluster, 1).document_version(shift.id, 1).await.unwrap().unwrap();
        parties.push(version.content.parties.len());
    }
    parties.sort_unstable();
    assert_eq!(parties, [2, 3], "one mate of two rows, and one of each");
    let mut latest: Vec<u32> = shifts.iter().map(|shift| shift.latest).collect();
    latest.sort_unstable();
    assert_eq!(latest, [1, 2]);
}

/// A source that cannot be read to its end sends nothing, with code and place.
async fn broken_sources_leave_nothing(cluster: &Cluster, month: &Month) {
    let head = "风控编号;证件号码;规则;等级;评分;识别时间;事实;措施;申诉期限;结案;相关交易\n";
    for (bytes, code) in [
        (Vec::new(), "uplink.empty"),
        ([head.as_bytes(), b"1;\"open\n"].concat(), "uplink.format"),
        ("风控编号;证件号码\n1;2\n".as_bytes().to_vec(), "uplink.mapping"),
    ] {
        let path = cluster.scratch("风控.csv");
        std::fs::write(&path, bytes).unwrap();
        let output = cluster.program.run(&month.arguments(cluster, 3, &path)).await.unwrap();
        assert_eq!((output.code, output.problem_code().unwrap().as_str()), (3, code), "{output:?}");
    }
    // Nobody is asked where nobody can answer.
    let source = month.path(3).join("风控.csv");
    let asking: Vec<String> =
        month.arguments(cluster, 3, &source).into_iter().filter(|argument| argument != "--yes").collect();
    // Everything is there already, so nobody has to be asked.
    let output = cluster.program.run(&asking).await.unwrap();
    assert_eq!(output.json().unwrap()["sent"]["sent"], 0, "{output:?}");
    // Under another key all of it is new.
    let mut asking = asking;
    let at = asking.iter().position(|argument| argument == "--state").unwrap();
    asking[at + 1] = cluster.scratch("asked").display().to_string();
    let output = cluster.program.run(&asking).await.unwrap();
    assert_eq!(output.problem_code().unwrap(), "uplink.unconfirmed", "{output:?}");
    let preview: Vec<String> = [asking, vec!["--preview".into()]].concat();
    let output = cluster.program.run(&preview).await.unwrap();
    assert_eq!(output.json().unwrap()["summary"]["rejected"], 2, "{output:?}");
}
