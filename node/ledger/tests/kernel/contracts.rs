//! The life of a contract, and what a dry run tells beforehand.

use vouch_genesis::ChainParams;
use vouch_ledger::{
    kernel::{
        ABI_JSON, Action, ActivateContract, ChangeContract, Matter, Parameter, PromoteContract, RemovePackage,
        SetParameters, UploadPackage, code_hash,
    },
    registry::ContractStanding,
};
use vouch_types::{Abi, AccountId, Call, CodeHash, ContractName};

use crate::network::{HOUR_MS, Network, action, admin, admins, key, secret, system};

/// Answers every method with `answer` as one byte; `migrate` writes its arguments' length, and fails on more than 20.
fn code(answer: u8, methods: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "vouch" "input" (func $input (param i32)))
        (import "vouch" "output" (func $output (param i32 i32)))
        (import "vouch" "put" (func $put (param i32 i32 i32 i32)))
        (import "vouch" "refuse" (func $refuse (param i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\{answer:02x}migrated")
        (func (export "vouch_call") (param $len i32)
            (call $input (i32.const 1000))
            ;; Nobody signed a decided call: the number of signers stands behind version, name and caller.
            (if (i32.eqz (i32.load8_u (i32.const 1046)))
                (then
                    (if (i32.gt_u (local.get $len) (i32.const 150)) (then (call $refuse (i32.const 1) (i32.const 8))))
                    (call $put (i32.const 1) (i32.const 8) (i32.const 0) (i32.const 1))))
            (call $output (i32.const 0) (i32.const 1)))
        (@custom "vouch-abi" "{{\"abi\":1,\"name\":\"thing\",\"version\":\"1\",\"methods\":[{methods}]}}"))"#
    );
    wat::parse_str(text).unwrap()
}

const ASK: &str = r#"{\"name\":\"ask\",\"kind\":\"call\",\"result\":\"u8\"},{\"name\":\"look\",\"kind\":\"query\",\"result\":\"u8\"}"#;
const ASK_AND_MIGRATE: &str = r#"{\"name\":\"ask\",\"kind\":\"call\",\"result\":\"u8\"},{\"name\":\"migrate\",\"kind\":\"call\",\"arguments\":[{\"name\":\"x\",\"type\":\"bytes\"}]}"#;

fn name() -> ContractName {
    ContractName::new("thing").unwrap()
}

fn ask() -> Call {
    Call { contract: name(), method: "ask".into(), arguments: Vec::new() }
}

fn activate(code: CodeHash, arguments: &[u8], canary_percent: u8) -> ActivateContract {
    ActivateContract { name: "thing".into(), code, arguments: arguments.to_vec(), canary_percent }
}

fn change() -> ChangeContract {
    ChangeContract { name: "thing".into() }
}

#[track_caller]
fn upload(network: &mut Network, code: Vec<u8>) -> CodeHash {
    let hash = code_hash(&code);
    let end = network.call(&[admin(0, 0)], "upload_package", &UploadPackage { code });
    assert!(end.result.is_ok(), "{:?}", end.result);
    hash
}

