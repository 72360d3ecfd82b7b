//! Private documents: from a record to a final, proven submission; fields read and checked against the chain.
//!
//! Deliberately not here: who may see what, which the contract decides; a member's encryption secret, which its nodes have.
//!
//! ```text
//! DocumentDraft --schema from the chain--> commitment --sealed to the own member--> stage at the own node
//!      --> submit --> final --> proof of the receipt --> SubmittedDocument
//! read --> disclosures --each under the root that the chain's state proves--> DocumentFields
//! ```

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value, json};
use vouch_privacy::{
    Commitment, Disclosure, Document as PlainDocument, DocumentHeader, DocumentKeys, RecipientKey, SchemaFields,
    SeededRng, WrapContext,
    commitment::{Rows, root_of},
    sealing::{seal_with, wrap},
};
use vouch_types::{
    ContractName, DocumentRoot, Hash32, Height, SecretKey, TxId,
    api::{
        AuditRecordView, CallerView, CheckView, Claim, DocumentReading, ErasureStatementView, HoldingView, OutcomeView,
        Page, QueryBody, ReadDocumentRequest, StagedView, TransactionView, VaultView,
    },
    codec::decode,
    document::{
        self, Audience, Document, DocumentEntry, DocumentId, FieldSet, KeyRecipient, NewVersion, PartyEntry,
        PublicField, ReferenceEntry, Schema, Version,
    },
    encode,
    light::Fact,
};

use crate::{
    Client, Error, ListQuery, TransactionBuilder,
    client::list_path,
    random::random,
    transport::{Body, Call},
};

/// Longest wait for a submission to become final.
const PATIENCE: Duration = Duration::from_secs(60);

/// A document to be submitted: values by the names of its schema's fields, and whom it concerns.
#[derive(Clone, Default)]
pub struct DocumentDraft {
    /// Name of its schema.
    pub schema: String,
    /// The schema's version; the newest when left out.
    pub schema_version: Option<u32>,
    /// Values by field. A field of rows has an array; what is left out is committed as absent.
    pub values: Map<String, Value>,
    /// Everyone it concerns.
    pub parties: Vec<PartyEntry>,
    /// Documents it builds on.
    pub references: Vec<ReferenceEntry>,
    /// Names of fields that stand on the chain in clear; the schema must let them.
    pub public: Vec<String>,
    /// Recipients beyond the rules, by key.
    pub recipients: Vec<KeyRecipient>,
}

impl core::fmt::Debug for DocumentDraft {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DocumentDraft")
            .field("schema", &self.schema)
            .field("values", &"<redacted>")
            .finish_non_exhaustive()
    }
}

/// A document that is on the chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubmittedDocument {
    /// Its id.
    pub id: DocumentId,
    /// Its version.
    pub version: u32,
    /// Root of its commitment.
    pub root: DocumentRoot,
    /// The transaction that put it there.
    pub transaction: TxId,
    /// The height of its block.
    pub height: Height,
}

/// Fields of a version, each checked here to be what the chain commits to.
#[derive(Clone, PartialEq, Serialize)]
pub struct DocumentFields {
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// The member that issued it.
    pub issuer: String,
    /// Its schema.
    pub schema: String,
    /// The root, as the chain's state proves it.
    pub root: DocumentRoot,
    /// The height of the block whose state proves it.
    pub proven_at: Height,
    /// Values by field; a field of rows is an array.
    pub fields: BTreeMap<String, Value>,
    /// Why they may be seen: the contract's reason.
    pub reason: String,
}

impl core::fmt::Debug for DocumentFields {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "DocumentFields({} version {}, {} fields)", self.document, self.version, self.fields.len())
    }
}

/// A document sealed for the own node: what is staged and what is submitted.
struct Prepared {
    id: DocumentId,
    version: u32,
    delivery: Vec<u8>,
    content: NewVersion,
}

impl Client {
    pub(crate) fn signed(mut call: Call) -> Call {
        call.is_signed = true;
        call
    }

    async fn get_signed<T: serde::de::DeserializeOwned>(&self, path: impl Into<String>) -> Result<T, Error> {
        self.transport.json(&Self::signed(Call::get(path))).await
    }

