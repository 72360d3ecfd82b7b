//! The kernel: what the members decide about the consortium, and what each decides about itself.
//!
//! ```text
//! propose --+--> ballots of administrators --threshold of its kind--> all actions, or none --> executed / failed
//! vote -----+                                                              |
//!                                         a kernel method of the consortium, or a call of any contract by `system`
//! ```
//!
//! Two kinds of affairs. The consortium's (members, nodes, contracts, parameters) are done by a proposal that enough
//! members approve. A member's own (its users, keys, certificates, policy) are done by its own administrators: by signing
//! one transaction together, or by a proposal among themselves, each from a machine of their own. There is no privileged
//! key.

mod accounts;
mod certificates;
mod contracts;
mod dry_run;
mod governance;
mod members;
mod nodes;
mod parameters;
mod refusal;

use vouch_genesis::DecisionKind;
use vouch_types::{CodeHash, ContractName, Event, codec::Format, decode, hash::domain_hash};
use vouch_vm::{CallFailure, FatalError};
use wincode::SchemaRead;

pub use accounts::{RegisterAccount, RemoveAccount, RotateAccountKey, SetAccountActive, SetAccountRoles};
pub use certificates::{DestroyCertificate, RecordCertificate, RevokeCertificate};
pub use contracts::{ActivateContract, ChangeContract, PromoteContract, RemovePackage, UploadPackage, install};
pub use dry_run::{ActionReport, dry_run};
pub use governance::{
    ACTIONS_BYTES_MAX, ACTIONS_MAX, Action, Ballot, Matter, PROPOSAL_BYTES_MAX, Proposal, ProposalState, Propose,
    Tally, Vote, Withdraw, tally,
};
pub use members::{
    RegisterMember, RemoveMember, ResumeMember, RotateEncryptionKey, SetAdminPolicy, SetCaCertificate, SuspendMember,
};
pub use nodes::{RegisterNode, RemoveNode, SetNode, SetNodeKeys};
pub use parameters::{Parameter, SetParameters, parameter_texts};
pub use vouch_types::governance::KERNEL_ABI_JSON as ABI_JSON;

use crate::{
    keys,
    registry::{RECORD_BYTES_MAX, Record},
    session::{CODE_BYTES_MAX, Returned, Session},
};
use refusal::{Stop, refuse};

/// Fuel of a kernel call.
pub const FUEL_PER_CALL: u64 = 5_000;
/// Fuel per byte of a package.
pub const FUEL_PER_CODE_BYTE: u64 = 20;
/// Fuel per byte of a proposal: it is kept by every node.
pub const FUEL_PER_PROPOSAL_BYTE: u64 = 10;
/// Longest name of an account, certificate subject or parameter, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 200;

/// In whose name a kernel method runs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Authority {
    /// Those who signed the transaction.
    Signers,
    /// The members together, by a proposal of this kind.
    Members(DecisionKind),
    /// The administrators of a member, by a proposal among themselves.
    Administrators(String),
}

impl Authority {
    fn of(matter: &Matter) -> Self {
        match matter {
            Matter::Consortium(kind) => Self::Members(*kind),
            Matter::Member(name) => Self::Administrators(name.clone()),
        }
    }
}

/// Which proposals may carry a kernel method: kinds of the consortium's, and whether it is an affair of one member.
struct Affair {
    kinds: &'static [DecisionKind],
    own: bool,
}

/// `None` for a method that no proposal carries.
fn affair(method: &str) -> Option<Affair> {
    use DecisionKind::{Contracts, Emergency, Membership, Nodes, Parameters};
    let consortium = |kinds| Some(Affair { kinds, own: false });
    match method {
        "register_member" | "resume_member" | "remove_member" => consortium(&[Membership]),
        "suspend_member" => consortium(&[Membership, Emergency]),
        "register_node" | "set_node" | "set_node_keys" | "remove_node" => consortium(&[Nodes]),
        "activate_contract" | "promote_contract" | "roll_back_contract" | "unfreeze_contract" | "retire_contract" => {
            consortium(&[Contracts])
        }
        "freeze_contract" => consortium(&[Contracts, Emergency]),
        "set_parameters" => consortium(&[Parameters]),
        // A member that has lost its administrators' keys gets new ones from the others.
        "set_admin_policy" => Some(Affair { kinds: &[Membership], own: true }),
        "register_account"
        | "set_account_roles"
        | "set_account_active"
        | "rotate_account_key"
        | "remove_account"
        | "rotate_encryption_key"
        | "set_ca_certificate"
        | "record_certificate"
        | "revoke_certificate"
        | "destroy_certificate" => Some(Affair { kinds: &[], own: true }),
        _ => None,
    }
}

