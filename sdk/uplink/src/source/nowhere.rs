//! Where there are no files and no servers: what is not read there, and why.

use crate::Fault;

/// Of a kind that only `vouch doc uplink` reads.
pub(super) fn unread(name: &str) -> Fault {
    Fault::new("uplink.format", name, "this kind of source is not read here; vouch doc uplink reads it")
}
