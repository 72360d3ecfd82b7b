//! How many members must agree: a share of those that are active, without doubt about the boundary.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub use vouch_types::governance::DecisionKind;
use wincode::{SchemaRead, SchemaWrite};

use crate::error::GenesisError;

/// Largest denominator.
pub const DENOMINATOR_MAX: u16 = 1_000;

/// A share of the active members: more than it (`> 2/3`), or at least it (`>= 2/3`).
///
/// Text and JSON have exactly these two forms, so that nobody has to guess what happens at the boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Threshold {
    /// Above the line; at most the denominator.
    pub numerator: u16,
    /// Below the line; 1 to [`DENOMINATOR_MAX`].
    pub denominator: u16,
    /// True for "at least", false for "more than".
    pub inclusive: bool,
}

impl Threshold {
    /// More than a share.
    #[must_use]
    pub const fn more_than(numerator: u16, denominator: u16) -> Self {
        Self { numerator, denominator, inclusive: false }
    }

    /// At least a share.
    #[must_use]
    pub const fn at_least(numerator: u16, denominator: u16) -> Self {
        Self { numerator, denominator, inclusive: true }
    }

    /// Whether all members together reach it and nobody at all does not.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        let (n, d) = (self.numerator, self.denominator);
        let reachable = n < d || (n == d && self.inclusive);
        d >= 1 && d <= DENOMINATOR_MAX && reachable && (n >= 1 || !self.inclusive)
    }

    /// Whether `agreeing` of `active` members reach it. Nobody never does.
    #[must_use]
    pub const fn is_reached(&self, agreeing: u32, active: u32) -> bool {
        let given = agreeing as u64 * self.denominator as u64;
        let needed = active as u64 * self.numerator as u64;
        agreeing > 0 && (given > needed || (self.inclusive && given == needed))
    }

    /// The fewest of `active` members that reach it; more than there are when there is nobody.
    #[must_use]
    pub fn needed(&self, active: u32) -> u32 {
        (1..=active).find(|agreeing| self.is_reached(*agreeing, active)).unwrap_or_else(|| active.saturating_add(1))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", if self.inclusive { ">=" } else { ">" }, self.numerator, self.denominator)
    }
}

/// Why a text is not a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a threshold is written > N/D or >= N/D: a share of the active members that all of them reach and nobody does not"
)]
pub struct ParseThresholdError;

impl FromStr for Threshold {
    type Err = ParseThresholdError;

    fn from_str(text: &str) -> Result<Self, ParseThresholdError> {
        let rest = text.trim().strip_prefix('>').ok_or(ParseThresholdError)?;
        let (inclusive, rest) = rest.strip_prefix('=').map_or((false, rest), |rest| (true, rest));
        let (numerator, denominator) = rest.split_once('/').ok_or(ParseThresholdError)?;
        let number = |text: &str| {
            let text = text.trim();
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if digits { text.parse().map_err(|_| ParseThresholdError) } else { Err(ParseThresholdError) }
        };
        let threshold = Self { numerator: number(numerator)?, denominator: number(denominator)?, inclusive };
        if threshold.is_valid() { Ok(threshold) } else { Err(ParseThresholdError) }
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The share of the active members that each kind of decision takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// See [`DecisionKind::Membership`].
    pub membership: Threshold,
    /// See [`DecisionKind::Nodes`].
    pub nodes: Threshold,
    /// See [`DecisionKind::Contracts`].
    pub contracts: Threshold,
    /// See [`DecisionKind::Parameters`].
    pub parameters: Threshold,
    /// See [`DecisionKind::Emergency`].
    pub emergency: Threshold,
    /// See [`DecisionKind::Documents`].
    pub documents: Threshold,
}

impl Default for Thresholds {
    fn default() -> Self {
        let two_thirds = Threshold::more_than(2, 3);
        Self {
            membership: two_thirds,
            nodes: two_thirds,
            contracts: two_thirds,
            parameters: two_thirds,
            emergency: Threshold::more_than(1, 2),
            documents: two_thirds,
        }
    }
}

impl Thresholds {
    /// That of a kind.
    #[must_use]
    pub const fn of(&self, kind: DecisionKind) -> Threshold {
        match kind {
            DecisionKind::Membership => self.membership,
            DecisionKind::Nodes => self.nodes,
            DecisionKind::Contracts => self.contracts,
            DecisionKind::Parameters => self.parameters,
            DecisionKind::Emergency => self.emergency,
            DecisionKind::Documents => self.documents,
        }
    }

    /// To change that of a kind.
    pub const fn of_mut(&mut self, kind: DecisionKind) -> &mut Threshold {
        match kind {
            DecisionKind::Membership => &mut self.membership,
            DecisionKind::Nodes => &mut self.nodes,
            DecisionKind::Contracts => &mut self.contracts,
            DecisionKind::Parameters => &mut self.parameters,
            DecisionKind::Emergency => &mut self.emergency,
            DecisionKind::Documents => &mut self.documents,
        }
    }

    /// # Errors
    /// [`GenesisError::Fraction`], the first that is no share of the members.
    pub(crate) fn validate(&self) -> Result<(), GenesisError> {
        match DecisionKind::ALL.into_iter().find(|kind| !self.of(*kind).is_valid()) {
            None => Ok(()),
            Some(kind) => {
                let path = format!("params.thresholds.{kind}");
                Err(GenesisError::Fraction { path, text: self.of(kind).to_string() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_what_the_text_says() {
        let (more, least) = (Threshold::more_than(2, 3), Threshold::at_least(2, 3));
        for active in 1..=100u32 {
            for agreeing in 0..=active {
                let (others, at_boundary) = (active - agreeing, agreeing * 3 == active * 2);
                let above = agreeing > 2 * others;
                assert_eq!(more.is_reached(agreeing, active), above, "{agreeing} of {active}");
                assert_eq!(least.is_reached(agreeing, active), above || at_boundary, "{agreeing} of {active}");
            }
        }
        assert_eq!((more.needed(4), more.needed(3), least.needed(3), more.needed(6), least.needed(6)), (3, 3, 2, 5, 4));
        assert_eq!(Threshold::more_than(1, 2).needed(4), 3);
        assert_eq!(Threshold::at_least(1, 1).needed(7), 7);
        assert_eq!(Threshold::more_than(0, 1).needed(7), 1);
        assert!(!Threshold::more_than(0, 1).is_reached(0, 0));
        assert_eq!(more.needed(0), 1);
    }

    #[test]
    fn texts() {
        for text in ["> 2/3", ">= 2/3", "> 0/1", ">= 1/1", "> 999/1000"] {
            assert_eq!(text.parse::<Threshold>().unwrap().to_string(), text);
        }
        assert_eq!(">=2 / 3".parse(), Ok(Threshold::at_least(2, 3)));
        let bad =
            ["", "2/3", "> 2", "> 3/3", ">= 0/3", "> 1/0", ">= 4/3", "> -1/3", "> +1/3", "> 1/1001", "> 99999/99999"];
        for text in bad {
            assert_eq!(text.parse::<Threshold>(), Err(ParseThresholdError), "{text}");
        }
        for kind in DecisionKind::ALL {
            assert_eq!(DecisionKind::from_text(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
