//! The API's view of this node.

use std::{ops::Bound, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};
use vouch_api::{ApiError, Backend, Lists};
use vouch_consensus::{Evidence, Step};
use vouch_ledger::{
    LedgerError, Published, Reader, Table, kernel,
    keys::SYSTEM,
    reader::{StoredBlock, Wanted},
};
use vouch_net::NetHandle;
use vouch_replica::ReplicaStatus;
use vouch_types::{
    AccountId, Call, ChainId, ContractName, Hash32, Height, NodeId, Round, TxId, ValidatorSet,
    api::{
        AccountView, BackupView, BlockDetail, BlockSummary, CertificateView, ChainParams, Claim, Condition,
        ConditionState, ContractSummary, ContractView, Cursor, DryRunView, EvidenceView, FinalBlock, HexBytes,
        MemberView, NodeStatus, OperationsView, PackageView, PeerView, ProposalSummary, ProposalView, QueryRequest,
        QueryView, Role, StateView, Submitted, TransactionStatus, ValidatorView, ValidatorsView,
    },
    encode,
};

use crate::{
    backup,
    condition::{self, Facts},
    decisions,
    index::{self, NodeLists},
    metrics::{self, Metrics},
    operations::Operations,
    runner::{Clock, Request, wall},
    server_certificate::SharedReport,
    submit::{Submitter, gone},
    vault::{VaultHandle, VaultReport},
    views::{self, Abis, count},
};

/// How long the replica may take to say how it is.
const STATUS_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Everything the API asks.
pub struct NodeBackend {
    /// The chain.
    pub reader: Reader,
    /// The replica's thread.
    pub requests: mpsc::Sender<Request>,
    /// The way of transactions into this node.
    pub submitter: Submitter,
    /// Private documents.
    pub vault: VaultHandle,
    /// Where their files lie.
    pub vault_files: std::path::PathBuf,
    /// The network.
    pub net: NetHandle,
    /// Height of the last final block.
    pub head: watch::Receiver<Height>,
    /// Why the replica stopped, if it did.
    pub failure: watch::Receiver<Option<String>>,
    /// The clock the replica runs by.
    pub clock: Clock,
    /// This node.
    pub node: NodeId,
    /// Its chain's name.
    pub chain_name: String,
    /// The database.
    pub store: Arc<vouch_store::RocksStore>,
    /// The genesis document.
    pub genesis: std::path::PathBuf,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Contracts' descriptions.
    pub abis: Arc<Abis>,
    /// Lists, search and statistics, if the node keeps an index.
    pub lists: Option<NodeLists>,
    /// What the process and its machine use.
    pub operations: Arc<Operations>,
    /// How the API's own certificate is.
    pub server_certificate: SharedReport,
}

fn storage(error: &LedgerError) -> ApiError {
    if matches!(error, LedgerError::Joining) {
        return ApiError::new(error.code(), error.to_string()).retry_after(10);
    }
    tracing::error!(code = error.code(), "the ledger failed while answering: {error}");
    ApiError::new("node.storage", "the node could not read what it stores")
}

