//! Files that hold others or are no plain text, for `vouch scan` and `vouch deid`: workbooks as one table a sheet, PDF as its text,
//! ZIP archives file by file. What is taken out lies in files without a name; bounds hold whatever the file says of itself.
//!
//! ```text
//! path --its first bytes--> workbook: each sheet as CSV | PDF: text of all pages | ZIP: each file, looked at again | plain
//! ```

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Read, Seek as _, Write as _},
    path::Path,
};

use calamine::{Data, Reader as _, Xlsx};
use lopdf::{DecompressError, Document, Error as PdfError, LoadOptions};
use vouch_privacy::stream::Format;
use zip::{ZipArchive, result::ZipError};

use super::{
    output::Refused,
    source::{ReadArgs, Source},
};

/// Most files of an archive.
const FILES_MAX: usize = 10_000;
/// Most bytes of an archive's files together, and of one table or text.
const UNPACKED_BYTES_MAX: u64 = 16 << 30;
/// Most bytes that one byte may unpack to, beyond [`RATIO_FREE_BYTES`].
const RATIO_MAX: u64 = 200;
/// So much may unpack from anything.
const RATIO_FREE_BYTES: u64 = 16 << 20;
/// Most columns of a sheet.
const COLUMNS_MAX: u32 = 16_384;
/// Most bytes of a PDF, which is held in memory.
const PDF_BYTES_MAX: u64 = 256 << 20;
/// Most bytes that one stream of a PDF may unpack to.
const PDF_STREAM_BYTES_MAX: usize = 64 << 20;
/// Most bytes of text of a PDF.
const PDF_TEXT_BYTES_MAX: u64 = 256 << 20;
/// Deep nesting in a PDF needs stack, not more than this.
const PDF_STACK_BYTES: usize = 64 << 20;
/// How office formats of old begin, which are also what an encrypted workbook looks like.
const OLD_OFFICE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// What a file is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Text by itself.
    None,
    /// A workbook.
    Workbook,
    /// A PDF.
    Pdf,
    /// An archive.
    Zip,
}

/// Sees each part; with an error only that part is at fault.
pub type Visit<'a> = &'a mut dyn FnMut(&str, anyhow::Result<Source>) -> anyhow::Result<()>;

fn refused(code: &str, detail: impl std::fmt::Display, name: &str) -> anyhow::Error {
    Refused::error(code, detail.to_string(), name.to_owned())
}

fn failed(name: &str) -> impl Fn(io::Error) -> anyhow::Error {
    move |error| refused("stream.io", error, name)
}

/// What a file is, by its beginning; text where it was said how to read it.
///
/// # Errors
/// `stream.io`, `stream.encrypted`, `stream.format` for an archive without a directory.
pub fn kind(path: &Path, args: ReadArgs) -> anyhow::Result<Container> {
    if path == Path::new("-") || args.names_format() {
        return Ok(Container::None);
    }
    let name = path.display().to_string();
    kind_of(&mut File::open(path).map_err(failed(&name))?, &name)
}

fn kind_of(file: &mut File, name: &str) -> anyhow::Result<Container> {
    let mut beginning = Vec::new();
    (&*file).take(8).read_to_end(&mut beginning).map_err(failed(name))?;
    file.rewind().map_err(failed(name))?;
    if beginning == OLD_OFFICE {
        let reason = "a file of an old office format, or a workbook with a password; save it without one, as XLSX";
        return Err(refused("stream.encrypted", reason, name));
    }
    if beginning.starts_with(b"%PDF-") {
        return Ok(Container::Pdf);
    }
    if !(beginning.starts_with(b"PK\x03\x04") || beginning.starts_with(b"PK\x05\x06")) {
        return Ok(Container::None);
    }
    let archive = archive(file.try_clone().map_err(failed(name))?, name)?;
    let is_workbook = archive.index_for_name("xl/workbook.xml").is_some();
    file.rewind().map_err(failed(name))?;
    Ok(if is_workbook { Container::Workbook } else { Container::Zip })
}

