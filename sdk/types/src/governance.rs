//! Proposals as they stand in the state, what they do, and the hash by which administrators vote for exactly that.
//!
//! Deliberately not here: who may propose and vote, and when a proposal has passed; that is the kernel's, in `node/ledger`.
//!
//! ```text
//! ProposalContent --hash--> ballots name it --> Proposal { content, ballots, state }
//! ```

use core::fmt;

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    codec::encode,
    hash::{AccountId, Hash32, domain_hash},
    numbers::{Height, TimestampMs},
};

/// The contract that proposals are made to.
pub const KERNEL: &str = "system";
/// The kernel's self-description, in the same form as a contract's.
pub const KERNEL_ABI_JSON: &str = include_str!("governance/kernel.json");
/// Most bytes of a proposal's encoded actions.
pub const ACTIONS_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a proposal's record: its ballots are those of administrators there are, at most 64 of each of 256 members.
pub const PROPOSAL_BYTES_MAX: usize = 2 << 20;

/// What keys of the kernel's records begin with, after its name and the zero byte; the proposal's number follows, big-endian.
pub mod key {
    /// A [`Proposal`](super::Proposal).
    pub const PROPOSAL: &[u8] = b"proposal/";
    /// Its [`Action`](super::Action)s.
    pub const ACTIONS: &[u8] = b"proposal-actions/";
}

/// One thing a proposal does: a kernel method, or a call of a contract by the contract `system`.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Action {
    /// The contract.
    pub contract: String,
    /// The method.
    pub method: String,
    /// Its encoded arguments.
    pub arguments: Vec<u8>,
}

/// Everything of a proposal that an administrator votes on, and nothing else: neither who made it nor when.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ProposalContent {
    /// `membership`, `nodes`, `contracts`, `parameters`, `emergency`, `documents` or `member`.
    pub kind: String,
    /// With `member`: which.
    pub member: Option<String>,
    /// What it is, for people.
    pub title: String,
    /// The last block time at which ballots count.
    pub deadline: TimestampMs,
    /// What it does, in order.
    pub actions: Vec<Action>,
}

impl ProposalContent {
    /// What a ballot names, so that nobody can be made to vote for something else than was read.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        domain_hash("vouch/proposal/1", &[&encode(self)])
    }
}

/// What a decision is about; each kind has a threshold of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(rename_all = "lowercase")]
pub enum DecisionKind {
    /// Who belongs to the consortium, and who speaks for a member.
    Membership,
    /// Nodes and their votes.
    Nodes,
    /// Contracts come, change and go.
    Contracts,
    /// Numbers every node shares, these thresholds among them.
    Parameters,
    /// What cannot wait: a contract is frozen, a member suspended.
    Emergency,
    /// Calls of contracts that only the members together may make: schemas, arbiters.
    Documents,
}

impl DecisionKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Membership, Self::Nodes, Self::Contracts, Self::Parameters, Self::Emergency, Self::Documents];

    /// The text used in JSON and by the kernel.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Membership => "membership",
            Self::Nodes => "nodes",
            Self::Contracts => "contracts",
            Self::Parameters => "parameters",
            Self::Emergency => "emergency",
            Self::Documents => "documents",
        }
    }

    /// The kind of a text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for DecisionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a proposal is about, and so who decides it.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Matter {
    /// The consortium: as many members as this kind takes.
    Consortium(DecisionKind),
    /// One member's own affairs: its administrators by its policy.
    Member(String),
}

impl Matter {
    /// `member`, or the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Consortium(kind) => kind.as_str(),
            Self::Member(_) => "member",
        }
    }
}

/// One administrator's voice.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Ballot {
    /// Who.
    pub account: AccountId,
    /// For which member.
    pub member: String,
    /// For or against.
    pub approve: bool,
    /// When.
    pub height: Height,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum ProposalState {
    /// Ballots count.
    Open,
    /// Its actions took effect at this height.
    Executed(Height),
    /// It was approved, but an action failed, so none took effect.
    Failed {
        /// When.
        at: Height,
        /// Position of the action, from 0.
        action: u16,
        /// Why, stable.
        code: String,
        /// Why, for people.
        message: String,
    },
    /// It can no longer be approved.
    Rejected(Height),
    /// Its deadline passed.
    Expired,
    /// Its proposer took it back.
    Withdrawn(Height),
}

impl ProposalState {
    /// In one word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Executed(_) => "executed",
            Self::Failed { .. } => "failed",
            Self::Rejected(_) => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn(_) => "withdrawn",
        }
    }
}

/// A proposal as it stands in the state. Its actions stand beside it.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Proposal {
    /// Counts proposals from 1.
    pub id: u64,
    /// What it is about.
    pub matter: Matter,
    /// What it is, for people.
    pub title: String,
    /// Hash of its content.
    pub content: Hash32,
    /// Who made it.
    pub proposer: AccountId,
    /// For which member.
    pub member: String,
    /// When it was made.
    pub created: Height,
    /// Time of that block.
    pub created_at: TimestampMs,
    /// The last block time at which ballots count.
    pub deadline: TimestampMs,
    /// The ballots, in order of first vote.
    pub ballots: Vec<Ballot>,
    /// What became of it, as last written: see [`Proposal::state_at`].
    pub state: ProposalState,
}

impl Proposal {
    /// What became of it, seen at a block time: an open one whose deadline passed is expired.
    #[must_use]
    pub fn state_at(&self, now: TimestampMs) -> ProposalState {
        match &self.state {
            ProposalState::Open if now > self.deadline => ProposalState::Expired,
            state => state.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_over_the_bytes_of_the_protocol() {
        let content = ProposalContent {
            kind: "member".into(),
            member: Some("hub".into()),
            title: "t".into(),
            deadline: TimestampMs(258),
            actions: vec![Action { contract: "system".into(), method: "m".into(), arguments: vec![7] }],
        };
        let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
        let mut bytes = b"vouch/proposal/1\0".to_vec();
        bytes.extend(text("member"));
        bytes.push(1);
        bytes.extend(text("hub"));
        bytes.extend(text("t"));
        bytes.extend([2, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend(1u64.to_le_bytes());
        bytes.extend(text("system"));
        bytes.extend(text("m"));
        bytes.extend(text("\u{7}"));
        assert_eq!(content.hash().0, *blake3::hash(&bytes).as_bytes());
        let other = ProposalContent { deadline: TimestampMs(259), ..content.clone() };
        assert_ne!(content.hash(), other.hash());
    }

    #[test]
    fn the_kernel_describes_itself() {
        let abi = crate::Abi::from_json(KERNEL_ABI_JSON).unwrap();
        assert_eq!(abi.name, KERNEL);
        let value = serde_json::json!({ "name": "notary" });
        let bytes = abi.encode_arguments("freeze_contract", &value).unwrap();
        assert_eq!(abi.decode_arguments("freeze_contract", &bytes).unwrap(), value);
    }
}
