//! `vouch rules`: list, show, test, check, sign.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use vouch_privacy::{
    rules::{Rule, RuleError, RuleFile, SignedRules, TrustedSigner, signed},
    scan::Engine,
};
use vouch_types::{PublicKey, api::Language};

use super::{
    GlobalArgs,
    output::{Refused, emit, table},
    password::open_keys,
    source::read_text,
    text::Text,
};

/// Look at, check and sign rules for sensitive data.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All built-in rules
    List {
        /// Only those of a group: identity, person, contact, location, finance and so on
        #[arg(long)]
        group: Option<String>,
    },
    /// One built-in rule with its samples
    Show {
        /// Its id
        id: String,
    },
    /// Run the samples of all built-in rules, or of one
    Test {
        /// Its id
        id: Option<String>,
    },
    /// Check a rule file of your own: form, patterns, samples, and the signature if it has one
    Check {
        /// The file
        file: PathBuf,
        /// Public key of a signer who is trusted
        #[arg(long = "signer", value_name = "KEY")]
        signers: Vec<PublicKey>,
    },
    /// Sign a rule file, once its samples hold
    Sign {
        /// The rule file
        file: PathBuf,
        /// Key file of the signer
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The file to make; it must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// The code of what is wrong with a rule file.
pub fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::List { group } => list(group.as_deref(), global)?,
        Action::Show { id } => show(builtin(&id)?, global)?,
        Action::Test { id } => test(id.as_deref(), global)?,
        Action::Check { file, signers } => check(&file, &signers, global)?,
        Action::Sign { file, key, out } => sign(&file, std::slice::from_ref(&key), &out, global)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn builtin(id: &str) -> anyhow::Result<&'static Rule> {
    Engine::builtin().rule(id).ok_or_else(|| Refused::error("rules.unknown", format!("no rule {id:?}"), "id"))
}

fn name(rule: &Rule, language: Language) -> &str {
    match language {
        Language::English => &rule.name.en,
        Language::Chinese => &rule.name.zh,
    }
}

fn list(group: Option<&str>, global: &GlobalArgs) -> anyhow::Result<()> {
    let rules: Vec<&Rule> =
        Engine::builtin().rules().filter(|rule| group.is_none_or(|group| rule.category == group)).collect();
    emit(global, &rules, |language| {
        let line =
            |rule: &&Rule| format!("{:<28} {}  {:<10} {}", rule.id, rule.level, rule.category, name(rule, language));
        rules.iter().map(line).collect()
    })
}

fn show(rule: &Rule, global: &GlobalArgs) -> anyhow::Result<()> {
    emit(global, rule, |language| {
        let check = rule.check.and_then(|check| serde_json::to_value(check).ok());
        let mut lines = table(
            language,
            &[
                (Text::Rule, rule.id.clone()),
                (Text::Name, name(rule, language).to_owned()),
                (Text::Category, rule.category.clone()),
                (Text::Level, rule.level.to_string()),
                (Text::Check, check.as_ref().map(super::output::inline).unwrap_or_default()),
                (Text::Context, rule.context.join(" ")),
                (Text::FieldNames, rule.keys.join(" ")),
            ],
        );
        lines.extend(rule.valid.iter().map(|sample| format!("  + {sample}")));
        lines.extend(rule.invalid.iter().map(|sample| format!("  - {sample}")));
        lines
    })
}

fn test(id: Option<&str>, global: &GlobalArgs) -> anyhow::Result<()> {
    let engine = Engine::builtin();
    let rules: Vec<&Rule> = match id {
        Some(id) => vec![builtin(id)?],
        None => engine.rules().collect(),
    };
    for rule in &rules {
        engine.check_samples(rule).map_err(|error| refused(&error, &rule.id))?;
    }
    passed(&rules, None, global)
}

fn passed(rules: &[&Rule], signer: Option<PublicKey>, global: &GlobalArgs) -> anyhow::Result<()> {
    let samples: usize = rules.iter().map(|rule| rule.valid.len() + rule.invalid.len()).sum();
    let value = json!({ "rules": rules.len(), "samples": samples, "signer": signer });
    emit(global, &value, |language| {
        let mut lines = vec![format!(
            "{} {} / {samples}: {}",
            Text::Rule.in_language(language),
            rules.len(),
            Text::Passed.in_language(language)
        )];
        lines.extend(signer.map(|signer| format!("{} {signer}", Text::Signer.in_language(language))));
        lines
    })
}

