//! From rules to automata: one matcher for each rule, one automaton for all words, and lists that say which rules are
//! tried at which token.

use std::{collections::BTreeMap, sync::Arc};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};

use super::{
    finding::RuleId,
    matcher::Matcher,
    shape::{LENGTH_MAX, Shape, Token},
};
use crate::rules::{Bound, Mode, RULES_MAX, Rule, RuleError, RuleFile, key_form};

/// Rules as a set of their numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RuleSet([u64; RULES_MAX / 64]);

impl RuleSet {
    pub(super) fn insert(&mut self, rule: u16) {
        self.0[usize::from(rule) / 64] |= 1 << (rule % 64);
    }

    pub(super) const fn contains(&self, rule: u16) -> bool {
        self.0[rule as usize / 64] >> (rule % 64) & 1 == 1
    }

    pub(super) fn union(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|part| *part == 0)
    }
}

/// A rule that can be run.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) id: RuleId,
    pub(super) rule: Rule,
    pub(super) matcher: Matcher,
    /// For the whole value of a field that the rule's keys name.
    pub(super) value: Option<Matcher>,
}

/// What a word means to the rules.
#[derive(Debug, Default, Clone)]
pub(super) struct Word {
    /// Rules that may begin here or up to so many characters before.
    pub(super) anchors: Vec<(u16, usize)>,
    /// Rules whose context it is.
    pub(super) context: Option<Box<RuleSet>>,
}

/// Rules by the length of the token and by what follows it. The first list of each pair counts alone, the second with a
/// context.
#[derive(Debug, Default)]
pub(super) struct Dispatch {
    pub(super) by_length: Vec<[Vec<u16>; 2]>,
    pub(super) by_after: Vec<[Vec<u16>; 2]>,
}

/// All rules, ready to run.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) rules: Vec<Compiled>,
    pub(super) words: AhoCorasick,
    pub(super) uses: Vec<Word>,
    pub(super) keys: BTreeMap<String, RuleSet>,
    pub(super) word: Dispatch,
    pub(super) digits: Dispatch,
    /// Rules that may begin with a byte that is neither letter nor digit, by that byte.
    pub(super) special: Vec<Vec<u16>>,
    /// Bytes that one of the rules may begin with, for each rule; a filter before its matcher runs.
    pub(super) first: Vec<super::shape::ByteSet>,
}

impl Dispatch {
    fn new() -> Self {
        Self { by_length: vec![Default::default(); LENGTH_MAX + 1], by_after: vec![Default::default(); 256] }
    }

    fn add(&mut self, rule: u16, needs_context: bool, shape: &Shape) {
        let list = usize::from(needs_context);
        for (length, lists) in self.by_length.iter_mut().enumerate() {
            if shape.lengths >> length & 1 == 1 {
                lists[list].push(rule);
            }
        }
        for byte in shape.after.iter() {
            // A token of a fitting length is tried already; the matcher finds longer matches too.
            self.by_after[usize::from(byte)][list].push(rule);
        }
    }
}

impl Program {
    /// Compiles files of rules, the built-in ones first; ids must differ between them.
    pub(super) fn new(files: &[&RuleFile]) -> Result<Self, RuleError> {
        let mut builder = Builder::default();
        for file in files {
            for rule in &file.rules {
                builder.add(file, rule)?;
            }
        }
        builder.finish()
    }
}

struct Builder {
    rules: Vec<Compiled>,
    words: BTreeMap<String, Word>,
    keys: BTreeMap<String, RuleSet>,
    word: Dispatch,
    digits: Dispatch,
    special: Vec<Vec<u16>>,
    first: Vec<super::shape::ByteSet>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            words: BTreeMap::new(),
            keys: BTreeMap::new(),
            word: Dispatch::new(),
            digits: Dispatch::new(),
            special: vec![Vec::new(); 256],
            first: Vec::new(),
        }
    }
}

impl Builder {
    fn add(&mut self, file: &RuleFile, rule: &Rule) -> Result<(), RuleError> {
        let number = u16::try_from(self.rules.len()).ok().filter(|number| usize::from(*number) < RULES_MAX);
        let number = number.ok_or_else(|| RuleError::TooLarge { what: "rules".into(), max: RULES_MAX })?;
        if self.rules.iter().any(|known| known.rule.id == rule.id) {
            return Err(RuleError::invalid(&rule.id, "has the id of another rule"));
        }
        let pattern = file.expand(&rule.id, &rule.pattern)?;
        let matcher = compile(rule, &pattern)?;
        let value = rule.value.as_ref().map(|value| compile(rule, &file.expand(&rule.id, value)?)).transpose()?;
        self.trigger(number, rule, &pattern, &matcher)?;
        for word in &rule.context {
            let entry = self.words.entry(word.to_ascii_lowercase()).or_default();
            entry.context.get_or_insert_default().insert(number);
        }
        for key in &rule.keys {
            self.keys.entry(key_form(key)).or_default().insert(number);
        }
        let id = RuleId(Arc::from(rule.id.as_str()));
        self.rules.push(Compiled { id, rule: rule.clone(), matcher, value });
        Ok(())
    }

