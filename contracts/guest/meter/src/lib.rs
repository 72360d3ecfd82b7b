//! Measures a chain: one method with a known amount of work, for load tests.
//!
//! `record` makes exactly five host calls: it reads the caller's counter and the first key, and writes both keys of the
//! payload and the counter. The keys come from the payload's first bytes, so that distinct payloads touch distinct state.
#![cfg_attr(target_arch = "wasm32", no_std)]

use vouch_contract::{Account, Bytes, Context, Failure, Vec, contract, load, read, store, write};

/// How many bytes of the payload make the keys; a payload has at least as many.
pub const ID_BYTES: usize = 16;

contract! {
    name: "meter",
    version: "1.0.0",
    title: ("Meter", "压测"),
    errors: MeterError {
        /// A payload with the same first bytes was recorded before.
        Duplicate = "duplicate" ("A payload with the same id is recorded", "相同编号的内容已记录"),
    },
    types: [],
    events: [],
    methods: {
        call record(
            payload: Bytes = ("Payload, its first 16 bytes an id", "内容，前 16 字节为编号"),
        ) -> u64 = ("Record", "记录");
        query recorded(account: Account = ("Account", "账户")) -> u64 = ("Payloads of an account", "账户的记录数");
        query payload(id: Bytes = ("Id", "编号")) -> Option<Bytes> = ("Look up a payload", "查询内容");
    }
}

fn payload_key(id: &[u8]) -> Vec<u8> {
    [b"p", id].concat()
}

fn author_key(id: &[u8]) -> Vec<u8> {
    [b"a", id].concat()
}

fn counter_key(account: &Account) -> Vec<u8> {
    [b"c", account.as_ref()].concat()
}

fn record(context: &Context, payload: Bytes) -> Result<u64, Failure> {
    let Some(id) = payload.0.get(..ID_BYTES) else {
        return Err(Failure::BadArguments("a payload has at least 16 bytes"));
    };
    let counter = counter_key(&context.caller);
    let count = load::<u64>(&counter).unwrap_or(0) + 1;
    let key = payload_key(id);
    if read(&key).is_some() {
        return Err(MeterError::Duplicate.into());
    }
    write(&key, &payload.0);
    store(&author_key(id), &(context.caller, count, context.height));
    store(&counter, &count);
    Ok(count)
}

fn recorded(_: &Context, account: Account) -> Result<u64, Failure> {
    Ok(load(&counter_key(&account)).unwrap_or(0))
}

fn payload(_: &Context, id: Bytes) -> Result<Option<Bytes>, Failure> {
    if id.0.len() != ID_BYTES {
        return Err(Failure::BadArguments("an id has 16 bytes"));
    }
    Ok(read(&payload_key(&id.0)).map(Bytes))
}

#[cfg(test)]
mod tests {
    use vouch_contract::{
        Contract as _,
        kit::{HostCalls, Kit},
    };

    use super::*;

    #[test]
    fn records_with_five_host_calls() {
        let mut kit = Kit::<Contract>::new();
        for n in 1..=3u8 {
            assert_eq!(kit.call::<_, u64>("record", (Bytes([n; 100].to_vec()),)), Ok(u64::from(n)));
            assert_eq!(kit.host_calls(), HostCalls { gets: 2, puts: 3, others: 0 });
        }
        assert_eq!(kit.state.len(), 7);
        assert_eq!(kit.call::<_, u64>("recorded", (Account([1; 32]),)), Ok(3));
        assert_eq!(kit.call::<_, u64>("recorded", (Account([2; 32]),)), Ok(0));
        let found: Option<Bytes> = kit.call("payload", (Bytes([2; 16].to_vec()),)).unwrap();
        assert_eq!(found, Some(Bytes([2; 100].to_vec())));
        let again = kit.call::<_, u64>("record", (Bytes([2; 100].to_vec()),));
        assert_eq!(again.unwrap_err().code, "contract.error.duplicate");
        let short = kit.call::<_, u64>("record", (Bytes([9; 15].to_vec()),));
        assert_eq!(short.unwrap_err().code, "contract.bad_arguments");
    }

    #[test]
    fn the_abi_is_valid() {
        let abi = vouch_types::abi::Abi::from_json(Contract::ABI).unwrap();
        assert_eq!(abi.methods.len(), 3);
    }
}
