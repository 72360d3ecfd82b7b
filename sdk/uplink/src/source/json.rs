//! JSON (RFC 8259), a record at a time: the elements of an array, the values of a file one after another, or the elements of an
//! array somewhere within an object. Numbers stay text.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::Arc,
};

use vouch_privacy::stream::Decoded;

use super::{Broken, COLUMNS_MAX, DEPTH_MAX, Item, Text, csv::bad_encoding, guard::Guard};
use crate::{
    Fault, Node, Place, Reason, Record,
    reason::{
        DEEP, JSON_ARRAY, JSON_ARRAY_ENDS, JSON_BEHIND_ARRAY, JSON_COMMA, JSON_ENDS, JSON_EXPECTED, JSON_KEY,
        JSON_KEYS, JSON_NO_KEY, JSON_NONE, JSON_NUMBER, JSON_OBJECT, JSON_OPEN, JSON_TEXT, JSON_TWICE,
    },
};

/// Longest number.
const NUMBER_BYTES_MAX: usize = 128;

/// Values of a file.
pub(super) struct Values {
    input: Guard<Text>,
    file: Arc<str>,
    /// Whether records are elements of an array.
    in_array: bool,
    /// Whether the array is within an object, of which the rest is not looked at.
    is_within: bool,
    is_first: bool,
    record: u64,
    columns: Arc<[String]>,
}

impl Values {
    pub(super) fn open(
        input: Decoded<Box<dyn Read + Send>>,
        file: Arc<str>,
        records: Option<&str>,
    ) -> Result<Self, Fault> {
        let input = Guard::new(BufReader::new(input));
        let mut values = Self {
            input,
            file,
            in_array: false,
            is_within: records.is_some(),
            is_first: true,
            record: 0,
            columns: Arc::from([]),
        };
        for name in records.into_iter().flat_map(|path| path.split('.')) {
            values.descend(name)?;
        }
        if values.blank()? == Some(b'[') {
            values.input.consume(1);
            values.in_array = true;
        } else if records.is_some() {
            return Err(values.wrong(JSON_ARRAY));
        }
        Ok(values)
    }

    /// Into the value of a key of the object that begins here.
    fn descend(&mut self, name: &str) -> Result<(), Fault> {
        self.expect(b'{')?;
        loop {
            if self.blank()? != Some(b'"') {
                return Err(self.wrong(JSON_KEY.with(&[&name])));
            }
            let key = self.string()?;
            self.blank()?;
            self.expect(b':')?;
            if key == name {
                return Ok(());
            }
            self.input.allow();
            self.node(0)?;
            if self.blank()? == Some(b',') {
                self.input.consume(1);
            }
        }
    }

    fn wrong(&self, why: impl Into<Reason>) -> Fault {
        Fault::new("uplink.format", format!("{}, line {}", self.file, self.input.line), why)
    }

    fn peek(&mut self) -> Result<Option<u8>, Fault> {
        self.input.peek().map_err(|error| self.input.fault(&self.file, &error))
    }

    /// Passes blanks; the byte behind them.
    fn blank(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.input.consume(1),
                other => return Ok(other),
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.blank()? == Some(byte) {
            self.input.consume(1);
            return Ok(());
        }
        Err(self.wrong(JSON_EXPECTED.with(&[&char::from(byte)])))
    }

    fn string(&mut self) -> Result<String, Fault> {
        let mut raw = vec![b'"'];
        self.input.consume(1);
        let mut is_escaped = false;
        loop {
            let Some(byte) = self.peek()? else { return Err(self.wrong(JSON_OPEN)) };
            self.input.consume(1);
            raw.push(byte);
            if byte == b'"' && !is_escaped {
                break;
            }
            is_escaped = byte == b'\\' && !is_escaped;
        }
        let text: String = serde_json::from_slice(&raw).map_err(|error| {
            let text = error.to_string();
            self.wrong(JSON_TEXT.with(&[&text.split(" at line").next().unwrap_or_default()]))
        })?;
        if text.contains('\u{fffd}') && self.input.get_ref().get_ref().had_errors {
            return Err(bad_encoding(format!("{}, line {}", self.file, self.input.line)));
        }
        Ok(text)
    }