    /// Who the node takes this client for.
    ///
    /// # Errors
    /// `caller.*` when the identity is not good at this node.
    pub async fn account(&self) -> Result<CallerView, Error> {
        self.get_signed("/api/v1/account").await
    }

    /// Asks a contract for a record.
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        contract: &str,
        method: &str,
        arguments: Value,
    ) -> Result<T, Error> {
        let body = QueryBody { arguments, ..QueryBody::default() };
        let answer = self.query(&named(contract), method, body).await?;
        let value =
            answer.value.ok_or_else(|| self.bad_answer(format!("{contract}.{method} is not read by its ABI")))?;
        serde_json::from_value(value).map_err(|error| self.bad_answer(format!("{contract}.{method}: {error}")))
    }

    fn bad_answer(&self, reason: impl Into<String>) -> Error {
        Error::BadAnswer { node: self.transport.config.nodes.join(", "), reason: reason.into() }
    }

    fn not_as_committed(&self, reason: impl Into<String>) -> Error {
        Error::NotAsCommitted { node: self.transport.config.nodes.join(", "), reason: reason.into() }
    }

    /// A registered schema; the newest version when none is named. `None` when there is none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn schema(&self, name: &str, version: Option<u32>) -> Result<Option<Schema>, Error> {
        let version = match version {
            Some(version) => version,
            None => self.ask(document::CONTRACT, "schema_versions", json!({ "name": name })).await?,
        };
        self.ask(document::CONTRACT, document::method::SCHEMA, json!({ "name": name, "version": version })).await
    }

    /// What the chain says of a document; `None` when there is none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn document(&self, id: DocumentId) -> Result<Option<Document>, Error> {
        self.ask(document::CONTRACT, document::method::DOCUMENT, json!({ "id": id })).await
    }

    /// What the chain says of a version; `None` when there is none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn document_version(&self, id: DocumentId, version: u32) -> Result<Option<Version>, Error> {
        self.ask(document::CONTRACT, document::method::VERSION, json!({ "id": id, "version": version })).await
    }

    /// Who is entitled to which private fields of a version now.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn audience(&self, id: DocumentId, version: u32) -> Result<Audience, Error> {
        self.ask(document::CONTRACT, document::method::AUDIENCE, json!({ "id": id, "version": version })).await
    }

    /// Documents with numbers above `after`, ascending, at most 50: all of them.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn documents(&self, after: u64, limit: u32) -> Result<Vec<DocumentEntry>, Error> {
        self.ask(document::CONTRACT, document::method::LIST, json!({ "after": after, "limit": limit })).await
    }

    /// Makes a document of a record, stages it at the own member's node, submits it, waits until it is final, and checks the
    /// proof of its receipt. The configuration must name the chain and an identity.
    ///
    /// # Errors
    /// [`Error::Construction`] when the values are not by the schema; `stage.*` when the node refuses it; [`Error::Failed`] with
    /// the contract's code when the chain does.
    pub async fn submit_document(&self, draft: &DocumentDraft, signer: &SecretKey) -> Result<SubmittedDocument, Error> {
        let id = DocumentId::new(random()?);
        let prepared = self.prepare(draft, id, 1, None).await?;
        self.stage(&prepared).await?;
        let arguments = encode(&(id, draft.schema.clone(), prepared.content.clone()));
        self.carry_out(&prepared, document::method::SUBMIT, arguments, signer).await
    }

    /// The same for a new version of a document.
    ///
    /// # Errors
    /// As [`Client::submit_document`].
    pub async fn revise_document(
        &self,
        id: DocumentId,
        draft: &DocumentDraft,
        signer: &SecretKey,
    ) -> Result<SubmittedDocument, Error> {
        let unknown = || Error::Construction(format!("there is no document {id}"));
        let latest = self.document(id).await?.ok_or_else(unknown)?.latest;
        let before = self.document_version(id, latest).await?.ok_or_else(unknown)?.content.root;
        let prepared = self.prepare(draft, id, latest.saturating_add(1), Some(before)).await?;
        self.stage(&prepared).await?;
        let arguments = encode(&(id, Hash32(*before.as_bytes()), prepared.content.clone()));
        self.carry_out(&prepared, document::method::REVISE, arguments, signer).await
    }

    async fn prepare(
        &self,
        draft: &DocumentDraft,
        id: DocumentId,
        version: u32,
        previous: Option<DocumentRoot>,
    ) -> Result<Prepared, Error> {
        let chain = self.known_chain()?;
        let member = self.account().await?.node_member;
        let schema = self.schema(&draft.schema, draft.schema_version).await?;
        let schema = schema.ok_or_else(|| Error::Construction(format!("there is no schema {}", draft.schema)))?;
        let fields = SchemaFields::from_chain(&schema).map_err(|error| Error::Construction(error.to_string()))?;
        let recipient = self.encryption_key(&member).await?;
        let header = DocumentHeader::new(&fields, &*member, id, version, previous);
        let values = draft.values.clone().into_iter().collect();
        let mut rng = SeededRng::from_seed(&random()?);
        let keys = DocumentKeys::generate(&mut rng);
        let fault = |error: &dyn core::fmt::Display| Error::Construction(error.to_string());
        let commitment =
            Commitment::build(&PlainDocument { header, values }, &fields, &keys.secret).map_err(|e| fault(&e))?;
        let sealed = seal_with(&commitment, &keys, &mut rng).map_err(|e| fault(&e))?;
        let context = WrapContext { chain, document: id, version };
        let wrapped = wrap(&keys.all(), &recipient, context, &mut rng).map_err(|e| fault(&e))?;
        let delivery = sealed.deliver(&FieldSet::first(fields.slots()), wrapped, Vec::new());
        let content = NewVersion {
            schema_version: schema.version,
            root: commitment.root(),
            blob_root: None,
            parties: draft.parties.clone(),
            references: draft.references.clone(),
            public: public_fields(draft, &fields, &commitment)?,
            recipients: ascending(&draft.recipients),
        };
        Ok(Prepared { id, version, delivery: encode(&(id, version, delivery)), content })
    }

    fn known_chain(&self) -> Result<vouch_types::ChainId, Error> {
        let missing = || Error::Configuration("for private documents the configuration must name the chain".into());
        self.transport.config.chain.ok_or_else(missing)
    }

    async fn encryption_key(&self, member: &str) -> Result<RecipientKey, Error> {
        let members = self.members().await?.items;
        let found = members.iter().find(|view| view.name == member);
        let key = found.and_then(|view| view.encryption_keys.last()).filter(|key| key.retired.is_none());
        let missing = || Error::Construction(format!("{member} has no encryption key on the chain"));
        Ok(RecipientKey(key.ok_or_else(missing)?.key))
    }

    async fn stage(&self, prepared: &Prepared) -> Result<StagedView, Error> {
        let path = format!("/api/v1/documents/stage?root={}", prepared.content.root);
        let staged: StagedView = self
            .transport
            .json(&Self::signed(Call::post(path, Body::Octets(prepared.delivery.clone().into()))))
            .await?;
        if staged.root == prepared.content.root { Ok(staged) } else { Err(self.bad_answer("it staged another root")) }
    }

    async fn carry_out(
        &self,
        prepared: &Prepared,
        method: &str,
        arguments: Vec<u8>,
        signer: &SecretKey,
    ) -> Result<SubmittedDocument, Error> {
        let builder = self.transaction_builder().await?.call(named(document::CONTRACT), method, arguments);
        let transaction = self.carried(builder, signer).await?;
        Ok(SubmittedDocument {
            id: prepared.id,
            version: prepared.version,
            root: prepared.content.root,
            transaction: transaction.id,
            height: transaction.height,
        })
    }

    /// Signs, submits, waits until it is final and did what it should, and checks the proof of its receipt.
    async fn carried(&self, builder: TransactionBuilder, signer: &SecretKey) -> Result<TransactionView, Error> {
        let transaction = builder.sign(&[signer])?;
        self.submit(&transaction).await?;
        let view = self.wait(transaction.id, PATIENCE).await?;
        if let OutcomeView::Failed { code, message, .. } = &view.receipt.outcome {
            return Err(Error::Failed { id: view.id, code: code.clone(), message: message.clone() });
        }
        let (_, verified) = self.proof(view.id, Claim::Receipt).await?;
        match &verified.fact {
            Fact::Receipt(receipt) if receipt.outcome == vouch_types::Outcome::Success => Ok(view),
            _ => Err(Error::OtherClaim(format!("the receipt of {} does not say that it succeeded", view.id))),
        }
    }

    /// Reads fields of a version for a purpose; all that may be seen when `fields` is `None`. Each is checked to stand under the
    /// root that the chain's state proves: a node cannot show anything else.
    ///
    /// # Errors
    /// `vault.not_allowed` when the contract says no to any field named; [`Error::NotAsCommitted`].
    pub async fn read_document(
        &self,
        id: DocumentId,
        version: u32,
        fields: Option<&[String]>,
        purpose: &str,
    ) -> Result<DocumentFields, Error> {
        let (proven, proven_at) = self.proven_version(id, version).await?;
        let document = self.document(id).await?.ok_or_else(|| self.bad_answer(format!("it knows no document {id}")))?;
        let schema = self.schema(&document.schema, Some(proven.content.schema_version)).await?;
        let schema = schema.ok_or_else(|| self.bad_answer(format!("it knows no schema {}", document.schema)))?;
        let schema = SchemaFields::from_chain(&schema).map_err(|error| Error::Construction(error.to_string()))?;
        let request = ReadDocumentRequest { purpose: purpose.to_owned(), fields: wanted(fields, &schema)? };
        let path = format!("/api/v1/documents/{id}/versions/{version}/read");
        let call = Self::signed(Call::post(path, Body::Json(json!(request))));
        let reading: DocumentReading = self.transport.json(&call).await?;
        let root = proven.content.root;
        let checked = checked_fields(&reading, (id, version), root, &schema);
        let (header, fields) = checked.map_err(|reason| self.not_as_committed(reason))?;
        let (issuer, schema) = (header.issuer, header.schema);
        Ok(DocumentFields { document: id, version, issuer, schema, root, proven_at, fields, reason: reading.reason })
    }

    /// A version's record as the chain's state proves it, with the height of that state.
    ///
    /// # Errors
    /// [`Error::Proof`]; `vault.unknown_document` when there is none.
    pub async fn proven_version(&self, id: DocumentId, version: u32) -> Result<(Version, Height), Error> {
        let chain = self.known_chain()?;
        let key = [b"v".as_slice(), id.as_bytes(), &version.to_be_bytes()].concat();
        let view = self.state(&named(document::CONTRACT), &key, true).await?;
        let Some(proof) = view.proof else {
            let detail = format!("the chain knows no version {version} of document {id}");
            let problem = Box::new(vouch_types::api::Problem::new("vault.unknown_document", detail));
            return Err(Error::Refused { problem, node: String::new(), retry_after_s: None });
        };
        let verified = vouch_types::ProofBundle::from_bytes(&proof.0)?.verify(chain)?;
        let expected = [document::CONTRACT.as_bytes(), &[0], &key].concat();
        let other = || Error::OtherClaim(format!("asked was about version {version} of document {id}"));
        match verified.fact {
            Fact::State { key, value: Some(value) } if key == expected => {
                let record = decode::<Version>("version", &value, document::RECORD_BYTES_MAX).map_err(|_| other())?;
                Ok((record, verified.height))
            }
            _ => Err(other()),
        }
    }

    /// What the own node has of a version, and the receipts that lie there.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn document_holding(&self, id: DocumentId, version: u32) -> Result<HoldingView, Error> {
        self.get_signed(format!("/api/v1/documents/{id}/versions/{version}/holding")).await
    }

    /// Who has read: of one document, or with `None` of the own node as a whole.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn read_audit(&self, id: Option<DocumentId>, list: &ListQuery) -> Result<Page<AuditRecordView>, Error> {
        let path = id.map_or_else(|| "/api/v1/vault/audit".to_owned(), |id| format!("/api/v1/documents/{id}/audit"));
        self.get_signed(list_path(&path, "after", list)).await
    }

    /// The own node's word that it destroyed a document.
    ///
    /// # Errors
    /// `document.no_statement` when it has not.
    pub async fn erasure_statement(&self, id: DocumentId) -> Result<ErasureStatementView, Error> {
        self.get_signed(format!("/api/v1/documents/{id}/erasure")).await
    }

    /// How the own node's vault is.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn vault(&self) -> Result<VaultView, Error> {
        self.get_signed("/api/v1/vault").await
    }

    /// Has the own node check everything at rest.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn check_vault(&self) -> Result<CheckView, Error> {
        self.transport.json(&Self::signed(Call::post("/api/v1/vault/check", Body::Json(json!({}))))).await
    }
}

