//! The write-ahead log of one height: its records, their frames, and how a log read back after a crash is judged.
//!
//! The driver makes the bytes, the host appends and syncs them, this module reads them back. One log holds one height; it
//! begins with [`LogEntry::Started`] and is replaced when the next height starts.
//!
//! ```text
//! frame = "VWL1" | payload length u32 | durable u64 | CRC-32 u32 | payload        payload = version byte | entry
//!                                        |
//!                                        how many bytes of this log were known to be synced when the frame was made
//! ```
//!
//! A crash may lose or mangle what was not synced, so a damaged end is *torn* and cut off. Damage to what was synced is an
//! *error*: a vote may be missing, and a validator that has forgotten a vote must not vote again. `durable` tells the two
//! apart: a later frame that says "everything up to here was synced" turns damage before that place into an error.

use vouch_types::{BlockHash, ChainId, CommitCertificate, Height, NodeId, Round, codec};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    message::{MESSAGE_BYTES_MAX, PolkaCertificate, SignedProposal, SignedVote},
    timers::TimerKind,
};

/// Version byte of every record.
pub const LOG_VERSION: u8 = 1;
/// Most bytes of one record's payload.
pub const LOG_PAYLOAD_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 64;
const MAGIC: [u8; 4] = *b"VWL1";
const HEADER_BYTES: usize = 20;

/// What the core was told, in order: fed again, it comes to the same votes.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum LogEntry {
    /// First of every log.
    Started {
        /// The chain.
        chain: ChainId,
        /// Whose log it is.
        node: NodeId,
        /// The height of every record that follows.
        height: Height,
    },
    /// A vote, ours or another's.
    Vote(SignedVote),
    /// A proposal, ours or another's.
    Proposal(SignedProposal),
    /// The host's verdict on a block.
    Block {
        /// The height.
        height: Height,
        /// The round it was proposed in.
        round: Round,
        /// The earlier round it had prevotes in, if proposed again.
        valid_round: Option<Round>,
        /// Who proposed it.
        proposer: NodeId,
        /// The block.
        block: BlockHash,
        /// The verdict.
        valid: bool,
        /// True when it came with a commit certificate.
        synced: bool,
    },
    /// A wait that ended.
    Timer {
        /// The height.
        height: Height,
        /// The round.
        round: Round,
        /// Which wait.
        kind: TimerKind,
    },
    /// A proof of prevotes.
    Polka(PolkaCertificate),
    /// A commit certificate handed over by block synchronisation.
    Commit(CommitCertificate),
}

impl LogEntry {
    /// The height spoken about.
    #[must_use]
    pub const fn height(&self) -> Height {
        match self {
            Self::Started { height, .. } | Self::Block { height, .. } | Self::Timer { height, .. } => *height,
            Self::Vote(vote) => vote.height,
            Self::Proposal(proposal) => proposal.height,
            Self::Polka(polka) => polka.height,
            Self::Commit(certificate) => certificate.height,
        }
    }
}

/// Why a log cannot be trusted. The node must not vote; an operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Synced bytes are damaged.
    #[error("the consensus log is damaged at byte {offset}, in a part that had been synced")]
    Corrupt {
        /// Start of the damaged frame.
        offset: u64,
    },
    /// An intact frame whose content this version does not read.
    #[error("the consensus log holds a record at byte {offset} that this version cannot read")]
    Unreadable {
        /// Start of the frame.
        offset: u64,
    },
    /// A record where it cannot be: no beginning, a second one, or another height.
    #[error("the consensus log holds a misplaced record at byte {offset}")]
    Misplaced {
        /// Start of the frame.
        offset: u64,
    },
}

impl LogError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => "consensus.log.corrupt",
            Self::Unreadable { .. } => "consensus.log.unreadable",
            Self::Misplaced { .. } => "consensus.log.misplaced",
        }
    }
}

/// A log read back. The host cuts its file to `len` bytes before it starts the driver with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveredLog {
    /// The records; empty, or beginning with [`LogEntry::Started`] and all of one height.
    pub entries: Vec<LogEntry>,
    /// Bytes that are intact.
    pub len: u64,
    /// Bytes after them that a crash left behind, to be cut off.
    pub torn: u64,
}

impl RecoveredLog {
    /// Reads a whole log file.
    ///
    /// # Errors
    /// [`LogError`] when it holds less than what was synced, or what does not belong in it.
    pub fn read(bytes: &[u8]) -> Result<Self, LogError> {
        let mut reader = LogReader::new(bytes);
        let mut entries: Vec<LogEntry> = Vec::new();
        loop {
            let offset = reader.offset();
            let Some(entry) = reader.next().transpose()? else { break };
            let is_start = matches!(entry, LogEntry::Started { .. });
            if is_start != entries.is_empty() || entries.first().is_some_and(|e| e.height() != entry.height()) {
                return Err(LogError::Misplaced { offset });
            }
            entries.push(entry);
        }
        let len = reader.offset();
        let torn = u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_sub(len);
        Ok(Self { entries, len, torn })
    }
}

