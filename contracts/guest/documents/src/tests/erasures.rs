//! Erasure, legal holds, possession and audit anchors.

use super::{
    lifecycle::{sign_all, submit, world as lifecycle_world},
    world::*,
    *,
};

const DAY: u64 = limits::DAY_MS;

/// An agreement that `union`, `works` and the regulator `tax` hold; `shop` once said so, too.
fn world() -> World {
    let mut world = lifecycle_world();
    world.watch("tax", None);
    let mut content = content(1, super::lifecycle::parties());
    content.public = vec![PublicField { slot: 0, value: "\"delivery\"".into() }];
    content.recipients = vec![KeyRecipient { key: Hash([1; 32]), fields: fields(&[1]) }];
    world.by::<_, u64>("union", "submit", (id(1), "agreement".to_owned(), content)).unwrap();
    sign_all(&mut world, 1, 1);
    world.call::<_, ()>(account("shop", "service"), "attest_possession", (vec![held(1, 1)],)).unwrap();
    world
}

fn held(n: u8, version: u32) -> Possession {
    Possession { id: id(n), version, fields: fields(&[0, 1]) }
}

fn request(world: &mut World, member: &str) -> Result<ErasureState, CallFailure> {
    world.by(member, "request_erasure", (id(1), "consent-withdrawn"))
}

fn erasure(world: &mut World) -> Erasure {
    world.kit.call::<_, Option<Erasure>>("erasure", (id(1),)).unwrap().unwrap()
}

fn attest(world: &mut World, member: &str) -> Result<(), CallFailure> {
    world.call(account(member, "service"), "attest_erasure", (id(1), Hash([4; 32])))
}

#[test]
fn every_holder_attests_and_a_tombstone_stays() {
    let mut world = world();
    assert_eq!(request(&mut world, "works"), Ok(ErasureState::Ordered));
    let ordered = erasure(&mut world);
    assert_eq!(ordered.holders, ["shop", "tax", "union", "works"]);
    assert_eq!(ordered.deadline_ms, world.kit.time_ms + 15 * DAY);
    // From the order on, nobody reads and nobody is to have it.
    let may = world.may(account("union", "reader"), Action::Read, 1, 1, "any");
    assert_eq!((may.allowed, may.reason.as_str()), (false, "erased"));
    assert_eq!(world.audience(1, 1), Audience { members: vec![], keys: vec![] });
    assert_eq!(code(attest(&mut world, "mills")), "not_a_holder");
    assert_eq!(
        code(world.call::<_, ()>(account("tax", "reader"), "attest_erasure", (id(1), Hash([4; 32])))),
        "role_missing"
    );
    for member in ["union", "works", "tax"] {
        attest(&mut world, member).unwrap();
    }
    assert_eq!(code(attest(&mut world, "tax")), "attested_already");
    assert_eq!(erasure(&mut world).state, ErasureState::Ordered);
    attest(&mut world, "shop").unwrap();
    let done = erasure(&mut world);
    assert_eq!((done.state, done.attestations.len(), done.missing.len()), (ErasureState::Erased, 4, 0));
    let version = world.version(1, 1);
    assert_eq!(version.state, VersionState::Erased);
    assert!(version.content.public.is_empty() && version.content.recipients.is_empty());
    assert_eq!(version.content.root, Hash([1; 32]));
    assert_eq!((world.document(1).erasure, world.document(1).effective), (ErasureState::Erased, None));
    assert_eq!(world.kit.events::<Tombstoned>(), [Tombstoned { id: id(1), complete: true }]);
    assert_eq!(world.kit.events::<ErasureAttested>().len(), 4);
    // Lists and numbers are as before.
    assert_eq!(world.kit.call::<_, Vec<DocumentEntry>>("list", (0u64, 10u32)).unwrap().len(), 1);
    for method in ["order_erasure", "withdraw_erasure", "close_erasure"] {
        assert_eq!(code(world.by::<_, ()>("works", method, (id(1),))), "no_erasure", "{method}");
    }
    assert_eq!(code(request(&mut world, "works")), "erasure");
}

