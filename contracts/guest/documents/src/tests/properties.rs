//! Whatever happens in whatever order: numbers have no gaps, lists and counters agree, and a failed call changes nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    lifecycle::{agreement, note, parties},
    world::*,
    *,
};

#[derive(Debug, Clone)]
enum Step {
    Submit { n: u8, schema: u8, person: u8, issuer: u8 },
    Revise { n: u8, root: u8 },
    Sign { n: u8, member: u8 },
    Judge { n: u8, member: u8, accepted: bool },
    Revoke { n: u8 },
    Grant { n: u8, to: u8 },
    EndGrant { grant: u64 },
    Dispute { n: u8 },
    Rule { dispute: u64, effect: u8 },
    Erase { n: u8 },
    Attest { n: u8, member: u8 },
    Wait { days: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let n = 1..9u8;
    let member = 0..4u8;
    prop_oneof![
        4 => (n.clone(), 0..2u8, 0..2u8, 0..3u8)
            .prop_map(|(n, schema, person, issuer)| Step::Submit { n, schema, person, issuer }),
        2 => (n.clone(), 0..9u8).prop_map(|(n, root)| Step::Revise { n, root }),
        4 => (n.clone(), member.clone()).prop_map(|(n, member)| Step::Sign { n, member }),
        2 => (n.clone(), member.clone(), any::<bool>())
            .prop_map(|(n, member, accepted)| Step::Judge { n, member, accepted }),
        1 => n.clone().prop_map(|n| Step::Revoke { n }),
        2 => (n.clone(), member.clone()).prop_map(|(n, to)| Step::Grant { n, to }),
        1 => (1..6u64).prop_map(|grant| Step::EndGrant { grant }),
        1 => n.clone().prop_map(|n| Step::Dispute { n }),
        1 => (1..4u64, 0..3u8).prop_map(|(dispute, effect)| Step::Rule { dispute, effect }),
        1 => n.clone().prop_map(|n| Step::Erase { n }),
        1 => (n, member).prop_map(|(n, member)| Step::Attest { n, member }),
        1 => (1..20u8).prop_map(|days| Step::Wait { days }),
    ]
}

const ACTORS: [&str; 4] = ["union", "works", "tax", "mills"];

fn start() -> World {
    let mut world = World::new();
    world.register_person("union", person(7));
    world.register_person("hub", person(8));
    world.serve("hub", Party::of_subject(person(7)));
    world.watch("tax", None);
    world.register_schema(agreement());
    world.register_schema(note());
    world.decide::<_, ()>("set_arbiters", (vec!["court"],)).unwrap();
    world
}

fn run(world: &mut World, step: &Step) -> bool {
    match *step {
        Step::Submit { n, schema, person: who, issuer } => {
            let person = Party::of_subject(person(7 + who));
            let (schema, parties) = if schema == 0 {
                let mut parties = parties();
                parties[0].party = person;
                ("agreement", parties)
            } else {
                ("note", vec![entry("worker", person)])
            };
            let issuer = ["union", "hub", "idle"][usize::from(issuer)];
            if world.kit.call::<_, Option<Document>>("document", (id(n),)).unwrap().is_none() {
                issued_by(n, issuer);
            }
            world.by::<_, u64>(issuer, "submit", (id(n), schema.to_owned(), content(n, parties))).is_ok()
        }
        Step::Revise { n, root } => {
            let Some(document) = world.kit.call::<_, Option<Document>>("document", (id(n),)).unwrap() else {
                return false;
            };
            let before = world.version(n, document.latest);
            let arguments =
                (id(n), before.content.root, NewVersion { root: Hash([root; 32]), ..before.content.clone() });
            world.by::<_, u32>(&document.issuer, "revise", arguments).is_ok()
        }
        Step::Sign { n, member } => {
            let version = world.kit.call::<_, Option<Document>>("document", (id(n),)).unwrap().map_or(1, |d| d.latest);
            match member {
                0 | 1 => world.by::<_, ()>(ACTORS[usize::from(member)], "sign", (id(n), version)).is_ok(),
                _ => world.by::<_, ()>("union", "sign_for", (id(n), version, person(7), None::<Bytes>)).is_ok(),
            }
        }
        Step::Judge { n, member, accepted } => {
            world.by::<_, ()>(ACTORS[usize::from(member)], "judge", (id(n), 1u32, accepted, "checked")).is_ok()
        }
        Step::Revoke { n } => world.by::<_, ()>("union", "revoke", (id(n), "error")).is_ok(),
        Step::Grant { n, to } => {
            let new = NewGrant {
                member: Some(ACTORS[usize::from(to)].into()),
                key: None,
                fields: fields(&[0]),
                purpose: "tax".into(),
                until_ms: None,
            };
            world.by::<_, u64>("union", "grant", (id(n), 1u32, new)).is_ok()
        }
        Step::EndGrant { grant } => world.by::<_, ()>("union", "end_grant", (grant,)).is_ok(),
        Step::Dispute { n } => {
            let claim = (id(n), 1u32, "court", "price", Hash([1; 32]));
            world.by::<_, u64>("union", "open_dispute", claim).is_ok()
        }
        Step::Rule { dispute, effect } => {
            let effect = [Effect::Upheld, Effect::Corrected, Effect::Annulled][usize::from(effect)];
            world.by::<_, ()>("court", "rule", (dispute, effect, "ruled", Hash([1; 32]))).is_ok()
        }
        Step::Erase { n } => world.by::<_, ErasureState>("union", "request_erasure", (id(n), "consent")).is_ok(),
        Step::Attest { n, member } => {
            let arguments = (id(n), Hash([1; 32]));
            world.by::<_, ()>(ACTORS[usize::from(member)], "attest_erasure", arguments).is_ok()
        }
        Step::Wait { days } => {
            world.advance(u64::from(days) * limits::DAY_MS);
            true
        }
    }
}

fn all(world: &mut World) -> Vec<Document> {
    let list: Vec<DocumentEntry> = world.kit.call("list", (0u64, 50u32)).unwrap();
    for (at, entry) in list.iter().enumerate() {
        assert_eq!((entry.number, entry.document.sequence), (at as u64 + 1, at as u64 + 1));
    }
    list.into_iter().map(|entry| entry.document).collect()
}

/// Numbers of a list run from 1 to its counter.
fn check_list(numbers: Vec<u64>, count: u64) {
    assert_eq!(numbers, (1..=count).collect::<Vec<u64>>());
}

fn check_lists(world: &mut World, documents: &[Document]) {
    let counts: Counts = world.kit.call("counts", ()).unwrap();
    assert_eq!(counts.documents, documents.len() as u64);
    let by_category = [
        (Category::Identity, counts.identity),
        (Category::Contract, counts.contract),
        (Category::Transaction, counts.transaction),
        (Category::Invoice, counts.invoice),
        (Category::Risk, counts.risk),
    ];
    for (category, count) in by_category {
        let of = documents.iter().filter(|d| d.category == category);
        check_list(of.map(|d| d.category_sequence).collect(), count);
        let list: Vec<DocumentEntry> = world.kit.call("list_category", (category, 0u64, 50u32)).unwrap();
        check_list(list.iter().map(|e| e.number).collect(), count);
    }
    for issuer in ["union", "hub", "idle"] {
        let count: u64 = world.kit.call("count_issuer", (issuer,)).unwrap();
        let of = documents.iter().filter(|d| d.issuer == issuer);
        check_list(of.map(|d| d.issuer_sequence).collect(), count);
        let list: Vec<DocumentEntry> = world.kit.call("list_issuer", (issuer, 0u64, 50u32)).unwrap();
        check_list(list.iter().map(|e| e.number).collect(), count);
    }
    let mut named: BTreeMap<Party, Vec<Bytes>> = BTreeMap::new();
    for document in documents {
        for number in 1..=document.latest {
            for entry in world.version(document.id.0[0], number).content.parties {
                let of = named.entry(entry.party).or_default();
                if !of.contains(&document.id) {
                    of.push(document.id.clone());
                }
            }
        }
    }
    for (party, wanted) in named {
        let list: Vec<DocumentEntry> = world.kit.call("list_party", (party.clone(), 0u64, 50u32)).unwrap();
        check_list(list.iter().map(|e| e.number).collect(), wanted.len() as u64);
        assert_eq!(world.kit.call::<_, u64>("count_party", (party,)), Ok(wanted.len() as u64));
        assert_eq!(list.into_iter().map(|e| e.document.id).collect::<Vec<_>>(), wanted);
    }
}

/// What must hold of every document at every time.
fn check_documents(world: &mut World, documents: &[Document]) {
    for document in documents {
        let n = document.id.0[0];
        let versions: Vec<Version> = (1..=document.latest).map(|number| world.version(n, number)).collect();
        assert!(world.kit.call::<_, Option<Version>>("version", (id(n), document.latest + 1)).unwrap().is_none());
        let effective: Vec<u32> =
            versions.iter().filter(|v| v.state == VersionState::Effective).map(|v| v.version).collect();
        assert_eq!(effective, document.effective.into_iter().collect::<Vec<_>>());
        assert!(versions.iter().rev().skip(1).all(|v| v.state != VersionState::Pending), "one waits at most, the last");
        for pair in versions.windows(2) {
            assert_eq!(pair[1].previous_root, Some(pair[0].content.root));
        }
        let disputes: Vec<Dispute> = world.kit.call("list_document_disputes", (id(n), 0u64, 5u32)).unwrap();
        let running = disputes.iter().filter(|d| matches!(d.state, DisputeState::Open | DisputeState::Answered));
        if disputes.len() < 5 {
            assert_eq!(running.count(), document.disputes as usize);
        }
        let erased = matches!(document.erasure, ErasureState::Ordered | ErasureState::Erased);
        let audience = world.audience(n, document.latest);
        assert_eq!(audience.members.is_empty(), erased);
        assert!(audience.members.windows(2).all(|pair| pair[0].member < pair[1].member));
        for entitled in audience.members {
            // What is delivered to a member is what its readers get, over all purposes.
            let reader = account(&entitled.member, "reader");
            let by_rule = world.may(reader, Action::Read, n, document.latest, "tax").fields.0;
            let by_dispute = world.may(reader, Action::Read, n, document.latest, "dispute").fields.0;
            if document.erasure == ErasureState::None {
                let mut both = by_rule;
                records::field_set::unite(&mut both, &by_dispute);
                assert_eq!(both, entitled.fields.0);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn lists_have_no_gaps_and_rights_agree(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = start();
        let mut done = 0;
        for step in &steps {
            let before = world.kit.state.clone();
            if run(&mut world, step) {
                done += 1;
            } else {
                prop_assert_eq!(&world.kit.state, &before, "a failed call changes nothing: {:?}", step);
            }
        }
        let documents = all(&mut world);
        check_lists(&mut world, &documents);
        check_documents(&mut world, &documents);
        prop_assert!(done <= steps.len());
    }
}
