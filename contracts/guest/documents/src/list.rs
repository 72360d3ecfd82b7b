//! Lists of documents whose numbers have no gaps: over all, per category, per issuer, and per party. Who has seen 1 to n
//! of a list, and counts n, has seen all.

use records::{Party, count, key, named, next, page};
use vouch_contract::{Bytes, Context, String, Vec, read, record, write};

use crate::{
    DocumentsError, dispute,
    document::{Document, Opened, find},
    erasure, grant,
    schema::Category,
};

record! {
    /// A document in a list.
    pub struct DocumentEntry = ("Document in a list", "凭证条目") {
        /// Its number in this list, from 1, without gaps.
        pub number: u64 = ("Number in this list", "列表内序号"),
        /// The document.
        pub document: Document = ("Document", "凭证"),
    }
}

record! {
    /// How many there are.
    pub struct Counts = ("Counts", "数量") {
        /// All documents.
        pub documents: u64 = ("Documents", "凭证"),
        /// Of category identity.
        pub identity: u64 = ("Identity", "身份"),
        /// Of category contract.
        pub contract: u64 = ("Contract", "合约"),
        /// Of category transaction.
        pub transaction: u64 = ("Transaction", "交易"),
        /// Of category invoice.
        pub invoice: u64 = ("Invoice", "票据"),
        /// Of category risk.
        pub risk: u64 = ("Risk", "风控"),
        /// Grants ever made.
        pub grants: u64 = ("Grants", "授权"),
        /// Disputes ever opened.
        pub disputes: u64 = ("Disputes", "争议"),
        /// Erasures ever asked for.
        pub erasures: u64 = ("Erasures", "删除"),
    }
}

/// The numbers of a new document.
pub(crate) struct Numbers {
    pub(crate) all: u64,
    pub(crate) category: u64,
    pub(crate) issuer: u64,
}

/// A list: the key of its counter is that of its entries without the number.
fn all_list() -> Vec<u8> {
    b"La".to_vec()
}

fn category_list(category: Category) -> Vec<u8> {
    [b"Lc".as_slice(), &[category as u8]].concat()
}

fn issuer_list(member: &str) -> Vec<u8> {
    [b"Li".as_slice(), &named(member)].concat()
}

fn party_list(party: &Party) -> Vec<u8> {
    [b"Lp".as_slice(), &party.key()].concat()
}

fn counter(list: &[u8]) -> Vec<u8> {
    key(b'C', &[list])
}

fn place(list: &[u8], number: u64) -> Vec<u8> {
    key(b'E', &[list, &number.to_be_bytes()])
}

/// Appends a document to a list.
fn append(list: &[u8], id: &Bytes) -> u64 {
    let number = next(&counter(list));
    write(&place(list, number), &id.0);
    number
}

/// Appends a new document to the lists of all, of its category and of its issuer.
pub(crate) fn add(id: &Bytes, category: Category, issuer: &str) -> Numbers {
    Numbers {
        all: append(&all_list(), id),
        category: append(&category_list(category), id),
        issuer: append(&issuer_list(issuer), id),
    }
}

/// Appends the document to the lists of its parties, unless an earlier version did.
pub(crate) fn add_parties(opened: &Opened) {
    let id = &opened.document.id;
    let mut parties: Vec<&Party> = opened.version.content.parties.iter().map(|entry| &entry.party).collect();
    parties.sort_unstable();
    parties.dedup();
    for party in parties {
        let mark = key(b'y', &[&id.0, &party.key()]);
        if read(&mark).is_none() {
            write(&mark, &[]);
            append(&party_list(party), id);
        }
    }
}

fn entries(list: &[u8], after: u64, limit: u32) -> Vec<DocumentEntry> {
    page(after, limit, |number| {
        let id = read(&place(list, number))?;
        Some(DocumentEntry { number, document: find(&Bytes(id))? })
    })
}

pub(crate) fn list(_: &Context, after: u64, limit: u32) -> Result<Vec<DocumentEntry>, DocumentsError> {
    Ok(entries(&all_list(), after, limit))
}

pub(crate) fn list_category(
    _: &Context,
    category: Category,
    after: u64,
    limit: u32,
) -> Result<Vec<DocumentEntry>, DocumentsError> {
    Ok(entries(&category_list(category), after, limit))
}

pub(crate) fn list_issuer(
    _: &Context,
    member: String,
    after: u64,
    limit: u32,
) -> Result<Vec<DocumentEntry>, DocumentsError> {
    Ok(entries(&issuer_list(&member), after, limit))
}

pub(crate) fn list_party(
    _: &Context,
    party: Party,
    after: u64,
    limit: u32,
) -> Result<Vec<DocumentEntry>, DocumentsError> {
    Ok(entries(&party_list(&party), after, limit))
}

pub(crate) fn counts(_: &Context) -> Result<Counts, DocumentsError> {
    let of = |category| count(&counter(&category_list(category)));
    Ok(Counts {
        documents: count(&counter(&all_list())),
        identity: of(Category::Identity),
        contract: of(Category::Contract),
        transaction: of(Category::Transaction),
        invoice: of(Category::Invoice),
        risk: of(Category::Risk),
        grants: count(grant::COUNT_KEY),
        disputes: count(dispute::COUNT_KEY),
        erasures: count(erasure::COUNT_KEY),
    })
}

pub(crate) fn count_issuer(_: &Context, member: String) -> Result<u64, DocumentsError> {
    Ok(count(&counter(&issuer_list(&member))))
}

pub(crate) fn count_party(_: &Context, party: Party) -> Result<u64, DocumentsError> {
    Ok(count(&counter(&party_list(&party))))
}
