//! What the network tells the replica, most urgent first.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use vouch_types::PublicKey;

use crate::channel::{CHANNELS, Channel};
use crate::config::NetLimits;
use crate::error::{DisconnectReason, RefusalReason, ReplyError};

/// Connection events and refusals waiting; the latter are dropped (and still counted) when there are more.
const CONTROL_EVENTS_MAX: usize = 256;

/// Something that happened on the network.
#[derive(Debug)]
pub enum Event {
    /// An admitted peer is connected and all channels are open in both directions. Comes before anything received on
    /// this connection. Whatever was sent before is gone: tell the peer where you stand.
    PeerConnected(PublicKey),
    /// The connection of this peer ended. It may overtake messages of the peer that had already arrived.
    PeerDisconnected {
        /// The peer.
        key: PublicKey,
        /// Why.
        reason: DisconnectReason,
    },
    /// A message, whole, in the order sent within its channel. Its sender is authenticated, its content is not.
    Received {
        /// The peer it came from, which need not be its author.
        from: PublicKey,
        /// The channel.
        channel: Channel,
        /// 1 byte up to the channel's `message_bytes_max`.
        bytes: Bytes,
    },
    /// A peer asks for something; to drop `reply` means to refuse.
    RequestReceived {
        /// Who asks.
        from: PublicKey,
        /// 0 bytes up to `request_bytes_max`.
        bytes: Bytes,
        /// Where the answer goes.
        reply: ReplyHandle,
    },
    /// Someone was turned away before anything was exchanged. At most `refusals_per_second` of these.
    Refused {
        /// `ip:port` of the other side.
        remote: String,
        /// Its key, if it got as far as proving one of the known kind.
        key: Option<PublicKey>,
        /// Why.
        reason: RefusalReason,
    },
}

/// Answers one request.
#[derive(Debug)]
pub struct ReplyHandle {
    pub(crate) sender: oneshot::Sender<Bytes>,
    pub(crate) bytes_max: usize,
}

impl ReplyHandle {
    /// Sends the response.
    ///
    /// # Errors
    /// [`ReplyError`]; the peer then sees a refusal or has gone already.
    pub fn send(self, response: Bytes) -> Result<(), ReplyError> {
        if response.len() > self.bytes_max {
            return Err(ReplyError::Size);
        }
        self.sender.send(response).map_err(|_| ReplyError::Gone)
    }

    /// True when nobody waits for the response any more: the work for it can be dropped.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The receiving end. Events wait in bounded queues, one per kind; while a queue is full, the peers' streams that feed
/// it are not read. Keep receiving: a replica that stops also stops its peers.
#[derive(Debug)]
pub struct Events {
    control: mpsc::Receiver<Event>,
    channels: [mpsc::Receiver<Waiting>; CHANNELS - 1],
    /// Until somebody else takes it.
    vault: Option<mpsc::Receiver<Waiting>>,
    requests: mpsc::Receiver<Event>,
    held: Option<Event>,
}

/// What comes on [`Channel::Vault`]. While its queue is full, the peers' streams of that channel are not read, and only
/// those.
#[derive(Debug)]
pub struct VaultEvents {
    messages: mpsc::Receiver<Waiting>,
}

impl VaultEvents {
    /// The next message and who sent it; `None` after shutdown. Dropping the returned future loses nothing.
    pub async fn recv(&mut self) -> Option<(PublicKey, Bytes)> {
        self.messages.recv().await.and_then(Waiting::message)
    }

