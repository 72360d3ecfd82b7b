//! Records in a file that has no name: read once, the same whenever they are read again, and gone with the process, however it ends.

use std::{
    io::{self, BufReader, BufWriter, ErrorKind, Read, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use vouch_types::api::kind_of;

use crate::{
    Fault, Node, Place, Reason, Record,
    reason::LONG_RUN,
    source::{Broken, Item, KEPT_BYTES_MAX, Reader},
    work::{At, WorkFile},
};

/// What all records of a source have in common, or the first one has.
#[derive(Debug, Clone)]
struct Shape {
    file: Arc<str>,
    sheet: Option<Arc<str>>,
    columns: Arc<[String]>,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) byte: u64,
    pub(crate) length: u32,
}

/// Writes records.
#[derive(Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    out: BufWriter<WorkFile>,
    byte: u64,
    shape: Option<Shape>,
    buffer: Vec<u8>,
}

/// Records that were written.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    file: Arc<WorkFile>,
    shape: Option<Shape>,
}

impl Keeper {
    /// In a folder.
    pub(crate) fn new(folder: &Path) -> Result<Self, Fault> {
        let out = WorkFile::new(folder).map_err(|error| Fault::io(folder.display().to_string(), &error))?;
        Ok(Self { folder: folder.to_owned(), out: BufWriter::new(out), byte: 0, shape: None, buffer: Vec::new() })
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Fault {
        Fault::io(self.folder.display().to_string(), error)
    }

    /// Adds a record, with what is wrong with it.
    pub(crate) fn add(&mut self, record: &Record, fault: Option<&Fault>) -> Result<Spot, Fault> {
        let shape = self.shape.get_or_insert_with(|| Shape {
            file: Arc::clone(&record.place.file),
            sheet: record.place.sheet.clone(),
            columns: Arc::clone(&record.columns),
        });
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let is_alike = shape.columns == record.columns;
        put(record, (!is_alike).then_some(&*record.columns), fault, &mut buffer);
        let length = u32::try_from(buffer.len()).map_err(|error| self.failed(&error))?;
        let written = self.out.write_all(&length.to_le_bytes()).and_then(|()| self.out.write_all(&buffer));
        written.map_err(|error| self.failed(&error))?;
        let spot = Spot { byte: self.byte + 4, length };
        self.byte = spot.byte + u64::from(length);
        self.buffer = buffer;
        if self.byte > KEPT_BYTES_MAX {
            let reason = LONG_RUN.with(&[&(KEPT_BYTES_MAX >> 30)]);
            return Err(Fault::new("uplink.too_long", record.place.to_string(), reason));
        }
        Ok(spot)
    }

    pub(crate) fn finish(self) -> Result<Kept, Fault> {
        let place = self.folder.display().to_string();
        let file = self.out.into_inner().map_err(|error| Fault::io(place, &error))?;
        Ok(Kept { file: Arc::new(file), shape: self.shape })
    }
}

impl Kept {
    /// Everything that a reader gives; an error when it does not come to its end.
    pub(crate) fn fill(reader: Reader, folder: &Path) -> Result<Self, Fault> {
        let mut keeper = Keeper::new(folder)?;
        for item in reader {
            match item {
                Ok(record) => keeper.add(&record, None)?,
                Err(Broken::Row(record, fault)) => keeper.add(&record, Some(&fault))?,
                Err(Broken::Stop(fault)) => return Err(fault),
            };
        }
        keeper.finish()
    }

