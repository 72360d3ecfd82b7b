//! ZIP in one form only: what goes in gives the bytes of the archive, so that no two readers can see two contents in it.
//!
//! Members are stored, one after the other from the first byte on; names are ASCII; time, attributes and comments are fixed;
//! sizes of 4 GiB and more are in ZIP64 records and no others. Any ZIP program opens it; what any other program wrote is
//! refused. Nothing is compressed, so nothing grows when it is read.
//!
//! ```text
//! (local header ‖ content)* ‖ central directory ‖ [ZIP64 end, when the directory begins at 4 GiB or above] ‖ end, 22 bytes
//! ```

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::EvidenceError;

/// Most members of an archive.
pub const MEMBERS_MAX: usize = 8_192;
/// Longest name of a member, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Most bytes of the central directory.
const DIRECTORY_BYTES_MAX: u64 = (MEMBERS_MAX as u64) * (46 + NAME_BYTES_MAX as u64 + 28);

const LARGE: u64 = 0xffff_ffff;
const END_BYTES: u64 = 22;
const LARGE_END_BYTES: u64 = 56 + 20;
/// 1980-01-01, the first day that ZIP knows.
const DATE: u16 = 0x0021;

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Length of its content in bytes.
    pub bytes: u64,
    /// CRC-32 of its content.
    pub crc: u32,
    /// Where its local header begins.
    start: u64,
}

impl Entry {
    /// Where its content begins.
    fn content(&self) -> u64 {
        self.start + wide(self.local_header().len())
    }

    fn end(&self) -> Option<u64> {
        self.start.checked_add(wide(self.local_header().len()))?.checked_add(self.bytes)
    }

    fn is_large(&self) -> bool {
        self.bytes >= LARGE
    }

    /// What the two headers have in common: from the version needed to the length of the name.
    fn common(&self) -> Vec<u8> {
        let needed: u16 = if self.is_large() || self.start >= LARGE { 45 } else { 10 };
        let size = low(self.bytes);
        let mut out = Vec::with_capacity(24);
        [needed, 0, 0, 0, DATE].iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
        [self.crc, size, size].iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
        out.extend_from_slice(&short(self.name.len()).to_le_bytes());
        out
    }

    fn local_header(&self) -> Vec<u8> {
        let extra = self.extra(false);
        let extra_bytes = short(extra.len()).to_le_bytes();
        [&b"PK\x03\x04"[..], &self.common(), &extra_bytes, self.name.as_bytes(), &extra].concat()
    }

    fn central_header(&self) -> Vec<u8> {
        let extra = self.extra(true);
        let extra_bytes = short(extra.len()).to_le_bytes();
        let start = low(self.start).to_le_bytes();
        // Made by a program of version 4.5; no comment, first disk, no attributes.
        let rest: &[u8] = &[0; 10];
        let parts =
            [b"PK\x01\x02\x2d\x00", &self.common()[..], &extra_bytes, rest, &start, self.name.as_bytes(), &extra];
        parts.concat()
    }

    fn extra(&self, is_central: bool) -> Vec<u8> {
        let mut values = Vec::new();
        if self.is_large() {
            values.extend_from_slice(&self.bytes.to_le_bytes());
            values.extend_from_slice(&self.bytes.to_le_bytes());
        }
        if is_central && self.start >= LARGE {
            values.extend_from_slice(&self.start.to_le_bytes());
        }
        if values.is_empty() {
            return values;
        }
        [&[1, 0][..], &short(values.len()).to_le_bytes(), &values].concat()
    }
}

