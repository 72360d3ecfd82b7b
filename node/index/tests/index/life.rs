use vouch_types::{
    Height, SubjectId,
    api::{Direction, DisputeFilter, DocumentFilter, Measure, RelationshipFilter, SearchHit, StatisticsQuery},
    document::{
        self, Category, Dispute, DisputeState, Effect, Erasure, ErasureState, FieldSet, Grant, Party, Ruling,
        VersionState, event, key,
    },
    hash::Hash32,
    relation::RelationKind,
};

use crate::{Place, at, on_both, start, world::*};

on_both!(
    a_document_is_followed_through_its_life,
    a_dispute_a_grant_and_an_erasure_are_followed,
    chains_of_evidence_are_followed_both_ways_and_end_where_they_are_told,
    relationships_search_and_statistics,
);

fn numbers(world: &crate::Query, filter: &DocumentFilter) -> Vec<u64> {
    let page = world.documents(filter, None, 50).unwrap();
    page.items.into_iter().map(|document| document.number).collect()
}

fn by_number(number: &str) -> DocumentFilter {
    DocumentFilter { number: Some(number.into()), ..DocumentFilter::default() }
}

fn in_state(state: VersionState) -> DocumentFilter {
    DocumentFilter { state: Some(state), ..DocumentFilter::default() }
}

fn a_document_is_followed_through_its_life(place: &Place) {
    let world = World::new();
    let index = start(place, world.clone());
    world.schema();
    let person = Party::subject(SubjectId([9; 32]));
    let first = world.submit(1, "works", "HT-2026-0001", &[person.clone(), Party::member("shop")], &[]);
    let second = world.submit(2, "works", "FP-77", std::slice::from_ref(&person), &[first]);
    let query = at(&index, world.close(0));
    assert_eq!(numbers(&query, &DocumentFilter::default()), [2, 1]);
    let detail = query.document(&first).unwrap();
    assert_eq!((detail.document.state, detail.document.referenced_by), (VersionState::Effective, 1));
    assert_eq!(detail.document.created.height, Height(1));
    // The decimal is no text, so it is not searched.
    assert_eq!(detail.public.len(), 1);
    assert_eq!((detail.public[0].field.as_str(), detail.public[0].value.as_str()), ("number", "HT-2026-0001"));
    assert_eq!(detail.state_keys[0].0, key::document(&first));
    assert_eq!(detail.state_keys[1].0, key::version(&first, 1));

    // Letters' case aside, and only from the beginning.
    assert_eq!(numbers(&query, &by_number("ht-2026")), [1]);
    assert_eq!(numbers(&query, &by_number("2026")), [0; 0]);
    let of = |party: Party| DocumentFilter { party: Some(party), ..DocumentFilter::default() };
    assert_eq!(numbers(&query, &of(person)), [2, 1]);
    assert_eq!(numbers(&query, &of(Party::member("shop"))), [1]);
    assert_eq!(numbers(&query, &of(Party::member("nobody"))), [0; 0]);

    // A version that waits beside the one that stands changes neither state nor what stands, but what is searched.
    world.revise(first, "HT-2026-0002", &[second]);
    let query = at(&index, world.close(0));
    let document = query.document(&first).unwrap().document;
    assert_eq!((document.version, document.effective, document.state), (2, Some(1), VersionState::Effective));
    assert_eq!((document.references, document.changed), (1, Height(2)));
    assert_eq!(
        (numbers(&query, &by_number("HT-2026-0001")), numbers(&query, &by_number("HT-2026-0002"))),
        (vec![], vec![1])
    );

    world.revoke(second);
    let query = at(&index, world.close(0));
    assert_eq!(numbers(&query, &in_state(VersionState::Revoked)), [2]);
    let page = query.documents(&in_state(VersionState::Effective), None, 10).unwrap();
    assert_eq!((page.total, page.items.len(), page.next), (Some(1), 1, None));
}

fn claim(world: &World, first: vouch_types::DocumentId) -> Dispute {
    Dispute {
        id: 1,
        document: first,
        version: 1,
        by: Party::member("shop"),
        arbiter: "court".into(),
        code: "unpaid".into(),
        claim: Hash32([1; 32]),
        opened: world.now(),
        state: DisputeState::Open,
        answers: vec![],
        evidence: vec![],
        ruling: None,
    }
}

fn opened_to_bank(world: &World, first: vouch_types::DocumentId) -> Grant {
    Grant {
        id: 1,
        document: first,
        version: 1,
        member: Some("bank".into()),
        key: None,
        fields: FieldSet::new(),
        purpose: "credit".into(),
        until_ms: None,
        by: Party::member("works"),
        at: world.now(),
        ended: None,
    }
}

