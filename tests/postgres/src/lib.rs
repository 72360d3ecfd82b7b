//! A PostgreSQL server of a test's own: made in a temporary folder, on loopback with TLS and in a socket, gone when dropped.
//!
//! Deliberately not here: servers that somebody else runs.
#![forbid(unsafe_code)]

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// Until a server answers, or has stopped.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Who may do everything there.
const OWNER: &str = "owner";
/// The database that a server has at first.
const DATABASE: &str = "erp";
/// Where a port is looked for: below those that the system gives to whoever asks for any.
const PORTS: std::ops::Range<u16> = 18_000..32_000;

/// A server with a database `erp`.
#[derive(Debug)]
pub struct PostgresServer {
    child: Option<Child>,
    folder: TempDir,
    programs: PathBuf,
    account: Option<(u32, u32)>,
    port: u16,
    password: String,
    settings: Vec<String>,
}

fn free_port() -> Result<u16> {
    let ports = (0..200).map(|_| PORTS.start + rand::random::<u16>() % (PORTS.end - PORTS.start));
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().with_context(|| format!("no free port on 127.0.0.1 in {PORTS:?}"))
}

/// Where `initdb` and `postgres` are: on the path, or where Debian puts them.
fn programs() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    let found = folders
        .into_iter()
        .find(|folder| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file()));
    found.context(
        "there is no PostgreSQL: ./run setup installs it on Debian and Ubuntu; elsewhere put initdb on the path",
    )
}

/// The account that a server runs as: PostgreSQL refuses to be root.
fn account() -> Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self").context("/proc")?.uid() != 0 {
        return Ok(None);
    }
    let text = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let line = text.lines().find(|line| line.starts_with("nobody:")).context("there is no account nobody")?;
    let mut parts = line.split(':').skip(2).map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok(Some((user, group))),
        _ => bail!("the account nobody has no numbers"),
    }
}

/// Where the folder goes. Another account must get there: a folder for temporary files in somebody's home may let nobody else in.
fn place(for_another: bool) -> PathBuf {
    let chosen = std::env::temp_dir();
    let is_open = |folder: &Path| fs::metadata(folder).is_ok_and(|found| found.mode() & 0o001 != 0);
    if !for_another || chosen.canonicalize().is_ok_and(|path| path.ancestors().all(is_open)) {
        return chosen;
    }
    PathBuf::from("/tmp")
}

