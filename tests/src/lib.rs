//! A world to tell end-to-end stories in: a server made by `windlass init`, a real sshd, people with real keys, real pushes.
//!
//! Nothing here links the rest of Windlass: its programs are run as they were built, found beside the test's own executable.
//! `cargo xtask demo` and `bench` stand on the same world.

pub mod bot;
pub mod chance;
pub mod client;
pub mod clock;
pub mod clone;
pub mod crowd;
pub mod demo;
pub mod door;
pub mod engines;
pub mod gpg;
pub mod jobs;
pub mod keystore;
pub mod lab;
pub mod normal;
pub mod outcome;
pub mod people;
pub mod pipeline;
pub mod proc;
pub mod process;
pub mod programs;
pub mod reader;
pub mod settings;
pub mod specs;
pub mod sshd;
pub mod tag;
pub mod unix;
#[cfg(feature = "updater")]
pub mod update_engine;
pub mod wait;
pub mod world;

pub use client::Client;
pub use clone::Clone;
pub use gpg::GpgHome;
pub use outcome::Pushed;
pub use people::{ALICE, BOB, CAROL, MALLORY, Person};
pub use process::{Cmd, Ran};
pub use world::World;

/// Says that a test cannot run here, and why; `cargo xtask test` collects these lines.
#[expect(clippy::print_stdout, reason = "the test runner shows it, the table lists it")]
pub fn skipped(why: &str) {
    println!("SKIPPED: {why}");
}
