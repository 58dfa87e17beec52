//! What an administrator asks of a repository: the words, and the doing, whether or not the bot runs.
//!
//! While it runs the bot does it, because it owns the journal; otherwise the command line does, with the same code.

mod desk;
mod grammar;

pub(crate) use self::desk::size;
pub use self::desk::{Desk, Outcome};
pub(crate) use self::grammar::generation;
pub use self::grammar::{ContentWrite, GcArgs, ImportArgs, InitArgs, KeyWrite, RollbackArgs, RotateArgs, Which, Write};
