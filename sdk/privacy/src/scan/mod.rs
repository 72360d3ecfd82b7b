//! Finds sensitive data in text of any kind, in two passes that are linear in the text.
//!
//! ```text
//! text ──► all words at once (Aho-Corasick) ──► rules anchored at the words ────────┐
//!    │                        └──► words of context ──┐                             ├─► overlaps resolved ─► findings
//!    ├──► tokens of ASCII letters and digits ──► rules by length and neighbour ─────┤
//!    └──► lines that hide something ──► read again (full width, Chinese digits, …) ─┘
//! ```
//!
//! Chinese characters are no boundary to a number and no part of one, so `手机13812345678` is found. A finding holds places,
//! never values. Files of any size: [`crate::stream`].

mod compile;
mod finding;
mod matcher;
mod pass;
mod shadow;
mod shape;

use std::sync::LazyLock;

use regex_automata::util::pool::Pool;

use self::{
    compile::{Program, RuleSet},
    pass::{Pass, Scratch},
    shadow::Shadow,
};
pub use finding::{Basis, Disguise, Finding, RuleId};

use crate::{
    Grade,
    rules::{self, Mode, Rule, RuleError, RuleFile, key_form},
};

/// Fewest percent at which a match is reported.
pub const SCORE_MIN: u8 = 50;
/// Most bytes of a field's name that are looked at.
const FIELD_BYTES_MAX: usize = 256;

type NewScratch = fn() -> Scratch;

/// Rules that were checked and compiled. Scans from any number of threads at once.
pub struct Engine {
    program: Program,
    scratch: Pool<Scratch, NewScratch>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("rules", &self.program.rules.len()).finish_non_exhaustive()
    }
}

/// What the name of a field says; made once for a column and used for all its values.
#[derive(Debug, Clone, Default)]
pub struct Field {
    /// Rules that count here: by key, or by a word of their context in the name.
    rules: RuleSet,
    /// Rules whose key the name is.
    keys: RuleSet,
    /// The name as a label before the value, where words of it are part of patterns.
    label: String,
}

