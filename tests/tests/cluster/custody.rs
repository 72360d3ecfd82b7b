//! Chain of custody: from an invoice to both parties' verified identity and back, every step and the keys of persons proven to the
//! client from the chain's id; a node that shows another step or another key is caught.

mod liar;
mod persons;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vouch_sdk::{Client, ClientConfig, DocumentDraft, Error, Provenance};
use vouch_tests::{
    cluster::Options,
    private::{House, Records, code_of, sample_schema},
};
use vouch_types::{
    SubjectId,
    api::Direction,
    document::{DocumentId, Party, PartyEntry, ReferenceEntry, VersionState, key},
    relation::RelationKind,
};

use liar::{Lie, start};

const PLATFORM: usize = 0;
const INSTITUTION: usize = 1;
const ENTERPRISE: usize = 2;

/// A chain of evidence, from identities to invoices.
struct Chain {
    worker: DocumentId,
    client: DocumentId,
    contract: DocumentId,
    transaction: DocumentId,
    invoices: [DocumentId; 2],
    person: SubjectId,
}

async fn submit(
    house: &House,
    schema: &str,
    parties: &[(&str, Party)],
    references: &[(&str, DocumentId)],
) -> DocumentId {
    let mut values = Records::new(rand::random()).record(&sample_schema(schema));
    let public = if schema.ends_with("-identity") { vec!["result".to_owned()] } else { Vec::new() };
    values.extend(public.iter().map(|name| (name.clone(), json!("passed"))));
    let draft = DocumentDraft {
        schema: schema.into(),
        values,
        public,
        parties: parties
            .iter()
            .map(|(role, party)| PartyEntry { role: (*role).into(), party: party.clone() })
            .collect(),
        references: references
            .iter()
            .map(|(name, id)| ReferenceEntry { name: (*name).into(), id: *id, version: 1 })
            .collect(),
        ..DocumentDraft::default()
    };
    house.desk(INSTITUTION).submit(&draft).await.unwrap().id
}

async fn make(house: &House) -> Chain {
    let person = SubjectId(Records::new(rand::random()).bytes());
    house.register_persons(INSTITUTION, &[person]).await.unwrap();
    let (worker, client) = (Party::subject(person), house.party(ENTERPRISE));
    house.relate(RelationKind::Receives, ENTERPRISE, worker.clone(), INSTITUTION).await.unwrap();
    house.relate(RelationKind::Serves, INSTITUTION, client.clone(), ENTERPRISE).await.unwrap();
    let all = [("worker", worker.clone()), ("client", client.clone()), ("institution", house.party(INSTITUTION))];
    let worker = submit(house, "worker-identity", &[("worker", worker)], &[]).await;
    let enterprise = submit(house, "enterprise-identity", &[("enterprise", client.clone())], &[]).await;
    let identities = [("worker_identity", worker), ("client_identity", enterprise)];
    let contract = submit(house, "service-contract", &all, &identities).await;
    for member in [INSTITUTION, ENTERPRISE] {
        house.desk(member).send(|builder| builder.sign_document(contract, 1)).await.unwrap();
    }
    house.desk(INSTITUTION).send(|builder| builder.sign_document_for(contract, 1, person, None)).await.unwrap();
    let transaction = submit(house, "service-transaction", &all, &[("contract", contract)]).await;
    let sides = [("buyer", client), ("seller", house.party(INSTITUTION))];
    let mut invoices = [transaction; 2];
    for invoice in &mut invoices {
        *invoice = submit(house, "service-invoice", &sides, &[("transaction", transaction)]).await;
    }
    house.caught_up(PLATFORM, INSTITUTION).await.unwrap();
    Chain { worker, client: enterprise, contract, transaction, invoices, person }
}

/// Names of the documents, so that what differs can be read.
fn steps(provenance: &Provenance, chain: &Chain) -> BTreeSet<(String, String, String)> {
    let Chain { worker, client, contract, transaction, invoices, .. } = chain;
    let named = |id: DocumentId| {
        let known = [("worker", worker), ("client", client), ("contract", contract), ("transaction", transaction)];
        let invoice = |at: usize| (["invoice 1", "invoice 2"][at], &invoices[at]);
        let mut known = known.into_iter().chain([invoice(0), invoice(1)]);
        known.find(|(_, of)| **of == id).expect("a document of this chain").0.to_owned()
    };
    provenance.steps.iter().map(|step| (named(step.from), step.name.clone(), named(step.to))).collect()
}

