//! Certificates that members' own authorities issued: what they are worth is on the chain, so that every node of the
//! member sees a revocation at the next height.

use vouch_genesis::AccountRole;
use vouch_types::{AccountId, Hash32, TimestampMs, encode};
use wincode::{SchemaRead, SchemaWrite};

use super::{
    Authority, NAME_BYTES_MAX, announce,
    members::{self, REASON_BYTES_MAX},
    own_affair,
    refusal::{Stop, bad_arguments, bounded, refuse},
    store,
};
use crate::{
    registry::{CertificateRecord, CertificateStanding, CertificateSubject, Record, Registry},
    session::Session,
};

/// Most bytes of a serial number (RFC 5280).
const SERIAL_BYTES_MAX: usize = 20;
/// Most certificates of one member, ended ones included.
const CERTIFICATES_MAX: usize = 100_000;

/// Records a certificate that the member's authority issued.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RecordCertificate {
    /// The member.
    pub member: String,
    /// SHA-256 of the certificate's DER form.
    pub fingerprint: Hash32,
    /// Its serial number.
    pub serial: Vec<u8>,
    /// The user or service it speaks for.
    pub account: Option<AccountId>,
    /// The node it speaks for, by name.
    pub node: Option<String>,
    /// The outside system it speaks for, by name.
    pub system: Option<String>,
    /// When it ends by itself, in milliseconds since 1970.
    pub not_after_ms: u64,
    /// The certificate it takes the place of; that one counts until it expires.
    pub renews: Option<Hash32>,
}

/// Says that a certificate no longer counts.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RevokeCertificate {
    /// SHA-256 of its DER form.
    pub fingerprint: Hash32,
    /// Why, for people.
    pub reason: String,
}

/// Says that a certificate's key was destroyed.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct DestroyCertificate {
    /// SHA-256 of its DER form.
    pub fingerprint: Hash32,
}

/// Certificates are kept by the member's administrators or by one of its operators.
fn keeper(session: &Session, authority: &Authority, member: &str) -> Result<(), Stop> {
    members::known(&session.registry, member)?;
    let operates = |signer: &AccountId| {
        let registry = &session.registry;
        registry.roles_of(signer).contains(&AccountRole::Operator)
            && registry.member_of(signer).is_some_and(|m| m.name == member)
    };
    if *authority == Authority::Signers && session.signers.iter().any(operates) {
        return Ok(());
    }
    own_affair(session, authority, member)
}

fn known(registry: &Registry, fingerprint: &Hash32) -> Result<CertificateRecord, Stop> {
    let record = registry.certificates.get(fingerprint).map(|c| c.as_ref().clone());
    record.ok_or_else(|| refuse("system.unknown_certificate", format!("there is no certificate {fingerprint}")))
}

fn subject(registry: &Registry, request: &RecordCertificate) -> Result<CertificateSubject, Stop> {
    match (&request.account, &request.node, &request.system) {
        (Some(account), None, None) => {
            let owner = registry.accounts.get(account).map(|a| &a.member);
            if owner != Some(&request.member) {
                let text = format!("{} has no account {account}", request.member);
                return Err(refuse("system.unknown_account", text));
            }
            Ok(CertificateSubject::Account(*account))
        }
        (None, Some(name), None) => {
            if !registry.nodes.values().any(|n| n.member == request.member && n.name == *name) {
                return Err(refuse("system.unknown_node", format!("{} has no node {name}", request.member)));
            }
            Ok(CertificateSubject::Node(name.clone()))
        }
        (None, None, Some(name)) => {
            bounded("system", name, NAME_BYTES_MAX)?;
            Ok(CertificateSubject::System(name.clone()))
        }
        _ => Err(bad_arguments("a certificate speaks for one account, one node or one outside system")),
    }
}

pub(super) fn record(session: &mut Session, authority: &Authority, request: RecordCertificate) -> Result<(), Stop> {
    keeper(session, authority, &request.member)?;
    if request.serial.is_empty() || request.serial.len() > SERIAL_BYTES_MAX {
        return Err(bad_arguments(format!("a serial number has 1 to {SERIAL_BYTES_MAX} bytes")));
    }
    let now = session.moment.time;
    if request.not_after_ms <= now.0 {
        return Err(refuse("system.certificate_expired", "the certificate has expired already"));
    }
    let registry = &session.registry;
    let subject = subject(registry, &request)?;
    let is_known = registry.knows_serial(&request.member, &request.serial)
        || registry.certificates.contains_key(&request.fingerprint);
    if is_known {
        return Err(refuse("system.certificate_exists", "the fingerprint or serial number is recorded already"));
    }
    if registry.holdings(&request.member).certificates >= CERTIFICATES_MAX {
        return Err(refuse("system.too_many", format!("a member has at most {CERTIFICATES_MAX} certificates")));
    }
    let height = session.moment.height;
    if let Some(renewed) = &request.renews {
        let mut before = known(&session.registry, renewed)?;
        if before.member != request.member || before.subject != subject {
            return Err(refuse("system.certificate_subject", "the renewed certificate speaks for another subject"));
        }
        if before.standing != CertificateStanding::Valid {
            let text = format!("the renewed certificate is {}", before.standing.as_str());
            return Err(refuse("system.certificate_standing", text));
        }
        (before.standing, before.changed_at) = (CertificateStanding::Renewed, height);
        store(session, Record::Certificate(before));
    }
    announce(session, "CertificateRecorded", encode(&(request.member.clone(), request.fingerprint)));
    let RecordCertificate { member, fingerprint, serial, not_after_ms, .. } = request;
    store(
        session,
        Record::Certificate(CertificateRecord {
            fingerprint,
            member,
            serial,
            subject,
            not_after: TimestampMs(not_after_ms),
            recorded_at: height,
            standing: CertificateStanding::Valid,
            changed_at: height,
            reason: String::new(),
        }),
    );
    Ok(())
}

pub(super) fn revoke(session: &mut Session, authority: &Authority, request: RevokeCertificate) -> Result<(), Stop> {
    let mut record = known(&session.registry, &request.fingerprint)?;
    keeper(session, authority, &record.member)?;
    bounded("reason", &request.reason, REASON_BYTES_MAX)?;
    if !matches!(record.standing, CertificateStanding::Valid | CertificateStanding::Renewed) {
        let text = format!("the certificate is {}", record.standing.as_str());
        return Err(refuse("system.certificate_standing", text));
    }
    (record.standing, record.changed_at) = (CertificateStanding::Revoked, session.moment.height);
    record.reason.clone_from(&request.reason);
    store(session, Record::Certificate(record));
    announce(session, "CertificateRevoked", encode(&(request.fingerprint, request.reason)));
    Ok(())
}

pub(super) fn destroy(session: &mut Session, authority: &Authority, request: &DestroyCertificate) -> Result<(), Stop> {
    let mut record = known(&session.registry, &request.fingerprint)?;
    keeper(session, authority, &record.member)?;
    if record.standing == CertificateStanding::Destroyed {
        return Err(refuse("system.certificate_standing", "the certificate is destroyed"));
    }
    (record.standing, record.changed_at) = (CertificateStanding::Destroyed, session.moment.height);
    store(session, Record::Certificate(record));
    announce(session, "CertificateDestroyed", encode(&request.fingerprint));
    Ok(())
}
