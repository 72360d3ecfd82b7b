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
    DocumentKeys, RecipientKey, SchemaFields, SeededRng,
    attachment::{AttachmentValue, CHUNK_LOG},
    issuing::Content,
};
use vouch_types::{
    ContractName, DocumentRoot, Hash32, Height, Outcome, Receipt, SecretKey, SubjectId, TxId,
    api::{
        AuditRecordView, CallerView, CheckView, Claim, ErasureProgressView, ErasureStatementView, HeldView,
        HoldingView, Page, QueryBody, StagedView, VaultView,
    },
    document::{
        self, Audience, Document, DocumentEntry, DocumentId, KeyRecipient, NewVersion, PartyEntry, ReferenceEntry,
        Schema, Version, VersionKey,
    },
    encode,
    hash::domain_hash,
    light::Fact,
};
use zeroize::Zeroizing;

use crate::{
    Client, DraftFile, Error, ListQuery, Resumption, SubmitOptions, TransactionBuilder,
    client::{escape, list_path},
    issuing::{Issuing, content_of},
    random::random,
    transport::{Body, Call},
    uploads::{Uploader, Way},
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
    /// Files, each with the field that names it, in their order there. Such a field has no entry in `values`.
    pub files: Vec<DraftFile>,
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

/// A document sealed for the own node: what is staged and what is submitted.
pub(crate) struct Prepared {
    pub(crate) id: DocumentId,
    pub(crate) version: u32,
    pub(crate) delivery: Vec<u8>,
    pub(crate) content: NewVersion,
}

impl Prepared {
    /// It is on the chain by this transaction.
    pub(crate) fn submitted(&self, receipt: &Receipt) -> SubmittedDocument {
        SubmittedDocument {
            id: self.id,
            version: self.version,
            root: self.content.root,
            transaction: receipt.tx,
            height: receipt.height,
        }
    }
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

    /// What the node holds about a person, ascending from `after`; at most 50 documents at a time.
    ///
    /// # Errors
    /// `caller.forbidden` for everyone but the person, and at their nodes the members that serve them.
    pub async fn held(&self, subject: SubjectId, query: &ListQuery) -> Result<Page<HeldView>, Error> {
        self.get_signed(list_path(&format!("/api/v1/persons/{subject}/held"), "after", query)).await
    }

    /// Asks a contract for a record.
    pub(crate) async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        contract: &str,
        method: &str,
        arguments: Value,
    ) -> Result<T, Error> {
        let body = QueryBody { arguments, ..QueryBody::default() };
        let answer = self.query(&named(contract), method, body).await?;
        let value = match answer.value {
            Some(value) => value,
            // A record that is not there: in JSON the same as no value, in bytes the absent `Option`.
            None if answer.output.0 == [0] => Value::Null,
            None => return Err(self.bad_answer(format!("{contract}.{method} is not read by its ABI"))),
        };
        serde_json::from_value(value).map_err(|error| self.bad_answer(format!("{contract}.{method}: {error}")))
    }

    pub(crate) fn bad_answer(&self, reason: impl Into<String>) -> Error {
        Error::BadAnswer { node: self.transport.config.nodes.join(", "), reason: reason.into() }
    }

    pub(crate) fn not_as_committed(&self, reason: impl Into<String>) -> Error {
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
        self.submit_document_with(draft, signer, &SubmitOptions::default()).await
    }

    /// The same, for a document with files: they are sealed and sent first. With a resumption, a submission that broke off is taken
    /// up where it ended, also by another process.
    ///
    /// # Errors
    /// As [`Client::submit_document`]; `upload.*` when the node refuses a file; [`Error::File`] for one that cannot be read.
    pub async fn submit_document_with(
        &self,
        draft: &DocumentDraft,
        signer: &SecretKey,
        options: &SubmitOptions,
    ) -> Result<SubmittedDocument, Error> {
        let issuing = self.issuing(&draft.schema, draft.schema_version).await?;
        let resumption = match options.resumption.clone() {
            Some(resumption) => resumption,
            None => Resumption::new(issuing.member())?,
        };
        let id = resumption.document;
        let prepared = self.prepare(&issuing, draft, (id, 1), None, resumption.salt, options).await?;
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
        self.revise_document_with(id, draft, signer, &SubmitOptions::default()).await
    }

    /// The same with files and a resumption.
    ///
    /// # Errors
    /// As [`Client::submit_document_with`].
    pub async fn revise_document_with(
        &self,
        id: DocumentId,
        draft: &DocumentDraft,
        signer: &SecretKey,
        options: &SubmitOptions,
    ) -> Result<SubmittedDocument, Error> {
        let resumption = options.resumption.clone().map_or_else(|| Resumption::of_document(id), Ok)?;
        if resumption.document != id {
            let reason = format!("what is to be taken up is of document {}, not {id}", resumption.document);
            return Err(Error::Construction(reason));
        }
        let unknown = || Error::Construction(format!("there is no document {id}"));
        let latest = self.document(id).await?.ok_or_else(unknown)?.latest;
        if let Some(follows) = options.follows.filter(|follows| *follows != latest) {
            let reason = format!("the newest version of document {id} is {latest}, and what is sent follows {follows}");
            return Err(Error::Construction(reason));
        }
        let before = self.document_version(id, latest).await?.ok_or_else(unknown)?.content.root;
        let version = (id, latest.saturating_add(1));
        let issuing = self.issuing(&draft.schema, draft.schema_version).await?;
        let prepared = self.prepare(&issuing, draft, version, Some(before), resumption.salt, options).await?;
        self.stage(&prepared).await?;
        let arguments = encode(&(id, Hash32(*before.as_bytes()), prepared.content.clone()));
        self.carry_out(&prepared, document::method::REVISE, arguments, signer).await
    }

    async fn prepare(
        &self,
        issuing: &Issuing,
        draft: &DocumentDraft,
        (id, version): (DocumentId, u32),
        previous: Option<DocumentRoot>,
        salt: Hash32,
        options: &SubmitOptions,
    ) -> Result<Prepared, Error> {
        let seed = self.version_seed(salt, (id, version))?;
        let keys = DocumentKeys::generate(&mut SeededRng::from_seed(&seed));
        let mut content = content_of(draft, VersionKey { id, version }, previous);
        self.attach(issuing, draft, &mut content, (&keys, &seed), (options, Way::Send)).await?;
        issuing.seal(content, &keys, &mut SeededRng::from_seed(&random()?))
    }

    /// Sends a draft's files, and puts what names them into the content.
    pub(crate) async fn attach(
        &self,
        issuing: &Issuing,
        draft: &DocumentDraft,
        content: &mut Content,
        (keys, seed): (&DocumentKeys, &Zeroizing<[u8; 32]>),
        (options, way): (&SubmitOptions, Way),
    ) -> Result<(), Error> {
        if draft.files.is_empty() {
            return Ok(());
        }
        let places = places_of(draft, issuing.fields())?;
        // What is wrong with the record is said before anything large is sent.
        content.values.extend(file_values(draft, &stand_ins(draft).await?));
        issuing.commit(content, keys)?;
        let VersionKey { id, version } = content.key;
        let uploader = Uploader { client: self, document: id, version, keys, seed, options };
        let mut named = Vec::with_capacity(draft.files.len());
        for (file, (slot, index)) in draft.files.iter().zip(places) {
            let sealed = match way {
                Way::Send => uploader.upload(file, slot, index).await?,
                Way::Compute => uploader.seal(file, slot, index).await?,
            };
            named.push(sealed.value);
            content.blobs.push(sealed.blob);
        }
        content.values.extend(file_values(draft, &named));
        content.blobs.sort_by_key(|blob| (blob.slot, blob.index));
        Ok(())
    }

    /// From what the keys of a version are made: the account's key, and a salt that is no secret.
    fn version_seed(&self, salt: Hash32, (id, version): (DocumentId, u32)) -> Result<Zeroizing<[u8; 32]>, Error> {
        let missing = || Error::Configuration("for private documents the configuration must have an identity".into());
        let identity = self.transport.config.identity.as_ref().ok_or_else(missing)?;
        let chain = self.known_chain()?;
        let version = version.to_be_bytes();
        let parts = [&identity.key().seed()[..], chain.as_bytes(), &salt.0, id.as_bytes(), &version];
        Ok(Zeroizing::new(domain_hash("vouch/version-keys/1", &parts).0))
    }

    pub(crate) fn known_chain(&self) -> Result<vouch_types::ChainId, Error> {
        let missing = || Error::Configuration("for private documents the configuration must name the chain".into());
        self.transport.config.chain.ok_or_else(missing)
    }

    pub(crate) async fn encryption_key(&self, member: &str) -> Result<RecipientKey, Error> {
        let members = self.members().await?.items;
        let found = members.iter().find(|view| view.name == member);
        let key = found.and_then(|view| view.encryption_keys.last()).filter(|key| key.retired.is_none());
        let missing = || Error::Construction(format!("{member} has no encryption key on the chain"));
        Ok(RecipientKey(key.ok_or_else(missing)?.key))
    }

    pub(crate) async fn stage(&self, prepared: &Prepared) -> Result<StagedView, Error> {
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
        let builder = self.recent_builder().await?.call(named(document::CONTRACT), method, arguments);
        let receipt = self.carried(builder, signer).await?;
        Ok(prepared.submitted(&receipt))
    }

    /// Signs, submits, waits until it is final, and checks the proof of its receipt: it did what it should.
    pub(crate) async fn carried(&self, builder: TransactionBuilder, signer: &SecretKey) -> Result<Receipt, Error> {
        let transaction = builder.sign(&[signer])?;
        self.submit(&transaction).await?;
        let (_, verified) = self.proof_when_final(transaction.id, Claim::Receipt, PATIENCE).await?;
        let Fact::Receipt(receipt) = verified.fact else {
            return Err(Error::OtherClaim(format!("it is no receipt of {}", transaction.id)));
        };
        match receipt.outcome {
            Outcome::Success => Ok(receipt),
            Outcome::Failed(failure) => {
                Err(Error::Failed { id: receipt.tx, code: failure.code, message: failure.message })
            }
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

    /// How far a document's erasure is at each member, as any node says it.
    ///
    /// # Errors
    /// `vault.unknown_document` when the chain knows none.
    pub async fn erasure_progress(&self, id: DocumentId) -> Result<ErasureProgressView, Error> {
        self.transport.json(&Call::get(format!("/api/v1/documents/{id}/erasure/progress"))).await
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
        let mut all = CheckView { damages: Vec::new(), next: None };
        loop {
            let from = all.next.take().map(|from| format!("?from={}", escape(&from))).unwrap_or_default();
            let call = Call::post(format!("/api/v1/vault/check{from}"), Body::Json(json!({})));
            let part: CheckView = self.transport.json(&Self::signed(call)).await?;
            all.damages.extend(part.damages);
            if part.next.is_none() {
                return Ok(all);
            }
            all.next = part.next;
        }
    }
}

/// Slot and position of each file.
fn places_of(draft: &DocumentDraft, schema: &SchemaFields) -> Result<Vec<(u16, u16)>, Error> {
    let mut counts: BTreeMap<String, u16> = BTreeMap::new();
    let mut place = |file: &DraftFile| {
        let field = file.field.as_str();
        let slot = schema
            .slot(field)
            .filter(|slot| schema.field(*slot).is_some_and(|field| field.kind == document::FieldKind::Attachment));
        let slot = slot.ok_or_else(|| Error::Construction(format!("field {field} takes no files")))?;
        if draft.values.contains_key(field) {
            return Err(Error::Construction(format!("field {field} has a value and files")));
        }
        let count = counts.entry(field.to_owned()).or_insert(0);
        let index = *count;
        *count = count.saturating_add(1);
        Ok((slot, index))
    };
    draft.files.iter().map(&mut place).collect()
}

/// The fields' values, once each file has its own.
fn file_values(draft: &DocumentDraft, named: &[AttachmentValue]) -> BTreeMap<String, Value> {
    let mut values: BTreeMap<String, Vec<&AttachmentValue>> = BTreeMap::new();
    for (file, value) in draft.files.iter().zip(named) {
        values.entry(file.field.clone()).or_default().push(value);
    }
    values.into_iter().map(|(field, list)| (field, json!(list))).collect()
}

/// Values of the form that files will have.
async fn stand_ins(draft: &DocumentDraft) -> Result<Vec<AttachmentValue>, Error> {
    let mut values = Vec::with_capacity(draft.files.len());
    for file in &draft.files {
        let size = file.size().await?;
        let (media, name) = (file.media.clone(), file.name.clone());
        values.push(AttachmentValue {
            b3: Hash32::ZERO,
            b3_key: Hash32::ZERO,
            chunk_log: CHUNK_LOG,
            media,
            name,
            size,
        });
    }
    Ok(values)
}

pub(crate) fn named(contract: &str) -> ContractName {
    ContractName::new(contract).expect("a name of the product's own contracts has the form of one")
}
