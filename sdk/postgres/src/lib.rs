//! Which PostgreSQL server, as whom, and how: connection files, for everything here that talks to one.
//!
//! Deliberately not here: connections and queries. Who needs them makes them, of the configuration that this crate gives.
//!
//! A connection file is TOML and never holds a password: that is in a file of its own which only its owner may read, in
//! `PGPASSWORD`, or in a password file as `psql` reads it. So it is in no argument and in no log.
#![forbid(unsafe_code)]

mod said;

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde::Deserialize;
use tokio_postgres::{Config, config::SslMode};

pub use said::{Said, said};
/// What makes TLS of a connection.
pub use tokio_postgres_rustls::MakeRustlsConnect as Connector;

/// What the first line of a connection file says.
const FORMAT: &str = "vouch-postgres/1";
/// Most bytes of one, or of a password file.
const BYTES_MAX: u64 = 1 << 20;
/// Until a server answers.
const PATIENCE: Duration = Duration::from_secs(15);
/// Until a connection that says nothing is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ServerError {
    /// Where it is.
    pub place: String,
    /// What is wrong, and how to mend it.
    pub reason: String,
    /// Whether a file could not be read, rather than what it says being wrong.
    pub is_io: bool,
}

/// A connection file as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    host: String,
    #[serde(default = "usual_port")]
    port: u16,
    database: String,
    user: String,
    password_file: Option<PathBuf>,
    #[serde(default)]
    tls: Tls,
    ca: Option<PathBuf>,
}

const fn usual_port() -> u16 {
    5432
}

/// How the way to the server is kept from others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Tls {
    /// TLS, and the certificate must be of the host.
    #[default]
    Verify,
    /// Everyone on the way can read what is said.
    Off,
}

/// Which server is meant.
#[derive(Debug)]
pub struct ServerFile {
    written: Written,
    /// For texts.
    place: String,
    /// Where paths in the file begin.
    folder: PathBuf,
}

fn fault(place: &str, reason: impl Into<String>) -> ServerError {
    ServerError { place: place.to_owned(), reason: reason.into(), is_io: false }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ServerError {
    ServerError { is_io: true, ..fault(&path.display().to_string(), error.to_string()) }
}

fn text_of(path: &Path) -> Result<String, ServerError> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
    read.map(|_| text).map_err(|error| unreadable(path, &error))
}

/// A file that holds a password, which only its owner may read.
fn secret_of(path: &Path) -> Result<String, ServerError> {
    let data = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if data.permissions().mode() & 0o077 != 0 {
        return Err(fault(&path.display().to_string(), "others may read this file with a password: chmod 600"));
    }
    text_of(path)
}

