//! The document as a whole: a good one is accepted and has one id, every single fault is refused under its own code.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vouch_genesis::{
    AccountEntry, AccountRole, AdminPolicy, ChainParams, FORMAT_VERSION, GenesisContract, GenesisDocument, Member,
    MemberName, NodeEntry, Role, Threshold,
};
use vouch_types::{ContractName, Hash32, Power, PublicKey, SecretKey, TimestampMs};

fn key(n: u8) -> PublicKey {
    SecretKey::from_seed([n; 32]).public()
}

fn member(name: &str, role: Role, first_key: u8) -> Member {
    let mut keys = vec![key(first_key), key(first_key + 1), key(first_key + 2)];
    keys.sort();
    Member {
        name: MemberName::new(name).unwrap(),
        title: format!("{name} 机构"),
        role,
        admin: AdminPolicy { threshold: 2, keys },
        encryption_key: Some(Hash32([first_key; 32])),
        ca_certificate: Some(vec![0x30, first_key]),
        nodes: vec![NodeEntry {
            name: format!("{name}-node"),
            consensus_key: key(first_key + 3),
            network_key: key(first_key + 4),
            address: "127.0.0.1:26656".into(),
            power: Power(1),
        }],
        accounts: vec![AccountEntry {
            name: format!("{name}-operator"),
            key: key(first_key + 5),
            roles: vec![AccountRole::Operator, AccountRole::Reader],
        }],
    }
}

fn four_members() -> GenesisDocument {
    let mut document = GenesisDocument {
        format: FORMAT_VERSION,
        chain_name: "Four members".into(),
        time: TimestampMs(1_800_000_000_000),
        params: ChainParams::default(),
        members: vec![
            member("platform", Role::Platform, 10),
            member("hospital", Role::Institution, 20),
            member("supplier", Role::Enterprise, 30),
            member("regulator", Role::Regulator, 40),
        ],
        contracts: vec![GenesisContract {
            name: ContractName::new("system").unwrap(),
            code: b"\0asm\x01\0\0\0".to_vec(),
        }],
    };
    document.sort();
    document
}

#[test]
fn a_good_document_survives_text_and_bytes() {
    let document = four_members();
    document.validate().unwrap();
    assert_eq!(document.params.thresholds.membership.needed(4), 3, "more than two thirds of four");
    assert_eq!(GenesisDocument::from_json(&document.to_json()).unwrap(), document);
    assert_eq!(GenesisDocument::from_bytes(&document.to_bytes().unwrap()).unwrap(), document);
    assert_eq!(document.validator_set().unwrap().members().len(), 4);
    let header = document.header().unwrap();
    assert_eq!(header.chain(), document.chain_id().unwrap());
    assert_eq!(header.validators_hash, document.validator_set().unwrap().hash());
    let (owner, node) = document.node(&key(23).node()).unwrap();
    assert_eq!((owner.name.as_str(), node.name.as_str()), ("hospital", "hospital-node"));
}

#[test]
fn order_in_the_text_does_not_change_the_chain() {
    let document = four_members();
    let mut shuffled = document.clone();
    shuffled.members.reverse();
    for member in &mut shuffled.members {
        member.admin.keys.reverse();
    }
    assert_eq!(shuffled.validate().unwrap_err().code(), "genesis.order");
    let read = GenesisDocument::from_json(&shuffled.to_json()).unwrap();
    assert_eq!(read.chain_id(), document.chain_id());
}

#[test]
fn every_part_of_the_content_changes_the_chain() {
    type Change = fn(&mut GenesisDocument);
    let changes: [Change; 15] = [
        |_| (),
        |d| d.chain_name.push('!'),
        |d| d.time.0 += 1,
        |d| d.params.expiry_window += 1,
        |d| d.params.thresholds.nodes.inclusive = true,
        |d| d.members[0].encryption_key = None,
        |d| d.members[1].ca_certificate = None,
        |d| d.members[0].title.push('!'),
        |d| d.members[0].role = Role::Platform,
        |d| d.members[0].admin.threshold = 1,
        |d| d.members[1].nodes[0].power = Power(2),
        |d| d.members[2].nodes[0].address = "node.example:1".into(),
        |d| d.members[3].accounts.clear(),
        |d| d.members[3].accounts[0].roles.truncate(1),
        |d| d.contracts[0].code.push(0),
    ];
    let ids: BTreeSet<_> = changes
        .iter()
        .map(|change| {
            let mut document = four_members();
            change(&mut document);
            document.chain_id().unwrap()
        })
        .collect();
    assert_eq!(ids.len(), changes.len());
}

