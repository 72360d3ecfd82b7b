//! Bounds of a workbook, which is an archive: looked at before anything of it is held.

use std::io::{self, Read, Seek, SeekFrom};

use quick_xml::events::Event;
use zip::ZipArchive;

use crate::{
    Fault,
    reason::{BOMB, NOTHING},
};

/// Most files of a folder or archive.
pub(crate) const FILES_MAX: usize = 10_000;
/// Most bytes of a workbook's parts that are held in memory.
const WORKBOOK_BYTES_MAX: u64 = 256 << 20;
/// Most bytes that one byte may unpack to, beyond [`RATIO_FREE_BYTES`].
pub(crate) const RATIO_MAX: u64 = 200;
/// So much may unpack from anything.
pub(crate) const RATIO_FREE_BYTES: u64 = 16 << 20;
/// A text in a workbook's list has at least so many bytes: `<si/>`.
const SHORTEST_TEXT_BYTES: u64 = 5;

pub(crate) fn bomb(name: &str) -> Fault {
    Fault::new("uplink.archive_bomb", name, BOMB)
}

/// Counts what a workbook's parts unpack to, whatever their heads say, and what its reader would hold in memory.
///
/// # Errors
/// `uplink.io`, `uplink.empty`, `uplink.format`, `uplink.archive_bomb`.
pub fn check_workbook(mut file: impl Read + Seek, name: &str) -> Result<(), Fault> {
    let size = file.seek(SeekFrom::End(0)).map_err(|error| Fault::io(name, &error))?;
    if size == 0 {
        return Err(Fault::new("uplink.empty", name, NOTHING));
    }
    let wrong = |error: &dyn std::fmt::Display| Fault::new("uplink.format", name, error.to_string());
    let mut archive = ZipArchive::new(io::BufReader::new(file)).map_err(|error| wrong(&error))?;
    if archive.len() > FILES_MAX {
        return Err(bomb(name));
    }
    let (mut left, mut held) = (size.saturating_mul(RATIO_MAX).max(RATIO_FREE_BYTES), WORKBOOK_BYTES_MAX);
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| wrong(&error))?;
        let part = entry.name().unwrap_or_default().to_ascii_lowercase().replace('\\', "/");
        let streams = is_streamed(&part);
        let limit = if streams { left } else { left.min(held) };
        let mut counted = Counted { inner: entry.by_ref().take(limit.saturating_add(1)), bytes: 0 };
        let said = if part.ends_with("sharedstrings.xml") {
            match said_texts(&mut counted) {
                Ok(said) => said,
                // It is cut where it may not be longer.
                Err(_) if counted.bytes > limit => return Err(bomb(name)),
                Err(error) => return Err(wrong(&error)),
            }
        } else {
            0
        };
        io::copy(&mut counted, &mut io::sink()).map_err(|error| wrong(&error))?;
        left = left.checked_sub(counted.bytes).ok_or_else(|| bomb(name))?;
        if !streams {
            held = held.checked_sub(counted.bytes).ok_or_else(|| bomb(name))?;
        }
        if said > counted.bytes / SHORTEST_TEXT_BYTES {
            return Err(bomb(name));
        }
    }
    Ok(())
}

/// Whether a reader takes a part of a workbook cell by cell. Where texts and styles lie, the workbook itself says: they are told by
/// their names, whatever folder they are in.
fn is_streamed(part: &str) -> bool {
    let last = part.rsplit('/').next().unwrap_or_default();
    let is_held = matches!(last, "sharedstrings.xml" | "styles.xml" | "theme1.xml" | "workbook.xml");
    !is_held && !last.ends_with(".rels") && (part.contains("worksheets/") || part.contains("media/"))
}

/// Counts bytes that are read.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

/// How many texts a workbook's list says that it has, wherever it says so; its reader makes room for as many at once.
fn said_texts(input: &mut impl Read) -> Result<u64, quick_xml::Error> {
    let mut reader = quick_xml::Reader::from_reader(io::BufReader::new(input));
    let (mut buffer, mut said) = (Vec::new(), 0);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer)? {
            Event::Eof => return Ok(said),
            Event::Start(list) | Event::Empty(list) if list.local_name().into_inner() == "sst" => {
                for attribute in list.attributes().with_checks(false).flatten() {
                    let digits = attribute.value.trim();
                    if matches!(attribute.key.into_inner(), "uniqueCount" | "count") {
                        said = said.max(digits.parse().unwrap_or(u64::MAX));
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn workbooks_that_would_fill_memory_are_told() {
        let code = |files: &[(&str, &[u8])]| {
            check_workbook(io::Cursor::new(packed(files)), "w.xlsx").map_err(|fault| fault.code)
        };
        let zeros = vec![b'0'; 300 << 20];
        let names: Vec<String> = (0..FILES_MAX).map(|number| format!("x/{number}")).collect();
        let mut many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"a"[..])).collect();
        assert_eq!(code(&many), Ok(()));
        many.push(("xl/sharedStrings.xml", b"<sst/>"));
        assert_eq!(code(&many), Err("uplink.archive_bomb"));
        // Held in memory wherever they lie: more than is allowed of them, though less than of the whole.
        let mut noise = vec![0; 4 << 20];
        blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut noise);
        for name in ["xl/sharedStrings.xml", "xl/worksheets/sharedStrings.xml", "xl\\worksheets\\Styles.xml"] {
            assert_eq!(code(&[("xl/media/a.png", &noise), (name, &zeros)]), Err("uplink.archive_bomb"), "{name}");
        }
        assert_eq!(code(&[("xl/media/a.png", &noise), ("xl/worksheets/sheet1.xml", &zeros)]), Ok(()));
        let padded = format!("<!--uniqueCount=\"1\" {}--><x:sst uniqueCount = '1000000000000'/>", "-_".repeat(90_000));
        for head in ["<sst uniqueCount=\"1000000000000000\"/>", "<sst count='99999999999999999999999' />", &padded] {
            let told = code(&[("xl/sharedStrings.xml", head.as_bytes())]);
            assert_eq!(told, Err("uplink.archive_bomb"), "{}", &head[..30]);
        }
        assert_eq!(code(&[("xl/sharedStrings.xml", b"<sst uniqueCount=\"1\"><si><t>a</t></si></sst>")]), Ok(()));
    }
}
