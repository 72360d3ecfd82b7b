//! What needs no chain: the authority itself, requests, looking at certificates, a node's own authority.

use std::{fs, path::Path, process::ExitCode};

use anyhow::Context as _;
use serde_json::{Value, json};
use vouch_certificates::{Authority, Certificate, Key, NewAuthority, Permit, Request, Subject, SubjectKind};
use vouch_sdk::keystore;
use zeroize::Zeroizing;

use super::{AuthorityArgs, SubjectArgs, folder::Folder, issue::on_chain, lines, refused, value};
use crate::{
    commands::{
        GlobalArgs,
        output::{Refused, emit, table},
        password::{new_password, open_bytes},
        text::Text,
    },
    config::NodeConfig,
    home,
    runner::wall,
    server_certificate::{AUTHORITY_KEY, Places, ServerCertificate},
};

/// `vouch cert init`.
///
/// # Errors
/// As it went wrong.
pub fn init(
    args: &AuthorityArgs,
    member: &str,
    permitted: Vec<Permit>,
    days: u32,
    unencrypted: bool,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    // The form of a member's name is that of a subject's.
    Subject::new(member, SubjectKind::System, "x").map_err(|error| refused(&error, "--member"))?;
    let path = &args.authority;
    // Before anybody is asked for a password that would protect nothing.
    Folder::must_be_new(path)?;
    let password = if unencrypted { None } else { Some(new_password(global, &path.join("root.key"))?) };
    let new = NewAuthority {
        organisation: member.into(),
        title: format!("Authority of {member}"),
        permitted,
        has_nodes_below: true,
        days,
    };
    let folder = Folder::create(path, member, &new, wall(), password.as_ref())?;
    if unencrypted && !global.json {
        eprintln!("{}", Text::NotEncrypted.in_language(global.language()));
    }
    let root = path.join("root.pem");
    let mut shown = value(folder.root(), "");
    shown["file"] = json!(root);
    emit(global, &shown, |language| {
        let mut out = lines(folder.root(), "", language);
        out.extend(table(language, &[(Text::Written, root.display().to_string())]));
        out.push(format!(
            "{}: vouch member set-ca {member} --root {}",
            Text::NextStep.in_language(language),
            root.display()
        ));
        out
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `vouch cert apply`.
///
/// # Errors
/// As it went wrong.
pub fn apply(
    member: &str,
    subject: &SubjectArgs,
    key_out: Option<&Path>,
    out: &Path,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let subject = subject.subject(member)?;
    let request = match (subject.kind, key_out) {
        (SubjectKind::Node, Some(_)) => anyhow::bail!("a node applies with the key it has: leave out --key-out"),
        (SubjectKind::Node, None) => {
            let (places, key, _) = open_node(global)?;
            let current = Certificate::read(&fs::read(&places.authority).context("tls/authority.pem")?);
            let current = current.map_err(|error| refused(&error, places.authority.display()))?;
            let authority =
                Authority::open(current, &key).map_err(|error| refused(&error, places.authority.display()))?;
            let names = authority.names().map_err(|error| refused(&error, places.authority.display()))?;
            Request::make(&key, &subject, &names)
        }
        (_, None) => anyhow::bail!("name where the new key goes with --key-out FILE"),
        (_, Some(path)) => {
            let key = Key::generate().map_err(|error| refused(&error, path.display()))?;
            write_key(path, &key)?;
            Request::make(&key, &subject, &[])
        }
    };
    let request = request.map_err(|error| refused(&error, out.display()))?;
    home::replace(out, request.as_bytes(), 0o644)?;
    let shown = json!({ "subject": subject.to_string(), "request": out, "key": key_out });
    emit(global, &shown, |language| {
        let mut rows = vec![(Text::Subject, subject.to_string()), (Text::Written, out.display().to_string())];
        rows.extend(key_out.map(|path| (Text::KeyFile, path.display().to_string())));
        table(language, &rows)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A key that TLS programs read: bare, for its owner only. It is never overwritten.
fn write_key(path: &Path, key: &Key) -> anyhow::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.with_context(|| format!("cannot make {}", path.display()))?;
    let written = file.write_all(key.to_pem().as_bytes()).and_then(|()| file.sync_all());
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// The places of the node of `--home`, the key of its authority, and the node.
fn open_node(global: &GlobalArgs) -> anyhow::Result<(Places, Key, vouch_types::NodeId)> {
    let path = global.home.as_ref().context("name the node's home with --home DIR or VOUCH_HOME")?;
    let config = NodeConfig::load(path)?;
    let places = Places::of(path, &config.api);
    if !places.authority_key.exists() {
        let text = "this home has no authority of its own, it was made by an earlier version: its certificate is replaced by hand";
        return Err(Refused::error("certificate.authority", text, places.authority_key.display().to_string()));
    }
    let bytes = open_bytes(global, &places.authority_key, AUTHORITY_KEY)?;
    let key = Key::from_pkcs8(&bytes).map_err(|error| refused(&error, places.authority_key.display()))?;
    let node = keystore::public_key(&home::consensus_key_path(path))?.node();
    Ok((places, key, node))
}

/// `vouch cert install`: the running node sees the new files by itself.
///
/// # Errors
/// As it went wrong; nothing is changed then.
pub fn install(file: &Path, root: &Path, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let read = |path: &Path| -> anyhow::Result<Certificate> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        Certificate::read(&bytes).map_err(|error| refused(&error, path.display()))
    };
    let (certificate, root) = (read(file)?, read(root)?);
    let (places, key, node) = open_node(global)?;
    if !root.is_authority() || !certificate.is_signed_by(&root) {
        let text = "the certificate is not signed by the root that is named";
        return Err(Refused::error("certificate.authority", text, file.display().to_string()));
    }
    if wall() > certificate.not_after() {
        return Err(Refused::error("certificate.authority", "the certificate has ended", file.display().to_string()));
    }
    let authority = Authority::open(certificate.clone(), &key).map_err(|error| refused(&error, file.display()))?;
    let own = ServerCertificate { places: places.clone(), key: Some(key), node };
    let shown = own.renew(&authority, wall())?;
    home::replace(&places.authority, certificate.to_pem().as_bytes(), 0o644)?;
    home::replace(&places.root, root.to_pem().as_bytes(), 0o644)?;
    emit(global, &value(&shown, "installed"), |language| lines(&shown, "installed", language))?;
    Ok(ExitCode::SUCCESS)
}

/// `vouch cert close`.
///
/// # Errors
/// As it went wrong.
pub fn close(args: &AuthorityArgs, yes: bool, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let folder = Folder::open(&args.authority)?;
    if !yes {
        let text = "this cannot be taken back: give --yes if it is meant";
        return Err(Refused::error("certificate.authority", text, args.authority.display().to_string()));
    }
    folder.destroy_key()?;
    emit(global, &value(folder.root(), "closed"), |language| lines(folder.root(), "closed", language))?;
    Ok(ExitCode::SUCCESS)
}

/// `vouch cert show`.
///
/// # Errors
/// As it went wrong.
pub async fn show(file: &Path, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let bytes = Zeroizing::new(fs::read(file).with_context(|| file.display().to_string())?);
    let certificate = Certificate::read(&bytes).map_err(|error| refused(&error, file.display()))?;
    let names_node = !global.nodes.is_empty() || global.home.is_some();
    let record = match certificate.subject() {
        Some(subject) if names_node => on_chain(&global.client()?, &subject.member, certificate.fingerprint()).await?,
        _ => None,
    };
    let standing = match &record {
        Some(record) => record.standing.clone(),
        None if names_node => "unknown".into(),
        None => String::new(),
    };
    let mut shown = value(&certificate, &standing);
    shown["chain"] = record.map_or(Value::Null, |record| json!(record));
    emit(global, &shown, |language| lines(&certificate, &standing, language))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_for_its_owner_only_and_never_overwrites() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("erp.key");
        let key = Key::generate().unwrap();
        write_key(&path, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(write_key(&path, &Key::generate().unwrap()).is_err());
        assert_eq!(Key::from_pem(&fs::read(&path).unwrap()).unwrap().public(), key.public());
    }
}
