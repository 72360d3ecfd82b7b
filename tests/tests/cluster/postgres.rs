//! A PostgreSQL server as a source: a real server, read exactly and only read; a killed uplink of it goes on, a later one begins
//! where the last one ended.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use vouch_test_postgres::PostgresServer;
use vouch_tests::{
    cluster::{Cluster, Options},
    month::{self, all_documents},
};
use vouch_uplink::{
    Node, Reader, discover,
    source::{Broken, ReadOptions},
};

/// Records, or the code and text of what is wrong with one or all of them.
type Told = Vec<Result<Vec<Node>, (&'static str, String)>>;

fn read(path: &Path, query: &str, options: ReadOptions) -> Told {
    let told = |fault: vouch_uplink::Fault| (fault.code, fault.to_string());
    let found = discover(path, path.parent().unwrap()).unwrap();
    let options = ReadOptions { query: Some(query.into()), ..options };
    let reader = match Reader::open(&found[0], &options) {
        Ok(reader) => reader,
        Err(fault) => return vec![Err(told(fault))],
    };
    let told = |item| match item {
        Ok(vouch_uplink::Record { values, .. }) => Ok(values),
        Err(Broken::Row(_, fault) | Broken::Stop(fault)) => Err(told(fault)),
    };
    reader.map(told).collect()
}

fn numbers(digits: &[&str]) -> Told {
    digits.iter().map(|digits| Ok(vec![Node::Number((*digits).to_owned())])).collect()
}

fn code(told: &Told) -> &'static str {
    told.last().unwrap().as_ref().unwrap_err().0
}

const TABLES: &str = "
    CREATE ROLE reader LOGIN PASSWORD 'right';
    CREATE TABLE orders (
        id bigint PRIMARY KEY, amount numeric, small real, paid timestamptz, local timestamp, day date, ok boolean, note text,
        extra jsonb, kept json, list int[], gap interval, doc bytea
    );
    INSERT INTO orders VALUES
        (9007199254740993, 12345678901234567890123456789.012345678901234567890, 0.1, '2026-11-02 09:00:00.123456+08',
         '2026-11-02 09:00:00', '2026-11-02', true, E'张三 \"引\" \\\\ \\n二', '{\"b\": [1.50, null]}', '{\"z\": 1, \"a\": {}}', '{3,1}',
         '1 hour', '\\x00ff'),
        (9007199254740994, 'NaN', 'Infinity', NULL, NULL, NULL, false, '', NULL, NULL, NULL, NULL, NULL);
    CREATE SEQUENCE taken;
    GRANT SELECT ON orders TO reader;
    GRANT ALL ON SEQUENCE taken TO reader;";

#[test]
fn rows_are_read_exactly_and_nothing_is_changed() {
    let server = PostgresServer::start().unwrap();
    server.sql(TABLES).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("erp.postgres.toml");
    for over_tls in [false, true] {
        server.connection_file(&path, "reader", "right", over_tls).unwrap();
        let query = "SELECT amount, small, paid, local, day, ok, note, extra, kept, list, gap FROM orders ORDER BY id;";
        let rows = read(&path, query, ReadOptions::default());
        let (text, number) = (|text: &str| Node::Text(text.into()), |text: &str| Node::Number(text.into()));
        let map = |name: &str, node| (name.to_owned(), node);
        let exact = vec![
            number("12345678901234567890123456789.012345678901234567890"),
            number("0.1"),
            text("2026-11-02T01:00:00.123456+00:00"),
            text("2026-11-02T09:00:00"),
            text("2026-11-02"),
            Node::Bool(true),
            text("张三 \"引\" \\ \n二"),
            Node::Map(vec![map("b", Node::List(vec![number("1.50"), Node::Null]))]),
            Node::Map(vec![map("z", number("1")), map("a", Node::Map(Vec::new()))]),
            Node::List(vec![number("3"), number("1")]),
            text("PT1H"),
        ];
        assert_eq!(rows[0], Ok(exact));
        let second = rows[1].as_ref().unwrap();
        assert_eq!(second[..3], [text("NaN"), text("Infinity"), Node::Null]);
        assert_eq!(second[5..7], [Node::Bool(false), text("")]);
        assert!(second[3..5].iter().chain(&second[7..]).all(|node| *node == Node::Null), "{second:?}");
    }
    watermarks_take_the_type_of_their_column(&path);
    more_rows_than_come_at_a_time(&path);
    what_is_refused_has_a_code(&path, &server);
    assert_eq!(server.sql("SELECT count(*), (SELECT is_called FROM taken) FROM orders").unwrap().trim(), "2|f");
}

