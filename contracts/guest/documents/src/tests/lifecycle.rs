//! Submitting, signing, accepting, revising, revoking.

use super::{world::*, *};

/// An agreement that the person, the enterprise and the institution sign.
pub fn agreement() -> SchemaDefinition {
    let worker = PartyRule { owner: true, signs: true, ..party_rule("worker", true, 0) };
    let client = PartyRule { owner: true, recipient: true, signs: true, ..party_rule("client", false, 5) };
    let institution = PartyRule { min: 0, signs: true, ..party_rule("institution", false, 2) };
    let fields = vec![field("title", 1, 31, None), field("price", 3, 31, None), field("card", 4, 3, Some("worker"))];
    definition("agreement", Category::Contract, fields, vec![worker, client, institution])
}

/// Nobody signs.
pub fn note() -> SchemaDefinition {
    let worker = PartyRule { owner: true, ..party_rule("worker", true, 0) };
    definition("note", Category::Risk, vec![field("a", 1, 31, None), field("b", 3, 15, None)], vec![worker])
}

pub fn parties() -> Vec<PartyEntry> {
    vec![
        entry("worker", Party::of_subject(person(7))),
        entry("client", Party::of_member("works")),
        entry("institution", Party::of_member("union")),
    ]
}

pub fn world() -> World {
    let mut world = World::new();
    world.register_person("union", person(7));
    world.register_schema(agreement());
    world.register_schema(note());
    world
}

pub fn submit(world: &mut World, n: u8) -> Result<u64, CallFailure> {
    world.by("union", "submit", (id(n), "agreement".to_owned(), content(n, parties())))
}

pub fn sign_all(world: &mut World, n: u8, version: u32) {
    world.by::<_, ()>("works", "sign", (id(n), version)).unwrap();
    world.by::<_, ()>("union", "sign", (id(n), version)).unwrap();
    world.by::<_, ()>("union", "sign_for", (id(n), version, person(7), None::<Bytes>)).unwrap();
}

#[test]
fn an_agreement_takes_effect_when_all_have_signed() {
    let mut world = world();
    assert_eq!(submit(&mut world, 1), Ok(1));
    assert_eq!(world.document(1).effective, None);
    world.by::<_, ()>("works", "sign", (id(1), 1u32)).unwrap();
    assert_eq!(code(world.by::<_, ()>("works", "sign", (id(1), 1u32))), "signed_already");
    assert_eq!(code(world.by::<_, ()>("shop", "sign", (id(1), 1u32))), "not_entitled");
    assert_eq!(code(world.call::<_, ()>(account("union", "reader"), "sign", (id(1), 1u32))), "role_missing");
    world.by::<_, ()>("union", "sign", (id(1), 1u32)).unwrap();
    let for_person = (id(1), 1u32, person(7), None::<Bytes>);
    assert_eq!(code(world.by::<_, ()>("works", "sign_for", for_person.clone())), "not_entitled");
    assert_eq!(
        code(world.call::<_, ()>(account("union", "submitter"), "sign_for", for_person.clone())),
        "role_missing"
    );
    assert_eq!(world.version(1, 1).state, VersionState::Pending);
    world.by::<_, ()>("union", "sign_for", for_person.clone()).unwrap();
    let version = world.version(1, 1);
    assert_eq!((version.state, version.signatures.len()), (VersionState::Effective, 3));
    assert_eq!(version.signatures[2].member.as_deref(), Some("union"));
    assert_eq!(world.document(1).effective, Some(1));
    assert_eq!(code(world.by::<_, ()>("union", "sign_for", for_person)), "wrong_state");
    let states: Vec<VersionState> = world.kit.events::<StateChanged>().iter().map(|e| e.state).collect();
    assert_eq!(states, [VersionState::Effective]);
    assert_eq!(world.kit.events::<Signed>().len(), 3);
    let submitted = &world.kit.events::<Submitted>()[0];
    assert_eq!((submitted.version, submitted.issuer.as_str(), submitted.root), (1, "union", Hash([1; 32])));
}

