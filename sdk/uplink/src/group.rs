//! Rows of a source that together are one document: gathered by business number, in whatever order they stand, in bounded memory.
//!
//! ```text
//! source --> rows in a file without a name; of each its number's hash, place and length
//!     --sorted by number, then by each number's first row--> index --> all rows of a number, in the source's order
//! ```
//!
//! A document of which a row is missing would be on the chain for ever, so a source with a row of which nobody can tell to which
//! document it belongs is not read at all.

use std::{
    io::{self, BufReader, BufWriter, Write as _},
    path::Path,
    sync::Arc,
};

use crate::{
    Fault, Record,
    kept::{Keeper, Kept, Spot},
    reason::{NO_NUMBER, NOBODYS},
    sorter::{Sorter, read_entry},
    source::{Broken, RECORD_BYTES_MAX, Reader},
    work::{At, WorkFile},
};

/// Most rows of one document.
pub(crate) const ROWS_MAX: usize = 10_000;
/// Most bytes of them.
const BYTES_MAX: u64 = RECORD_BYTES_MAX;
/// Number's hash, position, byte, length.
const BY_NUMBER: usize = 16 + 8 + 8 + 4;
/// Position of the number's first row, position, byte, length.
const IN_ORDER: usize = 8 + 8 + 8 + 4;

/// A source whose rows were gathered.
#[derive(Debug, Clone)]
pub(crate) struct Gathered {
    rows: Kept,
    index: Arc<WorkFile>,
}

/// What tells rows of one document from others.
pub(crate) type NumberOf<'a> = &'a dyn Fn(&Record) -> Result<String, Vec<Fault>>;

impl Gathered {
    /// Reads a source to its end; `folder` takes what does not fit in memory, `seen` hears of every record.
    pub(crate) fn fill(
        reader: Reader,
        number: NumberOf<'_>,
        folder: &Path,
        seen: &mut dyn FnMut(),
    ) -> Result<Self, Vec<Fault>> {
        let failed = |error: &dyn std::fmt::Display| vec![Fault::io(folder.display().to_string(), error)];
        let one = |fault| vec![fault];
        let mut keeper = Keeper::new(folder).map_err(one)?;
        let mut sorter = Sorter::<BY_NUMBER>::new(folder);
        for (position, item) in (0_u64..).zip(reader) {
            seen();
            let (record, fault) = match item {
                Ok(record) => (record, None),
                Err(Broken::Row(record, fault)) => (*record, Some(fault)),
                Err(Broken::Stop(fault)) => return Err(one(fault)),
            };
            // Cells of a row of another width may be those of other columns.
            let number = match fault.as_ref().filter(|fault| fault.code == "uplink.ragged") {
                None => number(&record)?,
                Some(fault) => return Err(one(unknown(fault.clone()))),
            };
            if number.is_empty() {
                let nobody = || Fault::new("uplink.group", record.place.to_string(), NO_NUMBER);
                return Err(one(unknown(fault.unwrap_or_else(nobody))));
            }
            let spot = keeper.add(&record, fault.as_ref()).map_err(one)?;
            let hash = blake3::hash(number.as_bytes());
            sorter.add(entry([&hash.as_bytes()[..16], &position.to_be_bytes()], spot)).map_err(|e| failed(&e))?;
        }
        let rows = keeper.finish().map_err(one)?;
        let index = in_order(sorter, folder).map_err(|error| failed(&error))?;
        Ok(Self { rows, index: Arc::new(index) })
    }

    /// What is gathered, from the first number.
    pub(crate) fn groups(&self) -> Groups {
        let index = BufReader::new(At::start(&self.index));
        Groups { rows: self.rows.clone(), index, next: None, excess: None, is_over: false }
    }
}

fn unknown(fault: Fault) -> Fault {
    Fault { reason: fault.reason.and(NOBODYS), ..fault }
}