    /// A message that is there already, so that many can be handled at once.
    pub fn try_recv(&mut self) -> Option<(PublicKey, Bytes)> {
        self.messages.try_recv().ok().and_then(Waiting::message)
    }
}

/// A message and its place in the byte bound of its queue.
#[derive(Debug)]
struct Waiting {
    event: Event,
    _place: OwnedSemaphorePermit,
}

impl Waiting {
    fn message(self) -> Option<(PublicKey, Bytes)> {
        match self.event {
            Event::Received { from, bytes, .. } => Some((from, bytes)),
            _ => None,
        }
    }
}

/// The sending ends.
#[derive(Debug, Clone)]
pub(crate) struct EventSenders {
    control: mpsc::Sender<Event>,
    channels: [Inbox; CHANNELS],
    requests: mpsc::Sender<Event>,
}

#[derive(Debug, Clone)]
struct Inbox {
    sender: mpsc::Sender<Waiting>,
    bytes: Arc<Semaphore>,
}

pub(crate) fn queues(limits: &NetLimits) -> (EventSenders, Events) {
    let (control, control_receiver) = mpsc::channel(CONTROL_EVENTS_MAX);
    let (requests, requests_receiver) = mpsc::channel(CONTROL_EVENTS_MAX);
    let inbox = |channel| {
        let l = limits.channel(channel);
        let (sender, receiver) = mpsc::channel(l.inbox_messages_max);
        (Inbox { sender, bytes: Arc::new(Semaphore::new(l.inbox_bytes_max as usize)) }, receiver)
    };
    let [(a, a_receiver), (b, b_receiver), (c, c_receiver), (d, d_receiver)] = Channel::ALL.map(inbox);
    let senders = EventSenders { control, channels: [a, b, c, d], requests };
    let events = Events {
        control: control_receiver,
        channels: [a_receiver, b_receiver, c_receiver],
        vault: Some(d_receiver),
        requests: requests_receiver,
        held: None,
    };
    (senders, events)
}

/// The replica no longer listens.
#[derive(Debug)]
pub(crate) struct NobodyListens;

impl EventSenders {
    /// Waits for a place: a connection event must not be lost.
    pub(crate) async fn control(&self, event: Event) -> Result<(), NobodyListens> {
        self.control.send(event).await.map_err(|_| NobodyListens)
    }

    /// Drops the event when there is no place.
    pub(crate) fn try_control(&self, event: Event) {
        let _ = self.control.try_send(event);
    }

    pub(crate) async fn received(&self, from: PublicKey, channel: Channel, bytes: Bytes) -> Result<(), NobodyListens> {
        let inbox = &self.channels[channel.index()];
        let size = u32::try_from(bytes.len()).map_err(|_| NobodyListens)?;
        // Both waits are first come, first served, so one busy peer cannot keep the others out.
        let place = inbox.bytes.clone().acquire_many_owned(size).await.map_err(|_| NobodyListens)?;
        let waiting = Waiting { event: Event::Received { from, channel, bytes }, _place: place };
        inbox.sender.send(waiting).await.map_err(|_| NobodyListens)
    }

    pub(crate) async fn request(&self, event: Event) -> Result<(), NobodyListens> {
        self.requests.send(event).await.map_err(|_| NobodyListens)
    }
}

impl Events {
    /// Takes what comes on [`Channel::Vault`] out of these events, for a receiver of its own. Once; `None` after that.
    pub fn take_vault(&mut self) -> Option<VaultEvents> {
        self.vault.take().map(|messages| VaultEvents { messages })
    }

    /// The next event: connections first, then consensus, blocks, requests, transactions, private documents unless
    /// somebody else takes them. `None` after shutdown. Dropping the returned future loses nothing.
    pub async fn recv(&mut self) -> Option<Event> {
        if let Some(event) = self.held.take() {
            return Some(event);
        }
        let [consensus, blocks, transactions] = &mut self.channels;
        let vault = async {
            match &mut self.vault {
                Some(messages) => messages.recv().await,
                None => None,
            }
        };
        let event = tokio::select! {
            biased;
            Some(event) = self.control.recv() => return Some(event),
            Some(waiting) = consensus.recv() => waiting.event,
            Some(waiting) = blocks.recv() => waiting.event,
            Some(event) = self.requests.recv() => event,
            Some(waiting) = transactions.recv() => waiting.event,
            Some(waiting) = vault => waiting.event,
            else => return None,
        };
        // The connection event was queued before anything received over it, perhaps after the look at it above.
        if let Ok(first) = self.control.try_recv() {
            self.held = Some(event);
            return Some(first);
        }
        Some(event)
    }
}
