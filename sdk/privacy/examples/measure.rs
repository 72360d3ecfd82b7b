//! Measures the engine over the corpora that `scripts/scan/corpus.py` writes, and prints one JSON object.
//!
//! `measure FOLDER`: `labelled.ndjson`, `adversarial.ndjson`, `negative.txt`, `values.ndjson`.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use cpu_time::ProcessTime;
use serde::Deserialize;
use serde_json::{Value, json};
use vouch_privacy::{
    Engine, Finding, Grade,
    rules::{Check, Verdict},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rules that count as having found a value of a kind; the first is the one the kind is reported under.
const KINDS: &[(&str, &[&str])] = &[
    ("id18", &["ID_CN_RESIDENT_18", "ID_CN_RESIDENT_18_SPACED"]),
    ("mobile", &["C_MOBILE_CN", "C_MOBILE_CN_SPLIT", "C_MOBILE_CN_FULLWIDTH"]),
    ("card", &["F_BANK_CARD", "F_BANK_CARD_SPACED"]),
    ("uscc", &["O_USCC"]),
    ("vin", &["V_VIN"]),
    ("imei", &["D_IMEI"]),
    ("iban", &["F_IBAN"]),
    ("twid", &["ID_TW_NID"]),
    ("cnaps", &["F_CNAPS"]),
    ("regno", &["O_BIZ_REG_15"]),
    ("plate", &["V_PLATE", "V_PLATE_NEV"]),
    ("email", &["C_EMAIL"]),
    ("ipv4", &["N_IPV4"]),
    ("ipv6", &["N_IPV6"]),
    ("mac", &["D_MAC"]),
    ("landline", &["C_LANDLINE_CN", "C_LANDLINE_CN_PLAIN"]),
    ("address", &["L_ADDR_FULL", "L_ADDR_LABELLED", "L_ADDR_RURAL"]),
    ("company", &["O_COMPANY"]),
    ("person", &["P_NAME_LABELLED", "P_NAME_TITLE", "P_NAME_MINORITY"]),
];

/// Kinds whose values have a check digit: the promise on recall is theirs.
const CHECKED: &[&str] = &["id18", "card", "uscc", "vin", "imei", "iban", "twid", "cnaps", "regno"];

#[derive(Deserialize)]
struct Document {
    template: String,
    text: String,
    /// Kind, first and last character.
    spans: Vec<(String, usize, usize)>,
}

#[derive(Default)]
struct Tally {
    gold: u64,
    exact: u64,
    overlapping: u64,
    reported: u64,
    right: u64,
}

fn documents(path: &Path) -> Result<Vec<Document>> {
    fs::read_to_string(path)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Places of characters in bytes.
fn bytes_of(text: &str) -> Vec<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).collect()
}

fn rules_of(kind: &str) -> &'static [&'static str] {
    KINDS.iter().find(|(name, _)| *name == kind).map_or(&[], |(_, rules)| rules)
}

fn kind_of(rule: &str) -> Option<&'static str> {
    KINDS.iter().find(|(_, rules)| rules.contains(&rule)).map(|(kind, _)| *kind)
}