fn entry<const N: usize>(heads: [&[u8]; 2], spot: Spot) -> [u8; N] {
    let mut entry = [0; N];
    let parts = [heads[0], heads[1], &spot.byte.to_be_bytes(), &spot.length.to_be_bytes()];
    for (to, from) in entry.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    entry
}

fn number_at(entry: &[u8], from: usize) -> u64 {
    let bytes = entry.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
    u64::from_be_bytes(bytes.unwrap_or_default())
}

fn spot_at(entry: &[u8], from: usize) -> Spot {
    let length = entry.get(from + 8..from + 12).and_then(|bytes| bytes.try_into().ok());
    Spot { byte: number_at(entry, from), length: u32::from_be_bytes(length.unwrap_or_default()) }
}

/// Sorts by number, and then numbers by where each stands first.
fn in_order(sorter: Sorter<BY_NUMBER>, folder: &Path) -> io::Result<WorkFile> {
    let mut by_first = Sorter::<IN_ORDER>::new(folder);
    let (mut hash, mut first): (Option<[u8; 16]>, u64) = (None, 0);
    for next in sorter.finish()? {
        let next = next?;
        let (number, position) = (next.first_chunk::<16>().copied(), number_at(&next, 16));
        if number != hash {
            (hash, first) = (number, position);
        }
        by_first.add(entry([&first.to_be_bytes(), &position.to_be_bytes()], spot_at(&next, 24)))?;
    }
    let mut out = BufWriter::new(WorkFile::new(folder)?);
    for next in by_first.finish()? {
        out.write_all(&next?)?;
    }
    Ok(out.into_inner()?)
}

/// Rows of one number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// All of them, and what is wrong with some.
    Whole(Vec<Record>, Vec<Fault>),
    /// Some of more than a document can have.
    Excess(Vec<Record>),
}

/// Groups in the order in which their numbers stand first.
#[derive(Debug)]
pub(crate) struct Groups {
    rows: Kept,
    index: BufReader<At>,
    /// First position and place of the next row.
    next: Option<(u64, Spot)>,
    /// Which number has more rows than it may.
    excess: Option<u64>,
    is_over: bool,
}

impl Groups {
    fn peek(&mut self) -> io::Result<Option<(u64, Spot)>> {
        if self.next.is_none() && !self.is_over {
            let entry = read_entry::<IN_ORDER>(&mut self.index)?;
            self.is_over = entry.is_none();
            self.next = entry.map(|entry| (number_at(&entry, 0), spot_at(&entry, 16)));
        }
        Ok(self.next)
    }

    fn read(&mut self) -> io::Result<Option<Group>> {
        let Some((number, _)) = self.peek()? else { return Ok(None) };
        let mut is_excess = self.excess.take() == Some(number);
        let (mut records, mut faults, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some((_, spot)) = self.peek()?.filter(|(other, _)| *other == number) {
            bytes += u64::from(spot.length);
            if records.len() == ROWS_MAX || (bytes > BYTES_MAX && !records.is_empty()) {
                (is_excess, self.excess) = (true, Some(number));
                break;
            }
            let (record, fault) = self.rows.at(spot)?;
            records.push(record);
            faults.extend(fault);
            self.next = None;
        }
        Ok(Some(if is_excess { Group::Excess(records) } else { Group::Whole(records, faults) }))
    }
}

impl Iterator for Groups {
    type Item = io::Result<Group>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Node, discover, source::ReadOptions};

