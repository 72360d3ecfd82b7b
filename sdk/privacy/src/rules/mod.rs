//! Rules that say what sensitive data looks like: data, not code, checked when it is loaded.
//!
//! ```text
//! JSON --parse--> RuleFile --check--> Rule … --compile--> scan::Engine --samples--> a set that may be used
//! ```
//!
//! A rule that misses one of its valid samples, or finds itself in one of its invalid ones, is refused together with the
//! whole file, so what is loaded does what it says. Rules of one's own come in a signed file, see [`signed`].

pub mod cards;
pub mod check;
pub mod checklist;
pub mod documents;
pub mod profile;
pub mod signed;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use check::{Check, Verdict};
pub use profile::{Profile, ProfileName};
pub use signed::{SignedRules, TrustedSigner};

use crate::Grade;

/// Format of a rule file.
pub const FORMAT: &str = "vouch-rules/1";
/// Most rules of an engine, the built-in ones included.
pub const RULES_MAX: usize = 512;
/// Most bytes of a rule file.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most bytes of a pattern after its fragments are in place.
pub const PATTERN_BYTES_MAX: usize = 16 << 10;
/// Fewest samples of each kind.
pub const SAMPLES_MIN: usize = 2;
/// Most characters that lie between an anchor and the beginning of a match.
pub const BACK_MAX: usize = 64;

/// The built-in rules as they stand in the repository.
pub const BUILTIN: &str = include_str!("../../rules/builtin.json");

/// When a match counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Alone: its shape or its check digit says enough.
    Shape,
    /// With a word of its context nearby, or in a field whose name is one of its keys.
    Context,
    /// Alone: the word that says what it is belongs to the pattern.
    Keyword,
}

/// What must not adjoin a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Nothing is asked.
    None,
    /// No ASCII digit. Chinese characters adjoin freely, here and below.
    Digit,
    /// No ASCII digit and no ASCII letter, except a word of letters directly in front (`tel13812345678`) that could not be
    /// hexadecimal: eleven digits within a hash are no number of a telephone.
    Number,
    /// No ASCII letter or digit.
    Word,
}

/// A name in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// In English.
    pub en: String,
    /// In Chinese.
    pub zh: String,
}

/// One rule, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable name: capitals, digits and underscores.
    pub id: String,
    /// For people.
    pub name: Name,
    /// Group: `identity`, `person`, `contact` and so on.
    pub category: String,
    /// Grade by the standard profile.
    pub level: Grade,
    /// When a match counts.
    pub mode: Mode,
    /// Regular expression in the syntax of the crate `regex`, without look-around; `\d` and `\s` are ASCII and the
    /// ideographic space, `{{NAME}}` stands for a fragment.
    pub pattern: String,
    /// What must not adjoin it.
    pub bound: Bound,
    /// Check on what matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// Words of which one must stand at most 24 characters before or 8 after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// Names of fields that hold such values; case and punctuation do not matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// What the whole value of such a field looks like, where it differs from the pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Words within or at the beginning of every match. Found from the pattern where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<String>,
    /// Characters that may stand between the beginning of a match and its anchor.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub back: usize,
    /// Words that are cut off the beginning of a match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lead: Vec<String>,
    /// Words that, directly behind a match, say that it is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unless: Vec<String>,
    /// Characters that must not join the match to a letter or digit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub apart: String,
    /// Whether a match goes on over letters, digits, `+`, `/` and `=` without bound: data embedded in text.
    #[serde(default, skip_serializing_if = "is_false")]
    pub extend: bool,
    /// Texts in which the rule must find something.
    pub valid: Vec<String>,
    /// Texts in which it must not.
    pub invalid: Vec<String>,
    /// The standard it implements, and remarks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

const fn is_zero(number: &usize) -> bool {
    *number == 0
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A file of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// [`FORMAT`].
    pub format: String,
    /// Parts of patterns by name; a fragment may use those whose name is before its own or behind, but not itself.
    #[serde(default)]
    pub fragments: BTreeMap<String, String>,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// Why rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Not a rule file.
    #[error("not a rule file: {0}")]
    Format(String),
    /// A bound is passed.
    #[error("{what}: more than {max}")]
    TooLarge {
        /// What is too large or too many.
        what: String,
        /// The most there may be.
        max: usize,
    },
    /// A rule contradicts itself.
    #[error("rule {rule}: {why}")]
    Invalid {
        /// Its id.
        rule: String,
        /// What is wrong.
        why: String,
    },
    /// A sample is not judged as the rule says.
    #[error("rule {rule}: {} sample {number} is {}", if *.is_valid { "valid" } else { "invalid" }, if *.is_valid { "missed" } else { "found" })]
    Sample {
        /// Its id.
        rule: String,
        /// Whether it is a valid sample.
        is_valid: bool,
        /// Which one, from 1.
        number: usize,
    },
    /// The file is not signed by anyone trusted, or not what was signed.
    #[error("the signature of the rules does not hold: {0}")]
    Signature(String),
}

