//! Where there are no files and no servers: what is not read there, and why.

use crate::{Fault, reason::UNREAD};

/// Of a kind that only `vouch doc uplink` reads.
pub(super) fn unread(name: &str) -> Fault {
    Fault::new("uplink.format", name, UNREAD)
}
