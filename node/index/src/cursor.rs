//! Places in lists, opaque to whoever pages through them, and bound to the filter they came from.

use vouch_types::hash::domain_hash;

use crate::IndexError;

const TAG: &str = "vouch/index-cursor/1";
/// Bytes of the filter's hash, then of the number.
const MARK_BYTES: usize = 8;

fn mark(list: &str, filter: &str) -> [u8; MARK_BYTES] {
    let hash = domain_hash(TAG, &[list.as_bytes(), &[0], filter.as_bytes()]);
    let mut mark = [0; MARK_BYTES];
    mark.copy_from_slice(&hash.as_bytes()[..MARK_BYTES]);
    mark
}

/// The text for going on below a number.
pub(crate) fn write(list: &str, filter: &str, below: i64) -> String {
    hex::encode([mark(list, filter), below.to_be_bytes()].concat())
}

/// The number of a text that [`fn@write`] gave for the same list and filter.
pub(crate) fn read(list: &str, filter: &str, text: &str) -> Result<i64, IndexError> {
    let mut bytes = [0; MARK_BYTES + 8];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| IndexError::Cursor)?;
    let (found, number) = bytes.split_at(MARK_BYTES);
    if found != mark(list, filter) {
        return Err(IndexError::Cursor);
    }
    let number: [u8; 8] = number.try_into().map_err(|_| IndexError::Cursor)?;
    Ok(i64::from_be_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_belongs_to_its_list_and_filter() {
        let text = write("documents", "{}", 77);
        assert_eq!(read("documents", "{}", &text).unwrap(), 77);
        for (list, filter, text) in [
            ("disputes", "{}", text.as_str()),
            ("documents", "{\"issuer\":\"a\"}", &text),
            ("documents", "{}", "77"),
            ("documents", "{}", ""),
            ("documents", "{}", "zz"),
        ] {
            assert!(matches!(read(list, filter, text), Err(IndexError::Cursor)), "{list} {filter} {text}");
        }
    }
}
