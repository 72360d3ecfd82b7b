//! Keys and the genesis document of a plan.

use vouch_genesis::{
    AccountRole, ChainParams, GenesisDocument, MemberName, Role,
    document::{AccountEntry, AdminPolicy, FORMAT_VERSION, GenesisContract, Member, NodeEntry},
};
use vouch_types::{ContractName, Power, SecretKey, TimestampMs};

use super::{
    contract,
    model::{Identity, Model, bytes::tagged},
    plan::Plan,
    vaults,
};

/// When every simulated chain begins.
pub const EPOCH_MS: u64 = 1_800_000_000_000;
/// How far a block may be ahead of a clock.
pub const DRIFT_MAX_MS: u32 = 1_000;

/// A key by purpose and number.
pub fn seed_of(purpose: &str, index: usize) -> [u8; 32] {
    tagged("vouch/sim-key/1", format!("{purpose}/{index}").as_bytes()).0
}

pub fn secret(purpose: &str, index: usize) -> SecretKey {
    SecretKey::from_seed(seed_of(purpose, index))
}

pub fn member_name(index: usize) -> String {
    format!("m{index}")
}

/// Every node there may be; those that are not founding belong to founding members.
pub fn identities(plan: &Plan) -> Vec<Identity> {
    let founding = plan.nodes.iter().filter(|n| n.founding).count();
    (0..plan.nodes.len())
        .map(|i| Identity {
            member: member_name(i % founding),
            consensus: secret("consensus", i).public(),
            network: secret("network", i).public(),
        })
        .collect()
}

/// The document, and the model of what it founds. `contracts` are those of private documents, for a plan that has some.
pub fn found(plan: &Plan, code: &[u8], contracts: &[GenesisContract]) -> (GenesisDocument, Model) {
    let has_vaults = plan.vaults.is_some();
    let mut model = Model::default();
    let mut members = Vec::new();
    for (i, node) in plan.nodes.iter().enumerate().filter(|(_, n)| n.founding) {
        let (admin, account) = (secret("admin", i).public(), secret("account", i).public());
        model.members.insert(member_name(i), true);
        model.admins.insert(admin.account(), member_name(i));
        model.accounts.insert(account.account(), member_name(i));
        model.nodes.insert(i, node.power);
        let mut accounts = vec![AccountEntry { name: format!("a{i}"), key: account, roles: Vec::new() }];
        if has_vaults {
            let roles = [AccountRole::Approver, AccountRole::Auditor, AccountRole::Reader, AccountRole::Submitter];
            accounts[0].roles = roles.to_vec();
            let service = secret("service", i).public();
            model.accounts.insert(service.account(), member_name(i));
            model.papers.services.insert(service.account());
            accounts.push(AccountEntry { name: format!("s{i}"), key: service, roles: vec![AccountRole::Service] });
        }
        members.push(Member {
            name: MemberName::new(member_name(i)).unwrap(),
            title: format!("Member {i}"),
            role: [Role::Platform, Role::Institution, Role::Enterprise, Role::Regulator][i % 4],
            admin: AdminPolicy { threshold: 1, keys: vec![admin] },
            encryption_key: has_vaults.then(|| vaults::member_secret(i).public().0),
            ca_certificate: None,
            nodes: vec![NodeEntry {
                name: format!("n{i}"),
                consensus_key: secret("consensus", i).public(),
                network_key: secret("network", i).public(),
                address: format!("127.0.0.1:{}", 7000 + i),
                power: Power(node.power),
            }],
            accounts,
        });
    }
    let mut document = GenesisDocument {
        format: FORMAT_VERSION,
        chain_name: format!("seed {}", plan.seed),
        time: TimestampMs(EPOCH_MS - 1),
        params: params(plan),
        members,
        contracts: vec![GenesisContract { name: ContractName::new(contract::NAME).unwrap(), code: code.to_vec() }]
            .into_iter()
            .chain(contracts.iter().filter(|_| has_vaults).cloned())
            .collect(),
    };
    document.sort();
    (document, model)
}

fn params(plan: &Plan) -> ChainParams {
    ChainParams {
        block_bytes_max: 64 << 10,
        block_transactions_max: plan.block_transactions_max,
        transaction_bytes_max: 8 << 10,
        fuel_per_transaction_max: if plan.vaults.is_some() { 100_000_000 } else { 150_000 },
        fuel_per_block_max: if plan.vaults.is_some() { 1_000_000_000 } else { 1_500_000 },
        expiry_window: plan.expiry_window,
        block_interval_ms: plan.block_interval_ms,
        idle_interval_ms: plan.idle_interval_ms,
        timeout_propose_ms: plan.timeout_propose_ms,
        timeout_vote_ms: plan.timeout_vote_ms,
        timeout_growth_ms: 20,
        timeout_max_ms: 1_000,
        clock_drift_max_ms: DRIFT_MAX_MS,
        proposal_hours_max: 8_784,
        proposals_per_member_max: 256,
        ..ChainParams::default()
    }
}
