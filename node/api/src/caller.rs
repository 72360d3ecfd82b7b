//! Who calls: requests signed by an account of the node's own member.
//!
//! Architecture invariant: a route for private documents does nothing before [`authenticate`] has returned.

use std::{
    collections::{HashSet, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Bytes,
    extract::{OriginalUri, Request},
    http::{HeaderMap, request::Parts},
};
use parking_lot::Mutex;
use vouch_types::{
    AccountId, PublicKey, Signature, TimestampMs,
    api::{
        AccountView, CallerView, HexBytes,
        caller::{KEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER, SignedRequest, TIME_HEADER, WINDOW_MS},
    },
};

use crate::{Api, ApiError, extract::read_body};

/// Nonces remembered at a time: 400 requests a second over both halves of the window.
const NONCES_MAX: usize = 50_000;

/// Roles that open the routes for private documents at all; what each may do there the contract decides.
pub(crate) const DOCUMENT_ROLES: &[&str] = &["approver", "auditor", "operator", "reader", "service", "submitter"];

/// A caller whose signature, account and role are good.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) account: AccountView,
    pub(crate) node_member: String,
}

impl Caller {
    pub(crate) const fn id(&self) -> AccountId {
        self.account.account
    }

    pub(crate) fn view(self) -> CallerView {
        CallerView { account: self.account, node_member: self.node_member }
    }
}

/// What the headers say, before any of it is believed.
struct Claimed {
    key: PublicKey,
    time: TimestampMs,
    nonce: [u8; 16],
    signature: Signature,
}

/// Checks who sends a request and reads its body of at most `body_max` bytes. One of `roles` is needed.
///
/// Codes: `caller.missing`, `caller.time`, `caller.unknown`, `caller.forbidden`, `caller.signature`, `caller.replayed`.
pub(crate) async fn authenticate(
    api: &Api,
    request: Request,
    roles: &[&str],
    body_max: usize,
) -> Result<(Caller, Bytes), ApiError> {
    let claimed = claimed(request.headers())?;
    let now = now_ms();
    if claimed.time.0.abs_diff(now) > WINDOW_MS {
        let detail = format!("signed at {}, the node's clock says {now}", claimed.time.0);
        return Err(ApiError::new("caller.time", detail).at(TIME_HEADER));
    }
    let documents = api.documents()?;
    let node_member = documents.member().await?;
    let account = documents.account(claimed.key.account()).await?;
    let account = account.filter(|account| account.key == claimed.key).ok_or_else(|| {
        let detail = format!("the registry has no account {}", claimed.key.account());
        ApiError::new("caller.unknown", detail).at(KEY_HEADER)
    })?;
    // Whoever is turned away here learns nothing that the registry does not show.
    admitted(&account, &node_member, roles)?;
    let (parts, body) = request.into_parts();
    let target = target(&parts);
    let method = parts.method.as_str().to_owned();
    let body = read_body(Request::from_parts(parts, body), body_max).await?;
    let signed = SignedRequest {
        chain: api.backend.chain(),
        method: &method,
        target: &target,
        time: claimed.time,
        nonce: claimed.nonce,
        body: &body,
    };
    claimed.key.verify(signed.digest().as_bytes(), &claimed.signature).map_err(|_| {
        let detail = "the signature is not the key's over this chain, method, path, time, nonce and body";
        ApiError::new("caller.signature", detail).at(SIGNATURE_HEADER)
    })?;
    api.nonces.take(claimed.key, claimed.nonce, claimed.time.0, now)?;
    Ok((Caller { account, node_member }, body))
}

fn admitted(account: &AccountView, node_member: &str, roles: &[&str]) -> Result<(), ApiError> {
    let forbidden = |detail: String| ApiError::new("caller.forbidden", detail).at(KEY_HEADER);
    if account.standing != "active" {
        return Err(forbidden(format!("the account is {}", account.standing)));
    }
    if account.member != node_member {
        let detail =
            format!("the account is of {}, this node of {node_member}: ask a node of your member", account.member);
        return Err(forbidden(detail));
    }
    if account.roles.iter().any(|role| roles.contains(&role.as_str())) {
        return Ok(());
    }
    Err(forbidden(format!("the account has none of the roles {}", roles.join(", "))))
}

/// Path and query as the client sent them.
fn target(parts: &Parts) -> String {
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    uri.path_and_query().map_or_else(|| uri.path().to_owned(), |target| target.as_str().to_owned())
}

