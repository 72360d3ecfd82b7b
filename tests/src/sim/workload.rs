//! Transactions of business systems and administrators, good ones and bad ones.

use std::collections::VecDeque;

use vouch_ledger::kernel;
use vouch_types::{
    Call, ChainId, ContractName, Height, SecretKey, Signature, TimestampMs, Transaction, TransactionBody, TxId, encode,
    governance::{Action, ProposalContent},
};

use super::{
    contract, genesis,
    model::{KnownTx, Model, Op},
    oracle::Oracle,
    plan::Plan,
    rng::Rng,
    vaults::{self, PaperOp},
};

/// When proposals end, after the beginning of the chain: later than any run.
const DEADLINE_MS: u64 = 300 * 24 * 3_600_000;

/// Draws transactions.
pub struct Workload {
    rng: Rng,
    chain: ChainId,
    founding: usize,
    recent: VecDeque<Vec<u8>>,
    /// A change of the validators that is not decided yet, and its last height.
    pending: Option<(TxId, u64)>,
}

/// A transaction to submit, and how many nodes get it.
pub struct Submission {
    pub raw: Vec<u8>,
    pub copies: u64,
}

impl Workload {
    pub fn new(plan: &Plan, chain: ChainId) -> Self {
        let founding = plan.nodes.iter().filter(|n| n.founding).count();
        Self { rng: Rng::new(plan.seed, 3), chain, founding, recent: VecDeque::new(), pending: None }
    }

    /// The next one. `faulty` says which nodes must stay below a third of the power.
    pub fn next(&mut self, oracle: &mut Oracle, plan: &Plan, faulty: &dyn Fn(usize) -> bool) -> Submission {
        let copies = if self.rng.chance(200) { 3 } else { 1 };
        let height = oracle.height();
        if plan.set_changes
            && self.rng.chance(250)
            && let Some(raw) = self.system_change(oracle, faulty)
        {
            return Submission { raw, copies: 3 };
        }
        let choice = self.rng.below(100);
        if choice < 6 && !self.recent.is_empty() {
            let at = self.rng.index(self.recent.len());
            return Submission { raw: self.recent[at].clone(), copies };
        }
        let signer = genesis::secret("account", self.rng.index(self.founding));
        let (ops, expiry) = match choice {
            6..=8 => (vec![self.add()], self.rng.below(height + 1)),
            9..=11 => (vec![Op::Fail { key: self.rng.below(6) as u8 }], self.expiry(height)),
            // With the fuel that documents need it would spin for long.
            12 if plan.vaults.is_none() => (vec![Op::Spin], self.expiry(height)),
            13..=14 => (vec![Op::Unknown], self.expiry(height)),
            15..=17 => (vec![self.add(), Op::Fail { key: 1 }], self.expiry(height)),
            18..=25 => (vec![self.add(), self.add()], self.expiry(height)),
            26..=33 => (vec![Op::Enumerate], self.expiry(height)),
            34 => (vec![self.add()], height + plan.expiry_window + 50),
            _ => (vec![self.add()], self.expiry(height)),
        };
        let mut transaction = self.body(&ops, expiry, &[]).sign(&[&signer]);
        match self.rng.below(100) {
            0..=2 => spoil(&mut transaction.signatures[0].signature),
            3 => transaction = self.body(&ops, expiry, &[]).sign(&[&genesis::secret("stranger", 0)]),
            4 => {
                let mut body = transaction.body;
                body.chain = ChainId([9; 32]);
                transaction = body.sign(&[&signer]);
            }
            5..=6 => {
                // The good one and a spoiled copy of it, which must not stand in its way.
                let raw = self.know(oracle, &transaction, ops);
                spoil(&mut transaction.signatures[0].signature);
                self.recent.push_back(encode(&transaction));
                return Submission { raw, copies: 2 };
            }
            _ => {
                let raw = self.know(oracle, &transaction, ops);
                return Submission { raw, copies };
            }
        }
        Submission { raw: encode(&transaction), copies }
    }

    fn add(&mut self) -> Op {
        Op::Add { key: self.rng.below(6) as u8, amount: self.rng.below(1 << 20) }
    }

    fn expiry(&mut self, height: u64) -> u64 {
        height + self.rng.range(1, 4) * self.rng.range(1, 3)
    }

    fn know(&mut self, oracle: &mut Oracle, transaction: &Transaction, ops: Vec<Op>) -> Vec<u8> {
        let raw = encode(transaction);
        let known = KnownTx {
            id: transaction.body.id(),
            ops,
            signers: transaction.signatures.iter().map(|s| s.key.account()).collect(),
            expiry: transaction.body.expiry.0,
        };
        oracle.known.insert(raw.clone(), known);
        self.recent.push_back(raw.clone());
        if self.recent.len() > 30 {
            self.recent.pop_front();
        }
        raw
    }

    fn body(&mut self, ops: &[Op], expiry: u64, who: &[super::model::Identity]) -> TransactionBody {
        let salt = self.rng.bytes32()[..16].try_into().unwrap();
        let calls = ops.iter().map(|op| call(op, who)).collect();
        TransactionBody { version: 1, chain: self.chain, expiry: Height(expiry), salt, calls }
    }

