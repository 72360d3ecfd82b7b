//! What a cluster needs of the machine: its turn, a folder, ports.

use std::{
    fs::{File, OpenOptions, TryLockError},
    net::TcpListener,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::program::Program;

/// How long a cluster waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(540);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Where ports are looked for: above the well-known ones and below those the system hands out by itself.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// The right to run a cluster, held until dropped; the system takes it back when a process dies.
#[derive(Debug)]
pub struct Turn {
    /// Locked as long as it is open.
    _file: File,
}

impl Turn {
    /// Waits for the right.
    ///
    /// # Errors
    /// When another cluster does not end in time.
    pub async fn take(program: &Program) -> Result<Self> {
        let path = program.folder()?.join("cluster.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let deadline = Instant::now() + TURN_TIMEOUT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => tokio::time::sleep(LOOK_EVERY).await,
                Err(TryLockError::WouldBlock) => bail!("another cluster still holds {}", path.display()),
                Err(TryLockError::Error(error)) => return Err(error).context("locking"),
            }
        }
    }
}

/// The first of the ports for a network of so many members: networks from there, APIs 100 above, listeners behind relays
/// 200 above. All of them are free at this moment.
///
/// # Errors
/// When no such stretch is found.
pub fn free_ports(members: u16) -> Result<u16> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..200 {
        let first = PORTS.start + rand::random::<u16>() % (PORTS.end - PORTS.start - 300);
        if [0, 100, 200].into_iter().all(|above| (0..members).all(|n| is_free(first + above + n))) {
            return Ok(first);
        }
    }
    bail!("no free ports on 127.0.0.1 in {PORTS:?}")
}
