//! `vouch_types::document` and `vouch_types::relation` are the same records: what the contracts answer decodes as them, is
//! encoded by them to the same bytes, and is the same JSON that the ABI gives.

use serde::{Serialize, de::DeserializeOwned};
use vouch_contract::{Encode, encode, kit::Kit};
use vouch_types::{abi::Abi, codec::Format, document as mirror};

use super::{
    lifecycle::{agreement, parties, sign_all, submit, world as lifecycle_world},
    world::*,
    *,
};

/// Decodes an answer as a mirror type and checks that bytes and JSON are the same.
fn check<T>(abi: &Abi, method: &str, bytes: &[u8]) -> T
where
    T: Serialize
        + DeserializeOwned
        + PartialEq
        + core::fmt::Debug
        + wincode::SchemaWrite<Format, Src = T>
        + for<'a> wincode::SchemaRead<'a, Format, Dst = T>,
{
    let value: T = vouch_types::decode("answer", bytes, mirror::RECORD_BYTES_MAX).unwrap();
    assert_eq!(vouch_types::encode(&value), bytes, "{method}");
    let json = abi.decode_result(method, bytes).unwrap();
    assert_eq!(serde_json::to_value(&value).unwrap(), json, "{method}");
    assert_eq!(serde_json::from_value::<T>(json).unwrap(), value, "{method}");
    value
}

struct Checks {
    world: World,
    abi: Abi,
}

impl Checks {
    fn ask<T>(&mut self, method: &str, arguments: impl Encode) -> T
    where
        T: Serialize
            + DeserializeOwned
            + PartialEq
            + core::fmt::Debug
            + wincode::SchemaWrite<Format, Src = T>
            + for<'a> wincode::SchemaRead<'a, Format, Dst = T>,
    {
        let bytes = self.world.kit.call_bytes(method, &encode(&arguments)).unwrap();
        check(&self.abi, method, &bytes)
    }
}

/// A world in which every record that is mirrored has something in every place.
fn full() -> Checks {
    let mut world = lifecycle_world();
    world.watch("tax", None);
    let mut first = content(1, parties());
    first.blob_root = Some(Hash([8; 32]));
    first.public = vec![PublicField { slot: 0, value: "\"x\"".into() }];
    first.recipients = vec![KeyRecipient { key: Hash([1; 32]), fields: fields(&[1]) }];
    world.by::<_, u64>("union", "submit", (id(1), "agreement".to_owned(), first)).unwrap();
    sign_all(&mut world, 1, 1);
    world.by::<_, ()>("tax", "judge", (id(1), 1u32, true, "ok")).unwrap();
    world.by::<_, u32>("union", "revise", (id(1), Hash([1; 32]), content(2, parties()))).unwrap();
    sign_all(&mut world, 1, 2);
    world
        .call::<_, ()>(
            account("tax", "service"),
            "attest_possession",
            (vec![Possession { id: id(1), version: 1, fields: fields(&[1]) }],),
        )
        .unwrap();
    for (member, key) in [(Some("shop".to_owned()), None), (None, Some(Hash([2; 32])))] {
        let new = NewGrant { member, key, fields: fields(&[0]), purpose: "tax".into(), until_ms: Some(u64::MAX >> 12) };
        world.by::<_, u64>("union", "grant", (id(1), 1u32, new)).unwrap();
    }
    world.decide::<_, ()>("set_arbiters", (vec!["court"],)).unwrap();
    let dispute: u64 = world.by("works", "open_dispute", (id(1), 2u32, "court", "price", Hash([1; 32]))).unwrap();
    world.by::<_, ()>("works", "add_evidence", (dispute, id(1), 2u32, fields(&[1]))).unwrap();
    world.by::<_, ()>("union", "answer_dispute", (dispute, Hash([2; 32]))).unwrap();
    world.by::<_, ()>("tax", "set_hold", (id(1), "case")).unwrap();
    world
        .call::<_, u64>(account("tax", "service"), "anchor_audit", ("n", Hash::default(), 3u64, Hash([1; 32])))
        .unwrap();
    let abi = Abi::from_json(Contract::ABI).unwrap();
    Checks { world, abi }
}

