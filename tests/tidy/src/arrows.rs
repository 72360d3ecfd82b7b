//! Arrows between crates go down only, and each heavy library lives in one room.

use crate::{Breach, Graph};

/// The level of every crate; a crate depends only on crates of a lower level, never sideways.
const LEVELS: &[(&str, u8)] = &[
    ("vouch-files", 0),
    ("vouch-types", 0),
    ("vouch-certificates", 1),
    ("vouch-consensus", 1),
    ("vouch-genesis", 1),
    ("vouch-postgres", 1),
    ("vouch-privacy", 1),
    ("vouch-test-postgres", 1),
    ("vouch-vm", 1),
    ("vouch-ledger", 2),
    ("vouch-net", 2),
    ("vouch-month", 2),
    ("vouch-sdk", 2),
    ("vouch-uplink", 2),
    ("vouch-api", 3),
    ("vouch-index", 3),
    ("vouch-replica", 3),
    ("vouch-store", 3),
    ("vouch-vault", 3),
    ("vouch-node", 4),
    ("vouch-tests", 5),
    ("vouch-tidy", 5),
];

/// Crates that are pure: what they do follows from their inputs alone, so no runtime may be linked into them.
const PURE: &[&str] =
    &["vouch-types", "vouch-genesis", "vouch-consensus", "vouch-privacy", "vouch-vm", "vouch-ledger", "vouch-vault"];

/// Libraries that only the crates named may have in their manifest.
const ROOMS: &[(&str, &[&str])] = &[
    ("anyhow", &["vouch-node", "vouch-test-postgres", "vouch-tests", "vouch-tidy"]),
    ("axum", &["vouch-api"]),
    ("bincode", &["vouch-types"]),
    ("libp2p", &["vouch-net"]),
    ("postgres", &["vouch-uplink"]),
    ("rocksdb", &["vouch-store"]),
    ("rusqlite", &["vouch-index", "vouch-uplink"]),
    ("tokio-postgres", &["vouch-index", "vouch-postgres"]),
    ("wasmtime", &["vouch-vm"]),
];

/// Libraries that bring an async runtime, the network or the disk with them.
const IMPURE: &[&str] = &["tokio", "libp2p", "rocksdb", "reqwest", "axum"];

/// Third parties that may link an impure library into a pure crate, because they only use its data types.
const TRUSTED: &[&str] = &["arc-malachitebft-core-consensus"];

/// Judges the manifests of the workspace.
#[must_use]
pub fn check(graph: &Graph) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (id, member) in graph.members() {
        let name = member.name.as_str();
        let Some(level) = level_of(name) else {
            breaches.push(Breach::new("arrow", name, "has no level; give it one in tests/tidy/src/arrows.rs"));
            continue;
        };
        for dependency in &member.declared {
            if let Some(below) = level_of(dependency)
                && below >= level
            {
                let what = format!("level {level} depends on {dependency}, level {below}: arrows go down only");
                breaches.push(Breach::new("arrow", name, what));
            }
            let room = ROOMS.iter().find(|(library, _)| dependency == library);
            if let Some((library, homes)) = room
                && !homes.contains(&name)
            {
                breaches.push(Breach::new("room", name, format!("uses {library}, which belongs to {homes:?}")));
            }
        }
        if PURE.contains(&name)
            && let Some(way) = graph.path_to(id, TRUSTED, |library| IMPURE.contains(&library))
        {
            breaches.push(Breach::new("pure", name, format!("is pure but links {}", way.join(" -> "))));
        }
    }
    breaches
}

fn level_of(name: &str) -> Option<u8> {
    LEVELS.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
}
