//! What a person sees before and after: never a sensitive value.

use serde_json::Value;
use vouch_types::api::Language;
use vouch_uplink::{Change, Changes, Plan, Summary, WhenChanged, plan::SchemaSummary};

use super::{
    super::{super::text::Text, files::size_text},
    Sent,
};

/// Documents that a preview shows of each source.
const FIRST: usize = 3;
/// Files without a mapping that are named.
const UNUSED_SHOWN: usize = 5;
/// From this grade on a preview does not show values.
const HIDDEN_GRADE: u8 = 3;

/// The first documents of each source.
pub(super) fn first(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, job) in plan.jobs.iter().enumerate() {
        let (Some(applier), Ok(mut rows)) = (plan.applier(job), plan.rows(number)) else { continue };
        let mut shown = 0;
        while shown < FIRST {
            let Some(next) = rows.next_row() else { break };
            let Ok((records, row)) = next else { continue };
            shown += 1;
            let rows = if records.len() > 1 { format!(" (+{})", records.len() - 1) } else { String::new() };
            lines.push(format!("{}{rows} -> {} {}", row.place, applier.mapping.schema, row.id));
            for rule in &applier.schema.definition.fields {
                let Some(value) = row.values.get(&rule.name) else { continue };
                let text =
                    if rule.grade >= HIDDEN_GRADE { hidden(value) } else { super::super::super::output::inline(value) };
                lines.push(format!("  {:<24} {text}", rule.name));
            }
            for file in &row.files {
                let name = file.path.file_name().unwrap_or_default().to_string_lossy();
                lines.push(format!("  {:<24} {name} ({})", file.field, size_text(file.bytes)));
            }
            for entry in &row.references {
                lines.push(format!("  {:<24} {} {}", entry.name, entry.id, entry.version));
            }
        }
    }
    lines
}

/// How long a value is, not what it is.
fn hidden(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{} …]", items.len()),
        other => "•".repeat(other.as_str().map_or(1, |text| text.chars().count().min(24))),
    }
}

/// What would leave, who would read it, what is wrong.
pub(super) fn summary(plan: &Plan, summary: &Summary, unused: &[String], language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let mut lines = Vec::new();
    for schema in &summary.schemas {
        lines.extend(schema_lines(schema, language));
    }
    if !unused.is_empty() {
        let more = unused.len().saturating_sub(UNUSED_SHOWN);
        let more = if more > 0 { format!(", … (+{more})") } else { String::new() };
        let shown: Vec<&str> = unused.iter().take(UNUSED_SHOWN).map(String::as_str).collect();
        lines.push(format!("{}: {}{more}", label(Text::UplinkUnused), shown.join(", ")));
    }
    lines.push(format!(
        "{} {}, {} {}, {} {}",
        plan.jobs.len(),
        label(Text::UplinkSources),
        summary.documents,
        label(Text::UplinkDocuments),
        summary.rejected,
        label(Text::UplinkRejected)
    ));
    lines
}

fn schema_lines(schema: &SchemaSummary, language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let [en, zh] = &schema.titles;
    let title = match language {
        Language::English => en,
        Language::Chinese => zh,
    };
    let mut lines = vec![format!("{} {} - {title}", schema.schema, schema.version)];
    let mut add = |name: Text, text: String| {
        if !text.is_empty() {
            lines.push(format!("  {}: {text}", label(name)));
        }
    };
    let sources: Vec<String> = schema.sources.iter().map(|(name, count)| format!("{name} ({count})")).collect();
    add(Text::UplinkSources, sources.join(", "));
    add(Text::UplinkDocuments, schema.documents.to_string());
    if schema.records != schema.documents {
        add(Text::UplinkRows, schema.records.to_string());
    }
    let on_chain = schema.public.iter().chain(&schema.on_chain).cloned().collect::<Vec<_>>();
    add(Text::UplinkOnChain, format!("{}, {}", label(Text::Root), on_chain.join(", ")));
    let private: Vec<String> =
        schema.private.iter().map(|(grade, fields)| format!("[{grade}] {}", fields.join(", "))).collect();
    add(Text::UplinkPrivate, private.join("; "));
    if schema.registers > 0 {
        add(Text::UplinkRegisters, schema.registers.to_string());
    }
    for (class, fields) in &schema.readers {
        add(Text::UplinkReaders, format!("{class}: {}", fields.join(", ")));
    }
    if schema.files > 0 {
        add(Text::UplinkFiles, format!("{} ({})", schema.files, size_text(schema.file_bytes)));
    }
    for finding in &schema.findings {
        let (field, rule, level) = (&finding.field, &finding.rule, finding.level);
        add(
            Text::Findings,
            format!("{field} [{}]: {rule} [{level}] × {} / {}", finding.grade, finding.count, schema.looked_at),
        );
    }
    let faults: Vec<String> = schema.faults.iter().map(|(code, count)| format!("{code} × {count}")).collect();
    add(Text::UplinkRejected, faults.join(", "));
    lines.extend(schema.shown.iter().map(|fault| format!("    {fault}")));
    lines
}

