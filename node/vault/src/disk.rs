//! The vault's rows in the node's storage: how keys are made, how values are read, and one sync per step.

use std::sync::Arc;

use vouch_ledger::{Batch, Durability, Storage, Table};
use vouch_types::{
    codec::{DECODE_BYTES_MAX, Format},
    decode, encode,
};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    vault::VaultError,
    words::{PeerId, VersionKey},
};

/// Kinds of rows in [`Table::Vault`]: the first byte of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Sequence → an act for the chain.
    Act = b'a',
    /// Document → whose word its erasure waits for.
    Awaited = b'k',
    /// Document, sequence → nothing: which audit records are about it.
    AuditOf = b'u',
    /// Hash of a file whose rows went → nothing: its bytes are to follow.
    Gone = b'd',
    /// Issuer, version → fields possessed.
    ByIssuer = b'i',
    /// Document → how it was erased here.
    Erased = b'e',
    /// Document → how many audit records are about it.
    ReadsOf = b'c',
    /// Hash of a file → its length: it is here whole.
    File = b'f',
    /// Hash of a file, version → nothing: which versions name it.
    FileOf = b'g',
    /// Version → what is held of it.
    Held = b'h',
    /// Name → single facts.
    Meta = b'm',
    /// Hash of a file of which no other row speaks → since when.
    Orphan = b'n',
    /// Peer, version → nothing: what is to be delivered.
    Outbox = b'o',
    /// Version → fields possessed, not said on the chain yet.
    Possession = b'y',
    /// Holder, version → its receipt.
    Receipt = b'r',
    /// Version, holder → nothing.
    ReceiptOf = b'q',
    /// Version → the code by which it was found to be nothing that can be held.
    Unreadable = b'x',
    /// Version → a document waiting for its transaction.
    Staged = b's',
    /// Party → how far its documents were looked through.
    Sweep = b'p',
    /// Version, file → how far it is fetched.
    Transfer = b't',
    /// Version, file → how far a client has uploaded it.
    Upload = b'l',
    /// Version → nothing: what is to be had and is not.
    Wanted = b'w',
}

/// `kind ‖ parts`.
pub(crate) fn row(kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind as u8];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// A peer in a key: algorithm byte and key.
pub(crate) fn peer_bytes(peer: &PeerId) -> [u8; 33] {
    let mut bytes = [peer.algorithm; 33];
    bytes[1..].copy_from_slice(&peer.bytes);
    bytes
}

/// The first key after all that begin with `prefix`; `None` for the end of the table.
pub(crate) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=kept].to_vec();
    end[kept] += 1;
    Some(end)
}

/// The smallest key above `key`.
pub(crate) fn above(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

/// The version at the end of a key.
pub(crate) fn version_at_end(key: &[u8]) -> Result<VersionKey, VaultError> {
    let at = key.len().checked_sub(VersionKey::BYTES);
    at.and_then(|at| VersionKey::from_bytes(&key[at..])).ok_or(VaultError::Damaged { what: "a key without a version" })
}

/// The storage, and whether something is written that is not synced.
pub(crate) struct Disk {
    storage: Arc<dyn Storage>,
    unsynced: bool,
}

impl Disk {
    pub(crate) const fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, unsynced: false }
    }

    /// Writes in order with all other writes; durable with [`Disk::sync`].
    pub(crate) fn apply(&mut self, batch: Batch) -> Result<(), VaultError> {
        if !batch.changes.is_empty() {
            self.unsynced = true;
            self.storage.write(batch, Durability::Buffered)?;
        }
        Ok(())
    }

    /// Makes everything written so far durable: the storage keeps one order, so a synced write takes along all before it.
    pub(crate) fn sync(&mut self) -> Result<(), VaultError> {
        if self.unsynced {
            let mut batch = Batch::new();
            batch.put(Table::Vault, row(Kind::Meta, &[b"synced"]), [1]);
            self.storage.write(batch, Durability::Synced)?;
            self.unsynced = false;
        }
        Ok(())
    }

    pub(crate) fn bytes(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(self.storage.get(table, key)?)
    }

    pub(crate) fn has(&self, key: &[u8]) -> Result<bool, VaultError> {
        Ok(self.storage.get(Table::Vault, key)?.is_some())
    }

    pub(crate) fn get<T>(&self, table: Table, key: &[u8]) -> Result<Option<T>, VaultError>
    where
        T: for<'a> SchemaRead<'a, Format, Dst = T>,
    {
        self.storage.get(table, key)?.map(|bytes| read(&bytes)).transpose()
    }

    /// Entries whose keys begin with `prefix` and are not below `from`.
    pub(crate) fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        from: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<vouch_ledger::storage::Entry>, VaultError> {
        let from = from.map_or(prefix, |from| from.max(prefix));
        Ok(self.storage.scan(table, from, end_of(prefix).as_deref(), limit)?)
    }

    /// The last entry whose key begins with `prefix`.
    pub(crate) fn last(&self, table: Table, prefix: &[u8]) -> Result<Option<vouch_ledger::storage::Entry>, VaultError> {
        let last = self.storage.last(table, end_of(prefix).as_deref())?;
        Ok(last.filter(|(key, _)| key.starts_with(prefix)))
    }
}

/// Decodes what this node wrote.
pub(crate) fn read<T>(bytes: &[u8]) -> Result<T, VaultError>
where
    T: for<'a> SchemaRead<'a, Format, Dst = T>,
{
    decode("vault row", bytes, DECODE_BYTES_MAX).map_err(|_| VaultError::Damaged { what: "a row does not decode" })
}

/// Puts an encoded row into [`Table::Vault`].
pub(crate) fn put<T>(batch: &mut Batch, key: Vec<u8>, value: &T)
where
    T: SchemaWrite<Format, Src = T>,
{
    batch.put(Table::Vault, key, encode(value));
}

/// Puts a row whose key says it all.
pub(crate) fn mark(batch: &mut Batch, key: Vec<u8>) {
    batch.put(Table::Vault, key, []);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        assert_eq!(end_of(b"ab").unwrap(), b"ac");
        assert_eq!(end_of(b"a\xff\xff").unwrap(), b"b");
        assert_eq!(end_of(b"\xff"), None);
        assert!(above(b"ab").as_slice() > b"ab".as_slice() && above(b"ab").as_slice() < b"ab\x01".as_slice());
    }
}
