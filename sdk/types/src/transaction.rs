//! Transactions: contract calls, signed by one or more accounts, valid for a while and once.
//!
//! Replay is stopped by an expiry height and the set of ids not yet expired, never by counters: a business system submits
//! from many threads without ordering itself. The id is the hash of the body alone, so that nobody can make a second
//! transaction of it by signing again.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    codec::{CodecError, decode, encode},
    hash::{AccountId, ChainId, Hash32, TxId, domain_hash},
    keys::{BatchItem, PublicKey, SecretKey, Signature},
    numbers::Height,
};

/// Version byte of transactions.
pub const TRANSACTION_VERSION: u8 = 1;
/// Most bytes of an encoded transaction.
pub const TRANSACTION_BYTES_MAX: usize = 1 << 20;
/// Most calls in one transaction.
pub const CALLS_MAX: usize = 16;
/// Most signatures on one transaction.
pub const SIGNATURES_MAX: usize = 16;
/// Longest contract name.
pub const CONTRACT_NAME_BYTES_MAX: usize = 32;
/// Longest method name.
pub const METHOD_BYTES_MAX: usize = 64;

/// A contract's name: 1 to 32 of `a`–`z`, `0`–`9`, `-`, `_`, `.`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(transparent)]
pub struct ContractName(String);

impl ContractName {
    /// Checks the form.
    ///
    /// # Errors
    /// [`TransactionError::ContractName`].
    pub fn new(name: impl Into<String>) -> Result<Self, TransactionError> {
        let name = Self(name.into());
        if name.is_valid() { Ok(name) } else { Err(TransactionError::ContractName) }
    }

    /// Whether a decoded name has the form.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let bytes = self.0.as_bytes();
        bytes.len() <= CONTRACT_NAME_BYTES_MAX
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(b))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for ContractName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One contract call.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Call {
    /// Which contract.
    pub contract: ContractName,
    /// Which of its methods.
    pub method: String,
    /// Arguments, encoded as the contract's ABI says.
    pub arguments: Vec<u8>,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct TransactionBody {
    /// [`TRANSACTION_VERSION`].
    pub version: u8,
    /// The chain it is for.
    pub chain: ChainId,
    /// Last height at which it may stand in a block.
    pub expiry: Height,
    /// Makes two otherwise equal transactions different; random.
    pub salt: [u8; 16],
    /// Executed in order; all take effect or none.
    pub calls: Vec<Call>,
}

/// One account's signature over the digest of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct AccountSignature {
    /// The account's key.
    pub key: PublicKey,
    /// Over [`TransactionBody::digest`].
    pub signature: Signature,
}

/// A body and who stands for it; the first signer is the caller that contracts see.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Transaction {
    /// What is asked.
    pub body: TransactionBody,
    /// By whom.
    pub signatures: Vec<AccountSignature>,
}

/// Why a transaction is refused before it is executed. [`TransactionError::code`] is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// Not decodable.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// A version this node does not know.
    #[error("transaction version {0} is not known, this node speaks {TRANSACTION_VERSION}")]
    Version(u8),
    /// For another chain.
    #[error("transaction is for chain {actual}, this chain is {expected}")]
    WrongChain {
        /// What the transaction says.
        actual: ChainId,
        /// What it must say.
        expected: ChainId,
    },
    /// No calls, or too many.
    #[error("a transaction has 1 to {CALLS_MAX} calls")]
    CallCount,
    /// No signatures, or too many, or one key twice.
    #[error("a transaction has 1 to {SIGNATURES_MAX} signatures, each by another key")]
    Signers,
    /// Not a contract name.
    #[error("a contract name is 1 to 32 of a-z 0-9 - _ . and begins with a letter")]
    ContractName,
    /// Not a method name.
    #[error("a method name has 1 to {METHOD_BYTES_MAX} bytes")]
    Method,
    /// A signature that does not verify.
    #[error("the signature by {0} does not verify")]
    Signature(PublicKey),
    /// Too late.
    #[error("transaction expired at height {expiry}, the next block is {next}")]
    Expired {
        /// Its last height.
        expiry: Height,
        /// The height it would stand at.
        next: Height,
    },
    /// Valid for longer than the chain remembers ids.
    #[error("transaction expires at height {expiry}, at most {max} is allowed now")]
    ExpiryTooFar {
        /// Its last height.
        expiry: Height,
        /// The latest height allowed.
        max: Height,
    },
    /// Already in the chain.
    #[error("transaction {tx} is already in block {height}")]
    Replayed {
        /// Its id.
        tx: TxId,
        /// Where it is.
        height: Height,
    },
    /// Signed by an account nobody registered, or one that is suspended.
    #[error("account {0} is not registered or not active")]
    UnknownAccount(AccountId),
}

