//! Values as systems write them, turned into the form that a commitment holds. What is not clear is a fault, never a guess.

use unicode_normalization::UnicodeNormalization as _;

use crate::{
    Reason,
    reason::{
        BEYOND, BOOLEAN, CODE, DAY, DIGITS, EXPONENT, FRACTION, MOMENT, NO_OFFSET, NUMBER, OFFSET, THOUSANDS, TIME,
    },
};

/// Most characters of a decimal number.
pub const DECIMAL_CHARS_MAX: usize = 64;
/// Largest whole number that every JSON reader reads the same.
pub const INTEGER_MAX: i64 = vouch_privacy::construction::INTEGER_MAX;

/// Why a text is not of a kind: code and reason.
pub type Wrong = (&'static str, Reason);

fn wrong<T>(code: &'static str, reason: impl Into<Reason>) -> Result<T, Wrong> {
    Err((code, reason.into()))
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberForm {
    /// Between whole part and fraction.
    pub decimal: char,
    /// Between groups of digits.
    pub thousands: Option<char>,
    /// Places to move the point to the right: −2 turns 分 into 元.
    pub shift: i32,
}

impl Default for NumberForm {
    fn default() -> Self {
        Self { decimal: '.', thousands: Some(','), shift: 0 }
    }
}

/// A decimal number in the commitment's form. Full-width digits, a currency sign, a percent sign (which moves the point) and an
/// exponent are understood.
///
/// # Errors
/// `uplink.number`.
pub fn decimal(text: &str, form: NumberForm) -> Result<String, Wrong> {
    let text: String = text.trim().nfkc().collect();
    let mut text = text.trim_start_matches(['¥', '￥']).trim_end_matches('元').trim();
    let mut shift = form.shift;
    if let Some(rest) = text.strip_suffix('%') {
        (text, shift) = (rest.trim_end(), shift.saturating_sub(2));
    }
    let (negative, digits) =
        text.strip_prefix('-').map_or((false, text.strip_prefix('+').unwrap_or(text)), |rest| (true, rest));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).map_or((digits, None), |(m, e)| (m, Some(e)));
    if let Some(exponent) = exponent {
        let moved: i32 = exponent.parse().or_else(|_| wrong("uplink.number", EXPONENT))?;
        shift = shift.saturating_add(moved);
    }
    let (whole, fraction) = mantissa.split_once(form.decimal).unwrap_or((mantissa, ""));
    let whole = ungrouped(whole, form.thousands)?;
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(&whole) || !is_digits(fraction) {
        return wrong("uplink.number", NUMBER);
    }
    if whole.len() + fraction.len() > DECIMAL_CHARS_MAX || shift.unsigned_abs() as usize > DECIMAL_CHARS_MAX {
        return wrong("uplink.number", DIGITS.with(&[&DECIMAL_CHARS_MAX]));
    }
    let moved = move_point(&whole, fraction, shift);
    if moved.len() > DECIMAL_CHARS_MAX {
        return wrong("uplink.number", DIGITS.with(&[&DECIMAL_CHARS_MAX]));
    }
    let is_zero = moved.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    Ok(if negative && !is_zero { format!("-{moved}") } else { moved })
}

/// Takes separators of thousands out, if they stand where thousands are.
fn ungrouped(whole: &str, thousands: Option<char>) -> Result<String, Wrong> {
    let Some(separator) = thousands.filter(|separator| whole.contains(*separator)) else { return Ok(whole.to_owned()) };
    let groups: Vec<&str> = whole.split(separator).collect();
    let (first, rest) = groups.split_first().unwrap_or((&"", &[]));
    // Four digits to a group is how 万 are counted.
    let fits = |size: usize| (1..=size).contains(&first.len()) && rest.iter().all(|group| group.len() == size);
    if fits(3) || fits(4) { Ok(groups.concat()) } else { wrong("uplink.number", THOUSANDS) }
}

fn move_point(whole: &str, fraction: &str, shift: i32) -> String {
    let digits = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).unwrap_or(0) + i64::from(shift);
    let count = i64::try_from(digits.len()).unwrap_or(0);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let (whole, fraction) = if point <= 0 {
        ("0".to_owned(), format!("{}{digits}", zeros(-point)))
    } else if point >= count {
        (format!("{digits}{}", zeros(point - count)), String::new())
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        (whole.to_owned(), fraction.to_owned())
    };
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// A whole number.
///
/// # Errors
/// `uplink.number`.
pub fn integer(text: &str, form: NumberForm) -> Result<i64, Wrong> {
    let written = decimal(text, form)?;
    let whole = match written.split_once('.') {
        None => written.as_str(),
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return wrong("uplink.number", FRACTION),
    };
    match whole.parse::<i64>() {
        Ok(number) if number.unsigned_abs() <= INTEGER_MAX.unsigned_abs() => Ok(number),
        _ => wrong("uplink.number", BEYOND.with(&[&INTEGER_MAX])),
    }
}

/// True or false as people and systems write it.
///
/// # Errors
/// `uplink.boolean`.
pub fn boolean(text: &str) -> Result<bool, Wrong> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "y" | "1" | "是" | "有" | "真" => Ok(true),
        "false" | "no" | "n" | "0" | "否" | "无" | "假" => Ok(false),
        _ => wrong("uplink.boolean", BOOLEAN),
    }
}

