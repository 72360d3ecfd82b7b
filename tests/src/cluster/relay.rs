//! A longer wire: a relay that holds every byte back for a fixed time, each way.
//!
//! Bytes pass in order, and as fast as they come, as on a long line of ample width; or at the rate of one line that all relays with
//! it share. What is on the way is bounded, so that a receiver that does not read is felt by the sender, as it would be.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until},
};

/// Most bytes that are read at once.
const PIECE_BYTES: usize = 64 << 10;
/// What may wait before a bounded line, as time on it: less would leave the line idle between two looks.
const QUEUE: Duration = Duration::from_millis(20);
/// Most pieces on the way.
const PIECES_MAX: usize = 1024;

/// What relays hold back.
#[derive(Debug, Clone, Default)]
pub struct Wire {
    /// Every byte for so long, each way.
    pub delay: Duration,
    /// What else passes at the same time, where that is bounded.
    pub line: Option<Arc<Line>>,
}

/// So many bytes a second for all that passes through it, whichever way; without a bound until it is given one.
#[derive(Debug, Default)]
pub struct Line(Mutex<Passing>);

#[derive(Debug, Default)]
struct Passing {
    bytes_per_second: Option<f64>,
    free_at: Option<Instant>,
}

impl Line {
    /// From now on so much passes.
    pub fn bound(&self, bytes_per_second: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes_per_second = Some(bytes_per_second as f64);
    }

    /// When a piece has passed that comes now, behind all that came before; `None` without a bound.
    fn passed(&self, bytes: usize) -> Option<Instant> {
        let mut passing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = passing.bytes_per_second?;
        let now = Instant::now();
        let begins = passing.free_at.map_or(now, |at| at.max(now));
        let ends = begins + Duration::from_secs_f64(bytes as f64 / rate);
        passing.free_at = Some(ends);
        Some(ends)
    }
}

/// Passes connections from one address on to another. Stops when dropped.
#[derive(Debug)]
pub struct Relay {
    task: AbortHandle,
}

impl Relay {
    /// Starts it.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(from: SocketAddr, to: SocketAddr, wire: Wire) -> Result<Self> {
        let listener = TcpListener::bind(from).await.with_context(|| format!("cannot listen at {from}"))?;
        let task = tokio::spawn(serve(listener, to, wire)).abort_handle();
        Ok(Self { task })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, wire: Wire) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((near, _)) => drop(connections.spawn(connection(near, to, wire.clone()))),
                // Too many open files, or a connection gone before it was taken: the next may do.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(near: TcpStream, to: SocketAddr, wire: Wire) {
    // A node that does not run refuses; then this end closes as well.
    let Ok(far) = TcpStream::connect(to).await else { return };
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let ((near_reads, near_writes), (far_reads, far_writes)) = (near.into_split(), far.into_split());
    let mut ways = JoinSet::new();
    ways.spawn(way(near_reads, far_writes, wire.clone()));
    ways.spawn(way(far_reads, near_writes, wire));
    // When one way breaks, so does the other.
    drop(ways.join_next().await);
}

async fn way(mut reads: OwnedReadHalf, mut writes: OwnedWriteHalf, wire: Wire) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Arc<[u8]>)>(PIECES_MAX);
    let reader = async move {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(count @ 1..) = reads.read(&mut buffer).await {
            let passed = wire.line.as_ref().and_then(|line| line.passed(count));
            let due = passed.unwrap_or_else(Instant::now) + wire.delay;
            if sender.send((due, buffer[..count].into())).await.is_err() {
                break;
            }
            if let Some(passed) = passed {
                // Who sends more than the line carries is to feel it, with no more than a short queue before the line.
                sleep_until(passed.checked_sub(QUEUE).unwrap_or(passed)).await;
            }
        }
    };
    let writer = async move {
        while let Some((due, piece)) = receiver.recv().await {
            if due > Instant::now() {
                // Timers end with a millisecond; what is due goes at once.
                sleep_until(due).await;
            }
            if writes.write_all(&piece).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(reader, writer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_take_their_time_on_the_line_and_then_the_delay_and_come_in_order() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = echo.local_addr().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let from = free.local_addr().unwrap();
        drop(free);
        let delay = Duration::from_millis(30);
        let line = Arc::new(Line::default());
        line.bound(20_000_000);
        let wire = Wire { delay, line: Some(line) };
        let _relay = Relay::start(from, to, wire).await.unwrap();
        tokio::spawn(async move {
            let (stream, _) = echo.accept().await.unwrap();
            let (mut reads, mut writes) = stream.into_split();
            tokio::io::copy(&mut reads, &mut writes).await.unwrap();
        });
        let mut stream = TcpStream::connect(from).await.unwrap();
        let sent: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        let begun = Instant::now();
        let (mut reads, mut writes) = stream.split();
        let mut received = vec![0; sent.len()];
        let (wrote, read) = tokio::join!(writes.write_all(&sent), reads.read_exact(&mut received));
        wrote.unwrap();
        read.unwrap();
        // A million bytes each way over a line of twenty million a second; the last of them then still has its way back.
        assert!(begun.elapsed() >= delay + Duration::from_millis(100), "{:?}", begun.elapsed());
        assert_eq!(received, sent);
    }
}
