use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::{DocumentId, Moment, Party};
use crate::{hash::Hash32, numbers::TimestampMs};

/// How far the erasure of a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ErasureState {
    /// Nobody asked, or the request was withdrawn.
    None,
    /// Asked for, but law or a hold keep it: stored, and processed no further (PIPL 47).
    Restricted,
    /// Every holder must destroy keys and ciphertext and attest it.
    Ordered,
    /// Done: what is left on chain is a tombstone.
    Erased,
}

/// A holder's word that it destroyed its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attestation {
    /// The member.
    pub member: String,
    /// Hash of its signed receipt.
    pub receipt: Hash32,
    /// When.
    pub at: Moment,
}

/// The erasure of a document, all its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Erasure {
    /// The document.
    pub document: DocumentId,
    /// How far it is.
    pub state: ErasureState,
    /// Who asked for it.
    pub by: Party,
    /// Why: a code.
    pub code: String,
    /// When.
    pub requested: Moment,
    /// Before when the law forbids it, in milliseconds since 1970.
    pub earliest_ms: u64,
    /// When holders were ordered to destroy it.
    pub ordered: Option<Moment>,
    /// Until when they must have attested, in milliseconds since 1970; 0 before the order.
    pub deadline_ms: u64,
    /// Members that hold it, ascending.
    pub holders: Vec<String>,
    /// Who has attested.
    pub attestations: Vec<Attestation>,
    /// When it was done.
    pub closed: Option<Moment>,
    /// Holders that had not attested when the deadline passed and it was closed without them.
    pub missing: Vec<String>,
}

/// A legal hold: the document may not be erased while it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hold {
    /// The member that set it.
    pub member: String,
    /// Why: a code.
    pub code: String,
    /// When.
    pub at: Moment,
}

/// How far a document's erasure is at one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErasureStanding {
    /// Nobody asked for it: the member holds what it may hold.
    Kept,
    /// Asked for, and kept by a legal hold, a dispute or the law: the member holds it and processes it no further.
    Held,
    /// Ordered: the member has still time to destroy its copy and say so.
    Outstanding,
    /// The deadline passed without the member's word.
    Overdue,
    /// The member said on chain that its copy is gone.
    Attested,
}

/// The erasure of a document at one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberErasure {
    /// The member.
    pub member: String,
    /// How far it is.
    pub standing: ErasureStanding,
    /// When it attested, with the block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested: Option<Moment>,
    /// Whether that was after the deadline.
    #[serde(default)]
    pub late: bool,
    /// Hash of the statement that its node signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Hash32>,
}

/// How far an erasure is at each member: at those that were ordered to destroy their copies, else at those entitled now.
/// `now` is the time of the chain.
#[must_use]
pub fn erasure_by_member(erasure: Option<&Erasure>, entitled: &[String], now: TimestampMs) -> Vec<MemberErasure> {
    let at = |member: &String, standing| MemberErasure {
        member: member.clone(),
        standing,
        attested: None,
        late: false,
        receipt: None,
    };
    let Some(erasure) = erasure.filter(|erasure| erasure.ordered.is_some()) else {
        let is_asked = erasure.is_some_and(|erasure| erasure.state == ErasureState::Restricted);
        let standing = if is_asked { ErasureStanding::Held } else { ErasureStanding::Kept };
        return entitled.iter().map(|member| at(member, standing)).collect();
    };
    let is_over = erasure.closed.is_some() || erasure.deadline_ms <= now.0;
    let of_holder = |member: &String| match erasure.attestations.iter().find(|said| said.member == *member) {
        Some(said) => MemberErasure {
            attested: Some(said.at),
            late: said.at.time_ms.0 > erasure.deadline_ms,
            receipt: Some(said.receipt),
            ..at(member, ErasureStanding::Attested)
        },
        None if is_over => at(member, ErasureStanding::Overdue),
        None => at(member, ErasureStanding::Outstanding),
    };
    erasure.holders.iter().map(of_holder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Height;

    fn moment(ms: u64) -> Moment {
        Moment { height: Height(ms / 10), time_ms: TimestampMs(ms) }
    }

    #[test]
    fn each_member_is_told_from_the_others() {
        use ErasureStanding::{Attested, Held, Kept, Outstanding, Overdue};
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let standings = |erasure: Option<&Erasure>, now: u64| {
            let each = erasure_by_member(erasure, &names(&["tax", "union"]), TimestampMs(now));
            each.into_iter().map(|of| (of.member, of.standing, of.late)).collect::<Vec<_>>()
        };
        let said = |member: &str, standing, late| (member.to_owned(), standing, late);
        let mut erasure = Erasure {
            document: DocumentId::new([1; 16]),
            state: ErasureState::Restricted,
            by: Party::member("works"),
            code: "consent".into(),
            requested: moment(10),
            earliest_ms: 0,
            ordered: None,
            deadline_ms: 0,
            holders: vec![],
            attestations: vec![],
            closed: None,
            missing: vec![],
        };
        assert_eq!(standings(None, 5), [said("tax", Kept, false), said("union", Kept, false)]);
        assert_eq!(standings(Some(&erasure), 20), [said("tax", Held, false), said("union", Held, false)]);
        erasure.state = ErasureState::None;
        assert_eq!(standings(Some(&erasure), 20), [said("tax", Kept, false), said("union", Kept, false)]);
        // From the order on it is those who were ordered, whoever else is entitled.
        erasure.state = ErasureState::Ordered;
        (erasure.ordered, erasure.deadline_ms, erasure.holders) =
            (Some(moment(30)), 100, names(&["shop", "union", "works"]));
        let attest = |erasure: &mut Erasure, member: &str, ms: u64| {
            let (member, receipt) = (member.to_owned(), Hash32([4; 32]));
            erasure.attestations.push(Attestation { member, receipt, at: moment(ms) });
        };
        attest(&mut erasure, "works", 40);
        let works = said("works", Attested, false);
        assert_eq!(
            standings(Some(&erasure), 99),
            [said("shop", Outstanding, false), said("union", Outstanding, false), works.clone()]
        );
        assert_eq!(
            standings(Some(&erasure), 100),
            [said("shop", Overdue, false), said("union", Overdue, false), works.clone()]
        );
        // Closed without them; one comes later.
        (erasure.state, erasure.closed, erasure.missing) =
            (ErasureState::Erased, Some(moment(110)), names(&["shop", "union"]));
        attest(&mut erasure, "shop", 150);
        assert_eq!(
            standings(Some(&erasure), 200),
            [said("shop", Attested, true), said("union", Overdue, false), works]
        );
        let shop = &erasure_by_member(Some(&erasure), &[], TimestampMs(200))[0];
        assert_eq!((shop.attested, shop.receipt), (Some(moment(150)), Some(Hash32([4; 32]))));
    }
}
