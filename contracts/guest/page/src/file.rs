//! A file as the page has it, which may be larger than memory.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes asked for at a time.
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

/// Outside a browser there is no host to ask.
#[cfg(not(target_arch = "wasm32"))]
mod host {
    pub(super) const fn bytes_at(_: u64, _: &mut [u8]) -> Option<usize> {
        None
    }

    pub(super) const fn tell(_: u32) {}
}

/// Tells the page how far something long is.
pub fn seen(count: u64) {
    host::tell(u32::try_from(count).unwrap_or(u32::MAX));
}

/// The file that came along with the call.
#[derive(Debug, Clone)]
pub struct HostFile {
    bytes: u64,
    at: u64,
}

impl HostFile {
    /// From its beginning; so many bytes it has.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Read for HostFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.saturating_sub(self.at);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(out.len()).min(BUFFER_BYTES);
        if most == 0 {
            return Ok(0);
        }
        let read = host::bytes_at(self.at, &mut out[..most]);
        let read = read.ok_or_else(|| io::Error::other("the page could not read the file"))?;
        self.at = self.at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
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
