//! The contract on the test kit.

use proptest::prelude::*;
use vouch_contract::{Account, CallFailure, Contract as _, Decode, Encode, kit::Kit};

use super::*;

const MEMBERS: [(&str, &str); 8] = [
    ("union", "institution"),
    ("agency", "institution"),
    ("hub", "platform"),
    ("works", "enterprise"),
    ("mills", "enterprise"),
    ("tax", "regulator"),
    ("office", "regulator"),
    ("shop", "enterprise"),
];
const DAY: u64 = 86_400_000;

fn account(member: &str, role: &str) -> Account {
    let mut bytes = [0; 32];
    bytes[..member.len()].copy_from_slice(member.as_bytes());
    bytes[16..16 + role.len()].copy_from_slice(role.as_bytes());
    Account(bytes)
}

struct World {
    kit: Kit<Contract>,
}

impl World {
    fn new() -> Self {
        let mut kit = Kit::new();
        for (member, role) in MEMBERS {
            for roles in [&["submitter", "approver"][..], &["submitter"], &["approver"], &["reader"]] {
                let account = account(member, if roles.len() == 2 { "all" } else { roles[0] });
                kit.add_member(account, member, role);
                kit.set_roles(account, roles);
            }
        }
        Self { kit }
    }

    fn call<A: Encode, R: Decode>(&mut self, account: Account, method: &str, arguments: A) -> Result<R, CallFailure> {
        self.kit.sign_as(account);
        self.kit.call(method, arguments)
    }

    fn by<A: Encode, R: Decode>(&mut self, member: &str, method: &str, arguments: A) -> Result<R, CallFailure> {
        self.call(account(member, "all"), method, arguments)
    }

    fn decide<A: Encode, R: Decode>(&mut self, method: &str, arguments: A) -> Result<R, CallFailure> {
        self.kit.calling_contract = Some("system".into());
        let result = self.call(account("shop", "reader"), method, arguments);
        self.kit.calling_contract = None;
        result
    }

    fn person(&mut self, member: &str, n: u8) -> Result<u64, CallFailure> {
        self.by(member, "register_subject", (person(n), None::<Key>, None::<Bytes>))
    }

    fn serving(&mut self, party: Party) -> Vec<String> {
        self.kit.call("serving", (party,)).unwrap()
    }

    fn relationship(&mut self, id: u64) -> Relationship {
        self.kit.call::<_, Option<Relationship>>("relationship", (id,)).unwrap().unwrap()
    }
}

fn person(n: u8) -> Hash {
    Hash([n; 32])
}

fn subject(n: u8) -> Party {
    Party::of_subject(person(n))
}

fn serves(member: &str, party: Party) -> NewRelationship {
    NewRelationship {
        kind: RelationKind::Serves,
        member: member.into(),
        party,
        via: None,
        from_ms: None,
        until_ms: None,
    }
}

fn receives(member: &str, n: u8, via: &str) -> NewRelationship {
    NewRelationship { kind: RelationKind::Receives, via: Some(via.into()), ..serves(member, subject(n)) }
}

fn regulates(member: &str, over: Option<&str>) -> NewRelationship {
    let party = over.map_or_else(Party::default, Party::of_member);
    NewRelationship { kind: RelationKind::Regulates, ..serves(member, party) }
}

fn code<T: core::fmt::Debug>(result: Result<T, CallFailure>) -> String {
    let code = result.expect_err("the call should fail").code;
    code.strip_prefix("contract.error.").map_or(code.clone(), Into::into)
}

fn own(seed: u8) -> (vouch_types::SecretKey, Key, Account) {
    let secret = vouch_types::SecretKey::from_seed([seed; 32]);
    let public = secret.public();
    let mut bytes = [public.algorithm; 33];
    bytes[1..].copy_from_slice(&public.bytes);
    (secret, Key(bytes), Account(public.account().0))
}

/// For a registration by `union`.
fn prove(secret: &vouch_types::SecretKey, n: u8) -> Bytes {
    prove_for(secret, n, "union")
}

fn prove_for(secret: &vouch_types::SecretKey, n: u8, member: &str) -> Bytes {
    let digest = vouch_types::hash::domain_hash("vouch/subject-key/2", &[&[n; 32], member.as_bytes()]);
    Bytes(secret.sign(&digest.0).0.to_vec())
}

