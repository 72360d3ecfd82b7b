//! The event stream: final blocks, read from the backend at the reader's own speed.
//!
//! One task per reader pulls blocks and puts messages into a bounded queue. What a slow reader costs is that queue; one
//! that takes nothing for a while is told so, with the cursor to continue from, and let go.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::response::sse::Event as Message;
use futures::{Stream, StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use vouch_types::{
    ContractName, Height, TxId,
    api::{Cursor, FeedEnd, FeedItem},
};

use crate::{
    Api, ApiError,
    clients::{self, ShownCertificate},
    metrics::Counted,
};

/// A filtered reader is told its place at least every so many blocks, so that it does not have to begin far back.
const PROGRESS_BLOCKS: u64 = 16;

/// What a reader wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Items of this contract: calls of it and events by it.
    pub(crate) contract: Option<ContractName>,
    /// Events of this name.
    pub(crate) name: Option<String>,
    /// This transaction and its events.
    pub(crate) tx: Option<TxId>,
}

impl Filter {
    fn admits(&self, item: &FeedItem) -> bool {
        let is_open = self.contract.is_none() && self.name.is_none() && self.tx.is_none();
        let is_tx = |id: &TxId| self.tx.is_none_or(|tx| tx == *id);
        let is_contract = |name: &ContractName| self.contract.as_ref().is_none_or(|contract| contract == name);
        match item {
            FeedItem::Block(_) => is_open,
            FeedItem::Transaction(tx) => {
                self.name.is_none() && is_tx(&tx.id) && tx.calls.iter().any(|call| is_contract(&call.contract))
            }
            FeedItem::Event { tx, event, .. } => {
                is_tx(tx) && is_contract(&event.contract) && self.name.as_ref().is_none_or(|name| *name == event.name)
            }
        }
    }
}

/// Why a feed ends. `None` means that the reader went away.
type End = Option<ApiError>;

struct Feed {
    api: Api,
    filter: Filter,
    after: Cursor,
    /// The feed goes on as long as it lets the client in.
    certificate: Option<ShownCertificate>,
    queue: mpsc::Sender<Message>,
    last_sent: Arc<Mutex<Option<Cursor>>>,
}

/// Opens a feed of everything after a cursor. Ends with one message `end` when the server ends it.
pub(crate) fn open(
    api: Api,
    filter: Filter,
    after: Cursor,
    certificate: Option<ShownCertificate>,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Message> + Send + 'static {
    let (queue, messages) = mpsc::channel(api.limits.event_queue_max.max(1));
    let counted = Counted::enter(&api.metrics, |metrics| &metrics.event_streams);
    let last_sent = Arc::new(Mutex::new(None));
    let end: Arc<OnceLock<ApiError>> = Arc::default();
    let feed = Feed { api, filter, after, certificate, queue, last_sent: Arc::clone(&last_sent) };
    let ending = Arc::clone(&end);
    tokio::spawn(async move {
        let _held = (permit, counted);
        if let Some(error) = feed.run().await {
            // Set before the queue closes, so that the reader of a closed queue finds it.
            let _ = ending.set(error);
        }
    });
    let last = stream::once(async move {
        end.get().map(|error| {
            let cursor = *last_sent.lock();
            let body = FeedEnd { problem: (*error.problem).clone(), cursor };
            Message::default().event("end").data(serde_json::to_string(&body).unwrap_or_default())
        })
    });
    ReceiverStream::new(messages).chain(last.filter_map(std::future::ready))
}

impl Feed {
    async fn run(self) -> End {
        let shutdown = self.api.shutdown.clone();
        let closed = self.queue.clone();
        let certificate = self.certificate.clone();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {
                Some(ApiError::new("events.shutting_down", "the node is going down"))
            }
            () = closed.closed() => None,
            error = clients::ended(certificate.as_ref()) => Some(error),
            end = self.follow() => end,
        }
    }

    async fn follow(self) -> End {
        let mut head = self.api.backend.head();
        // A block may have items after the cursor's; without any, its items are passed over below.
        let mut height = self.after.height.max(Height(1));
        let mut quiet = 0;
        loop {
            if !reach(&mut head, height).await {
                return Some(ApiError::new("events.shutting_down", "the node is going down"));
            }
            match self.send_block(height).await {
                Ok(0) => quiet += 1,
                Ok(_) => quiet = 0,
                Err(end) => return end,
            }
            if quiet >= PROGRESS_BLOCKS {
                quiet = 0;
                // Without data this moves a reader's last event id and nothing else.
                let cursor = Cursor { height, index: u32::MAX };
                if let Err(end) = self.send(cursor, Message::default().id(cursor.to_string())).await {
                    return end;
                }
            }
            height = height.next()?;
        }
    }

    /// Sends what the reader wants of one block; returns how much that was.
    async fn send_block(&self, height: Height) -> Result<usize, End> {
        let block = match self.api.backend.block(height).await {
            Ok(block) => block,
            Err(error) if error.code() == "block.pruned" => {
                let detail = format!("block {height} is no longer kept here");
                return Err(Some(ApiError::new("events.pruned", detail)));
            }
            Err(error) => return Err(Some(error)),
        };
        let mut sent = 0;
        for (cursor, item) in FeedItem::of_block(&block) {
            if cursor > self.after && self.filter.admits(&item) {
                let data = serde_json::to_string(&item).unwrap_or_default();
                let message = Message::default().id(cursor.to_string()).event(item.kind()).data(data);
                self.send(cursor, message).await?;
                sent += 1;
            }
        }
        Ok(sent)
    }

    async fn send(&self, cursor: Cursor, message: Message) -> Result<(), End> {
        let stall_ms = self.api.limits.event_stall_ms;
        match self.queue.send_timeout(message, Duration::from_millis(stall_ms)).await {
            Ok(()) => {
                *self.last_sent.lock() = Some(cursor);
                Ok(())
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(None),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                self.api.metrics.event_streams_dropped.increment();
                let detail = format!("nothing was read for {stall_ms} ms while messages were waiting");
                Err(Some(ApiError::new("events.too_slow", detail)))
            }
        }
    }
}

/// Waits for a height; false when the node is gone.
async fn reach(head: &mut watch::Receiver<Height>, height: Height) -> bool {
    head.wait_for(|head| *head >= height).await.is_ok()
}
