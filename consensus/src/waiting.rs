//! Messages of heights that have not started here yet, in bounded room.
//!
//! A node that decides a little later than its peers already receives their votes of the next height. Room is given per
//! signer and only for signatures that verify, so nobody can fill another's. Signers that the current set does not know may
//! be new validators; they share a small room of their own.

use std::collections::BTreeMap;

use vouch_types::{Height, NodeId};

use crate::message::ConsensusMessage;

/// Heights after the current one that have room.
pub(crate) const HEIGHTS_MAX: u64 = 8;
/// Messages kept per height and known signer: votes and proposals of several rounds.
const PER_SIGNER_MAX: usize = 24;
/// Messages kept per height of all unknown signers together.
const UNKNOWN_MAX: usize = 48;

#[derive(Debug, Default)]
struct Room {
    known: BTreeMap<NodeId, Vec<ConsensusMessage>>,
    unknown: Vec<ConsensusMessage>,
}

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    rooms: BTreeMap<Height, Room>,
}

impl Waiting {
    /// True when a message of `height` may find room while `current` runs.
    pub(crate) fn has_room(current: Height, height: Height) -> bool {
        height > current && height.0 - current.0 <= HEIGHTS_MAX
    }

    /// Keeps a vote or proposal whose signature verified against the current set.
    pub(crate) fn keep_known(&mut self, signer: NodeId, message: ConsensusMessage) {
        let list = self.rooms.entry(message.height()).or_default().known.entry(signer).or_default();
        if list.len() < PER_SIGNER_MAX && !list.contains(&message) {
            list.push(message);
        }
    }

    /// Keeps a vote or proposal of a signer outside the current set.
    pub(crate) fn keep_unknown(&mut self, message: ConsensusMessage) {
        let list = &mut self.rooms.entry(message.height()).or_default().unknown;
        if list.len() < UNKNOWN_MAX && !list.contains(&message) {
            list.push(message);
        }
    }

    /// Hands out what waited for `height`, proposals before votes, and forgets everything before it.
    pub(crate) fn take(&mut self, height: Height) -> Vec<ConsensusMessage> {
        let mut rest = self.rooms.split_off(&height);
        let room = rest.remove(&height).unwrap_or_default();
        self.rooms = rest;
        let mut messages: Vec<_> = room.known.into_values().flatten().chain(room.unknown).collect();
        messages.sort_by_key(|message| !matches!(message, ConsensusMessage::Proposal(_)));
        messages
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.values().map(|r| r.unknown.len() + r.known.values().map(Vec::len).sum::<usize>()).sum()
    }
}