#[test]
fn a_person_with_an_own_key_signs_with_it_and_nobody_for_them() {
    let mut world = World::new();
    let secret = world.register_person_with_key("union", person(7), 5);
    world.register_schema(agreement());
    for n in 1..=2 {
        submit(&mut world, n).unwrap();
        world.by::<_, ()>("works", "sign", (id(n), 1u32)).unwrap();
        world.by::<_, ()>("union", "sign", (id(n), 1u32)).unwrap();
    }
    let bring = |signature: Option<Bytes>| (id(1), 1u32, person(7), signature);
    assert_eq!(code(world.by::<_, ()>("union", "sign_for", bring(None))), "own_key");
    let stranger = vouch_types::SecretKey::from_seed([6; 32]);
    for wrong in [
        sign_version(&stranger, &id(1), 1, Hash([1; 32])),
        sign_version(&secret, &id(1), 1, Hash([2; 32])),
        sign_version(&secret, &id(2), 1, Hash([1; 32])),
        sign_version(&secret, &id(1), 2, Hash([1; 32])),
        Bytes(vec![0; 63]),
    ] {
        assert_eq!(code(world.by::<_, ()>("union", "sign_for", bring(Some(wrong)))), "bad_signature");
    }
    // Anyone's node may bring it.
    let signature = sign_version(&secret, &id(1), 1, Hash([1; 32]));
    world.by::<_, ()>("shop", "sign_for", bring(Some(signature.clone()))).unwrap();
    assert_eq!(world.version(1, 1).signatures[2].member, None);
    // It stays, so that it can be checked again.
    let kept: Option<PersonSignature> = world.kit.call("person_signature", (id(1), 1u32, person(7))).unwrap();
    assert_eq!(kept, Some(PersonSignature { key: key(&secret), signature }));
    // Or the person sends the transaction.
    world.call::<_, ()>(own_account(&secret), "sign", (id(2), 1u32)).unwrap();
    assert_eq!(world.document(2).effective, Some(1));
    assert_eq!(world.version(2, 1).signatures[2].account, own_account(&secret));
    assert_eq!(world.kit.call("person_signature", (id(2), 1u32, person(7))), Ok(None::<PersonSignature>));
}

#[test]
fn a_party_that_must_sign_may_refuse() {
    let mut world = world();
    submit(&mut world, 1).unwrap();
    // A node's own account only reports; the version goes on waiting.
    let service = account("works", "service");
    world.call::<_, ()>(service, "judge", (id(1), 1u32, false, "construction.salt")).unwrap();
    assert_eq!((world.version(1, 1).state, world.version(1, 1).rejected), (VersionState::Pending, 1));
    world.call::<_, ()>(account("works", "approver"), "judge", (id(1), 1u32, false, "price")).unwrap();
    let version = world.version(1, 1);
    assert_eq!((version.state, version.rejected), (VersionState::Rejected, 1));
    assert_eq!(version.ending.unwrap().code, "price");
    assert_eq!(code(world.by::<_, ()>("union", "sign", (id(1), 1u32))), "wrong_state");
    // The issuer tries again with a new version of it.
    world.by::<_, u32>("union", "revise", (id(1), Hash([1; 32]), content(9, parties()))).unwrap();
    sign_all(&mut world, 1, 2);
    assert_eq!(world.document(1).effective, Some(2));
}

#[test]
fn entitled_members_accept_and_reject_and_may_change_their_mind() {
    let mut world = world();
    world.watch("tax", None);
    submit(&mut world, 1).unwrap();
    sign_all(&mut world, 1, 1);
    world.by::<_, ()>("tax", "judge", (id(1), 1u32, false, "commitment.order")).unwrap();
    world.by::<_, ()>("union", "judge", (id(1), 1u32, true, "ok")).unwrap();
    assert_eq!((world.version(1, 1).accepted, world.version(1, 1).rejected), (1, 1));
    world.by::<_, ()>("tax", "judge", (id(1), 1u32, true, "ok")).unwrap();
    assert_eq!((world.version(1, 1).accepted, world.version(1, 1).rejected), (2, 0));
    assert_eq!(world.version(1, 1).state, VersionState::Effective);
    let verdicts: Vec<Verdict> = world.kit.call("verdicts", (id(1), 1u32, "", 10u32)).unwrap();
    assert_eq!(
        verdicts.iter().map(|v| (v.member.as_str(), v.accepted)).collect::<Vec<_>>(),
        [("tax", true), ("union", true)]
    );
    let rest: Vec<Verdict> = world.kit.call("verdicts", (id(1), 1u32, "tax", 10u32)).unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(code(world.by::<_, ()>("shop", "judge", (id(1), 1u32, true, "ok"))), "not_entitled");
    assert_eq!(code(world.by::<_, ()>("union", "judge", (id(1), 1u32, true, "O K"))), "bad_code");
    assert_eq!(
        code(world.call::<_, ()>(account("union", "reader"), "judge", (id(1), 1u32, true, "ok"))),
        "role_missing"
    );
    assert_eq!(world.kit.events::<Judged>().len(), 3);
}

