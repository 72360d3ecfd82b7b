//! Reads proven values of the contracts `documents` and `relations` and the kernel's proposals, so that the page compares
//! records and not bytes.
//!
//! A key begins with the contract's name and a zero byte; then a letter says what stands there (`vouch_types::document::key`),
//! or a word (`vouch_types::governance::key`).

use serde::Serialize;
use serde_json::Value;
use vouch_types::{
    codec::Format,
    decode,
    document::{
        self, AuditAnchor, Dispute, Document, Erasure, Grant, PersonSignature, RECORD_BYTES_MAX, Schema, Version,
    },
    governance::KERNEL,
    relation::{self, PersonKey, Relationship, Subject},
};

use crate::governance;

fn read<T>(bytes: &[u8]) -> Option<Value>
where
    T: Serialize + for<'a> wincode::SchemaRead<'a, Format, Dst = T>,
{
    let record: T = decode("record", bytes, RECORD_BYTES_MAX).ok()?;
    serde_json::to_value(record).ok()
}

/// The record under a key of the state; `None` for one of another kind.
pub fn of(key: &[u8], value: &[u8]) -> Option<Value> {
    let end = key.iter().position(|byte| *byte == 0)?;
    let (contract, rest) = key.split_at_checked(end)?;
    let tag = rest.get(1)?;
    match (core::str::from_utf8(contract).ok()?, tag) {
        (KERNEL, _) => governance::of(rest.get(1..)?, value),
        (document::CONTRACT, b'd') => read::<Document>(value),
        (document::CONTRACT, b'v') => read::<Version>(value),
        (document::CONTRACT, b'g') => read::<Grant>(value),
        (document::CONTRACT, b'x') => read::<Dispute>(value),
        (document::CONTRACT, b'e') => read::<Erasure>(value),
        (document::CONTRACT, b'h') => read::<Schema>(value),
        (document::CONTRACT, b'n') => read::<AuditAnchor>(value),
        (document::CONTRACT, b'p') => read::<PersonSignature>(value),
        (relation::CONTRACT, b'r') => read::<Relationship>(value),
        (relation::CONTRACT, b'u') => read::<Subject>(value),
        (relation::CONTRACT, b'y') => read::<PersonKey>(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::{
        document::{DocumentId, ErasureState, Moment, Party},
        encode,
        numbers::{Height, TimestampMs},
    };

    use super::*;

    #[test]
    fn a_record_is_read_by_its_key_and_nothing_else_is() {
        let id = DocumentId::new([3; 16]);
        let erasure = Erasure {
            document: id,
            state: ErasureState::Ordered,
            by: Party::member("works"),
            code: "asked".into(),
            requested: Moment { height: Height(4), time_ms: TimestampMs(5) },
            earliest_ms: 0,
            ordered: None,
            deadline_ms: 0,
            holders: vec!["works".into()],
            attestations: vec![],
            closed: None,
            missing: vec![],
        };
        let value = encode(&erasure);
        let key = |contract: &str, key: Vec<u8>| [contract.as_bytes(), &[0], &key].concat();
        let found = of(&key("documents", document::key::erasure(&id)), &value).unwrap();
        assert_eq!(
            (found["state"].as_str(), found["document"].as_str()),
            (Some("Ordered"), Some(id.to_string().as_str()))
        );
        assert_eq!(of(&key("notary", document::key::erasure(&id)), &value), None);
        assert_eq!(of(&key("documents", document::key::document(&id)), &value), None);
        assert_eq!((of(b"", &value), of(b"documents", &value), of(b"documents\0", &value)), (None, None, None));
    }
}
