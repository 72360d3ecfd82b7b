//! k-anonymity by Mondrian's partitioning (ICDE 2006), with l-diversity, t-closeness and a report of
//! what was reached.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{DeidError, numbers::Decimal, table::Table};

/// What is asked of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anonymity {
    /// Fewest rows that share their quasi-identifiers.
    pub k: usize,
    /// Fewest different values of each sensitive column in such a group; 1 asks nothing.
    #[serde(default = "one")]
    pub l: usize,
    /// Most that the distribution of a sensitive column in a group may differ from that of the table, in thousandths of
    /// total variation; 1000 asks nothing.
    #[serde(default = "thousand")]
    pub t: u64,
    /// Columns that together could point at someone.
    pub quasi: Vec<String>,
    /// Columns nobody should learn.
    #[serde(default)]
    pub sensitive: Vec<String>,
}

const fn one() -> usize {
    1
}

const fn thousand() -> u64 {
    1000
}

/// What a table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnonymityReport {
    /// Rows that are left.
    pub rows: usize,
    /// Rows that were left out, because no group could be made with them.
    pub suppressed: usize,
    /// Groups of equal quasi-identifiers.
    pub groups: usize,
    /// Rows of the smallest.
    pub k: usize,
    /// Fewest different values of a sensitive column in a group; of no column, the rows of the smallest group.
    pub l: usize,
    /// Most that a group differs from the table, in thousandths of total variation, rounded up.
    pub t: u64,
    /// How much of the quasi-identifiers' spread is lost on average, in thousandths: 0 as before, 1000 all.
    pub loss: u64,
}

/// A quasi-identifier of all rows: numbers, or words in their order.
struct Quasi {
    place: usize,
    /// The value of each row as a rank among the different values.
    ranks: Vec<usize>,
    /// The different values in order, as written.
    values: Vec<String>,
    is_numeric: bool,
}

impl Quasi {
    fn of(table: &Table, place: usize) -> Self {
        let cells: Vec<&str> = table.rows.iter().map(|row| row[place].trim()).collect();
        let numbers: Option<Vec<i128>> =
            cells.iter().map(|cell| Decimal::parse(cell).and_then(|number| number.units_at(12))).collect();
        let is_numeric = numbers.is_some();
        let keys: Vec<(i128, &str)> = match &numbers {
            Some(numbers) => numbers.iter().map(|number| (*number, "")).collect(),
            None => cells.iter().map(|cell| (0, *cell)).collect(),
        };
        let different: BTreeMap<(i128, &str), &str> = keys.iter().copied().zip(cells.iter().copied()).collect();
        let order: BTreeMap<(i128, &str), usize> =
            different.keys().enumerate().map(|(rank, key)| (*key, rank)).collect();
        let ranks = keys.iter().map(|key| order[key]).collect();
        Self { place, ranks, values: different.into_values().map(str::to_owned).collect(), is_numeric }
    }

    /// What stands in a group's rows: the range of numbers, all words.
    fn general(&self, rows: &[usize]) -> String {
        let ranks: BTreeSet<usize> = rows.iter().map(|row| self.ranks[*row]).collect();
        let (Some(low), Some(high)) = (ranks.first(), ranks.last()) else { return String::new() };
        if low == high {
            self.values[*low].clone()
        } else if self.is_numeric {
            format!("{}~{}", self.values[*low], self.values[*high])
        } else if ranks.len() == self.values.len() {
            "*".to_owned()
        } else {
            ranks.iter().map(|rank| self.values[*rank].as_str()).collect::<Vec<_>>().join("|")
        }
    }

    /// Share of the spread that a group has, in thousandths.
    fn width(&self, rows: &[usize]) -> u64 {
        let ranks: BTreeSet<usize> = rows.iter().map(|row| self.ranks[*row]).collect();
        let spread = match (self.is_numeric, ranks.first(), ranks.last()) {
            (true, Some(low), Some(high)) => high - low,
            _ => ranks.len().saturating_sub(1),
        };
        u64::try_from(spread * 1000 / self.values.len().saturating_sub(1).max(1)).unwrap_or(1000)
    }
}

/// The values of sensitive columns and how they are spread over the whole table.
struct Sensitive {
    cells: Vec<Vec<String>>,
    whole: Vec<BTreeMap<String, usize>>,
}

