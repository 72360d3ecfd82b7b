//! The life of a contract: package, activation with migration, trial by a share of callers, roll-back, freeze, retirement.

use vouch_types::{Call, CodeHash, ContractName, Hash32, encode};
use vouch_vm::DeployError;
use wincode::{SchemaRead, SchemaWrite};

use super::{
    Authority, announce, code_hash, decided,
    refusal::{Stop, bad_arguments, refuse},
    store,
};
use crate::{
    keys,
    registry::{Canary, ContractRecord, ContractStanding, ContractVersion, PackageRecord, Record, Registry},
    session::{CODE_BYTES_MAX, MIGRATE, Session},
};

/// Brings code into the state, for a later decision.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct UploadPackage {
    /// The WASM module.
    pub code: Vec<u8>,
}

/// Takes code that no contract has used out of the state.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RemovePackage {
    /// Its hash.
    pub code: CodeHash,
}

/// Puts code that is in the state under a name.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct ActivateContract {
    /// The contract's name.
    pub name: String,
    /// The code's hash.
    pub code: CodeHash,
    /// Encoded arguments of its method `migrate`; none for code without it.
    pub arguments: Vec<u8>,
    /// 0 for all callers; 1 to 99 for a trial with so many of a hundred, beside the version in use.
    pub canary_percent: u8,
}

/// Puts the version on trial in the place of the one in use.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct PromoteContract {
    /// The contract's name.
    pub name: String,
    /// Encoded arguments of its method `migrate`; none for code without it.
    pub arguments: Vec<u8>,
}

/// Rolls a contract back, freezes, unfreezes or retires it.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct ChangeContract {
    /// The contract's name.
    pub name: String,
}

fn parse_name(text: &str) -> Result<ContractName, Stop> {
    ContractName::new(text).map_err(|e| refuse(e.code(), e.to_string()))
}

fn known(registry: &Registry, name: &str) -> Result<ContractRecord, Stop> {
    let name = parse_name(name)?;
    let record = registry.contracts.get(&name).cloned();
    let record = record.ok_or_else(|| refuse("contract.unknown", format!("there is no contract {name}")))?;
    if record.standing == ContractStanding::Retired {
        return Err(refuse("contract.retired", format!("contract {name} is retired")));
    }
    Ok(record)
}

fn check(session: &Session, code: &[u8]) -> Result<(), Stop> {
    if code.len() > CODE_BYTES_MAX {
        let text = format!("code has {} bytes, at most {CODE_BYTES_MAX} are allowed", code.len());
        return Err(refuse("deploy.too_large", text));
    }
    session.runtime().vm.validate(code).map_err(|e| unfit(&e))?;
    Ok(())
}

/// A refusal in words of our own: they stand in the receipt, which another version of the parser must not change.
fn unfit(error: &DeployError) -> Stop {
    match error {
        DeployError::Invalid(_) => refuse(error.code(), "the code is not an acceptable WebAssembly module"),
        _ => refuse(error.code(), error.to_string()),
    }
}

/// Checks a module and puts it under a name, without asking who consents: for genesis.
///
/// # Errors
/// Code and text of a refusal: `contract.*` and `deploy.*` codes.
pub fn install(session: &mut Session, name: &str, code: &[u8]) -> Result<(), String> {
    let installed = parse_name(name).and_then(|name| {
        not_the_kernel(&name)?;
        check(session, code)?;
        let hash = code_hash(code);
        session.overlay.set(keys::code(&Hash32(hash.0)), Some(code.to_vec()));
        put_in_use(session, name, hash);
        Ok(())
    });
    installed.map_err(|stop| match stop {
        Stop::Refused(failure) => format!("{} {}", failure.code, failure.message),
        Stop::Fatal(error) => error.to_string(),
    })
}

fn not_the_kernel(name: &ContractName) -> Result<(), Stop> {
    if name.as_str() == keys::SYSTEM {
        return Err(refuse("deploy.reserved_name", "the name system belongs to the kernel"));
    }
    Ok(())
}

/// Writes the record of a version that all callers meet from now on.
fn put_in_use(session: &mut Session, name: ContractName, code: CodeHash) {
    let deployed_at = session.moment.height;
    let before = session.registry.contracts.get(&name);
    let version = before.map_or(1, |c| c.version.saturating_add(1));
    let previous = before.map(|c| ContractVersion { code: c.code, version: c.version, deployed_at: c.deployed_at });
    let standing = before.map_or(ContractStanding::Active, |c| c.standing);
    announce(session, "ContractActivated", encode(&(name.as_str().to_owned(), code, version)));
    store(
        session,
        Record::Contract(ContractRecord { name, code, version, deployed_at, standing, previous, canary: None }),
    );
}