#[test]
fn records_of_documents_are_mirrored() {
    let mut checks = full();
    let document: Option<mirror::Document> = checks.ask("document", (id(1),));
    let document = document.unwrap();
    assert_eq!((document.disputes, document.holds, document.latest), (1, 1, 2));
    let first: Option<mirror::Version> = checks.ask("version", (id(1), 1u32));
    assert_eq!(first.unwrap().state, mirror::VersionState::Superseded);
    let second: Option<mirror::Version> = checks.ask("version", (id(1), 2u32));
    assert_eq!(second.unwrap().signatures.len(), 3);
    let schema: Option<mirror::Schema> = checks.ask("schema", ("agreement", 1u32));
    assert_eq!(schema.unwrap().definition.fields.len(), 3);
    checks.ask::<Vec<mirror::DocumentEntry>>("list", (0u64, 10u32));
    checks.ask::<mirror::Counts>("counts", ());
    checks.ask::<Vec<mirror::Verdict>>("verdicts", (id(1), 1u32, "", 10u32));
    let audience: mirror::Audience = checks.ask("audience", (id(1), 1u32));
    assert_eq!((audience.members.len(), audience.keys.len()), (4, 2));
    let reader = account("union", "reader");
    let may: mirror::Decision = checks.ask("may", (reader, Action::Read, id(1), 1u32, "tax"));
    assert!(may.allowed && may.reason == mirror::reason::OK && may.fields.contains(2));
    checks.ask::<Vec<mirror::Grant>>("list_grants", (id(1), 0u64, 10u32));
    checks.ask::<Vec<mirror::Hold>>("holds", (id(1),));
    checks.ask::<Option<mirror::AuditAnchor>>("audit_head", ("tax", "n"));
    let ruling = (1u64, Effect::Corrected, "price", Hash([3; 32]));
    checks.world.by::<_, ()>("court", "rule", ruling).unwrap();
    let dispute: Option<mirror::Dispute> = checks.ask("dispute", (1u64,));
    assert_eq!(dispute.unwrap().ruling.unwrap().effect, mirror::Effect::Corrected);
    checks.world.by::<_, ()>("tax", "lift_hold", (id(1), "tax")).unwrap();
    checks.world.by::<_, ErasureState>("union", "request_erasure", (id(1), "consent")).unwrap();
    checks.world.by::<_, ()>("tax", "attest_erasure", (id(1), Hash([4; 32]))).unwrap();
    checks.world.advance(16 * limits::DAY_MS);
    checks.world.by::<_, ()>("tax", "close_erasure", (id(1),)).unwrap();
    let erasure: Option<mirror::Erasure> = checks.ask("erasure", (id(1),));
    let erasure = erasure.unwrap();
    assert_eq!((erasure.state, erasure.attestations.len()), (mirror::ErasureState::Erased, 1));
    assert!(!erasure.missing.is_empty());
}

#[test]
fn records_stand_under_the_keys_that_others_read() {
    fn at<T: for<'a> wincode::SchemaRead<'a, Format, Dst = T>>(checks: &Checks, key: &[u8]) -> T {
        let value = checks.world.kit.state.get(key).unwrap_or_else(|| panic!("nothing under {key:02x?}"));
        vouch_types::decode("record", value, mirror::RECORD_BYTES_MAX).unwrap()
    }
    use mirror::key;
    let mut checks = full();
    checks.world.by::<_, ErasureState>("union", "request_erasure", (id(1), "consent")).unwrap();
    let document = mirror::DocumentId::issued("union", [1; 10]);
    assert_eq!(at::<mirror::Document>(&checks, &key::document(&document)).id, document);
    assert_eq!(at::<mirror::Version>(&checks, &key::version(&document, 2)).version, 2);
    assert_eq!(at::<mirror::Schema>(&checks, &key::schema("agreement", 1)).definition.name, "agreement");
    assert_eq!(at::<mirror::Grant>(&checks, &key::grant(2)).id, 2);
    assert_eq!(at::<mirror::Dispute>(&checks, &key::dispute(1)).document, document);
    assert_eq!(at::<mirror::Erasure>(&checks, &key::erasure(&document)).document, document);
    assert_eq!(at::<mirror::DocumentId>(&checks, &key::erasure_number(1)), document);
    assert_eq!(checks.world.kit.state[&key::listed(1)], document.as_bytes());
    let counters = [key::DOCUMENTS, key::GRANTS, key::DISPUTES, key::ERASURES];
    assert_eq!(counters.map(|counter| at::<u64>(&checks, counter)), [1, 2, 1, 1]);
}

