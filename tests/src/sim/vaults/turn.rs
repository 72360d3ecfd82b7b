//! A vault's turn: what waits for it becomes one step, and what the step says is carried out. As in the program, where this is
//! a thread of its own: the replica never waits for it.

use std::sync::Arc;

use vouch_ledger::Storage;
use vouch_vault::{
    Blocks, Effect, HeldSecrets, Input, LedgerChain, Now, Roster, Scanner, Vault, VaultConfig, VaultError, VaultParts,
    look_at_file,
};

use super::{
    super::{
        genesis::{self, EPOCH_MS},
        mutants::Mutant,
        node::Node,
        oracle::{Checked, broken},
        world::{Event, World},
    },
    Case, Vaults,
    believing::{Belief, Believing},
    liars::Lie,
    limits, papers,
};

/// Messages taken into one step.
const BATCH_MAX: usize = 64;
/// Messages that wait for a vault; more are dropped, and repeated by whoever sent them.
const INBOX_MAX: usize = 512;

/// Finds nothing sensitive: the engine has tests of its own.
struct NoScanner;

impl Scanner for NoScanner {
    fn level(&self, _: &str, _: Option<&str>) -> (u8, String) {
        (0, String::new())
    }
}

/// A vault's time at its node.
pub(super) fn now(node: &Node, now_ms: u64) -> Now {
    let now = node.clock(EPOCH_MS, now_ms);
    Now { wall: now.wall, steady_ms: now.steady_ms }
}

impl World {
    /// Nodes whose vaults and replicas do what they should.
    pub(super) fn keeps_faith(&self, index: usize) -> bool {
        self.is_honest(index) && self.vaults.as_ref().is_some_and(|vaults| vaults.cases[index].lie.is_none())
    }

    pub(super) fn vaults(&mut self) -> &mut Vaults {
        self.vaults.as_mut().expect("asked for where there are some")
    }

    /// A vault has a turn at a time, or sooner.
    pub fn wake_vault(&mut self, index: usize, at_ms: u64) {
        let Some(case) = self.vaults.as_mut().and_then(|vaults| vaults.cases.get_mut(index)) else { return };
        let at_ms = at_ms.max(self.now_ms).max(case.dozes_until_ms);
        if case.turn_at.is_none_or(|at| at > at_ms) {
            case.turn_at = Some(at_ms);
            self.at(at_ms, Event::VaultTurn { node: index });
        }
    }

    /// A node's replica has a block.
    pub fn tell_vault(&mut self, index: usize, block: &Arc<vouch_ledger::CommittedBlock>) {
        if self.vaults.is_none() {
            return;
        }
        // What a feed drops is read from the ledger.
        if self.rng.chance(800) {
            self.vaults().cases[index].fresh.push(Arc::clone(block));
        }
        let after = self.rng.range(0, 4);
        self.wake_vault(index, self.now_ms + after);
    }

    /// A vault stands still for a while, its replica does not.
    pub fn doze(&mut self, index: usize, until_ms: u64) {
        if let Some(vaults) = &mut self.vaults {
            vaults.cases[index].dozes_until_ms = until_ms;
            self.oracle.mark("vault stands still");
        }
    }

    /// Until when a vault stands still, if it does.
    pub fn vault_dozes(&self, index: usize) -> Option<u64> {
        let until = self.vaults.as_ref().map_or(0, |vaults| vaults.cases[index].dozes_until_ms);
        (until > self.now_ms).then_some(until)
    }

    /// A node's process ended.
    pub fn crash_vault(&mut self, index: usize) {
        if let Some(vaults) = &mut self.vaults {
            vaults.cases[index].crash();
        }
    }

    pub(super) fn queue_message(&mut self, to: usize, from: usize, link: u64, bytes: &Arc<[u8]>) {
        let case = &mut self.vaults().cases[to];
        if case.inbox.len() < INBOX_MAX {
            case.inbox.push_back((from, link, Arc::clone(bytes)));
        }
        self.wake_vault(to, self.now_ms + 1);
    }

    pub fn vault_turn(&mut self, index: usize) -> Checked {
        let now_ms = self.now_ms;
        let case = &mut self.vaults().cases[index];
        if case.turn_at != Some(now_ms) {
            return Ok(());
        }
        case.turn_at = None;
        let until = case.dozes_until_ms.max(self.nodes[index].paused_until_ms);
        if until > now_ms {
            self.wake_vault(index, until);
            return Ok(());
        }
        if self.nodes[index].replica.is_none() {
            return Ok(());
        }
        if self.vaults().cases[index].vault.is_none() {
            self.begin(index)?;
        }
        let inputs = match self.gather(index) {
            Ok(inputs) => inputs,
            Err(error) => return self.vault_stopped(index, &error),
        };
        self.step_vault(index, inputs)
    }

