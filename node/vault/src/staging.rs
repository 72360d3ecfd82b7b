//! Staging: a member's own document lies here, checked and durable, before its transaction goes anywhere.
//!
//! Nobody can tell from a root whether what it commits to was salted, or is by the schema. The submitter's node can, since
//! it has the document: it refuses to stage one that breaks the rules, and lets no submission pass without its document.

use std::collections::BTreeMap;

use vouch_ledger::{Batch, Table};
use vouch_privacy::{attachment::AttachmentValue, sealing::Opened};
use vouch_types::{
    Call, Hash32,
    codec::decode_prefix,
    document::{CONTRACT, NewVersion, PublicField, method},
};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    blobs::Part,
    chain::Facts,
    copy::{self, Copy, Delivery, Sound, Verified},
    disk::{Kind, put, row, version_at_end},
    message::fits_messages,
    shelf::Shelved,
    vault::{Vault, VaultError},
    words::{DocumentId, FieldSet, Now, VersionKey},
};

/// Sensitivity from which a text may not stand in clear.
pub const SENSITIVE_LEVEL: u8 = 3;

/// Finds sensitive plain text: the rules' engine, or a stand-in.
pub trait Scanner: Send {
    /// The highest level, 0 to 4, of what a text holds, and the rule that found it. `field` is the name of the field the
    /// text stands in, if it has one.
    fn level(&self, text: &str, field: Option<&str>) -> (u8, String);
}

/// Why a document or its transaction does not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// The bytes are no delivery.
    #[error("the document cannot be decoded")]
    Malformed,
    /// Its header names another issuer, schema, or a version that cannot come next.
    #[error("the header does not fit: {0}")]
    Header(&'static str),
    /// The schema is not registered.
    #[error("the schema {0} is not registered")]
    Schema(String),
    /// It does not open with this member's key, is not whole, or breaks the rules; the code says how.
    #[error("the document breaks the rules: {0}")]
    Rules(String),
    /// A file it names has not been handed over whole.
    #[error("file {index} of slot {slot} is not here whole")]
    File {
        /// The slot.
        slot: u16,
        /// Its place in the slot.
        index: u16,
    },
    /// Sensitive plain text where everyone can read it.
    #[error("{place} holds sensitive text (rule {rule}); keep it in a private field")]
    Sensitive {
        /// Which field, argument or file name, by its name or place; never the text.
        place: String,
        /// The rule that found it.
        rule: String,
    },
    /// The document was erased.
    #[error("the document was erased")]
    Erased,
    /// Another content is staged or on the chain under this name.
    #[error("another content has this document id and version")]
    Taken,
    /// Too many documents wait for their transactions.
    #[error("too many documents wait for their transactions")]
    Full,
    /// No document is staged for a submission.
    #[error("the document of this submission is not staged at this node")]
    NotStaged,
    /// A submission says something else than the document staged for it.
    #[error("the submission says something else than the staged document: {0}")]
    Differs(&'static str),
    /// Too large to be delivered.
    #[error("the document is too large: at most 4 MiB without its files")]
    TooLarge,
}

impl StageError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "stage.malformed",
            Self::Header(_) => "stage.header",
            Self::Schema(_) => "stage.schema",
            Self::Rules(_) => "stage.rules",
            Self::File { .. } => "stage.file",
            Self::Sensitive { .. } => "stage.sensitive",
            Self::Erased => "stage.erased",
            Self::Taken => "stage.taken",
            Self::Full => "stage.full",
            Self::NotStaged => "stage.not_staged",
            Self::Differs(_) => "stage.differs",
            Self::TooLarge => "stage.too_large",
        }
    }
}

/// A document that may be staged.
struct Checked {
    copy: Copy,
    keys: vouch_privacy::FieldKeySet,
    staged: Staged,
}

/// A staged document in short.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Staged {
    /// Its root, which the submission must name.
    pub root: [u8; 32],
    /// The root over its files; `None` for none.
    pub blob_root: Option<[u8; 32]>,
    /// Registered name of its schema.
    pub schema: String,
    /// Registered version of its schema.
    pub schema_version: u32,
    /// When it was staged: the later of this node's clock and the chain's time.
    pub at_ms: u64,
}

