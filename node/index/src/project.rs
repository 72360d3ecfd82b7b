//! From events to rows: what an event says has changed is read from the state and written over what was there.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use vouch_types::{
    Event, Height,
    codec::Format,
    decode,
    document::{
        self, DisputeState, Document, DocumentId, ErasureState, FieldKind, Grant, RECORD_BYTES_MAX, Version,
        VersionState, event, key,
    },
    encode,
    relation::{self, RelationState, RelationshipChanged},
};
use wincode::SchemaRead;

use crate::{
    IndexBlock, IndexError,
    codes::{Coded as _, int, small, uint},
    database::{Database, values},
    numbers::{Known, Numbers},
    schema::{hourly, tally},
    source::Records,
    tally::Tally,
    words::Words,
};

/// Characters of a public text that are kept and searched.
const TEXT_CHARS_MAX: usize = 64;
/// Schemas remembered.
const SCHEMAS_MAX: usize = 512;

/// Names of the fields of a schema whose public values are texts, by slot.
type TextFields = Arc<Vec<Option<String>>>;

/// Schemas that were looked at; a registered one never changes.
#[derive(Debug, Default)]
pub(crate) struct Schemas(HashMap<(String, u32), TextFields>);

/// What an event says has changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    Document(DocumentId),
    Grants(DocumentId),
    Dispute(u64),
    Erasure(DocumentId),
    Relationship(u64),
    /// With the event's bytes, which say all of it.
    Anchor(Vec<u8>),
}

/// Records that have numbers over all, in the order in which they are taken from a state.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seed {
    Documents,
    Grants,
    Disputes,
    Erasures,
    Relationships,
}

/// All of them.
pub(crate) const SEEDS: &[Seed] = &[Seed::Documents, Seed::Grants, Seed::Disputes, Seed::Erasures, Seed::Relationships];

impl Seed {
    /// How many there are.
    pub(crate) fn count(self, records: Records<'_>) -> Result<u64, IndexError> {
        let (contract, key) = match self {
            Self::Documents => (document::CONTRACT, key::DOCUMENTS),
            Self::Grants => (document::CONTRACT, key::GRANTS),
            Self::Disputes => (document::CONTRACT, key::DISPUTES),
            Self::Erasures => (document::CONTRACT, key::ERASURES),
            Self::Relationships => (relation::CONTRACT, relation::key::RELATIONSHIPS),
        };
        Ok(records.count(contract, key)?)
    }
}

fn read<T>(event: &Event) -> Option<T>
where
    T: for<'a> SchemaRead<'a, Format, Dst = T>,
{
    let read = decode("event", &event.data, RECORD_BYTES_MAX);
    read.map_err(|error| tracing::error!(name = event.name, "an event cannot be read: {error}")).ok()
}

/// What an event says has changed; nothing for those that change no row.
pub(crate) fn changes_of(said: &Event) -> Option<Vec<Change>> {
    use Change::{Anchor, Dispute, Document, Erasure, Grants, Relationship};
    Some(match (said.contract.as_str(), said.name.as_str()) {
        (document::CONTRACT, "Submitted") => vec![Document(read::<event::Submitted>(said)?.id)],
        (document::CONTRACT, "StateChanged") => vec![Document(read::<event::StateChanged>(said)?.id)],
        (document::CONTRACT, "HoldChanged") => vec![Document(read::<event::HoldChanged>(said)?.id)],
        (document::CONTRACT, "AudienceChanged") => vec![Grants(read::<event::AudienceChanged>(said)?.id)],
        (document::CONTRACT, "Disputed") => {
            let event::Disputed { dispute, id, .. } = read(said)?;
            vec![Document(id), Dispute(dispute)]
        }
        (document::CONTRACT, "DisputeChanged") => {
            let event::DisputeChanged { dispute, id, .. } = read(said)?;
            vec![Document(id), Dispute(dispute)]
        }
        (document::CONTRACT, "Ruled") => {
            let event::Ruled { dispute, id, .. } = read(said)?;
            vec![Document(id), Dispute(dispute)]
        }
        (document::CONTRACT, "ErasureRequested") => {
            let id = read::<event::ErasureRequested>(said)?.id;
            vec![Document(id), Erasure(id)]
        }
        (document::CONTRACT, "ErasureAttested") => vec![Erasure(read::<event::ErasureAttested>(said)?.id)],
        (document::CONTRACT, "Tombstoned") => {
            let id = read::<event::Tombstoned>(said)?.id;
            vec![Document(id), Erasure(id)]
        }
        (document::CONTRACT, "AuditAnchored") => vec![Anchor(said.data.clone())],
        (relation::CONTRACT, "RelationshipChanged") => vec![Relationship(read::<RelationshipChanged>(said)?.id)],
        // Registered persons are served by their member from then on, and no other event says so.
        (relation::CONTRACT, "SubjectRegistered") => vec![Relationship(0)],
        _ => return None,
    })
}

