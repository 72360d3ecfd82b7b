//! Checks on a value that a pattern has matched: check digits, dates, ranges, and what a secret looks like.
//!
//! A check is handed text that the rule's pattern has matched already, so most of the shape is known; a check never
//! relies on that and answers [`Verdict::Wrong`] to anything else, the empty text included.

use core::net::{Ipv4Addr, Ipv6Addr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{cards, documents};

/// What a check says of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not such a value.
    Wrong,
    /// The check digit holds, but so many other numbers have one that this alone says little: a context is needed.
    Weak,
    /// Such a value.
    Right,
}

impl From<bool> for Verdict {
    fn from(is_right: bool) -> Self {
        if is_right { Self::Right } else { Self::Wrong }
    }
}

/// The checks a rule may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Check {
    /// Resident identity number of 18 characters (GB 11643-1999): region, date of birth, ISO 7064 MOD 11-2.
    Cnid18,
    /// Resident identity number of 15 digits: region and date of birth; it has no check digit.
    Cnid15,
    /// Residence permit of Hong Kong, Macao and Taiwan residents: as 18, prefixes 810000, 820000, 830000.
    Hmt,
    /// Permanent resident identity card of foreigners, 18 characters.
    Frp18,
    /// Unified social credit code (GB 32100-2015, modulus 31).
    Uscc,
    /// Organisation code (GB 11714-1997, modulus 11).
    OrgCode,
    /// ISO 7064 MOD 11,10: business registration numbers (GS 15-2006) and bank branch numbers (CNAPS).
    #[serde(rename = "mod11_10")]
    Mod1110,
    /// ISO/IEC 7812-1 check digit over digits that are not all of two kinds.
    Luhn,
    /// Payment card: Luhn and, to count without a context, a known issuer prefix of the right length.
    Card,
    /// Vehicle identification number (GB 16735-2019, ISO 3779) with its check character.
    Vin,
    /// Hong Kong identity card.
    Hkid,
    /// Taiwan national identification number.
    Twid,
    /// Second line of a passport's machine-readable zone (ICAO 9303, TD3).
    Mrz,
    /// IBAN: form of its country, ISO 7064 MOD 97-10.
    Iban,
    /// Postal item (UPU S10).
    UpuS10,
    /// IPv4 address of a host.
    Ipv4,
    /// IPv6 address of a host.
    Ipv6,
    /// Two coordinates of which, in one order, both lie within China and its surroundings.
    GeoCn,
    /// At least two digits: an identifier and not a word.
    Digits,
    /// At least three bits of entropy per character.
    Entropy,
    /// A value behind the last separator that looks drawn at random, not like a word of a program.
    Secret,
    /// A value behind the last separator that looks like a password, not like a word of a program.
    Password,
    /// JSON web token: the first part decodes to a header that names an algorithm.
    Jwt,
}

impl Check {
    /// Whether the check computes a check digit: the rules whose recall is promised.
    #[must_use]
    pub const fn is_checksum(self) -> bool {
        matches!(
            self,
            Self::Cnid18
                | Self::Hmt
                | Self::Frp18
                | Self::Uscc
                | Self::OrgCode
                | Self::Mod1110
                | Self::Luhn
                | Self::Card
                | Self::Vin
                | Self::Hkid
                | Self::Twid
                | Self::Mrz
                | Self::Iban
                | Self::UpuS10
        )
    }

    /// Judges a value.
    #[must_use]
    pub fn judge(self, value: &str) -> Verdict {
        match self {
            Self::Cnid18 => documents::cnid18(value).into(),
            Self::Cnid15 => documents::cnid15(value).into(),
            Self::Hmt => documents::hmt(value).into(),
            Self::Frp18 => documents::frp18(value).into(),
            Self::Uscc => documents::uscc(value).into(),
            Self::OrgCode => documents::org_code(value).into(),
            Self::Mod1110 => documents::mod11_10(value).into(),
            Self::Luhn => cards::varied_luhn(value).into(),
            Self::Card => cards::card(value),
            Self::Vin => documents::vin(value),
            Self::Hkid => documents::hkid(value).into(),
            Self::Twid => documents::twid(value).into(),
            Self::Mrz => documents::mrz(value).into(),
            Self::Iban => cards::iban(value).into(),
            Self::UpuS10 => documents::upu_s10(value).into(),
            Self::Ipv4 => ipv4(value).into(),
            Self::Ipv6 => ipv6(value).into(),
            Self::GeoCn => geo_cn(value).into(),
            Self::Digits => (count(value, u8::is_ascii_digit) >= 2).into(),
            Self::Entropy => has_entropy(value.as_bytes()).into(),
            Self::Secret => secret(value).into(),
            Self::Password => password(value).into(),
            Self::Jwt => jwt(value).into(),
        }
    }
}

fn ipv4(value: &str) -> bool {
    value
        .parse::<Ipv4Addr>()
        .is_ok_and(|address| !(address.is_unspecified() || address.is_broadcast() || address == Ipv4Addr::LOCALHOST))
}

fn ipv6(value: &str) -> bool {
    value.parse::<Ipv6Addr>().is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
}