#[track_caller]
fn refused(code: &str, path: &str, change: impl FnOnce(&mut GenesisDocument)) {
    let mut document = four_members();
    change(&mut document);
    let error = document.validate().unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().starts_with(path), "{error} should name {path}");
    assert!(document.chain_id().is_err() && document.to_bytes().is_err());
}

#[test]
fn each_fault_has_its_code_and_names_its_place() {
    refused("genesis.unknown_format", "format", |d| d.format = 2);
    refused("genesis.size", "chain_name", |d| d.chain_name.clear());
    refused("genesis.text", "chain_name", |d| d.chain_name.push('\n'));
    refused("genesis.size", "members[1].title", |d| d.members[1].title = "x".repeat(201));
    refused("genesis.size", "members", |d| d.members.clear());
    refused("genesis.parameter", "params.block_interval_ms", |d| d.params.block_interval_ms = 0);
    refused("genesis.parameter", "params.idle_interval_ms", |d| d.params.idle_interval_ms = 299);
    refused("genesis.parameter", "params.timeout_max_ms", |d| d.params.timeout_max_ms = 599);
    refused("genesis.parameter", "params.fuel_per_block_max", |d| d.params.fuel_per_block_max = 49_999_999);
    refused("genesis.parameter", "params.block_bytes_max", |d| d.params.block_bytes_max = (8 << 20) + 1);
    refused("genesis.parameter", "params.transaction_bytes_max", |d| {
        d.params.block_bytes_max = 1 << 20;
    });
    refused("genesis.threshold", "params.thresholds.emergency", |d| {
        d.params.thresholds.emergency = Threshold::more_than(3, 3);
    });
    refused("genesis.threshold", "params.thresholds.nodes", |d| {
        d.params.thresholds.nodes = Threshold::at_least(0, 3);
    });
    refused("genesis.parameter", "params.proposal_hours_max", |d| d.params.proposal_hours_max = 0);
    refused("genesis.encryption_key", "members[1].encryption_key", |d| {
        d.members[1].encryption_key = Some(Hash32::ZERO);
    });
    refused("genesis.size", "members[1].ca_certificate", |d| d.members[1].ca_certificate = Some(vec![0; 4097]));
    refused("genesis.threshold", "members[0].admin.threshold", |d| d.members[0].admin.threshold = 4);
    refused("genesis.threshold", "members[0].admin.threshold", |d| d.members[0].admin.threshold = 0);
    refused("genesis.size", "members[0].admin.keys", |d| d.members[0].admin.keys.clear());
    refused("genesis.weak_key", "members[0].admin.keys[0]", |d| {
        d.members[0].admin.keys[0] = PublicKey::ed25519([0; 32]);
    });
    refused("genesis.duplicate_key", "members[1].accounts[0].key", |d| {
        d.members[1].accounts[0].key = d.members[0].admin.keys[1];
    });
    refused("genesis.duplicate_key", "members[0].nodes[0].network_key", |d| {
        d.members[0].nodes[0].network_key = d.members[0].nodes[0].consensus_key;
    });
    refused("genesis.duplicate_name", "members[1].name", |d| d.members[1].name = d.members[0].name.clone());
    refused("genesis.duplicate_name", "members[1].nodes[0].name", |d| {
        d.members[1].nodes[0].name = d.members[0].nodes[0].name.clone();
    });
    refused("genesis.name", "members[2].nodes[0].name", |d| d.members[2].nodes[0].name = "Node".into());
    refused("genesis.name", "members[2].accounts[0].name", |d| d.members[2].accounts[0].name = "1".into());
    refused("genesis.duplicate_name", "contracts[1].name", |d| d.contracts.push(d.contracts[0].clone()));
    refused("genesis.code", "contracts[0].code", |d| d.contracts[0].code[0] = 1);
    refused("genesis.size", "contracts[0].code", |d| d.contracts[0].code.clear());
    refused("genesis.no_validator", "members", |d| {
        d.members.iter_mut().for_each(|m| m.nodes[0].power = Power::ZERO);
    });
    refused("genesis.power", "members", |d| d.members[0].nodes[0].power = Power(1 << 50));
    refused("genesis.order", "members[0].admin.keys", |d| d.members[0].admin.keys.reverse());
    refused("genesis.order", "members[2].accounts[0].roles", |d| d.members[2].accounts[0].roles.reverse());
    refused("genesis.order", "members[2].accounts[0].roles", |d| {
        d.members[2].accounts[0].roles = vec![AccountRole::Reader; 2];
    });
}

