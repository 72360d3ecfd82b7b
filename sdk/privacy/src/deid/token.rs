//! Pseudonyms and encryption of single values: keyed tokens, a vault of random tokens, deterministic encryption.

use std::collections::BTreeMap;

use aes_siv::{KeyInit as _, siv::Aes256Siv};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize, Zeroizing};

use super::{DeidError, DeidKey};

/// Domain tag of keyed tokens.
const TOKEN_TAG: &str = "GLC1.tok";
/// What a token begins with; no rule takes it for anything.
const TOKEN_PREFIX: &str = "tok_";
/// What a token of a vault begins with.
const VAULT_PREFIX: &str = "vlt_";
/// What a ciphertext begins with.
const SEALED_PREFIX: &str = "siv_";

/// RFC 4648 base 32 in lower case, without padding.
fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(DIGITS[(bits >> held) as usize & 31]));
        }
    }
    if held > 0 {
        text.push(char::from(DIGITS[(bits << (5 - held)) as usize & 31]));
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0_u32, 0);
    for c in text.bytes() {
        let digit = match c {
            b'a'..=b'z' => c - b'a',
            b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(digit);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    // Bits that are left over must be zero, or two texts would stand for the same bytes.
    (held < 5 && bits & ((1 << held) - 1) == 0).then_some(bytes)
}

fn normal(value: &str) -> Zeroizing<String> {
    Zeroizing::new(value.trim().nfkc().collect())
}

/// The first 128 bits of HMAC-SHA256 over kind and value, the value in NFKC. The same value of the same kind gives the same
/// token under one key; without the key a token cannot be tried out.
#[must_use]
pub fn keyed_token(key: &DeidKey, kind: &str, value: &str) -> String {
    let mac = Zeroizing::new(key.derive(TOKEN_TAG, &[kind.as_bytes(), normal(value).as_bytes()]));
    format!("{TOKEN_PREFIX}{}", base32(&mac[..16]))
}

fn siv(key: &DeidKey, kind: &str) -> Aes256Siv {
    let mut long = Zeroizing::new([0; 64]);
    for (half, part) in long.chunks_exact_mut(32).zip([&b"mac"[..], b"ctr"]) {
        let mut derived = key.derive("GLC1.siv", &[kind.as_bytes(), part]);
        half.copy_from_slice(&derived);
        derived.zeroize();
    }
    Aes256Siv::new_from_slice(&*long).expect("AES-256-SIV takes 64 bytes")
}

/// AES-256-SIV without a nonce (RFC 5297): equal values of a kind give equal ciphertexts, and nothing else shows.
///
/// # Errors
/// When the value is longer than the cipher takes, which is far beyond any value.
pub fn encrypt(key: &DeidKey, kind: &str, value: &str) -> Result<String, DeidError> {
    let sealed = siv(key, kind).encrypt([kind.as_bytes()], value.as_bytes());
    let sealed = sealed.map_err(|_| DeidError::Restore("the value is too long"))?;
    Ok(format!("{SEALED_PREFIX}{}", base32(&sealed)))
}

/// The value of [`encrypt`].
///
/// # Errors
/// When the text is none of its results under this key and kind.
pub fn decrypt(key: &DeidKey, kind: &str, text: &str) -> Result<Zeroizing<String>, DeidError> {
    let sealed =
        text.strip_prefix(SEALED_PREFIX).and_then(from_base32).ok_or(DeidError::Restore("not a ciphertext"))?;
    let opened = siv(key, kind).decrypt([kind.as_bytes()], &sealed);
    let opened = opened.map_err(|_| DeidError::Restore("another key or kind, or a changed ciphertext"))?;
    String::from_utf8(opened).map(Zeroizing::new).map_err(|_| DeidError::Restore("not text"))
}

/// Random tokens and the values they stand for, each value encrypted. Who deletes an entry makes its token meaningless
/// for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenVault {
    /// Token to ciphertext.
    entries: BTreeMap<String, String>,
    /// Keyed token of the value to the vault's token, so that a value keeps its token.
    tokens: BTreeMap<String, String>,
}

