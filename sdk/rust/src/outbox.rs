//! A queue of documents on the disk: put there at any time, sent when a node can be reached, each once, whatever is killed when.
//!
//! ```text
//! put(name, draft) --durable--> waiting/NUMBER.json --some at a time--> known/HASH.json: sent, with transaction and height
//!                                                    '--refused--> known/HASH.json: refused, with the code; put it again, corrected
//! ```
//!
//! Ids and salts follow from the account's key, the name and the content: sending again after a crash is sending the same, and a
//! lost folder costs work, not a second document. What waits lies there in plain text, for its owner only.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use vouch_types::{
    Hash32, Height, SecretKey, SubjectId, TxId,
    document::{DocumentId, KeyRecipient, PartyEntry, ReferenceEntry},
    hash::domain_hash,
};

use crate::{Client, DocumentDraft, DraftFile, Error, Issuing, Order, error::Verdict};

/// First pause while no node answers; doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What is done beside submitting a document, in the same transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acts {
    /// Persons to register.
    pub register: Vec<SubjectId>,
    /// Sign it for the own member.
    pub sign: bool,
    /// Sign it for these persons, whom the own member serves.
    pub sign_for: Vec<SubjectId>,
}

/// What became of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Fate {
    /// It waits to be sent.
    Waiting,
    /// It is on the chain, and its receipt was proven.
    Sent {
        /// The document.
        id: DocumentId,
        /// The transaction; nothing when it was there already.
        transaction: Option<TxId>,
        /// Its height.
        height: Option<Height>,
    },
    /// Node or contract refuse its content.
    Refused {
        /// Why, stable.
        code: String,
        /// Why, for people.
        reason: String,
    },
}

/// How the queue is sent.
#[derive(Debug, Clone)]
pub struct OutboxOptions {
    /// Documents under way at a time.
    pub under_way: usize,
    /// How long a document is tried while no node answers.
    pub patience: Duration,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self { under_way: 32, patience: Duration::from_secs(120) }
    }
}

/// What a sending came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxReport {
    /// Documents that are on the chain now.
    pub sent: u64,
    /// Documents that were refused.
    pub refused: u64,
    /// Documents that refer to what is not in force yet; they still wait.
    pub early: u64,
}

/// A file of a draft.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptFile {
    field: String,
    path: PathBuf,
    name: String,
    media: String,
}

/// A draft as it is kept.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    name: String,
    /// Counts contents that were refused under this name: each gets an id of its own.
    attempt: u32,
    schema: String,
    schema_version: Option<u32>,
    values: Map<String, Value>,
    parties: Vec<PartyEntry>,
    references: Vec<ReferenceEntry>,
    public: Vec<String>,
    recipients: Vec<KeyRecipient>,
    files: Vec<KeptFile>,
    acts: Acts,
}

/// What is known of a name.
#[derive(Clone, Serialize, Deserialize)]
struct Known {
    /// Of the content without the attempt.
    content: Hash32,
    attempt: u32,
    fate: Fate,
}

enum Ended {
    Sent,
    Refused,
    Early,
}

/// What documents of a schema have in common, fetched once.
type Issuings = Mutex<BTreeMap<(String, Option<u32>), Issuing>>;

/// A queue, open; only one program has it at a time.
#[derive(Debug)]
pub struct Outbox {
    folder: PathBuf,
    /// The newest number; held while something is put.
    last: std::sync::Mutex<u64>,
    _lock: File,
}

