//! The part of the demo with a private document: an identity that the institution issues about the enterprise, delivered to
//! those whom the contract names, read by its owner with proofs, and refused to the platform.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use vouch_sdk::{Client, DocumentDraft, Error, Identity, SubmittedDocument};
use vouch_types::{
    SecretKey,
    api::OutcomeView,
    document::{Party, PartyEntry},
    relation::RelationKind,
};

use super::{
    demo::{FINAL_TIMEOUT, member_key, say},
    net,
    plan::Plan,
    schemas,
};

/// How long a delivery may take in the demo.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// How often is looked whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Relationships looked at.
const RELATIONSHIPS_MAX: u32 = 50;

/// Shows it.
///
/// # Errors
/// A text that says what did not happen as it should.
pub async fn show(dir: &Path, plan: &Plan) -> Result<()> {
    say("A private document: the institution vouches for the identity of the enterprise.")?;
    schemas::prepare(dir, plan, None).await?;
    relate(dir, plan).await?;
    let issuer = client(dir, plan, "institution")?;
    let begun = Instant::now();
    let document = issuer.submit_document(&draft(), &member_key(dir, plan, "institution")?).await?;
    say(&format!(
        "  submitted at the institution's node, final in block {} after {} ms; on the chain stands its root:\n  {}",
        document.height,
        begun.elapsed().as_millis(),
        document.root
    ))?;
    for member in ["enterprise", "regulator"] {
        arrives(dir, plan, member, &document).await?;
        say(&format!("  the {member}'s node holds it after {} ms", begun.elapsed().as_millis()))?;
    }
    let fields = client(dir, plan, "enterprise")?.read_document(document.id, document.version, None, "own").await?;
    say(&format!(
        "  the enterprise reads {} fields at its own node, each proven to stand under that root: {} …",
        fields.fields.len(),
        fields.fields.keys().take(4).cloned().collect::<Vec<_>>().join(", ")
    ))?;
    refused(dir, plan, &document).await?;
    say("")
}

fn draft() -> DocumentDraft {
    let values = json!({
        "name": "Riverside Foods 河畔餐饮", "credit_code": "91120116MA05X1A2B3", "result": "passed",
        "verified_at": "2026-11-26T09:00:00+08:00", "legal_representative": "Wang Xiaoming 王小明",
        "representative_id_number": "11010519491231002X", "contact_mobile": "13800138000",
        "bank_account": "6222020200112233445",
    });
    let values = match values {
        Value::Object(values) => values,
        _ => serde_json::Map::new(),
    };
    DocumentDraft {
        schema: "enterprise-identity".into(),
        values,
        parties: vec![PartyEntry { role: "enterprise".into(), party: Party::member("enterprise") }],
        public: vec!["name".into(), "result".into()],
        ..DocumentDraft::default()
    }
}

/// A client of a member's node, as that member's account.
///
/// # Errors
/// When the member has no node or no account.
pub fn client(dir: &Path, plan: &Plan, member: &str) -> Result<Client> {
    let node = plan.nodes.iter().find(|node| node.member == member).with_context(|| format!("no member {member}"))?;
    let mut config = net::client_config(dir, node)?;
    config.chain = Some(plan.chain);
    config.identity = Some(Identity::new(member_key(dir, plan, member)?));
    Ok(config.build()?)
}

/// The institution serves enterprise and platform, the regulator watches over everyone. Done once; a demo that goes on has them.
async fn relate(dir: &Path, plan: &Plan) -> Result<()> {
    let client = client(dir, plan, "institution")?;
    let contract = vouch_types::ContractName::new(vouch_types::relation::CONTRACT)?;
    let body = vouch_types::api::QueryBody {
        arguments: json!({ "after": 0, "limit": RELATIONSHIPS_MAX }),
        encoded: None,
        height: None,
    };
    let known = client.query(&contract, "list", body).await?.value.context("the list of relationships")?;
    if known.as_array().is_some_and(|list| !list.is_empty()) {
        return Ok(());
    }
    let institution = member_key(dir, plan, "institution")?;
    let regulator = member_key(dir, plan, "regulator")?;
    let offer = |builder: vouch_sdk::TransactionBuilder, kind, member: &str, party| {
        builder.offer_relationship(kind, member, party, None, None)
    };
    let builder = || client.transaction_builder();
    for (number, served) in (1..).zip(["enterprise", "platform"]) {
        let serves = offer(builder().await?, RelationKind::Serves, "institution", Party::member(served));
        send(&client, serves, &institution).await?;
        send(&client, builder().await?.answer_relationships(&[number], true), &member_key(dir, plan, served)?).await?;
    }
    let regulates = offer(builder().await?, RelationKind::Regulates, "regulator", Party::default());
    send(&client, regulates, &regulator).await
}

async fn send(client: &Client, builder: vouch_sdk::TransactionBuilder, key: &SecretKey) -> Result<()> {
    let transaction = builder.sign(&[key])?;
    client.submit(&transaction).await?;
    let view = client.wait(transaction.id, FINAL_TIMEOUT).await?;
    match &view.receipt.outcome {
        OutcomeView::Success => Ok(()),
        OutcomeView::Failed { code, message, .. } => bail!("a relationship: {code}: {message}"),
    }
}

/// Waits until a member's node holds what it is to hold.
async fn arrives(dir: &Path, plan: &Plan, member: &str, document: &SubmittedDocument) -> Result<()> {
    let client = client(dir, plan, member)?;
    let deadline = Instant::now() + DELIVERY_TIMEOUT;
    // What is final at one node is so at the next a moment later.
    while client.document(document.id).await?.is_none() && Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let audience = client.audience(document.id, document.version).await?;
    let due = audience.members.iter().find(|entitled| entitled.member == member);
    let due = &due.with_context(|| format!("the {member} is not entitled"))?.fields;
    loop {
        let holding = client.document_holding(document.id, document.version).await?;
        if due.is_subset(&holding.fields) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the document did not reach the {member} within {} s", DELIVERY_TIMEOUT.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The platform has no part in it: its node has nothing, and the contract says so.
async fn refused(dir: &Path, plan: &Plan, document: &SubmittedDocument) -> Result<()> {
    let client = client(dir, plan, "platform")?;
    let holding = client.document_holding(document.id, document.version).await?;
    match client.read_document(document.id, document.version, None, "own").await {
        Err(Error::Refused { problem, .. }) if problem.code == "vault.not_allowed" && holding.fields.is_empty() => {
            say(&format!("  the platform's node holds nothing of it and is refused: {}", problem.detail))
        }
        Err(error) => bail!("the platform was to be refused by the contract, but: {error}"),
        Ok(_) => bail!("the platform was shown a document that is not for it"),
    }
}
