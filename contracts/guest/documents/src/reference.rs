//! References: every document stands on others that exist, are of the right kind, stand themselves, and concern the same
//! parties. From each, what it stands on and what stands on it can be followed.

use records::{Party, count, key, next, page};
use vouch_contract::{Bytes, Context, Hash, String, Vec, load, record, store};

use crate::{
    DocumentsError,
    document::{Opened, ReferenceEntry, Version, VersionState, find, find_version},
    limits::{EDGES_MAX, REFERENCES_MAX},
    schema::{Category, ReferenceRule, Rules},
};

record! {
    /// A document that names another.
    pub struct Backlink = ("Referenced by", "被引用") {
        /// Its number among those that name it, from 1, without gaps.
        pub number: u64 = ("Number", "序号"),
        /// The version that is named.
        pub version: u32 = ("Version", "版本"),
        /// What it is to the document that names it.
        pub name: String = ("Name", "名称"),
        /// The document that names it.
        pub from: Bytes = ("From document", "引用凭证"),
        /// Its version.
        pub from_version: u32 = ("From version", "引用版本"),
    }
}

record! {
    /// One step of a chain of evidence.
    pub struct Edge = ("Step of the chain of evidence", "证据链步骤") {
        /// The document that builds on the other.
        pub from: Bytes = ("From document", "引用凭证"),
        /// Its version.
        pub from_version: u32 = ("From version", "引用版本"),
        /// What the other is to it.
        pub name: String = ("Name", "名称"),
        /// The document that it builds on.
        pub to: Bytes = ("To document", "被引用凭证"),
        /// Its version.
        pub to_version: u32 = ("To version", "被引用版本"),
        /// Its kind.
        pub category: Category = ("Category", "类别"),
        /// How it stands now.
        pub state: VersionState = ("State", "状态"),
        /// Root of its commitment.
        pub root: Hash = ("Root", "承诺根"),
    }
}

record! {
    /// What a document builds on, step by step.
    pub struct Upstream = ("Chain of evidence", "证据链") {
        /// The steps, nearest first.
        pub edges: Vec<Edge> = ("Steps", "步骤"),
        /// Whether these are all; else ask for the chain of the last ones.
        pub complete: bool = ("Complete", "完整"),
    }
}

fn count_key(id: &[u8]) -> Vec<u8> {
    key(b'B', &[id])
}

fn number_key(id: &[u8], number: u64) -> Vec<u8> {
    key(b'b', &[id, &number.to_be_bytes()])
}

/// Everyone a document concerns: its issuer and its parties; or its owners alone.
fn concerned(issuer: &str, version: &Version, rules: &Rules, owners_only: bool) -> Vec<Party> {
    if owners_only {
        return version.parties_where(rules, |rule| rule.owner).map(|(_, party)| party.clone()).collect();
    }
    let mut parties: Vec<Party> = version.content.parties.iter().map(|entry| entry.party.clone()).collect();
    parties.push(Party::of_member(issuer));
    parties
}

fn check_one(from: &Opened, entry: &ReferenceEntry, rule: &ReferenceRule) -> Result<(), DocumentsError> {
    if entry.id == from.document.id {
        return Err(DocumentsError::ReferenceSelf);
    }
    let document = find(&entry.id).ok_or(DocumentsError::ReferenceMissing)?;
    let version = find_version(&entry.id, entry.version).ok_or(DocumentsError::ReferenceVersion)?;
    if document.category != rule.category || rule.schema.as_ref().is_some_and(|schema| *schema != document.schema) {
        return Err(DocumentsError::ReferenceKind);
    }
    if version.state != VersionState::Effective || document.is_erased() {
        return Err(DocumentsError::ReferenceState);
    }
    if document.disputes > 0 && !rule.disputed {
        return Err(DocumentsError::ReferenceDisputed);
    }
    let rules = Rules::load(&document.schema, version.content.schema_version)?;
    let there = concerned(&document.issuer, &version, &rules, rule.same_owner);
    let here = concerned(&from.document.issuer, &from.version, &from.rules, rule.same_owner);
    if here.iter().any(|party| there.contains(party)) { Ok(()) } else { Err(DocumentsError::ReferenceParty) }
}

/// Checks all references of a new version.
pub(crate) fn check(from: &Opened) -> Result<(), DocumentsError> {
    let references = &from.version.content.references;
    if references.len() > REFERENCES_MAX {
        return Err(DocumentsError::ReferenceCount);
    }
    for (at, entry) in references.iter().enumerate() {
        if references[..at].contains(entry) {
            return Err(DocumentsError::ReferenceTwice);
        }
        let rule = from.rules.references.iter().find(|rule| rule.name == entry.name);
        check_one(from, entry, rule.ok_or(DocumentsError::ReferenceUnknown)?)?;
    }
    for rule in &from.rules.references {
        let number = references.iter().filter(|entry| entry.name == rule.name).count();
        if !(usize::from(rule.min)..=usize::from(rule.max)).contains(&number) {
            return Err(DocumentsError::ReferenceCount);
        }
    }
    Ok(())
}

/// Notes at every document that is named by whom.
pub(crate) fn link(from: &Opened) {
    for entry in &from.version.content.references {
        let number = next(&count_key(&entry.id.0));
        let backlink = Backlink {
            number,
            version: entry.version,
            name: entry.name.clone(),
            from: from.document.id.clone(),
            from_version: from.version.version,
        };
        store(&number_key(&entry.id.0, number), &backlink);
    }
}

pub(crate) fn referenced_by(_: &Context, id: Bytes, after: u64, limit: u32) -> Result<Vec<Backlink>, DocumentsError> {
    crate::document::check_id(&id)?;
    Ok(page(after, limit, |number| load(&number_key(&id.0, number))))
}

pub(crate) fn count_referenced_by(_: &Context, id: Bytes) -> Result<u64, DocumentsError> {
    crate::document::check_id(&id)?;
    Ok(count(&count_key(&id.0)))
}

pub(crate) fn upstream(_: &Context, id: Bytes, version: u32) -> Result<Upstream, DocumentsError> {
    let first = find_version(&id, version).ok_or(DocumentsError::UnknownVersion)?;
    let mut answer = Upstream { edges: Vec::new(), complete: true };
    // Versions whose references are in the answer, and those that wait: each is followed once.
    let mut seen = Vec::from([(id.clone(), version)]);
    let mut waiting = Vec::from([(id, version, first.content.references)]);
    let mut at = 0;
    while at < waiting.len() {
        let (from, from_version, references) = waiting[at].clone();
        at += 1;
        for entry in references {
            if answer.edges.len() == EDGES_MAX {
                answer.complete = false;
                return Ok(answer);
            }
            let document = find(&entry.id).ok_or(DocumentsError::ReferenceMissing)?;
            let named = find_version(&entry.id, entry.version).ok_or(DocumentsError::ReferenceVersion)?;
            answer.edges.push(Edge {
                from: from.clone(),
                from_version,
                name: entry.name,
                to: entry.id.clone(),
                to_version: entry.version,
                category: document.category,
                state: named.state,
                root: named.content.root,
            });
            let place = (entry.id, entry.version);
            if !seen.contains(&place) {
                seen.push(place.clone());
                waiting.push((place.0, place.1, named.content.references));
            }
        }
    }
    Ok(answer)
}
