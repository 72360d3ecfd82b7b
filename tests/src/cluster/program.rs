//! The program under test, as a user calls it: arguments in, exit code and text out.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::process::Command;

/// How often is looked at a process's memory.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// No single command takes longer.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the program and the contracts are.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program `vouch`.
    pub path: PathBuf,
    /// The folder with `notary.wasm` and `meter.wasm`.
    pub contracts: PathBuf,
}

/// What a command said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("no JSON from a command: {self:?}"))
    }

    /// The code of the problem that a command with `--json` wrote to standard error.
    ///
    /// # Errors
    /// When there is none.
    pub fn problem_code(&self) -> Result<String> {
        let line = self.stderr.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
        let problem: Value =
            serde_json::from_str(line).with_context(|| format!("no problem from a command: {self:?}"))?;
        problem["code"].as_str().map(str::to_owned).with_context(|| format!("a problem without a code: {line}"))
    }

    /// Itself when the command succeeded.
    ///
    /// # Errors
    /// When it did not.
    pub fn success(self) -> Result<Self> {
        if self.code == 0 { Ok(self) } else { bail!("a command failed: {self:?}") }
    }
}

impl Program {
    /// As the environment names them (`VOUCH_BIN`, `VOUCH_CONTRACTS`), else where this build would put them.
    ///
    /// # Errors
    /// When they are not there; the text says how to build them.
    pub fn find() -> Result<Self> {
        let here = std::env::current_exe().context("the program does not know where it is")?;
        // target/debug/bench, or target/debug/deps/cluster-0123.
        let folder = here.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).context("no folder")?;
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let path = named("VOUCH_BIN").unwrap_or_else(|| folder.join("vouch"));
        let beside = || folder.parent().unwrap_or(folder).join("contracts");
        let contracts = named("VOUCH_CONTRACTS").unwrap_or_else(beside);
        if !path.is_file() {
            bail!("there is no program at {}: run `cargo build --workspace --bins`, or set VOUCH_BIN", path.display());
        }
        if !contracts.join("meter.wasm").is_file() {
            bail!("there are no contracts in {}: run `./run contracts`, or set VOUCH_CONTRACTS", contracts.display());
        }
        Ok(Self { path, contracts })
    }

    /// The folder the program is in.
    ///
    /// # Errors
    /// When it has none.
    pub fn folder(&self) -> Result<&Path> {
        self.path.parent().context("the program is in no folder")
    }

    /// One command, without any `VOUCH_*` of the caller's environment.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).env("LANG", "C.UTF-8");
        for name in
            ["NODE", "HOME", "CA", "CHAIN", "LANG", "KEY", "PASSWORD_FD", "AUTHORITY", "CLIENT_CERT", "CLIENT_KEY"]
        {
            command.env_remove(format!("VOUCH_{name}"));
        }
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time. That it failed is no error: see [`Output::code`].
    pub async fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Output> {
        let running = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        let output = tokio::time::timeout(COMMAND_TIMEOUT, running).await.context("a command did not end")??;
        Ok(Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// Runs a command to its end, however long; what it said, and the most memory that was resident in it.
///
/// # Errors
/// When it cannot be started.
pub async fn peak_of(mut command: Command) -> Result<(Output, u64)> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("a command")?;
    let process = child.id().context("a process")?;
    let ended = child.wait_with_output();
    tokio::pin!(ended);
    let mut peak = 0;
    loop {
        tokio::select! {
            output = &mut ended => {
                let output = output?;
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
                return Ok((Output { code: output.status.code().unwrap_or(-1), stdout, stderr }, peak));
            }
            () = tokio::time::sleep(LOOK_EVERY) => peak = peak.max(peak_memory(process)),
        }
    }
}

/// The most memory that was resident in a running process, in bytes; 0 when it is gone.
#[must_use]
pub fn peak_memory(process: u32) -> u64 {
    let said = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = said.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
