//! What vaults say on the chain: transactions of their nodes' service accounts, through the own node's admission.

use vouch_ledger::{LedgerError, Reader};
use vouch_types::{Hash32, Height, Outcome, TransactionBody, TxId, encode};
use vouch_vault::{Act, ActResult, Input};

use super::{
    super::{
        genesis,
        model::{KnownTx, Op},
        mutants::Mutant,
        oracle::{Checked, broken},
        world::{Event, World},
    },
    Vaults,
    model::PaperOp,
    papers,
};

/// Blocks within which an act is in the chain, or is given up and made anew.
const WAIT_BLOCKS: u64 = 40;

/// How a transaction of a block ended; `None` when the ledger does not keep that block.
fn outcome_of(reader: &Reader, height: Height, tx: &TxId) -> Result<Option<Outcome>, LedgerError> {
    let (block, place) = (reader.block(height)?, reader.find(tx)?);
    let record = block.zip(place).and_then(|(block, (_, at))| block.records.into_iter().nth(at as usize));
    Ok(record.map(|record| record.receipt.outcome))
}

impl World {
    /// A vault has something to say.
    pub(super) fn say(&mut self, index: usize, number: u64, act: &Act) -> Checked {
        self.judge_act(index, act)?;
        let Some(head) = self.nodes[index].replica.as_ref().map(|replica| replica.ledger().head().height.0) else {
            return Ok(());
        };
        if self.vaults().cases[index].open.contains_key(&number) {
            return Ok(());
        }
        let member = self.vaults().cases[index].member;
        let name = genesis::member_name(member);
        let log = format!("n{index}.{}", self.vaults().cases[index].audits);
        let anchored = self.oracle.model_at(self.head_of(index)).papers.anchored(&name, &log);
        let (before, least) = anchored.map_or((Hash32::ZERO, 0), |anchor| (anchor.head, anchor.entries));
        if matches!(act, Act::AnchorAudit { entries, .. } if *entries <= least) {
            self.vaults().cases[index].ended.push((number, ActResult::Done));
            self.wake_vault(index, self.now_ms + 1);
            return Ok(());
        }
        let mut act = act.clone();
        if self.mutant == Some(Mutant::AttestUnseen)
            && let Act::AttestPossession(list) = &mut act
        {
            list.iter_mut().for_each(|held| held.fields = vouch_types::document::FieldSet::first(super::model::SLOTS));
            self.judge_act(index, &act)?;
        }
        let op = match &act {
            Act::AttestPossession(list) => PaperOp::AttestPossession(list.clone()),
            Act::AttestErasure { id, .. } => PaperOp::AttestErasure { id: *id },
            Act::AnchorAudit { entries, head, .. } => {
                PaperOp::AnchorAudit { log: log.clone(), previous: before, entries: *entries, head: *head }
            }
            Act::Judge { .. } | Act::MoveErasure { .. } if !self.keeps_faith(index) => return Ok(()),
            Act::Judge { key, code, .. } => {
                return broken("honest content is not rejected", format!("vault {index} judges {key}: {code}"));
            }
            Act::MoveErasure { id, .. } => {
                return broken("erasures need no push", format!("vault {index} moves the erasure of {id} on"));
            }
        };
        let expiry = head + (self.plan.expiry_window / 2).clamp(1, WAIT_BLOCKS);
        let salt = self.rng.bytes32()[..16].try_into().unwrap();
        let (chain, calls) = (self.oracle.chain_id, vec![act.call(&log, before)]);
        let body = TransactionBody { version: 1, chain, expiry: Height(expiry), salt, calls };
        let service = Vaults::service(member);
        let (id, raw) = (body.id(), encode(&body.sign(&[&service])));
        let signers = vec![service.public().account()];
        self.oracle.known.insert(raw.clone(), KnownTx { id, ops: vec![Op::Paper(op)], signers, expiry });
        self.vaults().cases[index].open.insert(number, (id, expiry));
        let (life, after) = (self.nodes[index].life, self.rng.range(0, 3));
        self.at(self.now_ms + after, Event::Verify { node: index, life, raw: vec![raw], here: true });
        Ok(())
    }

    /// A node's own mempool did not take a transaction.
    pub fn act_refused(&mut self, index: usize, tx: TxId) {
        let Some(vaults) = &mut self.vaults else { return };
        let case = &mut vaults.cases[index];
        let number = case.open.iter().find(|(_, (id, _))| *id == tx).map(|(number, _)| *number);
        if let Some(number) = number {
            case.ended.push((number, ActResult::Failed("not taken".into())));
            self.wake_vault(index, self.now_ms + 1);
        }
    }