impl Sensitive {
    fn of(table: &Table, places: &[usize]) -> Self {
        let column = |place: &usize| table.rows.iter().map(|row| row[*place].clone()).collect::<Vec<_>>();
        let cells: Vec<Vec<String>> = places.iter().map(column).collect();
        let all: Vec<usize> = (0..table.rows.len()).collect();
        let whole = cells.iter().map(|cells| counts(cells, &all)).collect();
        Self { cells, whole }
    }

    /// Fewest different values, and most difference from the whole, of a group.
    fn of_group(&self, rows: &[usize]) -> (usize, u64) {
        let (mut fewest, mut most) = (rows.len(), 0);
        for (cells, whole) in self.cells.iter().zip(&self.whole) {
            let part = counts(cells, rows);
            fewest = fewest.min(part.len());
            most = most.max(variation(&part, rows.len(), whole, cells.len()));
        }
        (fewest, most)
    }
}

fn counts(cells: &[String], rows: &[usize]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(cells[*row].clone()).or_insert(0) += 1;
    }
    counts
}

/// Half the sum of differences between two distributions, in thousandths, rounded up. For words whose order means nothing
/// this is the earth mover's distance.
fn variation(part: &BTreeMap<String, usize>, part_rows: usize, whole: &BTreeMap<String, usize>, rows: usize) -> u64 {
    // Both as parts of part_rows · rows.
    let difference: u128 = whole
        .iter()
        .map(|(value, count)| {
            let here = part.get(value).copied().unwrap_or(0) as u128 * rows as u128;
            here.abs_diff(*count as u128 * part_rows as u128)
        })
        .sum();
    let all = 2 * part_rows as u128 * rows as u128;
    u64::try_from((difference * 1000).div_ceil(all.max(1))).unwrap_or(1000)
}

/// Makes quasi-identifiers coarser until every group has what is asked; leaves out rows only when the whole table cannot be
/// one group.
///
/// # Errors
/// When a column is not there, or what is asked makes no sense.
pub fn anonymise(table: &mut Table, asked: &Anonymity) -> Result<AnonymityReport, DeidError> {
    let places = |names: &[String]| names.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>();
    let (quasi, sensitive) = (places(&asked.quasi)?, places(&asked.sensitive)?);
    if asked.k < 2
        || asked.l == 0
        || asked.t > 1000
        || quasi.is_empty()
        || quasi.iter().any(|place| sensitive.contains(place))
    {
        return Err(DeidError::Policy(
            "k is at least 2, l at least 1, t at most 1000; quasi-identifiers are named and none is sensitive"
                .to_owned(),
        ));
    }
    let before = table.rows.len();
    let columns: Vec<Quasi> = quasi.iter().map(|place| Quasi::of(table, *place)).collect();
    let spread = Sensitive::of(table, &sensitive);
    let fits = |rows: &[usize]| {
        let (l, t) = spread.of_group(rows);
        rows.len() >= asked.k && (asked.sensitive.is_empty() || (l >= asked.l && t <= asked.t))
    };
    let all: Vec<usize> = (0..before).collect();
    if !fits(&all) {
        table.rows.clear();
        let report = AnonymityReport { rows: 0, suppressed: before, groups: 0, k: 0, l: 0, t: 0, loss: 0 };
        return Ok(report);
    }
    let groups = partition(all, &columns, &fits);
    let (mut loss, mut cells) = (0_u64, 0_u64);
    for rows in &groups {
        for column in &columns {
            let general = column.general(rows);
            let count = u64::try_from(rows.len()).unwrap_or(0);
            loss += column.width(rows) * count;
            cells += count;
            for row in rows {
                table.rows[*row][column.place].clone_from(&general);
            }
        }
    }
    let mut report = measure(table, &asked.quasi, &asked.sensitive)?;
    report.loss = loss / cells.max(1);
    Ok(report)
}

