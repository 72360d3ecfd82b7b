//! The record of how far this node's key may have signed, in a file of the home and apart from the database, so that losing
//! or replacing the database does not take it along.
//!
//! ```text
//! two slots, 4 KiB apart, written in turn:   check 32 | sequence u64 | length u32 | record
//! ```
//!
//! The whole slot with the greater sequence counts, so a write that a power cut interrupts leaves the one before. Nothing is
//! synced: the database it speaks of was, and an older record only trusts more. A file without a whole slot is as good as
//! none, and the node abstains for a while.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use vouch_ledger::StorageError;
use vouch_replica::{VotingMemory, VotingRecord, VotingState};
use vouch_sdk::keystore;
use vouch_types::{Height, hash::domain_hash};

use crate::{
    commands::{GlobalArgs, output::emit, text::Text},
    config::NodeConfig,
    home, node,
};

const SLOT_BYTES: u64 = 4096;
const CHECK_BYTES: usize = 32;

/// Where it lies in a home.
#[must_use]
pub fn path(home: &Path) -> PathBuf {
    home.join("votes")
}

/// The file, held by one process at a time.
#[derive(Debug)]
pub struct VotesFile {
    file: File,
    sequence: u64,
    last: Option<VotingRecord>,
}

impl VotesFile {
    /// Opens the file of a home; makes an empty one when there is none.
    ///
    /// # Errors
    /// A text that names the path, also when a node that runs holds it.
    pub fn open(home: &Path) -> Result<Self> {
        let path = path(home);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{} is in use: a node of this home runs", path.display()),
            Err(TryLockError::Error(error)) => return Err(error).context(format!("cannot lock {}", path.display())),
        }
        let mut votes = Self { file, sequence: 0, last: None };
        for slot in 0..2 {
            let found = votes.read_slot(slot).with_context(|| format!("cannot read {}", path.display()))?;
            if let Some((sequence, record)) = found.filter(|(sequence, _)| *sequence > votes.sequence) {
                (votes.sequence, votes.last) = (sequence, Some(record));
            }
        }
        Ok(votes)
    }

    /// The record.
    #[must_use]
    pub const fn record(&self) -> Option<&VotingRecord> {
        self.last.as_ref()
    }

    /// Replaces the record.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, record: &VotingRecord) -> std::io::Result<()> {
        let sequence = self.sequence.saturating_add(1);
        let payload = record.to_bytes();
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut bytes = check(sequence, &payload).to_vec();
        bytes.extend_from_slice(&sequence.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&payload);
        self.file.write_all_at(&bytes, sequence % 2 * SLOT_BYTES)?;
        (self.sequence, self.last) = (sequence, Some(*record));
        Ok(())
    }

    /// Writes the record and waits until it is on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_synced(&mut self, record: &VotingRecord) -> Result<()> {
        self.write(record).and_then(|()| self.file.sync_all()).context("writing the record of votes")
    }

    /// The home's database was replaced: what the record says is not to be trusted any more.
    ///
    /// # Errors
    /// A text that names the path.
    pub fn distrust(&mut self, home: &Path) -> Result<VotingRecord> {
        let own = keystore::public_key(&home::consensus_key_path(home)).context("the consensus key")?.node();
        let known = self.record().copied().filter(|record| record.node == own);
        let record = VotingRecord {
            state: VotingState::Distrusted,
            log_bytes: 0,
            ..known.unwrap_or_else(|| VotingRecord::of_new_key(own))
        };
        self.write_synced(&record)?;
        Ok(record)
    }

    fn read_slot(&self, slot: u64) -> std::io::Result<Option<(u64, VotingRecord)>> {
        let mut buffer = [0; 1024];
        let read = self.file.read_at(&mut buffer, slot * SLOT_BYTES)?;
        Ok(decode_slot(buffer.get(..read).unwrap_or_default()))
    }
}

fn check(sequence: u64, payload: &[u8]) -> [u8; CHECK_BYTES] {
    domain_hash("vouch/voting-record/1", &[&sequence.to_le_bytes(), payload]).0
}

/// What a slot holds, if it is whole.
fn decode_slot(bytes: &[u8]) -> Option<(u64, VotingRecord)> {
    let (found, rest) = bytes.split_first_chunk::<CHECK_BYTES>()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sequence, length) = (u64::from_le_bytes(*sequence), u32::from_le_bytes(*length));
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    if *found != check(sequence, payload) {
        return None;
    }
    Some((sequence, VotingRecord::from_bytes(payload).ok()?))
}

