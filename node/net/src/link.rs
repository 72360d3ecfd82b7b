//! The driver's part about connections: dialling, judging, opening, closing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::core::{ConnectedPoint, Multiaddr};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionDenied, ConnectionId, DialError, ListenError, Stream, SwarmEvent};
use libp2p::{allow_block_list, ping};
use tokio::time::Instant;
use vouch_types::PublicKey;

use crate::channel::CHANNELS;
use crate::config::ms;
use crate::driver::{BehaviourEvent, Command, Driver};
use crate::error::{DisconnectReason, RefusalReason};
use crate::events::Event;
use crate::identity;
use crate::links::{Direction, LinkEvent, LinkFailure, LinkReport};
use crate::peer::Peer;
use crate::session::{Session, SessionTask, StreamPair};
use crate::stats::add;

/// Two connections of a pair count as made at the same time when the second follows within this.
const SIMULTANEOUS: Duration = Duration::from_secs(5);

/// One established connection of an admitted peer.
pub(crate) struct Link {
    pub(crate) peer: Arc<Peer>,
    /// Set when all channels are open.
    pub(crate) session: Option<Arc<Session>>,
    remote: Multiaddr,
    dialled_by_us: bool,
    established: Instant,
    deadline: Option<Instant>,
    closing: bool,
    write: [Option<Stream>; CHANNELS],
    read: [Option<Stream>; CHANNELS],
}

impl Link {
    /// Until when all channels must be open.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// False from the moment in which it is being closed.
    pub(crate) const fn is_live(&self) -> bool {
        !self.closing
    }

    /// Stops all traffic; the connection itself is closed by the caller.
    pub(crate) fn end(&mut self, reason: DisconnectReason) {
        self.closing = true;
        self.deadline = None;
        self.write = [const { None }; CHANNELS];
        self.read = [const { None }; CHANNELS];
        match &self.session {
            Some(session) => drop(session.end(reason)),
            None => self.peer.ended(&reason),
        }
    }

    /// The streams of every channel, once all are there.
    fn take_streams(&mut self) -> Option<[StreamPair; CHANNELS]> {
        let complete = self.write.iter().chain(&self.read).all(Option::is_some);
        if !complete {
            return None;
        }
        let mut pairs = self
            .write
            .iter_mut()
            .zip(&mut self.read)
            .map_while(|(write, read)| Some(StreamPair { write: write.take()?, read: read.take()? }));
        Some([pairs.next()?, pairs.next()?, pairs.next()?, pairs.next()?])
    }
}

impl Driver {
    pub(crate) fn live_link(&self, key: &PublicKey) -> Option<&Link> {
        self.links.values().find(|l| !l.closing && l.peer.key == *key)
    }

    /// Looks the address of a peer up, then dials.
    pub(crate) fn look_up(&mut self, key: PublicKey) {
        let Some(peer) = self.shared.peer(&key) else { return };
        add(&self.shared.counters.dials, 1);
        let commands = self.commands.clone();
        let timeout = ms(self.shared.limits.handshake_timeout_ms);
        drop(self.tasks.spawn(async move {
            let address = peer.address();
            let lookup = tokio::time::timeout(timeout, tokio::net::lookup_host(&address)).await;
            let addresses = match lookup {
                Ok(Ok(found)) => Ok(found.take(8).collect()),
                Ok(Err(error)) => Err(format!("{address}: {error}")),
                Err(_) => Err(format!("{address}: name not resolved in time")),
            };
            let _ = commands.send(Command::Resolved { key, addresses }).await;
        }));
    }

    pub(crate) fn on_resolved(&mut self, key: PublicKey, addresses: Result<Vec<SocketAddr>, String>) {
        let Some(peer) = self.shared.peer(&key) else { return };
        if self.live_link(&key).is_some() {
            return self.dial_ended(&key);
        }
        let addresses = match addresses {
            Ok(addresses) => addresses,
            Err(error) => return self.dial_failed(&key, error),
        };
        let options = DialOpts::peer_id(peer.id)
            .addresses(addresses.into_iter().map(identity::multiaddr).collect())
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .allocate_new_port()
            .build();
        if let Err(error) = self.swarm.dial(options) {
            self.dial_failed(&key, error.to_string());
        }
    }

    fn dial_ended(&mut self, key: &PublicKey) {
        if let Some(dialing) = self.dialing.get_mut(key) {
            dialing.ended();
        }
    }

    fn dial_failed(&mut self, key: &PublicKey, error: String) {
        add(&self.shared.counters.dials_failed, 1);
        tracing::debug!(peer = %key, %error, "dial failed");
        if let Some(peer) = self.shared.peer(key) {
            peer.set_error(error);
        }
        self.dial_ended(key);
        self.retry(key);
    }

