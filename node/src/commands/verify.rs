//! `vouch verify`: evidence packages, SD-JWTs and single disclosures, without a network.

use std::{
    fs::File,
    io::{BufReader, Read as _, Seek as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use serde_json::{Value, json};
use vouch_genesis::GenesisDocument;
use vouch_privacy::{
    FieldProof,
    evidence::{EvidenceError, Report, Statement, verify},
    sd_jwt::{Demand, SD_JWT_BYTES_MAX, SdJwt, SdJwtError, VerifiedSdJwt, fields_json},
};
use vouch_types::{ChainId, DocumentRoot, PublicKey, api::Language};

use super::{
    GlobalArgs,
    output::{EXIT_CLAIMED, Refused, emit, inline},
    text::Text,
};

/// Most bytes of a genesis document.
const GENESIS_BYTES_MAX: u64 = 64 << 20;

/// Verify an evidence package, an SD-JWT or a disclosure, without a network.
///
/// Says what was verified and what is only claimed. What the file is, its content tells. Exit codes: 0 it holds; 7 it holds in
/// itself, but the chain, the issuer's key or the root that it stands on was not given and may be anyone's; 4 it does not
/// hold, with a code that says what was changed; 3 the command cannot be carried out so.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file
    file: PathBuf,
    /// The chain it must be of, from a source that you trust
    #[arg(long, value_name = "ID", conflicts_with = "genesis")]
    chain_id: Option<ChainId>,
    /// The chain's genesis document, instead of its id
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// With an SD-JWT: the issuer's key, as `ed25519:…`, from a source that you trust
    #[arg(long, value_name = "KEY")]
    issuer_key: Option<PublicKey>,
    /// With an SD-JWT or a disclosure: the root that the chain holds of the version
    #[arg(long, value_name = "ROOT")]
    root: Option<DocumentRoot>,
    /// With an SD-JWT that a holder presents: the verifier's name
    #[arg(long, value_name = "TEXT", requires = "nonce")]
    audience: Option<String>,
    /// With it: what the verifier chose
    #[arg(long, value_name = "TEXT", requires = "audience")]
    nonce: Option<String>,
}

fn refused(code: &str, detail: impl core::fmt::Display, file: &Path) -> anyhow::Error {
    Refused::error(code, detail.to_string(), file.display().to_string())
}

fn evidence(error: &EvidenceError, file: &Path) -> anyhow::Error {
    refused(error.code(), error, file)
}

/// Runs the command.
///
/// # Errors
/// `evidence.*`, `sd_jwt.*` or `proof.invalid` when it does not hold.
pub fn run(args: &Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let chain = chain(args, global)?;
    let unreadable = |error: std::io::Error| refused("evidence.io", error, &args.file);
    let mut input = File::open(&args.file).map_err(unreadable)?;
    let mut first = Vec::new();
    input.by_ref().take(16).read_to_end(&mut first).map_err(unreadable)?;
    input.rewind().map_err(unreadable)?;
    match first.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') if args.chain_id.is_some() || args.genesis.is_some() => Err(refused(
            "client.configuration",
            "a disclosure names no chain: give the root that the chain holds, with --root",
            &args.file,
        )),
        Some(b'{') => disclosure(args, &text(input, &args.file)?, global),
        // An SD-JWT begins with the base64url of `{"`.
        Some(b'e') if first.starts_with(b"eyJ") => sd_jwt(args, &text(input, &args.file)?, chain, global),
        _ => {
            let report = verify(BufReader::new(input), chain).map_err(|error| evidence(&error, &args.file))?;
            emit(global, &report, |language| report_lines(&report, language))?;
            Ok(Foundation::Chain.exit(&report.claimed))
        }
    }
}

/// What all the rest stands on: while it is only claimed, the file vouches for nothing but itself.
#[derive(Clone, Copy)]
enum Foundation {
    /// Of an evidence package: anybody can make a chain.
    Chain,
    /// Of an SD-JWT: anybody can make a key.
    Issuer,
    /// Of a disclosure: anybody can make a root.
    Root,
}

impl Foundation {
    fn is_given(self, claimed: &[Statement]) -> bool {
        let code = match self {
            Self::Chain => "claimed.chain",
            Self::Issuer => "claimed.issuer",
            Self::Root => "claimed.root",
        };
        claimed.iter().all(|said| said.code != code)
    }

    fn exit(self, claimed: &[Statement]) -> ExitCode {
        if self.is_given(claimed) { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CLAIMED) }
    }

    fn headline(self, claimed: &[Statement], language: Language) -> String {
        let said = if self.is_given(claimed) { Text::EvidenceHolds } else { Text::EvidenceHoldsInItself };
        said.in_language(language).to_owned()
    }
}

