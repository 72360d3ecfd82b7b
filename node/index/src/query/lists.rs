use vouch_types::{
    AccountId, BlockHash, Fuel, Height, TimestampMs, TxId,
    api::{CountView, DisputeFilter, IndexPage, RelationshipFilter, TransactionFilter, TransactionItem},
    codec::Format,
    decode,
    document::{Dispute, DocumentId, Grant, RECORD_BYTES_MAX},
    relation::Relationship,
};
use wincode::SchemaRead;

use super::{
    Listed, Query, begin,
    documents::number_of,
    filter_text,
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

const TRANSACTIONS: &str = "transactions";
const RELATIONSHIPS: &str = "relationships";
const DISPUTES: &str = "disputes";
const GRANTS: &str = "grants";

const TRANSACTION_COLUMNS: &str = "t.id, t.height, t.place, (SELECT time FROM block WHERE height = t.height),
    (SELECT value FROM word WHERE id = t.signer), t.calls, (SELECT value FROM word WHERE id = t.contract),
    (SELECT value FROM word WHERE id = t.method), (SELECT value FROM word WHERE id = t.code), t.fuel";

fn transaction(row: &Row<'_>) -> Result<TransactionItem, IndexError> {
    Ok(TransactionItem {
        id: TxId(row.array(1)?),
        height: Height(uint(row.int(2)?)),
        index: small(row.int(3)?),
        time: TimestampMs(uint(row.maybe_int(4)?.unwrap_or(0))),
        signer: AccountId(row.array(5)?),
        calls: small(row.int(6)?),
        contract: row.word(7)?.unwrap_or_default(),
        method: row.word(8)?.unwrap_or_default(),
        code: row.word(9)?,
        fuel: Fuel(uint(row.int(10)?)),
    })
}

/// A record as the contract stores it. The column `record` stands after the number.
fn record<T>(row: &Row<'_>) -> Result<T, IndexError>
where
    T: for<'a> SchemaRead<'a, Format, Dst = T>,
{
    decode("record of the index", &row.bytes(1)?, RECORD_BYTES_MAX)
        .map_err(|error| IndexError::Damaged(error.to_string()))
}

/// The first transaction from which on blocks are of a time or later. Heights and times grow together.
fn first_from(database: &Database, time: TimestampMs) -> Result<i64, IndexError> {
    let sql = "SELECT coalesce(min(height), 1), coalesce(max(height), 0) FROM block";
    let (mut low, last) = database.one(sql, &[], |row| Ok((row.int(0)?, row.int(1)?)))?.unwrap_or((1, 0));
    let mut high = last.saturating_add(1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = database.number("SELECT time FROM block WHERE height = ?1", values![middle])?;
        if found.is_some_and(|found| found < int(time.0)) { low = middle + 1 } else { high = middle }
    }
    let sql = "SELECT first FROM block WHERE height >= ?1 ORDER BY height LIMIT 1";
    Ok(database.number(sql, values![low])?.unwrap_or(i64::MAX))
}

/// One that a few rows fulfil as a rule; some values may have very many.
fn rare(sql: &'static str, value: i64, rank: u64) -> Condition {
    Condition { sql, values: vec![value], rows: None, rank, lead: None }
}

fn condition(sql: &'static str, values: Vec<i64>, rows: Option<u64>) -> Condition {
    Condition { sql, values, rows, rank: u64::MAX, lead: None }
}

/// The conditions of a filter; `None` when a word of it is one that nothing here has.
fn of_transactions(database: &Database, filter: &TransactionFilter) -> Result<Option<Vec<Condition>>, IndexError> {
    let mut conditions = Vec::new();
    if let Some(account) = &filter.account {
        let Some(number) = words::find(database, &words::of_account(account))? else { return Ok(None) };
        let rows = count(database, tally::SIGNER, number, 0)?;
        conditions.push(condition("t.signer = ?", vec![number], Some(rows)));
    }
    if let Some(failed) = filter.failed {
        let rows = count(database, tally::TRANSACTION, i64::from(failed), 0)?;
        let sql = if failed { "t.code IS NOT NULL" } else { "t.code IS NULL" };
        conditions.push(condition(sql, Vec::new(), Some(rows)));
    }
    if let Some(contract) = &filter.contract {
        let Some(contract) = words::find_text(database, contract.as_str())? else { return Ok(None) };
        let method = match &filter.method {
            Some(method) => words::find_text(database, method)?,
            None => Some(0),
        };
        let Some(method) = method else { return Ok(None) };
        let rows = count(database, tally::CALL, contract, method)?;
        let lead =
            Lead { from: "tx_call lead CROSS JOIN tx t ON t.n = lead.n", sql: "lead.contract = ? AND lead.method = ?" };
        let sql = "EXISTS (SELECT 1 FROM tx_call c WHERE c.contract = ? AND c.method = ? AND c.n = t.n)";
        let values = vec![contract, method];
        conditions.push(Condition { sql, values, rows: Some(rows), rank: u64::MAX, lead: Some(lead) });
    }
    Ok(Some(conditions))
}

fn transactions(
    database: &Database,
    filter: &TransactionFilter,
    high: Option<i64>,
    limit: usize,
) -> Result<(Filtered<TransactionItem>, Option<u64>), IndexError> {
    let Some(conditions) = of_transactions(database, filter)? else {
        return Ok((Filtered { items: Vec::new(), next: None }, Some(0)));
    };
    let low = filter.from.map_or(Ok(1), |time| first_from(database, time))?;
    let last = database.number("SELECT max(n) FROM tx", &[])?;
    let mut top = last.unwrap_or(0).saturating_add(1).min(high.unwrap_or(i64::MAX));
    if let Some(to) = filter.to {
        top = top.min(first_from(database, to)?);
    }
    let rows = sum(database, tally::TRANSACTION)?;
    let (columns, table) = (TRANSACTION_COLUMNS, "tx t");
    let search = Search { database, columns, table, conditions, rows, low, high: top, limit };
    let total = search.total().filter(|_| filter.from.is_none() && filter.to.is_none());
    Ok((search.run(transaction)?, total))
}

fn top_of(database: &Database, sql: &str, high: Option<i64>) -> Result<i64, IndexError> {
    let last = database.number(sql, &[])?;
    Ok(last.unwrap_or(0).saturating_add(1).min(high.unwrap_or(i64::MAX)))
}

fn of_relationships(database: &Database, filter: &RelationshipFilter) -> Result<Option<Vec<Condition>>, IndexError> {
    let mut conditions = Vec::new();
    if let Some(party) = &filter.party {
        let Some(number) = words::find_party(database, party)? else { return Ok(None) };
        // A person stands in few; where many know a member the page takes its time.
        conditions.push(rare("t.party = ?", number, 1));
    }
    if let Some(member) = &filter.member {
        let Some(number) = words::find_text(database, member)? else { return Ok(None) };
        conditions.push(rare("t.member = ?", number, 2));
    }
    match (filter.kind, filter.state) {
        (Some(kind), Some(state)) => {
            let (kind, state) = (kind.code(), state.code());
            let rows = count(database, tally::RELATIONSHIP, kind, state)?;
            conditions.push(condition("t.kind = ? AND t.state = ?", vec![kind, state], Some(rows)));
        }
        (Some(kind), None) => conditions.push(condition("+t.kind = ?", vec![kind.code()], None)),
        (None, Some(state)) => conditions.push(condition("+t.state = ?", vec![state.code()], None)),
        (None, None) => {}
    }
    Ok(Some(conditions))
}

fn of_disputes(database: &Database, filter: &DisputeFilter) -> Result<Option<Vec<Condition>>, IndexError> {
    let mut conditions = Vec::new();
    if let Some(document) = &filter.document {
        let Some(n) = number_of(database, document)? else { return Ok(None) };
        conditions.push(rare("t.doc = ?", n, 1));
    }
    if let Some(arbiter) = &filter.arbiter {
        let Some(number) = words::find_text(database, arbiter)? else { return Ok(None) };
        conditions.push(condition("t.arbiter = ?", vec![number], None));
    }
    if let Some(state) = filter.state {
        let rows = count(database, tally::DISPUTE, state.code(), 0)?;
        conditions.push(condition("t.state = ?", vec![state.code()], Some(rows)));
    }
    Ok(Some(conditions))
}

/// What the index has of each kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Documents.
    pub documents: CountView,
    /// Relationships.
    pub relationships: CountView,
    /// Disputes.
    pub disputes: CountView,
    /// Grants.
    pub grants: CountView,
    /// Transactions.
    pub transactions: u64,
}

impl Query {
    /// Transactions, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn transactions(
        &self,
        filter: &TransactionFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<IndexPage<TransactionItem>, IndexError> {
        let text = filter_text(filter);
        let high = begin(TRANSACTIONS, &text, after)?;
        self.read(|database| {
            let (found, total) = transactions(database, filter, high, limit)?;
            self.page(database, Listed { name: TRANSACTIONS, filter: &text, found, total })
        })
    }

    /// Relationships, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn relationships(
        &self,
        filter: &RelationshipFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<IndexPage<Relationship>, IndexError> {
        let text = filter_text(filter);
        let high = begin(RELATIONSHIPS, &text, after)?;
        self.read(|database| {
            let rows = sum(database, tally::RELATIONSHIP)?;
            let (found, total) = match of_relationships(database, filter)? {
                None => (Filtered { items: Vec::new(), next: None }, Some(0)),
                Some(conditions) => {
                    let high = top_of(database, "SELECT max(n) FROM relationship", high)?;
                    let total = conditions.is_empty().then_some(rows);
                    let (columns, table) = ("t.record", "relationship t");
                    let search = Search { database, columns, table, conditions, rows, low: 1, high, limit };
                    (search.run(record)?, total)
                }
            };
            self.page(database, Listed { name: RELATIONSHIPS, filter: &text, found, total })
        })
    }

    /// Disputes, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn disputes(
        &self,
        filter: &DisputeFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<IndexPage<Dispute>, IndexError> {
        let text = filter_text(filter);
        let high = begin(DISPUTES, &text, after)?;
        self.read(|database| {
            let rows = sum(database, tally::DISPUTE)?;
            let (found, total) = match of_disputes(database, filter)? {
                None => (Filtered { items: Vec::new(), next: None }, Some(0)),
                Some(conditions) => {
                    let high = top_of(database, "SELECT max(n) FROM dispute", high)?;
                    let total = conditions.is_empty().then_some(rows);
                    let (columns, table) = ("t.record", "dispute t");
                    let search = Search { database, columns, table, conditions, rows, low: 1, high, limit };
                    (search.run(record)?, total)
                }
            };
            self.page(database, Listed { name: DISPUTES, filter: &text, found, total })
        })
    }

    /// A document's grants, newest first, ended ones too.
    ///
    /// # Errors
    /// [`IndexError::Unknown`] and others.
    pub fn grants(&self, id: &DocumentId, after: Option<&str>, limit: usize) -> Result<IndexPage<Grant>, IndexError> {
        let text = id.to_string();
        let high = begin(GRANTS, &text, after)?;
        self.read(|database| {
            let doc = number_of(database, id)?.ok_or(IndexError::Unknown)?;
            let high = top_of(database, "SELECT max(n) FROM permit", high)?;
            let conditions = vec![rare("t.doc = ? AND t.ended IN (0, 1)", doc, 1)];
            let rows = count(database, tally::GRANT, 0, 0)?;
            let (columns, table) = ("t.record", "permit t");
            let found = Search { database, columns, table, conditions, rows, low: 1, high, limit }.run(record)?;
            self.page(database, Listed { name: GRANTS, filter: &text, found, total: None })
        })
    }

    /// How many of each there are in the index.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn counts(&self) -> Result<Counts, IndexError> {
        let of = |indexed| CountView { indexed, on_chain: None };
        self.read(|database| {
            Ok(Counts {
                documents: of(sum(database, tally::CATEGORY)?),
                relationships: of(sum(database, tally::RELATIONSHIP)?),
                disputes: of(sum(database, tally::DISPUTE)?),
                grants: of(count(database, tally::GRANT, 0, 0)?),
                transactions: sum(database, tally::TRANSACTION)?,
            })
        })
    }
}

/// A block by a range of hashes.
pub(super) fn blocks_between(
    database: &Database,
    from: &[u8],
    to: &[u8],
    limit: i64,
) -> Result<Vec<(Height, BlockHash)>, IndexError> {
    let sql = "SELECT height, hash FROM block WHERE hash >= ?1 AND hash < ?2 ORDER BY hash LIMIT ?3";
    database.all(sql, values![from, to, limit], |row| Ok((Height(uint(row.int(0)?)), BlockHash(row.array(1)?))))
}