    /// Plans the next dial unless the peer is connected or no longer admitted.
    fn retry(&mut self, key: &PublicKey) {
        if self.live_link(key).is_some() {
            return;
        }
        if let Some(dialing) = self.dialing.get_mut(key) {
            dialing.retry(&self.shared.limits, rand::random(), Instant::now());
        }
    }

    pub(crate) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Links(report)) => self.on_link_report(report),
            SwarmEvent::Behaviour(BehaviourEvent::Requests(event)) => self.on_request_event(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.on_ping(event.connection, &event.result),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { connection_id, cause, .. } => {
                let cause = cause.map_or_else(|| "closed".to_owned(), |c| c.to_string());
                self.on_closed(connection_id, cause);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, peer_id, .. } => {
                self.on_inbound_failed(&send_back_addr, peer_id, error);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                self.on_dial_error(&peer, error);
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listener"),
            SwarmEvent::ListenerClosed { reason, .. } => tracing::error!(?reason, "the listener closed"),
            _ => {}
        }
    }

    fn on_established(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let found = self.keys.get(&peer).and_then(|key| self.shared.peer(key));
        let Some(peer) = found else {
            // Removed between the handshake and now.
            self.swarm.close_connection(connection);
            return;
        };
        let key = peer.key;
        let dialled_by_us = endpoint.is_dialer();
        if dialled_by_us {
            self.dial_ended(&key);
        }
        let now = Instant::now();
        let old = self.links.iter().find(|(_, l)| !l.closing && l.peer.key == key);
        let old = old.map(|(id, l)| (*id, l.dialled_by_us, now.duration_since(l.established)));
        if let Some((old, old_by_us, age)) = old {
            if !new_one_wins(self.shared.own < key, old_by_us, dialled_by_us, age) {
                self.swarm.close_connection(connection);
                return;
            }
            self.drop_link(old, DisconnectReason::Replaced);
        }
        if let Some(dialing) = self.dialing.get_mut(&key) {
            dialing.rest();
        }
        let link = Link {
            peer,
            session: None,
            remote: endpoint.get_remote_address().clone(),
            dialled_by_us,
            established: now,
            deadline: Some(now + ms(self.shared.limits.handshake_timeout_ms)),
            closing: false,
            write: [const { None }; CHANNELS],
            read: [const { None }; CHANNELS],
        };
        self.links.insert(connection, link);
    }

    fn on_link_report(&mut self, report: LinkReport) {
        let Some(link) = self.links.get_mut(&report.connection).filter(|l| !l.closing) else { return };
        match report.event {
            LinkEvent::Stream { channel, direction, stream } => {
                let slot = match direction {
                    Direction::Outbound => &mut link.write[channel.index()],
                    Direction::Inbound => &mut link.read[channel.index()],
                };
                *slot = Some(stream);
                if let Some(streams) = link.take_streams() {
                    self.open(report.connection, streams);
                }
            }
            LinkEvent::Failed(LinkFailure::Unsupported) => {
                let (remote, key) = (link.remote.clone(), link.peer.key);
                self.drop_link(report.connection, DisconnectReason::Lost(RefusalReason::WrongChain.to_string()));
                self.refuse(&remote, Some(key), RefusalReason::WrongChain);
            }
            LinkEvent::Failed(LinkFailure::Failed) => {
                self.drop_link(report.connection, DisconnectReason::Lost("a channel could not be opened".into()));
            }
            LinkEvent::Failed(LinkFailure::Duplicate) => {
                let reason = DisconnectReason::Violation("a second stream of one channel".into());
                self.drop_link(report.connection, reason);
            }
        }
        tracing::trace!(peer = %report.peer, "link event");
    }

    /// All channels are open: the peer is connected.
    fn open(&mut self, connection: ConnectionId, streams: [StreamPair; CHANNELS]) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        link.deadline = None;
        let (session, receivers) = Session::new(Arc::clone(&link.peer), connection, &self.shared.limits);
        link.session = Some(Arc::clone(&session));
        link.peer.set_session(Arc::clone(&session));
        let key = link.peer.key;
        let task = SessionTask {
            session,
            receivers,
            streams,
            shared: Arc::clone(&self.shared),
            events: self.events.clone(),
            commands: self.commands.clone(),
            previous: self.sessions.remove(&key),
        };
        self.sessions.insert(key, self.tasks.spawn(task.run()));
    }

    /// Ends traffic on a connection and closes it. The link is forgotten when libp2p says that it is closed.
    pub(crate) fn drop_link(&mut self, connection: ConnectionId, reason: DisconnectReason) {
        let Some(link) = self.links.get_mut(&connection).filter(|l| !l.closing) else { return };
        if link.session.is_none() && matches!(reason, DisconnectReason::Violation(_)) {
            add(&self.shared.counters.violations, 1);
        }
        link.end(reason);
        self.swarm.close_connection(connection);
    }

    fn on_closed(&mut self, connection: ConnectionId, cause: String) {
        let Some(mut link) = self.links.remove(&connection) else { return };
        let lasted = link.session.is_some() && link.established.elapsed() >= ms(self.shared.limits.redial_max_ms);
        if !link.closing {
            link.end(DisconnectReason::Lost(cause));
        }
        let key = link.peer.key;
        if lasted && let Some(dialing) = self.dialing.get_mut(&key) {
            dialing.succeeded();
        }
        self.retry(&key);
    }

    fn on_ping(&mut self, connection: ConnectionId, result: &Result<Duration, ping::Failure>) {
        let Some(link) = self.links.get(&connection) else { return };
        match result {
            Ok(rtt) => link.peer.set_rtt(*rtt),
            Err(ping::Failure::Timeout | ping::Failure::Other { .. }) => {
                self.drop_link(connection, DisconnectReason::PingTimeout);
            }
            // A peer without pings is judged by its channels.
            Err(ping::Failure::Unsupported) => {}
        }
    }

    fn on_inbound_failed(&mut self, remote: &Multiaddr, peer: Option<PeerId>, error: ListenError) {
        let key = peer.as_ref().and_then(identity::public_key);
        let reason = match error {
            ListenError::Denied { cause } => denied(cause),
            ListenError::Aborted => return,
            other => RefusalReason::Handshake(other.to_string()),
        };
        self.refuse(remote, key, reason);
    }

    fn on_dial_error(&mut self, peer: &PeerId, error: DialError) {
        let Some(key) = self.keys.get(peer).copied() else { return };
        match error {
            DialError::WrongPeerId { obtained, ref address } => {
                self.refuse(address, identity::public_key(&obtained), RefusalReason::WrongKey { expected: key });
                self.dial_failed(&key, RefusalReason::WrongKey { expected: key }.to_string());
            }
            DialError::Transport(causes) => {
                let causes: Vec<_> = causes.iter().map(|(a, e)| format!("{}: {e}", identity::display(a))).collect();
                self.dial_failed(&key, causes.join("; "));
            }
            other => self.dial_failed(&key, other.to_string()),
        }
    }

    /// Counts a refusal; logs and reports it if there were not too many.
    fn refuse(&mut self, remote: &Multiaddr, key: Option<PublicKey>, reason: RefusalReason) {
        let counters = &self.shared.counters;
        let counter = match reason {
            RefusalReason::NotAdmitted => &counters.refused_not_admitted,
            RefusalReason::WrongKey { .. } => &counters.refused_wrong_key,
            RefusalReason::WrongChain => &counters.refused_wrong_chain,
            RefusalReason::Handshake(_) => &counters.refused_handshake,
            RefusalReason::TooMany => &counters.refused_too_many,
        };
        add(counter, 1);
        if !self.refusals.try_take(Instant::now()) {
            return;
        }
        let remote = identity::display(remote);
        match key {
            Some(key) => tracing::warn!(%remote, %key, %reason, "refused"),
            None => tracing::warn!(%remote, %reason, "refused"),
        }
        self.events.try_control(Event::Refused { remote, key, reason });
    }
}

