//! One connected peer: its queues, and the task that writes and reads its streams.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::FuturesUnordered;
use libp2p::swarm::{ConnectionId, Stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vouch_types::PublicKey;

use crate::channel::{CHANNELS, Channel};
use crate::config::NetLimits;
use crate::driver::Command;
use crate::error::{DisconnectReason, SendError};
use crate::events::{Event, EventSenders};
use crate::frame::{self, FrameError, Rules};
use crate::peer::{Peer, Shared};
use crate::stats::add;

/// A channel's two streams.
pub(crate) struct StreamPair {
    pub(crate) write: Stream,
    pub(crate) read: Stream,
}

/// A connection with all channels open.
pub(crate) struct Session {
    pub(crate) peer: Arc<Peer>,
    pub(crate) connection: ConnectionId,
    pub(crate) since: SystemTime,
    outboxes: [Outbox; CHANNELS],
    stop: CancellationToken,
    reason: OnceLock<DisconnectReason>,
}

/// Messages waiting for one stream, bounded in number and bytes.
struct Outbox {
    sender: mpsc::Sender<Bytes>,
    /// Includes the message being written.
    bytes: AtomicUsize,
    bytes_max: usize,
    message_bytes_max: usize,
}

type Receivers = [mpsc::Receiver<Bytes>; CHANNELS];

impl Outbox {
    fn push(&self, message: Bytes) -> Result<(), SendError> {
        let size = message.len();
        if size == 0 || size > self.message_bytes_max {
            return Err(SendError::Size);
        }
        let before = self.bytes.fetch_add(size, Ordering::AcqRel);
        let outcome = if before + size > self.bytes_max {
            Err(SendError::QueueFull)
        } else {
            self.sender.try_send(message).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SendError::QueueFull,
                mpsc::error::TrySendError::Closed(_) => SendError::NotConnected,
            })
        };
        if outcome.is_err() {
            self.bytes.fetch_sub(size, Ordering::AcqRel);
        }
        outcome
    }
}

impl Session {
    pub(crate) fn new(peer: Arc<Peer>, connection: ConnectionId, limits: &NetLimits) -> (Arc<Self>, Receivers) {
        let outbox = |channel| {
            let l = limits.channel(channel);
            let (sender, receiver) = mpsc::channel(l.outbox_messages_max);
            let outbox = Outbox {
                sender,
                bytes: AtomicUsize::new(0),
                bytes_max: l.outbox_bytes_max,
                message_bytes_max: l.message_bytes_max as usize,
            };
            (outbox, receiver)
        };
        let [(a, a_receiver), (b, b_receiver), (c, c_receiver), (d, d_receiver)] = Channel::ALL.map(outbox);
        let session = Self {
            peer,
            connection,
            since: SystemTime::now(),
            outboxes: [a, b, c, d],
            stop: CancellationToken::new(),
            reason: OnceLock::new(),
        };
        (Arc::new(session), [a_receiver, b_receiver, c_receiver, d_receiver])
    }

    /// Queues a message. A full consensus queue ends the session: better to start over than to miss a vote.
    pub(crate) fn send(&self, shared: &Shared, channel: Channel, message: Bytes) -> Result<(), SendError> {
        if !self.is_live() {
            return Err(SendError::NotConnected);
        }
        let outcome = self.outboxes[channel.index()].push(message);
        if outcome == Err(SendError::QueueFull) {
            add(&shared.counters.channels[channel.index()].queue_full, 1);
            if channel == Channel::Consensus && self.end(DisconnectReason::ConsensusOverflow) {
                add(&shared.counters.consensus_overflows, 1);
            }
        }
        outcome
    }

    /// Messages and bytes waiting.
    pub(crate) fn queued(&self, channel: Channel) -> (usize, usize) {
        let outbox = &self.outboxes[channel.index()];
        let messages = outbox.sender.max_capacity() - outbox.sender.capacity();
        (messages, outbox.bytes.load(Ordering::Acquire))
    }

    pub(crate) fn is_live(&self) -> bool {
        !self.stop.is_cancelled()
    }

    /// Ends the session; returns whether this call was the one. Only the first reason counts.
    pub(crate) fn end(&self, reason: DisconnectReason) -> bool {
        let first = self.reason.set(reason).is_ok();
        self.stop.cancel();
        first
    }
}

/// What a session's task works with.
pub(crate) struct SessionTask {
    pub(crate) session: Arc<Session>,
    pub(crate) receivers: Receivers,
    pub(crate) streams: [StreamPair; CHANNELS],
    pub(crate) shared: Arc<Shared>,
    pub(crate) events: EventSenders,
    pub(crate) commands: mpsc::Sender<Command>,
    /// The task of the peer's session before this one; its farewell comes first.
    pub(crate) previous: Option<JoinHandle<()>>,
}

