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
//! * `access`, `task`, `world` (feature `task`): lists and approvals; states and transitions; all of it folded from events
//! * `command` (feature): the one grammar of commands

pub mod escape;
pub mod id;
pub mod people;
pub mod refusal;
#[cfg(feature = "signing")]
pub mod signing;