/// What was named as the chain; else what the environment or the home names.
fn chain(args: &Args, global: &GlobalArgs) -> anyhow::Result<Option<ChainId>> {
    let Some(path) = &args.genesis else { return Ok(args.chain_id.or(global.known_chain()?)) };
    let fault =
        |error: String| anyhow::Error::from(vouch_sdk::Error::Configuration(format!("{}: {error}", path.display())));
    let mut text = String::new();
    let file = File::open(path).map_err(|error| fault(error.to_string()))?;
    file.take(GENESIS_BYTES_MAX).read_to_string(&mut text).map_err(|error| fault(error.to_string()))?;
    let document = GenesisDocument::from_json(&text).map_err(|error| fault(error.to_string()))?;
    document.chain_id().map(Some).map_err(|error| fault(error.to_string()))
}

fn text(input: File, path: &Path) -> anyhow::Result<String> {
    let max = u64::try_from(SD_JWT_BYTES_MAX).unwrap_or(u64::MAX);
    let mut out = String::new();
    let read = input.take(max + 1).read_to_string(&mut out);
    read.map_err(|error| refused("evidence.io", error, path))?;
    Ok(out)
}

fn report_lines(report: &Report, language: Language) -> Vec<String> {
    let mut lines = vec![Foundation::Chain.headline(&report.claimed, language)];
    lines.extend(list(Text::Verified, &report.verified, language));
    for document in &report.documents {
        lines.push(format!(
            "{} {} {} {}",
            Text::Document.in_language(language),
            document.id,
            Text::Version.in_language(language),
            document.version
        ));
        for field in &document.fields {
            lines.push(format!("  {}: {}", field.name, inline(&field.value)));
        }
    }
    lines.extend(list(Text::Claimed, &report.claimed, language));
    lines
}

fn list(title: Text, statements: &[Statement], language: Language) -> Vec<String> {
    let line = |said: &Statement| {
        let text = if language == Language::Chinese { &said.zh } else { &said.en };
        format!("  [{}] {text}", said.code)
    };
    let title = format!("{}:", title.in_language(language));
    std::iter::once(title).chain(statements.iter().map(line)).collect()
}

fn sd_jwt(args: &Args, text: &str, chain: Option<ChainId>, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let fault = |error: SdJwtError| refused(error.code(), error, &args.file);
    let read = SdJwt::from_text(text.trim_end()).map_err(fault)?;
    let claimed = read.claimed_key().map_err(fault)?;
    let key = args.issuer_key.or(claimed).ok_or_else(|| fault(SdJwtError::Malformed("no key is named")))?;
    let demand = args.audience.as_deref().zip(args.nonce.as_deref());
    let demand = demand.map(|(audience, nonce)| Demand { audience, nonce });
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let shown = read.verify(&key, Some(now), demand).map_err(fault)?;
    if let Some(expected) = chain
        && shown.anchor.chain != expected
    {
        return Err(evidence(&EvidenceError::ForeignChain { actual: shown.anchor.chain, expected }, &args.file));
    }
    if args.root.is_some_and(|root| root != shown.anchor.root) {
        return Err(refused("evidence.root_mismatch", "the SD-JWT names another root", &args.file));
    }
    let (verified, claims) = sd_jwt_statements(args, &shown, &key);
    let fields = fields_json(&shown.fields);
    let value = json!({ "anchor": shown.anchor, "issuer": shown.issuer, "kind": shown.kind, "issued_at": shown.issued_at,
        "expires_at": shown.expires_at, "fields": fields, "hidden": shown.hidden, "holder": shown.holder,
        "bound": shown.is_bound, "verified": verified, "claimed": claims });
    let stands_on = Foundation::Issuer;
    emit(global, &value, |language| shown_lines(stands_on, &fields, &verified, &claims, language))?;
    Ok(stands_on.exit(&claims))
}

fn sd_jwt_statements(args: &Args, shown: &VerifiedSdJwt, key: &PublicKey) -> (Vec<Statement>, Vec<Statement>) {
    let said = |code, en: String, zh: String| Statement { code, en, zh };
    let mut verified = vec![said(
        "verified.signature",
        format!("the fields are those that the key {key} signed"),
        format!("字段与密钥 {key} 的签名一致"),
    )];
    let mut claimed = Vec::new();
    match shown.holder {
        // Whoever saw an earlier presentation can show it again: only the verifier's own nonce tells it from one made now.
        Some(holder) if shown.is_bound && args.nonce.is_some() => verified.push(said(
            "verified.binding",
            format!("the holder's key {holder} presents it to this verifier, with its nonce"),
            format!("由持有人密钥 {holder} 以本次随机数向该核验方出示"),
        )),
        Some(holder) if shown.is_bound => claimed.push(said(
            "claimed.binding",
            format!("that the holder's key {holder} presents it to you and now: name --audience and --nonce"),
            format!("持有人密钥 {holder} 系向您且于此时出示：请指定 --audience 与 --nonce"),
        )),
        Some(holder) => claimed.push(said(
            "claimed.holder",
            format!(
                "that who shows it is the holder of the key {holder}: have it presented with --audience and --nonce"
            ),
            format!("出示人即密钥 {holder} 的持有人：请要求以 --audience 与 --nonce 出示"),
        )),
        None => {}
    }
    if args.issuer_key.is_none() {
        claimed.push(said(
            "claimed.issuer",
            format!("that the key belongs to {}: name the issuer's key with --issuer-key", shown.issuer),
            format!("该密钥属于 {}：请以 --issuer-key 指定签发方密钥", shown.issuer),
        ));
    }
    if args.root.is_none() {
        claimed.push(said(
            "claimed.root",
            format!(
                "that the chain holds these fields under root {}: an evidence package proves it",
                shown.anchor.root
            ),
            format!("链上承诺根为 {}：证据包可予证明", shown.anchor.root),
        ));
    }
    (verified, claimed)
}

