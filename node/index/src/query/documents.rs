use vouch_types::{
    Height, TimestampMs,
    api::{DocumentDetail, DocumentFilter, DocumentItem, HexBytes, IndexPage, PublicText},
    document::{Category, DocumentId, ErasureState, Moment, VersionState, key},
};

use super::{
    Listed, Query, begin, filter_text, indexed,
    scan::{Condition, Filtered, Lead, Search},
};
use crate::{
    IndexError,
    codes::{Coded as _, int, small, uint},
    database::{Database, Row, values},
    schema::tally,
    tally::{count, sum},
    words,
};

const LIST: &str = "documents";
/// Most documents that one beginning of a text may match.
const MATCHES_MAX: usize = 2_000;

/// The columns that [`item`] reads, after the number.
pub(super) const COLUMNS: &str = "t.id, t.category, t.category_n,
    (SELECT value FROM word WHERE id = t.issuer), t.issuer_n, (SELECT value FROM word WHERE id = t.schema), t.state,
    t.version, t.effective, t.height, t.time, t.changed, t.disputes, t.holds, t.correction, t.erasure, t.refs_out, t.refs_in";

fn text(row: &Row<'_>, at: usize) -> Result<String, IndexError> {
    Ok(row.word(at)?.unwrap_or_default())
}

pub(super) fn item(row: &Row<'_>) -> Result<DocumentItem, IndexError> {
    Ok(DocumentItem {
        number: uint(row.int(0)?),
        id: DocumentId::new(row.array(1)?),
        category: Category::of(row.int(2)?),
        category_number: uint(row.int(3)?),
        issuer: text(row, 4)?,
        issuer_number: uint(row.int(5)?),
        schema: text(row, 6)?,
        state: VersionState::of(row.int(7)?),
        version: small(row.int(8)?),
        effective: row.maybe_int(9)?.map(small),
        created: Moment { height: Height(uint(row.int(10)?)), time_ms: TimestampMs(uint(row.int(11)?)) },
        changed: Height(uint(row.int(12)?)),
        disputes: small(row.int(13)?),
        holds: small(row.int(14)?),
        correction: row.int(15)? != 0,
        erasure: ErasureState::of(row.int(16)?),
        references: uint(row.int(17)?),
        referenced_by: uint(row.int(18)?),
    })
}

/// A document by the number it has here.
pub(super) fn by_number(database: &Database, n: i64) -> Result<Option<DocumentItem>, IndexError> {
    let sql = format!("SELECT t.n, {COLUMNS} FROM doc t WHERE t.n = ?1");
    database.one(&sql, values![n], item)
}

/// The number of a document.
pub(super) fn number_of(database: &Database, id: &DocumentId) -> Result<Option<i64>, IndexError> {
    database.number("SELECT n FROM doc WHERE id = ?1", values![id.as_bytes()])
}

