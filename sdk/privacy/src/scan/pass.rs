//! The two passes over a text: all words at once, then the tokens of ASCII letters and digits.

use super::{
    Field,
    compile::{Compiled, Dispatch, Program, RuleSet},
    finding::{Basis, Disguise, Finding},
    matcher::MATCH_BYTES_MAX,
    shape::LENGTH_MAX,
};
use crate::rules::{Bound, Check, Mode, Verdict};

/// Characters before a match in which a word of its context counts.
const CONTEXT_BEFORE: usize = 24;
/// Characters behind it.
const CONTEXT_AFTER: usize = 8;
/// Bytes that so many characters take at most.
const NEAR_BYTES: usize = 4 * CONTEXT_BEFORE;

/// A word at its place.
#[derive(Debug, Clone, Copy)]
struct Hit {
    start: usize,
    end: usize,
    word: u32,
}

/// What a pass writes to; kept between scans so that nothing is allocated in the loop.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    hits: Vec<Hit>,
    /// Ends of the last match of each rule that words trigger.
    covered: Vec<usize>,
    pub(super) found: Vec<Finding>,
}

/// One text under the passes.
pub(super) struct Pass<'a> {
    program: &'a Program,
    text: &'a str,
    bytes: &'a [u8],
    field: Option<&'a Field>,
}

/// A match that counts.
#[derive(Debug, Clone, Copy)]
struct Match {
    start: usize,
    end: usize,
    score: u8,
    basis: Basis,
}

impl<'a> Pass<'a> {
    pub(super) const fn new(program: &'a Program, text: &'a str, field: Option<&'a Field>) -> Self {
        Self { program, text, bytes: text.as_bytes(), field }
    }

    /// Adds what is found to `scratch.found`.
    pub(super) fn run(&self, scratch: &mut Scratch) {
        scratch.hits.clear();
        let words = self.program.words.find_overlapping_iter(self.text);
        scratch.hits.extend(words.map(|hit| Hit { start: hit.start(), end: hit.end(), word: hit.pattern().as_u32() }));
        // The automaton reports by end; rules begin where words begin.
        scratch.hits.sort_unstable_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
        scratch.covered.clear();
        scratch.covered.resize(self.program.rules.len(), 0);
        for index in 0..scratch.hits.len() {
            let hit = scratch.hits[index];
            for (rule, back) in &self.program.uses[hit.word as usize].anchors {
                self.at_anchor(*rule, *back, hit, scratch);
            }
        }
        self.tokens(scratch);
    }

    fn at_anchor(&self, rule: u16, back: usize, hit: Hit, scratch: &mut Scratch) {
        let covered = scratch.covered[usize::from(rule)];
        if hit.start < covered {
            return;
        }
        let mut start = self.clause_start(hit.start, back).max(covered);
        while start <= hit.start {
            // A match that ends before its anchor is another one's.
            if let Some(found) = self.try_at(rule, start, &scratch.hits).filter(|found| found.end > hit.start) {
                scratch.covered[usize::from(rule)] = found.end;
                self.report(rule, found, scratch);
                return;
            }
            start += self.char_length(start);
        }
    }

    /// The place up to `back` characters before `at`, not beyond what separates clauses.
    fn clause_start(&self, at: usize, back: usize) -> usize {
        let mut start = at;
        let mut before = self.text.get(..at).unwrap_or_default().chars();
        for _ in 0..back {
            match before.next_back() {
                Some(c) if !is_separator(c) => start -= c.len_utf8(),
                _ => break,
            }
        }
        start
    }

    fn char_length(&self, at: usize) -> usize {
        self.text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    }

