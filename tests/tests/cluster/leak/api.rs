//! Everything that a node answers: each route of `docs/openapi.json`, with everything known put into its path.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use vouch_tests::private::{Desk, Finder, House};
use vouch_types::{
    ContractName, Height, TimestampMs,
    abi::MethodKind,
    api::caller::{Authority, SignedRequest},
    document::{self, DocumentId},
    relation,
};

/// What the routes are asked about.
pub struct Known<'a> {
    pub documents: &'a [(DocumentId, u32)],
    /// A person whose documents they are.
    pub subject: String,
    /// Beginning of a text that stands in clear.
    pub open: &'a str,
    /// Slot of a field that takes files.
    pub file_slot: u16,
}

/// How long an answer that does not end by itself is listened to.
const STREAM: Duration = Duration::from_millis(700);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Requests at a time.
const AT_A_TIME: usize = 8;
/// What would change something or is asked elsewhere: method and path, one with a star at its end for all that begin so.
const NOT_DUMPED: [(&str, &str); 10] = [
    ("post", "/api/v1/admin/backup"),
    ("post", "/api/v1/admin/index/rebuild"),
    ("post", "/api/v1/documents/stage"),
    ("post", "/api/v1/transactions"),
    ("post", "/api/v1/transactions/batch"),
    ("post", "/api/v1/proposals/{id}/dry-run"),
    ("post", "/api/v1/documents/{document}/versions/{version}/uploads/*"),
    ("patch", "/api/v1/documents/{document}/versions/{version}/uploads/*"),
    ("delete", "/api/v1/documents/{document}/versions/{version}/uploads/*"),
    // Needs an opening, which is refused before.
    ("get", "/api/v1/documents/{document}/versions/{version}/files/*"),
];

/// One request over HTTP/1.0, signed by the account, whose answer comes as it is and ends with the connection.
async fn raw(house: &House, node: usize, address: &str, method: &str, target: &str, body: &str) -> Vec<u8> {
    let desk = house.desk(node);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let time = TimestampMs(u64::try_from(time.as_millis()).unwrap());
    let nonce: [u8; 16] = rand::random();
    let chain = house.cluster.plan.chain;
    let at: Authority = address.parse().unwrap();
    let body_hash = SignedRequest::body_hash(body.as_bytes());
    let said = SignedRequest { chain, node: &at, method, target, time, nonce, body: body_hash };
    let headers: String =
        said.headers(&desk.key).into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "{method} {target} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let is_stream = target.starts_with("/api/v1/events");
    let patience = if is_stream { STREAM } else { ANSWER_TIMEOUT };
    // A stream does not end: what came is kept.
    let ended = tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await;
    assert!(is_stream || ended.is_ok(), "{target} does not end");
    assert!(answer.starts_with(b"HTTP/1."), "{target}: {}", String::from_utf8_lossy(&answer));
    answer
}

/// The places of a path's parameters filled with everything known.
fn filled(path: &str, known: &Known<'_>, found: &Found) -> Vec<String> {
    let mut targets = vec![path.to_owned()];
    let fill = |targets: Vec<String>, name: &str, values: &[String]| -> Vec<String> {
        let place = format!("{{{name}}}");
        let with = |target: String| -> Vec<String> {
            if target.contains(&place) {
                values.iter().map(|value| target.replace(&place, value)).collect()
            } else {
                vec![target]
            }
        };
        targets.into_iter().flat_map(with).collect()
    };
    if path.contains("{document}") {
        let pairs = known.documents.iter();
        let one = |(id, version): &(DocumentId, u32)| {
            path.replace("{document}", &id.to_string()).replace("{version}", &version.to_string())
        };
        targets = pairs.map(one).collect::<BTreeSet<String>>().into_iter().collect();
    }
    let ids = if path.contains("proposals") { &found.proposals } else { &found.transactions };
    let (slot, subject) = (vec![known.file_slot.to_string()], vec![known.subject.clone()]);
    let values = [("height", &found.heights), ("id", ids), ("name", &found.contracts), ("key", &found.keys)];
    for (name, values) in
        values.into_iter().chain([("slot", &slot), ("index", &vec!["0".to_owned()]), ("subject", &subject)])
    {
        targets = fill(targets, name, values);
    }
    assert!(targets.iter().all(|target| !target.contains('{')), "nothing is known to fill {path}");
    targets
}

/// Routes whose query is needed, or says more than the path alone.
fn with_queries(path: &str, known: &Known<'_>) -> Option<Vec<String>> {
    let targets = match path {
        "/api/v1/events" => vec![format!("{path}?after=0")],
        "/api/v1/search" => {
            let ids = known.documents.iter().map(|(id, _)| id.to_string());
            let open: String = known.open.bytes().map(|byte| format!("%{byte:02X}")).collect();
            ids.chain(["1".into(), open]).map(|q| format!("{path}?q={q}")).collect()
        }
        "/api/v1/statistics" => {
            let measures = ["documents", "issuers", "transactions", "contracts", "blocks", "disputes", "erasures"];
            measures.iter().map(|measure| format!("{path}?measure={measure}")).collect()
        }
        _ => return None,
    };
    Some(targets)
}

fn is_dumped(method: &str, path: &str) -> bool {
    !NOT_DUMPED.iter().any(|(left_out, of)| {
        *left_out == method && of.strip_suffix('*').map_or(path == *of, |beginning| path.starts_with(beginning))
    })
}

