//! `vouch`: a member's node of a Vouch chain, and the tools around it.
#![forbid(unsafe_code)]

mod admission;
mod backend;
mod backup;
mod commands;
mod condition;
mod config;
mod decisions;
mod dev;
mod documents;
mod home;
mod metrics;
mod node;
mod operate;
mod runner;
mod submit;
mod vault;
mod views;
mod votes;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use commands::{ClientCommand, GlobalArgs, Side, completion, report_error};

/// A member's node of a Vouch chain, and the tools around it.
#[derive(Debug, Parser)]
#[command(name = "vouch", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Operate(operate::Command),
    #[command(flatten)]
    Client(ClientCommand),
    /// Networks and load on this machine, for development and measuring
    #[command(subcommand)]
    Dev(dev::Command),
    /// Write a completion script for a shell
    Completion(completion::CompletionArgs),
    /// Write manual pages
    Man(completion::ManArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Another provider cannot have been installed before the first line of the program.
    drop(rustls::crypto::ring::default_provider().install_default());
    match cli.command {
        Command::Operate(command) => show(operate::run(command, &cli.global), &cli.global),
        Command::Client(command) => block_on(async { commands::run(command, &cli.global).await }),
        Command::Dev(command) => show(dev::run(command, &cli.global), &cli.global),
        Command::Completion(args) => completion::completion(&args, Cli::command()),
        Command::Man(args) => show(completion::man(&args, Cli::command()), &cli.global),
    }
}

fn show(result: anyhow::Result<ExitCode>, global: &GlobalArgs) -> ExitCode {
    result.unwrap_or_else(|error| report_error(&error, global, Side::Node))
}

fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
