//! `vouch deid`: a file without what is sensitive in it, by a plan; nothing is written unless all of it can be.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufWriter, Seek as _, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::Serialize;
use vouch_files::Draft;
use vouch_privacy::{
    Grade,
    deid::{Algorithm, DeidError, DeidKey, Deidentifier, Policy, anonymity::AnonymityReport, table::Table},
    scan::Engine,
    stream::{Format, Place, Visitor, report::Rewriter, walk},
};
use zeroize::Zeroizing;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{
    GlobalArgs,
    output::{Refused, emit},
    parts::{self, Container, Parts},
    scan::Watch,
    source::{ReadArgs, RuleArgs, Rules, Source, read_text},
    text::Text,
};

/// Take sensitive data out of a file: text, tables, JSON; of a PDF its text; of a workbook its sheets as CSV, in a ZIP archive if there
/// are several; of a ZIP archive each file, in a new one.
///
/// The result is UTF-8. It is scanned before it leaves: if anything of level 3 or 4 is left that the plan does not keep, nothing
/// is written.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file; `-` is standard input
    file: PathBuf,
    /// The file to make
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The plan, TOML or JSON: which algorithm for which rule, level, field; masks by the standards where left out
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// File of the key (64 hexadecimal digits) that some algorithms need; only its owner may read it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Replace the file to make if there is one
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    rules: RuleArgs,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Done {
    file: String,
    out: PathBuf,
    changes: BTreeMap<Algorithm, u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    anonymity: Vec<AnonymityReport>,
}

