//! A server in front of a node that changes what it answers.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use vouch_types::ChainId;

/// What becomes of an answer: path and query of the request, and the answer.
pub type Lie = Box<dyn Fn(&str, &mut Value) + Send + Sync>;

/// Starts one in front of a node's address; gives its own. It ends with the test's runtime.
pub async fn start(node: String, chain: ChainId, lie: Lie) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(target) = target(&mut stream).await else { continue };
            let answer = ask(&node, &target).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let mut value: Value = serde_json::from_str(body).unwrap();
            lie(&target, &mut value);
            let (status, body) = (head.lines().next().unwrap().replace("HTTP/1.0", "HTTP/1.1"), value.to_string());
            let answer = format!(
                "{status}\r\nvouch-chain: {chain}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            );
            // Who has left does not hear it.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// Path and query of a GET request.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    Some(head.strip_prefix("GET ")?.split(' ').next()?.to_owned())
}

async fn ask(node: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(node).await.unwrap();
    stream.write_all(format!("GET {target} HTTP/1.0\r\nHost: {node}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
