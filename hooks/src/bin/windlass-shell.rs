//! The ssh door: what sshd runs for somebody who logs in, and all that he gets.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_hooks::shell::main(std::env::args_os().skip(1)).into()
}