fn watermarks_take_the_type_of_their_column(path: &Path) {
    let after = |column: &str, mark: Option<&str>| ReadOptions {
        watermark: Some(column.into()),
        after: mark.map(str::to_owned),
        ..ReadOptions::default()
    };
    let query =
        |column: &str| format!("SELECT {column} FROM orders WHERE :after IS NULL OR {column} > :after ORDER BY 1");
    let all = ["9007199254740993", "9007199254740994"];
    assert_eq!(read(path, &query("id"), after("id", None)), numbers(&all));
    assert_eq!(read(path, &query("id"), after("id", Some(all[0]))), numbers(&all[1..]));
    let paid = read(path, &query("paid"), after("paid", Some("2026-11-02T01:00:00.123455+00:00")));
    assert_eq!(paid, [Ok(vec![Node::Text("2026-11-02T01:00:00.123456+00:00".into())])]);
    assert_eq!(read(path, &query("paid"), after("paid", Some("2026-11-02T01:00:00.123456+00:00"))), []);
    assert_eq!(code(&read(path, &query("id"), after("other", Some("1")))), "uplink.mapping");
    // A mark that is none of the column's values is not said again: it may be a value.
    let wrong = read(path, &query("id"), after("id", Some("张三")));
    assert!(code(&wrong) == "uplink.database" && !format!("{wrong:?}").contains("张三"), "{wrong:?}");
}

fn more_rows_than_come_at_a_time(path: &Path) {
    for count in [0_u64, 199, 200, 201, 1_000] {
        let expected: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let rows = read(path, &format!("SELECT n FROM generate_series(1, {count}) n -- all"), ReadOptions::default());
        assert_eq!(rows, numbers(&expected));
    }
}

fn what_is_refused_has_a_code(path: &Path, server: &PostgresServer) {
    let code_of = |query: &str| code(&read(path, query, ReadOptions::default()));
    for (query, expected) in [
        ("DELETE FROM orders", "uplink.mapping"),
        ("DELETE FROM orders RETURNING id", "uplink.database"),
        ("SELECT nextval('taken')", "uplink.database"),
        ("SELECT set_config('transaction_read_only', 'off', false), nextval('taken')", "uplink.database"),
        ("SELECT 1 AS a) x; DELETE FROM orders; SELECT * FROM (SELECT 1", "uplink.database"),
        ("SELECT nothing FROM orders", "uplink.database"),
        ("SELECT $1::int AS a", "uplink.mapping"),
        ("SELECT 1 AS a, 2 AS a", "uplink.head"),
        ("SELECT doc FROM orders", "uplink.mapping"),
        ("SELECT 1 / (id - id) FROM orders", "uplink.database"),
        ("SELECT repeat('x', 9 << 20) AS long", "uplink.too_long"),
    ] {
        assert_eq!(code_of(query), expected, "{query}");
    }
    let told = read(path, "SELECT note::int FROM orders", ReadOptions::default());
    assert!(code(&told) == "uplink.database" && !format!("{told:?}").contains('张'), "{told:?}");
    // A row that cannot be taken is told, and the next one is read.
    let nested = format!("SELECT {}1{} AS a UNION ALL SELECT 'good'", "jsonb_build_array(".repeat(40), ")".repeat(40));
    let told = read(path, &nested.replace("'good'", "'\"good\"'::jsonb"), ReadOptions::default());
    assert_eq!((told[0].as_ref().unwrap_err().0, told[1].is_ok()), ("uplink.too_deep", true), "{told:?}");

    let connected = |user: &str, password: &str, change: fn(&mut String)| {
        let other = path.with_file_name("other.postgres.toml");
        server.connection_file(&other, user, password, true).unwrap();
        let mut text = fs::read_to_string(&other).unwrap();
        change(&mut text);
        fs::write(&other, text).unwrap();
        let told = read(&other, "SELECT 1", ReadOptions::default());
        assert!(!format!("{told:?}").contains(password), "{told:?}");
        told.last().unwrap().clone().err().map(|(code, _)| code)
    };
    let refused = Some("uplink.connection");
    assert_eq!(connected("reader", "right", |_| ()), None);
    assert_eq!(connected("reader", "wrong-one", |_| ()), refused);
    assert_eq!(connected("reader", "right", |text| *text = text.replace("\"erp\"", "\"other\"")), refused);
    // Only the certificate's own name is believed, and only by an authority that was named.
    assert_eq!(connected("reader", "right", |text| *text = text.replace("localhost", "127.0.0.1")), refused);
    let foreign = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    fs::write(path.with_file_name("foreign.pem"), foreign).unwrap();
    let by_foreign = |text: &mut String| {
        let lines = text.lines().map(|line| if line.starts_with("ca =") { "ca = \"foreign.pem\"" } else { line });
        *text = lines.collect::<Vec<_>>().join("\n");
    };
    assert_eq!(connected("reader", "right", by_foreign), refused);
    let closed = |text: &mut String| {
        let lines = text.lines().map(|line| if line.starts_with("port =") { "port = 1" } else { line });
        *text = lines.collect::<Vec<_>>().join("\n");
    };
    assert_eq!(connected("reader", "right", closed), refused);
}

