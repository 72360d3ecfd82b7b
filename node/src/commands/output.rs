//! Results to standard output, errors to standard error.

use std::{borrow::Cow, io::Write as _, process::ExitCode};

use serde::Serialize;
use serde_json::Value;
use vouch_types::api::{Language, Problem};

use super::{GlobalArgs, text::Text};

/// A node could not be reached, or failed.
pub const EXIT_FAILED: u8 = 1;
/// Refused: bad input, unknown thing.
pub const EXIT_REFUSED: u8 = 3;
/// A proof shows nothing.
pub const EXIT_PROOF: u8 = 4;
/// A transaction is final but failed.
pub const EXIT_TRANSACTION: u8 = 5;
/// The node's condition is not ok.
pub const EXIT_CONDITION: u8 = 6;
/// Evidence holds in itself; what it stands on was not given.
pub const EXIT_CLAIMED: u8 = 7;

/// Writes a result: as one JSON value, or as lines for people.
///
/// # Errors
/// When standard output is closed.
pub fn emit<T: Serialize>(
    global: &GlobalArgs,
    value: &T,
    lines: impl FnOnce(Language) -> Vec<String>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if global.json {
        writeln!(out, "{}", serde_json::to_string(value)?)?;
    } else {
        for line in lines(global.language()) {
            writeln!(out, "{}", shown(&line))?;
        }
    }
    out.flush()?;
    Ok(())
}

/// A text that others made as it is safe to show on one line: what moves the cursor, begins a line, turns the direction of
/// writing or cannot be seen is spelled out as `\u{…}`, so that no content passes for words of this program.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |out, c| out.extend(c.escape_unicode()))
}

/// The same for a text of several lines: all but the first stand indented, where no line of this program begins.
#[must_use]
pub fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n    ")
}

/// The same for JSON, whose value stays what it is.
#[must_use]
pub fn shown_json(json: &str) -> Cow<'_, str> {
    if !json.lines().any(|line| line.chars().any(is_hidden)) {
        return Cow::Borrowed(json);
    }
    let escape = |out: &mut String, c: char| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    };
    Cow::Owned(json.lines().map(|line| escaped(line, escape)).collect::<Vec<_>>().join("\n"))
}

