//! Frames: how messages travel on a stream.
//!
//! ```text
//! version u8 | channel u8 | flags u8 | reserved u8 = 0 | length u32 little-endian | payload
//! ```
//!
//! A message larger than a frame is cut; all frames but the last carry the flag MORE and are exactly as long as a frame
//! may be, so one message has one form. A stream carries one message after the other, never two interleaved: what is
//! put together for a peer is at most one message per channel, and grows with what really arrived, not with what was
//! announced.

use bytes::{Bytes, BytesMut};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use vouch_types::{decode, encode};
use wincode::{SchemaRead, SchemaWrite};

use crate::channel::Channel;

/// Version of the frame layout.
pub(crate) const VERSION: u8 = 1;
/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 8;
/// Flag: more frames of this message follow.
const MORE: u8 = 1;
/// Stands in the channel's place in a request.
pub(crate) const REQUEST: u8 = 16;
/// Stands in the channel's place in a response.
pub(crate) const RESPONSE: u8 = 17;
/// Read and grow in steps of this size.
const STEP_BYTES: usize = 128 << 10;
/// Up to this size header and payload are written together.
const JOIN_BYTES_MAX: usize = 4 << 10;

/// A frame's first eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct Header {
    version: u8,
    channel: u8,
    flags: u8,
    reserved: u8,
    length: u32,
}

/// Why a stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The peer broke the rules.
    #[error("{0}")]
    Violation(&'static str),
    /// The stream ended or failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A frame's place in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameInfo {
    pub(crate) length: u32,
    pub(crate) more: bool,
}

impl Header {
    pub(crate) fn new(channel: u8, length: u32, more: bool) -> Self {
        Self { version: VERSION, channel, flags: if more { MORE } else { 0 }, reserved: 0, length }
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        encode(&self)
    }

    /// Checks everything a header can be wrong in. `collected` is how much of the message is there already.
    pub(crate) fn check(bytes: &[u8], rules: &Rules, collected: usize) -> Result<FrameInfo, FrameError> {
        let header: Self =
            decode("frame header", bytes, HEADER_BYTES).map_err(|_| FrameError::Violation("malformed frame header"))?;
        let violation = |text| Err(FrameError::Violation(text));
        if header.version != VERSION {
            return violation("unknown frame version");
        }
        if header.channel != rules.channel {
            return violation("frame of another channel");
        }
        if header.flags & !MORE != 0 || header.reserved != 0 {
            return violation("unknown frame flags");
        }
        let more = header.flags & MORE != 0;
        if header.length > rules.frame_bytes_max {
            return violation("frame too large");
        }
        if header.length == 0 && !rules.empty_allowed {
            return violation("empty frame");
        }
        if more && header.length != rules.frame_bytes_max {
            return violation("frame before the last is not full");
        }
        if collected + header.length as usize > rules.message_bytes_max as usize {
            return violation("message too large");
        }
        Ok(FrameInfo { length: header.length, more })
    }
}

/// What a reader of one stream accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) channel: u8,
    pub(crate) frame_bytes_max: u32,
    pub(crate) message_bytes_max: u32,
    pub(crate) empty_allowed: bool,
}

impl Rules {
    pub(crate) const fn channel(channel: Channel, limits: &crate::config::ChannelLimits) -> Self {
        Self {
            channel: channel as u8,
            frame_bytes_max: limits.frame_bytes_max,
            message_bytes_max: limits.message_bytes_max,
            empty_allowed: false,
        }
    }

    /// A request or response: one frame, possibly empty.
    pub(crate) const fn single(kind: u8, bytes_max: u32) -> Self {
        Self { channel: kind, frame_bytes_max: bytes_max, message_bytes_max: bytes_max, empty_allowed: true }
    }
}

/// Reads a header; `Ok(None)` when the stream ended before its first byte.
pub(crate) async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut S,
    rules: &Rules,
    collected: usize,
) -> Result<Option<FrameInfo>, FrameError> {
    let mut bytes = [0; HEADER_BYTES];
    let first = stream.read(&mut bytes).await?;
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut bytes[first..]).await?;
    Header::check(&bytes, rules, collected).map(Some)
}

/// Appends exactly `length` bytes to `message`, growing it as they arrive.
pub(crate) async fn read_payload<S: AsyncRead + Unpin>(
    stream: &mut S,
    length: u32,
    message: &mut BytesMut,
) -> std::io::Result<()> {
    let mut missing = length as usize;
    while missing > 0 {
        let start = message.len();
        message.resize(start + missing.min(STEP_BYTES), 0);
        let read = stream.read(&mut message[start..]).await;
        let read = read.inspect_err(|_| message.truncate(start))?;
        message.truncate(start + read);
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        missing -= read;
    }
    Ok(())
}

