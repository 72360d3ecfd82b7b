//! A second reading of lines in which values may be disguised: full-width and Chinese digits, zero-width characters,
//! escapes, single digits with blanks between them. Each byte of the reading knows where it comes from.

use unicode_normalization::UnicodeNormalization as _;

use super::finding::Disguise;

/// Fewest Chinese digits in a row that are read as a number. Dates and counts in prose are shorter.
const CHINESE_DIGITS_MIN: usize = 7;
/// Fewest single digits with blanks between them that are read as one number.
const SPACED_MIN: usize = 8;

/// A reading and where its bytes come from.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    pub(super) text: String,
    from: Vec<Origin>,
}

#[derive(Debug, Clone, Copy)]
struct Origin {
    start: u32,
    end: u32,
    disguise: Disguise,
}

impl Shadow {
    /// Place and disguise of a part of the reading, relative to the line it was made of.
    pub(super) fn origin(&self, start: usize, end: usize) -> (usize, usize, Disguise) {
        let part = self.from.get(start..end).unwrap_or_default();
        let disguise = part.iter().fold(0, |kinds, origin| kinds | origin.disguise.0);
        let first = part.first().map_or(0, |origin| origin.start as usize);
        (first, part.last().map_or(first, |origin| origin.end as usize), Disguise(disguise))
    }

    fn push(&mut self, c: char, start: usize, end: usize, disguise: Disguise) {
        self.text.push(c);
        // Lines are bounded far below 4 GiB.
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.from.resize(self.text.len(), Origin { start: place(start), end: place(end), disguise });
    }

    /// Reads a line again. At most 4 GiB.
    pub(super) fn of(line: &str) -> Self {
        let mut shadow = Self::default();
        let mut at = 0;
        while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
            at += shadow.step(rest, at);
        }
        shadow
    }

    /// Reads what stands at the beginning of `rest`, and says how many bytes it took.
    fn step(&mut self, rest: &str, at: usize) -> usize {
        let bytes = rest.as_bytes();
        if let Some((c, length)) = unescape(bytes) {
            self.push_normal(c, at, at + length, Disguise::ESCAPED);
            return length;
        }
        if let Some(length) = spaced(bytes, at == 0 || !self.text.ends_with(|c: char| c.is_ascii_alphanumeric())) {
            for offset in (0..length).step_by(2) {
                self.push(char::from(bytes[offset]), at + offset, at + offset + 1, Disguise::SPACED);
            }
            return length;
        }
        let Some(c) = rest.chars().next() else { return 1 };
        let length = c.len_utf8();
        if c.is_ascii() {
            self.push(c, at, at + length, Disguise::default());
        } else if is_invisible(c) {
            // What is before and behind join, and the place of the next byte says that something was between.
            if let Some(last) = self.from.last_mut() {
                last.end = u32::try_from(at + length).unwrap_or(u32::MAX);
                last.disguise = Disguise(last.disguise.0 | Disguise::INVISIBLE.0);
            }
        } else if let Some(run) = chinese_number(rest) {
            let mut place = at;
            for c in rest.chars().take(run) {
                self.push(chinese_digit(c).unwrap_or(c), place, place + c.len_utf8(), Disguise::CHINESE_DIGITS);
                place += c.len_utf8();
            }
            return place - at;
        } else {
            self.push_normal(c, at, at + length, Disguise::default());
        }
        length
    }

    fn push_normal(&mut self, c: char, start: usize, end: usize, disguise: Disguise) {
        // Full-width punctuation belongs to Chinese text and to the patterns.
        if c.is_ascii() || is_cjk(c) || matches!(c, '：' | '，' | '（' | '）' | '；' | '！' | '？' | '￥') {
            self.push(c, start, end, disguise);
            return;
        }
        for normal in core::iter::once(c).nfkc() {
            let changed = if normal == c { 0 } else { Disguise::WIDTH.0 };
            self.push(normal, start, end, Disguise(disguise.0 | changed));
        }
    }
}

const fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{3000}'..='\u{303f}')
}

