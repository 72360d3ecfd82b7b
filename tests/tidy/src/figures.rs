//! Figures that were measured: one JSON file each in `docs/figures`, written by the command that measured them.
//!
//! ```json
//! { "name": "performance-saturation", "command": "./run bench saturation", "commit": "0123abc", "date": "2026-01-31",
//!   "machine": "2 cores, 24 GiB, NVMe", "beside": "the load generator, on the same machine",
//!   "figures": { "commits_per_second": 1234.5 }, "bars": { "commits_per_second": { "min": 1000 } } }
//! ```

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::{Breach, Tree};

/// Where the files live.
const FOLDER: &str = "docs/figures/";

/// The keys of a file; each is required and there are no others.
const KEYS: &[&str] = &["name", "command", "commit", "date", "machine", "beside", "figures", "bars"];

/// One measurement, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Name of the file without `.json`; its part before the first hyphen names the document it appears in.
    pub name: String,
    /// The command that measures it again.
    pub command: String,
    /// Commit it was measured at, in hexadecimal digits.
    pub commit: String,
    /// Day it was measured, `YYYY-MM-DD`.
    pub date: String,
    /// The machine, in words.
    pub machine: String,
    /// What else ran on that machine at the time; `nothing` if nothing did.
    pub beside: String,
    /// Values by key; the key ends with the unit.
    pub figures: BTreeMap<String, f64>,
    /// What was promised of some of the values.
    pub bars: BTreeMap<String, Bar>,
}

/// A promise about one value; at least one side is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bar {
    /// The value must not be less.
    pub min: Option<f64>,
    /// The value must not be more.
    pub max: Option<f64>,
}

impl Bar {
    /// Whether `value` keeps the promise.
    #[must_use]
    pub fn is_met_by(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

impl Figure {
    /// Reads one file's text.
    ///
    /// # Errors
    /// If the shape is not the one above, with the sentence to mend it.
    pub fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let object = value.as_object().context("is not an object")?;
        for key in object.keys() {
            ensure!(KEYS.contains(&key.as_str()), "has a key `{key}` that is not of the shape");
        }
        let figure = Self {
            name: words(object, "name")?,
            command: words(object, "command")?,
            commit: words(object, "commit")?,
            date: words(object, "date")?,
            machine: words(object, "machine")?,
            beside: words(object, "beside")?,
            figures: numbers(part(object, "figures")?)?,
            bars: bars(part(object, "bars")?)?,
        };
        ensure!(is_commit(&figure.commit), "`commit` is not 7 to 40 hexadecimal digits");
        ensure!(is_day(&figure.date), "`date` is not YYYY-MM-DD");
        ensure!(!figure.figures.is_empty(), "has no figures");
        for key in figure.bars.keys() {
            ensure!(figure.figures.contains_key(key), "has a bar for `{key}`, which was not measured");
        }
        Ok(figure)
    }

    /// Whether a bar is missed.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        self.bars.iter().any(|(key, bar)| !self.figures.get(key).is_some_and(|value| bar.is_met_by(*value)))
    }
}

/// All figures of the tree in order of name, and what is wrong with files that are none.
#[must_use]
pub fn read(tree: &Tree) -> (Vec<Figure>, Vec<Breach>) {
    let (mut figures, mut breaches) = (Vec::new(), Vec::new());
    for file in tree.with_extension("json").filter(|file| file.path.starts_with(FOLDER)) {
        let stem = file.name().trim_end_matches(".json");
        let parsed = file.text().context("is not text").and_then(Figure::parse).and_then(|figure| {
            ensure!(figure.name == stem, "is named `{}` inside", figure.name);
            let is_known = crate::report::DOCUMENTS.iter().any(|document| document.takes(&figure));
            ensure!(is_known, "begins with neither `performance-` nor `reliability-`");
            Ok(figure)
        });
        match parsed {
            Ok(figure) => figures.push(figure),
            Err(error) => breaches.push(Breach::new("figure", &file.path, format!("{error:#}"))),
        }
    }
    (figures, breaches)
}

fn words(object: &Map<String, Value>, key: &str) -> Result<String> {
    let text = object.get(key).and_then(Value::as_str).with_context(|| format!("`{key}` is missing or no string"))?;
    ensure!(!text.trim().is_empty(), "`{key}` is empty");
    ensure!(!text.contains(['\n', '|']), "`{key}` has a line break or a bar, which a table cannot hold");
    Ok(text.to_owned())
}

fn part<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a Map<String, Value>> {
    object.get(key).and_then(Value::as_object).with_context(|| format!("`{key}` is missing or no object"))
}

fn numbers(object: &Map<String, Value>) -> Result<BTreeMap<String, f64>> {
    let number = |(key, value): (&String, &Value)| {
        Ok((key.clone(), value.as_f64().with_context(|| format!("`{key}` is not a number"))?))
    };
    object.iter().map(number).collect()
}

fn bars(object: &Map<String, Value>) -> Result<BTreeMap<String, Bar>> {
    let mut bars = BTreeMap::new();
    for (key, value) in object {
        let mut bar = Bar::default();
        for (side, limit) in numbers(value.as_object().with_context(|| format!("bar `{key}` is no object"))?)? {
            match side.as_str() {
                "min" => bar.min = Some(limit),
                "max" => bar.max = Some(limit),
                other => bail!("bar `{key}` has `{other}`, which is neither min nor max"),
            }
        }
        ensure!(bar != Bar::default(), "bar `{key}` has neither min nor max");
        bars.insert(key.clone(), bar);
    }
    Ok(bars)
}

fn is_commit(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    parts.iter().all(is_number) && parts.iter().map(|part| part.len()).eq([4, 2, 2])
}
