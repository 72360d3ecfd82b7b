//! Line items of one slot: a tree of their own, whose count and root are the slot's value.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vouch_types::Hash32;

use super::{
    CommitmentError,
    disclosure::{Disclosure, DocumentSecret},
    tree::{head, head_from, path, sha256},
};

/// Most rows of one slot.
pub const ROWS_MAX: usize = 10_000;

/// The rows of a slot, disclosed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    slot: u16,
    disclosures: Vec<Disclosure>,
}

/// Shows that a row stands at a place among the rows of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowProof {
    /// Position of the row, from 0.
    pub row: u32,
    /// The row's disclosure.
    pub disclosure: Disclosure,
    /// Siblings from the leaf upwards.
    pub path: Vec<Hash32>,
}

impl Rows {
    /// Salts and discloses values.
    ///
    /// # Errors
    /// [`CommitmentError::Rows`] for more than [`ROWS_MAX`], or as [`Disclosure::of_row`].
    pub fn of(slot: u16, values: &[Value], secret: &DocumentSecret) -> Result<Self, CommitmentError> {
        let rows = (0u32..).zip(values);
        let disclosures = rows.map(|(row, value)| Disclosure::of_row(&secret.row_salt(slot, row), value));
        Self::from_disclosures(slot, disclosures.collect::<Result<_, _>>()?)
    }

    /// From disclosures, as they were delivered.
    ///
    /// # Errors
    /// [`CommitmentError::Rows`] for more than [`ROWS_MAX`].
    pub fn from_disclosures(slot: u16, disclosures: Vec<Disclosure>) -> Result<Self, CommitmentError> {
        if disclosures.len() > ROWS_MAX {
            return Err(CommitmentError::Rows("too many rows"));
        }
        Ok(Self { slot, disclosures })
    }

    /// The disclosures in order.
    #[must_use]
    pub fn disclosures(&self) -> &[Disclosure] {
        &self.disclosures
    }

    /// The slot they belong to.
    #[must_use]
    pub const fn slot(&self) -> u16 {
        self.slot
    }

    /// What the rows say.
    ///
    /// # Errors
    /// As [`Disclosure::parse_row`].
    pub fn values(&self) -> Result<Vec<Value>, CommitmentError> {
        self.disclosures.iter().map(|disclosure| disclosure.parse_row().map(|(_, value)| value)).collect()
    }

    /// The value of the slot: `{"n": count, "root": hexadecimal}` with
    /// `root = SHA-256(0x02 ‖ "GLC1.rows" ‖ u16be(slot) ‖ u32be(count) ‖ head)`.
    #[must_use]
    pub fn value(&self) -> Value {
        json!({ "n": self.disclosures.len(), "root": hex::encode(root(self.slot, self.count(), &head(&self.leaves()))) })
    }

    /// Proof of one row; `None` when there is no such row.
    #[must_use]
    pub fn proof(&self, row: u32) -> Option<RowProof> {
        let index = usize::try_from(row).ok()?;
        let path = path(&self.leaves(), index)?.into_iter().map(Hash32).collect();
        Some(RowProof { row, disclosure: self.disclosures.get(index)?.clone(), path })
    }

    fn count(&self) -> u32 {
        u32::try_from(self.disclosures.len()).expect("there are at most ROWS_MAX rows")
    }

    fn leaves(&self) -> Vec<[u8; 32]> {
        (0u32..).zip(&self.disclosures).map(|(row, disclosure)| disclosure.row_leaf(self.slot, row)).collect()
    }
}

impl RowProof {
    /// Checks the proof against the value of the rows' slot, which must have been proven itself, and returns the row.
    ///
    /// # Errors
    /// [`CommitmentError::Rows`] when the slot's value is none of rows or the path leads elsewhere; or as
    /// [`Disclosure::parse_row`].
    pub fn verify(&self, slot: u16, slot_value: &Value) -> Result<Value, CommitmentError> {
        let (count, expected) = parse_rows_value(slot_value).ok_or(CommitmentError::Rows("the slot holds no rows"))?;
        let path: Vec<[u8; 32]> = self.path.iter().map(|hash| hash.0).collect();
        let at = |number: u32| usize::try_from(number).map_err(|_| CommitmentError::Rows("too many rows"));
        let leaf = self.disclosure.row_leaf(slot, self.row);
        let found = head_from(&leaf, at(self.row)?, at(count)?, &path).map(|head| root(slot, count, &head));
        if found != Some(expected) {
            return Err(CommitmentError::Rows("the row is not under the slot's root"));
        }
        self.disclosure.parse_row().map(|(_, value)| value)
    }
}

fn root(slot: u16, count: u32, head: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[2], b"GLC1.rows", &slot.to_be_bytes(), &count.to_be_bytes(), head])
}

/// Count and root out of the value of a slot of rows.
pub(crate) fn parse_rows_value(value: &Value) -> Option<(u32, [u8; 32])> {
    let object = value.as_object().filter(|object| object.len() == 2)?;
    let count = u32::try_from(object.get("n")?.as_u64()?).ok()?;
    let text = object.get("root")?.as_str()?;
    let mut root = [0; 32];
    hex::decode_to_slice(text, &mut root).ok()?;
    (hex::encode(root) == text && usize::try_from(count).is_ok_and(|count| count <= ROWS_MAX)).then_some((count, root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: u32) -> Rows {
        let values: Vec<Value> = (0..count).map(|i| json!({ "item": format!("work {i}"), "amount": "1.50" })).collect();
        Rows::of(9, &values, &DocumentSecret::from_bytes([1; 32])).unwrap()
    }

    #[test]
    fn every_row_is_proven_and_no_other() {
        for count in [1, 2, 3, 7, 33] {
            let rows = rows(count);
            for row in 0..count {
                let proof = rows.proof(row).unwrap();
                assert_eq!(proof.verify(9, &rows.value()).unwrap()["item"], format!("work {row}"));
                assert!(proof.verify(8, &rows.value()).is_err());
                let moved = RowProof { row: (row + 1) % count.max(2), ..proof };
                assert!(moved.verify(9, &rows.value()).is_err());
            }
            assert_eq!(rows.proof(count), None);
        }
    }

    #[test]
    fn no_rows_have_a_value_too() {
        let none = rows(0);
        assert_eq!(none.value()["n"], 0);
        assert_eq!(parse_rows_value(&none.value()).unwrap().0, 0);
        assert_ne!(
            none.value()["root"],
            Rows::of(8, &[], &DocumentSecret::from_bytes([1; 32])).unwrap().value()["root"]
        );
    }

    #[test]
    fn a_value_of_another_form_holds_no_rows() {
        let good = rows(1).value();
        let text = good["root"].as_str().unwrap();
        for bad in [
            json!(null),
            json!({ "n": 1 }),
            json!({ "n": 1, "root": text.to_uppercase() }),
            json!({ "n": -1, "root": text }),
            json!({ "n": 10_001, "root": text }),
            json!({ "n": 1, "root": text, "x": 1 }),
        ] {
            assert_eq!(rows(1).proof(0).unwrap().verify(9, &bad).unwrap_err().code(), "commitment.rows", "{bad}");
        }
    }
}
