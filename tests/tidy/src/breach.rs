//! One broken rule, in words that say where to look and what to change.

use std::fmt;

/// A place where a rule of the house does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    /// Short name of the rule, as the self-tests know it: `arrow`, `words`, `link`.
    pub rule: &'static str,
    /// Path from the root of the repository, with the line where there is one, or a crate's name.
    pub place: String,
    /// What is wrong, as a sentence without a full stop.
    pub what: String,
}

impl Breach {
    /// A breach of `rule` at `place`.
    pub fn new(rule: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { rule, place: place.into(), what: what.into() }
    }

    /// A breach at a line, counted from 1.
    pub fn at(rule: &'static str, path: &str, line: usize, what: impl Into<String>) -> Self {
        Self::new(rule, format!("{path}:{line}"), what)
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.place, self.what, self.rule)
    }
}

/// All breaches as one text, a line each: what a failing test prints.
#[must_use]
pub fn listing(breaches: &[Breach]) -> String {
    breaches.iter().map(|breach| format!("\n  {breach}")).collect()
}
