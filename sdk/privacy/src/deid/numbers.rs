//! Numbers made coarser or noisy, in decimal arithmetic: what comes out is exact, whatever the machine.

use serde::{Deserialize, Serialize};

use super::{Algorithm, DeidError, below};

/// Most digits behind the point.
const SCALE_MAX: u32 = 12;

/// A decimal number: units of 10^-scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// How many units.
    pub units: i128,
    /// Digits behind the point.
    pub scale: u32,
}

impl Decimal {
    /// Reads a number such as `-1,234.50`; nothing else may stand around it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_grouped = whole.split(',').enumerate().all(|(place, part)| {
            let fits = if place == 0 {
                !part.is_empty() && part.len() <= if whole.contains(',') { 3 } else { 24 }
            } else {
                part.len() == 3
            };
            fits && part.bytes().all(|byte| byte.is_ascii_digit())
        });
        let is_fraction = fraction.bytes().all(|byte| byte.is_ascii_digit()) && fraction.len() <= SCALE_MAX as usize;
        if !is_grouped || !is_fraction || whole.len() > 32 || text.ends_with('.') {
            return None;
        }
        let digits: String = whole.chars().chain(fraction.chars()).filter(|c| *c != ',').collect();
        let units: i128 = digits.parse().ok()?;
        Some(Self { units: if is_negative { -units } else { units }, scale: u32::try_from(fraction.len()).ok()? })
    }

    /// The number in units of another scale, cut towards zero where it has more digits.
    #[must_use]
    pub fn units_at(self, scale: u32) -> Option<i128> {
        if scale >= self.scale {
            self.units.checked_mul(10_i128.checked_pow(scale - self.scale)?)
        } else {
            Some(self.units / 10_i128.checked_pow(self.scale - scale)?)
        }
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.units.unsigned_abs(), width = self.scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale as usize);
        if fraction.is_empty() { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}

fn number(value: &str, algorithm: Algorithm) -> Result<(Decimal, &str, &str), DeidError> {
    // A sign of currency before and a unit behind stay where they are.
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.' | ',');
    let start = value.find(is_number).unwrap_or(value.len());
    let (head, rest) = value.split_at(start);
    let end = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
    let (digits, tail) = rest.split_at(end);
    let has_more = tail.contains(|c: char| c.is_ascii_digit());
    let parsed = Decimal::parse(digits).filter(|_| !has_more);
    parsed.map(|decimal| (decimal, head, tail)).ok_or(DeidError::Value { algorithm, why: "one decimal number" })
}

fn parameter(text: &str, what: &str) -> Result<Decimal, DeidError> {
    Decimal::parse(text).ok_or_else(|| DeidError::Policy(format!("{what} {text:?} is not a decimal number")))
}

/// How a number is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest step; half a step away from zero.
    Nearest,
    /// As the range it lies in, `1000-1999`.
    Range,
}

/// Rounds to steps of `step`, a positive decimal number.
///
/// # Errors
/// When the value is no number or the step not positive.
pub fn round(value: &str, step: &str, rounding: Rounding) -> Result<String, DeidError> {
    let (number, head, tail) = number(value, Algorithm::Round)?;
    let step = parameter(step, "step")?;
    let scale = number.scale.max(step.scale);
    let too_large = DeidError::Value { algorithm: Algorithm::Round, why: "a number of fewer digits" };
    let (Some(units), Some(size)) = (number.units_at(scale), step.units_at(scale)) else { return Err(too_large) };
    if size <= 0 {
        return Err(DeidError::Policy("a step is more than nothing".to_owned()));
    }
    let plain = |units: i128| Decimal { units: units / 10_i128.pow(scale - step.scale), scale: step.scale };
    let low = units.div_euclid(size) * size;
    let text = match rounding {
        Rounding::Nearest => {
            let away = (units.abs() + size / 2) / size * size;
            plain(away * units.signum()).to_string()
        }
        Rounding::Range => {
            let high = low + size - 10_i128.pow(scale - step.scale);
            format!("{}-{}", plain(low), plain(high))
        }
    };
    Ok(format!("{head}{text}{tail}"))
}

/// A number beyond a bound becomes `≤bottom` or `≥top`.
///
/// # Errors
/// When the value or a bound is no number.
pub fn top_bottom(value: &str, bottom: Option<&str>, top: Option<&str>) -> Result<String, DeidError> {
    let (number, head, tail) = number(value, Algorithm::TopBottomCoding)?;
    let at = |bound: Option<&str>| bound.map(|text| parameter(text, "bound")).transpose();
    let (bottom, top) = (at(bottom)?, at(top)?);
    let units = |decimal: Decimal| decimal.units_at(SCALE_MAX);
    if let (Some(bottom), Some(top)) = (bottom, top)
        && units(bottom) >= units(top)
    {
        return Err(DeidError::Policy("the bottom is below the top".to_owned()));
    }
    let text = match (bottom, top) {
        (Some(bottom), _) if units(number) <= units(bottom) => format!("≤{bottom}"),
        (_, Some(top)) if units(number) >= units(top) => format!("≥{top}"),
        _ => number.to_string(),
    };
    Ok(format!("{head}{text}{tail}"))
}

/// Draws true with probability `numerator / denominator`.
fn bernoulli(entropy: &mut dyn FnMut(&mut [u8]), numerator: u64, denominator: u64) -> bool {
    below(entropy, denominator) < numerator
}

