//! What the member's authority does: issue, renew, revoke, destroy, each on the chain too.
//!
//! A certificate leaves the authority when it stands on the chain. What a command could not finish stands in the folder;
//! `vouch cert record` brings it to its end.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::{Value, json};
use vouch_certificates::{Certificate, Order, Profile, Reason, Request, ServerName, Subject, SubjectKind};
use vouch_sdk::{Client, Error, ListQuery};
use vouch_types::{
    Hash32,
    api::{CertificateView, HexBytes, OutcomeView},
};

use super::{
    AuthorityArgs, ChainArgs, SubjectArgs,
    folder::{Entry, Folder, Standing, destroy_file},
    lines, refused, value,
};
use crate::{
    commands::{
        GlobalArgs,
        decide::system,
        output::{Refused, emit, table, time_text},
        text::Text,
        tx::{self, SigningArgs},
    },
    home,
    runner::wall,
};

/// What is issued.
#[derive(Debug, clap::Args)]
pub struct IssueArgs {
    /// The request
    request: PathBuf,
    #[command(flatten)]
    subject: SubjectArgs,
    /// How long it lasts, in days
    #[arg(long, default_value_t = 90)]
    days: u32,
    /// For a server of the system instead of a client
    #[arg(long, conflicts_with_all = ["account", "node"])]
    server: bool,
    /// Where to write the certificate; must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    authority: AuthorityArgs,
    #[command(flatten)]
    chain: ChainArgs,
}

/// What is renewed.
#[derive(Debug, clap::Args)]
pub struct RenewArgs {
    /// The certificate
    fingerprint: Hash32,
    /// A new request, of the same subject, for a new key; the key stays the same if left out
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// How long the new one lasts, in days
    #[arg(long, default_value_t = 90)]
    days: u32,
    /// Where to write it; must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    authority: AuthorityArgs,
    #[command(flatten)]
    chain: ChainArgs,
}

impl SubjectArgs {
    /// As it stands in certificates.
    ///
    /// # Errors
    /// `certificate.name`.
    pub fn subject(&self, member: &str) -> anyhow::Result<Subject> {
        let made = match (&self.system, &self.account, &self.node) {
            (Some(name), _, _) => Subject::new(member, SubjectKind::System, name),
            (_, Some(account), _) => Subject::new(member, SubjectKind::Account, &account.to_string()),
            (_, _, Some(name)) => Subject::new(member, SubjectKind::Node, name),
            _ => anyhow::bail!("name whom the certificate is for: --system, --account or --for-node"),
        };
        made.map_err(|error| refused(&error, ""))
    }
}

fn read_request(path: &Path) -> anyhow::Result<Request> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Request::read(&bytes).map_err(|error| refused(&error, path.display()))
}

fn must_be_free(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        anyhow::bail!("{} is there already; name a file that is not", path.display());
    }
    Ok(())
}

/// `vouch cert issue`.
///
/// # Errors
/// As it went wrong.
pub async fn issue(args: IssueArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    must_be_free(&args.out)?;
    let folder = Folder::open(&args.authority.authority)?;
    let subject = args.subject.subject(folder.member())?;
    let request = read_request(&args.request)?;
    let profile = match (subject.kind, args.server) {
        (SubjectKind::Node, _) => Profile::NodeAuthority,
        (_, true) => Profile::Server,
        (_, false) => Profile::Client,
    };
    let names: &[ServerName] = if profile == Profile::Client { &[] } else { request.names() };
    args.chain.check()?;
    let authority = folder.authority(global)?;
    let order = Order { request: &request, subject: &subject, profile, names, days: args.days };
    let certificate = authority.issue(&order, wall()).map_err(|error| refused(&error, args.request.display()))?;
    let entry =
        Entry { certificate: certificate.to_pem(), subject, standing: Standing::Issued, renews: None, revoked: None };
    give_out(&folder, &certificate, entry, &args.out, &args.chain, global).await
}

/// `vouch cert renew`.
///
/// # Errors
/// As it went wrong.
pub async fn renew(args: RenewArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    must_be_free(&args.out)?;
    let folder = Folder::open(&args.authority.authority)?;
    let old = folder.find(args.fingerprint)?;
    if !old.standing.counts() {
        let text = format!("{} is {}", args.fingerprint, old.standing.as_str());
        return Err(Refused::error("certificate.authority", text, ""));
    }
    args.chain.check()?;
    let authority = folder.authority(global)?;
    let before = old.read()?;
    let made = match &args.request {
        None => authority.renew(&before, args.days, wall()),
        Some(path) => {
            let request = read_request(path)?;
            let profile = Profile::of(&before);
            let names: &[ServerName] = if profile == Profile::Client { &[] } else { request.names() };
            let order = Order { request: &request, subject: &old.subject, profile, names, days: args.days };
            authority.issue(&order, wall())
        }
    };
    let certificate = made.map_err(|error| refused(&error, args.fingerprint))?;
    let entry = Entry {
        certificate: certificate.to_pem(),
        subject: old.subject,
        standing: Standing::Issued,
        renews: Some(args.fingerprint),
        revoked: None,
    };
    give_out(&folder, &certificate, entry, &args.out, &args.chain, global).await
}