#[test]
fn a_contract_from_package_to_retirement() {
    let mut network = Network::new();
    let user = [secret(2, 1)];
    let (first, second) = (code(1, ASK), code(2, ASK_AND_MIGRATE));
    assert_eq!(
        network.call(&user, "upload_package", &UploadPackage { code: first.clone() }).code(),
        "system.not_authorised"
    );
    assert_eq!(
        network.call(&[admin(0, 0)], "upload_package", &UploadPackage { code: vec![0] }).code(),
        "deploy.invalid_module"
    );
    let one = upload(&mut network, first.clone());
    assert_eq!(
        network.call(&[admin(1, 0)], "upload_package", &UploadPackage { code: first }).code(),
        "system.package_exists"
    );
    assert_eq!(network.run(&user, vec![ask()]).code(), "contract.unknown", "a package is not active");
    let unknown = CodeHash([7; 32]);
    assert_eq!(network.refused("contracts", "activate_contract", &activate(unknown, &[], 0)), "system.unknown_package");
    assert_eq!(network.refused("contracts", "activate_contract", &activate(one, &[1], 0)), "contract.bad_arguments");
    let kernel = ActivateContract { name: "system".into(), ..activate(one, &[], 0) };
    assert_eq!(network.refused("contracts", "activate_contract", &kernel), "deploy.reserved_name");
    network.decided("contracts", "activate_contract", &activate(one, &[], 0));
    assert_eq!(network.run(&user, vec![ask()]).result, Ok(vec![1]));
    assert_eq!(
        network.call(&[admin(0, 0)], "remove_package", &RemovePackage { code: one }).code(),
        "system.package_used"
    );

    // An upgrade whose migration fails changes nothing.
    let two = upload(&mut network, second);
    assert_eq!(
        network.refused("contracts", "activate_contract", &activate(two, &[9; 90], 0)),
        "contract.bad_arguments"
    );
    assert_eq!(network.run(&user, vec![ask()]).result, Ok(vec![1]));
    let migrate = Call { contract: name(), method: "migrate".into(), arguments: vec![0; 8] };
    network.decided("contracts", "activate_contract", &activate(two, &[0; 8], 0));
    assert_eq!(network.run(&user, vec![ask()]).result, Ok(vec![2]));
    let read = network.ledger.reader().state(&name(), b"migrated", false).unwrap();
    assert_eq!(read.value, Some(vec![2]), "it ran in the new code");
    assert_eq!(network.run(&user, vec![migrate]).code(), "contract.reserved_method");
    let record = network.registry().contracts[&name()].clone();
    assert_eq!((record.version, record.previous.unwrap().code, record.previous.unwrap().version), (2, one, 1));

    network.decided("contracts", "roll_back_contract", &change());
    assert_eq!(network.run(&user, vec![ask()]).result, Ok(vec![1]));
    assert_eq!(network.registry().contracts[&name()].version, 3);

    network.decided("emergency", "freeze_contract", &change());
    assert_eq!(network.run(&user, vec![ask()]).code(), "contract.frozen");
    assert_eq!(network.refused("contracts", "freeze_contract", &change()), "system.contract_standing");
    // A frozen contract is mended before it is unfrozen.
    network.decided("contracts", "activate_contract", &activate(two, &[0; 8], 0));
    assert_eq!(network.run(&user, vec![ask()]).code(), "contract.frozen");
    network.decided("contracts", "unfreeze_contract", &change());
    assert_eq!(network.run(&user, vec![ask()]).result, Ok(vec![2]));

    network.decided("contracts", "roll_back_contract", &change());
    network.decided("contracts", "retire_contract", &change());
    assert_eq!(network.registry().contracts[&name()].standing, ContractStanding::Retired);
    assert_eq!(network.run(&user, vec![ask()]).code(), "contract.retired");
    let look = Call { method: "look".into(), ..ask() };
    assert_eq!(network.ledger.reader().query(&look).unwrap().result.unwrap(), [1], "what it holds can be read");
    for method in ["freeze_contract", "unfreeze_contract", "roll_back_contract", "retire_contract"] {
        assert_eq!(network.refused("contracts", method, &change()), "contract.retired");
    }
    assert_eq!(network.refused("contracts", "activate_contract", &activate(two, &[0; 8], 0)), "contract.retired");
}

#[test]
fn a_trial_meets_a_share_of_the_callers() {
    let mut network = Network::new();
    let (one, two) = (upload(&mut network, code(1, ASK)), upload(&mut network, code(2, ASK_AND_MIGRATE)));
    assert_eq!(
        network.refused("contracts", "activate_contract", &activate(two, &[], 50)),
        "system.canary",
        "nothing is in use"
    );
    network.decided("contracts", "activate_contract", &activate(one, &[], 0));
    for bad in [activate(one, &[], 50), activate(two, &[1], 50), activate(two, &[], 100)] {
        assert_eq!(network.refused("contracts", "activate_contract", &bad), "system.canary");
    }
    let promote = |arguments: &[u8]| PromoteContract { name: "thing".into(), arguments: arguments.to_vec() };
    assert_eq!(network.refused("contracts", "promote_contract", &promote(&[0; 8])), "system.canary");
    network.decided("contracts", "activate_contract", &activate(two, &[], 30));
    let record = network.registry().contracts[&name()].clone();
    let met = |percent_of: &vouch_ledger::registry::ContractRecord| {
        (0..10_000u32)
            .filter(|n| {
                let mut id = [1; 32];
                id[..4].copy_from_slice(&n.to_le_bytes());
                percent_of.code_for(&AccountId(id)) == two
            })
            .count()
    };
    assert!((2_800..3_200).contains(&met(&record)), "{}", met(&record));
    // Who meets the trial at 30 percent meets it at 60.
    network.decided("contracts", "activate_contract", &activate(two, &[], 60));
    let wider = network.registry().contracts[&name()].clone();
    assert!((5_800..6_200).contains(&met(&wider)), "{}", met(&wider));
    for n in 0..1_000u32 {
        let mut id = [1; 32];
        id[..4].copy_from_slice(&n.to_le_bytes());
        assert!(record.code_for(&AccountId(id)) != two || wider.code_for(&AccountId(id)) == two);
    }
    // The accounts of the network, by what they really meet.
    for n in 0..4 {
        let expected = if wider.code_for(&key(2, n).account()) == two { 2 } else { 1 };
        assert_eq!(network.run(&[secret(2, n)], vec![ask()]).result, Ok(vec![expected]));
    }
    let look = Call { method: "look".into(), ..ask() };
    assert_eq!(network.ledger.reader().query(&look).unwrap().result.unwrap(), [1], "queries meet the one in use");
    network.decided("contracts", "roll_back_contract", &change());
    assert!(network.registry().contracts[&name()].canary.is_none());
    assert_eq!(network.registry().contracts[&name()].version, 1);
    network.decided("contracts", "activate_contract", &activate(two, &[], 1));
    network.decided("contracts", "promote_contract", &promote(&[0; 8]));
    for n in 0..4 {
        assert_eq!(network.run(&[secret(2, n)], vec![ask()]).result, Ok(vec![2]));
    }
    let record = network.registry().contracts[&name()].clone();
    assert_eq!((record.version, record.previous.unwrap().code, record.canary), (2, one, None));
}

