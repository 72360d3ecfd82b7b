//! Rows that wait to be written together: one statement of many rows costs a server little more than one of one.

use std::collections::HashMap;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::{Value, dialect};
use crate::IndexError;

/// Rows of one kind that are sent at the latest.
const ROWS_MAX: usize = 4_000;

/// Values of one column.
#[derive(Debug)]
pub(super) enum Column {
    Ints(Vec<Option<i64>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Column {
    fn of(kind: &Type) -> Self {
        if *kind == Type::INT8 { Self::Ints(Vec::new()) } else { Self::Bytes(Vec::new()) }
    }

    /// Sets the value of a row; one behind the last is a new one.
    fn set(&mut self, row: usize, value: &Value<'_>) -> Result<(), IndexError> {
        match (self, value) {
            (Self::Ints(column), Value::Null) => put(column, row, None),
            (Self::Ints(column), Value::Int(number)) => put(column, row, Some(*number)),
            (Self::Bytes(column), Value::Null) => put(column, row, None),
            (Self::Bytes(column), Value::Bytes(bytes)) => put(column, row, Some(bytes.to_vec())),
            (Self::Bytes(column), Value::Text(text)) => put(column, row, Some(text.as_bytes().to_vec())),
            (Self::Ints(_), Value::Bytes(_) | Value::Text(_)) | (Self::Bytes(_), Value::Int(_)) => {
                return Err(IndexError::Damaged("a column is of another type than the tables say".into()));
            }
        }
        Ok(())
    }
}

fn put<T>(column: &mut Vec<T>, row: usize, value: T) {
    match column.get_mut(row) {
        Some(place) => *place = value,
        None => column.push(value),
    }
}

impl ToSql for Column {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Ints(column) => column.to_sql(kind, out),
            Self::Bytes(column) => column.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::INT8_ARRAY || *kind == Type::BYTEA_ARRAY
    }

    to_sql_checked!();
}

/// Rows of one statement.
struct Kind {
    sql: &'static str,
    types: Vec<&'static str>,
    columns: Vec<Column>,
    count: usize,
    /// Of an `UPDATE`: which row has which key.
    keys: Option<HashMap<i64, usize>>,
}

/// Rows by statement.
#[derive(Default)]
pub(super) struct Gathered(Vec<Kind>);

impl Gathered {
    /// Adds a row; whether there are now so many of its kind that they should be sent.
    pub(super) fn add(&mut self, sql: &'static str, types: &[Type], values: &[Value<'_>]) -> Result<bool, IndexError> {
        let place = self.0.iter().position(|kind| kind.sql == sql).unwrap_or_else(|| {
            let name = |kind: &Type| if *kind == Type::INT8 { "bigint" } else { "bytea" };
            self.0.push(Kind {
                sql,
                types: types.iter().map(name).collect(),
                columns: types.iter().map(Column::of).collect(),
                count: 0,
                keys: sql.starts_with("UPDATE ").then(HashMap::new),
            });
            self.0.len() - 1
        });
        let Some(kind) = self.0.get_mut(place) else { return Ok(false) };
        let row = match (&mut kind.keys, values.first()) {
            (Some(keys), Some(Value::Int(key))) => *keys.entry(*key).or_insert(kind.count),
            _ => kind.count,
        };
        for (column, value) in kind.columns.iter_mut().zip(values) {
            column.set(row, value)?;
        }
        kind.count = kind.count.max(row + 1);
        Ok(kind.count >= ROWS_MAX)
    }

    /// Whether rows of a table wait.
    pub(super) fn has(&self, table: &str) -> bool {
        self.0.iter().any(|kind| dialect::table(kind.sql) == table)
    }

    /// All of them as statements with their columns: first what is new, then what changes.
    pub(super) fn take(&mut self) -> Vec<(String, Vec<Column>)> {
        let (changes, new): (Vec<Kind>, Vec<Kind>) =
            std::mem::take(&mut self.0).into_iter().partition(|k| k.keys.is_some());
        let kinds = new.into_iter().chain(changes);
        kinds.filter_map(|kind| Some((dialect::bulk(kind.sql, &kind.types)?, kind.columns))).collect()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_gathered_and_the_last_change_of_a_key_counts() {
        const NEW: &str = "INSERT INTO t(a, b) VALUES (?1, ?2)";
        const CHANGE: &str = "UPDATE t SET b = ?2 WHERE t.a = ?1";
        let types = [Type::INT8, Type::BYTEA];
        let mut gathered = Gathered::default();
        for (sql, key, text) in [(CHANGE, 1, "x"), (NEW, 2, "y"), (CHANGE, 2, "z"), (CHANGE, 1, "w")] {
            assert!(!gathered.add(sql, &types, &[Value::Int(key), Value::Text(text)]).unwrap());
        }
        assert!(gathered.has("t") && !gathered.has("u"));
        assert!(gathered.add(NEW, &types, &[Value::Text("no number"), Value::Null]).is_err());
        let mut gathered = Gathered::default();
        for (sql, key, text) in [(CHANGE, 1, "x"), (NEW, 2, "y"), (CHANGE, 2, "z"), (CHANGE, 1, "w")] {
            assert!(!gathered.add(sql, &types, &[Value::Int(key), Value::Text(text)]).unwrap());
        }
        let taken = gathered.take();
        let texts: Vec<String> = taken.iter().map(|(sql, columns)| format!("{} {columns:?}", &sql[..6])).collect();
        let bytes = |texts: &[&str]| Column::Bytes(texts.iter().map(|text| Some(text.as_bytes().to_vec())).collect());
        let expected = [
            ("INSERT", vec![Column::Ints(vec![Some(2)]), bytes(&["y"])]),
            ("UPDATE", vec![Column::Ints(vec![Some(1), Some(2)]), bytes(&["w", "z"])]),
        ];
        assert_eq!(texts, expected.map(|(verb, columns)| format!("{verb} {columns:?}")));
        assert!(gathered.take().is_empty());
        let full = (1..=ROWS_MAX).map(|row| gathered.add(NEW, &types, &[Value::Int(row as i64), Value::Null]).unwrap());
        assert_eq!(full.filter(|is_full| *is_full).count(), 1);
    }
}
