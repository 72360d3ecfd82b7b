//! Who votes, and with how much weight.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    codec::encode,
    hash::{NodeId, ValidatorsHash, domain_hash},
    keys::PublicKey,
    numbers::{Height, Power, Round},
};

/// Most validators in one set.
pub const VALIDATORS_MAX: usize = 128;
/// Bound on the sum of powers: three times it fits in a `u64` by far.
pub const POWER_TOTAL_MAX: u64 = 1 << 50;

/// One validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Validator {
    /// Its consensus key.
    pub key: PublicKey,
    /// Its weight, at least 1.
    pub power: Power,
}

/// The validators of one height, in ascending order of key, each key once.
///
/// Invariant, checked by [`ValidatorSet::new`] and after decoding by [`ValidatorSet::validate`]: 1 to
/// [`VALIDATORS_MAX`] members, strictly ascending, powers at least 1 and at most [`POWER_TOTAL_MAX`] in sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct ValidatorSet {
    validators: Vec<Validator>,
}

/// Why a list is not a validator set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// Nobody to vote.
    #[error("a validator set needs at least one member")]
    Empty,
    /// Too many.
    #[error("a validator set has at most {VALIDATORS_MAX} members")]
    TooMany,
    /// Not strictly ascending by key.
    #[error("validators must be in ascending order of key, each once")]
    Order,
    /// Zero power, or the sum is above the bound.
    #[error("each power must be at least 1, their sum at most {POWER_TOTAL_MAX}")]
    Power,
}

impl ValidatorSet {
    /// Sorts and checks.
    ///
    /// # Errors
    /// [`ValidatorSetError`] as the invariant says.
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        validators.sort_by_key(|v| v.key);
        let set = Self { validators };
        set.validate()?;
        Ok(set)
    }

    /// Checks the invariant of a decoded set.
    ///
    /// # Errors
    /// [`ValidatorSetError`].
    pub fn validate(&self) -> Result<(), ValidatorSetError> {
        if self.validators.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if self.validators.len() > VALIDATORS_MAX {
            return Err(ValidatorSetError::TooMany);
        }
        if !self.validators.is_sorted_by(|a, b| a.key < b.key) {
            return Err(ValidatorSetError::Order);
        }
        let mut total: u64 = 0;
        for validator in &self.validators {
            total = total.saturating_add(validator.power.0);
            if validator.power.0 == 0 || total > POWER_TOTAL_MAX {
                return Err(ValidatorSetError::Power);
            }
        }
        Ok(())
    }

    /// The members in order.
    #[must_use]
    pub fn members(&self) -> &[Validator] {
        &self.validators
    }

    /// Sum of powers.
    #[must_use]
    pub fn total_power(&self) -> Power {
        Power(self.validators.iter().map(|v| v.power.0).sum())
    }

    /// True when `power` is more than two thirds of the total.
    #[must_use]
    pub fn is_quorum(&self, power: Power) -> bool {
        3 * u128::from(power.0) > 2 * u128::from(self.total_power().0)
    }

    /// Position of a node in the set.
    #[must_use]
    pub fn index_of(&self, node: &NodeId) -> Option<u16> {
        self.validators.iter().position(|v| v.key.node() == *node).and_then(|i| u16::try_from(i).ok())
    }

    /// Who proposes at a height and round: round-robin in order of key.
    ///
    /// # Panics
    /// Never for a valid set, which is not empty.
    #[must_use]
    pub fn proposer(&self, height: Height, round: Round) -> &Validator {
        let count = u64::try_from(self.validators.len()).expect("at most VALIDATORS_MAX");
        let turn = (height.0 % count + u64::from(round.0) % count) % count;
        usize::try_from(turn)
            .ok()
            .and_then(|i| self.validators.get(i))
            .expect("a valid set is not empty and the turn is below its length")
    }

    /// What headers commit to.
    #[must_use]
    pub fn hash(&self) -> ValidatorsHash {
        ValidatorsHash(domain_hash("vouch/validators/1", &[&encode(self)]).0)
    }
}
