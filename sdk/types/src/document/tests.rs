use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    codec::{decode, encode},
    hash::{AccountId, DocumentRoot, Hash32, SubjectId},
    relation::{RelationKind, RelationState, Relationship},
};

const AT: Moment = Moment { height: Height(7), time_ms: TimestampMs(1_800_000_000_000) };

fn id(byte: u8) -> DocumentId {
    DocumentId::new([byte; 16])
}

#[test]
fn an_id_is_a_byte_string_of_sixteen() {
    let bytes = encode(&id(7));
    assert_eq!(bytes, encode(&vec![7u8; 16]));
    assert_eq!(decode::<DocumentId>("id", &bytes, 24), Ok(id(7)));
    for length in [0, 15, 17, 32] {
        assert!(decode::<DocumentId>("id", &encode(&vec![7u8; length]), 64).is_err(), "{length}");
    }
    assert_eq!(id(0xab).to_string().parse(), Ok(id(0xab)));
    assert!("ab".parse::<DocumentId>().is_err());
    assert_eq!(serde_json::to_value(id(1)).unwrap(), "01".repeat(16));
    assert_eq!(serde_json::from_str::<DocumentId>(&format!("\"{}\"", id(1))).unwrap(), id(1));
    assert!(serde_json::from_str::<DocumentId>("\"01\"").is_err());
}

proptest! {
    #[test]
    fn field_sets_are_sets(a in prop::collection::btree_set(0..1024u16, 0..40), b in prop::collection::btree_set(0..1024u16, 0..40)) {
        let set = |slots: &BTreeSet<u16>| slots.iter().copied().collect::<FieldSet>();
        let (x, y) = (set(&a), set(&b));
        prop_assert!(x.iter().eq(a.iter().copied()));
        prop_assert_eq!(x.union(&y), set(&(&a | &b)));
        prop_assert_eq!(x.intersection(&y), set(&(&a & &b)));
        prop_assert_eq!(x.difference(&y), set(&(&a - &b)));
        prop_assert_eq!(x.is_subset(&y), a.is_subset(&b));
        prop_assert_eq!(x.len() as usize, a.len());
        prop_assert_eq!(x.is_empty(), a.is_empty());
        prop_assert!(x.is_valid() && x.union(&y).is_valid());
        prop_assert_eq!(&FieldSet::from_bytes(x.as_bytes()), &x);
        let decoded = decode::<FieldSet>("fields", &encode(&x), 256).unwrap();
        prop_assert_eq!(&decoded, &x);
        for slot in 0..1024 {
            prop_assert_eq!(x.contains(slot), a.contains(&slot));
        }
    }
}

#[test]
fn one_set_has_one_form() {
    assert_eq!(FieldSet::from_bytes(&[1, 0, 0]), FieldSet::first(1));
    assert_eq!(FieldSet::first(9).as_bytes(), [0xff, 1]);
    let padded: FieldSet = decode("fields", &encode(&vec![1u8, 0]), 64).unwrap();
    assert!(!padded.is_valid());
    let long: FieldSet = decode("fields", &encode(&vec![1u8; 129]), 256).unwrap();
    assert!(!long.is_valid());
    assert!(!FieldSet::first(1024).contains(1024));
    assert_eq!(serde_json::to_value(FieldSet::first(9)).unwrap(), "ff01");
}

/// The layout is the chain's: the same bytes as bincode's legacy format gives for plain types of the same shape.
#[test]
fn records_have_the_layout_of_the_chain() {
    let content = NewVersion {
        schema_version: 1,
        root: DocumentRoot([2; 32]),
        blob_root: Some(Hash32([3; 32])),
        parties: vec![PartyEntry { role: "worker".into(), party: Party::subject(SubjectId([4; 32])) }],
        references: vec![ReferenceEntry { name: "contract".into(), id: id(5), version: 6 }],
        public: vec![PublicField { slot: 7, value: "\"x\"".into() }],
        recipients: vec![KeyRecipient { key: Hash32([8; 32]), fields: FieldSet::first(3) }],
    };
    let plain = (
        1u32,
        [2u8; 32],
        Some([3u8; 32]),
        vec![("worker".to_owned(), None::<String>, Some([4u8; 32]))],
        vec![("contract".to_owned(), vec![5u8; 16], 6u32)],
        vec![(7u16, "\"x\"".to_owned())],
        vec![([8u8; 32], vec![7u8])],
    );
    assert_eq!(encode(&content), bincode::serde::encode_to_vec(&plain, bincode::config::legacy()).unwrap());
    let version = Version {
        version: 2,
        content,
        previous_root: None,
        submitted: AT,
        submitter: AccountId([9; 32]),
        state: VersionState::Annulled,
        effective: Some(AT),
        ending: Some(Ending { at: AT, by: Party::member("hub"), code: "ruled".into() }),
        signatures: vec![],
        accepted: 1,
        rejected: 2,
    };
    let bytes = encode(&version);
    assert_eq!(decode::<Version>("version", &bytes, RECORD_BYTES_MAX), Ok(version.clone()));
    let json = serde_json::to_value(&version).unwrap();
    assert_eq!(json["state"], "Annulled");
    assert_eq!(json["ending"]["by"], serde_json::json!({"member": "hub", "subject": null}));
    assert_eq!(serde_json::from_value::<Version>(json).unwrap(), version);
}

#[test]
fn a_relationship_round_trips() {
    let relationship = Relationship {
        id: 1,
        kind: RelationKind::Receives,
        member: "works".into(),
        party: Party::subject(SubjectId([1; 32])),
        via: Some("union".into()),
        state: RelationState::Agreed,
        offered_by: Party::member("union"),
        offered: AT,
        agreed: Some(AT),
        ended: None,
        from_ms: None,
        until_ms: Some(5),
    };
    let bytes = encode(&relationship);
    assert_eq!(bytes[8..12], [1, 0, 0, 0], "the kind's tag");
    assert_eq!(decode::<Relationship>("relationship", &bytes, RECORD_BYTES_MAX), Ok(relationship));
}
