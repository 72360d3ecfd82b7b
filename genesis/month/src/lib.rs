//! A month of business of the sample consortium as files, the way operators have them: a table in GBK, workbooks, JSON with nested
//! objects, XML, contracts as PDF, scans as images, each folder with its mapping. The same seed gives the same bytes.
//!
//! Deliberately not here: any document or id; `vouch doc uplink` makes them of these files.
//!
//! ```text
//! OUT/month.json            the steps in order: folder, member that uplinks it
//! OUT/1-institution/        persons, enterprises, contracts
//! OUT/2-institution/        settlements of the enterprise's workers
//! OUT/2-platform/           orders of the platform's workers
//! OUT/3-institution/        invoices, risk findings
//! ```
//!
//! Names of persons, companies and streets are from the `fake` package. Numbers belong to nobody: identity and credit codes of
//! region 000000, mobile numbers beginning with 154, cards of the test issuer 999999, all with check digits that hold.
#![forbid(unsafe_code)]

mod draw;
mod files;
mod tables;

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Name of the file with the steps.
pub const STEPS_FILE: &str = "month.json";
/// Fewest documents of a month: below it a category would be empty.
pub const DOCUMENTS_MIN: u64 = 20;

/// A folder and who uplinks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The folder, below the month's.
    pub folder: String,
    /// The member.
    pub member: String,
    /// Documents in it.
    pub documents: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Month {
    /// Documents in all.
    pub documents: u64,
    /// The seed.
    pub seed: u64,
    /// Documents by schema.
    pub schemas: std::collections::BTreeMap<String, u64>,
    /// Steps in order.
    pub steps: Vec<Step>,
}

/// Why there is no month.
#[derive(Debug, thiserror::Error)]
pub enum MonthError {
    /// Too few documents.
    #[error("a month has at least {DOCUMENTS_MIN} documents")]
    TooFew,
    /// The folder cannot be written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A workbook cannot be written.
    #[error("{0}")]
    Workbook(#[from] rust_xlsxwriter::XlsxError),
    /// A value cannot be made.
    #[error("{0}")]
    Value(String),
}

/// Writes a month of exactly so many documents into a folder that is empty or not there.
///
/// # Errors
/// [`MonthError`].
pub fn write(out: &Path, documents: u64, seed: u64) -> Result<Month, MonthError> {
    if documents < DOCUMENTS_MIN {
        return Err(MonthError::TooFew);
    }
    let month = tables::Tables::draw(documents, seed)?;
    let written = month.write(out)?;
    let text = serde_json::to_string_pretty(&written).map_err(|error| MonthError::Value(error.to_string()))?;
    std::fs::write(out.join(STEPS_FILE), text)?;
    Ok(written)
}

/// Reads what [`fn@write`] said of a folder.
///
/// # Errors
/// When there is no month in it.
pub fn read(out: &Path) -> Result<Month, MonthError> {
    let text = std::fs::read_to_string(out.join(STEPS_FILE))?;
    serde_json::from_str(&text).map_err(|error| MonthError::Value(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let (mut all, mut folders) = (Vec::new(), vec![folder.to_owned()]);
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    all.push((path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap()));
                }
            }
        }
        all.sort();
        all
    }

    #[test]
    fn a_seed_is_a_month_of_all_categories() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let month = write(one.path(), 300, 7).unwrap();
        assert_eq!(month.documents, 300);
        assert_eq!(month.schemas.len(), 6);
        assert_eq!(month.schemas.values().sum::<u64>(), 300);
        assert_eq!(month.steps.iter().map(|step| step.documents).sum::<u64>(), 300);
        assert_eq!(read(one.path()).unwrap(), month);
        write(two.path(), 300, 7).unwrap();
        let differing: Vec<_> =
            bytes(one.path()).into_iter().zip(bytes(two.path())).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect();
        assert!(differing.is_empty(), "{differing:?}");
        assert!(write(two.path(), 3, 7).is_err());
    }
}
