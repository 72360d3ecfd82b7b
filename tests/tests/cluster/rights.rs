//! The rights matrix of G 4.9.4 on a network of eight: every role, relationship, category, field and action, through the API of
//! each member's own node and by decrypting what lies there.

mod acts;
mod persons;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use serde_json::{Map, Value};
use vouch_ledger::{Table, View as _};
use vouch_sdk::DocumentDraft;
use vouch_store::{RocksStore, StoreOptions};
use vouch_tests::{
    cluster::Options,
    private::{House, Records, code_of, sample_schema},
};
use vouch_types::{
    SubjectId,
    document::{DocumentId, FieldSet, Party, PartyEntry, ReferenceEntry},
    relation::RelationKind,
};

use world::{DOCUMENTS, INSTITUTION, Judged, MEMBERS, PERSONS, REGULATOR_2, RELATIONSHIPS, Standing, Whom, clauses};

/// Questions to nodes at a time.
const AT_A_TIME: usize = 12;
/// Cells that one run judges; fewer mean that something was left out.
const CELLS_MIN: usize = 3_500;

/// A document on the chain, and what was put into it.
pub struct Kept {
    pub judged: Judged,
    pub id: DocumentId,
    pub version: u32,
    pub values: Map<String, Value>,
}

pub fn alias(person: usize) -> SubjectId {
    SubjectId(Records::new(0xa11a5 + person as u64).bytes())
}

pub fn party(house: &House, whom: Whom) -> Party {
    match whom {
        Whom::Person(person) => Party::subject(alias(person)),
        Whom::Member(member) => house.party(member),
        Whom::Everyone => Party::default(),
    }
}

/// The relationships of the table, each as far as it goes.
async fn relate(house: &House) {
    let aliases: Vec<SubjectId> = (0..PERSONS).map(alias).collect();
    house.register_persons(INSTITUTION, &aliases).await.unwrap();
    let rows = RELATIONSHIPS.iter().map(|(kind, member, whom, standing)| async move {
        let party = party(house, *whom);
        if *kind == RelationKind::Regulates {
            let number = house.watch(*member, party).await.unwrap();
            if *standing == Standing::Ended {
                house.end(*member, number).await.unwrap();
            }
            return;
        }
        // The institution answers for the persons that it registered, a member for itself.
        let agreed_by = if let Whom::Member(party) = whom { *party } else { INSTITUTION };
        if *standing == Standing::Offered {
            let via = (*kind == RelationKind::Receives).then(|| house.desk(INSTITUTION).member.clone());
            let name = house.desk(*member).member.clone();
            let offer =
                |builder: vouch_sdk::TransactionBuilder| builder.offer_relationship(*kind, &name, party, via, None);
            house.desk(*member).number(offer).await.unwrap();
            return;
        }
        let number = house.relate(*kind, *member, party, agreed_by).await.unwrap();
        if *standing == Standing::Ended {
            house.end(*member, number).await.unwrap();
        }
    });
    stream::iter(rows).buffer_unordered(AT_A_TIME).collect::<Vec<()>>().await;
}

pub fn draft(house: &House, kept: &[Kept], place: usize) -> DocumentDraft {
    let planned = DOCUMENTS[place];
    let parties = planned.parties.iter();
    let references = planned.references.iter();
    DocumentDraft {
        schema: planned.schema.into(),
        values: Records::new(place as u64).record(&sample_schema(planned.schema)),
        parties: parties.map(|(role, whom)| PartyEntry { role: (*role).into(), party: party(house, *whom) }).collect(),
        references: references
            .map(|(name, of)| ReferenceEntry { name: (*name).into(), id: kept[*of].id, version: 1 })
            .collect(),
        ..DocumentDraft::default()
    }
}

/// Submits all documents, each after those it names; contracts are signed on the way, by those who have to and nobody else.
async fn submit_all(house: &House, cells: &mut usize) -> Vec<Kept> {
    let mut kept: Vec<Kept> = Vec::new();
    for (place, planned) in DOCUMENTS.iter().enumerate() {
        let draft = draft(house, &kept, place);
        let submitted = house.desk(planned.issuer).submit(&draft).await;
        let submitted = submitted.unwrap_or_else(|error| panic!("document {place}: {} {error}", code_of(&error)));
        let judged = Judged::new(*planned);
        kept.push(Kept { judged, id: submitted.id, version: submitted.version, values: draft.values });
        if !kept[place].judged.signers().is_empty() {
            *cells += acts::sign(house, &kept[place]).await;
        }
    }
    kept
}

