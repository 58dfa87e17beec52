//! What runs as the git user: the hooks and the ssh door, and the library half that the bot shares with them.
//!
//! Reads git and the keyring, hands requests over; writes no task and no repository. No async runtime, no database, no HTTP: a hook is
//! a short process in front of which a person waits.
//!
//! * [`settings`]: the sections of `windlass.toml` that are read here
//! * [`shell`]: the ssh door
//! * [`wire`]: what is said over the bot's socket and in the spool
//! * [`spool`]: requests that wait as files while the bot is away
//! * [`handover`]: to the socket, else to the spool
//! * [`caller`], [`sources`]: who acts, and on what
//! * [`claims`]: the replay ledger
//! * [`install`]: puts the hooks into repositories
//! * [`receive`]: a push, seen from the hooks
//! * [`record`]: what happened, in lines of JSON
//! * [`process`]: the one way to run a process
//! * [`objects`], [`keyring`], [`judge`]: a tag's raw bytes, who is who, the verdict

pub mod caller;
pub mod claims;
pub mod handover;
pub mod install;
pub mod judge;
pub mod keyring;
pub mod objects;
pub mod process;
pub mod receive;
pub mod record;
pub mod settings;
pub mod shell;
pub mod sources;
pub mod spool;
pub mod wire;
