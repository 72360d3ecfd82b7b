//! Questions to the index. Each is a few ranges of its B-trees; none counts or sorts what it goes through.

mod documents;
mod lists;
mod provenance;
mod scan;
mod search;
mod statistics;

use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::to_string;
use vouch_types::{Height, api::IndexPage};

use crate::{IndexError, cursor, database::Database, readers::Readers, writer::meta_number};

pub use lists::Counts;
pub use scan::Filtered;

/// The index as those see it who ask. Every answer comes from one moment; blocking, so call it where that is allowed.
#[derive(Clone)]
pub struct Query {
    readers: Arc<RwLock<Arc<Readers>>>,
    head: Height,
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query").field("head", &self.head).finish_non_exhaustive()
    }
}

impl Query {
    pub(crate) const fn new(readers: Arc<RwLock<Arc<Readers>>>, head: Height) -> Self {
        Self { readers, head }
    }

    fn read<T>(&self, work: impl FnOnce(&Database) -> Result<T, IndexError>) -> Result<T, IndexError> {
        // Held for as long as it is read: an index that was replaced is removed after that.
        let readers = Arc::clone(&self.readers.read());
        readers.read(work)
    }

    /// A page of a list: what was found, and where to go on.
    fn page<T>(&self, database: &Database, list: Listed<'_, T>) -> Result<IndexPage<T>, IndexError> {
        let next = list.found.next.map(|below| cursor::write(list.name, list.filter, below));
        Ok(IndexPage {
            head: self.head.max(indexed(database)?),
            indexed: indexed(database)?,
            items: list.found.items,
            next,
            total: list.total,
        })
    }
}

/// What a page is made of.
struct Listed<'a, T> {
    name: &'a str,
    filter: &'a str,
    found: Filtered<T>,
    total: Option<u64>,
}

fn indexed(database: &Database) -> Result<Height, IndexError> {
    Ok(meta_number(database, "height")?.map_or(Height::ZERO, Height))
}

/// A filter as a text that is the same for the same filter.
fn filter_text(filter: &impl serde::Serialize) -> String {
    to_string(filter).unwrap_or_default()
}

/// Below which number a page begins.
fn begin(list: &str, filter: &str, after: Option<&str>) -> Result<Option<i64>, IndexError> {
    after.map(|text| cursor::read(list, filter, text)).transpose()
}
