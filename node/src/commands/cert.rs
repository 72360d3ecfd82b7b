//! `vouch cert`: the member's own certificate authority, its certificates, and which outside systems a node lets in.

mod allow;
mod folder;
mod issue;
mod local;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use serde_json::{Value, json};
use vouch_certificates::{Certificate, CertificateError, Permit, Reason, Scope, ServerName};
use vouch_types::{
    AccountId, Hash32,
    api::{HexBytes, Language},
};

use super::{
    GlobalArgs,
    output::{Refused, table, time_text},
    text::Text,
};

/// Certificates: make the member's authority, apply, issue, renew, revoke, destroy; let outside systems in at a node.
///
/// What a certificate is worth stands on the chain; each of the member's nodes sees it at the next block.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Where the member's authority lies.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct AuthorityArgs {
    /// The folder of the member's authority
    #[arg(long, value_name = "DIR", env = "VOUCH_AUTHORITY")]
    authority: PathBuf,
}

/// How it comes to stand on the chain.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ChainArgs {
    /// Key file of an operator of the member, or of enough of its administrators
    #[arg(long = "key", value_name = "FILE", env = "VOUCH_KEY", value_delimiter = ',')]
    keys: Vec<PathBuf>,
    /// Leave the chain for later: vouch cert record brings it there. Nodes let nobody in by a certificate that is not on it
    #[arg(long)]
    offline: bool,
    /// How long to wait until it is final, in seconds
    #[arg(long, default_value_t = 30)]
    timeout_s: u64,
}