/// A call of the kernel as the session passes it on.
pub(crate) struct KernelCall<'a> {
    pub method: &'a str,
    pub arguments: &'a [u8],
    pub fuel: u64,
    pub read_only: bool,
}

/// Runs a kernel method for the signers of a transaction. Undoing a failed one is the caller's.
///
/// # Errors
/// [`FatalError`] when the storage fails.
pub(crate) fn call(session: Box<Session>, call: &KernelCall<'_>) -> Result<Returned, FatalError> {
    let KernelCall { method, arguments, fuel, read_only } = *call;
    let per_byte = match method {
        "upload_package" => FUEL_PER_CODE_BYTE,
        "propose" => FUEL_PER_PROPOSAL_BYTE,
        _ => 0,
    };
    let bytes = u64::try_from(arguments.len()).unwrap_or(u64::MAX);
    let price = FUEL_PER_CALL.saturating_add(bytes.saturating_mul(per_byte));
    let Some(left) = fuel.checked_sub(price) else {
        return Ok((Err(refusal::out_of_fuel()), fuel, session));
    };
    if read_only {
        let reason = refusal::failure("contract.read_only", "a query cannot change the consortium");
        return Ok((Err(reason), price, session));
    }
    let (result, used, session) = match method {
        "propose" => governance::propose(session, arguments, left)?,
        "vote" => governance::vote(session, arguments, left)?,
        _ => act(session, &Authority::Signers, method, arguments, left)?,
    };
    Ok((result, price.saturating_add(used), session))
}

/// Runs a kernel method that is no decision itself.
fn act(
    mut session: Box<Session>,
    authority: &Authority,
    method: &str,
    arguments: &[u8],
    fuel: u64,
) -> Result<Returned, FatalError> {
    let done = match method {
        "activate_contract" => parse(arguments).and_then(|r| contracts::activate(&mut session, authority, r)),
        "promote_contract" => parse(arguments).and_then(|r| contracts::promote(&mut session, authority, r)),
        _ => dispatch(&mut session, authority, method, arguments).map(|()| None),
    };
    match done {
        Ok(None) => Ok((Ok(Vec::new()), 0, session)),
        Ok(Some(migration)) => session.run_decided(&migration, fuel),
        Err(Stop::Refused(reason)) => Ok((Err(reason), 0, session)),
        Err(Stop::Fatal(error)) => Err(error),
    }
}

fn dispatch(session: &mut Session, authority: &Authority, method: &str, arguments: &[u8]) -> Result<(), Stop> {
    let (s, a) = (session, authority);
    match method {
        "withdraw" => governance::withdraw(s, &parse(arguments)?),
        "register_member" => members::register(s, a, parse(arguments)?),
        "suspend_member" => members::suspend(s, a, &parse(arguments)?),
        "resume_member" => members::resume(s, a, &parse(arguments)?),
        "remove_member" => members::remove(s, a, &parse(arguments)?),
        "set_admin_policy" => members::set_admin_policy(s, a, parse(arguments)?),
        "rotate_encryption_key" => members::rotate_encryption_key(s, a, &parse(arguments)?),
        "set_ca_certificate" => members::set_ca_certificate(s, a, parse(arguments)?),
        "register_account" => accounts::register(s, a, parse(arguments)?),
        "set_account_roles" => accounts::set_roles(s, a, &parse(arguments)?),
        "set_account_active" => accounts::set_active(s, a, &parse(arguments)?),
        "rotate_account_key" => accounts::rotate_key(s, a, &parse(arguments)?),
        "remove_account" => accounts::remove(s, a, &parse(arguments)?),
        "record_certificate" => certificates::record(s, a, parse(arguments)?),
        "revoke_certificate" => certificates::revoke(s, a, parse(arguments)?),
        "destroy_certificate" => certificates::destroy(s, a, &parse(arguments)?),
        "register_node" => nodes::register(s, a, parse(arguments)?),
        "set_node" => nodes::set(s, a, parse(arguments)?),
        "set_node_keys" => nodes::set_keys(s, a, &parse(arguments)?),
        "remove_node" => nodes::remove(s, a, &parse(arguments)?),
        "upload_package" => contracts::upload(s, &parse(arguments)?),
        "remove_package" => contracts::remove_package(s, &parse(arguments)?),
        "roll_back_contract" => contracts::roll_back(s, a, &parse(arguments)?),
        "freeze_contract" => contracts::freeze(s, a, &parse(arguments)?),
        "unfreeze_contract" => contracts::unfreeze(s, a, &parse(arguments)?),
        "retire_contract" => contracts::retire(s, a, &parse(arguments)?),
        "set_parameters" => parameters::set(s, a, &parse(arguments)?),
        _ => Err(refuse("contract.unknown_method", format!("the kernel has no method {method}"))),
    }
}

