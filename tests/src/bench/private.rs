//! The private path: a business system submits records at a steady rate, come what may; each is timed from the moment at which
//! it was due until it is final, and until every entitled member's node holds it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use cpu_time::ProcessTime;
use serde_json::json;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use vouch_sdk::{DocumentDraft, Issuing, Order};
use vouch_types::{
    SubjectId,
    document::{DocumentId, FieldSet, Party, PartyEntry},
    relation::RelationKind,
};

use super::{Figure, Scale, percentile};
use crate::{
    cluster::Options,
    private::{Desk, House, Records, code_of, sample_schema},
};

/// Documents due a second.
const RATE: u64 = 200;
/// Bytes of a record's values as JSON.
const RECORD_BYTES: usize = 4 << 10;
/// Every so many documents one is followed until all entitled members hold it.
const FOLLOWED: u64 = 20;
/// How often the issuer's node is asked for the receipts of the oldest of these that are still awaited. To ask for each of them so
/// often would be more work than the documents are.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Submissions under way; what is due beyond waits, and the wait counts.
const UNDER_WAY_MAX: usize = 1_000;
/// Persons whose records they are.
const PERSONS: u64 = 100;
/// Documents that are read back and compared.
const READ_BACK: usize = 200;
/// How long the last ones may take after the load.
const DRAIN: Duration = Duration::from_secs(120);

/// Members in the order of the plan. The platform is entitled to nothing.
const INSTITUTION: usize = 1;
const ENTERPRISE: usize = 2;
const REGULATOR: usize = 3;
/// Holders beside the issuer.
const OTHERS: usize = 2;

/// What came of the load.
#[derive(Debug, Default)]
struct Seen {
    final_ms: Vec<f64>,
    held_ms: Vec<f64>,
    /// Since the start of the load.
    last_final_s: f64,
    finals_in_load: u64,
    submitted: Vec<(u64, DocumentId)>,
    failed: BTreeMap<String, u64>,
}

fn alias(number: u64) -> SubjectId {
    SubjectId(Records::new(0x5a5a + number).bytes())
}

fn draft(number: u64) -> DocumentDraft {
    let mut records = Records::new(number);
    let mut values = records.record(&sample_schema("worker-identity"));
    values.insert("address".into(), json!(""));
    let other_bytes = json!(values).to_string().len();
    values.insert("address".into(), json!(records.chinese(RECORD_BYTES.saturating_sub(other_bytes) / 3)));
    DocumentDraft {
        schema: "worker-identity".into(),
        values,
        parties: vec![PartyEntry { role: "worker".into(), party: Party::subject(alias(number % PERSONS)) }],
        public: ["method", "result", "verified_at"].map(str::to_owned).into(),
        ..DocumentDraft::default()
    }
}

/// The institution serves the persons, the enterprise received their service, the regulator watches over everyone.
async fn relate(house: &House) -> Result<()> {
    let aliases: Vec<SubjectId> = (0..PERSONS).map(alias).collect();
    house.register_persons(INSTITUTION, &aliases).await?;
    house.watch(REGULATOR, Party::default()).await?;
    let related = aliases
        .iter()
        .map(|alias| house.relate(RelationKind::Receives, ENTERPRISE, Party::subject(*alias), INSTITUTION));
    futures::future::try_join_all(related).await.map(drop)
}

/// When a document is due, from the start of the load.
const fn due_after(number: u64) -> Duration {
    Duration::from_micros(number * 1_000_000 / RATE)
}

/// A business system: an account, what its documents have in common, and its submissions under way.
#[derive(Debug)]
struct System {
    desk: Desk,
    issuing: Issuing,
    start: Instant,
    load: Duration,
    seen: Arc<Mutex<Seen>>,
    places: Arc<Semaphore>,
    follow: mpsc::UnboundedSender<(DocumentId, Instant)>,
}

/// Submits one, and has it followed now and then.
async fn submit(system: Arc<System>, number: u64) {
    let System { desk, issuing, start, load, seen, places, follow } = &*system;
    let (start, load) = (*start, *load);
    let due = start + due_after(number);
    let place = places.acquire().await;
    let result = match Order::new(issuing.member()) {
        Ok(order) => desk.client.submit_ordered(issuing, &draft(number), &order, &desk.key).await,
        Err(error) => Err(error),
    };
    drop(place);
    let now = Instant::now();
    match result {
        Ok(submitted) => {
            let mut seen = seen.lock().unwrap();
            seen.final_ms.push((now - due).as_secs_f64() * 1e3);
            seen.last_final_s = seen.last_final_s.max((now - start).as_secs_f64());
            seen.finals_in_load += u64::from(now <= start + load);
            seen.submitted.push((number, submitted.id));
            if number.is_multiple_of(FOLLOWED) {
                let _ = follow.send((submitted.id, due));
            }
        }
        Err(error) => *seen.lock().unwrap().failed.entry(code_of(&error)).or_default() += 1,
    }
}

/// Milliseconds from when each was due until the issuer was seen to have the receipts of all others. One is looked at after the
/// other, so that one which overtook another counts for longer than it took.
async fn follow(desk: Desk, mut documents: mpsc::UnboundedReceiver<(DocumentId, Instant)>) -> Vec<f64> {
    let mut held = Vec::new();
    let mut end = Instant::now() + DRAIN;
    while let Some((id, due)) = documents.recv().await {
        while Instant::now() < end {
            if desk.client.document_holding(id, 1).await.is_ok_and(|holding| holding.receipts.len() == OTHERS) {
                held.push(due.elapsed().as_secs_f64() * 1e3);
                end = Instant::now() + DRAIN;
                break;
            }
            sleep(LOOK_EVERY).await;
        }
    }
    held
}

