//! What must hold for a document to found a chain.

use std::collections::BTreeSet;

use vouch_types::{PublicKey, encode};

use crate::{
    document::{
        CERTIFICATE_BYTES_MAX, CONTRACT_CODE_BYTES_MAX, CONTRACTS_MAX, DOCUMENT_BYTES_MAX, FORMAT_VERSION,
        GenesisContract, GenesisDocument, MEMBER_ENTRIES_MAX, MEMBERS_MAX, Member, NodeEntry, TITLE_BYTES_MAX, is_name,
    },
    error::GenesisError,
};

/// Longest address, in bytes.
const ADDRESS_BYTES_MAX: usize = 255;
/// First bytes of every WASM module of version 1.
const WASM_PREAMBLE: &[u8] = b"\0asm\x01\0\0\0";

impl GenesisDocument {
    /// Checks the whole document: format, bounds, parameters, names and keys each used once, no weak key, thresholds
    /// that can be reached, at least one validator, canonical order.
    ///
    /// # Errors
    /// [`GenesisError`], the first fault found.
    pub fn validate(&self) -> Result<(), GenesisError> {
        if self.format != FORMAT_VERSION {
            return Err(GenesisError::Format(self.format));
        }
        check_title("chain_name", &self.chain_name)?;
        self.params.validate()?;
        check_size("members", self.members.len(), 1, MEMBERS_MAX)?;
        check_size("contracts", self.contracts.len(), 0, CONTRACTS_MAX)?;
        let mut seen = Seen::default();
        for (i, member) in self.members.iter().enumerate() {
            seen.check_member(&format!("members[{i}]"), member)?;
        }
        for (i, contract) in self.contracts.iter().enumerate() {
            seen.check_contract(&format!("contracts[{i}]"), contract)?;
        }
        self.check_order()?;
        self.validator_set()?;
        check_size("document", encode(self).len(), 0, DOCUMENT_BYTES_MAX)
    }

    fn check_order(&self) -> Result<(), GenesisError> {
        let ordered = |sorted: bool, path: &dyn Fn() -> String| {
            if sorted { Ok(()) } else { Err(GenesisError::Order { path: path() }) }
        };
        ordered(self.members.is_sorted_by_key(|m| &m.name), &|| "members".into())?;
        ordered(self.contracts.is_sorted_by_key(|c| &c.name), &|| "contracts".into())?;
        for (i, member) in self.members.iter().enumerate() {
            ordered(member.admin.keys.is_sorted(), &|| format!("members[{i}].admin.keys"))?;
            ordered(member.nodes.is_sorted_by_key(|n| &n.name), &|| format!("members[{i}].nodes"))?;
            ordered(member.accounts.is_sorted_by_key(|a| &a.name), &|| format!("members[{i}].accounts"))?;
            for (j, account) in member.accounts.iter().enumerate() {
                let roles = account.roles.is_sorted_by(|a, b| a < b);
                ordered(roles, &|| format!("members[{i}].accounts[{j}].roles"))?;
            }
        }
        Ok(())
    }
}

/// Names by kind and keys of all kinds that stood earlier in the document.
#[derive(Default)]
struct Seen<'a> {
    members: BTreeSet<&'a str>,
    nodes: BTreeSet<&'a str>,
    accounts: BTreeSet<&'a str>,
    contracts: BTreeSet<&'a str>,
    keys: BTreeSet<PublicKey>,
}

impl<'a> Seen<'a> {
    fn check_member(&mut self, path: &str, member: &'a Member) -> Result<(), GenesisError> {
        check_name(&mut self.members, &format!("{path}.name"), member.name.as_str())?;
        check_title(&format!("{path}.title"), &member.title)?;
        let admin = &member.admin;
        check_size(&format!("{path}.admin.keys"), admin.keys.len(), 1, MEMBER_ENTRIES_MAX)?;
        check_threshold(&format!("{path}.admin.threshold"), admin.threshold, admin.keys.len())?;
        for (i, key) in admin.keys.iter().enumerate() {
            self.check_key(&|| format!("{path}.admin.keys[{i}]"), key)?;
        }
        if member.encryption_key.is_some_and(|key| !is_encryption_key(&key.0)) {
            return Err(GenesisError::EncryptionKey { path: format!("{path}.encryption_key") });
        }
        if let Some(certificate) = &member.ca_certificate {
            check_size(&format!("{path}.ca_certificate"), certificate.len(), 1, CERTIFICATE_BYTES_MAX)?;
        }
        check_size(&format!("{path}.nodes"), member.nodes.len(), 0, MEMBER_ENTRIES_MAX)?;
        for (i, node) in member.nodes.iter().enumerate() {
            self.check_node(&format!("{path}.nodes[{i}]"), node)?;
        }
        check_size(&format!("{path}.accounts"), member.accounts.len(), 0, MEMBER_ENTRIES_MAX)?;
        for (i, account) in member.accounts.iter().enumerate() {
            let path = format!("{path}.accounts[{i}]");
            check_name(&mut self.accounts, &format!("{path}.name"), &account.name)?;
            self.check_key(&|| format!("{path}.key"), &account.key)?;
        }
        Ok(())
    }

