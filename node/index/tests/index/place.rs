//! Where an index lies in a test: a folder, or a real PostgreSQL server that the tests of a run share.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use vouch_index::{IndexConfig, Owner};
use vouch_test_postgres::PostgresServer;
use vouch_types::{ChainId, NodeId, hash::domain_hash};

/// Runs tests that take a [`Place`] with either database.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name(&$crate::Place::sqlite()); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::$name(&$crate::Place::postgres()); })*
        }
    };
}

/// The server of all tests that do not stop it; it ends with the last of them.
static SERVER: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());

/// The password of the role [`ROLE`].
pub const PASSWORD: &str = "of-the-index";
/// Who may make schemas in the database and nothing else.
pub const ROLE: &str = "vouch";

/// Makes the role that an index is written by.
pub fn make_role(server: &PostgresServer) {
    let sql = format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE erp TO {ROLE}");
    server.sql(&sql).unwrap();
}

fn shared_server() -> Arc<PostgresServer> {
    let mut shared = SERVER.lock();
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(PostgresServer::start().unwrap());
    make_role(&server);
    *shared = Arc::downgrade(&server);
    server
}

/// An owner of its own.
pub fn owner(name: &str) -> Owner {
    let hash = |part: &[u8]| domain_hash("test/owner", &[name.as_bytes(), part]).0;
    Owner { chain: ChainId(hash(b"chain")), node: NodeId(hash(b"node")) }
}

/// Where an index lies.
pub struct Place {
    folder: tempfile::TempDir,
    server: Option<Arc<PostgresServer>>,
}

impl Place {
    pub fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), server: None }
    }

    pub fn postgres() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), server: Some(shared_server()) };
        place.server.as_ref().unwrap().connection_file(&place.file(), ROLE, PASSWORD, false).unwrap();
        place
    }

    /// Another one with the same database.
    pub fn another(&self) -> Self {
        if self.is_sqlite() { Self::sqlite() } else { Self::postgres() }
    }

    pub fn is_sqlite(&self) -> bool {
        self.server.is_none()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The connection file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("index.postgres.toml")
    }

    /// Whose it is: nobody else's in this run.
    pub fn owner(&self) -> Owner {
        owner(&self.folder.path().display().to_string())
    }

    pub fn config(&self) -> IndexConfig {
        if self.is_sqlite() {
            return IndexConfig::Sqlite { folder: self.folder.path().to_owned(), cache_mib: 8 };
        }
        IndexConfig::Postgres { server: self.file(), schema: None }
    }

    /// Does in an index what nobody should.
    pub fn sql(&self, place: &str, text: &str) {
        let Some(server) = &self.server else {
            return rusqlite::Connection::open(place).unwrap().execute_batch(text).unwrap();
        };
        let schema = place.rsplit(' ').next().unwrap();
        server.sql(&format!("SET search_path TO {schema}; {text}")).unwrap();
    }

    /// Has a server refuse a change of a table as if it were going down, until what is returned is called.
    pub fn refuse(&self, place: &str, table: &str, change: &str, when: &str) -> Box<dyn FnOnce() + '_> {
        self.sql(
            place,
            &format!(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'going down' USING ERRCODE = '57P01'; END $$;
                CREATE TRIGGER refuse BEFORE {change} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuse()"
            ),
        );
        let place = place.to_owned();
        Box::new(move || self.sql(&place, "DROP FUNCTION refuse() CASCADE"))
    }

    /// What the index behind one is called.
    pub fn next(&self, place: &str) -> String {
        let (from, to) = if self.is_sqlite() { ("-1.db", "-2.db") } else { ("_1", "_2") };
        format!("{}{to}", place.strip_suffix(from).unwrap())
    }

    /// Keeps an index that is rebuilt from being called finished, until what is returned is called.
    pub fn keep_unfinished(&self, place: &str) -> Box<dyn FnOnce() + '_> {
        if !self.is_sqlite() {
            return self.refuse(place, "meta", "UPDATE", "OLD.value = 1 AND NEW.value = 0");
        }
        // Whoever reads what was there before keeps the log from being folded in.
        let reader = rusqlite::Connection::open(place).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM meta").unwrap();
        Box::new(move || drop(reader))
    }

    /// How many indexes there are.
    pub fn count(&self) -> usize {
        let Some(server) = &self.server else {
            let files = std::fs::read_dir(self.folder.path()).unwrap();
            return files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "db")).count();
        };
        let sql = format!("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '{}%'", self.owner().schema());
        server.sql(&sql).unwrap().trim().parse().unwrap()
    }
}
