//! Members, their accounts, keys, certificates and nodes.

use vouch_genesis::ChainParams;
use vouch_ledger::{
    kernel::{
        DestroyCertificate, RecordCertificate, RegisterAccount, RegisterMember, RegisterNode, RemoveAccount,
        RemoveMember, RemoveNode, ResumeMember, RevokeCertificate, RotateAccountKey, RotateEncryptionKey,
        SetAccountActive, SetAccountRoles, SetAdminPolicy, SetCaCertificate, SetNode, SetNodeKeys, SuspendMember,
    },
    registry::{AccountStanding, CertificateStanding, MemberStanding},
    storage::Batch,
};
use vouch_types::{CommitCertificate, Hash32, Power, PublicKey, Round, SecretKey, TimestampMs};

use crate::network::{Network, START_MS, action, admin, admins, key, secret, system};

/// Registers accounts of the bank, in one block.
fn register_accounts(network: &mut Network, numbers: std::ops::Range<u32>) {
    let numbers: Vec<u32> = numbers.collect();
    let transactions: Vec<_> = numbers
        .chunks(16)
        .map(|numbers| {
            let calls = numbers.iter().map(|number| {
                let mut seed = [77; 32];
                seed[..4].copy_from_slice(&number.to_le_bytes());
                let key = SecretKey::from_seed(seed).public();
                let (member, name) = ("bank".into(), format!("user.{number}"));
                system("register_account", &RegisterAccount { member, name, key, roles: Vec::new() })
            });
            network.pooled(&admins(&[0]), calls.collect())
        })
        .collect();
    network.time += 1_000;
    let (hash, block) =
        network.ledger.propose(transactions.iter(), TimestampMs(network.time), key(3, 0).node()).unwrap();
    assert_eq!(block.transactions.len(), transactions.len());
    let height = block.header.height;
    let certificate = CommitCertificate { height, round: Round(0), block: hash, signatures: Vec::new() };
    network.ledger.commit(hash, certificate, Batch::new()).unwrap();
}

#[test]
fn a_members_accounts_are_bounded() {
    let mut network = Network::new();
    // One is of the genesis document.
    register_accounts(&mut network, 0..9_999);
    let holdings = network.registry().holdings("bank");
    assert_eq!((holdings.living_accounts, holdings.accounts), (10_000, 10_000));
    let more =
        |n: usize| RegisterAccount { member: "bank".into(), name: format!("more.{n}"), key: key(6, n), roles: vec![] };
    assert_eq!(network.call(&admins(&[0]), "register_account", &more(1)).code(), "system.too_many");
    let hub = RegisterAccount { member: "hub".into(), ..more(1) };
    assert!(network.call(&admins(&[1]), "register_account", &hub).result.is_ok(), "others have room of their own");
    // A suspended one still counts, a removed one does not; a key that takes another's place needs no room.
    let account = key(2, 0).account();
    let suspend = SetAccountActive { account, active: false };
    assert!(network.call(&admins(&[0]), "set_account_active", &suspend).result.is_ok());
    assert_eq!(network.call(&admins(&[0]), "register_account", &more(2)).code(), "system.too_many");
    let rotate = RotateAccountKey { account, key: key(6, 3) };
    assert!(network.call(&admins(&[0]), "rotate_account_key", &rotate).result.is_ok());
    let remove = RemoveAccount { account: key(6, 3).account() };
    assert!(network.call(&admins(&[0]), "remove_account", &remove).result.is_ok());
    assert!(network.call(&admins(&[0]), "register_account", &more(2)).result.is_ok());
    let holdings = network.registry().holdings("bank");
    assert_eq!((holdings.living_accounts, holdings.accounts), (10_000, 10_002));
}

fn bakery() -> RegisterMember {
    RegisterMember {
        name: "bakery".into(),
        title: "Bakery 面包店".into(),
        role: "enterprise".into(),
        admin_threshold: 1,
        admin_keys: vec![key(7, 0)],
        encryption_key: Some(Hash32([9; 32])),
        ca_certificate: Some(vec![0x30, 0x00]),
    }
}

