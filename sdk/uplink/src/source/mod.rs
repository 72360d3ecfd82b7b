//! Sources as streams of records, in bounded memory, each with its exact place.

mod csv;
#[cfg(feature = "native")]
mod database;
#[cfg(feature = "native")]
mod files;
mod guard;
mod json;
#[cfg(not(feature = "native"))]
mod nowhere;
#[cfg(feature = "native")]
mod postgres;
#[cfg(feature = "workbooks")]
mod sheet;
#[cfg(feature = "workbooks")]
mod steps;
mod xml;

#[cfg(feature = "native")]
use std::sync::mpsc;
use std::{
    io::{BufReader, Cursor, Read},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use vouch_privacy::stream::{Decoded, Encoding};

#[cfg(feature = "native")]
pub(crate) use self::postgres::address;
#[cfg(feature = "native")]
use crate::{Budget, budget::Held};
use crate::{
    Fault, Found, Record,
    kept::Kept,
    reason::{NO_TEXT, NOTHING},
};

/// Most bytes of one record.
pub const RECORD_BYTES_MAX: u64 = 8 << 20;
/// Most columns of a table.
pub const COLUMNS_MAX: usize = 4_096;
/// Deepest nesting of JSON and XML.
pub const DEPTH_MAX: usize = 32;
/// So much of a file is looked at to tell what it is.
pub const BEGINNING_BYTES: u64 = 64 << 10;
/// Records that a reader on a thread of its own may be ahead, and their bytes.
#[cfg(feature = "native")]
const AHEAD: usize = 256;
#[cfg(feature = "native")]
const AHEAD_BYTES: u64 = 32 << 20;
/// Most bytes of what is kept of a source while a run works on it.
pub(crate) const KEPT_BYTES_MAX: u64 = 16 << 30;
/// Columns of a file with rejected rows that are not the source's own.
pub const REJECTED_COLUMNS: [&str; 3] = ["_place", "_code", "_reason"];

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Separated values with a head line.
    Csv,
    /// An array of JSON, or one value after another (NDJSON).
    Json,
    /// XML.
    Xml,
    /// A workbook.
    Xlsx,
    /// An SQLite database.
    Sqlite,
    /// A connection to a PostgreSQL server.
    Postgres,
    /// Any other file: a record by itself, with name and size.
    File,
}

/// How a source is read, where it cannot be told from the source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// What the text is written in.
    pub encoding: Option<Encoding>,
    /// Between cells of CSV.
    pub separator: Option<char>,
    /// Sheet of a workbook; the first if left out.
    pub sheet: Option<String>,
    /// Where records are: path to the array in JSON, name of the element in XML.
    pub records: Option<String>,
    /// The query of a database.
    pub query: Option<String>,
    /// Column of the query that only grows.
    pub watermark: Option<String>,
    /// Up to where a query's watermark column was read before.
    pub after: Option<String>,
    /// Read the file as a record by itself, whatever is in it.
    pub whole: bool,
}

/// A record, or why there is none.
pub type Item = Result<Record, Broken>;

type Records = Box<dyn Iterator<Item = Item> + Send>;

/// What cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// This record; the next may be good.
    Row(Box<Record>, Fault),
    /// The source from here on.
    Stop(Fault),
}

/// Records of one source, one after the other; nothing after a [`Broken::Stop`].
pub struct Reader {
    inner: Records,
    sheets: Vec<String>,
    stopped: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Iterator for Reader {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.stopped {
            return None;
        }
        let item = self.inner.next();
        self.stopped = matches!(item, None | Some(Err(Broken::Stop(_))));
        item
    }
}

impl Reader {
    /// Opens a source.
    ///
    /// # Errors
    /// `uplink.io`, `uplink.empty`, and what the format's beginning shows.
    pub fn open(found: &Found, options: &ReadOptions) -> Result<Self, Fault> {
        #[cfg_attr(not(feature = "workbooks"), expect(unused_mut, reason = "only workbooks have sheets"))]
        let mut sheets = Vec::new();
        let inner: Records = match if options.whole { Kind::File } else { found.kind } {
            Kind::Csv => {
                Box::new(csv::Rows::open(decoded(found, options)?, Arc::clone(&found.name), options.separator)?)
            }
            Kind::Json => Box::new(json::Values::open(
                decoded(found, options)?,
                Arc::clone(&found.name),
                options.records.as_deref(),
            )?),
            Kind::Xml => Box::new(xml::Elements::open(
                decoded(found, options)?,
                Arc::clone(&found.name),
                options.records.clone(),
            )),
            #[cfg(feature = "workbooks")]
            Kind::Xlsx => {
                let opened = sheet::open(found, options.sheet.as_deref())?;
                sheets = opened.sheets;
                opened.records
            }
            #[cfg(feature = "native")]
            Kind::Sqlite => database::open(found, options)?,
            #[cfg(feature = "native")]
            Kind::Postgres => postgres::open(found, options)?,
            #[cfg(feature = "native")]
            Kind::File => Box::new(files::record(found)),
            #[cfg(not(feature = "native"))]
            _ => return Err(nowhere::unread(&found.name)),
        };
        Ok(Self { inner, sheets, stopped: false })
    }

