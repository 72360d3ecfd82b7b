//! One node as a process.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::program::Program;

/// Ticks a second of the times in `/proc`; the kernel's interface fixes it.
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes of a page in `/proc`.
const PAGE_BYTES: u64 = 4096;

/// What can be sent to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Stop in order.
    Terminate,
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
}

/// What a process has used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Processor time of all its threads, in seconds.
    pub cpu_seconds: f64,
    /// Memory that is resident now, in bytes.
    pub resident_bytes: u64,
}

/// A running node. Killed when dropped. It stays in the caller's process group, so that whoever ends the caller by group
/// ends it as well.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
}

impl NodeProcess {
    /// Starts the node of a home; what it says goes to `node.log` there.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &Program, home: &Path) -> Result<Self> {
        let log = || OpenOptions::new().create(true).append(true).open(home.join("node.log")).context("node.log");
        let mut command = Command::new(&program.path);
        command.arg("--home").arg(home).arg("node").stdin(Stdio::null()).stdout(log()?).stderr(log()?);
        for name in ["NODE", "HOME", "CA", "CHAIN", "LANG", "KEY", "PASSWORD_FD", "LOG", "CLIENT_CERT", "CLIENT_KEY"] {
            command.env_remove(format!("VOUCH_{name}"));
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", program.path.display()))?;
        Ok(Self { child })
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("kill")?;
        self.child.wait().context("wait")?;
        Ok(())
    }

    /// Sends the deadly signal without waiting.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill_only(&mut self) -> Result<()> {
        self.child.kill().context("kill")
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Pause => "-STOP",
            Signal::Resume => "-CONT",
        };
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status().context("the program kill")?;
        if status.success() { Ok(()) } else { bail!("{name} to {pid}: {status}") }
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn stop(mut self, patience: Duration) -> Result<(ExitStatus, Duration)> {
        let begun = Instant::now();
        self.signal(Signal::Terminate)?;
        let status = self.ended(patience).await?;
        Ok((status, begun.elapsed()))
    }

    /// Waits until it ended by itself.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn ended(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("process {} has not ended after {} ms", self.child.id(), patience.as_millis());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// When the process is gone or the system has no `/proc`.
    pub fn usage(&self) -> Result<Usage> {
        let folder = Path::new("/proc").join(self.child.id().to_string());
        let (_, cpu_seconds) = stat(&folder)?;
        let statm = std::fs::read_to_string(folder.join("statm")).context("statm")?;
        let pages: u64 = statm.split_whitespace().nth(1).context("statm")?.parse()?;
        Ok(Usage { cpu_seconds, resident_bytes: pages * PAGE_BYTES })
    }

    /// Processor time so far by the names of its threads, in seconds. Threads that ended are not in it.
    ///
    /// # Errors
    /// When the process is gone or the system has no `/proc`.
    pub fn cpu_by_thread(&self) -> Result<BTreeMap<String, f64>> {
        let mut threads = BTreeMap::new();
        for task in std::fs::read_dir(Path::new("/proc").join(self.child.id().to_string()).join("task"))? {
            // One that ends just now is none of those that do the work.
            let Ok((name, seconds)) = stat(&task?.path()) else { continue };
            *threads.entry(name).or_default() += seconds;
        }
        Ok(threads)
    }
}

/// Name and processor time, in seconds, of a process or thread by its folder in `/proc`.
fn stat(folder: &Path) -> Result<(String, f64)> {
    let stat = std::fs::read_to_string(folder.join("stat")).context("stat")?;
    // The name, in brackets, may hold anything; the numbers stand behind it, beginning with field 3.
    let (name, numbers) = stat.rsplit_once(')').context("stat")?;
    let name = name.split_once('(').context("stat")?.1.to_owned();
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    let ticks = |field: usize| -> Result<f64> { Ok(numbers.get(field - 3).context("stat")?.parse::<f64>()?) };
    Ok((name, (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND))
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
