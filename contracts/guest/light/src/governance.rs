//! Proposals out of the state: what they do in the kernel's own words, and who was for it.

use serde_json::{Value, json};
use vouch_types::{
    Abi,
    api::HexBytes,
    decode,
    governance::{
        ACTIONS_BYTES_MAX, Action, KERNEL, KERNEL_ABI_JSON, Matter, PROPOSAL_BYTES_MAX, Proposal, ProposalState, key,
    },
};

/// The record under a key of the kernel; `None` for one of another kind.
pub fn of(key: &[u8], value: &[u8]) -> Option<Value> {
    if key.starts_with(key::ACTIONS) {
        actions(value)
    } else if key.starts_with(key::PROPOSAL) {
        proposal(value)
    } else {
        None
    }
}

/// As the API shows it, without what follows from the members of the moment.
fn proposal(value: &[u8]) -> Option<Value> {
    let proposal: Proposal = decode("proposal", value, PROPOSAL_BYTES_MAX).ok()?;
    let (closed, failure) = match &proposal.state {
        ProposalState::Open | ProposalState::Expired => (None, None),
        ProposalState::Executed(at) | ProposalState::Rejected(at) | ProposalState::Withdrawn(at) => (Some(at), None),
        ProposalState::Failed { at, action, code, message } => {
            (Some(at), Some(json!({ "action": action, "code": code, "message": message })))
        }
    };
    let member = match &proposal.matter {
        Matter::Member(name) => Some(name),
        Matter::Consortium(_) => None,
    };
    let ballots = proposal.ballots.iter().map(|ballot| {
        json!({ "account": ballot.account, "member": ballot.member, "approve": ballot.approve, "height": ballot.height })
    });
    Some(json!({
        "id": proposal.id, "kind": proposal.matter.kind(), "member": member, "title": proposal.title,
        "state": proposal.state.as_str(), "closed": closed, "failure": failure, "content": proposal.content,
        "proposer": proposal.proposer, "proposer_member": proposal.member, "created": proposal.created,
        "created_at": proposal.created_at, "deadline": proposal.deadline, "ballots": ballots.collect::<Vec<_>>(),
    }))
}

/// Those of the kernel with title and arguments; of other contracts nothing is known here.
fn actions(value: &[u8]) -> Option<Value> {
    let actions: Vec<Action> = decode("actions", value, 2 * ACTIONS_BYTES_MAX).ok()?;
    let abi = Abi::from_json(KERNEL_ABI_JSON).ok()?;
    Some(actions.into_iter().map(|action| shown(&abi, action)).collect())
}

fn shown(abi: &Abi, action: Action) -> Value {
    let Action { contract, method, arguments } = action;
    let known = abi.methods.iter().find(|known| contract == KERNEL && known.name == method);
    let value = known.and_then(|_| abi.decode_arguments(&method, &arguments).ok());
    let fields = known.map(|known| {
        known.arguments.iter().map(|field| json!({ "name": field.name, "title": field.title })).collect::<Vec<_>>()
    });
    json!({
        "contract": contract, "method": method, "arguments": HexBytes(arguments), "value": value,
        "title": known.map(|known| &known.title), "fields": fields,
    })
}

#[cfg(test)]
mod tests {
    use vouch_types::{
        AccountId, Hash32, Height, TimestampMs, encode,
        governance::{Ballot, DecisionKind},
    };

    use super::*;

    fn made(state: ProposalState) -> Proposal {
        let ballot = Ballot { account: AccountId([2; 32]), member: "works".into(), approve: true, height: Height(5) };
        Proposal {
            id: 7,
            matter: Matter::Consortium(DecisionKind::Emergency),
            title: "t".into(),
            content: Hash32([9; 32]),
            proposer: AccountId([2; 32]),
            member: "works".into(),
            created: Height(4),
            created_at: TimestampMs(40),
            deadline: TimestampMs(90),
            ballots: vec![ballot],
            state,
        }
    }

    #[test]
    fn a_proposal_is_read_as_it_stands() {
        let key = [key::PROPOSAL, &7u64.to_be_bytes()].concat();
        let found = of(&key, &encode(&made(ProposalState::Executed(Height(6))))).unwrap();
        assert_eq!((found["kind"].as_str(), found["state"].as_str()), (Some("emergency"), Some("executed")));
        assert_eq!((found["closed"].as_u64(), found["ballots"][0]["height"].as_u64()), (Some(6), Some(5)));
        assert_eq!(found["member"], Value::Null);
        let failed = ProposalState::Failed { at: Height(6), action: 1, code: "c".into(), message: "m".into() };
        let own = Proposal { matter: Matter::Member("works".into()), ..made(failed) };
        let found = of(&key, &encode(&own)).unwrap();
        assert_eq!((found["kind"].as_str(), found["member"].as_str()), (Some("member"), Some("works")));
        assert_eq!(found["failure"]["code"], "c");
        assert_eq!((of(&key, b"x"), of(b"params", &encode(&own))), (None, None));
    }

    #[test]
    fn what_the_kernel_does_is_said_and_what_others_do_is_not() {
        let abi = Abi::from_json(KERNEL_ABI_JSON).unwrap();
        let value = json!({ "changes": [{ "name": "idle_interval_ms", "value": "5000" }] });
        let arguments = abi.encode_arguments("set_parameters", &value).unwrap();
        let action = |contract: &str, method: &str, arguments: &[u8]| Action {
            contract: contract.into(),
            method: method.into(),
            arguments: arguments.into(),
        };
        let actions = vec![
            action(KERNEL, "set_parameters", &arguments),
            action("documents", "set_parameters", &arguments),
            action(KERNEL, "set_parameters", b"x"),
        ];
        let found = of(&[key::ACTIONS, &7u64.to_be_bytes()].concat(), &encode(&actions)).unwrap();
        assert_eq!((&found[0]["value"], found[0]["fields"][0]["name"].as_str()), (&value, Some("changes")));
        assert!(found[0]["title"]["zh"].as_str().is_some_and(|title| !title.is_empty()));
        assert_eq!((&found[1]["value"], &found[1]["title"]), (&Value::Null, &Value::Null));
        assert_eq!((&found[2]["value"], found[2]["arguments"].as_str()), (&Value::Null, Some("78")));
    }
}
