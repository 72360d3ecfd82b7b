//! A row whose document is on the chain: what of it is another than there, by name and never by value.
//!
//! ```text
//! what the journal noted of it --or else, what the own node shows of the version--> names of what changed
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use serde_json::{Value, json};
use vouch_privacy::attachment::AttachmentValue;
use vouch_types::{
    DocumentRoot,
    document::{NewVersion, Party, PartyEntry, ReferenceEntry},
};

use super::{Applier, Row};
use crate::{Attached, attached::hash_of, keys::PART_BYTES};

/// From this grade on a value is not shown.
const HIDDEN_GRADE: u8 = 3;
/// What the parts are called that are no fields.
const PUBLIC: &str = "public fields";
/// Stands for the names of all parts of a row.
const NAMES: &str = "names";

/// The version of a document that a new one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Its number.
    pub version: u32,
    /// Root of its commitment.
    pub root: DocumentRoot,
}

/// What is another than on the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Names of fields, `party ROLE`, `reference NAME`, `public fields`.
    pub names: Vec<String>,
    /// Fields of which nobody here can tell.
    pub unknown: Vec<String>,
}

impl Difference {
    /// Whether everything is known to be the same.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.names.is_empty() && self.unknown.is_empty()
    }

    /// The names for people: with a question mark those of which nobody can tell, when nothing else is known.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        if !self.names.is_empty() {
            return self.names.clone();
        }
        self.unknown.iter().map(|name| format!("{name}?")).collect()
    }
}

impl Applier {
    /// What salts and keys of a row's document come from, as the version that follows another.
    #[must_use]
    pub fn seed_after(&self, row: &Row, before: Option<&Before>) -> [u8; 32] {
        before.map_or_else(|| self.seed(row), |before| self.key.version_seed(row.id, before, &row.content))
    }

    /// Whether the version of a reference is the one in force, because the mapping does not say which.
    #[must_use]
    pub fn is_open_reference(&self, name: &str) -> bool {
        self.mapping.references.get(name).is_some_and(|reference| reference.version.is_none())
    }

    /// Whether business numbers may be shown: they are no persons' and no part of a field of grade 3 or 4.
    #[must_use]
    pub fn shows_number(&self) -> bool {
        let is_taken = |name: &String| self.mapping.number.contains(name);
        let graded = self.schema.definition.fields.iter().filter(|rule| rule.grade >= HIDDEN_GRADE);
        let mut rules = graded.filter_map(|rule| self.mapping.fields.get(&rule.name));
        let is_person = self.mapping.parties.values().filter_map(|party| party.person_from.as_ref()).any(is_taken);
        !is_person && !rules.any(|field| field.0.from.names().iter().any(is_taken))
    }

    /// What the journal keeps of a row, to tell later what of it changed: a keyed hash of each thing that the document says, and of
    /// their names.
    #[must_use]
    pub fn parts(&self, row: &Row) -> Vec<u8> {
        let said = self.said(row);
        let parts = said.iter().flat_map(|(name, value)| self.key.part(row.id, name, &value.to_string()));
        self.names_part(row, &said).into_iter().chain(parts).collect()
    }

    /// Names of what changed since [`Applier::parts`] were noted, and whether these are all: what is said no more has no name there, and
    /// where nothing was noted nothing has.
    #[must_use]
    pub fn changed_since(&self, row: &Row, parts: &[u8]) -> (Vec<String>, bool) {
        if parts.is_empty() {
            return (Vec::new(), false);
        }
        let (noted, _) = parts.as_chunks::<PART_BYTES>();
        let noted: BTreeSet<&[u8; PART_BYTES]> = noted.iter().collect();
        let said = self.said(row);
        let is_whole = noted.contains(&self.names_part(row, &said));
        let is_new =
            |(name, value): &(String, Value)| !noted.contains(&self.key.part(row.id, name, &value.to_string()));
        (said.into_iter().filter(is_new).map(|(name, _)| name).collect(), is_whole)
    }

    fn names_part(&self, row: &Row, said: &[(String, Value)]) -> [u8; PART_BYTES] {
        let names: Vec<&str> = said.iter().map(|(name, _)| name.as_str()).collect();
        self.key.part(row.id, NAMES, &json!(names).to_string())
    }

