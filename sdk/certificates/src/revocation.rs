//! Lists of revoked certificates (RFC 5280, section 5).

use rcgen::{RevocationReason, RevokedCertParams, SerialNumber};
use rustls_pki_types::{CertificateRevocationListDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use vouch_types::TimestampMs;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use crate::{Certificate, CertificateError, authority::moment, der::Signed};

/// Most bytes of a list that is read.
const BYTES_MAX: usize = 4 << 20;

/// Why a certificate was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not said.
    Unspecified,
    /// Someone else may have the key.
    KeyCompromise,
    /// The service belongs to another member now.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// The service has ended.
    CessationOfOperation,
    /// It may not act any more.
    PrivilegeWithdrawn,
}

impl Reason {
    /// As it is written in files and on the chain.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key_compromise",
            Self::AffiliationChanged => "affiliation_changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation_of_operation",
            Self::PrivilegeWithdrawn => "privilege_withdrawn",
        }
    }

    const fn code(self) -> RevocationReason {
        match self {
            Self::Unspecified => RevocationReason::Unspecified,
            Self::KeyCompromise => RevocationReason::KeyCompromise,
            Self::AffiliationChanged => RevocationReason::AffiliationChanged,
            Self::Superseded => RevocationReason::Superseded,
            Self::CessationOfOperation => RevocationReason::CessationOfOperation,
            Self::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        }
    }
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The certificate's serial number.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub at: TimestampMs,
    /// Why.
    pub reason: Reason,
}

impl Revoked {
    pub(crate) fn entry(&self) -> Result<RevokedCertParams, CertificateError> {
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from_slice(&self.serial),
            revocation_time: moment(self.at)?,
            reason_code: Some(self.reason.code()),
            invalidity_date: None,
        })
    }
}

/// A list that was read. Nothing here says that it is worth anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    der: Vec<u8>,
}

impl RevocationList {
    /// Reads all lists of a PEM file, in order.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], also when there is none.
    pub fn read_all(text: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text).collect();
        let found = found.map_err(|_| malformed("it is no PEM of lists of revoked certificates"))?;
        if found.is_empty() {
            return Err(malformed("there is no list of revoked certificates in it"));
        }
        found.iter().map(|der| Self::from_der(der)).collect()
    }

    /// Reads one; what is not written as DER writes it is none.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > BYTES_MAX {
            return Err(malformed("it is too long for a list of revoked certificates"));
        }
        let (rest, _) = CertificateRevocationList::from_der(der).map_err(|_| malformed("it is no such list"))?;
        if !rest.is_empty() {
            return Err(malformed("bytes follow the list of revoked certificates"));
        }
        if !Signed::read(der).is_some_and(|signed| signed.names_its_algorithm()) {
            return Err(malformed("it is not written as DER writes it"));
        }
        Ok(Self { der: der.to_vec() })
    }

    /// Its bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether its signature is by `issuer`'s key and it names `issuer`. Its times are not looked at.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let (Ok((_, own)), Ok((_, other))) =
            (CertificateRevocationList::from_der(&self.der), X509Certificate::from_der(issuer.der()))
        else {
            return false;
        };
        own.issuer().as_raw() == other.subject().as_raw() && own.verify_signature(other.public_key()).is_ok()
    }
}

fn malformed(text: &str) -> CertificateError {
    CertificateError::Malformed(text.into())
}
