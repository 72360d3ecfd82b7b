//! Check digits of identity documents, organisations, vehicles and postal items.

use super::check::Verdict;

/// First two digits of a region in an identity number (GB/T 2260), with Taiwan, Hong Kong and Macao.
pub(crate) const REGIONS: &[u8] = &[
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
    64, 65, 71, 81, 82, 83,
];

/// Weights of ISO 7064 MOD 11-2 over 17 digits.
const MOD_11_2: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/// The 31 characters of GB 32100-2015: no I, O, S, V, Z.
const USCC: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const USCC_WEIGHTS: [u32; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(10)
}

/// A digit as itself, A as 10 to Z as 35.
fn base36(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(36)
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0_u32, |sum, byte| Some(sum.checked_mul(10)? + digit(*byte)?))
}

/// A calendar date from 1900 to 2100, as eight digits.
pub(super) fn is_date(bytes: &[u8]) -> bool {
    let part = |from: usize, to: usize| bytes.get(from..to).and_then(number);
    let (Some(year), Some(month), Some(day), 8) = (part(0, 4), part(4, 6), part(6, 8), bytes.len()) else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1900..=2100).contains(&year) && (1..=days).contains(&day)
}

/// The check character of 17 digits by ISO 7064 MOD 11-2.
#[must_use]
pub fn mod_11_2(digits: &[u8]) -> Option<u8> {
    if digits.len() != 17 {
        return None;
    }
    let sum: u32 =
        digits.iter().zip(MOD_11_2).map(|(byte, weight)| Some(digit(*byte)? * weight)).sum::<Option<u32>>()?;
    b"10X98765432".get(usize::try_from(sum % 11).ok()?).copied()
}

fn has_mod_11_2(bytes: &[u8]) -> bool {
    bytes.len() == 18 && mod_11_2(&bytes[..17]) == Some(bytes[17].to_ascii_uppercase())
}

fn is_region(bytes: &[u8]) -> bool {
    bytes.get(..2).and_then(number).and_then(|region| u8::try_from(region).ok()).is_some_and(|r| REGIONS.contains(&r))
}

fn without_spaces(value: &str) -> Vec<u8> {
    value.chars().filter(|c| !c.is_whitespace()).map(|c| u8::try_from(c).unwrap_or(0)).collect()
}

pub(super) fn cnid18(value: &str) -> bool {
    let bytes = without_spaces(value);
    has_mod_11_2(&bytes) && is_region(&bytes) && is_date(&bytes[6..14])
}

pub(super) fn cnid15(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() == 15 && number(&bytes[12..]).is_some() && is_region(bytes) && {
        let date: Vec<u8> = b"19".iter().chain(&bytes[6..12]).copied().collect();
        is_date(&date)
    }
}

pub(super) fn hmt(value: &str) -> bool {
    let bytes = value.as_bytes();
    has_mod_11_2(bytes) && is_date(&bytes[6..14]) && [&b"810000"[..], b"820000", b"830000"].contains(&&bytes[..6])
}

pub(super) fn frp18(value: &str) -> bool {
    let bytes = value.as_bytes();
    has_mod_11_2(bytes) && bytes[0] == b'9' && is_date(&bytes[6..14])
}

/// The check character of the first 17 characters of a unified social credit code.
#[must_use]
pub fn uscc_check(first: &[u8]) -> Option<u8> {
    if first.len() != 17 {
        return None;
    }
    let place = |byte: u8| USCC.iter().position(|known| *known == byte.to_ascii_uppercase());
    let mut sum = 0;
    for (byte, weight) in first.iter().zip(USCC_WEIGHTS) {
        sum += u32::try_from(place(*byte)?).ok()? * weight;
    }
    USCC.get(usize::try_from((31 - sum % 31) % 31).ok()?).copied()
}

pub(super) fn uscc(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() == 18 && uscc_check(&bytes[..17]) == Some(bytes[17].to_ascii_uppercase())
}

