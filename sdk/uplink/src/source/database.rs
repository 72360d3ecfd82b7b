//! SQLite, read only, by a query. With a watermark column a later run goes on behind what the last one read.

use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::{Broken, Item, RECORD_BYTES_MAX, ReadOptions, csv::check_columns, on_thread};
use crate::{Fault, Found, Node, Place, Record};

/// The query's parameter for the watermark.
const AFTER: &str = ":after";

pub(super) fn open(found: &Found, options: &ReadOptions) -> Result<Box<dyn Iterator<Item = Item> + Send>, Fault> {
    let place = found.name.to_string();
    let query = options.query.clone();
    let query = query.ok_or_else(|| Fault::mapping(&place, "a database needs a query in the mapping"))?;
    let wrong = |error: rusqlite::Error| Fault::new("uplink.database", found.name.to_string(), error.to_string());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&found.path, flags).map_err(wrong)?;
    connection.pragma_update(None, "query_only", true).map_err(wrong)?;
    // What a file brings along by itself does not run functions that reach beyond it.
    connection.pragma_update(None, "trusted_schema", false).map_err(wrong)?;
    {
        let statement = connection.prepare(&query).map_err(wrong)?;
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(Fault::mapping(
                &place,
                "the query gives no columns or changes the database; only reading is done",
            ));
        }
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        check_columns(&place, &columns)?;
    }
    let (name, after) = (Arc::clone(&found.name), options.after.clone());
    on_thread(&place, move |send| {
        if let Err(error) = read(&connection, &query, after.as_deref(), &name, send) {
            send(Err(Broken::Stop(Fault::new("uplink.database", name.to_string(), error.to_string()))));
        }
    })
}

/// A mark's text without its kind.
pub(super) fn mark_text(mark: &str) -> &str {
    mark.strip_prefix(['n', 't']).unwrap_or(mark)
}

fn read(
    connection: &Connection,
    query: &str,
    after: Option<&str>,
    name: &Arc<str>,
    send: &dyn Fn(Item) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(query)?;
    let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
    if let Some(index) = statement.parameter_index(AFTER)? {
        let number = after.and_then(|after| after.strip_prefix('n'));
        match (number.and_then(|text| text.parse::<i64>().ok()), number.and_then(|text| text.parse::<f64>().ok())) {
            (Some(number), _) => statement.raw_bind_parameter(index, number)?,
            (None, Some(number)) => statement.raw_bind_parameter(index, number)?,
            (None, None) => statement.raw_bind_parameter(index, after.map(mark_text))?,
        }
    }
    let mut rows = statement.raw_query();
    let mut record = 0;
    while let Some(row) = rows.next()? {
        record += 1;
        let place = Place { file: Arc::clone(name), sheet: None, record, line: 0, byte: 0 };
        let (mut values, mut broken, mut left) = (Vec::with_capacity(columns.len()), None, RECORD_BYTES_MAX);
        for (index, column) in columns.iter().enumerate() {
            values.push(match row.get_ref(index)? {
                ValueRef::Null => Node::Null,
                ValueRef::Integer(value) => Node::Number(value.to_string()),
                ValueRef::Real(value) => Node::Number(value.to_string()),
                ValueRef::Text(bytes) if bytes.len() as u64 > left => {
                    let reason = format!("a row of more than {} MiB", RECORD_BYTES_MAX >> 20);
                    broken = Some(Fault::new("uplink.too_long", place.cell(index, column), reason));
                    Node::Null
                }
                ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => {
                        left -= bytes.len() as u64;
                        Node::Text(text.to_owned())
                    }
                    Err(_) => {
                        broken =
                            Some(Fault::new("uplink.encoding", place.cell(index, column), "text that is not UTF-8"));
                        Node::Null
                    }
                },
                ValueRef::Blob(_) => {
                    broken =
                        Some(Fault::new("uplink.format", place.cell(index, column), "bytes where text is expected"));
                    Node::Null
                }
            });
        }
        let record = Record { place, columns: Arc::clone(&columns), values };
        let item = match broken {
            None => Ok(record),
            Some(fault) => Err(Broken::Row(Box::new(record), fault)),
        };
        if !send(item) {
            return Ok(());
        }
    }
    Ok(())
}
