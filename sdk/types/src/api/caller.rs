//! Requests signed by an account: who calls is shown by a key of the registry, without a session and without a secret
//! that travels.
//!
//! ```text
//! vouch-key        the account's public key
//! vouch-time       the client's clock, milliseconds since 1970; at most 60 s from the node's
//! vouch-nonce      16 random bytes in hexadecimal, new for each attempt
//! vouch-signature  over the hash of: chain, method, path with query, time, nonce, BLAKE3 of the body
//! ```

use serde::{Deserialize, Serialize};

use super::AccountView;
use crate::{
    codec::encode,
    hash::{ChainId, Hash32, domain_hash},
    numbers::TimestampMs,
};

/// Header with the account's public key.
pub const KEY_HEADER: &str = "vouch-key";
/// Header with the time of signing.
pub const TIME_HEADER: &str = "vouch-time";
/// Header with the nonce.
pub const NONCE_HEADER: &str = "vouch-nonce";
/// Header with the signature.
pub const SIGNATURE_HEADER: &str = "vouch-signature";
/// How far the client's clock may be from the node's, in milliseconds; a nonce is remembered for twice as long.
pub const WINDOW_MS: u64 = 60_000;

/// What is signed of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedRequest<'a> {
    /// The chain: what is signed for one is worth nothing at another.
    pub chain: ChainId,
    /// The HTTP method in capitals.
    pub method: &'a str,
    /// Path and query as they are sent.
    pub target: &'a str,
    /// When.
    pub time: TimestampMs,
    /// Random, once.
    pub nonce: [u8; 16],
    /// The body as it is sent; empty for none.
    pub body: &'a [u8],
}

impl SignedRequest<'_> {
    /// What the signature is made over.
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        let body = *blake3::hash(self.body).as_bytes();
        let said = encode(&(self.method.to_owned(), self.target.to_owned(), self.time, self.nonce, body));
        domain_hash("vouch/request/1", &[self.chain.as_bytes(), &said])
    }
}

/// Who the node takes a caller for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallerView {
    /// The account.
    pub account: AccountView,
    /// The member the node belongs to: the account's own.
    pub node_member: String,
}
