//! Who is heard at whose node: a person's signed request serves at the node it was signed for and at no other.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use vouch_sdk::TransactionBuilder;
use vouch_tests::{
    cluster::Options,
    private::{Desk, House},
};
use vouch_types::{
    SecretKey, SubjectId, TimestampMs,
    api::caller::{Authority, SignedRequest},
};

const INSTITUTION: usize = 1;
const PATIENCE: Duration = Duration::from_secs(60);

fn address(house: &House, node: usize) -> SocketAddr {
    house.cluster.plan.nodes[node].api.strip_prefix("http://").unwrap().parse().unwrap()
}

/// A request as it is on the wire, signed for a node.
fn signed(house: &House, key: &SecretKey, node: usize, target: &str) -> String {
    let node: Authority = address(house, node).to_string().parse().unwrap();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let time = TimestampMs(u64::try_from(since.as_millis()).unwrap());
    let (chain, nonce, body) = (house.cluster.plan.chain, rand::random(), SignedRequest::body_hash(b""));
    let said = SignedRequest { chain, node: &node, method: "GET", target, time, nonce, body };
    let headers: String = said.headers(key).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET {target} HTTP/1.0\r\nHost: {node}\r\n{headers}\r\n")
}

async fn sent(to: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_a_person_signs_for_one_node_no_other_hears() {
    let options = Options { plain_http: true, accounts: 4, idle_interval_ms: 1_000, ..Options::default() };
    let house = House::open(options).await.unwrap();
    let (alias, key) = (SubjectId([0x5a; 32]), SecretKey::from_seed([0x5b; 32]));
    let institution = house.desk(INSTITUTION);
    let build = |builder: TransactionBuilder| builder.register_subject_with_key(alias, &institution.member, &key);
    let registered = institution.send(build).await.unwrap();
    for node in house.cluster.all() {
        house.desk(node).client.wait(registered.id, PATIENCE).await.unwrap();
    }
    // What the owner of a key has signed for one member another cannot register.
    let (other, further) = (house.desk(0), SecretKey::from_seed([0x5d; 32]));
    let build = |builder: TransactionBuilder| {
        builder.register_subject_with_key(SubjectId([0x5c; 32]), &institution.member, &further)
    };
    let taken = other.attempt(build).await.unwrap();
    assert_eq!(taken.map(drop), Err("contract.error.key_proof".to_owned()));

    let target = format!("/api/v1/persons/{alias}/held");
    for node in house.cluster.all() {
        let desk = Desk::new(&house.cluster, node, SecretKey::from_seed([0x5b; 32])).unwrap();
        assert_eq!(desk.client.account().await.unwrap().subject, Some(alias), "node {node}");
    }
    let captured = signed(&house, &key, 0, &target);
    for node in house.cluster.all().into_iter().filter(|node| *node != 0) {
        let answer = sent(address(&house, node), &captured).await;
        assert!(answer.starts_with("HTTP/1.0 421") && answer.contains("caller.other_node"), "node {node}: {answer}");
        let named = captured.replace(&address(&house, 0).to_string(), &address(&house, node).to_string());
        let answer = sent(address(&house, node), &named).await;
        assert!(answer.contains("caller.signature"), "node {node}: {answer}");
    }
    let answer = sent(address(&house, 0), &captured).await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(sent(address(&house, 0), &captured).await.contains("caller.replayed"));
}
