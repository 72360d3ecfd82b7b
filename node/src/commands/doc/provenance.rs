//! `vouch doc provenance`: the chain of evidence, of which nothing has to be believed.

use std::process::ExitCode;

use vouch_sdk::{PROVENANCE_STEPS_MAX, ProvenDocument, ProvenPerson, ProvenSignature, Provenance, SignedBy};
use vouch_types::{
    api::{Direction, Language},
    document::DocumentId,
};

use super::super::{
    GlobalArgs,
    output::{emit, inline, table},
    text::Text,
};

/// Arguments of `vouch doc provenance`.
#[derive(Debug, clap::Args)]
pub(super) struct ProvenanceArgs {
    /// The document
    id: DocumentId,
    /// Its version; the newest if left out
    #[arg(long)]
    version: Option<u32>,
    /// To what it stands on, to what stands on it, or both
    #[arg(long, value_parser = ["up", "down", "both"], default_value = "both")]
    direction: String,
    /// How many steps
    #[arg(long, value_name = "STEPS", default_value_t = 8, value_parser = steps())]
    depth: u32,
}

fn steps() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(PROVENANCE_STEPS_MAX))
}

/// Runs the command.
///
/// # Errors
/// `proof.invalid` and `document.not_as_committed` when a node shows something that does not hold.
pub(super) async fn run(args: &ProvenanceArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let direction = match args.direction.as_str() {
        "up" => Direction::Up,
        "down" => Direction::Down,
        _ => Direction::Both,
    };
    let provenance = global.pinned_client()?.provenance(args.id, args.version, direction, args.depth).await?;
    emit(global, &provenance, |language| lines(&provenance, language))?;
    Ok(ExitCode::SUCCESS)
}

fn lines(provenance: &Provenance, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    for document in &provenance.documents {
        lines.extend(document_lines(document, language));
        let own = |step: &&vouch_sdk::ProvenStep| (step.from, step.from_version) == (document.id, document.version);
        let steps = provenance.steps.iter().filter(own);
        lines.extend(steps.map(|step| format!("      -> {}: {} {}", step.name, step.to, step.to_version)));
    }
    lines.extend(provenance.persons.iter().flat_map(|person| person_lines(person, language)));
    let end = if provenance.complete { Text::ProvenanceProven } else { Text::ProvenanceInPart };
    lines.push(end.in_language(language).to_owned());
    lines.extend(table(language, &[(Text::Chain, provenance.chain.to_string())]));
    lines
}

fn document_lines(document: &ProvenDocument, language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let ProvenDocument { id, version, distance, schema, issuer, state, proven_at, .. } = document;
    let mut line = format!("{distance:>4}  {id} {version}  {schema}  {issuer}  {state:?}");
    if document.disputes > 0 {
        line = format!("{line}, {} {}", label(Text::Disputes), document.disputes);
    }
    let mut lines = vec![format!("{line}  ({} {proven_at})", label(Text::Height))];
    for entry in &document.parties {
        let party = entry.party.clone();
        let name = party.member.or_else(|| party.subject.map(|alias| format!("subject:{alias}"))).unwrap_or_default();
        let signed = document.signatures.iter().find(|signature| signature.party == entry.party);
        let signed = signed.map(|signature| signature_text(signature, language)).unwrap_or_default();
        lines.push(format!("      {}: {name}{signed}", entry.role));
    }
    lines.extend(
        document.public.iter().map(|(name, value)| {
            format!("      {name} = {}", inline(&serde_json::from_str(value).unwrap_or_default()))
        }),
    );
    lines
}

/// By what a party signed, behind its name.
fn signature_text(signature: &ProvenSignature, language: Language) -> String {
    let label = |text: Text| text.in_language(language);
    let by = match &signature.by {
        SignedBy::Member => String::new(),
        SignedBy::OwnKey { number, .. } => format!(", {} {number}", label(Text::OwnKey)),
        SignedBy::Served { member } => format!(", {} {member}", label(Text::SignedForThem)),
    };
    format!("  ({} {} {}{by})", label(Text::Signed), label(Text::Height), signature.at.height)
}

/// A person, who registered them, every key that was theirs with who set it, and who served them.
pub(in crate::commands) fn person_lines(person: &ProvenPerson, language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let height = label(Text::Height);
    let ProvenPerson { alias, registered_by, registered, keys, served, proven_at, closed } = person;
    let mut line =
        format!("subject:{alias}  {} {registered_by}  ({height} {})", label(Text::RegisteredBy), registered.height);
    if let Some(closed) = closed {
        line = format!("{line}, {} {}", label(Text::Closed), closed.height);
    }
    let mut lines = vec![format!("{line}  ({} {proven_at})", label(Text::ProvenAt))];
    for key in keys {
        let by = key.member.as_deref().unwrap_or_else(|| label(Text::KeyBefore));
        let until = key.ended.map_or_else(String::new, |ended| format!("-{}", ended.height));
        let (name, number, since) = (label(Text::OwnKey), key.number, key.set.height);
        lines.push(format!(
            "      {name} {number}: {}  ({height} {since}{until}, {} {by})",
            key.key,
            label(Text::SetBy)
        ));
    }
    if keys.is_empty() {
        lines.push(format!("      {}", label(Text::NoOwnKey)));
    }
    for service in served {
        let since = service.agreed.map_or_else(String::new, |agreed| agreed.height.to_string());
        let until = service.ended.map_or_else(String::new, |ended| format!("-{}", ended.height));
        lines.push(format!("      {} {}  ({height} {since}{until})", label(Text::ServedBy), service.member));
    }
    lines
}
