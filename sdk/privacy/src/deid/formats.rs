//! Format-preserving encryption with FF1 (NIST SP 800-38G): the ciphertext of a number is a number of the same form.
//!
//! Identity numbers, cards and mobile numbers keep what says what they are and encrypt the rest. A check digit is computed
//! again, or on request made wrong, so that nobody takes the result for a real number.

use aes::Aes256;
use fpe::ff1::{FF1, FlexibleNumeralString};
use serde::{Deserialize, Serialize};

use super::{Algorithm, DeidError, DeidKey, dates::Date};
use crate::rules::{
    cards::luhn,
    documents::{REGIONS, mod_11_2},
};

/// Fewest digits that are encrypted: a million values, the least the standard allows.
const DIGITS_MIN: usize = 6;

/// What is encrypted of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// All digits; other characters stay where they are.
    Digits,
    /// A mobile number of 11 digits: the first three stay.
    Mobile,
    /// A payment card: issuer and last four stay but for the digit that makes Luhn hold.
    Card,
    /// A resident identity number: region, date and sequence change together to another valid number.
    IdentityNumber,
}

fn wrong(why: &'static str) -> DeidError {
    DeidError::Value { algorithm: Algorithm::FormatPreservingEncryption, why }
}

/// One direction of FF1 over decimal digits.
struct Cipher {
    cipher: FF1<Aes256>,
    tweak: Vec<u8>,
    is_encrypting: bool,
}

impl Cipher {
    fn new(key: &DeidKey, form: Form, tweak: &[u8], is_encrypting: bool) -> Self {
        let derived = zeroize::Zeroizing::new(key.derive("GLC1.ff1", &[format!("{form:?}").as_bytes()]));
        let cipher = FF1::<Aes256>::new(&*derived, 10).expect("radix 10 is one of FF1's");
        Self { cipher, tweak: tweak.to_vec(), is_encrypting }
    }

    fn apply(&self, digits: &[u16]) -> Result<Vec<u16>, DeidError> {
        if digits.len() < DIGITS_MIN {
            return Err(wrong("at least six digits to encrypt"));
        }
        let input = FlexibleNumeralString::from(digits.to_vec());
        let output = if self.is_encrypting {
            self.cipher.encrypt(&self.tweak, &input)
        } else {
            self.cipher.decrypt(&self.tweak, &input)
        };
        output.map(Vec::<u16>::from).map_err(|_| wrong("digits that FF1 takes"))
    }
}

fn digits_of(text: &str) -> Result<Vec<u16>, DeidError> {
    let digit = |c: char| c.to_digit(10).and_then(|digit| u16::try_from(digit).ok());
    text.chars().map(digit).collect::<Option<_>>().ok_or_else(|| wrong("digits only"))
}

fn text_of(digits: &[u16]) -> String {
    digits.iter().filter_map(|digit| char::from_digit(u32::from(*digit), 10)).collect()
}

/// Encrypts a value. With `breaks_check` its check digit is wrong on purpose.
///
/// # Errors
/// [`DeidError::Value`] when it does not have the form.
pub fn encrypt(key: &DeidKey, form: Form, value: &str, breaks_check: bool) -> Result<String, DeidError> {
    let done = convert(key, form, value, true)?;
    if !breaks_check {
        return Ok(done);
    }
    match form {
        Form::IdentityNumber | Form::Card => Ok(with_other_check(&done)),
        Form::Digits | Form::Mobile => Ok(done),
    }
}

/// The value of [`encrypt`].
///
/// # Errors
/// As there.
pub fn decrypt(key: &DeidKey, form: Form, value: &str) -> Result<String, DeidError> {
    convert(key, form, value, false)
}

fn convert(key: &DeidKey, form: Form, value: &str, is_encrypting: bool) -> Result<String, DeidError> {
    match form {
        Form::Digits => {
            let cipher = Cipher::new(key, form, b"", is_encrypting);
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            let mut done = text_of(&cipher.apply(&digits_of(&digits)?)?).into_bytes().into_iter();
            let put = |c: char| if c.is_ascii_digit() { done.next().map_or(c, char::from) } else { c };
            Ok(value.chars().map(put).collect())
        }
        Form::Mobile => {
            let (head, tail) =
                value.split_at_checked(3).filter(|_| value.len() == 11).ok_or_else(|| wrong("eleven digits"))?;
            digits_of(head)?;
            let cipher = Cipher::new(key, form, head.as_bytes(), is_encrypting);
            Ok(format!("{head}{}", text_of(&cipher.apply(&digits_of(tail)?)?)))
        }
        Form::Card => card(key, value, is_encrypting),
        Form::IdentityNumber => identity_number(key, value, is_encrypting),
    }
}

