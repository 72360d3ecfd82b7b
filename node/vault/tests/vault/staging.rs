//! Staging: what breaks the rules does not pass, and no submission passes without its document.

use vouch_privacy::sealing::BlobNotice;
use vouch_types::{
    Call, ContractName, Hash32,
    document::{NewVersion, PublicField},
    encode,
    hash::DocumentRoot,
};
use vouch_vault::{DocumentId, VersionKey};

use crate::{
    support::{Made, Wish, make, member_secret},
    world::{World, name, rules, test_limits},
};

fn world() -> World {
    let mut world = World::new(120, &[1, 1], test_limits());
    world.start_all();
    world
}

fn wish<'a>(id: u8, recipient: &'a vouch_privacy::RecipientKey) -> Wish<'a> {
    Wish {
        id: [id; 16],
        version: 1,
        previous: None,
        issuer: "m0",
        recipient,
        file_bytes: Vec::new(),
        title: "order",
        file_name: "file",
    }
}

fn submission(made: &Made, public: Vec<PublicField>) -> Call {
    let new = NewVersion {
        schema_version: 1,
        root: DocumentRoot(made.root),
        blob_root: made.blob_root.map(Hash32),
        parties: Vec::new(),
        references: Vec::new(),
        public,
        recipients: Vec::new(),
    };
    call("submit", encode(&(made.id, "order".to_owned(), new)))
}

fn call(method: &str, arguments: Vec<u8>) -> Call {
    Call { contract: ContractName::new("documents").unwrap(), method: method.into(), arguments }
}

#[test]
fn what_breaks_the_rules_is_not_staged() {
    let mut world = world();
    let (own, other) = (member_secret(0).public(), member_secret(1).public());
    let mut rng = world.rng.clone();
    let expect = |world: &mut World, made: &Made, code: &str| {
        let result = world.hand_over(0, made);
        assert_eq!(result.map_or_else(|error| error.code(), |_| "ok"), code);
    };
    let good = make(&wish(1, &own), &mut rng);
    expect(&mut world, &good, "ok");
    expect(&mut world, &good, "ok");
    assert_eq!(world.vault(0).status().unwrap().staged, 1, "staged anew it counts once");
    let again = make(&wish(1, &own), &mut rng);
    expect(&mut world, &again, "stage.taken");
    expect(&mut world, &make(&Wish { issuer: "m1", ..wish(2, &own) }, &mut rng), "stage.header");
    expect(&mut world, &make(&wish(3, &other), &mut rng), "stage.rules");
    let second = Wish { version: 2, previous: Some([3; 32]), ..wish(1, &own) };
    expect(&mut world, &make(&second, &mut rng), "stage.header");
    let named = Wish { file_bytes: vec![9], file_name: "sensitive", ..wish(4, &own) };
    expect(&mut world, &make(&named, &mut rng), "stage.sensitive");
    // A file that its field does not name, and one that is named and not there.
    let mut made = make(&Wish { file_bytes: vec![9, 8], ..wish(5, &own) }, &mut rng);
    let BlobNotice::Shown(mut blob) = made.delivery.content.attachments[1].clone() else { panic!("a file") };
    blob.index = 7;
    made.blobs[1].0 = blob;
    made.delivery.content.attachments[1] = BlobNotice::Shown(blob);
    expect(&mut world, &made, "stage.rules");
    let mut made = make(&Wish { file_bytes: vec![9, 8], ..wish(6, &own) }, &mut rng);
    made.blobs.pop();
    expect(&mut world, &made, "stage.file");
    // Altered anywhere: nothing of it passes.
    let made = make(&wish(7, &own), &mut rng);
    let bytes = made.delivery.to_bytes();
    for at in (0..bytes.len()).step_by(41) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        if let Ok(delivery) = vouch_vault::Delivery::from_bytes(&altered) {
            let now = world.now();
            assert!(world.vault(0).stage(now, &delivery, made.root).unwrap().is_err(), "byte {at}");
        }
    }
    expect(&mut world, &made, "ok");
    assert_eq!(world.vault(0).counters().stages, 3);
}

