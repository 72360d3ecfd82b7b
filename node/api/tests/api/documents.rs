//! Requests signed by accounts, and the routes for private documents behind them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use axum::{Router, body::Body};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use vouch_api::{ApiError, ApiState, Backend, Documents, router};
use vouch_types::{
    AccountId, ChainId, DocumentRoot, Hash32, Height, SecretKey, TimestampMs,
    api::{
        AccountView, AuditRecordView, CheckView, DocumentReading, ErasureStatementView, HexBytes, HoldingView,
        ReadDocumentRequest, STAGE_BYTES_MAX, StageRequest, StagedView, VaultView,
        caller::{SignedRequest, WINDOW_MS},
    },
    document::{DocumentId, FieldSet},
};

use crate::double::{Answer, CHAIN, Plain, config, get, request, send, unlimited};

const MEMBER: &str = "union";
const ID: DocumentId = DocumentId::new([5; 16]);

/// A vault as plain data: it remembers what was asked of it.
#[derive(Default)]
struct Shelf {
    accounts: BTreeMap<AccountId, AccountView>,
    asked: Mutex<Vec<String>>,
}

impl Shelf {
    fn note(&self, what: String) {
        self.asked.lock().expect("lock").push(what);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("lock"))
    }
}

#[async_trait]
impl Documents for Shelf {
    async fn member(&self) -> Result<String, ApiError> {
        Ok(MEMBER.into())
    }

    async fn account(&self, account: AccountId) -> Result<Option<AccountView>, ApiError> {
        Ok(self.accounts.get(&account).cloned())
    }

    async fn stage(&self, request: StageRequest) -> Result<StagedView, ApiError> {
        self.note(format!("stage {} {}", request.root, request.delivery));
        Ok(StagedView {
            document: ID,
            version: 1,
            root: request.root,
            blob_root: None,
            schema: "note".into(),
            schema_version: 1,
            staged_at: TimestampMs(1),
        })
    }

    async fn read(
        &self,
        actor: AccountId,
        document: DocumentId,
        version: u32,
        request: ReadDocumentRequest,
    ) -> Result<DocumentReading, ApiError> {
        self.note(format!("read {actor} {document} {version} {} {:?}", request.purpose, request.fields));
        Ok(DocumentReading {
            document,
            version,
            header: String::new(),
            leaves: vec![Hash32([1; 32])],
            fields: Vec::new(),
            reason: "ok".into(),
        })
    }

    async fn holding(&self, document: DocumentId, version: u32) -> Result<HoldingView, ApiError> {
        Ok(HoldingView { document, version, fields: FieldSet::first(3), staged: false, receipts: Vec::new() })
    }

    async fn audit(&self, id: Option<DocumentId>, after: u64, limit: u32) -> Result<Vec<AuditRecordView>, ApiError> {
        self.note(format!("audit {id:?} {after} {limit}"));
        let record = |number| AuditRecordView {
            number,
            time: TimestampMs(9),
            actor: AccountId::ZERO,
            access: "read".into(),
            document: ID,
            version: 1,
            fields: FieldSet::new(),
            purpose: "own".into(),
            result: "ok".into(),
            previous: Hash32::ZERO,
            hash: Hash32::ZERO,
        };
        Ok((after + 1..=5).take(usize::try_from(limit).expect("small")).map(record).collect())
    }

    async fn may_audit(&self, _: AccountId, document: DocumentId) -> Result<(), ApiError> {
        if document == ID { Ok(()) } else { Err(ApiError::new("vault.not_allowed", "role_missing")) }
    }

    async fn erasure_statement(&self, _: DocumentId) -> Result<Option<ErasureStatementView>, ApiError> {
        Ok(None)
    }

    async fn vault(&self) -> Result<VaultView, ApiError> {
        Ok(VaultView {
            member: MEMBER.into(),
            height: Height(3),
            staged: 0,
            wants_some: false,
            owes_some: false,
            missing: Vec::new(),
            audit_records: 0,
            audit_anchored: 0,
            audit_head: Hash32::ZERO,
        })
    }

    async fn check(&self) -> Result<CheckView, ApiError> {
        self.note("check".into());
        Ok(CheckView { damages: Vec::new() })
    }
}

fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

fn account(n: u8, member: &str, standing: &str, roles: &[&str]) -> AccountView {
    let key = secret(n).public();
    AccountView {
        account: key.account(),
        member: member.into(),
        name: format!("account {n}"),
        key,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        standing: standing.into(),
        successor: None,
    }
}

/// 1: all roles; 2: a reader; 3: of another member; 4: suspended; 5: without a role.
fn shelf() -> (Arc<Shelf>, Router) {
    let accounts = [
        account(1, MEMBER, "active", &["auditor", "reader", "submitter"]),
        account(2, MEMBER, "active", &["reader"]),
        account(3, "works", "active", &["reader", "submitter"]),
        account(4, MEMBER, "suspended", &["reader"]),
        account(5, MEMBER, "active", &[]),
    ];
    let accounts = accounts.into_iter().map(|account| (account.account, account)).collect();
    let shelf = Arc::new(Shelf { accounts, asked: Mutex::default() });
    let backend: Arc<dyn Backend> = Plain::new();
    let documents: Arc<dyn Documents> = Arc::<Shelf>::clone(&shelf);
    let api = ApiState::new(backend, Some(documents), &config(unlimited()), CancellationToken::new());
    (shelf, router(api))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("clock");
    u64::try_from(since.as_millis()).expect("fits")
}

