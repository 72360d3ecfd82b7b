//! Transactions that the key signs, whatever they are for.

use serde::Deserialize;
use serde_json::json;
use vouch_types::{
    Call, ChainId, Height, TxId,
    api::HexBytes,
    encode,
    transaction::{CALLS_MAX, TRANSACTION_VERSION, TransactionBody},
};
use zeroize::Zeroizing;

use crate::{Fault, session::with_key};

/// Where and until when a transaction counts.
#[derive(Deserialize)]
pub(crate) struct Place {
    chain: ChainId,
    expiry: Height,
    salt: HexBytes,
}

/// Signs calls with the key that is open. Id and bytes, as JSON.
///
/// # Errors
/// `client.signed_out`, `client.bad_input`.
pub(crate) fn signed(place: Place, calls: Vec<Call>) -> Result<serde_json::Value, Fault> {
    let Place { chain, expiry, salt } = place;
    let salt = salt.0.try_into().map_err(|_| Fault::new("client.bad_input", "a salt has 16 bytes"))?;
    if calls.is_empty() || calls.len() > CALLS_MAX {
        return Err(Fault::new("client.bad_input", format!("a transaction has 1 to {CALLS_MAX} calls")));
    }
    let body = TransactionBody { version: TRANSACTION_VERSION, chain, expiry, salt, calls };
    let id: TxId = body.id();
    let raw = Zeroizing::new(with_key(|key| encode(&body.sign(&[key])))?);
    Ok(json!({ "id": id, "raw": HexBytes(raw.to_vec()) }))
}