#[test]
fn a_member_joins_pauses_and_leaves() {
    let mut network = Network::new();
    let twice = RegisterMember { name: "bank".into(), ..bakery() };
    assert_eq!(network.refused("membership", "register_member", &twice), "system.member_exists");
    for (change, code) in [
        (RegisterMember { name: "Bakery".into(), ..bakery() }, "contract.bad_arguments"),
        (RegisterMember { name: "b".into(), role: "baker".into(), ..bakery() }, "contract.bad_arguments"),
        (RegisterMember { name: "b".into(), admin_keys: vec![], ..bakery() }, "contract.bad_arguments"),
        (RegisterMember { name: "b".into(), admin_threshold: 2, ..bakery() }, "contract.bad_arguments"),
        (RegisterMember { admin_keys: vec![admin(0, 0).public()], ..bakery() }, "system.key_in_use"),
        (
            RegisterMember { name: "b".into(), admin_keys: vec![PublicKey::ed25519([0; 32])], ..bakery() },
            "system.weak_key",
        ),
        (
            RegisterMember {
                name: "b".into(),
                admin_keys: vec![key(7, 1)],
                encryption_key: Some(Hash32::ZERO),
                ..bakery()
            },
            "system.weak_key",
        ),
        (
            RegisterMember { name: "b".into(), admin_keys: vec![key(7, 1)], ca_certificate: Some(vec![1]), ..bakery() },
            "contract.bad_arguments",
        ),
    ] {
        assert_eq!(network.refused("membership", "register_member", &change), code, "{change:?}");
    }
    network.decided("membership", "register_member", &bakery());
    let record = network.registry().members["bakery"].clone();
    assert!(record.is_active());
    let first = record.encryption_key().unwrap();
    assert_eq!((first.id, first.key, first.since, first.retired), (1, [9; 32], network.ledger.head().height, None));
    // Its administrator has a voice at once.
    assert_eq!(network.shown(1).tally.entitled, 5);
    let node = RegisterNode {
        member: "bakery".into(),
        name: "bakery.node".into(),
        consensus_key: key(3, 9),
        network_key: key(4, 9),
        address: "node.bakery.example:7450".into(),
        power: 1,
    };
    let four = admins(&[0, 1, 2, 3]);
    assert_eq!(network.propose(&four, "nodes", vec![action("register_node", &node)]).decision().1, "executed");
    assert_eq!(network.ledger.validators().members().len(), 5);
    let pause = SuspendMember { name: "bakery".into(), reason: "unpaid".into() };
    assert_eq!(network.propose(&four, "membership", vec![action("suspend_member", &pause)]).decision().1, "executed");
    assert_eq!(network.ledger.validators().members().len(), 4);
    let resume = ResumeMember { name: "bakery".into() };
    assert_eq!(network.propose(&four, "membership", vec![action("resume_member", &resume)]).decision().1, "executed");
    let leave = RemoveMember { name: "bakery".into() };
    let end = network.propose(&four, "membership", vec![action("remove_member", &leave)]);
    assert_eq!(end.decision().1, "executed");
    assert!(end.event("MemberRemoved") && end.event("NodeRemoved"));
    assert_eq!(network.registry().members["bakery"].standing, MemberStanding::Removed);
    assert!(!network.registry().nodes.contains_key(&key(3, 9).node()));
    assert_eq!(network.refused("membership", "resume_member", &resume), "system.member_standing");
    assert_eq!(network.refused("membership", "remove_member", &leave), "system.member_standing");
    let nobody = RemoveMember { name: "nobody".into() };
    assert_eq!(network.refused("membership", "remove_member", &nobody), "system.unknown_member");
}

