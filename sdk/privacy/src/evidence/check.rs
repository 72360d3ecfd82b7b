//! Judges what stands in the members, contents of files apart.

use std::collections::BTreeSet;

use serde_json::Value;
use vouch_types::{
    ChainId, LightClient, Outcome, ProofError, decode,
    document::{
        self, AuditAnchor, Document, Moment, Schema, Version, VersionKey,
        audit::{self, AuditRecord},
        event::Submitted,
        key,
    },
    light::Fact,
};

use super::{
    EvidenceError,
    content::{
        AttachmentEntry, AuditExtract, Disclosures, DocumentName, History, ProvenRecord, Records, ShownField,
        Submission,
    },
    findings::{AttachmentFinding, AuditFindings, DocumentFindings, FieldFinding, ReferenceFinding, SubmissionFinding},
    member::{Member, Part},
};
use crate::{
    attachment::{AttachmentValue, GROUP_BYTES, GroupHashes, HashKey},
    commitment::{CommitmentError, DocumentHeader, PROOF_PATH_MAX, Rows, SchemaFields, root_from_path},
    construction::{self, ConstructionError},
};

/// What is known of one document before its files are read.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentEvidence {
    /// What the chain says of it.
    pub records: Records,
    /// The fields that were chosen.
    pub disclosures: Disclosures,
    /// The transaction that put it there, where a node still has it.
    pub submission: Option<Submission>,
    /// Files, whole or in pieces.
    pub attachments: Vec<AttachmentEntry>,
}

/// A file of a document as its field gives it: with this its pieces are judged.
pub(super) struct KnownFile {
    pub(super) value: AttachmentValue,
    pub(super) groups: GroupHashes,
}

impl KnownFile {
    pub(super) const fn key(&self) -> HashKey {
        HashKey::Keyed(self.value.b3_key.0)
    }
}

/// Follows the validator sets from genesis.
pub(super) fn light_client(history: &History, chain: ChainId) -> Result<LightClient, EvidenceError> {
    let began = LightClient::from_genesis(chain, &history.genesis, history.first_set.clone());
    let mut client = began.map_err(|error| match error {
        ProofError::WrongChain { actual, expected } => EvidenceError::ForeignChain { actual, expected },
        error => EvidenceError::History(error),
    })?;
    if history.set_changes.len() > vouch_types::light::SET_CHANGES_MAX {
        let (actual, max) = (history.set_changes.len(), vouch_types::light::SET_CHANGES_MAX);
        return Err(EvidenceError::History(ProofError::SetChanges { actual, max }));
    }
    for change in &history.set_changes {
        client.advance(&change.finality, Some(change.next_set.clone())).map_err(|error| match error {
            ProofError::Certificate(_) => {
                EvidenceError::finality(&format!("history at height {}", change.finality.header.height), error)
            }
            error => EvidenceError::History(error),
        })?;
    }
    Ok(client)
}

/// A record under the state root of a final block, and that block's moment.
fn proven<T>(
    client: &LightClient,
    place: &str,
    proven: &ProvenRecord,
    key: Option<&[u8]>,
) -> Result<(T, Moment), EvidenceError>
where
    T: for<'a> wincode::SchemaRead<'a, vouch_types::codec::Format, Dst = T>,
{
    let header = &proven.finality.header;
    client.verify_at(&proven.finality).map_err(|error| EvidenceError::finality(place, error))?;
    proven
        .state
        .verify(&header.state_root)
        .map_err(|error| EvidenceError::StateProof { place: place.to_owned(), error: error.into() })?;
    let other = || EvidenceError::OtherRecord(place.to_owned());
    if key.is_some_and(|key| proven.state.key != key::in_state(key)) {
        return Err(other());
    }
    let value = proven.state.value.as_deref().ok_or_else(other)?;
    let record = decode("record", value, document::RECORD_BYTES_MAX).map_err(|_| other())?;
    Ok((record, Moment { height: header.height, time_ms: header.time }))
}

/// The chain's records of one version.
struct Known {
    key: VersionKey,
    document: Document,
    version: Version,
    schema: Schema,
    fields: SchemaFields,
    as_of: Moment,
    document_as_of: Moment,
}

