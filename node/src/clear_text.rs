//! Sensitive text in the arguments of calls, which stay readable on the chain for ever.
//!
//! The node that a client submits to looks before the transaction goes anywhere. Public fields of documents are the
//! vault's to judge, since it has the document beside them. Bytes and numbers are not looked at, nor what no ABI describes.

use serde_json::Value;
use vouch_api::ApiError;
use vouch_ledger::{Reader, Registry};
use vouch_types::Call;
use vouch_vault::{Scanner as _, staging::SENSITIVE_LEVEL};

use crate::{
    vault::{RuleScanner, is_submission},
    views::Abis,
};

/// Text of so many hexadecimal digits or more, and nothing else, stands for bytes.
const BYTES_DIGITS_MIN: usize = 32;

/// Refuses calls whose arguments hold sensitive text.
///
/// # Errors
/// `stage.sensitive` with the argument's place and the rule, never the text.
pub fn check(calls: &[Call], reader: &Reader, registry: &Registry, abis: &Abis) -> Result<(), ApiError> {
    for (index, call) in calls.iter().enumerate().filter(|(_, call)| !is_submission(call)) {
        let abi = abis.of(reader, registry, &call.contract);
        let Some(arguments) = abi.and_then(|abi| abi.decode_arguments(&call.method, &call.arguments).ok()) else {
            continue;
        };
        if let Some((place, rule)) = find(&arguments, None, &format!("calls[{index}].arguments")) {
            let detail = format!("an argument holds sensitive text (rule {rule})");
            return Err(ApiError::new("stage.sensitive", detail).at(place));
        }
    }
    Ok(())
}

/// The place and rule of the first text that must not stand in clear. Values come from the ABI's decoder, which bounds depth.
fn find(value: &Value, field: Option<&str>, place: &str) -> Option<(String, String)> {
    match value {
        Value::String(text) => judge(text, field).map(|rule| (place.to_owned(), rule)),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| find(item, field, &format!("{place}[{index}]")))
        }
        Value::Object(fields) => fields.iter().enumerate().find_map(|(index, (name, item))| {
            // A key may be somebody's text as well; then its place is told by number.
            let key = judge(name, None).map(|rule| (format!("{place}, key {index}"), rule));
            key.or_else(|| find(item, Some(name), &format!("{place}.{name}")))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn judge(text: &str, field: Option<&str>) -> Option<String> {
    if text.len() >= BYTES_DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let (level, rule) = RuleScanner.level(text, field);
    (level >= SENSITIVE_LEVEL).then_some(rule)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_place_is_named_and_the_text_is_not() {
        // A card number as it stands in the standard GB 11643.
        let found = |arguments: &Value| find(arguments, None, "calls[0].arguments");
        let text = "身份证号 11010519491231002X";
        let (place, rule) = found(&json!({ "memo": ["fine", text] })).unwrap();
        assert_eq!(place, "calls[0].arguments.memo[1]");
        assert!(!rule.is_empty() && !rule.contains("1101"));
        let (place, _) = found(&json!({ "map": { text: 1 } })).unwrap();
        assert_eq!(place, "calls[0].arguments.map, key 0");
    }

    #[test]
    fn bytes_and_ordinary_text_pass() {
        for fine in [
            json!({ "hash": "5a".repeat(32), "note": "courier work in the old town", "height": 13_812_345_678_u64 }),
            json!({ "digits": "1".repeat(64) }),
            json!([null, true, "第一批", ""]),
        ] {
            assert_eq!(find(&fine, None, "calls[0].arguments"), None);
        }
    }
}
