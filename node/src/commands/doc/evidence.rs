//! `vouch doc evidence` and `vouch doc sd-jwt`: fields leave, with what proves them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, BufWriter, ErrorKind, Read, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::SystemTime,
};

use anyhow::Context as _;
use serde_json::json;
use vouch_files::Draft;
use vouch_privacy::{
    evidence::{EvidenceError, FilePart, Package, verify},
    sd_jwt::Terms,
};
use vouch_sdk::{Client, Error, EvidenceRequest};
use vouch_types::{PublicKey, SecretKey, TimestampMs, document::DocumentId};

use super::{
    super::{
        GlobalArgs,
        output::{Refused, emit, table},
        text::Text,
    },
    CallerArgs, slots, version_of,
};

/// Arguments of `vouch doc evidence`.
#[derive(Debug, clap::Args)]
pub(super) struct EvidenceArgs {
    /// The document
    id: DocumentId,
    /// Its version; the newest if left out
    #[arg(long)]
    version: Option<u32>,
    /// A field; given once for each. All that may be seen if left out
    #[arg(long = "field", value_name = "NAME")]
    fields: Vec<String>,
    /// Take along the documents that it builds on, step by step, with the fields that may be seen
    #[arg(long)]
    related: bool,
    /// Why: a code that the schema lists; it stands in the read audit
    #[arg(long, value_name = "CODE")]
    purpose: String,
    /// What you want to say with it; stands in the package as your word
    #[arg(long, value_name = "TEXT", default_value = "")]
    statement: String,
    /// A file of the document: the field that names it (with `#1` for its second file, and so on) and your copy of it
    #[arg(long = "file", value_name = "FIELD=PATH")]
    files: Vec<String>,
    /// Take along the access log: name of your node, as its audit is anchored on the chain. Needs the role auditor
    #[arg(long, value_name = "NODE")]
    audit: Option<String>,
    /// A program that gets the manifest on its input and writes an RFC 3161 time stamp of it to its output
    #[arg(long, value_name = "PROGRAM")]
    stamp_with: Option<PathBuf>,
    /// Where to write the package; must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    caller: CallerArgs,
}

/// Arguments of `vouch doc sd-jwt`.
#[derive(Debug, clap::Args)]
pub(super) struct SdJwtArgs {
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
    /// In how many days it ends to be in force
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    days: u32,
    /// The holder's key, as `ed25519:…`: only who has its secret can present it
    #[arg(long, value_name = "KEY")]
    holder: Option<PublicKey>,
    /// Where to write it; must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    caller: CallerArgs,
}

/// Most bytes of a time stamp: what a verifier takes.
const STAMP_BYTES_MAX: u64 = 1 << 20;

fn now() -> TimestampMs {
    let passed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    TimestampMs(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
}

fn refused(error: &EvidenceError, path: &Path) -> anyhow::Error {
    Refused::error(error.code(), error.to_string(), path.display().to_string())
}

/// What went wrong with a file.
fn io_fault(error: &std::io::Error, path: &Path) -> anyhow::Error {
    let detail = match error.kind() {
        ErrorKind::AlreadyExists => "there is a file at that path already".to_owned(),
        _ => error.to_string(),
    };
    Refused::error("evidence.io", detail, path.display().to_string())
}

/// Refuses a path at which a file is, or none can be, before a reading stands in an audit for nothing.
fn must_be_new(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        return Err(io_fault(&ErrorKind::AlreadyExists.into(), path));
    }
    Draft::beside(path).map(drop).map_err(|error| io_fault(&error, path))
}