fn items(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl NodeBackend {
    /// Runs a read off the executor's threads.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let reader = self.reader.clone();
        match tokio::task::spawn_blocking(move || work(&reader)).await {
            Ok(result) => result.map_err(|e| storage(&e)),
            Err(_) => Err(ApiError::new("internal", "a read did not end")),
        }
    }

    /// Shows a final block.
    async fn read_block<T: Send + 'static>(
        &self,
        height: Height,
        view: impl FnOnce(&StoredBlock, &Reader, &Published) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let head = *self.head.borrow();
        if height > head || height == Height::ZERO {
            return Err(ApiError::new("block.unknown", format!("there is no block {height}, the head is {head}")));
        }
        let shown =
            self.read(move |reader| Ok(reader.block(height)?.map(|block| view(&block, reader, &reader.published()))));
        shown.await?.ok_or_else(|| ApiError::new("block.pruned", format!("block {height} is no longer kept here")))
    }

    async fn replica_status(&self) -> Option<ReplicaStatus> {
        let (reply, answer) = oneshot::channel();
        let ask = async {
            self.requests.send(Request::Status(reply)).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(STATUS_TIMEOUT, ask).await.ok().flatten()
    }

    fn contract_view(at: &Published, name: &ContractName) -> Option<ContractSummary> {
        at.registry.contracts.get(name).map(decisions::contract_summary)
    }

    fn peers(&self, at: &Published) -> Vec<PeerView> {
        let connected = self.net.peers();
        at.registry
            .nodes
            .iter()
            .filter(|(id, _)| **id != self.node)
            .map(|(id, node)| PeerView {
                node: *id,
                name: node.name.clone(),
                connected: connected.iter().any(|p| p.key == node.network_key && p.connected_since.is_some()),
                head: None,
            })
            .collect()
    }

    fn condition(&self, at: &Published, replica: Option<&ReplicaStatus>, vault: Option<&VaultReport>) -> Condition {
        if let Some(why) = self.failure.borrow().as_ref() {
            let mend_en = "See the node's log, mend the cause and start the node again.";
            return Condition {
                state: ConditionState::Failed,
                code: "node.failed".into(),
                reason_en: format!("The node stopped taking part: {why}"),
                reason_zh: format!("节点已停止参与：{why}"),
                mend_en: mend_en.into(),
                mend_zh: "请查看节点日志，排除原因后重新启动节点。".into(),
                missing: Vec::new(),
                since_ms: 0,
            };
        }
        let now_ms = self.clock.now().steady_ms;
        match replica {
            Some(replica) => {
                let (registry, node) = (&at.registry, self.node);
                let judged = condition::judge(Facts { replica, vault, registry, node, now_ms, uptime_ms: now_ms });
                let is_well = judged == Condition::ok(judged.since_ms);
                let of_index = self
                    .lists
                    .as_ref()
                    .filter(|_| is_well)
                    .and_then(|lists| index::condition(&lists.index.progress(), at.head.height, judged.since_ms));
                let of_certificate = || self.server_certificate.lock().condition(wall(), judged.since_ms);
                of_index.or_else(|| of_certificate().filter(|_| is_well)).unwrap_or(judged)
            }
            None => Condition {
                state: ConditionState::Stalled,
                code: "stall.busy".into(),
                reason_en: "The node is too busy to say how it is.".into(),
                reason_zh: "节点过于繁忙，无法应答。".into(),
                mend_en: "Look at the machine's load and disk.".into(),
                mend_zh: "请检查机器负载与磁盘。".into(),
                missing: Vec::new(),
                since_ms: 0,
            },
        }
    }
}

fn validators_view(at: &Published, height: Height, set: &ValidatorSet) -> ValidatorsView {
    let validators = set
        .members()
        .iter()
        .map(|validator| {
            let node = validator.key.node();
            let record = at.registry.nodes.get(&node);
            ValidatorView {
                node,
                key: validator.key,
                power: validator.power,
                name: record.map(|r| r.name.clone()),
                member: record.map(|r| r.member.clone()),
            }
        })
        .collect();
    ValidatorsView { head: at.head.height, height, hash: set.hash(), total_power: set.total_power(), validators }
}

const fn step_name(step: Step) -> &'static str {
    match step {
        Step::Waiting => "idle",
        Step::Propose => "propose",
        Step::Prevote => "prevote",
        Step::Precommit => "precommit",
        Step::Decided => "commit",
    }
}

const fn evidence_kind(evidence: &Evidence) -> &'static str {
    match evidence {
        Evidence::Votes(vote, _) => match vote.kind {
            vouch_types::VoteKind::Prevote => "double_prevote",
            vouch_types::VoteKind::Precommit => "double_precommit",
        },
        Evidence::Proposals(..) => "double_proposal",
    }
}

#[async_trait]
impl Backend for NodeBackend {
    fn chain(&self) -> ChainId {
        self.reader.chain()
    }

    fn head(&self) -> watch::Receiver<Height> {
        self.head.clone()
    }

    async fn submit(&self, transactions: Vec<Vec<u8>>) -> Vec<Result<Submitted, ApiError>> {
        self.submitter.submit(transactions).await
    }