fn archive(file: File, name: &str) -> anyhow::Result<ZipArchive<File>> {
    let archive = ZipArchive::new(file).map_err(|error| zip_fault(&error, name))?;
    if archive.len() > FILES_MAX {
        return Err(refused("stream.bomb", format!("more than {FILES_MAX} files"), name));
    }
    Ok(archive)
}

fn zip_fault(error: &ZipError, name: &str) -> anyhow::Error {
    let is_locked = matches!(error, ZipError::UnsupportedArchive(_) | ZipError::InvalidPassword);
    refused(if is_locked { "stream.encrypted" } else { "stream.format" }, error, name)
}

fn bomb(name: &str) -> anyhow::Error {
    refused("stream.bomb", "it unpacks to far more than a file of its size should", name)
}

/// So much may come out of a file.
fn allowance(file: &File, name: &str) -> anyhow::Result<u64> {
    let packed = file.metadata().map_err(failed(name))?.len();
    Ok(packed.saturating_mul(RATIO_MAX).clamp(RATIO_FREE_BYTES, UNPACKED_BYTES_MAX))
}

/// Takes files apart.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// How text is read.
    pub args: ReadArgs,
    /// Where what was taken out lies while it is looked at.
    pub folder: &'a Path,
}

impl Parts<'_> {
    /// Shows what is in a file, part by part.
    ///
    /// # Errors
    /// `stream.*` when the whole cannot be looked into, and what `visit` says.
    pub fn each(self, path: &Path, visit: Visit<'_>) -> anyhow::Result<()> {
        let name = path.display().to_string();
        if kind(path, self.args)? == Container::None {
            return visit(&name, Source::open(path, self.args));
        }
        self.each_of(File::open(path).map_err(failed(&name))?, &name, 0, visit)
    }

    fn each_of(self, mut file: File, name: &str, depth: u32, visit: Visit<'_>) -> anyhow::Result<()> {
        match kind_of(&mut file, name)? {
            Container::None => visit(name, Source::of(Box::new(file), name, self.args)),
            Container::Pdf => visit(name, self.pdf(file, name)),
            Container::Workbook => {
                check_workbook(&file, name)?;
                file.rewind().map_err(failed(name))?;
                self.sheets(file, name, visit)
            }
            Container::Zip if depth > 0 => {
                Err(refused("stream.archive", "an archive within an archive is not taken apart", name))
            }
            Container::Zip => self.unzip(&file, name, visit),
        }
    }

    fn unzip(self, file: &File, name: &str, visit: Visit<'_>) -> anyhow::Result<()> {
        let mut archive = archive(file.try_clone().map_err(failed(name))?, name)?;
        let mut left = allowance(file, name)?;
        let mut seen = BTreeSet::new();
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(|error| zip_fault(&error, name))?;
            if entry.is_dir() {
                continue;
            }
            if entry.encrypted() {
                return Err(refused("stream.encrypted", "a file in it has a password", name));
            }
            let inner = entry.enclosed_name().filter(|_| !entry.is_symlink());
            let inner = inner.map(|inner| inner.to_string_lossy().replace('\\', "/"));
            let Some(inner) = inner.filter(|inner| !inner.is_empty() && seen.insert(inner.clone())) else {
                let reason = "a name in it leads out of the archive, stands twice, or is a link";
                return Err(refused("stream.archive", reason, name));
            };
            let part = format!("{name}/{inner}");
            let mut out = tempfile::tempfile_in(self.folder).map_err(failed(&part))?;
            let copied = io::copy(&mut entry.take(left.saturating_add(1)), &mut out);
            let copied = copied.map_err(|error| refused("stream.format", error, &part))?;
            left = left.checked_sub(copied).ok_or_else(|| bomb(name))?;
            out.rewind().map_err(failed(&part))?;
            if let Err(error) = self.each_of(out, &part, 1, visit) {
                visit(&part, Err(error))?;
            }
        }
        Ok(())
    }

    /// Each sheet as a table: the first row that has cells is its head.
    fn sheets(self, file: File, name: &str, visit: Visit<'_>) -> anyhow::Result<()> {
        let wrong = |error: calamine::XlsxError| refused("stream.format", error, name);
        let left = allowance(&file, name)?;
        let mut workbook: Xlsx<_> = Xlsx::new(io::BufReader::new(file)).map_err(wrong)?;
        for sheet in workbook.sheet_names() {
            let part = format!("{name}/{sheet}.csv");
            match self.table(&mut workbook, &sheet, (&part, left)) {
                Ok(None) => {}
                Ok(Some(text)) => visit(&part, Ok(Source::converted(text, &part, Format::Csv, Vec::new())))?,
                Err(error) => visit(&part, Err(error))?,
            }
        }
        Ok(())
    }

    /// A sheet as CSV; nothing for one without cells.
    fn table(
        self,
        workbook: &mut Xlsx<io::BufReader<File>>,
        sheet: &str,
        (part, left): (&str, u64),
    ) -> anyhow::Result<Option<File>> {
        let wrong = |error: calamine::XlsxError| refused("stream.format", error, part);
        let width = width_of(workbook, sheet).map_err(wrong)?;
        if width == 0 {
            return Ok(None);
        }
        if width > COLUMNS_MAX {
            return Err(refused("stream.too_long", format!("more than {COLUMNS_MAX} columns"), part));
        }
        let mut out = Rows {
            out: BufWriter::new(tempfile::tempfile_in(self.folder).map_err(failed(part))?),
            width,
            is_head: true,
            left,
        };
        let (mut row, mut at): (Vec<(u32, String)>, u32) = (Vec::new(), 0);
        let mut cells = workbook.worksheet_cells_reader(sheet).map_err(wrong)?;
        while let Some(cell) = cells.next_cell().map_err(wrong)? {
            let (line, column) = cell.get_position();
            if line != at {
                out.write(std::mem::take(&mut row), part)?;
                at = line;
            }
            let text = text_of(&Data::from(cell.get_value().clone()));
            if !text.is_empty() {
                row.push((column, text));
            }
        }
        out.write(row, part)?;
        let mut file = out.out.into_inner().map_err(|error| failed(part)(error.into_error()))?;
        file.rewind().map_err(failed(part))?;
        Ok(Some(file))
    }

    /// The text of a PDF, page after page.
    fn pdf(self, file: File, name: &str) -> anyhow::Result<Source> {
        let bytes = file.metadata().map_err(failed(name))?.len();
        if bytes > PDF_BYTES_MAX {
            return Err(refused("stream.too_long", format!("a PDF of more than {} MiB", PDF_BYTES_MAX >> 20), name));
        }
        let out = tempfile::tempfile_in(self.folder).map_err(failed(name))?;
        // Whatever a file made to break its reader does, it ends with this thread.
        let read =
            std::thread::Builder::new().name("pdf".into()).stack_size(PDF_STACK_BYTES).spawn(move || text(file, out));
        let read = read.map_err(failed(name))?.join();
        let (file, pages) = match read {
            Ok(Ok(text)) => text,
            Ok(Err((code, reason))) => return Err(refused(code, reason, name)),
            Err(_) => {
                return Err(refused("stream.format", "the PDF is broken in a way that its reader cannot tell", name));
            }
        };
        Ok(Source::converted(file, name, Format::Text, pages))
    }
}

