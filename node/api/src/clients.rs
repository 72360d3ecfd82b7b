//! Certificates that clients show: whose they are, what they are worth now, what this node lets them do.
//!
//! ```text
//! handshake: the client has the key --> each request: by the member's authority, in time, in no list of revoked ones
//!                                       --> what the chain says of it --> this node's allow-list --> scope, accounts
//! ```
//!
//! The handshake itself takes any certificate whose key the client has. What is wrong with it is said as a problem with a
//! code, in answer to the request: an alert of TLS would tell nobody what to mend. Until then nothing was done for it.
//!
//! Architecture invariant: with a policy, no request is worked on before [`admit`] has let it in.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Extensions, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use parking_lot::Mutex;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use tokio_util::sync::CancellationToken;
use vouch_certificates::{AllowList, Certificate, RevocationList, Scope, Subject, fingerprint};
use vouch_types::{AccountId, Hash32, TimestampMs};

use crate::{Api, ApiError, Backend, ServeError, origin::Origin};

/// How long files are taken for what they were.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How often open connections are looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How long a connection stays open whose certificate never was in order: long enough to hear why.
const REFUSED_LINGER: Duration = Duration::from_secs(5);
/// Most bytes of a file that is read here.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most certificates a client shows: its own and those of authorities below the root. Each costs signatures to judge.
const CHAIN_MAX: usize = 4;

/// Which clients must show a certificate. One that is shown must be in order in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMode {
    /// None: those without are let in as if nobody had asked.
    Optional,
    /// Those from other machines.
    Required,
    /// All, also those of this machine: where a proxy on it passes connections on.
    Always,
}

/// Which clients a node asks for certificates, and which it lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPolicy {
    /// Which must show one.
    pub mode: ClientMode,
    /// The allow-list; may be replaced while the node runs. None is let in when it is missing.
    pub allow: PathBuf,
    /// A list of revoked certificates of the member's authority, used beside what the chain says; may be replaced while the
    /// node runs.
    pub revoked: Option<PathBuf>,
}

/// What a client showed in the handshake; it has the key.
pub(crate) struct Shown {
    chain: Vec<CertificateDer<'static>>,
    fingerprint: Hash32,
    subject: Option<Subject>,
    not_after: TimestampMs,
    /// What the path to the authority is worth, for a generation of what that follows from.
    path: Mutex<Option<(u64, Result<(), ApiError>)>>,
    /// Why its connection ends, once it does.
    reason: OnceLock<ApiError>,
    ending: CancellationToken,
}

impl Shown {
    pub(crate) fn new(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let first = chain.first()?;
        let read = Certificate::from_der(first).ok();
        Some(Self {
            fingerprint: fingerprint(first),
            subject: read.as_ref().and_then(|read| read.subject().cloned()),
            not_after: read.as_ref().map_or(TimestampMs(0), Certificate::not_after),
            chain: chain.iter().take(CHAIN_MAX + 1).map(|one| one.clone().into_owned()).collect(),
            path: Mutex::default(),
            reason: OnceLock::new(),
            ending: CancellationToken::new(),
        })
    }

    fn end(&self, reason: ApiError) {
        let _ = self.reason.set(reason);
        self.ending.cancel();
    }
}

/// Put into each request of a connection whose client showed a certificate.
#[derive(Clone)]
pub(crate) struct ShownCertificate(pub(crate) Arc<Shown>);

/// Returns when the certificate that came with a request no longer lets its client in, and says why; never for one without.
/// What goes on for long waits for it, so that its reader hears the reason before the connection is closed.
pub(crate) async fn ended(shown: Option<&ShownCertificate>) -> ApiError {
    let Some(ShownCertificate(shown)) = shown else { return std::future::pending().await };
    shown.ending.cancelled().await;
    shown.reason.get().cloned().unwrap_or_else(|| untrusted("its connection is ended"))
}

/// What a client that was let in may do; put into its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// Its entry in the allow-list.
    entry: String,
    scope: Vec<Scope>,
    /// Empty for any.
    accounts: Vec<AccountId>,
}