#[test]
fn arguments_that_others_send_are_mirrored() {
    let content = mirror::NewVersion {
        schema_version: 1,
        root: vouch_types::DocumentRoot([1; 32]),
        blob_root: None,
        parties: parties()
            .into_iter()
            .map(|entry| mirror::PartyEntry {
                role: entry.role,
                party: mirror::Party {
                    member: entry.party.member,
                    subject: entry.party.subject.map(|hash| vouch_types::SubjectId(hash.0)),
                },
            })
            .collect(),
        references: vec![],
        public: vec![],
        recipients: vec![],
    };
    let bytes = vouch_types::encode(&(mirror::DocumentId::issued("union", [1; 10]), "agreement".to_owned(), content));
    let mut world = lifecycle_world();
    world.kit.sign_as(account("union", "submitter"));
    world.kit.call_bytes(mirror::method::SUBMIT, &bytes).unwrap();
    let held = mirror::Possession {
        id: mirror::DocumentId::issued("union", [1; 10]),
        version: 1,
        fields: mirror::FieldSet::first(3),
    };
    world.kit.sign_as(account("union", "service"));
    world.kit.call_bytes(mirror::method::ATTEST_POSSESSION, &vouch_types::encode(&vec![held])).unwrap();
    let abi = Abi::from_json(Contract::ABI).unwrap();
    for method in [
        mirror::method::REVISE,
        mirror::method::DOCUMENT,
        mirror::method::VERSION,
        mirror::method::SCHEMA,
        mirror::method::AUDIENCE,
        mirror::method::MAY,
        mirror::method::LIST_PARTY,
        mirror::method::LIST,
        mirror::method::JUDGE,
        mirror::method::ATTEST_ERASURE,
        mirror::method::ANCHOR_AUDIT,
    ] {
        assert!(abi.method(method).is_some(), "{method}");
    }
}

/// Names and fields of events are those of the mirror's types.
#[test]
fn events_are_mirrored() {
    use mirror::event;
    let mut checks = full();
    fn first<E>(checks: &mut Checks, name: &str, bytes: &[u8])
    where
        E: Serialize + wincode::SchemaWrite<Format, Src = E> + for<'a> wincode::SchemaRead<'a, Format, Dst = E>,
    {
        let value: E = vouch_types::decode("event", bytes, 4096).unwrap();
        assert_eq!(vouch_types::encode(&value), bytes, "{name}");
        assert_eq!(serde_json::to_value(&value).unwrap(), checks.abi.decode_event(name, bytes).unwrap(), "{name}");
    }
    macro_rules! each {
        ($($name:ident),*) => {$(
            let event = checks.world.kit.events::<$name>().into_iter().next().expect(stringify!($name));
            first::<event::$name>(&mut checks, stringify!($name), &encode(&event));
        )*};
    }
    let ruling = (1u64, Effect::Annulled, "price", Hash([3; 32]));
    checks.world.by::<_, ()>("court", "rule", ruling).unwrap();
    checks.world.by::<_, ()>("tax", "lift_hold", (id(1), "tax")).unwrap();
    checks.world.by::<_, ErasureState>("union", "request_erasure", (id(1), "consent")).unwrap();
    checks.world.by::<_, ()>("tax", "attest_erasure", (id(1), Hash([4; 32]))).unwrap();
    checks.world.advance(16 * limits::DAY_MS);
    checks.world.by::<_, ()>("tax", "close_erasure", (id(1),)).unwrap();
    each!(
        Submitted,
        StateChanged,
        Signed,
        Judged,
        AudienceChanged,
        Disputed,
        DisputeChanged,
        Ruled,
        ErasureRequested,
        ErasureAttested,
        Tombstoned,
        HoldChanged,
        PossessionAttested,
        AuditAnchored,
        SchemaChanged
    );
}

