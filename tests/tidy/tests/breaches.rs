//! Every rule finds the breach it is for: each case plants one and expects exactly that rule to speak.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use vouch_tidy::advisories::Database;
use vouch_tidy::{Breach, Graph, Policy, Tree, advisories, arrows, blobs, figures, licences, links, report};
use vouch_tidy::{source, vectors, words};

/// A tree that keeps every rule, to plant one breach in.
fn sound() -> Vec<(&'static str, String)> {
    vec![
        ("crate/src/lib.rs", "//! A crate.\n#![forbid(unsafe_code)]\n\nfn read() {}\n".to_owned()),
        ("crate/tests/vectors.rs", "const READ: &str = \"block.json\";\n".to_owned()),
        ("tests/vectors/block.json", "{}\n".to_owned()),
        (
            "docs/README.md",
            "# Map\n\n## A part\n\n[figures](figures/) [part](#a-part) [lib](../crate/src/lib.rs)\n".to_owned(),
        ),
        ("docs/figures/performance-x.json", figure().to_string()),
        ("docs/performance.md", rendered("docs/performance.md")),
        ("docs/reliability.md", rendered("docs/reliability.md")),
    ]
}

fn figure() -> Value {
    json!({
        "name": "performance-x", "command": "./run bench x", "commit": "0123abcdef", "date": "2026-01-31",
        "machine": "two cores", "beside": "nothing", "figures": { "delay_ms": 12.5, "rate": 1234567 },
        "bars": { "delay_ms": { "max": 10 }, "rate": { "min": 1000, "max": 2e9 } }
    })
}

fn rendered(path: &str) -> String {
    let figures = [figures::Figure::parse(&figure().to_string()).expect("the sample has the shape")];
    report::DOCUMENTS.iter().find(|document| document.path == path).expect("a known document").render(&figures)
}

fn plant(files: &[(&str, impl AsRef<[u8]>)]) -> (TempDir, Tree) {
    let folder = TempDir::new().expect("a temporary folder");
    for (path, content) in files {
        write(folder.path(), path, content.as_ref());
    }
    let tree = Tree::walked(folder.path()).expect("the planted files are readable");
    (folder, tree)
}

fn write(root: &Path, path: &str, content: &[u8]) {
    let full = root.join(path);
    fs::create_dir_all(full.parent().expect("a planted path has a folder")).expect("the folder can be made");
    fs::write(full, content).expect("the file can be written");
}

fn judge(tree: &Tree) -> Vec<Breach> {
    let (figures, misshapen) = figures::read(tree);
    let reports = if misshapen.is_empty() { report::check(tree, &figures) } else { Vec::new() };
    let of_tree =
        [blobs::check(tree), links::check(tree), source::check(tree), vectors::check(tree), words::check(tree)];
    [of_tree.concat(), misshapen, reports].concat()
}

/// Plants `content` at `path` in the sound tree and expects `rule` and no other to be broken there.
fn expect_found(rule: &str, path: &str, content: impl AsRef<[u8]>) {
    let (folder, _) = plant(&sound());
    write(folder.path(), path, content.as_ref());
    let breaches = judge(&Tree::walked(folder.path()).expect("the planted files are readable"));
    assert!(!breaches.is_empty(), "{rule}: nothing found in {path}");
    for breach in &breaches {
        assert_eq!(breach.rule, rule, "{breach}");
        assert!(breach.place.starts_with(path), "{breach}");
    }
}

fn library(rest: &str) -> String {
    format!("//! A crate.\n#![forbid(unsafe_code)]\n{rest}")
}

#[test]
fn a_sound_tree_has_no_breach() {
    assert_eq!(judge(&plant(&sound()).1), []);
}