    fn gathered(text: &str) -> Result<Gathered, Vec<Fault>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let found = discover(&path, folder.path()).unwrap().remove(0);
        let reader = Reader::open(&found, &ReadOptions::default()).unwrap();
        let number = |record: &Record| Ok(record.get("no").and_then(|(_, node)| node.text()).unwrap_or_default());
        Gathered::fill(reader, &number, folder.path(), &mut || ())
    }

    fn cells(group: &Group) -> Vec<(u64, String)> {
        let (Group::Whole(records, _) | Group::Excess(records)) = group;
        records.iter().map(|record| (record.place.record, record.values[0].text().unwrap())).collect()
    }

    proptest! {
        #[test]
        fn every_row_is_with_those_of_its_number(numbers in proptest::collection::vec(0u8..9, 1..80)) {
            let lines: String = numbers.iter().map(|number| format!("{number},x\n")).collect();
            let gathered = gathered(&format!("no,a\n{lines}")).unwrap();
            let mut expected: Vec<(u8, Vec<(u64, String)>)> = Vec::new();
            for (record, number) in (1..).zip(&numbers) {
                let row = (record, number.to_string());
                match expected.iter_mut().find(|(other, _)| other == number) {
                    Some((_, rows)) => rows.push(row),
                    None => expected.push((*number, vec![row])),
                }
            }
            for _ in 0..2 {
                let read: Vec<_> = gathered.groups().map(|group| cells(&group.unwrap())).collect();
                prop_assert_eq!(&read, &expected.iter().map(|(_, rows)| rows.clone()).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_row_of_no_document_ends_the_source() {
        for (text, code, place) in [
            ("no,a\n1,x\n,y\n", "uplink.group", "t.csv, line 3"),
            ("no,a\n1,x\n1\n", "uplink.ragged", "t.csv, line 3"),
            ("no,a\n1,x\n1,\"y\n", "uplink.format", "t.csv, line 3"),
        ] {
            let faults = gathered(text).unwrap_err();
            assert_eq!((faults[0].code, &*faults[0].place), (code, place), "{faults:?}");
        }
        assert_eq!(gathered("no,a\n").unwrap().groups().count(), 0);
    }

    #[test]
    fn too_many_rows_of_one_number_come_in_parts_and_all_of_them() {
        let lines: String = (0..2 * ROWS_MAX + 1).map(|row| format!("{},x\n", if row == 7 { 2 } else { 1 })).collect();
        let groups: Vec<Group> =
            gathered(&format!("no,a\n{lines}")).unwrap().groups().map(|group| group.unwrap()).collect();
        let counts: Vec<(bool, usize)> =
            groups.iter().map(|group| (matches!(group, Group::Excess(_)), cells(group).len())).collect();
        assert_eq!(counts, [(true, ROWS_MAX), (true, ROWS_MAX), (false, 1)]);
        let long: String = (0..3).map(|_| format!("1,{}\n", "x".repeat(4 << 20))).collect();
        let groups: Vec<Group> =
            gathered(&format!("no,a\n{long}")).unwrap().groups().map(|group| group.unwrap()).collect();
        assert!(
            matches!(&groups[..], [Group::Excess(one), Group::Excess(two), ..] if one.len() + two.len() >= 2),
            "{}",
            groups.len()
        );
        assert_eq!(groups.iter().map(|group| cells(group).len()).sum::<usize>(), 3);
    }

    #[test]
    fn what_is_wrong_with_a_row_stays_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        let text = "CREATE TABLE o (no TEXT, a BLOB); INSERT INTO o VALUES ('1', 'x'), ('2', 'y'), ('1', x'ff')";
        connection.execute_batch(text).unwrap();
        let found = discover(&path, folder.path()).unwrap().remove(0);
        let options = ReadOptions { query: Some("SELECT * FROM o".into()), ..ReadOptions::default() };
        let reader = Reader::open(&found, &options).unwrap();
        let number = |record: &Record| Ok(record.get("no").and_then(|(_, node)| node.text()).unwrap_or_default());
        let gathered = Gathered::fill(reader, &number, folder.path(), &mut || ()).unwrap();
        let groups: Vec<Group> = gathered.groups().map(|group| group.unwrap()).collect();
        let Group::Whole(records, faults) = &groups[0] else { panic!("{groups:?}") };
        assert_eq!((records.len(), faults.len(), &*faults[0].place), (2, 1, "d.db, record 3, column 2 (a)"));
        assert!(matches!(&groups[1], Group::Whole(records, faults) if records.len() == 1 && faults.is_empty()));
        assert_eq!(records[1].values, [Node::Text("1".into()), Node::Null]);
    }
}
