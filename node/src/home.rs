//! A node's home: its keys, certificates and configuration, made by `vouch init` and by `vouch dev net`.
//!
//! ```text
//! home/
//!   config.toml            what the node is told
//!   genesis.json           the chain it belongs to
//!   ca.pem                 what clients of this node trust
//!   admin.token            for `vouch backup`    (mode 0600)
//!   keys/consensus.key     signs votes           (mode 0600)
//!   keys/network.key       opens connections     (mode 0600)
//!   tls/certificate.pem    what the API shows
//!   tls/key.pem            its key               (mode 0600)
//!   votes                  how far the consensus key may have signed
//!   data/                  the database
//! ```

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use vouch_replica::VotingRecord;
use vouch_sdk::{Password, keystore};
use vouch_types::{PublicKey, SecretKey};

use crate::{
    config::{CONFIG_FILE, ConfigFile},
    votes::VotesFile,
};

/// Public halves of a node's keys: what the others must know to admit it.
#[derive(Debug, Clone, Copy)]
pub struct NodeKeys {
    /// Signs votes.
    pub consensus: PublicKey,
    /// Opens connections.
    pub network: PublicKey,
}

/// Where the consensus key lies.
#[must_use]
pub fn consensus_key_path(home: &Path) -> PathBuf {
    home.join("keys/consensus.key")
}

/// Where the network key lies.
#[must_use]
pub fn network_key_path(home: &Path) -> PathBuf {
    home.join("keys/network.key")
}

/// Makes a home with new keys, encrypted when there is a password, and a certificate for `names`. Refuses one that has a
/// configuration.
///
/// # Errors
/// A text that names the path.
pub fn create(home: &Path, config: &ConfigFile, names: &[String], password: Option<&Password>) -> Result<NodeKeys> {
    if home.join(CONFIG_FILE).exists() {
        bail!("{} is a node's home already; choose another directory", home.display());
    }
    for folder in ["keys", "tls"] {
        private_folder(&home.join(folder))?;
    }
    let consensus = new_key(&consensus_key_path(home), password)?;
    let network = new_key(&network_key_path(home), password)?;
    // Nobody can have signed with it yet; a key that comes from elsewhere finds no record of its own.
    VotesFile::open(home)?.write_synced(&VotingRecord::of_new_key(consensus.public().node()))?;
    let token: [u8; 32] = rand::random();
    write_private(&home.join(&config.api.admin_token), hex::encode(token).as_bytes())?;
    certificate(home, config, names)?;
    Ok(NodeKeys { consensus: consensus.public(), network: network.public() })
}

/// Writes a new home's configuration: last, so that a home with a configuration is a complete one.
///
/// # Errors
/// A text that names the path.
pub fn write_config(home: &Path, config: &ConfigFile) -> Result<()> {
    let text = toml::to_string_pretty(config).context("configuration as text")?;
    write(&home.join(CONFIG_FILE), text.as_bytes())
}

fn new_key(path: &Path, password: Option<&Password>) -> Result<SecretKey> {
    let key = keystore::generate().context("no randomness for a key")?;
    keystore::save(path, &key, password).with_context(|| format!("key {}", path.display()))?;
    Ok(key)
}

/// A certificate authority of this node's own and a certificate by it, both ECDSA P-256.
fn certificate(home: &Path, config: &ConfigFile, names: &[String]) -> Result<()> {
    let ca_key = rcgen::KeyPair::generate().context("certificate key")?;
    let mut ca = rcgen::CertificateParams::new(Vec::new()).context("certificate authority")?;
    ca.distinguished_name.push(rcgen::DnType::CommonName, "Vouch node certificate authority");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key).context("certificate authority")?;
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().context("certificate key")?;
    let mut server = rcgen::CertificateParams::new(names.to_vec()).context("certificate names")?;
    server.distinguished_name.push(rcgen::DnType::CommonName, "Vouch node");
    server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let signed = server.signed_by(&key, &issuer).context("certificate")?;
    write(&home.join("ca.pem"), ca_certificate.pem().as_bytes())?;
    write(&home.join(&config.api.certificate), signed.pem().as_bytes())?;
    write_private(&home.join(&config.api.key), key.serialize_pem().as_bytes())
}

/// Makes a folder only its owner can enter.
///
/// # Errors
/// A text that names the path.
pub fn private_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_mode(path, bytes, 0o644)
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    write_mode(path, bytes, 0o600)
}

fn write_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(|| format!("cannot write {}", path.display()))
}
