//! A sandbox of either kind, as a build uses it.

use std::fs::File;
use std::os::fd::BorrowedFd;

use super::container::Contained;
use super::need::{Command, Installation, SandboxError};
use super::session::Bubblewrap;
use super::wire::Ended;

/// One sandbox. Dropped, everything in it is dead.
#[derive(Debug)]
pub(crate) enum Sandbox {
    /// On this machine.
    Bubblewrap(Box<Bubblewrap>),
    /// In containers, on an engine.
    Container(Box<Contained>),
}

impl Sandbox {
    /// Where it runs, if not on this machine.
    pub(crate) fn place(&self) -> Option<&str> {
        match self {
            Self::Bubblewrap(_) => None,
            Self::Container(sandbox) => Some(sandbox.place()),
        }
    }

    /// Unpacks `pkg.tar`; says the newest time in it, in seconds since 1970.
    pub(crate) fn unpack(&mut self, archive: BorrowedFd<'_>) -> Result<u64, SandboxError> {
        match self {
            Self::Bubblewrap(sandbox) => sandbox.unpack(archive),
            Self::Container(sandbox) => sandbox.unpack(archive),
        }
    }

    /// Brings a package for the next installation.
    pub(crate) fn bring(&mut self, name: &str, package: BorrowedFd<'_>) -> Result<(), SandboxError> {
        match self {
            Self::Bubblewrap(sandbox) => sandbox.bring(name, package),
            Self::Container(sandbox) => sandbox.bring(name, package),
        }
    }

    /// Makes these directories ones that packages can be installed into.
    pub(crate) fn open(&mut self, directories: Vec<String>) -> Result<(), SandboxError> {
        match self {
            Self::Bubblewrap(sandbox) => sandbox.open(directories),
            // Its root can write everywhere in its own layer.
            Self::Container(_) => Ok(()),
        }
    }

    /// Runs a command to its end, or to the first limit that it runs into.
    pub(crate) fn run(&mut self, command: Command, log: BorrowedFd<'_>) -> Result<Ended, SandboxError> {
        match self {
            Self::Bubblewrap(sandbox) => sandbox.run(command, log),
            Self::Container(sandbox) => sandbox.run(&command, log),
        }
    }

    /// Installs the packages that were brought.
    pub(crate) fn install(&mut self, order: &Installation, log: BorrowedFd<'_>) -> Result<Ended, SandboxError> {
        match self {
            Self::Bubblewrap(sandbox) => sandbox.install(order, log),
            Self::Container(sandbox) => sandbox.install(order, log),
        }
    }

    /// The names of the files in a directory of the tree; more than so many are an error of the package's.
    pub(crate) fn names(&mut self, directory: &str, most: usize) -> Result<Vec<String>, SandboxError> {
        match self {
            Self::Bubblewrap(sandbox) => sandbox.names(directory, most),
            Self::Container(sandbox) => sandbox.names(directory, most),
        }
    }

    /// Opens a plain file of the tree, or a copy of it.
    pub(crate) fn read(&mut self, path: &str) -> Result<File, SandboxError> {
        match self {
            Self::Bubblewrap(sandbox) => sandbox.read(path),
            Self::Container(sandbox) => sandbox.read(path),
        }
    }
}
