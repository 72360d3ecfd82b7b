//! Persons with keys of their own: what each reads of each document, and what they may do with it. They ask at the issuer's
//! node, where all of it lies.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use serde_json::Value;
use vouch_sdk::TransactionBuilder;
use vouch_tests::private::{Desk, House, Records};
use vouch_types::{SecretKey, document::ErasureState};

use super::{
    AT_A_TIME, Kept,
    acts::{self, NOT_ENTITLED, call, chain_document, first_open, tried},
    alias,
    world::{ACTIONS, ARBITER, INSTITUTION, PERSONS, Whom},
};

/// A verdict is a member's; a person's counts where their signature is waited for.
const NOT_A_SIGNER: &str = "contract.error.not_a_signer";

/// A person at a node.
struct Person {
    whom: Whom,
    key: SecretKey,
    desks: Vec<Desk>,
}

fn key_of(person: usize) -> SecretKey {
    SecretKey::from_seed(Records::new(0xfe4_5000 + person as u64).bytes())
}

async fn with_key(house: &House, person: usize) -> Person {
    let key = key_of(person);
    let desk = house.desk(INSTITUTION);
    desk.send(|builder| builder.set_subject_key(alias(person), &desk.member, &key)).await.unwrap();
    let all = house.cluster.all().into_iter();
    let desks = all.map(|node| Desk::new(&house.cluster, node, key_of(person)).unwrap()).collect();
    Person { whom: Whom::Person(person), key, desks }
}

/// Everything a person may see and do, and may not.
pub async fn all(house: &House, kept: &[Kept]) -> usize {
    let mut persons = Vec::new();
    for person in 0..PERSONS {
        persons.push(with_key(house, person).await);
    }
    let persons = &persons;
    let read = kept.iter().flat_map(|kept| persons.iter().map(move |person| read(person, kept)));
    let mut cells: usize = stream::iter(read).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await.into_iter().sum();
    // What is done to a document is done one after the other, so that its effect is seen.
    let done = kept.iter().map(|kept| async move {
        let mut cells = 0;
        for person in persons {
            cells += act(house, person, kept).await;
        }
        cells
    });
    cells += stream::iter(done).buffer_unordered(4).collect::<Vec<_>>().await.into_iter().sum::<usize>();
    cells
}

async fn read(person: &Person, kept: &Kept) -> usize {
    let (judged, desk) = (&kept.judged, &person.desks[kept.judged.planned.issuer]);
    let mut cells = 0;
    for purpose in judged.purposes() {
        let code = purpose["code"].as_str().unwrap();
        let place = format!("{:?} reads {} for {code}", person.whom, judged.planned.schema);
        let wanted = judged.opened(person.whom, Some(purpose));
        match desk.read(kept.id, kept.version, None, code).await.unwrap() {
            Ok(read) => {
                assert_eq!(read.keys().cloned().collect::<BTreeSet<_>>(), wanted, "{place}");
                let planted = |name: &String| kept.values.get(name).unwrap_or(&Value::Null);
                assert!(read.iter().all(|(name, value)| value == planted(name)), "{place}");
            }
            Err(code) => assert_eq!((code.as_str(), wanted.len()), ("vault.not_allowed", 0), "{place}"),
        }
        cells += 1;
    }
    cells
}

async fn act(house: &House, person: &Person, kept: &Kept) -> usize {
    let carrier = house.desk(INSTITUTION);
    let arbiter = house.desk(ARBITER).member.clone();
    for (action, needs, _) in ACTIONS {
        let (may, place) = (kept.judged.lets(person.whom, *needs), acts::named(person.whom, kept, action));
        if *action == "audit" {
            let code = tried(house, &person.desks[kept.judged.planned.issuer], kept, action).await;
            assert_eq!(code, if may { "ok" } else { "vault.not_allowed" }, "{place}");
            continue;
        }
        let fields = if may { first_open(kept, person.whom).1 } else { std::iter::once(0).collect() };
        let keys = [&person.key, &*carrier.key];
        let act = |builder: TransactionBuilder| call(builder, kept, action, (&arbiter, &fields), &arbiter);
        let done = carrier.carry(&keys, act).await.unwrap();
        let wanted = match (*action, may) {
            (_, false) => Some(NOT_ENTITLED),
            ("accept" | "reject", true) => Some(NOT_A_SIGNER),
            _ => None,
        };
        assert_eq!(done.as_ref().err().map(String::as_str), wanted, "{place}");
        let Ok(view) = done else { continue };
        undo(house, person, kept, action, view.output_value).await;
    }
    ACTIONS.len()
}

/// It had its effect, and is taken back by the person.
async fn undo(house: &House, person: &Person, kept: &Kept, action: &str, output: Option<Value>) {
    let number = || output.as_ref().and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok())).unwrap();
    let (carrier, keys) = (house.desk(INSTITUTION), [&person.key, &*house.desk(INSTITUTION).key]);
    let document = chain_document(house, kept).await;
    let undone = match action {
        "grant" => carrier.carry(&keys, |builder| builder.end_grant(number())).await,
        "dispute" => {
            assert_eq!(document.disputes, 1);
            carrier.carry(&keys, |builder| builder.withdraw_dispute(number())).await
        }
        "erase" => {
            assert_eq!(document.erasure, ErasureState::Restricted);
            carrier.carry(&keys, |builder| builder.withdraw_erasure(kept.id)).await
        }
        other => panic!("nothing takes {other} back"),
    };
    assert_eq!(undone.unwrap().err(), None, "{}", acts::named(person.whom, kept, action));
    let document = chain_document(house, kept).await;
    assert_eq!((document.disputes, document.erasure), (0, ErasureState::None));
}