/// What the chain has.
struct Found {
    heights: Vec<String>,
    transactions: Vec<String>,
    contracts: Vec<String>,
    proposals: Vec<String>,
    keys: Vec<String>,
}

async fn find(desk: &Desk, known: &Known<'_>) -> Found {
    let head = desk.client.status().await.unwrap().head;
    let mut found = Found {
        heights: (1..=head.0).map(|height| height.to_string()).collect(),
        transactions: Vec::new(),
        contracts: vec![document::CONTRACT.into(), relation::CONTRACT.into()],
        proposals: (1..=9).map(|number| number.to_string()).collect(),
        keys: Vec::new(),
    };
    for height in 1..=head.0 {
        let block = desk.client.block(Some(Height(height))).await.unwrap();
        found.transactions.extend(block.transactions.iter().map(ToString::to_string));
    }
    for (id, version) in known.documents {
        let key = [b"v".as_slice(), id.as_bytes(), &version.to_be_bytes()].concat();
        found.keys.push(key.iter().map(|byte| format!("{byte:02x}")).collect());
    }
    found
}

/// Every query that the contracts answer, about everything known.
async fn queries(desk: &Desk, known: &Known<'_>) -> Vec<(String, String)> {
    let mut asked = Vec::new();
    for contract in [document::CONTRACT, relation::CONTRACT] {
        let abi = desk.client.abi(&ContractName::new(contract).unwrap()).await.unwrap();
        for method in abi.methods.iter().filter(|method| method.kind == MethodKind::Query) {
            for (id, version) in known.documents {
                let of_number = ["id", "dispute"].iter().any(|name| method.arguments.iter().any(|a| a.name == *name))
                    && (method.name.contains("dispute")
                        || method.name.contains("grant")
                        || contract == relation::CONTRACT);
                let value = |name: &str| match name {
                    "id" | "dispute" if of_number && !method.name.starts_with("list") => json!(1),
                    "id" | "document" => json!(id),
                    "version" => json!(version),
                    "limit" => json!(50),
                    "alias" | "subject" => json!(known.subject),
                    "party" => json!({ "member": null, "subject": known.subject }),
                    "name" | "schema" => json!("engagement"),
                    "after_member" | "node" | "purpose" => json!(""),
                    "member" | "issuer" => json!("institution"),
                    _ => json!(0),
                };
                let arguments = method.arguments.iter().map(|argument| (argument.name.clone(), value(&argument.name)));
                let arguments: serde_json::Map<String, Value> = arguments.collect();
                let target = format!("/api/v1/contracts/{contract}/query/{}", method.name);
                asked.push((target, json!({ "arguments": arguments }).to_string()));
            }
        }
    }
    asked
}

/// Every request that a node can be asked: method, target, body.
async fn requests(desk: &Desk, known: &Known<'_>) -> Vec<(&'static str, String, String)> {
    let openapi: Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    let found = find(desk, known).await;
    let mut asked: Vec<(&str, String, String)> = Vec::new();
    let routes = openapi["paths"].as_object().unwrap().iter();
    let routes =
        routes.flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| (method, path)));
    for (method, path) in routes.filter(|(method, path)| is_dumped(method, path)) {
        match (method.as_str(), path.as_str()) {
            ("get", _) => {
                let targets = with_queries(path, known).unwrap_or_else(|| filled(path, known, &found));
                assert!(!targets.is_empty(), "nothing is known to ask {path} about");
                asked.extend(targets.into_iter().map(|target| ("GET", target, String::new())));
            }
            ("post", "/api/v1/contracts/{name}/query/{method}") => {
                asked.extend(queries(desk, known).await.into_iter().map(|(target, body)| ("POST", target, body)));
            }
            ("post", path) if path.ends_with("/read") || path.ends_with("/open") => {
                for purpose in ["service", "verification", "dispute", "credit"] {
                    let mut body = json!({ "purpose": purpose });
                    if path.ends_with("/open") {
                        body["recipient"] = json!("09".repeat(32));
                    }
                    let targets = filled(path, known, &found).into_iter();
                    asked.extend(targets.map(|target| ("POST", target, body.to_string())));
                }
            }
            ("post", "/api/v1/vault/check") => asked.push(("POST", path.clone(), "{}".into())),
            (method, path) => panic!("the dump does not know the route {method} {path}"),
        }
    }
    asked
}

/// Asks a node for everything and has all of it looked through; gives how many answers there were, by their status.
pub async fn dump(
    house: &House,
    node: usize,
    known: &Known<'_>,
    finders: &mut [&mut Finder],
) -> BTreeMap<String, usize> {
    let desk = house.desk(node);
    let address = house.cluster.plan.nodes[node].api.strip_prefix("http://").unwrap().to_owned();
    let asked = requests(desk, known).await;
    let answers = asked.into_iter().map(|(method, target, body)| {
        let address = &address;
        async move { (raw(house, node, address, method, &target, &body).await, format!("{method} {target}")) }
    });
    let mut answers = stream::iter(answers).buffer_unordered(AT_A_TIME);
    let mut statuses = BTreeMap::new();
    while let Some((answer, asked)) = answers.next().await {
        let place = format!("{} answers {asked}", desk.member);
        for finder in finders.iter_mut() {
            finder.look(&place, &answer);
        }
        let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
        // A request that is not understood shows nothing of what the route shows.
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.contains("\"code\":\"request.bad"), "{place}: {text}");
        *statuses.entry(status).or_default() += 1;
    }
    statuses
}
