//! Online backup: a checkpoint of the database that is checked before it is called a backup, and its restore.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use vouch_api::ApiError;
use vouch_genesis::GenesisDocument;
use vouch_ledger::{Ledger, Reader, Runtime, Storage, tree};
use vouch_store::{RocksStore, StoreOptions};
use vouch_types::{BlockHash, ChainId, Height, StateRoot, api::BackupView};

use crate::votes;

/// Describes a backup; written last, so that a folder with it is a complete backup.
const MANIFEST: &str = "backup.json";
/// The database within a backup.
const DATA: &str = "data";
/// The sealed files of private documents within a backup. The keys that open them are in no backup.
const FILES: &str = "vault-files";
/// Version of the manifest.
const VERSION: u8 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u8,
    /// The chain.
    pub chain: ChainId,
    /// Its height.
    pub height: Height,
    /// The block there.
    pub block: BlockHash,
    /// The state there.
    pub state_root: StateRoot,
}

/// What belongs to a backup and lies beside the database.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// The genesis document.
    pub genesis: &'a Path,
    /// The folder of sealed files of private documents.
    pub files: &'a Path,
}

/// Makes a backup at `to` while the node runs, and checks it.
///
/// # Errors
/// `backup.*`.
pub fn make(
    store: &RocksStore,
    reader: &Reader,
    beside: Beside<'_>,
    chain: ChainId,
    to: &Path,
) -> Result<BackupView, ApiError> {
    if !to.is_absolute() || !to.parent().is_some_and(Path::is_dir) {
        return Err(ApiError::new("backup.path_invalid", format!("{} cannot be made", to.display())).at("path"));
    }
    if to.exists() {
        return Err(ApiError::new("backup.path_exists", format!("{} exists", to.display())).at("path"));
    }
    drop(reader.published());
    write(store, beside, chain, to).map_err(|error| {
        // What was made so far is no backup; a folder that cannot be removed has no manifest and is none either.
        drop(fs::remove_dir_all(to));
        ApiError::new("backup.failed", format!("{error:#}"))
    })
}

fn write(store: &RocksStore, beside: Beside<'_>, chain: ChainId, to: &Path) -> Result<BackupView> {
    crate::home::private_folder(to)?;
    store.checkpoint(to.join(DATA)).context("copying the database")?;
    fs::copy(beside.genesis, to.join("genesis.json")).context("copying the genesis document")?;
    // After the database: what its rows call whole is whole by now. What changes while it is copied is found when the
    // restored node checks what lies at rest.
    copy_files(beside.files, &to.join(FILES)).context("copying the files of private documents")?;
    let manifest = check_data(to, chain)?;
    let text = serde_json::to_string_pretty(&manifest).context("manifest")?;
    fs::write(to.join(MANIFEST), text).context("manifest")?;
    Ok(BackupView {
        path: to.display().to_string(),
        height: manifest.height,
        state_root: manifest.state_root,
        bytes: folder_bytes(to)?,
    })
}

/// Opens a backup's database and checks every leaf of the state against the head's root.
fn check_data(folder: &Path, chain: ChainId) -> Result<Manifest> {
    let text = fs::read_to_string(folder.join("genesis.json")).context("genesis.json")?;
    let genesis = GenesisDocument::from_json(&text).context("genesis.json")?;
    let store = RocksStore::open(folder.join(DATA), StoreOptions::default()).context("opening the copy")?;
    store.verify_files().context("checking the copy's files")?;
    let storage: Arc<dyn Storage> = Arc::new(store);
    let runtime = Runtime::new(vouch_vm::VmLimits::default()).context("contract engine")?;
    let ledger = Ledger::open(Arc::clone(&storage), &genesis, runtime).context("opening the copy")?;
    if ledger.chain() != chain {
        bail!("the copy is of chain {}", ledger.chain());
    }
    tree::verify_stored(&*storage).context("checking the state")?;
    let head = ledger.head();
    if head.height > Height::ZERO {
        let finality = ledger.reader().finality(head.height)?.context("the copy has no block at its head")?;
        let set = ledger.reader().validators_at(head.height)?.context("the copy has no validators at its head")?;
        finality.certificate.verify(chain, &set).context("the certificate of the copy's head")?;
        if finality.header.state_root != head.state_root || finality.header.hash() != head.hash {
            bail!("the copy's head and its block differ");
        }
    }
    Ok(Manifest { version: VERSION, chain, height: head.height, block: head.hash, state_root: head.state_root })
}

