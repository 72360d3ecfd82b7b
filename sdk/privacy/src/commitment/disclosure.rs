//! One salted value: the disclosure of RFC 9901, kept and hashed as it was first written.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{CommitmentError, tree::sha256};

/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;
/// Longest disclosure, in characters: about 48 KiB of JSON.
pub const DISCLOSURE_BYTES_MAX: usize = 64 << 10;

/// The 16 random bytes of one slot or row.
pub type Salt = [u8; SALT_BYTES];

/// The secret of a document version from which its salts come. It never leaves the issuer; with it gone, what the chain
/// holds says nothing any more about values that can be guessed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DocumentSecret([u8; 32]);

impl DocumentSecret {
    /// From 32 bytes of good randomness.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for sealing only.
    #[must_use]
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Salt of a slot: the first 16 bytes of HMAC-SHA-256 over `"GLC1.salt" ‖ u16be(slot)`.
    #[must_use]
    pub fn slot_salt(&self, slot: u16) -> Salt {
        self.salt(&[b"GLC1.salt", &slot.to_be_bytes()])
    }

    /// Salt of a row: the same over `"GLC1.rowsalt" ‖ u16be(slot) ‖ u32be(row)`.
    #[must_use]
    pub fn row_salt(&self, slot: u16, row: u32) -> Salt {
        self.salt(&[b"GLC1.rowsalt", &slot.to_be_bytes(), &row.to_be_bytes()])
    }

    fn salt(&self, parts: &[&[u8]]) -> Salt {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        parts.iter().for_each(|part| mac.update(part));
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&bytes[..SALT_BYTES]);
        salt
    }
}

impl core::fmt::Debug for DocumentSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("DocumentSecret(<redacted>)")
    }
}

/// A salted value as text: `BASE64URL(JSON [salt, name, value])` for a slot, `BASE64URL(JSON [salt, value])` for a row.
///
/// It is the plain value; erased from memory when dropped, shows nothing in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure(Zeroizing<String>);

/// What a disclosure of a slot says.
#[derive(Clone, PartialEq)]
pub struct Disclosed {
    /// Its salt.
    pub salt: Salt,
    /// The field's name.
    pub name: String,
    /// The value; `null` for an absent one.
    pub value: Value,
}

impl core::fmt::Debug for Disclosed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Disclosed({}: <redacted>)", self.name)
    }
}

impl Disclosure {
    /// Of a slot.
    ///
    /// # Errors
    /// [`CommitmentError::DisclosureSize`].
    pub fn of_field(salt: &Salt, name: &str, value: &Value) -> Result<Self, CommitmentError> {
        Self::of(&Value::Array(vec![encoded(salt), name.into(), value.clone()]))
    }

    /// Of a row.
    ///
    /// # Errors
    /// [`CommitmentError::DisclosureSize`].
    pub fn of_row(salt: &Salt, value: &Value) -> Result<Self, CommitmentError> {
        Self::of(&Value::Array(vec![encoded(salt), value.clone()]))
    }

    fn of(array: &Value) -> Result<Self, CommitmentError> {
        Self::from_text(BASE64_URL_SAFE_NO_PAD.encode(&*canonical(array)))
    }

    /// A text that came from elsewhere; what it says is looked at later.
    ///
    /// # Errors
    /// [`CommitmentError::DisclosureSize`] above [`DISCLOSURE_BYTES_MAX`].
    pub fn from_text(text: String) -> Result<Self, CommitmentError> {
        let text = Zeroizing::new(text);
        if text.len() > DISCLOSURE_BYTES_MAX {
            return Err(CommitmentError::DisclosureSize(text.len()));
        }
        Ok(Self(text))
    }