    async fn transaction(&self, id: TxId) -> Result<TransactionStatus, ApiError> {
        let abis = Arc::clone(&self.abis);
        let found = self
            .read(move |reader| {
                let Some((height, index)) = reader.find(&id)? else { return Ok(None) };
                let at = reader.published();
                let Some(block) = reader.block(height)? else { return Ok(None) };
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                let view = views::transaction(&block, index, reader, &at, &abis);
                Ok(view.map(|transaction| TransactionStatus::Final {
                    head: at.head.height,
                    transaction: Box::new(transaction),
                }))
            })
            .await?;
        if let Some(status) = found {
            return Ok(status);
        }
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::IsWaiting(id, reply)).await.map_err(|_| gone())?;
        let head = *self.head.borrow();
        Ok(match answer.await {
            Ok(true) => TransactionStatus::Pending { head },
            Ok(false) | Err(_) => TransactionStatus::Unknown { head },
        })
    }

    async fn is_final(&self, id: TxId) -> Result<bool, ApiError> {
        self.read(move |reader| Ok(reader.find(&id)?.is_some())).await
    }

    async fn proof(&self, id: TxId, claim: Claim) -> Result<Vec<u8>, ApiError> {
        let wanted = match claim {
            Claim::Transaction => Wanted::Transaction,
            Claim::Receipt => Wanted::Receipt,
            Claim::Event { index } => Wanted::Event(index),
        };
        let found = self
            .read(move |reader| match reader.find(&id)? {
                Some(place) => Ok(Some(reader.prove_transaction(place, wanted)?)),
                None => Ok(None),
            })
            .await?;
        match found {
            Some(Some(bundle)) => Ok(encode(&bundle)),
            Some(None) if matches!(wanted, Wanted::Event(_)) => {
                Err(ApiError::new("tx.no_such_event", "the transaction has no event of this index").at("index"))
            }
            Some(None) => Err(ApiError::new("block.pruned", "the block is no longer kept here")),
            None => match self.transaction(id).await? {
                TransactionStatus::Pending { .. } => {
                    Err(ApiError::new("tx.not_final", format!("{id} waits for a block")))
                }
                _ => Err(ApiError::new("tx.unknown", format!("{id} is not known here"))),
            },
        }
    }

    async fn block(&self, height: Height) -> Result<Arc<FinalBlock>, ApiError> {
        let abis = Arc::clone(&self.abis);
        let view =
            move |block: &StoredBlock, reader: &Reader, at: &Published| views::final_block(block, reader, at, &abis);
        self.read_block(height, view).await.map(Arc::new)
    }

    async fn block_detail(&self, height: Height) -> Result<BlockDetail, ApiError> {
        let head = *self.head.borrow();
        self.read_block(height, move |block, _, at| views::block_detail(block, head, &at.registry)).await
    }

    async fn blocks(&self, before: Option<Height>, limit: u32) -> Result<Vec<BlockSummary>, ApiError> {
        self.read(move |reader| {
            let at = reader.published();
            let mut next = before.map_or(Some(at.head.height), |b| b.min(Height(at.head.height.0 + 1)).previous());
            let mut blocks = Vec::new();
            while let Some(height) = next.filter(|h| *h > Height::ZERO && count(blocks.len()) < limit) {
                let Some(block) = reader.block(height)? else { break };
                blocks.push(views::summary(&block, &at.registry));
                next = height.previous();
            }
            Ok(blocks)
        })
        .await
    }

    async fn query(&self, request: QueryRequest) -> Result<QueryView, ApiError> {
        let at = self.reader.published();
        if request.body.height.is_some_and(|h| h != at.head.height) {
            return Err(ApiError::new("query.height_unavailable", "only the state of the head is kept").at("height"));
        }
        let abi = self.abis.of(&self.reader, &at.registry, &request.contract);
        let Some(abi) = abi.filter(|_| request.contract.as_str() != SYSTEM) else {
            let detail = format!("there is no contract {} that can be asked", request.contract);
            return Err(ApiError::new("query.unknown_contract", detail));
        };
        let arguments = match request.body.encoded {
            Some(bytes) => bytes.0,
            None => abi.encode_arguments(&request.method, &request.body.arguments).map_err(|e| {
                let code =
                    if abi.method(&request.method).is_none() { "query.unknown_method" } else { "query.bad_arguments" };
                ApiError::new(code, e.to_string()).at("arguments")
            })?,
        };
        let call = Call { contract: request.contract, method: request.method.clone(), arguments };
        let outcome = self.read(move |reader| reader.query(&call)).await?;
        match outcome.result {
            Ok(output) => Ok(QueryView {
                height: outcome.height,
                value: abi.decode_result(&request.method, &output).ok(),
                output: HexBytes(output),
            }),
            Err(failure) => {
                let code = match failure.code.as_str() {
                    "contract.out_of_fuel" => "query.out_of_fuel",
                    "contract.unknown_method" => "query.unknown_method",
                    "contract.bad_arguments" => "query.bad_arguments",
                    "contract.unknown" => "query.unknown_contract",
                    _ => "query.failed",
                };
                Err(ApiError::new(code, format!("{}: {}", failure.code, failure.message)))
            }
        }
    }

    async fn state(&self, contract: ContractName, key: Vec<u8>, prove: bool) -> Result<StateView, ApiError> {
        let at = self.reader.published();
        if contract.as_str() != SYSTEM && Self::contract_view(&at, &contract).is_none() {
            return Err(ApiError::new("contract.unknown", format!("there is no contract {contract}")));
        }
        let (asked, at_key) = (contract.clone(), key.clone());
        let found = self.read(move |reader| reader.state(&asked, &at_key, prove)).await?;
        Ok(StateView {
            height: found.height,
            contract,
            key: HexBytes(key),
            value: found.value.map(HexBytes),
            proof: found.proof.map(|bundle| HexBytes(encode(&bundle))),
        })
    }

    async fn contract(&self, name: ContractName) -> Result<ContractView, ApiError> {
        let at = self.reader.published();
        let unreadable = || serde_json::Value::Null;
        if name.as_str() == SYSTEM {
            let abi = serde_json::from_str(kernel::ABI_JSON).unwrap_or_else(|_| unreadable());
            return Ok(ContractView { summary: decisions::kernel_summary(), code_bytes: 0, abi });
        }
        let summary = Self::contract_view(&at, &name)
            .ok_or_else(|| ApiError::new("contract.unknown", format!("there is no contract {name}")))?;
        let hash = summary.code_hash;
        let (code, abi) = self.read(move |reader| Ok((reader.code(&hash)?, reader.abi_json(&hash)?))).await?;
        let code = code.unwrap_or_default();
        let abi = abi.and_then(|text| serde_json::from_str(&text).ok());
        Ok(ContractView { summary, code_bytes: count(code.len()), abi: abi.unwrap_or_else(unreadable) })
    }

    async fn contracts(&self, after: Option<ContractName>, limit: u32) -> Result<Vec<ContractSummary>, ApiError> {
        let at = self.reader.published();
        let mut names: Vec<ContractSummary> =
            at.registry.contracts.keys().filter_map(|name| Self::contract_view(&at, name)).collect();
        names.push(decisions::kernel_summary());
        names.sort_by(|a, b| a.name.cmp(&b.name));
        let above = |summary: &ContractSummary| after.as_ref().is_none_or(|after| summary.name > *after);
        Ok(names.into_iter().filter(above).take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    async fn validators(&self, height: Option<Height>) -> Result<ValidatorsView, ApiError> {
        let at = self.reader.published();
        let next = at.head.height.next().unwrap_or(at.head.height);
        let height = height.unwrap_or(next);
        if height > next || height == Height::ZERO {
            return Err(ApiError::new("block.unknown", format!("there is no height {height} yet")));
        }
        let set = self.read(move |reader| reader.validators_at(height)).await?;
        let set =
            set.ok_or_else(|| ApiError::new("block.pruned", format!("height {height} is no longer kept here")))?;
        Ok(validators_view(&at, height, &set))
    }

    async fn members(&self) -> Result<Vec<MemberView>, ApiError> {
        let at = self.reader.published();
        Ok(at.registry.members.values().map(|member| decisions::member_view(&at.registry, member)).collect())
    }

    async fn accounts(
        &self,
        member: Option<String>,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountView>, ApiError> {
        let at = self.reader.published();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let above = at.registry.accounts.range((from, Bound::Unbounded)).map(|(_, record)| record);
        let of_member = above.filter(|record| member.as_ref().is_none_or(|member| record.member == *member));
        Ok(of_member.take(items(limit)).map(|record| decisions::account_view(record)).collect())
    }

    async fn certificates(
        &self,
        member: Option<String>,
        after: Option<Hash32>,
        limit: u32,
    ) -> Result<Vec<CertificateView>, ApiError> {
        let at = self.reader.published();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let above = at.registry.certificates.range((from, Bound::Unbounded)).map(|(_, record)| record);
        let of_member = above.filter(|record| member.as_ref().is_none_or(|member| record.member == *member));
        let view = |record: &Arc<_>| decisions::certificate_view(record, at.head.time);
        Ok(of_member.take(items(limit)).map(view).collect())
    }

    fn member_authority(&self) -> Option<(String, Vec<u8>)> {
        let at = self.reader.published();
        let member = &at.registry.nodes.get(&self.node)?.member;
        let record = at.registry.members.get(member).filter(|record| record.is_active())?;
        Some((member.clone(), record.ca_certificate.clone()?))
    }

    fn certificate(&self, fingerprint: Hash32) -> Option<CertificateView> {
        let at = self.reader.published();
        let record = at.registry.certificates.get(&fingerprint)?;
        Some(decisions::certificate_view(record, at.head.time))
    }

    async fn packages(&self) -> Result<Vec<PackageView>, ApiError> {
        let at = self.reader.published();
        Ok(at.registry.packages.values().map(|record| decisions::package_view(&at.registry, record)).collect())
    }

    async fn proposals(&self, before: Option<u64>, limit: u32) -> Result<Vec<ProposalSummary>, ApiError> {
        let found = self.read(move |reader| reader.proposals(before, items(limit))).await?;
        Ok(found.iter().map(decisions::proposal_summary).collect())
    }

    async fn proposal(&self, id: u64) -> Result<ProposalView, ApiError> {
        let found = self.read(move |reader| reader.proposal(id)).await?;
        let found = found.ok_or_else(|| decisions::unknown_proposal(id))?;
        let (abis, at) = (Arc::clone(&self.abis), self.reader.published());
        self.read(move |reader| Ok(decisions::proposal_view(&found, reader, &at, &abis))).await
    }

    async fn dry_run(&self, id: u64) -> Result<DryRunView, ApiError> {
        let run = self.read(move |reader| {
            let Some(found) = reader.proposal(id)? else { return Ok(None) };
            let run = reader.dry_run(&found.proposal.matter, &found.actions)?;
            Ok(Some(decisions::dry_run_view(&run, found.actions.len(), reader)))
        });
        run.await?.ok_or_else(|| decisions::unknown_proposal(id))
    }

    async fn evidence(&self, after: Option<Cursor>, limit: u32) -> Result<Vec<EvidenceView>, ApiError> {
        let from = after.map_or(Height::ZERO, |cursor| cursor.height);
        let rows = self
            .read(move |reader| {
                // The few pieces of one height before the cursor are read as well and passed over.
                let limit = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1024);
                Ok(reader.storage().scan(Table::Evidence, &from.0.to_be_bytes(), None, limit)?)
            })
            .await?;
        let at = self.reader.published();
        let mut found = Vec::new();
        let (mut height, mut sequence) = (Height::ZERO, 0u32);
        for (_, bytes) in rows {
            let Ok(evidence) = Evidence::decode(&bytes) else { continue };
            let node = evidence.validator();
            sequence = if evidence.place().0 == height { sequence.saturating_add(1) } else { 0 };
            height = evidence.place().0;
            if after.is_none_or(|cursor| (height, sequence) > (cursor.height, cursor.index)) {
                found.push(EvidenceView {
                    height,
                    sequence,
                    node,
                    name: at.registry.nodes.get(&node).map(|n| n.name.clone()),
                    kind: evidence_kind(&evidence).into(),
                    bytes: HexBytes(bytes),
                });
            }
        }
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn status(&self) -> NodeStatus {
        let (replica, vault) = tokio::join!(self.replica_status(), self.vault.report());
        let at = self.reader.published();
        let own = at.registry.nodes.get(&self.node);
        let peers = self.peers(&at);
        let consensus = replica.as_ref().and_then(|r| r.consensus.as_ref());
        let next = at.head.height.next().unwrap_or(at.head.height);
        let waiting = |f: fn(&ReplicaStatus) -> usize| replica.as_ref().map_or(0, f);
        let is_validator = replica.as_ref().is_some_and(|r| r.validator);
        NodeStatus {
            chain: self.reader.chain(),
            chain_name: self.chain_name.clone(),
            node: self.node,
            node_name: own.map(|n| n.name.clone()).unwrap_or_default(),
            member: own.map(|n| n.member.clone()).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").into(),
            role: if is_validator { Role::Validator } else { Role::Full },
            head: at.head.height,
            head_hash: at.head.hash,
            head_time: at.head.time,
            state_root: at.head.state_root,
            last_block_age_ms: wall().0.saturating_sub(at.head.time.0),
            height: next,
            round: consensus.filter(|c| c.height == next).map_or(Round(0), |c| c.round),
            step: match (consensus, replica.as_ref().is_some_and(|r| r.running)) {
                (Some(status), true) => step_name(status.step).into(),
                _ => "idle".into(),
            },
            peers_connected: count(peers.iter().filter(|p| p.connected).count()),
            peers_expected: count(peers.len()),
            peers,
            mempool_transactions: waiting(|r| r.mempool_count) as u64,
            mempool_bytes: waiting(|r| r.mempool_bytes) as u64,
            syncing: replica.as_ref().is_some_and(|r| r.best_peer_height.0 > r.height.0.saturating_add(3)),
            uptime_ms: self.clock.now().steady_ms,
            condition: self.condition(&at, replica.as_ref(), vault.as_ref()),
        }
    }

    async fn params(&self) -> Result<ChainParams, ApiError> {
        let at = self.reader.published();
        let params = &at.registry.params;
        Ok(ChainParams {
            chain: self.reader.chain(),
            chain_name: self.chain_name.clone(),
            head: at.head.height,
            expiry_window: params.expiry_window,
            transaction_bytes_max: params.transaction_bytes_max,
            block_bytes_max: params.block_bytes_max,
            transaction_fuel_max: params.fuel_per_transaction_max,
            parameters: decisions::parameters(&at.registry),
        })
    }

    async fn metrics(&self) -> String {
        let (replica, vault) = tokio::join!(self.replica_status(), self.vault.report());
        let at = self.reader.published();
        let mut text = self.metrics.render(&at, replica.as_ref(), vault.as_ref(), &self.net, &self.store);
        if let Some(lists) = &self.lists {
            text.push_str(&metrics::index(&lists.index, at.head.height));
        }
        text.push_str(&metrics::certificate(&self.server_certificate.lock()));
        text
    }

    async fn operations(&self) -> Result<OperationsView, ApiError> {
        let (operations, store) = (Arc::clone(&self.operations), Arc::clone(&self.store));
        let read = move || operations.view(store.stats().map_or(0, |stats| stats.files_bytes()));
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|_| ApiError::new("internal", "a read did not end"))
    }

    fn lists(&self) -> Option<&dyn Lists> {
        self.lists.as_ref().map(|lists| lists as &dyn Lists)
    }

    async fn backup(&self, path: std::path::PathBuf) -> Result<BackupView, ApiError> {
        let store = Arc::clone(&self.store);
        let (genesis, files, chain) = (self.genesis.clone(), self.vault_files.clone(), self.reader.chain());
        let work = move || backup::make(&store, backup::Beside { genesis: &genesis, files: &files }, chain, &path);
        let made = tokio::task::spawn_blocking(work).await;
        made.unwrap_or_else(|_| Err(ApiError::new("internal", "the backup did not end")))
    }
}