/// Checks a backup without changing it.
///
/// # Errors
/// A text that says what is wrong with it.
pub fn verify(folder: &Path) -> Result<Manifest> {
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} is not a complete backup: no {MANIFEST}", folder.display()))?;
    let manifest: Manifest = serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let found = check_data(folder, manifest.chain)?;
    if found != manifest {
        bail!(
            "the backup holds height {} with state {}, its manifest says {} with {}",
            found.height,
            found.state_root,
            manifest.height,
            manifest.state_root
        );
    }
    Ok(manifest)
}

/// Puts a verified backup's database in the place of a home's missing one. The home keeps its own keys; a node restored
/// this way must not run while another one with the same keys does. The record of votes is marked as not to be trusted
/// before anything else, so that the node abstains until it cannot contradict what it signed after the backup was made.
///
/// Files of private documents that the home lacks are put into `files`. The keys that open them are the home's own, so what was
/// erased after the backup was made stays erased.
///
/// # Errors
/// A text that says what stands in the way; then no database was put in place.
pub fn restore(folder: &Path, data: &Path, files: &Path, home: &Path) -> Result<Manifest> {
    if data.exists() {
        bail!("{} exists; move it away first, it may be newer than the backup", data.display());
    }
    let manifest = verify(folder)?;
    votes::distrust(home)?;
    copy_files(&folder.join(FILES), files).context("restoring the files of private documents")?;
    let parent = data.parent().context("the database has no parent folder")?;
    let staging: PathBuf = parent.join(format!(".restore-{}", std::process::id()));
    let result = copy_folder(&folder.join(DATA), &staging)
        .and_then(|()| fs::rename(&staging, data).context("putting the restored database in place"));
    if result.is_err() {
        // The copy is not in place, so nothing uses it.
        drop(fs::remove_dir_all(&staging));
    }
    result.map(|()| manifest)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    crate::home::private_folder(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        // The database's lock and log files are of the process that made them.
        if entry.file_type()?.is_file() && entry.file_name() != "LOCK" {
            let target = to.join(entry.file_name());
            fs::copy(entry.path(), &target).with_context(|| format!("copying to {}", target.display()))?;
            fs::File::open(&target)?.sync_all()?;
        }
    }
    fs::File::open(to)?.sync_all().context("syncing the copy")
}

/// Copies files in folders, two levels deep, that are not there yet: a file is named by the hash of its content. A folder that
/// does not exist has none; a file that goes meanwhile was erased.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    crate::home::private_folder(to)?;
    let Ok(folders) = fs::read_dir(from) else { return Ok(()) };
    for folder in folders {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        let target = to.join(folder.file_name());
        crate::home::private_folder(&target)?;
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            let copy = target.join(file.file_name());
            if copy.exists() {
                continue;
            }
            match fs::copy(file.path(), &copy) {
                Ok(_) => fs::File::open(&copy)?.sync_all()?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("copying {}", file.path().display())),
            }
        }
        fs::File::open(&target)?.sync_all()?;
    }
    Ok(fs::File::open(to)?.sync_all()?)
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        bytes += if kind.is_dir() { folder_bytes(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_copied_once_and_what_is_there_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        copy_files(&from, &to).unwrap();
        assert_eq!(fs::read_dir(&to).unwrap().count(), 0, "a node without files has none to copy");
        fs::create_dir_all(from.join("ab")).unwrap();
        fs::write(from.join("ab/abcd.data"), "sealed").unwrap();
        fs::write(from.join("ab/abcd.tree"), "hashes").unwrap();
        fs::create_dir_all(to.join("ab")).unwrap();
        fs::write(to.join("ab/abcd.tree"), "of its own").unwrap();
        copy_files(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("ab/abcd.data")).unwrap(), "sealed");
        assert_eq!(fs::read_to_string(to.join("ab/abcd.tree")).unwrap(), "of its own");
    }
}