pub(super) fn org_code(value: &str) -> bool {
    let bytes: Vec<u8> = value.bytes().filter(|byte| *byte != b'-').map(|byte| byte.to_ascii_uppercase()).collect();
    if bytes.len() != 9 {
        return false;
    }
    let weights = [3, 7, 9, 10, 5, 8, 4, 2];
    let sum = bytes.iter().zip(weights).map(|(byte, weight)| Some(base36(*byte)? * weight)).sum::<Option<u32>>();
    let check = match sum.map(|sum| 11 - sum % 11) {
        Some(10) => b'X',
        Some(11) => b'0',
        Some(check) => u8::try_from(check).map_or(0, |check| b'0' + check),
        None => return false,
    };
    check == bytes[8]
}

pub(super) fn mod11_10(value: &str) -> bool {
    let Some((last, first)) = value.as_bytes().split_last().filter(|(_, first)| !first.is_empty()) else {
        return false;
    };
    let mut product = 10;
    for byte in first {
        let Some(digit) = digit(*byte) else { return false };
        let sum = match (product + digit) % 10 {
            0 => 10,
            sum => sum,
        };
        product = sum * 2 % 11;
    }
    digit(*last) == Some((11 - product) % 10)
}

/// The check character of a vehicle identification number, in whose ninth place anything may stand.
#[must_use]
pub fn vin_check(value: &[u8]) -> Option<u8> {
    if value.len() != 17 {
        return None;
    }
    let weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let number = |byte: u8| match byte.to_ascii_uppercase() {
        byte @ b'0'..=b'9' => Some(u32::from(byte - b'0')),
        byte @ b'A'..=b'H' => Some(u32::from(byte - b'A') + 1),
        byte @ b'J'..=b'N' => Some(u32::from(byte - b'J') + 1),
        b'P' => Some(7),
        b'R' => Some(9),
        byte @ b'S'..=b'Z' => Some(u32::from(byte - b'S') + 2),
        _ => None,
    };
    let sum = value.iter().zip(weights).map(|(byte, weight)| Some(number(*byte)? * weight)).sum::<Option<u32>>()?;
    Some(if sum % 11 == 10 { b'X' } else { b'0' + u8::try_from(sum % 11).ok()? })
}

/// Weak unless it has the form that manufacturers give: letters among the first eight, digits at the end. Order numbers of
/// 17 digits would pass at a rate of one in eleven.
pub(super) fn vin(value: &str) -> Verdict {
    let bytes = value.as_bytes();
    if vin_check(bytes) != Some(bytes.get(8).copied().unwrap_or(0).to_ascii_uppercase()) {
        return Verdict::Wrong;
    }
    let letters = bytes[..8].iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let is_serial = bytes[13..].iter().all(u8::is_ascii_digit);
    if letters == 0 {
        Verdict::Wrong
    } else if letters >= 2 && is_serial {
        Verdict::Right
    } else {
        Verdict::Weak
    }
}

pub(super) fn hkid(value: &str) -> bool {
    let kept = value.chars().filter(|c| !matches!(c, '(' | ')' | '（' | '）'));
    let bytes: Vec<u8> = kept.map(|c| u8::try_from(c.to_ascii_uppercase()).unwrap_or(0)).collect();
    let Some((check, body)) = bytes.split_last().filter(|(_, body)| (7..=8).contains(&body.len())) else {
        return false;
    };
    let letters = body.len() - 6;
    if !body[..letters].iter().all(u8::is_ascii_uppercase) || number(&body[letters..]).is_none() {
        return false;
    }
    // One letter stands behind a blank, which counts as 36.
    let blank = if letters == 1 { 36 * 9 } else { 0 };
    let weights = (2..=9).rev().skip(8 - body.len());
    let sum: u32 =
        blank + body.iter().zip(weights).map(|(byte, weight)| base36(*byte).unwrap_or(0) * weight).sum::<u32>();
    let expected = match (11 - sum % 11) % 11 {
        10 => b'A',
        digit => b'0' + u8::try_from(digit).unwrap_or(0),
    };
    *check == expected
}

