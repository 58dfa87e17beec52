//! Tags judged for real: made by git, signed by gpg and ssh-keygen, read from a repository.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod identity;
mod keyring;
mod lint;
mod objects;
mod openpgp;
mod ssh;
mod structure;
mod world;
