//! Where the API listens and how much it lets in.

use std::{net::SocketAddr, path::PathBuf};

use crate::AdminToken;

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
    /// Whether callers on this machine are let through unlimited.
    pub exempt_loopback: bool,
}

/// Bounds on everything a caller can make the node hold or do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections in all.
    pub connections_max: usize,
    /// Open connections from one address (for IPv6: one /64).
    pub connections_per_address_max: usize,
    /// Requests being worked on in all.
    pub requests_in_flight_max: usize,
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
            http2_streams_max: 128,
            event_streams_max: 512,
            event_queue_max: 256,
            event_stall_ms: 30_000,
            event_keep_alive_ms: 15_000,
            handshake_timeout_ms: 10_000,
            header_timeout_ms: 10_000,
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
    /// TLS or not.
    pub transport: Transport,
    /// Bounds.
    pub limits: Limits,
    /// What administrative routes ask for; `None` switches them off.
    pub admin_token: Option<AdminToken>,
}