impl SessionTask {
    /// Announces the peer, moves its messages until the session ends, and announces the end.
    pub(crate) async fn run(self) {
        let Self { session, receivers, streams, shared, events, commands, previous } = self;
        if let Some(previous) = previous {
            let _ = previous.await;
        }
        let key = session.peer.key;
        add(&shared.counters.connections_opened, 1);
        add(&shared.counters.peers_connected, 1);
        let mut nobody_listens = events.control(Event::PeerConnected(key)).await.is_err();
        tracing::info!(peer = %key, "peer connected");

        if !nobody_listens {
            let ended = move_messages(&session, receivers, streams, &shared, &events).await;
            session.end(ended);
        }
        let reason = session.reason.get().cloned().unwrap_or(DisconnectReason::ShutDown);
        if matches!(reason, DisconnectReason::Violation(_)) {
            add(&shared.counters.violations, 1);
        }
        shared.counters.peers_connected.fetch_sub(1, Ordering::Relaxed);
        add(&shared.counters.connections_closed, 1);
        tracing::info!(peer = %key, %reason, "peer disconnected");
        session.stop.cancel();
        session.peer.ended(&reason);
        session.peer.clear_session(&session);
        let _ = commands.send(Command::SessionEnded { key, connection: session.connection }).await;
        nobody_listens |= events.control(Event::PeerDisconnected { key, reason }).await.is_err();
        if nobody_listens {
            tracing::debug!(peer = %key, "nobody takes network events");
        }
    }
}

/// Runs both directions of every channel until the first of them fails or the session is ended from outside.
async fn move_messages(
    session: &Arc<Session>,
    receivers: Receivers,
    streams: [StreamPair; CHANNELS],
    shared: &Shared,
    events: &EventSenders,
) -> DisconnectReason {
    let mut work = FuturesUnordered::<BoxFuture<'_, DisconnectReason>>::new();
    for ((channel, receiver), pair) in Channel::ALL.into_iter().zip(receivers).zip(streams) {
        work.push(write_all(session, shared, channel, receiver, pair.write).boxed());
        work.push(read_all(&session.peer, shared, channel, pair.read, events).boxed());
    }
    tokio::select! {
        biased;
        () = session.stop.cancelled() => DisconnectReason::ShutDown,
        Some(reason) = work.next() => reason,
    }
}

async fn write_all(
    session: &Session,
    shared: &Shared,
    channel: Channel,
    mut receiver: mpsc::Receiver<Bytes>,
    mut stream: Stream,
) -> DisconnectReason {
    let frame_bytes_max = shared.limits.channel(channel).frame_bytes_max;
    let counters = &shared.counters.channels[channel.index()];
    while let Some(message) = receiver.recv().await {
        if let Err(error) = frame::write_message(&mut stream, channel as u8, &message, frame_bytes_max).await {
            return DisconnectReason::Lost(error.to_string());
        }
        let size = message.len();
        session.outboxes[channel.index()].bytes.fetch_sub(size, Ordering::AcqRel);
        session.peer.bytes_out.fetch_add(size as u64, Ordering::Relaxed);
        add(&counters.bytes_out, size as u64);
        add(&counters.messages_out, 1);
    }
    DisconnectReason::ShutDown
}

async fn read_all(
    peer: &Peer,
    shared: &Shared,
    channel: Channel,
    mut stream: Stream,
    events: &EventSenders,
) -> DisconnectReason {
    let rules = Rules::channel(channel, shared.limits.channel(channel));
    loop {
        match read_message(peer, shared, channel, &rules, &mut stream).await {
            Ok(Some(message)) => {
                if deliver(shared, peer.key, channel, message, events).await.is_err() {
                    return DisconnectReason::ShutDown;
                }
            }
            Ok(None) => return DisconnectReason::Lost("the peer closed a stream".into()),
            Err(FrameError::Violation(text)) => {
                return DisconnectReason::Violation(format!("{}: {text}", channel.name()));
            }
            Err(FrameError::Io(error)) => return DisconnectReason::Lost(error.to_string()),
        }
    }
}

async fn deliver(
    shared: &Shared,
    from: PublicKey,
    channel: Channel,
    message: Bytes,
    events: &EventSenders,
) -> Result<(), crate::events::NobodyListens> {
    let counters = &shared.counters.channels[channel.index()];
    events.received(from, channel, message).await?;
    add(&counters.messages_in, 1);
    Ok(())
}

async fn read_message(
    peer: &Peer,
    shared: &Shared,
    channel: Channel,
    rules: &Rules,
    stream: &mut Stream,
) -> Result<Option<Bytes>, FrameError> {
    let counters = &shared.counters.channels[channel.index()];
    let mut message = BytesMut::new();
    loop {
        let Some(info) = frame::read_header(stream, rules, message.len()).await? else {
            return if message.is_empty() { Ok(None) } else { Err(FrameError::Violation("message cut off")) };
        };
        let wait = peer.budgets[channel.index()].lock().frame(info.length, Instant::now());
        if !wait.is_zero() {
            // Not reading fills the stream's window, and then the peer cannot send.
            add(&counters.throttled, 1);
            tokio::time::sleep(wait).await;
        }
        frame::read_payload(stream, info.length, &mut message).await?;
        peer.bytes_in.fetch_add(u64::from(info.length), Ordering::Relaxed);
        add(&counters.bytes_in, u64::from(info.length));
        if !info.more {
            return Ok(Some(message.freeze()));
        }
    }
}
