//! Why a package is refused: one code per kind of fault, with what it concerns.

use core::ops::Range;

use vouch_types::{
    CertificateError, ChainId, ProofError,
    document::{VersionKey, audit::AuditFault},
};

use crate::{commitment::CommitmentError, construction::ConstructionError};

/// Why a package is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The file or the place to write to cannot be used.
    #[error("reading or writing failed: {0}")]
    Io(String),
    /// No end of an archive where it must be: cut off, or something was appended.
    #[error("the file does not end as a package does: it was cut off, or something was appended")]
    Truncated,
    /// An archive in another form than the only one.
    #[error("the archive is not in its one form: {0}")]
    Archive(String),
    /// A name that no member has.
    #[error("there is a member {0:?}, which a package does not have")]
    UnknownMember(String),
    /// Members out of order, or one twice.
    #[error("member {0} is out of order or there twice")]
    MemberOrder(String),
    /// The manifest names other members than there are, or other sizes.
    #[error("the members are not those that the manifest names: {0}")]
    Members(String),
    /// A member larger than it may be.
    #[error("member {0} is larger than it may be")]
    TooLarge(String),
    /// A member that is not of its form.
    #[error("member {member} is not of its form: {reason}")]
    Malformed {
        /// The member.
        member: String,
        /// What is wrong.
        reason: String,
    },
    /// A format that this verifier does not know.
    #[error("format version {0} is not known; use a newer verifier")]
    Version(u8),
    /// The seal is not that of the manifest: one of the two was changed.
    #[error("the seal is not a signature over this manifest by the key it names")]
    Seal,
    /// A member with other bytes than the manifest says, where nothing else is wrong with it.
    #[error("member {0} has other bytes than the manifest says")]
    MemberChanged(String),
    /// The package is about another chain.
    #[error("the package is of chain {actual}, expected is {expected}")]
    ForeignChain {
        /// What it is of.
        actual: ChainId,
        /// What was expected.
        expected: ChainId,
    },
    /// The history of validator sets does not lead from genesis to where it must.
    #[error("history of the validator sets: {0}")]
    History(ProofError),
    /// A certificate without the signatures of more than two thirds of the power.
    #[error("{place}: {error}")]
    CertificateShort {
        /// Where.
        place: String,
        /// What is missing.
        error: CertificateError,
    },
    /// A certificate that proves nothing for another reason.
    #[error("{place}: {error}")]
    Certificate {
        /// Where.
        place: String,
        /// What is wrong.
        error: ProofError,
    },
    /// A header that is not the one the certificate is for, or of a set that is not known.
    #[error("{place}: {error}")]
    Header {
        /// Where.
        place: String,
        /// What is wrong.
        error: ProofError,
    },
    /// A record that is not under the state root.
    #[error("{place}: {error}")]
    StateProof {
        /// Where.
        place: String,
        /// What is wrong.
        error: ProofError,
    },
    /// A proven record that is another one than asked for.
    #[error("{0}: this is the record of something else")]
    OtherRecord(String),
    /// The commitment's header differs from what the chain says of the version.
    #[error("document {0}: the header is not the one that the chain's records give")]
    HeaderChanged(VersionKey),
    /// All disclosures lead to one root, which is not the one on the chain.
    #[error("document {0}: the disclosures are of another root than the chain's")]
    RootMismatch(VersionKey),
    /// A disclosure or its path was changed.
    #[error("document {document}, field {field}: not under the root on the chain")]
    FieldChanged {
        /// The version.
        document: VersionKey,
        /// The field, by the schema.
        field: String,
    },
    /// Rows that are not those of the field's value.
    #[error("document {document}, field {field}: the rows are not those that the field commits to")]
    RowsChanged {
        /// The version.
        document: VersionKey,
        /// The field, by the schema.
        field: String,
    },
    /// Committed to, but not by the schema.
    #[error("document {document}: {error}")]
    Construction {
        /// The version.
        document: VersionKey,
        /// What is wrong.
        error: ConstructionError,
    },
    /// The transaction or its event is not in the block, or is about something else.
    #[error("document {document}: submission: {reason}")]
    Submission {
        /// The version.
        document: VersionKey,
        /// What is wrong.
        reason: String,
    },
    /// A file that no field shown names.
    #[error("document {document}: no field shown names file {index} at slot {slot}")]
    AttachmentUnknown {
        /// The version.
        document: VersionKey,
        /// The slot.
        slot: u16,
        /// Its place in the field.
        index: u16,
    },
    /// The list of a file's hashes is not the one under the hash in its field.
    #[error("document {document}, file {file}: the list of its hashes is not the one that its field commits to")]
    AttachmentHashes {
        /// The version.
        document: VersionKey,
        /// The file's name.
        file: String,
    },
    /// Bytes of a file that are not the file's, in whole groups of 16 KiB.
    #[error("document {document}, file {file}: bytes {} are not the file's", ranges(.damaged))]
    AttachmentChanged {
        /// The version.
        document: VersionKey,
        /// The file's name.
        file: String,
        /// The groups.
        damaged: Vec<Range<u64>>,
    },
    /// A document that has no connection with the first one.
    #[error("document {0} is not connected with the first one by any reference")]
    Unrelated(VersionKey),
    /// A record of the access log was changed, taken out or put in.
    #[error("access log: {0}")]
    Audit(AuditFault),
    /// The anchor on the chain is of another log.
    #[error("access log: {0}")]
    AuditAnchor(&'static str),
    /// The readable summary says something else than what was verified.
    #[error("the summary is not the one of what is proven here")]
    Summary,
    /// The time stamp is missing, was changed, or stamps something else.
    #[error("time stamp: {0}")]
    Timestamp(&'static str),
}

fn ranges(damaged: &[Range<u64>]) -> String {
    let shown: Vec<String> = damaged.iter().take(16).map(|range| format!("{} to {}", range.start, range.end)).collect();
    let more = if damaged.len() > shown.len() { ", and more" } else { "" };
    format!("{}{more}", shown.join(", "))
}

impl EvidenceError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "evidence.io",
            Self::Truncated => "evidence.truncated",
            Self::Archive(_) => "evidence.archive",
            Self::UnknownMember(_) => "evidence.unknown_member",
            Self::MemberOrder(_) => "evidence.member_order",
            Self::Members(_) => "evidence.members",
            Self::TooLarge(_) => "evidence.too_large",
            Self::Malformed { .. } => "evidence.malformed",
            Self::Version(_) => "evidence.unknown_version",
            Self::Seal => "evidence.seal",
            Self::MemberChanged(_) => "evidence.member_changed",
            Self::ForeignChain { .. } => "evidence.foreign_chain",
            Self::History(_) => "evidence.history",
            Self::CertificateShort { .. } => "evidence.certificate_short",
            Self::Certificate { .. } => "evidence.certificate",
            Self::Header { .. } => "evidence.header",
            Self::StateProof { .. } => "evidence.state_proof",
            Self::OtherRecord(_) => "evidence.other_record",
            Self::HeaderChanged(_) => "evidence.header_changed",
            Self::RootMismatch(_) => "evidence.root_mismatch",
            Self::FieldChanged { .. } => "evidence.field_changed",
            Self::RowsChanged { .. } => "evidence.rows_changed",
            Self::Construction { .. } => "evidence.construction",
            Self::Submission { .. } => "evidence.submission",
            Self::AttachmentUnknown { .. } => "evidence.attachment_unknown",
            Self::AttachmentHashes { .. } => "evidence.attachment_hashes",
            Self::AttachmentChanged { .. } => "evidence.attachment_changed",
            Self::Unrelated(_) => "evidence.unrelated",
            Self::Audit(_) => "evidence.audit_changed",
            Self::AuditAnchor(_) => "evidence.audit_anchor",
            Self::Summary => "evidence.summary",
            Self::Timestamp(_) => "evidence.timestamp",
        }
    }

    pub(crate) fn malformed(member: impl Into<String>, reason: impl core::fmt::Display) -> Self {
        Self::Malformed { member: member.into(), reason: reason.to_string() }
    }

    pub(crate) fn commitment(document: VersionKey, error: CommitmentError) -> Self {
        Self::Construction { document, error: error.into() }
    }

    /// A fault of a header with its certificate, at a place.
    pub(crate) fn finality(place: &str, error: ProofError) -> Self {
        let place = place.to_owned();
        match error {
            ProofError::Certificate(error @ CertificateError::NoQuorum { .. }) => {
                Self::CertificateShort { place, error }
            }
            ProofError::Certificate(_) => Self::Certificate { place, error },
            _ => Self::Header { place, error },
        }
    }
}