/// A code: 1 to 64 letters, digits and `. _ : -`.
///
/// # Errors
/// `uplink.code`.
pub fn code(text: &str) -> Result<String, Wrong> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'));
    if fits { Ok(text.to_owned()) } else { wrong("uplink.code", CODE) }
}

/// A text that a spreadsheet would run as a formula.
#[must_use]
pub fn is_formula(text: &str) -> bool {
    let mut characters = text.chars();
    match characters.next() {
        Some('=' | '@' | '\t' | '\r') => true,
        // A number or telephone number begins so too.
        Some('+' | '-') => !characters.all(|c| c.is_ascii_digit() || matches!(c, ' ' | '.' | ',' | '-' | '(' | ')')),
        _ => false,
    }
}

/// Parts of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    year: u32,
    month: u32,
    day: u32,
    /// Hour, minute, second, if a time was read.
    time: Option<[u32; 3]>,
}

/// Reads digits, at least `min` and at most `max`.
fn number(text: &mut &str, min: usize, max: usize) -> Option<u32> {
    let count = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    if count < min {
        return None;
    }
    let (digits, rest) = text.split_at(count);
    *text = rest;
    digits.parse().ok()
}

/// Reads by a pattern of `yyyy MM M dd d HH H mm ss`; everything else stands for itself.
fn by_pattern(text: &str, pattern: &str) -> Option<Parts> {
    let (mut rest, mut pattern) = (text, pattern);
    let (mut year, mut month, mut day, mut time) = (None, None, None, [None; 3]);
    while let Some(letter) = pattern.chars().next() {
        let same = pattern.chars().take_while(|c| *c == letter).count();
        let taken = if "yMdHms".contains(letter) { same } else { 1 };
        let bounds = if letter == 'y' {
            (4, 4)
        } else if taken == 1 {
            (1, 2)
        } else {
            (2, 2)
        };
        match letter {
            'y' => year = Some(number(&mut rest, bounds.0, bounds.1)?),
            'M' => month = Some(number(&mut rest, bounds.0, bounds.1)?),
            'd' => day = Some(number(&mut rest, bounds.0, bounds.1)?),
            'H' => time[0] = Some(number(&mut rest, bounds.0, bounds.1)?),
            'm' => time[1] = Some(number(&mut rest, bounds.0, bounds.1)?),
            's' => time[2] = Some(number(&mut rest, bounds.0, bounds.1)?),
            other => rest = rest.strip_prefix(other)?,
        }
        pattern = pattern.get(letter.len_utf8() * taken..)?;
    }
    if !rest.is_empty() {
        return None;
    }
    let time = time[0].map(|hour| [hour, time[1].unwrap_or(0), time[2].unwrap_or(0)]);
    Some(Parts { year: year?, month: month?, day: day?, time })
}

const DATES: &[&str] = &["yyyy-MM-dd", "yyyy/M/d", "yyyy.M.d", "yyyyMMdd", "yyyy年M月d日", "yyyy-M-d"];
const TIMES: &[&str] = &["HH:mm:ss", "HH:mm", "HHmmss", "H:mm:ss", "H:mm", "HH时mm分ss秒", "HH时mm分"];

/// Days of a month; none of a month that is not.
fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    }
}

fn is_day(parts: &Parts) -> bool {
    (1..=9999).contains(&parts.year) && (1..=days_in(parts.year, parts.month)).contains(&parts.day)
}

