//! The key of whoever is signed in: opened here, used here, gone with the worker.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::Deserialize;
use serde_json::json;
use vouch_privacy::key_file::{KeyFile, KeyFileError, Password};
use vouch_types::{
    ChainId, SecretKey, TimestampMs,
    api::{
        HexBytes,
        caller::{Authority, SignedRequest},
    },
};

use crate::{Fault, part, read, written};

static KEY: Mutex<Option<SecretKey>> = Mutex::new(None);

/// What is signed of a request, without its body.
#[derive(Deserialize)]
struct Said {
    chain: ChainId,
    node: Authority,
    method: String,
    target: String,
    time: TimestampMs,
    nonce: HexBytes,
}

/// Most memory for a key derivation here: a page does not give all there is to a file that somebody sent. Files of `vouch`
/// ask for 64 MiB, three times over.
const MEMORY_KIB_MAX: u32 = 256 << 10;
/// Most memory times passes: some seconds.
const WORK_KIB_MAX: u64 = 1 << 20;

fn fault(error: KeyFileError) -> Fault {
    Fault::new(error.code(), error)
}

/// A key file that a browser can open.
fn file_from(bytes: &[u8]) -> Result<KeyFile, Fault> {
    let file = KeyFile::from_bytes(bytes).map_err(fault)?;
    let (memory_kib, passes) = file.cost();
    if memory_kib > MEMORY_KIB_MAX || u64::from(memory_kib) * u64::from(passes) > WORK_KIB_MAX {
        let detail = format!(
            "its key derivation takes {} MiB {passes} times, which is more than a browser does: use vouch",
            memory_kib >> 10
        );
        return Err(Fault::new("keystore.malformed", detail));
    }
    Ok(file)
}

/// What a key file says without a password. Input: the file.
///
/// # Errors
/// `keystore.malformed`.
pub fn look(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let file = file_from(input)?;
    let key = file.public_key();
    written(&json!({ "key": key, "account": key.account(), "encrypted": file.is_encrypted() }))
}

/// Opens a key file and keeps the key. Input: length of the password, password, file; no password is one without bytes.
///
/// # Errors
/// `keystore.*`.
pub fn unlock(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let (password, file) = part(input)?;
    let password = core::str::from_utf8(password).map_err(|_| fault(KeyFileError::WrongPassword))?;
    let password = (!password.is_empty()).then(|| Password::new(password));
    let key = file_from(file)?.open(password.as_ref()).map_err(fault)?;
    let public = key.public();
    *KEY.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    written(&json!({ "key": public, "account": public.account() }))
}

/// Signs a request. Input: length of the head, head as JSON, body as it will be sent. Answers the headers by name.
///
/// # Errors
/// `client.signed_out`, `client.bad_input`.
pub fn sign(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let (head, body) = part(input)?;
    let Said { chain, node, method, target, time, nonce } = read(head)?;
    let short = |_| Fault::new("client.bad_input", "a nonce has 16 bytes");
    let nonce: [u8; 16] = nonce.0.as_slice().try_into().map_err(short)?;
    let body = SignedRequest::body_hash(body);
    let said = SignedRequest { chain, node: &node, method: &method, target: &target, time, nonce, body };
    written(&with_key(|key| said.headers(key).into_iter().collect::<BTreeMap<_, _>>())?)
}

/// Does something with the key.
///
/// # Errors
/// `client.signed_out`.
pub(crate) fn with_key<T>(work: impl FnOnce(&SecretKey) -> T) -> Result<T, Fault> {
    let key = KEY.lock().unwrap_or_else(PoisonError::into_inner);
    key.as_ref().map(work).ok_or_else(|| Fault::new("client.signed_out", "no key is open"))
}

