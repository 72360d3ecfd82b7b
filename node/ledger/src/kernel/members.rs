//! Organisations: they come, pause and leave by vote, and keep their own administrators and keys.

use vouch_genesis::{CERTIFICATE_BYTES_MAX, MEMBER_ENTRIES_MAX, MEMBERS_MAX, MemberName, Role, is_encryption_key};
use vouch_types::{Hash32, PublicKey, encode};
use wincode::{SchemaRead, SchemaWrite};

use super::{
    Authority, TITLE_BYTES_MAX, announce, decided, own_affair,
    refusal::{Stop, bad_arguments, bounded, refuse, usable_key},
    still_has_validators, store,
};
use crate::{
    registry::{EncryptionKey, MemberRecord, MemberStanding, Record, Registry},
    session::Session,
};

/// Most encryption keys of one member, retired ones included.
const ENCRYPTION_KEYS_MAX: usize = 256;
/// Longest reason, in bytes.
pub(super) const REASON_BYTES_MAX: usize = 200;

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
    /// Its X25519 key, if it has one already.
    pub encryption_key: Option<Hash32>,
    /// The root certificate of its own authority, X.509 in DER, if it has one already.
    pub ca_certificate: Option<Vec<u8>>,
}

/// Pauses an organisation with its accounts and nodes.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SuspendMember {
    /// The member.
    pub name: String,
    /// Why, for people.
    pub reason: String,
}

/// Lets a suspended organisation take part again.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct ResumeMember {
    /// The member.
    pub name: String,
}

/// Takes an organisation out for good. Its records stay, its nodes go.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RemoveMember {
    /// The member.
    pub name: String,
}

/// Changes who speaks for a member.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SetAdminPolicy {
    /// The member.
    pub member: String,
    /// How many of its administrators act for it from now on.
    pub admin_threshold: u16,
    /// Their keys.
    pub admin_keys: Vec<PublicKey>,
}

/// Gives a member another encryption key; the one before is retired.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RotateEncryptionKey {
    /// The member.
    pub member: String,
    /// The X25519 key.
    pub key: Hash32,
}

/// Sets the root of a member's own certificates.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SetCaCertificate {
    /// The member.
    pub member: String,
    /// X.509 in DER.
    pub certificate: Vec<u8>,
}

pub(super) fn known<'a>(registry: &'a Registry, name: &str) -> Result<&'a MemberRecord, Stop> {
    registry.members.get(name).ok_or_else(|| refuse("system.unknown_member", format!("there is no member {name}")))
}

fn role(text: &str) -> Result<Role, Stop> {
    [Role::Platform, Role::Institution, Role::Enterprise, Role::Regulator]
        .into_iter()
        .find(|r| r.as_str() == text)
        .ok_or_else(|| bad_arguments(format!("{text} is not a role")))
}

/// The policy in canonical order. Keys that the member's administrators have already may stay.
fn policy(registry: &Registry, member: &str, threshold: u16, mut keys: Vec<PublicKey>) -> Result<Vec<PublicKey>, Stop> {
    keys.sort_unstable();
    let distinct = keys.is_sorted_by(|a, b| a < b);
    if !distinct || keys.len() > MEMBER_ENTRIES_MAX || threshold == 0 || usize::from(threshold) > keys.len() {
        let text = "the threshold must be 1 to the number of different administrators, at most 64";
        return Err(bad_arguments(text));
    }
    for key in keys.iter().filter(|key| registry.administers(&key.account()) != Some(member)) {
        usable_key(registry, key)?;
    }
    Ok(keys)
}

fn encryption_key(key: &Hash32) -> Result<[u8; 32], Stop> {
    if is_encryption_key(&key.0) {
        Ok(key.0)
    } else {
        Err(refuse("system.weak_key", "nobody can encrypt to this X25519 key"))
    }
}

fn certificate(bytes: &[u8]) -> Result<(), Stop> {
    // A DER sequence; what it says is for those who rely on it to check.
    if bytes.first() == Some(&0x30) && bytes.len() <= CERTIFICATE_BYTES_MAX {
        Ok(())
    } else {
        Err(bad_arguments(format!("a certificate is X.509 in DER with at most {CERTIFICATE_BYTES_MAX} bytes")))
    }
}

pub(super) fn register(session: &mut Session, authority: &Authority, request: RegisterMember) -> Result<(), Stop> {
    decided(authority, "register_member")?;
    let role = role(&request.role)?;
    MemberName::new(&*request.name).map_err(|e| bad_arguments(e.to_string()))?;
    bounded("title", &request.title, TITLE_BYTES_MAX)?;
    if session.registry.members.contains_key(&request.name) {
        return Err(refuse("system.member_exists", format!("there is already a member {}", request.name)));
    }
    if session.registry.members.len() >= MEMBERS_MAX {
        return Err(refuse("system.too_many", format!("there are {MEMBERS_MAX} members already")));
    }
    let RegisterMember { name, title, admin_threshold, .. } = request;
    let admin_keys = policy(&session.registry, &name, admin_threshold, request.admin_keys)?;
    let first = request.encryption_key.as_ref().map(encryption_key).transpose()?;
    if let Some(bytes) = &request.ca_certificate {
        certificate(bytes)?;
    }
    let since = session.moment.height;
    let encryption_keys = first.map(|key| EncryptionKey { id: 1, key, since, retired: None }).into_iter().collect();
    announce(session, "MemberRegistered", encode(&(name.clone(), role.as_str().to_owned())));
    let record = MemberRecord {
        name,
        title,
        role,
        admin_threshold,
        admin_keys,
        standing: MemberStanding::Active,
        encryption_keys,
        ca_certificate: request.ca_certificate,
    };
    store(session, Record::Member(record));
    Ok(())
}

