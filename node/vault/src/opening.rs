//! Reading files: an opening is decided by the contract and stands in the read audit, once; then the file is read in pieces
//! under it, each of them only as long as the contract still allows it.
//!
//! The node shows ciphertext with the proof that it is the file's, and the key of the field wrapped to a key that the reader
//! made for this opening. The reader opens and compares.

use std::collections::BTreeMap;

use rand_core::Rng as _;
use vouch_privacy::{
    RecipientKey, Wrap,
    attachment::{AttachmentValue, Blob},
    sealing::{BlobNotice, wrap},
};
use vouch_types::{AccountId, Hash32, document::Action};

use crate::{
    audit::Access,
    chain::Question,
    copy,
    files::{Checked, file_key},
    limits::VaultLimits,
    message::FileKey,
    read::{ReadAnswer, ReadRefusal, ReadRequest},
    vault::{Vault, VaultError},
    words::{DocumentId, Now, VersionKey},
};

/// Names an opening; nobody can guess it.
pub type OpeningId = [u8; 16];

/// A wish to read a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// The account that asks; the caller has checked that it is.
    pub actor: AccountId,
    /// Which version.
    pub key: VersionKey,
    /// Which of its files.
    pub file: FileKey,
    /// Why: a code the contract knows.
    pub purpose: String,
    /// The X25519 public key to which the key of the field is wrapped.
    pub recipient: [u8; 32],
}

/// A file that may be read.
#[derive(Debug)]
pub struct OpenedFile {
    /// Names the opening.
    pub opening: OpeningId,
    /// The field that names the file, with what proves it.
    pub shown: ReadAnswer,
    /// Leaves of all files of the version, in order.
    pub files: Vec<Hash32>,
    /// The file's ciphertext.
    pub blob: Blob,
    /// The field's key.
    pub wrap: Wrap,
    /// When the opening ends, by this node's clock.
    pub until_ms: u64,
}

#[derive(Debug, Clone)]
struct Opening {
    actor: AccountId,
    key: VersionKey,
    blob: Blob,
    purpose: String,
    until_ms: u64,
}

/// Files open for reading. They end with the process.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    open: BTreeMap<OpeningId, Opening>,
}

impl Openings {
    /// Room is made by ending those whose time is over, then the account's oldest, then the oldest of all.
    fn keep(&mut self, limits: &VaultLimits, now_ms: u64, id: OpeningId, opening: Opening) {
        self.open.retain(|_, open| open.until_ms > now_ms);
        let oldest = |open: &BTreeMap<OpeningId, Opening>, of: Option<AccountId>| {
            let found = open.iter().filter(|(_, o)| of.is_none_or(|actor| o.actor == actor));
            found.min_by_key(|(_, o)| o.until_ms).map(|(id, _)| *id)
        };
        let own = self.open.values().filter(|open| open.actor == opening.actor).count();
        let over = if own >= limits.openings_per_account_max {
            oldest(&self.open, Some(opening.actor))
        } else if self.open.len() >= limits.openings_max {
            oldest(&self.open, None)
        } else {
            None
        };
        if let Some(over) = over {
            self.open.remove(&over);
        }
        self.open.insert(id, opening);
    }

    pub(crate) fn forget(&mut self, id: &DocumentId) {
        self.open.retain(|_, open| open.key.id != *id);
    }

    pub(crate) fn load(&self) -> usize {
        self.open.len()
    }
}

impl Vault {
    /// Opens a file for an account, or says why not; both stand in the read audit, durably, when it returns.
    ///
    /// # Errors
    /// [`VaultError`]: the node must stop, and nothing was shown.
    pub fn open_file(
        &mut self,
        now: Now,
        request: &OpenRequest,
    ) -> Result<Result<OpenedFile, ReadRefusal>, VaultError> {
        self.now = now;
        let field = ReadRequest {
            actor: request.actor,
            key: request.key,
            fields: Some([request.file.slot].into_iter().collect()),
            purpose: request.purpose.clone(),
            access: Access::File,
        };
        let outcome = self.look_up_file(request, &field)?;
        self.record_read(&field, outcome.as_ref().map(|_| [request.file.slot].into_iter().collect()))?;
        Ok(outcome)
    }

