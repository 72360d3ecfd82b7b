//! `vouch member`: organisations, their administrators and keys.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use vouch_certificates::Certificate;
use vouch_types::{
    Hash32, PublicKey,
    api::{HexBytes, Language, MemberView, Problem},
};

use super::{
    GlobalArgs, cert,
    decide::{DecideArgs, OwnArgs, own_affair, propose},
    output::{emit, table},
    text::Text,
};
use crate::runner::wall;

/// Organisations: look at them, bring them in, pause them, take them out, change their administrators and keys.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Who speaks for a member.
#[derive(Debug, Clone, clap::Args)]
struct PolicyArgs {
    /// An administrator's public key; given once for each
    #[arg(long = "admin-key", value_name = "KEY", required = true)]
    admin_keys: Vec<PublicKey>,
    /// How many of them act for the member
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    admin_threshold: u16,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All members
    List,
    /// One member
    Show {
        /// The member
        name: String,
    },
    /// Propose to bring an organisation in
    Register {
        /// Its name: 1 to 32 of a-z 0-9 - _ . with a letter first
        name: String,
        /// Its name for people
        #[arg(long = "display", value_name = "TEXT")]
        display: String,
        /// What it is
        #[arg(long, value_parser = ["platform", "institution", "enterprise", "regulator"])]
        role: String,
        #[command(flatten)]
        policy: PolicyArgs,
        /// Its X25519 key, 64 hexadecimal digits
        #[arg(long, value_name = "HEX")]
        encryption_key: Option<Hash32>,
        /// The root certificate of its own authority (DER or PEM)
        #[arg(long, value_name = "FILE")]
        root: Option<PathBuf>,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Propose to pause a member with its accounts and nodes; of kind emergency
    Suspend {
        /// The member
        name: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Propose to let a suspended member take part again
    Resume {
        /// The member
        name: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Propose to take a member out for good
    Remove {
        /// The member
        name: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Change who speaks for a member: by its own administrators, or by the members when its keys are lost
    SetAdmins {
        /// The member
        name: String,
        #[command(flatten)]
        policy: PolicyArgs,
        /// Propose it to all members
        #[arg(long, conflicts_with = "propose")]
        by_members: bool,
        #[command(flatten)]
        own: OwnArgs,
    },
    /// Give a member another encryption key
    RotateEncryptionKey {
        /// The member
        name: String,
        /// The X25519 key, 64 hexadecimal digits
        #[arg(long, value_name = "HEX")]
        encryption_key: Hash32,
        #[command(flatten)]
        own: OwnArgs,
    },
    /// Set the root certificate of a member's own authority
    SetCa {
        /// The member
        name: String,
        /// The certificate (DER or PEM)
        #[arg(long, value_name = "FILE")]
        root: PathBuf,
        #[command(flatten)]
        own: OwnArgs,
    },
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List => list(global).await,
        Command::Show { name } => show(&name, global).await,
        Command::Register { name, display, role, policy, encryption_key, root, decide } => {
            let ca = root.map(|path| root_certificate(&path)).transpose()?;
            let arguments = json!({ "name": name, "title": display, "role": role,
                "admin_threshold": policy.admin_threshold, "admin_keys": policy.admin_keys,
                "encryption_key": encryption_key, "ca_certificate": ca });
            let actions = [("register_member", arguments)];
            propose("membership", format!("Member {name} joins"), &actions, &decide, global).await
        }
        Command::Suspend { name, reason, decide } => {
            let title = format!("Suspend member {name}");
            let actions = [("suspend_member", json!({ "name": name, "reason": reason }))];
            propose("emergency", title, &actions, &decide, global).await
        }
        Command::Resume { name, decide } => {
            let actions = [("resume_member", json!({ "name": name }))];
            propose("membership", format!("Resume member {name}"), &actions, &decide, global).await
        }
        Command::Remove { name, decide } => {
            let actions = [("remove_member", json!({ "name": name }))];
            propose("membership", format!("Member {name} leaves"), &actions, &decide, global).await
        }
        Command::SetAdmins { name, policy, by_members, own } => {
            let arguments = json!({ "member": name, "admin_threshold": policy.admin_threshold,
                "admin_keys": policy.admin_keys });
            let title = format!("Administrators of {name}");
            if by_members {
                return propose("membership", title, &[("set_admin_policy", arguments)], &own.decide, global).await;
            }
            own_affair(&name, title, "set_admin_policy", arguments, &own, global).await
        }
        Command::RotateEncryptionKey { name, encryption_key, own } => {
            let arguments = json!({ "member": name, "key": encryption_key });
            own_affair(&name, format!("Encryption key of {name}"), "rotate_encryption_key", arguments, &own, global)
                .await
        }
        Command::SetCa { name, root, own } => {
            let arguments = json!({ "member": name, "certificate": root_certificate(&root)? });
            own_affair(&name, format!("Root certificate of {name}"), "set_ca_certificate", arguments, &own, global)
                .await
        }
    }
}

/// A file with a member's root as hexadecimal DER. It is looked at before anything is sent: the chain takes what has the length
/// of one, and nodes would let nobody in by it.
fn root_certificate(path: &Path) -> anyhow::Result<Value> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let root = Certificate::read_root(&bytes, wall()).map_err(|error| cert::refused(&error, path.display()))?;
    Ok(json!(HexBytes(root.der().to_vec())))
}

async fn list(global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let members = global.client()?.members().await?.items;
    emit(global, &members, |_| {
        let line = |m: &MemberView| {
            let title = m.title.as_deref().unwrap_or_default();
            format!("{:<32}  {:<11}  {:<9}  {title}", m.name, m.role, m.standing)
        };
        members.iter().map(line).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A member by name.
///
/// # Errors
/// `system.unknown_member`, or as it went wrong.
pub async fn find(name: &str, global: &GlobalArgs) -> anyhow::Result<MemberView> {
    let found = global.client()?.members().await?.items.into_iter().find(|member| member.name == name);
    let unknown = || {
        let problem = Problem::new("system.unknown_member", format!("there is no member {name}"));
        vouch_sdk::Error::Refused { problem: Box::new(problem), node: String::new(), retry_after_s: None }
    };
    Ok(found.ok_or_else(unknown)?)
}

async fn show(name: &str, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let member = find(name, global).await?;
    emit(global, &member, |language| member_lines(&member, language))?;
    Ok(ExitCode::SUCCESS)
}

fn member_lines(member: &MemberView, language: Language) -> Vec<String> {
    let policy = format!("{} / {}", member.admin_threshold, member.admin_keys.len());
    let mut rows = vec![
        (Text::Member, member.name.clone()),
        (Text::Title, member.title.clone().unwrap_or_default()),
        (Text::Role, member.role.clone()),
        (Text::Status, member.standing.clone()),
        (Text::Administrators, policy),
    ];
    rows.extend(member.admin_keys.iter().map(|key| (Text::PublicKey, key.to_string())));
    rows.extend(member.encryption_keys.iter().map(|key| {
        let retired = key.retired.map(|at| format!(" - {at}")).unwrap_or_default();
        (Text::EncryptionKey, format!("{} {} ({}{retired})", key.id, key.key, key.since))
    }));
    rows.extend(
        member
            .nodes
            .iter()
            .map(|node| (Text::Node, format!("{} {} {} {}", node.name, node.address, node.power, node.node))),
    );
    rows.push((Text::Accounts, member.accounts.to_string()));
    table(language, &rows)
}

#[cfg(test)]
mod tests {
    use vouch_certificates::{Authority, Key, NewAuthority, ROOT_BYTES_MAX};

    use super::*;
    use crate::commands::output::Refused;

    #[test]
    fn a_root_is_looked_at_before_it_is_sent() {
        assert_eq!(ROOT_BYTES_MAX, vouch_genesis::CERTIFICATE_BYTES_MAX);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.pem");
        let new = NewAuthority {
            organisation: "bank".into(),
            title: "Authority of bank".into(),
            permitted: vec!["bank.example".parse().unwrap()],
            has_nodes_below: true,
            days: 30,
        };
        let authority = Authority::create(&new, &Key::generate().unwrap(), wall()).unwrap();
        fs::write(&path, authority.certificate().to_pem()).unwrap();
        assert_eq!(root_certificate(&path).unwrap(), json!(HexBytes(authority.certificate().der().to_vec())));
        // It begins as a certificate does, which is all that the chain looks at.
        fs::write(&path, [0x30, 0x82, 0x01, 0x00, 0x00]).unwrap();
        let error = root_certificate(&path).unwrap_err();
        let Refused(problem) = error.downcast_ref().unwrap();
        assert_eq!(problem.code, "certificate.malformed");
        assert!(problem.location.as_deref().is_some_and(|at| at.ends_with("root.pem")), "{problem:?}");
    }
}
