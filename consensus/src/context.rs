//! Our chain in the core's terms. The core's traits cannot be put on the types of `vouch_types`, so each has a thin stand-in
//! here; nothing of this module leaves the crate.

use std::sync::Arc;

use malachitebft_core_types as core_types;
use malachitebft_core_types::{LinearTimeouts, NilOrVal, SignedExtension, VoteType};
use vouch_types::{BlockHash, Height, NodeId, PublicKey, Round, Signature};

use crate::members::{Member, Members};

pub(crate) type CoreRound = core_types::Round;
pub(crate) type CoreSignedVote = core_types::SignedVote<Ctx>;
pub(crate) type CoreSignedProposal = core_types::SignedProposal<Ctx>;

/// Binds the core's associated types.
#[derive(Debug, Clone)]
pub(crate) struct Ctx;

/// Ed25519 as `vouch_types` does it. The core never signs or verifies by itself; it asks by effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheme;

impl core_types::SigningScheme for Scheme {
    type DecodingError = &'static str;
    type Signature = Signature;
    type PublicKey = PublicKey;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Signature, &'static str> {
        bytes.try_into().map(Signature).map_err(|_| "expected 64 bytes")
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, &'static str> {
        bytes.try_into().map(PublicKey::ed25519).map_err(|_| "expected 32 bytes")
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.bytes.to_vec()
    }
}

/// A [`Height`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CoreHeight(pub(crate) Height);

impl core::fmt::Display for CoreHeight {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core_types::Height for CoreHeight {
    const ZERO: Self = Self(Height(0));
    const INITIAL: Self = Self(Height(1));

    fn increment_by(&self, n: u64) -> Self {
        Self(Height(self.0.0.saturating_add(n)))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.0.checked_sub(n).map(|height| Self(Height(height)))
    }

    fn as_u64(&self) -> u64 {
        self.0.0
    }
}

/// A [`NodeId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address(pub(crate) NodeId);

impl core::fmt::Display for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core_types::Address for Address {}

/// What is agreed on: a block's hash. The payload travels beside consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockRef(pub(crate) BlockHash);

impl core_types::Value for BlockRef {
    type Id = BlockHash;

    fn id(&self) -> BlockHash {
        self.0
    }
}

/// Payload parts never pass through the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoPart;

impl core_types::ProposalPart<Ctx> for NoPart {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

/// A [`Member`] with its address in the core's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoreValidator {
    address: Address,
    member: Member,
}

impl core_types::Validator<Ctx> for CoreValidator {
    fn address(&self) -> &Address {
        &self.address
    }

    fn public_key(&self) -> &PublicKey {
        &self.member.key
    }

    fn voting_power(&self) -> u64 {
        self.member.power
    }
}

/// [`Members`] as the core sees them; cheap to clone, which the core does often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoreSet {
    members: Arc<Members>,
    list: Arc<Vec<CoreValidator>>,
}

impl CoreSet {
    pub(crate) fn new(members: Arc<Members>) -> Self {
        let list = members
            .list()
            .iter()
            .map(|member| CoreValidator { address: Address(member.node), member: *member })
            .collect();
        Self { members, list: Arc::new(list) }
    }
}

impl core_types::ValidatorSet<Ctx> for CoreSet {
    fn count(&self) -> usize {
        self.list.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.members.total()
    }

    fn get_by_address(&self, address: &Address) -> Option<&CoreValidator> {
        self.list.get(usize::from(self.members.position(&address.0)?))
    }

    fn get_by_index(&self, index: usize) -> Option<&CoreValidator> {
        self.list.get(index)
    }
}

/// A proposal without its signature. Equality is content only, as replay requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) height: CoreHeight,
    pub(crate) round: CoreRound,
    pub(crate) value: BlockRef,
    pub(crate) valid_round: CoreRound,
    pub(crate) proposer: Address,
}

impl core_types::Proposal<Ctx> for Proposal {
    fn height(&self) -> CoreHeight {
        self.height
    }

    fn round(&self) -> CoreRound {
        self.round
    }

    fn value(&self) -> &BlockRef {
        &self.value
    }

    fn take_value(self) -> BlockRef {
        self.value
    }

    fn pol_round(&self) -> CoreRound {
        self.valid_round
    }

    fn validator_address(&self) -> &Address {
        &self.proposer
    }
}

/// A vote without its signature. Equality is content only, as replay requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) kind: VoteType,
    pub(crate) height: CoreHeight,
    pub(crate) round: CoreRound,
    pub(crate) value: NilOrVal<BlockHash>,
    pub(crate) validator: Address,
}

impl core_types::Vote<Ctx> for Vote {
    fn height(&self) -> CoreHeight {
        self.height
    }

    fn round(&self) -> CoreRound {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockHash> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockHash> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Address {
        &self.validator
    }

    fn extension(&self) -> Option<&SignedExtension<Ctx>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Ctx>> {
        None
    }

    fn extend(self, _: SignedExtension<Ctx>) -> Self {
        self
    }
}

impl core_types::Context for Ctx {
    type Address = Address;
    type Height = CoreHeight;
    type ProposalPart = NoPart;
    type Proposal = Proposal;
    type Validator = CoreValidator;
    type ValidatorSet = CoreSet;
    type Timeouts = LinearTimeouts;
    type Value = BlockRef;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Scheme;

    fn select_proposer<'a>(&self, set: &'a CoreSet, height: CoreHeight, round: CoreRound) -> &'a CoreValidator {
        let round = Round(round.as_u32().unwrap_or_default());
        let node = set.members.proposer(height.0, round).node;
        core_types::ValidatorSet::get_by_address(set, &Address(node)).expect("the proposer is a member of this set")
    }

    fn new_proposal(
        &self,
        height: CoreHeight,
        round: CoreRound,
        value: BlockRef,
        valid_round: CoreRound,
        proposer: Address,
    ) -> Proposal {
        Proposal { height, round, value, valid_round, proposer }
    }

    fn new_prevote(
        &self,
        height: CoreHeight,
        round: CoreRound,
        value: NilOrVal<BlockHash>,
        validator: Address,
    ) -> Vote {
        Vote { kind: VoteType::Prevote, height, round, value, validator }
    }

    fn new_precommit(
        &self,
        height: CoreHeight,
        round: CoreRound,
        value: NilOrVal<BlockHash>,
        validator: Address,
    ) -> Vote {
        Vote { kind: VoteType::Precommit, height, round, value, validator }
    }
}
