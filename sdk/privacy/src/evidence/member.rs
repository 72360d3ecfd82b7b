//! Names of members and their one order.

/// A member of a package. Their order is that of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member {
    Chain,
    /// Of document number `.0`, from 1.
    Document(u16, Part),
    Audit,
    Summary,
    Manifest,
    Seal,
    Timestamp,
}

/// What there is of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Record,
    Disclosures,
    Submission,
    Attachments,
    File { slot: u16, index: u16, offset: u64 },
}

impl Member {
    pub(super) fn path(self) -> String {
        match self {
            Self::Chain => "chain.json".into(),
            Self::Document(number, part) => format!("documents/{number}/{}", part.path()),
            Self::Audit => "audit.json".into(),
            Self::Summary => "summary.html".into(),
            Self::Manifest => "manifest.json".into(),
            Self::Seal => "seal.json".into(),
            Self::Timestamp => "timestamp.tsr".into(),
        }
    }

    /// The member of this name; `None` for any other spelling.
    pub(super) fn named(path: &str) -> Option<Self> {
        let member = match path.split_once('/') {
            None => {
                let all = [Self::Chain, Self::Audit, Self::Summary, Self::Manifest, Self::Seal, Self::Timestamp];
                all.into_iter().find(|member| member.path() == path)?
            }
            Some((_, rest)) => {
                let (number, rest) = rest.split_once('/')?;
                Self::Document(number.parse().ok().filter(|number| *number > 0)?, Part::named(rest)?)
            }
        };
        (member.path() == path).then_some(member)
    }

    /// Whether the manifest names it.
    pub(super) fn is_listed(self) -> bool {
        self < Self::Manifest
    }
}

impl Part {
    fn path(self) -> String {
        match self {
            Self::Record => "record.json".into(),
            Self::Disclosures => "disclosures.json".into(),
            Self::Submission => "submission.json".into(),
            Self::Attachments => "attachments.json".into(),
            Self::File { slot, index, offset } => format!("files/{slot}-{index}-{offset}"),
        }
    }

    fn named(path: &str) -> Option<Self> {
        let fixed = [Self::Record, Self::Disclosures, Self::Submission, Self::Attachments];
        if let Some(part) = fixed.into_iter().find(|part| part.path() == path) {
            return Some(part);
        }
        let mut numbers = path.strip_prefix("files/")?.splitn(3, '-');
        let (slot, index, offset) = (numbers.next()?, numbers.next()?, numbers.next()?);
        Some(Self::File { slot: slot.parse().ok()?, index: index.parse().ok()?, offset: offset.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling_and_no_tricks() {
        let file = Part::File { slot: 3, index: 0, offset: 16_384 };
        let ordered = [
            Member::Chain,
            Member::Document(1, Part::Record),
            Member::Document(1, Part::Disclosures),
            Member::Document(1, Part::Submission),
            Member::Document(1, Part::Attachments),
            Member::Document(1, Part::File { slot: 2, index: 9, offset: 0 }),
            Member::Document(1, file),
            Member::Document(2, Part::Record),
            Member::Document(10, Part::Record),
            Member::Audit,
            Member::Summary,
            Member::Manifest,
            Member::Seal,
            Member::Timestamp,
        ];
        assert!(ordered.is_sorted_by(|a, b| a < b));
        for member in ordered {
            assert_eq!(Member::named(&member.path()), Some(member), "{}", member.path());
        }
        for bad in [
            "",
            "/",
            "chain.json/",
            "./chain.json",
            "../chain.json",
            "/chain.json",
            "Chain.json",
            "documents/0/record.json",
            "documents/01/record.json",
            "documents/+1/record.json",
            "documents/1/../1/record.json",
            "documents//record.json",
            "document/1/record.json",
            "documents/1/files/1-2",
            "documents/1/files/01-2-3",
            "documents/1/files/1-2-3-4",
            "documents/65536/record.json",
            "documents\\1\\record.json",
            "documents/1/other.json",
            "readme.txt",
        ] {
            assert_eq!(Member::named(bad), None, "{bad}");
        }
    }
}