#[test]
fn whoever_registers_a_person_serves_them() {
    let mut world = World::new();
    assert_eq!(world.person("union", 1), Ok(1));
    assert_eq!(world.person("hub", 2), Ok(2));
    assert_eq!(world.serving(subject(1)), ["union"]);
    assert_eq!(code(world.person("agency", 1)), "subject_exists");
    assert_eq!(code(world.person("works", 3)), "member_role");
    assert_eq!(code(world.person("tax", 3)), "member_role");
    let arguments = (person(3), None::<Key>, None::<Bytes>);
    assert_eq!(
        code(world.call::<_, u64>(account("union", "reader"), "register_subject", arguments.clone())),
        "role_missing"
    );
    assert_eq!(code(world.call::<_, u64>(Account([9; 32]), "register_subject", arguments)), "not_a_member");
    let many: Vec<Hash> = (10..60).map(person).collect();
    assert_eq!(world.by::<_, u64>("union", "register_subjects", (many.clone(),)), Ok(52));
    assert_eq!(code(world.by::<_, u64>("union", "register_subjects", (many,))), "subject_exists");
    for wrong in [vec![], (100..151).map(person).collect::<Vec<_>>()] {
        assert_eq!(code(world.by::<_, u64>("union", "register_subjects", (wrong,))), "bad_batch");
    }
    assert_eq!(world.kit.call::<_, u64>("count_subjects", ()), Ok(52));
    assert_eq!(world.kit.call::<_, u64>("count_member_subjects", ("union",)), Ok(51));
    let page: Vec<Subject> = world.kit.call("list_member_subjects", ("union", 49u64, 10u32)).unwrap();
    assert_eq!(
        page.iter().map(|s| (s.member_sequence, s.alias)).collect::<Vec<_>>(),
        [(50, person(58)), (51, person(59))]
    );
    let page: Vec<Subject> = world.kit.call("list_subjects", (0u64, 2u32)).unwrap();
    assert_eq!(page.iter().map(|s| s.member.as_str()).collect::<Vec<_>>(), ["union", "hub"]);
    assert_eq!(world.kit.events::<SubjectRegistered>().len(), 52);
}

#[test]
fn records_stand_under_the_keys_that_others_read() {
    use vouch_types::relation::{self as mirror, key};
    let mut world = World::new();
    world.person("union", 1).unwrap();
    world.person("agency", 2).unwrap();
    let read = |key: &[u8]| world.kit.state.get(key).unwrap().clone();
    let count: u64 = vouch_types::decode("count", &read(key::RELATIONSHIPS), 8).unwrap();
    let second: mirror::Relationship =
        vouch_types::decode("record", &read(&key::relationship(count)), 1 << 16).unwrap();
    assert_eq!((count, second.id, second.member.as_str()), (2, 2, "agency"));
    let of = |party: &vouch_types::document::Party| -> (u64, u64) {
        let count = vouch_types::decode("count", &read(&key::party_relationships(party)), 8).unwrap();
        (count, vouch_types::decode("number", &read(&key::party_relationship(party, count)), 8).unwrap())
    };
    assert_eq!(of(&vouch_types::document::Party::member("agency")), (1, 2));
    assert_eq!(of(&vouch_types::document::Party::subject(vouch_types::SubjectId([1; 32]))), (1, 1));
}

