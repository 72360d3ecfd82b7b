//! Looks for planted values in bytes, in every form in which a program could have let them out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use aho_corasick::AhoCorasick;
use anyhow::{Context as _, Result, ensure};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use encoding_rs::GBK;
use md5::Md5;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use sm3::Sm3;
use vouch_ledger::{Table, View as _};
use vouch_store::{RocksStore, StoreOptions};

/// Shortest form that is told from chance, in bytes.
const FORM_BYTES_MIN: usize = 8;
/// Rows of a table taken at once.
const ROWS_MAX: usize = 4_096;
/// Traces kept; the others are counted.
const TRACES_MAX: usize = 200;

/// Values that must not be found anywhere.
#[derive(Debug, Clone, Default)]
pub struct Planted {
    values: BTreeMap<String, String>,
}

impl Planted {
    /// Adds a text.
    ///
    /// # Panics
    /// When it is too short to be told from chance.
    pub fn add(&mut self, label: impl Into<String>, text: &str) {
        assert!(GBK.encode(text).0.len() >= FORM_BYTES_MIN, "{text} is too short");
        self.values.insert(text.to_owned(), label.into());
    }

    /// Adds all texts of a value that are long enough, of rows those within them.
    pub fn add_value(&mut self, label: &str, value: &Value) {
        match value {
            Value::String(text) if GBK.encode(text).0.len() >= FORM_BYTES_MIN => self.add(label, text),
            Value::Array(items) => items.iter().for_each(|item| self.add_value(label, item)),
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| self.add_value(&format!("{label}.{key}"), value));
            }
            _ => {}
        }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

/// One place where a value was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trace {
    /// Where.
    pub place: String,
    /// Which value, by its label.
    pub label: String,
    /// In which form.
    pub form: &'static str,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// Each once.
    pub found: BTreeSet<Trace>,
    /// Values found, by their texts.
    pub values: BTreeSet<String>,
    /// How many bytes were looked through.
    pub bytes: u64,
    /// How many pieces: files, rows, answers, messages.
    pub pieces: u64,
}

/// All forms of all values in one automaton.
#[derive(Debug, Clone)]
pub struct Finder {
    automaton: AhoCorasick,
    /// Of each pattern: text, label, form.
    patterns: Arc<Vec<(String, String, &'static str)>>,
    /// What was found so far.
    pub traces: Traces,
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes in the middle of a Base64 text that are the same whatever stands before and after.
fn base64_forms(bytes: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3usize {
        let padded = [&vec![0; before][..], bytes].concat();
        // The first characters hold bits of what stands before, the last one bits of what follows.
        let first = [0, 2, 3][before];
        let last = padded.len() / 3 * 4 + [0, 1, 2][padded.len() % 3];
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.extend(text.get(first..last).map(str::to_owned));
        }
    }
    forms
}

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

/// Unsalted hashes of a text's bytes.
fn hashes(bytes: &[u8]) -> [(&'static str, Vec<u8>); 5] {
    [
        ("SHA-256", Sha256::digest(bytes).to_vec()),
        ("SHA-1", Sha1::digest(bytes).to_vec()),
        ("MD5", Md5::digest(bytes).to_vec()),
        ("SM3", Sm3::digest(bytes).to_vec()),
        ("BLAKE3", blake3::hash(bytes).as_bytes().to_vec()),
    ]
}

/// Every form of a text.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf8 = text.as_bytes();
    let gbk = GBK.encode(text).0.into_owned();
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let percent: String = utf8.iter().map(|byte| format!("%{byte:02X}")).collect();
    let mut forms = vec![
        ("UTF-8", utf8.to_vec()),
        ("UTF-16LE", utf16(text, u16::to_le_bytes)),
        ("UTF-16BE", utf16(text, u16::to_be_bytes)),
        ("GBK", gbk.clone()),
        ("JSON escape", escaped.to_uppercase().replace("\\U", "\\u").into_bytes()),
        ("JSON escape", escaped.into_bytes()),
        ("percent", percent.to_lowercase().into_bytes()),
        ("percent", percent.into_bytes()),
    ];
    for (name, bytes) in [("hex", utf8.to_vec()), ("hex of GBK", gbk.clone())] {
        forms.push((name, hex_of(&bytes).to_uppercase().into_bytes()));
        forms.push((name, hex_of(&bytes).into_bytes()));
    }
    for (name, bytes) in [("Base64", utf8), ("Base64 of GBK", &gbk)] {
        forms.extend(base64_forms(bytes).into_iter().map(|form| (name, form.into_bytes())));
    }
    // As a value of its own, and as a JSON text.
    for bytes in [utf8.to_vec(), gbk, format!("\"{text}\"").into_bytes()] {
        for (name, hash) in hashes(&bytes) {
            forms.push((name, hex_of(&hash).to_uppercase().into_bytes()));
            forms.push((name, hex_of(&hash).into_bytes()));
            forms.push((name, STANDARD_NO_PAD.encode(&hash).into_bytes()));
            forms.push((name, hash));
        }
    }
    forms
}

impl Finder {
    /// For these values.
    ///
    /// # Errors
    /// When they are too many for an automaton.
    pub fn new(planted: &Planted) -> Result<Self> {
        ensure!(!planted.is_empty(), "nothing was planted");
        let mut seen = BTreeSet::new();
        let (mut bytes, mut patterns) = (Vec::new(), Vec::new());
        for (text, label) in &planted.values {
            for (form, pattern) in forms(text) {
                if pattern.len() >= FORM_BYTES_MIN && seen.insert(pattern.clone()) {
                    bytes.push(pattern);
                    patterns.push((text.clone(), label.clone(), form));
                }
            }
        }
        let automaton = AhoCorasick::new(&bytes).context("the automaton")?;
        Ok(Self { automaton, patterns: Arc::new(patterns), traces: Traces::default() })
    }

