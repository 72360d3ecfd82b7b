//! A member's own authority, and the smaller one of a node that renews its server certificate by itself.

use std::net::{Ipv4Addr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, NameConstraints, SerialNumber,
};
use time::OffsetDateTime;
use vouch_types::TimestampMs;

use crate::{
    Certificate, CertificateError, DAY_MS, Key, Permit, Request, Revoked, ServerName, Subject,
    key::Signer,
    request::{distinguished_name, san},
};

/// Certificates count from so long before they are made: clocks differ.
const BACKDATE_MS: u64 = 3_600_000;
/// Longest life of a certificate that is not an authority's, in days.
const LEAF_DAYS_MAX: u32 = 397;
/// Longest life of an authority, in days: 30 years.
const AUTHORITY_DAYS_MAX: u32 = 30 * 365;

/// What a new authority shall be.
#[derive(Debug, Clone)]
pub struct NewAuthority {
    /// The organisation in its name: the member, or what a node is called before it is of one.
    pub organisation: String,
    /// Its name.
    pub title: String,
    /// Hosts it may sign for; it cannot sign for any others.
    pub permitted: Vec<Permit>,
    /// Whether other authorities may stand below it.
    pub has_nodes_below: bool,
    /// How long it lasts.
    pub days: u32,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// A business system that calls a node.
    Client,
    /// A server of TLS.
    Server,
    /// The authority of one node: signs that node's own server certificates and nothing else.
    NodeAuthority,
}

impl Profile {
    /// What a certificate is for that an authority issued.
    #[must_use]
    pub const fn of(certificate: &Certificate) -> Self {
        match (certificate.is_authority(), certificate.is_for_clients()) {
            (true, _) => Self::NodeAuthority,
            (false, true) => Self::Client,
            (false, false) => Self::Server,
        }
    }
}

/// What shall be issued.
#[derive(Debug)]
pub struct Order<'a> {
    /// The applicant's request: its key, and nothing else of it is taken over unseen.
    pub request: &'a Request,
    /// Whom the certificate speaks for.
    pub subject: &'a Subject,
    /// What it is for.
    pub profile: Profile,
    /// Hosts; none for a client.
    pub names: &'a [ServerName],
    /// How long it lasts.
    pub days: u32,
}

