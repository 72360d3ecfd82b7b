//! Makes a package: everything is checked as a verifier does before the first byte is written.

use core::ops::Range;
use std::io::{Read, Seek, Write};

use sha2::{Digest as _, Sha256};
use vouch_types::{ChainId, Hash32, LightClient, SecretKey, hash::domain_hash};

use super::{
    EvidenceError, FORMAT, FORMAT_VERSION,
    archive::ArchiveWriter,
    check::{self, DocumentEvidence, KnownFile},
    content::{AttachmentEntry, AttachmentPart, AuditExtract, DocumentName, FileEntry, History, Made, Manifest, Seal},
    findings::{AuditFindings, DocumentFindings},
    member::{Member, Part},
    summary,
};
use crate::{
    attachment::{AttachmentValue, GROUP_BYTES, HashKey, TreeHasher},
    commitment::sha256,
};

/// Most documents of one package.
pub const DOCUMENTS_MAX: usize = 256;
/// Longest text of the maker: member, purpose and statement, each, in bytes.
pub const TEXT_BYTES_MAX: usize = 4_096;

/// What goes into a package, files' contents apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// The chain.
    pub chain: ChainId,
    /// Who makes it, when and why.
    pub made: Made,
    /// From the chain id to every set of validators.
    pub history: History,
    /// The documents; the first one is what the package is about.
    pub documents: Vec<(DocumentName, DocumentEvidence)>,
    /// An extract of an access log.
    pub audit: Option<AuditExtract>,
}

/// What holds of a package's members, contents of files not yet read.
pub(super) struct Checked {
    pub(super) documents: Vec<DocumentFindings>,
    pub(super) files: Vec<Vec<KnownFile>>,
    pub(super) audit: Option<AuditFindings>,
}

/// Which bytes of which file are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePart {
    /// The document.
    pub document: DocumentName,
    /// Slot of the field that names the file.
    pub slot: u16,
    /// Its place in the field.
    pub index: u16,
    /// First byte.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Opens the content of a file from its first byte wanted on.
pub type OpenFile<'a> = &'a mut dyn FnMut(FilePart) -> std::io::Result<Box<dyn Read>>;
/// Has a time-stamping authority stamp the bytes of the manifest (RFC 3161): the token that comes back is kept as it is.
pub type Stamp<'a> = &'a mut dyn FnMut(&[u8]) -> std::io::Result<Vec<u8>>;

impl Package {
    /// Adds a file to document number `document` (from 0), whose field at `slot` must be shown: the whole of it, or the
    /// groups of 16 KiB that hold `ranges`. Reads `content` once to its end; [`Package::write`] asks for it again.
    ///
    /// # Errors
    /// [`EvidenceError::AttachmentUnknown`] when no field shown names it, [`EvidenceError::AttachmentHashes`] when the
    /// content is not the one that the field commits to.
    pub fn attach(
        &mut self,
        document: usize,
        slot: u16,
        index: u16,
        ranges: Option<&[Range<u64>]>,
        content: &mut dyn Read,
    ) -> Result<(), EvidenceError> {
        let missing = || EvidenceError::Members(format!("there is no document {document}"));
        let (name, evidence) = self.documents.get_mut(document).ok_or_else(missing)?;
        let key = name.key();
        let unknown = || EvidenceError::AttachmentUnknown { document: key, slot, index };
        let field = evidence.disclosures.fields.iter().find(|field| field.slot == slot).ok_or_else(unknown)?;
        let said = field.disclosure.parse().map_err(|error| EvidenceError::commitment(key, error))?;
        let files = AttachmentValue::list_from(&said.value);
        let value = files.and_then(|list| list.into_iter().nth(usize::from(index))).ok_or_else(unknown)?;
        let mut hasher = TreeHasher::new(HashKey::Keyed(value.b3_key.0));
        let other = || EvidenceError::AttachmentHashes { document: key, file: value.name.clone() };
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = content.read(&mut buffer).map_err(|error| io_fault(&error))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]).map_err(|_| other())?;
        }
        let (root, groups) = hasher.finish();
        if root != value.b3 || groups.bytes != value.size {
            return Err(other());
        }
        let parts = parts_of(value.size, ranges);
        evidence.attachments.retain(|entry| (entry.slot, entry.index) != (slot, index));
        evidence.attachments.push(AttachmentEntry { slot, index, groups: groups.hashes, parts });
        evidence.attachments.sort_by_key(|entry| (entry.slot, entry.index));
        Ok(())
    }

    pub(super) fn check(&self) -> Result<Checked, EvidenceError> {
        if self.documents.is_empty() || self.documents.len() > DOCUMENTS_MAX {
            return Err(EvidenceError::Members(format!("a package has 1 to {DOCUMENTS_MAX} documents")));
        }
        let made = &self.made;
        if [&made.member, &made.purpose, &made.statement].iter().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(EvidenceError::TooLarge(Member::Manifest.path()));
        }
        let client: LightClient = check::light_client(&self.history, self.chain)?;
        let (mut documents, mut files) = (Vec::new(), Vec::new());
        for (at, (name, given)) in self.documents.iter().enumerate() {
            if self.documents.iter().take(at).any(|(before, _)| before == name) {
                return Err(EvidenceError::Members(format!("document {} is there twice", name.key())));
            }
            let (found, known) = check::check_document(&client, *name, given)?;
            documents.push(found);
            files.push(known);
        }
        check::connect(&mut documents)?;
        let audit = self.audit.as_ref().map(|given| check::check_audit(&client, given)).transpose()?;
        Ok(Checked { documents, files, audit })
    }

    /// Checks everything, then writes the package. `files` gives the contents of files, `stamp` a time stamp. What a file's
    /// content is, a verifier finds out: give it [`super::verify()`] before it leaves.
    ///
    /// # Errors
    /// [`EvidenceError`]: as a verifier would say it; [`EvidenceError::Io`] when reading or writing fails.
    pub fn write<W: Write + Seek>(
        &self,
        out: W,
        signer: &SecretKey,
        files: OpenFile<'_>,
        stamp: Option<Stamp<'_>>,
    ) -> Result<W, EvidenceError> {
        let checked = self.check()?;
        if signer.public() != self.made.key {
            return Err(EvidenceError::Seal);
        }
        let mut writer = Writer { archive: ArchiveWriter::new(out), files: Vec::new() };
        writer.json(Member::Chain, &self.history)?;
        for (number, (name, given)) in (1u16..).zip(&self.documents) {
            writer.document(number, *name, given, files)?;
        }
        if let Some(audit) = &self.audit {
            writer.json(Member::Audit, audit)?;
        }
        let summary = summary::html(self.chain, &self.made, &checked.documents, checked.audit.as_ref());
        writer.bytes(Member::Summary, summary.as_bytes())?;
        let manifest = Manifest {
            format: FORMAT.into(),
            v: FORMAT_VERSION,
            chain: self.chain,
            made: self.made.clone(),
            documents: self.documents.iter().map(|(name, _)| *name).collect(),
            files: std::mem::take(&mut writer.files),
        };
        let manifest = canonical(&manifest);
        writer.bytes(Member::Manifest, &manifest)?;
        let token = stamp.map(|stamp| stamp(&manifest)).transpose().map_err(|error| io_fault(&error))?;
        let timestamp = token.as_ref().map(|token| Hash32(sha256(&[token])));
        let signature = signer.sign(seal_digest(&manifest, timestamp).as_bytes());
        writer.bytes(Member::Seal, &canonical(&Seal { signature, timestamp }))?;
        if let Some(token) = &token {
            writer.bytes(Member::Timestamp, token)?;
        }
        writer.archive.finish().map_err(|error| io_fault(&error))
    }
}

