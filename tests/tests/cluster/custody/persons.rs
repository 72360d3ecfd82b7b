//! Persons at the ends of a chain of evidence: with which key they signed, whose it was and when, and what a lying node comes to.

use serde_json::{Value, json};
use vouch_sdk::{Provenance, SignedBy};
use vouch_tests::private::{House, Records};
use vouch_types::{
    ContractName, SecretKey, SubjectId,
    api::Direction,
    document::{self, DocumentId, Party, signature_digest},
    relation::{self, RelationKind, key},
};

use super::{Chain, ENTERPRISE, INSTITUTION, Lie, PLATFORM, hex, start, stranger, submit, told};

/// A person who has changed their key, and three contracts signed by them.
struct Person {
    alias: SubjectId,
    keys: [SecretKey; 2],
    /// Signed with the first key, brought by the enterprise.
    brought: DocumentId,
    /// Signed by the person's own transaction, with the first key.
    sent: DocumentId,
    /// Signed with the second key, brought by the institution.
    after: DocumentId,
    /// What the chain said before the change: paths of questions and their answers.
    before: Vec<(String, Value)>,
}

async fn contract(house: &House, alias: SubjectId, identities: &[(&str, DocumentId)]) -> DocumentId {
    let (worker, client) = (Party::subject(alias), house.party(ENTERPRISE));
    let all = [("worker", worker), ("client", client), ("institution", house.party(INSTITUTION))];
    let id = submit(house, "service-contract", &all, identities).await;
    for member in [INSTITUTION, ENTERPRISE] {
        house.desk(member).send(|builder| builder.sign_document(id, 1)).await.unwrap();
    }
    id
}

/// Another account brings what the person signed.
async fn bring(house: &House, by: usize, id: DocumentId, alias: SubjectId, own: &SecretKey) {
    let desk = house.desk(by);
    let version = desk.client.document_version(id, 1).await.unwrap().unwrap();
    let signature = own.sign(signature_digest(&id, 1, &version.content.root).as_bytes()).0.to_vec();
    desk.send(|builder| builder.sign_document_for(id, 1, alias, Some(signature))).await.unwrap();
}

async fn make(house: &House, enterprise_identity: DocumentId) -> Person {
    let alias = SubjectId(Records::new(rand::random()).bytes());
    let keys = [0; 2].map(|_| SecretKey::from_seed(Records::new(rand::random()).bytes()));
    let [first, second] = &keys;
    let desk = house.desk(INSTITUTION);
    let member = desk.member.clone();
    desk.send(|builder| builder.register_subject_with_key(alias, &member, first)).await.unwrap();
    house.relate(RelationKind::Receives, ENTERPRISE, Party::subject(alias), INSTITUTION).await.unwrap();
    let identity = submit(house, "worker-identity", &[("worker", Party::subject(alias))], &[]).await;
    let identities = [("worker_identity", identity), ("client_identity", enterprise_identity)];
    let brought = contract(house, alias, &identities).await;
    bring(house, ENTERPRISE, brought, alias, first).await;
    let sent = contract(house, alias, &identities).await;
    desk.carry(&[first, &desk.key], |builder| builder.sign_document(sent, 1)).await.unwrap().unwrap();

    house.caught_up(PLATFORM, INSTITUTION).await.unwrap();
    let client = stranger(house, &house.cluster.plan.nodes[PLATFORM].api);
    let relations = ContractName::new(relation::CONTRACT).unwrap();
    let mut before = Vec::new();
    for place in [key::subject(&alias), key::person_keys(&alias), key::person_key(&alias, 1)] {
        before.push((hex(&place), json!(client.state(&relations, &place, true).await.unwrap())));
    }
    let signers = [first, &desk.key];
    let change = desk.carry(&signers, |builder| builder.set_subject_key(alias, &member, second));
    change.await.unwrap().unwrap();
    let after = contract(house, alias, &identities).await;
    bring(house, INSTITUTION, after, alias, second).await;
    house.caught_up(PLATFORM, INSTITUTION).await.unwrap();
    Person { alias, keys, brought, sent, after, before }
}

async fn up(house: &House, id: DocumentId) -> Provenance {
    let client = stranger(house, &house.cluster.plan.nodes[PLATFORM].api);
    client.provenance(id, None, Direction::Up, 8).await.unwrap()
}

