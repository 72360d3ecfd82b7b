//! The kernel: the few changes to the consortium itself, decided by its members' administrators.
//!
//! Two kinds of consent. A member's own affairs (its accounts) need signatures that satisfy that member's admin policy.
//! The consortium's affairs (members, nodes, contracts, parameters) need that of as many members as the parameter
//! `system_threshold` says. Consent is shown by signing the same transaction; there is no privileged key.

use std::sync::Arc;

use vouch_genesis::{AccountRole, ChainParams, MemberName, Role};
use vouch_types::{
    AccountId, CodeHash, ContractName, Event, Hash32, NodeId, Power, PublicKey, codec::Format, decode, encode,
    hash::domain_hash,
};
use vouch_vm::{CallFailure, FatalError};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    keys,
    registry::{AccountRecord, ContractRecord, MemberRecord, NodeRecord, RECORD_BYTES_MAX, Record, Registry},
    session::{CODE_BYTES_MAX, Session},
};

/// The kernel's self-description, in the same form as a contract's.
pub const ABI_JSON: &str = include_str!("kernel_abi.json");

const FUEL_PER_CALL: u64 = 5_000;
const FUEL_PER_CODE_BYTE: u64 = 20;
const NAME_BYTES_MAX: usize = 64;
const TITLE_BYTES_MAX: usize = 200;
const ADDRESS_BYTES_MAX: usize = 256;

/// Puts a contract under a name; replaces an earlier version.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct DeployContract {
    /// Its name.
    pub name: String,
    /// The WASM module.
    pub code: Vec<u8>,
}

/// Freezes or unfreezes a contract.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct FreezeContract {
    /// Its name.
    pub name: String,
    /// Whether calls are refused from now on.
    pub frozen: bool,
}

/// Lets a key act for a member.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RegisterAccount {
    /// The member.
    pub member: String,
    /// The account's name within it.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// What it may do for the member, ascending: `approver`, `auditor`, `operator`, `reader`, `service`, `submitter`.
    pub roles: Vec<String>,
}

/// Changes what an account may do for its member.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SetAccountRoles {
    /// The account.
    pub account: AccountId,
    /// Its roles from now on, ascending.
    pub roles: Vec<String>,
}

/// Suspends or resumes an account.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SetAccountActive {
    /// The account.
    pub account: AccountId,
    /// Whether its signatures count from now on.
    pub active: bool,
}

/// Brings an organisation in.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RegisterMember {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// `platform`, `institution`, `enterprise` or `regulator`.
    pub role: String,
    /// How many of its administrators act for it.
    pub admin_threshold: u16,
    /// Their keys.
    pub admin_keys: Vec<PublicKey>,
}

/// Suspends or resumes an organisation with its accounts and nodes.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SetMemberActive {
    /// The member.
    pub name: String,
    /// Whether it takes part from now on.
    pub active: bool,
}

/// Brings a node in.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RegisterNode {
    /// Whose it is.
    pub member: String,
    /// Its name.
    pub name: String,
    /// Signs votes.
    pub consensus_key: PublicKey,
    /// Opens connections.
    pub network_key: PublicKey,
    /// Where it listens.
    pub address: String,
    /// Zero for a node that does not vote.
    pub power: u64,
}

/// Changes where a node listens and how much its vote weighs.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SetNode {
    /// The node.
    pub node: NodeId,
    /// Where it listens.
    pub address: String,
    /// Its weight from the next height on.
    pub power: u64,
}

/// Takes a node out.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RemoveNode {
    /// The node.
    pub node: NodeId,
}

/// Changes the pace of the chain.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SetPace {
    /// Time between blocks under load, in milliseconds.
    pub block_interval_ms: u32,
    /// Time between blocks with nothing to do, in milliseconds.
    pub idle_interval_ms: u32,
}

type Refusal = CallFailure;

fn refuse(code: &str, message: impl Into<String>) -> Refusal {
    CallFailure { code: code.into(), message: message.into() }
}

fn unauthorised(needed: &str) -> Refusal {
    refuse("system.not_authorised", format!("this needs the signatures of {needed}"))
}

