//! Measures the whole on this machine: `bench`, `bench load crash`, `bench --quick`.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum as _};
use vouch_tests::bench::{CopyArgs, Measurement, Scale, copy};

/// Measures the whole on this machine, and writes what was measured to the folder in `VOUCH_FIGURES`.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Cli {
    /// What to measure; everything if left out
    #[arg(value_enum)]
    names: Vec<Measurement>,
    /// Short, only to see that it works; nothing is written
    #[arg(long)]
    quick: bool,
    /// `index` in a PostgreSQL server on this machine, which is made for it, instead of SQLite
    #[arg(long)]
    postgres: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// One copy of the bare path; the measurement `path` starts several
    #[command(hide = true)]
    Copy(CopyArgs),
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if let Some(Part::Copy(args)) = cli.part {
        return copy(&args).map(|()| ExitCode::SUCCESS);
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        // Whoever is interrupted leaves neither processes nor folders behind.
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            result = measure(&cli) => result,
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
            _ = terminate.recv() => Ok(ExitCode::from(143)),
        }
    })
}

async fn measure(cli: &Cli) -> Result<ExitCode> {
    let names = if cli.names.is_empty() { Measurement::value_variants().to_vec() } else { cli.names.clone() };
    let folder = std::env::var_os("VOUCH_FIGURES").map(PathBuf::from).filter(|_| !cli.quick);
    let mut is_complete = true;
    for name in names {
        println!("measuring: {name:?}");
        let begun = Instant::now();
        let measured = name.run(Scale { is_quick: cli.quick, is_postgres: cli.postgres }).await;
        println!("{name:?} took {} s", begun.elapsed().as_secs());
        match measured {
            Ok(figures) => {
                for figure in figures {
                    print!("{}", figure.to_json());
                    for key in figure.missed() {
                        println!("{}: the bar for {key} is missed", figure.name);
                    }
                    if let Some(folder) = &folder {
                        figure.write(folder)?;
                    }
                }
            }
            Err(error) => {
                is_complete = false;
                eprintln!("{name:?} could not be measured: {error:#}");
            }
        }
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
