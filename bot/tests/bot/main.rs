//! The real bot under real conditions: killed, flooded, hung up on, lied to.
//!
//! Nothing here sleeps: what is waited for is an answer, a line of the bot's log, or a process's end, each with a deadline.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a test that cannot run says so")]

mod backup;
mod crash;
mod door;
mod follow;
mod journal;
mod lab;
mod pushes;
mod spool;
mod users;
mod world;