/// Checks one reading: exactly the fields that the table opens, each with the value that was planted.
async fn judge_reading(
    house: &House,
    kept: &Kept,
    member: usize,
    purpose: &str,
    fields: Option<&[String]>,
    wanted: BTreeSet<String>,
) {
    let place =
        format!("{} reads {:?} of {} for {purpose}", house.desk(member).member, fields, kept.judged.planned.schema);
    match house.desk(member).read(kept.id, kept.version, fields, purpose).await.unwrap() {
        Ok(read) => {
            let names: BTreeSet<String> = read.keys().cloned().collect();
            assert_eq!(names, wanted, "{place}");
            for (name, value) in &read {
                assert_eq!(value, kept.values.get(name).unwrap_or(&Value::Null), "{place}: {name}");
            }
        }
        Err(code) => {
            assert_eq!(code, "vault.not_allowed", "{place}");
            assert!(wanted.is_empty(), "{place} is refused, expected were {wanted:?}");
        }
    }
}

/// Every purpose with all fields, and every field by itself.
async fn read_all_ways(house: &House, kept: &Kept, member: usize) -> usize {
    let judged = &kept.judged;
    let code = |purpose: &Value| purpose["code"].as_str().unwrap().to_owned();
    let mut cells = 0;
    for purpose in judged.purposes() {
        judge_reading(house, kept, member, &code(purpose), None, judged.opened(member, Some(purpose))).await;
        cells += 1;
    }
    judge_reading(house, kept, member, "curiosity", None, BTreeSet::new()).await;
    for field in judged.fields() {
        // A purpose that opens it to this one, or else one that opens something, or any.
        let opens = |purpose: &&Value| judged.opens(member, field, Some(purpose));
        let some = |purpose: &&Value| !judged.opened(member, Some(purpose)).is_empty();
        let purposes = judged.purposes();
        let purpose = purposes.iter().find(opens).or_else(|| purposes.iter().find(some)).unwrap_or(&purposes[0]);
        let name = field["name"].as_str().unwrap().to_owned();
        let is_open = judged.opens(member, field, Some(purpose));
        let wanted = is_open.then(|| name.clone()).into_iter().collect();
        judge_reading(house, kept, member, &code(purpose), Some(&[name]), wanted).await;
        cells += 1;
    }
    cells + 1
}

async fn read_everything(house: &House, kept: &[Kept], members: &[usize]) -> usize {
    let pairs = kept.iter().flat_map(|kept| members.iter().map(move |member| (kept, *member)));
    let read = pairs.map(|(kept, member)| read_all_ways(house, kept, member));
    stream::iter(read).buffer_unordered(AT_A_TIME).collect::<Vec<usize>>().await.into_iter().sum()
}

/// The fields of a definition as the chain's set.
fn slots(judged: &Judged, names: &BTreeSet<String>) -> FieldSet {
    let slots = (0u16..).zip(judged.fields());
    slots.filter(|(_, field)| names.contains(field["name"].as_str().unwrap())).map(|(slot, _)| slot).collect()
}

/// The audience is exactly whom the table lets read, and each node holds exactly what its member may read.
async fn judge_holdings(house: &House, kept: &[Kept]) -> usize {
    let mut cells = 0;
    for kept in kept {
        let audience = house.desk(0).client.audience(kept.id, kept.version).await.unwrap();
        let given: BTreeMap<String, FieldSet> =
            audience.members.into_iter().map(|entitled| (entitled.member, entitled.fields)).collect();
        for member in 0..MEMBERS {
            let wanted = slots(&kept.judged, &kept.judged.opened(member, None));
            let desk = house.desk(member);
            let place = format!("{} of {}", desk.member, kept.judged.planned.schema);
            assert_eq!(given.get(&desk.member).cloned().unwrap_or_default(), wanted, "the audience: {place}");
            assert_eq!(desk.holds(kept.id, kept.version).await.unwrap(), wanted, "what is held: {place}");
            cells += 1;
        }
    }
    cells
}

