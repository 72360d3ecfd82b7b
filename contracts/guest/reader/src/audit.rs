//! Records of a read audit: each follows from the one before, and is what its hash says.

use serde::Deserialize;
use serde_json::json;
use vouch_privacy::evidence::AuditLine;
use vouch_types::{
    Hash32,
    api::AuditRecordView,
    document::audit::{AuditRecord, verify},
};

use crate::{Fault, read, written};

/// Some records in order. Without `is_chain` they are those about one document, with others between them.
#[derive(Deserialize)]
struct Input {
    records: Vec<AuditRecordView>,
    is_chain: bool,
    /// Hash of the record before the first one, when that is known.
    previous: Option<Hash32>,
}

fn record(view: &AuditRecordView) -> Option<AuditRecord> {
    let line = AuditLine {
        number: view.number,
        time: view.time,
        actor: view.actor,
        access: view.access.clone(),
        document: view.document,
        version: view.version,
        fields: view.fields.clone(),
        purpose: view.purpose.clone(),
        result: view.result.clone(),
        previous: view.previous,
    };
    line.record().filter(|record| record.fields.is_valid() && record.hash() == view.hash)
}

/// Checks records. Answers the hash of the last one, which an anchor on the chain names.
///
/// # Errors
/// `audit.number`, `audit.chain`, `audit.head`; `audit.record` for one that is not what its hash says.
pub fn check(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Input { records: views, is_chain, previous } = read(input)?;
    let mut records = Vec::with_capacity(views.len());
    for view in &views {
        let other = || Fault::new("audit.record", format!("record {} is not what its hash says", view.number));
        records.push(record(view).ok_or_else(other)?);
    }
    let Some((first, last)) = records.first().zip(records.last()) else {
        return written(&json!({ "head": previous, "last": null }));
    };
    let head = last.hash();
    if is_chain {
        let before = previous.unwrap_or(first.previous);
        if first.number == 1 && before != Hash32::ZERO {
            return Err(Fault::new("audit.chain", "the first record has none before it"));
        }
        let checked = verify(first.number.saturating_sub(1), before, &records, head);
        checked.map_err(|fault| Fault::new(fault.code(), fault))?;
    } else if !records.is_sorted_by(|a, b| a.number < b.number) {
        return Err(Fault::new("audit.number", "the records are not in order"));
    }
    written(&json!({ "head": head, "last": last.number }))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use vouch_types::{
        AccountId, TimestampMs,
        document::{DocumentId, FieldSet, VersionKey, audit::Access},
    };

    use super::*;

    fn log(count: u64) -> Vec<AuditRecordView> {
        let mut previous = Hash32::ZERO;
        let made = |number| {
            let record = AuditRecord {
                number,
                time: TimestampMs(number),
                actor: AccountId([1; 32]),
                access: Access::Read,
                key: VersionKey { id: DocumentId::new([2; 16]), version: 1 },
                fields: FieldSet::first(2),
                purpose: "tax".into(),
                result: "ok".into(),
                previous,
            };
            previous = record.hash();
            AuditRecordView {
                number,
                time: record.time,
                actor: record.actor,
                access: "read".into(),
                document: record.key.id,
                version: 1,
                fields: record.fields.clone(),
                purpose: "tax".into(),
                result: "ok".into(),
                previous: record.previous,
                hash: previous,
            }
        };
        (1..=count).map(made).collect()
    }

    fn judged(records: &[AuditRecordView], is_chain: bool, previous: Option<Hash32>) -> Result<Value, &'static str> {
        let input = json!({ "records": records, "is_chain": is_chain, "previous": previous }).to_string();
        check(input.as_bytes()).map(|bytes| serde_json::from_slice(&bytes).unwrap()).map_err(|fault| fault.code)
    }

    #[test]
    fn a_log_that_was_changed_cut_or_mended_shows() {
        let log = log(5);
        let head = json!({ "head": log[4].hash, "last": 5 });
        assert_eq!(judged(&log, true, None), Ok(head.clone()));
        assert_eq!(judged(&log[2..], true, Some(log[1].hash)), Ok(head));
        assert_eq!(judged(&log[2..], true, Some(log[0].hash)), Err("audit.chain"));
        let mut gap = log.clone();
        gap.remove(2);
        assert_eq!(judged(&gap, true, None), Err("audit.number"));
        assert!(judged(&gap, false, None).is_ok(), "records about one document have others between them");
        let mut changed = log.clone();
        changed[1].purpose = "own".into();
        assert_eq!(judged(&changed, false, None), Err("audit.record"));
        // With a hash that fits, the next record does not follow any more.
        changed[1].hash = record_hash(&changed[1]);
        assert_eq!(judged(&changed, true, None), Err("audit.chain"));
        let turned: Vec<_> = log.iter().rev().cloned().collect();
        assert_eq!(judged(&turned, false, None), Err("audit.number"));
    }

    fn record_hash(view: &AuditRecordView) -> Hash32 {
        let mut record = record(&log(5)[1]).unwrap();
        record.purpose.clone_from(&view.purpose);
        record.hash()
    }
}
