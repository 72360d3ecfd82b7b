//! What is at a path: a file, the files of a folder, the files in a ZIP archive. Archives are taken apart within bounds into a
//! folder of the run's own, because workbooks and databases need to be read at any place.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Component, Path},
};

use quick_xml::events::Event;
use vouch_privacy::stream::{Decoded, Encoding};
use zip::ZipArchive;

use crate::{
    Fault, Found, Mapping, Original,
    found::HEAD_BYTES,
    source::{self, Kind},
};

/// Most files of a folder or archive.
const FILES_MAX: usize = 10_000;
/// Most bytes of an archive's files together.
const UNPACKED_BYTES_MAX: u64 = 16 << 30;
/// Most bytes of a workbook's parts that are held in memory.
const WORKBOOK_BYTES_MAX: u64 = 256 << 20;
/// Most bytes that one byte may unpack to, beyond [`RATIO_FREE_BYTES`].
const RATIO_MAX: u64 = 200;
/// So much may unpack from anything.
const RATIO_FREE_BYTES: u64 = 16 << 20;
/// A text in a workbook's list has at least so many bytes: `<si/>`.
const SHORTEST_TEXT_BYTES: u64 = 5;

impl Found {
    /// Under which name is kept how far a mapping has read this database. Another file, server or query begins anew: rows that are
    /// on the chain already are passed over.
    ///
    /// # Errors
    /// `uplink.io`; `uplink.connection` for a connection file that cannot be read.
    pub fn mark_name(&self, mapping: &Mapping) -> Result<String, Fault> {
        let place = if self.kind == Kind::Postgres {
            source::address(self)?
        } else {
            let beside = self.beside.canonicalize().map_err(|error| Fault::io(&*self.name, &error))?;
            let inner = if self.path == self.beside { "" } else { &*self.name };
            format!("{}{}{inner}", beside.display(), if inner.is_empty() { "" } else { " " })
        };
        let asked = serde_json::json!([mapping.query, mapping.watermark]).to_string();
        let hash = hex::encode(&blake3::hash(asked.as_bytes()).as_bytes()[..8]);
        Ok(format!("{} {hash} {place}", mapping.schema))
    }
}

/// Finds all files of a path in order of name. Files in archives are written below `unpacked`.
///
/// # Errors
/// `uplink.io`, `uplink.archive_*`, `uplink.encrypted`.
pub fn discover(path: &Path, unpacked: &Path) -> Result<Vec<Found>, Fault> {
    let mut found = Vec::new();
    let place = path.display().to_string();
    let data = fs::metadata(path).map_err(|error| Fault::io(&place, &error))?;
    if data.is_dir() {
        walk(path, path, unpacked, &mut found)?;
        if found.is_empty() {
            return Err(Fault::new("uplink.empty", place, "there is no file in it"));
        }
    } else if data.is_file() {
        let name = path.file_name().map_or_else(|| place.clone(), |name| name.to_string_lossy().into_owned());
        take(path, &name, unpacked, &mut found)?;
        if found.is_empty() {
            return Err(Fault::new("uplink.empty", place, "there is no file in it"));
        }
    } else {
        return Err(Fault::io(place, &"a pipe or device can be read once only; write it to a file first"));
    }
    Ok(found)
}

fn walk(base: &Path, folder: &Path, unpacked: &Path, found: &mut Vec<Found>) -> Result<(), Fault> {
    let failed = |error: &io::Error| Fault::io(folder.display().to_string(), error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(&error))? {
        entries.push(entry.map_err(|error| failed(&error))?);
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (kind, path) = (entry.file_type().map_err(|error| failed(&error))?, entry.path());
        let name = path.strip_prefix(base).unwrap_or(&path).to_string_lossy().into_owned();
        let is_ours = Original::of(&name).is_some() || entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_symlink() || is_ours {
            continue;
        }
        if kind.is_dir() {
            walk(base, &path, unpacked, found)?;
        } else if kind.is_file() {
            take(&path, &name, unpacked, found)?;
        }
    }
    Ok(())
}

fn take(path: &Path, name: &str, unpacked: &Path, found: &mut Vec<Found>) -> Result<(), Fault> {
    if found.len() >= FILES_MAX {
        return Err(Fault::new("uplink.archive_bomb", name, format!("more than {FILES_MAX} files")));
    }
    match kind_of(path, name)? {
        Some(kind) => {
            found.push(Found { path: path.to_owned(), name: name.into(), kind, beside: path.to_owned(), held: None });
            Ok(())
        }
        None => unpack(path, name, unpacked, found),
    }
}

/// What a file is; `None` for an archive.
fn kind_of(path: &Path, name: &str) -> Result<Option<Kind>, Fault> {
    let mut beginning = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut beginning));
    read.map_err(|error| Fault::io(name, &error))?;
    Kind::of(&beginning, name)
}

