//! Networks and load on this machine.

mod demo;
mod load;
mod month;
mod net;
mod plan;
mod private;
mod running;
mod schemas;

use std::process::ExitCode;

use anyhow::Result;

use crate::commands::GlobalArgs;

/// What a developer does.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run a network of members on this machine, each node its own process, until stopped
    Net(net::Args),
    /// Run four members and show what a chain of theirs is good for, until stopped
    Demo(demo::Args),
    /// Give a running network the contracts and sample schemas for private documents
    Schemas(schemas::Args),
    /// Write a month of business as files, the way operators have them
    Month(month::Args),
    /// Put load on a network of `vouch dev net` and measure it
    Load(load::Args),
}

/// Runs one of them.
///
/// # Errors
/// A text that says what is wrong and where.
pub fn run(command: Command, global: &GlobalArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match command {
        Command::Net(args) => runtime.block_on(net::run(&args, global)),
        Command::Demo(args) => runtime.block_on(demo::run(&args)),
        Command::Schemas(args) => runtime.block_on(schemas::run(&args, global)),
        Command::Month(args) => month::run(&args, global),
        Command::Load(args) => runtime.block_on(load::run(&args, global)),
    }
}
