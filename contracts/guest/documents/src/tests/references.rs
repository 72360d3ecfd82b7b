//! Documents that stand on others.

use super::{
    lifecycle::{agreement, note},
    world::*,
    *,
};

fn reference_rule(
    name: &str,
    category: Category,
    schema: Option<&str>,
    same_owner: bool,
    disputed: bool,
) -> ReferenceRule {
    ReferenceRule {
        name: name.into(),
        title_en: name.into(),
        title_zh: name.into(),
        category,
        schema: schema.map(Into::into),
        min: 0,
        max: 4,
        same_owner,
        disputed,
    }
}

/// A bill of the enterprise for agreements; it may name disputed ones as such.
fn bill() -> SchemaDefinition {
    let client = PartyRule { owner: true, ..party_rule("client", false, 5) };
    let mut bill = definition("bill", Category::Invoice, vec![field("a", 2, 31, None)], vec![client]);
    bill.references = vec![
        reference_rule("agreement", Category::Contract, Some("agreement"), true, false),
        reference_rule("disputed", Category::Contract, None, false, true),
        ReferenceRule { min: 1, max: 1, ..reference_rule("note", Category::Risk, None, false, false) },
    ];
    bill
}

fn world() -> World {
    let mut world = World::new();
    for (member, n) in [("union", 7), ("agency", 8)] {
        world.register_person(member, person(n));
    }
    world.register_schema(SchemaDefinition {
        parties: agreement().parties.into_iter().map(|rule| PartyRule { signs: false, ..rule }).collect(),
        ..agreement()
    });
    world.register_schema(note());
    world.register_schema(bill());
    world.serve("union", Party::of_member("works"));
    world.serve("agency", Party::of_member("mills"));
    // An agreement of person 7 with works, one of person 8 with mills, a note on person 7.
    let contract = |n: u8, client: &str| {
        content(1, vec![entry("worker", Party::of_subject(person(n))), entry("client", Party::of_member(client))])
    };
    world.by::<_, u64>("union", "submit", (id(1), "agreement".to_owned(), contract(7, "works"))).unwrap();
    issued_by(2, "agency");
    world.by::<_, u64>("agency", "submit", (id(2), "agreement".to_owned(), contract(8, "mills"))).unwrap();
    let about = content(1, vec![entry("worker", Party::of_subject(person(7)))]);
    world.by::<_, u64>("union", "submit", (id(3), "note".to_owned(), about)).unwrap();
    world
}

fn names(list: &[(&str, u8, u32)]) -> NewVersion {
    let mut content = content(5, vec![entry("client", Party::of_member("works"))]);
    content.references = list
        .iter()
        .map(|(name, n, version)| ReferenceEntry { name: (*name).into(), id: id(*n), version: *version })
        .collect();
    content
}

fn submit(world: &mut World, n: u8, list: &[(&str, u8, u32)]) -> Result<u64, CallFailure> {
    world.by("union", "submit", (id(n), "bill".to_owned(), names(list)))
}

#[test]
fn each_way_of_being_wrong_has_its_code() {
    let mut world = world();
    let good = ("note", 3, 1);
    for (list, wanted) in [
        (vec![good, ("agreement", 9, 1)], "reference_missing"),
        (vec![good, ("agreement", 1, 2)], "reference_version"),
        (vec![good, ("agreement", 3, 1)], "reference_kind"),
        (vec![good, ("agreement", 2, 1)], "reference_party"),
        (vec![good, ("disputed", 2, 1)], "reference_party"),
        (vec![good, ("other", 1, 1)], "reference_unknown"),
        (vec![good, ("agreement", 1, 1), ("agreement", 1, 1)], "reference_twice"),
        (vec![good, ("agreement", 10, 1)], "reference_self"),
        (vec![("agreement", 1, 1)], "reference_count"),
        (vec![], "reference_count"),
        (vec![good; 33], "reference_count"),
    ] {
        assert_eq!(code(submit(&mut world, 10, &list)), wanted, "{list:?}");
    }
    assert_eq!(submit(&mut world, 10, &[good, ("agreement", 1, 1)]), Ok(4));
}

#[test]
fn what_is_named_must_stand() {
    let mut world = world();
    let both = [("note", 3, 1), ("agreement", 1, 1)];
    // Under dispute: refused where the rule does not say otherwise.
    world.decide::<_, ()>("set_arbiters", (vec!["court"],)).unwrap();
    let claim = (id(1), 1u32, "court", "price", Hash([1; 32]));
    let dispute: u64 = world.by("works", "open_dispute", claim).unwrap();
    assert_eq!(code(submit(&mut world, 10, &both)), "reference_disputed");
    assert_eq!(submit(&mut world, 10, &[("note", 3, 1), ("disputed", 1, 1)]), Ok(4));
    world.by::<_, ()>("court", "rule", (dispute, Effect::Annulled, "void", Hash([2; 32]))).unwrap();
    assert_eq!(code(submit(&mut world, 11, &both)), "reference_state");
    // Superseded: the new version is named instead.
    let revised = content(2, vec![entry("worker", Party::of_subject(person(7)))]);
    world.by::<_, u32>("union", "revise", (id(3), Hash([1; 32]), revised)).unwrap();
    assert_eq!(code(submit(&mut world, 11, &[("note", 3, 1)])), "reference_state");
    assert_eq!(submit(&mut world, 11, &[("note", 3, 2)]), Ok(5));
    world.by::<_, ()>("union", "revoke", (id(3), "error")).unwrap();
    assert_eq!(code(submit(&mut world, 12, &[("note", 3, 2)])), "reference_state");
}

#[test]
fn evidence_is_followed_in_both_directions() {
    let mut world = world();
    submit(&mut world, 10, &[("note", 3, 1), ("agreement", 1, 1)]).unwrap();
    submit(&mut world, 11, &[("note", 3, 1)]).unwrap();
    let up: Upstream = world.kit.call("upstream", (id(10), 1u32)).unwrap();
    assert!(up.complete);
    let steps: Vec<(&str, &Bytes, Category)> = up.edges.iter().map(|e| (e.name.as_str(), &e.to, e.category)).collect();
    assert_eq!(steps, [("note", &id(3), Category::Risk), ("agreement", &id(1), Category::Contract)]);
    let down: Vec<Backlink> = world.kit.call("referenced_by", (id(3), 0u64, 10u32)).unwrap();
    let down: Vec<(u64, &str, &Bytes)> = down.iter().map(|b| (b.number, b.name.as_str(), &b.from)).collect();
    assert_eq!(down, [(1, "note", &id(10)), (2, "note", &id(11))]);
    assert_eq!(world.kit.call::<_, u64>("count_referenced_by", (id(3),)), Ok(2));
    assert_eq!(code(world.kit.call::<_, Upstream>("upstream", (id(99), 1u32))), "unknown_version");
    // Who asks for proofs finds both under the keys that `vouch_types` gives.
    let note = vouch_types::DocumentId::new(id(3).0.try_into().unwrap());
    let key = vouch_types::document::key::backlinks(&note);
    let counted: u64 = vouch_types::decode("count", world.kit.stored(&key).unwrap(), 8).unwrap();
    assert_eq!(counted, 2);
    let key = vouch_types::document::key::backlink(&note, 2);
    let record: vouch_types::document::Backlink =
        vouch_types::decode("backlink", world.kit.stored(&key).unwrap(), 1_000).unwrap();
    assert_eq!((record.number, record.name.as_str(), record.version, record.from_version), (2, "note", 1, 1));
    assert_eq!(record.from.as_bytes().as_slice(), id(11).0.as_slice());
}
