//! `vouch scan`: what is sensitive in files, by place and rule, never by value.

use std::{path::PathBuf, process::ExitCode};

use serde::Serialize;
use vouch_privacy::{
    Grade,
    deid::DeidError,
    rules::{Profile, ProfileName},
    scan::Engine,
    stream::{
        Encoding, Format, Place, Visitor,
        report::{Located, Report, Scanner},
        walk,
    },
};
use vouch_types::api::Language;

use super::{
    GlobalArgs,
    output::{EXIT_FAILED, EXIT_REFUSED, Side, emit, report_error},
    parts::Parts,
    source::{ReadArgs, RuleArgs, Rules, Source, files},
    text::Text,
};

/// Find sensitive data in files: text, tables, JSON, workbooks sheet by sheet, the text of PDF, ZIP archives file by file.
///
/// Exit codes: 0 nothing of the level or above, 3 something, 1 a file could not be judged. No value is ever printed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files and folders; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// The lowest level that counts, 1 to 4
    #[arg(long, default_value = "3", value_parser = level)]
    level: Grade,
    /// Whose levels: glc4, gbt43697, jrt0171, db12t996
    #[arg(long, default_value = "glc4")]
    profile: ProfileName,
    /// List at most so many findings of a file; all are counted
    #[arg(long, default_value = "1000", value_name = "COUNT")]
    list: usize,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    rules: RuleArgs,
}

fn level(text: &str) -> Result<Grade, String> {
    let number: u8 = text.parse().map_err(|_| "a level is 1, 2, 3 or 4".to_owned())?;
    Grade::new(number).map_err(|error| error.to_string())
}

/// What is said of one file.
#[derive(Debug, Serialize)]
struct Scanned {
    file: String,
    format: Format,
    encoding: Encoding,
    profile: ProfileName,
    /// Lines on which pages begin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pages: Vec<u64>,
    #[serde(flatten)]
    report: Report,
}

/// Runs the command.
///
/// # Errors
/// When standard output is closed.
pub fn run(args: &Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let rules = match Rules::open(&args.rules) {
        Ok(rules) => rules,
        Err(error) => return Ok(unjudged(&error, global)),
    };
    let (mut is_found, mut failure) = (false, None);
    let folder = std::env::temp_dir();
    let parts = Parts { args: args.read, folder: &folder };
    for path in &args.paths {
        let found = match files(path) {
            Ok(found) => found,
            Err(error) => {
                failure = Some(unjudged(&error, global));
                continue;
            }
        };
        for file in found {
            let mut closed = false;
            let judged = parts.each(&file, &mut |_, source| match source
                .and_then(|source| scan(source, args, rules.engine()))
            {
                Ok(scanned) => {
                    is_found |= !scanned.report.counts.is_empty();
                    let said = emit(global, &scanned, |language| lines(&scanned, rules.engine(), language));
                    closed |= said.is_err();
                    said
                }
                Err(error) => {
                    failure = Some(unjudged(&error, global));
                    Ok(())
                }
            });
            match judged {
                Err(error) if closed => return Err(error),
                Err(error) => failure = Some(unjudged(&error, global)),
                Ok(()) => {}
            }
        }
    }
    let found = if is_found { ExitCode::from(EXIT_REFUSED) } else { ExitCode::SUCCESS };
    Ok(failure.unwrap_or(found))
}

/// Told apart from findings by its exit code.
fn unjudged(error: &anyhow::Error, global: &GlobalArgs) -> ExitCode {
    let _ = report_error(error, global, Side::Client);
    ExitCode::from(EXIT_FAILED)
}

fn scan(mut source: Source, args: &Args, engine: &Engine) -> anyhow::Result<Scanned> {
    let profile = Profile::builtin(args.profile);
    let mut watch = Watch { inner: Scanner::new(engine, profile, args.level, args.list), broken: None };
    let walked = walk(source.format, &mut source.reader, None, &mut watch);
    source.check_encoding(watch.broken)?;
    walked.map_err(|error| source.error(&error))?;
    Ok(Scanned {
        file: source.name,
        format: source.format,
        encoding: source.encoding,
        profile: args.profile,
        pages: source.pages,
        report: watch.inner.finish(),
    })
}

/// Remembers the line of the first bytes that were no characters.
#[derive(Debug)]
pub struct Watch<V> {
    /// Sees everything.
    pub inner: V,
    /// The line, from 1.
    pub broken: Option<u64>,
}

impl<V: Visitor> Visitor for Watch<V> {
    fn value(&mut self, place: &Place<'_>, value: &str) -> Result<Option<String>, DeidError> {
        if self.broken.is_none()
            && let Some(at) = value.find('\u{fffd}')
        {
            let before = value.bytes().take(at).filter(|byte| *byte == b'\n').count();
            self.broken = Some(place.line + u64::try_from(before).unwrap_or(0));
        }
        self.inner.value(place, value)
    }

    fn record(&mut self) {
        self.inner.record();
    }

    fn name(&mut self, place: &Place<'_>, name: &str) {
        if self.broken.is_none() && name.contains('\u{fffd}') {
            self.broken = Some(place.line);
        }
        self.inner.name(place, name);
    }
}

