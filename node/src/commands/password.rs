//! Passwords: from a terminal or an open file descriptor, never from an argument or the environment's values.

use std::{
    fs::File,
    io::{IsTerminal as _, Read as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use parking_lot::Mutex;
use vouch_sdk::{
    Password,
    keystore::{self, KeystoreError},
    secret_file,
};
use vouch_types::SecretKey;
use zeroize::Zeroizing;

use super::{GlobalArgs, output::Refused, text::Text};

/// Names an open file descriptor whose first line is the password.
pub const PASSWORD_FD: &str = "VOUCH_PASSWORD_FD";
/// Most bytes read of it.
const PASSWORD_BYTES_MAX: u64 = 4096;
/// What it held: a pipe gives that once, and a command may have more than one key to open.
static READ: Mutex<Option<Password>> = Mutex::new(None);

/// The password from the descriptor, if one is named.
fn from_descriptor() -> anyhow::Result<Option<Password>> {
    let Ok(descriptor) = std::env::var(PASSWORD_FD) else { return Ok(None) };
    read_once(&READ, &descriptor).map(Some)
}

/// The password from a descriptor that may have been read before.
fn read_once(before: &Mutex<Option<Password>>, descriptor: &str) -> anyhow::Result<Password> {
    let mut before = before.lock();
    if let Some(password) = &*before {
        return Ok(password.clone());
    }
    let password = read(descriptor)?;
    *before = Some(password.clone());
    Ok(password)
}

fn read(descriptor: &str) -> anyhow::Result<Password> {
    let number: u32 = descriptor.parse().with_context(|| format!("{PASSWORD_FD} is not a file descriptor"))?;
    let file = File::open(format!("/dev/fd/{number}")).with_context(|| format!("{PASSWORD_FD}={number}"))?;
    let mut text = Zeroizing::new(String::new());
    file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("{PASSWORD_FD}={number}"))?;
    Ok(Password::new(text.lines().next().unwrap_or("")))
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
        None => return Err(nobody_to_ask(path)),
    };
    if password.is_empty() {
        bail!("an empty password protects nothing; for development there is --unencrypted");
    }
    Ok(password)
}

/// For a key file that is not there yet.
fn nobody_to_ask(path: &Path) -> anyhow::Error {
    let text = format!(
        "a password shall protect the new file, and there is no terminal at which to ask for one: name an open file \
         descriptor in {PASSWORD_FD}; for development there is --unencrypted"
    );
    Refused::error("keystore.password_required", text, path.display().to_string())
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

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::fd::AsRawFd as _};

    use super::*;

    #[test]
    fn a_pipe_serves_every_key_of_a_command() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"correct horse\nand more\n").unwrap();
        drop(writer);
        let (before, descriptor) = (Mutex::new(None), reader.as_raw_fd().to_string());
        for _ in 0..2 {
            assert_eq!(read_once(&before, &descriptor).unwrap(), Password::new("correct horse"));
        }
        assert!(read_once(&Mutex::new(None), "nine").is_err());
    }

    #[test]
    fn of_a_new_file_nobody_says_that_it_is_encrypted() {
        let error = nobody_to_ask(Path::new("authority/root.key"));
        let Refused(problem) = error.downcast_ref().unwrap();
        assert_eq!(problem.code, "keystore.password_required");
        let detail = problem.detail.as_str();
        assert!(detail.contains(PASSWORD_FD) && !detail.contains("is encrypted"), "{detail}");
    }
}
