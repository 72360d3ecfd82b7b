//! Rules of one's own: a rule file signed by an account that whoever loads it trusts.

use serde::{Deserialize, Serialize};
use vouch_types::{PublicKey, SecretKey, Signature, hash::domain_hash};

use super::{FILE_BYTES_MAX, RuleError, RuleFile};

/// Format of a signed file.
pub const FORMAT: &str = "vouch-signed-rules/1";

/// A signed rule file. The text is signed as it stands, so nothing depends on how JSON is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRules {
    /// [`FORMAT`].
    pub format: String,
    /// Who signed.
    pub signer: PublicKey,
    /// Over the domain hash `vouch/rules/1` of the text.
    pub signature: Signature,
    /// The rule file's text.
    pub rules: String,
}

/// A key whose signed rules are loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedSigner(pub PublicKey);

impl SignedRules {
    /// Signs a rule file. Whether its samples hold is found when it is loaded; sign only what an engine has taken.
    ///
    /// # Errors
    /// When the text is no rule file.
    pub fn sign(text: &str, key: &SecretKey) -> Result<Self, RuleError> {
        RuleFile::parse(text)?;
        let signature = key.sign(domain_hash("vouch/rules/1", &[text.as_bytes()]).as_bytes());
        Ok(Self { format: FORMAT.to_owned(), signer: key.public(), signature, rules: text.to_owned() })
    }

    /// Reads a signed file and the rules in it.
    ///
    /// # Errors
    /// When it is not of the format, its signer is not trusted, the signature does not hold, or the rules have no shape.
    pub fn open(text: &str, trusted: &[TrustedSigner]) -> Result<RuleFile, RuleError> {
        // Escapes double the text at most.
        if text.len() > 2 * FILE_BYTES_MAX + 1024 {
            return Err(RuleError::TooLarge { what: "bytes of a signed rule file".into(), max: FILE_BYTES_MAX });
        }
        let file: Self = serde_json::from_str(text).map_err(|error| RuleError::Format(error.to_string()))?;
        if file.format != FORMAT {
            return Err(RuleError::Format(format!("format is {:?}, not {FORMAT:?}", file.format)));
        }
        if !trusted.iter().any(|signer| signer.0 == file.signer) {
            return Err(RuleError::Signature("the signer is not trusted".into()));
        }
        let message = domain_hash("vouch/rules/1", &[file.rules.as_bytes()]);
        let verdict = file.signer.verify(message.as_bytes(), &file.signature);
        verdict.map_err(|error| RuleError::Signature(error.to_string()))?;
        RuleFile::parse(&file.rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::BUILTIN;

    #[test]
    fn only_what_a_trusted_key_signed_is_opened() {
        let (key, other) = (SecretKey::from_seed([7; 32]), SecretKey::from_seed([8; 32]));
        let signed = SignedRules::sign(BUILTIN, &key).unwrap();
        let text = serde_json::to_string(&signed).unwrap();
        let trusted = [TrustedSigner(key.public())];
        assert!(SignedRules::open(&text, &trusted).is_ok());
        let code = |text: &str, trusted: &[TrustedSigner]| SignedRules::open(text, trusted).unwrap_err().code();
        assert_eq!(code(&text, &[TrustedSigner(other.public())]), "rules.signature");
        let mut changed = signed;
        changed.rules = changed.rules.replacen("identity", "identitx", 1);
        assert_eq!(code(&serde_json::to_string(&changed).unwrap(), &trusted), "rules.signature");
        assert_eq!(code("{}", &trusted), "rules.format");
    }
}
