//! A queue of documents on the disk: put there at any time, sent when a node can be reached, each once, whatever is killed when.
//!
//! ```text
//! put(name, draft) --durable--> waiting/NUMBER.json --some at a time--> known/HASH.json: sent, with transaction and height
//!                                                    '--refused--> known/HASH.json: refused, with the code; put it again, corrected
//! ```
//!
//! Ids and salts follow from the account's key, the name and the content: sending again after a crash is sending the same, and a
//! lost folder costs work, not a second document. What is in files is a part of the content; the files themselves stay where they
//! are. What waits lies there in plain text, for its owner only.

mod content;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;
use vouch_files::Draft;
use vouch_types::{Hash32, Height, SecretKey, SubjectId, TxId, document::DocumentId, hash::domain_hash};

use self::content::{Kept, OF_FILE, content_of, id_of, json, kept, made};
use crate::{Client, DocumentDraft, Error, Issuing, error::Verdict};

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
    /// Node or contract refuse its content, or one of its files is not there as it was put.
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
        let waiting = outbox.waiting()?;
        *outbox.hold() = waiting.last().copied().unwrap_or(0);
        outbox.recover(&waiting)?;
        Ok(outbox)
    }

    /// Ends what the program that had the queue before was killed in the middle of. After it each name waits once at most, and
    /// what waits is noted.
    fn recover(&self, waiting: &[u64]) -> Result<(), Error> {
        let mut names = BTreeSet::new();
        for number in waiting {
            let place = self.place(*number);
            let Some(kept) = read::<Kept>(&place)? else { continue };
            let content = content_of(&kept)?;
            let known = self.known(&kept.name)?;
            let waits = match known {
                Some(known) if kept.attempt < known.attempt => false,
                Some(known) if kept.attempt == known.attempt => {
                    known.fate == Fate::Waiting && !names.contains(&kept.name)
                }
                // It was put, and not noted yet.
                _ => {
                    self.note(&kept.name, &Known { content, attempt: kept.attempt, fate: Fate::Waiting })?;
                    true
                }
            };
            if waits {
                names.insert(kept.name);
            } else {
                // It ended, and was not removed yet; or the removal did not survive a loss of power.
                remove(&place)?;
            }
        }
        Ok(())
    }

    /// Held while what is known of a name is looked at and changed. It is whole whatever panicked.
    fn hold(&self) -> MutexGuard<'_, u64> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a document into the queue; when this returns it is on the disk. The name is the business system's own for it: the
    /// same name is the same document, however often it is put. Returns what became of it so far. Files are read to their end: what
    /// is in them is what is sent, or nothing is. What was refused waits again when it is put with another content, or with the
    /// same if a file was at fault.
    ///
    /// # Errors
    /// `outbox.changed` when another content waits or was sent under this name: send that as a new version
    /// ([`Client::revise_document`]); [`Error::Construction`] for files that are streams; `document.file_io`.
    pub fn put(&self, name: &str, draft: &DocumentDraft, acts: &Acts) -> Result<Fate, Error> {
        let mut kept = kept(name, draft, acts)?;
        let content = content_of(&kept)?;
        let mut last = self.hold();
        if let Some(known) = self.known(name)? {
            let is_same = known.content == content;
            kept.attempt = match known.fate {
                Fate::Refused { code, .. } if is_same && code == OF_FILE => known.attempt,
                fate if is_same => return Ok(fate),
                Fate::Refused { .. } => known.attempt.saturating_add(1),
                Fate::Waiting | Fate::Sent { .. } => {
                    let reason = format!("another content was put under the name {name:?}");
                    return Err(Error::File { code: "outbox.changed", path: self.folder.clone(), reason });
                }
            };
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
                    match unregistered(client, &register).await {
                        Ok(left) if left.len() < register.len() => register = left,
                        // The node that was asked is a block behind the one that refused.
                        Ok(_) => tokio::time::sleep(pause).await,
                        Err(error) if error.verdict() == Verdict::Passing => tokio::time::sleep(pause).await,
                        Err(error) => return Err(error),
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
        let issuing = issuing_of(client, kept, kept.schema_version, issuings).await?;
        let id = id_of(kept, issuing.member(), signer);
        let end = sent(client, signer, kept, (id, register), &issuing, issuings).await;
        let lacks_file = end.as_ref().is_err_and(|error| error.code() == OF_FILE);
        // It may be on the chain since a try of which nothing was heard, and what is under its id is nobody else's.
        if lacks_file && client.document_version(id, 1).await?.is_some() {
            return Ok(Fate::Sent { id, transaction: None, height: None });
        }
        end
    }

    fn end(&self, kept: &Kept, place: &Path, fate: Fate) -> Result<(), Error> {
        let _held = self.hold();
        let waits =
            self.known(&kept.name)?.is_none_or(|known| (known.attempt, known.fate) == (kept.attempt, Fate::Waiting));
        // Sent twice at a time, it has ended already.
        if waits {
            let known = Known { content: content_of(kept)?, attempt: kept.attempt, fate };
            self.note(&kept.name, &known)?;
        }
        remove(place)
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

/// What documents of a schema have in common; of its newest version when none is named.
async fn issuing_of(client: &Client, kept: &Kept, version: Option<u32>, issuings: &Issuings) -> Result<Issuing, Error> {
    let mut known = issuings.lock().await;
    let key = (kept.schema.clone(), version);
    if let Some(issuing) = known.get(&key) {
        return Ok(issuing.clone());
    }
    let issuing = client.issuing(&kept.schema, version).await?;
    known.insert(key, issuing.clone());
    Ok(issuing)
}

/// Sends what was put under an id, once; or finds that it is there.
async fn sent(
    client: &Client,
    signer: &SecretKey,
    kept: &Kept,
    (id, register): (DocumentId, &[SubjectId]),
    issuing: &Issuing,
    issuings: &Issuings,
) -> Result<Fate, Error> {
    let document = made(kept, issuing, register, id, signer).await?;
    let error = match client.submit_ordered(issuing, &document.draft, &document.order, signer).await {
        Ok(done) => return Ok(Fate::Sent { id, transaction: Some(done.transaction), height: Some(done.height) }),
        Err(error) if error.verdict() == Verdict::Taken => error,
        Err(error) => return Err(error),
    };
    let Some(there) = client.document_version(id, 1).await? else {
        // The node that was asked is a block behind the one that refused.
        let is_behind = error.code() != "stage.taken";
        return Err(if is_behind { Error::Timeout(format!("document {id} is not known yet")) } else { error });
    };
    // The schema may have a newer version since it was sent.
    let issuing = issuing_of(client, kept, Some(there.content.schema_version), issuings).await?;
    let document = made(kept, &issuing, register, id, signer).await?;
    match client.ordered_is_there(&issuing, &document.draft, &document.order).await? {
        Some(true) => Ok(Fate::Sent { id, transaction: None, height: None }),
        _ => Err(error),
    }
}

/// Those of some persons who are not registered.
async fn unregistered(client: &Client, register: &[SubjectId]) -> Result<Vec<SubjectId>, Error> {
    let mut left = Vec::with_capacity(register.len());
    for alias in register {
        if !client.is_registered(*alias).await? {
            left.push(*alias);
        }
    }
    Ok(left)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::file_io(path, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file_io(path, error)),
    }
}

/// What is not there is as good as removed.
fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file_io(path, error)),
        _ => Ok(()),
    }
}

/// Whole or not at all, and there after a loss of power.
fn write(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = json(value)?;
    // The queue's folder is one program's, and a name is written by one thread at a time.
    let mut draft = Draft::alone(path).map_err(|error| Error::file_io(path, error))?;
    draft.write_all(text.as_bytes()).and_then(|()| draft.keep()).map_err(|error| Error::file_io(path, error))
}

#[cfg(test)]
mod tests;
