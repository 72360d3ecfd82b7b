//! Workbooks (XLSX), row by row: the first row that has cells names the columns.

use std::{io::BufReader, sync::Arc};

use calamine::{Data, DataRef, Reader as _, Xlsx};

#[cfg(feature = "native")]
use super::on_thread;
use super::{
    Broken, COLUMNS_MAX, Item, RECORD_BYTES_MAX, Records,
    csv::check_columns,
    steps::{Out, Steps},
};
use crate::{
    Bytes, Fault, Found, Node, Place, Reason, Record,
    reason::{
        LONG_ROW, NOTHING, SHEET_COLUMNS, SHEET_DAY, SHEET_DIGITS, SHEET_ERROR, SHEET_NONE, SHEET_NUMBER,
        SHEET_OUTSIDE, SHEET_UNKNOWN,
    },
    workbook::check_workbook,
};

/// The day behind 9999-12-31, as workbooks count them.
const DAYS_MAX: f64 = 2_958_466.0;
/// Digits that a number in a workbook keeps.
const DIGITS_MAX: usize = 15;

type Workbook = Xlsx<BufReader<Box<dyn Bytes>>>;

/// A workbook with the records of one sheet.
pub(super) struct Opened {
    pub(super) records: Records,
    /// The names of all its sheets.
    pub(super) sheets: Vec<String>,
}

/// Opens a sheet, the first if none is named. Where there are threads, one of its own reads it.
pub(super) fn open(found: &Found, sheet: Option<&str>) -> Result<Opened, Fault> {
    check_workbook(found.open()?, &found.name)?;
    let file = BufReader::new(found.open()?);
    let workbook: Workbook =
        Xlsx::new(file).map_err(|error| Fault::new("uplink.format", &*found.name, error.to_string()))?;
    let sheets = workbook.sheet_names();
    let sheet = match sheet {
        None => sheets.first().ok_or_else(|| Fault::new("uplink.format", &*found.name, SHEET_NONE))?,
        Some(named) => sheets
            .iter()
            .find(|sheet| *sheet == named)
            .ok_or_else(|| Fault::mapping(&*found.name, SHEET_UNKNOWN.with(&[&named, &sheets.join(", ")])))?,
    };
    let rows = Rows { file: Arc::clone(&found.name), sheet: sheet.as_str().into(), columns: None, first: 0, record: 0 };
    let records = Steps::of(|out| async move {
        if let Err(fault) = read(workbook, rows, &out).await {
            out.give(Err(Broken::Stop(fault))).await;
        }
    });
    #[cfg(feature = "native")]
    let records = on_thread(&found.name, move |send| {
        for item in records {
            if !send(item) {
                return;
            }
        }
    })?;
    #[cfg(not(feature = "native"))]
    let records = Box::new(records);
    Ok(Opened { records, sheets })
}

/// Where cells of a row come to.
struct Rows {
    file: Arc<str>,
    sheet: Arc<str>,
    columns: Option<Arc<[String]>>,
    /// First column that has a name.
    first: usize,
    record: u64,
}

/// The cells of a row that are not empty.
type Cells = Vec<(usize, Node, Option<Fault>)>;

async fn read(mut workbook: Workbook, mut rows: Rows, out: &Out<Item>) -> Result<(), Fault> {
    let place = format!("{}, sheet {}", rows.file, rows.sheet);
    let wrong = |error: calamine::XlsxError| Fault::new("uplink.format", &*place, error.to_string());
    let sheet = Arc::clone(&rows.sheet);
    let mut cells = workbook.worksheet_cells_reader(&sheet).map_err(wrong)?;
    let mut row = Cells::new();
    let (mut at, mut bytes) = (0, 0);
    while let Some(cell) = cells.next_cell().map_err(wrong)? {
        let (line, column) = cell.get_position();
        let column = column as usize;
        if line != at && !row.is_empty() {
            if let Some(item) = rows.take(at, std::mem::take(&mut row))? {
                out.give(item).await;
            }
            bytes = 0;
        }
        at = line;
        // A text that all cells share stands in the workbook once, and in a record as often as it is named.
        bytes += text_bytes(cell.get_value());
        if bytes > RECORD_BYTES_MAX {
            let reason = LONG_ROW.with(&[&COLUMNS_MAX, &(RECORD_BYTES_MAX >> 20)]);
            return Err(Fault::new("uplink.too_long", place, reason));
        }
        let (node, fault) = node_of(cell.get_value());
        if node != Node::Null || fault.is_some() {
            if column >= COLUMNS_MAX {
                return Err(Fault::new("uplink.too_long", place, SHEET_COLUMNS.with(&[&COLUMNS_MAX])));
            }
            row.push((column, node, fault));
        }
    }
    if !row.is_empty()
        && let Some(item) = rows.take(at, row)?
    {
        out.give(item).await;
    }
    if rows.columns.is_none() {
        return Err(Fault::new("uplink.empty", place, NOTHING));
    }
    Ok(())
}