impl Outbox {
    /// Opens or makes the queue of a folder.
    ///
    /// # Errors
    /// `outbox.busy` when another program has it, `document.file_io`.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        for part in ["waiting", "known"] {
            let path = folder.join(part);
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|error| Error::file_io(&path, error))?;
        }
        let path = folder.join("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(|error| Error::file_io(&path, error))?;
        if lock.try_lock().is_err() {
            let reason = "another program has this queue open".into();
            return Err(Error::File { code: "outbox.busy", path: folder.into(), reason });
        }
        let outbox = Self { folder: folder.into(), last: std::sync::Mutex::new(0), _lock: lock };
        let mut last = 0;
        for number in outbox.waiting()? {
            last = number;
            // Put when the program was killed: what waits under this name must not be another content's.
            if let Some(kept) = read::<Kept>(&outbox.place(number))?
                && outbox.known(&kept.name)?.is_none()
            {
                let content = content_of(&kept)?;
                outbox.note(&kept.name, &Known { content, attempt: kept.attempt, fate: Fate::Waiting })?;
            }
        }
        *outbox.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = last;
        Ok(outbox)
    }

    /// Puts a document into the queue; when this returns it is on the disk. The name is the business system's own for it: the
    /// same name is the same document, however often it is put. Returns what became of it so far.
    ///
    /// # Errors
    /// `outbox.changed` when another content waits or was sent under this name: send that as a new version
    /// ([`Client::revise_document`]); [`Error::Construction`] for files that are streams; `document.file_io`.
    pub fn put(&self, name: &str, draft: &DocumentDraft, acts: &Acts) -> Result<Fate, Error> {
        let mut kept = kept(name, draft, acts)?;
        let content = content_of(&kept)?;
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = self.known(name)? {
            match known.fate {
                Fate::Refused { .. } if known.content != content => kept.attempt = known.attempt.saturating_add(1),
                fate if known.content == content => return Ok(fate),
                _ => {
                    let reason = format!("another content was put under the name {name:?}");
                    return Err(Error::File { code: "outbox.changed", path: self.folder.clone(), reason });
                }
            }
        }
        *last += 1;
        write(&self.place(*last), &kept)?;
        self.note(name, &Known { content, attempt: kept.attempt, fate: Fate::Waiting })?;
        Ok(Fate::Waiting)
    }

    /// What became of a name; `None` when it was never put.
    ///
    /// # Errors
    /// `document.file_io`.
    pub fn fate(&self, name: &str) -> Result<Option<Fate>, Error> {
        Ok(self.known(name)?.map(|known| known.fate))
    }

    /// How many documents wait.
    ///
    /// # Errors
    /// `document.file_io`.
    pub fn len(&self) -> Result<usize, Error> {
        Ok(self.waiting()?.len())
    }

    /// Whether none waits.
    ///
    /// # Errors
    /// `document.file_io`.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.waiting()?.is_empty())
    }

    /// Sends what waits, in the order it was put, some at a time, until nothing is left that can be sent now. May be dropped at any
    /// point and called again.
    ///
    /// # Errors
    /// When no node answers for longer than the patience, or nothing more can be sent; what waits still waits.
    pub async fn send(
        &self,
        client: &Client,
        signer: &SecretKey,
        options: &OutboxOptions,
    ) -> Result<OutboxReport, Error> {
        let (issuings, mut report) = (Issuings::default(), OutboxReport::default());
        loop {
            let (mut progress, mut early) = (0, 0);
            let one = |number| self.send_one(client, signer, number, &issuings, options.patience);
            let mut under_way = stream::iter(self.waiting()?).map(one).buffer_unordered(options.under_way.max(1));
            while let Some(ended) = under_way.next().await {
                match ended? {
                    Ended::Sent => (report.sent, progress) = (report.sent + 1, progress + 1),
                    Ended::Refused => (report.refused, progress) = (report.refused + 1, progress + 1),
                    Ended::Early => early += 1,
                }
            }
            if progress == 0 {
                report.early = early;
                return Ok(report);
            }
        }
    }

    async fn send_one(
        &self,
        client: &Client,
        signer: &SecretKey,
        number: u64,
        issuings: &Issuings,
        patience: Duration,
    ) -> Result<Ended, Error> {
        let place = self.place(number);
        let Some(kept) = read::<Kept>(&place)? else { return Ok(Ended::Sent) };
        let (begun, mut pause) = (Instant::now(), PAUSE);
        let mut register = kept.acts.register.clone();
        loop {
            let error = match self.try_one(client, signer, &kept, &register, issuings).await {
                Ok(fate) => {
                    self.end(&kept, &place, fate)?;
                    return Ok(Ended::Sent);
                }
                Err(error) => error,
            };
            match error.verdict() {
                Verdict::Registered if !register.is_empty() && begun.elapsed() < patience => {
                    let before = register.len();
                    for alias in std::mem::take(&mut register) {
                        if !client.is_registered(alias).await? {
                            register.push(alias);
                        }
                    }
                    if register.len() == before {
                        // The node that was asked is a block behind the one that refused.
                        tokio::time::sleep(pause).await;
                    }
                }
                Verdict::Early => return Ok(Ended::Early),
                Verdict::Passing if begun.elapsed() < patience => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Verdict::Registered if !register.is_empty() => return Err(error),
                Verdict::Passing | Verdict::Fatal => return Err(error),
                Verdict::Taken | Verdict::Registered | Verdict::Content => {
                    let (code, reason) = (error.code().to_owned(), error.to_string());
                    self.end(&kept, &place, Fate::Refused { code, reason })?;
                    return Ok(Ended::Refused);
                }
            }
        }
    }

    async fn try_one(
        &self,
        client: &Client,
        signer: &SecretKey,
        kept: &Kept,
        register: &[SubjectId],
        issuings: &Issuings,
    ) -> Result<Fate, Error> {
        let issuing = {
            let mut known = issuings.lock().await;
            let key = (kept.schema.clone(), kept.schema_version);
            match known.get(&key) {
                Some(issuing) => issuing.clone(),
                None => {
                    let issuing = client.issuing(&kept.schema, kept.schema_version).await?;
                    known.insert(key, issuing.clone());
                    issuing
                }
            }
        };
        let secret = signer.seed();
        let of_name = domain_hash("vouch/outbox-id/1", &[secret, kept.name.as_bytes(), &kept.attempt.to_be_bytes()]);
        let mut chosen = [0; 10];
        chosen.copy_from_slice(&of_name.0[..10]);
        let id = DocumentId::issued(issuing.member(), chosen);
        let mut files = Vec::with_capacity(kept.files.len());
        let mut content = json(kept)?;
        for file in &kept.files {
            let hash = hash_of(file.path.clone()).await?;
            content.push_str(&hash.to_string());
            files.push(DraftFile::from_path(&file.field, &file.path, &file.media)?.named(&file.name).of_content(hash));
        }
        let draft = DocumentDraft {
            schema: kept.schema.clone(),
            schema_version: Some(issuing.schema().version),
            values: kept.values.clone(),
            parties: kept.parties.clone(),
            references: kept.references.clone(),
            public: kept.public.clone(),
            recipients: kept.recipients.clone(),
            files,
        };
        let order = Order {
            id,
            seed: domain_hash("vouch/outbox-seed/1", &[secret, id.as_bytes(), content.as_bytes()]).0,
            register: register.to_vec(),
            sign: kept.acts.sign,
            sign_for: kept.acts.sign_for.clone(),
        };
        match client.submit_ordered(&issuing, &draft, &order, signer).await {
            Ok(done) => Ok(Fate::Sent { id, transaction: Some(done.transaction), height: Some(done.height) }),
            Err(error) if error.verdict() == Verdict::Taken => {
                match client.ordered_is_there(&issuing, &draft, &order).await? {
                    Some(true) => Ok(Fate::Sent { id, transaction: None, height: None }),
                    // The node that was asked is a block behind the one that refused.
                    None if error.code() != "stage.taken" => {
                        Err(Error::Timeout(format!("document {id} is not known yet")))
                    }
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    fn end(&self, kept: &Kept, place: &Path, fate: Fate) -> Result<(), Error> {
        let known = Known { content: content_of(kept)?, attempt: kept.attempt, fate };
        self.note(&kept.name, &known)?;
        fs::remove_file(place).map_err(|error| Error::file_io(place, error))
    }

    fn place(&self, number: u64) -> PathBuf {
        self.folder.join("waiting").join(format!("{number:016}.json"))
    }

    /// Numbers of what waits, ascending.
    fn waiting(&self) -> Result<Vec<u64>, Error> {
        let folder = self.folder.join("waiting");
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|error| Error::file_io(&folder, error))? {
            let name = entry.map_err(|error| Error::file_io(&folder, error))?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn known_place(&self, name: &str) -> PathBuf {
        let hash = domain_hash("vouch/outbox-name/1", &[name.as_bytes()]);
        self.folder.join("known").join(format!("{hash}.json"))
    }

    fn known(&self, name: &str) -> Result<Option<Known>, Error> {
        read(&self.known_place(name))
    }

    fn note(&self, name: &str, known: &Known) -> Result<(), Error> {
        write(&self.known_place(name), known)
    }
}

fn kept(name: &str, draft: &DocumentDraft, acts: &Acts) -> Result<Kept, Error> {
    let file = |file: &DraftFile| {
        let path = file.path().ok_or_else(|| Error::Construction(format!("the file {} is a stream", file.name)))?;
        let path = path.canonicalize().map_err(|error| Error::file_io(path, error))?;
        Ok(KeptFile { field: file.field.clone(), path, name: file.name.clone(), media: file.media.clone() })
    };
    Ok(Kept {
        name: name.to_owned(),
        attempt: 0,
        schema: draft.schema.clone(),
        schema_version: draft.schema_version,
        values: draft.values.clone(),
        parties: draft.parties.clone(),
        references: draft.references.clone(),
        public: draft.public.clone(),
        recipients: draft.recipients.clone(),
        files: draft.files.iter().map(file).collect::<Result<_, Error>>()?,
        acts: acts.clone(),
    })
}

/// Of a draft, however often one was refused under its name.
fn content_of(kept: &Kept) -> Result<Hash32, Error> {
    let same = Kept { attempt: 0, ..kept.clone() };
    Ok(domain_hash("vouch/outbox-content/1", &[json(&same)?.as_bytes()]))
}

async fn hash_of(path: PathBuf) -> Result<Hash32, Error> {
    let hash = move || vouch_files::hash(&path).map(Hash32).map_err(|error| Error::file_io(&path, error));
    tokio::task::spawn_blocking(hash).await.map_err(|error| Error::Configuration(error.to_string()))?
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Construction(error.to_string()))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::file_io(path, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file_io(path, error)),
    }
}

/// Whole or not at all, and there after a loss of power.
fn write(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = json(value)?;
    let part = path.with_extension("part");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, path))
        .and_then(|()| File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all());
    written.map_err(|error| Error::file_io(path, error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn draft(value: &str) -> DocumentDraft {
        let Value::Object(values) = json!({ "name": value }) else { panic!("an object") };
        DocumentDraft { schema: "s".into(), values, ..DocumentDraft::default() }
    }

    #[test]
    fn a_name_is_one_document_and_survives_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let acts = Acts::default();
        {
            let outbox = Outbox::open(folder.path()).unwrap();
            assert_eq!(outbox.put("1", &draft("a"), &acts).unwrap(), Fate::Waiting);
            assert_eq!(outbox.put("1", &draft("a"), &acts).unwrap(), Fate::Waiting);
            assert_eq!(outbox.put("1", &draft("b"), &acts).unwrap_err().code(), "outbox.changed");
            assert_eq!(outbox.put("2", &draft("a"), &acts).unwrap(), Fate::Waiting);
            assert_eq!(Outbox::open(folder.path()).unwrap_err().code(), "outbox.busy");
        }
        let outbox = Outbox::open(folder.path()).unwrap();
        assert_eq!((outbox.len().unwrap(), outbox.fate("3").unwrap()), (2, None));
        outbox.put("3", &draft("c"), &acts).unwrap();
        assert_eq!(outbox.waiting().unwrap().len(), 3);
        // What was refused may be put again, corrected, as another document.
        let place = outbox.place(outbox.waiting().unwrap()[0]);
        let kept: Kept = read(&place).unwrap().unwrap();
        outbox.end(&kept, &place, Fate::Refused { code: "x".into(), reason: String::new() }).unwrap();
        assert!(matches!(outbox.put("1", &draft("a"), &acts).unwrap(), Fate::Refused { .. }));
        assert_eq!(outbox.put("1", &draft("b"), &acts).unwrap(), Fate::Waiting);
        let last = outbox.place(*outbox.waiting().unwrap().last().unwrap());
        assert_eq!(read::<Kept>(&last).unwrap().unwrap().attempt, 1);
    }

    /// A name that was put when the program was killed is as taken as any other.
    #[test]
    fn what_a_kill_left_half_noted_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let acts = Acts::default();
        {
            let outbox = Outbox::open(folder.path()).unwrap();
            outbox.put("1", &draft("a"), &acts).unwrap();
            fs::remove_file(outbox.known_place("1")).unwrap();
        }
        let outbox = Outbox::open(folder.path()).unwrap();
        assert_eq!(outbox.fate("1").unwrap(), Some(Fate::Waiting));
        assert_eq!(outbox.put("1", &draft("b"), &acts).unwrap_err().code(), "outbox.changed");
        assert_eq!((outbox.put("1", &draft("a"), &acts).unwrap(), outbox.len().unwrap()), (Fate::Waiting, 1));
    }

    #[test]
    fn a_name_that_many_put_at_once_waits_once() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(folder.path()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for name in 0..20 {
                        outbox.put(&name.to_string(), &draft("a"), &Acts::default()).unwrap();
                    }
                });
            }
        });
        assert_eq!(outbox.len().unwrap(), 20);
    }
}
