//! Does. The daemon and the command line as a library, so that tests and developer commands can call its parts.

pub mod backup;
pub mod cli;
pub mod commands;
pub mod config;
pub mod crash;
pub mod devices;
mod digest;
pub mod doctor;
pub mod exit;
pub mod git;
pub mod http;
pub mod images;
pub mod intake;
pub mod jobs;
pub mod journal;
pub mod layout;
pub mod output;
pub mod people;
pub mod reconcile;
pub mod repository;
pub mod runner;
pub mod sandbox;
pub mod serve;
pub mod stages;
pub mod stop;
pub mod writer;