/// By what the person signed a document.
fn by(provenance: &Provenance, id: DocumentId, alias: SubjectId) -> SignedBy {
    let document = provenance.documents.iter().find(|document| document.id == id).unwrap();
    assert_eq!(document.signatures.len(), 3, "both members and the person");
    document.signatures.iter().find(|signature| signature.party == Party::subject(alias)).unwrap().by.clone()
}

/// A person without a key, for whom the member signs that serves them.
async fn one_without_a_key(house: &House, chain: &Chain) {
    let up = up(house, chain.contract).await;
    let member = house.desk(INSTITUTION).member.clone();
    assert_eq!(by(&up, chain.contract, chain.person), SignedBy::Served { member: member.clone() });
    let person = up.persons.iter().find(|person| person.alias == chain.person).unwrap();
    assert_eq!((person.registered_by.as_str(), person.keys.len()), (member.as_str(), 0));
    assert_eq!(person.served.iter().map(|service| service.member.as_str()).collect::<Vec<_>>(), [member.as_str()]);
}

async fn each_key_is_proven(house: &House, person: &Person) {
    let Person { alias, keys, brought, sent, after, .. } = person;
    for (id, number) in [(brought, 1), (sent, 1), (after, 2)] {
        let up = up(house, *id).await;
        let wanted = SignedBy::OwnKey { number, key: keys[usize::try_from(number).unwrap() - 1].public() };
        assert_eq!(by(&up, *id, *alias), wanted);
        let proven = up.persons.iter().find(|proven| proven.alias == *alias).unwrap();
        let [first, second] = proven.keys.as_slice() else { panic!("{:?}", proven.keys) };
        assert_eq!([first.key, second.key], [keys[0].public(), keys[1].public()]);
        let member = &house.desk(INSTITUTION).member;
        assert_eq!((first.member.as_ref(), first.by), (Some(member), house.desk(INSTITUTION).key.public().account()));
        assert_eq!((second.member.as_ref(), second.by), (None, keys[0].public().account()));
        assert!(first.ended == Some(second.set) && second.ended.is_none());
    }
}

/// The same as people do it.
async fn at_the_command_line(house: &House, person: &Person) {
    let (address, chain) = (&house.cluster.plan.nodes[PLATFORM].api, house.cluster.plan.chain.to_string());
    let alias = person.alias.to_string();
    let stranger = SecretKey::from_seed([3; 32]).public();
    let [first, second] = [0, 1].map(|at| person.keys[at].public());
    for (key, code, said) in [
        (second, 0, "The key is the person's now."),
        (first, 6, "The key was the person's and no longer is."),
        (stranger, 6, "The key never was the person's."),
    ] {
        let key = key.to_string();
        let arguments = ["--node", address, "--chain", &chain, "--lang", "en", "subject", "prove", &alias];
        let shown = house.cluster.program.run(arguments.iter().chain(&["--key", &key])).await.unwrap();
        assert!(shown.code == code && shown.stdout.contains(said), "{shown:?}");
        assert!(shown.stdout.contains(&second.to_string()) && shown.stdout.contains(&first.to_string()), "{shown:?}");
    }
    let document = person.after.to_string();
    let arguments = ["--node", address, "--chain", &chain, "--lang", "en", "doc", "provenance", &document];
    let shown = house.cluster.program.run(arguments).await.unwrap().success().unwrap().stdout;
    assert!(shown.contains(", own key 2)") && shown.contains("set by the key before"), "{shown}");
    let unpinned = house.cluster.program.run(["--node", address, "--json", "subject", "prove", &alias]).await.unwrap();
    assert_eq!(unpinned.problem_code().unwrap(), "client.configuration");
}

/// A liar that answers nothing under a place.
fn without(place: &[u8]) -> Lie {
    let place = hex(place);
    Box::new(move |target, answer| {
        if target.contains(&format!("/{place}?")) {
            (answer["value"], answer["proof"]) = (Value::Null, Value::Null);
        }
    })
}

/// A liar that answers some questions with other answers.
fn instead(answers: Vec<(String, Value)>) -> Lie {
    Box::new(move |target, answer| {
        if let Some((_, other)) = answers.iter().find(|(place, _)| target.contains(&format!("/{place}?"))) {
            *answer = other.clone();
        }
    })
}