/// Issuer and last four stay; what is between is walked until Luhn holds for the whole. Both directions walk within the
/// numbers for which it holds, so each comes back to where it began.
fn card(key: &DeidKey, value: &str, is_encrypting: bool) -> Result<String, DeidError> {
    digits_of(value)?;
    if !(16..=19).contains(&value.len()) {
        return Err(wrong("a card number of 16 to 19 digits"));
    }
    // Only numbers with their check digit are encrypted, so one without was broken on purpose.
    let mended = if !is_encrypting && !luhn(value.as_bytes()) { with_last(value, 9) } else { value.to_owned() };
    if !luhn(mended.as_bytes()) {
        return Err(wrong("a card number with its check digit"));
    }
    let (head, rest) = mended.split_at(6);
    let (middle, tail) = rest.split_at(rest.len() - 4);
    let cipher = Cipher::new(key, Form::Card, format!("{head}{tail}").as_bytes(), is_encrypting);
    let mut digits = digits_of(middle)?;
    loop {
        digits = cipher.apply(&digits)?;
        let done = format!("{head}{}{tail}", text_of(&digits));
        if luhn(done.as_bytes()) {
            return Ok(done);
        }
    }
}

/// Region, date and sequence as one number of 14 digits, walked until it is within their range again, with a new check
/// character. One number in four is.
fn identity_number(key: &DeidKey, value: &str, is_encrypting: bool) -> Result<String, DeidError> {
    let body = value.get(..17).filter(|_| value.len() == 18).ok_or_else(|| wrong("a resident identity number"))?;
    // The check character is not part of what is encrypted, so a broken one changes nothing.
    let mut rank = rank_of(body).ok_or_else(|| wrong("a resident identity number"))?;
    let cipher = Cipher::new(key, Form::IdentityNumber, b"", is_encrypting);
    loop {
        let digits = cipher.apply(&digits_of(&format!("{rank:014}"))?)?;
        rank = text_of(&digits).parse().map_err(|_| wrong("a resident identity number"))?;
        if let Some(body) = body_of(rank) {
            let check = mod_11_2(body.as_bytes()).ok_or_else(|| wrong("a resident identity number"))?;
            return Ok(format!("{body}{}", char::from(check)));
        }
    }
}

/// Days of 1900 to 2100, which identity numbers may name.
const DAYS: u64 = 73_414;

/// Place of the first 17 digits among all that are possible.
fn rank_of(body: &str) -> Option<u64> {
    let part =
        |from: usize, to: usize| body.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let region: u8 = part(0, 2)?.parse().ok()?;
    let region = u64::try_from(REGIONS.iter().position(|known| *known == region)?).ok()?;
    let [year, month, day] = [part(6, 10)?, part(10, 12)?, part(12, 14)?];
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
    let day = u64::try_from(date.days() - first_day()).ok().filter(|day| *day < DAYS)?;
    let (place, sequence): (u64, u64) = (part(2, 6)?.parse().ok()?, part(14, 17)?.parse().ok()?);
    Some(((region * 10_000 + place) * DAYS + day) * 1_000 + sequence)
}

/// The first 17 digits at a place; nothing beyond the last.
fn body_of(rank: u64) -> Option<String> {
    let (rest, sequence) = (rank / 1_000, rank % 1_000);
    let (rest, day) = (rest / DAYS, rest % DAYS);
    let (region, place) = (rest / 10_000, rest % 10_000);
    let region = REGIONS.get(usize::try_from(region).ok()?)?;
    let date = Date::from_days(first_day() + i64::try_from(day).ok()?);
    Some(format!("{region:02}{place:04}{:04}{:02}{:02}{sequence:03}", date.year(), date.month(), date.day()))
}

fn first_day() -> i64 {
    Date::new(1900, 1, 1).map_or(0, Date::days)
}

