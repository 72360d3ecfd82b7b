//! Fetching: what this member is to hold and does not, asked for from those who hold it.
//!
//! The rows of what is wanted lie on disk. A bounded window of them is in memory: each is asked for from one holder after
//! the other until it is complete. What no connected holder could give leaves the window and is met again on the next
//! walk over the rows, so that a few that nobody has never stand in the way of the others.

use std::collections::BTreeMap;

use vouch_ledger::{Batch, Table};

use crate::{
    chain::fields_of,
    disk::{Kind, above, mark, row, version_at_end},
    message::{Message, Refusal},
    vault::{PerPeer, Vault, VaultError},
    words::{DocumentId, PeerId, VersionKey},
};

/// Pause before a holder that was busy is asked again, in milliseconds.
pub(crate) const BUSY_MS: u64 = 250;
/// How often in a row a holder may be busy; then the next one is asked, as if it had nothing.
pub(crate) const BUSY_MAX: u8 = 8;

/// What is looked for at the moment.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    window: BTreeMap<VersionKey, Search>,
    /// The last row taken into the window.
    cursor: Option<Vec<u8>>,
    /// Rows may lie on disk that are not in the window.
    more: bool,
    walk_pause_ms: u64,
    walk_paused_until: u64,
    /// The walk that the cursor is on found something nobody could give.
    failed_some: bool,
    /// Since when something is missing, and who was asked last; of as many as fit into the window.
    known: BTreeMap<VersionKey, Known>,
}

/// What an operator wants to know of something missing.
#[derive(Debug, Clone, Copy)]
struct Known {
    since: u64,
    asked: Option<PeerId>,
}

/// A version that this member is to hold and has been without for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// Which.
    pub key: VersionKey,
    /// For how long, as far as this run of the node knows, in milliseconds.
    pub for_ms: u64,
    /// The holder that was asked last; `None` when none could be asked.
    pub asked: Option<PeerId>,
}

#[derive(Debug, Clone, Copy)]
struct Search {
    not_before: u64,
    tried: usize,
    asked: Option<(PeerId, u64)>,
    /// How often in a row the holder was busy.
    busy: u8,
}

impl Search {
    const fn new(not_before: u64) -> Self {
        Self { not_before, tried: 0, asked: None, busy: 0 }
    }
}

impl Fetches {
    /// A peer came, or something was found: what failed may succeed now.
    pub(crate) fn encouraged(&mut self) {
        self.cursor = None;
        self.walk_pause_ms = 0;
        self.walk_paused_until = 0;
        self.more = true;
    }

    pub(crate) fn disconnected(&mut self, peer: &PeerId) {
        for search in self.window.values_mut() {
            if search.asked.is_some_and(|(asked, _)| asked == *peer) {
                search.asked = None;
            }
        }
    }

    pub(crate) fn forget(&mut self, id: &DocumentId) {
        self.window.retain(|key, _| key.id != *id);
        self.known.retain(|key, _| key.id != *id);
    }

    /// Notes since when something is missing.
    fn note(&mut self, key: VersionKey, now: u64, limit: usize) {
        if self.known.len() < limit {
            self.known.entry(key).or_insert(Known { since: now, asked: None });
        }
    }

    /// Searches in memory, and those with a request under way.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.window.len(), self.window.values().filter(|search| search.asked.is_some()).count())
    }

    /// When something is to be done; `window` fit into memory.
    pub(crate) fn due(&self, now: u64, window: usize) -> Option<u64> {
        let searches = self.window.values().filter_map(|search| match search.asked {
            Some((_, until)) => Some(until),
            None => Some(search.not_before).filter(|at| *at > now),
        });
        let walk = (self.more && self.window.len() < window).then(|| self.walk_paused_until.max(now + 1));
        searches.chain(walk).min()
    }
}

impl Vault {
    /// Looks for a version, after a while in which it may come by itself.
    pub(crate) fn want(&mut self, key: &VersionKey, patience_ms: u64) -> Result<(), VaultError> {
        let wanted = row(Kind::Wanted, &[&key.to_bytes()]);
        if !self.disk.has(&wanted)? {
            let mut batch = Batch::new();
            mark(&mut batch, wanted);
            self.disk.apply(batch)?;
        }
        self.fetches.note(*key, self.now.steady_ms, self.limits.fetch_window);
        if self.fetches.window.len() < self.limits.fetch_window {
            let not_before = self.now.steady_ms + patience_ms;
            self.fetches.window.entry(*key).or_insert(Search::new(not_before));
        } else {
            // It may lie before the cursor: the walk after this one meets it.
            self.fetches.more = true;
            self.fetches.failed_some = true;
        }
        Ok(())
    }

    /// It is complete, or not to be held any more.
    pub(crate) fn no_longer_want(&mut self, key: &VersionKey, batch: &mut Batch) {
        batch.delete(Table::Vault, row(Kind::Wanted, &[&key.to_bytes()]));
        self.fetches.window.remove(key);
        self.fetches.known.remove(key);
    }

    /// Versions that have been missing for at least so long, ascending, at most `limit`.
    #[must_use]
    pub fn overdue(&self, for_ms: u64, limit: usize) -> Vec<Overdue> {
        let now = self.now.steady_ms;
        let each = self.fetches.known.iter().map(|(key, known)| Overdue {
            key: *key,
            for_ms: now.saturating_sub(known.since),
            asked: known.asked,
        });
        each.filter(|overdue| overdue.for_ms >= for_ms).take(limit).collect()
    }

