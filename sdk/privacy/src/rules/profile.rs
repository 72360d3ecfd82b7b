//! Grading profiles: the same findings under the names and numbers of a standard.

use std::{collections::BTreeMap, str::FromStr, sync::LazyLock};

use serde::{Deserialize, Serialize};

use super::{Name, RuleError};
use crate::Grade;

const PROFILES: &str = include_str!("../../rules/profiles.json");

/// The profiles that come with the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileName {
    /// Four grades of the platform guideline: what the node decides by.
    Glc4,
    /// GB/T 43697-2024: general data in four grades.
    Gbt43697,
    /// JR/T 0171-2020: C1 to C3 of financial institutions.
    Jrt0171,
    /// DB12/T 996-2020: place holder, its wording could not be had; the same as the standard one.
    Db12t996,
}

impl ProfileName {
    /// All, the standard one first.
    pub const ALL: [Self; 4] = [Self::Glc4, Self::Gbt43697, Self::Jrt0171, Self::Db12t996];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Glc4 => "glc4",
            Self::Gbt43697 => "gbt43697",
            Self::Jrt0171 => "jrt0171",
            Self::Db12t996 => "db12t996",
        }
    }
}

impl FromStr for ProfileName {
    type Err = RuleError;
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let known = Self::ALL.into_iter().find(|name| name.as_str() == text);
        known.ok_or_else(|| RuleError::Format(format!("no profile {text:?}: glc4, gbt43697, jrt0171, db12t996")))
    }
}

/// Grades and labels of one standard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// For people.
    pub name: Name,
    /// What the profile rests on and does not claim.
    pub note: Name,
    /// The label of each grade, from 1 to 4: what the standard calls it.
    pub labels: [Name; 4],
    /// Rules whose grade differs from the rule's own.
    #[serde(default)]
    pub levels: BTreeMap<String, Grade>,
    /// Findings that together weigh more than alone.
    #[serde(default)]
    pub combinations: Vec<Combination>,
}

/// One finding of each group in one document raises the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combination {
    /// Groups of rule ids; an id that ends with `*` stands for all that begin so.
    pub all: Vec<Vec<String>>,
    /// What the document becomes.
    pub level: Grade,
}

impl Profile {
    /// A profile that comes with the product.
    #[must_use]
    pub fn builtin(name: ProfileName) -> &'static Self {
        static ALL: LazyLock<BTreeMap<ProfileName, Profile>> =
            LazyLock::new(|| serde_json::from_str(PROFILES).expect("a test reads the built-in profiles"));
        &ALL[&name]
    }

    /// The grade of a rule's findings.
    #[must_use]
    pub fn level(&self, rule: &str, own: Grade) -> Grade {
        self.levels.get(rule).copied().unwrap_or(own)
    }

    /// The label of a grade.
    #[must_use]
    pub fn label(&self, grade: Grade) -> &Name {
        &self.labels[usize::from(grade.number() - 1)]
    }

    /// The grade of a document in which these rules found something: the highest, raised by combinations. Nothing found is
    /// public.
    #[must_use]
    pub fn document_level(&self, found: &[(&str, Grade)]) -> Grade {
        let highest = found.iter().map(|(rule, own)| self.level(rule, *own)).max().unwrap_or(Grade::PUBLIC);
        let is_there = |wanted: &String| {
            let fits = |rule: &str| wanted.strip_suffix('*').map_or(rule == wanted, |start| rule.starts_with(start));
            found.iter().any(|(rule, _)| fits(rule))
        };
        let raised = self
            .combinations
            .iter()
            .filter(|combination| combination.all.iter().all(|group| group.iter().any(is_there)));
        raised.map(|combination| combination.level).max().map_or(highest, |level| level.max(highest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{BUILTIN, RuleFile};

    #[test]
    fn all_profiles_are_read_and_name_rules_that_exist() {
        let rules = RuleFile::parse(BUILTIN).unwrap().rules;
        for name in ProfileName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
            let profile = Profile::builtin(name);
            let named = profile.combinations.iter().flat_map(|combination| combination.all.iter().flatten());
            for id in profile.levels.keys().chain(named) {
                let is_known = |rule: &crate::rules::Rule| {
                    id.strip_suffix('*').map_or(rule.id == *id, |start| rule.id.starts_with(start))
                };
                assert!(rules.iter().any(is_known), "{name:?} names {id}");
            }
        }
    }

    #[test]
    fn findings_together_weigh_more() {
        let profile = Profile::builtin(ProfileName::Glc4);
        let level = |found: &[(&'static str, u8)]| {
            let found: Vec<(&str, Grade)> =
                found.iter().map(|(rule, level)| (*rule, Grade::new(*level).unwrap())).collect();
            profile.document_level(&found).number()
        };
        assert_eq!(level(&[]), 1);
        assert_eq!(level(&[("P_NAME_LABELLED", 2)]), 2);
        assert_eq!(level(&[("P_NAME_LABELLED", 2), ("C_MOBILE_CN", 3)]), 3);
        assert_eq!(level(&[("P_NAME_LABELLED", 2), ("C_MOBILE_CN", 3), ("F_BANK_ACCT", 3)]), 4);
    }
}
