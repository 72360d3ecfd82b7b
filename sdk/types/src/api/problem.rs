//! Errors as the API tells them: RFC 9457 problem details with stable codes.

use serde::{Deserialize, Serialize};

use super::CATALOGUE;

/// A language of texts for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Simplified Chinese.
    #[serde(rename = "zh")]
    Chinese,
}

impl Language {
    /// Chinese for any tag that begins with `zh` (`zh`, `zh-CN`, `zh_CN.UTF-8`), else English.
    #[must_use]
    pub fn from_tag(tag: &str) -> Self {
        let is_chinese = tag.trim_start().get(..2).is_some_and(|start| start.eq_ignore_ascii_case("zh"));
        if is_chinese { Self::Chinese } else { Self::English }
    }
}

/// What is the same for every problem of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemKind {
    /// Stable code.
    pub code: &'static str,
    /// HTTP status; 0 for what only a client says.
    pub status: u16,
    /// What it is, in English.
    pub title_en: &'static str,
    /// What it is, in Chinese.
    pub title_zh: &'static str,
    /// What to do, in English.
    pub mend_en: &'static str,
    /// What to do, in Chinese.
    pub mend_zh: &'static str,
}

impl ProblemKind {
    /// What it is, in a language.
    #[must_use]
    pub const fn title(&self, language: Language) -> &'static str {
        match language {
            Language::English => self.title_en,
            Language::Chinese => self.title_zh,
        }
    }

    /// What to do, in a language.
    #[must_use]
    pub const fn mend(&self, language: Language) -> &'static str {
        match language {
            Language::English => self.mend_en,
            Language::Chinese => self.mend_zh,
        }
    }
}

/// The catalogue's entry for a code; `None` for codes that contracts define.
#[must_use]
pub fn kind_of(code: &str) -> Option<&'static ProblemKind> {
    CATALOGUE.iter().find(|kind| kind.code == code)
}

/// The body of every answer that is an error (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `urn:vouch:error:` and the code.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// What it is; the same for every problem of this code.
    pub title: String,
    /// HTTP status; 0 for what only a client says.
    pub status: u16,
    /// Stable code to program against.
    pub code: String,
    /// What was wrong this time.
    pub detail: String,
    /// Where: a field, parameter, header, offset or item.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mend: String,
    /// `urn:vouch:request:` and the request's id, to find it in the node's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl Problem {
    /// A problem by its code: title, status and mend come from the catalogue; a code that is not in it gets status 422,
    /// since only contracts bring codes of their own.
    #[must_use]
    pub fn new(code: impl Into<String>, detail: impl Into<String>) -> Self {
        let (code, detail) = (code.into(), detail.into());
        let kind = kind_of(&code);
        Self {
            type_uri: format!("urn:vouch:error:{code}"),
            title: kind.map_or("The contract refused", |kind| kind.title_en).into(),
            status: kind.map_or(422, |kind| kind.status),
            mend: kind.map_or("", |kind| kind.mend_en).into(),
            code,
            detail,
            location: None,
            instance: None,
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Puts title and mend into a language; the detail stays as it is.
    #[must_use]
    pub fn translated(mut self, language: Language) -> Self {
        if let Some(kind) = kind_of(&self.code) {
            self.title = kind.title(language).into();
            self.mend = kind.mend(language).into();
        } else if language == Language::Chinese {
            self.title = "合约拒绝了请求".into();
        }
        self
    }
}

impl core::fmt::Display for Problem {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)?;
        match &self.location {
            Some(location) => write!(f, " (at {location})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sorted_complete_and_in_two_languages() {
        assert!(CATALOGUE.is_sorted_by(|a, b| a.code < b.code), "codes in ascending order, each once");
        for kind in CATALOGUE {
            let shape = |code: &str| {
                code == "internal"
                    || code.split_once('.').is_some_and(|(room, rest)| {
                        !room.is_empty()
                            && !rest.is_empty()
                            && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_')
                    })
            };
            assert!(shape(kind.code), "{}", kind.code);
            assert!(kind.status == 0 || (400..600).contains(&kind.status), "{}", kind.code);
            for text in [kind.title_en, kind.title_zh, kind.mend_en, kind.mend_zh] {
                assert!(!text.is_empty(), "{} lacks a text", kind.code);
            }
            assert!(kind.title_en.is_ascii() && kind.mend_en.is_ascii(), "{}", kind.code);
            assert!(!kind.title_zh.is_ascii() && !kind.mend_zh.is_ascii(), "{}", kind.code);
        }
    }

    #[test]
    fn every_transaction_error_has_an_entry() {
        for code in [
            "tx.too_large",
            "tx.malformed",
            "tx.unknown_version",
            "tx.wrong_chain",
            "tx.call_count",
            "tx.signers",
            "tx.contract_name",
            "tx.method_name",
            "tx.bad_signature",
            "tx.expired",
            "tx.expiry_too_far",
            "tx.replayed",
            "tx.unknown_account",
        ] {
            assert!(kind_of(code).is_some(), "{code}");
        }
    }

    #[test]
    fn a_problem_reads_back_and_translates() {
        let problem = Problem::new("tx.expired", "expired at 3, the next block is 9").at("expiry");
        let json = serde_json::to_value(&problem).expect("serialises");
        assert_eq!(json["type"], "urn:vouch:error:tx.expired");
        assert_eq!(json["where"], "expiry");
        assert_eq!(serde_json::from_value::<Problem>(json).expect("reads back"), problem);
        assert_ne!(problem.clone().translated(Language::Chinese).title, problem.title);
        assert_eq!(Problem::new("documents.not_party", "x").status, 422);
    }

    #[test]
    fn language_tags() {
        for (tag, expected) in [
            ("zh", Language::Chinese),
            ("zh_CN.UTF-8", Language::Chinese),
            ("ZH-hans", Language::Chinese),
            ("en_US", Language::English),
            ("", Language::English),
            ("z", Language::English),
            ("日本", Language::English),
        ] {
            assert_eq!(Language::from_tag(tag), expected, "{tag}");
        }
    }
}