impl Rows {
    /// What a row of cells is; the first is none, it names the columns.
    fn take(&mut self, line: u32, row: Cells) -> Result<Option<Item>, Fault> {
        let Some(columns) = &self.columns else {
            self.first = row.first().map_or(0, |(column, ..)| *column);
            let width = row.last().map_or(0, |(column, ..)| column + 1 - self.first);
            let mut head = vec![String::new(); width];
            for (column, node, _) in row {
                if let Some(slot) = head.get_mut(column - self.first) {
                    *slot = node.text().unwrap_or_default().trim().to_owned();
                }
            }
            check_columns(&format!("{}, sheet {}", self.file, self.sheet), &head)?;
            self.columns = Some(head.into());
            return Ok(None);
        };
        self.record += 1;
        let place = Place {
            file: Arc::clone(&self.file),
            sheet: Some(Arc::clone(&self.sheet)),
            record: self.record,
            line: u64::from(line) + 1,
            byte: 0,
        };
        let mut values = vec![Node::Null; columns.len()];
        let mut broken = None;
        for (column, node, fault) in row {
            let index = column.checked_sub(self.first);
            let slot = index.and_then(|index| values.get_mut(index));
            let name = index.and_then(|index| columns.get(index)).map_or("no name", String::as_str);
            let cell = || place.cell(column, name);
            match slot {
                Some(slot) => *slot = node,
                None => broken = Some(Fault::new("uplink.ragged", cell(), SHEET_OUTSIDE)),
            }
            if let Some(fault) = fault {
                broken = Some(Fault { place: cell(), ..fault });
            }
        }
        let record = Record { place, columns: Arc::clone(columns), values };
        Ok(Some(match broken {
            None => Ok(record),
            Some(fault) => Err(Broken::Row(Box::new(record), fault)),
        }))
    }
}

fn text_bytes(value: &DataRef<'_>) -> u64 {
    let text = match value {
        DataRef::SharedString(text) => text,
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.as_str(),
        _ => "",
    };
    text.len() as u64
}

fn node_of(value: &DataRef<'_>) -> (Node, Option<Fault>) {
    let text = |text: &str| if text.is_empty() { Node::Null } else { Node::Text(text.to_owned()) };
    let fault = |code, reason: Reason| Some(Fault::new(code, String::new(), reason));
    match Data::from(value.clone()) {
        Data::Empty => (Node::Null, None),
        Data::Bool(value) => (Node::Bool(value), None),
        Data::Int(value) => (Node::Number(value.to_string()), None),
        Data::Float(value) if !value.is_finite() => (Node::Null, fault("uplink.number", SHEET_NUMBER.into())),
        Data::Float(value) => {
            let written = format!("{value}");
            let digits = written.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
            let is_cut = value.abs() >= 1e15 || (digits > DIGITS_MAX + 2);
            let cut = || fault("uplink.precision", SHEET_DIGITS.with(&[&DIGITS_MAX]));
            (Node::Number(written), is_cut.then(cut).flatten())
        }
        Data::DateTime(time) if !(0.0..DAYS_MAX).contains(&time.as_f64()) => {
            (Node::Null, fault("uplink.date", SHEET_DAY.into()))
        }
        // Hours without a day, or more of them than a day has.
        Data::DateTime(time) if time.is_duration() || time.as_f64() < 1.0 => {
            let seconds: u64 = format!("{:.0}", time.as_f64() * 86_400.0).parse().unwrap_or(0);
            let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
            (Node::Text(format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)), None)
        }
        Data::DateTime(time) => {
            let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
            let day = format!("{year:04}-{month:02}-{day:02}");
            let has_time = (hour, minute, second) != (0, 0, 0);
            let written = if has_time { format!("{day}T{hour:02}:{minute:02}:{second:02}") } else { day };
            (Node::Text(written), None)
        }
        Data::String(value) | Data::DateTimeIso(value) | Data::DurationIso(value) => (text(&value), None),
        Data::Error(error) => (Node::Null, fault("uplink.number", SHEET_ERROR.with(&[&error]))),
    }
}