/// Bounds of a workbook, as bulk uplink has them.
fn check_workbook(file: &File, name: &str) -> anyhow::Result<()> {
    let file = file.try_clone().map_err(failed(name))?;
    vouch_uplink::check_workbook(file, name).map_err(|fault| {
        let code = if fault.code == "uplink.archive_bomb" { "stream.bomb" } else { "stream.format" };
        refused(code, fault.reason, name)
    })
}

/// Columns of a sheet, from the first to the last that has a cell.
fn width_of(workbook: &mut Xlsx<io::BufReader<File>>, sheet: &str) -> Result<u32, calamine::XlsxError> {
    let mut width = 0;
    let mut cells = workbook.worksheet_cells_reader(sheet)?;
    while let Some(cell) = cells.next_cell()? {
        width = width.max(cell.get_position().1.saturating_add(1));
    }
    Ok(width)
}

/// Writes rows of one width; columns without a name get the sheet's letter.
struct Rows {
    out: BufWriter<File>,
    width: u32,
    is_head: bool,
    /// Bytes that may still be written: a few cells far apart could fill a disk.
    left: u64,
}

impl Rows {
    fn write(&mut self, mut row: Vec<(u32, String)>, part: &str) -> anyhow::Result<()> {
        if row.is_empty() {
            return Ok(());
        }
        row.sort_by_key(|(column, _)| *column);
        let mut row = row.into_iter().peekable();
        let mut line = String::new();
        for column in 0..self.width {
            let mut text = String::new();
            while let Some((_, cell)) = row.next_if(|(at, _)| *at <= column) {
                text.push_str(&cell);
            }
            if text.is_empty() && self.is_head {
                text = letters(column);
            }
            line.push_str(if column > 0 { ",\"" } else { "\"" });
            line.push_str(&text.replace('"', "\"\""));
            line.push('"');
        }
        line.push('\n');
        self.is_head = false;
        self.left = self.left.checked_sub(line.len() as u64).ok_or_else(|| bomb(part))?;
        self.out.write_all(line.as_bytes()).map_err(failed(part))
    }
}

