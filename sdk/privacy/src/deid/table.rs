//! Tables, and what is done to whole columns: permutation, microaggregation, sampling.

use super::{Algorithm, DeidError, below, numbers::Decimal};

/// Most cells of a table that is worked on as a whole.
pub const CELLS_MAX: usize = 20_000_000;

/// Rows of equal length under names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table, if it is one.
    ///
    /// # Errors
    /// [`DeidError::Table`] when a row has another length, a name is there twice, or it is too large.
    pub fn new(columns: Vec<String>, rows: Vec<Vec<String>>) -> Result<Self, DeidError> {
        if let Some(row) = rows.iter().position(|row| row.len() != columns.len()) {
            return Err(DeidError::Table(format!(
                "row {} has another number of cells than there are columns",
                row + 1
            )));
        }
        if columns.len().saturating_mul(rows.len()) > CELLS_MAX {
            return Err(DeidError::Table(format!("more than {CELLS_MAX} cells")));
        }
        let mut names: Vec<&String> = columns.iter().collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(DeidError::Table("two columns have the same name".to_owned()));
        }
        Ok(Self { columns, rows })
    }

    /// The place of a column.
    ///
    /// # Errors
    /// [`DeidError::Table`] when there is none of the name.
    pub fn column(&self, name: &str) -> Result<usize, DeidError> {
        let found = self.columns.iter().position(|column| column == name);
        found.ok_or_else(|| DeidError::Table(format!("there is no column {name:?}")))
    }
}

/// Numbers in random order.
fn shuffled(count: usize, entropy: &mut dyn FnMut(&mut [u8])) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        let other = usize::try_from(below(entropy, u64::try_from(last).unwrap_or(0) + 1)).unwrap_or(0);
        order.swap(last, other);
    }
    order
}

/// Lets the values of columns change places among the rows, together where several are named: sums and distributions stay,
/// what belongs to whom is lost. With a `within` column only rows of equal value change.
///
/// # Errors
/// When a column is not there.
pub fn permute(
    table: &mut Table,
    columns: &[String],
    within: Option<&str>,
    entropy: &mut dyn FnMut(&mut [u8]),
) -> Result<(), DeidError> {
    let places = columns.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?;
    let within = within.map(|name| table.column(name)).transpose()?;
    let mut groups: std::collections::BTreeMap<String, Vec<usize>> = std::collections::BTreeMap::new();
    for (index, row) in table.rows.iter().enumerate() {
        groups.entry(within.map(|place| row[place].clone()).unwrap_or_default()).or_default().push(index);
    }
    for rows in groups.values() {
        let taken: Vec<Vec<String>> =
            rows.iter().map(|row| places.iter().map(|place| table.rows[*row][*place].clone()).collect()).collect();
        for (row, from) in rows.iter().zip(shuffled(rows.len(), entropy)) {
            for (place, value) in places.iter().zip(&taken[from]) {
                table.rows[*row][*place].clone_from(value);
            }
        }
    }
    Ok(())
}

/// Replaces the numbers of a column by the mean of their group: groups of at least `k` rows that are next to each other in
/// order. Returns how many groups there are.
///
/// # Errors
/// When a value is no number or there are fewer than `k` rows.
pub fn microaggregate(table: &mut Table, column: &str, k: usize) -> Result<usize, DeidError> {
    let place = table.column(column)?;
    if k < 2 || table.rows.len() < k {
        return Err(DeidError::Table(format!("groups of at least {k} rows need as many rows, and k is at least 2")));
    }
    let wrong = DeidError::Value { algorithm: Algorithm::Microaggregation, why: "a decimal number in every row" };
    let numbers: Vec<Decimal> = table
        .rows
        .iter()
        .map(|row| Decimal::parse(row[place].trim()))
        .collect::<Option<_>>()
        .ok_or_else(|| wrong.clone())?;
    let scale = numbers.iter().map(|number| number.scale).max().unwrap_or(0);
    let units: Vec<i128> = numbers.iter().map(|number| number.units_at(scale)).collect::<Option<_>>().ok_or(wrong)?;
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by_key(|row| units[*row]);
    let groups = order.len() / k;
    for group in 0..groups {
        // The last group takes what is left over, so that none is smaller than k.
        let end = if group + 1 == groups { order.len() } else { (group + 1) * k };
        let rows = &order[group * k..end];
        let sum: i128 = rows.iter().map(|row| units[*row]).sum();
        let mean = Decimal { units: sum / i128::try_from(rows.len()).unwrap_or(1), scale }.to_string();
        for row in rows {
            table.rows[*row][place].clone_from(&mean);
        }
    }
    Ok(groups)
}

/// Keeps `count` rows, each set of so many being as likely, in the order they had.
pub fn sample(table: &mut Table, count: usize, entropy: &mut dyn FnMut(&mut [u8])) {
    let mut kept = shuffled(table.rows.len(), entropy);
    kept.truncate(count);
    kept.sort_unstable();
    table.rows = kept.into_iter().map(|row| std::mem::take(&mut table.rows[row])).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deid::tests::entropy;

    fn table(rows: usize) -> Table {
        let row =
            |number: usize| vec![number.to_string(), (number % 3).to_string(), format!("{}.5", number * number % 101)];
        Table::new(["id", "group", "pay"].map(str::to_owned).to_vec(), (0..rows).map(row).collect()).unwrap()
    }

    fn column(table: &Table, place: usize) -> Vec<String> {
        table.rows.iter().map(|row| row[place].clone()).collect()
    }

    #[test]
    fn a_permutation_keeps_what_is_there() {
        let (mut mixed, plain) = (table(60), table(60));
        permute(&mut mixed, &["pay".to_owned()], Some("group"), &mut entropy(4)).unwrap();
        assert_ne!(mixed, plain);
        for group in ["0", "1", "2"] {
            let pay = |table: &Table| {
                let mut pay: Vec<String> =
                    table.rows.iter().filter(|row| row[1] == group).map(|row| row[2].clone()).collect();
                pay.sort_unstable();
                pay
            };
            assert_eq!(pay(&mixed), pay(&plain));
        }
        assert_eq!(column(&mixed, 0), column(&plain, 0));
        assert_eq!(permute(&mut mixed, &["none".to_owned()], None, &mut entropy(4)).unwrap_err().code(), "deid.table");
    }

    #[test]
    fn groups_have_at_least_k_rows_and_one_mean() {
        let mut mixed = table(61);
        assert_eq!(microaggregate(&mut mixed, "pay", 7).unwrap(), 8);
        let mut counts = std::collections::BTreeMap::new();
        for value in column(&mixed, 2) {
            *counts.entry(value).or_insert(0) += 1;
        }
        assert!(counts.values().all(|count| *count >= 7), "{counts:?}");
        assert!(microaggregate(&mut table(3), "pay", 7).is_err());
        let mut words = table(9);
        words.rows[4][2] = "x".into();
        assert_eq!(microaggregate(&mut words, "pay", 3).unwrap_err().code(), "deid.value");
    }

    #[test]
    fn a_sample_is_some_of_the_rows_in_order() {
        let mut some = table(50);
        sample(&mut some, 10, &mut entropy(5));
        let ids: Vec<usize> = column(&some, 0).iter().map(|id| id.parse().unwrap()).collect();
        assert!(ids.len() == 10 && ids.is_sorted() && ids.last() < Some(&50));
        sample(&mut some, 99, &mut entropy(5));
        assert_eq!(some.rows.len(), 10);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(Table::new(vec!["a".into()], vec![vec![]]).is_err());
        assert!(Table::new(vec!["a".into(), "a".into()], vec![]).is_err());
    }
}
