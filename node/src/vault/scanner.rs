//! The sensitive-data engine as the vault asks it about what would stand in clear.

use vouch_privacy::Engine;
use vouch_vault::Scanner;

/// The built-in rules with their standard grades.
#[derive(Debug, Clone, Copy, Default)]
pub struct RuleScanner;

impl Scanner for RuleScanner {
    fn level(&self, text: &str, field: Option<&str>) -> (u8, String) {
        let found = Engine::builtin().scan(text, field);
        let worst = found.iter().max_by_key(|finding| finding.level);
        worst.map_or((0, String::new()), |finding| (finding.level.number(), finding.rule.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use vouch_vault::staging::SENSITIVE_LEVEL;

    use super::*;

    #[test]
    fn what_must_not_stand_in_clear_is_found_and_other_text_passes() {
        let level = |text: &str, field: Option<&str>| RuleScanner.level(text, field).0;
        // A card number as it stands in the standard GB 11643.
        assert!(level("身份证号 11010519491231002X", None) >= SENSITIVE_LEVEL);
        assert!(level("\"11010519491231002X\"", Some("number")) >= SENSITIVE_LEVEL);
        assert!(level("courier work in the old town", Some("scene")) < SENSITIVE_LEVEL);
        assert!(level("contract.pdf", Some("text")) < SENSITIVE_LEVEL);
    }
}
