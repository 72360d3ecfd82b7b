//! `vouch schema`: what documents of a kind have in them, as the members registered it.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use vouch_sdk::{Error, ProposalDraft};
use vouch_types::{
    api::{Language, QueryBody},
    document::{self, Schema, SchemaDefinition},
};

use super::{
    GlobalArgs,
    decide::{DecideArgs, deadline, submit},
    output::{emit, table},
    text::Text,
    tx::parse_contract,
};

/// Most bytes of a file with a schema.
const SCHEMA_BYTES_MAX: u64 = 1 << 20;

/// Schemas of documents: fields with their grades and readers, roles of parties, references, purposes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Registered schemas
    List {
        /// After this number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// How many, at most 50
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One schema with its fields, parties, references and purposes
    Show {
        /// Its name
        name: String,
        /// Its version; the newest if left out
        #[arg(long)]
        version: Option<u32>,
    },
    /// Propose to register a schema, or a new version of one
    Register {
        /// The definition, a JSON file
        file: PathBuf,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Propose that no new document uses a schema
    Retire {
        /// Its name
        name: String,
        /// Its version
        version: u32,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { after, limit } => list(after, limit, global).await,
        Command::Show { name, version } => {
            let unknown = || Error::Construction(format!("there is no schema {name}"));
            let schema = global.client()?.schema(&name, version).await?.ok_or_else(unknown)?;
            emit(global, &schema, |language| lines(&schema, language))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Register { file, decide } => {
            let definition = read(&file)?;
            let title = format!("Schema {}", definition.name);
            propose("register_schema", title, json!({ "definition": definition }), &decide, global).await
        }
        Command::Retire { name, version, decide } => {
            let title = format!("Retire schema {name} version {version}");
            propose("retire_schema", title, json!({ "name": name, "version": version }), &decide, global).await
        }
    }
}

async fn list(after: u64, limit: u32, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let contract = parse_contract(document::CONTRACT).map_err(anyhow::Error::msg)?;
    let body = QueryBody { arguments: json!({ "after": after, "limit": limit }), ..QueryBody::default() };
    let entries = global.client()?.query(&contract, "list_schemas", body).await?.value.unwrap_or_default();
    emit(global, &entries, |_| {
        let line = |entry: &Value| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            format!("{:>6}  {} {}", entry["number"], text("name"), entry["version"])
        };
        entries.as_array().into_iter().flatten().map(line).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &std::path::Path) -> anyhow::Result<SchemaDefinition> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    file.take(SCHEMA_BYTES_MAX).read_to_string(&mut text).with_context(|| path.display().to_string())?;
    let fault = |error: serde_json::Error| Error::Configuration(format!("{}: {error}", path.display()));
    Ok(serde_json::from_str(&text).map_err(fault)?)
}

async fn propose(
    method: &str,
    title: String,
    arguments: Value,
    decide: &DecideArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    let contract = parse_contract(document::CONTRACT).map_err(anyhow::Error::msg)?;
    let abi = client.abi(&contract).await?;
    let title = decide.title.clone().unwrap_or(title);
    let draft = ProposalDraft::new("documents", title, deadline(decide.hours)?);
    let draft = draft.action_json(&abi, &contract, method, &arguments)?;
    let builder = client.transaction_builder().await?.propose(&draft);
    submit(&client, builder, &decide.signing, global).await
}

fn lines(schema: &Schema, language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let in_language = |en: &str, zh: &str| match language {
        Language::English => en.to_owned(),
        Language::Chinese => zh.to_owned(),
    };
    let SchemaDefinition { name, title_en, title_zh, category, fields, parties, references, purposes, .. } =
        &schema.definition;
    let mut lines = table(
        language,
        &[
            (Text::Schema, format!("{name} {}", schema.version)),
            (Text::Title, in_language(title_en, title_zh)),
            (Text::Kind, format!("{category:?}")),
        ],
    );
    for field in fields {
        let mark = |set: bool, text: Text| if set { label(text) } else { "" };
        let (required, public) = (mark(field.required, Text::Required), mark(field.public, Text::Public));
        let (kind, title) = (format!("{:?}", field.kind), in_language(&field.title_en, &field.title_zh));
        let line = format!("  {:<24}  {kind:<10}  {}  {title}  {required} {public}", field.name, field.grade);
        lines.push(line.trim_end().to_owned());
    }
    let rules = [Text::Parties, Text::References, Text::Purposes].map(label);
    let counted = |min: u8, max: u8| if min == max { min.to_string() } else { format!("{min}..{max}") };
    lines.push(rules[0].to_owned());
    lines.extend(parties.iter().map(|rule| {
        let title = in_language(&rule.title_en, &rule.title_zh);
        format!("  {:<24}  {:<10}  {title}", rule.role, counted(rule.min, rule.max))
    }));
    lines.push(rules[1].to_owned());
    lines.extend(references.iter().map(|rule| {
        let title = in_language(&rule.title_en, &rule.title_zh);
        format!("  {:<24}  {:<10}  {title}", rule.name, counted(rule.min, rule.max))
    }));
    lines.push(rules[2].to_owned());
    lines.extend(purposes.iter().map(|rule| {
        let title = in_language(&rule.title_en, &rule.title_zh);
        format!("  {:<24}  {:<10}  {title}", rule.code, rule.grade)
    }));
    lines
}
