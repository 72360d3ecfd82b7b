//! The document's parts and what is derived from them.

use serde::{Deserialize, Serialize};
use vouch_types::{
    ChainId, ContractName, GenesisHeader, Hash32, Power, PublicKey, TimestampMs, Validator, ValidatorSet,
    block::BLOCK_VERSION, decode, encode, hash::domain_hash,
};
use wincode::{SchemaRead, SchemaWrite};

use crate::{error::GenesisError, params::ChainParams};

/// The format of documents that this version writes and reads.
pub const FORMAT_VERSION: u8 = 1;
/// Most bytes of a document's canonical encoding.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// Most members.
pub const MEMBERS_MAX: usize = 256;
/// Most admin keys, most nodes and most accounts of one member.
pub const MEMBER_ENTRIES_MAX: usize = 64;
/// Most founding contracts.
pub const CONTRACTS_MAX: usize = 64;
/// Most bytes of one contract's code.
pub const CONTRACT_CODE_BYTES_MAX: usize = 2 << 20;
/// Most bytes of a certificate.
pub const CERTIFICATE_BYTES_MAX: usize = 4 << 10;
/// Longest title or chain name, in bytes.
pub const TITLE_BYTES_MAX: usize = 200;

/// A member's name: the same form as a contract's, 1 to 32 of `a`–`z`, `0`–`9`, `-`, `_`, `.`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(transparent)]
pub struct MemberName(String);

impl MemberName {
    /// Checks the form.
    ///
    /// # Errors
    /// [`GenesisError::Name`].
    pub fn new(name: impl Into<String>) -> Result<Self, GenesisError> {
        let name = Self(name.into());
        if name.is_valid() { Ok(name) } else { Err(GenesisError::Name { path: "name".into() }) }
    }

    /// Whether a decoded name has the form.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        is_name(&self.0)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for MemberName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The one rule of names, for members, nodes and accounts alike.
pub(crate) fn is_name(text: &str) -> bool {
    ContractName::new(text).is_ok()
}

/// What a member is in the consortium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs a business platform that others work on.
    Platform,
    /// Manages and serves gig workers: checks identities, settles incomes, files taxes (G 3.4).
    Institution,
    /// A company that takes part in its own name, mostly as the one that receives a service.
    Enterprise,
    /// Watches over the others.
    Regulator,
}

impl Role {
    /// The text used in JSON and towards contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Institution => "institution",
            Self::Enterprise => "enterprise",
            Self::Regulator => "regulator",
        }
    }
}

impl core::fmt::Display for Role {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an account may do for its member, in ascending order of its text. Administrators' keys are apart from these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(rename_all = "lowercase")]
pub enum AccountRole {
    /// Signs, accepts and rejects for the member.
    Approver,
    /// Reads the audit of accesses.
    Auditor,
    /// Operates the member's nodes.
    Operator,
    /// Reads private fields.
    Reader,
    /// Is a node's own account: confirms possession and erasure, anchors audits.
    Service,
    /// Submits documents.
    Submitter,
}

impl AccountRole {
    /// Every role, ascending.
    pub const ALL: [Self; 6] =
        [Self::Approver, Self::Auditor, Self::Operator, Self::Reader, Self::Service, Self::Submitter];

    /// The text used in JSON and towards contracts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Reader => "reader",
            Self::Service => "service",
            Self::Submitter => "submitter",
        }
    }

    /// The role of a text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl core::fmt::Display for AccountRole {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who speaks for a member: any `threshold` of `keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(deny_unknown_fields)]
pub struct AdminPolicy {
    /// How many must sign, 1 to the number of keys.
    pub threshold: u16,
    /// The keys, ascending, 1 to [`MEMBER_ENTRIES_MAX`].
    pub keys: Vec<PublicKey>,
}

/// A node a member runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// Its name, unique among all nodes.
    pub name: String,
    /// Signs votes and proposals; names the node.
    pub consensus_key: PublicKey,
    /// Proves to peers on the network who they talk to.
    pub network_key: PublicKey,
    /// Where peers reach it: `host:port` or `/ip4/ADDRESS/tcp/PORT` (also `ip6`, `dns4`, `dns6`, `dns`).
    pub address: String,
    /// Voting power; 0 for a full node that does not vote.
    pub power: Power,
}

/// An account a member owns from the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(deny_unknown_fields)]
pub struct AccountEntry {
    /// Its name, unique among all accounts.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// What it may do for its member, ascending; none for a key that only signs transactions of other contracts.
    #[serde(default)]
    pub roles: Vec<AccountRole>,
}

