//! Requests and responses: one short-lived stream each, for block sync.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use libp2p::StreamProtocol;
use libp2p::request_response::{self as rr, OutboundFailure, ProtocolSupport, ResponseChannel};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::channel::Protocols;
use crate::config::{NetLimits, ms};
use crate::driver::Command;
use crate::error::RequestError;
use crate::events::{Event, EventSenders, ReplyHandle};
use crate::frame::{self, FrameError, REQUEST, RESPONSE, Rules};
use crate::peer::{Peer, Shared};
use crate::stats::add;

/// A request as it came from the wire. A malformed one is handed on and not reported as an error of the stream, because
/// libp2p tells nobody about a stream that fails before its request is complete, and then it could not be counted.
#[derive(Debug)]
pub(crate) enum Request {
    /// Within the rules.
    Valid(Bytes),
    /// Against the rules: which one.
    Malformed(String),
}

/// Reads and writes requests and responses, each one frame.
#[derive(Debug, Clone)]
pub(crate) struct SyncCodec {
    request_bytes_max: u32,
    response_bytes_max: u32,
}

pub(crate) type Behaviour = rr::Behaviour<SyncCodec>;

pub(crate) fn behaviour(protocols: &Protocols, limits: &NetLimits) -> Behaviour {
    let codec =
        SyncCodec { request_bytes_max: limits.request_bytes_max, response_bytes_max: limits.response_bytes_max };
    let config = rr::Config::default()
        .with_request_timeout(ms(limits.request_timeout_ms))
        .with_max_concurrent_streams(limits.requests_in_max + limits.requests_out_max);
    rr::Behaviour::with_codec(codec, [(protocols.requests().clone(), ProtocolSupport::Full)], config)
}

async fn read<S: AsyncRead + Unpin + Send>(stream: &mut S, rules: Rules) -> io::Result<Bytes> {
    let violation = |error| match error {
        FrameError::Violation(text) => io::Error::new(io::ErrorKind::InvalidData, text),
        FrameError::Io(error) => error,
    };
    let info = frame::read_header(stream, &rules, 0).await.map_err(violation)?;
    let info = info.ok_or(io::ErrorKind::UnexpectedEof)?;
    if info.more {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more than one frame"));
    }
    let mut bytes = BytesMut::new();
    frame::read_payload(stream, info.length, &mut bytes).await?;
    Ok(bytes.freeze())
}

async fn write<S: AsyncWrite + Unpin + Send>(stream: &mut S, kind: u8, bytes: &Bytes) -> io::Result<()> {
    frame::write_message(stream, kind, bytes, u32::MAX).await?;
    stream.close().await
}

impl rr::Codec for SyncCodec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Bytes;

    async fn read_request<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read(stream, Rules::single(REQUEST, self.request_bytes_max)).await {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Request::Malformed(error.to_string())),
            other => other.map(Request::Valid),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Bytes>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(stream, Rules::single(RESPONSE, self.response_bytes_max)).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, stream: &mut T, request: Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match request {
            Request::Valid(bytes) => write(stream, REQUEST, &bytes).await,
            Request::Malformed(rule) => Err(io::Error::new(io::ErrorKind::InvalidInput, rule)),
        }
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, stream: &mut T, response: Bytes) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(stream, RESPONSE, &response).await
    }
}

/// What an outbound failure means to the one who asked.
pub(crate) fn request_error(failure: OutboundFailure) -> RequestError {
    match failure {
        OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed => RequestError::NotConnected,
        OutboundFailure::Timeout => RequestError::Timeout,
        OutboundFailure::UnsupportedProtocols => RequestError::Refused,
        OutboundFailure::Io(error) => match error.kind() {
            io::ErrorKind::InvalidData => RequestError::Malformed(error.to_string()),
            io::ErrorKind::UnexpectedEof => RequestError::Refused,
            _ => RequestError::Failed(error.to_string()),
        },
    }
}

/// One request of a peer.
pub(crate) struct Inbound {
    pub(crate) peer: Arc<Peer>,
    pub(crate) request: Bytes,
    pub(crate) channel: ResponseChannel<Bytes>,
}

impl Inbound {
    /// Waits for the peer's budget, asks the replica, sends the response. At most `requests_in_max` of these tasks exist
    /// per connection, because libp2p accepts no more streams, and each ends with the request's timeout.
    pub(crate) async fn serve(self, shared: Arc<Shared>, events: EventSenders, commands: mpsc::Sender<Command>) {
        let timeout = ms(shared.limits.request_timeout_ms);
        let _ = tokio::time::timeout(timeout, self.answer(&shared, &events, &commands)).await;
    }

    async fn answer(self, shared: &Shared, events: &EventSenders, commands: &mpsc::Sender<Command>) {
        add(&shared.counters.requests_received, 1);
        {
            let mut budget = self.peer.request_budget.lock().await;
            let wait = budget.take(1, Instant::now());
            if !wait.is_zero() {
                add(&shared.counters.requests_throttled, 1);
                tokio::time::sleep(wait).await;
            }
        }
        let (sender, receiver) = oneshot::channel();
        let reply = ReplyHandle { sender, bytes_max: shared.limits.response_bytes_max as usize };
        let event = Event::RequestReceived { from: self.peer.key, bytes: self.request, reply };
        if events.request(event).await.is_err() {
            return;
        }
        if let Ok(response) = receiver.await {
            let _ = commands.send(Command::Respond { channel: self.channel, response }).await;
        }
    }
}