fn judge(documents: &[Document], tallies: &mut BTreeMap<String, Tally>, templates: &mut BTreeMap<String, (u64, u64)>) {
    for document in documents {
        let places = bytes_of(&document.text);
        let gold: Vec<(&str, usize, usize)> =
            document.spans.iter().map(|(kind, start, end)| (kind.as_str(), places[*start], places[*end])).collect();
        let findings = Engine::builtin().scan(&document.text, None);
        let overlap = |finding: &Finding, start: usize, end: usize| {
            finding.end.min(end).saturating_sub(finding.value_start.max(start))
        };
        for (kind, start, end) in &gold {
            let tally = tallies.entry((*kind).to_owned()).or_default();
            let mine = || findings.iter().filter(|finding| rules_of(kind).contains(&finding.rule.as_str()));
            let is_exact = mine().any(|finding| (finding.value_start, finding.end) == (*start, *end));
            let is_found = mine().any(|finding| overlap(finding, *start, *end) * 2 >= end - start);
            tally.gold += 1;
            tally.exact += u64::from(is_exact);
            tally.overlapping += u64::from(is_found);
            if CHECKED.contains(kind) {
                let template = templates.entry(document.template.clone()).or_default();
                *template = (template.0 + u64::from(is_found), template.1 + 1);
            }
        }
        for finding in &findings {
            let Some(kind) = kind_of(finding.rule.as_str()) else { continue };
            let tally = tallies.entry(kind.to_owned()).or_default();
            tally.reported += 1;
            tally.right +=
                u64::from(gold.iter().any(|(name, start, end)| *name == kind && overlap(finding, *start, *end) > 0));
        }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// Megabytes a second of one core: the whole text, over and over for at least two seconds of processor time.
fn speed(texts: &[&str]) -> f64 {
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    let (engine, mut scanned, mut found) = (Engine::builtin(), 0_usize, 0_usize);
    let start = ProcessTime::now();
    while start.elapsed().as_secs_f64() < 2.0 {
        found += texts.iter().map(|text| engine.scan(text, None).len()).sum::<usize>();
        scanned += bytes;
    }
    assert!(found > 0 || bytes == 0, "nothing was found");
    scanned as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn disagreements(path: &Path) -> Result<(u64, u64)> {
    let (mut count, mut wrong) = (0, 0);
    for line in fs::read_to_string(path)?.lines() {
        let (check, value, expected): (Check, String, bool) = serde_json::from_str(line)?;
        count += 1;
        let verdict = check.judge(&value);
        if (verdict != Verdict::Wrong) != expected {
            wrong += 1;
            eprintln!(
                "{check:?} of the made-up value {value} is {verdict:?} here, and another library says {expected}"
            );
        }
    }
    Ok((count, wrong))
}

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).ok_or("name the folder of the corpora")?;
    let folder = Path::new(&folder);
    let started = ProcessTime::now();
    let rules = Engine::builtin().rules().count();
    let loading_ms = started.elapsed().as_secs_f64() * 1000.0;
    let labelled = documents(&folder.join("labelled.ndjson"))?;
    let (mut tallies, mut templates) = (BTreeMap::new(), BTreeMap::new());
    judge(&labelled, &mut tallies, &mut templates);
    let mut hidden = BTreeMap::new();
    let adversarial = documents(&folder.join("adversarial.ndjson"))?;
    judge(&adversarial, &mut hidden, &mut BTreeMap::new());
    let negative = fs::read_to_string(folder.join("negative.txt"))?;
    let pieces: Vec<&str> = negative.split_inclusive('\n').collect();
    let mut false_ones: BTreeMap<String, u64> = BTreeMap::new();
    for piece in &pieces {
        for finding in Engine::builtin().scan(piece, None).iter().filter(|finding| finding.level >= Grade::SENSITIVE) {
            *false_ones.entry(finding.rule.to_string()).or_default() += 1;
        }
    }
    let texts: Vec<&str> = labelled.iter().map(|document| document.text.as_str()).collect();
    let joined = texts.join("\n");
    let sum = |kinds: &dyn Fn(&str) -> bool, part: fn(&Tally) -> u64| -> u64 {
        tallies.iter().filter(|(kind, _)| kinds(kind)).map(|(_, tally)| part(tally)).sum()
    };
    let is_checked = |kind: &str| CHECKED.contains(&kind);
    let (values, wrong) = disagreements(&folder.join("values.ndjson"))?;
    let worst = templates.values().map(|(found, all)| percent(*found, *all)).fold(100.0, f64::min);
    let by_kind: BTreeMap<&String, Value> = tallies
        .iter()
        .map(|(kind, tally)| {
            let value = json!({
                "gold": tally.gold, "exact": percent(tally.exact, tally.gold), "recall": percent(tally.overlapping, tally.gold),
                "precision": percent(tally.right, tally.reported),
            });
            (kind, value)
        })
        .collect();
    let hidden_gold: u64 = hidden.values().map(|tally| tally.gold).sum();
    let hidden_found: u64 = hidden.values().map(|tally| tally.overlapping).sum();
    let report = json!({
        "rules": rules,
        "loading_ms": loading_ms,
        "documents": labelled.len(),
        "kinds": by_kind,
        "checked_recall": percent(sum(&is_checked, |tally| tally.overlapping), sum(&is_checked, |tally| tally.gold)),
        "checked_precision": percent(sum(&is_checked, |tally| tally.right), sum(&is_checked, |tally| tally.reported)),
        "worst_template": worst,
        "adversarial_recall": percent(hidden_found, hidden_gold),
        "negative_mb": negative.len() as f64 / 1e6,
        "negative_per_mb": false_ones.values().sum::<u64>() as f64 * 1e6 / negative.len() as f64,
        "negative_by_rule": false_ones,
        "speed_documents": speed(&texts),
        "speed_text": speed(&[&joined]),
        "speed_negative": speed(&pieces),
        "values": values,
        "disagreements": wrong,
    });
    println!("{report:#}");
    Ok(())
}
