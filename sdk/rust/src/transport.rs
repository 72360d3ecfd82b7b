//! One request at one node; then the next node, then a pause, within bounds.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use vouch_types::{
    ChainId, TimestampMs,
    api::{
        Problem,
        caller::{Authority, SignedRequest},
    },
};

use crate::{ClientConfig, Error, random::random};

/// Most bytes of an answer that is not a stream.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Every answer of a node names its chain here.
const CHAIN_HEADER: &str = "vouch-chain";

/// A request's body: kept, so that it can be sent again.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    None,
    Octets(bytes::Bytes),
    Json(serde_json::Value),
}

/// A request that may be sent to any node.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query, beginning with a slash.
    pub(crate) path: String,
    pub(crate) body: Body,
    pub(crate) accept: &'static str,
    /// How long the node was asked to wait.
    pub(crate) wait: Duration,
    /// Whether sending it twice does no more than sending it once.
    pub(crate) is_idempotent: bool,
    pub(crate) is_admin: bool,
    /// Whether the configured account signs it.
    pub(crate) is_signed: bool,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: Body::None,
            accept: "application/json",
            wait: Duration::ZERO,
            is_idempotent: true,
            is_admin: false,
            is_signed: false,
        }
    }

    pub(crate) fn post(path: impl Into<String>, body: Body) -> Self {
        Self { method: Method::POST, body, ..Self::get(path) }
    }
}

/// Connections to all nodes.
#[derive(Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    pub(crate) config: ClientConfig,
    preferred: AtomicUsize,
}

impl Transport {
    pub(crate) fn new(mut config: ClientConfig) -> Result<Self, Error> {
        if config.nodes.is_empty() {
            return Err(Error::Configuration("no node is named".into()));
        }
        for node in &mut config.nodes {
            authority(node)?;
            node.truncate(node.trim_end_matches('/').len());
        }
        // One provider per process; another one that is installed already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("vouch-sdk/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &config.ca_pem {
            let fault = |reason: String| Error::Configuration(format!("certificate authority: {reason}"));
            let authorities = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| fault(error.to_string()))?;
            if authorities.is_empty() {
                return Err(fault("there is no certificate in it".into()));
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let Some(certificate) = &config.certificate {
            let identity = reqwest::Identity::from_pem(certificate.pem())
                .map_err(|error| Error::Configuration(format!("client certificate: {}", chain_of(&error))))?;
            builder = builder.identity(identity);
        }
        let http = builder.build().map_err(|error| Error::Configuration(chain_of(&error)))?;
        Ok(Self { http, config, preferred: AtomicUsize::new(0) })
    }

    /// Sends until a node gives an answer that will not change, at most [`ClientConfig::attempts_max`] times.
    pub(crate) async fn send(&self, call: &Call) -> Result<(Response, String), Error> {
        let count = self.config.nodes.len();
        let mut backoff = self.config.backoff_min;
        let mut attempt = 0;
        loop {
            let at = self.preferred.load(Ordering::Relaxed) % count;
            let node = self.config.nodes.get(at).cloned().unwrap_or_default();
            let error = match self.send_once(call, &node).await {
                Ok(response) => return Ok((response, node)),
                Err(error) => error,
            };
            attempt += 1;
            if !call.is_idempotent || !error.is_passing() || attempt >= self.config.attempts_max {
                return Err(error);
            }
            self.leave(at);
            if usize::try_from(attempt).is_ok_and(|attempt| attempt % count == 0) {
                tokio::time::sleep(self.pause(backoff, &error)?).await;
                backoff = (backoff * 2).min(self.config.backoff_max);
            }
        }
    }

