//! Proposals: who may make them, how ballots are counted, when they end, what execution leaves behind.

use vouch_genesis::ChainParams;
use vouch_ledger::{
    Table,
    kernel::{
        Parameter, ProposalState, Propose, RegisterAccount, SetAdminPolicy, SetNode, SetParameters, SuspendMember,
        Tally, Vote, Withdraw,
    },
    keys,
};
use vouch_types::{Hash32, Power, TimestampMs, governance::ProposalContent};

use crate::network::{HOUR_MS, MEMBERS, Network, START_MS, action, admin, admins, key, secret, system};

fn pace(ms: u32) -> SetParameters {
    SetParameters { changes: vec![Parameter { name: "block_interval_ms".into(), value: ms.to_string() }] }
}

fn pace_of(network: &Network) -> u32 {
    network.registry().params.block_interval_ms
}

#[test]
fn administrators_decide_from_different_machines() {
    let mut network = Network::new();
    let end = network.propose(&[admin(0, 0)], "parameters", vec![action("set_parameters", &pace(500))]);
    assert_eq!(end.decision(), (1, "open".into()));
    assert!(end.event("ProposalMade") && end.event("BallotCast") && !end.event("ProposalClosed"));
    // One administrator of each member is nobody's voice, whose policy is two of three.
    for member in 1..4 {
        assert_eq!(network.vote(&[admin(member, 2)], 1, true).decision().1, "open");
    }
    let tally = network.shown(1).tally;
    assert_eq!(tally, Tally { approving: 0, rejecting: 0, entitled: 4, needed: 3 });
    assert_eq!(network.vote(&[admin(0, 1)], 1, true).decision().1, "open");
    assert_eq!(network.vote(&[admin(1, 0)], 1, true).decision().1, "open");
    assert_eq!(pace_of(&network), 300);
    // The same administrator again is not a second voice.
    assert_eq!(network.vote(&[admin(2, 2)], 1, true).decision().1, "open");
    let end = network.vote(&[admin(2, 0)], 1, true);
    assert_eq!(end.decision(), (1, "executed".into()));
    assert!(end.event("ParametersChanged") && end.event("ProposalClosed"));
    assert_eq!(pace_of(&network), 500);
    let executed = network.ledger.head().height;
    assert_eq!(network.vote(&[admin(3, 0)], 1, true).code(), "system.proposal_closed");
    let shown = network.shown(1);
    assert_eq!(shown.proposal.ballots.len(), 7);
    assert!(matches!(shown.state, ProposalState::Executed(height) if height == executed));
}

#[test]
fn the_boundary_is_that_of_the_threshold() {
    // Two of four are more than half? No: emergency takes three, and so does more than two thirds.
    let mut network = Network::new();
    let suspend = SuspendMember { name: "watch".into(), reason: "test".into() };
    let end = network.propose(&admins(&[0, 1]), "emergency", vec![action("suspend_member", &suspend)]);
    assert_eq!(end.decision().1, "open");
    network.vote(&admins(&[2]), 1, true);
    assert!(!network.registry().members["watch"].is_active());
    // Of three active members more than half are two, but more than two thirds are all three.
    let end = network.propose(&admins(&[0, 1]), "parameters", vec![action("set_parameters", &pace(400))]);
    assert_eq!(end.decision().1, "open");
    assert_eq!(network.shown(2).tally.needed, 3);
    assert_eq!(network.vote(&admins(&[2]), 2, true).decision().1, "executed");
    let threshold = |value: &str| SetParameters {
        changes: vec![Parameter { name: "thresholds.parameters".into(), value: value.into() }],
    };
    let end = network.propose(&admins(&[0, 1, 2]), "parameters", vec![action("set_parameters", &threshold(">= 2/3"))]);
    assert_eq!(end.decision().1, "executed");
    let end = network.propose(&admins(&[0, 1]), "parameters", vec![action("set_parameters", &pace(450))]);
    assert_eq!(end.decision().1, "executed", "two of three are at least two thirds");
}

#[test]
fn what_can_no_longer_pass_is_rejected_at_once() {
    let mut network = Network::new();
    network.propose(&[admin(0, 0)], "parameters", vec![action("set_parameters", &pace(500))]);
    assert_eq!(network.vote(&admins(&[1]), 1, false).decision().1, "open");
    assert_eq!(network.vote(&[admin(2, 0)], 1, false).decision().1, "open");
    // An administrator may think again as long as the proposal is open.
    assert_eq!(network.vote(&[admin(2, 0)], 1, true).decision().1, "open");
    assert_eq!(network.vote(&[admin(2, 1)], 1, false).decision().1, "open");
    let end = network.vote(&[admin(2, 2)], 1, false);
    assert_eq!(end.decision(), (1, "rejected".into()));
    assert_eq!(network.vote(&admins(&[3]), 1, true).code(), "system.proposal_closed");
    assert_eq!(pace_of(&network), 300);
}