fn wanted(steps: &[(&str, &str, &str)]) -> BTreeSet<(String, String, String)> {
    steps.iter().map(|(from, name, to)| ((*from).into(), (*name).into(), (*to).into())).collect()
}

const TO_IDENTITIES: [(&str, &str, &str); 4] = [
    ("invoice 1", "transaction", "transaction"),
    ("transaction", "contract", "contract"),
    ("contract", "worker_identity", "worker"),
    ("contract", "client_identity", "client"),
];

/// A client that has heard of nothing but the chain's id, and the address of a node of a member with no part in any of it.
fn stranger(house: &House, address: &str) -> Client {
    let mut config = ClientConfig::new(address);
    (config.chain, config.attempts_max) = (Some(house.cluster.plan.chain), 1);
    config.build().unwrap()
}

async fn forwards_and_backwards(house: &House, chain: &Chain) {
    let client = stranger(house, &house.cluster.plan.nodes[PLATFORM].api);
    let up = client.provenance(chain.invoices[0], None, Direction::Up, 8).await.unwrap();
    assert!(up.complete && up.chain == house.cluster.plan.chain);
    assert_eq!(steps(&up, chain), wanted(&TO_IDENTITIES));
    let found = |id: DocumentId| up.documents.iter().find(|document| document.id == id).unwrap();
    for (id, party) in [(chain.worker, Party::subject(chain.person)), (chain.client, house.party(ENTERPRISE))] {
        let identity = found(id);
        assert_eq!((identity.state, identity.distance), (VersionState::Effective, -3));
        assert_eq!((identity.issuer.as_str(), &identity.parties[0].party), ("institution", &party));
        assert_eq!(identity.public.get("result").map(String::as_str), Some("\"passed\""));
    }
    assert_eq!(found(chain.contract).state, VersionState::Effective);

    // Back from each identity to both invoices, through the same steps.
    for (identity, own) in [(chain.worker, TO_IDENTITIES[2]), (chain.client, TO_IDENTITIES[3])] {
        let down = client.provenance(identity, None, Direction::Down, 8).await.unwrap();
        let second = ("invoice 2", "transaction", "transaction");
        assert_eq!(steps(&down, chain), wanted(&[own, TO_IDENTITIES[1], TO_IDENTITIES[0], second]));
        let counted: Vec<Option<u64>> = down.documents.iter().map(|document| document.referenced_by).collect();
        assert_eq!(counted, [Some(1), Some(1), Some(2), None, None]);
        assert!(down.complete);
    }
    let near = client.provenance(chain.contract, None, Direction::Both, 1).await.unwrap();
    assert_eq!(steps(&near, chain), wanted(&TO_IDENTITIES[1..]));
    assert!(!near.complete, "there is more behind the last step");
    let unknown = client.provenance(DocumentId::new([9; 16]), None, Direction::Up, 8).await.unwrap_err();
    assert_eq!(code_of(&unknown), "vault.unknown_document");
}

/// The same as people do it; with the id of another chain nothing holds.
async fn at_the_command_line(house: &House, chain: &Chain) {
    let (address, id) = (&house.cluster.plan.nodes[PLATFORM].api, chain.invoices[0].to_string());
    let ask = async |chain: &str, language: &str| {
        let arguments = ["--node", address, "--chain", chain, "--lang", language, "doc", "provenance", &id];
        house.cluster.program.run(arguments.iter().chain(&["--direction", "up"])).await.unwrap()
    };
    let pinned = house.cluster.plan.chain.to_string();
    let shown = ask(&pinned, "en").await.success().unwrap().stdout;
    for line in ["-> worker_identity: ", "-> client_identity: ", "result = passed", "is proven from the chain's id."] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(ask(&pinned, "zh").await.success().unwrap().stdout.contains("核验"));
    let other = ask(&"ab".repeat(32), "en").await;
    assert!(other.code != 0 && !other.stdout.contains("->"), "{other:?}");
    let home = ["--json", "doc", "provenance", &id, "--depth", "2"];
    let shown = house.cluster.vouch(ENTERPRISE, &home).await.unwrap().success().unwrap().json().unwrap();
    assert_eq!((shown["complete"].as_bool(), shown["documents"].as_array().unwrap().len()), (Some(false), 3));
}

