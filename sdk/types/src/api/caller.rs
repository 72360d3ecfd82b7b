//! Requests signed by an account: who calls is shown by a key of the registry, without a session and without a secret
//! that travels.
//!
//! ```text
//! vouch-key        the account's public key
//! vouch-node       host and port by which the client reaches the node, in lower case
//! vouch-time       the client's clock, milliseconds since 1970; at most 60 s from the node's
//! vouch-nonce      16 random bytes in hexadecimal, new for each attempt
//! vouch-body       BLAKE3 of the body in hexadecimal
//! vouch-signature  over the hash of: chain, node, method, path with query, time, nonce, hash of the body
//! ```
//!
//! Everything that is signed stands in the head of a request, so that a node judges it before it takes the body.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{AccountView, HexBytes};
use crate::{
    codec::encode,
    hash::{ChainId, Hash32, SubjectId, domain_hash},
    keys::SecretKey,
    numbers::TimestampMs,
};

/// Header with the account's public key.
pub const KEY_HEADER: &str = "vouch-key";
/// Header with the [`Authority`] of the node.
pub const NODE_HEADER: &str = "vouch-node";
/// Header with the time of signing.
pub const TIME_HEADER: &str = "vouch-time";
/// Header with the nonce.
pub const NONCE_HEADER: &str = "vouch-nonce";
/// Header with the hash of the body.
pub const BODY_HEADER: &str = "vouch-body";
/// Header with the signature.
pub const SIGNATURE_HEADER: &str = "vouch-signature";
/// How far the client's clock may be from the node's, in milliseconds; a nonce is remembered for twice as long.
pub const WINDOW_MS: u64 = 60_000;

/// Longest host of an [`Authority`], in bytes: as long as a name of the domain name system.
const HOST_BYTES_MAX: usize = 253;

/// Host and port by which a client was told to reach a node: what it signs a request for. It is the client's own word, not
/// what a node says of itself, so that no node can have requests signed for another one.
///
/// As text `host:port`, always with the port, the host in lower case, an IPv6 address in brackets and in its shortest form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Authority {
    host: String,
    port: u16,
}

/// A text that is no [`Authority`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected host:port, such as node1.example:7480, 192.0.2.7:7480 or [2001:db8::7]:7480")]
pub struct AuthorityError;

impl Authority {
    /// From a host, an IPv6 address in brackets or without, and a port.
    ///
    /// # Errors
    /// [`AuthorityError`] for a host that is neither a name in ASCII nor an address.
    pub fn new(host: &str, port: u16) -> Result<Self, AuthorityError> {
        let bare = host.strip_prefix('[').map_or(Some(host), |rest| rest.strip_suffix(']')).ok_or(AuthorityError)?;
        if let Ok(address) = bare.parse::<Ipv6Addr>() {
            return Ok(Self { host: format!("[{address}]"), port });
        }
        let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if bare.len() != host.len() || !(1..=HOST_BYTES_MAX).contains(&host.len()) || !host.bytes().all(is_of_names) {
            return Err(AuthorityError);
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it leads to the machine that the client runs on, whichever that is.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let v6 = self.host.trim_start_matches('[').trim_end_matches(']').parse::<Ipv6Addr>();
        self.host == "localhost"
            || self.host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || v6.is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for Authority {
    type Err = AuthorityError;
    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        let (host, port) = text.rsplit_once(':').ok_or(AuthorityError)?;
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        // An IPv6 address without brackets has no place for a port.
        if !is_number || (host.contains(':') && !host.starts_with('[')) {
            return Err(AuthorityError);
        }
        Self::new(host, port.parse().map_err(|_| AuthorityError)?)
    }
}

impl TryFrom<String> for Authority {
    type Error = AuthorityError;
    fn try_from(text: String) -> Result<Self, AuthorityError> {
        text.parse()
    }
}

impl From<Authority> for String {
    fn from(authority: Authority) -> Self {
        authority.to_string()
    }
}

/// What is signed of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedRequest<'a> {
    /// The chain: what is signed for one is worth nothing at another.
    pub chain: ChainId,
    /// The node: what one has heard is worth nothing at another.
    pub node: &'a Authority,
    /// The HTTP method in capitals.
    pub method: &'a str,
    /// Path and query as they are sent.
    pub target: &'a str,
    /// When.
    pub time: TimestampMs,
    /// Random, once.
    pub nonce: [u8; 16],
    /// [`SignedRequest::body_hash`] of the body as it is sent.
    pub body: Hash32,
}

impl SignedRequest<'_> {
    /// The hash of a body; of nothing when there is none.
    #[must_use]
    pub fn body_hash(body: &[u8]) -> Hash32 {
        Hash32(*blake3::hash(body).as_bytes())
    }

    /// What the signature is made over.
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        let (method, target) = (self.method.to_owned(), self.target.to_owned());
        let said = encode(&((self.node.to_string(), method, target), (self.time, self.nonce, self.body.0)));
        domain_hash("vouch/request/2", &[self.chain.as_bytes(), &said])
    }

    /// All headers of the request, signed with a key: names and values, whatever is signed now or later.
    #[must_use]
    pub fn headers(&self, key: &SecretKey) -> [(&'static str, String); 6] {
        let signature = key.sign(self.digest().as_bytes());
        [
            (KEY_HEADER, key.public().to_string()),
            (NODE_HEADER, self.node.to_string()),
            (TIME_HEADER, self.time.0.to_string()),
            (NONCE_HEADER, HexBytes(self.nonce.to_vec()).to_string()),
            (BODY_HEADER, self.body.to_string()),
            (SIGNATURE_HEADER, HexBytes(signature.0.to_vec()).to_string()),
        ]
    }
}

/// Who the node takes a caller for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallerView {
    /// The account; absent for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountView>,
    /// The person whose own key it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    /// The member the node belongs to. An account of another one may see there only the read audit of what is its member's
    /// to see.
    pub node_member: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_has_one_form() {
        for (text, form) in [
            ("Node1.Example:7480", Some("node1.example:7480")),
            ("192.0.2.7:443", Some("192.0.2.7:443")),
            ("[2001:DB8:0::7]:7480", Some("[2001:db8::7]:7480")),
            ("a_b-c.例:1", None),
            ("node1.example", None),
            ("node1.example:", None),
            ("node1.example:+80", None),
            ("node1.example:65536", None),
            (":80", None),
            ("2001:db8::7:7480", None),
            ("[2001:db8::7:7480", None),
            ("[node1]:80", None),
            ("user@node1:80", None),
            ("node1/x:80", None),
            ("node1, node2:80", None),
        ] {
            assert_eq!(text.parse::<Authority>().ok().map(String::from).as_deref(), form, "{text}");
        }
        assert!(Authority::new(&"a".repeat(254), 1).is_err());
        assert_eq!(Authority::new("::1", 80).unwrap().to_string(), "[::1]:80");
    }

    #[test]
    fn loopback_is_told_from_names() {
        for (text, expected) in [
            ("localhost:1", true),
            ("LOCALHOST:1", true),
            ("127.0.0.1:1", true),
            ("127.8.9.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("localhost.example:1", false),
            ("10.0.0.1:1", false),
            ("[2001:db8::1]:1", false),
        ] {
            assert_eq!(text.parse::<Authority>().unwrap().is_loopback(), expected, "{text}");
        }
    }
}
