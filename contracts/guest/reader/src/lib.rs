//! What a member's browser does with a key file, and what anybody's does with an evidence package: the node's own code as a
//! WebAssembly module, run in a worker of its own.
//!
//! Deliberately not here: asking nodes, showing anything, and proofs of the chain's state, which are the module `light`'s.
//! The key stays in this module's memory, which ends with its worker; nothing gives it out.
//!
//! ```text
//! at = reserve(n); write the input at `at`; ok = unlock() or another; read answer_bytes() bytes at answer_at(): JSON, but
//! for file_piece, which answers bytes of the file
//! ```

pub use page::{Fault, part, read, written};

pub mod audit;
pub mod evidence;
pub mod fields;
pub mod file;
pub mod governance;
pub mod session;
mod transaction;
pub mod uplink;

page::module! {
    /// See [`session::look`].
    look = session::look;
    /// See [`session::unlock`].
    unlock = session::unlock;
    /// See [`session::sign`].
    sign = session::sign;
    /// See [`fields::check`].
    check_fields = fields::check;
    /// See [`audit::check`].
    check_audit = audit::check;
    /// See [`file::begin`].
    file_begin = file::begin;
    /// See [`file::opened`].
    file_opened = file::opened;
    /// See [`file::piece`].
    file_piece = file::piece;
    /// See [`file::end`].
    file_end = file::end;
    /// See [`uplink::key`].
    uplink_key = uplink::key;
    /// See [`uplink::sign`].
    sign_uplink = uplink::sign;
    /// See [`governance::sign`].
    sign_decision = governance::sign;
    /// See [`evidence::check`].
    verify_package = evidence::check;
}
