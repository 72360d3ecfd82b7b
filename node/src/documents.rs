//! The API's view of the vault: private documents of this node's member.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use vouch_api::{ApiError, Documents, FilePlace};
use vouch_ledger::{Reader, registry::MemberRecord};
use vouch_types::{
    AccountId, Call, ContractName, DocumentRoot, Hash32, Height, NodeId, PublicKey, SubjectId,
    api::{
        AccountView, AuditRecordView, BeginUploadRequest, CheckView, DamageView, DisclosedField, DocumentReading,
        ErasureStatementView, FileOpening, FinishUploadRequest, HeldVersionView, HeldView, HexBytes, HoldingView,
        OpenFileRequest, PossessionReceiptView, ReadDocumentRequest, StageRequest, StagedView, UploadView, VaultView,
        VersionRef,
    },
    codec::Format,
    decode,
    document::{Action, DocumentId, Party},
    encode,
    relation::{self, Subject},
};
use vouch_vault::{
    Access, AuditRecord, Chain as _, CheckPoint, Damage, Delivery, LedgerChain, Listed, Place, Question, ReadAnswer,
    ReadRefusal, ReadRequest, Scope, StageError, Vault, VersionKey, message::FileKey, party_name,
};
use wincode::SchemaRead;

use crate::{
    decisions,
    document_files::FileWork,
    vault::{NotRunning, VaultHandle, member_of, stage_error},
    views::count,
};

/// Most versions named as missing.
const MISSING_MAX: usize = 50;
/// How long one request for a check works.
const CHECK_TIME: Duration = Duration::from_secs(5);
/// Most bytes of an answer of the contract `relations`.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Asks the vault for the API.
#[derive(Clone)]
pub struct NodeDocuments {
    /// The vault's thread.
    pub vault: VaultHandle,
    /// The chain.
    pub reader: Reader,
    /// This node.
    pub node: NodeId,
    /// Files that are being written or hashed.
    pub files: FileWork,
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