/// Yields the records of a log until its end or a torn tail; [`LogReader::offset`] then is where the intact part ends.
#[derive(Debug)]
pub struct LogReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

struct Frame<'a> {
    durable: u64,
    payload: &'a [u8],
    end: usize,
}

impl<'a> LogReader<'a> {
    /// Starts at the beginning.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// End of the last record yielded, in bytes from the beginning.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::try_from(self.at).unwrap_or(u64::MAX)
    }

    /// True when bytes are left that are no record.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.at < self.bytes.len()
    }

    fn frame_at(&self, at: usize) -> Option<Frame<'a>> {
        let header = self.bytes.get(at..at.checked_add(HEADER_BYTES)?)?;
        let (magic, rest) = header.split_first_chunk::<4>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (durable, rest) = rest.split_first_chunk::<8>()?;
        let (crc, _) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        if *magic != MAGIC || len > LOG_PAYLOAD_BYTES_MAX {
            return None;
        }
        let start = at + HEADER_BYTES;
        let end = start.checked_add(len)?;
        let payload = self.bytes.get(start..end)?;
        let durable = u64::from_le_bytes(*durable);
        (u32::from_le_bytes(*crc) == checksum(durable, payload)).then_some(Frame { durable, payload, end })
    }

    /// Judges the bytes from `at` on, where no frame begins.
    fn tail_is_torn(&self, at: usize) -> bool {
        let tail = self.bytes.get(at..).unwrap_or_default();
        let offset = u64::try_from(at).unwrap_or(u64::MAX);
        let proven_durable = (1..tail.len())
            .filter(|step| tail.get(*step..).is_some_and(|rest| rest.starts_with(&MAGIC)))
            .filter_map(|step| self.frame_at(at + step))
            .any(|frame| frame.durable > offset);
        !proven_durable && (is_cut_short(tail) || has_hole(tail))
    }
}

/// A frame whose end is missing, header included.
fn is_cut_short(tail: &[u8]) -> bool {
    if tail.len() < HEADER_BYTES {
        return MAGIC.starts_with(tail.get(..4.min(tail.len())).unwrap_or_default());
    }
    let len = tail.get(4..8).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| u32::from_le_bytes(*b));
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    tail.starts_with(&MAGIC) && len <= LOG_PAYLOAD_BYTES_MAX && tail.len() - HEADER_BYTES < len
}

/// Space the file system had reserved but not written reads as zeros: to the end, or over a sector.
fn has_hole(tail: &[u8]) -> bool {
    const SECTOR_BYTES: usize = 512;
    tail.ends_with(&[0; 8])
        || tail.iter().all(|b| *b == 0)
        || tail.windows(SECTOR_BYTES).any(|w| w.iter().all(|b| *b == 0))
}

impl Iterator for LogReader<'_> {
    type Item = Result<LogEntry, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let offset = self.offset();
        let Some(frame) = self.frame_at(self.at) else {
            return if self.tail_is_torn(self.at) { None } else { Some(Err(LogError::Corrupt { offset })) };
        };
        let entry = match frame.payload.split_first() {
            Some((&LOG_VERSION, body)) => codec::decode("log entry", body, LOG_PAYLOAD_BYTES_MAX).ok(),
            _ => None,
        };
        match entry {
            Some(entry) => {
                self.at = frame.end;
                Some(Ok(entry))
            }
            None => Some(Err(LogError::Unreadable { offset })),
        }
    }
}

