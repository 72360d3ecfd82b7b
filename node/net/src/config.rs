//! What a network needs to start, and every bound it keeps.

use std::net::SocketAddr;
use std::time::Duration;

use vouch_types::{ChainId, PublicKey, SecretKey};

use crate::channel::Channel;
use crate::error::NetError;

/// How to start: who we are, where we listen, which chain, which bounds.
#[derive(Debug)]
pub struct NetConfig {
    /// The node's network key (Ed25519). Erased from memory when the configuration is dropped.
    pub secret: SecretKey,
    /// Where to listen: an IP address and a port, `"0.0.0.0:7000"`, `"[::1]:0"`. Port 0 lets the system choose.
    pub listen: String,
    /// The chain; its first 16 hexadecimal digits are part of every protocol name.
    pub chain: ChainId,
    /// The bounds; [`NetLimits::default`] suits a consortium of up to a hundred nodes.
    pub limits: NetLimits,
}

/// One admitted peer, as the chain's registry names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerEntry {
    /// The peer's network key.
    pub key: PublicKey,
    /// `"host:port"`; a name is resolved anew at every dial.
    pub address: String,
}

/// How much a peer may send on one channel before we stop reading for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Sustained payload bytes per second.
    pub bytes_per_second: u32,
    /// Payload bytes that may come at once after a quiet time.
    pub bytes_burst: u32,
    /// Sustained frames per second.
    pub frames_per_second: u32,
    /// Frames that may come at once after a quiet time.
    pub frames_burst: u32,
}

/// The bounds of one channel, per peer unless the text says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelLimits {
    /// Largest payload of one frame, in bytes. All frames of a message but the last are exactly this long.
    pub frame_bytes_max: u32,
    /// Largest message, in bytes.
    pub message_bytes_max: u32,
    /// Messages waiting to be written to one peer.
    pub outbox_messages_max: usize,
    /// Bytes waiting to be written to one peer.
    pub outbox_bytes_max: usize,
    /// Messages, over all peers, that the replica has not taken yet.
    pub inbox_messages_max: usize,
    /// Bytes, over all peers, that the replica has not taken yet. At least one message.
    pub inbox_bytes_max: u32,
    /// What a peer may send.
    pub inbound: Rate,
}

/// Every bound of the network. All times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetLimits {
    /// Votes, proposals, status.
    pub consensus: ChannelLimits,
    /// Block payloads.
    pub blocks: ChannelLimits,
    /// Transaction batches.
    pub transactions: ChannelLimits,
    /// Private documents.
    pub vault: ChannelLimits,
    /// Largest request, in bytes.
    pub request_bytes_max: u32,
    /// Largest response, in bytes.
    pub response_bytes_max: u32,
    /// From sending a request until its whole response is there.
    pub request_timeout_ms: u64,
    /// Our own requests under way to one peer.
    pub requests_out_max: usize,
    /// A peer's requests under way at us.
    pub requests_in_max: usize,
    /// A peer's requests per second that are passed on; more wait.
    pub requests_per_second: u32,
    /// Admitted peers; entries of a longer list are left out, in order of their keys, and logged.
    pub peers_max: usize,
    /// Inbound connections that have not finished their handshake.
    pub pending_inbound_max: u32,
    /// The same for one remote IP address.
    pub pending_inbound_per_ip_max: u32,
    /// From TCP accept to authenticated, and again from there to all streams open.
    pub handshake_timeout_ms: u64,
    /// Time between two pings of a connection.
    pub ping_interval_ms: u64,
    /// A ping not answered for so long counts as failed. A connection ends at the second failure in a row, of which the
    /// second may take another ten seconds in which a new ping stream is tried.
    pub ping_timeout_ms: u64,
    /// First delay before a redial; doubled at each failure.
    pub redial_min_ms: u64,
    /// Longest delay before a redial.
    pub redial_max_ms: u64,
    /// How long the node with the larger key waits for the other one before it dials itself.
    pub fallback_dial_delay_ms: u64,
    /// How long a connection may take to close in an orderly way before its socket is dropped.
    pub close_timeout_ms: u64,
    /// Refusals reported as events and log lines per second; all are counted.
    pub refusals_per_second: u32,
}

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

