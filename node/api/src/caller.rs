//! Who calls: requests signed by an account, of the node's own member but for the read audit, or by a person with a key of
//! their own.
//!
//! Architecture invariant: a route for private documents does nothing before [`authenticate`] has returned.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Bytes,
    extract::{OriginalUri, Request},
    http::HeaderMap,
};
use parking_lot::Mutex;
use vouch_types::{
    AccountId, Hash32, PublicKey, Signature, SubjectId, TimestampMs,
    api::{
        AccountView, CallerView, HexBytes,
        caller::{
            Authority, BODY_HEADER, KEY_HEADER, NODE_HEADER, NONCE_HEADER, SIGNATURE_HEADER, SignedRequest,
            TIME_HEADER, WINDOW_MS,
        },
    },
};

use crate::{
    Api, ApiError, ApiState, Documents, answers::WhoAsked, clients, extract::read_body_of, origin::Origin,
    rooms::Holder,
};

/// Nonces remembered at a time, some 100 bytes each. Above it a key is heard that has few, up to twice as many.
const NONCES_MAX: usize = 200_000;
/// Of one key: 400 requests a second over both halves of the window.
const NONCES_PER_KEY_MAX: usize = 50_000;
/// What a key may have when others have used up the rest: four requests a second.
const NONCES_FEW: usize = 500;

/// Roles that open the routes for private documents at all; what each may do there the contract decides.
pub(crate) const DOCUMENT_ROLES: &[&str] = &["approver", "auditor", "operator", "reader", "service", "submitter"];

/// A caller whose signature is good, and whose account and role are, or who is a person.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    actor: AccountId,
    who: Who,
    node_member: String,
}

#[derive(Debug, Clone)]
enum Who {
    Account(Box<AccountView>),
    Person(SubjectId),
}

impl Caller {
    pub(crate) const fn id(&self) -> AccountId {
        self.actor
    }

    /// The member of the account that calls, when it is not the node's own.
    pub(crate) fn foreign_member(&self) -> Option<&str> {
        match &self.who {
            Who::Account(account) if account.member != self.node_member => Some(account.member.as_str()),
            Who::Account(_) | Who::Person(_) => None,
        }
    }

    /// The member this node belongs to.
    pub(crate) fn node_member(&self) -> &str {
        &self.node_member
    }

    /// The person that calls; `None` for an account.
    pub(crate) const fn person(&self) -> Option<SubjectId> {
        match self.who {
            Who::Person(subject) => Some(subject),
            Who::Account(_) => None,
        }
    }

    pub(crate) fn view(self) -> CallerView {
        let (account, subject) = match self.who {
            Who::Account(account) => (Some(*account), None),
            Who::Person(subject) => (None, Some(subject)),
        };
        CallerView { account, subject, node_member: self.node_member }
    }
}

/// What the headers say, before any of it is believed.
struct Claimed {
    key: PublicKey,
    node: Authority,
    time: TimestampMs,
    nonce: [u8; 16],
    body: Hash32,
    signature: Signature,
}

/// Checks which account sends a request and reads its body of at most `body_max` bytes. One of `roles` is needed.
///
/// Codes: `caller.missing`, `caller.time`, `caller.other_node`, `caller.signature`, `caller.unknown`, `caller.forbidden`,
/// `certificate.other_account`, `caller.replayed`, `request.overloaded`, `request.too_large`, `request.timeout`.
pub(crate) async fn authenticate(
    api: &Api,
    request: Request,
    roles: &[&str],
    body_max: usize,
) -> Result<(Caller, Bytes), ApiError> {
    check(api, request, roles, Admitted::Own, body_max).await
}

/// As [`authenticate`], and persons may call too: with a key of their own, at any node, since any may hold something of
/// theirs. What they may do there the contract decides.
pub(crate) async fn authenticate_anyone(
    api: &Api,
    request: Request,
    roles: &[&str],
    body_max: usize,
) -> Result<(Caller, Bytes), ApiError> {
    check(api, request, roles, Admitted::OwnAndPersons, body_max).await
}

