//! Every filter against a look at everything, page by page, on a chain large enough for several windows.

use std::sync::Arc;

use vouch_index::{IndexBlock, Source, SourceError, sample::SampleChain};
use vouch_types::{
    AccountId, BlockHash, Height, SubjectId, TimestampMs,
    api::{DocumentFilter, DocumentItem, RelationshipFilter, TransactionFilter},
    document::{Category, Party, VersionState},
    relation::{RelationKind, RelationState},
};

use crate::{
    Place, Query, at, on_both, start, wait,
    world::{World, contract},
};

on_both!(
    filters_find_what_a_look_at_everything_finds,
    a_place_in_one_list_is_none_in_another,
    relationships_of_a_member_that_has_all_of_them_come_to_an_end,
    of_conditions_that_few_rows_fulfil_any_may_lead,
);

const PER_BLOCK: u64 = 500;
const BLOCKS: u64 = 60;

pub struct Shared(pub Arc<SampleChain>);

impl Source for Shared {
    fn head(&self) -> Option<Height> {
        self.0.head()
    }
    fn lowest(&self) -> Result<Height, SourceError> {
        self.0.lowest()
    }
    fn block(&self, height: Height) -> Result<Option<IndexBlock>, SourceError> {
        self.0.block(height)
    }
    fn hash(&self, height: Height) -> Result<Option<BlockHash>, SourceError> {
        self.0.hash(height)
    }
    fn state(&self, contract: &str, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        self.0.state(contract, key)
    }
}

pub fn all(query: &Query, filter: &DocumentFilter, limit: usize) -> Vec<DocumentItem> {
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = query.documents(filter, after.as_deref(), limit).unwrap();
        assert!(page.items.len() <= limit);
        found.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return found,
        }
    }
}

fn filters_find_what_a_look_at_everything_finds(place: &Place) {
    let chain = Arc::new(SampleChain::new(PER_BLOCK, 60_000));
    chain.set_head(Height(BLOCKS));
    let index = start(place, Shared(Arc::clone(&chain)));
    wait(&index, "all is in", |index| index.progress().indexed == Height(BLOCKS));
    let query = index.query(Height(BLOCKS));
    let everything = all(&query, &DocumentFilter::default(), 200);
    assert_eq!(everything.len() as u64, PER_BLOCK * BLOCKS);
    assert!(everything.windows(2).all(|pair| pair[0].number == pair[1].number + 1), "a gap, or out of order");

    let busy = SampleChain::issuer(3);
    let time = everything[everything.len() / 3].created.time_ms;
    let none = DocumentFilter::default;
    let filters = [
        DocumentFilter { category: Some(Category::Risk), ..none() },
        DocumentFilter { issuer: Some(busy.clone()), ..none() },
        DocumentFilter { issuer: Some(busy.clone()), category: Some(Category::Invoice), ..none() },
        DocumentFilter { state: Some(VersionState::Revoked), ..none() },
        DocumentFilter { state: Some(VersionState::Revoked), category: Some(Category::Contract), ..none() },
        DocumentFilter { state: Some(VersionState::Annulled), category: Some(Category::Contract), ..none() },
        DocumentFilter { schema: Some("sample-2".into()), issuer: Some(busy), ..none() },
        DocumentFilter { from: Some(time), ..none() },
        DocumentFilter { to: Some(time), state: Some(VersionState::Pending), ..none() },
        DocumentFilter { from: Some(time), to: Some(TimestampMs(time.0 + 1)), ..none() },
        DocumentFilter { disputed: Some(true), ..none() },
        DocumentFilter { disputed: Some(false), issuer: Some("member-00".into()), ..none() },
        DocumentFilter { category: Some(Category::Invoice), schema: Some("sample-1".into()), ..none() },
    ];
    for filter in filters {
        let expected: Vec<u64> =
            everything.iter().filter(|document| fits(&filter, document)).map(|d| d.number).collect();
        for limit in [7, 200] {
            let found: Vec<u64> = all(&query, &filter, limit).iter().map(|document| document.number).collect();
            assert_eq!(found, expected, "{filter:?}");
        }
        if let Some(total) = query.documents(&filter, None, 1).unwrap().total {
            assert_eq!(total, expected.len() as u64, "{filter:?}");
        }
    }
    by_party(&query, &everything);
    assert_eq!(all(&query, &DocumentFilter { number: Some(SampleChain::text(77)), ..none() }, 5)[0].number, 77);
    assert!(query.documents(&DocumentFilter { number: Some("HT".into()), ..none() }, None, 5).is_err(), "too many");
    transactions(&query);
}

