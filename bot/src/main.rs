//! The program `windlass`: the arguments are parsed, the command is called, what it says becomes the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // What the bot starts for a build is no command of anybody's: it has one thread and reads no configuration.
    match windlass::sandbox::helper(&arguments) {
        Some(exit) => exit.into(),
        None => windlass::cli::main(arguments).into(),
    }
}
