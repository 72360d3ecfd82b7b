//! Where indexes lie: numbered, one beside the other while one is made anew. The highest that is finished counts.

mod folder;
mod schemas;

use std::path::PathBuf;

use vouch_types::{ChainId, NodeId};

use crate::{IndexError, Writer, database::Database, readers::Readers};

use self::{folder::Folder, schemas::Schemas};

/// Which database, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexConfig {
    /// SQLite, in files of a folder.
    Sqlite {
        /// The folder; made when it is missing.
        folder: PathBuf,
        /// Memory of the writer, in MiB.
        cache_mib: usize,
    },
    /// PostgreSQL, in schemas of a database.
    Postgres {
        /// The connection file, see `vouch_postgres`.
        server: PathBuf,
        /// What the schemas are called, before their numbers; by [`Owner::schema`] when it is left out.
        schema: Option<String>,
    },
}

/// Whose an index is: nobody else's schema is read, written or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The chain.
    pub chain: ChainId,
    /// The node.
    pub node: NodeId,
}

impl Owner {
    /// What its schemas are called, before their numbers: nodes and chains that share a server do not meet.
    #[must_use]
    pub fn schema(&self) -> String {
        let short = |hash: &[u8; 32]| hex::encode(hash.get(..6).unwrap_or_default());
        format!("vouch_{}_{}", short(self.chain.as_bytes()), short(self.node.as_bytes()))
    }
}

/// Indexes of one place, by number.
pub(crate) trait Home: Send {
    /// What one is called.
    fn name(&self, number: u64) -> String;

    /// Numbers of those there are, ascending.
    fn numbers(&self) -> Result<Vec<u64>, IndexError>;

    /// Opens one to be written; `None` when it is of another layout.
    fn open(&self, number: u64) -> Result<Option<Database>, IndexError>;

    /// Makes an empty one.
    fn create(&self, number: u64) -> Result<Database, IndexError>;

    /// What is not there is as good as removed; what cannot be removed is tried again at the next start.
    fn remove(&self, number: u64);

    /// Those who read it.
    fn readers(&self, number: u64) -> Readers;

    /// Bytes that it takes.
    fn bytes(&self, number: u64, database: &Database) -> Result<u64, IndexError>;
}

/// Most characters of a schema's name before its number: PostgreSQL cuts longer ones off.
pub const SCHEMA_NAME_MAX: usize = 40;

/// Whether schemas can be called so: lower case letters, digits and `_`, a letter or `_` first, and nothing that the server
/// keeps for itself.
#[must_use]
pub fn is_schema_name(name: &str) -> bool {
    let begins = |c: char| c.is_ascii_lowercase() || c == '_';
    let fits = |c: char| begins(c) || c.is_ascii_digit();
    (1..=SCHEMA_NAME_MAX).contains(&name.len())
        && name.starts_with(begins)
        && name.chars().all(fits)
        && !name.starts_with("pg_")
}

impl IndexConfig {
    /// The place of an owner's indexes. A folder is one's own; what lies on a server says whose it is.
    pub(crate) fn home(&self, owner: Owner) -> Result<Box<dyn Home>, IndexError> {
        Ok(match self {
            Self::Sqlite { folder, cache_mib } => Box::new(Folder { path: folder.clone(), cache_mib: *cache_mib }),
            Self::Postgres { server, schema } => {
                let schema = schema.clone().unwrap_or_else(|| owner.schema());
                Box::new(Schemas::new(server.clone(), schema, owner)?)
            }
        })
    }
}

/// The newest finished index; what else there is goes. A new one where there is none.
pub(crate) fn open_newest(home: &dyn Home) -> Result<Writer, IndexError> {
    let mut numbers = home.numbers()?;
    let mut found = None;
    while let Some(number) = numbers.pop() {
        if found.is_some() {
            home.remove(number);
            continue;
        }
        match Writer::open(home, number) {
            Ok(Some(writer)) => found = Some(writer),
            Ok(None) => home.remove(number),
            // Nothing is lost with an index: all of it is made again.
            Err(error) if error.is_final() => {
                tracing::error!(index = home.name(number), "the index is damaged and is made anew: {error}");
                home.remove(number);
            }
            Err(error) => return Err(error),
        }
    }
    match found {
        Some(writer) => Ok(writer),
        None => Writer::make(home, 1),
    }
}