const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\u{180e}')
}

const fn chinese_digit(c: char) -> Option<char> {
    Some(match c {
        '零' | '〇' | '○' => '0',
        '一' | '壹' | '幺' => '1',
        '二' | '贰' | '两' => '2',
        '三' | '叁' => '3',
        '四' | '肆' => '4',
        '五' | '伍' => '5',
        '六' | '陆' => '6',
        '七' | '柒' => '7',
        '八' | '捌' => '8',
        '九' | '玖' => '9',
        _ => return None,
    })
}

/// Length in characters of a row of Chinese digits that is long enough.
fn chinese_number(text: &str) -> Option<usize> {
    let run = text.chars().take_while(|c| chinese_digit(*c).is_some()).count();
    (run >= CHINESE_DIGITS_MIN).then_some(run)
}

/// `\uXXXX` (with a low surrogate where one belongs) or a row of `%XX` that is one character.
fn unescape(bytes: &[u8]) -> Option<(char, usize)> {
    let hex = |at: usize, length: usize| {
        let text = core::str::from_utf8(bytes.get(at..at + length)?).ok()?;
        text.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, 16).ok())?
    };
    if bytes.starts_with(b"\\u") {
        let high = hex(2, 4)?;
        if (0xd800..0xdc00).contains(&high) && bytes.get(6..8) == Some(b"\\u") {
            let low = hex(8, 4)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            return char::from_u32(0x10000 + ((high - 0xd800) << 10) + low).map(|c| (c, 12));
        }
        return char::from_u32(high).map(|c| (c, 6));
    }
    if bytes.first() != Some(&b'%') {
        return None;
    }
    let first = u8::try_from(hex(1, 2)?).ok()?;
    let length = match first {
        0x20..=0x7e => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let mut raw = [0; 4];
    for (place, byte) in raw.iter_mut().take(length).enumerate() {
        if bytes.get(place * 3) != Some(&b'%') {
            return None;
        }
        *byte = u8::try_from(hex(place * 3 + 1, 2)?).ok()?;
    }
    let c = core::str::from_utf8(raw.get(..length)?).ok()?.chars().next()?;
    Some((c, length * 3))
}

/// Bytes of a row of single digits with one blank between each two, long enough and not within a longer token.
fn spaced(bytes: &[u8], begins_token: bool) -> Option<usize> {
    if !begins_token || !bytes.first()?.is_ascii_digit() || bytes.get(1) != Some(&b' ') {
        return None;
    }
    let is_single = |at: &usize| {
        bytes.get(*at).is_some_and(u8::is_ascii_alphanumeric)
            && !bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric)
            && (*at == 0 || bytes[at - 1] == b' ')
    };
    let count = (0..).step_by(2).take_while(is_single).count();
    (count >= SPACED_MIN).then(|| count * 2 - 1)
}

/// Parts of a text, line by line, that are worth a second reading.
pub(super) fn suspects(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    let mut chinese = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let (length, is_suspect) = if byte < 0x80 {
            chinese = 0;
            (1, is_ascii_suspect(bytes, at))
        } else {
            let length = if byte >= 0xf0 {
                4
            } else if byte >= 0xe0 {
                3
            } else {
                2
            };
            let (is_suspect, run) = wide_suspect(bytes, at, chinese);
            chinese = run;
            (length, is_suspect)
        };
        if is_suspect {
            let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |line| line + 1);
            let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |line| at + line);
            found.push((start, end));
            at = end;
            chinese = 0;
        } else {
            at += length;
        }
    }
    found
}

fn is_ascii_suspect(bytes: &[u8], at: usize) -> bool {
    let ahead = |offset: usize| bytes.get(at + offset).copied().unwrap_or(0);
    match bytes[at] {
        b'\\' => ahead(1) == b'u' && ahead(2).is_ascii_hexdigit() && ahead(3).is_ascii_hexdigit(),
        b'%' => ahead(1).is_ascii_hexdigit() && ahead(2).is_ascii_hexdigit(),
        byte if byte.is_ascii_digit() => {
            ahead(1) == b' ' && ahead(2).is_ascii_digit() && ahead(3) == b' ' && spaced(&bytes[at..], true).is_some()
        }
        _ => false,
    }
}