/// Central directory and end, as they follow from the members.
fn tail(entries: &[Entry], at: u64) -> Vec<u8> {
    let mut out: Vec<u8> = entries.iter().flat_map(Entry::central_header).collect();
    let (bytes, count) = (wide(out.len()), wide(entries.len()));
    if at >= LARGE {
        let end = at + bytes;
        out.extend_from_slice(b"PK\x06\x06");
        out.extend_from_slice(&44u64.to_le_bytes());
        out.extend_from_slice(&[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        [count, count, bytes, at].iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
        out.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        out.extend_from_slice(&end.to_le_bytes());
        out.extend_from_slice(&1u32.to_le_bytes());
    }
    let count = short(entries.len()).to_le_bytes();
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&count);
    out.extend_from_slice(&count);
    out.extend_from_slice(&low(bytes).to_le_bytes());
    out.extend_from_slice(&low(at).to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Names, extra fields and the number of members are far below 65,536.
fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

fn low(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Writes an archive from its first byte on.
#[derive(Debug)]
pub struct ArchiveWriter<W> {
    out: W,
    at: u64,
    entries: Vec<Entry>,
}

impl<W: Write + Seek> ArchiveWriter<W> {
    /// Begins at the beginning of `out`.
    pub const fn new(out: W) -> Self {
        Self { out, at: 0, entries: Vec::new() }
    }

    /// Adds a member of exactly `bytes` bytes; `watch` sees its content as it goes by.
    ///
    /// # Errors
    /// Those of reader and writer; an unexpected end when the content has another length.
    pub fn add(
        &mut self,
        name: &str,
        bytes: u64,
        content: &mut dyn Read,
        watch: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        if self.entries.len() >= MEMBERS_MAX || name.len() > NAME_BYTES_MAX || !name.is_ascii() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many members, or a name of another form"));
        }
        let mut entry = Entry { name: name.to_owned(), bytes, crc: 0, start: self.at };
        self.out.write_all(&entry.local_header())?;
        let mut crc = crc32fast::Hasher::new();
        let mut left = bytes;
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = content.read(&mut buffer[..room])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let part = &buffer[..read];
            self.out.write_all(part)?;
            crc.update(part);
            watch(part);
            left -= wide(read);
        }
        if content.read(&mut buffer[..1])? > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the content is longer than was said"));
        }
        entry.crc = crc.finalize();
        let end = entry.end().ok_or(io::ErrorKind::FileTooLarge)?;
        self.out.seek(SeekFrom::Start(entry.start))?;
        self.out.write_all(&entry.local_header())?;
        self.out.seek(SeekFrom::Start(end))?;
        self.at = end;
        self.entries.push(entry);
        Ok(())
    }

    /// Ends the archive and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&tail(&self.entries, self.at))?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// An archive that is in its one form, contents not looked at.
#[derive(Debug)]
pub struct Archive<R> {
    input: R,
    entries: Vec<Entry>,
}

fn io_fault(error: &io::Error) -> EvidenceError {
    EvidenceError::Io(error.to_string())
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory and compares it, and every local header, with what they must be.
    ///
    /// # Errors
    /// [`EvidenceError::Truncated`], [`EvidenceError::Archive`] or [`EvidenceError::Io`].
    pub fn open(mut input: R) -> Result<Self, EvidenceError> {
        let length = input.seek(SeekFrom::End(0)).map_err(|error| io_fault(&error))?;
        let end_at = length.checked_sub(END_BYTES).ok_or(EvidenceError::Truncated)?;
        let end = bytes_at(&mut input, end_at, END_BYTES)?;
        if !end.starts_with(b"PK\x05\x06\0\0\0\0") || !end.ends_with(&[0, 0]) {
            return Err(EvidenceError::Truncated);
        }
        let mut tail_at = u64::from(u32_at(&end, 16));
        let mut directory_end = end_at;
        if tail_at >= LARGE {
            directory_end = end_at.checked_sub(LARGE_END_BYTES).ok_or(EvidenceError::Truncated)?;
            let large = bytes_at(&mut input, directory_end, LARGE_END_BYTES)?;
            tail_at = u64_at(&large, 48);
        }
        let directory_bytes =
            directory_end.checked_sub(tail_at).ok_or_else(|| archive("where the directory begins"))?;
        if directory_bytes > DIRECTORY_BYTES_MAX {
            return Err(archive("too long a directory"));
        }
        let tail_bytes = bytes_at(&mut input, tail_at, length - tail_at)?;
        let directory = tail_bytes.get(..usize::try_from(directory_bytes).unwrap_or(usize::MAX)).unwrap_or_default();
        let entries = entries_of(directory)?;
        let contents_end = entries.last().map_or(Some(0), Entry::end);
        if contents_end != Some(tail_at) || tail(&entries, tail_at) != tail_bytes {
            return Err(archive("the directory is not the one of these members"));
        }
        let mut archive = Self { input, entries };
        for index in 0..archive.entries.len() {
            archive.check_header(index)?;
        }
        Ok(archive)
    }

    fn check_header(&mut self, index: usize) -> Result<(), EvidenceError> {
        let entry = &self.entries[index];
        let expected = entry.local_header();
        let found = bytes_at(&mut self.input, entry.start, wide(expected.len()))?;
        if found == expected { Ok(()) } else { Err(EvidenceError::Archive(format!("the header of {}", entry.name))) }
    }

    /// The members in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Reads a member; whoever reads it to its end compares the CRC.
    ///
    /// # Errors
    /// [`EvidenceError::Io`].
    pub fn content(&mut self, entry: &Entry) -> Result<io::Take<&mut R>, EvidenceError> {
        self.input.seek(SeekFrom::Start(entry.content())).map_err(|error| io_fault(&error))?;
        Ok(self.input.by_ref().take(entry.bytes))
    }
}

fn archive(reason: &str) -> EvidenceError {
    EvidenceError::Archive(reason.to_owned())
}

fn bytes_at<R: Read + Seek>(input: &mut R, at: u64, length: u64) -> Result<Vec<u8>, EvidenceError> {
    input.seek(SeekFrom::Start(at)).map_err(|error| io_fault(&error))?;
    let mut out = Vec::new();
    input.by_ref().take(length).read_to_end(&mut out).map_err(|error| io_fault(&error))?;
    if wide(out.len()) == length { Ok(out) } else { Err(EvidenceError::Truncated) }
}

/// Names, sizes and CRCs; places follow from them. Everything else is compared afterwards.
fn entries_of(mut directory: &[u8]) -> Result<Vec<Entry>, EvidenceError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut start = 0;
    while !directory.is_empty() {
        let header = directory.get(..46).ok_or_else(|| archive("a directory that is cut off"))?;
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(header, at)));
        let end = 46 + lengths.iter().sum::<usize>();
        let whole = directory.get(..end).ok_or_else(|| archive("a directory that is cut off"))?;
        let name = whole.get(46..46 + lengths[0]).and_then(|name| core::str::from_utf8(name).ok());
        let name = name.filter(|name| name.is_ascii() && name.len() <= NAME_BYTES_MAX);
        let name = name.ok_or_else(|| archive("a name of another form"))?.to_owned();
        let mut bytes = u64::from(u32_at(header, 24));
        if bytes == LARGE {
            let extra = whole.get(46 + lengths[0]..).filter(|extra| extra.len() >= 12);
            bytes = u64_at(extra.ok_or_else(|| archive("a size that is not there"))?, 4);
        }
        let entry = Entry { name, bytes, crc: u32_at(header, 16), start };
        start = entry.end().ok_or_else(|| archive("a size above all bounds"))?;
        entries.push(entry);
        if entries.len() > MEMBERS_MAX {
            return Err(archive("too many members"));
        }
        directory = &directory[end..];
    }
    Ok(entries)
}

