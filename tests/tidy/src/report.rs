//! Documents generated from the figures. The committed ones must be what the figures give, so a number in a document
//! is always one that a command measured.

use std::fmt::Write as _;

use crate::figures::{Bar, Figure};
use crate::{Breach, Tree, notes};

/// A document, and which figures it shows.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    /// Where it is written.
    pub path: &'static str,
    prefix: &'static str,
    title: &'static str,
    opening: &'static str,
}

/// The generated documents.
pub const DOCUMENTS: &[Document] = &[
    Document {
        path: "docs/performance.md",
        prefix: "performance-",
        title: "Performance",
        opening: "How fast Vouch is, on the machine named beside each figure, with everything that a production node does \
                  switched on.",
    },
    Document {
        path: "docs/reliability.md",
        prefix: "reliability-",
        title: "Reliability",
        opening: "What was done to Vouch to make it fail, how often, and what came of it.",
    },
];

impl Document {
    /// Whether `figure` belongs into this document.
    #[must_use]
    pub fn takes(&self, figure: &Figure) -> bool {
        figure.name.starts_with(self.prefix)
    }

    /// The document's text.
    #[must_use]
    pub fn render(&self, figures: &[Figure]) -> String {
        let mine: Vec<&Figure> = figures.iter().filter(|figure| self.takes(figure)).collect();
        let mut text = format!("# {}\n\n{}\n\n", self.title, self.opening);
        text += "Generated from the files in [figures](figures/) by `./run figures`; the test run checks that it was. \
                 Each figure names the command that measures it again.\n";
        if mine.is_empty() {
            text += "\nNothing has been measured yet.\n";
            return text;
        }
        text += &bars_table(&mine);
        for figure in mine {
            text += &section(figure, self.prefix);
        }
        text
    }
}

/// Finds documents that are not what the figures give.
#[must_use]
pub fn check(tree: &Tree, figures: &[Figure]) -> Vec<Breach> {
    let committed = |path: &str| tree.files.iter().find(|file| file.path == path).and_then(|file| file.text());
    DOCUMENTS
        .iter()
        .filter(|document| committed(document.path) != Some(document.render(figures).as_str()))
        .map(|document| Breach::new("report", document.path, "is not what docs/figures gives; run ./run figures"))
        .collect()
}

fn bars_table(figures: &[&Figure]) -> String {
    let mut text = String::new();
    let (mut kept, mut all) = (0_u32, 0_u32);
    for figure in figures {
        for (key, bar) in &figure.bars {
            let value = figure.figures.get(key).copied().unwrap_or(f64::NAN);
            let met = bar.is_met_by(value);
            (kept, all) = (kept + u32::from(met), all + 1);
            let verdict = if met { "met" } else { "**MISSED**" };
            let name = &figure.name;
            let link = format!("[{name}](figures/{name}.json)");
            text += &format!("| {link} | {} | {} | {} | {verdict} |\n", plain(key), number(value), promise(*bar));
        }
    }
    if all == 0 {
        return text;
    }
    let head = "| measurement | figure | measured | bar | |\n|---|---|---:|---:|---|\n";
    format!("\n## Bars\n\n{kept} of {all} bars are met.\n\n{head}{text}")
}

fn section(figure: &Figure, prefix: &str) -> String {
    let title = plain(figure.name.strip_prefix(prefix).unwrap_or(&figure.name));
    let mut text = format!("\n## {}\n\n", capitalised(&title));
    let commit = figure.commit.get(..10).unwrap_or(&figure.commit);
    let _ = writeln!(text, "Measured by `{}` on {} at commit `{commit}`.", figure.command, figure.date);
    let _ = writeln!(text, "Machine: {}. Beside it ran: {}.\n", figure.machine, figure.beside);
    text += "| figure | measured |\n|---|---:|\n";
    for (key, value) in &figure.figures {
        let _ = writeln!(text, "| {} | {} |", plain(key), number(*value));
    }
    if let Some(note) = notes::of(figure, number) {
        text.push('\n');
        text += &note;
    }
    text
}

fn promise(bar: Bar) -> String {
    let sides = [("at least", bar.min), ("at most", bar.max)];
    let words = sides.iter().filter_map(|(word, limit)| limit.map(|limit| format!("{word} {}", number(limit))));
    words.collect::<Vec<_>>().join(", ")
}

fn plain(key: &str) -> String {
    key.replace(['_', '-'], " ")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Three decimals at most, without trailing zeros, thousands set apart.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}
