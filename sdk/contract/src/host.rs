//! What a contract can ask of the chain. Each function is one call of the host; prices are in `docs/contracts.md`.
//!
//! Keys belong to the contract alone: no other contract reads or writes them. A bound that is exceeded ends the call.

use alloc::{string::String, vec::Vec};

use crate::{
    abi::Event,
    codec::{Account, Decode, Encode, Hash, Key, Reader, Signature, decode, encode},
    failure::CallFailure,
    sys,
};

/// The member an account belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The member's name.
    pub name: String,
    /// The member's role, for example `platform` or `regulator`.
    pub role: String,
}

/// The value of a key.
#[must_use]
pub fn read(key: &[u8]) -> Option<Vec<u8>> {
    sys::get(key)
}

/// Sets a key: 1 to 256 bytes to at most 64 KiB.
pub fn write(key: &[u8], value: &[u8]) {
    sys::put(key, value);
}

/// Removes a key; removing nothing is no error.
pub fn remove(key: &[u8]) {
    sys::delete(key);
}

/// The decoded value of a key.
///
/// # Panics
/// When the value is not the encoding of a `T`: the contract wrote something else there.
#[must_use]
pub fn load<T: Decode>(key: &[u8]) -> Option<T> {
    match read(key).map(|bytes| decode(&bytes)) {
        None => None,
        Some(Ok(value)) => Some(value),
        Some(Err(_)) => panic!("a stored value has another type"),
    }
}

/// Sets a key to the encoding of a value.
pub fn store<T: Encode + ?Sized>(key: &[u8], value: &T) {
    write(key, &encode(value));
}

/// Up to `limit` (at most 100) entries whose key begins with `prefix` and is greater than `after`, in ascending order.
/// An empty `after` starts at the first.
///
/// # Panics
/// When the host answers in another layout, which it does not.
#[must_use]
pub fn scan(prefix: &[u8], after: &[u8], limit: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let answer = sys::scan(prefix, after, limit);
    let mut reader = Reader::new(&answer);
    let Ok(count) = reader.length() else { panic!("scan") };
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let (Ok(key), Ok(value)) = (reader.bytes(), reader.bytes()) else { panic!("scan") };
        entries.push((key.to_vec(), value.to_vec()));
    }
    entries
}

/// Emits an event.
pub fn emit<E: Event>(event: &E) {
    sys::event(E::NAME, &encode(event));
}

/// Calls another contract, with at most `fuel` of what is left. Its changes are undone if it fails, this call goes on.
///
/// # Errors
/// How the other contract failed.
///
/// # Panics
/// When the host answers in another layout, which it does not.
pub fn call<A: Encode, R: Decode>(contract: &str, method: &str, arguments: &A, fuel: u64) -> Result<R, CallFailure> {
    let answer = sys::call(contract, method, &encode(arguments), fuel);
    let mut reader = Reader::new(&answer);
    let outcome = match u32::decode(&mut reader) {
        Ok(0) => reader.bytes().and_then(decode).map(Ok),
        Ok(1) => <(String, String)>::decode(&mut reader).map(|(code, message)| Err(CallFailure { code, message })),
        _ => Err(crate::DecodeError),
    };
    match outcome {
        Ok(outcome) => outcome,
        Err(_) => panic!("the called contract returned another type"),
    }
}

/// The member an account belongs to, if it is registered and active.
#[must_use]
pub fn membership(account: &Account) -> Option<Member> {
    let (name, role) = decode(&sys::membership(account)?).ok()?;
    Some(Member { name, role })
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// Its role, for example `platform` or `regulator`.
    pub role: String,
    /// False while it is suspended.
    pub active: bool,
}

/// Role and standing of a member; `None` when there is none of this name.
#[must_use]
pub fn member(name: &str) -> Option<MemberInfo> {
    let (role, active) = decode(&sys::member(name)?).ok()?;
    Some(MemberInfo { role, active })
}

/// What an account may do for its member, ascending, for example `reader` and `submitter`. Empty for an account that is
/// unknown or suspended, whose member is suspended, and for an administrator's key.
///
/// # Panics
/// When the host answers in another layout, which it does not.
#[must_use]
pub fn account_roles(account: &Account) -> Vec<String> {
    match decode(&sys::account_roles(account)) {
        Ok(roles) => roles,
        Err(_) => panic!("account_roles"),
    }
}

/// BLAKE3 of `tag`, a zero byte and `data`: the chain's own hash. The tag has 1 to 64 ASCII bytes.
#[must_use]
pub fn hash(tag: &str, data: &[u8]) -> Hash {
    sys::hash(tag, data)
}

/// Whether a signature over `message` verifies, by the chain's one rule.
#[must_use]
pub fn verify(key: &Key, message: &[u8], signature: &Signature) -> bool {
    sys::verify(key, message, signature)
}