/// The value with its last digit moved on by so many, round the ten digits.
fn with_last(value: &str, by: u8) -> String {
    let (body, last) = value.split_at(value.len() - 1);
    format!("{body}{}", (last.parse::<u8>().unwrap_or(0) + by) % 10)
}

/// The value with another last character, so that no check holds.
fn with_other_check(value: &str) -> String {
    value.strip_suffix('X').map_or_else(|| with_last(value, 1), |body| format!("{body}0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Check, Verdict};
    use proptest::prelude::*;

    const KEY: DeidKey = DeidKey::new([5; 32]);

    #[test]
    fn ff1_gives_the_samples_of_the_standard() {
        // SP 800-38G, FF1 samples 7 and 8: AES-256, radix 10.
        let hex = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94";
        let key: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect();
        let cipher = FF1::<Aes256>::new(&key, 10).unwrap();
        for (tweak, expected) in
            [(&b""[..], "6657667009"), (&[0x39, 0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31, 0x30], "1001623463")]
        {
            let input = FlexibleNumeralString::from(digits_of("0123456789").unwrap());
            let output = Vec::<u16>::from(cipher.encrypt(tweak, &input).unwrap());
            assert_eq!(text_of(&output), expected);
        }
    }

    #[test]
    fn numbers_stay_what_they_are_and_come_back() {
        for (form, value) in [
            (Form::Mobile, "13812345678"),
            (Form::Card, "6222020300001234560"),
            (Form::Card, "4012888888881881"),
            (Form::IdentityNumber, "11010519491231002X"),
            (Form::Digits, "HT-2024-000123"),
        ] {
            let done = encrypt(&KEY, form, value, false).unwrap();
            assert_ne!(done, value);
            assert_eq!(done.len(), value.len());
            assert_eq!(decrypt(&KEY, form, &done).unwrap(), value, "{form:?}");
            match form {
                Form::Mobile => assert_eq!(done[..3], value[..3]),
                Form::Card => assert!(
                    luhn(done.as_bytes()) && done[..6] == value[..6] && done.ends_with(&value[value.len() - 4..])
                ),
                Form::IdentityNumber => assert_eq!(Check::Cnid18.judge(&done), Verdict::Right),
                Form::Digits => assert!(done.starts_with("HT-")),
            }
        }
    }

    #[test]
    fn a_broken_check_cannot_be_taken_for_a_number() {
        let id = encrypt(&KEY, Form::IdentityNumber, "11010519491231002X", true).unwrap();
        assert_eq!(Check::Cnid18.judge(&id), Verdict::Wrong);
        assert_eq!(decrypt(&KEY, Form::IdentityNumber, &id).unwrap(), "11010519491231002X");
        let card = encrypt(&KEY, Form::Card, "6222020300001234560", true).unwrap();
        assert!(!luhn(card.as_bytes()));
        assert_eq!(decrypt(&KEY, Form::Card, &card).unwrap(), "6222020300001234560");
    }

    #[test]
    fn other_forms_are_refused() {
        for (form, value) in [
            (Form::Mobile, "1381234567"),
            (Form::Mobile, "138a2345678"),
            (Form::Card, "62220203"),
            (Form::Card, "622202030000123456号"),
            (Form::Card, "6222020300001234561"),
            (Form::IdentityNumber, "110105194913310021"),
            (Form::IdentityNumber, "990105194912310021"),
            (Form::IdentityNumber, "身份证号码身份"),
            (Form::Digits, "12345"),
            (Form::Digits, ""),
        ] {
            assert_eq!(encrypt(&KEY, form, value, false).unwrap_err().code(), "deid.value", "{form:?} {value}");
        }
    }

    #[test]
    fn ranks_and_bodies_are_one_to_one() {
        let last = 35 * 10_000 * DAYS * 1_000 - 1;
        for rank in [0, 1, 999, 1_000, last / 3, last] {
            assert_eq!(rank_of(&body_of(rank).unwrap()), Some(rank));
        }
        assert_eq!(body_of(last + 1), None);
        assert_eq!(body_of(last).unwrap(), "83999921001231999");
    }

    proptest! {
        #[test]
        fn digits_come_back(value in "[0-9]{6,30}") {
            let done = encrypt(&KEY, Form::Digits, &value, false).unwrap();
            prop_assert_eq!(decrypt(&KEY, Form::Digits, &done).unwrap(), value);
        }
    }
}