fn a_dispute_a_grant_and_an_erasure_are_followed(place: &Place) {
    let world = World::new();
    let index = start(place, world.clone());
    world.schema();
    let first = world.submit(1, "works", "A-1", &[], &[]);
    world.submit(2, "works", "A-2", &[], &[]);
    let mut dispute = claim(&world, first);
    world.put(document::CONTRACT, key::dispute(1), &dispute);
    let mut disputed = world.document(&first);
    disputed.disputes = 1;
    world.save(&disputed, &world.version(&first, 1));
    let said = event::Disputed { dispute: 1, id: first, version: 1, arbiter: "court".into() };
    world.say(document::CONTRACT, "Disputed", &said);
    let mut grant = opened_to_bank(&world, first);
    world.put(document::CONTRACT, key::grant(1), &grant);
    world.put(document::CONTRACT, key::GRANTS.to_vec(), &1u64);
    world.say(document::CONTRACT, "AudienceChanged", &event::AudienceChanged { id: first, version: 1 });
    let query = at(&index, world.close(0));
    let under = DocumentFilter { disputed: Some(true), ..DocumentFilter::default() };
    assert_eq!(numbers(&query, &under), [1]);
    let open = DisputeFilter { state: Some(DisputeState::Open), ..DisputeFilter::default() };
    assert_eq!(query.disputes(&open, None, 10).unwrap().items, [dispute.clone()]);
    assert_eq!(query.grants(&first, None, 10).unwrap().items, [grant.clone()]);

    // The ruling frees the document; the grant ends.
    dispute.state = DisputeState::Ruled;
    let ruling = Ruling { effect: Effect::Upheld, code: "paid".into(), statement: Hash32([2; 32]), at: world.now() };
    dispute.ruling = Some(ruling);
    world.put(document::CONTRACT, key::dispute(1), &dispute);
    disputed.disputes = 0;
    world.save(&disputed, &world.version(&first, 1));
    let said = event::Ruled { dispute: 1, id: first, version: 1, effect: Effect::Upheld };
    world.say(document::CONTRACT, "Ruled", &said);
    grant.ended = Some(world.now());
    world.put(document::CONTRACT, key::grant(1), &grant);
    world.say(document::CONTRACT, "AudienceChanged", &event::AudienceChanged { id: first, version: 1 });
    let query = at(&index, world.close(0));
    assert_eq!(numbers(&query, &under), [0; 0]);
    assert_eq!(query.disputes(&open, None, 10).unwrap().items, []);
    let of_court = DisputeFilter { arbiter: Some("court".into()), document: Some(first), ..DisputeFilter::default() };
    assert_eq!(query.disputes(&of_court, None, 10).unwrap().items, [dispute]);
    assert_eq!(query.grants(&first, None, 10).unwrap().items, [grant]);

    erase(&world, first);
    let query = at(&index, world.close(0));
    let detail = query.document(&first).unwrap();
    assert_eq!((detail.document.state, detail.public.len()), (VersionState::Erased, 0));
    assert_eq!(numbers(&query, &by_number("A-1")), [0; 0]);
    assert_eq!(numbers(&query, &by_number("A-")), [2]);
    // Overwritten, not only unlinked: neither the file nor its log shows the value any more.
    drop(query);
    index.stop();
    for entry in std::fs::read_dir(place.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".db") {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(3).any(|window| window == b"A-1"), "{}", path.display());
        }
    }
}

fn erase(world: &World, id: vouch_types::DocumentId) {
    let mut document = world.document(&id);
    document.erasure = ErasureState::Erased;
    document.effective = None;
    let mut version = world.version(&id, 1);
    version.state = VersionState::Erased;
    version.content.public.clear();
    world.save(&document, &version);
    let erasure = Erasure {
        document: id,
        state: ErasureState::Erased,
        by: Party::member("works"),
        code: "asked".into(),
        requested: world.now(),
        earliest_ms: 0,
        ordered: Some(world.now()),
        deadline_ms: 1,
        holders: vec!["works".into()],
        attestations: vec![],
        closed: Some(world.now()),
        missing: vec!["works".into()],
    };
    world.put(document::CONTRACT, key::erasure(&id), &erasure);
    world.say(document::CONTRACT, "Tombstoned", &event::Tombstoned { id, complete: false });
}