/// Size, time and number of a file: another one when it is replaced.
type Stamp = Option<(u64, i64, i64, u64)>;

type Lists = Vec<RevocationList>;

struct Files {
    looked: Option<Instant>,
    stamps: (Stamp, Stamp),
    allow: Arc<AllowList>,
    lists: Arc<Lists>,
    generation: u64,
}

impl Files {
    fn take_allow(&mut self, read: Result<AllowList, ServeError>) {
        match read {
            Ok(allow) => {
                tracing::info!(clients = allow.clients.len(), "the list of clients let in has changed");
                self.allow = Arc::new(allow);
            }
            Err(error) => tracing::warn!(%error, "the changed list of clients cannot be used, the old one stays"),
        }
    }

    fn take_lists(&mut self, read: Result<Option<Lists>, ServeError>) {
        match read {
            Ok(Some(lists)) => {
                tracing::info!("the list of revoked certificates has changed");
                self.lists = Arc::new(lists);
                self.generation += 1;
            }
            // What was revoked does not count again because a file was lost.
            Ok(None) => tracing::warn!("the list of revoked certificates is gone, the old one stays"),
            Err(error) => {
                tracing::warn!(%error, "the changed list of revoked certificates cannot be used, the old one stays");
            }
        }
    }
}

struct Trust {
    root: Vec<u8>,
    files: u64,
    generation: u64,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

/// Judges clients' certificates.
pub(crate) struct Gate {
    policy: ClientPolicy,
    backend: Arc<dyn Backend>,
    provider: Arc<CryptoProvider>,
    files: Mutex<Files>,
    trust: Mutex<Trust>,
}

impl Gate {
    /// Reads the files.
    pub(crate) fn open(policy: ClientPolicy, backend: Arc<dyn Backend>) -> Result<Self, ServeError> {
        let stamps = (stamp(&policy.allow), policy.revoked.as_deref().and_then(stamp));
        let allow = Arc::new(read_allow(&policy.allow)?);
        let lists = policy.revoked.as_deref().map(read_lists).transpose()?;
        if matches!(lists, Some(None)) {
            tracing::warn!("there is no list of revoked certificates where the configuration names one");
        }
        let lists = Arc::new(lists.flatten().unwrap_or_default());
        Ok(Self {
            policy,
            backend,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            files: Mutex::new(Files { looked: None, stamps, allow, lists, generation: 0 }),
            trust: Mutex::new(Trust { root: Vec::new(), files: 0, generation: 0, verifier: None }),
        })
    }

    /// What a TLS server asks its clients with.
    pub(crate) fn asking(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(Asking(self.provider.signature_verification_algorithms))
    }

    /// The allow-list and lists of revoked ones as they are now. A file that cannot be used changes nothing.
    fn look(&self) -> (Arc<AllowList>, u64, Arc<Lists>) {
        let mut files = self.files.lock();
        if files.looked.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL) {
            files.looked = Some(Instant::now());
            let now = (stamp(&self.policy.allow), self.policy.revoked.as_deref().and_then(stamp));
            if now.0 != files.stamps.0 {
                files.take_allow(read_allow(&self.policy.allow));
            }
            if let (Some(revoked), true) = (&self.policy.revoked, now.1 != files.stamps.1) {
                files.take_lists(read_lists(revoked));
            }
            files.stamps = now;
        }
        (Arc::clone(&files.allow), files.generation, Arc::clone(&files.lists))
    }

    /// The verifier for the member's root as it is now, and the generation it is of.
    fn verifier(&self, root: &[u8], files: u64, lists: &Lists) -> (u64, Option<Arc<dyn ClientCertVerifier>>) {
        let mut trust = self.trust.lock();
        if trust.generation == 0 || trust.root != root || trust.files != files {
            let mut roots = RootCertStore::empty();
            let lists = lists_of(root, lists);
            let verifier = roots.add(CertificateDer::from(root.to_vec())).ok().and_then(|()| {
                let provider = Arc::clone(&self.provider);
                let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_crls(lists).allow_unknown_revocation_status().build().ok()
            });
            let generation = trust.generation + 1;
            *trust = Trust { root: root.to_vec(), files, generation, verifier };
        }
        (trust.generation, trust.verifier.clone())
    }

