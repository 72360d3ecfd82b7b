//! Files for `vouch scan` and `vouch deid`: found, opened, and their format and encoding guessed.

use std::{
    fs::{self, File},
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
};

use vouch_privacy::{
    rules::{SignedRules, TrustedSigner},
    scan::Engine,
    stream::{Decoded, Encoding, Format, StreamError, guess_format},
};
use vouch_types::PublicKey;

use super::output::Refused;

/// So much of a file is looked at to guess what it is.
const BEGINNING_BYTES: u64 = 64 << 10;

/// What files are read as. Workbooks, PDF and archives are taken apart where no format is named.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ReadArgs {
    /// What the file is; guessed from its name and beginning where left out
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// What the text is written in; guessed where left out. GBK is gb18030
    #[arg(long, value_enum)]
    encoding: Option<EncodingArg>,
}

impl ReadArgs {
    /// Whether it was said what the file is.
    #[must_use]
    pub const fn names_format(self) -> bool {
        self.format.is_some()
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum FormatArg {
    Text,
    Csv,
    Json,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum EncodingArg {
    Utf8,
    #[value(alias = "gbk")]
    Gb18030,
    Utf16le,
    Utf16be,
}

/// Rules beside the built-in ones.
#[derive(Debug, Clone, clap::Args)]
pub struct RuleArgs {
    /// A signed rule file to use beside the built-in rules; may be given more than once
    #[arg(long = "rules", value_name = "FILE", requires = "signers")]
    files: Vec<PathBuf>,
    /// Public key of a signer whose rule files are trusted; may be given more than once
    #[arg(long = "signer", value_name = "KEY")]
    signers: Vec<PublicKey>,
}

/// A file that is open.
pub struct Source {
    /// What it is called in results.
    pub name: String,
    /// What it is read as.
    pub format: Format,
    /// What it is written in.
    pub encoding: Encoding,
    /// Whether there is nothing in it.
    pub is_empty: bool,
    /// Its text.
    pub reader: Decoded<Box<dyn Read>>,
    /// Lines on which pages begin, of what has pages.
    pub pages: Vec<u64>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// `stream.io`, or `stream.binary` for what is no text.
    pub fn open(path: &Path, args: ReadArgs) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let failed = |error: io::Error| Refused::error("stream.io", error.to_string(), name.clone());
        let input: Box<dyn Read> =
            if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(failed)?) };
        Self::of(input, &name, args)
    }

    /// What can be read, by this name.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn of(mut input: Box<dyn Read>, name: &str, args: ReadArgs) -> anyhow::Result<Self> {
        let name = name.to_owned();
        let failed = |error: io::Error| Refused::error("stream.io", error.to_string(), name.clone());
        let mut beginning = Vec::new();
        input.by_ref().take(BEGINNING_BYTES).read_to_end(&mut beginning).map_err(failed)?;
        let encoding = args.encoding.map_or_else(|| Encoding::guess(&beginning), encoding_of);
        let is_wide = matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be);
        if !is_wide && beginning.contains(&0) {
            return Err(Refused::error("stream.binary", "there is a zero byte at the beginning", name));
        }
        let marked = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&beginning);
        let format = args.format.map_or_else(|| guess_format(&name, marked), format_of);
        let is_empty = beginning.is_empty();
        let reader = Decoded::new(Box::new(Cursor::new(beginning).chain(input)) as Box<dyn Read>, encoding);
        Ok(Self { name, format, encoding, is_empty, reader, pages: Vec::new() })
    }

    /// Text in UTF-8 that was made of a file of another kind.
    #[must_use]
    pub fn converted(text: File, name: &str, format: Format, pages: Vec<u64>) -> Self {
        let reader = Decoded::new(Box::new(text) as Box<dyn Read>, Encoding::Utf8);
        Self { name: name.to_owned(), format, encoding: Encoding::Utf8, is_empty: false, reader, pages }
    }

    /// What went wrong with this file.
    #[must_use]
    pub fn error(&self, error: &StreamError) -> anyhow::Error {
        Refused::error(error.code(), error.to_string(), self.name.clone())
    }

    /// Whether everything that was read by now was text in this encoding; `line` is where the first was not.
    ///
    /// # Errors
    /// `stream.encoding`.
    pub fn check_encoding(&self, line: Option<u64>) -> anyhow::Result<()> {
        if !self.reader.had_errors {
            return Ok(());
        }
        let place = line.map_or_else(String::new, |line| format!("line {line}: "));
        let text = format!("{place}bytes that are no characters in {:?}", self.encoding);
        Err(Refused::error("stream.encoding", text, self.name.clone()))
    }
}

const fn format_of(format: FormatArg) -> Format {
    match format {
        FormatArg::Text => Format::Text,
        FormatArg::Csv => Format::Csv,
        FormatArg::Json => Format::Json,
    }
}

const fn encoding_of(encoding: EncodingArg) -> Encoding {
    match encoding {
        EncodingArg::Utf8 => Encoding::Utf8,
        EncodingArg::Gb18030 => Encoding::Gb18030,
        EncodingArg::Utf16le => Encoding::Utf16Le,
        EncodingArg::Utf16be => Encoding::Utf16Be,
    }
}

/// The files of a path in order of name: itself, or all in a folder and those below. Links within folders are not followed.
///
/// # Errors
/// `stream.io` when a folder cannot be read.
pub fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let failed =
        |at: &Path, error: &io::Error| Refused::error("stream.io", error.to_string(), at.display().to_string());
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let (mut found, mut folders) = (Vec::new(), vec![path.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, &error))? {
            let entry = entry.map_err(|error| failed(&folder, &error))?;
            let kind = entry.file_type().map_err(|error| failed(&folder, &error))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Text of a small file.
///
/// # Errors
/// `stream.io`.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).map_err(|error| Refused::error("stream.io", error.to_string(), path.display().to_string()))
}

/// The engine that finds: with the built-in rules and those named.
pub enum Rules {
    /// The built-in ones.
    Builtin,
    /// Those and others.
    Own(Box<Engine>),
}

impl Rules {
    /// Opens rule files; each must be signed by a trusted signer and judge its samples as it says.
    ///
    /// # Errors
    /// The code of what is wrong with a file, and its name.
    pub fn open(args: &RuleArgs) -> anyhow::Result<Self> {
        if args.files.is_empty() {
            return Ok(Self::Builtin);
        }
        let trusted: Vec<TrustedSigner> = args.signers.iter().map(|key| TrustedSigner(*key)).collect();
        let mut files = Vec::with_capacity(args.files.len());
        for path in &args.files {
            let file = SignedRules::open(&read_text(path)?, &trusted);
            files.push(
                file.map_err(|error| Refused::error(error.code(), error.to_string(), path.display().to_string()))?,
            );
        }
        let names: Vec<String> = args.files.iter().map(|path| path.display().to_string()).collect();
        let engine = Engine::with_rules(&files)
            .map_err(|error| Refused::error(error.code(), error.to_string(), names.join(", ")))?;
        Ok(Self::Own(Box::new(engine)))
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        match self {
            Self::Builtin => Engine::builtin(),
            Self::Own(engine) => engine,
        }
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}
