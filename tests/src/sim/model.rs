//! What the chain should hold, written a second time and more plainly: who belongs to it and what the contract counts.

use std::collections::{BTreeMap, BTreeSet};

use vouch_types::{AccountId, Hash32, PublicKey, TxId};

use super::vaults::{PaperOp, Papers};

/// Height as a plain number.
pub type H = u64;

/// What a simulated transaction asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Add {
        key: u8,
        amount: u64,
    },
    Fail {
        key: u8,
    },
    Spin,
    Enumerate,
    Unknown,
    RegisterNode {
        index: usize,
        power: u64,
    },
    SetPower {
        index: usize,
        power: u64,
    },
    RemoveNode {
        index: usize,
    },
    SetMember {
        member: String,
        active: bool,
    },
    /// Ballots for a proposal that is open, with its content's hash.
    Vote {
        proposal: u64,
        content: Hash32,
    },
    /// Private documents.
    Paper(PaperOp),
}

impl Op {
    /// Whether it changes who votes.
    pub const fn is_system(&self) -> bool {
        matches!(
            self,
            Self::RegisterNode { .. }
                | Self::SetPower { .. }
                | Self::RemoveNode { .. }
                | Self::SetMember { .. }
                | Self::Vote { .. }
                | Self::Paper(PaperOp::RegisterSchema)
        )
    }

    /// How many of `active` members a decision on it takes: more than two thirds, in an emergency more than half.
    pub const fn needed(&self, active: usize) -> usize {
        match self {
            Self::SetMember { active: false, .. } => active / 2 + 1,
            _ => active * 2 / 3 + 1,
        }
    }
}

/// A properly signed transaction that exists.
#[derive(Debug, Clone)]
pub struct KnownTx {
    pub id: TxId,
    pub ops: Vec<Op>,
    pub signers: Vec<AccountId>,
    pub expiry: H,
}

/// A node that the chain may register.
#[derive(Debug, Clone)]
pub struct Identity {
    pub member: String,
    pub consensus: PublicKey,
    pub network: PublicKey,
}

/// A proposal that too few members have approved.
#[derive(Debug, Clone)]
pub struct Open {
    pub op: Op,
    pub content: Hash32,
    pub approving: BTreeSet<String>,
}

/// The state after some height.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub tally: BTreeMap<u8, u64>,
    /// Member to whether it is active.
    pub members: BTreeMap<String, bool>,
    pub accounts: BTreeMap<AccountId, String>,
    pub admins: BTreeMap<AccountId, String>,
    /// Registered nodes by index, with power.
    pub nodes: BTreeMap<usize, u64>,
    /// How many proposals were made.
    pub proposals: u64,
    pub open: BTreeMap<u64, Open>,
    pub papers: Papers,
}

impl Model {
    /// Whether an account may sign.
    pub fn may_sign(&self, account: &AccountId) -> bool {
        let member = self.accounts.get(account).or_else(|| self.admins.get(account));
        member.is_some_and(|m| self.members.get(m) == Some(&true))
    }

    /// Nodes of active members with their power, by index.
    pub fn active_nodes<'a>(&'a self, who: &'a [Identity]) -> impl Iterator<Item = (usize, u64)> + 'a {
        self.nodes.iter().map(|(i, p)| (*i, *p)).filter(|(i, _)| self.members.get(&who[*i].member) == Some(&true))
    }

    /// The validators, in the order of their keys.
    pub fn validators(&self, who: &[Identity]) -> Vec<(PublicKey, u64)> {
        let mut set: Vec<_> =
            self.active_nodes(who).filter(|(_, p)| *p > 0).map(|(i, p)| (who[i].consensus, p)).collect();
        set.sort_by_key(|(key, _)| (key.algorithm, key.bytes));
        set.dedup_by_key(|(key, _)| *key);
        set
    }

    /// Members that take part and whose administrator signed.
    fn voices(&self, signers: &[AccountId]) -> BTreeSet<String> {
        let members = signers.iter().filter_map(|s| self.admins.get(s));
        members.filter(|m| self.members[*m]).cloned().collect()
    }

    /// A proposal that these members are for, decided if they are enough; what the kernel returns.
    fn decide(&mut self, id: u64, open: Open, who: &[Identity]) -> Vec<u8> {
        let active = self.members.values().filter(|a| **a).count();
        let approving = open.approving.iter().filter(|m| self.members[*m]).count();
        let state = if approving < open.op.needed(active) {
            self.open.insert(id, open);
            "open"
        } else {
            let mut after = self.clone();
            if after.change(&open.op, who).is_some() {
                *self = after;
                "executed"
            } else {
                "failed"
            }
        };
        let mut output = id.to_le_bytes().to_vec();
        output.extend((state.len() as u64).to_le_bytes());
        output.extend(state.as_bytes());
        output
    }