/// A founding member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name, unique among members.
    pub name: MemberName,
    /// What people call it; 1 to [`TITLE_BYTES_MAX`] bytes.
    pub title: String,
    /// What it is.
    pub role: Role,
    /// Who speaks for it.
    pub admin: AdminPolicy,
    /// Its X25519 key, which others encrypt its private data to; 64 hexadecimal digits in JSON. It can be set later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<Hash32>,
    /// The root certificate of its own authority, X.509 in DER, as base64 in JSON; at most [`CERTIFICATE_BYTES_MAX`]
    /// bytes. It can be set later.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::json::optional_base64_bytes")]
    pub ca_certificate: Option<Vec<u8>>,
    /// Its nodes, ascending by name.
    #[serde(default)]
    pub nodes: Vec<NodeEntry>,
    /// Its accounts, ascending by name.
    #[serde(default)]
    pub accounts: Vec<AccountEntry>,
}

/// A contract that is there from block 1.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(deny_unknown_fields)]
pub struct GenesisContract {
    /// Its name, unique among contracts.
    pub name: ContractName,
    /// The WASM module, as base64 in JSON; 8 to [`CONTRACT_CODE_BYTES_MAX`] bytes.
    #[serde(with = "crate::json::base64_bytes")]
    pub code: Vec<u8>,
}

impl core::fmt::Debug for GenesisContract {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "GenesisContract({}, {} bytes)", self.name, self.code.len())
    }
}

/// All that the founding members agree on.
///
/// [`GenesisDocument::validate`] says what must hold; a document built by hand is brought into canonical order with
/// [`GenesisDocument::sort`]. Two documents with the same content have the same bytes and so the same chain id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(deny_unknown_fields)]
pub struct GenesisDocument {
    /// [`FORMAT_VERSION`].
    pub format: u8,
    /// What people call the chain; 1 to [`TITLE_BYTES_MAX`] bytes.
    pub chain_name: String,
    /// When the chain begins; block 1 is later. Milliseconds since 1970.
    #[serde(rename = "time_ms")]
    pub time: TimestampMs,
    /// Sizes, work, pace.
    #[serde(default)]
    pub params: ChainParams,
    /// The founding members, ascending by name.
    pub members: Vec<Member>,
    /// The founding contracts, ascending by name.
    #[serde(default)]
    pub contracts: Vec<GenesisContract>,
}

impl GenesisDocument {
    /// Brings every list into canonical order.
    pub fn sort(&mut self) {
        for member in &mut self.members {
            member.admin.keys.sort_unstable();
            member.nodes.sort_by(|a, b| a.name.cmp(&b.name));
            member.accounts.sort_by(|a, b| a.name.cmp(&b.name));
            for account in &mut member.accounts {
                account.roles.sort_unstable();
            }
        }
        self.members.sort_by(|a, b| a.name.cmp(&b.name));
        self.contracts.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// The document's one encoding, which the chain id is made from.
    ///
    /// # Errors
    /// [`GenesisError`] when the document is not valid.
    pub fn to_bytes(&self) -> Result<Vec<u8>, GenesisError> {
        self.validate()?;
        Ok(encode(self))
    }

    /// Decodes and validates.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GenesisError> {
        let document: Self = decode("genesis document", bytes, DOCUMENT_BYTES_MAX)?;
        document.validate()?;
        Ok(document)
    }

    /// The validators of height 1: every node with power.
    ///
    /// # Errors
    /// [`GenesisError::Validators`].
    pub fn validator_set(&self) -> Result<ValidatorSet, GenesisError> {
        let nodes = self.members.iter().flat_map(|m| &m.nodes);
        let voting = nodes.filter(|n| n.power != Power::ZERO);
        Ok(ValidatorSet::new(voting.map(|n| Validator { key: n.consensus_key, power: n.power }).collect())?)
    }

    /// What the chain id is the hash of; enough for a light client to begin.
    ///
    /// # Errors
    /// [`GenesisError`] when the document is not valid.
    pub fn header(&self) -> Result<GenesisHeader, GenesisError> {
        Ok(GenesisHeader {
            version: BLOCK_VERSION,
            time: self.time,
            document: self.document_hash()?,
            validators_hash: self.validator_set()?.hash(),
        })
    }

    /// Hash of the canonical bytes.
    ///
    /// # Errors
    /// [`GenesisError`] when the document is not valid.
    pub fn document_hash(&self) -> Result<Hash32, GenesisError> {
        Ok(domain_hash("vouch/genesis-document/1", &[&self.to_bytes()?]))
    }

    /// The chain's name.
    ///
    /// # Errors
    /// [`GenesisError`] when the document is not valid.
    pub fn chain_id(&self) -> Result<ChainId, GenesisError> {
        Ok(self.header()?.chain())
    }

    /// The member that runs the node with this consensus key's node id, and the node.
    #[must_use]
    pub fn node(&self, id: &vouch_types::NodeId) -> Option<(&Member, &NodeEntry)> {
        let mut nodes = self.members.iter().flat_map(|m| m.nodes.iter().map(move |n| (m, n)));
        nodes.find(|(_, n)| n.consensus_key.node() == *id)
    }
}
