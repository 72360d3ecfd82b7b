//! `vouch doc`: private documents, from a record to what every party holds.

mod acts;
mod dispute;
mod erasure;
mod evidence;
mod files;
mod provenance;
pub mod uplink;
mod view;

pub(super) use provenance::person_lines;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Map, Value};
use vouch_sdk::{Client, DocumentDraft, Error, FileRequest, Identity, SubmitOptions};
use vouch_types::{
    SecretKey, SubjectId,
    api::Problem,
    document::{Document, DocumentId, FieldSet, KeyRecipient, Party, PartyEntry, ReferenceEntry},
};

use super::{
    GlobalArgs,
    output::{emit, table},
    password::open_keys,
    text::Text,
};

/// Most bytes of a file with a document.
const DRAFT_BYTES_MAX: u64 = 8 << 20;

/// Private documents: submit, read, sign, accept, grant, dispute, erase, and see who holds what.
///
/// A document is a JSON file:
///
/// {"schema": "service-invoice", "values": {"amount": "12.50", …}, "parties": {"buyer": "acme", "worker": "subject:5f…"},
///  "references": [{"name": "transaction", "id": "0a…", "version": 1}], "public": ["kind"]}
///
/// A field that takes files has {"file": "contract.pdf"} as its value, or a list of such; "name" and "media" say it otherwise than
/// the path does, which is relative to the document. A submission with files that broke off goes on with the same command.
///
/// `vouch schema show NAME` lists fields and roles of parties. Values are sealed on this machine and go to your own member's node;
/// the chain gets a root that says nothing without them. Who may read which field the contract decides.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Seal a document, put it at the own node and on the chain, and check the proof
    Submit {
        /// The document, a JSON file
        file: PathBuf,
        /// A new version of this document
        #[arg(long, value_name = "ID")]
        revise: Option<DocumentId>,
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// Send files and databases as documents, in bulk
    Uplink(uplink::Args),
    /// Read private fields at the own node; each is checked against the chain
    Read {
        /// The document
        id: DocumentId,
        /// Its version; the newest if left out
        #[arg(long)]
        version: Option<u32>,
        /// A field; given once for each. All that may be seen if left out
        #[arg(long = "field", value_name = "NAME")]
        fields: Vec<String>,
        /// Why: a code that the schema lists; it stands in the read audit
        #[arg(long, value_name = "CODE")]
        purpose: String,
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// Read a file of a document at the own node into a file here; every byte is checked against the chain
    ///
    /// What came before a break lies beside it as FILE.….part, and the same command goes on from there.
    File {
        /// The document
        id: DocumentId,
        /// The field that names the file
        field: String,
        /// Which of the field's files, from 0
        #[arg(long, default_value_t = 0)]
        index: u16,
        /// Its version; the newest if left out
        #[arg(long)]
        version: Option<u32>,
        /// Why: a code that the schema lists; it stands in the read audit
        #[arg(long, value_name = "CODE")]
        purpose: String,
        /// Where to put it; must not exist yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// What the chain says of a document, for everyone: versions, state, parties, signatures, erasure
    Show {
        /// The document
        id: DocumentId,
    },
    /// Documents on the chain in order of their numbers
    List {
        /// After this number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// How many, at most 50
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// What a document stands on and what stands on it, each step proven by the chain and by nobody's word
    Provenance(provenance::ProvenanceArgs),
    /// Who is entitled to a document's private fields now, and who says that it holds them
    Holders {
        /// The document
        id: DocumentId,
        /// Its version; the newest if left out
        #[arg(long)]
        version: Option<u32>,
    },
    /// What the own node has of a version, and whose receipts lie there
    Holding {
        /// The document
        id: DocumentId,
        /// Its version; the newest if left out
        #[arg(long)]
        version: Option<u32>,
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// How the own node's vault is: what is missing, staged, audited
    Vault {
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// Check everything at rest in the own node's vault now
    Check {
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// Who has read: a document, or everything at the own node
    Audit {
        /// The document; the whole node's audit if left out
        id: Option<DocumentId>,
        /// After this record
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// The own node's word that it destroyed a document
    Erasure {
        /// The document
        id: DocumentId,
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// How far a document's erasure is at each member: attested in which block, still waited for, past the deadline, or held
    /// back; exit code 6 when a member is past the deadline
    ErasureStatus {
        /// The document
        id: DocumentId,
    },
    /// Write a package that proves fields of a document to anyone, without this network; vouch verify judges it
    Evidence(evidence::EvidenceArgs),
    /// Write fields of a document as an SD-JWT (RFC 9901), signed by your account
    SdJwt(evidence::SdJwtArgs),
    #[command(flatten)]
    Act(acts::Command),
    /// Disputes: open, answer, give evidence, rule
    #[command(subcommand)]
    Dispute(dispute::Command),
}

/// The account that asks.
#[derive(Debug, Clone, clap::Args)]
pub struct CallerArgs {
    /// Key file of an account of the node's member
    #[arg(long = "key", value_name = "FILE", env = "VOUCH_KEY")]
    pub key: PathBuf,
}

impl CallerArgs {
    /// A client that signs its requests with this key, and the key.
    ///
    /// # Errors
    /// When the key cannot be opened, or no chain is named.
    pub fn client(&self, global: &GlobalArgs) -> anyhow::Result<(Client, SecretKey)> {
        let key = open_keys(global, std::slice::from_ref(&self.key))?.pop().context("a key file")?;
        let mut config = global.client_config()?;
        if config.chain.is_none() {
            let text = "name the chain with --chain, or the node's home with --home: requests are signed for one chain";
            return Err(Error::Configuration(text.into()).into());
        }
        config.identity = Some(Identity::new(SecretKey::from_seed(*key.seed())));
        Ok((config.build()?, key))
    }
}

/// A document as people write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftFile {
    schema: String,
    #[serde(default)]
    schema_version: Option<u32>,
    values: Map<String, Value>,
    #[serde(default)]
    parties: Map<String, Value>,
    #[serde(default)]
    references: Vec<ReferenceEntry>,
    #[serde(default)]
    public: Vec<String>,
    #[serde(default)]
    recipients: Vec<KeyRecipient>,
}

/// Reads a party as people write it: a member's name, or `subject:` and the alias.
///
/// # Errors
/// What it must be.
pub fn parse_party(text: &str) -> Result<Party, String> {
    match text.strip_prefix("subject:") {
        None => Ok(Party::member(text)),
        Some(alias) => {
            let alias: SubjectId = alias.parse().map_err(|_| "subject: and 64 hexadecimal digits".to_owned())?;
            Ok(Party::subject(alias))
        }
    }
}

fn read_draft(path: &Path) -> anyhow::Result<DocumentDraft> {
    use std::io::Read as _;
    let fault = |what: String| Error::Construction(format!("{}: {what}", path.display()));
    let mut text = String::new();
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    file.take(DRAFT_BYTES_MAX).read_to_string(&mut text).with_context(|| path.display().to_string())?;
    let draft: DraftFile = serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
    let mut parties = Vec::new();
    for (role, named) in draft.parties {
        let names = match named {
            Value::Array(names) => names,
            one => vec![one],
        };
        for name in names {
            let text = name.as_str().ok_or_else(|| fault(format!("a party of role {role} is no text")))?;
            let party = parse_party(text).map_err(|what| fault(format!("a party of role {role}: expected {what}")))?;
            parties.push(PartyEntry { role: role.clone(), party });
        }
    }
    let DraftFile { schema, schema_version, values, references, public, recipients, .. } = draft;
    let files = Vec::new();
    Ok(DocumentDraft { schema, schema_version, values, parties, references, public, recipients, files })
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Submit { file, revise, caller } => submit(&file, revise, &caller, global).await,
        Command::Uplink(args) => Box::pin(uplink::run(args, global)).await,
        Command::Read { id, version, fields, purpose, caller } => {
            read(id, version, &fields, &purpose, &caller, global).await
        }
        Command::File { id, field, index, version, purpose, out, caller } => {
            let (client, _) = caller.client(global)?;
            let version = version_of(&client, id, version).await?;
            let request = FileRequest { document: id, version, field, index, purpose };
            files::save(&client, &request, &out, global).await
        }
        Command::Show { id } => view::show(id, global).await,
        Command::List { after, limit } => view::list(after, limit, global).await,
        Command::Provenance(args) => Box::pin(provenance::run(&args, global)).await,
        Command::Holders { id, version } => view::holders(id, version, global).await,
        Command::Holding { id, version, caller } => view::holding(id, version, &caller, global).await,
        Command::Vault { caller } => view::vault(&caller, global).await,
        Command::Check { caller } => view::check(&caller, global).await,
        Command::Audit { id, after, limit, caller } => view::audit(id, after, limit, &caller, global).await,
        Command::Erasure { id, caller } => view::erasure(id, &caller, global).await,
        Command::ErasureStatus { id } => erasure::status(id, global).await,
        Command::Evidence(args) => evidence::evidence(&args, global).await,
        Command::SdJwt(args) => evidence::sd_jwt(&args, global).await,
        Command::Act(command) => acts::run(command, global).await,
        Command::Dispute(command) => dispute::run(command, global).await,
    }
}

async fn submit(
    file: &Path,
    revise: Option<DocumentId>,
    caller: &CallerArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let mut draft = read_draft(file)?;
    let (client, key) = caller.client(global)?;
    let mut note = None;
    let mut options = SubmitOptions::default();
    if files::take(&client, &mut draft, file).await? {
        let latest = match revise {
            None => None,
            Some(id) => Some((id, version_of(&client, id, None).await?)),
        };
        let issuer = client.account().await?.node_member;
        let found = files::Note::open(file, &issuer, latest)?;
        if let Some(version) = found.is_done(&client, key.public().account()).await? {
            return files::show_done(found, &version, global);
        }
        options.resumption = Some(found.resumption());
        options.progress = Some(files::progress(global));
        note = Some(found);
    }
    let submitted = match revise {
        None => client.submit_document_with(&draft, &key, &options).await,
        Some(id) => client.revise_document_with(id, &draft, &key, &options).await,
    };
    // Another record was staged under the id that was noted: the next try takes another one.
    let is_over = submitted.as_ref().map_or_else(|error| error.code() == "stage.taken", |_| true);
    if let Some(note) = note.filter(|_| is_over) {
        note.remove()?;
    }
    let submitted = submitted?;
    emit(global, &submitted, |language| {
        table(
            language,
            &[
                (Text::Document, submitted.id.to_string()),
                (Text::Version, submitted.version.to_string()),
                (Text::Root, submitted.root.to_string()),
                (Text::Transaction, submitted.transaction.to_string()),
                (Text::Height, submitted.height.to_string()),
                (Text::Status, Text::ProofHolds.in_language(language).to_owned()),
            ],
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn read(
    id: DocumentId,
    version: Option<u32>,
    fields: &[String],
    purpose: &str,
    caller: &CallerArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let (client, _) = caller.client(global)?;
    let version = version_of(&client, id, version).await?;
    let named = (!fields.is_empty()).then_some(fields);
    let read = client.read_document(id, version, named, purpose).await?;
    emit(global, &read, |_| {
        read.fields.iter().map(|(name, value)| format!("{name}: {}", files::shown(value))).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A document on the chain.
async fn found(client: &Client, id: DocumentId) -> anyhow::Result<Document> {
    let unknown = || {
        let problem = Problem::new("vault.unknown_document", format!("the chain knows no document {id}"));
        Error::Refused { problem: Box::new(problem), node: String::new(), retry_after_s: None }
    };
    Ok(client.document(id).await?.ok_or_else(unknown)?)
}

/// The version named, else the newest.
async fn version_of(client: &Client, id: DocumentId, version: Option<u32>) -> anyhow::Result<u32> {
    match version {
        Some(version) => Ok(version),
        None => Ok(found(client, id).await?.latest),
    }
}

/// Slots of fields by name in the schema of a version.
async fn slots(client: &Client, id: DocumentId, version: u32, names: &[String]) -> anyhow::Result<FieldSet> {
    let document = found(client, id).await?;
    let fault = |what: String| Error::Construction(what);
    let content = client.document_version(id, version).await?;
    let content = content.ok_or_else(|| fault(format!("document {id} has no version {version}")))?.content;
    let schema = client.schema(&document.schema, Some(content.schema_version)).await?;
    let fields = schema.ok_or_else(|| fault(format!("there is no schema {}", document.schema)))?.definition.fields;
    let slot = |name: &String| {
        let at = fields.iter().position(|field| field.name == *name).and_then(|at| u16::try_from(at).ok());
        at.ok_or_else(|| fault(format!("the schema {} has no field {name}", document.schema)))
    };
    Ok(names.iter().map(slot).collect::<Result<FieldSet, Error>>()?)
}
