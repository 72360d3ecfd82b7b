//! `vouch`: a member's node of a Vouch chain, and the tools around it.
#![forbid(unsafe_code)]

mod admission;
mod backend;
mod backup;
mod clear_text;
mod commands;
mod condition;
mod config;
mod decisions;
mod dev;
mod document_files;
mod documents;
mod home;
mod index;
mod metrics;
mod node;
mod operate;
mod operations;
mod runner;
mod server_certificate;
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

    /// One name for two arguments gives a command the value of the other one, or ends it.
    #[test]
    fn no_command_has_an_argument_of_a_name_that_all_commands_have() {
        fn walk(command: &clap::Command, path: &str, shared: &[(String, Option<String>)]) {
            for argument in command.get_arguments() {
                let (id, long) = (argument.get_id().as_str(), argument.get_long());
                let is_taken = |(other, other_long): &(String, Option<String>)| {
                    other == id || (long.is_some() && other_long.as_deref() == long)
                };
                assert!(!shared.iter().any(is_taken), "{path} --{}", long.unwrap_or(id));
            }
            for below in command.get_subcommands() {
                walk(below, &format!("{path} {}", below.get_name()), shared);
            }
        }
        let whole = Cli::command();
        let shared: Vec<_> = whole
            .get_arguments()
            .filter(|argument| argument.is_global_set())
            .map(|argument| (argument.get_id().to_string(), argument.get_long().map(str::to_owned)))
            .collect();
        assert!(shared.iter().any(|(id, _)| id == "nodes"), "{shared:?}");
        for command in whole.get_subcommands() {
            walk(command, command.get_name(), &shared);
        }
    }
}
