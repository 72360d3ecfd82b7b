//! Putting a document on chain, and a new version of it.

use records::{Actor, Moment, Party, Ties, actor, field_set, tie};
use vouch_contract::{Bytes, Context, Hash, String, Vec, emit, member as member_info};

use crate::{
    DocumentsError,
    document::{
        Document, NewVersion, Opened, PartyEntry, Version, VersionState, check_id, find, find_version, is_id_of,
    },
    erasure::ErasureState,
    event::Submitted,
    limits::{PARTIES_MAX, PUBLIC_BYTES_MAX, PUBLIC_MAX, RECIPIENTS_MAX, VERSIONS_MAX},
    list, reference,
    schema::{Rules, member_role},
    standing,
};

/// Parties stand in roles of the schema, as many as it asks for, each a member or person that may have the role.
fn check_parties(rules: &Rules, parties: &[PartyEntry]) -> Result<(), DocumentsError> {
    if parties.len() > PARTIES_MAX {
        return Err(DocumentsError::PartyCount);
    }
    for (at, entry) in parties.iter().enumerate() {
        let (_, rule) = rules.party(&entry.role).ok_or(DocumentsError::PartyRole)?;
        if parties[..at].contains(entry) {
            return Err(DocumentsError::PartyTwice);
        }
        let fits = entry.party.is_one()
            && match &entry.party.member {
                Some(name) => match member_info(name) {
                    Some(info) if info.active => rule.members & member_role::bit(&info.role) != 0,
                    _ => return Err(DocumentsError::UnknownParty),
                },
                None => rule.subject,
            };
        if !fits {
            return Err(DocumentsError::PartyKind);
        }
    }
    for rule in &rules.parties {
        let number = parties.iter().filter(|entry| entry.role == rule.role).count();
        if !(usize::from(rule.min)..=usize::from(rule.max)).contains(&number) {
            return Err(DocumentsError::PartyCount);
        }
    }
    Ok(())
}

/// Public fields are ones that the schema lets be public, in order.
fn check_public(rules: &Rules, content: &NewVersion) -> Result<(), DocumentsError> {
    let public = &content.public;
    let ordered = public.windows(2).all(|pair| pair[0].slot < pair[1].slot);
    let fits = |value: &String| (1..=PUBLIC_BYTES_MAX).contains(&value.len());
    if public.len() > PUBLIC_MAX || !ordered || !public.iter().all(|field| fits(&field.value)) {
        return Err(DocumentsError::BadPublic);
    }
    if public.iter().all(|field| rules.is_public(field.slot)) { Ok(()) } else { Err(DocumentsError::NotPublic) }
}

fn check_recipients(rules: &Rules, content: &NewVersion) -> Result<(), DocumentsError> {
    let recipients = &content.recipients;
    let ordered = recipients.windows(2).all(|pair| pair[0].key < pair[1].key);
    let fits = |fields: &Bytes| !fields.0.is_empty() && field_set::is_valid(&fields.0, rules.slots());
    let legal = recipients.len() <= RECIPIENTS_MAX && ordered && recipients.iter().all(|r| fits(&r.fields));
    if legal { Ok(()) } else { Err(DocumentsError::BadRecipients) }
}

/// Persons are registered and open, and the issuer has to do with each owner: it is the owner or serves it, or it is a
/// party itself. Else anyone could put documents about anyone on chain.
fn check_relation(issuer: &str, rules: &Rules, version: &[PartyEntry]) -> Result<(), DocumentsError> {
    let mut parties: Vec<Party> = Vec::new();
    for entry in version {
        if !parties.contains(&entry.party) {
            parties.push(entry.party.clone());
        }
    }
    let is_party = parties.iter().any(|party| party.is_member(issuer));
    let Ties { parties: bits, .. } = standing::ties(issuer, &parties, &[])?;
    for (party, bits) in parties.iter().zip(bits) {
        if party.subject.is_some() && bits & tie::OPEN == 0 {
            return Err(DocumentsError::UnknownParty);
        }
        let owns =
            |entry: &PartyEntry| entry.party == *party && rules.party(&entry.role).is_some_and(|(_, rule)| rule.owner);
        if version.iter().any(owns) && !is_party && bits & (tie::SERVES | tie::RECEIVES) == 0 {
            return Err(DocumentsError::IssuerUnrelated);
        }
    }
    Ok(())
}

fn check_content(issuer: &str, rules: &Rules, content: &NewVersion) -> Result<(), DocumentsError> {
    if !rules.open {
        return Err(DocumentsError::SchemaRetired);
    }
    check_parties(rules, &content.parties)?;
    check_public(rules, content)?;
    check_recipients(rules, content)?;
    check_relation(issuer, rules, &content.parties)
}