impl TransactionError {
    /// Stable code for API, CLI and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Codec(CodecError::TooLarge { .. }) => "tx.too_large",
            Self::Codec(CodecError::Malformed { .. }) => "tx.malformed",
            Self::Version(_) => "tx.unknown_version",
            Self::WrongChain { .. } => "tx.wrong_chain",
            Self::CallCount => "tx.call_count",
            Self::Signers => "tx.signers",
            Self::ContractName => "tx.contract_name",
            Self::Method => "tx.method_name",
            Self::Signature(_) => "tx.bad_signature",
            Self::Expired { .. } => "tx.expired",
            Self::ExpiryTooFar { .. } => "tx.expiry_too_far",
            Self::Replayed { .. } => "tx.replayed",
            Self::UnknownAccount(_) => "tx.unknown_account",
        }
    }
}

impl TransactionBody {
    /// The transaction's id.
    #[must_use]
    pub fn id(&self) -> TxId {
        TxId(domain_hash("vouch/tx/1", &[&encode(self)]).0)
    }

    /// The digest every signer signs: binds the id, and through it the whole body.
    #[must_use]
    pub fn digest(&self) -> Hash32 {
        signing_digest(&self.id())
    }

    /// Signs with each key in turn; the first becomes the caller.
    #[must_use]
    pub fn sign(self, keys: &[&SecretKey]) -> Transaction {
        let digest = self.digest();
        let signatures = keys
            .iter()
            .map(|key| AccountSignature { key: key.public(), signature: key.sign(digest.as_bytes()) })
            .collect();
        Transaction { body: self, signatures }
    }
}

fn signing_digest(id: &TxId) -> Hash32 {
    domain_hash("vouch/tx-signature/1", &[id.as_bytes()])
}

/// Decoded and well-formed, but nobody has looked at the signatures yet.
#[derive(Debug, Clone)]
pub struct UnverifiedTransaction(VerifiedTransaction);

/// A transaction whose every signature verified. Made only by [`UnverifiedTransaction::verify`] and its batch form.
#[derive(Debug, Clone)]
pub struct VerifiedTransaction {
    raw: Vec<u8>,
    id: TxId,
    transaction: Transaction,
}

impl UnverifiedTransaction {
    /// Decodes and checks everything that needs neither state nor arithmetic on curves.
    ///
    /// # Errors
    /// [`TransactionError`] for a byte string that can never be a transaction of `chain`.
    pub fn decode(raw: Vec<u8>, chain: ChainId) -> Result<Self, TransactionError> {
        let transaction: Transaction = decode("transaction", &raw, TRANSACTION_BYTES_MAX)?;
        transaction.check_form(chain)?;
        let body_len = raw.len() - signatures_len(&transaction);
        let id = TxId(domain_hash("vouch/tx/1", &[raw.get(..body_len).unwrap_or(&raw)]).0);
        Ok(Self(VerifiedTransaction { raw, id, transaction }))
    }

    /// The id, known before the signatures are checked.
    #[must_use]
    pub const fn id(&self) -> TxId {
        self.0.id
    }

