//! What a schema may say.

use vouch_contract::encode;

use super::{world::*, *};

fn good() -> SchemaDefinition {
    let worker = PartyRule { owner: true, ..party_rule("worker", true, 0) };
    let client = PartyRule { recipient: true, ..party_rule("client", false, 5) };
    let mut good = definition("order", Category::Contract, vec![field("a", 1, 31, None)], vec![worker, client]);
    good.references = vec![ReferenceRule {
        name: "identity".into(),
        title_en: "Identity".into(),
        title_zh: "身份".into(),
        category: Category::Identity,
        schema: None,
        min: 0,
        max: 2,
        same_owner: true,
        disputed: false,
    }];
    good.purposes =
        vec![PurposeRule { code: "tax".into(), title_en: "Tax".into(), title_zh: "税".into(), readers: 2, grade: 4 }];
    good
}

#[test]
fn only_the_members_register_and_retire() {
    let mut world = World::new();
    assert_eq!(code(world.by::<_, u32>("hub", "register_schema", (good(),))), "not_decided");
    assert_eq!(world.decide::<_, u32>("register_schema", (good(),)), Ok(1));
    let second = SchemaDefinition { retention_days: 9, ..good() };
    assert_eq!(world.decide::<_, u32>("register_schema", (second.clone(),)), Ok(2));
    assert_eq!(code(world.by::<_, ()>("hub", "retire_schema", ("order", 1u32))), "not_decided");
    world.decide::<_, ()>("retire_schema", ("order", 1u32)).unwrap();
    assert_eq!(code(world.decide::<_, ()>("retire_schema", ("order", 1u32))), "schema_retired");
    assert_eq!(code(world.decide::<_, ()>("retire_schema", ("order", 3u32))), "unknown_schema");
    let stored: Option<Schema> = world.kit.call("schema", ("order", 2u32)).unwrap();
    assert_eq!(stored.unwrap().definition, second);
    assert_eq!(world.kit.call::<_, u32>("schema_versions", ("order",)), Ok(2));
    assert_eq!(world.kit.call::<_, u64>("count_schemas", ()), Ok(2));
    let listed: Vec<SchemaEntry> = world.kit.call("list_schemas", (0u64, 10u32)).unwrap();
    assert_eq!(listed.iter().map(|e| (e.number, e.version, e.open)).collect::<Vec<_>>(), [(1, 1, false), (2, 2, true)]);
    assert_eq!(world.kit.events::<SchemaChanged>().len(), 3);
    assert_eq!(world.kit.call::<_, Option<Schema>>("schema", ("x y", 1u32)), Ok(None));
}

type Change = (&'static str, fn(&mut SchemaDefinition));

#[test]
fn what_makes_no_sense_is_refused() {
    let changes: [Change; 27] = [
        ("a name that is no word", |d| d.name = "Order".into()),
        ("no title", |d| d.title_zh.clear()),
        ("no fields", |d| d.fields.clear()),
        ("the same field twice", |d| d.fields.push(field("a", 1, 1, None))),
        ("grade 0", |d| d.fields[0].grade = 0),
        ("grade 5", |d| (d.fields[0].grade, d.fields[0].public) = (5, false)),
        ("public in grade 3", |d| (d.fields[0].grade, d.fields[0].public) = (3, true)),
        ("readers beyond the rules", |d| d.fields[0].readers = 32),
        ("a field of nobody's", |d| d.fields[0].about = Some("nobody".into())),
        ("a field of a party that owns nothing", |d| d.fields[0].about = Some("client".into())),
        ("no owner", |d| d.parties[0].owner = false),
        ("an owner that may be missing", |d| d.parties[0].min = 0),
        ("a party that can be nobody", |d| d.parties[0].subject = false),
        ("members beyond the roles", |d| d.parties[1].members = 16),
        ("more than at most", |d| d.parties[1].min = 2),
        ("no party at most", |d| (d.parties[1].min, d.parties[1].max) = (0, 0)),
        ("seventeen parties", |d| d.parties[1].max = 17),
        ("an institution that receives", |d| d.parties[1].members = 2),
        ("a person that receives", |d| d.parties[0].recipient = true),
        ("the same role twice", |d| d.parties.push(d.parties[0].clone())),
        ("a reference that is no word", |d| d.references[0].name = "x y".into()),
        ("references without one at most", |d| d.references[0].max = 0),
        ("references more than at most", |d| d.references[0].min = 3),
        ("a reference to no schema", |d| d.references[0].schema = Some(String::new())),
        ("the same purpose twice", |d| d.purposes.push(d.purposes[0].clone())),
        ("a purpose of grade 0", |d| d.purposes[0].grade = 0),
        ("an identity with two parties", |d| d.category = Category::Identity),
    ];
    for (what, change) in changes {
        let mut world = World::new();
        let mut bad = good();
        change(&mut bad);
        assert_eq!(code(world.decide::<_, u32>("register_schema", (bad,))), "bad_schema", "{what}");
    }
    let mut world = World::new();
    world.register_schema(good());
    let other = SchemaDefinition { category: Category::Invoice, ..good() };
    assert_eq!(code(world.decide::<_, u32>("register_schema", (other,))), "bad_schema", "another category");
    let owner = PartyRule { owner: true, ..party_rule("worker", true, 0) };
    let mut identity = definition("identity", Category::Identity, vec![field("a", 1, 16, None)], vec![owner]);
    assert_eq!(code(world.decide::<_, u32>("register_schema", (identity.clone(),))), "bad_schema", "read by parties");
    identity.fields[0].readers = 15;
    world.register_schema(identity);
}

/// The largest schema there is can be stored, looked up and used.
#[test]
fn a_schema_of_1024_fields_works() {
    let mut world = World::new();
    let owner = PartyRule { owner: true, ..party_rule("worker", true, 0) };
    let mut large = definition("large", Category::Risk, vec![], vec![owner]);
    for n in 0..limits::FIELDS_MAX {
        large.fields.push(FieldRule {
            title_en: "t".into(),
            title_zh: "t".into(),
            ..field(&format!("f{n}"), 4, if n % 2 == 0 { 2 } else { 8 }, None)
        });
    }
    // 1,024 fields with short titles are some 41 KiB.
    assert!(encode(&large).len() <= limits::SCHEMA_BYTES_MAX, "{}", encode(&large).len());
    let mut larger = large.clone();
    larger.fields.push(field("one_more", 4, 1, None));
    assert_eq!(code(world.decide::<_, u32>("register_schema", (larger,))), "bad_schema");
    world.register_schema(large);
    assert!(world.kit.call::<_, Option<Schema>>("schema", ("large", 1u32)).unwrap().is_some());
    world.register_person("union", person(1));
    world.serve("bureau", Party::of_subject(person(1)));
    world.watch("tax", None);
    let parties = vec![entry("worker", Party::of_subject(person(1)))];
    world.by::<_, u64>("union", "submit", (id(1), "large".to_owned(), content(1, parties))).unwrap();
    let fields: Vec<(String, usize)> =
        world.audience(1, 1).members.into_iter().map(|e| (e.member, e.fields.0.len())).collect();
    assert_eq!(fields, [("bureau".into(), 128), ("tax".into(), 128), ("union".into(), 128)]);
}
