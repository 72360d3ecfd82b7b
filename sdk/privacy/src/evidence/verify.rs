//! Verifies a package: no clock, no network, no trust in whoever made it; only the chain id is needed from elsewhere.

use core::ops::Range;
use std::io::{Read, Seek};

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use vouch_types::{ChainId, Hash32};

use super::{
    EvidenceError, FORMAT, FORMAT_VERSION,
    archive::{Archive, Entry},
    check::{DocumentEvidence, KnownFile, file_members},
    content::{AttachmentEntry, DocumentName, FileEntry, Manifest, Seal},
    findings::Report,
    member::{Member, Part},
    package::{Checked, Package, canonical, io_fault, seal_digest},
    statements, summary,
};
use crate::{attachment::GROUP_BYTES, commitment::sha256};

/// Most bytes of a member with proofs or disclosures.
const JSON_BYTES_MAX: u64 = 32 << 20;
/// Most bytes of all of them together.
const JSON_BYTES_TOTAL_MAX: u64 = 128 << 20;
/// Most bytes of a time stamp.
const TIMESTAMP_BYTES_MAX: u64 = 1 << 20;

/// Verifies a package. `chain` is the one thing to be had from a source that one trusts; without it the package is judged by
/// the chain that it names itself, and the report says that this is open.
///
/// Memory is bounded by the proofs, at most 128 MiB of text; files are read as they go by.
///
/// # Errors
/// [`EvidenceError`], the first fault found: what a proof says first, bytes that no proof covers last.
pub fn verify<R: Read + Seek>(input: R, chain: Option<ChainId>) -> Result<Report, EvidenceError> {
    let mut reader = Reader::open(input)?;
    let (manifest, manifest_bytes, seal) = reader.manifest()?;
    if let Some(expected) = chain
        && manifest.chain != expected
    {
        return Err(EvidenceError::ForeignChain { actual: manifest.chain, expected });
    }
    let package = reader.package(&manifest)?;
    let checked = package.check()?;
    reader.files(&package, &checked)?;
    reader.summary(&package, &checked)?;
    let has_timestamp = reader.timestamp(&manifest_bytes, &seal)?;
    reader.digests(&manifest)?;
    let Checked { documents, audit, .. } = checked;
    let mut report = Report {
        chain: package.chain,
        made: package.made,
        documents,
        audit,
        manifest_sha256: Hash32(sha256(&[&manifest_bytes])),
        verified: Vec::new(),
        claimed: Vec::new(),
    };
    statements::state(&mut report, chain.is_some(), has_timestamp);
    Ok(report)
}

/// What was read of a member: compared with the manifest at the end, when proofs had their say.
struct Seen {
    path: String,
    sha256: Hash32,
    is_crc_right: bool,
}

struct Reader<R> {
    archive: Archive<R>,
    members: Vec<(Member, Entry)>,
    seen: Vec<Seen>,
    json_bytes: u64,
}

impl<R: Read + Seek> Reader<R> {
    fn open(input: R) -> Result<Self, EvidenceError> {
        let archive = Archive::open(input)?;
        let mut members: Vec<(Member, Entry)> = Vec::with_capacity(archive.entries().len());
        for entry in archive.entries() {
            let member = Member::named(&entry.name).ok_or_else(|| EvidenceError::UnknownMember(entry.name.clone()))?;
            if members.last().is_some_and(|(before, _)| *before >= member) {
                return Err(EvidenceError::MemberOrder(entry.name.clone()));
            }
            members.push((member, entry.clone()));
        }
        Ok(Self { archive, members, seen: Vec::new(), json_bytes: 0 })
    }

    fn entry(&self, member: Member) -> Option<Entry> {
        self.members.iter().find(|(found, _)| *found == member).map(|(_, entry)| entry.clone())
    }

    /// Hands the content to `take` in pieces of `piece` bytes, and keeps what the manifest is compared with.
    fn stream(&mut self, entry: &Entry, piece: u64, take: &mut dyn FnMut(&[u8])) -> Result<(), EvidenceError> {
        let (mut hasher, mut crc) = (Sha256::new(), crc32fast::Hasher::new());
        let mut content = self.archive.content(entry)?;
        let (mut left, mut buffer) = (entry.bytes, Vec::new());
        loop {
            buffer.clear();
            content.by_ref().take(piece).read_to_end(&mut buffer).map_err(|error| io_fault(&error))?;
            hasher.update(&buffer);
            crc.update(&buffer);
            let read = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
            left = left.saturating_sub(read);
            if read > 0 || entry.bytes == 0 {
                take(&buffer);
            }
            if read == 0 || left == 0 {
                break;
            }
        }
        if left > 0 {
            return Err(EvidenceError::Truncated);
        }
        let sha256 = Hash32(hasher.finalize().into());
        self.seen.push(Seen { path: entry.name.clone(), sha256, is_crc_right: crc.finalize() == entry.crc });
        Ok(())
    }