#[test]
fn a_restricted_document_stays_where_it_lies() {
    let mut world = world();
    world.call::<_, ()>(account("works", "service"), "attest_possession", (vec![held(1, 1)],)).unwrap();
    world.by::<_, ()>("tax", "set_hold", (id(1), "court-case")).unwrap();
    assert_eq!(request(&mut world, "works"), Ok(ErasureState::Restricted));
    let members = |world: &mut World| {
        let audience = world.audience(1, 1);
        assert_eq!(audience.keys, [], "nobody outside gets it");
        audience.members.into_iter().map(|entitled| entitled.member).collect::<Vec<_>>()
    };
    assert_eq!(members(&mut world), ["tax", "union", "works"]);
    // Who comes now is entitled by the relationship, and gets nothing; who watches does.
    world.serve("agency", Party::of_member("works"));
    world.watch("office", None);
    assert_eq!(members(&mut world), ["office", "tax", "union", "works"]);
    // When it is taken back, everyone is entitled again; when it is ordered, everyone has to destroy it.
    world.by::<_, ()>("works", "withdraw_erasure", (id(1),)).unwrap();
    let audience = world.audience(1, 1);
    assert!(audience.members.iter().any(|entitled| entitled.member == "agency") && audience.keys.len() == 1);
    assert_eq!(request(&mut world, "works"), Ok(ErasureState::Restricted));
    world.by::<_, ()>("tax", "lift_hold", (id(1), "tax")).unwrap();
    world.by::<_, ()>("union", "order_erasure", (id(1),)).unwrap();
    assert!(erasure(&mut world).holders.contains(&"agency".into()));
}

#[test]
fn what_is_being_erased_is_signed_by_nobody() {
    let mut world = lifecycle_world();
    submit(&mut world, 1).unwrap();
    world.by::<_, ()>("works", "sign", (id(1), 1u32)).unwrap();
    world.by::<_, ()>("union", "sign", (id(1), 1u32)).unwrap();
    assert_eq!(request(&mut world, "works"), Ok(ErasureState::Ordered));
    let for_person = (id(1), 1u32, person(7), None::<Bytes>);
    assert_eq!(code(world.by::<_, ()>("union", "sign_for", for_person)), "erasure");
    assert_eq!(world.version(1, 1).state, VersionState::Pending);
}

#[test]
fn an_erased_document_is_touched_by_nothing() {
    let mut world = world();
    request(&mut world, "works").unwrap();
    let revised = content(2, super::lifecycle::parties());
    assert_eq!(code(world.by::<_, u32>("union", "revise", (id(1), Hash([1; 32]), revised))), "erasure");
    assert_eq!(code(world.by::<_, ()>("union", "revoke", (id(1), "error"))), "erasure");
    assert_eq!(code(world.by::<_, ()>("union", "judge", (id(1), 1u32, true, "ok"))), "erasure");
    assert_eq!(code(world.by::<_, ()>("tax", "set_hold", (id(1), "court-case"))), "erasure");
    let grant = NewGrant {
        member: Some("shop".into()),
        key: None,
        fields: fields(&[0]),
        purpose: "insurance".into(),
        until_ms: None,
    };
    assert_eq!(code(world.by::<_, u64>("union", "grant", (id(1), 1u32, grant))), "erasure");
    let service = account("works", "service");
    assert_eq!(code(world.call::<_, ()>(service, "attest_possession", (vec![held(1, 1)],))), "erasure");
}

#[test]
fn only_those_whose_it_is_ask_for_erasure() {
    let mut world = world();
    for member in ["tax", "mills", "shop"] {
        assert_eq!(code(request(&mut world, member)), "not_entitled", "{member}");
    }
    let reader = account("works", "reader");
    assert_eq!(code(world.call::<_, ErasureState>(reader, "request_erasure", (id(1), "x"))), "role_missing");
    assert_eq!(code(world.by::<_, ErasureState>("works", "request_erasure", (id(1), "No"))), "bad_code");
    assert_eq!(code(world.by::<_, ErasureState>("works", "request_erasure", (id(2), "x"))), "unknown_document");
}

#[test]
fn a_person_asks_with_their_own_key() {
    let mut world = World::new();
    let secret = world.register_person_with_key("union", person(7), 5);
    world.register_schema(super::lifecycle::agreement());
    submit(&mut world, 1).unwrap();
    world.by::<_, ()>("tax", "set_hold", (id(1), "case")).expect_err("it watches nobody");
    let result = world.call::<_, ErasureState>(own_account(&secret), "request_erasure", (id(1), "consent-withdrawn"));
    assert_eq!(result, Ok(ErasureState::Ordered));
    assert_eq!(erasure(&mut world).by, Party::of_subject(person(7)));
}