#[test]
fn shapes_of_sources() {
    let path = "crate/src/lib.rs";
    expect_found("file-size", path, library(&"const A: u8 = 0;\n".repeat(700)));
    let body = "    work();\n";
    expect_found("function-size", path, library(&format!("pub async fn long() {{\n{}}}\n", body.repeat(71))));
    expect_found("opening", path, "#![forbid(unsafe_code)]\n//! Too late.\n");
    expect_found("unsafe", path, "//! A crate.\n");
    expect_found("unsafe", "crate/src/bin/tool.rs", "fn main() {}\n");
    expect_found("terminal", path, library("fn speak() {\n    println!(\"hello\");\n}\n"));
    expect_found("float", "genesis/src/params.rs", "const SHARE: f64 = 0.5;\n");
    for half in [["TO", "DO: later"], ["FIX", "ME"], ["XX", "X"], ["db", "g!(x)"], ["to", "do!()"], ["#[ign", "ore]"]] {
        expect_found("unfinished", path, library(&format!("// {}\n", half.concat())));
    }
}

#[test]
fn sizes_count_code_only() {
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    const A: u8 = 0;\n".repeat(800));
    let comments = format!("fn short() {{\n{}}}\n", "    // why\n\n".repeat(80));
    let mut files = sound();
    files[0].1 = library(&format!("{comments}{tests}"));
    assert_eq!(judge(&plant(&files).1), []);
}

#[test]
fn misplaced_words() {
    let path = "docs/notes.md";
    for machine in [["see /wo", "rk/here"], ["(/ro", "ot/x)"], ["`/ho", "me/me/x`"]] {
        expect_found("machine-path", path, machine.concat());
    }
    expect_found("registry", path, ["https://index.", "crates.io/x"].concat());
    expect_found("registry", "Cargo.lock", "source = \"git+https://example.org/x\"\n");
    for shifted in ["nffvfgnag", "YYZ", "NV"] {
        let word: String = shifted.chars().map(rot13).collect();
        expect_found("making", path, format!("written with an {word}.\n"));
    }
    let (_folder, tree) = plant(&[("docs/fine.md", "api/v1/work/x, aim, main, {root}/root/x, dir/home/x")]);
    assert_eq!(words::check(&tree), []);
}

fn rot13(c: char) -> char {
    let turn = |c: char, first: u8| char::from((c as u8 - first + 13) % 26 + first);
    if c.is_ascii_lowercase() { turn(c, b'a') } else { turn(c, b'A') }
}

#[test]
fn links_that_lead_nowhere() {
    let path = "docs/notes.md";
    for link in ["[a](missing.md)", "[a](#missing)", "[a](README.md#missing)", "[a](../../out.md)", "[a]: missing.md"] {
        expect_found("link", path, link);
    }
    let fine = "[a](https://example.org) `[b](c.md)`\n\n```\n[d](e.md)\n```\n[f](README.md#a-part)\n";
    let mut files = sound();
    files.push((path, fine.to_owned()));
    assert_eq!(judge(&plant(&files).1), []);
}

#[test]
fn things_that_are_not_source() {
    expect_found("size", "docs/big.txt", vec![b'a'; blobs::FILE_BYTES_MAX + 1]);
    expect_found("prebuilt", "crate/module.wasm", b"\0asm\x01\0\0\0");
    expect_found("prebuilt", "crate/tool", b"\x7fELF\x02");
    expect_found("executable", "scripts/x.sh", "#!/usr/bin/env bash\n");
    expect_found("vector", "tests/vectors/unread.json", "{}");
    let (folder, _) = plant(&sound());
    let path = folder.path().join("docs/README.md");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions can be set");
    let breaches = judge(&Tree::walked(folder.path()).expect("the planted files are readable"));
    assert_eq!(breaches.iter().map(|breach| breach.rule).collect::<Vec<_>>(), ["executable"]);
}

#[test]
fn figures_of_another_shape() {
    let path = "docs/figures/performance-x.json";
    let cases: [(&str, Value); 10] = [
        ("name", json!("performance-y")),
        ("command", json!("")),
        ("commit", json!("main")),
        ("date", json!("yesterday")),
        ("machine", Value::Null),
        ("beside", json!("a\nb")),
        ("figures", json!({})),
        ("figures", json!({ "delay_ms": "fast", "rate": 1 })),
        ("bars", json!({ "unmeasured": { "min": 1 } })),
        ("bars", json!({ "rate": {} })),
    ];
    for (key, value) in cases {
        let mut changed = figure();
        changed[key] = value;
        expect_found("figure", path, changed.to_string());
    }
    let mut extra = figure();
    extra["note"] = json!("x");
    expect_found("figure", path, extra.to_string());
    expect_found("figure", path, "not JSON");
    expect_found("report", "docs/performance.md", "# Performance\n\nVery fast.\n");
}

