use std::{
    future::Future,
    path::PathBuf,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, Error, NoTls};
use vouch_postgres::{Connector, ServerError, ServerFile, said};

use crate::IndexError;

/// What a server calls this program's sessions.
const APPLICATION: &str = "vouch index";
/// Until a server answers to somebody who wants to connect.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Until a server that takes nothing any more counts as gone.
const UNANSWERED_MAX: Duration = Duration::from_secs(30);
/// After a failure to connect, how long questions are refused without trying: each would wait for a server that is gone.
const REST: Duration = Duration::from_secs(2);

/// A server by its connection file, and the thread on which what it says is read.
pub(crate) struct Server {
    file: PathBuf,
    runtime: Background,
    /// When it was last found unreachable, and why.
    lost: Mutex<Option<(Instant, String)>>,
}

/// Ends without waiting, so that whoever drops it may be a runtime's thread itself.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn unreachable(error: &ServerError) -> IndexError {
    IndexError::Connection(error.to_string())
}

/// What an error of a server means here.
pub(super) fn failure(error: &Error) -> IndexError {
    let said = said(error);
    let state = said.state.as_str();
    match (state, state.get(..2).unwrap_or_default()) {
        // Took longer than it may.
        ("57014", _) => IndexError::TooSlow,
        ("55P03", _) => IndexError::Locked,
        // Rows or tables are not as this program leaves them: changed by somebody, or damaged.
        ("42P01" | "42703" | "42804" | "3F000" | "0A000" | "XX001" | "XX002", _) | (_, "22" | "23") => {
            IndexError::Damaged(said.text)
        }
        _ if said.is_of_server && !matches!(state, "53100" | "53200") => IndexError::Connection(said.text),
        _ => IndexError::Refused(said.text),
    }
}

impl Server {
    /// By a connection file, which is read whenever a session begins.
    pub(crate) fn new(file: PathBuf) -> Result<Self, IndexError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("index-server").enable_all().build()?;
        Ok(Self { file, runtime: Background(Some(runtime)), lost: Mutex::new(None) })
    }

    /// Host, port and database; the file where it cannot be read.
    pub(crate) fn address(&self) -> String {
        self.read().map_or_else(|_| self.file.display().to_string(), |server| server.address())
    }

    fn read(&self) -> Result<ServerFile, ServerError> {
        ServerFile::read(&self.file, &self.file.display().to_string())
    }

    /// Waits for work, for so long at most: `None` when it took longer.
    pub(super) fn wait<T>(&self, most: Duration, work: impl Future<Output = T>) -> Result<Option<T>, IndexError> {
        let Some(runtime) = &self.runtime.0 else { return Err(IndexError::Connection("it is being ended".into())) };
        Ok(runtime.block_on(async { tokio::time::timeout(most, work).await }).ok())
    }

    /// Begins a session.
    pub(super) fn connect(&self) -> Result<Client, IndexError> {
        let end = self.try_connect();
        *self.lost.lock() = match &end {
            Err(error) => Some((Instant::now(), error.to_string())),
            Ok(_) => None,
        };
        end
    }

    /// The same for one of many who ask: refused at once where somebody was refused a moment ago.
    pub(super) fn connect_unless_lost(&self) -> Result<Client, IndexError> {
        if let Some((when, why)) = &*self.lost.lock()
            && when.elapsed() < REST
        {
            return Err(IndexError::Connection(why.clone()));
        }
        self.connect()
    }

    fn try_connect(&self) -> Result<Client, IndexError> {
        let file = self.read().map_err(|error| unreachable(&error))?;
        let mut config = file.config(APPLICATION).map_err(|error| unreachable(&error))?;
        config.connect_timeout(CONNECT_MAX).tcp_user_timeout(UNANSWERED_MAX);
        let tls = if file.is_plain() { None } else { Some(file.tls().map_err(|error| unreachable(&error))?) };
        match self.wait(CONNECT_MAX, connect(config, tls))? {
            Some(client) => client.map_err(|error| failure(&error)),
            None => Err(IndexError::Connection(format!("{} does not answer", file.address()))),
        }
    }
}

/// Connects, and has what the server says read in the background until the client is dropped or the server goes.
async fn connect(config: Config, tls: Option<Connector>) -> Result<Client, Error> {
    match tls {
        Some(tls) => {
            let (client, connection) = config.connect(tls).await?;
            // Whoever waits for an answer gets the error.
            tokio::spawn(async move { drop(connection.await) });
            Ok(client)
        }
        None => {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(async move { drop(connection.await) });
            Ok(client)
        }
    }
}