fn refused(error: &RuleError, location: &str) -> anyhow::Error {
    Refused::error(error.code(), error.to_string(), location)
}

fn check(path: &Path, signers: &[PublicKey], global: &GlobalArgs) -> anyhow::Result<()> {
    let text = read_text(path)?;
    let location = path.display().to_string();
    let is_signed = serde_json::from_str::<SignedRules>(&text).ok().filter(|file| file.format == signed::FORMAT);
    let file = match &is_signed {
        Some(_) => {
            let trusted: Vec<TrustedSigner> = signers.iter().map(|key| TrustedSigner(*key)).collect();
            SignedRules::open(&text, &trusted)
        }
        None => RuleFile::parse(&text),
    };
    let file = file.map_err(|error| refused(&error, &location))?;
    let files = [file];
    Engine::with_rules(&files).map_err(|error| refused(&error, &location))?;
    let rules: Vec<&Rule> = files.iter().flat_map(|file| &file.rules).collect();
    passed(&rules, is_signed.map(|file| file.signer), global)
}

fn sign(path: &Path, keys: &[PathBuf], out: &Path, global: &GlobalArgs) -> anyhow::Result<()> {
    let text = read_text(path)?;
    let location = path.display().to_string();
    let file = RuleFile::parse(&text).map_err(|error| refused(&error, &location))?;
    Engine::with_rules(&[file]).map_err(|error| refused(&error, &location))?;
    let keys = open_keys(global, keys)?;
    let key = keys.first().context("one key was opened")?;
    let signed = SignedRules::sign(&text, key).map_err(|error| refused(&error, &location))?;
    let failed = |error: std::io::Error| Refused::error("stream.io", error.to_string(), out.display().to_string());
    let mut written = OpenOptions::new().write(true).create_new(true).open(out).map_err(failed)?;
    writeln!(written, "{}", serde_json::to_string(&signed)?).and_then(|()| written.sync_all()).map_err(failed)?;
    let value = json!({ "out": out, "signer": signed.signer });
    emit(global, &value, |language| vec![format!("{} {}", Text::Written.in_language(language), out.display())])
}

#[cfg(test)]
mod tests {
    use vouch_sdk::keystore;

    use super::*;

    const OWN: &str = r#"{"format": "vouch-rules/1", "rules": [{"id": "X_CONTRACT", "name": {"en": "contract", "zh": "合同号"},
        "category": "own", "level": 3, "mode": "shape", "pattern": "HT-\\d{8}", "bound": "word",
        "valid": ["HT-20250101", "合同HT-20250102"], "invalid": ["HT-2025", "XHT-20250101"]}]}"#;

    fn code(result: anyhow::Result<()>) -> String {
        result.unwrap_err().downcast_ref::<Refused>().unwrap().0.code.clone()
    }

    #[test]
    fn rules_of_ones_own_are_checked_signed_and_used() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let global = GlobalArgs::default();
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        write("own", OWN);
        check(&at("own"), &[], &global).unwrap();
        write("wrong", &OWN.replace("HT-2025\"", "HT-20250103\""));
        assert_eq!(code(check(&at("wrong"), &[], &global)), "rules.sample");
        write("none", "[]");
        assert_eq!(code(check(&at("none"), &[], &global)), "rules.format");

        let key = keystore::generate().unwrap();
        keystore::save(&at("key"), &key, None).unwrap();
        assert_eq!(code(sign(&at("wrong"), &[at("key")], &at("signed"), &global)), "rules.sample");
        sign(&at("own"), &[at("key")], &at("signed"), &global).unwrap();
        check(&at("signed"), &[key.public()], &global).unwrap();
        assert_eq!(code(check(&at("signed"), &[], &global)), "rules.signature");
        let text = std::fs::read_to_string(at("signed")).unwrap();
        write("signed", &text.replace("20250101", "20250109"));
        assert_eq!(code(check(&at("signed"), &[key.public()], &global)), "rules.signature");
    }

    #[test]
    fn the_built_in_rules_pass_and_are_found() {
        let global = GlobalArgs::default();
        test(None, &global).unwrap();
        assert_eq!(builtin("C_MOBILE_CN").unwrap().level.number(), 3);
        assert_eq!(code(test(Some("NONE"), &global)), "rules.unknown");
    }
}
