//! A map that is cheap to copy: copies share all entries but those that were put in last.
//!
//! Executing a block copies the registry for every transaction that changes it, so that the transaction can be undone. With
//! `n` entries a copy takes time in the order of the square root of `n`, and so does putting one in, on average.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

/// Entries kept apart before they are merged, at least.
const RECENT_MIN: usize = 64;

/// A map from which nothing is ever removed. Entries are in the order of their keys.
#[derive(Debug, Clone)]
pub struct SharedMap<K, V> {
    base: Arc<BTreeMap<K, V>>,
    /// Newer than those of `base`.
    recent: BTreeMap<K, V>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { base: Arc::default(), recent: BTreeMap::new(), len: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.recent.get(key).or_else(|| self.base.get(key))
    }

    /// Whether there is one.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: K, value: V) {
        self.len = self.len.saturating_add(usize::from(!self.contains_key(&key)));
        self.recent.insert(key, value);
        if self.recent.len() > self.base.len().isqrt().max(RECENT_MIN) {
            Arc::make_mut(&mut self.base).append(&mut self.recent);
        }
    }

    /// Entries between two bounds, ascending.
    pub fn range(&self, (from, to): (Bound<K>, Bound<K>)) -> impl Iterator<Item = (&K, &V)> {
        let bounds = (from.as_ref(), to.as_ref());
        let mut base = self.base.range::<K, _>(bounds).peekable();
        let mut recent = self.recent.range::<K, _>(bounds).peekable();
        std::iter::from_fn(move || {
            let (old, new) = (base.peek().map(|(key, _)| *key), recent.peek().map(|(key, _)| *key));
            match (old, new) {
                (Some(old), Some(new)) if old < new => base.next(),
                (Some(old), Some(new)) => {
                    if old == new {
                        base.next();
                    }
                    recent.next()
                }
                (Some(_), None) => base.next(),
                (None, _) => recent.next(),
            }
        })
    }

    /// All entries, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.range((Bound::Unbounded, Bound::Unbounded))
    }

    /// All values, ascending by key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone + Eq> Eq for SharedMap<K, V> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_map() {
        let (mut map, mut model) = (SharedMap::default(), BTreeMap::new());
        for step in 0u32..4_000 {
            // Every key comes up several times, in no order.
            let key = step.wrapping_mul(2_654_435_761) % 1_500;
            map.insert(key, step);
            model.insert(key, step);
            assert_eq!((map.len(), map.get(&key), map.get(&1_500)), (model.len(), Some(&step), None));
        }
        assert!(map.iter().eq(model.iter()) && map.values().eq(model.values()));
        for from in [0, 7, 749, 1_499, 1_500] {
            for bound in [Bound::Included(from), Bound::Excluded(from)] {
                assert!(map.range((bound, Bound::Unbounded)).eq(model.range((bound, Bound::Unbounded))));
                assert!(map.range((Bound::Unbounded, bound)).eq(model.range((Bound::Unbounded, bound))));
            }
        }
    }

    #[test]
    fn copies_are_apart_and_share_what_is_old() {
        let mut map = SharedMap::default();
        (0..10_000).for_each(|n| map.insert(n, n));
        let copy = map.clone();
        assert!(Arc::ptr_eq(&map.base, &copy.base));
        assert!(map.recent.len() <= 100, "{}", map.recent.len());
        (0..5_000).for_each(|n| map.insert(2 * n, 0));
        assert!(copy.values().copied().eq(0..10_000), "a copy does not change");
        assert!(map != copy && map.len() == copy.len());
        (0..5_000).for_each(|n| map.insert(2 * n, 2 * n));
        assert!(map == copy, "however it came about");
    }
}