#[test]
fn administrators_change_by_themselves_or_by_the_members() {
    let mut network = Network::new();
    let mut admin_keys = vec![admin(0, 0).public(), key(7, 1)];
    admin_keys.sort();
    let policy = SetAdminPolicy { member: "bank".into(), admin_threshold: 1, admin_keys: admin_keys.clone() };
    assert_eq!(network.call(&[admin(0, 0)], "set_admin_policy", &policy).code(), "system.not_authorised");
    assert_eq!(network.call(&admins(&[1]), "set_admin_policy", &policy).code(), "system.not_authorised");
    assert!(network.call(&admins(&[0]), "set_admin_policy", &policy).result.is_ok());
    assert_eq!(network.registry().members["bank"].admin_keys, admin_keys);
    // All keys are lost: the other members help, by a vote.
    let lost = SetAdminPolicy { member: "bank".into(), admin_threshold: 1, admin_keys: vec![key(7, 5)] };
    let three = admins(&[1, 2, 3]);
    assert_eq!(network.propose(&three, "membership", vec![action("set_admin_policy", &lost)]).decision().1, "executed");
    assert_eq!(network.registry().administers(&key(7, 5).account()), Some("bank"));
    assert_eq!(network.registry().administers(&admin(0, 0).public().account()), None);
    let taken = SetAdminPolicy { admin_keys: vec![admin(1, 0).public()], ..lost };
    assert_eq!(network.call(&[secret(7, 5)], "set_admin_policy", &taken).code(), "system.key_in_use");
}

#[test]
fn accounts_from_registration_to_their_end() {
    let mut network = Network::new();
    let account = |n: usize, name: &str| RegisterAccount {
        member: "bank".into(),
        name: name.into(),
        key: key(6, n),
        roles: vec!["reader".into(), "submitter".into()],
    };
    assert!(network.call(&admins(&[0]), "register_account", &account(1, "erp")).result.is_ok());
    assert_eq!(network.call(&admins(&[0]), "register_account", &account(2, "erp")).code(), "system.account_exists");
    assert_eq!(network.call(&admins(&[0]), "register_account", &account(1, "crm")).code(), "system.key_in_use");
    assert_eq!(network.call(&admins(&[1]), "register_account", &account(2, "crm")).code(), "system.not_authorised");
    for roles in [vec!["admin"], vec!["submitter", "reader"], vec!["reader", "reader"]] {
        let roles = roles.into_iter().map(str::to_owned).collect();
        let bad = RegisterAccount { roles, ..account(2, "crm") };
        assert_eq!(network.call(&admins(&[0]), "register_account", &bad).code(), "system.role");
    }
    let id = key(6, 1).account();
    let roles = |network: &Network, id| network.registry().roles_of(id).iter().map(|r| r.as_str()).collect::<Vec<_>>();
    assert_eq!(roles(&network, &id), ["reader", "submitter"]);
    let change = SetAccountRoles { account: id, roles: vec!["auditor".into()] };
    assert!(network.call(&admins(&[0]), "set_account_roles", &change).result.is_ok());
    assert_eq!(roles(&network, &id), ["auditor"]);
    let active = |active| SetAccountActive { account: id, active };
    assert!(network.call(&admins(&[0]), "set_account_active", &active(false)).result.is_ok());
    assert!(network.registry().member_of(&id).is_none() && roles(&network, &id).is_empty());
    assert!(network.call(&admins(&[0]), "set_account_active", &active(true)).result.is_ok());

    // The account itself may pass on to another key; a stranger may not.
    let rotate = |account, n| RotateAccountKey { account, key: key(6, n) };
    assert_eq!(network.call(&[secret(2, 0)], "rotate_account_key", &rotate(id, 3)).code(), "system.not_authorised");
    assert!(network.call(&[secret(6, 1)], "rotate_account_key", &rotate(id, 3)).result.is_ok());
    let next = key(6, 3).account();
    assert_eq!(network.registry().accounts.get(&id).unwrap().standing, AccountStanding::Replaced(next));
    assert!(network.registry().member_of(&id).is_none());
    assert_eq!(roles(&network, &next), ["auditor"]);
    assert_eq!(network.registry().accounts.get(&next).unwrap().name, "erp");
    assert_eq!(network.call(&admins(&[0]), "set_account_active", &active(true)).code(), "system.account_ended");
    assert!(network.call(&admins(&[0]), "rotate_account_key", &rotate(next, 4)).result.is_ok());
    let last = key(6, 4).account();
    assert!(network.call(&admins(&[0]), "remove_account", &RemoveAccount { account: last }).result.is_ok());
    assert_eq!(network.registry().accounts.get(&last).unwrap().standing, AccountStanding::Removed);
    assert_eq!(
        network.call(&admins(&[0]), "remove_account", &RemoveAccount { account: last }).code(),
        "system.account_ended"
    );
    let unknown = RemoveAccount { account: key(9, 9).account() };
    assert_eq!(network.call(&admins(&[0]), "remove_account", &unknown).code(), "system.unknown_account");
    // The name is free again, a key never.
    assert!(network.call(&admins(&[0]), "register_account", &account(5, "erp")).result.is_ok());
    assert_eq!(network.call(&admins(&[0]), "register_account", &account(1, "old")).code(), "system.key_in_use");
}

