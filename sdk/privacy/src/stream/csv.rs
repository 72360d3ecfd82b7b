//! Separated values (RFC 4180): comma, semicolon, tab or bar, found from the head line.

use std::io::{self, BufRead, Read as _};

use super::{StreamError, VALUE_BYTES_MAX, Visitor, Walker};

/// Most bytes of the head line that are looked at for the separator.
const SNIFF_BYTES: u64 = 64 << 10;
/// Most columns.
const COLUMNS_MAX: usize = 4096;

/// A cell as it was read.
#[derive(Default)]
struct Cell {
    /// With quotes and all.
    raw: Vec<u8>,
    /// What ended it: a separator, the bytes of a line's end, nothing at the end of the file.
    end: Vec<u8>,
}

#[derive(Clone, Copy)]
enum State {
    Start,
    Plain,
    Quoted,
    /// Behind a quote within a quoted cell: another one, or the end.
    Quote,
}

pub(super) fn walk<V: Visitor>(input: &mut impl BufRead, walker: &mut Walker<'_, V>) -> Result<(), StreamError> {
    let mut head = Vec::new();
    let mut line = Vec::new();
    input.by_ref().take(SNIFF_BYTES).read_until(b'\n', &mut line)?;
    let separator = sniff(&line);
    let input = &mut line.as_slice().chain(input);
    let mut columns: Vec<String> = Vec::new();
    let mut column = 0;
    while let Some(cell) = next(input, separator, walker.line)? {
        let ends_line = cell.end != [separator];
        let value = plain(&cell.raw, walker.line)?;
        if walker.record == 0 {
            walker.name(&value);
            head.push(value);
            if head.len() > COLUMNS_MAX {
                return Err(StreamError::Format { line: 1, why: format!("more than {COLUMNS_MAX} columns") });
            }
            walker.write(&cell.raw)?;
            if ends_line {
                columns = std::mem::take(&mut head);
                walker.begin_record();
            }
        } else if column == 0 && ends_line && cell.raw.is_empty() {
            // An empty line is no record.
            walker.write(&cell.raw)?;
        } else {
            let name = columns.get(column).ok_or_else(|| StreamError::Format {
                line: walker.line,
                why: format!("more cells than the {} columns of the head", columns.len()),
            })?;
            let replaced = walker.show(Some(name), (walker.line, walker.offset), &value)?;
            match replaced {
                Some(text) => walker.write(quoted(&text, separator, cell.raw.starts_with(b"\"")).as_bytes())?,
                None => walker.write(&cell.raw)?,
            }
            column += 1;
            if ends_line {
                column = 0;
                walker.begin_record();
            }
        }
        walker.write(&cell.end)?;
        walker.pass(&cell.raw);
        walker.pass(&cell.end);
    }
    Ok(())
}

/// The separator that stands most often in the head line.
fn sniff(line: &[u8]) -> u8 {
    let count = |separator: &u8| line.iter().filter(|byte| *byte == separator).count();
    b",;\t|".iter().copied().max_by_key(|separator| (count(separator), *separator == b',')).unwrap_or(b',')
}

/// Reads the next cell; nothing at the end of the file.
fn next(input: &mut impl BufRead, separator: u8, line: u64) -> Result<Option<Cell>, StreamError> {
    let (mut cell, mut state) = (Cell::default(), State::Start);
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return match state {
                State::Quoted => Err(StreamError::Format { line, why: "a quote is not closed".to_owned() }),
                State::Start => Ok(None),
                State::Plain | State::Quote => Ok(Some(cell)),
            };
        }
        let mut taken = 0;
        let mut is_done = false;
        for byte in available {
            taken += 1;
            state = match (state, *byte) {
                (State::Quoted, b'"') => State::Quote,
                (State::Quoted, _) | (State::Start | State::Quote, b'"') => State::Quoted,
                (_, byte) if byte == separator || byte == b'\n' => {
                    is_done = true;
                    cell.end.push(byte);
                    break;
                }
                (State::Quote, b'\r') => State::Quote,
                (State::Quote, _) => {
                    return Err(StreamError::Format { line, why: "text behind a closed quote".to_owned() });
                }
                (State::Start | State::Plain, _) => State::Plain,
            };
            cell.raw.push(*byte);
        }
        input.consume(taken);
        if cell.raw.len() > VALUE_BYTES_MAX {
            return Err(StreamError::TooLong { line });
        }
        if is_done {
            if cell.end == b"\n" && cell.raw.ends_with(b"\r") {
                cell.raw.pop();
                cell.end = b"\r\n".to_vec();
            }
            return Ok(Some(cell));
        }
    }
}

/// The value of a cell.
fn plain(raw: &[u8], line: u64) -> Result<String, StreamError> {
    let text = std::str::from_utf8(raw).map_err(|_| StreamError::Format { line, why: "not UTF-8".to_owned() })?;
    let inner = text.strip_prefix('"').and_then(|text| text.trim_end_matches('\r').strip_suffix('"'));
    Ok(inner.map_or_else(|| text.to_owned(), |inner| inner.replace("\"\"", "\"")))
}

/// A table cell by cell, for who takes rows and does not write them again.
#[derive(Debug)]
pub struct Cells<R> {
    input: io::Chain<io::Cursor<Vec<u8>>, R>,
    separator: u8,
    line: u64,
    offset: u64,
}

/// A cell with its place in the decoded text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellText {
    /// Its value, without quotes.
    pub text: String,
    /// Whether it is the last of its row.
    pub ends_row: bool,
    /// Whether nothing stands there, not even quotes.
    pub is_bare: bool,
    /// Line on which it begins, from 1.
    pub line: u64,
    /// First byte.
    pub offset: u64,
}

impl<R: BufRead> Cells<R> {
    /// Reads UTF-8 with a separator, or with the one that the first line speaks for.
    ///
    /// # Errors
    /// When reading fails.
    pub fn new(mut input: R, separator: Option<u8>) -> io::Result<Self> {
        let mut first = Vec::new();
        input.by_ref().take(SNIFF_BYTES).read_until(b'\n', &mut first)?;
        let separator = separator.unwrap_or_else(|| sniff(&first));
        Ok(Self { input: io::Cursor::new(first).chain(input), separator, line: 1, offset: 0 })
    }

    /// The next cell; nothing at the end.
    ///
    /// # Errors
    /// [`StreamError::Format`], [`StreamError::TooLong`], or when reading fails.
    pub fn next_cell(&mut self) -> Result<Option<CellText>, StreamError> {
        let Some(cell) = next(&mut self.input, self.separator, self.line)? else { return Ok(None) };
        let (line, offset) = (self.line, self.offset);
        let text = plain(&cell.raw, line)?;
        let ends_row = cell.end != [self.separator];
        for bytes in [&cell.raw, &cell.end] {
            self.offset += bytes.len() as u64;
            self.line += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        Ok(Some(CellText { text, ends_row, is_bare: cell.raw.is_empty(), line, offset }))
    }

    /// What lies beneath, to ask whether everything was text.
    #[must_use]
    pub fn get_ref(&self) -> &R {
        self.input.get_ref().1
    }
}

fn quoted(text: &str, separator: u8, was_quoted: bool) -> String {
    let needs_quotes = was_quoted || text.contains(['"', '\n', '\r', char::from(separator)]);
    if needs_quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
