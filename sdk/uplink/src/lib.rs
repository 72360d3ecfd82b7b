//! Records of business systems as documents: files and databases read as streams, mapped to a registered schema, checked, and
//! remembered so that each becomes one document, whatever is killed when.
//!
//! Deliberately not here: the network (the client sends what this crate prepares), and who may see what (the contract decides).
//!
//! ```text
//! file, folder, ZIP, database --source--> records --by number, where several are one--> groups
//!     --mapping--> rows: values, parties, references, document id
//!     --plan--> summary of what would leave, faults by cell
//!     --journal--> what is final is not sent again; --rejected--> rows to mend
//!     --change--> what a row says otherwise than its document on the chain
//! ```
//!
//! Without the feature `native` it is what a browser can do: sources that somebody holds, text and with the feature `workbooks`
//! workbooks, no databases, no folders, no files of rows, and no journal.
//!
//! **Architecture invariant:** a row's document id is a keyed hash of schema and business number. The same row is the same document in
//! every run, so the chain itself refuses a second one; the journal saves work, it is not what prevents duplicates. A later content is a
//! new version that names the root it follows, so the chain refuses that a second time, too.
#![forbid(unsafe_code)]

pub mod apply;
#[cfg(feature = "native")]
mod archive;
mod attached;
#[cfg(feature = "native")]
mod budget;
mod duplicates;
mod fault;
mod found;
mod group;
pub mod guess;
#[cfg(feature = "native")]
pub mod journal;
mod kept;
mod keys;
pub mod mapping;
pub mod plan;
pub mod reason;
pub mod record;
pub mod rejected;
mod sorter;
pub mod source;
pub mod standing;
pub mod value;
mod work;
#[cfg(feature = "workbooks")]
mod workbook;

pub use apply::{Applier, Before, Difference, Row};
#[cfg(feature = "native")]
pub use archive::discover;
pub use attached::Attached;
#[cfg(feature = "native")]
pub use budget::{Budget, Held};
pub use fault::Fault;
pub use found::{Bytes, Found, HEAD_BYTES, Opener, Original};
#[cfg(feature = "native")]
pub use journal::{Journal, Noted, Outcome};
pub use keys::{Numbers, UplinkKey};
pub use mapping::{Mapping, MappingFile, WhenChanged};
pub use plan::{Plan, Summary};
pub use reason::Reason;
pub use record::{Node, Place, Record};
pub use source::{Item, Reader};
pub use standing::{Becomes, Change, Changes, Compared, Standing, There};
#[cfg(feature = "workbooks")]
pub use workbook::check_workbook;