/// Draws true with probability e^(-numerator/denominator), exactly (Canonne, Kamath, Steinke 2020, algorithm 1).
fn bernoulli_exp(entropy: &mut dyn FnMut(&mut [u8]), mut numerator: u64, denominator: u64) -> bool {
    while numerator > denominator {
        if !bernoulli_exp(entropy, denominator, denominator) {
            return false;
        }
        numerator -= denominator;
    }
    let mut k = 1;
    while bernoulli(entropy, numerator, denominator.saturating_mul(k)) {
        k += 1;
    }
    k % 2 == 1
}

/// Draws from the discrete Laplace distribution of scale `numerator / denominator` (algorithm 2 of the same): noise of this
/// scale gives a count of sensitivity 1 the privacy loss `denominator / numerator`. No floating point, so nothing leaks
/// through how numbers are rounded.
pub(crate) fn discrete_laplace(entropy: &mut dyn FnMut(&mut [u8]), numerator: u64, denominator: u64) -> i128 {
    loop {
        let u = below(entropy, numerator);
        if !bernoulli_exp(entropy, u, numerator) {
            continue;
        }
        let mut v = 0_u64;
        while bernoulli_exp(entropy, 1, 1) {
            v += 1;
        }
        let magnitude = (u + numerator * v) / denominator;
        let is_negative = bernoulli(entropy, 1, 2);
        if is_negative && magnitude == 0 {
            continue;
        }
        return if is_negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    }
}

/// Adds discrete Laplace noise in units of the number's last digit. `sensitivity` is the most that one person changes the
/// number by; `epsilon` is in thousandths.
///
/// # Errors
/// When the value is no number, or the parameters are nothing or beyond what is sensible.
pub fn noise(
    value: &str,
    sensitivity: &str,
    epsilon: u64,
    entropy: &mut dyn FnMut(&mut [u8]),
) -> Result<String, DeidError> {
    let (number, head, tail) = number(value, Algorithm::Noise)?;
    let sensitivity = parameter(sensitivity, "sensitivity")?;
    let units = sensitivity.units_at(number.scale.max(sensitivity.scale)).unwrap_or(0);
    let scale = number.scale.max(sensitivity.scale);
    let numerator = u64::try_from(units).ok().and_then(|units| units.checked_mul(1000)).filter(|units| *units > 0);
    let (Some(numerator), 1..=100_000) = (numerator, epsilon) else {
        return Err(DeidError::Policy("sensitivity is more than nothing, epsilon 1 to 100,000 thousandths".to_owned()));
    };
    let base = number
        .units_at(scale)
        .ok_or(DeidError::Value { algorithm: Algorithm::Noise, why: "a number of fewer digits" })?;
    let noisy = Decimal { units: base + discrete_laplace(entropy, numerator, epsilon), scale };
    Ok(format!("{head}{noisy}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deid::tests::entropy;
    use proptest::prelude::*;

    #[test]
    fn numbers_become_coarser() {
        for (value, step, rounding, expected) in [
            ("8567.5", "1000", Rounding::Nearest, "9000"),
            ("8500", "1000", Rounding::Nearest, "9000"),
            ("-8500", "1000", Rounding::Nearest, "-9000"),
            ("￥1,234.56元", "100", Rounding::Nearest, "￥1200元"),
            ("8567.50", "1000", Rounding::Range, "8000-8999"),
            ("-1", "10", Rounding::Range, "-10--1"),
            ("0.37", "0.05", Rounding::Nearest, "0.35"),
            ("0.37", "0.05", Rounding::Range, "0.35-0.39"),
        ] {
            assert_eq!(round(value, step, rounding).unwrap(), expected, "{value} {step}");
        }
        for (value, step) in
            [("x", "1"), ("1 2", "1"), ("1.2.3", "1"), ("12,34", "1"), ("1", "0"), ("1", "-1"), ("1", "")]
        {
            assert!(round(value, step, Rounding::Nearest).is_err(), "{value} {step}");
        }
    }

    #[test]
    fn bounds_hide_what_is_beyond() {
        for (value, expected) in [("500", "≤1000"), ("1000", "≤1000"), ("1000.01", "1000.01"), ("50000元", "≥20000元")]
        {
            assert_eq!(top_bottom(value, Some("1000"), Some("20000")).unwrap(), expected);
        }
        assert_eq!(top_bottom("5", None, None).unwrap(), "5");
        assert_eq!(top_bottom("5", Some("2"), Some("1")).unwrap_err().code(), "deid.policy");
    }

    #[test]
    fn noise_has_the_promised_scale() {
        let mut entropy = entropy(3);
        // Scale 2: the mean of |x| is 2q/(1-q²) with q = e^(-1/2), which is 1.919.
        let draws: Vec<i128> = (0..20_000).map(|_| discrete_laplace(&mut entropy, 2, 1)).collect();
        let mean: f64 = draws.iter().map(|x| x.abs() as f64).sum::<f64>() / 20_000.0;
        let sum: f64 = draws.iter().map(|x| *x as f64).sum::<f64>() / 20_000.0;
        assert!((1.85..1.99).contains(&mean) && sum.abs() < 0.1, "{mean} {sum}");
        let noisy = noise("1234.50元", "1", 1000, &mut entropy).unwrap();
        assert!(noisy.ends_with('元') && noisy.contains('.'), "{noisy}");
        assert_eq!(noise("1", "0", 1000, &mut entropy).unwrap_err().code(), "deid.policy");
        assert_eq!(noise("1", "1", 0, &mut entropy).unwrap_err().code(), "deid.policy");
    }

    proptest! {
        #[test]
        fn decimals_are_written_as_they_are_read(units in -10_i128.pow(20)..10_i128.pow(20), scale in 0_u32..=12) {
            let decimal = Decimal { units, scale };
            prop_assert_eq!(Decimal::parse(&decimal.to_string()), Some(decimal));
        }
    }
}