fn denied(cause: ConnectionDenied) -> RefusalReason {
    match cause.downcast::<allow_block_list::NotAllowed>() {
        Ok(_) => RefusalReason::NotAdmitted,
        Err(_) => RefusalReason::TooMany,
    }
}

/// Which of two connections of one pair stays, so that both sides come to the same verdict.
///
/// If both were dialled by the same side, or the older one is not fresh, the dialler has lost the older one and the
/// new one stays. If both sides dialled at the same time, the one dialled by the smaller key stays.
fn new_one_wins(we_are_smaller: bool, old_by_us: bool, new_by_us: bool, old_age: Duration) -> bool {
    old_by_us == new_by_us || old_age >= SIMULTANEOUS || new_by_us == we_are_smaller
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_keep_the_same_connection() {
        // Every way in which both sides can see two connections made at the same time.
        for first_by_smaller in [true, false] {
            let second_by_smaller = !first_by_smaller;
            let smaller_keeps_new = new_one_wins(true, first_by_smaller, second_by_smaller, Duration::ZERO);
            let larger_keeps_new = new_one_wins(false, !first_by_smaller, !second_by_smaller, Duration::ZERO);
            assert_eq!(smaller_keeps_new, larger_keeps_new);
            assert_eq!(smaller_keeps_new, second_by_smaller);
            // Seen in the other order, the same connection stays.
            assert_eq!(new_one_wins(false, !second_by_smaller, !first_by_smaller, Duration::ZERO), first_by_smaller);
        }
        assert!(new_one_wins(true, true, true, Duration::ZERO));
        assert!(new_one_wins(true, true, false, SIMULTANEOUS));
        assert!(!new_one_wins(true, true, false, SIMULTANEOUS / 2));
    }
}
