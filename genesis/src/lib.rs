//! The genesis document: what the founding members agree on before block 1, and the chain id that follows from it.
//!
//! Deliberately not here: reading or writing files, executing the founding contracts, and any secret key. A document
//! holds public keys only; a field that is not of the format is refused, so a secret cannot ride along unnoticed.
//!
//! ```text
//! JSON text --from_json--> GenesisDocument --validate--> canonical bytes --hash--> GenesisHeader --hash--> ChainId
//!                                |
//!                                +--> first ValidatorSet, members, accounts, founding contracts
//! ```
#![forbid(unsafe_code)]

pub mod document;
pub mod error;
mod json;
pub mod params;
pub mod threshold;
mod validate;

pub use document::{
    AccountEntry, AccountRole, AdminPolicy, CERTIFICATE_BYTES_MAX, CONTRACT_CODE_BYTES_MAX, CONTRACTS_MAX,
    DOCUMENT_BYTES_MAX, FORMAT_VERSION, GenesisContract, GenesisDocument, MEMBER_ENTRIES_MAX, MEMBERS_MAX, Member,
    MemberName, NodeEntry, Role, TITLE_BYTES_MAX,
};
pub use error::GenesisError;
pub use json::JSON_BYTES_MAX;
pub use params::ChainParams;
pub use threshold::{DecisionKind, Threshold, Thresholds};
pub use validate::{is_address, is_encryption_key};