/// Keeps it, brings it onto the chain, and only then writes it for whoever applied.
async fn give_out(
    folder: &Folder,
    certificate: &Certificate,
    mut entry: Entry,
    out: &Path,
    chain: &ChainArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    if folder.is_compromised(certificate)? {
        let text = "others may have this key: its certificate was revoked for that; make a request for a new one";
        return Err(Refused::error("certificate.authority", text, ""));
    }
    folder.keep(&entry)?;
    if !chain.offline {
        record_entry(folder, certificate, &entry, chain, global).await.with_context(|| {
            let (fingerprint, out) = (certificate.fingerprint(), out.display());
            format!("{fingerprint} is signed and not on the chain: vouch cert record {fingerprint} --out {out}")
        })?;
        entry.standing = Standing::Recorded;
        folder.keep(&entry)?;
    }
    home::replace(out, entry.certificate.as_bytes(), 0o644)?;
    show(certificate, entry.standing, global)
}

fn show(certificate: &Certificate, standing: Standing, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let text = standing.as_str();
    emit(global, &value(certificate, text), |language| lines(certificate, text, language))?;
    Ok(ExitCode::SUCCESS)
}

impl ChainArgs {
    /// Before anything is signed: that somebody can bring it onto the chain.
    fn check(&self) -> anyhow::Result<()> {
        if self.keys.is_empty() && !self.offline {
            let text = "name who records it on the chain with --key FILE, or leave that for later with --offline";
            return Err(Error::Configuration(text.into()).into());
        }
        Ok(())
    }
}

/// A call of the kernel, final and successful.
async fn call(method: &str, arguments: &Value, chain: &ChainArgs, global: &GlobalArgs) -> anyhow::Result<()> {
    let client = global.client()?;
    let abi = client.abi(&system()?).await?;
    let builder = client.transaction_builder().await?.call_json(&abi, system()?, method, arguments)?;
    let timeout_s = chain.timeout_s;
    let signing = SigningArgs { keys: chain.keys.clone(), expires_in: None, no_wait: false, timeout_s };
    let transaction = tx::sign(&client, builder, &signing, global).await?;
    client.submit(&transaction).await?;
    let view = client.wait(transaction.id, Duration::from_secs(timeout_s)).await?;
    match view.receipt.outcome {
        OutcomeView::Success => Ok(()),
        OutcomeView::Failed { code, message, .. } => Err(Error::Failed { id: view.id, code, message }.into()),
    }
}

/// What the chain says of a certificate.
///
/// # Errors
/// When no node answers.
pub async fn on_chain(client: &Client, member: &str, fingerprint: Hash32) -> anyhow::Result<Option<CertificateView>> {
    // The list goes up by fingerprint, beginning above the one that is named.
    let mut before = fingerprint.0;
    for byte in before.iter_mut().rev() {
        let (less, borrows) = byte.overflowing_sub(1);
        *byte = less;
        if !borrows {
            break;
        }
    }
    let query = ListQuery { from: Some(Hash32(before).to_string()), limit: Some(1) };
    let page = client.certificates(Some(member), &query).await?;
    Ok(page.items.into_iter().find(|record| record.fingerprint == fingerprint))
}

async fn record_entry(
    folder: &Folder,
    certificate: &Certificate,
    entry: &Entry,
    chain: &ChainArgs,
    global: &GlobalArgs,
) -> anyhow::Result<()> {
    // A command that was cut off may have brought it there.
    if on_chain(&global.client()?, folder.member(), certificate.fingerprint()).await?.is_some() {
        return Ok(());
    }
    let of_kind = |kind| (entry.subject.kind == kind).then(|| entry.subject.name.clone());
    let arguments = json!({
        "member": folder.member(),
        "fingerprint": certificate.fingerprint(),
        "serial": HexBytes(certificate.serial().to_vec()),
        "account": of_kind(SubjectKind::Account),
        "node": of_kind(SubjectKind::Node),
        "system": of_kind(SubjectKind::System),
        "not_after_ms": certificate.not_after().0,
        "renews": entry.renews,
    });
    call("record_certificate", &arguments, chain, global).await
}