#[test]
fn a_key_is_one_persons_and_shown_to_be_theirs() {
    let mut world = World::new();
    let (secret, key, own_account) = own(1);
    let mut register = |n: u8, key: Option<Key>, proof: Option<Bytes>| {
        world.by::<_, u64>("union", "register_subject", (person(n), key, proof))
    };
    assert_eq!(code(register(1, Some(key), None)), "key_proof");
    assert_eq!(code(register(1, None, Some(Bytes(vec![0; 64])))), "key_proof");
    assert_eq!(code(register(1, Some(key), Some(prove(&secret, 2)))), "key_proof");
    assert_eq!(code(register(1, Some(key), Some(Bytes(vec![0; 63])))), "key_proof");
    assert_eq!(register(1, Some(key), Some(prove(&secret, 1))), Ok(1));
    assert_eq!(code(register(2, Some(key), Some(prove(&secret, 2)))), "key_in_use");
    assert_eq!(world.kit.call("subject_of_account", (own_account,)), Ok(Some(person(1))));
    // The person changes the key with the old one; then the old one is nobody's.
    let (second, second_key, second_account) = own(2);
    let new = (person(1), second_key, prove(&second, 1));
    assert_eq!(code(world.by::<_, ()>("agency", "set_subject_key", new.clone())), "not_serving");
    assert_eq!(
        code(world.call::<_, ()>(account("union", "submitter"), "set_subject_key", new.clone())),
        "role_missing"
    );
    world.call::<_, ()>(own_account, "set_subject_key", new).unwrap();
    assert_eq!(world.kit.call("subject_of_account", (own_account,)), Ok(None::<Hash>));
    assert_eq!(world.kit.call("subject_of_account", (second_account,)), Ok(Some(person(1))));
    assert_eq!(world.kit.call("own_key", (person(1),)), Ok(Some(second_key)));
    // Nobody sets another in the person's place, not even who serves them; for who has none they do.
    let (third, third_key, _) = own(3);
    let taken = world.by::<_, ()>("union", "set_subject_key", (person(1), third_key, prove(&third, 1)));
    assert_eq!(code(taken), "own_key");
    assert_eq!(world.kit.call("own_key", (person(1),)), Ok(Some(second_key)));
    world.person("union", 2).unwrap();
    world.by::<_, ()>("union", "set_subject_key", (person(2), third_key, prove(&third, 2))).unwrap();
    assert_eq!(world.kit.call("own_key", (person(2),)), Ok(Some(third_key)));
    assert_eq!(
        code(world.by::<_, ()>("union", "set_subject_key", (person(9), third_key, prove(&third, 9)))),
        "unknown_subject"
    );
}

#[test]
fn every_key_of_a_person_stays_with_who_brought_it() {
    use vouch_types::relation::{self as mirror, key};
    let mut world = World::new();
    world.kit.height = 3;
    let (first, first_key, first_account) = own(1);
    let (second, second_key, _) = own(2);
    let alias = vouch_types::SubjectId([1; 32]);
    world.person("union", 1).unwrap();
    assert_eq!(world.kit.call::<_, u64>("count_keys", (person(1),)), Ok(0));
    let set = (person(1), first_key, prove(&first, 1));
    world.call::<_, ()>(account("union", "approver"), "set_subject_key", set).unwrap();
    world.kit.height = 7;
    // Refused ones leave nothing behind.
    let wrong = (person(1), second_key, prove(&second, 2));
    assert_eq!(code(world.call::<_, ()>(first_account, "set_subject_key", wrong)), "key_proof");
    world.call::<_, ()>(first_account, "set_subject_key", (person(1), second_key, prove(&second, 1))).unwrap();
    let keys: Vec<PersonKey> = world.kit.call("list_keys", (person(1), 0u64, 10u32)).unwrap();
    let told = |key: &PersonKey| (key.number, key.key, key.by, key.member.clone(), key.set.height);
    let union = account("union", "approver");
    assert_eq!(
        keys.iter().map(told).collect::<Vec<_>>(),
        [(1, first_key, union, Some("union".into()), 3), (2, second_key, first_account, None, 7)]
    );
    let ended: Vec<Option<u64>> = keys.iter().map(|key| key.ended.as_ref().map(|at| at.height)).collect();
    assert_eq!(ended, [Some(7), None]);
    assert_eq!(world.kit.call::<_, u64>("count_keys", (person(1),)), Ok(2));
    // A key that is registered at once is the first, and nobody else's count.
    let (third, third_key, _) = own(3);
    let registered = (person(2), Some(third_key), Some(prove(&third, 2)));
    world.by::<_, u64>("union", "register_subject", registered).unwrap();
    let of_second: Vec<PersonKey> = world.kit.call("list_keys", (person(2), 0u64, 10u32)).unwrap();
    assert_eq!(of_second.iter().map(|key| (key.number, key.key)).collect::<Vec<_>>(), [(1, third_key)]);
    // Whoever reads the records checks the agreement again.
    let at = |key: Vec<u8>| world.kit.state.get(&key).unwrap().clone();
    assert_eq!(at(key::person_keys(&alias)), 2u64.to_le_bytes());
    for number in 1..=2 {
        let record: mirror::PersonKey = vouch_types::decode("key", &at(key::person_key(&alias, number)), 4096).unwrap();
        assert_eq!(record.number, number);
        assert!(record.is_agreed(&alias, "union") && !record.is_agreed(&alias, "agency"));
        assert!(!record.is_agreed(&vouch_types::SubjectId([2; 32]), "union"));
    }
    let subject: mirror::Subject = vouch_types::decode("subject", &at(key::subject(&alias)), 4096).unwrap();
    assert_eq!(subject.key, Some(second.public()));
}

