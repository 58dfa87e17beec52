//! Developer commands: `cargo xtask test`, `demo`, `bench`. Each installs what it needs, after asking.

mod bench;
mod demo;
mod packages;
mod process;
mod say;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of Windlass.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that has to pass: format, lints, unit, story and doc tests, licences, spelling
    Test(test::Args),
    /// The main job, for real: signed tags become packages that dnf installs; what would break others does not land
    Demo(demo::Args),
    /// Figures, with the peer in the same run
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    done.unwrap_or_else(|error| {
        say::talk(format_args!("error: {error:#}"));
        ExitCode::from(3)
    })
}
