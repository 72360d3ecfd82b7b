//! Values of the same kind that belong to nobody: drawn by the key from the value, so that one value has one replacement.

use super::{DeidError, DeidKey, dates};
use crate::rules::{
    cards::luhn,
    documents::{mod_11_2, uscc_check},
};

const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗";
const GIVEN: &str = "安宁平和清明文华思远嘉树云舒若水子期青禾";

/// Kinds that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A Chinese name of two or three characters.
    Name,
    /// A mobile number within a range that is not assigned: 154.
    Mobile,
    /// A resident identity number of region 000000, which does not exist, with a check character that holds.
    IdentityNumber,
    /// A card number under the test issuer 999999 with Luhn.
    Card,
    /// An address under a province that does not exist.
    Address,
    /// A mailbox under `example.com`.
    Email,
    /// A unified social credit code of region 000000.
    CreditCode,
    /// A company name that says it is made up.
    Company,
}

/// Numbers drawn from a value.
struct Draw {
    bytes: [u8; 32],
    at: usize,
}

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        let part: Vec<u8> = self.bytes.iter().cycle().skip(self.at).take(8).copied().collect();
        self.at = (self.at + 5) % 32;
        let number = part.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        // The bias of a modulus this small against 2^64 is of no weight here.
        number % bound.max(1)
    }

    fn pick(&mut self, from: &str) -> char {
        let count = from.chars().count();
        let place = usize::try_from(self.below(u64::try_from(count).unwrap_or(1))).unwrap_or(0);
        from.chars().nth(place).unwrap_or('某')
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| self.pick("0123456789")).collect()
    }
}

/// The replacement of a value.
///
/// # Errors
/// Never for the kinds there are; the signature is that of the other algorithms.
pub fn replace(key: &DeidKey, kind: Kind, value: &str) -> Result<String, DeidError> {
    let mut draw =
        Draw { bytes: key.derive("GLC1.synthetic", &[format!("{kind:?}").as_bytes(), value.trim().as_bytes()]), at: 0 };
    Ok(match kind {
        Kind::Name => {
            let mut name = draw.pick(SURNAMES).to_string();
            for _ in 0..1 + draw.below(2) {
                name.push(draw.pick(GIVEN));
            }
            name
        }
        Kind::Mobile => format!("154{}", draw.digits(8)),
        Kind::IdentityNumber => {
            let day = dates::Date::from_days(-10_957 + i64::try_from(draw.below(20_000)).unwrap_or(0));
            let body = format!("000000{:04}{:02}{:02}{}", day.year(), day.month(), day.day(), draw.digits(3));
            let check = mod_11_2(body.as_bytes()).map_or('0', char::from);
            format!("{body}{check}")
        }
        Kind::Card => {
            let body = format!("999999{}", draw.digits(9));
            let check = (0..10).find(|digit| luhn(format!("{body}{digit}").as_bytes())).unwrap_or(0);
            format!("{body}{check}")
        }
        Kind::Address => {
            format!("虚构省样例市测试区{}{}路{}号", draw.pick(GIVEN), draw.pick(GIVEN), 1 + draw.below(999))
        }
        Kind::Email => format!("user{}@example.com", draw.digits(8)),
        Kind::CreditCode => {
            let body = format!(
                "91000000MA{}",
                (0..7).map(|_| draw.pick("0123456789ABCDEFGHJKLMNPQRTUWXY")).collect::<String>()
            );
            let check = uscc_check(body.as_bytes()).map_or('0', char::from);
            format!("{body}{check}")
        }
        Kind::Company => format!("虚构{}{}技术有限公司", draw.pick(GIVEN), draw.pick(GIVEN)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Check, Verdict};

    #[test]
    fn replacements_are_steady_and_belong_to_nobody() {
        let (key, other) = (DeidKey::new([6; 32]), DeidKey::new([7; 32]));
        for kind in [
            Kind::Name,
            Kind::Mobile,
            Kind::IdentityNumber,
            Kind::Card,
            Kind::Address,
            Kind::Email,
            Kind::CreditCode,
            Kind::Company,
        ] {
            let made = replace(&key, kind, "value").unwrap();
            assert_eq!(made, replace(&key, kind, " value ").unwrap());
            assert_ne!(made, replace(&other, kind, "value").unwrap(), "{kind:?}");
        }
        let id = replace(&key, Kind::IdentityNumber, "11010519491231002X").unwrap();
        assert_eq!((id.len(), Check::Cnid18.judge(&id)), (18, Verdict::Wrong), "the region does not exist");
        assert_eq!(mod_11_2(&id.as_bytes()[..17]), id.as_bytes().last().copied());
        assert!(luhn(replace(&key, Kind::Card, "6222020300001234560").unwrap().as_bytes()));
        assert_eq!(Check::Uscc.judge(&replace(&key, Kind::CreditCode, "x").unwrap()), Verdict::Right);
    }
}