#[test]
fn a_proof_is_good_for_one_member_only() {
    let mut world = World::new();
    let (secret, key, own_account) = own(1);
    // Another member has seen it on its way and comes first.
    let seen = (person(1), Some(key), Some(prove(&secret, 1)));
    assert_eq!(code(world.by::<_, u64>("agency", "register_subject", seen.clone())), "key_proof");
    let before = vouch_types::hash::domain_hash("vouch/subject-key/1", &[&[1; 32]]);
    let old = (person(1), Some(key), Some(Bytes(secret.sign(&before.0).0.to_vec())));
    assert_eq!(code(world.by::<_, u64>("union", "register_subject", old)), "key_proof", "what earlier versions took");
    assert_eq!(world.by::<_, u64>("union", "register_subject", seen), Ok(1));
    // Whoever serves them later: it is the member that registered them, which the person knows.
    let (second, second_key, _) = own(2);
    let set = |proof: Bytes| (person(1), second_key, proof);
    let by_other = world.call::<_, ()>(own_account, "set_subject_key", set(prove_for(&second, 1, "agency")));
    assert_eq!(code(by_other), "key_proof");
    world.call::<_, ()>(own_account, "set_subject_key", set(prove(&second, 1))).unwrap();
}

#[test]
fn a_closed_registration_takes_nothing_new_and_keeps_what_is() {
    let mut world = World::new();
    world.person("union", 1).unwrap();
    assert_eq!(code(world.by::<_, ()>("agency", "close_subject", (person(1),))), "not_serving");
    world.by::<_, ()>("union", "close_subject", (person(1),)).unwrap();
    assert_eq!(code(world.by::<_, ()>("union", "close_subject", (person(1),))), "subject_closed");
    assert_eq!(code(world.by::<_, u64>("agency", "offer", (serves("agency", subject(1)),))), "subject_closed");
    assert_eq!(world.serving(subject(1)), ["union"]);
    let ties: Ties = world.kit.call("ties", ("union", vec![subject(1)], Vec::<String>::new())).unwrap();
    assert_eq!(ties.parties, [1], "served, not open");
    assert_eq!(world.kit.events::<SubjectChanged>(), [SubjectChanged { subject: person(1), open: false }]);
}

#[test]
fn both_sides_agree() {
    let mut world = World::new();
    let works = || Party::of_member("works");
    assert_eq!(world.by("union", "offer", (serves("union", works()),)), Ok(1u64));
    assert_eq!(world.serving(works()), Vec::<String>::new());
    assert_eq!(code(world.by::<_, u64>("works", "offer", (serves("union", works()),))), "exists");
    assert_eq!(code(world.by::<_, ()>("union", "answer", (vec![1u64], true))), "not_a_side");
    assert_eq!(code(world.by::<_, ()>("mills", "answer", (vec![1u64], true))), "not_a_side");
    assert_eq!(code(world.call::<_, ()>(account("works", "submitter"), "answer", (vec![1u64], true))), "role_missing");
    world.by::<_, ()>("works", "answer", (vec![1u64], true)).unwrap();
    assert_eq!(world.serving(works()), ["union"]);
    assert_eq!(code(world.by::<_, ()>("works", "answer", (vec![1u64], true))), "wrong_state");
    assert_eq!(code(world.by::<_, u64>("works", "offer", (serves("union", works()),))), "exists");
    // The other side may begin, too.
    assert_eq!(world.by("works", "offer", (serves("agency", works()),)), Ok(2u64));
    assert_eq!(code(world.by::<_, ()>("works", "answer", (vec![2u64], true))), "not_a_side");
    world.by::<_, ()>("agency", "answer", (vec![2u64], true)).unwrap();
    assert_eq!(world.serving(works()), ["agency", "union"]);
    // Either side ends it.
    assert_eq!(code(world.by::<_, ()>("mills", "end", (vec![1u64],))), "not_a_side");
    assert_eq!(code(world.call::<_, ()>(account("works", "reader"), "end", (vec![1u64],))), "role_missing");
    world.by::<_, ()>("works", "end", (vec![1u64, 2],)).unwrap();
    assert_eq!(world.serving(works()), Vec::<String>::new());
    assert_eq!(code(world.by::<_, ()>("works", "end", (vec![1u64],))), "wrong_state");
    assert_eq!(code(world.by::<_, ()>("works", "end", (vec![9u64],))), "unknown_relationship");
    assert_eq!(world.by("union", "offer", (serves("union", works()),)), Ok(3u64));
    let states: Vec<RelationState> = world.kit.events::<RelationshipChanged>().iter().map(|e| e.state).collect();
    use RelationState::{Agreed, Ended, Offered};
    assert_eq!(states, [Offered, Agreed, Offered, Agreed, Ended, Ended, Offered]);
}

