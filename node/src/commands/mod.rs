//! The client side of the command line: one file per noun, all through the SDK.
//!
//! Exit codes: 0 done; 1 no node could be reached or it failed; 2 wrong usage; 3 refused (bad input, unknown thing);
//! 4 a proof shows nothing; 5 the transaction is final but failed; 6 the node's condition is not ok.
//! `vouch scan` says 3 when it finds something and 1 when a file could not be judged.
//!
//! With `--json` a command writes one JSON value (or one per line when it follows something) to standard output and errors
//! as a problem document to standard error. Without, texts are in the language of `--lang` or of the environment.

pub mod block;
pub mod cert;
pub mod completion;
pub mod contract;
pub mod decide;
pub mod deid;
pub mod doc;
pub mod events;
pub mod global;
pub mod gov;
pub mod index;
pub mod key;
pub mod member;
pub mod output;
pub mod params;
mod parts;
pub mod password;
pub mod peer;
pub mod query;
pub mod relation;
pub mod rules;
pub mod scan;
pub mod schema;
pub mod source;
pub mod status;
pub mod subject;
pub mod text;
pub mod tx;
pub mod user;
pub mod verify;

use std::process::ExitCode;

pub use global::GlobalArgs;
pub use output::{Side, report_error};

/// The commands that need nothing but a client. Flatten it into the program's own enum of commands.
#[derive(Debug, clap::Subcommand)]
pub enum ClientCommand {
    /// How the node is doing and, if not well, why and what to do
    Status(status::Args),
    /// Send, follow and prove transactions
    Tx(tx::Args),
    /// Look at blocks
    Block(block::Args),
    /// Ask a contract
    Query(query::Args),
    /// List, describe, deploy and call contracts
    Contract(contract::Args),
    /// Propose, vote, and look at what the members decide
    Gov(gov::Args),
    /// Organisations, their administrators and keys
    Member(member::Args),
    /// Certificates of a member's own authority, and which outside systems a node lets in
    Cert(cert::Args),
    /// Users and services of a member
    User(user::Args),
    /// Nodes of the consortium
    Peer(peer::Args),
    /// Private documents: submit, read, sign, grant, dispute, erase
    Doc(doc::Args),
    /// Schemas of documents
    Schema(schema::Args),
    /// Persons, by their aliases
    Subject(subject::Args),
    /// Who serves, received from, or watches over whom
    Relation(relation::Args),
    /// Verify an evidence package, an SD-JWT or a disclosure, without a network
    Verify(verify::Args),
    /// Parameters of the chain
    Params(params::Args),
    /// Make and look at key files
    Key(key::Args),
    /// The node's index: lists, search and statistics
    Index(index::Args),
    /// Follow blocks, transactions and events
    Events(events::Args),
    /// Find sensitive data in files
    Scan(scan::Args),
    /// Take sensitive data out of a file
    Deid(deid::Args),
    /// Look at, check and sign rules for sensitive data
    Rules(rules::Args),
}

/// Runs one of them and shows what went wrong.
pub async fn run(command: ClientCommand, global: &GlobalArgs) -> ExitCode {
    let result = match command {
        ClientCommand::Status(args) => status::run(args, global).await,
        ClientCommand::Tx(args) => tx::run(args, global).await,
        ClientCommand::Block(args) => block::run(args, global).await,
        ClientCommand::Query(args) => query::run(args, global).await,
        ClientCommand::Contract(args) => contract::run(args, global).await,
        ClientCommand::Gov(args) => gov::run(args, global).await,
        ClientCommand::Member(args) => member::run(args, global).await,
        ClientCommand::Cert(args) => cert::run(args, global).await,
        ClientCommand::User(args) => user::run(args, global).await,
        ClientCommand::Peer(args) => peer::run(args, global).await,
        ClientCommand::Doc(args) => doc::run(args, global).await,
        ClientCommand::Schema(args) => schema::run(args, global).await,
        ClientCommand::Subject(args) => subject::run(args, global).await,
        ClientCommand::Relation(args) => relation::run(args, global).await,
        ClientCommand::Verify(args) => verify::run(&args, global),
        ClientCommand::Params(args) => params::run(args, global).await,
        ClientCommand::Key(args) => key::run(args, global).await,
        ClientCommand::Index(args) => index::run(args, global).await,
        ClientCommand::Events(args) => events::run(args, global).await,
        ClientCommand::Scan(args) => scan::run(&args, global),
        ClientCommand::Deid(args) => deid::run(&args, global),
        ClientCommand::Rules(args) => rules::run(args, global),
    };
    result.unwrap_or_else(|error| report_error(&error, global, Side::Client))
}
