use std::collections::BTreeMap;

use serde::Serialize;
use vouch_types::{
    TimestampMs,
    api::{DayCount, Measure, NamedCount, STATISTICS_DAYS_MAX, StatisticsQuery, StatisticsView},
    document::{Category, VersionState},
};

use super::{Query, indexed};
use crate::{
    IndexError,
    codes::{Coded, int, uint},
    database::{Database, values},
    schema::{hourly, tally},
    words,
};

const HOUR_MS: i64 = 3_600_000;
const DAY_HOURS: i64 = 24;
/// Names among the totals; the rest is many and small.
const TOTALS_MAX: i64 = 100;
/// Days, when no beginning is named.
const DAYS: i64 = 30;

/// How a number stands for a name.
#[derive(Clone, Copy)]
enum Naming {
    Category,
    Outcome,
    Word,
    All,
}

const fn kinds(measure: Measure) -> (i64, i64, Naming) {
    match measure {
        Measure::Documents => (hourly::DOCUMENT, tally::CATEGORY, Naming::Category),
        Measure::Issuers => (hourly::ISSUER, tally::ISSUER, Naming::Word),
        Measure::Transactions => (hourly::TRANSACTION, tally::TRANSACTION, Naming::Outcome),
        Measure::Contracts => (hourly::CONTRACT, tally::CALL, Naming::Word),
        Measure::Blocks => (hourly::BLOCK, tally::BLOCK, Naming::All),
        Measure::Disputes => (hourly::DISPUTE, tally::DISPUTE, Naming::All),
        Measure::Erasures => (hourly::ERASURE, tally::ERASURE, Naming::All),
    }
}

/// A word of the chain as JSON shows it.
fn said(word: impl Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn name(database: &Database, naming: Naming, a: i64) -> Result<String, IndexError> {
    Ok(match naming {
        Naming::Category => said(Category::of(a)),
        Naming::Outcome => if a == 0 { "success" } else { "failed" }.to_owned(),
        Naming::Word => words::text(database, a)?,
        Naming::All => "all".to_owned(),
    })
}

/// `YYYY-MM-DD` of a day since 1970.
fn date(days: i64) -> String {
    // Civil from days, for the proleptic Gregorian calendar: eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn day_of(time: TimestampMs, zone: i64) -> i64 {
    (int(time.0).div_euclid(HOUR_MS) + zone).div_euclid(DAY_HOURS)
}

/// First and last day, in days since 1970 of the zone.
fn bounds(database: &Database, query: &StatisticsQuery, zone: i64) -> Result<(i64, i64), IndexError> {
    let last = match query.to {
        Some(to) => day_of(to, zone),
        None => {
            let time = database.number("SELECT time FROM block ORDER BY height DESC LIMIT 1", &[])?;
            day_of(TimestampMs(time.map_or(0, uint)), zone)
        }
    };
    let first = query.from.map_or(last - DAYS + 1, |from| day_of(from, zone));
    Ok((first.max(last.saturating_sub(i64::from(STATISTICS_DAYS_MAX) - 1)), last))
}

fn days(database: &Database, query: &StatisticsQuery) -> Result<Vec<DayCount>, IndexError> {
    let zone = i64::from(query.zone.unwrap_or(0));
    let (kind, _, naming) = kinds(query.measure);
    let (first, last) = bounds(database, query, zone)?;
    let (from, to) = (first * DAY_HOURS - zone, (last + 1) * DAY_HOURS - zone);
    let sql = "SELECT hour, a, count FROM hourly WHERE kind = ?1 AND hour >= ?2 AND hour < ?3";
    let mut sums: BTreeMap<(i64, i64), u64> = BTreeMap::new();
    database.each(sql, values![kind, from, to], |row| {
        let day = (row.int(0)? + zone).div_euclid(DAY_HOURS);
        let sum = sums.entry((day, row.int(1)?)).or_default();
        *sum = sum.saturating_add(uint(row.int(2)?));
        Ok(())
    })?;
    let mut names: BTreeMap<i64, String> = BTreeMap::new();
    let mut days = Vec::with_capacity(sums.len());
    for ((day, a), count) in sums {
        let known = match names.get(&a) {
            Some(known) => known.clone(),
            None => {
                let found = name(database, naming, a)?;
                names.insert(a, found.clone());
                found
            }
        };
        days.push(DayCount { day: date(day), name: known, count });
    }
    Ok(days)
}

fn totals(database: &Database, measure: Measure) -> Result<Vec<NamedCount>, IndexError> {
    let (_, kind, naming) = kinds(measure);
    if matches!(naming, Naming::All) {
        let count = crate::tally::sum(database, kind)?;
        return Ok(vec![NamedCount { name: "all".into(), count }]);
    }
    let sql = "SELECT a, count FROM tally WHERE kind = ?1 AND b = 0 ORDER BY count DESC, a LIMIT ?2";
    let rows = database.all(sql, values![kind, TOTALS_MAX], |row| Ok((row.int(0)?, row.int(1)?)))?;
    rows.into_iter().map(|(a, count)| Ok(NamedCount { name: name(database, naming, a)?, count: uint(count) })).collect()
}

fn states(database: &Database) -> Result<Vec<NamedCount>, IndexError> {
    let mut states = Vec::new();
    for state in VersionState::ALL {
        let count = crate::tally::count(database, tally::STATE, state.code(), 0)?;
        if count > 0 {
            states.push(NamedCount { name: said(*state), count });
        }
    }
    Ok(states)
}

impl Query {
    /// Counts by day, kept while blocks came.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn statistics(&self, query: &StatisticsQuery) -> Result<StatisticsView, IndexError> {
        self.read(|database| {
            let indexed = indexed(database)?;
            Ok(StatisticsView {
                head: self.head.max(indexed),
                indexed,
                days: days(database, query)?,
                totals: totals(database, query.measure)?,
                states: if query.measure == Measure::Documents { states(database)? } else { Vec::new() },
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_dates_of_the_calendar() {
        for (days, date_of) in
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_783, "2026-11-26"), (-1, "1969-12-31")]
        {
            assert_eq!(date(days), date_of, "{days}");
        }
    }

    #[test]
    fn a_zone_moves_the_beginning_of_days() {
        let at = |hour: u64| TimestampMs(hour * 3_600_000);
        assert_eq!((day_of(at(15), 8), day_of(at(16), 8), day_of(at(3), -4)), (0, 1, -1));
    }
}
