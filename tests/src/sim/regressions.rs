//! Plans that once broke a rule, kept in `tests/regressions` and run with every test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::plan::Plan;

/// Where they are.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

/// Reads one.
///
/// # Errors
/// When the file cannot be read or is no plan.
pub fn read(file: &Path) -> Result<Plan> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is no plan", file.display()))
}

/// Writes one, with words about what it broke.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(plan: &Plan, words: &str) -> Result<PathBuf> {
    let name = match &plan.mutant {
        Some(mutant) => format!("{mutant}-{}.toml", plan.seed),
        None => format!("{}.toml", plan.seed),
    };
    let file = folder().join(name);
    fs::create_dir_all(folder())?;
    let words = words.lines().next().unwrap_or_default();
    fs::write(&file, format!("# {words}\n{}", toml::to_string(plan)?))?;
    Ok(file)
}

/// All of them, in order of name.
///
/// # Errors
/// When one cannot be read.
pub fn all() -> Result<Vec<(PathBuf, Plan)>> {
    let Ok(entries) = fs::read_dir(folder()) else { return Ok(Vec::new()) };
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files.into_iter().map(|file| read(&file).map(|plan| (file, plan))).collect()
}