#[test]
fn after_the_deadline_no_ballot_counts() {
    let mut network = Network::new();
    network.propose(&admins(&[0, 1]), "parameters", vec![action("set_parameters", &pace(500))]);
    let deadline = network.shown(1).proposal.deadline;
    // A ballot at the deadline itself counts.
    network.time = deadline.0 - 1_000;
    assert_eq!(network.vote(&[admin(2, 0)], 1, true).decision().1, "open");
    assert_eq!(network.ledger.head().time, deadline);
    assert_eq!(network.vote(&[admin(2, 1)], 1, true).code(), "system.proposal_closed");
    assert_eq!(network.shown(1).state, ProposalState::Expired);
    assert_eq!(pace_of(&network), 300);
    for (deadline_ms, fits) in [
        (network.time, false),
        (network.time + 1_000, false),
        (network.time + 3_001 + 720 * HOUR_MS, false),
        (network.time + 4_000 + 720 * HOUR_MS, true),
    ] {
        let request = Network::proposal("parameters", deadline_ms, vec![action("set_parameters", &pace(500))]);
        let end = network.call(&[admin(0, 0)], "propose", &request);
        assert_eq!(end.result.is_ok(), fits, "{deadline_ms} at {}", network.time);
        if !fits {
            assert_eq!(end.code(), "system.deadline");
        }
    }
}

#[test]
fn all_actions_or_none() {
    let mut network = Network::new();
    let node = key(3, 3).node();
    let good = SetNode { node, address: "node.example:7000".into(), power: 5 };
    let bad = SetNode { node: key(9, 9).node(), address: "node.example:7000".into(), power: 5 };
    let end =
        network.decide("nodes", vec![action("set_node", &good), action("set_node", &bad), action("set_node", &good)]);
    assert_eq!(end.decision(), (1, "failed".into()));
    assert!(end.event("ProposalFailed") && !end.event("NodeChanged"), "what was undone did not happen");
    let state = network.shown(1).state;
    assert!(
        matches!(&state, ProposalState::Failed { action: 1, code, message, .. }
            if code == "system.unknown_node" && message.contains("there is no node")),
        "{state:?}"
    );
    assert_eq!(network.registry().nodes[&node].power, Power(1));
    let end = network.decide("nodes", vec![action("set_node", &good)]);
    assert_eq!(end.decision(), (2, "executed".into()));
    assert_eq!(network.registry().nodes[&node].power, Power(5));
    assert_eq!(network.ledger.validators().total_power(), Power(8), "it votes with it from the next height");
}

#[test]
fn a_ballot_names_what_was_read() {
    let mut network = Network::new();
    network.propose(&[admin(0, 0)], "parameters", vec![action("set_parameters", &pace(500))]);
    let shown = network.shown(1);
    let content = ProposalContent {
        kind: "parameters".into(),
        member: None,
        title: "Do it".into(),
        deadline: shown.proposal.deadline,
        actions: shown.actions.clone(),
    };
    assert_eq!(content.hash(), shown.proposal.content);
    let other = ProposalContent { title: "Do it!".into(), ..content };
    let vote = Vote { proposal: 1, content: other.hash(), approve: true };
    assert_eq!(network.call(&[admin(1, 0)], "vote", &vote).code(), "system.proposal_content");
    let vote = Vote { proposal: 2, content: Hash32::ZERO, approve: true };
    assert_eq!(network.call(&[admin(1, 0)], "vote", &vote).code(), "system.unknown_proposal");
    assert_eq!(network.shown(1).proposal.ballots.len(), 1);
}