    fn begin(&mut self, index: usize) -> Checked {
        let entropy = self.rng.bytes32();
        let belief = match (self.mutant, self.vaults().cases[index].lie) {
            (Some(Mutant::OneTooMany), _) => Belief::OneMore,
            (_, Some(Lie::OverDelivers)) => Belief::Everybody,
            _ => Belief::None,
        };
        let node = &self.nodes[index];
        let Some(reader) = node.replica.as_ref().map(|replica| replica.ledger().reader().clone()) else {
            return Ok(());
        };
        let vaults = self.vaults.as_mut().expect("asked for where there are some");
        let members = vaults.cases.iter().map(|case| case.member).max().map_or(0, |last| last + 1);
        let case = &mut vaults.cases[index];
        let config = VaultConfig {
            chain: reader.chain(),
            member: genesis::member_name(case.member),
            network: genesis::secret("network", node.identity),
            limits: limits(),
            entropy,
        };
        let parts = VaultParts {
            storage: Arc::clone(&node.disk) as Arc<dyn Storage>,
            shelf: Arc::clone(&case.shelf) as Arc<dyn vouch_vault::Shelf>,
            blobs: Arc::clone(&case.blobs) as Arc<dyn vouch_vault::Blobs>,
            chain: Box::new(Believing { chain: LedgerChain::new(reader.clone(), Arc::default()), belief, members }),
            secrets: Box::new(HeldSecrets(vec![papers::member_secret(case.member)])),
            scanner: Box::new(NoScanner),
        };
        let vault = match Vault::new(config, parts) {
            Ok(vault) => vault,
            Err(error) => return self.vault_stopped(index, &error),
        };
        case.blocks = Some(Blocks::begin(reader.clone(), vault.height()));
        case.roster = Roster::of(&reader.published().registry);
        case.vault = Some(vault);
        let roster = Arc::new(case.roster.clone());
        self.note(|| format!("vault {index} starts"));
        self.check_promises(index)?;
        self.step_vault(index, vec![Input::Started(roster)])
    }

    /// What waits for a vault.
    fn gather(&mut self, index: usize) -> Result<Vec<Input>, VaultError> {
        let now = now(&self.nodes[index], self.now_ms);
        let peers: Vec<_> = self.nodes.iter().map(|node| node.peer).collect();
        let node = &self.nodes[index];
        let Some(vaults) = &mut self.vaults else { return Ok(Vec::new()) };
        let case = &mut vaults.cases[index];
        let (Some(vault), Some(blocks), Some(replica)) = (&case.vault, &mut case.blocks, &node.replica) else {
            return Ok(Vec::new());
        };
        let gone = case.connections.iter().filter(|(peer, link)| node.links.get(*peer) != Some(*link));
        let mut inputs: Vec<Input> = gone.map(|(peer, _)| Input::PeerDisconnected(peers[*peer])).collect();
        let came = node.links.iter().filter(|(peer, link)| case.connections.get(*peer) != Some(*link));
        inputs.extend(came.map(|(peer, _)| Input::PeerConnected(peers[*peer])));
        case.connections.clone_from(&node.links);
        for block in case.fresh.drain(..) {
            blocks.came(&block);
        }
        let published = replica.ledger().reader().published();
        let roster = Roster::of(&published.registry);
        if roster != case.roster {
            case.roster = roster.clone();
            inputs.push(Input::RosterChanged(Arc::new(roster)));
        }
        if vault.is_answering()? {
            let failed =
                |error: vouch_ledger::LedgerError| VaultError::Chain(vouch_vault::ChainError(error.to_string()));
            inputs.extend(blocks.take(now).map_err(failed)?);
        }
        for _ in 0..case.inbox.len().min(BATCH_MAX) {
            let Some((from, link, bytes)) = case.inbox.pop_front() else { break };
            if node.links.get(&from) == Some(&link) {
                inputs.push(Input::MessageReceived { from: peers[from], bytes: bytes.to_vec() });
            }
        }
        if case.timer_at.take_if(|at| *at <= self.now_ms).is_some() {
            inputs.push(Input::TimerFired);
        }
        inputs.extend(self.settled_acts(index));
        Ok(inputs)
    }

