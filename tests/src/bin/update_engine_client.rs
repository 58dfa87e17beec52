//! `update_engine_client` for machines of the virtual lab; see [`windlass_tests::update_engine`].

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_tests::update_engine::client::run(std::env::args().skip(1))
}
