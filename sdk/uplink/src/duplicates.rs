//! Numbers that stand twice, found in bounded memory.

use std::{collections::BTreeMap, path::Path};

use crate::{Fault, reason::SAME_MANY, sorter::Sorter};

/// Most duplicates that are told; a source with more is not numbered by these columns.
pub(crate) const DUPLICATES_MAX: usize = 100_000;
/// Id, job, record, rows.
const ENTRY_BYTES: usize = 16 + 4 + 8 + 4;

/// A document that comes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    /// The job.
    pub(crate) job: u32,
    /// Its first record there.
    pub(crate) record: u64,
    /// Of how many rows it is.
    pub(crate) rows: u32,
}

/// Collects ids.
#[derive(Debug)]
pub(crate) struct Duplicates {
    place: String,
    sorter: Sorter<ENTRY_BYTES>,
}

/// For each document whose number stands elsewhere too, by job and record: of how many rows it is, and where the other is.
pub(crate) type Repeated = BTreeMap<(u32, u64), (u32, Standing)>;

impl Duplicates {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { place: folder.display().to_string(), sorter: Sorter::new(folder) }
    }

    pub(crate) fn add(&mut self, id: [u8; 16], at: Standing) -> Result<(), Fault> {
        let mut entry = [0; ENTRY_BYTES];
        entry[..16].copy_from_slice(&id);
        entry[16..20].copy_from_slice(&at.job.to_be_bytes());
        entry[20..28].copy_from_slice(&at.record.to_be_bytes());
        entry[28..].copy_from_slice(&at.rows.to_be_bytes());
        self.sorter.add(entry).map_err(|error| Fault::io(&*self.place, &error))
    }

    /// Every document whose number came before; and the first one too where `is_whole` says that a job's documents are gathered
    /// from all their rows: none of the two is whole then.
    pub(crate) fn finish(self, is_whole: impl Fn(u32) -> bool) -> Result<Repeated, Fault> {
        let failed = |error: std::io::Error| Fault::io(&*self.place, &error);
        let (mut repeated, mut first): (Repeated, Option<([u8; 16], Standing)>) = (Repeated::new(), None);
        for entry in self.sorter.finish().map_err(failed)? {
            let (id, at) = parts(&entry.map_err(failed)?);
            let Some((_, before)) = first.filter(|(known, _)| *known == id) else {
                first = Some((id, at));
                continue;
            };
            if repeated.len() >= DUPLICATES_MAX {
                let reason = SAME_MANY.with(&[&DUPLICATES_MAX]);
                return Err(Fault::new("uplink.duplicate_number", "number", reason));
            }
            if is_whole(before.job) {
                repeated.entry((before.job, before.record)).or_insert((before.rows, at));
            }
            repeated.insert((at.job, at.record), (at.rows, before));
        }
        Ok(repeated)
    }
}

fn parts(entry: &[u8; ENTRY_BYTES]) -> ([u8; 16], Standing) {
    let (mut id, mut job, mut record, mut rows) = ([0; 16], [0; 4], [0; 8], [0; 4]);
    id.copy_from_slice(&entry[..16]);
    job.copy_from_slice(&entry[16..20]);
    record.copy_from_slice(&entry[20..28]);
    rows.copy_from_slice(&entry[28..]);
    let (job, record) = (u32::from_be_bytes(job), u64::from_be_bytes(record));
    (id, Standing { job, record, rows: u32::from_be_bytes(rows) })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_same_as_in_memory(ids in proptest::collection::vec(0u8..40, 0..120), piece in 1usize..30, is_whole: bool) {
            let folder = tempfile::tempdir().unwrap();
            let mut duplicates = Duplicates::new(folder.path());
            duplicates.sorter = duplicates.sorter.by_pieces(piece);
            let (mut seen, mut expected) = (HashSet::new(), HashSet::new());
            for (record, id) in (1u64..).zip(&ids) {
                duplicates.add([*id; 16], Standing { job: 0, record, rows: 1 }).unwrap();
                if !seen.insert(*id) {
                    expected.insert((0, record));
                }
                if is_whole && ids.iter().filter(|other| *other == id).count() > 1 {
                    expected.insert((0, record));
                }
            }
            let repeated = duplicates.finish(|_| is_whole).unwrap();
            prop_assert_eq!(repeated.keys().copied().collect::<HashSet<_>>(), expected);
            prop_assert!(repeated.iter().all(|(at, (_, other))| ids[at.1 as usize - 1] == ids[other.record as usize - 1]));
            prop_assert!(is_whole || repeated.iter().all(|(at, (_, other))| other.record < at.1));
        }
    }
}