    /// A change of the validator set after which the faulty ones are still few enough.
    fn system_change(&mut self, oracle: &mut Oracle, faulty: &dyn Fn(usize) -> bool) -> Option<Vec<u8>> {
        let height = oracle.height();
        if let Some((id, expiry)) = self.pending
            && height < expiry
            && !oracle.positions.contains_key(&id)
        {
            return None;
        }
        let model = oracle.latest().clone();
        let index = self.rng.index(oracle.who.len());
        let member = genesis::member_name(self.rng.index(self.founding));
        let op = match (model.nodes.contains_key(&index), self.rng.below(4)) {
            (false, _) => Op::RegisterNode { index, power: self.rng.range(0, 3) },
            (true, 0) => Op::RemoveNode { index },
            (true, 1) => Op::SetMember { active: !model.members[&member], member },
            (true, _) => Op::SetPower { index, power: self.rng.range(1, 6) },
        };
        // Half of the time an open proposal is voted on, if there is one.
        let open = model.open.iter().next_back().filter(|_| self.rng.chance(500));
        let (op, change) = match open {
            Some((proposal, open)) => (Op::Vote { proposal: *proposal, content: open.content }, open.op.clone()),
            None => (op.clone(), op),
        };
        let mut after = model.clone();
        after.change(&change, &oracle.who)?;
        if !stays_safe(&after, oracle, faulty) {
            return None;
        }
        let active = model.members.values().filter(|a| **a).count();
        let admins: Vec<SecretKey> = (0..self.founding)
            .filter(|i| model.members[&genesis::member_name(*i)])
            .take(change.needed(active))
            .map(|i| genesis::secret("admin", i))
            .collect();
        let expiry = height + 3;
        let short = self.rng.chance(200);
        let keys: Vec<&SecretKey> = admins.iter().take(if short { 1 } else { admins.len() }).collect();
        let body = self.body(core::slice::from_ref(&op), expiry, &oracle.who);
        let transaction = body.sign(&keys);
        self.pending = Some((transaction.body.id(), expiry));
        Some(self.know(oracle, &transaction, vec![op]))
    }
}

fn stays_safe(after: &Model, oracle: &Oracle, faulty: &dyn Fn(usize) -> bool) -> bool {
    let nodes: Vec<(usize, u64)> = after.active_nodes(&oracle.who).collect();
    let total: u64 = nodes.iter().map(|(_, p)| p).sum();
    let bad: u64 = nodes.iter().filter(|(i, _)| faulty(*i)).map(|(_, p)| p).sum();
    total > 0 && bad * 3 < total
}

fn spoil(signature: &mut Signature) {
    signature.0[40] ^= 1;
}

/// What a change of the validator set is proposed as.
pub fn content(op: &Op, who: &[super::model::Identity]) -> ProposalContent {
    let mut contract = "system";
    let (kind, method, arguments) = match op {
        Op::Paper(PaperOp::RegisterSchema) => {
            contract = "documents";
            ("documents", "register_schema", encode(&vaults::definition()))
        }
        Op::RegisterNode { index, power } => {
            let node = &who[*index];
            let request = kernel::RegisterNode {
                member: node.member.clone(),
                name: format!("n{index}"),
                consensus_key: node.consensus,
                network_key: node.network,
                address: format!("127.0.0.1:{}", 7000 + index),
                power: *power,
            };
            ("nodes", "register_node", encode(&request))
        }
        Op::SetPower { index, power } => {
            let node = who[*index].consensus.node();
            let request = kernel::SetNode { node, address: "127.0.0.1:1".into(), power: *power };
            ("nodes", "set_node", encode(&request))
        }
        Op::RemoveNode { index } => {
            ("nodes", "remove_node", encode(&kernel::RemoveNode { node: who[*index].consensus.node() }))
        }
        Op::SetMember { member, active: true } => {
            ("membership", "resume_member", encode(&kernel::ResumeMember { name: member.clone() }))
        }
        Op::SetMember { member, active: false } => {
            let request = kernel::SuspendMember { name: member.clone(), reason: "drawn".into() };
            ("emergency", "suspend_member", encode(&request))
        }
        _ => unreachable!("{op:?} is no decision"),
    };
    let action = Action { contract: contract.into(), method: method.into(), arguments };
    ProposalContent {
        kind: kind.into(),
        member: None,
        title: "A change".into(),
        deadline: TimestampMs(genesis::EPOCH_MS + DEADLINE_MS),
        actions: vec![action],
    }
}

/// An operation as a call.
pub fn call(op: &Op, who: &[super::model::Identity]) -> Call {
    let (contract, method, arguments) = match op {
        Op::Add { key, amount } => (contract::NAME, "add", [&[*key][..], &amount.to_le_bytes()].concat()),
        Op::Fail { key } => (contract::NAME, "fail", [&[*key][..], &7u64.to_le_bytes()].concat()),
        Op::Spin => (contract::NAME, "spin", Vec::new()),
        Op::Enumerate => (contract::NAME, "enumerate", Vec::new()),
        Op::Unknown => ("nobody", "add", Vec::new()),
        Op::Vote { proposal, content } => {
            let vote = kernel::Vote { proposal: *proposal, content: *content, approve: true };
            ("system", "vote", encode(&vote))
        }
        _ => {
            let ProposalContent { kind, member, title, deadline, actions } = content(op, who);
            let request = kernel::Propose { kind, member, title, deadline_ms: deadline.0, actions };
            ("system", "propose", encode(&request))
        }
    };
    Call { contract: ContractName::new(contract).unwrap(), method: method.into(), arguments }
}