/// The day that it is so many minutes later.
fn day_after(parts: Parts, minutes: i32) -> Parts {
    let [hour, minute, _] = parts.time.unwrap_or([0; 3]);
    let of_day = i32::try_from(hour * 60 + minute).unwrap_or(0);
    let days = of_day.saturating_add(minutes).div_euclid(24 * 60);
    let mut day = parts;
    for _ in 0..days.unsigned_abs() {
        day = match (day.day, day.month) {
            (last, 12) if days > 0 && last == 31 => Parts { year: day.year + 1, month: 1, day: 1, ..day },
            (last, month) if days > 0 && last == days_in(day.year, month) => Parts { month: month + 1, day: 1, ..day },
            (number, _) if days > 0 => Parts { day: number + 1, ..day },
            (1, 1) => Parts { year: day.year - 1, month: 12, day: 31, ..day },
            (1, month) => Parts { month: month - 1, day: days_in(day.year, month - 1), ..day },
            (number, _) => Parts { day: number - 1, ..day },
        };
    }
    day
}

/// Minutes of an offset that [`is_offset`].
fn minutes_of(offset: &str) -> i32 {
    let two = |from: usize| offset.get(from..from + 2).and_then(|digits| digits.parse::<i32>().ok()).unwrap_or(0);
    let minutes = two(1) * 60 + two(4);
    if offset.starts_with('-') { -minutes } else { minutes }
}

fn parts(text: &str, format: Option<&str>) -> Option<Parts> {
    let parts = match format {
        Some(pattern) => by_pattern(text, pattern)?,
        None => {
            let (day, time) = match text.split_once(['T', ' ']) {
                Some((day, time)) => (day, Some(time.trim())),
                None if text.len() == 14 && text.is_ascii() => (text.get(..8)?, text.get(8..)),
                None => (text, None),
            };
            let mut parts = DATES.iter().find_map(|pattern| by_pattern(day, pattern))?;
            if let Some(time) = time {
                // Fractions of a second are not kept by most systems; RFC 3339 lets them be left out.
                let whole = match time.split_once('.') {
                    None => time,
                    Some((whole, fraction)) if !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit()) => {
                        whole
                    }
                    Some(_) => return None,
                };
                let dated =
                    |pattern: &&str| by_pattern(&format!("2000-01-01 {whole}"), &format!("yyyy-MM-dd {pattern}"));
                parts.time = Some(TIMES.iter().find_map(dated)?.time?);
            }
            parts
        }
    };
    let fits = parts.time.is_none_or(|[hour, minute, second]| hour < 24 && minute < 60 && second < 60);
    (is_day(&parts) && fits).then_some(parts)
}

/// A day as `YYYY-MM-DD`. A time of the day that is there is let go. A moment that has an offset is on the day that it is at
/// `offset`, where days are meant.
///
/// # Errors
/// `uplink.date`.
pub fn date(text: &str, format: Option<&str>, offset: Option<&str>) -> Result<String, Wrong> {
    let text = text.trim();
    let known = format.and_then(|format| parts(text, Some(format)));
    let (local, written) = if known.is_some() { (text, None) } else { split_offset(text) };
    let Some(found) = known.or_else(|| parts(local, format)) else {
        return wrong("uplink.date", DAY);
    };
    let day = match (written, offset) {
        (Some(written), Some(offset)) if found.time.is_some() => {
            day_after(found, minutes_of(offset) - minutes_of(&written))
        }
        (Some(_), None) if found.time.is_some() => {
            return wrong("uplink.date", MOMENT);
        }
        _ => found,
    };
    if !is_day(&day) {
        return wrong("uplink.date", DAY);
    }
    Ok(format!("{:04}-{:02}-{:02}", day.year, day.month, day.day))
}

/// A time as RFC 3339, in the offset it is written with, else in `offset`.
///
/// # Errors
/// `uplink.date`.
pub fn time(text: &str, format: Option<&str>, offset: Option<&str>) -> Result<String, Wrong> {
    let text = text.trim();
    let (local, written) = split_offset(text);
    let Some(offset) = written.or_else(|| offset.map(str::to_owned)) else {
        return wrong("uplink.date", NO_OFFSET);
    };
    if !is_offset(&offset) {
        return wrong("uplink.date", OFFSET);
    }
    match parts(local, format) {
        Some(Parts { year, month, day, time }) => {
            let [hour, minute, second] = time.unwrap_or([0; 3]);
            Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{offset}"))
        }
        None => wrong("uplink.date", TIME),
    }
}