    /// What the contract `relations` says; `None` while it is not there, or when it refuses to say.
    async fn relations<T>(&self, method: &'static str, arguments: Vec<u8>) -> Result<Option<T>, ApiError>
    where
        T: for<'a> SchemaRead<'a, Format, Dst = T> + Send + 'static,
    {
        let reader = self.reader.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let contract = ContractName::new(relation::CONTRACT).ok()?;
            let outcome = reader.query(&Call { contract, method: method.into(), arguments }).map_err(drop);
            Some(outcome.map(|outcome| {
                let output = outcome.result.ok()?;
                decode("answer of a contract", &output, ANSWER_BYTES_MAX).ok()
            }))
        });
        match asked.await {
            Ok(Some(Ok(answer))) => Ok(answer),
            Ok(Some(Err(()))) => Err(NotRunning.into()),
            Ok(None) | Err(_) => Err(ApiError::new("internal", "a question to the chain did not end")),
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

pub(crate) fn refused(refusal: &ReadRefusal) -> ApiError {
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

    async fn person(&self, account: AccountId) -> Result<Option<SubjectId>, ApiError> {
        let subject: Option<Option<SubjectId>> = self.relations("subject_of_account", encode(&account)).await?;
        Ok(subject.flatten())
    }

    async fn serves(&self, subject: SubjectId) -> Result<bool, ApiError> {
        let member = self.member().await?;
        let registered: Option<Option<Subject>> = self.relations("subject", encode(&subject)).await?;
        if registered.flatten().is_some_and(|subject| subject.member == member) {
            return Ok(true);
        }
        let serving: Option<Vec<String>> = self.relations("serving", encode(&Party::subject(subject))).await?;
        Ok(serving.is_some_and(|members| members.contains(&member)))
    }

    async fn is_watched_by(&self, member: String) -> Result<bool, ApiError> {
        let watched = self.member().await?;
        let is_active = self.reader.published().registry.members.get(&member).is_some_and(MemberRecord::is_active);
        if !is_active {
            return Ok(false);
        }
        let regulators: Option<Vec<String>> = self.relations("regulators", encode(&watched)).await?;
        Ok(regulators.is_some_and(|members| members.contains(&member)))
    }

    async fn held(&self, subject: SubjectId, after: u64, limit: u32) -> Result<Vec<HeldView>, ApiError> {
        let named = self.chain(move |chain| {
            let listed = chain.documents(&Scope::Party(party_name(&Party::subject(subject))), after, limit)?;
            let with_record = |listed: Listed| Ok(chain.record(&listed.id)?.map(|record| (listed.number, record)));
            listed.into_iter().map(with_record).collect::<Result<Vec<_>, _>>()
        });
        let mut held = Vec::new();
        for (number, document) in named.await?.into_iter().flatten() {
            let (id, latest) = (document.id, document.latest);
            let asked = self.vault.ask(move |vault, _| {
                let mut versions = Vec::new();
                for version in 1..=latest {
                    let fields = vault.possession(&VersionKey { id, version })?;
                    if !fields.is_empty() {
                        versions.push(HeldVersionView { version, fields });
                    }
                }
                Ok((versions, vault.reads_of(&id)?))
            });
            let (versions, reads) = asked.await?;
            held.push(HeldView {
                number,
                document: id,
                schema: document.schema,
                issuer: document.issuer,
                latest,
                versions,
                reads,
            });
        }
        Ok(held)
    }

    async fn stage(&self, request: StageRequest) -> Result<StagedView, ApiError> {
        let delivery = Delivery::from_bytes(&request.delivery.0).map_err(|_| stage_error(&StageError::Malformed))?;
        let (key, root) = (delivery.key, request.root.0);
        let staged = self.vault.ask_with_step(move |vault, now| vault.stage_with_step(now, &delivery, root)).await?;
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
        let access = if request.export { Access::Export } else { Access::Read };
        let (fields, purpose) = (request.fields, request.purpose);
        let request = ReadRequest { actor, key, fields, purpose, access };
        let shown = self.vault.ask(move |vault, now| vault.read(now, &request)).await?;
        shown.map(reading).map_err(|refusal| refused(&refusal))
    }

    async fn begin_upload(
        &self,
        actor: AccountId,
        place: FilePlace,
        request: BeginUploadRequest,
    ) -> Result<UploadView, ApiError> {
        self.begin_file(actor, place, request).await
    }

    async fn upload(&self, actor: AccountId, place: FilePlace) -> Result<UploadView, ApiError> {
        self.file_upload(actor, place).await
    }

    async fn put_piece(
        &self,
        actor: AccountId,
        place: FilePlace,
        offset: u64,
        piece: Bytes,
    ) -> Result<UploadView, ApiError> {
        self.write_piece(actor, place, offset, piece).await
    }

    async fn finish_upload(
        &self,
        actor: AccountId,
        place: FilePlace,
        request: FinishUploadRequest,
    ) -> Result<UploadView, ApiError> {
        self.finish_file(actor, place, request.root).await
    }

    async fn end_upload(&self, actor: AccountId, place: FilePlace) -> Result<(), ApiError> {
        self.end_file(actor, place).await
    }

    async fn open_file(
        &self,
        actor: AccountId,
        place: FilePlace,
        request: OpenFileRequest,
    ) -> Result<FileOpening, ApiError> {
        self.open(actor, place, request).await
    }

    async fn file_piece(
        &self,
        actor: AccountId,
        place: FilePlace,
        opening: [u8; 16],
        range: core::ops::Range<u64>,
    ) -> Result<Vec<u8>, ApiError> {
        self.cut(actor, place, opening, range).await
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
            uploads: u64::from(count(status.uploads)),
            upload_bytes: status.upload_bytes,
            wants_some: status.wants_some,
            owes_some: status.owes_some,
            missing: missing.into_iter().map(version).collect(),
            audit_records: status.audit_records,
            audit_anchored: status.audit_anchored,
            audit_head,
        })
    }

