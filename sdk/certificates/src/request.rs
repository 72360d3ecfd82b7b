//! Requests for certificates (PKCS#10): the applicant shows that it has the key.

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, IsCa, SanType, string::Ia5String,
};
use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject as _};

use crate::{
    CertificateError, Key, ServerName, Subject,
    der::{ECDSA_SHA256, Signed, is_binary},
};

/// Most bytes of a request that is read.
const BYTES_MAX: usize = 16 << 10;
/// A public key of P-256 begins so and has so many bytes: algorithm, curve, a point that is not compressed.
const P256_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const P256_BYTES: usize = 91;
/// Most host names in one.
const NAMES_MAX: usize = 64;

/// A request whose signature is good.
#[derive(Debug)]
pub struct Request {
    pub(crate) inner: CertificateSigningRequestParams,
    subject: Option<Subject>,
    names: Vec<ServerName>,
}

impl Request {
    /// Writes a request as PEM.
    ///
    /// # Errors
    /// [`CertificateError::Name`].
    pub fn make(key: &Key, subject: &Subject, names: &[ServerName]) -> Result<String, CertificateError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished_name(subject);
        params.subject_alt_names = san(subject, names)?;
        let made = params.serialize_request(&key.0).and_then(|request| request.pem());
        made.map_err(|error| CertificateError::Request(format!("the request could not be made: {error}")))
    }

    /// Reads a request, PEM or DER, and checks that who made it has the key.
    ///
    /// # Errors
    /// [`CertificateError::Request`].
    pub fn read(bytes: &[u8]) -> Result<Self, CertificateError> {
        let wrong = CertificateError::Request;
        if bytes.len() > BYTES_MAX {
            return Err(wrong(format!("a request has at most {BYTES_MAX} bytes")));
        }
        let der = if is_binary(bytes) {
            CertificateSigningRequestDer::from(bytes.to_vec())
        } else {
            CertificateSigningRequestDer::from_pem_slice(bytes).map_err(|error| wrong(format!("no PEM: {error:?}")))?
        };
        check_form(&der)?;
        let inner = CertificateSigningRequestParams::from_der(&der).map_err(|error| wrong(error.to_string()))?;
        if !matches!(inner.params.is_ca, IsCa::NoCa | IsCa::ExplicitNoCa) {
            return Err(wrong("it asks to be an authority; whoever issues decides that".into()));
        }
        let (mut subject, mut names) = (None, Vec::new());
        for name in &inner.params.subject_alt_names {
            match name {
                SanType::DnsName(name) => names.push(name.as_str().parse()?),
                SanType::IpAddress(address) => names.push(ServerName::Ip(*address)),
                SanType::URI(uri) if subject.is_none() => subject = Some(uri.as_str().parse()?),
                _ => return Err(wrong("it holds a name of a kind that is not issued".into())),
            }
        }
        if names.len() > NAMES_MAX {
            return Err(wrong(format!("it names more than {NAMES_MAX} hosts")));
        }
        Ok(Self { inner, subject, names })
    }

    /// Whom the applicant says it speaks for.
    #[must_use]
    pub const fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// Hosts it asks for.
    #[must_use]
    pub fn names(&self) -> &[ServerName] {
        &self.names
    }
}

/// What the parser behind does not look at: the kind of the key and of the signature, names with no value, what follows, and
/// other ways of writing the same.
fn check_form(der: &CertificateSigningRequestDer<'_>) -> Result<(), CertificateError> {
    use x509_parser::prelude::{FromDer as _, X509CertificationRequest};
    let wrong = |text: &str| CertificateError::Request(text.into());
    let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| wrong("it is no request"))?;
    if !rest.is_empty() {
        return Err(wrong("bytes follow the request"));
    }
    let info = &request.certification_request_info;
    if info.subject_pki.raw.len() != P256_BYTES || !info.subject_pki.raw.starts_with(P256_HEAD) {
        return Err(wrong("the key is not ECDSA P-256, uncompressed"));
    }
    let signed = Signed::read(der).ok_or_else(|| wrong("it is not written as DER writes it"))?;
    if signed.algorithm != ECDSA_SHA256 {
        return Err(wrong("it is not signed with ECDSA and SHA-256"));
    }
    let subject = &info.subject;
    if subject.iter().any(|part| part.iter().count() != 1) {
        return Err(wrong("a part of its subject has not one value"));
    }
    Ok(())
}

pub(crate) fn distinguished_name(subject: &Subject) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, subject.member.as_str());
    name.push(DnType::CommonName, subject.name.as_str());
    name
}

pub(crate) fn san(subject: &Subject, names: &[ServerName]) -> Result<Vec<SanType>, CertificateError> {
    let urn = subject.to_string();
    let urn: Ia5String =
        urn.as_str().try_into().map_err(|_| CertificateError::Name(format!("{urn} has other than ASCII")))?;
    let hosts = names.iter().map(ServerName::to_san);
    hosts.chain([Ok(SanType::URI(urn))]).collect()
}
