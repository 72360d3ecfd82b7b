//! Chosen fields of a document version as an SD-JWT (RFC 9901), for verifiers that know nothing of the chain.
//!
//! The digest that `_sd` lists is the one under the chain's root: a field's disclosure goes over unchanged, and whoever has
//! a proof of it can compare both. Fields that were not chosen leave no trace in it.
//!
//! ```text
//! header  {"alg":"EdDSA","kid":KEY,"typ":"dc+sd-jwt"}
//! payload {"_sd":[digest …],"_sd_alg":"sha-256","cnf"?,"exp"?,"glc":{chain,document,issuer,root,version},"iat","iss","vct"}
//! text    header.payload.signature ~ disclosure ~ … ~ [key binding]
//! ```
//!
//! A field of rows shows the count and root of its rows; the rows themselves go with an evidence package.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vouch_types::{ChainId, DocumentRoot, PublicKey, SecretKey, Signature, document::DocumentId};

use crate::commitment::{Disclosed, Disclosure, DocumentHeader, SLOTS_MAX, sha256};

/// Longest SD-JWT with everything in it, in bytes.
pub const SD_JWT_BYTES_MAX: usize = 8 << 20;
/// How far the clock of who issues or presents may be ahead, in seconds.
const AHEAD_S: u64 = 300;
/// How long after it was made a presentation is taken, in seconds.
const PRESENTATION_S: u64 = 3_600;
/// Longest audience or nonce of a key binding, in bytes.
const BINDING_TEXT_BYTES_MAX: usize = 1_024;
const NO_KEY: &str = "the holder's key is not an Ed25519 key";

/// Why a text is no SD-JWT, or not one to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdJwtError {
    /// Not of the form, or longer than [`SD_JWT_BYTES_MAX`].
    #[error("not an SD-JWT: {0}")]
    Malformed(&'static str),
    /// Signed in another way than `EdDSA`, of another type, or with what must be understood and is not.
    #[error("the header does not say EdDSA and the type, or says that more must be understood")]
    Header,
    /// The signature is not the issuer's.
    #[error("the signature is not the issuer's")]
    Signature,
    /// A disclosure whose digest is not listed, or that is there twice.
    #[error("disclosure {0} is not one of those that were signed, or is there twice")]
    Disclosure(usize),
    /// The time is outside, or before it was issued.
    #[error("it is not in force at this time")]
    Time,
    /// A key binding is missing, or for another verifier or nonce, or not by the holder's key.
    #[error("key binding: {0}")]
    Binding(&'static str),
}

impl SdJwtError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "sd_jwt.malformed",
            Self::Header => "sd_jwt.header",
            Self::Signature => "sd_jwt.signature",
            Self::Disclosure(_) => "sd_jwt.disclosure",
            Self::Time => "sd_jwt.time",
            Self::Binding(_) => "sd_jwt.binding",
        }
    }
}

/// Where on the chain the fields stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The chain.
    pub chain: ChainId,
    /// The document.
    pub document: DocumentId,
    /// The member that issued the document.
    pub issuer: String,
    /// Root of the version's commitment.
    pub root: DocumentRoot,
    /// The version.
    pub version: u32,
}

/// What the issuer says beside the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The chain that holds the root.
    pub chain: ChainId,
    /// The member whose account signs.
    pub member: String,
    /// When it is issued, in seconds since 1970.
    pub issued_at: u64,
    /// When it ends to be in force, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// Whose key must bind each presentation; none lets whoever has the text present it.
    pub holder: Option<PublicKey>,
}

/// What is not known is refused, as RFC 7515 demands of what `crit` names.
#[derive(Serialize, Deserialize)]
struct JoseHeader {
    alg: String,
    #[serde(default, skip_serializing)]
    crit: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    typ: String,
}

#[derive(Serialize, Deserialize)]
struct Jwk {
    crv: String,
    kty: String,
    x: String,
}

#[derive(Serialize, Deserialize)]
struct Confirmation {
    jwk: Jwk,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    #[serde(rename = "_sd")]
    digests: Vec<String>,
    #[serde(rename = "_sd_alg")]
    algorithm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    glc: Anchor,
    iat: u64,
    iss: String,
    vct: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    aud: String,
    iat: u64,
    nonce: String,
    sd_hash: String,
}

