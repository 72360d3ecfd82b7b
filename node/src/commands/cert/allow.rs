//! Which outside systems a node lets in: the file that its operator keeps.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use vouch_certificates::{AllowList, AllowedClient, Scope};
use vouch_types::{AccountId, Hash32};

use super::refused;
use crate::{
    commands::{
        GlobalArgs,
        output::{Refused, emit},
        text::Text,
    },
    config::{AskedClients, NodeConfig},
    home,
};

struct File {
    path: PathBuf,
    list: AllowList,
    is_asked: bool,
    /// Held while it is changed: of two commands at a time the second one sees what the first one wrote.
    _lock: Option<fs::File>,
}

impl File {
    fn open(global: &GlobalArgs, is_changed: bool) -> anyhow::Result<Self> {
        let home = global.home.as_ref().context("name the node's home with --home DIR or VOUCH_HOME")?;
        let config = NodeConfig::load(home)?;
        let path = home.join(&config.api.clients.allow);
        let lock = is_changed.then(|| lock(&path)).transpose()?;
        let list = match fs::read_to_string(&path) {
            Ok(text) => AllowList::from_toml(&text).map_err(|error| refused(&error, path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => AllowList::default(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        Ok(Self { path, list, is_asked: config.api.clients.mode != AskedClients::Off, _lock: lock })
    }

    fn write(&self, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
        let text = self.list.to_toml().map_err(|error| refused(&error, self.path.display()))?;
        home::replace(&self.path, text.as_bytes(), 0o600)?;
        if !self.is_asked && !global.json {
            eprintln!("{}", Text::ClientsNotAsked.in_language(global.language()));
        }
        self.show(global)
    }

    fn show(&self, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
        emit(global, &self.list.clients, |_| self.list.clients.iter().map(line).collect())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Waits until no other command changes the list. The list itself is replaced, so it cannot be what is held.
fn lock(list: &Path) -> anyhow::Result<fs::File> {
    let mut path = list.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.with_context(|| path.display().to_string())?;
    file.lock().with_context(|| path.display().to_string())?;
    Ok(file)
}

fn line(client: &AllowedClient) -> String {
    let scope: Vec<&str> = client.scope.iter().map(|scope| scope.as_str()).collect();
    let accounts: Vec<String> = client.accounts.iter().map(ToString::to_string).collect();
    format!("{:<32}  {:<18}  {}  {}", client.key(), scope.join(","), accounts.join(","), client.note)
}

/// What an entry is known by: a fingerprint, a subject, or a system's name alone.
fn parse(client: &str) -> (Option<String>, Option<Hash32>) {
    match (client.parse::<Hash32>(), client.contains(':')) {
        (Ok(fingerprint), _) => (None, Some(fingerprint)),
        (Err(_), true) => (Some(client.to_owned()), None),
        (Err(_), false) => (Some(format!("system:{client}")), None),
    }
}

/// `vouch cert allow`: an entry that is there is replaced.
///
/// # Errors
/// As it went wrong.
pub fn allow(
    client: &str,
    mut scope: Vec<Scope>,
    accounts: Vec<AccountId>,
    note: String,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let mut file = File::open(global, true)?;
    let (subject, fingerprint) = parse(client);
    scope.sort_unstable();
    scope.dedup();
    let entry = AllowedClient { subject, fingerprint, scope, accounts, note };
    file.list.clients.retain(|other| other.key() != entry.key());
    file.list.clients.push(entry);
    file.write(global)
}

/// `vouch cert disallow`.
///
/// # Errors
/// As it went wrong.
pub fn disallow(client: &str, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let mut file = File::open(global, true)?;
    let (subject, fingerprint) = parse(client);
    let key =
        AllowedClient { subject, fingerprint, scope: Vec::new(), accounts: Vec::new(), note: String::new() }.key();
    let before = file.list.clients.len();
    file.list.clients.retain(|other| other.key() != key);
    if file.list.clients.len() == before {
        let text = format!("{key} is not let in");
        return Err(Refused::error("certificate.allow_list", text, file.path.display().to_string()));
    }
    file.write(global)
}

/// `vouch cert allowed`.
///
/// # Errors
/// As it went wrong.
pub fn allowed(global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    File::open(global, false)?.show(global)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CONFIG_FILE;

    #[test]
    fn commands_at_the_same_time_lose_nothing() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(CONFIG_FILE), "").unwrap();
        let global = GlobalArgs { home: Some(home.path().into()), json: true, ..GlobalArgs::default() };
        std::thread::scope(|scope| {
            for name in 0..16 {
                let global = &global;
                scope.spawn(move || {
                    allow(&format!("s{name}"), vec![Scope::Read], Vec::new(), String::new(), global).unwrap();
                });
            }
        });
        assert_eq!(File::open(&global, false).unwrap().list.clients.len(), 16);
        disallow("s3", &global).unwrap();
        assert_eq!(File::open(&global, false).unwrap().list.clients.len(), 15);
        assert!(disallow("s3", &global).is_err(), "it is let in no more");
    }
}