fn fits(filter: &DocumentFilter, document: &DocumentItem) -> bool {
    let created = document.created.time_ms;
    filter.category.is_none_or(|category| category == document.category)
        && filter.state.is_none_or(|state| state == document.state)
        && filter.issuer.as_ref().is_none_or(|issuer| *issuer == document.issuer)
        && filter.schema.as_ref().is_none_or(|schema| *schema == document.schema)
        && filter.from.is_none_or(|from| created >= from)
        && filter.to.is_none_or(|to| created < to)
        && filter.disputed.is_none_or(|disputed| disputed == (document.disputes > 0))
}

fn by_party(query: &Query, everything: &[DocumentItem]) {
    for (party, is_named) in [
        (
            Party::member(SampleChain::issuer(4)),
            &(|n: u64| SampleChain::issuer(n + 1) == SampleChain::issuer(4)) as &dyn Fn(u64) -> bool,
        ),
        (Party::subject(SampleChain::person(9)), &|n: u64| SampleChain::person(n) == SampleChain::person(9)),
    ] {
        let filter = DocumentFilter { party: Some(party), ..DocumentFilter::default() };
        for category in [None, Some(Category::Transaction)] {
            let filter = DocumentFilter { category, ..filter.clone() };
            let named = everything.iter().filter(|document| is_named(document.number) && fits(&filter, document));
            let expected: Vec<u64> = named.map(|document| document.number).collect();
            assert!(!expected.is_empty() || category.is_some());
            let found: Vec<u64> = all(query, &filter, 40).iter().map(|document| document.number).collect();
            assert_eq!(found, expected, "{filter:?}");
        }
    }
}

fn transactions(query: &Query) {
    let count = |filter: &TransactionFilter| {
        let (mut count, mut after) = (0, None::<String>);
        let mut last = (u64::MAX, u32::MAX);
        loop {
            let page = query.transactions(filter, after.as_deref(), 200).unwrap();
            for item in &page.items {
                assert!((item.height.0, item.index) < last, "out of order");
                last = (item.height.0, item.index);
                assert_eq!(filter.failed.unwrap_or(item.code.is_some()), item.code.is_some());
            }
            count += page.items.len() as u64;
            match page.next {
                Some(next) => after = Some(next),
                None => return count,
            }
        }
    };
    let none = TransactionFilter::default;
    let total = PER_BLOCK * BLOCKS + BLOCKS * 5;
    assert_eq!(count(&none()), total);
    assert_eq!(count(&TransactionFilter { failed: Some(true), ..none() }), BLOCKS * 5);
    let documents = vouch_types::ContractName::new("documents").unwrap();
    let submit = TransactionFilter { contract: Some(documents.clone()), method: Some("submit".into()), ..none() };
    assert_eq!(count(&submit), total);
    assert_eq!(count(&TransactionFilter { method: Some("sign".into()), ..submit }), 0);
    let account = TransactionFilter { account: Some(SampleChain::account(5)), contract: Some(documents), ..none() };
    let of_account = count(&account);
    assert!(of_account >= PER_BLOCK * BLOCKS / 240, "{of_account}");
    let first_half = TransactionFilter { to: Some(TimestampMs(1_767_225_600_000 + 31 * 60_000)), ..none() };
    assert_eq!(count(&first_half), total / 2);
}