/// As [`authenticate_anyone`], and accounts of other members may call too: what concerns them the route decides.
pub(crate) async fn authenticate_everywhere(
    api: &Api,
    request: Request,
    roles: &[&str],
    body_max: usize,
) -> Result<(Caller, Bytes), ApiError> {
    check(api, request, roles, Admitted::All, body_max).await
}

/// Who may call a route at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admitted {
    /// Accounts of the node's own member.
    Own,
    /// Those, and persons.
    OwnAndPersons,
    /// Accounts of every member, and persons.
    All,
}

/// Cheap before dear, and nothing for who cannot sign: the head, its signature, who it is, the nonce, then room for the body,
/// then the body.
async fn check(
    api: &Api,
    request: Request,
    roles: &[&str],
    admits: Admitted,
    body_max: usize,
) -> Result<(Caller, Bytes), ApiError> {
    let claimed = claimed(request.headers())?;
    let now = now_ms();
    if claimed.time.0.abs_diff(now) > WINDOW_MS {
        let detail = format!("signed at {}, the node's clock says {now}", claimed.time.0);
        return Err(ApiError::new("caller.time", detail).at(TIME_HEADER));
    }
    is_meant(api, &claimed.node, &Origin::of(&request))?;
    is_signed(api, &claimed, &request)?;
    let documents = api.documents()?;
    let node_member = documents.member().await?;
    let who = who(documents, &claimed.key, &node_member, roles, admits).await?;
    clients::may_act(request.extensions(), std::iter::once(claimed.key.account()))?;
    api.nonces.take(claimed.key, claimed.nonce, claimed.time.0, now)?;
    let actor = claimed.key.account();
    if let Some(asked) = request.extensions().get::<WhoAsked>() {
        asked.set(actor);
    }
    let body = read_body_of(api, &api.signed_rooms, Holder::Account(actor), request, body_max).await?;
    if SignedRequest::body_hash(&body) != claimed.body {
        let detail = format!("the body is not the one whose hash {BODY_HEADER} says");
        return Err(ApiError::new("caller.signature", detail).at(BODY_HEADER));
    }
    Ok((Caller { actor, who, node_member }, body))
}

/// Whether the client means this node. What another member's node was told is worth nothing here: its operator could repeat
/// it, and would be shown what the caller may see.
fn is_meant(api: &ApiState, node: &Authority, origin: &Origin) -> Result<(), ApiError> {
    // Every machine has the loopback names, so they mean this one only to a program on it.
    let is_here = || origin.is_local && node.is_loopback() && node.port() == api.port;
    if api.names.contains(node) || is_here() {
        return Ok(());
    }
    let mut names = api.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        names = format!("none but localhost:{} and the like, for programs on its own machine", api.port);
    }
    let detail = format!("signed for {node}; the names of this node are {names}");
    Err(ApiError::new("caller.other_node", detail).at(NODE_HEADER))
}

/// Whether the key has signed the head, the hash of the body in it included.
fn is_signed(api: &ApiState, claimed: &Claimed, request: &Request) -> Result<(), ApiError> {
    let target = target(request);
    let signed = SignedRequest {
        chain: api.backend.chain(),
        node: &claimed.node,
        method: request.method().as_str(),
        target: &target,
        time: claimed.time,
        nonce: claimed.nonce,
        body: claimed.body,
    };
    claimed.key.verify(signed.digest().as_bytes(), &claimed.signature).map_err(|_| {
        let detail =
            "the signature is not the key's over this chain, node, method, path, time, nonce and hash of the body";
        ApiError::new("caller.signature", detail).at(SIGNATURE_HEADER)
    })
}