/// Whole groups that hold the ranges, joined where they touch.
fn parts_of(size: u64, ranges: Option<&[Range<u64>]>) -> Vec<AttachmentPart> {
    let Some(ranges) = ranges else { return vec![AttachmentPart { offset: 0, bytes: size }] };
    let groups = ranges.iter().filter(|range| range.start < range.end.min(size));
    let mut groups: Vec<(u64, u64)> =
        groups.map(|range| (range.start / GROUP_BYTES, range.end.min(size).div_ceil(GROUP_BYTES))).collect();
    groups.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (from, to) in groups {
        match joined.last_mut() {
            Some((_, end)) if *end >= from => *end = to.max(*end),
            _ => joined.push((from, to)),
        }
    }
    let part = |(from, to): (u64, u64)| {
        let offset = from * GROUP_BYTES;
        AttachmentPart { offset, bytes: (to * GROUP_BYTES).min(size) - offset }
    };
    joined.into_iter().map(part).collect()
}

/// The form of RFC 8785.
pub(super) fn canonical(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("texts, whole numbers and lists have a canonical form")
}

/// What the seal signs.
pub(super) fn seal_digest(manifest: &[u8], timestamp: Option<Hash32>) -> Hash32 {
    domain_hash("vouch/evidence/1", &[&sha256(&[manifest]), &timestamp.unwrap_or_default().0])
}

pub(super) fn io_fault(error: &std::io::Error) -> EvidenceError {
    EvidenceError::Io(error.to_string())
}

struct Writer<W> {
    archive: ArchiveWriter<W>,
    files: Vec<FileEntry>,
}

impl<W: Write + Seek> Writer<W> {
    fn json(&mut self, member: Member, value: &impl serde::Serialize) -> Result<(), EvidenceError> {
        let text = serde_json::to_vec(value).expect("members hold texts, whole numbers and lists");
        self.bytes(member, &text)
    }

    fn bytes(&mut self, member: Member, content: &[u8]) -> Result<(), EvidenceError> {
        self.stream(member, u64::try_from(content.len()).unwrap_or(u64::MAX), &mut &*content)
    }

    fn stream(&mut self, member: Member, bytes: u64, content: &mut dyn Read) -> Result<(), EvidenceError> {
        let (path, mut hasher) = (member.path(), Sha256::new());
        let added = self.archive.add(&path, bytes, content, &mut |part| hasher.update(part));
        added.map_err(|error| io_fault(&error))?;
        if member.is_listed() {
            self.files.push(FileEntry { path, bytes, sha256: Hash32(hasher.finalize().into()) });
        }
        Ok(())
    }

    fn document(
        &mut self,
        number: u16,
        name: DocumentName,
        given: &DocumentEvidence,
        files: OpenFile<'_>,
    ) -> Result<(), EvidenceError> {
        let member = |part| Member::Document(number, part);
        self.json(member(Part::Record), &given.records)?;
        self.json(member(Part::Disclosures), &given.disclosures)?;
        if let Some(submission) = &given.submission {
            self.json(member(Part::Submission), submission)?;
        }
        if given.attachments.is_empty() {
            return Ok(());
        }
        self.json(member(Part::Attachments), &given.attachments)?;
        for entry in &given.attachments {
            for part in &entry.parts {
                let (slot, index) = (entry.slot, entry.index);
                let wanted = FilePart { document: name, slot, index, offset: part.offset, bytes: part.bytes };
                let mut content = files(wanted).map_err(|error| io_fault(&error))?.take(part.bytes);
                self.stream(member(Part::File { slot, index, offset: part.offset }), part.bytes, &mut content)?;
            }
        }
        Ok(())
    }
}
