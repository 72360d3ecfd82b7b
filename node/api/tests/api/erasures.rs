//! An erasure member by member, out of what the contract answers.

use serde_json::json;
use vouch_types::{
    Category, Hash32, Height, TimestampMs,
    document::{
        Attestation, Audience, Document, DocumentId, Entitled, Erasure, ErasureState, FieldSet, Hold, Moment, Party,
    },
    encode,
};

use crate::double::{Plain, api, get};

/// Documents by their first byte: kept by a hold, ordered, of which the contract says something unreadable.
const HELD: u8 = 1;
const ORDERED: u8 = 2;
const SPOILED: u8 = 3;

fn moment(height: u64) -> Moment {
    Moment { height: Height(height), time_ms: TimestampMs(height) }
}

fn erasure(id: DocumentId, state: ErasureState) -> Erasure {
    let is_ordered = state == ErasureState::Ordered;
    let said = Attestation { member: "works".into(), receipt: Hash32([4; 32]), at: moment(1) };
    Erasure {
        document: id,
        state,
        by: Party::member("works"),
        code: "consent".into(),
        requested: moment(1),
        earliest_ms: 0,
        ordered: is_ordered.then(|| moment(1)),
        deadline_ms: u64::from(is_ordered),
        holders: if is_ordered { vec!["union".into(), "works".into()] } else { vec![] },
        attestations: if is_ordered { vec![said] } else { vec![] },
        closed: None,
        missing: vec![],
    }
}

fn document(id: DocumentId, erasure: ErasureState) -> Document {
    Document {
        id,
        sequence: 1,
        category_sequence: 1,
        issuer_sequence: 1,
        category: Category::Identity,
        schema: "note".into(),
        issuer: "union".into(),
        created: moment(1),
        latest: 1,
        effective: None,
        disputes: 0,
        holds: 0,
        correction: false,
        erasure,
    }
}

/// What the contract `documents` answers.
pub fn answer(method: &str, arguments: &[u8]) -> Option<Vec<u8>> {
    // The id begins behind its length.
    let id = DocumentId::new(arguments.get(8..24)?.try_into().ok()?);
    let kind = id.as_bytes()[0];
    let state = match kind {
        HELD => ErasureState::Restricted,
        ORDERED | SPOILED => ErasureState::Ordered,
        _ => ErasureState::None,
    };
    let is_known = state != ErasureState::None;
    match method {
        "erasure" if kind == SPOILED => Some(vec![1, 2, 3]),
        "document" => Some(encode(&is_known.then(|| document(id, state)))),
        "erasure" => Some(encode(&is_known.then(|| erasure(id, state)))),
        "holds" if kind == HELD => {
            Some(encode(&vec![Hold { member: "tax".into(), code: "court-case".into(), at: moment(1) }]))
        }
        "holds" => Some(encode(&Vec::<Hold>::new())),
        "audience" => {
            let entitled = |member: &str| Entitled { member: member.into(), fields: FieldSet::first(2), basis: 1 };
            let members = if kind == HELD { vec![entitled("tax"), entitled("union")] } else { vec![] };
            Some(encode(&Audience { members, keys: vec![] }))
        }
        _ => None,
    }
}

fn path(kind: u8) -> String {
    format!("/api/v1/documents/{}/erasure/progress", DocumentId::new([kind; 16]))
}

#[tokio::test]
async fn every_member_stands_where_the_chain_says() {
    let chain = Plain::new();
    chain.seal();
    let api = api(&chain);
    let shown = get(&api, &path(ORDERED)).await.json();
    assert_eq!((&shown["height"], &shown["state"]), (&json!(1), &json!("Ordered")));
    assert!(shown["time"].as_u64().unwrap() > 1, "the block's time is past the deadline: {shown}");
    let receipt = Hash32([4; 32]).to_string();
    assert_eq!(
        shown["members"],
        json!([
            { "member": "union", "standing": "overdue", "late": false },
            { "member": "works", "standing": "attested", "late": false, "receipt": receipt,
              "attested": { "height": 1, "time_ms": 1 } },
        ])
    );
    let shown = get(&api, &path(HELD)).await.json();
    assert_eq!(shown["holds"][0]["member"], "tax");
    let standings: Vec<_> = shown["members"].as_array().unwrap().iter().map(|of| of["standing"].clone()).collect();
    assert_eq!(standings, ["held", "held"]);
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let chain = Plain::new();
    chain.seal();
    let api = api(&chain);
    assert_eq!(get(&api, &path(9)).await.code(), "vault.unknown_document");
    assert_eq!(get(&api, &path(SPOILED)).await.code(), "query.failed");
    assert_eq!(get(&api, "/api/v1/documents/xyz/erasure/progress").await.code(), "request.bad_parameter");
}
