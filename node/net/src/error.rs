//! What can go wrong, apart by the decision a caller can take.

use vouch_types::PublicKey;

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Configuration: not an IP address and a port.
    #[error("net.listen_address: {0:?} is not an IP address and a port")]
    ListenAddress(String),
    /// Configuration: bounds with which nothing could move.
    #[error("net.limits: {0}")]
    Limits(&'static str),
    /// Operational: the address is in use or not ours.
    #[error("net.listen: cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: String,
        /// What the system said.
        cause: String,
    },
}

/// Why a message was not queued. Nothing of it has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Not on the admission list.
    #[error("net.unknown_peer: the peer is not admitted")]
    UnknownPeer,
    /// Admitted, but there is no connection now. Send again after `PeerConnected`.
    #[error("net.not_connected: the peer is not connected")]
    NotConnected,
    /// Larger than the channel's message bound, or empty.
    #[error("net.message_size: empty, or more bytes than the channel takes")]
    Size,
    /// The queue to this peer is full. On `Consensus` the peer is disconnected in the same moment, so that it starts
    /// over instead of missing a vote.
    #[error("net.queue_full: the queue to the peer is full")]
    QueueFull,
}

/// Why a request has no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not on the admission list.
    #[error("net.unknown_peer: the peer is not admitted")]
    UnknownPeer,
    /// No connection now, or it ended while we waited.
    #[error("net.not_connected: the peer is not connected")]
    NotConnected,
    /// Larger than a request may be.
    #[error("net.message_size: more bytes than a request may have")]
    Size,
    /// As many requests to this peer are under way as may be.
    #[error("net.busy: too many requests to the peer are under way")]
    Busy,
    /// No response in time.
    #[error("net.timeout: no response in time")]
    Timeout,
    /// The peer closed the request without a response.
    #[error("net.refused: the peer gave no response")]
    Refused,
    /// The response was malformed or larger than allowed; counted against the peer.
    #[error("net.malformed: {0}")]
    Malformed(String),
    /// The stream failed.
    #[error("net.failed: {0}")]
    Failed(String),
    /// The network has been shut down.
    #[error("net.shut_down: the network has been shut down")]
    ShutDown,
}

/// Why a response was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Larger than a response may be; the peer is told that there is none.
    #[error("net.message_size: more bytes than a response may have")]
    Size,
    /// The requester has gone or given up.
    #[error("net.gone: nobody waits for the response any more")]
    Gone,
}

/// Why a connection to an admitted peer ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// The peer closed it, or the line broke.
    #[error("connection lost: {0}")]
    Lost(String),
    /// No longer on the admission list.
    #[error("removed from the admission list")]
    Removed,
    /// It did not take consensus messages as fast as they came.
    #[error("the consensus queue to the peer overflowed")]
    ConsensusOverflow,
    /// It sent what no honest node sends.
    #[error("protocol violation: {0}")]
    Violation(String),
    /// It no longer answered pings.
    #[error("the peer no longer answers pings")]
    PingTimeout,
    /// A newer connection of the same peer took over.
    #[error("replaced by another connection of the same peer")]
    Replaced,
    /// This node shut down.
    #[error("this node shut down")]
    ShutDown,
}

/// Why someone was turned away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// Its key is not on the admission list.
    #[error("key is not admitted")]
    NotAdmitted,
    /// We dialled an admitted peer and someone else answered.
    #[error("wrong key at the address of {expected}")]
    WrongKey {
        /// Whom we dialled.
        expected: PublicKey,
    },
    /// Admitted, but it speaks the protocols of another chain or version.
    #[error("speaks the protocols of another chain or version")]
    WrongChain,
    /// It did not complete the handshake in time, or sent something else.
    #[error("handshake failed: {0}")]
    Handshake(String),
    /// Too many connections, or too many from its address, are waiting.
    #[error("too many connections")]
    TooMany,
}
