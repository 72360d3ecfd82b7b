//! One rule's pattern as an automaton that is run from a given place and says where matches end.

use regex_automata::{
    Anchored, Input, MatchKind,
    dfa::{Automaton as _, StartKind, dense},
    hybrid,
    nfa::thompson,
    util::{pool::Pool, primitives::StateID, start, syntax},
};

/// Most bytes of a table; a pattern that needs more is determined while it runs.
const TABLE_BYTES_MAX: usize = 512 << 10;
/// Most bytes of the automaton before it is determined: what keeps a hostile pattern small.
const NFA_BYTES_MAX: usize = 4 << 20;
/// Bytes of a lazy automaton's states; the library asks for a minimum that patterns within the bound above keep.
const LAZY_BYTES: usize = 8 << 20;
/// Longest match, in bytes.
pub(super) const MATCH_BYTES_MAX: usize = 4096;
/// Ends that are remembered from one beginning: the longest ones.
const ENDS: usize = 4;

type NewCache = Box<dyn Fn() -> hybrid::dfa::Cache + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>;

/// An anchored automaton that knows all ends of a match.
pub(super) enum Matcher {
    Table(Box<dense::DFA<Vec<u32>>>, StateID),
    Lazy(Box<hybrid::dfa::DFA>, Pool<hybrid::dfa::Cache, NewCache>),
}

/// The longest ends of matches from one beginning, in ascending order.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Ends {
    ends: [usize; ENDS],
    count: usize,
}

impl Ends {
    fn push(&mut self, end: usize) {
        if self.count == ENDS {
            self.ends.copy_within(1.., 0);
            self.ends[ENDS - 1] = end;
        } else {
            self.ends[self.count] = end;
            self.count += 1;
        }
    }

    /// Longest first.
    pub(super) fn longest_first(&self) -> impl Iterator<Item = usize> {
        self.ends[..self.count].iter().rev().copied()
    }
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Table(..) => "Matcher::Table",
            Self::Lazy(..) => "Matcher::Lazy",
        })
    }
}

impl Matcher {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What the library says: wrong syntax, look-around, too large.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let syntax = syntax::Config::new().unicode(true).utf8(true).nest_limit(64);
        let thompson = thompson::Config::new().nfa_size_limit(Some(NFA_BYTES_MAX));
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Anchored)
            .accelerate(false)
            .dfa_size_limit(Some(TABLE_BYTES_MAX))
            .determinize_size_limit(Some(4 * TABLE_BYTES_MAX));
        let table = dense::Builder::new().syntax(syntax).thompson(thompson.clone()).configure(config).build(pattern);
        if let Ok(table) = table {
            let from = start::Config::new().anchored(Anchored::Yes);
            let start = table.start_state(&from).map_err(|error| error.to_string())?;
            return Ok(Self::Table(Box::new(table), start));
        }
        let config = hybrid::dfa::Config::new().match_kind(MatchKind::All).cache_capacity(LAZY_BYTES);
        let lazy = hybrid::dfa::Builder::new().syntax(syntax).thompson(thompson).configure(config).build(pattern);
        let lazy = lazy.map_err(|error| error.to_string())?;
        let copy = lazy.clone();
        let new_cache: NewCache = Box::new(move || copy.create_cache());
        Ok(Self::Lazy(Box::new(lazy), Pool::new(new_cache)))
    }

    /// Ends of matches that begin at `start`, at most [`MATCH_BYTES_MAX`] further on, of those that `is_end` accepts.
    pub(super) fn ends(&self, text: &[u8], start: usize, is_end: impl Fn(usize) -> bool) -> Ends {
        let limit = text.len().min(start + MATCH_BYTES_MAX);
        let mut ends = Ends::default();
        let mut take = |end: usize| {
            if end > start && is_end(end) {
                ends.push(end);
            }
        };
        match self {
            Self::Table(table, first) => {
                let mut state = *first;
                for (at, byte) in text.iter().enumerate().take(limit).skip(start) {
                    state = table.next_state(state, *byte);
                    if table.is_special_state(state) {
                        if table.is_match_state(state) {
                            take(at);
                        } else if table.is_dead_state(state) || table.is_quit_state(state) {
                            return ends;
                        }
                    }
                }
                if table.is_match_state(table.next_eoi_state(state)) {
                    take(limit);
                }
            }
            Self::Lazy(lazy, caches) => {
                let mut cache = caches.get();
                lazy_ends(lazy, &mut cache, text, (start, limit), &mut take);
            }
        }
        ends
    }

    /// Whether the pattern matches the whole of a text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let ends = self.ends(text.as_bytes(), 0, |end| end == text.len());
        ends.longest_first().next().is_some()
    }

    /// The table's automaton, for looking at its shape; nothing where there is none.
    pub(super) fn table(&self) -> Option<(&dense::DFA<Vec<u32>>, StateID)> {
        match self {
            Self::Table(table, start) => Some((table, *start)),
            Self::Lazy(..) => None,
        }
    }
}

/// As [`Matcher::ends`] for a lazy automaton. When its cache cannot go on, what was found so far stands.
fn lazy_ends(
    lazy: &hybrid::dfa::DFA,
    cache: &mut hybrid::dfa::Cache,
    text: &[u8],
    (start, limit): (usize, usize),
    take: &mut impl FnMut(usize),
) {
    let input = Input::new(text).span(start..limit).anchored(Anchored::Yes);
    let Ok(mut state) = lazy.start_state_forward(cache, &input) else { return };
    for (at, byte) in text.iter().enumerate().take(limit).skip(start) {
        let Ok(next) = lazy.next_state(cache, state, *byte) else { return };
        state = next;
        if state.is_tagged() {
            if state.is_match() {
                take(at);
            } else if state.is_dead() || state.is_quit() {
                return;
            }
        }
    }
    if lazy.next_eoi_state(cache, state).is_ok_and(|state| state.is_match()) {
        take(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(pattern: &str, text: &str) -> Vec<usize> {
        Matcher::new(pattern).unwrap().ends(text.as_bytes(), 0, |_| true).longest_first().collect()
    }

    #[test]
    fn all_ends_are_known_longest_first() {
        assert_eq!(ends("[0-9]{2,4}", "12345"), [4, 3, 2]);
        assert_eq!(ends("[0-9]{2,9}", "12345678901"), [9, 8, 7, 6]);
        assert_eq!(ends("张[一-龥]{1,2}", "张三丰说"), [9, 6]);
        assert_eq!(ends("a", "ba"), Vec::<usize>::new());
        assert_eq!(ends("ab?", "ab"), [2, 1]);
    }

    #[test]
    fn a_pattern_too_large_for_a_table_gives_the_same() {
        let pattern = "(?:[一-龥]{1,10}市)?[一-龥A-Z]{1,24}路[一-龥]{0,30}号(?:[一-龥]{0,4}(?:栋|层)[0-9]{0,8})*";
        let matcher = Matcher::new(pattern).unwrap();
        let text = "天津市滨海路南段51号3栋12";
        assert!(matcher.matches("天津市滨海路南段号三栋12"), "{matcher:?}");
        assert!(!matcher.matches(text));
    }

    #[test]
    fn hostile_patterns_are_refused() {
        for pattern in ["(", r"\b", "(?:(?:a{1,1000}){1,1000}){1,1000}", "(?=a)"] {
            let refused = Matcher::new(pattern).map(|matcher| matcher.ends(b"aaaa", 0, |_| true));
            assert!(refused.is_err() || pattern == r"\b", "{pattern}");
        }
    }
}