    /// Gives a vault its inputs and does what it asks, with power cuts between any two of its effects.
    pub(super) fn step_vault(&mut self, index: usize, inputs: Vec<Input>) -> Checked {
        let now = now(&self.nodes[index], self.now_ms);
        let Some(vault) = &mut self.vaults().cases[index].vault else { return Ok(()) };
        let result = vault.step(now, inputs);
        match result {
            Err(error) => self.vault_stopped(index, &error),
            Ok(effects) => {
                if self.nodes[index].disk.fault_struck() && self.is_honest(index) {
                    return broken(
                        "stops on a failing disk",
                        format!("vault {index} went on after its disk had failed"),
                    );
                }
                self.carry_out_all_of_vault(index, effects)?;
                self.plan_turn(index);
                Ok(())
            }
        }
    }

    /// When there is more to do for a vault.
    fn plan_turn(&mut self, index: usize) {
        let now_ms = self.now_ms;
        let steady_ms = now(&self.nodes[index], now_ms).steady_ms;
        let case = &self.vaults().cases[index];
        if case.vault.is_none() {
            return;
        }
        let blocks = case.blocks.as_ref().and_then(Blocks::due);
        let blocks = blocks.map(|at| now_ms + at.saturating_sub(steady_ms).max(1));
        let messages = (!case.inbox.is_empty()).then_some(now_ms + 1);
        if let Some(at) = [case.timer_at, blocks, messages].into_iter().flatten().min() {
            self.wake_vault(index, at);
        }
    }

    /// A vault that cannot go on stops its node.
    pub(super) fn vault_stopped(&mut self, index: usize, error: &VaultError) -> Checked {
        self.note(|| format!("vault {index} stops: {error}"));
        if !self.nodes[index].disk.fault_struck() && self.is_honest(index) {
            return broken("runs on", format!("vault {index} stopped: {} {error}", error.code()));
        }
        self.oracle.mark("vault stopped by a failing disk");
        let keep = *self.rng.pick(&[0, 50, 100]);
        self.crash(index, keep)?;
        let down = self.rng.range(5, 300);
        self.at(self.now_ms + down, Event::Restart(index));
        Ok(())
    }

    fn carry_out_all_of_vault(&mut self, index: usize, effects: Vec<Effect>) -> Checked {
        let life = self.nodes[index].life;
        for effect in effects {
            if !self.healed && self.rng.rarely(self.plan.crash_rate) {
                self.oracle.mark("power cut between two effects of a vault");
                let keep = *self.rng.pick(&[0, 0, 50, 100]);
                let down = self.rng.range(5, 400);
                self.crash(index, keep)?;
                self.at(self.now_ms + down, Event::Restart(index));
                return Ok(());
            }
            self.carry_out_of_vault(index, effect)?;
            if self.nodes[index].life != life || self.nodes[index].replica.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn carry_out_of_vault(&mut self, index: usize, effect: Effect) -> Checked {
        match effect {
            Effect::Send { to, bytes } => self.send_of_vault(index, &to, bytes),
            Effect::SetTimer { after_ms } => {
                let at = self.now_ms + after_ms;
                self.vaults().cases[index].timer_at = Some(at);
                Ok(())
            }
            Effect::Submit { number, act } => self.say(index, number, &act),
            Effect::PeerFault { peer, code } => {
                let guilty = self.nodes.iter().position(|node| node.peer == peer);
                let has_cause = guilty.is_none_or(|guilty| !self.keeps_faith(guilty)) || self.plan.links.corruption > 0;
                self.note(|| format!("vault {index} blames {guilty:?}: {code}"));
                if self.keeps_faith(index) && !has_cause {
                    return broken("honest is not blamed", format!("vault {index} blames honest {guilty:?}: {code}"));
                }
                self.oracle.mark("peer blamed by a vault");
                Ok(())
            }
            Effect::LookAtFile(blob) => {
                let now = now(&self.nodes[index], self.now_ms);
                let case: &mut Case = &mut self.vaults().cases[index];
                let is_it = look_at_file(case.blobs.as_ref(), &blob).unwrap_or(false);
                let Some(vault) = &mut case.vault else { return Ok(()) };
                match vault.file_looked_at(now, &blob, is_it) {
                    Ok(()) => Ok(()),
                    Err(error) => self.vault_stopped(index, &error),
                }
            }
            Effect::Damaged(_) | Effect::Unreadable(_) => {
                self.oracle.mark("damage found by a vault");
                Ok(())
            }
            Effect::Possessed(_) => {
                self.oracle.mark("document held whole");
                Ok(())
            }
            Effect::Shredded(_) => {
                self.oracle.mark("document destroyed");
                Ok(())
            }
        }
    }
}
