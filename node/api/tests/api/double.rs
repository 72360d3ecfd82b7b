//! A chain as plain data, and requests against a router over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use vouch_api::{AdminToken, ApiConfig, ApiError, ApiState, Backend, Limits, Lists, Transport, router};
use vouch_types::{
    AccountId, BlockHash, Call, ChainId, CodeHash, CommitCertificate, ContractName, Event, EventsRoot, Fuel, Hash32,
    Header, Height, NodeId, OutputHash, Power, PublicKey, ReceiptsRoot, Round, SecretKey, StateRoot, TimestampMs,
    TransactionBody, TransactionsRoot, TxId, UnverifiedTransaction, ValidatorsHash,
    api::{
        AccountView, BackupView, BlockDetail, BlockSummary, CallView, CertificateView, ChainParams, Claim, Condition,
        ConditionState, ContractSummary, ContractView, Cursor, DryRunView, EventView, EvidenceView, FinalBlock,
        HexBytes, MemberView, NodeStatus, OperationsView, OutcomeView, PackageView, ProposalSummary, ProposalView,
        QueryRequest, QueryView, ReceiptView, Role, StateView, SubmitStatus, Submitted, TallyView, TransactionStatus,
        TransactionView, ValidatorsView, caller::Authority,
    },
    encode,
};

use crate::lists::PlainLists;

pub const CHAIN: ChainId = ChainId([7; 32]);
pub const ADMIN: &str = "an admin token of some length";

/// The chain. `seal` makes a block of what waits.
pub struct Plain {
    head: watch::Sender<Height>,
    state: Mutex<State>,
    /// The index; none when the node keeps none.
    pub lists: Option<PlainLists>,
}

#[derive(Default)]
struct State {
    blocks: Vec<Arc<FinalBlock>>,
    waiting: BTreeMap<TxId, (Vec<u8>, TransactionBody)>,
    condition: Option<Condition>,
    pruned_below: u64,
    authority: Option<(String, Vec<u8>)>,
    recorded: BTreeMap<Hash32, CertificateView>,
}

impl Plain {
    pub fn without_index() -> Arc<Self> {
        Arc::new(Self { head: watch::Sender::new(Height::ZERO), state: Mutex::default(), lists: None })
    }

    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            head: watch::Sender::new(Height::ZERO),
            state: Mutex::default(),
            lists: Some(PlainLists::default()),
        })
    }

    pub fn set_condition(&self, condition: Condition) {
        self.state.lock().expect("lock").condition = Some(condition);
    }

    /// The member's root, as the registry would have it.
    pub fn set_authority(&self, member: &str, root: &[u8]) {
        self.state.lock().expect("lock").authority = Some((member.into(), root.to_vec()));
    }

    /// What the chain says of a certificate from now on.
    pub fn record(&self, certificate: CertificateView) {
        self.state.lock().expect("lock").recorded.insert(certificate.fingerprint, certificate);
    }

    pub fn prune_below(&self, height: u64) {
        self.state.lock().expect("lock").pruned_below = height;
    }

    /// One block of all that waits; each transaction emits one event per call, named after the method.
    pub fn seal(&self) -> Height {
        let mut state = self.state.lock().expect("lock");
        let height = Height(u64::try_from(state.blocks.len()).expect("small") + 1);
        let waiting = std::mem::take(&mut state.waiting);
        let transactions: Vec<TransactionView> =
            (0..).zip(waiting).map(|(index, (id, (raw, body)))| view(id, &raw, &body, height, index)).collect();
        state.blocks.push(Arc::new(final_block(height, transactions)));
        drop(state);
        self.head.send_replace(height);
        height
    }

    fn block_at(&self, height: Height) -> Result<Arc<FinalBlock>, ApiError> {
        let state = self.state.lock().expect("lock");
        if height.0 != 0 && height.0 < state.pruned_below {
            return Err(ApiError::new("block.pruned", format!("block {height} is gone")));
        }
        let at = height.0.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| state.blocks.get(at).cloned())
            .ok_or_else(|| ApiError::new("block.unknown", format!("there is no block {height}")))
    }

    fn find(&self, id: TxId) -> TransactionStatus {
        let state = self.state.lock().expect("lock");
        let head = *self.head.borrow();
        let found = state.blocks.iter().flat_map(|block| &block.transactions).find(|tx| tx.id == id);
        match found {
            Some(tx) => TransactionStatus::Final { head, transaction: Box::new(tx.clone()) },
            None if state.waiting.contains_key(&id) => TransactionStatus::Pending { head },
            None => TransactionStatus::Unknown { head },
        }
    }

    fn take(&self, raw: Vec<u8>) -> Result<Submitted, ApiError> {
        let transaction = UnverifiedTransaction::decode(raw, CHAIN)?;
        let id = transaction.id();
        if !matches!(self.find(id), TransactionStatus::Unknown { .. }) {
            return Ok(Submitted { id, status: SubmitStatus::Known });
        }
        let verified = transaction.verify()?;
        let next = self.head.borrow().next().expect("small");
        verified.check_expiry(next, 100)?;
        let entry = (verified.raw().to_vec(), verified.body().clone());
        self.state.lock().expect("lock").waiting.insert(id, entry);
        Ok(Submitted { id, status: SubmitStatus::Accepted })
    }
}

