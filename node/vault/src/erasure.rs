//! Erasure: the document's key is destroyed first, then everything that lies here of it; then it is attested.
//!
//! The key lies apart from the storage, and its place keeps a mark. So a backup of the storage from before cannot bring the
//! document back: without the key its copy is noise, and the mark says that it is to go.

use vouch_ledger::{Batch, Table};
use vouch_types::{Hash32, Height, Signature, document::ErasureState, encode, hash::domain_hash};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    acts::Act,
    disk::{Kind, put, row, version_at_end},
    message::Receipt,
    reconcile::issuer_bytes,
    shelf::Shelved,
    vault::{Effect, Vault, VaultError},
    words::{DocumentId, FieldSet, PeerId, VersionKey},
};

/// "Keys and ciphertext of this document are destroyed here": kept by the node, its hash stands on the chain.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ErasureStatement {
    /// The document.
    pub id: DocumentId,
    /// The member.
    pub member: String,
    /// Versions of which something lay here.
    pub versions: u32,
    /// The height of the chain.
    pub height: Height,
    /// The node's network key.
    pub node: PeerId,
    /// Its signature over [`ErasureStatement::digest`].
    pub signature: Signature,
}

impl ErasureStatement {
    /// What is signed, and what stands on the chain.
    #[must_use]
    pub fn digest(&self, chain: &vouch_types::ChainId) -> Hash32 {
        let statement = encode(&(self.id, self.member.clone(), self.versions, self.height, self.node));
        domain_hash("vouch/erasure/1", &[chain.as_bytes(), &statement])
    }
}

/// Most versions of a document that are looked at; the contract allows far fewer.
const VERSIONS_MAX: usize = 1 << 20;
/// Rows removed in one go of a document's receipts.
const ROWS_MAX: usize = 4_096;

impl Vault {
    /// Whether a document was erased here.
    pub(crate) fn is_erased(&self, id: &DocumentId) -> Result<bool, VaultError> {
        Ok(self.shelf.get(id)? == Shelved::Destroyed)
    }

    /// A document's erasure moved on.
    pub(crate) fn erasure_moved(&mut self, id: &DocumentId) -> Result<(), VaultError> {
        let latest = self.chain.latest(id)?.unwrap_or_default();
        for version in 1..=latest {
            self.consider(&VersionKey { id: *id, version }, false)?;
        }
        self.move_erasure_on(id, false)
    }

    /// Has an erasure go on when its time has come: the contract does nothing by itself. The issuer's nodes do, and when
    /// they are gone, `any_holder` does after a while.
    pub(crate) fn move_erasure_on(&mut self, id: &DocumentId, any_holder: bool) -> Result<(), VaultError> {
        self.await_erasure(id)?;
        let Some(facts) = self.chain.document(&VersionKey { id: *id, version: 1 })? else { return Ok(()) };
        let is_issuer = facts.issuer == self.member;
        let is_under_way = matches!(facts.erasure, ErasureState::Restricted | ErasureState::Ordered);
        if !is_under_way || !(is_issuer || any_holder) {
            return Ok(());
        }
        let Some((step, since_ms)) = self.chain.due_step(id)? else { return Ok(()) };
        if !is_issuer {
            let is_late = since_ms.saturating_add(self.limits.erasure_patience_ms) <= self.chain.time().0;
            let holds = !self.disk.scan(Table::VaultCopies, id.as_bytes(), None, 1)?.is_empty();
            if !is_late || !(holds || self.is_erased(id)?) {
                return Ok(());
            }
        }
        let act = Act::MoveErasure { id: *id, step };
        if self.acts.has(&act) { Ok(()) } else { self.act(act) }
    }

    /// Destroys everything of a document, and says so on the chain. Done again it finishes what was begun.
    pub(crate) fn shred(&mut self, id: &DocumentId) -> Result<(), VaultError> {
        let versions = self.disk.scan(Table::VaultCopies, id.as_bytes(), None, VERSIONS_MAX)?.len();
        let nothing_here = versions == 0 && self.shelf.get(id)? == Shelved::Absent;
        if nothing_here && !self.chain.awaits_erasure(id, &self.member)? {
            return self.remove_all(id);
        }
        // From here on nothing can read it, whatever happens next and whatever backup comes back.
        self.shelf.destroy(id)?;
        if !self.disk.has(&row(Kind::Erased, &[id.as_bytes()]))? {
            self.state_erasure(id, u32::try_from(versions).unwrap_or(u32::MAX))?;
        }
        self.remove_all(id)
    }

