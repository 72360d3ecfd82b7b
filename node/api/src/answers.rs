//! Answers on their way out: a large one has its room in memory until it is taken, and not for longer than a while.
//!
//! Deliberately not here: event streams, which have a bound and an end of their own.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock, Weak},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody as _, to_bytes},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use vouch_types::AccountId;

use crate::{
    Api,
    origin::Origin,
    rooms::{Holder, Room, SMALL_BYTES},
};

/// What a connection is given at a time, and keeps when its reader takes nothing.
const FRAME_BYTES: usize = 16 << 10;

/// Put into a request by [`hold`]: the caller whose signature turned out to be good.
#[derive(Debug, Clone, Default)]
pub(crate) struct WhoAsked(Arc<OnceLock<AccountId>>);

impl WhoAsked {
    pub(crate) fn set(&self, account: AccountId) {
        let _ = self.0.set(account);
    }
}

/// Put into a request by the server: ends its connection.
#[derive(Debug, Clone)]
pub(crate) struct EndConnection(pub(crate) CancellationToken);

/// In an answer: the room that its handler has taken for it.
#[derive(Debug, Clone)]
pub(crate) struct WithRoom(Arc<Mutex<Option<Room>>>);

impl WithRoom {
    pub(crate) fn new(room: Room) -> Self {
        Self(Arc::new(Mutex::new(Some(room))))
    }
}

/// In an answer: its bytes are in memory anyway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resident;

/// Bytes of an answer that were not taken yet, with their room.
struct Held {
    bytes: Bytes,
    _room: Room,
}

/// The body of a large answer.
struct HeldBody {
    held: Arc<Mutex<Option<Held>>>,
    end: AbortHandle,
}

impl HeldBody {
    fn new(bytes: Bytes, room: Room, time: Duration, connection: Option<CancellationToken>) -> Self {
        let held = Arc::new(Mutex::new(Some(Held { bytes, _room: room })));
        let end = tokio::spawn(give_up(Arc::downgrade(&held), time, connection)).abort_handle();
        Self { held, end }
    }
}

/// After a while bytes and room are given back, taken or not. What the connection has been given of them goes with it; one
/// that a proxy keeps for several clients goes on.
async fn give_up(held: Weak<Mutex<Option<Held>>>, time: Duration, connection: Option<CancellationToken>) {
    tokio::time::sleep(time).await;
    let Some(held) = held.upgrade() else { return };
    if held.lock().take().is_some() {
        tracing::debug!("an answer was not taken in time");
        if let Some(connection) = connection {
            connection.cancel();
        }
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        self.end.abort();
    }
}

impl hyper::body::Body for HeldBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let mut held = self.held.lock();
        let Some(Held { bytes, .. }) = held.as_mut() else {
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was not taken in time"))));
        };
        if bytes.is_empty() {
            return Poll::Ready(None);
        }
        let frame = bytes.split_to(bytes.len().min(FRAME_BYTES));
        // A copy: what waits in the connection must not keep the whole answer in memory.
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(&frame)))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.lock().as_ref().is_some_and(|held| held.bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.held.lock().as_ref().map_or(0, |held| held.bytes.len());
        SizeHint::with_exact(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

/// Gives large answers their room: of the caller, if it is known, else of the address.
pub(crate) async fn hold(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let who = WhoAsked::default();
    request.extensions_mut().insert(who.clone());
    let origin = Origin::of(&request);
    let connection = request.extensions().get::<EndConnection>().filter(|_| !origin.is_proxied).cloned();
    let mut response = next.run(request).await;
    let given = response.extensions_mut().remove::<WithRoom>().and_then(|room| room.0.lock().take());
    let length = response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let is_resident = response.extensions().get::<Resident>().is_some();
    let Some(length) = length.filter(|length| *length > SMALL_BYTES && !is_resident) else { return response };
    let room = match (given, who.0.get()) {
        (Some(room), _) => Ok(room),
        (None, Some(account)) => api.signed_rooms.take(Holder::Account(*account), length),
        (None, None) => api.open_rooms.take(Holder::Address(origin.caller()), length),
    };
    let room = match room {
        Ok(room) => room,
        Err(error) => return error.into_response(),
    };
    let (parts, body) = response.into_parts();
    let bytes = match to_bytes(body, length).await {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(%error, "an answer could not be put together");
            return crate::ApiError::new("internal", "the answer could not be put together").into_response();
        }
    };
    let seconds = u64::try_from(length / api.limits.answer_bytes_per_second_min.max(1)).unwrap_or(u64::MAX);
    let time = Duration::from_millis(api.limits.answer_timeout_ms).saturating_add(Duration::from_secs(seconds));
    let connection = connection.map(|EndConnection(token)| token);
    Response::from_parts(parts, Body::new(HeldBody::new(bytes, room, time, connection)))
}
