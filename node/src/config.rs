//! A node's configuration: what was typed in `config.toml`, then what was validated.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use vouch_api::{ClientMode, ClientPolicy};
use vouch_index::IndexConfig;
use vouch_replica::StoragePolicy;
use vouch_types::api::caller::Authority;
use vouch_vault::VaultLimits;

use crate::index::IndexSettings;

/// Name of the configuration file in a node's home.
pub const CONFIG_FILE: &str = "config.toml";
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// Of 31 days: nothing is forgotten before its time.
const MONTH_MS: u64 = 31 * 24 * HOUR_MS;

/// The file as typed. Every field has a default, so that an empty file is a valid one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// The chain, for clients that read this file; the node itself computes it from the genesis document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<vouch_types::ChainId>,
    /// The genesis document, relative to the home.
    pub genesis: PathBuf,
    /// Between the nodes.
    pub network: NetworkSection,
    /// Towards clients.
    pub api: ApiSection,
    /// On disk.
    pub storage: StorageSection,
    /// Waiting transactions.
    pub mempool: MempoolSection,
    /// Private documents.
    pub vault: VaultSection,
    /// Lists, search and statistics.
    pub index: IndexSection,
}

/// Between the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSection {
    /// Where to listen, `ip:port`.
    pub listen: String,
}

/// Towards clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSection {
    /// Where to listen, `ip:port`.
    pub listen: String,
    /// What clients reach this node by, `host` or `host:port`; without a port it is the one of `listen`. Requests about
    /// private documents are signed for one of these. If left out it is the address of `listen`; programs on this machine
    /// need none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Addresses of proxies that say in `X-Forwarded-For` whom they ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<String>,
    /// Serve without TLS: only behind a proxy that does it.
    pub plain_http: bool,
    /// Certificate chain, PEM, relative to the home.
    pub certificate: PathBuf,
    /// Its key, PEM, relative to the home.
    pub key: PathBuf,
    /// File with the token that administrative routes ask for, relative to the home; they are off when it is missing.
    pub admin_token: PathBuf,
    /// Requests a caller may make per second; 0 for no bound. Programs on this machine are not bounded, unless they are
    /// proxies.
    pub requests_per_second: u32,
    /// Certificates that clients show.
    pub clients: ClientsSection,
}

/// Certificates that clients show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientsSection {
    /// Which clients are asked for one.
    pub mode: AskedClients,
    /// Which of them are let in, relative to the home; `vouch cert allow` writes it.
    pub allow: PathBuf,
    /// A list of revoked certificates of the member's authority, relative to the home, beside what the chain says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<PathBuf>,
}

/// Which clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedClients {
    /// None.
    Off,
    /// All, and those without one are let in as well.
    Optional,
    /// All; those from other machines are not let in without.
    Required,
    /// All; none is let in without.
    Always,
}

impl ClientsSection {
    /// What the API does by it.
    #[must_use]
    pub fn policy(&self, home: &Path) -> Option<ClientPolicy> {
        let mode = match self.mode {
            AskedClients::Off => return None,
            AskedClients::Optional => ClientMode::Optional,
            AskedClients::Required => ClientMode::Required,
            AskedClients::Always => ClientMode::Always,
        };
        Some(ClientPolicy { mode, allow: home.join(&self.allow), revoked: self.revoked.as_ref().map(|p| home.join(p)) })
    }
}

/// On disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageSection {
    /// The database, relative to the home.
    pub path: PathBuf,
    /// Memory for reading, in MiB.
    pub cache_mib: usize,
    /// Blocks kept below the head, with receipts and transactions; 0 keeps all. Otherwise at least the chain's expiry
    /// window and 1,000 more.
    pub keep_blocks: u64,
    /// A node with nothing but the genesis document takes over the state from others, instead of executing the past, when
    /// it is more blocks behind than this; 0 only when the others do not keep these blocks any more.
    pub join_after_blocks: u64,
}

/// Waiting transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MempoolSection {
    /// Most transactions.
    pub transactions_max: usize,
    /// Most bytes, in MiB.
    pub mib_max: usize,
    /// Most transactions of one account.
    pub per_account_max: usize,
}

