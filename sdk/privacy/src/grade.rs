//! How sensitive a value is.

use serde::{Deserialize, Serialize};

/// Sensitivity of a field or of something found in a text: 1 public, 2 general, 3 sensitive, 4 most sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Grade(u8);

/// A number that is no grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("grade {0} is not one of 1 to 4")]
pub struct GradeError(pub u8);

impl Grade {
    /// May be known to everyone, and may stand on the chain in clear.
    pub const PUBLIC: Self = Self(1);
    /// For those entitled; of little harm alone.
    pub const GENERAL: Self = Self(2);
    /// Masked where it is shown; never in clear in anything public.
    pub const SENSITIVE: Self = Self(3);
    /// Identity documents, full card numbers, secrets, health, biometrics, minors.
    pub const MOST_SENSITIVE: Self = Self(4);

    /// A grade from its number.
    ///
    /// # Errors
    /// [`GradeError`] outside 1 to 4.
    pub const fn new(number: u8) -> Result<Self, GradeError> {
        if matches!(number, 1..=4) { Ok(Self(number)) } else { Err(GradeError(number)) }
    }

    /// The number, 1 to 4.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl GradeError {
    /// Stable code for API and CLI.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "privacy.grade"
    }
}

impl TryFrom<u8> for Grade {
    type Error = GradeError;
    fn try_from(number: u8) -> Result<Self, GradeError> {
        Self::new(number)
    }
}

impl From<Grade> for u8 {
    fn from(grade: Grade) -> Self {
        grade.0
    }
}

impl core::fmt::Display for Grade {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_to_four_are_grades() {
        for number in 0..=u8::MAX {
            assert_eq!(Grade::new(number).is_ok(), (1..=4).contains(&number), "{number}");
        }
        assert!(Grade::PUBLIC < Grade::GENERAL && Grade::SENSITIVE < Grade::MOST_SENSITIVE);
    }
}
