//! The API's view of the vault: private documents of this node's member.

use std::sync::Arc;

use async_trait::async_trait;
use vouch_api::{ApiError, Documents};
use vouch_ledger::Reader;
use vouch_types::{
    AccountId, DocumentRoot, Hash32, Height, NodeId, PublicKey,
    api::{
        AccountView, AuditRecordView, CheckView, DamageView, DisclosedField, DocumentReading, ErasureStatementView,
        HoldingView, PossessionReceiptView, ReadDocumentRequest, StageRequest, StagedView, VaultView, VersionRef,
    },
    document::{Action, DocumentId},
};
use vouch_vault::{
    Access, AuditRecord, Chain as _, Damage, Delivery, Place, Question, ReadAnswer, ReadRefusal, ReadRequest,
    StageError, Vault, VersionKey,
};

use crate::{
    decisions,
    vault::{LedgerChain, NotRunning, VaultHandle, member_of, stage_error},
    views::count,
};

/// Most versions named as missing.
const MISSING_MAX: usize = 50;

/// Asks the vault for the API.
#[derive(Clone)]
pub struct NodeDocuments {
    /// The vault's thread.
    pub vault: VaultHandle,
    /// The chain.
    pub reader: Reader,
    /// This node.
    pub node: NodeId,
}

impl NodeDocuments {
    /// A question to the contracts, off the executor's threads.
    async fn chain<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LedgerChain) -> Result<T, vouch_vault::ChainError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let chain = LedgerChain::new(self.reader.clone(), Arc::default());
        match tokio::task::spawn_blocking(move || work(&chain)).await {
            Ok(answer) => answer.map_err(|_| NotRunning.into()),
            Err(_) => Err(ApiError::new("internal", "a question to the chain did not end")),
        }
    }

    fn member_of(&self, holder: &PublicKey) -> Option<String> {
        let at = self.reader.published();
        at.registry.nodes.values().find(|node| node.network_key == *holder).map(|node| node.member.clone())
    }
}

fn unknown() -> ApiError {
    refused(&ReadRefusal::Unknown)
}

fn refused(refusal: &ReadRefusal) -> ApiError {
    let error = ApiError::new(refusal.code(), refusal.to_string());
    if *refusal == ReadRefusal::NotHere { error.retry_after(2) } else { error }
}

#[async_trait]
impl Documents for NodeDocuments {
    async fn member(&self) -> Result<String, ApiError> {
        let at = self.reader.published();
        member_of(&at.registry, &self.node).ok_or_else(|| NotRunning.into())
    }

    async fn account(&self, account: AccountId) -> Result<Option<AccountView>, ApiError> {
        let at = self.reader.published();
        Ok(at.registry.accounts.get(&account).map(|record| decisions::account_view(record)))
    }

    async fn stage(&self, request: StageRequest) -> Result<StagedView, ApiError> {
        let delivery = Delivery::from_bytes(&request.delivery.0).map_err(|_| stage_error(&StageError::Malformed))?;
        let (key, root) = (delivery.key, request.root.0);
        let staged = self.vault.ask(move |vault, now| vault.stage(now, &delivery, root)).await?;
        let staged = staged.map_err(|refusal| stage_error(&refusal))?;
        Ok(StagedView {
            document: key.id,
            version: key.version,
            root: DocumentRoot(staged.root),
            blob_root: staged.blob_root.map(Hash32),
            schema: staged.schema,
            schema_version: staged.schema_version,
            staged_at: vouch_types::TimestampMs(staged.at_ms),
        })
    }

    async fn read(
        &self,
        actor: AccountId,
        document: DocumentId,
        version: u32,
        request: ReadDocumentRequest,
    ) -> Result<DocumentReading, ApiError> {
        let key = VersionKey { id: document, version };
        let (fields, purpose) = (request.fields, request.purpose);
        let request = ReadRequest { actor, key, fields, purpose, access: Access::Read };
        let shown = self.vault.ask(move |vault, now| vault.read(now, &request)).await?;
        shown.map(reading).map_err(|refusal| refused(&refusal))
    }

    async fn holding(&self, document: DocumentId, version: u32) -> Result<HoldingView, ApiError> {
        let key = VersionKey { id: document, version };
        let asked = self
            .vault
            .ask(move |vault, _| Ok((vault.possession(&key)?, vault.staged(&key)?.is_some(), vault.receipts(&key)?)));
        let (fields, staged, receipts) = asked.await?;
        let is_nothing = fields.is_empty() && !staged && receipts.is_empty();
        if is_nothing && self.chain(move |chain| chain.document(&key)).await?.is_none() {
            return Err(unknown());
        }
        let receipt = |receipt: vouch_vault::Receipt| PossessionReceiptView {
            member: self.member_of(&receipt.holder),
            holder: receipt.holder,
            fields: receipt.fields,
            height: receipt.height,
            signature: receipt.signature,
        };
        let receipts = receipts.into_iter().map(receipt).collect();
        Ok(HoldingView { document, version, fields, staged, receipts })
    }

