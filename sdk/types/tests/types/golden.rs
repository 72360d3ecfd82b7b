//! Files under `tests/vectors` that every implementation must agree with, in this language and in others.
//!
//! `VOUCH_BLESS=1 cargo test -p vouch-types` writes them anew; the difference then shows what changed in the format.

use std::path::PathBuf;

use serde_json::Value;

/// The folder of the vectors.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

/// Compares a file with what the code produces.
#[track_caller]
pub fn check(name: &str, produced: &Value) {
    let path = folder().join(name);
    let text = serde_json::to_string_pretty(produced).unwrap() + "\n";
    if std::env::var_os("VOUCH_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(kept == text, "{name} differs from what the code produces: a format has changed");
}
