use std::{path::PathBuf, sync::Arc};

use super::{Home, Owner, is_schema_name};
use crate::{
    IndexError,
    database::{
        Database, dialect,
        postgres::{Role, Session},
        server::Server,
    },
    readers::{Pool, Readers},
    schema::{LAYOUT, TABLES},
};

/// Schemas `NAME_N` of a database.
pub(super) struct Schemas {
    server: Arc<Server>,
    name: String,
    owner: Owner,
}

/// What one is, by the table that says so.
enum Whose {
    Ours {
        layout: u32,
    },
    /// With what is known of who made it.
    Others(String),
}

impl Schemas {
    pub(super) fn new(server: PathBuf, name: String, owner: Owner) -> Result<Self, IndexError> {
        if !is_schema_name(&name) {
            return Err(IndexError::Connection(format!("{name:?} is no name for schemas")));
        }
        Ok(Self { server: Arc::new(Server::new(server)?), name, owner })
    }

    fn schema(&self, number: u64) -> String {
        format!("{}_{number}", self.name)
    }

    fn session(&self, number: u64) -> Result<Session, IndexError> {
        Session::open(&self.server, &self.schema(number), Role::Writer)
    }

    fn whose(&self, session: &Session, schema: &str) -> Result<Whose, IndexError> {
        let sql = format!(
            "SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = '{schema}' AND c.relname = 'vouch_index' AND c.relkind = 'r'"
        );
        let found = session.texts(&sql)?;
        match found.first().and_then(|row| row.first()?.as_deref()) {
            Some("t") => {}
            Some(_) => return Ok(Whose::Others("somebody who lets this node look at nothing".into())),
            None => return Ok(Whose::Others("something that is no index".into())),
        }
        let rows = session.texts(&format!("SELECT chain, node, layout FROM \"{schema}\".vouch_index"))?;
        let [row] = rows.as_slice() else { return Ok(Whose::Others("nobody who says so".into())) };
        let [Some(chain), Some(node), Some(layout)] = row.as_slice() else {
            return Ok(Whose::Others("nobody who says so".into()));
        };
        if *chain == self.owner.chain.to_string() && *node == self.owner.node.to_string() {
            return Ok(Whose::Ours { layout: layout.parse().unwrap_or(0) });
        }
        Ok(Whose::Others(format!("node {node} of chain {chain}")))
    }

    /// The layout of a schema of one's own.
    fn check(&self, session: &Session, schema: &str) -> Result<u32, IndexError> {
        match self.whose(session, schema)? {
            Whose::Ours { layout } => Ok(layout),
            Whose::Others(whose) => Err(IndexError::Foreign { place: self.place(schema), whose }),
        }
    }

    fn place(&self, schema: &str) -> String {
        format!("{} schema {schema}", self.server.address())
    }

    fn try_remove(&self, number: u64) -> Result<(), IndexError> {
        let (schema, session) = (self.schema(number), self.session(number)?);
        let sql = format!("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = '{schema}'");
        if session.texts(&sql)?.is_empty() {
            return Ok(());
        }
        self.check(&session, &schema)?;
        session.lock()?;
        session.batch(&format!("DROP SCHEMA \"{schema}\" CASCADE"))
    }
}

impl Home for Schemas {
    fn name(&self, number: u64) -> String {
        self.place(&self.schema(number))
    }

    fn numbers(&self) -> Result<Vec<u64>, IndexError> {
        let session = self.session(1)?;
        let sql =
            format!("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname ~ '^{}_[0-9]{{1,18}}$'", self.name);
        let mut numbers = Vec::new();
        for row in session.texts(&sql)? {
            let Some(Some(schema)) = row.first() else { continue };
            // Somebody else's among them, and none is touched.
            self.check(&session, schema)?;
            let number = schema.strip_prefix(self.name.as_str()).and_then(|rest| rest.strip_prefix('_'));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn open(&self, number: u64) -> Result<Option<Database>, IndexError> {
        let (schema, session) = (self.schema(number), self.session(number)?);
        session.lock()?;
        let layout = self.check(&session, &schema)?;
        Ok((layout == LAYOUT).then_some(Database::Postgres(session)))
    }

    fn create(&self, number: u64) -> Result<Database, IndexError> {
        self.try_remove(number)?;
        let (schema, session) = (self.schema(number), self.session(number)?);
        session.lock()?;
        let (tables, Owner { chain, node }) = (dialect::tables(TABLES), self.owner);
        session.batch(&format!(
            "BEGIN; CREATE SCHEMA \"{schema}\"; {tables}
            CREATE TABLE vouch_index(chain TEXT NOT NULL, node TEXT NOT NULL, layout BIGINT NOT NULL);
            INSERT INTO vouch_index(chain, node, layout) VALUES ('{chain}', '{node}', {LAYOUT}); COMMIT;"
        ))?;
        Ok(Database::Postgres(session))
    }

    fn remove(&self, number: u64) {
        if let Err(error) = self.try_remove(number) {
            tracing::warn!(index = self.name(number), "cannot be removed: {error}");
        }
    }

    fn readers(&self, number: u64) -> Readers {
        Readers::Postgres(Pool::new(&self.server, self.schema(number)))
    }

    fn bytes(&self, number: u64, database: &Database) -> Result<u64, IndexError> {
        let schema = self.schema(number);
        let sql = "SELECT CAST(coalesce(sum(pg_total_relation_size(c.oid)), 0) AS BIGINT) FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND convert_to(n.nspname, 'UTF8') = ?1";
        Ok(database.number(sql, &[schema.as_str().into()])?.map_or(0, crate::codes::uint))
    }
}
