//! Names in certificates: whom one speaks for, and which hosts.

use std::{fmt, net::IpAddr, str::FromStr};

use rcgen::{CidrSubnet, GeneralSubtree, SanType, string::Ia5String};
use serde::{Deserialize, Serialize};

use crate::CertificateError;

/// Most bytes of a name.
const NAME_BYTES_MAX: usize = 64;
const URN: &str = "urn:vouch:";

/// What a certificate speaks for, in the chain's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A user or service of the member, by account id.
    Account,
    /// A node of the member.
    Node,
    /// A system outside of the chain.
    System,
}

impl SubjectKind {
    /// The text used in JSON and in certificates.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Node => "node",
            Self::System => "system",
        }
    }
}

/// Member and service: stands in the certificate as `urn:vouch:MEMBER:KIND:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// The member.
    pub member: String,
    /// What it is.
    pub kind: SubjectKind,
    /// Which.
    pub name: String,
}

impl Subject {
    /// Checks the names: 1 to 64 of `a-z 0-9 - _ .`, beginning with a letter or digit.
    ///
    /// # Errors
    /// [`CertificateError::Name`].
    pub fn new(member: &str, kind: SubjectKind, name: &str) -> Result<Self, CertificateError> {
        for (what, text) in [("the member", member), (kind.as_str(), name)] {
            let is_known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
            let begins = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            if !begins || text.len() > NAME_BYTES_MAX || !text.bytes().all(is_known) {
                let form = format!("1 to {NAME_BYTES_MAX} of a-z 0-9 - _ . beginning with a letter or digit");
                return Err(CertificateError::Name(format!("{what}: {text:?} is not {form}")));
            }
        }
        Ok(Self { member: member.into(), kind, name: name.into() })
    }

    /// Without the member: `system:erp`.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}:{}", self.kind.as_str(), self.name)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{URN}{}:{}:{}", self.member, self.kind.as_str(), self.name)
    }
}

impl FromStr for Subject {
    type Err = CertificateError;

    fn from_str(text: &str) -> Result<Self, CertificateError> {
        let other = || CertificateError::Name(format!("{text:?} is no urn:vouch:MEMBER:KIND:NAME"));
        let mut parts = text.strip_prefix(URN).ok_or_else(other)?.splitn(3, ':');
        let (member, kind, name) = (parts.next(), parts.next(), parts.next());
        let kind = match kind {
            Some("account") => SubjectKind::Account,
            Some("node") => SubjectKind::Node,
            Some("system") => SubjectKind::System,
            _ => return Err(other()),
        };
        Self::new(member.ok_or_else(other)?, kind, name.ok_or_else(other)?)
    }
}

/// Under which a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerName {
    /// A host name in lower case.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl FromStr for ServerName {
    type Err = CertificateError;

    fn from_str(text: &str) -> Result<Self, CertificateError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let text = text.to_ascii_lowercase();
        let is_label = |label: &str| {
            let edges = label.bytes().next().zip(label.bytes().next_back());
            label.len() <= 63
                && edges.is_some_and(|(a, b)| a != b'-' && b != b'-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if text.len() <= 253 && text.split('.').all(is_label) {
            return Ok(Self::Dns(text));
        }
        Err(CertificateError::Name(format!("{text:?} is neither a host name nor an address")))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => write!(f, "{address}"),
        }
    }
}

impl ServerName {
    pub(crate) fn to_san(&self) -> Result<SanType, CertificateError> {
        match self {
            Self::Ip(address) => Ok(SanType::IpAddress(*address)),
            Self::Dns(name) => {
                let name: Result<Ia5String, _> = name.as_str().try_into();
                name.map(SanType::DnsName).map_err(|_| CertificateError::Name(format!("{self} is no host name")))
            }
        }
    }

    /// This very name and, if it is a host name, what lies below it.
    #[must_use]
    pub fn as_permit(&self) -> Permit {
        match self {
            Self::Dns(name) => Permit::Domain(name.clone()),
            Self::Ip(address) => Permit::Net(*address, if address.is_ipv4() { 32 } else { 128 }),
        }
    }
}

/// What an authority may sign for: a domain with everything below it, or a net.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// `bank.example`.
    Domain(String),
    /// `10.0.0.0/8`, or a bare address.
    Net(IpAddr, u8),
}

impl FromStr for Permit {
    type Err = CertificateError;

    fn from_str(text: &str) -> Result<Self, CertificateError> {
        let Some((address, prefix)) = text.split_once('/') else {
            return ServerName::from_str(text).map(|name| name.as_permit());
        };
        let wrong = || CertificateError::Name(format!("{text:?} is no net such as 10.0.0.0/8"));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        if prefix > if address.is_ipv4() { 32 } else { 128 } {
            return Err(wrong());
        }
        Ok(Self::Net(address, prefix))
    }
}

impl Permit {
    pub(crate) fn to_subtree(&self) -> GeneralSubtree {
        match self {
            Self::Domain(name) => GeneralSubtree::DnsName(name.clone()),
            Self::Net(address, prefix) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, *prefix)),
        }
    }

    /// Whether a server's name lies within.
    #[must_use]
    pub fn covers(&self, name: &ServerName) -> bool {
        match (self, name) {
            (Self::Domain(domain), ServerName::Dns(name)) => {
                name == domain || name.strip_suffix(domain.as_str()).is_some_and(|head| head.ends_with('.'))
            }
            (Self::Net(IpAddr::V4(net), prefix), ServerName::Ip(IpAddr::V4(address))) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*prefix)).unwrap_or(0);
                net.to_bits() & mask == address.to_bits() & mask
            }
            (Self::Net(IpAddr::V6(net), prefix), ServerName::Ip(IpAddr::V6(address))) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(*prefix)).unwrap_or(0);
                net.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_read_back_and_wrong_ones_are_refused() {
        let subject = Subject::new("bank", SubjectKind::System, "erp-1").unwrap();
        assert_eq!(subject.to_string(), "urn:vouch:bank:system:erp-1");
        assert_eq!(subject.to_string().parse(), Ok(subject));
        for text in ["urn:vouch:bank:system", "urn:vouch:bank:robot:x", "urn:other", "urn:vouch:Bank:node:x", ""] {
            assert_eq!(text.parse::<Subject>().unwrap_err().code(), "certificate.name", "{text}");
        }
        for name in ["", "-x", "a b", "x\n", &"a".repeat(65), "a:b"] {
            assert!(Subject::new("bank", SubjectKind::Node, name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn permits_cover_what_lies_within() {
        for (permit, name, expected) in [
            ("bank.example", "bank.example", true),
            ("bank.example", "a.bank.example", true),
            ("bank.example", "notbank.example", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "11.0.0.1", true),
            ("::1", "::1", true),
            ("::1", "::2", false),
            ("10.0.0.1", "10.0.0.2", false),
            ("localhost", "127.0.0.1", false),
        ] {
            let covers = permit.parse::<Permit>().unwrap().covers(&name.parse().unwrap());
            assert_eq!(covers, expected, "{permit} {name}");
        }
        for text in ["10.0.0.0/33", "x/8", "a..b", "-a", "a_b", "*.bank.example"] {
            assert!(text.parse::<Permit>().is_err(), "{text}");
        }
    }
}
