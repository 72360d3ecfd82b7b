//! Checks proofs in a browser: the node's own verifier as a WebAssembly module.
//!
//! Deliberately not here: fetching proofs, showing results, and trust in whoever handed them over. What the caller must
//! have from a source it trusts is the 32-byte chain id.
//!
//! ```text
//! at = reserve(32 + n); write chain id ‖ proof at `at`; ok = verify(); read answer_bytes() bytes at answer_at(): JSON
//! ```

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use vouch_types::{
    ChainId,
    light::{Fact, PROOF_BYTES_MAX, ProofBundle},
    receipt::{Outcome, Receipt},
    transaction::VerifiedTransaction,
};

mod block;
mod governance;
mod record;

const CHAIN_BYTES: usize = 32;
/// Room beside a proof for a header and its certificate, as text.
const BLOCK_TEXT_BYTES_MAX: usize = 64 << 10;

static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Room for `bytes` of input, zeroed; the place to write it to. 0 when that is more than any proof has.
#[allow(unsafe_code, reason = "a name that the page looks for")]
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: u32) -> *mut u8 {
    let bytes = bytes as usize;
    if bytes > CHAIN_BYTES + 4 + PROOF_BYTES_MAX + BLOCK_TEXT_BYTES_MAX {
        return core::ptr::null_mut();
    }
    let mut input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
    *input = vec![0; bytes];
    input.as_mut_ptr()
}

/// Checks what was written as `chain id ‖ proof`: 1 when the proof holds, else 0. Either way the answer says more.
#[allow(unsafe_code, reason = "a name that the page looks for")]
#[unsafe(no_mangle)]
pub extern "C" fn verify() -> u32 {
    answer(check)
}

/// Checks what was written as `chain id ‖ length of the proof, u32 little-endian ‖ proof ‖ {"header", "certificate"}`: 1
/// when the block is final by the validator sets that the proof leads to, else 0.
#[allow(unsafe_code, reason = "a name that the page looks for")]
#[unsafe(no_mangle)]
pub extern "C" fn verify_block() -> u32 {
    answer(block::check)
}

fn answer(check: impl Fn(&[u8]) -> Result<String, String>) -> u32 {
    let input = core::mem::take(&mut *INPUT.lock().unwrap_or_else(PoisonError::into_inner));
    let (holds, text) = match check(&input) {
        Ok(text) => (1, text),
        Err(error) => (0, json!({ "error": error }).to_string()),
    };
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = text.into_bytes();
    holds
}

/// Where the answer is: UTF-8 JSON.
#[allow(unsafe_code, reason = "a name that the page looks for")]
#[unsafe(no_mangle)]
pub extern "C" fn answer_at() -> *const u8 {
    ANSWER.lock().unwrap_or_else(PoisonError::into_inner).as_ptr()
}

/// How many bytes the answer has.
#[allow(unsafe_code, reason = "a name that the page looks for")]
#[unsafe(no_mangle)]
pub extern "C" fn answer_bytes() -> u32 {
    u32::try_from(ANSWER.lock().unwrap_or_else(PoisonError::into_inner).len()).unwrap_or(0)
}

/// The facts of a proof that holds, as JSON; else what is wrong with it.
///
/// # Errors
/// The verifier's text.
pub fn check(input: &[u8]) -> Result<String, String> {
    let (chain, proof) = input.split_first_chunk::<CHAIN_BYTES>().ok_or("a chain id has 32 bytes")?;
    let bundle = bundle_from(proof)?;
    let claim = bundle.verify(ChainId(*chain)).map_err(|error| error.to_string())?;
    let fact = match &claim.fact {
        Fact::Transaction { transaction, index } => transaction_facts(transaction, *index),
        Fact::Receipt(receipt) => receipt_facts(receipt),
        Fact::Event { event, index, receipt } => json!({
            "kind": "event", "tx": receipt.tx, "index": index, "contract": event.contract, "name": event.name,
            "data": hex(&event.data),
        }),
        Fact::State { key, value } => json!({
            "kind": "state", "key": hex(key), "value": value.as_deref().map(hex),
            "record": value.as_deref().and_then(|value| record::of(key, value)),
        }),
    };
    let (chain, height, block, time_ms) = (claim.chain, claim.height, claim.block, claim.time);
    Ok(json!({ "chain": chain, "height": height, "block": block, "time_ms": time_ms, "fact": fact }).to_string())
}

/// A bundle from its bytes, or from the JSON text that `vouch tx proof` writes; the first byte tells them apart.
fn bundle_from(proof: &[u8]) -> Result<ProofBundle, String> {
    let bundle = if proof.first() == Some(&b'{') {
        ProofBundle::from_json(core::str::from_utf8(proof).map_err(|error| error.to_string())?)
    } else {
        ProofBundle::from_bytes(proof)
    };
    bundle.map_err(|error| error.to_string())
}

/// What a transaction says, so that the page compares it with what it was told.
fn transaction_facts(transaction: &VerifiedTransaction, index: u32) -> Value {
    let body = transaction.body();
    let calls = body
        .calls
        .iter()
        .map(|call| json!({ "contract": call.contract, "method": call.method, "arguments": hex(&call.arguments) }));
    json!({
        "kind": "transaction", "tx": transaction.id(), "index": index, "expiry": body.expiry,
        "bytes": transaction.raw().len(), "calls": calls.collect::<Vec<_>>(),
    })
}

fn receipt_facts(receipt: &Receipt) -> Value {
    let (outcome, code) = match &receipt.outcome {
        Outcome::Success => ("success", None),
        Outcome::Failed(failure) => ("failed", Some(&failure.code)),
    };
    json!({
        "kind": "receipt", "tx": receipt.tx, "index": receipt.index, "outcome": outcome, "code": code,
        "fuel_used": receipt.fuel_used, "output_hash": receipt.output_hash, "events_root": receipt.events_root,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_proof_is_refused() {
        assert!(check(&[]).is_err());
        assert!(check(&[0; 31]).is_err());
        assert!(check(&[0; 100]).is_err());
    }
}
