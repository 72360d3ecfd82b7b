//! The vault: private documents of one node, kept sealed, delivered to exactly those whom the chain names, proven against
//! it, read only as it allows, and shredded when it says so. One deterministic machine of inputs and effects.
//!
//! ```text
//!  client --stage--> checked, durable --transaction--> chain --block--> consider: who is to hold it, by the contract
//!                                                                          |
//!             outbox (durable) --Deliver--> peer: verify against the root, keep, sign a receipt --Receipt--> settled
//!             wanted (durable) --Fetch----> any holder -----------------------------^
//!             every so often: compare what receipts say with what is held; check what lies at rest; look at everything
//!
//!  read(account, fields, purpose) --> may, by the contract --> audit record, durable --> values with their proofs
//! ```
//!
//! Deliberately not here: who may see what (contracts), sockets, threads, clocks, chance (they enter as inputs), where bytes
//! lie (the storage, the shelf of keys and the place of files are traits), signing of transactions (the node).
//!
//! Architecture invariant: a private byte, or a key that opens one, leaves only through a delivery made for one receiver
//! whom the contract names at that moment, or through a read that the contract allows; consensus never waits for either.
//!
//! Architecture invariant: keys of documents lie apart from the storage, so that no backup of it brings back what was erased.
#![forbid(unsafe_code)]

pub mod acts;
pub mod audit;
pub mod awaited;
pub mod blobs;
pub mod blocks;
mod calls;
pub mod chain;
pub mod copy;
mod delivery;
mod disk;
pub mod erasure;
mod fetch;
pub mod files;
mod hold;
pub mod ledger;
pub mod limits;
pub mod local;
pub mod message;
pub mod opening;
pub mod read;
pub mod reconcile;
pub mod scrub;
mod serve;
pub mod shelf;
pub mod staging;
pub mod status;
mod sweep;
pub mod upkeep;
pub mod uploads;
pub mod vault;
pub mod words;

pub use acts::{Act, ActResult, ErasureStep};
pub use audit::{Access, AuditFault, AuditRecord};
pub use awaited::{AwaitedErasures, OverdueErasure};
pub use blobs::{BlobError, Blobs, MemoryBlobs};
pub use blocks::Blocks;
pub use chain::{
    Chain, ChainChange, ChainError, Facts, Listed, Question, Roster, RosterMember, Scope, Unattested, party_name,
};
pub use copy::{Delivery, HeldSecrets, MemberSecrets, seal_for};
pub use erasure::ErasureStatement;
pub use fetch::Overdue;
pub use ledger::LedgerChain;
pub use limits::VaultLimits;
pub use local::{LocalBlobs, LocalShelf, blob_of, blob_path};
pub use message::{FileKey, Message, Receipt};
pub use opening::{OpenRequest, OpenedFile, OpeningId};
pub use read::{ReadAnswer, ReadRefusal, ReadRequest};
pub use scrub::{CheckPoint, Damage, Place};
pub use shelf::{MemoryShelf, Shelf, ShelfError, Shelved};
pub use staging::{Scanner, StageError, Staged};
pub use status::{Counters, VaultStatus};
pub use upkeep::{Unreadable, file_length, files_at_rest, holds_files, look_at_file};
pub use uploads::{Naming, UploadError, UploadState};
pub use vault::{Effect, Input, Vault, VaultConfig, VaultError, VaultParts};
pub use words::{DocumentId, FieldSet, Now, PeerId, VersionKey};
