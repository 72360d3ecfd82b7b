//! The checks against libraries that others wrote, and against second implementations that go another way.

use proptest::prelude::*;
use serde::Deserialize;
use vouch_privacy::rules::{Check, Verdict};

fn holds(check: Check, value: &str) -> bool {
    check.judge(value) != Verdict::Wrong
}

#[derive(Deserialize)]
struct Vectors {
    values: Vec<(Check, String, bool)>,
}

#[test]
fn values_are_judged_as_other_libraries_do() {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/checks.json")).unwrap();
    assert!(vectors.values.len() >= 1500);
    for (check, value, expected) in vectors.values {
        assert_eq!(holds(check, &value), expected, "{check:?} {value}");
    }
}

/// Sum of digit times weight, from the text itself: no table, no early exit.
fn weighted(text: &str, weights: &[i64]) -> i64 {
    text.chars().zip(weights).map(|(c, weight)| i64::from(c.to_digit(36).unwrap()) * weight).sum()
}

/// ISO 7064 MOD 11-2 by its recursive method: doubling instead of weights.
fn mod_11_2_recursive(digits: &str) -> char {
    let product = digits.chars().fold(0, |product, c| (product + c.to_digit(10).unwrap()) * 2 % 11);
    char::from_digit((12 - product) % 11, 11).map_or('X', |c| if c == 'a' { 'X' } else { c })
}

/// A Hong Kong number holds when the whole sum, check character included, is a multiple of eleven.
fn hkid_whole(letters: &str, digits: &str, check: char) -> bool {
    let head: i64 = match letters.chars().collect::<Vec<_>>()[..] {
        [one] => 36 * 9 + i64::from(one.to_digit(36).unwrap()) * 8,
        [one, two] => i64::from(one.to_digit(36).unwrap()) * 9 + i64::from(two.to_digit(36).unwrap()) * 8,
        _ => unreachable!("one or two letters"),
    };
    (head + weighted(digits, &[7, 6, 5, 4, 3, 2]) + i64::from(check.to_digit(11).unwrap())) % 11 == 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn identity_numbers_by_the_recursive_method(days in 0_u32..36_000, sequence in 0_u32..1000, region in 110_000_u32..660_000) {
        let (year, day) = (1920 + days / 366, days % 28 + 1);
        let body = format!("{region:06}{year:04}{:02}{day:02}{sequence:03}", days % 12 + 1);
        let right = mod_11_2_recursive(&body);
        let is_region = holds(Check::Cnid18, &format!("{body}{right}"));
        for check in "0123456789X".chars() {
            prop_assert_eq!(holds(Check::Cnid18, &format!("{body}{check}")), is_region && check == right);
        }
    }

    #[test]
    fn hong_kong_numbers_by_the_whole_sum(letters in "[A-Z]{1,2}", digits in "[0-9]{6}") {
        for check in "0123456789A".chars() {
            prop_assert_eq!(holds(Check::Hkid, &format!("{letters}{digits}({check})")), hkid_whole(&letters, &digits, check));
        }
    }

    #[test]
    fn taiwan_numbers_by_the_letter_table(letter in 0_usize..26, digits in "[1289][0-9]{8}") {
        // Letter values as published, divided and summed beforehand.
        const HEADS: [i64; 26] = [1, 10, 19, 28, 37, 46, 55, 64, 39, 73, 82, 2, 11, 20, 48, 29, 38, 47, 56, 65, 74, 83, 21, 3, 12, 30];
        let name = char::from(b'A' + u8::try_from(letter).unwrap());
        let whole = HEADS[letter] + weighted(&digits, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
        prop_assert_eq!(holds(Check::Twid, &format!("{name}{digits}")), whole % 10 == 0);
    }

    #[test]
    fn postal_items_by_the_whole_sum(digits in "[0-9]{9}") {
        let (body, check) = digits.split_at(8);
        let expected = match 11 - weighted(body, &[8, 6, 4, 2, 3, 5, 9, 7]) % 11 { 10 => 0, 11 => 5, other => other };
        prop_assert_eq!(holds(Check::UpuS10, &format!("RA{digits}CN")), check.parse::<i64>().unwrap() == expected);
    }

    #[test]
    fn organisation_codes_by_the_whole_sum(body in "[0-9A-Z]{8}") {
        // With X as ten the whole sum is a multiple of eleven.
        let sum = weighted(&body, &[3, 7, 9, 10, 5, 8, 4, 2]);
        for (value, check) in "0123456789X".chars().enumerate() {
            let expected = (sum + i64::try_from(value).unwrap()) % 11 == 0;
            prop_assert_eq!(holds(Check::OrgCode, &format!("{body}-{check}")), expected);
        }
    }

    #[test]
    fn luhn_by_pairs(digits in "[0-9]{14,19}") {
        let mut sum = 0;
        for (place, c) in digits.chars().rev().enumerate() {
            let digit = c.to_digit(10).unwrap();
            sum += if place % 2 == 1 { [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][digit as usize] } else { digit };
        }
        let kinds: std::collections::BTreeSet<char> = digits.chars().collect();
        prop_assert_eq!(holds(Check::Luhn, &digits), sum % 10 == 0 && kinds.len() > 2);
    }

    #[test]
    fn business_numbers_by_trying_all(body in "[0-9]{14}") {
        let right: Vec<u32> = (0..10).filter(|digit| holds(Check::Mod1110, &format!("{body}{digit}"))).collect();
        prop_assert_eq!(right.len(), 1, "exactly one digit completes a number");
    }

    #[test]
    fn no_check_panics(value in "\\PC{0,60}") {
        for name in ["cnid18", "cnid15", "hmt", "frp18", "uscc", "org_code", "mod11_10", "luhn", "card", "vin", "hkid", "twid",
            "mrz", "iban", "upu_s10", "ipv4", "ipv6", "geo_cn", "entropy", "secret", "password", "jwt"] {
            let check: Check = serde_json::from_value(name.into()).unwrap();
            let _ = check.judge(&value);
        }
    }
}
