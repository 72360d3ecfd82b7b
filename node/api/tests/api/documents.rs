//! Requests signed by accounts, and the routes for private documents behind them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, Bytes},
    http::Request,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use vouch_api::{ApiConfig, ApiError, ApiState, Backend, Documents, FilePlace, Limits, router};
use vouch_types::{
    AccountId, ChainId, DocumentRoot, Hash32, Height, SecretKey, SubjectId, TimestampMs,
    api::{
        AccountView, AuditRecordView, BeginUploadRequest, CheckView, DisclosedField, DocumentReading,
        ErasureStatementView, FileOpening, FinishUploadRequest, HeldVersionView, HeldView, HexBytes, HoldingView,
        OpenFileRequest, ReadDocumentRequest, STAGE_BYTES_MAX, StageRequest, StagedView, UploadView, VaultView,
        caller::{Authority, SignedRequest, WINDOW_MS},
    },
    document::{DocumentId, FieldSet},
};

use crate::double::{Answer, CHAIN, NODE, Plain, config, get, request, send, unlimited};

pub const MEMBER: &str = "union";
/// The seed of a key that is no account's, but a person's own.
pub const PERSON: u8 = 9;
pub const ALIAS: SubjectId = SubjectId([0xa1; 32]);
pub const ID: DocumentId = DocumentId::new([5; 16]);

/// A vault as plain data: it remembers what was asked of it.
#[derive(Default)]
pub struct Shelf {
    accounts: BTreeMap<AccountId, AccountView>,
    asked: Mutex<Vec<String>>,
    /// Closed while a piece is to be held up.
    pub gate: tokio::sync::RwLock<()>,
}

impl Shelf {
    fn note(&self, what: String) {
        self.asked.lock().expect("lock").push(what);
    }

    pub fn has_asked(&self) -> usize {
        self.asked.lock().expect("lock").len()
    }

    pub fn asked(&self) -> Vec<String> {
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

    async fn person(&self, account: AccountId) -> Result<Option<SubjectId>, ApiError> {
        Ok((account == secret(PERSON).public().account()).then_some(ALIAS))
    }

    async fn serves(&self, subject: SubjectId) -> Result<bool, ApiError> {
        Ok(subject == ALIAS)
    }

    async fn is_watched_by(&self, member: String) -> Result<bool, ApiError> {
        Ok(member == "bureau")
    }

    async fn held(&self, subject: SubjectId, after: u64, limit: u32) -> Result<Vec<HeldView>, ApiError> {
        self.note(format!("held {subject} {after} {limit}"));
        let version = HeldVersionView { version: 1, fields: FieldSet::first(2) };
        let held = |number| HeldView {
            number,
            document: ID,
            schema: "note".into(),
            issuer: MEMBER.into(),
            latest: 1,
            versions: vec![version.clone()],
            reads: 7,
        };
        Ok((after + 1..=3).take(usize::try_from(limit).expect("small")).map(held).collect())
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

    async fn begin_upload(
        &self,
        actor: AccountId,
        place: FilePlace,
        request: BeginUploadRequest,
    ) -> Result<UploadView, ApiError> {
        self.note(format!("begin {actor} {} {} {} {}", place.slot, place.index, request.bytes, request.tag));
        Ok(upload_view(place, 0))
    }

    async fn upload(&self, _: AccountId, place: FilePlace) -> Result<UploadView, ApiError> {
        Ok(upload_view(place, 7))
    }

    async fn put_piece(&self, _: AccountId, place: FilePlace, at: u64, piece: Bytes) -> Result<UploadView, ApiError> {
        self.note(format!("piece {at} {}", piece.len()));
        drop(self.gate.read().await);
        Ok(upload_view(place, at + piece.len() as u64))
    }

    async fn finish_upload(
        &self,
        _: AccountId,
        place: FilePlace,
        request: FinishUploadRequest,
    ) -> Result<UploadView, ApiError> {
        self.note(format!("finish {}", request.root));
        Ok(UploadView { root: Some(request.root), ..upload_view(place, 99) })
    }

    async fn end_upload(&self, _: AccountId, place: FilePlace) -> Result<(), ApiError> {
        self.note(format!("end {} {}", place.slot, place.index));
        Ok(())
    }

    async fn open_file(
        &self,
        actor: AccountId,
        place: FilePlace,
        request: OpenFileRequest,
    ) -> Result<FileOpening, ApiError> {
        self.note(format!("open {actor} {} {}", request.purpose, request.recipient));
        Ok(FileOpening {
            opening: HexBytes(vec![6; 16]),
            document: place.document,
            version: place.version,
            header: String::new(),
            leaves: Vec::new(),
            field: DisclosedField { slot: place.slot, disclosure: String::new(), rows: None },
            files: Vec::new(),
            bytes: 100,
            root: Hash32::ZERO,
            key: HexBytes(Vec::new()),
            piece_bytes: 1,
            until: TimestampMs(1),
            reason: "ok".into(),
        })
    }

    async fn file_piece(
        &self,
        _: AccountId,
        _: FilePlace,
        opening: [u8; 16],
        range: core::ops::Range<u64>,
    ) -> Result<Vec<u8>, ApiError> {
        self.note(format!("cut {} {range:?}", opening[0]));
        Ok(vec![4; usize::try_from(range.end - range.start).expect("small")])
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
            uploads: 0,
            upload_bytes: 0,
            wants_some: false,
            owes_some: false,
            missing: Vec::new(),
            audit_records: 0,
            audit_anchored: 0,
            audit_head: Hash32::ZERO,
        })
    }

