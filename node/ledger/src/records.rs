//! The kernel's records as they stand in the state: members, accounts, nodes, contracts, packages, certificates.

use vouch_genesis::{AccountRole, Role};
use vouch_types::{
    AccountId, CodeHash, ContractName, Hash32, Height, Power, PublicKey, TimestampMs, hash::domain_hash,
};
use wincode::{SchemaRead, SchemaWrite};

/// Whether a member takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum MemberStanding {
    /// It does.
    Active,
    /// Not for now: its accounts and nodes have no effect.
    Suspended,
    /// It left; its record stays, its nodes are gone.
    Removed,
}

impl MemberStanding {
    /// The text used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }
}

/// An X25519 key that others encrypt a member's private data to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct EncryptionKey {
    /// Counts the member's keys from 1.
    pub id: u32,
    /// The key.
    pub key: [u8; 32],
    /// The first height at which it is the one to use.
    pub since: Height,
    /// The height from which a later one is used; its holder keeps the secret to read what is older.
    pub retired: Option<Height>,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct MemberRecord {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it is.
    pub role: Role,
    /// How many of `admin_keys` stand for it.
    pub admin_threshold: u16,
    /// Its administrators, ascending.
    pub admin_keys: Vec<PublicKey>,
    /// Whether it takes part.
    pub standing: MemberStanding,
    /// Its encryption keys, ascending by id; at most one, the last, is not retired.
    pub encryption_keys: Vec<EncryptionKey>,
    /// The root of its own certificates: X.509 in DER.
    pub ca_certificate: Option<Vec<u8>>,
}

impl MemberRecord {
    /// Whether it takes part.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.standing, MemberStanding::Active)
    }

    /// The key to encrypt to.
    #[must_use]
    pub fn encryption_key(&self) -> Option<&EncryptionKey> {
        self.encryption_keys.last().filter(|key| key.retired.is_none())
    }
}

/// Whether an account may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum AccountStanding {
    /// It may.
    Active,
    /// Not for now.
    Suspended,
    /// Never again.
    Removed,
    /// Never again: this account took its place, with another key.
    Replaced(AccountId),
}

impl AccountStanding {
    /// The text used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
            Self::Replaced(_) => "replaced",
        }
    }
}

/// A key that may sign transactions.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct AccountRecord {
    /// Whose it is.
    pub member: String,
    /// Its name within the member.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// What it may do for its member, ascending.
    pub roles: Vec<AccountRole>,
    /// Whether it may act.
    pub standing: AccountStanding,
}

impl AccountRecord {
    /// Whether it may act, as far as it is not for its member.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.standing, AccountStanding::Active)
    }

    /// Whether it was neither removed nor replaced.
    #[must_use]
    pub const fn is_living(&self) -> bool {
        matches!(self.standing, AccountStanding::Active | AccountStanding::Suspended)
    }
}

/// A machine of a member.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct NodeRecord {
    /// Whose it is.
    pub member: String,
    /// Its name.
    pub name: String,
    /// Signs votes.
    pub consensus_key: PublicKey,
    /// Opens connections.
    pub network_key: PublicKey,
    /// Where it listens, `host:port`.
    pub address: String,
    /// Zero for a node that follows without voting.
    pub power: Power,
}

/// Whether a contract is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum ContractStanding {
    /// It is.
    Active,
    /// Not for now, nor queried.
    Frozen,
    /// Never again; what it holds can still be queried.
    Retired,
}

impl ContractStanding {
    /// The text used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Frozen => "frozen",
            Self::Retired => "retired",
        }
    }
}

/// A version of a contract that was in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ContractVersion {
    /// Its code.
    pub code: CodeHash,
    /// Its number.
    pub version: u32,
    /// When it came.
    pub deployed_at: Height,
}

/// A version that only a share of the callers meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Canary {
    /// Its code.
    pub code: CodeHash,
    /// How many of a hundred callers meet it, 1 to 99.
    pub percent: u8,
    /// Since when.
    pub since: Height,
}

/// A deployed contract.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ContractRecord {
    /// Its name.
    pub name: ContractName,
    /// Its code.
    pub code: CodeHash,
    /// Counts activations under this name, from 1.
    pub version: u32,
    /// When this version came.
    pub deployed_at: Height,
    /// Whether it is called.
    pub standing: ContractStanding,
    /// The version before, to go back to.
    pub previous: Option<ContractVersion>,
    /// A version on trial.
    pub canary: Option<Canary>,
}

impl ContractRecord {
    /// The code that a caller meets. The same caller meets the same one until a decision changes it.
    #[must_use]
    pub fn code_for(&self, caller: &AccountId) -> CodeHash {
        match &self.canary {
            // Queries come from nobody in particular and are answered by the version in use.
            Some(canary) if *caller != AccountId::ZERO && share(&self.name, caller) < canary.percent => canary.code,
            _ => self.code,
        }
    }
}

/// A caller's place among a hundred, by contract.
fn share(name: &ContractName, caller: &AccountId) -> u8 {
    let digest = domain_hash("vouch/canary/1", &[&caller.0, name.as_str().as_bytes()]);
    let number = u16::from_be_bytes([digest.0[0], digest.0[1]]);
    u8::try_from(number % 100).unwrap_or(u8::MAX)
}

/// Code in the state that a decision can put under a name.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct PackageRecord {
    /// Its hash.
    pub code: CodeHash,
    /// The member whose administrator brought it.
    pub member: String,
    /// Bytes of the module.
    pub bytes: u32,
    /// When it came.
    pub uploaded_at: Height,
    /// Whether a contract has ever used it: then it stays.
    pub used: bool,
}

/// Whom a certificate speaks for.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum CertificateSubject {
    /// A user or service of the member.
    Account(AccountId),
    /// A node of the member, by name.
    Node(String),
    /// A system outside of the chain that calls the member's nodes.
    System(String),
}

/// What a certificate is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum CertificateStanding {
    /// It counts until it expires.
    Valid,
    /// A later certificate of the same subject took its place; it counts until it expires.
    Renewed,
    /// It no longer counts.
    Revoked,
    /// It no longer counts, and its key was destroyed.
    Destroyed,
}

impl CertificateStanding {
    /// The text used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Renewed => "renewed",
            Self::Revoked => "revoked",
            Self::Destroyed => "destroyed",
        }
    }
}

/// A certificate that a member's authority issued.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct CertificateRecord {
    /// SHA-256 of its DER form.
    pub fingerprint: Hash32,
    /// Whose authority issued it.
    pub member: String,
    /// Its serial number, as in the certificate.
    pub serial: Vec<u8>,
    /// Whom it speaks for.
    pub subject: CertificateSubject,
    /// When it ends by itself.
    pub not_after: TimestampMs,
    /// When it was recorded.
    pub recorded_at: Height,
    /// What it is worth.
    pub standing: CertificateStanding,
    /// When that last changed.
    pub changed_at: Height,
    /// Why it was revoked; empty else.
    pub reason: String,
}