/// Private documents. What is left out of a bound is the vault's own default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaultSection {
    /// The folder of the shelf of keys and of files, relative to the home.
    pub path: PathBuf,
    /// Deliveries to one peer that may be without a receipt, 1 to 1,024.
    pub deliveries_max: usize,
    /// What the nodes of one member may fetch here per second, in MiB, 1 to 1,024; twice that at once.
    pub serve_mib_per_second: u64,
    /// Documents that may wait for their transactions, 1 to 1,000,000.
    pub staged_max: usize,
    /// Hours after which one whose transaction never came is forgotten, 1 to 720.
    pub staged_keep_hours: u64,
    /// GiB of files that may be uploaded and wait for their documents, 1 to 65,536.
    pub upload_gib_max: u64,
    /// Those of one account, 1 to 65,536.
    pub upload_gib_per_account_max: u64,
    /// Hours after which an upload to which nothing comes is forgotten, 1 to 720.
    pub upload_keep_hours: u64,
    /// MiB of the disk that uploads leave free, 0 to 1,048,576.
    pub disk_reserve_mib: u64,
    /// Seconds between two comparisons with a peer, 1 to 86,400.
    pub compare_every_s: u64,
    /// Hours between two checks of everything at rest, 1 to 720.
    pub check_every_hours: u64,
    /// Hours between two looks through all documents, 1 to 720.
    pub sweep_every_hours: u64,
    /// Minutes until reads are anchored on the chain, 1 to 1,440.
    pub anchor_every_minutes: u64,
    /// Months that the read audit is kept, 6 to 1,200.
    pub audit_keep_months: u64,
}

/// Lists, search and statistics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IndexSection {
    /// Whether the node keeps an index. Without one it answers no lists, and its explorer shows neither documents nor
    /// statistics.
    pub enabled: bool,
    /// Which database holds it.
    pub backend: IndexBackend,
    /// SQLite: folder of its files, relative to the home. They can be removed while the node does not run: it makes them anew.
    pub path: PathBuf,
    /// SQLite: memory of its writer, in MiB, 8 to 4,096.
    pub cache_mib: usize,
    /// PostgreSQL: the connection file, relative to the home. The password is never in it.
    pub server: PathBuf,
    /// PostgreSQL: what its schemas are called, before their numbers; by chain and node when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

/// Which database holds the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexBackend {
    /// A file of the node.
    Sqlite,
    /// Schemas on a server.
    Postgres,
}

impl IndexSection {
    /// Checks what was typed.
    ///
    /// # Errors
    /// A text that names the field.
    pub fn check(&self, home: &Path) -> Result<IndexSettings> {
        if !(8..=4_096).contains(&self.cache_mib) {
            bail!("index.cache_mib = {} must be 8 to 4096", self.cache_mib);
        }
        if let Some(schema) = &self.schema
            && !vouch_index::is_schema_name(schema)
        {
            let most = vouch_index::SCHEMA_NAME_MAX;
            bail!(
                "index.schema = {schema:?} must be at most {most} lower case letters, digits and _, without a digit or pg_ first"
            );
        }
        let place = match self.backend {
            IndexBackend::Sqlite => IndexConfig::Sqlite { folder: home.join(&self.path), cache_mib: self.cache_mib },
            IndexBackend::Postgres => {
                IndexConfig::Postgres { server: home.join(&self.server), schema: self.schema.clone() }
            }
        };
        Ok(IndexSettings { enabled: self.enabled, place })
    }
}

impl Default for ConfigFile {
    fn default() -> Self {
        Self {
            chain: None,
            genesis: "genesis.json".into(),
            network: NetworkSection::default(),
            api: ApiSection::default(),
            storage: StorageSection::default(),
            mempool: MempoolSection::default(),
            vault: VaultSection::default(),
            index: IndexSection::default(),
        }
    }
}

impl Default for NetworkSection {
    fn default() -> Self {
        Self { listen: "0.0.0.0:7450".into() }
    }
}

impl Default for ApiSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7480".into(),
            names: Vec::new(),
            proxies: Vec::new(),
            plain_http: false,
            certificate: "tls/certificate.pem".into(),
            key: "tls/key.pem".into(),
            admin_token: "admin.token".into(),
            requests_per_second: 500,
            clients: ClientsSection::default(),
        }
    }
}

impl Default for ClientsSection {
    fn default() -> Self {
        Self { mode: AskedClients::Off, allow: "clients.toml".into(), revoked: None }
    }
}

impl ApiSection {
    fn authorities(&self, listen: SocketAddr) -> Result<BTreeSet<Authority>> {
        let named = self.names.iter().map(|name| {
            name.parse::<Authority>().or_else(|_| Authority::new(name, listen.port())).with_context(|| {
                format!("api.names: {name:?} is neither a host nor host:port, such as node1.example or 192.0.2.7:7480")
            })
        });
        let mut named = named.collect::<Result<BTreeSet<_>>>()?;
        if named.is_empty() && !listen.ip().is_unspecified() && !listen.ip().is_loopback() {
            named.insert(Authority::new(&listen.ip().to_string(), listen.port()).context("api.listen")?);
        }
        Ok(named)
    }

