//! Words that have no place in a public repository: paths of one machine, addresses of package registries, and talk of
//! how the text came about.

use crate::{Breach, Tree};

/// Beginnings of paths that exist on one machine only. In two halves, so that this file does not contain them.
const MACHINE: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Hosts of package registries: a manifest names packages, the package manager knows where they are.
const REGISTRIES: &[&str] = &[
    concat!("://index.", "crates.io"),
    concat!("://static.", "crates.io"),
    concat!("://crates", ".io"),
    concat!("://static.", "rust-lang.org"),
    concat!("://registry", "."),
    concat!("://pypi", "."),
    concat!("://files.", "pythonhosted"),
    concat!("://deb.", "debian.org"),
    concat!("://archive.", "ubuntu.com"),
    concat!("sparse", "+http"),
];

/// The only source a lock file may name: cargo's own name of the public registry.
const LOCK_SOURCE: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");

/// FNV-1a hashes of words about the making of the text rather than its matter, kept as hashes so that the words
/// themselves stand nowhere.
const MAKING: &[u64] = &[
    0x0908_5b07_b5a0_de5f,
    0x0d97_10dd_c020_1413,
    0x51a5_228d_5594_31bf,
    0x4301_40aa_f16b_7e77,
    0x16cf_e18e_1bb7_7b34,
    0x4b07_9342_8167_b896,
    0xe597_dc01_e33e_bb46,
    0xa716_3fd7_96f0_96e7,
    0x88c7_a742_a4b2_a3c4,
    0x1de4_ed3d_db8c_2ff5,
    0x41eb_ae8e_3413_1544,
    0x4a0b_3ccd_1d41_faf3,
    0xd8d2_11bb_2fd7_22ea,
];

/// Finds such words in every text file. Lock files are judged by their sources only.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in &tree.files {
        let Some(text) = file.text() else { continue };
        for (index, line) in text.lines().enumerate() {
            let mut add = |rule, what: String| breaches.push(Breach::at(rule, &file.path, index + 1, what));
            if file.name() == "Cargo.lock" {
                if line.starts_with("source = ") && !line.contains(LOCK_SOURCE) {
                    add("registry", "a package from elsewhere than the public registry".to_owned());
                }
                continue;
            }
            if let Some(path) = MACHINE.iter().find(|path| names_path(line, path)) {
                add("machine-path", format!("{path} is a path of one machine"));
            }
            if let Some(host) = REGISTRIES.iter().find(|host| line.contains(*host)) {
                add("registry", format!("{host} is the address of a package registry"));
            }
            if let Some(word) = words(line).find(|word| is_about_making(word)) {
                add("making", format!("\"{word}\" speaks of how the text came about, not of its matter"));
            }
        }
    }
    breaches
}

/// Whether `path` begins a path in `line`, rather than being the middle of a longer one.
fn names_path(line: &str, path: &str) -> bool {
    let is_middle = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')' | '*');
    let before = |at: usize| line.get(..at).and_then(|head| head.chars().next_back());
    line.match_indices(path).any(|(at, _)| !before(at).is_some_and(is_middle))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// A word counts in any case, or, where its capitals make it, exactly as it stands.
fn is_about_making(word: &str) -> bool {
    MAKING.contains(&fnv1a(word)) || MAKING.contains(&fnv1a(&format!("~{}", word.to_ascii_lowercase())))
}

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
