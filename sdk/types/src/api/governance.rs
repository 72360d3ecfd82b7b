//! Proposals, users, certificates and packages as the API shows them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HexBytes;
use crate::{
    abi::AbiDifference,
    governance::{Action, ProposalContent},
    hash::{AccountId, CodeHash, Hash32},
    keys::PublicKey,
    numbers::{Height, TimestampMs},
    transaction::ContractName,
};

/// How the ballots of a proposal stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TallyView {
    /// Members (of a member's own affairs: administrators) that are for it.
    pub approving: u32,
    /// That are against it.
    pub rejecting: u32,
    /// That have a voice.
    pub entitled: u32,
    /// That must be for it.
    pub needed: u32,
}

/// Why an approved proposal had no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProposalFailure {
    /// Position of the action that failed, from 0.
    pub action: u16,
    /// Stable code.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A proposal in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProposalSummary {
    /// Counts proposals from 1.
    pub id: u64,
    /// `membership`, `nodes`, `contracts`, `parameters`, `emergency`, `documents`, or `member` for a member's own affairs.
    pub kind: String,
    /// With `member`: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What it is, for people.
    pub title: String,
    /// `open`, `executed`, `failed`, `rejected`, `expired` or `withdrawn`.
    pub state: String,
    /// The height at which it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Height>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ProposalFailure>,
    /// Hash of the content, which a ballot names.
    pub content: Hash32,
    /// Who made it.
    pub proposer: AccountId,
    /// For which member.
    pub proposer_member: String,
    /// When it was made.
    pub created: Height,
    /// Time of that block.
    pub created_at: TimestampMs,
    /// The last block time at which ballots count.
    pub deadline: TimestampMs,
    /// How its ballots stand by the members of now.
    pub tally: TallyView,
}

/// One administrator's voice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BallotView {
    /// Who.
    pub account: AccountId,
    /// For which member.
    pub member: String,
    /// For or against.
    pub approve: bool,
    /// When.
    pub height: Height,
}

/// One thing a proposal does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActionView {
    /// The contract.
    pub contract: String,
    /// The method.
    pub method: String,
    /// Its arguments, encoded.
    pub arguments: HexBytes,
    /// The same by the contract's ABI, when it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments_value: Option<Value>,
}

/// A proposal with everything in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProposalView {
    /// In a line.
    #[serde(flatten)]
    pub summary: ProposalSummary,
    /// What it does, in order.
    pub actions: Vec<ActionView>,
    /// The ballots, in order of first vote.
    pub ballots: Vec<BallotView>,
}

impl ProposalView {
    /// What an administrator votes on, put together from what is shown here: its hash is the one to name.
    #[must_use]
    pub fn content(&self) -> ProposalContent {
        let action = |action: &ActionView| Action {
            contract: action.contract.clone(),
            method: action.method.clone(),
            arguments: action.arguments.0.clone(),
        };
        ProposalContent {
            kind: self.summary.kind.clone(),
            member: self.summary.member.clone(),
            title: self.summary.title.clone(),
            deadline: self.summary.deadline,
            actions: self.actions.iter().map(action).collect(),
        }
    }
}

/// A key of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StateKey {
    /// The contract.
    pub contract: String,
    /// The key within the contract's space.
    pub key: HexBytes,
}

/// What one action would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActionReportView {
    /// Its position, from 0.
    pub index: u16,
    /// Whether it would succeed.
    pub ok: bool,
    /// Why not: stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why not, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it would return, encoded.
    pub output: HexBytes,
    /// Work done.
    pub fuel_used: u64,
    /// How many keys of the state it would set or remove.
    pub changed_count: u32,
    /// The first of them, at most 1,000.
    pub changed: Vec<StateKey>,
    /// With an action that brings other code: what callers of the contract would notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abi: Option<Vec<AbiDifference>>,
}

/// What a proposal would do now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DryRunView {
    /// Height of the state it was run on.
    pub height: Height,
    /// Whether every action would succeed.
    pub ok: bool,
    /// One report for each action that was run; those after a failed one are not.
    pub actions: Vec<ActionReportView>,
}

/// A user or service of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountView {
    /// The account.
    pub account: AccountId,
    /// Whose it is.
    pub member: String,
    /// Its name within the member.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// What it may do for its member, ascending.
    pub roles: Vec<String>,
    /// `active`, `suspended`, `removed` or `replaced`.
    pub standing: String,
    /// With `replaced`: the account in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<AccountId>,
}

/// An X25519 key that others encrypt a member's private data to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EncryptionKeyView {
    /// Counts the member's keys from 1.
    pub id: u32,
    /// The key.
    pub key: Hash32,
    /// The first height at which it is the one to use.
    pub since: Height,
    /// The height from which a later one is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Height>,
}

/// A certificate that a member's authority issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateView {
    /// SHA-256 of its DER form.
    pub fingerprint: Hash32,
    /// Whose authority issued it.
    pub member: String,
    /// Its serial number.
    pub serial: HexBytes,
    /// What it speaks for: `account`, `node` or `system`.
    pub subject_kind: String,
    /// Which: an account's id, a node's or an outside system's name.
    pub subject: String,
    /// When it ends by itself.
    pub not_after: TimestampMs,
    /// When it was recorded.
    pub recorded: Height,
    /// `valid`, `renewed`, `revoked`, `destroyed`, or `expired`.
    pub standing: String,
    /// When that last changed on the chain.
    pub changed: Height,
    /// Why it was revoked; empty else.
    pub reason: String,
}

/// Code in the state that a proposal can put under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PackageView {
    /// Its hash.
    pub code_hash: CodeHash,
    /// The member whose administrator brought it.
    pub member: String,
    /// Bytes of the module.
    pub code_bytes: u32,
    /// When it came.
    pub uploaded: Height,
    /// Whether a contract has ever used it.
    pub used: bool,
    /// Contracts that use it now.
    pub contracts: Vec<ContractName>,
}

/// A version of a contract that only a share of the callers meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CanaryView {
    /// Its code.
    pub code_hash: CodeHash,
    /// How many of a hundred callers meet it.
    pub percent: u8,
    /// Since when.
    pub since: Height,
}