#[test]
fn only_administrators_with_a_voice() {
    let mut network = Network::new();
    let actions = || vec![action("set_parameters", &pace(500))];
    assert_eq!(network.propose(&[secret(2, 0)], "parameters", actions()).code(), "system.not_authorised");
    // Somebody else's signature in front neither helps nor harms.
    assert_eq!(network.propose(&[secret(2, 1), admin(0, 0)], "parameters", actions()).decision().1, "open");
    assert_eq!(network.shown(1).proposal.proposer, admin(0, 0).public().account());
    assert_eq!(network.vote(&[secret(2, 0)], 1, true).code(), "system.not_authorised");
    // Who is no administrator any more has no voice, whatever was cast before.
    network.vote(&[admin(1, 0), admin(1, 1), admin(2, 0), admin(2, 1)], 1, true);
    assert_eq!(network.shown(1).tally.approving, 2);
    let mut admin_keys = vec![key(7, 1), key(7, 2)];
    admin_keys.sort();
    let policy = SetAdminPolicy { member: "school".into(), admin_threshold: 2, admin_keys };
    assert!(network.call(&admins(&[2]), "set_admin_policy", &policy).result.is_ok());
    assert_eq!(network.shown(1).tally.approving, 1);
    assert_eq!(network.vote(&[secret(7, 1), secret(7, 2), admin(0, 1)], 1, true).decision().1, "executed");
}

#[test]
fn a_member_that_changes_its_administrators_leaves_no_ballots_behind() {
    let mut network = Network::new();
    network.propose(&admins(&[1, 2]), "parameters", vec![action("set_parameters", &pace(500))]);
    let before = network.shown(1);
    let mut signers = admins(&[0]);
    for turn in 0..24 {
        let mut admin_keys = vec![key(7, 2 * turn), key(7, 2 * turn + 1)];
        admin_keys.sort();
        let policy = SetAdminPolicy { member: "bank".into(), admin_threshold: 2, admin_keys };
        assert!(network.call(&signers, "set_admin_policy", &policy).result.is_ok());
        signers = vec![secret(7, 2 * turn), secret(7, 2 * turn + 1)];
        assert_eq!(network.vote(&signers, 1, false).decision().1, "open");
    }
    let shown = network.shown(1);
    assert_eq!(shown.proposal.ballots.len(), before.proposal.ballots.len() + 2);
    let Tally { approving, rejecting, .. } = shown.tally;
    assert_eq!((approving, rejecting), (2, 1));
}

#[test]
fn proposals_that_are_over_leave_no_rows_to_be_read_by_later_ones() {
    let mut network = Network::new();
    for id in 1..=40 {
        let end = network.propose(&[admin(0, 0)], "parameters", vec![action("set_parameters", &pace(500))]);
        assert_eq!(end.decision().0, id);
        assert!(network.call(&[admin(0, 0)], "withdraw", &Withdraw { proposal: id }).result.is_ok());
    }
    let (from, to) = keys::system_range("proposal-open");
    let rows = network.ledger.storage().scan(Table::State, &from, Some(&to), 100).unwrap();
    assert_eq!(rows.len(), 1);
}

#[test]
fn kinds_carry_their_own_affairs_only() {
    let mut network = Network::new();
    let set = SetNode { node: key(3, 3).node(), address: "n:1".into(), power: 1 };
    for kind in ["membership", "contracts", "parameters", "emergency", "documents"] {
        assert_eq!(network.decide(kind, vec![action("set_node", &set)]).code(), "system.kind", "{kind}");
    }
    for (kind, member) in [("member", None), ("nodes", Some("bank".to_owned())), ("vote", None), ("Nodes", None)] {
        let request = Propose {
            kind: kind.into(),
            member,
            title: "t".into(),
            deadline_ms: network.time + HOUR_MS,
            actions: vec![action("set_node", &set)],
        };
        assert_eq!(network.call(&admins(&[0]), "propose", &request).code(), "system.kind", "{kind}");
    }
    for method in ["propose", "vote", "withdraw", "upload_package", "nothing"] {
        assert_eq!(network.decide("contracts", vec![action(method, &1u8)]).code(), "system.kind", "{method}");
    }
    // Nobody does by signature alone what the members decide, however many sign.
    assert_eq!(network.call(&admins(&[0, 1, 2, 3]), "set_node", &set).code(), "system.not_authorised");
    assert_eq!(network.call(&admins(&[0, 1, 2, 3]), "set_parameters", &pace(1)).code(), "system.not_authorised");
    for (title, actions, code) in [
        ("", vec![action("set_node", &set)], "contract.bad_arguments"),
        ("a\nb", vec![action("set_node", &set)], "contract.bad_arguments"),
        ("t", vec![], "contract.bad_arguments"),
        ("t", vec![action("set_node", &set); 33], "contract.bad_arguments"),
        (
            "t",
            vec![action("set_node", &vec![0u8; 65_000]), action("set_node", &vec![0u8; 1_000])],
            "contract.bad_arguments",
        ),
    ] {
        let deadline_ms = network.time + HOUR_MS;
        let request = Propose { kind: "nodes".into(), member: None, title: title.into(), deadline_ms, actions };
        assert_eq!(network.call(&admins(&[0]), "propose", &request).code(), code);
    }
}