#[test]
fn packages_of_a_member_are_bounded() {
    let params = ChainParams { packages_per_member_max: 2, ..ChainParams::default() };
    let mut network = Network::with(params, Vec::new());
    let first = upload(&mut network, code(1, ASK));
    upload(&mut network, code(2, ASK));
    let third = UploadPackage { code: code(3, ASK) };
    assert_eq!(network.call(&[admin(0, 1)], "upload_package", &third).code(), "system.too_many");
    assert!(network.call(&[admin(1, 1)], "upload_package", &UploadPackage { code: code(4, ASK) }).result.is_ok());
    let remove = RemovePackage { code: first };
    assert_eq!(network.call(&[admin(1, 0)], "remove_package", &remove).code(), "system.not_authorised");
    assert!(network.call(&[admin(0, 2)], "remove_package", &remove).result.is_ok());
    assert!(network.ledger.reader().code(&first).unwrap().is_none());
    assert_eq!(network.call(&[admin(0, 0)], "remove_package", &remove).code(), "system.unknown_package");
    assert!(network.call(&[admin(0, 1)], "upload_package", &third).result.is_ok());
    // A used one does not count.
    network.decided("contracts", "activate_contract", &activate(code_hash(&code(2, ASK)), &[], 0));
    upload(&mut network, code(5, ASK));
}

#[test]
fn deployment_is_one_transaction_of_several_administrators() {
    let mut network = Network::new();
    let module = code(1, ASK);
    let act = action("activate_contract", &activate(code_hash(&module), &[], 0));
    let proposal = Network::proposal("contracts", network.time + HOUR_MS, vec![act]);
    let calls = vec![system("upload_package", &UploadPackage { code: module }), system("propose", &proposal)];
    assert_eq!(network.run(&admins(&[0, 1, 2]), calls).decision(), (1, "executed".into()));
    assert_eq!(network.run(&[secret(2, 0)], vec![ask()]).result, Ok(vec![1]));
}