fn named(contract: &str) -> ContractName {
    ContractName::new(contract).expect("a name of the product's own contracts has the form of one")
}

/// Fields that stand in clear, by slot.
fn public_fields(
    draft: &DocumentDraft,
    schema: &SchemaFields,
    commitment: &Commitment,
) -> Result<Vec<PublicField>, Error> {
    let mut slots: Vec<u16> = Vec::with_capacity(draft.public.len());
    for name in &draft.public {
        let slot = schema.slot(name).filter(|slot| schema.field(*slot).is_some_and(|field| field.public));
        slots.push(slot.ok_or_else(|| Error::Construction(format!("field {name} may not stand in clear")))?);
    }
    slots.sort_unstable();
    slots.dedup();
    let field = |slot: u16| {
        let disclosure = commitment.disclosures().get(usize::from(slot));
        let said = disclosure.and_then(|disclosure| disclosure.parse().ok());
        let said = said.ok_or_else(|| Error::Construction(format!("slot {slot} cannot be read")))?;
        Ok(PublicField { slot, value: said.value.to_string() })
    };
    slots.into_iter().map(field).collect()
}

fn ascending(recipients: &[KeyRecipient]) -> Vec<KeyRecipient> {
    let mut recipients = recipients.to_vec();
    recipients.sort_by_key(|recipient| recipient.key);
    recipients
}

