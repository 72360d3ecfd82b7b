//! Entries of one length in ascending order, in bounded memory: sorted in pieces on disk and merged.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, BufReader, BufWriter, ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    vec,
};

use crate::work::{At, WorkFile};

/// Bytes of entries that are sorted in memory at a time.
const PIECE_BYTES: usize = 32 << 20;

/// Collects entries.
#[derive(Debug)]
pub(crate) struct Sorter<const N: usize> {
    folder: PathBuf,
    /// Entries of a piece.
    piece: usize,
    entries: Vec<[u8; N]>,
    files: Vec<Arc<WorkFile>>,
}

impl<const N: usize> Sorter<N> {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), piece: PIECE_BYTES / N.max(1), entries: Vec::new(), files: Vec::new() }
    }

    /// The same with pieces of so many entries.
    #[cfg(test)]
    pub(crate) fn by_pieces(self, piece: usize) -> Self {
        Self { piece, ..self }
    }

    pub(crate) fn add(&mut self, entry: [u8; N]) -> io::Result<()> {
        self.entries.push(entry);
        if self.entries.len() < self.piece {
            return Ok(());
        }
        self.entries.sort_unstable();
        let mut out = BufWriter::new(WorkFile::new(&self.folder)?);
        for entry in self.entries.drain(..) {
            out.write_all(&entry)?;
        }
        self.files.push(Arc::new(out.into_inner()?));
        Ok(())
    }

    /// All of them, ascending.
    pub(crate) fn finish(mut self) -> io::Result<Sorted<N>> {
        self.entries.sort_unstable();
        let mut sorted = Sorted {
            readers: self.files.iter().map(|file| BufReader::new(At::start(file))).collect(),
            own: self.entries.into_iter(),
            heap: BinaryHeap::new(),
        };
        for index in 0..=sorted.readers.len() {
            sorted.refill(index)?;
        }
        Ok(sorted)
    }
}

/// Entries, ascending.
#[derive(Debug)]
pub(crate) struct Sorted<const N: usize> {
    readers: Vec<BufReader<At>>,
    /// The last piece, which was never written.
    own: vec::IntoIter<[u8; N]>,
    /// The next of each piece.
    heap: BinaryHeap<Reverse<([u8; N], usize)>>,
}

impl<const N: usize> Sorted<N> {
    fn refill(&mut self, index: usize) -> io::Result<()> {
        let next = match self.readers.get_mut(index) {
            Some(reader) => read_entry(reader)?,
            None => self.own.next(),
        };
        self.heap.extend(next.map(|entry| Reverse((entry, index))));
        Ok(())
    }
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((entry, index)) = self.heap.pop()?;
        Some(self.refill(index).map(|()| entry))
    }
}

/// The next entry of a file that holds nothing else; `None` at its end.
pub(crate) fn read_entry<const N: usize>(reader: &mut impl io::Read) -> io::Result<Option<[u8; N]>> {
    let (mut entry, mut count) = ([0; N], 0);
    while let Some(rest) = entry.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) if count == 0 => return Ok(None),
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "a file for work ends within an entry")),
            Ok(more) => count += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(entry))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_same_as_in_memory(mut numbers in proptest::collection::vec(any::<u16>(), 0..200), piece in 1usize..30) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::<2>::new(folder.path()).by_pieces(piece);
            for number in &numbers {
                sorter.add(number.to_be_bytes()).unwrap();
            }
            let sorted: Vec<u16> = sorter.finish().unwrap().map(|entry| u16::from_be_bytes(entry.unwrap())).collect();
            numbers.sort_unstable();
            prop_assert_eq!(sorted, numbers);
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