#[test]
fn offers_are_declined_and_withdrawn() {
    let mut world = World::new();
    let works = || Party::of_member("works");
    world.by::<_, u64>("union", "offer", (serves("union", works()),)).unwrap();
    assert_eq!(code(world.by::<_, ()>("works", "withdraw", (1u64,))), "not_a_side");
    world.call::<_, ()>(account("union", "submitter"), "withdraw", (1u64,)).unwrap();
    assert_eq!(world.relationship(1).state, RelationState::Withdrawn);
    assert_eq!(code(world.by::<_, ()>("union", "withdraw", (1u64,))), "wrong_state");
    world.by::<_, u64>("union", "offer", (serves("union", works()),)).unwrap();
    world.by::<_, ()>("works", "answer", (vec![2u64], false)).unwrap();
    assert_eq!(world.relationship(2).state, RelationState::Declined);
    assert_eq!(world.serving(works()), Vec::<String>::new());
    assert_eq!(code(world.by::<_, ()>("works", "end", (vec![2u64],))), "wrong_state");
}

#[test]
fn a_service_is_received_through_whoever_serves_the_person() {
    let mut world = World::new();
    world.person("union", 1).unwrap();
    assert_eq!(code(world.by::<_, u64>("works", "offer", (receives("works", 1, "agency"),))), "not_serving");
    assert_eq!(code(world.by::<_, u64>("tax", "offer", (receives("tax", 1, "union"),))), "member_role");
    assert_eq!(code(world.by::<_, u64>("works", "offer", (receives("works", 2, "union"),))), "unknown_subject");
    let no_via = NewRelationship { via: None, ..receives("works", 1, "union") };
    assert_eq!(code(world.by::<_, u64>("works", "offer", (no_via,))), "bad_parties");
    let member = NewRelationship { party: Party::of_member("mills"), ..receives("works", 1, "union") };
    assert_eq!(code(world.by::<_, u64>("works", "offer", (member,))), "bad_parties");
    let id: u64 = world.by("works", "offer", (receives("works", 1, "union"),)).unwrap();
    assert_eq!(code(world.by::<_, ()>("agency", "answer", (vec![id], true))), "not_a_side");
    world.by::<_, ()>("union", "answer", (vec![id], true)).unwrap();
    let id: u64 = world.by("union", "offer", (receives("hub", 1, "union"),)).unwrap();
    world.by::<_, ()>("hub", "answer", (vec![id], true)).unwrap();
    assert_eq!(world.kit.call::<_, Vec<String>>("receivers", (person(1),)), Ok(vec!["hub".into(), "works".into()]));
}

#[test]
fn a_person_answers_and_ends_with_their_own_key() {
    let mut world = World::new();
    let (secret, key, own_account) = own(1);
    let arguments = (person(1), Some(key), Some(prove(&secret, 1)));
    world.by::<_, u64>("union", "register_subject", arguments).unwrap();
    let id: u64 = world.by("agency", "offer", (serves("agency", subject(1)),)).unwrap();
    assert_eq!(code(world.by::<_, ()>("union", "answer", (vec![id], true))), "not_a_side", "nobody agrees for them");
    world.call::<_, ()>(own_account, "answer", (vec![id], true)).unwrap();
    assert_eq!(world.serving(subject(1)), ["agency", "union"]);
    world.call::<_, ()>(own_account, "end", (vec![1u64],)).unwrap();
    assert_eq!(world.serving(subject(1)), ["agency"]);
    // Now it is the new institution that speaks for the person.
    assert_eq!(code(world.by::<_, u64>("works", "offer", (receives("works", 1, "union"),))), "not_serving");
}

