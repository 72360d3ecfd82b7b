//! Which algorithm is applied to what, and the text that comes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Algorithm, DeidError, DeidKey, anonymity,
    anonymity::{Anonymity, AnonymityReport},
    dates, formats, mask, numbers, synthetic, table,
    table::Table,
    token,
    token::TokenVault,
};
use crate::{
    Grade,
    rules::key_form,
    scan::{Engine, Field, Finding},
};

/// Format of a policy file.
pub const FORMAT: &str = "vouch-deid/1";
/// The policy that is used where none is given.
const STANDARD: &str = include_str!("../../rules/deid-standard.json");

/// One algorithm with its parameters, for one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// The value stays as it is.
    Keep {},
    /// The value goes.
    Suppress {
        /// What stands in its place; the rule's id in brackets where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
    },
    /// Characters at both ends stay.
    Mask {
        /// At the beginning.
        first: usize,
        /// At the end.
        last: usize,
    },
    /// The name of the family stays.
    MaskName {},
    /// The first character and the domain stay.
    MaskEmail {},
    /// The beginning stays.
    Truncate {
        /// How much of it.
        keep: mask::Keep,
    },
    /// A token from the value under the key.
    KeyedToken {},
    /// A random token that the vault leads back.
    VaultToken {},
    /// AES-SIV.
    DeterministicEncryption {},
    /// FF1.
    FormatPreservingEncryption {
        /// What of the value is encrypted.
        form: formats::Form,
        /// Whether the check digit is made wrong, so that nobody takes the result for a number.
        #[serde(default)]
        breaks_check: bool,
    },
    /// Steps or ranges of numbers.
    Round {
        /// The width of a step.
        step: String,
        /// Nearest step or range.
        rounding: numbers::Rounding,
    },
    /// Bounds for numbers.
    TopBottomCoding {
        /// Numbers below become this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bottom: Option<String>,
        /// Numbers above become this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top: Option<String>,
    },
    /// Coarser dates.
    DateGeneralisation {
        /// How coarse.
        to: dates::Coarseness,
    },
    /// Dates moved by a number of days of the record's subject.
    DateShift {},
    /// Discrete Laplace noise.
    Noise {
        /// The most one person changes the number by.
        sensitivity: String,
        /// Privacy loss in thousandths.
        epsilon: u64,
    },
    /// A made-up value.
    SyntheticReplacement {
        /// Of which kind.
        kind: synthetic::Kind,
    },
}

impl Step {
    /// The algorithm; nothing for what keeps a value.
    #[must_use]
    pub const fn algorithm(&self) -> Option<Algorithm> {
        Some(match self {
            Self::Keep {} => return None,
            Self::Suppress { .. } => Algorithm::Suppress,
            Self::Mask { .. } | Self::MaskName {} | Self::MaskEmail {} => Algorithm::Mask,
            Self::Truncate { .. } => Algorithm::Truncate,
            Self::KeyedToken {} => Algorithm::KeyedToken,
            Self::VaultToken {} => Algorithm::VaultToken,
            Self::DeterministicEncryption {} => Algorithm::DeterministicEncryption,
            Self::FormatPreservingEncryption { .. } => Algorithm::FormatPreservingEncryption,
            Self::Round { .. } => Algorithm::Round,
            Self::TopBottomCoding { .. } => Algorithm::TopBottomCoding,
            Self::DateGeneralisation { .. } => Algorithm::DateGeneralisation,
            Self::DateShift {} => Algorithm::DateShift,
            Self::Noise { .. } => Algorithm::Noise,
            Self::SyntheticReplacement { .. } => Algorithm::SyntheticReplacement,
        })
    }
}

/// One algorithm with its parameters, for a whole table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "snake_case", deny_unknown_fields)]
pub enum TableStep {
    /// Values change places.
    Permutation {
        /// The columns, together.
        columns: Vec<String>,
        /// Only among rows whose value here is equal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<String>,
    },
    /// Means of groups.
    Microaggregation {
        /// The column.
        column: String,
        /// Fewest rows of a group.
        k: usize,
    },
    /// Mondrian.
    KAnonymity(Anonymity),
    /// Some of the rows.
    Sampling {
        /// How many.
        rows: usize,
    },
}