impl Vault {
    /// Takes a document of this member: sealed to the member's own key, all fields, files handed over before. It is durable
    /// when this returns `Ok`.
    ///
    /// # Errors
    /// [`VaultError`]: the node must stop.
    pub fn stage(
        &mut self,
        now: Now,
        delivery: &Delivery,
        root: [u8; 32],
    ) -> Result<Result<Staged, StageError>, VaultError> {
        let staged = self.stage_with_step(now, delivery, root)?;
        if staged.is_ok() {
            self.sync()?;
        }
        Ok(staged)
    }

    /// The same for many: it is durable when the next [`Vault::step`] has returned, and only then may anybody be told so.
    ///
    /// # Errors
    /// [`VaultError`]: the node must stop.
    pub fn stage_with_step(
        &mut self,
        now: Now,
        delivery: &Delivery,
        root: [u8; 32],
    ) -> Result<Result<Staged, StageError>, VaultError> {
        self.now = now;
        let key = delivery.key;
        let checked = match self.check_stage(delivery, root)? {
            Ok(checked) => checked,
            Err(error) => {
                self.counters.stages_refused += 1;
                return Ok(Err(error));
            }
        };
        let Checked { copy, keys, staged } = checked;
        let is_new = self.staged(&key)?.is_none();
        let mut batch = Batch::new();
        self.write_copy(&key, &copy, &keys, &mut batch)?;
        put(&mut batch, row(Kind::Staged, &[&key.to_bytes()]), &staged);
        self.uploads_staged(&key, &copy, &mut batch)?;
        self.disk.apply(batch)?;
        self.staged_count += usize::from(is_new);
        self.counters.stages += 1;
        Ok(Ok(staged))
    }

    fn check_stage(&mut self, delivery: &Delivery, root: [u8; 32]) -> Result<Result<Checked, StageError>, VaultError> {
        let key = delivery.key;
        let Ok(header) = vouch_privacy::DocumentHeader::from_json(&delivery.content.header) else {
            return Ok(Err(StageError::Malformed));
        };
        if let Some(refusal) = self.check_name(delivery, &header)? {
            return Ok(Err(refusal));
        }
        let Some(schema) = self.chain.schema(&header.schema, header.schema_version)? else {
            return Ok(Err(StageError::Schema(header.schema)));
        };
        let blob_root = delivery.content.blob_root().map(|root| root.0);
        let facts = Facts {
            issuer: self.member.clone(),
            schema,
            root,
            blob_root,
            public: Vec::new(),
            erasure: vouch_types::document::ErasureState::None,
        };
        let Sound { copy, keys, opened } = match copy::verify(&self.chain_id, delivery, &facts, self.secrets.as_ref()) {
            Verified::Good(sound) => *sound,
            Verified::Unreadable(code) | Verified::Broken(code) => return Ok(Err(StageError::Rules(code.to_owned()))),
        };
        if let Err(code) = copy::check_rules(&opened, &facts) {
            return Ok(Err(StageError::Rules(code.to_owned())));
        }
        if let Some(refusal) = self.check_files_of(&key, root, &copy, &opened)? {
            return Ok(Err(refusal));
        }
        let staged = Staged {
            root,
            blob_root,
            schema: header.schema,
            schema_version: header.schema_version,
            at_ms: self.now.wall.0.max(self.chain.time().0),
        };
        match self.staged(&key)? {
            Some(old) if old.root != root => Ok(Err(StageError::Taken)),
            None if self.staged_count >= self.limits.staged_max => Ok(Err(StageError::Full)),
            _ => Ok(Ok(Checked { copy, keys, staged })),
        }
    }

    /// Whether a document of this name can be staged now.
    fn check_name(
        &self,
        delivery: &Delivery,
        header: &vouch_privacy::DocumentHeader,
    ) -> Result<Option<StageError>, VaultError> {
        let key = delivery.key;
        if header.document != key.id || header.version != key.version {
            return Ok(Some(StageError::Header("document or version")));
        }
        if header.issuer != self.member {
            return Ok(Some(StageError::Header("issuer")));
        }
        if !self.follows_its_previous(&key, header.previous.map(|root| root.0))? {
            return Ok(Some(StageError::Header("previous root")));
        }
        if delivery.content.fields() != FieldSet::first(header.slots) {
            return Ok(Some(StageError::Rules("sealing.shape".into())));
        }
        if !fits_messages(delivery.to_bytes().len(), header.slots) {
            return Ok(Some(StageError::TooLarge));
        }
        if self.is_erased(&key.id)? {
            return Ok(Some(StageError::Erased));
        }
        Ok(self.chain.document(&key)?.map(|_| StageError::Taken))
    }