/// How the documents stand to what is on the chain, and what becomes of those that changed.
pub(super) fn changes(changes: &Changes, planned: &[Option<WhenChanged>], language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let mut lines: Vec<String> = changes.rows.iter().map(change_line).collect();
    let shown = changes.rows.len() as u64;
    if changes.changed > shown {
        lines.push(format!("  … (+{})", changes.changed - shown));
    }
    lines.extend(changes.faults.iter().map(|fault| format!("  {fault}")));
    let become_of = |when: Option<WhenChanged>| match when {
        Some(WhenChanged::Version) => Text::UplinkToVersions,
        Some(WhenChanged::Reject) => Text::UplinkToRejected,
        Some(WhenChanged::Skip) => Text::UplinkToSkipped,
        None => Text::UplinkToAsk,
    };
    let kinds = [Some(WhenChanged::Version), Some(WhenChanged::Reject), Some(WhenChanged::Skip), None];
    let of = |kind| planned.iter().zip(&changes.by_map).filter(move |(when, _)| **when == kind).map(|(_, count)| count);
    let kinds = kinds.into_iter().map(|kind| (kind, of(kind).sum::<u64>())).filter(|(_, count)| *count > 0);
    let changed: Vec<String> = kinds.map(|(kind, count)| format!("{count} {}", label(become_of(kind)))).collect();
    let changed = if changed.is_empty() { String::new() } else { format!(" ({})", changed.join(", ")) };
    let also = |count: u64, text| if count > 0 { format!(", {count} {}", label(text)) } else { String::new() };
    let changed = format!("{changed}{}", also(changes.again, Text::UplinkAgain));
    let blocked = also(changes.blocked, Text::UplinkBlocked);
    lines.push(format!(
        "{} {}, {} {}{changed}{blocked}, {} {}",
        changes.new,
        label(Text::UplinkNew),
        changes.changed,
        label(Text::UplinkChanged),
        changes.unchanged,
        label(Text::UplinkUnchanged)
    ));
    lines
}

/// A changed row: its number or else its place, its document, and names of fields.
fn change_line(change: &Change) -> String {
    let Change { place, number, schema, document, version, fields, again } = change;
    let number = number.as_ref().map_or_else(String::new, |number| format!("{number} "));
    let again = again.map_or_else(String::new, |version| format!(" (= {version})"));
    let (next, fields) = (version.saturating_add(1), fields.join(", "));
    format!("  {number}({place}) {schema} {document} {version} -> {next}: {fields}{again}")
}

/// What was done.
pub(super) fn sent(sent: &Sent, language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let mut lines = vec![format!(
        "{}: {} ({:.1}/s, {:.1} s); {}: {}; {}: {}",
        label(Text::UplinkSent),
        sent.sent,
        sent.per_second,
        sent.seconds,
        label(Text::UplinkAlready),
        sent.already,
        label(Text::UplinkRejected),
        sent.rejected
    )];
    for (text, count) in [(Text::UplinkVersions, sent.versions), (Text::UplinkSkipped, sent.skipped)] {
        if count > 0 {
            lines.push(format!("{}: {count}", label(text)));
        }
    }
    lines.extend(sent.rejected_files.iter().map(|path| format!("  {}: {}", label(Text::Written), path.display())));
    if sent.is_stopped {
        lines.push(label(Text::UplinkStopped).to_owned());
    }
    lines
}
