//! A session with a PostgreSQL server: statements sent one after the other, without waiting for those whose answer nobody
//! needs, so that a block costs a few ways to the server and back, and not one for each row.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::{
    Client, Error, SimpleQueryMessage, Statement,
    types::{IsNull, ToSql, Type, to_sql_checked},
};

use super::{
    Value, dialect,
    gathered::Gathered,
    server::{Server, failure},
};
use crate::IndexError;

/// Statements that stay prepared.
const STATEMENTS_MAX: usize = 256;
/// Statements on their way without an answer.
const SENT_MAX: usize = 1_000;

/// How every session is. Each question is a few ranges of indexes in the order of the answer, so plans that read whole tables
/// are never wanted, whatever a server that has not yet looked at new tables believes of them. A server finds out within a
/// minute that the other end is gone, and lets go of its lock.
const SESSION: &str = "SET client_min_messages TO error; SET jit TO off; SET join_collapse_limit TO 1; \
    SET enable_seqscan TO off; SET enable_bitmapscan TO off; SET enable_hashjoin TO off; SET enable_mergejoin TO off; \
    SET lock_timeout TO '5s'; SET tcp_keepalives_idle TO 20; SET tcp_keepalives_interval TO 10; \
    SET tcp_keepalives_count TO 3";
/// Durable from time to time, which loses blocks that are read again, and nothing else.
const WRITER: &str =
    "SET synchronous_commit TO off; SET statement_timeout TO '5min'; SET plan_cache_mode TO force_generic_plan";
const READER: &str = "SET default_transaction_read_only TO on; SET statement_timeout TO '3s'; \
    SET idle_in_transaction_session_timeout TO '30s'; SET plan_cache_mode TO force_custom_plan";

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that writes, or makes and removes schemas.
    Writer,
    /// One of some that read.
    Reader,
}

impl Role {
    /// How long an answer may take, the server's own bound included.
    const fn patience(self) -> Duration {
        match self {
            Self::Writer => Duration::from_secs(310),
            Self::Reader => Duration::from_secs(5),
        }
    }
}

/// A statement whose answer is not there yet.
type Sent = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>;

/// A session.
pub(crate) struct Session {
    server: Arc<Server>,
    schema: String,
    role: Role,
    client: Arc<Client>,
    statements: RefCell<HashMap<String, Statement>>,
    sent: RefCell<VecDeque<Sent>>,
    gathered: RefCell<Gathered>,
    is_broken: Cell<bool>,
    /// When what runs in it has to end.
    end: Cell<Option<Instant>>,
}

/// A value that a statement on its way owns.
#[derive(Debug)]
enum Bound {
    Null,
    Int(i64),
    Bytes(Vec<u8>),
}

impl ToSql for Bound {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Int(number) if *kind == Type::INT8 => out.put_i64(*number),
            Self::Bytes(bytes) if *kind == Type::BYTEA => out.put_slice(bytes),
            _ => return Err(format!("{kind} is not the type of the value").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::INT8 || *kind == Type::BYTEA
    }

    to_sql_checked!();
}

fn bound(values: &[Value<'_>]) -> Vec<Bound> {
    let of = |value: &Value<'_>| match value {
        Value::Null => Bound::Null,
        Value::Int(number) => Bound::Int(*number),
        Value::Bytes(bytes) => Bound::Bytes(bytes.to_vec()),
        Value::Text(text) => Bound::Bytes(text.as_bytes().to_vec()),
    };
    values.iter().map(of).collect()
}

