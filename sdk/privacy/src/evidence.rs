//! One file that shows chosen fields of documents, and that they are what the chain holds, to anyone who knows the chain id.
//!
//! Deliberately not here: gathering what goes into it (`sdk/rust`), any network, any clock. Format, rules and codes:
//! `docs/evidence.md`.
//!
//! ```text
//! chain id --> genesis, every set of validators      chain.json
//!                 | certificates
//! block --> state root --> records of document, version, schema      record.json, submission.json
//!                             | root of the commitment
//!                          disclosures, attachments      disclosures.json, files/…
//! all members --SHA-256--> manifest.json <--signed by its maker-- seal.json [<-- timestamp.tsr]
//! ```

mod archive;
mod check;
mod content;
mod error;
mod findings;
mod member;
mod package;
mod statements;
mod summary;
mod verify;

pub use archive::{Archive, ArchiveWriter, Entry, MEMBERS_MAX};
pub use check::DocumentEvidence;
pub use content::{
    AttachmentEntry, AttachmentPart, AuditExtract, AuditLine, Disclosures, DocumentName, FileEntry, History, Made,
    Manifest, ProvenRecord, Records, Seal, ShownField, Submission,
};
pub use error::EvidenceError;
pub use findings::{
    AttachmentFinding, AuditFindings, DocumentFindings, FieldFinding, ReferenceFinding, Report, Statement,
    SubmissionFinding,
};
pub use package::{DOCUMENTS_MAX, FilePart, OpenFile, Package, Stamp};
pub use verify::verify;

/// What `format` in a manifest says.
pub const FORMAT: &str = "vouch-evidence";
/// The version of the format that is written, and the only one that is read.
pub const FORMAT_VERSION: u8 = 1;
