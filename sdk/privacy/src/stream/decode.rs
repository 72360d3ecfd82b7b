//! Bytes of a file as UTF-8, whatever they are written in.

use std::io::{self, BufRead, Read};

use encoding_rs::{CoderResult, Decoder, GB18030, UTF_8, UTF_16BE, UTF_16LE};
use serde::{Deserialize, Serialize};

/// Bytes that are read at once.
const INPUT_BYTES: usize = 64 << 10;

/// Encodings of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// GB 18030, and with it GBK and GB 2312.
    Gb18030,
    /// UTF-16, little end first.
    Utf16Le,
    /// UTF-16, big end first.
    Utf16Be,
}

impl Encoding {
    /// By the mark at the beginning; else UTF-8 if what is there is that, else GB 18030.
    #[must_use]
    pub fn guess(beginning: &[u8]) -> Self {
        if beginning.starts_with(b"\xff\xfe") {
            return Self::Utf16Le;
        }
        if beginning.starts_with(b"\xfe\xff") {
            return Self::Utf16Be;
        }
        // The last character may be cut.
        let is_utf8 = std::str::from_utf8(beginning).map_or_else(|error| error.error_len().is_none(), |_| true);
        if is_utf8 { Self::Utf8 } else { Self::Gb18030 }
    }

    fn decoder(self) -> Decoder {
        match self {
            Self::Utf8 => UTF_8.new_decoder_with_bom_removal(),
            Self::Gb18030 => GB18030.new_decoder_without_bom_handling(),
            Self::Utf16Le => UTF_16LE.new_decoder_with_bom_removal(),
            Self::Utf16Be => UTF_16BE.new_decoder_with_bom_removal(),
        }
    }
}

/// Reads as UTF-8. What is no character becomes U+FFFD, and is counted.
pub struct Decoded<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    raw_at: usize,
    is_last: bool,
    is_done: bool,
    text: Vec<u8>,
    text_at: usize,
    /// Whether something was no character.
    pub had_errors: bool,
}

impl<R: Read> std::fmt::Debug for Decoded<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoded").field("had_errors", &self.had_errors).finish_non_exhaustive()
    }
}

impl<R: Read> Decoded<R> {
    /// Reads `input` in an encoding.
    #[must_use]
    pub fn new(input: R, encoding: Encoding) -> Self {
        Self {
            input,
            decoder: encoding.decoder(),
            raw: Vec::new(),
            raw_at: 0,
            is_last: false,
            is_done: false,
            text: Vec::new(),
            text_at: 0,
            had_errors: false,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.text_at = 0;
        while self.text.is_empty() && !self.is_done {
            if self.raw_at == self.raw.len() && !self.is_last {
                self.raw.resize(INPUT_BYTES, 0);
                let count = self.input.read(&mut self.raw)?;
                self.raw.truncate(count);
                self.raw_at = 0;
                self.is_last = count == 0;
            }
            // Three bytes of UTF-8 for each byte are enough for all of these encodings.
            self.text.resize(3 * INPUT_BYTES + 16, 0);
            let rest = self.raw.get(self.raw_at..).unwrap_or_default();
            let (result, read, written, had_errors) = self.decoder.decode_to_utf8(rest, &mut self.text, self.is_last);
            self.text.truncate(written);
            self.raw_at += read;
            self.had_errors |= had_errors;
            self.is_done = self.is_last && result == CoderResult::InputEmpty;
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.text_at == self.text.len() {
            self.refill()?;
        }
        Ok(self.text.get(self.text_at..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.text_at = (self.text_at + count).min(self.text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], encoding: Encoding) -> (String, bool) {
        // Seven bytes at a time cut characters everywhere.
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let count = into.len().min(7).min(self.0.len());
                into[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let mut reader = Decoded::new(Slow(bytes), encoding);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (text, reader.had_errors)
    }

    #[test]
    fn all_encodings_are_read_and_guessed() {
        let text = "姓名：张三丰，手机13812345678\n".repeat(50);
        let (gbk, _, _) = GB18030.encode(&text);
        let utf16: Vec<u8> = "\u{feff}"
            .chars()
            .chain(text.chars())
            .flat_map(|c| u16::try_from(u32::from(c)).unwrap().to_le_bytes())
            .collect();
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        for (bytes, encoding) in [
            (text.as_bytes(), Encoding::Utf8),
            (&marked, Encoding::Utf8),
            (&gbk, Encoding::Gb18030),
            (&utf16, Encoding::Utf16Le),
        ] {
            assert_eq!(Encoding::guess(bytes), encoding);
            assert_eq!(decoded(bytes, encoding), (text.clone(), false), "{encoding:?}");
        }
        assert_eq!(Encoding::guess(&text.as_bytes()[..100]), Encoding::Utf8, "cut within a character");
        let (broken, had_errors) = decoded(b"a\xff\xffb", Encoding::Utf8);
        assert!(had_errors && broken.starts_with('a') && broken.ends_with('b'));
        assert_eq!(decoded(b"", Encoding::Utf8), (String::new(), false));
    }
}
