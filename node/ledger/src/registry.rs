//! Who belongs to the consortium and what runs on it, decoded from the state and kept in memory.
//!
//! Every record stands in the state under the kernel's name, so proofs and snapshots cover it; this is a cache of those
//! records that the executor, the mempool and admission ask thousands of times a second. It is rebuilt by a scan at start
//! and replaced as a whole when a block changes it. A copy shares with the original what is not changed, since every
//! transaction that changes something makes one. Proposals are not cached: nobody asks for them that often.

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
    shared_map::SharedMap,
    storage::{Storage, StorageError},
};

/// Most bytes of one kernel record that is not code.
pub const RECORD_BYTES_MAX: usize = 64 << 10;
/// Most records of one kind read at start.
const RECORDS_MAX: usize = 10_000_000;

/// How much a member has that is kept for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Accounts that were not removed or replaced.
    pub living_accounts: usize,
    /// All accounts there ever were, administrators not included.
    pub accounts: usize,
    /// All certificates there ever were.
    pub certificates: usize,
}

/// All kernel records but code and proposals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Chain parameters.
    pub params: ChainParams,
    /// Members by name.
    pub members: Arc<BTreeMap<String, MemberRecord>>,
    /// Accounts by id, members' administrators not included.
    pub accounts: SharedMap<AccountId, Arc<AccountRecord>>,
    /// Nodes by id.
    pub nodes: Arc<BTreeMap<NodeId, NodeRecord>>,
    /// Contracts by name.
    pub contracts: Arc<BTreeMap<ContractName, ContractRecord>>,
    /// Packages by the hash of their code.
    pub packages: Arc<BTreeMap<CodeHash, PackageRecord>>,
    /// Certificates by fingerprint.
    pub certificates: SharedMap<Hash32, Arc<CertificateRecord>>,
    /// Administrators of all members: account id to member.
    admins: Arc<BTreeMap<AccountId, String>>,
    /// The living account of a member and name; none where there was one.
    account_names: SharedMap<(String, String), Option<AccountId>>,
    /// Members with the serial numbers of their certificates.
    serials: SharedMap<(String, Vec<u8>), ()>,
    holdings: BTreeMap<String, Holdings>,
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
    pub fn new(params: ChainParams) -> Self {
        Self {
            params,
            members: Arc::default(),
            accounts: SharedMap::default(),
            nodes: Arc::default(),
            contracts: Arc::default(),
            packages: Arc::default(),
            certificates: SharedMap::default(),
            admins: Arc::default(),
            account_names: SharedMap::default(),
            serials: SharedMap::default(),
            holdings: BTreeMap::new(),
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
        Arc::make_mut(&mut self.nodes).remove(node);
    }

    /// Takes a package with its code out of here and out of the state.
    pub fn remove_package(&mut self, overlay: &mut Overlay, code: &CodeHash) {
        overlay.set(keys::package(code), None);
        overlay.set(keys::code(&Hash32(code.0)), None);
        Arc::make_mut(&mut self.packages).remove(code);
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Params(params) => self.params = params,
            Record::Member(member) => {
                let admins = Arc::make_mut(&mut self.admins);
                admins.retain(|_, name| *name != member.name);
                for key in &member.admin_keys {
                    admins.insert(key.account(), member.name.clone());
                }
                Arc::make_mut(&mut self.members).insert(member.name.clone(), member);
            }
            Record::Account(account) => self.apply_account(account),
            Record::Node(node) => {
                Arc::make_mut(&mut self.nodes).insert(node.consensus_key.node(), node);
            }
            Record::Contract(contract) => {
                Arc::make_mut(&mut self.contracts).insert(contract.name.clone(), contract);
            }
            Record::Package(package) => {
                Arc::make_mut(&mut self.packages).insert(package.code, package);
            }
            Record::Certificate(certificate) => {
                if !self.certificates.contains_key(&certificate.fingerprint) {
                    let holdings = self.holdings.entry(certificate.member.clone()).or_default();
                    holdings.certificates = holdings.certificates.saturating_add(1);
                    self.serials.insert((certificate.member.clone(), certificate.serial.clone()), ());
                }
                self.certificates.insert(certificate.fingerprint, Arc::new(certificate));
            }
        }
    }

    fn apply_account(&mut self, account: AccountRecord) {
        let id = account.key.account();
        let before = self.accounts.get(&id).map(|account| account.is_living());
        let holdings = self.holdings.entry(account.member.clone()).or_default();
        holdings.accounts = holdings.accounts.saturating_add(usize::from(before.is_none()));
        let others = holdings.living_accounts.saturating_sub(usize::from(before == Some(true)));
        holdings.living_accounts = others.saturating_add(usize::from(account.is_living()));
        let name = (account.member.clone(), account.name.clone());
        let holder = self.account_names.get(&name).copied().flatten();
        if account.is_living() {
            self.account_names.insert(name, Some(id));
        } else if holder.is_none_or(|holder| holder == id) {
            self.account_names.insert(name, None);
        }
        self.accounts.insert(id, Arc::new(account));
    }

    /// The account of a member that has this name now.
    #[must_use]
    pub fn account_named(&self, member: &str, name: &str) -> Option<AccountId> {
        self.account_names.get(&(member.to_owned(), name.to_owned())).copied().flatten()
    }

    /// Whether a certificate of a member with this serial number was recorded.
    #[must_use]
    pub fn knows_serial(&self, member: &str, serial: &[u8]) -> bool {
        self.serials.contains_key(&(member.to_owned(), serial.to_vec()))
    }

    /// How much a member has that is kept for good.
    #[must_use]
    pub fn holdings(&self, member: &str) -> Holdings {
        self.holdings.get(member).copied().unwrap_or_default()
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
