//! The process of a demo: found again from another terminal, to stop it and to clean up.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{demo::say, net::terminate, plan::PLAN_FILE};

/// Name of the file with the process's number.
const FILE: &str = "demo.pid";
/// How long a demo may take to stop: its nodes one after the other.
const STOP_TIMEOUT: Duration = Duration::from_secs(75);

/// Says, while it lives, that this process is the demo of a folder.
#[derive(Debug)]
pub struct Mark(PathBuf);

impl Mark {
    /// Marks a folder.
    ///
    /// # Errors
    /// When another demo runs in it.
    pub fn make(folder: &Path) -> Result<Self> {
        if let Some(pid) = running(folder) {
            bail!("a demo runs in {} already, process {pid}; stop it with ./run demo stop", folder.display());
        }
        let path = folder.join(FILE);
        fs::write(&path, std::process::id().to_string()).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // A mark that stays names a process that is gone.
        drop(fs::remove_file(&self.0));
    }
}

/// The demo that runs in a folder: the number may have gone to another process since.
fn running(folder: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(folder.join(FILE)).ok()?.trim().parse().ok()?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    line.windows(9).any(|window| window == b"dev\0demo\0" || window == b"\0dev\0demo").then_some(pid)
}

/// Stops the demo of a folder, and removes the folder if asked to.
///
/// # Errors
/// When it does not stop, or the folder is none of a demo.
pub async fn stop(folder: &Path, clean: bool) -> Result<ExitCode> {
    match running(folder) {
        None => say("No demo runs here.")?,
        Some(pid) => {
            terminate(pid).await;
            let deadline = Instant::now() + STOP_TIMEOUT;
            while running(folder).is_some() {
                if Instant::now() > deadline {
                    bail!("process {pid} did not stop within {} s", STOP_TIMEOUT.as_secs());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            say("Stopped.")?;
        }
    }
    if clean && folder.exists() {
        if !folder.join(PLAN_FILE).exists() {
            bail!("{} holds no {PLAN_FILE}; it is not removed", folder.display());
        }
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        say(&format!("Removed {}.", folder.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