fn archive(path: &Path, name: &str) -> Result<ZipArchive<io::BufReader<File>>, Fault> {
    let file = File::open(path).map_err(|error| Fault::io(name, &error))?;
    ZipArchive::new(io::BufReader::new(file)).map_err(|error| Fault::new("uplink.format", name, error.to_string()))
}

fn bomb(name: &str) -> Fault {
    Fault::new("uplink.archive_bomb", name, "it unpacks to far more than a file of its size should")
}

fn unpack(path: &Path, name: &str, unpacked: &Path, found: &mut Vec<Found>) -> Result<(), Fault> {
    let mut archive = archive(path, name)?;
    if archive.len() > FILES_MAX {
        return Err(Fault::new("uplink.archive_bomb", name, format!("more than {FILES_MAX} files")));
    }
    let packed = fs::metadata(path).map_err(|error| Fault::io(name, &error))?.len();
    let mut left = packed.saturating_mul(RATIO_MAX).clamp(RATIO_FREE_BYTES, UNPACKED_BYTES_MAX);
    let folder = tempfile::Builder::new().prefix("zip-").tempdir_in(unpacked);
    let folder = folder.map_err(|error| Fault::io(unpacked.display().to_string(), &error))?.keep();
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| {
            let code = if matches!(
                error,
                zip::result::ZipError::UnsupportedArchive(_) | zip::result::ZipError::InvalidPassword
            ) {
                "uplink.encrypted"
            } else {
                "uplink.format"
            };
            Fault::new(code, name, error.to_string())
        })?;
        if entry.is_dir() {
            continue;
        }
        if entry.encrypted() {
            return Err(Fault::new("uplink.encrypted", name, "a file in it has a password"));
        }
        let Some(inner) = inner_name(entry.name_raw()).filter(|_| !entry.is_symlink()) else {
            let reason = "a name in it leads out of the archive, is no text, or is a link";
            return Err(Fault::new("uplink.archive_path", name, reason));
        };
        let target = folder.join(&inner);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| Fault::io(name, &error))?;
        }
        let mut out = File::create_new(&target).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Fault::new("uplink.archive_path", format!("{name}/{inner}"), "the name stands twice in the archive")
            }
            _ => Fault::io(format!("{name}/{inner}"), &error),
        })?;
        let copied = io::copy(&mut entry.take(left.saturating_add(1)), &mut out);
        let copied =
            copied.map_err(|error| Fault::new("uplink.format", format!("{name}/{inner}"), error.to_string()))?;
        out.flush().map_err(|error| Fault::io(name, &error))?;
        left = left.checked_sub(copied).ok_or_else(|| bomb(name))?;
        files.push((target, format!("{name}/{inner}")));
    }
    files.sort();
    for (target, inner) in files {
        let kind = kind_of(&target, &inner)?;
        let Some(kind) = kind else {
            return Err(Fault::new("uplink.archive_bomb", inner, "an archive within an archive is not taken apart"));
        };
        if kind == Kind::Postgres {
            return Err(Fault::new("uplink.connection", inner, "a server named within an archive is not connected to"));
        }
        found.push(Found { path: target, name: inner.into(), kind, beside: path.to_owned(), held: None });
    }
    Ok(())
}

/// A name within an archive as a path below it. What is not UTF-8 was packed on a Chinese Windows.
fn inner_name(raw: &[u8]) -> Option<String> {
    let name = match std::str::from_utf8(raw) {
        Ok(name) => name.to_owned(),
        Err(_) => {
            let (mut decoded, mut name) = (Decoded::new(raw, Encoding::Gb18030), String::new());
            decoded.read_to_string(&mut name).ok().filter(|_| !decoded.had_errors)?;
            name
        }
    };
    let name = name.replace('\\', "/");
    let mut parts = Path::new(&name).components().peekable();
    let is_below = parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    (is_below && !name.contains('\0')).then_some(name)
}

