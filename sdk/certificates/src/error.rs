//! What can be wrong with certificates.

/// Why something is not done. [`CertificateError::code`] is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Bytes that are no certificate, key or revocation list, or belong to something else.
    #[error("{0}")]
    Malformed(String),
    /// A request for a certificate that is not in order.
    #[error("{0}")]
    Request(String),
    /// A name that has not its form or is not permitted.
    #[error("{0}")]
    Name(String),
    /// The authority cannot sign this.
    #[error("{0}")]
    Authority(String),
    /// The list of clients a node lets in is not in its form.
    #[error("{0}")]
    AllowList(String),
}

impl CertificateError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "certificate.malformed",
            Self::Request(_) => "certificate.request",
            Self::Name(_) => "certificate.name",
            Self::Authority(_) => "certificate.authority",
            Self::AllowList(_) => "certificate.allow_list",
        }
    }
}