impl PostgresServer {
    /// Makes and starts a small one that leaves writing to the disk to the system.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(&["fsync=off", "shared_buffers=16MB", "max_connections=100"])
    }

    /// Makes and starts one with settings, each as `name=value`.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, or does not start.
    pub fn start_with(settings: &[&str]) -> Result<Self> {
        let (programs, account) = (programs()?, account()?);
        let folder = tempfile::Builder::new().prefix("vouch-postgres-").tempdir_in(place(account.is_some()))?;
        let password = format!("{:032x}", rand::random::<u128>());
        let base = folder.path();
        fs::write(base.join("password"), &password)?;
        certificate(base)?;
        if let Some((user, group)) = account {
            chown(base, Some(user), Some(group))?;
            for entry in fs::read_dir(base)? {
                chown(entry?.path(), Some(user), Some(group))?;
            }
        }
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { child: None, folder, programs, account, port: free_port()?, password, settings };
        let made = server
            .command("initdb")
            .args(["--pgdata=data", "--encoding=UTF8", "--no-locale", "--no-sync", "--pwfile=password"])
            .args(["--auth-local=scram-sha-256", "--auth-host=scram-sha-256", &format!("--username={OWNER}")])
            .output()
            .context("initdb")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.start_again()?;
        server.try_sql("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        Ok(server)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).env_clear().env("LC_ALL", "C");
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        command
    }

    /// Starts it, with what it held before.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> Result<()> {
        let base = self.folder.path();
        let log = fs::File::options().append(true).create(true).open(base.join("server.log"))?;
        let settings = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".into(),
            format!("unix_socket_directories={}", base.display()),
            "ssl=on".into(),
            format!("ssl_cert_file={}", base.join("server.pem").display()),
            format!("ssl_key_file={}", base.join("server.key").display()),
        ];
        let settings: Vec<&String> = settings.iter().chain(&self.settings).collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut command = self.command("postgres");
            command.arg("-D").arg(base.join("data")).args(settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
            let child = command.stdout(log.try_clone()?).stderr(log.try_clone()?).spawn().context("postgres")?;
            let child = self.child.insert(child);
            let ended = loop {
                if let Some(ended) = child.try_wait()? {
                    break ended;
                }
                if is_answering(&self.programs, &self.folder, self.port, &self.password) {
                    return Ok(());
                }
                ensure!(Instant::now() < deadline, "postgres does not answer: {}", log_of(&self.folder));
                std::thread::sleep(LOOK_EVERY);
            };
            // Memory that the processes of a killed one share is free when the last of them is gone.
            let is_waiting = self.log().contains("is still in use");
            ensure!(is_waiting && Instant::now() < deadline, "postgres ended, {ended}: {}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Kills it and all that it has started, as a power cut would.
    ///
    /// # Errors
    /// When there is none.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("there is no server")?;
        let children = children_of(child.id())?;
        child.kill()?;
        drop(Command::new("kill").arg("-KILL").args(children).stderr(Stdio::null()).status());
        child.wait()?;
        Ok(())
    }

    /// Stops it in order, whoever is connected.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        drop(Command::new("kill").args(["-INT", &child.id().to_string()]).status());
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                bail!("postgres did not stop and was killed: {}", self.log());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        log_of(&self.folder)
    }

    /// The folder with its socket, certificate (`server.pem`) and the owner's password (`password`).
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Does what a statement says, in the database `erp`; what it answers, a line a row.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn sql(&self, text: &str) -> Result<String> {
        self.try_sql(DATABASE, text)
    }

    /// The same in another database.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn try_sql(&self, database: &str, text: &str) -> Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h"])
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-U", OWNER, "-d", database, "-c", text])
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::null())
            .output()
            .context("psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Writes a connection file for a user whose password is in a file beside it: through the socket, or over TLS.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn connection_file(&self, path: &Path, user: &str, password: &str, over_tls: bool) -> Result<()> {
        self.connection_file_to(DATABASE, path, user, password, over_tls)
    }

    /// The same to another database.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn connection_file_to(
        &self,
        database: &str,
        path: &Path,
        user: &str,
        password: &str,
        over_tls: bool,
    ) -> Result<()> {
        let secret = path.with_extension("password");
        fs::write(&secret, format!("{password}\n"))?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        let secret = secret.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = if over_tls {
            format!("host = \"localhost\"\nca = {:?}\n", self.folder.path().join("server.pem"))
        } else {
            format!("host = {:?}\n", self.folder.path())
        };
        let text = format!(
            "format = \"vouch-postgres/1\"\n{place}port = {}\ndatabase = {database:?}\nuser = {user:?}\npassword_file = {secret:?}\n",
            self.port
        );
        fs::write(path, text).context("a connection file")
    }
}

fn log_of(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("server.log")).unwrap_or_default()
}

/// Whether a server takes questions.
fn is_answering(programs: &Path, folder: &TempDir, port: u16, password: &str) -> bool {
    let mut psql = Command::new(programs.join("psql"));
    psql.args(["-X", "-q", "-h"]).arg(folder.path()).args(["-p", &port.to_string(), "-U", OWNER]);
    psql.args(["-d", "postgres", "-c", "SELECT 1"]).env("PGPASSWORD", password);
    let ended = psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ended.is_ok_and(|ended| ended.success())
}

/// Processes that a process has started.
fn children_of(parent: u32) -> Result<Vec<String>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")?.flatten() {
        // `pid (name) state parent …`; the name may hold anything, so the last bracket counts.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        if after.split_whitespace().nth(1) == Some(&parent.to_string()) {
            children.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(children)
}

/// A certificate for `localhost` that signs itself, and its key.
fn certificate(folder: &Path) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(folder.join("server.pem"), made.cert.pem())?;
    let key = folder.join("server.key");
    fs::write(&key, made.signing_key.serialize_pem())?;
    Ok(fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?)
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // An interrupt ends it at once and in order; what does not end is killed.
        drop(self.stop());
    }
}
