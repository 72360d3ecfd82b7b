//! Clients that show certificates, over real handshakes: who is let in, for what, and for how long.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio_util::sync::CancellationToken;
use vouch_api::{ApiConfig, Backend, ClientMode, ClientPolicy, ServeError, Server, TlsReloader, Transport};
use vouch_certificates::{
    AllowList, AllowedClient, Authority, Certificate, DAY_MS, Key, NewAuthority, Order, Profile, Reason, Request,
    Revoked, Scope, ServerName, Subject, SubjectKind,
};
use vouch_sdk::{ClientCertificate, ClientConfig, EventsRequest, SignedTransaction, TransactionBuilder};
use vouch_types::{
    ContractName, Height, SecretKey, TimestampMs,
    api::{CertificateView, HexBytes},
};

use crate::double::{Plain, config, key, unlimited};

const MEMBER: &str = "bank";

fn now() -> TimestampMs {
    TimestampMs(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("clock").as_millis()).expect("fits"))
}

fn authority(at: TimestampMs) -> Authority {
    let new = NewAuthority {
        organisation: MEMBER.into(),
        title: "Authority of bank".into(),
        permitted: vec!["localhost".parse().expect("name"), "127.0.0.1".parse().expect("net")],
        has_nodes_below: false,
        days: 3_000,
    };
    Authority::create(&new, &Key::generate().expect("key"), at).expect("authority")
}

/// A certificate and its key.
struct Client {
    certificate: Certificate,
    key: Key,
}

impl Client {
    fn issue(authority: &Authority, system: &str, at: TimestampMs, days: u32) -> Self {
        Self::issue_to(authority, SubjectKind::System, system, at, days)
    }

    fn issue_to(authority: &Authority, kind: SubjectKind, name: &str, at: TimestampMs, days: u32) -> Self {
        let subject = Subject::new(MEMBER, kind, name).expect("name");
        let key = Key::generate().expect("key");
        let request = Request::make(&key, &subject, &[]).expect("request");
        let request = Request::read(request.as_bytes()).expect("reads");
        let order = Order { request: &request, subject: &subject, profile: Profile::Client, names: &[], days };
        Self { certificate: authority.issue(&order, at).expect("issues"), key }
    }

    fn record(&self, standing: &str) -> CertificateView {
        let subject = self.certificate.subject().expect("subject").clone();
        CertificateView {
            fingerprint: self.certificate.fingerprint(),
            member: MEMBER.into(),
            serial: HexBytes(self.certificate.serial().to_vec()),
            subject_kind: subject.kind.as_str().into(),
            subject: subject.name,
            not_after: self.certificate.not_after(),
            recorded: Height(1),
            standing: standing.into(),
            changed: Height(2),
            reason: String::new(),
        }
    }
}

