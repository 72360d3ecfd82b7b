//! The credential of a node's own administrator.

use axum::http::{HeaderMap, header};
use vouch_types::{Hash32, hash::domain_hash};

use crate::ApiError;

/// Fewest bytes of a token.
const TOKEN_BYTES_MIN: usize = 16;

/// A secret that the node's operator keeps in a file only they can read. Only its hash is held.
#[derive(Clone)]
pub struct AdminToken(Hash32);

impl AdminToken {
    /// From its text; `None` when it is shorter than 16 bytes.
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        (token.len() >= TOKEN_BYTES_MIN).then(|| Self(digest(token)))
    }

    // Comparing hashes tells a guesser by its timing nothing about the token.
    fn is(&self, token: &str) -> bool {
        digest(token.trim()) == self.0
    }
}

fn digest(token: &str) -> Hash32 {
    domain_hash("vouch/admin-token/1", &[token.as_bytes()])
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(<redacted>)")
    }
}

/// Lets a request through that carries the token.
pub(crate) fn require(token: Option<&AdminToken>, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(token) = token else {
        return Err(ApiError::new("auth.not_enabled", "no admin token is configured"));
    };
    let header = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| ApiError::new("auth.required", "the header Authorization is missing").at("Authorization"))?;
    let given = header.to_str().ok().and_then(|text| text.split_once(' '));
    match given {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") && token.is(given) => Ok(()),
        _ => Err(ApiError::new("auth.refused", "the token is not this node's admin token").at("Authorization")),
    }
}