impl Engine {
    /// The built-in rules. Compiled at the first call, which takes some tenths of a second.
    ///
    /// # Panics
    /// Never: a test loads them.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
            let file = RuleFile::parse(rules::BUILTIN).expect("a test reads the built-in rules");
            Engine::compile(&[&file]).expect("a test compiles the built-in rules")
        });
        &ENGINE
    }

    /// The built-in rules and those of further files, whose samples must hold.
    ///
    /// # Errors
    /// When a file cannot be compiled or a sample is not judged as it says; nothing of it is used then.
    pub fn with_rules(files: &[RuleFile]) -> Result<Self, RuleError> {
        let builtin = RuleFile::parse(rules::BUILTIN)?;
        let all: Vec<&RuleFile> = std::iter::once(&builtin).chain(files).collect();
        let engine = Self::compile(&all)?;
        for rule in files.iter().flat_map(|file| &file.rules) {
            engine.check_samples(rule)?;
        }
        Ok(engine)
    }

    fn compile(files: &[&RuleFile]) -> Result<Self, RuleError> {
        let new_scratch: NewScratch = Scratch::default;
        Ok(Self { program: Program::new(files)?, scratch: Pool::new(new_scratch) })
    }

    /// Whether a rule's samples are judged as it says: it finds something in each valid one, overlaps aside, and nothing in
    /// an invalid one.
    ///
    /// # Errors
    /// The first sample that is not.
    pub fn check_samples(&self, rule: &Rule) -> Result<(), RuleError> {
        for (is_valid, samples) in [(true, &rule.valid), (false, &rule.invalid)] {
            for (index, sample) in samples.iter().enumerate() {
                let found = self.candidates(sample, None).iter().any(|finding| finding.rule.as_str() == rule.id);
                if found != is_valid {
                    return Err(RuleError::Sample { rule: rule.id.clone(), is_valid, number: index + 1 });
                }
            }
        }
        Ok(())
    }

    /// The rules, in the order of their file.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.program.rules.iter().map(|compiled| &compiled.rule)
    }

    /// A rule by its id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules().find(|rule| rule.id == id)
    }

    /// What a field's name, a column's head or the last part of a path says of the values.
    #[must_use]
    pub fn field(&self, name: &str) -> Field {
        let last = name.rsplit(['.', '/']).find(|part| !part.trim().is_empty()).unwrap_or(name).trim();
        let mut end = last.len().min(FIELD_BYTES_MAX);
        while !last.is_char_boundary(end) {
            end -= 1;
        }
        let last = last.get(..end).unwrap_or_default();
        let keys = self.program.keys.get(&key_form(last)).copied().unwrap_or_default();
        let mut field = Field { rules: keys, keys, label: String::new() };
        for hit in self.program.words.find_overlapping_iter(last) {
            let word = &self.program.uses[hit.pattern().as_usize()];
            if let Some(context) = word.context.as_ref().filter(|_| is_whole_name(last, hit.start(), hit.end())) {
                field.rules.union(context);
            }
        }
        if !last.is_ascii() {
            field.label = format!("{last}：");
        }
        field
    }

    /// What is sensitive in a text, in order of place, overlaps resolved. `field` is the name of the field it stands in.
    #[must_use]
    pub fn scan(&self, text: &str, field: Option<&str>) -> Vec<Finding> {
        let field = field.map(|name| self.field(name));
        self.scan_field(text, field.as_ref())
    }

    /// As [`Engine::scan`], with what [`Engine::field`] said.
    #[must_use]
    pub fn scan_field(&self, text: &str, field: Option<&Field>) -> Vec<Finding> {
        finding::resolve(self.candidates(text, field))
    }

    /// The grade of the most sensitive thing in a text, public if there is none.
    #[must_use]
    pub fn level(&self, text: &str, field: Option<&str>) -> Grade {
        self.scan(text, field).iter().map(|finding| finding.level).max().unwrap_or(Grade::PUBLIC)
    }

    /// Everything that matches, overlaps and all.
    fn candidates(&self, text: &str, field: Option<&Field>) -> Vec<Finding> {
        let mut scratch = self.scratch.get();
        scratch.found.clear();
        Pass::new(&self.program, text, field).run(&mut scratch);
        if let Some(field) = field {
            pass::whole_value(&self.program, text, field, &mut scratch);
            self.labelled(text, field, &mut scratch);
        }
        for (start, end) in shadow::suspects(text) {
            let Some(line) = text.get(start..end) else { continue };
            let shadow = Shadow::of(line);
            let from = scratch.found.len();
            Pass::new(&self.program, &shadow.text, field).run(&mut scratch);
            for finding in &mut scratch.found[from..] {
                let (first, last, disguise) = shadow.origin(finding.start, finding.end);
                let (value, ..) = shadow.origin(finding.value_start, finding.end);
                (finding.start, finding.end, finding.disguise) = (start + first, start + last, disguise);
                finding.value_start = start + value;
            }
        }
        std::mem::take(&mut scratch.found)
    }

    /// Patterns that contain their word, with the head of the column as that word.
    fn labelled(&self, text: &str, field: &Field, scratch: &mut Scratch) {
        if field.label.is_empty() || text.trim().is_empty() {
            return;
        }
        // A label says what the beginning of a value is; the rest was read on its own.
        let mut end = text.len().min(1024);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let joined = format!("{}{}", field.label, text.get(..end).unwrap_or_default());
        let from = scratch.found.len();
        Pass::new(&self.program, &joined, Some(field)).run(scratch);
        let shift = field.label.len();
        let mut kept = scratch.found.split_off(from);
        kept.retain(|finding| finding.end > shift && finding.start <= shift);
        for finding in &mut kept {
            (finding.start, finding.end) = (finding.start.saturating_sub(shift), finding.end - shift);
            finding.value_start = finding.value_start.saturating_sub(shift);
        }
        scratch.found.append(&mut kept);
    }

    /// Whether a rule needs a context or a field to count.
    #[must_use]
    pub fn needs_context(&self, id: &str) -> bool {
        self.rule(id).is_some_and(|rule| rule.mode == Mode::Context)
    }
}

/// As for context in text: a word of letters is not part of a longer one.
fn is_whole_name(name: &str, start: usize, end: usize) -> bool {
    let bytes = name.as_bytes();
    let before = start.checked_sub(1).map_or(0, |at| bytes[at]);
    let behind = bytes.get(end).copied().unwrap_or(0);
    let joins_before = bytes[start].is_ascii_alphabetic()
        && before.is_ascii_alphabetic()
        && !(bytes[start].is_ascii_uppercase() && before.is_ascii_lowercase());
    let joins_behind = bytes[end - 1].is_ascii_alphabetic() && behind.is_ascii_lowercase();
    !joins_before && !joins_behind
}
