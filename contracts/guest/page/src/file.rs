//! A file as the page has it, which may be larger than memory.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes asked for at a time, and kept: who reads here and there, or little at a time, asks the page seldom.
const BUFFER_BYTES: usize = 64 << 10;

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "what the worker offers")]
mod host {
    #[link(wasm_import_module = "host")]
    unsafe extern "C" {
        /// Writes bytes of the file from `low + 2^32 · high` on to `to`; how many, or `u32::MAX` when it cannot be read.
        fn read_at(low: u32, high: u32, to: *mut u8, bytes: u32) -> u32;
        /// Hears how far something long is.
        fn seen(count: u32);
    }

    pub(super) fn bytes_at(at: u64, out: &mut [u8]) -> Option<usize> {
        let low = u32::try_from(at & u64::from(u32::MAX)).ok()?;
        let high = u32::try_from(at >> 32).ok()?;
        let length = u32::try_from(out.len()).ok()?;
        // SAFETY: the host writes at most `length` bytes to a buffer of that length, which nobody else sees meanwhile.
        let read = unsafe { read_at(low, high, out.as_mut_ptr(), length) };
        (read <= length).then_some(read as usize)
    }

    pub(super) fn tell(count: u32) {
        // SAFETY: a number is told, and nothing of this memory.
        unsafe { seen(count) }
    }
}

/// Outside a browser there is no host to ask, but what a test puts in its place.
#[cfg(not(target_arch = "wasm32"))]
mod host {
    use std::cell::RefCell;

    thread_local! {
        pub(super) static FILE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
    }

    pub(super) fn bytes_at(at: u64, out: &mut [u8]) -> Option<usize> {
        FILE.with_borrow(|file| {
            let rest = file.as_ref()?.get(usize::try_from(at).ok()?..)?;
            let count = rest.len().min(out.len());
            out[..count].copy_from_slice(&rest[..count]);
            Some(count)
        })
    }

    pub(super) const fn tell(_: u32) {}
}

/// What the page's file holds for calls of this thread, in tests.
#[cfg(not(target_arch = "wasm32"))]
pub fn hold(bytes: Vec<u8>) {
    host::FILE.set(Some(bytes));
}

/// Tells the page how far something long is.
pub fn seen(count: u64) {
    host::tell(u32::try_from(count).unwrap_or(u32::MAX));
}

/// The file that came along with the call.
pub struct HostFile {
    bytes: u64,
    at: u64,
    /// Bytes of it, from `kept_from` on.
    kept: Vec<u8>,
    kept_from: u64,
}

impl core::fmt::Debug for HostFile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HostFile").field("bytes", &self.bytes).field("at", &self.at).finish_non_exhaustive()
    }
}

impl HostFile {
    /// From its beginning; so many bytes it has.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self { bytes, at: 0, kept: Vec::new(), kept_from: 0 }
    }

    /// What is kept from `at` on, if anything.
    fn kept(&self) -> &[u8] {
        let from = self.at.checked_sub(self.kept_from).and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.kept.get(from..)).unwrap_or_default()
    }

    /// Keeps the part of the file in which `at` lies.
    fn keep(&mut self) -> io::Result<()> {
        let from = self.at - self.at % BUFFER_BYTES as u64;
        let most = usize::try_from(self.bytes - from).unwrap_or(usize::MAX).min(BUFFER_BYTES);
        self.kept.clear();
        self.kept.resize(most, 0);
        let read = host::bytes_at(from, &mut self.kept);
        self.kept.truncate(read.unwrap_or(0));
        self.kept_from = from;
        read.map(|_| ()).ok_or_else(|| io::Error::other("the page could not read the file"))
    }
}

impl Read for HostFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.bytes || out.is_empty() {
            return Ok(0);
        }
        if self.kept().is_empty() {
            self.keep()?;
        }
        let kept = self.kept();
        let count = kept.len().min(out.len());
        out[..count].copy_from_slice(&kept[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for HostFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_here_and_there() {
        let held: Vec<u8> = (0..200_000_u32).map(|n| (n / 7 % 251) as u8).collect();
        hold(held.clone());
        let mut file = HostFile::new(held.len() as u64);
        for (at, length) in [(0, 4), (65_530, 20), (4, 8), (131_071, 2), (199_990, 10), (10, 150_000)] {
            file.seek(SeekFrom::Start(at)).unwrap();
            let mut read = vec![0; length];
            file.read_exact(&mut read).unwrap();
            let at = at as usize;
            assert_eq!(read, held[at..at + length], "{at}");
        }
        assert_eq!(file.seek(SeekFrom::End(-1)).unwrap(), 199_999);
        let mut rest = Vec::new();
        assert_eq!(file.read_to_end(&mut rest).unwrap(), 1);
        file.seek(SeekFrom::Start(1 << 40)).unwrap();
        assert_eq!(file.read(&mut [0; 4]).unwrap(), 0);
        // A file that became shorter ends where it ends, and one that is gone is no end.
        hold(held[..65_536].to_vec());
        let mut file = HostFile::new(held.len() as u64);
        file.seek(SeekFrom::Start(65_535)).unwrap();
        assert_eq!(file.read(&mut [0; 4]).unwrap(), 1);
        assert_eq!(file.read(&mut [0; 4]).unwrap(), 0);
        host::FILE.set(None);
        assert!(HostFile::new(9).read(&mut [0; 4]).is_err());
    }
}
