//! The database's layout. Every index ends in the number by which a list is ordered, so that a page is one range of it.

/// Version of the layout. A database of another one is not read but made anew.
pub const LAYOUT: u32 = 1;

/// Kinds of words.
pub(crate) mod word {
    pub(crate) const TEXT: i64 = 1;
    pub(crate) const ACCOUNT: i64 = 2;
    pub(crate) const SUBJECT: i64 = 3;
}

/// What is counted over all time, `tally.kind`, with what `a` and `b` mean.
pub(crate) mod tally {
    /// `a`: category.
    pub(crate) const CATEGORY: i64 = 1;
    /// `a`: state.
    pub(crate) const STATE: i64 = 2;
    /// `a`: category, `b`: state.
    pub(crate) const CATEGORY_STATE: i64 = 3;
    /// `a`: word of the member.
    pub(crate) const ISSUER: i64 = 4;
    /// `a`: word of the member, `b`: category.
    pub(crate) const ISSUER_CATEGORY: i64 = 5;
    /// `a`: word of the schema.
    pub(crate) const SCHEMA: i64 = 6;
    /// `a`: word of the member; persons are not counted one by one.
    pub(crate) const PARTY: i64 = 7;
    /// Documents with an open dispute.
    pub(crate) const DISPUTED: i64 = 8;
    /// `a`: 1 when failed.
    pub(crate) const TRANSACTION: i64 = 9;
    /// `a`: word of the account.
    pub(crate) const SIGNER: i64 = 10;
    /// `a`: word of the contract, `b`: word of the method, 0 for any.
    pub(crate) const CALL: i64 = 11;
    /// `a`: kind, `b`: state.
    pub(crate) const RELATIONSHIP: i64 = 12;
    /// `a`: state.
    pub(crate) const DISPUTE: i64 = 13;
    /// `a`: state.
    pub(crate) const ERASURE: i64 = 14;
    /// Blocks.
    pub(crate) const BLOCK: i64 = 15;
    /// Grants.
    pub(crate) const GRANT: i64 = 16;
}

/// What is counted by hour, `hourly.kind`, with what `a` means.
pub(crate) mod hourly {
    /// `a`: category.
    pub(crate) const DOCUMENT: i64 = 1;
    /// `a`: word of the member.
    pub(crate) const ISSUER: i64 = 2;
    /// `a`: 1 when failed.
    pub(crate) const TRANSACTION: i64 = 3;
    /// `a`: word of the contract.
    pub(crate) const CONTRACT: i64 = 4;
    pub(crate) const BLOCK: i64 = 5;
    pub(crate) const DISPUTE: i64 = 6;
    pub(crate) const ERASURE: i64 = 7;
}

/// The tables as SQLite takes them; `database::dialect` puts them into other words.
pub(crate) const TABLES: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
-- Texts, accounts and persons once each; everything else names them by number.
CREATE TABLE word(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, value BLOB NOT NULL);
CREATE UNIQUE INDEX word_value ON word(value, kind);

CREATE TABLE block(height INTEGER PRIMARY KEY, hash BLOB NOT NULL, time INTEGER NOT NULL, proposer BLOB NOT NULL,
  transactions INTEGER NOT NULL, first INTEGER NOT NULL);
CREATE INDEX block_hash ON block(hash);
-- n: order over all; the block is found by its first.
CREATE TABLE tx(n INTEGER PRIMARY KEY, id BLOB NOT NULL, height INTEGER NOT NULL, place INTEGER NOT NULL,
  signer INTEGER NOT NULL, contract INTEGER NOT NULL, method INTEGER NOT NULL, calls INTEGER NOT NULL, code INTEGER,
  fuel INTEGER NOT NULL);
CREATE INDEX tx_id ON tx(substr(id, 1, 8));
CREATE INDEX tx_signer ON tx(signer, n);
CREATE INDEX tx_failed ON tx(n) WHERE code IS NOT NULL;
-- Each contract of a transaction with method 0, and each of its methods.
CREATE TABLE tx_call(contract INTEGER, method INTEGER, n INTEGER, PRIMARY KEY(contract, method, n)) WITHOUT ROWID;

