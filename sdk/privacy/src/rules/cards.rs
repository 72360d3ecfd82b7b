//! Payment cards and international bank accounts.

use std::{collections::BTreeMap, sync::LazyLock};

use super::check::Verdict;

/// Lengths of the numbers that begin with an issuer prefix of five to eight digits, as a set of bits.
static PREFIXES: LazyLock<BTreeMap<&'static str, u32>> = LazyLock::new(|| {
    let mut prefixes = BTreeMap::new();
    for line in include_str!("../../rules/card-prefixes.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let length = words.next().and_then(|word| word.parse::<u32>().ok()).unwrap_or(0);
        for prefix in words {
            *prefixes.entry(prefix).or_insert(0) |= 1 << (length & 31);
        }
    }
    prefixes
});

/// Countries and the length of their IBANs (ISO 13616 registry).
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 \
     ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 \
     LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 \
     RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

/// The check digit of ISO/IEC 7812-1 over a whole number.
#[must_use]
pub fn luhn(digits: &[u8]) -> bool {
    let mut sum = 0;
    for (place, byte) in digits.iter().rev().enumerate() {
        let Some(digit) = char::from(*byte).to_digit(10) else { return false };
        sum += match digit * 2 {
            doubled if place.is_multiple_of(2) => doubled / 2,
            doubled if doubled > 9 => doubled - 9,
            doubled => doubled,
        };
    }
    !digits.is_empty() && sum % 10 == 0
}

/// Luhn, and more than two different digits: `0000000000000000` and its like are not numbers of anything.
pub(super) fn varied_luhn(value: &str) -> bool {
    let digits: Vec<u8> = value.bytes().filter(|byte| !matches!(byte, b' ' | b'-')).collect();
    let kinds = digits.iter().fold(0_u16, |kinds, byte| kinds | 1 << (byte & 15));
    kinds.count_ones() > 2 && luhn(&digits)
}

/// Whether an issuer gives numbers of this length under this prefix.
#[must_use]
pub fn has_known_prefix(digits: &str) -> bool {
    let length = u32::try_from(digits.len()).unwrap_or(0) & 31;
    (5..=8).any(|end| {
        digits.get(..end).and_then(|prefix| PREFIXES.get(prefix)).is_some_and(|bits| bits >> length & 1 == 1)
    })
}

pub(super) fn card(value: &str) -> Verdict {
    let digits: String = value.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if !(13..=19).contains(&digits.len()) || !varied_luhn(&digits) {
        return Verdict::Wrong;
    }
    // One number in ten passes Luhn, and order numbers are long: without an issuer there must be a context.
    if has_known_prefix(&digits) { Verdict::Right } else { Verdict::Weak }
}

pub(super) fn iban(value: &str) -> bool {
    let text: String = value.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
    let Some((country, rest)) = text.split_at_checked(2) else { return false };
    let expected = IBAN_LENGTHS.split(' ').find_map(|entry| entry.strip_prefix(country));
    if country.len() != 2 || expected.and_then(|length| length.parse().ok()) != Some(text.len()) {
        return false;
    }
    let Some((check, account)) = rest.split_at_checked(2) else { return false };
    let mut remainder = 0;
    for c in account.chars().chain(country.chars()).chain(check.chars()) {
        let Some(digit) = c.to_digit(36) else { return false };
        remainder = (remainder * if digit > 9 { 100 } else { 10 } + digit) % 97;
    }
    remainder == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_prefixes_is_read() {
        assert!(PREFIXES.len() > 1700, "{}", PREFIXES.len());
        assert!(PREFIXES.keys().all(|prefix| (5..=8).contains(&prefix.len())));
        assert!(PREFIXES.values().all(|bits| *bits != 0 && bits & !(0x7f << 13) == 0), "lengths are 13 to 19");
    }

    #[test]
    fn a_card_needs_its_issuer_to_stand_alone() {
        for (value, expected) in [
            ("6222020300001234560", Verdict::Right),
            ("6222 0203 0000 1234 560", Verdict::Right),
            ("6222020300001234561", Verdict::Wrong),
            ("4111111111111111", Verdict::Wrong),
            ("4012888888881881", Verdict::Weak),
            ("", Verdict::Wrong),
        ] {
            assert_eq!(card(value), expected, "{value}");
        }
    }

    #[test]
    fn an_iban_has_the_length_of_its_country() {
        assert!(iban("GB82WEST12345698765432") && iban("DE89 3704 0044 0532 0130 00"));
        for wrong in ["GB82WEST1234569876543", "DE89370400440532013001", "ZZ89370400440532013000", "", "G", "账号"] {
            assert!(!iban(wrong), "{wrong}");
        }
    }
}