/// The caller's member, if the caller may submit for it.
fn submitter(context: &Context) -> Result<String, DocumentsError> {
    let actor = Actor::caller(context);
    let member = actor.member.clone().ok_or(DocumentsError::NotAMember)?;
    if actor.has(&[actor::SUBMITTER]) { Ok(member) } else { Err(DocumentsError::RoleMissing) }
}

fn draft(context: &Context, number: u32, content: NewVersion, previous_root: Option<Hash>) -> Version {
    Version {
        version: number,
        content,
        previous_root,
        submitted: Moment::of(context),
        submitter: context.caller,
        state: VersionState::Pending,
        effective: None,
        ending: None,
        signatures: Vec::new(),
        accepted: 0,
        rejected: 0,
    }
}

/// Checks references, puts the version into every list, lets it take effect if nobody has to sign, and stores it.
fn record(context: &Context, mut opened: Opened) -> Result<(), DocumentsError> {
    reference::check(&opened)?;
    reference::link(&opened);
    list::add_parties(&opened);
    let (document, version) = (&opened.document, &opened.version);
    emit(&Submitted {
        id: document.id.clone(),
        version: version.version,
        category: document.category,
        issuer: document.issuer.clone(),
        root: version.content.root,
    });
    if opened.version.parties_where(&opened.rules, |rule| rule.signs).next().is_none() {
        opened.take_effect(context)?;
    }
    opened.save();
    Ok(())
}

pub(crate) fn submit(context: &Context, id: Bytes, schema: String, content: NewVersion) -> Result<u64, DocumentsError> {
    let issuer = submitter(context)?;
    check_id(&id)?;
    if !is_id_of(&id, &issuer) {
        return Err(DocumentsError::ForeignId);
    }
    if find(&id).is_some() {
        return Err(DocumentsError::DocumentExists);
    }
    let rules = Rules::load(&schema, content.schema_version)?;
    check_content(&issuer, &rules, &content)?;
    let numbers = list::add(&id, rules.category, &issuer);
    let document = Document {
        id,
        sequence: numbers.all,
        category_sequence: numbers.category,
        issuer_sequence: numbers.issuer,
        category: rules.category,
        schema,
        issuer,
        created: Moment::of(context),
        latest: 1,
        effective: None,
        disputes: 0,
        holds: 0,
        correction: false,
        erasure: ErasureState::None,
    };
    let version = draft(context, 1, content, None);
    record(context, Opened { document, version, rules })?;
    Ok(numbers.all)
}

/// Owners with their roles, in an order that does not depend on how they were listed.
fn owners(rules: &Rules, parties: &[PartyEntry]) -> Vec<(String, Party)> {
    let owner = |entry: &&PartyEntry| rules.party(&entry.role).is_some_and(|(_, rule)| rule.owner);
    let mut owners: Vec<_> = parties.iter().filter(owner).map(|e| (e.role.clone(), e.party.clone())).collect();
    owners.sort_unstable();
    owners
}

pub(crate) fn revise(
    context: &Context,
    id: Bytes,
    previous_root: Hash,
    content: NewVersion,
) -> Result<u32, DocumentsError> {
    let issuer = submitter(context)?;
    check_id(&id)?;
    let mut document = find(&id).ok_or(DocumentsError::UnknownDocument)?;
    if document.issuer != issuer {
        return Err(DocumentsError::NotIssuer);
    }
    if document.erasure != ErasureState::None {
        return Err(DocumentsError::Erasure);
    }
    let before = find_version(&id, document.latest).ok_or(DocumentsError::UnknownVersion)?;
    match before.state {
        VersionState::Pending => return Err(DocumentsError::VersionPending),
        VersionState::Revoked | VersionState::Erased => return Err(DocumentsError::WrongState),
        _ => {}
    }
    if before.content.root != previous_root {
        return Err(DocumentsError::PreviousRoot);
    }
    if document.latest >= VERSIONS_MAX {
        return Err(DocumentsError::TooMany);
    }
    let rules = Rules::load(&document.schema, content.schema_version)?;
    let rules_before = Rules::load(&document.schema, before.content.schema_version)?;
    check_content(&issuer, &rules, &content)?;
    if owners(&rules, &content.parties) != owners(&rules_before, &before.content.parties) {
        return Err(DocumentsError::OwnerChanged);
    }
    document.latest += 1;
    let number = document.latest;
    let version = draft(context, number, content, Some(previous_root));
    record(context, Opened { document, version, rules })?;
    Ok(number)
}