impl RuleError {
    /// Stable code for API and CLI.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Format(_) => "rules.format",
            Self::TooLarge { .. } => "rules.too_large",
            Self::Invalid { .. } => "rules.invalid",
            Self::Sample { .. } => "rules.sample",
            Self::Signature(_) => "rules.signature",
        }
    }

    pub(crate) fn invalid(rule: &str, why: impl Into<String>) -> Self {
        Self::Invalid { rule: rule.to_owned(), why: why.into() }
    }
}

impl RuleFile {
    /// Reads a rule file and checks its shape; patterns and samples are checked when an engine is made of it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(RuleError::TooLarge { what: "bytes of a rule file".into(), max: FILE_BYTES_MAX });
        }
        let file: Self = serde_json::from_str(text).map_err(|error| RuleError::Format(error.to_string()))?;
        if file.format != FORMAT {
            return Err(RuleError::Format(format!("format is {:?}, not {FORMAT:?}", file.format)));
        }
        if file.rules.len() > RULES_MAX {
            return Err(RuleError::TooLarge { what: "rules".into(), max: RULES_MAX });
        }
        let mut ids = BTreeSet::new();
        for rule in &file.rules {
            rule.check_shape()?;
            if !ids.insert(rule.id.as_str()) {
                return Err(RuleError::invalid(&rule.id, "is there twice"));
            }
        }
        Ok(file)
    }

    /// A pattern with its fragments in place and `\d`, `\s` made ASCII.
    pub(crate) fn expand(&self, rule: &str, pattern: &str) -> Result<String, RuleError> {
        let mut text = pattern.to_owned();
        // Fragments may name fragments; a circle would pass the bound on bytes.
        while let Some((head, rest)) = text.split_once("{{") {
            let (name, tail) = rest.split_once("}}").ok_or_else(|| RuleError::invalid(rule, "`{{` without `}}`"))?;
            let fragment =
                self.fragments.get(name).ok_or_else(|| RuleError::invalid(rule, format!("no fragment {name}")))?;
            text = format!("{head}(?:{fragment}){tail}");
            if text.len() > PATTERN_BYTES_MAX {
                return Err(RuleError::TooLarge {
                    what: format!("rule {rule}: bytes of a pattern"),
                    max: PATTERN_BYTES_MAX,
                });
            }
        }
        Ok(ascii_classes(&text))
    }
}

/// `\d` as `[0-9]` and `\s` as ASCII blanks and the ideographic space, inside and outside of brackets.
fn ascii_classes(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len() * 2);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => text.push_str("[0-9]"),
            Some('s') => text.push_str("[ \\t\\r\\n\u{3000}]"),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

impl Rule {
    fn check_shape(&self) -> Result<(), RuleError> {
        let wrong = |why: &str| Err(RuleError::invalid(&self.id, why));
        let is_id = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if self.id.is_empty() || self.id.len() > 64 || !self.id.chars().all(is_id) {
            return wrong("an id is 1 to 64 capitals, digits and underscores");
        }
        if self.name.en.is_empty() || self.name.zh.is_empty() || self.category.is_empty() {
            return wrong("name in both languages and category must not be empty");
        }
        if self.valid.len() < SAMPLES_MIN || self.invalid.len() < SAMPLES_MIN {
            return wrong("at least two valid and two invalid samples are needed");
        }
        if self.mode == Mode::Context && self.context.is_empty() {
            return wrong("mode `context` without words of context");
        }
        if self.back > BACK_MAX {
            return wrong("an anchor lies at most 64 characters behind the beginning");
        }
        let words = self.context.iter().chain(&self.anchors).chain(&self.lead).chain(&self.unless).chain(&self.keys);
        if words.clone().any(String::is_empty) || words.clone().any(|word| word.len() > 128) {
            return wrong("a word has 1 to 128 bytes");
        }
        if self.keys.iter().any(|key| key_form(key).is_empty()) {
            return wrong("a key needs letters or digits");
        }
        Ok(())
    }
}

/// A field name without case and punctuation: what keys are compared by.
#[must_use]
pub fn key_form(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_a_pattern_are_ascii() {
        assert_eq!(ascii_classes(r"\d+[\d:\s]\\d\."), "[0-9]+[[0-9]:[ \\t\\r\\n\u{3000}]]\\\\d\\.");
    }

    #[test]
    fn keys_have_no_case_and_no_punctuation() {
        for name in ["idNo", "id_no", "ID-NO", "Id No"] {
            assert_eq!(key_form(name), "idno");
        }
    }

    #[test]
    fn fragments_cannot_go_in_circles() {
        let file = RuleFile {
            format: FORMAT.into(),
            fragments: [("A".into(), "x{{B}}".into()), ("B".into(), "y{{A}}".into())].into(),
            rules: vec![],
        };
        assert_eq!(file.expand("R", "{{A}}").unwrap_err().code(), "rules.too_large");
        assert_eq!(file.expand("R", "{{C}}").unwrap_err().code(), "rules.invalid");
        assert_eq!(file.expand("R", "{{A").unwrap_err().code(), "rules.invalid");
    }

    #[test]
    fn the_built_in_file_has_the_shape() {
        let file = RuleFile::parse(BUILTIN).expect("parses");
        assert!(file.rules.len() >= 157);
        assert!(RuleFile::parse("{}").is_err());
    }
}