    async fn audit(
        &self,
        document: Option<DocumentId>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecordView>, ApiError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let asked = self.vault.ask(move |vault, _| match document {
            Some(id) => vault.audit_of(&id, after, limit),
            None => vault.audit(after, limit),
        });
        Ok(asked.await?.into_iter().map(audit_view).collect())
    }

    async fn may_audit(&self, actor: AccountId, document: DocumentId) -> Result<(), ApiError> {
        let decided = self.chain(move |chain| {
            let Some(version) = chain.latest(&document)? else { return Ok(None) };
            let key = VersionKey { id: document, version };
            chain.may(&Question { actor, action: Action::Audit, key, purpose: String::new() }).map(Some)
        });
        match decided.await? {
            Some(decision) if decision.allowed => Ok(()),
            Some(decision) => Err(refused(&ReadRefusal::NotAllowed(decision.reason))),
            None => Err(unknown()),
        }
    }

    async fn erasure_statement(&self, document: DocumentId) -> Result<Option<ErasureStatementView>, ApiError> {
        let chain = self.reader.chain();
        let statement = self.vault.ask(move |vault, _| vault.erasure_statement(&document)).await?;
        Ok(statement.map(|statement| ErasureStatementView {
            digest: statement.digest(&chain),
            document: statement.id,
            member: statement.member,
            versions: statement.versions,
            height: statement.height,
            node: statement.node,
            signature: statement.signature,
        }))
    }

    async fn vault(&self) -> Result<VaultView, ApiError> {
        let member = self.member().await?;
        let asked = self.vault.ask(|vault, _| Ok((vault.status()?, vault.missing(MISSING_MAX)?, vault.audit_head().1)));
        let (status, missing, audit_head) = asked.await?;
        let version = |key: VersionKey| VersionRef { document: key.id, version: key.version };
        Ok(VaultView {
            member,
            height: Height(status.height),
            staged: u64::from(count(status.staged)),
            wants_some: status.wants_some,
            owes_some: status.owes_some,
            missing: missing.into_iter().map(version).collect(),
            audit_records: status.audit_records,
            audit_anchored: status.audit_anchored,
            audit_head,
        })
    }

    async fn check(&self) -> Result<CheckView, ApiError> {
        let damages = self.vault.ask(Vault::check_everything).await?;
        Ok(CheckView { damages: damages.iter().map(damage_view).collect() })
    }
}

fn reading(answer: ReadAnswer) -> DocumentReading {
    let rows_of = |slot: u16| {
        let found = answer.rows.iter().find(|(of, _)| *of == slot);
        found.map(|(_, rows)| rows.disclosures().iter().map(|row| row.as_str().to_owned()).collect())
    };
    let fields = answer.disclosures.iter().map(|(slot, disclosure)| DisclosedField {
        slot: *slot,
        disclosure: disclosure.as_str().to_owned(),
        rows: rows_of(*slot),
    });
    DocumentReading {
        document: answer.key.id,
        version: answer.key.version,
        header: answer.header.to_json(),
        fields: fields.collect(),
        leaves: answer.leaves.iter().copied().map(Hash32).collect(),
        reason: answer.reason,
    }
}

fn audit_view(record: AuditRecord) -> AuditRecordView {
    AuditRecordView {
        hash: record.hash(),
        number: record.number,
        time: record.time,
        actor: record.actor,
        access: match record.access {
            Access::Read => "read",
            Access::Release => "release",
            Access::Export => "export",
        }
        .into(),
        document: record.key.id,
        version: record.key.version,
        fields: record.fields,
        purpose: record.purpose,
        result: record.result,
        previous: record.previous,
    }
}

fn damage_view(damage: &Damage) -> DamageView {
    let (place, slot, file, bytes) = match damage.place {
        Place::Leaves => ("leaves", None, None, None),
        Place::Keys => ("keys", None, None, None),
        Place::Field(slot) => ("field", Some(slot), None, None),
        Place::File { file, from, to } => ("file", Some(file.slot), Some(file.index), Some([from, to])),
    };
    DamageView { document: damage.key.id, version: damage.key.version, place: place.into(), slot, file, bytes }
}