/// What the client of a lying node comes to.
async fn told(house: &House, lie: Lie, id: DocumentId, direction: Direction) -> Result<Provenance, Error> {
    let node = house.cluster.plan.nodes[PLATFORM].api.strip_prefix("http://").unwrap();
    let address = start(node.to_owned(), house.cluster.plan.chain, lie).await;
    stranger(house, &address).provenance(id, None, direction, 8).await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A node can leave a question unanswered. It cannot change a step, a state or a count, nor keep back one that is counted.
async fn a_lying_node_is_caught(house: &House, chain: &Chain) {
    let invoice = chain.invoices[0];
    let truth = told(house, Box::new(|_, _| {}), invoice, Direction::Up).await.unwrap();
    assert_eq!(steps(&truth, chain), wanted(&TO_IDENTITIES), "the liar's way tells the truth as well");

    // The transaction names the other identity, wherever its contract is named: in the value and in the proof of it.
    let (from, to) = (hex(chain.contract.as_bytes()), hex(chain.client.as_bytes()));
    let changed: Lie = Box::new(move |_, answer| {
        for place in ["value", "proof"] {
            if let Some(text) = answer[place].as_str() {
                answer[place] = json!(text.replace(&from, &to));
            }
        }
    });
    assert_eq!(told(house, changed, invoice, Direction::Up).await.unwrap_err().code(), "proof.invalid");

    // The true proof of another record: of another transaction's version, say.
    let place = hex(&key::version(&chain.transaction, 1));
    let client = stranger(house, &house.cluster.plan.nodes[PLATFORM].api);
    let documents = vouch_types::ContractName::new("documents").unwrap();
    let other = client.state(&documents, &key::version(&chain.invoices[1], 1), true).await.unwrap();
    let other = json!(other);
    let swapped: Lie = Box::new(move |target, answer| {
        if target.contains(&place) {
            *answer = other.clone();
        }
    });
    assert_eq!(told(house, swapped, invoice, Direction::Up).await.unwrap_err().code(), "proof.invalid");

    // Of two invoices that stand on the transaction, the chain counts two.
    let place = hex(&key::backlink(&chain.transaction, 2));
    let kept_back: Lie = Box::new(move |target, answer| {
        if target.contains(&place) {
            (answer["value"], answer["proof"]) = (Value::Null, Value::Null);
        }
    });
    let caught = told(house, kept_back, chain.worker, Direction::Down).await.unwrap_err();
    assert_eq!(caught.code(), "document.not_as_committed");

    // Without the count it shows nothing behind, and says that it is not known how many there are.
    let place = hex(&key::backlinks(&chain.worker));
    let silent: Lie = Box::new(move |target, answer| {
        if target.contains(&place) {
            (answer["value"], answer["proof"]) = (Value::Null, Value::Null);
        }
    });
    let shown = told(house, silent, chain.worker, Direction::Down).await.unwrap();
    assert_eq!((shown.documents.len(), shown.documents[0].referenced_by), (1, None));
}

/// Every byte of a step's proof counts.
async fn every_byte_counts(house: &House, chain: &Chain) {
    let place = hex(&key::version(&chain.contract, 1));
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
        let caught = told(house, spoiled, chain.invoices[0], Direction::Up).await;
        assert_eq!(caught.unwrap_err().code(), "proof.invalid", "part {part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_leads_to_both_identities_and_back() {
    let options = Options { plain_http: true, accounts: 4, idle_interval_ms: 1_000, ..Options::default() };
    let house = House::open(options).await.unwrap();
    let chain = make(&house).await;
    forwards_and_backwards(&house, &chain).await;
    at_the_command_line(&house, &chain).await;
    a_lying_node_is_caught(&house, &chain).await;
    every_byte_counts(&house, &chain).await;
    persons::all(&house, &chain).await;
}
