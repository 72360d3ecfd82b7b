//! Checks proofs in a browser: the node's own verifier as a WebAssembly module.
//!
//! Deliberately not here: fetching proofs, showing results, and trust in whoever handed them over. What the caller must
//! have from a source it trusts is the 32-byte chain id.
//!
//! ```text
//! at = reserve(32 + n); write chain id ‖ proof at `at`; ok = verify(); read answer_bytes() bytes at answer_at(): JSON
//! ```

use std::sync::{Mutex, PoisonError};

use vouch_types::{
    ChainId,
    light::{Fact, PROOF_BYTES_MAX, ProofBundle},
};

const CHAIN_BYTES: usize = 32;

static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Room for `bytes` of input, zeroed; the place to write it to. 0 when that is more than any proof has.
#[allow(unsafe_code, reason = "a name that the page looks for")]
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: u32) -> *mut u8 {
    let bytes = bytes as usize;
    if bytes > CHAIN_BYTES + PROOF_BYTES_MAX {
        return core::ptr::null_mut();
    }
    let mut input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
    *input = vec![0; bytes];
    input.as_mut_ptr()
}

/// Checks what was written: 1 when the proof holds, else 0. Either way the answer says more.
#[allow(unsafe_code, reason = "a name that the page looks for")]
#[unsafe(no_mangle)]
pub extern "C" fn verify() -> u32 {
    let input = core::mem::take(&mut *INPUT.lock().unwrap_or_else(PoisonError::into_inner));
    let (holds, text) = match check(&input) {
        Ok(text) => (1, text),
        Err(error) => (0, format!("{{\"error\":{}}}", quoted(&error))),
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
    let bundle = ProofBundle::from_bytes(proof).map_err(|error| error.to_string())?;
    let claim = bundle.verify(ChainId(*chain)).map_err(|error| error.to_string())?;
    let fact = match &claim.fact {
        Fact::Transaction { transaction, index } => {
            format!("{{\"kind\":\"transaction\",\"tx\":\"{}\",\"index\":{index}}}", transaction.id())
        }
        Fact::Receipt(receipt) => {
            format!("{{\"kind\":\"receipt\",\"tx\":\"{}\",\"index\":{}}}", receipt.tx, receipt.index)
        }
        Fact::Event { event, index, receipt } => format!(
            "{{\"kind\":\"event\",\"tx\":\"{}\",\"index\":{index},\"contract\":{},\"name\":{},\"data\":\"{}\"}}",
            receipt.tx,
            quoted(event.contract.as_str()),
            quoted(&event.name),
            hex(&event.data)
        ),
        Fact::State { key, value } => format!(
            "{{\"kind\":\"state\",\"key\":\"{}\",\"value\":{}}}",
            hex(key),
            value.as_ref().map_or_else(|| "null".to_owned(), |value| format!("\"{}\"", hex(value)))
        ),
    };
    Ok(format!(
        "{{\"chain\":\"{}\",\"height\":{},\"block\":\"{}\",\"time_ms\":{},\"fact\":{fact}}}",
        claim.chain, claim.height, claim.block, claim.time
    ))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted() {
        assert_eq!(quoted("a\"b\\c\nd凭"), "\"a\\\"b\\\\c\\u000ad凭\"");
    }

    #[test]
    fn what_is_no_proof_is_refused() {
        assert!(check(&[]).is_err());
        assert!(check(&[0; 31]).is_err());
        assert!(check(&[0; 100]).is_err());
    }
}
