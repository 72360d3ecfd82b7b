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
//!   keys/service.key       the node's own account (mode 0600)
//!   keys/vault.key         protects the shelf    (mode 0600)
//!   keys/encryption/       the member's encryption keys, each named by its public half (mode 0600)
//!   tls/certificate.pem    what the API shows
//!   tls/key.pem            its key               (mode 0600)
//!   tls/authority.pem      what that is renewed with
//!   tls/authority.key      its key, with what opens it beside it (mode 0600)
//!   clients.toml           which outside systems the API lets in
//!   votes                  how far the consensus key may have signed
//!   data/                  the database
//!   index/                 lists and statistics over the database; made anew when it is missing
//!   vault/shelf            a key for each private document, in no backup of the database
//!   vault/files/           sealed files of private documents
//! ```

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use vouch_certificates::Key;
use vouch_replica::VotingRecord;
use vouch_sdk::{Password, keystore};
use vouch_types::{Hash32, PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::{
    commands::{GlobalArgs, password::open_with_password},
    config::{CONFIG_FILE, ConfigFile},
    server_certificate::{self, Places},
    vault::{MemberKeys, master_key, new_encryption_key},
    votes::VotesFile,
};

/// Public halves of a node's keys: what the others must know to admit it, and what its member registers for documents.
#[derive(Debug, Clone, Copy)]
pub struct NodeKeys {
    /// Signs votes.
    pub consensus: PublicKey,
    /// Opens connections.
    pub network: PublicKey,
    /// The node's own account, for the role `service`.
    pub service: PublicKey,
    /// X25519: private documents are sealed to it. All nodes of a member share one.
    pub encryption: Hash32,
}

/// Secret keys of a node: what it runs with.
pub struct Secrets {
    /// Signs votes.
    pub consensus: SecretKey,
    /// Opens connections.
    pub network: SecretKey,
    /// Of the node's own authority, which renews its server certificate; none where that comes from elsewhere.
    pub authority: Option<Key>,
    /// For private documents.
    pub vault: VaultKeys,
}

/// Secret keys for private documents.
pub struct VaultKeys {
    /// The node's own account: says on the chain what is held and what was erased here.
    pub service: SecretKey,
    /// Protects document keys on the shelf.
    pub master: Zeroizing<[u8; 32]>,
    /// Open what is sealed to the member.
    pub member: MemberKeys,
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

/// Where the key of the node's own account lies.
#[must_use]
pub fn service_key_path(home: &Path) -> PathBuf {
    home.join("keys/service.key")
}

/// Where the key lies that protects the shelf.
#[must_use]
pub fn vault_key_path(home: &Path) -> PathBuf {
    home.join("keys/vault.key")
}

/// Where the member's encryption keys lie.
#[must_use]
pub fn encryption_folder(home: &Path) -> PathBuf {
    home.join("keys/encryption")
}

/// Opens all keys of a home. Keys for documents that a home of an earlier version lacks are made, under the same password.
///
/// # Errors
/// A text that names the file.
pub fn open_secrets(home: &Path, tls: &Places, global: &GlobalArgs) -> Result<Secrets> {
    let (keys, password) = open_with_password(global, &[consensus_key_path(home), network_key_path(home)])?;
    let [consensus, network] = <[_; 2]>::try_from(keys).map_err(|_| anyhow::anyhow!("a node has two keys"))?;
    let mut own = Vec::new();
    for path in [service_key_path(home), vault_key_path(home)] {
        if !path.exists() {
            let made = new_key(&path, password.as_ref())?;
            tracing::info!(path = %path.display(), public_key = %made.public(), "a key for private documents was made");
        }
        let password = keystore::is_encrypted(&path)?.then_some(password.as_ref()).flatten();
        own.push(keystore::load(&path, password)?);
    }
    let [service, vault] = <[_; 2]>::try_from(own).map_err(|_| anyhow::anyhow!("a vault has two keys"))?;
    private_folder(&encryption_folder(home))?;
    let authority = tls.open_key(password.as_ref())?;
    let member = MemberKeys::open(&encryption_folder(home), password)?;
    Ok(Secrets { consensus, network, authority, vault: VaultKeys { service, master: master_key(&vault), member } })
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
    for folder in ["keys", "keys/encryption", "tls"] {
        private_folder(&home.join(folder))?;
    }
    let consensus = new_key(&consensus_key_path(home), password)?;
    let node = consensus.public().node();
    let network = new_key(&network_key_path(home), password)?;
    let service = new_key(&service_key_path(home), password)?;
    new_key(&vault_key_path(home), password)?;
    let encryption = new_encryption_key(&encryption_folder(home), password)?;
    // Nobody can have signed with it yet; a key that comes from elsewhere finds no record of its own.
    VotesFile::open(home)?.write_synced(&VotingRecord::of_new_key(consensus.public().node()))?;
    let token: [u8; 32] = rand::random();
    write_private(&home.join(&config.api.admin_token), hex::encode(token).as_bytes())?;
    server_certificate::create(&Places::of(home, &config.api), node, names, password)?;
    let (consensus, network, service) = (consensus.public(), network.public(), service.public());
    Ok(NodeKeys { consensus, network, service, encryption })
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

/// Puts a file in another one's place, whole or not at all, also when the power goes.
///
/// # Errors
/// A text that names the path.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".part-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        fs::File::open(folder)?.sync_all()
    };
    made().with_context(|| format!("cannot write {}", path.display()))
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
