//! One file per noun.

pub(crate) mod blocks;
pub(crate) mod contracts;
pub(crate) mod documents;
pub(crate) mod events;
pub(crate) mod fallback;
pub(crate) mod governance;
pub(crate) mod node;
pub(crate) mod registry;
pub(crate) mod transactions;
