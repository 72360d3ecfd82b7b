//! What a proposal does, and the hash by which administrators vote for exactly that.

use wincode::{SchemaRead, SchemaWrite};

use crate::{
    codec::encode,
    hash::{Hash32, domain_hash},
    numbers::TimestampMs,
};

/// One thing a proposal does: a kernel method, or a call of a contract by the contract `system`.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Action {
    /// The contract.
    pub contract: String,
    /// The method.
    pub method: String,
    /// Its encoded arguments.
    pub arguments: Vec<u8>,
}

/// Everything of a proposal that an administrator votes on, and nothing else: neither who made it nor when.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ProposalContent {
    /// `membership`, `nodes`, `contracts`, `parameters`, `emergency`, `documents` or `member`.
    pub kind: String,
    /// With `member`: which.
    pub member: Option<String>,
    /// What it is, for people.
    pub title: String,
    /// The last block time at which ballots count.
    pub deadline: TimestampMs,
    /// What it does, in order.
    pub actions: Vec<Action>,
}

impl ProposalContent {
    /// What a ballot names, so that nobody can be made to vote for something else than was read.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        domain_hash("vouch/proposal/1", &[&encode(self)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_over_the_bytes_of_the_protocol() {
        let content = ProposalContent {
            kind: "member".into(),
            member: Some("hub".into()),
            title: "t".into(),
            deadline: TimestampMs(258),
            actions: vec![Action { contract: "system".into(), method: "m".into(), arguments: vec![7] }],
        };
        let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
        let mut bytes = b"vouch/proposal/1\0".to_vec();
        bytes.extend(text("member"));
        bytes.push(1);
        bytes.extend(text("hub"));
        bytes.extend(text("t"));
        bytes.extend([2, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend(1u64.to_le_bytes());
        bytes.extend(text("system"));
        bytes.extend(text("m"));
        bytes.extend(text("\u{7}"));
        assert_eq!(content.hash().0, *blake3::hash(&bytes).as_bytes());
        let other = ProposalContent { deadline: TimestampMs(259), ..content.clone() };
        assert_ne!(content.hash(), other.hash());
    }
}