    /// `field` is the reading of the field that names the file.
    fn look_up_file(
        &mut self,
        request: &OpenRequest,
        field: &ReadRequest,
    ) -> Result<Result<OpenedFile, ReadRefusal>, VaultError> {
        let key = &request.key;
        let shown = match self.look_up(field)? {
            Ok(shown) => shown,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let said = shown.disclosures.first().and_then(|(_, disclosure)| disclosure.parse().ok());
        let named = said.and_then(|said| AttachmentValue::list_from(&said.value)).map_or(0, |list| list.len());
        if usize::from(request.file.index) >= named {
            return Ok(Err(ReadRefusal::NoFile));
        }
        let Some(opened) = self.open_copy(key)? else { return Ok(Err(ReadRefusal::NotHere)) };
        let blob = opened.copy.files_of(&opened.held.fields).find(|blob| file_key(blob) == request.file).copied();
        let Some(blob) = blob else { return Ok(Err(ReadRefusal::NotHere)) };
        if !self.has_file(&blob)? {
            self.transfers.encouraged();
            return Ok(Err(ReadRefusal::NotHere));
        }
        let given = opened.keys.restrict(&[request.file.slot].into_iter().collect());
        let recipient = RecipientKey::from_bytes(request.recipient);
        let Ok(wrap) = wrap(&given, &recipient, copy::context(&self.chain_id, key), &mut self.rng) else {
            return Ok(Err(ReadRefusal::Recipient));
        };
        let leaf = |notice: &BlobNotice| match notice {
            BlobNotice::Shown(blob) => blob.leaf(),
            BlobNotice::Hidden(leaf) => *leaf,
        };
        let files = opened.copy.files.iter().map(leaf).collect();
        let mut opening = OpeningId::default();
        self.rng.fill_bytes(&mut opening);
        let keep_ms = self.limits.opening_keep_ms;
        let steady = self.now.steady_ms;
        let kept = Opening {
            actor: request.actor,
            key: *key,
            blob,
            purpose: request.purpose.clone(),
            until_ms: steady.saturating_add(keep_ms),
        };
        self.openings.keep(&self.limits, steady, opening, kept);
        let until_ms = self.now.wall.0.saturating_add(keep_ms);
        Ok(Ok(OpenedFile { opening, shown, files, blob, wrap, until_ms }))
    }

    /// Whether pieces of an opened file may be shown to an account now, and of which ciphertext: the caller cuts them with
    /// [`crate::files::cut_piece`] beside the vault's thread.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn opened_file(
        &mut self,
        now: Now,
        actor: AccountId,
        key: &VersionKey,
        file: FileKey,
        opening: &OpeningId,
    ) -> Result<Result<Blob, ReadRefusal>, VaultError> {
        self.now = now;
        let found = self.openings.open.get(opening).filter(|open| {
            open.actor == actor && open.key == *key && file_key(&open.blob) == file && open.until_ms > now.steady_ms
        });
        let Some(Opening { blob, purpose, .. }) = found.cloned() else { return Ok(Err(ReadRefusal::OpeningUnknown)) };
        if self.is_erased(&key.id)? {
            return Ok(Err(ReadRefusal::Erased));
        }
        let Some(facts) = self.chain.document(key)? else { return Ok(Err(ReadRefusal::Unknown)) };
        if facts.is_to_be_shredded() {
            return Ok(Err(ReadRefusal::Erased));
        }
        let decision = self.chain.may(&Question { actor, action: Action::Read, key: *key, purpose })?;
        if !decision.allowed || !decision.fields.contains(file.slot) {
            self.openings.open.remove(opening);
            return Ok(Err(ReadRefusal::NotAllowed(decision.reason)));
        }
        if !self.has_file(&blob)? {
            return Ok(Err(ReadRefusal::NotHere));
        }
        Ok(Ok(blob))
    }

    /// So many bytes of a file were shown.
    pub const fn file_shown(&mut self, bytes: u64) {
        self.counters.file_bytes_read = self.counters.file_bytes_read.saturating_add(bytes);
    }

    /// A piece could not be cut: finds the bytes that are damaged, and has them fetched anew. `None` when all is well, or the
    /// file cannot be read now, so that it is worth another try. The name of the field comes with it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn find_damage(
        &mut self,
        now: Now,
        key: &VersionKey,
        blob: &Blob,
        from: u64,
        to: u64,
    ) -> Result<Option<(String, u64, u64)>, VaultError> {
        self.now = now;
        if !self.has_file(blob)? {
            return Ok(None);
        }
        let Checked::Damaged(from, to) = self.check_range(key, blob, from, to)? else { return Ok(None) };
        self.sync()?;
        let name = self.field_name(key, blob.slot)?.unwrap_or_else(|| blob.slot.to_string());
        Ok(Some((name, from, to)))
    }

    /// The name of a field of a version, if the chain knows both.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn field_name(&self, key: &VersionKey, slot: u16) -> Result<Option<String>, VaultError> {
        let facts = self.chain.document(key)?;
        Ok(facts.and_then(|facts| facts.schema.field(slot).map(|field| field.name.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_bounded_in_all_and_per_account() {
        let limits = VaultLimits { openings_max: 6, openings_per_account_max: 4, ..VaultLimits::default() };
        let opening = |actor: u8, until_ms| Opening {
            actor: AccountId([actor; 32]),
            key: VersionKey { id: DocumentId::new([actor; 16]), version: 1 },
            blob: Blob { slot: 0, index: 0, bytes: 1, root: Hash32::ZERO },
            purpose: String::new(),
            until_ms,
        };
        let mut openings = Openings::default();
        for n in 0..10 {
            openings.keep(&limits, 0, [n; 16], opening(1, 100 + u64::from(n)));
        }
        assert_eq!(openings.open.keys().map(|id| id[0]).collect::<Vec<_>>(), [6, 7, 8, 9]);
        for n in 20..23 {
            openings.keep(&limits, 0, [n; 16], opening(2, 200));
        }
        assert_eq!(openings.open.keys().map(|id| id[0]).collect::<Vec<_>>(), [7, 8, 9, 20, 21, 22]);
        openings.keep(&limits, 150, [30; 16], opening(3, 300));
        assert_eq!(openings.open.keys().map(|id| id[0]).collect::<Vec<_>>(), [20, 21, 22, 30], "others were over");
        openings.forget(&DocumentId::new([2; 16]));
        assert_eq!(openings.load(), 1);
    }
}