    fn proxies(&self) -> Result<BTreeSet<IpAddr>> {
        let address = |text: &String| {
            let address = text.parse::<IpAddr>();
            address
                .map(|address| address.to_canonical())
                .with_context(|| format!("api.proxies: {text:?} is no address"))
        };
        self.proxies.iter().map(address).collect()
    }
}

impl Default for StorageSection {
    fn default() -> Self {
        let policy = StoragePolicy::default();
        Self {
            path: "data".into(),
            cache_mib: 48,
            keep_blocks: policy.keep_blocks,
            join_after_blocks: policy.join_after_blocks,
        }
    }
}

impl Default for MempoolSection {
    fn default() -> Self {
        Self { transactions_max: 50_000, mib_max: 64, per_account_max: 20_000 }
    }
}

impl Default for VaultSection {
    fn default() -> Self {
        let limits = VaultLimits::default();
        Self {
            path: "vault".into(),
            deliveries_max: limits.flights_max,
            serve_mib_per_second: limits.serve_bytes_per_second >> 20,
            staged_max: limits.staged_max,
            staged_keep_hours: limits.staged_keep_ms / HOUR_MS,
            upload_gib_max: limits.upload_bytes_max >> 30,
            upload_gib_per_account_max: limits.upload_bytes_per_account_max >> 30,
            upload_keep_hours: limits.upload_keep_ms / HOUR_MS,
            disk_reserve_mib: limits.disk_reserve_bytes >> 20,
            compare_every_s: limits.compare_every_ms / 1_000,
            check_every_hours: limits.scrub_every_ms / HOUR_MS,
            sweep_every_hours: limits.sweep_every_ms / HOUR_MS,
            anchor_every_minutes: limits.anchor_every_ms / MINUTE_MS,
            audit_keep_months: 36,
        }
    }
}

impl Default for IndexSection {
    fn default() -> Self {
        Self {
            enabled: true,
            backend: IndexBackend::Sqlite,
            path: "index".into(),
            cache_mib: 32,
            server: "index.postgres.toml".into(),
            schema: None,
        }
    }
}

impl VaultSection {
    /// Checks what was typed.
    ///
    /// # Errors
    /// A text that names the field.
    pub fn check(&self, home: &Path) -> Result<VaultSettings> {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        for (field, value, least, most) in [
            ("deliveries_max", count(self.deliveries_max), 1, 1_024),
            ("serve_mib_per_second", self.serve_mib_per_second, 1, 1_024),
            ("staged_max", count(self.staged_max), 1, 1_000_000),
            ("staged_keep_hours", self.staged_keep_hours, 1, 720),
            ("upload_gib_max", self.upload_gib_max, 1, 65_536),
            ("upload_gib_per_account_max", self.upload_gib_per_account_max, 1, 65_536),
            ("upload_keep_hours", self.upload_keep_hours, 1, 720),
            ("disk_reserve_mib", self.disk_reserve_mib, 0, 1_048_576),
            ("compare_every_s", self.compare_every_s, 1, 86_400),
            ("check_every_hours", self.check_every_hours, 1, 720),
            ("sweep_every_hours", self.sweep_every_hours, 1, 720),
            ("anchor_every_minutes", self.anchor_every_minutes, 1, 1_440),
            ("audit_keep_months", self.audit_keep_months, 6, 1_200),
        ] {
            if !(least..=most).contains(&value) {
                bail!("vault.{field} = {value} must be {least} to {most}");
            }
        }
        let limits = VaultLimits {
            flights_max: self.deliveries_max,
            serve_bytes_per_second: self.serve_mib_per_second << 20,
            serve_bytes_burst: self.serve_mib_per_second << 21,
            staged_max: self.staged_max,
            staged_keep_ms: self.staged_keep_hours * HOUR_MS,
            upload_bytes_max: self.upload_gib_max << 30,
            upload_bytes_per_account_max: self.upload_gib_per_account_max << 30,
            upload_keep_ms: self.upload_keep_hours * HOUR_MS,
            disk_reserve_bytes: self.disk_reserve_mib << 20,
            compare_every_ms: self.compare_every_s * 1_000,
            scrub_every_ms: self.check_every_hours * HOUR_MS,
            sweep_every_ms: self.sweep_every_hours * HOUR_MS,
            anchor_every_ms: self.anchor_every_minutes * MINUTE_MS,
            ..VaultLimits::default()
        };
        Ok(VaultSettings { folder: home.join(&self.path), limits, audit_keep_ms: self.audit_keep_months * MONTH_MS })
    }
}