/// Writes one message as frames of at most `frame_bytes_max` bytes.
pub(crate) async fn write_message<S: AsyncWrite + Unpin>(
    stream: &mut S,
    kind: u8,
    message: &Bytes,
    frame_bytes_max: u32,
) -> std::io::Result<()> {
    let mut rest = message.as_ref();
    loop {
        let (piece, after) = rest.split_at(rest.len().min(frame_bytes_max as usize));
        let length = u32::try_from(piece.len()).map_err(std::io::Error::other)?;
        let mut header = Header::new(kind, length, !after.is_empty()).to_bytes();
        if piece.len() <= JOIN_BYTES_MAX {
            header.extend_from_slice(piece);
            stream.write_all(&header).await?;
        } else {
            stream.write_all(&header).await?;
            stream.write_all(piece).await?;
        }
        rest = after;
        if rest.is_empty() {
            return stream.flush().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { channel: 2, frame_bytes_max: 10, message_bytes_max: 25, empty_allowed: false };

    fn check(bytes: [u8; 8], collected: usize) -> Result<FrameInfo, &'static str> {
        Header::check(&bytes, &RULES, collected).map_err(|e| match e {
            FrameError::Violation(text) => text,
            FrameError::Io(_) => "io",
        })
    }

    #[test]
    fn header_layout_is_fixed() {
        assert_eq!(Header::new(2, 0x0102_0304, true).to_bytes(), [1, 2, 1, 0, 4, 3, 2, 1]);
        assert_eq!(Header::new(1, 7, false).to_bytes(), [1, 1, 0, 0, 7, 0, 0, 0]);
    }

    #[test]
    fn headers_are_judged() {
        assert_eq!(check([1, 2, 0, 0, 7, 0, 0, 0], 0), Ok(FrameInfo { length: 7, more: false }));
        assert_eq!(check([1, 2, 1, 0, 10, 0, 0, 0], 10), Ok(FrameInfo { length: 10, more: true }));
        assert_eq!(check([2, 2, 0, 0, 7, 0, 0, 0], 0), Err("unknown frame version"));
        assert_eq!(check([1, 1, 0, 0, 7, 0, 0, 0], 0), Err("frame of another channel"));
        assert_eq!(check([1, 2, 2, 0, 7, 0, 0, 0], 0), Err("unknown frame flags"));
        assert_eq!(check([1, 2, 0, 1, 7, 0, 0, 0], 0), Err("unknown frame flags"));
        assert_eq!(check([1, 2, 0, 0, 11, 0, 0, 0], 0), Err("frame too large"));
        assert_eq!(check([1, 2, 0, 0, 255, 255, 255, 255], 0), Err("frame too large"));
        assert_eq!(check([1, 2, 0, 0, 0, 0, 0, 0], 0), Err("empty frame"));
        assert_eq!(check([1, 2, 1, 0, 9, 0, 0, 0], 0), Err("frame before the last is not full"));
        assert_eq!(check([1, 2, 0, 0, 6, 0, 0, 0], 20), Err("message too large"));
        assert_eq!(check([1, 2, 0, 0, 5, 0, 0, 0], 20), Ok(FrameInfo { length: 5, more: false }));
    }

    async fn round_trip(message: &[u8]) -> (usize, Vec<u8>) {
        let mut wire = Vec::new();
        write_message(&mut wire, 2, &Bytes::copy_from_slice(message), 10).await.unwrap();
        let mut stream = wire.as_slice();
        let (mut frames, mut got) = (0, BytesMut::new());
        loop {
            let info = read_header(&mut stream, &RULES, got.len()).await.unwrap().unwrap();
            read_payload(&mut stream, info.length, &mut got).await.unwrap();
            frames += 1;
            if !info.more {
                assert!(stream.is_empty());
                return (frames, got.to_vec());
            }
        }
    }

    #[tokio::test]
    async fn messages_are_cut_and_put_together() {
        for (length, frames) in [(1, 1), (10, 1), (11, 2), (20, 2), (25, 3)] {
            let message: Vec<u8> = (0..length).collect();
            assert_eq!(round_trip(&message).await, (frames, message));
        }
    }

    #[tokio::test]
    async fn a_cut_off_payload_is_an_error_and_allocates_little() {
        let mut got = BytesMut::new();
        let error = read_payload(&mut [1u8, 2, 3].as_slice(), u32::MAX, &mut got).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        assert!(got.capacity() <= 2 * STEP_BYTES);
        assert!(read_header(&mut [].as_slice(), &RULES, 0).await.unwrap().is_none());
        assert!(matches!(read_header(&mut [1u8, 2].as_slice(), &RULES, 0).await, Err(FrameError::Io(_))));
    }
}