/// What is done to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// [`FORMAT`].
    pub format: String,
    /// By rule.
    #[serde(default)]
    pub rules: BTreeMap<String, Step>,
    /// By grade, where no rule is named. Findings of grade 3 and 4 that nothing is said of are suppressed.
    #[serde(default)]
    pub levels: BTreeMap<u8, Step>,
    /// By name of a field, before rules and grades; the whole value is taken.
    #[serde(default)]
    pub fields: BTreeMap<String, Step>,
    /// The field that names a record's subject, for dates that move together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What is done to a whole table afterwards, in this order.
    #[serde(default)]
    pub table: Vec<TableStep>,
}

impl Policy {
    /// Reads a policy and checks that it names rules of the engine.
    ///
    /// # Errors
    /// [`DeidError::Policy`] with what is wrong.
    pub fn parse(text: &str, engine: &Engine) -> Result<Self, DeidError> {
        let policy: Self = serde_json::from_str(text).map_err(|error| DeidError::Policy(error.to_string()))?;
        if policy.format != FORMAT {
            return Err(DeidError::Policy(format!("format is {:?}, not {FORMAT:?}", policy.format)));
        }
        if let Some(unknown) = policy.rules.keys().find(|id| engine.rule(id).is_none()) {
            return Err(DeidError::Policy(format!("there is no rule {unknown}")));
        }
        if let Some(level) = policy.levels.keys().find(|level| Grade::new(**level).is_err()) {
            return Err(DeidError::Policy(format!("there is no grade {level}")));
        }
        Ok(policy)
    }

    /// The policy that is used where none is given: masks as the standards ask, everything else of grade 3 and 4 suppressed.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn standard() -> Self {
        serde_json::from_str(STANDARD).expect("a test reads the standard policy")
    }

    /// Whether a step needs a key.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        let steps = self.rules.values().chain(self.levels.values()).chain(self.fields.values());
        steps.filter_map(Step::algorithm).any(|algorithm| algorithm.properties().needs_key)
    }

    fn field(&self, name: &str) -> Option<&Step> {
        let form = key_form(name);
        self.fields.iter().find(|(field, _)| key_form(field) == form).map(|(_, step)| step)
    }

    fn finding(&self, finding: &Finding) -> Option<&Step> {
        self.rules.get(finding.rule.as_str()).or_else(|| self.levels.get(&finding.level.number()))
    }
}

/// One place that was changed, in the new text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The rule, or the field, that asked for it.
    pub cause: String,
    /// What was done.
    pub algorithm: Algorithm,
    /// First byte.
    pub start: usize,
    /// Byte behind the last.
    pub end: usize,
}

/// A text in which nothing sensitive is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deidentified {
    /// The text.
    pub text: String,
    /// What was changed.
    pub changes: Vec<Change>,
}

/// Applies a policy.
pub struct Deidentifier<'a> {
    engine: &'a Engine,
    policy: &'a Policy,
    key: Option<&'a DeidKey>,
    entropy: super::Entropy<'a>,
    /// Tokens that lead back; keep it as safe as a key.
    pub vault: TokenVault,
}

impl std::fmt::Debug for Deidentifier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deidentifier").field("policy", self.policy).finish_non_exhaustive()
    }
}

impl<'a> Deidentifier<'a> {
    /// With a key where the policy needs one.
    ///
    /// # Errors
    /// [`DeidError::KeyMissing`].
    pub fn new(
        engine: &'a Engine,
        policy: &'a Policy,
        key: Option<&'a DeidKey>,
        entropy: super::Entropy<'a>,
    ) -> Result<Self, DeidError> {
        if policy.needs_key() && key.is_none() {
            return Err(DeidError::KeyMissing(Algorithm::KeyedToken));
        }
        Ok(Self { engine, policy, key, entropy, vault: TokenVault::default() })
    }