const PERSONS: &str = "
    CREATE ROLE reader LOGIN PASSWORD 'right';
    CREATE TABLE persons (
        id bigint PRIMARY KEY, name text, number text, mobile text, card text, result text, verified timestamptz
    );
    GRANT SELECT ON persons TO reader;";

const MAPPING: &str = r#"
format = "vouch-uplink/1"
[[map]]
schema = "worker-identity"
sources = ["erp.postgres.toml"]
query = "SELECT * FROM persons WHERE :after IS NULL OR id > :after ORDER BY id"
watermark = "id"
number = ["number"]
public = ["result", "verified_at"]
[map.fields]
name = "name"
id_type = { value = "resident_id" }
id_number = "number"
mobile = "mobile"
bank_name = { value = "示例银行" }
bank_account = "card"
method = { value = "face" }
result = { from = "result", codes = { "通过" = "passed" } }
verified_at = "verified"
[map.parties]
worker = { person_from = "number", register = true }
"#;

/// Adds persons with these numbers.
fn add(server: &PostgresServer, from: u64, until: u64) {
    let text = format!(
        "INSERT INTO persons SELECT n, '样本' || n, lpad(n::text, 18, '0'), '15400000000', '9999990000000000', '通过',
         '2026-10-02 09:08:00+08' FROM generate_series({from}, {until}) n"
    );
    server.sql(&text).unwrap();
}

fn arguments(cluster: &Cluster, folder: &Path, source: &Path) -> Vec<String> {
    let place = |path: &Path| path.display().to_string();
    let (mapping, state) = (place(&folder.join("mapping.toml")), place(&month::state(cluster, 1)));
    let (home, key) = (place(&cluster.home(1)), cluster.account_path(1));
    let all = ["--json", "doc", "uplink", &place(source), "--mapping", &mapping, "--state", &state];
    all.iter().chain(&["--home", &home, "--key", &key, "--yes", "--new-key"]).map(|text| (*text).to_owned()).collect()
}

