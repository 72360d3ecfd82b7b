//! libp2p behaviour that opens one stream per channel on every connection and hands all streams to the driver.
//!
//! Each side opens its outbound streams as soon as the connection is admitted and accepts the other side's, one for each
//! channel; one more is a violation. Nothing is dropped on the way and no stream is opened by anyone else.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour, Stream,
    StreamUpgradeError, SubstreamProtocol, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{PeerId, StreamProtocol};

use crate::channel::{CHANNELS, Channel, Protocols};

/// Who opened a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// We, to write.
    Outbound,
    /// The peer, for us to read.
    Inbound,
}

/// Why a channel's stream could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkFailure {
    /// The peer does not know the protocol: another chain or version.
    Unsupported,
    /// No answer in time, or the connection broke.
    Failed,
    /// The peer opened a second stream of one channel.
    Duplicate,
}

/// What happened on a connection.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// A channel's stream is ready.
    Stream { channel: Channel, direction: Direction, stream: Stream },
    /// The connection is of no use.
    Failed(LinkFailure),
}

/// A link event and where it happened.
#[derive(Debug)]
pub(crate) struct LinkReport {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) event: LinkEvent,
}

/// See the module's text.
pub(crate) struct Behaviour {
    protocols: Protocols,
    open_timeout: Duration,
    reports: VecDeque<LinkReport>,
}

impl Behaviour {
    pub(crate) const fn new(protocols: Protocols, open_timeout: Duration) -> Self {
        Self { protocols, open_timeout, reports: VecDeque::new() }
    }

    fn handler(&self) -> Handler {
        Handler {
            protocols: self.protocols.clone(),
            open_timeout: self.open_timeout,
            to_open: Channel::ALL.into(),
            inbound: [false; CHANNELS],
            events: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = LinkReport;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        self.reports.push_back(LinkReport { peer, connection, event });
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<LinkReport, THandlerInEvent<Self>>> {
        // Reports come only through the method above, after which the swarm polls again.
        self.reports.pop_front().map_or(Poll::Pending, |report| Poll::Ready(ToSwarm::GenerateEvent(report)))
    }
}

/// One connection's part.
pub(crate) struct Handler {
    protocols: Protocols,
    open_timeout: Duration,
    to_open: VecDeque<Channel>,
    inbound: [bool; CHANNELS],
    events: VecDeque<LinkEvent>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = LinkEvent;
    type InboundProtocol = Names;
    type OutboundProtocol = Names;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Channel;

    fn listen_protocol(&self) -> SubstreamProtocol<Names> {
        let names = Channel::ALL.map(|c| (c, self.protocols.channel(c).clone()));
        SubstreamProtocol::new(Names(names.into()), ()).with_timeout(self.open_timeout)
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Names, Channel, LinkEvent>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        if let Some(channel) = self.to_open.pop_front() {
            let names = Names(vec![(channel, self.protocols.channel(channel).clone())]);
            let protocol = SubstreamProtocol::new(names, channel).with_timeout(self.open_timeout);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        // Events come only through the method below, after which the connection polls again.
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Names, Names, (), Channel>) {
        let event = match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: (stream, channel), .. }) => {
                if std::mem::replace(&mut self.inbound[channel.index()], true) {
                    LinkEvent::Failed(LinkFailure::Duplicate)
                } else {
                    LinkEvent::Stream { channel, direction: Direction::Inbound, stream }
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: (stream, _), info }) => {
                LinkEvent::Stream { channel: info, direction: Direction::Outbound, stream }
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => LinkEvent::Failed(match error {
                StreamUpgradeError::NegotiationFailed => LinkFailure::Unsupported,
                StreamUpgradeError::Timeout | StreamUpgradeError::Io(_) => LinkFailure::Failed,
                StreamUpgradeError::Apply(never) => match never {},
            }),
            _ => return,
        };
        self.events.push_back(event);
    }
}

/// Negotiates one of some protocol names and tells which channel it is.
pub(crate) struct Names(Vec<(Channel, StreamProtocol)>);

impl Names {
    fn find(&self, name: &StreamProtocol) -> Channel {
        let found = self.0.iter().find(|(_, n)| n == name);
        found.map(|(channel, _)| *channel).expect("negotiation ends with one of the offered names")
    }
}

impl UpgradeInfo for Names {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>().into_iter()
    }
}

impl InboundUpgrade<Stream> for Names {
    type Output = (Stream, Channel);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((stream, self.find(&name))))
    }
}

impl OutboundUpgrade<Stream> for Names {
    type Output = (Stream, Channel);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((stream, self.find(&name))))
    }
}