/// Private documents, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSettings {
    /// Where the shelf of keys and the files lie.
    pub folder: PathBuf,
    /// The bounds.
    pub limits: VaultLimits,
    /// How long the read audit is kept.
    pub audit_keep_ms: u64,
}

impl VaultSettings {
    /// Where sealed files lie.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.folder.join("files")
    }
}

/// Checked, with absolute paths.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The node's home.
    pub home: PathBuf,
    /// The genesis document.
    pub genesis: PathBuf,
    /// Between the nodes, `ip:port`.
    pub network_listen: SocketAddr,
    /// Towards clients.
    pub api_listen: SocketAddr,
    /// What clients reach this node by.
    pub api_names: BTreeSet<Authority>,
    /// Who asks for others.
    pub api_proxies: BTreeSet<IpAddr>,
    /// The rest of the API's section.
    pub api: ApiSection,
    /// The database.
    pub storage: PathBuf,
    /// Memory for reading, in bytes.
    pub cache_bytes: usize,
    /// What is kept, and how the node joins.
    pub policy: StoragePolicy,
    /// Waiting transactions.
    pub mempool: vouch_ledger::MempoolLimits,
    /// Private documents.
    pub vault: VaultSettings,
    /// Lists, search and statistics.
    pub index: IndexSettings,
}

