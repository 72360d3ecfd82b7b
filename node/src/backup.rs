//! Online backup: a checkpoint of the database and the sealed files, checked before they are called a backup; and their restore.
//!
//! ```text
//! DIR/
//!   backup.json        what it is; written last
//!   genesis.json
//!   data/              the database
//!   vault-files/       sealed files of private documents
//!   vault-files.b3     their hashes
//! ```

mod files;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use vouch_api::ApiError;
use vouch_files::{sync, sync_folder};
use vouch_genesis::GenesisDocument;
use vouch_ledger::{Ledger, Runtime, Storage, tree};
use vouch_store::{RocksStore, StoreOptions};
use vouch_types::{BlockHash, ChainId, Hash32, Height, StateRoot, api::BackupView};
use vouch_vault::VaultLimits;

pub use files::{FilesSummary, Restored};

use crate::votes::VotesFile;

/// Describes a backup; written last, so that a folder with it is a complete backup.
const MANIFEST: &str = "backup.json";
/// The database within a backup.
const DATA: &str = "data";
/// Version of the manifest that is written; version 1 said nothing of files.
const VERSION: u8 = 2;
/// Where a database lies until it is put in place, beside it.
const STAGING: &str = ".restore";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`], or 1.
    pub version: u8,
    /// The chain.
    pub chain: ChainId,
    /// Its height.
    pub height: Height,
    /// The block there.
    pub block: BlockHash,
    /// The state there.
    pub state_root: StateRoot,
    /// The sealed files; none in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesSummary>,
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
pub fn make(store: &RocksStore, beside: Beside<'_>, chain: ChainId, to: &Path) -> Result<BackupView, ApiError> {
    let parent = to.parent().filter(|parent| to.is_absolute() && parent.is_dir());
    let invalid = || ApiError::new("backup.path_invalid", format!("{} cannot be made", to.display())).at("path");
    let parent = parent.ok_or_else(invalid)?;
    let failed = |error: anyhow::Error| ApiError::new("backup.failed", format!("{error:#}"));
    let (free, needed) = room(store, beside, parent).map_err(failed)?;
    if free < needed {
        let detail = format!("{needed} bytes are needed, with those that stay free, and {free} are free");
        return Err(ApiError::new("backup.disk", detail).at("path"));
    }
    // Who makes the folder makes the backup, and nobody else removes it.
    match DirBuilder::new().mode(0o700).create(to) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(ApiError::new("backup.path_exists", format!("{} exists", to.display())).at("path"));
        }
        Err(_) => return Err(invalid()),
    }
    write(store, beside, chain, to).map_err(|error| {
        // What was made so far is no backup; a folder that cannot be removed has no manifest and is none either.
        drop(fs::remove_dir_all(to));
        failed(error)
    })
}

/// Bytes that are free where a backup is to be, and bytes it takes together with those that are to stay free. The database's files
/// are linked on their own file system.
fn room(store: &RocksStore, beside: Beside<'_>, parent: &Path) -> Result<(u64, u64)> {
    let found = rustix::fs::statvfs(parent).context("free space")?;
    let is_own = fs::metadata(parent)?.dev() == fs::metadata(store.path())?.dev();
    let database = if is_own { 0 } else { folder_bytes(store.path())? };
    let needed = VaultLimits::default().disk_reserve_bytes.saturating_add(database);
    let files = folder_bytes(beside.files).context("files of private documents")?;
    Ok((found.f_bavail.saturating_mul(found.f_frsize), needed.saturating_add(files)))
}

fn write(store: &RocksStore, beside: Beside<'_>, chain: ChainId, to: &Path) -> Result<BackupView> {
    store.checkpoint(to.join(DATA)).context("copying the database")?;
    let genesis = to.join("genesis.json");
    vouch_files::write(&genesis, &fs::read(beside.genesis).context("the genesis document")?)?;
    // After the database: what its rows call whole is whole by now.
    if vouch_vault::holds_files(store)? {
        vouch_vault::LocalBlobs::open(beside.files, true).map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    let mut summary = files::back_up(beside.files, to).context("copying the files of private documents")?;
    let copy = RocksStore::open_read_only(to.join(DATA), StoreOptions::default()).context("opening the copy")?;
    let is_held = |root: &Hash32| Ok(vouch_vault::file_length(store, root)?.is_some());
    let lacking = files::count_lacking(&copy, to, &mut summary, is_held)?;
    let manifest = Manifest { files: Some(summary), ..check_data(copy, &genesis, chain)? };
    vouch_files::write(&to.join(MANIFEST), serde_json::to_string_pretty(&manifest).context("manifest")?.as_bytes())?;
    // All of it outlives a loss of power, and so does the name of the folder.
    sync(to)?;
    sync_folder(to)?;
    Ok(BackupView {
        path: to.display().to_string(),
        height: manifest.height,
        state_root: manifest.state_root,
        bytes: folder_bytes(to)?,
        files: summary.count,
        files_missing: summary.missing,
        files_damaged: summary.damaged,
        lacking,
    })
}

/// Checks every leaf of a copy's state against its head's root, and the head from the chain's id on: through every set of
/// validators since genesis.
fn check_data(store: RocksStore, genesis: &Path, chain: ChainId) -> Result<Manifest> {
    let text = fs::read_to_string(genesis).context("genesis.json")?;
    let genesis = GenesisDocument::from_json(&text).context("genesis.json")?;
    let is = genesis.chain_id().context("genesis.json")?;
    ensure!(is == chain, "it is of chain {is}, expected is {chain}");
    store.verify_files().context("checking the copy's files")?;
    let storage: Arc<dyn Storage> = Arc::new(store);
    let runtime = Runtime::new(vouch_vm::VmLimits::default()).context("contract engine")?;
    let ledger = Ledger::open(Arc::clone(&storage), &genesis, runtime).context("opening the copy")?;
    let head = ledger.head();
    let state = tree::verify_stored(&*storage).context("checking the state")?;
    ensure!(state == head.state_root, "the copy's state has root {state}, its head says {}", head.state_root);
    if head.height > Height::ZERO {
        let reader = ledger.reader();
        let mut light = reader.light_client().context("the genesis document")?;
        for change in reader.set_changes(head.height)? {
            light.advance(&change.finality, Some(change.next_set)).context("a change of the validators")?;
        }
        let finality = reader.finality(head.height)?.context("the copy has no block at its head")?;
        light.verify_at(&finality).context("the certificate of the copy's head")?;
        if finality.header.state_root != head.state_root || finality.header.hash() != head.hash {
            bail!("the copy's head and its block differ");
        }
    }
    Ok(Manifest {
        version: VERSION,
        chain,
        height: head.height,
        block: head.hash,
        state_root: head.state_root,
        files: None,
    })
}

fn read_manifest(folder: &Path) -> Result<Manifest> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} is not a complete backup: no {MANIFEST}", folder.display()))?;
    let broken = || format!("in {}", path.display());
    let Versioned { version } = serde_json::from_str(&text).with_context(broken)?;
    ensure!(
        (1..=u64::from(VERSION)).contains(&version),
        "the backup is of version {version}, this program reads 1 to {VERSION}"
    );
    let manifest: Manifest = serde_json::from_str(&text).with_context(broken)?;
    ensure!(manifest.files.is_some() == (manifest.version > 1), "{} has the form of another version", path.display());
    Ok(manifest)
}

fn compare(found: &Manifest, manifest: &Manifest) -> Result<()> {
    let of = |manifest: &Manifest| (manifest.chain, manifest.height, manifest.block, manifest.state_root);
    if of(found) != of(manifest) {
        bail!(
            "the backup holds height {} with state {}, its manifest says {} with {}",
            found.height,
            found.state_root,
            manifest.height,
            manifest.state_root
        );
    }
    Ok(())
}

/// Checks a backup without changing it: database, state, certificate, sealed files. Without a chain that is expected it is judged
/// by its own genesis document, which its maker may have made too.
///
/// # Errors
/// A text that says what is wrong with it.
pub fn verify(folder: &Path, expected: Option<ChainId>) -> Result<Manifest> {
    let manifest = read_manifest(folder)?;
    let data = folder.join(DATA);
    let store = RocksStore::open_read_only(&data, StoreOptions::default()).context("opening the copy")?;
    compare(&check_data(store, &folder.join("genesis.json"), expected.unwrap_or(manifest.chain))?, &manifest)?;
    if let Some(summary) = &manifest.files {
        files::check(folder, summary)?;
    }
    Ok(manifest)
}

/// Where the parts of a home lie that a backup is restored to.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The home.
    pub home: &'a Path,
    /// Its chain's genesis document.
    pub genesis: &'a Path,
    /// The database, which must not be there.
    pub data: &'a Path,
    /// The folder of sealed files.
    pub files: &'a Path,
}

/// Puts a backup's database in the place of a home's missing one, after checking the copy. The home keeps its own keys; a node
/// restored this way must not run while another one with the same keys does. The record of votes is marked as not to be trusted
/// before the database is in place, so that the node abstains until it cannot contradict what it signed after the backup was made;
/// meanwhile no node of this home can start.
///
/// Files of private documents that the home lacks, or has damaged, are put into its folder. The keys that open them are the home's
/// own, so what was erased after the backup was made stays erased.
///
/// # Errors
/// A text that says what stands in the way; then no database was put in place, and the record of votes is as it was.
pub fn restore(folder: &Path, place: Place<'_>) -> Result<(Manifest, Restored)> {
    let Place { home, genesis, data, files } = place;
    let mut votes = VotesFile::open(home)?;
    if data.exists() {
        bail!("{} exists; move it away first, it may be newer than the backup", data.display());
    }
    let expected = crate::node::read_genesis(genesis)?.chain_id()?;
    let manifest = read_manifest(folder)?;
    ensure!(manifest.chain == expected, "the backup is of chain {}, this home of chain {expected}", manifest.chain);
    let staging = data.parent().context("the database has no parent folder")?.join(STAGING);
    // What an earlier restore left is of another backup, perhaps.
    remove_staging(&staging)?;
    let restored = staged(folder, &staging, &manifest, expected)
        .and_then(|()| files::restore(folder, manifest.files.as_ref(), files).context("files of private documents"))
        .and_then(|restored| {
            votes.distrust(home)?;
            fs::rename(&staging, data).context("putting the restored database in place")?;
            sync_folder(data)?;
            Ok(restored)
        });
    if restored.is_err() {
        // The copy is not in place, so nothing uses it; the next restore begins by removing what stays.
        drop(remove_staging(&staging));
    }
    Ok((manifest, restored?))
}

/// Copies the database, and checks the copy: it is what will be used.
fn staged(folder: &Path, staging: &Path, manifest: &Manifest, chain: ChainId) -> Result<()> {
    copy_folder(&folder.join(DATA), staging)?;
    // For writing: tables of this version that one of an earlier version lacks are made.
    let store = RocksStore::open(staging, StoreOptions::default()).context("opening the copy")?;
    compare(&check_data(store, &folder.join("genesis.json"), chain)?, manifest)?;
    Ok(sync(staging)?)
}

fn remove_staging(staging: &Path) -> Result<()> {
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", staging.display()))
        }
        _ => Ok(()),
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    crate::home::private_folder(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        // The database's lock and log files are of the process that made them.
        if entry.file_type()?.is_file() && entry.file_name() != "LOCK" {
            let target = to.join(entry.file_name());
            fs::copy(entry.path(), &target).with_context(|| format!("copying to {}", target.display()))?;
            sync(&target).with_context(|| format!("syncing {}", target.display()))?;
        }
    }
    Ok(sync(to)?)
}

/// Bytes of everything in a folder; none for one that is not there.
fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries.with_context(|| format!("reading {}", folder.display()))?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.metadata() {
            Ok(kind) => bytes += if kind.is_dir() { folder_bytes(&entry.path())? } else { kind.len() },
            // It went meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("a file"),
        }
    }
    Ok(bytes)
}
