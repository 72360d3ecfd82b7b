//! Turns what the ledger keeps into what the API shows, with values read by each contract's ABI where that is possible.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use vouch_ledger::{Published, Reader, Registry, kernel, keys::SYSTEM, reader::StoredBlock};
use vouch_types::{
    CodeHash, ContractName, Height, Transaction,
    abi::Abi,
    api::{BlockDetail, BlockSummary, CallView, EventView, FinalBlock, HexBytes, ReceiptView, TransactionView},
    decode,
    transaction::TRANSACTION_BYTES_MAX,
};

/// Most ABIs kept.
const ABIS_MAX: usize = 256;

/// ABIs of deployed contracts by code hash.
#[derive(Debug, Default)]
pub struct Abis(Mutex<BTreeMap<CodeHash, Option<Arc<Abi>>>>);

impl Abis {
    /// The ABI of a contract, if it is deployed and describes itself readably.
    pub fn of(&self, reader: &Reader, registry: &Registry, contract: &ContractName) -> Option<Arc<Abi>> {
        let hash = match registry.contracts.get(contract) {
            Some(record) => record.code,
            None if contract.as_str() == SYSTEM => CodeHash::ZERO,
            None => return None,
        };
        let kept = |abis: &Self| abis.0.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some(known) = kept(self) {
            return known;
        }
        let text = if hash == CodeHash::ZERO {
            Some(kernel::ABI_JSON.to_owned())
        } else {
            reader.abi_json(&hash).ok().flatten()
        };
        let abi = text.and_then(|text| Abi::from_json(&text).ok()).map(Arc::new);
        let mut abis = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if abis.len() >= ABIS_MAX {
            abis.clear();
        }
        abis.insert(hash, abi.clone());
        abi
    }
}

/// A block in a line.
pub fn summary(block: &StoredBlock, registry: &Registry) -> BlockSummary {
    let bytes: usize = block.transactions.iter().map(Vec::len).sum();
    BlockSummary {
        height: block.header.height,
        hash: block.header.hash(),
        time: block.header.time,
        proposer: block.header.proposer,
        proposer_name: registry.nodes.get(&block.header.proposer).map(|n| n.name.clone()),
        round: block.certificate.round,
        transactions: count(block.transactions.len()),
        bytes: count(bytes),
        state_root: block.header.state_root,
    }
}

/// A block with its transactions' ids; `head` is the last one known.
pub fn block_detail(block: &StoredBlock, head: Height, registry: &Registry) -> BlockDetail {
    BlockDetail {
        head,
        summary: summary(block, registry),
        header: block.header.clone(),
        certificate: block.certificate.clone(),
        transactions: block.records.iter().map(|record| record.receipt.tx).collect(),
    }
}

/// A block with everything in it.
pub fn final_block(block: &StoredBlock, reader: &Reader, at: &Published, abis: &Abis) -> FinalBlock {
    let summary = summary(block, &at.registry);
    let transactions =
        (0..block.transactions.len()).filter_map(|index| transaction(block, index, reader, at, abis)).collect();
    FinalBlock { summary, header: block.header.clone(), certificate: block.certificate.clone(), transactions }
}

/// One transaction of a block.
pub fn transaction(
    block: &StoredBlock,
    index: usize,
    reader: &Reader,
    at: &Published,
    abis: &Abis,
) -> Option<TransactionView> {
    let raw = block.transactions.get(index)?;
    let record = block.records.get(index)?;
    let tx: Transaction = decode("transaction", raw, TRANSACTION_BYTES_MAX).ok()?;
    let abi = |name: &ContractName| abis.of(reader, &at.registry, name);
    let calls: Vec<CallView> = tx
        .body
        .calls
        .iter()
        .map(|call| CallView {
            contract: call.contract.clone(),
            method: call.method.clone(),
            arguments_value: abi(&call.contract).and_then(|a| a.decode_arguments(&call.method, &call.arguments).ok()),
            arguments: HexBytes(call.arguments.clone()),
        })
        .collect();
    let output_value: Option<Value> = tx
        .body
        .calls
        .last()
        .filter(|_| !record.output.is_empty())
        .and_then(|call| abi(&call.contract)?.decode_result(&call.method, &record.output).ok());
    let events = (0..)
        .zip(&record.events)
        .map(|(position, event)| EventView {
            fields: abi(&event.contract).and_then(|a| a.decode_event(&event.name, &event.data).ok()),
            ..EventView::new(position, event)
        })
        .collect();
    Some(TransactionView {
        id: record.receipt.tx,
        height: block.header.height,
        index: record.receipt.index,
        block: block.header.hash(),
        time: block.header.time,
        expiry: tx.body.expiry,
        signers: tx.signatures.iter().map(|s| s.key.account()).collect(),
        calls,
        bytes: count(raw.len()),
        receipt: ReceiptView::from(&record.receipt),
        output: HexBytes(record.output.clone()),
        output_value,
        events,
    })
}

/// A count as the API shows it; nothing that is counted here reaches the bound.
pub fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
