//! yamux with a bounded window and a bounded farewell.
//!
//! libp2p's own adaptor leaves the receive window of a connection at 1 GiB and waits without end for a peer that does
//! not read while a connection is being closed. Both matter here: the window bounds what a peer can make us buffer and
//! how long a vote can wait behind bulk data, and a removed peer must be cut off whether it reads or not.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::{Ready, ready};
use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use tokio::time::Sleep;
use yamux::{Config, Connection, Mode};

/// Inbound streams not yet taken by the connection; more are dropped.
const INBOUND_WAITING_MAX: usize = 16;
/// What auto-tuning may add to the windows of a connection's streams, in bytes.
const WINDOW_EXTRA_BYTES: usize = 6 << 20;
/// yamux's window of a fresh stream, in bytes.
const WINDOW_STREAM_BYTES: usize = yamux::DEFAULT_CREDIT as usize;

/// How connections are multiplexed.
#[derive(Debug, Clone)]
pub(crate) struct BoundedYamux {
    config: Config,
    close_timeout: Duration,
}

impl BoundedYamux {
    pub(crate) fn new(streams_max: usize, close_timeout: Duration) -> Self {
        let mut config = Config::default();
        // The order matters: yamux checks the window against the number of streams at each call.
        config.set_max_connection_receive_window(None);
        config.set_max_num_streams(streams_max);
        config.set_max_connection_receive_window(Some(streams_max * WINDOW_STREAM_BYTES + WINDOW_EXTRA_BYTES));
        Self { config, close_timeout }
    }

    fn start<C: AsyncRead + AsyncWrite + Unpin>(self, socket: C, mode: Mode) -> Muxer<C> {
        Muxer {
            connection: Connection::new(socket, self.config, mode),
            waiting: VecDeque::new(),
            inbound_waker: None,
            close_timeout: self.close_timeout,
            closing: None,
        }
    }
}

impl UpgradeInfo for BoundedYamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for BoundedYamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(self.start(socket, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for BoundedYamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        ready(Ok(self.start(socket, Mode::Client)))
    }
}

/// One multiplexed connection.
pub(crate) struct Muxer<C> {
    connection: Connection<C>,
    waiting: VecDeque<yamux::Stream>,
    inbound_waker: Option<Waker>,
    close_timeout: Duration,
    closing: Option<Pin<Box<Sleep>>>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn next_inbound(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        self.connection.poll_next_inbound(cx).map(|next| match next {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) => Err(into_io(error)),
            None => Err(into_io(yamux::ConnectionError::Closed)),
        })
    }
}

fn into_io(error: yamux::ConnectionError) -> io::Error {
    match error {
        yamux::ConnectionError::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = yamux::Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        if let Some(stream) = self.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = self.next_inbound(cx);
        if next.is_pending() {
            self.inbound_waker = Some(cx.waker().clone());
        }
        next
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        self.connection.poll_new_outbound(cx).map_err(into_io)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let timeout = self.close_timeout;
        let closing = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if closing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.connection.poll_close(cx).map_err(into_io)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        // yamux moves only while someone asks it for inbound streams.
        let stream = match self.next_inbound(cx) {
            Poll::Ready(Ok(stream)) => stream,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        if self.waiting.len() < INBOUND_WAITING_MAX {
            self.waiting.push_back(stream);
            if let Some(waker) = self.inbound_waker.take() {
                waker.wake();
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
