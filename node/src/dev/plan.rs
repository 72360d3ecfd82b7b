//! What a network on this machine consists of: made once, kept in its folder, found again at the next start.
//!
//! ```text
//! DIR/
//!   net.json               the plan
//!   genesis.json
//!   admins/MEMBER.key      one administrator per member   (bare keys: for development only)
//!   accounts/NAME.key      accounts for load and tries
//!   nodes/NAME/            a home each, with node.log
//! ```

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use vouch_genesis::{
    AccountEntry, AccountRole, AdminPolicy, ChainParams, GenesisContract, GenesisDocument, Member, MemberName,
    NodeEntry, Role,
};
use vouch_sdk::keystore;
use vouch_types::{ChainId, ContractName, Power, PublicKey};

use crate::{
    config::ConfigFile,
    home::{self, private_folder},
    runner::wall,
};

/// Name of the plan's file.
pub const PLAN_FILE: &str = "net.json";
/// Most members of a network on one machine.
pub const MEMBERS_MAX: u16 = 16;

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedNode {
    /// Its name.
    pub name: String,
    /// Its member.
    pub member: String,
    /// What the member is.
    pub role: Role,
    /// Its home, relative to the network's folder.
    pub home: PathBuf,
    /// Address of its API.
    pub api: String,
    /// Where the other nodes reach it.
    pub network: SocketAddr,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The chain.
    pub chain: ChainId,
    /// Its nodes.
    pub nodes: Vec<PlannedNode>,
    /// Key files of accounts, relative to the network's folder.
    pub accounts: Vec<PathBuf>,
    /// Key files of administrators, one per member, relative to the network's folder.
    pub admins: Vec<PathBuf>,
}

/// What a new network shall be like.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How many members, each with one validator.
    pub members: u16,
    /// How many accounts in all, dealt out to the members in turn.
    pub accounts: u16,
    /// First of the ports: networks from here, APIs from 100 above.
    pub port: u16,
    /// Contracts that are there from the start.
    pub contracts: Vec<(ContractName, PathBuf)>,
    /// Pace and limits.
    pub params: ChainParams,
    /// Serve the APIs without TLS.
    pub plain_http: bool,
}

impl Plan {
    /// Reads the plan of an existing network.
    ///
    /// # Errors
    /// A text that names the file.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(PLAN_FILE);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} is no network's folder; `vouch dev net` makes one", folder.display()))?;
        serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Reads the plan, or makes the network when the folder has none.
    ///
    /// # Errors
    /// A text that names the path; what was made before the error has no plan and is made anew in an empty folder.
    pub fn load_or_make(folder: &Path, wish: &Wish) -> Result<Self> {
        if folder.join(PLAN_FILE).exists() { Self::load(folder) } else { make(folder, wish) }
    }
}

const ROLES: [(Role, &str, &str); 4] = [
    (Role::Platform, "platform", "Sharing-economy platform 共享经济平台"),
    (Role::Institution, "institution", "Gig-work service institution 灵活用工服务机构"),
    (Role::Enterprise, "enterprise", "Enterprise 用工企业"),
    (Role::Regulator, "regulator", "Regulator 监管机构"),
];