    fn tokens(&self, scratch: &mut Scratch) {
        let bytes = self.bytes;
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if byte.is_ascii_alphanumeric() {
                let end = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
                self.token(at, end, scratch);
                at = end;
            } else {
                for rule in &self.program.special[usize::from(byte)] {
                    if let Some(found) = self.try_at(*rule, at, &scratch.hits) {
                        self.report(*rule, found, scratch);
                    }
                }
                at += 1;
            }
        }
    }

    fn token(&self, start: usize, end: usize, scratch: &mut Scratch) {
        let length = end - start;
        self.dispatch(&self.program.word, start, end, scratch);
        let letters = self.bytes[start..end].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        if letters == length {
            return;
        }
        // Digits of a token that goes on with letters are part of a hash, an id or the like.
        let first = start + letters;
        let digits = self.bytes[first..end].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.dispatch(&self.program.digits, first, first + digits, scratch);
        let mut at = first + digits;
        while at < end {
            let letters = self.bytes[at..end].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
            let digits = self.bytes[at + letters..end].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits > 0 {
                self.dispatch(&self.program.digits, at + letters, at + letters + digits, scratch);
            }
            at += letters + digits;
        }
    }

    fn dispatch(&self, dispatch: &Dispatch, start: usize, end: usize, scratch: &mut Scratch) {
        static NONE: [Vec<u16>; 2] = [Vec::new(), Vec::new()];
        let by_length = &dispatch.by_length[(end - start).min(LENGTH_MAX)];
        let by_after = self.bytes.get(end).map_or(&NONE, |byte| &dispatch.by_after[usize::from(*byte)]);
        for rule in &by_length[0] {
            self.attempt(*rule, start, scratch);
        }
        for rule in by_after[0].iter().filter(|rule| !by_length[0].contains(rule)) {
            self.attempt(*rule, start, scratch);
        }
        if by_length[1].is_empty() && by_after[1].is_empty() {
            return;
        }
        let mut near = self.nearby(start, end, &scratch.hits);
        if let Some(field) = self.field {
            near.union(&field.rules);
        }
        if near.is_empty() {
            return;
        }
        for rule in by_length[1].iter().filter(|rule| near.contains(**rule)) {
            self.attempt(*rule, start, scratch);
        }
        for rule in by_after[1].iter().filter(|rule| near.contains(**rule) && !by_length[1].contains(rule)) {
            self.attempt(*rule, start, scratch);
        }
    }

    fn attempt(&self, rule: u16, start: usize, scratch: &mut Scratch) {
        if self.program.first[usize::from(rule)].contains(self.bytes[start])
            && let Some(found) = self.try_at(rule, start, &scratch.hits)
        {
            self.report(rule, found, scratch);
        }
    }

    /// Rules that have a word of their context anywhere near a token; which of them count is judged at the match.
    fn nearby(&self, start: usize, end: usize, hits: &[Hit]) -> RuleSet {
        let mut near = RuleSet::default();
        let from = hits.partition_point(|hit| hit.start + NEAR_BYTES < start);
        for hit in hits[from..].iter().take_while(|hit| hit.start < end + MATCH_CONTEXT) {
            if let Some(context) = &self.program.uses[hit.word as usize].context {
                near.union(context);
            }
        }
        near
    }

    fn try_at(&self, rule: u16, start: usize, hits: &[Hit]) -> Option<Match> {
        let compiled = &self.program.rules[usize::from(rule)];
        if !self.may_begin(compiled, start) {
            return None;
        }
        let ends = compiled.matcher.ends(self.bytes, start, |end| self.may_end(compiled, end));
        ends.longest_first().find_map(|end| self.judge(rule, compiled, start, end, hits))
    }

    fn judge(&self, rule: u16, compiled: &Compiled, start: usize, end: usize, hits: &[Hit]) -> Option<Match> {
        let value = self.text.get(start..end)?;
        let data = &compiled.rule;
        if data.unless.iter().any(|word| self.bytes[end..].starts_with(word.as_bytes())) {
            return None;
        }
        let verdict = data.check.map_or(Verdict::Right, |check| check.judge(value));
        if verdict == Verdict::Wrong {
            return None;
        }
        let is_field = self.field.is_some_and(|field| field.rules.contains(rule));
        let needs_context = data.mode == Mode::Context || verdict == Verdict::Weak;
        let has_context = needs_context && (is_field || self.has_context(rule, start, end, hits));
        if needs_context && !has_context {
            return None;
        }
        let (score, basis) = match (data.check, verdict, data.mode) {
            (Some(check), Verdict::Right, _) if check.is_checksum() => (100, Basis::Check),
            (Some(check), Verdict::Weak, _) if check.is_checksum() => (95, Basis::Check),
            (_, _, Mode::Context) => (85, if is_field { Basis::Field } else { Basis::Context }),
            (Some(_), _, Mode::Shape) => (80, Basis::Check),
            (None, _, Mode::Shape) => (60, Basis::Shape),
            (_, _, Mode::Keyword) => (70, Basis::Keyword),
        };
        let start = self.without_lead(compiled, start, end);
        let end = if data.extend { self.extended(end) } else { end };
        Some(Match { start, end, score, basis })
    }

    /// Cuts off words that lead to a match, as long as the rest still is one.
    fn without_lead(&self, compiled: &Compiled, mut start: usize, end: usize) -> usize {
        let leads = |start: usize| {
            let ahead = &self.bytes[start..end];
            compiled.rule.lead.iter().filter(move |word| ahead.starts_with(word.as_bytes())).map(String::len).max()
        };
        while let Some(length) = leads(start) {
            let rest = compiled.matcher.ends(self.bytes, start + length, |at| at == end);
            if rest.longest_first().next().is_none() {
                break;
            }
            start += length;
        }
        start
    }

    fn extended(&self, end: usize) -> usize {
        let goes_on = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        end + self.bytes[end..].iter().take_while(goes_on).count()
    }

    fn may_begin(&self, compiled: &Compiled, start: usize) -> bool {
        let before = start.checked_sub(1).map_or(0, |at| self.bytes[at]);
        let is_free = match compiled.rule.bound {
            Bound::None => true,
            Bound::Digit => !before.is_ascii_digit(),
            Bound::Word => !before.is_ascii_alphanumeric(),
            Bound::Number => !before.is_ascii_alphanumeric() || self.follows_word(start),
        };
        is_free
            && !(self.is_apart(compiled, before)
                && start.checked_sub(2).is_some_and(|at| self.bytes[at].is_ascii_alphanumeric()))
    }

    /// Whether a word of letters that could not be hexadecimal stands directly before.
    fn follows_word(&self, start: usize) -> bool {
        let letters = self.bytes[..start].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric());
        let (mut count, mut is_hexadecimal) = (0, true);
        for byte in letters {
            if byte.is_ascii_digit() || count > 32 {
                return false;
            }
            count += 1;
            is_hexadecimal &= byte.is_ascii_hexdigit();
        }
        count >= 2 && !is_hexadecimal
    }

    fn may_end(&self, compiled: &Compiled, end: usize) -> bool {
        let behind = self.bytes.get(end).copied().unwrap_or(0);
        let is_free = match compiled.rule.bound {
            Bound::None => true,
            Bound::Digit => !behind.is_ascii_digit(),
            Bound::Word | Bound::Number => !behind.is_ascii_alphanumeric(),
        };
        is_free && !(self.is_apart(compiled, behind) && self.bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric))
    }

    fn is_apart(&self, compiled: &Compiled, byte: u8) -> bool {
        byte.is_ascii() && byte != 0 && compiled.rule.apart.as_bytes().contains(&byte)
    }

    /// Whether a word of the rule's context stands near enough, with nothing between that ends a statement.
    fn has_context(&self, rule: u16, start: usize, end: usize, hits: &[Hit]) -> bool {
        let before = self.text.get(..start).unwrap_or_default();
        let behind = self.text.get(end..).unwrap_or_default();
        let reach = |chars: &mut dyn Iterator<Item = char>, most: usize, stop: fn(char) -> bool| {
            chars.take(most).take_while(|c| !stop(*c)).map(char::len_utf8).sum::<usize>()
        };
        let low = start - reach(&mut before.chars().rev(), CONTEXT_BEFORE, ends_statement);
        let high =
            end + reach(&mut behind.chars(), CONTEXT_AFTER, |c| ends_statement(c) || matches!(c, ',' | '，' | '、'));
        let from = hits.partition_point(|hit| hit.start < low);
        hits[from..].iter().take_while(|hit| hit.start < high).any(|hit| {
            let is_near = hit.end <= start || (hit.start >= end && hit.end <= high);
            is_near
                && self.program.uses[hit.word as usize].context.as_ref().is_some_and(|context| context.contains(rule))
                && self.is_whole_word(*hit)
        })
    }

    /// Whether letters adjoin a word of ASCII letters: `age` is no word of `page`. Capitals begin a word within names of
    /// programs: `ip` is one of `clientIp`.
    fn is_whole_word(&self, hit: Hit) -> bool {
        let first = self.bytes[hit.start];
        let before = hit.start.checked_sub(1).map_or(0, |at| self.bytes[at]);
        let behind = self.bytes.get(hit.end).copied().unwrap_or(0);
        let joins_before = first.is_ascii_alphabetic()
            && before.is_ascii_alphabetic()
            && !(first.is_ascii_uppercase() && before.is_ascii_lowercase());
        let joins_behind = self.bytes[hit.end - 1].is_ascii_alphabetic() && behind.is_ascii_lowercase();
        !joins_before && !joins_behind
    }

    /// Where the value begins in a match that starts with its label: behind the first separator, else where the value's own
    /// pattern fits the rest, else at the first letter or digit behind Chinese words, else at the beginning.
    fn value_start(&self, compiled: &Compiled, found: Match) -> usize {
        let text = self.text.get(found.start..found.end).unwrap_or_default();
        let is_blank = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ':' | '：' | '=');
        let rest = text.find([':', '：', '=']).and_then(|at| text.get(at..));
        let behind = rest.map(|rest| found.end - rest.trim_start_matches(is_blank).len());
        if let Some(start) = behind.filter(|start| *start < found.end) {
            return start;
        }
        if let Some(value) = &compiled.value {
            let mut rests = text.char_indices().skip(1).filter_map(|(at, _)| text.get(at..).map(|rest| (at, rest)));
            return rests.find(|(_, rest)| value.matches(rest)).map_or(found.start, |(at, _)| found.start + at);
        }
        let is_labelled = text.chars().next().is_some_and(|c| !c.is_ascii());
        let first = text.find(|c: char| c.is_ascii_alphanumeric() || matches!(c, '¥' | '￥')).filter(|_| is_labelled);
        found.start + first.unwrap_or(0)
    }

    fn report(&self, rule: u16, found: Match, scratch: &mut Scratch) {
        let compiled = &self.program.rules[usize::from(rule)];
        scratch.found.push(Finding {
            rule: compiled.id.clone(),
            level: compiled.rule.level,
            start: found.start,
            end: found.end,
            value_start: if found.basis == Basis::Keyword { self.value_start(compiled, found) } else { found.start },
            score: found.score,
            basis: found.basis,
            disguise: Disguise::default(),
        });
    }
}