fn change(session: &mut Session, name: &str, from: MemberStanding, to: MemberStanding) -> Result<(), Stop> {
    let mut record = known(&session.registry, name)?.clone();
    if record.standing != from {
        let text = format!("member {name} is {}", record.standing.as_str());
        return Err(refuse("system.member_standing", text));
    }
    record.standing = to;
    store(session, Record::Member(record));
    still_has_validators(session)
}

pub(super) fn suspend(session: &mut Session, authority: &Authority, request: &SuspendMember) -> Result<(), Stop> {
    decided(authority, "suspend_member")?;
    bounded("reason", &request.reason, REASON_BYTES_MAX)?;
    change(session, &request.name, MemberStanding::Active, MemberStanding::Suspended)?;
    announce(session, "MemberSuspended", encode(&(request.name.clone(), request.reason.clone())));
    Ok(())
}

pub(super) fn resume(session: &mut Session, authority: &Authority, request: &ResumeMember) -> Result<(), Stop> {
    decided(authority, "resume_member")?;
    change(session, &request.name, MemberStanding::Suspended, MemberStanding::Active)?;
    announce(session, "MemberResumed", encode(&request.name));
    Ok(())
}

pub(super) fn remove(session: &mut Session, authority: &Authority, request: &RemoveMember) -> Result<(), Stop> {
    decided(authority, "remove_member")?;
    let mut record = known(&session.registry, &request.name)?.clone();
    if record.standing == MemberStanding::Removed {
        return Err(refuse("system.member_standing", format!("member {} is removed", request.name)));
    }
    record.standing = MemberStanding::Removed;
    store(session, Record::Member(record));
    let nodes = session.registry.nodes.iter().filter(|(_, n)| n.member == request.name).map(|(id, _)| *id);
    for node in nodes.collect::<Vec<_>>() {
        std::sync::Arc::make_mut(&mut session.registry).remove_node(&mut session.overlay, &node);
        announce(session, "NodeRemoved", encode(&node));
    }
    still_has_validators(session)?;
    announce(session, "MemberRemoved", encode(&request.name));
    Ok(())
}

pub(super) fn set_admin_policy(
    session: &mut Session,
    authority: &Authority,
    request: SetAdminPolicy,
) -> Result<(), Stop> {
    if matches!(authority, Authority::Members(_)) {
        decided(authority, "set_admin_policy")?;
    } else {
        own_affair(session, authority, &request.member)?;
    }
    let mut record = known(&session.registry, &request.member)?.clone();
    if record.standing == MemberStanding::Removed {
        return Err(refuse("system.member_standing", format!("member {} is removed", request.member)));
    }
    let SetAdminPolicy { member, admin_threshold, admin_keys } = request;
    record.admin_keys = policy(&session.registry, &member, admin_threshold, admin_keys)?;
    record.admin_threshold = admin_threshold;
    store(session, Record::Member(record));
    announce(session, "AdminPolicyChanged", encode(&(member, admin_threshold)));
    Ok(())
}

pub(super) fn rotate_encryption_key(
    session: &mut Session,
    authority: &Authority,
    request: &RotateEncryptionKey,
) -> Result<(), Stop> {
    own_affair(session, authority, &request.member)?;
    let key = encryption_key(&request.key)?;
    let used = |m: &MemberRecord| m.encryption_keys.iter().any(|known| known.key == key);
    if session.registry.members.values().any(used) {
        return Err(refuse("system.key_in_use", "the encryption key is or was in use"));
    }
    let mut record = known(&session.registry, &request.member)?.clone();
    if record.encryption_keys.len() >= ENCRYPTION_KEYS_MAX {
        return Err(refuse("system.too_many", format!("a member has at most {ENCRYPTION_KEYS_MAX} encryption keys")));
    }
    let since = session.moment.height;
    let mut id = 1;
    if let Some(last) = record.encryption_keys.last_mut() {
        last.retired = last.retired.or(Some(since));
        id = last.id.saturating_add(1);
    }
    record.encryption_keys.push(EncryptionKey { id, key, since, retired: None });
    store(session, Record::Member(record));
    announce(session, "EncryptionKeyRotated", encode(&(request.member.clone(), id, request.key)));
    Ok(())
}

pub(super) fn set_ca_certificate(
    session: &mut Session,
    authority: &Authority,
    request: SetCaCertificate,
) -> Result<(), Stop> {
    own_affair(session, authority, &request.member)?;
    certificate(&request.certificate)?;
    let mut record = known(&session.registry, &request.member)?.clone();
    record.ca_certificate = Some(request.certificate);
    store(session, Record::Member(record));
    announce(session, "CaCertificateChanged", encode(&request.member));
    Ok(())
}
