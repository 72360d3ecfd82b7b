//! What is wrong with a source, a mapping or a row: a stable code, where, and why. Never a value: faults are logged.

use std::fmt;

use serde::Serialize;

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Stable code, one of `uplink.*`.
    pub code: &'static str,
    /// Where: file, sheet, line, column.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

impl Fault {
    /// A fault at a place.
    pub fn new(code: &'static str, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { code, place: place.into(), reason: reason.into() }
    }

    /// Reading or writing failed.
    pub fn io(place: impl Into<String>, error: &dyn fmt::Display) -> Self {
        Self::new("uplink.io", place, error.to_string())
    }

    /// The mapping says something that cannot be done.
    pub fn mapping(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new("uplink.mapping", place, reason)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.place, self.reason, self.code)
    }
}

impl std::error::Error for Fault {}