fn parse<'a, T>(arguments: &'a [u8]) -> Result<T, Stop>
where
    T: SchemaRead<'a, Format, Dst = T>,
{
    decode("arguments", arguments, CODE_BYTES_MAX + RECORD_BYTES_MAX)
        .map_err(|e| refuse("contract.bad_arguments", e.to_string()))
}

/// For an affair of the consortium: a proposal of a kind that carries `method`.
fn decided(authority: &Authority, method: &str) -> Result<(), Stop> {
    let kinds = affair(method).map_or(&[][..], |affair| affair.kinds);
    match authority {
        Authority::Members(kind) if kinds.contains(kind) => Ok(()),
        _ => {
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            let text = format!("{method} needs a proposal of kind {} that the members approve", kinds.join(" or "));
            Err(refuse("system.not_authorised", text))
        }
    }
}

/// For an affair of one member: its administrators, by signature or by a proposal among themselves.
fn own_affair(session: &Session, authority: &Authority, name: &str) -> Result<(), Stop> {
    let member = members::known(&session.registry, name)?;
    let holds = match authority {
        Authority::Signers => session.registry.admits(member, &session.signers),
        Authority::Administrators(acting) => acting == name && member.is_active(),
        Authority::Members(_) => false,
    };
    if holds {
        Ok(())
    } else {
        let text =
            format!("this needs the consent of {} administrators of active member {name}", member.admin_threshold);
        Err(refuse("system.not_authorised", text))
    }
}

fn store(session: &mut Session, record: Record) {
    std::sync::Arc::make_mut(&mut session.registry).write(&mut session.overlay, record);
}

/// The kernel's name as a contract's.
///
/// # Panics
/// Never: the name has the form of one.
#[must_use]
pub fn system_name() -> ContractName {
    ContractName::new(keys::SYSTEM).expect("the kernel's name has the form of one")
}

fn announce(session: &mut Session, name: &str, data: Vec<u8>) {
    session.events.push(Event { contract: system_name(), name: name.into(), data });
}

/// The validators must remain a valid set, whatever a change does to nodes and members.
fn still_has_validators(session: &Session) -> Result<(), Stop> {
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

/// How a decided run of actions ended: the failed one and why.
type Execution = Result<(), (u16, CallFailure)>;

/// Runs a proposal's actions in order until one fails. Undoing them is the caller's.
fn execute(
    mut session: Box<Session>,
    matter: &Matter,
    actions: &[Action],
    fuel: u64,
    mut done: impl FnMut(&mut Session, u16, &Result<Vec<u8>, CallFailure>, u64),
) -> Result<(Execution, u64, Box<Session>), FatalError> {
    let authority = Authority::of(matter);
    let mut used: u64 = 0;
    for (index, action) in (0..).zip(actions) {
        let left = fuel.saturating_sub(used);
        let (result, spent, back) = if action.contract == keys::SYSTEM {
            match left.checked_sub(FUEL_PER_CALL) {
                None => (Err(refusal::out_of_fuel()), left, session),
                Some(left) => {
                    let (result, spent, back) = act(session, &authority, &action.method, &action.arguments, left)?;
                    (result, spent.saturating_add(FUEL_PER_CALL), back)
                }
            }
        } else {
            match governance::call_of(action) {
                Err(reason) => (Err(reason), 0, session),
                Ok(call) => session.run_decided(&call, left)?,
            }
        };
        session = back;
        used = used.saturating_add(spent).min(fuel);
        done(&mut session, index, &result, spent);
        if let Err(reason) = result {
            return Ok((Err((index, reason)), used, session));
        }
    }
    Ok((Ok(()), used, session))
}