fn known(client: &LightClient, name: DocumentName, records: &Records) -> Result<Known, EvidenceError> {
    let key = name.key();
    let place = |what: &str| format!("document {key}, {what}");
    let (document, document_as_of): (Document, _) =
        proven(client, &place("record of the document"), &records.document, Some(&key::document(&name.id)))?;
    let version_key = key::version(&name.id, name.version);
    let (version, as_of): (Version, _) =
        proven(client, &place("record of the version"), &records.version, Some(&version_key))?;
    let schema_key = key::schema(&document.schema, version.content.schema_version);
    let (schema, _): (Schema, _) = proven(client, &place("record of the schema"), &records.schema, Some(&schema_key))?;
    let fields = SchemaFields::from_chain(&schema).map_err(|_| EvidenceError::OtherRecord(place("schema")))?;
    Ok(Known { key, document, version, schema, fields, as_of, document_as_of })
}

/// Checks one document.
pub(super) fn check_document(
    client: &LightClient,
    name: DocumentName,
    given: &DocumentEvidence,
) -> Result<(DocumentFindings, Vec<KnownFile>), EvidenceError> {
    let known = known(client, name, &given.records)?;
    check_header(&known, &given.disclosures.header)?;
    check_roots(&known, &given.disclosures)?;
    let fields = check_fields(&known, &given.disclosures)?;
    let submission = given.submission.as_ref().map(|given| check_submission(client, &known, given)).transpose()?;
    let mut files = Vec::with_capacity(given.attachments.len());
    let mut attachments = Vec::with_capacity(given.attachments.len());
    for entry in &given.attachments {
        let (file, found) = check_attachment(known.key, entry, &fields)?;
        files.push(file);
        attachments.push(found);
    }
    Ok((findings(known, fields, submission, attachments), files))
}

/// The header holds nothing but what the chain's records say, so there is one text for it.
fn check_header(known: &Known, text: &str) -> Result<(), EvidenceError> {
    let (document, version) = (&known.document, &known.version);
    let header =
        DocumentHeader::new(&known.fields, &*document.issuer, known.key.id, known.key.version, version.previous_root);
    if header.validate().is_ok() && header.to_json() == text {
        Ok(())
    } else {
        Err(EvidenceError::HeaderChanged(known.key))
    }
}

/// Every disclosure must lead to the root. When all lead to one other root, they are of another commitment.
fn check_roots(known: &Known, given: &Disclosures) -> Result<(), EvidenceError> {
    let slots = known.fields.slots();
    if given.fields.is_empty() || !given.fields.is_sorted_by(|a, b| a.slot < b.slot) {
        return Err(EvidenceError::commitment(known.key, CommitmentError::Disclosure("no fields, or out of order")));
    }
    let header =
        DocumentHeader::from_json(&given.header).map_err(|error| EvidenceError::commitment(known.key, error))?;
    let reached = |field: &ShownField| {
        if field.slot >= slots || field.path.len() > PROOF_PATH_MAX {
            return None;
        }
        root_from_path(&header, field.slot, &field.disclosure, &field.path)
    };
    let roots: Vec<_> = given.fields.iter().map(reached).collect();
    let wanted = Some(known.version.content.root);
    let Some(at) = roots.iter().position(|root| *root != wanted) else { return Ok(()) };
    if roots.len() > 1 && roots[0].is_some() && roots.iter().all(|root| *root == roots[0]) {
        return Err(EvidenceError::RootMismatch(known.key));
    }
    Err(EvidenceError::FieldChanged { document: known.key, field: field_name(known, given.fields[at].slot) })
}

fn field_name(known: &Known, slot: u16) -> String {
    known.fields.field(slot).map_or_else(|| format!("slot {slot}"), |field| field.name.clone())
}

fn check_fields(known: &Known, given: &Disclosures) -> Result<Vec<FieldFinding>, EvidenceError> {
    let document = known.key;
    let header =
        DocumentHeader::from_json(&given.header).map_err(|error| EvidenceError::commitment(document, error))?;
    let mut rows = std::collections::BTreeMap::new();
    for field in &given.fields {
        if let Some(texts) = &field.rows {
            let made = Rows::from_disclosures(field.slot, texts.clone());
            rows.insert(field.slot, made.map_err(|error| EvidenceError::commitment(document, error))?);
        }
    }
    let slots: Vec<_> = given.fields.iter().map(|field| (field.slot, &field.disclosure)).collect();
    construction::check_slots(&header, &slots, &rows, &known.fields, None).map_err(|error| match error {
        ConstructionError::Rows { slot } => EvidenceError::RowsChanged { document, field: field_name(known, slot) },
        error => EvidenceError::Construction { document, error },
    })?;
    let rules = &known.schema.definition.fields;
    let mut found = Vec::with_capacity(slots.len());
    for (slot, disclosure) in slots {
        let fault = |error| EvidenceError::commitment(document, error);
        let said = disclosure.parse().map_err(fault)?;
        let value = rows.get(&slot).map(|rows| rows.values().map(Value::Array)).transpose().map_err(fault)?;
        let rule = rules.get(usize::from(slot)).ok_or_else(|| fault(CommitmentError::Slot(slot)))?;
        found.push(FieldFinding {
            slot,
            name: said.name,
            titles: [rule.title_en.clone(), rule.title_zh.clone()],
            grade: rule.grade,
            value: value.unwrap_or(said.value),
        });
    }
    Ok(found)
}

