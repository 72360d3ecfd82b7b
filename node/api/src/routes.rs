//! One file per noun.

pub(crate) mod blocks;
pub(crate) mod contracts;
pub(crate) mod document_files;
pub(crate) mod documents;
pub(crate) mod erasures;
pub(crate) mod events;
pub(crate) mod fallback;
pub(crate) mod governance;
pub(crate) mod lists;
pub(crate) mod node;
pub(crate) mod persons;
pub(crate) mod registry;
pub(crate) mod transactions;