/// Runs the command.
///
/// # Errors
/// The code of what is wrong with file, plan or key; nothing was written then.
pub fn run(args: &Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    if args.out.exists() && !args.force {
        return Err(Refused::error("deid.exists", "it would be replaced", args.out.display().to_string()));
    }
    let rules = Rules::open(&args.rules)?;
    let engine = rules.engine();
    let policy = args.plan.as_deref().map_or_else(|| Ok(Policy::standard()), |path| read_plan(path, engine))?;
    let key = args.key.as_deref().map(read_key).transpose()?;
    let name = args.file.display().to_string();
    let mut entropy = |bytes: &mut [u8]| bytes.fill_with(rand::random);
    let mut deidentifier =
        Deidentifier::new(engine, &policy, key.as_ref(), &mut entropy).map_err(|error| refused(&error, &name))?;
    let mut draft = Output::beside(&args.out)?;
    let mut work = Work {
        engine,
        deidentifier: &mut deidentifier,
        is_table: !policy.table.is_empty() || policy.subject.is_some(),
        changes: BTreeMap::new(),
        anonymity: Vec::new(),
    };
    let folder = args.out.parent().filter(|folder| *folder != Path::new("")).unwrap_or_else(|| Path::new("."));
    let parts = Parts { args: args.read, folder };
    match parts::kind(&args.file, args.read)? {
        Container::None | Container::Pdf => {
            parts.each(&args.file, &mut |_, source| work.rewrite(source?, &mut draft.0))?;
        }
        kind => work.rewrite_parts(parts, &args.file, kind, &mut draft.0)?,
    }
    draft.keep(&args.out, args.force)?;
    let Work { changes, anonymity, .. } = work;
    let done = Done { file: name, out: args.out.clone(), changes, anonymity };
    emit(global, &done, |language| {
        let mut lines: Vec<String> =
            done.changes.iter().map(|(algorithm, count)| format!("{algorithm:?}  {count}")).collect();
        lines.extend(done.anonymity.iter().map(|report| format!("{report:?}")));
        lines.push(format!("{} {}", Text::Written.in_language(language), done.out.display()));
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What is done to every part, and what came of it.
struct Work<'a, 'b> {
    engine: &'a Engine,
    deidentifier: &'a mut Deidentifier<'b>,
    /// Whether the plan works on whole tables.
    is_table: bool,
    changes: BTreeMap<Algorithm, u64>,
    anonymity: Vec<AnonymityReport>,
}

impl Work<'_, '_> {
    fn rewrite(&mut self, mut source: Source, out: &mut dyn Write) -> anyhow::Result<()> {
        if source.is_empty {
            return Err(Refused::error("stream.empty", "there is nothing in it", source.name));
        }
        let (changes, reports) = if self.is_table {
            whole_table(&mut source, self.engine, self.deidentifier, out)?
        } else {
            (rewrite(&mut source, self.engine, self.deidentifier, out)?, Vec::new())
        };
        for (algorithm, count) in changes {
            *self.changes.entry(algorithm).or_insert(0) += count;
        }
        self.anonymity.extend(reports);
        Ok(())
    }

    /// Each part into an archive; a workbook with one sheet becomes that table.
    fn rewrite_parts(
        &mut self,
        parts: Parts<'_>,
        path: &Path,
        kind: Container,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let name = path.display().to_string();
        let failed = |error: &dyn std::fmt::Display| Refused::error("stream.io", error.to_string(), name.clone());
        let fresh = || tempfile::tempfile_in(parts.folder).map_err(|error| failed(&error));
        let mut packed = ZipWriter::new(fresh()?);
        let (mut count, mut last) = (0_u32, None);
        parts.each(path, &mut |part, source| {
            let inner = part.strip_prefix(&name).unwrap_or(part).trim_start_matches('/');
            if self.engine.level(inner, None) >= Grade::SENSITIVE {
                return Err(Refused::error("deid.names", "the name of a file in it", name.clone()));
            }
            let mut made = BufWriter::new(fresh()?);
            self.rewrite(source?, &mut made)?;
            let mut made = made.into_inner().map_err(|error| failed(&error))?;
            made.rewind().map_err(|error| failed(&error))?;
            // What was a PDF is its text now.
            let end = if inner.to_ascii_lowercase().ends_with(".pdf") { ".txt" } else { "" };
            let options = SimpleFileOptions::default().large_file(true);
            packed.start_file(format!("{inner}{end}"), options).map_err(|error| failed(&error))?;
            io::copy(&mut made, &mut packed).map_err(|error| failed(&error))?;
            (count, last) = (count + 1, Some(made));
            Ok(())
        })?;
        let mut whole = match (kind, count, last) {
            (_, 0, _) | (_, _, None) => {
                return Err(Refused::error("stream.empty", "there is nothing in it", name));
            }
            (Container::Workbook, 1, Some(only)) => only,
            _ => packed.finish().map_err(|error| failed(&error))?,
        };
        whole.rewind().and_then(|()| io::copy(&mut whole, out)).map_err(|error| failed(&error))?;
        Ok(())
    }
}

fn refused(error: &DeidError, location: &str) -> anyhow::Error {
    Refused::error(error.code(), error.to_string(), location)
}

/// A plan is a policy written as TOML, or as JSON.
fn read_plan(path: &Path, engine: &Engine) -> anyhow::Result<Policy> {
    let location = path.display().to_string();
    let text = read_text(path)?;
    let json = if text.trim_start().starts_with('{') {
        text
    } else {
        let value: serde_json::Value =
            toml::from_str(&text).map_err(|error| Refused::error("deid.plan", error.to_string(), location.clone()))?;
        value.to_string()
    };
    let policy = Policy::parse(&json, engine).map_err(|error| refused(&error, &location))?;
    let steps = || policy.rules.values().chain(policy.levels.values()).chain(policy.fields.values());
    if steps().any(|step| step.algorithm() == Some(Algorithm::VaultToken)) {
        let text = "vault_token keeps a table that leads back, which this command does not; use keyed_token";
        return Err(Refused::error("deid.plan", text, location));
    }
    if steps().any(|step| step.algorithm() == Some(Algorithm::DateShift)) && policy.subject.is_none() {
        return Err(Refused::error(
            "deid.plan",
            "date_shift needs `subject`, the field that names whose record it is",
            location,
        ));
    }
    Ok(policy)
}

fn read_key(path: &Path) -> anyhow::Result<DeidKey> {
    let location = path.display().to_string();
    let failed = |error: io::Error| Refused::error("stream.io", error.to_string(), location.clone());
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Refused::error("keystore.bad_permissions", format!("mode {:o}", mode & 0o777), location));
    }
    let text = Zeroizing::new(read_text(path)?);
    DeidKey::parse(&text).map_err(|error| refused(&error, &location))
}

/// A file that is not there yet. It goes with everything in it unless it is kept.
struct Output(BufWriter<Draft>);

impl Output {
    fn beside(out: &Path) -> anyhow::Result<Self> {
        let draft = Draft::beside(out);
        let draft = draft.map_err(|error| Refused::error("stream.io", error.to_string(), out.display().to_string()))?;
        Ok(Self(BufWriter::new(draft)))
    }

    /// Without `replaces` never in the place of a file, also not of one that came meanwhile.
    fn keep(self, out: &Path, replaces: bool) -> anyhow::Result<()> {
        let kept = self.0.into_inner().map_err(io::IntoInnerError::into_error);
        let kept = kept.and_then(if replaces { Draft::keep } else { Draft::keep_new });
        kept.map_err(|error| Refused::error("stream.io", error.to_string(), out.display().to_string()))
    }
}

/// Looks for sensitive data in names, which stay as they are.
struct Names<'a, V> {
    engine: &'a Engine,
    inner: V,
    /// The line of the first such name.
    found: Option<u64>,
}

