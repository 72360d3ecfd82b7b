//! Signature checks, each made once.
//!
//! The same signature is met up to four times: when a message is relayed or waits for its height, when the core takes it
//! in, and again inside polka and commit certificates. What has verified is remembered for a while.

use std::{collections::BTreeSet, sync::Arc};

use vouch_types::{CertificateError, ChainId, CommitCertificate, Hash32, PublicKey, Signature};

use crate::{
    members::Members,
    message::{ConsensusMessage, PolkaCertificate, RoundCertificate, RoundCertificateKind, SignedProposal, SignedVote},
};

/// How many good signatures one of the two generations holds; both together stay below 1.5 MiB.
const GENERATION_MAX: usize = 4_096;

type Good = (PublicKey, Hash32, Signature);

/// Checks one signature. The arithmetic is nearly all that a simulated network costs, and every node of it checks the same
/// signatures; a host that runs many drivers can answer for all of them at once.
pub trait SignatureCheck: Send + Sync + core::fmt::Debug {
    /// Whether the signature holds: exactly what [`PublicKey::verify`] says.
    fn holds(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool;
}

/// Does the arithmetic.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirectCheck;

impl SignatureCheck for DirectCheck {
    fn holds(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        key.verify(message, signature).is_ok()
    }
}

/// Why a certificate of prevotes or of a round is refused. Bad input from a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeerCertificateError {
    #[error("a signer is not a validator of the height")]
    UnknownValidator,
    #[error("a signature does not verify")]
    Signature,
    #[error("not enough voting power")]
    Power,
}

pub(crate) struct Verifier {
    chain: ChainId,
    arithmetic: Arc<dyn SignatureCheck>,
    young: BTreeSet<Good>,
    old: BTreeSet<Good>,
}

impl Verifier {
    pub(crate) const fn new(chain: ChainId, arithmetic: Arc<dyn SignatureCheck>) -> Self {
        Self { chain, arithmetic, young: BTreeSet::new(), old: BTreeSet::new() }
    }

    pub(crate) const fn chain(&self) -> ChainId {
        self.chain
    }

    fn knows(&self, good: &Good) -> bool {
        self.young.contains(good) || self.old.contains(good)
    }

    pub(crate) fn remember(&mut self, key: PublicKey, digest: Hash32, signature: Signature) {
        if self.young.len() >= GENERATION_MAX {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert((key, digest, signature));
    }

    pub(crate) fn check(&mut self, key: PublicKey, digest: Hash32, signature: Signature) -> bool {
        if self.knows(&(key, digest, signature)) {
            return true;
        }
        let good = self.arithmetic.holds(&key, digest.as_bytes(), &signature);
        if good {
            self.remember(key, digest, signature);
        }
        good
    }

    pub(crate) fn vote(&mut self, members: &Members, vote: &SignedVote) -> bool {
        let digest = vote.statement(self.chain).digest();
        members.get(&vote.validator).is_some_and(|member| self.check(member.key, digest, vote.signature))
    }

    pub(crate) fn proposal(&mut self, members: &Members, proposal: &SignedProposal) -> bool {
        let digest = proposal.statement(self.chain).digest();
        members.get(&proposal.proposer).is_some_and(|member| self.check(member.key, digest, proposal.signature))
    }

    /// Checks every signature and the quorum. The signers ascend, as the message's shape requires, so none counts twice.
    pub(crate) fn polka(&mut self, members: &Members, polka: &PolkaCertificate) -> Result<(), PeerCertificateError> {
        let power = self.power_of(members, polka.votes())?;
        if members.is_quorum(power) { Ok(()) } else { Err(PeerCertificateError::Power) }
    }

    /// As [`Verifier::polka`], with the threshold of the certificate's kind.
    pub(crate) fn round(&mut self, members: &Members, round: &RoundCertificate) -> Result<(), PeerCertificateError> {
        let power = self.power_of(members, round.votes())?;
        let enough = match round.kind {
            RoundCertificateKind::Skip => members.has_honest(power),
            RoundCertificateKind::Precommit => members.is_quorum(power),
        };
        if enough { Ok(()) } else { Err(PeerCertificateError::Power) }
    }

    fn power_of(
        &mut self,
        members: &Members,
        votes: impl Iterator<Item = SignedVote>,
    ) -> Result<u64, PeerCertificateError> {
        let mut power: u64 = 0;
        for vote in votes {
            let member = members.get(&vote.validator).ok_or(PeerCertificateError::UnknownValidator)?;
            if !self.check(member.key, vote.statement(self.chain).digest(), vote.signature) {
                return Err(PeerCertificateError::Signature);
            }
            power = power.saturating_add(member.power);
        }
        Ok(power)
    }

    /// [`CommitCertificate::verify`], without the arithmetic for signatures that verified before, also in another certificate.
    pub(crate) fn commit(
        &mut self,
        members: &Members,
        certificate: &CommitCertificate,
    ) -> Result<(), CertificateError> {
        let digest = certificate.statement(self.chain).digest();
        let all_hold = certificate.signatures.iter().all(|entry| {
            let member = members.list().get(usize::from(entry.validator));
            member.is_some_and(|member| self.check(member.key, digest, entry.signature))
        });
        if !all_hold {
            // Says what is wrong with it.
            return certificate.verify(self.chain, members.set());
        }
        if !certificate.signatures.is_sorted_by(|a, b| a.validator < b.validator) {
            return Err(CertificateError::Order);
        }
        let signed = certificate
            .signatures
            .iter()
            .filter_map(|entry| members.list().get(usize::from(entry.validator)))
            .fold(0u64, |sum, member| sum.saturating_add(member.power));
        if members.is_quorum(signed) {
            Ok(())
        } else {
            Err(CertificateError::NoQuorum { signed, total: members.total() })
        }
    }

    /// Whether everything signed in the message verifies against `members`.
    pub(crate) fn message(&mut self, members: &Members, message: &ConsensusMessage) -> bool {
        match message {
            ConsensusMessage::Vote(vote) => self.vote(members, vote),
            ConsensusMessage::Proposal(proposal) => self.proposal(members, proposal),
            ConsensusMessage::Polka(polka) => self.polka(members, polka).is_ok(),
            ConsensusMessage::Round(round) => self.round(members, round).is_ok(),
        }
    }
}