#[test]
fn a_dry_run_tells_what_would_happen_and_changes_nothing() {
    let mut network = Network::new();
    let (one, two) = (upload(&mut network, code(1, ASK)), upload(&mut network, code(2, ASK_AND_MIGRATE)));
    network.decided("contracts", "activate_contract", &activate(one, &[], 0));
    let before = (network.ledger.head(), network.registry().clone());
    let contracts = Matter::Consortium(vouch_genesis::DecisionKind::Contracts);
    let reader = network.ledger.reader().clone();
    let good = action("activate_contract", &activate(two, &[0; 8], 0));
    let run = reader.dry_run(&contracts, std::slice::from_ref(&good)).unwrap();
    assert_eq!(run.height, before.0.height);
    let report = &run.reports[0];
    assert!(report.result.is_ok() && report.fuel_used > 5_000);
    assert_eq!(report.replaces, Some((name(), Some(one), two)));
    let changed: Vec<String> = report.changed.iter().map(|k| String::from_utf8_lossy(k).into_owned()).collect();
    assert_eq!(changed.len(), 3, "{changed:?}");
    assert!(changed[0] == "system\0contract/thing" && changed[1].starts_with("system\0package/"));
    assert_eq!(changed[2], "thing\0migrated");

    let bad = action("activate_contract", &activate(two, &[9; 90], 0));
    let run = reader.dry_run(&contracts, &[good.clone(), bad, good.clone()]).unwrap();
    assert_eq!(run.reports.len(), 2, "nothing runs after a failed action");
    assert_eq!(run.reports[1].result.as_ref().unwrap_err().code, "contract.bad_arguments");
    let elsewhere = Matter::Consortium(vouch_genesis::DecisionKind::Nodes);
    let run = reader.dry_run(&elsewhere, &[good]).unwrap();
    assert_eq!(run.reports[0].result.as_ref().unwrap_err().code, "system.not_authorised");
    assert!(before.0 == network.ledger.head() && before.1 == *network.registry());
    assert_eq!(reader.state(&name(), b"migrated", false).unwrap().value, None);
}

#[test]
fn parameters_change_by_name() {
    let mut network = Network::new();
    let set = |pairs: &[(&str, &str)]| SetParameters {
        changes: pairs.iter().map(|(n, v)| Parameter { name: (*n).into(), value: (*v).into() }).collect(),
    };
    network.decided(
        "parameters",
        "set_parameters",
        &set(&[("block_interval_ms", "20000"), ("idle_interval_ms", "30000")]),
    );
    assert_eq!(network.registry().params.block_interval_ms, 20_000);
    for (changes, code) in [
        (set(&[]), "contract.bad_arguments"),
        (set(&[("idle_interval_ms", "10")]), "contract.bad_arguments"),
        (set(&[("block_interval_ms", "x")]), "contract.bad_arguments"),
        (set(&[("thresholds.nodes", "> 1/1")]), "contract.bad_arguments"),
        (set(&[("thresholds.colours", "> 1/2")]), "system.unknown_parameter"),
        (set(&[("expiry_window", "10")]), "system.parameter_fixed"),
    ] {
        assert_eq!(network.refused("parameters", "set_parameters", &changes), code, "{changes:?}");
    }
}

#[test]
fn the_kernel_describes_itself() {
    let abi = Abi::from_json(ABI_JSON).unwrap();
    let mut network = Network::new();
    for method in &abi.methods {
        assert!(!method.title.en.is_empty() && !method.title.zh.is_empty(), "{}", method.name);
        // Whatever is wrong with the call, the method exists.
        let call = Call {
            contract: ContractName::new("system").unwrap(),
            method: method.name.clone(),
            arguments: vec![0xff; 3],
        };
        assert_eq!(network.run(&[admin(0, 0)], vec![call]).code(), "contract.bad_arguments", "{}", method.name);
    }
    let call = Call { contract: ContractName::new("system").unwrap(), method: "nothing".into(), arguments: vec![] };
    assert_eq!(network.run(&[admin(0, 0)], vec![call]).code(), "contract.unknown_method");
    // Arguments by name are the bytes that the kernel reads.
    let arguments = serde_json::json!({"name": "bakery", "title": "B", "role": "enterprise", "admin_threshold": 1,
        "admin_keys": [key(7, 0)], "encryption_key": null, "ca_certificate": "3000"});
    let register = Action {
        contract: "system".into(),
        method: "register_member".into(),
        arguments: abi.encode_arguments("register_member", &arguments).unwrap(),
    };
    let proposal = serde_json::json!({"kind": "membership", "member": null, "title": "Bakery joins",
        "deadline_ms": network.time + HOUR_MS, "actions": [{"contract": "system", "method": "register_member",
        "arguments": hex(&register.arguments)}]});
    let call = Call {
        contract: ContractName::new("system").unwrap(),
        method: "propose".into(),
        arguments: abi.encode_arguments("propose", &proposal).unwrap(),
    };
    let end = network.run(&admins(&[0, 1, 2]), vec![call]);
    let decision = abi.decode_result("propose", end.result.as_ref().unwrap()).unwrap();
    assert_eq!(decision, serde_json::json!({"proposal": 1, "state": "executed"}));
    for event in &end.events {
        assert!(abi.decode_event(&event.name, &event.data).is_ok(), "{}", event.name);
    }
    let shown = network.ledger.reader().proposal(1).unwrap().unwrap();
    assert_eq!(shown.actions, [register]);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
