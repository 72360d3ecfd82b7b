//! A network whose members keep private documents, and the accounts that work with them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value, json};
use vouch_sdk::{Client, DocumentDraft, Error, Identity, ProposalDraft, SubmittedDocument, TransactionBuilder};
use vouch_types::{
    ContractName, SecretKey, SubjectId, TimestampMs,
    api::{OutcomeView, TransactionView},
    document::{self, DocumentId, FieldSet, Party},
    encode,
    relation::{self, RelationKind},
};

use crate::cluster::{Cluster, Options, until};

/// How long a transaction may take.
const FINAL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the vaults may take to become quiet.
const QUIET_TIMEOUT: Duration = Duration::from_secs(120);
/// Questions to nodes at a time.
const QUESTIONS_MAX: usize = 8;
/// Persons that one call registers at most.
const PERSONS_MAX: usize = 50;

/// The sample schemas, as `vouch dev schemas` registers them.
pub const SAMPLES: [&str; 6] = [
    include_str!("../../../genesis/sample/schemas/worker-identity.json"),
    include_str!("../../../genesis/sample/schemas/enterprise-identity.json"),
    include_str!("../../../genesis/sample/schemas/service-contract.json"),
    include_str!("../../../genesis/sample/schemas/service-transaction.json"),
    include_str!("../../../genesis/sample/schemas/service-invoice.json"),
    include_str!("../../../genesis/sample/schemas/risk-finding.json"),
];

/// A sample schema by its name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn sample_schema(name: &str) -> Value {
    let all = SAMPLES.iter().map(|text| serde_json::from_str::<Value>(text).unwrap());
    all.into_iter().find(|definition| definition["name"] == name).unwrap()
}

/// The stable code of what went wrong.
#[must_use]
pub fn code_of(error: &Error) -> String {
    match error {
        Error::Failed { code, .. } => code.clone(),
        other => other.code().to_owned(),
    }
}

/// An account at a node of its own member.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Its client, which signs as the account.
    pub client: Client,
    /// Its member.
    pub member: String,
    /// Its key.
    pub key: Arc<SecretKey>,
}

impl Desk {
    /// An account at a node.
    ///
    /// # Errors
    /// When the node's home cannot be read.
    pub fn new(cluster: &Cluster, node: usize, key: SecretKey) -> Result<Self> {
        let mut config = cluster.client_config(&[node])?;
        config.attempts_max = 4;
        config.identity = Some(Identity::new(SecretKey::from_seed(*key.seed())));
        Ok(Self { client: config.build()?, member: cluster.plan.nodes[node].member.clone(), key: Arc::new(key) })
    }

    /// Sends a transaction and waits for it; the inner error is the code by which a node or the chain refused it.
    ///
    /// # Errors
    /// When it is not final in time or no node answers.
    pub async fn attempt(
        &self,
        build: impl FnOnce(TransactionBuilder) -> TransactionBuilder,
    ) -> Result<Result<TransactionView, String>> {
        self.carry(&[&self.key], build).await
    }

    /// The same signed by these keys, the first of which is the caller: a person's, carried by the account.
    ///
    /// # Errors
    /// As [`Desk::attempt`].
    pub async fn carry(
        &self,
        keys: &[&SecretKey],
        build: impl FnOnce(TransactionBuilder) -> TransactionBuilder,
    ) -> Result<Result<TransactionView, String>> {
        let transaction = build(self.client.transaction_builder().await?).sign(keys)?;
        match self.client.submit(&transaction).await {
            Ok(_) => {}
            Err(error @ Error::Refused { .. }) => return Ok(Err(code_of(&error))),
            Err(error) => return Err(error.into()),
        }
        let view = self.client.wait(transaction.id, FINAL_TIMEOUT).await?;
        Ok(match &view.receipt.outcome {
            OutcomeView::Success => Ok(view),
            OutcomeView::Failed { code, .. } => Err(code.clone()),
        })
    }

    /// The same, when it has to succeed.
    ///
    /// # Errors
    /// When it does not.
    pub async fn send(&self, build: impl FnOnce(TransactionBuilder) -> TransactionBuilder) -> Result<TransactionView> {
        self.attempt(build).await?.map_err(|code| anyhow!("a transaction of {}: {code}", self.member))
    }

