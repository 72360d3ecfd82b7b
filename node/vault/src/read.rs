//! Reading: the chain says what may be shown, the copy is checked against the root once more, and who read what is durable
//! before a value leaves.

use vouch_privacy::Disclosure;
use vouch_types::{
    AccountId, Hash32,
    document::{Action, reason},
};

use crate::{
    audit::{Access, AuditRecord},
    chain::{Facts, Question, fields_of},
    copy,
    vault::{Vault, VaultError},
    words::{FieldSet, Now, VersionKey},
};

/// A wish to see fields of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    /// The account that asks; the caller has checked that it is.
    pub actor: AccountId,
    /// Which version.
    pub key: VersionKey,
    /// Which fields; `None` for all that may be seen. If one of them may not be seen, nothing is shown.
    pub fields: Option<FieldSet>,
    /// Why: a code the contract knows.
    pub purpose: String,
    /// What becomes of it.
    pub access: Access,
}

/// Fields that may be shown, each with what proves it under the root on the chain.
#[derive(Debug)]
pub struct ReadAnswer {
    /// The version.
    pub key: VersionKey,
    /// Its header.
    pub header: vouch_privacy::DocumentHeader,
    /// The leaves of all slots: with a disclosure they give its proof.
    pub leaves: Vec<[u8; 32]>,
    /// The fields, ascending by slot.
    pub disclosures: Vec<(u16, Disclosure)>,
    /// Rows of the slots that have some.
    pub rows: Vec<(u16, vouch_privacy::commitment::Rows)>,
    /// Why it may be seen, as the contract says.
    pub reason: String,
}

/// Why nothing is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadRefusal {
    /// The chain does not know the version.
    #[error("the chain knows no such document")]
    Unknown,
    /// The contract says no; its reason.
    #[error("not allowed: {0}")]
    NotAllowed(String),
    /// It may be seen, but is not here: not delivered yet, lost, or not this member's to hold. It is being fetched.
    #[error("these fields are not at this node")]
    NotHere,
    /// It was erased.
    #[error("the document was erased")]
    Erased,
    /// The field names no such file.
    #[error("the field names no such file")]
    NoFile,
    /// The key to which a file's key is to be wrapped is none.
    #[error("the recipient is no X25519 public key that can be used")]
    Recipient,
    /// The opening is over, or another account's.
    #[error("no opening of this file by this account is known, or its time is over")]
    OpeningUnknown,
}

impl ReadRefusal {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "vault.unknown_document",
            Self::NotAllowed(_) => "vault.not_allowed",
            Self::NotHere => "vault.not_here",
            Self::Erased => "vault.erased",
            Self::NoFile => "vault.no_file",
            Self::Recipient => "request.malformed",
            Self::OpeningUnknown => "vault.opening_unknown",
        }
    }
}

impl Vault {
    /// Shows fields of a version to an account, or says why not; both stand in the read audit, durably, when it returns.
    ///
    /// # Errors
    /// [`VaultError`]: the node must stop, and nothing was shown.
    pub fn read(&mut self, now: Now, request: &ReadRequest) -> Result<Result<ReadAnswer, ReadRefusal>, VaultError> {
        self.now = now;
        let outcome = self.look_up(request)?;
        let fields = |answer: &ReadAnswer| answer.disclosures.iter().map(|(slot, _)| *slot).collect();
        self.record_read(request, outcome.as_ref().map(fields))?;
        Ok(outcome)
    }

    /// Counts a reading and has it, with the fields that were shown or the refusal, durably in the read audit.
    pub(crate) fn record_read(
        &mut self,
        request: &ReadRequest,
        shown: Result<FieldSet, &ReadRefusal>,
    ) -> Result<(), VaultError> {
        self.counters.reads += 1;
        self.counters.reads_refused += u64::from(shown.is_err());
        let (fields, result) = match shown {
            Ok(fields) => (fields, "ok".to_owned()),
            Err(ReadRefusal::NotAllowed(reason)) => (FieldSet::new(), reason.clone()),
            Err(refusal) => (FieldSet::new(), refusal.code().to_owned()),
        };
        self.record(AuditRecord {
            number: 0,
            time: self.now.wall,
            actor: request.actor,
            access: request.access,
            key: request.key,
            fields,
            purpose: request.purpose.clone(),
            result,
            previous: Hash32::ZERO,
        })?;
        self.sync()
    }