#[test]
fn a_new_version_supersedes_when_it_takes_effect() {
    let mut world = world();
    submit(&mut world, 1).unwrap();
    let next = |root: u8| content(root, parties());
    assert_eq!(code(world.by::<_, u32>("union", "revise", (id(1), Hash([1; 32]), next(2)))), "version_pending");
    sign_all(&mut world, 1, 1);
    assert_eq!(code(world.by::<_, u32>("union", "revise", (id(1), Hash([9; 32]), next(2)))), "previous_root");
    assert_eq!(code(world.by::<_, u32>("works", "revise", (id(1), Hash([1; 32]), next(2)))), "not_issuer");
    assert_eq!(code(world.by::<_, u32>("union", "revise", (id(3), Hash([1; 32]), next(2)))), "unknown_document");
    let mut other = next(2);
    other.parties[1] = entry("client", Party::of_member("mills"));
    assert_eq!(code(world.by::<_, u32>("union", "revise", (id(1), Hash([1; 32]), other))), "owner_changed");
    let mut turned = next(2);
    turned.parties.reverse();
    assert_eq!(world.by::<_, u32>("union", "revise", (id(1), Hash([1; 32]), turned)), Ok(2));
    assert_eq!((world.document(1).effective, world.version(1, 1).state), (Some(1), VersionState::Effective));
    assert_eq!(world.version(1, 2).previous_root, Some(Hash([1; 32])));
    sign_all(&mut world, 1, 2);
    assert_eq!((world.document(1).effective, world.document(1).latest), (Some(2), 2));
    let old = world.version(1, 1);
    assert_eq!((old.state, old.ending.unwrap().code.as_str()), (VersionState::Superseded, "superseded"));
    // A party's list names a document once, however many versions there are.
    assert_eq!(world.kit.call::<_, u64>("count_party", (Party::of_member("works"),)), Ok(1));
}

#[test]
fn the_issuer_revokes_what_stands_and_what_waits() {
    let mut world = world();
    submit(&mut world, 1).unwrap();
    sign_all(&mut world, 1, 1);
    world.by::<_, u32>("union", "revise", (id(1), Hash([1; 32]), content(2, parties()))).unwrap();
    assert_eq!(code(world.by::<_, ()>("works", "revoke", (id(1), "error"))), "not_entitled");
    assert_eq!(code(world.call::<_, ()>(account("union", "submitter"), "revoke", (id(1), "error"))), "role_missing");
    assert_eq!(code(world.by::<_, ()>("union", "revoke", (id(1), "Error"))), "bad_code");
    world.by::<_, ()>("union", "revoke", (id(1), "error")).unwrap();
    assert_eq!(world.version(1, 1).state, VersionState::Revoked);
    assert_eq!(world.version(1, 2).state, VersionState::Revoked);
    assert_eq!(world.document(1).effective, None);
    assert_eq!(code(world.by::<_, ()>("union", "revoke", (id(1), "error"))), "wrong_state");
    assert_eq!(
        code(world.by::<_, u32>("union", "revise", (id(1), Hash([2; 32]), content(3, parties())))),
        "wrong_state"
    );
    // It can still be read: a revoked document is evidence.
    assert!(world.may(account("works", "reader"), Action::Read, 1, 1, "own").allowed);
}

#[test]
fn a_version_that_waits_beside_a_rejected_one_is_revoked_alone() {
    let mut world = world();
    submit(&mut world, 1).unwrap();
    sign_all(&mut world, 1, 1);
    world.by::<_, u32>("union", "revise", (id(1), Hash([1; 32]), content(2, parties()))).unwrap();
    world.by::<_, ()>("works", "judge", (id(1), 2u32, false, "price")).unwrap();
    world.by::<_, ()>("union", "revoke", (id(1), "error")).unwrap();
    assert_eq!(world.version(1, 1).state, VersionState::Revoked);
    assert_eq!(world.version(1, 2).state, VersionState::Rejected);
}

type Change = (&'static str, fn(&mut NewVersion), &'static str);