impl ServerFile {
    /// Reads a connection file; `place` names it in texts.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(path: &Path, place: &str) -> Result<Self, ServerError> {
        let written: Written =
            toml::from_str(&text_of(path)?).map_err(|error| fault(place, error.message().to_owned()))?;
        if written.format != FORMAT {
            return Err(fault(place, format!("format must be {FORMAT:?}")));
        }
        let folder = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        Ok(Self { written, place: place.to_owned(), folder })
    }

    /// On this machine, through a socket in a folder.
    fn is_local(&self) -> bool {
        self.written.host.starts_with('/')
    }

    /// Whether everyone on the way can read what is said: then [`ServerFile::tls`] is not to be used.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_local() || self.written.tls == Tls::Off
    }

    /// Host, port and database, for texts.
    #[must_use]
    pub fn address(&self) -> String {
        let Written { host, port, database, .. } = &self.written;
        format!("{host}:{port}/{database}")
    }

    /// How to connect, with the password; `application` is what the server's own lists call this program.
    ///
    /// # Errors
    /// When the password cannot be read, or others could.
    pub fn config(&self, application: &str) -> Result<Config, ServerError> {
        let Written { host, port, database, user, .. } = &self.written;
        let mut config = Config::new();
        config.host(host).port(*port).dbname(database).user(user).application_name(application);
        config.connect_timeout(PATIENCE).keepalives_idle(KEEPALIVE);
        config.ssl_mode(if self.is_plain() { SslMode::Disable } else { SslMode::Require });
        if let Some(password) = self.password()? {
            config.password(password);
        }
        Ok(config)
    }

    /// From its own file, the environment, or a password file; none where the server asks for none.
    fn password(&self) -> Result<Option<String>, ServerError> {
        if let Some(path) = &self.written.password_file {
            let text = secret_of(&self.folder.join(path))?;
            return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        if let Ok(password) = env::var("PGPASSWORD") {
            return Ok(Some(password));
        }
        let named = env::var_os("PGPASSFILE").map(PathBuf::from);
        let usual = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
        let Some(path) = named.or_else(|| usual().filter(|path| path.is_file())) else { return Ok(None) };
        let host = if self.is_local() { "localhost" } else { &self.written.host };
        let port = self.written.port.to_string();
        let wanted = [host, &port, &self.written.database, &self.written.user];
        let found = password_for(&secret_of(&path)?, wanted);
        if found.is_none() && !self.is_local() {
            let reason = format!("{} has no line for this server and user", path.display());
            return Err(fault(&self.place, reason));
        }
        Ok(found)
    }

    /// TLS that checks the server's certificate by the file's authorities, or by those of the machine.
    ///
    /// # Errors
    /// When there are none, or they cannot be read.
    pub fn tls(&self) -> Result<Connector, ServerError> {
        let mut roots = RootCertStore::empty();
        match &self.written.ca {
            Some(path) => {
                let path = self.folder.join(path);
                let place = path.display().to_string();
                let wrong = |error: &dyn std::fmt::Display| fault(&place, error.to_string());
                for certificate in CertificateDer::pem_file_iter(&path).map_err(|error| wrong(&error))? {
                    roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            let reason = "there is no certificate to check the server's by: name one with ca";
            return Err(fault(&self.place, reason));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| fault(&self.place, error.to_string()))?;
        Ok(Connector::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }
}

/// The password of the first line that fits: `host:port:database:user:password`, `*` fits all, a backslash takes the next
/// character as it is.
fn password_for(text: &str, wanted: [&str; 4]) -> Option<String> {
    let fits = |line: &str| {
        let mut parts = vec![String::new()];
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match character {
                ':' if parts.len() < 5 => parts.push(String::new()),
                '\\' => parts.last_mut()?.extend(characters.next()),
                other => parts.last_mut()?.push(other),
            }
        }
        let password = parts.pop().filter(|_| parts.len() == 4)?;
        parts.iter().zip(wanted).all(|(part, wanted)| part == "*" || part == wanted).then_some(password)
    };
    text.lines().filter(|line| !line.starts_with('#')).find_map(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_as_psql_finds_them() {
        let text = "# none\nother:5432:erp:reader:no\ndb:*:erp:reader:a\\:b:c\\\\\n*:*:*:*:last\n";
        for (wanted, expected) in [
            (["db", "5433", "erp", "reader"], Some("a:b:c\\")),
            (["db", "5433", "erp", "writer"], Some("last")),
            (["other", "5432", "erp", "reader"], Some("no")),
        ] {
            assert_eq!(password_for(text, wanted).as_deref(), expected);
        }
        assert_eq!(password_for("db:1:erp:reader\n", ["db", "1", "erp", "reader"]), None);
    }

    #[test]
    fn a_file_says_what_is_wrong_and_nobody_else_reads_passwords() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("erp.postgres.toml");
        let good = "format = \"vouch-postgres/1\"\nhost = \"db\"\ndatabase = \"erp\"\nuser = \"reader\"\n";
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            ServerFile::read(&path, "erp").map(|server| server.config("test"))
        };
        assert_eq!(read(&format!("{good}tls = \"off\"\n")).unwrap().unwrap().get_ssl_mode(), SslMode::Disable);
        assert_eq!(read(&format!("{good}ca = \"none.pem\"\n")).unwrap().unwrap().get_ssl_mode(), SslMode::Require);
        for bad in ["", "format = \"x\"\n", &format!("{good}password = \"secret\"\n")] {
            let error = read(bad).err().unwrap();
            assert!(error.place == "erp" && !error.reason.contains("secret"), "{error}");
        }
        let secret = folder.path().join("pw");
        fs::write(&secret, "secret\n").unwrap();
        let own = format!("{good}password_file = \"pw\"\n");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&own).unwrap().err().unwrap().place, secret.display().to_string());
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let config = read(&own).unwrap().unwrap();
        assert_eq!(config.get_password(), Some(&b"secret"[..]));
        assert!(!format!("{config:?}").contains("secret"), "{config:?}");
        assert_eq!(ServerFile::read(&path, "erp").unwrap().address(), "db:5432/erp");
    }
}
