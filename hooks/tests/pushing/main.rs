//! Real pushes of real git into bare repositories with installed hooks.

mod door;
mod handover;
mod policy;
mod replay;
mod world;