/// Proofs name records by the keys that `vouch_types` gives.
#[test]
fn keys_of_records_are_mirrored() {
    let mut checks = full();
    let document = mirror::DocumentId::new(id(1).0.try_into().unwrap());
    let mut same = |key: Vec<u8>, method: &str, arguments: Vec<u8>| {
        let stored = checks.world.kit.stored(&key).unwrap_or_else(|| panic!("{method}: nothing at {key:?}")).to_vec();
        let answer = checks.world.kit.call_bytes(method, &arguments).unwrap();
        // The answer is an option that holds the record.
        assert_eq!(answer, [&[1], &stored[..]].concat(), "{method}");
    };
    same(mirror::key::document(&document), "document", encode(&(id(1),)));
    same(mirror::key::version(&document, 2), "version", encode(&(id(1), 2u32)));
    same(mirror::key::schema("agreement", 1), "schema", encode(&("agreement", 1u32)));
    same(mirror::key::audit_anchor("tax", "n", 1), "audit_head", encode(&("tax", "n")));
}

/// A signature that a person made is checked again by whoever reads it.
#[test]
fn signatures_of_persons_are_mirrored() {
    let mut world = World::new();
    let secret = world.register_person_with_key("union", person(7), 5);
    world.register_schema(agreement());
    submit(&mut world, 1).unwrap();
    let signature = sign_version(&secret, &id(1), 1, Hash([1; 32]));
    world.by::<_, ()>("union", "sign_for", (id(1), 1u32, person(7), Some(signature))).unwrap();
    let mut checks = Checks { world, abi: Abi::from_json(Contract::ABI).unwrap() };
    let kept: Option<mirror::PersonSignature> = checks.ask("person_signature", (id(1), 1u32, person(7)));
    let (kept, document) = (kept.unwrap(), mirror::DocumentId::issued("union", [1; 10]));
    let root = |n: u8| vouch_types::DocumentRoot([n; 32]);
    assert!(kept.is_of(&document, 1, &root(1)));
    assert!(!kept.is_of(&document, 2, &root(1)) && !kept.is_of(&document, 1, &root(2)));
    let key = mirror::key::person_signature(&document, 1, &vouch_types::SubjectId([7; 32]));
    assert_eq!(checks.world.kit.state[&key], vouch_types::encode(&kept));
}

#[test]
fn records_of_relations_are_mirrored() {
    use vouch_types::relation;
    let mut world = lifecycle_world();
    world.receive("works", person(7));
    world.register_person_with_key("union", person(8), 8);
    let abi = Abi::from_json(<relations::Contract as vouch_contract::Contract>::ABI).unwrap();
    world.relations(|kit: &mut Kit<relations::Contract>| {
        let bytes = kit.call_bytes("relationship", &encode(&(2u64,))).unwrap();
        let found: Option<relation::Relationship> = check(&abi, "relationship", &bytes);
        assert_eq!(found.unwrap().kind, relation::RelationKind::Receives);
        let bytes = kit.call_bytes("subject", &encode(&(person(7),))).unwrap();
        check::<Option<relation::Subject>>(&abi, "subject", &bytes);
        let bytes = kit.call_bytes("list_keys", &encode(&(person(8), 0u64, 10u32))).unwrap();
        let keys: Vec<relation::PersonKey> = check(&abi, "list_keys", &bytes);
        assert!(keys[0].is_agreed(&vouch_types::SubjectId([8; 32]), "union"));
        let listed = (Party::of_subject(person(7)), 0u64, 10u32);
        let bytes = kit.call_bytes("list_party", &encode(&listed)).unwrap();
        check::<Vec<relation::RelationshipEntry>>(&abi, "list_party", &bytes);
        let event = kit.events::<relations::RelationshipChanged>().pop().unwrap();
        let changed: relation::RelationshipChanged = vouch_types::decode("event", &encode(&event), 4096).unwrap();
        assert_eq!(vouch_types::encode(&changed), encode(&event));
        let event = kit.events::<relations::SubjectRegistered>().pop().unwrap();
        let registered: relation::SubjectRegistered = vouch_types::decode("event", &encode(&event), 4096).unwrap();
        assert_eq!(registered.member, "union");
    });
}