struct World {
    folder: tempfile::TempDir,
    backend: Arc<Plain>,
    authority: Authority,
    url: String,
    reloader: TlsReloader,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn hosts() -> Vec<ServerName> {
    vec!["127.0.0.1".parse().expect("address")]
}

impl World {
    async fn start(mode: ClientMode) -> Self {
        let folder = tempfile::tempdir().expect("dir");
        let authority = authority(now());
        write_server(&authority, &folder);
        let backend = Plain::new();
        backend.set_authority(MEMBER, authority.certificate().der());
        let server = bind(&folder, &backend, mode).await.expect("binds");
        let (url, stop) = (server.url(), CancellationToken::new());
        let reloader = server.tls_reloader().expect("TLS");
        let task = tokio::spawn(server.run(stop.clone()));
        Self { folder, backend, authority, url, reloader, stop, task }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A client that the chain knows.
    fn recorded(&self, system: &str) -> Client {
        let client = Client::issue(&self.authority, system, now(), 30);
        self.backend.record(client.record("valid"));
        client
    }

    fn allow(&self, clients: Vec<AllowedClient>) {
        let text = AllowList { clients }.to_toml().expect("text");
        replace(&self.path("clients.toml"), &text);
    }

    fn revoke(&self, revoked: &[Revoked], number: u64) {
        let list = self.authority.revocation_list(revoked, number, now(), 7).expect("list");
        replace(&self.path("crl.pem"), &list);
    }

    fn config(&self, client: Option<&Client>) -> ClientConfig {
        ClientConfig {
            ca_pem: Some(self.authority.certificate().to_pem().into_bytes()),
            attempts_max: 1,
            certificate: client.map(|client| {
                ClientCertificate::new(client.certificate.to_pem().as_bytes(), client.key.to_pem().as_bytes())
            }),
            ..ClientConfig::new(&self.url)
        }
    }

    async fn ask(&self, client: Option<&Client>) -> String {
        code(self.config(client).build().expect("client").params().await)
    }

    async fn submit(&self, client: &Client, transaction: &SignedTransaction) -> String {
        code(self.config(Some(client)).build().expect("client").submit(transaction).await)
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.expect("ends");
    }
}

async fn bind(folder: &tempfile::TempDir, backend: &Arc<Plain>, mode: ClientMode) -> Result<Server, ServeError> {
    let at = |name: &str| folder.path().join(name);
    let transport = Transport::Tls { certificate: at("cert.pem"), key: at("key.pem") };
    let clients = Some(ClientPolicy { mode, allow: at("clients.toml"), revoked: Some(at("crl.pem")) });
    let backend: Arc<dyn Backend> = Arc::<Plain>::clone(backend);
    Server::bind(&ApiConfig { transport, clients, ..config(unlimited()) }, backend, None).await
}

fn write_server(authority: &Authority, folder: &tempfile::TempDir) {
    let key = Key::generate().expect("key");
    let node = Subject::new(MEMBER, SubjectKind::Node, "n1").expect("name");
    let certificate = authority.issue_server(&key, &node, &hosts(), 10 * DAY_MS, now()).expect("issues");
    fs::write(folder.path().join("key.pem"), key.to_pem().as_bytes()).expect("writes");
    fs::write(folder.path().join("cert.pem"), certificate.to_pem()).expect("writes");
}

/// As an operator's tool does: the new file takes the place of the old one.
fn replace(path: &PathBuf, text: &str) {
    let part = path.with_extension("part");
    fs::write(&part, text).expect("writes");
    fs::rename(&part, path).expect("renames");
}

fn entry(subject: &str, scope: &[Scope]) -> AllowedClient {
    AllowedClient {
        subject: Some(subject.into()),
        fingerprint: None,
        scope: scope.to_vec(),
        accounts: Vec::new(),
        note: String::new(),
    }
}

fn code<T>(result: Result<T, vouch_sdk::Error>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |_| "ok".into())
}

/// Until an answer changes to what is expected; files are looked at four times a second.
async fn until(expected: &str, ask: impl AsyncFn() -> String) {
    for _ in 0..100 {
        if ask().await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask().await, expected);
}

fn signed(key: &SecretKey, params: &vouch_types::api::ChainParams) -> SignedTransaction {
    let notes = ContractName::new("notes").expect("name");
    TransactionBuilder::new(params).call(notes, "add", vec![1]).sign(&[key]).expect("signs")
}

#[tokio::test]
async fn each_thing_that_is_wrong_has_its_own_answer() {
    let world = World::start(ClientMode::Always).await;
    world.allow(vec![entry("system:erp", &[Scope::Read, Scope::Submit])]);
    let (erp, crm) = (world.recorded("erp"), world.recorded("crm"));
    until("ok", async || world.ask(Some(&erp)).await).await;
    assert_eq!(world.ask(None).await, "certificate.required");
    assert_eq!(world.ask(Some(&crm)).await, "certificate.not_allowed");
    let foreign = Client::issue(&authority(now()), "erp", now(), 30);
    world.backend.record(foreign.record("valid"));
    assert_eq!(world.ask(Some(&foreign)).await, "certificate.untrusted", "the same names, another authority");
    let old = Client::issue(&world.authority, "erp", TimestampMs(now().0 - 40 * DAY_MS), 30);
    world.backend.record(old.record("valid"));
    assert_eq!(world.ask(Some(&old)).await, "certificate.expired");
    let early = Client::issue(&world.authority, "erp", TimestampMs(now().0 + 2 * DAY_MS), 30);
    world.backend.record(early.record("valid"));
    assert_eq!(world.ask(Some(&early)).await, "certificate.expired");
    let unrecorded = Client::issue(&world.authority, "erp", now(), 30);
    assert_eq!(world.ask(Some(&unrecorded)).await, "certificate.unknown");
    for (standing, expected) in
        [("revoked", "certificate.revoked"), ("destroyed", "certificate.revoked"), ("renewed", "ok"), ("valid", "ok")]
    {
        world.backend.record(erp.record(standing));
        assert_eq!(world.ask(Some(&erp)).await, expected, "{standing}");
    }
    world.backend.record(CertificateView { subject: "crm".into(), ..erp.record("valid") });
    assert_eq!(world.ask(Some(&erp)).await, "certificate.untrusted", "the chain says that it speaks for another");
    world.backend.record(CertificateView { member: "other".into(), ..erp.record("valid") });
    assert_eq!(world.ask(Some(&erp)).await, "certificate.unknown", "another member's");
    let server = Client {
        certificate: Certificate::read(&fs::read(world.path("cert.pem")).expect("reads")).expect("certificate"),
        key: Key::from_pem(&fs::read(world.path("key.pem")).expect("reads")).expect("key"),
    };
    assert_eq!(world.ask(Some(&server)).await, "certificate.untrusted", "a server's is no client's");
    world.end().await;
}

#[tokio::test]
async fn without_a_certificate_by_mode_and_never_with_a_bad_one() {
    for (mode, expected) in
        [(ClientMode::Optional, "ok"), (ClientMode::Required, "ok"), (ClientMode::Always, "certificate.required")]
    {
        let world = World::start(mode).await;
        assert_eq!(world.ask(None).await, expected, "{mode:?}, from this machine");
        let crm = world.recorded("crm");
        assert_eq!(world.ask(Some(&crm)).await, "certificate.not_allowed", "{mode:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn scopes_and_accounts_bind() {
    let world = World::start(ClientMode::Always).await;
    let (own, other) = (key(), SecretKey::from_seed([77; 32]));
    let reader = world.recorded("reader");
    let (bound, free) = (world.recorded("bound"), world.recorded("free"));
    let both = [Scope::Read, Scope::Submit];
    world.allow(vec![
        entry("system:reader", &[Scope::Read]),
        AllowedClient { accounts: vec![own.public().account()], ..entry("system:bound", &both) },
        entry("system:free", &both),
    ]);
    until("ok", async || world.ask(Some(&reader)).await).await;
    let params = world.config(Some(&free)).build().expect("client").params().await.expect("params");
    let (by_own, by_other) = (signed(&own, &params), signed(&other, &params));
    assert_eq!(world.submit(&reader, &by_own).await, "certificate.scope");
    assert_eq!(world.submit(&bound, &by_own).await, "ok");
    assert_eq!(world.submit(&bound, &by_other).await, "certificate.other_account");
    assert_eq!(world.submit(&free, &by_other).await, "ok");
    let client = world.config(Some(&bound)).build().expect("client");
    let refused = client.submit_batch(&[by_own.clone(), by_other.clone()]).await.expect_err("as a whole");
    assert_eq!(
        (refused.code(), refused.to_problem().location.as_deref()),
        ("certificate.other_account", Some("transactions[1]"))
    );
    assert_eq!(code(client.submit_batch(&[by_own]).await), "ok");
    let notes = ContractName::new("notes").expect("name");
    let two = TransactionBuilder::new(&params).call(notes, "add", vec![2]).sign(&[&own, &other]).expect("signs");
    assert_eq!(world.submit(&bound, &two).await, "certificate.other_account", "every signer counts");
    let admin = ClientConfig {
        admin_token: Some(vouch_sdk::AdminToken::new(crate::double::ADMIN)),
        ..world.config(Some(&free))
    };
    assert_eq!(code(admin.build().expect("client").backup("/no-such-file").await), "certificate.scope");
    world.end().await;
}

#[tokio::test]
async fn an_accounts_certificate_acts_for_that_account_alone() {
    let world = World::start(ClientMode::Always).await;
    let (own, other) = (key(), SecretKey::from_seed([77; 32]));
    let account = own.public().account().to_string();
    let of = |name: &str| {
        let client = Client::issue_to(&world.authority, SubjectKind::Account, name, now(), 30);
        world.backend.record(client.record("valid"));
        client
    };
    let (client, broken) = (of(&account), of("nobody"));
    let both = [Scope::Read, Scope::Submit];
    world.allow(vec![entry(&format!("account:{account}"), &both), entry("account:nobody", &both)]);
    until("ok", async || world.ask(Some(&client)).await).await;
    let params = world.config(Some(&client)).build().expect("client").params().await.expect("params");
    assert_eq!(world.submit(&client, &signed(&own, &params)).await, "ok");
    assert_eq!(world.submit(&client, &signed(&other, &params)).await, "certificate.other_account");
    let refused = world.submit(&broken, &signed(&other, &params)).await;
    assert_eq!(refused, "certificate.untrusted", "bound to an account that is none, and not to any");
    world.end().await;
}

#[tokio::test]
async fn many_certificates_at_once_are_not_judged() {
    let world = World::start(ClientMode::Always).await;
    world.allow(vec![entry("system:erp", &[Scope::Read])]);
    let erp = world.recorded("erp");
    until("ok", async || world.ask(Some(&erp)).await).await;
    for (others, expected) in [(3, "ok"), (4, "certificate.untrusted"), (12, "certificate.untrusted")] {
        let mut chain = erp.certificate.to_pem();
        (0..others).for_each(|_| chain.push_str(&authority(now()).certificate().to_pem()));
        let certificate = Some(ClientCertificate::new(chain.as_bytes(), erp.key.to_pem().as_bytes()));
        let config = ClientConfig { certificate, ..world.config(Some(&erp)) };
        assert_eq!(code(config.build().expect("client").params().await), expected, "with {others} others");
    }
    world.end().await;
}

#[tokio::test]
async fn lists_change_without_a_restart_and_broken_ones_change_nothing() {
    let world = World::start(ClientMode::Always).await;
    let erp = world.recorded("erp");
    assert_eq!(world.ask(Some(&erp)).await, "certificate.not_allowed", "no list, nobody");
    world.allow(vec![entry("system:erp", &[Scope::Read])]);
    until("ok", async || world.ask(Some(&erp)).await).await;
    replace(&world.path("clients.toml"), "[[client]]\nsubject = 1");
    replace(&world.path("crl.pem"), "nothing");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(world.ask(Some(&erp)).await, "ok", "the list before counts");
    let entry_of_erp =
        AllowedClient { fingerprint: Some(erp.certificate.fingerprint()), subject: None, ..entry("", &[Scope::Read]) };
    world.allow(vec![entry_of_erp]);
    let renewal = world.recorded("erp");
    until("certificate.not_allowed", async || world.ask(Some(&renewal)).await).await;
    assert_eq!(world.ask(Some(&erp)).await, "ok", "this one is named");
    world.revoke(&[], 1);
    let other = Revoked { serial: vec![0x41; 16], at: now(), reason: Reason::Superseded };
    world.revoke(std::slice::from_ref(&other), 2);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(world.ask(Some(&erp)).await, "ok", "another one was revoked");
    let own = Revoked { serial: erp.certificate.serial().to_vec(), at: now(), reason: Reason::KeyCompromise };
    world.revoke(&[other, own], 3);
    until("certificate.revoked", async || world.ask(Some(&erp)).await).await;
    fs::remove_file(world.path("crl.pem")).expect("removes");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(world.ask(Some(&erp)).await, "certificate.revoked", "a list that is lost revokes as before");
    world.end().await;
}

#[tokio::test]
async fn an_open_connection_ends_when_its_certificate_does() {
    use futures::StreamExt as _;
    let world = World::start(ClientMode::Always).await;
    world.allow(vec![entry("system:erp", &[Scope::Read])]);
    let erp = world.recorded("erp");
    until("ok", async || world.ask(Some(&erp)).await).await;
    let client = world.config(Some(&erp)).build().expect("client");
    let mut events = client.events(EventsRequest::default());
    let waits = tokio::time::timeout(Duration::from_millis(1_500), events.next()).await;
    assert!(waits.is_err(), "nothing happens, the stream stays open over several looks: {waits:?}");
    assert_eq!(code(client.params().await), "ok", "the same connection serves on");
    world.backend.record(erp.record("revoked"));
    assert_eq!(code(client.params().await), "certificate.revoked", "at once, also on the open connection");
    let ended = tokio::time::timeout(Duration::from_secs(5), events.next()).await.expect("ends in time");
    let error = ended.expect("says why").expect_err("cannot go on");
    assert_eq!(error.code(), "certificate.revoked");
    // Whatever becomes of the connection meanwhile, each request hears why it is refused.
    for _ in 0..60 {
        assert_eq!(code(client.params().await), "certificate.revoked");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    world.end().await;
}

#[tokio::test]
async fn the_server_presents_a_new_certificate_while_a_connection_goes_on() {
    let world = World::start(ClientMode::Always).await;
    world.allow(vec![entry("system:erp", &[Scope::Read])]);
    let erp = world.recorded("erp");
    until("ok", async || world.ask(Some(&erp)).await).await;
    let before = world.config(Some(&erp)).build().expect("client");
    assert_eq!(code(before.params().await), "ok");
    let other = authority(now());
    write_server(&other, &world.folder);
    assert!(world.reloader.reload().expect("reads"));
    assert_eq!(code(before.params().await), "ok", "the connection that is open goes on");
    assert_eq!(world.ask(Some(&erp)).await, "client.tls", "a new one sees the new certificate");
    let root = Some(other.certificate().to_pem().into_bytes());
    let after = ClientConfig { ca_pem: root, ..world.config(Some(&erp)) }.build().expect("client");
    assert_eq!(code(after.params().await), "ok");
    world.end().await;
}

#[tokio::test]
async fn a_new_root_on_the_chain_counts_at_once() {
    let world = World::start(ClientMode::Always).await;
    world.allow(vec![entry("system:erp", &[Scope::Read])]);
    let erp = world.recorded("erp");
    until("ok", async || world.ask(Some(&erp)).await).await;
    let client = world.config(Some(&erp)).build().expect("client");
    assert_eq!(code(client.params().await), "ok");
    world.revoke(&[], 1);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(code(client.params().await), "ok", "its authority's list is read");
    let next = authority(now());
    world.backend.set_authority(MEMBER, next.certificate().der());
    assert_eq!(code(client.params().await), "certificate.untrusted", "also on an open connection");
    let successor = Client::issue(&next, "erp", now(), 30);
    world.backend.record(successor.record("valid"));
    assert_eq!(world.ask(Some(&successor)).await, "ok", "the list of the root before says nothing of it");
    world.backend.set_authority(MEMBER, &[0x30, 0x00]);
    assert_eq!(world.ask(Some(&successor)).await, "certificate.untrusted", "a root that is none");
    world.end().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_and_plain_http_stop_the_start() {
    let folder = tempfile::tempdir().expect("dir");
    write_server(&authority(now()), &folder);
    let backend = Plain::new();
    for name in ["clients.toml", "crl.pem"] {
        fs::write(folder.path().join(name), "nothing = [").expect("writes");
        let refused = bind(&folder, &backend, ClientMode::Optional).await;
        assert!(matches!(refused, Err(ServeError::Certificate { .. })), "{name}");
        fs::remove_file(folder.path().join(name)).expect("removes");
    }
    bind(&folder, &backend, ClientMode::Optional).await.expect("binds");
    let clients =
        Some(ClientPolicy { mode: ClientMode::Required, allow: folder.path().join("clients.toml"), revoked: None });
    let backend: Arc<dyn Backend> = backend;
    let plain = Server::bind(&ApiConfig { clients, ..config(unlimited()) }, backend, None).await;
    assert!(matches!(plain, Err(ServeError::NoTls)));
}