#[test]
fn addresses() {
    let good = [
        "127.0.0.1:1",
        "[::1]:26656",
        "node-1.example.org:65535",
        "/ip4/10.0.0.1/tcp/26656",
        "/ip6/::1/tcp/1",
        "/dns4/node.example/tcp/443",
    ];
    let bad = [
        "",
        "host",
        "host:",
        ":1",
        "host:0",
        "host:65536",
        "host:+1",
        "ho st:1",
        "::1:1",
        "[1.2.3.4]:1",
        "/ip4/host/tcp/1",
        "/ip4/1.2.3.4/udp/1",
        "/ip4/1.2.3.4/tcp/1/p2p/x",
        "http://host:1",
        "/",
    ];
    for address in good {
        let mut document = four_members();
        document.members[0].nodes[0].address = address.into();
        assert_eq!(document.validate(), Ok(()), "{address}");
    }
    for address in bad {
        refused("genesis.address", "members[0].nodes[0].address", |d| d.members[0].nodes[0].address = address.into());
    }
}

#[track_caller]
fn text_refused(path: &str, from: &str, to: &str) {
    let text = four_members().to_json();
    assert!(text.contains(from), "{from}");
    let error = GenesisDocument::from_json(&text.replacen(from, to, 1)).unwrap_err();
    assert_eq!(error.code(), "genesis.json", "{error}");
    assert!(error.to_string().starts_with(path), "{error} should name {path}");
}

#[test]
fn faults_in_the_text_name_their_path() {
    text_refused("members[0].role", "\"institution\"", "\"bank\"");
    text_refused("members[0].accounts[0].roles[1]", "\"reader\"", "\"root\"");
    text_refused("members[0].admin.threshold", "\"threshold\": 2", "\"threshold\": -2");
    text_refused("members[0].nodes[0].power", "\"power\": 1", "\"power\": 1.5");
    text_refused("members[0].admin.keys[0]", "\"ed25519:", "\"ed25519:0");
    text_refused("params.thresholds.membership", "\"> 2/3\"", "\"2/3\"");
    text_refused("members[0].ca_certificate", "\"MBQ", "\"*BQ");
    text_refused("contracts[0].code", "\"AGFzb", "\"*GFzb");
    text_refused("members[0].nodes[0]", "\"power\": 1", "\"power\": 1, \"secret_key\": \"00\"");
    text_refused("params", "\"expiry_window\"", "\"expiry\"");
    text_refused("members[0]", "\"title\"", "\"name\"");
    text_refused("version", "\"format\"", "\"version\"");
    let error = GenesisDocument::from_json(&(four_members().to_json() + "x")).unwrap_err();
    assert_eq!(error.code(), "genesis.json");
    let error = GenesisDocument::from_json(&" ".repeat(vouch_genesis::JSON_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.code(), "genesis.size");
}

#[test]
fn a_short_text_takes_the_defaults() {
    let text = four_members().to_json();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value.as_object_mut().unwrap().remove("params");
    assert_eq!(GenesisDocument::from_json(&value.to_string()).unwrap(), four_members());
}

#[test]
fn roles_of_accounts_ascend_with_their_texts() {
    let texts = AccountRole::ALL.map(AccountRole::as_str);
    assert!(texts.is_sorted());
    assert!(AccountRole::ALL.is_sorted());
    for role in AccountRole::ALL {
        assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        assert_eq!(AccountRole::from_text(role.as_str()), Some(role));
    }
    assert_eq!(AccountRole::from_text("admin"), None);
}

proptest! {
    #[test]
    fn changed_bytes_are_refused_or_stay_canonical(at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = four_members().to_bytes().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(document) = GenesisDocument::from_bytes(&bytes) {
            prop_assert_eq!(document.to_bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        prop_assert!(GenesisDocument::from_json(&text).is_err());
    }
}