impl NodeConfig {
    /// Reads and checks a home's configuration.
    ///
    /// # Errors
    /// A text that names the file and the field.
    pub fn load(home: &Path) -> Result<Self> {
        let path = home.join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("no configuration at {}; `vouch init` makes one", path.display()))?;
        let file: ConfigFile = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        Self::check(home, file).with_context(|| format!("in {}", path.display()))
    }

    /// Checks what was typed.
    ///
    /// # Errors
    /// A text that names the field.
    pub fn check(home: &Path, file: ConfigFile) -> Result<Self> {
        let address = |what: &str, text: &str| -> Result<SocketAddr> {
            text.parse().with_context(|| format!("{what} = {text:?} is not an address like 0.0.0.0:7450"))
        };
        if !(8..=1 << 20).contains(&file.storage.cache_mib) {
            bail!("storage.cache_mib = {} must be 8 to 1048576", file.storage.cache_mib);
        }
        if file.mempool.transactions_max == 0 || file.mempool.mib_max == 0 || file.mempool.per_account_max == 0 {
            bail!("the bounds of mempool must be at least 1");
        }
        if file.api.plain_http && file.api.clients.mode != AskedClients::Off {
            bail!("api.clients.mode takes TLS: set api.plain_http to false");
        }
        let api_listen = address("api.listen", &file.api.listen)?;
        Ok(Self {
            home: home.to_owned(),
            genesis: home.join(&file.genesis),
            network_listen: address("network.listen", &file.network.listen)?,
            api_listen,
            api_names: file.api.authorities(api_listen)?,
            api_proxies: file.api.proxies()?,
            storage: home.join(&file.storage.path),
            cache_bytes: file.storage.cache_mib << 20,
            policy: StoragePolicy {
                keep_blocks: file.storage.keep_blocks,
                join_after_blocks: file.storage.join_after_blocks,
            },
            mempool: vouch_ledger::MempoolLimits {
                count_max: file.mempool.transactions_max,
                bytes_max: file.mempool.mib_max << 20,
                per_account_max: file.mempool.per_account_max,
            },
            vault: file.vault.check(home)?,
            index: file.index.check(home)?,
            api: file.api,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_valid_and_a_wrong_one_names_its_field() {
        let empty: ConfigFile = toml::from_str("").unwrap();
        assert!(NodeConfig::check(Path::new("/home"), empty.clone()).is_ok());
        assert!(toml::from_str::<ConfigFile>("unknown = 1").is_err());
        let wrong = ConfigFile { api: ApiSection { listen: "here".into(), ..empty.api.clone() }, ..empty.clone() };
        let text = format!("{:#}", NodeConfig::check(Path::new("/home"), wrong).unwrap_err());
        assert!(text.contains("api.listen"), "{text}");
        let none = ConfigFile { mempool: MempoolSection { mib_max: 0, ..empty.mempool.clone() }, ..empty };
        assert!(NodeConfig::check(Path::new("/home"), none).is_err());
    }

    #[test]
    fn clients_are_asked_as_the_file_says_and_only_with_tls() {
        assert_eq!(ConfigFile::default().api.clients.policy(Path::new("/home")), None);
        let text = "[api.clients]\nmode = \"required\"\nrevoked = \"crl.pem\"";
        let file: ConfigFile = toml::from_str(text).unwrap();
        let policy = file.api.clients.policy(Path::new("/home")).unwrap();
        let expected = ClientPolicy {
            mode: ClientMode::Required,
            allow: Path::new("/home").join("clients.toml"),
            revoked: Some(Path::new("/home").join("crl.pem")),
        };
        assert_eq!(policy, expected);
        assert!(toml::from_str::<ConfigFile>("[api.clients]\nmode = \"sometimes\"").is_err());
        let plain = ConfigFile { api: ApiSection { plain_http: true, ..file.api.clone() }, ..file };
        let error = NodeConfig::check(Path::new("/home"), plain).unwrap_err();
        assert!(format!("{error:#}").contains("api.clients.mode"), "{error:#}");
        let back: ConfigFile = toml::from_str(&toml::to_string_pretty(&ConfigFile::default()).unwrap()).unwrap();
        assert_eq!(back, ConfigFile::default());
    }

    #[test]
    fn a_node_goes_by_its_names_and_never_by_those_of_every_machine() {
        let names = |listen: &str, names: &[&str]| -> Result<String> {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let api = ApiSection { listen: listen.into(), names, ..ApiSection::default() };
            let config = NodeConfig::check(Path::new("/home"), ConfigFile { api, ..ConfigFile::default() })?;
            Ok(config.api_names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        for (listen, named, expected) in [
            ("127.0.0.1:7480", vec![], ""),
            ("[::1]:7480", vec![], ""),
            ("0.0.0.0:7480", vec![], ""),
            ("192.0.2.7:7480", vec![], "192.0.2.7:7480"),
            ("[2001:db8::7]:7480", vec![], "[2001:db8::7]:7480"),
            ("0.0.0.0:7480", vec!["Node1.example", "node1.example:443"], "node1.example:443 node1.example:7480"),
            ("192.0.2.7:7480", vec!["2001:db8::8"], "[2001:db8::8]:7480"),
        ] {
            assert_eq!(names(listen, &named).unwrap(), expected, "{listen} {named:?}");
        }
        for wrong in ["", "https://node1.example", "node1.example:x", "node 1"] {
            assert!(format!("{:#}", names("0.0.0.0:1", &[wrong]).unwrap_err()).contains("api.names"), "{wrong}");
        }
        let api = ApiSection { proxies: vec!["::ffff:127.0.0.1".into()], ..ApiSection::default() };
        assert_eq!(api.proxies().unwrap(), BTreeSet::from([[127, 0, 0, 1].into()]));
        let api = ApiSection { proxies: vec!["proxy.example".into()], ..ApiSection::default() };
        let error = NodeConfig::check(Path::new("/home"), ConfigFile { api, ..ConfigFile::default() }).unwrap_err();
        assert!(format!("{error:#}").contains("api.proxies"), "{error:#}");
    }

    #[test]
    fn an_index_lies_in_a_file_or_on_a_server() {
        let checked =
            |text: &str| -> Result<IndexSettings> { toml::from_str::<IndexSection>(text)?.check(Path::new("/n")) };
        let sqlite = IndexConfig::Sqlite { folder: "/n/index".into(), cache_mib: 32 };
        assert_eq!(checked("").unwrap(), IndexSettings { enabled: true, place: sqlite });
        let postgres = |schema: Option<&str>| IndexConfig::Postgres {
            server: "/n/index.postgres.toml".into(),
            schema: schema.map(str::to_owned),
        };
        assert_eq!(checked("backend = \"postgres\"").unwrap().place, postgres(None));
        let named = checked("backend = \"postgres\"\nschema = \"works_1\"").unwrap();
        assert_eq!(named.place, postgres(Some("works_1")));
        for wrong in ["", "Works", "1st", "pg_works", "a b", "a\\\"; DROP", &"x".repeat(41)] {
            let error = checked(&format!("schema = \"{wrong}\"")).unwrap_err();
            assert!(format!("{error:#}").contains("index.schema"), "{wrong}: {error:#}");
        }
        for wrong in ["backend = \"oracle\"", "password = \"secret\"", "cache_mib = 1"] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_empty_vault_section_means_the_vaults_own_bounds_and_a_wrong_one_is_named() {
        let settings = NodeConfig::check(Path::new("/home"), ConfigFile::default()).unwrap().vault;
        assert_eq!(settings.limits, VaultLimits::default());
        assert_eq!(settings.files(), Path::new("/home").join("vault/files"));
        let vault = VaultSection { audit_keep_months: 5, ..VaultSection::default() };
        let error = NodeConfig::check(Path::new("/home"), ConfigFile { vault, ..ConfigFile::default() }).unwrap_err();
        assert!(format!("{error:#}").contains("vault.audit_keep_months"), "{error:#}");
    }
}