/// A node can leave a question about a person unanswered. It cannot put another key in a person's place, keep back a change of
/// key or who brought it, pass the time before the change for now, or another signature for the person's.
async fn a_lying_node_is_caught(house: &House, chain: &Chain, person: &Person) {
    let Person { alias, keys, brought, after, before, .. } = person;
    let up = async |lie: Lie, id: DocumentId| told(house, lie, id, Direction::Up).await.map(drop);
    let code = async |lie: Lie, id: DocumentId| up(lie, id).await.unwrap_err().code().to_owned();
    up(Box::new(|_, _| {}), *after).await.unwrap();

    // Another key, wherever the person's is named.
    let (from, to) = (hex(&keys[1].public().bytes), hex(&SecretKey::from_seed([3; 32]).public().bytes));
    let changed: Lie = Box::new(move |_, answer| {
        for place in ["value", "proof"] {
            if let Some(text) = answer[place].as_str() {
                answer[place] = json!(text.replace(&from, &to));
            }
        }
    });
    assert_eq!(code(changed, *after).await, "proof.invalid");

    // The true record of another person.
    let client = stranger(house, &house.cluster.plan.nodes[PLATFORM].api);
    let [relations, documents] = [relation::CONTRACT, document::CONTRACT].map(|name| ContractName::new(name).unwrap());
    let other = json!(client.state(&relations, &key::subject(&chain.person), true).await.unwrap());
    let swapped = instead(vec![(hex(&key::subject(alias)), other)]);
    assert_eq!(code(swapped, *after).await, "proof.invalid");

    // What is kept back: a key, how many there are, who serves the person, what the person signed.
    let signature = |id: &DocumentId| document::key::person_signature(id, 1, alias);
    for place in [
        key::person_key(alias, 1),
        key::person_key(alias, 2),
        key::person_keys(alias),
        key::party_relationships(&Party::subject(*alias)),
        key::party_relationship(&Party::subject(*alias), 1),
        signature(after),
    ] {
        assert_eq!(code(without(&place), *after).await, "document.not_as_committed", "{}", hex(&place));
    }
    // Another of their signatures, with its true proof.
    let other = json!(client.state(&documents, &signature(brought), true).await.unwrap());
    assert_eq!(code(instead(vec![(hex(&signature(after)), other)]), *after).await, "proof.invalid");

    // All as it was before the change: true then, and what was signed before is shown as it is. What was signed later is not.
    let liar = start_with(house, instead(before.clone())).await;
    let then = stranger(house, &liar).proven_person(*alias).await.unwrap();
    let now = client.proven_person(*alias).await.unwrap();
    assert_eq!((then.keys.len(), now.keys.len()), (1, 2));
    assert!(then.proven_at < now.keys[1].set.height, "what is shown says as of when");
    assert_eq!(code(instead(before.clone()), *after).await, "document.not_as_committed");
    // Then and now together are nothing that ever was.
    assert_eq!(code(instead(before[..1].to_vec()), *brought).await, "document.not_as_committed");
    assert_eq!(code(instead(before[1..2].to_vec()), *brought).await, "document.not_as_committed");
    assert_eq!(code(instead(before[2..].to_vec()), *brought).await, "document.not_as_committed");
}

async fn start_with(house: &House, lie: Lie) -> String {
    let node = house.cluster.plan.nodes[PLATFORM].api.strip_prefix("http://").unwrap();
    start(node.to_owned(), house.cluster.plan.chain, lie).await
}

/// Every byte of the proof of a key counts.
async fn every_byte_counts(house: &House, person: &Person) {
    let place = hex(&key::person_key(&person.alias, 1));
    for part in 0..24usize {
        let place = place.clone();
        let spoiled: Lie = Box::new(move |target, answer| {
            let proof = answer["proof"].as_str().filter(|_| target.contains(&place));
            if let Some(proof) = proof.map(str::to_owned) {
                let at = proof.len() * part / 24;
                let digit = if proof.as_bytes()[at] == b'0' { "1" } else { "0" };
                answer["proof"] = json!([&proof[..at], digit, &proof[at + 1..]].concat());
            }
        });
        let liar = start_with(house, spoiled).await;
        let caught = stranger(house, &liar).proven_person(person.alias).await;
        assert_eq!(caught.unwrap_err().code(), "proof.invalid", "part {part}");
    }
}

/// Everything about persons.
pub(super) async fn all(house: &House, chain: &Chain) {
    one_without_a_key(house, chain).await;
    let person = make(house, chain.client).await;
    each_key_is_proven(house, &person).await;
    at_the_command_line(house, &person).await;
    a_lying_node_is_caught(house, chain, &person).await;
    every_byte_counts(house, &person).await;
}