pub(super) async fn evidence(args: &EvidenceArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    must_be_new(&args.out)?;
    let (client, key) = args.caller.client(global)?;
    let version = version_of(&client, args.id, args.version).await?;
    let request = EvidenceRequest {
        id: args.id,
        version,
        fields: (!args.fields.is_empty()).then(|| args.fields.clone()),
        related: args.related,
        purpose: args.purpose.clone(),
        statement: args.statement.clone(),
        audit: args.audit.clone(),
        signer: key.public(),
        at: now(),
    };
    let mut package = client.export_evidence(&request).await?;
    let files = attach(&client, &mut package, args, version).await?;
    let report = write(&package, args, &key, &files)?;
    let documents: Vec<String> =
        report.documents.iter().map(|found| format!("{} {}", found.id, found.version)).collect();
    let bytes = fs::metadata(&args.out).map_or(0, |found| found.len());
    let value = json!({ "file": args.out, "bytes": bytes, "chain": report.chain, "documents": documents,
        "manifest_sha256": report.manifest_sha256, "verified": report.verified, "claimed": report.claimed });
    emit(global, &value, |language| {
        table(
            language,
            &[
                (Text::File, args.out.display().to_string()),
                (Text::Chain, report.chain.to_string()),
                (Text::Document, documents.join(", ")),
                (Text::Status, Text::EvidenceHolds.in_language(language).to_owned()),
            ],
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Where each file's content lies, by slot and place.
type Files = BTreeMap<(u16, u16), PathBuf>;

async fn attach(client: &Client, package: &mut Package, args: &EvidenceArgs, version: u32) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for given in &args.files {
        let fault = || Error::Configuration(format!("{given:?}: expected FIELD=PATH or FIELD#PLACE=PATH"));
        let (field, path) = given.split_once('=').ok_or_else(fault)?;
        let (field, index) = match field.split_once('#') {
            None => (field, 0),
            Some((field, index)) => (field, index.parse().map_err(|_| fault())?),
        };
        let set = slots(client, args.id, version, &[field.to_owned()]).await?;
        let slot = set.iter().next().ok_or_else(fault)?;
        let path = PathBuf::from(path);
        let content = File::open(&path).with_context(|| path.display().to_string())?;
        let taken = package.attach(0, slot, index, None, &mut BufReader::new(content));
        taken.map_err(|error| refused(&error, &path))?;
        files.insert((slot, index), path);
    }
    Ok(files)
}

/// Writes, and verifies what was written as anyone else will.
fn write(
    package: &Package,
    args: &EvidenceArgs,
    key: &SecretKey,
    files: &Files,
) -> anyhow::Result<vouch_privacy::evidence::Report> {
    let fault = |error: std::io::Error| io_fault(&error, &args.out);
    let draft = Draft::beside(&args.out).map_err(fault)?;
    let mut open = |part: FilePart| -> std::io::Result<Box<dyn Read>> {
        let path = files.get(&(part.slot, part.index)).ok_or(ErrorKind::NotFound)?;
        let mut content = File::open(path)?;
        content.seek(SeekFrom::Start(part.offset))?;
        Ok(Box::new(BufReader::new(content)))
    };
    let mut stamp = |manifest: &[u8]| stamped(args.stamp_with.as_deref(), manifest);
    let stamp = args.stamp_with.is_some().then_some(&mut stamp as &mut dyn FnMut(&[u8]) -> std::io::Result<Vec<u8>>);
    let written = package.write(BufWriter::new(draft.file()), key, &mut open, stamp);
    let written = written.map_err(|error| refused(&error, &args.out))?;
    let mut out = written.into_inner().map_err(|error| fault(error.into_error()))?;
    out.rewind().map_err(fault)?;
    let report = verify(BufReader::new(out), Some(package.chain)).map_err(|error| refused(&error, &args.out))?;
    draft.keep_new().map_err(fault)?;
    Ok(report)
}

/// Runs the program that has the manifest stamped. It may write while it reads, and need not read all: how it ends counts.
fn stamped(program: Option<&Path>, manifest: &[u8]) -> std::io::Result<Vec<u8>> {
    let program = program.ok_or(ErrorKind::NotFound)?;
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let mut input = input.ok_or(ErrorKind::BrokenPipe)?;
    let mut stamp = Vec::new();
    let read = std::thread::scope(|threads| {
        // Dropped at its end, which tells the program that this is all.
        threads.spawn(move || drop(input.write_all(manifest)));
        let read = output.map_or(Ok(0), |output| output.take(STAMP_BYTES_MAX + 1).read_to_end(&mut stamp));
        if read.is_err() || stamp.len() as u64 > STAMP_BYTES_MAX {
            drop(child.kill());
        }
        read
    });
    // Reaped in any case.
    let status = child.wait()?;
    read?;
    if stamp.len() as u64 > STAMP_BYTES_MAX {
        return Err(std::io::Error::other(format!("{} wrote more than {STAMP_BYTES_MAX} bytes", program.display())));
    }
    if status.success() {
        Ok(stamp)
    } else {
        Err(std::io::Error::other(format!("{} ended with {status}", program.display())))
    }
}

pub(super) async fn sd_jwt(args: &SdJwtArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    must_be_new(&args.out)?;
    let (client, key) = args.caller.client(global)?;
    let chain = client.params().await?.chain;
    let version = version_of(&client, args.id, args.version).await?;
    let issued_at = now().0 / 1_000;
    let expires_at = Some(issued_at.saturating_add(86_400 * u64::from(args.days)));
    let member = client.account().await?.node_member;
    let terms = Terms { chain, member, issued_at, expires_at, holder: args.holder };
    let fields = (!args.fields.is_empty()).then_some(&args.fields[..]);
    let made = client.export_sd_jwt(args.id, version, fields, &args.purpose, &terms, &key).await?;
    vouch_files::write_new(&args.out, made.to_text().as_bytes()).map_err(|error| io_fault(&error, &args.out))?;
    let value = json!({ "file": args.out, "document": args.id, "version": version, "key": key.public(), "expires_at": expires_at });
    emit(global, &value, |language| {
        table(language, &[(Text::File, args.out.display().to_string()), (Text::Key, key.public().to_string())])
    })?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamping_program_may_write_while_it_reads_and_need_not_read() {
        let manifest = vec![b'm'; 1 << 20];
        let run = |program: &str| stamped(Some(Path::new(program)), &manifest);
        assert!(run("/bin/cat").unwrap() == manifest, "more than a pipe holds");
        assert!(run("/bin/true").unwrap().is_empty(), "it read nothing");
        assert!(run("/bin/false").unwrap_err().to_string().contains("ended with"));
        assert!(run("/usr/bin/yes").unwrap_err().to_string().contains("wrote more than"), "it is not waited for");
    }

    #[test]
    fn where_a_file_is_none_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("case.zip");
        must_be_new(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing stays of the try");
        fs::write(&path, "there").unwrap();
        assert!(must_be_new(&path).unwrap_err().to_string().contains("already"));
        assert!(must_be_new(&folder.path().join("none/case.zip")).is_err());
    }
}