impl<V: Visitor> Visitor for Names<'_, V> {
    fn value(&mut self, place: &Place<'_>, value: &str) -> Result<Option<String>, DeidError> {
        self.inner.value(place, value)
    }

    fn record(&mut self) {
        self.inner.record();
    }

    fn name(&mut self, place: &Place<'_>, name: &str) {
        if self.found.is_none() && self.engine.level(name, None) >= Grade::SENSITIVE {
            self.found = Some(place.line);
        }
        self.inner.name(place, name);
    }
}

/// Walks a file; wrong encoding and sensitive names are refused.
fn walk_checked<'a, V: Visitor>(
    source: &mut Source,
    engine: &'a Engine,
    output: Option<&mut dyn Write>,
    inner: V,
) -> anyhow::Result<Watch<Names<'a, V>>> {
    let mut watch = Watch { inner: Names { engine, inner, found: None }, broken: None };
    let output = output.map(|out| -> &mut dyn Write { out });
    let walked = walk(source.format, &mut source.reader, output, &mut watch);
    source.check_encoding(watch.broken)?;
    walked.map_err(|error| source.error(&error))?;
    match watch.inner.found {
        Some(line) => Err(Refused::error("deid.names", format!("line {line}"), source.name.clone())),
        None => Ok(watch),
    }
}

