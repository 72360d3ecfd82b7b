//! The validator set of one height with every node name computed once.

use std::collections::BTreeMap;

use vouch_types::{Height, NodeId, Power, PublicKey, Round, ValidatorSet, ValidatorSetError};

/// One validator under its node name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) node: NodeId,
    pub(crate) key: PublicKey,
    pub(crate) power: u64,
}

/// A checked [`ValidatorSet`] with look-up by node. Not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Members {
    set: ValidatorSet,
    list: Vec<Member>,
    positions: BTreeMap<NodeId, u16>,
    total: u64,
}

impl Members {
    /// Checks the set and names its members.
    pub(crate) fn new(set: ValidatorSet) -> Result<Self, ValidatorSetError> {
        set.validate()?;
        let list: Vec<Member> =
            set.members().iter().map(|v| Member { node: v.key.node(), key: v.key, power: v.power.0 }).collect();
        let positions = list.iter().zip(0u16..).map(|(member, at)| (member.node, at)).collect();
        let total = set.total_power().0;
        Ok(Self { set, list, positions, total })
    }

    pub(crate) fn set(&self) -> &ValidatorSet {
        &self.set
    }

    pub(crate) fn list(&self) -> &[Member] {
        &self.list
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn position(&self, node: &NodeId) -> Option<u16> {
        self.positions.get(node).copied()
    }

    pub(crate) fn get(&self, node: &NodeId) -> Option<&Member> {
        self.list.get(usize::from(self.position(node)?))
    }

    /// Who proposes, by the one rule of [`ValidatorSet::proposer`].
    pub(crate) fn proposer(&self, height: Height, round: Round) -> &Member {
        let key = self.set.proposer(height, round).key;
        self.list.iter().find(|m| m.key == key).expect("the proposer is chosen from the same members")
    }

    /// More than two thirds.
    pub(crate) fn is_quorum(&self, power: u64) -> bool {
        self.set.is_quorum(Power(power))
    }

    /// More than one third: at least one honest member is among them.
    pub(crate) fn has_honest(&self, power: u64) -> bool {
        3 * u128::from(power) > u128::from(self.total)
    }
}