    /// The number that a call returned.
    ///
    /// # Errors
    /// When it failed or returned none.
    pub async fn number(&self, build: impl FnOnce(TransactionBuilder) -> TransactionBuilder) -> Result<u64> {
        let view = self.send(build).await?;
        let value = view.output_value.as_ref().context("no output")?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).with_context(|| format!("no number: {value}"))
    }

    /// Submits a document.
    ///
    /// # Errors
    /// As [`Client::submit_document`].
    pub async fn submit(&self, draft: &DocumentDraft) -> Result<SubmittedDocument, Error> {
        self.client.submit_document(draft, &self.key).await
    }

    /// Reads fields: their values, or the code of the refusal with the contract's reason behind it.
    ///
    /// # Errors
    /// When the node does not answer or shows something else than the chain commits to.
    pub async fn read(
        &self,
        id: DocumentId,
        version: u32,
        fields: Option<&[String]>,
        purpose: &str,
    ) -> Result<Result<Map<String, Value>, String>> {
        match self.client.read_document(id, version, fields, purpose).await {
            Ok(read) => Ok(Ok(read.fields.into_iter().collect())),
            Err(Error::Refused { problem, .. }) => Ok(Err(problem.code)),
            Err(error) => Err(error.into()),
        }
    }

    /// What the account's own node holds of a version; nothing when it has never heard of it.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn holds(&self, id: DocumentId, version: u32) -> Result<FieldSet> {
        match self.client.document_holding(id, version).await {
            Ok(holding) => Ok(holding.fields),
            Err(Error::Refused { problem, .. }) if problem.code == "vault.unknown_document" => Ok(FieldSet::default()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A running network with the contracts and the sample schemas, and an account with all roles at each node.
#[derive(Debug)]
pub struct House {
    /// The network.
    pub cluster: Cluster,
    /// An account at each node, in their order.
    pub desks: Vec<Desk>,
}

impl House {
    /// Starts a network and gives it what documents need.
    ///
    /// # Errors
    /// When that fails.
    pub async fn open(options: Options) -> Result<Self> {
        let cluster = Cluster::start(options).await?;
        let (dir, contracts) = (cluster.dir().display().to_string(), cluster.program.contracts.display().to_string());
        let arguments = ["--json", "dev", "schemas", "--dir", &dir, "--contracts", &contracts];
        cluster.vouch(0, &arguments).await?.success()?;
        let per_member = cluster.plan.accounts.len() / cluster.plan.nodes.len();
        ensure!(per_member > 0, "each member needs an account");
        let desk = |node: usize| Desk::new(&cluster, node, cluster.account(node * per_member)?);
        let desks = cluster.all().into_iter().map(desk).collect::<Result<_>>()?;
        Ok(Self { cluster, desks })
    }

    /// A member's account.
    #[must_use]
    pub fn desk(&self, member: usize) -> &Desk {
        &self.desks[member]
    }

    /// A member as a party.
    #[must_use]
    pub fn party(&self, member: usize) -> Party {
        Party::member(&self.desks[member].member)
    }

    /// All members decide something, at once.
    ///
    /// # Errors
    /// When it does not come into effect.
    pub async fn decide(&self, contract: &str, method: &str, arguments: &Value) -> Result<()> {
        let client = &self.desks[0].client;
        let contract = ContractName::new(contract)?;
        let abi = client.abi(&contract).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let deadline = TimestampMs(u64::try_from(now.as_millis())? + 600_000);
        let draft =
            ProposalDraft::new("documents", method, deadline).action_json(&abi, &contract, method, arguments)?;
        let admins = self.cluster.admins()?;
        let keys: Vec<&SecretKey> = admins.iter().collect();
        let transaction = client.transaction_builder().await?.propose(&draft).sign(&keys)?;
        let view = self.cluster.submit(0, &transaction).await?;
        let number = view.output_value.as_ref().and_then(|value| value["proposal"].as_u64());
        let number = number.with_context(|| format!("no proposal came of {method}: {:?}", view.receipt.outcome))?;
        let proposal = client.proposal(number).await?;
        ensure!(proposal.summary.state == "executed", "{method}: {:?}", proposal.summary);
        Ok(())
    }

    /// Registers a schema, or the next version of one.
    ///
    /// # Errors
    /// When the contract refuses it.
    pub async fn register_schema(&self, definition: &Value) -> Result<()> {
        self.decide(document::CONTRACT, "register_schema", &json!({ "definition": definition })).await
    }

    /// Registers persons whom a member serves from then on.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn register_persons(&self, by: usize, aliases: &[SubjectId]) -> Result<()> {
        let contract = ContractName::new(relation::CONTRACT)?;
        for some in aliases.chunks(PERSONS_MAX) {
            let arguments = encode(&some.to_vec());
            self.desk(by).send(|builder| builder.call(contract.clone(), "register_subjects", arguments)).await?;
        }
        Ok(())
    }

    /// A member offers to serve or to have received; another one agrees for the other side. Gives the number.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn relate(&self, kind: RelationKind, member: usize, party: Party, agreed_by: usize) -> Result<u64> {
        let via = (kind == RelationKind::Receives).then(|| self.desks[agreed_by].member.clone());
        let name = self.desks[member].member.clone();
        let offer = |builder: TransactionBuilder| builder.offer_relationship(kind, &name, party, via, None);
        let number = self.desk(member).number(offer).await?;
        self.desk(agreed_by).send(|builder| builder.answer_relationships(&[number], true)).await?;
        Ok(number)
    }

    /// A regulator watches over a member, or over everyone. Gives the number.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn watch(&self, regulator: usize, watched: Party) -> Result<u64> {
        let name = self.desks[regulator].member.clone();
        let offer = |builder: TransactionBuilder| {
            builder.offer_relationship(RelationKind::Regulates, &name, watched, None, None)
        };
        self.desk(regulator).number(offer).await
    }

    /// Ends a relationship.
    ///
    /// # Errors
    /// When the contract refuses.
    pub async fn end(&self, by: usize, number: u64) -> Result<()> {
        self.desk(by).send(|builder| builder.end_relationships(&[number])).await.map(drop)
    }

    /// Entitled members whose nodes do not hold what they are to hold of a version; only these nodes are asked.
    ///
    /// # Errors
    /// When a node does not answer.
    pub async fn lacking(&self, nodes: &[usize], id: DocumentId, version: u32) -> Result<Vec<String>> {
        let first = *nodes.first().context("no node was named")?;
        let audience = self.desk(first).client.audience(id, version).await?;
        let mut lacking = Vec::new();
        for node in nodes {
            let desk = self.desk(*node);
            let due = audience.members.iter().find(|entitled| entitled.member == desk.member);
            if let Some(due) = due
                && !due.fields.is_subset(&desk.holds(id, version).await?)
            {
                lacking.push(desk.member.clone());
            }
        }
        Ok(lacking)
    }

    /// How many of these versions are not held by everyone who is to hold them.
    ///
    /// # Errors
    /// When a node does not answer.
    pub async fn not_held(&self, nodes: &[usize], versions: &[(DocumentId, u32)]) -> Result<usize> {
        let asked = versions.iter().map(|(id, version)| self.lacking(nodes, *id, *version));
        let lacking: Vec<Vec<String>> = stream::iter(asked).buffer_unordered(QUESTIONS_MAX).try_collect().await?;
        Ok(lacking.iter().filter(|lacking| !lacking.is_empty()).count())
    }

    /// Waits until everyone who is to hold these versions does.
    ///
    /// # Errors
    /// When they do not in time.
    pub async fn all_hold(&self, versions: &[(DocumentId, u32)]) -> Result<()> {
        self.all_hold_at(&self.cluster.all(), versions).await
    }

    /// The same of these nodes, while others are away.
    ///
    /// # Errors
    /// When they do not in time.
    pub async fn all_hold_at(&self, nodes: &[usize], versions: &[(DocumentId, u32)]) -> Result<()> {
        until("every entitled member holds every document", QUIET_TIMEOUT, async || {
            Ok((self.not_held(nodes, versions).await? == 0).then_some(()))
        })
        .await
    }

    /// Waits until a node has every block that another one has by now: what was final there is seen here then.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn caught_up(&self, node: usize, with: usize) -> Result<()> {
        let head = self.cluster.status(with).await?.head;
        self.cluster.reach(node, head, QUIET_TIMEOUT).await.map(drop)
    }

    /// Waits until the vaults of these nodes have taken in the chain and neither want nor owe anything.
    ///
    /// # Errors
    /// When they do not in time.
    pub async fn quiet(&self, nodes: &[usize]) -> Result<()> {
        let mut head = vouch_types::Height::ZERO;
        for node in nodes {
            head = head.max(self.cluster.status(*node).await?.head);
        }
        for node in nodes {
            let what = format!("the vault of {} is quiet", self.cluster.name(*node));
            until(&what, QUIET_TIMEOUT, async || {
                let vault = self.desk(*node).client.vault().await.ok();
                Ok(vault.filter(|vault| vault.height >= head && !vault.wants_some && !vault.owes_some).map(drop))
            })
            .await?;
        }
        Ok(())
    }
}

impl House {
    /// The key of a member's account beyond the first, which a desk has.
    ///
    /// # Errors
    /// When there is none.
    pub fn further_desk(&self, member: usize, number: usize) -> Result<Desk> {
        let per_member = self.cluster.plan.accounts.len() / self.cluster.plan.nodes.len();
        if number >= per_member {
            bail!("a member has {per_member} accounts");
        }
        Desk::new(&self.cluster, member, self.cluster.account(member * per_member + number)?)
    }
}