#[test]
fn submissions_that_break_a_rule_are_refused_and_change_nothing() {
    let changes: [Change; 20] = [
        ("another role", |c| c.parties[0].role = "boss".into(), "party_role"),
        ("a person as client", |c| c.parties[1].party = Party::of_subject(person(7)), "party_kind"),
        ("a member as worker", |c| c.parties[0].party = Party::of_member("works"), "party_kind"),
        ("a regulator as client", |c| c.parties[1].party = Party::of_member("tax"), "party_kind"),
        ("nobody", |c| c.parties[1].party = Party::default(), "party_kind"),
        ("no such member", |c| c.parties[1].party = Party::of_member("nobody"), "unknown_party"),
        ("no such person", |c| c.parties[0].party = Party::of_subject(person(8)), "unknown_party"),
        ("twice", |c| c.parties.push(c.parties[0].clone()), "party_twice"),
        ("two clients", |c| c.parties.push(entry("client", Party::of_member("mills"))), "party_count"),
        ("no client", |c| drop(c.parties.remove(1)), "party_count"),
        ("no such schema", |c| c.schema_version = 2, "unknown_schema"),
        ("public in grade 3", |c| c.public = vec![PublicField { slot: 1, value: "1".into() }], "not_public"),
        ("public beyond the slots", |c| c.public = vec![PublicField { slot: 3, value: "1".into() }], "not_public"),
        ("an empty value", |c| c.public = vec![PublicField { slot: 0, value: String::new() }], "bad_public"),
        ("a long value", |c| c.public = vec![PublicField { slot: 0, value: "x".repeat(513) }], "bad_public"),
        ("public twice", |c| c.public = vec![PublicField { slot: 0, value: "1".into() }; 2], "bad_public"),
        ("a recipient of nothing", |c| c.recipients = vec![recipient(1, &[])], "bad_recipients"),
        ("a recipient beyond the slots", |c| c.recipients = vec![recipient(1, &[3])], "bad_recipients"),
        ("recipients out of order", |c| c.recipients = vec![recipient(2, &[0]), recipient(1, &[0])], "bad_recipients"),
        ("17 recipients", |c| c.recipients = (0..17).map(|n| recipient(n, &[0])).collect(), "bad_recipients"),
    ];
    let mut world = world();
    submit(&mut world, 1).unwrap();
    let before = world.kit.state.clone();
    for (what, change, wanted) in changes {
        let mut bad = content(2, parties());
        change(&mut bad);
        let result = world.by::<_, u64>("union", "submit", (id(2), "agreement".to_owned(), bad));
        assert_eq!(code(result), wanted, "{what}");
    }
    let good = || content(2, parties());
    let submit_as = |world: &mut World, account, id: Bytes, schema: &str| {
        code(world.call::<_, u64>(account, "submit", (id, schema.to_owned(), good())))
    };
    let union = account("union", "all");
    assert_eq!(submit_as(&mut world, union, id(1), "agreement"), "document_exists");
    assert_eq!(submit_as(&mut world, union, Bytes(vec![1; 15]), "agreement"), "bad_id");
    // An id that another has chosen, seen in a transaction of its own; and one of nobody.
    issued_by(9, "agency");
    assert_eq!(submit_as(&mut world, union, id(9), "agreement"), "foreign_id");
    assert_eq!(submit_as(&mut world, union, Bytes(vec![1; 16]), "agreement"), "foreign_id");
    assert_eq!(submit_as(&mut world, union, id(2), "nothing"), "unknown_schema");
    assert_eq!(submit_as(&mut world, account("union", "reader"), id(2), "agreement"), "role_missing");
    assert_eq!(submit_as(&mut world, Account([0xee; 32]), id(2), "agreement"), "not_a_member");
    // A member that is neither a party nor serves an owner.
    issued_by(8, "idle");
    assert_eq!(submit_as(&mut world, account("idle", "all"), id(8), "agreement"), "issuer_unrelated");
    world.set_active("works", false);
    assert_eq!(submit_as(&mut world, union, id(2), "agreement"), "unknown_party");
    world.set_active("works", true);
    assert_eq!(world.kit.state, before);
    world.decide::<_, ()>("retire_schema", ("agreement", 1u32)).unwrap();
    assert_eq!(submit_as(&mut world, union, id(2), "agreement"), "schema_retired");
}

fn recipient(key: u8, slots: &[u16]) -> KeyRecipient {
    KeyRecipient { key: Hash([key; 32]), fields: fields(slots) }
}

#[test]
fn public_fields_and_recipients_by_key_are_kept() {
    let mut world = world();
    let mut content = content(1, parties());
    content.public = vec![PublicField { slot: 0, value: "\"delivery\"".into() }];
    content.recipients = vec![recipient(1, &[1]), recipient(2, &[0, 2])];
    world.by::<_, u64>("union", "submit", (id(1), "agreement".to_owned(), content.clone())).unwrap();
    assert_eq!(world.version(1, 1).content, content);
    let audience = world.audience(1, 1);
    assert_eq!(audience.keys.iter().map(|k| k.fields.clone()).collect::<Vec<_>>(), [fields(&[1]), fields(&[0, 2])]);
}

#[test]
fn a_closed_person_takes_no_new_documents() {
    let mut world = world();
    world.relate::<_, ()>("union", "close_subject", (person(7),)).unwrap();
    assert_eq!(code(submit(&mut world, 1)), "unknown_party");
}
