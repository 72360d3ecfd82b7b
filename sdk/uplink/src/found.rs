//! A source where it was found: a file of this machine, or bytes that somebody holds.

use std::{
    fs::File,
    io::{Read, Seek},
    path::PathBuf,
    sync::Arc,
};

use crate::{Fault, reason::WORKBOOK, source::Kind};

/// So much of a file says what it is.
pub const HEAD_BYTES: u64 = 512;
/// What stands for signs that names of files cannot have, or that would be taken for these.
const SLASH: &str = "%2F";
const PERCENT: &str = "%25";
/// Before the schema.
const SCHEMA: &str = "%3A";
/// How the name of a file that names a PostgreSQL server ends.
const POSTGRES: &str = ".postgres.toml";

/// Bytes of a source, from their beginning.
pub trait Bytes: Read + Seek + Send {}

impl<T: Read + Seek + Send> Bytes for T {}

/// A source's bytes where they are in no file of this machine. Each call reads them from their beginning.
#[derive(Clone)]
pub struct Opener(Arc<dyn Fn() -> Box<dyn Bytes> + Send + Sync>);

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

impl PartialEq for Opener {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Opener {}

/// A source to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// What it is called in faults and patterns: its path below what was named, with slashes.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// Where it was named to be, for what lies beside it: the file itself, or the archive it came from.
    pub beside: PathBuf,
    /// Its bytes, if they are in no file.
    pub held: Option<Opener>,
}

impl Found {
    /// A source that somebody holds.
    pub fn held(name: &str, kind: Kind, bytes: impl Fn() -> Box<dyn Bytes> + Send + Sync + 'static) -> Self {
        let held = Some(Opener(Arc::new(bytes)));
        Self { path: name.into(), name: name.into(), kind, beside: name.into(), held }
    }

    /// Its bytes from the beginning.
    ///
    /// # Errors
    /// `uplink.io`.
    pub fn open(&self) -> Result<Box<dyn Bytes>, Fault> {
        match &self.held {
            Some(Opener(open)) => Ok(open()),
            None => Ok(Box::new(File::open(&self.path).map_err(|error| Fault::io(&*self.name, &error))?)),
        }
    }
}

impl Kind {
    /// What a file is by its first [`HEAD_BYTES`] and its name; `None` for an archive.
    ///
    /// # Errors
    /// `uplink.encrypted`.
    pub fn of(beginning: &[u8], name: &str) -> Result<Option<Self>, Fault> {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
        if beginning.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
            && matches!(extension.as_str(), "xlsx" | "xls" | "xlsm")
        {
            return Err(Fault::new("uplink.encrypted", name, WORKBOOK));
        }
        if name.to_ascii_lowercase().ends_with(POSTGRES) {
            return Ok(Some(Self::Postgres));
        }
        if beginning.starts_with(b"SQLite format 3\0") {
            return Ok(Some(Self::Sqlite));
        }
        if beginning.starts_with(b"PK\x03\x04") || beginning.starts_with(b"PK\x05\x06") {
            let is_sheet = matches!(extension.as_str(), "xlsx" | "xlsm");
            let is_other = matches!(extension.as_str(), "docx" | "pptx" | "odt" | "ods" | "ofd");
            return Ok(if is_sheet { Some(Self::Xlsx) } else { is_other.then_some(Self::File) });
        }
        let first = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start().first().copied();
        Ok(Some(match extension.as_str() {
            "csv" | "tsv" | "txt" => Self::Csv,
            "json" | "ndjson" | "jsonl" => Self::Json,
            "xml" => Self::Xml,
            "xlsx" | "xlsm" => Self::Xlsx,
            "" if matches!(first, Some(b'{' | b'[')) => Self::Json,
            "" if first == Some(b'<') => Self::Xml,
            _ => Self::File,
        }))
    }
}

/// Of which source a file holds rejected rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// The source's name.
    pub name: String,
    /// The schema, where a source has several mappings.
    pub schema: Option<String>,
}

impl Original {
    /// By the name of a file; `None` when it holds no rejected rows.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let (folder, last) = name.rsplit_once('/').map_or(("", name), |(folder, last)| (folder, last));
        let rest = last.strip_suffix(".csv").or_else(|| last.strip_suffix(".ndjson"))?;
        let stem = rest.strip_suffix(".rejected").or_else(|| {
            let (before, number) = rest.rsplit_once('.')?;
            number.parse::<u32>().ok().and_then(|_| before.strip_suffix(".rejected"))
        })?;
        let (stem, schema) = stem.split_once(SCHEMA).map_or((stem, None), |(stem, schema)| (stem, Some(schema)));
        let plain = |text: &str| text.replace(SLASH, "/").replace(PERCENT, "%");
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Some(Self { name: format!("{folder}{}", plain(stem)), schema: schema.map(plain) })
    }

    /// The beginning of the name of a file for it, without folders.
    pub(crate) fn stem(&self) -> String {
        let written = |text: &str| text.replace('%', PERCENT).replace('/', SLASH);
        let schema = self.schema.as_ref().map(|schema| format!("{SCHEMA}{}", written(schema)));
        format!("{}{}.rejected", written(&self.name), schema.unwrap_or_default())
    }
}

/// Whether a name fits a pattern with `*` and `?`; a pattern without a slash looks at the last part only.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let name = if pattern.contains('/') { name } else { name.rsplit('/').next().unwrap_or(name) };
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if pattern.get(p).is_some_and(|c| *c == '?' || (*c != '*' && *c == name[n])) {
            (p, n) = (p + 1, n + 1);
        } else if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, n) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern.get(p..).is_none_or(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        for (pattern, name, expected) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "x/a.csv", true),
            ("*.csv", "a.csv.gz", false),
            ("订单?.xlsx", "订单1.xlsx", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbY", false),
            ("x/*.csv", "x/a.csv", true),
            ("x/*.csv", "y/a.csv", false),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_of_rejected_rows_lead_back_to_their_source() {
        for (name, schema, stem) in [
            ("a.csv", None, "a.csv.rejected"),
            ("M.ZIP/b/订单.csv", None, "M.ZIP%2Fb%2F订单.csv.rejected"),
            ("a%2F:.csv", Some("works"), "a%252F:.csv%3Aworks.rejected"),
        ] {
            let original = Original { name: name.into(), schema: schema.map(str::to_owned) };
            assert_eq!(original.stem(), stem);
            for end in [".csv", ".2.csv", ".17.ndjson"] {
                assert_eq!(Original::of(&format!("{stem}{end}")), Some(original.clone()), "{stem}{end}");
            }
        }
        assert_eq!(Original::of("x/a.csv.rejected.csv").map(|original| original.name), Some("x/a.csv".into()));
        for name in ["a.csv", "rejected.csv", "a.rejected.x.csv", "a.rejected.csv.gz"] {
            assert_eq!(Original::of(name), None, "{name}");
        }
    }
}