    /// A text, or the value of a field, without what the policy takes out. `subject` is the record's, for dates.
    ///
    /// # Errors
    /// [`DeidError::Residue`] when something of grade 3 or 4 is left; what was made must not be used then.
    pub fn text(
        &mut self,
        text: &str,
        field: Option<(&str, &Field)>,
        subject: Option<&str>,
    ) -> Result<Deidentified, DeidError> {
        let mut done = Deidentified { text: String::with_capacity(text.len()), changes: Vec::new() };
        if let Some((step, name)) = field.and_then(|(name, _)| Some((self.policy.field(name)?, name))) {
            if text.trim().is_empty() {
                return Ok(Deidentified { text: text.to_owned(), changes: Vec::new() });
            }
            self.put(&mut done, step, &key_form(name), text, subject)?;
        } else {
            let mut copied = 0;
            for finding in self.engine.scan_field(text, field.map(|(_, field)| field)) {
                let suppress = Step::Suppress { label: None };
                let step = match self.policy.finding(&finding) {
                    Some(step) => step,
                    None if finding.level >= Grade::SENSITIVE => &suppress,
                    None => continue,
                };
                // A match may begin before the value, and what was found before may reach into it.
                let start = finding.value_start.max(copied);
                done.text.push_str(text.get(copied..start).unwrap_or_default());
                self.put(
                    &mut done,
                    step,
                    finding.rule.as_str(),
                    text.get(start..finding.end).unwrap_or_default(),
                    subject,
                )?;
                copied = finding.end;
            }
            done.text.push_str(text.get(copied..).unwrap_or_default());
        }
        self.check(&done, field)?;
        Ok(done)
    }

    /// Scans the result. What a pseudonym or a coarser value looks like is its algorithm's doing and no residue.
    fn check(&self, done: &Deidentified, field: Option<(&str, &Field)>) -> Result<(), DeidError> {
        let is_meant = |finding: &Finding| {
            done.changes.iter().any(|change| {
                let is_hidden = matches!(change.algorithm, Algorithm::Mask | Algorithm::Suppress);
                !is_hidden && change.start <= finding.value_start && finding.end <= change.end
            })
        };
        let is_kept = |finding: &Finding| {
            let by_field = field.and_then(|(name, _)| self.policy.field(name));
            matches!(by_field.or_else(|| self.policy.finding(finding)), Some(Step::Keep {}))
        };
        let left = self.engine.scan_field(&done.text, field.map(|(_, field)| field));
        let mut left =
            left.iter().filter(|finding| finding.level >= Grade::SENSITIVE && !is_meant(finding) && !is_kept(finding));
        match left.next() {
            None => Ok(()),
            Some(first) => {
                Err(DeidError::Residue { count: 1 + left.count(), rule: first.rule.to_string(), start: first.start })
            }
        }
    }

    /// Writes what a step makes of a value. What an algorithm cannot take is suppressed: nothing leaves because it was odd.
    fn put(
        &mut self,
        done: &mut Deidentified,
        step: &Step,
        cause: &str,
        value: &str,
        subject: Option<&str>,
    ) -> Result<(), DeidError> {
        let Some(algorithm) = step.algorithm() else {
            done.text.push_str(value);
            return Ok(());
        };
        let start = done.text.len();
        let (made, algorithm) = match self.apply(step, cause, value, subject) {
            Ok(made) => (made, algorithm),
            Err(DeidError::Value { .. }) => (format!("[{cause}]"), Algorithm::Suppress),
            Err(error) => return Err(error),
        };
        done.text.push_str(&made);
        done.changes.push(Change { cause: cause.to_owned(), algorithm, start, end: done.text.len() });
        Ok(())
    }