    /// Others that share the client may have moved on already.
    fn leave(&self, at: usize) {
        let next = (at + 1) % self.config.nodes.len();
        let _ = self.preferred.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Half to all of the backoff, so that many clients do not come back at once; what a node asked for counts.
    fn pause(&self, backoff: Duration, error: &Error) -> Result<Duration, Error> {
        let [random] = random::<1>()?;
        let spread = backoff / 2 + backoff * u32::from(random) / 512;
        let asked = match error {
            Error::Refused { retry_after_s: Some(seconds), .. } => Duration::from_secs(*seconds),
            _ => Duration::ZERO,
        };
        Ok(spread.max(asked.min(Duration::from_secs(30))))
    }

    async fn send_once(&self, call: &Call, node: &str) -> Result<Response, Error> {
        let request = self.request(call, node)?.timeout(self.config.attempt_timeout + call.wait);
        let response = request.send().await.map_err(|error| of_reqwest(&error, node))?;
        self.check_chain(&response, node)?;
        check(response, node).await
    }

    /// Whatever a node of another chain answers is not an answer.
    fn check_chain(&self, response: &Response, node: &str) -> Result<(), Error> {
        let named = response.headers().get(CHAIN_HEADER).and_then(|value| value.to_str().ok()?.parse::<ChainId>().ok());
        match (self.config.chain, named) {
            (Some(expected), Some(actual)) if expected != actual => {
                Err(Error::WrongChain { node: node.into(), actual, expected })
            }
            _ => Ok(()),
        }
    }

    fn request(&self, call: &Call, node: &str) -> Result<RequestBuilder, Error> {
        let request = self.http.request(call.method.clone(), format!("{node}{}", call.path));
        let mut request = request.header(header::ACCEPT, call.accept);
        if let (true, Some(token)) = (call.is_admin, &self.config.admin_token) {
            request = request.bearer_auth(token.text());
        }
        let (media_type, body) = match &call.body {
            Body::None => (None, bytes::Bytes::new()),
            Body::Json(value) => (Some("application/json"), value.to_string().into()),
            Body::Octets(bytes) => (Some("application/octet-stream"), bytes.clone()),
        };
        if call.is_signed {
            request = self.signed(request, call, node, &body)?;
        }
        Ok(match media_type {
            None => request,
            Some(media_type) => request.header(header::CONTENT_TYPE, media_type).body(body),
        })
    }

    /// Each attempt is signed anew, for the node it goes to: a node hears a nonce once.
    fn signed(&self, request: RequestBuilder, call: &Call, node: &str, body: &[u8]) -> Result<RequestBuilder, Error> {
        let missing =
            |what: &str| Error::Configuration(format!("to ask about private documents the configuration needs {what}"));
        let identity = self.config.identity.as_ref().ok_or_else(|| missing("an identity: the key of an account"))?;
        let chain = self.config.chain.ok_or_else(|| missing("the chain's id"))?;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let time = TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let nonce = random::<16>()?;
        let (node, body) = (authority(node)?, SignedRequest::body_hash(body));
        let (method, target) = (call.method.as_str(), call.path.as_str());
        let said = SignedRequest { chain, node: &node, method, target, time, nonce, body };
        let headers = said.headers(identity.key());
        Ok(headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
    }

    /// Opens a stream at the preferred node: no bound on its length, one attempt.
    pub(crate) async fn open(&self, call: &Call) -> Result<(Response, String), Error> {
        let at = self.preferred.load(Ordering::Relaxed) % self.config.nodes.len();
        let node = self.config.nodes.get(at).cloned().unwrap_or_default();
        let sent = tokio::time::timeout(self.config.attempt_timeout, self.request(call, &node)?.send()).await;
        let opened = match sent {
            Err(_) => Err(Error::Timeout(format!("{node} did not answer in time"))),
            Ok(Err(error)) => Err(of_reqwest(&error, &node)),
            Ok(Ok(response)) => match self.check_chain(&response, &node) {
                Ok(()) => check(response, &node).await,
                Err(error) => Err(error),
            },
        };
        if opened.is_err() {
            self.leave(at);
        }
        Ok((opened?, node))
    }

    /// Sends and reads the answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        let (response, node) = self.send(call).await?;
        let bytes = read(response, &node).await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::BadAnswer { node, reason: error.to_string() })
    }