    /// Asks as many holders as may be asked.
    pub(crate) fn pump_fetches(&mut self) -> Result<(), VaultError> {
        self.fill_window()?;
        let now = self.now.steady_ms;
        let mut asked: PerPeer<usize> = PerPeer::new();
        let mut total = 0;
        for (peer, _) in self.fetches.window.values().filter_map(|search| search.asked) {
            *asked.entry(peer).or_default() += 1;
            total += 1;
        }
        let ready: Vec<VersionKey> = self
            .fetches
            .window
            .iter()
            .filter(|(_, search)| search.asked.is_none() && search.not_before <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in ready {
            if total >= self.limits.fetches_max {
                break;
            }
            total += usize::from(self.ask_next(&key, &mut asked)?);
        }
        Ok(())
    }

    fn fill_window(&mut self) -> Result<(), VaultError> {
        if !self.fetches.more || self.fetches.walk_paused_until > self.now.steady_ms {
            return Ok(());
        }
        let room = self.limits.fetch_window.saturating_sub(self.fetches.window.len());
        if room == 0 {
            return Ok(());
        }
        let from = self.fetches.cursor.as_deref().map(above);
        let found = self.disk.scan(Table::Vault, &[Kind::Wanted as u8], from.as_deref(), room)?;
        for (wanted, _) in &found {
            let search = Search::new(self.now.steady_ms);
            let key = version_at_end(wanted)?;
            self.fetches.note(key, self.now.steady_ms, self.limits.fetch_window);
            self.fetches.window.entry(key).or_insert(search);
        }
        if found.len() == room {
            self.fetches.cursor = found.into_iter().next_back().map(|(key, _)| key);
        } else {
            // The walk is over; the next one begins after a pause, if anything is left for it.
            self.fetches.cursor = None;
            let pause = &mut self.fetches.walk_pause_ms;
            *pause = (*pause * 2).clamp(self.limits.retry_min_ms, self.limits.retry_max_ms);
            self.fetches.walk_paused_until = self.now.steady_ms + *pause;
            self.fetches.more = core::mem::take(&mut self.fetches.failed_some);
        }
        Ok(())
    }

    /// Asks the next holder for what is missing; false when nobody was asked.
    fn ask_next(&mut self, key: &VersionKey, asked: &mut PerPeer<usize>) -> Result<bool, VaultError> {
        let audience = self.chain.audience(key)?;
        let mine = fields_of(&audience, &self.member);
        let missing = mine.difference(&self.held(key)?.map(|held| held.fields).unwrap_or_default());
        if missing.is_empty() {
            let mut batch = Batch::new();
            self.no_longer_want(key, &mut batch);
            self.disk.apply(batch)?;
            return Ok(false);
        }
        let mut holders: Vec<PeerId> = Vec::new();
        for entitled in audience.members.iter().filter(|e| !e.fields.intersection(&missing).is_empty()) {
            holders.extend(self.roster.nodes_of(&entitled.member).iter().filter(|node| self.peers.contains(node)));
        }
        holders.retain(|node| *node != self.own);
        // Each node begins with another holder, so that they share the work.
        let first = usize::from(key.id.as_bytes()[15] ^ self.own.bytes[0]);
        let Some(search) = self.fetches.window.get_mut(key) else { return Ok(false) };
        if search.tried < holders.len() {
            let holder = holders[(first + search.tried) % holders.len()];
            let under_way = asked.entry(holder).or_default();
            if *under_way >= self.limits.fetches_per_peer_max {
                search.not_before = self.now.steady_ms + BUSY_MS;
                return Ok(false);
            }
            *under_way += 1;
            search.tried += 1;
            search.asked = Some((holder, self.now.steady_ms + self.limits.answer_ms));
            if let Some(known) = self.fetches.known.get_mut(key) {
                known.asked = Some(holder);
            }
            self.counters.fetches_sent += 1;
            self.send(holder, &Message::Fetch { key: *key, fields: missing });
            return Ok(true);
        }
        self.fetches.window.remove(key);
        self.fetches.failed_some = true;
        self.fetches.more = true;
        Ok(false)
    }

    pub(crate) fn fetch_failed(&mut self, from: PeerId, key: &VersionKey, refusal: Refusal) {
        let Some(search) = self.fetches.window.get_mut(key) else { return };
        if search.asked.is_none_or(|(asked, _)| asked != from) {
            return;
        }
        search.asked = None;
        if refusal == Refusal::Busy && search.busy < BUSY_MAX {
            search.busy += 1;
            search.tried = search.tried.saturating_sub(1);
            search.not_before = self.now.steady_ms + BUSY_MS;
        } else {
            search.busy = 0;
        }
    }

    /// A delivery came; whoever was asked has answered.
    pub(crate) fn fetch_answered(&mut self, from: &PeerId, key: &VersionKey, took_it: bool) {
        if let Some(search) = self.fetches.window.get_mut(key)
            && search.asked.is_some_and(|(asked, _)| asked == *from)
        {
            search.asked = None;
            search.busy = 0;
            if took_it {
                // It may have been a part only; then all the others may have more.
                search.tried = 0;
            }
        }
    }

    /// Requests without an answer.
    pub(crate) fn expire_fetches(&mut self) {
        let now = self.now.steady_ms;
        for search in self.fetches.window.values_mut() {
            if search.asked.is_some_and(|(_, until)| until <= now) {
                search.asked = None;
                self.counters.fetches_unanswered += 1;
            }
        }
    }
}