    fn apply(&mut self, step: &Step, kind: &str, value: &str, subject: Option<&str>) -> Result<String, DeidError> {
        let key = || self.key.ok_or(DeidError::KeyMissing(step.algorithm().unwrap_or(Algorithm::KeyedToken)));
        match step {
            Step::Keep {} => Ok(value.to_owned()),
            Step::Suppress { label } => Ok(label.clone().unwrap_or_else(|| format!("[{kind}]"))),
            Step::Mask { first, last } => Ok(mask::mask(value, *first, *last, '*')),
            Step::MaskName {} => Ok(mask::mask_name(value)),
            Step::MaskEmail {} => Ok(mask::mask_email(value)),
            Step::Truncate { keep } => mask::truncate(value, *keep),
            Step::KeyedToken {} => Ok(token::keyed_token(key()?, kind, value)),
            Step::VaultToken {} => {
                let key = key()?;
                self.vault.token(key, kind, value, self.entropy)
            }
            Step::DeterministicEncryption {} => token::encrypt(key()?, kind, value),
            Step::FormatPreservingEncryption { form, breaks_check } => {
                formats::encrypt(key()?, *form, value.trim(), *breaks_check)
            }
            Step::Round { step, rounding } => numbers::round(value, step, *rounding),
            Step::TopBottomCoding { bottom, top } => numbers::top_bottom(value, bottom.as_deref(), top.as_deref()),
            Step::DateGeneralisation { to } => dates::generalise(value, *to),
            Step::DateShift {} => {
                let subject = subject.filter(|subject| !subject.is_empty());
                let missing = DeidError::Value { algorithm: Algorithm::DateShift, why: "a record with a subject" };
                dates::shift(key()?, subject.ok_or(missing)?, value)
            }
            Step::Noise { sensitivity, epsilon } => numbers::noise(value, sensitivity, *epsilon, self.entropy),
            Step::SyntheticReplacement { kind } => synthetic::replace(key()?, *kind, value),
        }
    }

    /// The way back of a step that has one. `kind` is what [`Change::cause`] said.
    ///
    /// # Errors
    /// [`DeidError::Restore`] for steps without a way back, or when the value is none of the step's results.
    pub fn restore(&self, step: &Step, kind: &str, value: &str, subject: Option<&str>) -> Result<String, DeidError> {
        let key = self.key.ok_or(DeidError::KeyMissing(step.algorithm().unwrap_or(Algorithm::KeyedToken)))?;
        match step {
            Step::VaultToken {} => self.vault.value(key, kind, value).map(|value| value.to_string()),
            Step::DeterministicEncryption {} => token::decrypt(key, kind, value).map(|value| value.to_string()),
            Step::FormatPreservingEncryption { form, .. } => formats::decrypt(key, *form, value),
            Step::DateShift {} => dates::unshift(key, subject.unwrap_or_default(), value),
            _ => Err(DeidError::Restore("the algorithm has no way back")),
        }
    }

    /// Every cell of a table by the policy, then the steps for tables. The reports are those of k-anonymity.
    ///
    /// # Errors
    /// As [`Deidentifier::text`], and those of the steps.
    pub fn table(&mut self, table: &mut Table) -> Result<(Vec<Change>, Vec<AnonymityReport>), DeidError> {
        let fields: Vec<Field> = table.columns.iter().map(|name| self.engine.field(name)).collect();
        let subject = self.policy.subject.as_ref().map(|name| table.column(name)).transpose()?;
        let mut changes = Vec::new();
        for row in &mut table.rows {
            let subject = subject.map(|place| row[place].clone());
            for ((cell, name), field) in row.iter_mut().zip(&table.columns).zip(&fields) {
                let done = self.text(cell, Some((name, field)), subject.as_deref())?;
                *cell = done.text;
                changes.extend(done.changes);
            }
        }
        let mut reports = Vec::new();
        let policy = self.policy;
        for step in &policy.table {
            match step {
                TableStep::Permutation { columns, within } => {
                    table::permute(table, columns, within.as_deref(), self.entropy)?;
                }
                TableStep::Microaggregation { column, k } => {
                    table::microaggregate(table, column, *k)?;
                }
                TableStep::KAnonymity(asked) => reports.push(anonymity::anonymise(table, asked)?),
                TableStep::Sampling { rows } => table::sample(table, *rows, self.entropy),
            }
        }
        Ok((changes, reports))
    }
}
