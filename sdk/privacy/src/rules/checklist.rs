//! The sensitive-information checklist: one row for each rule with its samples and whether they are judged as it says.

use std::fmt::Write as _;

use super::{Mode, Profile, ProfileName, Rule};
use crate::scan::Engine;

/// The checklist of an engine's rules as Markdown, in both languages.
#[must_use]
pub fn render(engine: &Engine) -> String {
    let rules: Vec<&Rule> = engine.rules().collect();
    let failed = rules.iter().filter(|rule| engine.check_samples(rule).is_err()).count();
    let checked = rules.iter().filter(|rule| rule.check.is_some()).count();
    let mut text = format!(
        "# Sensitive-information checklist 敏感信息检查清单\n\n\
         Every built-in rule with its samples, which are made up, and whether it judges them as it says. Generated from the \
         rules themselves by running them; a test checks that it was.\n\n\
         每条内置规则、其样例（均为虚构）及自检结果，由规则数据运行生成，并由测试核对。\n\n\
         {} rules, {checked} with a check on the value, {failed} failed. 共 {} 条规则，{checked} 条带校验，{failed} 条未通过。\n",
        rules.len(),
        rules.len(),
    );
    text.push_str("\n## Grades by profile 分级配置\n\n| profile | 1 | 2 | 3 | 4 | rules that differ |\n|---|---|---|---|---|---:|\n");
    for name in ProfileName::ALL {
        let profile = Profile::builtin(name);
        let labels = profile.labels.iter().map(|label| format!("{} {}", label.en, label.zh));
        let labels = labels.collect::<Vec<_>>().join(" \\| ").replace(" \\| ", " | ");
        let _ = writeln!(
            text,
            "| `{}` {} {} | {labels} | {} |",
            name.as_str(),
            profile.name.en,
            profile.name.zh,
            profile.levels.len()
        );
    }
    let mut categories: Vec<&str> = Vec::new();
    for rule in &rules {
        if !categories.contains(&rule.category.as_str()) {
            categories.push(&rule.category);
        }
    }
    let mut number = 0;
    for category in categories {
        let _ = write!(
            text,
            "\n## {category}\n\n| no. | rule | name | grade | counts | check | found in 应命中 | not found in 不应命中 | result |\n\
             |---:|---|---|---:|---|---|---|---|---|\n"
        );
        for rule in rules.iter().filter(|rule| rule.category == category) {
            number += 1;
            text.push_str(&row(number, rule, engine.check_samples(rule).is_ok()));
        }
    }
    text
}

fn row(number: usize, rule: &Rule, passed: bool) -> String {
    let mode = match rule.mode {
        Mode::Shape => "alone",
        Mode::Context => "in context",
        Mode::Keyword => "with its word",
    };
    let check = rule.check.and_then(|check| serde_json::to_value(check).ok());
    let check = check.as_ref().and_then(serde_json::Value::as_str).unwrap_or("–");
    let samples = |samples: &[String]| samples.iter().map(|sample| cell(sample)).collect::<Vec<_>>().join("<br>");
    format!(
        "| {number} | `{}` | {} {} | {} | {mode} | {check} | {} | {} | {} |\n",
        rule.id,
        rule.name.en,
        rule.name.zh,
        rule.level,
        samples(&rule.valid),
        samples(&rule.invalid),
        if passed { "passed 通过" } else { "FAILED 未通过" },
    )
}

/// A sample as code in a table: long ones are cut, bars escaped.
fn cell(sample: &str) -> String {
    let mut short: String = sample.chars().take(60).collect();
    if short.len() < sample.len() {
        short.push('…');
    }
    format!("`{}`", short.replace('|', "\\|").replace('`', "'"))
}
