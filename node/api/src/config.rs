//! Where the API listens and how much it lets in.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use vouch_types::api::caller::Authority;

use crate::{AdminToken, ClientPolicy};

/// How connections are carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// TLS 1.3 and 1.2, with files that may be replaced while the node runs.
    Tls {
        /// The certificate chain, PEM, the server's own first.
        certificate: PathBuf,
        /// Its private key, PEM (PKCS#8, SEC1 or PKCS#1).
        key: PathBuf,
    },
    /// Bare HTTP: for one machine, or behind a proxy that does TLS.
    Plain,
}

/// A token bucket per caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a caller may make in the long run, per second.
    pub per_second: u32,
    /// Requests a caller may make at once after a pause.
    pub burst: u32,
    /// Whether programs on this machine are let through unlimited; who comes by a proxy on it is not.
    pub exempt_loopback: bool,
}

/// Bounds on everything a caller can make the node hold or do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections in all.
    pub connections_max: usize,
    /// Open connections from one address (for IPv6: one /64).
    pub connections_per_address_max: usize,
    /// Requests being worked on in all; one address may have a quarter, programs on this machine all of them.
    pub requests_in_flight_max: usize,
    /// Bytes of bodies and answers that are held at a time for callers whose signatures are good; one account may have a
    /// quarter. What has at most 16 KiB is not counted.
    pub signed_bytes_max: usize,
    /// The same for everybody else; one address may have a quarter.
    pub open_bytes_max: usize,
    /// Streams of one HTTP/2 connection.
    pub http2_streams_max: u32,
    /// Open event streams.
    pub event_streams_max: usize,
    /// Messages waiting for one reader of an event stream.
    pub event_queue_max: usize,
    /// How long an event stream waits for a reader that takes nothing.
    pub event_stall_ms: u64,
    /// Between two signs of life on an idle event stream.
    pub event_keep_alive_ms: u64,
    /// For the TLS handshake.
    pub handshake_timeout_ms: u64,
    /// For a request's headers.
    pub header_timeout_ms: u64,
    /// For a body, once its head was judged.
    pub body_timeout_ms: u64,
    /// For a large answer to be taken, besides a second for each [`Limits::answer_bytes_per_second_min`] of it.
    pub answer_timeout_ms: u64,
    /// Slowest reading of a large answer.
    pub answer_bytes_per_second_min: usize,
    /// For a request and its body up to the head of the answer; above the longest wait a caller may ask for.
    pub request_timeout_ms: u64,
    /// For open requests to end when the node goes down.
    pub shutdown_timeout_ms: u64,
    /// Requests per caller; `None` for no bound.
    pub rate: Option<RateLimit>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_per_address_max: 512,
            requests_in_flight_max: 4096,
            signed_bytes_max: 128 << 20,
            open_bytes_max: 128 << 20,
            http2_streams_max: 128,
            event_streams_max: 512,
            event_queue_max: 256,
            event_stall_ms: 30_000,
            event_keep_alive_ms: 15_000,
            handshake_timeout_ms: 10_000,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            answer_timeout_ms: 30_000,
            answer_bytes_per_second_min: 64 << 10,
            request_timeout_ms: 45_000,
            shutdown_timeout_ms: 5_000,
            rate: Some(RateLimit { per_second: 500, burst: 2000, exempt_loopback: true }),
        }
    }
}

/// The API's configuration, checked by whoever read it.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What clients reach this node by: only what was signed for one of these is heard. Loopback names with the own port are
    /// understood on this machine without standing here.
    pub names: BTreeSet<Authority>,
    /// Proxies that say whom they ask for, in `X-Forwarded-For`.
    pub proxies: BTreeSet<IpAddr>,
    /// TLS or not.
    pub transport: Transport,
    /// Whether clients are asked for certificates, which takes TLS; `None` for no.
    pub clients: Option<ClientPolicy>,
    /// Bounds.
    pub limits: Limits,
    /// What administrative routes ask for; `None` switches them off.
    pub admin_token: Option<AdminToken>,
}
