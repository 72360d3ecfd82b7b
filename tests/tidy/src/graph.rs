//! What `cargo metadata` says of the workspace: its packages, their licences and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The packages of a resolved workspace.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// By cargo's package id.
    pub packages: BTreeMap<String, Package>,
}

/// One package, ours or a third party's.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Name in its manifest.
    pub name: String,
    /// Version in its manifest.
    pub version: String,
    /// SPDX expression, if the manifest has one.
    pub licence: Option<String>,
    /// Where it came from; nothing for a package of this workspace.
    pub source: Option<String>,
    /// Names in the manifest's dependency tables, development and build ones too.
    pub declared: BTreeSet<String>,
    /// Ids of resolved dependencies that end up in a program: neither for tests nor for build scripts.
    pub linked: BTreeSet<String>,
}

impl Graph {
    /// Resolves the workspace at `root` for the machine it runs on, without changing its lock file.
    ///
    /// # Errors
    /// If cargo cannot resolve it or prints something unexpected.
    pub fn of_workspace(root: &Path) -> Result<Self> {
        let host = host_triple()?;
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &host])
            .current_dir(root)
            .output()
            .context("running cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let mut graph = Self::parse(&serde_json::from_slice(&output.stdout)?)?;
        let built = built(root, &host)?;
        graph.packages.retain(|_, package| built.contains(&(package.name.clone(), package.version.clone())));
        Ok(graph)
    }

    /// Reads the JSON of `cargo metadata`.
    ///
    /// # Errors
    /// If a part that cargo promises is missing.
    pub fn parse(metadata: &Value) -> Result<Self> {
        let nodes = metadata["resolve"]["nodes"].as_array().context("no resolve graph")?;
        let mut packages = BTreeMap::new();
        for package in metadata["packages"].as_array().context("no packages")? {
            let text = |key: &str| package[key].as_str().map(str::to_owned);
            let id = text("id").context("package without id")?;
            packages.insert(
                id,
                Package {
                    name: text("name").context("package without name")?,
                    version: text("version").unwrap_or_default(),
                    licence: text("license"),
                    source: text("source"),
                    declared: strings(&package["dependencies"], "name"),
                    linked: BTreeSet::new(),
                },
            );
        }
        for node in nodes {
            let id = node["id"].as_str().context("node without id")?;
            let package = packages.get_mut(id).with_context(|| format!("{id} is resolved but not listed"))?;
            package.linked = linked(node);
        }
        // Packages of other platforms are listed but not resolved: nothing of ours builds them here.
        let resolved: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
        packages.retain(|id, _| resolved.contains(id.as_str()));
        Ok(Self { packages })
    }

    /// The packages of this workspace.
    pub fn members(&self) -> impl Iterator<Item = (&String, &Package)> {
        self.packages.iter().filter(|(_, package)| package.source.is_none())
    }

    /// A package named by `is_sought` that `from` links, and the way to it, as names; never through one of `around`.
    #[must_use]
    pub fn path_to(&self, from: &str, around: &[&str], is_sought: impl Fn(&str) -> bool) -> Option<Vec<String>> {
        let mut seen = BTreeSet::from([from]);
        let mut ways = vec![vec![from]];
        while let Some(way) = ways.pop() {
            let package = self.packages.get(*way.last()?)?;
            if way.len() > 1 && is_sought(&package.name) {
                return Some(way.iter().map(|id| self.packages[*id].name.clone()).collect());
            }
            if around.contains(&package.name.as_str()) {
                continue;
            }
            for next in package.linked.iter().filter(|next| self.packages.contains_key(*next)) {
                if seen.insert(next) {
                    ways.push(way.iter().copied().chain([next.as_str()]).collect());
                }
            }
        }
        None
    }
}

/// Names and versions of what is really built. The metadata also lists optional packages that no feature turns on.
fn built(root: &Path, host: &str) -> Result<BTreeSet<(String, String)>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--workspace", "--edges", "all", "--target", host])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root)
        .output()
        .context("running cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let pair = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    };
    Ok(text.lines().filter_map(pair).collect())
}

fn linked(node: &Value) -> BTreeSet<String> {
    let is_normal =
        |dep: &Value| dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()));
    let deps = node["deps"].as_array().map(Vec::as_slice).unwrap_or_default();
    deps.iter().filter(|dep| is_normal(dep)).filter_map(|dep| dep["pkg"].as_str()).map(str::to_owned).collect()
}

fn strings(list: &Value, key: &str) -> BTreeSet<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item[key].as_str()).map(str::to_owned).collect()
}

fn host_triple() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("running rustc -vV")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}