/// Runs a kernel method.
///
/// # Errors
/// [`FatalError`] when the storage fails.
pub fn call(
    session: &mut Session,
    method: &str,
    arguments: &[u8],
    fuel: u64,
) -> Result<(Result<Vec<u8>, CallFailure>, u64), FatalError> {
    let code_fuel = u64::try_from(arguments.len()).unwrap_or(u64::MAX).saturating_mul(FUEL_PER_CODE_BYTE);
    let used = FUEL_PER_CALL.saturating_add(if method == "deploy_contract" { code_fuel } else { 0 });
    if used > fuel {
        let reason = refuse("contract.out_of_fuel", "the call used up its fuel");
        return Ok((Err(reason), fuel));
    }
    if session.moment.read_only {
        return Ok((Err(refuse("contract.read_only", "a query cannot change the consortium")), used));
    }
    Ok((dispatch(session, method, arguments).map(|()| Vec::new()), used))
}

fn dispatch(session: &mut Session, method: &str, arguments: &[u8]) -> Result<(), Refusal> {
    match method {
        "deploy_contract" => deploy_contract(session, &parse(arguments)?),
        "freeze_contract" => freeze_contract(session, parse(arguments)?),
        "register_account" => register_account(session, parse(arguments)?),
        "set_account_roles" => set_account_roles(session, &parse(arguments)?),
        "set_account_active" => set_account_active(session, &parse(arguments)?),
        "register_member" => register_member(session, parse(arguments)?),
        "set_member_active" => set_member_active(session, &parse(arguments)?),
        "register_node" => register_node(session, parse(arguments)?),
        "set_node" => set_node(session, parse(arguments)?),
        "remove_node" => remove_node(session, &parse(arguments)?),
        "set_pace" => set_pace(session, &parse(arguments)?),
        _ => Err(refuse("contract.unknown_method", format!("the kernel has no method {method}"))),
    }
}

fn parse<'a, T>(arguments: &'a [u8]) -> Result<T, Refusal>
where
    T: SchemaRead<'a, Format, Dst = T>,
{
    decode("arguments", arguments, CODE_BYTES_MAX + RECORD_BYTES_MAX)
        .map_err(|e| refuse("contract.bad_arguments", e.to_string()))
}

fn consortium_consents(session: &Session) -> Result<(), Refusal> {
    let needed = usize::from(session.registry.params.system_threshold);
    let given = session.registry.consenting_members(&session.signers);
    if given >= needed {
        Ok(())
    } else {
        Err(unauthorised(&format!("the administrators of {needed} members; those of {given} signed")))
    }
}

fn member_consents(session: &Session, name: &str) -> Result<(), Refusal> {
    let member = known_member(&session.registry, name)?;
    if session.registry.admits(member, &session.signers) {
        Ok(())
    } else {
        Err(unauthorised(&format!("{} administrators of active member {name}", member.admin_threshold)))
    }
}

fn known_member<'a>(registry: &'a Registry, name: &str) -> Result<&'a MemberRecord, Refusal> {
    registry.members.get(name).ok_or_else(|| refuse("system.unknown_member", format!("there is no member {name}")))
}

fn known_node(registry: &Registry, node: &NodeId) -> Result<NodeRecord, Refusal> {
    registry.nodes.get(node).cloned().ok_or_else(|| refuse("system.unknown_node", format!("there is no node {node}")))
}

fn usable_key(registry: &Registry, key: &PublicKey) -> Result<(), Refusal> {
    if key.is_weak() {
        return Err(refuse("system.weak_key", format!("{key} is not a usable ed25519 key")));
    }
    if registry.knows_key(key) {
        return Err(refuse("system.key_in_use", format!("{key} is already registered")));
    }
    Ok(())
}

fn bounded(what: &str, text: &str, max: usize) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > max || text.chars().any(char::is_control) {
        return Err(refuse(
            "contract.bad_arguments",
            format!("{what} must have 1 to {max} bytes and no control characters"),
        ));
    }
    Ok(())
}

fn store(session: &mut Session, record: Record) {
    Arc::make_mut(&mut session.registry).write(&mut session.overlay, record);
}

fn announce(session: &mut Session, name: &str, data: Vec<u8>) -> Result<(), Refusal> {
    let contract = ContractName::new(keys::SYSTEM).map_err(|e| refuse("contract.bad_arguments", e.to_string()))?;
    session.events.push(Event { contract, name: name.into(), data });
    Ok(())
}

/// The validators must remain a valid set, whatever a change does to nodes and members.
fn still_has_validators(session: &Session) -> Result<(), Refusal> {
    match session.registry.validator_set() {
        Ok(_) => Ok(()),
        Err(e) => Err(refuse("system.validators", format!("the change would leave no valid validator set: {e}"))),
    }
}

