//! `vouch relation`: who serves whom, who received whose service, who watches over whom.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;
use vouch_types::{document::Party, relation::RelationKind};

use super::{
    GlobalArgs,
    doc::parse_party,
    subject::{ask, show},
    tx::{SigningArgs, sign_and_submit},
};

/// Relationships: they decide who may see whose documents. One side offers, the other agrees, either ends.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Offer a relationship; it begins when the other side agrees, a regulator's at once
    Begin {
        /// What it is
        #[arg(value_parser = ["serves", "receives", "regulates"])]
        kind: String,
        /// The member that serves, received the service, or watches
        member: String,
        /// Whom it concerns: a member, subject:ALIAS for a person, or, for a regulator, everyone
        #[arg(value_parser = parse_concerned)]
        party: Party,
        /// With receives: the member that serves the person and placed the service
        #[arg(long, required_if_eq("kind", "receives"))]
        via: Option<String>,
        /// Until when it counts, in milliseconds since 1970
        #[arg(long, value_name = "MS")]
        until_ms: Option<u64>,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Agree to relationships that were offered to your member
    Accept {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<u64>,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Say no to relationships that were offered to your member
    Decline {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<u64>,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Take an offer back
    Withdraw {
        /// Its number
        id: u64,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// End relationships: nothing new is shown by them from then on
    End {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<u64>,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// One relationship
    Show {
        /// Its number
        id: u64,
    },
    /// Relationships, of a party or all
    List {
        /// A member, subject:ALIAS, or everyone
        #[arg(long, value_parser = parse_concerned)]
        party: Option<Party>,
        /// After this number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// How many, at most 50
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

fn parse_concerned(text: &str) -> Result<Party, String> {
    if text == "everyone" { Ok(Party::default()) } else { parse_party(text) }
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let (command, client) = match args.command {
        Command::Show { id } => return show(global, &ask(global, "relationship", json!({ "id": id })).await?),
        Command::List { party: Some(party), after, limit } => {
            let arguments = json!({ "party": party, "after": after, "limit": limit });
            return show(global, &ask(global, "list_party", arguments).await?);
        }
        Command::List { party: None, after, limit } => {
            return show(global, &ask(global, "list", json!({ "after": after, "limit": limit })).await?);
        }
        act => (act, global.client()?),
    };
    let builder = client.transaction_builder().await?;
    let (builder, signing) = match command {
        Command::Begin { kind, member, party, via, until_ms, signing } => {
            let kind = match kind.as_str() {
                "serves" => RelationKind::Serves,
                "receives" => RelationKind::Receives,
                _ => RelationKind::Regulates,
            };
            (builder.offer_relationship(kind, &member, party, via, until_ms), signing)
        }
        Command::Accept { ids, signing } => (builder.answer_relationships(&ids, true), signing),
        Command::Decline { ids, signing } => (builder.answer_relationships(&ids, false), signing),
        Command::Withdraw { id, signing } => (builder.withdraw_relationship(id), signing),
        Command::End { ids, signing } => (builder.end_relationships(&ids), signing),
        Command::Show { .. } | Command::List { .. } => return Ok(ExitCode::SUCCESS),
    };
    sign_and_submit(&client, builder, &signing, global).await
}
