//! Where things stand in the state: `contract name ‖ 0x00 ‖ the contract's own key`.
//!
//! Names hold no zero byte, so no contract can reach into another's space. The kernel's records stand under the name
//! `system`, which no deployed contract may take.

use vouch_types::{AccountId, CodeHash, ContractName, Hash32, NodeId};

/// The kernel's name in calls and keys.
pub const SYSTEM: &str = "system";
/// Longest key within a contract's space, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest value, in bytes. Contract code stands in the kernel's space under a bound of its own.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// A contract's key as it stands in the state.
#[must_use]
pub fn contract_key(contract: &ContractName, key: &[u8]) -> Vec<u8> {
    join(contract.as_str(), key)
}

fn join(space: &str, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(space.len() + 1 + key.len());
    full.extend_from_slice(space.as_bytes());
    full.push(0);
    full.extend_from_slice(key);
    full
}

fn system_key(kind: &str, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(kind.len() + 1 + name.len());
    key.extend_from_slice(kind.as_bytes());
    key.push(b'/');
    key.extend_from_slice(name);
    join(SYSTEM, &key)
}

/// Chain parameters.
#[must_use]
pub fn params() -> Vec<u8> {
    join(SYSTEM, b"params")
}

/// A member by name.
#[must_use]
pub fn member(name: &str) -> Vec<u8> {
    system_key("member", name.as_bytes())
}

/// An account by id.
#[must_use]
pub fn account(id: &AccountId) -> Vec<u8> {
    system_key("account", &id.0)
}

/// A node by id.
#[must_use]
pub fn node(id: &NodeId) -> Vec<u8> {
    system_key("node", &id.0)
}

/// A contract by name.
#[must_use]
pub fn contract(name: &ContractName) -> Vec<u8> {
    system_key("contract", name.as_str().as_bytes())
}

/// A contract's code by hash.
#[must_use]
pub fn code(hash: &Hash32) -> Vec<u8> {
    system_key("code", &hash.0)
}

/// What is known of a package by its code's hash.
#[must_use]
pub fn package(code: &CodeHash) -> Vec<u8> {
    system_key("package", &code.0)
}

/// A certificate by fingerprint.
#[must_use]
pub fn certificate(fingerprint: &Hash32) -> Vec<u8> {
    system_key("certificate", &fingerprint.0)
}

/// How many proposals there have been.
#[must_use]
pub fn proposal_count() -> Vec<u8> {
    join(SYSTEM, b"proposals")
}

/// A proposal with its ballots.
#[must_use]
pub fn proposal(id: u64) -> Vec<u8> {
    system_key("proposal", &id.to_be_bytes())
}

/// What a proposal does.
#[must_use]
pub fn proposal_actions(id: u64) -> Vec<u8> {
    system_key("proposal-actions", &id.to_be_bytes())
}

/// The numbers of a member's open proposals.
#[must_use]
pub fn proposals_open(member: &str) -> Vec<u8> {
    system_key("proposal-open", member.as_bytes())
}

/// First key of a kind of kernel record and the key after the last.
#[must_use]
pub fn system_range(kind: &str) -> (Vec<u8>, Vec<u8>) {
    let from = system_key(kind, b"");
    let mut to = from.clone();
    to.pop();
    to.push(b'/' + 1);
    (from, to)
}

#[cfg(test)]
mod tests {
    use vouch_types::governance::key;

    use super::*;

    #[test]
    fn proposals_stand_where_a_browser_looks_for_them() {
        let full = |prefix: &[u8]| [b"system\0", prefix, &[0, 0, 0, 0, 0, 0, 1, 2]].concat();
        assert_eq!(proposal(258), full(key::PROPOSAL));
        assert_eq!(proposal_actions(258), full(key::ACTIONS));
    }
}