async fn put_load(house: &House, seconds: u64) -> Result<Seen> {
    let desks = (0..4).map(|number| house.further_desk(INSTITUTION, number)).collect::<Result<Vec<_>>>()?;
    let (follow_sender, followed) = mpsc::unbounded_channel();
    let (seen, places) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Semaphore::new(UNDER_WAY_MAX)));
    let issuing = desks[0].client.issuing("worker-identity", None).await?;
    let (start, load) = (Instant::now(), Duration::from_secs(seconds));
    let mut systems = Vec::with_capacity(desks.len());
    for desk in desks {
        let issuing = issuing.clone();
        let (seen, places, follow) = (Arc::clone(&seen), Arc::clone(&places), follow_sender.clone());
        systems.push(Arc::new(System { desk, issuing, start, load, seen, places, follow }));
    }
    drop(follow_sender);
    let following = tokio::spawn(follow(house.desk(INSTITUTION).clone(), followed));
    let mut tasks = JoinSet::new();
    for number in 0..RATE * seconds {
        sleep_until(start + due_after(number)).await;
        tasks.spawn(submit(Arc::clone(&systems[(number % 4) as usize]), number));
    }
    let drained = tokio::time::timeout(DRAIN * 2, async { while tasks.join_next().await.is_some() {} }).await;
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    ensure!(drained.is_ok(), "the submissions do not end");
    drop(systems);
    let held_ms = following.await?;
    let seen = Arc::into_inner(seen).context("a submission is still under way")?;
    Ok(Seen { held_ms, ..seen.into_inner().unwrap() })
}

/// Reads some at every holder; gives how many differ from what was submitted, or are refused.
async fn differ(house: &House, submitted: &[(u64, DocumentId)]) -> Result<usize> {
    let step = (submitted.len() / READ_BACK).max(1);
    let mut differing = 0;
    for (number, id) in submitted.iter().step_by(step) {
        let values = draft(*number).values;
        for (node, purpose) in [(INSTITUTION, "settlement"), (ENTERPRISE, "service"), (REGULATOR, "supervision")] {
            let read = house.desk(node).read(*id, 1, None, purpose).await?;
            let is_same = read.is_ok_and(|read| {
                !read.is_empty() && read.iter().all(|(name, value)| value.is_null() || values.get(name) == Some(value))
            });
            differing += usize::from(!is_same);
        }
    }
    Ok(differing)
}

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let beside = "four nodes and the business system, which seals, signs and checks proofs, share the machine";
    let mut figure = Figure::new("performance-private-path", "private", beside);
    let mut house = House::open(Options { accounts: 16, ..Options::default() }).await?;
    relate(&house).await?;
    // Connections, caches and compiled contracts, as in a network that has been up for a while.
    for number in 0..20 {
        house.desk(INSTITUTION).submit(&draft(u64::MAX / 2 + number)).await?;
    }
    let record_bytes = json!(draft(1).values).to_string().len();
    let nodes_before = cpu_seconds(&mut house)?;
    let own_before = ProcessTime::now();
    let seconds = scale.of(60, 5);
    let seen = put_load(&house, seconds).await?;
    let (nodes, own) = (cpu_seconds(&mut house)? - nodes_before, own_before.elapsed().as_secs_f64());
    let Seen { mut final_ms, mut held_ms, last_final_s, finals_in_load, submitted, failed } = seen;
    if !failed.is_empty() {
        println!("not submitted, by code: {failed:?}");
    }
    let all = house.cluster.all();
    house.quiet(&all).await?;
    let versions: Vec<(DocumentId, u32)> = submitted.iter().map(|(_, id)| (*id, 1)).collect();
    let not_held = house.not_held(&[INSTITUTION, ENTERPRISE, REGULATOR], &versions).await?;
    let mut at_platform = 0;
    for (id, version) in versions.iter().step_by(20) {
        at_platform += usize::from(house.desk(0).holds(*id, *version).await? != FieldSet::default());
    }
    let count = submitted.len() as f64;
    figure.set("due_per_second", RATE as f64);
    figure.set("record_bytes", record_bytes as f64);
    figure.set("seconds_count", seconds as f64);
    figure.set("documents_count", count);
    figure.at_least("final_in_load_per_second", finals_in_load as f64 / seconds as f64, 195.0);
    figure.set("last_final_after_s", last_final_s);
    for (key, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)] {
        figure.set(format!("due_to_final_{key}_ms"), percentile(&mut final_ms, share));
        figure.set(format!("due_to_held_by_all_{key}_ms"), percentile(&mut held_ms, share));
    }
    figure.at_most("due_to_final_p99_ms", percentile(&mut final_ms, 0.99), 1_000.0);
    figure.at_most("due_to_held_by_all_p99_ms", percentile(&mut held_ms, 0.99), 2_000.0);
    figure.set("followed_count", held_ms.len() as f64);
    figure.at_most("not_submitted_count", failed.values().sum::<u64>() as f64, 0.0);
    figure.at_most("not_held_by_an_entitled_member_count", not_held as f64, 0.0);
    figure.at_most("held_by_one_not_entitled_count", f64::from(u32::try_from(at_platform)?), 0.0);
    figure.at_most("read_back_and_different_count", differ(&house, &submitted).await? as f64, 0.0);
    figure.set("cpu_ms_per_document_and_node", nodes * 1e3 / count.max(1.0) / 4.0);
    figure.set("cpu_ms_per_document_of_the_business_system", own * 1e3 / count.max(1.0));
    Ok(vec![figure])
}

fn cpu_seconds(house: &mut House) -> Result<f64> {
    house.cluster.all().into_iter().map(|node| Ok(house.cluster.process(node)?.usage()?.cpu_seconds)).sum()
}
