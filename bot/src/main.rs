//! The program `windlass`: the arguments are parsed, the command is called, what it says becomes the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass::cli::main(std::env::args_os().collect()).into()
}