/// Counts what a workbook's parts unpack to, whatever their heads say, and what its reader would hold in memory.
///
/// # Errors
/// `uplink.empty`, `uplink.format`, `uplink.archive_bomb`.
pub fn check_workbook(file: File, name: &str) -> Result<(), Fault> {
    let size = file.metadata().map_err(|error| Fault::io(name, &error))?.len();
    if size == 0 {
        return Err(Fault::new("uplink.empty", name, "there is nothing in it"));
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
    use super::*;

    fn packed(path: &Path, files: &[(&str, &[u8])]) {
        let mut writer = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, bytes) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn workbooks_that_would_fill_memory_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.xlsx");
        let code = |files: &[(&str, &[u8])]| {
            packed(&path, files);
            check_workbook(File::open(&path).unwrap(), "w.xlsx").map_err(|fault| fault.code)
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

    #[test]
    fn archives_are_taken_apart_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let (path, unpacked) = (folder.path().join("m.zip"), folder.path().join("tmp"));
        fs::create_dir(&unpacked).unwrap();
        packed(&path, &[("b/订单.csv", b"a\n1\n"), ("a.json", b"[]")]);
        let found = discover(&path, &unpacked).unwrap();
        let names: Vec<&str> = found.iter().map(|found| &*found.name).collect();
        assert_eq!(names, ["m.zip/a.json", "m.zip/b/订单.csv"]);
        assert!(found.iter().all(|found| found.beside == path));

        let code = |files: &[(&str, &[u8])]| {
            packed(&path, files);
            discover(&path, &unpacked).unwrap_err().code
        };
        assert_eq!(code(&[("zeros.csv", &vec![b'0'; 64 << 20])]), "uplink.archive_bomb");
        assert_eq!(code(&[("../out.csv", b"a")]), "uplink.archive_path");
        assert_eq!(code(&[("a.csv", b"a"), ("./a.csv", b"b")]), "uplink.archive_path");
        assert_eq!(code(&[]), "uplink.empty");
        // The flag for a password, in both places where it stands.
        packed(&path, &[("a.csv", b"a\n1\n")]);
        let mut locked = fs::read(&path).unwrap();
        let directory = locked.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        locked[6] |= 1;
        locked[directory + 8] |= 1;
        fs::write(&path, &locked).unwrap();
        assert_eq!(discover(&path, &unpacked).unwrap_err().code, "uplink.encrypted");
        packed(&folder.path().join("inner.zip"), &[("a.csv", b"a")]);
        let inner = fs::read(folder.path().join("inner.zip")).unwrap();
        assert_eq!(code(&[("inner.zip", &inner)]), "uplink.archive_bomb");
        assert_eq!(code(&[("erp.postgres.toml", b"format = 1")]), "uplink.connection");
        fs::write(&path, b"PK\x03\x04 not really").unwrap();
        assert_eq!(discover(&path, &unpacked).unwrap_err().code, "uplink.format");
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        assert_eq!(discover(&empty, &unpacked).unwrap_err().code, "uplink.empty");
        assert!(!folder.path().join("out.csv").exists());
        // What is no file has no end, or no beginning.
        let _socket = std::os::unix::net::UnixListener::bind(empty.join("socket")).unwrap();
        assert_eq!(discover(&empty, &unpacked).unwrap_err().code, "uplink.empty");
        assert_eq!(discover(&empty.join("socket"), &unpacked).unwrap_err().code, "uplink.io");
    }

    #[test]
    fn names_in_archives_are_what_was_packed() {
        let (gbk, ..) = encoding_rs::GB18030.encode("合约\\订单.csv");
        for (raw, expected) in [
            ("合约/订单.csv".as_bytes(), Some("合约/订单.csv")),
            (&gbk, Some("合约/订单.csv")),
            (b"a\\b.csv", Some("a/b.csv")),
            (b"../a.csv", None),
            (b"a/../../b.csv", None),
            (b"/etc/a.csv", None),
            (b"..\\a.csv", None),
            (b"a\0.csv", None),
            (b"\xff\xff.csv", None),
            (b"", None),
        ] {
            assert_eq!(inner_name(raw).as_deref(), expected, "{raw:?}");
        }
    }

    /// Two databases of one name, and one that is asked otherwise, are each read from their own beginning.
    #[test]
    fn marks_are_of_one_database_and_query() {
        let folder = tempfile::tempdir().unwrap();
        let name = |below: &str, text: &str| {
            let path = folder.path().join(below);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            discover(&path, folder.path()).unwrap().remove(0)
        };
        let mapping = |query: &str| Mapping { schema: "s".into(), query: Some(query.into()), ..Mapping::default() };
        let (one, two) = (name("a/erp.db", "x"), name("b/erp.db", "x"));
        let mark = |found: &Found, query| found.mark_name(&mapping(query)).unwrap();
        assert_eq!(mark(&one, "q"), mark(&one, "q"));
        assert_ne!(mark(&one, "q"), mark(&two, "q"));
        assert_ne!(mark(&one, "q"), mark(&one, "r"));
        let server = |host: &str| {
            format!("format = \"vouch-postgres/1\"\nhost = \"{host}\"\ndatabase = \"erp\"\nuser = \"reader\"\n")
        };
        let (here, there) = (name("a/e.postgres.toml", &server("db1")), name("b/e.postgres.toml", &server("db2")));
        assert_ne!(mark(&here, "q"), mark(&there, "q"));
        assert_eq!(mark(&here, "q"), mark(&name("c/other.postgres.toml", &server("db1")), "q"));
    }
}