    async fn check(&self, from: Option<String>) -> Result<CheckView, ApiError> {
        self.note(format!("check {from:?}"));
        Ok(CheckView { damages: Vec::new(), next: None })
    }
}

fn upload_view(place: FilePlace, offset: u64) -> UploadView {
    let FilePlace { document, version, slot, index } = place;
    let (bytes, piece_bytes, until) = (99, 1, TimestampMs(1));
    UploadView { document, version, slot, index, bytes, offset, piece_bytes, tag: Hash32::ZERO, root: None, until }
}

pub fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

pub fn account(n: u8, member: &str, standing: &str, roles: &[&str]) -> AccountView {
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

/// 1: all roles; 2: a reader; 3: of another member; 4: suspended; 5: without a role; 7: of a regulator; 8: another auditor.
pub fn shelf() -> (Arc<Shelf>, Router) {
    shelf_with(unlimited())
}

pub fn shelf_with(limits: Limits) -> (Arc<Shelf>, Router) {
    shelf_of(&config(limits), &[])
}

pub fn shelf_of(config: &ApiConfig, further: &[AccountView]) -> (Arc<Shelf>, Router) {
    let accounts = [
        account(1, MEMBER, "active", &["auditor", "reader", "submitter"]),
        account(2, MEMBER, "active", &["reader"]),
        account(3, "works", "active", &["reader", "submitter"]),
        account(4, MEMBER, "suspended", &["reader"]),
        account(5, MEMBER, "active", &[]),
        account(7, "bureau", "active", &["auditor"]),
        account(8, "works", "active", &["auditor"]),
    ];
    let accounts = accounts.iter().chain(further).map(|account| (account.account, account.clone())).collect();
    let shelf = Arc::new(Shelf { accounts, ..Shelf::default() });
    let backend: Arc<dyn Backend> = Plain::new();
    let documents: Arc<dyn Documents> = Arc::<Shelf>::clone(&shelf);
    let api = ApiState::new(backend, Some(documents), config, CancellationToken::new()).expect("nothing to read");
    (shelf, router(api))
}

pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("clock");
    u64::try_from(since.as_millis()).expect("fits")
}