/// There is one key at a time, so tests that open one take turns; each begins signed out.
#[cfg(test)]
pub(crate) fn turn() -> std::sync::MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    *KEY.lock().unwrap_or_else(PoisonError::into_inner) = None;
    turn
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use vouch_types::{
        PublicKey, Signature,
        api::caller::{BODY_HEADER, KEY_HEADER, NODE_HEADER, NONCE_HEADER, SIGNATURE_HEADER, TIME_HEADER},
        hash::domain_hash,
    };

    use super::*;

    /// A whole key file with another cost, as somebody could make it.
    fn costing(memory_kib: u32, passes: u32) -> Vec<u8> {
        let public = SecretKey::from_seed([9; 32]).public();
        let (cost, sealed) = ([memory_kib.to_le_bytes(), passes.to_le_bytes()].concat(), [7; 16 + 24 + 48]);
        let secret = [&[1], &cost[..], &sealed].concat();
        let checksum = domain_hash("vouch/key-file/1", &[&[1, public.algorithm], &public.bytes, &secret]);
        json!({ "version": 1, "public_key": public, "checksum": checksum, "secret": {
            "form": "argon2id-xchacha20poly1305", "cost": { "memory_kib": memory_kib, "passes": passes },
            "salt": "07".repeat(16), "nonce": "07".repeat(24), "ciphertext": "07".repeat(48) } })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_file_that_would_keep_the_browser_busy_is_not_begun() {
        assert!(look(&costing(64 << 10, 3)).is_ok());
        assert!(look(&costing(256 << 10, 4)).is_ok());
        for (memory_kib, passes) in [(256 << 10, 5), (257 << 10, 1), (1 << 20, 16), (8, u32::MAX), (u32::MAX, u32::MAX)]
        {
            let file = costing(memory_kib, passes);
            let opened = unlock(&[&2u32.to_le_bytes()[..], b"pw", &file[..]].concat());
            assert_eq!(opened.unwrap_err().code, "keystore.malformed", "{memory_kib} {passes}");
            assert!(look(&file).unwrap_err().detail.contains("more than a browser does"));
        }
    }

    #[test]
    fn what_is_signed_is_what_a_node_verifies() {
        let _turn = turn();
        let chain = ChainId([3; 32]);
        let head = json!({ "chain": chain, "node": "node1.example:7480", "method": "POST", "target": "/api/v1/x?y=1", "time": 17,
            "nonce": "07".repeat(16) });
        let head = head.to_string().into_bytes();
        let input = [&u32::try_from(head.len()).unwrap().to_le_bytes()[..], &head, b"body"].concat();
        assert_eq!(sign(&input).unwrap_err().code, "client.signed_out");

        let secret = SecretKey::from_seed([9; 32]);
        let file = KeyFile::bare(&secret).to_bytes();
        let seen: Value = serde_json::from_slice(&look(&file).unwrap()).unwrap();
        assert_eq!(seen["encrypted"], false);
        unlock(&[&[0; 4], &file[..]].concat()).unwrap();
        let signed: Value = serde_json::from_slice(&sign(&input).unwrap()).unwrap();
        let key: PublicKey = signed[KEY_HEADER].as_str().unwrap().parse().unwrap();
        let signature: HexBytes = signed[SIGNATURE_HEADER].as_str().unwrap().parse().unwrap();
        assert_eq!(
            (signed[NODE_HEADER].as_str(), signed[TIME_HEADER].as_str(), signed[NONCE_HEADER].as_str()),
            (Some("node1.example:7480"), Some("17"), Some(&*"07".repeat(16)))
        );
        let hash = SignedRequest::body_hash(b"body");
        assert_eq!(signed[BODY_HEADER], hash.to_string());
        let node = "node1.example:7480".parse().unwrap();
        let said = SignedRequest {
            chain,
            node: &node,
            method: "POST",
            target: "/api/v1/x?y=1",
            time: TimestampMs(17),
            nonce: [7; 16],
            body: hash,
        };
        assert_eq!(key, secret.public());
        assert_eq!(key.verify(said.digest().as_bytes(), &Signature(signature.0.try_into().unwrap())), Ok(()));
        assert_eq!(look(b"{}").unwrap_err().code, "keystore.malformed");
        assert_eq!(unlock(&[9, 0, 0, 0]).unwrap_err().code, "client.bad_input");
    }
}
