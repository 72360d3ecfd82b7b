//! What validators send each other: votes, proposals, and the certificates that help a peer catch up with a round.
//!
//! A decoded message is only well-formed. Who signed it, and whether the signature holds, is judged by the driver.

use vouch_types::{
    BlockHash, ChainId, CodecError, Hash32, Height, NodeId, ProposalStatement, Round, Signature, VoteKind,
    VoteStatement, codec, hash::domain_hash, validators::VALIDATORS_MAX,
};
use wincode::{SchemaRead, SchemaWrite};

/// Version byte before every encoded message.
pub const MESSAGE_VERSION: u8 = 1;
/// Most bytes of an encoded message: a round certificate with a vote of every validator.
pub const MESSAGE_BYTES_MAX: usize = 64 + VALIDATORS_MAX * 133;
/// Highest round that is taken seriously; at the shortest timeouts it is weeks away.
pub const ROUND_MAX: Round = Round(1_000_000);

/// A prevote or precommit with its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub struct SignedVote {
    /// The step.
    pub kind: VoteKind,
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The block, or nothing ("nil").
    pub block: Option<BlockHash>,
    /// Who votes.
    pub validator: NodeId,
    /// Over the digest of [`SignedVote::statement`].
    pub signature: Signature,
}

impl SignedVote {
    /// What is signed.
    #[must_use]
    pub const fn statement(&self, chain: ChainId) -> VoteStatement {
        VoteStatement { chain, kind: self.kind, height: self.height, round: self.round, block: self.block }
    }
}

/// A proposal with its signature; names the block, does not carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub struct SignedProposal {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The block proposed.
    pub block: BlockHash,
    /// The earlier round whose prevotes allow proposing it again, if it is not new.
    pub valid_round: Option<Round>,
    /// Who proposes.
    pub proposer: NodeId,
    /// Over the digest of [`SignedProposal::statement`].
    pub signature: Signature,
}

impl SignedProposal {
    /// What is signed.
    #[must_use]
    pub const fn statement(&self, chain: ChainId) -> ProposalStatement {
        ProposalStatement {
            chain,
            height: self.height,
            round: self.round,
            block: self.block,
            valid_round: self.valid_round,
        }
    }
}

/// One validator's prevote in a [`PolkaCertificate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub struct PolkaSignature {
    /// Who voted.
    pub validator: NodeId,
    /// Over the prevote's statement.
    pub signature: Signature,
}

/// More than two thirds prevoted one block in one round. Signers ascend by node, each once.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct PolkaCertificate {
    /// The height.
    pub height: Height,
    /// The round of the prevotes.
    pub round: Round,
    /// The block.
    pub block: BlockHash,
    /// The prevotes, 1 to [`VALIDATORS_MAX`].
    pub signatures: Vec<PolkaSignature>,
}

impl PolkaCertificate {
    /// The prevotes it consists of.
    pub fn votes(&self) -> impl Iterator<Item = SignedVote> {
        self.signatures.iter().map(|entry| SignedVote {
            kind: VoteKind::Prevote,
            height: self.height,
            round: self.round,
            block: Some(self.block),
            validator: entry.validator,
            signature: entry.signature,
        })
    }
}

/// What a [`RoundCertificate`] allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub enum RoundCertificateKind {
    /// More than one third voted in the round: enter it.
    Skip,
    /// More than two thirds precommitted in the round, for whatever: enter the next.
    Precommit,
}

/// One validator's vote in a [`RoundCertificate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub struct RoundSignature {
    /// Who voted.
    pub validator: NodeId,
    /// The step.
    pub kind: VoteKind,
    /// The block, or nothing.
    pub block: Option<BlockHash>,
    /// Over the vote's statement.
    pub signature: Signature,
}

/// Why a peer moved to another round. Signers ascend by node, each once.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct RoundCertificate {
    /// The height.
    pub height: Height,
    /// The round of the votes.
    pub round: Round,
    /// What it allows.
    pub kind: RoundCertificateKind,
    /// The votes, 1 to [`VALIDATORS_MAX`].
    pub signatures: Vec<RoundSignature>,
}

impl RoundCertificate {
    /// The votes it consists of.
    pub fn votes(&self) -> impl Iterator<Item = SignedVote> {
        self.signatures.iter().map(|entry| SignedVote {
            kind: entry.kind,
            height: self.height,
            round: self.round,
            block: entry.block,
            validator: entry.validator,
            signature: entry.signature,
        })
    }
}

/// A message between validators.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum ConsensusMessage {
    /// A vote.
    Vote(SignedVote),
    /// A proposal.
    Proposal(SignedProposal),
    /// Proof of prevotes.
    Polka(PolkaCertificate),
    /// Proof that a round is over or begun.
    Round(RoundCertificate),
}

