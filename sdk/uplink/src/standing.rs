//! How rows stand to what is on the chain: new, unchanged, changed in which fields, or not to be changed now. Whoever asked the chain
//! learns here what its records mean for a row, so that all programs that uplink decide the same.
//!
//! Deliberately not here: asking nodes, making roots of rows, remembering.
//!
//! ```text
//! document, newest version --roots; what was noted; what is shown--> Standing --as somebody wants it--> Becomes
//! ```

use serde::Serialize;
use vouch_types::document::{Document, DocumentId, ErasureState, Schema, Version, VersionState};

use crate::{Applier, Before, Fault, Row, WhenChanged};

/// Changed rows, and rows that cannot be changed, that a summary shows.
const SHOWN_MAX: usize = 50;
/// What a reading is for under a schema without purposes.
const ANY_PURPOSE: &str = "uplink";
/// Names of one row that a reason has.
const NAMES_MAX: usize = 12;
/// Versions before the newest that are looked at for the same content.
const EARLIER_MAX: u32 = 16;

/// A document on the chain with its newest version.
#[derive(Debug, Clone)]
pub struct There {
    /// The document.
    pub document: Document,
    /// Its newest version.
    pub latest: Version,
}

/// How a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its document is not there.
    New,
    /// It is there as it is.
    Same,
    /// It is there with another content.
    Changed {
        /// The version that a new one would follow.
        before: Before,
        /// Names of what changed.
        names: Vec<String>,
        /// The earlier version that said the same.
        again: Option<u32>,
    },
    /// It is there with another content and cannot have another version now: code and reason.
    Blocked(&'static str, String),
}

/// What is kept of a row that is another than its document on the chain, from the check to the sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// It would be the version after this one; with names of what changed.
    Changed(Before, String),
    /// The document cannot have another version now: code and reason.
    Blocked(&'static str, String),
}

/// What becomes of such a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Becomes {
    /// The version after this one.
    Version(Before),
    /// It is passed over.
    Skipped,
    /// It is rejected.
    Rejected(Fault),
}

/// How the rows of a plan stand to what is on the chain.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Changes {
    /// Documents that are not there.
    pub new: u64,
    /// Documents that are there with another content.
    pub changed: u64,
    /// Changed ones that say what an earlier version said: an older export, or a correction that was taken back.
    pub again: u64,
    /// Documents that are there as they are.
    pub unchanged: u64,
    /// Documents that are there with another content and cannot have a new version now.
    pub blocked: u64,
    /// The first of the changed ones.
    pub rows: Vec<Change>,
    /// The first of those that cannot have a new version.
    pub faults: Vec<Fault>,
    /// Changed ones by mapping.
    #[serde(skip)]
    pub by_map: Vec<u64>,
}

/// A row that would be a new version.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// Where it stands.
    pub place: String,
    /// Its business number, where that is nothing sensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The schema.
    pub schema: String,
    /// The document.
    pub document: DocumentId,
    /// Its version on the chain.
    pub version: u32,
    /// Names of what changed, never values.
    pub fields: Vec<String>,
    /// The earlier version that said the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<u32>,
}

impl There {
    /// Whether roots say if a row is there, by the version that was noted of its document. Where that is the newest, it is another content,
    /// and roots would say the same; unless a party refused it, so that an earlier one is in force.
    #[must_use]
    pub fn asks_roots(&self, noted: Option<u32>) -> bool {
        noted != Some(self.latest.version) || self.latest.state == VersionState::Rejected
    }

    /// The version beside the newest that a row may be: the one in force, where the newest was refused by a party.
    #[must_use]
    pub fn in_force(&self) -> Option<u32> {
        self.document.effective.filter(|_| self.latest.state == VersionState::Rejected)
    }

    /// Versions before the newest that are looked at for the same content as a row's, newest first. Files are not read for that.
    pub fn earlier(&self, row: &Row) -> impl Iterator<Item = u32> + use<> {
        let newest = if row.files.is_empty() { self.latest.version } else { 1 };
        (newest.saturating_sub(EARLIER_MAX).max(1)..newest).rev()
    }

    /// Why no version of a changed row may follow: code and reason.
    #[must_use]
    pub fn blocks(&self, applier: &Applier, row: &Row) -> Option<(&'static str, String)> {
        hindrance(&self.document, self.latest.state).or_else(|| {
            let reason = format!("document {} has another owner on the chain; no version changes that", row.id);
            applier.has_other_owners(row, &self.latest.content).then_some(("uplink.owner", reason))
        })
    }