    /// What a certificate is worth now.
    pub(crate) fn judge(&self, shown: &Shown) -> Result<Admitted, ApiError> {
        let (allow, files, lists) = self.look();
        let Some((member, root)) = self.backend.member_authority() else {
            return Err(untrusted("the registry has no authority of this node's member yet"));
        };
        let (generation, verifier) = self.verifier(&root, files, &lists);
        let mut path = shown.path.lock();
        let now = now();
        let known = path.as_ref().filter(|(at, _)| *at == generation && now <= shown.not_after);
        let judged = known.map_or_else(|| verify(verifier.as_deref(), shown, now), |(_, judged)| judged.clone());
        // What comes of the time alone may be otherwise at the next request.
        let is_lasting = judged.as_ref().err().is_none_or(|error| error.code() != "certificate.expired");
        *path = is_lasting.then(|| (generation, judged.clone()));
        drop(path);
        judged?;
        self.judge_standing(shown, &member, &allow)
    }

    fn judge_standing(&self, shown: &Shown, member: &str, allow: &AllowList) -> Result<Admitted, ApiError> {
        let record = self.backend.certificate(shown.fingerprint).filter(|record| record.member == member);
        let record = record.ok_or_else(|| {
            let detail = format!("the chain knows no certificate {} of {member}", shown.fingerprint);
            ApiError::new("certificate.unknown", detail)
        })?;
        match record.standing.as_str() {
            "valid" | "renewed" => {}
            "expired" => return Err(expired("by the time of the last block")),
            standing => {
                let detail = format!("by the chain it is {standing} since block {}", record.changed);
                return Err(ApiError::new("certificate.revoked", detail));
            }
        }
        let subject = format!("{}:{}", record.subject_kind, record.subject);
        let own = shown.subject.as_ref().filter(|own| own.member == member && own.short() == subject);
        if own.is_none() {
            return Err(untrusted(&format!(
                "it does not say that it speaks for {subject} of {member}, as the chain does"
            )));
        }
        let entry = allow.find(shown.fingerprint, &subject).ok_or_else(|| {
            let detail = format!("{subject}, certificate {}", shown.fingerprint);
            ApiError::new("certificate.not_allowed", detail)
        })?;
        let mut accounts = entry.accounts.clone();
        if record.subject_kind == "account" && accounts.is_empty() {
            // Without one it would be bound to none, which is to say to any.
            accounts.push(record.subject.parse().map_err(|_| untrusted("it speaks for an account that is none"))?);
        }
        Ok(Admitted { entry: entry.key(), scope: entry.scope.clone(), accounts })
    }