fn letters(column: u32) -> String {
    let (mut left, mut out) = (column + 1, String::new());
    while left > 0 {
        let letter = u8::try_from((left - 1) % 26).unwrap_or(0);
        out.insert(0, char::from(b'A' + letter));
        left = (left - 1) / 26;
    }
    out
}

fn text_of(value: &Data) -> String {
    match value {
        Data::Empty => String::new(),
        Data::Bool(value) => value.to_string(),
        Data::Int(value) => value.to_string(),
        Data::Float(value) => value.to_string(),
        Data::DateTime(time) => {
            let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        }
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Error(error) => error.to_string(),
    }
}

type Wrong = (&'static str, String);

fn pdf_fault(error: &PdfError) -> Wrong {
    let reason = error.to_string();
    match error {
        PdfError::Decompress(DecompressError::MemoryLimitExceeded { .. } | DecompressError::TooManyFilters { .. }) => {
            ("stream.bomb", reason)
        }
        PdfError::InvalidPassword | PdfError::Decryption(_) => ("stream.encrypted", reason),
        _ => ("stream.format", reason),
    }
}

/// Text of all pages, and the lines on which they begin.
fn text(file: File, out: File) -> Result<(File, Vec<u64>), Wrong> {
    let failed = |error: io::Error| ("stream.io", error.to_string());
    let options = LoadOptions::with_max_decompressed_size(PDF_STREAM_BYTES_MAX);
    let document = Document::load_from_with_options(file, options).map_err(|error| pdf_fault(&error))?;
    if document.is_encrypted() {
        return Err(("stream.encrypted", "the PDF has a password".into()));
    }
    let mut out = BufWriter::new(out);
    let (mut pages, mut line, mut bytes, mut has_text) = (Vec::new(), 1_u64, 0_u64, false);
    for page in document.get_pages().keys().take(FILES_MAX) {
        pages.push(line);
        for piece in document.extract_text_chunks_with_limit(&[*page], PDF_STREAM_BYTES_MAX) {
            let piece = piece.map_err(|error| match pdf_fault(&error) {
                ("stream.format", reason) => ("stream.no_text", format!("page {page}: {reason}")),
                other => other,
            })?;
            has_text |= !piece.trim().is_empty();
            bytes += piece.len() as u64;
            if bytes > PDF_TEXT_BYTES_MAX {
                return Err(("stream.bomb", format!("more than {} MiB of text", PDF_TEXT_BYTES_MAX >> 20)));
            }
            line += piece.bytes().filter(|byte| *byte == b'\n').count() as u64;
            out.write_all(piece.as_bytes()).map_err(failed)?;
        }
        out.write_all(b"\n").map_err(failed)?;
        line += 1;
    }
    if !has_text {
        return Err(("stream.no_text", "no page has text; pictures are not read".into()));
    }
    let mut file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.rewind().map_err(failed)?;
    Ok((file, pages))
}

#[cfg(test)]
pub(in crate::commands) mod tests;
