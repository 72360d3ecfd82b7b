//! Files of any size, value by value: text, CSV and JSON are read once, in bounded memory, and on request written again with
//! some values replaced and everything else as it was.
//!
//! ```text
//! bytes ─► decode (UTF-8, GB 18030) ─► text: pieces | CSV: cells under their heads | JSON: strings and numbers under their keys
//!                                              └──────────────► visitor ──► as it was, or a replacement ─► bytes (UTF-8)
//! ```

mod csv;
mod decode;
mod json;
pub mod report;
mod text;

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

pub use csv::{CellText, Cells};
pub use decode::{Decoded, Encoding};

/// Longest value that is looked at as one. Longer text is looked at in pieces; a longer CSV cell or JSON string is refused.
pub const VALUE_BYTES_MAX: usize = 8 << 20;
/// Deepest nesting of JSON.
pub const DEPTH_MAX: usize = 128;

/// What a file is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Any text.
    Text,
    /// Separated values with a head line.
    Csv,
    /// JSON, one value or many one after another (NDJSON).
    Json,
}

/// Why a file cannot be read or written. Places are in the decoded text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Reading or writing failed.
    #[error("input or output: {0}")]
    Io(#[from] io::Error),
    /// Not of the format.
    #[error("line {line}: {why}")]
    Format {
        /// From 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// A value is longer than [`VALUE_BYTES_MAX`].
    #[error("line {line}: a value of more than {VALUE_BYTES_MAX} bytes")]
    TooLong {
        /// Where it begins, from 1.
        line: u64,
    },
    /// What the visitor said.
    #[error("line {line}: {error}")]
    Visitor {
        /// Where the value begins, from 1.
        line: u64,
        /// Its error.
        error: crate::deid::DeidError,
    },
}

impl StreamError {
    /// Stable code for API and CLI.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "stream.io",
            Self::Format { .. } => "stream.format",
            Self::TooLong { .. } => "stream.too_long",
            Self::Visitor { error, .. } => error.code(),
        }
    }
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place<'a> {
    /// Name of its field; nothing in text.
    pub field: Option<&'a str>,
    /// Line on which it begins, from 1.
    pub line: u64,
    /// Number of its record, from 1; of text, the piece.
    pub record: u64,
    /// First byte in the decoded text.
    pub offset: u64,
}

/// Looks at values.
pub trait Visitor {
    /// A value; what it returns stands in its place.
    ///
    /// # Errors
    /// Stops the reading.
    fn value(&mut self, place: &Place<'_>, value: &str) -> Result<Option<String>, crate::deid::DeidError>;

    /// A record begins.
    fn record(&mut self) {}

    /// The name of a field: a head cell of CSV, each time a key of JSON. Names stay as they are.
    fn name(&mut self, _place: &Place<'_>, _name: &str) {}
}

/// Shows every value of a file to a visitor and writes the file again to `output`, if there is one.
///
/// # Errors
/// When the file is not of the format, a value is too long, reading or writing fails, or the visitor says so. What was
/// written by then is not to be used.
pub fn walk<'a, 'out: 'a, V: Visitor>(
    format: Format,
    input: &mut impl BufRead,
    output: Option<&'a mut (dyn Write + 'out)>,
    visitor: &'a mut V,
) -> Result<(), StreamError> {
    let output = output.map(|output| -> &'a mut dyn Write { output });
    let mut walker = Walker { output, visitor, line: 1, record: 0, offset: 0 };
    match format {
        Format::Text => text::walk(input, &mut walker)?,
        Format::Csv => csv::walk(input, &mut walker)?,
        Format::Json => json::walk(input, &mut walker)?,
    }
    if let Some(output) = &mut walker.output {
        output.flush()?;
    }
    Ok(())
}

/// What the readers share.
struct Walker<'a, V> {
    output: Option<&'a mut dyn Write>,
    visitor: &'a mut V,
    line: u64,
    record: u64,
    offset: u64,
}

