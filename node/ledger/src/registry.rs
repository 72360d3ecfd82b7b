//! Who belongs to the consortium and what runs on it, decoded from the state and kept in memory.
//!
//! Every record stands in the state under the kernel's name, so proofs and snapshots cover it; this is a cache of those
//! records that the executor, the mempool and admission ask thousands of times a second. It is rebuilt by a scan at start
//! and replaced as a whole when a block changes it. Proposals are not cached: nobody asks for them that often.

use std::{collections::BTreeMap, sync::Arc};

use vouch_genesis::{AccountRole, ChainParams};
use vouch_types::{
    AccountId, CodeHash, ContractName, Hash32, NodeId, PublicKey, Validator, ValidatorSet, ValidatorSetError, decode,
    encode,
};
use wincode::SchemaRead;

pub use crate::records::*;
use crate::{
    keys,
    overlay::Overlay,
    storage::{Storage, StorageError},
};

/// Most bytes of one kernel record that is not code.
pub const RECORD_BYTES_MAX: usize = 64 << 10;
/// Most records of one kind read at start.
const RECORDS_MAX: usize = 10_000_000;

/// All kernel records but code and proposals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Chain parameters.
    pub params: ChainParams,
    /// Members by name.
    pub members: BTreeMap<String, MemberRecord>,
    /// Accounts by id, members' administrators not included.
    pub accounts: BTreeMap<AccountId, Arc<AccountRecord>>,
    /// Nodes by id.
    pub nodes: BTreeMap<NodeId, NodeRecord>,
    /// Contracts by name.
    pub contracts: BTreeMap<ContractName, ContractRecord>,
    /// Packages by the hash of their code.
    pub packages: BTreeMap<CodeHash, PackageRecord>,
    /// Certificates by fingerprint.
    pub certificates: BTreeMap<Hash32, Arc<CertificateRecord>>,
    /// Administrators of all members: account id to member.
    admins: BTreeMap<AccountId, String>,
}

/// A kernel record as it is written to the state.
#[derive(Debug, Clone)]
pub enum Record {
    /// Parameters.
    Params(ChainParams),
    /// A member.
    Member(MemberRecord),
    /// An account.
    Account(AccountRecord),
    /// A node.
    Node(NodeRecord),
    /// A contract.
    Contract(ContractRecord),
    /// A package.
    Package(PackageRecord),
    /// A certificate.
    Certificate(CertificateRecord),
}

impl Registry {
    /// With nothing in it but parameters.
    #[must_use]
    pub const fn new(params: ChainParams) -> Self {
        Self {
            params,
            members: BTreeMap::new(),
            accounts: BTreeMap::new(),
            nodes: BTreeMap::new(),
            contracts: BTreeMap::new(),
            packages: BTreeMap::new(),
            certificates: BTreeMap::new(),
            admins: BTreeMap::new(),
        }
    }

    /// Reads all records from the committed state; `None` before genesis.
    ///
    /// # Errors
    /// [`StorageError`], also for a record that does not decode: then the state is damaged.
    pub fn load(storage: &Arc<dyn Storage>) -> Result<Option<Self>, StorageError> {
        let overlay = Overlay::new(Arc::clone(storage));
        let Some(params) = overlay.get(&keys::params())? else { return Ok(None) };
        let mut registry = Self::new(record("parameters", &params)?);
        for value in scan(&overlay, "member")? {
            registry.apply(Record::Member(record("member", &value)?));
        }
        for value in scan(&overlay, "account")? {
            registry.apply(Record::Account(record("account", &value)?));
        }
        for value in scan(&overlay, "node")? {
            registry.apply(Record::Node(record("node", &value)?));
        }
        for value in scan(&overlay, "contract")? {
            registry.apply(Record::Contract(record("contract", &value)?));
        }
        for value in scan(&overlay, "package")? {
            registry.apply(Record::Package(record("package", &value)?));
        }
        for value in scan(&overlay, "certificate")? {
            registry.apply(Record::Certificate(record("certificate", &value)?));
        }
        Ok(Some(registry))
    }

    /// Puts a record here and into the state.
    pub fn write(&mut self, overlay: &mut Overlay, record: Record) {
        let (key, value) = match &record {
            Record::Params(params) => (keys::params(), encode(params)),
            Record::Member(member) => (keys::member(&member.name), encode(member)),
            Record::Account(account) => (keys::account(&account.key.account()), encode(account)),
            Record::Node(node) => (keys::node(&node.consensus_key.node()), encode(node)),
            Record::Contract(contract) => (keys::contract(&contract.name), encode(contract)),
            Record::Package(package) => (keys::package(&package.code), encode(package)),
            Record::Certificate(certificate) => (keys::certificate(&certificate.fingerprint), encode(certificate)),
        };
        overlay.set(key, Some(value));
        self.apply(record);
    }

