//! Private keys.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{CertificateError, pem};

/// An ECDSA P-256 key; its bytes are erased from memory when it is dropped, shows nothing secret in `Debug`.
pub struct Key(pub(crate) KeyPair);

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, CertificateError> {
        let made = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        made.map(Self).map_err(|error| CertificateError::Malformed(format!("no key could be made: {error}")))
    }

    /// From PKCS#8 in DER.
    ///
    /// # Errors
    /// When it is no P-256 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, CertificateError> {
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_ECDSA_P256_SHA256);
        key.map(Self).map_err(|_| CertificateError::Malformed("it is no P-256 key in PKCS#8".into()))
    }

    /// From PKCS#8 in PEM.
    ///
    /// # Errors
    /// When it is no P-256 key.
    pub fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        match PrivateKeyDer::from_pem_slice(text) {
            Ok(PrivateKeyDer::Pkcs8(key)) => Self::from_pkcs8(key.secret_pkcs8_der()),
            _ => Err(CertificateError::Malformed("there is no key in PKCS#8 in it".into())),
        }
    }

    /// As PKCS#8 in DER.
    #[must_use]
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.serialize_der())
    }

    /// As PKCS#8 in PEM: the form that TLS programs read.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem("PRIVATE KEY", self.0.serialized_der()))
    }

    /// The same key for an issuer that owns it, and is as careful with it.
    pub(crate) fn signer(&self) -> Result<Signer, CertificateError> {
        Self::from_pkcs8(&self.pkcs8()).map(Signer)
    }

    /// The public half as it stands in certificates.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(<redacted>)")
    }
}

/// A key with which an authority signs.
pub(crate) struct Signer(Key);

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.0.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.0.algorithm()
    }
}

impl SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.0.sign(message)
    }
}
