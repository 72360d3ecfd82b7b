//! TLS with files that may be replaced while the node runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use parking_lot::RwLock;
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::ServeError;

/// Presents the certificate that is in the files, and looks again when told.
#[derive(Debug, Clone)]
pub struct TlsReloader {
    inner: Arc<Current>,
}

#[derive(Debug)]
struct Current {
    certificate: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    state: RwLock<Loaded>,
}

#[derive(Debug, Clone)]
struct Loaded {
    key: Arc<CertifiedKey>,
    changed_at: Option<(SystemTime, SystemTime)>,
}

impl TlsReloader {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ServeError::Certificate`] when one cannot be read or they do not belong together.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, ServeError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let state = RwLock::new(load(certificate, key, &provider)?);
        let inner = Current { certificate: certificate.into(), key: key.into(), provider, state };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads the files again if they changed; new connections get the new certificate. Returns whether it did.
    ///
    /// # Errors
    /// [`ServeError::Certificate`]; the certificate in use stays.
    pub fn reload(&self) -> Result<bool, ServeError> {
        let inner = &self.inner;
        let changed_at = changed_at(&inner.certificate, &inner.key);
        if changed_at.is_some() && changed_at == inner.state.read().changed_at {
            return Ok(false);
        }
        let loaded = load(&inner.certificate, &inner.key, &inner.provider)?;
        *inner.state.write() = loaded;
        Ok(true)
    }

    /// With who asks clients for their certificates; without one nobody does.
    pub(crate) fn server_config(
        &self,
        asking: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<ServerConfig, ServeError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.inner.provider));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| ServeError::Certificate { path: self.inner.key.clone(), reason: error.to_string() })?;
        let resolver = Arc::new(Resolver(Arc::clone(&self.inner)));
        let asking = asking.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
        let mut config = builder.with_client_cert_verifier(asking).with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

#[derive(Debug)]
struct Resolver(Arc<Current>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.state.read().key))
    }
}

fn changed_at(certificate: &Path, key: &Path) -> Option<(SystemTime, SystemTime)> {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    Some((modified(certificate)?, modified(key)?))
}

fn load(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<Loaded, ServeError> {
    let fault = |path: &Path, reason: String| ServeError::Certificate { path: path.into(), reason };
    let changed_at = changed_at(certificate, key);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| fault(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(fault(certificate, "there is no certificate in it".into()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| fault(key, error.to_string()))?;
    let key = CertifiedKey::from_der(chain, secret, provider).map_err(|error| fault(key, error.to_string()))?;
    Ok(Loaded { key: Arc::new(key), changed_at })
}