#[test]
fn encryption_keys_follow_each_other() {
    let mut network = Network::new();
    let rotate = |n: u8| RotateEncryptionKey { member: "hub".into(), key: Hash32([n; 32]) };
    assert!(network.registry().members["hub"].encryption_key().is_none());
    assert_eq!(network.call(&admins(&[0]), "rotate_encryption_key", &rotate(9)).code(), "system.not_authorised");
    assert!(network.call(&admins(&[1]), "rotate_encryption_key", &rotate(9)).result.is_ok());
    let first = network.ledger.head().height;
    assert_eq!(network.call(&admins(&[1]), "rotate_encryption_key", &rotate(9)).code(), "system.key_in_use");
    assert_eq!(network.call(&admins(&[1]), "rotate_encryption_key", &rotate(0)).code(), "system.weak_key");
    assert!(network.call(&admins(&[1]), "rotate_encryption_key", &rotate(8)).result.is_ok());
    let now = network.ledger.head().height;
    let keys = network.registry().members["hub"].encryption_keys.clone();
    assert_eq!((keys[0].id, keys[0].since, keys[0].retired), (1, first, Some(now)));
    assert_eq!((keys[1].id, keys[1].key, keys[1].since, keys[1].retired), (2, [8; 32], now, None));
}

#[test]
fn certificates_are_worth_what_the_chain_says() {
    let mut network = Network::new();
    let set = SetCaCertificate { member: "bank".into(), certificate: vec![0x30, 1, 2] };
    assert!(network.call(&admins(&[0]), "set_ca_certificate", &set).result.is_ok());
    assert_eq!(network.registry().members["bank"].ca_certificate.as_deref(), Some(&[0x30, 1, 2][..]));
    let certificate = |n: u8, renews: Option<u8>| RecordCertificate {
        member: "bank".into(),
        fingerprint: Hash32([n; 32]),
        serial: vec![n],
        account: None,
        node: None,
        system: Some("erp".into()),
        not_after_ms: START_MS + 1_000_000,
        renews: renews.map(|n| Hash32([n; 32])),
    };
    // An operator of the member keeps certificates, as its administrators do.
    assert!(network.call(&[secret(2, 0)], "record_certificate", &certificate(1, None)).result.is_ok());
    assert_eq!(
        network.call(&[secret(2, 1)], "record_certificate", &certificate(2, None)).code(),
        "system.not_authorised"
    );
    assert_eq!(
        network.call(&[admin(0, 0)], "record_certificate", &certificate(2, None)).code(),
        "system.not_authorised"
    );
    assert_eq!(
        network.call(&admins(&[0]), "record_certificate", &certificate(1, None)).code(),
        "system.certificate_exists"
    );
    assert!(network.call(&admins(&[0]), "record_certificate", &certificate(2, Some(1))).result.is_ok());
    let standing = |network: &Network, n: u8| network.registry().certificates.get(&Hash32([n; 32])).unwrap().standing;
    assert_eq!(
        (standing(&network, 1), standing(&network, 2)),
        (CertificateStanding::Renewed, CertificateStanding::Valid)
    );
    let bad = [
        (certificate(3, Some(1)), "system.certificate_standing"),
        (certificate(3, Some(9)), "system.unknown_certificate"),
        (RecordCertificate { system: Some("crm".into()), ..certificate(3, Some(2)) }, "system.certificate_subject"),
        (RecordCertificate { not_after_ms: START_MS, ..certificate(3, None) }, "system.certificate_expired"),
        (RecordCertificate { serial: vec![], ..certificate(3, None) }, "contract.bad_arguments"),
        (RecordCertificate { serial: vec![1; 21], ..certificate(3, None) }, "contract.bad_arguments"),
        (RecordCertificate { serial: vec![2], ..certificate(3, None) }, "system.certificate_exists"),
        (RecordCertificate { system: None, ..certificate(3, None) }, "contract.bad_arguments"),
        (RecordCertificate { node: Some("bank.node".into()), ..certificate(3, None) }, "contract.bad_arguments"),
        (
            RecordCertificate { system: None, node: Some("hub.node".into()), ..certificate(3, None) },
            "system.unknown_node",
        ),
        (
            RecordCertificate { system: None, account: Some(key(2, 1).account()), ..certificate(3, None) },
            "system.unknown_account",
        ),
    ];
    for (request, code) in bad {
        assert_eq!(network.call(&admins(&[0]), "record_certificate", &request).code(), code, "{request:?}");
    }
    let node = RecordCertificate { system: None, node: Some("bank.node".into()), ..certificate(4, None) };
    assert!(network.call(&admins(&[0]), "record_certificate", &node).result.is_ok());
    let revoke = |n: u8| RevokeCertificate { fingerprint: Hash32([n; 32]), reason: "key lost".into() };
    assert_eq!(network.call(&[secret(2, 1)], "revoke_certificate", &revoke(2)).code(), "system.not_authorised");
    assert!(network.call(&[secret(2, 0)], "revoke_certificate", &revoke(2)).result.is_ok());
    assert_eq!(network.registry().certificates.get(&Hash32([2; 32])).unwrap().reason, "key lost");
    assert_eq!(network.call(&admins(&[0]), "revoke_certificate", &revoke(2)).code(), "system.certificate_standing");
    let destroy = |n: u8| DestroyCertificate { fingerprint: Hash32([n; 32]) };
    assert!(network.call(&admins(&[0]), "destroy_certificate", &destroy(2)).result.is_ok());
    assert_eq!(standing(&network, 2), CertificateStanding::Destroyed);
    assert_eq!(network.call(&admins(&[0]), "destroy_certificate", &destroy(2)).code(), "system.certificate_standing");
}