#[test]
fn regulators_watch_by_their_own_word_or_the_members() {
    let mut world = World::new();
    let watching =
        |world: &mut World, member: &str| -> Vec<String> { world.kit.call("regulators", (member,)).unwrap() };
    assert_eq!(code(world.by::<_, u64>("works", "offer", (regulates("works", None),))), "member_role");
    assert_eq!(code(world.by::<_, u64>("works", "offer", (regulates("tax", Some("works")),))), "not_a_side");
    assert_eq!(
        code(world.call::<_, u64>(account("tax", "submitter"), "offer", (regulates("tax", None),))),
        "role_missing"
    );
    let all: u64 = world.by("tax", "offer", (regulates("tax", None),)).unwrap();
    let one: u64 = world.by("office", "offer", (regulates("office", Some("works")),)).unwrap();
    assert_eq!(watching(&mut world, "works"), ["office", "tax"]);
    assert_eq!(watching(&mut world, "mills"), ["tax"]);
    assert_eq!(code(world.by::<_, ()>("works", "end", (vec![one],))), "not_a_side", "nobody shakes off a regulator");
    world.by::<_, ()>("tax", "end", (vec![all],)).unwrap();
    assert_eq!(watching(&mut world, "mills"), Vec::<String>::new());
    // Confined: the members decide its scope.
    assert_eq!(code(world.by::<_, ()>("works", "confine", ("tax", true))), "not_decided");
    assert_eq!(code(world.decide::<_, ()>("confine", ("works", true))), "member_role");
    world.decide::<_, ()>("confine", ("tax", true)).unwrap();
    assert_eq!(world.kit.call::<_, bool>("confined", ("tax",)), Ok(true));
    assert_eq!(code(world.by::<_, u64>("tax", "offer", (regulates("tax", None),))), "confined");
    let decided: u64 = world.decide("offer", (regulates("tax", Some("mills")),)).unwrap();
    assert_eq!(watching(&mut world, "mills"), ["tax"]);
    assert_eq!(code(world.by::<_, ()>("tax", "end", (vec![decided],))), "confined");
    world.decide::<_, ()>("end", (vec![decided],)).unwrap();
    world.decide::<_, ()>("confine", ("tax", false)).unwrap();
    world.by::<_, u64>("tax", "offer", (regulates("tax", None),)).unwrap();
    assert_eq!(code(world.by::<_, u64>("union", "offer", (serves("union", Party::default()),))), "bad_parties");
}

#[test]
fn time_bounds_hold_to_the_millisecond() {
    let mut world = World::new();
    let works = || Party::of_member("works");
    let now = world.kit.time_ms;
    let within = |from: Option<u64>, until: Option<u64>| NewRelationship {
        from_ms: from,
        until_ms: until,
        ..serves("union", works())
    };
    for (from, until) in [(None, Some(now)), (Some(now + 5), Some(now + 5)), (Some(now + 6), Some(now + 5))] {
        assert_eq!(code(world.by::<_, u64>("union", "offer", (within(from, until),))), "bad_times");
    }
    world.by::<_, u64>("union", "offer", (within(Some(now + 5), Some(now + 9)),)).unwrap();
    world.by::<_, ()>("works", "answer", (vec![1u64], true)).unwrap();
    for (time, served) in [(4, false), (5, true), (8, true), (9, false)] {
        world.kit.time_ms = now + time;
        assert_eq!(world.serving(works()).len() == 1, served, "{time}");
    }
    // Its place is free for another, and its own end changes nothing of that one.
    world.by::<_, u64>("union", "offer", (within(None, Some(now + DAY)),)).unwrap();
    world.by::<_, ()>("works", "answer", (vec![2u64], true)).unwrap();
    world.by::<_, ()>("works", "end", (vec![1u64],)).unwrap();
    assert_eq!(world.serving(works()), ["union"]);
    // An offer that is answered too late is refused.
    world
        .by::<_, u64>("agency", "offer", (NewRelationship { until_ms: Some(now + 20), ..serves("agency", works()) },))
        .unwrap();
    world.kit.time_ms = now + 20;
    assert_eq!(code(world.by::<_, ()>("works", "answer", (vec![3u64], true))), "bad_times");
}

#[test]
fn what_was_in_force_at_a_time_can_be_asked() {
    let mut world = World::new();
    let start = world.kit.time_ms;
    world.person("union", 1).unwrap();
    world.kit.time_ms = start + 10;
    let id: u64 = world.by("agency", "offer", (serves("agency", subject(1)),)).unwrap();
    world.by::<_, ()>("union", "answer", (vec![id], true)).unwrap();
    world.kit.time_ms = start + 20;
    world.by::<_, ()>("agency", "end", (vec![id],)).unwrap();
    for (at, wanted) in [(0, vec!["union"]), (9, vec!["union"]), (10, vec!["union", "agency"]), (20, vec!["union"])] {
        let page: RelationshipPage =
            world.kit.call("in_force", (subject(1), RelationKind::Serves, Some(start + at), 0u64)).unwrap();
        let names: Vec<&str> = page.entries.iter().map(|e| e.relationship.member.as_str()).collect();
        assert_eq!((names, page.next), (wanted, None), "{at}");
    }
    let page: RelationshipPage =
        world.kit.call("in_force", (subject(1), RelationKind::Serves, None::<u64>, 1u64)).unwrap();
    assert!(page.entries.is_empty());
}

