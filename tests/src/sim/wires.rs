//! Links between nodes: who is connected, what travels, and what liars make of it.

use std::sync::Arc;

use vouch_consensus::{ConsensusMessage, SignatureCheck as _};
use vouch_replica::{Input, Lane, Message};

use super::{
    byzantine::{Out, Scene},
    model::bytes::tagged,
    oracle::Checked,
    world::{Event, World},
};

impl World {
    /// Plans a connection between two nodes that may have one.
    pub fn meet(&mut self, a: usize, b: usize) {
        let after = self.rng.range(1, 10);
        self.at(self.now_ms + after, Event::Connect(a, b));
    }

    /// Whether the two would connect: each knows the other, and a twin answers to its half only.
    fn may_connect(&self, a: usize, b: usize) -> bool {
        let (x, y) = (&self.nodes[a], &self.nodes[b]);
        // A twin is the original for some and the copy for the others; twins stay on their side.
        let is_original = |n: &super::node::Node| n.index == n.identity;
        let has_half = |x: &super::node::Node, y: &super::node::Node| {
            let side = if y.plan.kind == "twin" { is_original(y) } else { y.identity.is_multiple_of(2) };
            x.plan.kind != "twin" || is_original(x) == side
        };
        x.identity != y.identity
            && x.replica.is_some()
            && y.replica.is_some()
            && x.allowed.contains(&y.peer)
            && y.allowed.contains(&x.peer)
            && has_half(x, y)
            && has_half(y, x)
    }

    pub fn connect(&mut self, a: usize, b: usize) -> Checked {
        if !self.may_connect(a, b) || self.nodes[a].links.contains_key(&b) {
            return Ok(());
        }
        self.next_link += 1;
        let link = self.next_link;
        self.nodes[a].links.insert(b, link);
        self.nodes[b].links.insert(a, link);
        self.wake_vault(a, self.now_ms + 1);
        self.wake_vault(b, self.now_ms + 1);
        let (peer_a, peer_b) = (self.nodes[a].peer, self.nodes[b].peer);
        self.step(a, Input::PeerConnected(peer_b))?;
        if self.nodes[b].links.get(&a) == Some(&link) {
            self.step(b, Input::PeerConnected(peer_a))?;
        }
        Ok(())
    }

    pub fn disconnect(&mut self, a: usize, b: usize) -> Checked {
        if self.nodes[a].links.remove(&b).is_none() {
            return Ok(());
        }
        self.nodes[b].links.remove(&a);
        self.wake_vault(a, self.now_ms + 1);
        self.wake_vault(b, self.now_ms + 1);
        let (peer_a, peer_b) = (self.nodes[a].peer, self.nodes[b].peer);
        self.step(a, Input::PeerDisconnected(peer_b))?;
        self.step(b, Input::PeerDisconnected(peer_a))
    }

    /// The list of those who may connect changed at a node.
    pub fn reconcile_links(&mut self, index: usize) -> Checked {
        let links: Vec<usize> = self.nodes[index].links.keys().copied().collect();
        for other in links {
            if !self.nodes[index].allowed.contains(&self.nodes[other].peer) {
                self.oracle.mark("removed node disconnected");
                self.disconnect(index, other)?;
            }
        }
        for other in 0..self.nodes.len() {
            if !self.nodes[index].links.contains_key(&other) {
                self.meet(index, other);
            }
        }
        Ok(())
    }

    /// A node's message to some others.
    pub fn send(&mut self, from: usize, targets: &[usize], lane: Lane, bytes: Vec<u8>) -> Checked {
        let Ok(message) = Message::from_bytes(&bytes, lane) else {
            return super::oracle::broken(
                "speaks properly",
                format!("node {from} sends what is no message of {lane:?}"),
            );
        };
        if self.nodes[from].adversary.is_some() {
            for to in targets {
                for out in self.twisted(from, *to, message.clone())? {
                    self.transmit(from, *to, out.lane, Arc::from(out.bytes), out.after_ms);
                }
            }
            return Ok(());
        }
        if self.is_honest(from) {
            self.look_at_sent(from, &message)?;
        }
        let bytes: Arc<[u8]> = Arc::from(bytes);
        for to in targets {
            self.transmit(from, *to, lane, Arc::clone(&bytes), 0);
        }
        Ok(())
    }

