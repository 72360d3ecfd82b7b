//! Files of documents at the command line: named in a document's JSON, sent with progress, saved where they are wanted.

use std::{
    fs,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vouch_privacy::attachment::AttachmentValue;
use vouch_sdk::{Client, DocumentDraft, DraftFile, Error, FileProgress, FileRequest, OnProgress, Resumption};
use vouch_types::{
    AccountId,
    document::{DocumentId, FieldKind, Version},
};

use super::super::{
    GlobalArgs,
    output::{emit, inline, shown as shown_text, table},
    text::Text,
};

/// Below this a file is there before anybody asks how far it is.
const SHOWN_FROM_BYTES: u64 = 8 << 20;
/// Between two lines on a terminal.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// Between two lines in a log, in percent.
const SHOW_EVERY_PERCENT: u64 = 10;

/// A file as people name it in a document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedFile {
    /// Path, relative to the document's file.
    file: PathBuf,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    media: Option<String>,
}

/// Turns the values of fields that take files into files of the draft; false when there are none.
pub(super) async fn take(client: &Client, draft: &mut DocumentDraft, path: &Path) -> anyhow::Result<bool> {
    let says_file = |value: &Value| value.get("file").is_some();
    let may_be = |value: &Value| says_file(value) || value.as_array().is_some_and(|list| list.iter().any(says_file));
    if !draft.values.values().any(may_be) {
        return Ok(false);
    }
    let schema = client.schema(&draft.schema, draft.schema_version).await?;
    let schema = schema.ok_or_else(|| Error::Construction(format!("there is no schema {}", draft.schema)))?;
    let takes_files = schema.definition.fields.iter().filter(|field| field.kind == FieldKind::Attachment);
    let base = path.parent().unwrap_or(Path::new(""));
    for field in takes_files {
        let Some(value) = draft.values.get(&field.name).filter(|value| may_be(value)).cloned() else { continue };
        let list = match value {
            Value::Array(list) => list,
            one => vec![one],
        };
        for value in list {
            let fault = |error: serde_json::Error| {
                let form = r#"expected {"file": "PATH"}, with "name" and "media" if they are others"#;
                Error::Construction(format!("field {}: {form}: {error}", field.name))
            };
            let named: NamedFile = serde_json::from_value(value).map_err(fault)?;
            let guessed = || mime_guess::from_path(&named.file).first_or_octet_stream().to_string();
            let media = named.media.clone().unwrap_or_else(guessed);
            let file = DraftFile::from_path(&field.name, &base.join(&named.file), media)?;
            draft.files.push(match named.name {
                Some(name) => file.named(name),
                None => file,
            });
        }
        draft.values.remove(&field.name);
    }
    Ok(!draft.files.is_empty())
}

/// What is kept beside a document while its files are sent, so that the same command takes it up after a break. It holds no
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    /// The version that is to be; 1 for a new document.
    version: u32,
    resumption: Resumption,
}

/// The same with its place.
pub(super) struct Note {
    path: PathBuf,
    noted: Noted,
    is_found: bool,
}

impl Note {
    /// The one beside a document, else a new one by this issuer; `revise` is a document and its newest version.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(super) fn open(document: &Path, issuer: &str, revise: Option<(DocumentId, u32)>) -> anyhow::Result<Self> {
        let mut name = document.file_name().unwrap_or_default().to_owned();
        name.push(".upload");
        let path = document.with_file_name(name);
        let place = || path.display().to_string();
        let found = match fs::read_to_string(&path) {
            Ok(text) => Some(serde_json::from_str::<Noted>(&text).with_context(place)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(place),
        };
        // One of another command with the same file is no use: that one is over, or was given up.
        let found = found.filter(|noted| match revise {
            None => noted.version == 1,
            Some((id, _)) => noted.version > 1 && noted.resumption.document == id,
        });
        if let Some(noted) = found {
            return Ok(Self { path, noted, is_found: true });
        }
        let noted = match revise {
            None => Noted { version: 1, resumption: Resumption::new(issuer)? },
            Some((id, latest)) => Noted { version: latest.saturating_add(1), resumption: Resumption::of_document(id)? },
        };
        vouch_files::write(&path, serde_json::to_string(&noted)?.as_bytes()).with_context(place)?;
        Ok(Self { path, noted, is_found: false })
    }

    pub(super) fn resumption(&self) -> Resumption {
        self.noted.resumption.clone()
    }

    /// What is on the chain when the break came after that.
    pub(super) async fn is_done(&self, client: &Client, account: AccountId) -> anyhow::Result<Option<Version>> {
        if !self.is_found {
            return Ok(None);
        }
        let version = client.document_version(self.noted.resumption.document, self.noted.version).await?;
        Ok(version.filter(|version| version.submitter == account))
    }

    /// It is over.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| self.path.display().to_string())
    }
}

