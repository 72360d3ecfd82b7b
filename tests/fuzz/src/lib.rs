//! What is fuzzed: every reader of bytes that come from outside. Each target takes any bytes and must neither panic nor
//! accept two byte strings for one value.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use vouch_consensus::{ConsensusMessage, Evidence, RecoveredLog};
use vouch_genesis::GenesisDocument;
use vouch_replica::message::{Lane, Message, decode_block};
use vouch_types::{
    AccountId, ChainId, CommitCertificate, Header, Receipt, UnverifiedTransaction, ValidatorSet, abi::Abi, decode,
    encode, light::ProofBundle, state::StateProof,
};
use vouch_vm::{
    CallRequest, Host, HostError, Vm, VmLimits,
    host::{CalleeOutcome, Entries},
};

/// A target and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("abi", abi),
    ("block", block),
    ("certificate", certificate),
    ("consensus_log", consensus_log),
    ("consensus_message", consensus_message),
    ("evidence", evidence),
    ("genesis_bytes", genesis_bytes),
    ("genesis_json", genesis_json),
    ("header", header),
    ("message", message),
    ("module", module),
    ("proof_bundle", proof_bundle),
    ("proof_json", proof_json),
    ("receipt", receipt),
    ("state_proof", state_proof),
    ("transaction", transaction),
    ("validators", validators),
];

const MIB: usize = 1 << 20;

macro_rules! canonical {
    ($ty:ty, $data:expr) => {
        if let Ok(value) = decode::<$ty>("fuzz input", $data, 16 * MIB) {
            assert_eq!(encode(&value), $data, "two byte strings for one value");
        }
    };
}

/// Contract descriptions.
pub fn abi(data: &[u8]) {
    if let Ok(abi) = core::str::from_utf8(data).map_err(drop).and_then(|text| Abi::from_json(text).map_err(drop)) {
        assert_eq!(Abi::from_json(&abi.to_json()).as_ref(), Ok(&abi));
        for method in &abi.methods {
            drop(abi.decode_arguments(&method.name, data));
        }
    }
}

/// Blocks as they travel.
pub fn block(data: &[u8]) {
    if let Ok(block) = decode_block(data) {
        assert_eq!(encode(&block), data, "two byte strings for one block");
    }
}

/// Commit certificates.
pub fn certificate(data: &[u8]) {
    canonical!(CommitCertificate, data);
}

/// The consensus log as read back after a crash.
pub fn consensus_log(data: &[u8]) {
    if let Ok(log) = RecoveredLog::read(data) {
        assert!(log.len as usize + log.torn as usize == data.len());
    }
}

/// Votes, proposals and their certificates.
pub fn consensus_message(data: &[u8]) {
    if let Ok(message) = ConsensusMessage::decode(data) {
        assert_eq!(message.encode(), data, "two byte strings for one message");
    }
}

/// Proofs of contradiction.
pub fn evidence(data: &[u8]) {
    if let Ok(evidence) = Evidence::decode(data) {
        assert_eq!(evidence.encode(), data, "two byte strings for one piece of evidence");
    }
}

/// Genesis documents in their canonical form.
pub fn genesis_bytes(data: &[u8]) {
    if let Ok(document) = GenesisDocument::from_bytes(data) {
        assert_eq!(document.to_bytes().as_deref(), Ok(data));
    }
}

/// Genesis documents as people write them.
pub fn genesis_json(data: &[u8]) {
    if let Ok(document) =
        core::str::from_utf8(data).map_err(drop).and_then(|t| GenesisDocument::from_json(t).map_err(drop))
    {
        assert!(document.chain_id().is_ok());
    }
}

/// Block headers.
pub fn header(data: &[u8]) {
    canonical!(Header, data);
}

/// Whatever a peer sends.
pub fn message(data: &[u8]) {
    for lane in [Lane::Consensus, Lane::Blocks, Lane::Transactions] {
        if let Ok(message) = Message::from_bytes(data, lane) {
            assert_eq!(message.to_bytes(), data, "two byte strings for one message");
            assert_eq!(message.lane(), lane);
        }
    }
}

/// Contract code at deployment.
pub fn module(data: &[u8]) {
    static VM: OnceLock<Vm<Nobody>> = OnceLock::new();
    let vm = VM.get_or_init(|| Vm::new(VmLimits::default()).expect("wasmtime starts on a machine that runs tests"));
    if vm.validate(data).is_ok() {
        drop(vm.compile(data));
    }
}

/// A host that answers nothing: modules are checked and compiled, not run.
#[derive(Debug)]
pub struct Nobody;

const NOTHING: HostError = HostError::Refused { code: "fuzz.no_host", message: String::new() };

impl Host for Nobody {
    fn get(&mut self, _: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        Err(NOTHING)
    }

    fn put(&mut self, _: &[u8], _: &[u8]) -> Result<(), HostError> {
        Err(NOTHING)
    }

    fn delete(&mut self, _: &[u8]) -> Result<(), HostError> {
        Err(NOTHING)
    }

    fn scan(&mut self, _: &[u8], _: Option<&[u8]>, _: u32, _: u64) -> Result<(Entries, u64), HostError> {
        Err(NOTHING)
    }

    fn event(&mut self, _: &str, _: &[u8]) -> Result<(), HostError> {
        Err(NOTHING)
    }

    fn call(&mut self, _: CallRequest) -> Result<CalleeOutcome, HostError> {
        Err(NOTHING)
    }

    fn membership(&mut self, _: &AccountId) -> Result<Option<(String, String)>, HostError> {
        Err(NOTHING)
    }

    fn member(&mut self, _: &str) -> Result<Option<(String, bool)>, HostError> {
        Err(NOTHING)
    }

    fn account_roles(&mut self, _: &AccountId) -> Result<Vec<String>, HostError> {
        Err(NOTHING)
    }
}

/// Proofs in their canonical form.
pub fn proof_bundle(data: &[u8]) {
    if let Ok(bundle) = ProofBundle::from_bytes(data) {
        assert_eq!(bundle.to_bytes(), data, "two byte strings for one proof");
        drop(bundle.verify(ChainId::ZERO));
    }
}

/// Proofs as files.
pub fn proof_json(data: &[u8]) {
    if let Ok(bundle) = core::str::from_utf8(data).map_err(drop).and_then(|t| ProofBundle::from_json(t).map_err(drop)) {
        drop(bundle.verify(bundle.genesis.chain()));
    }
}

/// Receipts.
pub fn receipt(data: &[u8]) {
    canonical!(Receipt, data);
}

/// Proofs of state values.
pub fn state_proof(data: &[u8]) {
    canonical!(StateProof, data);
}

/// Transactions as submitted.
pub fn transaction(data: &[u8]) {
    let chain = data.get(1..33).and_then(|bytes| bytes.try_into().ok()).map_or(ChainId::ZERO, ChainId);
    if let Ok(tx) = UnverifiedTransaction::decode(data.to_vec(), chain) {
        let alone = tx.clone().verify().is_ok();
        let batched = UnverifiedTransaction::verify_all(vec![tx], &[7; 32]).into_iter().all(|v| v.is_ok());
        assert_eq!(alone, batched, "single and batch verdicts differ");
    }
}

/// Validator sets.
pub fn validators(data: &[u8]) {
    if let Ok(set) = decode::<ValidatorSet>("fuzz input", data, MIB) {
        assert_eq!(encode(&set), data);
        if set.validate().is_ok() {
            assert!(set.is_quorum(set.total_power()));
        }
    }
}