    pub(crate) fn look_up(&mut self, request: &ReadRequest) -> Result<Result<ReadAnswer, ReadRefusal>, VaultError> {
        let key = &request.key;
        if self.is_erased(&key.id)? {
            return Ok(Err(ReadRefusal::Erased));
        }
        let Some(facts) = self.chain.document(key)? else { return Ok(Err(ReadRefusal::Unknown)) };
        if facts.is_to_be_shredded() {
            return Ok(Err(ReadRefusal::Erased));
        }
        let question =
            Question { actor: request.actor, action: Action::Read, key: *key, purpose: request.purpose.clone() };
        let decision = self.chain.may(&question)?;
        if !decision.allowed || decision.fields.is_empty() {
            return Ok(Err(ReadRefusal::NotAllowed(decision.reason)));
        }
        // Who names fields is not shown some of them only: they would not know which are kept from them.
        let fields = request.fields.as_ref().unwrap_or(&decision.fields);
        if fields.is_empty() || !fields.is_subset(&decision.fields) {
            return Ok(Err(ReadRefusal::NotAllowed(reason::NOT_ENTITLED.into())));
        }
        self.show(key, &facts, fields, decision.reason)
    }

    fn show(
        &mut self,
        key: &VersionKey,
        facts: &Facts,
        fields: &FieldSet,
        reason: String,
    ) -> Result<Result<ReadAnswer, ReadRefusal>, VaultError> {
        let opened = self.open_copy(key)?.filter(|opened| opened.is_of(facts));
        let here = opened.as_ref().map(|opened| opened.held.fields.clone()).unwrap_or_default();
        let (Some(opened), true) = (opened, fields.is_subset(&here)) else {
            return self.fetch_now(key);
        };
        match copy::disclose(&opened.copy, &opened.keys, fields, facts) {
            Ok(shown) => Ok(Ok(ReadAnswer {
                key: *key,
                header: shown.header,
                leaves: shown.leaves,
                disclosures: shown.disclosures,
                rows: shown.rows,
                reason,
            })),
            Err(damage) => {
                // What lies here is not what the chain commits to: better nothing than something false.
                self.damaged(key, damage)?;
                self.fetch_now(key)
            }
        }
    }

    /// What may be seen and is not here is looked for at once, if this member is to hold it.
    fn fetch_now(&mut self, key: &VersionKey) -> Result<Result<ReadAnswer, ReadRefusal>, VaultError> {
        if !fields_of(&self.chain.audience(key)?, &self.member).is_empty() {
            self.want(key, 0)?;
        }
        Ok(Err(ReadRefusal::NotHere))
    }

    /// A sealed copy for a receiver outside the consortium that the audience names by its X25519 key; encoded as a
    /// delivery, readable by nobody else. It stands in the read audit.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn release(
        &mut self,
        now: Now,
        key: &VersionKey,
        recipient: &[u8; 32],
    ) -> Result<Result<Vec<u8>, ReadRefusal>, VaultError> {
        self.now = now;
        let outcome = self.release_to(key, recipient)?;
        let (fields, result) = match &outcome {
            Ok((_, fields)) => (fields.clone(), "ok".to_owned()),
            Err(refusal) => (FieldSet::new(), refusal.code().to_owned()),
        };
        self.record(AuditRecord {
            number: 0,
            time: now.wall,
            actor: AccountId::ZERO,
            access: Access::Release,
            key: *key,
            fields,
            purpose: "recipient".into(),
            result,
            previous: Hash32::ZERO,
        })?;
        self.sync()?;
        Ok(outcome.map(|(bytes, _)| bytes))
    }

    fn release_to(
        &mut self,
        key: &VersionKey,
        recipient: &[u8; 32],
    ) -> Result<Result<(Vec<u8>, FieldSet), ReadRefusal>, VaultError> {
        if self.is_erased(&key.id)? {
            return Ok(Err(ReadRefusal::Erased));
        }
        let Some(facts) = self.chain.document(key)? else { return Ok(Err(ReadRefusal::Unknown)) };
        if facts.is_to_be_shredded() {
            return Ok(Err(ReadRefusal::Erased));
        }
        let audience = self.chain.audience(key)?;
        let Some(entitled) = audience.keys.iter().find(|entitled| entitled.key.0 == *recipient) else {
            return Ok(Err(ReadRefusal::NotAllowed("not_entitled".into())));
        };
        let opened = self.open_copy(key)?.filter(|opened| opened.is_of(&facts));
        let Some(opened) = opened else { return Ok(Err(ReadRefusal::NotHere)) };
        let fields = entitled.fields.intersection(&opened.held.fields);
        if fields.is_empty() {
            return Ok(Err(ReadRefusal::NotHere));
        }
        let (chain, rng) = (&self.chain_id, &mut self.rng);
        let delivery = copy::deliver(chain, key, &opened.copy, &opened.keys, &fields, recipient, rng);
        Ok(delivery.map(|delivery| (delivery.to_bytes(), fields)).ok_or(ReadRefusal::NotHere))
    }
}