    /// Finds out at which places the rule is tried: at its anchors, at words its pattern begins with, or at tokens.
    fn trigger(&mut self, number: u16, rule: &Rule, pattern: &str, matcher: &Matcher) -> Result<(), RuleError> {
        self.first.push(super::shape::ByteSet::default());
        if !rule.anchors.is_empty() {
            for word in &rule.anchors {
                self.anchor(word, number, rule.back);
            }
            return Ok(());
        }
        let token = if matches!(rule.bound, Bound::Digit | Bound::Number) { Token::Digits } else { Token::Word };
        let shape = Shape::of(matcher, token);
        if let Some(shape) = shape.filter(|shape| shape.first.iter().all(|byte| byte.is_ascii())) {
            let starts =
                |byte: &u8| if token == Token::Digits { byte.is_ascii_digit() } else { byte.is_ascii_alphanumeric() };
            let rest: Vec<u8> = shape.first.iter().filter(|byte| !starts(byte)).collect();
            // Letters before the digits of a rule that is tried at digits only would never be seen.
            if rest.iter().all(|byte| !byte.is_ascii_alphanumeric()) && rule.bound != Bound::None {
                rest.iter().for_each(|byte| self.special[usize::from(*byte)].push(number));
                let dispatch = if token == Token::Digits { &mut self.digits } else { &mut self.word };
                dispatch.add(number, rule.mode == Mode::Context, &shape);
                self.first[usize::from(number)] = shape.first;
                return Ok(());
            }
        }
        let prefixes = prefixes(pattern).ok_or_else(|| {
            RuleError::invalid(&rule.id, "no word that every match begins with can be found: name `anchors`, and how far `back` a match may begin")
        })?;
        for word in prefixes {
            self.anchor(&word, number, 0);
        }
        Ok(())
    }

    fn anchor(&mut self, word: &str, rule: u16, back: usize) {
        let entry = self.words.entry(word.to_ascii_lowercase()).or_default();
        if !entry.anchors.contains(&(rule, back)) {
            entry.anchors.push((rule, back));
        }
    }

    fn finish(self) -> Result<Program, RuleError> {
        let (words, uses): (Vec<String>, Vec<Word>) = self.words.into_iter().unzip();
        let words = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(words)
            .map_err(|error| RuleError::Format(format!("words: {error}")))?;
        Ok(Program {
            rules: self.rules,
            words,
            uses,
            keys: self.keys,
            word: self.word,
            digits: self.digits,
            special: self.special,
            first: self.first,
        })
    }
}

fn compile(rule: &Rule, pattern: &str) -> Result<Matcher, RuleError> {
    let wrong = |why: String| RuleError::invalid(&rule.id, why);
    let hir = regex_syntax::parse(pattern).map_err(|error| wrong(format!("pattern: {error}")))?;
    if !hir.properties().look_set().is_empty() {
        return Err(wrong("pattern: look-around such as ^, $ and \\b is not for rules; bounds are".to_owned()));
    }
    if hir.properties().minimum_len().is_none_or(|length| length == 0) {
        return Err(wrong("pattern: matches the empty text".to_owned()));
    }
    Matcher::new(pattern).map_err(|error| wrong(format!("pattern: {error}")))
}

/// Words of at least two bytes of which each match begins with one.
fn prefixes(pattern: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let mut extractor = Extractor::new();
    extractor.kind(ExtractKind::Prefix).limit_class(64).limit_repeat(4).limit_literal_len(16).limit_total(1200);
    let seq: Seq = extractor.extract(&hir);
    let mut words: Vec<String> = Vec::new();
    for literal in seq.literals()? {
        // A literal may be cut within a character.
        let bytes = literal.as_bytes();
        let word = match std::str::from_utf8(bytes) {
            Ok(word) => word,
            Err(error) => std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?,
        };
        if word.len() < 2 {
            return None;
        }
        words.push(label(word).to_ascii_lowercase());
    }
    words.sort_unstable();
    // A word that begins with another one adds no place to begin at.
    words.dedup_by(|later, earlier| later.starts_with(earlier.as_str()));
    (!words.is_empty()).then_some(words)
}

/// A word up to what separates a label from its value: fewer words make a smaller automaton, which stays in the cache.
fn label(word: &str) -> &str {
    let end = word.find([':', '：', ' ', '\t', '\r', '\n', '\u{3000}', '=', '"', '\'']).filter(|end| *end >= 2);
    end.and_then(|end| word.get(..end)).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_at_the_beginning_are_found() {
        assert_eq!(prefixes("(?:姓名|乙方)[:：]{0,2}张").expect("finite"), ["乙方", "姓名"]);
        assert_eq!(prefixes("https?://x").expect("finite"), ["http"]);
        assert!(prefixes("[一-龥]{2}号").is_none());
        assert!(prefixes("[0-9]{4}").is_none_or(|words| words.iter().all(|word| word.len() >= 2)));
    }
}