    /// Returns when a connection must end: its certificate no longer lets it in, or never did. Whoever waits for
    /// [`ended`] has heard it then.
    pub(crate) async fn until_ended(&self, shown: &Shown) {
        let mut was_in = self.judge(shown).is_ok();
        tokio::time::sleep(if was_in { WATCH_INTERVAL } else { REFUSED_LINGER }).await;
        loop {
            match self.judge(shown) {
                Ok(_) => was_in = true,
                Err(error) => {
                    // Not for those that never were let in: anybody could fill the log.
                    if was_in {
                        let (certificate, code) = (shown.fingerprint, error.code());
                        tracing::info!(%certificate, code, "a client's connection is ended");
                    }
                    return shown.end(error);
                }
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }

    /// Lets a request in, or says why not.
    fn check(&self, request: &Request) -> Result<Option<Admitted>, ApiError> {
        let Some(ShownCertificate(shown)) = request.extensions().get::<ShownCertificate>() else {
            return match self.policy.mode {
                ClientMode::Required if !Origin::of(request).is_local => {
                    Err(required("clients from other machines show a certificate at this node"))
                }
                ClientMode::Always => Err(required("all clients show a certificate at this node")),
                ClientMode::Optional | ClientMode::Required => Ok(None),
            };
        };
        let admitted = self.judge(shown)?;
        let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let needed = needed(request.method(), path);
        if admitted.scope.contains(&needed) {
            return Ok(Some(admitted));
        }
        let scope: Vec<&str> = admitted.scope.iter().map(|scope| scope.as_str()).collect();
        let detail = format!("{} has the scope {}, this needs {}", admitted.entry, scope.join(", "), needed.as_str());
        Err(ApiError::new("certificate.scope", detail))
    }
}

/// Lets a client's request in by its certificate; with no policy, all.
pub(crate) async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let Some(gate) = &api.gate else { return next.run(request).await };
    match gate.check(&request) {
        Ok(None) => next.run(request).await,
        Ok(Some(admitted)) => {
            request.extensions_mut().insert(admitted);
            next.run(request).await
        }
        Err(error) => {
            api.metrics.certificates_refused.increment();
            let mut response = error.into_response();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

/// Refuses what is signed by accounts that the client's certificate is not let in for.
pub(crate) fn may_act(extensions: &Extensions, mut signers: impl Iterator<Item = AccountId>) -> Result<(), ApiError> {
    let Some(admitted) = extensions.get::<Admitted>().filter(|admitted| !admitted.accounts.is_empty()) else {
        return Ok(());
    };
    match signers.find(|signer| !admitted.accounts.contains(signer)) {
        None => Ok(()),
        Some(signer) => {
            let detail = format!("signed by {signer}, which {} is not let in for", admitted.entry);
            Err(ApiError::new("certificate.other_account", detail))
        }
    }
}

/// Whether a client of this request is bound to some accounts.
pub(crate) fn is_bound(extensions: &Extensions) -> bool {
    extensions.get::<Admitted>().is_some_and(|admitted| !admitted.accounts.is_empty())
}

/// What a route takes, by its pattern.
fn needed(method: &Method, path: &str) -> Scope {
    let is_upload = path.contains("/uploads/") && !matches!(*method, Method::GET | Method::HEAD);
    match path.strip_prefix("/api/v1") {
        Some(route) if route.starts_with("/admin/") => Scope::Admin,
        Some("/transactions" | "/transactions/batch" | "/documents/stage") if *method == Method::POST => Scope::Submit,
        Some(_) if is_upload => Scope::Submit,
        _ => Scope::Read,
    }
}

/// Those that the member's authority signed. Another one's says nothing, and one of a root before would have webpki refuse
/// every client.
fn lists_of(root: &[u8], lists: &[RevocationList]) -> Vec<CertificateRevocationListDer<'static>> {
    let root = Certificate::from_der(root).ok();
    let is_own = |list: &&RevocationList| {
        let is_own = root.as_ref().is_some_and(|root| list.is_signed_by(root));
        if !is_own {
            tracing::warn!("a list of revoked certificates counts for nothing: the member's authority did not sign it");
        }
        is_own
    };
    lists.iter().filter(is_own).map(|list| CertificateRevocationListDer::from(list.der().to_vec())).collect()
}

fn verify(verifier: Option<&dyn ClientCertVerifier>, shown: &Shown, now: TimestampMs) -> Result<(), ApiError> {
    let verifier = verifier.ok_or_else(|| untrusted("the member's root certificate in the registry cannot be used"))?;
    let (first, rest) = shown.chain.split_first().ok_or_else(|| untrusted("there is none"))?;
    if shown.chain.len() > CHAIN_MAX {
        return Err(untrusted(&format!("it is shown with more than {} others", CHAIN_MAX - 1)));
    }
    let time = UnixTime::since_unix_epoch(Duration::from_millis(now.0));
    match verifier.verify_client_cert(first, rest, time) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(error)) => Err(match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => expired("it ended"),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                expired("it does not count yet")
            }
            CertificateError::Revoked => {
                ApiError::new("certificate.revoked", "it stands in the list of revoked certificates")
            }
            other => untrusted(&format!("{other:?}")),
        }),
        Err(error) => Err(untrusted(&error.to_string())),
    }
}

