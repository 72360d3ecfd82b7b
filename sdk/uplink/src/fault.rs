//! What is wrong with a source, a mapping or a row: a stable code, where, and why. Never a value: faults are logged.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use crate::Reason;

/// A fault. As JSON it has its reason in English and, as `why`, its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable code, one of `uplink.*`.
    pub code: &'static str,
    /// Where: file, sheet, line, column.
    pub place: String,
    /// What is wrong.
    pub reason: Reason,
}

impl Fault {
    /// A fault at a place.
    pub fn new(code: &'static str, place: impl Into<String>, reason: impl Into<Reason>) -> Self {
        Self { code, place: place.into(), reason: reason.into() }
    }

    /// Reading or writing failed.
    pub fn io(place: impl Into<String>, error: &dyn fmt::Display) -> Self {
        Self::new("uplink.io", place, error.to_string())
    }

    /// The mapping says something that cannot be done.
    pub fn mapping(place: impl Into<String>, reason: impl Into<Reason>) -> Self {
        Self::new("uplink.mapping", place, reason)
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fault = serializer.serialize_struct("Fault", 4)?;
        fault.serialize_field("code", self.code)?;
        fault.serialize_field("place", &self.place)?;
        fault.serialize_field("reason", &self.reason.to_string())?;
        fault.serialize_field("why", self.reason.parts())?;
        fault.end()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.place, self.reason, self.code)
    }
}

impl std::error::Error for Fault {}