/// A request as it was signed; what is sent may differ.
#[derive(Clone)]
struct Signed {
    method: &'static str,
    target: String,
    body: Vec<u8>,
    media_type: &'static str,
    headers: Vec<(&'static str, String)>,
}

fn signed_at(n: u8, method: &'static str, target: &str, body: &[u8], chain: ChainId, time: u64) -> Signed {
    let nonce: [u8; 16] = rand_nonce();
    let said = SignedRequest { chain, method, target, time: TimestampMs(time), nonce, body };
    let signature = secret(n).sign(said.digest().as_bytes());
    let headers = vec![
        ("vouch-key", secret(n).public().to_string()),
        ("vouch-time", time.to_string()),
        ("vouch-nonce", HexBytes(nonce.to_vec()).to_string()),
        ("vouch-signature", HexBytes(signature.0.to_vec()).to_string()),
    ];
    let media_type = if target.contains("/stage") { "application/octet-stream" } else { "application/json" };
    Signed { method, target: target.into(), body: body.to_vec(), media_type, headers }
}

fn signed(n: u8, method: &'static str, target: &str, body: &[u8]) -> Signed {
    signed_at(n, method, target, body, CHAIN, now_ms())
}

/// Each one is another, without a source of chance.
fn rand_nonce() -> [u8; 16] {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    u128::from(COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)).to_be_bytes()
}

async fn perform(api: &Router, signed: Signed) -> Answer {
    let mut request = request(signed.method, &signed.target).header("content-type", signed.media_type);
    for (name, value) in signed.headers {
        request = request.header(name, value);
    }
    send(api, request.body(Body::from(signed.body)).expect("request")).await
}

fn code(answer: &Answer) -> String {
    if answer.status.is_success() { "ok".into() } else { answer.json()["code"].as_str().expect("a code").into() }
}

fn read_path() -> String {
    format!("/api/v1/documents/{ID}/versions/2/read")
}

#[tokio::test]
async fn who_signs_is_known_and_a_request_is_heard_once() {
    let (_, api) = shelf();
    let mine = signed(1, "GET", "/api/v1/account", b"");
    let answer = perform(&api, mine.clone()).await;
    assert_eq!(code(&answer), "ok");
    assert_eq!(answer.json()["account"]["account"], secret(1).public().account().to_string());
    assert_eq!(answer.json()["node_member"], MEMBER);
    let again = perform(&api, mine).await;
    assert_eq!((code(&again).as_str(), again.status.as_u16()), ("caller.replayed", 409));
    for n in 0..4 {
        let mut lacking = signed(1, "GET", "/api/v1/account", b"");
        let (name, _) = lacking.headers.remove(n);
        let answer = perform(&api, lacking).await;
        assert_eq!((code(&answer).as_str(), answer.status.as_u16()), ("caller.missing", 401));
        assert_eq!(answer.json()["where"], name);
        let mut odd = signed(1, "GET", "/api/v1/account", b"");
        odd.headers[n].1 = "nothing of the kind".into();
        assert_eq!(code(&perform(&api, odd).await), "caller.missing");
    }
    // A node without a vault has nobody to ask.
    let bare = crate::double::api(&Plain::new());
    assert_eq!(code(&perform(&bare, signed(1, "GET", "/api/v1/account", b"")).await), "vault.not_running");
    assert_eq!(code(&get(&bare, "/api/v1/vault").await), "caller.missing");
}

