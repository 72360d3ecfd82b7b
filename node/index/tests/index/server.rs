//! What only a server can do to an index: go away in the middle, be shared with others, be slow, think differently of texts. And
//! that both databases answer the same.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use vouch_index::{Index, IndexConfig, IndexError, Owner, sample::SampleChain};
use vouch_test_postgres::PostgresServer;
use vouch_types::{
    Height, SubjectId, TimestampMs,
    api::{
        Direction, DisputeFilter, DocumentFilter, IndexState, Measure, RelationshipFilter, StatisticsQuery,
        TransactionFilter,
    },
    document::{Category, Party, VersionState},
    relation::RelationKind,
};

use crate::{
    Place, Query, at,
    lists::Shared,
    place::{PASSWORD, ROLE, make_role, owner},
    start, wait,
    world::{World, contract, id},
};

/// A place, and whose indexes there are meant.
type Config = (IndexConfig, Owner);

fn config(server: &PostgresServer, folder: &Path, name: &str, schema: Option<&str>) -> Config {
    let file = folder.join(format!("{name}.toml"));
    server.connection_file(&file, ROLE, PASSWORD, true).unwrap();
    (IndexConfig::Postgres { server: file, schema: schema.map(str::to_owned) }, owner(name))
}

fn begin((config, owner): &Config, world: &World) -> Index {
    Index::start(config, *owner, Box::new(world.clone())).unwrap()
}

fn stops_with(index: &Index, code: &str) -> String {
    wait(index, code, |index| index.progress().problem.is_some_and(|(found, _)| found == code));
    assert_eq!(index.progress().state, IndexState::Stopped);
    index.progress().problem.unwrap().1
}

/// Some of everything.
fn fill(world: &World, blocks: u8) {
    world.schema();
    let before = world.documents();
    for n in before + 1..=before + blocks {
        let named: Vec<_> = (n > 1).then(|| id(n - 1)).into_iter().chain((n > 7).then(|| id(n - 7))).collect();
        let person = Party::subject(SubjectId([n % 5; 32]));
        world.submit(
            n,
            ["works", "shop"][usize::from(n % 2)],
            &format!("N-{n}"),
            &[person, Party::member("bank")],
            &named,
        );
        if n % 6 == 0 {
            world.revise(id(n - 2), &format!("R-{n}"), &[id(1), id(2)]);
        }
        if n % 9 == 0 {
            world.revoke(id(n - 4));
        }
        if n % 4 == 0 {
            world.grant(id(n));
            world.relate(RelationKind::Serves, "works", Party::subject(SubjectId([n; 32])));
        }
        world.close(u64::from(n % 5));
    }
}

/// Both databases gave the same.
fn same<T: Debug>(what: &str, mut ask: impl FnMut(&Query) -> T, queries: [&Query; 2]) {
    let [one, other] = queries.map(|query| format!("{:?}", ask(query)));
    assert_eq!(one, other, "{what}");
}

fn all_answers_are_the_same(queries: [&Query; 2], documents: u8) {
    let texts = ["N-1", "n-", "r-1", "%", "_", "É", "é", "e", "Z", "10101010", "3", ""];
    same("counts", Query::counts, queries);
    for text in texts {
        same(text, |query| query.search(text), queries);
        let filter = DocumentFilter { number: Some(text.into()), ..DocumentFilter::default() };
        same(text, |query| query.documents(&filter, None, 200), queries);
    }
    for n in 1..=documents {
        same("document", |query| query.document(&id(n)), queries);
        same("grants", |query| query.grants(&id(n), None, 50), queries);
        for direction in [Direction::Up, Direction::Down, Direction::Both] {
            same("provenance", |query| query.provenance(&id(n), direction, 3), queries);
        }
    }
    for measure in [
        Measure::Documents,
        Measure::Issuers,
        Measure::Transactions,
        Measure::Contracts,
        Measure::Blocks,
        Measure::Disputes,
        Measure::Erasures,
    ] {
        let asked = StatisticsQuery { measure, from: None, to: None, zone: Some(8) };
        same("statistics", |query| query.statistics(&asked), queries);
    }
    let party = |party| DocumentFilter { party: Some(party), ..DocumentFilter::default() };
    let state = |state| DocumentFilter { state: Some(state), ..DocumentFilter::default() };
    for filter in [
        party(Party::subject(SubjectId([3; 32]))),
        party(Party::member("bank")),
        state(VersionState::Revoked),
        DocumentFilter { issuer: Some("shop".into()), ..state(VersionState::Effective) },
        DocumentFilter { category: Some(Category::Invoice), ..party(Party::member("bank")) },
    ] {
        same("filter", |query| query.documents(&filter, None, 200), queries);
        pages_go_on_in_the_other(queries, &filter);
    }
    let transactions = TransactionFilter { contract: Some(contract("documents")), ..TransactionFilter::default() };
    same("transactions", |query| query.transactions(&transactions, None, 200), queries);
    let failed = TransactionFilter { failed: Some(true), ..transactions };
    same("failed transactions", |query| query.transactions(&failed, None, 200), queries);
    same("relationships", |query| query.relationships(&RelationshipFilter::default(), None, 200), queries);
    same("disputes", |query| query.disputes(&DisputeFilter::default(), None, 200), queries);
}

