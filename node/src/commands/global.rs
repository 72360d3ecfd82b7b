//! What every command takes, and where it finds the rest.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Deserialize;
use vouch_sdk::{AdminToken, Client, ClientCertificate, ClientConfig};
use vouch_types::{ChainId, api::Language};
use zeroize::Zeroizing;

/// Options of all commands.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct GlobalArgs {
    /// Address of a node, for example `https://node1.example:7400`; several are tried in turn
    #[arg(long = "node", global = true, value_name = "URL", env = "VOUCH_NODE", value_delimiter = ',')]
    pub nodes: Vec<String>,
    /// The node's home directory: its config.toml names address and chain, its ca.pem the authority
    #[arg(long, global = true, value_name = "DIR", env = "VOUCH_HOME")]
    pub home: Option<PathBuf>,
    /// File of certificate authorities to trust (PEM)
    #[arg(long, global = true, value_name = "FILE", env = "VOUCH_CA")]
    pub ca: Option<PathBuf>,
    /// Certificate to show to nodes that ask for one (PEM); client/certificate.pem of the home if it is there
    #[arg(long, global = true, value_name = "FILE", env = "VOUCH_CLIENT_CERT", requires = "client_key")]
    pub client_cert: Option<PathBuf>,
    /// Its key (PEM, PKCS#8); client/key.pem of the home if it is there
    #[arg(long, global = true, value_name = "FILE", env = "VOUCH_CLIENT_KEY", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// The chain that is meant; a node of another one is refused
    #[arg(long, global = true, value_name = "ID", env = "VOUCH_CHAIN")]
    pub chain: Option<ChainId>,
    /// Write JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Language of texts: en or zh
    #[arg(long, global = true, value_name = "LANG", env = "VOUCH_LANG")]
    pub lang: Option<String>,
}

/// What a client reads of a home's `config.toml`; the rest is the node's.
#[derive(Debug, Default, Deserialize)]
struct HomeConfig {
    chain: Option<ChainId>,
    #[serde(default)]
    api: ApiSection,
}

#[derive(Debug, Default, Deserialize)]
struct ApiSection {
    /// Takes precedence over `listen`.
    url: Option<String>,
    listen: Option<SocketAddr>,
    #[serde(default)]
    plain_http: bool,
}

impl ApiSection {
    fn url(&self) -> Option<String> {
        self.url.clone().or_else(|| {
            let mut listen = self.listen?;
            if listen.ip().is_unspecified() {
                listen.set_ip(match listen {
                    SocketAddr::V4(_) => [127, 0, 0, 1].into(),
                    SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
                });
            }
            let scheme = if self.plain_http { "http" } else { "https" };
            Some(format!("{scheme}://{listen}"))
        })
    }
}

impl GlobalArgs {
    /// The language asked for, else that of the environment.
    #[must_use]
    pub fn language(&self) -> Language {
        if let Some(lang) = &self.lang {
            return Language::from_tag(lang);
        }
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let tag = set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG"));
        tag.map_or(Language::English, |tag| Language::from_tag(&tag))
    }

    /// A client for what the options, the environment and the home directory name, in this order.
    ///
    /// # Errors
    /// When nothing names a node, or what does cannot be used.
    pub fn client(&self) -> anyhow::Result<Client> {
        Ok(self.client_config()?.build()?)
    }

    /// The configuration of [`GlobalArgs::client`].
    ///
    /// # Errors
    /// As there.
    pub fn client_config(&self) -> anyhow::Result<ClientConfig> {
        let home = self.home.as_deref().map(read_home).transpose()?.unwrap_or_default();
        let nodes = if self.nodes.is_empty() { home.api.url().into_iter().collect() } else { self.nodes.clone() };
        let mut config = ClientConfig::of_nodes(nodes);
        if config.nodes.is_empty() {
            let text = "no node is named: give --node URL, or --home DIR of a node on this machine";
            return Err(vouch_sdk::Error::Configuration(text.into()).into());
        }
        config.chain = self.chain.or(home.chain);
        config.ca_pem = self.authority()?;
        config.admin_token = self.home_file("admin.token")?.map(AdminToken::new);
        config.certificate = self.certificate()?;
        Ok(config)
    }

    /// A client for what is proven from the chain's id, which has to be named.
    ///
    /// # Errors
    /// As [`GlobalArgs::client_config`], and when nothing names the chain.
    pub fn pinned_client(&self) -> anyhow::Result<Client> {
        let config = self.client_config()?;
        if config.chain.is_none() {
            let text = "name the chain with --chain, or the node's home with --home: proofs are checked from its id";
            return Err(vouch_sdk::Error::Configuration(text.into()).into());
        }
        Ok(config.build()?)
    }

    /// The chain that is meant, for commands that need no node.
    ///
    /// # Errors
    /// When a home is named that cannot be read.
    pub fn known_chain(&self) -> anyhow::Result<Option<ChainId>> {
        let home = self.home.as_deref().map(read_home).transpose()?.unwrap_or_default();
        Ok(self.chain.or(home.chain))
    }

    fn authority(&self) -> anyhow::Result<Option<Vec<u8>>> {
        match &self.ca {
            Some(path) => {
                let pem = fs::read(path).map_err(|error| configuration(path, &error))?;
                Ok(Some(pem))
            }
            None => Ok(self.home_file("ca.pem")?.map(String::into_bytes)),
        }
    }

    fn certificate(&self) -> anyhow::Result<Option<ClientCertificate>> {
        let of_home = |name: &str| self.home.as_ref().map(|home| home.join("client").join(name));
        let (certificate, key) = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            _ => match (of_home("certificate.pem"), of_home("key.pem")) {
                (Some(certificate), Some(key)) if certificate.exists() => (certificate, key),
                _ => return Ok(None),
            },
        };
        let read = |path: &Path| fs::read(path).map(Zeroizing::new).map_err(|error| configuration(path, &error));
        Ok(Some(ClientCertificate::new(&read(&certificate)?, &read(&key)?)))
    }

    fn home_file(&self, name: &str) -> anyhow::Result<Option<String>> {
        let Some(home) = &self.home else { return Ok(None) };
        let path = home.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(configuration(&path, &error)),
        }
    }
}

fn configuration(path: &Path, error: &dyn std::fmt::Display) -> anyhow::Error {
    vouch_sdk::Error::Configuration(format!("{}: {error}", path.display())).into()
}

fn read_home(home: &Path) -> anyhow::Result<HomeConfig> {
    let path = home.join("config.toml");
    let text = fs::read_to_string(&path).map_err(|error| configuration(&path, &error))?;
    toml::from_str(&text).map_err(|error| configuration(&path, &error)).context("home directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_names_address_and_scheme() {
        let url = |text: &str| toml::from_str::<HomeConfig>(text).expect("reads").api.url();
        assert_eq!(url("[api]\nlisten = \"0.0.0.0:7400\"\nother = 1").as_deref(), Some("https://127.0.0.1:7400"));
        assert_eq!(url("[api]\nlisten = \"[::]:1\"\nplain_http = true").as_deref(), Some("http://[::1]:1"));
        assert_eq!(url("[api]\nurl = \"https://n\"\nlisten = \"1.2.3.4:5\"").as_deref(), Some("https://n"));
        assert_eq!(url("[node]\nname = \"x\""), None);
    }
}
