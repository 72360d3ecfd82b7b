//! Dates: read as they stand in documents, made coarser, or moved by a number of days that is one subject's own.

use serde::{Deserialize, Serialize};

use super::{Algorithm, DeidError, DeidKey};

/// A day of the Gregorian calendar from 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A day, if there is one of that name.
    #[must_use]
    pub const fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if year == 0 || year > 9999 || day == 0 || day > days { None } else { Some(Self { year, month, day }) }
    }

    /// The year.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The month, from 1.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, from 1.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01, after Howard Hinnant's `days_from_civil`.
    #[must_use]
    pub fn days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// The day so many days after 1970-01-01, held within the years 1 to 9999.
    #[must_use]
    pub fn from_days(days: i64) -> Self {
        let z = days.clamp(-719_162, 2_932_896) + 719_468;
        let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let place = (5 * of_year + 2) / 153;
        let day = of_year - (153 * place + 2) / 5 + 1;
        let month = if place < 10 { place + 3 } else { place - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let small = |number: i64| u8::try_from(number).unwrap_or(1);
        Self { year: u16::try_from(year).unwrap_or(1), month: small(month), day: small(day) }
    }
}

/// A date in a text, and how it is written.
struct Written<'a> {
    date: Date,
    /// What stands before, between, between, behind.
    parts: [&'a str; 4],
    widths: [usize; 3],
}

/// Finds the first date: `2024-03-07`, `2024/3/7`, `2024.03.07`, `2024年3月7日`, `20240307`.
fn find(text: &str) -> Option<Written<'_>> {
    let bytes = text.as_bytes();
    for start in 0..bytes.len() {
        let is_inside = start > 0 && bytes[start - 1].is_ascii_digit();
        if !is_inside
            && bytes[start].is_ascii_digit()
            && let Some(written) = at(text, start)
        {
            return Some(written);
        }
    }
    None
}

fn at(text: &str, start: usize) -> Option<Written<'_>> {
    let digits = |from: usize| text.get(from..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let number = |from: usize, length: usize| text.get(from..from + length).and_then(|part| part.parse::<u16>().ok());
    let make = |year: Option<u16>, month: Option<u16>, day: Option<u16>| {
        Date::new(year?, u8::try_from(month?).ok()?, u8::try_from(day?).ok()?)
    };
    let first = digits(start);
    if first == 8 {
        let date = make(number(start, 4), number(start + 4, 2), number(start + 6, 2))?;
        return Some(Written { date, parts: [text.get(..start)?, "", "", text.get(start + 8..)?], widths: [4, 2, 2] });
    }
    if first != 4 {
        return None;
    }
    let separator = |from: usize| {
        text.get(from..).and_then(|rest| rest.chars().next()).filter(|c| matches!(c, '-' | '/' | '.' | '年' | '月'))
    };
    let (one, month_at) = separator(start + 4).map(|c| (c, start + 4 + c.len_utf8()))?;
    let months = digits(month_at);
    let (two, day_at) = separator(month_at + months).map(|c| (c, month_at + months + c.len_utf8()))?;
    let days = digits(day_at);
    let fits = matches!((one, two), ('-', '-') | ('/', '/') | ('.', '.') | ('年', '月'));
    if !fits || !(1..=2).contains(&months) || !(1..=2).contains(&days) {
        return None;
    }
    let date = make(number(start, 4), number(month_at, months), number(day_at, days))?;
    let parts = [
        text.get(..start)?,
        text.get(start + 4..month_at)?,
        text.get(month_at + months..day_at)?,
        text.get(day_at + days..)?,
    ];
    Some(Written { date, parts, widths: [4, months, days] })
}

impl Written<'_> {
    /// The text with another date in the same writing. Numbers of one digit stay so where they can.
    fn with(&self, date: Date) -> String {
        let [before, one, two, behind] = self.parts;
        let [_, months, days] = self.widths;
        let number = |value: u8, width: usize| if width == 1 { value.to_string() } else { format!("{value:02}") };
        format!("{before}{:04}{one}{}{two}{}{behind}", date.year, number(date.month, months), number(date.day, days))
    }
}

/// How coarse a date becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coarseness {
    /// `2024-03`.
    Month,
    /// `2024-Q1`.
    Quarter,
    /// `2024`.
    Year,
    /// `2020-2029`.
    Decade,
}

