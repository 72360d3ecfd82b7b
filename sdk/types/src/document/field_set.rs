use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

/// A set of a schema's slots: slot `i` is bit `i % 8` of byte `i / 8`, the least significant first, without zero bytes at
/// the end. One set has one value, so that equal sets have equal bytes.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, SchemaRead, SchemaWrite,
)]
#[serde(transparent)]
pub struct FieldSet(#[serde(with = "crate::hex_serde")] Vec<u8>);

impl FieldSet {
    /// Most slots of a schema.
    pub const SLOTS_MAX: u16 = 1024;

    /// No slot.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Slots `0` to `count`, without it.
    #[must_use]
    pub fn first(count: u16) -> Self {
        (0..count).collect()
    }

    /// The set that bytes stand for; zero bytes at their end are dropped.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut set = Self(bytes.to_vec());
        set.trim();
        set
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a decoded set is in its one form and within [`Self::SLOTS_MAX`].
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.0.last() != Some(&0) && self.0.len() <= usize::from(Self::SLOTS_MAX / 8)
    }

    /// Whether a slot is in it.
    #[must_use]
    pub fn contains(&self, slot: u16) -> bool {
        self.0.get(usize::from(slot / 8)).is_some_and(|byte| byte >> (slot % 8) & 1 == 1)
    }

    /// Adds a slot.
    pub fn insert(&mut self, slot: u16) {
        let at = usize::from(slot / 8);
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        if let Some(byte) = self.0.get_mut(at) {
            *byte |= 1 << (slot % 8);
        }
    }

    /// Whether no slot is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// How many slots are in it.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }

    /// Its slots, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        // No set has more than 2^16 slots: a longer one has no slot of that number.
        let end = u16::try_from(self.0.len().saturating_mul(8)).unwrap_or(u16::MAX);
        (0..end).filter(|slot| self.contains(*slot))
    }

    /// Slots in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (long, short) = if self.0.len() >= other.0.len() { (self, other) } else { (other, self) };
        let mut bytes = long.0.clone();
        bytes.iter_mut().zip(&short.0).for_each(|(byte, more)| *byte |= more);
        Self::from_bytes(&bytes)
    }

    /// Slots in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self::from_bytes(&self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect::<Vec<u8>>())
    }

    /// Slots in this one and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let without = |(i, byte): (usize, &u8)| byte & !other.0.get(i).copied().unwrap_or(0);
        Self::from_bytes(&self.0.iter().enumerate().map(without).collect::<Vec<u8>>())
    }

    /// Whether every slot is in the other too.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).is_empty()
    }

    fn trim(&mut self) {
        let end = self.0.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        self.0.truncate(end);
    }
}

impl FromIterator<u16> for FieldSet {
    fn from_iter<I: IntoIterator<Item = u16>>(slots: I) -> Self {
        let mut set = Self::new();
        slots.into_iter().for_each(|slot| set.insert(slot));
        set
    }
}
