//! Ballots: an administrator's signature under exactly what the page shows.
//!
//! The page gives what it shows, not a hash: the hash that a ballot names is made here, from kind, title, deadline and
//! actions. A page that shows something else than it gives can deceive; a node cannot, since the chain takes no ballot with
//! another hash.

use serde::Deserialize;
use serde_json::{Value, json};
use vouch_types::{
    Abi, Call, ContractName, TimestampMs,
    api::HexBytes,
    encode,
    governance::{Action, KERNEL, KERNEL_ABI_JSON, ProposalContent},
};

use crate::{
    Fault, read,
    transaction::{Place, signed},
    written,
};

#[derive(Deserialize)]
struct Wanted {
    #[serde(flatten)]
    place: Place,
    decision: Decision,
}

/// What is signed.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    /// A new proposal; whoever makes it votes for it.
    Propose { content: Content },
    /// A ballot.
    Vote { proposal: u64, content: Content, approve: bool },
    /// A proposal is taken back.
    Withdraw { proposal: u64 },
}

#[derive(Deserialize)]
struct Content {
    kind: String,
    member: Option<String>,
    title: String,
    deadline: TimestampMs,
    actions: Vec<Shown>,
}

/// An action with its arguments, encoded as hexadecimal text, or for the kernel by name.
#[derive(Deserialize)]
struct Shown {
    contract: ContractName,
    method: String,
    arguments: Value,
}

fn bad(error: impl core::fmt::Display) -> Fault {
    Fault::new("client.bad_input", error)
}

fn action(abi: &Abi, shown: Shown) -> Result<Action, Fault> {
    let Shown { contract, method, arguments } = shown;
    let arguments = match arguments {
        Value::String(text) => text.parse::<HexBytes>().map_err(bad)?.0,
        value if contract.as_str() == KERNEL => abi.encode_arguments(&method, &value).map_err(bad)?,
        _ => return Err(bad(format!("arguments of {contract}.{method} are given as bytes"))),
    };
    Ok(Action { contract: contract.as_str().to_owned(), method, arguments })
}

fn content(shown: Content) -> Result<ProposalContent, Fault> {
    let abi = Abi::from_json(KERNEL_ABI_JSON).map_err(bad)?;
    let Content { kind, member, title, deadline, actions } = shown;
    let actions = actions.into_iter().map(|shown| action(&abi, shown)).collect::<Result<_, _>>()?;
    Ok(ProposalContent { kind, member, title, deadline, actions })
}

/// Signs a decision. Input: chain, expiry, salt and decision as JSON. Answers id and bytes of the transaction, and with a
/// content its hash.
///
/// # Errors
/// `client.signed_out`, `client.bad_input`.
pub fn sign(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Wanted { place, decision } = read(input)?;
    let (method, arguments, hash) = match decision {
        Decision::Propose { content: shown } => {
            let content = content(shown)?;
            // The kernel's arguments stand in the order of the content.
            ("propose", encode(&content), Some(content.hash()))
        }
        Decision::Vote { proposal, content: shown, approve } => {
            let hash = content(shown)?.hash();
            ("vote", encode(&(proposal, hash, approve)), Some(hash))
        }
        Decision::Withdraw { proposal } => ("withdraw", encode(&proposal), None),
    };
    let call = Call { contract: ContractName::new(KERNEL).map_err(bad)?, method: method.to_owned(), arguments };
    let mut answer = signed(place, vec![call])?;
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("content".into(), json!(hash));
    }
    written(&answer)
}

#[cfg(test)]
mod tests {
    use vouch_privacy::key_file::KeyFile;
    use vouch_types::{ChainId, Height, SecretKey, UnverifiedTransaction};

    use super::*;
    use crate::session;

    const CHAIN: ChainId = ChainId([3; 32]);