fn rewrite(
    source: &mut Source,
    engine: &Engine,
    deidentifier: &mut Deidentifier<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<BTreeMap<Algorithm, u64>> {
    let rewriter = Rewriter::new(engine, deidentifier);
    let watch = walk_checked(source, engine, Some(out), rewriter)?;
    Ok(watch.inner.inner.done)
}

/// Takes the cells of a table as they come.
#[derive(Default)]
struct Cells {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Visitor for Cells {
    fn value(&mut self, place: &Place<'_>, value: &str) -> Result<Option<String>, DeidError> {
        let record = usize::try_from(place.record).unwrap_or(usize::MAX);
        if self.columns.len().saturating_mul(record) > vouch_privacy::deid::table::CELLS_MAX {
            return Err(DeidError::Table("the table is too large to be worked on as a whole".to_owned()));
        }
        if self.rows.len() < record {
            self.rows.resize_with(record, Vec::new);
        }
        if let Some(row) = self.rows.last_mut() {
            row.push(value.to_owned());
        }
        Ok(None)
    }

    fn name(&mut self, _place: &Place<'_>, name: &str) {
        self.columns.push(name.to_owned());
    }
}

fn whole_table(
    source: &mut Source,
    engine: &Engine,
    deidentifier: &mut Deidentifier<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<(BTreeMap<Algorithm, u64>, Vec<AnonymityReport>)> {
    if source.format != Format::Csv {
        let text = "`table` and `subject` work on whole tables: CSV";
        return Err(Refused::error("deid.table", text, source.name.clone()));
    }
    let cells = walk_checked(source, engine, None, Cells::default())?.inner.inner;
    let made = Table::new(cells.columns, cells.rows).and_then(|mut table| {
        let (changes, reports) = deidentifier.table(&mut table)?;
        Ok((table, changes, reports))
    });
    let (table, changes, reports) = made.map_err(|error| refused(&error, &source.name))?;
    let failed = |error: io::Error| Refused::error("stream.io", error.to_string(), source.name.clone());
    for row in std::iter::once(&table.columns).chain(&table.rows) {
        let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
        writeln!(out, "{}", cells.join(",")).map_err(failed)?;
    }
    let mut counts = BTreeMap::new();
    for change in changes {
        *counts.entry(change.algorithm).or_insert(0) += 1;
    }
    Ok((counts, reports))
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    /// Runs on a file of this name and text in a folder; the folder must hold nothing more when it is refused.
    fn deid(name: &str, bytes: &[u8], plan: Option<&str>, key: Option<u32>) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::write(at(name), bytes).unwrap();
        let mut line = vec!["deid".to_owned(), at(name), "--out".to_owned(), at("out")];
        if let Some(plan) = plan {
            fs::write(at("plan"), plan).unwrap();
            line.extend(["--plan".to_owned(), at("plan")]);
        }
        if let Some(mode) = key {
            fs::write(at("key"), "0f".repeat(32)).unwrap();
            fs::set_permissions(at("key"), fs::Permissions::from_mode(mode)).unwrap();
            line.extend(["--key".to_owned(), at("key")]);
        }
        let count = fs::read_dir(folder.path()).unwrap().count();
        match run(&Cli::parse_from(line).args, &GlobalArgs::default()) {
            Ok(_) => {
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), count + 1, "a draft is left");
                Ok(fs::read_to_string(at("out")).unwrap())
            }
            Err(error) => {
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), count, "something was written");
                Err(error.downcast_ref::<Refused>().unwrap().0.code.clone())
            }
        }
    }

    const TABLE: &str = "手机号,金额\n13812345678,10.5\n19912345678,20.5\n";

    #[test]
    fn the_standard_plan_masks_and_keeps_the_rest() {
        let made = deid("t.csv", TABLE.as_bytes(), None, None).unwrap();
        assert_eq!(made, "手机号,金额\n138****5678,10.5\n199****5678,20.5\n");
        let json = deid("t.json", br#"{"mobile": "13812345678", "n": 7}"#, None, None).unwrap();
        assert_eq!(json, r#"{"mobile": "138****5678", "n": 7}"#);
        // 手机 in GBK.
        let made = deid("t.csv", b"\xca\xd6\xbb\xfa\n13812345678\n", None, None).unwrap();
        assert_eq!(made, "手机\n138****5678\n");
    }

    #[test]
    fn a_plan_says_what_is_done_to_which_field() {
        let head = "format = \"vouch-deid/1\"\n";
        let token = format!("{head}[fields.\"手机号\"]\nalgorithm = \"keyed_token\"\n");
        let made = deid("t.csv", TABLE.as_bytes(), Some(&token), Some(0o600)).unwrap();
        assert!(made.starts_with("手机号,金额\n") && !made.contains("138") && made.contains(",20.5\n"), "{made}");
        assert_eq!(deid("t.csv", TABLE.as_bytes(), Some(&token), None).unwrap_err(), "deid.key_missing");
        assert_eq!(deid("t.csv", TABLE.as_bytes(), Some(&token), Some(0o644)).unwrap_err(), "keystore.bad_permissions");
        let means = format!("{head}[[table]]\nalgorithm = \"microaggregation\"\ncolumn = \"金额\"\nk = 2\n");
        let made = deid("t.csv", TABLE.as_bytes(), Some(&means), None).unwrap();
        assert_eq!(made.matches(",15.5\n").count(), 2, "{made}");
        assert!(!made.contains("13812345678"));
        let keep = format!("{head}[rules.C_MOBILE_CN]\nalgorithm = \"keep\"\n");
        assert_eq!(deid("t.csv", TABLE.as_bytes(), Some(&keep), None).unwrap(), TABLE);
    }

    #[test]
    fn workbooks_and_archives_come_out_as_what_they_hold() {
        use std::io::Read as _;
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str, bytes: &[u8]| {
            let (file, out) = (folder.path().join(name), folder.path().join(format!("{name}.out")));
            fs::write(&file, bytes).unwrap();
            let line = ["deid", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
            run(&Cli::parse_from(line).args, &GlobalArgs::default())
                .map(|_| fs::read(out).unwrap())
                .map_err(|error| error.downcast_ref::<Refused>().unwrap().0.code.clone())
        };
        let rows: &[&[&str]] = &[&["姓名", "手机号"], &["张三", "13812345678"]];
        let one = parts::tests::workbook(&[("表", rows)]);
        let made = String::from_utf8(run("one.xlsx", &one).unwrap()).unwrap();
        assert!(made.starts_with("\"A\",\"姓名\",\"手机号\"\n") && !made.contains("13812345678"), "{made}");
        let two = parts::tests::workbook(&[("表", rows), ("另", rows)]);
        let mut packed = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in [("a.csv", TABLE.as_bytes()), ("in/two.xlsx", &two)] {
            packed.start_file(name, SimpleFileOptions::default()).unwrap();
            packed.write_all(bytes).unwrap();
        }
        let packed = packed.finish().unwrap().into_inner();
        for (name, bytes, expected) in [
            ("two.xlsx", &two, &["表.csv", "另.csv"][..]),
            ("all.zip", &packed, &["a.csv", "in/two.xlsx/表.csv", "in/two.xlsx/另.csv"]),
        ] {
            let made = run(name, bytes).unwrap();
            let mut made = zip::ZipArchive::new(io::Cursor::new(made)).unwrap();
            assert_eq!(made.len(), expected.len());
            for name in expected {
                let mut text = String::new();
                made.by_name(name).unwrap().read_to_string(&mut text).unwrap();
                assert!(text.contains("手机号") && !text.contains("13812345678"), "{name}: {text}");
            }
        }
        // One part that cannot be judged, and nothing is written.
        let mut with_picture = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in [("a.csv", TABLE.as_bytes()), ("b.png", b"\x89PNG\0")] {
            with_picture.start_file(name, SimpleFileOptions::default()).unwrap();
            with_picture.write_all(bytes).unwrap();
        }
        assert_eq!(run("p.zip", &with_picture.finish().unwrap().into_inner()).unwrap_err(), "stream.binary");
        assert!(!folder.path().join("p.zip.out").exists());
    }

    #[test]
    fn what_cannot_be_done_whole_is_not_done() {
        let head = "format = \"vouch-deid/1\"\n";
        for (name, text, plan, code) in [
            ("t.csv", "", None, "stream.empty"),
            ("t.csv", "a,b\n1,2,3\n", None, "stream.format"),
            ("t.csv", "13812345678,x\n19912345678,y\n", None, "deid.names"),
            ("t.json", "{\"13812345678\": 1}", None, "deid.names"),
            ("t.txt", "a\0b", None, "stream.binary"),
            ("t.csv", TABLE, Some("format = 1".to_owned()), "deid.policy"),
            ("t.csv", TABLE, Some("= =".to_owned()), "deid.plan"),
            ("t.csv", TABLE, Some(format!("{head}[rules.NONE]\nalgorithm = \"keep\"\n")), "deid.policy"),
            (
                "t.csv",
                TABLE,
                Some(format!("{head}[rules.C_MOBILE_CN]\nalgorithm = \"suppress\"\nlabel = \"13700000000\"\n")),
                "deid.residue",
            ),
            ("t.csv", TABLE, Some(format!("{head}[levels.3]\nalgorithm = \"vault_token\"\n")), "deid.plan"),
            ("t.csv", TABLE, Some(format!("{head}[levels.3]\nalgorithm = \"date_shift\"\n")), "deid.plan"),
        ] {
            assert_eq!(deid(name, text.as_bytes(), plan.as_deref(), None).unwrap_err(), code, "{name} {plan:?}");
        }
        assert_eq!(deid("t.txt", b"good\n\xb1", None, None).unwrap_err(), "stream.encoding");
    }
}
