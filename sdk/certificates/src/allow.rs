//! Which outside systems a node lets in: a file that the operator keeps.
//!
//! ```toml
//! [[client]]
//! subject = "system:erp"       # or: fingerprint = "…", this one certificate and no renewal of it
//! scope = ["read", "submit"]
//! accounts = ["…"]             # requests and transactions must be signed by one of these; none: by any
//! ```

use serde::{Deserialize, Serialize};
use vouch_types::{AccountId, Hash32};

use crate::{CertificateError, Subject};

/// Most entries.
pub const ALLOWED_MAX: usize = 1_000;
/// Most accounts of an entry.
const ACCOUNTS_MAX: usize = 100;
/// Most bytes of a note.
const NOTE_BYTES_MAX: usize = 200;

/// What a client may do at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything that changes nothing.
    Read,
    /// Transactions, documents and files.
    Submit,
    /// What the admin token is asked for besides.
    Admin,
}

impl Scope {
    /// The text used in files and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Admin => "admin",
        }
    }
}

/// An outside system that is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedClient {
    /// By what its certificates speak for, as `system:erp`: also those to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// By one certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Hash32>,
    /// What it may do.
    pub scope: Vec<Scope>,
    /// Accounts it may act for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// All that are let in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowList {
    /// The entries.
    #[serde(default, rename = "client")]
    pub clients: Vec<AllowedClient>,
}

impl AllowList {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`CertificateError::AllowList`], which names the entry.
    pub fn from_toml(text: &str) -> Result<Self, CertificateError> {
        let list: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        list.check()?;
        Ok(list)
    }

    /// As the file's text.
    ///
    /// # Errors
    /// [`CertificateError::AllowList`], which names the entry.
    pub fn to_toml(&self) -> Result<String, CertificateError> {
        self.check()?;
        toml::to_string_pretty(self).map_err(|error| wrong(error.to_string()))
    }

    fn check(&self) -> Result<(), CertificateError> {
        if self.clients.len() > ALLOWED_MAX {
            return Err(wrong(format!("it has more than {ALLOWED_MAX} entries")));
        }
        for (index, client) in self.clients.iter().enumerate() {
            let entry = |text: &str| Err(wrong(format!("client {}: {text}", index + 1)));
            if client.subject.is_some() == client.fingerprint.is_some() {
                return entry("name either a subject or a fingerprint");
            }
            if let Some(subject) = &client.subject
                && format!("urn:vouch:member:{subject}").parse::<Subject>().is_err()
            {
                return entry("a subject has the form system:NAME, account:ID or node:NAME");
            }
            if client.scope.is_empty() {
                return entry("the scope is empty: read, submit or admin");
            }
            if client.accounts.len() > ACCOUNTS_MAX || client.note.len() > NOTE_BYTES_MAX {
                return entry("too many accounts, or the note is too long");
            }
            if self.clients.iter().take(index).any(|other| other.key() == client.key()) {
                return entry("there is an entry for it already");
            }
        }
        Ok(())
    }

    /// The entry for a certificate: the one for this very certificate, else the one for what it speaks for.
    #[must_use]
    pub fn find(&self, fingerprint: Hash32, subject: &str) -> Option<&AllowedClient> {
        let exact = self.clients.iter().find(|client| client.fingerprint == Some(fingerprint));
        exact.or_else(|| self.clients.iter().find(|client| client.subject.as_deref() == Some(subject)))
    }
}

impl AllowedClient {
    /// What it is known by.
    #[must_use]
    pub fn key(&self) -> String {
        match (&self.subject, &self.fingerprint) {
            (Some(subject), _) => subject.clone(),
            (None, Some(fingerprint)) => fingerprint.to_string(),
            (None, None) => String::new(),
        }
    }

    /// Whether it may do this.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scope.contains(&scope)
    }
}

fn wrong(text: String) -> CertificateError {
    CertificateError::AllowList(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
        [[client]]
        subject = "system:erp"
        scope = ["read", "submit"]

        [[client]]
        fingerprint = "0101010101010101010101010101010101010101010101010101010101010101"
        scope = ["read"]
        accounts = ["0202020202020202020202020202020202020202020202020202020202020202"]
    "#;

    #[test]
    fn a_list_reads_back_and_the_closest_entry_counts() {
        let list = AllowList::from_toml(LIST).unwrap();
        assert_eq!(AllowList::from_toml(&list.to_toml().unwrap()), Ok(list.clone()));
        let one = Hash32([1; 32]);
        assert!(!list.find(one, "system:erp").unwrap().may(Scope::Submit), "this certificate is named");
        assert!(list.find(Hash32([9; 32]), "system:erp").unwrap().may(Scope::Submit));
        assert_eq!(list.find(Hash32([9; 32]), "system:crm"), None);
        assert_eq!(AllowList::from_toml("").unwrap().find(one, "system:erp"), None);
    }

    #[test]
    fn wrong_lists_are_refused() {
        for (from, to) in [
            ("\"system:erp\"", "\"erp\""),
            ("\"system:erp\"", "\"robot:erp\""),
            ("[\"read\", \"submit\"]", "[]"),
            ("[\"read\", \"submit\"]", "[\"write\"]"),
            ("fingerprint =", "subject = \"system:x\"\nfingerprint ="),
            ("subject = \"system:erp\"", ""),
            ("scope = [\"read\"]", "scope = [\"read\"]\nother = 1"),
        ] {
            let text = LIST.replace(from, to);
            assert_ne!(text, LIST, "{from}");
            assert_eq!(AllowList::from_toml(&text).unwrap_err().code(), "certificate.allow_list", "{text}");
        }
        let twice = format!("{LIST}\n[[client]]\nsubject = \"system:erp\"\nscope = [\"read\"]\n");
        assert!(AllowList::from_toml(&twice).is_err());
    }
}
