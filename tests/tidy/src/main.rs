//! The checks as a command: `vouch-tidy tree|arrows|licences|advisories [DATABASE]|figures [--check]`.
#![forbid(unsafe_code)]

use std::env;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use vouch_tidy::advisories::Database;
use vouch_tidy::tree::repository_root;
use vouch_tidy::{Breach, Graph, Policy, Tree, advisories, arrows, blobs, figures, licences, links};
use vouch_tidy::{report, source, vectors, words};

const USAGE: &str = "usage: vouch-tidy tree | arrows | licences | advisories DATABASE | figures [--check]";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let root = repository_root();
    let breaches = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tree"] => tree(&Tree::tracked(&root)?),
        ["arrows"] => arrows::check(&Graph::of_workspace(&root)?),
        ["licences"] => licences::check(&Graph::of_workspace(&root)?, &Policy::read(&root)?),
        ["advisories", database] => known_advisories(&root, Path::new(database))?,
        ["figures"] => write_reports(&root)?,
        ["figures", "--check"] => {
            let tree = Tree::tracked(&root)?;
            let (figures, mut breaches) = figures::read(&tree);
            breaches.extend(report::check(&tree, &figures));
            breaches
        }
        _ => bail!(USAGE),
    };
    for breach in &breaches {
        println!("{breach}");
    }
    Ok(if breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tree(tree: &Tree) -> Vec<Breach> {
    [blobs::check(tree), links::check(tree), source::check(tree), vectors::check(tree), words::check(tree)].concat()
}

fn known_advisories(root: &Path, folder: &Path) -> Result<Vec<Breach>> {
    let database = Database::read(folder)?;
    let count: usize = database.advisories.values().map(Vec::len).sum();
    println!("{count} advisories, the newest of {}", database.newest);
    let policy = Policy::read(root)?;
    for (id, reason) in &policy.ignored {
        println!("ignored: {id}: {reason}");
    }
    advisories::check(&Tree::tracked(root)?, &database, &policy)
}

fn write_reports(root: &Path) -> Result<Vec<Breach>> {
    let (figures, breaches) = figures::read(&Tree::tracked(root)?);
    if breaches.is_empty() {
        for document in report::DOCUMENTS {
            std::fs::write(root.join(document.path), document.render(&figures))?;
        }
        println!("{} figures written to the documents", figures.len());
    }
    Ok(breaches)
}