/// The first number from which on documents are of a time or later. Numbers and times grow together.
fn from_time(database: &Database, time: TimestampMs) -> Result<i64, IndexError> {
    let last = database.number("SELECT max(n) FROM doc", &[])?;
    let (mut low, mut high) = (1, last.unwrap_or(0).saturating_add(1));
    let wanted = int(time.0);
    let sql = "SELECT n, time FROM doc WHERE n >= ?1 ORDER BY n LIMIT 1";
    while low < high {
        let middle = low + (high - low) / 2;
        let found = database.one(sql, values![middle], |row| Ok((row.int(0)?, row.int(1)?)))?;
        match found {
            Some((n, time)) if time < wanted => low = n.saturating_add(1),
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Where a text begins so: `None` when no text can.
pub(super) fn text_range(number: &str) -> Option<(String, String)> {
    let from = number.trim().to_lowercase();
    let mut to: Vec<char> = from.chars().collect();
    let last = to.pop()?;
    to.push(char::from_u32(u32::from(last) + 1).unwrap_or(char::MAX));
    Some((from, to.into_iter().collect()))
}

/// Documents with a public text that begins so, descending.
pub(super) fn matching(database: &Database, number: &str, limit: usize) -> Result<Vec<i64>, IndexError> {
    let Some((from, to)) = text_range(number) else { return Ok(Vec::new()) };
    let sql = "SELECT n FROM doc_public WHERE match >= ?1 AND match < ?2 LIMIT ?3";
    let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut found = database.all(sql, values![&from, &to, most], |row| row.int(0))?;
    if found.len() > limit {
        return Err(IndexError::TooMany(limit));
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    Ok(found)
}

/// The conditions of a filter; `None` when a word of it is one that nothing here has.
fn conditions(database: &Database, filter: &DocumentFilter) -> Result<Option<Vec<Condition>>, IndexError> {
    let mut conditions = Vec::new();
    let category = filter.category.map(code_of);
    let condition =
        |sql, values: Vec<i64>, rows| Condition { sql, values, rows: Some(rows), rank: u64::MAX, lead: None };
    if let Some(issuer) = &filter.issuer {
        let Some(issuer) = words::find_text(database, issuer)? else { return Ok(None) };
        match category {
            Some(category) => conditions.push(condition(
                "t.issuer = ? AND t.category = ?",
                vec![issuer, category],
                count(database, tally::ISSUER_CATEGORY, issuer, category)?,
            )),
            None => {
                conditions.push(condition("t.issuer = ?", vec![issuer], count(database, tally::ISSUER, issuer, 0)?));
            }
        }
    } else if let Some(category) = category {
        let rows = count(database, tally::CATEGORY, category, 0)?;
        conditions.push(condition("t.category = ?", vec![category], rows));
    }
    if let Some(state) = filter.state.map(code_of) {
        conditions.push(condition("t.state = ?", vec![state], count(database, tally::STATE, state, 0)?));
    }
    if let Some(schema) = &filter.schema {
        let Some(schema) = words::find_text(database, schema)? else { return Ok(None) };
        conditions.push(condition("t.schema = ?", vec![schema], count(database, tally::SCHEMA, schema, 0)?));
    }
    if let Some(party) = &filter.party {
        let Some(number) = words::find_party(database, party)? else { return Ok(None) };
        // A person is named in few documents; nobody counts them one by one.
        let rows = if party.member.is_some() { count(database, tally::PARTY, number, 0)? } else { 1 };
        conditions.push(Condition {
            sql: "EXISTS (SELECT 1 FROM doc_party p WHERE p.party = ? AND p.n = t.n)",
            values: vec![number],
            rows: Some(rows),
            rank: u64::MAX,
            lead: Some(Lead { from: "doc_party lead CROSS JOIN doc t ON t.n = lead.n", sql: "lead.party = ?" }),
        });
    }
    if let Some(disputed) = filter.disputed {
        let disputed_rows = count(database, tally::DISPUTED, 0, 0)?;
        let (sql, rows) = if disputed {
            ("t.disputes > 0", disputed_rows)
        } else {
            ("t.disputes = 0", sum(database, tally::CATEGORY)?.saturating_sub(disputed_rows))
        };
        conditions.push(condition(sql, Vec::new(), rows));
    }
    Ok(Some(conditions))
}

fn code_of<T: crate::codes::Coded>(word: T) -> i64 {
    word.code()
}

impl Query {
    /// Documents, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn documents(
        &self,
        filter: &DocumentFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<IndexPage<DocumentItem>, IndexError> {
        let text = filter_text(filter);
        let high = begin(LIST, &text, after)?;
        self.read(|database| {
            let (found, total) = find(database, filter, high, limit)?;
            self.page(database, Listed { name: LIST, filter: &text, found, total })
        })
    }

    /// One document.
    ///
    /// # Errors
    /// [`IndexError::Unknown`] and others.
    pub fn document(&self, id: &DocumentId) -> Result<DocumentDetail, IndexError> {
        self.read(|database| {
            let n = number_of(database, id)?.ok_or(IndexError::Unknown)?;
            let document = by_number(database, n)?.ok_or(IndexError::Unknown)?;
            let versions = (1..=document.version).map(|version| HexBytes(key::version(id, version)));
            let state_keys = std::iter::once(HexBytes(key::document(id))).chain(versions).collect();
            let indexed = indexed(database)?;
            Ok(DocumentDetail {
                head: self.head.max(indexed),
                indexed,
                public: public(database, n)?,
                document,
                state_keys,
            })
        })
    }
}

fn public(database: &Database, n: i64) -> Result<Vec<PublicText>, IndexError> {
    let sql = "SELECT w.value, p.value FROM doc_public p JOIN word w ON w.id = p.field WHERE p.n = ?1";
    database.all(sql, values![n], |row| Ok(PublicText { field: text(row, 0)?, value: row.text(1)? }))
}

type Found = (Filtered<DocumentItem>, Option<u64>);

fn find(database: &Database, filter: &DocumentFilter, high: Option<i64>, limit: usize) -> Result<Found, IndexError> {
    let nothing = || (Filtered { items: Vec::new(), next: None }, Some(0));
    let Some(conditions) = conditions(database, filter)? else { return Ok(nothing()) };
    let low = filter.from.map_or(Ok(1), |time| from_time(database, time))?;
    let last = database.number("SELECT max(n) FROM doc", &[])?;
    let mut top = last.unwrap_or(0).saturating_add(1).min(high.unwrap_or(i64::MAX));
    if let Some(to) = filter.to {
        top = top.min(from_time(database, to)?);
    }
    if let Some(number) = &filter.number {
        let numbers = matching(database, number, MATCHES_MAX)?;
        return among(database, filter, &numbers, (low, top), limit);
    }
    let rows = sum(database, tally::CATEGORY)?;
    let search = Search { database, columns: COLUMNS, table: "doc t", conditions, rows, low, high: top, limit };
    let is_person = filter.party.as_ref().is_some_and(|party| party.subject.is_some());
    let total = search.total().filter(|_| filter.from.is_none() && filter.to.is_none() && !is_person);
    Ok((search.run(item)?, total))
}

/// Those of a few documents that fulfil a filter.
fn among(
    database: &Database,
    filter: &DocumentFilter,
    numbers: &[i64],
    (low, high): (i64, i64),
    limit: usize,
) -> Result<Found, IndexError> {
    let mut items = Vec::new();
    let mut next = None;
    for n in numbers.iter().copied().filter(|n| (low..high).contains(n)) {
        let Some(document) = by_number(database, n)? else { continue };
        if !fits(database, filter, n, &document)? {
            continue;
        }
        if items.len() == limit {
            next = items.last().map(|document: &DocumentItem| int(document.number));
            break;
        }
        items.push(document);
    }
    Ok((Filtered { items, next }, None))
}

fn fits(database: &Database, filter: &DocumentFilter, n: i64, d: &DocumentItem) -> Result<bool, IndexError> {
    if let Some(party) = &filter.party {
        let number = words::find_party(database, party)?.unwrap_or(-1);
        let sql = "SELECT 1 FROM doc_party WHERE party = ?1 AND n = ?2";
        if !database.exists(sql, values![number, n])? {
            return Ok(false);
        }
    }
    Ok(filter.category.is_none_or(|category| category == d.category)
        && filter.state.is_none_or(|state| state == d.state)
        && filter.issuer.as_ref().is_none_or(|issuer| *issuer == d.issuer)
        && filter.schema.as_ref().is_none_or(|schema| *schema == d.schema)
        && filter.disputed.is_none_or(|disputed| disputed == (d.disputes > 0)))
}