    /// Files were uploaded for this version, and their names give nothing away: names end up in addresses and logs.
    fn check_files_of(
        &self,
        key: &VersionKey,
        root: [u8; 32],
        copy: &Copy,
        opened: &Opened,
    ) -> Result<Option<StageError>, VaultError> {
        // What is staged a second time has its files already. Those of another document are not taken: they go with it.
        let again = self.staged(key)?.is_some_and(|staged| staged.root == root);
        for blob in copy.files_of(&copy.fields()) {
            // The row says so, and a document is lost whose file is not: so the disk has to say so too.
            let is_here = self.blobs.size(&blob.root.0, Part::Data).is_ok_and(|size| size == Some(blob.bytes));
            let is_here = blob.bytes == 0 || is_here;
            if !is_here || !self.has_file(blob)? || !(again || self.is_uploaded(key, blob)?) {
                return Ok(Some(StageError::File { slot: blob.slot, index: blob.index }));
            }
        }
        let mut named = BTreeMap::new();
        for field in &opened.fields {
            for (index, file) in (0u16..).zip(AttachmentValue::list_from(&field.said.value).unwrap_or_default()) {
                let (level, rule) = self.scanner.level(&file.name, Some(&field.said.name));
                if level >= SENSITIVE_LEVEL {
                    let place = format!("the name of file {index} of field {}", field.said.name);
                    return Ok(Some(StageError::Sensitive { place, rule }));
                }
                named.insert((field.slot, index), ());
            }
        }
        let listed = copy.files.len();
        let all_named = copy.files_of(&copy.fields()).all(|blob| named.contains_key(&(blob.slot, blob.index)));
        if listed != named.len() || !all_named {
            return Ok(Some(StageError::Rules("vault.files".into())));
        }
        Ok(None)
    }

    /// Whether calls may go to the chain from here: a submission needs its staged document, and nothing in clear may be
    /// sensitive. Calls of other contracts pass.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn admits(&self, calls: &[Call]) -> Result<Result<(), StageError>, VaultError> {
        for call in calls.iter().filter(|call| call.contract.as_str() == CONTRACT) {
            let decoded = match call.method.as_str() {
                method::SUBMIT => decode_prefix::<(DocumentId, String, NewVersion)>("submission", &call.arguments)
                    .map(|((id, schema, new), rest)| (id, Some(schema), new, rest.is_empty())),
                method::REVISE => decode_prefix::<(DocumentId, Hash32, NewVersion)>("submission", &call.arguments)
                    .map(|((id, _, new), rest)| (id, None, new, rest.is_empty())),
                _ => continue,
            };
            let Ok((id, schema, new, true)) = decoded else { return Ok(Err(StageError::Malformed)) };
            if let Err(refusal) = self.admits_submission(&id, schema.as_deref(), &new)? {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }

    fn admits_submission(
        &self,
        id: &DocumentId,
        schema: Option<&str>,
        new: &NewVersion,
    ) -> Result<Result<(), StageError>, VaultError> {
        let prefix = row(Kind::Staged, &[id.as_bytes()]);
        let rows = self.disk.scan(Table::Vault, &prefix, None, usize::MAX)?;
        let mut found = None;
        for (key, value) in rows {
            let staged: Staged = crate::disk::read(&value)?;
            if staged.root == new.root.0 {
                found = Some((version_at_end(&key)?, staged));
            }
        }
        let Some((key, staged)) = found else { return Ok(Err(StageError::NotStaged)) };
        if staged.blob_root != new.blob_root.map(|root| root.0) {
            return Ok(Err(StageError::Differs("files")));
        }
        if staged.schema_version != new.schema_version || schema.is_some_and(|name| name != staged.schema) {
            return Ok(Err(StageError::Differs("schema")));
        }
        let Some(schema) = self.chain.schema(&staged.schema, staged.schema_version)? else {
            return Ok(Err(StageError::Schema(staged.schema)));
        };
        for public in &new.public {
            let name = schema.field(public.slot).map(|field| field.name.as_str());
            let (level, rule) = self.scanner.level(&public.value, name);
            if level >= SENSITIVE_LEVEL {
                let place = format!("the public field {}", name.unwrap_or("?"));
                return Ok(Err(StageError::Sensitive { place, rule }));
            }
        }
        self.public_as_staged(&key, &schema, &new.public)
    }

    fn public_as_staged(
        &self,
        key: &VersionKey,
        schema: &vouch_privacy::SchemaFields,
        public: &[PublicField],
    ) -> Result<Result<(), StageError>, VaultError> {
        let Some((copy, keys)) = self.open_staged(key)? else { return Ok(Err(StageError::NotStaged)) };
        let Ok(opened) = copy::open_all(&copy, &keys) else { return Ok(Err(StageError::NotStaged)) };
        for said in public {
            if !schema.field(said.slot).is_some_and(|field| field.public) {
                return Ok(Err(StageError::Differs("a field that the schema keeps private stands in clear")));
            }
            let field = opened.fields.iter().find(|field| field.slot == said.slot);
            let value = serde_json::from_str::<serde_json::Value>(&said.value).ok();
            if value.is_none() || field.map(|field| &field.said.value) != value.as_ref() {
                return Ok(Err(StageError::Differs("the value of a public field")));
            }
        }
        Ok(Ok(()))
    }

    /// A staged document.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn staged(&self, key: &VersionKey) -> Result<Option<Staged>, VaultError> {
        self.disk.get(Table::Vault, &row(Kind::Staged, &[&key.to_bytes()]))
    }

