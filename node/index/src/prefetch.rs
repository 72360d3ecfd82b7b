//! What a block will ask the database for, asked for at once: with a server each question is a way there and back.
//!
//! Nothing depends on it but time. What is not foreseen here is asked for when it is needed.

use std::collections::{BTreeSet, HashMap};

use vouch_types::document::DocumentId;

use crate::{
    IndexBlock, IndexError,
    database::{Database, Row},
    numbers::{self, Known, Numbers},
    project::{Change, changes_of},
    source::Records,
    words::{self, Word, Words},
};

/// Words and documents that a block names.
#[derive(Default)]
struct Named {
    words: Vec<Word>,
    documents: BTreeSet<DocumentId>,
}

impl Named {
    fn of_transactions(&mut self, block: &IndexBlock) {
        for transaction in &block.transactions {
            self.words.push(words::of_account(&transaction.signer));
            self.words.extend(transaction.code.as_deref().map(words::of_text));
            for (contract, method) in &transaction.calls {
                self.words.extend([words::of_text(contract.as_str()), words::of_text(method)]);
            }
        }
    }

    fn of_events(&mut self, records: Records<'_>, block: &IndexBlock) -> Result<(), IndexError> {
        let mut documents = BTreeSet::new();
        for event in block.transactions.iter().flat_map(|transaction| &transaction.events) {
            let changes = changes_of(event).into_iter().flatten();
            documents.extend(changes.filter_map(|change| match change {
                Change::Document(id) | Change::Grants(id) | Change::Erasure(id) => Some(id),
                Change::Dispute(_) | Change::Relationship(_) | Change::Anchor(_) => None,
            }));
        }
        for id in &documents {
            let Some(document) = records.document(id)? else { continue };
            self.words.extend([words::of_text(&document.issuer), words::of_text(&document.schema)]);
            let Some(version) = records.version(id, document.latest)? else { continue };
            self.words.extend(version.content.parties.iter().filter_map(|entry| words::of_party(&entry.party)));
            for reference in &version.content.references {
                self.words.push(words::of_text(&reference.name));
                self.documents.insert(reference.id);
            }
        }
        self.documents.extend(documents);
        Ok(())
    }
}

/// Learns what a block names, as far as it is not remembered.
pub(crate) fn learn(
    database: &Database,
    words: &mut Words,
    numbers: &mut Numbers,
    records: Records<'_>,
    block: &IndexBlock,
    with_events: bool,
) -> Result<(), IndexError> {
    let Database::Postgres(session) = database else { return Ok(()) };
    let mut named = Named::default();
    named.of_transactions(block);
    if with_events {
        named.of_events(records, block)?;
    }
    let unknown = words.unknown(named.words);
    if !unknown.is_empty() {
        let values: BTreeSet<&[u8]> = unknown.iter().map(|(_, value)| value.as_slice()).collect();
        let values: Vec<Vec<u8>> = values.into_iter().map(<[u8]>::to_vec).collect();
        let mut found = HashMap::new();
        for row in session.rows_of("SELECT kind, value, id FROM word WHERE value = ANY(?1)", &values)? {
            let row = Row::Postgres(&row);
            found.insert((row.int(0)?, row.bytes(1)?), row.int(2)?);
        }
        words.learn(unknown, found);
    }
    let unknown: Vec<DocumentId> = named.documents.into_iter().filter(|id| !numbers.is_known(id)).collect();
    if !unknown.is_empty() {
        let ids: Vec<Vec<u8>> = unknown.iter().map(|id| id.as_bytes().to_vec()).collect();
        let mut found = HashMap::new();
        let sql = format!("SELECT {}, id FROM doc WHERE id = ANY(?1)", numbers::COLUMNS);
        for row in session.rows_of(&sql, &ids)? {
            let row = Row::Postgres(&row);
            let known = Known::read(&row)?;
            found.insert(DocumentId::new(row.array(5)?), known.n);
            numbers.remember(known);
        }
        for id in unknown {
            numbers.learn(id, found.remove(&id));
        }
    }
    Ok(())
}