    /// What a batch verifier needs.
    #[must_use]
    pub fn batch_items(&self) -> Vec<BatchItem> {
        let message = signing_digest(&self.0.id);
        let items = self.0.transaction.signatures.iter();
        items.map(|s| BatchItem { key: s.key, message, signature: s.signature }).collect()
    }

    /// Checks each signature.
    ///
    /// # Errors
    /// [`TransactionError::Signature`] with the first key that did not sign.
    pub fn verify(self) -> Result<VerifiedTransaction, TransactionError> {
        let message = signing_digest(&self.0.id);
        for signer in &self.0.transaction.signatures {
            signer
                .key
                .verify(message.as_bytes(), &signer.signature)
                .map_err(|_| TransactionError::Signature(signer.key))?;
        }
        Ok(self.0)
    }

    /// Checks many transactions in one batch; the verdict of each is that of [`Self::verify`].
    #[must_use]
    pub fn verify_all(
        transactions: Vec<Self>,
        entropy: &[u8; 32],
    ) -> Vec<Result<VerifiedTransaction, TransactionError>> {
        let items: Vec<BatchItem> = transactions.iter().flat_map(Self::batch_items).collect();
        let mut verdicts = crate::keys::verify_batch(&items, entropy).into_iter();
        transactions
            .into_iter()
            .map(|tx| {
                let keys: Vec<PublicKey> = tx.0.transaction.signatures.iter().map(|s| s.key).collect();
                let mut result = Ok(());
                for key in keys {
                    if !matches!(verdicts.next(), Some(Ok(()))) && result.is_ok() {
                        result = Err(TransactionError::Signature(key));
                    }
                }
                result.map(|()| tx.0)
            })
            .collect()
    }
}

fn signatures_len(transaction: &Transaction) -> usize {
    const LENGTH_PREFIX: usize = 8;
    const ENTRY: usize = 1 + 32 + 64;
    LENGTH_PREFIX + transaction.signatures.len() * ENTRY
}

impl Transaction {
    fn check_form(&self, chain: ChainId) -> Result<(), TransactionError> {
        let body = &self.body;
        if body.version != TRANSACTION_VERSION {
            return Err(TransactionError::Version(body.version));
        }
        if body.chain != chain {
            return Err(TransactionError::WrongChain { actual: body.chain, expected: chain });
        }
        if body.calls.is_empty() || body.calls.len() > CALLS_MAX {
            return Err(TransactionError::CallCount);
        }
        for call in &body.calls {
            if !call.contract.is_valid() {
                return Err(TransactionError::ContractName);
            }
            if call.method.is_empty() || call.method.len() > METHOD_BYTES_MAX {
                return Err(TransactionError::Method);
            }
        }
        let mut keys: Vec<PublicKey> = self.signatures.iter().map(|s| s.key).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() || keys.len() != self.signatures.len() || keys.len() > SIGNATURES_MAX {
            return Err(TransactionError::Signers);
        }
        Ok(())
    }
}

impl VerifiedTransaction {
    /// The bytes as received.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> TxId {
        self.id
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &TransactionBody {
        &self.transaction.body
    }

    /// The signers; the first is the caller.
    #[must_use]
    pub fn signers(&self) -> &[AccountSignature] {
        &self.transaction.signatures
    }

    /// Checks the height rule: in a block of height `next`, with ids remembered for `window` heights.
    ///
    /// # Errors
    /// [`TransactionError::Expired`] or [`TransactionError::ExpiryTooFar`].
    pub fn check_expiry(&self, next: Height, window: u64) -> Result<(), TransactionError> {
        let expiry = self.transaction.body.expiry;
        let max = Height(next.0.saturating_add(window));
        if expiry < next {
            Err(TransactionError::Expired { expiry, next })
        } else if expiry > max {
            Err(TransactionError::ExpiryTooFar { expiry, max })
        } else {
            Ok(())
        }
    }
}