    /// What a new version would follow.
    #[must_use]
    pub const fn before(&self) -> Before {
        Before { version: self.latest.version, root: self.latest.content.root }
    }
}

impl Before {
    /// What a version on the chain follows; `None` for the first.
    #[must_use]
    pub fn of(version: &Version) -> Option<Self> {
        let root = version.previous_root?;
        version.version.checked_sub(1).map(|version| Self { version, root })
    }

    /// The number of the version that follows one, or of the first.
    #[must_use]
    pub fn next(before: Option<&Self>) -> u32 {
        before.map_or(1, |before| before.version.saturating_add(1))
    }
}

impl Standing {
    /// What is kept of it for the sending; nothing of what is new or there.
    #[must_use]
    pub fn compared(&self) -> Option<Compared> {
        match self {
            Self::New | Self::Same => None,
            Self::Changed { before, names, .. } => Some(Compared::Changed(*before, short(names))),
            &Self::Blocked(code, ref reason) => Some(Compared::Blocked(code, reason.clone())),
        }
    }
}

impl Compared {
    /// What becomes of the row, by what is wanted of changed ones.
    #[must_use]
    pub fn becomes(self, row: &Row, when: WhenChanged) -> Becomes {
        let fault = |code, reason: String| Becomes::Rejected(Fault::new(code, row.place.to_string(), reason));
        match (self, when) {
            (_, WhenChanged::Skip) => Becomes::Skipped,
            (Self::Changed(before, _), WhenChanged::Version) => Becomes::Version(before),
            (Self::Changed(before, names), WhenChanged::Reject) => {
                let (known, version) = (changed(row).reason, before.version);
                let reason = format!("{known}, in version {version}: {names}; --changed=version makes a new version");
                fault("uplink.changed", reason)
            }
            (Self::Blocked(code, reason), _) => fault(code, reason),
        }
    }
}

impl Becomes {
    /// The version that it follows, if it is one.
    #[must_use]
    pub fn before(self) -> Option<Before> {
        match self {
            Self::Version(before) => Some(before),
            Self::Skipped | Self::Rejected(_) => None,
        }
    }
}

impl Changes {
    /// Nothing of a plan is on the chain, as under a key that was just made.
    #[must_use]
    pub fn all_new(documents: u64, maps: usize) -> Self {
        Self { new: documents, by_map: vec![0; maps], ..Self::default() }
    }

    /// How many documents leave: new ones and new versions.
    #[must_use]
    pub fn leaving(&self, when: &[WhenChanged]) -> u64 {
        let versions = when.iter().zip(&self.by_map).filter(|(when, _)| **when == WhenChanged::Version);
        self.new + versions.map(|(_, count)| count).sum::<u64>()
    }

    /// Counts a row of a mapping, and answers it when it changed.
    pub fn add(&mut self, map: usize, (applier, row): (&Applier, &Row), standing: &Standing) -> Option<Change> {
        match standing {
            Standing::New => self.new += 1,
            Standing::Same => self.unchanged += 1,
            &Standing::Blocked(code, ref reason) => {
                self.blocked += 1;
                if self.faults.len() < SHOWN_MAX {
                    self.faults.push(Fault::new(code, row.place.to_string(), reason.clone()));
                }
            }
            Standing::Changed { before, names, again } => {
                self.changed += 1;
                self.again += u64::from(again.is_some());
                if let Some(count) = self.by_map.get_mut(map) {
                    *count += 1;
                }
                let change = Change {
                    place: row.place.to_string(),
                    number: applier.shows_number().then(|| row.number.clone()),
                    schema: applier.mapping.schema.clone(),
                    document: row.id,
                    version: before.version,
                    fields: names.clone(),
                    again: *again,
                };
                if self.rows.len() < SHOWN_MAX {
                    self.rows.push(change.clone());
                }
                return Some(change);
            }
        }
        None
    }
}

/// What the own node is asked for a version's fields for. The issuer reads for every purpose, as far as its grade goes.
#[must_use]
pub fn purpose_of(schema: &Schema) -> &str {
    let purpose = schema.definition.purposes.iter().max_by_key(|purpose| purpose.grade);
    purpose.map_or(ANY_PURPOSE, |purpose| purpose.code.as_str())
}

