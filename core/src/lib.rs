//! Decides. Facts come in as arguments (bytes, lists, `now`), verdicts, events and plans go out as values.
//!
//! Nothing here touches files, processes, network, clock, randomness or environment; `core/clippy.toml` keeps it so.
//! The modules, ground floor first:
//!
//! * [`id`]: one checked type for every name that crosses a seam
//! * [`refusal`]: what a person is told when something is refused, with stable code and hint
//! * [`escape`]: how untrusted text is shown
//! * [`people`]: who is who
//! * `signing` (feature): a tag object's bytes → [`Verdict`](signing::Verdict)
//! * `gear` (feature): what the rules in a tagged tree make of it: pkg.tar
//! * [`push`]: a pushed tag and its options
//! * [`access`]: lists, groups, votes, and who may touch a package
//! * [`task`]: subtasks, states, transitions
//! * [`job`]: what is to be done after something landed: states, leases, what is stale
//! * [`rpm`] (feature `task`): versions and their order, dependencies, what a package's header says
//! * [`repository`] (feature `task`): what is on record of a repository, its index, plans, unmet dependencies, closures
//! * `command` (feature): the one grammar of commands
//! * [`queue`] (feature `task`): what runs next, from a snapshot
//! * `image` (feature): Dockerfiles, ignore files, what an image is made of, what is stale because of what
//! * [`device`]: lab devices: what is on record of them; with the feature `device` the update protocol, update payloads
//! * `event`, `world`, `decide`, `reply` (feature `task`): what is on record; all of it folded; what a command leads to; how it is answered

pub mod access;
#[cfg(feature = "command")]
pub mod command;
#[cfg(feature = "task")]
pub mod decide;
pub mod device;
pub mod escape;
#[cfg(feature = "task")]
pub mod event;
#[cfg(feature = "gear")]
pub mod gear;
pub mod hex;
pub mod id;
#[cfg(feature = "image")]
pub mod image;
pub mod job;
mod pairs;
pub mod people;
pub mod push;
#[cfg(feature = "task")]
pub mod queue;
pub mod reason;
pub mod refusal;
#[cfg(feature = "task")]
pub mod reply;
#[cfg(feature = "task")]
pub mod repository;
#[cfg(feature = "task")]
pub mod rpm;
#[cfg(feature = "signing")]
pub mod signing;
pub mod task;
#[cfg(feature = "task")]
pub mod world;
