//! TLS: who is believed, what is refused, certificates that change.

use std::{fs, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;
use vouch_api::{ApiConfig, Backend, ServeError, Server, Transport};
use vouch_sdk::ClientConfig;

use crate::double::{Plain, config, unlimited};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("key");
    let pem = params.self_signed(&key).expect("signs").pem();
    Authority { pem, issuer: Issuer::new(params, key) }
}

/// Writes `cert.pem` and `key.pem` for a host.
fn issue(authority: &Authority, dir: &Path, host: &str) {
    let key = KeyPair::generate().expect("key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("params");
    let certificate = params.signed_by(&key, &authority.issuer).expect("signs");
    fs::write(dir.join("cert.pem"), certificate.pem()).expect("writes");
    fs::write(dir.join("key.pem"), key.serialize_pem()).expect("writes");
}

fn tls_config(dir: &Path) -> ApiConfig {
    let transport = Transport::Tls { certificate: dir.join("cert.pem"), key: dir.join("key.pem") };
    ApiConfig { transport, ..config(unlimited()) }
}

async fn bind(dir: &Path) -> Result<Server, ServeError> {
    let backend: Arc<dyn Backend> = Plain::new();
    Server::bind(&tls_config(dir), backend, None).await
}

async fn status_code(url: &str, ca: Option<&str>) -> String {
    let config =
        ClientConfig { ca_pem: ca.map(|pem| pem.as_bytes().to_vec()), attempts_max: 1, ..ClientConfig::new(url) };
    match config.build().expect("client").status().await {
        Ok(_) => "ok".into(),
        Err(error) => error.code().to_owned(),
    }
}

#[tokio::test]
async fn only_the_named_authority_and_host_are_believed() {
    let dir = tempfile::tempdir().expect("dir");
    let (ours, theirs) = (authority(), authority());
    issue(&ours, dir.path(), "127.0.0.1");
    let server = bind(dir.path()).await.expect("binds");
    let (url, address) = (server.url(), server.local_address());
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.run(stop.clone()));
    assert_eq!(status_code(&url, Some(&ours.pem)).await, "ok");
    assert_eq!(status_code(&url, Some(&theirs.pem)).await, "client.tls");
    assert_eq!(status_code(&url, None).await, "client.tls", "the system does not know it");
    let other_host = url.replace("127.0.0.1", "localhost");
    assert_eq!(status_code(&other_host, Some(&ours.pem)).await, "client.tls");

    let mut bare = TcpStream::connect(address).await.expect("connects");
    bare.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("writes");
    let mut answer = Vec::new();
    let _ = bare.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "bare HTTP is not answered");
    stop.cancel();
    task.await.expect("ends");
}

#[tokio::test]
async fn a_new_certificate_is_presented_and_a_bad_one_is_not() {
    let dir = tempfile::tempdir().expect("dir");
    let (old, new) = (authority(), authority());
    issue(&old, dir.path(), "127.0.0.1");
    let server = bind(dir.path()).await.expect("binds");
    let (url, reloader) = (server.url(), server.tls_reloader().expect("TLS"));
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.run(stop.clone()));
    assert_eq!(status_code(&url, Some(&old.pem)).await, "ok");
    issue(&new, dir.path(), "127.0.0.1");
    reloader.reload().expect("reads");
    assert_eq!(status_code(&url, Some(&new.pem)).await, "ok");
    assert_eq!(status_code(&url, Some(&old.pem)).await, "client.tls");
    fs::write(dir.path().join("cert.pem"), "nothing").expect("writes");
    reloader.reload().expect_err("not a certificate");
    assert_eq!(status_code(&url, Some(&new.pem)).await, "ok", "the one in use stays");
    stop.cancel();
    task.await.expect("ends");
}

#[tokio::test]
async fn files_that_cannot_be_used_stop_the_start() {
    let dir = tempfile::tempdir().expect("dir");
    assert!(matches!(bind(dir.path()).await, Err(ServeError::Certificate { .. })), "no files");
    let (one, two) = (tempfile::tempdir().expect("dir"), authority());
    issue(&two, one.path(), "127.0.0.1");
    issue(&two, dir.path(), "127.0.0.1");
    fs::copy(one.path().join("key.pem"), dir.path().join("key.pem")).expect("copies");
    assert!(matches!(bind(dir.path()).await, Err(ServeError::Certificate { .. })), "a key of another certificate");
}