    /// Signs that it is gone. The rows go after this, in the same step; without the key they are noise already.
    fn state_erasure(&mut self, id: &DocumentId, versions: u32) -> Result<(), VaultError> {
        let mut statement = ErasureStatement {
            id: *id,
            member: self.member.clone(),
            versions,
            height: self.chain.head(),
            node: self.own,
            signature: Signature([0; 64]),
        };
        let digest = statement.digest(&self.chain_id);
        statement.signature = self.network.sign(digest.as_bytes());
        let mut batch = Batch::new();
        put(&mut batch, row(Kind::Erased, &[id.as_bytes()]), &statement);
        self.counters.shredded += 1;
        self.out.push(Effect::Shredded(*id));
        self.act_with(batch, [Act::AttestErasure { id: *id, receipt: digest }])
    }

    /// What this node said when it shredded a document.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn erasure_statement(&self, id: &DocumentId) -> Result<Option<ErasureStatement>, VaultError> {
        self.disk.get(Table::Vault, &row(Kind::Erased, &[id.as_bytes()]))
    }

    /// Removes every row and file of a document.
    pub(crate) fn remove_all(&mut self, id: &DocumentId) -> Result<(), VaultError> {
        for (key, _) in self.disk.scan(Table::VaultCopies, id.as_bytes(), None, VERSIONS_MAX)? {
            self.forget_copy(&version_at_end(&key)?)?;
        }
        let mut batch = Batch::new();
        for kind in [Kind::Unreadable, Kind::Wanted, Kind::Staged, Kind::Held, Kind::Transfer, Kind::Possession] {
            for (key, _) in self.disk.scan(Table::Vault, &row(kind, &[id.as_bytes()]), None, usize::MAX)? {
                batch.delete(Table::Vault, key);
            }
        }
        self.outbox.forget(id);
        self.fetches.forget(id);
        self.transfers.forget(id);
        self.openings.forget(id);
        self.disk.apply(batch)?;
        self.drop_uploads_of(id)?;
        loop {
            let prefix = row(Kind::ReceiptOf, &[id.as_bytes()]);
            let rows = self.disk.scan(Table::Vault, &prefix, None, ROWS_MAX)?;
            for (key, _) in &rows {
                self.remove_receipt(key)?;
            }
            if rows.len() < ROWS_MAX {
                return Ok(());
            }
        }
    }

    /// Removes the receipt that a row of [`Kind::ReceiptOf`] stands for.
    fn remove_receipt(&mut self, key: &[u8]) -> Result<(), VaultError> {
        const FRONT: usize = 1 + VersionKey::BYTES;
        let version = version_at_end(&key[..FRONT])?;
        let receipt = row(Kind::Receipt, &[&key[FRONT..], &version.to_bytes()]);
        if let Some(kept) = self.disk.get::<Receipt>(Table::Vault, &receipt)? {
            return self.forget_receipt(&kept.holder, &version, &kept.fields);
        }
        let mut batch = Batch::new();
        batch.delete(Table::Vault, key);
        self.disk.apply(batch)
    }

    /// Removes a version's copy, keys, files and what follows of them.
    pub(crate) fn forget_copy(&mut self, key: &VersionKey) -> Result<(), VaultError> {
        let mut batch = Batch::new();
        // A copy that cannot even be decoded names no files; without its key what stays of them is noise.
        if let Some(copy) = self.copy(key)? {
            // Also those of a field that was dropped since it was damaged, and has not come back.
            let all = FieldSet::first(u16::try_from(copy.sealed.slots.len()).unwrap_or(u16::MAX));
            for blob in copy.files_of(&all) {
                self.remove_file(key, blob, &mut batch)?;
            }
        }
        let held = row(Kind::Held, &[&key.to_bytes()]);
        if let Some(row_held) = self.disk.get::<crate::hold::Held>(Table::Vault, &held)? {
            let by_issuer = row(Kind::ByIssuer, &[&issuer_bytes(&row_held.issuer), &key.to_bytes()]);
            let listed = self.disk.get::<FieldSet>(Table::Vault, &by_issuer)?.unwrap_or_default();
            self.reconciliation.possession_changed(&row_held.issuer, key, &listed, &FieldSet::new());
            batch.delete(Table::Vault, by_issuer);
        }
        batch.delete(Table::Vault, held);
        batch.delete(Table::VaultCopies, key.to_bytes());
        batch.delete(Table::VaultKeys, key.to_bytes());
        for (transfer, _) in self.disk.scan(Table::Vault, &row(Kind::Transfer, &[&key.to_bytes()]), None, usize::MAX)? {
            batch.delete(Table::Vault, transfer);
        }
        self.transfers.forget(&key.id);
        self.disk.apply(batch)
    }
}
