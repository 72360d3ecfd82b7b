//! A reader that counts lines and bytes and refuses to go on within a record that does not end.

use std::io::{self, BufRead, ErrorKind, Read};

use super::RECORD_BYTES_MAX;
use crate::{Fault, reason::LONG_RECORD};

/// Counts what is consumed.
#[derive(Debug)]
pub(super) struct Guard<R> {
    inner: R,
    /// Line, from 1.
    pub(super) line: u64,
    /// Bytes before.
    pub(super) byte: u64,
    left: u64,
}

impl<R: BufRead> Guard<R> {
    pub(super) const fn new(inner: R) -> Self {
        Self { inner, line: 1, byte: 0, left: RECORD_BYTES_MAX }
    }

    /// A record begins.
    pub(super) const fn allow(&mut self) {
        self.left = RECORD_BYTES_MAX;
    }

    pub(super) const fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The next byte, which stays.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.fill_buf()?.first().copied())
    }

    /// What went wrong while reading.
    pub(super) fn fault(&self, file: &str, error: &io::Error) -> Fault {
        let place = format!("{file}, line {}", self.line);
        if error.kind() == ErrorKind::FileTooLarge {
            let reason = LONG_RECORD.with(&[&(RECORD_BYTES_MAX >> 20)]);
            return Fault::new("uplink.too_long", place, reason);
        }
        Fault::io(place, error)
    }
}

impl<R: BufRead> Read for Guard<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Guard<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let available = self.inner.fill_buf()?;
        let count = available.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(available.get(..count).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        if let Ok(available) = self.inner.fill_buf() {
            let passed = available.get(..count).unwrap_or_default();
            self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        self.inner.consume(count);
        self.byte += count as u64;
        self.left = self.left.saturating_sub(count as u64);
    }
}