    /// Acts that are over: in a block that this node has, refused, past their time, or lost sight of. As in the program, an act is
    /// followed beside the vault: where the ledger cannot be read it counts as failed, and the vault gives it out again.
    pub(super) fn settled_acts(&mut self, index: usize) -> Vec<Input> {
        let Some(vaults) = &mut self.vaults else { return Vec::new() };
        let case = &mut vaults.cases[index];
        let Some(reader) = self.nodes[index].replica.as_ref().map(|replica| replica.ledger().reader()) else {
            return Vec::new();
        };
        let head = reader.published().head.height;
        let mut inputs = Vec::new();
        for (number, result) in case.ended.drain(..) {
            case.open.remove(&number);
            inputs.push(Input::ActSettled { number, result });
        }
        let open = core::mem::take(&mut case.open);
        for (number, (tx, expiry)) in open {
            let known = self.oracle.positions.get(&tx).copied().filter(|height| *height <= head.0);
            let read = || known.map_or(Ok(None), |height| outcome_of(reader, Height(height), &tx));
            let result = match self.nodes[index].disk.read_beside(read) {
                Ok(Some(outcome)) => ActResult::of(outcome),
                Ok(None) if expiry <= head.0 => ActResult::Failed("expired".into()),
                Ok(None) => {
                    case.open.insert(number, (tx, expiry));
                    continue;
                }
                Err(error) => {
                    self.oracle.mark("act lost sight of on a failing disk");
                    ActResult::Failed(error.to_string())
                }
            };
            inputs.push(Input::ActSettled { number, result });
        }
        inputs
    }

    /// A transaction of a member's user, or of all administrators; with the height after which it is void.
    pub(super) fn submit_paper(&mut self, index: usize, member: usize, op: PaperOp, call: vouch_types::Call) -> TxId {
        let expiry = self.oracle.height() + self.plan.expiry_window.min(30);
        let salt = self.rng.bytes32()[..16].try_into().unwrap();
        let body = TransactionBody {
            version: 1,
            chain: self.oracle.chain_id,
            expiry: Height(expiry),
            salt,
            calls: vec![call],
        };
        let keys = if op == PaperOp::RegisterSchema {
            let members = self.oracle.latest().members.len();
            (0..members).map(|member| genesis::secret("admin", member)).collect()
        } else {
            vec![genesis::secret("account", member)]
        };
        let keys: Vec<&vouch_types::SecretKey> = keys.iter().collect();
        let (id, transaction) = (body.id(), body.sign(&keys));
        let signers = transaction.signatures.iter().map(|signature| signature.key.account()).collect();
        let raw = encode(&transaction);
        self.oracle.known.insert(raw.clone(), KnownTx { id, ops: vec![Op::Paper(op)], signers, expiry });
        let (life, after) = (self.nodes[index].life, self.rng.range(0, 3));
        self.at(self.now_ms + after, Event::Verify { node: index, life, raw: vec![raw], here: true });
        id
    }

    /// The members decide on the schema, as soon as it is not there.
    pub(super) fn decide_on_schema(&mut self, index: usize) {
        let height = self.oracle.height();
        let is_open = self.vaults().deciding.is_some_and(|(_, until)| height <= until);
        if !is_open {
            let call = super::super::workload::call(&Op::Paper(PaperOp::RegisterSchema), &[]);
            let id = self.submit_paper(index, 0, PaperOp::RegisterSchema, call);
            let until = height + self.plan.expiry_window.min(30);
            self.vaults().deciding = Some((id, until));
        }
    }

    /// The call of an operation of people.
    pub(super) fn call_of(&mut self, op: &PaperOp) -> vouch_types::Call {
        let (method, arguments) = match op {
            PaperOp::Submit { id, .. } => {
                let paper = &self.vaults().papers[&vouch_vault::VersionKey { id: *id, version: 1 }];
                ("submit", encode(&(*id, papers::SCHEMA.to_owned(), paper.content())))
            }
            PaperOp::Revise { id, previous, root, .. } => {
                let paper = self.vaults().papers.values().find(|paper| paper.root == *root).expect("it was made");
                ("revise", encode(&(*id, Hash32(*previous), paper.content())))
            }
            PaperOp::Grant { key, member, fields } => {
                // As the record `NewGrant` of the contract: to which member, to no key, what, why, without an end.
                let grant = (Some(member.clone()), None::<Hash32>, fields.clone(), PURPOSE.to_owned(), None::<u64>);
                ("grant", encode(&(key.id, key.version, grant)))
            }
            PaperOp::EndGrant { number } => ("end_grant", encode(number)),
            PaperOp::RequestErasure { id } => ("request_erasure", encode(&(*id, "requested".to_owned()))),
            _ => unreachable!("{op:?} is not asked for by people"),
        };
        let contract = vouch_types::ContractName::new("documents").unwrap();
        vouch_types::Call { contract, method: method.into(), arguments }
    }
}

/// Why everybody reads here.
pub(super) const PURPOSE: &str = "settlement";