fn view(id: TxId, raw: &[u8], body: &TransactionBody, height: Height, index: u32) -> TransactionView {
    let event = |(index, call): (u32, &Call)| {
        let event = Event { contract: call.contract.clone(), name: call.method.clone(), data: call.arguments.clone() };
        EventView::new(index, &event)
    };
    let call = |call: &Call| CallView {
        contract: call.contract.clone(),
        method: call.method.clone(),
        arguments: HexBytes(call.arguments.clone()),
        arguments_value: None,
    };
    TransactionView {
        id,
        height,
        index,
        block: BlockHash([1; 32]),
        time: TimestampMs(height.0 * 1000),
        expiry: body.expiry,
        signers: vec![key().public().account()],
        calls: body.calls.iter().map(call).collect(),
        bytes: u32::try_from(raw.len()).expect("small"),
        receipt: ReceiptView {
            outcome: OutcomeView::Success,
            fuel_used: Fuel(9),
            output_hash: OutputHash::ZERO,
            events_root: EventsRoot::ZERO,
        },
        output: HexBytes::default(),
        output_value: None,
        events: (0..).zip(&body.calls).map(event).collect(),
    }
}

fn final_block(height: Height, transactions: Vec<TransactionView>) -> FinalBlock {
    let header = Header {
        version: 1,
        chain: CHAIN,
        height,
        time: TimestampMs(height.0 * 1000),
        parent: BlockHash::ZERO,
        proposer: NodeId::ZERO,
        transactions_root: TransactionsRoot::ZERO,
        receipts_root: ReceiptsRoot::ZERO,
        state_root: StateRoot::ZERO,
        validators_hash: ValidatorsHash::ZERO,
        next_validators_hash: ValidatorsHash::ZERO,
    };
    let certificate = CommitCertificate { height, round: Round(0), block: header.hash(), signatures: vec![] };
    let summary = BlockSummary {
        height,
        hash: header.hash(),
        time: header.time,
        proposer: header.proposer,
        proposer_name: Some("a".into()),
        round: Round(0),
        transactions: u32::try_from(transactions.len()).expect("small"),
        bytes: 100,
        state_root: header.state_root,
    };
    FinalBlock { summary, header, certificate, transactions }
}

#[async_trait]
impl Backend for Plain {
    fn chain(&self) -> ChainId {
        CHAIN
    }

    fn head(&self) -> watch::Receiver<Height> {
        self.head.subscribe()
    }

    async fn submit(&self, transactions: Vec<Vec<u8>>) -> Vec<Result<Submitted, ApiError>> {
        transactions.into_iter().map(|raw| self.take(raw)).collect()
    }

    async fn transaction(&self, id: TxId) -> Result<TransactionStatus, ApiError> {
        Ok(self.find(id))
    }

    async fn is_final(&self, id: TxId) -> Result<bool, ApiError> {
        Ok(matches!(self.find(id), TransactionStatus::Final { .. }))
    }

    async fn proof(&self, id: TxId, claim: Claim) -> Result<Vec<u8>, ApiError> {
        match (self.find(id), claim) {
            (TransactionStatus::Unknown { .. }, _) => Err(ApiError::new("tx.unknown", id.to_string())),
            (TransactionStatus::Pending { .. }, _) => Err(ApiError::new("tx.not_final", id.to_string())),
            (TransactionStatus::Final { transaction, .. }, Claim::Event { index })
                if usize::try_from(index).expect("fits") >= transaction.events.len() =>
            {
                Err(ApiError::new("tx.no_such_event", index.to_string()))
            }
            (TransactionStatus::Final { .. }, _) => Ok(vec![0xab; 4]),
        }
    }