-- n: the contract's number over all, without gaps, in order of creation.
CREATE TABLE doc(n INTEGER PRIMARY KEY, id BLOB NOT NULL, category INTEGER NOT NULL, category_n INTEGER NOT NULL,
  issuer INTEGER NOT NULL, issuer_n INTEGER NOT NULL, schema INTEGER NOT NULL, state INTEGER NOT NULL,
  version INTEGER NOT NULL, effective INTEGER, height INTEGER NOT NULL, time INTEGER NOT NULL, changed INTEGER NOT NULL,
  disputes INTEGER NOT NULL, holds INTEGER NOT NULL, correction INTEGER NOT NULL, erasure INTEGER NOT NULL,
  refs_out INTEGER NOT NULL, refs_in INTEGER NOT NULL);
CREATE UNIQUE INDEX doc_id ON doc(id);
CREATE INDEX doc_category ON doc(category, n);
CREATE INDEX doc_issuer ON doc(issuer, n);
CREATE INDEX doc_issuer_category ON doc(issuer, category, n);
CREATE INDEX doc_schema ON doc(schema, n);
CREATE INDEX doc_state ON doc(state, n);
CREATE INDEX doc_disputed ON doc(n) WHERE disputes > 0;
CREATE TABLE doc_party(party INTEGER, n INTEGER, PRIMARY KEY(party, n)) WITHOUT ROWID;
-- match: the text's first 64 characters in lower case.
CREATE TABLE doc_public(n INTEGER, field INTEGER, value TEXT NOT NULL, match TEXT NOT NULL, PRIMARY KEY(n, field)) WITHOUT ROWID;
CREATE INDEX doc_public_match ON doc_public(match, n);
CREATE TABLE edge(child INTEGER, child_version INTEGER, parent INTEGER, parent_version INTEGER NOT NULL, name INTEGER NOT NULL,
  PRIMARY KEY(child, child_version, parent, name)) WITHOUT ROWID;
CREATE INDEX edge_parent ON edge(parent, child, child_version, name);
-- Of the first pass over a state: the document that is named comes later.
CREATE TABLE edge_waiting(child INTEGER, child_version INTEGER, parent BLOB, parent_version INTEGER, name INTEGER);

CREATE TABLE relationship(n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, state INTEGER NOT NULL, member INTEGER NOT NULL,
  party INTEGER NOT NULL, record BLOB NOT NULL);
CREATE INDEX relationship_member ON relationship(member, n);
CREATE INDEX relationship_party ON relationship(party, n);
CREATE INDEX relationship_kind ON relationship(kind, state, n);
CREATE TABLE dispute(n INTEGER PRIMARY KEY, doc INTEGER NOT NULL, state INTEGER NOT NULL, arbiter INTEGER NOT NULL, record BLOB NOT NULL);
CREATE INDEX dispute_doc ON dispute(doc, n);
CREATE INDEX dispute_state ON dispute(state, n);
CREATE INDEX dispute_arbiter ON dispute(arbiter, n);
CREATE TABLE permit(n INTEGER PRIMARY KEY, doc INTEGER NOT NULL, ended INTEGER NOT NULL, record BLOB NOT NULL);
CREATE INDEX permit_doc ON permit(doc, ended, n);
CREATE TABLE erasure(doc INTEGER PRIMARY KEY, state INTEGER NOT NULL, record BLOB NOT NULL);
CREATE TABLE anchor(member INTEGER, node TEXT, number INTEGER, entries INTEGER NOT NULL, head BLOB NOT NULL, height INTEGER NOT NULL,
  time INTEGER NOT NULL, PRIMARY KEY(member, node, number)) WITHOUT ROWID;

CREATE TABLE tally(kind INTEGER, a INTEGER, b INTEGER, count INTEGER NOT NULL, PRIMARY KEY(kind, a, b)) WITHOUT ROWID;
CREATE TABLE hourly(kind INTEGER, hour INTEGER, a INTEGER, count INTEGER NOT NULL, PRIMARY KEY(kind, hour, a)) WITHOUT ROWID;
";
