//! Holders that are away, lose their disk, lie or are slow: how long after it has healed until every entitled member has
//! everything, and whether it reads what was submitted.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value};
use vouch_sdk::DocumentDraft;
use vouch_types::{
    SubjectId,
    document::{DocumentId, Party, PartyEntry},
    relation::RelationKind,
};

use super::{Figure, Scale};
use crate::{
    cluster::{Options, Signal, until},
    private::{Desk, House, Manner, Records, StandIn, sample_schema},
};

/// Longest wait for full possession.
const PATIENCE: Duration = Duration::from_secs(300);
/// Documents submitted, read or asked for at a time.
const AT_A_TIME: usize = 24;
/// Within this time of healing everyone is to hold everything.
const FULL_MS_MAX: f64 = 60_000.0;
/// A slow holder stands still for so long, then runs for so long.
const STANDS: Duration = Duration::from_millis(400);
const RUNS: Duration = Duration::from_millis(100);

/// Members in the order of the plan; all of them are entitled, the institution is the issuer.
const PLATFORM: usize = 0;
const INSTITUTION: usize = 1;
const ENTERPRISE: usize = 2;
const REGULATOR: usize = 3;
/// What each may state as purpose.
const PURPOSES: [(usize, &str); 4] =
    [(PLATFORM, "verification"), (INSTITUTION, "verification"), (ENTERPRISE, "service"), (REGULATOR, "supervision")];

/// A document and what was put into it.
type Kept = (DocumentId, Map<String, Value>);

/// What came of one case.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the holder did.
    pub case: &'static str,
    /// Documents it was to get.
    pub documents: usize,
    /// From healing until everyone held everything.
    pub full_ms: f64,
    /// Readings that were refused or differ.
    pub misread: usize,
}

/// A network in which one holder after the other fails.
#[derive(Debug)]
pub struct Holders {
    house: House,
    person: SubjectId,
    seed: u64,
    all: Vec<Kept>,
}

/// Submits so many documents; the desks take turns.
async fn publish(desks: Vec<Desk>, person: SubjectId, seeds: std::ops::Range<u64>) -> Result<Vec<Kept>> {
    let definition = sample_schema("worker-identity");
    let submitted = seeds.map(|seed| {
        let values = Records::new(seed).record(&definition);
        let draft = DocumentDraft {
            schema: "worker-identity".into(),
            values: values.clone(),
            parties: vec![PartyEntry { role: "worker".into(), party: Party::subject(person) }],
            ..DocumentDraft::default()
        };
        let desk = desks[seed as usize % desks.len()].clone();
        async move { Ok::<_, anyhow::Error>((desk.submit(&draft).await?.id, values)) }
    });
    stream::iter(submitted).buffer_unordered(AT_A_TIME).try_collect().await
}