/// Bytes behind a token in which a context may stand: the longest match and a few characters.
const MATCH_CONTEXT: usize = 64 + 4 * CONTEXT_AFTER;
const _: () = assert!(MATCH_CONTEXT < MATCH_BYTES_MAX);

/// What a statement does not go beyond.
const fn ends_statement(c: char) -> bool {
    matches!(c, '\n' | '。' | '；' | ';' | '！' | '？')
}

/// What a name, an address or an amount does not go beyond.
const fn is_separator(c: char) -> bool {
    c.is_ascii_whitespace()
        || c.is_ascii_control()
        || matches!(
            c,
            ',' | ';'
                | ':'
                | '"'
                | '\''
                | '!'
                | '?'
                | '='
                | '<'
                | '>'
                | '{'
                | '}'
                | '['
                | ']'
                | '|'
                | '#'
                | '*'
                | '\\'
                | '/'
        )
        || matches!(
            c,
            '，' | '。'
                | '；'
                | '：'
                | '、'
                | '“'
                | '”'
                | '‘'
                | '’'
                | '！'
                | '？'
                | '【'
                | '】'
                | '《'
                | '》'
                | '\u{3000}'
        )
}

/// Judges the whole value of a field by rules whose keys name it.
pub(super) fn whole_value(program: &Program, text: &str, field: &Field, scratch: &mut Scratch) {
    let value = text.trim();
    if value.is_empty() || value.len() > MATCH_BYTES_MAX {
        return;
    }
    let start = text.len() - text.trim_start().len();
    for (number, compiled) in program.rules.iter().enumerate() {
        let is_named = u16::try_from(number).is_ok_and(|number| field.keys.contains(number));
        let Some(matcher) = compiled.value.as_ref().filter(|_| is_named) else { continue };
        let is_plausible = match compiled.rule.check {
            Some(check @ (Check::Secret | Check::Password | Check::Entropy)) => check.judge(value) != Verdict::Wrong,
            _ => true,
        };
        if is_plausible && matcher.matches(value) {
            scratch.found.push(Finding {
                rule: compiled.id.clone(),
                level: compiled.rule.level,
                start,
                end: start + value.len(),
                value_start: start,
                score: 85,
                basis: Basis::Field,
                disguise: Disguise::default(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::rules::{BUILTIN, RuleFile};

    fn program() -> &'static Program {
        static PROGRAM: std::sync::LazyLock<Program> =
            std::sync::LazyLock::new(|| Program::new(&[&RuleFile::parse(BUILTIN).unwrap()]).unwrap());
        &PROGRAM
    }

    /// What rules that begin at tokens find, by trying each of them at every character.
    fn naive(pass: &Pass<'_>, hits: &[Hit]) -> BTreeSet<(String, usize, usize)> {
        let mut found = BTreeSet::new();
        for (number, compiled) in pass.program.rules.iter().enumerate() {
            if pass.program.first[number].iter().next().is_none() {
                continue;
            }
            for (start, _) in pass.text.char_indices() {
                if let Some(one) = pass.try_at(u16::try_from(number).unwrap(), start, hits) {
                    found.insert((compiled.id.to_string(), one.start, one.end));
                }
            }
        }
        found
    }

    fn piece() -> impl Strategy<Value = String> {
        let words = [
            "手机",
            "身份证",
            "卡号",
            "护照",
            "账号",
            "IMEI",
            "IP",
            "电话",
            "发票号码",
            "订单号",
            "出生",
            "年龄",
            "邮编",
            "流水号",
            "：",
            ": ",
            "，",
            " ",
            "-",
            "\n",
            "(0755)",
            "+86 ",
            "a",
            "tel",
            "x9",
            "。",
            "13812345678",
            "138-1234-5678",
            "11010519491231002X",
            "6222020300001234560",
            "192.168.1.7",
            "00:1A:2B:3C:4D:5E",
            "li_4@mail.example.cn",
            "LSGJA52H7HS012345",
            "EA1234567",
            "117.201538,39.085294",
            "2024-05-01",
            "G",
            "号",
            "91120116MA0X8T2R46",
            "deadbeef",
            "_",
            ".",
        ];
        prop_oneof![
            prop::sample::select(words.to_vec()).prop_map(str::to_owned),
            "[0-9]{1,20}",
            "[A-Z0-9]{1,18}",
            "\\PC{0,3}"
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_token_is_passed_over(pieces in prop::collection::vec(piece(), 0..24)) {
            let text = pieces.concat();
            let pass = Pass::new(program(), &text, None);
            let mut scratch = Scratch::default();
            pass.run(&mut scratch);
            let all = naive(&pass, &scratch.hits);
            let by_token = |one: &&Finding| program().rules.iter().zip(&program().first).any(|(rule, first)| rule.id == one.rule && first.iter().next().is_some());
            let found: BTreeSet<_> = scratch.found.iter().filter(by_token).map(|one| (one.rule.to_string(), one.start, one.end)).collect();
            prop_assert_eq!(found, all);
        }
    }
}
