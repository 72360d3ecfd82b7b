//! De-identification: eighteen algorithms, each named as GB/T 37964 does, applied to what a scan finds, to fields by name
//! and to whole tables; the result is scanned again before it leaves.
//!
//! ```text
//! text ─► findings ─► policy ─► one algorithm each ─► text ─► findings ─► none of grade 3 or 4 left, or an error
//! table ─► columns by policy ─► k-anonymity, permutation, … ─► report: k, l, t, suppressed rows
//! ```
//!
//! Nothing here draws randomness: the caller hands in [`Entropy`]. Secrets enter as a [`DeidKey`]; what is derived from it is
//! separate for each purpose, so one algorithm's output tells nothing of another's.

pub mod anonymity;
pub mod dates;
pub mod formats;
pub mod mask;
pub mod numbers;
pub mod policy;
pub mod private_query;
pub mod synthetic;
pub mod table;
pub mod token;

use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use policy::{Deidentified, Deidentifier, Policy, Step};

use crate::rules::Name;

/// Where randomness comes from: fills bytes that nobody can foretell.
pub type Entropy<'a> = &'a mut dyn FnMut(&mut [u8]);

/// The algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// The value goes, a label stays.
    Suppress,
    /// Some characters stay at both ends, the others become a mask.
    Mask,
    /// Only the beginning stays: region, network, place.
    Truncate,
    /// HMAC of the value.
    KeyedToken,
    /// A random token; a table leads back.
    VaultToken,
    /// The same value gives the same ciphertext (AES-SIV).
    DeterministicEncryption,
    /// The ciphertext has the form of the value (FF1).
    FormatPreservingEncryption,
    /// Numbers in steps.
    Round,
    /// Numbers beyond a bound become the bound.
    TopBottomCoding,
    /// Month, quarter, year or age group instead of the day.
    DateGeneralisation,
    /// All dates of one subject move by the same number of days.
    DateShift,
    /// Discrete Laplace noise.
    Noise,
    /// The values of a column change places.
    Permutation,
    /// Groups of near numbers become their mean.
    Microaggregation,
    /// Every combination of quasi-identifiers stands in at least k rows (Mondrian).
    KAnonymity,
    /// Counts, sums and histograms with noise and a budget.
    PrivateQuery,
    /// Another value of the same kind that belongs to nobody.
    SyntheticReplacement,
    /// Some of the rows, drawn at random.
    Sampling,
}

/// What an algorithm is and asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Properties {
    /// What it is called in GB/T 37964-2019: family and technique.
    pub technique: Name,
    /// Whether it needs a key, or a table that must be kept as safe.
    pub needs_key: bool,
    /// Whether who has the key or table can get the value back.
    pub is_reversible: bool,
    /// Whether the result has the form of the value.
    pub keeps_format: bool,
    /// Whether equal values stay equal, so that records can be joined.
    pub keeps_equality: bool,
    /// Whether it works on whole tables rather than on single values.
    pub is_for_tables: bool,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Suppress,
        Self::Mask,
        Self::Truncate,
        Self::KeyedToken,
        Self::VaultToken,
        Self::DeterministicEncryption,
        Self::FormatPreservingEncryption,
        Self::Round,
        Self::TopBottomCoding,
        Self::DateGeneralisation,
        Self::DateShift,
        Self::Noise,
        Self::Permutation,
        Self::Microaggregation,
        Self::KAnonymity,
        Self::PrivateQuery,
        Self::SyntheticReplacement,
        Self::Sampling,
    ];

    /// What it is and asks for.
    #[must_use]
    pub fn properties(self) -> Properties {
        let (en, zh, flags) = match self {
            Self::Suppress => ("suppression: local suppression", "抑制技术·局部抑制", "-----"),
            Self::Mask => ("suppression: masking", "抑制技术·屏蔽", "-----"),
            Self::Truncate => ("generalisation: truncation", "泛化技术·截断", "---e-"),
            Self::KeyedToken => {
                ("pseudonymisation: derived by cryptography", "假名化技术·基于密码技术的标识符派生假名", "k--e-")
            }
            Self::VaultToken => {
                ("pseudonymisation: independent of the identifier", "假名化技术·独立于标识符的假名", "kr-e-")
            }
            Self::DeterministicEncryption => ("cryptography: deterministic encryption", "密码技术·确定性加密", "kr-e-"),
            Self::FormatPreservingEncryption => {
                ("cryptography: format-preserving encryption", "密码技术·保留格式加密", "krfe-")
            }
            Self::Round => ("generalisation: rounding", "泛化技术·取整", "--fe-"),
            Self::TopBottomCoding => ("generalisation: top and bottom coding", "泛化技术·顶层与底层编码", "--f--"),
            Self::DateGeneralisation => ("generalisation: dates", "泛化技术·日期泛化", "---e-"),
            Self::DateShift => ("randomisation: date shift by subject", "随机化技术·日期偏移", "krf--"),
            Self::Noise => ("randomisation: noise", "随机化技术·噪声添加", "--f--"),
            Self::Permutation => ("randomisation: permutation", "随机化技术·置换", "--f-t"),
            Self::Microaggregation => ("randomisation: microaggregation", "随机化技术·微聚集", "--f-t"),
            Self::KAnonymity => {
                ("model: k-anonymity with l-diversity and t-closeness", "模型·K-匿名（含L-多样性、T-接近性）", "----t")
            }
            Self::PrivateQuery => ("model: differential privacy", "模型·差分隐私", "----t"),
            Self::SyntheticReplacement => ("data synthesis", "数据合成技术", "k-fe-"),
            Self::Sampling => ("statistics: sampling", "统计技术·数据抽样", "--fet"),
        };
        let has = |flag: char| flags.contains(flag);
        Properties {
            technique: Name { en: en.to_owned(), zh: zh.to_owned() },
            needs_key: has('k'),
            is_reversible: has('r'),
            keeps_format: has('f'),
            keeps_equality: has('e'),
            is_for_tables: has('t'),
        }
    }
}

