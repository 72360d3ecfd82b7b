//! Gathers an evidence package from the member's own node: fields read for a purpose, which stands in the read audit, and
//! what proves them, from the chain id on.
//!
//! Deliberately not here: the form of the package and its verification, which are `vouch_privacy::evidence`; files'
//! contents, which [`Package::attach`] takes.

use std::collections::BTreeSet;

use serde_json::json;
use vouch_privacy::{
    Disclosure,
    commitment::{DocumentHeader, proof_of},
    evidence::{
        AuditExtract, AuditLine, DOCUMENTS_MAX, Disclosures, DocumentEvidence, DocumentName, History, Made, Package,
        ProvenRecord, Records, ShownField, Submission,
    },
    sd_jwt::{SdJwt, Terms},
};
use vouch_types::{
    Height, ProofBundle, PublicKey, SecretKey, TimestampMs, TxId,
    api::{AuditRecordView, Claim, DocumentReading},
    document::{self, AuditAnchor, DocumentId, Version, audit::Access, event::Submitted, key},
    light::Claim as Proven,
};

use crate::{Client, Error, ListQuery, documents::named};

/// Most records of an access log that go into one package.
const AUDIT_RECORDS_MAX: usize = 50_000;
/// Records asked for at once.
const AUDIT_PAGE: u32 = 1_000;

/// What a package is to show.
#[derive(Debug, Clone)]
pub struct EvidenceRequest {
    /// The document.
    pub id: DocumentId,
    /// Its version.
    pub version: u32,
    /// Which of its fields; all that may be seen for the purpose when `None`.
    pub fields: Option<Vec<String>>,
    /// Whether the documents that it builds on go with it, step by step, each with the fields that may be seen.
    pub related: bool,
    /// Why: a code that the schema lists; it stands in the read audit.
    pub purpose: String,
    /// What the maker wants to say with it.
    pub statement: String,
    /// Name of the own node's audit on the chain, to take the records about the documents along; needs an auditor.
    pub audit: Option<String>,
    /// The key that will sign it.
    pub signer: PublicKey,
    /// The time now.
    pub at: TimestampMs,
}

/// Proofs as they come, and the longest way from genesis among them.
#[derive(Default)]
struct Gathered {
    history: Option<(Height, History)>,
}

impl Gathered {
    fn take(&mut self, bundle: ProofBundle) -> (vouch_types::FinalityProof, Proven) {
        let ProofBundle { genesis, first_set, set_changes, finality, claim, .. } = bundle;
        let height = finality.header.height;
        if self.history.as_ref().is_none_or(|(known, _)| *known < height) {
            self.history = Some((height, History { genesis, first_set, set_changes }));
        }
        (finality, claim)
    }
}

impl Client {
    /// Reads fields of a document for a purpose and gathers what proves them. The answer is written with
    /// [`Package::write`], which checks all of it once more. The configuration must name the chain and an identity.
    ///
    /// What a node no longer has, for example the block of an old submission, is left out; a verifier says so.
    ///
    /// # Errors
    /// `vault.not_allowed` when the contract says no to a field named; [`Error::Proof`]; [`Error::NotAsCommitted`].
    pub async fn export_evidence(&self, request: &EvidenceRequest) -> Result<Package, Error> {
        let chain = self.known_chain()?;
        let member = self.account().await?.node_member;
        let mut gathered = Gathered::default();
        let main = DocumentName { id: request.id, version: request.version };
        let mut documents = Vec::new();
        let mut waiting = vec![main];
        let mut met: BTreeSet<DocumentName> = [main].into();
        while let Some(name) = waiting.pop() {
            let fields = if name == main { request.fields.as_deref() } else { None };
            let (evidence, version) = match self.gather(&mut gathered, name, fields, &request.purpose).await {
                // What may not be read is named by the reference, and the verifier says that it is not here.
                Err(Error::Refused { problem, .. }) if name != main && problem.code.starts_with("vault.") => continue,
                other => other?,
            };
            documents.push((name, evidence));
            if documents.len() > DOCUMENTS_MAX {
                return Err(Error::Construction(format!("a package holds at most {DOCUMENTS_MAX} documents")));
            }
            let named = version.content.references.iter().filter(|_| request.related);
            let named = named.map(|entry| DocumentName { id: entry.id, version: entry.version });
            waiting.extend(named.filter(|name| met.insert(*name)));
        }
        let audit = match &request.audit {
            None => None,
            Some(log) => Some(self.audit_extract(&mut gathered, &member, log, &documents).await?),
        };
        let (_, history) = gathered.history.ok_or_else(|| Error::OtherClaim("there is no proof".into()))?;
        let made = Made {
            at: request.at,
            key: request.signer,
            member,
            purpose: request.purpose.clone(),
            statement: request.statement.clone(),
        };
        Ok(Package { chain, made, history, documents, audit })
    }

