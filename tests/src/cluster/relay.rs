//! A longer wire: a relay that holds every byte back for a fixed time, each way.
//!
//! Bytes pass in order and without a bound on their rate, as on a long line of ample width. What is on the way is bounded,
//! so that a receiver that does not read is felt by the sender, as it would be.

use std::{net::SocketAddr, sync::Arc, time::Duration};

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
/// Most pieces on the way.
const PIECES_MAX: usize = 1024;

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
    pub async fn start(from: SocketAddr, to: SocketAddr, delay: Duration) -> Result<Self> {
        let listener = TcpListener::bind(from).await.with_context(|| format!("cannot listen at {from}"))?;
        let task = tokio::spawn(serve(listener, to, delay)).abort_handle();
        Ok(Self { task })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, delay: Duration) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((near, _)) => drop(connections.spawn(connection(near, to, delay))),
                // Too many open files, or a connection gone before it was taken: the next may do.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(near: TcpStream, to: SocketAddr, delay: Duration) {
    // A node that does not run refuses; then this end closes as well.
    let Ok(far) = TcpStream::connect(to).await else { return };
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let ((near_reads, near_writes), (far_reads, far_writes)) = (near.into_split(), far.into_split());
    let mut ways = JoinSet::new();
    ways.spawn(way(near_reads, far_writes, delay));
    ways.spawn(way(far_reads, near_writes, delay));
    // When one way breaks, so does the other.
    drop(ways.join_next().await);
}

async fn way(mut reads: OwnedReadHalf, mut writes: OwnedWriteHalf, delay: Duration) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Arc<[u8]>)>(PIECES_MAX);
    let reader = async move {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(count @ 1..) = reads.read(&mut buffer).await {
            if sender.send((Instant::now() + delay, buffer[..count].into())).await.is_err() {
                break;
            }
        }
    };
    let writer = async move {
        while let Some((due, piece)) = receiver.recv().await {
            sleep_until(due).await;
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
    async fn an_answer_takes_two_delays_and_all_bytes_come_in_order() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = echo.local_addr().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let from = free.local_addr().unwrap();
        drop(free);
        let delay = Duration::from_millis(30);
        let _relay = Relay::start(from, to, delay).await.unwrap();
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
        assert!(begun.elapsed() >= delay * 2);
        assert_eq!(received, sent);
    }
}
