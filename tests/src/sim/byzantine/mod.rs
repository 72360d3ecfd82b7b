//! Nodes that lie. Each runs the production code with its key and changes what leaves it, or adds to it.

mod amnesia;
mod equivocating_proposal;
mod equivocating_votes;
mod flood_of_blocks;
mod forged_certificate;
mod invalid_block;
mod late_proposer;
mod lying_sync;
mod nil_voter;
mod replay;
mod spam;
mod tampering_relay;
mod twin;
mod two_blocks;
mod withheld_block;
mod withheld_votes;

use vouch_consensus::{ConsensusMessage, SignedProposal, SignedVote};
use vouch_replica::{Lane, Message, Replica};
use vouch_types::{Block, BlockHash, NodeId, SecretKey, encode};

use super::rng::Rng;

/// All kinds.
pub const KINDS: &[&str] = &[
    "amnesia",
    "equivocating-proposal",
    "equivocating-votes",
    "flood-of-blocks",
    "forged-certificate",
    "invalid-block",
    "late-proposer",
    "lying-sync",
    "nil-voter",
    "replay",
    "spam",
    "tampering-relay",
    "twin",
    "two-blocks",
    "withheld-block",
    "withheld-votes",
];

/// What a liar sees of the world.
pub struct Scene<'a> {
    pub rng: &'a mut Rng,
    pub me: NodeId,
    pub secret: &'a SecretKey,
    pub replica: &'a Replica,
    /// Connected nodes.
    pub peers: &'a [usize],
}

/// What it sends, after how long.
pub struct Out {
    pub after_ms: u64,
    pub lane: Lane,
    pub bytes: Vec<u8>,
}

impl From<Message> for Out {
    fn from(message: Message) -> Self {
        Self { after_ms: 0, lane: message.lane(), bytes: message.to_bytes() }
    }
}

impl Out {
    pub const fn late(mut self, after_ms: u64) -> Self {
        self.after_ms = after_ms;
        self
    }
}

/// A way to lie.
pub trait Adversary: Send {
    /// Its replica would send this to a node; what goes out instead.
    fn outgoing(&mut self, _scene: &mut Scene<'_>, _to: usize, message: Message) -> Vec<Out> {
        vec![message.into()]
    }

    /// It received something; what it answers beside what its replica does, and whether the replica shall see it.
    fn incoming(&mut self, _scene: &mut Scene<'_>, _from: usize, _message: &Message) -> (bool, Vec<Out>) {
        (true, Vec::new())
    }

    /// Every now and then: what it sends to whom.
    fn tick(&mut self, _scene: &mut Scene<'_>) -> Vec<(usize, Out)> {
        Vec::new()
    }

    /// Whether it forgets its votes now.
    fn forgets(&mut self, _scene: &mut Scene<'_>) -> bool {
        false
    }
}

/// The liar of a kind; `None` for `honest`.
pub fn named(kind: &str) -> Option<Box<dyn Adversary>> {
    Some(match kind {
        "amnesia" => Box::new(amnesia::Amnesia::default()),
        "equivocating-proposal" => Box::new(equivocating_proposal::EquivocatingProposal),
        "equivocating-votes" => Box::new(equivocating_votes::EquivocatingVotes),
        "flood-of-blocks" => Box::new(flood_of_blocks::FloodOfBlocks),
        "forged-certificate" => Box::new(forged_certificate::ForgedCertificate),
        "invalid-block" => Box::new(invalid_block::InvalidBlock),
        "late-proposer" => Box::new(late_proposer::LateProposer),
        "lying-sync" => Box::new(lying_sync::LyingSync),
        "nil-voter" => Box::new(nil_voter::NilVoter),
        "replay" => Box::new(replay::Replay::default()),
        "spam" => Box::new(spam::Spam),
        "tampering-relay" => Box::new(tampering_relay::TamperingRelay),
        "twin" => Box::new(twin::Twin),
        "two-blocks" => Box::new(two_blocks::TwoBlocks),
        "withheld-block" => Box::new(withheld_block::WithheldBlock),
        "withheld-votes" => Box::new(withheld_votes::WithheldVotes),
        _ => return None,
    })
}

impl Scene<'_> {
    pub const fn me(&self) -> NodeId {
        self.me
    }

    /// A vote of its own in a message.
    pub fn own_vote(&self, message: &Message) -> Option<SignedVote> {
        match message {
            Message::Consensus(ConsensusMessage::Vote(vote)) if vote.validator == self.me() => Some(*vote),
            _ => None,
        }
    }

    /// A proposal of its own in a message, with or without its block.
    pub fn own_proposal(&self, message: &Message) -> Option<SignedProposal> {
        match message {
            Message::Consensus(ConsensusMessage::Proposal(proposal))
            | Message::Block { proposal: ConsensusMessage::Proposal(proposal), .. }
                if proposal.proposer == self.me() =>
            {
                Some(*proposal)
            }
            _ => None,
        }
    }

    /// The same vote for something else, signed.
    pub fn vote_for(&self, mut vote: SignedVote, block: Option<BlockHash>) -> Message {
        vote.block = block;
        vote.validator = self.me();
        vote.signature = self.secret.sign(vote.statement(self.replica.chain()).digest().as_bytes());
        Message::Consensus(ConsensusMessage::Vote(vote))
    }

    /// The same proposal, changed and signed.
    pub fn sign(&self, mut proposal: SignedProposal) -> ConsensusMessage {
        proposal.proposer = self.me();
        proposal.signature = self.secret.sign(proposal.statement(self.replica.chain()).digest().as_bytes());
        ConsensusMessage::Proposal(proposal)
    }

    /// A block under a proposal of its own.
    pub fn propose(&self, mut proposal: SignedProposal, block: &Block) -> Message {
        proposal.block = block.header.hash();
        Message::Block { proposal: self.sign(proposal), block: encode(block) }
    }
}

/// The same message for every second node, another for the rest.
pub const fn is_other_half(to: usize) -> bool {
    to % 2 == 1
}
