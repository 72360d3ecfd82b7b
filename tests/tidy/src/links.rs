//! Links between documents lead somewhere: to a file that is tracked and, where they name one, to a heading in it.

use std::collections::BTreeSet;

use crate::tree::File;
use crate::{Breach, Tree};

/// Finds links in Markdown files that lead nowhere. Links to other hosts are not followed.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for file in tree.with_extension("md") {
        let Some(text) = file.text() else { continue };
        for (line, target) in links(text) {
            if let Some(what) = judge(tree, file, text, &target) {
                breaches.push(Breach::at("link", &file.path, line, format!("({target}) {what}")));
            }
        }
    }
    breaches
}

fn judge(tree: &Tree, from: &File, text: &str, target: &str) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let Some(full) = resolve(&from.path, path) else { return Some("leads out of the repository") };
    let found = tree.files.iter().find(|file| file.path == full);
    let prefix = format!("{full}/");
    let is_folder = full.is_empty() || tree.files.iter().any(|file| file.path.starts_with(&prefix));
    if !path.is_empty() && found.is_none() && !is_folder {
        return Some("leads to no tracked file");
    }
    let anchor = anchor?;
    let goal = if path.is_empty() { Some(text) } else { found.and_then(File::text) }?;
    let is_document = path.is_empty() || full.to_ascii_lowercase().ends_with(".md");
    (is_document && !headings(goal).contains(anchor)).then_some("names no heading there")
}

/// `path` as seen from the folder of `from`; nothing when it climbs out of the root.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Lines outside code fences, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        (!fenced && !is_fence).then_some((index + 1, line))
    })
}

/// Targets of `[text](target)` and `[text]: target`, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code(line);
        for tail in line.split("](").skip(1) {
            let target = tail.split(')').next().unwrap_or(tail);
            let target = target.split_whitespace().next().unwrap_or(target);
            found.push((number, target.trim_matches(['<', '>']).to_owned()));
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            found.push((number, target.split_whitespace().next().unwrap_or(target).to_owned()));
        }
    }
    found
}

/// The line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// Anchors of the headings: lower case, spaces as hyphens, no punctuation.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).filter(|(_, line)| line.starts_with('#'));
    titles.map(|(_, line)| anchor_of(line.trim_start_matches('#').trim())).collect()
}

fn anchor_of(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}