/// Sends what there is; exit code, sent, already and rejected.
async fn sent(cluster: &Cluster, run: &[String]) -> (i32, [Value; 3]) {
    let output = cluster.program.run(run).await.unwrap();
    let sent = output.json().unwrap_or_else(|error| panic!("{error}: {output:?}"))["sent"].clone();
    (output.code, ["sent", "already", "rejected"].map(|name| sent[name].clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_uplinked_and_later_only_what_is_new() {
    let server = PostgresServer::start().unwrap();
    server.sql(PERSONS).unwrap();
    let cluster = Cluster::start(Options { accounts: 4, ..Options::default() }).await.unwrap();
    month::found(&cluster).await.unwrap();
    let folder = cluster.scratch("erp");
    fs::create_dir(&folder).unwrap();
    let source = folder.join("erp.postgres.toml");
    server.connection_file(&source, "reader", "right", true).unwrap();
    fs::write(folder.join("mapping.toml"), MAPPING).unwrap();
    add(&server, 1, 80);
    server.sql("UPDATE persons SET result = '不详' WHERE id = 7").unwrap();
    let run = arguments(&cluster, &folder, &source);
    killed_when_it_sends(&cluster, &run).await;
    // The killed run may have brought some to the chain; the one row stays for a person to mend.
    let (code, [new, already, rejected]) = sent(&cluster, &run).await;
    assert_eq!((code, new.as_u64().unwrap() + already.as_u64().unwrap(), rejected), (3, 79, json!(1)));
    add(&server, 81, 90);
    assert_eq!(sent(&cluster, &run).await, (0, [json!(10), json!(0), json!(0)]));
    let rejected = folder.join("erp.postgres.toml.rejected.ndjson");
    let text = fs::read_to_string(&rejected).unwrap();
    assert!(text.lines().count() == 1 && text.contains("uplink.code"), "{text}");
    assert_eq!(fs::metadata(&rejected).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&rejected, text.replace("不详", "通过")).unwrap();
    let mended = arguments(&cluster, &folder, &rejected);
    assert_eq!(sent(&cluster, &mended).await, (0, [json!(1), json!(0), json!(0)]));
    assert_eq!(all_documents(&cluster.client(1).unwrap()).await.unwrap().len(), 90);
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'").unwrap();
    rows_updated_behind_the_watermark_are_versions(&cluster, &server, &folder).await;
    large_results_pass_in_little_memory(&cluster, &server, &folder).await;
    // Who cannot reach the server is told so, and nothing is sent.
    drop(server);
    let output = cluster.program.run(&run).await.unwrap();
    assert_eq!((output.code, output.problem_code().unwrap().as_str()), (3, "uplink.connection"), "{output:?}");
    assert!(!format!("{output:?}").contains("right"), "{output:?}");
}

/// Kills a run once its journal has some entries.
async fn killed_when_it_sends(cluster: &Cluster, run: &[String]) {
    let log = month::state(cluster, 1).join("journal.db-wal");
    let slow = [run, &["--concurrency".to_owned(), "4".to_owned()]].concat();
    let mut child = cluster.program.command(&slow).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while fs::metadata(&log).map_or(0, |data| data.len()) < 20 * 4_120 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill().await.unwrap();
}

/// With a watermark that an update sets, a row comes again with its number; one that is passed over is asked for again.
async fn rows_updated_behind_the_watermark_are_versions(cluster: &Cluster, server: &PostgresServer, folder: &Path) {
    server.sql("ALTER TABLE persons ADD COLUMN updated bigint NOT NULL DEFAULT 0").unwrap();
    // What was mended in the file of rejected rows is mended where it came from.
    server.sql("UPDATE persons SET result = '通过' WHERE id = 7").unwrap();
    let source = folder.join("later.postgres.toml");
    server.connection_file(&source, "reader", "right", false).unwrap();
    let query = "SELECT * FROM persons WHERE :after IS NULL OR updated > :after ORDER BY updated, id";
    let mapping = MAPPING.replace("erp.postgres.toml", "later.postgres.toml");
    let mapping = mapping.replace("SELECT * FROM persons WHERE :after IS NULL OR id > :after ORDER BY id", query);
    let place = folder.join("later.toml");
    fs::write(&place, mapping.replace("watermark = \"id\"", "watermark = \"updated\"")).unwrap();
    let mut run = arguments(cluster, folder, &source);
    let at = run.iter().position(|argument| argument == "--mapping").unwrap();
    run[at + 1] = place.display().to_string();
    assert_eq!(sent(cluster, &run).await, (0, [json!(0), json!(90), json!(0)]));
    server.sql("UPDATE persons SET mobile = '15499999999', updated = id WHERE id IN (3, 4)").unwrap();
    let with = |what: &str| [&run[..], &["--changed".to_owned(), what.to_owned()]].concat();
    assert_eq!(sent(cluster, &with("skip")).await, (0, [json!(0), json!(0), json!(0)]));
    assert_eq!(sent(cluster, &with("version")).await, (0, [json!(2), json!(0), json!(0)]));
    let output = cluster.program.run(&with("version")).await.unwrap();
    assert_eq!(output.code, 0, "nothing is asked for again: {output:?}");
    let documents = all_documents(&cluster.client(1).unwrap()).await.unwrap();
    let versions: Vec<u32> = documents.iter().map(|document| document.latest).filter(|latest| *latest > 1).collect();
    assert_eq!((documents.len(), versions), (90, vec![2, 2]));
}

/// 300 MB of rows are checked by a process that never holds a third of that.
async fn large_results_pass_in_little_memory(cluster: &Cluster, server: &PostgresServer, folder: &Path) {
    let source = folder.join("large.postgres.toml");
    server.connection_file(&source, "reader", "right", false).unwrap();
    let query = "SELECT n AS id, '样本' AS name, lpad(n::text, 18, '0') AS number, '1' AS mobile, repeat('9', 3000) AS card, \
        '通过' AS result, '2026-10-02 09:08:00+08'::timestamptz AS verified FROM generate_series(1, 100000) n";
    let mapping = MAPPING.replace("erp.postgres.toml", "large.postgres.toml").replace("watermark = \"id\"\n", "");
    let mapping = mapping.replace("SELECT * FROM persons WHERE :after IS NULL OR id > :after ORDER BY id", query);
    let place = folder.join("large.toml");
    fs::write(&place, mapping).unwrap();
    let mut run = arguments(cluster, folder, &source);
    let at = run.iter().position(|argument| argument == "--mapping").unwrap();
    run[at + 1] = place.display().to_string();
    run.push("--preview".to_owned());
    let (output, peak) = vouch_tests::cluster::peak_of(cluster.program.command(&run)).await.unwrap();
    assert_eq!(output.json().unwrap()["summary"]["documents"], 100_000, "{output:?}");
    assert!(peak < 100_000_000, "{peak} bytes were held");
}