    /// For the same values, with nothing found yet.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self { traces: Traces::default(), ..self.clone() }
    }

    /// Looks through some bytes.
    pub fn look(&mut self, place: &str, bytes: &[u8]) {
        self.traces.bytes += bytes.len() as u64;
        self.traces.pieces += 1;
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let (text, label, form) = &self.patterns[hit.pattern().as_usize()];
            self.traces.values.insert(text.clone());
            if self.traces.found.len() < TRACES_MAX {
                self.traces.found.insert(Trace { place: place.to_owned(), label: label.clone(), form });
            }
        }
    }

    /// Looks through every file below a folder, as they are.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn look_folder(&mut self, place: &str, folder: &Path) -> Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let path = entry.path();
            let place = format!("{place}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                self.look_folder(&place, &path)?;
            } else {
                self.look(&place, place.as_bytes());
                self.look(&place, &std::fs::read(&path).with_context(|| path.display().to_string())?);
            }
        }
        Ok(())
    }

    /// Looks through every row of a stopped node's database: on disk some tables are compressed.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn look_store(&mut self, place: &str, data: &Path) -> Result<()> {
        let store = RocksStore::open(data, StoreOptions::default())?;
        for table in Table::ALL {
            let mut from = Vec::new();
            loop {
                let rows = store.scan(table, &from, None, ROWS_MAX)?;
                for (key, value) in &rows {
                    let place = format!("{place} {table:?}");
                    self.look(&place, key);
                    self.look(&place, value);
                }
                match rows.last() {
                    Some((key, _)) if rows.len() == ROWS_MAX => from = [key.as_slice(), &[0]].concat(),
                    _ => break,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_whatever_stands_around_it() {
        let texts = ["11010519491231002X", "欧阳测试甲乙"];
        let mut planted = Planted::default();
        texts.iter().for_each(|text| planted.add("value", text));
        for text in texts {
            for (form, bytes) in forms(text) {
                for (before, after) in [(&b""[..], &b""[..]), (b"abc", b"z"), (b"\0", b"\xff\xfe")] {
                    let mut finder = Finder::new(&planted).unwrap();
                    finder.look("here", &[before, &bytes, after].concat());
                    assert!(finder.traces.values.contains(text), "{form} of {text}");
                }
            }
            // A whole text in Base64, at every alignment.
            for before in ["", "x", "xy", "xyz"] {
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let mut finder = Finder::new(&planted).unwrap();
                    finder.look("here", engine.encode(format!("{before}{text}, and more")).as_bytes());
                    assert!(finder.traces.values.contains(text), "{before}");
                }
            }
        }
        let mut finder = Finder::new(&planted).unwrap();
        finder.look("here", "11010519491231003X 欧阳测试甲丙".as_bytes());
        assert!(finder.traces.found.is_empty());
    }
}