#[test]
fn as_many_as_are_allowed_and_no_more() {
    let mut world = World::new();
    for n in 0..201u8 {
        let name = format!("buyer{n}");
        for role in ["all", "x"] {
            let account = account(&name, role);
            world.kit.add_member(account, &name, "enterprise");
            world.kit.set_roles(account, &["submitter", "approver"]);
        }
    }
    world.person("union", 1).unwrap();
    let mut ids = vec![];
    for n in 0..201u8 {
        let name = format!("buyer{n}");
        let until_ms = (n == 5).then_some(world.kit.time_ms + DAY);
        let new = NewRelationship { until_ms, ..receives(&name, 1, "union") };
        ids.push(world.by::<_, u64>(&name, "offer", (new,)).unwrap());
    }
    for batch in ids[..200].chunks(50) {
        world.by::<_, ()>("union", "answer", (batch.to_vec(), true)).unwrap();
    }
    assert_eq!(code(world.by::<_, ()>("union", "answer", (vec![ids[200]], true))), "too_many");
    let around: Surroundings = world.kit.call("around", (vec![subject(1)], Vec::<String>::new())).unwrap();
    assert_eq!(around.parties[0].recipients.len(), 200);
    assert!(around.parties[0].recipients.windows(2).all(|pair| pair[0] < pair[1]));
    // One that is past its time makes room.
    world.kit.time_ms += DAY;
    world.by::<_, ()>("union", "answer", (vec![ids[200]], true)).unwrap();
    assert_eq!(world.kit.call::<_, Vec<String>>("receivers", (person(1),)).unwrap().len(), 200);
    for wrong in [vec![], vec![1u64; 51]] {
        assert_eq!(code(world.by::<_, ()>("union", "answer", (wrong.clone(), true))), "bad_batch");
        assert_eq!(code(world.by::<_, ()>("union", "end", (wrong,))), "bad_batch");
    }
}

#[test]
fn a_suspended_member_begins_nothing() {
    let mut world = World::new();
    world.kit.set_member_active("works", false);
    assert_eq!(
        code(world.by::<_, u64>("union", "offer", (serves("union", Party::of_member("works")),))),
        "unknown_member"
    );
    assert_eq!(
        code(world.by::<_, u64>("union", "offer", (serves("union", Party::of_member("nobody")),))),
        "unknown_member"
    );
    assert_eq!(
        code(world.by::<_, u64>("union", "offer", (serves("union", Party::of_member("union")),))),
        "bad_parties"
    );
    assert_eq!(
        code(world.by::<_, u64>("works", "offer", (serves("agency", Party::of_member("works")),))),
        "unknown_member"
    );
}

#[test]
fn around_and_ties_say_the_same() {
    let mut world = World::new();
    world.person("union", 1).unwrap();
    let id: u64 = world.by("works", "offer", (receives("works", 1, "union"),)).unwrap();
    world.by::<_, ()>("union", "answer", (vec![id], true)).unwrap();
    world.by::<_, u64>("tax", "offer", (regulates("tax", Some("union")),)).unwrap();
    world.by::<_, u64>("office", "offer", (regulates("office", Some("mills")),)).unwrap();
    let parties = || vec![subject(1), Party::of_member("works")];
    let watched = || vec!["works".to_owned()];
    let around: Surroundings = world.kit.call("around", (parties(), watched())).unwrap();
    assert_eq!(around.parties[0].institutions, ["union"]);
    assert_eq!(around.parties[0].recipients, ["works"]);
    assert!(around.parties[1].institutions.is_empty());
    assert_eq!(around.regulators, ["tax"], "of the member that registered the person");
    for (member, wanted, regulates) in
        [("union", [5, 0], false), ("works", [6, 0], false), ("tax", [4, 0], true), ("office", [4, 0], false)]
    {
        let ties: Ties = world.kit.call("ties", (member, parties(), watched())).unwrap();
        assert_eq!((ties.parties, ties.regulates), (wanted.to_vec(), regulates), "{member}");
    }
    let too_many = vec![subject(1); 41];
    assert_eq!(code(world.kit.call::<_, Surroundings>("around", (too_many, watched()))), "bad_parties");
    assert_eq!(code(world.kit.call::<_, Surroundings>("around", (vec![Party::default()], watched()))), "bad_parties");
}

