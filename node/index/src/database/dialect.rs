//! From the statements as they are written, which SQLite takes, to what PostgreSQL takes.
//!
//! Little differs, because the statements keep to what both understand: `ON CONFLICT` with its target, `CAST` of sums, no
//! functions of dates, no texts within statements. What is left: the marks of values, and a join that keeps its order.

/// A statement in PostgreSQL's words. Values are marked `?1`, `?2`, … or all of them `?`, in order.
pub(crate) fn statement(sql: &str) -> String {
    // For SQLite this keeps the order of a join; for PostgreSQL a setting of the session does.
    let sql = sql.replace("CROSS JOIN", "JOIN");
    let mut text = String::with_capacity(sql.len() + 8);
    let mut unnumbered = 0_u32;
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '?' {
            text.push(character);
            continue;
        }
        text.push('$');
        if !characters.peek().is_some_and(char::is_ascii_digit) {
            unnumbered += 1;
            text.push_str(&unnumbered.to_string());
        }
    }
    text
}

/// A statement that writes one row, as one that writes many: each value becomes a column of values of its type. `INSERT … VALUES
/// (…)`, or `UPDATE … SET … WHERE …` with every value numbered.
pub(crate) fn bulk(sql: &str, types: &[&str]) -> Option<String> {
    let columns = (1..=types.len()).map(|number| format!("c{number}")).collect::<Vec<_>>().join(", ");
    let arrays = types.iter().zip(1..).map(|(kind, number)| format!("${number}::{kind}[]")).collect::<Vec<_>>();
    let rows = format!("unnest({}) AS v({columns})", arrays.join(", "));
    let named = |text: &str| text.replace('?', "v.c");
    if let Some((head, tail)) = sql.split_once(" VALUES (") {
        let (values, rest) = tail.split_once(')')?;
        return Some(format!("{head} SELECT {} FROM {rows}{rest}", named(values)));
    }
    let (head, condition) = sql.split_once(" WHERE ")?;
    Some(format!("{} FROM {rows} WHERE {}", named(head), named(condition)))
}

/// The table that a statement writes.
pub(crate) fn table(sql: &str) -> &str {
    let after = ["INSERT INTO ", "UPDATE ", "DELETE FROM "].iter().find_map(|verb| sql.strip_prefix(verb));
    after.and_then(|rest| rest.split(['(', ' ']).next()).unwrap_or_default()
}

/// The tables in PostgreSQL's words.
pub(crate) fn tables(sql: &str) -> String {
    let types = [(" WITHOUT ROWID", ""), ("INTEGER", "BIGINT"), ("BLOB", "BYTEA"), ("TEXT", "BYTEA")];
    types.iter().fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_joins_and_types_are_put_into_other_words() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT 1"),
            ("SELECT a FROM t WHERE b = ?2 AND c = ?1 LIMIT ?12", "SELECT a FROM t WHERE b = $2 AND c = $1 LIMIT $12"),
            ("a = ? AND b IN (?, ?) LIMIT ?", "a = $1 AND b IN ($2, $3) LIMIT $4"),
            ("FROM a CROSS JOIN b ON b.n = a.n", "FROM a JOIN b ON b.n = a.n"),
        ] {
            assert_eq!(statement(sql), expected);
        }
        let types = ["bigint", "bytea"];
        for (sql, expected) in [
            (
                "INSERT INTO t(a, b) VALUES (?1, ?2) ON CONFLICT(a) DO NOTHING",
                "INSERT INTO t(a, b) SELECT v.c1, v.c2 FROM unnest($1::bigint[], $2::bytea[]) AS v(c1, c2) ON CONFLICT(a) DO NOTHING",
            ),
            (
                "INSERT INTO t(a, c, b) VALUES (?1, 0, ?2)",
                "INSERT INTO t(a, c, b) SELECT v.c1, 0, v.c2 FROM unnest($1::bigint[], $2::bytea[]) AS v(c1, c2)",
            ),
            (
                "UPDATE t SET b = ?2 WHERE t.a = ?1",
                "UPDATE t SET b = v.c2 FROM unnest($1::bigint[], $2::bytea[]) AS v(c1, c2) WHERE t.a = v.c1",
            ),
        ] {
            assert_eq!(bulk(sql, &types).unwrap(), expected);
            assert_eq!(table(sql), "t");
        }
        assert_eq!(table("DELETE FROM doc_public WHERE n = ?1"), "doc_public");
        let table = "CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB, c TEXT) WITHOUT ROWID;";
        assert_eq!(tables(table), "CREATE TABLE t(a BIGINT PRIMARY KEY, b BYTEA, c BYTEA);");
    }
}