    async fn block(&self, height: Height) -> Result<Arc<FinalBlock>, ApiError> {
        self.block_at(height)
    }

    async fn block_detail(&self, height: Height) -> Result<BlockDetail, ApiError> {
        let block = self.block_at(height)?;
        Ok(BlockDetail {
            head: *self.head.borrow(),
            summary: block.summary.clone(),
            header: block.header.clone(),
            certificate: block.certificate.clone(),
            transactions: block.transactions.iter().map(|transaction| transaction.id).collect(),
        })
    }

    async fn blocks(&self, before: Option<Height>, limit: u32) -> Result<Vec<BlockSummary>, ApiError> {
        let state = self.state.lock().expect("lock");
        let below = state.blocks.iter().rev().filter(|b| before.is_none_or(|before| b.summary.height < before));
        Ok(below.take(usize::try_from(limit).expect("fits")).map(|block| block.summary.clone()).collect())
    }

    async fn query(&self, request: QueryRequest) -> Result<QueryView, ApiError> {
        match (request.contract.as_str(), request.method.as_str()) {
            ("notes", "echo") => {
                let output = request.body.encoded.clone().unwrap_or_default();
                Ok(QueryView { height: *self.head.borrow(), output, value: Some(request.body.arguments) })
            }
            ("notes", "panic") => panic!("a bug in a handler"),
            ("notes", "hang") => std::future::pending().await,
            ("notes", "refuse") => Err(ApiError::new("notes.not_yours", "not for you")),
            ("notes", method) => Err(ApiError::new("query.unknown_method", method)),
            ("documents", method) => {
                let arguments = request.body.encoded.map(|encoded| encoded.0).unwrap_or_default();
                let output = crate::erasures::answer(method, &arguments);
                let output = output.ok_or_else(|| ApiError::new("query.unknown_method", method))?;
                Ok(QueryView { height: *self.head.borrow(), output: HexBytes(output), value: None })
            }
            (contract, _) => Err(ApiError::new("query.unknown_contract", contract)),
        }
    }

    async fn state(&self, contract: ContractName, key: Vec<u8>, prove: bool) -> Result<StateView, ApiError> {
        let value = (key == [1]).then(|| HexBytes(vec![2]));
        let proof = value.clone().filter(|_| prove);
        Ok(StateView { height: *self.head.borrow(), contract, key: HexBytes(key), value, proof })
    }

    async fn contract(&self, name: ContractName) -> Result<ContractView, ApiError> {
        let all = self.contracts(None, 10).await?;
        let summary = all.into_iter().find(|contract| contract.name == name);
        let summary = summary.ok_or_else(|| ApiError::new("contract.unknown", name.to_string()))?;
        Ok(ContractView { summary, code_bytes: 5, abi: json!({ "methods": [] }) })
    }

    async fn contracts(&self, after: Option<ContractName>, limit: u32) -> Result<Vec<ContractSummary>, ApiError> {
        let names = ["a", "b", "notes"].map(|name| ContractName::new(name).expect("name"));
        let rest = names.into_iter().filter(|name| after.as_ref().is_none_or(|after| name > after));
        let summary = |name| ContractSummary {
            name,
            code_hash: CodeHash::ZERO,
            deployed_at: Height(1),
            version: 1,
            standing: "active".into(),
            previous: None,
            canary: None,
        };
        Ok(rest.take(usize::try_from(limit).expect("fits")).map(summary).collect())
    }

    async fn validators(&self, height: Option<Height>) -> Result<ValidatorsView, ApiError> {
        let head = *self.head.borrow();
        let height = height.unwrap_or(Height(head.0 + 1));
        if height.0 > head.0 + 1 {
            return Err(ApiError::new("block.unknown", "above the head").at("height"));
        }
        Ok(ValidatorsView { head, height, hash: ValidatorsHash::ZERO, total_power: Power(0), validators: vec![] })
    }

    async fn members(&self) -> Result<Vec<MemberView>, ApiError> {
        Ok(vec![])
    }

