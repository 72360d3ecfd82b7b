//! Suppression, masking and truncation. All count characters, never bytes.

use super::{Algorithm, DeidError};

/// Keeps `first` and `last` characters and puts a mask in place of each of the others. A value that is too short to hide
/// at least a third of it is masked whole.
#[must_use]
pub fn mask(value: &str, first: usize, last: usize, with: char) -> String {
    let count = value.chars().count();
    let (first, last) = fit(first, last, count);
    let hidden = |place: usize| place >= first && place < count - last;
    value.chars().enumerate().map(|(place, c)| if hidden(place) { with } else { c }).collect()
}

/// Characters that may stay of a value of `count` characters.
fn fit(first: usize, last: usize, count: usize) -> (usize, usize) {
    if (first + last) * 3 <= count * 2 { (first, last) } else { (0, 0) }
}

/// Keeps the name of the family and masks the rest: two characters where it is a compound one.
#[must_use]
pub fn mask_name(value: &str) -> String {
    let count = value.chars().count();
    let kept = if count >= 4 && !value.contains(['·', '•', '・']) { 2 } else { 1 };
    value
        .chars()
        .enumerate()
        .map(|(place, c)| if place < kept.min(count.saturating_sub(1)) { c } else { '*' })
        .collect()
}

/// Keeps the first character and the domain of an e-mail address.
#[must_use]
pub fn mask_email(value: &str) -> String {
    match value.split_once('@') {
        Some((local, domain)) => {
            let first = local.chars().next().map(String::from).unwrap_or_default();
            format!("{first}***@{domain}")
        }
        None => mask(value, 0, 0, '*'),
    }
}

/// What a truncation keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// So many characters.
    Characters(usize),
    /// A Chinese address up to its district or county.
    District,
    /// The network of an address: /24 of IPv4, /48 of IPv6.
    Network,
    /// Coordinates with so many decimals: two are about a kilometre.
    Decimals(usize),
}

/// Keeps the beginning of a value.
///
/// # Errors
/// [`DeidError::Value`] when the value is none of the kind.
pub fn truncate(value: &str, keep: Keep) -> Result<String, DeidError> {
    let wrong = |why| Err(DeidError::Value { algorithm: Algorithm::Truncate, why });
    match keep {
        Keep::Characters(count) => Ok(value.chars().take(count).collect()),
        Keep::District => Ok(district(value)),
        Keep::Network => match value.parse() {
            Ok(std::net::IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                Ok(format!("{a}.{b}.{c}.0/24"))
            }
            Ok(std::net::IpAddr::V6(address)) => {
                let [a, b, c, ..] = address.segments();
                Ok(format!("{a:x}:{b:x}:{c:x}::/48"))
            }
            Err(_) => wrong("an IP address"),
        },
        Keep::Decimals(count) => Ok(decimals(value, count)),
    }
}

/// Up to the last of the words that end the name of a district; nothing when there is none, since what stands first could
/// be a street.
fn district(value: &str) -> String {
    let ends = ["自治州", "自治县", "自治旗", "新区", "省", "市", "盟", "州", "区", "县", "旗"];
    let mut end = 0;
    let mut parts = 0;
    while parts < 3 {
        let rest = value.get(end..).unwrap_or_default();
        // Names of places have at least two characters, and ten with all that belongs to them.
        let near: usize = rest.chars().take(12).map(char::len_utf8).sum();
        let near = rest.get(..near).unwrap_or_default();
        let next = ends.iter().filter_map(|word| near.find(word).filter(|at| *at >= 3).map(|at| at + word.len())).min();
        let Some(next) = next else { break };
        // `新区` ends later than the `区` within it; both end at the same place.
        end += next;
        parts += 1;
    }
    value.get(..end).unwrap_or_default().to_owned()
}

fn decimals(value: &str, count: usize) -> String {
    let mut text = String::with_capacity(value.len());
    let mut after_point: Option<usize> = None;
    for c in value.chars() {
        after_point = match (c, after_point) {
            ('.', _) => Some(0),
            (c, Some(seen)) if c.is_ascii_digit() => Some(seen + 1),
            _ => None,
        };
        if after_point.is_none_or(|seen| seen <= count && (count > 0 || c != '.')) {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn masks_are_those_of_the_standards() {
        assert_eq!(mask("11010519491231002X", 3, 4, '*'), "110***********002X");
        assert_eq!(mask("13812345678", 3, 4, '*'), "138****5678");
        assert_eq!(mask("6222020300001234560", 4, 4, '*'), "6222***********4560");
        assert_eq!(mask("张三丰", 1, 0, '＊'), "张＊＊");
        assert_eq!(mask("1234", 3, 4, '*'), "****", "too short to keep anything");
        assert_eq!(mask("", 3, 4, '*'), "");
        assert_eq!(
            [mask_name("张三"), mask_name("欧阳明月"), mask_name("张"), mask_name("阿卜杜拉·买买提")],
            ["张*", "欧阳**", "*", "阿*******"]
        );
        assert_eq!(mask_email("zhang.san@example.com"), "z***@example.com");
    }

    #[test]
    fn truncation_keeps_region_network_and_place() {
        for (value, keep, expected) in [
            ("天津市滨海新区第三大街51号", Keep::District, "天津市滨海新区"),
            ("广东省深圳市南山区科技南路16号", Keep::District, "广东省深圳市南山区"),
            ("永年县临洺关镇北街村", Keep::District, "永年县"),
            ("第三大街51号", Keep::District, ""),
            ("203.0.113.57", Keep::Network, "203.0.113.0/24"),
            ("2408:8207:1850:1234:abcd::1", Keep::Network, "2408:8207:1850::/48"),
            ("117.201538,39.085294", Keep::Decimals(2), "117.20,39.08"),
            ("117.201538", Keep::Decimals(0), "117"),
            ("身份证号", Keep::Characters(3), "身份证"),
        ] {
            assert_eq!(truncate(value, keep).unwrap(), expected, "{value}");
        }
        assert_eq!(truncate("x", Keep::Network).unwrap_err().code(), "deid.value");
    }

    proptest! {
        #[test]
        fn what_is_masked_is_gone_and_at_least_a_third_of_it(value in "\\PC{0,40}", first in 0_usize..8, last in 0_usize..8) {
            let masked = mask(&value, first, last, '\u{2588}');
            let count = value.chars().count();
            prop_assert_eq!(masked.chars().count(), count);
            let hidden = masked.chars().filter(|c| *c == '\u{2588}').count();
            prop_assert!(hidden * 3 >= count, "{} of {}", hidden, count);
        }
    }
}
