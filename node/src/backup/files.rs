//! The sealed files of private documents in a backup: copied with a list of their hashes, checked by it, and brought back.
//!
//! ```text
//! vault/files/AB/NAME.{data,tree} --copied, hashed--> vault-files/AB/NAME.{data,tree}
//!                                        '----------> vault-files.b3: "HASH  vault-files/AB/NAME…" a line, ascending
//! ```
//!
//! Whole files are named by the hash of their content. What is being uploaded or fetched is not what its name says yet; it is
//! copied as it is. The list is of the form that `b3sum --check` reads.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use vouch_files::{Draft, read_through, sync, sync_folder};
use vouch_ledger::View;
use vouch_types::Hash32;
use vouch_vault::{BlobError, LocalBlobs, blob_of, blob_path, blobs::Part, files_at_rest};

use crate::commands::output::Refused;

/// The files within a backup. The keys that open them are in no backup.
pub const FILES: &str = "vault-files";
/// Their list.
pub const LIST: &str = "vault-files.b3";
/// Most names in one message.
const NAMED_MAX: usize = 20;
/// Rows read at a time.
const ROWS: usize = 1_024;

/// The files of a backup, in its manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesSummary {
    /// How many there are, both parts of each counted.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// BLAKE3 of their list.
    pub list: Hash32,
    /// Files that the database says are here whole, and that the node did not have.
    pub missing: u64,
    /// Files that are not what their names say, though the database says that they are.
    pub damaged: u64,
}