/// A page's end in one database is a page's beginning in the other.
fn pages_go_on_in_the_other(queries: [&Query; 2], filter: &DocumentFilter) {
    let whole = queries[0].documents(filter, None, 200).unwrap().items;
    let (mut found, mut after, mut turn) = (Vec::new(), None::<String>, 0);
    loop {
        let page = queries[turn % 2].documents(filter, after.as_deref(), 3).unwrap();
        found.extend(page.items);
        turn += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(found, whole, "{filter:?}");
}

#[test]
fn both_databases_answer_the_same() {
    let world = World::new();
    fill(&world, 60);
    // What compares differently by language, and what a server's texts cannot hold.
    for (n, text) in (61..).zip(["École", "école", "Zebra", "zebra", "ÉCOLE", "N\\u0000x", "ß", "SS", "人民", "人"])
    {
        world.submit(n, "works", text, &[], &[]);
        world.close(0);
    }
    let places = [Place::sqlite(), Place::postgres()];
    let indexes = [start(&places[0], world.clone()), start(&places[1], world)];
    let queries = [at(&indexes[0], 70), at(&indexes[1], 70)];
    all_answers_are_the_same([&queries[0], &queries[1]], 70);
    for text in ["éc", "ZEB", "n\0", "人民", "s", "N\0X"] {
        same(text, |query| query.search(text), [&queries[0], &queries[1]]);
    }
    let found = queries[1].search("ÉC").unwrap().hits;
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn neither_language_nor_encoding_of_a_server_change_an_answer() {
    let mut server = PostgresServer::start().unwrap();
    make_role(&server);
    let world = World::new();
    fill(&world, 20);
    for (n, text) in (21..).zip(["École", "école", "Zebra", "a_b", "aXb", "人民"]) {
        world.submit(n, "works", text, &[], &[]);
        world.close(0);
    }
    let sqlite = Place::sqlite();
    let by_file = start(&sqlite, world.clone());
    let one = at(&by_file, 26);
    let folder = tempfile::tempdir().unwrap();
    for (name, kind) in [
        ("icu", "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'fr-CA' LOCALE 'C'"),
        ("latin", "ENCODING 'LATIN1' LOCALE 'C'"),
    ] {
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0 {kind}");
        server.try_sql("postgres", &sql).unwrap();
        server.try_sql("postgres", &format!("GRANT CREATE ON DATABASE {name} TO {ROLE}")).unwrap();
        let file = folder.path().join(format!("{name}.toml"));
        server.connection_file_to(name, &file, ROLE, PASSWORD, false).unwrap();
        let config = (IndexConfig::Postgres { server: file, schema: None }, owner(name));
        let index = begin(&config, &world);
        let other = at(&index, 26);
        all_answers_are_the_same([&one, &other], 26);
        assert_eq!(other.search("éc").unwrap().hits.len(), 2);
        index.stop();
    }
    server.stop().unwrap();
}

#[test]
fn a_server_that_is_killed_while_it_is_written_to_loses_nothing() {
    let mut server = PostgresServer::start().unwrap();
    make_role(&server);
    let folder = tempfile::tempdir().unwrap();
    let chain = Arc::new(SampleChain::new(100, 60_000));
    chain.set_head(Height(400));
    let config = config(&server, folder.path(), "killed", None);
    let index = Index::start(&config.0, config.1, Box::new(Shared(Arc::clone(&chain)))).unwrap();
    for kill_at in [20, 150] {
        wait(&index, "it writes", |index| index.progress().indexed >= Height(kill_at));
        server.kill().unwrap();
        stops_with(&index, "index.connection");
        let asked = index.query(Height(400)).counts().unwrap_err();
        assert_eq!(asked.code(), "index.connection", "{asked}");
        server.start_again().unwrap();
    }
    // By itself, on the schema that it had.
    wait(&index, "all is in", |index| index.progress().indexed == Height(400));
    assert!(index.progress().problem.is_none() && index.progress().rebuild.is_none());
    let query = index.query(Height(400));
    let sqlite = Place::sqlite();
    let by_file = start(&sqlite, Shared(Arc::clone(&chain)));
    wait(&by_file, "all is in", |index| index.progress().indexed == Height(400));
    let other = by_file.query(Height(400));
    assert_eq!(query.counts().unwrap(), other.counts().unwrap());
    let everything = crate::lists::all(&query, &DocumentFilter::default(), 200);
    assert_eq!(everything, crate::lists::all(&other, &DocumentFilter::default(), 200));
    assert_eq!(everything.len(), 40_000);
    index.stop();
}

/// A session that is given up here may still be one for the server, with the lock of the writer.
#[test]
fn a_session_that_was_given_up_lets_go_of_its_lock() {
    let (place, world) = (Place::postgres(), World::new());
    fill(&world, 2);
    let index = start(&place, world.clone());
    at(&index, 2);
    let name = index.progress().place;
    let let_go = place.refuse(&name, "block", "INSERT", "true");
    fill(&world, 1);
    stops_with(&index, "index.connection");
    let_go();
    assert_eq!(at(&index, 3).counts().unwrap().documents.indexed, 3);
    assert_eq!((index.progress().place, place.count()), (name, 1));
}

#[test]
fn a_server_that_is_stopped_is_waited_for() {
    let mut server = PostgresServer::start().unwrap();
    make_role(&server);
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    fill(&world, 10);
    let config = config(&server, folder.path(), "stopped", None);
    // Before it was ever reached.
    server.stop().unwrap();
    let index = begin(&config, &world);
    stops_with(&index, "index.connection");
    server.start_again().unwrap();
    let query = at(&index, 10);
    assert_eq!(query.counts().unwrap().documents.indexed, 10);
    // And after it has served.
    server.stop().unwrap();
    fill(&world, 3);
    stops_with(&index, "index.connection");
    assert_eq!(query.counts().unwrap_err().code(), "index.connection");
    server.start_again().unwrap();
    let query = at(&index, 13);
    // A question within moments of the failure is refused without asking the server; a moment later it is answered.
    let end = Instant::now() + Duration::from_secs(20);
    while query.counts().map_or(0, |counts| counts.documents.indexed) != 13 {
        assert!(Instant::now() < end, "{:?}", query.counts());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(index.bytes() > 0);
    // Sessions that somebody ends are made again.
    server.sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")).unwrap();
    fill(&world, 1);
    assert_eq!(at(&index, 14).counts().unwrap().documents.indexed, 14);
    index.stop();
}

#[test]
fn nobody_elses_schema_is_touched() {
    let mut server = PostgresServer::start().unwrap();
    make_role(&server);
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    fill(&world, 5);
    // Two nodes on one server do not meet.
    let first = config(&server, folder.path(), "first", Some("shared"));
    let others = config(&server, folder.path(), "second", None);
    let (index, other) = (begin(&first, &world), begin(&others, &world));
    at(&index, 5);
    at(&other, 5);
    let schemas = server.sql("SELECT nspname FROM pg_namespace WHERE nspname ~ '_[0-9]+$' ORDER BY 1").unwrap();
    let expected = BTreeSet::from([format!("{}_1", owner("second").schema()), "shared_1".into()]);
    assert_eq!(schemas.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    other.stop();
    // A third one that is told to use the first one's, and a program that has a schema of such a name.
    let third = begin(&config(&server, folder.path(), "third", Some("shared")), &world);
    let told = stops_with(&third, "index.foreign");
    assert!(told.contains("shared_1") && told.contains(&owner("first").node.to_string()), "{told}");
    assert_eq!(third.query(Height(5)).counts().unwrap_err().code(), "index.storage");
    third.stop();
    server.sql("CREATE SCHEMA taken_7; CREATE TABLE taken_7.kept AS SELECT 1 AS a").unwrap();
    let fourth = begin(&config(&server, folder.path(), "fourth", Some("taken")), &world);
    assert!(stops_with(&fourth, "index.foreign").contains("taken_7"));
    fourth.stop();
    assert_eq!(server.sql("SELECT a FROM taken_7.kept").unwrap().trim(), "1");
    // The same node once more, by mistake: it waits until the first one is gone.
    let twice = begin(&first, &world);
    assert!(stops_with(&twice, "index.foreign").contains("shared_1"));
    fill(&world, 1);
    assert_eq!(at(&index, 6).counts().unwrap().documents.indexed, 6);
    index.stop();
    twice.rebuild();
    assert_eq!(at(&twice, 6).counts().unwrap().documents.indexed, 6);
    twice.stop();
    server.stop().unwrap();
}

#[test]
fn who_is_not_let_in_is_told_so_without_a_word_of_the_password() {
    let place = Place::postgres();
    let world = World::new();
    fill(&world, 2);
    let (file, secret) = (place.file(), place.file().with_extension("password"));
    let text = std::fs::read_to_string(&file).unwrap();
    let told = |text: &str, password: &str, mode: u32| {
        std::fs::write(&file, text).unwrap();
        std::fs::write(&secret, password).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let index = start(&place, world.clone());
        let told = stops_with(&index, "index.connection");
        assert!(!told.contains(password) && !format!("{index:?}").contains(password), "{told}");
        told
    };
    assert!(told(&text, "wrong-one", 0o600).contains("28P01"));
    assert!(told(&text, PASSWORD, 0o644).contains("chmod 600"));
    assert!(told(&text.replace("\"erp\"", "\"none\""), PASSWORD, 0o600).contains("3D000"));
    assert!(told("", PASSWORD, 0o600).contains("format"));
    std::fs::write(&file, text).unwrap();
    assert_eq!(at(&start(&place, world.clone()), 2).counts().unwrap().documents.indexed, 2);
}

#[test]
fn slow_questions_end_and_many_of_them_take_few_sessions() {
    let mut server = PostgresServer::start().unwrap();
    make_role(&server);
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    fill(&world, 3);
    let index = begin(&config(&server, folder.path(), "slow", None), &world);
    let query = at(&index, 3);
    query.counts().unwrap();
    let schema = format!("{}_1", owner("slow").schema());
    let held = format!("BEGIN; LOCK TABLE {schema}.tally IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT");
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}'");
    let is_held =
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation IS NOT NULL";
    std::thread::scope(|scope| {
        scope.spawn(|| server.sql(&held).unwrap());
        while server.sql(is_held).unwrap().trim() == "0" {
            std::thread::sleep(Duration::from_millis(5));
        }
        let began = Instant::now();
        let asked: Vec<_> = (0..20).map(|_| scope.spawn(|| query.counts().unwrap_err())).collect();
        std::thread::sleep(Duration::from_millis(700));
        let most: usize = server.sql(&sessions).unwrap().trim().parse().unwrap();
        assert!(most <= 9, "{most} sessions");
        for one in asked {
            let error = one.join().unwrap();
            assert!(matches!(error, IndexError::TooSlow), "{error}");
        }
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    });
    assert_eq!(query.counts().unwrap().documents.indexed, 3);
    index.stop();
    server.stop().unwrap();
}

#[test]
fn times_and_filters_are_asked_of_indexes_and_not_of_whole_tables() {
    let mut server = PostgresServer::start().unwrap();
    make_role(&server);
    let folder = tempfile::tempdir().unwrap();
    let chain = Arc::new(SampleChain::new(1_000, 60_000));
    chain.set_head(Height(40));
    let (config, owner) = config(&server, folder.path(), "plans", None);
    let index = Index::start(&config, owner, Box::new(Shared(Arc::clone(&chain)))).unwrap();
    wait(&index, "all is in", |index| index.progress().indexed == Height(40));
    let scans = "SELECT coalesce(sum(seq_scan), 0) FROM pg_stat_user_tables
        WHERE relname IN ('doc', 'tx', 'tx_call', 'doc_party', 'doc_public', 'edge', 'word', 'block')";
    server.sql("SELECT pg_stat_reset()").unwrap();
    let query = index.query(Height(40));
    let none = DocumentFilter::default;
    let time = Some(TimestampMs(1_767_225_600_000 + 20 * 60_000));
    for filter in [
        none(),
        DocumentFilter { from: time, ..none() },
        DocumentFilter { issuer: Some(SampleChain::issuer(3)), state: Some(VersionState::Pending), ..none() },
        DocumentFilter { category: Some(Category::Risk), schema: Some("sample-1".into()), to: time, ..none() },
        DocumentFilter { party: Some(Party::subject(SampleChain::person(9))), ..none() },
        DocumentFilter { disputed: Some(true), ..none() },
        DocumentFilter { number: Some(SampleChain::text(77)), ..none() },
    ] {
        query.documents(&filter, None, 50).unwrap();
    }
    let transactions = TransactionFilter::default;
    query.transactions(&TransactionFilter { failed: Some(true), from: time, ..transactions() }, None, 50).unwrap();
    query
        .transactions(&TransactionFilter { contract: Some(contract("documents")), ..transactions() }, None, 50)
        .unwrap();
    query.provenance(&SampleChain::id(77), Direction::Both, 3).unwrap();
    query.search(&SampleChain::id(77).to_string()[..10]).unwrap();
    query.search("HT-2026-000000077").unwrap();
    let asked = StatisticsQuery { measure: Measure::Documents, from: None, to: None, zone: None };
    query.statistics(&asked).unwrap();
    index.stop();
    // Sessions tell what they did when they end.
    let end = Instant::now() + Duration::from_secs(20);
    let reads = "SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_user_tables WHERE relname = 'doc'";
    drop((query, index));
    while server.sql(reads).unwrap().trim() == "0" {
        assert!(Instant::now() < end, "nothing was counted");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.sql(scans).unwrap().trim(), "0");
    server.stop().unwrap();
}