/// `vouch cert record`: brings to its end what another command could not.
///
/// # Errors
/// As it went wrong.
pub async fn record(
    fingerprint: Hash32,
    out: Option<&Path>,
    authority: &AuthorityArgs,
    chain: &ChainArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    if let Some(path) = out {
        must_be_free(path)?;
    }
    if chain.keys.is_empty() || chain.offline {
        return Err(Error::Configuration("name who records it on the chain with --key FILE".into()).into());
    }
    let folder = Folder::open(&authority.authority)?;
    let mut entry = folder.find(fingerprint)?;
    let certificate = entry.read()?;
    match entry.standing {
        Standing::Issued | Standing::Recorded => {
            record_entry(&folder, &certificate, &entry, chain, global).await?;
            entry.standing = Standing::Recorded;
        }
        Standing::RevokedHere | Standing::Revoked => {
            end_on_chain(&folder, &certificate, &entry, chain, global).await?;
            entry.standing = Standing::Revoked;
        }
        Standing::DestroyedHere | Standing::Destroyed => {
            end_on_chain(&folder, &certificate, &entry, chain, global).await?;
            entry.standing = Standing::Destroyed;
        }
    }
    folder.keep(&entry)?;
    if let Some(path) = out {
        home::replace(path, entry.certificate.as_bytes(), 0o644)?;
    }
    show(&certificate, entry.standing, global)
}

/// Brings the end of a certificate onto the chain, as far as it is not there.
async fn end_on_chain(
    folder: &Folder,
    certificate: &Certificate,
    entry: &Entry,
    chain: &ChainArgs,
    global: &GlobalArgs,
) -> anyhow::Result<()> {
    let fingerprint = certificate.fingerprint();
    let known = on_chain(&global.client()?, folder.member(), fingerprint).await?;
    let standing = match known {
        Some(record) => record.standing,
        None => {
            let own = Entry { renews: None, ..entry.clone() };
            record_entry(folder, certificate, &own, chain, global).await?;
            "valid".into()
        }
    };
    let reason = entry.revoked.map_or("unspecified", |(_, reason)| reason.as_str());
    let is_destroyed = matches!(entry.standing, Standing::DestroyedHere | Standing::Destroyed);
    match (is_destroyed, standing.as_str()) {
        (_, "destroyed") | (false, "revoked") => Ok(()),
        (true, _) => call("destroy_certificate", &json!({ "fingerprint": fingerprint }), chain, global).await,
        (false, _) => {
            let arguments = json!({ "fingerprint": fingerprint, "reason": reason });
            call("revoke_certificate", &arguments, chain, global).await
        }
    }
}

/// `vouch cert revoke`: with a key that others may have end all certificates that are for it.
///
/// # Errors
/// As it went wrong.
pub async fn revoke(
    fingerprint: Hash32,
    reason: Reason,
    authority: &AuthorityArgs,
    chain: &ChainArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    chain.check()?;
    let mut folder = Folder::open(&authority.authority)?;
    let entry = folder.find(fingerprint)?;
    if !entry.standing.counts() {
        let text = format!("{fingerprint} is {}", entry.standing.as_str());
        return Err(Refused::error("certificate.authority", text, ""));
    }
    let mut entries = vec![entry.clone()];
    if reason == Reason::KeyCompromise {
        entries.extend(folder.for_the_same_key(&entry.read()?, wall())?);
    }
    let ending = Ending { here: Standing::RevokedHere, there: Standing::Revoked, reason, key_file: None };
    end(&mut folder, entries, &ending, chain, global).await
}

/// `vouch cert destroy`.
///
/// # Errors
/// As it went wrong.
pub async fn destroy(
    fingerprint: Hash32,
    key_file: Option<&Path>,
    authority: &AuthorityArgs,
    chain: &ChainArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    chain.check()?;
    let mut folder = Folder::open(&authority.authority)?;
    let entry = folder.find(fingerprint)?;
    let certificate = entry.read()?;
    if let Some(path) = key_file {
        let pem = zeroize::Zeroizing::new(fs::read(path).with_context(|| path.display().to_string())?);
        let key = vouch_certificates::Key::from_pem(&pem).map_err(|error| refused(&error, path.display()))?;
        if key.public() != certificate.public() {
            let text = "the key is not that of the certificate; nothing was destroyed";
            return Err(Refused::error("certificate.malformed", text, path.display().to_string()));
        }
        if let Some(other) = folder.for_the_same_key(&certificate, wall())?.first() {
            let other = other.read()?.fingerprint();
            let text = format!("the key is also that of {other}, which counts: revoke or destroy that first");
            return Err(Refused::error("certificate.authority", text, path.display().to_string()));
        }
    }
    let reason = entry.revoked.map_or(Reason::CessationOfOperation, |(_, reason)| reason);
    let ending = Ending { here: Standing::DestroyedHere, there: Standing::Destroyed, reason, key_file };
    end(&mut folder, vec![entry], &ending, chain, global).await
}

