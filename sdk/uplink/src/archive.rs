//! What is at a path: a file, the files of a folder, the files in a ZIP archive. Archives are taken apart within bounds into a
//! folder of the run's own, because workbooks and databases need to be read at any place.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Component, Path},
};

use vouch_privacy::stream::{Decoded, Encoding};
use zip::ZipArchive;

use crate::{
    Fault, Found, Mapping, Original,
    found::HEAD_BYTES,
    source::{self, Kind},
    workbook::{FILES_MAX, RATIO_FREE_BYTES, RATIO_MAX, bomb},
};

/// Most bytes of an archive's files together.
const UNPACKED_BYTES_MAX: u64 = 16 << 30;

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