/// The transaction and its event are in the block that the version's record names, and are about this version.
fn check_submission(
    client: &LightClient,
    known: &Known,
    given: &Submission,
) -> Result<SubmissionFinding, EvidenceError> {
    let fault = |reason: String| EvidenceError::Submission { document: known.key, reason };
    let place = format!("document {}, submission", known.key);
    client.verify_at(&given.finality).map_err(|error| EvidenceError::finality(&place, error))?;
    let header = &given.finality.header;
    let Fact::Transaction { transaction, .. } =
        given.transaction.verify(header).map_err(|error| fault(error.to_string()))?
    else {
        return Err(fault("no transaction".into()));
    };
    let Fact::Event { event, receipt, .. } = given.event.verify(header).map_err(|error| fault(error.to_string()))?
    else {
        return Err(fault("no event".into()));
    };
    let said: Option<Submitted> = decode("event", &event.data, document::RECORD_BYTES_MAX).ok();
    let version = &known.version;
    let is_of_it = |said: &Submitted| {
        (said.id, said.version, said.root) == (known.key.id, known.key.version, version.content.root)
            && said.issuer == known.document.issuer
            && said.category == known.document.category
    };
    if event.contract.as_str() != document::CONTRACT || event.name != "Submitted" || !said.is_some_and(|s| is_of_it(&s))
    {
        return Err(fault("the event is about something else".into()));
    }
    if receipt.tx != transaction.id() || receipt.outcome != Outcome::Success {
        return Err(fault("the receipt is of another transaction, or says that it failed".into()));
    }
    if (header.height, header.time) != (version.submitted.height, version.submitted.time_ms) {
        return Err(fault("the block is not the one that the record names".into()));
    }
    if !transaction.signers().iter().any(|signer| signer.key.account() == version.submitter) {
        return Err(fault("the transaction is not signed by the account that the record names".into()));
    }
    Ok(SubmissionFinding { transaction: transaction.id(), height: header.height, time: header.time })
}

fn check_attachment(
    document: VersionKey,
    entry: &AttachmentEntry,
    fields: &[FieldFinding],
) -> Result<(KnownFile, AttachmentFinding), EvidenceError> {
    let (slot, index) = (entry.slot, entry.index);
    let unknown = || EvidenceError::AttachmentUnknown { document, slot, index };
    let field = fields.iter().find(|field| field.slot == slot).ok_or_else(unknown)?;
    let value = AttachmentValue::list_from(&field.value).and_then(|list| list.into_iter().nth(usize::from(index)));
    let value = value.ok_or_else(unknown)?;
    let groups = GroupHashes { bytes: value.size, hashes: entry.groups.clone() };
    groups
        .verify(&value.b3, &HashKey::Keyed(value.b3_key.0))
        .map_err(|_| EvidenceError::AttachmentHashes { document, file: value.name.clone() })?;
    let mut end = 0;
    for part in &entry.parts {
        let part_end = part.offset.checked_add(part.bytes).filter(|part_end| *part_end <= value.size);
        let is_whole = part.offset.is_multiple_of(GROUP_BYTES)
            && part_end.is_some_and(|at| at == value.size || at.is_multiple_of(GROUP_BYTES))
            && (part.bytes > 0 || value.size == 0);
        let is_next = part.offset >= end;
        end = part_end.filter(|_| is_whole && is_next).ok_or_else(|| {
            EvidenceError::malformed(format!("attachments of {document}"), "pieces that are no whole groups in order")
        })?;
    }
    let found = AttachmentFinding {
        field: field.name.clone(),
        name: value.name.clone(),
        media: value.media.clone(),
        bytes: value.size,
        shown: entry.parts.iter().map(|part| part.bytes).sum(),
    };
    Ok((KnownFile { value, groups }, found))
}

