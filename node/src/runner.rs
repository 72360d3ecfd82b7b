//! Drives the replica in real time: one thread that owns it, fed by the network, the API and its own timers.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use vouch_ledger::{CommittedBlock, PooledTransaction, Registry};
use vouch_net::{Channel, Event as NetEvent, NetHandle, PeerEntry};
use vouch_replica::{Effect, Input, Lane, Now, Refusal, Replica, ReplicaError, ReplicaStatus, Timer};
use vouch_types::{Height, PublicKey, TimestampMs};

use crate::{admission::Job, vault::ConnectionsSender};

/// From so many transactions on, no more requests that bring some are taken together.
const TOGETHER_MAX: usize = 512;

/// Whether the replica takes each transaction of a request, in order.
pub type Verdicts = Vec<Result<(), Refusal>>;

/// Requests of the node's other parts.
#[derive(Debug)]
pub enum Request {
    /// Let verified transactions, submitted here, wait for a block; the verdicts come back in order.
    Admit {
        /// The transactions.
        transactions: Vec<PooledTransaction>,
        /// Where the verdicts go.
        reply: oneshot::Sender<Verdicts>,
    },
    /// Let transactions wait that a peer relayed.
    Relayed(Vec<PooledTransaction>),
    /// Say how things stand.
    Status(oneshot::Sender<ReplicaStatus>),
    /// Whether a transaction waits here.
    IsWaiting(vouch_types::TxId, oneshot::Sender<bool>),
    /// Stop after the current step.
    Stop,
}

/// What the runner tells the rest of the node.
#[derive(Debug, Clone)]
pub struct Outlets {
    /// Height of the last final block.
    pub head: Arc<watch::Sender<Height>>,
    /// Each final block.
    pub blocks: broadcast::Sender<Arc<CommittedBlock>>,
    /// Transactions from peers, to be verified.
    pub admission: mpsc::Sender<Job>,
    /// The network.
    pub net: NetHandle,
    /// Who is connected, for the vault.
    pub connections: ConnectionsSender,
}

/// The clocks of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Steady time counts from now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { wall: wall(), steady_ms: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX) }
    }
}

/// Time of day.
#[must_use]
pub fn wall() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Owns the replica.
pub struct Runner {
    replica: Replica,
    clock: Clock,
    timers: BTreeMap<Timer, Instant>,
    outlets: Outlets,
    own_key: PublicKey,
    verdicts: Verdicts,
}

impl Runner {
    /// A runner that has not started.
    #[must_use]
    pub const fn new(replica: Replica, clock: Clock, outlets: Outlets, own_key: PublicKey) -> Self {
        Self { replica, clock, timers: BTreeMap::new(), outlets, own_key, verdicts: Vec::new() }
    }