pub(super) fn twid(value: &str) -> bool {
    /// In the order of their numbers, 10 to 35.
    const LETTERS: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let bytes = value.as_bytes();
    let (Some(first), true) = (bytes.first(), bytes.len() == 10) else { return false };
    let Some(place) = LETTERS.iter().position(|letter| *letter == first.to_ascii_uppercase()) else { return false };
    let area = u32::try_from(place).unwrap_or(0) + 10;
    let Some(digits) = bytes[1..].iter().map(|byte| digit(*byte)).collect::<Option<Vec<u32>>>() else { return false };
    let weights = [8, 7, 6, 5, 4, 3, 2, 1, 1];
    let sum = area / 10 + area % 10 * 9 + digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum::<u32>();
    sum.is_multiple_of(10)
}

pub(super) fn mrz(value: &str) -> bool {
    let bytes = value.as_bytes();
    if bytes.len() != 44 {
        return false;
    }
    let check = |from: usize, to: usize| {
        let weights = [7, 3, 1].into_iter().cycle();
        let number = |byte: u8| if byte == b'<' { Some(0) } else { base36(byte) };
        bytes[from..to].iter().zip(weights).map(|(byte, weight)| Some(number(*byte)? * weight)).sum::<Option<u32>>()
    };
    [(0, 9), (13, 19), (21, 27)]
        .into_iter()
        .all(|(from, to)| check(from, to).is_some_and(|sum| Some(sum % 10) == digit(bytes[to])))
}

pub(super) fn upu_s10(value: &str) -> bool {
    let bytes = value.as_bytes();
    let Some(digits) = bytes.get(2..11).filter(|_| bytes.len() == 13) else { return false };
    let weights = [8, 6, 4, 2, 3, 5, 9, 7];
    let sum = digits.iter().zip(weights).map(|(byte, weight)| Some(digit(*byte)? * weight)).sum::<Option<u32>>();
    let check = sum.map(|sum| match 11 - sum % 11 {
        10 => 0,
        11 => 5,
        check => check,
    });
    check.is_some() && check == digit(digits[8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, expected) in [
            ("19900228", true),
            ("20000229", true),
            ("19000229", false),
            ("20230229", false),
            ("20241301", false),
            ("20240431", false),
            ("18991231", false),
            ("2024010", false),
            ("2024010a", false),
        ] {
            assert_eq!(is_date(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn published_examples_hold() {
        assert!(cnid18("11010519491231002X") && cnid18("440524188001010014") != cnid18("11010519491231002X"));
        assert!(uscc("91110000600037341L"), "an example of python-stdnum");
        assert!(hkid("A123456(3)") && hkid("G123456(A)") && hkid("AB987654(3)") && !hkid("A123456(9)"));
        assert!(twid("A123456789") && twid("A800000014") && !twid("A123456780"));
        assert!(mrz("L898902C36UTO7408122F1204159ZE184226B<<<<<10"), "ICAO 9303 part 4");
        assert!(upu_s10("RB473124829CN") && !upu_s10("RB473124828CN"));
        assert_eq!(vin_check(b"1M8GDM9AXKP042788"), Some(b'X'), "49 CFR 565");
        assert!(org_code("71234567-8") == org_code("712345678"));
    }

    #[test]
    fn anything_else_is_refused_and_never_panics() {
        let odd = [
            "",
            "a",
            "（）",
            "身份证",
            "é",
            "123456789012345678901234567890",
            "\0",
            "A",
            "(3)",
            "-",
            "X".repeat(44).leak(),
        ];
        for value in odd {
            assert!(!cnid18(value) && !cnid15(value) && !hmt(value) && !frp18(value) && !uscc(value), "{value}");
            assert!(!org_code(value) && !hkid(value) && !twid(value) && !mrz(value) && !upu_s10(value), "{value}");
            assert_eq!(vin(value), Verdict::Wrong, "{value}");
            let _ = mod11_10(value);
        }
    }
}