/// The hash a contract's code is known by.
#[must_use]
pub fn code_hash(code: &[u8]) -> CodeHash {
    CodeHash(domain_hash("vouch/code/1", &[code]).0)
}

/// Checks a module and puts it under a name, without asking who consents: genesis uses this too.
///
/// # Errors
/// `contract.*` and `deploy.*` codes.
pub fn install(session: &mut Session, name: &str, code: &[u8]) -> Result<(), CallFailure> {
    let name = ContractName::new(name).map_err(|e| refuse(e.code(), e.to_string()))?;
    if name.as_str() == keys::SYSTEM {
        return Err(refuse("deploy.reserved_name", "the name system belongs to the kernel"));
    }
    if code.len() > CODE_BYTES_MAX {
        return Err(refuse(
            "deploy.too_large",
            format!("code has {} bytes, at most {CODE_BYTES_MAX} are allowed", code.len()),
        ));
    }
    session.runtime().vm.validate(code).map_err(|e| refuse(e.code(), e.to_string()))?;
    let hash = code_hash(code);
    let version = session.registry.contracts.get(&name).map_or(1, |c| c.version.saturating_add(1));
    session.overlay.set(keys::code(&Hash32(hash.0)), Some(code.to_vec()));
    let deployed_at = session.moment.height;
    store(
        session,
        Record::Contract(ContractRecord { name: name.clone(), code: hash, version, deployed_at, frozen: false }),
    );
    announce(session, "ContractDeployed", encode(&(name.as_str().to_owned(), hash, version)))
}

fn deploy_contract(session: &mut Session, request: &DeployContract) -> Result<(), Refusal> {
    consortium_consents(session)?;
    install(session, &request.name, &request.code)
}

fn freeze_contract(session: &mut Session, request: FreezeContract) -> Result<(), Refusal> {
    consortium_consents(session)?;
    let name = ContractName::new(request.name).map_err(|e| refuse(e.code(), e.to_string()))?;
    let mut record = session
        .registry
        .contracts
        .get(&name)
        .cloned()
        .ok_or_else(|| refuse("contract.unknown", format!("there is no contract {name}")))?;
    record.frozen = request.frozen;
    store(session, Record::Contract(record));
    announce(session, "ContractFrozen", encode(&(name.as_str().to_owned(), request.frozen)))
}

fn register_account(session: &mut Session, request: RegisterAccount) -> Result<(), Refusal> {
    member_consents(session, &request.member)?;
    bounded("name", &request.name, NAME_BYTES_MAX)?;
    usable_key(&session.registry, &request.key)?;
    let roles = account_roles(&request.roles)?;
    let RegisterAccount { member, name, key, .. } = request;
    announce(session, "AccountRegistered", encode(&(member.clone(), key.account())))?;
    store(session, Record::Account(AccountRecord { member, name, key, roles, active: true }));
    Ok(())
}

fn account_roles(texts: &[String]) -> Result<Vec<AccountRole>, Refusal> {
    let known: Option<Vec<_>> = texts.iter().map(|text| AccountRole::from_text(text)).collect();
    let known = known.ok_or_else(|| {
        refuse("system.role", "a role of an account is approver, auditor, operator, reader, service or submitter")
    })?;
    if known.is_sorted_by(|a, b| a < b) {
        Ok(known)
    } else {
        Err(refuse("system.role", "the roles of an account ascend and none stands twice"))
    }
}

fn known_account(registry: &Registry, account: &AccountId) -> Result<AccountRecord, Refusal> {
    let known = registry.accounts.get(account).map(|a| a.as_ref().clone());
    known.ok_or_else(|| refuse("system.unknown_account", format!("there is no account {account}")))
}

fn set_account_roles(session: &mut Session, request: &SetAccountRoles) -> Result<(), Refusal> {
    let mut record = known_account(&session.registry, &request.account)?;
    member_consents(session, &record.member)?;
    record.roles = account_roles(&request.roles)?;
    store(session, Record::Account(record));
    announce(session, "AccountRoles", encode(&(request.account, request.roles.clone())))
}

fn set_account_active(session: &mut Session, request: &SetAccountActive) -> Result<(), Refusal> {
    let mut record = known_account(&session.registry, &request.account)?;
    member_consents(session, &record.member)?;
    record.active = request.active;
    store(session, Record::Account(record));
    announce(session, "AccountActive", encode(&(request.account, request.active)))
}

fn role(text: &str) -> Result<Role, Refusal> {
    [Role::Platform, Role::Institution, Role::Enterprise, Role::Regulator]
        .into_iter()
        .find(|r| r.as_str() == text)
        .ok_or_else(|| refuse("contract.bad_arguments", format!("{text} is not a role")))
}

