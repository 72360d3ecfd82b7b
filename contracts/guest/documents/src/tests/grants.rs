//! Grants and recipients beyond the rules.

use super::{
    lifecycle::{sign_all, submit, world},
    world::*,
    *,
};

fn to_member(member: &str, slots: &[u16]) -> NewGrant {
    NewGrant {
        member: Some(member.into()),
        key: None,
        fields: fields(slots),
        purpose: "insurance".into(),
        until_ms: None,
    }
}

fn reads(world: &mut World, member: &str, purpose: &str) -> Vec<u8> {
    world.may(account(member, "reader"), Action::Read, 1, 1, purpose).fields.0
}

#[test]
fn a_grant_opens_its_fields_for_its_purpose_until_its_end() {
    let mut world = world();
    submit(&mut world, 1).unwrap();
    assert_eq!(reads(&mut world, "shop", "insurance"), [0u8; 0]);
    let number: u64 = world.by("union", "grant", (id(1), 1u32, to_member("shop", &[0, 1]))).unwrap();
    assert_eq!(reads(&mut world, "shop", "insurance"), [0b011]);
    assert_eq!(reads(&mut world, "shop", "tax"), [0u8; 0]);
    assert_eq!(reads(&mut world, "mills", "insurance"), [0u8; 0]);
    let audience = world.audience(1, 1);
    let shop = audience.members.iter().find(|e| e.member == "shop").unwrap();
    assert_eq!((shop.fields.clone(), shop.basis), (fields(&[0, 1]), class::GRANT));
    // Whoever was given it may judge it, and nothing else.
    assert!(world.may(account("shop", "approver"), Action::Judge, 1, 1, "").allowed);
    for action in [Action::Grant, Action::Dispute, Action::Erase, Action::Audit, Action::Revoke] {
        assert!(!world.may(account("shop", "all"), action, 1, 1, "").allowed, "{action:?}");
    }
    world.by::<_, ()>("union", "end_grant", (number,)).unwrap();
    assert_eq!(reads(&mut world, "shop", "insurance"), [0u8; 0]);
    assert!(!world.audience(1, 1).members.iter().any(|e| e.member == "shop"));
    assert_eq!(code(world.by::<_, ()>("union", "end_grant", (number,))), "wrong_state");
    let stored: Option<Grant> = world.kit.call("grant_by_number", (number,)).unwrap();
    assert!(stored.unwrap().ended.is_some());
    assert_eq!(world.kit.events::<AudienceChanged>().len(), 2);
}

#[test]
fn a_grant_ends_by_itself() {
    let mut world = world();
    submit(&mut world, 1).unwrap();
    let until_ms = Some(world.kit.time_ms + 1000);
    let new = NewGrant { until_ms, ..to_member("shop", &[1]) };
    let number: u64 = world.by("works", "grant", (id(1), 1u32, new)).unwrap();
    world.advance(999);
    assert_eq!(reads(&mut world, "shop", "insurance"), [0b010]);
    assert_eq!(code(world.by::<_, ()>("mills", "end_grant", (number,))), "not_entitled");
    world.advance(1);
    assert_eq!(reads(&mut world, "shop", "insurance"), [0u8; 0]);
    assert!(!world.audience(1, 1).members.iter().any(|e| e.member == "shop"));
    // Its place is free for whoever cleans up.
    world.by::<_, ()>("mills", "end_grant", (number,)).unwrap();
}

#[test]
fn a_grant_to_a_key_is_delivered_to_it() {
    let mut world = world();
    submit(&mut world, 1).unwrap();
    let new = NewGrant { member: None, key: Some(Hash([9; 32])), ..to_member("", &[1]) };
    let number: u64 = world.by("union", "grant", (id(1), 1u32, new)).unwrap();
    let keys = world.audience(1, 1).keys;
    assert_eq!(keys, [KeyEntitled { key: Hash([9; 32]), fields: fields(&[1]) }]);
    world.by::<_, ()>("works", "end_grant", (number,)).unwrap();
    assert!(world.audience(1, 1).keys.is_empty());
}

#[test]
fn nobody_grants_more_than_they_read_by_rule() {
    let mut world = world();
    submit(&mut world, 1).unwrap();
    let mut refused = |member: &str, new: NewGrant| code(world.by::<_, u64>(member, "grant", (id(1), 1u32, new)));
    // `card` is the person's, open to the person and the institutions serving them.
    assert_eq!(refused("works", to_member("shop", &[2])), "not_entitled");
    assert_eq!(refused("mills", to_member("shop", &[0])), "not_entitled");
    assert_eq!(refused("union", to_member("nobody", &[0])), "unknown_party");
    assert_eq!(refused("union", to_member("shop", &[])), "bad_grant");
    assert_eq!(refused("union", to_member("shop", &[3])), "bad_grant");
    assert_eq!(refused("union", NewGrant { purpose: "In Surance".into(), ..to_member("shop", &[0]) }), "bad_grant");
    assert_eq!(refused("union", NewGrant { until_ms: Some(1), ..to_member("shop", &[0]) }), "bad_grant");
    assert_eq!(refused("union", NewGrant { key: Some(Hash([1; 32])), ..to_member("shop", &[0]) }), "bad_grant");
    let reader = account("union", "reader");
    let result = world.call::<_, u64>(reader, "grant", (id(1), 1u32, to_member("shop", &[0])));
    assert_eq!(code(result), "role_missing");
    // What was granted is not passed on.
    world.by::<_, u64>("union", "grant", (id(1), 1u32, to_member("shop", &[0]))).unwrap();
    let onward = world.by::<_, u64>("shop", "grant", (id(1), 1u32, to_member("mills", &[0])));
    assert_eq!(code(onward), "not_entitled");
}

#[test]
fn giver_receiver_and_owner_end_a_grant() {
    let mut world = world();
    submit(&mut world, 1).unwrap();
    for member in ["union", "works", "shop"] {
        let number: u64 = world.by("union", "grant", (id(1), 1u32, to_member("shop", &[0]))).unwrap();
        assert_eq!(code(world.by::<_, ()>("mills", "end_grant", (number,))), "not_entitled");
        assert_eq!(code(world.call::<_, ()>(account(member, "reader"), "end_grant", (number,))), "role_missing");
        world.by::<_, ()>(member, "end_grant", (number,)).unwrap();
    }
    assert_eq!(code(world.by::<_, ()>("union", "end_grant", (9u64,))), "unknown_grant");
    let listed: Vec<Grant> = world.kit.call("list_grants", (id(1), 0u64, 10u32)).unwrap();
    assert_eq!(listed.iter().map(|g| g.id).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn open_grants_are_bounded_and_ended_ones_make_room() {
    let mut world = world();
    submit(&mut world, 1).unwrap();
    sign_all(&mut world, 1, 1);
    for n in 0..limits::ENTRIES_MAX as u8 {
        let new = NewGrant { member: None, key: Some(Hash([n; 32])), ..to_member("", &[0]) };
        world.by::<_, u64>("union", "grant", (id(1), 1u32, new)).unwrap();
    }
    let one_more = || to_member("shop", &[0]);
    assert_eq!(code(world.by::<_, u64>("union", "grant", (id(1), 1u32, one_more()))), "too_many");
    assert_eq!(world.audience(1, 1).keys.len(), 64);
    world.by::<_, ()>("union", "end_grant", (64u64,)).unwrap();
    world.by::<_, u64>("union", "grant", (id(1), 1u32, one_more())).unwrap();
    assert_eq!(reads(&mut world, "shop", "insurance"), [1]);
}
