//! Files of the kinds that operators have.

use std::{fmt::Write as _, fs, path::Path};

use encoding_rs::GB18030;
use rust_xlsxwriter::Workbook;

use crate::MonthError;

/// Separated values, `\r\n` at the end of lines as spreadsheets write.
pub(crate) fn table(separator: char, rows: &[Vec<String>]) -> String {
    let mut out = String::new();
    for row in rows {
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                out.push(separator);
            }
            if cell.contains([separator, '"', '\n']) {
                let _ = write!(out, "\"{}\"", cell.replace('"', "\"\""));
            } else {
                out.push_str(cell);
            }
        }
        out.push_str("\r\n");
    }
    out
}

pub(crate) fn gbk(path: &Path, text: &str) -> Result<(), MonthError> {
    let (bytes, ..) = GB18030.encode(text);
    Ok(fs::write(path, bytes)?)
}

/// A workbook of texts: long numbers keep their digits.
pub(crate) fn workbook(path: &Path, sheet: &str, rows: &[Vec<String>]) -> Result<(), MonthError> {
    let mut book = Workbook::new();
    // The time of its making would make two months of one seed differ.
    let made = rust_xlsxwriter::ExcelDateTime::from_ymd(2026, 10, 31)?;
    book.set_properties(&rust_xlsxwriter::DocProperties::new().set_creation_datetime(&made));
    let page = book.add_worksheet().set_name(sheet)?;
    for (line, row) in (0..).zip(rows) {
        for (column, cell) in (0..).zip(row) {
            page.write_string(line, column, cell)?;
        }
    }
    Ok(book.save(path)?)
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page of text as PDF 1.4, with the reader's own font for Chinese.
pub(crate) fn pdf(path: &Path, lines: &[String]) -> Result<(), MonthError> {
    let mut content = String::from("BT /F1 12 Tf 60 780 Td 20 TL\n");
    for line in lines {
        let hex: String = line.encode_utf16().map(|unit| format!("{unit:04X}")).collect();
        let _ = writeln!(content, "<{hex}> Tj T*");
    }
    content.push_str("ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [6 0 R] >>".to_owned(),
        "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) \
         /Supplement 2 >> /FontDescriptor 7 0 R >>"
            .to_owned(),
        "<< /Type /FontDescriptor /FontName /STSong-Light /Flags 4 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880 \
         /Descent -120 /CapHeight 880 /StemV 93 >>"
            .to_owned(),
    ];
    let mut out = String::from("%PDF-1.4\n");
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(out.len());
        let _ = write!(out, "{number} 0 obj\n{object}\nendobj\n");
    }
    let at = out.len();
    let _ = write!(out, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for place in places {
        let _ = writeln!(out, "{place:010} 00000 n ");
    }
    let _ = write!(out, "trailer << /Size {} /Root 1 0 R >>\nstartxref\n{at}\n%%EOF\n", objects.len() + 1);
    Ok(fs::write(path, out)?)
}

/// A grey image as PNG that looks like a blurred scan: light paper, dark lines by the seed.
pub(crate) fn scan(path: &Path, seed: u64) -> Result<(), MonthError> {
    const WIDTH: usize = 64;
    const HEIGHT: usize = 40;
    let mut raw = Vec::with_capacity((WIDTH + 1) * HEIGHT);
    for y in 0..HEIGHT {
        raw.push(0);
        for x in 0..WIDTH {
            let mixed = (seed ^ ((x as u64) << 7) ^ ((y as u64) << 17)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59;
            let is_ink = y % 8 == 3 && x > 6 && x < WIDTH - 6 - usize::try_from(seed % 20).unwrap_or(0);
            let base: u8 = if is_ink { 60 } else { 214 };
            raw.push(base + u8::try_from(mixed).unwrap_or(0));
        }
    }
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let size = |number: usize| u32::try_from(number).unwrap_or(0).to_be_bytes();
    let head = [&size(WIDTH)[..], &size(HEIGHT), &[8, 0, 0, 0, 0]].concat();
    let length = u16::try_from(raw.len()).unwrap_or(0);
    let stored =
        [&[0x78, 1, 1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), &raw, &adler(&raw).to_be_bytes()].concat();
    for (kind, data) in [(b"IHDR", head), (b"IDAT", stored), (b"IEND", Vec::new())] {
        let body = [&kind[..], &data].concat();
        out.extend(size(data.len()));
        out.extend(&body);
        out.extend(crc(&body).to_be_bytes());
    }
    Ok(fs::write(path, out)?)
}

fn adler(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    (b << 16) | a
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_known_ones() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler(b"Wikipedia"), 0x11e6_0398);
    }
}
