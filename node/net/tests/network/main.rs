//! The network as its users see it: real nodes, real sockets on loopback, no stand-ins.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod admission;
mod mesh;
mod pressure;
mod requests;
mod support;