#[test]
fn open_proposals_of_a_member_are_bounded() {
    let params = ChainParams { proposals_per_member_max: 2, ..ChainParams::default() };
    let mut network = Network::with(params, Vec::new());
    let actions = || vec![action("set_parameters", &pace(500))];
    for id in 1..=2 {
        assert_eq!(network.propose(&[admin(0, 0)], "parameters", actions()).decision(), (id, "open".into()));
    }
    assert_eq!(network.propose(&[admin(0, 1)], "parameters", actions()).code(), "system.too_many");
    assert_eq!(network.propose(&[admin(1, 0)], "parameters", actions()).decision().0, 3, "others have room");
    // One that is withdrawn, executed or expired makes room.
    assert_eq!(network.call(&[admin(0, 1)], "withdraw", &Withdraw { proposal: 1 }).code(), "system.not_authorised");
    let end = network.call(&[admin(0, 0)], "withdraw", &Withdraw { proposal: 1 });
    assert!(end.result.is_ok() && end.event("ProposalClosed"));
    assert_eq!(network.call(&[admin(0, 0)], "withdraw", &Withdraw { proposal: 1 }).code(), "system.proposal_closed");
    assert_eq!(network.propose(&[admin(0, 1)], "parameters", actions()).decision().0, 4);
    // Any two administrators of the member may take back what a third of them proposed.
    assert!(network.call(&admins(&[0]), "withdraw", &Withdraw { proposal: 4 }).result.is_ok());
    assert_eq!(network.vote(&admins(&[0, 1, 2]), 2, true).decision().1, "executed");
    for _ in 0..2 {
        assert!(network.propose(&[admin(0, 0)], "parameters", actions()).result.is_ok());
    }
    assert_eq!(network.propose(&[admin(0, 0)], "parameters", actions()).code(), "system.too_many");
    network.time += HOUR_MS;
    assert!(network.propose(&[admin(0, 0)], "parameters", actions()).result.is_ok());
    assert_eq!(network.shown(5).state, ProposalState::Expired);
    assert_eq!(network.shown(5).proposal.state, ProposalState::Expired, "closed on the way");
    let listed = network.ledger.reader().proposals(None, 3).unwrap();
    assert_eq!(listed.iter().map(|s| s.proposal.id).collect::<Vec<_>>(), [7, 6, 5]);
    let listed = network.ledger.reader().proposals(Some(3), 100).unwrap();
    assert_eq!(listed.iter().map(|s| s.proposal.id).collect::<Vec<_>>(), [2, 1]);
    assert!(network.ledger.reader().proposal(8).unwrap().is_none());
    assert!(network.ledger.reader().proposal(0).unwrap().is_none());
}

#[test]
fn a_members_own_affairs_are_decided_among_its_administrators() {
    let mut network = Network::new();
    let account =
        RegisterAccount { member: "bank".into(), name: "erp".into(), key: key(6, 1), roles: vec!["submitter".into()] };
    let request = |network: &Network, member: &str| Propose {
        kind: "member".into(),
        member: Some(member.into()),
        title: "An account".into(),
        deadline_ms: network.time + HOUR_MS,
        actions: vec![action("register_account", &account)],
    };
    let of_other = request(&network, "hub");
    assert_eq!(network.call(&[admin(0, 0)], "propose", &of_other).code(), "system.not_authorised");
    let unknown = request(&network, "nobody");
    assert_eq!(network.call(&[admin(0, 0)], "propose", &unknown).code(), "system.unknown_member");
    let own = request(&network, "bank");
    assert_eq!(network.call(&[admin(0, 0)], "propose", &own).decision(), (1, "open".into()));
    assert_eq!(network.vote(&admins(&[1, 2, 3]), 1, true).code(), "system.not_authorised");
    assert_eq!(network.vote(&[admin(0, 2)], 1, true).decision().1, "executed");
    assert!(network.registry().accounts.contains_key(&key(6, 1).account()));
    // A proposal of one member about another's affairs is made in vain.
    let foreign = request(&network, "hub");
    assert_eq!(network.call(&admins(&[1]), "propose", &foreign).decision().1, "failed");
    // Two against one of three: two can no longer be for it.
    let again = Propose {
        actions: vec![action(
            "register_account",
            &RegisterAccount { key: key(6, 2), member: "bank".into(), name: "b".into(), roles: vec![] },
        )],
        ..request(&network, "bank")
    };
    assert_eq!(network.call(&[admin(0, 0)], "propose", &again).decision().1, "open");
    assert_eq!(network.vote(&[admin(0, 1)], 3, false).decision().1, "open");
    assert_eq!(network.vote(&[admin(0, 2)], 3, false).decision().1, "rejected");
}

