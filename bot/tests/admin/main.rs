//! What an administrator does, by the real program in directories of its own: setting up, people and keys, hooks,
//! judging a tag, the doctor on set-ups that are really broken.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test has failed")]
#![expect(clippy::print_stderr, reason = "a test that cannot run here says so")]

mod cli;
mod doctor;
mod doctor_builds;
mod doctor_ssh;
mod evr;
mod hooks;
mod init;
mod people;
mod tag;
mod world;
