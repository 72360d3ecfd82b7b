//! The driver among its peers, in virtual time.

mod agreement;
mod byzantine;
mod crash;
mod fuzz;
mod log_and_status;
mod network;
mod sync;