/// Shows a submission that an earlier command brought to its end without saying so.
pub(super) fn show_done(note: Note, version: &Version, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let id = note.noted.resumption.document;
    note.remove()?;
    let (version, root) = (version.version, version.content.root);
    emit(global, &json!({ "id": id, "version": version, "root": root }), |language| {
        let root = (Text::Root, root.to_string());
        table(language, &[(Text::Document, id.to_string()), (Text::Version, version.to_string()), root])
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a file into a path.
pub(super) async fn save(
    client: &Client,
    request: &FileRequest,
    out: &Path,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let facts = client.save_document_file(request, out, Some(progress(global))).await?;
    emit(global, &facts, |language| {
        table(
            language,
            &[
                (Text::Document, facts.document.to_string()),
                (Text::Version, facts.version.to_string()),
                (Text::File, format!("{} ({}, {})", facts.name, facts.media, size_text(facts.size))),
                (Text::Hash, facts.b3.to_string()),
                (Text::Root, facts.root.to_string()),
                (Text::Status, Text::ProofHolds.in_language(language).to_owned()),
            ],
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A field's value on one line; files by name, media type, size and hash, not by the key of the hash.
pub(super) fn shown(value: &Value) -> String {
    let Some(files) = AttachmentValue::list_from(value) else { return inline(value) };
    let line =
        |file: &AttachmentValue| format!("{} ({}, {}, {})", file.name, file.media, size_text(file.size), file.b3);
    files.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// Bytes as people read them.
pub(super) fn size_text(bytes: u64) -> String {
    let (mut whole, mut rest, mut unit) = (bytes, 0, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 1024 {
            break;
        }
        (rest, whole, unit) = (whole % 1024 * 10 / 1024, whole / 1024, next);
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{rest} {unit}") }
}

struct Shown {
    at: Instant,
    name: String,
    percent: u64,
}

/// Tells on standard error how far large files are: in place on a terminal, else a line for every tenth.
pub(super) fn progress(global: &GlobalArgs) -> OnProgress {
    let language = global.language();
    let is_terminal = std::io::stderr().is_terminal();
    let last: Mutex<Option<Shown>> = Mutex::new(None);
    Arc::new(move |progress: &FileProgress| {
        let FileProgress { name, done, bytes, resumed } = progress;
        let said = shown_text(name);
        let is_over = done >= bytes;
        if *bytes < SHOWN_FROM_BYTES && *resumed == 0 {
            return;
        }
        let percent = done.saturating_mul(100) / (*bytes).max(1);
        let Ok(mut last) = last.lock() else { return };
        let is_first = last.as_ref().is_none_or(|shown| shown.name != *name);
        let is_due = match last.as_ref().filter(|_| !is_first) {
            None => true,
            Some(shown) if is_terminal => shown.at.elapsed() >= SHOW_EVERY,
            Some(shown) => percent / SHOW_EVERY_PERCENT > shown.percent / SHOW_EVERY_PERCENT,
        };
        if !(is_due || is_over) {
            return;
        }
        let mut err = std::io::stderr().lock();
        if is_first && *resumed > 0 {
            drop(writeln!(err, "{said}: {} {}", Text::GoesOnAt.in_language(language), size_text(*resumed)));
        }
        let (start, end) =
            if is_terminal && !is_over { ("\r", "") } else { (if is_terminal { "\r" } else { "" }, "\n") };
        // Progress that cannot be shown is no reason to stop.
        drop(write!(err, "{start}{said}: {percent} %, {} / {}{end}", size_text(*done), size_text(*bytes)));
        drop(err.flush());
        *last = Some(Shown { at: Instant::now(), name: name.clone(), percent });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_600, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            ((1 << 30) + (1 << 29), "1.5 GiB"),
        ] {
            assert_eq!(size_text(bytes), expected);
        }
    }

    #[test]
    fn files_are_shown_without_the_key_of_their_hash() {
        let value = json!([{ "b3": "11".repeat(32), "b3_key": "22".repeat(32), "chunk_log": 4, "media": "text/plain",
            "name": "a.txt", "size": 2048 }]);
        let text = shown(&value);
        assert_eq!(text, format!("a.txt (text/plain, 2.0 KiB, {})", "11".repeat(32)));
        assert_eq!(shown(&json!("plain")), "plain");
    }

    #[test]
    fn a_note_is_taken_up_by_the_same_command_only() {
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("record.json");
        let first = Note::open(&document, "institution", None).unwrap().resumption();
        assert_eq!(Note::open(&document, "institution", None).unwrap().resumption(), first);
        // A revision of the very document is another matter.
        let revise = Some((first.document, 1));
        let revising = Note::open(&document, "institution", revise).unwrap();
        assert_eq!((revising.noted.version, revising.resumption().document), (2, first.document));
        let salt = revising.resumption().salt;
        assert_ne!(salt, first.salt);
        assert_eq!(
            Note::open(&document, "institution", Some((first.document, 2))).unwrap().noted.version,
            2,
            "as it was begun"
        );
        revising.remove().unwrap();
        assert_ne!(Note::open(&document, "institution", None).unwrap().resumption(), first);
        fs::write(folder.path().join("record.json.upload"), "{}").unwrap();
        assert!(Note::open(&document, "institution", None).is_err());
    }
}
