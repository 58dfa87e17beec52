//! Packages are built in containers, on real engines: good ones, hostile ones, and while engines and bots die.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what a build said is read when a test fails")]

#[path = "container_builds/bench.rs"]
mod bench;
#[path = "container_builds/daemon.rs"]
mod daemon;
#[path = "container_builds/good.rs"]
mod good;
#[path = "container_builds/hostile.rs"]
mod hostile;
#[path = "container_builds/lost.rs"]
mod lost;