fn required(detail: &str) -> ApiError {
    ApiError::new("certificate.required", detail)
}

fn untrusted(detail: &str) -> ApiError {
    ApiError::new("certificate.untrusted", detail)
}

fn expired(detail: &str) -> ApiError {
    ApiError::new("certificate.expired", detail)
}

fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.len(), data.mtime(), data.mtime_nsec(), data.ino()))
}

fn fault(path: &Path, reason: impl std::fmt::Display) -> ServeError {
    ServeError::Certificate { path: path.into(), reason: reason.to_string() }
}

/// `None` for a file that is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, ServeError> {
    use std::io::Read as _;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(path, error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| fault(path, error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(fault(path, format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(Some(bytes))
}

fn read_allow(path: &Path) -> Result<AllowList, ServeError> {
    let Some(bytes) = read(path)? else { return Ok(AllowList::default()) };
    let text = String::from_utf8(bytes).map_err(|_| fault(path, "it is no text"))?;
    AllowList::from_toml(&text).map_err(|error| fault(path, error))
}

/// `None` for a file that is not there.
fn read_lists(path: &Path) -> Result<Option<Lists>, ServeError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let lists = RevocationList::read_all(&bytes).map_err(|error| fault(path, error))?;
    // One that webpki cannot read would leave the node without a verifier.
    for list in &lists {
        let read = webpki::BorrowedCertRevocationList::from_der(list.der()).map(|_| ());
        read.map_err(|error| fault(path, format!("{error:?}")))?;
    }
    Ok(Some(lists))
}

/// Asks every client and takes any certificate whose key the client shows to have.
#[derive(Debug)]
struct Asking(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for Asking {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_that_changes_something_needs_more_than_reading() {
        for (method, path, expected) in [
            (Method::GET, "/api/v1/status", Scope::Read),
            (Method::POST, "/api/v1/contracts/{name}/query/{method}", Scope::Read),
            (Method::GET, "/api/v1/transactions", Scope::Read),
            (Method::POST, "/api/v1/transactions", Scope::Submit),
            (Method::POST, "/api/v1/transactions/batch", Scope::Submit),
            (Method::POST, "/api/v1/documents/stage", Scope::Submit),
            (Method::GET, "/api/v1/documents/{document}/versions/{version}/uploads/{slot}/{index}", Scope::Read),
            (Method::PATCH, "/api/v1/documents/{document}/versions/{version}/uploads/{slot}/{index}", Scope::Submit),
            (Method::DELETE, "/api/v1/documents/{document}/versions/{version}/uploads/{slot}/{index}", Scope::Submit),
            (Method::POST, "/api/v1/admin/backup", Scope::Admin),
            (Method::GET, "", Scope::Read),
        ] {
            assert_eq!(needed(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn routes_for_which_reading_is_enough_are_named() {
        // Not by GET, and yet nothing is changed for anyone but the reader.
        let reading = [
            "/api/v1/contracts/{name}/query/{method}",
            "/api/v1/proposals/{id}/dry-run",
            "/api/v1/documents/{document}/versions/{version}/read",
            "/api/v1/documents/{document}/versions/{version}/files/{slot}/{index}/open",
            "/api/v1/vault/check",
        ];
        let document = serde_json::to_value(crate::openapi_document()).unwrap();
        let mut seen = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in ["post", "put", "patch", "delete"].into_iter().filter(|method| item.get(method).is_some()) {
                let upper: Method = method.to_uppercase().parse().unwrap();
                let is_read = needed(&upper, path) == Scope::Read;
                assert_eq!(is_read, reading.contains(&path.as_str()), "{method} {path}");
                seen += 1;
            }
        }
        assert!(seen > reading.len() + 5, "only {seen} routes");
    }
}