/// An authority with its key. Shows nothing secret in `Debug`.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, Signer>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate.title()).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a root that signs itself.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn create(new: &NewAuthority, key: &Key, now: TimestampMs) -> Result<Self, CertificateError> {
        if !(1..=AUTHORITY_DAYS_MAX).contains(&new.days) {
            return Err(refused(format!("an authority lasts 1 to {AUTHORITY_DAYS_MAX} days")));
        }
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, new.organisation.as_str());
        name.push(DnType::CommonName, new.title.as_str());
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.serial_number = Some(serial()?);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(u8::from(new.has_nodes_below)));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = constraints(&new.permitted);
        params.not_before = moment(TimestampMs(now.0.saturating_sub(BACKDATE_MS)))?;
        params.not_after = moment(after(now, new.days))?;
        let made = params.self_signed(&key.0).map_err(|error| refused(error.to_string()))?;
        Self::open(Certificate::from_der(made.der())?, key)
    }

    /// An authority by its certificate and key.
    ///
    /// # Errors
    /// [`CertificateError::Authority`] when they do not belong together or it may not sign.
    pub fn open(certificate: Certificate, key: &Key) -> Result<Self, CertificateError> {
        if !certificate.is_authority() {
            return Err(refused("the certificate is not an authority's".into()));
        }
        if certificate.public() != key.public() {
            return Err(refused("the key is not that of the authority's certificate".into()));
        }
        let der = rustls_pki_types::CertificateDer::from(certificate.der());
        let issuer = Issuer::from_ca_cert_der(&der, key.signer()?).map_err(|error| refused(error.to_string()))?;
        Ok(Self { certificate, issuer })
    }

    /// Its own certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The hosts it may sign for, each as one name.
    ///
    /// # Errors
    /// [`CertificateError::Authority`] when they cannot be read.
    pub fn names(&self) -> Result<Vec<ServerName>, CertificateError> {
        permitted_names(&self.certificate)
    }

    /// Signs a certificate for the key of a request.
    ///
    /// # Errors
    /// [`CertificateError`] when the request, the names or the time are not in order.
    pub fn issue(&self, order: &Order<'_>, now: TimestampMs) -> Result<Certificate, CertificateError> {
        if let Some(asked) = order.request.subject()
            && asked != order.subject
        {
            let text = format!("the request is of {asked}, the certificate would be for {}", order.subject);
            return Err(CertificateError::Request(text));
        }
        self.sign(&order.request.inner.public_key, order, now)
    }

    /// Signs a server certificate for an own key: how a node renews.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn issue_server(
        &self,
        key: &Key,
        subject: &Subject,
        names: &[ServerName],
        life_ms: u64,
        now: TimestampMs,
    ) -> Result<Certificate, CertificateError> {
        if names.is_empty() {
            return Err(refused("a server's certificate needs at least one host".into()));
        }
        let until = TimestampMs(now.0.saturating_add(life_ms).min(self.certificate.not_after().0));
        let params = leaf(subject, Profile::Server, names, now, until)?;
        self.signed(&params, &key.0, now)
    }

    /// Signs a certificate anew: the same key, subject, names and use.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn renew(&self, old: &Certificate, days: u32, now: TimestampMs) -> Result<Certificate, CertificateError> {
        let subject = old.subject().ok_or_else(|| refused("the certificate names no subject of this chain".into()))?;
        if !old.is_signed_by(&self.certificate) {
            return Err(refused("the certificate is not by this authority".into()));
        }
        let profile = Profile::of(old);
        let key = rcgen::SubjectPublicKeyInfo::from_der(old.public()).map_err(|error| refused(error.to_string()))?;
        let names = permitted_names(old)?;
        let until = self.until(profile, days, now)?;
        self.check_names(&names)?;
        self.signed(&leaf(subject, profile, &names, now, until)?, &key, now)
    }

    fn sign(
        &self,
        key: &impl rcgen::PublicKeyData,
        order: &Order<'_>,
        now: TimestampMs,
    ) -> Result<Certificate, CertificateError> {
        match (order.profile, order.names) {
            (Profile::Client, [_, ..]) => return Err(refused("a client's certificate is for no host".into())),
            (Profile::Server | Profile::NodeAuthority, []) => return Err(refused("it needs at least one host".into())),
            _ => {}
        }
        let until = self.until(order.profile, order.days, now)?;
        self.check_names(order.names)?;
        self.signed(&leaf(order.subject, order.profile, order.names, now, until)?, key, now)
    }

    fn until(&self, profile: Profile, days: u32, now: TimestampMs) -> Result<TimestampMs, CertificateError> {
        let most = if profile == Profile::NodeAuthority { AUTHORITY_DAYS_MAX } else { LEAF_DAYS_MAX };
        if !(1..=most).contains(&days) {
            return Err(refused(format!("such a certificate lasts 1 to {most} days")));
        }
        let until = after(now, days);
        if until > self.certificate.not_after() {
            return Err(refused(format!(
                "it would outlast the authority, which ends at {} ms: fewer days, or a new authority",
                self.certificate.not_after()
            )));
        }
        Ok(until)
    }

    fn check_names(&self, names: &[ServerName]) -> Result<(), CertificateError> {
        let permitted = permitted(&self.certificate)?;
        let is_outside =
            |name: &&ServerName| !permitted.is_empty() && !permitted.iter().any(|permit| permit.covers(name));
        match names.iter().find(is_outside) {
            None => Ok(()),
            Some(name) => Err(CertificateError::Name(format!("the authority is not permitted to sign for {name}"))),
        }
    }

    fn signed(
        &self,
        params: &CertificateParams,
        key: &impl rcgen::PublicKeyData,
        now: TimestampMs,
    ) -> Result<Certificate, CertificateError> {
        if now > self.certificate.not_after() {
            return Err(refused("the authority has expired".into()));
        }
        let made = params.signed_by(key, &self.issuer).map_err(|error| refused(error.to_string()))?;
        Certificate::from_der(made.der())
    }

    /// Signs a list of revoked certificates, as PEM. Each list has a greater number than the one before.
    ///
    /// # Errors
    /// [`CertificateError::Authority`].
    pub fn revocation_list(
        &self,
        revoked: &[Revoked],
        number: u64,
        now: TimestampMs,
        days: u32,
    ) -> Result<String, CertificateError> {
        if !(1..=LEAF_DAYS_MAX).contains(&days) {
            return Err(refused(format!("a list of revoked certificates counts for 1 to {LEAF_DAYS_MAX} days")));
        }
        let params = CertificateRevocationListParams {
            this_update: moment(now)?,
            next_update: moment(after(now, days))?,
            crl_number: SerialNumber::from_slice(&number.to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(Revoked::entry).collect::<Result<_, _>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).and_then(|list| list.pem());
        list.map_err(|error| refused(error.to_string()))
    }
}

fn refused(text: String) -> CertificateError {
    CertificateError::Authority(text)
}

fn after(now: TimestampMs, days: u32) -> TimestampMs {
    TimestampMs(now.0.saturating_add(u64::from(days).saturating_mul(DAY_MS)))
}