impl Holders {
    /// A network of four members, all entitled to one person's documents.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn open() -> Result<Self> {
        let house = House::open(Options { accounts: 16, idle_interval_ms: 1_000, ..Options::default() }).await?;
        let person = SubjectId(rand::random());
        house.register_persons(INSTITUTION, &[person]).await?;
        house.relate(RelationKind::Serves, PLATFORM, Party::subject(person), INSTITUTION).await?;
        house.relate(RelationKind::Receives, ENTERPRISE, Party::subject(person), INSTITUTION).await?;
        house.watch(REGULATOR, Party::default()).await?;
        Ok(Self { house, person, seed: 0, all: Vec::new() })
    }

    fn publishing(&mut self, count: u64) -> Result<impl Future<Output = Result<Vec<Kept>>> + Send + use<>> {
        let desks = (0..4).map(|number| self.house.further_desk(INSTITUTION, number)).collect::<Result<Vec<_>>>()?;
        let seeds = self.seed..self.seed + count;
        self.seed = seeds.end;
        Ok(publish(desks, self.person, seeds))
    }

    /// Waits until everyone holds these; gives the time since `healed`.
    async fn possessed(&self, healed: Instant, documents: &[Kept]) -> Result<f64> {
        let versions: Vec<(DocumentId, u32)> = documents.iter().map(|(id, _)| (*id, 1)).collect();
        let nodes = self.house.cluster.all();
        until("every entitled member holds every document", PATIENCE, async || {
            for node in &nodes {
                let vault = self.house.desk(*node).client.vault().await.ok();
                if vault.is_none_or(|vault| vault.wants_some) {
                    return Ok(None);
                }
            }
            // The time is that before the count, which takes a while by itself.
            let at = healed.elapsed().as_secs_f64() * 1e3;
            Ok((self.house.not_held(&nodes, &versions).await.unwrap_or(usize::MAX) == 0).then_some(at))
        })
        .await
    }

    /// Reads every document at every entitled member's node; gives how many differ from what was submitted or are refused.
    async fn misread(&self, documents: &[Kept]) -> Result<usize> {
        let readings = documents.iter().flat_map(|kept| PURPOSES.iter().map(move |place| (kept, *place)));
        let differs = readings.map(|((id, values), (node, purpose))| async move {
            let read = self.house.desk(node).read(*id, 1, None, purpose).await?;
            let is_same = read.is_ok_and(|read| {
                // What the schema knows and the record has not is committed as absent.
                !read.is_empty() && read.iter().all(|(name, value)| value.is_null() || values.get(name) == Some(value))
            });
            Ok::<_, anyhow::Error>(usize::from(!is_same))
        });
        let differing: Vec<usize> = stream::iter(differs).buffer_unordered(AT_A_TIME).try_collect().await?;
        Ok(differing.into_iter().sum())
    }

    async fn judged(&mut self, case: &'static str, healed: Instant, documents: Vec<Kept>) -> Result<Outcome> {
        let full_ms = self.possessed(healed, &documents).await.with_context(|| case)?;
        let misread = self.misread(&documents).await.with_context(|| case)?;
        let count = documents.len();
        self.all.extend(documents);
        Ok(Outcome { case, documents: count, full_ms, misread })
    }

    /// A holder is away while documents are submitted.
    ///
    /// # Errors
    /// When it does not come to an end.
    pub async fn offline(&mut self, count: u64) -> Result<Outcome> {
        self.house.cluster.kill(&[ENTERPRISE])?;
        let documents = self.publishing(count)?.await?;
        let healed = Instant::now();
        self.house.cluster.start_node(ENTERPRISE)?;
        self.judged("offline", healed, documents).await
    }

    /// A holder that has everything loses all but its keys and configuration: database, shelf and files.
    ///
    /// # Errors
    /// When it does not come to an end.
    pub async fn wiped(&mut self, count: u64) -> Result<Outcome> {
        let documents = self.publishing(count)?.await?;
        self.possessed(Instant::now(), &documents).await?;
        self.house.cluster.stop(ENTERPRISE).await?;
        self.house.cluster.wipe(ENTERPRISE)?;
        std::fs::remove_dir_all(self.house.cluster.home(ENTERPRISE).join("vault")).context("no vault to remove")?;
        let healed = Instant::now();
        self.house.cluster.start_node(ENTERPRISE)?;
        self.judged("wiped", healed, documents).await
    }

    /// A holder signs for what it throws away and says on the chain that it holds it; another one loses its shelf meanwhile,
    /// asks everyone, and gets from the liar what does not open. Healed is it when the liar is honest again.
    ///
    /// # Errors
    /// When it does not come to an end.
    pub async fn lying(&mut self, count: u64) -> Result<Outcome> {
        let (before, after) = (self.publishing(count / 2)?.await?, self.publishing(count - count / 2)?);
        self.possessed(Instant::now(), &before).await?;
        self.house.cluster.stop(ENTERPRISE).await?;
        let liar = StandIn::start(&self.house.cluster, ENTERPRISE, INSTITUTION, Manner::Lies).await?;
        let after = after.await?;
        until("the liar has signed for all", PATIENCE, async || {
            Ok(liar.with(|heard| heard.signed_for.len() >= after.len()).then_some(()))
        })
        .await?;
        let attested = liar.attest(&self.house.desk(INSTITUTION).client).await?;
        ensure!(attested >= after.len(), "the liar attested {attested} of {}", after.len());
        self.lose_shelf(&after, &liar).await?;
        liar.stop().await;
        let healed = Instant::now();
        self.house.cluster.start_node(ENTERPRISE)?;
        self.judged("lying", healed, before.into_iter().chain(after).collect()).await
    }

    /// The platform's keys are gone; it finds that out by a check, and gets all of it back from the honest ones.
    async fn lose_shelf(&mut self, documents: &[Kept], liar: &StandIn) -> Result<()> {
        self.house.cluster.stop(PLATFORM).await?;
        let shelf = self.house.cluster.home(PLATFORM).join("vault/shelf");
        std::fs::remove_file(&shelf).with_context(|| shelf.display().to_string())?;
        self.house.cluster.start_node(PLATFORM)?;
        self.house.cluster.ready(&[PLATFORM]).await?;
        let desk = self.house.desk(PLATFORM);
        let found = desk.client.check_vault().await?.damages.len();
        ensure!(found >= documents.len(), "the check found {found} of {} damages", documents.len());
        let heard = liar.with(|heard| heard.messages.len());
        until("the platform reads again", PATIENCE, async || {
            let mut is_whole = desk.client.vault().await.is_ok_and(|vault| !vault.wants_some);
            for (id, _) in documents {
                is_whole = is_whole && desk.read(*id, 1, None, "verification").await.is_ok_and(|read| read.is_ok());
            }
            Ok(is_whole.then_some(()))
        })
        .await?;
        ensure!(liar.with(|liar| liar.messages.len()) > heard, "nobody spoke to the liar");
        Ok(())
    }

    /// A holder stands still most of the time while documents are submitted.
    ///
    /// # Errors
    /// When it does not come to an end.
    pub async fn slow(&mut self, count: u64) -> Result<Outcome> {
        let publishing = tokio::spawn(self.publishing(count)?);
        while !publishing.is_finished() {
            self.house.cluster.signal(ENTERPRISE, Signal::Pause)?;
            tokio::time::sleep(STANDS).await;
            self.house.cluster.signal(ENTERPRISE, Signal::Resume)?;
            tokio::time::sleep(RUNS).await;
        }
        let healed = Instant::now();
        let documents = publishing.await.map_err(|error| anyhow!("publishing: {error}"))??;
        self.judged("slow", healed, documents).await
    }

    /// All cases, one after the other, each with so many documents; in the end everything of all of them is read again. Gives
    /// the outcomes and how many of the last readings failed.
    ///
    /// # Errors
    /// When one does not come to an end.
    pub async fn all(&mut self, count: u64) -> Result<(Vec<Outcome>, usize)> {
        let mut outcomes = vec![self.offline(count).await?];
        self.settle().await?;
        outcomes.push(self.wiped(count).await?);
        self.settle().await?;
        outcomes.push(self.lying(count).await?);
        self.settle().await?;
        outcomes.push(self.slow(count).await?);
        self.settle().await?;
        let misread = self.misread(&self.all).await?;
        Ok((outcomes, misread))
    }

    /// Nobody wants or owes anything, and the chain goes at its pace.
    async fn settle(&mut self) -> Result<()> {
        let nodes = self.house.cluster.all();
        self.house.cluster.ready(&nodes).await?;
        self.house.quiet(&nodes).await
    }
}

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let beside = "four nodes and the readers share the machine";
    let mut figure = Figure::new("reliability-holders", "holders", beside);
    let mut holders = Holders::open().await?;
    let count = scale.of(1_000, 20);
    let (outcomes, misread) = holders.all(count).await?;
    for Outcome { case, documents, full_ms, misread } in &outcomes {
        figure.set(format!("{case}_documents_count"), *documents as f64);
        figure.at_most(&format!("{case}_from_healed_to_full_possession_ms"), *full_ms, FULL_MS_MAX);
        figure.at_most(&format!("{case}_misread_count"), *misread as f64, 0.0);
    }
    figure.at_most("misread_in_the_end_count", misread as f64, 0.0);
    Ok(vec![figure])
}