    /// What one operation does; `None` when it fails.
    pub fn apply(&mut self, op: &Op, signers: &[AccountId], who: &[Identity]) -> Option<Vec<u8>> {
        match op {
            Op::Add { key, amount } => {
                let sum = self.tally.entry(*key).or_default();
                *sum = sum.wrapping_add(*amount);
                return Some(sum.to_le_bytes().to_vec());
            }
            Op::Enumerate => return Some(self.listing()),
            Op::Fail { .. } | Op::Spin | Op::Unknown => return None,
            Op::Paper(op) if *op != PaperOp::RegisterSchema => {
                let caller = signers.first()?;
                let member = self.accounts.get(caller)?;
                return self.papers.apply(op, caller, member, &self.members);
            }
            _ => {}
        }
        let voices = self.voices(signers);
        if voices.is_empty() {
            return None;
        }
        match op {
            Op::Vote { proposal, content } => {
                let mut open = self.open.remove(proposal).filter(|open| open.content == *content)?;
                open.approving.extend(voices);
                Some(self.decide(*proposal, open, who))
            }
            _ => {
                self.proposals += 1;
                let content = super::workload::content(op, who).hash();
                Some(self.decide(self.proposals, Open { op: op.clone(), content, approving: voices }, who))
            }
        }
    }

    /// Carries a decision out; `None` when it fails.
    pub fn change(&mut self, op: &Op, who: &[Identity]) -> Option<()> {
        match op {
            Op::RegisterNode { index, power } => {
                if self.nodes.contains_key(index) || !self.members[&who[*index].member] {
                    return None;
                }
                self.nodes.insert(*index, *power);
            }
            Op::SetPower { index, power } => *self.nodes.get_mut(index)? = *power,
            Op::RemoveNode { index } => drop(self.nodes.remove(index)?),
            Op::SetMember { member, active } => {
                let standing = self.members.get_mut(member)?;
                if *standing == *active {
                    return None;
                }
                *standing = *active;
            }
            Op::Paper(PaperOp::RegisterSchema) => self.papers.schemas += 1,
            _ => return None,
        }
        (!self.validators(who).is_empty()).then_some(())
    }

    /// Runs a whole transaction, all or nothing; the last output.
    pub fn run(&mut self, tx: &KnownTx, who: &[Identity]) -> Option<Vec<u8>> {
        let mut after = self.clone();
        let mut output = Some(Vec::new());
        for op in &tx.ops {
            output = after.apply(op, &tx.signers, who);
            output.as_ref()?;
        }
        *self = after;
        output
    }

    /// What the contract's `list` returns.
    pub fn listing(&self) -> Vec<u8> {
        let mut out = (self.tally.len() as u64).to_le_bytes().to_vec();
        for (key, sum) in &self.tally {
            out.extend(1u64.to_le_bytes());
            out.push(*key);
            out.extend(8u64.to_le_bytes());
            out.extend(sum.to_le_bytes());
        }
        out
    }
}

/// The bytes that votes, blocks and sets are hashed from, put together by hand.
pub mod bytes {
    use vouch_types::{CommitCertificate, Hash32, Header, PublicKey};

    /// BLAKE3 over tag, zero byte and content.
    pub fn tagged(tag: &str, content: &[u8]) -> Hash32 {
        let mut all = tag.as_bytes().to_vec();
        all.push(0);
        all.extend_from_slice(content);
        Hash32(*blake3::hash(&all).as_bytes())
    }

    /// A block's name.
    pub fn block_hash(header: &Header) -> Hash32 {
        let mut b = vec![header.version];
        b.extend(header.chain.0);
        b.extend(header.height.0.to_le_bytes());
        b.extend(header.time.0.to_le_bytes());
        b.extend(header.parent.0);
        b.extend(header.proposer.0);
        b.extend(header.transactions_root.0);
        b.extend(header.receipts_root.0);
        b.extend(header.state_root.0);
        b.extend(header.validators_hash.0);
        b.extend(header.next_validators_hash.0);
        tagged("vouch/block/1", &b)
    }

    /// What a precommit in a certificate signs.
    pub fn precommit(chain: &[u8; 32], certificate: &CommitCertificate) -> Hash32 {
        let mut b = chain.to_vec();
        b.extend(1u32.to_le_bytes());
        b.extend(certificate.height.0.to_le_bytes());
        b.extend(certificate.round.0.to_le_bytes());
        b.push(1);
        b.extend(certificate.block.0);
        tagged("vouch/vote/1", &b)
    }

    /// A validator set's name.
    pub fn set_hash(set: &[(PublicKey, u64)]) -> Hash32 {
        let mut b = (set.len() as u64).to_le_bytes().to_vec();
        for (key, power) in set {
            b.push(key.algorithm);
            b.extend(key.bytes);
            b.extend(power.to_le_bytes());
        }
        tagged("vouch/validators/1", &b)
    }

    /// Root of a tree over items.
    pub fn merkle_root(items: &[Vec<u8>]) -> Hash32 {
        let mut level: Vec<Hash32> = items.iter().map(|i| tagged("vouch/merkle-leaf/1", i)).collect();
        while level.len() > 1 {
            let mut up = Vec::new();
            let mut at = 0;
            while at < level.len() {
                up.push(if at + 1 < level.len() {
                    tagged("vouch/merkle-node/1", &[level[at].0, level[at + 1].0].concat())
                } else {
                    level[at]
                });
                at += 2;
            }
            level = up;
        }
        let mut b = (items.len() as u32).to_le_bytes().to_vec();
        b.extend(level.first().map_or([0; 32], |h| h.0));
        tagged("vouch/merkle-root/1", &b)
    }
}
