//! What an administrator and the clients of a repository rely on: made, filled, brought back, killed in the middle, damaged,
//! cleared, served. By the real program, on packages of the real rpmbuild.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test has failed")]
#![expect(clippy::print_stderr, reason = "a test that cannot run here says so")]

mod backup;
mod changes;
mod clients;
mod damage;
mod full;
mod garbage;
mod http;
mod jobs;
mod kills;
mod packages;
mod world;
