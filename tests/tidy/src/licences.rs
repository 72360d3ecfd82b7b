//! Every dependency comes from the public registry and may be used under a licence that the policy allows.

use std::collections::BTreeSet;

use crate::graph::Package;
use crate::{Breach, Graph, Policy};

/// Where a third party's package must come from.
const SOURCE: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");

/// Judges licences and sources of all packages.
#[must_use]
pub fn check(graph: &Graph, policy: &Policy) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in graph.packages.values() {
        let place = format!("{} {}", package.name, package.version);
        if package.source.as_deref().is_some_and(|source| source != SOURCE) {
            breaches.push(Breach::new("source", &place, "does not come from the public registry"));
        }
        match &package.licence {
            None => breaches.push(Breach::new("licence", &place, "names no licence")),
            Some(expression) if !is_allowed(expression, package, policy) => {
                let what = format!("\"{expression}\" is not allowed by deny.toml");
                breaches.push(Breach::new("licence", &place, what));
            }
            Some(_) => {}
        }
    }
    breaches
}

fn is_allowed(expression: &str, package: &Package, policy: &Policy) -> bool {
    let none = BTreeSet::new();
    let further = policy.exceptions.get(&package.name).unwrap_or(&none);
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut reader = Reader { words: spaced.split_whitespace().peekable(), allowed: &policy.licences, further };
    let verdict = reader.any_of();
    verdict && reader.words.next().is_none()
}

/// Reads an SPDX expression and says whether it can be met: `OR` needs one side, `AND` both and binds closer.
struct Reader<'a, I: Iterator<Item = &'a str>> {
    words: std::iter::Peekable<I>,
    allowed: &'a BTreeSet<String>,
    further: &'a BTreeSet<String>,
}

impl<'a, I: Iterator<Item = &'a str>> Reader<'a, I> {
    fn any_of(&mut self) -> bool {
        let mut met = self.all_of();
        while self.words.next_if_eq(&"OR").is_some() {
            met |= self.all_of();
        }
        met
    }

    fn all_of(&mut self) -> bool {
        let mut met = self.one();
        while self.words.next_if_eq(&"AND").is_some() {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.words.next_if_eq(&"(").is_some() {
            let met = self.any_of();
            return self.words.next_if_eq(&")").is_some() && met;
        }
        let Some(name) = self.words.next() else { return false };
        let exception = self.words.next_if_eq(&"WITH").and_then(|_| self.words.next());
        let full = exception.map_or_else(|| name.to_owned(), |exception| format!("{name} WITH {exception}"));
        self.allowed.contains(&full) || self.further.contains(&full)
    }
}
