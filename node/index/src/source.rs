use vouch_types::{
    AccountId, BlockHash, ContractName, Event, Fuel, Height, NodeId, TimestampMs, TxId,
    codec::Format,
    decode,
    document::{self, Dispute, Document, DocumentId, Erasure, Grant, RECORD_BYTES_MAX, Schema, Version, key},
    relation::{self, Relationship},
};
use wincode::SchemaRead;

/// Why the ledger gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger could not be read: {0}")]
pub struct SourceError(pub String);

/// A final block, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexBlock {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// The hash of the block before.
    pub parent: BlockHash,
    /// Its time.
    pub time: TimestampMs,
    /// Who built it.
    pub proposer: NodeId,
    /// Its transactions in order.
    pub transactions: Vec<IndexTransaction>,
}

/// A transaction of a block with what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexTransaction {
    /// Its id.
    pub id: TxId,
    /// Its first signer.
    pub signer: AccountId,
    /// Its calls: contract and method.
    pub calls: Vec<(ContractName, String)>,
    /// Why it failed, if it did: a code.
    pub code: Option<String>,
    /// Work done.
    pub fuel: Fuel,
    /// What contracts said; none when it failed.
    pub events: Vec<Event>,
}

/// The ledger as the index reads it. Everything is final.
pub trait Source: Send {
    /// The head; `None` while the state is being taken over from others and cannot be read.
    fn head(&self) -> Option<Height>;

    /// The lowest height whose block is kept.
    ///
    /// # Errors
    /// [`SourceError`].
    fn lowest(&self) -> Result<Height, SourceError>;

    /// A block; `None` above the head and where it is not kept.
    ///
    /// # Errors
    /// [`SourceError`].
    fn block(&self, height: Height) -> Result<Option<IndexBlock>, SourceError>;

    /// The hash of the block of a height, also where only its header is kept.
    ///
    /// # Errors
    /// [`SourceError`].
    fn hash(&self, height: Height) -> Result<Option<BlockHash>, SourceError>;

    /// A value of a contract's state at the head.
    ///
    /// # Errors
    /// [`SourceError`].
    fn state(&self, contract: &str, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError>;
}

/// The records of the contracts, out of a source's state.
#[derive(Clone, Copy)]
pub(crate) struct Records<'a>(pub(crate) &'a dyn Source);

impl Records<'_> {
    fn read<T>(&self, contract: &str, key: &[u8]) -> Result<Option<T>, SourceError>
    where
        T: for<'b> SchemaRead<'b, Format, Dst = T>,
    {
        let Some(bytes) = self.0.state(contract, key)? else { return Ok(None) };
        match decode("record of a contract", &bytes, RECORD_BYTES_MAX) {
            Ok(record) => Ok(Some(record)),
            // A contract of another layout under this name is a matter of the chain, and stops no index.
            Err(error) => {
                tracing::error!(contract, key = hex::encode(key), "a record cannot be read: {error}");
                Ok(None)
            }
        }
    }

    fn documents<T>(&self, key: &[u8]) -> Result<Option<T>, SourceError>
    where
        T: for<'b> SchemaRead<'b, Format, Dst = T>,
    {
        self.read(document::CONTRACT, key)
    }

    pub(crate) fn document(&self, id: &DocumentId) -> Result<Option<Document>, SourceError> {
        self.documents(&key::document(id))
    }

    pub(crate) fn version(&self, id: &DocumentId, version: u32) -> Result<Option<Version>, SourceError> {
        self.documents(&key::version(id, version))
    }

    pub(crate) fn schema(&self, name: &str, version: u32) -> Result<Option<Schema>, SourceError> {
        self.documents(&key::schema(name, version))
    }

    pub(crate) fn grant(&self, number: u64) -> Result<Option<Grant>, SourceError> {
        self.documents(&key::grant(number))
    }

    pub(crate) fn dispute(&self, number: u64) -> Result<Option<Dispute>, SourceError> {
        self.documents(&key::dispute(number))
    }

    pub(crate) fn erasure(&self, id: &DocumentId) -> Result<Option<Erasure>, SourceError> {
        self.documents(&key::erasure(id))
    }

    pub(crate) fn erasure_number(&self, number: u64) -> Result<Option<DocumentId>, SourceError> {
        self.documents(&key::erasure_number(number))
    }

    pub(crate) fn relationship(&self, number: u64) -> Result<Option<Relationship>, SourceError> {
        self.read(relation::CONTRACT, &relation::key::relationship(number))
    }

    /// The id of the document with a number among all.
    pub(crate) fn listed(&self, number: u64) -> Result<Option<DocumentId>, SourceError> {
        let bytes = self.0.state(document::CONTRACT, &key::listed(number))?;
        Ok(bytes.and_then(|bytes| Some(DocumentId::new(bytes.try_into().ok()?))))
    }

    /// A counter; 0 when it was never written.
    pub(crate) fn count(&self, contract: &str, key: &[u8]) -> Result<u64, SourceError> {
        Ok(self.read(contract, key)?.unwrap_or(0))
    }
}
