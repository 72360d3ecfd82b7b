//! Which nodes, which authority, how patient.

use std::{sync::Arc, time::Duration};

use vouch_types::{AccountId, ChainId, SecretKey};

use crate::{Client, Error};

/// How a client finds and trusts nodes.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Addresses such as `https://node1.example:7400`, the preferred one first. When one does not answer, the next is asked.
    pub nodes: Vec<String>,
    /// Certificate authorities that are trusted instead of the system's, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The chain that is meant; a node of another one is refused.
    pub chain: Option<ChainId>,
    /// For one attempt at one node, waits that were asked for not included.
    pub attempt_timeout: Duration,
    /// For a connection.
    pub connect_timeout: Duration,
    /// Most attempts at one request, all nodes together.
    pub attempts_max: u32,
    /// First pause after every node was tried; doubles up to [`ClientConfig::backoff_max`].
    pub backoff_min: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// Sent with administrative requests.
    pub admin_token: Option<AdminToken>,
    /// Signs requests about private documents.
    pub identity: Option<Identity>,
    /// What the client shows to nodes that ask for a certificate.
    pub certificate: Option<ClientCertificate>,
}

/// A certificate and its key, shown in the TLS handshake; shows nothing secret in `Debug`.
#[derive(Clone, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct ClientCertificate {
    pem: Vec<u8>,
}

impl ClientCertificate {
    /// From PEM: the certificate, then those of authorities below the root if there are any; and its key in PKCS#8.
    #[must_use]
    pub fn new(certificate: &[u8], key: &[u8]) -> Self {
        let mut pem = Vec::with_capacity(certificate.len() + key.len() + 1);
        pem.extend_from_slice(certificate);
        pem.push(b'\n');
        pem.extend_from_slice(key);
        Self { pem }
    }

    pub(crate) fn pem(&self) -> &[u8] {
        &self.pem
    }
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientCertificate(<redacted>)")
    }
}

/// The account that requests about private documents come from; shows nothing secret in `Debug`.
#[derive(Debug, Clone)]
pub struct Identity(Arc<SecretKey>);

impl Identity {
    /// By the account's key.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        Self(Arc::new(key))
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.0.public().account()
    }

    pub(crate) fn key(&self) -> &SecretKey {
        &self.0
    }
}

/// A node's admin token; shows nothing in `Debug`.
#[derive(Clone, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct AdminToken(String);

impl AdminToken {
    /// From its text.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    pub(crate) fn text(&self) -> &str {
        self.0.trim()
    }
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(<redacted>)")
    }
}

impl ClientConfig {
    /// For one node, with usual patience.
    #[must_use]
    pub fn new(node: impl Into<String>) -> Self {
        Self::of_nodes([node])
    }

    /// For several nodes, the preferred one first.
    #[must_use]
    pub fn of_nodes<T: Into<String>>(nodes: impl IntoIterator<Item = T>) -> Self {
        Self {
            nodes: nodes.into_iter().map(Into::into).collect(),
            ca_pem: None,
            chain: None,
            attempt_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            attempts_max: 6,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            admin_token: None,
            identity: None,
            certificate: None,
        }
    }

    /// Makes the client. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Configuration`] for an address or authority that cannot be used.
    pub fn build(self) -> Result<Client, Error> {
        Client::new(self)
    }
}