/// A request as it was signed; what is sent may differ.
#[derive(Clone)]
pub struct Signed {
    pub method: &'static str,
    pub target: String,
    pub body: Vec<u8>,
    pub media_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
}

pub fn signed_at(n: u8, method: &'static str, target: &str, body: &[u8], chain: ChainId, time: u64) -> Signed {
    signed_for(NODE, n, method, target, body, chain, time)
}

pub fn signed_for(
    node: &str,
    n: u8,
    method: &'static str,
    target: &str,
    body: &[u8],
    chain: ChainId,
    time: u64,
) -> Signed {
    let node: Authority = node.parse().expect("host and port");
    let hash = SignedRequest::body_hash(body);
    let (time, nonce) = (TimestampMs(time), rand_nonce());
    let said = SignedRequest { chain, node: &node, method, target, time, nonce, body: hash };
    let headers = said.headers(&secret(n)).into();
    let media_type =
        if target.contains("/stage") || method == "PATCH" { "application/octet-stream" } else { "application/json" };
    Signed { method, target: target.into(), body: body.to_vec(), media_type, headers }
}

pub fn signed(n: u8, method: &'static str, target: &str, body: &[u8]) -> Signed {
    signed_at(n, method, target, body, CHAIN, now_ms())
}

/// Each one is another, without a source of chance.
fn rand_nonce() -> [u8; 16] {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    u128::from(COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)).to_be_bytes()
}

pub async fn perform(api: &Router, mut signed: Signed) -> Answer {
    let body = std::mem::take(&mut signed.body);
    send(api, signed.with(Body::from(body))).await
}

impl Signed {
    /// The request with another body than it has.
    pub fn with(self, body: Body) -> Request<Body> {
        let mut request = request(self.method, &self.target).header("content-type", self.media_type);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(body).expect("request")
    }

    pub fn header(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(known, _)| *known == name);
        &mut found.expect("a header of a signed request").1
    }
}

pub fn code(answer: &Answer) -> String {
    if answer.status.is_success() { "ok".into() } else { answer.json()["code"].as_str().expect("a code").into() }
}