    /// Takes a node out of here and out of the state.
    pub fn remove_node(&mut self, overlay: &mut Overlay, node: &NodeId) {
        overlay.set(keys::node(node), None);
        self.nodes.remove(node);
    }

    /// Takes a package with its code out of here and out of the state.
    pub fn remove_package(&mut self, overlay: &mut Overlay, code: &CodeHash) {
        overlay.set(keys::package(code), None);
        overlay.set(keys::code(&Hash32(code.0)), None);
        self.packages.remove(code);
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Params(params) => self.params = params,
            Record::Member(member) => {
                self.admins.retain(|_, name| *name != member.name);
                for key in &member.admin_keys {
                    self.admins.insert(key.account(), member.name.clone());
                }
                self.members.insert(member.name.clone(), member);
            }
            Record::Account(account) => {
                self.accounts.insert(account.key.account(), Arc::new(account));
            }
            Record::Node(node) => {
                self.nodes.insert(node.consensus_key.node(), node);
            }
            Record::Contract(contract) => {
                self.contracts.insert(contract.name.clone(), contract);
            }
            Record::Package(package) => {
                self.packages.insert(package.code, package);
            }
            Record::Certificate(certificate) => {
                self.certificates.insert(certificate.fingerprint, Arc::new(certificate));
            }
        }
    }

    /// The active member an account acts for: as a registered, active account or as one of its administrators.
    #[must_use]
    pub fn member_of(&self, account: &AccountId) -> Option<&MemberRecord> {
        let name = match self.accounts.get(account) {
            Some(record) if record.is_active() => &record.member,
            Some(_) => return None,
            None => self.admins.get(account)?,
        };
        self.members.get(name).filter(|m| m.is_active())
    }

    /// What an account may do for its member: nothing while it or its member is suspended, nor as an administrator.
    #[must_use]
    pub fn roles_of(&self, account: &AccountId) -> &[AccountRole] {
        let record = self.accounts.get(account).filter(|a| a.is_active());
        let record = record.filter(|a| self.members.get(&a.member).is_some_and(MemberRecord::is_active));
        record.map_or(&[], |a| &a.roles)
    }

    /// The member that an account is an administrator of, active or not.
    #[must_use]
    pub fn administers(&self, account: &AccountId) -> Option<&str> {
        self.admins.get(account).map(String::as_str)
    }

    /// Whether `signers` satisfy a member's admin policy.
    #[must_use]
    pub fn admits(&self, member: &MemberRecord, signers: &[AccountId]) -> bool {
        let count = signers.iter().filter(|id| self.administers(id) == Some(&member.name)).count();
        member.is_active() && count >= usize::from(member.admin_threshold)
    }

    /// Members that take part, in order of name.
    pub fn active_members(&self) -> impl Iterator<Item = &MemberRecord> {
        self.members.values().filter(|m| m.is_active())
    }

    /// The validators that follow from the nodes of active members.
    ///
    /// # Errors
    /// [`ValidatorSetError`] when nobody would be left or the powers are out of bounds.
    pub fn validator_set(&self) -> Result<ValidatorSet, ValidatorSetError> {
        ValidatorSet::new(
            self.active_nodes()
                .filter(|n| n.power.0 > 0)
                .map(|n| Validator { key: n.consensus_key, power: n.power })
                .collect(),
        )
    }

    /// Nodes of active members: those that may connect.
    pub fn active_nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values().filter(|n| self.members.get(&n.member).is_some_and(MemberRecord::is_active))
    }

    /// True when the key already stands for an account, administrator, or node.
    #[must_use]
    pub fn knows_key(&self, key: &PublicKey) -> bool {
        self.accounts.contains_key(&key.account())
            || self.admins.contains_key(&key.account())
            || self.nodes.values().any(|n| n.consensus_key == *key || n.network_key == *key)
    }
}

fn record<'a, T>(what: &'static str, bytes: &'a [u8]) -> Result<T, StorageError>
where
    T: SchemaRead<'a, vouch_types::codec::Format, Dst = T>,
{
    decode(what, bytes, RECORD_BYTES_MAX)
        .map_err(|e| StorageError { operation: "read a kernel record", message: e.to_string() })
}

fn scan(overlay: &Overlay, kind: &str) -> Result<Vec<Vec<u8>>, StorageError> {
    let (from, to) = keys::system_range(kind);
    Ok(overlay.scan(&from, &to, RECORDS_MAX)?.into_iter().map(|(_, value)| value).collect())
}
