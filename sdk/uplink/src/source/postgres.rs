//! PostgreSQL, read only, by a query. Rows come as the server's own JSON: numbers keep every digit, times their offset, and what
//! is nested stays so. With a watermark column a later run goes on behind what the last one read.
//!
//! ```text
//! connection file, password elsewhere --TLS--> read-only transaction --portal, some rows at a time--> rows
//! ```

mod query;

use std::sync::Arc;

use bytes::BytesMut;
use postgres::{
    Client, Config, Error, IsolationLevel, NoTls, Statement, Transaction,
    fallible_iterator::FallibleIterator as _,
    types::{Format, IsNull, ToSql, Type, to_sql_checked},
};
use vouch_postgres::{ServerError, ServerFile, said};

use self::query::with_after;
use super::{Broken, Item, RECORD_BYTES_MAX, ReadOptions, csv::check_columns, database::mark_text, json, on_thread};
use crate::{Fault, Found, Node, Place, Record};

/// Rows that the server gives at a time.
const FETCH: i32 = 200;
/// What a session is like, so that texts do not depend on the server's configuration.
const SESSION: &str = "SET TIME ZONE 'UTC'; SET datestyle TO 'ISO, YMD'; SET intervalstyle TO 'iso_8601'; \
    SET extra_float_digits TO 1; SET bytea_output TO 'hex'";

/// What is asked of a server.
struct Asked {
    server: ServerFile,
    query: String,
    watermark: Option<String>,
    after: Option<String>,
    place: String,
}

/// A watermark as text: the server reads it as the column's type.
#[derive(Debug)]
struct Mark(Option<String>);

impl ToSql for Mark {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl Asked {
    fn new(found: &Found, options: &ReadOptions) -> Result<Self, Fault> {
        let place = found.name.to_string();
        let query = options.query.clone();
        let query = query.ok_or_else(|| Fault::mapping(&place, "a database needs a query in the mapping"))?;
        let server = ServerFile::read(&found.path, &place).map_err(unreachable)?;
        // The server reads the text as the column's type, whatever kind it was here.
        let after = options.after.as_deref().map(|after| mark_text(after).to_owned());
        Ok(Self { server, query, watermark: options.watermark.clone(), after, place })
    }

    fn failed(&self, error: &Error) -> Fault {
        let said = said(error);
        Fault::new(if said.is_of_server { "uplink.connection" } else { "uplink.database" }, &self.place, said.text)
    }

    fn connect(&self) -> Result<Client, Fault> {
        let mut config = Config::from(self.server.config("vouch doc uplink").map_err(unreachable)?);
        // What a server remarks may be about what is in its tables.
        config.notice_callback(|_| ());
        let client = if self.server.is_plain() {
            config.connect(NoTls)
        } else {
            config.connect(self.server.tls().map_err(unreachable)?)
        };
        let mut client = client.map_err(|error| self.failed(&error))?;
        client.batch_execute(SESSION).map_err(|error| self.failed(&error))?;
        Ok(client)
    }

    /// Asks, and gives columns and then each row's JSON; stops when one of the two says so.
    fn fetch(
        &self,
        columns: &mut dyn FnMut(Arc<[String]>) -> bool,
        row: &mut dyn FnMut(u64, &str) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let mut client = self.connect()?;
        let start = client.build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead).start();
        let mut transaction = start.map_err(|error| self.failed(&error))?;
        let (names, statement, takes_mark) = self.prepare(&mut transaction)?;
        if !columns(names) {
            return Ok(());
        }
        let mark = Mark(self.after.clone());
        let parameters: &[&(dyn ToSql + Sync)] = if takes_mark { &[&mark] } else { &[] };
        let portal = transaction.bind(&statement, parameters).map_err(|error| self.failed(&error))?;
        let mut record = 0;
        loop {
            let mut count = 0;
            let mut rows = transaction.query_portal_raw(&portal, FETCH).map_err(|error| self.failed(&error))?;
            while let Some(found) = rows.next().map_err(|error| self.failed(&error))? {
                (count, record) = (count + 1, record + 1);
                let text: &str = found.try_get(0).map_err(|error| self.failed(&error))?;
                if text.len() as u64 > RECORD_BYTES_MAX {
                    let place = format!("{}, record {record}", self.place);
                    let reason = format!("a row of more than {} MiB", RECORD_BYTES_MAX >> 20);
                    return Err(Fault::new("uplink.too_long", place, reason));
                }
                if !row(record, text)? {
                    return Ok(());
                }
            }
            if count < FETCH {
                return Ok(());
            }
        }
    }