/// Degrees in millionths, so that nothing is rounded.
fn millionths(text: &str) -> Option<i64> {
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.')?;
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.len() > 4 {
        return None;
    }
    let six: String = fraction.chars().chain(core::iter::repeat('0')).take(6).collect();
    let value = whole.parse::<i64>().ok()? * 1_000_000 + six.parse::<i64>().ok()?;
    Some(if is_negative { -value } else { value })
}

fn geo_cn(value: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    let mut numbers = value.split(|c| !is_part(c)).filter(|part| !part.is_empty()).map(millionths);
    let (Some(Some(first)), Some(Some(second))) = (numbers.next(), numbers.next()) else { return false };
    let (longitude, latitude) = (73_000_000..=136_000_000, 3_000_000..=54_000_000);
    (longitude.contains(&first) && latitude.contains(&second))
        || (longitude.contains(&second) && latitude.contains(&first))
}

/// log2(n) in 1/65536 for n from 1 to 2^16, from below; exact for powers of two.
fn log2_fixed(n: u64) -> u64 {
    // Square and compare: each round yields one binary digit of the logarithm.
    let whole = u64::from(n.max(1).ilog2());
    let mut mantissa = (n.max(1) << 31) >> whole;
    let mut fraction = 0;
    for _ in 0..16 {
        mantissa = (mantissa * mantissa) >> 31;
        fraction <<= 1;
        if mantissa >= 2 << 31 {
            mantissa >>= 1;
            fraction |= 1;
        }
    }
    (whole << 16) | fraction
}

/// Whether the bytes hold at least three bits of Shannon entropy each. At most the first 65,536 are looked at.
fn has_entropy(bytes: &[u8]) -> bool {
    let bytes = bytes.get(..1 << 16).unwrap_or(bytes);
    let mut counts = [0_u64; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let n = bytes.len() as u64;
    // n·H = n·log2(n) − Σ c·log2(c)
    let spread: u64 = counts.iter().filter(|count| **count > 0).map(|count| count * log2_fixed(*count)).sum();
    n > 0 && (n * log2_fixed(n)).saturating_sub(spread) >= (3 * n) << 16
}

/// The part behind the last separator of an assignment.
fn assigned(value: &str) -> &str {
    let after =
        value.rsplit(['：', ':', ' ', '\t', '"', '\'', '是', '为']).find(|part| !part.is_empty()).unwrap_or(value);
    // A value may end with `=` or hold one; a name cannot.
    after.split_once('=').filter(|(name, rest)| !rest.is_empty() && is_word(name)).map_or(after, |(_, rest)| rest)
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

fn count(text: &str, is_kind: impl Fn(&u8) -> bool) -> usize {
    text.bytes().filter(|byte| is_kind(byte)).count()
}

fn secret(value: &str) -> bool {
    let value = assigned(value);
    value.len() >= 16
        && count(value, u8::is_ascii_digit) >= 2
        && count(value, u8::is_ascii_alphabetic) >= 2
        && has_entropy(value.as_bytes())
}

fn password(value: &str) -> bool {
    let value = assigned(value);
    let digits = count(value, u8::is_ascii_digit);
    let is_mixed = digits > 0 && digits < value.len();
    value.len() >= 6 && !value.contains(['(', ')']) && (is_mixed || digits == value.len())
}

fn jwt(value: &str) -> bool {
    let header = value.split_once('.').and_then(|(header, _)| URL_SAFE_NO_PAD.decode(header).ok());
    header.is_some_and(|bytes| bytes.windows(5).any(|window| window == b"\"alg\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_the_library() {
        for n in 1..=65_536_u64 {
            let expected = (n as f64).log2() * 65_536.0;
            let found = log2_fixed(n) as f64;
            assert!(found <= expected + 0.5 && expected - found < 2.0, "{n}: {found} {expected}");
        }
    }

    #[test]
    fn coordinates_count_within_china_only() {
        for (value, expected) in [
            ("117.201538,39.085294", true),
            ("39.0852，117.2015", true),
            ("2.352200,48.856600", false),
            ("139.6917,35.6895", false),
            ("117.201538", false),
            ("", false),
        ] {
            assert_eq!(geo_cn(value), expected, "{value}");
        }
    }

    #[test]
    fn words_of_programs_are_no_secrets() {
        for (value, is_secret, is_password) in [
            ("api_key=sk_test_4eC39HqLyjWDarjtT1zdp7dc", true, true),
            ("access_token = get_access_token_from_request", false, false),
            ("secret: \"aaaaaaaaaaaaaaaaaaaa\"", false, false),
            ("password=Tr0ub4dor&3", false, true),
            ("密码是Abc12345", false, true),
            ("password: string", false, false),
            ("pwd = os.getcwd()", false, false),
            ("pwd: 12345678", false, true),
        ] {
            assert_eq!(secret(value), is_secret, "{value}");
            assert_eq!(password(value), is_password, "{value}");
        }
    }

    #[test]
    fn only_a_header_with_an_algorithm_is_a_token() {
        assert!(jwt("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x"));
        assert!(!jwt("eyJmb28iOiJiYXIifQ.eyJzdWIiOiIxIn0.x"));
        assert!(!jwt("eyJhbGciOiJIUzI1NiJ9") && !jwt(""));
    }
}