fn checksum(durable: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&durable.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Frames records and remembers how much of the log is synced.
#[derive(Debug, Default)]
pub(crate) struct LogWriter {
    len: u64,
    durable: u64,
}

impl LogWriter {
    /// Goes on after `len` bytes that were read back. They may be in the page cache only, so they count as not synced.
    pub(crate) const fn resume(len: u64) -> Self {
        Self { len, durable: 0 }
    }

    pub(crate) fn frame(&mut self, entry: &LogEntry) -> Vec<u8> {
        let mut payload = vec![LOG_VERSION];
        payload.extend_from_slice(&codec::encode(entry));
        let payload_len = u32::try_from(payload.len()).expect("an entry is bounded by LOG_PAYLOAD_BYTES_MAX");
        let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
        frame.extend_from_slice(&MAGIC);
        frame.extend_from_slice(&payload_len.to_le_bytes());
        frame.extend_from_slice(&self.durable.to_le_bytes());
        frame.extend_from_slice(&checksum(self.durable, &payload).to_le_bytes());
        frame.extend_from_slice(&payload);
        self.len = self.len.saturating_add(u64::try_from(frame.len()).unwrap_or(u64::MAX));
        frame
    }

    pub(crate) const fn has_unsynced(&self) -> bool {
        self.len > self.durable
    }

    pub(crate) const fn mark_synced(&mut self) {
        self.durable = self.len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(height: u64) -> LogEntry {
        LogEntry::Started { chain: ChainId([1; 32]), node: NodeId([2; 32]), height: Height(height) }
    }

    fn timer(round: u32) -> LogEntry {
        LogEntry::Timer { height: Height(7), round: Round(round), kind: TimerKind::Propose }
    }

    /// Five records, synced after the second and the fourth; also the offsets where each begins.
    fn sample() -> (Vec<u8>, Vec<usize>) {
        let mut writer = LogWriter::default();
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for (at, entry) in [started(7), timer(0), timer(1), timer(2), timer(3)].iter().enumerate() {
            starts.push(bytes.len());
            bytes.extend_from_slice(&writer.frame(entry));
            if at == 1 || at == 3 {
                writer.mark_synced();
            }
        }
        (bytes, starts)
    }

    #[test]
    fn reads_back_what_was_written() {
        let (bytes, _) = sample();
        let log = RecoveredLog::read(&bytes).unwrap();
        assert_eq!(log.entries, [started(7), timer(0), timer(1), timer(2), timer(3)]);
        assert_eq!((log.len, log.torn), (bytes.len() as u64, 0));
        assert_eq!(RecoveredLog::read(&[]).unwrap(), RecoveredLog::default());
    }

    #[test]
    fn every_cut_is_torn_and_keeps_the_whole_records_before_it() {
        let (bytes, starts) = sample();
        for cut in 0..bytes.len() {
            let log = RecoveredLog::read(&bytes[..cut]).unwrap();
            let whole = starts.iter().skip(1).chain([&bytes.len()]).filter(|end| **end <= cut).count();
            assert_eq!(log.entries.len(), whole, "cut at {cut}");
            assert_eq!(log.len + log.torn, cut as u64);
        }
    }

    #[test]
    fn every_flipped_bit_in_a_synced_record_is_an_error_when_a_later_record_proves_the_sync() {
        let (bytes, starts) = sample();
        for at in 0..starts[4] {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let error = RecoveredLog::read(&damaged).unwrap_err();
                let frame = starts.iter().rev().find(|start| **start <= at).copied().unwrap() as u64;
                // A flipped `durable` of the fourth frame is caught by its own checksum as well.
                assert_eq!(error, LogError::Corrupt { offset: frame }, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_hole_in_the_unsynced_end_is_torn_even_when_later_bytes_survived() {
        let mut writer = LogWriter::default();
        let mut bytes = writer.frame(&started(7));
        writer.mark_synced();
        let kept = bytes.len();
        for round in 0..40 {
            bytes.extend_from_slice(&writer.frame(&timer(round)));
        }
        bytes[kept + 10..kept + 1034].fill(0);
        let log = RecoveredLog::read(&bytes).unwrap();
        assert_eq!(log.entries, [started(7)]);
        assert_eq!(log.len, kept as u64);
        bytes.truncate(kept);
        bytes.extend_from_slice(&[0; 100]);
        assert_eq!(RecoveredLog::read(&bytes).unwrap().torn, 100);
    }

    #[test]
    fn a_complete_last_record_with_a_wrong_checksum_is_an_error() {
        let (mut bytes, starts) = sample();
        *bytes.last_mut().unwrap() ^= 0x40;
        assert_eq!(RecoveredLog::read(&bytes), Err(LogError::Corrupt { offset: starts[4] as u64 }));
    }

    #[test]
    fn misplaced_and_unreadable_records_are_errors() {
        let mut writer = LogWriter::default();
        let first = writer.frame(&started(7));
        let record = writer.frame(&timer(0));
        let other = writer.frame(&started(8));
        assert_eq!(RecoveredLog::read(&record), Err(LogError::Misplaced { offset: 0 }));
        let twice = [first.clone(), other].concat();
        assert_eq!(RecoveredLog::read(&twice), Err(LogError::Misplaced { offset: first.len() as u64 }));
        let mut newer = first;
        newer[HEADER_BYTES] = 9;
        let crc = checksum(0, &newer[HEADER_BYTES..]);
        newer[16..20].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(RecoveredLog::read(&newer), Err(LogError::Unreadable { offset: 0 }));
    }
}