    async fn check(&self, from: Option<String>) -> Result<CheckView, ApiError> {
        let mut point = from.as_deref().map(point_of).transpose()?;
        let begun = Instant::now();
        let mut damages = Vec::new();
        loop {
            // One slice at a time: deliveries and readings go on between.
            let asked = self.vault.ask(move |vault, now| {
                let (found, next) = vault.check_some(now, point)?;
                let named = found.iter().map(|damage| Ok(damage_view(damage, field_of(vault, damage)?)));
                Ok((named.collect::<Result<Vec<_>, vouch_vault::VaultError>>()?, next))
            });
            let (found, next) = asked.await?;
            damages.extend(found);
            point = next;
            if point.is_none() || begun.elapsed() > CHECK_TIME {
                return Ok(CheckView { damages, next: point.map(point_text) });
            }
        }
    }
}

/// How far a check came, as a text for the caller to bring back.
fn point_text(point: CheckPoint) -> String {
    let key = HexBytes(point.key.to_bytes().to_vec());
    match point.inside {
        None => key.to_string(),
        Some((file, offset)) => format!("{key}-{}-{}-{offset}", file.slot, file.index),
    }
}

fn point_of(text: &str) -> Result<CheckPoint, ApiError> {
    let read = || {
        let mut parts = text.split('-');
        let key: HexBytes = parts.next()?.parse().ok()?;
        let key = VersionKey::from_bytes(&key.0)?;
        let rest: Vec<&str> = parts.collect();
        let inside = match rest[..] {
            [] => None,
            [slot, index, offset] => {
                let file = FileKey { slot: slot.parse().ok()?, index: index.parse().ok()? };
                Some((file, offset.parse().ok()?))
            }
            _ => return None,
        };
        Some(CheckPoint { key, inside })
    };
    read().ok_or_else(|| ApiError::new("request.bad_parameter", "expected what an answer gave as next").at("from"))
}

pub(crate) fn reading(answer: ReadAnswer) -> DocumentReading {
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
        access: record.access.name().into(),
        document: record.key.id,
        version: record.key.version,
        fields: record.fields,
        purpose: record.purpose,
        result: record.result,
        previous: record.previous,
    }
}

/// The name of the field that is damaged, or whose file is.
fn field_of(vault: &Vault, damage: &Damage) -> Result<Option<String>, vouch_vault::VaultError> {
    match damage.place {
        Place::Leaves | Place::Keys => Ok(None),
        Place::Field(slot) => vault.field_name(&damage.key, slot),
        Place::File { file, .. } | Place::Unreadable { file, .. } => vault.field_name(&damage.key, file.slot),
    }
}

fn damage_view(damage: &Damage, field: Option<String>) -> DamageView {
    let (place, slot, file, bytes) = match damage.place {
        Place::Leaves => ("leaves", None, None, None),
        Place::Keys => ("keys", None, None, None),
        Place::Field(slot) => ("field", Some(slot), None, None),
        Place::File { file, from, to } => ("file", Some(file.slot), Some(file.index), Some([from, to])),
        Place::Unreadable { file, from, to } => ("unreadable", Some(file.slot), Some(file.index), Some([from, to])),
    };
    DamageView { document: damage.key.id, version: damage.key.version, place: place.into(), slot, field, file, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_goes_on_where_it_said() {
        let key = VersionKey { id: DocumentId::new([7; 16]), version: 3 };
        for inside in [None, Some((FileKey { slot: 8, index: 2 }, 1 << 40))] {
            let point = CheckPoint { key, inside };
            assert_eq!(point_of(&point_text(point)).ok(), Some(point));
        }
        let good = point_text(CheckPoint { key, inside: None });
        for bad in ["", "zz", &good[2..], &format!("{good}-1-2"), &format!("{good}-1-2-x"), &format!("{good}-1-2-3-4")]
        {
            assert!(point_of(bad).is_err(), "{bad}");
        }
    }
}