fn a_place_in_one_list_is_none_in_another(place: &Place) {
    let chain = Arc::new(SampleChain::new(100, 60_000));
    chain.set_head(Height(1));
    let index = start(place, Shared(chain));
    wait(&index, "all is in", |index| index.progress().indexed == Height(1));
    let query = index.query(Height(1));
    let next = query.documents(&DocumentFilter::default(), None, 5).unwrap().next.unwrap();
    let risk = DocumentFilter { category: Some(Category::Risk), ..DocumentFilter::default() };
    assert!(query.documents(&risk, Some(&next), 5).is_err());
    assert!(query.transactions(&TransactionFilter::default(), Some(&next), 5).is_err());
    assert!(query.documents(&DocumentFilter::default(), Some("zz"), 5).is_err());
}

/// A member that nearly all relationships name, and a state that none has: windows of numbers, not of all rows at once.
fn relationships_of_a_member_that_has_all_of_them_come_to_an_end(place: &Place) {
    const COUNT: usize = 12_000;
    let world = World::new();
    for n in 1..=COUNT {
        world.relate(RelationKind::Serves, "works", Party::member("shop"));
        if n % 1_000 == 0 {
            world.close(0);
        }
    }
    let index = start(place, world.clone());
    let query = at(&index, world.height());
    let works = RelationshipFilter { member: Some("works".into()), ..RelationshipFilter::default() };
    let ended = RelationshipFilter { state: Some(RelationState::Ended), ..works.clone() };
    for (filter, expected) in [(works, COUNT), (ended, 0)] {
        let (mut found, mut after, mut pages) = (0, None::<String>, 0);
        loop {
            let page = query.relationships(&filter, after.as_deref(), 200).unwrap();
            (found, pages) = (found + page.items.len(), pages + 1);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, expected);
        assert!(pages <= expected / 200 + 2, "{pages} pages");
    }
}

fn of_conditions_that_few_rows_fulfil_any_may_lead(place: &Place) {
    let (world, person) = (World::new(), Party::subject(SubjectId([9; 32])));
    world.schema();
    let first = world.submit(1, "works", "A-1", &[person.clone(), Party::member("shop"), Party::member("bank")], &[]);
    world.submit(2, "works", "A-2", &[Party::member("shop"), Party::member("bank")], &[]);
    let mut disputed = world.document(&first);
    disputed.disputes = 1;
    world.save(&disputed, &world.version(&first, 1));
    // The transaction with the events, two that do not fail, and one that does.
    world.close(3);
    let index = start(place, world);
    let query = at(&index, 1);
    let none = DocumentFilter::default;
    let (works, shop) = (Some("works".to_owned()), Some(Party::member("shop")));
    for (filter, expected) in [
        (DocumentFilter { issuer: works.clone(), party: Some(person.clone()), ..none() }, vec![1]),
        (DocumentFilter { issuer: works.clone(), party: shop.clone(), ..none() }, vec![2, 1]),
        (DocumentFilter { party: shop.clone(), disputed: Some(true), ..none() }, vec![1]),
        (DocumentFilter { party: shop, disputed: Some(false), ..none() }, vec![2]),
        (DocumentFilter { party: Some(person), disputed: Some(true), issuer: works, ..none() }, vec![1]),
    ] {
        let page = query.documents(&filter, None, 10).unwrap();
        let numbers: Vec<u64> = page.items.into_iter().map(|document| document.number).collect();
        assert_eq!(numbers, expected, "{filter:?}");
    }
    let called = |method: &str| TransactionFilter {
        contract: Some(contract("documents")),
        method: Some(method.into()),
        ..TransactionFilter::default()
    };
    for (filter, expected) in [
        (TransactionFilter { failed: Some(false), ..called("sign") }, vec![1]),
        (TransactionFilter { failed: Some(true), ..called("sign") }, vec![3]),
        (TransactionFilter { account: Some(AccountId([0; 32])), ..called("submit") }, vec![0]),
        (TransactionFilter { account: Some(AccountId([0; 32])), ..called("sign") }, vec![3]),
    ] {
        let page = query.transactions(&filter, None, 10).unwrap();
        let places: Vec<u32> = page.items.into_iter().map(|transaction| transaction.index).collect();
        assert_eq!(places, expected, "{filter:?}");
    }
}