/// Nobody who was not to have a document ever had a byte of its ciphertext or keys: looked for in the stopped nodes' databases.
fn judge_databases(house: &House, kept: &[Kept], given: &BTreeSet<(usize, DocumentId)>) -> usize {
    let mut cells = 0;
    for member in 0..MEMBERS {
        let store = RocksStore::open(house.cluster.home(member).join("data"), StoreOptions::default()).unwrap();
        let mut found: BTreeSet<[u8; 16]> = BTreeSet::new();
        for table in [Table::VaultCopies, Table::VaultKeys] {
            for (key, _) in store.scan(table, &[], None, usize::MAX).unwrap() {
                found.insert(*key.first_chunk::<16>().unwrap());
            }
        }
        for (place, kept) in kept.iter().enumerate() {
            // Who tried to revise it has staged something under its id.
            if place == acts::REVISED_BY_ALL {
                continue;
            }
            let is_entitled = !kept.judged.opened(member, None).is_empty() || given.contains(&(member, kept.id));
            let place = format!("{} of {}", house.desk(member).member, kept.judged.planned.schema);
            assert_eq!(found.contains(kept.id.as_bytes()), is_entitled, "what lies on disk: {place}");
            cells += 1;
        }
    }
    cells
}

/// Rights follow the relationships at once, in both directions, on the wire as in the contract.
async fn judge_changes(house: &House, kept: &mut [Kept], given: &mut BTreeSet<(usize, DocumentId)>) -> usize {
    let later = [
        (RelationKind::Regulates, REGULATOR_2, Whom::Everyone),
        (RelationKind::Serves, world::PLATFORM, Whom::Member(world::ENTERPRISE_2)),
        (RelationKind::Receives, world::PLATFORM_2, Whom::Person(2)),
    ];
    let watched = house.watch(REGULATOR_2, Party::default()).await.unwrap();
    let served = house.relate(later[1].0, later[1].1, party(house, later[1].2), world::ENTERPRISE_2).await.unwrap();
    let received = house.relate(later[2].0, later[2].1, party(house, later[2].2), INSTITUTION).await.unwrap();
    kept.iter_mut().for_each(|kept| kept.judged.later = later.to_vec());
    let versions: Vec<(DocumentId, u32)> = kept.iter().map(|kept| (kept.id, kept.version)).collect();
    house.all_hold(&versions).await.unwrap();
    let members = later.map(|(_, member, _)| member);
    let mut cells = read_everything(house, kept, &members).await;
    for (member, kept) in members.iter().flat_map(|member| kept.iter().map(move |kept| (*member, kept))) {
        if !kept.judged.opened(member, None).is_empty() {
            given.insert((member, kept.id));
        }
    }
    for (member, number) in [(REGULATOR_2, watched), (world::PLATFORM, served), (world::PLATFORM_2, received)] {
        house.end(member, number).await.unwrap();
    }
    kept.iter_mut().for_each(|kept| kept.judged.later.clear());
    cells += read_everything(house, kept, &members).await;
    cells
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_matrix_holds_at_every_members_own_node() {
    let options =
        Options { members: 8, accounts: 8 * 6, plain_http: true, idle_interval_ms: 2_000, ..Options::default() };
    let mut house = House::open(options).await.unwrap();
    assert_eq!(clauses(), BTreeSet::from(['a', 'b', 'c']));
    let arbiter = serde_json::json!({ "members": [house.desk(world::ARBITER).member] });
    house.decide("documents", "set_arbiters", &arbiter).await.unwrap();
    relate(&house).await;
    let mut cells = 0;
    let mut kept = submit_all(&house, &mut cells).await;
    let versions: Vec<(DocumentId, u32)> = kept.iter().map(|kept| (kept.id, kept.version)).collect();
    house.all_hold(&versions).await.unwrap();

    let all: Vec<usize> = (0..MEMBERS).collect();
    cells += judge_holdings(&house, &kept).await;
    cells += read_everything(&house, &kept, &all).await;
    let mut given = BTreeSet::new();
    cells += judge_changes(&house, &mut kept, &mut given).await;
    cells += acts::roles(&house, &kept).await;
    let acted = kept.iter().map(|kept| acts::all(&house, kept));
    let acted: Vec<acts::Acted> = stream::iter(acted).buffer_unordered(4).collect().await;
    cells += acted.iter().map(|acted| acted.cells).sum::<usize>();
    given.extend(acted.into_iter().flat_map(|acted| acted.given));
    cells += persons::all(&house, &kept).await;
    cells += acts::endings(&house, &kept).await;
    for node in house.cluster.all() {
        house.cluster.stop(node).await.unwrap();
    }
    cells += judge_databases(&house, &kept, &given);
    println!("{cells} cells of the rights matrix were judged");
    assert!(cells >= CELLS_MIN, "only {cells} cells were judged");
}