pub(crate) fn moment(at: TimestampMs) -> Result<OffsetDateTime, CertificateError> {
    let seconds = i64::try_from(at.0 / 1_000).ok();
    let moment = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.ok_or_else(|| refused(format!("{at} ms is beyond all calendars")))
}

/// 16 random bytes, positive and without a leading zero, so that they are encoded as they are.
fn serial() -> Result<SerialNumber, CertificateError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| refused(format!("no randomness: {error}")))?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// A kind of names of which none is permitted is excluded as a whole: constraints say nothing of kinds they do not name.
fn constraints(permitted: &[Permit]) -> Option<NameConstraints> {
    let mut excluded = Vec::new();
    if !permitted.iter().any(|permit| matches!(permit, Permit::Domain(_))) {
        excluded.push(GeneralSubtree::DnsName(String::new()));
    }
    if !permitted.iter().any(|permit| matches!(permit, Permit::Net(..))) {
        excluded.push(Permit::Net(Ipv4Addr::UNSPECIFIED.into(), 0).to_subtree());
        excluded.push(Permit::Net(Ipv6Addr::UNSPECIFIED.into(), 0).to_subtree());
    }
    (!permitted.is_empty()).then(|| NameConstraints {
        permitted_subtrees: permitted.iter().map(Permit::to_subtree).collect(),
        excluded_subtrees: excluded,
    })
}

fn leaf(
    subject: &Subject,
    profile: Profile,
    names: &[ServerName],
    now: TimestampMs,
    until: TimestampMs,
) -> Result<CertificateParams, CertificateError> {
    let usage = match profile {
        Profile::Client => ExtendedKeyUsagePurpose::ClientAuth,
        Profile::Server | Profile::NodeAuthority => ExtendedKeyUsagePurpose::ServerAuth,
    };
    let permits: Vec<Permit> = names.iter().map(ServerName::as_permit).collect();
    let is_authority = profile == Profile::NodeAuthority;
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(subject);
    params.subject_alt_names = san(subject, if is_authority { &[] } else { names })?;
    params.serial_number = Some(serial()?);
    params.is_ca = if is_authority { IsCa::Ca(BasicConstraints::Constrained(0)) } else { IsCa::ExplicitNoCa };
    params.key_usages =
        vec![if is_authority { KeyUsagePurpose::KeyCertSign } else { KeyUsagePurpose::DigitalSignature }];
    params.extended_key_usages = vec![usage];
    params.name_constraints = if is_authority { constraints(&permits) } else { None };
    params.use_authority_key_identifier_extension = true;
    params.not_before = moment(TimestampMs(now.0.saturating_sub(BACKDATE_MS)))?;
    params.not_after = moment(until)?;
    Ok(params)
}

/// What an authority's certificate permits; empty for everything.
fn permitted(certificate: &Certificate) -> Result<Vec<Permit>, CertificateError> {
    use x509_parser::{
        extensions::GeneralName,
        prelude::{FromDer as _, X509Certificate},
    };
    let unreadable = || refused("its name constraints cannot be read".into());
    let (_, read) = X509Certificate::from_der(certificate.der()).map_err(|_| unreadable())?;
    let extension = read.name_constraints().map_err(|_| unreadable())?;
    let subtrees = extension.and_then(|extension| extension.value.permitted_subtrees.as_ref());
    let mut permits = Vec::new();
    for subtree in subtrees.into_iter().flatten() {
        permits.push(match &subtree.base {
            GeneralName::DNSName(name) => Permit::Domain((*name).to_owned()),
            GeneralName::IPAddress(bytes) => net(bytes).ok_or_else(unreadable)?,
            _ => return Err(unreadable()),
        });
    }
    Ok(permits)
}

fn net(bytes: &[u8]) -> Option<Permit> {
    let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
    let prefix: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let prefix = u8::try_from(prefix).ok()?;
    let four: Result<[u8; 4], _> = address.try_into();
    let sixteen: Result<[u8; 16], _> = address.try_into();
    let address = four.map(std::net::IpAddr::from).ok().or_else(|| sixteen.map(std::net::IpAddr::from).ok())?;
    Some(Permit::Net(address, prefix))
}

/// The hosts a certificate stands for: of a node's authority, those it may sign for.
fn permitted_names(certificate: &Certificate) -> Result<Vec<ServerName>, CertificateError> {
    if !certificate.is_authority() {
        return Ok(certificate.names().to_vec());
    }
    let name = |permit: Permit| match permit {
        // Of what another program wrote, some is no host's name, such as one that begins with a dot.
        Permit::Domain(name) => name.parse(),
        Permit::Net(address, _) => Ok(ServerName::Ip(address)),
    };
    permitted(certificate)?.into_iter().map(name).collect()
}