#[test]
fn a_hold_keeps_it_and_only_regulators_read_on() {
    let mut world = world();
    world.by::<_, ()>("tax", "set_hold", (id(1), "court-case")).unwrap();
    assert_eq!(code(world.by::<_, ()>("tax", "set_hold", (id(1), "court-case"))), "held");
    assert_eq!(code(world.by::<_, ()>("union", "set_hold", (id(1), "court-case"))), "not_entitled");
    assert_eq!(request(&mut world, "works"), Ok(ErasureState::Restricted));
    let mut reads = |member: &str| {
        let may = world.may(account(member, "reader"), Action::Read, 1, 1, "any");
        (may.allowed, may.reason)
    };
    assert_eq!(reads("tax"), (true, "ok".into()));
    for member in ["union", "works"] {
        assert_eq!(reads(member), (false, "restricted".into()));
    }
    // Issuer and regulator go on holding it; who never said that it holds it is not given it now.
    assert_eq!(world.audience(1, 1).members.len(), 2);
    assert_eq!(code(world.by::<_, ()>("union", "order_erasure", (id(1),))), "held");
    assert_eq!(code(world.by::<_, ()>("union", "withdraw_erasure", (id(1),))), "not_entitled");
    world.by::<_, ()>("works", "withdraw_erasure", (id(1),)).unwrap();
    assert_eq!(world.document(1).erasure, ErasureState::None);
    assert!(world.may(account("union", "reader"), Action::Read, 1, 1, "any").allowed);
    request(&mut world, "union").unwrap();
    assert_eq!(code(world.by::<_, ()>("union", "lift_hold", (id(1), "tax"))), "not_entitled");
    assert_eq!(code(world.call::<_, ()>(account("tax", "reader"), "lift_hold", (id(1), "tax"))), "role_missing");
    world.by::<_, ()>("tax", "lift_hold", (id(1), "tax")).unwrap();
    assert_eq!(code(world.by::<_, ()>("tax", "lift_hold", (id(1), "tax"))), "no_hold");
    world.by::<_, ()>("mills", "order_erasure", (id(1),)).unwrap();
    assert_eq!(world.document(1).erasure, ErasureState::Ordered);
    // One request, however often it was made, in the list of all.
    assert_eq!(world.kit.call::<_, Vec<Bytes>>("list_erasures", (0u64, 10u32)), Ok(vec![id(1)]));
}

#[test]
fn the_members_lift_the_hold_of_one_that_is_gone() {
    let mut world = world();
    world.by::<_, ()>("tax", "set_hold", (id(1), "court-case")).unwrap();
    assert_eq!(world.kit.call::<_, Vec<Hold>>("holds", (id(1),)).unwrap()[0].member, "tax");
    world.decide::<_, ()>("lift_hold", (id(1), "tax")).unwrap();
    assert_eq!((world.document(1).holds, world.kit.events::<HoldChanged>().len()), (0, 2));
}

#[test]
fn the_law_and_a_dispute_keep_it_too() {
    let mut world = lifecycle_world();
    let mut kept = super::lifecycle::note();
    kept.retention_days = 10;
    world.register_schema(kept);
    let mut content = content(1, vec![entry("worker", Party::of_subject(person(7)))]);
    content.schema_version = 2;
    world.by::<_, u64>("union", "submit", (id(1), "note".to_owned(), content)).unwrap();
    world.decide::<_, ()>("set_arbiters", (vec!["court"],)).unwrap();
    let claim = (id(1), 1u32, "court", "wrong", Hash([1; 32]));
    let dispute: u64 = world.by("union", "open_dispute", claim).unwrap();
    assert_eq!(request(&mut world, "union"), Ok(ErasureState::Restricted));
    world.advance(10 * DAY - 1);
    assert_eq!(code(world.by::<_, ()>("union", "order_erasure", (id(1),))), "held");
    world.advance(1);
    assert_eq!(code(world.by::<_, ()>("union", "order_erasure", (id(1),))), "held");
    world.by::<_, ()>("court", "rule", (dispute, Effect::Upheld, "ok", Hash([3; 32]))).unwrap();
    world.by::<_, ()>("union", "order_erasure", (id(1),)).unwrap();
}

#[test]
fn a_holder_that_is_late_is_named_and_may_still_attest() {
    let mut world = world();
    assert_eq!(code(world.by::<_, ()>("union", "set_erasure_days", (3u32,))), "not_decided");
    for bad in [0u32, 91] {
        assert_eq!(code(world.decide::<_, ()>("set_erasure_days", (bad,))), "bad_days");
    }
    world.decide::<_, ()>("set_erasure_days", (3u32,)).unwrap();
    request(&mut world, "works").unwrap();
    attest(&mut world, "works").unwrap();
    attest(&mut world, "tax").unwrap();
    world.advance(3 * DAY - 1);
    assert_eq!(code(world.by::<_, ()>("union", "close_erasure", (id(1),))), "held");
    world.advance(1);
    world.by::<_, ()>("union", "close_erasure", (id(1),)).unwrap();
    assert_eq!(erasure(&mut world).missing, ["shop", "union"]);
    assert_eq!(world.kit.events::<Tombstoned>(), [Tombstoned { id: id(1), complete: false }]);
    attest(&mut world, "shop").unwrap();
    assert_eq!(erasure(&mut world).attestations.len(), 3);
    assert_eq!(erasure(&mut world).missing, ["shop", "union"], "they were late");
}

