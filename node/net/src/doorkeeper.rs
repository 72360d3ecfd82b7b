//! libp2p behaviour that keeps one address from occupying the whole waiting room.
//!
//! The total of unfinished handshakes is bounded by libp2p's connection limits; without a bound per address a single
//! stranger who never says a word could hold all of those places and keep members out.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};

use crate::identity::socket_address;

/// Too many unfinished handshakes from one address.
#[derive(Debug, thiserror::Error)]
#[error("too many unfinished handshakes from {0}")]
pub(crate) struct TooManyPending(IpAddr);

/// See the module's text.
pub(crate) struct Behaviour {
    per_ip_max: u32,
    pending: HashMap<ConnectionId, IpAddr>,
    counts: HashMap<IpAddr, u32>,
}

impl Behaviour {
    pub(crate) fn new(per_ip_max: u32) -> Self {
        Self { per_ip_max, pending: HashMap::new(), counts: HashMap::new() }
    }

    fn enter(&mut self, connection: ConnectionId, ip: IpAddr) -> Result<(), TooManyPending> {
        let count = self.counts.entry(ip).or_default();
        if *count >= self.per_ip_max {
            return Err(TooManyPending(ip));
        }
        *count += 1;
        self.pending.insert(connection, ip);
        Ok(())
    }

    fn leave(&mut self, connection: ConnectionId) {
        let Some(ip) = self.pending.remove(&connection) else { return };
        if let Some(count) = self.counts.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&ip);
            }
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        match socket_address(remote) {
            Some(address) => self.enter(connection, address.ip()).map_err(ConnectionDenied::new),
            None => Ok(()),
        }
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.leave(connection);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(failure) = event {
            self.leave(failure.connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_its_share_and_gets_it_back() {
        let mut door = Behaviour::new(2);
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let id = ConnectionId::new_unchecked;
        assert!(door.enter(id(1), a).is_ok() && door.enter(id(2), a).is_ok());
        assert!(door.enter(id(3), a).is_err());
        assert!(door.enter(id(4), b).is_ok());
        door.leave(id(3)); // was never let in
        assert!(door.enter(id(5), a).is_err());
        door.leave(id(1));
        assert!(door.enter(id(6), a).is_ok());
        for n in [2, 4, 6] {
            door.leave(id(n));
        }
        assert!(door.pending.is_empty() && door.counts.is_empty());
    }
}