fn make(folder: &Path, wish: &Wish) -> Result<Plan> {
    if wish.members == 0 || wish.members > MEMBERS_MAX {
        bail!("a network on one machine has 1 to {MEMBERS_MAX} members");
    }
    if folder.exists() && folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty and holds no {PLAN_FILE}; name another directory", folder.display());
    }
    for name in ["admins", "accounts", "nodes"] {
        private_folder(&folder.join(name))?;
    }
    let mut plan = Plan { chain: ChainId::ZERO, nodes: Vec::new(), accounts: Vec::new(), admins: Vec::new() };
    let mut configs = Vec::new();
    let mut members = Vec::new();
    for index in 0..wish.members {
        let (member, node, config) = member(folder, wish, index, &mut plan)?;
        members.push(member);
        plan.nodes.push(node);
        configs.push(config);
    }
    let mut document = GenesisDocument {
        format: vouch_genesis::FORMAT_VERSION,
        chain_name: "Vouch development network".into(),
        time: wall(),
        params: wish.params.clone(),
        members,
        contracts: contracts(&wish.contracts)?,
    };
    document.sort();
    plan.chain = document.chain_id().context("the genesis document")?;
    let text = document.to_json();
    std::fs::write(folder.join("genesis.json"), &text)?;
    for (node, mut config) in plan.nodes.iter().zip(configs) {
        config.chain = Some(plan.chain);
        let home = folder.join(&node.home);
        std::fs::write(home.join(&config.genesis), &text)?;
        home::write_config(&home, &config)?;
    }
    std::fs::write(folder.join(PLAN_FILE), serde_json::to_string_pretty(&plan)?)?;
    Ok(plan)
}

fn member(folder: &Path, wish: &Wish, index: u16, plan: &mut Plan) -> Result<(Member, PlannedNode, ConfigFile)> {
    let (role, base, title) = ROLES[usize::from(index) % ROLES.len()];
    let round = usize::from(index) / ROLES.len() + 1;
    let name = if round == 1 { base.to_owned() } else { format!("{base}-{round}") };
    let admin = PathBuf::from("admins").join(format!("{name}.key"));
    let admin_key = new_key(&folder.join(&admin))?;
    plan.admins.push(admin);
    let mut accounts = Vec::new();
    for number in (0..wish.accounts).filter(|n| n % wish.members == index) {
        let account = format!("{name}.account-{number:02}");
        let path = PathBuf::from("accounts").join(format!("{account}.key"));
        let roles = vec![AccountRole::Approver, AccountRole::Auditor, AccountRole::Reader, AccountRole::Submitter];
        accounts.push(AccountEntry { name: account, key: new_key(&folder.join(&path))?, roles });
        plan.accounts.push(path);
    }
    let node_name = format!("{name}.node");
    let home_path = PathBuf::from("nodes").join(&node_name);
    let network: SocketAddr = ([127, 0, 0, 1], wish.port + index).into();
    let api: SocketAddr = ([127, 0, 0, 1], wish.port + 100 + index).into();
    let mut config = ConfigFile::default();
    config.network.listen = network.to_string();
    config.api.listen = api.to_string();
    config.api.plain_http = wish.plain_http;
    let names = ["localhost".into(), "127.0.0.1".into()];
    let keys = home::create(&folder.join(&home_path), &config, &names, None)?;
    accounts.push(AccountEntry {
        name: format!("{name}.service"),
        key: keys.service,
        roles: vec![AccountRole::Service],
    });
    let node = NodeEntry {
        name: node_name.clone(),
        consensus_key: keys.consensus,
        network_key: keys.network,
        address: network.to_string(),
        power: Power(1),
    };
    let scheme = if wish.plain_http { "http" } else { "https" };
    let planned = PlannedNode {
        name: node_name,
        member: name.clone(),
        role,
        home: home_path,
        api: format!("{scheme}://{api}"),
        network,
    };
    let member = Member {
        name: MemberName::new(name)?,
        title: title.into(),
        role,
        admin: AdminPolicy { threshold: 1, keys: vec![admin_key] },
        encryption_key: Some(keys.encryption),
        ca_certificate: None,
        nodes: vec![node],
        accounts,
    };
    Ok((member, planned, config))
}

fn new_key(path: &Path) -> Result<PublicKey> {
    let key = keystore::generate()?;
    keystore::save(path, &key, None)?;
    Ok(key.public())
}

fn contracts(wanted: &[(ContractName, PathBuf)]) -> Result<Vec<GenesisContract>> {
    wanted
        .iter()
        .map(|(name, path)| {
            let code = std::fs::read(path).with_context(|| format!("contract {}", path.display()))?;
            Ok(GenesisContract { name: name.clone(), code })
        })
        .collect()
}