impl<V: Visitor> Walker<'_, V> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        if let Some(output) = &mut self.output {
            output.write_all(bytes)?;
        }
        Ok(())
    }

    fn show(
        &mut self,
        field: Option<&str>,
        (line, offset): (u64, u64),
        value: &str,
    ) -> Result<Option<String>, StreamError> {
        let place = Place { field, line, record: self.record, offset };
        self.visitor.value(&place, value).map_err(|error| StreamError::Visitor { line, error })
    }

    fn name(&mut self, name: &str) {
        let place = Place { field: None, line: self.line, record: self.record, offset: self.offset };
        self.visitor.name(&place, name);
    }

    fn begin_record(&mut self) {
        self.record += 1;
        self.visitor.record();
    }

    /// Counts bytes that were read.
    fn pass(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        self.line += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}

/// What a file most likely is, by its name and its beginning.
#[must_use]
pub fn guess_format(name: &str, beginning: &[u8]) -> Format {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("csv" | "tsv") => Format::Csv,
        Some("json" | "ndjson" | "jsonl" | "geojson") => Format::Json,
        Some("txt" | "log" | "md" | "xml" | "html" | "sql") => Format::Text,
        _ => {
            let first = beginning.iter().find(|byte| !byte.is_ascii_whitespace());
            if matches!(first, Some(b'{')) || beginning.trim_ascii_start().starts_with(b"[{") {
                Format::Json
            } else {
                Format::Text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what it sees and puts every value in capitals.
    #[derive(Default)]
    struct Loud(Vec<(Option<String>, u64, u64, String)>);

    impl Visitor for Loud {
        fn value(&mut self, place: &Place<'_>, value: &str) -> Result<Option<String>, crate::deid::DeidError> {
            self.0.push((place.field.map(str::to_owned), place.record, place.offset, value.to_owned()));
            let loud = value.to_uppercase();
            Ok((loud != value).then_some(loud))
        }
    }

    fn run(format: Format, text: &str) -> (Loud, String) {
        let (mut loud, mut output) = (Loud::default(), Vec::new());
        // One byte at a time finds what depends on where a read ends.
        let mut input = io::BufReader::with_capacity(1, text.as_bytes());
        walk(format, &mut input, Some(&mut output), &mut loud).unwrap();
        (loud, String::from_utf8(output).unwrap())
    }

    fn error(format: Format, text: &str) -> StreamError {
        walk(format, &mut text.as_bytes(), None, &mut Loud::default()).unwrap_err()
    }

    #[test]
    fn cells_stand_under_their_heads_and_keep_their_writing() {
        let text = "name,\"the, note\"\r\nann,\"say \"\"hi\"\"\"\r\n\r\n李,\"two\nlines\"\nBOB,x";
        let (seen, written) = run(Format::Csv, text);
        let cells: Vec<(&str, &str, u64)> = seen
            .0
            .iter()
            .map(|(field, record, _, value)| (field.as_deref().unwrap(), value.as_str(), *record))
            .collect();
        assert_eq!(
            cells,
            [
                ("name", "ann", 1),
                ("the, note", "say \"hi\"", 1),
                ("name", "李", 2),
                ("the, note", "two\nlines", 2),
                ("name", "BOB", 3),
                ("the, note", "x", 3)
            ]
        );
        assert_eq!(written, "name,\"the, note\"\r\nANN,\"SAY \"\"HI\"\"\"\r\n\r\n李,\"TWO\nLINES\"\nBOB,X");
        let (_, written) = run(Format::Csv, "a;b\n1;x y\n");
        assert_eq!(written, "a;b\n1;X Y\n");
        let (seen, written) = run(Format::Csv, "a\tb\n\n");
        assert!(seen.0.is_empty() && written == "a\tb\n\n");
    }

    #[test]
    fn wrong_tables_are_told_where() {
        for (text, line) in [("a,b\n1,\"x\n", 2), ("a,b\n1,\"x\"y\n", 2), ("a,b\n1,2\n1,2,3\n", 3)] {
            let error = error(Format::Csv, text);
            assert_eq!(error.code(), "stream.format");
            assert!(error.to_string().starts_with(&format!("line {line}:")), "{error}");
        }
    }

    #[test]
    fn values_of_json_stand_under_their_keys() {
        let text = "{ \"a\" : [\"x\", 1.5e3, {\"b\\u0063\": \"\\u6d25\\n\\ud83d\\ude00\"}], \"n\": null, \"t\": true }\n[\"z\"]\n\"q\" 7";
        let (seen, written) = run(Format::Json, text);
        let values: Vec<(Option<&str>, &str, u64)> =
            seen.0.iter().map(|(field, record, _, value)| (field.as_deref(), value.as_str(), *record)).collect();
        assert_eq!(
            values,
            [
                (Some("a"), "x", 1),
                (Some("a"), "1.5e3", 1),
                (Some("bc"), "津\n😀", 1),
                (None, "z", 2),
                (None, "q", 3),
                (None, "7", 4)
            ]
        );
        assert_eq!(
            written,
            "{ \"a\" : [\"X\", 1.5E3, {\"b\\u0063\": \"\\u6d25\\n\\ud83d\\ude00\"}], \"n\": null, \"t\": true }\n[\"Z\"]\n\"Q\" 7"
        );
    }

    #[test]
    fn wrong_json_is_told_where() {
        for text in [
            "{\"a\" 1}",
            "[1,]",
            "{\"a\":1,}",
            "[1 2]",
            "\"\\x\"",
            "\"\\ud800\"",
            "{1:2}",
            "nul",
            "[",
            "\"a",
            "}",
            "01x",
            "\"\n\"",
        ] {
            assert_eq!(error(Format::Json, text).code(), "stream.format", "{text}");
        }
        let deep = "[".repeat(DEPTH_MAX + 1);
        assert_eq!(error(Format::Json, &deep).code(), "stream.format");
        assert!(error(Format::Json, "[\n\n!]").to_string().starts_with("line 3:"));
    }

    #[test]
    fn text_is_shown_in_pieces_that_end_at_lines() {
        let line = "手机 ok, and more of it\n";
        let text = line.repeat(200_000);
        let (seen, written) = run(Format::Text, &text);
        assert!(
            seen.0.len() > 2
                && seen.0.iter().all(|(.., piece)| piece.len() <= VALUE_BYTES_MAX && piece.ends_with('\n'))
        );
        assert_eq!(written, text.to_uppercase());
        assert_eq!(seen.0.iter().map(|(.., piece)| piece.as_str()).collect::<String>(), text);
        assert!(seen.0.windows(2).all(|pair| pair[0].2 + pair[0].3.len() as u64 == pair[1].2));
        let one_line = "词，".repeat(500_000);
        let (seen, written) = run(Format::Text, &one_line);
        assert!(seen.0.len() > 1 && seen.0.iter().all(|(.., piece)| piece.ends_with('，')));
        assert_eq!(written, one_line);
    }

    #[test]
    fn a_value_beyond_the_bound_is_refused() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        assert_eq!(error(Format::Csv, &format!("a\n{long}\n")).code(), "stream.too_long");
        assert_eq!(error(Format::Json, &format!("[\"{long}\"]")).code(), "stream.too_long");
    }

    #[test]
    fn formats_are_guessed() {
        for (name, beginning, expected) in [
            ("a.CSV", "", Format::Csv),
            ("a.jsonl", "", Format::Json),
            ("-", " {\"a\":1}", Format::Json),
            ("-", "[{", Format::Json),
            ("-", "[INFO] x", Format::Text),
            ("a.log", "{", Format::Text),
        ] {
            assert_eq!(guess_format(name, beginning.as_bytes()), expected, "{name}");
        }
    }
}