fn findings(
    known: Known,
    fields: Vec<FieldFinding>,
    submission: Option<SubmissionFinding>,
    attachments: Vec<AttachmentFinding>,
) -> DocumentFindings {
    let Known { key, document, version, schema, fields: all, as_of, document_as_of } = known;
    let shown = u16::try_from(fields.len()).unwrap_or(u16::MAX);
    let references = version.content.references.into_iter();
    DocumentFindings {
        id: key.id,
        version: key.version,
        category: document.category,
        schema: document.schema,
        schema_version: version.content.schema_version,
        titles: [schema.definition.title_en, schema.definition.title_zh],
        issuer: document.issuer,
        root: version.content.root,
        state: version.state,
        submitted: version.submitted,
        submitter: version.submitter,
        effective: version.effective,
        ending: version.ending,
        parties: version.content.parties,
        signatures: version.signatures,
        verdicts: [version.accepted, version.rejected],
        references: references
            .map(|entry| ReferenceFinding { name: entry.name, id: entry.id, version: entry.version, is_here: false })
            .collect(),
        latest: document.latest,
        disputes: document.disputes,
        erasure: document.erasure,
        as_of,
        document_as_of,
        hidden: all.slots().saturating_sub(shown),
        fields,
        submission,
        attachments,
    }
}

/// Marks references that are proven here too, and demands that every document hangs together with the first one.
pub(super) fn connect(documents: &mut [DocumentFindings]) -> Result<(), EvidenceError> {
    let names: Vec<VersionKey> =
        documents.iter().map(|found| VersionKey { id: found.id, version: found.version }).collect();
    let mut edges: Vec<(usize, usize)> = Vec::new();
    for (from, document) in documents.iter_mut().enumerate() {
        for reference in &mut document.references {
            let named = VersionKey { id: reference.id, version: reference.version };
            let to = names.iter().position(|name| *name == named);
            reference.is_here = to.is_some();
            edges.extend(to.map(|to| (from, to)));
        }
    }
    let mut reached: BTreeSet<usize> = [0].into();
    loop {
        let before = reached.len();
        for (from, to) in &edges {
            if reached.contains(from) || reached.contains(to) {
                reached.extend([*from, *to]);
            }
        }
        if reached.len() == before {
            break;
        }
    }
    match (0..names.len()).find(|index| !reached.contains(index)) {
        Some(index) => Err(EvidenceError::Unrelated(names[index])),
        None => Ok(()),
    }
}

/// Checks an extract of an access log up to its anchor on the chain.
pub(super) fn check_audit(client: &LightClient, given: &AuditExtract) -> Result<AuditFindings, EvidenceError> {
    let key = key::audit_anchor(&given.member, &given.node, given.anchor_number);
    let (anchor, _): (AuditAnchor, _) = proven(client, "access log, anchor", &given.anchor, Some(&key))?;
    let count = u64::try_from(given.records.len()).unwrap_or(u64::MAX);
    if count == 0 || given.after.checked_add(count) != Some(anchor.entries) {
        return Err(EvidenceError::AuditAnchor("the records do not end at the one that is anchored"));
    }
    if given.after == 0 && given.previous != vouch_types::Hash32::ZERO {
        return Err(EvidenceError::AuditAnchor("the first record has none before it"));
    }
    let records: Option<Vec<AuditRecord>> =
        given.records.iter().map(|line| line.record().filter(|record| record.fields.is_valid())).collect();
    let records = records.ok_or_else(|| EvidenceError::malformed(Member::Audit.path(), "a record of another form"))?;
    match audit::verify(given.after, given.previous, &records, anchor.head) {
        Ok(()) => Ok(AuditFindings {
            member: given.member.clone(),
            node: given.node.clone(),
            anchored: anchor.at,
            records: given.records.clone(),
        }),
        Err(fault) => Err(EvidenceError::Audit(fault)),
    }
}

/// The members that a document's evidence stands in, and names of its files.
pub(super) fn file_members(number: u16, attachments: &[AttachmentEntry]) -> Vec<(Member, u64)> {
    let parts = attachments.iter().flat_map(|entry| {
        entry.parts.iter().map(move |part| {
            let file = Part::File { slot: entry.slot, index: entry.index, offset: part.offset };
            (Member::Document(number, file), part.bytes)
        })
    });
    parts.collect()
}