#[tokio::test]
async fn every_part_of_a_request_is_under_the_signature() {
    let (shelf, api) = shelf();
    let body = br#"{"purpose":"own"}"#;
    let good = || signed(1, "POST", &read_path(), body);
    assert_eq!(code(&perform(&api, good()).await), "ok");
    assert_eq!(shelf.asked().len(), 1);
    let body_changed = Signed { body: br#"{"purpose":"tax"}"#.to_vec(), ..good() };
    let version_changed = Signed { target: read_path().replace("/2/", "/3/"), ..good() };
    let query_added = Signed { target: format!("{}?x=1", read_path()), ..good() };
    let other_chain = signed_at(1, "POST", &read_path(), body, ChainId([8; 32]), now_ms());
    let (mut other_time, mut other_nonce, mut other_key) = (good(), good(), good());
    other_time.headers[1].1 = (now_ms() - 1_000).to_string();
    other_nonce.headers[2].1 = "00".repeat(16);
    other_key.headers[0].1 = secret(2).public().to_string();
    let changed = [body_changed, version_changed, query_added, other_chain, other_time, other_nonce, other_key];
    for (n, request) in changed.into_iter().enumerate() {
        let answer = perform(&api, request).await;
        assert_eq!((code(&answer).as_str(), answer.status.as_u16()), ("caller.signature", 401), "{n}");
    }
    assert_eq!(shelf.asked(), Vec::<String>::new(), "nothing reached the vault");
}

#[tokio::test]
async fn only_active_accounts_of_this_member_with_a_role_in_time() {
    let (shelf, api) = shelf();
    let body = br#"{"purpose":"own"}"#;
    for (n, expected, status) in [
        (2, "ok", 200),
        (3, "caller.forbidden", 403),
        (4, "caller.forbidden", 403),
        (5, "caller.forbidden", 403),
        (6, "caller.unknown", 401),
    ] {
        let answer = perform(&api, signed(n, "POST", &read_path(), body)).await;
        assert_eq!((code(&answer).as_str(), answer.status.as_u16()), (expected, status), "account {n}");
    }
    assert_eq!(shelf.asked().len(), 1);
    let skewed = [now_ms() - WINDOW_MS - 5_000, now_ms() + WINDOW_MS + 5_000];
    for time in skewed {
        let answer = perform(&api, signed_at(1, "GET", "/api/v1/account", b"", CHAIN, time)).await;
        assert_eq!(code(&answer), "caller.time");
    }
    // Roles: a reader stages nothing, sees no whole audit, starts no check.
    let root = DocumentRoot([7; 32]);
    let stage = format!("/api/v1/documents/stage?root={root}");
    for (method, path) in [("POST", stage.as_str()), ("GET", "/api/v1/vault/audit"), ("POST", "/api/v1/vault/check")] {
        assert_eq!(code(&perform(&api, signed(2, method, path, b"x")).await), "caller.forbidden", "{path}");
    }
    assert_eq!(shelf.asked(), Vec::<String>::new());
    assert_eq!(code(&perform(&api, signed(1, "POST", "/api/v1/vault/check", b"{}")).await), "ok");
    assert_eq!(shelf.asked(), ["check"]);
}

#[tokio::test]
async fn what_is_asked_arrives_as_it_was_sent() {
    let (shelf, api) = shelf();
    let root = DocumentRoot([7; 32]);
    let path = format!("/api/v1/documents/stage?root={root}");
    let staged = perform(&api, signed(1, "POST", &path, b"\x01\x02")).await;
    assert_eq!((code(&staged).as_str(), staged.json()["root"].clone()), ("ok", json!(root)));
    assert_eq!(shelf.asked(), [format!("stage {root} 0102")]);
    assert_eq!(code(&perform(&api, signed(1, "POST", &path, b"")).await), "request.empty");
    let large = vec![0; STAGE_BYTES_MAX + 1];
    assert_eq!(code(&perform(&api, signed(1, "POST", &path, &large)).await), "request.too_large");
    let as_json = Signed { media_type: "application/json", ..signed(1, "POST", &path, b"\x01") };
    assert_eq!(code(&perform(&api, as_json).await), "request.unsupported_media_type");
    assert_eq!(code(&perform(&api, signed(1, "POST", "/api/v1/documents/stage", b"x")).await), "request.bad_parameter");

    let fields = FieldSet::first(2);
    let wish = serde_json::to_vec(&json!({ "purpose": "tax", "fields": fields })).expect("wish");
    assert_eq!(code(&perform(&api, signed(1, "POST", &read_path(), &wish)).await), "ok");
    let actor = secret(1).public().account();
    assert_eq!(shelf.asked(), [format!("read {actor} {ID} 2 tax {:?}", Some(fields))]);
    for bad in [r#"{"purpose":"own","fields":""}"#, r#"{"purpose":"own","fields":"00"}"#, r#"{"x":1}"#, "no"] {
        assert_eq!(code(&perform(&api, signed(1, "POST", &read_path(), bad.as_bytes())).await), "request.malformed");
    }
    assert_eq!(shelf.asked(), Vec::<String>::new());

    let of_document = format!("/api/v1/documents/{ID}/audit");
    let page = perform(&api, signed(2, "GET", &format!("{of_document}?after=1&limit=2"), b"")).await;
    assert_eq!(page.json()["items"].as_array().expect("items").len(), 2);
    assert_eq!(page.json()["next"], "3");
    assert_eq!(shelf.asked(), [format!("audit {:?} 1 2", Some(ID))]);
    let last = perform(&api, signed(1, "GET", "/api/v1/vault/audit?after=3", b"")).await;
    assert_eq!((last.json()["items"].as_array().expect("items").len(), last.json().get("next")), (2, None));
    let other = of_document.replace(&ID.to_string(), &"06".repeat(16));
    assert_eq!(code(&perform(&api, signed(1, "GET", &other, b"")).await), "vault.not_allowed");
    let statement = format!("/api/v1/documents/{ID}/erasure");
    assert_eq!(code(&perform(&api, signed(1, "GET", &statement, b"")).await), "document.no_statement");
    let holding = perform(&api, signed(2, "GET", &format!("/api/v1/documents/{ID}/versions/1/holding"), b"")).await;
    assert_eq!(holding.json()["fields"], json!(FieldSet::first(3)));
    assert_eq!(perform(&api, signed(2, "GET", "/api/v1/vault", b"")).await.json()["member"], MEMBER);
}