/// The slots of fields by name.
fn wanted(fields: Option<&[String]>, schema: &SchemaFields) -> Result<Option<FieldSet>, Error> {
    let Some(names) = fields else { return Ok(None) };
    let slot = |name: &String| {
        schema.slot(name).ok_or_else(|| Error::Construction(format!("the schema {} has no field {name}", schema.id())))
    };
    names.iter().map(slot).collect::<Result<FieldSet, _>>().map(Some)
}

/// Checks that what a node shows is what the root commits to, by the schema; says what differs.
fn checked_fields(
    reading: &DocumentReading,
    (id, version): (DocumentId, u32),
    root: DocumentRoot,
    schema: &SchemaFields,
) -> Result<(DocumentHeader, BTreeMap<String, Value>), String> {
    let header = DocumentHeader::from_json(&reading.header).map_err(|error| error.to_string())?;
    if (header.document, header.version) != (id, version) || (reading.document, reading.version) != (id, version) {
        return Err("it is another version".into());
    }
    let leaves: Vec<[u8; 32]> = reading.leaves.iter().map(|leaf| leaf.0).collect();
    if root_of(&header, &leaves).map_err(|error| error.to_string())? != root {
        return Err("header and leaves do not lead to the root".into());
    }
    let mut disclosures = Vec::with_capacity(reading.fields.len());
    let mut rows = BTreeMap::new();
    for field in &reading.fields {
        let disclosure = Disclosure::from_text(field.disclosure.clone()).map_err(|error| error.to_string())?;
        if leaves.get(usize::from(field.slot)) != Some(&disclosure.leaf(field.slot)) {
            return Err(format!("the field at slot {} is not under the root", field.slot));
        }
        if let Some(texts) = &field.rows {
            let items = texts.iter().map(|text| Disclosure::from_text(text.clone())).collect::<Result<_, _>>();
            let made = items.and_then(|items| Rows::from_disclosures(field.slot, items));
            rows.insert(field.slot, made.map_err(|error| error.to_string())?);
        }
        disclosures.push((field.slot, disclosure));
    }
    let slots: Vec<_> = disclosures.iter().map(|(slot, disclosure)| (*slot, disclosure)).collect();
    // Names, types, and that rows are those that the field's value names.
    vouch_privacy::construction::check_slots(&header, &slots, &rows, schema, None).map_err(|e| e.to_string())?;
    let mut fields = BTreeMap::new();
    for (slot, disclosure) in slots {
        let said = disclosure.parse().map_err(|error| error.to_string())?;
        let value = match rows.get(&slot) {
            Some(rows) => Value::Array(rows.values().map_err(|error| error.to_string())?),
            None => said.value,
        };
        fields.insert(said.name, value);
    }
    Ok((header, fields))
}