#[test]
fn a_submission_needs_its_document() {
    let mut world = world();
    let own = member_secret(0).public();
    let mut rng = world.rng.clone();
    let made = make(&Wish { file_bytes: vec![10], ..wish(1, &own) }, &mut rng);
    let public = |value: &str| vec![PublicField { slot: 0, value: value.into() }];
    let code = |world: &mut World, call: &Call| {
        let verdict = world.vault(0).admits(std::slice::from_ref(call)).unwrap();
        verdict.map_or_else(|error| error.code(), |()| "ok")
    };
    assert_eq!(code(&mut world, &submission(&made, Vec::new())), "stage.not_staged");
    world.hand_over(0, &made).unwrap();
    assert_eq!(code(&mut world, &submission(&made, Vec::new())), "ok");
    assert_eq!(code(&mut world, &submission(&made, public("\"order\""))), "ok");
    assert_eq!(code(&mut world, &submission(&made, public("\"other\""))), "stage.differs");
    assert_eq!(code(&mut world, &submission(&made, public("\"sensitive\""))), "stage.sensitive");
    let private = vec![PublicField { slot: 2, value: format!("{:?}", made.planted[0]) }];
    assert_eq!(code(&mut world, &submission(&made, private)), "stage.differs");
    let no_files = Made { blob_root: None, ..make(&Wish { file_bytes: vec![10], ..wish(1, &own) }, &mut rng) };
    assert_eq!(code(&mut world, &submission(&no_files, Vec::new())), "stage.not_staged", "another root");
    let mut call = submission(&made, Vec::new());
    call.arguments.push(0);
    assert_eq!(code(&mut world, &call), "stage.malformed");
    call.contract = ContractName::new("notary").unwrap();
    assert_eq!(code(&mut world, &call), "ok", "other contracts are none of its business");
}

#[test]
fn staged_documents_survive_a_crash_and_end_with_their_time() {
    let mut world = World::new(121, &[1, 1], test_limits());
    world.limits.staged_keep_ms = 100_000;
    world.start_all();
    let made = world.stage(0, vec![2_000]);
    let lost = world.stage(0, Vec::new());
    world.crash(0);
    world.start(0);
    assert_eq!(world.vault(0).status().unwrap().staged, 2);
    let key = world.submit(&made, 0, rules(0, &[(1, World::all())]));
    world.run_until_settled(5_000);
    assert_eq!(world.vault(0).status().unwrap().staged, 1);
    world.run(300_000);
    assert_eq!(world.vault(0).status().unwrap().staged, 1, "no block says that it is late");
    world.pass_block();
    world.run(70_000);
    assert_eq!(world.vault(0).status().unwrap().staged, 0, "its transaction never came");
    assert_eq!(world.vault(0).staged(&VersionKey { id: lost.id, version: 1 }).unwrap(), None);
    assert_eq!(world.vault(0).possession(&key).unwrap(), World::all());
}

#[test]
fn what_came_to_the_chain_while_its_node_was_away_is_held() {
    let mut world = World::new(122, &[1, 1], test_limits());
    world.limits.staged_keep_ms = 100_000;
    world.start_all();
    let made = world.stage(0, vec![2_000]);
    // The others commit it, and its own node loses power before it hears of that.
    world.crash(0);
    let key = world.submit(&made, 0, rules(0, &[(1, World::all())]));
    world.run(2_000_000);
    world.pass_block();
    world.start(0);
    world.run_until_settled(10_000);
    for node in 0..2 {
        assert_eq!(world.vault(node).possession(&key).unwrap(), World::all());
    }
}

#[test]
fn whoever_puts_anothers_document_on_the_chain_gets_nothing_of_it() {
    let mut world = world();
    let made = world.stage(0, vec![3_000]);
    // Id and root stand in the arguments of a transaction that failed, or waits: another member makes them its own.
    let key = world.submit(&made, 1, rules(1, &[(0, World::all())]));
    world.run(6_000);
    assert_eq!(world.vault(0).counters().deliveries_sent, 0);
    assert!(world.vault(0).receipts(&key).unwrap().is_empty());
    assert!(world.vault(0).possession(&key).unwrap().is_empty(), "it is not what the chain speaks of");
    assert!(world.vault(1).possession(&key).unwrap().is_empty());
    assert_eq!(world.vault(0).status().unwrap().staged, 0);
}

#[test]
fn another_content_on_the_chain_voids_what_is_staged() {
    let mut world = world();
    let made = world.stage(0, Vec::new());
    let key = VersionKey { id: made.id, version: 1 };
    let other = Made { root: [9; 32], ..make(&wish(1, &member_secret(0).public()), &mut world.rng.clone()) };
    world.shared.0.lock().submit(key, &name(0), Vec::new(), other.root, None, Vec::new(), rules(0, &[]));
    world.spread_blocks();
    world.run(3_000);
    assert_eq!(world.vault(0).staged(&key).unwrap(), None);
    assert!(world.vault(0).possession(&key).unwrap().is_empty());
    assert_eq!(DocumentId::new(*key.id.as_bytes()), made.id);
}
