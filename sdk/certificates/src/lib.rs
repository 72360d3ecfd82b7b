//! X.509 certificates of a member: its own authority, requests, certificates, revocation lists, and which outside systems a
//! node lets in.
//!
//! Deliberately not here: the chain, on which stands what a certificate is worth; files and passwords; TLS itself. Keys,
//! bytes and the time come in, bytes go out.
//!
//! ```text
//! service:   Key --> Request -------\                           chain: record_certificate, revoke_certificate, …
//! member:    Authority (P-256, names permitted) --issue--> Certificate --> service
//!                      \--------------revocation_list--> CRL
//! node:      AllowList --find(fingerprint, subject)--> scope, accounts
//! ```
//!
//! All keys are ECDSA P-256. An authority signs for names within its constraints only, never for longer than it lasts itself.
#![forbid(unsafe_code)]

mod allow;
mod authority;
mod certificate;
mod der;
mod error;
mod key;
mod name;
mod request;
mod revocation;

pub use allow::{ALLOWED_MAX, AllowList, AllowedClient, Scope};
pub use authority::{Authority, NewAuthority, Order, Profile};
pub use certificate::{Certificate, ROOT_BYTES_MAX, fingerprint};
pub use error::CertificateError;
pub use key::Key;
pub use name::{Permit, ServerName, Subject, SubjectKind};
pub use request::Request;
pub use revocation::{Reason, RevocationList, Revoked};

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 3_600_000;

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}
