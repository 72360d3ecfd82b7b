use std::collections::BTreeMap;

use crate::{
    IndexError,
    codes::uint,
    database::{Database, values},
};

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// Changes of the roll-ups, gathered over blocks that are written together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    totals: BTreeMap<(i64, i64, i64), i64>,
    hours: BTreeMap<(i64, i64, i64), i64>,
    /// How many more each document names, and is named by.
    links: BTreeMap<i64, (i64, i64)>,
}

impl Tally {
    /// One more, or less, of a kind.
    pub(crate) fn add(&mut self, kind: i64, a: i64, b: i64, by: i64) {
        let count = self.totals.entry((kind, a, b)).or_default();
        *count = count.saturating_add(by);
    }

    /// One more of a kind in the hour of a time.
    pub(crate) fn add_at(&mut self, kind: i64, a: i64, time_ms: i64) {
        let count = self.hours.entry((kind, time_ms.div_euclid(HOUR_MS), a)).or_default();
        *count = count.saturating_add(1);
    }

    /// A document names another one that it did not name before.
    pub(crate) fn link(&mut self, child: i64, parent: i64) {
        self.links.entry(child).or_default().0 += 1;
        self.links.entry(parent).or_default().1 += 1;
    }

    /// Writes what was gathered, within the caller's transaction.
    pub(crate) fn write(&mut self, database: &Database) -> Result<(), IndexError> {
        let sql = "INSERT INTO tally(kind, a, b, count) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT(kind, a, b) DO UPDATE SET count = tally.count + excluded.count";
        for ((kind, a, b), by) in std::mem::take(&mut self.totals) {
            if by != 0 {
                database.write(sql, values![kind, a, b, by])?;
            }
        }
        let sql = "INSERT INTO hourly(kind, hour, a, count) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT(kind, hour, a) DO UPDATE SET count = hourly.count + excluded.count";
        for ((kind, hour, a), by) in std::mem::take(&mut self.hours) {
            database.write(sql, values![kind, hour, a, by])?;
        }
        let sql = "UPDATE doc SET refs_out = refs_out + ?2, refs_in = refs_in + ?3 WHERE doc.n = ?1";
        for (n, (out, within)) in std::mem::take(&mut self.links) {
            database.write(sql, values![n, out, within])?;
        }
        Ok(())
    }

    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// A count over all time.
pub(crate) fn count(database: &Database, kind: i64, a: i64, b: i64) -> Result<u64, IndexError> {
    let sql = "SELECT count FROM tally WHERE kind = ?1 AND a = ?2 AND b = ?3";
    Ok(database.number(sql, values![kind, a, b])?.map_or(0, uint))
}

/// The sum over all of a kind.
pub(crate) fn sum(database: &Database, kind: i64) -> Result<u64, IndexError> {
    let sql = "SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM tally WHERE kind = ?1";
    Ok(database.number(sql, values![kind])?.map_or(0, uint))
}