    fn judged(decision: &Value) -> Result<Value, Fault> {
        let wanted = json!({ "chain": CHAIN, "expiry": 40, "salt": "05".repeat(16), "decision": decision });
        sign(wanted.to_string().as_bytes()).map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    fn call(signed: &Value, secret: &SecretKey) -> (String, Vec<u8>) {
        let raw: HexBytes = signed["raw"].as_str().unwrap().parse().unwrap();
        let read = UnverifiedTransaction::decode(raw.0, CHAIN).unwrap().verify().unwrap();
        assert_eq!(
            (read.signers()[0].key, read.body().expiry, read.body().calls.len()),
            (secret.public(), Height(40), 1)
        );
        let call = &read.body().calls[0];
        assert_eq!((read.id().to_string().as_str(), call.contract.as_str()), (signed["id"].as_str().unwrap(), KERNEL));
        (call.method.clone(), call.arguments.clone())
    }

    #[test]
    fn a_ballot_names_the_hash_of_what_was_shown() {
        let _turn = session::turn();
        let shown = |title: &str| {
            json!({ "kind": "contracts", "member": null, "title": title, "deadline": 258,
                "actions": [{ "contract": "documents", "method": "m", "arguments": "07" },
                            { "contract": "system", "method": "freeze_contract", "arguments": { "name": "notary" } }] })
        };
        let vote = |title: &str, approve: bool| json!({ "vote": { "proposal": 9, "content": shown(title), "approve": approve } });
        assert_eq!(judged(&vote("t", true)).unwrap_err().code, "client.signed_out");
        let secret = SecretKey::from_seed([9; 32]);
        session::unlock(&[&[0; 4], &KeyFile::bare(&secret).to_bytes()[..]].concat()).unwrap();

        let abi = Abi::from_json(KERNEL_ABI_JSON).unwrap();
        let freeze = abi.encode_arguments("freeze_contract", &json!({ "name": "notary" })).unwrap();
        let content = ProposalContent {
            kind: "contracts".into(),
            member: None,
            title: "t".into(),
            deadline: TimestampMs(258),
            actions: vec![
                Action { contract: "documents".into(), method: "m".into(), arguments: vec![7] },
                Action { contract: KERNEL.into(), method: "freeze_contract".into(), arguments: freeze },
            ],
        };
        for approve in [true, false] {
            let signed = judged(&vote("t", approve)).unwrap();
            assert_eq!(signed["content"], json!(content.hash()));
            assert_eq!(call(&signed, &secret), ("vote".into(), encode(&(9u64, content.hash(), approve))));
        }
        assert_ne!(judged(&vote("u", true)).unwrap()["content"], json!(content.hash()));

        let signed = judged(&json!({ "propose": { "content": shown("t") } })).unwrap();
        assert_eq!(call(&signed, &secret), ("propose".into(), encode(&content)));
        let signed = judged(&json!({ "withdraw": { "proposal": 9 } })).unwrap();
        assert_eq!(call(&signed, &secret), ("withdraw".into(), encode(&9u64)));
    }

    #[test]
    fn what_has_no_form_is_not_signed() {
        let _turn = session::turn();
        let propose = |action: Value| {
            judged(
                &json!({ "propose": { "content": { "kind": "contracts", "member": null, "title": "t", "deadline": 1, "actions": [action] } } }),
            )
        };
        let action = |contract: &str, method: &str, arguments: Value| {
            propose(json!({ "contract": contract, "method": method, "arguments": arguments })).unwrap_err().code
        };
        assert_eq!(action("documents", "m", json!({})), "client.bad_input");
        assert_eq!(action("system", "no_method", json!({})), "client.bad_input");
        assert_eq!(action("system", "freeze_contract", json!({ "name": 7 })), "client.bad_input");
        assert_eq!(action("system", "freeze_contract", json!("0")), "client.bad_input");
        assert_eq!(judged(&json!({ "grant": {} })).unwrap_err().code, "client.bad_input");
    }
}
