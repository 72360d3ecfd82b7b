//! What a contract author writes against: state, context, events, the ABI, and a test kit that needs no network.
//!
//! Deliberately not here: anything of the node. A contract is compiled for `wasm32-unknown-unknown` without the standard
//! library; its tests are compiled for the author's machine, where [`kit`] stands for the node.
//!
//! ```text
//! contract! { … }  --generates-->  dispatch by method name, decoding, encoding, ABI in section "vouch-abi"
//!      |
//! fn register(context: &Context, …) -> Result<u64, Error>  --uses-->  state, events, other contracts
//! ```
//!
//! `docs/contracts.md` tells how to write, test, build and deploy a contract; `contracts/guest/notary` is a whole one.
#![cfg_attr(target_arch = "wasm32", no_std)]

#[doc(hidden)]
pub extern crate alloc;

pub mod abi;
pub mod codec;
pub mod context;
pub mod failure;
pub mod host;
#[cfg(not(target_arch = "wasm32"))]
pub mod kit;
pub mod limits;
mod macros;
#[cfg(target_arch = "wasm32")]
mod memory;
mod sys;
pub mod text;

pub use abi::{AbiDefinition, AbiType, Event, MethodKind};
pub use alloc::{string::String, vec, vec::Vec};
pub use codec::{Account, Bytes, Decode, DecodeError, Encode, Hash, Key, Reader, Signature, decode, encode};
pub use context::Context;
pub use failure::{CallFailure, Failure};
pub use host::{
    Member, MemberInfo, account_roles, call, emit, hash, load, member, membership, read, remove, scan, store, verify,
    write,
};

/// What [`contract!`] implements for the contract's marker type.
pub trait Contract {
    /// The ABI as JSON.
    const ABI: &'static str;

    /// What a method may do; `None` if there is none of this name.
    fn kind(method: &str) -> Option<MethodKind>;

    /// Runs a method and returns its encoded result.
    ///
    /// # Errors
    /// [`Failure`]: what the contract declared, or arguments that do not decode.
    fn dispatch(context: &Context, method: &str, arguments: &[u8]) -> Result<Vec<u8>, Failure>;
}

/// Runs the call that the host started; the entry function that [`contract!`] generates calls it.
#[doc(hidden)]
#[cfg(target_arch = "wasm32")]
pub fn run<C: Contract>(input_bytes: u32) {
    let input = sys::input(input_bytes);
    let Ok((context, method, arguments)) = context::decode_input(&input) else {
        sys::abort("the host's input is of another version");
    };
    match C::dispatch(&context, method, arguments) {
        Ok(output) => sys::output(&output),
        Err(Failure::Declared { code, message }) => sys::fail(code, message),
        Err(Failure::BadArguments(message)) => sys::refuse(message),
        Err(Failure::UnknownMethod) => sys::refuse("the contract has no such method"),
    }
}