/// Paths within a folder of files, ascending; a folder that does not exist has none, every other error is one.
fn paths_in(files: &Path) -> Result<Vec<PathBuf>> {
    let listed = |folder: &Path| match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let reading = |folder: &Path| listed(folder).with_context(|| format!("reading {}", folder.display()));
    let mut paths = Vec::new();
    for folder in reading(files)? {
        let name = folder.file_name();
        if name.len() != 2 || !folder.file_type().context("a folder of files")?.is_dir() {
            continue;
        }
        let found = reading(&folder.path())?.into_iter().map(|file| file.file_name());
        let found = found.filter_map(|file| file.to_str().and_then(blob_of));
        paths.extend(found.map(|(id, part)| blob_path(&id, part)).filter(|path| path.starts_with(&name)));
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The length of a file; `None` when there is none.
fn length(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(data) => Ok(Some(data.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn hash_of(path: &Path) -> io::Result<Hash32> {
    vouch_files::hash(path).map(Hash32)
}

/// Copies a file, which has its name only when it is whole and durable, and only if it is what is `expected`.
fn copy(from: &Path, to: &Path, expected: Option<&Hash32>) -> io::Result<Option<(Hash32, u64)>> {
    let mut draft = Draft::alone(to)?;
    let (hash, bytes) = read_through(from, |bytes| draft.write_all(bytes))?;
    let hash = Hash32(hash);
    if expected.is_some_and(|expected| *expected != hash) {
        return Ok(None);
    }
    draft.keep()?;
    Ok(Some((hash, bytes)))
}

/// Copies all files into a backup, with their list. What goes meanwhile was erased.
///
/// # Errors
/// A text that names what could not be read or written.
pub fn back_up(files: &Path, backup: &Path) -> Result<FilesSummary> {
    let to = backup.join(FILES);
    crate::home::private_folder(&to)?;
    let list_path = backup.join(LIST);
    let mut list = BufWriter::new(Draft::alone(&list_path)?);
    let mut summary = FilesSummary::default();
    for path in paths_in(files)? {
        let (from, copied) = (files.join(&path), to.join(&path));
        copied.parent().map_or(Ok(()), crate::home::private_folder)?;
        match copy(&from, &copied, None) {
            Ok(Some((hash, bytes))) => {
                summary.count += 1;
                summary.bytes += bytes;
                writeln!(list, "{hash}  {FILES}/{}", path.display())?;
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => {}
            Err(error) => return Err(error).with_context(|| format!("copying {}", from.display())),
        }
    }
    list.into_inner().map_err(io::IntoInnerError::into_error).and_then(Draft::keep).context("the list of files")?;
    for folder in fs::read_dir(&to)? {
        sync(&folder?.path())?;
    }
    sync(&to)?;
    summary.list = hash_of(&list_path).context("the list of files")?;
    Ok(summary)
}

/// Counts what the rows of a backup's database call whole and its files are not. `is_held` tells whether the node's own database
/// still says so: what it does not was erased meanwhile.
///
/// # Errors
/// A text that says what could not be read.
pub fn count_lacking(
    rows: &dyn View,
    backup: &Path,
    summary: &mut FilesSummary,
    is_held: impl Fn(&Hash32) -> Result<bool>,
) -> Result<Vec<String>> {
    let altered = altered_names(backup)?;
    let mut named = Vec::new();
    let mut after = None;
    loop {
        let found = files_at_rest(rows, after.as_ref(), ROWS).context("rows of files")?;
        for (root, bytes) in &found {
            let path = blob_path(&root.0, Part::Data);
            let is_there = length(&backup.join(FILES).join(&path))? == Some(*bytes);
            if (is_there && !altered.contains(root)) || !is_held(root)? {
                continue;
            }
            let count = if is_there { &mut summary.damaged } else { &mut summary.missing };
            *count += 1;
            if named.len() < NAMED_MAX {
                named.push(path.display().to_string());
            }
        }
        after = found.last().map(|(root, _)| *root);
        if found.len() < ROWS {
            return Ok(named);
        }
    }
}

/// Files in the list that are not what their names say.
fn altered_names(backup: &Path) -> Result<BTreeSet<Hash32>> {
    let mut altered = BTreeSet::new();
    for entry in entries(backup)? {
        let Entry { hash, id, part, .. } = entry?;
        if part == Part::Data && hash.0 != id {
            altered.insert(Hash32(id));
        }
    }
    Ok(altered)
}

/// A line of the list.
struct Entry {
    hash: Hash32,
    id: [u8; 32],
    part: Part,
    path: PathBuf,
}

/// The lines of a list, which must be ascending, each once.
fn entries(backup: &Path) -> Result<impl Iterator<Item = Result<Entry>>> {
    let path = backup.join(LIST);
    let file = File::open(&path).map_err(|error| list_fault(&path, &format!("it cannot be opened: {error}")))?;
    let mut last = PathBuf::new();
    Ok(BufReader::new(file).lines().zip(1u64..).map(move |(line, number)| {
        let fault = |what: String| list_fault(&path, &format!("line {number}: {what}"));
        let line = line.map_err(|error| fault(error.to_string()))?;
        let entry = read_entry(&line).filter(|entry| entry.path > last);
        let entry = entry.ok_or_else(|| fault("not of its form".into()))?;
        last.clone_from(&entry.path);
        Ok(entry)
    }))
}

fn read_entry(line: &str) -> Option<Entry> {
    let (hash, path) = line.split_once("  ")?;
    let name = path.strip_prefix(FILES)?.rsplit('/').next()?;
    let (id, part) = blob_of(name)?;
    let expected = blob_path(&id, part);
    let hash: Hash32 = hash.parse().ok()?;
    (path == format!("{FILES}/{}", expected.display())).then_some(Entry { hash, id, part, path: expected })
}

/// Reads all files of a backup and compares them with the list, and the list with the manifest.
///
/// # Errors
/// A text that names each file that differs, up to a number.
pub fn check(backup: &Path, summary: &FilesSummary) -> Result<()> {
    check_list(backup, summary)?;
    let mut found: BTreeSet<PathBuf> = paths_in(&backup.join(FILES))?.into_iter().collect();
    let (mut faults, mut count, mut bytes) = (Vec::new(), 0, 0);
    for entry in entries(backup)? {
        let Entry { hash, path, .. } = entry?;
        count += 1;
        let fault = if found.remove(&path) {
            match read_through(&backup.join(FILES).join(&path), |_| Ok(())) {
                Ok((is, length)) => {
                    bytes += length;
                    (is != hash.0).then(|| "was changed".to_owned())
                }
                Err(error) => Some(format!("cannot be read: {error}")),
            }
        } else {
            Some("is missing".to_owned())
        };
        faults.extend(fault.map(|fault| format!("{} {fault}", path.display())));
    }
    faults.extend(found.iter().map(|path| format!("{} is not in the list", path.display())));
    if faults.is_empty() && (count, bytes) == (summary.count, summary.bytes) {
        return Ok(());
    }
    let number = faults.len();
    faults.truncate(NAMED_MAX);
    let detail = format!("{number} sealed files are not as they were when the backup was made: {}", faults.join("; "));
    Err(Refused::error("backup.files_damaged", detail, backup.join(FILES).display().to_string()))
}

/// The list is not what it was when the backup was made.
fn list_fault(path: &Path, what: &str) -> anyhow::Error {
    Refused::error("backup.list_damaged", format!("{LIST}: {what}"), path.display().to_string())
}

fn check_list(backup: &Path, summary: &FilesSummary) -> Result<()> {
    let path = backup.join(LIST);
    let is = hash_of(&path).map_err(|error| list_fault(&path, &format!("it cannot be read: {error}")))?;
    if is == summary.list {
        Ok(())
    } else {
        Err(list_fault(&path, &format!("its hash is {is}, the manifest names {}", summary.list)))
    }
}

/// What a restore came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Files put in place.
    pub count: u64,
    /// Files of the backup that are missing in it, or not what its list says: they were left out.
    pub lacking: Vec<String>,
}

/// Brings the files of a backup back. What a home has and is what its name says stays; everything else is replaced, and has its
/// name only when it is whole.
///
/// # Errors
/// A text that names what could not be read or written; what was put in place so far is whole.
pub fn restore(backup: &Path, summary: Option<&FilesSummary>, files: &Path) -> Result<Restored> {
    crate::home::private_folder(files)?;
    sync_folder(files)?;
    LocalBlobs::mark(files).map_err(|error: BlobError| anyhow::anyhow!("{error}"))?;
    let mut restored = Restored::default();
    match summary {
        Some(summary) => {
            check_list(backup, summary)?;
            let mut pending: Vec<Entry> = Vec::new();
            for entry in entries(backup)? {
                let entry = entry?;
                if pending.first().is_some_and(|first| first.id != entry.id) {
                    bring(backup, files, &core::mem::take(&mut pending), true, &mut restored)?;
                }
                pending.push(entry);
            }
            bring(backup, files, &pending, true, &mut restored)?;
        }
        // Of a version that kept no list.
        None => {
            for path in paths_in(&backup.join(FILES))? {
                let Some((id, part)) = path.file_name().and_then(|name| name.to_str()).and_then(blob_of) else {
                    continue;
                };
                let entries: Vec<Entry> = match part {
                    Part::Data => [Part::Data, Part::Tree]
                        .map(|part| Entry { hash: Hash32::ZERO, id, part, path: blob_path(&id, part) })
                        .into_iter()
                        .filter(|entry| backup.join(FILES).join(&entry.path).exists())
                        .collect(),
                    Part::Tree => continue,
                };
                bring(backup, files, &entries, false, &mut restored)?;
            }
        }
    }
    sync(files)?;
    Ok(restored)
}

/// Brings both parts of one file, if those of the home are not to stay.
fn bring(backup: &Path, files: &Path, parts: &[Entry], is_listed: bool, restored: &mut Restored) -> Result<()> {
    let Some(first) = parts.first() else { return Ok(()) };
    let data = parts.iter().find(|entry| entry.part == Part::Data);
    let source = backup.join(FILES);
    if let Some(data) = data
        && stays(&files.join(&data.path), &source.join(&data.path), data)?
    {
        return Ok(());
    }
    files.join(&first.path).parent().map_or(Ok(()), crate::home::private_folder)?;
    for part in parts {
        let (from, to) = (source.join(&part.path), files.join(&part.path));
        match copy(&from, &to, is_listed.then_some(&part.hash)) {
            Ok(Some(_)) => restored.count += 1,
            Ok(None) => restored.lacking.push(part.path.display().to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => {
                restored.lacking.push(part.path.display().to_string());
            }
            Err(error) => return Err(error).with_context(|| format!("copying {}", from.display())),
        }
    }
    Ok(())
}

/// Whether what a home has of a file stays: it is what its name says; or nobody's is, since it was being uploaded or fetched,
/// and the home's is as far at least.
fn stays(own: &Path, source: &Path, data: &Entry) -> Result<bool> {
    let Some(own_bytes) = length(own).with_context(|| own.display().to_string())? else { return Ok(false) };
    let is_named = |path: &Path| match hash_of(path) {
        Ok(hash) => Ok(hash.0 == data.id),
        // A file that cannot be read is worth no more than none.
        Err(_) if path == own => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    };
    if is_named(own)? {
        return Ok(true);
    }
    let source_bytes = length(source).with_context(|| source.display().to_string())?;
    Ok(!is_named(source)? && source_bytes.is_none_or(|bytes| own_bytes >= bytes))
}
