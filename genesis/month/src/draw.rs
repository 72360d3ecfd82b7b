//! Values: names by the `fake` package, numbers that belong to nobody by the engine for sensitive data.

use std::collections::BTreeSet;

use fake::{
    Fake as _,
    faker::{address::raw::StreetName, company::raw::CompanyName, name::raw::Name},
    locales::ZH_CN,
    rand::RngExt as _,
};
use vouch_privacy::{
    SeededRng,
    deid::{DeidKey, synthetic},
};

use crate::MonthError;

pub(crate) use synthetic::Kind;

/// Milliseconds are not kept by the systems of the sample; a second since the month began is the unit of time.
const DAY: u32 = 86_400;

/// Draws values; the same seed draws the same.
pub(crate) struct Draw {
    rng: SeededRng,
    key: DeidKey,
    used: BTreeSet<String>,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self { rng: SeededRng::from_seed(&bytes), key: DeidKey::new(bytes), used: BTreeSet::new() }
    }

    /// A number from 0, below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.rng.random_range(0..bound.max(1))
    }

    pub(crate) fn of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn name(&mut self) -> String {
        Name(ZH_CN).fake_with_rng(&mut self.rng)
    }

    pub(crate) fn company(&mut self) -> String {
        let name: String = CompanyName(ZH_CN).fake_with_rng(&mut self.rng);
        format!("{}有限公司", name.replace(' ', ""))
    }

    pub(crate) fn address(&mut self) -> String {
        let street: String = StreetName(ZH_CN).fake_with_rng(&mut self.rng);
        let (number, room) = (self.below(300) + 1, self.below(2_000) + 101);
        format!("示例省示例市{}{number}号{room}室", street.replace(' ', ""))
    }

    /// A number of a kind that was not drawn before.
    pub(crate) fn unique(&mut self, kind: Kind) -> Result<String, MonthError> {
        loop {
            let salt = self.rng.random::<u64>().to_string();
            let value =
                synthetic::replace(&self.key, kind, &salt).map_err(|error| MonthError::Value(error.to_string()))?;
            if self.used.insert(value.clone()) {
                return Ok(value);
            }
        }
    }

    /// A time of the month, by day from 1 and with hours of work.
    pub(crate) fn time(&mut self, from_day: u32, to_day: u32) -> Time {
        let day = from_day + u32::try_from(self.below(u64::from(to_day - from_day + 1))).unwrap_or(0);
        let second = 6 * 3600 + u32::try_from(self.below(15 * 3600)).unwrap_or(0);
        Time((day - 1) * DAY + second)
    }
}

/// Seconds since the first of October 2026, in China's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) u32);

impl Time {
    pub(crate) const fn plus(self, seconds: u32) -> Self {
        Self(self.0 + seconds)
    }

    const fn parts(self) -> (u32, u32, u32, u32, u32) {
        let (mut day, mut month, second) = (self.0 / DAY + 1, 10, self.0 % DAY);
        if day > 31 {
            (day, month) = (day - 31, 11);
        }
        (month, day, second / 3600, second / 60 % 60, second % 60)
    }

    /// `2026-10-02`.
    pub(crate) fn day(self) -> String {
        let (month, day, ..) = self.parts();
        format!("2026-{month:02}-{day:02}")
    }

    /// `2026-10-02 09:08:07`.
    pub(crate) fn plain(self) -> String {
        let (_, _, hour, minute, second) = self.parts();
        format!("{} {hour:02}:{minute:02}:{second:02}", self.day())
    }

    /// `2026/10/2 9:08`.
    pub(crate) fn slashed(self) -> String {
        let (month, day, hour, minute, _) = self.parts();
        format!("2026/{month}/{day} {hour}:{minute:02}")
    }

    /// `2026年10月2日`.
    pub(crate) fn chinese(self) -> String {
        let (month, day, ..) = self.parts();
        format!("2026年{month}月{day}日")
    }
}