impl TokenVault {
    /// The token of a value; a new one where it has none.
    ///
    /// # Errors
    /// Those of [`encrypt`].
    pub fn token(
        &mut self,
        key: &DeidKey,
        kind: &str,
        value: &str,
        entropy: &mut dyn FnMut(&mut [u8]),
    ) -> Result<String, DeidError> {
        let index = keyed_token(key, &format!("vault/{kind}"), value);
        if let Some(token) = self.tokens.get(&index) {
            return Ok(token.clone());
        }
        let mut bytes = [0; 16];
        entropy(&mut bytes);
        let token = format!("{VAULT_PREFIX}{}", base32(&bytes));
        self.entries.insert(token.clone(), encrypt(key, &format!("vault/{kind}"), value)?);
        self.tokens.insert(index, token.clone());
        Ok(token)
    }

    /// The value a token stands for.
    ///
    /// # Errors
    /// When there is no such token, or the key is another one.
    pub fn value(&self, key: &DeidKey, kind: &str, token: &str) -> Result<Zeroizing<String>, DeidError> {
        let sealed = self.entries.get(token).ok_or(DeidError::Restore("no such token"))?;
        decrypt(key, &format!("vault/{kind}"), sealed)
    }

    /// Forgets what a token stood for. Whether there was such a token.
    pub fn erase(&mut self, token: &str) -> bool {
        self.tokens.retain(|_, kept| kept != token);
        self.entries.remove(token).is_some()
    }

    /// How many values have a token.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no value has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deid::tests::entropy;
    use proptest::prelude::*;

    const KEY: DeidKey = DeidKey::new([9; 32]);

    #[test]
    fn base32_is_that_of_the_rfc() {
        for (plain, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(base32(plain.as_bytes()), text);
            assert_eq!(from_base32(text).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(from_base32("mz"), Some(vec![102]).filter(|_| false), "left-over bits");
    }

    #[test]
    fn a_token_is_the_same_for_one_key_kind_and_value() {
        let token = keyed_token(&KEY, "mobile", "13812345678");
        assert_eq!(token.len(), 4 + 26);
        assert_eq!(token, keyed_token(&KEY, "mobile", " １３８12345678"), "NFKC");
        assert_ne!(token, keyed_token(&KEY, "phone", "13812345678"));
        assert_ne!(token, keyed_token(&DeidKey::new([8; 32]), "mobile", "13812345678"));
    }

    #[test]
    fn deterministic_encryption_is_aes_siv() {
        let one = encrypt(&KEY, "id", "11010519491231002X").unwrap();
        assert_eq!(one, encrypt(&KEY, "id", "11010519491231002X").unwrap());
        assert_eq!(decrypt(&KEY, "id", &one).unwrap().as_str(), "11010519491231002X");
        assert!(decrypt(&KEY, "other", &one).is_err() && decrypt(&DeidKey::new([1; 32]), "id", &one).is_err());
        let changed = format!("{}{}", &one[..one.len() - 2], "aa");
        assert!(changed == one || decrypt(&KEY, "id", &changed).is_err());
    }

    #[test]
    fn a_vault_keeps_and_forgets() {
        let (mut vault, mut entropy) = (TokenVault::default(), entropy(2));
        let token = vault.token(&KEY, "name", "张三丰", &mut entropy).unwrap();
        assert_eq!(token, vault.token(&KEY, "name", "张三丰", &mut entropy).unwrap());
        assert_ne!(token, vault.token(&KEY, "name", "李四", &mut entropy).unwrap());
        assert_eq!(vault.value(&KEY, "name", &token).unwrap().as_str(), "张三丰");
        let written = serde_json::to_string(&vault).unwrap();
        assert!(!written.contains("张三丰"));
        assert!(vault.erase(&token) && !vault.erase(&token));
        assert!(vault.value(&KEY, "name", &token).is_err());
        assert_ne!(
            token,
            vault.token(&KEY, "name", "张三丰", &mut entropy).unwrap(),
            "a new one, that leads nowhere else"
        );
        assert_eq!(vault.len(), 2);
    }

    proptest! {
        #[test]
        fn what_is_encrypted_comes_back(value in "\\PC{0,64}", kind in "[a-z]{1,8}") {
            let sealed = encrypt(&KEY, &kind, &value).unwrap();
            prop_assert!(value.is_empty() || !sealed.contains(&value) || value.len() < 4);
            let opened = decrypt(&KEY, &kind, &sealed).unwrap();
            prop_assert_eq!(opened.as_str(), value.as_str());
        }
    }
}