#[test]
fn a_missed_bar_is_said_plainly() {
    let text = rendered("docs/performance.md");
    assert!(text.contains("1 of 2 bars are met."), "{text}");
    assert!(text.contains("| delay ms | 12.5 | at most 10 | **MISSED** |"), "{text}");
    assert!(text.contains("| rate | 1 234 567 | at least 1 000, at most 2 000 000 000 | met |"), "{text}");
    assert!(rendered("docs/reliability.md").contains("Nothing has been measured yet."));
}

/// Metadata of packages `(name, licence, is ours, dependencies)` as cargo prints it.
fn graph(packages: &[(&str, Option<&str>, bool, &[&str])]) -> Graph {
    let dep = |name: &&str| json!({ "pkg": name, "dep_kinds": [{ "kind": null }] });
    let of = |(name, licence, ours, deps): &(&str, Option<&str>, bool, &[&str])| {
        let source = (!ours).then_some(["registry+https://github.com/rust-lang/crates", ".io-index"].concat());
        let named: Vec<Value> = deps.iter().map(|name| json!({ "name": name })).collect();
        json!({ "id": name, "name": name, "version": "1.0.0", "license": licence, "source": source, "dependencies": named })
    };
    let nodes: Vec<Value> = packages
        .iter()
        .map(|(name, _, _, deps)| json!({ "id": name, "deps": deps.iter().map(dep).collect::<Vec<_>>() }))
        .collect();
    let packages: Vec<Value> = packages.iter().map(of).collect();
    Graph::parse(&json!({ "packages": packages, "resolve": { "nodes": nodes } })).expect("the sample has cargo's form")
}

#[test]
fn arrows_that_go_up_or_sideways() {
    let mit = Some("MIT");
    let rules = |packages: &[(&str, Option<&str>, bool, &[&str])]| {
        arrows::check(&graph(packages)).iter().map(|breach| breach.rule).collect::<Vec<_>>()
    };
    let ledger: (&str, Option<&str>, bool, &[&str]) = ("vouch-ledger", mit, true, &["vouch-types"]);
    let types: (&str, Option<&str>, bool, &[&str]) = ("vouch-types", mit, true, &[]);
    assert!(rules(&[ledger, types]).is_empty());
    assert_eq!(rules(&[("vouch-types", mit, true, &["vouch-ledger"]), ("vouch-ledger", mit, true, &[])]), ["arrow"]);
    assert_eq!(rules(&[("vouch-store", mit, true, &["vouch-api"]), ("vouch-api", mit, true, &[])]), ["arrow"]);
    assert_eq!(rules(&[("vouch-newcomer", mit, true, &[])]), ["arrow"]);
    assert_eq!(rules(&[("vouch-api", mit, true, &["rocksdb"]), ("rocksdb", mit, false, &[])]), ["room"]);
    let through: &[(&str, Option<&str>, bool, &[&str])] =
        &[("vouch-consensus", mit, true, &["middle"]), ("middle", mit, false, &["tokio"]), ("tokio", mit, false, &[])];
    assert_eq!(rules(through), ["pure"]);
}

const POLICY: &str = r#"
[advisories]
ignore = [{ id = "RUSTSEC-2000-0002", reason = "only in tests" }]
[licenses]
allow = ["MIT", "Apache-2.0 WITH LLVM-exception"]
exceptions = [{ crate = "special", allow = ["Zlib"] }]
"#;