fn lines(scanned: &Scanned, engine: &Engine, language: Language) -> Vec<String> {
    let (report, profile) = (&scanned.report, Profile::builtin(scanned.profile));
    let in_language = |name: &vouch_privacy::rules::Name| match language {
        Language::English => name.en.clone(),
        Language::Chinese => name.zh.clone(),
    };
    let finding = |found: &Located| {
        let name = engine.rule(found.rule.as_str()).map(|rule| in_language(&rule.name)).unwrap_or_default();
        let field = found.field.as_ref().map(|field| format!(" {}={field:?}", Text::Field.in_language(language)));
        let page = match scanned.pages.partition_point(|line| *line <= found.line) {
            0 => String::new(),
            page => format!(" {}={page}", Text::Page.in_language(language)),
        };
        format!(
            "{}:{}:{} {} {} ({}) {name}{}{page} {}={} {}={}-{}",
            scanned.file,
            found.line,
            found.column,
            found.rule,
            found.level,
            in_language(profile.label(found.level)),
            field.unwrap_or_default(),
            Text::Record.in_language(language),
            found.record,
            Text::Bytes.in_language(language),
            found.start,
            found.end,
        )
    };
    let mut lines: Vec<String> = report.findings.iter().map(finding).collect();
    let total: u64 = report.counts.values().sum();
    lines.push(format!(
        "{}: {} {total}, {} {} ({})",
        scanned.file,
        Text::Findings.in_language(language),
        Text::Level.in_language(language),
        report.level,
        in_language(profile.label(report.level)),
    ));
    lines
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

    fn exit(folder: &std::path::Path, options: &[&str]) -> String {
        let folder = folder.display().to_string();
        let line = ["scan", &folder].into_iter().chain(options.iter().copied());
        format!("{:?}", run(&Cli::parse_from(line).args, &GlobalArgs::default()).unwrap())
    }

    fn scanned(name: &str, bytes: &[u8], options: &[&str]) -> anyhow::Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let args = Cli::parse_from(["scan", "-"].into_iter().chain(options.iter().copied())).args;
        let rules = Rules::open(&args.rules)?;
        let scanned = scan(Source::open(&file, args.read)?, &args, rules.engine())?;
        let text = lines(&scanned, rules.engine(), Language::English).join("\n");
        Ok(format!("{text}\n{}", serde_json::to_string(&scanned)?))
    }

    #[test]
    fn findings_have_places_and_no_values() {
        let said = scanned("t.csv", "序号,手机\n1,13812345678\n2,\n".as_bytes(), &[]).unwrap();
        assert!(said.contains("t.csv:2:1 C_MOBILE_CN 3 (sensitive)"), "{said}");
        assert!(said.contains("\"field\":\"手机\"") && said.contains("\"record\":1"), "{said}");
        assert!(!said.contains("13812345678"), "{said}");
        // 手机 in GBK.
        let said = scanned("t.txt", b"\xca\xd6\xbb\xfa13812345678\n", &[]).unwrap();
        assert!(said.contains(":1:3 C_MOBILE_CN") && said.contains("gb18030"), "{said}");
        let said = scanned("t.csv", b"13812345678,x\n1,19912345678\n", &[]).unwrap();
        assert!(said.contains("t.csv:1:1 C_MOBILE_CN") && !said.contains("13812345678"), "{said}");
        let said = scanned("t.ndjson", b"{\"a\": \"13812345678\"}\n{\"13912345678\": \"13712345678\"}\n", &[]).unwrap();
        assert!(said.contains("\"C_MOBILE_CN\":3") && !said.contains("13912345678"), "{said}");
    }

    #[test]
    fn what_cannot_be_read_is_told_by_code() {
        for (name, bytes, options, code) in [
            ("t.bin", &b"\0\x01"[..], &[][..], "stream.binary"),
            ("t.csv", b"a,b\n1,2,3\n", &[], "stream.format"),
            ("t.json", b"{\"a\": [1,", &[], "stream.format"),
            ("t.txt", b"x\n\xca\xd6\n", &["--encoding", "utf8"], "stream.encoding"),
        ] {
            let error = scanned(name, bytes, options).unwrap_err();
            let problem = &error.downcast_ref::<super::super::output::Refused>().unwrap().0;
            assert_eq!((problem.code.as_str(), problem.mend.is_empty()), (code, false));
            assert!(code != "stream.encoding" || problem.detail.starts_with("line 2:"), "{}", problem.detail);
        }
    }

    #[test]
    fn exit_codes_tell_findings_from_failures() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(folder.path().join("a.txt"), "nothing").unwrap();
        let code = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(exit(folder.path(), &[]), code(0));
        std::fs::write(folder.path().join("below/b.txt"), "13812345678").unwrap();
        assert_eq!(exit(folder.path(), &[]), code(3));
        assert_eq!(exit(folder.path(), &["--level", "4"]), code(0));
        std::fs::write(folder.path().join("c.bin"), b"\0").unwrap();
        assert_eq!(exit(folder.path(), &[]), code(1));
    }
}
