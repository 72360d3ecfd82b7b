//! Building and signing transactions.

use serde_json::Value;
use vouch_types::{
    Call, ChainId, ContractName, Height, SecretKey, TransactionBody, TransactionError, TxId,
    abi::Abi,
    api::ChainParams,
    encode,
    transaction::{CALLS_MAX, METHOD_BYTES_MAX, SIGNATURES_MAX, TRANSACTION_BYTES_MAX, TRANSACTION_VERSION},
};

use crate::{Error, random::random};

/// A transaction ready to be submitted, any number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// Its id.
    pub id: TxId,
    /// Last height at which it may stand in a block.
    pub expiry: Height,
    /// Its bytes.
    pub raw: Vec<u8>,
}

/// Collects calls; [`TransactionBuilder::sign`] makes the transaction.
#[derive(Debug, Clone)]
pub struct TransactionBuilder {
    chain: ChainId,
    expiry: Height,
    salt: Option<[u8; 16]>,
    calls: Vec<Call>,
}

impl TransactionBuilder {
    /// For a chain, expiring half a window above its head: time enough to be tried again, soon enough to be forgotten.
    #[must_use]
    pub const fn new(params: &ChainParams) -> Self {
        let half = params.expiry_window / 2;
        let ahead = if half == 0 { 1 } else { half };
        Self { chain: params.chain, expiry: Height(params.head.0.saturating_add(ahead)), salt: None, calls: Vec::new() }
    }

    /// Another last height.
    #[must_use]
    pub const fn expiry(mut self, expiry: Height) -> Self {
        self.expiry = expiry;
        self
    }

    /// A salt of the caller's own: two transactions with the same salt, expiry and calls are one. A business system that
    /// keeps the salt with its record can build the very same transaction again after a crash.
    #[must_use]
    pub const fn salt(mut self, salt: [u8; 16]) -> Self {
        self.salt = Some(salt);
        self
    }

    /// Adds a call with encoded arguments.
    #[must_use]
    pub fn call(mut self, contract: ContractName, method: impl Into<String>, arguments: Vec<u8>) -> Self {
        self.calls.push(Call { contract, method: method.into(), arguments });
        self
    }

    /// Adds a call with arguments by name, encoded by the contract's ABI.
    ///
    /// # Errors
    /// [`Error::Value`] when they do not fit.
    pub fn call_json(
        self,
        abi: &Abi,
        contract: ContractName,
        method: impl Into<String>,
        arguments: &Value,
    ) -> Result<Self, Error> {
        let method = method.into();
        let arguments = abi.encode_arguments(&method, arguments)?;
        Ok(self.call(contract, method, arguments))
    }

    /// Signs with each key in turn; the first signer is the caller that contracts see.
    ///
    /// # Errors
    /// [`Error::Transaction`] when the chain would refuse the form, [`Error::Configuration`] without randomness.
    pub fn sign(self, keys: &[&SecretKey]) -> Result<SignedTransaction, Error> {
        if self.calls.is_empty() || self.calls.len() > CALLS_MAX {
            return Err(TransactionError::CallCount.into());
        }
        if self.calls.iter().any(|call| call.method.is_empty() || call.method.len() > METHOD_BYTES_MAX) {
            return Err(TransactionError::Method.into());
        }
        let mut public: Vec<_> = keys.iter().map(|key| key.public()).collect();
        public.sort_unstable();
        public.dedup();
        if keys.is_empty() || keys.len() > SIGNATURES_MAX || public.len() != keys.len() {
            return Err(TransactionError::Signers.into());
        }
        let salt = match self.salt {
            Some(salt) => salt,
            None => random()?,
        };
        let body = TransactionBody {
            version: TRANSACTION_VERSION,
            chain: self.chain,
            expiry: self.expiry,
            salt,
            calls: self.calls,
        };
        let (id, expiry) = (body.id(), body.expiry);
        let raw = encode(&body.sign(keys));
        if raw.len() > TRANSACTION_BYTES_MAX {
            let max = TRANSACTION_BYTES_MAX;
            let error = vouch_types::CodecError::TooLarge { what: "transaction", actual: raw.len(), max };
            return Err(TransactionError::Codec(error).into());
        }
        Ok(SignedTransaction { id, expiry, raw })
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::UnverifiedTransaction;

    use super::*;

    fn params() -> ChainParams {
        ChainParams {
            chain: ChainId([7; 32]),
            chain_name: "test".into(),
            head: Height(100),
            expiry_window: 60,
            transaction_bytes_max: 1 << 20,
            block_bytes_max: 8 << 20,
            transaction_fuel_max: 1,
            parameters: std::collections::BTreeMap::new(),
        }
    }

    fn builder() -> TransactionBuilder {
        TransactionBuilder::new(&params()).call(ContractName::new("notes").expect("name"), "add", vec![1])
    }

    #[test]
    fn what_is_built_is_what_a_node_accepts() {
        let (first, second) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
        let signed = builder().sign(&[&first, &second]).expect("signs");
        let read = UnverifiedTransaction::decode(signed.raw.clone(), ChainId([7; 32])).expect("decodes");
        let read = read.verify().expect("verifies");
        assert_eq!((read.id(), read.body().expiry), (signed.id, Height(130)));
        assert_eq!(signed.expiry, Height(130));
        assert_eq!(read.signers()[0].key, first.public());
        read.check_expiry(Height(101), 60).expect("inside the window");
    }

    #[test]
    fn a_salt_makes_it_unique_or_the_same() {
        let key = SecretKey::from_seed([1; 32]);
        let id = |builder: TransactionBuilder| builder.sign(&[&key]).expect("signs").id;
        assert_ne!(id(builder()), id(builder()));
        assert_eq!(id(builder().salt([3; 16])), id(builder().salt([3; 16])));
    }

    #[test]
    fn bad_forms_have_their_codes() {
        let key = SecretKey::from_seed([1; 32]);
        let code = |result: Result<SignedTransaction, Error>| result.expect_err("bad").code().to_owned();
        assert_eq!(code(TransactionBuilder::new(&params()).sign(&[&key])), "tx.call_count");
        assert_eq!(code(builder().sign(&[])), "tx.signers");
        assert_eq!(code(builder().sign(&[&key, &key])), "tx.signers");
        let name = ContractName::new("notes").expect("name");
        assert_eq!(code(builder().call(name.clone(), "", vec![]).sign(&[&key])), "tx.method_name");
        assert_eq!(code(builder().call(name, "m", vec![0; 1 << 20]).sign(&[&key])), "tx.too_large");
    }
}
