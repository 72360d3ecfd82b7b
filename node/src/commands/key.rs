//! `vouch key`: generate, encryption, check, show.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use vouch_sdk::keystore;
use vouch_types::{PublicKey, api::Language};

use super::{
    GlobalArgs,
    doc::CallerArgs,
    output::{Refused, emit, table},
    password::{new_password, open_with_password},
    text::Text,
};
use crate::{home, vault::new_encryption_key};

/// Make and look at key files.
///
/// A password is typed at a prompt or read from the file descriptor that `VOUCH_PASSWORD_FD` names; it is never an argument.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a new key and write it to a new file that only you can read
    Generate {
        /// The file; it must not exist
        file: PathBuf,
        /// Write the secret as it is, without a password: for development only
        #[arg(long)]
        unencrypted: bool,
    },
    /// Make a new encryption key of the member in the home of its node (--home), for `vouch member rotate-encryption-key`
    ///
    /// Copy the file to the member's other nodes before the new key is registered. The old one stays: it opens what was
    /// sealed to it.
    Encryption,
    /// Show at the node that a key is one of its member's accounts, and which roles it has
    Check {
        #[command(flatten)]
        caller: CallerArgs,
    },
    /// The public key, account and node id of a key file; needs no password
    Show {
        /// The file
        file: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// The keystore's.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let (file, public_key) = match args.action {
        Action::Encryption => return encryption(global),
        Action::Check { caller } => return check(&caller, global).await,
        Action::Generate { file, unencrypted } => {
            let password = if unencrypted { None } else { Some(new_password(global, &file)?) };
            let key = keystore::generate()?;
            keystore::save(&file, &key, password.as_ref())?;
            if unencrypted && !global.json {
                eprintln!("{}", Text::NotEncrypted.in_language(global.language()));
            }
            (file, key.public())
        }
        Action::Show { file } => {
            let public_key = keystore::public_key(&file)?;
            (file, public_key)
        }
    };
    let value = json!({
        "file": file,
        "public_key": public_key,
        "account": public_key.account(),
        "node": public_key.node(),
        "encrypted": keystore::is_encrypted(&file)?,
    });
    emit(global, &value, |language| lines(&file.display().to_string(), &public_key, language))?;
    Ok(ExitCode::SUCCESS)
}

async fn check(caller: &CallerArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let (client, _) = caller.client(global)?;
    let caller = client.account().await?;
    if let Some(account) = caller.account.as_ref().filter(|account| account.member != caller.node_member) {
        let (own, other) = (&account.member, &caller.node_member);
        let detail = format!("the account is of {own}, this node of {other}: ask a node of your member");
        return Err(Refused::error("caller.forbidden", detail, "--key"));
    }
    emit(global, &caller, |language| {
        let account = caller.account.iter().flat_map(|account| {
            [
                (Text::Account, account.account.to_string()),
                (Text::Member, account.member.clone()),
                (Text::Title, account.name.clone()),
                (Text::Roles, account.roles.join(", ")),
            ]
        });
        let subject = caller.subject.iter().map(|subject| (Text::Person, format!("subject:{subject}")));
        table(language, &account.chain(subject).collect::<Vec<_>>())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn encryption(global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let home = global.home.as_ref().context("name the node's home with --home DIR or VOUCH_HOME")?;
    // Under the password of the node's other keys, which one of them checks.
    let (_, password) = open_with_password(global, &[home::consensus_key_path(home)])?;
    let folder = home::encryption_folder(home);
    home::private_folder(&folder)?;
    let public = new_encryption_key(&folder, password.as_ref())?;
    let file = folder.join(format!("{public}.key"));
    let value = json!({ "file": file, "encryption_key": public, "encrypted": keystore::is_encrypted(&file)? });
    emit(global, &value, |language| {
        table(language, &[(Text::KeyFile, file.display().to_string()), (Text::EncryptionKey, public.to_string())])
    })?;
    Ok(ExitCode::SUCCESS)
}

fn lines(file: &str, key: &PublicKey, language: Language) -> Vec<String> {
    table(
        language,
        &[
            (Text::KeyFile, file.to_owned()),
            (Text::PublicKey, key.to_string()),
            (Text::Account, key.account().to_string()),
            (Text::Node, key.node().to_string()),
        ],
    )
}