    /// Chosen fields of a document version as an SD-JWT that a key of the account signs.
    ///
    /// # Errors
    /// As [`Client::read_document`].
    pub async fn export_sd_jwt(
        &self,
        id: DocumentId,
        version: u32,
        fields: Option<&[String]>,
        purpose: &str,
        terms: &Terms,
        signer: &SecretKey,
    ) -> Result<SdJwt, Error> {
        let reading = self.checked_reading(id, version, fields, purpose, true).await?;
        let header = DocumentHeader::from_json(&reading.reading.header);
        let header = header.map_err(|error| self.not_as_committed(error.to_string()))?;
        let disclosures = disclosures(&reading.reading)?.into_iter().map(|(_, disclosure)| disclosure).collect();
        Ok(SdJwt::issue(&header, reading.version.content.root, disclosures, terms, signer))
    }

    async fn gather(
        &self,
        gathered: &mut Gathered,
        name: DocumentName,
        fields: Option<&[String]>,
        purpose: &str,
    ) -> Result<(DocumentEvidence, Version), Error> {
        let reading = self.checked_reading(name.id, name.version, fields, purpose, true).await?;
        let version = reading.version;
        let schema = key::schema(&reading.schema, version.content.schema_version);
        let records = Records {
            document: self.proven_record(gathered, &key::document(&name.id)).await?,
            version: self.proven_record(gathered, &key::version(&name.id, name.version)).await?,
            schema: self.proven_record(gathered, &schema).await?,
        };
        let evidence = DocumentEvidence {
            records,
            disclosures: shown(&reading.reading)?,
            submission: self.submission(gathered, name, version.submitted.height).await?,
            attachments: Vec::new(),
        };
        Ok((evidence, version))
    }

    /// A record with its proof, which is checked.
    async fn proven_record(&self, gathered: &mut Gathered, key: &[u8]) -> Result<ProvenRecord, Error> {
        let chain = self.known_chain()?;
        let other = || Error::OtherClaim("asked was about a record of the contract documents".into());
        let view = self.state(&named(document::CONTRACT), key, true).await?;
        let bundle = ProofBundle::from_bytes(&view.proof.ok_or_else(other)?.0)?;
        bundle.verify(chain)?;
        match gathered.take(bundle) {
            (finality, Proven::State(state)) if state.key == key::in_state(key) => Ok(ProvenRecord { finality, state }),
            _ => Err(other()),
        }
    }

    /// The transaction that put a version there, found by its event; `None` when the node has no such block any more.
    async fn submission(
        &self,
        gathered: &mut Gathered,
        name: DocumentName,
        height: Height,
    ) -> Result<Option<Submission>, Error> {
        let Some((transaction, index)) = self.submitted_by(name, height).await? else { return Ok(None) };
        let proof = async |claim| match self.proof(transaction, claim).await {
            Ok((bundle, _)) => Ok(Some(bundle)),
            Err(Error::Refused { problem, .. }) if problem.code == "block.pruned" => Ok(None),
            Err(error) => Err(error),
        };
        let (Some(first), Some(second)) = (proof(Claim::Transaction).await?, proof(Claim::Event { index }).await?)
        else {
            return Ok(None);
        };
        match (gathered.take(first), gathered.take(second)) {
            ((finality, Proven::Transaction(transaction)), (_, Proven::Event(event))) => {
                Ok(Some(Submission { finality, transaction, event }))
            }
            _ => Err(Error::OtherClaim(format!("asked was about transaction {transaction}"))),
        }
    }

    /// Id and event of the transaction that submitted a version at a height.
    async fn submitted_by(&self, name: DocumentName, height: Height) -> Result<Option<(TxId, u32)>, Error> {
        let mut list = ListQuery::default();
        loop {
            let page = match self.block_transactions(Some(height), &list).await {
                Err(Error::Refused { problem, .. }) if problem.code == "block.pruned" => return Ok(None),
                other => other?,
            };
            for view in &page.items {
                let of_contract = view
                    .events
                    .iter()
                    .filter(|event| event.contract.as_str() == document::CONTRACT && event.name == "Submitted");
                for event in of_contract {
                    let said: Option<Submitted> =
                        vouch_types::decode("event", &event.data.0, document::RECORD_BYTES_MAX).ok();
                    if said.is_some_and(|said| (said.id, said.version) == (name.id, name.version)) {
                        return Ok(Some((view.id, event.index)));
                    }
                }
            }
            match page.next {
                Some(next) => list.from = Some(next),
                None => return Ok(None),
            }
        }
    }