fn claimed(headers: &HeaderMap) -> Result<Claimed, ApiError> {
    fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str, form: &str) -> Result<T, ApiError> {
        let value = headers
            .get(name)
            .ok_or_else(|| ApiError::new("caller.missing", format!("the header {name} is missing")).at(name))?;
        let parsed = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        parsed.ok_or_else(|| ApiError::new("caller.missing", format!("{name}: expected {form}")).at(name))
    }
    let nonce: HexBytes = header(headers, NONCE_HEADER, "32 hexadecimal digits")?;
    let signature: HexBytes = header(headers, SIGNATURE_HEADER, "128 hexadecimal digits")?;
    let signature = signature.0.try_into().map_err(|_| {
        let detail = format!("{SIGNATURE_HEADER}: expected 128 hexadecimal digits");
        ApiError::new("caller.missing", detail).at(SIGNATURE_HEADER)
    })?;
    let nonce = nonce.0.try_into().map_err(|_| {
        ApiError::new("caller.missing", format!("{NONCE_HEADER}: expected 32 hexadecimal digits")).at(NONCE_HEADER)
    })?;
    Ok(Claimed {
        key: header(headers, KEY_HEADER, "a public key")?,
        time: TimestampMs(header(headers, TIME_HEADER, "milliseconds since 1970")?),
        nonce,
        signature: Signature(signature),
    })
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Nonces of the window: a request that was heard is not heard again.
#[derive(Debug, Default)]
pub(crate) struct Nonces(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    known: HashSet<(PublicKey, [u8; 16])>,
    /// With the time from which its signature is too old anyway.
    order: VecDeque<(u64, (PublicKey, [u8; 16]))>,
}

impl Nonces {
    fn take(&self, key: PublicKey, nonce: [u8; 16], signed_ms: u64, now: u64) -> Result<(), ApiError> {
        let mut seen = self.0.lock();
        while seen.order.front().is_some_and(|(until, _)| *until < now) {
            if let Some((_, old)) = seen.order.pop_front() {
                seen.known.remove(&old);
            }
        }
        let entry = (key, nonce);
        if seen.known.contains(&entry) {
            return Err(ApiError::new("caller.replayed", "this request was heard before").at(NONCE_HEADER));
        }
        if seen.order.len() >= NONCES_MAX {
            let detail = format!("{NONCES_MAX} signed requests came within two minutes");
            return Err(ApiError::new("request.overloaded", detail).retry_after(5));
        }
        seen.known.insert(entry);
        // Kept in order of arrival: none is forgotten before its signature is too old.
        seen.order.push_back((now.max(signed_ms).saturating_add(WINDOW_MS), entry));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::SecretKey;

    use super::*;

    #[test]
    fn a_nonce_counts_once_per_key_until_its_signature_is_too_old() {
        let nonces = Nonces::default();
        let (one, other) = (SecretKey::from_seed([1; 32]).public(), SecretKey::from_seed([2; 32]).public());
        let code = |result: Result<(), ApiError>| result.map_or_else(|e| e.code().to_owned(), |()| "ok".into());
        assert_eq!(code(nonces.take(one, [1; 16], 1_000, 1_000)), "ok");
        assert_eq!(code(nonces.take(other, [1; 16], 1_000, 1_000)), "ok");
        // Signed by a clock ahead of the node's: remembered for as long as it would be believed.
        assert_eq!(code(nonces.take(one, [2; 16], 1_000 + WINDOW_MS, 1_000)), "ok");
        assert_eq!(code(nonces.take(one, [1; 16], 1_000, 1_000 + WINDOW_MS)), "caller.replayed");
        assert_eq!(code(nonces.take(one, [2; 16], 1_000 + WINDOW_MS, 1_000 + 2 * WINDOW_MS)), "caller.replayed");
        let seen = nonces.0.lock();
        assert_eq!(seen.known.len(), seen.order.len());
    }

    #[test]
    fn the_table_is_bounded_and_empties_with_time() {
        let nonces = Nonces::default();
        let key = SecretKey::from_seed([1; 32]).public();
        for number in 0..NONCES_MAX as u128 {
            nonces.take(key, number.to_be_bytes(), 5, 5).expect("room");
        }
        assert_eq!(nonces.take(key, [9; 16], 5, 5).expect_err("full").code(), "request.overloaded");
        nonces.take(key, [9; 16], WINDOW_MS + 6, WINDOW_MS + 6).expect("empty again");
        assert_eq!(nonces.0.lock().known.len(), 1);
    }
}