    /// The record at a place.
    pub(crate) fn at(&self, spot: Spot) -> io::Result<(Record, Option<Fault>)> {
        let mut bytes = vec![0; usize::try_from(spot.length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, spot.byte)?;
        self.record(&bytes)
    }

    fn record(&self, bytes: &[u8]) -> io::Result<(Record, Option<Fault>)> {
        let shape = self.shape.as_ref().ok_or(ErrorKind::InvalidData)?;
        Bytes(bytes).record(shape)
    }

    /// All of them, from the first.
    pub(crate) fn rows(&self) -> Box<dyn Iterator<Item = Item> + Send> {
        let (kept, mut input) = (self.clone(), BufReader::new(At::start(&self.file)));
        Box::new(std::iter::from_fn(move || {
            let next = frame(&mut input).and_then(|bytes| bytes.map(|bytes| kept.record(&bytes)).transpose());
            match next {
                Ok(None) => None,
                Ok(Some((record, None))) => Some(Ok(record)),
                Ok(Some((record, Some(fault)))) => Some(Err(Broken::Row(Box::new(record), fault))),
                Err(error) => {
                    let name = kept.shape.as_ref().map(|shape| shape.file.to_string()).unwrap_or_default();
                    Some(Err(Broken::Stop(Fault::io(name, &error))))
                }
            }
        }))
    }
}

fn frame(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let Some(length) = crate::sorter::read_entry::<4>(input)? else { return Ok(None) };
    let mut bytes = vec![0; usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?];
    input.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const LIST: u8 = 5;
const MAP: u8 = 6;

fn put_count(count: usize, out: &mut Vec<u8>) {
    // A record has a few MiB at most.
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_count(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn put_node(node: &Node, out: &mut Vec<u8>) {
    match node {
        Node::Null => out.push(NULL),
        Node::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Node::Number(text) => {
            out.push(NUMBER);
            put_text(text, out);
        }
        Node::Text(text) => {
            out.push(TEXT);
            put_text(text, out);
        }
        Node::List(items) => {
            out.push(LIST);
            put_count(items.len(), out);
            items.iter().for_each(|item| put_node(item, out));
        }
        Node::Map(entries) => {
            out.push(MAP);
            put_count(entries.len(), out);
            for (name, node) in entries {
                put_text(name, out);
                put_node(node, out);
            }
        }
    }
}

fn put(record: &Record, columns: Option<&[String]>, fault: Option<&Fault>, out: &mut Vec<u8>) {
    for number in [record.place.record, record.place.line, record.place.byte] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.push(u8::from(columns.is_some()));
    if let Some(columns) = columns {
        put_count(columns.len(), out);
        columns.iter().for_each(|name| put_text(name, out));
    }
    out.push(u8::from(fault.is_some()));
    if let Some(fault) = fault {
        [fault.code, &fault.place].into_iter().for_each(|text| put_text(text, out));
        put_count(fault.reason.parts().len(), out);
        for part in fault.reason.parts() {
            put_text(part.code, out);
            put_count(part.values.len(), out);
            part.values.iter().for_each(|value| put_text(value, out));
        }
    }
    put_count(record.values.len(), out);
    record.values.iter().for_each(|node| put_node(node, out));
}

/// What is left to be read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> io::Result<u8> {
        self.take(1)?.first().copied().ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn count(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        usize::try_from(u32::from_le_bytes(bytes)).map_err(io::Error::other)
    }

    fn text(&mut self) -> io::Result<String> {
        let count = self.count()?;
        String::from_utf8(self.take(count)?.to_vec()).map_err(io::Error::other)
    }

    fn node(&mut self) -> io::Result<Node> {
        Ok(match self.byte()? {
            NULL => Node::Null,
            FALSE => Node::Bool(false),
            TRUE => Node::Bool(true),
            NUMBER => Node::Number(self.text()?),
            TEXT => Node::Text(self.text()?),
            LIST => {
                let count = self.count()?;
                Node::List((0..count).map(|_| self.node()).collect::<io::Result<_>>()?)
            }
            MAP => {
                let count = self.count()?;
                let entry = |_| -> io::Result<_> { Ok((self.text()?, self.node()?)) };
                Node::Map((0..count).map(entry).collect::<io::Result<_>>()?)
            }
            _ => return Err(ErrorKind::InvalidData.into()),
        })
    }

    fn texts(&mut self) -> io::Result<Vec<String>> {
        let count = self.count()?;
        (0..count).map(|_| self.text()).collect()
    }

    fn reason(&mut self) -> io::Result<Reason> {
        let count = self.count()?;
        let part = |_| -> io::Result<_> { Ok((self.text()?, self.texts()?)) };
        let parts = (0..count).map(part).collect::<io::Result<_>>()?;
        Reason::kept(parts).ok_or_else(|| ErrorKind::InvalidData.into())
    }

    fn record(&mut self, shape: &Shape) -> io::Result<(Record, Option<Fault>)> {
        let (record, line, byte) = (self.number()?, self.number()?, self.number()?);
        let columns = match self.byte()? {
            0 => Arc::clone(&shape.columns),
            _ => self.texts()?.into(),
        };
        let fault = match self.byte()? {
            0 => None,
            _ => {
                let code = kind_of(&self.text()?).map_or("uplink.format", |kind| kind.code);
                Some(Fault::new(code, self.text()?, self.reason()?))
            }
        };
        let count = self.count()?;
        let values = (0..count).map(|_| self.node()).collect::<io::Result<_>>()?;
        let place = Place { file: Arc::clone(&shape.file), sheet: shape.sheet.clone(), record, line, byte };
        Ok((Record { place, columns, values }, fault))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node() -> impl Strategy<Value = Node> {
        let leaf = prop_oneof![
            Just(Node::Null),
            any::<bool>().prop_map(Node::Bool),
            "[0-9]{1,9}".prop_map(Node::Number),
            "\\PC{0,9}".prop_map(Node::Text),
        ];
        leaf.prop_recursive(4, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Node::List),
                proptest::collection::vec(("\\PC{0,5}", inner), 0..4).prop_map(Node::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_were(
            all in proptest::collection::vec((proptest::collection::vec(("[a-c]", node()), 0..4), any::<u64>(), any::<bool>()), 0..12),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut keeper = Keeper::new(folder.path()).unwrap();
            let (mut expected, mut spots) = (Vec::new(), Vec::new());
            for (cells, line, is_bad) in all {
                let (columns, values): (Vec<String>, Vec<Node>) = cells.into_iter().unzip();
                let place = Place { file: "f".into(), sheet: Some("s".into()), record: line / 2, line, byte: 7 };
                let record = Record { place, columns: columns.into(), values };
                let fault = is_bad.then(|| Fault::new("uplink.number", "f, line 1", "not a number"));
                spots.push(keeper.add(&record, fault.as_ref()).unwrap());
                expected.push((record, fault));
            }
            let kept = keeper.finish().unwrap();
            let read: Vec<_> = kept.rows().map(|item| match item {
                Ok(record) => (record, None),
                Err(Broken::Row(record, fault)) => (*record, Some(fault)),
                Err(Broken::Stop(fault)) => panic!("{fault}"),
            }).collect();
            prop_assert_eq!(&read, &expected);
            for (spot, expected) in spots.into_iter().zip(&expected).rev() {
                prop_assert_eq!(&kept.at(spot).unwrap(), expected);
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_is_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Keeper::new(folder.path()).unwrap();
        let place = Place { file: "f".into(), sheet: None, record: 1, line: 2, byte: 0 };
        let record = Record { place, columns: Arc::from(["a".to_owned()]), values: vec![Node::Text("x".into())] };
        keeper.add(&record, None).unwrap();
        let kept = keeper.finish().unwrap();
        let length = kept.file.file().metadata().unwrap().len();
        for cut in (1..length).rev() {
            kept.file.file().set_len(cut).unwrap();
            assert!(matches!(kept.rows().next(), Some(Err(Broken::Stop(fault))) if fault.code == "uplink.io"), "{cut}");
        }
    }
}
