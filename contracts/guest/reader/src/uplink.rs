//! Bulk uplink: the account's signature under submissions and nothing else, and the key that ids of documents come from.

use serde::Deserialize;
use serde_json::json;
use vouch_types::{Call, ChainId, ContractName, api::HexBytes, document, hash::domain_hash, relation};

use crate::{
    Fault, read,
    session::with_key,
    transaction::{Place, signed},
    written,
};

/// What an uplink may have signed. A page that was led astray gets no signature under a grant or a ballot here.
const SIGNED: [(&str, &str); 5] = [
    (document::CONTRACT, document::method::SUBMIT),
    (document::CONTRACT, document::method::REVISE),
    (document::CONTRACT, "sign"),
    (document::CONTRACT, "sign_for"),
    (relation::CONTRACT, "register_subjects"),
];

#[derive(Deserialize)]
struct ForChain {
    chain: ChainId,
}

/// The key that ids come from: the same for this account on this chain in every browser. It opens and signs nothing; who has it
/// can test which number an id stands for. Input: the chain as JSON.
///
/// # Errors
/// `client.signed_out`.
pub fn key(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let ForChain { chain } = read(input)?;
    let key = with_key(|key| domain_hash("vouch/uplink-account-key/1", &[&key.seed()[..], chain.as_bytes()]))?;
    written(&json!({ "key": key }))
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(flatten)]
    place: Place,
    calls: Vec<WantedCall>,
}

#[derive(Deserialize)]
struct WantedCall {
    contract: ContractName,
    method: String,
    arguments: HexBytes,
}

/// Signs a transaction of an uplink. Input: chain, expiry, salt and calls as JSON. Answers its id and bytes.
///
/// # Errors
/// `client.signed_out`, `client.not_signed` for a call that is none of an uplink, `client.bad_input`.
pub fn sign(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Wanted { place, calls } = read(input)?;
    let mut made = Vec::with_capacity(calls.len());
    for WantedCall { contract, method, arguments } in calls {
        if !SIGNED.contains(&(contract.as_str(), method.as_str())) {
            return Err(Fault::new("client.not_signed", format!("{contract}.{method}")));
        }
        made.push(Call { contract, method, arguments: arguments.0 });
    }
    written(&signed(place, made)?)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use vouch_privacy::key_file::KeyFile;
    use vouch_types::{Height, SecretKey, UnverifiedTransaction};

    use super::*;
    use crate::session;

    #[test]
    fn submissions_are_signed_and_nothing_else() {
        let _turn = session::turn();
        let secret = SecretKey::from_seed([9; 32]);
        let file = KeyFile::bare(&secret).to_bytes();
        session::unlock(&[&[0; 4], &file[..]].concat()).unwrap();
        let chain = ChainId([3; 32]);
        let wanted = |contract: &str, method: &str| {
            let call = json!({ "contract": contract, "method": method, "arguments": "0102" });
            let wanted = json!({ "chain": chain, "expiry": 40, "salt": "05".repeat(16), "calls": [call] });
            sign(wanted.to_string().as_bytes()).map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap())
        };
        for (contract, method) in SIGNED {
            let signed = wanted(contract, method).unwrap();
            let raw: HexBytes = signed["raw"].as_str().unwrap().parse().unwrap();
            let read = UnverifiedTransaction::decode(raw.0, chain).unwrap().verify().unwrap();
            assert_eq!(
                (read.id().to_string(), read.signers()[0].key),
                (signed["id"].as_str().unwrap().to_owned(), secret.public())
            );
            assert_eq!((read.body().expiry, read.body().calls[0].method.as_str()), (Height(40), method));
        }
        for (contract, method) in
            [("documents", "grant"), ("documents", "revoke"), ("system", "submit"), ("relations", "begin")]
        {
            assert_eq!(wanted(contract, method).unwrap_err().code, "client.not_signed", "{contract}.{method}");
        }
        let other = json!({ "chain": ChainId([4; 32]) }).to_string();
        let own = json!({ "chain": chain }).to_string();
        assert_eq!(key(own.as_bytes()), key(own.as_bytes()));
        assert_ne!(key(own.as_bytes()), key(other.as_bytes()));
    }
}