    fn bytes(&mut self, entry: &Entry, max: u64) -> Result<Vec<u8>, EvidenceError> {
        self.json_bytes = self.json_bytes.saturating_add(entry.bytes);
        if entry.bytes > max || self.json_bytes > JSON_BYTES_TOTAL_MAX {
            return Err(EvidenceError::TooLarge(entry.name.clone()));
        }
        let mut out = Vec::new();
        self.stream(entry, max.max(1), &mut |piece| out.extend_from_slice(piece))?;
        Ok(out)
    }

    fn json<T: DeserializeOwned>(&mut self, member: Member) -> Result<Option<T>, EvidenceError> {
        let Some(entry) = self.entry(member) else { return Ok(None) };
        let bytes = self.bytes(&entry, JSON_BYTES_MAX)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| EvidenceError::malformed(entry.name, error))
    }

    fn required<T: DeserializeOwned>(&mut self, member: Member) -> Result<T, EvidenceError> {
        self.json(member)?.ok_or_else(|| EvidenceError::Members(format!("{} is missing", member.path())))
    }

    /// Manifest, its bytes, and the seal over them.
    fn manifest(&mut self) -> Result<(Manifest, Vec<u8>, Seal), EvidenceError> {
        let missing = |member: Member| EvidenceError::Members(format!("{} is missing", member.path()));
        let entry = self.entry(Member::Manifest).ok_or_else(|| missing(Member::Manifest))?;
        let bytes = self.bytes(&entry, JSON_BYTES_MAX)?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| EvidenceError::malformed(entry.name.clone(), error))?;
        if manifest.format != FORMAT {
            return Err(EvidenceError::malformed(entry.name, "another format"));
        }
        if manifest.v != FORMAT_VERSION {
            return Err(EvidenceError::Version(manifest.v));
        }
        let seal_entry = self.entry(Member::Seal).ok_or_else(|| missing(Member::Seal))?;
        let seal_bytes = self.bytes(&seal_entry, JSON_BYTES_MAX)?;
        let seal: Seal =
            serde_json::from_slice(&seal_bytes).map_err(|error| EvidenceError::malformed(seal_entry.name, error))?;
        let digest = seal_digest(&bytes, seal.timestamp);
        let is_signed = manifest.made.key.verify(digest.as_bytes(), &seal.signature).is_ok();
        if !is_signed || canonical(&manifest) != bytes || canonical(&seal) != seal_bytes {
            return Err(EvidenceError::Seal);
        }
        self.check_list(&manifest.files)?;
        Ok((manifest, bytes, seal))
    }

    /// The manifest names just the members that are there.
    fn check_list(&self, files: &[FileEntry]) -> Result<(), EvidenceError> {
        let there: Vec<&Entry> =
            self.members.iter().filter(|(member, _)| member.is_listed()).map(|(_, entry)| entry).collect();
        for (entry, file) in there.iter().zip(files) {
            if entry.name != file.path || entry.bytes != file.bytes {
                return Err(EvidenceError::Members(format!("{} instead of {}", entry.name, file.path)));
            }
        }
        match (there.get(files.len()), files.get(there.len())) {
            (None, None) => Ok(()),
            (Some(surplus), _) => Err(EvidenceError::Members(format!("{} is not named", surplus.name))),
            (None, Some(missing)) => Err(EvidenceError::Members(format!("{} is missing", missing.path))),
        }
    }

    fn package(&mut self, manifest: &Manifest) -> Result<Package, EvidenceError> {
        let history = self.required(Member::Chain)?;
        let mut documents = Vec::new();
        for (number, name) in (1u16..).zip(&manifest.documents) {
            documents.push((*name, self.document(number)?));
        }
        let audit = self.json(Member::Audit)?;
        let named = self.members.iter().filter_map(|(member, entry)| match member {
            Member::Document(number, _) => Some((*number, entry)),
            _ => None,
        });
        // A member of a document that the manifest does not have.
        for (number, entry) in named {
            if usize::from(number) > documents.len() {
                return Err(EvidenceError::Members(format!("{} is of no document", entry.name)));
            }
        }
        Ok(Package { chain: manifest.chain, made: manifest.made.clone(), history, documents, audit })
    }

    fn document(&mut self, number: u16) -> Result<DocumentEvidence, EvidenceError> {
        let member = |part| Member::Document(number, part);
        let attachments: Option<Vec<AttachmentEntry>> = self.json(member(Part::Attachments))?;
        let is_sorted = |list: &Vec<AttachmentEntry>| {
            !list.is_empty() && list.is_sorted_by(|a, b| (a.slot, a.index) < (b.slot, b.index))
        };
        if !attachments.as_ref().is_none_or(is_sorted) {
            return Err(EvidenceError::malformed(member(Part::Attachments).path(), "empty, or out of order"));
        }
        Ok(DocumentEvidence {
            records: self.required(member(Part::Record))?,
            disclosures: self.required(member(Part::Disclosures))?,
            submission: self.json(member(Part::Submission))?,
            attachments: attachments.unwrap_or_default(),
        })
    }

    /// Reads all pieces of all files, group by group.
    fn files(&mut self, package: &Package, checked: &Checked) -> Result<(), EvidenceError> {
        let mut wanted: Vec<Member> = Vec::new();
        for (number, ((name, given), known)) in (1u16..).zip(package.documents.iter().zip(&checked.files)) {
            for (member, bytes) in file_members(number, &given.attachments) {
                let entry = self.entry(member).filter(|entry| entry.bytes == bytes);
                entry.ok_or_else(|| {
                    EvidenceError::Members(format!("{} is missing or of another length", member.path()))
                })?;
                wanted.push(member);
            }
            for (entry, file) in given.attachments.iter().zip(known) {
                self.file(number, *name, entry, file)?;
            }
        }
        let surplus = self
            .members
            .iter()
            .find(|(member, _)| matches!(member, Member::Document(_, Part::File { .. })) && !wanted.contains(member));
        match surplus {
            Some((member, _)) => Err(EvidenceError::Members(format!("{} belongs to no file", member.path()))),
            None => Ok(()),
        }
    }

    fn file(
        &mut self,
        number: u16,
        name: DocumentName,
        given: &AttachmentEntry,
        file: &KnownFile,
    ) -> Result<(), EvidenceError> {
        let (key, mut damaged) = (file.key(), Vec::<Range<u64>>::new());
        for part in &given.parts {
            let place = Part::File { slot: given.slot, index: given.index, offset: part.offset };
            let Some(entry) = self.entry(Member::Document(number, place)) else { continue };
            let mut at = part.offset;
            self.stream(&entry, GROUP_BYTES, &mut |group| {
                let end = at.saturating_add(u64::try_from(group.len()).unwrap_or(u64::MAX));
                if !file.groups.is_group(at / GROUP_BYTES, group, &key) {
                    match damaged.last_mut() {
                        Some(last) if last.end == at => last.end = end,
                        _ => damaged.push(at..end),
                    }
                }
                at = end;
            })?;
        }
        if damaged.is_empty() {
            Ok(())
        } else {
            let file = file.value.name.clone();
            Err(EvidenceError::AttachmentChanged { document: name.key(), file, damaged })
        }
    }

    /// The summary is made of what was verified, so it is made again and compared.
    fn summary(&mut self, package: &Package, checked: &Checked) -> Result<(), EvidenceError> {
        let missing = || EvidenceError::Members(format!("{} is missing", Member::Summary.path()));
        let entry = self.entry(Member::Summary).ok_or_else(missing)?;
        let found = self.bytes(&entry, JSON_BYTES_MAX)?;
        let made = summary::html(package.chain, &package.made, &checked.documents, checked.audit.as_ref());
        if made.as_bytes() == found { Ok(()) } else { Err(EvidenceError::Summary) }
    }

    /// The time stamp is carried as it is; that it names this manifest is all that is checked of it.
    fn timestamp(&mut self, manifest: &[u8], seal: &Seal) -> Result<bool, EvidenceError> {
        let (token, expected) = match (self.entry(Member::Timestamp), seal.timestamp) {
            (None, None) => return Ok(false),
            (Some(entry), Some(expected)) => (self.bytes(&entry, TIMESTAMP_BYTES_MAX)?, expected),
            (None, Some(_)) => return Err(EvidenceError::Timestamp("it is missing")),
            (Some(_), None) => return Err(EvidenceError::Timestamp("the seal does not name it")),
        };
        if sha256(&[&token]) != expected.0 {
            return Err(EvidenceError::Timestamp("it is not the one that the seal names"));
        }
        // In a token the imprint is an OCTET STRING of 32 bytes.
        let imprint = [&[0x04, 0x20], &sha256(&[manifest])[..]].concat();
        if token.windows(imprint.len()).any(|window| window == imprint) {
            Ok(true)
        } else {
            Err(EvidenceError::Timestamp("it stamps something else than this manifest"))
        }
    }

    /// Bytes that no proof covers, for example spaces between values.
    fn digests(&mut self, manifest: &Manifest) -> Result<(), EvidenceError> {
        for file in &manifest.files {
            let seen = self.seen.iter().find(|seen| seen.path == file.path);
            let seen = seen.ok_or_else(|| EvidenceError::Members(format!("{} belongs to nothing", file.path)))?;
            if seen.sha256 != file.sha256 {
                return Err(EvidenceError::MemberChanged(file.path.clone()));
            }
        }
        match self.seen.iter().find(|seen| !seen.is_crc_right) {
            Some(seen) => Err(EvidenceError::Archive(format!("the CRC of {}", seen.path))),
            None => Ok(()),
        }
    }
}