pub fn read_path() -> String {
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
    for n in 0..6 {
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
    let (mut other_time, mut other_nonce, mut other_key, mut other_hash) = (good(), good(), good(), good());
    *other_time.header("vouch-time") = (now_ms() - 1_000).to_string();
    *other_nonce.header("vouch-nonce") = "00".repeat(16);
    *other_key.header("vouch-key") = secret(2).public().to_string();
    *other_hash.header("vouch-body") = SignedRequest::body_hash(br#"{"purpose":"tax"}"#).to_string();
    let mut other_node = signed_for("node2.example:7480", 1, "POST", &read_path(), body, CHAIN, now_ms());
    *other_node.header("vouch-node") = NODE.into();
    let changed = [
        body_changed,
        version_changed,
        query_added,
        other_chain,
        other_time,
        other_nonce,
        other_key,
        other_hash,
        other_node,
    ];
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
    assert_eq!(code(&perform(&api, signed(1, "POST", "/api/v1/vault/check?from=ab", b"{}")).await), "ok");
    assert_eq!(shelf.asked(), ["check None", "check Some(\"ab\")"]);
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

#[tokio::test]
async fn a_person_asks_about_themselves_and_nothing_else() {
    let (shelf, api) = shelf();
    let held = |alias: SubjectId| format!("/api/v1/persons/{alias}/held");
    let who = perform(&api, signed(PERSON, "GET", "/api/v1/account", b"")).await.json();
    assert_eq!((&who["subject"], who.get("account")), (&json!(ALIAS), None), "{who}");
    let page = perform(&api, signed(PERSON, "GET", &format!("{}?limit=2", held(ALIAS)), b"")).await.json();
    assert_eq!((page["items"][1]["number"].clone(), page["next"].clone()), (json!(2), json!("2")), "{page}");
    assert_eq!(page["items"][0]["versions"], json!([{ "version": 1, "fields": FieldSet::first(2) }]));
    assert_eq!(code(&perform(&api, signed(PERSON, "POST", &read_path(), br#"{"purpose":"own"}"#)).await), "ok");
    let actor = secret(PERSON).public().account();
    assert_eq!(shelf.asked(), [format!("held {ALIAS} 0 2"), format!("read {actor} {ID} 2 own None")]);
    // An account of a member that serves them may answer for them; a lower bound on the page's size holds for all.
    assert_eq!(code(&perform(&api, signed(2, "GET", &held(ALIAS), b"")).await), "ok");
    assert_eq!(shelf.asked(), [format!("held {ALIAS} 0 50")]);

    let other = SubjectId([0xb2; 32]);
    for n in [PERSON, 2] {
        assert_eq!(code(&perform(&api, signed(n, "GET", &held(other), b"")).await), "caller.forbidden", "{n}");
    }
    assert_eq!(code(&perform(&api, signed(5, "GET", &held(ALIAS), b"")).await), "caller.forbidden", "no role");
    assert_eq!(code(&perform(&api, signed(6, "GET", &held(ALIAS), b"")).await), "caller.unknown");
    let stage = format!("/api/v1/documents/stage?root={}", DocumentRoot([7; 32]));
    for (method, path) in [
        ("POST", stage.as_str()),
        ("GET", "/api/v1/vault"),
        ("GET", "/api/v1/vault/audit"),
        ("POST", "/api/v1/vault/check"),
    ] {
        let answer = perform(&api, signed(PERSON, method, path, b"x")).await;
        assert_eq!((code(&answer).as_str(), answer.status.as_u16()), ("caller.forbidden", 403), "{path}");
    }
    assert_eq!(shelf.asked(), Vec::<String>::new(), "nothing reached the vault");
}

#[tokio::test]
async fn another_member_sees_the_read_audit_that_is_its_own_to_see_and_nothing_else() {
    let (shelf, api) = shelf();
    let who = perform(&api, signed(7, "GET", "/api/v1/account", b"")).await.json();
    assert_eq!((&who["account"]["member"], &who["node_member"]), (&json!("bureau"), &json!(MEMBER)), "{who}");
    let of_document = format!("/api/v1/documents/{ID}/audit");
    let whole = "/api/v1/vault/audit".to_owned();
    let page = |path: &str| format!("{path}?limit=2");
    for n in [7, 8] {
        assert_eq!(code(&perform(&api, signed(n, "GET", &page(&of_document), b"")).await), "ok", "{n}");
        // What was signed for another node is worth nothing here.
        for path in [page(&of_document), page(&whole)] {
            let elsewhere = signed_for("node2.example:7480", n, "GET", &path, b"", CHAIN, now_ms());
            assert_eq!(code(&perform(&api, elsewhere).await), "caller.other_node", "{n} {path}");
        }
    }
    assert_eq!(shelf.asked().len(), 2);
    let other = of_document.replace(&ID.to_string(), &"06".repeat(16));
    assert_eq!(code(&perform(&api, signed(7, "GET", &page(&other), b"")).await), "vault.not_allowed");
    // The whole log is for who watches over the member.
    assert_eq!(code(&perform(&api, signed(7, "GET", &page(&whole), b"")).await), "ok");
    assert_eq!(shelf.asked(), ["audit None 0 2"]);
    for n in [3, 8] {
        assert_eq!(code(&perform(&api, signed(n, "GET", &page(&whole), b"")).await), "caller.forbidden", "{n}");
    }
    for (method, path) in [("POST", read_path().as_str()), ("GET", "/api/v1/vault"), ("POST", "/api/v1/vault/check")] {
        let answer = perform(&api, signed(7, method, path, br#"{"purpose":"own"}"#)).await;
        assert_eq!(code(&answer), "caller.forbidden", "{path}");
    }
    assert_eq!(shelf.asked(), Vec::<String>::new(), "nothing reached the vault");
}