/// The account of the registry, or the person. A person's key stays the person's, whichever account a member has had
/// registered with it: that takes the public key only, and the contract `relations` knows a key by its owner's signature.
///
/// Whoever is turned away here learns nothing that the registry does not show.
async fn who(
    documents: &dyn Documents,
    key: &PublicKey,
    node_member: &str,
    roles: &[&str],
    admits: Admitted,
) -> Result<Who, ApiError> {
    let actor = key.account();
    let account = documents.account(actor).await?.filter(|account| account.key == *key);
    let judged = account.map(|account| admitted(&account, node_member, roles, admits).map(|()| account));
    let judged = match judged {
        Some(Ok(account)) if account.member == node_member => return Ok(Who::Account(Box::new(account))),
        judged => judged,
    };
    match (documents.person(actor).await?, judged) {
        (Some(person), _) if admits != Admitted::Own => Ok(Who::Person(person)),
        (_, Some(judged)) => judged.map(|account| Who::Account(Box::new(account))),
        (Some(_), None) => {
            let detail = "a person's own key opens what concerns that person only";
            Err(ApiError::new("caller.forbidden", detail).at(KEY_HEADER))
        }
        (None, None) => {
            let detail = format!("the registry has no account {actor}, and it is no person's own key");
            Err(ApiError::new("caller.unknown", detail).at(KEY_HEADER))
        }
    }
}

fn admitted(account: &AccountView, node_member: &str, roles: &[&str], admits: Admitted) -> Result<(), ApiError> {
    let forbidden = |detail: String| ApiError::new("caller.forbidden", detail).at(KEY_HEADER);
    if account.standing != "active" {
        return Err(forbidden(format!("the account is {}", account.standing)));
    }
    if account.member != node_member && admits != Admitted::All {
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
fn target(request: &Request) -> String {
    let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |original| &original.0);
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
        node: header(headers, NODE_HEADER, "host:port, by which the client reaches the node")?,
        time: TimestampMs(header(headers, TIME_HEADER, "milliseconds since 1970")?),
        nonce,
        body: header(headers, BODY_HEADER, "64 hexadecimal digits")?,
        signature: Signature(signature),
    })
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Nonces of the window: a request that was heard is not heard again. They end with the process, so that what was signed
/// before its start counts as heard.
#[derive(Debug)]
pub(crate) struct Nonces {
    since_ms: u64,
    seen: Mutex<Seen>,
}

impl Default for Nonces {
    fn default() -> Self {
        Self { since_ms: now_ms(), seen: Mutex::default() }
    }
}

#[derive(Debug, Default)]
struct Seen {
    known: HashMap<PublicKey, HashSet<[u8; 16]>>,
    /// With the time from which its signature is too old anyway.
    order: VecDeque<(u64, PublicKey, [u8; 16])>,
}

impl Seen {
    fn forget_before(&mut self, now: u64) {
        while self.order.front().is_some_and(|(until, ..)| *until < now) {
            let Some((_, key, nonce)) = self.order.pop_front() else { return };
            if let Some(own) = self.known.get_mut(&key) {
                own.remove(&nonce);
                if own.is_empty() {
                    self.known.remove(&key);
                }
            }
        }
    }
}