/// How certificates end.
struct Ending<'a> {
    /// What they are before the chain knows it.
    here: Standing,
    /// And after.
    there: Standing,
    reason: Reason,
    /// The key that is destroyed.
    key_file: Option<&'a Path>,
}

/// Writes the end of certificates down, signs the list, and brings it onto the chain. Shows the first one.
async fn end(
    folder: &mut Folder,
    mut entries: Vec<Entry>,
    ending: &Ending<'_>,
    chain: &ChainArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    // One that was closed signs no list; the chain hears of it all the same.
    let authority = if folder.is_closed() { None } else { Some(folder.authority(global)?) };
    // Only now, when a wrong password can no longer leave the rest undone.
    ending.key_file.map(destroy_file).transpose()?;
    for entry in &mut entries {
        entry.standing = ending.here;
        entry.revoked = entry.revoked.or(Some((wall(), ending.reason)));
        folder.keep(entry)?;
    }
    if let Some(authority) = authority {
        folder.sign_list(&authority, wall(), 7)?;
    }
    for entry in entries.iter_mut().filter(|_| !chain.offline) {
        let certificate = entry.read()?;
        end_on_chain(folder, &certificate, entry, chain, global).await.with_context(|| {
            let fingerprint = certificate.fingerprint();
            format!("{fingerprint} has ended here and not on the chain: vouch cert record {fingerprint}")
        })?;
        entry.standing = ending.there;
        folder.keep(entry)?;
    }
    let ended: Vec<(Certificate, Entry)> =
        entries.into_iter().map(|entry| Ok((entry.read()?, entry))).collect::<anyhow::Result<_>>()?;
    let first = ended.first().map(|(certificate, entry)| value(certificate, entry.standing.as_str()));
    let mut shown = first.unwrap_or_default();
    let also = ended.iter().skip(1).map(|(certificate, _)| certificate.fingerprint());
    shown["also"] = json!(also.collect::<Vec<_>>());
    emit(global, &shown, |language| {
        ended.iter().flat_map(|(certificate, entry)| lines(certificate, entry.standing.as_str(), language)).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `vouch cert crl`.
///
/// # Errors
/// As it went wrong.
pub fn crl(authority: &AuthorityArgs, days: u32, out: Option<&Path>, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let mut folder = Folder::open(&authority.authority)?;
    let signer = folder.authority(global)?;
    let (list, number) = folder.sign_list(&signer, wall(), days)?;
    let own = authority.authority.join("crl.pem");
    if let Some(path) = out {
        home::replace(path, list.as_bytes(), 0o644)?;
    }
    let path = out.unwrap_or(&own);
    emit(global, &json!({ "file": path, "number": number }), |language| {
        table(language, &[(Text::Number, number.to_string()), (Text::Written, path.display().to_string())])
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `vouch cert list`.
///
/// # Errors
/// As it went wrong.
pub fn list(authority: &AuthorityArgs, due: bool, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let entries = Folder::open(&authority.authority)?.entries()?;
    let now = wall();
    let is_renewed = |fingerprint: Hash32| entries.iter().any(|(_, other)| other.renews == Some(fingerprint));
    let is_due = |certificate: &Certificate, entry: &Entry| {
        entry.standing.counts() && now >= certificate.renew_at() && !is_renewed(certificate.fingerprint())
    };
    let wanted: Vec<_> = entries.iter().filter(|(certificate, entry)| !due || is_due(certificate, entry)).collect();
    let values: Vec<Value> = wanted
        .iter()
        .map(|(certificate, entry)| {
            let mut value = value(certificate, entry.standing.as_str());
            value["due"] = is_due(certificate, entry).into();
            value["renews"] = json!(entry.renews);
            value
        })
        .collect();
    emit(global, &values, |_| {
        let line = |(certificate, entry): &&(Certificate, Entry)| {
            let mark = if is_due(certificate, entry) { "!" } else { " " };
            let (standing, until) = (entry.standing.as_str(), time_text(certificate.not_after().0));
            format!("{}  {until} {mark}  {standing:<14}  {}", certificate.fingerprint(), entry.subject.short())
        };
        wanted.iter().map(line).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}