    /// What changed against a version on the chain. `shown` is what the own node shows of its fields, where it does.
    ///
    /// # Errors
    /// When a file of the row cannot be read.
    pub fn difference(
        &self,
        row: &Row,
        version: &NewVersion,
        shown: Option<&BTreeMap<String, Value>>,
    ) -> io::Result<Difference> {
        let mut difference = Difference::default();
        let is_other_schema = version.schema_version != self.schema.version;
        for rule in &self.schema.definition.fields {
            let files: Vec<&Attached> = row.files.iter().filter(|file| file.field == rule.name).collect();
            let own = row.values.get(&rule.name).unwrap_or(&Value::Null);
            match shown.and_then(|shown| shown.get(&rule.name)) {
                // The schema may have got the field since.
                None if is_other_schema && own.is_null() && files.is_empty() => {}
                None if is_other_schema && shown.is_some() => difference.names.push(rule.name.clone()),
                None => difference.unknown.push(rule.name.clone()),
                Some(there) if files.is_empty() && own == there => {}
                Some(there) if !files.is_empty() && are_those(&files, there)? => {}
                Some(_) => difference.names.push(rule.name.clone()),
            }
        }
        for rule in &self.schema.definition.parties {
            let of = |entries: &[PartyEntry]| -> Vec<Party> {
                let own = entries.iter().filter(|entry| entry.role == rule.role);
                let mut parties: Vec<Party> = own.map(|entry| entry.party.clone()).collect();
                parties.sort_unstable();
                parties
            };
            if of(&row.parties) != of(&version.parties) {
                difference.names.push(party_name(&rule.role));
            }
        }
        for rule in &self.schema.definition.references {
            let of = |entries: &[ReferenceEntry]| -> BTreeSet<(String, u32)> {
                let own = entries.iter().filter(|entry| entry.name == rule.name);
                let number =
                    |entry: &ReferenceEntry| if self.is_open_reference(&rule.name) { 0 } else { entry.version };
                own.map(|entry| (entry.id.to_string(), number(entry))).collect()
            };
            if of(&row.references) != of(&version.references) {
                difference.names.push(reference_name(&rule.name));
            }
        }
        // Slots are those of the schema's version.
        if !is_other_schema && self.public_slots(row) != slots_of(version) {
            difference.names.push(PUBLIC.to_owned());
        }
        Ok(difference)
    }

    /// The same where some names follow from what was noted of the version: they are told when nothing is shown.
    ///
    /// # Errors
    /// As [`Applier::difference`].
    pub fn difference_beside(
        &self,
        row: &Row,
        version: &NewVersion,
        shown: Option<&BTreeMap<String, Value>>,
        noted: Vec<String>,
    ) -> io::Result<Difference> {
        let mut difference = self.difference(row, version, shown)?;
        if shown.is_none() && !noted.is_empty() {
            difference.names = noted;
        }
        Ok(difference)
    }

    /// Whether the owners of a row's document are others than those of a version, which a new one cannot change.
    #[must_use]
    pub fn has_other_owners(&self, row: &Row, version: &NewVersion) -> bool {
        let owns = |role: &str| self.schema.definition.parties.iter().any(|rule| rule.role == role && rule.owner);
        let of = |entries: &[PartyEntry]| -> BTreeSet<(String, Party)> {
            let owners = entries.iter().filter(|entry| owns(&entry.role));
            owners.map(|entry| (entry.role.clone(), entry.party.clone())).collect()
        };
        of(&row.parties) != of(&version.parties)
    }

    /// Names and values of everything that a row's document says.
    fn said(&self, row: &Row) -> Vec<(String, Value)> {
        let definition = &self.schema.definition;
        let fields = definition.fields.iter().map(|rule| {
            let files = row.files.iter().filter(|file| file.field == rule.name);
            let files: Vec<Value> = files.map(|file| json!([file.name(), file.bytes, file.hash.to_string()])).collect();
            (rule.name.clone(), row.values.get(&rule.name).cloned().unwrap_or(Value::from(files)))
        });
        let parties = definition.parties.iter().map(|rule| {
            let parties: Vec<_> = row.parties.iter().filter(|entry| entry.role == rule.role).collect();
            (party_name(&rule.role), json!(parties))
        });
        let references = definition.references.iter().map(|rule| {
            let entries: Vec<_> = row.references.iter().filter(|entry| entry.name == rule.name).collect();
            (reference_name(&rule.name), json!(entries))
        });
        let public: Vec<&String> = self.mapping.public.iter().filter(|name| row.values.contains_key(*name)).collect();
        let all = fields.chain(parties).chain(references).chain([(PUBLIC.to_owned(), json!(public))]);
        all.filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty())).collect()
    }

    fn public_slots(&self, row: &Row) -> BTreeSet<u16> {
        let rules = (0u16..).zip(&self.schema.definition.fields);
        let is_public = |name: &String| self.mapping.public.contains(name) && row.values.contains_key(name);
        rules.filter(|(_, rule)| is_public(&rule.name)).map(|(slot, _)| slot).collect()
    }
}

fn slots_of(version: &NewVersion) -> BTreeSet<u16> {
    version.public.iter().map(|field| field.slot).collect()
}

fn party_name(role: &str) -> String {
    format!("party {role}")
}

fn reference_name(name: &str) -> String {
    format!("reference {name}")
}

/// Whether files are those that a field on the chain names.
fn are_those(files: &[&Attached], there: &Value) -> io::Result<bool> {
    let Some(named) = AttachmentValue::list_from(there).filter(|named| named.len() == files.len()) else {
        return Ok(false);
    };
    for (file, named) in files.iter().zip(&named) {
        if file.name() != named.name || file.bytes != named.size {
            return Ok(false);
        }
        if hash_of(&file.path, Some(&named.b3_key.0))? != named.b3 {
            return Ok(false);
        }
    }
    Ok(true)
}