    /// The text, as it is hashed and as an SD-JWT carries it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the text: the digest that an SD-JWT lists.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[self.0.as_bytes()])
    }

    /// Leaf of a slot: `SHA-256(0x00 ‖ "GLC1.leaf" ‖ u16be(slot) ‖ digest)`.
    #[must_use]
    pub fn leaf(&self, slot: u16) -> [u8; 32] {
        sha256(&[&[0], b"GLC1.leaf", &slot.to_be_bytes(), &self.digest()])
    }

    /// Leaf of a row: `SHA-256(0x00 ‖ "GLC1.row" ‖ u16be(slot) ‖ u32be(row) ‖ digest)`.
    #[must_use]
    pub fn row_leaf(&self, slot: u16, row: u32) -> [u8; 32] {
        sha256(&[&[0], b"GLC1.row", &slot.to_be_bytes(), &row.to_be_bytes(), &self.digest()])
    }

    /// What it says, as the disclosure of a slot. Spelling is not judged here, see [`Disclosure::is_canonical`].
    ///
    /// # Errors
    /// [`CommitmentError::Disclosure`] or [`CommitmentError::SaltLength`].
    pub fn parse(&self) -> Result<Disclosed, CommitmentError> {
        match <[Value; 3]>::try_from(self.array()?) {
            Ok([salt, Value::String(name), value]) => Ok(Disclosed { salt: decoded(&salt)?, name, value }),
            _ => Err(CommitmentError::Disclosure("not [salt, name, value]")),
        }
    }

    /// What it says, as the disclosure of a row.
    ///
    /// # Errors
    /// [`CommitmentError::Disclosure`] or [`CommitmentError::SaltLength`].
    pub fn parse_row(&self) -> Result<(Salt, Value), CommitmentError> {
        match <[Value; 2]>::try_from(self.array()?) {
            Ok([salt, value]) => Ok((decoded(&salt)?, value)),
            _ => Err(CommitmentError::Disclosure("not [salt, value]")),
        }
    }

    /// Whether its JSON is the canonical one of RFC 8785, so that no two readers can see two values in it.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        let Ok(json) = self.json() else { return false };
        serde_json::from_slice::<Value>(&json).is_ok_and(|value| canonical(&value) == json)
    }

    fn json(&self) -> Result<Zeroizing<Vec<u8>>, CommitmentError> {
        BASE64_URL_SAFE_NO_PAD
            .decode(self.0.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| CommitmentError::Disclosure("not base64url without padding"))
    }

    fn array(&self) -> Result<Vec<Value>, CommitmentError> {
        serde_json::from_slice(&self.json()?).map_err(|_| CommitmentError::Disclosure("not a JSON array"))
    }
}

impl core::fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Disclosure(<redacted>)")
    }
}

impl Serialize for Disclosure {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Disclosure {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_text(String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

fn encoded(salt: &Salt) -> Value {
    BASE64_URL_SAFE_NO_PAD.encode(salt).into()
}

fn decoded(salt: &Value) -> Result<Salt, CommitmentError> {
    let text = salt.as_str().ok_or(CommitmentError::Disclosure("the salt is not a text"))?;
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| CommitmentError::Disclosure("the salt is not base64url without padding"))?;
    let actual = bytes.len();
    bytes.try_into().map_err(|_| CommitmentError::SaltLength(actual))
}

/// The form of RFC 8785.
fn canonical(value: &Value) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json_canonicalizer::to_vec(value).expect("a JSON value has a canonical form"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_disclosure_says_what_went_into_it() {
        let made = Disclosure::of_field(&[7; 16], "payer", &json!("云测账户")).unwrap();
        let said = made.parse().unwrap();
        assert_eq!((said.salt, said.name.as_str(), &said.value), ([7; 16], "payer", &json!("云测账户")));
        assert!(made.is_canonical());
        assert_eq!(format!("{made:?} {said:?}"), "Disclosure(<redacted>) Disclosed(payer: <redacted>)");
        assert!(made.parse_row().is_err());
    }

    #[test]
    fn another_spelling_is_another_text_and_not_canonical() {
        for json in [
            r#"["BwcHBwcHBwcHBwcHBwcHBw", "a",1]"#,
            r#"["BwcHBwcHBwcHBwcHBwcHBw","a",{"b":1,"b":2}]"#,
            r#"["BwcHBwcHBwcHBwcHBwcHBw","a",{"c":1,"b":2}]"#,
            r#"["BwcHBwcHBwcHBwcHBwcHBw","a",1.0]"#,
        ] {
            let text = Disclosure::from_text(BASE64_URL_SAFE_NO_PAD.encode(json)).unwrap();
            assert!(text.parse().is_ok() && !text.is_canonical(), "{json}");
        }
    }

    #[test]
    fn what_is_no_disclosure_is_refused() {
        let code = |json: &str| {
            Disclosure::from_text(BASE64_URL_SAFE_NO_PAD.encode(json)).unwrap().parse().unwrap_err().code()
        };
        assert_eq!(code("{}"), "commitment.disclosure");
        assert_eq!(code(r#"["BwcHBwcHBwcHBwcHBwcHBw","a"]"#), "commitment.disclosure");
        assert_eq!(code(r#"["BwcHBwcHBwcHBwcHBwcHBw",1,2]"#), "commitment.disclosure");
        assert_eq!(code(r#"["BwcH","a",2]"#), "commitment.salt_length");
        assert_eq!(Disclosure::from_text("=!".into()).unwrap().parse().unwrap_err().code(), "commitment.disclosure");
        let long = Disclosure::of_field(&[0; 16], "a", &"x".repeat(DISCLOSURE_BYTES_MAX).into());
        assert_eq!(long.unwrap_err().code(), "commitment.disclosure_size");
    }

    #[test]
    fn salts_differ_by_slot_row_and_secret() {
        let secret = DocumentSecret::from_bytes([3; 32]);
        let salts = [
            secret.slot_salt(0),
            secret.slot_salt(1),
            secret.row_salt(0, 0),
            secret.row_salt(0, 1),
            DocumentSecret::from_bytes([4; 32]).slot_salt(0),
        ];
        for (i, salt) in salts.iter().enumerate() {
            assert!(salts.iter().skip(i + 1).all(|other| other != salt), "{i}");
        }
    }
}
