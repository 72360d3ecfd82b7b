//! Counts, sums and histograms with noise, and a budget that is spent by asking (differential privacy).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    DeidError,
    numbers::{Decimal, discrete_laplace},
    table::Table,
};

/// How much privacy loss is left. Keep it with the data: a new one forgets what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// What may still be spent of epsilon, in thousandths.
    pub left: u64,
    /// What was asked and what it took.
    pub spent: Vec<(String, u64)>,
}

impl Budget {
    /// A budget of so many thousandths of epsilon.
    #[must_use]
    pub const fn new(left: u64) -> Self {
        Self { left, spent: Vec::new() }
    }

    fn spend(&mut self, query: &str, epsilon: u64) -> Result<(), DeidError> {
        if epsilon == 0 || epsilon > self.left {
            return Err(DeidError::Budget { left: self.left });
        }
        self.left -= epsilon;
        self.spent.push((query.to_owned(), epsilon));
        Ok(())
    }
}

/// Rows with noise.
///
/// # Errors
/// When the budget does not allow it.
pub fn count(
    table: &Table,
    epsilon: u64,
    budget: &mut Budget,
    entropy: &mut dyn FnMut(&mut [u8]),
) -> Result<i128, DeidError> {
    budget.spend("count", epsilon)?;
    Ok(i128::try_from(table.rows.len()).unwrap_or(i128::MAX) + discrete_laplace(entropy, 1000, epsilon))
}

/// The sum of a column with noise; each value is first held between the bounds, whole numbers, which say how much one row
/// can change it.
///
/// # Errors
/// When the bounds are none, a value is no number, or the budget does not allow it.
pub fn sum(
    table: &Table,
    column: &str,
    (low, high): (i64, i64),
    epsilon: u64,
    budget: &mut Budget,
    entropy: &mut dyn FnMut(&mut [u8]),
) -> Result<i128, DeidError> {
    let place = table.column(column)?;
    let most = low.unsigned_abs().max(high.unsigned_abs());
    let scale = most.checked_mul(1000).filter(|_| low <= high && most > 0);
    let scale =
        scale.ok_or_else(|| DeidError::Policy("bounds of a sum are two numbers, not both nothing".to_owned()))?;
    let value = |row: &Vec<String>| {
        let units = Decimal::parse(row[place].trim())?.units_at(0)?;
        Some(units.clamp(i128::from(low), i128::from(high)))
    };
    let sum = table.rows.iter().map(value).sum::<Option<i128>>();
    let sum = sum.ok_or_else(|| DeidError::Table(format!("a value of {column:?} is no number")))?;
    budget.spend(&format!("sum of {column}"), epsilon)?;
    Ok(sum + discrete_laplace(entropy, scale, epsilon))
}

/// Rows by value with noise, for values that are named beforehand: what is listed says nothing of what is there.
///
/// # Errors
/// When the column is not there or the budget does not allow it.
pub fn histogram(
    table: &Table,
    column: &str,
    values: &[String],
    epsilon: u64,
    budget: &mut Budget,
    entropy: &mut dyn FnMut(&mut [u8]),
) -> Result<BTreeMap<String, i128>, DeidError> {
    let place = table.column(column)?;
    // A row stands in one bar only, so all bars together cost what one does.
    budget.spend(&format!("histogram of {column}"), epsilon)?;
    let mut bars: BTreeMap<String, i128> = values.iter().map(|value| (value.clone(), 0)).collect();
    for row in &table.rows {
        if let Some(bar) = bars.get_mut(&row[place]) {
            *bar += 1;
        }
    }
    for bar in bars.values_mut() {
        *bar += discrete_laplace(entropy, 1000, epsilon);
    }
    Ok(bars)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deid::tests::entropy;

    fn table() -> Table {
        let row = |number: usize| vec![["a", "b"][number % 2].to_owned(), number.to_string()];
        Table::new(vec!["kind".into(), "pay".into()], (0..1000).map(row).collect()).unwrap()
    }

    #[test]
    fn answers_are_near_and_are_paid_for() {
        let (table, mut budget, mut entropy) = (table(), Budget::new(3000), entropy(6));
        let near = |found: i128, expected: i128, by: i128| assert!((found - expected).abs() < by, "{found} {expected}");
        near(count(&table, 1000, &mut budget, &mut entropy).unwrap(), 1000, 30);
        near(sum(&table, "pay", (0, 999), 1000, &mut budget, &mut entropy).unwrap(), 499_500, 30_000);
        let bars = histogram(&table, "kind", &["a".into(), "c".into()], 500, &mut budget, &mut entropy).unwrap();
        near(bars["a"], 500, 60);
        near(bars["c"], 0, 60);
        assert!(!bars.contains_key("b"));
        assert_eq!(count(&table, 501, &mut budget, &mut entropy), Err(DeidError::Budget { left: 500 }));
        assert_eq!((budget.left, budget.spent.len()), (500, 3));
    }

    #[test]
    fn what_cannot_be_summed_costs_nothing() {
        let (mut table, mut budget, mut entropy) = (table(), Budget::new(10), entropy(7));
        assert!(sum(&table, "pay", (5, 1), 1, &mut budget, &mut entropy).is_err());
        table.rows[3][1] = "x".into();
        assert!(sum(&table, "pay", (0, 1), 1, &mut budget, &mut entropy).is_err());
        assert_eq!(budget, Budget::new(10));
    }
}