impl Session {
    /// Begins one that sees the tables of a schema.
    pub(crate) fn open(server: &Arc<Server>, schema: &str, role: Role) -> Result<Self, IndexError> {
        let client = match role {
            Role::Writer => server.connect()?,
            Role::Reader => server.connect_unless_lost()?,
        };
        let session = Self {
            server: Arc::clone(server),
            schema: schema.to_owned(),
            role,
            client: Arc::new(client),
            statements: RefCell::default(),
            sent: RefCell::default(),
            gathered: RefCell::default(),
            is_broken: Cell::new(false),
            end: Cell::new(None),
        };
        let own = if role == Role::Writer { WRITER } else { READER };
        session.batch(&format!("{SESSION}; {own}; SET search_path TO \"{schema}\""))?;
        Ok(session)
    }

    /// Bounds what is asked in it from now on.
    pub(crate) fn bound(&self, end: Option<Instant>) {
        self.end.set(end);
    }

    /// Whether nothing can be asked in it any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_broken.get() || self.client.is_closed()
    }

    /// Begins it anew where it was lost.
    pub(crate) fn revive(&mut self) -> Result<(), IndexError> {
        if self.is_lost() {
            // The server may not have heard that it is lost, and keeps its lock for as long as its other end is here.
            *self = Self::open(&self.server, &self.schema, self.role)?;
            if self.role == Role::Writer {
                self.lock().inspect_err(|_| self.is_broken.set(true))?;
            }
        }
        Ok(())
    }

    /// Keeps all other programs from writing the same schema, for as long as this session lasts. A session that has ended a
    /// moment ago is waited for.
    pub(crate) fn lock(&self) -> Result<(), IndexError> {
        let sql = format!("SELECT pg_advisory_lock(hashtextextended('vouch index {}', 0))", self.schema);
        match self.wait(self.client.batch_execute(&sql)) {
            Err(IndexError::Locked) => Err(IndexError::InUse(self.schema.clone())),
            end => end,
        }
    }

    fn failed(&self, error: &Error) -> IndexError {
        let failure = failure(error);
        if matches!(failure, IndexError::Connection(_)) {
            self.is_broken.set(true);
        }
        failure
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, IndexError> {
        match self.server.wait(self.role.patience(), work)? {
            Some(end) => end.map_err(|error| self.failed(&error)),
            None => {
                self.is_broken.set(true);
                Err(IndexError::Connection("it does not answer any more".into()))
            }
        }
    }

    /// Waits for the answers to the first of what was sent.
    fn settle_some(&self, count: usize) -> Result<(), IndexError> {
        let sent: Vec<Sent> = {
            let mut sent = self.sent.borrow_mut();
            let count = count.min(sent.len());
            sent.drain(..count).collect()
        };
        if sent.is_empty() {
            return Ok(());
        }
        let settled = self.wait(async move {
            for one in sent {
                one.await?;
            }
            Ok(())
        });
        if settled.is_err() {
            self.sent.borrow_mut().clear();
        }
        settled
    }

    /// What was sent before has been answered before: its error is the cause of a later one.
    fn settled<T>(&self, end: Result<T, IndexError>) -> Result<T, IndexError> {
        if self.is_broken.get() {
            self.sent.borrow_mut().clear();
            return end;
        }
        self.settle_some(usize::MAX)?;
        end
    }

    fn prepared(&self, sql: &str) -> Result<Statement, IndexError> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let text = dialect::statement(sql);
        let statement = match self.wait(self.client.prepare(&text)) {
            Ok(statement) => statement,
            error => return self.settled(error),
        };
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Keeps a row until there are many like it, or somebody looks.
    pub(crate) fn write(&self, sql: &'static str, values: &[Value<'_>]) -> Result<(), IndexError> {
        let statement = self.prepared(sql)?;
        let is_full = self.gathered.borrow_mut().add(sql, statement.params(), values)?;
        if is_full { self.send_gathered() } else { Ok(()) }
    }

    /// Sends what was gathered, each kind as one statement.
    fn send_gathered(&self) -> Result<(), IndexError> {
        for (sql, columns) in self.gathered.borrow_mut().take() {
            let statement = self.prepared(&sql)?;
            let client = Arc::clone(&self.client);
            self.begin(Box::pin(async move { client.execute_raw(&statement, columns).await }))?;
        }
        Ok(())
    }

    pub(crate) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, IndexError> {
        self.send_gathered()?;
        let statement = self.prepared(sql)?;
        let end = self.wait(self.client.execute_raw(&statement, bound(values)));
        self.settled(end)
    }

    pub(crate) fn rows(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<tokio_postgres::Row>, IndexError> {
        if self.end.get().is_some_and(|end| Instant::now() > end) {
            return Err(IndexError::TooSlow);
        }
        self.send_gathered()?;
        let values = bound(values);
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let statement = self.prepared(sql)?;
        let end = self.wait(self.client.query(&statement, &values));
        self.settled(end)
    }

    /// Rows of a statement whose only value is a set of bytes: `… = ANY(?1)`.
    pub(crate) fn rows_of(&self, sql: &str, any: &Vec<Vec<u8>>) -> Result<Vec<tokio_postgres::Row>, IndexError> {
        self.send_gathered()?;
        let statement = self.prepared(sql)?;
        let end = self.wait(self.client.query(&statement, &[any]));
        self.settled(end)
    }

    /// Sends it, and does not wait.
    pub(crate) fn send(&self, sql: &str, values: &[Value<'_>]) -> Result<(), IndexError> {
        // What was written to the table before comes before.
        if self.gathered.borrow().has(dialect::table(sql)) {
            self.send_gathered()?;
        }
        let statement = self.prepared(sql)?;
        let (client, values) = (Arc::clone(&self.client), bound(values));
        self.begin(Box::pin(async move { client.execute_raw(&statement, values).await }))
    }

    /// The same for a text without values.
    pub(crate) fn send_text(&self, sql: &'static str) -> Result<(), IndexError> {
        let client = Arc::clone(&self.client);
        self.begin(Box::pin(async move { client.batch_execute(sql).await.map(|()| 0) }))
    }

    /// The first look at what is to be sent sends it, in the order of first looks.
    fn begin(&self, mut sent: Sent) -> Result<(), IndexError> {
        match sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(_)) => return Ok(()),
            Poll::Ready(Err(error)) => return self.settled(Err(self.failed(&error))),
            Poll::Pending => self.sent.borrow_mut().push_back(sent),
        }
        if self.sent.borrow().len() >= SENT_MAX { self.settle_some(SENT_MAX / 2) } else { Ok(()) }
    }

    /// Texts without values, one after the other.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), IndexError> {
        let end = self.wait(self.client.batch_execute(sql));
        self.settled(end)
    }

    /// Rows of a text without values, as texts.
    pub(crate) fn texts(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, IndexError> {
        let end = self.wait(self.client.simple_query(sql));
        let messages = self.settled(end)?;
        let texts = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        });
        Ok(texts.collect())
    }

    pub(crate) fn commit(&self) -> Result<(), IndexError> {
        self.send_gathered()?;
        self.settle_some(usize::MAX)?;
        self.wait(self.client.batch_execute("COMMIT"))
    }

    pub(crate) fn rollback(&self) {
        // What fails ends the session, and with it the transaction.
        drop(self.end_failed());
    }

    /// Ends a read that failed, so that the next one can begin.
    pub(crate) fn end_failed(&self) -> Result<(), IndexError> {
        self.sent.borrow_mut().clear();
        self.gathered.borrow_mut().clear();
        // The transaction of a lost session ended with it: nobody is waited for.
        if self.is_lost() {
            return Ok(());
        }
        self.wait(self.client.batch_execute("ROLLBACK"))
    }

    /// A transaction that is waited for until it is on disk, and with it all before.
    pub(crate) fn make_durable(&self) -> Result<(), IndexError> {
        let end = self.batch("BEGIN; SET LOCAL synchronous_commit TO on; UPDATE meta SET value = value; COMMIT");
        end.inspect_err(|_| self.rollback())
    }
}
