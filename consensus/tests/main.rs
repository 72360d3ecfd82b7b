//! The driver among its peers, in virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::needless_pass_by_value,
    reason = "a test stops where it fails, and draws small numbers from 64 bits"
)]

mod agreement;
mod byzantine;
mod crash;
mod fuzz;
mod log_and_status;
mod network;
mod sync;