#[test]
fn the_abi_is_valid() {
    let abi = vouch_types::abi::Abi::from_json(Contract::ABI).unwrap();
    assert_eq!((abi.name.as_str(), abi.methods.len(), abi.types.len()), ("relations", 30, 13));
}

#[derive(Debug, Clone)]
enum Step {
    Person { member: usize, n: u8 },
    Offer { by: usize, member: usize, n: u8, receives: bool },
    Answer { by: usize, id: u64, accept: bool },
    Withdraw { by: usize, id: u64 },
    End { by: usize, id: u64 },
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let (by, id) = (0..5usize, 1..20u64);
    prop_oneof![
        (0..3usize, 0..3u8).prop_map(|(member, n)| Step::Person { member, n }),
        (by.clone(), 0..5usize, 0..5u8, any::<bool>()).prop_map(|(by, member, n, receives)| Step::Offer {
            by,
            member,
            n,
            receives
        }),
        (by.clone(), id.clone(), any::<bool>()).prop_map(|(by, id, accept)| Step::Answer { by, id, accept }),
        (by.clone(), id.clone()).prop_map(|(by, id)| Step::Withdraw { by, id }),
        (by, id).prop_map(|(by, id)| Step::End { by, id }),
        Just(Step::Wait),
    ]
}

fn run(world: &mut World, step: &Step) -> bool {
    let name = |at: usize| MEMBERS[at].0;
    match *step {
        Step::Person { member, n } => world.person(name(member), n).is_ok(),
        Step::Offer { by, member, n, receives: received } => {
            let new = if received {
                receives(name(member), n, "union")
            } else {
                let party = if n < 3 { subject(n) } else { Party::of_member(name(usize::from(n))) };
                serves(name(member), party)
            };
            world.by::<_, u64>(name(by), "offer", (new,)).is_ok()
        }
        Step::Answer { by, id, accept } => world.by::<_, ()>(name(by), "answer", (vec![id], accept)).is_ok(),
        Step::Withdraw { by, id } => world.by::<_, ()>(name(by), "withdraw", (id,)).is_ok(),
        Step::End { by, id } => world.by::<_, ()>(name(by), "end", (vec![id],)).is_ok(),
        Step::Wait => {
            world.kit.time_ms += 1;
            true
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Numbers have no gaps, each party's list has what names it, and what is in force is what is agreed.
    #[test]
    fn lists_have_no_gaps(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            let before = world.kit.state.clone();
            if !run(&mut world, step) {
                prop_assert_eq!(&world.kit.state, &before, "a failed call changes nothing");
            }
        }
        let count: u64 = world.kit.call("count", ()).unwrap();
        let mut all: Vec<Relationship> = vec![];
        loop {
            let page: Vec<Relationship> = world.kit.call("list", (all.len() as u64, 50u32)).unwrap();
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        prop_assert_eq!(all.iter().map(|r| r.id).collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
        let parties = (0..3).map(subject).chain(MEMBERS.map(|(name, _)| Party::of_member(name)));
        for party in parties {
            let listed: Vec<RelationshipEntry> =
                world.kit.call("list_party", (party.clone(), 0u64, 50u32)).unwrap();
            let count: u64 = world.kit.call("count_party", (party.clone(),)).unwrap();
            prop_assert_eq!(listed.len() as u64, count.min(50));
            let names_it = |r: &&Relationship| {
                r.party == party || party.is_member(&r.member) || r.via.as_deref().is_some_and(|via| party.is_member(via))
            };
            let wanted: Vec<u64> = all.iter().filter(names_it).map(|r| r.id).take(50).collect();
            prop_assert_eq!(listed.iter().map(|e| e.relationship.id).collect::<Vec<_>>(), wanted);
            let mut serving: Vec<String> = all
                .iter()
                .filter(|r| r.kind == RelationKind::Serves && r.party == party && r.state == RelationState::Agreed)
                .map(|r| r.member.clone())
                .collect();
            serving.sort();
            prop_assert_eq!(world.serving(party), serving);
        }
    }
}