/// Why bytes or a decoded message are refused before anyone looks at signatures. Bad input from a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not the layout, or too large.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A version this code does not speak.
    #[error("consensus message version {0} is not known")]
    Version(u8),
    /// Above [`ROUND_MAX`].
    #[error("round {0} is out of range")]
    Round(Round),
    /// A proposal that claims prevotes of its own or a later round.
    #[error("valid round {valid_round} is not before round {round}")]
    ValidRound {
        /// The round proposed in.
        round: Round,
        /// The round claimed.
        valid_round: Round,
    },
    /// No signatures, too many, or not strictly ascending.
    #[error("certificate signers must be 1 to {VALIDATORS_MAX}, in ascending order, each once")]
    Signers,
    /// A prevote where only precommits belong.
    #[error("a precommit certificate holds precommits only")]
    VoteKind,
}

impl MessageError {
    /// Stable code for metrics and answers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Codec(_) => "consensus.message.codec",
            Self::Version(_) => "consensus.message.version",
            Self::Round(_) => "consensus.message.round",
            Self::ValidRound { .. } => "consensus.message.valid_round",
            Self::Signers => "consensus.message.signers",
            Self::VoteKind => "consensus.message.vote_kind",
        }
    }
}

impl ConsensusMessage {
    /// The bytes that travel: version byte and body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![MESSAGE_VERSION];
        bytes.extend_from_slice(&codec::encode(self));
        bytes
    }

    /// Decodes and checks the shape.
    ///
    /// # Errors
    /// [`MessageError`]; every accepted message encodes to the same bytes again.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let (version, body) = bytes.split_first().ok_or(CodecError::Malformed { what: "consensus message" })?;
        if *version != MESSAGE_VERSION {
            return Err(MessageError::Version(*version));
        }
        let message: Self = codec::decode("consensus message", body, MESSAGE_BYTES_MAX)?;
        message.validate()?;
        Ok(message)
    }

    /// Checks the shape of a message built by other means than [`ConsensusMessage::decode`].
    ///
    /// # Errors
    /// [`MessageError`] for rounds out of range, signers out of order and the like.
    pub fn validate(&self) -> Result<(), MessageError> {
        if self.round() > ROUND_MAX {
            return Err(MessageError::Round(self.round()));
        }
        match self {
            Self::Vote(_) => Ok(()),
            Self::Proposal(proposal) => match proposal.valid_round {
                Some(valid_round) if valid_round >= proposal.round => {
                    Err(MessageError::ValidRound { round: proposal.round, valid_round })
                }
                _ => Ok(()),
            },
            Self::Polka(polka) => ascending(&polka.signatures, |s| s.validator),
            Self::Round(round) => {
                if round.kind == RoundCertificateKind::Precommit
                    && round.signatures.iter().any(|s| s.kind == VoteKind::Prevote)
                {
                    return Err(MessageError::VoteKind);
                }
                ascending(&round.signatures, |s| s.validator)
            }
        }
    }

    /// The height spoken about.
    #[must_use]
    pub const fn height(&self) -> Height {
        match self {
            Self::Vote(m) => m.height,
            Self::Proposal(m) => m.height,
            Self::Polka(m) => m.height,
            Self::Round(m) => m.height,
        }
    }

    /// The round spoken about.
    #[must_use]
    pub const fn round(&self) -> Round {
        match self {
            Self::Vote(m) => m.round,
            Self::Proposal(m) => m.round,
            Self::Polka(m) => m.round,
            Self::Round(m) => m.round,
        }
    }

    /// The single signer of a vote or proposal; `None` for a certificate.
    #[must_use]
    pub const fn signer(&self) -> Option<NodeId> {
        match self {
            Self::Vote(m) => Some(m.validator),
            Self::Proposal(m) => Some(m.proposer),
            Self::Polka(_) | Self::Round(_) => None,
        }
    }

    /// The vote or proposal of one node in this message: itself, or a certificate's entry.
    pub(crate) fn part_of(&self, node: &NodeId) -> Option<Self> {
        match self {
            Self::Vote(_) | Self::Proposal(_) => (self.signer() == Some(*node)).then(|| self.clone()),
            Self::Polka(polka) => polka.votes().find(|vote| vote.validator == *node).map(Self::Vote),
            Self::Round(round) => round.votes().find(|vote| vote.validator == *node).map(Self::Vote),
        }
    }

    /// Names the message by its bytes, for [`crate::RelayFilter`].
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        domain_hash("vouch/consensus-message/1", &[&codec::encode(self)])
    }
}

fn ascending<T>(entries: &[T], node: impl Fn(&T) -> NodeId) -> Result<(), MessageError> {
    let in_order = entries.is_sorted_by(|a, b| node(a) < node(b));
    if in_order && (1..=VALIDATORS_MAX).contains(&entries.len()) { Ok(()) } else { Err(MessageError::Signers) }
}
