//! What git runs as `pre-receive` and `post-receive`, through a stub that names program and configuration.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_hooks::receive::main(std::env::args_os().skip(1)).into()
}
