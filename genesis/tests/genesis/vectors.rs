//! A sample document as a vector for other implementations: its text, its bytes, its chain id.

use std::path::PathBuf;

use serde_json::{Value, json};
use vouch_genesis::GenesisDocument;
use vouch_types::SecretKey;

fn sample() -> Value {
    let key = |n: u8| SecretKey::from_seed([n; 32]).public();
    let member = |name: &str, role: &str, title: &str, n: u8| {
        json!({
            "name": name, "title": title, "role": role,
            "admin": {"threshold": 2, "keys": [key(n), key(n + 1), key(n + 2)]},
            "encryption_key": "09".repeat(32), "ca_certificate": "MAA=",
            "nodes": [{
                "name": format!("{name}-1"), "consensus_key": key(n + 3), "network_key": key(n + 4),
                "address": format!("{name}.example:26656"), "power": 1,
            }],
            "accounts": [{"name": format!("{name}-operator"), "key": key(n + 5), "roles": ["reader", "operator"]}],
        })
    };
    json!({
        "format": 1, "chain_name": "示范联盟 Sample consortium", "time_ms": 1_800_000_000_000u64,
        "params": {"block_interval_ms": 250, "thresholds": {"emergency": ">= 1/2"}},
        "members": [
            member("platform", "platform", "业务平台", 10), member("hospital", "institution", "医院", 20),
            member("supplier", "enterprise", "供应商", 30), member("regulator", "regulator", "监管机构", 40),
        ],
        "contracts": [{"name": "empty", "code": "AGFzbQEAAAA="}],
    })
}

#[test]
fn the_sample_has_its_bytes_and_its_chain_id() {
    let given = sample();
    let document = GenesisDocument::from_json(&given.to_string()).unwrap();
    let produced = json!({
        "about": "given: as a person writes it, defaults left out, in any order. document: as it is read.",
        "given": given, "document": serde_json::from_str::<Value>(&document.to_json()).unwrap(),
        "bytes": document.to_bytes().unwrap().iter().map(|b| format!("{b:02x}")).collect::<String>(),
        "header": document.header().unwrap(), "validators": document.validator_set().unwrap(),
        "chain": document.chain_id().unwrap(),
    });
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join("genesis.json");
    let text = serde_json::to_string_pretty(&produced).unwrap() + "\n";
    if std::env::var_os("VOUCH_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert!(std::fs::read_to_string(&path).unwrap() == text, "genesis.json differs: the format has changed");
}
