//! The SDK against the API over real connections: the two ends of the same shapes.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;
use vouch_api::{Backend, Server};
use vouch_sdk::{AdminToken, Client, ClientConfig, EventsRequest, ListQuery, TransactionBuilder};
use vouch_types::{
    ChainId, ContractName, Height,
    api::{Cursor, FeedItem, QueryBody, SubmitItem, SubmitStatus},
};

use crate::double::{ADMIN, CHAIN, Plain, config, key, unlimited};

struct Running {
    url: String,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start(chain: &Arc<Plain>) -> Self {
        let backend: Arc<dyn Backend> = Arc::<Plain>::clone(chain);
        let server = Server::bind(&config(unlimited()), backend, None).await.expect("binds");
        let (url, stop) = (server.url(), CancellationToken::new());
        Self { url, stop: stop.clone(), task: tokio::spawn(server.run(stop)) }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("ends");
    }
}

fn patient(nodes: &[&str]) -> ClientConfig {
    ClientConfig {
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(5),
        attempts_max: 4,
        admin_token: Some(AdminToken::new(ADMIN)),
        ..ClientConfig::of_nodes(nodes.iter().copied())
    }
}

fn notes() -> ContractName {
    ContractName::new("notes").expect("name")
}

async fn built(client: &Client) -> TransactionBuilder {
    client.transaction_builder().await.expect("params").call(notes(), "add", vec![1])
}

#[tokio::test]
async fn submit_wait_list_query_backup() {
    let chain = Plain::new();
    let node = Running::start(&chain).await;
    let client = patient(&[&node.url]).build().expect("client");
    let transaction = built(&client).await.sign(&[&key()]).expect("signs");
    assert_eq!(client.submit(&transaction).await.expect("submits").status, SubmitStatus::Accepted);
    assert_eq!(client.submit(&transaction).await.expect("submits").status, SubmitStatus::Known);
    let (waited, height) = tokio::join!(client.wait(transaction.id, Duration::from_secs(20)), async { chain.seal() });
    assert_eq!((waited.expect("final").height, height), (Height(1), Height(1)));
    let other = built(&client).await.sign(&[&key()]).expect("signs");
    let results = client.submit_batch(&[other.clone(), transaction.clone()]).await.expect("batch");
    assert_eq!(results, [SubmitItem::Accepted { id: other.id }, SubmitItem::Known { id: transaction.id }]);

    assert_eq!(client.blocks(&ListQuery::default()).await.expect("blocks").items.len(), 1);
    assert_eq!(client.block(None).await.expect("block").transactions, [transaction.id]);
    let listed = client.block_transactions(Some(Height(1)), &ListQuery::default()).await.expect("transactions");
    assert_eq!(listed.items[0].id, transaction.id);
    let body = QueryBody { arguments: serde_json::json!({ "a": 1 }), ..QueryBody::default() };
    assert_eq!(client.query(&notes(), "echo", body).await.expect("query").value, Some(serde_json::json!({ "a": 1 })));
    assert_eq!(client.state(&notes(), &[1], true).await.expect("state").proof.expect("proof").0, [2]);
    assert_eq!(
        client.contracts(&ListQuery { from: Some("a".into()), limit: Some(1) }).await.expect("list").items.len(),
        1
    );
    assert_eq!(client.status().await.expect("status").chain, CHAIN);
    assert_eq!(client.backup("/no-such-file").await.expect("backup").height, Height(1));
    client.validators(None).await.expect("validators");
    client.members().await.expect("members");
    client.evidence(&ListQuery::default()).await.expect("evidence");
    node.stop().await;
}

#[tokio::test]
async fn errors_carry_the_nodes_code_and_are_not_tried_again() {
    let chain = Plain::new();
    let node = Running::start(&chain).await;
    let client = patient(&[&node.url]).build().expect("client");
    let refused = client.query(&notes(), "refuse", QueryBody::default()).await.expect_err("refuses");
    assert_eq!((refused.code(), refused.to_problem().status), ("notes.not_yours", 422));
    assert_eq!(client.block(Some(Height(9))).await.expect_err("none").code(), "block.unknown");
    let late = client.wait(vouch_types::TxId([1; 32]), Duration::from_millis(20)).await.expect_err("never");
    assert_eq!(late.code(), "client.timeout");
    let other = ClientConfig { chain: Some(ChainId([9; 32])), ..patient(&[&node.url]) }.build().expect("client");
    assert_eq!(other.params().await.expect_err("other chain").code(), "client.wrong_chain");
    assert_eq!(other.status().await.expect_err("other chain").code(), "client.wrong_chain");
    assert_eq!(other.block(None).await.expect_err("other chain").code(), "client.wrong_chain");
    assert_eq!(
        other.query(&notes(), "refuse", QueryBody::default()).await.expect_err("x").code(),
        "client.wrong_chain"
    );
    let mut events = other.events(EventsRequest::default());
    assert_eq!(events.next().await.expect("one").expect_err("other chain").code(), "client.wrong_chain");
    let plain_text = ClientConfig { attempts_max: 1, ..patient(&[&node.url.replace("http:", "https:")]) };
    assert!(matches!(
        plain_text.build().expect("client").status().await.expect_err("no TLS there").code(),
        "client.tls" | "client.unreachable"
    ));
    node.stop().await;
    assert_eq!(client.status().await.expect_err("gone").code(), "client.unreachable");
    for bad in [vec![], vec!["ftp://x".to_owned()], vec!["nonsense".to_owned()]] {
        assert_eq!(ClientConfig::of_nodes(bad).build().expect_err("bad").code(), "client.configuration");
    }
}

#[tokio::test]
async fn another_node_takes_over_for_requests_and_streams() {
    let chain = Plain::new();
    let (first, second) = (Running::start(&chain).await, Running::start(&chain).await);
    let client = patient(&[&first.url, &second.url]).build().expect("client");
    let request = EventsRequest { after: Some(Cursor::default()), ..EventsRequest::default() };
    let mut items = client.events(request);
    chain.seal();
    let next =
        |item: Option<Result<(Cursor, FeedItem), vouch_sdk::Error>>| item.expect("more").expect("item").0.to_string();
    assert_eq!(next(items.next().await), "1-0");
    first.stop().await;
    assert_eq!(client.status().await.expect("the second answers").head, Height(1));
    let transaction = built(&client).await.sign(&[&key()]).expect("signs");
    client.submit(&transaction).await.expect("submits");
    chain.seal();
    let rest = [next(items.next().await), next(items.next().await), next(items.next().await)];
    assert_eq!(rest, ["2-0", "2-1", "2-2"], "nothing lost, nothing twice");
    second.stop().await;
    assert_eq!(items.next().await.expect("an error").expect_err("no node left").code(), "client.unreachable");
    assert!(items.next().await.is_none());
}
