//! The engine against modules written as text.

mod common;

#[path = "vm/deploy.rs"]
mod deploy;
#[path = "vm/fuel.rs"]
mod fuel;
#[path = "vm/host_functions.rs"]
mod host_functions;
#[path = "vm/limits.rs"]
mod limits;