impl Nonces {
    /// One key has a bound of its own, so that it silences no other.
    fn take(&self, key: PublicKey, nonce: [u8; 16], signed_ms: u64, now: u64) -> Result<(), ApiError> {
        if signed_ms < self.since_ms {
            let detail = format!("signed at {signed_ms}, before this node's start at {}: sign it anew", self.since_ms);
            return Err(ApiError::new("caller.time", detail).at(TIME_HEADER));
        }
        let mut seen = self.seen.lock();
        seen.forget_before(now);
        let own = seen.known.get(&key);
        if own.is_some_and(|own| own.contains(&nonce)) {
            return Err(ApiError::new("caller.replayed", "this request was heard before").at(NONCE_HEADER));
        }
        let (own, all) = (own.map_or(0, HashSet::len), seen.order.len());
        if own >= NONCES_PER_KEY_MAX || (all >= NONCES_MAX && own >= NONCES_FEW) || all >= 2 * NONCES_MAX {
            let detail = format!("{own} requests signed with this key came within two minutes, and {all} in all");
            return Err(ApiError::new("request.overloaded", detail).retry_after(5));
        }
        seen.known.entry(key).or_default().insert(nonce);
        // Kept in order of arrival: none is forgotten before its signature is too old.
        seen.order.push_back((now.max(signed_ms).saturating_add(WINDOW_MS), key, nonce));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::SecretKey;

    use super::*;

    fn since(since_ms: u64) -> Nonces {
        Nonces { since_ms, seen: Mutex::default() }
    }

    #[test]
    fn a_nonce_counts_once_per_key_until_its_signature_is_too_old() {
        let nonces = since(0);
        let (one, other) = (SecretKey::from_seed([1; 32]).public(), SecretKey::from_seed([2; 32]).public());
        let code = |result: Result<(), ApiError>| result.map_or_else(|e| e.code().to_owned(), |()| "ok".into());
        assert_eq!(code(nonces.take(one, [1; 16], 1_000, 1_000)), "ok");
        assert_eq!(code(nonces.take(other, [1; 16], 1_000, 1_000)), "ok");
        // Signed by a clock ahead of the node's: remembered for as long as it would be believed.
        assert_eq!(code(nonces.take(one, [2; 16], 1_000 + WINDOW_MS, 1_000)), "ok");
        assert_eq!(code(nonces.take(one, [1; 16], 1_000, 1_000 + WINDOW_MS)), "caller.replayed");
        assert_eq!(code(nonces.take(one, [2; 16], 1_000 + WINDOW_MS, 1_000 + 2 * WINDOW_MS)), "caller.replayed");
        let seen = nonces.seen.lock();
        assert_eq!(seen.known.values().map(HashSet::len).sum::<usize>(), seen.order.len());
    }

    #[test]
    fn what_was_signed_before_the_start_may_have_been_heard() {
        let nonces = since(50_000);
        let key = SecretKey::from_seed([1; 32]).public();
        assert_eq!(nonces.take(key, [1; 16], 49_999, 50_001).expect_err("before").code(), "caller.time");
        nonces.take(key, [1; 16], 50_000, 50_001).expect("after");
    }

    fn fill(nonces: &Nonces, key: PublicKey, count: usize) {
        for number in 0..count as u128 {
            nonces.take(key, number.to_be_bytes(), 5, 5).expect("room");
        }
    }

    #[test]
    fn a_key_that_asks_much_does_not_silence_another() {
        let nonces = since(0);
        let key = |n: u8| SecretKey::from_seed([n; 32]).public();
        fill(&nonces, key(1), NONCES_PER_KEY_MAX);
        assert_eq!(nonces.take(key(1), [9; 16], 5, 5).expect_err("its part").code(), "request.overloaded");
        nonces.take(key(9), [9; 16], 5, 5).expect("another has its own");
        // Four that take all they may leave a little for everyone else.
        fill(&nonces, key(2), NONCES_PER_KEY_MAX);
        fill(&nonces, key(3), NONCES_PER_KEY_MAX);
        fill(&nonces, key(4), NONCES_PER_KEY_MAX - 1);
        fill(&nonces, key(8), NONCES_FEW);
        assert_eq!(nonces.take(key(8), [9; 16], 5, 5).expect_err("a little").code(), "request.overloaded");
        nonces.take(key(7), [9; 16], 5, 5).expect("who has few");
        // In time all have room again, and nothing is left of them.
        nonces.take(key(1), [9; 16], WINDOW_MS + 6, WINDOW_MS + 6).expect("empty again");
        let seen = nonces.seen.lock();
        assert_eq!((seen.known.len(), seen.order.len()), (1, 1));
    }

    #[test]
    fn the_table_is_bounded_whoever_asks() {
        let nonces = since(0);
        for number in 0..2 * NONCES_MAX {
            let n = u64::try_from(number / NONCES_FEW).expect("small");
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            nonces.take(PublicKey::ed25519(bytes), (number as u128).to_be_bytes(), 5, 5).expect("room");
        }
        let late = SecretKey::from_seed([1; 32]).public();
        assert_eq!(nonces.take(late, [9; 16], 5, 5).expect_err("full").code(), "request.overloaded");
        nonces.take(late, [9; 16], WINDOW_MS + 6, WINDOW_MS + 6).expect("empty again");
    }
}