    /// The names of a workbook's sheets, in its order; of other sources none.
    #[must_use]
    pub fn sheets(&self) -> &[String] {
        &self.sheets
    }

    /// Reads what was kept before.
    pub(crate) fn kept(kept: &Kept) -> Self {
        Self { inner: kept.rows(), sheets: Vec::new(), stopped: false }
    }
}

type Text = BufReader<Decoded<Box<dyn Read + Send>>>;

/// The text of a file, in its encoding.
fn decoded(found: &Found, options: &ReadOptions) -> Result<Decoded<Box<dyn Read + Send>>, Fault> {
    let place = || found.name.to_string();
    let mut file = found.open()?;
    let mut beginning = Vec::new();
    file.by_ref().take(BEGINNING_BYTES).read_to_end(&mut beginning).map_err(|error| Fault::io(place(), &error))?;
    if beginning.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::new("uplink.empty", place(), NOTHING));
    }
    let encoding = match options.encoding {
        Some(encoding) => encoding,
        None => guess_encoding(found, &beginning)?,
    };
    if !matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be) && beginning.contains(&0) {
        return Err(Fault::new("uplink.format", place(), NO_TEXT));
    }
    Ok(Decoded::new(Box::new(Cursor::new(beginning).chain(file)), encoding))
}

/// By what stands at the beginning; where that is plain ASCII, by the first bytes that are not.
pub(crate) fn guess_encoding(found: &Found, beginning: &[u8]) -> Result<Encoding, Fault> {
    if let Some(declared) = xml::declared_encoding(beginning) {
        return Ok(declared);
    }
    if !beginning.is_ascii() {
        return Ok(Encoding::guess(beginning));
    }
    let mut file = found.open()?;
    let mut piece = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut piece).map_err(|error| Fault::io(&*found.name, &error))?;
        let read = piece.get(..count).unwrap_or_default();
        if count == 0 {
            return Ok(Encoding::Utf8);
        }
        if let Some(at) = read.iter().position(|byte| !byte.is_ascii()) {
            return Ok(Encoding::guess(read.get(at..).unwrap_or_default()));
        }
    }
}

/// Runs a reader that borrows from what it reads on a thread of its own.
#[cfg(feature = "native")]
fn on_thread(name: &str, work: impl FnOnce(&dyn Fn(Item) -> bool) + Send + 'static) -> Result<Records, Fault> {
    let (sender, receiver) = mpsc::sync_channel(AHEAD);
    let budget = Budget::new(AHEAD_BYTES);
    let run = move || {
        work(&|item| {
            let held = budget.take(weight_of(&item));
            sender.send(Said::Item { item, _held: held }).is_ok()
        });
        let _ = sender.send(Said::End);
    };
    std::thread::Builder::new().name("uplink-reader".into()).spawn(run).map_err(|error| Fault::io(name, &error))?;
    let (name, mut is_over) = (name.to_owned(), false);
    Ok(Box::new(std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let said = receiver.recv();
        is_over = !matches!(said, Ok(Said::Item { .. }));
        match said {
            Ok(Said::Item { item, .. }) => Some(item),
            Ok(Said::End) => None,
            Err(_) => Some(Err(Broken::Stop(Fault::io(&name, &"the reader broke off before the end")))),
        }
    })))
}

/// What a reader's thread says. Only an end that is said is one.
#[cfg(feature = "native")]
enum Said {
    /// With its share of memory, given back when the record is taken.
    Item {
        item: Item,
        _held: Held,
    },
    End,
}

#[cfg(feature = "native")]
fn weight_of(item: &Item) -> u64 {
    match item {
        Ok(record) => record.weight(),
        Err(Broken::Row(record, _)) => record.weight(),
        Err(Broken::Stop(_)) => 0,
    }
}

#[cfg(test)]
mod tests;
