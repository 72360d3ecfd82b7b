//! Who somebody is to a document: the three rules of G 4.9.4 over the relationships in force.
//!
//! a. An enterprise's private data: that enterprise, the institutions that serve it, regulators.
//! b. A person's private data: that person, the institutions that serve them, the enterprises that received their service,
//!    regulators.
//! c. Regulators: all of it, over those they watch.
//!
//! A document may hold data of several owners. Each field says whose it is, and only those around that owner read it.

use vouch_contract::alloc::collections::BTreeMap;

use records::{Actor, Party, Surroundings, Ties, tie};
use vouch_contract::{Hash, String, Vec, call};

use crate::{DocumentsError, access::class, document::Opened};

/// The contract that knows the relationships.
const RELATIONS: &str = "relations";

/// Why somebody reads: `masks[0]` for data of every owner, `masks[1 + n]` for data of party rule `n`.
pub(crate) type Masks = Vec<u8>;

/// What a member is to parties.
pub(crate) fn ties(member: &str, parties: &[Party], members: &[String]) -> Result<Ties, DocumentsError> {
    ask("ties", &(member, parties.to_vec(), members.to_vec()))
}

fn around(parties: &[Party], members: &[String]) -> Result<Surroundings, DocumentsError> {
    ask("around", &(parties.to_vec(), members.to_vec()))
}

/// The person whose own key an account is.
pub(crate) fn subject_of(actor: &Actor) -> Result<Option<Hash>, DocumentsError> {
    ask("subject_of_account", &(actor.account,))
}

/// Whether a person has an own key.
pub(crate) fn own_key(subject: Hash) -> Result<Option<vouch_contract::Key>, DocumentsError> {
    ask("own_key", &(subject,))
}

fn ask<A: vouch_contract::Encode, R: vouch_contract::Decode>(method: &str, arguments: &A) -> Result<R, DocumentsError> {
    // The callee gets at most what is left.
    call(RELATIONS, method, arguments, u64::MAX).map_err(|_| DocumentsError::Relations)
}

/// The owners of a version with the places of their party rules, and the members whose regulators watch over it.
struct Concern {
    owners: Vec<(usize, Party)>,
    parties: Vec<Party>,
    members: Vec<String>,
    /// Enterprises named as those that received the service; if none is named, every one that did counts.
    recipients: Vec<String>,
}

impl Concern {
    fn of(opened: &Opened) -> Self {
        let (version, rules) = (&opened.version, &opened.rules);
        let owners: Vec<(usize, Party)> =
            version.parties_where(rules, |rule| rule.owner).map(|(at, party)| (at, party.clone())).collect();
        let mut parties: Vec<Party> = owners.iter().map(|(_, party)| party.clone()).collect();
        parties.sort_unstable();
        parties.dedup();
        let mut members: Vec<String> =
            version.content.parties.iter().filter_map(|entry| entry.party.member.clone()).collect();
        members.push(opened.document.issuer.clone());
        members.sort_unstable();
        members.dedup();
        let recipients =
            version.parties_where(rules, |rule| rule.recipient).filter_map(|(_, party)| party.member.clone());
        Self { owners, parties, members, recipients: recipients.collect() }
    }

    fn is_recipient(&self, member: &str) -> bool {
        self.recipients.is_empty() || self.recipients.iter().any(|named| named == member)
    }
}

/// Masks from bits that hold for every owner's data and bits per party rule.
fn masks(rules: usize, common: u8, owners: &[(usize, u8)]) -> Masks {
    let mut masks: Masks = core::iter::repeat_n(common, rules + 1).collect();
    for (at, bits) in owners {
        masks[0] |= bits;
        masks[at + 1] |= bits;
    }
    masks
}

/// All bits of a member's masks.
pub(crate) fn basis(masks: &[u8]) -> u8 {
    masks.iter().fold(0, |all, bits| all | bits)
}

/// What a member is to a version.
pub(crate) fn of_member(opened: &Opened, member: &str) -> Result<Masks, DocumentsError> {
    let concern = Concern::of(opened);
    let ties = ties(member, &concern.parties, &concern.members)?;
    let mut common = 0;
    if ties.regulates {
        common |= class::REGULATOR;
    }
    if opened.document.issuer == member {
        common |= class::ISSUER;
    }
    if opened.version.names(&Party::of_member(member)) {
        common |= class::PARTY;
    }
    let recipient = concern.is_recipient(member);
    let of_owner = |(at, owner): &(usize, Party)| {
        let place = concern.parties.iter().position(|party| party == owner);
        let tied = place.and_then(|place| ties.parties.get(place)).copied().unwrap_or(0);
        let mut bits = 0;
        if owner.is_member(member) {
            bits |= class::OWNER;
        }
        if tied & tie::SERVES != 0 {
            bits |= class::INSTITUTION;
        }
        if tied & tie::RECEIVES != 0 && recipient {
            bits |= class::RECIPIENT;
        }
        (*at, bits)
    };
    let owners: Vec<(usize, u8)> = concern.owners.iter().map(of_owner).collect();
    Ok(masks(opened.rules.parties.len(), common, &owners))
}

/// What a person, by their own key, is to a version.
pub(crate) fn of_subject(opened: &Opened, subject: Hash) -> Masks {
    let party = Party::of_subject(subject);
    let common = if opened.version.names(&party) { class::PARTY } else { 0 };
    let owners: Vec<(usize, u8)> = opened
        .version
        .parties_where(&opened.rules, |rule| rule.owner)
        .filter(|(_, owner)| **owner == party)
        .map(|(at, _)| (at, class::OWNER))
        .collect();
    masks(opened.rules.parties.len(), common, &owners)
}

/// Everyone the rules entitle, ascending by name.
pub(crate) fn of_everyone(opened: &Opened) -> Result<BTreeMap<String, Masks>, DocumentsError> {
    let concern = Concern::of(opened);
    let around = around(&concern.parties, &concern.members)?;
    let rules = opened.rules.parties.len();
    let mut everyone: BTreeMap<String, Masks> = BTreeMap::new();
    let mut give = |member: &str, at: Option<usize>, bit: u8| {
        let masks = match everyone.get_mut(member) {
            Some(masks) => masks,
            None => everyone.entry(member.into()).or_insert_with(|| masks(rules, 0, &[])),
        };
        match at {
            Some(at) => {
                masks[0] |= bit;
                masks[at + 1] |= bit;
            }
            None => masks.iter_mut().for_each(|mask| *mask |= bit),
        }
    };
    for (at, owner) in &concern.owners {
        if let Some(name) = &owner.member {
            give(name, Some(*at), class::OWNER);
        }
        let place = concern.parties.iter().position(|party| party == owner);
        let Some(near) = place.and_then(|place| around.parties.get(place)) else { continue };
        near.institutions.iter().for_each(|name| give(name, Some(*at), class::INSTITUTION));
        let named = near.recipients.iter().filter(|name| concern.is_recipient(name));
        named.for_each(|name| give(name, Some(*at), class::RECIPIENT));
    }
    around.regulators.iter().for_each(|name| give(name, None, class::REGULATOR));
    give(&opened.document.issuer, None, class::ISSUER);
    let members = opened.version.content.parties.iter().filter_map(|entry| entry.party.member.as_deref());
    members.for_each(|name| give(name, None, class::PARTY));
    Ok(everyone)
}