#[test]
fn a_suspended_member_has_no_voice_and_does_not_count() {
    let mut network = Network::new();
    let suspend = SuspendMember { name: "watch".into(), reason: "audit".into() };
    network.decided("emergency", "suspend_member", &suspend);
    assert_eq!(network.ledger.validators().members().len(), 3);
    network.propose(&[admin(0, 0), admin(0, 1)], "parameters", vec![action("set_parameters", &pace(500))]);
    assert_eq!(network.shown(2).tally, Tally { approving: 1, rejecting: 0, entitled: 3, needed: 3 });
    assert_eq!(network.refused("emergency", "suspend_member", &suspend), "system.member_standing");
    for (member, name) in MEMBERS.into_iter().enumerate().take(3) {
        let suspend = SuspendMember { name: name.into(), reason: "r".into() };
        let (_, state) =
            network.propose(&admins(&[0, 1, 2]), "emergency", vec![action("suspend_member", &suspend)]).decision();
        assert_eq!(state, "executed");
        let resume = vouch_ledger::kernel::ResumeMember { name: name.into() };
        let others: Vec<usize> = (0..3).filter(|m| *m != member).collect();
        assert_eq!(
            network.propose(&admins(&others), "membership", vec![action("resume_member", &resume)]).decision().1,
            "executed"
        );
    }
    let all = MEMBERS[..3]
        .iter()
        .map(|name| action("suspend_member", &SuspendMember { name: (*name).into(), reason: "r".into() }));
    let end = network.propose(&admins(&[0, 1, 2]), "emergency", all.collect());
    assert_eq!(end.decision().1, "failed", "nobody would be left to vote");
}

#[test]
fn what_a_ballots_transaction_did_before_does_not_fail_the_actions() {
    let code = wat::parse_str(BURNER).unwrap();
    let contract = vouch_genesis::GenesisContract { name: vouch_types::ContractName::new("burner").unwrap(), code };
    let params = ChainParams { fuel_per_transaction_max: 1_000_000, ..ChainParams::default() };
    let mut network = Network::with(params, vec![contract]);
    let burn = |method: &str| vouch_types::Call {
        contract: vouch_types::ContractName::new("burner").unwrap(),
        method: method.into(),
        arguments: Vec::new(),
    };
    let emit = vouch_ledger::kernel::Action { contract: "burner".into(), method: "emit".into(), arguments: Vec::new() };
    network.propose(&admins(&[0, 1]), "documents", vec![emit; 2]);
    let vote = |network: &Network, approve| {
        let content = network.shown(1).proposal.content;
        system("vote", &Vote { proposal: 1, content, approve })
    };
    // Nearly all fuel is gone: the ballot fails, the proposal stays open.
    let ballot = vote(&network, true);
    let end = network.run(&admins(&[2]), vec![burn("burn"), ballot.clone()]);
    assert_eq!(end.code(), "contract.out_of_fuel");
    assert_eq!(network.shown(1).state, ProposalState::Open);
    assert_eq!(network.shown(1).tally.approving, 2);
    // All events of the transaction are used up: the actions have room of their own.
    let end = network.run(&admins(&[2]), vec![burn("emit"), burn("emit"), ballot]);
    assert_eq!(end.decision().1, "executed");
    assert_eq!(end.events.iter().filter(|e| e.name == "Made").count(), 128);
    assert!(network.time > START_MS && TimestampMs(network.time) == network.ledger.head().time);
}

/// `burn` uses about 900,000 units of fuel, `emit` emits 32 events.
const BURNER: &str = r#"(module
    (import "vouch" "input" (func $input (param i32)))
    (import "vouch" "event" (func $event (param i32 i32 i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "Made")
    (func (export "vouch_call") (param $len i32)
        (local $n i32)
        (call $input (i32.const 1000))
        (if (i32.eq (i32.load8_u (i32.sub (i32.add (i32.const 1000) (local.get $len)) (i32.const 9))) (i32.const 116))
            (then
                (local.set $n (i32.const 32))
                (loop $more
                    (call $event (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 1))
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br_if $more (local.get $n))))
            (else
                (local.set $n (i32.const 150000))
                (loop $more
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br_if $more (local.get $n))))))
    (@custom "vouch-abi" "{\"abi\":1,\"name\":\"burner\",\"version\":\"1\",\"methods\":[{\"name\":\"burn\",\"kind\":\"call\"},{\"name\":\"emit\",\"kind\":\"call\"}]}"))"#;