pub(super) fn upload(session: &mut Session, request: &UploadPackage) -> Result<(), Stop> {
    let member = uploader(session)?;
    check(session, &request.code)?;
    let code = code_hash(&request.code);
    let key = keys::code(&Hash32(code.0));
    if session.overlay.get(&key)?.is_some() {
        return Err(refuse("system.package_exists", format!("the code {code} is in the state already")));
    }
    let max = usize::from(session.registry.params.packages_per_member_max);
    let unused = session.registry.packages.values().filter(|p| p.member == member && !p.used).count();
    if unused >= max {
        let text = format!("{member} has {unused} packages that no contract uses; remove one first");
        return Err(refuse("system.too_many", text));
    }
    let bytes = u32::try_from(request.code.len()).unwrap_or(u32::MAX);
    session.overlay.set(key, Some(request.code.clone()));
    announce(session, "PackageUploaded", encode(&(code, member.clone(), bytes)));
    let uploaded_at = session.moment.height;
    store(session, Record::Package(PackageRecord { code, member, bytes, uploaded_at, used: false }));
    Ok(())
}

/// The member whose administrator signed.
fn uploader(session: &Session) -> Result<String, Stop> {
    let registry = &session.registry;
    let member = session.signers.iter().find_map(|signer| {
        let member = registry.administers(signer)?;
        registry.members.get(member).filter(|m| m.is_active())
    });
    let text = "packages are brought by an administrator of an active member";
    member.map(|m| m.name.clone()).ok_or_else(|| refuse("system.not_authorised", text))
}

pub(super) fn remove_package(session: &mut Session, request: &RemovePackage) -> Result<(), Stop> {
    let package = session.registry.packages.get(&request.code).cloned();
    let package =
        package.ok_or_else(|| refuse("system.unknown_package", format!("there is no package {}", request.code)))?;
    let signs = |signer| session.registry.administers(signer) == Some(&package.member);
    if !session.signers.iter().any(signs) {
        let text = format!("this needs the signature of an administrator of {}", package.member);
        return Err(refuse("system.not_authorised", text));
    }
    if package.used {
        return Err(refuse("system.package_used", "a contract has used this code; it stays"));
    }
    std::sync::Arc::make_mut(&mut session.registry).remove_package(&mut session.overlay, &request.code);
    announce(session, "PackageRemoved", encode(&request.code));
    Ok(())
}

/// Marks a package as used; whether it has a method `migrate`.
fn take(session: &mut Session, code: &CodeHash) -> Result<bool, Stop> {
    let Some(bytes) = session.overlay.get(&keys::code(&Hash32(code.0)))? else {
        let text = format!("the code {code} is not in the state; upload it first");
        return Err(refuse("system.unknown_package", text));
    };
    // The compiler has bounds of its own. Code that it refuses must not come into use: whoever met it then would stop.
    let runtime = session.runtime();
    let module = runtime.modules.get_or_compile(&runtime.vm, code, || Ok::<_, DeployError>(bytes));
    let migrates = module.map_err(|e| unfit(&e))?.method_kind(MIGRATE).is_some();
    if let Some(package) = session.registry.packages.get(code).filter(|p| !p.used).cloned() {
        store(session, Record::Package(PackageRecord { used: true, ..package }));
    }
    Ok(migrates)
}

/// The call of `migrate` that makes the state fit new code, if the code wants one.
fn migration(name: &ContractName, wants: bool, arguments: Vec<u8>) -> Result<Option<Call>, Stop> {
    match (wants, arguments.is_empty()) {
        (true, _) => Ok(Some(Call { contract: name.clone(), method: MIGRATE.into(), arguments })),
        (false, true) => Ok(None),
        (false, false) => Err(bad_arguments("the code has no method migrate that would take the arguments")),
    }
}

pub(super) fn activate(
    session: &mut Session,
    authority: &Authority,
    request: ActivateContract,
) -> Result<Option<Call>, Stop> {
    decided(authority, "activate_contract")?;
    let name = parse_name(&request.name)?;
    not_the_kernel(&name)?;
    let before = session.registry.contracts.get(&name).cloned();
    if before.as_ref().is_some_and(|c| c.standing == ContractStanding::Retired) {
        return Err(refuse("contract.retired", format!("contract {name} is retired")));
    }
    let migrates = take(session, &request.code)?;
    if request.canary_percent == 0 {
        let call = migration(&name, migrates, request.arguments)?;
        put_in_use(session, name, request.code);
        return Ok(call);
    }
    let mut record = before.ok_or_else(|| refuse("system.canary", "there is no version in use to try it beside"))?;
    if request.canary_percent > 99 || !request.arguments.is_empty() || record.code == request.code {
        let text = "a trial is of other code than that in use, with 1 to 99 of a hundred callers and no migration";
        return Err(refuse("system.canary", text));
    }
    let (code, percent, since) = (request.code, request.canary_percent, session.moment.height);
    record.canary = Some(Canary { code, percent, since });
    store(session, Record::Contract(record));
    announce(session, "ContractOnTrial", encode(&(request.name, code, percent)));
    Ok(None)
}

