//! `vouch subject`: persons, known on the chain by aliases only.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use vouch_sdk::{ListQuery, keystore};
use vouch_types::{
    PublicKey, SecretKey, SubjectId,
    api::{HeldView, Language, QueryBody},
    relation,
};

use super::{
    GlobalArgs,
    doc::{CallerArgs, person_lines},
    output::{EXIT_CONDITION, emit, inline},
    password::open_keys,
    text::Text,
    tx::{SigningArgs, parse_contract, sign_and_submit},
    user,
};

/// Persons served by a member. On the chain each is an alias of 32 random bytes; who it is stays with the member.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register a person whom your member serves from now on; prints the alias to keep
    Register {
        /// The alias; a random one if left out
        #[arg(long, value_name = "HEX")]
        alias: Option<SubjectId>,
        /// Key file of a key of the person's own, made with `vouch key generate`: with it they read, sign, object and ask
        #[arg(long, value_name = "FILE")]
        own_key: Option<PathBuf>,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Set or change a person's own key
    SetKey {
        /// The alias
        alias: SubjectId,
        /// Key file of the new key
        #[arg(long, value_name = "FILE")]
        own_key: PathBuf,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// What the node holds about a person: asked by the person with their own key at any node, or by a member that serves
    /// them at its own
    Held {
        /// The alias
        alias: SubjectId,
        /// After this number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// How many, at most 50
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// Close a person's registration: nothing new is taken for them
    Close {
        /// The alias
        alias: SubjectId,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// What the chain says of an alias
    Show {
        /// The alias
        alias: SubjectId,
    },
    /// Who registered an alias, every key that was the person's and who served them, each proven from the chain's id
    Prove {
        /// The alias
        alias: SubjectId,
        /// Whether this is the person's key, as `ed25519:…`; exit code 6 when it is not, or no longer
        #[arg(long, value_name = "PUBLIC KEY")]
        key: Option<PublicKey>,
    },
    /// Aliases that a member registered
    List {
        /// The member
        member: String,
        /// After this number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// How many, at most 50
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

/// Asks the contract `relations`.
///
/// # Errors
/// As it went wrong.
pub async fn ask(global: &GlobalArgs, method: &str, arguments: Value) -> anyhow::Result<Value> {
    let contract = parse_contract(relation::CONTRACT).map_err(anyhow::Error::msg)?;
    let answer = global.client()?.query(&contract, method, QueryBody { arguments, ..QueryBody::default() }).await?;
    Ok(answer.value.unwrap_or_default())
}

/// Shows what it said: a list one per line.
///
/// # Errors
/// When standard output is closed.
pub fn show(global: &GlobalArgs, value: &Value) -> anyhow::Result<ExitCode> {
    emit(global, value, |_| match value {
        Value::Array(items) => items.iter().map(inline).collect(),
        one => vec![inline(one)],
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The member of the account that signs first.
async fn member_of_signer(global: &GlobalArgs, signing: &SigningArgs) -> anyhow::Result<String> {
    let first = signing.keys.first().context("a key that signs")?;
    Ok(user::find(keystore::public_key(first)?.account(), global).await?.member)
}

fn open_key(global: &GlobalArgs, file: &Path) -> anyhow::Result<SecretKey> {
    open_keys(global, &[file.to_owned()])?.pop().context("a key file")
}

/// A document, and below it the versions of which something lies at the node.
fn held_lines(held: &HeldView, language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let HeldView { number, document, schema, issuer, reads, .. } = held;
    let mut lines =
        vec![format!("{number:>6}  {document}  {schema:<24}  {issuer:<24}  {} {reads}", label(Text::Reads))];
    lines.extend(held.versions.iter().map(|version| {
        let fields = version.fields.len();
        format!("        {} {}  {} {fields}", label(Text::Version), version.version, label(Text::Fields))
    }));
    if held.versions.is_empty() {
        lines.push(format!("        {}", label(Text::NothingHeld)));
    }
    lines
}

/// Proves a person, and whether a key is theirs.
async fn prove(alias: SubjectId, key: Option<PublicKey>, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let person = global.pinned_client()?.proven_person(alias).await?;
    let known =
        key.map(|key| (person.keys.iter().any(|of| of.key == key), person.key().is_some_and(|of| of.key == key)));
    let said = known.map(|known| match known {
        (_, true) => Text::KeyIsTheirs,
        (true, false) => Text::KeyWasTheirs,
        (false, false) => Text::KeyNeverTheirs,
    });
    let value = json!({ "person": person, "key": key, "is_theirs": known.map(|(_, now)| now), "was_theirs": known.map(|(ever, _)| ever) });
    emit(global, &value, |language| {
        let mut lines = person_lines(&person, language);
        lines.extend(said.map(|said| said.in_language(language).to_owned()));
        lines
    })?;
    Ok(if known.is_some_and(|(_, now)| !now) { ExitCode::from(EXIT_CONDITION) } else { ExitCode::SUCCESS })
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Register { alias, own_key, signing } => {
            let alias = alias.unwrap_or_else(|| SubjectId(rand::random()));
            let client = global.client()?;
            let builder = client.transaction_builder().await?;
            let builder = match own_key {
                None => builder.register_subject(alias),
                Some(file) => {
                    let member = member_of_signer(global, &signing).await?;
                    builder.register_subject_with_key(alias, &member, &open_key(global, &file)?)
                }
            };
            if !global.json {
                emit(global, &alias, |_| vec![format!("subject:{alias}")])?;
            }
            sign_and_submit(&client, builder, &signing, global).await
        }
        Command::SetKey { alias, own_key, signing } => {
            let client = global.client()?;
            let own = open_key(global, &own_key)?;
            let registered = ask(global, "subject", json!({ "alias": alias })).await?;
            let member = registered["member"].as_str().unwrap_or_default();
            let builder = client.transaction_builder().await?.set_subject_key(alias, member, &own);
            sign_and_submit(&client, builder, &signing, global).await
        }
        Command::Held { alias, after, limit, caller } => {
            let (client, _) = caller.client(global)?;
            let query = ListQuery { from: Some(after.to_string()), limit: Some(limit) };
            let page = client.held(alias, &query).await?;
            emit(global, &page, |language| page.items.iter().flat_map(|held| held_lines(held, language)).collect())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Close { alias, signing } => {
            let client = global.client()?;
            let builder = client.transaction_builder().await?.close_subject(alias);
            sign_and_submit(&client, builder, &signing, global).await
        }
        Command::Show { alias } => show(global, &ask(global, "subject", json!({ "alias": alias })).await?),
        Command::Prove { alias, key } => prove(alias, key, global).await,
        Command::List { member, after, limit } => {
            let arguments = json!({ "member": member, "after": after, "limit": limit });
            show(global, &ask(global, "list_member_subjects", arguments).await?)
        }
    }
}
