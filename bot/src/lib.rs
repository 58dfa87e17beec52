//! Does. The daemon and the command line as a library, so that tests and developer commands can call its parts.

pub mod config;
