//! Locked packages against a RustSec advisory database that is at hand, without network.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use semver::{Comparator, Op, Version, VersionReq};
use toml::{Table, Value};

use crate::{Breach, Policy, Tree};

/// A folder of advisories, one Markdown file each under `crates/NAME/`.
#[derive(Clone, Debug, Default)]
pub struct Database {
    /// By the name of the package they are about.
    pub advisories: BTreeMap<String, Vec<Advisory>>,
    /// Date of the newest advisory, `YYYY-MM-DD`: how old the knowledge is.
    pub newest: String,
}

/// One advisory.
#[derive(Clone, Debug)]
pub struct Advisory {
    /// `RUSTSEC-YYYY-NNNN`.
    pub id: String,
    /// `unmaintained`, `unsound`, `notice`, or `vulnerability`.
    pub kind: String,
    /// Versions that are safe: repaired, or never touched.
    pub safe: Vec<VersionReq>,
}

impl Database {
    /// Reads a checked-out database.
    ///
    /// # Errors
    /// If a folder or file cannot be read, or an advisory is not in RustSec's form.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut database = Self::default();
        for package in fs::read_dir(folder.join("crates")).context("an advisory database has a folder `crates`")? {
            let package = package?.path();
            for file in fs::read_dir(&package)? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == "md") {
                    let text = fs::read_to_string(&path)?;
                    database.add(&text).with_context(|| path.display().to_string())?;
                }
            }
        }
        Ok(database)
    }

    /// Adds one advisory in RustSec's form: TOML in a fence, then prose. Withdrawn ones are left out.
    ///
    /// # Errors
    /// If the TOML or a version requirement cannot be read.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let front = text.split_once("```toml").and_then(|(_, rest)| rest.split_once("```"));
        let table: Table = front.context("no ```toml part")?.0.parse()?;
        let advisory = table.get("advisory").context("no [advisory]")?;
        let field = |key: &str| advisory.get(key).and_then(Value::as_str);
        if advisory.get("withdrawn").is_some() {
            return Ok(());
        }
        let id = field("id").context("no id")?.to_owned();
        let kind = field("informational").unwrap_or("vulnerability").to_owned();
        let lists = ["patched", "unaffected"].map(|key| table.get("versions").and_then(|part| part.get(key)));
        let texts = lists.into_iter().flatten().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
        let safe = texts.map(|text| VersionReq::parse(text).with_context(|| text.to_owned())).collect::<Result<_>>()?;
        self.newest = field("date").unwrap_or_default().max(&self.newest).to_owned();
        let package = field("package").context("no package")?.to_owned();
        self.advisories.entry(package).or_default().push(Advisory { id, kind, safe });
        Ok(())
    }
}

/// Judges every lock file of the tree.
///
/// # Errors
/// If a lock file is not in cargo's form.
pub fn check(tree: &Tree, database: &Database, policy: &Policy) -> Result<Vec<Breach>> {
    let mut breaches = Vec::new();
    for lock in tree.files.iter().filter(|file| file.name() == "Cargo.lock") {
        let table: Table = lock.text().context("lock file")?.parse()?;
        for package in table.get("package").and_then(Value::as_array).into_iter().flatten() {
            // A package without a source is our own, whatever else bears its name.
            let [Some(name), Some(version), Some(_)] =
                ["name", "version", "source"].map(|key| package.get(key).and_then(Value::as_str))
            else {
                continue;
            };
            let parsed = Version::parse(version)?;
            for advisory in database.advisories.get(name).into_iter().flatten() {
                let is_safe = advisory.safe.iter().any(|requirement| meets(&parsed, requirement));
                if !is_safe && !policy.ignored.contains_key(&advisory.id) {
                    let what = format!("{name} {version}: {} ({})", advisory.id, advisory.kind);
                    breaches.push(Breach::new("advisory", &lock.path, what));
                }
            }
        }
    }
    Ok(breaches)
}

/// Whether `version` lies within every bound of the requirement. Plain order, where cargo's own matching would leave
/// out pre-releases: a pre-release is as exposed as the release before it.
#[must_use]
pub fn meets(version: &Version, requirement: &VersionReq) -> bool {
    requirement.comparators.iter().all(|bound| within(version, bound))
}

fn within(version: &Version, bound: &Comparator) -> bool {
    let floor = Version {
        major: bound.major,
        minor: bound.minor.unwrap_or(0),
        patch: bound.patch.unwrap_or(0),
        pre: bound.pre.clone(),
        build: semver::BuildMetadata::EMPTY,
    };
    let order = version.cmp_precedence(&floor);
    match bound.op {
        Op::Greater => order.is_gt(),
        Op::GreaterEq => order.is_ge(),
        Op::Less => order.is_lt(),
        Op::LessEq => order.is_le(),
        Op::Exact if bound.patch.is_some() => order.is_eq(),
        Op::Caret => order.is_ge() && is_compatible(version, bound),
        // `1.2.*`, `~1.2`, `=1.2`: everything that begins with the parts named.
        _ => order.is_ge() && begins_with(version, bound),
    }
}

/// Same leftmost part that is not zero.
fn is_compatible(version: &Version, bound: &Comparator) -> bool {
    let (minor, patch) = (bound.minor.unwrap_or(0), bound.patch.unwrap_or(0));
    version.major == bound.major
        && (bound.major > 0 || bound.minor.is_none() || version.minor == minor)
        && (bound.major > 0 || minor > 0 || bound.patch.is_none() || version.patch == patch)
}

fn begins_with(version: &Version, bound: &Comparator) -> bool {
    let is_tilde = bound.op == Op::Tilde;
    version.major == bound.major
        && bound.minor.is_none_or(|minor| version.minor == minor)
        && (is_tilde || bound.patch.is_none_or(|patch| version.patch == patch))
}