fn register_member(session: &mut Session, request: RegisterMember) -> Result<(), Refusal> {
    consortium_consents(session)?;
    let role = role(&request.role)?;
    MemberName::new(&*request.name).map_err(|e| refuse("contract.bad_arguments", e.to_string()))?;
    bounded("title", &request.title, TITLE_BYTES_MAX)?;
    if session.registry.members.contains_key(&request.name) {
        return Err(refuse("system.member_exists", format!("there is already a member {}", request.name)));
    }
    let mut admin_keys = request.admin_keys;
    admin_keys.sort_unstable();
    if !admin_keys.is_sorted_by(|a, b| a < b)
        || admin_keys.len() > 64
        || request.admin_threshold == 0
        || usize::from(request.admin_threshold) > admin_keys.len()
    {
        return Err(refuse(
            "contract.bad_arguments",
            "the threshold must be 1 to the number of different administrators, at most 64",
        ));
    }
    for key in &admin_keys {
        usable_key(&session.registry, key)?;
    }
    let RegisterMember { name, title, admin_threshold, .. } = request;
    announce(session, "MemberRegistered", encode(&(name.clone(), role.as_str().to_owned())))?;
    store(session, Record::Member(MemberRecord { name, title, role, admin_threshold, admin_keys, active: true }));
    Ok(())
}

fn set_member_active(session: &mut Session, request: &SetMemberActive) -> Result<(), Refusal> {
    consortium_consents(session)?;
    let mut record = known_member(&session.registry, &request.name)?.clone();
    record.active = request.active;
    store(session, Record::Member(record));
    still_has_validators(session)?;
    let active = session.registry.members.values().filter(|m| m.active).count();
    if active < usize::from(session.registry.params.system_threshold) {
        return Err(refuse("system.threshold", "too few active members would remain to decide anything"));
    }
    announce(session, "MemberActive", encode(&(request.name.clone(), request.active)))
}

fn register_node(session: &mut Session, request: RegisterNode) -> Result<(), Refusal> {
    consortium_consents(session)?;
    known_member(&session.registry, &request.member)?;
    MemberName::new(&*request.name).map_err(|e| refuse("contract.bad_arguments", e.to_string()))?;
    bounded("address", &request.address, ADDRESS_BYTES_MAX)?;
    usable_key(&session.registry, &request.consensus_key)?;
    usable_key(&session.registry, &request.network_key)?;
    if request.consensus_key == request.network_key {
        return Err(refuse("system.key_in_use", "a node's two keys must differ"));
    }
    if session.registry.nodes.values().any(|n| n.name == request.name) {
        return Err(refuse("system.node_exists", format!("there is already a node {}", request.name)));
    }
    let RegisterNode { member, name, consensus_key, network_key, address, power } = request;
    announce(session, "NodeRegistered", encode(&(consensus_key.node(), power)))?;
    store(session, Record::Node(NodeRecord { member, name, consensus_key, network_key, address, power: Power(power) }));
    still_has_validators(session)
}

fn set_node(session: &mut Session, request: SetNode) -> Result<(), Refusal> {
    consortium_consents(session)?;
    bounded("address", &request.address, ADDRESS_BYTES_MAX)?;
    let mut record = known_node(&session.registry, &request.node)?;
    record.address = request.address;
    record.power = Power(request.power);
    store(session, Record::Node(record));
    still_has_validators(session)?;
    announce(session, "NodeChanged", encode(&(request.node, request.power)))
}

fn remove_node(session: &mut Session, request: &RemoveNode) -> Result<(), Refusal> {
    consortium_consents(session)?;
    known_node(&session.registry, &request.node)?;
    Arc::make_mut(&mut session.registry).remove_node(&mut session.overlay, &request.node);
    still_has_validators(session)?;
    announce(session, "NodeRemoved", encode(&request.node))
}

fn set_pace(session: &mut Session, request: &SetPace) -> Result<(), Refusal> {
    consortium_consents(session)?;
    let params = ChainParams {
        block_interval_ms: request.block_interval_ms,
        idle_interval_ms: request.idle_interval_ms,
        ..session.registry.params.clone()
    };
    params.validate().map_err(|e| refuse("contract.bad_arguments", e.to_string()))?;
    store(session, Record::Params(params));
    announce(session, "PaceChanged", encode(&(request.block_interval_ms, request.idle_interval_ms)))
}
