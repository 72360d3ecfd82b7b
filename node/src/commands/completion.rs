//! `vouch completion` and `vouch man`: made from the program's own description.

use std::{io, path::PathBuf, process::ExitCode};

use anyhow::Context as _;

/// Write a completion script to standard output.
#[derive(Debug, clap::Args)]
pub struct CompletionArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Write manual pages, one per command.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The directory to write to; it is made if need be
    dir: PathBuf,
}

/// Writes the completion script of the whole program.
#[must_use]
pub fn completion(args: &CompletionArgs, mut program: clap::Command) -> ExitCode {
    let name = program.get_name().to_owned();
    clap_complete::generate(args.shell, &mut program, name, &mut io::stdout());
    ExitCode::SUCCESS
}

/// Writes the manual pages of the whole program.
///
/// # Errors
/// When the directory cannot be written.
pub fn man(args: &ManArgs, program: clap::Command) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&args.dir).with_context(|| args.dir.display().to_string())?;
    clap_mangen::generate_to(program, &args.dir).with_context(|| args.dir.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}
