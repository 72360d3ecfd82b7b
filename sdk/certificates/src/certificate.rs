//! A certificate, read.

use std::net::IpAddr;

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use vouch_types::{Hash32, TimestampMs};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

use crate::{
    CertificateError, ServerName, Subject,
    der::{Signed, is_binary},
    pem,
};

/// Most bytes of a certificate that is read.
const BYTES_MAX: usize = 16 << 10;
/// Most bytes of a member's root: the chain keeps it in the member's record.
pub const ROOT_BYTES_MAX: usize = 4 << 10;

/// SHA-256 of a certificate's DER form, by which the chain knows it.
#[must_use]
pub fn fingerprint(der: &[u8]) -> Hash32 {
    Hash32(Sha256::digest(der).into())
}

/// A certificate and what stands in it. Nothing here says that it is worth anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    serial: Vec<u8>,
    subject: Option<Subject>,
    title: String,
    issuer: String,
    valid: (TimestampMs, TimestampMs),
    names: Vec<ServerName>,
    public: Vec<u8>,
    is_authority: bool,
    for_clients: bool,
    for_servers: bool,
}

impl Certificate {
    /// Reads one, PEM (the first in it) or DER.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`].
    pub fn read(bytes: &[u8]) -> Result<Self, CertificateError> {
        if is_binary(bytes) {
            return Self::from_der(bytes);
        }
        let der = CertificateDer::from_pem_slice(bytes);
        Self::from_der(&der.map_err(|_| malformed("there is no certificate in it"))?)
    }

    /// Reads a certificate that shall stand on the chain as a member's root, PEM (the first in it) or DER: nodes believe what it
    /// signs, so it has to be an authority's that may sign certificates and has not ended.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], [`CertificateError::Authority`].
    pub fn read_root(bytes: &[u8], now: TimestampMs) -> Result<Self, CertificateError> {
        let root = Self::read(bytes)?;
        if root.der.len() > ROOT_BYTES_MAX {
            return Err(malformed(&format!("a root on the chain has at most {ROOT_BYTES_MAX} bytes")));
        }
        if !root.is_authority {
            return Err(CertificateError::Authority("the certificate is not an authority's".into()));
        }
        if !root.may_sign() {
            return Err(CertificateError::Authority("its key may not sign certificates".into()));
        }
        if now > root.not_after() {
            return Err(CertificateError::Authority(format!("the certificate ended at {} ms", root.not_after())));
        }
        Ok(root)
    }

    /// Whether its key may sign certificates, where it says what the key is for.
    fn may_sign(&self) -> bool {
        let Ok((_, read)) = X509Certificate::from_der(&self.der) else { return false };
        read.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
    }

    /// Reads all certificates of a PEM file, in order.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], also when there is none.
    pub fn read_all(text: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let found = found.map_err(|_| malformed("it is no PEM of certificates"))?;
        if found.is_empty() {
            return Err(malformed("there is no certificate in it"));
        }
        found.iter().map(|der| Self::from_der(der)).collect()
    }

    /// Reads one; what is not written as DER writes it is none.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > BYTES_MAX {
            return Err(malformed("it is too long for a certificate"));
        }
        let (rest, read) = X509Certificate::from_der(der).map_err(|_| malformed("it is no certificate"))?;
        if !rest.is_empty() {
            return Err(malformed("bytes follow the certificate"));
        }
        if !Signed::read(der).is_some_and(|signed| signed.names_its_algorithm()) {
            return Err(malformed("it is not written as DER writes it"));
        }
        let usage = read.extended_key_usage().map_err(|_| malformed("its key usage cannot be read"))?;
        let (subject, names) = names(&read)?;
        Ok(Self {
            der: der.to_vec(),
            serial: read.raw_serial().to_vec(),
            subject,
            title: read.subject().to_string(),
            issuer: read.issuer().to_string(),
            valid: (time(read.validity().not_before.timestamp()), time(read.validity().not_after.timestamp())),
            names,
            public: read.public_key().raw.to_vec(),
            is_authority: read.is_ca(),
            for_clients: usage.as_ref().is_some_and(|usage| usage.value.client_auth),
            for_servers: usage.as_ref().is_some_and(|usage| usage.value.server_auth),
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// As PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// SHA-256 of its bytes.
    #[must_use]
    pub fn fingerprint(&self) -> Hash32 {
        fingerprint(&self.der)
    }

    /// Its serial number, as it is encoded.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Whom it speaks for, if it says so in the form of this chain.
    #[must_use]
    pub const fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// Its subject's name for people.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its issuer's name for people.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// From when on it counts.
    #[must_use]
    pub const fn not_before(&self) -> TimestampMs {
        self.valid.0
    }

    /// Until when it counts.
    #[must_use]
    pub const fn not_after(&self) -> TimestampMs {
        self.valid.1
    }

    /// When two thirds of its life are over: then it is renewed.
    #[must_use]
    pub const fn renew_at(&self) -> TimestampMs {
        let (from, to) = (self.valid.0.0, self.valid.1.0);
        TimestampMs(from.saturating_add(to.saturating_sub(from) / 3 * 2))
    }

    /// Hosts it is for.
    #[must_use]
    pub fn names(&self) -> &[ServerName] {
        &self.names
    }

    /// The public key as it stands in it.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Whether it may sign others.
    #[must_use]
    pub const fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// Whether it is for clients of TLS.
    #[must_use]
    pub const fn is_for_clients(&self) -> bool {
        self.for_clients
    }

    /// Whether it is for servers.
    #[must_use]
    pub const fn is_for_servers(&self) -> bool {
        self.for_servers
    }

    /// Whether its signature is by its own key.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.is_signed_by(self)
    }

    /// Whether its signature is by `issuer`'s key and it names `issuer`. Neither times nor constraints are looked at.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        let (Ok((_, own)), Ok((_, other))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der))
        else {
            return false;
        };
        own.issuer().as_raw() == other.subject().as_raw() && own.verify_signature(Some(other.public_key())).is_ok()
    }
}

fn malformed(text: &str) -> CertificateError {
    CertificateError::Malformed(text.into())
}

fn time(seconds: i64) -> TimestampMs {
    TimestampMs(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000))
}

fn names(read: &X509Certificate<'_>) -> Result<(Option<Subject>, Vec<ServerName>), CertificateError> {
    let (mut subject, mut names) = (None, Vec::new());
    let extension = read.subject_alternative_name().map_err(|_| malformed("its names cannot be read"))?;
    for name in extension.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => names.extend(name.parse::<ServerName>().ok()),
            GeneralName::IPAddress(bytes) => names.extend(address(bytes).map(ServerName::Ip)),
            GeneralName::URI(uri) => subject = subject.or_else(|| uri.parse().ok()),
            _ => {}
        }
    }
    Ok((subject, names))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four: Result<[u8; 4], _> = bytes.try_into();
    let sixteen: Result<[u8; 16], _> = bytes.try_into();
    four.map(IpAddr::from).ok().or_else(|| sixteen.map(IpAddr::from).ok())
}