fn chains_of_evidence_are_followed_both_ways_and_end_where_they_are_told(place: &Place) {
    let world = World::new();
    let index = start(place, world.clone());
    world.schema();
    let root = world.submit(1, "works", "R", &[], &[]);
    let middle = world.submit(2, "works", "M", &[], &[root]);
    let other = world.submit(3, "works", "O", &[], &[root]);
    let leaf = world.submit(4, "works", "L", &[], &[middle, other]);
    for n in 10..50 {
        world.submit(n, "works", "X", &[], &[leaf]);
    }
    let query = at(&index, world.close(0));
    let view = query.provenance(&leaf, Direction::Up, 6).unwrap();
    let distances: Vec<_> = view.nodes.iter().map(|node| (node.document.number, node.distance)).collect();
    assert_eq!(distances, [(4, 0), (2, -1), (3, -1), (1, -2)]);
    assert_eq!((view.edges.len(), view.complete), (4, true));
    assert!(view.edges.iter().any(|edge| edge.from == leaf && edge.to == middle && edge.name == "basis"));
    let view = query.provenance(&root, Direction::Down, 1).unwrap();
    assert_eq!((view.nodes.len(), view.complete), (3, false));
    assert_eq!(view.nodes[1].hidden_down, 1);
    // A document that many name: some are shown, the others counted.
    let view = query.provenance(&leaf, Direction::Both, 3).unwrap();
    assert_eq!(view.nodes[0].hidden_up, 0);
    assert_eq!(view.nodes[0].hidden_down, 40 - (view.nodes.iter().filter(|node| node.distance == 1).count() as u64));
    assert!(!view.complete && view.nodes[0].hidden_down > 0);
    assert!(query.provenance(&id(99), Direction::Both, 1).is_err());
}

fn relationships_search_and_statistics(place: &Place) {
    let world = World::new();
    let index = start(place, world.clone());
    world.schema();
    let person = Party::subject(SubjectId([5; 32]));
    world.relate(RelationKind::Serves, "agency", person.clone());
    world.relate(RelationKind::Receives, "works", person.clone());
    world.relate(RelationKind::Regulates, "tax", Party::default());
    let first = world.submit(0xab, "works", "HT-1", &[], &[]);
    let height = world.close(6);
    let query = at(&index, height);
    let filter = RelationshipFilter { party: Some(person), ..RelationshipFilter::default() };
    let found = query.relationships(&filter, None, 10).unwrap();
    assert_eq!(found.items.iter().map(|relationship| relationship.id).collect::<Vec<_>>(), [2, 1]);
    let filter = RelationshipFilter { kind: Some(RelationKind::Regulates), ..RelationshipFilter::default() };
    assert_eq!(query.relationships(&filter, None, 10).unwrap().items[0].member, "tax");

    let is_first = |hit: &SearchHit| matches!(hit, SearchHit::Document { document, .. } if document.id == first);
    for wanted in ["abababab", "ht-1", "1", &first.to_string()] {
        assert!(query.search(wanted).unwrap().hits.iter().any(is_first), "{wanted}");
    }
    let blocks = query.search("1").unwrap();
    assert!(blocks.hits.iter().any(|hit| matches!(hit, SearchHit::Block { height: Height(1), .. })));
    assert!(query.search("nothing of the kind").unwrap().hits.is_empty());

    let measure = |measure| {
        let asked = StatisticsQuery { measure, from: None, to: None, zone: Some(8) };
        query.statistics(&asked).unwrap()
    };
    let documents = measure(Measure::Documents);
    assert_eq!(
        (documents.days[0].day.as_str(), documents.days[0].name.as_str(), documents.days[0].count),
        ("1970-01-01", "Invoice", 1)
    );
    assert_eq!((documents.states[0].name.as_str(), documents.totals[0].count), ("Effective", 1));
    let ends: Vec<_> = measure(Measure::Transactions).totals.iter().map(|t| (t.name.clone(), t.count)).collect();
    assert_eq!(ends, [("success".to_owned(), 5), ("failed".to_owned(), 2)]);
    assert_eq!(measure(Measure::Contracts).totals.iter().map(|t| t.count).collect::<Vec<_>>(), [7, 7]);
    assert_eq!(measure(Measure::Issuers).totals[0].name, "works");
    assert_eq!(measure(Measure::Blocks).totals[0].count, 1);
    let counts = query.counts().unwrap();
    assert_eq!((counts.documents.indexed, counts.relationships.indexed, counts.transactions), (1, 3, 7));
    let category = DocumentFilter { category: Some(Category::Risk), ..DocumentFilter::default() };
    assert_eq!(query.documents(&category, None, 5).unwrap().total, Some(0));
}
