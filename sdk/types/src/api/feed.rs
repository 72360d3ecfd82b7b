//! The feed of final blocks: what is sent, and where a reader continues.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{BlockSummary, EventView, FinalBlock, Problem, TransactionView};
use crate::{hash::TxId, numbers::Height};

/// A place in the feed: the item `index` of the block `height`.
///
/// A block's items are numbered in one fixed way, whatever a reader filters: 0 is the block itself, then for each
/// transaction first the transaction and then its events. So a cursor means the same at every node and for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// The block; 0 stands before the first one.
    pub height: Height,
    /// The item within it.
    pub index: u32,
}

/// Why a text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a cursor as HEIGHT-INDEX, for example 12-0")]
pub struct ParseCursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.height, self.index)
    }
}

impl FromStr for Cursor {
    type Err = ParseCursorError;
    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let (height, index) = text.split_once('-').ok_or(ParseCursorError)?;
        let canonical = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if !canonical(height) || !canonical(index) {
            return Err(ParseCursorError);
        }
        Ok(Self {
            height: height.parse().map_err(|_| ParseCursorError)?,
            index: index.parse().map_err(|_| ParseCursorError)?,
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One item of the feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeedItem {
    /// A block became final.
    Block(BlockSummary),
    /// A transaction in it.
    Transaction(Box<TransactionView>),
    /// An event of that transaction.
    Event {
        /// The transaction.
        tx: TxId,
        /// Its block's height.
        height: Height,
        /// The event.
        #[serde(flatten)]
        event: EventView,
    },
}

impl FeedItem {
    /// The name of the server-sent event.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Block(_) => "block",
            Self::Transaction(_) => "transaction",
            Self::Event { .. } => "event",
        }
    }

    /// All items of a block with their cursors, in order. Events stand as items of their own, not within transactions.
    pub fn of_block(block: &FinalBlock) -> impl Iterator<Item = (Cursor, Self)> + Send + '_ {
        let height = block.summary.height;
        let head = core::iter::once_with(|| Self::Block(block.summary.clone()));
        let rest = block.transactions.iter().flat_map(move |transaction| {
            let item = || Self::Transaction(Box::new(transaction.without_events()));
            let events = transaction.events.iter().cloned();
            let events = events.map(move |event| Self::Event { tx: transaction.id, height, event });
            core::iter::once_with(item).chain(events)
        });
        (0u32..).zip(head.chain(rest)).map(move |(index, item)| (Cursor { height, index }, item))
    }
}

/// The last message of a feed that the server ends: why, and where to continue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeedEnd {
    /// Why it ends.
    pub problem: Problem,
    /// The last item that was sent; `None` when there was none.
    pub cursor: Option<Cursor>,
}
