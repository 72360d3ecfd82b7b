//! A business system beside a node: takes records from a folder, submits them, hears who rejects them and why, sends what was
//! corrected as a new version, and keeps evidence of what was accepted.
//!
//! ```text
//! FOLDER/inbox/NAME.json --submit, or revise--> chain --Judged--> accepted: FOLDER/evidence/NAME.vouch.zip, verified
//!         ^------- a person corrects it <-- FOLDER/rejected/NAME.json <--'  rejected, or refused at once
//! ```
//!
//! `FOLDER/sent` and `FOLDER/cursor` are what it knows, and a record lies in `FOLDER/taken` while it is sent. All of it is written before
//! what it is about is done, so the system may be killed and started again at any point: a record becomes one document, and what was
//! corrected one version. It ends when the inbox is empty and everything is accepted.
//!
//! Usage: `business_system FOLDER`, with `VOUCH_NODE` (addresses of the own member's nodes, parted by commas), `VOUCH_CA` (PEM file),
//! `VOUCH_CHAIN` (the chain's id), `VOUCH_KEY` (key file of a service account), `PURPOSE` (a code of the schema for the evidence).

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs::{self, File},
    io::{BufReader, ErrorKind, Read, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use futures::StreamExt as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use vouch_privacy::evidence::{FilePart, verify};
use vouch_sdk::{
    Client, ClientConfig, DocumentDraft, EventsRequest, EvidenceRequest, Identity, Resumption, SubmitOptions, keystore,
};
use vouch_types::{
    ChainId, ContractName, SecretKey, TimestampMs,
    api::{Cursor, FeedItem},
    decode,
    document::{self, Party, PartyEntry, ReferenceEntry, event::Judged},
};

type Failure = Box<dyn Error + Send + Sync>;

/// Between two looks into the inbox.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A record as the system's users keep it.
#[derive(Deserialize)]
struct Record {
    schema: String,
    values: Map<String, Value>,
    /// Members by role.
    parties: BTreeMap<String, String>,
    #[serde(default)]
    references: Vec<ReferenceEntry>,
}

impl Record {
    fn draft(&self) -> DocumentDraft {
        let parties = self.parties.iter();
        DocumentDraft {
            schema: self.schema.clone(),
            values: self.values.clone(),
            parties: parties
                .map(|(role, member)| PartyEntry { role: role.clone(), party: Party::member(member) })
                .collect(),
            references: self.references.clone(),
            ..DocumentDraft::default()
        }
    }
}

/// What the system knows of a record that it has begun to send.
#[derive(Clone, Serialize, Deserialize)]
struct Sent {
    /// Which document and version it is; kept from the first try on.
    resumption: Resumption,
    version: u32,
    /// Whether it is on the chain.
    is_final: bool,
    /// Whether somebody accepted it, and the evidence is kept.
    is_accepted: bool,
}

/// One system.
struct System {
    folder: PathBuf,
    client: Client,
    key: SecretKey,
    chain: ChainId,
    member: String,
    purpose: String,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let system = System::open().await?;
    let mut items = system.client.events(EventsRequest {
        after: Some(system.cursor().await?),
        contract: Some(ContractName::new(document::CONTRACT)?),
        name: Some("Judged".into()),
        tx: None,
    });
    while !system.is_done()? {
        system.take_inbox().await?;
        tokio::select! {
            item = items.next() => {
                let (cursor, item) = item.ok_or("the feed ended")??;
                if let FeedItem::Event { event, .. } = item {
                    let judged = decode("event", &event.data.0, document::RECORD_BYTES_MAX)?;
                    system.hear(&judged).await?;
                }
                system.write("cursor", &cursor)?;
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    println!("everything is accepted; the evidence is in {}", system.folder.join("evidence").display());
    Ok(())
}

impl System {
    async fn open() -> Result<Self, Failure> {
        let folder = PathBuf::from(env::args_os().nth(1).ok_or("usage: business_system FOLDER")?);
        let named = |name: &str| env::var(name).map_err(|_| format!("{name} is not set"));
        for part in ["inbox", "taken", "rejected", "sent", "evidence"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let key = keystore::load(Path::new(&named("VOUCH_KEY")?), None)?;
        let chain: ChainId = named("VOUCH_CHAIN")?.parse()?;
        let mut config = ClientConfig::of_nodes(named("VOUCH_NODE")?.split(','));
        config.ca_pem = Some(fs::read(named("VOUCH_CA")?)?);
        config.chain = Some(chain);
        config.identity = Some(Identity::new(SecretKey::from_seed(*key.seed())));
        let client = config.build()?;
        let member = client.account().await?.node_member;
        Ok(Self { folder, client, key, chain, member, purpose: named("PURPOSE")? })
    }

    /// Where it stopped to listen; at the beginning the chain's head.
    async fn cursor(&self) -> Result<Cursor, Failure> {
        if let Some(cursor) = self.read("cursor")? {
            return Ok(cursor);
        }
        let height = self.client.block(None).await?.summary.height;
        let cursor = Cursor { height, index: 0 };
        self.write("cursor", &cursor)?;
        Ok(cursor)
    }

    /// Sends what lies in the inbox, one after the other, and first what a run that was killed had taken from there.
    async fn take_inbox(&self) -> Result<(), Failure> {
        let taken = self.list("taken")?;
        for path in taken.into_iter().chain(self.list("inbox")?) {
            let name = path.file_name().ok_or("a file without a name")?.to_string_lossy().into_owned();
            let text = fs::read(&path)?;
            let before = match serde_json::from_slice::<Record>(&text) {
                Ok(record) => self.send(&path, &name, &record).await,
                Err(error) => Err(vouch_sdk::Error::Construction(error.to_string())),
            };
            match before {
                Ok(()) => println!("{name} is on the chain"),
                // No node answers: it stays where it is.
                Err(error) if error.code().starts_with("client.") => {
                    println!("{name} waits: {error}");
                    return Ok(());
                }
                Err(error) => {
                    self.forget(&name)?;
                    self.reject(&name, &self.member, error.code(), &error.to_string())?;
                }
            }
            let taken = self.folder.join("taken").join(&name);
            fs::remove_file(if taken.exists() { taken } else { path })?;
        }
        Ok(())
    }

    /// Submits a record, or what was corrected in it; the same after every kill.
    async fn send(&self, path: &Path, name: &str, record: &Record) -> Result<(), vouch_sdk::Error> {
        let failed = |error: Failure| vouch_sdk::Error::Configuration(error.to_string());
        let (place, taken) = (format!("sent/{name}"), self.folder.join("taken").join(name));
        let known: Option<Sent> = self.read(&place).map_err(failed)?;
        let mut sent = match known {
            None => {
                let resumption = Resumption::new(&self.member)?;
                Sent { resumption, version: 1, is_final: false, is_accepted: false }
            }
            // It was on the chain when the run that had taken it was killed.
            Some(sent) if sent.is_final && path == taken => return Ok(()),
            Some(sent) if sent.is_final => {
                let resumption = Resumption::of_document(sent.resumption.document)?;
                Sent { resumption, version: sent.version + 1, is_final: false, is_accepted: false }
            }
            // It was under way: the same salts make the same document of it.
            Some(sent) => sent,
        };
        self.write(&place, &sent).map_err(failed)?;
        fs::rename(path, &taken).map_err(|error| failed(error.into()))?;
        if let Err(error) = self.put(&sent, &record.draft()).await {
            // What the run before had sent may have become final meanwhile.
            if !self.is_there(&sent).await? {
                return Err(error);
            }
        }
        sent.is_final = true;
        self.write(&place, &sent).map_err(failed)
    }

    async fn put(&self, sent: &Sent, draft: &DocumentDraft) -> Result<(), vouch_sdk::Error> {
        if self.is_there(sent).await? {
            return Ok(());
        }
        let (id, follows) = (sent.resumption.document, sent.version.checked_sub(1).filter(|version| *version > 0));
        let options = SubmitOptions { resumption: Some(sent.resumption.clone()), follows, ..SubmitOptions::default() };
        match follows {
            None => self.client.submit_document_with(draft, &self.key, &options).await,
            Some(_) => self.client.revise_document_with(id, draft, &self.key, &options).await,
        }
        .map(|_| ())
    }

    /// Whether a version is on the chain; nobody else makes versions of the document.
    async fn is_there(&self, sent: &Sent) -> Result<bool, vouch_sdk::Error> {
        Ok(self.client.document_version(sent.resumption.document, sent.version).await?.is_some())
    }

    /// What was refused at once leaves no trace: what is corrected is another content, and gets salts of its own.
    fn forget(&self, name: &str) -> Result<(), Failure> {
        let place = format!("sent/{name}");
        match self.read::<Sent>(&place)? {
            Some(sent) if !sent.is_final && sent.version > 1 => {
                self.write(&place, &Sent { version: sent.version - 1, is_final: true, ..sent })
            }
            Some(sent) if !sent.is_final => Ok(fs::remove_file(self.folder.join(place))?),
            _ => Ok(()),
        }
    }

    /// Somebody judged a version.
    async fn hear(&self, judged: &Judged) -> Result<(), Failure> {
        for path in self.list("sent")? {
            let name = path.file_name().ok_or("a file without a name")?.to_string_lossy().into_owned();
            let place = format!("sent/{name}");
            let Some(sent) = self.read::<Sent>(&place)? else { continue };
            if (sent.resumption.document, sent.version) != (judged.id, judged.version) || sent.is_accepted {
                continue;
            }
            if judged.accepted {
                self.keep_evidence(&name, &sent).await?;
                self.write(&place, &Sent { is_accepted: true, is_final: true, ..sent })?;
                println!("{name} is accepted by {}", judged.member);
            } else {
                self.reject(&name, &judged.member, &judged.code, "the content is rejected")?;
            }
        }
        Ok(())
    }

    /// Fetches what proves the record, and checks it as somebody without a node would.
    async fn keep_evidence(&self, name: &str, sent: &Sent) -> Result<(), Failure> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
        let request = EvidenceRequest {
            id: sent.resumption.document,
            version: sent.version,
            fields: None,
            related: true,
            purpose: self.purpose.clone(),
            statement: format!("record {name}"),
            audit: None,
            signer: self.key.public(),
            at: TimestampMs(u64::try_from(now)?),
        };
        let package = self.client.export_evidence(&request).await?;
        let path = self.folder.join("evidence").join(name).with_extension("vouch.zip");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        let mut no_files = |_: FilePart| -> std::io::Result<Box<dyn Read>> { Err(ErrorKind::NotFound.into()) };
        package.write(file, &self.key, &mut no_files, None)?;
        let report = verify(BufReader::new(File::open(&path)?), Some(self.chain))?;
        println!("{} proves {} documents", path.display(), report.documents.len());
        Ok(())
    }

    /// For a person to correct: the record goes into the inbox again under the same name.
    fn reject(&self, name: &str, by: &str, code: &str, reason: &str) -> Result<(), Failure> {
        println!("{name} is rejected by {by}: {code}");
        self.write(&format!("rejected/{name}"), &json!({ "by": by, "code": code, "reason": reason }))
    }

    /// Nothing to send, and everything that was sent is accepted.
    fn is_done(&self) -> Result<bool, Failure> {
        let mut sent = Vec::new();
        for path in self.list("sent")? {
            let name = path.file_name().ok_or("a file without a name")?.to_string_lossy().into_owned();
            sent.extend(self.read::<Sent>(&format!("sent/{name}"))?);
        }
        let is_empty = self.list("inbox")?.is_empty() && self.list("taken")?.is_empty();
        Ok(is_empty && !sent.is_empty() && sent.iter().all(|sent| sent.is_accepted))
    }

    /// Files of a folder by name; what is being written begins with a point.
    fn list(&self, part: &str) -> Result<Vec<PathBuf>, Failure> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(self.folder.join(part))? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with('.') {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn read<T: DeserializeOwned>(&self, place: &str) -> Result<Option<T>, Failure> {
        match fs::read(self.folder.join(place)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whole or not at all.
    fn write(&self, place: &str, value: &impl Serialize) -> Result<(), Failure> {
        let path = self.folder.join(place);
        let name = path.file_name().ok_or("a file without a name")?.to_string_lossy().into_owned();
        let part = path.with_file_name(format!(".{name}"));
        let mut file = File::create(&part)?;
        file.write_all(serde_json::to_string_pretty(value)?.as_bytes())?;
        file.sync_all()?;
        Ok(fs::rename(&part, &path)?)
    }
}
