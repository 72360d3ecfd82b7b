//! The repository as it stands keeps every rule of the house.

use std::sync::LazyLock;

use vouch_tidy::breach::listing;
use vouch_tidy::tree::repository_root;
use vouch_tidy::{
    Breach, Graph, Policy, Tree, arrows, blobs, figures, licences, links, report, source, vectors, words,
};

static TREE: LazyLock<Tree> = LazyLock::new(|| Tree::tracked(&repository_root()).expect("the tests run in a clone"));

fn expect_none(breaches: &[Breach]) {
    assert!(breaches.is_empty(), "{} breaches:{}", breaches.len(), listing(breaches));
}

#[test]
fn the_tree_is_the_whole_repository() {
    for path in ["Cargo.toml", "run", "docs/performance.md", "sdk/types/src/lib.rs", "tests/tidy/tests/repository.rs"] {
        assert!(TREE.files.iter().any(|file| file.path == path), "{path} is not judged");
    }
}

#[test]
fn arrows_go_down_and_libraries_keep_their_rooms() {
    let graph = Graph::of_workspace(&repository_root()).expect("cargo resolves the workspace");
    expect_none(&arrows::check(&graph));
}

#[test]
fn licences_and_sources_are_allowed() {
    let graph = Graph::of_workspace(&repository_root()).expect("cargo resolves the workspace");
    let policy = Policy::read(&repository_root()).expect("deny.toml is in its form");
    assert!(graph.packages.len() > 100, "the graph holds only {} packages", graph.packages.len());
    expect_none(&licences::check(&graph, &policy));
}

#[test]
fn sources_have_the_house_shape() {
    expect_none(&source::check(&TREE));
}

#[test]
fn texts_have_no_misplaced_words() {
    expect_none(&words::check(&TREE));
}

#[test]
fn links_lead_somewhere() {
    expect_none(&links::check(&TREE));
}

#[test]
fn vectors_are_read() {
    expect_none(&vectors::check(&TREE));
}

/// A fault that does not fit the code any more, or whose test has another name now, shows nothing.
#[test]
fn planted_faults_fit_the_code() {
    let is_fault =
        |file: &&vouch_tidy::tree::File| file.path.starts_with("tests/faults/") && file.has_extension("patch");
    let faults: Vec<_> = TREE.files.iter().filter(is_fault).collect();
    assert!(faults.len() >= 2, "{} faults", faults.len());
    for fault in faults {
        let text = fault.text().expect("a patch is text");
        let head = |name: &str| {
            text.lines().take_while(|line| !line.starts_with("diff ")).find_map(|line| line.strip_prefix(name))
        };
        let (Some(test), Some(_)) = (head("test: "), head("says: ")) else {
            panic!("{} does not say which test finds it, and how", fault.path);
        };
        let (room, name) = test.split_once("::").expect("the test's file and name");
        let path = format!("tests/tests/cluster/{room}.rs");
        let holds = |file: &vouch_tidy::tree::File| {
            file.path == path && file.text().is_some_and(|text| text.contains(&format!("async fn {name}(")))
        };
        assert!(TREE.files.iter().any(holds), "{}: there is no test {test}", fault.path);
        let mut git = std::process::Command::new("git");
        let said = git.args(["apply", "--check", &fault.path]).current_dir(repository_root()).output();
        let said = said.expect("git runs");
        assert!(said.status.success(), "{}: {}", fault.path, String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn nothing_prebuilt_or_large_is_kept() {
    expect_none(&blobs::check(&TREE));
}

#[test]
fn documents_are_what_the_figures_give() {
    let (figures, breaches) = figures::read(&TREE);
    expect_none(&breaches);
    expect_none(&report::check(&TREE, &figures));
}