    pub(crate) async fn bytes(&self, call: &Call) -> Result<Vec<u8>, Error> {
        let (response, node) = self.send(call).await?;
        read(response, &node).await
    }
}

/// Host and port of a node's address: what was typed, not what the node says of itself.
fn authority(node: &str) -> Result<Authority, Error> {
    let url = reqwest::Url::parse(node).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let authority = url.and_then(|url| Authority::new(url.host_str()?, url.port_or_known_default()?).ok());
    authority.ok_or_else(|| Error::Configuration(format!("{node:?} is not an http or https address")))
}

async fn read(mut response: Response, node: &str) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| of_reqwest(&error, node))? {
        if out.len() + chunk.len() > ANSWER_BYTES_MAX {
            let reason = format!("more than {ANSWER_BYTES_MAX} bytes");
            return Err(Error::BadAnswer { node: node.into(), reason });
        }
        out.extend_from_slice(&chunk);
    }
    Ok(out)
}

/// An answer that is no success becomes the error it tells of.
async fn check(response: Response, node: &str) -> Result<Response, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after_s = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = read(response, node).await?;
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(Error::Refused { problem: Box::new(problem), node: node.into(), retry_after_s }),
        Err(_) => Err(not_vouch(status, node)),
    }
}

fn not_vouch(status: StatusCode, node: &str) -> Error {
    Error::BadAnswer { node: node.into(), reason: format!("status {status} without a problem document") }
}

pub(crate) fn of_reqwest(error: &reqwest::Error, node: &str) -> Error {
    let reason = chain_of(error);
    if error.is_timeout() {
        return Error::Timeout(format!("{node} did not answer in time"));
    }
    if is_of_certificate(error) {
        return Error::Tls { node: node.into(), reason };
    }
    Error::Unreachable { node: node.into(), reason }
}

/// Whether the node's certificate is at fault. By the error itself and not by its text: that of a connection that was cut
/// speaks of TLS as well.
fn is_of_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented);
        }
        // The source of an input or output error is that of what it holds, which would be passed over.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    false
}

/// An error with what caused it; reqwest shows only its own layer.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_authority() {
        let of = |address: &str| authority(address).map(|found| found.to_string()).ok();
        let same = |addresses: &[&str], expected: &str| {
            let found: Vec<Option<String>> = addresses.iter().map(|address| of(address)).collect();
            assert_eq!(found, vec![Some(expected.to_owned()); addresses.len()]);
        };
        same(&["https://Node1.Example", "https://node1.example:443/", "https://NODE1.example/x"], "node1.example:443");
        same(&["http://node1.example/", "http://node1.example:80"], "node1.example:80");
        same(&["https://node1.example:7480/vouch"], "node1.example:7480");
        same(&["https://[2001:DB8::7]:7480", "https://[2001:db8:0::7]:7480"], "[2001:db8::7]:7480");
        same(&["http://127.1:7480"], "127.0.0.1:7480");
        assert_eq!(["ftp://node1.example", "node1.example:7480"].map(of), [None, None]);
    }

    #[test]
    fn a_connection_that_was_cut_says_nothing_of_the_certificate() {
        use std::io::{Error, ErrorKind};
        let cut = "peer closed connection without sending TLS close_notify: https://docs.rs/rustls/latest/rustls";
        let refused = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired);
        for (error, expected) in [
            (Error::new(ErrorKind::UnexpectedEof, cut), false),
            (Error::other(Error::new(ErrorKind::InvalidData, refused)), true),
            (Error::new(ErrorKind::InvalidData, rustls::Error::NoCertificatesPresented), true),
            (Error::new(ErrorKind::InvalidData, alert), false),
            (Error::from(ErrorKind::ConnectionReset), false),
        ] {
            assert_eq!(is_of_certificate(&error), expected, "{error}");
        }
    }
}