/// Whom a certificate speaks for.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct SubjectArgs {
    /// An outside system that calls the member's nodes, by name
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
    /// A user or service of the member
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// A node of the member, by name: signs its own server certificates with it
    #[arg(long = "for-node", value_name = "NAME")]
    node: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the member's authority: a key that a password protects, and a root that signs itself
    Init {
        #[command(flatten)]
        authority: AuthorityArgs,
        /// The member
        #[arg(long)]
        member: String,
        /// Domains and nets it may sign for, such as bank.example or 10.0.0.0/8; it can sign for no others
        #[arg(long = "permit", value_name = "NAME", value_delimiter = ',', default_value = "localhost,127.0.0.0/8")]
        permits: Vec<Permit>,
        /// How long it lasts, in days
        #[arg(long, default_value_t = 3650)]
        days: u32,
        /// Write its key as it is, without a password: for development only
        #[arg(long)]
        unencrypted: bool,
    },
    /// Make a key and a request for a certificate; for a node (--home, --for-node) the request is for the key it has
    Apply {
        /// The member
        #[arg(long)]
        member: String,
        #[command(flatten)]
        subject: SubjectArgs,
        /// Where to write the new key; not with --for-node
        #[arg(long, value_name = "FILE")]
        key_out: Option<PathBuf>,
        /// Where to write the request
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a request, record the certificate on the chain, and write it
    Issue(issue::IssueArgs),
    /// Sign a certificate anew before it ends: for the same key, or for that of another request
    Renew(issue::RenewArgs),
    /// Say that a certificate no longer counts: on the chain and in the list of revoked ones. With --reason key-compromise end
    /// all that are for its key
    Revoke {
        /// The certificate
        fingerprint: Hash32,
        /// Why
        #[arg(long, value_parser = parse_reason, default_value = "unspecified")]
        reason: Reason,
        #[command(flatten)]
        authority: AuthorityArgs,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Destroy a certificate's key for good, and say so on the chain
    Destroy {
        /// The certificate
        fingerprint: Hash32,
        /// Its key: overwritten and removed; left out where it was destroyed elsewhere
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        #[command(flatten)]
        authority: AuthorityArgs,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Destroy the authority's own key for good: nothing can be issued, renewed or revoked in its list after that; on the chain
    /// certificates can still be revoked
    Close {
        #[command(flatten)]
        authority: AuthorityArgs,
        /// That it is meant
        #[arg(long)]
        yes: bool,
    },
    /// Bring a certificate that was issued offline onto the chain, or its revocation
    Record {
        /// The certificate
        fingerprint: Hash32,
        /// Where to write the certificate, if whoever applied has not got it yet; must not exist
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        authority: AuthorityArgs,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Sign the list of revoked certificates anew
    Crl {
        #[command(flatten)]
        authority: AuthorityArgs,
        /// When the next one comes at the latest, in days
        #[arg(long, default_value_t = 7)]
        days: u32,
        /// Where to write it besides; replaced at once, as a node that reads it wants
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Certificates that the authority issued
    List {
        #[command(flatten)]
        authority: AuthorityArgs,
        /// Only those to be renewed: two thirds of their life are over
        #[arg(long)]
        due: bool,
    },
    /// What stands in a certificate file, and what the chain says of it when a node is named
    Show {
        /// The certificate, PEM or DER
        file: PathBuf,
    },
    /// Put a certificate that the member's authority issued for this node (--home) in place
    Install {
        /// The certificate of the node's authority
        file: PathBuf,
        /// The member's root
        #[arg(long, value_name = "FILE")]
        root: PathBuf,
    },
    /// Let an outside system in at the node of --home
    Allow {
        /// What its certificates speak for, as system:NAME or NAME alone, or a fingerprint for one certificate
        client: String,
        /// What it may do: read, submit, admin; given once for each
        #[arg(long, value_parser = parse_scope, value_delimiter = ',', default_value = "read")]
        scope: Vec<Scope>,
        /// An account it may act for; given once for each, none for any
        #[arg(long = "account", value_name = "ID")]
        accounts: Vec<AccountId>,
        /// For people
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Let an outside system in no more
    Disallow {
        /// As it was allowed
        client: String,
    },
    /// Outside systems that the node of --home lets in
    Allowed,
}

fn parse_reason(text: &str) -> Result<Reason, String> {
    use Reason::{
        AffiliationChanged, CessationOfOperation, KeyCompromise, PrivilegeWithdrawn, Superseded, Unspecified,
    };
    let all = [Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn];
    let found = all.into_iter().find(|reason| reason.as_str().replace('_', "-") == text.replace('_', "-"));
    found.ok_or_else(|| all.map(Reason::as_str).join(", "))
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    let all = [Scope::Read, Scope::Submit, Scope::Admin];
    all.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| all.map(Scope::as_str).join(", "))
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Init { authority, member, permits, days, unencrypted } => {
            local::init(&authority, &member, permits, days, unencrypted, global)
        }
        Command::Apply { member, subject, key_out, out } => {
            local::apply(&member, &subject, key_out.as_deref(), &out, global)
        }
        Command::Issue(args) => issue::issue(args, global).await,
        Command::Renew(args) => issue::renew(args, global).await,
        Command::Revoke { fingerprint, reason, authority, chain } => {
            issue::revoke(fingerprint, reason, &authority, &chain, global).await
        }
        Command::Destroy { fingerprint, key_file, authority, chain } => {
            issue::destroy(fingerprint, key_file.as_deref(), &authority, &chain, global).await
        }
        Command::Close { authority, yes } => local::close(&authority, yes, global),
        Command::Record { fingerprint, out, authority, chain } => {
            issue::record(fingerprint, out.as_deref(), &authority, &chain, global).await
        }
        Command::Crl { authority, days, out } => issue::crl(&authority, days, out.as_deref(), global),
        Command::List { authority, due } => issue::list(&authority, due, global),
        Command::Show { file } => local::show(&file, global).await,
        Command::Install { file, root } => local::install(&file, &root, global),
        Command::Allow { client, scope, accounts, note } => allow::allow(&client, scope, accounts, note, global),
        Command::Disallow { client } => allow::disallow(&client, global),
        Command::Allowed => allow::allowed(global),
    }
}

/// An error about certificates, with the file it is about.
pub(super) fn refused(error: &CertificateError, place: impl std::fmt::Display) -> anyhow::Error {
    Refused::error(error.code(), error.to_string(), place.to_string())
}

/// A certificate as the commands show it.
pub(super) fn value(certificate: &Certificate, standing: &str) -> Value {
    json!({
        "fingerprint": certificate.fingerprint(),
        "serial": HexBytes(certificate.serial().to_vec()),
        "subject": certificate.subject().map(ToString::to_string),
        "title": certificate.title(),
        "issuer": certificate.issuer(),
        "not_before": certificate.not_before(),
        "not_after": certificate.not_after(),
        "renew_at": certificate.renew_at(),
        "names": certificate.names().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "for_clients": certificate.is_for_clients(),
        "for_servers": certificate.is_for_servers(),
        "authority": certificate.is_authority(),
        "standing": standing,
    })
}

/// The same for people.
pub(super) fn lines(certificate: &Certificate, standing: &str, language: Language) -> Vec<String> {
    let names: Vec<String> = certificate.names().iter().map(ServerName::to_string).collect();
    let subject = certificate.subject().map_or_else(|| certificate.title().to_owned(), ToString::to_string);
    let mut rows = vec![
        (Text::Fingerprint, certificate.fingerprint().to_string()),
        (Text::Serial, HexBytes(certificate.serial().to_vec()).to_string()),
        (Text::Subject, subject),
        (Text::Issuer, certificate.issuer().to_owned()),
        (Text::ValidFrom, time_text(certificate.not_before().0)),
        (Text::ValidUntil, time_text(certificate.not_after().0)),
    ];
    if !names.is_empty() {
        rows.push((Text::Hosts, names.join(", ")));
    }
    if !standing.is_empty() {
        rows.push((Text::Status, standing.to_owned()));
    }
    table(language, &rows)
}