fn shown_lines(
    stands_on: Foundation,
    fields: &Value,
    verified: &[Statement],
    claimed: &[Statement],
    language: Language,
) -> Vec<String> {
    let mut lines = vec![stands_on.headline(claimed, language)];
    lines.extend(list(Text::Verified, verified, language));
    let shown = fields.as_object().into_iter().flatten();
    lines.extend(shown.map(|(name, value)| format!("  {name}: {}", inline(value))));
    lines.extend(list(Text::Claimed, claimed, language));
    lines
}

/// One field with its path: the root it leads to is compared with the one named, else shown.
fn disclosure(args: &Args, text: &str, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let invalid = |detail: String| refused("proof.invalid", detail, &args.file);
    let proof: FieldProof =
        serde_json::from_str(text).map_err(|error| invalid(format!("not a disclosure: {error}")))?;
    let reached = proof.root().map_err(|error| invalid(error.to_string()))?;
    let proven = proof.verify(&args.root.unwrap_or(reached)).map_err(|error| invalid(error.to_string()))?;
    let said = |code, en: String, zh: String| Statement { code, en, zh };
    let held = said(
        "verified.fields",
        format!("{} stands under root {reached}", proven.name),
        format!("字段 {} 与承诺根 {reached} 一致", proven.name),
    );
    let (id, version) = (proven.header.document, proven.header.version);
    let open = args.root.is_none().then(|| {
        said(
            "claimed.root",
            format!("that the chain holds root {reached} for {id} version {version}: an evidence package proves it"),
            format!("链上 {id} 第 {version} 版的承诺根为 {reached}：证据包可予证明"),
        )
    });
    let (held, open) = ([held], Vec::from_iter(open));
    let fields = json!({ proven.name.as_str(): proven.value });
    let value = json!({ "document": proven.header.document, "version": proven.header.version, "issuer": proven.header.issuer,
        "root": reached, "fields": fields, "verified": held, "claimed": open });
    let stands_on = Foundation::Root;
    emit(global, &value, |language| shown_lines(stands_on, &fields, &held, &open, language))?;
    Ok(stands_on.exit(&open))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn judged(line: &[&str]) -> Result<String, String> {
        let args = Cli::parse_from([&["verify"], line].concat()).args;
        let done = run(&args, &GlobalArgs { json: true, ..GlobalArgs::default() });
        done.map(|code| format!("{code:?}")).map_err(|error| error.to_string())
    }

    /// The first proof of the vectors: what leads to a root that nobody named is one's own word.
    #[test]
    fn a_disclosure_holds_by_the_root_that_was_named() {
        let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/privacy.json")).unwrap();
        let text = vectors["documents"][0]["proofs"][0].to_string();
        let proof: FieldProof = serde_json::from_str(&text).unwrap();
        let (root, folder) = (proof.root().unwrap().to_string(), tempfile::tempdir().unwrap());
        let path = folder.path().join("field.json");
        std::fs::write(&path, text).unwrap();
        let path = path.display().to_string();
        let exit = |code: u8| Ok(format!("{:?}", ExitCode::from(code)));
        assert_eq!(judged(&[&path, "--root", &root]), exit(0));
        assert_eq!(judged(&[&path]), exit(EXIT_CLAIMED));
        assert!(judged(&[&path, "--root", &"ab".repeat(32)]).unwrap_err().starts_with("proof.invalid"));
        let tied = judged(&[&path, "--root", &root, "--chain-id", &"ab".repeat(32)]).unwrap_err();
        assert!(tied.starts_with("client.configuration"), "nothing ties it to a chain: {tied}");
    }

    #[test]
    fn what_is_only_claimed_is_no_foundation() {
        let said = |code| Statement { code, en: String::new(), zh: String::new() };
        for (stands_on, claimed, expected) in [
            (Foundation::Chain, vec![said("claimed.maker"), said("claimed.chain")], false),
            (Foundation::Chain, vec![said("claimed.maker")], true),
            (Foundation::Issuer, vec![said("claimed.root")], true),
            (Foundation::Issuer, vec![said("claimed.issuer")], false),
            (Foundation::Root, vec![said("claimed.root")], false),
        ] {
            assert_eq!(stands_on.is_given(&claimed), expected);
        }
    }
}
