//! What is put: a draft as it is kept, its content, and the document that is made of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vouch_types::{
    Hash32, SecretKey, SubjectId,
    document::{DocumentId, KeyRecipient, PartyEntry, ReferenceEntry},
    hash::domain_hash,
};

use super::Acts;
use crate::{DocumentDraft, DraftFile, Error, Issuing, Order};

/// The code of errors about a file that cannot be read, or is not what it was: it may be there again tomorrow.
pub(super) const OF_FILE: &str = "document.file_io";

/// A file of a draft.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptFile {
    field: String,
    path: PathBuf,
    name: String,
    media: String,
    /// BLAKE3 of what is in it; what was put by an earlier version lacks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<Hash32>,
}

/// A draft as it is kept.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) name: String,
    /// Counts contents that were refused under this name: each gets an id of its own.
    pub(super) attempt: u32,
    pub(super) schema: String,
    pub(super) schema_version: Option<u32>,
    values: Map<String, Value>,
    parties: Vec<PartyEntry>,
    references: Vec<ReferenceEntry>,
    public: Vec<String>,
    recipients: Vec<KeyRecipient>,
    files: Vec<KeptFile>,
    pub(super) acts: Acts,
}

/// A document that is made from what was put.
pub(super) struct Made {
    pub(super) draft: DocumentDraft,
    pub(super) order: Order,
}

pub(super) fn kept(name: &str, draft: &DocumentDraft, acts: &Acts) -> Result<Kept, Error> {
    let file = |file: &DraftFile| {
        let path = file.path().ok_or_else(|| Error::Construction(format!("the file {} is a stream", file.name)))?;
        let path = path.canonicalize().map_err(|error| Error::file_io(path, error))?;
        let hash = vouch_files::hash(&path).map(Hash32).map_err(|error| Error::file_io(&path, error))?;
        if file.known_content().is_some_and(|known| known != hash) {
            return Err(Error::file_io(&path, "its content is not the one that was named"));
        }
        let (field, name, media) = (file.field.clone(), file.name.clone(), file.media.clone());
        Ok(KeptFile { field, path, name, media, hash: Some(hash) })
    };
    Ok(Kept {
        name: name.to_owned(),
        attempt: 0,
        schema: draft.schema.clone(),
        schema_version: draft.schema_version,
        values: draft.values.clone(),
        parties: draft.parties.clone(),
        references: draft.references.clone(),
        public: draft.public.clone(),
        recipients: draft.recipients.clone(),
        files: draft.files.iter().map(file).collect::<Result<_, Error>>()?,
        acts: acts.clone(),
    })
}

/// Of a draft, however often one was refused under its name.
pub(super) fn content_of(kept: &Kept) -> Result<Hash32, Error> {
    let same = Kept { attempt: 0, ..kept.clone() };
    Ok(domain_hash("vouch/outbox-content/1", &[json(&same)?.as_bytes()]))
}

/// The id of what is put under a name: another one for each content that was refused under it.
pub(super) fn id_of(kept: &Kept, member: &str, signer: &SecretKey) -> DocumentId {
    let of_name = domain_hash("vouch/outbox-id/1", &[signer.seed(), kept.name.as_bytes(), &kept.attempt.to_be_bytes()]);
    let mut chosen = [0; 10];
    chosen.copy_from_slice(&of_name.0[..10]);
    DocumentId::issued(member, chosen)
}

/// What salts and keys of a document come from: another one for each content. `hashes` are those of the files, `version` is the
/// schema's, which counts where the draft names none.
pub(super) fn seed_of(
    kept: &Kept,
    id: DocumentId,
    hashes: &[Hash32],
    version: u32,
    signer: &SecretKey,
) -> Result<[u8; 32], Error> {
    let mut content = json(kept)?;
    content.extend(hashes.iter().map(ToString::to_string));
    if kept.schema_version.is_none() {
        content += " under version ";
        content += &version.to_string();
    }
    Ok(domain_hash("vouch/outbox-seed/1", &[signer.seed(), id.as_bytes(), content.as_bytes()]).0)
}

/// Makes the document under an id, if all files are what they were when it was put.
pub(super) async fn made(
    kept: &Kept,
    issuing: &Issuing,
    register: &[SubjectId],
    id: DocumentId,
    signer: &SecretKey,
) -> Result<Made, Error> {
    let (mut files, mut hashes) = (Vec::with_capacity(kept.files.len()), Vec::with_capacity(kept.files.len()));
    for file in &kept.files {
        let hash = hash_of(file.path.clone()).await?;
        if file.hash.is_some_and(|put| put != hash) {
            return Err(Error::file_io(&file.path, "its content is not the one that was put"));
        }
        hashes.push(hash);
        files.push(DraftFile::from_path(&file.field, &file.path, &file.media)?.named(&file.name).of_content(hash));
    }
    let version = issuing.schema().version;
    let draft = DocumentDraft {
        schema: kept.schema.clone(),
        schema_version: Some(version),
        values: kept.values.clone(),
        parties: kept.parties.clone(),
        references: kept.references.clone(),
        public: kept.public.clone(),
        recipients: kept.recipients.clone(),
        files,
    };
    let order = Order {
        id,
        seed: seed_of(kept, id, &hashes, version, signer)?,
        register: register.to_vec(),
        sign: kept.acts.sign,
        sign_for: kept.acts.sign_for.clone(),
    };
    Ok(Made { draft, order })
}

async fn hash_of(path: PathBuf) -> Result<Hash32, Error> {
    let hash = move || vouch_files::hash(&path).map(Hash32).map_err(|error| Error::file_io(&path, error));
    tokio::task::spawn_blocking(hash).await.map_err(|error| Error::Configuration(error.to_string()))?
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Construction(error.to_string()))
}