pub(super) fn promote(
    session: &mut Session,
    authority: &Authority,
    request: PromoteContract,
) -> Result<Option<Call>, Stop> {
    decided(authority, "promote_contract")?;
    let record = known(&session.registry, &request.name)?;
    let canary = record.canary.ok_or_else(|| refuse("system.canary", "no version is on trial"))?;
    let migrates = take(session, &canary.code)?;
    let call = migration(&record.name, migrates, request.arguments)?;
    put_in_use(session, record.name, canary.code);
    Ok(call)
}

pub(super) fn roll_back(session: &mut Session, authority: &Authority, request: &ChangeContract) -> Result<(), Stop> {
    decided(authority, "roll_back_contract")?;
    let mut record = known(&session.registry, &request.name)?;
    if record.canary.take().is_some() {
        announce(session, "ContractTrialEnded", encode(&request.name));
        store(session, Record::Contract(record));
        return Ok(());
    }
    let previous = record.previous.ok_or_else(|| refuse("system.no_previous", "there is no version to go back to"))?;
    put_in_use(session, record.name, previous.code);
    Ok(())
}

fn change(
    session: &mut Session,
    name: &str,
    from: &[ContractStanding],
    to: ContractStanding,
) -> Result<ContractRecord, Stop> {
    let mut record = known(&session.registry, name)?;
    if !from.contains(&record.standing) {
        return Err(refuse("system.contract_standing", format!("contract {name} is {}", record.standing.as_str())));
    }
    record.standing = to;
    store(session, Record::Contract(record.clone()));
    Ok(record)
}

pub(super) fn freeze(session: &mut Session, authority: &Authority, request: &ChangeContract) -> Result<(), Stop> {
    decided(authority, "freeze_contract")?;
    change(session, &request.name, &[ContractStanding::Active], ContractStanding::Frozen)?;
    announce(session, "ContractFrozen", encode(&(request.name.clone(), true)));
    Ok(())
}

pub(super) fn unfreeze(session: &mut Session, authority: &Authority, request: &ChangeContract) -> Result<(), Stop> {
    decided(authority, "unfreeze_contract")?;
    change(session, &request.name, &[ContractStanding::Frozen], ContractStanding::Active)?;
    announce(session, "ContractFrozen", encode(&(request.name.clone(), false)));
    Ok(())
}

pub(super) fn retire(session: &mut Session, authority: &Authority, request: &ChangeContract) -> Result<(), Stop> {
    decided(authority, "retire_contract")?;
    let from = [ContractStanding::Active, ContractStanding::Frozen];
    let mut record = change(session, &request.name, &from, ContractStanding::Retired)?;
    record.canary = None;
    store(session, Record::Contract(record));
    announce(session, "ContractRetired", encode(&request.name));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vouch_genesis::{ChainParams, DecisionKind};
    use vouch_types::{Height, TimestampMs};
    use vouch_vm::VmLimits;

    use super::*;
    use crate::{
        memory::MemoryStorage,
        overlay::Overlay,
        session::{Moment, Runtime},
    };

    fn session() -> Box<Session> {
        let moment = Moment { height: Height(1), time: TimestampMs(1), read_only: false };
        let registry = Arc::new(Registry::new(ChainParams::default()));
        let runtime = Runtime::new(VmLimits { concurrent_calls_max: 1, ..VmLimits::default() }).expect("a machine");
        Session::new(Overlay::new(Arc::new(MemoryStorage::new())), registry, moment, runtime)
    }

    #[test]
    fn what_the_parser_says_of_code_does_not_stand_in_the_receipt() {
        let session = session();
        let said: Vec<String> = [&b"no module"[..], b"\0asm\x01\0\0\0\x7f", b"\0asm"]
            .into_iter()
            .map(|code| match check(&session, code) {
                Err(Stop::Refused(failure)) if failure.code == "deploy.invalid_module" => failure.message,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(said.windows(2).all(|pair| pair[0] == pair[1]), "{said:?}");
    }

    #[test]
    fn code_that_does_not_compile_is_refused_when_it_is_to_be_used() {
        let mut session = session();
        // It stands in the state as if it had been let in.
        let code = code_hash(b"no module");
        session.overlay.set(keys::code(&Hash32(code.0)), Some(b"no module".to_vec()));
        let request = ActivateContract { name: "thing".into(), code, arguments: Vec::new(), canary_percent: 0 };
        let end = activate(&mut session, &Authority::Members(DecisionKind::Contracts), request);
        assert!(matches!(&end, Err(Stop::Refused(failure)) if failure.code == "deploy.invalid_module"), "{end:?}");
    }
}
