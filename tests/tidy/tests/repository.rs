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