    pub(crate) fn open_staged(
        &self,
        key: &VersionKey,
    ) -> Result<Option<(Copy, vouch_privacy::FieldKeySet)>, VaultError> {
        let Shelved::Key(shelved) = self.shelf.get(&key.id)? else { return Ok(None) };
        let (Some(copy), Some(sealed)) = (self.copy(key)?, self.disk.bytes(Table::VaultKeys, &key.to_bytes())?) else {
            return Ok(None);
        };
        Ok(copy::unseal_keys(&self.chain_id, &shelved, key, &sealed).map(|keys| (copy, keys)))
    }

    /// Counts what waits here, at the start. Whether something waits for too long is looked at later: the chain may have
    /// it, in a block that was not taken in before the node stopped.
    pub(crate) fn count_stage(&mut self) -> Result<(), VaultError> {
        self.staged_count = self.disk.scan(Table::Vault, &[Kind::Staged as u8], None, usize::MAX)?.len();
        self.count_uploads()?;
        self.stage_check_at = self.now.steady_ms + STAGE_CHECK_MS;
        Ok(())
    }

    /// Staged documents whose transactions never came are forgotten, and so are uploads whose pieces or documents did not. What the chain knows is held, however long that took;
    /// and how late it is the chain's time says: while a node catches up, nothing is.
    pub(crate) fn drop_stale_stage(&mut self) -> Result<(), VaultError> {
        if self.stage_check_at > self.now.steady_ms {
            return Ok(());
        }
        self.stage_check_at = self.now.steady_ms + STAGE_CHECK_MS;
        let rows = self.disk.scan(Table::Vault, &[Kind::Staged as u8], None, usize::MAX)?;
        self.staged_count = rows.len();
        for (row_key, value) in rows {
            let staged: Staged = crate::disk::read(&value)?;
            let key = version_at_end(&row_key)?;
            if staged.at_ms.saturating_add(self.limits.staged_keep_ms) >= self.chain.time().0 {
                continue;
            }
            if self.chain.document(&key)?.is_some() {
                self.consider(&key, false)?;
                continue;
            }
            let mut batch = Batch::new();
            batch.delete(Table::Vault, row_key);
            self.disk.apply(batch)?;
            self.staged_count = self.staged_count.saturating_sub(1);
            self.forget_copy(&key)?;
        }
        self.drop_stale_uploads()
    }
}

/// Time between two looks at what is staged, in milliseconds.
pub(crate) const STAGE_CHECK_MS: u64 = 60_000;
