//! The file with rejected rows. It appears under its name when it is whole, and never in the place of another one: that may hold
//! rows that somebody is mending.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek as _},
    path::{Path, PathBuf},
};

use vouch_files::Draft;

use super::{Writer, ending, is_table};
use crate::{Fault, Found, Original, Record};

/// Most files of one source; whoever mends none of them has other troubles.
const NUMBER_MAX: u32 = 100_000;

/// Writes rejected rows of one source.
#[derive(Debug)]
pub struct Rejected {
    folder: PathBuf,
    stem: String,
    is_table: bool,
    /// Where rows lie until all are known: in a file without a name.
    work: PathBuf,
    out: Option<Writer<BufWriter<File>>>,
}

impl Rejected {
    /// For a source, into `folder` or beside it; `schema` tells its mappings apart when it has several. Rows wait in the folder
    /// `work`. Nothing is written until there is a row.
    #[must_use]
    pub fn new(found: &Found, folder: Option<&Path>, schema: Option<&str>, work: &Path) -> Self {
        let is_table = is_table(found.kind);
        let beside = found.beside.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Beside it a source needs no folders in its name, but those within its archive.
        let name = match (folder, found.path == found.beside) {
            (Some(_), _) => found.name.to_string(),
            (None, true) => beside,
            (None, false) => match found.name.find(&format!("{beside}/")).and_then(|at| found.name.get(at..)) {
                Some(name) => name.to_owned(),
                None => found.name.to_string(),
            },
        };
        let mut original = Original::of(&name).unwrap_or(Original { name, schema: None });
        original.schema = schema.map(str::to_owned).or(original.schema);
        let folder = folder.or_else(|| found.beside.parent()).unwrap_or_else(|| Path::new(""));
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Self { folder: folder.to_owned(), stem: original.stem(), is_table, work: work.to_owned(), out: None }
    }

    /// Adds a row with what is wrong with it.
    ///
    /// # Errors
    /// `uplink.io`.
    pub fn add(&mut self, record: &Record, faults: &[Fault]) -> Result<(), Fault> {
        let work = self.work.clone();
        let failed = |error: io::Error| Fault::io(work.display().to_string(), &error);
        let out = match &mut self.out {
            Some(out) => out,
            empty => {
                let file = BufWriter::new(tempfile::tempfile_in(&self.work).map_err(failed)?);
                empty.insert(Writer::new(file, self.is_table))
            }
        };
        out.add(record, faults).map_err(failed)
    }

    /// Puts the file under a name that no other has, if there is a row in it. When the newest one there holds the same rows, that
    /// is the one.
    ///
    /// # Errors
    /// `uplink.io`.
    pub fn finish(self) -> Result<Option<PathBuf>, Fault> {
        let Some(out) = self.out else { return Ok(None) };
        let failed = |error: &dyn std::fmt::Display| Fault::io(self.folder.display().to_string(), error);
        let mut rows = out.into_inner().into_inner().map_err(|error| failed(&error))?;
        let ending = ending(self.is_table);
        let mut newest: Option<PathBuf> = None;
        for number in 1..=NUMBER_MAX {
            let number = if number == 1 { String::new() } else { format!(".{number}") };
            let path = self.folder.join(format!("{}{number}.{ending}", self.stem));
            if path.symlink_metadata().is_ok() {
                newest = Some(path);
                continue;
            }
            if let Some(newest) = newest.take()
                && is_same(&mut rows, &newest).unwrap_or(false)
            {
                return Ok(Some(newest));
            }
            let mut draft = Draft::beside(&path).map_err(|error| failed(&error))?;
            rows.rewind().and_then(|()| io::copy(&mut rows, &mut draft)).map_err(|error| failed(&error))?;
            match draft.keep_new() {
                Ok(()) => return Ok(Some(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => newest = Some(path),
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(failed(&format!("there are {NUMBER_MAX} files of rejected rows")))
    }
}

/// Whether a file holds the same bytes.
fn is_same(rows: &mut File, path: &Path) -> io::Result<bool> {
    let other = File::open(path)?;
    if rows.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    rows.rewind()?;
    let (mut one, mut two) = (BufReader::new(rows).bytes(), BufReader::new(other).bytes());
    loop {
        match (one.next().transpose()?, two.next().transpose()?) {
            (None, None) => return Ok(true),
            (one, two) if one != two => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
        sync::Arc,
    };

    use super::*;
    use crate::{Node, Place, source::Kind};

    fn found(beside: &Path, name: &str, path: &Path) -> Found {
        Found { path: path.into(), name: name.into(), kind: Kind::Csv, beside: beside.into(), held: None }
    }

    fn reject(rejected: Rejected, value: &str) -> PathBuf {
        let mut rejected = rejected;
        let place = Place { file: "f".into(), sheet: None, record: 1, line: 2, byte: 0 };
        let record = Record { place, columns: Arc::from(["a".to_owned()]), values: vec![Node::Text(value.into())] };
        rejected.add(&record, &[Fault::new("uplink.code", "f", "a word")]).unwrap();
        rejected.finish().unwrap().unwrap()
    }

    #[test]
    fn no_file_takes_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let (work, at) = (tempfile::tempdir().unwrap(), |name: &str| folder.path().join(name));
        let of = |beside: &str, name: &str, inner: Option<&str>, into: Option<&Path>| {
            let path = inner.map_or_else(|| at(beside), |inner| work.path().join(inner));
            Rejected::new(&found(&at(beside), name, &path), into, None, work.path())
        };
        let first = reject(of("o.csv", "o.csv", None, None), "1");
        assert_eq!(first, at("o.csv.rejected.csv"));
        assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
        let mended = fs::read(&first).unwrap();
        // A mended file that is rejected again, in part, stays; the same rows again need no second file.
        let again = || of("o.csv.rejected.csv", "o.csv.rejected.csv", None, None);
        assert_eq!(reject(again(), "2"), at("o.csv.rejected.2.csv"));
        assert_eq!(reject(again(), "2"), at("o.csv.rejected.2.csv"));
        assert_eq!(reject(again(), "3"), at("o.csv.rejected.3.csv"));
        assert_eq!(fs::read(&first).unwrap(), mended);
        // Two sources of one name into one folder; files of one archive, whatever it is called.
        let into = at("into");
        fs::create_dir(&into).unwrap();
        let paths: Vec<PathBuf> = ["4", "5"].iter().map(|v| reject(of("a", "b.csv", None, Some(&into)), v)).collect();
        assert_eq!(paths, [into.join("b.csv.rejected.csv"), into.join("b.csv.rejected.2.csv")]);
        for (name, expected) in [("x/y.csv", "M.ZIP%2Fx%2Fy.csv"), ("x_y.csv", "M.ZIP%2Fx_y.csv")] {
            let path = reject(of("M.ZIP", &format!("in/M.ZIP/{name}"), Some(name), None), "6");
            assert_eq!(path, at(&format!("{expected}.rejected.csv")));
        }
        // A link that lies there is not followed.
        fs::write(at("target"), "kept").unwrap();
        symlink(at("target"), at("p.csv.rejected.csv")).unwrap();
        assert_eq!(reject(of("p.csv", "p.csv", None, None), "7"), at("p.csv.rejected.2.csv"));
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "kept");
        assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0);
    }
}
