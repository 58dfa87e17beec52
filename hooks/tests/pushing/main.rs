//! Real pushes of real git into bare repositories with installed hooks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops there")]

mod door;
mod handover;
mod policy;
mod replay;
mod world;