/// A date made coarser.
///
/// # Errors
/// [`DeidError::Value`] when there is no date.
pub fn generalise(value: &str, to: Coarseness) -> Result<String, DeidError> {
    let date = find(value).ok_or(DeidError::Value { algorithm: Algorithm::DateGeneralisation, why: "a date" })?.date;
    let (year, month) = (date.year, date.month);
    Ok(match to {
        Coarseness::Month => format!("{year:04}-{month:02}"),
        Coarseness::Quarter => format!("{year:04}-Q{}", (month - 1) / 3 + 1),
        Coarseness::Year => format!("{year:04}"),
        Coarseness::Decade => format!("{:04}-{:04}", year / 10 * 10, year / 10 * 10 + 9),
    })
}

/// By how many days a subject's dates move: −182 to 182, never 0.
#[must_use]
pub fn offset(key: &DeidKey, subject: &str) -> i64 {
    let mac = key.derive("GLC1.dates", &[subject.as_bytes()]);
    let drawn = u64::from_be_bytes([mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], mac[6], mac[7]]);
    let offset = i64::try_from(drawn % 364).unwrap_or(0) - 182;
    if offset >= 0 { offset + 1 } else { offset }
}

/// Moves a date by its subject's number of days, so that what lies between two dates of one subject stays what it is.
///
/// # Errors
/// [`DeidError::Value`] when there is no date.
pub fn shift(key: &DeidKey, subject: &str, value: &str) -> Result<String, DeidError> {
    move_by(offset(key, subject), value)
}

/// The date of [`shift`].
///
/// # Errors
/// As there.
pub fn unshift(key: &DeidKey, subject: &str, value: &str) -> Result<String, DeidError> {
    move_by(-offset(key, subject), value)
}

fn move_by(days: i64, value: &str) -> Result<String, DeidError> {
    let written = find(value).ok_or(DeidError::Value { algorithm: Algorithm::DateShift, why: "a date" })?;
    Ok(written.with(Date::from_days(written.date.days() + days)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: DeidKey = DeidKey::new([4; 32]);

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (date, days) in
            [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((1900, 1, 1), -25_567), ((2100, 12, 31), 47_846)]
        {
            let date = Date::new(date.0, date.1, date.2).unwrap();
            assert_eq!(date.days(), days);
            assert_eq!(Date::from_days(days), date);
        }
        assert_eq!([Date::new(2023, 2, 29), Date::new(2023, 13, 1), Date::new(2023, 4, 31)], [None; 3]);
    }

    #[test]
    fn dates_become_coarser() {
        for (value, to, expected) in [
            ("1990-03-07", Coarseness::Month, "1990-03"),
            ("出生于1985年11月22日", Coarseness::Quarter, "1985-Q4"),
            ("19850101", Coarseness::Year, "1985"),
            ("1985/1/9 12:00", Coarseness::Decade, "1980-1989"),
        ] {
            assert_eq!(generalise(value, to).unwrap(), expected);
        }
        for wrong in ["", "1990-13-07", "120101199003070134", "1990-03", "1990年3-7"] {
            assert_eq!(generalise(wrong, Coarseness::Year).unwrap_err().code(), "deid.value", "{wrong}");
        }
    }

    #[test]
    fn a_subject_has_one_offset() {
        let offsets: Vec<i64> = (0..2000).map(|number| offset(&KEY, &number.to_string())).collect();
        assert!(offsets.iter().all(|offset| (-182..=182).contains(offset) && *offset != 0));
        assert!(offsets.contains(&-182) && offsets.contains(&182));
        assert_eq!(offset(&KEY, "7"), offsets[7]);
    }

    proptest! {
        #[test]
        fn shifted_dates_keep_their_writing_and_come_back(days in 0_i64..40_000, style in 0_usize..5, subject in "[a-z]{1,8}") {
            let date = Date::from_days(days);
            let (y, m, d) = (date.year(), date.month(), date.day());
            let text = [format!("{y:04}-{m:02}-{d:02}T08:00"), format!("{y:04}/{m:02}/{d:02}"), format!("于{y}年{m:02}月{d:02}日"), format!("{y:04}{m:02}{d:02}"), format!("{y}.{m:02}.{d:02}")][style].clone();
            let moved = shift(&KEY, &subject, &text).unwrap();
            prop_assert_ne!(&moved, &text);
            prop_assert_eq!(unshift(&KEY, &subject, &moved).unwrap(), text);
        }
    }
}
