//! Which documents the chain has at all, listed beside the rows that are asked about: where a table has many more rows than the chain
//! has documents, most rows are known to be new without a question each.

use std::collections::HashSet;

use vouch_sdk::{Client, Error};
use vouch_types::document::{DocumentEntry, DocumentId};

/// Rows that are asked about one by one for each page that is read: so the list costs little where it does not help.
const ROWS_PER_PAGE: u64 = 64;
/// Documents on a page, at most.
const PAGE: u32 = 50;
/// Most documents that are held, 16 bytes each.
const DOCUMENTS_MAX: usize = 2_000_000;

/// How far the list is.
#[derive(Debug, Default)]
pub(super) struct Listing {
    ids: HashSet<DocumentId>,
    /// The number of the last document in it.
    last: u64,
    pages: u64,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Reading,
    /// What is not in it was not there when this was said.
    Whole,
    /// The chain has too many.
    GivenUp,
}

impl Listing {
    /// Whether the chain had no such document when the list became whole. One that came since is found when the row is sent: its
    /// transaction is refused.
    pub(super) fn rules_out(&self, id: &DocumentId) -> bool {
        self.state == State::Whole && !self.ids.contains(id)
    }

    /// After how many documents the next page is to be read, when so many rows have been seen.
    pub(super) fn due(&self, rows: u64) -> Option<u64> {
        (self.state == State::Reading && rows / ROWS_PER_PAGE > self.pages).then_some(self.last)
    }

    /// Takes the page that was due; an empty one is the end.
    pub(super) fn take(&mut self, page: &[DocumentEntry]) {
        self.take_ids(page.iter().map(|entry| (entry.number, entry.document.id)));
    }

    fn take_ids(&mut self, page: impl IntoIterator<Item = (u64, DocumentId)>) {
        self.pages = self.pages.saturating_add(1);
        let before = self.last;
        for (number, id) in page {
            self.last = number;
            self.ids.insert(id);
        }
        if self.last == before {
            self.state = State::Whole;
        }
        if self.ids.len() > DOCUMENTS_MAX {
            (self.ids, self.state) = (HashSet::new(), State::GivenUp);
        }
    }
}

/// A page of the chain's documents.
///
/// # Errors
/// When no node answers.
pub(super) async fn page(client: &Client, after: u64) -> Result<Vec<DocumentEntry>, Error> {
    client.documents(after, PAGE).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> DocumentId {
        format!("{number:032x}").parse().expect("an id")
    }

    #[test]
    fn nothing_is_ruled_out_before_the_list_is_whole() {
        let mut listing = Listing::default();
        assert_eq!(listing.due(ROWS_PER_PAGE - 1), None);
        assert_eq!(listing.due(ROWS_PER_PAGE), Some(0));
        listing.take_ids([(1, id(1)), (2, id(2))]);
        assert_eq!((listing.due(ROWS_PER_PAGE), listing.due(2 * ROWS_PER_PAGE)), (None, Some(2)));
        assert!(!listing.rules_out(&id(3)));
        listing.take_ids([]);
        assert_eq!(listing.due(u64::MAX), None);
        assert!(listing.rules_out(&id(3)) && !listing.rules_out(&id(2)));
    }

    #[test]
    fn a_chain_with_too_many_documents_is_asked_row_by_row() {
        let mut listing = Listing::default();
        listing.take_ids((0..=DOCUMENTS_MAX as u64).map(|number| (number, id(number))));
        assert_eq!((listing.due(u64::MAX), listing.ids.len()), (None, 0));
        assert!(!listing.rules_out(&id(u64::MAX)));
    }
}
