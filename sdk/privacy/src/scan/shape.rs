//! What a table says of the tokens it can match: which bytes may come first, how long a match within one token is, and
//! which bytes may follow the token. Most tokens are ruled out by these alone.

use std::collections::BTreeSet;

use regex_automata::dfa::Automaton as _;

use super::matcher::Matcher;

/// Longest token whose length is told apart; longer ones count as this long.
pub(super) const LENGTH_MAX: usize = 127;
/// States looked at before a pattern is taken to match anything: keeps loading fast.
const STATES_MAX: usize = 20_000;

/// A set of bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|byte| self.contains(*byte))
    }
}

/// The bytes a token is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// ASCII digits.
    Digits,
    /// ASCII letters and digits.
    Word,
}

impl Token {
    const fn has(self, byte: u8) -> bool {
        match self {
            Self::Digits => byte.is_ascii_digit(),
            Self::Word => byte.is_ascii_alphanumeric(),
        }
    }
}

/// Which tokens a pattern can match.
#[derive(Clone)]
pub(super) struct Shape {
    /// Bytes a match may begin with.
    pub(super) first: ByteSet,
    /// Lengths of matches that are one whole token, as bits; the last bit stands for all longer ones.
    pub(super) lengths: u128,
    /// Bytes behind the token with which a match may go on.
    pub(super) after: ByteSet,
}

impl Shape {
    /// The shape of a pattern that has a table.
    pub(super) fn of(matcher: &Matcher, token: Token) -> Option<Self> {
        let (table, start) = matcher.table()?;
        let is_live = |byte: u8| !table.is_dead_state(table.next_state(start, byte));
        let mut first = ByteSet::default();
        (0..=u8::MAX).filter(|byte| is_live(*byte)).for_each(|byte| first.insert(byte));
        let classes = table.byte_classes();
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for byte in 0..=u8::MAX {
            // One byte of each class of the table stands for the others, apart for both sides of the token's bounds.
            if seen.insert((token.has(byte), classes.get(byte))) {
                if token.has(byte) { inside.push(byte) } else { outside.push(byte) }
            }
        }
        let mut shape = Self { first, lengths: 0, after: ByteSet::default() };
        let mut layer = BTreeSet::from([start]);
        let mut states = 0;
        for length in 0..=LENGTH_MAX {
            states += layer.len();
            if states > STATES_MAX {
                return None;
            }
            if length > 0 && layer.iter().any(|state| table.is_match_state(table.next_eoi_state(*state))) {
                shape.lengths |= 1 << length;
            }
            for (state, representative) in
                layer.iter().flat_map(|state| outside.iter().map(move |byte| (*state, *byte)))
            {
                let next = table.next_state(state, representative);
                let goes_on = !table.is_dead_state(next) && !table.is_match_state(next) || can_go_on(table, next);
                if length > 0 && goes_on {
                    let class = classes.get(representative);
                    (0..=u8::MAX)
                        .filter(|byte| !token.has(*byte) && classes.get(*byte) == class)
                        .for_each(|byte| shape.after.insert(byte));
                }
            }
            let next = |state: regex_automata::util::primitives::StateID| {
                inside.iter().map(move |byte| table.next_state(state, *byte)).filter(|next| !table.is_dead_state(*next))
            };
            layer = layer.iter().flat_map(|state| next(*state)).collect();
            if layer.is_empty() {
                return Some(shape);
            }
        }
        shape.lengths |= 1 << LENGTH_MAX;
        Some(shape)
    }
}

/// Whether any byte leads on from a state that reports a match of what was before it.
fn can_go_on(
    table: &regex_automata::dfa::dense::DFA<Vec<u32>>,
    state: regex_automata::util::primitives::StateID,
) -> bool {
    let leads_on = |byte| !table.is_dead_state(table.next_state(state, byte));
    (0..=u8::MAX).any(leads_on) || table.is_match_state(table.next_eoi_state(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(pattern: &str, token: Token) -> Shape {
        Shape::of(&Matcher::new(pattern).unwrap(), token).unwrap()
    }

    #[test]
    fn lengths_and_neighbours_are_those_of_the_pattern() {
        let number = shape("1[3-9][0-9]{9}", Token::Digits);
        assert_eq!(number.lengths, 1 << 11);
        assert_eq!(number.first.iter().collect::<Vec<_>>(), [b'1']);
        assert_eq!(number.after.iter().count(), 0);
        let split = shape("1[0-9]{2}[- ][0-9]{4}", Token::Digits);
        assert_eq!(split.lengths, 0);
        assert_eq!(split.after.iter().collect::<Vec<_>>(), [b' ', b'-']);
        let either = shape("[A-Z]{1,2}(?:[0-9]{3})?(?:号)?", Token::Word);
        assert_eq!(either.lengths, 0b11_0110);
        assert_eq!(either.after.iter().collect::<Vec<_>>(), ["号".as_bytes()[0]]);
        assert_eq!(shape("[a-z]+", Token::Word).lengths >> LENGTH_MAX, 1);
    }
}
