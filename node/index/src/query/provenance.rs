use std::collections::{BTreeMap, VecDeque};

use vouch_types::{
    api::{Direction, PROVENANCE_NODES_MAX, ProvenanceEdge, ProvenanceNode, ProvenanceView},
    document::DocumentId,
};

use super::{
    Query,
    documents::{by_number, number_of},
    indexed,
};
use crate::{
    IndexError,
    codes::small,
    database::{Database, values},
    words,
};

/// Most neighbours of one document on one side that are shown; the rest is counted.
const NEIGHBOURS_MAX: usize = 24;

/// A step between two documents by their numbers.
struct Step {
    child: i64,
    child_version: u32,
    parent: i64,
    parent_version: u32,
    name: i64,
}

/// Steps from a document: to what it names, or from what names it, newest first.
fn steps(database: &Database, n: i64, up: bool) -> Result<Vec<Step>, IndexError> {
    let sql = if up {
        "SELECT child, child_version, parent, parent_version, name FROM edge WHERE child = ?1
         ORDER BY child_version DESC, parent DESC, name DESC LIMIT ?2"
    } else {
        "SELECT child, child_version, parent, parent_version, name FROM edge WHERE parent = ?1
         ORDER BY child DESC, child_version DESC, name DESC LIMIT ?2"
    };
    let most = i64::try_from(NEIGHBOURS_MAX).unwrap_or(i64::MAX);
    database.all(sql, values![n, most], |row| {
        Ok(Step {
            child: row.int(0)?,
            child_version: small(row.int(1)?),
            parent: row.int(2)?,
            parent_version: small(row.int(3)?),
            name: row.int(4)?,
        })
    })
}

/// A step as a key: the document that names, its version, the one that is named, the step's name.
type StepKey = (i64, u32, i64, i64);

/// What was found so far.
struct Walk<'a> {
    database: &'a Database,
    /// Distance by number.
    seen: BTreeMap<i64, i32>,
    edges: BTreeMap<StepKey, ProvenanceEdge>,
    ids: BTreeMap<i64, DocumentId>,
}

impl Walk<'_> {
    fn id(&mut self, n: i64) -> Result<Option<DocumentId>, IndexError> {
        if let Some(id) = self.ids.get(&n) {
            return Ok(Some(*id));
        }
        let found = self.database.one("SELECT id FROM doc WHERE n = ?1", values![n], |row| row.array(0))?;
        let Some(id) = found.map(DocumentId::new) else { return Ok(None) };
        self.ids.insert(n, id);
        Ok(Some(id))
    }

    /// Follows one direction, nearest first, as far as depth and room go.
    fn follow(&mut self, focus: i64, up: bool, depth: u32) -> Result<(), IndexError> {
        let mut waiting = VecDeque::from([(focus, 0_u32)]);
        let mut walked = std::collections::BTreeSet::from([focus]);
        while let Some((n, distance)) = waiting.pop_front() {
            if distance >= depth {
                continue;
            }
            for step in steps(self.database, n, up)? {
                let other = if up { step.parent } else { step.child };
                if !self.seen.contains_key(&other) {
                    if self.seen.len() >= PROVENANCE_NODES_MAX {
                        continue;
                    }
                    let away = i32::try_from(distance + 1).unwrap_or(i32::MAX);
                    self.seen.insert(other, if up { -away } else { away });
                }
                self.edge(&step)?;
                if walked.insert(other) {
                    waiting.push_back((other, distance + 1));
                }
            }
        }
        Ok(())
    }

    fn edge(&mut self, step: &Step) -> Result<(), IndexError> {
        let (Some(from), Some(to)) = (self.id(step.child)?, self.id(step.parent)?) else { return Ok(()) };
        let name = words::text(self.database, step.name)?;
        let (from_version, to_version) = (step.child_version, step.parent_version);
        let edge = ProvenanceEdge { from, from_version, name, to, to_version };
        self.edges.insert((step.child, step.child_version, step.parent, step.name), edge);
        Ok(())
    }

    /// How many neighbours of a document there are among the steps.
    fn shown(&self, of: impl Fn(&StepKey) -> Option<i64>) -> u64 {
        let others: std::collections::BTreeSet<i64> = self.edges.keys().filter_map(of).collect();
        u64::try_from(others.len()).unwrap_or(u64::MAX)
    }

    /// The documents with how many neighbours of each are not among them.
    fn nodes(&self) -> Result<Vec<ProvenanceNode>, IndexError> {
        let mut nodes = Vec::new();
        for (n, distance) in &self.seen {
            let Some(document) = by_number(self.database, *n)? else { continue };
            let up = self.shown(|(child, _, parent, _)| (child == n).then_some(*parent));
            let down = self.shown(|(child, _, parent, _)| (parent == n).then_some(*child));
            nodes.push(ProvenanceNode {
                distance: *distance,
                hidden_up: document.references.saturating_sub(up),
                hidden_down: document.referenced_by.saturating_sub(down),
                document,
            });
        }
        nodes.sort_by_key(|node| (node.distance.unsigned_abs(), node.distance, node.document.number));
        Ok(nodes)
    }
}

impl Query {
    /// What a document stands on, what stands on it, or both, up to so many steps away.
    ///
    /// # Errors
    /// [`IndexError::Unknown`] and others.
    pub fn provenance(&self, id: &DocumentId, direction: Direction, depth: u32) -> Result<ProvenanceView, IndexError> {
        self.read(|database| {
            let focus = number_of(database, id)?.ok_or(IndexError::Unknown)?;
            let mut walk = Walk {
                database,
                seen: BTreeMap::from([(focus, 0)]),
                edges: BTreeMap::new(),
                ids: BTreeMap::from([(focus, *id)]),
            };
            if direction != Direction::Down {
                walk.follow(focus, true, depth)?;
            }
            if direction != Direction::Up {
                walk.follow(focus, false, depth)?;
            }
            let nodes = walk.nodes()?;
            let complete = nodes.iter().all(|node| match direction {
                Direction::Up => node.hidden_up == 0,
                Direction::Down => node.hidden_down == 0,
                // Up from what stands on it, and down from what it stands on, was not asked for.
                Direction::Both => {
                    (node.distance > 0 || node.hidden_up == 0) && (node.distance < 0 || node.hidden_down == 0)
                }
            });
            let indexed = indexed(database)?;
            let edges = walk.edges.into_values().collect();
            Ok(ProvenanceView { head: self.head.max(indexed), indexed, nodes, edges, complete })
        })
    }
}
