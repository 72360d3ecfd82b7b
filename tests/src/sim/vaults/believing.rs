//! A node's view of the chain that is not what the chain says: for liars, and for planted bugs.

use std::sync::Arc;

use vouch_privacy::SchemaFields;
use vouch_types::{
    Height, TimestampMs,
    document::{Audience, Decision, Entitled, FieldSet},
};
use vouch_vault::{
    Chain, ChainError, DocumentId, ErasureStep, Facts, LedgerChain, Listed, Question, Scope, Unattested, VersionKey,
};

use super::{super::genesis::member_name, model::SLOTS};

/// Whom a node takes for entitled beyond those who are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// Nobody.
    None,
    /// The first member that is not.
    OneMore,
    /// Everybody, to everything.
    Everybody,
}

/// The chain, with a belief.
pub struct Believing {
    pub chain: LedgerChain,
    pub belief: Belief,
    pub members: usize,
}

impl Chain for Believing {
    fn head(&self) -> Height {
        self.chain.head()
    }

    fn time(&self) -> TimestampMs {
        self.chain.time()
    }

    fn is_answering(&self) -> Result<bool, ChainError> {
        self.chain.is_answering()
    }

    fn document(&self, key: &VersionKey) -> Result<Option<Facts>, ChainError> {
        self.chain.document(key)
    }

    fn audience(&self, key: &VersionKey) -> Result<Audience, ChainError> {
        let mut audience = self.chain.audience(key)?;
        let is_there = |audience: &Audience, name: &String| audience.members.iter().any(|e| e.member == *name);
        // Nobody is entitled to what is not there, or is erased.
        let others: Vec<String> = if audience.members.is_empty() {
            Vec::new()
        } else {
            (0..self.members).map(member_name).filter(|name| !is_there(&audience, name)).collect()
        };
        let count = match self.belief {
            Belief::None => 0,
            Belief::OneMore => 1,
            Belief::Everybody => others.len(),
        };
        for member in others.into_iter().take(count) {
            audience.members.push(Entitled { member, fields: FieldSet::first(SLOTS), basis: 1 });
        }
        if self.belief == Belief::Everybody {
            audience.members.iter_mut().for_each(|entitled| entitled.fields = FieldSet::first(SLOTS));
        }
        audience.members.sort_by(|a, b| a.member.cmp(&b.member));
        Ok(audience)
    }

    fn may(&self, question: &Question) -> Result<Decision, ChainError> {
        self.chain.may(question)
    }

    fn schema(&self, name: &str, version: u32) -> Result<Option<Arc<SchemaFields>>, ChainError> {
        self.chain.schema(name, version)
    }

    fn documents(&self, scope: &Scope, after: u64, limit: u32) -> Result<Vec<Listed>, ChainError> {
        self.chain.documents(scope, after, limit)
    }

    fn awaits_erasure(&self, id: &DocumentId, member: &str) -> Result<bool, ChainError> {
        self.chain.awaits_erasure(id, member)
    }

    fn due_step(&self, id: &DocumentId) -> Result<Option<(ErasureStep, u64)>, ChainError> {
        self.chain.due_step(id)
    }

    fn unattested(&self, id: &DocumentId, member: &str) -> Result<Option<Unattested>, ChainError> {
        self.chain.unattested(id, member)
    }

    fn said_possession(&self, key: &VersionKey, member: &str) -> Result<FieldSet, ChainError> {
        self.chain.said_possession(key, member)
    }

    fn latest(&self, id: &DocumentId) -> Result<Option<u32>, ChainError> {
        self.chain.latest(id)
    }
}
