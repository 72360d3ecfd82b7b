//! The proof that a block is final: precommits of more than two thirds of the voting power.
//!
//! Honest nodes may hold different certificates for the same block (any quorum will do), so a certificate is never hashed
//! into the chain by those who merely hold it.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    hash::{BlockHash, ChainId},
    keys::{BatchItem, Signature, verify_batch},
    numbers::{Height, Power, Round},
    validators::{VALIDATORS_MAX, ValidatorSet},
    vote::{VoteKind, VoteStatement},
};

/// Most bytes of an encoded certificate.
pub const CERTIFICATE_BYTES_MAX: usize = 64 + VALIDATORS_MAX * 66;

/// One validator's precommit in a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommitSignature {
    /// Position in the validator set of the certificate's height.
    pub validator: u16,
    /// Over the digest of the precommit's [`VoteStatement`].
    pub signature: Signature,
}

/// Precommits for one block at one height and round, in ascending order of validator, each once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommitCertificate {
    /// The height.
    pub height: Height,
    /// The round in which the block was decided.
    pub round: Round,
    /// The block.
    pub block: BlockHash,
    /// The precommits.
    pub signatures: Vec<CommitSignature>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not strictly ascending, so a validator might count twice.
    #[error("certificate signers must be in ascending order, each once")]
    Order,
    /// A position outside the set.
    #[error("certificate names validator {0}, which is not in the set")]
    UnknownValidator(u16),
    /// A signature that does not verify.
    #[error("the signature of validator {0} does not verify")]
    Signature(u16),
    /// Not more than two thirds of the power.
    #[error("certificate carries power {signed} of {total}, more than two thirds are needed")]
    NoQuorum {
        /// Power that signed.
        signed: u64,
        /// Power of the set.
        total: u64,
    },
}

impl CommitCertificate {
    /// What each signer signed.
    #[must_use]
    pub const fn statement(&self, chain: ChainId) -> VoteStatement {
        VoteStatement {
            chain,
            kind: VoteKind::Precommit,
            height: self.height,
            round: self.round,
            block: Some(self.block),
        }
    }

    /// Checks every signature and the quorum against the validator set of the certificate's height.
    ///
    /// # Errors
    /// [`CertificateError`], the first fault found.
    pub fn verify(&self, chain: ChainId, set: &ValidatorSet) -> Result<(), CertificateError> {
        if !self.signatures.is_sorted_by(|a, b| a.validator < b.validator) {
            return Err(CertificateError::Order);
        }
        let message = self.statement(chain).digest();
        let mut signed: u64 = 0;
        let mut items = Vec::with_capacity(self.signatures.len());
        for entry in &self.signatures {
            let validator = set
                .members()
                .get(usize::from(entry.validator))
                .ok_or(CertificateError::UnknownValidator(entry.validator))?;
            signed = signed.saturating_add(validator.power.0);
            items.push(BatchItem { key: validator.key, message, signature: entry.signature });
        }
        // The blinding comes from the digest and the signatures themselves: a signer would have to know all of them,
        // its own included, before choosing its own.
        let entropy = blake3::hash(&crate::codec::encode(self));
        for (verdict, entry) in verify_batch(&items, entropy.as_bytes()).iter().zip(&self.signatures) {
            if verdict.is_err() {
                return Err(CertificateError::Signature(entry.validator));
            }
        }
        if set.is_quorum(Power(signed)) {
            Ok(())
        } else {
            Err(CertificateError::NoQuorum { signed, total: set.total_power().0 })
        }
    }
}
