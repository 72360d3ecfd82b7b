//! The shape of our Rust sources: sizes, openings, and what unfinished work leaves behind.

use crate::tree::File;
use crate::{Breach, Tree};

/// Most lines of a file before its tests.
pub const FILE_LINES_MAX: usize = 700;

/// Most lines of a function, without blank lines and comments.
pub const FUNCTION_LINES_MAX: usize = 70;

/// Left by unfinished or exploratory work. Written in two halves so that this file does not contain them.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("dbg", "!("),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[ign", "ore"),
];

/// Folders whose programs talk to a person on a terminal; everything else logs.
const SPEAKERS: &[&str] = &["node/src/", "tests/"];

/// Crates that compute the same result on every node, on every kind of machine.
const DETERMINISTIC: &[&str] =
    &["sdk/types/src/", "genesis/src/", "consensus/src/", "node/ledger/src/", "contracts/vm/src/"];

/// Judges every Rust source.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in tree.with_extension("rs") {
        let Some(text) = file.text() else { continue };
        check_sizes(file, text, &mut breaches);
        check_opening(file, text, &mut breaches);
        check_leftovers(file, text, &mut breaches);
        check_floats(file, text, &mut breaches);
    }
    breaches
}

fn check_sizes(file: &File, text: &str, breaches: &mut Vec<Breach>) {
    let lines = code_lines(text);
    if lines > FILE_LINES_MAX && !is_test(file) {
        let what = format!("{lines} lines before the tests, more than {FILE_LINES_MAX}: split it");
        breaches.push(Breach::new("file-size", &file.path, what));
    }
    for (line, length) in functions(text) {
        if length > FUNCTION_LINES_MAX {
            let what = format!("function of {length} lines, more than {FUNCTION_LINES_MAX}");
            breaches.push(Breach::at("function-size", &file.path, line, what));
        }
    }
}

fn check_opening(file: &File, text: &str, breaches: &mut Vec<Breach>) {
    let is_library = file.path.ends_with("src/lib.rs");
    let is_program = file.path.ends_with("src/main.rs") || file.path.contains("/src/bin/");
    if is_library && !text.starts_with("//!") && !text.starts_with("#![doc = include_str!(") {
        breaches.push(Breach::at("opening", &file.path, 1, "does not open with //! saying what the crate is"));
    }
    // Guest code crosses the WebAssembly boundary by raw pointers, which only unsafe code can do.
    let is_guest = file.path.starts_with("sdk/contract/") || file.path.starts_with("contracts/guest/");
    if (is_library || is_program) && !is_guest && !text.contains("#![forbid(unsafe_code)]") {
        breaches.push(Breach::at("unsafe", &file.path, 1, "does not say #![forbid(unsafe_code)]"));
    }
}

fn check_leftovers(file: &File, text: &str, breaches: &mut Vec<Breach>) {
    let is_example = ["/examples/", "/benches/"].iter().any(|folder| file.path.contains(folder));
    let may_speak = is_example || SPEAKERS.iter().any(|folder| file.path.starts_with(folder)) || is_test(file);
    for (index, line) in text.lines().enumerate() {
        if let Some(word) = UNFINISHED.iter().find(|word| contains_word(line, word)) {
            breaches.push(Breach::at("unfinished", &file.path, index + 1, format!("{word} is left in the source")));
        }
        let speaks = ["println!(", "print!("].iter().any(|call| line.contains(call));
        if speaks && !may_speak && !line.trim_start().starts_with("//") {
            breaches.push(Breach::at("terminal", &file.path, index + 1, "prints to the terminal; use tracing"));
        }
    }
}

fn check_floats(file: &File, text: &str, breaches: &mut Vec<Breach>) {
    if !DETERMINISTIC.iter().any(|folder| file.path.starts_with(folder)) || is_test(file) {
        return;
    }
    let code = text.lines().take(code_lines(text)).enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    for (index, _) in code.filter(|(_, line)| ["f32", "f64"].iter().any(|float| contains_word(line, float))) {
        let what = "uses a float, which rounds differently between machines; count in the smallest unit";
        breaches.push(Breach::at("float", &file.path, index + 1, what));
    }
}

/// Whether `word` stands in `line` and is not the end of a longer word.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|tail| tail.chars().next());
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !joins(before) && (!word.ends_with(char::is_alphanumeric) || !joins(after))
    })
}

/// Whether the file holds tests only: in a `tests` folder of a crate, or named `tests.rs`.
fn is_test(file: &File) -> bool {
    let in_folder = file.path.split('/').rev().skip(1).any(|part| part == "tests");
    let is_tests_crate = file.path.starts_with("tests/") && file.path.contains("/src/");
    file.name() == "tests.rs" || (in_folder && !is_tests_crate)
}

/// Lines before the test module.
fn code_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let is_test_module =
        |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    lines.windows(2).position(is_test_module).unwrap_or(lines.len())
}

/// First line and length of every function. Relies on the formatter: a body ends with a brace at the indentation of
/// the line it began on.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        if !begins_function(line) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(line.len() - line.trim_start().len()));
        let body = lines[start..].iter().take_while(|line| **line != end);
        let counted = body.filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")).count();
        // Without a closing brace the item was one line, or a declaration in a trait.
        let is_closed = lines[start..].contains(&end.as_str());
        let has_body = lines[start..].iter().map(|line| line.trim_end()).find(|line| line.ends_with(['{', ';', '}']));
        if is_closed && has_body.is_some_and(|line| line.ends_with('{')) {
            found.push((start + 1, counted.saturating_sub(1)));
        }
    }
    found
}

fn begins_function(line: &str) -> bool {
    let head = line.trim_start();
    let qualifiers = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe ", "extern \"C\" "];
    let mut rest = head;
    while let Some(shorter) = qualifiers.iter().find_map(|qualifier| rest.strip_prefix(qualifier)) {
        rest = shorter;
    }
    rest.starts_with("fn ")
}