fn escaped(text: &str, mut escape: impl FnMut(&mut String, char)) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { escape(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Controls, marks of direction, separators of lines, and what takes no room. Selectors of variants, which Chinese names
/// may have, stay.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `label  value` with labels in one column, wide characters counted twice.
#[must_use]
pub fn table(language: Language, rows: &[(Text, String)]) -> Vec<String> {
    let width = |text: &str| text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
    let labels: Vec<&str> = rows.iter().map(|(label, _)| label.in_language(language)).collect();
    let widest = labels.iter().map(|label| width(label)).max().unwrap_or(0);
    let pad = |label: &str| " ".repeat(widest - width(label) + 2);
    let lines = labels.iter().zip(rows).map(|(label, (_, value))| format!("{label}{}{value}", pad(label)));
    lines.collect()
}

/// A JSON value on one line, a text bare.
#[must_use]
pub fn inline(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A time as text in UTC.
#[must_use]
pub fn time_text(ms: u64) -> String {
    // Days to a civil date after Howard Hinnant's `civil_from_days`.
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The node did not start, or had to stop; the text begins with the code.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(pub String);

/// A command refuses what it was given.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub Box<Problem>);

impl Refused {
    /// An error by its code, with what is wrong and where.
    #[must_use]
    pub fn error(code: &str, detail: impl Into<String>, location: impl Into<String>) -> anyhow::Error {
        Self(Box::new(Problem::new(code, detail).at(location))).into()
    }
}

/// Whose settings are at fault when an error has no code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client's: `client.configuration`.
    Client,
    /// The node's: `node.configuration`.
    Node,
}

/// Shows what went wrong: code, what, where, how to mend it. Returns the exit code.
#[must_use]
pub fn report_error(error: &anyhow::Error, global: &GlobalArgs, side: Side) -> ExitCode {
    let known = error.chain().find_map(|cause| {
        let sdk = cause.downcast_ref::<vouch_sdk::Error>().map(vouch_sdk::Error::to_problem);
        let keystore = || cause.downcast_ref::<vouch_sdk::KeystoreError>();
        let stopped = || cause.downcast_ref::<Stopped>().map(|error| Problem::new("node.stopped", error.to_string()));
        let refused = || cause.downcast_ref::<Refused>().map(|error| (*error.0).clone());
        let sdk = sdk.or_else(refused);
        sdk.or_else(|| keystore().map(|error| Problem::new(error.code(), error.to_string()))).or_else(stopped)
    });
    let code = match side {
        Side::Client => "client.configuration",
        Side::Node => "node.configuration",
    };
    let failed_on_chain = error
        .chain()
        .any(|cause| matches!(cause.downcast_ref::<vouch_sdk::Error>(), Some(vouch_sdk::Error::Failed { .. })));
    let problem = known.unwrap_or_else(|| Problem::new(code, format!("{error:#}")));
    let language = global.language();
    let problem = problem.translated(language);
    if global.json {
        eprintln!("{}", serde_json::to_string(&problem).unwrap_or_default());
    } else {
        let label = |text: Text| text.in_language(language);
        let (code, title, detail) = (shown(&problem.code), shown(&problem.title), shown_lines(&problem.detail));
        eprintln!("{} [{code}] {title}: {detail}", label(Text::Error));
        if let Some(location) = problem.location.as_ref().filter(|text| !text.is_empty()) {
            eprintln!("  {}: {}", label(Text::Where), shown(location));
        }
        if !problem.mend.is_empty() {
            eprintln!("  {}: {}", label(Text::Mend), shown(&problem.mend));
        }
    }
    ExitCode::from(if failed_on_chain { EXIT_TRANSACTION } else { exit_code(&problem) })
}

fn exit_code(problem: &Problem) -> u8 {
    match problem.code.as_str() {
        "proof.invalid" => EXIT_PROOF,
        "evidence.io" => EXIT_FAILED,
        code if code.starts_with("evidence.") || code.starts_with("sd_jwt.") => EXIT_PROOF,
        "client.wrong_chain" | "client.configuration" => EXIT_REFUSED,
        code if code.starts_with("client.") => EXIT_FAILED,
        _ if problem.status >= 500 || problem.status == 429 || problem.status == 408 => EXIT_FAILED,
        _ => EXIT_REFUSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_iso_8601() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_868_800_001, "2000-03-01T00:00:00.001Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(time_text(ms), expected);
        }
    }

    #[test]
    fn what_others_made_moves_no_cursor_and_begins_no_line() {
        for (text, expected) in [
            ("plain 文字 é 😀", "plain 文字 é 😀"),
            ("邉\u{e0100}", "邉\u{e0100}"),
            ("x\u{1b}[2J\u{1b}[1;1HThe evidence holds.", "x\\u{1b}[2J\\u{1b}[1;1HThe evidence holds."),
            ("one\ntwo\r\tthree\u{7f}\u{9b}K", "one\\u{a}two\\u{d}\\u{9}three\\u{7f}\\u{9b}K"),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\u{2028}f", "a\\u{202e}b\\u{2066}c\\u{200b}d\\u{feff}e\\u{2028}f"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(shown_lines("first\nerror [x]\u{1b}c"), "first\n    error [x]\\u{1b}c");
        let value = serde_json::json!({ "title": "a\u{202e}b\u{e0041}", "x": [1] });
        let json = serde_json::to_string_pretty(&value).unwrap();
        assert!(shown_json(&json).is_ascii() && shown_json(&json).contains("\\u202e"));
        assert_eq!(serde_json::from_str::<Value>(&shown_json(&json)).unwrap(), value);
    }

    #[test]
    fn exit_codes_by_kind() {
        for (code, expected) in [
            ("client.unreachable", EXIT_FAILED),
            ("node.stalled", EXIT_FAILED),
            ("request.rate_limited", EXIT_FAILED),
            ("tx.expired", EXIT_REFUSED),
            ("documents.not_party", EXIT_REFUSED),
            ("keystore.wrong_password", EXIT_REFUSED),
            ("proof.invalid", EXIT_PROOF),
            ("evidence.io", EXIT_FAILED),
            ("evidence.field_changed", EXIT_PROOF),
            ("sd_jwt.signature", EXIT_PROOF),
            ("client.configuration", EXIT_REFUSED),
            ("node.configuration", EXIT_REFUSED),
            ("node.stopped", EXIT_REFUSED),
        ] {
            assert_eq!(exit_code(&Problem::new(code, "")), expected, "{code}");
        }
    }
}
