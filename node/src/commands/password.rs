//! Passwords: from a terminal or an open file descriptor, never from an argument or the environment's values.

use std::{
    fs::File,
    io::{IsTerminal as _, Read as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use vouch_sdk::{
    Password,
    keystore::{self, KeystoreError},
    secret_file,
};
use vouch_types::SecretKey;
use zeroize::Zeroizing;

use super::{GlobalArgs, text::Text};

/// Names an open file descriptor whose first line is the password.
pub const PASSWORD_FD: &str = "VOUCH_PASSWORD_FD";
/// Most bytes read of it.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// The password from the descriptor, if one is named.
fn from_descriptor() -> anyhow::Result<Option<Password>> {
    let Ok(descriptor) = std::env::var(PASSWORD_FD) else { return Ok(None) };
    let number: u32 = descriptor.parse().with_context(|| format!("{PASSWORD_FD} is not a file descriptor"))?;
    let file = File::open(format!("/dev/fd/{number}")).with_context(|| format!("{PASSWORD_FD}={number}"))?;
    let mut text = Zeroizing::new(String::new());
    file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("{PASSWORD_FD}={number}"))?;
    Ok(Some(Password::new(text.lines().next().unwrap_or(""))))
}

fn ask(global: &GlobalArgs, text: Text, path: &Path) -> anyhow::Result<Password> {
    let prompt = format!("{} ({}): ", text.in_language(global.language()), path.display());
    Ok(Password::new(rpassword::prompt_password(prompt).context("the terminal could not be read")?))
}

/// For a new key file: asked for twice.
///
/// # Errors
/// When there is nobody to ask, nothing is typed, or the two differ.
pub fn new_password(global: &GlobalArgs, path: &Path) -> anyhow::Result<Password> {
    let password = match from_descriptor()? {
        Some(password) => password,
        None if std::io::stdin().is_terminal() => {
            let password = ask(global, Text::AskPassword, path)?;
            if ask(global, Text::AskPasswordAgain, path)? != password {
                bail!("the two passwords differ");
            }
            password
        }
        None => return Err(KeystoreError::PasswordRequired(path.into()).into()),
    };
    if password.is_empty() {
        bail!("an empty password protects nothing; for development there is --unencrypted");
    }
    Ok(password)
}

/// Opens key files; one password serves all that it opens.
///
/// # Errors
/// The keystore's, or when a password is needed and there is nobody to ask.
pub fn open_keys(global: &GlobalArgs, paths: &[std::path::PathBuf]) -> anyhow::Result<Vec<SecretKey>> {
    open_with_password(global, paths).map(|(keys, _)| keys)
}

/// Opens a file that keeps other secret bytes.
///
/// # Errors
/// As [`open_keys`].
pub fn open_bytes(global: &GlobalArgs, path: &Path, kind: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    if !secret_file::is_encrypted(path)? {
        return Ok(secret_file::load(path, kind, None)?);
    }
    let given = match from_descriptor()? {
        Some(password) => Some(password),
        None if std::io::stdin().is_terminal() => Some(ask(global, Text::AskPassword, path)?),
        None => None,
    };
    Ok(secret_file::load(path, kind, given.as_ref())?)
}

/// As [`open_keys`], with the password that opened the last encrypted one.
///
/// # Errors
/// As [`open_keys`].
pub fn open_with_password(
    global: &GlobalArgs,
    paths: &[std::path::PathBuf],
) -> anyhow::Result<(Vec<SecretKey>, Option<Password>)> {
    let mut given = None;
    let mut keys = Vec::with_capacity(paths.len());
    for path in paths {
        if !keystore::is_encrypted(path)? {
            keys.push(keystore::load(path, None)?);
            continue;
        }
        if given.is_none() {
            given = from_descriptor()?;
        }
        let mut opened = keystore::load(path, given.as_ref());
        let may_ask = matches!(&opened, Err(KeystoreError::PasswordRequired(_) | KeystoreError::WrongPassword(_)))
            && std::env::var_os(PASSWORD_FD).is_none()
            && std::io::stdin().is_terminal();
        if may_ask {
            given = Some(ask(global, Text::AskPassword, path)?);
            opened = keystore::load(path, given.as_ref());
        }
        keys.push(opened?);
    }
    Ok((keys, given))
}
