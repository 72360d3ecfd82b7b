//! Words of the chain as small numbers in the database, and back. Their places never change; new ones are added behind.

use vouch_types::{
    document::{Category, DisputeState, ErasureState, VersionState},
    relation::{RelationKind, RelationState},
};

/// A word with a number.
pub(crate) trait Coded: Copy + PartialEq + 'static {
    /// All of them, each at its number.
    const ALL: &'static [Self];

    /// Its number.
    fn code(self) -> i64 {
        let place = Self::ALL.iter().position(|word| *word == self);
        place.and_then(|place| i64::try_from(place).ok()).unwrap_or(0)
    }

    /// The word of a number that [`Coded::code`] gave.
    fn of(code: i64) -> Self {
        usize::try_from(code).ok().and_then(|place| Self::ALL.get(place)).copied().unwrap_or(Self::ALL[0])
    }
}

impl Coded for Category {
    const ALL: &'static [Self] = &[Self::Identity, Self::Contract, Self::Transaction, Self::Invoice, Self::Risk];
}

impl Coded for VersionState {
    const ALL: &'static [Self] = &[
        Self::Pending,
        Self::Effective,
        Self::Rejected,
        Self::Superseded,
        Self::Revoked,
        Self::Annulled,
        Self::Erased,
    ];
}

impl Coded for ErasureState {
    const ALL: &'static [Self] = &[Self::None, Self::Restricted, Self::Ordered, Self::Erased];
}

impl Coded for DisputeState {
    const ALL: &'static [Self] = &[Self::Open, Self::Answered, Self::Ruled, Self::Withdrawn];
}

impl Coded for RelationKind {
    const ALL: &'static [Self] = &[Self::Serves, Self::Receives, Self::Regulates];
}

impl Coded for RelationState {
    const ALL: &'static [Self] = &[Self::Offered, Self::Agreed, Self::Declined, Self::Withdrawn, Self::Ended];
}

/// A number for the database, whose integers have a sign; nothing counted here reaches the bound.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number out of the database.
pub(crate) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The same, where it was a `u32`.
pub(crate) fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