/// An SD-JWT in its parts; nothing of it is believed before [`SdJwt::verify`].
#[derive(Clone, PartialEq, Eq)]
pub struct SdJwt {
    signed: String,
    disclosures: Vec<Disclosure>,
    binding: Option<String>,
}

impl core::fmt::Debug for SdJwt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SdJwt({} disclosures)", self.disclosures.len())
    }
}

/// What a verifier demands of a presentation that is bound to the holder's key.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// The verifier's name.
    pub audience: &'a str,
    /// What the verifier chose for this presentation.
    pub nonce: &'a str,
}

/// What an SD-JWT shows.
#[derive(Clone, PartialEq)]
pub struct VerifiedSdJwt {
    /// Where on the chain the fields stand, as the issuer says.
    pub anchor: Anchor,
    /// Who signed: `urn:vouch:member:NAME`.
    pub issuer: String,
    /// Its kind: `urn:vouch:schema:NAME:VERSION`.
    pub kind: String,
    /// When it was issued, in seconds since 1970.
    pub issued_at: u64,
    /// When it ends, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// The fields shown.
    pub fields: Vec<Disclosed>,
    /// Fields that the issuer signed and that are not shown.
    pub hidden: usize,
    /// The key that must sign each presentation, if the issuer named one.
    pub holder: Option<PublicKey>,
    /// Whether that key signed this presentation. It is for the verifier, and not an earlier one shown again, only if it was
    /// judged by a [`Demand`].
    pub is_bound: bool,
}

impl core::fmt::Debug for VerifiedSdJwt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "VerifiedSdJwt({} fields of {})", self.fields.len(), self.anchor.document)
    }
}

impl SdJwt {
    /// Issues chosen fields of a version, all of them shown; the holder may leave some out later.
    #[must_use]
    pub fn issue(
        header: &DocumentHeader,
        root: DocumentRoot,
        disclosures: Vec<Disclosure>,
        terms: &Terms,
        signer: &SecretKey,
    ) -> Self {
        let digests: BTreeSet<[u8; 32]> = disclosures.iter().map(Disclosure::digest).collect();
        let payload = Payload {
            // In the order of the digests, which says nothing about slots.
            digests: digests.iter().map(|digest| BASE64_URL_SAFE_NO_PAD.encode(digest)).collect(),
            algorithm: "sha-256".into(),
            cnf: terms.holder.map(|key| Confirmation { jwk: jwk(&key) }),
            exp: terms.expires_at,
            glc: Anchor {
                chain: terms.chain,
                document: header.document,
                issuer: header.issuer.clone(),
                root,
                version: header.version,
            },
            iat: terms.issued_at,
            iss: format!("urn:vouch:member:{}", terms.member),
            vct: format!("urn:vouch:schema:{}:{}", header.schema, header.schema_version),
        };
        Self { signed: sign("dc+sd-jwt", &payload, signer), disclosures, binding: None }
    }

    /// The same with only some of the fields shown.
    #[must_use]
    pub fn showing(&self, is_shown: impl Fn(&str) -> bool) -> Self {
        let shown =
            self.disclosures.iter().filter(|disclosure| disclosure.parse().is_ok_and(|said| is_shown(&said.name)));
        Self { signed: self.signed.clone(), disclosures: shown.cloned().collect(), binding: None }
    }

    /// Bound to a verifier and its nonce by the holder's key, at a time in seconds since 1970.
    #[must_use]
    pub fn bound(mut self, demand: Demand<'_>, issued_at: u64, holder: &SecretKey) -> Self {
        self.binding = None;
        let binding = Binding {
            aud: demand.audience.to_owned(),
            iat: issued_at,
            nonce: demand.nonce.to_owned(),
            sd_hash: BASE64_URL_SAFE_NO_PAD.encode(sha256(&[self.to_text().as_bytes()])),
        };
        self.binding = Some(sign("kb+jwt", &binding, holder));
        self
    }

