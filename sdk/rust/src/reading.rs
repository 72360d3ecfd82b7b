//! Reading private documents: what a node shows is checked here against what the chain's state proves.
//!
//! Deliberately not here: who may see what, which the contract decides.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use vouch_privacy::{
    DocumentHeader, SchemaFields,
    reading::{Expected, check_fields},
};
use vouch_types::{
    DocumentRoot, Height,
    api::{DocumentReading, ReadDocumentRequest},
    codec::decode,
    document::{self, DocumentId, FieldSet, Version, VersionKey},
    light::Fact,
};

use crate::{
    Client, Error,
    documents::named,
    transport::{Body, Call},
};

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

/// A version as the chain's state proves it.
pub(crate) struct Named {
    pub(crate) proven: Version,
    pub(crate) proven_at: Height,
    pub(crate) issuer: String,
    pub(crate) schema: SchemaFields,
}

/// Fields of a version as they were shown, and what they were checked against.
pub(crate) struct CheckedReading {
    pub(crate) reading: DocumentReading,
    pub(crate) version: Version,
    pub(crate) proven_at: Height,
    pub(crate) schema: String,
    pub(crate) header: DocumentHeader,
    pub(crate) fields: BTreeMap<String, Value>,
}

impl Client {
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
        let CheckedReading { reading, version: proven, proven_at, header, fields, .. } =
            self.checked_reading(id, version, fields, purpose, false).await?;
        let root = proven.content.root;
        let (issuer, schema) = (header.issuer, header.schema);
        Ok(DocumentFields { document: id, version, issuer, schema, root, proven_at, fields, reason: reading.reason })
    }

    /// The same with everything that proves it. `export` says in the read audit that it leaves.
    pub(crate) async fn checked_reading(
        &self,
        id: DocumentId,
        version: u32,
        fields: Option<&[String]>,
        purpose: &str,
        export: bool,
    ) -> Result<CheckedReading, Error> {
        let Named { proven, proven_at, issuer, schema } = self.named_version(id, version).await?;
        let request = ReadDocumentRequest { purpose: purpose.to_owned(), fields: wanted(fields, &schema)?, export };
        let path = format!("/api/v1/documents/{id}/versions/{version}/read");
        let call = Self::signed(Call::post(path, Body::Json(json!(request))));
        let reading: DocumentReading = self.transport.json(&call).await?;
        let Version { content, .. } = &proven;
        let (root, blob_root) = (content.root, content.blob_root);
        let key = VersionKey { id, version };
        let checked = check_fields(&reading, &Expected { key, issuer: &issuer, root, blob_root, schema: &schema });
        let (header, fields) = checked.map_err(|reason| self.not_as_committed(reason))?;
        let schema = header.schema.clone();
        Ok(CheckedReading { reading, version: proven, proven_at, schema, header, fields })
    }

    /// What the chain's state proves of a version, with its schema.
    pub(crate) async fn named_version(&self, id: DocumentId, version: u32) -> Result<Named, Error> {
        let (proven, proven_at) = self.proven_version(id, version).await?;
        let document = self.document(id).await?.ok_or_else(|| self.bad_answer(format!("it knows no document {id}")))?;
        let schema = self.schema(&document.schema, Some(proven.content.schema_version)).await?;
        let schema = schema.ok_or_else(|| self.bad_answer(format!("it knows no schema {}", document.schema)))?;
        let schema = SchemaFields::from_chain(&schema).map_err(|error| Error::Construction(error.to_string()))?;
        Ok(Named { proven, proven_at, issuer: document.issuer, schema })
    }

    /// A version's record as the chain's state proves it, with the height of that state.
    ///
    /// # Errors
    /// [`Error::Proof`]; `vault.unknown_document` when there is none.
    pub async fn proven_version(&self, id: DocumentId, version: u32) -> Result<(Version, Height), Error> {
        let key = document::key::version(&id, version);
        let Some((value, height)) = self.proven_value(&key).await? else {
            let detail = format!("the chain knows no version {version} of document {id}");
            let problem = Box::new(vouch_types::api::Problem::new("vault.unknown_document", detail));
            return Err(Error::Refused { problem, node: String::new(), retry_after_s: None });
        };
        let other = || Error::OtherClaim(format!("asked was about version {version} of document {id}"));
        let record = decode::<Version>("version", &value, document::RECORD_BYTES_MAX).map_err(|_| other())?;
        if record.version == version { Ok((record, height)) } else { Err(other()) }
    }

    /// What the contract `documents` keeps under a key, as the chain's state proves it, with the height of that state. `None` is
    /// the node's word only: the tree proves presence, not absence.
    pub(crate) async fn proven_value(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Height)>, Error> {
        self.proven_state(document::CONTRACT, key).await
    }

    /// The same of any contract of the product's own.
    pub(crate) async fn proven_state(&self, contract: &str, key: &[u8]) -> Result<Option<(Vec<u8>, Height)>, Error> {
        let chain = self.known_chain()?;
        let view = self.state(&named(contract), key, true).await?;
        let Some(proof) = view.proof else { return Ok(None) };
        let verified = vouch_types::ProofBundle::from_bytes(&proof.0)?.verify(chain)?;
        let expected = [contract.as_bytes(), &[0], key].concat();
        match verified.fact {
            Fact::State { key, value: Some(value) } if key == expected => Ok(Some((value, verified.height))),
            _ => Err(Error::OtherClaim(format!("asked was about another record of the contract {contract}"))),
        }
    }
}

/// The slots of fields by name.
fn wanted(fields: Option<&[String]>, schema: &SchemaFields) -> Result<Option<FieldSet>, Error> {
    let Some(names) = fields else { return Ok(None) };
    let slot = |name: &String| {
        schema.slot(name).ok_or_else(|| Error::Construction(format!("the schema {} has no field {name}", schema.id())))
    };
    names.iter().map(slot).collect::<Result<FieldSet, _>>().map(Some)
}
