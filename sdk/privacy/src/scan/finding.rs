//! What a scan finds: where, by which rule, how sure. Never the value itself.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

use crate::Grade;

/// Id of a rule; cheap to copy about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(super) Arc<str>);

impl RuleId {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RuleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Why a match counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Its shape is that of nothing else.
    Shape,
    /// A check digit or another check holds.
    Check,
    /// A word of its context stands nearby.
    Context,
    /// The pattern contains the word that says what it is.
    Keyword,
    /// The name of the field says what it is.
    Field,
}

/// What had to be undone to read a value, as a set.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Disguise(pub(super) u8);

impl Disguise {
    /// Full-width or other compatibility characters (NFKC).
    pub const WIDTH: Self = Self(1);
    /// Zero-width characters within.
    pub const INVISIBLE: Self = Self(2);
    /// Chinese digits.
    pub const CHINESE_DIGITS: Self = Self(4);
    /// `\uXXXX` or `%XX`.
    pub const ESCAPED: Self = Self(8);
    /// Single digits with blanks between them.
    pub const SPACED: Self = Self(16);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::WIDTH, "width"),
        (Self::INVISIBLE, "invisible"),
        (Self::CHINESE_DIGITS, "chinese_digits"),
        (Self::ESCAPED, "escaped"),
        (Self::SPACED, "spaced"),
    ];

    /// Whether nothing had to be undone.
    #[must_use]
    pub const fn is_plain(self) -> bool {
        self.0 == 0
    }

    /// Stable names of what had to be undone.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(kind, _)| self.0 & kind.0 != 0).map(|(_, name)| name)
    }
}

impl fmt::Debug for Disguise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for Disguise {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

/// One thing that was found. It holds no part of the text, so it may be logged, sent and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: RuleId,
    /// Grade by the rule itself; a profile may say otherwise.
    pub level: Grade,
    /// First byte, in the text as it was given.
    pub start: usize,
    /// Byte behind the last.
    pub end: usize,
    /// Where the value itself begins: behind the label, where a label belongs to the pattern.
    pub value_start: usize,
    /// How sure, in percent; below 50 nothing is reported.
    pub score: u8,
    /// Why it counts.
    pub basis: Basis,
    /// What had to be undone to read it.
    #[serde(skip_serializing_if = "is_plain")]
    pub disguise: Disguise,
}

const fn is_plain(disguise: &Disguise) -> bool {
    disguise.is_plain()
}

impl Finding {
    /// The order in which overlapping findings win: what a check confirms and is sensitive, then what is sensitive, then
    /// what a check confirms, then the higher grade, the longer, the plainer, the earlier.
    fn weight(&self) -> impl Ord + use<> {
        let is_sensitive = self.level >= Grade::SENSITIVE;
        let is_checked = self.basis == Basis::Check;
        let length = self.end - self.start;
        let earlier = (std::cmp::Reverse(self.start), std::cmp::Reverse(self.rule.clone()));
        (
            is_checked && is_sensitive,
            is_sensitive,
            is_checked,
            self.level,
            length,
            self.disguise.is_plain(),
            self.score,
            earlier,
        )
    }
}

/// Of findings that overlap the weightiest stays. The result is in order of place.
pub(super) fn resolve(mut found: Vec<Finding>) -> Vec<Finding> {
    if found.len() < 2 {
        return found;
    }
    found.sort_by_key(|finding| (finding.start, finding.end));
    let mut kept: Vec<Finding> = Vec::with_capacity(found.len());
    let mut cluster: Vec<Finding> = Vec::new();
    let mut reach = 0;
    for finding in found {
        if finding.start >= reach {
            settle(&mut cluster, &mut kept);
        }
        reach = reach.max(finding.end);
        cluster.push(finding);
    }
    settle(&mut cluster, &mut kept);
    kept
}

/// Moves what stays of findings that hang together to `kept`.
fn settle(cluster: &mut Vec<Finding>, kept: &mut Vec<Finding>) {
    if cluster.len() < 2 {
        kept.append(cluster);
        return;
    }
    cluster.sort_by_cached_key(|finding| std::cmp::Reverse(finding.weight()));
    let from = kept.len();
    for finding in cluster.drain(..) {
        let is_free = kept[from..].iter().all(|other| finding.end <= other.start || other.end <= finding.start);
        if is_free {
            kept.push(finding);
        }
    }
    kept[from..].sort_by_key(|finding| finding.start);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, level: u8, place: (usize, usize), basis: Basis) -> Finding {
        Finding {
            rule: RuleId(rule.into()),
            level: Grade::new(level).unwrap(),
            start: place.0,
            end: place.1,
            value_start: place.0,
            score: 60,
            basis,
            disguise: Disguise::default(),
        }
    }

    #[test]
    fn the_weightiest_of_overlapping_findings_stays() {
        let kept =
            |found: &[Finding]| resolve(found.to_vec()).iter().map(|one| one.rule.to_string()).collect::<Vec<_>>();
        let long = finding("LONG", 2, (0, 20), Basis::Shape);
        let high = finding("HIGH", 3, (5, 8), Basis::Shape);
        let checked = finding("CHECKED", 4, (7, 12), Basis::Check);
        let apart = finding("APART", 1, (20, 22), Basis::Shape);
        assert_eq!(kept(&[long.clone(), apart.clone()]), ["LONG", "APART"]);
        assert_eq!(kept(&[long.clone(), high.clone(), apart.clone()]), ["HIGH", "APART"]);
        assert_eq!(kept(&[long, high, checked, apart]), ["CHECKED", "APART"]);
        let public = finding("PUBLIC", 1, (0, 18), Basis::Check);
        assert_eq!(kept(&[public.clone(), finding("OLD", 2, (0, 18), Basis::Context)]), ["PUBLIC"]);
        assert_eq!(kept(&[public, finding("ID", 4, (0, 18), Basis::Context)]), ["ID"]);
    }
}
