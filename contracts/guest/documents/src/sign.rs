//! Signing by the parties, and the verdicts of those who have checked the private content.

use records::{Actor, LIST_MAX, Moment, Party, actor, is_word, key, named, tie};
use vouch_contract::{
    Bytes, Context, Hash, Key, Signature, String, Vec, decode, emit, encode, hash, load, record, scan, store, verify,
};

use crate::{
    DocumentsError,
    access::{Action, require},
    document::{Opened, SignatureEntry, VersionState, check_id, version_part},
    erasure::ErasureState,
    event::{Judged, Signed},
    standing,
};

/// Domain of the signature by which a person signs with their own key without sending a transaction.
pub const SIGNATURE_TAG: &str = "vouch/document-signature/1";

record! {
    /// What an entitled member found when it checked the private content.
    pub struct Verdict = ("Verdict", "核验结论") {
        /// The member.
        pub member: String = ("Member", "成员"),
        /// Whether it accepts.
        pub accepted: bool = ("Accepted", "接受"),
        /// Why: a code.
        pub code: String = ("Reason", "原因"),
        /// When.
        pub at: Moment = ("At", "时间"),
    }
}

record! {
    /// The signature that a person made with their own key and that another account brought. With the version's root and the
    /// person's keys in `relations` anyone checks it again.
    pub struct PersonSignature = ("Person's signature", "个人签名") {
        /// The key that it was made with.
        pub key: Key = ("Key", "密钥"),
        /// The signature.
        pub signature: Bytes = ("Signature", "签名"),
    }
}

fn person_signature_key(id: &Bytes, version: u32, subject: &Hash) -> Vec<u8> {
    key(b'p', &[&version_part(&id.0, version), subject.as_ref()])
}

fn verdict_prefix(id: &Bytes, version: u32) -> Vec<u8> {
    key(b'j', &[&version_part(&id.0, version)])
}

/// Whether a party has to sign.
fn has_to_sign(opened: &Opened, party: &Party) -> bool {
    opened.version.parties_where(&opened.rules, |rule| rule.signs).any(|(_, signing)| signing == party)
}

fn has_signed(opened: &Opened, party: &Party) -> bool {
    opened.version.signatures.iter().any(|signature| signature.party == *party)
}

/// Adds a party's signature; the last one that is needed lets the version take effect.
fn add(context: &Context, mut opened: Opened, party: Party, member: Option<String>) -> Result<(), DocumentsError> {
    if !has_to_sign(&opened, &party) {
        return Err(DocumentsError::NotASigner);
    }
    if has_signed(&opened, &party) {
        return Err(DocumentsError::SignedAlready);
    }
    emit(&Signed { id: opened.document.id.clone(), version: opened.version.version, party: party.clone() });
    let signature = SignatureEntry { party, account: context.caller, member, at: Moment::of(context) };
    opened.version.signatures.push(signature);
    let missing = opened
        .version
        .parties_where(&opened.rules, |rule| rule.signs)
        .any(|(_, signing)| !has_signed(&opened, signing));
    if !missing {
        opened.take_effect(context)?;
    }
    opened.save();
    Ok(())
}

pub(crate) fn sign(context: &Context, id: Bytes, version: u32) -> Result<(), DocumentsError> {
    let opened = Opened::load(&id, version)?;
    let asker = require(context, &opened, Action::Sign)?;
    let member = asker.party.member.clone();
    add(context, opened, asker.party, member)
}

/// What a person signs with their own key.
fn signed_bytes(opened: &Opened) -> Hash {
    let statement = (&opened.document.id, opened.version.version, opened.version.content.root);
    hash(SIGNATURE_TAG, &encode(&statement))
}

