//! Bytes that cross between host and contract, in the layout of [`vouch_types::codec`].

use crate::host::CallContext;

/// First byte of the input: the version of this interface.
pub const INPUT_VERSION: u8 = 1;

fn length(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&(n as u64).to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, data: &[u8]) {
    length(out, data.len());
    out.extend_from_slice(data);
}

/// The input of one call: version, contract, caller, signers, calling contract, height, time, read-only, depth, method,
/// arguments.
pub(crate) fn input(context: &CallContext, method: &str, arguments: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(160 + 32 * context.signers.len() + method.len() + arguments.len());
    out.push(INPUT_VERSION);
    bytes(&mut out, context.contract.as_str().as_bytes());
    out.extend_from_slice(context.caller.as_bytes());
    length(&mut out, context.signers.len());
    for signer in &context.signers {
        out.extend_from_slice(signer.as_bytes());
    }
    match &context.calling_contract {
        None => out.push(0),
        Some(name) => {
            out.push(1);
            bytes(&mut out, name.as_str().as_bytes());
        }
    }
    out.extend_from_slice(&context.height.0.to_le_bytes());
    out.extend_from_slice(&context.time.0.to_le_bytes());
    out.push(u8::from(context.read_only));
    out.extend_from_slice(&context.depth.to_le_bytes());
    bytes(&mut out, method.as_bytes());
    bytes(&mut out, arguments);
    out
}

/// Entries of a scan as a list of pairs.
pub(crate) fn entries(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let total: usize = entries.iter().map(|(k, v)| 16 + k.len() + v.len()).sum();
    let mut out = Vec::with_capacity(8 + total);
    length(&mut out, entries.len());
    for (key, value) in entries {
        bytes(&mut out, key);
        bytes(&mut out, value);
    }
    out
}

/// How a called contract ended: tag 0 and its output, or tag 1, code and message.
pub(crate) fn outcome(outcome: &Result<Vec<u8>, (String, String)>) -> Vec<u8> {
    let mut out = Vec::new();
    match outcome {
        Ok(output) => {
            out.extend_from_slice(&0u32.to_le_bytes());
            bytes(&mut out, output);
        }
        Err((code, message)) => {
            out.extend_from_slice(&1u32.to_le_bytes());
            bytes(&mut out, code.as_bytes());
            bytes(&mut out, message.as_bytes());
        }
    }
    out
}

/// Member name and role.
pub(crate) fn membership(member: &str, role: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + member.len() + role.len());
    bytes(&mut out, member.as_bytes());
    bytes(&mut out, role.as_bytes());
    out
}

/// Role and standing of a member.
pub(crate) fn member(role: &str, active: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + role.len());
    bytes(&mut out, role.as_bytes());
    out.push(u8::from(active));
    out
}

/// A list of texts.
pub(crate) fn texts(texts: &[String]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + texts.iter().map(|t| 8 + t.len()).sum::<usize>());
    length(&mut out, texts.len());
    for text in texts {
        bytes(&mut out, text.as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use vouch_types::{AccountId, ContractName, Height, TimestampMs, encode};

    use super::*;

    #[test]
    fn bytes_are_those_of_the_codec() {
        let context = CallContext {
            contract: ContractName::new("notary").unwrap(),
            caller: AccountId([1; 32]),
            signers: vec![AccountId([1; 32]), AccountId([2; 32])],
            calling_contract: Some(ContractName::new("gig").unwrap()),
            height: Height(7),
            time: TimestampMs(9),
            read_only: true,
            depth: 3,
        };
        let expected = encode(&(
            (INPUT_VERSION, context.contract.clone(), context.caller, context.signers.clone()),
            (context.calling_contract.clone(), context.height, context.time, context.read_only, context.depth),
            ("get".to_owned(), vec![5u8, 6]),
        ));
        assert_eq!(input(&context, "get", &[5, 6]), expected);

        let pairs = vec![(vec![1u8], vec![2u8, 3]), (vec![], vec![4])];
        assert_eq!(entries(&pairs), encode(&pairs));
        for sample in [Ok(vec![1u8, 2]), Err(("code".to_owned(), "text".to_owned()))] {
            assert_eq!(outcome(&sample), encode(&sample));
        }
        assert_eq!(member("platform", true), encode(&("platform".to_owned(), true)));
        let roles = vec!["reader".to_owned(), "submitter".to_owned()];
        assert_eq!(texts(&roles), encode(&roles));
        assert_eq!(membership("hub", "platform"), encode(&("hub".to_owned(), "platform".to_owned())));
    }
}