const CONSENSUS: ChannelLimits = ChannelLimits {
    frame_bytes_max: 64 * KIB,
    message_bytes_max: 64 * KIB,
    outbox_messages_max: 4096,
    outbox_bytes_max: 8 << 20,
    inbox_messages_max: 8192,
    inbox_bytes_max: 32 * MIB,
    inbound: Rate { bytes_per_second: 8 * MIB, bytes_burst: 16 * MIB, frames_per_second: 4000, frames_burst: 8000 },
};
const BLOCKS: ChannelLimits = ChannelLimits {
    frame_bytes_max: 128 * KIB,
    message_bytes_max: 16 * MIB,
    outbox_messages_max: 64,
    outbox_bytes_max: 48 << 20,
    inbox_messages_max: 64,
    inbox_bytes_max: 64 * MIB,
    inbound: Rate { bytes_per_second: 64 * MIB, bytes_burst: 128 * MIB, frames_per_second: 2000, frames_burst: 4000 },
};
const TRANSACTIONS: ChannelLimits = ChannelLimits {
    frame_bytes_max: 128 * KIB,
    message_bytes_max: 2 * MIB,
    outbox_messages_max: 256,
    outbox_bytes_max: 8 << 20,
    inbox_messages_max: 256,
    inbox_bytes_max: 32 * MIB,
    inbound: Rate { bytes_per_second: 16 * MIB, bytes_burst: 32 * MIB, frames_per_second: 1000, frames_burst: 2000 },
};
const VAULT: ChannelLimits = ChannelLimits {
    frame_bytes_max: 128 * KIB,
    message_bytes_max: 4 * MIB,
    outbox_messages_max: 256,
    outbox_bytes_max: 16 << 20,
    inbox_messages_max: 256,
    inbox_bytes_max: 32 * MIB,
    inbound: Rate { bytes_per_second: 32 * MIB, bytes_burst: 32 * MIB, frames_per_second: 2000, frames_burst: 4000 },
};

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            consensus: CONSENSUS,
            blocks: BLOCKS,
            transactions: TRANSACTIONS,
            vault: VAULT,
            request_bytes_max: 64 * KIB,
            response_bytes_max: 17 * MIB,
            request_timeout_ms: 15_000,
            requests_out_max: 8,
            requests_in_max: 8,
            requests_per_second: 200,
            peers_max: 256,
            pending_inbound_max: 64,
            pending_inbound_per_ip_max: 16,
            handshake_timeout_ms: 5_000,
            ping_interval_ms: 3_000,
            ping_timeout_ms: 4_000,
            redial_min_ms: 100,
            redial_max_ms: 5_000,
            fallback_dial_delay_ms: 3_000,
            close_timeout_ms: 300,
            refusals_per_second: 5,
        }
    }
}

impl NetLimits {
    /// The bounds of one channel.
    #[must_use]
    pub const fn channel(&self, channel: Channel) -> &ChannelLimits {
        match channel {
            Channel::Consensus => &self.consensus,
            Channel::Blocks => &self.blocks,
            Channel::Transactions => &self.transactions,
            Channel::Vault => &self.vault,
        }
    }

    /// Refuses bounds with which nothing could move.
    pub(crate) fn validate(&self) -> Result<(), NetError> {
        for channel in Channel::ALL {
            let l = self.channel(channel);
            let rate = l.inbound;
            let zero = l.frame_bytes_max == 0
                || l.outbox_messages_max == 0
                || l.inbox_messages_max == 0
                || rate.bytes_per_second == 0
                || rate.frames_per_second == 0;
            if zero {
                return Err(NetError::Limits("a channel's bound or rate is zero"));
            }
            if l.frame_bytes_max > l.message_bytes_max {
                return Err(NetError::Limits("a frame may be larger than a message"));
            }
            if l.message_bytes_max > l.inbox_bytes_max || l.message_bytes_max as usize > l.outbox_bytes_max {
                return Err(NetError::Limits("a queue holds less than one message"));
            }
        }
        let counts = [self.requests_out_max, self.requests_in_max, self.peers_max];
        let times = [self.request_timeout_ms, self.handshake_timeout_ms, self.ping_interval_ms, self.redial_min_ms];
        if counts.contains(&0) || times.contains(&0) || self.requests_per_second == 0 || self.refusals_per_second == 0 {
            return Err(NetError::Limits("a count, rate or time is zero"));
        }
        if self.requests_out_max > 64 || self.requests_in_max > 64 {
            return Err(NetError::Limits("more than 64 requests at once"));
        }
        if self.redial_min_ms > self.redial_max_ms {
            return Err(NetError::Limits("redial_min_ms above redial_max_ms"));
        }
        Ok(())
    }
}

pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, NetError> {
    text.parse().map_err(|_| NetError::ListenAddress(text.to_owned()))
}