#[test]
fn nodes_join_change_and_leave() {
    let mut network = Network::with(ChainParams::default(), Vec::new());
    let node = RegisterNode {
        member: "bank".into(),
        name: "bank.second".into(),
        consensus_key: key(3, 9),
        network_key: key(4, 9),
        address: "10.0.0.1:7450".into(),
        power: 0,
    };
    network.decided("nodes", "register_node", &node);
    assert_eq!(network.ledger.validators().members().len(), 4, "without power it follows");
    let id = key(3, 9).node();
    let set = |node, address: &str, power| SetNode { node, address: address.into(), power };
    network.decided("nodes", "set_node", &set(id, "node.example:7451", 2));
    assert_eq!(network.ledger.validators().total_power(), Power(6));
    for (change, code) in [
        (set(id, "no address", 2), "system.address"),
        (set(key(9, 9).node(), "node.example:1", 2), "system.unknown_node"),
        (set(id, "node.example:1", 1 << 60), "system.validators"),
    ] {
        assert_eq!(network.refused("nodes", "set_node", &change), code);
    }
    for (change, code) in [
        (RegisterNode { name: "x".into(), ..copy(&node) }, "system.key_in_use"),
        (RegisterNode { consensus_key: key(3, 8), network_key: key(4, 8), ..copy(&node) }, "system.node_exists"),
        (
            RegisterNode { name: "x".into(), consensus_key: key(3, 8), network_key: key(3, 8), ..copy(&node) },
            "system.key_in_use",
        ),
        (RegisterNode { member: "nobody".into(), ..copy(&node) }, "system.unknown_member"),
    ] {
        assert_eq!(network.refused("nodes", "register_node", &change), code);
    }
    // A network key changes under the same id, a consensus key brings another.
    let network_key = SetNodeKeys { node: id, consensus_key: None, network_key: Some(key(4, 8)) };
    network.decided("nodes", "set_node_keys", &network_key);
    assert_eq!(network.registry().nodes[&id].network_key, key(4, 8));
    network.decided(
        "nodes",
        "set_node_keys",
        &SetNodeKeys { node: id, consensus_key: Some(key(3, 8)), network_key: None },
    );
    assert!(!network.registry().nodes.contains_key(&id));
    let id = key(3, 8).node();
    assert_eq!(network.registry().nodes[&id].name, "bank.second");
    assert!(network.ledger.validators().members().iter().any(|v| v.key == key(3, 8) && v.power == Power(2)));
    assert!(!network.ledger.validators().members().iter().any(|v| v.key == key(3, 9)));
    for (change, code) in [
        (SetNodeKeys { node: id, consensus_key: None, network_key: None }, "contract.bad_arguments"),
        (SetNodeKeys { node: id, consensus_key: Some(key(3, 0)), network_key: None }, "system.key_in_use"),
        (SetNodeKeys { node: id, consensus_key: Some(key(3, 7)), network_key: Some(key(3, 7)) }, "system.key_in_use"),
    ] {
        assert_eq!(network.refused("nodes", "set_node_keys", &change), code);
    }
    network.decided("nodes", "remove_node", &RemoveNode { node: id });
    assert_eq!(network.ledger.validators().members().len(), 4);
    let all = (0..4).map(|n| action("remove_node", &RemoveNode { node: key(3, n).node() })).collect();
    assert_eq!(network.decide("nodes", all).decision().1, "failed", "somebody must be left to vote");
}

fn copy(node: &RegisterNode) -> RegisterNode {
    RegisterNode { member: node.member.clone(), name: node.name.clone(), address: node.address.clone(), ..*node }
}

#[test]
fn a_key_of_no_account_speaks_only_when_an_account_carries_it() {
    let mut network = Network::new();
    let account = || admin(0, 0);
    let (person, other) = (|| secret(8, 1), || secret(8, 2));
    assert_eq!(network.fits(&[account()]), Ok(()));
    assert_eq!(network.fits(&[person()]), Err("tx.unknown_account"));
    assert_eq!(network.fits(&[person(), account()]), Ok(()));
    assert_eq!(network.fits(&[account(), person()]), Err("tx.unknown_account"), "only the caller may be unknown");
    assert_eq!(network.fits(&[person(), other(), account()]), Err("tx.unknown_account"));
    assert_eq!(network.fits(&[person(), other()]), Err("tx.unknown_account"));
    // Carrying lends no rights.
    let remove = RemoveMember { name: "bank".into() };
    let ended = network.call(&[person(), account()], "remove_member", &remove);
    assert!(ended.result.is_err(), "{:?}", ended.result);
}
