//! The channels between two nodes and the names under which they are negotiated.

use libp2p::StreamProtocol;
use vouch_types::ChainId;

/// How many channels there are.
pub(crate) const CHANNELS: usize = 4;

/// A kind of traffic with a stream, queues and budgets of its own in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Channel {
    /// Votes, proposals, status: small, urgent, never lost silently.
    Consensus = 1,
    /// Block payloads: large, in frames; a full queue is told to the sender.
    Blocks = 2,
    /// Transaction batches: may be dropped under pressure, counted.
    Transactions = 3,
    /// Private documents on their way to who may have them: a full queue is told to the sender, who repeats.
    Vault = 4,
}

impl Channel {
    /// All channels, most urgent first.
    pub const ALL: [Self; CHANNELS] = [Self::Consensus, Self::Blocks, Self::Transactions, Self::Vault];

    /// Position in [`Channel::ALL`].
    #[must_use]
    pub(crate) const fn index(self) -> usize {
        self as usize - 1
    }

    /// Lower-case name, as in protocol names and metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Blocks => "blocks",
            Self::Transactions => "transactions",
            Self::Vault => "vault",
        }
    }
}

/// Protocol names of one chain: `/vouch/<16 hex digits>/<name>/1`.
#[derive(Debug, Clone)]
pub(crate) struct Protocols {
    channels: [StreamProtocol; CHANNELS],
    requests: StreamProtocol,
}

impl Protocols {
    pub(crate) fn of(chain: &ChainId) -> Self {
        let digits: String = chain.to_string().chars().take(16).collect();
        let protocol = |name: &str| {
            StreamProtocol::try_from_owned(format!("/vouch/{digits}/{name}/1")).expect("the text begins with a slash")
        };
        Self { channels: Channel::ALL.map(|c| protocol(c.name())), requests: protocol("sync") }
    }

    pub(crate) const fn channel(&self, channel: Channel) -> &StreamProtocol {
        &self.channels[channel.index()]
    }

    pub(crate) const fn requests(&self) -> &StreamProtocol {
        &self.requests
    }
}
