//! The levels of pages above the lowest, in memory.

use vouch_types::{Hash32, state::page_levels};

use super::{
    TreeError,
    page::{CHILDREN, Page, page_key, pages_on_level},
};
use crate::storage::{Batch, Table, View};

/// Pages read in one go.
const SCAN_PAGES: usize = 4096;

/// All pages from level 1 up.
#[derive(Debug, Default)]
pub struct UpperLevels(Vec<Vec<Page>>);

impl UpperLevels {
    /// Reads the levels of a tree of `slots` slots; how they hash together is checked by the caller.
    ///
    /// # Errors
    /// [`TreeError::Storage`]; [`TreeError::Corrupt`] when a page is missing, too much or no page.
    pub fn read(view: &dyn View, slots: u64) -> Result<Self, TreeError> {
        let mut upper = Self::default();
        for level in 1..page_levels(slots) {
            let expected = pages_on_level(slots, level);
            let mut next = 0;
            each_page(view, level, |number, page| {
                if number != next {
                    return Err(TreeError::Corrupt { what: "number of tree pages" });
                }
                next += 1;
                upper.set(level, number, page)
            })?;
            if next != expected {
                return Err(TreeError::Corrupt { what: "number of tree pages" });
            }
        }
        Ok(upper)
    }

    /// Builds the levels over the nodes of the lowest pages; returns them with the topmost node.
    ///
    /// # Errors
    /// None but those of [`UpperLevels::set`], which ascending numbers rule out.
    pub fn build(mut nodes: Vec<Hash32>, slots: u64) -> Result<(Self, Hash32), TreeError> {
        let mut upper = Self::default();
        for level in 1..page_levels(slots) {
            let mut above = Vec::with_capacity(nodes.len() / 16 + 1);
            for (number, children) in (0..).zip(nodes.chunks(CHILDREN)) {
                let mut page = Page::default();
                for (child, hash) in (0..).zip(children) {
                    page.set(child, *hash);
                }
                above.push(page.node());
                upper.set(level, number, page)?;
            }
            nodes = above;
        }
        Ok((upper, nodes.first().copied().unwrap_or(Hash32::ZERO)))
    }

    /// A page; `None` when there is none yet, and for the lowest level.
    #[must_use]
    pub fn get(&self, level: u32, number: u64) -> Option<&Page> {
        let pages = self.0.get((level as usize).checked_sub(1)?)?;
        pages.get(usize::try_from(number).ok()?)
    }

    /// Sets a page that is there, or appends the next one of its level.
    ///
    /// # Errors
    /// [`TreeError::Corrupt`] when it would leave a gap.
    pub fn set(&mut self, level: u32, number: u64, page: Page) -> Result<(), TreeError> {
        let gap = TreeError::Corrupt { what: "number of tree pages" };
        let (Some(index), Ok(number)) = ((level as usize).checked_sub(1), usize::try_from(number)) else {
            return Err(gap);
        };
        if index == self.0.len() {
            self.0.push(Vec::new());
        }
        let Some(pages) = self.0.get_mut(index) else { return Err(gap) };
        if let Some(there) = pages.get_mut(number) {
            *there = page;
        } else if number == pages.len() {
            if number == pages.capacity() {
                // By an eighth and not by doubling: the levels are the largest thing a node keeps in memory.
                pages.reserve_exact(number / 8 + 16);
            }
            pages.push(page);
        } else {
            return Err(gap);
        }
        Ok(())
    }

    /// Puts every page in batches of bounded size.
    pub fn batches(&self) -> impl Iterator<Item = Batch> {
        let pages = (1u32..).zip(&self.0).flat_map(|(level, pages)| {
            pages.chunks(SCAN_PAGES).enumerate().map(move |(chunk, pages)| (level, chunk * SCAN_PAGES, pages))
        });
        pages.map(|(level, first, pages)| {
            let mut batch = Batch::new();
            for (number, page) in (first as u64..).zip(pages) {
                batch.put(Table::Tree, page_key(level, number), page.to_bytes());
            }
            batch
        })
    }
}

/// Reads a level's pages in ascending order.
///
/// # Errors
/// [`TreeError::Storage`], [`TreeError::Corrupt`], and what `seen` returns.
pub fn each_page(
    view: &dyn View,
    level: u32,
    mut seen: impl FnMut(u64, Page) -> Result<(), TreeError>,
) -> Result<(), TreeError> {
    let end = page_key(level + 1, 0);
    let mut from = page_key(level, 0).to_vec();
    loop {
        let entries = view.scan(Table::Tree, &from, Some(&end), SCAN_PAGES)?;
        for (key, value) in &entries {
            let number = key.get(1..).and_then(|n| n.try_into().ok()).map(u64::from_be_bytes);
            seen(number.ok_or(TreeError::Corrupt { what: "key of a tree page" })?, Page::from_bytes(value)?)?;
        }
        match entries.into_iter().next_back() {
            Some((last, _)) => {
                from = last;
                from.push(0);
            }
            None => return Ok(()),
        }
    }
}
