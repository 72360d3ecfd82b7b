//! Workbooks (XLSX), row by row: the first row that has cells names the columns.

use std::{fs::File, io::BufReader, sync::Arc};

use calamine::{Data, DataRef, Reader as _, Xlsx};

use super::{Broken, COLUMNS_MAX, Item, csv::check_columns, on_thread};
use crate::{Fault, Found, Node, Place, Record, archive};

/// The day behind 9999-12-31, as workbooks count them.
const DAYS_MAX: f64 = 2_958_466.0;
/// Digits that a number in a workbook keeps.
const DIGITS_MAX: usize = 15;

pub(super) fn open(found: &Found, sheet: Option<String>) -> Result<Box<dyn Iterator<Item = Item> + Send>, Fault> {
    let open = || File::open(&found.path).map_err(|error| Fault::io(&*found.name, &error));
    archive::check_workbook(open()?, &found.name)?;
    let file = open()?;
    let wrong = |error: &dyn std::fmt::Display| Fault::new("uplink.format", &*found.name, error.to_string());
    let workbook: Xlsx<_> = Xlsx::new(BufReader::new(file)).map_err(|error| wrong(&error))?;
    let sheets = workbook.sheet_names();
    let sheet = match sheet {
        None => sheets.first().cloned().ok_or_else(|| wrong(&"there is no sheet in it"))?,
        Some(named) if sheets.contains(&named) => named,
        Some(named) => {
            return Err(Fault::mapping(
                &*found.name,
                format!("there is no sheet {named}; there are: {}", sheets.join(", ")),
            ));
        }
    };
    let name = Arc::clone(&found.name);
    on_thread(&found.name, move |send| {
        if let Err(fault) = read(workbook, &name, &sheet, send) {
            send(Err(Broken::Stop(fault)));
        }
    })
}

struct Rows<'a> {
    file: &'a Arc<str>,
    sheet: Arc<str>,
    columns: Option<Arc<[String]>>,
    /// First column that has a name.
    first: usize,
    record: u64,
}

fn read(
    mut workbook: Xlsx<BufReader<File>>,
    file: &Arc<str>,
    sheet: &str,
    send: &dyn Fn(Item) -> bool,
) -> Result<(), Fault> {
    let place = || format!("{file}, sheet {sheet}");
    let wrong = |error: calamine::XlsxError| Fault::new("uplink.format", place(), error.to_string());
    let mut cells = workbook.worksheet_cells_reader(sheet).map_err(wrong)?;
    let mut rows = Rows { file, sheet: sheet.into(), columns: None, first: 0, record: 0 };
    let mut row: Vec<(usize, Node, Option<Fault>)> = Vec::new();
    let mut at = 0;
    while let Some(cell) = cells.next_cell().map_err(wrong)? {
        let (line, column) = cell.get_position();
        let column = column as usize;
        if line != at && !row.is_empty() && !rows.take(at, std::mem::take(&mut row), send)? {
            return Ok(());
        }
        at = line;
        let (node, fault) = node_of(cell.get_value());
        if node != Node::Null || fault.is_some() {
            if column >= COLUMNS_MAX {
                return Err(Fault::new("uplink.too_long", place(), format!("more than {COLUMNS_MAX} columns")));
            }
            row.push((column, node, fault));
        }
    }
    if !row.is_empty() {
        rows.take(at, row, send)?;
    }
    if rows.columns.is_none() {
        return Err(Fault::new("uplink.empty", place(), "there is nothing in it"));
    }
    Ok(())
}

impl Rows<'_> {
    /// A row of cells; whether to go on.
    fn take(
        &mut self,
        line: u32,
        row: Vec<(usize, Node, Option<Fault>)>,
        send: &dyn Fn(Item) -> bool,
    ) -> Result<bool, Fault> {
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
            return Ok(true);
        };
        self.record += 1;
        let place = Place {
            file: Arc::clone(self.file),
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
                None => {
                    broken = Some(Fault::new("uplink.ragged", cell(), "a cell outside the columns of the head line"));
                }
            }
            if let Some(fault) = fault {
                broken = Some(Fault { place: cell(), ..fault });
            }
        }
        let record = Record { place, columns: Arc::clone(columns), values };
        Ok(send(match broken {
            None => Ok(record),
            Some(fault) => Err(Broken::Row(Box::new(record), fault)),
        }))
    }
}

fn node_of(value: &DataRef<'_>) -> (Node, Option<Fault>) {
    let text = |text: &str| if text.is_empty() { Node::Null } else { Node::Text(text.to_owned()) };
    let fault = |code, reason: String| Some(Fault::new(code, String::new(), reason));
    match Data::from(value.clone()) {
        Data::Empty => (Node::Null, None),
        Data::Bool(value) => (Node::Bool(value), None),
        Data::Int(value) => (Node::Number(value.to_string()), None),
        Data::Float(value) if !value.is_finite() => {
            (Node::Null, fault("uplink.number", "a number that is none".into()))
        }
        Data::Float(value) => {
            let written = format!("{value}");
            let digits = written.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
            let is_cut = value.abs() >= 1e15 || (digits > DIGITS_MAX + 2);
            let reason = format!(
                "a number of more than {DIGITS_MAX} digits, of which a workbook loses some; make the column text"
            );
            (Node::Number(written), is_cut.then(|| Fault::new("uplink.precision", String::new(), reason)))
        }
        Data::DateTime(time) if !(0.0..DAYS_MAX).contains(&time.as_f64()) => {
            (Node::Null, fault("uplink.date", "a day that a workbook does not have".into()))
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
        Data::Error(error) => (Node::Null, fault("uplink.number", format!("the cell shows the error {error}"))),
    }
}