    /// Records of the own node's audit from the first one about these documents to the newest head on the chain.
    async fn audit_extract(
        &self,
        gathered: &mut Gathered,
        member: &str,
        log: &str,
        documents: &[(DocumentName, DocumentEvidence)],
    ) -> Result<AuditExtract, Error> {
        let none =
            || Error::Construction(format!("the chain vouches for no reading of these documents in the audit {log}"));
        let anchor: Option<AuditAnchor> =
            self.ask(document::CONTRACT, "audit_head", json!({ "member": member, "node": log })).await?;
        let anchor = anchor.ok_or_else(none)?;
        let mut first = None;
        for (name, _) in documents {
            let page = self.read_audit(Some(name.id), &ListQuery { from: None, limit: Some(1) }).await?;
            let number = page.items.first().map(|record| record.number);
            first = first.into_iter().chain(number).min();
        }
        let first = first.filter(|number| *number <= anchor.entries).ok_or_else(none)?;
        let records = self.audit_records(first.saturating_sub(1), anchor.entries).await?;
        let previous = records.first().ok_or_else(none)?.previous;
        Ok(AuditExtract {
            member: member.to_owned(),
            node: log.to_owned(),
            anchor_number: anchor.number,
            anchor: self.proven_record(gathered, &key::audit_anchor(member, log, anchor.number)).await?,
            after: first.saturating_sub(1),
            previous,
            records,
        })
    }

    async fn audit_records(&self, after: u64, last: u64) -> Result<Vec<AuditLine>, Error> {
        let mut records = Vec::new();
        let mut from = after;
        while from < last {
            let query = ListQuery { from: Some(from.to_string()), limit: Some(AUDIT_PAGE) };
            let page = self.read_audit(None, &query).await?;
            let Some(end) = page.items.last().map(|record| record.number).filter(|number| *number > from) else {
                break;
            };
            records.extend(page.items.into_iter().filter(|record| record.number <= last).map(line));
            if records.len() > AUDIT_RECORDS_MAX {
                return Err(Error::Construction(format!("more than {AUDIT_RECORDS_MAX} records of the audit")));
            }
            from = end;
        }
        Ok(records)
    }
}

fn line(record: AuditRecordView) -> AuditLine {
    debug_assert!(Access::named(&record.access).is_some());
    AuditLine {
        number: record.number,
        time: record.time,
        actor: record.actor,
        access: record.access,
        document: record.document,
        version: record.version,
        fields: record.fields,
        purpose: record.purpose,
        result: record.result,
        previous: record.previous,
    }
}

fn text(text: &str) -> Result<Disclosure, Error> {
    Disclosure::from_text(text.to_owned()).map_err(|error| Error::Construction(error.to_string()))
}

fn disclosures(reading: &DocumentReading) -> Result<Vec<(u16, Disclosure)>, Error> {
    reading.fields.iter().map(|field| Ok((field.slot, text(&field.disclosure)?))).collect()
}

/// Each field of a reading with its way to the root.
fn shown(reading: &DocumentReading) -> Result<Disclosures, Error> {
    let fault = |error: vouch_privacy::CommitmentError| Error::Construction(error.to_string());
    let header = DocumentHeader::from_json(&reading.header).map_err(fault)?;
    let leaves: Vec<[u8; 32]> = reading.leaves.iter().map(|leaf| leaf.0).collect();
    let field = |field: &vouch_types::api::DisclosedField| {
        let proof = proof_of(&header, &leaves, field.slot, text(&field.disclosure)?).map_err(fault)?;
        let rows = field.rows.as_ref().map(|rows| rows.iter().map(|row| text(row)).collect::<Result<_, _>>());
        Ok(ShownField { slot: field.slot, disclosure: proof.disclosure, path: proof.path, rows: rows.transpose()? })
    };
    let fields: Vec<ShownField> = reading.fields.iter().map(field).collect::<Result<_, Error>>()?;
    if fields.is_empty() {
        return Err(Error::Construction("no field of this version may be seen for this purpose".into()));
    }
    Ok(Disclosures { header: reading.header.clone(), fields })
}
