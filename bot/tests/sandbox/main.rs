//! Real builds in real sandboxes: good ones, failing ones, and those that try everything that they must not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a test that cannot run says so")]

mod failures;
mod forged;
mod good;
mod hostile;
mod world;