    /// Names of the columns, the statement, and whether it takes the watermark.
    fn prepare(&self, transaction: &mut Transaction<'_>) -> Result<(Arc<[String]>, Statement, bool), Fault> {
        let (plain, uses_after) = with_after(&self.query, "NULL");
        let plain = transaction.prepare(&plain).map_err(|error| self.failed(&error))?;
        let names: Vec<String> = plain.columns().iter().map(|column| column.name().to_owned()).collect();
        if names.is_empty() {
            return Err(Fault::mapping(&self.place, "the query gives no columns; only reading is done"));
        }
        check_columns(&self.place, &names)?;
        if !plain.params().is_empty() {
            return Err(Fault::mapping(&self.place, "the query takes a parameter beside :after"));
        }
        if let Some(bytes) = plain.columns().iter().find(|column| *column.type_() == Type::BYTEA) {
            let reason = format!("column {} holds bytes; leave it out of the query", bytes.name());
            return Err(Fault::mapping(&self.place, reason));
        }
        let mut types = Vec::new();
        if let Some(watermark) = self.watermark.as_ref().filter(|_| uses_after) {
            let column = plain.columns().iter().find(|column| column.name() == watermark);
            let column = column.ok_or_else(|| {
                Fault::mapping(&self.place, format!("the query gives no watermark column {watermark}"))
            })?;
            types.push(column.type_().clone());
        }
        let (query, _) = with_after(&self.query, if types.is_empty() { "NULL" } else { "$1" });
        let query = query.trim_end().trim_end_matches(';');
        // A row that is longer than it may be is cut by the server, not held here.
        let text = format!(
            "SELECT left(to_json(vouch_rows)::text, {}) FROM (\n{query}\n) AS vouch_rows",
            RECORD_BYTES_MAX + 1
        );
        let statement = transaction.prepare_typed(&text, &types).map_err(|error| self.failed(&error))?;
        Ok((names.into(), statement, !types.is_empty()))
    }
}

/// No connection can be made.
fn unreachable(error: ServerError) -> Fault {
    Fault::new(if error.is_io { "uplink.io" } else { "uplink.connection" }, error.place, error.reason)
}

/// A row's JSON as a record.
fn item(name: &Arc<str>, columns: &Arc<[String]>, number: u64, text: &str) -> Item {
    let place = Place { file: Arc::clone(name), sheet: None, record: number, line: 0, byte: 0 };
    let made = |values| Record { place: place.clone(), columns: Arc::clone(columns), values };
    match json::value(text, name) {
        Ok(Node::Map(mut entries)) => {
            let mut take = |column: &String| {
                let at = entries.iter().position(|(name, _)| name == column);
                at.map_or(Node::Null, |at| entries.swap_remove(at).1)
            };
            Ok(made(columns.iter().map(&mut take).collect()))
        }
        Ok(_) => Err(Broken::Stop(Fault::new("uplink.database", place.to_string(), "a row is no object"))),
        Err(fault) => {
            let record = made(vec![Node::Null; columns.len()]);
            Err(Broken::Row(Box::new(record), Fault::new(fault.code, place.to_string(), fault.reason)))
        }
    }
}

/// Which database a connection file names.
pub(crate) fn address(found: &Found) -> Result<String, Fault> {
    Ok(ServerFile::read(&found.path, &found.name).map_err(unreachable)?.address())
}

/// Rows as the server gives them.
pub(super) fn open(found: &Found, options: &ReadOptions) -> Result<Box<dyn Iterator<Item = Item> + Send>, Fault> {
    let (asked, name) = (Asked::new(found, options)?, Arc::clone(&found.name));
    on_thread(&found.name, move |send| {
        let known = std::cell::OnceCell::new();
        let mut columns = |columns: Arc<[String]>| known.set(columns).is_ok();
        let mut row = |number, text: &str| {
            let Some(columns) = known.get() else { return Ok(false) };
            Ok(send(item(&name, columns, number, text)))
        };
        if let Err(fault) = asked.fetch(&mut columns, &mut row) {
            send(Err(Broken::Stop(fault)));
        }
    })
}
