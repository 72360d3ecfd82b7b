//! A member's users and services: keys that sign for it.

use vouch_genesis::AccountRole;
use vouch_types::{AccountId, PublicKey, encode};
use wincode::{SchemaRead, SchemaWrite};

use super::{
    Authority, NAME_BYTES_MAX, announce, own_affair,
    refusal::{Stop, bounded, refuse, usable_key},
    store,
};
use crate::{
    registry::{AccountRecord, AccountStanding, Record, Registry},
    session::Session,
};

/// Most accounts of one member that were not removed or replaced.
const LIVING_ACCOUNTS_MAX: usize = 10_000;
/// Most accounts of one member, ended ones included: every node keeps them in memory, so that no key is used twice.
const ACCOUNTS_MAX: usize = 100_000;

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

/// Puts another key in an account's place, with its name and roles. The account itself may sign this.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RotateAccountKey {
    /// The account.
    pub account: AccountId,
    /// The key that takes its place.
    pub key: PublicKey,
}

/// Ends an account for good.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RemoveAccount {
    /// The account.
    pub account: AccountId,
}

fn known(registry: &Registry, account: &AccountId) -> Result<AccountRecord, Stop> {
    let known = registry.accounts.get(account).map(|a| a.as_ref().clone());
    known.ok_or_else(|| refuse("system.unknown_account", format!("there is no account {account}")))
}

/// An account that was not removed or replaced.
fn living(registry: &Registry, account: &AccountId) -> Result<AccountRecord, Stop> {
    let record = known(registry, account)?;
    if record.is_living() {
        Ok(record)
    } else {
        Err(refuse("system.account_ended", format!("account {account} was {}", record.standing.as_str())))
    }
}

fn roles(texts: &[String]) -> Result<Vec<AccountRole>, Stop> {
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

fn has_room(registry: &Registry, member: &str) -> Result<(), Stop> {
    if registry.holdings(member).accounts >= ACCOUNTS_MAX {
        let text =
            format!("a member has at most {ACCOUNTS_MAX} accounts, those that were removed or replaced included");
        return Err(refuse("system.too_many", text));
    }
    Ok(())
}

pub(super) fn register(session: &mut Session, authority: &Authority, request: RegisterAccount) -> Result<(), Stop> {
    own_affair(session, authority, &request.member)?;
    bounded("name", &request.name, NAME_BYTES_MAX)?;
    usable_key(&session.registry, &request.key)?;
    let roles = roles(&request.roles)?;
    let RegisterAccount { member, name, key, .. } = request;
    if session.registry.account_named(&member, &name).is_some() {
        return Err(refuse("system.account_exists", format!("{member} already has an account {name}")));
    }
    if session.registry.holdings(&member).living_accounts >= LIVING_ACCOUNTS_MAX {
        let text = format!("a member has at most {LIVING_ACCOUNTS_MAX} accounts; remove one first");
        return Err(refuse("system.too_many", text));
    }
    has_room(&session.registry, &member)?;
    announce(session, "AccountRegistered", encode(&(member.clone(), key.account())));
    store(session, Record::Account(AccountRecord { member, name, key, roles, standing: AccountStanding::Active }));
    Ok(())
}

pub(super) fn set_roles(session: &mut Session, authority: &Authority, request: &SetAccountRoles) -> Result<(), Stop> {
    let mut record = living(&session.registry, &request.account)?;
    own_affair(session, authority, &record.member)?;
    record.roles = roles(&request.roles)?;
    store(session, Record::Account(record));
    announce(session, "AccountRoles", encode(&(request.account, request.roles.clone())));
    Ok(())
}

pub(super) fn set_active(session: &mut Session, authority: &Authority, request: &SetAccountActive) -> Result<(), Stop> {
    let mut record = living(&session.registry, &request.account)?;
    own_affair(session, authority, &record.member)?;
    record.standing = if request.active { AccountStanding::Active } else { AccountStanding::Suspended };
    store(session, Record::Account(record));
    announce(session, "AccountActive", encode(&(request.account, request.active)));
    Ok(())
}

pub(super) fn rotate_key(session: &mut Session, authority: &Authority, request: &RotateAccountKey) -> Result<(), Stop> {
    let mut record = living(&session.registry, &request.account)?;
    let signs_itself =
        *authority == Authority::Signers && record.is_active() && session.signers.contains(&request.account);
    if !signs_itself {
        own_affair(session, authority, &record.member)?;
    }
    usable_key(&session.registry, &request.key)?;
    has_room(&session.registry, &record.member)?;
    let successor = AccountRecord { key: request.key, ..record.clone() };
    record.standing = AccountStanding::Replaced(request.key.account());
    store(session, Record::Account(record));
    store(session, Record::Account(successor));
    announce(session, "AccountKeyRotated", encode(&(request.account, request.key.account())));
    Ok(())
}

pub(super) fn remove(session: &mut Session, authority: &Authority, request: &RemoveAccount) -> Result<(), Stop> {
    let mut record = living(&session.registry, &request.account)?;
    own_affair(session, authority, &record.member)?;
    record.standing = AccountStanding::Removed;
    store(session, Record::Account(record));
    announce(session, "AccountRemoved", encode(&request.account));
    Ok(())
}
