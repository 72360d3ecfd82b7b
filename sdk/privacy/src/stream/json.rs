//! JSON (RFC 8259), one value after another, without building any of them.

use std::io::BufRead;

use super::{DEPTH_MAX, StreamError, VALUE_BYTES_MAX, Visitor, Walker};

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    /// A value, or the end of an array that is empty.
    ValueOrEnd,
    Key,
    /// A key, or the end of an object that is empty.
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    /// Another value, or the end of the file.
    Document,
}

struct Level {
    is_object: bool,
    key: Option<String>,
}

struct Reader<'a, 'b, R, V> {
    input: &'a mut R,
    walker: &'a mut Walker<'b, V>,
    levels: Vec<Level>,
    expect: Expect,
}

pub(super) fn walk<R: BufRead, V: Visitor>(input: &mut R, walker: &mut Walker<'_, V>) -> Result<(), StreamError> {
    let mut reader = Reader { input, walker, levels: Vec::new(), expect: Expect::Document };
    while let Some(byte) = reader.peek()? {
        reader.step(byte)?;
    }
    if reader.expect == Expect::Document { Ok(()) } else { Err(reader.wrong("the file ends within a value")) }
}

impl<R: BufRead, V: Visitor> Reader<'_, '_, R, V> {
    fn wrong(&self, why: &str) -> StreamError {
        StreamError::Format { line: self.walker.line, why: why.to_owned() }
    }

    fn peek(&mut self) -> Result<Option<u8>, StreamError> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    /// Takes one byte and writes it as it is.
    fn copy(&mut self, byte: u8) -> Result<(), StreamError> {
        self.input.consume(1);
        self.walker.write(&[byte])?;
        self.walker.pass(&[byte]);
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<(), StreamError> {
        match (byte, self.expect) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => self.copy(byte),
            (b'"', Expect::Key | Expect::KeyOrEnd) => {
                let raw = self.string()?;
                let key = self.unescape(&raw)?;
                self.walker.name(&key);
                self.walker.write(&raw)?;
                self.walker.pass(&raw);
                if let Some(level) = self.levels.last_mut() {
                    level.key = Some(key);
                }
                self.expect = Expect::Colon;
                Ok(())
            }
            (b':', Expect::Colon) => {
                self.expect = Expect::Value;
                self.copy(byte)
            }
            (b',', Expect::CommaOrEnd) => {
                self.expect =
                    if self.levels.last().is_some_and(|level| level.is_object) { Expect::Key } else { Expect::Value };
                self.copy(byte)
            }
            (b'}' | b']', Expect::CommaOrEnd | Expect::KeyOrEnd | Expect::ValueOrEnd) => self.close(byte),
            (_, Expect::Value | Expect::ValueOrEnd | Expect::Document) => self.value(byte),
            _ => Err(self.wrong("not what JSON allows here")),
        }
    }

    fn close(&mut self, byte: u8) -> Result<(), StreamError> {
        let fits = self.levels.pop().is_some_and(|level| level.is_object == (byte == b'}'));
        if !fits {
            return Err(self.wrong("a bracket closes what was not opened"));
        }
        self.after_value();
        self.copy(byte)
    }

    fn after_value(&mut self) {
        self.expect = if self.levels.is_empty() { Expect::Document } else { Expect::CommaOrEnd };
    }

    fn value(&mut self, byte: u8) -> Result<(), StreamError> {
        if self.levels.is_empty() {
            self.walker.begin_record();
        }
        match byte {
            b'{' | b'[' => {
                if self.levels.len() == DEPTH_MAX {
                    return Err(self.wrong("nested too deep"));
                }
                let is_object = byte == b'{';
                // Elements of an array stand under the key of the array.
                let key = self.levels.last().and_then(|level| level.key.clone()).filter(|_| !is_object);
                self.levels.push(Level { is_object, key });
                self.expect = if is_object { Expect::KeyOrEnd } else { Expect::ValueOrEnd };
                self.copy(byte)
            }
            b'"' => {
                let raw = self.string()?;
                let text = self.unescape(&raw)?;
                self.show(&raw, &text, true)
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                let raw = self.scalar()?;
                let text = String::from_utf8_lossy(&raw).into_owned();
                let is_number = serde_json::from_str::<serde_json::Number>(&text).is_ok();
                if !is_number && !matches!(text.as_str(), "true" | "false" | "null") {
                    return Err(self.wrong("no value of JSON"));
                }
                if is_number {
                    return self.show(&raw, &text, false);
                }
                self.walker.write(&raw)?;
                self.walker.pass(&raw);
                self.after_value();
                Ok(())
            }
            _ => Err(self.wrong("no value of JSON")),
        }
    }

    fn show(&mut self, raw: &[u8], text: &str, is_string: bool) -> Result<(), StreamError> {
        let key = self.levels.last().and_then(|level| level.key.clone());
        let place = (self.walker.line, self.walker.offset);
        match self.walker.show(key.as_deref(), place, text)? {
            Some(replaced) => {
                let stays_number = !is_string && serde_json::from_str::<serde_json::Number>(&replaced).is_ok();
                let written = if stays_number { replaced } else { serde_json::Value::from(replaced).to_string() };
                self.walker.write(written.as_bytes())?;
            }
            None => self.walker.write(raw)?,
        }
        self.walker.pass(raw);
        self.after_value();
        Ok(())
    }

    /// A string with its quotes and escapes.
    fn string(&mut self) -> Result<Vec<u8>, StreamError> {
        let mut raw = vec![b'"'];
        self.input.consume(1);
        let mut is_escaped = false;
        loop {
            let available = self.input.fill_buf()?;
            if available.is_empty() {
                return Err(self.wrong("a string is not closed"));
            }
            let mut taken = 0;
            let mut is_done = false;
            for byte in available {
                taken += 1;
                raw.push(*byte);
                is_done = *byte == b'"' && !is_escaped;
                is_escaped = *byte == b'\\' && !is_escaped;
                if is_done {
                    break;
                }
            }
            self.input.consume(taken);
            if raw.len() > VALUE_BYTES_MAX {
                return Err(StreamError::TooLong { line: self.walker.line });
            }
            if is_done {
                return Ok(raw);
            }
        }
    }

    fn unescape(&self, raw: &[u8]) -> Result<String, StreamError> {
        serde_json::from_slice(raw).map_err(|error| self.wrong(&format!("a string: {}", without_place(&error))))
    }

    /// A number or a word.
    fn scalar(&mut self) -> Result<Vec<u8>, StreamError> {
        let mut raw = Vec::new();
        while let Some(byte) = self.peek()? {
            let is_part = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
            if !is_part || raw.len() > 1024 {
                break;
            }
            raw.push(byte);
            self.input.consume(1);
        }
        Ok(raw)
    }
}

/// The library counts lines from the string's own beginning, which says nothing here.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line").next().unwrap_or_default().to_owned()
}
