//! What can be seen of documents without changing them.

use std::process::ExitCode;

use serde_json::json;
use vouch_sdk::{Client, ListQuery};
use vouch_types::{
    api::{AuditRecordView, Language, QueryBody},
    document::{Document, DocumentId, Version},
};

use super::{
    super::{
        GlobalArgs,
        output::{EXIT_CONDITION, emit, inline, table, time_text},
        text::Text,
        tx::parse_contract,
    },
    CallerArgs, files, found, version_of,
};

/// Holders asked for at a time: the most that a list of the contract gives.
const HOLDERS_PAGE: usize = 50;

/// One question to the contract, as JSON.
async fn ask(client: &Client, method: &str, arguments: serde_json::Value) -> anyhow::Result<serde_json::Value> {
    let contract = parse_contract(vouch_types::document::CONTRACT).map_err(anyhow::Error::msg)?;
    let answer = client.query(&contract, method, QueryBody { arguments, ..QueryBody::default() }).await?;
    Ok(answer.value.unwrap_or_default())
}

pub(super) async fn show(id: DocumentId, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    let document = found(&client, id).await?;
    let mut versions = Vec::new();
    for version in 1..=document.latest {
        versions.extend(client.document_version(id, version).await?);
    }
    let erasure = ask(&client, "erasure", json!({ "id": id })).await?;
    let value = json!({ "document": document, "versions": versions, "erasure": erasure });
    emit(global, &value, |language| {
        let mut lines = document_lines(&document, language);
        lines.extend(versions.iter().flat_map(|version| version_lines(version, language)));
        if !erasure.is_null() {
            lines.push(format!("{}: {}", Text::Erasure.in_language(language), inline(&erasure)));
        }
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}

fn document_lines(document: &Document, language: Language) -> Vec<String> {
    let effective = document.effective.map_or_else(|| "-".to_owned(), |version| version.to_string());
    table(
        language,
        &[
            (Text::Document, document.id.to_string()),
            (Text::Schema, document.schema.clone()),
            (Text::Kind, format!("{:?}", document.category)),
            (Text::Issuer, document.issuer.clone()),
            (Text::EffectiveVersion, effective),
            (Text::Disputes, document.disputes.to_string()),
            (Text::Erasure, format!("{:?}", document.erasure)),
        ],
    )
}

fn version_lines(version: &Version, language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let mut lines = vec![format!(
        "{} {}: {:?}, {}, {} {}",
        label(Text::Version),
        version.version,
        version.state,
        time_text(version.submitted.time_ms.0),
        label(Text::Root),
        version.content.root
    )];
    for entry in &version.content.parties {
        let party = entry.party.clone();
        let name = party.member.or_else(|| party.subject.map(|alias| format!("subject:{alias}"))).unwrap_or_default();
        let has_signed = version.signatures.iter().any(|signature| signature.party == entry.party);
        let mark = if has_signed { label(Text::Signed) } else { "" };
        lines.push(format!("  {}: {name} {mark}", entry.role).trim_end().to_owned());
    }
    lines.extend(version.content.references.iter().map(|r| format!("  -> {}: {} {}", r.name, r.id, r.version)));
    lines
}

pub(super) async fn list(after: u64, limit: u32, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let entries = global.client()?.documents(after, limit).await?;
    emit(global, &entries, |_| {
        let line = |entry: &vouch_types::document::DocumentEntry| {
            let document = &entry.document;
            let (id, kind) = (document.id, format!("{:?}", document.category));
            format!("{:>6}  {id}  {kind:<11}  {:<24}  {}", entry.number, document.schema, document.issuer)
        };
        entries.iter().map(line).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Every member's word, page by page.
async fn all_holders(client: &Client, id: DocumentId) -> anyhow::Result<Vec<serde_json::Value>> {
    let mut all: Vec<serde_json::Value> = Vec::new();
    loop {
        let last = all.last().map(|last| (last["member"].clone(), last["version"].clone()));
        let (member, version) = last.unwrap_or_else(|| (json!(""), json!(0)));
        let page = json!({ "id": id, "after_member": member, "after_version": version, "limit": HOLDERS_PAGE });
        let serde_json::Value::Array(page) = ask(client, "holders", page).await? else { return Ok(all) };
        let is_last = page.len() < HOLDERS_PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

pub(super) async fn holders(id: DocumentId, version: Option<u32>, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    let version = version_of(&client, id, version).await?;
    let audience = client.audience(id, version).await?;
    let holders = all_holders(&client, id).await?;
    let value = json!({ "document": id, "version": version, "entitled": audience, "holders": holders });
    emit(global, &value, |language| {
        let holds =
            |member: &str| holders.iter().any(|holder| holder["version"] == version && holder["member"] == member);
        let line = |entitled: &vouch_types::document::Entitled| {
            let text = if holds(&entitled.member) { Text::Holds } else { Text::HoldsNot };
            let fields = Text::Fields.in_language(language);
            format!("{:<24}  {fields} {:>4}  {}", entitled.member, entitled.fields.len(), text.in_language(language))
        };
        let mut lines: Vec<String> = audience.members.iter().map(line).collect();
        lines.extend(audience.keys.iter().map(|entitled| format!("{}  {}", entitled.key, entitled.fields.len())));
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn holding(
    id: DocumentId,
    version: Option<u32>,
    caller: &CallerArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let (client, _) = caller.client(global)?;
    let version = version_of(&client, id, version).await?;
    let holding = client.document_holding(id, version).await?;
    emit(global, &holding, |language| {
        let fields = Text::Fields.in_language(language);
        let mut lines = vec![format!("{fields} {}", holding.fields.len())];
        lines.extend(holding.receipts.iter().map(|receipt| {
            let member = receipt.member.as_deref().unwrap_or("-");
            format!("{member:<24}  {fields} {:>4}  {}", receipt.fields.len(), receipt.holder)
        }));
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn vault(caller: &CallerArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let (client, _) = caller.client(global)?;
    let vault = client.vault().await?;
    emit(global, &vault, |language| {
        let mut lines = table(
            language,
            &[
                (Text::Member, vault.member.clone()),
                (Text::Height, vault.height.to_string()),
                (Text::Staged, vault.staged.to_string()),
                (Text::Uploads, format!("{}, {}", vault.uploads, files::size_text(vault.upload_bytes))),
                (Text::ReadAudit, format!("{} / {}", vault.audit_anchored, vault.audit_records)),
            ],
        );
        let missing = Text::Missing.in_language(language);
        lines
            .extend(vault.missing.iter().map(|version| format!("{missing}: {} {}", version.document, version.version)));
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn check(caller: &CallerArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let (client, _) = caller.client(global)?;
    let check = client.check_vault().await?;
    emit(global, &check, |language| {
        if check.damages.is_empty() {
            return vec![Text::NothingDamaged.in_language(language).to_owned()];
        }
        let label = Text::Damaged.in_language(language);
        let line = |damage: &vouch_types::api::DamageView| {
            let slot = damage.slot.map(|slot| format!(" {slot}")).unwrap_or_default();
            let slot = damage.field.as_ref().map_or(slot, |field| format!(" {field}"));
            let slot = damage.file.map_or_else(|| slot.clone(), |file| format!("{slot} {file}"));
            let bytes = damage.bytes.map(|[from, to]| format!(" {from}..{to}")).unwrap_or_default();
            format!("{label}: {} {} {}{slot}{bytes}", damage.document, damage.version, damage.place)
        };
        check.damages.iter().map(line).collect()
    })?;
    Ok(if check.damages.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CONDITION) })
}

pub(super) async fn audit(
    id: Option<DocumentId>,
    after: u64,
    limit: u32,
    caller: &CallerArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let (client, _) = caller.client(global)?;
    let page = client.read_audit(id, &ListQuery { from: Some(after.to_string()), limit: Some(limit) }).await?;
    emit(global, &page, |_| {
        let line = |record: &AuditRecordView| {
            let AuditRecordView { number, document, version, purpose, result, actor, .. } = record;
            let (time, shown) = (time_text(record.time.0), record.fields.len());
            format!("{number:>6}  {time}  {document} {version}  {shown:>4}  {purpose}  {result}  {actor}")
        };
        page.items.iter().map(line).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn erasure(id: DocumentId, caller: &CallerArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let (client, _) = caller.client(global)?;
    let statement = client.erasure_statement(id).await?;
    emit(global, &statement, |language| {
        table(
            language,
            &[
                (Text::Document, statement.document.to_string()),
                (Text::Member, statement.member.clone()),
                (Text::Height, statement.height.to_string()),
                (Text::Node, statement.node.to_string()),
                (Text::Hash, statement.digest.to_string()),
            ],
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