#[test]
fn licences_that_are_not_allowed() {
    let policy = Policy::parse(POLICY).expect("the sample is in its form");
    let cases = [
        ("a", Some("MIT"), true),
        ("a", Some("MIT OR GPL-3.0"), true),
        ("a", Some("MIT/GPL-3.0"), true),
        ("a", Some("MIT AND GPL-3.0"), false),
        ("a", Some("(GPL-3.0 OR MIT) AND Apache-2.0 WITH LLVM-exception"), true),
        ("a", Some("GPL-3.0 OR MIT AND Zlib"), false),
        ("special", Some("MIT AND Zlib"), true),
        ("a", Some("Apache-2.0"), false),
        ("a", Some("MIT )"), false),
        ("a", Some(""), false),
        ("a", None, false),
    ];
    for (name, licence, allowed) in cases {
        let breaches = licences::check(&graph(&[(name, licence, false, &[])]), &policy);
        assert_eq!(breaches.is_empty(), allowed, "{name} {licence:?}");
    }
    let mut elsewhere = graph(&[("a", Some("MIT"), false, &[])]);
    elsewhere.packages.values_mut().for_each(|package| package.source = Some("git+https://example.org/a".to_owned()));
    assert_eq!(licences::check(&elsewhere, &policy).iter().map(|breach| breach.rule).collect::<Vec<_>>(), ["source"]);
    assert!(Policy::parse("[licenses]\n[advisories]\nignore = [{ id = \"X\" }]").is_err(), "no reason given");
}

#[test]
fn advisories_that_apply() {
    let cases: [(&str, &str, bool); 14] = [
        ("1.2.3", r#"patched = [">= 1.2.4"]"#, true),
        ("1.2.4", r#"patched = [">= 1.2.4"]"#, false),
        ("1.2.4-rc.1", r#"patched = [">= 1.2.4"]"#, true),
        ("2.0.0-rc.1", r#"patched = [">= 1.2.4"]"#, false),
        ("1.2.3", r#"patched = []"#, true),
        (
            "0.9.0",
            r#"patched = []
            unaffected = ["< 1.0"]"#,
            false,
        ),
        ("0.3.9", r#"patched = ["^0.3.8", ">= 0.4.2"]"#, false),
        ("0.4.1", r#"patched = ["^0.3.8", ">= 0.4.2"]"#, true),
        ("0.0.4", r#"patched = ["^0.0.3"]"#, true),
        ("1.9.0", r#"patched = ["^1.2"]"#, false),
        ("1.3.0", r#"patched = ["~1.2.1"]"#, true),
        ("1.2.9", r#"patched = ["~1.2.1"]"#, false),
        ("1.5.0", r#"patched = [">= 1.4, < 1.5"]"#, true),
        ("1.4.9+build", r#"patched = [">= 1.4, < 1.5"]"#, false),
    ];
    for (version, versions, applies) in cases {
        assert_eq!(advised("RUSTSEC-2000-0001", version, versions), applies, "{version} {versions}");
    }
    assert!(!advised("RUSTSEC-2000-0002", "1.0.0", "patched = []"), "an ignored advisory is reported");
}

fn advised(id: &str, version: &str, versions: &str) -> bool {
    let mut database = Database::default();
    let head = format!("[advisory]\nid = \"{id}\"\npackage = \"a\"\ndate = \"2000-01-01\"");
    database
        .add(&format!("```toml\n{head}\n\n[versions]\n{versions}\n```\n\n# A title\n"))
        .expect("the sample is in RustSec's form");
    let withdrawn = format!("```toml\n{head}\nwithdrawn = \"2000-01-02\"\n\n[versions]\npatched = []\n```\n");
    database.add(&withdrawn.replace(id, "RUSTSEC-2000-0003")).expect("the sample is in RustSec's form");
    let lock = format!(
        "[[package]]\nname = \"a\"\nversion = \"{version}\"\nsource = \"x\"\n\n[[package]]\nname = \"ours\"\nversion = \"1.0.0\"\n"
    );
    let policy = Policy::parse(POLICY).expect("the sample is in its form");
    let breaches =
        advisories::check(&plant(&[("Cargo.lock", lock)]).1, &database, &policy).expect("the lock file is cargo's");
    breaches.len() == 1
}
