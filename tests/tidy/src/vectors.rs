//! Every golden vector is read by a test: a vector that no test opens proves nothing.

use crate::{Breach, Tree};

/// Where the vectors live, one file per subject.
const FOLDER: &str = "tests/vectors/";

/// Finds vector files that no source file names.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Breach> {
    let sources: Vec<&str> = tree.with_extension("rs").filter_map(|file| file.text()).collect();
    let is_read = |name: &str| sources.iter().any(|text| text.contains(name));
    tree.files
        .iter()
        .filter(|file| file.path.starts_with(FOLDER) && !file.has_extension("md"))
        .filter(|file| !is_read(file.name()))
        .map(|file| Breach::new("vector", &file.path, "is named in no Rust source, so no test reads it"))
        .collect()
}