/// Parts off an offset: `Z`, `+08:00`, and behind seconds `+0800` and `+08` too.
fn split_offset(text: &str) -> (&str, Option<String>) {
    if let Some(local) = text.strip_suffix('Z') {
        return (local, Some("Z".into()));
    }
    for length in [6, 5, 3] {
        let at = text.len().checked_sub(length).filter(|at| text.is_char_boundary(*at));
        let Some((local, end)) = at.map(|at| text.split_at(at)).filter(|(_, end)| end.is_ascii()) else { continue };
        let (hours, minutes) = end.split_at(3);
        let offset = match length {
            6 => end.to_owned(),
            5 => format!("{hours}:{minutes}"),
            _ => format!("{hours}:00"),
        };
        // Otherwise it may be the end of a span of hours.
        let colons = if length == 6 { 1 } else { 2 };
        if is_offset(&offset) && local.matches(':').count() >= colons {
            return (local.trim_end(), Some(offset));
        }
    }
    (text, None)
}

/// Whether a text is an offset of RFC 3339.
#[must_use]
pub fn is_offset(text: &str) -> bool {
    if text == "Z" {
        return true;
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0');
    let two = |at: usize| Some(digit(at)? * 10 + digit(at + 1)?);
    bytes.len() == 6
        && matches!(bytes.first(), Some(b'+' | b'-'))
        && bytes.get(3) == Some(&b':')
        && two(1).is_some_and(|hour| hour < 24)
        && two(4).is_some_and(|minute| minute < 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_take_the_commitments_form() {
        let plain = NumberForm::default();
        let cents = NumberForm { shift: -2, ..plain };
        let german = NumberForm { decimal: ',', thousands: Some('.'), shift: 0 };
        for (text, form, expected) in [
            ("1,234.50", plain, Ok("1234.50")),
            ("１２．５", plain, Ok("12.5")),
            ("¥ 12", plain, Ok("12")),
            ("12.30元", plain, Ok("12.30")),
            ("6%", plain, Ok("0.06")),
            ("007", plain, Ok("7")),
            (".5", plain, Ok("0.5")),
            ("-0.00", plain, Ok("0.00")),
            ("+3", plain, Ok("3")),
            ("1.5e3", plain, Ok("1500")),
            ("1e-3", plain, Ok("0.001")),
            ("1250", cents, Ok("12.50")),
            ("5", cents, Ok("0.05")),
            ("1.234,5", german, Ok("1234.5")),
            ("1,23.4", plain, Err("uplink.number")),
            ("12a", plain, Err("uplink.number")),
            ("", plain, Err("uplink.number")),
            ("1.2.3", plain, Err("uplink.number")),
            ("1e999999999", plain, Err("uplink.number")),
            ("NaN", plain, Err("uplink.number")),
        ] {
            assert_eq!(decimal(text, form).as_deref().map_err(|wrong| wrong.0), expected, "{text}");
        }
        assert_eq!(decimal(&"9".repeat(65), plain).unwrap_err().0, "uplink.number");
        assert_eq!(integer("9,007,199,254,740,991", plain), Ok(INTEGER_MAX));
        assert_eq!(integer("9007199254740992", plain).unwrap_err().0, "uplink.number");
        assert_eq!(integer("3.0", plain), Ok(3));
        assert_eq!(integer("3.5", plain).unwrap_err().0, "uplink.number");
        for text in ["-9223372036854775808", "9223372036854775807", "-9223372036854775809", "1e18"] {
            assert_eq!(integer(text, plain).unwrap_err().0, "uplink.number", "{text}");
        }
        let extreme = NumberForm { shift: i32::MIN, ..plain };
        assert_eq!(decimal("6%", extreme).unwrap_err().0, "uplink.number");
    }

    #[test]
    fn days_and_times_are_read_in_their_forms() {
        for (text, format, expected) in [
            ("2026-11-02", None, Some("2026-11-02")),
            ("2026/1/2", None, Some("2026-01-02")),
            ("2026年11月2日", None, Some("2026-11-02")),
            ("20261102", None, Some("2026-11-02")),
            ("2024-02-29", None, Some("2024-02-29")),
            ("2026-11-02 10:00", None, Some("2026-11-02")),
            ("02.11.2026", Some("dd.MM.yyyy"), Some("2026-11-02")),
            ("2026-02-29", None, None),
            ("2026-13-01", None, None),
            ("11/02/2026", None, None),
            ("", None, None),
        ] {
            assert_eq!(date(text, format, None).ok().as_deref(), expected, "{text}");
        }
        // A moment is on the day that it is where the mapping says.
        for (text, offset, expected) in [
            ("2026-10-31T16:30:00.123456+00:00", Some("+08:00"), Some("2026-11-01")),
            ("2026-12-31T16:30:00Z", Some("+08:00"), Some("2027-01-01")),
            ("2024-03-01T01:00:00+08:00", Some("Z"), Some("2024-02-29")),
            ("2026-01-01T01:00:00+08:00", Some("-03:30"), Some("2025-12-31")),
            ("2026-11-02T09:00:00+08:00", Some("+08:00"), Some("2026-11-02")),
            ("2026-10-31T16:30:00.123456+00:00", None, None),
            ("0001-01-01T01:00:00+08:00", Some("Z"), None),
            ("9999-12-31T23:00:00Z", Some("+08:00"), None),
        ] {
            assert_eq!(date(text, None, offset).ok().as_deref(), expected, "{text}");
        }
        for (text, format, offset, expected) in [
            ("2026-11-02 09:08:07", None, Some("+08:00"), Some("2026-11-02T09:08:07+08:00")),
            ("2026-11-02T09:08:07.123Z", None, Some("+08:00"), Some("2026-11-02T09:08:07Z")),
            ("2026-11-02T09:08:07-03:30", None, None, Some("2026-11-02T09:08:07-03:30")),
            ("20261102090807", None, Some("+08:00"), Some("2026-11-02T09:08:07+08:00")),
            ("2026/11/2 9:08", None, Some("+08:00"), Some("2026-11-02T09:08:00+08:00")),
            ("2-11-2026 09h08", Some("d-M-yyyy HHhmm"), Some("+08:00"), Some("2026-11-02T09:08:00+08:00")),
            ("2026-11-02T01:00:00.000+0000", None, Some("+08:00"), Some("2026-11-02T01:00:00+00:00")),
            ("2026-11-02 09:00:00.5+08", None, Some("Z"), Some("2026-11-02T09:00:00+08:00")),
            ("2026-11-02 09:08:07.12x", None, Some("+08:00"), None),
            ("2026-11-02 09:08:07.", None, Some("+08:00"), None),
            ("2026-11-02 24:00", None, Some("+08:00"), None),
            ("2026-11-02 09:08", None, None, None),
        ] {
            assert_eq!(time(text, format, offset).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn formulas_are_told_from_numbers() {
        for text in ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd", "\t=1"] {
            assert!(is_formula(text), "{text}");
        }
        for text in ["-12.5", "+86 138-0013-8000", "a=b", "", "李", "-"] {
            assert!(!is_formula(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn decimals_keep_their_value(whole in 0u64..1_000_000_000_000, fraction in "[0-9]{0,8}", negative: bool) {
            let sign = if negative { "-" } else { "" };
            let dot = if fraction.is_empty() { "" } else { "." };
            let written = format!("{sign}{whole}{dot}{fraction}");
            let read = decimal(&written, NumberForm::default()).unwrap();
            prop_assert_eq!(read.trim_start_matches('-'), written.trim_start_matches('-'));
            // There and back again.
            let up = decimal(&written, NumberForm { shift: 3, ..NumberForm::default() }).unwrap();
            let back = decimal(&up, NumberForm { shift: -3, ..NumberForm::default() }).unwrap();
            let same: f64 = back.parse().unwrap();
            prop_assert!((same - written.parse::<f64>().unwrap()).abs() < 1e-3);
        }

        #[test]
        fn nothing_makes_the_readers_of_values_panic(text in "\\PC{0,40}", format in "[yMdHms :年-]{0,12}") {
            let _ = decimal(&text, NumberForm::default());
            let _ = (date(&text, Some(&format), Some("+08:00")), date(&text, None, Some("-03:30")));
            let _ = time(&text, None, Some("+08:00"));
            let _ = (boolean(&text), code(&text), is_formula(&text));
        }
    }
}
