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

/// What follows country and check digits in the IBANs of each country: runs of digits `n`, letters `a`, and both `c` (ISO 13616 registry,
/// issue 101).
const IBAN_FORMS: &str = "AD8n12c AE19n AL8n16c AT16n AZ4a20c BA16n BE12n BG4a6n8c BH4a14c BI23n BR23n1a1c BY4c4n16c CH5n12c CR18n CY8n16c \
     CZ20n DE18n DJ23n DK14n DO4c20n EE16n EG25n ES20n FI14n FK2a12n FO14n FR10n11c2n GB4a14n GE2a16n GI4a15c GL14n \
     GR7n16c GT24c HN4a20n HR17n HU24n IE4a14n IL19n IQ4a15n IS22n IT1a10n12c JO4a4n18c KW4a22c KZ3n13c LB4n20c \
     LC4a24c LI5n12c LT16n LU3n13c LV4a13c LY21n MC10n11c2n MD20c ME18n MK3n10c2n MN16n MR23n MT4a5n18c MU4a19n3a \
     NI4a20n NL4a10n NO11n OM3n16c PK4a16c PL24n PS4a21c PT21n QA4a21c RO4a16c RS18n RU14n15c SA2n18c SC4a20n3a SD14n \
     SE20n SI15n SK20n SM1a10n12c SO19n ST21n SV4a20n TL19n TN20n TR6n16c UA6n19c VA18n VG4a16n XK16n YE4a4n18c";

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

/// Whether a text has the form of a registry entry, as `4a14n`.
fn has_form(text: &str, form: &str) -> bool {
    let (mut rest, mut count) = (text.bytes(), 0_usize);
    for symbol in form.bytes() {
        let fits: fn(&u8) -> bool = match symbol {
            b'0'..=b'9' => {
                count = count * 10 + usize::from(symbol - b'0');
                continue;
            }
            b'n' => u8::is_ascii_digit,
            b'a' => u8::is_ascii_uppercase,
            _ => u8::is_ascii_alphanumeric,
        };
        if rest.by_ref().take(count).filter(fits).count() != count {
            return false;
        }
        count = 0;
    }
    rest.next().is_none()
}

pub(super) fn iban(value: &str) -> bool {
    let text: String = value.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
    let Some((country, rest)) = text.split_at_checked(2) else { return false };
    let Some((check, account)) = rest.split_at_checked(2) else { return false };
    let form = IBAN_FORMS.split(' ').find_map(|entry| entry.strip_prefix(country));
    if country.len() != 2 || !has_form(check, "2n") || !form.is_some_and(|form| has_form(account, form)) {
        return false;
    }
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
    fn an_iban_has_the_form_of_its_country() {
        let forms: Vec<&str> = IBAN_FORMS.split(' ').collect();
        assert!(forms.len() == 89 && forms.is_sorted() && forms.iter().all(|form| form.is_char_boundary(2)));
        assert!(iban("GB82WEST12345698765432") && iban("DE89 3704 0044 0532 0130 00"));
        for wrong in ["GB82WEST1234569876543", "DE89370400440532013001", "ZZ89370400440532013000", "", "G", "账号"] {
            assert!(!iban(wrong), "{wrong}");
        }
        // The check digits are right.
        assert!(!iban("GB37IGHZ834X3928902719") && !iban("FR9172458783X86891474436530"));
        assert!(has_form("AB12C3", "2a2n2c") && !has_form("AB12C", "2a2n2c") && !has_form("AB12C34", "2a2n2c"));
    }
}
