//! The sample schemas of `genesis/sample/schemas`: they register, and a whole chain of evidence stands on them.

use std::path::PathBuf;

use serde_json::{Value, json};
use vouch_types::abi::Abi;

use super::{world::*, *};

/// In the order in which a consortium would register them.
const NAMES: [&str; 6] = [
    "worker-identity",
    "enterprise-identity",
    "service-contract",
    "service-transaction",
    "service-invoice",
    "risk-finding",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../genesis/sample/schemas")
}

fn sample(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn register(world: &mut World, abi: &Abi, name: &str) {
    let definition = sample(name);
    assert_eq!(definition["name"], name);
    let arguments = abi.encode_arguments("register_schema", &json!({ "definition": definition })).unwrap();
    world.kit.calling_contract = Some("system".into());
    world.kit.call_bytes("register_schema", &arguments).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    world.kit.calling_contract = None;
}

#[test]
fn every_file_registers_and_every_category_has_one() {
    let abi = Abi::from_json(Contract::ABI).unwrap();
    let mut world = World::new();
    NAMES.iter().for_each(|name| register(&mut world, &abi, name));
    let files = std::fs::read_dir(folder())
        .unwrap()
        .filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "json"));
    assert_eq!(files.count(), NAMES.len());
    let listed: Vec<SchemaEntry> = world.kit.call("list_schemas", (0u64, 50u32)).unwrap();
    for category in [Category::Identity, Category::Contract, Category::Transaction, Category::Invoice, Category::Risk] {
        assert!(listed.iter().any(|entry| entry.category == category), "{category:?}");
    }
    // As registered, read back as JSON: nothing is lost on the way.
    for name in NAMES {
        let bytes = world.kit.call_bytes("schema", &vouch_contract::encode(&(name, 1u32))).unwrap();
        assert_eq!(abi.decode_result("schema", &bytes).unwrap()["definition"], sample(name));
    }
}

/// Grades 3 and 4 are never public, every field has a title in both languages, and whoever a field's readers are, the
/// party whose data it is or the regulator is among them.
#[test]
fn sample_fields_are_graded_with_sense() {
    for name in NAMES {
        for field in sample(name)["fields"].as_array().unwrap() {
            let (grade, readers) = (field["grade"].as_u64().unwrap(), field["readers"].as_u64().unwrap());
            assert!(readers & 9 != 0, "{name} {field}");
            assert!(grade <= 2 || field["public"] == false, "{name} {field}");
            assert!(grade < 4 || readers & 20 == 0, "the most sensitive is not for enterprises: {name} {field}");
        }
    }
}

fn references(list: &[(&str, u8)]) -> Vec<ReferenceEntry> {
    list.iter().map(|(name, n)| ReferenceEntry { name: (*name).into(), id: id(*n), version: 1 }).collect()
}

fn submit(world: &mut World, n: u8, schema: &str, parties: Vec<PartyEntry>, named: &[(&str, u8)]) {
    let content = NewVersion { references: references(named), ..content(n, parties) };
    world
        .by::<_, u64>("union", "submit", (id(n), schema.to_owned(), content))
        .unwrap_or_else(|e| panic!("{schema}: {e:?}"));
}

#[test]
fn from_an_invoice_to_both_parties_verified_identity_and_back() {
    let abi = Abi::from_json(Contract::ABI).unwrap();
    let mut world = World::new();
    NAMES.iter().for_each(|name| register(&mut world, &abi, name));
    world.register_person("union", person(7));
    world.serve("union", Party::of_member("works"));
    world.receive("works", person(7));
    let worker = || entry("worker", Party::of_subject(person(7)));
    let all =
        || vec![worker(), entry("client", Party::of_member("works")), entry("institution", Party::of_member("union"))];
    submit(&mut world, 1, "worker-identity", vec![worker()], &[]);
    submit(&mut world, 2, "enterprise-identity", vec![entry("enterprise", Party::of_member("works"))], &[]);
    submit(&mut world, 3, "service-contract", all(), &[("worker_identity", 1), ("client_identity", 2)]);
    world.by::<_, ()>("works", "sign", (id(3), 1u32)).unwrap();
    world.by::<_, ()>("union", "sign", (id(3), 1u32)).unwrap();
    world.by::<_, ()>("union", "sign_for", (id(3), 1u32, person(7), None::<Bytes>)).unwrap();
    submit(&mut world, 4, "service-transaction", all(), &[("contract", 3)]);
    let invoice = vec![entry("buyer", Party::of_member("works")), entry("seller", Party::of_member("union"))];
    submit(&mut world, 5, "service-invoice", invoice, &[("transaction", 4)]);
    let about = vec![entry("about", Party::of_subject(person(7)))];
    submit(&mut world, 6, "risk-finding", about, &[("identity", 1), ("transaction", 4)]);

    let up: Upstream = world.kit.call("upstream", (id(5), 1u32)).unwrap();
    let steps: Vec<(u8, u8)> = up.edges.iter().map(|e| (e.from.0[0], e.to.0[0])).collect();
    assert_eq!((steps, up.complete), (vec![(5, 4), (4, 3), (3, 1), (3, 2)], true));
    assert!(up.edges.iter().all(|edge| edge.state == VersionState::Effective));
    // And back: from the person's identity down to the invoice.
    let mut place = 1;
    let mut back = vec![];
    while place != 5 {
        let down: Vec<Backlink> = world.kit.call("referenced_by", (id(place), 0u64, 10u32)).unwrap();
        place = down[0].from.0[0];
        back.push(place);
    }
    assert_eq!(back, [3, 4, 5]);

    // The enterprise reads the price it agreed to, not the person's card or tax.
    let contract = sample("service-transaction");
    let slot =
        |name: &str| contract["fields"].as_array().unwrap().iter().position(|f| f["name"] == name).unwrap() as u16;
    let may = world.may(account("works", "reader"), Action::Read, 4, 1, "settlement");
    let reads = |name: &str| records::field_set::contains(&may.fields.0, slot(name));
    assert!(reads("gross_amount") && reads("paid_at"));
    assert!(!reads("payee_account") && !reads("income") && !reads("tax_withheld"));
}