    async fn accounts(
        &self,
        member: Option<String>,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountView>, ApiError> {
        let account = |n: u8| AccountView {
            account: AccountId([n; 32]),
            member: if n == 3 { "b".into() } else { "a".into() },
            name: format!("user-{n}"),
            key: PublicKey::ed25519([n; 32]),
            roles: vec!["reader".into()],
            standing: "active".into(),
            successor: None,
        };
        let all = (1..=5).map(account).filter(|a| member.as_ref().is_none_or(|m| a.member == *m));
        let rest = all.filter(|a| after.is_none_or(|after| a.account > after));
        Ok(rest.take(usize::try_from(limit).expect("fits")).collect())
    }

    async fn certificates(
        &self,
        _: Option<String>,
        after: Option<Hash32>,
        limit: u32,
    ) -> Result<Vec<CertificateView>, ApiError> {
        let certificate = |n: u8| CertificateView {
            fingerprint: Hash32([n; 32]),
            member: "a".into(),
            serial: HexBytes(vec![n]),
            subject_kind: "system".into(),
            subject: "erp".into(),
            not_after: TimestampMs(9),
            recorded: Height(1),
            standing: "valid".into(),
            changed: Height(1),
            reason: String::new(),
        };
        let rest = (1..=3).map(certificate).filter(|c| after.is_none_or(|after| c.fingerprint > after));
        Ok(rest.take(usize::try_from(limit).expect("fits")).collect())
    }

    fn member_authority(&self) -> Option<(String, Vec<u8>)> {
        self.state.lock().expect("lock").authority.clone()
    }

    fn certificate(&self, fingerprint: Hash32) -> Option<CertificateView> {
        self.state.lock().expect("lock").recorded.get(&fingerprint).cloned()
    }

    async fn packages(&self) -> Result<Vec<PackageView>, ApiError> {
        Ok(vec![])
    }

    async fn proposals(&self, before: Option<u64>, limit: u32) -> Result<Vec<ProposalSummary>, ApiError> {
        let rest = (1..=3).rev().filter(|id| before.is_none_or(|before| *id < before));
        Ok(rest.take(usize::try_from(limit).expect("fits")).map(proposal).collect())
    }

    async fn proposal(&self, id: u64) -> Result<ProposalView, ApiError> {
        if (1..=3).contains(&id) {
            Ok(ProposalView { summary: proposal(id), actions: vec![], ballots: vec![] })
        } else {
            Err(ApiError::new("proposal.unknown", format!("there is no proposal {id}")).at("id"))
        }
    }

    async fn dry_run(&self, id: u64) -> Result<DryRunView, ApiError> {
        self.proposal(id).await?;
        Ok(DryRunView { height: *self.head.borrow(), ok: true, actions: vec![] })
    }

    async fn evidence(&self, after: Option<Cursor>, limit: u32) -> Result<Vec<EvidenceView>, ApiError> {
        let evidence = |sequence| EvidenceView {
            height: Height(3),
            sequence,
            node: NodeId::ZERO,
            name: None,
            kind: "double_prevote".into(),
            bytes: HexBytes(vec![1]),
        };
        let rest = (0..3)
            .map(evidence)
            .filter(|one| after.is_none_or(|after| Cursor { height: one.height, index: one.sequence } > after));
        Ok(rest.take(usize::try_from(limit).expect("fits")).collect())
    }

    async fn status(&self) -> NodeStatus {
        let condition = self.state.lock().expect("lock").condition.clone().unwrap_or_else(|| Condition::ok(1));
        NodeStatus {
            chain: CHAIN,
            chain_name: "test".into(),
            node: NodeId::ZERO,
            node_name: "a".into(),
            member: "platform".into(),
            version: "0".into(),
            role: Role::Validator,
            head: *self.head.borrow(),
            head_hash: BlockHash::ZERO,
            head_time: TimestampMs(0),
            state_root: StateRoot::ZERO,
            last_block_age_ms: 1,
            height: Height(1),
            round: Round(0),
            step: "idle".into(),
            peers: vec![],
            peers_connected: 0,
            peers_expected: 0,
            mempool_transactions: 0,
            mempool_bytes: 0,
            syncing: false,
            uptime_ms: 1,
            condition,
        }
    }

    async fn params(&self) -> Result<ChainParams, ApiError> {
        Ok(ChainParams {
            chain: CHAIN,
            chain_name: "test".into(),
            head: *self.head.borrow(),
            expiry_window: 100,
            transaction_bytes_max: 1 << 20,
            block_bytes_max: 8 << 20,
            transaction_fuel_max: 1,
            parameters: [("expiry_window".to_owned(), "100".to_owned())].into(),
        })
    }

    async fn metrics(&self) -> String {
        "vouch_ledger_head 1".into()
    }

    async fn operations(&self) -> Result<OperationsView, ApiError> {
        Ok(OperationsView { processors: 2, ..OperationsView::default() })
    }

    fn lists(&self) -> Option<&dyn Lists> {
        self.lists.as_ref().map(|lists| lists as &dyn Lists)
    }

    async fn backup(&self, path: PathBuf) -> Result<BackupView, ApiError> {
        if path.exists() {
            return Err(ApiError::new("backup.path_exists", path.display().to_string()));
        }
        let (height, state_root) = (*self.head.borrow(), StateRoot::ZERO);
        let (files, files_missing, files_damaged, lacking) = (0, 0, 0, Vec::new());
        let path = path.display().to_string();
        Ok(BackupView { path, height, state_root, bytes: 1, files, files_missing, files_damaged, lacking })
    }
}

fn proposal(id: u64) -> ProposalSummary {
    ProposalSummary {
        id,
        kind: "contracts".into(),
        member: None,
        title: "t".into(),
        state: "open".into(),
        closed: None,
        failure: None,
        content: Hash32::ZERO,
        proposer: AccountId::ZERO,
        proposer_member: "a".into(),
        created: Height(1),
        created_at: TimestampMs(1),
        deadline: TimestampMs(2),
        tally: TallyView { approving: 1, rejecting: 0, entitled: 4, needed: 3 },
    }
}

pub fn stalled() -> Condition {
    Condition { state: ConditionState::Stalled, reason_en: "two validators are missing".into(), ..Condition::ok(5) }
}

pub fn key() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

/// A signed transaction calling `notes.<method>`, unique by `n`.
pub fn transaction(n: u8, method: &str) -> (TxId, Vec<u8>) {
    let contract = ContractName::new("notes").expect("name");
    let body = TransactionBody {
        version: 1,
        chain: CHAIN,
        expiry: Height(50),
        salt: [n; 16],
        calls: vec![Call { contract, method: method.into(), arguments: vec![n] }],
    };
    (body.id(), encode(&body.sign(&[&key()])))
}

/// What the node goes by in tests without a connection.
pub const NODE: &str = "node1.example:7480";

pub fn config(limits: Limits) -> ApiConfig {
    ApiConfig {
        listen: "127.0.0.1:0".parse().expect("address"),
        names: BTreeSet::from([NODE.parse::<Authority>().expect("name")]),
        proxies: BTreeSet::new(),
        transport: Transport::Plain,
        clients: None,
        limits,
        admin_token: AdminToken::new(ADMIN),
    }
}

pub fn unlimited() -> Limits {
    Limits { rate: None, ..Limits::default() }
}

/// A router over a chain.
pub fn api(backend: &Arc<Plain>) -> Router {
    api_with(backend, unlimited(), CancellationToken::new())
}

pub fn api_with(backend: &Arc<Plain>, limits: Limits, shutdown: CancellationToken) -> Router {
    let backend: Arc<dyn Backend> = Arc::<Plain>::clone(backend);
    router(ApiState::new(backend, None, &config(limits), shutdown).expect("nothing to read"))
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    /// The code of a problem, after a check of everything every problem must have.
    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.status);
        let problem = self.json();
        let code = problem["code"].as_str().expect("code").to_owned();
        assert_eq!(problem["type"], format!("urn:vouch:error:{code}"));
        assert_eq!(problem["status"], self.status.as_u16());
        let id = self.headers["x-request-id"].to_str().expect("id");
        assert_eq!(problem["instance"], format!("urn:vouch:request:{id}"));
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        code
    }
}

pub async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("body").to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path)
}

pub async fn get(router: &Router, path: &str) -> Answer {
    send(router, request("GET", path).body(Body::empty()).expect("request")).await
}

pub async fn post(router: &Router, path: &str, media_type: &str, body: impl Into<Body>) -> Answer {
    let request = request("POST", path).header("content-type", media_type).body(body.into()).expect("request");
    send(router, request).await
}