/// What was written of a new document, so that nobody has to look.
#[derive(Debug, Default)]
struct Own {
    parties: BTreeSet<i64>,
    parents: BTreeSet<i64>,
}

/// Turns changes into rows, within the caller's transaction.
pub(crate) struct Projector<'a> {
    pub(crate) database: &'a Database,
    pub(crate) words: &'a mut Words,
    pub(crate) numbers: &'a mut Numbers,
    pub(crate) tally: &'a mut Tally,
    pub(crate) schemas: &'a mut Schemas,
    pub(crate) records: Records<'a>,
    /// What is younger than this comes with its own event.
    pub(crate) height: Height,
}

impl Projector<'_> {
    /// Everything that a block's events changed, each once, in the order in which it was first named.
    pub(crate) fn events(&mut self, block: &IndexBlock) -> Result<(), IndexError> {
        let mut changes: Vec<Change> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for event in block.transactions.iter().flat_map(|transaction| &transaction.events) {
            for change in changes_of(event).into_iter().flatten() {
                if seen.insert(change.clone()) {
                    changes.push(change);
                }
            }
        }
        for change in changes {
            match change {
                Change::Document(id) => self.document(&id)?,
                Change::Grants(id) => self.grants(&id)?,
                Change::Dispute(number) => self.dispute(number)?,
                Change::Erasure(id) => self.erasure(&id)?,
                Change::Relationship(0) => self.new_relationships()?,
                Change::Relationship(number) => self.relationship(number)?,
                Change::Anchor(data) => self.anchor(&data, int(block.time.0))?,
            }
        }
        Ok(())
    }

    /// Records by number, of one kind.
    pub(crate) fn seed(&mut self, kind: Seed, from: u64, to: u64) -> Result<(), IndexError> {
        for number in from..=to {
            match kind {
                Seed::Documents => {
                    if let Some(id) = self.records.listed(number)? {
                        self.document(&id)?;
                    }
                }
                Seed::Grants => self.grant(number)?,
                Seed::Disputes => self.dispute(number)?,
                Seed::Erasures => {
                    if let Some(id) = self.records.erasure_number(number)? {
                        self.erasure(&id)?;
                    }
                }
                Seed::Relationships => self.relationship(number)?,
            }
        }
        Ok(())
    }

    fn number_of(&mut self, id: &DocumentId) -> Result<Option<i64>, IndexError> {
        self.numbers.of(self.database, id)
    }

    /// Versions that the index has not, submitted up to its height: what later ones name is not in it yet.
    fn new_versions(&self, document: &Document, after: u32) -> Result<Vec<Version>, IndexError> {
        let mut versions = Vec::new();
        for number in after.saturating_add(1)..=document.latest {
            let Some(version) = self.records.version(&document.id, number)? else { break };
            if version.submitted.height > self.height {
                break;
            }
            versions.push(version);
        }
        Ok(versions)
    }

    fn state_of(&self, document: &Document, newest: Option<&Version>, at: u32) -> Result<VersionState, IndexError> {
        if document.erasure == ErasureState::Erased {
            return Ok(VersionState::Erased);
        }
        if document.effective.is_some() {
            return Ok(VersionState::Effective);
        }
        if let Some(version) = newest {
            return Ok(version.state);
        }
        Ok(self.records.version(&document.id, at)?.map_or(VersionState::Pending, |version| version.state))
    }

    fn document(&mut self, id: &DocumentId) -> Result<(), IndexError> {
        let Some(document) = self.records.document(id)? else { return Ok(()) };
        let n = int(document.sequence);
        let known = self.numbers.known(self.database, n)?;
        let before = known.as_ref().map_or(0, |known| known.version);
        let versions = self.new_versions(&document, before)?;
        let at = versions.last().map_or(before, |version| version.version);
        if at == 0 {
            return Ok(());
        }
        let state = self.state_of(&document, versions.last(), at)?;
        match &known {
            None => self.insert_document(&document, n, state, at)?,
            Some(known) => self.update_document(&document, known, state, at)?,
        }
        let is_disputed = document.disputes > 0;
        self.numbers.remember(Known { n, category: document.category, state, version: at, is_disputed });
        let was_disputed = known.as_ref().is_some_and(|known| known.is_disputed);
        self.tally.add(tally::DISPUTED, 0, 0, i64::from(is_disputed) - i64::from(was_disputed));
        // Of a new one nothing is in the tables that this pass has not put there.
        let mut own = known.is_none().then(Own::default);
        for version in &versions {
            self.parties(n, version, own.as_mut())?;
            self.edges(n, version, own.as_mut())?;
        }
        match versions.last() {
            _ if state == VersionState::Erased => self.clear_public(n),
            Some(newest) => self.public(n, &document.schema, newest, known.is_none()),
            None => Ok(()),
        }
    }

    fn insert_document(&mut self, d: &Document, n: i64, state: VersionState, at: u32) -> Result<(), IndexError> {
        let issuer = self.words.text(self.database, &d.issuer)?;
        let schema = self.words.text(self.database, &d.schema)?;
        let (category, code, time) = (d.category.code(), state.code(), int(d.created.time_ms.0));
        let sql =
            "INSERT INTO doc(n, id, category, category_n, issuer, issuer_n, schema, state, version, effective, height,
            time, changed, disputes, holds, correction, erasure, refs_out, refs_in)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, 0, 0)";
        self.database.write(
            sql,
            values![
                n,
                d.id.as_bytes(),
                category,
                int(d.category_sequence),
                issuer,
                int(d.issuer_sequence),
                schema,
                code,
                at,
                d.effective,
                int(d.created.height.0),
                time,
                int(self.height.0),
                d.disputes,
                d.holds,
                d.correction,
                d.erasure.code(),
            ],
        )?;
        self.numbers.learn(d.id, Some(n));
        self.tally.add(tally::CATEGORY, category, 0, 1);
        self.tally.add(tally::STATE, code, 0, 1);
        self.tally.add(tally::CATEGORY_STATE, category, code, 1);
        self.tally.add(tally::ISSUER, issuer, 0, 1);
        self.tally.add(tally::ISSUER_CATEGORY, issuer, category, 1);
        self.tally.add(tally::SCHEMA, schema, 0, 1);
        self.tally.add_at(hourly::DOCUMENT, category, time);
        self.tally.add_at(hourly::ISSUER, issuer, time);
        Ok(())
    }

    fn update_document(&mut self, d: &Document, was: &Known, state: VersionState, at: u32) -> Result<(), IndexError> {
        let sql = "UPDATE doc SET state = ?2, version = ?3, effective = ?4, changed = ?5, disputes = ?6, holds = ?7,
            correction = ?8, erasure = ?9 WHERE doc.n = ?1";
        self.database.write(
            sql,
            values![
                was.n,
                state.code(),
                at,
                d.effective,
                int(self.height.0),
                d.disputes,
                d.holds,
                d.correction,
                d.erasure.code(),
            ],
        )?;
        if state != was.state {
            for (code, by) in [(was.state.code(), -1), (state.code(), 1)] {
                self.tally.add(tally::STATE, code, 0, by);
                self.tally.add(tally::CATEGORY_STATE, was.category.code(), code, by);
            }
        }
        Ok(())
    }

    fn parties(&mut self, n: i64, version: &Version, mut own: Option<&mut Own>) -> Result<(), IndexError> {
        for entry in &version.content.parties {
            let party = self.words.party(self.database, &entry.party)?;
            let sql = "INSERT INTO doc_party(party, n) VALUES (?1, ?2) ON CONFLICT(party, n) DO NOTHING";
            let is_new = match &mut own {
                Some(own) => {
                    let is_new = own.parties.insert(party);
                    if is_new {
                        self.database.write(sql, values![party, n])?;
                    }
                    is_new
                }
                None => self.database.execute(sql, values![party, n])? > 0,
            };
            if is_new && entry.party.member.is_some() {
                self.tally.add(tally::PARTY, party, 0, 1);
            }
        }
        Ok(())
    }

    fn edges(&mut self, child: i64, version: &Version, mut own: Option<&mut Own>) -> Result<(), IndexError> {
        for reference in &version.content.references {
            let name = self.words.text(self.database, &reference.name)?;
            match self.number_of(&reference.id)? {
                Some(parent) => {
                    let is_first = match &mut own {
                        Some(own) => own.parents.insert(parent),
                        None => self.is_unnamed(child, parent)?,
                    };
                    self.edge(child, version.version, parent, reference.version, name, is_first)?;
                }
                None => {
                    let sql = "INSERT INTO edge_waiting(child, child_version, parent, parent_version, name)
                        VALUES (?1, ?2, ?3, ?4, ?5)";
                    let parent = reference.id.as_bytes();
                    let row = values![child, version.version, parent, reference.version, name];
                    self.database.put(sql, row)?;
                }
            }
        }
        Ok(())
    }

    /// Whether no version of a document names another one yet.
    fn is_unnamed(&self, child: i64, parent: i64) -> Result<bool, IndexError> {
        let sql = "SELECT 1 FROM edge WHERE parent = ?1 AND child = ?2";
        Ok(!self.database.exists(sql, values![parent, child])?)
    }

    fn edge(
        &mut self,
        child: i64,
        from: u32,
        parent: i64,
        to: u32,
        name: i64,
        is_first: bool,
    ) -> Result<(), IndexError> {
        let sql = "INSERT INTO edge(child, child_version, parent, parent_version, name) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT(child, child_version, parent, name) DO NOTHING";
        self.database.write(sql, values![child, from, parent, to, name])?;
        if is_first {
            self.tally.link(child, parent);
        }
        Ok(())
    }

    /// Steps whose other end came later in the order of numbers.
    pub(crate) fn join_waiting_edges(&mut self) -> Result<(), IndexError> {
        let sql = "SELECT e.child, e.child_version, d.n, e.parent_version, e.name
            FROM edge_waiting e JOIN doc d ON d.id = e.parent";
        let waiting = self
            .database
            .all(sql, &[], |row| Ok((row.int(0)?, small(row.int(1)?), row.int(2)?, small(row.int(3)?), row.int(4)?)))?;
        for (child, from, parent, to, name) in waiting {
            let is_first = self.is_unnamed(child, parent)?;
            self.edge(child, from, parent, to, name, is_first)?;
        }
        self.database.put("DELETE FROM edge_waiting", &[])
    }

    fn clear_public(&self, n: i64) -> Result<(), IndexError> {
        self.database.put("DELETE FROM doc_public WHERE n = ?1", values![n])
    }

    /// The public texts of the newest version.
    fn public(&mut self, n: i64, schema: &str, version: &Version, is_new: bool) -> Result<(), IndexError> {
        if !is_new {
            self.clear_public(n)?;
        }
        if version.content.public.is_empty() {
            return Ok(());
        }
        let fields = self.text_fields(schema, version.content.schema_version)?;
        let mut texts = BTreeMap::new();
        for public in &version.content.public {
            let Some(Some(field)) = fields.get(usize::from(public.slot)) else { continue };
            // As in the commitment: JSON. What is no text is not searched.
            let Ok(text) = serde_json::from_str::<String>(&public.value) else { continue };
            let value: String = text.trim().chars().take(TEXT_CHARS_MAX).collect();
            if !value.is_empty() {
                texts.insert(self.words.text(self.database, field)?, value);
            }
        }
        for (field, value) in texts {
            let sql = "INSERT INTO doc_public(n, field, value, match) VALUES (?1, ?2, ?3, ?4)";
            self.database.write(sql, values![n, field, &value, &value.to_lowercase()])?;
        }
        Ok(())
    }

    fn text_fields(&mut self, name: &str, version: u32) -> Result<TextFields, IndexError> {
        let key = (name.to_owned(), version);
        if let Some(fields) = self.schemas.0.get(&key) {
            return Ok(Arc::clone(fields));
        }
        let Some(schema) = self.records.schema(name, version)? else { return Ok(TextFields::default()) };
        let is_text = |kind| matches!(kind, FieldKind::Text | FieldKind::Code);
        let fields = schema.definition.fields;
        let fields: TextFields = Arc::new(fields.into_iter().map(|f| is_text(f.kind).then_some(f.name)).collect());
        if self.schemas.0.len() >= SCHEMAS_MAX {
            self.schemas.0.clear();
        }
        self.schemas.0.insert(key, Arc::clone(&fields));
        Ok(fields)
    }

    /// Grants made since the last one that is known, and the open ones of the document, of which one may have ended.
    fn grants(&mut self, id: &DocumentId) -> Result<(), IndexError> {
        let count = Seed::Grants.count(self.records)?;
        for number in uint(self.numbers.grants.number()).saturating_add(1)..=count {
            let Some(grant) = self.records.grant(number)? else { continue };
            // Later ones are younger still, and while the index catches up there may be very many.
            if grant.at.height > self.height {
                break;
            }
            self.put_grant(number, &grant)?;
        }
        let Some(doc) = self.number_of(id)? else { return Ok(()) };
        let sql = "SELECT n FROM permit WHERE doc = ?1 AND ended = 0";
        let open = self.database.all(sql, values![doc], |row| row.int(0))?;
        open.into_iter().try_for_each(|number| self.grant(uint(number)))
    }

    fn grant(&mut self, number: u64) -> Result<(), IndexError> {
        match self.records.grant(number)?.filter(|grant| grant.at.height <= self.height) {
            Some(grant) => self.put_grant(number, &grant),
            None => Ok(()),
        }
    }

    fn put_grant(&mut self, number: u64, grant: &Grant) -> Result<(), IndexError> {
        let doc = self.number_of(&grant.document)?.unwrap_or(0);
        let (n, ended, record) = (int(number), grant.ended.is_some(), encode(grant));
        if self.numbers.grants.is_new(n) {
            self.numbers.grants.made(n);
            self.tally.add(tally::GRANT, 0, 0, 1);
            let sql = "INSERT INTO permit(n, doc, ended, record) VALUES (?1, ?2, ?3, ?4)";
            return self.database.write(sql, values![n, doc, ended, &record]);
        }
        let is_new = !self.database.exists("SELECT 1 FROM permit WHERE n = ?1", values![n])?;
        self.tally.add(tally::GRANT, 0, 0, i64::from(is_new));
        let sql = "INSERT INTO permit(n, doc, ended, record) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT(n) DO UPDATE SET doc = excluded.doc, ended = excluded.ended, record = excluded.record";
        self.database.put(sql, values![n, doc, ended, &record])
    }

    fn dispute(&mut self, number: u64) -> Result<(), IndexError> {
        let Some(dispute) = self.records.dispute(number)?.filter(|dispute| dispute.opened.height <= self.height) else {
            return Ok(());
        };
        let sql = "SELECT state FROM dispute WHERE n = ?1";
        let is_new = self.numbers.disputes.is_new(int(number));
        let before = if is_new { None } else { self.database.number(sql, values![int(number)])?.map(DisputeState::of) };
        self.numbers.disputes.made(int(number));
        let doc = self.number_of(&dispute.document)?.unwrap_or(0);
        let arbiter = self.words.text(self.database, &dispute.arbiter)?;
        let sql =
            "INSERT INTO dispute(n, doc, state, arbiter, record) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT(n) DO UPDATE
            SET doc = excluded.doc, state = excluded.state, arbiter = excluded.arbiter, record = excluded.record";
        self.database.put(sql, values![int(number), doc, dispute.state.code(), arbiter, &encode(&dispute)])?;
        match before {
            Some(before) => self.tally.add(tally::DISPUTE, before.code(), 0, -1),
            None => self.tally.add_at(hourly::DISPUTE, 0, int(dispute.opened.time_ms.0)),
        }
        self.tally.add(tally::DISPUTE, dispute.state.code(), 0, 1);
        Ok(())
    }

    fn erasure(&mut self, id: &DocumentId) -> Result<(), IndexError> {
        let (Some(erasure), Some(doc)) = (self.records.erasure(id)?, self.number_of(id)?) else { return Ok(()) };
        let sql = "SELECT state FROM erasure WHERE doc = ?1";
        let before = self.database.number(sql, values![doc])?;
        let sql = "INSERT INTO erasure(doc, state, record) VALUES (?1, ?2, ?3)
            ON CONFLICT(doc) DO UPDATE SET state = excluded.state, record = excluded.record";
        self.database.put(sql, values![doc, erasure.state.code(), &encode(&erasure)])?;
        match before.map(ErasureState::of) {
            Some(before) => self.tally.add(tally::ERASURE, before.code(), 0, -1),
            None => self.tally.add_at(hourly::ERASURE, 0, int(erasure.requested.time_ms.0)),
        }
        self.tally.add(tally::ERASURE, erasure.state.code(), 0, 1);
        Ok(())
    }

    /// Relationships recorded since the last one that is known.
    fn new_relationships(&mut self) -> Result<(), IndexError> {
        let count = Seed::Relationships.count(self.records)?;
        (uint(self.numbers.relationships.number()).saturating_add(1)..=count)
            .try_for_each(|number| self.relationship(number))
    }

    fn relationship(&mut self, number: u64) -> Result<(), IndexError> {
        let Some(found) = self.records.relationship(number)? else { return Ok(()) };
        let sql = "SELECT state FROM relationship WHERE n = ?1";
        let is_new = self.numbers.relationships.is_new(int(number));
        let before = if is_new { None } else { self.database.number(sql, values![int(number)])? };
        self.numbers.relationships.made(int(number));
        let member = self.words.text(self.database, &found.member)?;
        let party = self.words.party(self.database, &found.party)?;
        let (kind, state) = (found.kind.code(), found.state.code());
        let sql = "INSERT INTO relationship(n, kind, state, member, party, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT(n) DO UPDATE SET kind = excluded.kind, state = excluded.state, member = excluded.member,
            party = excluded.party, record = excluded.record";
        let record = encode(&found);
        let row = values![int(number), kind, state, member, party, &record];
        // A new one has no company of its own number.
        if is_new {
            self.database.write(sql, row)?;
        } else {
            self.database.put(sql, row)?;
        }
        if let Some(before) = before {
            self.tally.add(tally::RELATIONSHIP, kind, RelationState::of(before).code(), -1);
        }
        self.tally.add(tally::RELATIONSHIP, kind, state, 1);
        Ok(())
    }

    fn anchor(&mut self, data: &[u8], time: i64) -> Result<(), IndexError> {
        let Ok(anchor) = decode::<event::AuditAnchored>("event", data, RECORD_BYTES_MAX) else { return Ok(()) };
        let member = self.words.text(self.database, &anchor.member)?;
        let sql =
            "INSERT INTO anchor(member, node, number, entries, head, height, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT(member, node, number) DO UPDATE SET entries = excluded.entries, head = excluded.head,
            height = excluded.height, time = excluded.time";
        let (number, entries, height) = (int(anchor.number), int(anchor.entries), int(self.height.0));
        self.database.put(sql, values![member, &anchor.node, number, entries, &anchor.head.0, height, time])
    }
}
