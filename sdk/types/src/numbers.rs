//! Counted things as types of their own, so that a height is never taken for a round.
//!
//! There is no `From<u64>` on purpose: a number becomes a height where someone writes `Height(n)`.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

macro_rules! number_names {
    ($($(#[$doc:meta])* $name:ident($inner:ty)),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, SchemaRead, SchemaWrite)]
        #[serde(transparent)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);

            /// The number after this one; `None` at the end of the range.
            #[must_use]
            pub const fn next(self) -> Option<Self> {
                match self.0.checked_add(1) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The number before this one; `None` at zero.
            #[must_use]
            pub const fn previous(self) -> Option<Self> {
                match self.0.checked_sub(1) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = core::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

number_names! {
    /// Position of a block in the chain. Genesis is 0, the first block 1.
    Height(u64),
    /// Attempt at one height, from 0.
    Round(u32),
    /// Milliseconds since 1970-01-01T00:00:00Z, as the proposer said it and the validators accepted it.
    TimestampMs(u64),
    /// Voting power. Bounded by [`crate::validators::POWER_TOTAL_MAX`] in sum, so that quorum arithmetic cannot overflow.
    Power(u64),
    /// Units of metered work in a contract call.
    Fuel(u64),
}
