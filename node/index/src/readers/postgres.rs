use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::{
    IndexError,
    database::{
        Database,
        postgres::{Role, Session},
        server::Server,
    },
};

/// Sessions at a time: a server has few for all its clients.
const SESSIONS_MAX: usize = 8;
/// Until one of them is free.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest time all questions of a read may take. Pages end by themselves long before.
const READ_MAX: Duration = Duration::from_secs(3);

/// Sessions that only read one schema.
pub(crate) struct Pool {
    server: Arc<Server>,
    schema: String,
    state: Mutex<State>,
    is_free: Condvar,
}

#[derive(Default)]
struct State {
    /// How many are asked in.
    used: usize,
    idle: Vec<Session>,
}

/// The right to one session, given back when it is dropped.
struct Turn<'a>(&'a Pool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.used = state.used.saturating_sub(1);
        drop(state);
        self.0.is_free.notify_one();
    }
}

impl Pool {
    pub(crate) fn new(server: &Arc<Server>, schema: String) -> Self {
        Self { server: Arc::clone(server), schema, state: Mutex::default(), is_free: Condvar::new() }
    }

    /// Waits for a turn; with a session, if one is idle that is not lost.
    fn turn(&self) -> Result<(Turn<'_>, Option<Session>), IndexError> {
        let end = Instant::now() + PATIENCE;
        let mut state = self.state.lock();
        while state.used >= SESSIONS_MAX {
            if self.is_free.wait_until(&mut state, end).timed_out() {
                return Err(IndexError::TooSlow);
            }
        }
        state.used += 1;
        state.idle.retain(|session| !session.is_lost());
        Ok((Turn(self), state.idle.pop()))
    }

    /// Runs reads that see one moment of the schema. The server ends a question that takes too long.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Database) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let (turn, session) = self.turn()?;
        let session = match session {
            Some(session) => session,
            None => Session::open(&self.server, &self.schema, Role::Reader)?,
        };
        session.bound(Some(Instant::now() + READ_MAX));
        let database = Database::Postgres(session);
        database.begin_reading()?;
        let end = work(&database);
        let Database::Postgres(session) = database else { return end };
        // Whoever asks next in this session hears of it if this fails; one that failed is ended before.
        let ended = match &end {
            Ok(_) => session.send_text("COMMIT"),
            Err(_) => session.end_failed(),
        };
        if ended.is_ok() && !session.is_lost() {
            self.state.lock().idle.push(session);
        }
        drop(turn);
        end
    }
}
