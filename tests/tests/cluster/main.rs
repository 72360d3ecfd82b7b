//! Networks of four real nodes: what a client, an operator and an attacker meet.
//!
//! One network at a time; a test is a story on a network of its own, so that its parts share the start.

mod admission;
mod business;
mod callers;
mod certificates;
mod crash;
mod custody;
mod documents;
mod erasures;
mod evidence;
mod files;
mod forget;
mod guide;
mod holders;
mod input;
mod leak;
mod life;
mod operate;
mod postgres;
mod recover;
mod restore;
mod rights;
mod stall;
mod uplink;
mod vault;
mod versions;