/// Why a document cannot, or should not without a person's look at it, have another version: code and reason.
#[must_use]
pub fn hindrance(document: &Document, latest: VersionState) -> Option<(&'static str, String)> {
    let told = |code, why: &str| Some((code, format!("document {} {why}", document.id)));
    match (document.erasure, latest) {
        (ErasureState::Restricted, _) => return told("uplink.erased", "is kept back: its erasure was asked for"),
        (ErasureState::Ordered, _) => return told("uplink.erased", "is being erased"),
        (ErasureState::Erased, _) | (_, VersionState::Erased) => return told("uplink.erased", "was erased"),
        (_, VersionState::Revoked) => return told("uplink.revoked", "was revoked"),
        (_, VersionState::Annulled) => return told("uplink.revoked", "was annulled by a ruling"),
        (_, VersionState::Pending) => {
            return told("uplink.pending", &format!("has a version {} that waits for signatures", document.latest));
        }
        _ => {}
    }
    if document.disputes > 0 {
        return told("uplink.disputed", "is in dispute");
    }
    if document.holds > 0 {
        return told("uplink.held", "is under a legal hold");
    }
    None
}

/// A row of which a run knows only on its way that its number is another content's.
#[must_use]
pub fn changed(row: &Row) -> Fault {
    let reason = format!("document {} was made of this number with another content", row.id);
    Fault::new("uplink.changed", row.place.to_string(), reason)
}

/// The document was given a version by somebody else since the check.
#[must_use]
pub fn moved_on(row: &Row, before: Option<&Before>) -> Fault {
    let Some(before) = before else { return changed(row) };
    let reason = format!("document {} has another version behind {} since the check", row.id, before.version);
    Fault::new("uplink.moved_on", row.place.to_string(), reason)
}

/// Another content waits at the node for its transaction, which a run that was ended did not send.
#[must_use]
pub fn staged(row: &Row, before: Option<&Before>) -> Fault {
    if before.is_none() {
        return changed(row);
    }
    let (id, next) = (row.id, Before::next(before));
    refused(row, "stage.taken", &format!("another content of version {next} of document {id} waits at the node"))
}

/// Node or contract refused a row's document, with a code of theirs.
#[must_use]
pub fn refused(row: &Row, code: &str, text: &str) -> Fault {
    Fault::new("uplink.refused", row.place.to_string(), format!("[{code}] {text}"))
}

/// Names for a reason.
fn short(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(", … (+{more})") } else { String::new() };
    format!("{}{more}", names.get(..NAMES_MAX).unwrap_or(names).join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(erasure: ErasureState, disputes: u32, holds: u32) -> Document {
        serde_json::from_value(json!({
            "id": "0a".repeat(16), "sequence": 1, "category_sequence": 1, "issuer_sequence": 1, "category": "Transaction",
            "schema": "task", "issuer": "works", "created": { "height": 1, "time_ms": 1 }, "latest": 1, "effective": null,
            "disputes": disputes, "holds": holds, "correction": false, "erasure": erasure,
        }))
        .unwrap()
    }

    /// What keeps a document is told first by what cannot be undone.
    #[test]
    fn what_keeps_a_document_has_a_code() {
        use VersionState::{Annulled, Effective, Erased, Pending, Rejected, Revoked};
        let free = ErasureState::None;
        for (document, latest, code) in [
            (document(free, 0, 0), Effective, None),
            (document(free, 0, 0), Rejected, None),
            (document(free, 0, 0), Pending, Some("uplink.pending")),
            (document(free, 0, 0), Revoked, Some("uplink.revoked")),
            (document(free, 0, 0), Annulled, Some("uplink.revoked")),
            (document(free, 1, 0), Effective, Some("uplink.disputed")),
            (document(free, 0, 1), Effective, Some("uplink.held")),
            (document(free, 1, 1), Revoked, Some("uplink.revoked")),
            (document(ErasureState::Restricted, 1, 1), Effective, Some("uplink.erased")),
            (document(ErasureState::Ordered, 0, 0), Effective, Some("uplink.erased")),
            (document(ErasureState::Erased, 0, 0), Erased, Some("uplink.erased")),
        ] {
            assert_eq!(hindrance(&document, latest).map(|(code, _)| code), code, "{document:?} {latest:?}");
        }
    }

    #[test]
    fn a_reason_has_a_few_names() {
        let names: Vec<String> = (0..14).map(|n| format!("f{n}")).collect();
        assert_eq!(short(&names[..2]), "f0, f1");
        assert!(short(&names).ends_with("f11, … (+2)"), "{}", short(&names));
    }
}