    /// Runs until [`Request::Stop`] or until the replica cannot go on.
    ///
    /// # Errors
    /// [`ReplicaError`]: the node must stop and show why.
    pub async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut events: vouch_net::Events,
    ) -> Result<(), ReplicaError> {
        self.step(Input::Started)?;
        loop {
            match turn(self.due(), events.recv(), requests.recv()).await {
                Turn::Due => self.fire_due()?,
                Turn::Event(Some(event)) => {
                    if let Some(input) = self.network_input(event) {
                        self.step(input)?;
                    }
                }
                Turn::Event(None) | Turn::Request(None) => return Ok(()),
                Turn::Request(Some(request)) => {
                    if self.serve(request, &mut requests)? == Served::Stop {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// When a timer must fire, and when one may that waits for everything else.
    fn due(&self) -> Due {
        let (idle, must): (Vec<_>, Vec<_>) = self.timers.iter().partition(|(timer, _)| **timer == Timer::Build);
        Due { must: must.into_iter().map(|(_, at)| *at).min(), idle: idle.into_iter().map(|(_, at)| *at).min() }
    }

    fn network_input(&self, event: NetEvent) -> Option<Input> {
        match event {
            NetEvent::PeerConnected(key) => {
                self.outlets.connections.connected(key);
                Some(Input::PeerConnected(key))
            }
            NetEvent::PeerDisconnected { key, reason } => {
                tracing::info!(peer = %key, %reason, "peer disconnected");
                self.outlets.connections.disconnected(&key);
                Some(Input::PeerDisconnected(key))
            }
            NetEvent::Received { from, channel, bytes } => {
                Some(Input::MessageReceived { from, lane: lane(channel)?, bytes: bytes.into() })
            }
            // Everything between replicas is a message; a request of another kind is refused by dropping it.
            NetEvent::RequestReceived { .. } => None,
            NetEvent::Refused { remote, key, reason } => {
                let key = key.map(|k| k.to_string()).unwrap_or_default();
                tracing::warn!(%remote, key, %reason, "connection refused");
                None
            }
        }
    }

    /// Serves a request. With one that brings transactions go all of that kind that wait behind it, and then the first that
    /// brings none.
    fn serve(&mut self, request: Request, behind: &mut mpsc::Receiver<Request>) -> Result<Served, ReplicaError> {
        let mut arrived = Arrived::default();
        let mut other = arrived.take(request);
        while other.is_none() && arrived.len() < TOGETHER_MAX {
            let Ok(request) = behind.try_recv() else { break };
            other = arrived.take(request);
        }
        self.admit(arrived)?;
        match other {
            Some(Request::Status(reply)) => drop(reply.send(self.replica.status())),
            Some(Request::IsWaiting(tx, reply)) => drop(reply.send(self.replica.mempool().contains(&tx))),
            Some(Request::Stop) => return Ok(Served::Stop),
            Some(Request::Admit { .. } | Request::Relayed(_)) | None => {}
        }
        Ok(Served::GoOn)
    }

    /// Lets transactions wait. Those submitted here share one sync of the storage, and one message to each peer.
    fn admit(&mut self, arrived: Arrived) -> Result<(), ReplicaError> {
        if !arrived.replies.is_empty() {
            self.verdicts.clear();
            self.step(Input::TransactionsVerified { transactions: arrived.submitted, submitted_here: true })?;
            let mut verdicts = std::mem::take(&mut self.verdicts).into_iter();
            for (count, reply) in arrived.replies {
                // A caller that went away needs no verdicts.
                drop(reply.send(verdicts.by_ref().take(count).collect()));
            }
        }
        if !arrived.relayed.is_empty() {
            self.step(Input::TransactionsVerified { transactions: arrived.relayed, submitted_here: false })?;
        }
        Ok(())
    }

    fn fire_due(&mut self) -> Result<(), ReplicaError> {
        let now = Instant::now();
        let due: Vec<Timer> = self.timers.iter().filter(|(_, at)| **at <= now).map(|(t, _)| *t).collect();
        for timer in due {
            if self.timers.remove(&timer).is_some() {
                self.step(Input::TimerFired(timer))?;
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input) -> Result<(), ReplicaError> {
        let effects = self.replica.step(self.clock.now(), input)?;
        for effect in effects {
            self.carry_out(effect);
        }
        self.note_head();
        Ok(())
    }

    /// A state that was taken over raises the head without a block of its own.
    fn note_head(&self) {
        let ledger = self.replica.ledger();
        if ledger.join().is_some() {
            return;
        }
        let height = ledger.head().height;
        self.outlets.head.send_if_modified(|known| {
            let is_later = height > *known;
            *known = height.max(*known);
            is_later
        });
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, lane, bytes } => self.send(&to, lane, Bytes::from(bytes)),
            Effect::Broadcast { lane, bytes, except } => self.broadcast(lane, bytes, except),
            Effect::SetTimer { timer, after_ms } => {
                self.timers.insert(timer, Instant::now() + Duration::from_millis(after_ms));
            }
            Effect::CancelTimer(timer) => drop(self.timers.remove(&timer)),
            Effect::CancelConsensusTimers => self.timers.retain(|timer, _| !matches!(timer, Timer::Consensus(_))),
            Effect::VerifyTransactions { raw, .. } => {
                // Under pressure relayed transactions are dropped: whoever accepted them proposes them.
                if self.outlets.admission.try_send(Job::Relayed { raw }).is_err() {
                    tracing::debug!("relayed transactions dropped, signature checks are behind");
                }
            }
            Effect::Admitted { result, .. } => self.verdicts.push(result),
            Effect::Committed(block) => self.committed(block),
            Effect::AdmitPeers(registry) => self.admit_peers(&registry),
            Effect::Expired(transactions) => {
                tracing::info!(count = transactions.len(), "waiting transactions expired");
            }
            Effect::PeerFault { peer, code } => tracing::warn!(%peer, code, "a peer broke the protocol"),
        }
    }

    fn send(&self, to: &PublicKey, lane: Lane, bytes: Bytes) {
        // A peer that is gone learns from its status message when it is back.
        if let Err(reason) = self.outlets.net.send(to, channel(lane), bytes) {
            tracing::debug!(peer = %to, %reason, "message not sent");
        }
    }

    fn broadcast(&self, lane: Lane, bytes: Vec<u8>, except: Option<PublicKey>) {
        let bytes = Bytes::from(bytes);
        match except {
            None => drop(self.outlets.net.broadcast(channel(lane), &bytes)),
            Some(except) => {
                for peer in self.outlets.net.peers() {
                    if peer.key != except && peer.connected_since.is_some() {
                        self.send(&peer.key, lane, bytes.clone());
                    }
                }
            }
        }
    }

    fn committed(&self, block: Arc<CommittedBlock>) {
        tracing::info!(
            height = %block.header.height,
            block = %block.hash,
            transactions = block.records.len(),
            bytes = block.bytes,
            round = %block.certificate.round,
            "block final"
        );
        self.outlets.head.send_replace(block.header.height);
        // Nobody may be listening.
        drop(self.outlets.blocks.send(block));
    }

    fn admit_peers(&self, registry: &Registry) {
        let peers = registry
            .active_nodes()
            .filter(|node| node.network_key != self.own_key)
            .map(|node| PeerEntry { key: node.network_key, address: node.address.clone() })
            .collect();
        self.outlets.net.set_peers(peers);
    }
}

/// When timers are due.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// The first of those that fire in time.
    must: Option<Instant>,
    /// Of the one that fires when nothing else is to be done.
    idle: Option<Instant>,
}

/// Transactions of several requests.
#[derive(Debug, Default)]
struct Arrived {
    submitted: Vec<PooledTransaction>,
    /// To whom the verdicts on how many of these go, in order.
    replies: Vec<(usize, oneshot::Sender<Verdicts>)>,
    relayed: Vec<PooledTransaction>,
}

impl Arrived {
    const fn len(&self) -> usize {
        self.submitted.len() + self.relayed.len()
    }

    /// Takes a request's transactions, or gives it back when it brings none.
    fn take(&mut self, request: Request) -> Option<Request> {
        match request {
            Request::Admit { transactions, reply } => {
                self.replies.push((transactions.len(), reply));
                self.submitted.extend(transactions);
                None
            }
            Request::Relayed(transactions) => {
                self.relayed.extend(transactions);
                None
            }
            other => Some(other),
        }
    }
}

/// Whether the node goes on after a request.
#[derive(Debug, PartialEq, Eq)]
enum Served {
    GoOn,
    Stop,
}

/// Whose turn it is.
#[derive(Debug, PartialEq, Eq)]
enum Turn<E, R> {
    Due,
    Event(Option<E>),
    Request(Option<R>),
}

/// Waits for a due timer, an event of the network or a request. Timers go first; of the others, whichever is there has as
/// good a chance, so that peers that send without end keep nobody from being served, nor the node from being stopped.
async fn turn<E, R>(
    due: Due,
    event: impl Future<Output = Option<E>>,
    request: impl Future<Output = Option<R>>,
) -> Turn<E, R> {
    if due.must.is_some_and(|due| due <= Instant::now()) {
        return Turn::Due;
    }
    tokio::select! {
        biased;
        turn = async {
            tokio::select! {
                event = event => Turn::Event(event),
                request = request => Turn::Request(request),
            }
        } => turn,
        () = sleep_until(due.must) => Turn::Due,
        () = sleep_until(due.idle) => Turn::Due,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// `None` for what is not the replica's: private documents.
const fn lane(channel: Channel) -> Option<Lane> {
    match channel {
        Channel::Consensus => Some(Lane::Consensus),
        Channel::Blocks => Some(Lane::Blocks),
        Channel::Transactions => Some(Lane::Transactions),
        Channel::Vault => None,
    }
}

const fn channel(lane: Lane) -> Channel {
    match lane {
        Lane::Consensus => Channel::Consensus,
        Lane::Blocks => Channel::Blocks,
        Lane::Transactions => Channel::Transactions,
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn neither_the_network_nor_requests_keep_the_other_from_its_turn() {
        let (mut events, mut requests) = (0, 0);
        for _ in 0..1_000 {
            match turn(due(None, None), ready(Some(())), ready(Some(()))).await {
                Turn::Due => panic!("no timer is set"),
                Turn::Event(_) => events += 1,
                Turn::Request(_) => requests += 1,
            }
        }
        assert!(events > 300 && requests > 300, "{events} events, {requests} requests");
    }

    #[test]
    fn requests_with_transactions_are_taken_together_and_others_given_back() {
        let mut arrived = Arrived::default();
        let (reply, _verdicts) = oneshot::channel();
        assert!(arrived.take(Request::Admit { transactions: Vec::new(), reply }).is_none());
        assert!(arrived.take(Request::Relayed(Vec::new())).is_none());
        assert!(matches!(arrived.take(Request::Stop), Some(Request::Stop)));
        assert_eq!((arrived.len(), arrived.replies.len()), (0, 1));
    }

    const fn due(must: Option<Instant>, idle: Option<Instant>) -> Due {
        Due { must, idle }
    }

    #[tokio::test]
    async fn timers_go_first_but_for_what_can_wait() {
        let (now, never) = (Some(Instant::now()), std::future::pending::<Option<u8>>);
        for _ in 0..100 {
            assert_eq!(turn(due(now, None), ready(Some(1)), ready(Some(2))).await, Turn::Due);
            assert_eq!(turn(due(None, now), ready(Some(1)), never()).await, Turn::Event(Some(1)));
            assert_eq!(turn(due(None, now), never(), ready(Some(2))).await, Turn::Request(Some(2)));
        }
        let later = Some(Instant::now() + Duration::from_secs(60));
        assert_eq!(turn(due(later, None), ready(Some(1)), never()).await, Turn::Event(Some(1)));
        assert_eq!(turn(due(later, now), never(), never()).await, Turn::Due);
    }
}