/// Brings a person's signature: made with their own key, or, for a person without one, given by a member that serves them.
pub(crate) fn sign_for(
    context: &Context,
    id: Bytes,
    version: u32,
    subject: Hash,
    signature: Option<Bytes>,
) -> Result<(), DocumentsError> {
    let opened = Opened::load(&id, version)?;
    if opened.version.state != VersionState::Pending {
        return Err(DocumentsError::WrongState);
    }
    if opened.document.erasure != ErasureState::None {
        return Err(DocumentsError::Erasure);
    }
    let caller = Actor::caller(context);
    let member = caller.member.clone().ok_or(DocumentsError::NotAMember)?;
    let party = Party::of_subject(subject);
    match (standing::own_key(subject)?, signature) {
        (Some(own), Some(signature)) => {
            let bytes = <[u8; 64]>::try_from(signature.0.as_slice()).map_err(|_| DocumentsError::BadSignature)?;
            if !verify(&own, signed_bytes(&opened).as_ref(), &Signature(bytes)) {
                return Err(DocumentsError::BadSignature);
            }
            store(&person_signature_key(&id, version, &subject), &PersonSignature { key: own, signature });
            add(context, opened, party, None)
        }
        (Some(_), None) => Err(DocumentsError::OwnKey),
        (None, Some(_)) => Err(DocumentsError::BadSignature),
        (None, None) => {
            let ties = standing::ties(&member, core::slice::from_ref(&party), &[])?;
            if ties.parties.first().is_none_or(|bits| bits & tie::SERVES == 0) {
                return Err(DocumentsError::NotEntitled);
            }
            if !caller.has(&[actor::APPROVER]) {
                return Err(DocumentsError::RoleMissing);
            }
            add(context, opened, party, Some(member))
        }
    }
}

pub(crate) fn judge(
    context: &Context,
    id: Bytes,
    version: u32,
    accepted: bool,
    code: String,
) -> Result<(), DocumentsError> {
    if !is_word(&code) {
        return Err(DocumentsError::BadCode);
    }
    let mut opened = Opened::load(&id, version)?;
    let asker = require(context, &opened, Action::Judge)?;
    // A party that has to sign refuses by rejecting; a node's own account only reports what it found.
    let refuses = !accepted
        && opened.version.state == VersionState::Pending
        && has_to_sign(&opened, &asker.party)
        && (asker.party.subject.is_some() || asker.actor.has(&[actor::APPROVER]));
    if let Some(member) = asker.party.member.clone() {
        let at = [verdict_prefix(&id, version), named(&member)].concat();
        match load::<Verdict>(&at) {
            Some(before) if before.accepted => opened.version.accepted -= 1,
            Some(_) => opened.version.rejected -= 1,
            None => {}
        }
        if accepted {
            opened.version.accepted += 1;
        } else {
            opened.version.rejected += 1;
        }
        let verdict = Verdict { member: member.clone(), accepted, code: code.clone(), at: Moment::of(context) };
        store(&at, &verdict);
        emit(&Judged { id: id.clone(), version, member, accepted, code: code.clone() });
    } else if !refuses {
        return Err(DocumentsError::NotASigner);
    }
    if refuses {
        opened.end(context, VersionState::Rejected, asker.party, &code);
    }
    opened.save();
    Ok(())
}

pub(crate) fn revoke(context: &Context, id: Bytes, code: String) -> Result<(), DocumentsError> {
    if !is_word(&code) {
        return Err(DocumentsError::BadCode);
    }
    check_id(&id)?;
    let document = crate::document::find(&id).ok_or(DocumentsError::UnknownDocument)?;
    // The version that stands, and one that waits beside it; the newest alone tells why it cannot be revoked.
    let standing_one = document.effective.filter(|number| *number != document.latest);
    let newest = Opened::load(&id, document.latest)?;
    if standing_one.is_none() || newest.version.state == VersionState::Pending {
        end_by_issuer(context, newest, &code)?;
    }
    match standing_one {
        Some(number) => end_by_issuer(context, Opened::load(&id, number)?, &code),
        None => Ok(()),
    }
}

fn end_by_issuer(context: &Context, mut opened: Opened, code: &str) -> Result<(), DocumentsError> {
    let asker = require(context, &opened, Action::Revoke)?;
    opened.end(context, VersionState::Revoked, asker.party, code);
    opened.save();
    Ok(())
}

pub(crate) fn person_signature(
    _: &Context,
    id: Bytes,
    version: u32,
    subject: Hash,
) -> Result<Option<PersonSignature>, DocumentsError> {
    check_id(&id)?;
    Ok(load(&person_signature_key(&id, version, &subject)))
}

pub(crate) fn verdicts(
    _: &Context,
    id: Bytes,
    version: u32,
    after: String,
    limit: u32,
) -> Result<Vec<Verdict>, DocumentsError> {
    check_id(&id)?;
    let prefix = verdict_prefix(&id, version);
    let after = if after.is_empty() { Vec::new() } else { [prefix.as_slice(), &named(&after)].concat() };
    let found = scan(&prefix, &after, limit.min(LIST_MAX));
    Ok(found.iter().filter_map(|(_, value)| decode(value).ok()).collect())
}
