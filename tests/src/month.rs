//! A month of business over a network of four members: schemas and relationships, the files, the commands that uplink them, and
//! the signatures that go between.
//!
//! ```text
//! found --> Month::write --> for each step: arguments --> `vouch doc uplink`; behind the first, sign for both clients
//! ```

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use vouch_sdk::Client;
use vouch_types::{
    api::OutcomeView,
    document::{Document, DocumentId, Party},
};

use crate::cluster::{Cluster, until};

/// The members by the positions of their nodes.
pub const MEMBERS: [&str; 4] = ["platform", "institution", "enterprise", "regulator"];
/// Those who sign contracts as clients, by position.
pub const CLIENTS: [usize; 2] = [0, 2];
/// Calls of a transaction at most.
const CALLS: usize = 16;
/// Documents of a page.
const PAGE: u32 = 50;
/// Until all nodes know what is final.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command of a member says as JSON.
///
/// # Errors
/// When it fails.
pub async fn said(cluster: &Cluster, member: usize, arguments: &[&str]) -> Result<Value> {
    cluster.vouch(member, &[&["--json"], arguments].concat()).await?.success()?.json()
}

/// Registers the sample schemas, and whom the institution serves and the regulator regulates.
///
/// # Errors
/// When a command fails.
pub async fn found(cluster: &Cluster) -> Result<()> {
    let (dir, contracts) = (cluster.dir().display().to_string(), cluster.program.contracts.display().to_string());
    said(cluster, 0, &["dev", "schemas", "--dir", &dir, "--contracts", &contracts]).await?;
    let key = |member: usize| cluster.account_path(member);
    for served in CLIENTS {
        let begin = ["relation", "begin", "serves", MEMBERS[1], MEMBERS[served], "--key", &key(1)];
        let number = said(cluster, 1, &begin).await?["output_value"].to_string();
        said(cluster, served, &["relation", "accept", &number, "--key", &key(served)]).await?;
    }
    said(cluster, 3, &["relation", "begin", "regulates", MEMBERS[3], "everyone", "--key", &key(3)]).await?;
    Ok(())
}

/// One step: the files of one member.
#[derive(Debug, Clone)]
pub struct Step {
    /// The folder below the month's.
    pub folder: String,
    /// Who uplinks it, by position.
    pub member: usize,
    /// Documents in it.
    pub documents: u64,
}

/// A month as files.
#[derive(Debug, Clone)]
pub struct Month {
    /// Where it is.
    pub folder: PathBuf,
    /// In the order in which they are uplinked.
    pub steps: Vec<Step>,
}

impl Month {
    /// Writes one of so many documents into the network's folder.
    ///
    /// # Errors
    /// When the command fails or says something else.
    pub async fn write(cluster: &Cluster, documents: u64, seed: u64) -> Result<Self> {
        let folder = cluster.scratch("month");
        let (count, seed, out) = (documents.to_string(), seed.to_string(), folder.display().to_string());
        let made = said(cluster, 0, &["dev", "month", "--out", &out, "--documents", &count, "--seed", &seed]).await?;
        ensure!(made["documents"] == documents, "a month of other than {documents} documents: {made}");
        let step = |step: &Value| {
            Some(Step {
                folder: step["folder"].as_str()?.to_owned(),
                member: MEMBERS.iter().position(|name| step["member"] == **name)?,
                documents: step["documents"].as_u64()?,
            })
        };
        let steps = made["steps"].as_array().and_then(|steps| steps.iter().map(step).collect());
        Ok(Self { folder, steps: steps.context("the steps of a month")? })
    }

    /// The folder of a step.
    #[must_use]
    pub fn path(&self, step: usize) -> PathBuf {
        self.folder.join(&self.steps[step].folder)
    }

    /// The command for a source of a step, as its member runs it.
    #[must_use]
    pub fn arguments(&self, cluster: &Cluster, step: usize, source: &Path) -> Vec<String> {
        let Step { folder, member, .. } = &self.steps[step];
        let numbers = |folder: &str| cluster.scratch(&format!("{folder}.numbers.csv"));
        let mut all: Vec<String> =
            ["--json", "doc", "uplink", &source.display().to_string(), "--yes", "--new-key"].map(str::to_owned).into();
        let mut add = |name: &str, path: &Path| all.extend([name.to_owned(), path.display().to_string()]);
        add("--mapping", &self.path(step).join("mapping.toml"));
        add("--state", &state(cluster, *member));
        add("--key", Path::new(&cluster.account_path(*member)));
        add("--home", &cluster.home(*member));
        add("--numbers-out", &numbers(folder));
        for other in self.steps[..step].iter().filter(|other| other.member != *member) {
            add("--numbers", &numbers(&other.folder));
        }
        all
    }
}

/// Where a member's uplinks keep their journal and key.
#[must_use]
pub fn state(cluster: &Cluster, member: usize) -> PathBuf {
    cluster.scratch(&format!("state-{member}"))
}

/// Every document of the chain.
///
/// # Errors
/// When a node does not answer.
pub async fn all_documents(client: &Client) -> Result<Vec<Document>> {
    let mut ids: Vec<DocumentId> = Vec::new();
    loop {
        let page = client.documents(ids.len() as u64, PAGE).await?;
        if page.is_empty() {
            break;
        }
        ids.extend(page.iter().map(|entry| entry.document.id));
    }
    let mut documents = Vec::new();
    for id in ids {
        documents.push(client.document(id).await?.context("a document that is listed")?);
    }
    Ok(documents)
}

/// Every document, once a node knows as many: what is final at one is so at the next a moment later.
///
/// # Errors
/// When it does not in time.
pub async fn as_many(client: &Client, count: u64) -> Result<Vec<Document>> {
    until(&format!("{count} documents are known"), PATIENCE, async || {
        let is_there = count == 0 || !client.documents(count - 1, 1).await?.is_empty();
        Ok(if is_there { Some(all_documents(client).await?) } else { None })
    })
    .await
}

/// Signs for a client what waits for it among the first documents; how many that were.
///
/// # Errors
/// When the chain refuses a signature.
pub async fn sign(cluster: &Cluster, member: usize, documents: u64) -> Result<usize> {
    let (client, key) = (cluster.client(member)?, cluster.account(member)?);
    let own = Party::member(MEMBERS[member]);
    let mut waiting = Vec::new();
    for document in as_many(&client, documents).await? {
        if document.schema != "service-contract" || document.effective.is_some() {
            continue;
        }
        let version = client.document_version(document.id, 1).await?.context("a version")?;
        if version.content.parties.iter().any(|entry| entry.role == "client" && entry.party == own) {
            waiting.push(document.id);
        }
    }
    for ids in waiting.chunks(CALLS) {
        let mut builder = client.transaction_builder().await?;
        for id in ids {
            builder = builder.sign_document(*id, 1);
        }
        let view = cluster.submit(member, &builder.sign(&[&key])?).await?;
        ensure!(view.receipt.outcome == OutcomeView::Success, "a signature is refused: {:?}", view.receipt.outcome);
    }
    Ok(waiting.len())
}
