//! Proof that a validator contradicted itself.

use vouch_types::{ChainId, CodecError, Height, NodeId, Round, ValidatorSet, codec};
use wincode::{SchemaRead, SchemaWrite};

use crate::message::{SignedProposal, SignedVote};

/// Version byte before encoded evidence.
pub const EVIDENCE_VERSION: u8 = 1;
/// Most bytes of encoded evidence.
pub const EVIDENCE_BYTES_MAX: usize = 512;

/// Two statements one validator must not both sign. Anyone with the validator set of the height can check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Evidence {
    /// Two votes of one kind, height and round for different blocks.
    Votes(SignedVote, SignedVote),
    /// Two different proposals of one height and round.
    Proposals(SignedProposal, SignedProposal),
}

/// Why evidence proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not by one validator, or not of one kind, height and round.
    #[error("the two statements are not of the same place")]
    NotSamePlace,
    /// They say the same.
    #[error("the two statements do not contradict each other")]
    NoContradiction,
    /// The signer is not in the set.
    #[error("the signer is not a validator of the height")]
    UnknownValidator,
    /// One signature does not verify.
    #[error("a signature does not verify")]
    Signature,
}

impl EvidenceError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotSamePlace => "consensus.evidence.not_same_place",
            Self::NoContradiction => "consensus.evidence.no_contradiction",
            Self::UnknownValidator => "consensus.evidence.unknown_validator",
            Self::Signature => "consensus.evidence.signature",
        }
    }
}

impl Evidence {
    /// Who contradicted itself.
    #[must_use]
    pub const fn validator(&self) -> NodeId {
        match self {
            Self::Votes(vote, _) => vote.validator,
            Self::Proposals(proposal, _) => proposal.proposer,
        }
    }

    /// Where.
    #[must_use]
    pub const fn place(&self) -> (Height, Round) {
        match self {
            Self::Votes(vote, _) => (vote.height, vote.round),
            Self::Proposals(proposal, _) => (proposal.height, proposal.round),
        }
    }

    /// Checks the contradiction and both signatures against the validator set of the height.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn verify(&self, chain: ChainId, set: &ValidatorSet) -> Result<(), EvidenceError> {
        let (same_place, differ, digests, signatures) = match self {
            Self::Votes(a, b) => (
                (a.validator, a.kind, a.height, a.round) == (b.validator, b.kind, b.height, b.round),
                a.block != b.block,
                [a.statement(chain).digest(), b.statement(chain).digest()],
                [a.signature, b.signature],
            ),
            Self::Proposals(a, b) => (
                (a.proposer, a.height, a.round) == (b.proposer, b.height, b.round),
                (a.block, a.valid_round) != (b.block, b.valid_round),
                [a.statement(chain).digest(), b.statement(chain).digest()],
                [a.signature, b.signature],
            ),
        };
        if !same_place {
            return Err(EvidenceError::NotSamePlace);
        }
        if !differ {
            return Err(EvidenceError::NoContradiction);
        }
        let signer = self.validator();
        let member =
            set.members().iter().find(|member| member.key.node() == signer).ok_or(EvidenceError::UnknownValidator)?;
        for (digest, signature) in digests.iter().zip(&signatures) {
            member.key.verify(digest.as_bytes(), signature).map_err(|_| EvidenceError::Signature)?;
        }
        Ok(())
    }

    /// The bytes that are stored: version byte and body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![EVIDENCE_VERSION];
        bytes.extend_from_slice(&codec::encode(self));
        bytes
    }

    /// Reads [`Evidence::encode`].
    ///
    /// # Errors
    /// [`CodecError`] when it is not that.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        match bytes.split_first() {
            Some((&EVIDENCE_VERSION, body)) => codec::decode("evidence", body, EVIDENCE_BYTES_MAX),
            _ => Err(CodecError::Malformed { what: "evidence" }),
        }
    }
}
