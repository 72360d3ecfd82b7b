//! Separated values: a head line, then a record a line. A row of another width is that row's fault alone.

use std::{io::Read, sync::Arc};

use vouch_privacy::stream::{CellText, Cells, Decoded, StreamError, VALUE_BYTES_MAX};

use super::{Broken, COLUMNS_MAX, Item, RECORD_BYTES_MAX, REJECTED_COLUMNS};
use crate::{
    Fault, Node, Place, Record,
    reason::{ENCODING, LONG_ROW, LONG_VALUE, NO_HEAD, NO_NAME, RAGGED, SAME_NAME},
    rejected,
};

type Input = Decoded<Box<dyn Read + Send>>;

/// Rows of a table.
pub(super) struct Rows {
    cells: Cells<Input>,
    file: Arc<str>,
    columns: Arc<[String]>,
    /// Whether it is a file of rejected rows: what was written to be safe in a spreadsheet is read back.
    is_rejected: bool,
    record: u64,
}

fn fault_of(file: &str, error: &StreamError) -> Fault {
    let (code, line) = match error {
        StreamError::Io(error) => return Fault::io(file, error),
        StreamError::TooLong { line } => {
            let reason = LONG_VALUE.with(&[&VALUE_BYTES_MAX]);
            return Fault::new("uplink.too_long", format!("{file}, line {line}"), reason);
        }
        StreamError::Format { line, .. } | StreamError::Visitor { line, .. } => ("uplink.format", *line),
        _ => ("uplink.format", 0),
    };
    let text = error.to_string();
    let reason = text.split_once(": ").map_or(text.as_str(), |(_, reason)| reason);
    Fault::new(code, format!("{file}, line {line}"), reason)
}

impl Rows {
    pub(super) fn open(input: Input, file: Arc<str>, separator: Option<char>) -> Result<Self, Fault> {
        let separator = match separator.map(u8::try_from) {
            None => None,
            Some(Ok(byte)) if byte.is_ascii() => Some(byte),
            Some(_) => return Err(Fault::mapping(&*file, "a separator is one ASCII character")),
        };
        let cells = Cells::new(input, separator).map_err(|error| Fault::io(&*file, &error))?;
        let mut rows = Self { cells, file, columns: Arc::from([]), is_rejected: false, record: 0 };
        let head = rows.row()?;
        let head: Vec<String> =
            head.iter().flat_map(|(_, cells)| cells).map(|cell| cell.text.trim().to_owned()).collect();
        check_columns(&rows.file, &head)?;
        rows.is_rejected = REJECTED_COLUMNS.iter().all(|name| head.iter().any(|column| column == name));
        rows.columns = head.into();
        Ok(rows)
    }

    /// The cells of the next line that has any, and the line.
    fn row(&mut self) -> Result<Option<(u64, Vec<CellText>)>, Fault> {
        let mut cells: Vec<CellText> = Vec::with_capacity(self.columns.len());
        let mut bytes = 0;
        while let Some(cell) = self.cells.next_cell().map_err(|error| fault_of(&self.file, &error))? {
            if cell.text.contains('\u{fffd}') && self.cells.get_ref().had_errors {
                return Err(bad_encoding(format!("{}, line {}, column {}", self.file, cell.line, cells.len() + 1)));
            }
            bytes += cell.text.len() as u64;
            let (line, ends_row) = (cell.line, cell.ends_row);
            if cells.len() == COLUMNS_MAX || bytes > RECORD_BYTES_MAX {
                let reason = LONG_ROW.with(&[&COLUMNS_MAX, &(RECORD_BYTES_MAX >> 20)]);
                return Err(Fault::new("uplink.too_long", format!("{}, line {line}", self.file), reason));
            }
            cells.push(cell);
            if !ends_row {
                continue;
            }
            if cells.len() == 1 && cells.first().is_some_and(|cell| cell.is_bare) {
                cells.clear();
                continue;
            }
            return Ok(Some((line, cells)));
        }
        // The last line may end with a separator and nothing behind it.
        Ok((!cells.is_empty()).then(|| (cells.first().map_or(0, |cell| cell.line), cells)))
    }
}

/// Bytes that are no characters, in any format.
pub(super) fn bad_encoding(place: String) -> Fault {
    Fault::new("uplink.encoding", place, ENCODING)
}

/// Every column has a name, and none has another's.
pub(super) fn check_columns(file: &str, head: &[String]) -> Result<(), Fault> {
    let place = || format!("{file}, head line");
    for (index, name) in head.iter().enumerate() {
        if name.is_empty() {
            return Err(Fault::new("uplink.head", place(), NO_NAME.with(&[&(index + 1)])));
        }
        if let Some(other) = head.get(..index).unwrap_or_default().iter().position(|other| other == name) {
            let reason = SAME_NAME.with(&[&(other + 1), &(index + 1)]);
            return Err(Fault::new("uplink.head", place(), reason));
        }
    }
    if head.is_empty() { Err(Fault::new("uplink.empty", place(), NO_HEAD)) } else { Ok(()) }
}

impl Iterator for Rows {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let (_, cells) = match self.row() {
            Ok(Some(row)) => row,
            Ok(None) => return None,
            Err(fault) => return Some(Err(Broken::Stop(fault))),
        };
        self.record += 1;
        let (line, byte) = cells.first().map_or((0, 0), |cell| (cell.line, cell.offset));
        let place = Place { file: Arc::clone(&self.file), sheet: None, record: self.record, line, byte };
        let count = cells.len();
        let node = |cell: CellText| match cell.text {
            text if text.is_empty() => Node::Null,
            text if self.is_rejected => Node::Text(rejected::unguarded(&text).to_owned()),
            text => Node::Text(text),
        };
        let mut values: Vec<Node> = cells.into_iter().map(node).collect();
        let expected = self.columns.len();
        values.resize(expected.max(count), Node::Null);
        let record = Record { place, columns: Arc::clone(&self.columns), values };
        if count == expected {
            return Some(Ok(record));
        }
        let reason = RAGGED.with(&[&count, &expected]);
        let fault = Fault::new("uplink.ragged", record.place.to_string(), reason);
        Some(Err(Broken::Row(Box::new(record), fault)))
    }
}
