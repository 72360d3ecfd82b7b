//! Networks of four real nodes: what a client, an operator and an attacker meet.
//!
//! One network at a time; a test is a story on a network of its own, so that its parts share the start.

mod admission;
mod crash;
mod documents;
mod forget;
mod guide;
mod input;
mod life;
mod operate;
mod recover;
mod stall;
mod vault;
