//! Checks finality without a node: from the genesis header alone, by following the validator sets.
//!
//! Deliberately not here: fetching anything. Whoever holds the right chain id needs to trust nobody who hands over proofs.
//! What is trusted is that of each validator set less than a third of the power has ever signed against the rules; keys
//! of a set that resigned long ago count as much as those of today.
//!
//! ```text
//! chain id --must be the hash of--> genesis header --commits to--> first set
//!                                                                    | precommits
//!                    claim --Merkle path--> header, final --commits to--> next set, and so on
//! ```

mod bundle;
mod error;

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

pub use bundle::{
    Claim, EventProof, Fact, PROOF_BYTES_MAX, PROOF_VERSION, ProofBundle, ReceiptProof, SET_CHANGES_MAX, SetChange,
    TransactionProof, VerifiedClaim,
};
pub use error::ProofError;

use crate::{
    block::{BLOCK_VERSION, GenesisHeader, Header},
    certificate::CommitCertificate,
    hash::ChainId,
    numbers::Height,
    validators::ValidatorSet,
};

/// A header and the precommits that make it final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct FinalityProof {
    /// The header.
    pub header: Header,
    /// Precommits of more than two thirds of the power for it.
    pub certificate: CommitCertificate,
}

impl FinalityProof {
    /// Checks header and certificate against the chain and the set of the header's height.
    ///
    /// # Errors
    /// [`ProofError`], the first fault found.
    pub fn verify(&self, chain: ChainId, set: &ValidatorSet) -> Result<(), ProofError> {
        let Self { header, certificate } = self;
        if header.version != BLOCK_VERSION {
            return Err(ProofError::HeaderVersion(header.version));
        }
        if header.chain != chain {
            return Err(ProofError::HeaderChain { actual: header.chain, expected: chain });
        }
        if header.height == Height::ZERO {
            return Err(ProofError::HeaderHeight);
        }
        if certificate.height != header.height {
            return Err(ProofError::CertificateHeight { actual: certificate.height, expected: header.height });
        }
        let block = header.hash();
        if certificate.block != block {
            return Err(ProofError::CertificateBlock { actual: certificate.block, expected: block });
        }
        if header.validators_hash != set.hash() {
            return Err(ProofError::UnknownValidators { height: header.height, actual: header.validators_hash });
        }
        Ok(certificate.verify(chain, set)?)
    }
}

/// Knows the validator sets of a chain as far as it was led, and judges headers by them.
#[derive(Debug, Clone)]
pub struct LightClient {
    chain: ChainId,
    /// Each set with the first height it is known for; heights ascend, the first is 1.
    sets: Vec<(Height, ValidatorSet)>,
    head: Option<Header>,
}

impl LightClient {
    /// Begins at genesis. `expected` is the one thing to be had from a source one trusts.
    ///
    /// # Errors
    /// [`ProofError::WrongChain`] for the genesis of another chain, [`ProofError::Set`] or [`ProofError::FirstSet`] for
    /// a set that is not the first one's.
    pub fn from_genesis(
        expected: ChainId,
        genesis: &GenesisHeader,
        first_set: ValidatorSet,
    ) -> Result<Self, ProofError> {
        let actual = genesis.chain();
        if actual != expected {
            return Err(ProofError::WrongChain { actual, expected });
        }
        if genesis.version != BLOCK_VERSION {
            return Err(ProofError::HeaderVersion(genesis.version));
        }
        first_set.validate()?;
        if first_set.hash() != genesis.validators_hash {
            return Err(ProofError::FirstSet { actual: first_set.hash(), expected: genesis.validators_hash });
        }
        Ok(Self { chain: expected, sets: vec![(Height(1), first_set)], head: None })
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The highest header accepted by [`LightClient::advance`]; `None` at genesis.
    #[must_use]
    pub const fn head(&self) -> Option<&Header> {
        self.head.as_ref()
    }

    /// The set known for a height, if it is at least 1. Above [`LightClient::head`] it may have been replaced since.
    #[must_use]
    pub fn set_at(&self, height: Height) -> Option<&ValidatorSet> {
        let after = self.sets.partition_point(|(from, _)| *from <= height);
        self.sets.get(after.checked_sub(1)?).map(|(_, set)| set)
    }

    /// Accepts a header above the head. Heights in between may be left out as long as the set stayed the same; the header
    /// at which it changes must come with the set of the next height, any other header without.
    ///
    /// # Errors
    /// [`ProofError`]; nothing has changed then.
    pub fn advance(&mut self, proof: &FinalityProof, next_set: Option<ValidatorSet>) -> Result<(), ProofError> {
        let header = &proof.header;
        if let Some(head) = &self.head
            && header.height <= head.height
        {
            return Err(ProofError::NotNewer { actual: header.height, head: head.height });
        }
        self.verify_at(proof)?;
        let next = match (header.next_validators_hash == header.validators_hash, next_set) {
            (true, None) => None,
            (true, Some(_)) => return Err(ProofError::NextSetSurplus { height: header.height }),
            (false, None) => return Err(ProofError::NextSetMissing { height: header.height }),
            (false, Some(set)) => {
                set.validate()?;
                if set.hash() != header.next_validators_hash {
                    return Err(ProofError::NextSet { height: header.height, actual: set.hash() });
                }
                Some((header.height.next().ok_or(ProofError::HeaderHeight)?, set))
            }
        };
        self.sets.extend(next);
        self.head = Some(header.clone());
        Ok(())
    }

    /// Checks a header of any height by the set known for it, the past included, and keeps nothing.
    ///
    /// # Errors
    /// [`ProofError`]; [`ProofError::UnknownValidators`] when a change of the set before this height was left out.
    pub fn verify_at(&self, proof: &FinalityProof) -> Result<(), ProofError> {
        let set = self.set_at(proof.header.height).ok_or(ProofError::HeaderHeight)?;
        proof.verify(self.chain, set)
    }
}