    /// The text: what is sent, or put into a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.signed.clone();
        for disclosure in &self.disclosures {
            text.push('~');
            text.push_str(disclosure.as_str());
        }
        text.push('~');
        text.push_str(self.binding.as_deref().unwrap_or_default());
        text
    }

    /// Takes a text apart.
    ///
    /// # Errors
    /// [`SdJwtError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, SdJwtError> {
        if text.len() > SD_JWT_BYTES_MAX {
            return Err(SdJwtError::Malformed("too long"));
        }
        let mut parts = text.split('~');
        let signed = parts.next().unwrap_or_default().to_owned();
        let mut rest: Vec<&str> = parts.collect();
        let binding = rest.pop().ok_or(SdJwtError::Malformed("no ~ after the signature"))?;
        if rest.len() > SLOTS_MAX {
            return Err(SdJwtError::Malformed("too many disclosures"));
        }
        let disclosures = rest.into_iter().map(|part| Disclosure::from_text(part.to_owned())).collect::<Result<_, _>>();
        let disclosures = disclosures.map_err(|_| SdJwtError::Malformed("a disclosure is too long"))?;
        Ok(Self { signed, disclosures, binding: (!binding.is_empty()).then(|| binding.to_owned()) })
    }

    /// What the issuer signed, before it is checked: for choosing the key to check it with.
    ///
    /// # Errors
    /// [`SdJwtError::Malformed`].
    pub fn claimed_key(&self) -> Result<Option<PublicKey>, SdJwtError> {
        let header: JoseHeader = part(&self.signed, 0)?;
        Ok(header.kid.and_then(|kid| kid.parse().ok()))
    }

    /// Checks signature, disclosures and time (in seconds since 1970; not checked when `None`); with a demand, the key
    /// binding too. An SD-JWT that names a holder's key is not accepted without its binding when there is a demand.
    ///
    /// # Errors
    /// [`SdJwtError`], the first fault found.
    pub fn verify(
        &self,
        issuer: &PublicKey,
        now: Option<u64>,
        demand: Option<Demand<'_>>,
    ) -> Result<VerifiedSdJwt, SdJwtError> {
        let payload: Payload = verified(&self.signed, "dc+sd-jwt", issuer, SdJwtError::Signature)?;
        if payload.algorithm != "sha-256" {
            return Err(SdJwtError::Malformed("another hash function"));
        }
        let is_over = |now: u64| payload.exp.is_some_and(|end| end <= now);
        if now.is_some_and(|now| is_over(now) || payload.iat > now.saturating_add(AHEAD_S)) {
            return Err(SdJwtError::Time);
        }
        let mut open: BTreeSet<&str> = payload.digests.iter().map(String::as_str).collect();
        if open.len() != payload.digests.len() {
            return Err(SdJwtError::Malformed("a digest is listed twice"));
        }
        let mut fields: Vec<Disclosed> = Vec::with_capacity(self.disclosures.len());
        for (at, disclosure) in self.disclosures.iter().enumerate() {
            let said = disclosure.parse().map_err(|_| SdJwtError::Disclosure(at))?;
            // With a name twice in it two readers see two values.
            let is_new = disclosure.is_canonical() && fields.iter().all(|before| before.name != said.name);
            if !open.remove(BASE64_URL_SAFE_NO_PAD.encode(disclosure.digest()).as_str()) || !is_new {
                return Err(SdJwtError::Disclosure(at));
            }
            fields.push(said);
        }
        let holder = payload.cnf.as_ref().map(|cnf| cnf.jwk.key().ok_or(SdJwtError::Binding(NO_KEY))).transpose()?;
        let is_bound = self.check_binding(holder, now, demand)?;
        Ok(VerifiedSdJwt {
            anchor: payload.glc,
            issuer: payload.iss,
            kind: payload.vct,
            issued_at: payload.iat,
            expires_at: payload.exp,
            hidden: open.len(),
            fields,
            holder,
            is_bound,
        })
    }

    fn check_binding(
        &self,
        holder: Option<PublicKey>,
        now: Option<u64>,
        demand: Option<Demand<'_>>,
    ) -> Result<bool, SdJwtError> {
        let (Some(binding), Some(key)) = (&self.binding, holder) else {
            let is_missing = self.binding.is_some() || demand.is_some();
            return if is_missing { Err(SdJwtError::Binding("missing, or no holder is named")) } else { Ok(false) };
        };
        let said: Binding = verified(binding, "kb+jwt", &key, SdJwtError::Binding("not by the holder's key"))?;
        if said.aud.len() > BINDING_TEXT_BYTES_MAX || said.nonce.len() > BINDING_TEXT_BYTES_MAX {
            return Err(SdJwtError::Binding("too long"));
        }
        let unbound = Self { binding: None, ..self.clone() }.to_text();
        if said.sd_hash != BASE64_URL_SAFE_NO_PAD.encode(sha256(&[unbound.as_bytes()])) {
            return Err(SdJwtError::Binding("for other disclosures"));
        }
        if now.is_some_and(|now| said.iat > now.saturating_add(AHEAD_S)) {
            return Err(SdJwtError::Binding("made in the future"));
        }
        match demand {
            // Shown to somebody else it is judged at any time; to whom it is for, only for a while.
            Some(_) if now.is_some_and(|now| said.iat.saturating_add(PRESENTATION_S) < now) => {
                Err(SdJwtError::Binding("made too long ago"))
            }
            Some(demand) if said.aud != demand.audience => Err(SdJwtError::Binding("for another verifier")),
            Some(demand) if said.nonce != demand.nonce => Err(SdJwtError::Binding("for another nonce")),
            _ => Ok(true),
        }
    }
}