    fn look_at_sent(&mut self, from: usize, message: &Message) -> Checked {
        match message {
            Message::Consensus(message) | Message::Block { proposal: message, .. } => self.oracle.signed(from, message),
            Message::BlockRequest { .. } => {
                self.oracle.mark("block asked for");
                Ok(())
            }
            Message::RequestedBlock { .. } => {
                self.oracle.mark("block given on request");
                Ok(())
            }
            Message::Announced(_) => {
                self.oracle.mark("block announced ahead");
                Ok(())
            }
            Message::SyncResponse { blocks, .. } if !blocks.is_empty() => {
                self.oracle.mark("blocks sent to one behind");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn twisted(&mut self, from: usize, to: usize, message: Message) -> Checked<Vec<Out>> {
        let out = self.with_adversary(from, |adversary, scene| adversary.outgoing(scene, to, message));
        let out = out.unwrap_or_default();
        if self.is_honest(from) {
            for piece in &out {
                if let Ok(message) = Message::from_bytes(&piece.bytes, piece.lane) {
                    self.look_at_sent(from, &message)?;
                }
            }
        }
        Ok(out)
    }

    fn with_adversary<T>(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut dyn super::byzantine::Adversary, &mut Scene<'_>) -> T,
    ) -> Option<T> {
        let node = &mut self.nodes[index];
        let mut adversary = node.adversary.take()?;
        let peers: Vec<usize> = node.links.keys().copied().collect();
        let (secret, me) = (node.secret(), self.oracle.who[node.identity].consensus.node());
        let result = node.replica.as_ref().map(|replica| {
            let mut scene = Scene { rng: &mut self.rng, me, secret: &secret, replica, peers: &peers };
            act(adversary.as_mut(), &mut scene)
        });
        self.nodes[index].adversary = Some(adversary);
        result
    }

    /// Puts bytes on the wire.
    fn transmit(&mut self, from: usize, to: usize, lane: Lane, bytes: Arc<[u8]>, after_ms: u64) {
        self.look_for_plain("a message", &bytes);
        self.carry(from, to, bytes, after_ms, |link, bytes| Event::Deliver { to, from, link, lane, bytes });
    }

    /// Takes bytes over a connection: lost, changed, late and twice as the plan has it.
    pub fn carry(
        &mut self,
        from: usize,
        to: usize,
        mut bytes: Arc<[u8]>,
        after_ms: u64,
        arrives: impl Fn(u64, Arc<[u8]>) -> Event,
    ) {
        let Some(link) = self.nodes[from].links.get(&to).copied() else { return };
        let now = self.now_ms;
        self.cuts.retain(|(until, _)| *until > now);
        let ends = (self.nodes[from].identity, self.nodes[to].identity);
        if self.cuts.iter().any(|(_, pairs)| pairs.contains(&ends)) {
            return;
        }
        let links = self.plan.links;
        if !self.healed && self.rng.chance(links.loss) {
            return;
        }
        if !self.healed && !bytes.is_empty() && self.rng.chance(links.corruption) {
            let mut changed = bytes.to_vec();
            let at = self.rng.index(changed.len());
            changed[at] ^= 1 << self.rng.below(8);
            bytes = Arc::from(changed);
            self.oracle.mark("message corrupted");
        }
        let copies = if self.rng.chance(links.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let mut delay = after_ms + self.rng.range(links.delay_min_ms, links.delay_max_ms);
            for end in [from, to] {
                if self.nodes[end].slow_until_ms > now {
                    delay += self.nodes[end].slow_by_ms;
                }
            }
            self.at(now + delay, arrives(link, Arc::clone(&bytes)));
        }
    }

    pub fn deliver(&mut self, to: usize, from: usize, link: u64, lane: Lane, bytes: &Arc<[u8]>) -> Checked {
        if self.nodes[to].links.get(&from) != Some(&link) {
            return Ok(());
        }
        if self.keeps_events {
            let text = Message::from_bytes(bytes, lane).map_or("?".to_owned(), |m| format!("{m:?}"));
            let text: String = text.chars().take(260).collect();
            self.note(|| format!("{from} -> {to}: {text}"));
        }
        let has_liars = self.nodes.iter().any(|n| n.adversary.is_some());
        if has_liars && let Ok(message) = Message::from_bytes(bytes, lane) {
            if self.is_honest(to) {
                self.look_at_received(to, &message);
            }
            if self.nodes[to].adversary.is_some() && !self.taken_in(to, from, &message) {
                return Ok(());
            }
        }
        let peer = self.nodes[from].peer;
        self.step(to, Input::MessageReceived { from: peer, lane, bytes: bytes.to_vec() })
    }

    /// A liar does not let its own contradictions come back to it.
    fn taken_in(&mut self, to: usize, from: usize, message: &Message) -> bool {
        if self.nodes[to].plan.kind != "twin"
            && let Message::Consensus(inner) | Message::Block { proposal: inner, .. } = message
        {
            let me = self.oracle.who[self.nodes[to].identity].consensus.node();
            let is_mine = match inner {
                ConsensusMessage::Vote(v) => v.validator == me,
                ConsensusMessage::Proposal(p) => p.proposer == me,
                ConsensusMessage::Polka(p) => p.signatures.iter().any(|s| s.validator == me),
                ConsensusMessage::Round(r) => r.signatures.iter().any(|s| s.validator == me),
            };
            if is_mine {
                return false;
            }
        }
        let (goes_on, out) = self
            .with_adversary(to, |adversary, scene| adversary.incoming(scene, from, message))
            .unwrap_or((true, Vec::new()));
        for piece in out {
            self.transmit(to, from, piece.lane, Arc::from(piece.bytes), piece.after_ms);
        }
        goes_on
    }

    /// Remembers statements of liars that reach an honest node while it can still judge them.
    fn look_at_received(&mut self, to: usize, message: &Message) {
        let (Message::Consensus(message) | Message::Block { proposal: message, .. }) = message else { return };
        let Some(signer) = message.signer() else { return };
        let Some(liar) =
            self.nodes.iter().find(|n| n.adversary.is_some() && self.oracle.who[n.identity].consensus.node() == signer)
        else {
            return;
        };
        let key = self.oracle.who[liar.identity].consensus;
        let chain = self.oracle.chain_id;
        let (digest, signature) = match message {
            ConsensusMessage::Vote(v) => (v.statement(chain).digest(), v.signature),
            ConsensusMessage::Proposal(p) => (p.statement(chain).digest(), p.signature),
            _ => return,
        };
        let Some(status) = self.nodes[to].replica.as_ref().and_then(|r| r.status().consensus) else { return };
        let is_member = status.validators.iter().any(|v| v.node == signer);
        // Proposals out of turn are dropped unseen; those of rounds to come may be.
        let ledger = self.nodes[to].replica.as_ref().map(vouch_replica::Replica::ledger);
        let is_due = |p: &vouch_consensus::SignedProposal| {
            p.round <= status.round
                && ledger.is_some_and(|l| l.validators().proposer(p.height, p.round).key.node() == signer)
        };
        if matches!(message, ConsensusMessage::Proposal(p) if !is_due(p)) {
            return;
        }
        // A round that is over is forgotten by the core, and one that is far away not yet looked at.
        let is_far = message.round() < status.round || message.round().0 > status.round.0 + 1;
        if is_far
            || status.height != message.height()
            || status.step == vouch_consensus::Step::Decided
            || !is_member
            || message.validate().is_err()
            || !self.signatures.holds(&key, digest.as_bytes(), &signature)
        {
            return;
        }
        let life = self.nodes[to].life;
        self.oracle.saw(to, life, message);
    }

    /// A liar's turn.
    pub fn tick(&mut self, index: usize) -> Checked {
        if self.nodes[index].replica.is_none() || self.nodes[index].adversary.is_none() {
            return Ok(());
        }
        self.at(self.now_ms + 37, Event::Tick(index));
        if self.nodes[index].plan.kind == "amnesia"
            && self.with_adversary(index, |adversary, scene| adversary.forgets(scene)) == Some(true)
        {
            self.oracle.mark("votes forgotten on purpose");
            self.crash(index, 100)?;
            self.forget_votes(index);
            self.at(self.now_ms + 2, Event::Restart(index));
            return Ok(());
        }
        let out = self.with_adversary(index, |adversary, scene| adversary.tick(scene)).unwrap_or_default();
        for (to, piece) in out {
            self.log.update(&tagged("tick", &piece.bytes).0);
            self.transmit(index, to, piece.lane, Arc::from(piece.bytes), piece.after_ms);
        }
        Ok(())
    }
}