impl VotingMemory for VotesFile {
    fn recall(&mut self) -> Result<Option<VotingRecord>, StorageError> {
        Ok(self.last)
    }

    fn remember(&mut self, record: &VotingRecord) -> Result<(), StorageError> {
        if self.last.as_ref() == Some(record) {
            return Ok(());
        }
        let failed = |error: std::io::Error| StorageError {
            operation: "remember what was signed",
            message: format!("the file votes: {error}"),
        };
        self.write(record).map_err(failed)
    }
}

/// What can be done with the record of a home, while its node does not run.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show how far the node's key may have signed
    Show,
    /// The database or the whole machine was taken back to an earlier state: abstain until no vote can be contradicted
    Distrust,
    /// The members have agreed that this validator signed nothing at HEIGHT and above: vote from there on
    AllowFrom {
        /// The first height to vote at
        height: u64,
    },
}

/// Runs one of them.
///
/// # Errors
/// A text that says what is wrong and where.
pub fn run(command: &Command, home: &Path, global: &GlobalArgs) -> Result<ExitCode> {
    let record = match command {
        Command::Show => VotesFile::open(home)?.record().copied(),
        Command::Distrust => Some(VotesFile::open(home)?.distrust(home)?),
        Command::AllowFrom { height } => Some(allow_from(home, *height)?),
    };
    let state = record.map_or("none", |record| state_name(record.state));
    let value = json!({
        "state": state,
        "node": record.map(|record| record.node),
        "chain": record.and_then(|record| record.chain),
        "height": record.map(|record| record.height),
    });
    emit(global, &value, |language| {
        let Some(record) = record else { return vec![Text::NoVotesRecord.in_language(language).to_owned()] };
        let chain = record.chain.map_or_else(|| "-".to_owned(), |chain| chain.to_string());
        crate::commands::output::table(
            language,
            &[
                (Text::State, state.to_owned()),
                (Text::SignedUpTo, record.height.to_string()),
                (Text::Node, record.node.to_string()),
                (Text::Chain, chain),
            ],
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn allow_from(home: &Path, height: u64) -> Result<VotingRecord> {
    let Some(height) = height.checked_sub(1).map(Height) else { bail!("heights begin at 1") };
    let config = NodeConfig::load(home)?;
    let chain = node::read_genesis(&config.genesis)?.chain_id()?;
    let own = keystore::public_key(&home::consensus_key_path(home)).context("the consensus key")?.node();
    let record = VotingRecord { node: own, chain: Some(chain), height, log_bytes: 0, state: VotingState::Declared };
    VotesFile::open(home)?.write_synced(&record)?;
    Ok(record)
}

const fn state_name(state: VotingState) -> &'static str {
    match state {
        VotingState::Kept => "kept",
        VotingState::Distrusted => "distrusted",
        VotingState::Declared => "declared",
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::{ChainId, NodeId};

    use super::*;

    fn record(height: u64) -> VotingRecord {
        VotingRecord {
            node: NodeId([1; 32]),
            chain: Some(ChainId([2; 32])),
            height: Height(height),
            log_bytes: 7,
            state: VotingState::Kept,
        }
    }

    #[test]
    fn the_last_record_is_found_again_and_one_process_holds_the_file() {
        let home = tempfile::tempdir().unwrap();
        let mut votes = VotesFile::open(home.path()).unwrap();
        assert_eq!(votes.recall().unwrap(), None);
        for height in 1..=5 {
            votes.remember(&record(height)).unwrap();
        }
        assert!(VotesFile::open(home.path()).unwrap_err().to_string().contains("is in use"));
        drop(votes);
        assert_eq!(VotesFile::open(home.path()).unwrap().recall().unwrap(), Some(record(5)));
    }

    #[test]
    fn a_torn_write_leaves_the_record_before() {
        let home = tempfile::tempdir().unwrap();
        let mut votes = VotesFile::open(home.path()).unwrap();
        votes.remember(&record(1)).unwrap();
        votes.remember(&record(2)).unwrap();
        drop(votes);
        let good = std::fs::read(path(home.path())).unwrap();
        // The second record stands in the first slot.
        for at in 0..CHECK_BYTES + 8 + 4 + record(2).to_bytes().len() {
            let mut torn = good.clone();
            torn[at] ^= 0x10;
            std::fs::write(path(home.path()), torn).unwrap();
            assert_eq!(VotesFile::open(home.path()).unwrap().recall().unwrap(), Some(record(1)), "byte {at}");
        }
        std::fs::write(path(home.path()), [0; 9000]).unwrap();
        assert_eq!(VotesFile::open(home.path()).unwrap().recall().unwrap(), None);
    }
}
