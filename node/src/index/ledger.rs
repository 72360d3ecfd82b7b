use vouch_index::{IndexBlock, IndexTransaction, Source, SourceError};
use vouch_ledger::{LedgerError, Reader, TransactionRecord};
use vouch_types::{
    AccountId, BlockHash, ContractName, Height, Outcome, Transaction, decode, transaction::TRANSACTION_BYTES_MAX,
};

/// This node's ledger as the index reads it.
pub struct LedgerSource {
    reader: Reader,
}

fn unreadable(error: &LedgerError) -> SourceError {
    SourceError(format!("{}: {error}", error.code()))
}

impl LedgerSource {
    /// Through a reader.
    #[must_use]
    pub const fn new(reader: Reader) -> Self {
        Self { reader }
    }
}

fn transaction(raw: &[u8], record: TransactionRecord) -> Result<IndexTransaction, SourceError> {
    let decoded: Transaction = decode("transaction", raw, TRANSACTION_BYTES_MAX)
        .map_err(|error| SourceError(format!("a transaction of a block: {error}")))?;
    let signer = decoded.signatures.first().map_or(AccountId::ZERO, |signature| signature.key.account());
    let calls = decoded.body.calls.into_iter().map(|call| (call.contract, call.method)).collect();
    let code = match record.receipt.outcome {
        Outcome::Success => None,
        Outcome::Failed(failure) => Some(failure.code),
    };
    let (id, fuel, events) = (record.receipt.tx, record.receipt.fuel_used, record.events);
    Ok(IndexTransaction { id, signer, calls, code, fuel, events })
}

impl Source for LedgerSource {
    fn head(&self) -> Option<Height> {
        let published = self.reader.published();
        (!published.joining).then_some(published.head.height)
    }

    fn lowest(&self) -> Result<Height, SourceError> {
        self.reader.lowest().map_err(|error| unreadable(&error))
    }

    fn block(&self, height: Height) -> Result<Option<IndexBlock>, SourceError> {
        let Some(block) = self.reader.block(height).map_err(|error| unreadable(&error))? else { return Ok(None) };
        let transactions = block.transactions.iter().zip(block.records);
        Ok(Some(IndexBlock {
            height,
            hash: block.header.hash(),
            parent: block.header.parent,
            time: block.header.time,
            proposer: block.header.proposer,
            transactions: transactions.map(|(raw, record)| transaction(raw, record)).collect::<Result<_, _>>()?,
        }))
    }

    fn hash(&self, height: Height) -> Result<Option<BlockHash>, SourceError> {
        let header = self.reader.header(height).map_err(|error| unreadable(&error))?;
        Ok(header.map(|header| header.hash()))
    }

    fn state(&self, contract: &str, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        let Ok(name) = ContractName::new(contract) else { return Ok(None) };
        let value = self.reader.state(&name, key, false).map_err(|error| unreadable(&error))?;
        Ok(value.value)
    }
}