    fn word(&mut self) -> Result<String, Fault> {
        let mut raw = String::new();
        while let Some(byte) = self.peek()?.filter(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)) {
            if raw.len() == NUMBER_BYTES_MAX {
                return Err(self.wrong(JSON_NUMBER.with(&[&NUMBER_BYTES_MAX])));
            }
            raw.push(char::from(byte));
            self.input.consume(1);
        }
        Ok(raw)
    }

    fn node(&mut self, depth: usize) -> Result<Node, Fault> {
        if depth > DEPTH_MAX {
            let place = format!("{}, line {}", self.file, self.input.line);
            return Err(Fault::new("uplink.too_deep", place, DEEP.with(&[&DEPTH_MAX])));
        }
        match self.blank()? {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Node::Text(self.string()?)),
            Some(_) => {
                let word = self.word()?;
                match word.as_str() {
                    "true" => Ok(Node::Bool(true)),
                    "false" => Ok(Node::Bool(false)),
                    "null" => Ok(Node::Null),
                    number if is_number(number) => Ok(Node::Number(word)),
                    _ => Err(self.wrong(JSON_NONE)),
                }
            }
            None => Err(self.wrong(JSON_ENDS)),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Node, Fault> {
        self.input.consume(1);
        let mut entries: Vec<(String, Node)> = Vec::new();
        while self.blank()? != Some(b'}') {
            if !entries.is_empty() {
                self.expect(b',')?;
            }
            if self.blank()? != Some(b'"') {
                return Err(self.wrong(JSON_NO_KEY));
            }
            let key = self.string()?;
            if entries.len() == COLUMNS_MAX {
                let place = format!("{}, line {}", self.file, self.input.line);
                return Err(Fault::new("uplink.too_long", place, JSON_KEYS.with(&[&COLUMNS_MAX])));
            }
            if entries.iter().any(|(name, _)| *name == key) {
                return Err(self.wrong(JSON_TWICE.with(&[&key])));
            }
            self.expect(b':')?;
            let value = self.node(depth + 1)?;
            entries.push((key, value));
        }
        self.input.consume(1);
        Ok(Node::Map(entries))
    }

    fn list(&mut self, depth: usize) -> Result<Node, Fault> {
        self.input.consume(1);
        let mut items = Vec::new();
        while self.blank()? != Some(b']') {
            if !items.is_empty() {
                self.expect(b',')?;
            }
            items.push(self.node(depth + 1)?);
        }
        self.input.consume(1);
        Ok(Node::List(items))
    }

    fn read(&mut self) -> Result<Option<Record>, Fault> {
        self.input.allow();
        let next = self.blank()?;
        if self.in_array {
            match next {
                Some(b']') if self.is_within => return Ok(None),
                Some(b']') => {
                    self.input.consume(1);
                    let rest = self.blank()?;
                    // The end is said once; asked again it is there still.
                    self.in_array = false;
                    return if rest.is_none() { Ok(None) } else { Err(self.wrong(JSON_BEHIND_ARRAY)) };
                }
                Some(b',') if !self.is_first => self.input.consume(1),
                Some(_) if self.is_first => {}
                Some(_) => return Err(self.wrong(JSON_COMMA)),
                None => return Err(self.wrong(JSON_ARRAY_ENDS)),
            }
            self.blank()?;
        } else if next.is_none() {
            return Ok(None);
        }
        self.is_first = false;
        self.record += 1;
        let (line, byte) = (self.input.line, self.input.byte);
        let Node::Map(entries) = self.node(0)? else { return Err(self.wrong(JSON_OBJECT)) };
        let (names, values): (Vec<String>, Vec<Node>) = entries.into_iter().unzip();
        if names[..] != self.columns[..] {
            self.columns = names.into();
        }
        let place = Place { file: Arc::clone(&self.file), sheet: None, record: self.record, line, byte };
        Ok(Some(Record { place, columns: Arc::clone(&self.columns), values }))
    }
}

/// One value that is a text by itself.
#[cfg(feature = "native")]
pub(super) fn value(text: &str, file: &Arc<str>) -> Result<Node, Fault> {
    let input: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
    let mut values = Values::open(Decoded::new(input, vouch_privacy::stream::Encoding::Utf8), Arc::clone(file), None)?;
    let node = values.node(0)?;
    if values.blank()?.is_some() { Err(values.wrong(crate::reason::JSON_BEHIND)) } else { Ok(node) }
}

/// As RFC 8259 writes numbers.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

impl Iterator for Values {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.read().map_err(Broken::Stop).transpose()
    }
}
