//! Forms of texts that stand for something else: decimals, days, times.

/// Longest decimal, in characters.
const DECIMAL_BYTES_MAX: usize = 64;

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?`, and no minus before nothing but zeros.
pub(crate) fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
    text.len() <= DECIMAL_BYTES_MAX
        && is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && !(is_zero && text.starts_with('-'))
}

/// A day that the calendar has, as `YYYY-MM-DD`.
pub(crate) fn is_date(text: &str) -> bool {
    let b = text.as_bytes();
    if b.len() != 10 || b[4] != b'-' || b[7] != b'-' {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (number(b, 0, 4), number(b, 5, 7), number(b, 8, 10)) else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// A time of RFC 3339 with `T`, seconds, an optional fraction of up to nine digits, and `Z` or an offset.
pub(crate) fn is_time(text: &str) -> bool {
    let Some((date, rest)) = text.split_once('T') else { return false };
    let b = rest.as_bytes();
    let below = |from: usize, limit: u32| number(b, from, from + 2).is_some_and(|value| value < limit);
    // A leap second is written as 60; which days have one is not known here.
    if !is_date(date) || b.len() < 9 || b[2] != b':' || b[5] != b':' || !below(0, 24) || !below(3, 60) || !below(6, 61)
    {
        return false;
    }
    let fraction = match b[8] {
        b'.' => b[9..].iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let after_fraction = match (b[8] == b'.', fraction) {
        (false, _) => 8,
        (true, 1..=9) => 9 + fraction,
        (true, _) => return false,
    };
    match &b[after_fraction..] {
        [b'Z'] => true,
        [b'+' | b'-', _, _, b':', _, _] => below(after_fraction + 1, 24) && below(after_fraction + 4, 60),
        _ => false,
    }
}

fn number(bytes: &[u8], from: usize, to: usize) -> Option<u32> {
    bytes
        .get(from..to)?
        .iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        good.iter().for_each(|text| assert!(is(text), "{text}"));
        bad.iter().for_each(|text| assert!(!is(text), "{text}"));
    }

    #[test]
    fn forms() {
        check(
            is_decimal,
            &["0", "1234.56", "-0.10", "10"],
            &["", "-0", "-0.00", "01", ".5", "5.", "1e3", "1,0", "+1", "１"],
        );
        check(
            is_date,
            &["2024-02-29", "2000-02-29", "2026-12-31"],
            &[
                "2023-02-29",
                "1900-02-29",
                "2026-13-01",
                "2026-00-10",
                "2026-04-31",
                "2026-4-1",
                "2026/04/01",
                "二〇二六年一",
            ],
        );
        check(
            is_time,
            &["2026-05-01T00:00:00Z", "2026-05-01T23:59:60+08:00", "2026-05-01T12:30:00.123456789-03:30"],
            &[
                "2026-05-01",
                "2026-05-01T24:00:00Z",
                "2026-05-01T12:00Z",
                "2026-05-01T12:00:00",
                "2026-05-01T12:00:00.Z",
                "2026-05-01t12:00:00z",
                "2026-05-01T12:00:00+8:00",
                "2026-05-01T12:00:00+08:60",
                "2026-05-01T12:00:00.1234567890Z",
            ],
        );
    }
}