    fn check_node(&mut self, path: &str, node: &'a NodeEntry) -> Result<(), GenesisError> {
        check_name(&mut self.nodes, &format!("{path}.name"), &node.name)?;
        self.check_key(&|| format!("{path}.consensus_key"), &node.consensus_key)?;
        self.check_key(&|| format!("{path}.network_key"), &node.network_key)?;
        if is_address(&node.address) {
            Ok(())
        } else {
            Err(GenesisError::Address { path: format!("{path}.address"), address: node.address.clone() })
        }
    }

    fn check_contract(&mut self, path: &str, contract: &'a GenesisContract) -> Result<(), GenesisError> {
        check_name(&mut self.contracts, &format!("{path}.name"), contract.name.as_str())?;
        let code_path = format!("{path}.code");
        check_size(&code_path, contract.code.len(), WASM_PREAMBLE.len(), CONTRACT_CODE_BYTES_MAX)?;
        if contract.code.starts_with(WASM_PREAMBLE) { Ok(()) } else { Err(GenesisError::Code { path: code_path }) }
    }

    fn check_key(&mut self, path: &dyn Fn() -> String, key: &PublicKey) -> Result<(), GenesisError> {
        if key.is_weak() {
            return Err(GenesisError::WeakKey { path: path(), key: *key });
        }
        if self.keys.insert(*key) { Ok(()) } else { Err(GenesisError::DuplicateKey { path: path(), key: *key }) }
    }
}

fn check_name<'a>(seen: &mut BTreeSet<&'a str>, path: &str, name: &'a str) -> Result<(), GenesisError> {
    if !is_name(name) {
        return Err(GenesisError::Name { path: path.to_owned() });
    }
    if seen.insert(name) {
        Ok(())
    } else {
        Err(GenesisError::DuplicateName { path: path.to_owned(), name: name.to_owned() })
    }
}

fn check_title(path: &str, text: &str) -> Result<(), GenesisError> {
    check_size(path, text.len(), 1, TITLE_BYTES_MAX)?;
    if text.chars().any(char::is_control) {
        return Err(GenesisError::Text { path: path.to_owned() });
    }
    Ok(())
}

fn check_size(path: &str, actual: usize, min: usize, max: usize) -> Result<(), GenesisError> {
    if (min..=max).contains(&actual) {
        Ok(())
    } else {
        Err(GenesisError::Size { path: path.to_owned(), actual, min, max })
    }
}

fn check_threshold(path: &str, actual: u16, max: usize) -> Result<(), GenesisError> {
    if (1..=max).contains(&usize::from(actual)) {
        Ok(())
    } else {
        Err(GenesisError::Threshold { path: path.to_owned(), actual, max })
    }
}

/// `host:port` or a multiaddr with one host and one TCP port. Whether the host exists is for the network to find out.
#[must_use]
pub fn is_address(text: &str) -> bool {
    if text.len() > ADDRESS_BYTES_MAX {
        return false;
    }
    if let Some(rest) = text.strip_prefix('/') {
        let parts: Vec<&str> = rest.split('/').collect();
        return match parts.as_slice() {
            ["ip4", host, "tcp", port] => host.parse::<std::net::Ipv4Addr>().is_ok() && is_port(port),
            ["ip6", host, "tcp", port] => host.parse::<std::net::Ipv6Addr>().is_ok() && is_port(port),
            ["dns" | "dns4" | "dns6", host, "tcp", port] => is_host(host) && is_port(port),
            _ => false,
        };
    }
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_ok = bracketed.map_or_else(|| is_host(host), |h| h.parse::<std::net::Ipv6Addr>().is_ok());
    host_ok && is_port(port)
}

/// Whether somebody can encrypt to an X25519 key: the few points of small order give everybody the same secret.
#[must_use]
pub fn is_encryption_key(key: &[u8; 32]) -> bool {
    // The highest bit is ignored by the function; the list is that of RFC 7748's implementations, canonical or not.
    let mut masked = *key;
    masked[31] &= 0x7f;
    let p = |low: u8| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (low, 0x7f);
        bytes
    };
    let small = |low: u8| {
        let mut bytes = [0; 32];
        bytes[0] = low;
        bytes
    };
    let of_small_order = [small(0), small(1), p(0xec), p(0xed), p(0xee), ORDER_8_FIRST, ORDER_8_SECOND];
    !of_small_order.contains(&masked)
}

const ORDER_8_FIRST: [u8; 32] = [
    0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d,
    0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
];
const ORDER_8_SECOND: [u8; 32] = [
    0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c,
    0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
];

fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p != 0)
}