/// Little-endian numbers out of a slice that is long enough; a short one reads as zeros and fails the comparison.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |found| u16::from_le_bytes(*found))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |found| u32::from_le_bytes(*found))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |found| u64::from_le_bytes(*found))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn made(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ArchiveWriter::new(Cursor::new(Vec::new()));
        for (name, content) in members {
            writer.add(name, wide(content.len()), &mut &**content, &mut |_| ()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, EvidenceError> {
        let mut archive = Archive::open(Cursor::new(bytes))?;
        let mut out = Vec::new();
        for entry in archive.entries().to_vec() {
            let mut content = Vec::new();
            archive.content(&entry)?.read_to_end(&mut content).unwrap();
            out.push((entry.name, content));
        }
        Ok(out)
    }

    const MEMBERS: &[(&str, &[u8])] = &[("a.json", b"{}"), ("b/c", b""), ("d", &[7; 70_000])];

    #[test]
    fn what_goes_in_comes_out_and_others_read_it() {
        let bytes = made(MEMBERS);
        let names = |all: &[(String, Vec<u8>)]| {
            all.iter().map(|(name, content)| (name.clone(), content.len())).collect::<Vec<_>>()
        };
        assert_eq!(names(&read(&bytes).unwrap()), [("a.json".into(), 2), ("b/c".into(), 0), ("d".into(), 70_000)]);
        let mut other = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
        for (index, (name, content)) in MEMBERS.iter().enumerate() {
            let mut file = other.by_index(index).unwrap();
            let mut found = Vec::new();
            file.read_to_end(&mut found).unwrap();
            assert_eq!((file.name().unwrap().as_ref(), &found[..]), (*name, *content));
        }
        assert_eq!(read(&made(&[])).unwrap(), Vec::new());
    }

    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

    /// Sizes from 4 GiB on, over a file that is nothing but a length.
    #[test]
    fn large_members_are_found_again() {
        struct Sparse {
            at: u64,
            kept: Vec<(u64, Vec<u8>)>,
            length: u64,
        }
        impl Write for Sparse {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                // Compared as slices: 4 GiB go by.
                if *data != ZEROS[..data.len()] {
                    self.kept.push((self.at, data.to_vec()));
                }
                self.at += wide(data.len());
                self.length = self.length.max(self.at);
                Ok(data.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Read for Sparse {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let length = usize::try_from(self.length - self.at).unwrap().min(out.len());
                out[..length].fill(0);
                for (start, data) in &self.kept {
                    for (place, byte) in (*start..).zip(data) {
                        if let Some(at) = place.checked_sub(self.at).and_then(|at| usize::try_from(at).ok())
                            && at < length
                        {
                            out[at] = *byte;
                        }
                    }
                }
                self.at += wide(length);
                Ok(length)
            }
        }
        impl Seek for Sparse {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                self.at = match to {
                    SeekFrom::Start(at) => at,
                    SeekFrom::End(by) => self.length.checked_add_signed(by).unwrap(),
                    SeekFrom::Current(by) => self.at.checked_add_signed(by).unwrap(),
                };
                Ok(self.at)
            }
        }
        let mut writer = ArchiveWriter::new(Sparse { at: 0, kept: Vec::new(), length: 0 });
        writer.add("small", 1, &mut &b"x"[..], &mut |_| ()).unwrap();
        let large = (4u64 << 30) + 5;
        writer.add("large", large, &mut io::repeat(0).take(large), &mut |_| ()).unwrap();
        writer.add("after", 1, &mut &b"y"[..], &mut |_| ()).unwrap();
        let mut archive = Archive::open(writer.finish().unwrap()).unwrap();
        let entries = archive.entries().to_vec();
        assert_eq!(entries.iter().map(|entry| entry.bytes).collect::<Vec<_>>(), [1, large, 1]);
        let mut last = Vec::new();
        archive.content(&entries[2]).unwrap().read_to_end(&mut last).unwrap();
        assert_eq!(last, b"y");
    }

    #[test]
    fn every_other_form_is_refused() {
        let good = made(MEMBERS);
        for cut in [0, 1, 21, good.len() - 1, good.len() - 22, 100] {
            assert_eq!(read(&good[..cut]).unwrap_err().code(), "evidence.truncated", "{cut}");
        }
        assert_eq!(read(&[&good[..], b"x"].concat()).unwrap_err().code(), "evidence.truncated");
        assert_eq!(read(&[b"x", &good[..]].concat()).unwrap_err().code(), "evidence.archive");
        // Every bit outside of the contents.
        let contents = [(36..38), (38 + 33..38 + 33), (71 + 31..71 + 31 + 70_000)];
        for at in (0..good.len()).filter(|at| !contents.iter().any(|content| content.contains(at))) {
            for bit in 0..8 {
                let mut altered = good.clone();
                altered[at] ^= 1 << bit;
                assert!(read(&altered).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    /// What other programs write: the same name twice, compressed, with a comment, a huge size declared.
    #[test]
    fn archives_of_others_are_refused() {
        use zip::write::SimpleFileOptions;
        let foreign = |options: SimpleFileOptions, comment: &str| {
            let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
            writer.start_file("manifest.json", options).unwrap();
            writer.write_all(&[b'a'; 1_000]).unwrap();
            writer.set_comment(comment).unwrap();
            writer.finish().unwrap().into_inner()
        };
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        assert_eq!(read(&foreign(stored, "hello")).unwrap_err().code(), "evidence.truncated");
        assert_eq!(read(&foreign(stored.unix_permissions(0o777), "")).unwrap_err().code(), "evidence.archive");
        let mut bomb = made(&[("a", b"x")]);
        let central = bomb.len() - 22 - 47;
        for at in [18, 22, central + 20, central + 24] {
            bomb[at..at + 4].copy_from_slice(&0xf000_0000u32.to_le_bytes());
        }
        assert_eq!(read(&bomb).unwrap_err().code(), "evidence.archive");
    }
}
