//! What a method knows about the call it runs in.

use alloc::{string::String, vec::Vec};

use crate::codec::{Account, Decode, DecodeError, Reader};

/// Version of the input that this crate reads.
pub const INPUT_VERSION: u8 = 1;

/// Facts about the call. They come with the call and cost nothing to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The name under which this contract is deployed.
    pub contract: String,
    /// The account that signed first.
    pub caller: Account,
    /// Every account that signed, in order of signature, the caller included. Empty in a query.
    pub signers: Vec<Account>,
    /// The contract that called this one, if one did.
    pub calling_contract: Option<String>,
    /// Height of the block the call is in; in a query, the height it sees.
    pub height: u64,
    /// That block's time in milliseconds since 1970.
    pub time_ms: u64,
    /// Whether writes and events are refused.
    pub read_only: bool,
    /// How many contract calls are above this one.
    pub depth: u16,
}

impl Context {
    /// Whether an account signed.
    #[must_use]
    pub fn signed_by(&self, account: &Account) -> bool {
        self.signers.contains(account)
    }
}

/// Splits the host's input into context, method and arguments.
///
/// # Errors
/// [`DecodeError`] when it is of another version.
#[cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "the test kit has no bytes to decode"))]
pub(crate) fn decode_input(input: &[u8]) -> Result<(Context, &str, &[u8]), DecodeError> {
    let mut reader = Reader::new(input);
    let r = &mut reader;
    if u8::decode(r)? != INPUT_VERSION {
        return Err(DecodeError);
    }
    let context = Context {
        contract: Decode::decode(r)?,
        caller: Decode::decode(r)?,
        signers: Decode::decode(r)?,
        calling_contract: Decode::decode(r)?,
        height: Decode::decode(r)?,
        time_ms: Decode::decode(r)?,
        read_only: Decode::decode(r)?,
        depth: Decode::decode(r)?,
    };
    let method = r.text()?;
    let arguments = r.bytes()?;
    if r.is_empty() { Ok((context, method, arguments)) } else { Err(DecodeError) }
}