fn jwk(key: &PublicKey) -> Jwk {
    Jwk { crv: "Ed25519".into(), kty: "OKP".into(), x: BASE64_URL_SAFE_NO_PAD.encode(key.bytes) }
}

impl Jwk {
    fn key(&self) -> Option<PublicKey> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&self.x).ok()?.try_into().ok()?;
        (self.crv == "Ed25519" && self.kty == "OKP").then(|| PublicKey::ed25519(bytes))
    }
}

/// JWS compact: base64url of header, payload and signature.
fn sign(kind: &str, payload: &impl Serialize, signer: &SecretKey) -> String {
    let kid = (kind == "dc+sd-jwt").then(|| signer.public().to_string());
    let header = JoseHeader { alg: "EdDSA".into(), crit: None, kid, typ: kind.into() };
    let mut text = format!("{}.{}", encoded(&header), encoded(payload));
    let signature = signer.sign(text.as_bytes());
    text.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature.0, &mut text);
    text
}

fn encoded(value: &impl Serialize) -> String {
    let json = serde_json_canonicalizer::to_vec(value).expect("texts and whole numbers have a canonical form");
    BASE64_URL_SAFE_NO_PAD.encode(json)
}

fn part<T: for<'de> Deserialize<'de>>(jws: &str, index: usize) -> Result<T, SdJwtError> {
    let text = jws.split('.').nth(index).ok_or(SdJwtError::Malformed("no JWS"))?;
    let json = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| SdJwtError::Malformed("not base64url"))?;
    serde_json::from_slice(&json).map_err(|_| SdJwtError::Malformed("not the JSON of it"))
}

fn verified<T: for<'de> Deserialize<'de>>(
    jws: &str,
    kind: &str,
    key: &PublicKey,
    refusal: SdJwtError,
) -> Result<T, SdJwtError> {
    let (message, signature) = jws.rsplit_once('.').ok_or(SdJwtError::Malformed("no JWS"))?;
    if message.split('.').count() != 2 {
        return Err(SdJwtError::Malformed("no JWS"));
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    let signature = Signature(bytes.ok_or(SdJwtError::Malformed("no signature"))?);
    // The header is signed too: it is looked at after the signature, which is over a key that the caller chose.
    key.verify(message.as_bytes(), &signature).map_err(|_| refusal)?;
    let header: JoseHeader = part(jws, 0)?;
    if header.alg != "EdDSA" || header.typ != kind || header.crit.is_some() {
        return Err(SdJwtError::Header);
    }
    part(jws, 1)
}

/// The fields of an SD-JWT as one JSON object.
#[must_use]
pub fn fields_json(fields: &[Disclosed]) -> Value {
    Value::Object(fields.iter().map(|said| (said.name.clone(), said.value.clone())).collect())
}
