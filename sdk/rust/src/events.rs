//! Following the chain, across nodes and broken connections.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{Stream, stream};
use reqwest::Response;
use vouch_types::{
    ContractName, TxId,
    api::{Cursor, FeedEnd, FeedItem},
};

use crate::{
    Error,
    sse::{Message, Parser},
    transport::{Call, Transport, of_reqwest},
};

/// A node shows a sign of life every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What to follow, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventsRequest {
    /// Begin after this item; `Cursor::default()` begins at the first block, `None` after the head.
    pub after: Option<Cursor>,
    /// Only calls of and events by this contract.
    pub contract: Option<ContractName>,
    /// Only events of this name.
    pub name: Option<String>,
    /// Only this transaction and its events.
    pub tx: Option<TxId>,
}

impl EventsRequest {
    fn path(&self, after: Option<Cursor>) -> String {
        let after = after.map(|cursor| format!("after={cursor}"));
        let contract = self.contract.as_ref().map(|name| format!("contract={name}"));
        let name = self.name.as_ref().map(|name| format!("name={}", crate::client::escape(name)));
        let tx = self.tx.map(|tx| format!("tx={tx}"));
        let query: Vec<String> = [after, contract, name, tx].into_iter().flatten().collect();
        format!("/api/v1/events?{}", query.join("&"))
    }
}

struct Follower {
    transport: Arc<Transport>,
    request: EventsRequest,
    cursor: Option<Cursor>,
    connection: Option<Connection>,
    ready: VecDeque<(Cursor, FeedItem)>,
    failures: u32,
    is_over: bool,
}

struct Connection {
    response: Response,
    parser: Parser,
    node: String,
}

/// Items in order, each once, whatever happens to connections. Ends with an error when following cannot be taken up again.
pub(crate) fn follow(
    transport: Arc<Transport>,
    request: EventsRequest,
) -> impl Stream<Item = Result<(Cursor, FeedItem), Error>> + Send + Unpin + 'static {
    let cursor = request.after;
    let follower =
        Follower { transport, request, cursor, connection: None, ready: VecDeque::new(), failures: 0, is_over: false };
    Box::pin(stream::unfold(follower, |mut follower| async move {
        let item = follower.next().await?;
        Some((item, follower))
    }))
}

impl Follower {
    async fn next(&mut self) -> Option<Result<(Cursor, FeedItem), Error>> {
        loop {
            if let Some((cursor, item)) = self.ready.pop_front() {
                self.cursor = Some(cursor);
                return Some(Ok((cursor, item)));
            }
            if self.is_over {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.connection = None;
                self.failures += 1;
                if !error.is_passing() || self.failures >= self.transport.config.attempts_max {
                    self.is_over = true;
                    return Some(Err(error));
                }
                let backoff = self.transport.config.backoff_min * 2u32.saturating_pow(self.failures.min(8) - 1);
                tokio::time::sleep(backoff.min(self.transport.config.backoff_max)).await;
            }
        }
    }

    /// Connects, or reads one piece.
    async fn advance(&mut self) -> Result<(), Error> {
        let Some(connection) = &mut self.connection else {
            let mut call = Call::get(self.request.path(self.cursor));
            call.accept = "text/event-stream";
            let (response, node) = self.transport.open(&call).await?;
            self.connection = Some(Connection { response, parser: Parser::default(), node });
            return Ok(());
        };
        let node = connection.node.clone();
        let piece = tokio::time::timeout(SILENCE_MAX, connection.response.chunk()).await;
        let piece = piece.map_err(|_| Error::Timeout(format!("{node} sent nothing for a minute")))?;
        let Some(piece) = piece.map_err(|error| of_reqwest(&error, &node))? else {
            return Err(Error::Unreachable { node, reason: "the stream ended".into() });
        };
        let messages = connection.parser.push(&piece).map_err(|_| bad(&node, "a line is too long"))?;
        for message in messages {
            self.take(message, &node)?;
        }
        Ok(())
    }

    fn take(&mut self, message: Message, node: &str) -> Result<(), Error> {
        if message.event == "end" {
            let end: FeedEnd = serde_json::from_str(&message.data).map_err(|error| bad(node, &error.to_string()))?;
            return Err(Error::Refused { problem: Box::new(end.problem), node: node.into(), retry_after_s: None });
        }
        let Some(id) = &message.id else { return Ok(()) };
        let cursor: Cursor = id.parse().map_err(|_| bad(node, "an id is not a cursor"))?;
        self.failures = 0;
        if message.data.is_empty() {
            // Only a place, all of whose items were sent or did not fit the filter.
            if self.ready.is_empty() {
                self.cursor = Some(cursor);
            }
            return Ok(());
        }
        let last = self.ready.back().map(|(cursor, _)| *cursor).or(self.cursor);
        if last.is_some_and(|last| cursor <= last) {
            return Err(bad(node, "the items are not in order"));
        }
        let item = serde_json::from_str(&message.data).map_err(|error| bad(node, &error.to_string()))?;
        self.ready.push_back((cursor, item));
        Ok(())
    }
}

fn bad(node: &str, reason: &str) -> Error {
    Error::BadAnswer { node: node.into(), reason: reason.into() }
}