/// Why something cannot be de-identified. No variant holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeidError {
    /// The policy cannot be used.
    #[error("policy: {0}")]
    Policy(String),
    /// An algorithm needs a key and none was given.
    #[error("{0:?} needs a key")]
    KeyMissing(Algorithm),
    /// The key has a wrong form.
    #[error("a key is 32 bytes, written as 64 hexadecimal digits")]
    KeyForm,
    /// The value does not have the form that the algorithm works on.
    #[error("{algorithm:?} cannot take this value: {why}")]
    Value {
        /// Which algorithm.
        algorithm: Algorithm,
        /// What it asks for.
        why: &'static str,
    },
    /// A token or ciphertext does not lead back.
    #[error("the value cannot be restored: {0}")]
    Restore(&'static str),
    /// Something sensitive is left in the result, which must not be used.
    #[error("{count} sensitive values are left, the first by rule {rule} at byte {start}")]
    Residue {
        /// How many.
        count: usize,
        /// Rule of the first.
        rule: String,
        /// Where it begins.
        start: usize,
    },
    /// The table cannot be made so.
    #[error("table: {0}")]
    Table(String),
    /// More was asked of a private query than is left to spend.
    #[error("the privacy budget is spent: {left} thousandths are left")]
    Budget {
        /// What is left of epsilon, in thousandths.
        left: u64,
    },
}

impl DeidError {
    /// Stable code for API and CLI.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Policy(_) => "deid.policy",
            Self::KeyMissing(_) => "deid.key_missing",
            Self::KeyForm => "deid.key_form",
            Self::Value { .. } => "deid.value",
            Self::Restore(_) => "deid.restore",
            Self::Residue { .. } => "deid.residue",
            Self::Table(_) => "deid.table",
            Self::Budget { .. } => "deid.budget",
        }
    }
}

/// The secret of a tenant's de-identification. Erased from memory when dropped; shows nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DeidKey([u8; 32]);

impl std::fmt::Debug for DeidKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeidKey(<redacted>)")
    }
}

impl DeidKey {
    /// From 32 bytes of good randomness.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From the text of a key file: 64 hexadecimal digits and at most blanks around them.
    ///
    /// # Errors
    /// [`DeidError::KeyForm`] for anything else.
    pub fn parse(text: &str) -> Result<Self, DeidError> {
        let digits = text.trim().as_bytes();
        let mut key = Self([0; 32]);
        if digits.len() != 64 {
            return Err(DeidError::KeyForm);
        }
        for (byte, pair) in key.0.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *byte = digit(0).zip(digit(1)).map(|(high, low)| high << 4 | low).ok_or(DeidError::KeyForm)?;
        }
        Ok(key)
    }

    /// HMAC-SHA256 of parts under this key, each part with its length before it.
    pub(crate) fn derive(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in [purpose.as_bytes()].iter().chain(parts) {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Draws numbers below a bound without favouring any.
pub(crate) fn below(entropy: &mut dyn FnMut(&mut [u8]), bound: u64) -> u64 {
    // Values of the last, incomplete round are drawn again.
    let limit = u64::MAX - u64::MAX % bound.max(1);
    loop {
        let mut bytes = [0; 8];
        entropy(&mut bytes);
        let drawn = u64::from_le_bytes(bytes);
        if drawn < limit {
            return drawn % bound.max(1);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Counts up through SHA-256: the same in every run.
    pub(crate) fn entropy(seed: u8) -> impl FnMut(&mut [u8]) {
        let key = DeidKey::new([seed; 32]);
        let mut count = 0_u64;
        move |bytes| {
            for chunk in bytes.chunks_mut(32) {
                let block = key.derive("test", &[&count.to_le_bytes()]);
                count += 1;
                chunk.copy_from_slice(&block[..chunk.len()]);
            }
        }
    }

    #[test]
    fn every_algorithm_says_what_it_is() {
        let mut techniques: Vec<String> = Vec::new();
        for algorithm in Algorithm::ALL {
            let properties = algorithm.properties();
            assert!(!properties.is_reversible || properties.needs_key, "{algorithm:?}");
            assert!(
                properties.technique.en.is_ascii() && !techniques.contains(&properties.technique.zh),
                "{algorithm:?}"
            );
            techniques.push(properties.technique.zh);
        }
        assert_eq!(techniques.len(), 18);
    }

    #[test]
    fn a_key_shows_nothing_and_reads_its_file() {
        let key = DeidKey::parse(&format!("{}\n", "0f".repeat(32))).unwrap();
        assert_eq!(format!("{key:?}"), "DeidKey(<redacted>)");
        assert_eq!(key.0, [15; 32]);
        for wrong in ["", "0f", &"0g".repeat(32), &"0f".repeat(33)] {
            assert_eq!(DeidKey::parse(wrong).unwrap_err().code(), "deid.key_form");
        }
    }

    #[test]
    fn derived_values_keep_parts_apart() {
        let key = DeidKey::new([1; 32]);
        assert_ne!(key.derive("a", &[b"bc"]), key.derive("a", &[b"b", b"c"]));
        assert_ne!(key.derive("a", &[b"bc"]), key.derive("ab", &[b"c"]));
    }

    #[test]
    fn numbers_below_a_bound_are_even() {
        let mut entropy = entropy(1);
        let mut counts = [0; 7];
        for _ in 0..7000 {
            counts[usize::try_from(below(&mut entropy, 7)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_eq!(below(&mut entropy, 1), 0);
    }
}
