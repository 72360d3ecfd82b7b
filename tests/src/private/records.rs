//! Records as business systems have them, made from a seed: nobody's data, of the right form, each value found nowhere else.

use encoding_rs::GBK;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

/// Weights and check characters of a resident identity number (GB 11643).
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: &[u8; 11] = b"10X98765432";
/// Codes of counties that exist.
const COUNTIES: [&str; 8] = ["110105", "310115", "330106", "440305", "120116", "510107", "420111", "500112"];
/// First digits of cards and of mobile numbers.
const CARDS: [&str; 4] = ["622202", "621700", "622848", "621661"];
const MOBILES: [&str; 6] = ["138", "139", "150", "176", "186", "199"];

/// Makes values; the same seed makes the same ones.
#[derive(Debug, Clone)]
pub struct Records {
    rng: ChaCha8Rng,
}

impl Records {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// So many Chinese characters of everyday use (level 1 of GB 2312).
    pub fn chinese(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count * 3);
        while text.chars().count() < count {
            let bytes = [self.rng.random_range(0xb0..=0xd6), self.rng.random_range(0xa1..=0xfe)];
            let (character, _, had_errors) = GBK.decode(&bytes);
            text.push_str(if had_errors { "" } else { &character });
        }
        text
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.rng.random_range(0..10u8))).collect()
    }

    /// Letters and digits.
    pub fn word(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789"[self.rng.random_range(0..32)])).collect()
    }

    /// A name with a second, Latin spelling: long enough to be found nowhere by chance.
    pub fn name(&mut self) -> String {
        self.chinese(4)
    }

    /// A resident identity number with its check character.
    pub fn id_number(&mut self) -> String {
        let county = COUNTIES[self.rng.random_range(0..COUNTIES.len())];
        let (year, month, day) =
            (self.rng.random_range(1960..2004), self.rng.random_range(1..=12), self.rng.random_range(1..=28));
        let body = format!("{county}{year}{month:02}{day:02}{}", self.digits(3));
        let sum: u32 = body.bytes().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
        format!("{body}{}", char::from(CHECKS[(sum % 11) as usize]))
    }

    /// A bank card's number with its check digit (Luhn).
    pub fn card(&mut self) -> String {
        let body = format!("{}{}", CARDS[self.rng.random_range(0..CARDS.len())], self.digits(12));
        let doubled = |(place, digit): (usize, u8)| {
            let value = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            value / 10 + value % 10
        };
        let sum: u32 = body.bytes().rev().enumerate().map(doubled).sum();
        format!("{body}{}", (10 - sum % 10) % 10)
    }

    /// A mobile number.
    pub fn mobile(&mut self) -> String {
        let first = MOBILES[self.rng.random_range(0..MOBILES.len())];
        format!("{first}{}", self.digits(8))
    }

    /// An amount with two decimals.
    pub fn amount(&mut self) -> String {
        format!("{}.{:02}", self.rng.random_range(1_000..90_000_000u64), self.rng.random_range(0..100))
    }

    /// 32 random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.rng.random()
    }

    /// A value for a field, by its kind and name as a schema has them. Attachments are left out.
    pub fn value(&mut self, kind: &str, name: &str) -> Value {
        let date =
            |rng: &mut ChaCha8Rng| format!("2026-{:02}-{:02}", rng.random_range(1..=12), rng.random_range(1..=28));
        match kind {
            "Decimal" if name.contains("rate") => json!(format!("0.{:04}", self.rng.random_range(1..2_000))),
            "Decimal" => json!(self.amount()),
            "Integer" => json!(self.rng.random_range(1..1_000_000)),
            "Boolean" => json!(self.rng.random::<bool>()),
            "Date" => json!(date(&mut self.rng)),
            "Time" => json!(format!("{}T{:02}:30:00+08:00", date(&mut self.rng), self.rng.random_range(0..24))),
            "Code" => json!(["passed", "monthly", "stage_2", "normal"][self.rng.random_range(0..4)]),
            "Rows" => json!([
                { "item": self.chinese(5), "amount": self.amount() }, { "item": self.chinese(5), "amount": self.amount() }
            ]),
            "Attachment" => Value::Null,
            _ => json!(self.text_of(name)),
        }
    }

    fn text_of(&mut self, name: &str) -> String {
        match name {
            _ if name.contains("id_number") => self.id_number(),
            _ if name.contains("mobile") => self.mobile(),
            _ if name.contains("account") => self.card(),
            _ if name.contains("number") || name.contains("code") => self.word(14),
            _ if name.contains("name") || name.contains("contact") || name.contains("representative") => self.name(),
            _ => self.chinese(18),
        }
    }

    /// A whole record for a schema's definition: a value for each field that is no file.
    pub fn record(&mut self, definition: &Value) -> Map<String, Value> {
        let fields = definition["fields"].as_array().into_iter().flatten();
        let text = |field: &Value, key: &str| field[key].as_str().unwrap_or_default().to_owned();
        let made = fields.filter(|field| field["kind"] != "Attachment").map(|field| {
            let name = text(field, "name");
            (name.clone(), self.value(&text(field, "kind"), &name))
        });
        made.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_right_and_a_seed_repeats_itself() {
        let mut records = Records::new(7);
        for _ in 0..50 {
            let card = records.card();
            let digits = card.bytes().rev().map(|digit| u32::from(digit - b'0'));
            let sum: u32 = digits.enumerate().map(|(n, d)| if n % 2 == 1 { d * 2 / 10 + d * 2 % 10 } else { d }).sum();
            assert_eq!((sum % 10, card.len()), (0, 19));
            assert_eq!(records.id_number().len(), 18);
        }
        // The example of the standard.
        let sum: u32 = b"11010519491231002".iter().zip(WEIGHTS).map(|(d, w)| u32::from(d - b'0') * w).sum();
        assert_eq!(CHECKS[(sum % 11) as usize], b'X');
        assert_eq!(Records::new(3).chinese(9), Records::new(3).chinese(9));
        assert_ne!(Records::new(3).chinese(9), Records::new(4).chinese(9));
    }
}