/// Whether the character at `at` is one that is read differently, and how many Chinese digits have been in a row.
fn wide_suspect(bytes: &[u8], at: usize, chinese: usize) -> (bool, usize) {
    let ahead = |offset: usize| bytes.get(at + offset).copied().unwrap_or(0);
    match bytes[at] {
        0xe2 => match (ahead(1), ahead(2)) {
            // Zero-width; enclosed digits and letters.
            (0x80, 0x8b..=0x8f) | (0x81, 0xa0) | (0x91..=0x93, _) => (true, 0),
            _ => (false, 0),
        },
        // Full-width letters and digits, and the byte order mark within the text.
        0xef => match (ahead(1), ahead(2)) {
            (0xbc, 0x90..=0x99 | 0xa0..=0xba) | (0xbd, 0x81..=0x9a) => (true, 0),
            (0xbb, 0xbf) => (at > 0, 0),
            _ => (false, 0),
        },
        // Mathematical digits; soft hyphen.
        0xf0 => (ahead(1) == 0x9d && ahead(2) == 0x9f, 0),
        0xc2 => (ahead(1) == 0xad, 0),
        0xe3..=0xe9 => {
            let is_digit = is_chinese_digit(bytes[at], ahead(1), ahead(2));
            let run = if is_digit { chinese + 1 } else { 0 };
            (run >= CHINESE_DIGITS_MIN, run)
        }
        _ => (false, 0),
    }
}

fn is_chinese_digit(first: u8, second: u8, third: u8) -> bool {
    let c = (u32::from(first & 0xf) << 12) | (u32::from(second & 0x3f) << 6) | u32::from(third & 0x3f);
    char::from_u32(c).and_then(chinese_digit).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_knows_where_it_comes_from() {
        for (line, expected, names) in [
            ("手机１３８１２３４５６７８", "13812345678", "width"),
            ("手机138\u{200b}1234\u{feff}5678", "13812345678", "invisible"),
            ("电话幺三八一二三四五六七八", "13812345678", "chinese_digits"),
            ("电话1 3 8 1 2 3 4 5 6 7 8。", "13812345678", "spaced"),
            ("x\\u0031\\u0033812345678", "13812345678", "escaped"),
            ("q=%E6%89%8B138%312345678&", "13812345678", "escaped"),
            ("𝟏𝟑812345678", "13812345678", "width"),
        ] {
            assert_eq!(suspects(line), [(0, line.len())], "{line}");
            let shadow = Shadow::of(line);
            let at = shadow.text.find(expected).unwrap_or_else(|| panic!("{line} reads as {}", shadow.text));
            let (start, end, disguise) = shadow.origin(at, at + expected.len());
            assert!(line.is_char_boundary(start) && line.is_char_boundary(end), "{line}: {start} {end}");
            assert_eq!(disguise.names().collect::<Vec<_>>(), [names], "{line}");
            assert!(Shadow::of(&line[start..end]).text.starts_with(expected), "{line}");
        }
    }

    #[test]
    fn ordinary_text_is_not_read_twice() {
        for line in
            ["甲方（天津）：一二三四五六", "100% sure, C:\\users", "1 2 3 4 5", "2024 年 5 月 1 日", "全角，标点！", ""]
        {
            assert_eq!(suspects(line), [], "{line}");
        }
        assert_eq!(suspects("a\n\\u0031\nb\n％１\n"), [(2, 8), (11, 17)]);
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for line in ["\\uD800x", "%zz%4", "%ff%fe", "\\u12"] {
            assert_eq!(Shadow::of(line).text, line);
        }
        assert_eq!(Shadow::of("\\ud800\\u0041").text, "\\ud800A");
        assert_eq!(Shadow::of("\\ud83d\\ude00").text, "😀");
    }
}