#[test]
fn the_members_give_days_or_minutes() {
    let mut world = world();
    assert_eq!(code(world.by::<_, ()>("union", "set_erasure_minutes", (30u32,))), "not_decided");
    for bad in [0u32, 1_440] {
        assert_eq!(code(world.decide::<_, ()>("set_erasure_minutes", (bad,))), "bad_days");
    }
    let given = |world: &mut World| erasure(world).deadline_ms - world.kit.time_ms;
    let ordered = |world: &mut World, n: u8| {
        submit(world, n).unwrap();
        sign_all(world, n, 1);
        let asked: Result<ErasureState, _> = world.by("works", "request_erasure", (id(n), "consent-withdrawn"));
        assert_eq!(asked, Ok(ErasureState::Ordered));
        let record: Option<Erasure> = world.kit.call("erasure", (id(n),)).unwrap();
        record.unwrap().deadline_ms - world.kit.time_ms
    };
    world.decide::<_, ()>("set_erasure_days", (3u32,)).unwrap();
    assert_eq!(ordered(&mut world, 2), 3 * DAY);
    world.decide::<_, ()>("set_erasure_minutes", (30u32,)).unwrap();
    assert_eq!(ordered(&mut world, 3), 30 * limits::MINUTE_MS);
    // What was decided last holds; what was ordered before keeps the deadline it had.
    world.decide::<_, ()>("set_erasure_days", (3u32,)).unwrap();
    assert_eq!(ordered(&mut world, 4), 3 * DAY);
    request(&mut world, "works").unwrap();
    assert_eq!(given(&mut world), 3 * DAY);
}

#[test]
fn nodes_say_what_they_hold() {
    let mut world = world();
    let union = account("union", "service");
    world.call::<_, ()>(union, "attest_possession", (vec![held(1, 1)],)).unwrap();
    let holders: Vec<Holder> = world.kit.call("holders", (id(1), "", 0u32, 10u32)).unwrap();
    assert_eq!(holders.iter().map(|h| (h.member.as_str(), h.version)).collect::<Vec<_>>(), [("shop", 1), ("union", 1)]);
    let rest: Vec<Holder> = world.kit.call("holders", (id(1), "shop", 1u32, 10u32)).unwrap();
    assert_eq!(rest.len(), 1);
    let mut refused = |account, list: Vec<Possession>| code(world.call::<_, ()>(account, "attest_possession", (list,)));
    assert_eq!(refused(account("union", "reader"), vec![held(1, 1)]), "role_missing");
    assert_eq!(refused(Account([0xee; 32]), vec![held(1, 1)]), "not_a_member");
    assert_eq!(refused(union, vec![]), "too_many");
    assert_eq!(refused(union, vec![held(1, 1); 101]), "too_many");
    assert_eq!(refused(union, vec![held(2, 1)]), "unknown_document");
    assert_eq!(refused(union, vec![held(1, 2)]), "unknown_version");
    let odd = Possession { fields: Bytes(vec![1, 0]), ..held(1, 1) };
    assert_eq!(refused(union, vec![odd]), "bad_grant");
    assert_eq!(world.kit.events::<PossessionAttested>().len(), 2);
}

#[test]
fn audit_anchors_follow_each_other() {
    let mut world = World::new();
    let union = account("union", "service");
    let mut anchor = |account, node: &str, previous: u8, entries: u64, head: u8| {
        let arguments = (node.to_owned(), Hash([previous; 32]), entries, Hash([head; 32]));
        world.call::<_, u64>(account, "anchor_audit", arguments)
    };
    assert_eq!(anchor(union, "a", 0, 5, 1), Ok(1));
    assert_eq!(anchor(union, "a", 1, 9, 2), Ok(2));
    assert_eq!(anchor(union, "b", 0, 1, 7), Ok(1), "another node has its own chain");
    assert_eq!(code(anchor(union, "a", 1, 10, 3)), "bad_anchor");
    assert_eq!(code(anchor(union, "a", 2, 9, 3)), "bad_anchor");
    assert_eq!(code(anchor(union, "", 0, 1, 1)), "bad_anchor");
    assert_eq!(code(anchor(account("union", "approver"), "a", 2, 10, 3)), "role_missing");
    assert_eq!(anchor(account("works", "service"), "a", 0, 3, 1), Ok(1), "another member's node of the same name");
    let head: Option<AuditAnchor> = world.kit.call("audit_head", ("union", "a")).unwrap();
    assert_eq!(head.unwrap().head, Hash([2; 32]));
    let all: Vec<AuditAnchor> = world.kit.call("list_anchors", ("union", "a", 0u64, 10u32)).unwrap();
    assert_eq!(all.iter().map(|a| (a.number, a.entries)).collect::<Vec<_>>(), [(1, 5), (2, 9)]);
    assert_eq!(world.kit.events::<AuditAnchored>().len(), 4);
}