/// Splits as long as both halves have what is asked, at the median of the widest column that allows it.
fn partition(all: Vec<usize>, columns: &[Quasi], fits: &impl Fn(&[usize]) -> bool) -> Vec<Vec<usize>> {
    let (mut open, mut done) = (vec![all], Vec::new());
    while let Some(rows) = open.pop() {
        let mut widest: Vec<&Quasi> = columns.iter().collect();
        widest.sort_by_cached_key(|column| std::cmp::Reverse(column.width(&rows)));
        let halves = widest.iter().find_map(|column| {
            let mut ranks: Vec<usize> = rows.iter().map(|row| column.ranks[*row]).collect();
            ranks.sort_unstable();
            let median = ranks[ranks.len() / 2];
            // Equal values stay together; where the median is the lowest value the cut is behind it.
            let cut = if median == ranks[0] { median + 1 } else { median };
            let (low, high): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| column.ranks[**row] < cut);
            (!low.is_empty() && !high.is_empty() && fits(&low) && fits(&high)).then_some((low, high))
        });
        match halves {
            Some((low, high)) => open.extend([high, low]),
            None => done.push(rows),
        }
    }
    done
}

/// What a table has, whoever made it so.
///
/// # Errors
/// When a column is not there.
pub fn measure(table: &Table, quasi: &[String], sensitive: &[String]) -> Result<AnonymityReport, DeidError> {
    let places = quasi.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?;
    let hidden = sensitive.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?;
    let mut groups: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
    for (index, row) in table.rows.iter().enumerate() {
        groups.entry(places.iter().map(|place| row[*place].as_str()).collect()).or_default().push(index);
    }
    let spread = Sensitive::of(table, &hidden);
    let of_groups: Vec<(usize, u64)> = groups.values().map(|rows| spread.of_group(rows)).collect();
    Ok(AnonymityReport {
        rows: table.rows.len(),
        suppressed: 0,
        groups: groups.len(),
        k: groups.values().map(Vec::len).min().unwrap_or(0),
        l: of_groups.iter().map(|(l, _)| *l).min().unwrap_or(0),
        t: of_groups.iter().map(|(_, t)| *t).max().unwrap_or(0),
        loss: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn asked(k: usize, l: usize, t: u64) -> Anonymity {
        Anonymity { k, l, t, quasi: names(&["age", "place"]), sensitive: names(&["illness"]) }
    }

    fn people(seed: &[(u8, u8, u8)]) -> Table {
        let row = |(age, place, illness): &(u8, u8, u8)| {
            vec![
                (18 + age % 50).to_string(),
                ["和平", "南开", "河西", "滨海"][usize::from(place % 4)].to_owned(),
                ["a", "b", "c"][usize::from(illness % 3)].to_owned(),
            ]
        };
        Table::new(names(&["age", "place", "illness"]), seed.iter().map(row).collect()).unwrap()
    }

    #[test]
    fn a_table_that_cannot_be_made_so_is_left_out() {
        let mut table = people(&[(1, 1, 1), (2, 2, 1)]);
        let report = anonymise(&mut table, &asked(3, 1, 1000)).unwrap();
        assert_eq!((report.suppressed, table.rows.len()), (2, 0));
        for wrong in [asked(1, 1, 0), asked(2, 0, 0), asked(2, 1, 1001)] {
            assert_eq!(anonymise(&mut people(&[]), &wrong).unwrap_err().code(), "deid.policy");
        }
    }

    #[test]
    fn ranges_and_lists_stand_for_groups() {
        let mut table = people(&[(0, 0, 0), (1, 0, 1), (30, 1, 0), (31, 1, 1)]);
        let report = anonymise(&mut table, &asked(2, 2, 1000)).unwrap();
        assert_eq!((report.k, report.l, report.groups, report.suppressed), (2, 2, 2, 0));
        assert_eq!(table.rows[0][0], "18~19");
        assert_eq!(table.rows[3][..2], names(&["48~49", "南开"]));
    }

    proptest! {
        #[test]
        fn what_is_asked_is_reached(
            seed in proptest::collection::vec(any::<(u8, u8, u8)>(), 0..120),
            k in 2_usize..8, l in 1_usize..4, t in 200_u64..=1000,
        ) {
            let mut table = people(&seed);
            let report = anonymise(&mut table, &asked(k, l, t)).unwrap();
            prop_assert_eq!(report.rows + report.suppressed, seed.len());
            if report.rows > 0 {
                prop_assert!(report.k >= k && report.l >= l && report.t <= t, "{:?}", report);
                let again = measure(&table, &names(&["age", "place"]), &names(&["illness"])).unwrap();
                prop_assert_eq!((again.k, again.l, again.t), (report.k, report.l, report.t));
            }
        }
    }
}
