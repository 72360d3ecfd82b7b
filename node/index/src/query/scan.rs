//! Filters over large tables without an index for every combination.
//!
//! The rarest of the conditions leads: its own index gives its rows in order, the others are checked row by row, window by
//! window of numbers. When the time for a page is over, the page ends where the search has come to, and the next one goes
//! on there. So a page costs what it costs however large the table is.

use std::time::{Duration, Instant};

use crate::{
    IndexError,
    database::{Database, Row, Value},
};

/// Rows that a window should bring for checking.
const WINDOW_ROWS: i64 = 10_000;
/// A rank below this is taken for rarer than anything that is counted.
pub(crate) const COUNTED_RANK: u64 = 3;
/// How long a page is searched for.
const PAGE_TIME: Duration = Duration::from_millis(120);

/// What was found, and below which number there may be more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filtered<T> {
    /// Highest number first.
    pub items: Vec<T>,
    /// Where to go on.
    pub next: Option<i64>,
}

/// A condition: an SQL text with one `?` for each value.
pub(crate) struct Condition {
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<i64>,
    /// How many rows fulfil it, where that is counted.
    pub(crate) rows: Option<u64>,
    /// For its place among others where that is not counted: few come first.
    pub(crate) rank: u64,
    /// How it leads, where that is out of another table.
    pub(crate) lead: Option<Lead>,
}

/// A condition that leads out of another table, with the same values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lead {
    /// `FROM` that joins it, whose number is `lead.n`.
    pub(crate) from: &'static str,
    /// Its SQL text.
    pub(crate) sql: &'static str,
}

/// A search in a table whose rows are ordered by `n`.
pub(crate) struct Search<'a> {
    pub(crate) database: &'a Database,
    /// Columns, of the table named `t`.
    pub(crate) columns: &'static str,
    /// The table, named `t`.
    pub(crate) table: &'static str,
    pub(crate) conditions: Vec<Condition>,
    /// Rows of the table.
    pub(crate) rows: u64,
    /// Lowest number that counts.
    pub(crate) low: i64,
    /// Number below which it begins.
    pub(crate) high: i64,
    pub(crate) limit: usize,
}

impl Search<'_> {
    /// The number of rows, where one condition alone decides it and is counted.
    pub(crate) fn total(&self) -> Option<u64> {
        match self.conditions.as_slice() {
            [] => Some(self.rows),
            [only] => only.rows,
            _ => None,
        }
    }

    /// The rarest condition first.
    fn order(&mut self) {
        self.conditions.sort_by_key(|condition| condition.rows.map_or(condition.rank, |rows| rows.max(COUNTED_RANK)));
    }

    fn sql(&self) -> String {
        let lead = self.conditions.first().and_then(|first| first.lead);
        let (from, n) = lead.map_or((self.table, "t.n"), |lead| (lead.from, "lead.n"));
        let mut conditions = String::new();
        for (place, condition) in self.conditions.iter().enumerate() {
            // A sign before a column keeps its index out of the plan: only the first condition leads.
            let checked = match lead {
                Some(lead) if place == 0 => lead.sql.to_owned(),
                None if place == 0 => condition.sql.to_owned(),
                _ => condition.sql.replace("t.", "+t."),
            };
            conditions.push_str(&checked);
            conditions.push_str(" AND ");
        }
        format!(
            "SELECT {n}, {} FROM {from} WHERE {conditions} {n} >= ? AND {n} < ? ORDER BY {n} DESC LIMIT ?",
            self.columns
        )
    }

    /// Numbers that a window spans, so that the leader brings about [`WINDOW_ROWS`]; where it is not counted, at most that.
    fn span(&self) -> i64 {
        let lead = self.conditions.first().and_then(|lead| lead.rows).unwrap_or(self.rows).max(1);
        let share = self.rows.max(1) / lead;
        WINDOW_ROWS.saturating_mul(i64::try_from(share.max(1)).unwrap_or(i64::MAX))
    }

    /// Runs it.
    pub(crate) fn run<T>(
        mut self,
        mut make: impl FnMut(&Row<'_>) -> Result<T, IndexError>,
    ) -> Result<Filtered<T>, IndexError> {
        self.order();
        let end = Instant::now() + PAGE_TIME;
        let span = self.span();
        let sql = self.sql();
        let fixed: Vec<i64> = self.conditions.iter().flat_map(|condition| condition.values.iter().copied()).collect();
        let mut items = Vec::new();
        let mut high = self.high;
        // One more than asked for tells whether there is a next page.
        let wanted = self.limit.saturating_add(1);
        while high > self.low {
            let low = high.saturating_sub(span).max(self.low);
            let left = i64::try_from(wanted - items.len()).unwrap_or(i64::MAX);
            let values: Vec<Value<'_>> = fixed.iter().copied().chain([low, high, left]).map(Value::Int).collect();
            self.database.each(&sql, &values, |row| {
                items.push((row.int(0)?, make(row)?));
                Ok(())
            })?;
            if items.len() >= wanted {
                break;
            }
            high = low;
            if Instant::now() > end {
                break;
            }
        }
        let next = if items.len() >= wanted {
            items.truncate(self.limit);
            items.last().map(|(n, _)| *n)
        } else {
            (high > self.low).then_some(high)
        };
        Ok(Filtered { items: items.into_iter().map(|(_, item)| item).collect(), next })
    }
}
