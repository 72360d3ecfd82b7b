//! What changes a document: each is one transaction, signed by an account with the role that the contract asks for.

use std::process::ExitCode;

use clap::Subcommand;
use vouch_sdk::NewGrant;
use vouch_types::{Hash32, SubjectId, api::HexBytes, document::DocumentId};

use super::{
    super::{
        GlobalArgs,
        tx::{SigningArgs, sign_and_submit},
    },
    slots, version_of,
};

/// What changes a document.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Sign a version as a party of it, or bring the signature of a person
    Sign {
        /// The document
        id: DocumentId,
        /// Its version; the newest if left out
        #[arg(long)]
        version: Option<u32>,
        /// Sign for this person, whom your member serves
        #[arg(long, value_name = "ALIAS")]
        subject: Option<SubjectId>,
        /// With --subject, when the person has a key of their own: their signature
        #[arg(long, value_name = "HEX", requires = "subject")]
        signature: Option<HexBytes>,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Accept a version's content after a look at it
    Accept {
        #[command(flatten)]
        judge: JudgeArgs,
    },
    /// Reject a version's content; if your member has to sign it, that stops it
    Reject {
        #[command(flatten)]
        judge: JudgeArgs,
    },
    /// Take back a document your member issued
    Revoke {
        /// The document
        id: DocumentId,
        /// Why: a code
        #[arg(long, default_value = "withdrawn")]
        code: String,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Open fields to a member or a public key beyond the rules
    Grant {
        /// The document
        id: DocumentId,
        /// Its version; the newest if left out
        #[arg(long)]
        version: Option<u32>,
        /// To this member
        #[arg(long, value_name = "MEMBER", required_unless_present = "to_key")]
        to: Option<String>,
        /// To whoever has the secret of this X25519 public key
        #[arg(long, value_name = "HEX", conflicts_with = "to")]
        to_key: Option<Hash32>,
        /// A field; given once for each
        #[arg(long = "field", value_name = "NAME", required = true)]
        fields: Vec<String>,
        /// For which purpose: a code
        #[arg(long, value_name = "CODE")]
        purpose: String,
        /// Until when, in milliseconds since 1970; until it is ended if left out
        #[arg(long, value_name = "MS")]
        until_ms: Option<u64>,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// End a grant
    EndGrant {
        /// Its number
        grant: u64,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Ask for the erasure of a document: every holder destroys it and attests that, unless law or a hold keep it
    Erase {
        /// The document
        id: DocumentId,
        /// Order what was held back, when nothing holds it back any more; the issuer's node does so by itself within a day
        #[arg(long, conflicts_with_all = ["close", "withdraw", "code"])]
        order: bool,
        /// Close what has passed its deadline, and name those who have not attested; the issuer's node does so too
        #[arg(long, conflicts_with_all = ["withdraw", "code"])]
        close: bool,
        /// Take the request back, as long as law, a hold or a dispute keep the document
        #[arg(long, conflicts_with = "code")]
        withdraw: bool,
        /// Why: a code
        #[arg(long, default_value = "requested")]
        code: String,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Put a legal hold on a document, as a regulator: as long as it lasts, nobody erases it
    Hold {
        /// The document
        id: DocumentId,
        /// Why: a code
        #[arg(long)]
        code: String,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Lift the hold that your member has put on a document
    LiftHold {
        /// The document
        id: DocumentId,
        /// Your member
        member: String,
        #[command(flatten)]
        signing: SigningArgs,
    },
}

/// A verdict on a version's content.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct JudgeArgs {
    /// The document
    id: DocumentId,
    /// Its version; the newest if left out
    #[arg(long)]
    version: Option<u32>,
    /// Why: a code
    #[arg(long, default_value = "checked")]
    code: String,
    #[command(flatten)]
    signing: SigningArgs,
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub(super) async fn run(command: Command, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    let builder = client.transaction_builder().await?;
    let (builder, signing) = match command {
        Command::Sign { id, version, subject, signature, signing } => {
            let version = version_of(&client, id, version).await?;
            let builder = match subject {
                None => builder.sign_document(id, version),
                Some(subject) => {
                    builder.sign_document_for(id, version, subject, signature.map(|signature| signature.0))
                }
            };
            (builder, signing)
        }
        Command::Accept { judge } => {
            let version = version_of(&client, judge.id, judge.version).await?;
            (builder.judge_document(judge.id, version, true, &judge.code), judge.signing)
        }
        Command::Reject { judge } => {
            let version = version_of(&client, judge.id, judge.version).await?;
            (builder.judge_document(judge.id, version, false, &judge.code), judge.signing)
        }
        Command::Revoke { id, code, signing } => (builder.revoke_document(id, &code), signing),
        Command::Grant { id, version, to, to_key, fields, purpose, until_ms, signing } => {
            let version = version_of(&client, id, version).await?;
            let fields = slots(&client, id, version, &fields).await?;
            let grant = NewGrant { member: to, key: to_key, fields, purpose, until_ms };
            (builder.grant_document(id, version, &grant), signing)
        }
        Command::EndGrant { grant, signing } => (builder.end_grant(grant), signing),
        Command::Erase { id, order: true, signing, .. } => (builder.order_erasure(id), signing),
        Command::Erase { id, close: true, signing, .. } => (builder.close_erasure(id), signing),
        Command::Erase { id, withdraw: true, signing, .. } => (builder.withdraw_erasure(id), signing),
        Command::Hold { id, code, signing } => (builder.set_hold(id, &code), signing),
        Command::LiftHold { id, member, signing } => (builder.lift_hold(id, &member), signing),
        Command::Erase { id, code, signing, .. } => (builder.request_erasure(id, &code), signing),
    };
    sign_and_submit(&client, builder, &signing, global).await
}
